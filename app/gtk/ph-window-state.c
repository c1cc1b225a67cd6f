/* SPDX-License-Identifier: GPL-3.0-or-later */

#define G_LOG_DOMAIN "porthole"

#include "app/gtk/ph-window-state.h"

#include "app/engine/ph-app-id.h"

#include <stdbool.h>

#define FILE_NAME "window.ini"
#define GROUP "window"
/* A file that was written by hand, or damaged. */
#define SIZE_MAX_PIXELS 16384

static void
restore (GtkWindow *window, const char *path)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  int width, height;

  if (!g_key_file_load_from_file (file, path, G_KEY_FILE_NONE, NULL))
    return;
  width = g_key_file_get_integer (file, GROUP, "width", NULL);
  height = g_key_file_get_integer (file, GROUP, "height", NULL);
  if (width > 0 && height > 0 && width <= SIZE_MAX_PIXELS && height <= SIZE_MAX_PIXELS)
    gtk_window_set_default_size (window, width, height);
  if (g_key_file_get_boolean (file, GROUP, "maximized", NULL))
    gtk_window_maximize (window);
}

/* Before it is gone, however it goes: closed, or with the program. Its default size is the one that it has when it
 * is not maximized. */
static void
save (GtkWindow *window, const char *path)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;
  int width, height;

  gtk_window_get_default_size (window, &width, &height);
  g_key_file_set_integer (file, GROUP, "width", width);
  g_key_file_set_integer (file, GROUP, "height", height);
  g_key_file_set_boolean (file, GROUP, "maximized", gtk_window_is_maximized (window));
  text = g_key_file_to_data (file, NULL, NULL);
  /* Some bytes, and nobody waits for the disk. */
  if (!g_file_set_contents_full (path, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, &error))
    g_debug ("the window: %s", error->message);
}

static void
path_free (gpointer path, GClosure *closure)
{
  g_free (path);
}

void
ph_window_state_follow (GtkWindow *window, const char *profile)
{
  g_autofree char *own = profile == NULL ? ph_app_id_default_profile () : NULL;
  char *path = g_build_filename (profile != NULL ? profile : own, FILE_NAME, NULL);

  restore (window, path);
  g_signal_connect_data (window, "unrealize", G_CALLBACK (save), path, path_free,
                         G_CONNECT_DEFAULT);
}
