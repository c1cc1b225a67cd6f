/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/gtk/ph-person-dialog.h"

#include "app/gtk/ph-closures.h"
#include "app/gtk/ph-escape.h"
#include "app/gtk/ph-history-dialog.h"
#include "app/model/ph-person-words.h"

#include <glib/gi18n.h>

struct _PhPersonDialog {
  AdwDialog parent_instance;

  AdwToastOverlay *toasts;
  AdwNavigationView *view;
  AdwEntryRow *name_row;
  GtkWidget *keys_row;
  AdwExpanderRow *auto_row;
  AdwComboRow *cap_row;
  AdwSwitchRow *block_row;
  GtkWidget *number_label;
  GtkWidget *compared_button;

  PhClient *client;
  PhContactItem *contact;
  char *safety_number; /* in lines; "" before it is there */
  bool showing; /* rows follow the contact: they are not being changed by hand */
};

enum { PROP_0, PROP_CLIENT, PROP_CONTACT, PROP_SAFETY_NUMBER, PROP_KEYS_TEXT, N_PROPS };
static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (PhPersonDialog, ph_person_dialog, ADW_TYPE_DIALOG)

static const char *
contact_id (PhPersonDialog *self)
{
  return ph_contact_item_id (self->contact);
}

/* --- Following the contact ------------------------------------------------------------------------- */

static void
refresh (PhPersonDialog *self)
{
  gboolean auto_accept;
  uint64_t max;

  g_object_get (self->contact, "auto-accept", &auto_accept, "auto-accept-max", &max, NULL);
  self->showing = true;
  adw_expander_row_set_enable_expansion (self->auto_row, auto_accept);
  if (auto_accept) {
    g_auto (GStrv) words = ph_person_caps (max);
    g_autoptr (GtkStringList) caps = gtk_string_list_new ((const char *const *)words);

    adw_combo_row_set_model (self->cap_row, G_LIST_MODEL (caps));
    adw_combo_row_set_selected (self->cap_row, ph_person_cap_position (max));
  }
  adw_switch_row_set_active (self->block_row, ph_contact_item_blocked (self->contact));
  self->showing = false;
}

static void
show_name (PhPersonDialog *self)
{
  if (g_strcmp0 (gtk_editable_get_text (GTK_EDITABLE (self->name_row)),
                 ph_contact_item_name (self->contact))
      != 0)
    gtk_editable_set_text (GTK_EDITABLE (self->name_row), ph_contact_item_name (self->contact));
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_KEYS_TEXT]);
}

/* What could not be done is said, and the rows show what is. */
static void
finished (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (PhPersonDialog) self = user_data;
  g_autoptr (GError) error = NULL;
  g_autofree char *text = ph_client_finish (PH_CLIENT (source), result, &error);

  if (error == NULL || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  adw_toast_overlay_add_toast (self->toasts, g_object_new (ADW_TYPE_TOAST, "title", error->message,
                                                           "use-markup", FALSE, NULL));
  refresh (self);
  show_name (self);
}

/* --- Rows ------------------------------------------------------------------------------------------ */

static void
apply_name (PhPersonDialog *self)
{
  g_autofree char *name =
      g_strstrip (g_strdup (gtk_editable_get_text (GTK_EDITABLE (self->name_row))));

  if (*name == '\0')
    show_name (self);
  else
    ph_client_rename_async (self->client, contact_id (self), name, finished, g_object_ref (self));
}

static void
auto_accept_changed (PhPersonDialog *self)
{
  gboolean was_on;
  uint64_t max;
  const bool is_on = adw_expander_row_get_enable_expansion (self->auto_row);

  if (self->showing || self->contact == NULL)
    return;
  g_object_get (self->contact, "auto-accept", &was_on, "auto-accept-max", &max, NULL);
  if (!is_on)
    max = 0;
  else if (!was_on)
    max = PH_PERSON_CAP_DEFAULT;
  else
    max = ph_person_cap_at (adw_combo_row_get_selected (self->cap_row), max);
  ph_client_set_auto_accept_async (self->client, contact_id (self), is_on, max, finished,
                                   g_object_ref (self));
}

static void
block_changed (PhPersonDialog *self)
{
  if (!self->showing && self->contact != NULL)
    ph_client_block_async (self->client, contact_id (self),
                           adw_switch_row_get_active (self->block_row), finished,
                           g_object_ref (self));
}

static void
copy_id (PhPersonDialog *self)
{
  ph_copy_text (GTK_WIDGET (self->view), contact_id (self), _ ("Device ID copied"));
}

static void
show_history (PhPersonDialog *self)
{
  adw_dialog_present (ph_history_dialog_new (self->client, self->contact), GTK_WIDGET (self));
}

static void
show_alert (PhPersonDialog *self)
{
  adw_dialog_present (ph_key_alert_new (self->client, self->contact), GTK_WIDGET (self));
}

/* --- Removing -------------------------------------------------------------------------------------- */

static void
removed (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (PhPersonDialog) self = user_data;
  g_autoptr (GError) error = NULL;
  g_autofree char *text = ph_client_finish (PH_CLIENT (source), result, &error);

  if (error != NULL)
    adw_toast_overlay_add_toast (
        self->toasts,
        g_object_new (ADW_TYPE_TOAST, "title", error->message, "use-markup", FALSE, NULL));
  else
    adw_dialog_close (ADW_DIALOG (self));
}

static void
remove_answered (AdwAlertDialog *alert, const char *response, PhPersonDialog *self)
{
  if (g_str_equal (response, "remove"))
    ph_client_remove_async (self->client, contact_id (self), removed, g_object_ref (self));
}

static void
ask_remove (PhPersonDialog *self)
{
  AdwAlertDialog *alert = ADW_ALERT_DIALOG (adw_alert_dialog_new (NULL, NULL));

  /* Translators: %s is the name of a person or device. */
  adw_alert_dialog_format_heading (alert, _ ("Remove %s?"),
                                   ph_contact_item_display_name (self->contact));
  adw_alert_dialog_set_body (alert, _ ("Unfinished transfers with this person end. To send each "
                                       "other files again, one of you has to invite the other."));
  adw_alert_dialog_add_responses (alert, "cancel", _ ("_Cancel"), "remove", _ ("_Remove"), NULL);
  adw_alert_dialog_set_response_appearance (alert, "remove", ADW_RESPONSE_DESTRUCTIVE);
  adw_alert_dialog_set_default_response (alert, "cancel");
  adw_alert_dialog_set_close_response (alert, "cancel");
  g_signal_connect_object (alert, "response", G_CALLBACK (remove_answered), self, 0);
  adw_dialog_present (ADW_DIALOG (alert), GTK_WIDGET (self));
}

/* --- Keys ------------------------------------------------------------------------------------------ */

static char *
keys_words (PhPersonDialog *self, gboolean verified)
{
  return g_strdup (verified ? _ ("You compared them: nobody stands between you")
                            : _ ("Make sure that nobody stands between you"));
}

static char *
compared_label (PhPersonDialog *self, gboolean verified)
{
  return g_strdup (verified ? _ ("_Forget the Comparison") : _ ("The Numbers Are the _Same"));
}

static char **
compared_classes (PhPersonDialog *self, gboolean verified)
{
  const char *const once[] = {"text-button", "pill", "suggested-action", NULL};
  const char *const done[] = {"text-button", "pill", NULL};

  return g_strdupv ((char **)(verified ? done : once));
}

static char *
keys_text (PhPersonDialog *self)
{
  if (self->contact == NULL)
    return g_strdup ("");
  return g_strdup_printf (
      /* Translators: %s is the name of a person or device. */
      _ ("Compare this number with the one that %s sees, in person or on the phone. If it is the "
         "same, only the two of you can read what you send."),
      ph_contact_item_display_name (self->contact));
}

static bool
shows_keys (PhPersonDialog *self)
{
  return g_strcmp0 (adw_navigation_view_get_visible_page_tag (self->view), "keys") == 0;
}

static void
push_keys (PhPersonDialog *self)
{
  if (shows_keys (self))
    return;
  adw_navigation_view_push_by_tag (self->view, "keys");
  /* Not the number, which has it first: all of it is selected. */
  gtk_widget_grab_focus (self->compared_button);
  gtk_label_select_region (GTK_LABEL (self->number_label), 0, 0);
}

/* The page comes with its number: a button that cannot be pressed yet cannot have the focus either. */
static void
number_told (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (PhPersonDialog) self = user_data;
  g_autofree char *number = ph_client_finish (PH_CLIENT (source), result, NULL);

  if (number != NULL) {
    g_free (self->safety_number);
    self->safety_number = ph_person_number_in_lines (number);
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_SAFETY_NUMBER]);
  }
  push_keys (self);
}

static void
show_keys (PhPersonDialog *self)
{
  if (*self->safety_number == '\0')
    ph_client_safety_number_async (self->client, contact_id (self), number_told,
                                   g_object_ref (self));
  else
    push_keys (self);
}

static void
toggle_verified (PhPersonDialog *self)
{
  gboolean verified;

  g_object_get (self->contact, "verified", &verified, NULL);
  ph_client_set_verified_async (self->client, contact_id (self), !verified, finished,
                                g_object_ref (self));
  if (!verified)
    adw_navigation_view_pop (self->view);
}

/* It gets the focus as soon as it is on the screen. Not the name, or the number: all of it would be selected. (The
 * property focus-widget is no help: until then it follows the window's focus, which is elsewhere.) */
static gboolean
ph_person_dialog_grab_focus (GtkWidget *widget)
{
  PhPersonDialog *self = PH_PERSON_DIALOG (widget);
  GtkWidget *last = adw_dialog_get_focus (ADW_DIALOG (self));

  if (last != NULL && !GTK_IS_TEXT (last))
    return GTK_WIDGET_CLASS (ph_person_dialog_parent_class)->grab_focus (widget);
  gtk_editable_select_region (GTK_EDITABLE (self->name_row), 0, 0);
  return gtk_widget_grab_focus (shows_keys (self) ? self->compared_button : self->keys_row);
}

/* --- Object ---------------------------------------------------------------------------------------- */

static void
contacts_changed (PhPersonDialog *self)
{
  if (ph_client_find_contact (self->client, contact_id (self)) == NULL)
    adw_dialog_close (ADW_DIALOG (self));
}

static void
ph_person_dialog_constructed (GObject *object)
{
  PhPersonDialog *self = PH_PERSON_DIALOG (object);

  G_OBJECT_CLASS (ph_person_dialog_parent_class)->constructed (object);
  g_signal_connect_object (self->contact, "notify", G_CALLBACK (refresh), self, G_CONNECT_SWAPPED);
  g_signal_connect_object (self->contact, "notify::name", G_CALLBACK (show_name), self,
                           G_CONNECT_SWAPPED);
  g_signal_connect_object (ph_client_get_contacts (self->client), "items-changed",
                           G_CALLBACK (contacts_changed), self, G_CONNECT_SWAPPED);
  refresh (self);
  show_name (self);
}

static void
ph_person_dialog_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  PhPersonDialog *self = PH_PERSON_DIALOG (object);

  switch (id) {
  case PROP_CLIENT:
    g_value_set_object (value, self->client);
    break;
  case PROP_CONTACT:
    g_value_set_object (value, self->contact);
    break;
  case PROP_SAFETY_NUMBER:
    g_value_set_string (value, self->safety_number);
    break;
  case PROP_KEYS_TEXT:
    g_value_take_string (value, keys_text (self));
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_person_dialog_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  PhPersonDialog *self = PH_PERSON_DIALOG (object);

  switch (id) {
  case PROP_CLIENT:
    self->client = g_value_dup_object (value);
    break;
  case PROP_CONTACT:
    self->contact = g_value_dup_object (value);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_person_dialog_dispose (GObject *object)
{
  gtk_widget_dispose_template (GTK_WIDGET (object), PH_TYPE_PERSON_DIALOG);
  G_OBJECT_CLASS (ph_person_dialog_parent_class)->dispose (object);
}

static void
ph_person_dialog_finalize (GObject *object)
{
  PhPersonDialog *self = PH_PERSON_DIALOG (object);

  g_clear_object (&self->contact);
  g_clear_object (&self->client);
  g_free (self->safety_number);
  G_OBJECT_CLASS (ph_person_dialog_parent_class)->finalize (object);
}

static void
bind_callbacks (GtkWidgetClass *widget_class)
{
  gtk_widget_class_bind_template_callback (widget_class, apply_name);
  gtk_widget_class_bind_template_callback (widget_class, auto_accept_changed);
  gtk_widget_class_bind_template_callback (widget_class, block_changed);
  gtk_widget_class_bind_template_callback (widget_class, copy_id);
  gtk_widget_class_bind_template_callback (widget_class, show_history);
  gtk_widget_class_bind_template_callback (widget_class, show_alert);
  gtk_widget_class_bind_template_callback (widget_class, ask_remove);
  gtk_widget_class_bind_template_callback (widget_class, keys_words);
  gtk_widget_class_bind_template_callback (widget_class, compared_label);
  gtk_widget_class_bind_template_callback (widget_class, compared_classes);
  gtk_widget_class_bind_template_callback (widget_class, show_keys);
  gtk_widget_class_bind_template_callback (widget_class, toggle_verified);
  ph_closures_bind (widget_class);
}

static void
ph_person_dialog_class_init (PhPersonDialogClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS (klass);
  const GParamFlags readable = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;
  const GParamFlags once = readable | G_PARAM_WRITABLE | G_PARAM_CONSTRUCT_ONLY;

  object_class->constructed = ph_person_dialog_constructed;
  object_class->get_property = ph_person_dialog_get_property;
  object_class->set_property = ph_person_dialog_set_property;
  object_class->dispose = ph_person_dialog_dispose;
  object_class->finalize = ph_person_dialog_finalize;
  widget_class->grab_focus = ph_person_dialog_grab_focus;
  properties[PROP_CLIENT] = g_param_spec_object ("client", NULL, NULL, PH_TYPE_CLIENT, once);
  properties[PROP_CONTACT] =
      g_param_spec_object ("contact", NULL, NULL, PH_TYPE_CONTACT_ITEM, once);
  properties[PROP_SAFETY_NUMBER] = g_param_spec_string ("safety-number", NULL, NULL, "", readable);
  properties[PROP_KEYS_TEXT] = g_param_spec_string ("keys-text", NULL, NULL, "", readable);
  g_object_class_install_properties (object_class, N_PROPS, properties);

  gtk_widget_class_set_template_from_resource (widget_class,
                                               "/org/porthole/Porthole/ph-person-dialog.ui");
  gtk_widget_class_bind_template_child (widget_class, PhPersonDialog, toasts);
  gtk_widget_class_bind_template_child (widget_class, PhPersonDialog, view);
  gtk_widget_class_bind_template_child (widget_class, PhPersonDialog, name_row);
  gtk_widget_class_bind_template_child (widget_class, PhPersonDialog, keys_row);
  gtk_widget_class_bind_template_child (widget_class, PhPersonDialog, auto_row);
  gtk_widget_class_bind_template_child (widget_class, PhPersonDialog, cap_row);
  gtk_widget_class_bind_template_child (widget_class, PhPersonDialog, block_row);
  gtk_widget_class_bind_template_child (widget_class, PhPersonDialog, number_label);
  gtk_widget_class_bind_template_child (widget_class, PhPersonDialog, compared_button);
  bind_callbacks (widget_class);
}

static void
ph_person_dialog_init (PhPersonDialog *self)
{
  self->safety_number = g_strdup ("");
  gtk_widget_init_template (GTK_WIDGET (self));
  ph_escape_past_toasts (GTK_WIDGET (self->view));
  /* Digits have no direction of their own: it is to look the same to both people, whatever they read. */
  gtk_widget_set_direction (self->number_label, GTK_TEXT_DIR_LTR);
}

AdwDialog *
ph_person_dialog_new (PhClient *client, PhContactItem *contact)
{
  return g_object_new (PH_TYPE_PERSON_DIALOG, "client", client, "contact", contact, NULL);
}

void
ph_person_dialog_show_keys (PhPersonDialog *self)
{
  g_return_if_fail (PH_IS_PERSON_DIALOG (self));
  show_keys (self);
}
