/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/nat/ph-nat-tcp.h"
#include "net/stun/ph-stun.h"
#include "tests/support/ph-test.h"

#define START (100 * PH_SEC)
#define PORT 5

typedef struct {
  PhRandomSeeded seed;
  PhNatTcp *discovery;
  PhAddr servers[2];
  PhAddr other;
  PhTime now;
  PhConnectionOp op; /* the last */
  PhStunId asked;
  PhAddr public_addr; /* what the verdict says */
} World;

static World *
world_new (unsigned n_servers)
{
  World *w = g_new0 (World, 1);
  PhNatTcpConfig config = {.port = PORT, .n_servers = n_servers};

  w->now = START;
  w->servers[0] = config.servers[0] = ph_addr_ipv4 (198, 51, 100, 1, 3478);
  w->servers[1] = config.servers[1] = ph_addr_ipv4 (198, 51, 100, 3, 3478);
  w->other = ph_addr_ipv4 (198, 51, 100, 2, 3479);
  config.random = ph_test_random (&w->seed, "nat-tcp");
  w->discovery = ph_nat_tcp_new (&config, w->now);
  return w;
}

static void
world_free (World *w)
{
  ph_nat_tcp_free (w->discovery);
  g_free (w);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (World, world_free)

/* The next connection goes to `text`, and comes about as `type` says. */
static void
connects (World *w, const char *text, PhConnectionEventType type)
{
  char to[PH_ADDR_STRING_MAX];
  uint8_t data[PH_STUN_MESSAGE_MAX];
  PhTransmit tx = {.data = data, .cap = sizeof data};
  PhStunMessage message;

  g_assert_true (ph_nat_tcp_poll_connection (w->discovery, &w->op));
  g_assert_cmpint (w->op.type, ==, PH_CONNECTION_OPEN);
  g_assert_cmpuint (w->op.port, ==, PORT);
  g_assert_cmpstr (ph_addr_format (&w->op.remote, to), ==, text);
  g_assert_false (ph_nat_tcp_poll_transmit (w->discovery, w->now, &tx));

  const PhConnectionEvent event = {.type = type, .socket = w->op.socket};

  ph_nat_tcp_handle_connection (w->discovery, w->now, &event);
  if (type != PH_CONNECTION_OPENED)
    return;
  g_assert_true (ph_nat_tcp_poll_transmit (w->discovery, w->now, &tx));
  g_assert_cmpuint (tx.socket, ==, w->op.socket);
  g_assert_true (ph_stun_parse (ph_slice (data, tx.len), &message));
  w->asked = message.id;
}

/* The answer, in pieces of `piece` bytes. */
static void
answers (World *w, uint16_t mapped_port, bool tells_other, size_t piece)
{
  uint8_t data[PH_STUN_MESSAGE_MAX];
  PhWriter out = ph_writer (data, sizeof data);
  const PhAddr mapped = ph_addr_ipv4 (203, 0, 113, 1, mapped_port);

  ph_stun_begin (&out, PH_STUN_SUCCESS, PH_STUN_BINDING, &w->asked);
  ph_stun_put_xor_addr (&out, PH_STUN_XOR_MAPPED_ADDRESS, &mapped);
  if (tells_other)
    ph_stun_put_addr (&out, PH_STUN_OTHER_ADDRESS, &w->other);
  for (size_t at = 0; at < ph_writer_len (&out); at += piece) {
    const PhDatagram in = {.socket = w->op.socket,
                           .bytes = {data + at, MIN (piece, ph_writer_len (&out) - at)}};

    ph_nat_tcp_handle_packet (w->discovery, w->now, &in);
  }
}

/* All that was opened is aborted, and then the verdict is told, once. */
static void
concludes (World *w, PhNatDependence mapping, unsigned opened)
{
  PhNatDependence found;
  const char *why;

  g_assert_false (ph_nat_tcp_poll_event (w->discovery, &found, &w->public_addr));
  while (ph_nat_tcp_poll_connection (w->discovery, &w->op)) {
    g_assert_cmpint (w->op.type, ==, PH_CONNECTION_ABORT);
    opened--;
  }
  g_assert_cmpuint (opened, ==, 0);
  g_assert_true (ph_nat_tcp_poll_event (w->discovery, &found, &w->public_addr));
  g_assert_cmpint (found, ==, mapping);
  g_assert_false (ph_nat_tcp_poll_event (w->discovery, &found, &w->public_addr));
  g_assert_cmpuint (ph_nat_tcp_next_timeout (w->discovery, &why), ==, PH_NEVER);
}

static void
test_mappings (void)
{
  static const struct {
    uint16_t ports[3]; /* as seen by the server, its other port, its other address */
    PhNatDependence mapping;
  } cases[] = {
      {{7000, 7000, 7000}, PH_NAT_ENDPOINT_INDEPENDENT},
      {{7000, 7000, 7001}, PH_NAT_ADDRESS_DEPENDENT},
      {{7000, 7001, 7002}, PH_NAT_ADDRESS_AND_PORT_DEPENDENT},
  };

  const PhAddr seen = ph_addr_ipv4 (203, 0, 113, 1, 7000);

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (World) w = world_new (2);

    connects (w, "198.51.100.1:3478", PH_CONNECTION_OPENED);
    answers (w, cases[i].ports[0], true, 1);
    connects (w, "198.51.100.1:3479", PH_CONNECTION_OPENED);
    answers (w, cases[i].ports[1], true, 7);
    connects (w, "198.51.100.2:3478", PH_CONNECTION_OPENED);
    answers (w, cases[i].ports[2], true, 100);
    concludes (w, cases[i].mapping, 3);
    g_assert_true (ph_addr_equal (&w->public_addr, &seen));
  }
}

/* Ordinary servers tell endpoint-independent from dependent, and no more. */
static void
test_ordinary (void)
{
  for (unsigned dependent = 0; dependent < 2; dependent++) {
    g_autoptr (World) w = world_new (2);

    connects (w, "198.51.100.1:3478", PH_CONNECTION_OPENED);
    answers (w, 7000, false, 100);
    connects (w, "198.51.100.3:3478", PH_CONNECTION_OPENED);
    answers (w, (uint16_t)(7000 + dependent), false, 100);
    concludes (w, dependent ? PH_NAT_ENDPOINT_DEPENDENT : PH_NAT_ENDPOINT_INDEPENDENT, 2);
  }

  g_autoptr (World) alone = world_new (1);

  connects (alone, "198.51.100.1:3478", PH_CONNECTION_OPENED);
  answers (alone, 7000, false, 100);
  concludes (alone, PH_NAT_DEPENDENCE_UNKNOWN, 1);
}

/* Servers that refuse, are silent, or talk nonsense: the next is asked, and nothing is guessed. */
static void
test_failures (void)
{
  g_autoptr (World) w = world_new (2);
  const char *why;
  const PhDatagram nonsense = {.socket = PH_SOCKET_STREAM + 1,
                               .bytes = ph_slice_string ("HTTP/1.1 400 Bad Request")};

  connects (w, "198.51.100.1:3478", PH_CONNECTION_REFUSED);
  connects (w, "198.51.100.3:3478", PH_CONNECTION_OPENED);
  ph_nat_tcp_handle_packet (w->discovery, w->now, &nonsense);
  if (ph_nat_tcp_next_timeout (w->discovery, &why) != PH_NEVER) {
    /* It may be the beginning of something long: until the time is over. */
    w->now = ph_nat_tcp_next_timeout (w->discovery, &why);
    ph_nat_tcp_handle_timeout (w->discovery, w->now);
  }
  concludes (w, PH_NAT_DEPENDENCE_UNKNOWN, 2);

  g_autoptr (World) silent = world_new (2);

  for (PhTime t; (t = ph_nat_tcp_next_timeout (silent->discovery, &why)) != PH_NEVER;) {
    while (ph_nat_tcp_poll_connection (silent->discovery, &silent->op))
      g_assert_cmpint (silent->op.type, ==, PH_CONNECTION_OPEN);
    ph_nat_tcp_handle_timeout (silent->discovery, t);
    g_assert_cmpuint (t, <=, START + PH_NAT_TCP_TIME_MAX);
  }
  concludes (silent, PH_NAT_DEPENDENCE_UNKNOWN, 2);

  /* The other address does not answer: two of three say nothing. */
  g_autoptr (World) half = world_new (1);

  connects (half, "198.51.100.1:3478", PH_CONNECTION_OPENED);
  answers (half, 7000, true, 100);
  connects (half, "198.51.100.1:3479", PH_CONNECTION_OPENED);
  answers (half, 7000, true, 100);
  connects (half, "198.51.100.2:3478", PH_CONNECTION_UNREACHABLE);
  concludes (half, PH_NAT_DEPENDENCE_UNKNOWN, 3);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/nat-tcp/mappings", test_mappings);
  g_test_add_func ("/nat-tcp/ordinary", test_ordinary);
  g_test_add_func ("/nat-tcp/failures", test_failures);
  return g_test_run ();
}
