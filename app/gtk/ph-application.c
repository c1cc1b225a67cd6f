/* SPDX-License-Identifier: GPL-3.0-or-later */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/gtk/ph-application.h"

#include "app/engine/ph-app-id.h"
#include "app/gtk/ph-add-person-dialog.h"
#include "app/gtk/ph-application-dialogs.h"
#include "app/gtk/ph-background.h"
#include "app/gtk/ph-dialog-life.h"
#include "app/gtk/ph-notifications.h"
#include "app/gtk/ph-paste.h"
#include "app/gtk/ph-search-provider.h"
#include "app/gtk/ph-send-dialog.h"
#include "app/gtk/ph-window-state.h"
#include "app/gtk/ph-window.h"

#include <glib/gi18n.h>

#define LINK_PREFIX "porthole:"
/* How long a program that the session bus has started waits for more to do: GLib's own number. */
#define IDLE_MS 10000u

struct _PhApplication {
  AdwApplication parent_instance;

  char *profile; /* NULL: the person's own */
  PhClient *client;
  PhNotifications *notifications;
  PhBackground *background;
  PhSearchProvider *search_provider; /* NULL: there is no session bus */
  bool at_login; /* started by it */
  bool quitting; /* the question was answered */
  bool failed; /* it was said that the profile cannot be opened */
};

G_DEFINE_FINAL_TYPE (PhApplication, ph_application, ADW_TYPE_APPLICATION)

/* --- Windows ------------------------------------------------------------------------------------- */

static gboolean
window_closed (PhApplication *self)
{
  ph_background_window_closed (self->background);
  return GDK_EVENT_PROPAGATE;
}

static PhWindow *
present_window (PhApplication *self)
{
  GtkWindow *window = gtk_application_get_active_window (GTK_APPLICATION (self));

  if (self->client == NULL)
    return NULL;
  if (window == NULL) {
    window = GTK_WINDOW (ph_window_new (self, self->client));
    ph_window_state_follow (window, self->profile);
    ph_background_window_opened (self->background);
    g_signal_connect_object (window, "close-request", G_CALLBACK (window_closed), self,
                             G_CONNECT_SWAPPED);
  }
  g_application_set_inactivity_timeout (G_APPLICATION (self), 0);
  gtk_window_present (window);
  return PH_WINDOW (window);
}

/* A profile that cannot be opened is said in a window: there may be no terminal. */
static void
show_startup_error (PhApplication *self, const GError *error)
{
  AdwDialog *dialog = adw_alert_dialog_new (_ ("Porthole Cannot Start"), error->message);

  self->failed = true;
  g_application_hold (G_APPLICATION (self));
  adw_alert_dialog_add_response (ADW_ALERT_DIALOG (dialog), "close", _ ("_Close"));
  g_signal_connect_object (dialog, "closed", G_CALLBACK (g_application_quit), self,
                           G_CONNECT_SWAPPED);
  adw_dialog_present (dialog, NULL);
}

/* --- Actions ------------------------------------------------------------------------------------- */

static void
quit (PhApplication *self)
{
  self->quitting = true;
  g_application_quit (G_APPLICATION (self));
}

static void
quit_answered (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (PhApplication) self = data;
  const char *response = adw_alert_dialog_choose_finish (ADW_ALERT_DIALOG (source), result);

  self->quitting = false;
  if (g_str_equal (response, "quit"))
    quit (self);
}

static void
ask_to_quit (PhApplication *self, unsigned running)
{
  AdwAlertDialog *dialog = ADW_ALERT_DIALOG (adw_alert_dialog_new (NULL, NULL));
  GtkWindow *window = gtk_application_get_active_window (GTK_APPLICATION (self));

  self->quitting = true;
  adw_alert_dialog_format_heading (
      dialog, ngettext ("Quit During a Transfer?", "Quit During %u Transfers?", running), running);
  adw_alert_dialog_set_body (dialog, _ ("What is under way stops, and goes on where it was when "
                                        "Porthole is started again."));
  adw_alert_dialog_add_responses (dialog, "cancel", _ ("_Cancel"), "quit", _ ("_Quit"), NULL);
  adw_alert_dialog_set_response_appearance (dialog, "quit", ADW_RESPONSE_DESTRUCTIVE);
  adw_alert_dialog_set_default_response (dialog, "cancel");
  adw_alert_dialog_set_close_response (dialog, "cancel");
  adw_alert_dialog_choose (dialog, GTK_WIDGET (window), NULL, quit_answered, g_object_ref (self));
}

static void
quit_activated (GSimpleAction *action, GVariant *parameter, gpointer data)
{
  PhApplication *self = data;
  const unsigned running = self->client != NULL ? ph_client_get_running (self->client) : 0;

  /* Asked once: who asks again means it. */
  if (running == 0 || self->quitting)
    quit (self);
  else
    ask_to_quit (self, running);
}

/* --- The profile ---------------------------------------------------------------------------------- */

/* Everything that is stored is there. Who is to be reached without a window is online without one. */
static void
loaded (PhApplication *self)
{
  if (ph_background_is_wanted (self->background))
    ph_client_connect (self->client);
  if (self->search_provider != NULL)
    ph_search_provider_client_changed (self->search_provider);
}

static bool
open_profile (PhApplication *self, GError **error)
{
  self->client = ph_client_new (self->profile, error);
  if (self->client == NULL)
    return false;
  ph_client_export (self->client, g_application_get_dbus_connection (G_APPLICATION (self)));
  self->notifications = ph_notifications_new (self, self->client);
  self->background = ph_background_new (self, self->client, self->profile, self->at_login);
  ph_application_follow_alerts (self);
  g_signal_connect_object (self->client, "notify::loaded", G_CALLBACK (loaded), self,
                           G_CONNECT_SWAPPED);
  ph_paste_tidy (self->client);
  return true;
}

void
ph_application_wanted (PhApplication *self)
{
  g_autoptr (GError) error = NULL;

  g_return_if_fail (PH_IS_APPLICATION (self));
  if (self->client == NULL && !self->failed && !open_profile (self, &error))
    show_startup_error (self, error);
  if (self->client != NULL)
    ph_client_connect (self->client);
}

static void
close_profile (PhApplication *self)
{
  GList *window;

  /* First what the windows still have to do, such as removals that nobody has undone. */
  while ((window = gtk_application_get_windows (GTK_APPLICATION (self))) != NULL)
    gtk_window_destroy (window->data);
  g_clear_object (&self->notifications);
  g_clear_object (&self->background);
  ph_client_close (self->client);
  g_clear_object (&self->client);
}

static gboolean
reopen (gpointer data)
{
  PhApplication *self = data;

  if (self->client == NULL)
    return G_SOURCE_REMOVE;
  g_application_hold (G_APPLICATION (self));
  close_profile (self);
  ph_application_wanted (self);
  present_window (self);
  g_application_release (G_APPLICATION (self));
  return G_SOURCE_REMOVE;
}

/* Another identity was imported into the profile: everything that was loaded from it is another. Not at once: a dialog
 * of a window that goes with it asks for this while it is being closed. */
static void
reopen_activated (GSimpleAction *action, GVariant *parameter, gpointer data)
{
  g_idle_add_full (G_PRIORITY_DEFAULT_IDLE, reopen, g_object_ref (data), g_object_unref);
}

static const GActionEntry actions[] = {
    {.name = "quit", .activate = quit_activated},
    {.name = "reopen", .activate = reopen_activated},
};

static void
add_accels (PhApplication *self)
{
  static const struct {
    const char *action;
    const char *accels[3];
  } keys[] = {
      {"app.quit", {"<Control>q"}},
      {"app.preferences", {"<Control>comma"}},
      {"app.shortcuts", {"<Control>question"}},
      {"app.add-person", {"<Control>n"}},
      {"win.search", {"<Control>f"}},
      {"win.send-files", {"<Control>o"}},
      {"win.send-folder", {"<Control><Shift>o"}},
      {"window.close", {"<Control>w"}},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (keys); i++)
    gtk_application_set_accels_for_action (GTK_APPLICATION (self), keys[i].action, keys[i].accels);
}

/* --- Life ---------------------------------------------------------------------------------------- */

static void
ph_application_startup (GApplication *application)
{
  PhApplication *self = PH_APPLICATION (application);
  g_autoptr (GError) error = NULL;

  G_APPLICATION_CLASS (ph_application_parent_class)->startup (application);
  gtk_window_set_default_icon_name (PH_APP_ID);
  ph_dialog_life_begin ();
  g_action_map_add_action_entries (G_ACTION_MAP (self), actions, G_N_ELEMENTS (actions), self);
  ph_application_add_dialogs (self);
  add_accels (self);
  if (g_application_get_flags (application) & G_APPLICATION_IS_SERVICE) {
    g_application_set_inactivity_timeout (application, IDLE_MS);
    if (!open_profile (self, &error))
      g_debug ("not opened: %s", error->message);
  } else {
    ph_application_wanted (self);
  }
}

/* Whoever asks for something, be it by a notification's button. */
static void
ph_application_before_emit (GApplication *application, GVariant *platform_data)
{
  G_APPLICATION_CLASS (ph_application_parent_class)->before_emit (application, platform_data);
  ph_application_wanted (PH_APPLICATION (application));
}

static gboolean
ph_application_dbus_register (GApplication *application, GDBusConnection *connection,
                              const char *object_path, GError **error)
{
  PhApplication *self = PH_APPLICATION (application);

  if (!G_APPLICATION_CLASS (ph_application_parent_class)
           ->dbus_register (application, connection, object_path, error))
    return FALSE;
  self->search_provider = ph_search_provider_new (self, connection, object_path, error);
  return self->search_provider != NULL;
}

static void
ph_application_dbus_unregister (GApplication *application, GDBusConnection *connection,
                                const char *object_path)
{
  PhApplication *self = PH_APPLICATION (application);

  g_clear_object (&self->search_provider);
  G_APPLICATION_CLASS (ph_application_parent_class)
      ->dbus_unregister (application, connection, object_path);
}

static void
ph_application_activate (GApplication *application)
{
  present_window (PH_APPLICATION (application));
}

/* Addresses of invitations and files may come together; each gets its dialog. */
static void
ph_application_open (GApplication *application, GFile **files, int n_files, const char *hint)
{
  PhApplication *self = PH_APPLICATION (application);
  g_autoptr (GListStore) to_send = g_list_store_new (G_TYPE_FILE);
  PhWindow *window = present_window (self);

  if (window == NULL)
    return;
  for (int i = 0; i < n_files; i++) {
    g_autofree char *uri = g_file_get_uri (files[i]);

    if (g_ascii_strncasecmp (uri, LINK_PREFIX, strlen (LINK_PREFIX)) == 0) {
      AdwDialog *dialog = ph_add_person_dialog_new (self->client);

      ph_add_person_dialog_set_link (PH_ADD_PERSON_DIALOG (dialog), uri);
      adw_dialog_present (dialog, GTK_WIDGET (window));
    } else {
      g_list_store_append (to_send, files[i]);
    }
  }
  if (g_list_model_get_n_items (G_LIST_MODEL (to_send)) > 0)
    adw_dialog_present (
        ph_send_dialog_new (self->client, G_LIST_MODEL (to_send), GTK_WIDGET (window)),
        GTK_WIDGET (window));
}

static int
ph_application_handle_local_options (GApplication *application, GVariantDict *options)
{
  PhApplication *self = PH_APPLICATION (application);

  self->at_login = g_variant_dict_contains (options, PH_BACKGROUND_LOGIN_OPTION);
  return -1;
}

static void
ph_application_shutdown (GApplication *application)
{
  PhApplication *self = PH_APPLICATION (application);

  if (self->client != NULL)
    close_profile (self);
  G_APPLICATION_CLASS (ph_application_parent_class)->shutdown (application);
}

static void
ph_application_finalize (GObject *object)
{
  PhApplication *self = PH_APPLICATION (object);

  g_free (self->profile);
  G_OBJECT_CLASS (ph_application_parent_class)->finalize (object);
}

static void
ph_application_class_init (PhApplicationClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GApplicationClass *application_class = G_APPLICATION_CLASS (klass);

  object_class->finalize = ph_application_finalize;
  application_class->handle_local_options = ph_application_handle_local_options;
  application_class->startup = ph_application_startup;
  application_class->before_emit = ph_application_before_emit;
  application_class->dbus_register = ph_application_dbus_register;
  application_class->dbus_unregister = ph_application_dbus_unregister;
  application_class->activate = ph_application_activate;
  application_class->open = ph_application_open;
  application_class->shutdown = ph_application_shutdown;
}

static void
ph_application_init (PhApplication *self)
{
  static const GOptionEntry options[] = {
      {"profile", 0, 0, G_OPTION_ARG_FILENAME, NULL,
       N_ ("Folder with identity, settings and history"), N_ ("DIR")},
      {PH_BACKGROUND_LOGIN_OPTION, 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_NONE, NULL, NULL, NULL},
      G_OPTION_ENTRY_NULL,
  };

  g_application_add_main_option_entries (G_APPLICATION (self), options);
  g_application_set_option_context_parameter_string (G_APPLICATION (self),
                                                     _ ("[FILE|porthole:LINK]…"));
}

PhApplication *
ph_application_new (const char *profile)
{
  g_autofree char *id = ph_app_id_for_profile (profile);
  PhApplication *self =
      g_object_new (PH_TYPE_APPLICATION, "application-id", id, "flags", G_APPLICATION_HANDLES_OPEN,
                    "resource-base-path", "/org/porthole/Porthole", "version", PH_VERSION, NULL);

  self->profile = profile != NULL ? g_canonicalize_filename (profile, NULL) : NULL;
  return self;
}

PhClient *
ph_application_get_client (PhApplication *self)
{
  g_return_val_if_fail (PH_IS_APPLICATION (self), NULL);
  return self->client;
}
