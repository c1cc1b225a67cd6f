/* SPDX-License-Identifier: GPL-3.0-or-later */

#define G_LOG_DOMAIN "porthole"

#include "app/gtk/ph-notifications.h"

#include "app/gtk/ph-transfer-commands.h"
#include "app/gtk/ph-window.h"
#include "app/model/ph-format.h"
#include "app/model/ph-notice-pace.h"

#include <glib/gi18n.h>

struct _PhNotifications {
  GObject parent_instance;

  PhClient *client;
  GHashTable *accepted; /* transfers to accept as soon as they are offered (again) */
  GHashTable *told; /* offers with a notification */
  PhNoticePace *pace;
  PhApplication *application; /* borrowed */
};

G_DEFINE_FINAL_TYPE (PhNotifications, ph_notifications, G_TYPE_OBJECT)

/* --- Whether, and what --------------------------------------------------------------------------- */

/* A person who looks at the page sees for themselves. */
static bool
is_seen (PhNotifications *self, const PhTransferView *view)
{
  GtkWindow *window = gtk_application_get_active_window (GTK_APPLICATION (self->application));
  PhContactItem *contact = PH_IS_WINDOW (window) && gtk_window_is_active (window)
                               ? ph_window_get_contact (PH_WINDOW (window))
                               : NULL;

  return contact != NULL && g_str_equal (ph_contact_item_id (contact), view->contact);
}

/* What a contact sets off interrupts now and then; past that it waits with the other notifications. */
static GNotificationPriority
priority_of (PhNotifications *self, const PhTransferView *view, GNotificationPriority wish)
{
  return view->direction == PH_DIRECTION_SEND
                 || ph_notice_pace_take (self->pace, view->contact, g_get_monotonic_time ())
             ? wish
             : G_NOTIFICATION_PRIORITY_LOW;
}

static char *
id_of (const PhTransferView *view)
{
  return g_strconcat ("transfer-", view->id, NULL);
}

static void
send (PhNotifications *self, const PhTransferView *view, const char *title, const char *body,
      GNotificationPriority priority, bool asks)
{
  g_autoptr (GNotification) notification = g_notification_new (title);
  g_autofree char *id = id_of (view);

  g_notification_set_body (notification, body);
  g_notification_set_priority (notification, priority);
  g_notification_set_default_action_and_target (notification, "app.show-transfer", "s", view->id);
  if (asks) {
    g_notification_add_button_with_target (notification, _ ("Accept"), "app.accept", "s", view->id);
    g_notification_add_button_with_target (notification, _ ("Decline"), "app.decline", "s",
                                           view->id);
  } else if (view->state == PH_TRANSFER_DONE && view->direction == PH_DIRECTION_RECEIVE) {
    g_notification_add_button_with_target (notification, _ ("Show in Folder"), "app.show-in-folder",
                                           "s", view->id);
  }
  g_application_send_notification (G_APPLICATION (self->application), id, notification);
}

static void
withdraw (PhNotifications *self, const char *transfer)
{
  g_autofree char *id = g_strconcat ("transfer-", transfer, NULL);

  g_hash_table_remove (self->told, transfer);
  g_application_withdraw_notification (G_APPLICATION (self->application), id);
}

/* --- Offers -------------------------------------------------------------------------------------- */

typedef struct {
  PhNotifications *notifications;
  char *transfer;
} Answer;

static Answer *
answer_new (PhNotifications *self, const char *transfer)
{
  Answer *answer = g_new0 (Answer, 1);

  answer->notifications = g_object_ref (self);
  answer->transfer = g_strdup (transfer);
  return answer;
}

static void
answer_free (Answer *answer)
{
  g_object_unref (answer->notifications);
  g_free (answer->transfer);
  g_free (answer);
}

/* There may be no window to say it in. */
static void
tell_refused (PhNotifications *self, const char *transfer, const GError *error)
{
  PhTransferItem *item = ph_client_find_transfer (self->client, transfer);

  if (item != NULL && !g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    send (self, ph_transfer_item_view (item), _ ("The Files Were Not Accepted"), error->message,
          G_NOTIFICATION_PRIORITY_HIGH, ph_transfer_item_view (item)->state == PH_TRANSFER_OFFERED);
}

static void
accept_finished (GObject *source, GAsyncResult *result, gpointer data)
{
  Answer *answer = data;
  g_autoptr (GError) error = NULL;
  g_autofree char *text = ph_client_finish (PH_CLIENT (source), result, &error);

  if (error != NULL)
    tell_refused (answer->notifications, answer->transfer, error);
  answer_free (answer);
}

static void
offer_changed (PhTransferItem *item, GParamSpec *pspec, PhNotifications *self)
{
  const PhTransferView *view = ph_transfer_item_view (item);

  if (view->state == PH_TRANSFER_OFFERED)
    return;
  withdraw (self, view->id);
  g_signal_handlers_disconnect_by_func (item, offer_changed, self);
}

static void
offered (PhClient *client, PhTransferItem *item, PhNotifications *self)
{
  const PhTransferView *view = ph_transfer_item_view (item);
  g_autofree char *title = NULL, *body = NULL, *who = NULL;

  if (g_hash_table_remove (self->accepted, view->id)) {
    ph_client_accept_async (client, view->id, NULL, accept_finished, answer_new (self, view->id));
    return;
  }
  if (!ph_client_get_flag (client, "notifications") || is_seen (self, view))
    return;
  who = ph_format_name (view->contact_name);
  /* Translators: %s is a person or device */
  title = g_strdup_printf (_ ("%s Wants to Send You Files"), who);
  body = ph_format_amount (view->files, view->bytes_total);
  if (g_hash_table_add (self->told, g_strdup (view->id)))
    g_signal_connect_object (item, "notify::state", G_CALLBACK (offer_changed), self,
                             G_CONNECT_DEFAULT);
  send (self, view, title, body, priority_of (self, view, G_NOTIFICATION_PRIORITY_HIGH), true);
}

/* --- Ends ---------------------------------------------------------------------------------------- */

static void
ended (PhClient *client, PhTransferItem *item, PhNotifications *self)
{
  const PhTransferView *view = ph_transfer_item_view (item);
  const bool sends = view->direction == PH_DIRECTION_SEND;
  g_autofree char *who = ph_format_name (view->contact_name);
  g_autofree char *amount = ph_format_amount (view->files, view->bytes_total);
  g_autofree char *title = NULL;
  const char *format;

  g_hash_table_remove (self->accepted, view->id);
  if (!ph_client_get_flag (client, "notifications") || is_seen (self, view))
    return;
  if (view->state == PH_TRANSFER_DONE)
    /* Translators: %s is a person or device */
    format = sends ? N_ ("Delivered to %s") : N_ ("Received From %s");
  else if (view->state == PH_TRANSFER_FAILED)
    /* Translators: %s is a person or device */
    format = sends ? N_ ("Sending to %s Failed") : N_ ("Receiving From %s Failed");
  else if (view->state == PH_TRANSFER_DECLINED && sends)
    /* Translators: %s is a person or device */
    format = N_ ("Declined by %s");
  else
    return;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  title = g_strdup_printf (_ (format), who);
#pragma GCC diagnostic pop
  send (self, view, title, view->state == PH_TRANSFER_FAILED ? NULL : amount,
        priority_of (self, view, G_NOTIFICATION_PRIORITY_NORMAL), false);
}

/* --- Actions ------------------------------------------------------------------------------------- */

static void
accept_answered (GObject *source, GAsyncResult *result, gpointer data)
{
  Answer *answer = data;
  g_autoptr (GError) error = NULL;
  g_autofree char *text = ph_client_finish (PH_CLIENT (source), result, &error);

  /* The answer has started the program: the other side offers again as soon as it notices. */
  if (g_error_matches (error, PH_ENGINE_ERROR, PH_ENGINE_ERROR_OFFLINE))
    g_hash_table_add (answer->notifications->accepted, g_steal_pointer (&answer->transfer));
  else if (error != NULL)
    tell_refused (answer->notifications, answer->transfer, error);
  answer_free (answer);
}

static void
accept_activated (GSimpleAction *action, GVariant *parameter, gpointer data)
{
  PhNotifications *self = data;
  const char *transfer = g_variant_get_string (parameter, NULL);

  withdraw (self, transfer);
  ph_client_accept_async (self->client, transfer, NULL, accept_answered,
                          answer_new (self, transfer));
}

static void
decline_activated (GSimpleAction *action, GVariant *parameter, gpointer data)
{
  PhNotifications *self = data;
  const char *transfer = g_variant_get_string (parameter, NULL);

  withdraw (self, transfer);
  ph_client_decline_async (self->client, transfer, NULL, NULL);
}

static void
show_contact (PhNotifications *self, const char *id)
{
  PhContactItem *contact = ph_client_find_contact (self->client, id);
  GtkWindow *window;

  g_application_activate (G_APPLICATION (self->application));
  window = gtk_application_get_active_window (GTK_APPLICATION (self->application));
  if (PH_IS_WINDOW (window) && contact != NULL)
    ph_window_show_contact (PH_WINDOW (window), contact);
}

static void
show_person_activated (GSimpleAction *action, GVariant *parameter, gpointer data)
{
  show_contact (data, g_variant_get_string (parameter, NULL));
}

static void
show_transfer_activated (GSimpleAction *action, GVariant *parameter, gpointer data)
{
  PhNotifications *self = data;
  PhTransferItem *item =
      ph_client_find_transfer (self->client, g_variant_get_string (parameter, NULL));

  show_contact (self, item != NULL ? ph_transfer_item_view (item)->contact : "");
}

static void
show_in_folder_activated (GSimpleAction *action, GVariant *parameter, gpointer data)
{
  PhNotifications *self = data;
  PhTransferItem *item =
      ph_client_find_transfer (self->client, g_variant_get_string (parameter, NULL));
  GtkWindow *window;

  if (item == NULL)
    return;
  show_contact (self, ph_transfer_item_view (item)->contact);
  window = gtk_application_get_active_window (GTK_APPLICATION (self->application));
  if (window != NULL)
    ph_transfer_show_in_folder (GTK_WIDGET (window), self->client, item);
}

static const GActionEntry entries[] = {
    {.name = "accept", .activate = accept_activated, .parameter_type = "s"},
    {.name = "decline", .activate = decline_activated, .parameter_type = "s"},
    {.name = "show-person", .activate = show_person_activated, .parameter_type = "s"},
    {.name = "show-transfer", .activate = show_transfer_activated, .parameter_type = "s"},
    {.name = "show-in-folder", .activate = show_in_folder_activated, .parameter_type = "s"},
};

/* --- Object -------------------------------------------------------------------------------------- */

static void
ph_notifications_finalize (GObject *object)
{
  PhNotifications *self = PH_NOTIFICATIONS (object);

  g_action_map_remove_action_entries (G_ACTION_MAP (self->application), entries,
                                      G_N_ELEMENTS (entries));
  g_hash_table_unref (self->accepted);
  g_hash_table_unref (self->told);
  ph_notice_pace_free (self->pace);
  g_object_unref (self->client);
  G_OBJECT_CLASS (ph_notifications_parent_class)->finalize (object);
}

static void
ph_notifications_class_init (PhNotificationsClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = ph_notifications_finalize;
}

static void
ph_notifications_init (PhNotifications *self)
{
  self->accepted = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  self->told = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  self->pace = ph_notice_pace_new ();
}

PhNotifications *
ph_notifications_new (PhApplication *application, PhClient *client)
{
  PhNotifications *self = g_object_new (PH_TYPE_NOTIFICATIONS, NULL);

  self->application = application;
  self->client = g_object_ref (client);
  g_action_map_add_action_entries (G_ACTION_MAP (application), entries, G_N_ELEMENTS (entries),
                                   self);
  g_signal_connect_object (client, "offered", G_CALLBACK (offered), self, G_CONNECT_DEFAULT);
  g_signal_connect_object (client, "ended", G_CALLBACK (ended), self, G_CONNECT_DEFAULT);
  return self;
}
