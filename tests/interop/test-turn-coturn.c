/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The TURN client against coturn, over real sockets. */

#include "net/io/ph-clock.h"
#include "net/io/ph-sockaddr.h"
#include "net/rendezvous/ph-turn-credentials.h"
#include "net/turn/ph-turn-private.h"
#include "net/turn/ph-turn-stream.h"
#include "tests/support/ph-test.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define IPV4 "192.0.2.78"
#define IPV6 "2001:db8::78"
#define PORT 3478
/* Of a server that has no relayed addresses of IPv6. */
#define PORT_IPV4_ONLY 3500
#define SECRET "not-a-secret"
#define SOCKET 1
#define RELAYED 2
#define TIME_MAX (15 * PH_SEC)

/* How the server is reached, and what is asked for there. */
typedef struct {
  const char *name;
  const char *server;
  bool stream; /* TCP */
  PhFamily family; /* of the relayed address */
} Way;

static const Way ways[] = {
    {"udp/ipv4", IPV4, false, PH_FAMILY_IPV4},
    {"udp/ipv6", IPV6, false, PH_FAMILY_IPV6},
    {"udp/ipv6-by-ipv4", IPV4, false, PH_FAMILY_IPV6},
    {"udp/ipv4-by-ipv6", IPV6, false, PH_FAMILY_IPV4},
    {"tcp/ipv4", IPV4, true, PH_FAMILY_IPV4},
    {"tcp/ipv6", IPV6, true, PH_FAMILY_IPV6},
    {"tcp/ipv6-by-ipv4", IPV4, true, PH_FAMILY_IPV6},
    {"tcp/ipv4-by-ipv6", IPV6, true, PH_FAMILY_IPV4},
};

typedef struct {
  const Way *way;
  PhRandomSeeded seed;
  PhTurnClient *turn;
  int fd;
  PhAddr server;
  PhTurnStream *stream; /* NULL: UDP */
  PhTurnEvent last;
  unsigned events[PH_TURN_EVENT_CHANNEL_FAILED + 1];
  PhAddr from;
  GByteArray *got; /* payloads, one after another */
} Client;

/* Not far off: coturn takes what is more than 68 years ahead for past. */
static gint64 expires;

/* -1: nobody listens there yet. */
static int
open_socket (const Way *way, const PhAddr *server)
{
  PhSockaddr at;
  PhAddr local;
  int fd;

  g_assert_true (ph_addr_parse (way->server, 0, &local));
  fd = socket (local.family == PH_FAMILY_IPV6 ? AF_INET6 : AF_INET,
               (way->stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
  g_assert_cmpint (bind (fd, &at.sa, ph_sockaddr_from_addr (&local, &at)), ==, 0);
  if (connect (fd, &at.sa, ph_sockaddr_from_addr (server, &at)) == 0)
    return fd;
  g_assert_cmpint (errno, ==, ECONNREFUSED);
  close (fd);
  return -1;
}

static bool
client_open (Client *c, const Way *way, uint16_t port, const char *username, const char *password)
{
  static unsigned n;
  g_autofree char *name = g_strdup_printf ("client %u", n++);

  *c = (Client){.way = way};
  g_assert_true (ph_addr_parse (way->server, port, &c->server));
  c->fd = open_socket (way, &c->server);
  if (c->fd < 0)
    return false;
  c->got = g_byte_array_new ();
  c->stream = way->stream ? ph_turn_stream_new () : NULL;
  c->turn = ph_turn_client_new (
      &(PhTurnClientConfig){
          .socket = SOCKET,
          .relayed_socket = RELAYED,
          .server = c->server,
          .stream = way->stream,
          .family = way->family,
          .username = username,
          .password = password,
          .random = ph_test_random (&c->seed, name),
          .trace = &ph_test_trace,
      },
      ph_clock_now ());
  return true;
}

/* With credentials that the server takes: each test is a user of its own, with a quota of its own. */
static void
client_init (Client *c, const Way *way, uint16_t port)
{
  g_autofree char *username =
      g_strdup_printf ("%" G_GINT64_FORMAT ":%s", expires, g_test_get_path ());
  char password[32];

  ph_turn_password (SECRET, username, password);
  g_assert_true (client_open (c, way, port, username, password));
}

static void
client_clear (Client *c)
{
  ph_turn_client_free (c->turn);
  g_byte_array_unref (c->got);
  ph_turn_stream_free (c->stream);
  close (c->fd);
}

/* A batch leaves as its datagrams, as UDP_SEGMENT does it; on a stream as it is. */
static void
send_out (const Client *c, const PhTransmit *tx)
{
  const size_t segment = c->stream == NULL && tx->segment > 0 ? tx->segment : tx->len;

  g_assert_true (ph_addr_equal (&tx->remote, &c->server));
  for (size_t at = 0; at < tx->len; at += segment) {
    const size_t len = MIN (segment, tx->len - at);

    g_assert_cmpint (send (c->fd, tx->data + at, len, 0), ==, (ssize_t)len);
  }
}

static void
take_message (Client *c, PhSlice bytes)
{
  const PhDatagram in = {.socket = SOCKET, .remote = c->server, .bytes = bytes};
  PhDatagram data;

  if (ph_turn_client_handle_packet (c->turn, ph_clock_now (), &in, &data) != PH_TURN_IN_DATA)
    return;
  g_assert_cmpuint (data.socket, ==, RELAYED);
  c->from = data.remote;
  g_byte_array_append (c->got, data.bytes.data, (unsigned)data.bytes.len);
}

static void
receive (Client *c)
{
  uint8_t bytes[2048];
  const ssize_t len = recv (c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
  PhSlice left, message;

  if (len <= 0)
    return;
  left = ph_slice (bytes, (size_t)len);
  if (c->stream == NULL) {
    take_message (c, left);
    return;
  }
  while (ph_turn_stream_next (c->stream, &left, &message) == PH_TURN_STREAM_MESSAGE)
    take_message (c, message);
}

static void
settle (Client *c)
{
  uint8_t bytes[PH_STUN_MESSAGE_MAX];
  PhTransmit tx = {.data = bytes, .cap = sizeof bytes};
  PhTurnEvent event;
  const char *why;

  if (ph_turn_client_next_timeout (c->turn, &why) <= ph_clock_now ())
    ph_turn_client_handle_timeout (c->turn, ph_clock_now ());
  while (ph_turn_client_poll_transmit (c->turn, ph_clock_now (), &tx))
    send_out (c, &tx);
  while (ph_turn_client_poll_event (c->turn, &event)) {
    c->events[event.type]++;
    c->last = event;
  }
}

static void
turn_once (Client *clients, unsigned n)
{
  struct pollfd fds[2];

  g_assert_cmpuint (n, <=, G_N_ELEMENTS (fds));
  for (unsigned i = 0; i < n; i++) {
    settle (&clients[i]);
    fds[i] = (struct pollfd){.fd = clients[i].fd, .events = POLLIN};
  }
  poll (fds, n, 10);
  for (unsigned i = 0; i < n; i++) {
    receive (&clients[i]);
    settle (&clients[i]);
  }
}

static void
await_event (Client *clients, unsigned n, PhTurnEventType type)
{
  const PhTime end = ph_time_add (ph_clock_now (), TIME_MAX);
  unsigned have = 0;

  while (have < n) {
    g_assert_cmpuint (ph_clock_now (), <, end);
    turn_once (clients, n);
    have = 0;
    for (unsigned i = 0; i < n; i++)
      have += clients[i].events[type] > 0;
  }
}

static void
await_bytes (Client *clients, unsigned to, const char *text)
{
  const PhTime end = ph_time_add (ph_clock_now (), TIME_MAX);

  while (clients[to].got->len < strlen (text)) {
    g_assert_cmpuint (ph_clock_now (), <, end);
    turn_once (clients, 2);
  }
  g_assert_cmpmem (clients[to].got->data, clients[to].got->len, text, strlen (text));
  g_byte_array_set_size (clients[to].got, 0);
}

static void
send_text (Client *c, const PhAddr *peer, const char *text)
{
  uint8_t bytes[256];
  PhTransmit tx = {.data = bytes, .cap = sizeof bytes};

  g_assert_true (ph_turn_client_send (c->turn, ph_clock_now (), peer, ph_slice_string (text), &tx));
  send_out (c, &tx);
}

/* Until `*time`, of either client, is another than it was. */
static void
await_change (Client *clients, const PhTime *time)
{
  const PhTime before = *time, end = ph_time_add (ph_clock_now (), TIME_MAX);

  while (*time == before) {
    g_assert_cmpuint (ph_clock_now (), <, end);
    turn_once (clients, 2);
  }
  g_assert_cmpuint (*time, >, before);
  g_assert_cmpint (ph_turn_client_state (clients[0].turn), ==, PH_TURN_ALLOCATED);
}

/* Allocation, permission and channel last longer when they are asked for again. */
static void
check_refreshes (Client *clients, const PhAddr *peer)
{
  PhTurnClient *turn = clients[0].turn;

  ph_turn_client_refresh (turn, ph_clock_now ());
  await_change (clients, &turn->expires_at);
  ph_turn_client_unpermit (turn, ph_clock_now (), peer); /* from _permit() and _bind() */
  ph_turn_client_unpermit (turn, ph_clock_now (), peer);
  g_assert_true (ph_turn_client_permit (turn, ph_clock_now (), peer));
  await_change (clients, &ph_turn_permission_find (turn, peer)->expires_at);
  ph_turn_client_unbind (turn, ph_clock_now (), peer);
  g_assert_true (ph_turn_client_bind (turn, ph_clock_now (), peer));
  await_change (clients, &ph_turn_channel_find (turn, peer)->expires_at);
}

/* Two clients, each with a relayed address, talk from one relayed address to the other. */
static void
test_relay (gconstpointer data)
{
  const Way *way = data;
  char batch[24] = "____one,____two,____!"; /* with room for the padding that streams have */
  Client clients[2];
  PhAddr relayed[2];

  for (unsigned i = 0; i < 2; i++)
    client_init (&clients[i], way, PORT);
  await_event (clients, 2, PH_TURN_EVENT_ALLOCATED);
  for (unsigned i = 0; i < 2; i++) {
    char ip[PH_ADDR_STRING_MAX];

    relayed[i] = ph_turn_client_relayed (clients[i].turn);
    g_assert_cmpstr (ph_addr_format_ip (&relayed[i], ip), ==,
                     way->family == PH_FAMILY_IPV6 ? IPV6 : IPV4);
    g_assert_cmpstr (ph_addr_format_ip (&clients[i].last.mapped, ip), ==, way->server);
    g_assert_cmpuint (clients[i].last.lifetime, ==, 600 * PH_SEC);
  }

  /* Indications. */
  for (unsigned i = 0; i < 2; i++)
    g_assert_true (ph_turn_client_permit (clients[i].turn, ph_clock_now (), &relayed[1 - i]));
  await_event (clients, 2, PH_TURN_EVENT_PERMITTED);
  send_text (&clients[0], &relayed[1], "hello");
  await_bytes (clients, 1, "hello");
  g_assert_true (ph_addr_equal (&clients[1].from, &relayed[0]));
  send_text (&clients[1], &relayed[0], "hello yourself");
  await_bytes (clients, 0, "hello yourself");

  /* Channels: one has one, then both. */
  PhTransmit tx = {.data = (uint8_t *)batch,
                   .cap = sizeof batch,
                   .len = strlen (batch),
                   .segment = 8,
                   .remote = relayed[1]};

  g_assert_false (ph_turn_client_wrap (clients[0].turn, ph_clock_now (), &tx));
  g_assert_true (ph_turn_client_bind (clients[0].turn, ph_clock_now (), &relayed[1]));
  await_event (clients, 1, PH_TURN_EVENT_CHANNEL_READY);
  g_assert_true (ph_turn_client_wrap (clients[0].turn, ph_clock_now (), &tx));
  send_out (&clients[0], &tx);
  await_bytes (clients, 1, "one,two,!");
  g_assert_true (ph_turn_client_bind (clients[1].turn, ph_clock_now (), &relayed[0]));
  await_event (clients, 2, PH_TURN_EVENT_CHANNEL_READY);
  send_text (&clients[1], &relayed[0], "back");
  await_bytes (clients, 0, "back");
  g_assert_true (ph_addr_equal (&clients[0].from, &relayed[1]));
  check_refreshes (clients, &relayed[1]);

  /* Credentials renewed under another name do not disturb. */
  g_assert_true (
      ph_turn_client_set_credentials (clients[0].turn, ph_clock_now (), "other", "other"));
  ph_turn_client_refresh (clients[0].turn, ph_clock_now ());
  for (unsigned i = 0; i < 10; i++)
    turn_once (clients, 2);
  send_text (&clients[0], &relayed[1], "still");
  await_bytes (clients, 1, "still");

  for (unsigned i = 0; i < 2; i++)
    ph_turn_client_close (clients[i].turn, ph_clock_now ());
  await_event (clients, 2, PH_TURN_EVENT_CLOSED);
  for (unsigned i = 0; i < 2; i++) {
    g_assert_cmpint (clients[i].last.why, ==, PH_TURN_WHY_NONE); /* the server said so */
    client_clear (&clients[i]);
  }
}

/* A relayed address speaks to peers of its own family. The client asks for no others; of one that did, the server
 * refuses the permission (443), and what it has lives on. */
static void
test_peer_family (gconstpointer data)
{
  const Way *way = data;
  const PhAddr peer4 = ph_addr_ipv4 (192, 0, 2, 200, 80);
  PhAddr peer6, relayed, peer;
  Client c;

  g_assert_true (ph_addr_parse ("2001:db8::200", 80, &peer6));
  peer = way->family == PH_FAMILY_IPV6 ? peer4 : peer6;
  client_init (&c, way, PORT);
  await_event (&c, 1, PH_TURN_EVENT_ALLOCATED);
  g_assert_false (ph_turn_client_permit (c.turn, ph_clock_now (), &peer));
  g_assert_false (ph_turn_client_bind (c.turn, ph_clock_now (), &peer));

  relayed = c.turn->relayed;
  c.turn->relayed = peer;
  g_assert_true (ph_turn_client_permit (c.turn, ph_clock_now (), &peer));
  c.turn->relayed = relayed;
  await_event (&c, 1, PH_TURN_EVENT_PERMISSION_FAILED);
  g_assert_cmpuint (c.last.error, ==, 443);
  g_assert_cmpint (c.last.why, ==, PH_TURN_WHY_UNSUPPORTED);

  peer = way->family == PH_FAMILY_IPV6 ? peer6 : peer4;
  g_assert_true (ph_turn_client_permit (c.turn, ph_clock_now (), &peer));
  await_event (&c, 1, PH_TURN_EVENT_PERMITTED);
  client_clear (&c);
}

/* A server without relayed addresses of IPv6 says so; of IPv4 it has some. */
static void
test_no_such_family (gconstpointer data)
{
  const Way *way = data;
  const bool ipv6 = way->family == PH_FAMILY_IPV6;
  Client c;

  client_init (&c, way, PORT_IPV4_ONLY);
  await_event (&c, 1, ipv6 ? PH_TURN_EVENT_FAILED : PH_TURN_EVENT_ALLOCATED);
  g_assert_cmpint (c.last.why, ==, ipv6 ? PH_TURN_WHY_UNSUPPORTED : PH_TURN_WHY_NONE);
  g_assert_cmpuint (c.last.error, ==, ipv6 ? 440 : 0);
  client_clear (&c);
}

static void
test_wrong_password (void)
{
  Client c;

  g_assert_true (client_open (&c, &ways[0], PORT, "2000000000:eve", "nonsense"));
  await_event (&c, 1, PH_TURN_EVENT_FAILED);
  g_assert_cmpint (c.last.why, ==, PH_TURN_WHY_UNAUTHORIZED);
  client_clear (&c);
}

/* The server allows two allocations a user. */
static void
test_quota (void)
{
  Client clients[2], third;

  for (unsigned i = 0; i < 2; i++)
    client_init (&clients[i], &ways[0], PORT);
  await_event (clients, 2, PH_TURN_EVENT_ALLOCATED);
  client_init (&third, &ways[0], PORT);
  await_event (&third, 1, PH_TURN_EVENT_FAILED);
  g_assert_cmpint (third.last.why, ==, PH_TURN_WHY_FULL);
  g_assert_cmpuint (third.last.error, ==, 486);
  client_clear (&third);
  for (unsigned i = 0; i < 2; i++)
    client_clear (&clients[i]);
}

static void
test_forbidden_peer (void)
{
  const PhAddr loopback = ph_addr_ipv4 (127, 0, 0, 1, 80);
  Client c;

  client_init (&c, &ways[0], PORT);
  await_event (&c, 1, PH_TURN_EVENT_ALLOCATED);
  g_assert_true (ph_turn_client_permit (c.turn, ph_clock_now (), &loopback));
  await_event (&c, 1, PH_TURN_EVENT_PERMISSION_FAILED);
  g_assert_cmpint (c.last.why, ==, PH_TURN_WHY_FORBIDDEN);
  client_clear (&c);
}

/* --- Servers ------------------------------------------------------------------------------------ */

/* A test that fails leaves no server behind. */
static void
die_with_parent (void *user)
{
  prctl (PR_SET_PDEATHSIG, SIGKILL);
}

static bool
answers (const Way *way, uint16_t port)
{
  Client c;
  bool has;

  if (!client_open (&c, way, port, "a", "b"))
    return false;
  for (unsigned i = 0; i < 20 && c.events[PH_TURN_EVENT_FAILED] == 0; i++)
    turn_once (&c, 1);
  has = c.events[PH_TURN_EVENT_FAILED] > 0;
  client_clear (&c);
  return has;
}

/* `relays`: the option that says which relayed addresses it gives out; NULL: those that it listens at. */
static GPid
start_coturn (uint16_t port, const char *relays)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autofree char *db = g_strdup_printf ("--userdb=%s/db", dir);
  g_autofree char *pid_file = g_strdup_printf ("--pidfile=%s/pid", dir);
  g_autofree char *listening_port = g_strdup_printf ("--listening-port=%u", port);
  const char *argv[] = {"turnserver",
                        "-n",
                        "--listening-ip=" IPV4,
                        "--listening-ip=" IPV6,
                        listening_port,
                        "--use-auth-secret",
                        "--static-auth-secret=" SECRET,
                        "--realm=test",
                        "--no-tls",
                        "--no-dtls",
                        "--no-cli",
                        "--log-file=stdout",
                        "--simple-log",
                        "--user-quota=2",
                        pid_file,
                        db,
                        relays,
                        NULL};
  const PhTime end = ph_time_add (ph_clock_now (), TIME_MAX);
  g_autoptr (GError) error = NULL;
  int status;
  GPid pid;

  g_spawn_async (NULL, (char **)argv, NULL,
                 G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDOUT_TO_DEV_NULL
                     | G_SPAWN_STDERR_TO_DEV_NULL,
                 die_with_parent, NULL, &pid, &error);
  g_assert_no_error (error);
  for (size_t i = 0; i < G_N_ELEMENTS (ways); i++) {
    while (!answers (&ways[i], port)) {
      g_assert_cmpint (waitpid (pid, &status, WNOHANG), ==, 0);
      g_assert_cmpuint (ph_clock_now (), <, end);
    }
  }
  return pid;
}

static void
add_of_each_way (const char *name, GTestDataFunc test)
{
  for (size_t i = 0; i < G_N_ELEMENTS (ways); i++) {
    g_autofree char *path = g_strdup_printf ("/turn-coturn/%s/%s", name, ways[i].name);

    g_test_add_data_func (path, &ways[i], test);
  }
}

int
main (int argc, char **argv)
{
  static const char *const addresses[] = {IPV4 "/24", IPV6 "/64", NULL};
  GPid servers[2];

  ph_test_init (&argc, &argv);
  expires = g_get_real_time () / G_USEC_PER_SEC + 3600;
  ph_test_network (addresses);
  servers[0] = start_coturn (PORT, NULL);
  servers[1] = start_coturn (PORT_IPV4_ONLY, "--relay-ip=" IPV4);
  add_of_each_way ("relay", test_relay);
  add_of_each_way ("peer-family", test_peer_family);
  add_of_each_way ("no-such-family", test_no_such_family);
  g_test_add_func ("/turn-coturn/wrong-password", test_wrong_password);
  g_test_add_func ("/turn-coturn/quota", test_quota);
  g_test_add_func ("/turn-coturn/forbidden-peer", test_forbidden_peer);

  const int result = g_test_run ();

  for (size_t i = 0; i < G_N_ELEMENTS (servers); i++) {
    kill (servers[i], SIGTERM);
    waitpid (servers[i], NULL, 0);
  }
  return result;
}
