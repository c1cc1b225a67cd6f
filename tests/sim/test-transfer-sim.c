/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Transfers over whole simulated stacks: what people do with them (cancel, pause, decline, several at a
 * time) on lines that lose, double and reorder, and how well they use a line. What networks do to them is in
 * test-stack-sim.c. TLS draws its own randomness: outcomes are asserted, times with room. */

#include "tests/sim/ph-sim-stack.h"
#include "tests/support/ph-test.h"

static const PhSimNatConfig port_restricted = {.filtering = PH_SIM_APD};

typedef struct {
  PhSimPlan plan;
  PhSimWorld *world; /* owned */
  PhSimStack *stack;
} Scene;

/* Two people behind ordinary routers; `line` is the left one's. */
static Scene
scene_begin (uint64_t seed, const PhSimCable *line)
{
  Scene scene = {.plan = {
                     .seed = seed,
                     .side = {{&port_restricted}, {&port_restricted}},
                     .line = {*line, {.delay = 5 * PH_MSEC}},
                 }};

  scene.world = ph_sim_world_new (&scene.plan);
  scene.stack = ph_sim_stack_new (scene.world, NULL);
  return scene;
}

static void
scene_clear (Scene *scene)
{
  g_clear_pointer (&scene->world, ph_sim_world_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Scene, scene_clear)

/* 1 MB/s and 40 ms there and back. */
static const PhSimCable plain_line = {.delay = 15 * PH_MSEC, .rate = 1000000};
/* A bad one. */
static const PhSimCable bad_line = {
    .delay = 15 * PH_MSEC,
    .jitter = 5 * PH_MSEC,
    .rate = 1000000,
    .loss_ppm = 20000,
    .duplicate_ppm = 10000,
    .reorder_ppm = 20000,
    .reorder_delay = 20 * PH_MSEC,
};

static PhTime
scene_now (const Scene *scene)
{
  return ph_sim_now (scene->world->sim);
}

static void
must_end (Scene *scene, const PhPeerTransfer *sent, PhPast past, PhTime interval)
{
  if (!ph_sim_stack_run_over (scene->stack, sent, interval))
    g_error ("seed %" G_GUINT64_FORMAT ": not over after %" G_GUINT64_FORMAT
             " ms, %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " bytes written",
             scene->plan.seed, interval / PH_MSEC, sent->bytes_written_told,
             ph_manifest_bytes (sent->manifest));
  if (sent->past != past)
    g_error ("seed %" G_GUINT64_FORMAT ": ended as %d", scene->plan.seed, sent->past);
}

static void
check_whole (Scene *scene, const PhPeerTransfer *sent)
{
  const PhPeerTransfer *got = ph_sim_stack_twin (scene->stack, sent);

  g_assert_nonnull (got);
  g_assert_cmpint (got->past, ==, PH_PAST_RECEIVED);
  g_assert_cmpuint (sent->told[PH_SESSION_EVENT_DELIVERED], ==, 1);
  ph_memory_disk_check (got->disk, sent->files);
}

static void
check_no_link_errors (const Scene *scene)
{
  for (int who = 0; who < 2; who++)
    g_assert_cmpuint (scene->stack->device[who].session->told[PH_SESSION_EVENT_LINK_ERROR], ==, 0);
}

typedef bool (*SessionFunc) (PhSession *session, PhTime now, const PhTransferId *id);

/* A person does something to a transfer. */
static bool
act (Scene *scene, unsigned who, SessionFunc func, const PhPeerTransfer *transfer)
{
  PhSimDevice *device = &scene->stack->device[who];
  const bool done = func (device->session->session, scene_now (scene), &transfer->id);

  ph_sim_driver_settle (device->driver);
  return done;
}

static bool
decline (PhSession *session, PhTime now, const PhTransferId *id)
{
  return ph_session_decline (session, now, id, PH_DECLINE_PERSON);
}

/* --- How well a line is used -------------------------------------------------------------------- */

static void
check_speed (const char *what, unsigned count, uint64_t size_max, const PhSimCable *line,
             unsigned percent_min)
{
  g_auto (Scene) scene = scene_begin (ph_test_seed (), line);
  PhPeerTransfer *sent;
  PhTime started;

  scene.stack->device[1].session->ops_max = 4000;
  sent = count == 1 ? ph_sim_stack_send_one (scene.stack, PH_SIM_LEFT, size_max)
                    : ph_sim_stack_send (scene.stack, PH_SIM_LEFT, count, size_max);
  sent->files->chunk_max = 262144;
  g_assert_true (ph_sim_stack_run_ready (scene.stack, 5 * PH_SEC));
  started = scene_now (&scene);
  must_end (&scene, sent, PH_PAST_RECEIVED, 120 * PH_SEC);
  check_whole (&scene, sent);

  const PhTime took = scene_now (&scene) - started;
  const uint64_t rate = ph_manifest_bytes (sent->manifest) * 1000 / (took / PH_MSEC);

  g_test_message ("%s: %" G_GUINT64_FORMAT " kB in %" G_GUINT64_FORMAT " ms, %" G_GUINT64_FORMAT
                  " %% of the line",
                  what, ph_manifest_bytes (sent->manifest) / 1000, took / PH_MSEC,
                  rate * 100 / line->rate);
  g_assert_cmpuint (rate * 100 / line->rate, >=, percent_min);
}

static void
test_speed (void)
{
  const PhSimCable fast = {.delay = 20 * PH_MSEC, .rate = 10000000, .queue_bytes = 1 << 20};

  check_speed ("one file", 1, 30000000, &fast, 80);
  check_speed ("a thousand files", 1000, 30000, &fast, 70);
}

/* From a link that is there and an offer to the first byte on the other one's disk: three trips, and the disk. */
static void
test_first_byte (void)
{
  g_auto (Scene) scene = scene_begin (ph_test_seed (), &plain_line);
  PhPeerTransfer *sent;
  PhTime offered;

  ph_sim_stack_want (scene.stack, PH_SIM_LEFT);
  g_assert_true (ph_sim_stack_run_ready (scene.stack, 5 * PH_SEC));
  ph_sim_stack_run (scene.stack, PH_SEC);
  sent = ph_sim_stack_send (scene.stack, PH_SIM_LEFT, 20, 30000);
  offered = scene_now (&scene);
  while (sent->told[PH_SESSION_EVENT_STARTED] == 0) {
    ph_sim_stack_run (scene.stack, PH_MSEC);
    g_assert_cmpuint (scene_now (&scene) - offered, <, PH_SEC);
  }
  g_test_message ("told of the first byte after %" G_GUINT64_FORMAT " ms",
                  (scene_now (&scene) - offered) / PH_MSEC);
  /* Offer, accept, data, report: four times 20 ms; the rest is the disk's pace and acknowledgements. */
  g_assert_cmpuint (scene_now (&scene) - offered, <=, 120 * PH_MSEC);
  must_end (&scene, sent, PH_PAST_RECEIVED, 10 * PH_SEC);
}

/* A note is not held up by a film: it shares the line from the moment it is sent. */
static void
test_small_beside_large (void)
{
  g_auto (Scene) scene = scene_begin (ph_test_seed (), &plain_line);
  PhPeerTransfer *film = ph_sim_stack_send_one (scene.stack, PH_SIM_LEFT, 20000000);
  PhPeerTransfer *note;
  PhTime sent_at;

  g_assert_true (ph_sim_stack_run_ready (scene.stack, 5 * PH_SEC));
  ph_sim_stack_run (scene.stack, 3 * PH_SEC);
  note = ph_sim_stack_send_one (scene.stack, PH_SIM_LEFT, 50000);
  sent_at = scene_now (&scene);
  must_end (&scene, note, PH_PAST_RECEIVED, 10 * PH_SEC);
  g_test_message ("50 kB beside 20 MB: %" G_GUINT64_FORMAT " ms",
                  (scene_now (&scene) - sent_at) / PH_MSEC);
  g_assert_cmpuint (scene_now (&scene) - sent_at, <=, PH_SEC);
  g_assert_cmpint (film->past, ==, PH_PAST_UNKNOWN);

  /* And who changes their mind is heard at once, whatever is queued. */
  g_assert_true (act (&scene, 0, ph_session_cancel, film));
  sent_at = scene_now (&scene);
  while (ph_sim_stack_twin (scene.stack, film)->past == PH_PAST_UNKNOWN)
    ph_sim_stack_run (scene.stack, PH_MSEC);
  g_test_message ("a cancel arrives after %" G_GUINT64_FORMAT " ms",
                  (scene_now (&scene) - sent_at) / PH_MSEC);
  g_assert_cmpuint (scene_now (&scene) - sent_at, <=, 500 * PH_MSEC);
  check_no_link_errors (&scene);
}

/* --- What people do ----------------------------------------------------------------------------- */

static void
test_decline (void)
{
  g_auto (Scene) scene = scene_begin (ph_test_seed (), &bad_line);
  PhPeerTransfer *sent;
  PhPeerTransfer *got;

  scene.stack->device[1].session->accepts = false;
  sent = ph_sim_stack_send (scene.stack, PH_SIM_LEFT, 10, 10000);
  while ((got = ph_sim_stack_twin (scene.stack, sent)) == NULL)
    ph_sim_stack_run (scene.stack, 10 * PH_MSEC);
  g_assert_true (act (&scene, 1, decline, sent));
  must_end (&scene, sent, PH_PAST_DECLINED, 5 * PH_SEC);
  g_assert_null (got->disk);
  check_no_link_errors (&scene);
}

/* Cancelled by either side at any time: both agree on how it ended, and the next transfer goes well. */
static void
test_cancel (void)
{
  const uint64_t runs = ph_sim_runs (30, 1000);

  for (uint64_t i = 0; i < runs; i++) {
    g_auto (Scene) scene = scene_begin (ph_test_seed () + i, &bad_line);
    const PhRandom *random = ph_sim_random_for (scene.world->sim, "people");
    const unsigned who = (unsigned)ph_random_below (random, 2);
    PhPeerTransfer *sent = ph_sim_stack_send (scene.stack, PH_SIM_LEFT, 10, 100000);
    PhPeerTransfer *next;
    PhPeerTransfer *got;

    ph_sim_stack_run (scene.stack, ph_random_below (random, 2000) * PH_MSEC);
    if (!act (&scene, who, ph_session_cancel, sent) && sent->past == PH_PAST_UNKNOWN
        && ph_sim_stack_twin (scene.stack, sent) != NULL)
      g_assert_cmpint (ph_sim_stack_twin (scene.stack, sent)->past, ==, PH_PAST_RECEIVED);
    next = ph_sim_stack_send (scene.stack, PH_SIM_RIGHT, 5, 20000);
    must_end (&scene, next, PH_PAST_RECEIVED, 30 * PH_SEC);
    check_whole (&scene, next);
    ph_sim_stack_run_over (scene.stack, sent, 30 * PH_SEC);
    ph_sim_stack_run (scene.stack, PH_SEC);
    got = ph_sim_stack_twin (scene.stack, sent);
    if (sent->past == PH_PAST_RECEIVED) {
      check_whole (&scene, sent);
    } else {
      g_assert_cmpint (sent->past, ==, PH_PAST_CANCELLED);
      g_assert_true (got == NULL || got->past == PH_PAST_CANCELLED
                     || (who == 0 && got->past == PH_PAST_RECEIVED)); /* it was faster */
    }
    check_no_link_errors (&scene);
  }
}

/* A pause lasts over a cut and a crash of either side, as far as the person who made it is still there. */
static void
test_pause (void)
{
  for (unsigned i = 0; i < 4; i++) {
    g_auto (Scene) scene = scene_begin (ph_test_seed () + i, &plain_line);
    const unsigned who = i % 2;
    PhPeerTransfer *sent = ph_sim_stack_send_one (scene.stack, PH_SIM_LEFT, 12000000);

    g_assert_true (ph_sim_stack_run_ready (scene.stack, 5 * PH_SEC));
    ph_sim_stack_run (scene.stack, 2 * PH_SEC);
    g_assert_true (act (&scene, who, ph_session_pause, sent));
    if (i >= 2) {
      ph_sim_iface_cut (scene.world->line[0], true);
      ph_sim_stack_run (scene.stack, 40 * PH_SEC);
      ph_sim_iface_cut (scene.world->line[0], false);
    }
    ph_sim_stack_run (scene.stack, 60 * PH_SEC);

    const uint64_t written = sent->bytes_written_told;

    g_assert_cmpint (sent->past, ==, PH_PAST_UNKNOWN);
    g_assert_cmpuint (written, <, 11000000);
    ph_sim_stack_run (scene.stack, 10 * PH_SEC);
    g_assert_cmpuint (sent->bytes_written_told, ==, written);
    g_assert_true (act (&scene, who, ph_session_resume, sent));
    must_end (&scene, sent, PH_PAST_RECEIVED, 60 * PH_SEC);
    check_whole (&scene, sent);
  }
}

static void
test_wrong_digest (void)
{
  for (unsigned times = 1; times <= PH_SESSION_FILE_RESTARTS_MAX + 1; times++) {
    g_auto (Scene) scene = scene_begin (ph_test_seed (), &bad_line);
    PhPeerTransfer *sent = ph_sim_stack_send (scene.stack, PH_SIM_LEFT, 10, 100000);
    const PhPeerTransfer *got;

    sent->files->corrupt_file = 4;
    while (ph_manifest_entry (sent->manifest, sent->files->corrupt_file)->kind != PH_ENTRY_FILE)
      sent->files->corrupt_file++;
    sent->files->corrupt_times = times;
    must_end (&scene, sent,
              times <= PH_SESSION_FILE_RESTARTS_MAX ? PH_PAST_RECEIVED : PH_PAST_FAILED,
              30 * PH_SEC);
    got = ph_sim_stack_twin (scene.stack, sent);
    g_assert_cmpuint (got->told[PH_SESSION_EVENT_FILE_RESTARTED], ==,
                      MIN (times, PH_SESSION_FILE_RESTARTS_MAX));
    if (sent->past == PH_PAST_FAILED)
      g_assert_cmpint (sent->last.storage, ==, PH_STORAGE_MISMATCH);
    else
      check_whole (&scene, sent);
    check_no_link_errors (&scene);
  }
}

/* Both send a dozen at once. */
static void
test_crowd (void)
{
  const uint64_t runs = ph_sim_runs (6, 200);

  for (uint64_t i = 0; i < runs; i++) {
    g_auto (Scene) scene = scene_begin (ph_test_seed () + i, &bad_line);
    PhPeerTransfer *sent[24];

    for (unsigned k = 0; k < G_N_ELEMENTS (sent); k++)
      sent[k] = ph_sim_stack_send (scene.stack, (PhSimWho)(k % 2), 1 + k, 20000);
    for (unsigned k = 0; k < G_N_ELEMENTS (sent); k++) {
      must_end (&scene, sent[k], PH_PAST_RECEIVED, 60 * PH_SEC);
      check_whole (&scene, sent[k]);
    }
    check_no_link_errors (&scene);
  }
}

/* --- Everything at once ------------------------------------------------------------------------- */

/* One thing that happens. */
static void
happen (Scene *scene, const PhRandom *random, PhPeerTransfer **sent, unsigned count)
{
  const unsigned who = (unsigned)ph_random_below (random, 2);
  const PhPeerTransfer *transfer = sent[ph_random_below (random, count)];

  switch (ph_random_below (random, 8)) {
  case 0:
    act (scene, who, ph_session_cancel, transfer);
    break;
  case 1:
  case 2:
    act (scene, who, ph_session_pause, transfer);
    break;
  case 3:
    act (scene, who, ph_session_resume, transfer);
    break;
  case 4:
    ph_sim_stack_crash (scene->stack, (PhSimWho)who);
    break;
  case 5:
    ph_sim_iface_cut (scene->world->line[who], true);
    ph_sim_stack_run (scene->stack, ph_random_below (random, 40) * PH_SEC);
    ph_sim_iface_cut (scene->world->line[who], false);
    break;
  case 6:
    ph_sim_nat_forget (scene->world->nat[who]);
    break;
  default:
    break;
  }
}

/* People, programs and networks do what they like for a while, then everything is resumed: every transfer
 * ends, on both sides in the same way, and what was delivered is whole. */
static void
test_life (void)
{
  const uint64_t runs = ph_sim_runs (40, 2000);

  for (uint64_t i = 0; i < runs; i++) {
    g_auto (Scene) scene = scene_begin (ph_test_seed () + i, i % 2 == 0 ? &bad_line : &plain_line);
    const PhRandom *random = ph_sim_random_for (scene.world->sim, "life");
    PhPeerTransfer *sent[4];

    for (unsigned k = 0; k < G_N_ELEMENTS (sent); k++)
      sent[k] = ph_sim_stack_send (scene.stack, (PhSimWho)ph_random_below (random, 2), 6, 150000);
    for (unsigned k = 0; k < 8; k++) {
      ph_sim_stack_run (scene.stack, ph_random_below (random, 1500) * PH_MSEC);
      happen (&scene, random, sent, G_N_ELEMENTS (sent));
    }
    for (unsigned k = 0; k < G_N_ELEMENTS (sent); k++) {
      act (&scene, 0, ph_session_resume, sent[k]);
      act (&scene, 1, ph_session_resume, sent[k]);
    }
    for (unsigned k = 0; k < G_N_ELEMENTS (sent); k++) {
      if (!ph_sim_stack_run_over (scene.stack, sent[k], 180 * PH_SEC))
        g_error ("seed %" G_GUINT64_FORMAT ": transfer %u is not over", scene.plan.seed, k);
    }
    ph_sim_stack_run (scene.stack, 90 * PH_SEC); /* whoever is apart meets again */
    for (unsigned k = 0; k < G_N_ELEMENTS (sent); k++) {
      const PhPeerTransfer *got = ph_sim_stack_twin (scene.stack, sent[k]);

      if (sent[k]->past == PH_PAST_RECEIVED)
        check_whole (&scene, sent[k]);
      else
        g_assert_cmpint (sent[k]->past, ==, PH_PAST_CANCELLED);
      if (got != NULL && got->past == PH_PAST_UNKNOWN && got->disk != NULL)
        g_error ("seed %" G_GUINT64_FORMAT ": transfer %u is over for its sender only",
                 scene.plan.seed, k);
    }
  }
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/transfer-sim/speed", test_speed);
  g_test_add_func ("/transfer-sim/first-byte", test_first_byte);
  g_test_add_func ("/transfer-sim/small-beside-large", test_small_beside_large);
  g_test_add_func ("/transfer-sim/decline", test_decline);
  g_test_add_func ("/transfer-sim/cancel", test_cancel);
  g_test_add_func ("/transfer-sim/pause", test_pause);
  g_test_add_func ("/transfer-sim/wrong-digest", test_wrong_digest);
  g_test_add_func ("/transfer-sim/crowd", test_crowd);
  g_test_add_func ("/transfer-sim/life", test_life);
  return g_test_run ();
}
