/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The Escape key, where there are toasts: libadwaita spends it on the toast that is shown, and who wants to leave
 * a page has to press it twice. */

#pragma once

#include <gtk/gtk.h>

/* Lets Escape leave the page or the dialog that the AdwToastOverlay around `widget` is in; what is below that
 * (an open search, a page on top of another) takes it first. What the toast offers to undo can be undone no longer, as when its
 * time is over. */
void ph_escape_past_toasts (GtkWidget *widget);
