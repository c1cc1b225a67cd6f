/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Becoming contacts: gives out an invitation as a link and a QR code and waits for it to be used, or uses
 * one that somebody else has given. Says in place what is wrong. Closing it takes an invitation back
 * that nobody can have: one whose link was not copied. */

#pragma once

#include "app/model/ph-client.h"

#include <adwaita.h>

G_BEGIN_DECLS

#define PH_TYPE_ADD_PERSON_DIALOG (ph_add_person_dialog_get_type ())
G_DECLARE_FINAL_TYPE (PhAddPersonDialog, ph_add_person_dialog, PH, ADD_PERSON_DIALOG, AdwDialog)

AdwDialog *ph_add_person_dialog_new (PhClient *client);
/* Shows the page that uses an invitation, with this link in it, to be looked at before it is used. */
void ph_add_person_dialog_set_link (PhAddPersonDialog *self, const char *link);

G_END_DECLS
