/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Carries out knocks: connects, says the greeting, closes; reads nothing. Each ends by itself within
 * PH_RENDEZVOUS_KNOCK_TIME. On the thread's default GMainContext. */

#pragma once

#include "net/rendezvous/ph-rooms.h"

typedef struct _PhKnocker PhKnocker;

PhKnocker *ph_knocker_new (void);
void ph_knocker_free (PhKnocker *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhKnocker, ph_knocker_free)

/* False if nothing can leave: no descriptor, no route, no such local address. */
bool ph_knocker_knock (PhKnocker *self, const PhRoomsKnock *knock);
