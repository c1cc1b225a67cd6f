/* SPDX-License-Identifier: GPL-3.0-or-later */

#define G_LOG_DOMAIN "porthole"

#include "app/gtk/ph-person-page.h"

#include "app/gtk/ph-drop-zone.h"
#include "app/gtk/ph-person-actions.h"
#include "app/gtk/ph-transfer-row.h"

#include <glib/gi18n.h>

struct _PhPersonPage {
  AdwNavigationPage parent_instance;

  PhClient *client;
  PhContactItem *contact;
  PhPersonActions *actions;
  char *drop_message; /* what a drop would do, while something hangs over the page */

  GtkMenuButton *menu_button;
  GtkNumericSorter *sorter;
};

enum { PROP_0, PROP_CLIENT, PROP_CONTACT, PROP_DROP_MESSAGE, N_PROPS };

static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (PhPersonPage, ph_person_page, ADW_TYPE_NAVIGATION_PAGE)

/* --- Closures of the template -------------------------------------------------------------------- */

static char *
page_title (PhPersonPage *self, const char *name)
{
  return g_strdup (name != NULL ? name : _ ("Porthole"));
}

static gboolean
is_somebody (PhPersonPage *self, PhContactItem *contact)
{
  return contact != NULL;
}

static gboolean
is_said (PhPersonPage *self, const char *text)
{
  return text != NULL && *text != '\0';
}

static char *
visible_child (PhPersonPage *self, PhContactItem *contact, guint n_transfers)
{
  if (contact == NULL)
    return g_strdup ("nobody");
  return g_strdup (n_transfers > 0 ? "list" : "empty");
}

/* --- Rows ---------------------------------------------------------------------------------------- */

static void
row_setup (GtkSignalListItemFactory *factory, GtkListItem *item, PhPersonPage *self)
{
  gtk_list_item_set_child (item, g_object_new (PH_TYPE_TRANSFER_ROW, "client", self->client, NULL));
  gtk_list_item_set_activatable (item, FALSE);
}

static void
row_bind (GtkSignalListItemFactory *factory, GtkListItem *item, PhPersonPage *self)
{
  PhTransferItem *transfer = gtk_list_item_get_item (item);

  g_object_set (gtk_list_item_get_child (item), "transfer", transfer, NULL);
  gtk_list_item_set_accessible_label (item, ph_transfer_item_title (transfer));
}

static void
row_unbind (GtkSignalListItemFactory *factory, GtkListItem *item, PhPersonPage *self)
{
  g_object_set (gtk_list_item_get_child (item), "transfer", NULL, NULL);
}

/* Offers are above everything else: they move when they are answered. */
static void
offers_changed (PhPersonPage *self)
{
  gtk_sorter_changed (GTK_SORTER (self->sorter), GTK_SORTER_CHANGE_DIFFERENT);
}

/* --- Object -------------------------------------------------------------------------------------- */

static void
set_client (PhPersonPage *self, PhClient *client)
{
  if (!g_set_object (&self->client, client))
    return;
  ph_person_actions_set_client (self->actions, client);
  if (client != NULL)
    ph_drop_zone_add (GTK_WIDGET (self), client);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_CLIENT]);
}

/* What was "14:03" may be yesterday's. */
static void
refresh_times (PhContactItem *contact)
{
  GListModel *transfers = ph_contact_item_transfers (contact);

  for (guint i = 0; i < g_list_model_get_n_items (transfers); i++) {
    g_autoptr (PhTransferItem) transfer = g_list_model_get_item (transfers, i);

    ph_transfer_item_refresh (transfer);
  }
}

void
ph_person_page_set_contact (PhPersonPage *self, PhContactItem *contact)
{
  g_return_if_fail (PH_IS_PERSON_PAGE (self));

  if (self->contact == contact)
    return;
  if (self->contact != NULL)
    g_signal_handlers_disconnect_by_func (self->contact, offers_changed, self);
  g_set_object (&self->contact, contact);
  if (contact != NULL) {
    refresh_times (contact);
    g_signal_connect_swapped (contact, "notify::offers", G_CALLBACK (offers_changed), self);
  }
  ph_person_actions_set_contact (self->actions, contact);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_CONTACT]);
}

PhContactItem *
ph_person_page_get_contact (PhPersonPage *self)
{
  g_return_val_if_fail (PH_IS_PERSON_PAGE (self), NULL);
  return self->contact;
}

static void
ph_person_page_dispose (GObject *object)
{
  PhPersonPage *self = PH_PERSON_PAGE (object);

  if (self->contact != NULL)
    g_signal_handlers_disconnect_by_func (self->contact, offers_changed, self);
  gtk_widget_dispose_template (GTK_WIDGET (self), PH_TYPE_PERSON_PAGE);
  g_clear_object (&self->actions);
  g_clear_object (&self->contact);
  g_clear_object (&self->client);
  g_clear_pointer (&self->drop_message, g_free);
  G_OBJECT_CLASS (ph_person_page_parent_class)->dispose (object);
}

static void
ph_person_page_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  PhPersonPage *self = PH_PERSON_PAGE (object);

  switch (id) {
  case PROP_CLIENT:
    g_value_set_object (value, self->client);
    break;
  case PROP_CONTACT:
    g_value_set_object (value, self->contact);
    break;
  case PROP_DROP_MESSAGE:
    g_value_set_string (value, self->drop_message);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_person_page_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  PhPersonPage *self = PH_PERSON_PAGE (object);

  switch (id) {
  case PROP_CLIENT:
    set_client (self, g_value_get_object (value));
    break;
  case PROP_CONTACT:
    ph_person_page_set_contact (self, g_value_get_object (value));
    break;
  case PROP_DROP_MESSAGE:
    if (g_set_str (&self->drop_message, g_value_get_string (value)))
      g_object_notify_by_pspec (object, pspec);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_person_page_class_init (PhPersonPageClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS (klass);
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS;

  object_class->dispose = ph_person_page_dispose;
  object_class->get_property = ph_person_page_get_property;
  object_class->set_property = ph_person_page_set_property;

  properties[PROP_CLIENT] = g_param_spec_object ("client", NULL, NULL, PH_TYPE_CLIENT, flags);
  properties[PROP_CONTACT] =
      g_param_spec_object ("contact", NULL, NULL, PH_TYPE_CONTACT_ITEM, flags);
  properties[PROP_DROP_MESSAGE] = g_param_spec_string ("drop-message", NULL, NULL, NULL, flags);
  g_object_class_install_properties (object_class, N_PROPS, properties);

  gtk_widget_class_set_template_from_resource (widget_class,
                                               "/org/porthole/Porthole/ph-person-page.ui");
  gtk_widget_class_bind_template_child (widget_class, PhPersonPage, menu_button);
  gtk_widget_class_bind_template_child (widget_class, PhPersonPage, sorter);
  gtk_widget_class_bind_template_callback (widget_class, page_title);
  gtk_widget_class_bind_template_callback (widget_class, is_somebody);
  gtk_widget_class_bind_template_callback (widget_class, is_said);
  gtk_widget_class_bind_template_callback (widget_class, visible_child);
  gtk_widget_class_bind_template_callback (widget_class, row_setup);
  gtk_widget_class_bind_template_callback (widget_class, row_bind);
  gtk_widget_class_bind_template_callback (widget_class, row_unbind);
}

static void
ph_person_page_init (PhPersonPage *self)
{
  g_type_ensure (PH_TYPE_CONTACT_ITEM);
  g_type_ensure (PH_TYPE_TRANSFER_ITEM);
  self->actions = ph_person_actions_new (GTK_WIDGET (self));
  gtk_widget_init_template (GTK_WIDGET (self));
  gtk_menu_button_set_menu_model (self->menu_button, ph_person_actions_menu ());
}
