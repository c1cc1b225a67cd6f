/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/gtk/ph-person-dialog.h"

#include <glib/gi18n.h>

/* Whom an alert is about. */
typedef struct {
  PhClient *client;
  PhContactItem *contact;
} Subject;

static void
subject_free (gpointer data, GClosure *closure)
{
  Subject *subject = data;

  g_object_unref (subject->client);
  g_object_unref (subject->contact);
  g_free (subject);
}

static void
answered (AdwAlertDialog *alert, const char *response, gpointer data)
{
  const Subject *subject = data;
  const char *id = ph_contact_item_id (subject->contact);

  if (g_str_equal (response, "remove"))
    ph_client_remove_async (subject->client, id, NULL, NULL);
  else if (g_str_equal (response, "again"))
    ph_client_dismiss_alert_async (subject->client, id, NULL, NULL);
}

AdwDialog *
ph_key_alert_new (PhClient *client, PhContactItem *contact)
{
  AdwAlertDialog *alert = ADW_ALERT_DIALOG (adw_alert_dialog_new (NULL, NULL));
  Subject *subject = g_new (Subject, 1);

  subject->client = g_object_ref (client);
  subject->contact = g_object_ref (contact);
  /* Translators: %s is the name of a person or device. */
  adw_alert_dialog_format_heading (alert, _ ("Stop: This May Not Be %s"),
                                   ph_contact_item_display_name (contact));
  adw_alert_dialog_format_body (
      alert,
      /* Translators: %1$s is the name of a person or device, each time. */
      _ ("Somebody answered in place of %1$s without holding the key of %1$s. Nothing was sent, and "
         "nothing is until you decide.\n\nPorthole may have been set up anew over there: then remove "
         "this contact, and add each other again. If not, somebody may be trying to read along. Ask "
         "%1$s in another way before you do anything."),
      ph_contact_item_display_name (contact));
  adw_alert_dialog_add_responses (alert, "close", _ ("_Do Nothing"), "again", _ ("_Try Again"),
                                  "remove", _ ("_Remove Contact"), NULL);
  adw_alert_dialog_set_response_appearance (alert, "remove", ADW_RESPONSE_DESTRUCTIVE);
  adw_alert_dialog_set_default_response (alert, "close");
  adw_alert_dialog_set_close_response (alert, "close");
  g_signal_connect_data (alert, "response", G_CALLBACK (answered), subject, subject_free, 0);
  return ADW_DIALOG (alert);
}
