/* SPDX-License-Identifier: GPL-3.0-or-later */

#define G_LOG_DOMAIN "porthole"

#include "app/gtk/ph-send.h"

#include "app/gtk/ph-person-dialog.h"
#include "app/gtk/ph-window.h"

#include <glib/gi18n.h>

/* Where and to whom, while something is under way. */
typedef struct {
  GtkWidget *widget;
  PhClient *client;
  PhContactItem *contact;
} Sending;

static Sending *
sending_new (GtkWidget *widget, PhClient *client, PhContactItem *contact)
{
  Sending *sending = g_new0 (Sending, 1);

  sending->widget = g_object_ref (widget);
  sending->client = g_object_ref (client);
  sending->contact = g_object_ref (contact);
  return sending;
}

static void
sending_free (Sending *sending)
{
  g_object_unref (sending->widget);
  g_object_unref (sending->client);
  g_object_unref (sending->contact);
  g_free (sending);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Sending, sending_free)

/* --- The transfer -------------------------------------------------------------------------------- */

typedef struct {
  PhClient *client;
  char *transfer;
} Sent;

static void
sent_free (gpointer data)
{
  Sent *done = data;

  g_object_unref (done->client);
  g_free (done->transfer);
  g_free (done);
}

static void
sent_undone (gpointer data)
{
  const Sent *done = data;

  ph_client_cancel_async (done->client, done->transfer, NULL, NULL);
}

static void
show_toast (const Sending *sending, const char *transfer)
{
  PhWindow *window = ph_window_of (sending->widget);
  const char *name = ph_contact_item_display_name (sending->contact);
  g_autofree char *title = NULL;
  Sent *done;

  if (window == NULL)
    return;
  if (ph_contact_item_online (sending->contact))
    /* Translators: %s is the name of a person or device */
    title = g_strdup_printf (_ ("Sending to %s"), name);
  else
    /* Translators: %s is the name of a person or device */
    title = g_strdup_printf (_ ("Will be sent when %s is online"), name);
  done = g_new0 (Sent, 1);
  done->client = g_object_ref (sending->client);
  done->transfer = g_strdup (transfer);
  ph_window_offer_undo (window, title, sent_undone, NULL, done, sent_free);
}

static void
sent (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (Sending) sending = data;
  g_autoptr (GError) error = NULL;
  g_autofree char *transfer = ph_client_finish (PH_CLIENT (source), result, &error);

  if (transfer == NULL)
    ph_window_report (sending->widget, _ ("Nothing Was Sent"), error);
  else if (ph_contact_item_alert (sending->contact))
    /* It waits for the person to decide: a toast would look as if it went. */
    adw_dialog_present (ph_key_alert_new (sending->client, sending->contact), sending->widget);
  else
    show_toast (sending, transfer);
}

void
ph_send_files (GtkWidget *widget, PhClient *client, PhContactItem *contact, GListModel *files)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  const guint n = g_list_model_get_n_items (files);
  g_auto (GStrv) paths = NULL;

  for (guint i = 0; i < n; i++) {
    g_autoptr (GFile) file = g_list_model_get_item (files, i);
    char *path = g_file_get_path (file);

    if (path == NULL) {
      g_autoptr (GError) error =
          g_error_new_literal (G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                               _ ("Only files on this computer can be sent. Copy it to a folder of "
                                  "yours first, then send that."));

      ph_window_report (widget, _ ("Nothing Was Sent"), error);
      return;
    }
    g_strv_builder_take (builder, path);
  }
  if (n == 0)
    return;
  paths = g_strv_builder_end (builder);
  ph_client_send_async (client, ph_contact_item_id (contact), (const char *const *)paths, sent,
                        sending_new (widget, client, contact));
}

GListModel *
ph_send_list_files (GSList *files)
{
  GListStore *list = g_list_store_new (G_TYPE_FILE);

  for (GSList *l = files; l != NULL; l = l->next)
    g_list_store_append (list, l->data);
  return G_LIST_MODEL (list);
}

/* --- Choosing ------------------------------------------------------------------------------------ */

static void
chosen (const Sending *sending, GListModel *files, const GError *error)
{
  if (files != NULL)
    ph_send_files (sending->widget, sending->client, sending->contact, files);
  else if (!g_error_matches (error, GTK_DIALOG_ERROR, GTK_DIALOG_ERROR_DISMISSED)
           && !g_error_matches (error, GTK_DIALOG_ERROR, GTK_DIALOG_ERROR_CANCELLED))
    ph_window_report (sending->widget, _ ("Files Cannot Be Chosen"), error);
}

static void
files_chosen (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (Sending) sending = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GListModel) files =
      gtk_file_dialog_open_multiple_finish (GTK_FILE_DIALOG (source), result, &error);

  chosen (sending, files, error);
}

static void
folders_chosen (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (Sending) sending = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GListModel) folders =
      gtk_file_dialog_select_multiple_folders_finish (GTK_FILE_DIALOG (source), result, &error);

  chosen (sending, folders, error);
}

static GtkFileDialog *
new_dialog (const char *title)
{
  GtkFileDialog *dialog = gtk_file_dialog_new ();

  gtk_file_dialog_set_title (dialog, title);
  gtk_file_dialog_set_accept_label (dialog, _ ("_Send"));
  return dialog;
}

void
ph_send_choose_files (GtkWidget *widget, PhClient *client, PhContactItem *contact)
{
  g_autoptr (GtkFileDialog) dialog = new_dialog (_ ("Send Files"));

  gtk_file_dialog_open_multiple (dialog, GTK_WINDOW (gtk_widget_get_root (widget)), NULL,
                                 files_chosen, sending_new (widget, client, contact));
}

void
ph_send_choose_folder (GtkWidget *widget, PhClient *client, PhContactItem *contact)
{
  g_autoptr (GtkFileDialog) dialog = new_dialog (_ ("Send Folders"));

  gtk_file_dialog_select_multiple_folders (dialog, GTK_WINDOW (gtk_widget_get_root (widget)), NULL,
                                           folders_chosen, sending_new (widget, client, contact));
}
