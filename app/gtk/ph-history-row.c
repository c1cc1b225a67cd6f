/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/gtk/ph-history-row.h"

#include "app/model/ph-transfer-words.h"

#include <glib/gi18n.h>

struct _PhHistoryRow {
  AdwActionRow parent_instance;

  GtkImage *direction_image;
  GtkImage *result_image;
  GtkMenuButton *menu_button;

  PhTransferItem *transfer;
};

enum { PROP_0, PROP_TRANSFER, N_PROPS };
static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (PhHistoryRow, ph_history_row, ADW_TYPE_ACTION_ROW)

static void
add_item (GMenu *menu, const char *label, const char *action, const char *id)
{
  g_autoptr (GMenuItem) item = g_menu_item_new (label, NULL);

  g_menu_item_set_action_and_target (item, action, "s", id);
  g_menu_append_item (menu, item);
}

static GMenuModel *
make_menu (PhTransferItem *transfer)
{
  const PhTransferView *view = ph_transfer_item_view (transfer);
  GMenu *menu = g_menu_new ();
  g_autoptr (GMenu) use = g_menu_new ();
  g_autoptr (GMenu) forget = g_menu_new ();

  if (view->state == PH_TRANSFER_DONE && view->direction == PH_DIRECTION_RECEIVE) {
    add_item (use, C_ ("menu", "_Open"), "history.open", view->id);
    add_item (use, C_ ("menu", "Show in _Folder"), "history.show-in-folder", view->id);
  }
  if (view->can_send_again)
    add_item (use, C_ ("menu", "_Send Again"), "history.send-again", view->id);
  add_item (forget, C_ ("menu", "_Remove From History"), "history.forget", view->id);
  g_menu_append_section (menu, NULL, G_MENU_MODEL (use));
  g_menu_append_section (menu, NULL, G_MENU_MODEL (forget));
  return G_MENU_MODEL (menu);
}

static void
refresh (PhHistoryRow *self)
{
  const PhTransferView *view = ph_transfer_item_view (self->transfer);
  const char *result = ph_transfer_result (view);
  const char *const classes[] = {ph_transfer_result_style (view), NULL};
  g_autofree char *summary = ph_transfer_summary (view, g_get_real_time () / G_USEC_PER_SEC);
  g_autoptr (GMenuModel) menu = make_menu (self->transfer);

  adw_action_row_set_subtitle (ADW_ACTION_ROW (self), summary);
  gtk_accessible_update_property (GTK_ACCESSIBLE (self), GTK_ACCESSIBLE_PROPERTY_DESCRIPTION,
                                  summary, -1);
  gtk_image_set_from_icon_name (self->direction_image, ph_transfer_direction_icon (view));
  gtk_image_set_from_icon_name (self->result_image, ph_transfer_result_icon (view));
  gtk_widget_set_tooltip_text (GTK_WIDGET (self->result_image), result);
  gtk_widget_set_css_classes (GTK_WIDGET (self->result_image), (const char **)classes);
  gtk_menu_button_set_menu_model (self->menu_button, menu);
}

/* The Menu key and the right button, as on every row. */
static gboolean
open_menu (GtkWidget *widget, GVariant *args, gpointer user_data)
{
  gtk_menu_button_popup (PH_HISTORY_ROW (widget)->menu_button);
  return GDK_EVENT_STOP;
}

static void
right_clicked (GtkGestureClick *gesture, int n, double x, double y, gpointer user_data)
{
  gtk_gesture_set_state (GTK_GESTURE (gesture), GTK_EVENT_SEQUENCE_CLAIMED);
  gtk_menu_button_popup (PH_HISTORY_ROW (user_data)->menu_button);
}

static void
ph_history_row_constructed (GObject *object)
{
  PhHistoryRow *self = PH_HISTORY_ROW (object);

  G_OBJECT_CLASS (ph_history_row_parent_class)->constructed (object);
  g_signal_connect_object (self->transfer, "notify", G_CALLBACK (refresh), self, G_CONNECT_SWAPPED);
  refresh (self);
}

static void
ph_history_row_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  switch (id) {
  case PROP_TRANSFER:
    g_value_set_object (value, PH_HISTORY_ROW (object)->transfer);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_history_row_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  switch (id) {
  case PROP_TRANSFER:
    PH_HISTORY_ROW (object)->transfer = g_value_dup_object (value);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_history_row_dispose (GObject *object)
{
  gtk_widget_dispose_template (GTK_WIDGET (object), PH_TYPE_HISTORY_ROW);
  g_clear_object (&PH_HISTORY_ROW (object)->transfer);
  G_OBJECT_CLASS (ph_history_row_parent_class)->dispose (object);
}

static void
ph_history_row_class_init (PhHistoryRowClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS (klass);

  object_class->constructed = ph_history_row_constructed;
  object_class->get_property = ph_history_row_get_property;
  object_class->set_property = ph_history_row_set_property;
  object_class->dispose = ph_history_row_dispose;
  properties[PROP_TRANSFER] =
      g_param_spec_object ("transfer", NULL, NULL, PH_TYPE_TRANSFER_ITEM,
                           G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);
  g_object_class_install_properties (object_class, N_PROPS, properties);

  gtk_widget_class_add_binding (widget_class, GDK_KEY_Menu, 0, open_menu, NULL);
  gtk_widget_class_add_binding (widget_class, GDK_KEY_F10, GDK_SHIFT_MASK, open_menu, NULL);
  gtk_widget_class_set_template_from_resource (widget_class,
                                               "/org/porthole/Porthole/ph-history-row.ui");
  gtk_widget_class_bind_template_child (widget_class, PhHistoryRow, direction_image);
  gtk_widget_class_bind_template_child (widget_class, PhHistoryRow, result_image);
  gtk_widget_class_bind_template_child (widget_class, PhHistoryRow, menu_button);
}

static void
ph_history_row_init (PhHistoryRow *self)
{
  GtkGesture *click = gtk_gesture_click_new ();

  gtk_widget_init_template (GTK_WIDGET (self));
  gtk_gesture_single_set_button (GTK_GESTURE_SINGLE (click), GDK_BUTTON_SECONDARY);
  g_signal_connect (click, "pressed", G_CALLBACK (right_clicked), self);
  gtk_widget_add_controller (GTK_WIDGET (self), GTK_EVENT_CONTROLLER (click));
}

GtkWidget *
ph_history_row_new (PhTransferItem *transfer)
{
  return g_object_new (PH_TYPE_HISTORY_ROW, "transfer", transfer, NULL);
}

PhTransferItem *
ph_history_row_get_transfer (PhHistoryRow *self)
{
  return self->transfer;
}
