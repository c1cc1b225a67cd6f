/* SPDX-License-Identifier: GPL-3.0-or-later */

#define G_LOG_DOMAIN "porthole"

#include "app/gtk/ph-person-row.h"

#include "app/gtk/ph-drop-zone.h"
#include "app/gtk/ph-person-actions.h"

#include <glib/gi18n.h>

struct _PhPersonRow {
  GtkListBoxRow parent_instance;

  PhContactItem *contact;
  PhPersonActions *actions;
  GtkWidget *menu; /* made when it is first asked for */
  char *drop_message; /* what a drop would do, while something hangs over the row */
};

enum { PROP_0, PROP_CONTACT, PROP_DROP_MESSAGE, N_PROPS };

static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (PhPersonRow, ph_person_row, GTK_TYPE_LIST_BOX_ROW)

/* --- Closures of the template -------------------------------------------------------------------- */

static char **
presence_classes (PhPersonRow *self, gboolean online, gboolean blocked, gboolean alert)
{
  const char *const classes[] = {"presence",
                                 blocked || alert ? "blocked"
                                 : online         ? "online"
                                                  : "offline",
                                 NULL};

  return g_strdupv ((char **)classes);
}

static char **
summary_classes (PhPersonRow *self, gboolean alert)
{
  const char *const classes[] = {"caption", alert ? "error" : "dimmed", NULL};

  return g_strdupv ((char **)classes);
}

static char *
first_text (PhPersonRow *self, const char *first, const char *second)
{
  return g_strdup (first != NULL && *first != '\0' ? first : second);
}

static char *
count_text (PhPersonRow *self, guint count)
{
  return g_strdup_printf ("%u", count);
}

/* --- What a screen reader says ------------------------------------------------------------------- */

static void
describe (PhPersonRow *self)
{
  g_autofree char *presence = NULL, *summary = NULL, *text = NULL;

  g_object_get (self->contact, "presence-text", &presence, "summary", &summary, NULL);
  text = g_strcmp0 (presence, summary) == 0 ? g_strdup (presence)
                                            : g_strjoin (", ", presence, summary, NULL);
  gtk_accessible_update_property (GTK_ACCESSIBLE (self), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                  ph_contact_item_display_name (self->contact),
                                  GTK_ACCESSIBLE_PROPERTY_DESCRIPTION, text, -1);
}

/* --- Menu ---------------------------------------------------------------------------------------- */

static void
popup_menu (PhPersonRow *self, const GdkRectangle *at)
{
  GtkPopover *popover;

  if (self->menu == NULL) {
    self->menu = gtk_popover_menu_new_from_model (ph_person_actions_menu ());
    gtk_popover_set_has_arrow (GTK_POPOVER (self->menu), FALSE);
    gtk_widget_set_halign (self->menu, GTK_ALIGN_START);
    gtk_widget_set_parent (self->menu, GTK_WIDGET (self));
  }
  popover = GTK_POPOVER (self->menu);
  gtk_popover_set_pointing_to (popover, at);
  gtk_popover_popup (popover);
}

static void
menu_pressed (GtkGestureClick *gesture, int n_press, double x, double y, PhPersonRow *self)
{
  const GdkRectangle at = {(int)x, (int)y, 1, 1};

  gtk_gesture_set_state (GTK_GESTURE (gesture), GTK_EVENT_SEQUENCE_CLAIMED);
  popup_menu (self, &at);
}

static void
menu_held (GtkGestureLongPress *gesture, double x, double y, PhPersonRow *self)
{
  const GdkRectangle at = {(int)x, (int)y, 1, 1};

  gtk_gesture_set_state (GTK_GESTURE (gesture), GTK_EVENT_SEQUENCE_CLAIMED);
  popup_menu (self, &at);
}

static void
menu_activated (GtkWidget *widget, const char *name, GVariant *parameter)
{
  const GdkRectangle at = {gtk_widget_get_width (widget) / 4, gtk_widget_get_height (widget) / 2, 1,
                           1};

  popup_menu (PH_PERSON_ROW (widget), &at);
}

/* --- Object -------------------------------------------------------------------------------------- */

static void
ph_person_row_size_allocate (GtkWidget *widget, int width, int height, int baseline)
{
  PhPersonRow *self = PH_PERSON_ROW (widget);

  GTK_WIDGET_CLASS (ph_person_row_parent_class)->size_allocate (widget, width, height, baseline);
  if (self->menu != NULL)
    gtk_popover_present (GTK_POPOVER (self->menu));
}

static void
ph_person_row_dispose (GObject *object)
{
  PhPersonRow *self = PH_PERSON_ROW (object);

  g_clear_pointer (&self->menu, gtk_widget_unparent);
  gtk_widget_dispose_template (GTK_WIDGET (self), PH_TYPE_PERSON_ROW);
  g_clear_object (&self->actions);
  g_clear_object (&self->contact);
  g_clear_pointer (&self->drop_message, g_free);
  G_OBJECT_CLASS (ph_person_row_parent_class)->dispose (object);
}

static void
ph_person_row_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  PhPersonRow *self = PH_PERSON_ROW (object);

  switch (id) {
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
ph_person_row_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  PhPersonRow *self = PH_PERSON_ROW (object);

  switch (id) {
  case PROP_CONTACT:
    self->contact = g_value_dup_object (value);
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
ph_person_row_class_init (PhPersonRowClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS (klass);

  object_class->dispose = ph_person_row_dispose;
  object_class->get_property = ph_person_row_get_property;
  object_class->set_property = ph_person_row_set_property;
  widget_class->size_allocate = ph_person_row_size_allocate;

  properties[PROP_CONTACT] =
      g_param_spec_object ("contact", NULL, NULL, PH_TYPE_CONTACT_ITEM,
                           G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);
  properties[PROP_DROP_MESSAGE] =
      g_param_spec_string ("drop-message", NULL, NULL, NULL,
                           G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);
  g_object_class_install_properties (object_class, N_PROPS, properties);

  gtk_widget_class_set_template_from_resource (widget_class,
                                               "/org/porthole/Porthole/ph-person-row.ui");
  gtk_widget_class_bind_template_callback (widget_class, presence_classes);
  gtk_widget_class_bind_template_callback (widget_class, summary_classes);
  gtk_widget_class_bind_template_callback (widget_class, first_text);
  gtk_widget_class_bind_template_callback (widget_class, count_text);
  gtk_widget_class_install_action (widget_class, "row.menu", NULL, menu_activated);
  gtk_widget_class_add_binding_action (widget_class, GDK_KEY_Menu, GDK_NO_MODIFIER_MASK, "row.menu",
                                       NULL);
  gtk_widget_class_add_binding_action (widget_class, GDK_KEY_F10, GDK_SHIFT_MASK, "row.menu", NULL);
}

static void
ph_person_row_init (PhPersonRow *self)
{
  GtkGesture *click = gtk_gesture_click_new ();
  GtkGesture *hold = gtk_gesture_long_press_new ();

  self->actions = ph_person_actions_new (GTK_WIDGET (self));
  gtk_widget_init_template (GTK_WIDGET (self));
  gtk_gesture_single_set_button (GTK_GESTURE_SINGLE (click), GDK_BUTTON_SECONDARY);
  g_signal_connect (click, "pressed", G_CALLBACK (menu_pressed), self);
  gtk_widget_add_controller (GTK_WIDGET (self), GTK_EVENT_CONTROLLER (click));
  gtk_gesture_single_set_touch_only (GTK_GESTURE_SINGLE (hold), TRUE);
  g_signal_connect (hold, "pressed", G_CALLBACK (menu_held), self);
  gtk_widget_add_controller (GTK_WIDGET (self), GTK_EVENT_CONTROLLER (hold));
}

GtkWidget *
ph_person_row_new (PhClient *client, PhContactItem *contact)
{
  PhPersonRow *self = g_object_new (PH_TYPE_PERSON_ROW, "contact", contact, NULL);

  ph_person_actions_set_client (self->actions, client);
  ph_person_actions_set_contact (self->actions, contact);
  ph_drop_zone_add (GTK_WIDGET (self), client);
  g_signal_connect_object (contact, "notify::summary", G_CALLBACK (describe), self,
                           G_CONNECT_SWAPPED);
  g_signal_connect_object (contact, "notify::presence-text", G_CALLBACK (describe), self,
                           G_CONNECT_SWAPPED);
  g_signal_connect_object (contact, "notify::display-name", G_CALLBACK (describe), self,
                           G_CONNECT_SWAPPED);
  describe (self);
  return GTK_WIDGET (self);
}

PhContactItem *
ph_person_row_get_contact (PhPersonRow *self)
{
  g_return_val_if_fail (PH_IS_PERSON_ROW (self), NULL);
  return self->contact;
}
