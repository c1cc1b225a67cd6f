/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tells of offers and of ended transfers where no window of ours is looked at, and answers to the buttons of
 * these notifications, also when there is no window or when the session bus has just started the program.
 * What is shown names no files: it may appear on a locked screen.
 *
 * Actions of the application: accept, decline, show-transfer, show-in-folder (transfer id), show-person
 * (contact id). */

#pragma once

#include "app/gtk/ph-application.h"

#define PH_TYPE_NOTIFICATIONS (ph_notifications_get_type ())
G_DECLARE_FINAL_TYPE (PhNotifications, ph_notifications, PH, NOTIFICATIONS, GObject)

/* Adds the actions. The application outlives it. */
PhNotifications *ph_notifications_new (PhApplication *application, PhClient *client);
