/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The preferences. What is changed holds at once; what the engine refuses is said beside it. */

#pragma once

#include "app/model/ph-client.h"

#include <adwaita.h>

G_BEGIN_DECLS

#define PH_TYPE_PREFERENCES_DIALOG (ph_preferences_dialog_get_type ())
G_DECLARE_FINAL_TYPE (PhPreferencesDialog, ph_preferences_dialog, PH, PREFERENCES_DIALOG,
                      AdwPreferencesDialog)

AdwDialog *ph_preferences_dialog_new (PhClient *client);
/* Opens it where servers are set. */
void ph_preferences_dialog_show_connection (PhPreferencesDialog *self);

G_END_DECLS
