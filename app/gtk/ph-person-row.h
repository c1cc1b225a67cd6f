/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A person in the list: who, whether online, what is going on; files are dropped on it. */

#pragma once

#include "app/model/ph-client.h"

#include <adwaita.h>

#define PH_TYPE_PERSON_ROW (ph_person_row_get_type ())
G_DECLARE_FINAL_TYPE (PhPersonRow, ph_person_row, PH, PERSON_ROW, GtkListBoxRow)

GtkWidget *ph_person_row_new (PhClient *client, PhContactItem *contact);
PhContactItem *ph_person_row_get_contact (PhPersonRow *self);
