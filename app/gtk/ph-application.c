/* SPDX-License-Identifier: GPL-3.0-or-later */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/gtk/ph-application.h"

#include "app/engine/ph-app-id.h"
#include "app/gtk/ph-application-dialogs.h"
#include "app/gtk/ph-window.h"

#include <glib/gi18n.h>

struct _PhApplication {
  AdwApplication parent_instance;

  char *profile; /* NULL: the person's own */
  PhClient *client;
};

G_DEFINE_FINAL_TYPE (PhApplication, ph_application, ADW_TYPE_APPLICATION)

/* --- Windows ------------------------------------------------------------------------------------- */

static PhWindow *
present_window (PhApplication *self)
{
  GtkWindow *window = gtk_application_get_active_window (GTK_APPLICATION (self));

  if (self->client == NULL)
    return NULL;
  if (window == NULL)
    window = GTK_WINDOW (ph_window_new (self, self->client));
  gtk_window_present (window);
  return PH_WINDOW (window);
}

/* A profile that cannot be opened is said in a window: there may be no terminal. */
static void
show_startup_error (PhApplication *self, const GError *error)
{
  AdwDialog *dialog = adw_alert_dialog_new (_ ("Porthole Cannot Start"), error->message);

  g_application_hold (G_APPLICATION (self));
  adw_alert_dialog_add_response (ADW_ALERT_DIALOG (dialog), "close", _ ("_Close"));
  g_signal_connect_object (dialog, "closed", G_CALLBACK (g_application_quit), self,
                           G_CONNECT_SWAPPED);
  adw_dialog_present (dialog, NULL);
}

/* --- Actions ------------------------------------------------------------------------------------- */

static void
quit_activated (GSimpleAction *action, GVariant *parameter, gpointer data)
{
  g_application_quit (G_APPLICATION (data));
}

static const GActionEntry actions[] = {
    {.name = "quit", .activate = quit_activated},
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
  g_action_map_add_action_entries (G_ACTION_MAP (self), actions, G_N_ELEMENTS (actions), self);
  ph_application_add_dialogs (self);
  add_accels (self);
  self->client = ph_client_new (self->profile, &error);
  if (self->client == NULL) {
    show_startup_error (self, error);
    return;
  }
  ph_client_connect (self->client);
}

static void
ph_application_activate (GApplication *application)
{
  present_window (PH_APPLICATION (application));
}

static void
ph_application_open (GApplication *application, GFile **files, int n_files, const char *hint)
{
  present_window (PH_APPLICATION (application));
}

static void
ph_application_shutdown (GApplication *application)
{
  PhApplication *self = PH_APPLICATION (application);

  if (self->client != NULL)
    ph_client_close (self->client);
  G_APPLICATION_CLASS (ph_application_parent_class)->shutdown (application);
}

static void
ph_application_finalize (GObject *object)
{
  PhApplication *self = PH_APPLICATION (object);

  g_clear_object (&self->client);
  g_free (self->profile);
  G_OBJECT_CLASS (ph_application_parent_class)->finalize (object);
}

static void
ph_application_class_init (PhApplicationClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GApplicationClass *application_class = G_APPLICATION_CLASS (klass);

  object_class->finalize = ph_application_finalize;
  application_class->startup = ph_application_startup;
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
