/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Everything about one transfer: facts, the path it takes, its files with their SHA-256, and what was tried to
 * reach the other side. Follows a live transfer. */

#pragma once

#include "app/model/ph-client.h"

#include <adwaita.h>

G_BEGIN_DECLS

#define PH_TYPE_TRANSFER_PAGE (ph_transfer_page_get_type ())
G_DECLARE_FINAL_TYPE (PhTransferPage, ph_transfer_page, PH, TRANSFER_PAGE, AdwNavigationPage)

AdwNavigationPage *ph_transfer_page_new (PhClient *client, PhTransferItem *transfer);
/* The page in a dialog of its own. */
AdwDialog *ph_transfer_dialog_new (PhClient *client, PhTransferItem *transfer);

G_END_DECLS
