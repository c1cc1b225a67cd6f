/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whether the program goes on without a window: while transfers move, and always if the person wants to
 * receive in the background. Asks the portal for that, and for starting at login, when these
 * settings change. */

#pragma once

#include "app/gtk/ph-application.h"

#define PH_TYPE_BACKGROUND (ph_background_get_type ())
G_DECLARE_FINAL_TYPE (PhBackground, ph_background, PH, BACKGROUND, GObject)

/* The application outlives it. `profile` NULL: the person's own. */
PhBackground *ph_background_new (PhApplication *application, PhClient *client, const char *profile);
/* A window was closed: says what goes on without it, if something does. */
void ph_background_window_closed (PhBackground *self);
