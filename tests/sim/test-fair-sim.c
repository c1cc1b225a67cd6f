/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who gets how much of a line, over both links: small beside large, and speed limits of either side.
 * Several people at once share a limit above the links (test-session.c), and without one the line, here. Times have
 * room for the randomness of TLS. */

#include "tests/sim/ph-sim-crowd.h"
#include "tests/sim/ph-sim-stack.h"
#include "tests/support/ph-test.h"

typedef struct {
  const char *name;
  bool tcp;
} Kind;

static const Kind kinds[] = {{"quic", false}, {"tls", true}};

typedef struct {
  PhSimNatConfig box;
  PhSimPlan plan;
  PhSimWorld *world; /* owned */
} Scene;

/* Two people behind ordinary routers; with `tcp` these let no UDP through. */
static void
scene_begin (Scene *scene, const Kind *kind, const PhSimCable *line)
{
  scene->box = (PhSimNatConfig){.filtering = PH_SIM_APD, .udp_blocked = kind->tcp};
  scene->plan = (PhSimPlan){
      .seed = ph_test_seed (),
      .side = {{&scene->box}, {&scene->box}},
      .line = {*line, {.delay = 5 * PH_MSEC}},
  };
  scene->world = ph_sim_world_new (&scene->plan);
}

static void
scene_clear (Scene *scene)
{
  g_clear_pointer (&scene->world, ph_sim_world_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Scene, scene_clear)

static PhSimStack *
add_stack (Scene *scene, const Kind *kind)
{
  const PhSimStackOptions options = {.tcp = kind->tcp};

  return ph_sim_stack_new (scene->world, &options);
}

static PhTime
scene_now (const Scene *scene)
{
  return ph_sim_now (scene->world->sim);
}

static void
check_kind (const PhSimStack *stack, const Kind *kind)
{
  g_assert_cmpint (stack->device[0].path.kind == PH_PATH_TCP, ==, kind->tcp);
}

/* 2 MB/s and 40 ms there and back. The queue holds what the simulated TCP, whose window is fixed, has under
 * way: congestion is not what is looked at. */
static const PhSimCable line = {
    .delay = 15 * PH_MSEC,
    .rate = 2000000,
    .queue_bytes = 512 << 10,
};

/* --- Two transfers to one person ---------------------------------------------------------------- */

/* 50 kB are 25 ms of this line. Beside a film that has it for itself they get their half from the moment they
 * are offered. */
static void
test_small_beside_large (gconstpointer data)
{
  const Kind *kind = data;
  g_auto (Scene) scene = {0};
  PhSimStack *stack;
  PhPeerTransfer *film, *note;
  PhTime at;

  scene_begin (&scene, kind, &line);
  stack = add_stack (&scene, kind);
  film = ph_sim_stack_send_one (stack, PH_SIM_LEFT, 40000000);
  g_assert_true (ph_sim_stack_run_ready (stack, 5 * PH_SEC));
  check_kind (stack, kind);
  ph_sim_stack_run (stack, 3 * PH_SEC);
  note = ph_sim_stack_send_one (stack, PH_SIM_LEFT, 50000);
  at = scene_now (&scene);
  g_assert_true (ph_sim_stack_run_over (stack, note, 10 * PH_SEC));
  g_assert_cmpint (note->past, ==, PH_PAST_RECEIVED);
  g_test_message ("50 kB beside 40 MB: %" G_GUINT64_FORMAT " ms",
                  (scene_now (&scene) - at) / PH_MSEC);
  g_assert_cmpuint (scene_now (&scene) - at, <=, PH_SEC);
  g_assert_cmpint (film->past, ==, PH_PAST_UNKNOWN);
}

/* Two large ones: neither is ahead of the other by more than a little. */
static void
test_two_to_one (gconstpointer data)
{
  const Kind *kind = data;
  g_auto (Scene) scene = {0};
  PhSimStack *stack;
  PhPeerTransfer *sent[2];

  scene_begin (&scene, kind, &line);
  stack = add_stack (&scene, kind);
  for (unsigned i = 0; i < 2; i++)
    sent[i] = ph_sim_stack_send_one (stack, PH_SIM_LEFT, 40000000);
  g_assert_true (ph_sim_stack_run_ready (stack, 5 * PH_SEC));
  check_kind (stack, kind);
  ph_sim_stack_run (stack, 10 * PH_SEC);
  g_test_message ("%" G_GUINT64_FORMAT " and %" G_GUINT64_FORMAT " bytes",
                  sent[0]->bytes_written_told, sent[1]->bytes_written_told);
  for (unsigned i = 0; i < 2; i++)
    g_assert_cmpuint (sent[i]->bytes_written_told * 10, >, sent[!i]->bytes_written_told * 8);
}

/* --- Transfers to several people ---------------------------------------------------------------- */

#define PEOPLE 3
#define SHARED_SECONDS 40

static PhSimCrowd *
new_crowd (const Kind *kind)
{
  PhSimCrowdOptions options = {
      .seed = ph_test_seed (),
      .others = PEOPLE,
      .tcp = kind->tcp,
      .line = line,
  };

  if (kind->tcp) {
    options.line.queue_bytes *= PEOPLE; /* for as many fixed windows */
    options.line.rate *= PEOPLE; /* so that they wait no longer in it */
  }
  return ph_sim_crowd_new (&options);
}

static void
check_paths (const PhSimCrowd *crowd, const Kind *kind)
{
  for (unsigned i = 0; i < PEOPLE; i++)
    g_assert_cmpint (ph_sim_crowd_path (crowd, i), ==, kind->tcp ? PH_PATH_TCP : PH_PATH_UDP);
}

/* Each gets its third of what goes over the line in 40 s. Congestion control shares it between links of QUIC, by estimates
 * that even out: within a sixth, where 10 s can be two fifths off; the simulated TCP has no such thing, and shows
 * what is above it. */
static void
test_three_people (gconstpointer data)
{
  const Kind *kind = data;
  const double tolerance = kind->tcp ? 0.1 : 0.25;
  g_autoptr (PhSimCrowd) crowd = new_crowd (kind);
  PhPeerTransfer *sent[PEOPLE];
  uint64_t moved[PEOPLE], all = 0;

  for (unsigned i = 0; i < PEOPLE; i++)
    sent[i] = ph_sim_crowd_send (crowd, i, 1000000000);
  ph_sim_crowd_run (crowd, 3 * PH_SEC);
  check_paths (crowd, kind);
  for (unsigned i = 0; i < PEOPLE; i++)
    moved[i] = sent[i]->bytes_written_told;
  ph_sim_crowd_run (crowd, SHARED_SECONDS * PH_SEC);
  for (unsigned i = 0; i < PEOPLE; i++) {
    moved[i] = sent[i]->bytes_written_told - moved[i];
    all += moved[i];
    g_test_message ("person %u: %" G_GUINT64_FORMAT " bytes", i, moved[i]);
  }
  g_assert_cmpuint (all, >, line.rate * SHARED_SECONDS * 8 / 10);
  for (unsigned i = 0; i < PEOPLE; i++)
    g_assert_cmpfloat_with_epsilon ((double)moved[i] * PEOPLE / (double)all, 1, tolerance);
}

/* A note to one while films go to two others: connected, offered, accepted and there within two seconds. */
static void
test_note_beside_films (gconstpointer data)
{
  const Kind *kind = data;
  g_autoptr (PhSimCrowd) crowd = new_crowd (kind);
  PhPeerTransfer *note;
  PhTime at;

  for (unsigned i = 0; i < 2; i++)
    ph_sim_crowd_send (crowd, i, 100000000);
  ph_sim_crowd_run (crowd, 5 * PH_SEC);
  note = ph_sim_crowd_send (crowd, 2, 50000);
  at = ph_sim_crowd_now (crowd);
  g_assert_true (ph_sim_crowd_run_over (crowd, note, 30 * PH_SEC));
  g_assert_cmpint (note->past, ==, PH_PAST_RECEIVED);
  check_paths (crowd, kind);
  g_test_message ("50 kB to the third: %" G_GUINT64_FORMAT " ms",
                  (ph_sim_crowd_now (crowd) - at) / PH_MSEC);
  g_assert_cmpuint (ph_sim_crowd_now (crowd) - at, <=, 2 * PH_SEC);
}

/* --- Speed limits ------------------------------------------------------------------------------- */

/* Over any 10 s of a transfer, whichever side has said it, what arrives is within 5 % of the limit. */
static void
check_limit (const Kind *kind, bool down, uint64_t rate)
{
  const double expected = (double)rate * 10;
  g_auto (Scene) scene = {0};
  PhSimStack *stack;
  PhPeerTransfer *sent;
  PhPacer pacer;

  scene_begin (&scene, kind, &line);
  stack = add_stack (&scene, kind);
  ph_pacer_init (&pacer);
  if (down) {
    ph_session_set_limit_down (stack->device[PH_SIM_RIGHT].session->session, scene_now (&scene),
                               rate);
  } else {
    ph_pacer_set_rate (&pacer, scene_now (&scene), rate);
    ph_session_set_pacer (stack->device[PH_SIM_LEFT].session->session, &pacer);
  }
  sent = ph_sim_stack_send_one (stack, PH_SIM_LEFT, 40 * rate);
  while (sent->told[PH_SESSION_EVENT_STARTED] == 0)
    ph_sim_stack_run (stack, 10 * PH_MSEC);
  check_kind (stack, kind);
  ph_sim_stack_run (stack, PH_SEC);
  for (unsigned i = 0; i < 3; i++) {
    const uint64_t before = sent->bytes_written_told;

    ph_sim_stack_run (stack, 10 * PH_SEC);
    g_test_message ("limit of %" G_GUINT64_FORMAT ": %" G_GUINT64_FORMAT " a second", rate,
                    (sent->bytes_written_told - before) / 10);
    g_assert_cmpfloat_with_epsilon ((double)(sent->bytes_written_told - before), expected,
                                    expected / 20);
  }
  ph_session_set_pacer (stack->device[PH_SIM_LEFT].session->session, NULL);
  ph_pacer_clear (&pacer);
}

static void
test_limit_up (gconstpointer data)
{
  check_limit (data, false, 50000);
  check_limit (data, false, 700000);
}

static void
test_limit_down (gconstpointer data)
{
  check_limit (data, true, 50000);
  check_limit (data, true, 700000);
}

static void
add (const char *name, GTestDataFunc func)
{
  for (size_t i = 0; i < G_N_ELEMENTS (kinds); i++) {
    g_autofree char *path = g_strdup_printf ("/fair-sim/%s/%s", name, kinds[i].name);

    g_test_add_data_func (path, &kinds[i], func);
  }
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  add ("small-beside-large", test_small_beside_large);
  add ("two-to-one", test_two_to_one);
  add ("three-people", test_three_people);
  add ("note-beside-films", test_note_beside_films);
  add ("limit-up", test_limit_up);
  add ("limit-down", test_limit_down);
  return g_test_run ();
}
