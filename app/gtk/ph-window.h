/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The main window: people on one side, one person on the other.
 *
 * Actions (prefix `win.`): search, send-files, send-folder, paste; the last three are about the person whose
 * page is shown. */

#pragma once

#include "app/gtk/ph-application.h"

#define PH_TYPE_WINDOW (ph_window_get_type ())
G_DECLARE_FINAL_TYPE (PhWindow, ph_window, PH, WINDOW, AdwApplicationWindow)

PhWindow *ph_window_new (PhApplication *application, PhClient *client);
PhClient *ph_window_get_client (PhWindow *self);
/* Shows a person's page; NULL: none. */
void ph_window_show_contact (PhWindow *self, PhContactItem *contact);
/* The person whose page is in front of somebody's eyes; NULL: none. */
PhContactItem *ph_window_get_contact (PhWindow *self);
/* Looks for people; `text` NULL: the person is to say for whom. */
void ph_window_search (PhWindow *self, const char *text);

void ph_window_add_toast (PhWindow *self, AdwToast *toast);
/* A toast with Undo. Either `undo` is called with `data`, or, when the toast is gone, `commit` (may be
 * NULL). */
void ph_window_offer_undo (PhWindow *self, const char *title, void (*undo) (gpointer data),
                           void (*commit) (gpointer data), gpointer data, GDestroyNotify free_data);

/* The window that `widget` is in; NULL: none. */
PhWindow *ph_window_of (GtkWidget *widget);
/* Says what went wrong, in a dialog over the window of `widget`. Nothing for G_IO_ERROR_CANCELLED. */
void ph_window_report (GtkWidget *widget, const char *heading, const GError *error);
