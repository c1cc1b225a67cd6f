/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whether the program goes on without a window: while transfers move, and always if the person wants to
 * receive in the background. Starting at login is a wish of its own: started so it stays, until a window was opened;
 * then the other setting counts. Asks the portal for that, and for starting at login, when these
 * settings change. */

#pragma once

#include "app/gtk/ph-application.h"

#define PH_TYPE_BACKGROUND (ph_background_get_type ())
G_DECLARE_FINAL_TYPE (PhBackground, ph_background, PH, BACKGROUND, GObject)

/* What the login starts it with. */
#define PH_BACKGROUND_LOGIN_OPTION "at-login"

/* The application outlives it. `profile` NULL: the person's own. */
PhBackground *ph_background_new (PhApplication *application, PhClient *client, const char *profile,
                                 bool at_login);
/* Whether the person wants to be reached without a window. */
bool ph_background_is_wanted (PhBackground *self);
/* There is a window: what was started without one, at login, goes on as the person wants it afterwards. */
void ph_background_window_opened (PhBackground *self);
/* A window was closed: says what goes on without it, if something does. */
void ph_background_window_closed (PhBackground *self);
