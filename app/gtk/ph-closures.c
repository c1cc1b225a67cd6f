/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/gtk/ph-closures.h"

#include <adwaita.h>

static gboolean
has_text (GObject *object, const char *text)
{
  return text != NULL && *text != '\0';
}

static gboolean
is_empty (GObject *object, const char *text)
{
  return !has_text (object, text);
}

static char *
escape_markup (GObject *object, const char *text)
{
  return g_markup_escape_text (text != NULL ? text : "", -1);
}

void
ph_closures_bind (GtkWidgetClass *widget_class)
{
  gtk_widget_class_bind_template_callback (widget_class, has_text);
  gtk_widget_class_bind_template_callback (widget_class, is_empty);
  gtk_widget_class_bind_template_callback (widget_class, escape_markup);
}

void
ph_copy_text (GtkWidget *widget, const char *text, const char *said)
{
  GtkWidget *overlay = gtk_widget_get_ancestor (widget, ADW_TYPE_TOAST_OVERLAY);

  gdk_clipboard_set_text (gtk_widget_get_clipboard (widget), text);
  if (overlay != NULL)
    adw_toast_overlay_add_toast (ADW_TOAST_OVERLAY (overlay), adw_toast_new (said));
}
