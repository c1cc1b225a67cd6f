/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Closures that many templates use:
 *
 *   gboolean has_text (text), is_empty (text)
 *   gchararray escape_markup (text)      for properties that are markup: titles of status pages and rows */

#pragma once

#include <gtk/gtk.h>

void ph_closures_bind (GtkWidgetClass *widget_class);

/* Names the pages of an AdwViewStack for screen readers: libadwaita takes their titles, with the underscores that mark a key.
 * `page`: any widget within the stack. */
void ph_name_pages (GtkWidget *page);

/* Puts text on the clipboard and says so in a toast. */
void ph_copy_text (GtkWidget *widget, const char *text, const char *said);
