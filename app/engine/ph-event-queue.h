/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Carries events from the engine thread to the thread that made the queue. Progress is coalesced: a
 * TRANSFER event of a transfer that already waits takes its place in the queue. At most one source is
 * pending on the receiver's GMainContext, whatever the number of events. */

#pragma once

#include "app/engine/ph-engine.h"

typedef struct _PhEventQueue PhEventQueue;

/* Events go to the GMainContext that is thread-default now. */
PhEventQueue *ph_event_queue_new (PhEventFunc func, gpointer user_data);
/* On the receiving thread, also from within the callback, when nobody pushes any more. What still waits is
 * dropped. */
void ph_event_queue_free (PhEventQueue *self);
/* On any thread; copies the event. */
void ph_event_queue_push (PhEventQueue *self, const PhEvent *event);
