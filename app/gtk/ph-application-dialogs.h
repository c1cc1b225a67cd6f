/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The application's actions that open a dialog over its window:
 *
 *   app.add-person, app.network, app.preferences, app.history, app.shortcuts, app.about
 *   app.person-details, app.person-history, app.compare-keys (contact id)
 *   app.transfer-details (transfer id) */

#pragma once

#include "app/gtk/ph-application.h"

void ph_application_add_dialogs (PhApplication *self);
/* The client is there: what it is alarmed about is shown. */
void ph_application_follow_alerts (PhApplication *self);
