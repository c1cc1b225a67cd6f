/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Moving to another computer: writes identity, settings and contacts to a file, encrypted with a passphrase, or
 * takes them from one. After an import the application opens the profile anew (app.reopen). */

#pragma once

#include "app/model/ph-client.h"

#include <adwaita.h>

G_BEGIN_DECLS

typedef enum { PH_IDENTITY_EXPORT, PH_IDENTITY_IMPORT } PhIdentityTask;

#define PH_TYPE_IDENTITY_DIALOG (ph_identity_dialog_get_type ())
G_DECLARE_FINAL_TYPE (PhIdentityDialog, ph_identity_dialog, PH, IDENTITY_DIALOG, AdwDialog)

AdwDialog *ph_identity_dialog_new (PhClient *client, PhIdentityTask task);

G_END_DECLS
