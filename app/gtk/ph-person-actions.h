/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What can be done about a person, as the action group `person` of a widget: send-files, send-folder,
 * paste, details, block (a toggle), remove. */

#pragma once

#include "app/model/ph-client.h"

#include <adwaita.h>

#define PH_TYPE_PERSON_ACTIONS (ph_person_actions_get_type ())
G_DECLARE_FINAL_TYPE (PhPersonActions, ph_person_actions, PH, PERSON_ACTIONS, GObject)

/* Inserts the group into `widget`, which outlives it. In its init, before its template: GTK does not look
 * for groups that come to a widget later than its grandchildren. */
PhPersonActions *ph_person_actions_new (GtkWidget *widget);
void ph_person_actions_set_client (PhPersonActions *self, PhClient *client);
/* Whom they are about; NULL: nobody, and all are disabled. */
void ph_person_actions_set_contact (PhPersonActions *self, PhContactItem *contact);
/* A menu of all of them, borrowed. */
GMenuModel *ph_person_actions_menu (void);
