/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pasting to send. An image or a text becomes a file of its own, in a folder of the cache (ph-pasted.h). */

#define G_LOG_DOMAIN "porthole"

#include "app/gtk/ph-paste.h"

#include "app/gtk/ph-send.h"
#include "app/gtk/ph-window.h"
#include "app/model/ph-pasted.h"

#include <glib/gi18n.h>
#include <glib/gstdio.h>

/* What is pasted, until it is a file. */
typedef struct {
  GtkWidget *widget;
  PhClient *client;
  PhContactItem *contact;
  GdkTexture *texture; /* one of both */
  char *text;
} Pasted;

static void
pasted_free (gpointer data)
{
  Pasted *pasted = data;

  g_object_unref (pasted->widget);
  g_object_unref (pasted->client);
  g_object_unref (pasted->contact);
  g_clear_object (&pasted->texture);
  g_free (pasted->text);
  g_free (pasted);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Pasted, pasted_free)

/* Of this profile: another one's files are not this one's to tidy up. */
static char *
cache_folder (void)
{
  return g_build_filename (g_get_user_cache_dir (), "porthole", "pasted",
                           g_application_get_application_id (g_application_get_default ()), NULL);
}

static void
nothing_to_paste (GtkWidget *widget)
{
  PhWindow *window = ph_window_of (widget);

  if (window != NULL)
    ph_window_add_toast (window, adw_toast_new (_ ("There is nothing to paste")));
}

/* --- Files of their own -------------------------------------------------------------------------- */

/* On a worker: encoding an image takes long. */
static void
write_file (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  const Pasted *pasted = data;
  g_autoptr (GDateTime) now = g_date_time_new_now_local ();
  /* Translators: the name of a file for g_date_time_format(); %s stays as it is */
  g_autofree char *when = g_date_time_format (now, "%Y-%m-%d %H-%M-%S");
  g_autofree char *base =
      g_strdup_printf (pasted->texture != NULL
                           /* Translators: a file's name; %s is a date and time */
                           ? _ ("Pasted image %s.png")
                           /* Translators: a file's name; %s is a date and time */
                           : _ ("Pasted text %s.txt"),
                       when);
  g_autofree char *uuid = g_uuid_string_random ();
  g_autofree char *parent = cache_folder ();
  g_autofree char *folder = g_build_filename (parent, uuid, NULL);
  g_autofree char *path = g_build_filename (folder, base, NULL);
  g_autoptr (GBytes) bytes = NULL;
  GError *error = NULL;

  if (g_mkdir_with_parents (folder, 0700) != 0) {
    g_task_return_new_error (task, G_IO_ERROR, g_io_error_from_errno (errno), "%s",
                             g_strerror (errno));
    return;
  }
  bytes = pasted->texture != NULL ? gdk_texture_save_to_png_bytes (pasted->texture)
                                  : g_bytes_new (pasted->text, strlen (pasted->text));
  if (!g_file_set_contents_full (path, g_bytes_get_data (bytes, NULL),
                                 (gssize)g_bytes_get_size (bytes), G_FILE_SET_CONTENTS_NONE, 0600,
                                 &error))
    g_task_return_error (task, error);
  else
    g_task_return_pointer (task, g_file_new_for_path (path), g_object_unref);
}

static void
file_written (GObject *source, GAsyncResult *result, gpointer data)
{
  Pasted *pasted = g_task_get_task_data (G_TASK (result));
  g_autoptr (GListStore) files = g_list_store_new (G_TYPE_FILE);
  g_autoptr (GError) error = NULL;
  g_autoptr (GFile) file = g_task_propagate_pointer (G_TASK (result), &error);

  if (file == NULL) {
    ph_window_report (pasted->widget, _ ("Nothing Was Sent"), error);
    return;
  }
  g_list_store_append (files, file);
  ph_send_files (pasted->widget, pasted->client, pasted->contact, G_LIST_MODEL (files));
}

static void
send_as_file (Pasted *pasted)
{
  g_autoptr (GTask) task = g_task_new (pasted->widget, NULL, file_written, NULL);

  g_task_set_task_data (task, pasted, pasted_free);
  g_task_run_in_thread (task, write_file);
}

/* --- The clipboard ------------------------------------------------------------------------------- */

static void
value_read (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (Pasted) pasted = data;
  const GValue *value = gdk_clipboard_read_value_finish (GDK_CLIPBOARD (source), result, NULL);

  if (value == NULL) {
    nothing_to_paste (pasted->widget);
  } else if (G_VALUE_HOLDS (value, GDK_TYPE_FILE_LIST)) {
    g_autoptr (GSList) list = gdk_file_list_get_files (g_value_get_boxed (value));
    g_autoptr (GListModel) files = ph_send_list_files (list);

    ph_send_files (pasted->widget, pasted->client, pasted->contact, files);
  } else if (G_VALUE_HOLDS (value, GDK_TYPE_TEXTURE)) {
    pasted->texture = g_value_dup_object (value);
    send_as_file (g_steal_pointer (&pasted));
  } else if (G_VALUE_HOLDS_STRING (value) && *g_value_get_string (value) != '\0') {
    pasted->text = g_value_dup_string (value);
    send_as_file (g_steal_pointer (&pasted));
  } else {
    nothing_to_paste (pasted->widget);
  }
}

void
ph_send_paste (GtkWidget *widget, PhClient *client, PhContactItem *contact)
{
  GdkClipboard *clipboard = gtk_widget_get_clipboard (widget);
  GdkContentFormats *formats = gdk_clipboard_get_formats (clipboard);
  g_autoptr (GdkContentFormats) readable =
      gdk_content_formats_union_deserialize_gtypes (gdk_content_formats_ref (formats));
  const GType types[] = {GDK_TYPE_FILE_LIST, GDK_TYPE_TEXTURE, G_TYPE_STRING};
  Pasted *pasted;

  for (size_t i = 0; i < G_N_ELEMENTS (types); i++) {
    if (!gdk_content_formats_contain_gtype (readable, types[i]))
      continue;
    pasted = g_new0 (Pasted, 1);
    pasted->widget = g_object_ref (widget);
    pasted->client = g_object_ref (client);
    pasted->contact = g_object_ref (contact);
    gdk_clipboard_read_value_async (clipboard, types[i], G_PRIORITY_DEFAULT, NULL, value_read,
                                    pasted);
    return;
  }
  nothing_to_paste (widget);
}

/* --- Tidying up ---------------------------------------------------------------------------------- */

static void
tidy (PhClient *client)
{
  g_autofree char *folder = NULL;

  if (!ph_client_get_loaded (client))
    return;
  folder = cache_folder ();
  g_signal_handlers_disconnect_by_func (client, tidy, NULL);
  ph_pasted_remove_old (folder, ph_client_get_transfers (client));
}

void
ph_paste_tidy (PhClient *client)
{
  g_signal_connect (client, "notify::loaded", G_CALLBACK (tidy), NULL);
}
