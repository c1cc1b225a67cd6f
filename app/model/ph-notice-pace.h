/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How often a contact may interrupt: a few notifications a minute come up before a person's eyes, the others wait
 * among the rest. None is left out. */

#pragma once

#include <glib.h>
#include <stdbool.h>

/* Somebody who sends this and that in a minute is heard; whoever goes on is not worth being looked up for. */
#define PH_NOTICE_PACE_MAX 3u
#define PH_NOTICE_PACE_SPAN (60 * G_TIME_SPAN_SECOND)

typedef struct _PhNoticePace PhNoticePace;

PhNoticePace *ph_notice_pace_new (void);
void ph_notice_pace_free (PhNoticePace *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhNoticePace, ph_notice_pace_free)

/* Whether a notification about `contact`, an id of a contact that there is, may interrupt at `now_us`, which does
 * not go back (g_get_monotonic_time()); and counts it if so. */
bool ph_notice_pace_take (PhNoticePace *self, const char *contact, gint64 now_us);
