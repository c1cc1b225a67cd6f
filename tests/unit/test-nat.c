/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/nat/ph-nat-discovery.h"
#include "net/stun/ph-stun.h"
#include "tests/support/ph-test.h"

#define START (100 * PH_SEC)
#define MAPPING 7
#define FILTERING 8

/* --- Verdicts ----------------------------------------------------------------------------------- */

static void
test_types (void)
{
  static const struct {
    PhNatAnswer translated;
    PhNatDependence mapping;
    PhNatDependence filtering;
    const char *type;
  } cases[] = {
      {PH_NAT_NO, PH_NAT_ENDPOINT_INDEPENDENT, PH_NAT_ENDPOINT_INDEPENDENT, "open"},
      {PH_NAT_NO, PH_NAT_ENDPOINT_INDEPENDENT, PH_NAT_ADDRESS_DEPENDENT, "firewalled"},
      {PH_NAT_NO, PH_NAT_DEPENDENCE_UNKNOWN, PH_NAT_ADDRESS_AND_PORT_DEPENDENT, "firewalled"},
      {PH_NAT_NO, PH_NAT_ENDPOINT_INDEPENDENT, PH_NAT_DEPENDENCE_UNKNOWN, "unknown"},
      {PH_NAT_YES, PH_NAT_ENDPOINT_INDEPENDENT, PH_NAT_ENDPOINT_INDEPENDENT, "full-cone"},
      {PH_NAT_YES, PH_NAT_ENDPOINT_INDEPENDENT, PH_NAT_ADDRESS_DEPENDENT, "address-restricted"},
      {PH_NAT_YES, PH_NAT_ENDPOINT_INDEPENDENT, PH_NAT_ADDRESS_AND_PORT_DEPENDENT,
       "port-restricted"},
      {PH_NAT_YES, PH_NAT_ENDPOINT_INDEPENDENT, PH_NAT_DEPENDENCE_UNKNOWN, "unknown"},
      {PH_NAT_YES, PH_NAT_DEPENDENCE_UNKNOWN, PH_NAT_ENDPOINT_INDEPENDENT, "unknown"},
      {PH_NAT_YES, PH_NAT_ENDPOINT_DEPENDENT, PH_NAT_DEPENDENCE_UNKNOWN, "symmetric"},
      {PH_NAT_YES, PH_NAT_ADDRESS_DEPENDENT, PH_NAT_ENDPOINT_INDEPENDENT, "symmetric"},
      {PH_NAT_UNTESTED, PH_NAT_ENDPOINT_INDEPENDENT, PH_NAT_ENDPOINT_INDEPENDENT, "unknown"},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++)
    g_assert_cmpstr (ph_nat_type_name (ph_nat_classify (cases[i].translated, cases[i].mapping,
                                                        cases[i].filtering)),
                     ==, cases[i].type);
}

#define assert_ports(kind, step, ...)                                                              \
  do {                                                                                             \
    const uint16_t ports[] = {__VA_ARGS__};                                                        \
    int got = 0;                                                                                   \
                                                                                                   \
    g_assert_cmpint (ph_nat_judge_ports (ports, G_N_ELEMENTS (ports), &got), ==, kind);            \
    g_assert_cmpint (got, ==, step);                                                               \
  } while (0)

static void
test_ports (void)
{
  assert_ports (PH_NAT_PORTS_UNKNOWN, 0, 1000, 1001, 1002, 1003);
  assert_ports (PH_NAT_PORTS_SEQUENTIAL, 1, 1000, 1001, 1002, 1003, 1004);
  assert_ports (PH_NAT_PORTS_SEQUENTIAL, -2, 1010, 1008, 1006, 1004, 1002);
  /* Others took two ports in between. */
  assert_ports (PH_NAT_PORTS_SEQUENTIAL, 2, 1000, 1002, 1008, 1010, 1012);
  /* Past the end of the range. */
  assert_ports (PH_NAT_PORTS_SEQUENTIAL, 1, 65533, 65534, 65535, 1024, 1025, 1026);
  /* With five samples nothing is excused. */
  assert_ports (PH_NAT_PORTS_RANDOM, 0, 65533, 65534, 65535, 1024, 1025);
  assert_ports (PH_NAT_PORTS_RANDOM, 0, 5000, 41000, 20311, 60000, 7001, 33333);
  assert_ports (PH_NAT_PORTS_RANDOM, 0, 1000, 1001, 1000, 1001, 1000);
}

/* --- The discovery, packet by packet ------------------------------------------------------------ */

typedef struct {
  PhRandomSeeded seed;
  PhNatDiscovery *discovery;
  PhAddr server;
  PhAddr other;
  PhAddr mapped;
  PhTime now;
} World;

static World *
world_new (void)
{
  World *world = g_new0 (World, 1);
  PhNatDiscoveryConfig config = {
      .mapping_socket = MAPPING,
      .filtering_socket = FILTERING,
      .mapping_local = ph_addr_ipv4 (192, 168, 1, 2, 4000),
      .filtering_local = ph_addr_ipv4 (192, 168, 1, 2, 4001),
      .n_servers = 1,
      .random = ph_test_random (&world->seed, "nat"),
  };

  world->now = START;
  world->server = config.servers[0] = ph_addr_ipv4 (192, 0, 2, 10, 3478);
  world->other = ph_addr_ipv4 (192, 0, 2, 11, 3479);
  world->mapped = ph_addr_ipv4 (203, 0, 113, 1, 4000);
  world->discovery = ph_nat_discovery_new (&config, START);
  return world;
}

static void
world_free (World *world)
{
  ph_nat_discovery_free (world->discovery);
  g_free (world);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (World, world_free)

/* The next request; false if nothing is to be sent now. */
static bool
take (World *world, PhTransmit *ret_tx, PhStunMessage *ret_message)
{
  static uint8_t buffer[PH_TRANSMIT_MAX];

  *ret_tx = (PhTransmit){.data = buffer, .cap = sizeof buffer};
  if (!ph_nat_discovery_poll_transmit (world->discovery, world->now, ret_tx))
    return false;
  g_assert_true (ph_stun_parse (ph_slice (ret_tx->data, ret_tx->len), ret_message));
  g_assert_cmpint (ret_message->klass, ==, PH_STUN_REQUEST);
  return true;
}

static void
answer (World *world, uint32_t socket, const PhStunId *id, const PhAddr *from, const PhAddr *other)
{
  uint8_t bytes[PH_STUN_MESSAGE_MAX];
  PhWriter w = ph_writer (bytes, sizeof bytes);

  ph_stun_begin (&w, PH_STUN_SUCCESS, PH_STUN_BINDING, id);
  ph_stun_put_xor_addr (&w, PH_STUN_XOR_MAPPED_ADDRESS, &world->mapped);
  if (other != NULL)
    ph_stun_put_addr (&w, PH_STUN_OTHER_ADDRESS, other);
  ph_stun_put_fingerprint (&w);

  const PhDatagram in = {
      .socket = socket, .remote = *from, .bytes = ph_slice (bytes, ph_writer_len (&w))};

  g_assert_true (ph_nat_discovery_handle_packet (world->discovery, world->now, &in));
}

/* Answers what is asked without CHANGE-REQUEST, from where it was asked; counts what was sent. */
static PhNatVerdict
run (World *world, unsigned *ret_sent, unsigned *ret_changes)
{
  PhNatVerdict verdict;
  PhTransmit tx;
  PhStunMessage message;
  const char *why;

  *ret_sent = *ret_changes = 0;
  for (;;) {
    while (take (world, &tx, &message)) {
      const PhStunId id = message.id;
      const bool change = ph_stun_has (&message, PH_STUN_CHANGE_REQUEST);

      (*ret_sent)++;
      *ret_changes += change;
      if (!change && !ph_addr_equal_ip (&tx.remote, &world->mapped))
        answer (world, tx.socket, &id, &tx.remote, &world->other);
    }
    if (ph_nat_discovery_poll_event (world->discovery, &verdict))
      break;
    world->now = ph_nat_discovery_next_timeout (world->discovery, &why);
    g_assert_cmpuint (world->now, <=, START + PH_NAT_TIME_MAX);
    ph_nat_discovery_handle_timeout (world->discovery, world->now);
  }
  g_assert_cmpuint (ph_nat_discovery_next_timeout (world->discovery, &why), ==, PH_NEVER);
  return verdict;
}

/* Silence is filtering only after eight questions of each kind. */
static void
test_silence_is_asked_twice (void)
{
  g_autoptr (World) world = world_new ();
  unsigned sent, changes;
  const PhNatVerdict verdict = run (world, &sent, &changes);

  g_assert_cmpint (verdict.type, ==, PH_NAT_PORT_RESTRICTED);
  g_assert_cmpint (verdict.hairpin, ==, PH_NAT_NO);
  g_assert_cmpuint (changes, ==, 16);
  /* Test I, the control twice, hairpin both ways, tests II, III and the other port. */
  g_assert_cmpuint (sent, ==, changes + 1 + 2 + 8 + 3);
}

/* An answer with the right id from elsewhere, or at the other socket, is none. */
static void
test_answers_from_strangers (void)
{
  g_autoptr (World) world = world_new ();
  const PhAddr stranger = ph_addr_ipv4 (192, 0, 2, 66, 3478);
  PhTransmit tx;
  PhStunMessage message;
  PhStunId id;

  g_assert_true (take (world, &tx, &message));
  g_assert_cmpuint (tx.socket, ==, MAPPING);
  id = message.id;
  g_assert_false (take (world, &tx, &message));
  answer (world, MAPPING, &id, &stranger, &world->other);
  answer (world, FILTERING, &id, &world->server, &world->other);
  g_assert_false (take (world, &tx, &message));
  answer (world, MAPPING, &id, &world->server, &world->other);
  g_assert_true (take (world, &tx, &message));
  g_assert_cmpuint (tx.socket, ==, FILTERING);
  g_assert_true (ph_addr_equal (&tx.remote, &world->server));
}

/* A server cannot make us speak to a network that it is not on, and one that is the other in half only
 * cannot tell filtering. */
static void
test_unusable_other_address (void)
{
  const PhAddr others[] = {
      ph_addr_ipv4 (192, 168, 1, 1, 53),
      ph_addr_ipv4 (192, 0, 2, 10, 3479),
      ph_addr_ipv4 (192, 0, 2, 11, 3478),
      ph_addr_ipv4 (192, 0, 2, 11, 0),
  };

  for (size_t i = 0; i < G_N_ELEMENTS (others); i++) {
    g_autoptr (World) world = world_new ();
    unsigned sent, changes;
    PhNatVerdict verdict;

    world->other = others[i];
    verdict = run (world, &sent, &changes);
    g_assert_cmpint (verdict.type, ==, PH_NAT_TYPE_UNKNOWN);
    g_assert_cmpuint (changes, ==, 0);
  }
}

static void
test_garbage (void)
{
  g_autoptr (World) world = world_new ();
  const uint8_t bytes[] = {0x01, 0x01, 0x00, 0x00};
  const PhDatagram own = {.socket = MAPPING, .remote = world->server, .bytes = {bytes, 4}};
  const PhDatagram others = {.socket = 1, .remote = world->server, .bytes = {bytes, 4}};
  unsigned sent, changes;

  g_assert_true (ph_nat_discovery_handle_packet (world->discovery, START, &own));
  g_assert_false (ph_nat_discovery_handle_packet (world->discovery, START, &others));
  g_assert_cmpint (run (world, &sent, &changes).type, ==, PH_NAT_PORT_RESTRICTED);
  g_assert_true (ph_nat_discovery_handle_packet (world->discovery, world->now, &own));
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/nat/types", test_types);
  g_test_add_func ("/nat/ports", test_ports);
  g_test_add_func ("/nat/silence-is-asked-twice", test_silence_is_asked_twice);
  g_test_add_func ("/nat/answers-from-strangers", test_answers_from_strangers);
  g_test_add_func ("/nat/unusable-other-address", test_unusable_other_address);
  g_test_add_func ("/nat/garbage", test_garbage);
  return g_test_run ();
}
