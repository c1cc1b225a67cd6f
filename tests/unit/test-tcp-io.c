/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The TCP driver, against the real kernel. */

#include "net/io/ph-tcp.h"
#include "tests/support/ph-test.h"

#include <errno.h>
#include <gio/gio.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <unistd.h>

#define MIB (1024 * 1024)
#define PORT_ID 1
#define OUT_ID (PH_SOCKET_STREAM + 1)

/* One end: a driver with one port, and what it was told. */
typedef struct {
  PhTcp *tcp;
  PhAddr local;
  uint32_t next_id;
  uint32_t last_accepted;
  PhAddr last_remote;
  unsigned n_accepted;
  unsigned n_opened;
  unsigned n_refused;
  unsigned n_in_use;
  unsigned n_unreachable;
  unsigned n_closed;
  unsigned n_writable;
  unsigned n_batches;
  uint64_t bytes;
  bool echo;
  bool free_on_event;
  bool in_call; /* a callback within a call would be one that settles twice */
} End;

static uint32_t
new_id (void *user)
{
  End *end = user;

  return ++end->next_id;
}

static void
event (void *user, const PhConnectionEvent *what)
{
  End *end = user;

  g_assert_false (end->in_call);
  switch (what->type) {
  case PH_CONNECTION_OPENED:
    end->n_opened++;
    break;
  case PH_CONNECTION_ACCEPTED:
    end->n_accepted++;
    end->last_accepted = what->socket;
    end->last_remote = what->remote;
    g_assert_cmpuint (what->port, ==, PORT_ID);
    break;
  case PH_CONNECTION_REFUSED:
    end->n_refused++;
    break;
  case PH_CONNECTION_IN_USE:
    end->n_in_use++;
    break;
  case PH_CONNECTION_UNREACHABLE:
    end->n_unreachable++;
    break;
  case PH_CONNECTION_CLOSED:
    end->n_closed++;
    break;
  }
  if (end->free_on_event)
    g_clear_pointer (&end->tcp, ph_tcp_free);
}

static PhTcpResult
send_bytes (End *end, uint32_t socket, const void *data, size_t len)
{
  const PhTransmit tx = {.socket = socket, .data = (uint8_t *)(uintptr_t)data, .len = len};
  PhTcpResult result;

  end->in_call = true;
  result = ph_tcp_send (end->tcp, &tx);
  end->in_call = false;
  return result;
}

static void
received (void *user, const PhDatagram *in)
{
  End *end = user;

  g_assert_cmpuint (in->bytes.len, >, 0);
  end->bytes += in->bytes.len;
  if (end->echo)
    send_bytes (end, in->socket, in->bytes.data, in->bytes.len);
}

static void
batch_done (void *user)
{
  ((End *)user)->n_batches++;
}

static void
writable (void *user, uint32_t socket)
{
  ((End *)user)->n_writable++;
}

static void
end_open (End *end, const char *ip)
{
  static const PhTcpCallbacks callbacks = {new_id, event, received, batch_done, writable};
  g_autoptr (GError) error = NULL;
  PhAddr local;

  *end = (End){.next_id = 100};
  g_assert_true (ph_addr_parse (ip, 0, &local));
  end->tcp = ph_tcp_new (NULL, &callbacks, end);
  g_assert_true (ph_tcp_listen (end->tcp, PORT_ID, &local, &error));
  g_assert_no_error (error);
  end->local = *ph_tcp_local (end->tcp, PORT_ID);
  g_assert_cmpuint (end->local.port, !=, 0);
}

static void
do_op (End *end, PhConnectionOpType type, uint32_t socket, uint32_t port, const PhAddr *remote)
{
  const PhConnectionOp op = {
      .type = type,
      .socket = socket,
      .port = port,
      .remote = remote != NULL ? *remote : (PhAddr){0},
  };

  end->in_call = true;
  ph_tcp_do (end->tcp, &op);
  end->in_call = false;
}

static gboolean
give_up (gpointer what)
{
  g_error ("waited in vain for %s", (const char *)what);
  return G_SOURCE_REMOVE;
}

static void
set_true (gpointer flag)
{
  *(gboolean *)flag = TRUE;
}

#define RUN_UNTIL(condition)                                                                       \
  do {                                                                                             \
    const guint guard_ = g_timeout_add_seconds (20, give_up, (gpointer)(uintptr_t)#condition);     \
    while (!(condition))                                                                           \
      g_main_context_iteration (NULL, TRUE);                                                       \
    g_source_remove (guard_);                                                                      \
  } while (0)

static void
connect_both (End *a, End *b)
{
  do_op (a, PH_CONNECTION_OPEN, OUT_ID, PORT_ID, &b->local);
  RUN_UNTIL (a->n_opened == 1 && b->n_accepted == 1);
}

static void
both_ways (const char *ip)
{
  End a, b;

  end_open (&a, ip);
  end_open (&b, ip);
  b.echo = true;
  connect_both (&a, &b);
  g_assert_true (ph_addr_equal (&b.last_remote, &a.local)); /* from the port that listens */
  g_assert_cmpint (send_bytes (&a, OUT_ID, "hello", 5), ==, PH_TCP_SENT);
  RUN_UNTIL (a.bytes == 5);
  g_assert_cmpuint (a.n_batches, >, 0);
  do_op (&a, PH_CONNECTION_CLOSE, OUT_ID, 0, NULL);
  RUN_UNTIL (b.n_closed == 1 && ph_tcp_n_connections (a.tcp) == 0);
  g_assert_cmpuint (a.n_closed, ==, 0); /* who closes is not told */
  g_assert_cmpint (send_bytes (&a, OUT_ID, "x", 1), ==, PH_TCP_ERROR);
  ph_tcp_free (a.tcp);
  ph_tcp_free (b.tcp);
}

static void
test_ipv4 (void)
{
  both_ways ("127.0.0.1");
}

static void
test_ipv6 (void)
{
  both_ways ("::1");
}

/* A full connection keeps one batch and says so; everything arrives all the same, and what was sent before
 * the close as well. */
static void
test_blocked (void)
{
  const size_t total = 64 * MIB;
  g_autofree uint8_t *chunk = g_malloc0 (PH_TRANSMIT_MAX);
  size_t sent = 0;
  End a, b;

  end_open (&a, "127.0.0.1");
  end_open (&b, "127.0.0.1");
  connect_both (&a, &b);
  while (sent < total) {
    if (ph_tcp_is_blocked (a.tcp, OUT_ID)) {
      g_main_context_iteration (NULL, TRUE);
      continue;
    }
    g_assert_cmpint (send_bytes (&a, OUT_ID, chunk, PH_TRANSMIT_MAX), !=, PH_TCP_ERROR);
    sent += PH_TRANSMIT_MAX;
  }
  do_op (&a, PH_CONNECTION_CLOSE, OUT_ID, 0, NULL);
  RUN_UNTIL (b.n_closed == 1);
  g_assert_cmpuint (b.bytes, ==, total);
  g_assert_cmpuint (a.n_writable, >, 0);
  g_assert_cmpuint (a.n_writable, <=, ph_tcp_stats (a.tcp)->blocked);
  ph_tcp_free (a.tcp);
  ph_tcp_free (b.tcp);
}

/* Small messages still get in behind a batch that waits, up to a bound. */
static void
test_kept_is_bounded (void)
{
  g_autofree uint8_t *chunk = g_malloc0 (PH_TRANSMIT_MAX);
  PhTcpResult result = PH_TCP_SENT;
  unsigned n_more = 0;
  End a, b;

  end_open (&a, "127.0.0.1");
  end_open (&b, "127.0.0.1");
  connect_both (&a, &b);
  while (result == PH_TCP_SENT)
    result = send_bytes (&a, OUT_ID, chunk, PH_TRANSMIT_MAX);
  while (send_bytes (&a, OUT_ID, chunk, 100) == PH_TCP_BLOCKED)
    n_more++;
  g_assert_cmpuint (n_more, >=, 10);
  g_assert_cmpuint (n_more, <, 1000);
  ph_tcp_free (a.tcp);
  RUN_UNTIL (b.n_closed == 1);
  ph_tcp_free (b.tcp);
}

/* Without a delay the first SYN is accepted before the second leaves: the kernel then says EADDRNOTAVAIL,
 * and the connection that it means is told before that. */
static void
test_both_connect (void)
{
  End a, b;

  end_open (&a, "127.0.0.1");
  end_open (&b, "127.0.0.1");
  do_op (&a, PH_CONNECTION_OPEN, OUT_ID, PORT_ID, &b.local);
  do_op (&b, PH_CONNECTION_OPEN, OUT_ID, PORT_ID, &a.local);
  RUN_UNTIL (a.n_opened == 1 && b.n_in_use == 1);
  g_assert_cmpuint (b.n_accepted, ==, 1);
  g_assert_true (ph_addr_equal (&b.last_remote, &a.local));
  g_assert_cmpint (send_bytes (&b, b.last_accepted, "one", 3), ==, PH_TCP_SENT);
  RUN_UNTIL (a.bytes == 3);
  ph_tcp_free (a.tcp);
  ph_tcp_free (b.tcp);
}

static void
test_refused (void)
{
  PhAddr gone;
  End a, b;

  end_open (&a, "127.0.0.1");
  end_open (&b, "127.0.0.1");
  gone = b.local;
  ph_tcp_free (b.tcp);
  for (unsigned i = 1; i <= 20; i++) {
    do_op (&a, PH_CONNECTION_OPEN, OUT_ID + i, PORT_ID, &gone);
    RUN_UNTIL (a.n_refused == i);
  }
  do_op (&a, PH_CONNECTION_OPEN, OUT_ID, 77, &gone); /* no such port */
  RUN_UNTIL (a.n_unreachable == 1);
  g_assert_cmpuint (ph_tcp_n_connections (a.tcp), ==, 0);
  ph_tcp_free (a.tcp);
}

/* --- No descriptors ----------------------------------------------------------------------------- */

static void
limit_descriptors (rlim_t n)
{
  struct rlimit limit;

  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  limit.rlim_cur = MIN (n, limit.rlim_max);
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &limit), ==, 0);
}

/* Takes all that there are but `spare`; give them back with free_descriptors(). */
static GArray *
take_descriptors (unsigned spare)
{
  GArray *taken = g_array_new (FALSE, FALSE, sizeof (int));
  int fd;

  limit_descriptors (256);
  while ((fd = dup (STDERR_FILENO)) >= 0)
    g_array_append_val (taken, fd);
  g_assert_cmpint (errno, ==, EMFILE);
  g_assert_cmpuint (taken->len, >=, spare);
  for (unsigned i = 0; i < spare; i++)
    close (g_array_index (taken, int, taken->len - 1 - i));
  g_array_set_size (taken, taken->len - spare);
  return taken;
}

static void
free_descriptors (GArray *taken)
{
  for (guint i = 0; i < taken->len; i++)
    close (g_array_index (taken, int, i));
  g_array_unref (taken);
  limit_descriptors (1024);
}

/* Without descriptors who waits at a port goes on to wait, while this thread rests, and is taken when there
 * are some; and whoever is to connect is told that it cannot. */
static void
test_no_descriptors (void)
{
  gboolean over = FALSE;
  unsigned rounds = 0;
  GArray *taken;
  End a, b;

  end_open (&a, "127.0.0.1");
  end_open (&b, "127.0.0.1");
  taken = take_descriptors (1);
  do_op (&a, PH_CONNECTION_OPEN, OUT_ID, PORT_ID, &b.local);
  do_op (&a, PH_CONNECTION_OPEN, OUT_ID + 1, PORT_ID, &b.local);
  RUN_UNTIL (a.n_opened == 1 && a.n_unreachable == 1);
  g_assert_cmpuint (ph_tcp_n_connections (a.tcp), ==, 1);

  g_timeout_add_once (600, set_true, &over);
  while (!over) {
    g_main_context_iteration (NULL, TRUE);
    rounds++;
  }
  g_assert_cmpuint (rounds, <, 20);
  g_assert_cmpuint (b.n_accepted, ==, 0);

  free_descriptors (taken);
  RUN_UNTIL (b.n_accepted == 1);
  g_assert_cmpint (send_bytes (&a, OUT_ID, "hello", 5), ==, PH_TCP_SENT);
  RUN_UNTIL (b.bytes == 5);

  /* A port may end while it rests. */
  taken = take_descriptors (1);
  do_op (&a, PH_CONNECTION_OPEN, OUT_ID + 2, 0, &b.local);
  RUN_UNTIL (a.n_opened == 2);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  ph_tcp_unlisten (b.tcp, PORT_ID);
  free_descriptors (taken);
  ph_tcp_free (a.tcp);
  ph_tcp_free (b.tcp);
}

/* The same two addresses again and again: no TIME_WAIT is in the way, whoever closes. */
static void
test_again_at_once (void)
{
  End a, b;

  end_open (&a, "127.0.0.1");
  end_open (&b, "127.0.0.1");
  for (unsigned i = 1; i <= 8; i++) {
    const bool we_close = i % 2 == 0;

    do_op (&a, PH_CONNECTION_OPEN, OUT_ID + i, PORT_ID, &b.local);
    RUN_UNTIL (a.n_opened == i && b.n_accepted == i);
    do_op (we_close ? &a : &b, PH_CONNECTION_CLOSE, we_close ? OUT_ID + i : b.last_accepted, 0,
           NULL);
    RUN_UNTIL (a.n_closed + b.n_closed == i && ph_tcp_n_connections (a.tcp) == 0
               && ph_tcp_n_connections (b.tcp) == 0);
  }
  g_assert_cmpuint (a.n_in_use, ==, 0);
  ph_tcp_free (a.tcp);
  ph_tcp_free (b.tcp);
}

static int
get_option (int fd, int level, int option)
{
  int value = -1;
  socklen_t len = sizeof value;

  g_assert_cmpint (getsockopt (fd, level, option, &value, &len), ==, 0);
  return value;
}

/* GLib's own bind takes SO_REUSEPORT away from TCP sockets: why the driver does not use it, and the
 * options that the driver's sockets have. */
static void
test_reuse_port (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GSocket) socket =
      g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, &error);
  g_autoptr (GInetAddress) loopback = g_inet_address_new_loopback (G_SOCKET_FAMILY_IPV4);
  g_autoptr (GSocketAddress) any = g_inet_socket_address_new (loopback, 0);
  const uint32_t ids[] = {PORT_ID, OUT_ID};
  End a, b;

  g_assert_no_error (error);
  g_assert_true (g_socket_set_option (socket, SOL_SOCKET, SO_REUSEPORT, 1, NULL));
  g_assert_cmpint (get_option (g_socket_get_fd (socket), SOL_SOCKET, SO_REUSEPORT), ==, 1);
  g_assert_true (g_socket_bind (socket, any, TRUE, NULL));
  g_assert_cmpint (get_option (g_socket_get_fd (socket), SOL_SOCKET, SO_REUSEPORT), ==, 0);

  end_open (&a, "127.0.0.1");
  end_open (&b, "127.0.0.1");
  connect_both (&a, &b);
  for (size_t i = 0; i < G_N_ELEMENTS (ids); i++) {
    const int fd = ph_tcp_fd (a.tcp, ids[i]);

    g_assert_cmpint (get_option (fd, SOL_SOCKET, SO_REUSEADDR), ==, 1);
    g_assert_cmpint (get_option (fd, SOL_SOCKET, SO_REUSEPORT), ==, 1);
  }
  g_assert_cmpint (get_option (ph_tcp_fd (a.tcp, OUT_ID), IPPROTO_TCP, TCP_NODELAY), ==, 1);
  ph_tcp_free (a.tcp);
  ph_tcp_free (b.tcp);
}

/* Strangers can take no more than so many descriptors. */
static void
test_accepted_max (void)
{
  End a, b;

  end_open (&a, "127.0.0.1");
  end_open (&b, "127.0.0.1");
  for (unsigned i = 1; i <= PH_TCP_ACCEPTED_MAX + 10; i++) {
    do_op (&a, PH_CONNECTION_OPEN, OUT_ID + i, 0, &b.local);
    RUN_UNTIL (a.n_opened + a.n_refused == i && b.n_accepted == MIN (i, PH_TCP_ACCEPTED_MAX));
  }
  RUN_UNTIL (a.n_closed + a.n_refused == 10); /* a reset may come before the driver has looked */
  do_op (&b, PH_CONNECTION_ABORT, b.last_accepted, 0, NULL);
  do_op (&a, PH_CONNECTION_OPEN, OUT_ID + 1000, 0, &b.local);
  RUN_UNTIL (b.n_accepted == PH_TCP_ACCEPTED_MAX + 1);
  ph_tcp_free (a.tcp);
  ph_tcp_free (b.tcp);
}

static void
test_free_in_callback (void)
{
  End a, b;

  end_open (&a, "127.0.0.1");
  end_open (&b, "127.0.0.1");
  a.free_on_event = b.free_on_event = true;
  do_op (&a, PH_CONNECTION_OPEN, OUT_ID, PORT_ID, &b.local);
  RUN_UNTIL (a.tcp == NULL && b.tcp == NULL);
}

/* What was said just before the end arrives. */
static void
test_free_delivers (void)
{
  g_autofree uint8_t *chunk = g_malloc0 (PH_TRANSMIT_MAX);
  End a, b;

  end_open (&a, "127.0.0.1");
  end_open (&b, "127.0.0.1");
  connect_both (&a, &b);
  send_bytes (&b, b.last_accepted, "unread", 6);
  g_assert_cmpint (send_bytes (&a, OUT_ID, chunk, PH_TRANSMIT_MAX), ==, PH_TCP_SENT);
  ph_tcp_free (a.tcp);
  RUN_UNTIL (b.n_closed == 1);
  g_assert_cmpuint (b.bytes, ==, PH_TRANSMIT_MAX);
  ph_tcp_free (b.tcp);
}

static void
test_bind_errors (void)
{
  static const PhTcpCallbacks callbacks = {new_id, event, received, batch_done, writable};
  g_autoptr (PhTcp) tcp = ph_tcp_new (NULL, &callbacks, NULL);
  g_autoptr (GError) error = NULL;
  const PhAddr foreign = ph_addr_ipv4 (192, 0, 2, 1, 0);

  g_assert_false (ph_tcp_listen (tcp, PORT_ID, &foreign, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/tcp-io/ipv4", test_ipv4);
  g_test_add_func ("/tcp-io/ipv6", test_ipv6);
  g_test_add_func ("/tcp-io/blocked", test_blocked);
  g_test_add_func ("/tcp-io/kept-is-bounded", test_kept_is_bounded);
  g_test_add_func ("/tcp-io/both-connect", test_both_connect);
  g_test_add_func ("/tcp-io/refused", test_refused);
  g_test_add_func ("/tcp-io/no-descriptors", test_no_descriptors);
  g_test_add_func ("/tcp-io/again-at-once", test_again_at_once);
  g_test_add_func ("/tcp-io/reuse-port", test_reuse_port);
  g_test_add_func ("/tcp-io/accepted-max", test_accepted_max);
  g_test_add_func ("/tcp-io/free-in-callback", test_free_in_callback);
  g_test_add_func ("/tcp-io/free-delivers", test_free_delivers);
  g_test_add_func ("/tcp-io/bind-errors", test_bind_errors);
  return g_test_run ();
}
