/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The application of one profile: it owns the client, shows the window, and answers to actions, also those
 * of notifications, that come when no window is open.
 *
 * Actions (prefix `app.`): quit, reopen (the profile, anew); what ph-application-dialogs.h and
 * ph-notifications.h add. */

#pragma once

#include "app/model/ph-client.h"

#include <adwaita.h>

#define PH_TYPE_APPLICATION (ph_application_get_type ())
G_DECLARE_FINAL_TYPE (PhApplication, ph_application, PH, APPLICATION, AdwApplication)

/* `profile` NULL: the person's own. */
PhApplication *ph_application_new (const char *profile);
/* Somebody asks the program for something: it opens its profile, or says that it cannot, and goes online. One that
 * the session bus started for nothing but a search stays offline, unless the person wants to be reached in the
 * background. */
void ph_application_wanted (PhApplication *self);
/* NULL: the profile is not open. */
PhClient *ph_application_get_client (PhApplication *self);
