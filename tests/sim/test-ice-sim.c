/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two ICE agents in the simulated network: whom they reach, how fast, and for how long. Judged by the
 * oracle, which knows the boxes and no agent. PhSimWorld sees to it that nobody is sent anything who was
 * not named. */

#include "tests/sim/ph-sim-ice.h"
#include "tests/support/ph-test.h"

#include <stdio.h>

/* The agent gives up after 20 s. */
#define GIVE_UP (25 * PH_SEC)

static void
print_trace (void *user, PhTime now, const char *module, const char *line)
{
  printf ("# %8.3f ms  %s %s: %s\n", (double)(now - PH_SIM_START) / 1e6, (const char *)user, module,
          line);
}

/* PH_SIM_TRACE shows what the agents think as well. */
static PhSimIceOptions
default_options (void)
{
  return (PhSimIceOptions){
      .trace.event = g_getenv ("PH_SIM_TRACE") != NULL ? print_trace : NULL,
      .trace.user = (void *)"agent",
  };
}

#define calm_line(ms) {.delay = (ms) * PH_MSEC}
#define CALM_LINES {calm_line (12), calm_line (13)}

/* --- Whom they reach ---------------------------------------------------------------------------- */

static void
print_times (const char *name, GArray *times)
{
  g_autofree char *text = ph_sim_times_format (times);

  g_test_message ("%s: %u connected, %s", name, times->len, text);
}

/* The pair that both have selected carries data either way, on that pair. */
static void
check_data (PhSimIce *ice, const PhSimPlan *plan)
{
  ph_sim_ice_run (ice, 2 * PH_SEC);
  for (int who = 0; who < 2; who++)
    ice->peer[who].received = ice->peer[who].received_aside = 0;
  ph_sim_ice_exchange (ice, 20);
  for (int who = 0; who < 2; who++) {
    const PhSimIcePeer *peer = &ice->peer[who];

    if (peer->received < 12)
      ph_sim_plan_fail (plan, "%s got %u of 20 packets", who == 0 ? "left" : "right",
                        peer->received);
    if (peer->received_aside > 0)
      ph_sim_plan_fail (plan, "%s got %u of %u packets on another pair than its selected one",
                        who == 0 ? "left" : "right", peer->received_aside, peer->received);
  }
}

/* Plays one plan; true if both connected, and then when (from when both had started). */
static bool
play (const PhSimPlan *plan, const PhSimIceOptions *options, PhTime *ret_time, uint64_t *ret_sent)
{
  g_autoptr (PhSimWorld) world = ph_sim_world_new (plan);
  PhSimIce *ice = ph_sim_ice_new (world, options);
  const PhSimDirect expected = ph_sim_plan_direct (plan);
  const bool connected = ph_sim_ice_run_connected (ice, GIVE_UP);

  if (expected == PH_SIM_DIRECT_YES && !connected)
    ph_sim_plan_fail (plan, "must connect and does not");
  if (expected == PH_SIM_DIRECT_NO && connected)
    ph_sim_plan_fail (plan, "cannot connect and claims to");
  if (connected) {
    check_data (ice, plan);
    *ret_time = MAX (ice->peer[0].connected_at, ice->peer[1].connected_at)
                - MAX (ice->peer[0].started_at, ice->peer[1].started_at);
  } else {
    for (int who = 0; who < 2; who++) {
      if (ice->peer[who].failed_at == 0 && ice->peer[who].n_selected == 0)
        ph_sim_plan_fail (plan, "%s neither connects nor gives up", who == 0 ? "left" : "right");
    }
  }
  *ret_sent = ph_sim_count (world->sim, PH_SIM_SENT);
  return connected;
}

/* Every pair of mapping and filtering on both sides, on calm lines of 50 ms round trip. */
static void
test_every_pair (void)
{
  g_autoptr (GArray) both_ei = g_array_new (FALSE, FALSE, sizeof (PhTime));
  g_autoptr (GArray) others = g_array_new (FALSE, FALSE, sizeof (PhTime));
  const PhSimIceOptions options = default_options ();
  uint64_t most_sent = 0;

  for (int cell = 0; cell < 81; cell++) {
    const PhSimNatConfig left = {
        .mapping = (PhSimDependence)(cell % 3),
        .filtering = (PhSimDependence)(cell / 3 % 3),
        .ports = PH_SIM_PORT_RANDOM,
    };
    const PhSimNatConfig right = {
        .mapping = (PhSimDependence)(cell / 9 % 3),
        .filtering = (PhSimDependence)(cell / 27 % 3),
    };
    const PhSimPlan plan = {
        .seed = ph_test_seed () + (uint64_t)cell,
        .side = {{&left}, {&right}},
        .line = CALM_LINES,
    };
    PhTime time;
    uint64_t sent;

    if (play (&plan, &options, &time, &sent))
      g_array_append_val (
          left.mapping == PH_SIM_EI && right.mapping == PH_SIM_EI ? both_ei : others, time);
    most_sent = MAX (most_sent, sent);
  }
  print_times ("both mappings endpoint-independent", both_ei);
  print_times ("others", others);
  g_test_message ("at most %" G_GUINT64_FORMAT " packets sent in a run", most_sent);
  g_assert_cmpuint (both_ei->len, ==, 9);
  g_assert_cmpuint (ph_sim_percentile (both_ei, 95), <=, PH_SEC);
  g_assert_cmpuint (ph_sim_percentile (others, 95), <=, 3 * PH_SEC);
  /* 20 s in vain, both sides: four pairs each, checked more and more rarely. */
  g_assert_cmpuint (most_sent, <, 8000);
}

static void
test_drawn (void)
{
  g_autoptr (GArray) times = g_array_new (FALSE, FALSE, sizeof (PhTime));
  const uint64_t runs = ph_sim_runs (6000, 100000);
  PhSimIceOptions options = default_options ();
  uint64_t most_sent = 0;
  unsigned never = 0;

  for (uint64_t i = 0; i < runs; i++) {
    PhSimScene scene;
    PhTime time;
    uint64_t sent;

    ph_sim_scene_draw (&scene, ph_test_seed () + i, false);
    options.same_port = scene.plan.seed % 4 == 1;
    options.same_role = scene.plan.seed % 8 == 3;
    options.skew_interval = scene.plan.seed % 5 * 100 * PH_MSEC;
    if (play (&scene.plan, &options, &time, &sent))
      g_array_append_val (times, time);
    else
      never++;
    most_sent = MAX (most_sent, sent);
  }
  print_times ("drawn, bad lines", times);
  g_test_message ("never %u, at most %" G_GUINT64_FORMAT " packets sent in a run", never,
                  most_sent);
  if (runs >= 200)
    g_assert_cmpuint (ph_sim_percentile (times, 95), <=, 5 * PH_SEC);
}

static uint64_t
trace_of (uint64_t seed)
{
  PhSimIceOptions options = default_options ();
  PhSimScene scene;

  ph_sim_scene_draw (&scene, seed, false);

  g_autoptr (PhSimWorld) world = ph_sim_world_new (&scene.plan);
  PhSimIce *ice = ph_sim_ice_new (world, &options);

  ph_sim_ice_run (ice, 60 * PH_SEC);
  return ph_sim_trace_hash (world->sim);
}

static void
test_same_seed_same_trace (void)
{
  for (uint64_t i = 0; i < 20; i++)
    g_assert_cmpuint (trace_of (ph_test_seed () + i), ==, trace_of (ph_test_seed () + i));
  g_assert_cmpuint (trace_of (ph_test_seed ()), !=, trace_of (ph_test_seed () + 1));
}

/* --- Which path they take ----------------------------------------------------------------------- */

static void
check_selected (const PhSimIce *ice, PhScope scope, PhFamily family)
{
  for (int who = 0; who < 2; who++) {
    PhIcePair pair;

    g_assert_true (ph_ice_agent_selected (ice->peer[who].agent, &pair));
    g_assert_cmpint (pair.remote_addr.family, ==, family);
    g_assert_cmpint (ph_addr_scope (&pair.remote_addr), ==, scope);
  }
}

static void
test_lan_wins (void)
{
  const PhSimNatConfig box = {.hairpin = true};
  const PhSimPlan plan = {
      .seed = ph_test_seed (),
      .side = {{&box}, {&box}},
      .nearness = PH_SIM_SAME_LAN,
      .line = {calm_line (1), calm_line (1)},
  };
  const PhSimIceOptions options = default_options ();
  g_autoptr (PhSimWorld) world = ph_sim_world_new (&plan);
  PhSimIce *ice = ph_sim_ice_new (world, &options);

  g_assert_true (ph_sim_ice_run_connected (ice, 2 * PH_SEC));
  check_data (ice, &plan);
  check_selected (ice, PH_SCOPE_PRIVATE, PH_FAMILY_IPV4);
}

static void
test_ipv6_through_firewalls (void)
{
  /* IPv4 would never work. */
  const PhSimNatConfig box = {.mapping = PH_SIM_APD, .filtering = PH_SIM_APD};
  const PhSimPlan plan = {
      .seed = ph_test_seed (),
      .side = {{&box}, {&box}},
      .line = CALM_LINES,
      .ipv6 = true,
  };
  const PhSimIceOptions options = default_options ();
  g_autoptr (PhSimWorld) world = ph_sim_world_new (&plan);
  PhSimIce *ice = ph_sim_ice_new (world, &options);

  /* IPv6 has endpoint-dependent permissions only: nothing has to be guessed. */
  g_assert_true (ph_sim_ice_run_connected (ice, 2 * PH_SEC));
  check_data (ice, &plan);
  check_selected (ice, PH_SCOPE_GLOBAL, PH_FAMILY_IPV6);
}

/* Both homes use the same private address, both programs the same port: each host's checks of the other's
 * host candidate reach itself. */
static void
test_same_address_same_port (void)
{
  const PhSimNatConfig box = {.filtering = PH_SIM_APD};
  const PhSimPlan plan = {.seed = ph_test_seed (), .side = {{&box}, {&box}}, .line = CALM_LINES};
  PhSimIceOptions options = default_options ();
  PhTime time;
  uint64_t sent;

  options.same_port = true;
  g_assert_true (play (&plan, &options, &time, &sent));
}

static void
test_role_conflict (void)
{
  const PhSimNatConfig box = {.filtering = PH_SIM_APD};
  const PhSimPlan plan = {.seed = ph_test_seed (), .side = {{&box}, {&box}}, .line = CALM_LINES};
  PhSimIceOptions options = default_options ();

  options.same_role = true;

  g_autoptr (PhSimWorld) world = ph_sim_world_new (&plan);
  PhSimIce *ice = ph_sim_ice_new (world, &options);

  g_assert_true (ph_sim_ice_run_connected (ice, 3 * PH_SEC));
  check_data (ice, &plan);
  g_assert_cmpint (ph_ice_agent_controlling (ice->peer[0].agent), !=,
                   ph_ice_agent_controlling (ice->peer[1].agent));
}

/* The refusal of a role comes from another address than the one that was asked: it counts all the same, or
 * both sides refuse each other for ever. */
static void
test_role_conflict_behind_symmetric (void)
{
  const PhSimNatConfig left = {.mapping = PH_SIM_AD, .ports = PH_SIM_PORT_RANDOM};
  const PhSimNatConfig right = {
      .mapping = PH_SIM_APD, .filtering = PH_SIM_AD, .ports = PH_SIM_PORT_SEQUENTIAL};
  PhSimIceOptions options = default_options ();

  options.same_role = true;
  for (uint64_t i = 0; i < 20; i++) {
    const PhSimPlan plan = {
        .seed = ph_test_seed () + i, .side = {{&left}, {&right}}, .line = CALM_LINES};
    PhTime time;
    uint64_t sent;

    g_assert_true (play (&plan, &options, &time, &sent));
  }
}

/* --- How long it lasts -------------------------------------------------------------------------- */

typedef struct {
  PhSimWorld *world;
  PhSimIce *ice;
  PhSimPlan plan;
} Life;

static PhSimIceOptions life_options;

/* A connected pair behind two boxes of a kind. */
static Life
life_begin (const PhSimNatConfig *left, const PhSimNatConfig *right)
{
  Life life = {.plan = {.seed = ph_test_seed (), .side = {{left}, {right}}, .line = CALM_LINES}};

  life_options = default_options ();
  life.world = ph_sim_world_new (&life.plan);
  life.ice = ph_sim_ice_new (life.world, &life_options);
  g_assert_true (ph_sim_ice_run_connected (life.ice, 5 * PH_SEC));
  check_data (life.ice, &life.plan);
  return life;
}

/* Mappings last 30 s and only outbound packets refresh them: nobody speaks for ten minutes. */
static void
test_idle_session_survives (void)
{
  const PhSimNatConfig box = {.filtering = PH_SIM_APD, .timeout_interval = 30 * PH_SEC};
  Life life = life_begin (&box, &box);
  const uint64_t before = ph_sim_count (life.world->sim, PH_SIM_SENT);

  ph_sim_ice_run (life.ice, 600 * PH_SEC);
  for (int who = 0; who < 2; who++) {
    g_assert_cmpuint (life.ice->peer[who].n_disconnected, ==, 0);
    g_assert_cmpuint (life.ice->peer[who].last_lost_at, ==, 0);
  }

  const uint64_t sent = ph_sim_count (life.world->sim, PH_SIM_SENT) - before;

  /* A check and an answer each way every 1.5 s, and the server every 20 s. */
  g_test_message ("%" G_GUINT64_FORMAT " packets in ten idle minutes", sent);
  g_assert_cmpuint (sent, <, 2200);
  check_data (life.ice, &life.plan);
  ph_sim_world_free (life.world);
}

/* The line is cut: both sides know it within 10 s, not before 5. */
static void
test_path_death_is_noticed (void)
{
  for (int direction = 0; direction < 3; direction++) {
    const PhSimNatConfig box = {.filtering = PH_SIM_APD};
    Life life = life_begin (&box, &box);
    const PhTime cut_at = ph_sim_now (life.world->sim);

    /* Both ways, out only, in only: consent is about the round trip. */
    ph_sim_iface_up (life.world->line[0])->cut = direction != 2;
    ph_sim_iface_down (life.world->line[0])->cut = direction != 1;
    ph_sim_ice_run (life.ice, 12 * PH_SEC);
    for (int who = 0; who < 2; who++) {
      const PhSimIcePeer *peer = &life.ice->peer[who];

      g_assert_cmpuint (peer->disconnected_at, >, cut_at);
      g_test_message ("direction %d: noticed after %" G_GUINT64_FORMAT " ms", direction,
                      (peer->disconnected_at - cut_at) / PH_MSEC);
      g_assert_cmpuint (peer->disconnected_at - cut_at, >=, 4 * PH_SEC);
      g_assert_cmpuint (peer->disconnected_at - cut_at, <=, 10 * PH_SEC);
    }
    g_assert_false (ph_sim_ice_connected (life.ice));
    ph_sim_world_free (life.world);
  }
}

static void
test_short_cut_is_survived (void)
{
  const PhSimNatConfig box = {.filtering = PH_SIM_APD};
  Life life = life_begin (&box, &box);

  ph_sim_iface_cut (life.world->line[0], true);
  ph_sim_ice_run (life.ice, 3 * PH_SEC);
  ph_sim_iface_cut (life.world->line[0], false);
  ph_sim_ice_run (life.ice, 20 * PH_SEC);
  for (int who = 0; who < 2; who++)
    g_assert_cmpuint (life.ice->peer[who].last_lost_at, ==, 0);
  check_data (life.ice, &life.plan);
  ph_sim_world_free (life.world);
}

static void
test_long_cut_is_recovered (void)
{
  const PhSimNatConfig box = {.filtering = PH_SIM_APD};
  Life life = life_begin (&box, &box);

  ph_sim_iface_cut (life.world->line[0], true);
  ph_sim_ice_run (life.ice, 15 * PH_SEC);
  g_assert_false (ph_sim_ice_connected (life.ice));
  ph_sim_iface_cut (life.world->line[0], false);
  g_assert_true (ph_sim_ice_run_connected (life.ice, 10 * PH_SEC));
  check_data (life.ice, &life.plan);
  ph_sim_world_free (life.world);
}

/* The left box restarts, or gets another address, in mid-session. */
static void
test_rebinding_is_recovered (void)
{
  for (int round = 0; round < 6; round++) {
    const PhSimNatConfig box = {.filtering = (PhSimDependence)(round % 3)};
    const PhAddr moved = ph_addr_ipv4 (203, 0, 113, 77, 0);
    Life life = life_begin (&box, &box);
    const PhTime at = ph_sim_now (life.world->sim);

    if (round < 3)
      ph_sim_nat_forget (life.world->nat[0]);
    else
      ph_sim_nat_change_address (life.world->nat[0], &moved);
    if (!ph_sim_ice_exchange_until_received (life.ice, 20 * PH_SEC))
      ph_sim_plan_fail (&life.plan, "round %d: does not come back", round);

    const PhTime outage = ph_time_since (ph_sim_now (life.world->sim), at);

    g_test_message ("%s, filtering %d: data again after %" G_GUINT64_FORMAT " ms",
                    round < 3 ? "restart" : "new address", round % 3, outage / PH_MSEC);
    /* Where strangers are let in the next check is enough; else the server has to be asked first. */
    g_assert_cmpuint (outage, <=, round % 3 == 0 ? 3 * PH_SEC : 12 * PH_SEC);
    check_data (life.ice, &life.plan);
    ph_sim_world_free (life.world);
  }
}

/* Where every answer to a new port comes from yet another one, agents meet new addresses for ever: they
 * must neither connect nor grow. */
static void
test_mirror_hall (void)
{
  const PhSimNatConfig box = {.mapping = PH_SIM_APD, .ports = PH_SIM_PORT_RANDOM};
  const PhSimPlan plan = {.seed = ph_test_seed (), .side = {{&box}, {&box}}, .line = CALM_LINES};
  const PhSimIceOptions options = default_options ();
  PhTime time;
  uint64_t sent;

  g_assert_false (play (&plan, &options, &time, &sent));
  g_test_message ("%" G_GUINT64_FORMAT " packets sent", sent);
  g_assert_cmpuint (sent, <, 20000);
}

/* Both give every destination a new port and let everybody in: each answer comes from an address that nobody has
 * asked. The chase through ever new ports ends, and what the peer has named is not forgotten over it. */
static void
test_chase_ends (void)
{
  static const PhSimNatConfig box = {.mapping = PH_SIM_APD, .ports = PH_SIM_PORT_RANDOM};
  const PhSimPlan plan = {.seed = ph_test_seed (), .side = {{&box}, {&box}}, .line = CALM_LINES};
  const PhSimIceOptions options = default_options ();
  g_autoptr (PhSimWorld) world = ph_sim_world_new (&plan);
  PhSimIce *ice = ph_sim_ice_new (world, &options);

  g_assert_false (ph_sim_ice_run_connected (ice, 15 * PH_SEC));
  for (int who = 0; who < 2; who++) {
    g_test_message ("%u mappings", ph_sim_nat_mappings (world->nat[who]));
    g_assert_cmpuint (ph_sim_nat_mappings (world->nat[who]), <, 25);
  }
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/ice-sim/every-pair", test_every_pair);
  g_test_add_func ("/ice-sim/drawn", test_drawn);
  g_test_add_func ("/ice-sim/same-seed-same-trace", test_same_seed_same_trace);
  g_test_add_func ("/ice-sim/lan-wins", test_lan_wins);
  g_test_add_func ("/ice-sim/ipv6-through-firewalls", test_ipv6_through_firewalls);
  g_test_add_func ("/ice-sim/same-address-same-port", test_same_address_same_port);
  g_test_add_func ("/ice-sim/role-conflict", test_role_conflict);
  g_test_add_func ("/ice-sim/role-conflict-behind-symmetric", test_role_conflict_behind_symmetric);
  g_test_add_func ("/ice-sim/idle-session-survives", test_idle_session_survives);
  g_test_add_func ("/ice-sim/path-death-is-noticed", test_path_death_is_noticed);
  g_test_add_func ("/ice-sim/short-cut-is-survived", test_short_cut_is_survived);
  g_test_add_func ("/ice-sim/long-cut-is-recovered", test_long_cut_is_recovered);
  g_test_add_func ("/ice-sim/rebinding-is-recovered", test_rebinding_is_recovered);
  g_test_add_func ("/ice-sim/chase-ends", test_chase_ends);
  g_test_add_func ("/ice-sim/mirror-hall", test_mirror_hall);
  return g_test_run ();
}
