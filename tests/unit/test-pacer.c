/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The speed limit: the rate, and who gets how much of it. */

#include "app/engine/ph-pacer.h"
#include "tests/support/ph-test.h"

typedef struct {
  PhPacer pacer;
  PhTime now;
  uint64_t sent[3];
} World;

/* Runs `interval` with the first `n` wanting all they can get, in pieces of up to `len_max`. */
static void
run (World *w, PhTime interval, unsigned n, size_t len_max)
{
  const PhTime end = ph_time_add (w->now, interval);

  while (w->now < end) {
    bool any = false;

    /* Always in the same order: the first one must not get more for that. */
    for (unsigned i = 0; i < n; i++) {
      const size_t len = MIN (len_max, ph_pacer_piece (&w->pacer));

      if (!ph_pacer_may (&w->pacer, w->now, &w->sent[i]))
        continue;
      ph_pacer_take (&w->pacer, &w->sent[i], len);
      w->sent[i] += len;
      any = true;
    }
    if (!any)
      w->now = MAX (w->now + 1, ph_pacer_next (&w->pacer));
  }
}

static void
assert_share (uint64_t bytes, double expected)
{
  g_assert_cmpfloat ((double)bytes, >, expected * 0.97);
  g_assert_cmpfloat ((double)bytes, <, expected * 1.03);
}

static void
test_rate (void)
{
  static const uint64_t rates[] = {3000, 100000, 20000000, UINT64_C (1250000000)};

  for (size_t i = 0; i < G_N_ELEMENTS (rates); i++) {
    World w = {.now = 5 * PH_SEC};

    ph_pacer_init (&w.pacer);
    ph_pacer_set_rate (&w.pacer, w.now, rates[i]);
    run (&w, 60 * PH_SEC, 1, SIZE_MAX);
    assert_share (w.sent[0], (double)rates[i] * 60);
    ph_pacer_clear (&w.pacer);
  }
}

static void
test_shares (void)
{
  World w = {.now = 5 * PH_SEC};

  ph_pacer_init (&w.pacer);
  ph_pacer_set_rate (&w.pacer, w.now, 600000);
  run (&w, 30 * PH_SEC, 3, SIZE_MAX);
  for (unsigned i = 0; i < 3; i++)
    assert_share (w.sent[i], 200000 * 30);

  /* One leaves: the others have its part. */
  ph_pacer_leave (&w.pacer, &w.sent[2]);
  run (&w, 30 * PH_SEC, 2, SIZE_MAX);
  for (unsigned i = 0; i < 2; i++)
    assert_share (w.sent[i], 500000 * 30);
  ph_pacer_clear (&w.pacer);
}

/* Saved up is little, and a change is felt at once. */
static void
test_idle_and_changes (void)
{
  World w = {.now = 5 * PH_SEC};

  ph_pacer_init (&w.pacer);
  ph_pacer_set_rate (&w.pacer, w.now, 1000000);
  w.now += 3600 * PH_SEC;
  run (&w, 10 * PH_SEC, 1, SIZE_MAX);
  assert_share (w.sent[0], 10000000);

  w.sent[0] = 0;
  ph_pacer_set_rate (&w.pacer, w.now, 50000);
  run (&w, 20 * PH_SEC, 1, SIZE_MAX);
  assert_share (w.sent[0], 1000000);

  ph_pacer_set_rate (&w.pacer, w.now, 0);
  g_assert_true (ph_pacer_may (&w.pacer, w.now, &w.sent[1]));
  g_assert_cmpuint (ph_pacer_piece (&w.pacer), ==, SIZE_MAX);
  g_assert_cmpuint (ph_pacer_next (&w.pacer), <=, w.now);
  ph_pacer_clear (&w.pacer);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/pacer/rate", test_rate);
  g_test_add_func ("/pacer/shares", test_shares);
  g_test_add_func ("/pacer/idle-and-changes", test_idle_and_changes);
  return g_test_run ();
}
