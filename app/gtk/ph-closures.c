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

/* "_General" is "General", and "全般(_G)" is "全般". */
static char *
without_mnemonic (const char *title)
{
  g_autoptr (GRegex) mark = g_regex_new ("\\(_.\\)|_", 0, 0, NULL);

  return g_regex_replace_literal (mark, title, -1, 0, "", 0, NULL);
}

void
ph_name_pages (GtkWidget *page)
{
  GtkWidget *stack = gtk_widget_get_ancestor (page, ADW_TYPE_VIEW_STACK);
  g_autoptr (GtkSelectionModel) pages = adw_view_stack_get_pages (ADW_VIEW_STACK (stack));

  for (guint i = 0; i < g_list_model_get_n_items (G_LIST_MODEL (pages)); i++) {
    g_autoptr (AdwViewStackPage) each = g_list_model_get_item (G_LIST_MODEL (pages), i);
    g_autofree char *name = without_mnemonic (adw_view_stack_page_get_title (each));

    gtk_accessible_update_property (GTK_ACCESSIBLE (each), GTK_ACCESSIBLE_PROPERTY_LABEL, name, -1);
  }
}

void
ph_copy_text (GtkWidget *widget, const char *text, const char *said)
{
  GtkWidget *overlay = gtk_widget_get_ancestor (widget, ADW_TYPE_TOAST_OVERLAY);

  gdk_clipboard_set_text (gtk_widget_get_clipboard (widget), text);
  if (overlay != NULL)
    adw_toast_overlay_add_toast (ADW_TOAST_OVERLAY (overlay), adw_toast_new (said));
}
