/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A device on a network that has only IPv6, with a translator (NAT64): it reaches STUN and TURN servers and peers
 * that are named by IPv4 addresses. To the peer, and to the oracle, its translator is a NAT like any other. */

#include "tests/sim/ph-sim-stack.h"
#include "tests/support/ph-test.h"

#define CALM_LINES                                                                                 \
  {                                                                                                \
    {.delay = 15 * PH_MSEC},                                                                       \
    {                                                                                              \
      .delay = 25 * PH_MSEC                                                                        \
    }                                                                                              \
  }

static PhNat64Prefix
prefix_of (const char *net, uint8_t len)
{
  PhNat64Prefix prefix = {.len = len};

  g_assert_true (ph_addr_parse (net, 0, &prefix.net));
  return prefix;
}

/* Connects, with guessing where that is what it takes, and sends a file from left to right. */
static PhSimStack *
connect_and_send (PhSimWorld *world, const PhSimStackOptions *options, bool direct)
{
  PhSimStack *stack = ph_sim_stack_new (world, options);
  const PhPeerTransfer *sent;

  ph_sim_stack_run (stack, PH_SEC);
  sent = ph_sim_stack_send_one (stack, PH_SIM_LEFT, 200000);
  g_assert_true (ph_sim_stack_run_over (stack, sent, 60 * PH_SEC));
  g_assert_cmpint (sent->past, ==, PH_PAST_RECEIVED);
  ph_memory_disk_check (ph_sim_stack_twin (stack, sent)->disk, sent->files);
  ph_sim_stack_want (stack, PH_SIM_LEFT);
  ph_sim_stack_want (stack, PH_SIM_RIGHT);
  for (int i = 0; i < 30; i++) {
    ph_sim_stack_run (stack, PH_SEC);
    if ((stack->device[0].path.kind != PH_PATH_RELAY) == direct)
      break;
  }
  return stack;
}

static const PhSimNatConfig behind[] = {
    {.filtering = PH_SIM_EI},
    {.filtering = PH_SIM_AD},
    {.filtering = PH_SIM_APD},
    {.mapping = PH_SIM_APD, .filtering = PH_SIM_APD, .ports = PH_SIM_PORT_SEQUENTIAL},
    {.mapping = PH_SIM_APD, .filtering = PH_SIM_APD, .ports = PH_SIM_PORT_RANDOM},
};

/* Between translators of every kind and: nobody, NATs of every kind, translators of every kind. */
static void
test_pairs (void)
{
  static const char *const nets[] = {"64:ff9b::", "2001:db8:6464::"};
  const unsigned n = G_N_ELEMENTS (behind);

  for (unsigned i = 0; i < n * (1 + 2 * n); i++) {
    PhSimNatConfig left = behind[i % n], right = {0};
    const unsigned other = i / n;
    PhSimPlan plan = {.seed = ph_test_seed () + i, .line = CALM_LINES};
    const PhSimStackOptions options = {.relays = 1, .tcp = i % 2 == 1};

    left.nat64 = prefix_of (nets[i % 2], 96);
    plan.side[0].own = &left;
    if (other > 0) {
      right = behind[(other - 1) % n];
      if (other > n)
        right.nat64 = prefix_of (nets[1], 48);
      plan.side[1].own = &right;
    }

    const bool direct = ph_sim_plan_direct (&plan) == PH_SIM_DIRECT_YES;
    g_autofree char *text = ph_sim_plan_format (&plan);
    g_autoptr (PhSimWorld) world = ph_sim_world_new (&plan);
    const PhSimStack *stack = connect_and_send (world, &options, direct);

    g_test_message ("%s: %s", text, ph_path_kind_name (stack->device[0].path.kind));
    g_assert_true ((stack->device[0].path.kind != PH_PATH_RELAY) == direct);
    /* The pair names the peer by the address that the peer has named. */
    g_assert_cmpint (stack->device[0].path.remote.addr.family, ==, PH_FAMILY_IPV4);
    g_assert_cmpint (stack->device[1].path.remote.addr.family, ==, PH_FAMILY_IPV4);
  }
}

/* Ports are guessed through a translator too. */
static void
test_guessed_ports (void)
{
  PhSimNatConfig left = behind[3];
  const PhSimPlan plan = {
      .seed = ph_test_seed (),
      .line = CALM_LINES,
      .side = {{.own = &left}, {.own = &behind[2]}},
  };
  const PhSimStackOptions options = {.relays = 1, .guesses = true};

  left.nat64 = prefix_of ("64:ff9b::", 96);
  g_autoptr (PhSimWorld) world = ph_sim_world_new (&plan);
  const PhSimStack *stack = connect_and_send (world, &options, true);

  g_assert_cmpint (stack->device[0].path.kind, ==, PH_PATH_UDP);
}

/* Where both have IPv6 of the internet, that is the better way. */
static void
test_ipv6_is_preferred (void)
{
  PhSimNatConfig box = behind[2];
  const PhSimPlan plan = {
      .seed = ph_test_seed (),
      .line = CALM_LINES,
      .side = {{.own = &box}, {.own = &box}},
      .ipv6 = true,
  };
  const PhSimStackOptions options = {.relays = 1};

  box.nat64 = prefix_of ("64:ff9b::", 96);
  g_autoptr (PhSimWorld) world = ph_sim_world_new (&plan);
  const PhSimStack *stack = connect_and_send (world, &options, true);

  g_assert_cmpint (stack->device[0].path.kind, ==, PH_PATH_UDP);
  g_assert_cmpint (stack->device[0].path.remote.addr.family, ==, PH_FAMILY_IPV6);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/nat64-sim/pairs", test_pairs);
  g_test_add_func ("/nat64-sim/guessed-ports", test_guessed_ports);
  g_test_add_func ("/nat64-sim/ipv6-is-preferred", test_ipv6_is_preferred);
  return g_test_run ();
}
