/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Under which name the application of a profile is on the session bus: the window owns it, the command
 * line looks for it there. */

#pragma once

#include <glib.h>

/* "org.porthole.Porthole" (PH_APP_ID) for the person's own profile (NULL `dir`, or its path), and that
 * followed by ".P" and a hash of the path for any other. Newly allocated; a valid application ID and
 * well-known bus name. */
char *ph_app_id_for_profile (const char *dir);
/* The person's own profile: $XDG_DATA_HOME/porthole. Newly allocated. */
char *ph_app_id_default_profile (void);
