/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Guessed ports in the simulator: whole devices whose NATs keep ordinary checks from meeting start on a relay and
 * move to a direct path. */

#include "tests/sim/ph-sim-stack.h"
#include "tests/support/ph-test.h"

#define calm_line(ms) {.delay = (ms) * PH_MSEC, .rate = 4000000}

static const PhSimNatConfig strict = {.filtering = PH_SIM_APD};
static const PhSimNatConfig random_ports = {
    .mapping = PH_SIM_APD, .filtering = PH_SIM_APD, .ports = PH_SIM_PORT_RANDOM};
static const PhSimNatConfig sequential = {
    .mapping = PH_SIM_APD, .filtering = PH_SIM_APD, .ports = PH_SIM_PORT_SEQUENTIAL};

/* Others behind the box take ports too. */
static PhSimNatConfig
busy (unsigned rate, int step)
{
  PhSimNatConfig config = sequential;

  config.other_rate = rate;
  config.port_step = step;
  return config;
}

static bool
is_direct (void *user)
{
  const PhSimStack *stack = user;

  return stack->device[0].path.kind == PH_PATH_UDP && stack->device[1].path.kind == PH_PATH_UDP;
}

/* How long until both are on a direct path; PH_NEVER: not within `interval`. Sockets are given back. */
static PhTime
play_behind (const PhSimNatConfig *carrier, uint64_t seed, const PhSimNatConfig *left,
             const PhSimNatConfig *right, PhTime interval)
{
  const PhSimPlan plan = {
      .seed = seed,
      .side = {{left, carrier}, {right, carrier}},
      .nearness = carrier != NULL ? PH_SIM_SAME_CARRIER : PH_SIM_APART,
      .line = {calm_line (12), calm_line (13)},
  };
  const PhSimStackOptions options = {.relays = 1, .guesses = true};
  g_autoptr (PhSimWorld) world = ph_sim_world_new (&plan);
  PhSimStack *stack = ph_sim_stack_new (world, &options);
  PhTime took = PH_NEVER;

  ph_sim_stack_run (stack, PH_SEC); /* STUN has answered */
  ph_sim_stack_want (stack, PH_SIM_LEFT);
  g_assert_true (ph_sim_stack_run_ready (stack, 3 * PH_SEC));
  g_assert_cmpint (stack->device[0].path.kind, ==, PH_PATH_RELAY);
  ph_sim_stack_want (stack, PH_SIM_RIGHT); /* a transfer runs */

  const PhTime from = ph_sim_now (world->sim);

  if (ph_sim_run_while_not (world->sim, from + interval, is_direct, stack))
    took = ph_sim_now (world->sim) - from;
  ph_sim_stack_run (stack, 15 * PH_SEC);
  if (took != PH_NEVER)
    g_assert_true (is_direct (stack));
  /* Of several hits, those that the agent keeps warm. */
  for (int who = 0; who < 2; who++)
    g_assert_cmpuint (stack->device[who].fresh_sockets, <=,
                      took != PH_NEVER ? PH_ICE_WARM_MAX + 1 : 0);
  return took;
}

static PhTime
play (uint64_t seed, const PhSimNatConfig *left, const PhSimNatConfig *right, PhTime interval)
{
  return play_behind (NULL, seed, left, right, interval);
}

typedef struct {
  unsigned runs;
  unsigned direct;
  PhTime slowest;
} Score;

static Score
play_all (const PhSimNatConfig *left, const PhSimNatConfig *right, uint64_t runs, PhTime interval)
{
  Score score = {0};

  for (uint64_t i = 0; i < runs; i++) {
    const bool turned = i % 2 == 1;
    const PhTime took =
        play (ph_test_seed () + i, turned ? right : left, turned ? left : right, interval);

    score.runs++;
    if (took == PH_NEVER)
      continue;
    score.direct++;
    score.slowest = MAX (score.slowest, took);
  }
  g_test_message ("%u of %u direct, the slowest after %" G_GUINT64_FORMAT " ms", score.direct,
                  score.runs, score.slowest / PH_MSEC);
  return score;
}

static void
test_strict_with_sequential (void)
{
  const PhSimNatConfig boxes[] = {sequential, busy (20, 1), busy (10, 2), busy (0, -1)};

  for (size_t i = 0; i < G_N_ELEMENTS (boxes); i++) {
    const Score score = play_all (&strict, &boxes[i], ph_sim_runs (10, 250), 4 * PH_SEC);

    g_assert_cmpuint (score.direct, ==, score.runs);
  }
}

static void
test_two_sequential (void)
{
  const PhSimNatConfig boxes[] = {sequential, busy (20, 1), busy (10, 2)};

  for (size_t i = 0; i < G_N_ELEMENTS (boxes); i++) {
    const Score score = play_all (&boxes[i], &sequential, ph_sim_runs (10, 250), 5 * PH_SEC);

    g_assert_cmpuint (score.direct * 100, >=, score.runs * 90);
  }
}

/* Two homes behind a carrier that gives both their ports in one sequence: each takes what the other counts on. */
static void
test_one_sequence (void)
{
  const PhSimNatConfig carrier = {.ports = PH_SIM_PORT_SEQUENTIAL, .hairpin = true};
  const PhSimNatConfig homes[] = {sequential, random_ports};
  const uint64_t runs = ph_sim_runs (20, 500);
  unsigned direct = 0;

  for (uint64_t i = 0; i < runs; i++)
    direct +=
        play_behind (&carrier, ph_test_seed () + i, &homes[i % 2], &homes[i / 2 % 2], 6 * PH_SEC)
        != PH_NEVER;
  g_test_message ("%u of %" G_GUINT64_FORMAT " direct", direct, runs);
  g_assert_cmpuint (direct * 100, >=, runs * 90);
}

static void
test_strict_with_random (void)
{
  const Score score = play_all (&strict, &random_ports, ph_sim_runs (20, 1000), 14 * PH_SEC);

  /* One in 3,400 attempts fails. */
  g_assert_cmpuint (score.direct + 1, >=, score.runs);
}

/* The strict side learns its address when the other one wants to begin already, and has nowhere to send to: that one
 * begins a little later, and from then on both attempt at the same times again. */
static void
test_address_is_late (gconstpointer guessed_first)
{
  const PhSimPlan plan = {
      .seed = ph_test_seed (),
      .side = {{&strict}, {&random_ports}},
      .line = {calm_line (12), calm_line (13)},
  };
  const PhSimStackOptions options = {.relays = 1, .guesses = true};
  const PhAddr right_router = ph_addr_ipv4 (203, 0, 113, 30, 0);
  g_autoptr (PhSimWorld) world = ph_sim_world_new (&plan);
  PhSimStack *stack = ph_sim_stack_new (world, &options);
  PhTime until;

  ph_sim_nat_block (world->nat[PH_SIM_LEFT], &world->stun, 0);
  ph_sim_stack_want (stack, PH_SIM_LEFT);
  ph_sim_stack_want (stack, PH_SIM_RIGHT);
  g_assert_true (ph_sim_stack_run_ready (stack, 3 * PH_SEC));
  until = ph_sim_now (world->sim) + 16 * PH_SEC;
  ph_sim_stack_run (stack, 3 * PH_SEC);
  ph_sim_nat_block (world->nat[PH_SIM_LEFT], guessed_first != NULL ? NULL : &right_router, 0);
  if (guessed_first == NULL) {
    /* The first attempt is in vain. */
    ph_sim_stack_run (stack, 30 * PH_SEC);
    g_assert_false (is_direct (stack));
    ph_sim_nat_block (world->nat[PH_SIM_LEFT], NULL, 0);
    until += 73 * PH_SEC;
  }
  g_assert_true (ph_sim_run_while_not (world->sim, until, is_direct, stack));
}

/* Nothing to be guessed: the relay it stays, and no packet is spent. */
static void
test_hopeless (void)
{
  const Score score = play_all (&random_ports, &random_ports, 2, 14 * PH_SEC);

  g_assert_cmpuint (score.direct, ==, 0);
}

typedef struct {
  unsigned begun;
  PhTime began_at; /* the last one */
  PhTime over_at;
  PhTime least_pause;
} Attempts;

static void
note_attempt (void *user, PhTime now, const char *module, const char *line)
{
  Attempts *attempts = user;

  if (g_strcmp0 (module, "guess") != 0 || !g_str_has_prefix (line, "attempt "))
    return;
  if (strstr (line, "is over") != NULL) {
    attempts->over_at = now;
    return;
  }
  if (attempts->begun++ > 0)
    attempts->least_pause = MIN (attempts->least_pause, ph_time_since (now, attempts->over_at));
  attempts->began_at = now;
}

/* Networks that beat five attempts, a minute apart, are left alone, however long the transfer lasts. Only another
 * router is worth others. */
static void
test_five_attempts (gconstpointer left_is_strict)
{
  const bool turned = left_is_strict == NULL;
  const PhSimPlan plan = {
      .seed = ph_test_seed (),
      .side = {{turned ? &random_ports : &strict}, {turned ? &strict : &random_ports}},
      .line = {calm_line (12), calm_line (13)},
  };
  const PhAddr right_router = ph_addr_ipv4 (203, 0, 113, 30, 0);
  Attempts attempts = {.least_pause = PH_NEVER};
  const PhSimStackOptions options = {
      .relays = 1,
      .guesses = true,
      .trace = {note_attempt, &attempts},
  };
  g_autoptr (PhSimWorld) world = ph_sim_world_new (&plan);
  PhSimStack *stack = ph_sim_stack_new (world, &options);
  PhEndpoint *left = stack->device[PH_SIM_LEFT].base.endpoint;
  PhPunchNat nat = {.kind = turned ? PH_PUNCH_NAT_RANDOM : PH_PUNCH_NAT_STRICT};

  /* Something between the two lets nothing through. */
  ph_sim_nat_block (world->nat[PH_SIM_LEFT], &right_router, 0);
  ph_sim_stack_run (stack, PH_SEC);
  ph_sim_stack_want (stack, PH_SIM_LEFT);
  ph_sim_stack_want (stack, PH_SIM_RIGHT);
  g_assert_true (ph_sim_stack_run_ready (stack, 3 * PH_SEC));
  ph_sim_stack_run (stack, 1200 * PH_SEC);
  g_assert_cmpint (stack->device[0].path.kind, ==, PH_PATH_RELAY);
  g_assert_cmpuint (attempts.begun, ==, 5);
  g_assert_cmpuint (attempts.least_pause, >=, 60 * PH_SEC);
  g_assert_cmpuint (attempts.began_at, <=, PH_SIM_START + 400 * PH_SEC);
  g_assert_cmpuint (stack->device[0].fresh_sockets, ==, 0);
  g_assert_cmpuint (stack->device[1].fresh_sockets, ==, 0);

  ph_endpoint_set_nat (left, ph_sim_now (world->sim), &nat, true);
  ph_sim_stack_run (stack, 120 * PH_SEC);
  g_assert_cmpuint (attempts.begun, ==, 5);
  nat = (PhPunchNat){PH_PUNCH_NAT_SEQUENTIAL, 1};
  ph_endpoint_set_nat (left, ph_sim_now (world->sim), &nat, true);
  ph_sim_stack_run (stack, 120 * PH_SEC);
  /* Sequential with strict is guessed, sequential with random is not. */
  if (turned)
    g_assert_cmpuint (attempts.begun, >, 5);
  else
    g_assert_cmpuint (attempts.begun, ==, 5);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/punch-sim/strict-with-sequential", test_strict_with_sequential);
  g_test_add_func ("/punch-sim/two-sequential", test_two_sequential);
  g_test_add_func ("/punch-sim/one-sequence", test_one_sequence);
  g_test_add_func ("/punch-sim/strict-with-random", test_strict_with_random);
  g_test_add_data_func ("/punch-sim/address-is-late/first", "now", test_address_is_late);
  g_test_add_data_func ("/punch-sim/address-is-late/second", NULL, test_address_is_late);
  g_test_add_func ("/punch-sim/hopeless", test_hopeless);
  g_test_add_data_func ("/punch-sim/five-attempts/probing", "left is strict", test_five_attempts);
  g_test_add_data_func ("/punch-sim/five-attempts/opening", NULL, test_five_attempts);
  return g_test_run ();
}
