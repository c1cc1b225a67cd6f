/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A transfer in a list: what, how far, along which path, and what can be done about it. Rows are used again
 * for other transfers (GtkListView), so the item may change.
 *
 * Properties: client, transfer. */

#pragma once

#include "app/model/ph-client.h"

#include <adwaita.h>

#define PH_TYPE_TRANSFER_ROW (ph_transfer_row_get_type ())
G_DECLARE_FINAL_TYPE (PhTransferRow, ph_transfer_row, PH, TRANSFER_ROW, AdwBin)
