/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/gtk/ph-preferences-dialog.h"

#include "app/gtk/ph-closures.h"
#include "app/gtk/ph-escape.h"
#include "app/gtk/ph-identity-dialog.h"
#include "app/gtk/ph-server-group.h"
#include "app/model/ph-format.h"
#include "app/model/ph-settings.h"

#include <glib/gi18n.h>
#include <math.h>

struct _PhPreferencesDialog {
  AdwPreferencesDialog parent_instance;

  AdwEntryRow *name_row;
  GtkWidget *folder_row;
  GtkWidget *connection_page;
  AdwSpinRow *queue_row;
  AdwSwitchRow *background_row;
  AdwSwitchRow *login_row;
  AdwSwitchRow *notifications_row;
  AdwSwitchRow *private_row;
  AdwSwitchRow *guess_row;
  AdwSwitchRow *nearby_row;
  AdwSwitchRow *mapping_row;
  AdwSpinRow *up_row;
  AdwSpinRow *down_row;
  PhServerGroup *rendezvous_group;
  PhServerGroup *stun_group;
  PhServerGroup *turn_group;

  PhClient *client;
  PhSettings *settings;
};

enum { PROP_0, PROP_CLIENT, PROP_SETTINGS, N_PROPS };
static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (PhPreferencesDialog, ph_preferences_dialog, ADW_TYPE_PREFERENCES_DIALOG)

/* --- Words in spin buttons ------------------------------------------------------------------------ */

static gboolean
show_words (GtkEditable *editable, char *words)
{
  if (g_strcmp0 (gtk_editable_get_text (editable), words) != 0)
    gtk_editable_set_text (editable, words);
  g_free (words);
  return TRUE;
}

static char *
days_words (AdwSpinRow *row)
{
  const unsigned days = (unsigned)adw_spin_row_get_value (row);

  if (days == 0)
    return g_strdup (C_ ("days to wait", "For ever"));
  return g_strdup_printf (ngettext ("%u day", "%u days", days), days);
}

static char *
limit_words (AdwSpinRow *row)
{
  const double limit = adw_spin_row_get_value (row);

  if (limit < 0.05)
    return g_strdup (C_ ("speed", "No limit"));
  /* Translators: megabytes a second. */
  return g_strdup_printf (_ ("%.1f MB/s"), limit);
}

static gboolean
show_days (AdwSpinRow *row, gpointer user_data)
{
  return show_words (GTK_EDITABLE (row), days_words (row));
}

static gboolean
show_limit (AdwSpinRow *row, gpointer user_data)
{
  return show_words (GTK_EDITABLE (row), limit_words (row));
}

/* What nobody has changed means what it was made of: in Arabic two days have no digit, and a limit has more of them than
 * are shown. Else it is the number that a text begins with; words mean 0, which they stand for. */
static int
read_words (AdwSpinRow *row, double *ret_value, char *words)
{
  const char *text = gtk_editable_get_text (GTK_EDITABLE (row));
  char *end = NULL;
  const double value = g_strtod (text, &end);

  if (g_str_equal (text, words))
    *ret_value = adw_spin_row_get_value (row);
  else
    *ret_value = end != text && isfinite (value) ? value : 0;
  g_free (words);
  return TRUE;
}

static int
read_days (AdwSpinRow *row, double *ret_value, gpointer user_data)
{
  return read_words (row, ret_value, days_words (row));
}

static int
read_limit (AdwSpinRow *row, double *ret_value, gpointer user_data)
{
  return read_words (row, ret_value, limit_words (row));
}

/* --- Name and folder ------------------------------------------------------------------------------- */

static void
show_name (PhPreferencesDialog *self)
{
  const char *name = ph_client_get_setting (self->client, "name");

  if (g_strcmp0 (gtk_editable_get_text (GTK_EDITABLE (self->name_row)), name) != 0)
    gtk_editable_set_text (GTK_EDITABLE (self->name_row), name);
}

static void
apply_name (PhPreferencesDialog *self)
{
  g_autofree char *name =
      g_strstrip (g_strdup (gtk_editable_get_text (GTK_EDITABLE (self->name_row))));

  if (*name == '\0')
    show_name (self); /* nobody goes without a name */
  else
    g_object_set (self->settings, "name", name, NULL);
}

/* "~/Downloads" for a folder at home. */
static char *
folder_words (PhPreferencesDialog *self, const char *path)
{
  const char *home = g_get_home_dir ();
  const size_t len = strlen (home);

  if (path == NULL)
    return g_strdup ("");
  if (len > 1 && strncmp (path, home, len) == 0 && path[len] == '/')
    return g_strconcat ("~", path + len, NULL);
  return g_strdup (path);
}

static void
folder_chosen (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (PhPreferencesDialog) self = user_data;
  g_autoptr (GFile) folder =
      gtk_file_dialog_select_folder_finish (GTK_FILE_DIALOG (source), result, NULL);
  g_autofree char *path = folder != NULL ? g_file_get_path (folder) : NULL;

  if (path != NULL)
    g_object_set (self->settings, "download-dir", path, NULL);
  else if (folder != NULL)
    adw_preferences_dialog_add_toast (
        ADW_PREFERENCES_DIALOG (self),
        adw_toast_new (_ ("Files cannot be saved there: choose a folder of this computer")));
}

static void
choose_folder (PhPreferencesDialog *self)
{
  g_autoptr (GtkFileDialog) dialog = gtk_file_dialog_new ();
  g_autoptr (GFile) folder =
      g_file_new_for_path (ph_client_get_setting (self->client, "download-dir"));

  gtk_file_dialog_set_title (dialog, _ ("Download Folder"));
  gtk_file_dialog_set_initial_folder (dialog, folder);
  gtk_file_dialog_select_folder (dialog, GTK_WINDOW (gtk_widget_get_root (GTK_WIDGET (self))), NULL,
                                 folder_chosen, g_object_ref (self));
}

static void
export_identity (PhPreferencesDialog *self)
{
  adw_dialog_present (ph_identity_dialog_new (self->client, PH_IDENTITY_EXPORT), GTK_WIDGET (self));
}

static void
import_identity (PhPreferencesDialog *self)
{
  adw_dialog_present (ph_identity_dialog_new (self->client, PH_IDENTITY_IMPORT), GTK_WIDGET (self));
}

/* --- Focus ----------------------------------------------------------------------------------------- */

static bool
shows_connection (PhPreferencesDialog *self)
{
  return adw_preferences_dialog_get_visible_page (ADW_PREFERENCES_DIALOG (self))
         == ADW_PREFERENCES_PAGE (self->connection_page);
}

/* Both pages begin with an entry, and all that is in it would be selected. */
static gboolean
focus_page (PhPreferencesDialog *self)
{
  gtk_editable_select_region (GTK_EDITABLE (self->name_row), 0, 0);
  return gtk_widget_grab_focus (shows_connection (self) ? GTK_WIDGET (self->rendezvous_group)
                                                        : self->folder_row);
}

static gboolean
ph_preferences_dialog_grab_focus (GtkWidget *widget)
{
  GtkWidget *last = adw_dialog_get_focus (ADW_DIALOG (widget));

  if (last != NULL && !GTK_IS_TEXT (last))
    return GTK_WIDGET_CLASS (ph_preferences_dialog_parent_class)->grab_focus (widget);
  return focus_page (PH_PREFERENCES_DIALOG (widget));
}

/* Who chose the page on the keyboard stays in the switcher. */
static void
page_shown (PhPreferencesDialog *self)
{
  GtkWidget *last = adw_dialog_get_focus (ADW_DIALOG (self));

  if (last != NULL && GTK_IS_TEXT (last))
    focus_page (self);
}

/* --- Object ---------------------------------------------------------------------------------------- */

static void
refused (PhPreferencesDialog *self, const char *key, const char *message)
{
  if (g_str_equal (key, "rendezvous"))
    ph_server_group_refuse (self->rendezvous_group, message);
  else if (g_str_equal (key, "stun"))
    ph_server_group_refuse (self->stun_group, message);
  else if (g_str_equal (key, "turn"))
    ph_server_group_refuse (self->turn_group, message);
  else
    adw_preferences_dialog_add_toast (
        ADW_PREFERENCES_DIALOG (self),
        g_object_new (ADW_TYPE_TOAST, "title", message, "use-markup", FALSE, NULL));
}

static void
bind (PhPreferencesDialog *self, const char *key, gpointer target, const char *property)
{
  g_object_bind_property (self->settings, key, target, property,
                          G_BINDING_BIDIRECTIONAL | G_BINDING_SYNC_CREATE);
}

static void
ph_preferences_dialog_constructed (GObject *object)
{
  PhPreferencesDialog *self = PH_PREFERENCES_DIALOG (object);

  G_OBJECT_CLASS (ph_preferences_dialog_parent_class)->constructed (object);
  /* The template was bound before the settings were there. */
  g_object_notify_by_pspec (object, properties[PROP_SETTINGS]);
  bind (self, "queue-days", self->queue_row, "value");
  bind (self, "run-in-background", self->background_row, "active");
  bind (self, "auto-start", self->login_row, "active");
  bind (self, "notifications", self->notifications_row, "active");
  bind (self, "private-mode", self->private_row, "active");
  bind (self, "guess-ports", self->guess_row, "active");
  bind (self, "nearby", self->nearby_row, "active");
  bind (self, "port-mapping", self->mapping_row, "active");
  bind (self, "speed-limit-up", self->up_row, "value");
  bind (self, "speed-limit-down", self->down_row, "value");
  bind (self, "rendezvous", self->rendezvous_group, "value");
  bind (self, "stun", self->stun_group, "value");
  bind (self, "turn", self->turn_group, "value");
  ph_server_group_setup (self->rendezvous_group, self->client, PH_SERVER_RENDEZVOUS);
  ph_server_group_setup (self->stun_group, self->client, PH_SERVER_STUN);
  ph_server_group_setup (self->turn_group, self->client, PH_SERVER_TURN);

  g_signal_connect_object (self->settings, "refused", G_CALLBACK (refused), self,
                           G_CONNECT_SWAPPED);
  g_signal_connect_object (self->client, "setting-changed::name", G_CALLBACK (show_name), self,
                           G_CONNECT_SWAPPED);
  g_signal_connect_object (self, "notify::visible-page", G_CALLBACK (page_shown), self,
                           G_CONNECT_SWAPPED);
  show_name (self);
}

static void
ph_preferences_dialog_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  PhPreferencesDialog *self = PH_PREFERENCES_DIALOG (object);

  switch (id) {
  case PROP_CLIENT:
    g_value_set_object (value, self->client);
    break;
  case PROP_SETTINGS:
    g_value_set_object (value, self->settings);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_preferences_dialog_set_property (GObject *object, guint id, const GValue *value,
                                    GParamSpec *pspec)
{
  PhPreferencesDialog *self = PH_PREFERENCES_DIALOG (object);

  switch (id) {
  case PROP_CLIENT:
    self->client = g_value_dup_object (value);
    self->settings = ph_settings_new (self->client);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_preferences_dialog_dispose (GObject *object)
{
  PhPreferencesDialog *self = PH_PREFERENCES_DIALOG (object);

  gtk_widget_dispose_template (GTK_WIDGET (self), PH_TYPE_PREFERENCES_DIALOG);
  g_clear_object (&self->settings);
  g_clear_object (&self->client);
  G_OBJECT_CLASS (ph_preferences_dialog_parent_class)->dispose (object);
}

static void
bind_children (GtkWidgetClass *widget_class)
{
  gtk_widget_class_bind_template_child (widget_class, PhPreferencesDialog, name_row);
  gtk_widget_class_bind_template_child (widget_class, PhPreferencesDialog, folder_row);
  gtk_widget_class_bind_template_child (widget_class, PhPreferencesDialog, connection_page);
  gtk_widget_class_bind_template_child (widget_class, PhPreferencesDialog, queue_row);
  gtk_widget_class_bind_template_child (widget_class, PhPreferencesDialog, background_row);
  gtk_widget_class_bind_template_child (widget_class, PhPreferencesDialog, login_row);
  gtk_widget_class_bind_template_child (widget_class, PhPreferencesDialog, notifications_row);
  gtk_widget_class_bind_template_child (widget_class, PhPreferencesDialog, private_row);
  gtk_widget_class_bind_template_child (widget_class, PhPreferencesDialog, guess_row);
  gtk_widget_class_bind_template_child (widget_class, PhPreferencesDialog, nearby_row);
  gtk_widget_class_bind_template_child (widget_class, PhPreferencesDialog, mapping_row);
  gtk_widget_class_bind_template_child (widget_class, PhPreferencesDialog, up_row);
  gtk_widget_class_bind_template_child (widget_class, PhPreferencesDialog, down_row);
  gtk_widget_class_bind_template_child (widget_class, PhPreferencesDialog, rendezvous_group);
  gtk_widget_class_bind_template_child (widget_class, PhPreferencesDialog, stun_group);
  gtk_widget_class_bind_template_child (widget_class, PhPreferencesDialog, turn_group);
}

static void
ph_preferences_dialog_class_init (PhPreferencesDialogClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS (klass);

  object_class->constructed = ph_preferences_dialog_constructed;
  object_class->get_property = ph_preferences_dialog_get_property;
  object_class->set_property = ph_preferences_dialog_set_property;
  object_class->dispose = ph_preferences_dialog_dispose;
  widget_class->grab_focus = ph_preferences_dialog_grab_focus;

  properties[PROP_CLIENT] =
      g_param_spec_object ("client", NULL, NULL, PH_TYPE_CLIENT,
                           G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);
  properties[PROP_SETTINGS] = g_param_spec_object ("settings", NULL, NULL, PH_TYPE_SETTINGS,
                                                   G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);
  g_object_class_install_properties (object_class, N_PROPS, properties);

  g_type_ensure (PH_TYPE_SERVER_GROUP);
  gtk_widget_class_set_template_from_resource (widget_class,
                                               "/org/porthole/Porthole/ph-preferences-dialog.ui");
  bind_children (widget_class);
  gtk_widget_class_bind_template_callback (widget_class, show_days);
  gtk_widget_class_bind_template_callback (widget_class, show_limit);
  gtk_widget_class_bind_template_callback (widget_class, read_days);
  gtk_widget_class_bind_template_callback (widget_class, read_limit);
  gtk_widget_class_bind_template_callback (widget_class, apply_name);
  gtk_widget_class_bind_template_callback (widget_class, folder_words);
  gtk_widget_class_bind_template_callback (widget_class, choose_folder);
  gtk_widget_class_bind_template_callback (widget_class, export_identity);
  gtk_widget_class_bind_template_callback (widget_class, import_identity);
  ph_closures_bind (widget_class);
}

static void
ph_preferences_dialog_init (PhPreferencesDialog *self)
{
  gtk_widget_init_template (GTK_WIDGET (self));
  ph_escape_past_toasts (GTK_WIDGET (self->name_row));
  ph_name_pages (GTK_WIDGET (self->name_row));
}

AdwDialog *
ph_preferences_dialog_new (PhClient *client)
{
  return g_object_new (PH_TYPE_PREFERENCES_DIALOG, "client", client, NULL);
}

void
ph_preferences_dialog_show_connection (PhPreferencesDialog *self)
{
  g_return_if_fail (PH_IS_PREFERENCES_DIALOG (self));

  adw_preferences_dialog_set_visible_page_name (ADW_PREFERENCES_DIALOG (self), "connection");
}
