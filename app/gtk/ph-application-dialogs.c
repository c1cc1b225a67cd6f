/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/gtk/ph-application-dialogs.h"

#include "app/gtk/ph-add-person-dialog.h"
#include "app/gtk/ph-network-dialog.h"
#include "app/gtk/ph-preferences-dialog.h"

/* Presents a dialog, and takes it. Nothing is shown without a window: it brings the dialog's place. */
static void
present (PhApplication *self, AdwDialog *dialog)
{
  GtkWindow *window = gtk_application_get_active_window (GTK_APPLICATION (self));

  if (window == NULL) {
    g_object_ref_sink (dialog);
    g_object_unref (dialog);
    return;
  }
  gtk_window_present (window);
  adw_dialog_present (dialog, GTK_WIDGET (window));
}

static void
add_person (GSimpleAction *action, GVariant *parameter, gpointer data)
{
  present (data, ph_add_person_dialog_new (ph_application_get_client (data)));
}

static void
network (GSimpleAction *action, GVariant *parameter, gpointer data)
{
  present (data, ph_network_dialog_new (ph_application_get_client (data)));
}

static void
preferences (GSimpleAction *action, GVariant *parameter, gpointer data)
{
  present (data, ph_preferences_dialog_new (ph_application_get_client (data)));
}

static const GActionEntry actions[] = {
    {.name = "add-person", .activate = add_person},
    {.name = "network", .activate = network},
    {.name = "preferences", .activate = preferences},
};

void
ph_application_add_dialogs (PhApplication *self)
{
  g_action_map_add_action_entries (G_ACTION_MAP (self), actions, G_N_ELEMENTS (actions), self);
}
