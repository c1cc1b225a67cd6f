/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/gtk/ph-dialog-life.h"

#include <adwaita.h>

/* Whose questions are surely answered when as many others have come after it. */
#define MOST_PATH_BARS 8

/* --- libadwaita's dialogs ----------------------------------------------------------------------- */

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

/* --- GTK's file dialogs ------------------------------------------------------------------------- */

static gboolean
mapped (GSignalInvocationHint *hint, guint n_values, const GValue *values, gpointer data)
{
  GPtrArray *path_bars = data;
  GObject *widget = g_value_get_object (&values[0]);

  if (!g_str_equal (G_OBJECT_TYPE_NAME (widget), "GtkPathBar")
      || g_ptr_array_find (path_bars, widget, NULL))
    return TRUE;
  if (path_bars->len == MOST_PATH_BARS)
    g_ptr_array_remove_index (path_bars, 0);
  g_ptr_array_add (path_bars, g_object_ref (widget));
  return TRUE;
}

/* ------------------------------------------------------------------------------------------------ */

static void
free_path_bars (gpointer path_bars)
{
  g_ptr_array_unref (path_bars);
}

void
ph_dialog_life_begin (void)
{
  g_type_class_unref (g_type_class_ref (ADW_TYPE_DIALOG));
  g_signal_add_emission_hook (g_signal_lookup ("closed", ADW_TYPE_DIALOG), 0, closed, NULL, NULL);
  g_signal_add_emission_hook (g_signal_lookup ("map", GTK_TYPE_WIDGET), 0, mapped,
                              g_ptr_array_new_with_free_func (g_object_unref), free_path_bars);
}
