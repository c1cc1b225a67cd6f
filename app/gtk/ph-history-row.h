/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A finished transfer in the history. Its menu activates history.open, .show-in-folder, .send-again and .forget
 * of whoever holds it, each with the transfer's id. */

#pragma once

#include "app/model/ph-transfer-item.h"

#include <adwaita.h>

G_BEGIN_DECLS

#define PH_TYPE_HISTORY_ROW (ph_history_row_get_type ())
G_DECLARE_FINAL_TYPE (PhHistoryRow, ph_history_row, PH, HISTORY_ROW, AdwActionRow)

GtkWidget *ph_history_row_new (PhTransferItem *transfer);
PhTransferItem *ph_history_row_get_transfer (PhHistoryRow *self);

G_END_DECLS
