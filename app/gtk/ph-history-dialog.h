/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every finished transfer, of everybody or of one person: to search, look into, send again, open, and forget. */

#pragma once

#include "app/model/ph-client.h"

#include <adwaita.h>

G_BEGIN_DECLS

#define PH_TYPE_HISTORY_DIALOG (ph_history_dialog_get_type ())
G_DECLARE_FINAL_TYPE (PhHistoryDialog, ph_history_dialog, PH, HISTORY_DIALOG, AdwDialog)

/* `contact` NULL: everybody. */
AdwDialog *ph_history_dialog_new (PhClient *client, PhContactItem *contact);

G_END_DECLS
