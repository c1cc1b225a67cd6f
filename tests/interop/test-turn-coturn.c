/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The TURN client against coturn, over real sockets. */

#include "net/rendezvous/ph-turn-credentials.h"
#include "net/turn/ph-turn-client.h"
#include "tests/support/ph-test.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Of an interface that is not lo: coturn rightly does not relay to loopback. */
#define ADDRESS "192.0.2.78"
#define PORT "3478"
#define SECRET "not-a-secret"
#define SOCKET 1
#define RELAYED 2
#define TIME_MAX (15 * PH_SEC)

typedef struct {
  PhRandomSeeded seed;
  PhTurnClient *turn;
  int udp;
  PhTurnEvent last;
  unsigned events[PH_TURN_EVENT_CHANNEL_FAILED + 1];
  PhAddr from;
  GByteArray *got; /* payloads, one after another */
} Client;

/* Not far off: coturn takes what is more than 68 years ahead for past. */
static gint64 expires;

static PhTime
now (void)
{
  struct timespec t;

  clock_gettime (CLOCK_BOOTTIME, &t);
  return (PhTime)t.tv_sec * PH_SEC + (PhTime)t.tv_nsec;
}

static void
show (void *user, PhTime when, const char *module, const char *line)
{
  if (g_test_verbose ())
    g_test_message ("%s %s", module, line);
}

static void
client_init (Client *c, const char *name, const char *username, const char *password)
{
  static const PhTrace trace = {show, NULL};
  struct sockaddr_in at = {.sin_family = AF_INET};
  PhAddr server;

  *c = (Client){.got = g_byte_array_new ()};
  g_assert_true (ph_addr_parse (ADDRESS ":" PORT, 0, &server));
  g_assert_cmpint (inet_pton (AF_INET, ADDRESS, &at.sin_addr), ==, 1);
  c->udp = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  g_assert_cmpint (bind (c->udp, (struct sockaddr *)&at, sizeof at), ==, 0);
  c->turn = ph_turn_client_new (
      &(PhTurnClientConfig){
          .socket = SOCKET,
          .relayed_socket = RELAYED,
          .server = server,
          .username = username,
          .password = password,
          .random = ph_test_random (&c->seed, name),
          .trace = &trace,
      },
      now ());
}

/* With credentials that the server takes. */
static void
client_init_right (Client *c, const char *name)
{
  g_autofree char *username = g_strdup_printf ("%" G_GINT64_FORMAT ":%.3s", expires, name);
  char password[32];

  ph_turn_password (SECRET, username, password);
  client_init (c, name, username, password);
}

static void
client_clear (Client *c)
{
  ph_turn_client_free (c->turn);
  g_byte_array_unref (c->got);
  close (c->udp);
}

/* A batch leaves as its datagrams, as UDP_SEGMENT does it. */
static void
send_out (const Client *c, const PhTransmit *tx)
{
  const size_t segment = tx->segment > 0 ? tx->segment : tx->len;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons (tx->remote.port)};

  memcpy (&to.sin_addr, tx->remote.ip, 4);
  for (size_t at = 0; at < tx->len; at += segment) {
    const size_t len = MIN (segment, tx->len - at);

    g_assert_cmpint (sendto (c->udp, tx->data + at, len, 0, (struct sockaddr *)&to, sizeof to), ==,
                     (ssize_t)len);
  }
}

static void
receive (Client *c)
{
  uint8_t bytes[2048];
  struct sockaddr_in from;
  socklen_t from_len = sizeof from;
  const ssize_t len =
      recvfrom (c->udp, bytes, sizeof bytes, MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);
  PhDatagram data;

  if (len <= 0)
    return;

  const PhDatagram in = {
      .socket = SOCKET,
      .remote = ph_addr_from_bytes (ph_slice (&from.sin_addr, 4), ntohs (from.sin_port)),
      .bytes = ph_slice (bytes, (size_t)len),
  };

  if (ph_turn_client_handle_packet (c->turn, now (), &in, &data) == PH_TURN_IN_DATA) {
    g_assert_cmpuint (data.socket, ==, RELAYED);
    c->from = data.remote;
    g_byte_array_append (c->got, data.bytes.data, (unsigned)data.bytes.len);
  }
}

static void
settle (Client *c)
{
  uint8_t bytes[PH_STUN_MESSAGE_MAX];
  PhTransmit tx = {.data = bytes, .cap = sizeof bytes};
  PhTurnEvent event;
  const char *why;

  if (ph_turn_client_next_timeout (c->turn, &why) <= now ())
    ph_turn_client_handle_timeout (c->turn, now ());
  while (ph_turn_client_poll_transmit (c->turn, now (), &tx))
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
    fds[i] = (struct pollfd){.fd = clients[i].udp, .events = POLLIN};
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
  const PhTime end = ph_time_add (now (), TIME_MAX);
  unsigned have = 0;

  while (have < n) {
    g_assert_cmpuint (now (), <, end);
    turn_once (clients, n);
    have = 0;
    for (unsigned i = 0; i < n; i++)
      have += clients[i].events[type] > 0;
  }
}

static void
await_bytes (Client *clients, unsigned to, const char *text)
{
  const PhTime end = ph_time_add (now (), TIME_MAX);

  while (clients[to].got->len < strlen (text)) {
    g_assert_cmpuint (now (), <, end);
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

  g_assert_true (ph_turn_client_send (c->turn, now (), peer, ph_slice_string (text), &tx));
  send_out (c, &tx);
}

/* Two clients, each with a relayed address, talk from one relayed address to the other. */
static void
test_relay (void)
{
  char batch[] = "____one,____two,____!";
  Client clients[2];
  PhAddr relayed[2];

  client_init_right (&clients[0], "ann-0");
  client_init_right (&clients[1], "ann-1");
  await_event (clients, 2, PH_TURN_EVENT_ALLOCATED);
  for (unsigned i = 0; i < 2; i++) {
    char ip[PH_ADDR_STRING_MAX];

    relayed[i] = ph_turn_client_relayed (clients[i].turn);
    g_assert_cmpstr (ph_addr_format_ip (&relayed[i], ip), ==, ADDRESS);
    g_assert_cmpuint (clients[i].last.lifetime, ==, 600 * PH_SEC);
  }

  /* Indications. */
  for (unsigned i = 0; i < 2; i++)
    g_assert_true (ph_turn_client_permit (clients[i].turn, now (), &relayed[1 - i]));
  await_event (clients, 2, PH_TURN_EVENT_PERMITTED);
  send_text (&clients[0], &relayed[1], "hello");
  await_bytes (clients, 1, "hello");
  g_assert_true (ph_addr_equal (&clients[1].from, &relayed[0]));
  send_text (&clients[1], &relayed[0], "hello yourself");
  await_bytes (clients, 0, "hello yourself");

  /* Channels: one has one, then both. */
  PhTransmit tx = {
      .data = (uint8_t *)batch, .cap = 21, .len = 21, .segment = 8, .remote = relayed[1]};

  g_assert_false (ph_turn_client_wrap (clients[0].turn, now (), &tx));
  g_assert_true (ph_turn_client_bind (clients[0].turn, now (), &relayed[1]));
  await_event (clients, 1, PH_TURN_EVENT_CHANNEL_READY);
  g_assert_true (ph_turn_client_wrap (clients[0].turn, now (), &tx));
  send_out (&clients[0], &tx);
  await_bytes (clients, 1, "one,two,!");
  g_assert_true (ph_turn_client_bind (clients[1].turn, now (), &relayed[0]));
  await_event (clients, 2, PH_TURN_EVENT_CHANNEL_READY);
  send_text (&clients[1], &relayed[0], "back");
  await_bytes (clients, 0, "back");
  g_assert_true (ph_addr_equal (&clients[0].from, &relayed[1]));

  /* Credentials renewed under another name do not disturb. */
  g_assert_true (ph_turn_client_set_credentials (clients[0].turn, now (), "other", "other"));
  ph_turn_client_refresh (clients[0].turn, now ());
  for (unsigned i = 0; i < 10; i++)
    turn_once (clients, 2);
  send_text (&clients[0], &relayed[1], "still");
  await_bytes (clients, 1, "still");

  for (unsigned i = 0; i < 2; i++)
    ph_turn_client_close (clients[i].turn, now ());
  await_event (clients, 2, PH_TURN_EVENT_CLOSED);
  for (unsigned i = 0; i < 2; i++) {
    g_assert_cmpint (clients[i].last.why, ==, PH_TURN_WHY_NONE); /* the server said so */
    client_clear (&clients[i]);
  }
}

static void
test_wrong_password (void)
{
  Client c;

  client_init (&c, "wrong", "2000000000:eve", "nonsense");
  await_event (&c, 1, PH_TURN_EVENT_FAILED);
  g_assert_cmpint (c.last.why, ==, PH_TURN_WHY_UNAUTHORIZED);
  client_clear (&c);
}

/* The server allows two allocations a user. */
static void
test_quota (void)
{
  Client clients[2], third;

  client_init_right (&clients[0], "bob-0");
  client_init_right (&clients[1], "bob-1");
  await_event (clients, 2, PH_TURN_EVENT_ALLOCATED);
  client_init_right (&third, "bob-2");
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

  client_init_right (&c, "fay");
  await_event (&c, 1, PH_TURN_EVENT_ALLOCATED);
  g_assert_true (ph_turn_client_permit (c.turn, now (), &loopback));
  await_event (&c, 1, PH_TURN_EVENT_PERMISSION_FAILED);
  g_assert_cmpint (c.last.why, ==, PH_TURN_WHY_FORBIDDEN);
  client_clear (&c);
}

/* A test that fails leaves no server behind. */
static void
die_with_parent (void *user)
{
  prctl (PR_SET_PDEATHSIG, SIGKILL);
}

static GPid
start_coturn (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autofree char *db = g_strdup_printf ("--userdb=%s/db", dir);
  g_autofree char *pid_file = g_strdup_printf ("--pidfile=%s/pid", dir);
  const char *argv[] = {"turnserver",
                        "-n",
                        "-L",
                        ADDRESS,
                        "-p",
                        PORT,
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
                        NULL};
  g_autoptr (GError) error = NULL;
  GPid pid;

  g_spawn_async (NULL, (char **)argv, NULL,
                 G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDOUT_TO_DEV_NULL
                     | G_SPAWN_STDERR_TO_DEV_NULL,
                 die_with_parent, NULL, &pid, &error);
  g_assert_no_error (error);
  return pid;
}

/* Its first answer to anything. */
static void
await_coturn (GPid pid)
{
  const PhTime end = ph_time_add (now (), TIME_MAX);

  for (;;) {
    Client c;
    int status;

    g_assert_cmpint (waitpid (pid, &status, WNOHANG), ==, 0);
    g_assert_cmpuint (now (), <, end);
    client_init (&c, "await", "a", "b");
    for (unsigned i = 0; i < 20 && c.events[PH_TURN_EVENT_FAILED] == 0; i++)
      turn_once (&c, 1);

    const bool answers = c.events[PH_TURN_EVENT_FAILED] > 0;

    client_clear (&c);
    if (answers)
      return;
  }
}

int
main (int argc, char **argv)
{
  static const char *const network[] = {
      "ip link set lo up",
      "ip link add near type veth peer name far",
      "ip address add " ADDRESS "/24 dev near",
      "ip link set near up",
      "ip link set far up",
  };
  g_autoptr (GError) error = NULL;
  int status;

  ph_test_init (&argc, &argv);
  expires = g_get_real_time () / G_USEC_PER_SEC + 3600;
  g_assert_cmpint (unshare (CLONE_NEWNET), ==, 0);
  for (size_t i = 0; i < G_N_ELEMENTS (network); i++) {
    g_spawn_command_line_sync (network[i], NULL, NULL, &status, &error);
    g_assert_no_error (error);
    g_assert_cmpint (status, ==, 0);
  }

  const GPid coturn = start_coturn ();

  await_coturn (coturn);
  g_test_add_func ("/turn-coturn/relay", test_relay);
  g_test_add_func ("/turn-coturn/wrong-password", test_wrong_password);
  g_test_add_func ("/turn-coturn/quota", test_quota);
  g_test_add_func ("/turn-coturn/forbidden-peer", test_forbidden_peer);

  const int result = g_test_run ();

  kill (coturn, SIGTERM);
  waitpid (coturn, &status, 0);
  return result;
}
