/* SPDX-License-Identifier: GPL-3.0-or-later */

#define G_LOG_DOMAIN "porthole"

#include "app/gtk/ph-background.h"

#include "app/gtk/ph-window.h"

#include <glib/gi18n.h>
#include <libportal/portal.h>

#define NOTIFICATION_ID "background"
#define REFUSED_ID "background-refused"

struct _PhBackground {
  GObject parent_instance;

  PhClient *client;
  XdpPortal *portal; /* NULL: there is no session bus */
  char *profile;
  PhApplication *application; /* borrowed */
  bool held;
  bool asked; /* the portal, in this run */
  bool at_login; /* started so, and no window was opened since */
};

G_DEFINE_FINAL_TYPE (PhBackground, ph_background, G_TYPE_OBJECT)

/* --- Staying ------------------------------------------------------------------------------------- */

bool
ph_background_is_wanted (PhBackground *self)
{
  return ph_client_get_flag (self->client, "run-in-background")
         || (self->at_login && ph_client_get_flag (self->client, "auto-start"));
}

/* Until everything is told nobody knows what there is to do. */
static bool
has_to_stay (PhBackground *self)
{
  return !ph_client_get_loaded (self->client) || ph_client_get_running (self->client) > 0
         || ph_background_is_wanted (self);
}

static void
update (PhBackground *self)
{
  const bool hold = has_to_stay (self);

  /* It told of transfers that went on: they have ended. */
  if (ph_client_get_running (self->client) == 0)
    g_application_withdraw_notification (G_APPLICATION (self->application), NOTIFICATION_ID);
  if (hold == self->held)
    return;
  self->held = hold;
  if (hold)
    g_application_hold (G_APPLICATION (self->application));
  else
    g_application_release (G_APPLICATION (self->application));
}

/* --- The portal ---------------------------------------------------------------------------------- */

/* To where somebody looks; without a window it is a notification. */
static void
tell (PhBackground *self, const char *text)
{
  GtkWindow *window = gtk_application_get_active_window (GTK_APPLICATION (self->application));
  AdwDialog *dialog =
      PH_IS_WINDOW (window)
          ? adw_application_window_get_visible_dialog (ADW_APPLICATION_WINDOW (window))
          : NULL;

  if (ADW_IS_PREFERENCES_DIALOG (dialog)) {
    adw_preferences_dialog_add_toast (ADW_PREFERENCES_DIALOG (dialog), adw_toast_new (text));
  } else if (PH_IS_WINDOW (window)) {
    ph_window_add_toast (PH_WINDOW (window), adw_toast_new (text));
  } else {
    g_autoptr (GNotification) notification = g_notification_new (text);

    g_application_send_notification (G_APPLICATION (self->application), REFUSED_ID, notification);
  }
}

/* A switch that does nothing goes back, and says so. */
static void
refused (PhBackground *self, const char *key, const char *text)
{
  ph_client_set_setting_async (self->client, key, "false", NULL, NULL);
  tell (self, text);
}

/* Desktops without this portal let programs run in the background as they like; one that has it has said
 * no. */
static void
portal_answered (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (PhBackground) self = data;
  g_autoptr (GError) error = NULL;
  bool missing;

  if (xdp_portal_request_background_finish (XDP_PORTAL (source), result, &error))
    return;
  g_debug ("background: %s", error != NULL ? error->message : "declined");
  missing = error != NULL && error->domain == G_DBUS_ERROR;
  /* A request for both is answered about the login only: with the switch back, the other is asked for. */
  if (ph_client_get_flag (self->client, "auto-start"))
    refused (self, "auto-start", _ ("This desktop does not start Porthole at login"));
  else if (!missing && ph_client_get_flag (self->client, "run-in-background"))
    refused (self, "run-in-background",
             _ ("This desktop stops Porthole when its window is closed"));
}

/* Without a window: who starts at login wants to be reached, not looked at. */
static GPtrArray *
command_line (PhBackground *self)
{
  GPtrArray *words = g_ptr_array_new_with_free_func (g_free);

  g_ptr_array_add (words, g_strdup ("porthole"));
  if (self->profile != NULL)
    g_ptr_array_add (words, g_strconcat ("--profile=", self->profile, NULL));
  g_ptr_array_add (words, g_strdup ("--gapplication-service"));
  g_ptr_array_add (words, g_strdup ("--" PH_BACKGROUND_LOGIN_OPTION));
  return words;
}

static void
ask_portal (PhBackground *self)
{
  const bool login = ph_client_get_flag (self->client, "auto-start");

  if (self->portal == NULL) {
    if (login)
      refused (self, "auto-start", _ ("This desktop does not start Porthole at login"));
    return;
  }
  self->asked = true;
  xdp_portal_request_background (
      self->portal, NULL, _ ("Porthole receives files while its window is closed"),
      command_line (self), login ? XDP_BACKGROUND_FLAG_AUTOSTART : XDP_BACKGROUND_FLAG_NONE, NULL,
      portal_answered, g_object_ref (self));
}

/* The portal keeps what it was told: it is asked when a person changes something, not at each start. That
 * Porthole is not to start at login it may have to be told though nothing else is wanted. */
static void
setting_changed (PhBackground *self, const char *key)
{
  const bool wants = ph_client_get_flag (self->client, "run-in-background")
                     || ph_client_get_flag (self->client, "auto-start");

  update (self);
  if (ph_client_get_loaded (self->client)
      && (wants || self->asked || g_str_equal (key, "auto-start")))
    ask_portal (self);
}

/* --- A window is closed ----------------------------------------------------------------------- */

void
ph_background_window_opened (PhBackground *self)
{
  self->at_login = false;
  update (self);
}

void
ph_background_window_closed (PhBackground *self)
{
  const unsigned running = ph_client_get_running (self->client);
  g_autoptr (GNotification) notification = NULL;
  g_autofree char *title = NULL;

  /* A sandbox's programs without a window are stopped, unless the person agreed. */
  if (!self->asked && xdp_portal_running_under_sandbox ()
      && ph_client_get_flag (self->client, "run-in-background"))
    ask_portal (self);
  if (running == 0 || !ph_client_get_flag (self->client, "notifications"))
    return;
  title = g_strdup_printf (ngettext ("%u Transfer Goes On in the Background",
                                     "%u Transfers Go On in the Background", running),
                           running);
  notification = g_notification_new (title);
  g_notification_set_body (notification, _ ("Quit Porthole to stop until its next start"));
  g_notification_add_button (notification, _ ("Quit"), "app.quit");
  g_application_send_notification (G_APPLICATION (self->application), NOTIFICATION_ID,
                                   notification);
}

/* --- Object -------------------------------------------------------------------------------------- */

static void
ph_background_finalize (GObject *object)
{
  PhBackground *self = PH_BACKGROUND (object);

  if (self->held)
    g_application_release (G_APPLICATION (self->application));
  g_object_unref (self->client);
  g_clear_object (&self->portal);
  g_free (self->profile);
  G_OBJECT_CLASS (ph_background_parent_class)->finalize (object);
}

static void
ph_background_class_init (PhBackgroundClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = ph_background_finalize;
}

static void
ph_background_init (PhBackground *self)
{
  g_autoptr (GError) error = NULL;

  self->portal = xdp_portal_initable_new (&error);
  if (self->portal == NULL)
    g_debug ("no portal: %s", error->message);
}

PhBackground *
ph_background_new (PhApplication *application, PhClient *client, const char *profile, bool at_login)
{
  PhBackground *self = g_object_new (PH_TYPE_BACKGROUND, NULL);

  self->application = application;
  self->client = g_object_ref (client);
  self->profile = g_strdup (profile);
  self->at_login = at_login;
  g_signal_connect_object (client, "notify::loaded", G_CALLBACK (update), self, G_CONNECT_SWAPPED);
  g_signal_connect_object (client, "notify::running", G_CALLBACK (update), self, G_CONNECT_SWAPPED);
  g_signal_connect_object (client, "setting-changed::run-in-background",
                           G_CALLBACK (setting_changed), self, G_CONNECT_SWAPPED);
  g_signal_connect_object (client, "setting-changed::auto-start", G_CALLBACK (setting_changed),
                           self, G_CONNECT_SWAPPED);
  update (self);
  return self;
}
