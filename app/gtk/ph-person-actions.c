/* SPDX-License-Identifier: GPL-3.0-or-later */

#define G_LOG_DOMAIN "porthole"

#include "app/gtk/ph-person-actions.h"

#include "app/gtk/ph-send.h"
#include "app/gtk/ph-window.h"

#include <glib/gi18n.h>

struct _PhPersonActions {
  GObject parent_instance;

  PhClient *client;
  PhContactItem *contact;
  GSimpleActionGroup *group;
  GtkWidget *widget; /* borrowed: it owns this */
};

G_DEFINE_FINAL_TYPE (PhPersonActions, ph_person_actions, G_TYPE_OBJECT)

/* --- Files --------------------------------------------------------------------------------------- */

static void
send_files_activated (GSimpleAction *action, GVariant *parameter, gpointer data)
{
  PhPersonActions *self = data;

  ph_send_choose_files (self->widget, self->client, self->contact);
}

static void
send_folder_activated (GSimpleAction *action, GVariant *parameter, gpointer data)
{
  PhPersonActions *self = data;

  ph_send_choose_folder (self->widget, self->client, self->contact);
}

static void
paste_activated (GSimpleAction *action, GVariant *parameter, gpointer data)
{
  PhPersonActions *self = data;

  ph_send_paste (self->widget, self->client, self->contact);
}

/* --- The person ---------------------------------------------------------------------------------- */

static void
details_activated (GSimpleAction *action, GVariant *parameter, gpointer data)
{
  PhPersonActions *self = data;

  gtk_widget_activate_action (self->widget, "app.person-details", "s",
                              ph_contact_item_id (self->contact));
}

static void
alert_activated (GSimpleAction *action, GVariant *parameter, gpointer data)
{
  PhPersonActions *self = data;

  gtk_widget_activate_action (self->widget, "app.key-alert", "s",
                              ph_contact_item_id (self->contact));
}

static void
blocked (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GtkWidget) widget = data;
  g_autoptr (GError) error = NULL;
  g_autofree char *text = ph_client_finish (PH_CLIENT (source), result, &error);

  if (text == NULL)
    ph_window_report (widget, _ ("That Did Not Work"), error);
}

static void
block_changed (GSimpleAction *action, GVariant *value, gpointer data)
{
  PhPersonActions *self = data;

  ph_client_block_async (self->client, ph_contact_item_id (self->contact),
                         g_variant_get_boolean (value), blocked, g_object_ref (self->widget));
}

/* A removal that may still be undone. */
typedef struct {
  PhClient *client;
  PhContactItem *contact;
} Removal;

static void
removal_free (gpointer data)
{
  Removal *removal = data;

  g_object_unref (removal->client);
  g_object_unref (removal->contact);
  g_free (removal);
}

static void
removed (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (PhContactItem) contact = data;
  g_autofree char *text = ph_client_finish (PH_CLIENT (source), result, NULL);

  if (text == NULL)
    ph_client_set_contact_hidden (PH_CLIENT (source), contact, false);
}

static void
removal_committed (gpointer data)
{
  const Removal *removal = data;

  /* Added anew while the toast was there. */
  if (!ph_client_get_contact_hidden (removal->client, removal->contact))
    return;
  ph_client_remove_async (removal->client, ph_contact_item_id (removal->contact), removed,
                          g_object_ref (removal->contact));
}

static void
removal_undone (gpointer data)
{
  const Removal *removal = data;

  ph_client_set_contact_hidden (removal->client, removal->contact, false);
}

static void
remove_activated (GSimpleAction *action, GVariant *parameter, gpointer data)
{
  PhPersonActions *self = data;
  PhWindow *window = ph_window_of (self->widget);
  g_autofree char *title = NULL;
  Removal *removal;

  if (window == NULL)
    return;
  /* Translators: %s is the name of a person or device */
  title = g_strdup_printf (_ ("%s removed"), ph_contact_item_display_name (self->contact));
  removal = g_new0 (Removal, 1);
  removal->client = g_object_ref (self->client);
  removal->contact = g_object_ref (self->contact);
  /* Last: this goes with the row. */
  ph_window_offer_undo (window, title, removal_undone, removal_committed, removal, removal_free);
  ph_client_set_contact_hidden (removal->client, removal->contact, true);
}

static const GActionEntry entries[] = {
    {.name = "send-files", .activate = send_files_activated},
    {.name = "send-folder", .activate = send_folder_activated},
    {.name = "paste", .activate = paste_activated},
    {.name = "details", .activate = details_activated},
    {.name = "alert", .activate = alert_activated},
    {.name = "block", .state = "false", .change_state = block_changed},
    {.name = "remove", .activate = remove_activated},
};

/* --- Object -------------------------------------------------------------------------------------- */

static void
set_enabled (PhPersonActions *self, const char *name, bool enabled)
{
  GAction *action = g_action_map_lookup_action (G_ACTION_MAP (self->group), name);

  g_simple_action_set_enabled (G_SIMPLE_ACTION (action), enabled);
}

static void
update (PhPersonActions *self)
{
  const bool is_blocked = self->contact != NULL && ph_contact_item_blocked (self->contact);
  const bool can_send = self->contact != NULL && !is_blocked;
  GAction *block = g_action_map_lookup_action (G_ACTION_MAP (self->group), "block");

  set_enabled (self, "send-files", can_send);
  set_enabled (self, "send-folder", can_send);
  set_enabled (self, "paste", can_send);
  set_enabled (self, "details", self->contact != NULL);
  set_enabled (self, "alert", self->contact != NULL);
  set_enabled (self, "block", self->contact != NULL);
  set_enabled (self, "remove", self->contact != NULL);
  g_simple_action_set_state (G_SIMPLE_ACTION (block), g_variant_new_boolean (is_blocked));
}

static void
ph_person_actions_dispose (GObject *object)
{
  PhPersonActions *self = PH_PERSON_ACTIONS (object);

  ph_person_actions_set_contact (self, NULL);
  g_clear_object (&self->client);
  G_OBJECT_CLASS (ph_person_actions_parent_class)->dispose (object);
}

static void
ph_person_actions_finalize (GObject *object)
{
  PhPersonActions *self = PH_PERSON_ACTIONS (object);

  g_object_unref (self->group);
  G_OBJECT_CLASS (ph_person_actions_parent_class)->finalize (object);
}

static void
ph_person_actions_class_init (PhPersonActionsClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->dispose = ph_person_actions_dispose;
  object_class->finalize = ph_person_actions_finalize;
}

static void
ph_person_actions_init (PhPersonActions *self)
{
  self->group = g_simple_action_group_new ();
  g_action_map_add_action_entries (G_ACTION_MAP (self->group), entries, G_N_ELEMENTS (entries),
                                   self);
}

PhPersonActions *
ph_person_actions_new (GtkWidget *widget)
{
  PhPersonActions *self = g_object_new (PH_TYPE_PERSON_ACTIONS, NULL);

  self->widget = widget;
  gtk_widget_insert_action_group (widget, "person", G_ACTION_GROUP (self->group));
  update (self);
  return self;
}

void
ph_person_actions_set_client (PhPersonActions *self, PhClient *client)
{
  g_set_object (&self->client, client);
}

void
ph_person_actions_set_contact (PhPersonActions *self, PhContactItem *contact)
{
  if (self->contact == contact)
    return;
  if (self->contact != NULL)
    g_signal_handlers_disconnect_by_func (self->contact, update, self);
  g_set_object (&self->contact, contact);
  if (contact != NULL)
    g_signal_connect_swapped (contact, "notify::blocked", G_CALLBACK (update), self);
  update (self);
}

GMenuModel *
ph_person_actions_menu (void)
{
  static GMenuModel *menu;

  if (menu == NULL) {
    g_autoptr (GtkBuilder) builder =
        gtk_builder_new_from_resource ("/org/porthole/Porthole/ph-person-menu.ui");

    menu = g_object_ref (G_MENU_MODEL (gtk_builder_get_object (builder, "person_menu")));
  }
  return menu;
}
