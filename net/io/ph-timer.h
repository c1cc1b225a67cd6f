/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One deadline on a GMainContext, on the boot clock: a deadline that passes during a suspend fires
 * right after it. An owner that settles has exactly one of these and arms it anew after every input;
 * moving the deadline to later costs nothing. */

#pragma once

#include "net/base/ph-time.h"

#include <glib.h>

typedef struct _PhTimer PhTimer;

/* `now` is the time of firing, never before the deadline. The timer is disarmed then. */
typedef void (*PhTimerFunc) (void *user, PhTime now);

/* NULL `context`: the default one. Disarmed at first. Aborts if the process is out of descriptors. */
PhTimer *ph_timer_new (GMainContext *context, PhTimerFunc fire, void *user);
/* May be called in the callback. */
void ph_timer_free (PhTimer *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhTimer, ph_timer_free)

/* Replaces the deadline. One in the past fires in the next iteration of the context, never within
 * this call; PH_NEVER disarms. */
void ph_timer_arm (PhTimer *self, PhTime deadline);
PhTime ph_timer_deadline (const PhTimer *self);
