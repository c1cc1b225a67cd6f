/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/gtk/ph-dialog-life.h"

#include <adwaita.h>

static gboolean
let_go (gpointer dialog)
{
  g_object_unref (dialog);
  return G_SOURCE_REMOVE;
}

static void
parent_changed (GtkWidget *dialog, GParamSpec *pspec, gpointer data)
{
  if (gtk_widget_get_parent (dialog) != NULL)
    return;
  g_signal_handlers_disconnect_by_func (dialog, parent_changed, data);
  g_idle_add (let_go, dialog);
}

/* It is about to be taken out of its window: at once, or when an animation is over. */
static gboolean
closed (GSignalInvocationHint *hint, guint n_values, const GValue *values, gpointer data)
{
  GtkWidget *dialog = g_value_get_object (&values[0]);
  const gulong kept = g_signal_handler_find (dialog, G_SIGNAL_MATCH_FUNC, 0, 0, NULL,
                                             (gpointer)parent_changed, NULL);

  if (kept == 0 && gtk_widget_get_parent (dialog) != NULL)
    g_signal_connect (g_object_ref (dialog), "notify::parent", G_CALLBACK (parent_changed), NULL);
  return TRUE;
}

void
ph_dialog_life_begin (void)
{
  g_type_class_unref (g_type_class_ref (ADW_TYPE_DIALOG));
  g_signal_add_emission_hook (g_signal_lookup ("closed", ADW_TYPE_DIALOG), 0, closed, NULL, NULL);
}
