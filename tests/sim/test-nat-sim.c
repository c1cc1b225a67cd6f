/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Does the discovery find the NAT that is there? Every kind of box, with loss, and with the servers of
 * the real world, most of which do not follow RFC 5780. What it must say comes from the box's description
 * alone; where that cannot be known it must say "unknown". */

#include "net/nat/ph-nat-discovery.h"
#include "net/nat/ph-nat-inbound.h"
#include "net/nat/ph-nat-lifetime.h"
#include "tests/sim/ph-sim-driver.h"
#include "tests/sim/ph-sim-nat.h"
#include "tests/sim/ph-sim-stun.h"
#include "tests/support/ph-test.h"

typedef struct {
  PhSim *sim;
  PhSimSegment *internet;
  PhSimSegment *home;
  PhSimNat *nat;
  PhSimHost *client;
  PhAddr client_ip;
  PhSimIface *line;
  PhNatDiscovery *discovery;
  PhNatVerdict verdict;
  bool told;
  uint64_t packets;
} World;

static const PhSimCable calm_line = {.delay = 20 * PH_MSEC};

static void
core_handle_packet (void *core, PhTime now, const PhDatagram *in)
{
  World *world = core;

  g_assert_true (ph_nat_discovery_handle_packet (world->discovery, now, in));
}

static void
core_handle_timeout (void *core, PhTime now)
{
  ph_nat_discovery_handle_timeout (((World *)core)->discovery, now);
}

static bool
core_poll_transmit (void *core, PhTime now, PhTransmit *tx)
{
  World *world = core;

  if (!ph_nat_discovery_poll_transmit (world->discovery, now, tx))
    return false;
  g_assert_cmpuint (tx->len, <, 100);
  world->packets++;
  return true;
}

static bool
core_drain (void *core, PhTime now)
{
  World *world = core;

  if (!ph_nat_discovery_poll_event (world->discovery, &world->verdict))
    return false;
  g_assert_false (world->told);
  world->told = true;
  return true;
}

static PhTime
core_next_timeout (const void *core, const char **ret_why)
{
  return ph_nat_discovery_next_timeout (((const World *)core)->discovery, ret_why);
}

static const PhSimCore core_class = {
    core_handle_packet, core_handle_timeout, core_poll_transmit, core_drain, core_next_timeout,
};

static PhAddr
server_addr (unsigned ip)
{
  return ph_addr_ipv4 (198, 51, 100, (uint8_t)ip, (uint16_t)(ip % 2 == 1 ? 3478 : 3479));
}

/* `config` NULL: the client has a public address and nothing in front of it. */
static World *
world_new (const PhSimNatConfig *config, uint64_t run)
{
  World *world = g_new0 (World, 1);
  PhAddr inside = ph_addr_ipv4 (192, 168, 1, 1, 0), outside = ph_addr_ipv4 (203, 0, 113, 1, 0);

  if (config != NULL && config->no_translation) {
    inside = ph_addr_ipv4 (203, 0, 114, 1, 0);
    outside = ph_addr_ipv4 (203, 0, 113, 1, 0);
  }
  world->sim = ph_sim_new (ph_test_seed () + run);
  world->internet = ph_sim_segment_new (world->sim, "internet", 3);
  world->home = world->internet;
  world->client_ip = ph_addr_ipv4 (203, 0, 113, 2, 0);
  if (config != NULL) {
    world->home = ph_sim_segment_new (world->sim, "home", 0);
    world->nat =
        ph_sim_nat_new (world->sim, "nat", config, world->home, &inside, world->internet, &outside);
    world->client_ip = inside;
    world->client_ip.ip[3] = 2;
    if (config->no_translation)
      ph_sim_nat_route (world->nat, &world->client_ip, 24);
  }
  world->client = ph_sim_host_new (world->sim, "client");
  world->line = ph_sim_host_attach (world->client, world->home, &world->client_ip);
  ph_sim_iface_set (world->line, &calm_line);
  return world;
}

static void
world_free (World *world)
{
  ph_nat_discovery_free (world->discovery);
  ph_sim_free (world->sim);
  g_free (world);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (World, world_free)

static void
add_server (World *world, PhSimStunFlags flags)
{
  const PhAddr primary = server_addr (1), alternate = server_addr (2);

  ph_sim_stun_server_new_5780 (world->sim, "server", world->internet, &primary, &alternate, flags);
}

/* Servers 198.51.100.1, .3, .5 ... */
static void
discover (World *world, unsigned n_servers)
{
  PhNatDiscoveryConfig config = {
      .n_servers = n_servers,
      .random = *ph_sim_random_for (world->sim, "discovery"),
  };
  const PhTime start = ph_sim_now (world->sim);

  config.mapping_socket =
      ph_sim_host_open (world->client, &world->client_ip, &config.mapping_local);
  config.filtering_socket =
      ph_sim_host_open (world->client, &world->client_ip, &config.filtering_local);
  for (unsigned i = 0; i < n_servers; i++)
    config.servers[i] = server_addr (1 + 2 * i);
  world->discovery = ph_nat_discovery_new (&config, start);
  ph_sim_driver_settle (ph_sim_driver_new (world->sim, world->client, &core_class, world));
  ph_sim_run (world->sim, start + PH_NAT_TIME_MAX);
  g_assert_true (world->told);
  g_assert_cmpuint (world->packets, <=, PH_NAT_PACKETS_MAX);
}

static PhNatDependence
expected_dependence (PhSimDependence dependence)
{
  switch (dependence) {
  case PH_SIM_EI:
    return PH_NAT_ENDPOINT_INDEPENDENT;
  case PH_SIM_AD:
    return PH_NAT_ADDRESS_DEPENDENT;
  case PH_SIM_APD:
    return PH_NAT_ADDRESS_AND_PORT_DEPENDENT;
  }
  g_assert_not_reached ();
}

static PhNatType
expected_type (const PhSimNatConfig *config)
{
  static const PhNatType cones[] = {PH_NAT_FULL_CONE, PH_NAT_ADDRESS_RESTRICTED,
                                    PH_NAT_PORT_RESTRICTED};

  return config->mapping == PH_SIM_EI ? cones[config->filtering] : PH_NAT_SYMMETRIC;
}

#define assert_type(world, expected)                                                               \
  g_assert_cmpstr (ph_nat_type_name ((world)->verdict.type), ==, ph_nat_type_name (expected))
#define assert_dependence(got, expected)                                                           \
  g_assert_cmpstr (ph_nat_dependence_name (got), ==, ph_nat_dependence_name (expected))

static void
assert_verdict (const World *world, const PhSimNatConfig *config)
{
  g_autofree char *name = ph_sim_nat_config_format (config);
  const PhAddr outside = ph_addr_ipv4 (203, 0, 113, 1, 0);

  g_test_message ("%s", name);
  assert_dependence (world->verdict.mapping, expected_dependence (config->mapping));
  assert_dependence (world->verdict.filtering, expected_dependence (config->filtering));
  assert_type (world, expected_type (config));
  g_assert_cmpint (world->verdict.translated, ==, PH_NAT_YES);
  g_assert_true (ph_addr_equal_ip (&world->verdict.public_addr, &outside));
}

/* --- Kinds -------------------------------------------------------------------------------------- */

static void
test_every_kind (void)
{
  for (int kind = 0; kind < 9 * 4 * 2; kind++) {
    const PhSimNatConfig config = {
        .mapping = (PhSimDependence)(kind % 3),
        .filtering = (PhSimDependence)(kind / 3 % 3),
        .ports = (PhSimPorts)(kind / 9 % 4),
        .hairpin = kind / 36 == 1,
    };
    g_autoptr (World) world = world_new (&config, 0);

    add_server (world, PH_SIM_STUN_RFC5780);
    discover (world, 1);
    assert_verdict (world, &config);
    if (config.mapping == PH_SIM_EI)
      g_assert_cmpint (world->verdict.hairpin, ==, config.hairpin ? PH_NAT_YES : PH_NAT_NO);
    else if (!config.hairpin)
      g_assert_cmpint (world->verdict.hairpin, ==, PH_NAT_UNTESTED);
    g_assert_cmpint (world->verdict.port_preserving, ==,
                     config.ports == PH_SIM_PORT_PRESERVE ? PH_NAT_YES : PH_NAT_NO);
    if (config.ports == PH_SIM_PORT_PRESERVE && config.mapping == PH_SIM_EI)
      g_assert_cmpint (world->verdict.port_parity, ==, PH_NAT_YES);
    if (config.ports == PH_SIM_PORT_SEQUENTIAL && config.mapping != PH_SIM_EI)
      g_assert_cmpint (world->verdict.port_parity, ==, PH_NAT_NO);
  }
}

/* One packet in ten is lost, each way. No verdict may be wrong; one that is unknown may be, seldom. */
static void
test_with_loss (void)
{
  unsigned unknown = 0;

  for (uint64_t run = 0; run < 9 * 40; run++) {
    const PhSimNatConfig config = {
        .mapping = (PhSimDependence)(run % 3),
        .filtering = (PhSimDependence)(run / 3 % 3),
        .ports = PH_SIM_PORT_RANDOM,
    };
    g_autoptr (World) world = world_new (&config, run);

    ph_sim_iface_set (world->line, &(PhSimCable){.delay = 40 * PH_MSEC,
                                                 .jitter = 10 * PH_MSEC,
                                                 .loss_ppm = 100000,
                                                 .duplicate_ppm = 10000});
    add_server (world, PH_SIM_STUN_RFC5780);
    discover (world, 1);
    if (world->verdict.mapping == PH_NAT_DEPENDENCE_UNKNOWN
        || world->verdict.mapping == PH_NAT_ENDPOINT_DEPENDENT
        || world->verdict.filtering == PH_NAT_DEPENDENCE_UNKNOWN)
      unknown++;
    else
      assert_verdict (world, &config);
  }
  g_test_message ("%u of 360 unknown", unknown);
  g_assert_cmpuint (unknown, <=, 7);
}

static void
test_without_translation (void)
{
  for (int kind = 0; kind < 4; kind++) {
    const PhSimNatConfig config = {.filtering = (PhSimDependence)(kind % 3),
                                   .no_translation = true};
    g_autoptr (World) world = world_new (kind == 3 ? NULL : &config, 0);

    add_server (world, PH_SIM_STUN_RFC5780);
    discover (world, 1);
    assert_type (world, kind % 3 == 0 ? PH_NAT_OPEN : PH_NAT_FIREWALLED);
    g_assert_cmpint (world->verdict.translated, ==, PH_NAT_NO);
    g_assert_cmpint (world->verdict.hairpin, ==, PH_NAT_UNTESTED);
    g_assert_true (ph_addr_equal_ip (&world->verdict.public_addr, &world->client_ip));
  }
}

static void
test_udp_blocked (void)
{
  const PhSimNatConfig config = {.udp_blocked = true};
  g_autoptr (World) world = world_new (&config, 0);

  add_server (world, PH_SIM_STUN_RFC5780);
  discover (world, 2);
  assert_type (world, PH_NAT_UDP_BLOCKED);
  g_assert_cmpint (world->verdict.translated, ==, PH_NAT_UNTESTED);
  g_assert_cmpuint (world->packets, ==, 10);
}

static void
test_nested (void)
{
  for (int kind = 0; kind < 81; kind++) {
    const PhSimNatConfig carrier = {(PhSimDependence)(kind % 3), (PhSimDependence)(kind / 3 % 3),
                                    .ports = PH_SIM_PORT_RANDOM};
    const PhSimNatConfig own = {(PhSimDependence)(kind / 9 % 3), (PhSimDependence)(kind / 27),
                                .ports = PH_SIM_PORT_RANDOM};
    const PhSimNatConfig both = {MAX (carrier.mapping, own.mapping),
                                 MAX (carrier.filtering, own.filtering)};
    g_autoptr (World) world = world_new (&carrier, 0);
    PhSimSegment *flat = ph_sim_segment_new (world->sim, "flat", 0);
    const PhAddr inside = ph_addr_ipv4 (10, 0, 0, 1, 0);
    const PhAddr outside = ph_addr_ipv4 (192, 168, 1, 9, 0);

    ph_sim_nat_new (world->sim, "own", &own, flat, &inside, world->home, &outside);
    world->client = ph_sim_host_new (world->sim, "nested");
    world->client_ip = ph_addr_ipv4 (10, 0, 0, 2, 0);
    ph_sim_host_attach (world->client, flat, &world->client_ip);
    add_server (world, PH_SIM_STUN_RFC5780);
    discover (world, 1);
    assert_verdict (world, &both);
  }
}

/* --- Ports -------------------------------------------------------------------------------------- */

static void
test_port_steps (void)
{
  static const int steps[] = {1, 2, -1, 7};

  for (size_t i = 0; i < G_N_ELEMENTS (steps); i++) {
    for (uint64_t run = 0; run < 10; run++) {
      const PhSimNatConfig config = {
          .mapping = PH_SIM_APD,
          .filtering = PH_SIM_APD,
          .ports = PH_SIM_PORT_SEQUENTIAL,
          .port_step = steps[i],
      };
      g_autoptr (World) world = world_new (&config, run);

      add_server (world, PH_SIM_STUN_RFC5780);
      discover (world, 1);
      assert_verdict (world, &config);
      g_assert_cmpint (world->verdict.ports, ==, PH_NAT_PORTS_SEQUENTIAL);
      g_assert_cmpint (world->verdict.port_step, ==, steps[i]);
    }
  }
}

static void
test_random_ports (void)
{
  for (uint64_t run = 0; run < 50; run++) {
    const PhSimNatConfig config = {.mapping = PH_SIM_APD, .ports = PH_SIM_PORT_RANDOM};
    g_autoptr (World) world = world_new (&config, run);

    add_server (world, PH_SIM_STUN_RFC5780);
    discover (world, 1);
    g_assert_cmpint (world->verdict.ports, ==, PH_NAT_PORTS_RANDOM);
    g_assert_cmpint (world->verdict.port_step, ==, 0);
  }
}

/* A mapping that takes any address of a pool is not endpoint-independent, whatever its port. */
static void
test_pool (void)
{
  const PhSimNatConfig config = {.mapping = PH_SIM_APD, .pool = 4, .pool_arbitrary = true};
  g_autoptr (World) world = world_new (&config, 0);

  add_server (world, PH_SIM_STUN_RFC5780);
  discover (world, 1);
  assert_type (world, PH_NAT_SYMMETRIC);
}

/* --- Servers of the real world ------------------------------------------------------------------ */

/* Whatever the box filters: the server's silence or disobedience is not the box's. */
static void
test_disobedient_servers (void)
{
  static const PhSimStunFlags flags[] = {PH_SIM_STUN_IGNORES_CHANGE, PH_SIM_STUN_REFUSES_CHANGE,
                                         PH_SIM_STUN_NO_OTHER, PH_SIM_STUN_OTHER_IS_OWN,
                                         PH_SIM_STUN_OTHER_IS_DEAD};

  for (size_t i = 0; i < G_N_ELEMENTS (flags); i++) {
    for (int filtering = 0; filtering < 3; filtering++) {
      const PhSimNatConfig config = {.filtering = (PhSimDependence)filtering};
      g_autoptr (World) world = world_new (&config, 0);

      add_server (world, flags[i]);
      discover (world, 1);
      g_test_message ("flags %d, filtering %d", flags[i], filtering);
      g_assert_cmpint (world->verdict.filtering, ==, PH_NAT_DEPENDENCE_UNKNOWN);
      assert_type (world, PH_NAT_TYPE_UNKNOWN);
      g_assert_cmpint (world->verdict.mapping, ==,
                       flags[i] == PH_SIM_STUN_IGNORES_CHANGE
                               || flags[i] == PH_SIM_STUN_REFUSES_CHANGE
                           ? PH_NAT_ENDPOINT_INDEPENDENT
                           : PH_NAT_DEPENDENCE_UNKNOWN);
      g_assert_cmpint (world->verdict.translated, ==, PH_NAT_YES);
      g_assert_cmpint (world->verdict.port_preserving, ==, PH_NAT_YES);
      g_assert_cmpint (world->verdict.hairpin, ==,
                       world->verdict.mapping == PH_NAT_ENDPOINT_INDEPENDENT ? PH_NAT_NO
                                                                             : PH_NAT_UNTESTED);
    }
  }
}

static void
test_two_ordinary_servers (void)
{
  for (int mapping = 0; mapping < 3; mapping++) {
    const PhSimNatConfig config = {.mapping = (PhSimDependence)mapping};
    g_autoptr (World) world = world_new (&config, 0);
    const PhAddr first = server_addr (1), second = server_addr (3);

    ph_sim_stun_server_new (world->sim, "first", world->internet, &first, 1);
    ph_sim_stun_server_new (world->sim, "second", world->internet, &second, 1);
    discover (world, 2);
    g_assert_cmpint (world->verdict.mapping, ==,
                     mapping == PH_SIM_EI ? PH_NAT_ENDPOINT_INDEPENDENT
                                          : PH_NAT_ENDPOINT_DEPENDENT);
    g_assert_cmpint (world->verdict.filtering, ==, PH_NAT_DEPENDENCE_UNKNOWN);
    assert_type (world, mapping == PH_SIM_EI ? PH_NAT_TYPE_UNKNOWN : PH_NAT_SYMMETRIC);
  }
}

/* The first server is down, the second is ordinary, the third follows RFC 5780: that one is taken. */
static void
test_best_server (void)
{
  const PhSimNatConfig config = {.filtering = PH_SIM_AD};
  g_autoptr (World) world = world_new (&config, 0);
  const PhAddr ordinary = server_addr (3), primary = server_addr (5), alternate = server_addr (6);

  ph_sim_stun_server_new (world->sim, "ordinary", world->internet, &ordinary, 1);
  ph_sim_stun_server_new_5780 (world->sim, "server", world->internet, &primary, &alternate,
                               PH_SIM_STUN_RFC5780);
  discover (world, 3);
  assert_verdict (world, &config);
}

/* --- How long mappings live ---------------------------------------------------------------------- */

typedef struct {
  World *world;
  PhNatLifetime *lifetime;
  PhNatLifetimeEvent event; /* the last */
  unsigned told;
  uint64_t packets;
} Measuring;

static void
lifetime_handle_packet (void *core, PhTime now, const PhDatagram *in)
{
  ph_nat_lifetime_handle_packet (((Measuring *)core)->lifetime, now, in);
}

static void
lifetime_handle_timeout (void *core, PhTime now)
{
  ph_nat_lifetime_handle_timeout (((Measuring *)core)->lifetime, now);
}

static bool
lifetime_poll_transmit (void *core, PhTime now, PhTransmit *tx)
{
  Measuring *self = core;

  if (!ph_nat_lifetime_poll_transmit (self->lifetime, now, tx))
    return false;
  self->packets++;
  return true;
}

static bool
lifetime_drain (void *core, PhTime now)
{
  Measuring *self = core;

  if (!ph_nat_lifetime_poll_event (self->lifetime, &self->event))
    return false;
  self->told++;
  return true;
}

static PhTime
lifetime_next_timeout (const void *core, const char **ret_why)
{
  return ph_nat_lifetime_next_timeout (((const Measuring *)core)->lifetime, ret_why);
}

/* Ends the world. What it took is in `ret_took`. */
static PhNatLifetimeEvent
measure_lifetime (World *world, PhTime *ret_took)
{
  static const PhSimCore klass = {
      lifetime_handle_packet, lifetime_handle_timeout, lifetime_poll_transmit,
      lifetime_drain,         lifetime_next_timeout,
  };
  const PhTime begun = ph_sim_now (world->sim);
  PhNatLifetimeConfig config = {
      .server = server_addr (1),
      .random = *ph_sim_random_for (world->sim, "lifetime"),
  };
  Measuring self = {.world = world};

  for (size_t i = 0; i < PH_NAT_LIFETIME_SOCKETS; i++)
    config.sockets[i] = ph_sim_host_open (world->client, &world->client_ip, NULL);
  self.lifetime = ph_nat_lifetime_new (&config, begun);
  ph_sim_driver_settle (ph_sim_driver_new (world->sim, world->client, &klass, &self));
  while (self.told == 0 || self.event.type == PH_NAT_LIFETIME_PROGRESS) {
    ph_sim_run (world->sim, ph_sim_now (world->sim) + PH_SEC);
    g_assert_cmpuint (ph_sim_now (world->sim), <, begun + 630 * PH_SEC);
  }
  *ret_took = ph_sim_now (world->sim) - begun;
  g_assert_cmpuint (self.packets, <=, PH_NAT_LIFETIME_SOCKETS * 12 + 8);
  world_free (world);
  ph_nat_lifetime_free (self.lifetime);
  return self.event;
}

static void
test_lifetime (void)
{
  static const unsigned lifetimes_s[] = {3, 7, 30, 47, 120, 200, 600};

  for (size_t i = 0; i < G_N_ELEMENTS (lifetimes_s); i++) {
    for (int kind = 0; kind < 9; kind++) {
      const PhTime lifetime = lifetimes_s[i] * PH_SEC;
      const PhSimNatConfig config = {
          .mapping = (PhSimDependence)(kind / 3),
          .filtering = (PhSimDependence)(kind % 3),
          .ports = kind / 3 == 0 ? PH_SIM_PORT_PRESERVE : PH_SIM_PORT_RANDOM,
          .refresh_inbound = kind % 2 == 1,
          .timeout_interval = lifetime,
      };
      World *world = world_new (&config, i);
      PhNatLifetimeEvent event;
      PhTime took;

      add_server (world, PH_SIM_STUN_RFC5780);
      event = measure_lifetime (world, &took);
      g_test_message ("%u s, kind %d: %u to %u s, took %u s", lifetimes_s[i], kind,
                      (unsigned)(event.survived / PH_SEC), (unsigned)(event.expired / PH_SEC),
                      (unsigned)(took / PH_SEC));
      g_assert_cmpint (event.type, ==, PH_NAT_LIFETIME_DONE);
      if (lifetime > PH_NAT_LIFETIME_MAX) {
        g_assert_cmpuint (event.survived, ==, PH_NAT_LIFETIME_MAX);
        g_assert_cmpuint (event.expired, ==, PH_NEVER);
        g_assert_cmpuint (took, <=, PH_NAT_LIFETIME_MAX + 10 * PH_SEC);
        continue;
      }
      g_assert_cmpuint (event.survived, <=, lifetime);
      g_assert_cmpuint (event.expired, >=, lifetime);
      g_assert_cmpuint (event.expired - event.survived, <=, 12 * PH_SEC);
      g_assert_cmpuint (event.expired - event.survived, <=, MAX (PH_SEC, lifetime / 5));
    }
  }
}

/* A lost packet here and there is not taken for an end. */
static void
test_lifetime_with_loss (void)
{
  for (unsigned run = 0; run < 20; run++) {
    const PhSimNatConfig config = {.filtering = PH_SIM_APD, .timeout_interval = 62 * PH_SEC};
    const PhSimCable lossy = {.delay = 20 * PH_MSEC, .loss_ppm = 100000};
    World *world = world_new (&config, run);
    PhNatLifetimeEvent event;
    PhTime took;

    add_server (world, PH_SIM_STUN_RFC5780);
    ph_sim_iface_set (world->line, &lossy);
    event = measure_lifetime (world, &took);
    /* One step that was lost altogether makes the answer coarser. */
    g_assert_cmpint (event.type, ==, PH_NAT_LIFETIME_DONE);
    g_assert_cmpuint (event.survived, <=, 62 * PH_SEC);
    g_assert_cmpuint (event.survived, >=, 45 * PH_SEC);
    g_assert_cmpuint (event.expired, >=, 60 * PH_SEC);
    g_assert_cmpuint (event.expired, <=, 90 * PH_SEC);
  }
}

/* Servers that do not follow RESPONSE-PORT, or are silent: no verdict, and no long wait for it. */
static void
test_lifetime_not_known (void)
{
  const PhSimNatConfig config = {.timeout_interval = 30 * PH_SEC};
  const PhAddr ordinary = server_addr (1);
  PhNatLifetimeEvent event;
  World *world;
  PhTime took;

  for (int server = 0; server < 3; server++) {
    world = world_new (&config, 0);
    if (server == 0)
      add_server (world, PH_SIM_STUN_IGNORES_CHANGE);
    else if (server == 1)
      ph_sim_stun_server_new (world->sim, "ordinary", world->internet, &ordinary, 1);
    event = measure_lifetime (world, &took);
    g_assert_cmpint (event.type, ==, PH_NAT_LIFETIME_UNKNOWN);
    g_assert_cmpuint (took, <=, 5 * PH_SEC);
  }
}

static void
cut_line (void *user, PhTime now)
{
  ph_sim_iface_cut (user, true);
}

/* The network ends in the middle: that is not the mapping's end. */
static void
test_lifetime_of_a_dead_line (void)
{
  const PhSimNatConfig config = {.timeout_interval = 200 * PH_SEC};
  World *world = world_new (&config, 0);
  PhNatLifetimeEvent event;
  PhTime took;

  add_server (world, PH_SIM_STUN_RFC5780);
  ph_sim_at (world->sim, ph_sim_now (world->sim) + 25 * PH_SEC, cut_line, world->line);
  event = measure_lifetime (world, &took);
  g_assert_cmpint (event.type, ==, PH_NAT_LIFETIME_UNKNOWN);
  g_assert_cmpuint (took, <=, 45 * PH_SEC);
}

/* --- Ports that are said to be open -------------------------------------------------------------- */

typedef struct {
  PhNatInbound *inbound;
  PhNatAnswer answer;
  bool told;
} Knocking;

static void
inbound_handle_packet (void *core, PhTime now, const PhDatagram *in)
{
  ph_nat_inbound_handle_packet (((Knocking *)core)->inbound, now, in);
}

static void
inbound_handle_timeout (void *core, PhTime now)
{
  ph_nat_inbound_handle_timeout (((Knocking *)core)->inbound, now);
}

static bool
inbound_poll_transmit (void *core, PhTime now, PhTransmit *tx)
{
  return ph_nat_inbound_poll_transmit (((Knocking *)core)->inbound, now, tx);
}

static bool
inbound_drain (void *core, PhTime now)
{
  Knocking *self = core;

  if (!ph_nat_inbound_poll_event (self->inbound, &self->answer))
    return false;
  g_assert_false (self->told);
  self->told = true;
  return true;
}

static PhTime
inbound_next_timeout (const void *core, const char **ret_why)
{
  return ph_nat_inbound_next_timeout (((const Knocking *)core)->inbound, ret_why);
}

/* Ends the world. A full cone stands for a router that forwards the port, a stricter one for one that says so
 * and does not: the port is the one that the target's own mapping has. */
static PhNatAnswer
knock (World *world, const PhAddr *external)
{
  static const PhSimCore klass = {
      inbound_handle_packet, inbound_handle_timeout, inbound_poll_transmit,
      inbound_drain,         inbound_next_timeout,
  };
  PhNatInboundConfig config = {
      .server = server_addr (1),
      .external = *external,
      .random = *ph_sim_random_for (world->sim, "inbound"),
  };
  PhAddr local = world->client_ip;
  Knocking self = {0};

  local.port = 40000;
  config.target = ph_sim_host_open (world->client, &local, NULL);
  config.asker = ph_sim_host_open (world->client, &world->client_ip, NULL);
  config.helper = ph_sim_host_open (world->client, &world->client_ip, NULL);
  ph_sim_host_send_bytes (world->client, config.target, &config.server, ph_slice_string ("open"));
  self.inbound = ph_nat_inbound_new (&config, ph_sim_now (world->sim));
  ph_sim_driver_settle (ph_sim_driver_new (world->sim, world->client, &klass, &self));
  ph_sim_run (world->sim, ph_sim_now (world->sim) + 12 * PH_SEC);
  g_assert_true (self.told);
  world_free (world);
  ph_nat_inbound_free (self.inbound);
  return self.answer;
}

static PhNatAnswer
knock_behind (PhSimDependence filtering, PhSimStunFlags flags, uint8_t last_byte)
{
  const PhSimNatConfig config = {.filtering = filtering};
  const PhAddr external = ph_addr_ipv4 (203, 0, 113, last_byte, 40000);
  World *world = world_new (&config, 0);

  add_server (world, flags);
  return knock (world, &external);
}

static void
test_mapped_port (void)
{
  g_assert_cmpint (knock_behind (PH_SIM_EI, 0, 1), ==, PH_NAT_YES);
  g_assert_cmpint (knock_behind (PH_SIM_AD, 0, 1), ==, PH_NAT_NO);
  g_assert_cmpint (knock_behind (PH_SIM_APD, 0, 1), ==, PH_NAT_NO);
}

/* Silence that may have another reason tells nothing. */
static void
test_mapped_port_not_known (void)
{
  static const PhSimStunFlags flags[] = {PH_SIM_STUN_IGNORES_CHANGE, PH_SIM_STUN_REFUSES_CHANGE,
                                         PH_SIM_STUN_NO_OTHER, PH_SIM_STUN_OTHER_IS_OWN};
  const PhSimNatConfig config = {.filtering = PH_SIM_APD};
  const PhAddr external = ph_addr_ipv4 (203, 0, 113, 1, 40000);

  for (size_t i = 0; i < G_N_ELEMENTS (flags); i++)
    g_assert_cmpint (knock_behind (PH_SIM_APD, flags[i], 1), ==, PH_NAT_UNTESTED);
  /* Another router stands between; no server at all. */
  g_assert_cmpint (knock_behind (PH_SIM_EI, 0, 77), ==, PH_NAT_UNTESTED);
  g_assert_cmpint (knock (world_new (&config, 0), &external), ==, PH_NAT_UNTESTED);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/nat-sim/every-kind", test_every_kind);
  g_test_add_func ("/nat-sim/with-loss", test_with_loss);
  g_test_add_func ("/nat-sim/without-translation", test_without_translation);
  g_test_add_func ("/nat-sim/udp-blocked", test_udp_blocked);
  g_test_add_func ("/nat-sim/nested", test_nested);
  g_test_add_func ("/nat-sim/port-steps", test_port_steps);
  g_test_add_func ("/nat-sim/random-ports", test_random_ports);
  g_test_add_func ("/nat-sim/pool", test_pool);
  g_test_add_func ("/nat-sim/disobedient-servers", test_disobedient_servers);
  g_test_add_func ("/nat-sim/two-ordinary-servers", test_two_ordinary_servers);
  g_test_add_func ("/nat-sim/best-server", test_best_server);
  g_test_add_func ("/nat-sim/lifetime", test_lifetime);
  g_test_add_func ("/nat-sim/lifetime-with-loss", test_lifetime_with_loss);
  g_test_add_func ("/nat-sim/lifetime-not-known", test_lifetime_not_known);
  g_test_add_func ("/nat-sim/lifetime-of-a-dead-line", test_lifetime_of_a_dead_line);
  g_test_add_func ("/nat-sim/mapped-port", test_mapped_port);
  g_test_add_func ("/nat-sim/mapped-port-not-known", test_mapped_port_not_known);
  return g_test_run ();
}
