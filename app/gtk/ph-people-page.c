/* SPDX-License-Identifier: GPL-3.0-or-later */

#define G_LOG_DOMAIN "porthole"

#include "app/gtk/ph-people-page.h"

#include "app/gtk/ph-network-button.h"
#include "app/gtk/ph-person-row.h"
#include "app/model/ph-person-search.h"

struct _PhPeoplePage {
  AdwNavigationPage parent_instance;

  PhClient *client;
  PhContactItem *selected;
  bool has_people;
  bool compact;

  GtkSortListModel *sorted;
  GtkCustomFilter *filter;
  GtkSearchBar *search_bar;
  GtkSearchEntry *search_entry;
  GtkListBox *list;
};

enum { PROP_0, PROP_CLIENT, PROP_SELECTED, PROP_HAS_PEOPLE, PROP_COMPACT, N_PROPS };
enum { ACTIVATED, N_SIGNALS };

static GParamSpec *properties[N_PROPS];
static guint signals[N_SIGNALS];

G_DEFINE_FINAL_TYPE (PhPeoplePage, ph_people_page, ADW_TYPE_NAVIGATION_PAGE)

/* --- Closures of the template -------------------------------------------------------------------- */

static gboolean
is_said (PhPeoplePage *self, const char *text)
{
  return text != NULL && *text != '\0';
}

static char *
visible_child (PhPeoplePage *self, gboolean loaded, gboolean has_people, guint n_found,
               const char *search)
{
  if (!loaded)
    return g_strdup ("loading");
  if (!has_people)
    return g_strdup ("nobody");
  if (n_found == 0)
    return g_strdup (is_said (self, search) ? "not-found" : "nobody");
  return g_strdup ("list");
}

/* --- Rows ---------------------------------------------------------------------------------------- */

static GtkWidget *
create_row (gpointer item, gpointer data)
{
  PhPeoplePage *self = data;

  return ph_person_row_new (self->client, item);
}

static PhPersonRow *
find_row (PhPeoplePage *self, PhContactItem *contact)
{
  GtkListBoxRow *row;

  for (int i = 0; (row = gtk_list_box_get_row_at_index (self->list, i)) != NULL; i++) {
    if (ph_person_row_get_contact (PH_PERSON_ROW (row)) == contact)
      return PH_PERSON_ROW (row);
  }
  return NULL;
}

static void
set_selected (PhPeoplePage *self, PhContactItem *contact)
{
  if (g_set_object (&self->selected, contact))
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_SELECTED]);
}

static void
row_selected (PhPeoplePage *self, GtkListBoxRow *row)
{
  /* A search that hides the row does not close its page. */
  if (row != NULL)
    set_selected (self, ph_person_row_get_contact (PH_PERSON_ROW (row)));
}

static void
row_activated (PhPeoplePage *self, GtkListBoxRow *row)
{
  PhContactItem *contact = ph_person_row_get_contact (PH_PERSON_ROW (row));

  set_selected (self, contact);
  g_signal_emit (self, signals[ACTIVATED], 0, contact);
}

static gboolean
is_found (gpointer item, gpointer data)
{
  PhPeoplePage *self = data;
  const char *text = gtk_editable_get_text (GTK_EDITABLE (self->search_entry));

  return ph_person_search_matches (ph_contact_item_name (item), text);
}

static void
search_changed (PhPeoplePage *self)
{
  gtk_filter_changed (GTK_FILTER (self->filter), GTK_FILTER_CHANGE_DIFFERENT);
}

/* Enter in the search goes to the first one found. */
static void
search_activated (PhPeoplePage *self)
{
  GtkListBoxRow *row = gtk_list_box_get_row_at_index (self->list, 0);

  if (row == NULL)
    return;
  gtk_list_box_select_row (self->list, row);
  row_activated (self, row);
}

/* The selection follows the person, who may have come back from a search, or gone. */
static void
items_changed (PhPeoplePage *self)
{
  PhPersonRow *row = self->selected != NULL ? find_row (self, self->selected) : NULL;

  if (row != NULL)
    gtk_list_box_select_row (self->list, GTK_LIST_BOX_ROW (row));
}

static bool
is_listed (PhPeoplePage *self, PhContactItem *contact)
{
  GListModel *contacts = ph_client_get_contacts (self->client);

  return g_list_store_find (G_LIST_STORE (contacts), contact, NULL);
}

static void
contacts_changed (PhPeoplePage *self)
{
  const bool has_people =
      self->client != NULL && g_list_model_get_n_items (ph_client_get_contacts (self->client)) > 0;

  if (self->selected != NULL && !is_listed (self, self->selected))
    set_selected (self, NULL);
  if (self->has_people == has_people)
    return;
  self->has_people = has_people;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_HAS_PEOPLE]);
}

/* --- Object -------------------------------------------------------------------------------------- */

static void
ph_people_page_dispose (GObject *object)
{
  PhPeoplePage *self = PH_PEOPLE_PAGE (object);

  if (self->list != NULL)
    gtk_list_box_bind_model (self->list, NULL, NULL, NULL, NULL);
  if (self->filter != NULL)
    gtk_custom_filter_set_filter_func (self->filter, NULL, NULL, NULL);
  gtk_widget_dispose_template (GTK_WIDGET (self), PH_TYPE_PEOPLE_PAGE);
  g_clear_object (&self->selected);
  g_clear_object (&self->client);
  G_OBJECT_CLASS (ph_people_page_parent_class)->dispose (object);
}

static void
ph_people_page_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  PhPeoplePage *self = PH_PEOPLE_PAGE (object);

  switch (id) {
  case PROP_CLIENT:
    g_value_set_object (value, self->client);
    break;
  case PROP_SELECTED:
    g_value_set_object (value, self->selected);
    break;
  case PROP_HAS_PEOPLE:
    g_value_set_boolean (value, self->has_people);
    break;
  case PROP_COMPACT:
    g_value_set_boolean (value, self->compact);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
set_client (PhPeoplePage *self, PhClient *client)
{
  if (!g_set_object (&self->client, client))
    return;
  if (client != NULL)
    g_signal_connect_object (ph_client_get_contacts (client), "items-changed",
                             G_CALLBACK (contacts_changed), self, G_CONNECT_SWAPPED);
  contacts_changed (self);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_CLIENT]);
}

static void
ph_people_page_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  PhPeoplePage *self = PH_PEOPLE_PAGE (object);

  switch (id) {
  case PROP_CLIENT:
    set_client (self, g_value_get_object (value));
    break;
  case PROP_COMPACT:
    self->compact = g_value_get_boolean (value);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_people_page_class_init (PhPeoplePageClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS (klass);
  const GParamFlags flags = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  object_class->dispose = ph_people_page_dispose;
  object_class->get_property = ph_people_page_get_property;
  object_class->set_property = ph_people_page_set_property;

  properties[PROP_CLIENT] = g_param_spec_object (
      "client", NULL, NULL, PH_TYPE_CLIENT, flags | G_PARAM_WRITABLE | G_PARAM_EXPLICIT_NOTIFY);
  properties[PROP_SELECTED] =
      g_param_spec_object ("selected", NULL, NULL, PH_TYPE_CONTACT_ITEM, flags);
  properties[PROP_HAS_PEOPLE] = g_param_spec_boolean ("has-people", NULL, NULL, FALSE, flags);
  properties[PROP_COMPACT] =
      g_param_spec_boolean ("compact", NULL, NULL, FALSE, flags | G_PARAM_WRITABLE);
  g_object_class_install_properties (object_class, N_PROPS, properties);
  signals[ACTIVATED] = g_signal_new ("activated", PH_TYPE_PEOPLE_PAGE, G_SIGNAL_RUN_LAST, 0, NULL,
                                     NULL, NULL, G_TYPE_NONE, 1, PH_TYPE_CONTACT_ITEM);

  gtk_widget_class_set_template_from_resource (widget_class,
                                               "/org/porthole/Porthole/ph-people-page.ui");
  gtk_widget_class_bind_template_child (widget_class, PhPeoplePage, sorted);
  gtk_widget_class_bind_template_child (widget_class, PhPeoplePage, filter);
  gtk_widget_class_bind_template_child (widget_class, PhPeoplePage, search_bar);
  gtk_widget_class_bind_template_child (widget_class, PhPeoplePage, search_entry);
  gtk_widget_class_bind_template_child (widget_class, PhPeoplePage, list);
  gtk_widget_class_bind_template_callback (widget_class, is_said);
  gtk_widget_class_bind_template_callback (widget_class, visible_child);
  gtk_widget_class_bind_template_callback (widget_class, row_activated);
  gtk_widget_class_bind_template_callback (widget_class, row_selected);
  gtk_widget_class_bind_template_callback (widget_class, search_activated);
  gtk_widget_class_bind_template_callback (widget_class, search_changed);
}

static void
ph_people_page_init (PhPeoplePage *self)
{
  g_type_ensure (PH_TYPE_CLIENT);
  g_type_ensure (PH_TYPE_CONTACT_ITEM);
  g_type_ensure (PH_TYPE_NETWORK_BUTTON);
  gtk_widget_init_template (GTK_WIDGET (self));
  gtk_custom_filter_set_filter_func (self->filter, is_found, self, NULL);
  gtk_list_box_bind_model (self->list, G_LIST_MODEL (self->sorted), create_row, self, NULL);
  g_signal_connect_object (self->sorted, "items-changed", G_CALLBACK (items_changed), self,
                           G_CONNECT_SWAPPED | G_CONNECT_AFTER);
}

void
ph_people_page_select (PhPeoplePage *self, PhContactItem *contact)
{
  PhPersonRow *row = contact != NULL ? find_row (self, contact) : NULL;

  set_selected (self, contact);
  gtk_list_box_select_row (self->list, GTK_LIST_BOX_ROW (row));
}

void
ph_people_page_search (PhPeoplePage *self, const char *text)
{
  if (!self->has_people)
    return;
  gtk_search_bar_set_search_mode (self->search_bar, TRUE);
  gtk_widget_grab_focus (GTK_WIDGET (self->search_entry));
  if (text != NULL) {
    gtk_editable_set_text (GTK_EDITABLE (self->search_entry), text);
    gtk_editable_set_position (GTK_EDITABLE (self->search_entry), -1);
  }
}
