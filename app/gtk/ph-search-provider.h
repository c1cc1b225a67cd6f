/* SPDX-License-Identifier: GPL-3.0-or-later */
/* People in the desktop's own search: org.gnome.Shell.SearchProvider2, at the application's object path followed by
 * /SearchProvider. What is found is called "Send to NAME"; choosing it opens the person's page and asks which
 * files. Names and whether somebody is online are told, nothing else; blocked people are not.
 *
 * The session bus starts the program for a search: what is asked before the contacts are loaded is answered when
 * they are. */

#pragma once

#include "app/gtk/ph-application.h"

#define PH_TYPE_SEARCH_PROVIDER (ph_search_provider_get_type ())
G_DECLARE_FINAL_TYPE (PhSearchProvider, ph_search_provider, PH, SEARCH_PROVIDER, GObject)

/* The application and the connection outlive it. NULL and `error` if something has the object's path. */
PhSearchProvider *ph_search_provider_new (PhApplication *application, GDBusConnection *connection,
                                          const char *object_path, GError **error);
/* The application has another client, or has loaded what it has: what waits is answered. */
void ph_search_provider_client_changed (PhSearchProvider *self);
