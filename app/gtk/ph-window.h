/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The main window: people on one side, one person on the other. */

#pragma once

#include "app/gtk/ph-application.h"

#define PH_TYPE_WINDOW (ph_window_get_type ())
G_DECLARE_FINAL_TYPE (PhWindow, ph_window, PH, WINDOW, AdwApplicationWindow)

PhWindow *ph_window_new (PhApplication *application, PhClient *client);
PhClient *ph_window_get_client (PhWindow *self);
/* Shows a person's page; NULL: none. */
void ph_window_show_contact (PhWindow *self, PhContactItem *contact);
void ph_window_add_toast (PhWindow *self, AdwToast *toast);
