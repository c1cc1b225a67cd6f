/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/nat/ph-nat-knock.h"
#include "net/stun/ph-stun.h"
#include "tests/support/ph-test.h"

#define START (100 * PH_SEC)
#define PORT 5
#define CALLER 77
#define GREETING "hello, it is me"

typedef struct {
  PhRandomSeeded seed;
  PhNatKnockConfig config;
  PhNatKnock *knock;
  PhTime now;
  PhConnectionOp op; /* the last */
  PhStunId asked;
  unsigned opened;
} World;

/* Behind 203.0.113.1 if `nat`, else there. */
static World *
world_new (bool stranger, bool nat)
{
  World *w = g_new0 (World, 1);
  PhNatKnockConfig *config = &w->config;

  w->now = START;
  config->port = PORT;
  config->local = nat ? ph_addr_ipv4 (192, 168, 1, 2, 41000) : ph_addr_ipv4 (203, 0, 113, 1, 41000);
  config->seen_as = ph_addr_ipv4 (203, 0, 113, 1, 0);
  config->rendezvous = ph_addr_ipv4 (198, 51, 100, 9, 443);
  config->stranger = stranger;
  config->servers[0] = ph_addr_ipv4 (198, 51, 100, 9, 3478); /* on the rendezvous' address */
  config->servers[1] = ph_addr_ipv4 (198, 51, 100, 1, 3478);
  config->n_servers = 2;
  config->greeting_len = strlen (GREETING);
  memcpy (config->greeting, GREETING, config->greeting_len);
  config->random = ph_test_random (&w->seed, "nat-knock");
  return w;
}

static World *
world_start (World *w)
{
  w->knock = ph_nat_knock_new (&w->config, w->now);
  return w;
}

static void
world_free (World *w)
{
  ph_nat_knock_free (w->knock);
  g_free (w);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (World, world_free)

static void
happens (World *w, uint32_t socket, PhConnectionEventType type, PhAddr remote)
{
  const PhConnectionEvent event = {.type = type, .socket = socket, .remote = remote};

  ph_nat_knock_handle_connection (w->knock, w->now, &event);
}

/* The next connection goes to `text`, and comes about as `type` says. */
static void
connects (World *w, const char *text, PhConnectionEventType type)
{
  char to[PH_ADDR_STRING_MAX];

  g_assert_true (ph_nat_knock_poll_connection (w->knock, &w->op));
  g_assert_cmpint (w->op.type, ==, PH_CONNECTION_OPEN);
  g_assert_cmpuint (w->op.port, ==, PORT);
  g_assert_cmpstr (ph_addr_format (&w->op.remote, to), ==, text);
  w->opened += type == PH_CONNECTION_OPENED;
  happens (w, w->op.socket, type, w->op.remote);
}

static void
asks (World *w)
{
  uint8_t data[PH_STUN_MESSAGE_MAX];
  PhTransmit tx = {.data = data, .cap = sizeof data};
  PhStunMessage message;

  g_assert_true (ph_nat_knock_poll_transmit (w->knock, w->now, &tx));
  g_assert_cmpuint (tx.socket, ==, w->op.socket);
  g_assert_true (ph_stun_parse (ph_slice (data, tx.len), &message));
  g_assert_false (ph_nat_knock_poll_transmit (w->knock, w->now, &tx));
  w->asked = message.id;
}

static void
answers (World *w, PhAddr mapped)
{
  uint8_t data[PH_STUN_MESSAGE_MAX];
  PhWriter out = ph_writer (data, sizeof data);

  ph_stun_begin (&out, PH_STUN_SUCCESS, PH_STUN_BINDING, &w->asked);
  ph_stun_put_xor_addr (&out, PH_STUN_XOR_MAPPED_ADDRESS, &mapped);
  ph_nat_knock_handle_packet (
      w->knock, w->now,
      &(PhDatagram){.socket = w->op.socket, .bytes = {data, ph_writer_len (&out)}});
}

static void
is_seen (World *w)
{
  asks (w);
  answers (w, ph_addr_ipv4 (203, 0, 113, 1, 7000));
}

static void
wishes (World *w, uint16_t at)
{
  uint16_t port;

  g_assert_true (ph_nat_knock_poll_knock (w->knock, &port));
  g_assert_cmpuint (port, ==, at);
  g_assert_false (ph_nat_knock_poll_knock (w->knock, &port));
}

/* In pieces of so many bytes. */
static void
says (World *w, uint32_t caller, const char *text, size_t piece)
{
  for (size_t at = 0; at < strlen (text); at += piece)
    ph_nat_knock_handle_packet (
        w->knock, w->now,
        &(PhDatagram){.socket = caller,
                      .bytes = {(const uint8_t *)text + at, MIN (piece, strlen (text) - at)}});
}

static void
concludes (World *w, PhNatAnswer heard)
{
  PhNatAnswer found;
  const char *why;
  uint16_t port;

  g_assert_true (w->opened == 0 || !ph_nat_knock_poll_event (w->knock, &found));
  while (ph_nat_knock_poll_connection (w->knock, &w->op)) {
    g_assert_cmpint (w->op.type, ==, PH_CONNECTION_ABORT);
    w->opened--;
  }
  g_assert_cmpuint (w->opened, ==, 0);
  g_assert_true (ph_nat_knock_poll_event (w->knock, &found));
  g_assert_cmpint (found, ==, heard);
  g_assert_false (ph_nat_knock_poll_event (w->knock, &found));
  g_assert_false (ph_nat_knock_poll_knock (w->knock, &port));
  g_assert_cmpuint (ph_nat_knock_next_timeout (w->knock, &why), ==, PH_NEVER);
}

/* The rendezvous' own address is not spoken to; whoever calls from there is a stranger. */
static void
test_stranger (void)
{
  for (size_t piece = 1; piece < 20; piece += 6) {
    g_autoptr (World) w = world_start (world_new (true, true));

    connects (w, "198.51.100.1:3478", PH_CONNECTION_OPENED);
    is_seen (w);
    wishes (w, 7000);
    happens (w, CALLER, PH_CONNECTION_ACCEPTED, ph_addr_ipv4 (198, 51, 100, 9, 50000));
    says (w, CALLER, GREETING, piece);
    concludes (w, PH_NAT_YES);
  }

  g_autoptr (World) silent = world_start (world_new (true, true));

  connects (silent, "198.51.100.1:3478", PH_CONNECTION_OPENED);
  is_seen (silent);
  wishes (silent, 7000);
  ph_nat_knock_handle_knocked (silent->knock, silent->now, true);
  concludes (silent, PH_NAT_NO);
}

static void
test_acquaintance (void)
{
  for (unsigned heard = 0; heard < 2; heard++) {
    g_autoptr (World) w = world_start (world_new (false, true));

    connects (w, "198.51.100.9:443", PH_CONNECTION_OPENED);
    connects (w, "198.51.100.9:3478", PH_CONNECTION_REFUSED);
    connects (w, "198.51.100.1:3478", PH_CONNECTION_OPENED);
    is_seen (w);
    wishes (w, 7000);
    if (heard) {
      happens (w, CALLER, PH_CONNECTION_ACCEPTED, ph_addr_ipv4 (198, 51, 100, 9, 50000));
      says (w, CALLER, GREETING, 100);
    }
    ph_nat_knock_handle_knocked (w->knock, w->now, true);
    concludes (w, heard ? PH_NAT_YES : PH_NAT_NO);
  }
}

/* Without a NAT nobody need be asked where we are. */
static void
test_no_nat (void)
{
  g_autoptr (World) open = world_start (world_new (true, false));
  g_autoptr (World) firewalled = world_start (world_new (false, false));

  wishes (open, 41000);
  happens (open, CALLER, PH_CONNECTION_ACCEPTED, ph_addr_ipv4 (198, 51, 100, 9, 50000));
  says (open, CALLER, GREETING, 100);
  concludes (open, PH_NAT_YES);

  connects (firewalled, "198.51.100.9:443", PH_CONNECTION_OPENED);
  wishes (firewalled, 41000);
  ph_nat_knock_handle_knocked (firewalled->knock, firewalled->now, true);
  concludes (firewalled, PH_NAT_NO);
}

/* As above, at addresses of IPv6; servers of IPv4 are not asked about them. */
static void
test_ipv6 (void)
{
  PhAddr here, rendezvous, elsewhere;

  g_assert_true (ph_addr_parse ("[2001:db8:1::2]:41000", 0, &here));
  g_assert_true (ph_addr_parse ("[2001:db8:ff::12]:443", 0, &rendezvous));
  g_assert_true (ph_addr_parse ("[2001:db8:1::3]:0", 0, &elsewhere));
  for (unsigned stranger = 0; stranger < 2; stranger++) {
    for (unsigned same = 0; same < 2; same++) {
      g_autoptr (World) w = world_new (stranger, false);

      w->config.local = here;
      w->config.rendezvous = rendezvous;
      w->config.seen_as = same ? here : elsewhere;
      world_start (w);
      if (!stranger)
        connects (w, "[2001:db8:ff::12]:443", PH_CONNECTION_OPENED);
      if (!same) {
        concludes (w, PH_NAT_UNTESTED);
        continue;
      }
      wishes (w, 41000);
      happens (w, CALLER, PH_CONNECTION_ACCEPTED, rendezvous);
      says (w, CALLER, GREETING, 7);
      concludes (w, PH_NAT_YES);
    }
  }
}

/* Whatever leaves a doubt leaves it unknown. */
static void
test_unknown (void)
{
  const PhAddr from = ph_addr_ipv4 (198, 51, 100, 1, 50000);
  g_autoptr (World) alone = world_new (true, true);
  g_autoptr (World) elsewhere = world_start (world_new (true, true));
  g_autoptr (World) refused = world_start (world_new (true, true));
  g_autoptr (World) lost = world_start (world_new (true, true));
  g_autoptr (World) known = world_start (world_new (true, true));
  g_autoptr (World) unknown = world_start (world_new (false, false));
  g_autoptr (World) silent = world_start (world_new (false, true));
  g_autoptr (World) liar = world_start (world_new (true, true));

  alone->config.n_servers = 1; /* nobody but the rendezvous' address could be asked */
  world_start (alone);
  concludes (alone, PH_NAT_UNTESTED);

  connects (elsewhere, "198.51.100.1:3478", PH_CONNECTION_OPENED);
  asks (elsewhere);
  answers (elsewhere, ph_addr_ipv4 (203, 0, 113, 2, 7000));
  concludes (elsewhere, PH_NAT_UNTESTED);

  connects (refused, "198.51.100.1:3478", PH_CONNECTION_OPENED);
  is_seen (refused);
  wishes (refused, 7000);
  ph_nat_knock_handle_knocked (refused->knock, refused->now, false);
  concludes (refused, PH_NAT_UNTESTED);

  /* What holds the mapping is gone. */
  connects (lost, "198.51.100.1:3478", PH_CONNECTION_OPENED);
  is_seen (lost);
  wishes (lost, 7000);
  happens (lost, lost->op.socket, PH_CONNECTION_CLOSED, from);
  lost->opened--;
  concludes (lost, PH_NAT_UNTESTED);

  /* The rendezvous knocks from another address: one that was spoken to, or one that was not. */
  connects (known, "198.51.100.1:3478", PH_CONNECTION_OPENED);
  is_seen (known);
  wishes (known, 7000);
  happens (known, CALLER, PH_CONNECTION_ACCEPTED, from);
  says (known, CALLER, GREETING, 100);
  concludes (known, PH_NAT_UNTESTED);
  connects (unknown, "198.51.100.9:443", PH_CONNECTION_OPENED);
  wishes (unknown, 41000);
  happens (unknown, CALLER, PH_CONNECTION_ACCEPTED, from);
  says (unknown, CALLER, GREETING, 100);
  concludes (unknown, PH_NAT_UNTESTED);

  connects (silent, "198.51.100.9:443", PH_CONNECTION_OPENED);
  connects (silent, "198.51.100.9:3478", PH_CONNECTION_OPENED);
  asks (silent);
  silent->now += 3 * PH_SEC;
  ph_nat_knock_handle_timeout (silent->knock, silent->now);
  connects (silent, "198.51.100.1:3478", PH_CONNECTION_OPENED);
  silent->now += 3 * PH_SEC;
  ph_nat_knock_handle_timeout (silent->knock, silent->now);
  concludes (silent, PH_NAT_UNTESTED);

  /* A server that answers something else. */
  connects (liar, "198.51.100.1:3478", PH_CONNECTION_OPENED);
  asks (liar);
  liar->asked.bytes[0] ^= 1;
  answers (liar, ph_addr_ipv4 (203, 0, 113, 1, 7000));
  concludes (liar, PH_NAT_UNTESTED);
}

/* Others scan the port meanwhile, say what they like, and are not taken for the knock. */
static void
test_other_callers (void)
{
  const PhAddr from = ph_addr_ipv4 (198, 51, 100, 9, 50000);
  g_autoptr (World) w = world_start (world_new (true, false));

  wishes (w, 41000);
  for (uint32_t i = 0; i < 100; i++) {
    happens (w, 1000 + i, PH_CONNECTION_ACCEPTED, from);
    says (w, 1000 + i, i % 2 ? "hello, it is you" : GREETING " and more", 100);
    if (i % 3 == 0)
      happens (w, 1000 + i, PH_CONNECTION_CLOSED, from);
  }
  happens (w, CALLER, PH_CONNECTION_ACCEPTED, from);
  says (w, CALLER, GREETING, 4);
  concludes (w, PH_NAT_YES);
}

static void
test_filtering (void)
{
  static const struct {
    PhNatAnswer stranger, acquaintance;
    PhNatDependence filtering;
  } cases[] = {
      {PH_NAT_YES, PH_NAT_YES, PH_NAT_ENDPOINT_INDEPENDENT},
      {PH_NAT_YES, PH_NAT_UNTESTED, PH_NAT_ENDPOINT_INDEPENDENT},
      {PH_NAT_NO, PH_NAT_YES, PH_NAT_ADDRESS_DEPENDENT},
      {PH_NAT_NO, PH_NAT_NO, PH_NAT_ADDRESS_AND_PORT_DEPENDENT},
      {PH_NAT_NO, PH_NAT_UNTESTED, PH_NAT_ENDPOINT_DEPENDENT},
      {PH_NAT_UNTESTED, PH_NAT_NO, PH_NAT_ADDRESS_AND_PORT_DEPENDENT},
      {PH_NAT_UNTESTED, PH_NAT_YES, PH_NAT_DEPENDENCE_UNKNOWN},
      {PH_NAT_UNTESTED, PH_NAT_UNTESTED, PH_NAT_DEPENDENCE_UNKNOWN},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++)
    g_assert_cmpint (ph_nat_tcp_filtering (cases[i].stranger, cases[i].acquaintance), ==,
                     cases[i].filtering);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/nat-knock/stranger", test_stranger);
  g_test_add_func ("/nat-knock/acquaintance", test_acquaintance);
  g_test_add_func ("/nat-knock/no-nat", test_no_nat);
  g_test_add_func ("/nat-knock/ipv6", test_ipv6);
  g_test_add_func ("/nat-knock/unknown", test_unknown);
  g_test_add_func ("/nat-knock/other-callers", test_other_callers);
  g_test_add_func ("/nat-knock/filtering", test_filtering);
  return g_test_run ();
}
