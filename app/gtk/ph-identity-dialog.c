/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/gtk/ph-identity-dialog.h"

#include "app/gtk/ph-closures.h"

#include <glib/gi18n.h>

struct _PhIdentityDialog {
  AdwDialog parent_instance;

  GtkStack *stack;
  GtkWidget *go_button;
  AdwPreferencesGroup *passphrase_group;
  AdwActionRow *file_row;
  GtkWidget *passphrase_row;
  GtkWidget *repeat_row;
  GtkWidget *replace_group;
  AdwSwitchRow *replace_row;
  AdwStatusPage *done_page;
  GtkWidget *done_button;

  PhClient *client;
  GFile *file;
  char *message;
  PhIdentityTask task;
  bool is_done;
};

enum { PROP_0, PROP_MESSAGE, N_PROPS };
static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (PhIdentityDialog, ph_identity_dialog, ADW_TYPE_DIALOG)

static void
show_message (PhIdentityDialog *self, const char *message)
{
  if (g_set_str (&self->message, message))
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MESSAGE]);
}

static const char *
text_of (GtkWidget *row)
{
  return gtk_editable_get_text (GTK_EDITABLE (row));
}

static bool
must_replace (PhIdentityDialog *self)
{
  return g_list_model_get_n_items (ph_client_get_contacts (self->client)) > 0
         || g_list_model_get_n_items (ph_client_get_transfers (self->client)) > 0;
}

/* Whether it can go on; says why not once there is something to compare. */
static void
update (PhIdentityDialog *self)
{
  const char *passphrase = text_of (self->passphrase_row);
  const char *repeated = text_of (self->repeat_row);
  const bool is_long = strlen (passphrase) >= PH_ENGINE_PASSPHRASE_MIN;
  const bool same = g_str_equal (passphrase, repeated);
  g_autofree char *too_short = NULL;
  bool ready;

  if (self->task == PH_IDENTITY_EXPORT) {
    ready = is_long && same;
    if (*repeated != '\0' && !is_long)
      too_short = g_strdup_printf (ngettext ("The passphrase needs at least %u character.",
                                             "The passphrase needs at least %u characters.",
                                             PH_ENGINE_PASSPHRASE_MIN),
                                   PH_ENGINE_PASSPHRASE_MIN);
    if (too_short != NULL)
      show_message (self, too_short);
    else if (is_long && *repeated != '\0' && !same && !g_str_has_prefix (passphrase, repeated))
      show_message (self, _ ("The two passphrases differ."));
    else
      show_message (self, "");
  } else {
    ready = self->file != NULL && *passphrase != '\0'
            && (adw_switch_row_get_active (self->replace_row) || !must_replace (self));
    show_message (self, "");
  }
  gtk_widget_action_set_enabled (GTK_WIDGET (self), "identity.go", ready);
}

/* --- Doing it -------------------------------------------------------------------------------------- */

static void
finished (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (PhIdentityDialog) self = user_data;
  g_autoptr (GError) error = NULL;
  g_autofree char *text = ph_client_finish (PH_CLIENT (source), result, &error);

  adw_dialog_set_can_close (ADW_DIALOG (self), TRUE);
  if (error != NULL) {
    gtk_stack_set_visible_child_name (self->stack, "ask");
    show_message (self, error->message);
    gtk_widget_grab_focus (self->passphrase_row);
    return;
  }
  self->is_done = true;
  gtk_stack_set_visible_child_name (self->stack, "done");
  gtk_widget_grab_focus (self->done_button);
}

static void
run (PhIdentityDialog *self)
{
  g_autofree char *path = g_file_get_path (self->file);
  const char *passphrase = text_of (self->passphrase_row);

  if (path == NULL) {
    show_message (self, _ ("That place cannot be used: choose a file of this computer."));
    return;
  }
  /* The engine is in the middle of it: there is nothing to go back to. */
  adw_dialog_set_can_close (ADW_DIALOG (self), FALSE);
  gtk_stack_set_visible_child_name (self->stack, "busy");
  if (self->task == PH_IDENTITY_EXPORT)
    ph_client_export_identity_async (self->client, path, passphrase, finished, g_object_ref (self));
  else
    ph_client_import_identity_async (self->client, path, passphrase,
                                     adw_switch_row_get_active (self->replace_row), finished,
                                     g_object_ref (self));
}

static GtkFileDialog *
make_file_dialog (const char *title, const char *accept)
{
  GtkFileDialog *dialog = gtk_file_dialog_new ();

  gtk_file_dialog_set_title (dialog, title);
  gtk_file_dialog_set_accept_label (dialog, accept);
  return dialog;
}

static void
place_chosen (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (PhIdentityDialog) self = user_data;
  g_autoptr (GFile) file = gtk_file_dialog_save_finish (GTK_FILE_DIALOG (source), result, NULL);

  if (file == NULL)
    return;
  g_set_object (&self->file, file);
  run (self);
}

static void
go (GtkWidget *widget, const char *action, GVariant *parameter)
{
  PhIdentityDialog *self = PH_IDENTITY_DIALOG (widget);
  g_autoptr (GtkFileDialog) dialog = NULL;

  if (self->task == PH_IDENTITY_IMPORT) {
    run (self);
    return;
  }
  dialog = make_file_dialog (_ ("Export Identity"), _ ("_Export"));
  /* Translators: the suggested name of a file; keep the ending. */
  gtk_file_dialog_set_initial_name (dialog, _ ("My identity.porthole"));
  gtk_file_dialog_save (dialog, GTK_WINDOW (gtk_widget_get_root (widget)), NULL, place_chosen,
                        g_object_ref (self));
}

static void
source_chosen (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (PhIdentityDialog) self = user_data;
  g_autoptr (GFile) file = gtk_file_dialog_open_finish (GTK_FILE_DIALOG (source), result, NULL);
  g_autofree char *name = file != NULL ? g_file_get_basename (file) : NULL;
  g_autofree char *shown = name != NULL ? g_filename_display_name (name) : NULL;

  if (file == NULL)
    return;
  g_set_object (&self->file, file);
  adw_action_row_set_subtitle (self->file_row, shown);
  gtk_widget_grab_focus (self->passphrase_row);
  update (self);
}

static void
choose (GtkWidget *widget, const char *action, GVariant *parameter)
{
  g_autoptr (GtkFileDialog) dialog = make_file_dialog (_ ("Import Identity"), _ ("_Choose"));

  gtk_file_dialog_open (dialog, GTK_WINDOW (gtk_widget_get_root (widget)), NULL, source_chosen,
                        g_object_ref (widget));
}

static void
close_dialog (GtkWidget *widget, const char *action, GVariant *parameter)
{
  adw_dialog_close (ADW_DIALOG (widget));
}

/* --- Object ---------------------------------------------------------------------------------------- */

static void
ph_identity_dialog_closed (AdwDialog *dialog)
{
  PhIdentityDialog *self = PH_IDENTITY_DIALOG (dialog);

  if (self->is_done && self->task == PH_IDENTITY_IMPORT)
    g_action_group_activate_action (G_ACTION_GROUP (g_application_get_default ()), "reopen", NULL);
}

static void
ph_identity_dialog_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  switch (id) {
  case PROP_MESSAGE:
    g_value_set_string (value, PH_IDENTITY_DIALOG (object)->message);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_identity_dialog_dispose (GObject *object)
{
  gtk_widget_dispose_template (GTK_WIDGET (object), PH_TYPE_IDENTITY_DIALOG);
  G_OBJECT_CLASS (ph_identity_dialog_parent_class)->dispose (object);
}

static void
ph_identity_dialog_finalize (GObject *object)
{
  PhIdentityDialog *self = PH_IDENTITY_DIALOG (object);

  g_clear_object (&self->file);
  g_clear_object (&self->client);
  g_free (self->message);
  G_OBJECT_CLASS (ph_identity_dialog_parent_class)->finalize (object);
}

static void
ph_identity_dialog_class_init (PhIdentityDialogClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS (klass);

  object_class->get_property = ph_identity_dialog_get_property;
  object_class->dispose = ph_identity_dialog_dispose;
  object_class->finalize = ph_identity_dialog_finalize;
  ADW_DIALOG_CLASS (klass)->closed = ph_identity_dialog_closed;
  properties[PROP_MESSAGE] =
      g_param_spec_string ("message", NULL, NULL, "", G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);
  g_object_class_install_properties (object_class, N_PROPS, properties);

  gtk_widget_class_install_action (widget_class, "identity.go", NULL, go);
  gtk_widget_class_install_action (widget_class, "identity.choose", NULL, choose);
  gtk_widget_class_install_action (widget_class, "identity.close", NULL, close_dialog);
  gtk_widget_class_set_template_from_resource (widget_class,
                                               "/org/porthole/Porthole/ph-identity-dialog.ui");
  gtk_widget_class_bind_template_child (widget_class, PhIdentityDialog, stack);
  gtk_widget_class_bind_template_child (widget_class, PhIdentityDialog, go_button);
  gtk_widget_class_bind_template_child (widget_class, PhIdentityDialog, passphrase_group);
  gtk_widget_class_bind_template_child (widget_class, PhIdentityDialog, file_row);
  gtk_widget_class_bind_template_child (widget_class, PhIdentityDialog, passphrase_row);
  gtk_widget_class_bind_template_child (widget_class, PhIdentityDialog, repeat_row);
  gtk_widget_class_bind_template_child (widget_class, PhIdentityDialog, replace_group);
  gtk_widget_class_bind_template_child (widget_class, PhIdentityDialog, replace_row);
  gtk_widget_class_bind_template_child (widget_class, PhIdentityDialog, done_page);
  gtk_widget_class_bind_template_child (widget_class, PhIdentityDialog, done_button);
  gtk_widget_class_bind_template_callback (widget_class, update);
  ph_closures_bind (widget_class);
}

static void
ph_identity_dialog_init (PhIdentityDialog *self)
{
  self->message = g_strdup ("");
  gtk_widget_init_template (GTK_WIDGET (self));
}

static void
set_up (PhIdentityDialog *self)
{
  const bool is_export = self->task == PH_IDENTITY_EXPORT;

  adw_dialog_set_title (ADW_DIALOG (self),
                        is_export ? _ ("Export Identity") : _ ("Import Identity"));
  gtk_button_set_label (GTK_BUTTON (self->go_button), is_export ? _ ("_Export…") : _ ("_Import"));
  adw_preferences_group_set_description (
      self->passphrase_group,
      is_export
          ? _ ("Whoever has the file and the passphrase can pose as you. Without the passphrase "
               "the file is of no use to anybody, you included.")
          : _ ("Takes key, name, settings and contacts from a file that Porthole has exported. "
               "Use an identity on one computer at a time."));
  gtk_widget_set_visible (GTK_WIDGET (self->file_row), !is_export);
  gtk_widget_set_visible (self->repeat_row, is_export);
  gtk_widget_set_visible (self->replace_group, !is_export && must_replace (self));
  adw_status_page_set_title (self->done_page,
                             is_export ? _ ("Identity Exported") : _ ("Identity Imported"));
  adw_status_page_set_description (self->done_page, is_export ? _ ("Keep the file in a safe place.")
                                                              : _ ("Porthole opens anew with it."));
  update (self);
}

AdwDialog *
ph_identity_dialog_new (PhClient *client, PhIdentityTask task)
{
  PhIdentityDialog *self = g_object_new (PH_TYPE_IDENTITY_DIALOG, NULL);

  self->client = g_object_ref (client);
  self->task = task;
  set_up (self);
  return ADW_DIALOG (self);
}
