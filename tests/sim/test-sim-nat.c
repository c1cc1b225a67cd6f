/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Is a NAT box what its description says? Judged from outside, the way RFC 5780 does it: by a server
 * with two addresses and two ports that says whom it saw and answers from where it is told. */

#include "tests/sim/ph-sim-nat.h"
#include "tests/support/ph-test.h"

/* Server sockets: address 0 or 1, port 0 or 1. */
#define SERVERS 4
#define AT(ip, port) ((ip) * 2 + (port))

typedef struct {
  PhSim *sim;
  PhSimSegment *internet;
  PhSimSegment *home;
  PhSimNat *nat;
  PhSimHost *server;
  PhAddr server_addr[SERVERS];
  uint32_t server_socket[SERVERS];
  PhSimHost *client; /* and `other` behind the same box */
  PhSimHost *other;
  PhAddr client_ip;
  PhAddr other_ip;

  /* What the last probe brought. */
  bool answered;
  PhAddr mapped; /* whom the server saw */
  PhAddr answered_from;
  unsigned reached; /* packets that arrived inside on their own */
  PhAddr reached_from;
} World;

/* A probe is one byte: the server socket to answer from. An answer: '=', address, port. */
static void
server_receive (void *user, PhTime now, const PhDatagram *in)
{
  World *world = user;
  uint8_t answer[7];
  PhWriter w = ph_writer (answer, sizeof answer);

  if (in->bytes.len != 1)
    return;
  ph_write_u8 (&w, '=');
  ph_write_bytes (&w, in->remote.ip, 4);
  ph_write_u16 (&w, in->remote.port);
  ph_sim_host_send_bytes (world->server, world->server_socket[in->bytes.data[0] - '0'], &in->remote,
                          ph_slice (answer, sizeof answer));
}

static void
client_receive (void *user, PhTime now, const PhDatagram *in)
{
  World *world = user;
  PhReader r = ph_reader (in->bytes);

  if (ph_read_u8 (&r) != '=') {
    world->reached++;
    world->reached_from = in->remote;
    return;
  }

  const PhSlice ip = ph_read_slice (&r, 4);

  world->answered = true;
  world->mapped = ph_addr_from_bytes (ip, ph_read_u16 (&r));
  world->answered_from = in->remote;
}

static PhAddr
ip6 (const char *text)
{
  PhAddr addr;

  g_assert_true (ph_addr_parse (text, 0, &addr));
  return addr;
}

/* `ret_ip` is what its sockets are bound to. */
static PhSimHost *
attach_inside (World *world, const char *name, const PhSimNatConfig *config, uint8_t last,
               PhAddr *ret_ip)
{
  PhSimHost *host = ph_sim_host_new (world->sim, name);
  PhNat64Way way = {.prefix = config->nat64, .own = ph_nat64_own (last - 2u)};

  ph_sim_host_set_receive (host, client_receive, world);
  if (config->nat64.len > 0) {
    way.base = ip6 ("2001:db8:1::");
    way.base.ip[15] = last;
    ph_sim_host_set_nat64 (host, ph_sim_host_attach (host, world->home, &way.base), &way);
    *ret_ip = way.own;
  } else {
    *ret_ip = ph_addr_ipv4 (192, 168, 1, last, 0);
    ph_sim_host_attach (host, world->home, ret_ip);
  }
  return host;
}

static World *
world_new (const PhSimNatConfig *config)
{
  World *world = g_new0 (World, 1);
  const PhAddr inside = ph_addr_ipv4 (192, 168, 1, 1, 0);
  const PhAddr outside = ph_addr_ipv4 (203, 0, 113, 1, 0);

  world->sim = ph_sim_new (ph_test_seed ());
  world->internet = ph_sim_segment_new (world->sim, "internet", 3);
  world->home = ph_sim_segment_new (world->sim, "home", 0);
  world->nat =
      ph_sim_nat_new (world->sim, "nat", config, world->home, &inside, world->internet, &outside);
  world->server = ph_sim_host_new (world->sim, "server");
  for (uint8_t i = 0; i < SERVERS; i++) {
    world->server_addr[i] =
        ph_addr_ipv4 (198, 51, 100, (uint8_t)(1 + i / 2), (uint16_t)(3478 + i % 2));
    if (i % 2 == 0)
      ph_sim_host_attach (world->server, world->internet, &world->server_addr[i]);
    world->server_socket[i] = ph_sim_host_open (world->server, &world->server_addr[i], NULL);
  }
  ph_sim_host_set_receive (world->server, server_receive, world);
  world->client = attach_inside (world, "client", config, 2, &world->client_ip);
  world->other = attach_inside (world, "other", config, 3, &world->other_ip);
  return world;
}

static void
world_free (World *world)
{
  ph_sim_free (world->sim);
  g_free (world);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (World, world_free)

/* Everything under way arrives; virtual time hardly passes. */
static void
world_settle (World *world)
{
  ph_sim_run (world->sim, ph_sim_now (world->sim) + PH_MSEC);
}

/* Asks server socket `to`, to be answered from `from`. */
static bool
probe (World *world, PhSimHost *host, uint32_t socket, int to, int from)
{
  const uint8_t byte = (uint8_t)('0' + from);

  world->answered = false;
  ph_sim_host_send_bytes (host, socket, &world->server_addr[to], ph_slice (&byte, 1));
  world_settle (world);
  return world->answered;
}

static uint32_t
open_client (World *world)
{
  return ph_sim_host_open (world->client, &world->client_ip, NULL);
}

/* RFC 5780 §4.3. */
static PhSimDependence
classify_mapping (World *world)
{
  const uint32_t socket = open_client (world);
  PhAddr first, second;

  g_assert_true (probe (world, world->client, socket, AT (0, 0), AT (0, 0)));
  first = world->mapped;
  g_assert_true (probe (world, world->client, socket, AT (1, 0), AT (1, 0)));
  second = world->mapped;
  if (ph_addr_equal (&first, &second))
    return PH_SIM_EI;
  g_assert_true (probe (world, world->client, socket, AT (1, 1), AT (1, 1)));
  return ph_addr_equal (&second, &world->mapped) ? PH_SIM_AD : PH_SIM_APD;
}

/* RFC 5780 §4.4, with a fresh socket. */
static PhSimDependence
classify_filtering (World *world)
{
  const uint32_t socket = open_client (world);

  g_assert_true (probe (world, world->client, socket, AT (0, 0), AT (0, 0)));
  if (probe (world, world->client, socket, AT (0, 0), AT (1, 1)))
    return PH_SIM_EI;
  return probe (world, world->client, socket, AT (0, 0), AT (0, 1)) ? PH_SIM_AD : PH_SIM_APD;
}

static void
test_nine_kinds (void)
{
  const PhNat64Prefix well_known = {.net = ip6 ("64:ff9b::"), .len = 96};
  const PhNat64Prefix none = {.len = 0};

  for (int kind = 0; kind < 2 * 9 * 4; kind++) {
    const PhSimNatConfig config = {
        .nat64 = kind >= 9 * 4 ? well_known : none,
        .mapping = (PhSimDependence)(kind % 3),
        .filtering = (PhSimDependence)(kind / 3 % 3),
        .ports = (PhSimPorts)(kind / 9 % 4),
    };
    g_autoptr (World) world = world_new (&config);
    g_autofree char *name = ph_sim_nat_config_format (&config);

    g_test_message ("%s", name);
    g_assert_cmpint (classify_mapping (world), ==, config.mapping);
    g_assert_cmpint (classify_filtering (world), ==, config.filtering);
  }
}

/* --- Ports -------------------------------------------------------------------------------------- */

/* The ports that five servers' worth of mappings of one socket get. */
static void
sample_ports (World *world, uint16_t ret_ports[SERVERS])
{
  const uint32_t socket = open_client (world);

  for (int i = 0; i < SERVERS; i++) {
    g_assert_true (probe (world, world->client, socket, i, i));
    ret_ports[i] = world->mapped.port;
  }
}

/* Two hosts behind one translator: packets turn round there, and each sees the other's IPv4 address. */
static void
test_nat64_hairpin (void)
{
  const PhSimNatConfig config = {
      .nat64 = {.net = ip6 ("2001:db8:64::"), .len = 64},
      .filtering = PH_SIM_APD,
      .hairpin = true,
  };
  g_autoptr (World) world = world_new (&config);
  const uint32_t a = open_client (world);
  const uint32_t b = ph_sim_host_open (world->other, &world->other_ip, NULL);
  PhAddr first, second;

  g_assert_true (probe (world, world->client, a, 0, 0));
  first = world->mapped;
  g_assert_true (probe (world, world->other, b, 0, 0));
  second = world->mapped;
  ph_sim_host_send_bytes (world->other, b, &first, ph_slice_string ("opens"));
  world_settle (world);
  g_assert_cmpuint (world->reached, ==, 0);
  ph_sim_host_send_bytes (world->client, a, &second, ph_slice_string ("comes in"));
  world_settle (world);
  g_assert_cmpuint (world->reached, ==, 1);
  g_assert_true (ph_addr_equal (&world->reached_from, &first));
}

static void
test_preserved_ports (void)
{
  const PhSimNatConfig config = {.ports = PH_SIM_PORT_PRESERVE};
  g_autoptr (World) world = world_new (&config);
  PhAddr mine = world->client_ip, theirs = world->other_ip;

  mine.port = theirs.port = 4000;

  const uint32_t a = ph_sim_host_open (world->client, &mine, NULL);
  const uint32_t b = ph_sim_host_open (world->other, &theirs, NULL);

  g_assert_true (probe (world, world->client, a, AT (0, 0), AT (0, 0)));
  g_assert_cmpuint (world->mapped.port, ==, 4000);
  /* Taken: another one, and the first keeps its own. */
  g_assert_true (probe (world, world->other, b, AT (0, 0), AT (0, 0)));
  g_assert_cmpuint (world->mapped.port, !=, 4000);
  g_assert_true (probe (world, world->client, a, AT (0, 1), AT (0, 1)));
  g_assert_cmpuint (world->mapped.port, ==, 4000);
}

static void
test_sequential_ports (void)
{
  for (int step = -2; step <= 3; step++) {
    const PhSimNatConfig config = {
        .mapping = PH_SIM_APD, .ports = PH_SIM_PORT_SEQUENTIAL, .port_step = step};
    g_autoptr (World) world = world_new (&config);
    uint16_t ports[SERVERS];

    sample_ports (world, ports);
    for (int i = 1; i < SERVERS; i++)
      g_assert_cmpint (ports[i] - ports[i - 1], ==, step != 0 ? step : 1);
  }
}

static void
test_other_traffic_uses_up_ports (void)
{
  const PhSimNatConfig config = {
      .mapping = PH_SIM_APD, .ports = PH_SIM_PORT_SEQUENTIAL, .other_rate = 50};
  g_autoptr (World) world = world_new (&config);
  const uint32_t socket = open_client (world);
  uint16_t before;

  g_assert_true (probe (world, world->client, socket, 0, 0));
  before = world->mapped.port;
  ph_sim_run (world->sim, ph_sim_now (world->sim) + PH_SEC);
  g_assert_true (probe (world, world->client, socket, 1, 1));
  g_assert_cmpint (world->mapped.port - before, >=, 51);
  g_assert_cmpint (world->mapped.port - before, <=, 52);
}

static void
test_chunks (void)
{
  const PhSimNatConfig config = {
      .mapping = PH_SIM_APD, .ports = PH_SIM_PORT_CHUNK, .chunk_size = 4};
  g_autoptr (World) world = world_new (&config);
  const uint32_t other = ph_sim_host_open (world->other, &world->other_ip, NULL);
  uint16_t ports[SERVERS];

  sample_ports (world, ports);
  for (int i = 1; i < SERVERS; i++)
    g_assert_cmpint (ports[i] - ports[0], ==, i);
  g_assert_true (probe (world, world->other, other, 0, 0));
  g_assert_cmpint (world->mapped.port - ports[0], ==, 4);
  /* The client's own block is used up. */
  g_assert_false (probe (world, world->client, open_client (world), 0, 0));
  g_assert_cmpuint (ph_sim_count (world->sim, PH_SIM_DROP_POLICY), ==, 1);
}

static void
test_pools (void)
{
  const PhSimNatConfig paired = {.mapping = PH_SIM_APD, .pool = 4};
  const PhSimNatConfig arbitrary = {.mapping = PH_SIM_APD, .pool = 4, .pool_arbitrary = true};

  for (int round = 0; round < 2; round++) {
    g_autoptr (World) world = world_new (round == 0 ? &paired : &arbitrary);
    PhAddr first = {0};
    bool same = true;

    for (int i = 0; i < 4 * SERVERS; i++) {
      g_assert_true (probe (world, world->client, open_client (world), 0, 0));
      if (i == 0)
        first = world->mapped;
      same = same && ph_addr_equal_ip (&first, &world->mapped);
    }
    g_assert_cmpint (same, ==, round == 0);
  }
}

static void
test_table_size (void)
{
  const PhSimNatConfig config = {.table_max = 2, .timeout_interval = 30 * PH_SEC};
  g_autoptr (World) world = world_new (&config);
  const uint32_t first = open_client (world), second = open_client (world);
  const uint32_t third = open_client (world);

  g_assert_true (probe (world, world->client, first, 0, 0));
  g_assert_true (probe (world, world->client, second, 0, 0));
  g_assert_false (probe (world, world->client, third, 0, 0));
  g_assert_true (probe (world, world->client, first, 1, 1));
  g_assert_cmpuint (ph_sim_nat_mappings (world->nat), ==, 2);
  ph_sim_run (world->sim, ph_sim_now (world->sim) + 31 * PH_SEC);
  g_assert_cmpuint (ph_sim_nat_mappings (world->nat), ==, 0);
  g_assert_true (probe (world, world->client, third, 0, 0));
}

/* --- Time --------------------------------------------------------------------------------------- */

/* Opens a mapping, lets packets come in every 20 s if `inbound`, go out every 20 s if `outbound`, and says
 * whether the server still gets through after two minutes. */
static bool
survives (const PhSimNatConfig *config, bool inbound, bool outbound)
{
  g_autoptr (World) world = world_new (config);
  const uint32_t socket = open_client (world);
  PhAddr mapped;

  g_assert_true (probe (world, world->client, socket, 0, 0));
  mapped = world->mapped;
  for (int i = 0; i < 6; i++) {
    ph_sim_run (world->sim, ph_sim_now (world->sim) + 20 * PH_SEC);
    if (outbound)
      ph_sim_host_send_bytes (world->client, socket, &world->server_addr[0],
                              ph_slice_string ("keep"));
    if (inbound)
      ph_sim_host_send_bytes (world->server, world->server_socket[0], &mapped,
                              ph_slice_string ("keep"));
    world_settle (world);
  }
  world->reached = 0;
  ph_sim_host_send_bytes (world->server, world->server_socket[0], &mapped,
                          ph_slice_string ("still there?"));
  world_settle (world);
  return world->reached == 1;
}

static void
test_timeouts (void)
{
  PhSimNatConfig config = {.timeout_interval = 30 * PH_SEC};

  g_assert_false (survives (&config, false, false));
  g_assert_false (survives (&config, true, false));
  g_assert_true (survives (&config, false, true));
  config.refresh_inbound = true;
  g_assert_false (survives (&config, false, false));
  g_assert_true (survives (&config, true, false));
  config.timeout_interval = PH_NEVER;
  g_assert_true (survives (&config, false, false));
}

/* A permission runs out although the mapping lives. */
static void
test_permission_times_out_alone (void)
{
  const PhSimNatConfig config = {.filtering = PH_SIM_AD, .timeout_interval = 30 * PH_SEC};
  g_autoptr (World) world = world_new (&config);
  const uint32_t socket = open_client (world);

  g_assert_true (probe (world, world->client, socket, AT (0, 0), AT (0, 0)));
  for (int i = 0; i < 3; i++) {
    ph_sim_run (world->sim, ph_sim_now (world->sim) + 20 * PH_SEC);
    g_assert_true (probe (world, world->client, socket, AT (1, 0), AT (1, 0)));
  }
  g_assert_false (probe (world, world->client, socket, AT (1, 0), AT (0, 0)));
}

static void
test_forgets (void)
{
  const PhSimNatConfig config = {.filtering = PH_SIM_APD};
  g_autoptr (World) world = world_new (&config);
  const PhAddr moved = ph_addr_ipv4 (203, 0, 113, 99, 0);
  const uint32_t socket = open_client (world);
  PhAddr before;

  g_assert_true (probe (world, world->client, socket, 0, 0));
  before = world->mapped;
  ph_sim_nat_forget (world->nat);
  g_assert_true (probe (world, world->client, socket, 0, 0));
  g_assert_true (ph_addr_equal_ip (&before, &world->mapped));
  g_assert_cmpuint (before.port, !=, world->mapped.port);

  ph_sim_nat_change_address (world->nat, &moved);
  g_assert_true (probe (world, world->client, socket, 0, 0));
  g_assert_true (ph_addr_equal_ip (&moved, &world->mapped));
}

/* --- Hairpin, poison, nesting, firewalls -------------------------------------------------------- */

static void
test_hairpin (void)
{
  for (int round = 0; round < 4; round++) {
    const PhSimNatConfig config = {
        .hairpin = round % 2 == 1,
        .filtering = round / 2 == 1 ? PH_SIM_APD : PH_SIM_EI,
    };
    g_autoptr (World) world = world_new (&config);
    const uint32_t a = open_client (world);
    const uint32_t b = ph_sim_host_open (world->other, &world->other_ip, NULL);
    PhAddr mapped_a, mapped_b;

    g_assert_true (probe (world, world->client, a, 0, 0));
    mapped_a = world->mapped;
    g_assert_true (probe (world, world->other, b, 0, 0));
    mapped_b = world->mapped;
    ph_sim_host_send_bytes (world->other, b, &mapped_a, ph_slice_string ("hello"));
    world_settle (world);
    if (config.filtering == PH_SIM_APD) {
      /* The box filters its own people too: both sides have to speak. */
      g_assert_cmpuint (world->reached, ==, 0);
      ph_sim_host_send_bytes (world->client, a, &mapped_b, ph_slice_string ("hello"));
      world_settle (world);
    }
    g_assert_cmpuint (world->reached, ==, config.hairpin);
    if (config.hairpin)
      g_assert_true (ph_addr_equal (&world->reached_from,
                                    config.filtering == PH_SIM_APD ? &mapped_a : &mapped_b));
  }
}

/* The trap of connectivity.md: a stranger speaks too early to a Linux router that does not drop. */
static void
test_poison (void)
{
  for (int poisonable = 0; poisonable < 2; poisonable++) {
    const PhSimNatConfig config = {.filtering = PH_SIM_APD, .poisonable = poisonable == 1};
    g_autoptr (World) world = world_new (&config);
    const uint32_t socket = open_client (world);
    PhAddr mapped;

    g_assert_true (probe (world, world->client, socket, AT (0, 0), AT (0, 0)));
    mapped = world->mapped;
    ph_sim_host_send_bytes (world->server, world->server_socket[AT (1, 0)], &mapped,
                            ph_slice_string ("early"));
    world_settle (world);
    g_assert_cmpuint (world->reached, ==, 0);
    g_assert_true (probe (world, world->client, socket, AT (1, 0), AT (1, 0)));
    g_assert_cmpint (ph_addr_equal (&mapped, &world->mapped), ==, !config.poisonable);
    /* Nobody else is affected. */
    g_assert_true (probe (world, world->client, socket, AT (1, 1), AT (1, 1)));
    g_assert_true (ph_addr_equal (&mapped, &world->mapped));
  }
}

/* The cure: a packet that dies on the way opens our side first. */
static void
test_low_ttl_prevents_poison (void)
{
  const PhSimNatConfig config = {.filtering = PH_SIM_APD, .poisonable = true};
  g_autoptr (World) world = world_new (&config);
  const uint32_t socket = open_client (world);
  PhAddr mapped;

  g_assert_true (probe (world, world->client, socket, AT (0, 0), AT (0, 0)));
  mapped = world->mapped;
  ph_sim_host_set_ttl (world->client, socket, 2);
  g_assert_false (probe (world, world->client, socket, AT (1, 0), AT (1, 0)));
  g_assert_cmpuint (ph_sim_count (world->sim, PH_SIM_DROP_TTL), ==, 1);
  ph_sim_host_send_bytes (world->server, world->server_socket[AT (1, 0)], &mapped,
                          ph_slice_string ("early"));
  world_settle (world);
  g_assert_cmpuint (world->reached, ==, 1);
  ph_sim_host_set_ttl (world->client, socket, 64);
  g_assert_true (probe (world, world->client, socket, AT (1, 0), AT (1, 0)));
  g_assert_true (ph_addr_equal (&mapped, &world->mapped));
}

/* Boxes behind boxes behave as their worst member. */
static void
test_nesting (void)
{
  for (int kind = 0; kind < 81; kind++) {
    const PhSimNatConfig carrier = {(PhSimDependence)(kind % 3), (PhSimDependence)(kind / 3 % 3)};
    const PhSimNatConfig own = {(PhSimDependence)(kind / 9 % 3), (PhSimDependence)(kind / 27)};
    g_autoptr (World) world = world_new (&carrier);
    PhSimSegment *flat = ph_sim_segment_new (world->sim, "flat", 0);
    const PhAddr inside = ph_addr_ipv4 (10, 0, 0, 1, 0);
    const PhAddr outside = ph_addr_ipv4 (192, 168, 1, 9, 0);

    ph_sim_nat_new (world->sim, "own", &own, flat, &inside, world->home, &outside);
    world->client = ph_sim_host_new (world->sim, "nested");
    world->client_ip = ph_addr_ipv4 (10, 0, 0, 2, 0);
    ph_sim_host_attach (world->client, flat, &world->client_ip);
    ph_sim_host_set_receive (world->client, client_receive, world);
    g_assert_cmpint (classify_mapping (world), ==, MAX (own.mapping, carrier.mapping));
    g_assert_cmpint (classify_filtering (world), ==, MAX (own.filtering, carrier.filtering));
  }
}

static void
test_udp_blocked (void)
{
  const PhSimNatConfig config = {.udp_blocked = true};
  g_autoptr (World) world = world_new (&config);

  g_assert_false (probe (world, world->client, open_client (world), 0, 0));
  g_assert_cmpuint (ph_sim_count (world->sim, PH_SIM_DROP_POLICY), ==, 1);
}

static void
test_firewalls (void)
{
  for (int family = 4; family <= 6; family += 2) {
    const PhSimNatConfig config = {.filtering = PH_SIM_APD, .no_translation = family == 4};
    g_autoptr (World) world = world_new (&config);
    PhAddr at_client = ph_addr_ipv4 (192, 168, 1, 7, 0), prefix = at_client;
    PhAddr at_server = ph_addr_ipv4 (198, 51, 100, 9, 80);
    PhSimHost *client = ph_sim_host_new (world->sim, "client");
    PhSimHost *server = ph_sim_host_new (world->sim, "server");

    if (family == 6) {
      g_assert_true (ph_addr_parse ("2001:db8:1::2", 0, &at_client));
      g_assert_true (ph_addr_parse ("2001:db8:1::", 0, &prefix));
      g_assert_true (ph_addr_parse ("2001:db8:2::2", 80, &at_server));
    }
    ph_sim_nat_route (world->nat, &prefix, family == 6 ? 48 : 24);
    ph_sim_host_attach (client, world->home, &at_client);
    ph_sim_host_attach (server, world->internet, &at_server);

    const uint32_t a = ph_sim_host_open (client, &at_client, &at_client);
    const uint32_t b = ph_sim_host_open (server, &at_server, NULL);

    ph_sim_host_set_receive (client, client_receive, world);
    g_assert_true (ph_sim_host_send_bytes (server, b, &at_client, ph_slice_string ("x")));
    world_settle (world);
    g_assert_cmpuint (world->reached, ==, 0);
    g_assert_cmpuint (ph_sim_count (world->sim, PH_SIM_DROP_FILTER), ==, 1);
    g_assert_true (ph_sim_host_send_bytes (client, a, &at_server, ph_slice_string ("x")));
    g_assert_true (ph_sim_host_send_bytes (server, b, &at_client, ph_slice_string ("x")));
    world_settle (world);
    g_assert_cmpuint (world->reached, ==, 1);
    g_assert_true (ph_addr_equal (&world->reached_from, &at_server));
  }
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/sim-nat/nine-kinds", test_nine_kinds);
  g_test_add_func ("/sim-nat/nat64-hairpin", test_nat64_hairpin);
  g_test_add_func ("/sim-nat/preserved-ports", test_preserved_ports);
  g_test_add_func ("/sim-nat/sequential-ports", test_sequential_ports);
  g_test_add_func ("/sim-nat/other-traffic-uses-up-ports", test_other_traffic_uses_up_ports);
  g_test_add_func ("/sim-nat/chunks", test_chunks);
  g_test_add_func ("/sim-nat/pools", test_pools);
  g_test_add_func ("/sim-nat/table-size", test_table_size);
  g_test_add_func ("/sim-nat/timeouts", test_timeouts);
  g_test_add_func ("/sim-nat/permission-times-out-alone", test_permission_times_out_alone);
  g_test_add_func ("/sim-nat/forgets", test_forgets);
  g_test_add_func ("/sim-nat/hairpin", test_hairpin);
  g_test_add_func ("/sim-nat/poison", test_poison);
  g_test_add_func ("/sim-nat/low-ttl-prevents-poison", test_low_ttl_prevents_poison);
  g_test_add_func ("/sim-nat/nesting", test_nesting);
  g_test_add_func ("/sim-nat/udp-blocked", test_udp_blocked);
  g_test_add_func ("/sim-nat/firewalls", test_firewalls);
  return g_test_run ();
}
