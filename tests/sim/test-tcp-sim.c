/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whole stacks where UDP is blocked: TCP through simulated boxes, compared with the oracle. */

#include "tests/sim/ph-sim-stack.h"
#include "tests/support/ph-test.h"

#define MIB (UINT64_C (1) << 20)

static const PhSimStackOptions with_tcp = {.tcp = true};

G_GNUC_PRINTF (2, 3)
static void
fail (const PhSimPlan *plan, const char *format, ...)
{
  g_autofree char *text = ph_sim_plan_format (plan);
  g_autofree char *what = NULL;
  va_list args;

  va_start (args, format);
  what = g_strdup_vprintf (format, args);
  va_end (args);
  g_error ("%s: %s", text, what);
}

/* Both behind a box that lets in whom the inside has called, and no UDP. */
static PhSimPlan
blocked_plan (PhSimNatConfig boxes[2], bool refuses)
{
  PhSimPlan plan = {.seed = ph_test_seed ()};

  for (int who = 0; who < 2; who++) {
    boxes[who] =
        (PhSimNatConfig){.filtering = PH_SIM_APD, .udp_blocked = true, .tcp_refuses = refuses};
    plan.side[who].own = &boxes[who];
    plan.line[who].delay = 10 * PH_MSEC;
  }
  return plan;
}

static void
deliver (PhSimStack *stack, const PhSimPlan *plan, const PhPeerTransfer *transfer, PhTime most)
{
  if (!ph_sim_stack_run_over (stack, transfer, most))
    fail (plan, "not delivered: ready %u + %u, closed %u + %u, failed %u + %u",
          stack->device[0].n_ready, stack->device[1].n_ready, stack->device[0].n_closed,
          stack->device[1].n_closed, stack->device[0].n_failed, stack->device[1].n_failed);
  g_assert_cmpint (transfer->past, ==, PH_PAST_RECEIVED);
  ph_memory_disk_check (ph_sim_stack_twin (stack, transfer)->disk, transfer->files);
}

static void
test_transfer (void)
{
  PhSimNatConfig boxes[2];
  const PhSimPlan plan = blocked_plan (boxes, false);
  g_autoptr (PhSimWorld) world = ph_sim_world_new (&plan);
  PhSimStack *stack = ph_sim_stack_new (world, &with_tcp);
  const PhPeerTransfer *transfer = ph_sim_stack_send_one (stack, PH_SIM_LEFT, 8 * MIB);

  deliver (stack, &plan, transfer, 30 * PH_SEC);
  for (int who = 0; who < 2; who++)
    g_assert_cmpint (stack->device[who].path.kind, ==, PH_PATH_TCP);
  g_assert_cmpuint (stack->device[0].n_ready, ==, 1);
}

/* Boxes that answer with resets: the two SYNs have to cross. */
static void
test_refusing (void)
{
  const uint64_t runs = ph_sim_runs (50, 500);

  for (uint64_t i = 0; i < runs; i++) {
    PhSimNatConfig boxes[2];
    PhSimPlan plan = blocked_plan (boxes, true);

    plan.seed = ph_test_seed () + i;

    g_autoptr (PhSimWorld) world = ph_sim_world_new (&plan);
    PhSimStack *stack = ph_sim_stack_new (world, &with_tcp);

    ph_sim_stack_want (stack, i % 2 == 0 ? PH_SIM_LEFT : PH_SIM_RIGHT);
    if (!ph_sim_stack_run_ready (stack, 5 * PH_SEC))
      fail (&plan, "does not connect");
  }
}

/* Where UDP works it is what carries, and TCP is only tried. */
static void
test_udp_first (void)
{
  PhSimNatConfig boxes[2];
  const PhSimPlan plan = blocked_plan (boxes, false);

  boxes[0].udp_blocked = boxes[1].udp_blocked = false;

  g_autoptr (PhSimWorld) world = ph_sim_world_new (&plan);
  PhSimStack *stack = ph_sim_stack_new (world, &with_tcp);
  const PhPeerTransfer *transfer = ph_sim_stack_send_one (stack, PH_SIM_RIGHT, MIB);

  deliver (stack, &plan, transfer, 20 * PH_SEC);
  g_assert_cmpint (stack->device[0].path.kind, ==, PH_PATH_UDP);
}

/* On one LAN a transfer begins on QUIC, which is there first, and goes on over TCP. */
static void
test_lan (void)
{
  PhSimNatConfig boxes[2];
  PhSimPlan plan = blocked_plan (boxes, false);

  plan.nearness = PH_SIM_SAME_LAN;
  for (int who = 0; who < 2; who++)
    plan.line[who] = (PhSimCable){.delay = PH_MSEC, .rate = 10 * MIB, .queue_bytes = 4 * MIB};

  g_autoptr (PhSimWorld) world = ph_sim_world_new (&plan);
  PhSimStack *stack = ph_sim_stack_new (world, &with_tcp);
  const PhPeerTransfer *transfer = ph_sim_stack_send_one (stack, PH_SIM_LEFT, 32 * MIB);

  deliver (stack, &plan, transfer, 30 * PH_SEC);
  for (int who = 0; who < 2; who++) {
    g_assert_cmpint (stack->device[who].path.kind, ==, PH_PATH_LAN);
    g_assert_cmpint (stack->device[who].path.local.transport, !=, PH_CANDIDATE_UDP);
    g_assert_cmpuint (stack->device[who].n_ready, ==, 2);
  }
}

/* A network of one's own that is far apart: QUIC stays, for a second link would be slow to find its speed. */
static void
test_far_lan (void)
{
  PhSimNatConfig boxes[2];
  PhSimPlan plan = blocked_plan (boxes, false);

  plan.nearness = PH_SIM_SAME_LAN;
  for (int who = 0; who < 2; who++)
    plan.line[who] = (PhSimCable){.delay = 15 * PH_MSEC, .rate = 10 * MIB, .queue_bytes = 4 * MIB};

  g_autoptr (PhSimWorld) world = ph_sim_world_new (&plan);
  PhSimStack *stack = ph_sim_stack_new (world, &with_tcp);
  const PhPeerTransfer *transfer = ph_sim_stack_send_one (stack, PH_SIM_LEFT, 32 * MIB);

  deliver (stack, &plan, transfer, 30 * PH_SEC);
  for (int who = 0; who < 2; who++) {
    g_assert_cmpint (stack->device[who].path.kind, ==, PH_PATH_LAN);
    g_assert_cmpint (stack->device[who].path.local.transport, ==, PH_CANDIDATE_UDP);
    g_assert_cmpuint (stack->device[who].n_ready, ==, 1);
  }
}

/* 320 kbit/s up: what waits in the kernel and the router delays everything by more than the six seconds that
 * a silent pair lives. Its checks are late with it; the pair is not dead. */
static void
test_slow_uplink (void)
{
  PhSimNatConfig boxes[2];
  const PhSimPlan plan = blocked_plan (boxes, false);
  g_autoptr (PhSimWorld) world = ph_sim_world_new (&plan);
  PhSimStack *stack = ph_sim_stack_new (world, &with_tcp);
  const PhPeerTransfer *transfer = ph_sim_stack_send_one (stack, PH_SIM_LEFT, 3 * MIB);
  PhSimCable *up = ph_sim_iface_up (world->line[0]);

  up->rate = 40000;
  up->queue_bytes = MIB;
  deliver (stack, &plan, transfer, 120 * PH_SEC);
  for (int who = 0; who < 2; who++) {
    g_assert_cmpint (stack->device[who].path.kind, ==, PH_PATH_TCP);
    g_assert_cmpuint (stack->device[who].n_ready, ==, 1);
    g_assert_cmpuint (stack->device[who].n_closed, ==, 0);
  }

  /* Then the line dies, in mid-transfer: that is still noticed. */
  ph_sim_stack_send_one (stack, PH_SIM_LEFT, 3 * MIB);
  ph_sim_stack_run (stack, 10 * PH_SEC);
  ph_sim_iface_cut (world->line[0], true);
  ph_sim_stack_run (stack, 9 * PH_SEC);
  g_assert_false (ph_sim_stack_is_ready (stack));
}

static void
test_crash (void)
{
  PhSimNatConfig boxes[2];
  PhSimPlan plan = blocked_plan (boxes, false);

  plan.line[0].rate = plan.line[1].rate = 2000000;

  g_autoptr (PhSimWorld) world = ph_sim_world_new (&plan);
  PhSimStack *stack = ph_sim_stack_new (world, &with_tcp);
  const PhPeerTransfer *transfer = ph_sim_stack_send_one (stack, PH_SIM_LEFT, 8 * MIB);

  ph_sim_stack_run (stack, 2 * PH_SEC);
  g_assert_cmpint (transfer->past, !=, PH_PAST_RECEIVED);
  ph_sim_stack_crash (stack, PH_SIM_RIGHT);
  deliver (stack, &plan, transfer, 60 * PH_SEC);
}

/* The cable is out for a while: what was under way goes on. */
static void
test_outage (void)
{
  PhSimNatConfig boxes[2];
  PhSimPlan plan = blocked_plan (boxes, false);

  plan.line[0].rate = plan.line[1].rate = 2000000;

  g_autoptr (PhSimWorld) world = ph_sim_world_new (&plan);
  PhSimStack *stack = ph_sim_stack_new (world, &with_tcp);
  const PhPeerTransfer *transfer = ph_sim_stack_send_one (stack, PH_SIM_LEFT, 8 * MIB);

  ph_sim_stack_run (stack, 2 * PH_SEC);
  ph_sim_iface_cut (world->line[0], true);
  ph_sim_stack_run (stack, 20 * PH_SEC);
  g_assert_false (ph_sim_stack_is_ready (stack));
  ph_sim_iface_cut (world->line[0], false);
  deliver (stack, &plan, transfer, 90 * PH_SEC);
}

/* A laptop that sleeps, for a moment and for long. */
static void
test_sleep (void)
{
  static const PhTime spans[] = {3 * PH_SEC, 100 * PH_SEC};

  for (size_t i = 0; i < G_N_ELEMENTS (spans); i++) {
    PhSimNatConfig boxes[2];
    PhSimPlan plan = blocked_plan (boxes, i % 2 != 0);

    plan.line[0].rate = plan.line[1].rate = 2000000;

    g_autoptr (PhSimWorld) world = ph_sim_world_new (&plan);
    PhSimStack *stack = ph_sim_stack_new (world, &with_tcp);
    const PhPeerTransfer *transfer = ph_sim_stack_send_one (stack, PH_SIM_LEFT, 8 * MIB);

    ph_sim_stack_run (stack, 2 * PH_SEC);
    ph_sim_stack_sleep (stack, PH_SIM_RIGHT, spans[i]);
    deliver (stack, &plan, transfer, 90 * PH_SEC);
  }
}

/* Another address on the same network: ports are opened anew. */
static void
test_move (void)
{
  PhSimNatConfig boxes[2];
  PhSimPlan plan = blocked_plan (boxes, false);
  PhAddr ip;

  plan.line[0].rate = plan.line[1].rate = 2000000;

  g_autoptr (PhSimWorld) world = ph_sim_world_new (&plan);
  PhSimStack *stack = ph_sim_stack_new (world, &with_tcp);
  const PhPeerTransfer *transfer = ph_sim_stack_send_one (stack, PH_SIM_LEFT, 8 * MIB);

  ph_sim_stack_run (stack, 2 * PH_SEC);
  ip = world->ip[PH_SIM_LEFT];
  ip.ip[3]++;
  ph_sim_stack_move (stack, PH_SIM_LEFT, &ip);

  const PhTime pause = ph_sim_stack_longest_pause (stack, transfer, 10 * PH_SEC);

  g_test_message ("longest pause %" G_GUINT64_FORMAT " ms", pause / PH_MSEC);
  g_assert_cmpuint (pause, <=, 2 * PH_SEC);
  deliver (stack, &plan, transfer, 60 * PH_SEC);
}

/* The rendezvous repeats itself and both want at once: attempts replace each other, the connection that is
 * there serves the last of them. */
static void
test_both_want (void)
{
  const PhSimStackOptions options = {.tcp = true, .signals_twice = true};
  const uint64_t runs = ph_sim_runs (30, 300);

  for (uint64_t i = 0; i < runs; i++) {
    PhSimNatConfig boxes[2];
    PhSimPlan plan = blocked_plan (boxes, i % 3 == 0);

    plan.seed = ph_test_seed () + i;

    g_autoptr (PhSimWorld) world = ph_sim_world_new (&plan);
    PhSimStack *stack = ph_sim_stack_new (world, &options);

    ph_sim_stack_want (stack, PH_SIM_LEFT);
    ph_sim_stack_run (stack, i * 3 * PH_MSEC);
    ph_sim_stack_want (stack, PH_SIM_RIGHT);
    if (!ph_sim_stack_run_ready (stack, 8 * PH_SEC))
      fail (&plan, "does not connect");
    ph_sim_stack_set_signalling (stack, false);
    ph_sim_stack_set_signalling (stack, true); /* nobody waits any longer */
    ph_sim_stack_run (stack, 5 * PH_SEC);
    if (!ph_sim_stack_is_ready (stack))
      fail (&plan, "has lost its link");
  }
}

/* --- Drawn networks ----------------------------------------------------------------------------- */

/* UDP is blocked on one side at least: by a box of its own, if it has none. */
static bool
block_udp (PhSimScene *scene)
{
  bool any = false;

  for (int who = 0; who < 2; who++) {
    if (scene->plan.side[who].own == NULL)
      continue;
    scene->own[who].udp_blocked = any = true;
    scene->own[who].tcp_refuses = (scene->plan.seed >> who) % 2 != 0;
  }
  return any;
}

static void
test_drawn (void)
{
  const uint64_t runs = ph_sim_runs (300, 3000);
  unsigned n_direct = 0, n_never = 0;

  for (uint64_t i = 0; i < runs; i++) {
    PhSimScene scene;

    ph_sim_scene_draw (&scene, ph_test_seed () + i, false);
    scene.plan.ipv6 = false;
    if (scene.plan.nearness != PH_SIM_APART || !block_udp (&scene))
      continue;

    const PhSimPlan *plan = &scene.plan;
    g_autoptr (PhSimWorld) world = ph_sim_world_new (plan);
    PhSimStack *stack = ph_sim_stack_new (world, &with_tcp);
    const PhSimDirect expected = ph_sim_oracle_tcp (&plan->side[0], &plan->side[1], plan->nearness);

    ph_sim_stack_want (stack, PH_SIM_LEFT);

    const bool ready = ph_sim_stack_run_ready (stack, 28 * PH_SEC);

    if (ready && expected == PH_SIM_DIRECT_NO)
      fail (plan, "cannot connect and claims to");
    if (!ready && expected == PH_SIM_DIRECT_YES)
      fail (plan, "must connect and does not");
    n_direct += ready;
    n_never += !ready;
  }
  g_test_message ("%u connect, %u do not", n_direct, n_never);
}

/* UDP, TCP or both: what either can do is done, and a file arrives. */
static void
test_either (void)
{
  const uint64_t runs = ph_sim_runs (200, 3000);

  for (uint64_t i = 0; i < runs; i++) {
    PhSimScene scene;

    ph_sim_scene_draw (&scene, ph_test_seed () + i, false);

    const PhSimPlan *plan = &scene.plan;
    g_autoptr (PhSimWorld) world = ph_sim_world_new (plan);
    PhSimStack *stack = ph_sim_stack_new (world, &with_tcp);
    const bool must =
        ph_sim_plan_direct (plan) == PH_SIM_DIRECT_YES
        || ph_sim_oracle_tcp (&plan->side[0], &plan->side[1], plan->nearness) == PH_SIM_DIRECT_YES;
    const PhPeerTransfer *transfer = ph_sim_stack_send (stack, PH_SIM_LEFT, 2, 100000);

    if (ph_sim_stack_run_ready (stack, 28 * PH_SEC))
      deliver (stack, plan, transfer, 60 * PH_SEC);
    else if (must)
      fail (plan, "must connect and does not");
  }
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/tcp-sim/transfer", test_transfer);
  g_test_add_func ("/tcp-sim/refusing", test_refusing);
  g_test_add_func ("/tcp-sim/udp-first", test_udp_first);
  g_test_add_func ("/tcp-sim/lan", test_lan);
  g_test_add_func ("/tcp-sim/far-lan", test_far_lan);
  g_test_add_func ("/tcp-sim/slow-uplink", test_slow_uplink);
  g_test_add_func ("/tcp-sim/crash", test_crash);
  g_test_add_func ("/tcp-sim/outage", test_outage);
  g_test_add_func ("/tcp-sim/sleep", test_sleep);
  g_test_add_func ("/tcp-sim/move", test_move);
  g_test_add_func ("/tcp-sim/both-want", test_both_want);
  g_test_add_func ("/tcp-sim/drawn", test_drawn);
  g_test_add_func ("/tcp-sim/either", test_either);
  return g_test_run ();
}
