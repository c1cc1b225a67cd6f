/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The finished transfers that a search finds, page by page, newest first. Follows the engine: what ends comes
 * in, what is forgotten goes.
 *
 *   client        of construction
 *   contact       device ID of a person, NULL everybody; of construction
 *   search        words; writable
 *   missed-only   only offers that nobody answered; writable
 *   items         GListModel of PhTransferItem
 *   loading       whether rows are on their way
 *   n-items       how many rows there are */

#pragma once

#include "app/model/ph-client.h"

#define PH_TYPE_HISTORY (ph_history_get_type ())
G_DECLARE_FINAL_TYPE (PhHistory, ph_history, PH, HISTORY, GObject)

PhHistory *ph_history_new (PhClient *client, const char *contact);
GListModel *ph_history_get_items (PhHistory *self);
/* The next page; nothing happens at the end. */
void ph_history_load_more (PhHistory *self);

/* Takes a row out at once, and out of the store when it is committed; until then it can come back. */
void ph_history_hide (PhHistory *self, PhTransferItem *item);
void ph_history_unhide (PhHistory *self, PhTransferItem *item);
void ph_history_commit (PhHistory *self, PhTransferItem *item);
