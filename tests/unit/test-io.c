/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The drivers of net/io, against the real kernel in a network namespace of the test's own. */

#include "net/io/ph-clock.h"
#include "net/io/ph-interfaces.h"
#include "net/io/ph-multicast.h"
#include "net/io/ph-resolver.h"
#include "net/io/ph-system-random.h"
#include "net/io/ph-timer.h"
#include "net/io/ph-udp.h"
#include "tests/support/ph-test.h"

#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>

/* --- Helpers ------------------------------------------------------------------------------------- */

static gboolean
give_up (gpointer what)
{
  g_error ("waited in vain for %s", (const char *)what);
  return G_SOURCE_REMOVE;
}

static void
run_until (const bool *flag, const char *what)
{
  guint guard = g_timeout_add_seconds (20, give_up, (gpointer)what);

  while (!*flag)
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (guard);
}

/* One end: collects what arrives. */
typedef struct {
  PhUdp *udp;
  GByteArray *bytes;
  GArray *lengths; /* of gsize */
  PhAddr remote;
  uint32_t socket;
  uint8_t ecn;
  size_t want;
  unsigned n_batches_done;
  unsigned n_writable;
  bool complete;
  bool writable;
  bool free_in_callback;
} End;

static void
end_received (void *user, const PhDatagram *datagrams, size_t n)
{
  End *end = user;

  for (size_t i = 0; i < n; i++) {
    gsize len = datagrams[i].bytes.len;

    g_byte_array_append (end->bytes, datagrams[i].bytes.data, (guint)len);
    g_array_append_val (end->lengths, len);
    end->remote = datagrams[i].remote;
    end->socket = datagrams[i].socket;
    end->ecn = datagrams[i].ecn;
  }
  if (end->free_in_callback)
    g_clear_pointer (&end->udp, ph_udp_free);
  end->complete = end->lengths->len >= end->want;
}

static void
end_batch_done (void *user)
{
  ((End *)user)->n_batches_done++;
}

static void
end_writable (void *user, uint32_t socket)
{
  End *end = user;

  g_assert_cmpuint (socket, ==, ph_udp_id (end->udp));
  end->n_writable++;
  end->writable = true;
}

static const PhUdpCallbacks end_callbacks = {end_received, end_batch_done, end_writable};

static void
end_open (End *end, uint32_t id, const char *local, PhUdpFlags flags)
{
  g_autoptr (GError) error = NULL;
  PhAddr addr;

  memset (end, 0, sizeof *end);
  end->bytes = g_byte_array_new ();
  end->lengths = g_array_new (FALSE, FALSE, sizeof (gsize));
  g_assert_true (ph_addr_parse (local, 0, &addr));
  end->udp = ph_udp_new (NULL, id, &addr, flags, &end_callbacks, end, &error);
  g_assert_no_error (error);
}

static void
end_close (End *end)
{
  ph_udp_free (end->udp);
  g_byte_array_unref (end->bytes);
  g_array_unref (end->lengths);
}

static PhUdpResult
send_bytes (End *from, const PhAddr *to, const void *data, size_t len, uint16_t segment,
            uint8_t ecn)
{
  PhTransmit tx = {
      .data = (uint8_t *)data, .len = len, .remote = *to, .segment = segment, .ecn = ecn};

  return ph_udp_send (from->udp, &tx);
}

static uint8_t *
random_bytes (const char *name, size_t len)
{
  PhRandomSeeded state;
  PhRandom random = ph_test_random (&state, name);
  uint8_t *bytes = g_malloc (len);

  ph_random_bytes (&random, bytes, len);
  return bytes;
}

/* --- UDP ----------------------------------------------------------------------------------------- */

static void
test_udp_single (const char *local)
{
  End a, b;

  end_open (&a, 7, local, PH_UDP_DEFAULT);
  end_open (&b, 8, local, PH_UDP_DEFAULT);
  g_assert_cmpuint (ph_udp_local (a.udp)->port, !=, 0);
  b.want = 1;
  g_assert_cmpint (send_bytes (&a, ph_udp_local (b.udp), "hello", 5, 0, 2), ==, PH_UDP_SENT);
  run_until (&b.complete, "a datagram");
  g_assert_cmpmem (b.bytes->data, b.bytes->len, "hello", 5);
  g_assert_true (ph_addr_equal (&b.remote, ph_udp_local (a.udp)));
  g_assert_cmpuint (b.socket, ==, 8);
  g_assert_cmpuint (b.ecn, ==, 2);
  g_assert_cmpuint (b.n_batches_done, ==, 1);
  end_close (&a);
  end_close (&b);
}

static void
test_udp_ipv4 (void)
{
  test_udp_single ("127.0.0.1");
}

static void
test_udp_ipv6 (void)
{
  test_udp_single ("::1");
}

/* The TTL that a batch asks for is the one that its packets have, and only they. */
static void
test_udp_ttl (void)
{
  static uint8_t bytes[] = "opener";
  PhTransmit tx = {.data = bytes, .len = sizeof bytes, .ttl = 3};
  struct iovec iov = {bytes, sizeof bytes};
  _Alignas (struct cmsghdr) uint8_t control[256];
  struct msghdr msg = {
      .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  const int on = 1;
  End a, b;

  end_open (&a, 7, "127.0.0.1", PH_UDP_DEFAULT);
  end_open (&b, 8, "127.0.0.1", PH_UDP_DEFAULT);
  g_assert_cmpint (setsockopt (ph_udp_fd (b.udp), IPPROTO_IP, IP_RECVTTL, &on, sizeof on), ==, 0);
  tx.remote = *ph_udp_local (b.udp);
  for (int i = 0; i < 2; i++) {
    int ttl = 0;

    g_assert_cmpint (ph_udp_send (a.udp, &tx), ==, PH_UDP_SENT);
    g_assert_cmpint (recvmsg (ph_udp_fd (b.udp), &msg, 0), ==, sizeof bytes);
    for (struct cmsghdr *c = CMSG_FIRSTHDR (&msg); c != NULL; c = CMSG_NXTHDR (&msg, c)) {
      if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL)
        memcpy (&ttl, CMSG_DATA (c), sizeof ttl);
    }
    if (i == 0)
      g_assert_cmpint (ttl, ==, 3);
    else
      g_assert_cmpint (ttl, >, 3);
    tx.ttl = 0;
    msg.msg_controllen = sizeof control;
  }
  end_close (&a);
  end_close (&b);
}

static void
check_bind_error (const PhAddr *addr, int code)
{
  g_autoptr (GError) error = NULL;
  PhUdp *udp = ph_udp_new (NULL, 1, addr, PH_UDP_DEFAULT, &end_callbacks, NULL, &error);

  g_assert_null (udp);
  g_assert_error (error, G_IO_ERROR, code);
}

static void
test_udp_bind_errors (void)
{
  PhAddr foreign = ph_addr_ipv4 (192, 0, 2, 1, 0);
  End a;

  end_open (&a, 1, "127.0.0.1", PH_UDP_DEFAULT);
  check_bind_error (ph_udp_local (a.udp), G_IO_ERROR_ADDRESS_IN_USE);
  check_bind_error (&foreign, G_IO_ERROR_NOT_FOUND);
  end_close (&a);
}

#define SEGMENT 1200
/* Several calls' worth of segments, and a short one at the end. */
#define BULK_LEN (50 * SEGMENT + 100)

/* Sends BULK_LEN bytes as one transmit and checks every datagram. */
static void
pass_bulk (End *a, End *b)
{
  g_autofree uint8_t *bytes = random_bytes ("bulk", BULK_LEN);

  b->want = 51;
  g_assert_cmpint (send_bytes (a, ph_udp_local (b->udp), bytes, BULK_LEN, SEGMENT, 1), ==,
                   PH_UDP_SENT);
  run_until (&b->complete, "a batch");
  g_assert_cmpmem (b->bytes->data, b->bytes->len, bytes, BULK_LEN);
  g_assert_cmpuint (b->lengths->len, ==, 51);
  for (guint i = 0; i < 50; i++)
    g_assert_cmpuint (g_array_index (b->lengths, gsize, i), ==, SEGMENT);
  g_assert_cmpuint (b->ecn, ==, 1);
  g_assert_cmpuint (ph_udp_stats (a->udp)->datagrams_sent, ==, 51);
  g_assert_cmpuint (ph_udp_stats (b->udp)->datagrams_received, ==, 51);
  g_assert_cmpuint (ph_udp_stats (b->udp)->bytes_received, ==, BULK_LEN);
}

static void
test_udp_offloads (void)
{
  End a, b;

  end_open (&a, 1, "127.0.0.1", PH_UDP_DEFAULT);
  end_open (&b, 2, "127.0.0.1", PH_UDP_DEFAULT);
  pass_bulk (&a, &b);
  g_assert_true (ph_udp_uses_gso (a.udp));
  g_assert_cmpuint (ph_udp_stats (a.udp)->gso_batches, ==, 1);
  g_assert_cmpuint (ph_udp_stats (a.udp)->send_calls, ==, 1);
  g_assert_cmpuint (ph_udp_stats (b.udp)->gro_batches, ==, 1);
  g_assert_cmpuint (b.n_batches_done, ==, 1);
  end_close (&a);
  end_close (&b);
}

static void
test_udp_without_offloads (void)
{
  End a, b;

  end_open (&a, 1, "::1", PH_UDP_NO_GSO);
  end_open (&b, 2, "::1", PH_UDP_NO_GRO);
  pass_bulk (&a, &b);
  g_assert_cmpuint (ph_udp_stats (a.udp)->gso_batches, ==, 0);
  g_assert_cmpuint (ph_udp_stats (a.udp)->send_calls, ==, 1);
  g_assert_cmpuint (ph_udp_stats (b.udp)->gro_batches, ==, 0);
  end_close (&a);
  end_close (&b);
}

/* A socket without checksums is one that the kernel refuses UDP_SEGMENT on. */
static void
test_udp_gso_refused (void)
{
  int one = 1;
  End a, b;

  end_open (&a, 1, "127.0.0.1", PH_UDP_DEFAULT);
  end_open (&b, 2, "127.0.0.1", PH_UDP_DEFAULT);
  g_assert_cmpint (setsockopt (ph_udp_fd (a.udp), SOL_SOCKET, SO_NO_CHECK, &one, sizeof one), ==,
                   0);
  g_assert_true (ph_udp_uses_gso (a.udp));
  pass_bulk (&a, &b);
  g_assert_false (ph_udp_uses_gso (a.udp));
  g_assert_cmpuint (ph_udp_stats (a.udp)->gso_batches, ==, 0);
  g_assert_cmpuint (ph_udp_stats (a.udp)->soft_errors, ==, 0);
  end_close (&a);
  end_close (&b);
}

/* More than UDP_SEGMENT takes in one call: small segments by number, large ones by bytes. */
static void
test_udp_batch_limits (void)
{
  g_autofree uint8_t *bytes = random_bytes ("limits", PH_TRANSMIT_MAX);
  End a, b;

  end_open (&a, 1, "127.0.0.1", PH_UDP_DEFAULT);
  end_open (&b, 2, "127.0.0.1", PH_UDP_DEFAULT);
  b.want = 200 + 8;
  g_assert_cmpint (send_bytes (&a, ph_udp_local (b.udp), bytes, 2000, 10, 0), ==, PH_UDP_SENT);
  g_assert_cmpuint (ph_udp_stats (a.udp)->gso_batches, ==, 4);
  g_assert_cmpint (send_bytes (&a, ph_udp_local (b.udp), bytes, PH_TRANSMIT_MAX, 9000, 0), ==,
                   PH_UDP_SENT);
  run_until (&b.complete, "all datagrams");
  g_assert_cmpmem (b.bytes->data, 2000, bytes, 2000);
  g_assert_cmpmem (b.bytes->data + 2000, b.bytes->len - 2000, bytes, PH_TRANSMIT_MAX);
  end_close (&a);
  end_close (&b);
}

/* Too large for the interface: lost, and no reason to give the offload up. */
static void
test_udp_too_large (void)
{
  g_autofree uint8_t *bytes = random_bytes ("large", BULK_LEN);
  PhAddr to;
  End a, b;

  ph_test_command ("ip link set lo mtu 1300");
  end_open (&a, 1, "127.0.0.1", PH_UDP_DEFAULT);
  end_open (&b, 2, "127.0.0.1", PH_UDP_DEFAULT);
  to = *ph_udp_local (b.udp);
  g_assert_cmpint (send_bytes (&a, &to, bytes, 1280, 0, 0), ==, PH_UDP_SENT);
  g_assert_cmpint (send_bytes (&a, &to, bytes, 5 * 1280, 1280, 0), ==, PH_UDP_SENT);
  g_assert_cmpuint (ph_udp_stats (a.udp)->too_large, ==, 6);
  g_assert_cmpuint (ph_udp_stats (a.udp)->datagrams_sent, ==, 0);
  g_assert_true (ph_udp_uses_gso (a.udp));
  b.want = 4;
  g_assert_cmpint (send_bytes (&a, &to, bytes, 4800, 1200, 0), ==, PH_UDP_SENT);
  g_assert_cmpuint (ph_udp_stats (a.udp)->gso_batches, ==, 1);
  run_until (&b.complete, "the datagrams that fit");
  end_close (&a);
  end_close (&b);
  ph_test_command ("ip link set lo mtu 65536");
}

static void
test_udp_soft_errors (void)
{
  PhAddr nowhere = ph_addr_ipv4 (203, 0, 113, 1, 9);
  PhAddr other_family;
  PhAddr closed;
  End a, b;

  end_open (&a, 1, "127.0.0.1", PH_UDP_DEFAULT);
  end_open (&b, 2, "127.0.0.1", PH_UDP_DEFAULT);
  g_assert_true (ph_addr_parse ("[::1]:9", 0, &other_family));
  g_assert_cmpint (send_bytes (&a, &nowhere, "x", 1, 0, 0), ==, PH_UDP_ERROR);
  g_assert_cmpint (send_bytes (&a, &other_family, "x", 1, 0, 0), ==, PH_UDP_ERROR);
  g_assert_cmpuint (ph_udp_stats (a.udp)->soft_errors, ==, 2);

  /* An ICMP "port unreachable" comes back and changes nothing. */
  closed = *ph_udp_local (b.udp);
  closed.port = closed.port == 9 ? 10 : 9;
  g_assert_cmpint (send_bytes (&a, &closed, "x", 1, 0, 0), ==, PH_UDP_SENT);
  b.want = 1;
  g_assert_cmpint (send_bytes (&a, ph_udp_local (b.udp), "x", 1, 0, 0), ==, PH_UDP_SENT);
  run_until (&b.complete, "a datagram after an ICMP error");
  g_assert_cmpuint (ph_udp_stats (a.udp)->soft_errors, ==, 2);
  end_close (&a);
  end_close (&b);
}

/* Everything that waits is read before the owner is asked to settle. */
static void
test_udp_drains_before_settling (void)
{
  End a, b;

  end_open (&a, 1, "127.0.0.1", PH_UDP_DEFAULT);
  end_open (&b, 2, "127.0.0.1", PH_UDP_DEFAULT);
  for (unsigned i = 0; i < 100; i++)
    g_assert_cmpint (send_bytes (&a, ph_udp_local (b.udp), &i, sizeof i, 0, 0), ==, PH_UDP_SENT);
  b.want = 100;
  run_until (&b.complete, "100 datagrams");
  g_assert_cmpuint (b.n_batches_done, ==, 1);
  end_close (&a);
  end_close (&b);
}

static void
test_udp_freed_in_callback (void)
{
  End a, b;

  end_open (&a, 1, "127.0.0.1", PH_UDP_DEFAULT);
  end_open (&b, 2, "127.0.0.1", PH_UDP_DEFAULT);
  b.free_in_callback = true;
  b.want = 1;
  for (unsigned i = 0; i < 20; i++)
    send_bytes (&a, ph_udp_local (b.udp), &i, sizeof i, 0, 0);
  run_until (&b.complete, "a datagram");
  g_assert_null (b.udp);
  g_assert_cmpuint (b.lengths->len, <=, 8); /* nothing after the callback that freed it */
  g_assert_cmpuint (b.n_batches_done, ==, 0);
  end_close (&a);
  end_close (&b);
}

/* Datagrams to a neighbour whose link address is unknown stay in the kernel, on the sender's account:
 * a socket with a small buffer is soon full. Telling the kernel the link address lets them go. */
static void
test_udp_blocked_then_writable (void)
{
  g_autofree uint8_t *bytes = random_bytes ("blocked", 8 * SEGMENT);
  PhAddr to = ph_addr_ipv4 (10, 77, 0, 2, 9);
  PhUdpResult result = PH_UDP_SENT;
  int small = 1;
  uint64_t sent;
  End a;

  ph_test_command ("ip link add ph-a type veth peer name ph-b");
  ph_test_command ("ip addr add 10.77.0.1/24 dev ph-a");
  ph_test_command ("ip link set ph-b up");
  ph_test_command ("ip link set ph-a up");
  end_open (&a, 3, "10.77.0.1", PH_UDP_DEFAULT);
  g_assert_cmpint (setsockopt (ph_udp_fd (a.udp), SOL_SOCKET, SO_SNDBUF, &small, sizeof small), ==,
                   0);

  for (unsigned i = 0; i < 1000 && result == PH_UDP_SENT; i++)
    result = send_bytes (&a, &to, bytes, 2 * SEGMENT, SEGMENT, 0);
  g_assert_cmpint (result, ==, PH_UDP_BLOCKED);
  g_assert_true (ph_udp_is_blocked (a.udp));
  g_assert_cmpint (send_bytes (&a, &to, bytes, 10, 0, 0), ==, PH_UDP_ERROR);
  sent = ph_udp_stats (a.udp)->datagrams_sent;

  ph_test_command ("ip neigh replace 10.77.0.2 lladdr 02:00:00:00:00:02 dev ph-a");
  run_until (&a.writable, "a writable socket");
  g_assert_cmpuint (a.n_writable, ==, 1);
  g_assert_false (ph_udp_is_blocked (a.udp));
  /* The one that was kept has gone out, all of it. */
  g_assert_cmpuint (ph_udp_stats (a.udp)->datagrams_sent, ==, sent + 2);
  g_assert_cmpint (send_bytes (&a, &to, bytes, 10, 0, 0), ==, PH_UDP_SENT);
  end_close (&a);
  ph_test_command ("ip link del ph-a");
}

/* --- Timer --------------------------------------------------------------------------------------- */

typedef struct {
  PhTimer *timer;
  char letter;
  GString *log;
  PhTime deadline;
  PhTime fired_at;
  bool fired;
  bool free_in_callback;
} Alarm;

static void
alarm_fired (void *user, PhTime now)
{
  Alarm *alarm = user;

  g_string_append_c (alarm->log, alarm->letter);
  alarm->fired = true;
  alarm->fired_at = now;
  g_assert_cmpuint (now, >=, alarm->deadline);
  if (alarm->free_in_callback)
    g_clear_pointer (&alarm->timer, ph_timer_free);
}

static void
alarm_set (Alarm *alarm, PhTime deadline)
{
  alarm->deadline = deadline;
  ph_timer_arm (alarm->timer, deadline);
  g_assert_cmpuint (ph_timer_deadline (alarm->timer), ==, deadline);
}

static void
test_timer (void)
{
  g_autoptr (GString) log = g_string_new (NULL);
  Alarm a = {.letter = 'a', .log = log};
  Alarm b = {.letter = 'b', .log = log};
  Alarm c = {.letter = 'c', .log = log};
  PhTime now = ph_clock_now ();

  a.timer = ph_timer_new (NULL, alarm_fired, &a);
  b.timer = ph_timer_new (NULL, alarm_fired, &b);
  c.timer = ph_timer_new (NULL, alarm_fired, &c);
  alarm_set (&a, now + 20 * PH_MSEC);
  alarm_set (&b, now + 5 * PH_MSEC);
  alarm_set (&c, now + 1 * PH_MSEC);
  ph_timer_arm (c.timer, PH_NEVER);
  run_until (&a.fired, "the later timer");
  g_assert_cmpstr (log->str, ==, "ba");
  g_assert_cmpuint (ph_timer_deadline (a.timer), ==, PH_NEVER);

  /* Moved back and then forward again; and one that is past when it is set. */
  b.fired = false;
  alarm_set (&b, ph_clock_now () + 2 * PH_MSEC);
  alarm_set (&b, ph_clock_now () + 60 * PH_SEC);
  alarm_set (&b, ph_clock_now () + 4 * PH_MSEC);
  run_until (&b.fired, "a timer that was moved");
  alarm_set (&c, 1);
  g_assert_false (c.fired);
  c.free_in_callback = true;
  run_until (&c.fired, "a timer in the past");
  g_assert_cmpstr (log->str, ==, "babc");
  ph_timer_free (a.timer);
  ph_timer_free (b.timer);
  ph_timer_free (c.timer);
}

/* --- Interfaces ---------------------------------------------------------------------------------- */

static const PhInterface *
find_address (const GArray *list, const char *text)
{
  PhAddr addr;

  g_assert_true (ph_addr_parse (text, 0, &addr));
  for (guint i = 0; i < list->len; i++)
    if (ph_addr_equal (&g_array_index (list, PhInterface, i).addr, &addr))
      return &g_array_index (list, PhInterface, i);
  return NULL;
}

/* An interface is running a moment after it was set up. */
static void
note_listed (void *user)
{
  bool *listed = user;
  g_autoptr (GArray) list = ph_interfaces_list (PH_INTERFACES_DEFAULT);

  *listed = find_address (list, "10.78.0.1") != NULL && find_address (list, "2001:db8::1") != NULL;
}

static void
test_interfaces_list (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (PhInterfaceMonitor) monitor = NULL;
  bool listed = false;
  g_autoptr (GArray) all = NULL;
  g_autoptr (GArray) usual = NULL;
  const PhInterface *lo;

  ph_test_command ("ip link add ph-a type veth peer name ph-b");
  ph_test_command ("ip addr add 10.78.0.1/24 dev ph-a");
  ph_test_command ("ip addr add 2001:db8::1/64 dev ph-a nodad");
  ph_test_command ("ip addr add 2001:db8::2/64 dev ph-a nodad preferred_lft 0");
  monitor = ph_interface_monitor_new (NULL, note_listed, &listed, &error);
  g_assert_no_error (error);
  ph_test_command ("ip link set ph-b up");
  ph_test_command ("ip link set ph-a up");
  run_until (&listed, "the interface's addresses");
  all = ph_interfaces_list (PH_INTERFACES_LOOPBACK);
  lo = find_address (all, "127.0.0.1");
  g_assert_nonnull (lo);
  g_assert_true (lo->loopback);
  g_assert_cmpstr (lo->name, ==, "lo");
  g_assert_cmpuint (lo->prefix_len, ==, 8);

  usual = ph_interfaces_list (PH_INTERFACES_DEFAULT);
  g_assert_null (find_address (usual, "127.0.0.1"));
  g_assert_null (find_address (usual, "::1"));
  g_assert_nonnull (find_address (usual, "10.78.0.1"));
  g_assert_cmpuint (find_address (usual, "10.78.0.1")->prefix_len, ==, 24);
  g_assert_nonnull (find_address (usual, "2001:db8::1"));
  g_assert_null (find_address (usual, "2001:db8::2")); /* deprecated */
  for (guint i = 0; i < usual->len; i++)
    g_assert_cmpint (ph_addr_scope (&g_array_index (usual, PhInterface, i).addr), !=,
                     PH_SCOPE_LINK_LOCAL);
  ph_test_command ("ip link del ph-a");
}

static unsigned
count_link_local (const char *except)
{
  g_autoptr (GArray) list = ph_interfaces_list (PH_INTERFACES_LINK_LOCAL);
  unsigned n = 0;

  for (guint i = 0; i < list->len; i++) {
    const PhInterface *iface = &g_array_index (list, PhInterface, i);

    if (ph_addr_scope (&iface->addr) != PH_SCOPE_LINK_LOCAL)
      continue;
    g_assert_cmpstr (iface->name, !=, except);
    g_assert_cmpuint (iface->addr.scope, ==, iface->index);
    n++;
  }
  return n;
}

static void
note_link_local (void *user)
{
  bool *listed = user;

  *listed = count_link_local ("") == 2;
}

/* They count on interfaces that have nothing else, and then only some. */
static void
test_interfaces_link_local (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (PhInterfaceMonitor) monitor = NULL;
  bool listed = false;

  ph_test_command ("sysctl -qw net.ipv6.conf.default.accept_dad=0");
  ph_test_command ("ip link add ph-a type veth peer name ph-b");
  monitor = ph_interface_monitor_new (NULL, note_link_local, &listed, &error);
  g_assert_no_error (error);
  ph_test_command ("ip link set ph-b up");
  ph_test_command ("ip link set ph-a up");
  run_until (&listed, "both ends' own addresses");
  ph_test_command ("ip addr add 10.78.0.1/24 dev ph-a");
  g_assert_cmpuint (count_link_local ("ph-a"), ==, 1);
  for (unsigned i = 0; i < PH_INTERFACES_LINK_LOCAL_MAX; i++) {
    g_autofree char *text = g_strdup_printf ("ip addr add fe80::%u/64 dev ph-b nodad", i + 1);

    ph_test_command (text);
  }
  g_assert_cmpuint (count_link_local ("ph-a"), ==, PH_INTERFACES_LINK_LOCAL_MAX);
  ph_test_command ("ip link del ph-a");
}

typedef struct {
  bool changed;
  unsigned n;
} Change;

static void
note_change (void *user)
{
  Change *change = user;

  change->changed = true;
  change->n++;
}

static void
test_interfaces_change (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (PhInterfaceMonitor) monitor = NULL;
  g_autoptr (GArray) list = NULL;
  Change change = {0};

  monitor = ph_interface_monitor_new (NULL, note_change, &change, &error);
  g_assert_no_error (error);
  ph_test_command ("ip link add ph-a type veth peer name ph-b");
  ph_test_command ("ip addr add 10.79.0.1/24 dev ph-a");
  ph_test_command ("ip link set ph-b up");
  ph_test_command ("ip link set ph-a up");
  run_until (&change.changed, "a changed interface");
  g_assert_cmpuint (change.n, ==, 1); /* many messages, told once */
  list = ph_interfaces_list (PH_INTERFACES_DEFAULT);
  g_assert_nonnull (find_address (list, "10.79.0.1"));

  change.changed = false;
  ph_test_command ("ip link del ph-a");
  run_until (&change.changed, "an interface that is gone");
}

/* --- Multicast ----------------------------------------------------------------------------------- */

typedef struct {
  uint32_t interface;
  PhAddr remote;
  GString *text;
  bool heard;
} Group;

static void
note_multicast (void *user, uint32_t interface, const PhAddr *remote, PhSlice bytes)
{
  Group *group = user;

  group->interface = interface;
  group->remote = *remote;
  g_string_append_len (group->text, (const char *)bytes.data, (gssize)bytes.len);
  group->heard = true;
}

static void
ignore_received (void *user, const PhDatagram *datagrams, size_t n)
{
}

static void
ignore_done (void *user)
{
}

static void
ignore_writable (void *user, uint32_t socket)
{
}

/* Goes out by the interface that has the sender's address, without any route, and is heard where the
 * group was joined: the kernel loops it back to this computer. */
static void
check_multicast (const char *address, const char *group_address, uint32_t interface)
{
  const PhUdpCallbacks callbacks = {ignore_received, ignore_done, ignore_writable};
  g_autoptr (GError) error = NULL;
  g_autoptr (PhMulticast) listener = NULL;
  g_autoptr (PhMulticast) other = NULL;
  g_autoptr (PhUdp) udp = NULL;
  Group heard = {.text = g_string_new (NULL)};
  Group not_joined = {.text = g_string_new (NULL)};
  uint8_t hello[] = "hello";
  PhTransmit tx = {.data = hello, .cap = sizeof hello, .len = 5};
  PhAddr local;

  g_assert_true (ph_addr_parse (address, 0, &local));
  g_assert_true (ph_addr_parse (group_address, 20552, &tx.remote));
  if (tx.remote.family == PH_FAMILY_IPV6)
    tx.remote.scope = interface;
  listener = ph_multicast_new (NULL, &tx.remote, note_multicast, &heard, &error);
  g_assert_no_error (error);
  other = ph_multicast_new (NULL, &tx.remote, note_multicast, &not_joined, &error);
  g_assert_no_error (error);
  udp = ph_udp_new (NULL, 1, &local, PH_UDP_DEFAULT, &callbacks, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (ph_multicast_join (listener, interface));
  g_assert_true (ph_multicast_join (listener, interface));
  g_assert_cmpint (ph_udp_send (udp, &tx), ==, PH_UDP_SENT);
  run_until (&heard.heard, "a datagram to the group");
  g_assert_cmpstr (heard.text->str, ==, "hello");
  g_assert_cmpuint (heard.interface, ==, interface);
  g_assert_true (ph_addr_equal (&heard.remote, ph_udp_local (udp)));

  /* Left and joined anew, it hears the third and not the second; who has not joined hears nothing. */
  ph_multicast_leave (listener, interface);
  hello[0] = 'j';
  g_assert_cmpint (ph_udp_send (udp, &tx), ==, PH_UDP_SENT);
  g_assert_true (ph_multicast_join (listener, interface));
  heard.heard = false;
  hello[0] = 'c';
  g_assert_cmpint (ph_udp_send (udp, &tx), ==, PH_UDP_SENT);
  run_until (&heard.heard, "a datagram to the group");
  g_assert_cmpstr (heard.text->str, ==, "hellocello");
  g_assert_false (not_joined.heard);
  g_string_free (heard.text, TRUE);
  g_string_free (not_joined.text, TRUE);
}

static void
test_multicast (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (PhInterfaceMonitor) monitor = NULL;
  g_autoptr (GArray) list = NULL;
  bool listed = false;
  uint32_t interface;

  ph_test_command ("ip link add ph-a type veth peer name ph-b");
  ph_test_command ("ip addr add 10.78.0.1/24 dev ph-a");
  ph_test_command ("ip addr add 2001:db8::1/64 dev ph-a nodad");
  monitor = ph_interface_monitor_new (NULL, note_listed, &listed, &error);
  g_assert_no_error (error);
  ph_test_command ("ip link set ph-b up");
  ph_test_command ("ip link set ph-a up");
  run_until (&listed, "the interface's addresses");
  list = ph_interfaces_list (PH_INTERFACES_DEFAULT);
  interface = find_address (list, "10.78.0.1")->index;
  check_multicast ("10.78.0.1", "239.255.80.72", interface);
  check_multicast ("2001:db8::1", "ff02::1:5048", interface);
  ph_test_command ("ip link del ph-a");
}

/* --- Resolver ------------------------------------------------------------------------------------ */

typedef struct {
  PhAddr first;
  size_t n;
  GQuark domain;
  bool done;
} Answer;

static void
note_answer (void *user, const PhAddr *addrs, size_t n, const GError *error)
{
  Answer *answer = user;

  g_assert_false (answer->done);
  g_assert_cmpint (n == 0, ==, error != NULL);
  answer->first = n > 0 ? addrs[0] : (PhAddr){0};
  answer->n = n;
  answer->domain = error != NULL ? error->domain : 0;
  answer->done = true;
}

static Answer
resolve (const char *host_port, uint16_t port_default)
{
  Answer answer = {0};

  ph_resolve (NULL, host_port, port_default, note_answer, &answer);
  g_assert_false (answer.done);
  run_until (&answer.done, host_port);
  return answer;
}

static void
test_resolver (void)
{
  char text[PH_ADDR_STRING_MAX];
  Answer answer;
  Answer cancelled = {0};

  answer = resolve ("192.0.2.7", 3478);
  g_assert_cmpstr (ph_addr_format (&answer.first, text), ==, "192.0.2.7:3478");
  answer = resolve ("[2001:db8::7]:99", 3478);
  g_assert_cmpstr (ph_addr_format (&answer.first, text), ==, "[2001:db8::7]:99");
  answer = resolve ("localhost:80", 3478);
  g_assert_cmpuint (answer.n, >, 0);
  g_assert_cmpuint (answer.first.port, ==, 80);
  g_assert_cmpint (ph_addr_scope (&answer.first), ==, PH_SCOPE_LOOPBACK);
  answer = resolve ("does-not-exist.invalid:80", 3478);
  g_assert_cmpuint (answer.n, ==, 0);
  g_assert_true (answer.domain == G_RESOLVER_ERROR);
  answer = resolve ("half:an:address", 3478);
  g_assert_cmpuint (answer.n, ==, 0);
  answer = resolve ("no port:99999", 3478);
  g_assert_cmpuint (answer.n, ==, 0);
  g_assert_cmpint (answer.domain, !=, 0);

  ph_resolve_cancel (ph_resolve (NULL, "192.0.2.7", 1, note_answer, &cancelled));
  ph_resolve_cancel (ph_resolve (NULL, "does-not-exist.invalid", 1, note_answer, &cancelled));
  answer = resolve ("does-not-exist.invalid", 1);
  while (g_main_context_iteration (NULL, FALSE))
    continue;
  g_assert_false (cancelled.done);
}

/* --- Clock and randomness ------------------------------------------------------------------------ */

static void
test_clock_and_random (void)
{
  PhRandom random = ph_system_random ();
  PhTime before = ph_clock_now ();
  uint64_t a = ph_random_u64 (&random);
  uint64_t b = ph_random_u64 (&random);

  g_assert_cmpuint (a, !=, b);
  g_assert_cmpuint (before, >, 0);
  g_assert_cmpuint (ph_clock_now (), >=, before);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  /* Interfaces and the MTU of lo are changed: other tests keep theirs. */
  if (unshare (CLONE_NEWNET) != 0)
    g_error ("no network namespace: %s", g_strerror (errno));
  ph_test_command ("ip link set lo up");

  g_test_add_func ("/io/udp/ipv4", test_udp_ipv4);
  g_test_add_func ("/io/udp/ipv6", test_udp_ipv6);
  g_test_add_func ("/io/udp/ttl", test_udp_ttl);
  g_test_add_func ("/io/udp/bind-errors", test_udp_bind_errors);
  g_test_add_func ("/io/udp/offloads", test_udp_offloads);
  g_test_add_func ("/io/udp/without-offloads", test_udp_without_offloads);
  g_test_add_func ("/io/udp/gso-refused", test_udp_gso_refused);
  g_test_add_func ("/io/udp/batch-limits", test_udp_batch_limits);
  g_test_add_func ("/io/udp/too-large", test_udp_too_large);
  g_test_add_func ("/io/udp/soft-errors", test_udp_soft_errors);
  g_test_add_func ("/io/udp/drains-before-settling", test_udp_drains_before_settling);
  g_test_add_func ("/io/udp/freed-in-callback", test_udp_freed_in_callback);
  g_test_add_func ("/io/udp/blocked-then-writable", test_udp_blocked_then_writable);
  g_test_add_func ("/io/timer", test_timer);
  g_test_add_func ("/io/interfaces/list", test_interfaces_list);
  g_test_add_func ("/io/interfaces/link-local", test_interfaces_link_local);
  g_test_add_func ("/io/multicast", test_multicast);
  g_test_add_func ("/io/interfaces/change", test_interfaces_change);
  g_test_add_func ("/io/resolver", test_resolver);
  g_test_add_func ("/io/clock-and-random", test_clock_and_random);
  return g_test_run ();
}
