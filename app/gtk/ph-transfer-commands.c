/* SPDX-License-Identifier: GPL-3.0-or-later */

#define G_LOG_DOMAIN "porthole"

#include "app/gtk/ph-transfer-commands.h"

#include "app/gtk/ph-window.h"
#include "app/model/ph-format.h"
#include "app/model/ph-person-words.h"

#include <glib/gi18n.h>

/* Which transfer, and where it was asked for. */
typedef struct {
  GtkWidget *widget;
  PhClient *client;
  PhTransferItem *transfer;
  GtkDropDown *caps; /* of ph_transfer_always_accept() */
} Request;

static Request *
request_new (GtkWidget *widget, PhClient *client, PhTransferItem *transfer)
{
  Request *request = g_new0 (Request, 1);

  request->widget = g_object_ref (widget);
  request->client = g_object_ref (client);
  request->transfer = g_object_ref (transfer);
  return request;
}

static void
request_free (Request *request)
{
  g_object_unref (request->widget);
  g_object_unref (request->client);
  g_object_unref (request->transfer);
  g_free (request);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Request, request_free)

/* --- Simple ones --------------------------------------------------------------------------------- */

static void
finish (PhClient *client, GAsyncResult *result, gpointer data, const char *heading)
{
  g_autoptr (GtkWidget) widget = data;
  g_autoptr (GError) error = NULL;
  g_autofree char *text = ph_client_finish (client, result, &error);

  if (text == NULL)
    ph_window_report (widget, heading, error);
}

static void
accepted (GObject *source, GAsyncResult *result, gpointer data)
{
  finish (PH_CLIENT (source), result, data, _ ("This Cannot Be Accepted"));
}

static void
changed (GObject *source, GAsyncResult *result, gpointer data)
{
  finish (PH_CLIENT (source), result, data, _ ("That Did Not Work"));
}

static void
sent_again (GObject *source, GAsyncResult *result, gpointer data)
{
  finish (PH_CLIENT (source), result, data, _ ("Nothing Was Sent"));
}

void
ph_transfer_accept (GtkWidget *widget, PhClient *client, PhTransferItem *transfer)
{
  ph_client_accept_async (client, ph_transfer_item_id (transfer), NULL, accepted,
                          g_object_ref (widget));
}

void
ph_transfer_decline (GtkWidget *widget, PhClient *client, PhTransferItem *transfer)
{
  ph_client_decline_async (client, ph_transfer_item_id (transfer), changed, g_object_ref (widget));
}

void
ph_transfer_pause (GtkWidget *widget, PhClient *client, PhTransferItem *transfer)
{
  ph_client_pause_async (client, ph_transfer_item_id (transfer), changed, g_object_ref (widget));
}

void
ph_transfer_resume (GtkWidget *widget, PhClient *client, PhTransferItem *transfer)
{
  ph_client_resume_async (client, ph_transfer_item_id (transfer), changed, g_object_ref (widget));
}

void
ph_transfer_cancel (GtkWidget *widget, PhClient *client, PhTransferItem *transfer)
{
  ph_client_cancel_async (client, ph_transfer_item_id (transfer), changed, g_object_ref (widget));
}

void
ph_transfer_send_again (GtkWidget *widget, PhClient *client, PhTransferItem *transfer)
{
  ph_client_send_again_async (client, ph_transfer_item_id (transfer), sent_again,
                              g_object_ref (widget));
}

void
ph_transfer_details (GtkWidget *widget, PhClient *client, PhTransferItem *transfer)
{
  gtk_widget_activate_action (widget, "app.transfer-details", "s", ph_transfer_item_id (transfer));
}

/* --- Into another folder ------------------------------------------------------------------------- */

static void
folder_chosen (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (Request) request = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GFile) folder =
      gtk_file_dialog_select_folder_finish (GTK_FILE_DIALOG (source), result, &error);

  if (folder != NULL && g_file_peek_path (folder) == NULL)
    g_set_error_literal (&error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                         _ ("Files cannot be saved there: choose a folder of this computer"));
  if (error == NULL)
    ph_client_accept_async (request->client, ph_transfer_item_id (request->transfer),
                            g_file_peek_path (folder), accepted, g_object_ref (request->widget));
  else if (!g_error_matches (error, GTK_DIALOG_ERROR, GTK_DIALOG_ERROR_DISMISSED))
    ph_window_report (request->widget, _ ("This Folder Cannot Be Used"), error);
}

void
ph_transfer_accept_into (GtkWidget *widget, PhClient *client, PhTransferItem *transfer)
{
  g_autoptr (GtkFileDialog) dialog = gtk_file_dialog_new ();

  gtk_file_dialog_set_title (dialog, _ ("Save Into"));
  gtk_file_dialog_set_accept_label (dialog, _ ("_Accept"));
  gtk_file_dialog_select_folder (dialog, GTK_WINDOW (gtk_widget_get_root (widget)), NULL,
                                 folder_chosen, request_new (widget, client, transfer));
}

/* --- Always -------------------------------------------------------------------------------------- */

static GtkWidget *
new_caps (void)
{
  g_auto (GStrv) words = ph_person_caps (PH_PERSON_CAP_DEFAULT);
  GtkWidget *caps = gtk_drop_down_new_from_strings ((const char *const *)words);

  gtk_drop_down_set_selected (GTK_DROP_DOWN (caps), ph_person_cap_position (PH_PERSON_CAP_DEFAULT));
  return caps;
}

static void
always_answered (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (Request) request = data;
  const char *response = adw_alert_dialog_choose_finish (ADW_ALERT_DIALOG (source), result);
  const uint64_t cap = ph_person_cap_at (gtk_drop_down_get_selected (request->caps), 0);
  const PhTransferView *view = ph_transfer_item_view (request->transfer);

  if (!g_str_equal (response, "always"))
    return;
  ph_client_set_auto_accept_async (request->client, view->contact, true, cap, changed,
                                   g_object_ref (request->widget));
  ph_transfer_accept (request->widget, request->client, request->transfer);
}

void
ph_transfer_always_accept (GtkWidget *widget, PhClient *client, PhTransferItem *transfer)
{
  g_autofree char *name = ph_format_name (ph_transfer_item_view (transfer)->contact_name);
  AdwAlertDialog *dialog = ADW_ALERT_DIALOG (adw_alert_dialog_new (NULL, NULL));
  Request *request = request_new (widget, client, transfer);
  GtkWidget *caps = new_caps ();

  /* Translators: %s is the name of a person or device */
  adw_alert_dialog_format_heading (dialog, _ ("Always Accept from %s?"), name);
  adw_alert_dialog_set_body (
      dialog, _ ("What they send is saved in the download folder without asking. You can change "
                 "this in the details of this person."));
  adw_alert_dialog_add_responses (dialog, "cancel", _ ("_Cancel"), "always", _ ("_Always Accept"),
                                  NULL);
  adw_alert_dialog_set_response_appearance (dialog, "always", ADW_RESPONSE_SUGGESTED);
  adw_alert_dialog_set_default_response (dialog, "always");
  adw_alert_dialog_set_close_response (dialog, "cancel");
  gtk_accessible_update_property (GTK_ACCESSIBLE (caps), GTK_ACCESSIBLE_PROPERTY_LABEL, _ ("Up to"),
                                  -1);
  adw_alert_dialog_set_extra_child (dialog, caps);
  request->caps = GTK_DROP_DOWN (caps);
  adw_alert_dialog_choose (dialog, widget, NULL, always_answered, request);
}

/* --- Forgetting ---------------------------------------------------------------------------------- */

static void
forget_undone (gpointer data)
{
  const Request *request = data;

  ph_client_set_transfer_hidden (request->client, request->transfer, false);
}

static void
forget_committed (gpointer data)
{
  const Request *request = data;

  ph_client_forget_async (request->client, ph_transfer_item_id (request->transfer), NULL, NULL,
                          NULL);
}

void
ph_transfer_forget (GtkWidget *widget, PhClient *client, PhTransferItem *transfer)
{
  PhWindow *window = ph_window_of (widget);

  if (window == NULL)
    return;
  ph_client_set_transfer_hidden (client, transfer, true);
  ph_window_offer_undo (
      window, _ ("Removed from the history"), forget_undone, forget_committed,
      request_new (window != NULL ? GTK_WIDGET (window) : widget, client, transfer),
      (GDestroyNotify)request_free);
}
