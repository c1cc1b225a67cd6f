/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whom to send to: for files that came from the command line or by "Open With". */

#pragma once

#include "app/model/ph-client.h"

#include <adwaita.h>

#define PH_TYPE_SEND_DIALOG (ph_send_dialog_get_type ())
G_DECLARE_FINAL_TYPE (PhSendDialog, ph_send_dialog, PH, SEND_DIALOG, AdwDialog)

/* `files`: of GFile. `parent`: where toasts about it appear, a widget of the window. */
AdwDialog *ph_send_dialog_new (PhClient *client, GListModel *files, GtkWidget *parent);
