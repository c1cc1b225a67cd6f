/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/gtk/ph-escape.h"

#include <adwaita.h>

static gboolean
leave (GtkWidget *overlay, GVariant *args, gpointer data)
{
  GtkWidget *view = gtk_widget_get_ancestor (overlay, ADW_TYPE_NAVIGATION_VIEW);
  GtkWidget *dialog = gtk_widget_get_ancestor (overlay, ADW_TYPE_DIALOG);

  if (view != NULL && adw_navigation_view_pop (ADW_NAVIGATION_VIEW (view)))
    return GDK_EVENT_STOP;
  if (dialog == NULL)
    return GDK_EVENT_PROPAGATE;
  adw_dialog_close (ADW_DIALOG (dialog));
  return GDK_EVENT_STOP;
}

void
ph_escape_past_toasts (GtkWidget *widget)
{
  GtkWidget *overlay = gtk_widget_get_ancestor (widget, ADW_TYPE_TOAST_OVERLAY);
  GtkEventController *controller = gtk_shortcut_controller_new ();

  g_return_if_fail (overlay != NULL);
  gtk_shortcut_controller_add_shortcut (
      GTK_SHORTCUT_CONTROLLER (controller),
      gtk_shortcut_new (gtk_keyval_trigger_new (GDK_KEY_Escape, GDK_NO_MODIFIER_MASK),
                        gtk_callback_action_new (leave, NULL, NULL)));
  /* The newest controller of a widget is asked first: before the overlay's own. */
  gtk_widget_add_controller (overlay, controller);
}
