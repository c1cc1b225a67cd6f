/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whole devices with TURN servers on the simulated internet: networks that no punch gets through, servers
 * that are slow, full, restarted or dead, and paths that come and go in mid-file. TLS draws its own
 * randomness: outcomes are asserted, times with room. */

#include "tests/sim/ph-sim-stack.h"
#include "tests/support/ph-test.h"

/* What may be sent again after a path died in silence: what was on its way, and what was not yet durable. */
#define WINDOW (1u << 20)

/* What is promised in docs/protocol.md, When something fails. */
#define RELAYED_MAX (3 * PH_SEC)
#define NO_PAIR_MAX (25 * PH_SEC)
#define RELAY_GONE_MAX (8 * PH_SEC)
#define RELAY_DEAD_MAX (12 * PH_SEC)
#define DIRECT_GONE_MAX (6500 * PH_MSEC)

#define calm_line(ms) {.delay = (ms) * PH_MSEC, .rate = 1000000}
#define CALM_LINES {calm_line (12), calm_line (13)}

static const PhSimNatConfig symmetric = {
    .mapping = PH_SIM_APD, .filtering = PH_SIM_APD, .ports = PH_SIM_PORT_RANDOM};

typedef struct {
  PhSimPlan plan;
  PhSimWorld *world; /* owned */
  PhSimStack *stack;
  PhPeerTransfer *transfer;
} Scene;

static Scene
scene_begin (const PhSimNatConfig *left, const PhSimNatConfig *right, unsigned relays)
{
  const PhSimStackOptions options = {.relays = relays};
  Scene scene = {.plan = {.seed = ph_test_seed (), .side = {{left}, {right}}, .line = CALM_LINES}};

  scene.world = ph_sim_world_new (&scene.plan);
  scene.stack = ph_sim_stack_new (scene.world, &options);
  return scene;
}

static void
scene_clear (Scene *scene)
{
  g_clear_pointer (&scene->world, ph_sim_world_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Scene, scene_clear)

static void
scene_send (Scene *scene, uint64_t size)
{
  scene->transfer = ph_sim_stack_send_one (scene->stack, PH_SIM_LEFT, size);
}

/* Sends a file and runs until `at` bytes of it are there. */
static void
scene_send_until (Scene *scene, uint64_t size, uint64_t at)
{
  scene_send (scene, size);
  for (int i = 0; ph_sim_stack_written (scene->stack, scene->transfer) < at; i++) {
    g_assert_cmpint (i, <, 3000);
    ph_sim_stack_run (scene->stack, 10 * PH_MSEC);
  }
  g_assert_cmpint (scene->transfer->past, ==, PH_PAST_UNKNOWN);
}

/* The file arrives whole, told once, at most `again` bytes twice. */
static void
scene_finish (Scene *scene, PhTime interval, uint64_t again)
{
  const PhPeerTransfer *twin;

  g_assert_true (ph_sim_stack_run_over (scene->stack, scene->transfer, interval));
  g_assert_cmpint (scene->transfer->past, ==, PH_PAST_RECEIVED);
  twin = ph_sim_stack_twin (scene->stack, scene->transfer);
  g_assert_nonnull (twin);
  ph_memory_disk_check (twin->disk, scene->transfer->files);
  g_assert_cmpuint (scene->transfer->told[PH_SESSION_EVENT_DELIVERED], ==, 1);
  g_assert_cmpuint (twin->disk->bytes_written, <=,
                    ph_manifest_bytes (scene->transfer->manifest) + again);
}

static void
check_kind (const Scene *scene, PhPathKind kind)
{
  for (int who = 0; who < 2; who++)
    g_assert_cmpint (scene->stack->device[who].path.kind, ==, kind);
}

/* --- Where nothing else gets through ------------------------------------------------------------ */

static void
test_symmetric (void)
{
  g_auto (Scene) scene = scene_begin (&symmetric, &symmetric, 1);
  const PhSimTurnView *turn = &scene.stack->turn[0]->view;

  scene_send (&scene, 2000000);
  g_assert_true (ph_sim_stack_run_ready (scene.stack, RELAYED_MAX));
  g_test_message ("relayed link after %" G_GUINT64_FORMAT " ms",
                  (ph_sim_now (scene.world->sim) - PH_SIM_START) / PH_MSEC);
  scene_finish (&scene, 10 * PH_SEC, 0);
  check_kind (&scene, PH_PATH_RELAY);
  /* Of one relay's client at least what it sends goes through a channel. */
  g_assert_cmpuint (turn->relayed, >, 2000000 / 1452);
  g_assert_cmpuint (turn->channel_data, >, 2000000 / 1452 / 4);
  g_assert_cmpuint (turn->not_permitted, <, 200);
}

/* IPv4 has no relay, IPv6 is filtered between the homes: the relay has an IPv6 address. */
static void
test_ipv6 (void)
{
  const PhSimStackOptions options = {.relays = 1, .relays_ipv6 = true};
  g_auto (Scene) scene = {
      .plan = {.seed = ph_test_seed (),
               .side = {{&symmetric}, {&symmetric}},
               .line = CALM_LINES,
               .ipv6 = true},
  };
  const PhSimDevice *left;

  scene.world = ph_sim_world_new (&scene.plan);
  ph_sim_nat_block (scene.world->nat[PH_SIM_LEFT], &scene.world->ip6[PH_SIM_RIGHT], 0);
  scene.stack = ph_sim_stack_new (scene.world, &options);
  left = &scene.stack->device[PH_SIM_LEFT];
  scene_send (&scene, 500000);
  scene_finish (&scene, 10 * PH_SEC, 0);
  check_kind (&scene, PH_PATH_RELAY);
  g_assert_cmpint (left->path.remote_to.family, ==, PH_FAMILY_IPV6);
  g_assert_cmpuint (scene.stack->turn[0]->view.allocations, ==, 2);
}

static void
note_line (void *user, PhTime now, const char *module, const char *line)
{
  g_string_append_printf (user, "%s: %s\n", module, line);
}

typedef struct {
  unsigned n_relayed, n_silent;
} Reasons;

static bool
count_reason (void *user, const PhIcePair *pair)
{
  Reasons *reasons = user;

  if (ph_path_classify (&pair->local, &pair->remote) == PH_PATH_RELAY)
    reasons->n_relayed++;
  else if (pair->state == PH_ICE_PAIR_FAILED && pair->why == PH_ICE_WHY_SILENT)
    reasons->n_silent++;
  else
    g_error ("a pair that is not relayed, and no reason why it is not used");
  return true;
}

/* Who asks why the path is the relay is told what became of each other pair, and what the routers are like. */
static void
test_says_why (void)
{
  static const PhSimNatConfig strict = {.filtering = PH_SIM_APD};
  static const struct {
    const PhSimNatConfig *right;
    const char *why;
  } cases[] = {
      {&symmetric,
       "our router has random ports, the other one random ports; there is nothing to guess\n"},
      {&strict, "our router has random ports, the other one a strict kind; ports are guessed\n"},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GString) log = g_string_new (NULL);
    const PhSimStackOptions options = {.relays = 1, .guesses = true, .trace = {note_line, log}};
    g_auto (Scene) scene = {.plan = {.seed = ph_test_seed (),
                                     .side = {{&symmetric}, {cases[i].right}},
                                     .line = CALM_LINES}};
    const char *said;
    Reasons reasons = {0};

    scene.world = ph_sim_world_new (&scene.plan);
    scene.stack = ph_sim_stack_new (scene.world, &options);
    ph_sim_stack_run (scene.stack, PH_SEC);
    ph_sim_stack_want (scene.stack, PH_SIM_LEFT);
    ph_sim_stack_want (scene.stack, PH_SIM_RIGHT);
    g_assert_true (ph_sim_stack_run_ready (scene.stack, RELAYED_MAX));
    check_kind (&scene, PH_PATH_RELAY);
    ph_sim_stack_run (scene.stack, 30 * PH_SEC);
    said = strstr (log->str, cases[i].why);
    g_assert_nonnull (said);
    g_assert_null (strstr (said + 1, cases[i].why));
    if (cases[i].right == &strict)
      continue;
    const PhSimDevice *left = &scene.stack->device[PH_SIM_LEFT];

    ph_ice_agent_for_each_pair (
        ph_connector_agent (ph_endpoint_find_peer (left->base.endpoint, left->contact)),
        count_reason, &reasons);
    g_assert_cmpuint (reasons.n_relayed, >, 0);
    g_assert_cmpuint (reasons.n_silent, >, 0);
  }
}

/* What nobody uses is given back. */
static void
test_let_go (void)
{
  g_auto (Scene) scene = scene_begin (&symmetric, &symmetric, 1);
  const PhSimTurnView *turn = &scene.stack->turn[0]->view;

  ph_sim_stack_run (scene.stack, 10 * PH_SEC);
  g_assert_cmpuint (turn->allocated, ==, 0); /* nobody wanted any */
  scene_send (&scene, 10000);
  scene_finish (&scene, 10 * PH_SEC, 0);
  g_assert_cmpuint (turn->allocations, ==, 2);
  for (int who = 0; who < 2; who++) {
    PhSimDevice *device = &scene.stack->device[who];

    ph_connector_close (ph_endpoint_peer (device->base.endpoint, device->contact),
                        ph_sim_now (scene.world->sim), 0, "done");
    ph_sim_driver_settle (device->driver);
  }
  ph_sim_stack_run (scene.stack, PH_RELAYS_LINGER + 5 * PH_SEC);
  g_assert_cmpuint (turn->allocations, ==, 0);
}

/* --- Servers ------------------------------------------------------------------------------------ */

static void
slow_down (Scene *scene, unsigned server, PhTime delay)
{
  PhSimNode *node = (PhSimNode *)scene->stack->turn[server]->view.host;

  ph_sim_iface_up (node->ifaces->pdata[0])->delay = delay;
}

/* The one that answers first is kept, and the others hear that they are not needed. */
static void
test_fastest (void)
{
  g_auto (Scene) scene = scene_begin (&symmetric, &symmetric, 3);

  slow_down (&scene, 0, 100 * PH_MSEC);
  slow_down (&scene, 2, 60 * PH_MSEC);
  scene_send (&scene, 500000);
  scene_finish (&scene, 10 * PH_SEC, 0);
  ph_sim_stack_run (scene.stack, 2 * PH_SEC);
  g_assert_cmpuint (scene.stack->turn[0]->view.allocations, ==, 0);
  g_assert_cmpuint (scene.stack->turn[1]->view.allocations, ==, 2);
  g_assert_cmpuint (scene.stack->turn[2]->view.allocations, ==, 0);
  g_assert_cmpuint (scene.stack->turn[0]->view.relayed, ==, 0);
}

static void
test_restart (void)
{
  g_auto (Scene) scene = scene_begin (&symmetric, &symmetric, 1);
  PhTime pause;

  scene_send_until (&scene, 5000000, 500000);
  ph_sim_turn_restart (scene.stack->turn[0]);

  pause = ph_sim_stack_longest_pause (scene.stack, scene.transfer, 20 * PH_SEC);
  g_test_message ("longest pause %" G_GUINT64_FORMAT " ms", pause / PH_MSEC);
  g_assert_cmpuint (pause, <, RELAY_GONE_MAX);
  scene_finish (&scene, 20 * PH_SEC, WINDOW);
}

static void
test_dies (void)
{
  g_auto (Scene) scene = scene_begin (&symmetric, &symmetric, 2);
  unsigned used;
  PhTime pause;

  scene_send_until (&scene, 5000000, 500000);
  used = scene.stack->turn[0]->view.relayed > scene.stack->turn[1]->view.relayed ? 0 : 1;
  scene.stack->turn[used]->view.dead = true;
  pause = ph_sim_stack_longest_pause (scene.stack, scene.transfer, 40 * PH_SEC);
  g_test_message ("longest pause %" G_GUINT64_FORMAT " ms", pause / PH_MSEC);
  g_assert_cmpuint (pause, <, RELAY_DEAD_MAX);
  scene_finish (&scene, 40 * PH_SEC, WINDOW);
  check_kind (&scene, PH_PATH_RELAY);
  g_assert_cmpuint (scene.stack->turn[!used]->view.relayed, >, 1000);
}

static void
test_wrong_credentials (void)
{
  g_auto (Scene) scene = scene_begin (&symmetric, &symmetric, 1);

  ph_sim_stack_set_relay_password (scene.stack, "wrong");
  scene_send (&scene, 100000);
  g_assert_false (ph_sim_stack_run_ready (scene.stack, NO_PAIR_MAX));
  g_assert_cmpint (scene.stack->device[0].failure, ==, PH_CONNECTOR_FAILURE_NO_PAIR);
  /* A server that says no is not asked all the time. */
  g_assert_cmpuint (scene.stack->turn[0]->view.refused, <, 30);
  ph_sim_stack_set_relay_password (scene.stack, PH_SIM_TURN_PASSWORD);
  g_assert_true (ph_sim_stack_run_ready (scene.stack, 20 * PH_SEC));
  scene_finish (&scene, 10 * PH_SEC, 0);
}

/* Credentials of the REST scheme end in mid-file, after others have come. coturn lets an allocation live on under
 * the name that made it; one that has to be made anew gets the new name, without a refusal on the way. */
static void
test_credentials_renewed (void)
{
  g_auto (Scene) scene = scene_begin (&symmetric, &symmetric, 1);
  PhSimTurnView *turn = &scene.stack->turn[0]->view;

  scene_send_until (&scene, 3000000, 500000);
  ph_sim_stack_renew_relay_credentials (scene.stack, PH_NEVER);
  ph_sim_stack_run (scene.stack, 300 * PH_MSEC);
  turn->expired = true;
  scene_finish (&scene, 20 * PH_SEC, 0);
  check_kind (&scene, PH_PATH_RELAY);
  g_assert_cmpuint (turn->allocated, ==, 2);

  /* Over the time at which an allocation is refreshed, permissions and channels too. */
  ph_sim_stack_run (scene.stack, 1300 * PH_SEC);
  g_assert_true (ph_sim_stack_is_ready (scene.stack));
  g_assert_cmpuint (turn->allocated, ==, 2);
  g_assert_cmpuint (turn->foreign, ==, 0);
  g_assert_cmpuint (turn->refused, ==, 0);

  /* The server starts anew: only the new name counts. */
  scene_send_until (&scene, 3000000, 500000);
  ph_sim_turn_restart (scene.stack->turn[0]);
  scene_finish (&scene, 30 * PH_SEC, WINDOW);
  g_assert_cmpuint (turn->allocated, >=, 3);
  g_assert_cmpuint (turn->refused, <, 10);
}

/* The longest time within `interval` without a link that is ready at both ends. */
static PhTime
longest_absence (Scene *scene, PhTime interval)
{
  const PhTime until = ph_sim_now (scene->world->sim) + interval;
  PhTime last = ph_sim_now (scene->world->sim), longest = 0;

  while (ph_sim_now (scene->world->sim) < until) {
    ph_sim_stack_run (scene->stack, 50 * PH_MSEC);
    longest = MAX (longest, ph_sim_now (scene->world->sim) - last);
    if (ph_sim_stack_is_ready (scene->stack))
      last = ph_sim_now (scene->world->sim);
  }
  return longest;
}

/* A server to which a name that has ended is no good for what it has made, either: the new name may neither use
 * that (441) nor have another from the same socket (437) until it has run out. */
static void
test_strict_credentials (void)
{
  g_auto (Scene) scene = scene_begin (&symmetric, &symmetric, 1);
  PhSimTurnView *turn = &scene.stack->turn[0]->view;
  PhTime absence;

  turn->strict = true;
  scene_send (&scene, 500000);
  scene_finish (&scene, 10 * PH_SEC, 0);
  ph_sim_stack_renew_relay_credentials (scene.stack, PH_NEVER);
  turn->expired = true;
  /* Permissions are refreshed, and refused, after four minutes. */
  absence = longest_absence (&scene, 700 * PH_SEC);
  g_test_message ("no link for %" G_GUINT64_FORMAT " ms, %u refusals", absence / PH_MSEC,
                  turn->refused);
  g_assert_cmpuint (absence, <, RELAYED_MAX);
  g_assert_cmpuint (turn->foreign, >=, 2);
  g_assert_cmpuint (turn->refused, <, 40);
  check_kind (&scene, PH_PATH_RELAY);
  for (int who = 0; who < 2; who++)
    g_assert_cmpuint (scene.stack->device[who].fresh_sockets, ==, 1);
  scene_send (&scene, 500000);
  scene_finish (&scene, 10 * PH_SEC, 0);
}

/* Where it is known when the names end, that server's refusals are not waited for: there is another allocation, and a
 * link through it, before. */
static void
test_strict_credentials_ahead (void)
{
  const PhTime end = PH_SIM_START + 150 * PH_SEC;
  const PhSimStackOptions options = {.relays = 1, .relay_names_end_at = end};
  g_auto (Scene) scene = {
      .plan = {.seed = ph_test_seed (), .side = {{&symmetric}, {&symmetric}}, .line = CALM_LINES}};
  PhSimTurnView *turn;
  PhTime absence;

  scene.world = ph_sim_world_new (&scene.plan);
  scene.stack = ph_sim_stack_new (scene.world, &options);
  turn = &scene.stack->turn[0]->view;
  turn->strict = true;
  scene_send (&scene, 500000);
  scene_finish (&scene, 10 * PH_SEC, 0);
  ph_sim_stack_renew_relay_credentials (scene.stack, end + 1000 * PH_SEC);
  ph_sim_stack_run (scene.stack, 60 * PH_SEC);
  g_assert_cmpuint (turn->allocated, ==, 2);

  absence = longest_absence (&scene, PH_RELAYS_AHEAD + 30 * PH_SEC);
  g_test_message ("no link for %" G_GUINT64_FORMAT " ms, %u refusals", absence / PH_MSEC,
                  turn->refused);
  g_assert_cmpuint (absence, <=, 50 * PH_MSEC);
  g_assert_cmpuint (ph_sim_now (scene.world->sim), >, end);
  turn->expired = true;
  absence = longest_absence (&scene, 700 * PH_SEC);
  g_assert_cmpuint (absence, <=, 50 * PH_MSEC);
  g_assert_cmpuint (turn->allocated, ==, 4);
  g_assert_cmpuint (turn->allocations, ==, 2);
  g_assert_cmpuint (turn->foreign, ==, 0);
  g_assert_cmpuint (turn->refused, ==, 0);
  check_kind (&scene, PH_PATH_RELAY);
  scene_send (&scene, 500000);
  scene_finish (&scene, 10 * PH_SEC, 0);
}

/* One allocation is enough for two; without any, the second server is. */
static void
test_full (void)
{
  for (unsigned quota = 0; quota < 2; quota++) {
    g_auto (Scene) scene = scene_begin (&symmetric, &symmetric, 2);

    scene.stack->turn[0]->view.quota = quota + 1;
    scene.stack->turn[1]->view.dead = quota == 0;
    scene_send (&scene, 300000);
    g_assert_true (ph_sim_stack_run_ready (scene.stack, RELAYED_MAX));
    scene_finish (&scene, 10 * PH_SEC, 0);
    check_kind (&scene, PH_PATH_RELAY);
  }
}

/* The STUN server is silent, to both: nobody knows the own address, and the relay serves all the same. */
static void
test_stun_silent (void)
{
  g_auto (Scene) scene = scene_begin (&symmetric, &symmetric, 1);

  for (int who = 0; who < 2; who++)
    ph_sim_nat_block (scene.world->nat[who], &scene.world->stun, 0);
  scene_send (&scene, 300000);
  g_assert_true (ph_sim_stack_run_ready (scene.stack, RELAYED_MAX));
  scene_finish (&scene, 15 * PH_SEC, 0);
  check_kind (&scene, PH_PATH_RELAY);
}

/* Every candidate of either side leads nowhere: said within 25 s, and tried again until one does. */
static void
test_all_candidates_false (void)
{
  g_auto (Scene) scene = scene_begin (&symmetric, &symmetric, 0);

  scene_send (&scene, 100000);
  g_assert_false (ph_sim_stack_run_ready (scene.stack, NO_PAIR_MAX));
  for (int who = 0; who < 2; who++) {
    g_assert_cmpuint (scene.stack->device[who].n_failed, >=, 1);
    g_assert_cmpint (scene.stack->device[who].failure, ==, PH_CONNECTOR_FAILURE_NO_PAIR);
  }
  g_assert_cmpuint (ph_sim_stack_written (scene.stack, scene.transfer), ==, 0);
}

/* --- Moving ------------------------------------------------------------------------------------- */

static const PhSimNatConfig port_restricted = {.filtering = PH_SIM_APD};

/* What the homes may send each other but through a relay: packets of so many bytes. */
static void
limit_direct (Scene *scene, size_t len_max)
{
  const PhAddr right = ph_addr_ipv4 (203, 0, 113, 30, 0);

  ph_sim_nat_block (scene->world->nat[PH_SIM_LEFT], &right, len_max);
}

static void
set_direct (Scene *scene, bool possible)
{
  limit_direct (scene, possible ? SIZE_MAX : 0);
}

/* Relayed at first; then the direct path opens, and the file moves over without a pause, and no byte goes
 * twice. */
static void
test_becomes_direct (void)
{
  g_auto (Scene) scene = scene_begin (&port_restricted, &port_restricted, 1);
  uint64_t relayed;
  PhTime pause;

  set_direct (&scene, false);
  scene_send_until (&scene, 10000000, 500000);
  check_kind (&scene, PH_PATH_RELAY);
  set_direct (&scene, true);
  pause = ph_sim_stack_longest_pause (scene.stack, scene.transfer, 6 * PH_SEC);
  g_test_message ("longest pause %" G_GUINT64_FORMAT " ms", pause / PH_MSEC);
  g_assert_cmpuint (pause, <, 500 * PH_MSEC);
  check_kind (&scene, PH_PATH_UDP);
  relayed = scene.stack->turn[0]->view.relayed;
  scene_finish (&scene, 20 * PH_SEC, 0);
  /* What is left of the relay is kept warm, not used. */
  g_assert_cmpuint (scene.stack->turn[0]->view.relayed - relayed, <, 300);
  g_assert_cmpuint (scene.stack->turn[0]->view.allocations, ==, 2);
}

/* The first minute's checks are over: the next minute's find it. */
static void
test_becomes_direct_late (void)
{
  g_auto (Scene) scene = scene_begin (&port_restricted, &port_restricted, 1);

  set_direct (&scene, false);
  ph_sim_stack_want (scene.stack, PH_SIM_LEFT);
  g_assert_true (ph_sim_stack_run_ready (scene.stack, 3 * PH_SEC));
  ph_sim_stack_run (scene.stack, 40 * PH_SEC);
  check_kind (&scene, PH_PATH_RELAY);
  set_direct (&scene, true);
  ph_sim_stack_run (scene.stack, 35 * PH_SEC);
  check_kind (&scene, PH_PATH_UDP);
}

/* The direct path dies in silence: the warm relay takes over, and gives back when the path has come back. */
static void
test_direct_dies (void)
{
  g_auto (Scene) scene = scene_begin (&port_restricted, &port_restricted, 1);
  PhTime pause;

  scene_send_until (&scene, 20000000, 500000);
  check_kind (&scene, PH_PATH_UDP);
  set_direct (&scene, false);
  pause = ph_sim_stack_longest_pause (scene.stack, scene.transfer, 10 * PH_SEC);
  g_test_message ("longest pause %" G_GUINT64_FORMAT " ms", pause / PH_MSEC);
  g_assert_cmpuint (pause, <, DIRECT_GONE_MAX);
  check_kind (&scene, PH_PATH_RELAY);
  set_direct (&scene, true);
  pause = ph_sim_stack_longest_pause (scene.stack, scene.transfer, 8 * PH_SEC);
  g_assert_cmpuint (pause, <, 500 * PH_MSEC);
  check_kind (&scene, PH_PATH_UDP);
  scene_finish (&scene, 30 * PH_SEC, WINDOW);
}

/* Checks pass directly, full-size packets do not: the file stays on the relay, and nothing is lost by trying. */
static void
test_narrow_direct (void)
{
  g_auto (Scene) scene = scene_begin (&port_restricted, &port_restricted, 1);
  PhTime pause;

  limit_direct (&scene, 1000);
  scene_send (&scene, 10000000);
  g_assert_true (ph_sim_stack_run_ready (scene.stack, 20 * PH_SEC));
  pause = ph_sim_stack_longest_pause (scene.stack, scene.transfer, 20 * PH_SEC);
  g_assert_cmpuint (pause, <, 15 * PH_SEC);
  check_kind (&scene, PH_PATH_RELAY);
  scene_finish (&scene, 30 * PH_SEC, 0);
}

/* A path that dies again and again is not taken at once every time that it comes back. */
static void
test_flapping (void)
{
  g_auto (Scene) scene = scene_begin (&port_restricted, &port_restricted, 1);

  ph_sim_stack_want (scene.stack, PH_SIM_LEFT);
  g_assert_true (ph_sim_stack_run_ready (scene.stack, 3 * PH_SEC));
  for (int i = 0; i < 40; i++) {
    set_direct (&scene, i % 2 != 0);
    ph_sim_stack_run (scene.stack, 4 * PH_SEC);
  }
  g_test_message ("%u and %u links in 160 s", scene.stack->device[0].n_ready,
                  scene.stack->device[1].n_ready);
  g_assert_cmpuint (scene.stack->device[0].n_ready, <, 20);
  g_assert_true (ph_sim_stack_is_ready (scene.stack));
}

static bool
is_selected (void *user)
{
  const PhSimDevice *device = user;
  const PhIceAgent *agent =
      ph_connector_agent (ph_endpoint_find_peer (device->base.endpoint, device->contact));
  PhIcePair pair;

  return agent != NULL && ph_ice_agent_selected (agent, &pair);
}

static PhPathKind
current_kind (const PhSimDevice *device)
{
  const PhConnector *connector = ph_endpoint_find_peer (device->base.endpoint, device->contact);
  const PhLink *link = ph_session_current_link (device->session->session);
  PhPath path;

  g_assert_nonnull (link);
  g_assert_true (ph_connector_link_path (connector, link, &path));
  return path.kind;
}

static void
set_relay (Scene *scene, bool open)
{
  PhSimNode *server = (PhSimNode *)scene->stack->turn[0]->view.host;

  ph_sim_iface_cut (server->ifaces->pdata[0], !open);
}

static void
want_relayed (Scene *scene)
{
  set_direct (scene, false);
  ph_sim_stack_want (scene->stack, PH_SIM_LEFT);
  ph_sim_stack_want (scene->stack, PH_SIM_RIGHT);
}

static void
check_stays_direct (Scene *scene)
{
  ph_sim_stack_run (scene->stack, 10 * PH_SEC);
  for (int who = 0; who < 2; who++) {
    g_assert_cmpint (current_kind (&scene->stack->device[who]), ==, PH_PATH_UDP);
    g_assert_cmpuint (scene->stack->device[who].links->len, ==, 1);
  }
}

/* The relayed link's handshake takes so long that the direct one is up first: it stays with that one. */
static void
test_relayed_link_is_late (void)
{
  g_auto (Scene) scene = scene_begin (&port_restricted, &port_restricted, 1);

  want_relayed (&scene);
  for (int who = 0; who < 2; who++)
    g_assert_true (ph_sim_run_while_not (scene.world->sim, PH_SIM_START + 5 * PH_SEC, is_selected,
                                         &scene.stack->device[who]));
  set_relay (&scene, false);
  g_assert_false (ph_sim_stack_is_ready (scene.stack));
  set_direct (&scene, true);
  g_assert_true (ph_sim_stack_run_ready (scene.stack, 5 * PH_SEC));
  g_assert_cmpint (current_kind (&scene.stack->device[0]), ==, PH_PATH_UDP);
  set_relay (&scene, true);
  check_stays_direct (&scene);
}

static PhConnector *
client_of (Scene *scene, PhSimDevice **ret_device)
{
  for (int who = 0; who < 2; who++) {
    PhSimDevice *device = &scene->stack->device[who];
    PhConnector *connector = ph_endpoint_find_peer (device->base.endpoint, device->contact);

    *ret_device = device;
    if (ph_connector_is_client (connector))
      return connector;
  }
  g_assert_not_reached ();
}

static bool
has_begun (void *user)
{
  return ph_connector_nth_link (user, 0) != NULL;
}

/* A link over UDP that can be written to, and is not up yet. */
static bool
has_direct_begun (void *user)
{
  const PhConnector *connector = user;
  PhLink *link;
  PhPath path;

  for (unsigned i = 0; (link = ph_connector_nth_link (connector, i)) != NULL; i++) {
    if (ph_link_state (link) == PH_LINK_CONNECTING && ph_link_is_writable (link)
        && ph_connector_link_path (connector, link, &path) && path.kind == PH_PATH_UDP)
      return true;
  }
  return false;
}

static bool
has_link (void *user)
{
  const PhSimDevice *device = user;

  return device->links->len > 0;
}

/* The relayed link was begun first, can be written to last, and is up first. */
static void
test_direct_link_is_overtaken (void)
{
  g_auto (Scene) scene = scene_begin (&port_restricted, &port_restricted, 1);
  const PhTime until = PH_SIM_START + 20 * PH_SEC;
  PhSimDevice *client;
  PhConnector *connector;

  want_relayed (&scene);
  connector = client_of (&scene, &client);
  g_assert_true (ph_sim_run_while_not (scene.world->sim, until, has_begun, connector));
  set_relay (&scene, false);
  set_direct (&scene, true);
  g_assert_true (ph_sim_run_while_not (scene.world->sim, until, has_direct_begun, connector));
  set_direct (&scene, false);
  set_relay (&scene, true);
  g_assert_true (ph_sim_run_while_not (scene.world->sim, until, has_link, client));
  g_assert_true (has_direct_begun (connector));
  set_direct (&scene, true);
  check_stays_direct (&scene);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/relay-sim/symmetric", test_symmetric);
  g_test_add_func ("/relay-sim/ipv6", test_ipv6);
  g_test_add_func ("/relay-sim/says-why", test_says_why);
  g_test_add_func ("/relay-sim/let-go", test_let_go);
  g_test_add_func ("/relay-sim/fastest", test_fastest);
  g_test_add_func ("/relay-sim/restart", test_restart);
  g_test_add_func ("/relay-sim/dies", test_dies);
  g_test_add_func ("/relay-sim/wrong-credentials", test_wrong_credentials);
  g_test_add_func ("/relay-sim/credentials-renewed", test_credentials_renewed);
  g_test_add_func ("/relay-sim/strict-credentials", test_strict_credentials);
  g_test_add_func ("/relay-sim/strict-credentials-ahead", test_strict_credentials_ahead);
  g_test_add_func ("/relay-sim/full", test_full);
  g_test_add_func ("/relay-sim/stun-silent", test_stun_silent);
  g_test_add_func ("/relay-sim/all-candidates-false", test_all_candidates_false);
  g_test_add_func ("/relay-sim/becomes-direct", test_becomes_direct);
  g_test_add_func ("/relay-sim/becomes-direct-late", test_becomes_direct_late);
  g_test_add_func ("/relay-sim/direct-dies", test_direct_dies);
  g_test_add_func ("/relay-sim/narrow-direct", test_narrow_direct);
  g_test_add_func ("/relay-sim/flapping", test_flapping);
  g_test_add_func ("/relay-sim/relayed-link-is-late", test_relayed_link_is_late);
  g_test_add_func ("/relay-sim/direct-link-is-overtaken", test_direct_link_is_overtaken);
  return g_test_run ();
}
