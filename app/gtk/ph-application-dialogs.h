/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The application's actions that open a dialog over its window:
 *
 *   app.add-person, app.network, app.preferences, app.history, app.shortcuts, app.about
 *   app.person-details (contact id), app.transfer-details (transfer id) */

#pragma once

#include "app/gtk/ph-application.h"

void ph_application_add_dialogs (PhApplication *self);
