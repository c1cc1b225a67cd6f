/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One person as rows and pages show them. Properties are read-only; each is notified when it changed.
 *
 *   id                  string
 *   name                as it was given, for editing; to show it: display-name
 *   display-name        safe to show
 *   online, blocked, verified, alert, auto-accept    booleans, see PhContactView
 *   auto-accept-max     bytes, 0: no cap
 *   presence-text       "Online", "Offline", "Blocked"
 *   transfers           GListModel of PhTransferItem, newest first
 *   summary             what is going on with them, in one line; what presence-text says if nothing is
 *   busy, fraction      whether something is under way, and how far it is together
 *   offers              how many offers wait for an answer */

#pragma once

#include "app/model/ph-transfer-item.h"

#include <gio/gio.h>

#define PH_TYPE_CONTACT_ITEM (ph_contact_item_get_type ())
G_DECLARE_FINAL_TYPE (PhContactItem, ph_contact_item, PH, CONTACT_ITEM, GObject)

PhContactItem *ph_contact_item_new (const PhContactView *view);
void ph_contact_item_show (PhContactItem *self, const PhContactView *view);
/* Puts a transfer where its age belongs. */
void ph_contact_item_add_transfer (PhContactItem *self, PhTransferItem *transfer);
void ph_contact_item_remove_transfer (PhContactItem *self, PhTransferItem *transfer);
/* A transfer has changed: counts and summary are made anew. */
void ph_contact_item_update (PhContactItem *self);

const char *ph_contact_item_id (PhContactItem *self);
const char *ph_contact_item_name (PhContactItem *self);
const char *ph_contact_item_display_name (PhContactItem *self);
bool ph_contact_item_online (PhContactItem *self);
bool ph_contact_item_blocked (PhContactItem *self);
bool ph_contact_item_verified (PhContactItem *self);
bool ph_contact_item_alert (PhContactItem *self);
bool ph_contact_item_auto_accept (PhContactItem *self);
uint64_t ph_contact_item_auto_accept_max (PhContactItem *self);
int64_t ph_contact_item_added_at (PhContactItem *self);
/* 0: never. */
int64_t ph_contact_item_last_seen (PhContactItem *self);
GListModel *ph_contact_item_transfers (PhContactItem *self);
