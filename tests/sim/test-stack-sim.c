/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whole devices in the simulated network: files travel through drawn NATs over bad lines, past cuts,
 * crashes and changes of network. Every file must be whole, every transfer end once, and little be sent
 * twice. TLS draws its own randomness: runs of one seed differ in details, and outcomes are asserted. */

#include "tests/sim/ph-sim-stack.h"
#include "tests/support/ph-test.h"

/* What may be sent again after a link has died: what was on its way, and what was not yet durable. */
#define WINDOW (4u << 20)

#define calm_line(ms) {.delay = (ms) * PH_MSEC}
#define CALM_LINES {calm_line (12), calm_line (13)}

static void
print_times (const char *name, GArray *times)
{
  g_autofree char *text = ph_sim_times_format (times);

  g_test_message ("%s: %u, %s", name, times->len, text);
}

/* --- One transfer ------------------------------------------------------------------------------- */

static void
must_be_delivered (PhSimStack *stack, const PhSimPlan *plan, const PhPeerTransfer *transfer,
                   PhTime interval)
{
  if (!ph_sim_stack_run_over (stack, transfer, interval)) {
    const PhPeerTransfer *twin = ph_sim_stack_twin (stack, transfer);

    ph_sim_plan_fail (
        plan,
        "not delivered: ready %u + %u, closed %u + %u, failed %u + %u, accepted %d, written %" G_GUINT64_FORMAT
        " of %" G_GUINT64_FORMAT,
        stack->device[0].n_ready, stack->device[1].n_ready, stack->device[0].n_closed,
        stack->device[1].n_closed, stack->device[0].n_failed, stack->device[1].n_failed,
        transfer->accepted, twin != NULL && twin->disk != NULL ? twin->disk->bytes_written : 0,
        ph_manifest_bytes (transfer->manifest));
  }
  if (transfer->past != PH_PAST_RECEIVED)
    ph_sim_plan_fail (plan, "the transfer ended otherwise: %d", transfer->past);
}

/* Whole, told once, and at most `again` bytes twice. */
static void
check_delivered (PhSimStack *stack, const PhSimPlan *plan, const PhPeerTransfer *transfer,
                 uint64_t again)
{
  const PhPeerTransfer *twin = ph_sim_stack_twin (stack, transfer);
  const uint64_t total = ph_manifest_bytes (transfer->manifest);

  g_assert_nonnull (twin);
  g_assert_cmpint (twin->past, ==, PH_PAST_RECEIVED);
  ph_memory_disk_check (twin->disk, transfer->files);
  g_assert_cmpuint (transfer->told[PH_SESSION_EVENT_DELIVERED], ==, 1);
  if (twin->disk->bytes_written > total + again)
    ph_sim_plan_fail (plan, "%" G_GUINT64_FORMAT " bytes written for %" G_GUINT64_FORMAT,
                      twin->disk->bytes_written, total);
}

/* --- Drawn networks ----------------------------------------------------------------------------- */

static void
draw (PhSimScene *scene, uint64_t seed)
{
  static const size_t mtus[] = {0, 1500, 1400, 1280};

  ph_sim_scene_draw (scene, seed, false);
  for (int who = 0; who < 2; who++) {
    scene->plan.line[who].mtu = mtus[seed % G_N_ELEMENTS (mtus)];
    scene->plan.line[who].rate = 4000000;
  }
}

static void
play (const PhSimPlan *plan, GArray *times)
{
  g_autoptr (PhSimWorld) world = ph_sim_world_new (plan);
  const PhSimStackOptions options = {.signals_twice = plan->seed % 4 == 3};
  PhSimStack *stack = ph_sim_stack_new (world, &options);
  const PhSimDirect expected = ph_sim_plan_direct (plan);
  PhPeerTransfer *transfers[2] = {0};

  transfers[0] = ph_sim_stack_send (stack, plan->seed % 2 == 0 ? PH_SIM_LEFT : PH_SIM_RIGHT,
                                    1 + (unsigned)(plan->seed % 5), 100000);
  if (plan->seed % 3 == 0)
    transfers[1] =
        ph_sim_stack_send (stack, plan->seed % 2 == 0 ? PH_SIM_RIGHT : PH_SIM_LEFT, 3, 50000);

  const bool ready = ph_sim_stack_run_ready (stack, 28 * PH_SEC);
  const PhTime ready_at = ph_sim_now (world->sim);

  if (ready && expected == PH_SIM_DIRECT_NO)
    ph_sim_plan_fail (plan, "cannot connect and claims to");
  if (!ready && expected == PH_SIM_DIRECT_YES)
    ph_sim_plan_fail (plan, "must connect and does not");
  if (!ready) {
    ph_sim_stack_run (stack, 10 * PH_SEC);
    if (!ph_sim_stack_is_ready (stack)
        && stack->device[0].n_failed + stack->device[1].n_failed == 0)
      ph_sim_plan_fail (plan, "does not connect and does not say so");
    return;
  }
  for (int i = 0; i < 2 && transfers[i] != NULL; i++) {
    must_be_delivered (stack, plan, transfers[i], 60 * PH_SEC);
    /* On such lines a path may be lost now and then. */
    check_delivered (stack, plan, transfers[i],
                     stack->device[0].n_closed + stack->device[1].n_closed > 0 ? WINDOW : 0);
  }

  const PhTime took = ready_at - PH_SIM_START;

  if (took > 5 * PH_SEC) {
    g_autofree char *text = ph_sim_plan_format (plan);

    g_test_message ("%" G_GUINT64_FORMAT " ms: %s", took / PH_MSEC, text);
  }
  g_array_append_val (times, took);
}

static void
test_drawn (void)
{
  g_autoptr (GArray) times = g_array_new (FALSE, FALSE, sizeof (PhTime));
  const uint64_t runs = ph_sim_runs (1000, 10000);

  for (uint64_t i = 0; i < runs; i++) {
    PhSimScene scene;

    draw (&scene, ph_test_seed () + i);
    play (&scene.plan, times);
  }
  print_times ("links up", times);
  if (runs >= 100)
    g_assert_cmpuint (ph_sim_percentile (times, 95), <=, 5 * PH_SEC);
}

/* What is promised in docs/protocol.md, When something fails. */
#define MOVE_MAX (2 * PH_SEC)
#define REBINDING_MAX (10 * PH_SEC)
#define VANISHED_MAX (10 * PH_SEC)
#define VANISHED_SAID_MAX (30 * PH_SEC)
#define NO_ANSWER_MAX (30 * PH_SEC)

/* --- Disturbed transfers ------------------------------------------------------------------------ */

typedef struct {
  PhSimWorld *world;
  PhSimStack *stack;
  PhSimPlan plan;
  PhPeerTransfer *transfer;
} Life;

static const PhSimNatConfig port_restricted = {.filtering = PH_SIM_APD};

/* 1 MB at 250 kB/s between two port-restricted NATs, some of it on its way. */
static Life
life_begin (uint64_t seed, const PhSimNatConfig *left, const PhSimNatConfig *right)
{
  Life life = {.plan = {.seed = seed, .side = {{left}, {right}}, .line = CALM_LINES}};

  life.plan.line[0].rate = 250000;
  life.world = ph_sim_world_new (&life.plan);
  life.stack = ph_sim_stack_new (life.world, NULL);
  life.transfer =
      ph_sim_stack_send_one (life.stack, seed % 2 == 0 ? PH_SIM_LEFT : PH_SIM_RIGHT, 1000000);
  g_assert_true (ph_sim_stack_run_ready (life.stack, 5 * PH_SEC));
  ph_sim_stack_run (life.stack, PH_SEC);
  g_assert_cmpint (life.transfer->past, ==, PH_PAST_UNKNOWN);
  g_assert_true (life.transfer->accepted);
  return life;
}

static void
life_end (Life *life, PhTime interval, uint64_t again)
{
  const PhTime at = ph_sim_now (life->world->sim);

  must_be_delivered (life->stack, &life->plan, life->transfer, interval);
  check_delivered (life->stack, &life->plan, life->transfer, again);
  g_test_message ("seed %" G_GUINT64_FORMAT ": delivered after another %" G_GUINT64_FORMAT
                  " ms, links %u",
                  life->plan.seed, (ph_sim_now (life->world->sim) - at) / PH_MSEC,
                  life->stack->device[0].n_ready);
  ph_sim_world_free (life->world);
}

static void
test_undisturbed (void)
{
  for (uint64_t i = 0; i < 4; i++) {
    Life life = life_begin (ph_test_seed () + i, &port_restricted, &port_restricted);

    for (int who = 0; who < 2; who++) {
      g_assert_cmpint (life.stack->device[who].path.kind, ==, PH_PATH_UDP);
      g_assert_cmpuint (life.stack->device[who].first_ready_at, <=, PH_SIM_START + PH_SEC);
    }
    ph_sim_stack_run_over (life.stack, life.transfer, 20 * PH_SEC);
    g_assert_cmpuint (life.stack->device[0].n_ready, ==, 1);
    g_assert_cmpuint (life.stack->device[1].n_ready, ==, 1);
    life_end (&life, 0, 0);
  }
}

/* Who is open cannot call through the other's router, and asks to be called: the signal goes through the
 * rendezvous, and the connection comes from the other side. */
static void
test_reverse_connection (void)
{
  static const PhSimNatConfig boxes[] = {
      {.filtering = PH_SIM_APD},
      {.mapping = PH_SIM_APD, .filtering = PH_SIM_APD, .ports = PH_SIM_PORT_RANDOM},
      {.mapping = PH_SIM_APD,
       .filtering = PH_SIM_APD,
       .ports = PH_SIM_PORT_SEQUENTIAL,
       .port_step = 1},
  };

  for (uint64_t i = 0; i < 2 * G_N_ELEMENTS (boxes); i++) {
    PhSimPlan plan = {.seed = ph_test_seed () + i, .line = CALM_LINES};
    const PhSimWho open = i % 2 == 0 ? PH_SIM_LEFT : PH_SIM_RIGHT;

    plan.side[!open].own = &boxes[i / 2];

    g_autoptr (PhSimWorld) world = ph_sim_world_new (&plan);
    PhSimStack *stack = ph_sim_stack_new (world, NULL);
    PhPeerTransfer *transfer;

    ph_sim_stack_run (stack, PH_SEC);

    const PhTime from = ph_sim_now (world->sim);

    transfer = ph_sim_stack_send_one (stack, open, 100000); /* only that side has a reason */
    must_be_delivered (stack, &plan, transfer, 5 * PH_SEC);
    check_delivered (stack, &plan, transfer, 0);
    for (int who = 0; who < 2; who++) {
      g_assert_cmpint (stack->device[who].path.kind, ==, PH_PATH_UDP);
      g_assert_cmpuint (stack->device[who].first_ready_at, <=, from + PH_SEC);
    }
  }
}

static void
test_same_lan (void)
{
  const PhSimPlan plan = {
      .seed = ph_test_seed (),
      .side = {{&port_restricted}, {&port_restricted}},
      .nearness = PH_SIM_SAME_LAN,
      .line = {calm_line (1), calm_line (1)},
  };
  g_autoptr (PhSimWorld) world = ph_sim_world_new (&plan);
  PhSimStack *stack = ph_sim_stack_new (world, NULL);
  PhPeerTransfer *transfer = ph_sim_stack_send_one (stack, PH_SIM_LEFT, 1000000);

  must_be_delivered (stack, &plan, transfer, 5 * PH_SEC);
  check_delivered (stack, &plan, transfer, 0);
  g_test_message ("1 MB over the LAN, link and all: %" G_GUINT64_FORMAT " ms",
                  (ph_sim_now (world->sim) - PH_SIM_START) / PH_MSEC);
  g_assert_cmpint (stack->device[0].path.kind, ==, PH_PATH_LAN);
  g_assert_cmpint (stack->device[1].path.kind, ==, PH_PATH_LAN);
}

/* Short cuts that the link survives, long ones that it does not. */
static void
test_cuts (void)
{
  for (uint64_t i = 0; i < 8; i++) {
    Life life = life_begin (ph_test_seed () + i, &port_restricted, &port_restricted);
    const PhTime cut = (1 + 3 * i) * PH_SEC;

    ph_sim_iface_cut (life.world->line[i % 2], true);
    ph_sim_stack_run (life.stack, cut);
    ph_sim_iface_cut (life.world->line[i % 2], false);
    life_end (&life, 40 * PH_SEC, WINDOW);
  }
}

static void
test_crashes (void)
{
  for (uint64_t i = 0; i < 8; i++) {
    Life life = life_begin (ph_test_seed () + i, &port_restricted, &port_restricted);

    ph_sim_stack_crash (life.stack, i / 2 % 2 == 0 ? PH_SIM_LEFT : PH_SIM_RIGHT);
    life_end (&life, 40 * PH_SEC, 200000);
  }
}

static void
test_rebinding (void)
{
  for (uint64_t i = 0; i < 6; i++) {
    const PhSimNatConfig box = {.filtering = (PhSimDependence)(i % 3)};
    Life life = life_begin (ph_test_seed () + i, &box, &box);

    PhTime pause;

    ph_sim_nat_forget (life.world->nat[i / 3]);
    pause = ph_sim_stack_longest_pause (life.stack, life.transfer, 20 * PH_SEC);
    g_test_message ("longest pause %" G_GUINT64_FORMAT " ms", pause / PH_MSEC);
    g_assert_cmpuint (pause, <=, REBINDING_MAX);
    life_end (&life, 30 * PH_SEC, WINDOW);
  }
}

/* Routers that an early packet of the peer poisons: the openers come first, whoever calls. */
static void
test_poisonable (void)
{
  for (uint64_t i = 0; i < 40; i++) {
    const PhSimNatConfig box = {.filtering = PH_SIM_APD, .poisonable = true};
    const PhSimPlan plan = {
        .seed = ph_test_seed () + i,
        .side = {{&box}, {&box}},
        .line = {calm_line (3 + i % 7 * 10), calm_line (3 + i % 5 * 15)},
    };
    g_autoptr (PhSimWorld) world = ph_sim_world_new (&plan);
    PhSimStack *stack = ph_sim_stack_new (world, NULL);

    ph_sim_stack_run (stack, PH_SEC);
    ph_sim_stack_want (stack, i % 2 == 0 ? PH_SIM_LEFT : PH_SIM_RIGHT);
    if (i % 3 == 0)
      ph_sim_stack_want (stack, i % 2 == 0 ? PH_SIM_RIGHT : PH_SIM_LEFT);
    if (!ph_sim_stack_run_ready (stack, 3 * PH_SEC))
      ph_sim_plan_fail (&plan, "poisoned");
  }
}

static void
test_new_address (void)
{
  for (uint64_t i = 0; i < 4; i++) {
    const PhAddr ip = ph_addr_ipv4 (192, 168, 1, 77, 0);
    Life life = life_begin (ph_test_seed () + i, &port_restricted, &port_restricted);

    PhTime pause;

    /* As the engine has it while a transfer goes on: the receiver wants the connection as well, and acts when it is the
     * one who has moved. */
    ph_sim_stack_want (life.stack, PH_SIM_LEFT);
    ph_sim_stack_want (life.stack, PH_SIM_RIGHT);
    ph_sim_stack_move (life.stack, i / 2 == 0 ? PH_SIM_LEFT : PH_SIM_RIGHT, &ip);
    pause = ph_sim_stack_longest_pause (life.stack, life.transfer, 10 * PH_SEC);
    g_test_message ("longest pause %" G_GUINT64_FORMAT " ms", pause / PH_MSEC);
    g_assert_cmpuint (pause, <=, MOVE_MAX);
    life_end (&life, 30 * PH_SEC, WINDOW);
  }
}

/* A router on the way begins to swallow large packets. */
static void
test_mtu_shrinks (void)
{
  for (uint64_t i = 0; i < 2; i++) {
    Life life = life_begin (ph_test_seed () + i, &port_restricted, &port_restricted);

    ph_sim_iface_up (life.world->line[1])->mtu = 1280;
    ph_sim_iface_down (life.world->line[1])->mtu = 1280;
    life_end (&life, 60 * PH_SEC, WINDOW);
  }
}

/* The rendezvous goes away once a link is up: nobody needs it. */
static void
test_rendezvous_gone (void)
{
  Life life = life_begin (ph_test_seed (), &port_restricted, &port_restricted);

  ph_sim_stack_set_signalling (life.stack, false);
  life_end (&life, 20 * PH_SEC, 0);
}

/* The other side is gone in mid-file, without a word: the link is given up, what is in the way is said, nothing is
 * over; the file goes on when it is back. */
static void
test_peer_vanishes (void)
{
  for (uint64_t i = 0; i < 4; i++) {
    const PhSimWho gone = i / 2 == 0 ? PH_SIM_LEFT : PH_SIM_RIGHT;
    Life life = life_begin (ph_test_seed () + i, &port_restricted, &port_restricted);
    const PhSimDevice *stays =
        &life.stack->device[gone == PH_SIM_LEFT ? PH_SIM_RIGHT : PH_SIM_LEFT];
    const PhTime from = ph_sim_now (life.world->sim);

    ph_sim_stack_set_signalling (life.stack, false);
    ph_sim_iface_cut (life.world->line[gone], true);
    while (stays->n_closed == 0)
      g_assert_true (ph_sim_step (life.world->sim, from + VANISHED_MAX));
    while (stays->n_failed == 0)
      g_assert_true (ph_sim_step (life.world->sim, from + VANISHED_SAID_MAX));
    g_assert_cmpint (life.transfer->past, ==, PH_PAST_UNKNOWN);
    ph_sim_iface_cut (life.world->line[gone], false);
    ph_sim_stack_set_signalling (life.stack, true);
    life_end (&life, 20 * PH_SEC, WINDOW);
  }
}

/* It is back only a while after the line is. */
static void
test_cut_and_rendezvous_gone (void)
{
  Life life = life_begin (ph_test_seed (), &port_restricted, &port_restricted);

  ph_sim_stack_set_signalling (life.stack, false);
  ph_sim_iface_cut (life.world->line[0], true);
  ph_sim_stack_run (life.stack, 50 * PH_SEC);
  ph_sim_iface_cut (life.world->line[0], false);
  ph_sim_stack_run (life.stack, 50 * PH_SEC);
  ph_sim_stack_set_signalling (life.stack, true);
  life_end (&life, 20 * PH_SEC, WINDOW);
}

/* The box forgets a mapping after 30 s and a finished session rests for ten minutes: then there is another
 * file, and it goes at once. */
static void
test_second_file_after_a_rest (void)
{
  const PhSimNatConfig box = {.filtering = PH_SIM_APD, .timeout_interval = 30 * PH_SEC};
  Life life = life_begin (ph_test_seed (), &box, &box);

  must_be_delivered (life.stack, &life.plan, life.transfer, 20 * PH_SEC);
  ph_sim_stack_run (life.stack, 600 * PH_SEC);
  g_assert_cmpuint (life.stack->device[0].n_closed, ==, 0);
  life.transfer = ph_sim_stack_send_one (life.stack, PH_SIM_RIGHT, 10000);
  life_end (&life, PH_SEC, 0);
}

/* The lid is closed in mid-file: for less than a NAT's patience, for more, for the night. */
static void
test_sleep (void)
{
  static const PhTime naps[] = {4 * PH_SEC, 60 * PH_SEC, 8 * 3600 * PH_SEC};

  for (uint64_t i = 0; i < 2 * G_N_ELEMENTS (naps); i++) {
    const PhSimNatConfig box = {.filtering = PH_SIM_APD, .timeout_interval = 30 * PH_SEC};
    Life life = life_begin (ph_test_seed () + i, &box, &box);

    ph_sim_stack_sleep (life.stack, i % 2 == 0 ? PH_SIM_LEFT : PH_SIM_RIGHT, naps[i / 2]);
    life_end (&life, 20 * PH_SEC, WINDOW);
  }
}

/* Nobody is there for an hour: the attempts become rare, and the first one after that succeeds. */
static void
test_nobody_is_there (void)
{
  const PhSimPlan plan = {
      .seed = ph_test_seed (),
      .side = {{&port_restricted}, {&port_restricted}},
      .line = CALM_LINES,
  };
  g_autoptr (PhSimWorld) world = ph_sim_world_new (&plan);
  PhSimStack *stack = ph_sim_stack_new (world, NULL);
  PhPeerTransfer *transfer;
  const PhSimDevice *left = &stack->device[PH_SIM_LEFT];

  stack->signalling = false;
  transfer = ph_sim_stack_send_one (stack, PH_SIM_LEFT, 10000);
  ph_sim_stack_run (stack, NO_ANSWER_MAX + PH_SEC);
  g_assert_cmpuint (left->n_failed, >=, 1);
  g_assert_cmpint (left->failure, ==, PH_CONNECTOR_FAILURE_NO_ANSWER);
  ph_sim_stack_run (stack, 3600 * PH_SEC);
  g_test_message ("in an hour: %u attempts failed, %u signals, %" G_GUINT64_FORMAT
                  " packets, %" G_GUINT64_FORMAT " wakeups",
                  left->n_failed, left->n_signals, ph_sim_count (world->sim, PH_SIM_SENT),
                  ph_sim_driver_wakeups (left->driver));
  g_assert_cmpuint (left->n_failed, >, 10);
  g_assert_cmpint (left->failure, ==, PH_CONNECTOR_FAILURE_NO_ANSWER);
  g_assert_cmpuint (left->n_signals, <, 150);
  /* The STUN servers, every 20 s from either side, and an answer. */
  g_assert_cmpuint (ph_sim_count (world->sim, PH_SIM_SENT), <, 1000);
  ph_sim_stack_set_signalling (stack, true);
  must_be_delivered (stack, &plan, transfer, 5 * PH_SEC);
  check_delivered (stack, &plan, transfer, 0);
}

/* Whoever answers does not hold the contact's key: nothing of ours reaches them, and that is said. */
static void
test_impostor (void)
{
  for (uint64_t i = 0; i < 8; i++) {
    const PhSimPlan plan = {
        .seed = ph_test_seed () + i,
        .side = {{&port_restricted}, {&port_restricted}},
        .line = CALM_LINES,
    };
    const PhSimStackOptions options = {.impostor = true};
    g_autoptr (PhSimWorld) world = ph_sim_world_new (&plan);
    PhSimStack *stack = ph_sim_stack_new (world, &options);
    PhPeerTransfer *transfer = ph_sim_stack_send_one (stack, PH_SIM_LEFT, 1000);

    ph_sim_stack_run (stack, 60 * PH_SEC);
    g_assert_cmpuint (stack->device[PH_SIM_LEFT].n_ready, ==, 0);
    g_assert_cmpuint (stack->device[PH_SIM_LEFT].n_failed, >, 0);
    g_assert_cmpint (stack->device[PH_SIM_LEFT].failure, ==, PH_CONNECTOR_FAILURE_IDENTITY);
    g_assert_cmpint (transfer->past, ==, PH_PAST_UNKNOWN);
    g_assert_null (ph_sim_stack_twin (stack, transfer));
  }
}

/* Both send, a lot, over one thin line. */
static void
test_both_ways (void)
{
  Life life = life_begin (ph_test_seed (), &port_restricted, &port_restricted);
  PhPeerTransfer *more[6];

  for (unsigned i = 0; i < G_N_ELEMENTS (more); i++)
    more[i] = ph_sim_stack_send (life.stack, i % 2 == 0 ? PH_SIM_LEFT : PH_SIM_RIGHT, 20, 30000);
  for (unsigned i = 0; i < G_N_ELEMENTS (more); i++) {
    must_be_delivered (life.stack, &life.plan, more[i], 60 * PH_SEC);
    check_delivered (life.stack, &life.plan, more[i], 0);
  }
  life_end (&life, 60 * PH_SEC, 0);
}

/* Either side may change its mind in mid-file, also while the line is cut: both know in the end, and nothing
 * stays on disk. */
static void
test_cancel (void)
{
  for (uint64_t i = 0; i < 4; i++) {
    Life life = life_begin (ph_test_seed () + i, &port_restricted, &port_restricted);
    PhPeerTransfer *twin = ph_sim_stack_twin (life.stack, life.transfer);
    const PhSimWho who = i % 2 == 0 ? PH_SIM_LEFT : PH_SIM_RIGHT;
    PhSimDevice *device = &life.stack->device[who];

    ph_sim_iface_cut (life.world->line[0], i >= 2);
    g_assert_true (ph_session_cancel (device->session->session, ph_sim_now (life.world->sim),
                                      &life.transfer->id));
    ph_sim_driver_settle (device->driver);
    ph_sim_stack_run (life.stack, 12 * PH_SEC);
    ph_sim_iface_cut (life.world->line[0], false);
    ph_sim_stack_set_signalling (life.stack, true);
    ph_sim_stack_run (life.stack, 40 * PH_SEC);
    g_assert_cmpint (life.transfer->past, ==, PH_PAST_CANCELLED);
    g_assert_cmpint (twin->past, ==, PH_PAST_CANCELLED);
    g_assert_true (twin->disk->discarded);
    ph_sim_world_free (life.world);
  }
}

/* What an open session costs that nobody uses. */
static void
test_idle_cost (void)
{
  Life life = life_begin (ph_test_seed (), &port_restricted, &port_restricted);

  must_be_delivered (life.stack, &life.plan, life.transfer, 20 * PH_SEC);
  ph_sim_stack_run (life.stack, 10 * PH_SEC);

  const PhSimDevice *left = &life.stack->device[PH_SIM_LEFT];
  const uint64_t wakeups = ph_sim_driver_wakeups (left->driver);
  const uint64_t sent = ph_sim_count (life.world->sim, PH_SIM_SENT);

  ph_sim_stack_run (life.stack, 600 * PH_SEC);
  g_test_message ("in ten idle minutes: %" G_GUINT64_FORMAT " wakeups of a side, %" G_GUINT64_FORMAT
                  " packets of both",
                  ph_sim_driver_wakeups (left->driver) - wakeups,
                  ph_sim_count (life.world->sim, PH_SIM_SENT) - sent);
  g_assert_cmpuint (life.stack->device[0].n_closed, ==, 0);
  g_assert_cmpuint (ph_sim_driver_wakeups (left->driver) - wakeups, <, 3000);
  g_assert_cmpuint (ph_sim_count (life.world->sim, PH_SIM_SENT) - sent, <, 3000);
  ph_sim_world_free (life.world);
}

/* From "send" to the first byte on the other's disk, 50 ms round trip, with the rendezvous 30 ms away. */
static void
test_first_byte (void)
{
  g_autoptr (GArray) times = g_array_new (FALSE, FALSE, sizeof (PhTime));

  for (uint64_t i = 0; i < 20; i++) {
    const PhSimPlan plan = {
        .seed = ph_test_seed () + i,
        .side = {{&port_restricted}, {&port_restricted}},
        .line = CALM_LINES,
    };
    g_autoptr (PhSimWorld) world = ph_sim_world_new (&plan);
    PhSimStack *stack = ph_sim_stack_new (world, NULL);
    const PhPeerTransfer *transfer;

    ph_sim_stack_run (stack,
                      PH_SEC); /* both are there, and know what they look like from outside */

    const PhTime at = ph_sim_now (world->sim);

    transfer = ph_sim_stack_send_one (stack, i % 2 == 0 ? PH_SIM_LEFT : PH_SIM_RIGHT, 100000);
    while (transfer->told[PH_SESSION_EVENT_STARTED] == 0)
      g_assert_true (ph_sim_step (world->sim, at + 10 * PH_SEC));

    const PhTime took = ph_sim_now (world->sim) - at;

    g_array_append_val (times, took);
  }
  print_times ("first byte", times);
  g_assert_cmpuint (ph_sim_percentile (times, 95), <=, 900 * PH_MSEC);
}

/* Limits of either side hold over a real line, with what the line itself has queued. */
static void
test_speed_limit (void)
{
  for (unsigned i = 0; i < 2; i++) {
    const PhSimPlan plan = {
        .seed = ph_test_seed () + i,
        .side = {{&port_restricted}, {&port_restricted}},
        .line = CALM_LINES,
    };
    g_autoptr (PhSimWorld) world = ph_sim_world_new (&plan);
    PhSimStack *stack = ph_sim_stack_new (world, NULL);
    const uint64_t rate = 200000, size = 4000000;
    PhPeerTransfer *transfer;
    PhPacer pacer;
    PhTime at;
    double seconds;

    ph_pacer_init (&pacer);
    if (i == 0) {
      ph_pacer_set_rate (&pacer, ph_sim_now (world->sim), rate);
      ph_session_set_pacer (stack->device[PH_SIM_LEFT].session->session, &pacer);
    } else {
      ph_session_set_limit_down (stack->device[PH_SIM_RIGHT].session->session,
                                 ph_sim_now (world->sim), rate);
    }
    transfer = ph_sim_stack_send_one (stack, PH_SIM_LEFT, size);
    at = ph_sim_now (world->sim);
    while (transfer->told[PH_SESSION_EVENT_STARTED] == 0)
      g_assert_true (ph_sim_step (world->sim, at + 10 * PH_SEC));
    at = ph_sim_now (world->sim);
    g_assert_true (ph_sim_stack_run_over (stack, transfer, 60 * PH_SEC));
    seconds = (double)ph_time_since (ph_sim_now (world->sim), at) / (double)PH_SEC;
    g_test_message ("%u: %.2f s", i, seconds);
    g_assert_cmpfloat (seconds, >, 0.95 * (double)size / (double)rate);
    g_assert_cmpfloat (seconds, <, 1.05 * (double)size / (double)rate);
    ph_session_set_pacer (stack->device[PH_SIM_LEFT].session->session, NULL);
    ph_pacer_clear (&pacer);
  }
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/stack-sim/undisturbed", test_undisturbed);
  g_test_add_func ("/stack-sim/reverse-connection", test_reverse_connection);
  g_test_add_func ("/stack-sim/same-lan", test_same_lan);
  g_test_add_func ("/stack-sim/drawn", test_drawn);
  g_test_add_func ("/stack-sim/cuts", test_cuts);
  g_test_add_func ("/stack-sim/crashes", test_crashes);
  g_test_add_func ("/stack-sim/rebinding", test_rebinding);
  g_test_add_func ("/stack-sim/poisonable", test_poisonable);
  g_test_add_func ("/stack-sim/new-address", test_new_address);
  g_test_add_func ("/stack-sim/mtu-shrinks", test_mtu_shrinks);
  g_test_add_func ("/stack-sim/rendezvous-gone", test_rendezvous_gone);
  g_test_add_func ("/stack-sim/peer-vanishes", test_peer_vanishes);
  g_test_add_func ("/stack-sim/cut-and-rendezvous-gone", test_cut_and_rendezvous_gone);
  g_test_add_func ("/stack-sim/second-file-after-a-rest", test_second_file_after_a_rest);
  g_test_add_func ("/stack-sim/sleep", test_sleep);
  g_test_add_func ("/stack-sim/nobody-is-there", test_nobody_is_there);
  g_test_add_func ("/stack-sim/impostor", test_impostor);
  g_test_add_func ("/stack-sim/both-ways", test_both_ways);
  g_test_add_func ("/stack-sim/cancel", test_cancel);
  g_test_add_func ("/stack-sim/idle-cost", test_idle_cost);
  g_test_add_func ("/stack-sim/first-byte", test_first_byte);
  g_test_add_func ("/stack-sim/speed-limit", test_speed_limit);
  return g_test_run ();
}
