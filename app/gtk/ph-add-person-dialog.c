/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/gtk/ph-add-person-dialog.h"

#include "app/gtk/ph-closures.h"
#include "app/gtk/ph-escape.h"
#include "app/gtk/ph-preferences-dialog.h"
#include "app/gtk/ph-qr-code.h"
#include "app/model/ph-invite.h"
#include "app/model/ph-link-check.h"

#include <glib/gi18n.h>

struct _PhAddPersonDialog {
  AdwDialog parent_instance;

  AdwViewStack *pages;
  AdwEntryRow *link_row;
  GtkLabel *link_message_label;
  GtkWidget *done_button;
  GtkListBox *others_list;

  PhClient *client;
  PhInvite *invite;
  char *link_message;
  char *added; /* device ID of who was added; NULL before */
  bool link_good;
  bool adding;
};

enum {
  PROP_0,
  PROP_CLIENT,
  PROP_INVITE,
  PROP_CONFIGURED,
  PROP_LINK_MESSAGE,
  PROP_LINK_GOOD,
  PROP_ADDING,
  PROP_ADDED_TITLE,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (PhAddPersonDialog, ph_add_person_dialog, ADW_TYPE_DIALOG)

static void
notify (PhAddPersonDialog *self, guint id)
{
  g_object_notify_by_pspec (G_OBJECT (self), properties[id]);
}

static bool
is_configured (PhAddPersonDialog *self)
{
  /* The template is bound before the client is there. */
  return self->client != NULL && *ph_client_get_setting (self->client, "rendezvous") != '\0';
}

/* --- Closures ------------------------------------------------------------------------------------- */

static char *
outer_page (PhAddPersonDialog *self, const char *added_title)
{
  return g_strdup (added_title != NULL && *added_title != '\0' ? "added" : "adding");
}

static char *
invite_page (PhAddPersonDialog *self, gboolean configured, int state)
{
  if (!configured && state == PH_INVITE_NONE)
    return g_strdup ("no-meeting-point");
  switch (state) {
  case PH_INVITE_WAITING:
    return g_strdup ("waiting");
  case PH_INVITE_WITHDRAWN:
    return g_strdup ("withdrawn");
  case PH_INVITE_FAILED:
    return g_strdup (configured ? "failed" : "no-meeting-point");
  default:
    return g_strdup ("preparing");
  }
}

static gboolean
can_add (PhAddPersonDialog *self, gboolean link_good, gboolean adding)
{
  return link_good && !adding;
}

static gboolean
is_any (PhAddPersonDialog *self, guint n)
{
  return n > 0;
}

/* --- Giving an invitation ------------------------------------------------------------------------- */

static void
make_invitation (PhAddPersonDialog *self)
{
  ph_invite_begin (self->invite, true);
}

/* The link is good for somebody on the same network. */
static void
invite_nearby (PhAddPersonDialog *self)
{
  ph_invite_begin (self->invite, false);
}

static void
copy_link (PhAddPersonDialog *self)
{
  ph_copy_text (GTK_WIDGET (self->link_row), ph_invite_get_link (self->invite), _ ("Link copied"));
}

static void
withdraw (PhAddPersonDialog *self)
{
  ph_invite_withdraw (self->invite);
}

static void
copy_other (GtkWidget *button, PhOpenInvite *other)
{
  ph_copy_text (button, ph_open_invite_get_link (other), _ ("Link copied"));
}

static void
withdraw_other (GtkWidget *button, PhOpenInvite *other)
{
  PhAddPersonDialog *self =
      PH_ADD_PERSON_DIALOG (gtk_widget_get_ancestor (button, PH_TYPE_ADD_PERSON_DIALOG));

  gtk_widget_set_sensitive (button, FALSE);
  ph_invite_withdraw_other (self->invite, other);
}

static GtkWidget *
suffix_button (const char *icon, const char *tooltip, GCallback clicked, PhOpenInvite *other)
{
  GtkWidget *button = gtk_button_new_from_icon_name (icon);

  gtk_widget_set_tooltip_text (button, tooltip);
  gtk_widget_set_valign (button, GTK_ALIGN_CENTER);
  gtk_widget_add_css_class (button, "flat");
  g_signal_connect_object (button, "clicked", clicked, other, 0);
  return button;
}

static GtkWidget *
make_other_row (gpointer item, gpointer user_data)
{
  AdwActionRow *row = ADW_ACTION_ROW (adw_action_row_new ());

  adw_preferences_row_set_use_markup (ADW_PREFERENCES_ROW (row), FALSE);
  g_object_bind_property (item, "title", row, "title", G_BINDING_SYNC_CREATE);
  g_object_bind_property (item, "made-text", row, "subtitle", G_BINDING_SYNC_CREATE);
  adw_action_row_add_suffix (
      row, suffix_button ("edit-copy-symbolic", _ ("Copy Link"), G_CALLBACK (copy_other), item));
  adw_action_row_add_suffix (row, suffix_button ("user-trash-symbolic", _ ("Withdraw Invitation"),
                                                 G_CALLBACK (withdraw_other), item));
  return GTK_WIDGET (row);
}

static void
open_preferences (PhAddPersonDialog *self)
{
  AdwDialog *preferences = ph_preferences_dialog_new (self->client);

  ph_preferences_dialog_show_connection (PH_PREFERENCES_DIALOG (preferences));
  adw_dialog_present (preferences, GTK_WIDGET (self));
}

static void
page_changed (PhAddPersonDialog *self)
{
  if (g_strcmp0 (adw_view_stack_get_visible_child_name (self->pages), "invite") == 0
      && ph_invite_get_state (self->invite) == PH_INVITE_NONE && is_configured (self))
    ph_invite_begin (self->invite, false);
}

static void
meeting_point_changed (PhAddPersonDialog *self)
{
  notify (self, PROP_CONFIGURED);
  page_changed (self);
}

/* --- Somebody was added --------------------------------------------------------------------------- */

static void
show_added (PhAddPersonDialog *self, const char *contact)
{
  if (contact == NULL || *contact == '\0' || self->added != NULL)
    return;
  self->added = g_strdup (contact);
  notify (self, PROP_ADDED_TITLE);
  gtk_widget_grab_focus (self->done_button);
}

static void
invite_state_changed (PhAddPersonDialog *self)
{
  if (ph_invite_get_state (self->invite) == PH_INVITE_USED)
    show_added (self, ph_invite_get_contact (self->invite));
}

static char *
added_title (PhAddPersonDialog *self)
{
  PhContactItem *contact =
      self->added != NULL ? ph_client_find_contact (self->client, self->added) : NULL;

  if (self->added == NULL)
    return g_strdup ("");
  if (contact == NULL)
    return g_strdup (_ ("Contact Added"));
  /* Translators: %s is the name of a person or device. */
  return g_strdup_printf (_ ("%s Was Added"), ph_contact_item_display_name (contact));
}

/* --- Using an invitation -------------------------------------------------------------------------- */

static void
show_link_state (PhAddPersonDialog *self, PhLinkState state, const char *message)
{
  self->link_good = state == PH_LINK_GOOD;
  notify (self, PROP_LINK_GOOD);
  if (g_set_str (&self->link_message, message))
    notify (self, PROP_LINK_MESSAGE);
  if (state == PH_LINK_BAD) {
    gtk_widget_add_css_class (GTK_WIDGET (self->link_row), "error");
    gtk_widget_add_css_class (GTK_WIDGET (self->link_message_label), "error");
  } else {
    gtk_widget_remove_css_class (GTK_WIDGET (self->link_row), "error");
    gtk_widget_remove_css_class (GTK_WIDGET (self->link_message_label), "error");
  }
  gtk_accessible_update_state (
      GTK_ACCESSIBLE (self->link_row), GTK_ACCESSIBLE_STATE_INVALID,
      state == PH_LINK_BAD ? GTK_ACCESSIBLE_INVALID_TRUE : GTK_ACCESSIBLE_INVALID_FALSE, -1);
}

static void
link_changed (PhAddPersonDialog *self)
{
  g_autofree char *message = NULL;
  const PhLinkState state = ph_link_check (gtk_editable_get_text (GTK_EDITABLE (self->link_row)),
                                           ph_client_get_device_id (self->client), &message);

  show_link_state (self, state, message);
}

static void
set_adding (PhAddPersonDialog *self, bool adding)
{
  self->adding = adding;
  notify (self, PROP_ADDING);
}

static void
link_used (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (PhAddPersonDialog) self = user_data;
  g_autoptr (GError) error = NULL;
  g_autofree char *contact = ph_client_finish (PH_CLIENT (source), result, &error);

  set_adding (self, false);
  if (error == NULL) {
    show_added (self, contact);
  } else {
    show_link_state (self, PH_LINK_BAD, error->message);
    /* What failed on the way there may work in a minute. */
    self->link_good = true;
    notify (self, PROP_LINK_GOOD);
  }
}

static void
use_link (PhAddPersonDialog *self)
{
  const char *link = gtk_editable_get_text (GTK_EDITABLE (self->link_row));

  if (!self->link_good || self->adding)
    return;
  set_adding (self, true);
  ph_client_add_async (self->client, link, NULL, link_used, g_object_ref (self));
}

static void
link_pasted (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (PhAddPersonDialog) self = user_data;
  g_autofree char *text = gdk_clipboard_read_text_finish (GDK_CLIPBOARD (source), result, NULL);

  if (text != NULL && !self->adding)
    gtk_editable_set_text (GTK_EDITABLE (self->link_row), text);
}

static void
paste_link (PhAddPersonDialog *self)
{
  gdk_clipboard_read_text_async (gtk_widget_get_clipboard (GTK_WIDGET (self)), NULL, link_pasted,
                                 g_object_ref (self));
}

static void
close_dialog (PhAddPersonDialog *self)
{
  adw_dialog_close (ADW_DIALOG (self));
}

/* --- Object ---------------------------------------------------------------------------------------- */

static void
ph_add_person_dialog_constructed (GObject *object)
{
  PhAddPersonDialog *self = PH_ADD_PERSON_DIALOG (object);
  g_autoptr (GListModel) others = NULL;

  G_OBJECT_CLASS (ph_add_person_dialog_parent_class)->constructed (object);
  ph_invite_enter (self->invite);
  g_object_get (self->invite, "others", &others, NULL);
  gtk_list_box_bind_model (self->others_list, others, make_other_row, NULL, NULL);
  g_signal_connect_object (self->invite, "notify::state", G_CALLBACK (invite_state_changed), self,
                           G_CONNECT_SWAPPED);
  g_signal_connect_object (self->client, "setting-changed::rendezvous",
                           G_CALLBACK (meeting_point_changed), self, G_CONNECT_SWAPPED);
  notify (self, PROP_INVITE);
  notify (self, PROP_CONFIGURED);
}

static void
ph_add_person_dialog_closed (AdwDialog *dialog)
{
  ph_invite_leave (PH_ADD_PERSON_DIALOG (dialog)->invite);
}

static void
ph_add_person_dialog_map (GtkWidget *widget)
{
  GTK_WIDGET_CLASS (ph_add_person_dialog_parent_class)->map (widget);
  page_changed (PH_ADD_PERSON_DIALOG (widget));
}

static void
ph_add_person_dialog_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  PhAddPersonDialog *self = PH_ADD_PERSON_DIALOG (object);

  switch (id) {
  case PROP_CLIENT:
    g_value_set_object (value, self->client);
    break;
  case PROP_INVITE:
    g_value_set_object (value, self->invite);
    break;
  case PROP_CONFIGURED:
    g_value_set_boolean (value, is_configured (self));
    break;
  case PROP_LINK_MESSAGE:
    g_value_set_string (value, self->link_message);
    break;
  case PROP_LINK_GOOD:
    g_value_set_boolean (value, self->link_good);
    break;
  case PROP_ADDING:
    g_value_set_boolean (value, self->adding);
    break;
  case PROP_ADDED_TITLE:
    g_value_take_string (value, added_title (self));
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_add_person_dialog_set_property (GObject *object, guint id, const GValue *value,
                                   GParamSpec *pspec)
{
  PhAddPersonDialog *self = PH_ADD_PERSON_DIALOG (object);

  switch (id) {
  case PROP_CLIENT:
    self->client = g_value_dup_object (value);
    self->invite = g_object_ref (ph_invite_of (self->client));
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_add_person_dialog_dispose (GObject *object)
{
  gtk_widget_dispose_template (GTK_WIDGET (object), PH_TYPE_ADD_PERSON_DIALOG);
  G_OBJECT_CLASS (ph_add_person_dialog_parent_class)->dispose (object);
}

static void
ph_add_person_dialog_finalize (GObject *object)
{
  PhAddPersonDialog *self = PH_ADD_PERSON_DIALOG (object);

  g_clear_object (&self->invite);
  g_clear_object (&self->client);
  g_free (self->link_message);
  g_free (self->added);
  G_OBJECT_CLASS (ph_add_person_dialog_parent_class)->finalize (object);
}

static void
ph_add_person_dialog_class_init (PhAddPersonDialogClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS (klass);
  const GParamFlags flags = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  object_class->constructed = ph_add_person_dialog_constructed;
  object_class->get_property = ph_add_person_dialog_get_property;
  object_class->set_property = ph_add_person_dialog_set_property;
  object_class->dispose = ph_add_person_dialog_dispose;
  object_class->finalize = ph_add_person_dialog_finalize;
  widget_class->map = ph_add_person_dialog_map;
  ADW_DIALOG_CLASS (klass)->closed = ph_add_person_dialog_closed;

  properties[PROP_CLIENT] =
      g_param_spec_object ("client", NULL, NULL, PH_TYPE_CLIENT,
                           G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);
  properties[PROP_INVITE] = g_param_spec_object ("invite", NULL, NULL, PH_TYPE_INVITE, flags);
  properties[PROP_CONFIGURED] = g_param_spec_boolean ("configured", NULL, NULL, FALSE, flags);
  properties[PROP_LINK_MESSAGE] = g_param_spec_string ("link-message", NULL, NULL, "", flags);
  properties[PROP_LINK_GOOD] = g_param_spec_boolean ("link-good", NULL, NULL, FALSE, flags);
  properties[PROP_ADDING] = g_param_spec_boolean ("adding", NULL, NULL, FALSE, flags);
  properties[PROP_ADDED_TITLE] = g_param_spec_string ("added-title", NULL, NULL, "", flags);
  g_object_class_install_properties (object_class, N_PROPS, properties);

  g_type_ensure (PH_TYPE_QR_CODE);
  gtk_widget_class_set_template_from_resource (widget_class,
                                               "/org/porthole/Porthole/ph-add-person-dialog.ui");
  gtk_widget_class_bind_template_child (widget_class, PhAddPersonDialog, pages);
  gtk_widget_class_bind_template_child (widget_class, PhAddPersonDialog, link_row);
  gtk_widget_class_bind_template_child (widget_class, PhAddPersonDialog, link_message_label);
  gtk_widget_class_bind_template_child (widget_class, PhAddPersonDialog, done_button);
  gtk_widget_class_bind_template_child (widget_class, PhAddPersonDialog, others_list);
  gtk_widget_class_bind_template_callback (widget_class, outer_page);
  gtk_widget_class_bind_template_callback (widget_class, invite_page);
  gtk_widget_class_bind_template_callback (widget_class, can_add);
  gtk_widget_class_bind_template_callback (widget_class, is_any);
  gtk_widget_class_bind_template_callback (widget_class, make_invitation);
  gtk_widget_class_bind_template_callback (widget_class, invite_nearby);
  gtk_widget_class_bind_template_callback (widget_class, copy_link);
  gtk_widget_class_bind_template_callback (widget_class, withdraw);
  gtk_widget_class_bind_template_callback (widget_class, open_preferences);
  gtk_widget_class_bind_template_callback (widget_class, page_changed);
  gtk_widget_class_bind_template_callback (widget_class, link_changed);
  gtk_widget_class_bind_template_callback (widget_class, use_link);
  gtk_widget_class_bind_template_callback (widget_class, paste_link);
  gtk_widget_class_bind_template_callback (widget_class, close_dialog);
  ph_closures_bind (widget_class);
}

static void
ph_add_person_dialog_init (PhAddPersonDialog *self)
{
  self->link_message = g_strdup ("");
  gtk_widget_init_template (GTK_WIDGET (self));
  ph_escape_past_toasts (GTK_WIDGET (self->pages));
  ph_name_pages (GTK_WIDGET (self->link_row));
}

AdwDialog *
ph_add_person_dialog_new (PhClient *client)
{
  return g_object_new (PH_TYPE_ADD_PERSON_DIALOG, "client", client, NULL);
}

void
ph_add_person_dialog_set_link (PhAddPersonDialog *self, const char *link)
{
  g_return_if_fail (PH_IS_ADD_PERSON_DIALOG (self));

  adw_view_stack_set_visible_child_name (self->pages, "use");
  if (!self->adding)
    gtk_editable_set_text (GTK_EDITABLE (self->link_row), link);
}
