/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One transfer as rows and pages show it. Properties are read-only; each is notified when it changed.
 *
 *   id, contact, contact-name      strings
 *   direction, state               PhDirection, PhTransferState
 *   title                          the names, safe to show
 *   status-text                    "12.3 MB of 340 MB · 5.2 MB/s · 2 minutes left" or what else it is at
 *   note                           what the person should know besides, such as files left out or a
 *                                  full disk: a sentence; "" if there is nothing
 *   icon-name, direction-text      an arrow, and what it means
 *   path, path-text, path-icon     "udp", "Direct through both routers", an icon; "" without a path
 *   fraction                       0 to 1: what the receiver has
 *   ended, under-way               whether it is over; whether a progress bar makes sense
 *   can-answer                     an offer to this person
 *   can-pause, can-resume, can-cancel, can-retry, can-open
 *
 * Whatever else there is to know is in the snapshot. */

#pragma once

#include "app/model/ph-model-types.h"

#define PH_TYPE_TRANSFER_ITEM (ph_transfer_item_get_type ())
G_DECLARE_FINAL_TYPE (PhTransferItem, ph_transfer_item, PH, TRANSFER_ITEM, GObject)

PhTransferItem *ph_transfer_item_new (const PhTransferView *view);
/* Takes the values of a newer snapshot of the same transfer. True if its state changed. */
bool ph_transfer_item_show (PhTransferItem *self, const PhTransferView *view);
/* Words that depend on the time of day are made anew. */
void ph_transfer_item_refresh (PhTransferItem *self);
/* The newest snapshot; owned by the item, valid until the next one comes. */
const PhTransferView *ph_transfer_item_view (PhTransferItem *self);
const char *ph_transfer_item_id (PhTransferItem *self);
const char *ph_transfer_item_title (PhTransferItem *self);
