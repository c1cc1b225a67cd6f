/* SPDX-License-Identifier: GPL-3.0-or-later */

#define G_LOG_DOMAIN "porthole"
#define G_SETTINGS_ENABLE_BACKEND

#include "app/gtk/ph-window-state.h"

#include "app/engine/ph-app-id.h"
#include "config.h"

#include <gio/gsettingsbackend.h>

#define FILE_NAME "window.ini"
#define SCHEMA "org.porthole.Porthole"
#define PATH "/org/porthole/Porthole/"

/* Where it was installed, if that is none of the places that GLib looks at. */
static GSettingsSchema *
find_schema (void)
{
  GSettingsSchemaSource *known = g_settings_schema_source_get_default ();
  GSettingsSchema *schema =
      known != NULL ? g_settings_schema_source_lookup (known, SCHEMA, TRUE) : NULL;
  g_autoptr (GSettingsSchemaSource) own = NULL;

  if (schema != NULL)
    return schema;
  own = g_settings_schema_source_new_from_directory (PH_DATADIR "/glib-2.0/schemas", known, FALSE,
                                                     NULL);
  return own != NULL ? g_settings_schema_source_lookup (own, SCHEMA, FALSE) : NULL;
}

static GSettings *
open_settings (const char *profile)
{
  g_autoptr (GSettingsSchema) schema = find_schema ();
  g_autoptr (GSettingsBackend) backend = NULL;
  g_autofree char *path = NULL;

  if (schema == NULL) {
    g_debug ("the window: the schema %s is not installed", SCHEMA);
    return NULL;
  }
  path = g_build_filename (profile, FILE_NAME, NULL);
  backend = g_keyfile_settings_backend_new (path, PATH, "window");
  return g_settings_new_full (schema, backend, NULL);
}

/* Before it is gone, however it goes: closed, or with the program. Its default size is the one that it has when it
 * is not maximized. */
static void
save (GtkWindow *window, GSettings *settings)
{
  int width, height;

  gtk_window_get_default_size (window, &width, &height);
  g_settings_set (settings, "window-size", "(ii)", width, height);
  g_settings_set_boolean (settings, "window-maximized", gtk_window_is_maximized (window));
}

void
ph_window_state_follow (GtkWindow *window, const char *profile)
{
  g_autofree char *own = profile == NULL ? ph_app_id_default_profile () : NULL;
  GSettings *settings = open_settings (profile != NULL ? profile : own);
  int width, height;

  if (settings == NULL)
    return;
  g_settings_get (settings, "window-size", "(ii)", &width, &height);
  if (width > 0 && height > 0)
    gtk_window_set_default_size (window, width, height);
  if (g_settings_get_boolean (settings, "window-maximized"))
    gtk_window_maximize (window);
  g_signal_connect_data (window, "unrealize", G_CALLBACK (save), settings,
                         (GClosureNotify)(void (*) (void))g_object_unref, G_CONNECT_DEFAULT);
}
