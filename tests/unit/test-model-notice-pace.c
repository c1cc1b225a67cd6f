/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A contact that makes notifications all day interrupts a few times a minute, and nobody else's are held back. */

#include "app/model/ph-notice-pace.h"
#include "tests/support/ph-test.h"

static void
test_a_few_a_minute (void)
{
  g_autoptr (PhNoticePace) pace = ph_notice_pace_new ();
  gint64 now = 5 * G_TIME_SPAN_SECOND;
  unsigned loud = 0;

  /* 1,000 a second for ten minutes. */
  for (unsigned i = 0; i < 600000; i++, now += G_TIME_SPAN_MILLISECOND)
    loud += ph_notice_pace_take (pace, "mallory", now);
  g_assert_cmpuint (loud, ==, 10 * PH_NOTICE_PACE_MAX);
  g_assert_true (ph_notice_pace_take (pace, "ada", now));

  /* One that sends now and then always does. */
  for (unsigned i = 0; i < 100; i++, now += PH_NOTICE_PACE_SPAN / PH_NOTICE_PACE_MAX)
    g_assert_true (ph_notice_pace_take (pace, "grace", now));
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/notice-pace/a-few-a-minute", test_a_few_a_minute);
  return g_test_run ();
}
