/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One person: their name here, what is taken from them without asking, whether their key was compared, and the
 * way to block or remove them. A key that does not fit is told first and loudest. */

#pragma once

#include "app/model/ph-client.h"

#include <adwaita.h>

G_BEGIN_DECLS

#define PH_TYPE_PERSON_DIALOG (ph_person_dialog_get_type ())
G_DECLARE_FINAL_TYPE (PhPersonDialog, ph_person_dialog, PH, PERSON_DIALOG, AdwDialog)

AdwDialog *ph_person_dialog_new (PhClient *client, PhContactItem *contact);
/* Opens it where keys are compared. */
void ph_person_dialog_show_keys (PhPersonDialog *self);

/* The loud stop: somebody without this person's key answered in their place. */
AdwDialog *ph_key_alert_new (PhClient *client, PhContactItem *contact);

G_END_DECLS
