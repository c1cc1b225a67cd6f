/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How large the window was: the schema's keys, kept in the profile (`window.ini`), so that two profiles have windows
 * of their own. Where the schema is not installed it is forgotten. */

#pragma once

#include <gtk/gtk.h>

/* Gives a window that was not shown yet the size that the last one had, and keeps what it is when it goes. `profile`
 * NULL: the person's own. */
void ph_window_state_follow (GtkWindow *window, const char *profile);
