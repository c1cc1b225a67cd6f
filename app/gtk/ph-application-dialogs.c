/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/gtk/ph-application-dialogs.h"

#include "app/gtk/ph-about.h"
#include "app/gtk/ph-add-person-dialog.h"
#include "app/gtk/ph-history-dialog.h"
#include "app/gtk/ph-network-dialog.h"
#include "app/gtk/ph-person-dialog.h"
#include "app/gtk/ph-preferences-dialog.h"
#include "app/gtk/ph-shortcuts.h"
#include "app/gtk/ph-transfer-page.h"

#include <glib/gi18n.h>

/* Presents a dialog, and takes it. Nothing is shown without a window: it brings the dialog's place. */
static void
present (PhApplication *self, AdwDialog *dialog)
{
  GtkWindow *window = gtk_application_get_active_window (GTK_APPLICATION (self));

  if (window == NULL) {
    g_object_ref_sink (dialog);
    g_object_unref (dialog);
    return;
  }
  gtk_window_present (window);
  adw_dialog_present (dialog, GTK_WIDGET (window));
}

/* --- Actions --------------------------------------------------------------------------------------- */

static void
present_of_client (PhApplication *self, AdwDialog *(*make) (PhClient *client))
{
  PhClient *client = ph_application_get_client (self);

  if (client != NULL)
    present (self, make (client));
}

static void
add_person (GSimpleAction *action, GVariant *parameter, gpointer data)
{
  present_of_client (data, ph_add_person_dialog_new);
}

static void
network (GSimpleAction *action, GVariant *parameter, gpointer data)
{
  present_of_client (data, ph_network_dialog_new);
}

static void
preferences (GSimpleAction *action, GVariant *parameter, gpointer data)
{
  present_of_client (data, ph_preferences_dialog_new);
}

static AdwDialog *
new_whole_history (PhClient *client)
{
  return ph_history_dialog_new (client, NULL);
}

static void
history (GSimpleAction *action, GVariant *parameter, gpointer data)
{
  present_of_client (data, new_whole_history);
}

static void
shortcuts (GSimpleAction *action, GVariant *parameter, gpointer data)
{
  present (data, ph_shortcuts_dialog_new ());
}

static void
about (GSimpleAction *action, GVariant *parameter, gpointer data)
{
  present (data, ph_about_dialog_new (ph_application_get_client (data)));
}

static void
present_of_contact (PhApplication *self, GVariant *id,
                    AdwDialog *(*make) (PhClient *client, PhContactItem *contact))
{
  PhClient *client = ph_application_get_client (self);
  PhContactItem *contact =
      client != NULL ? ph_client_find_contact (client, g_variant_get_string (id, NULL)) : NULL;

  if (contact != NULL)
    present (self, make (client, contact));
}

static void
person_details (GSimpleAction *action, GVariant *parameter, gpointer data)
{
  present_of_contact (data, parameter, ph_person_dialog_new);
}

static void
person_history (GSimpleAction *action, GVariant *parameter, gpointer data)
{
  present_of_contact (data, parameter, ph_history_dialog_new);
}

static AdwDialog *
new_keys (PhClient *client, PhContactItem *contact)
{
  AdwDialog *dialog = ph_person_dialog_new (client, contact);

  ph_person_dialog_show_keys (PH_PERSON_DIALOG (dialog));
  return dialog;
}

static void
compare_keys (GSimpleAction *action, GVariant *parameter, gpointer data)
{
  present_of_contact (data, parameter, new_keys);
}

static void
key_alert (GSimpleAction *action, GVariant *parameter, gpointer data)
{
  present_of_contact (data, parameter, ph_key_alert_new);
}

static void
transfer_details (GSimpleAction *action, GVariant *parameter, gpointer data)
{
  PhClient *client = ph_application_get_client (data);
  PhTransferItem *transfer =
      client != NULL ? ph_client_find_transfer (client, g_variant_get_string (parameter, NULL))
                     : NULL;

  if (transfer != NULL)
    present (data, ph_transfer_dialog_new (client, transfer));
}

static const GActionEntry actions[] = {
    {.name = "add-person", .activate = add_person},
    {.name = "network", .activate = network},
    {.name = "preferences", .activate = preferences},
    {.name = "history", .activate = history},
    {.name = "shortcuts", .activate = shortcuts},
    {.name = "about", .activate = about},
    {.name = "person-details", .activate = person_details, .parameter_type = "s"},
    {.name = "person-history", .activate = person_history, .parameter_type = "s"},
    {.name = "compare-keys", .activate = compare_keys, .parameter_type = "s"},
    {.name = "key-alert", .activate = key_alert, .parameter_type = "s"},
    {.name = "transfer-details", .activate = transfer_details, .parameter_type = "s"},
};

void
ph_application_add_dialogs (PhApplication *self)
{
  g_action_map_add_action_entries (G_ACTION_MAP (self), actions, G_N_ELEMENTS (actions), self);
}

/* --- Alerts ---------------------------------------------------------------------------------------- */

/* Without a window it is told all the same, whatever the setting of notifications says: it is told once. */
static void
alerted (PhApplication *self, PhContactItem *contact, const char *message)
{
  if (gtk_application_get_active_window (GTK_APPLICATION (self)) == NULL) {
    g_autoptr (GNotification) notification =
        g_notification_new (_ ("Somebody Else Answered in a Person’s Place"));
    g_autofree char *id = g_strconcat ("alert-", ph_contact_item_id (contact), NULL);

    g_notification_set_body (notification, ph_contact_item_display_name (contact));
    g_notification_set_priority (notification, G_NOTIFICATION_PRIORITY_URGENT);
    g_notification_set_default_action_and_target (notification, "app.show-person", "s",
                                                  ph_contact_item_id (contact));
    g_application_send_notification (G_APPLICATION (self), id, notification);
    return;
  }
  present (self, ph_key_alert_new (ph_application_get_client (self), contact));
}

void
ph_application_follow_alerts (PhApplication *self)
{
  g_signal_connect_object (ph_application_get_client (self), "alert", G_CALLBACK (alerted), self,
                           G_CONNECT_SWAPPED);
}
