/* SPDX-License-Identifier: GPL-3.0-or-later */

#define G_LOG_DOMAIN "porthole"

#include "app/gtk/ph-transfer-commands.h"

#include "app/gtk/ph-window.h"
#include "app/model/ph-program-type.h"

#include <glib/gi18n.h>

#define LOOKED_FOR G_FILE_ATTRIBUTE_STANDARD_TYPE "," G_FILE_ATTRIBUTE_STANDARD_CONTENT_TYPE

/* What is opened, or shown where it is, and where that was asked for. */
typedef struct {
  GtkWidget *widget;
  PhTransferItem *transfer;
  GFile *file; /* NULL before the engine has said which */
  bool in_folder;
} Opening;

static void
opening_free (Opening *self)
{
  g_object_unref (self->widget);
  g_object_unref (self->transfer);
  g_clear_object (&self->file);
  g_free (self);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Opening, opening_free)

static GtkWindow *
window_of (const Opening *self)
{
  return GTK_WINDOW (gtk_widget_get_root (self->widget));
}

static void
report (const Opening *self, const GError *error)
{
  ph_window_report (self->widget, _ ("This Cannot Be Opened"), error);
}

/* --- Handing over ------------------------------------------------------------------------------------ */

static void
launched (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (Opening) self = data;
  g_autoptr (GError) error = NULL;

  if (!gtk_file_launcher_launch_finish (GTK_FILE_LAUNCHER (source), result, &error)
      && !g_error_matches (error, GTK_DIALOG_ERROR, GTK_DIALOG_ERROR_DISMISSED))
    report (self, error);
}

static void
launch (Opening *self, GFile *file)
{
  g_autoptr (GtkFileLauncher) launcher = gtk_file_launcher_new (file);

  gtk_file_launcher_launch (launcher, window_of (self), NULL, launched, self);
}

/* Where nothing can point at a file in its folder, the folder has to do. */
static void
shown_in_folder (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (Opening) self = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GFile) folder = g_file_get_parent (self->file);

  if (!gtk_file_launcher_open_containing_folder_finish (GTK_FILE_LAUNCHER (source), result, &error)
      && !g_error_matches (error, GTK_DIALOG_ERROR, GTK_DIALOG_ERROR_DISMISSED)
      && window_of (self) != NULL)
    launch (g_steal_pointer (&self), folder);
}

static void
show_in_folder (Opening *self)
{
  g_autoptr (GtkFileLauncher) launcher = gtk_file_launcher_new (self->file);

  gtk_file_launcher_open_containing_folder (launcher, window_of (self), NULL, shown_in_folder,
                                            self);
}

/* --- Programs ---------------------------------------------------------------------------------------- */

static void
program_answered (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (Opening) self = data;
  const char *response = adw_alert_dialog_choose_finish (ADW_ALERT_DIALOG (source), result);

  if (g_str_equal (response, "folder") && window_of (self) != NULL)
    show_in_folder (g_steal_pointer (&self));
}

/* Whoever wants to run what somebody sent does so elsewhere, where it is plain that it is run. */
static void
refuse_program (Opening *self)
{
  AdwAlertDialog *dialog = ADW_ALERT_DIALOG (adw_alert_dialog_new (
      _ ("This Is a Program"),
      _ ("Programs are not opened from here: one that somebody sends you can do whatever you can "
         "do on this computer.")));

  adw_alert_dialog_add_responses (dialog, "close", _ ("_Close"), "folder", _ ("Show in _Folder"),
                                  NULL);
  adw_alert_dialog_set_close_response (dialog, "close");
  adw_alert_dialog_choose (dialog, self->widget, NULL, program_answered, self);
}

/* --- What there is ----------------------------------------------------------------------------------- */

static void
looked_at (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (Opening) self = data;
  g_autoptr (GError) error = NULL;
  GFile *file = G_FILE (source);
  g_autoptr (GFileInfo) info = g_file_query_info_finish (file, result, &error);

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND)) {
    g_clear_error (&error);
    g_set_error_literal (&error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                         _ ("It was moved, renamed or deleted"));
  }
  if (window_of (self) == NULL) /* nobody looks any more */
    return;
  if (error != NULL)
    report (self, error);
  else if (self->in_folder)
    show_in_folder (g_steal_pointer (&self));
  else if (g_file_info_get_file_type (info) == G_FILE_TYPE_REGULAR
           && ph_type_is_program (g_file_info_get_content_type (info)))
    refuse_program (g_steal_pointer (&self));
  else
    launch (g_steal_pointer (&self), file);
}

/* Whether all of it is one file, or one folder with what is in it. */
static bool
is_one (const PhTransferView *view)
{
  return view->names != NULL && view->names[0] != NULL && view->names[1] == NULL;
}

/* The first of what was received may have another name than was sent, since nothing is ever overwritten: the engine
 * knows. Where it does not any more, the folder has to do; as where many are to be opened. */
static void
listed (GObject *source, GAsyncResult *result, gpointer data)
{
  Opening *self = data;
  g_autoptr (GPtrArray) rows = ph_client_finish_rows (PH_CLIENT (source), result, NULL);
  const PhTransferView *view = ph_transfer_item_view (self->transfer);

  if (rows != NULL && rows->len > 0 && (self->in_folder || is_one (view)))
    self->file = g_file_new_build_filename (view->folder, ph_file_item_path (rows->pdata[0]), NULL);
  else
    self->file = g_file_new_for_path (view->folder);
  g_file_query_info_async (self->file, LOOKED_FOR, G_FILE_QUERY_INFO_NONE, G_PRIORITY_DEFAULT, NULL,
                           looked_at, self);
}

static void
begin (GtkWidget *widget, PhClient *client, PhTransferItem *transfer, bool in_folder)
{
  Opening *self = g_new0 (Opening, 1);

  self->widget = g_object_ref (widget);
  self->transfer = g_object_ref (transfer);
  self->in_folder = in_folder;
  ph_client_list_files_async (client, ph_transfer_item_id (transfer), 0, 1, listed, self);
}

void
ph_transfer_open (GtkWidget *widget, PhClient *client, PhTransferItem *transfer)
{
  begin (widget, client, transfer, false);
}

void
ph_transfer_show_in_folder (GtkWidget *widget, PhClient *client, PhTransferItem *transfer)
{
  begin (widget, client, transfer, true);
}
