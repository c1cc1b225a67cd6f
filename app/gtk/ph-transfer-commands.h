/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a person does about a transfer, with the questions it needs. `widget` is where they did it: dialogs
 * and toasts appear in its window. Failures are told there. */

#pragma once

#include "app/model/ph-client.h"

#include <adwaita.h>

typedef void (*PhTransferCommand) (GtkWidget *widget, PhClient *client, PhTransferItem *transfer);

void ph_transfer_accept (GtkWidget *widget, PhClient *client, PhTransferItem *transfer);
/* Asks which folder. */
void ph_transfer_accept_into (GtkWidget *widget, PhClient *client, PhTransferItem *transfer);
/* Asks up to which size; accepts this one too. */
void ph_transfer_always_accept (GtkWidget *widget, PhClient *client, PhTransferItem *transfer);
void ph_transfer_decline (GtkWidget *widget, PhClient *client, PhTransferItem *transfer);
void ph_transfer_pause (GtkWidget *widget, PhClient *client, PhTransferItem *transfer);
void ph_transfer_resume (GtkWidget *widget, PhClient *client, PhTransferItem *transfer);
void ph_transfer_cancel (GtkWidget *widget, PhClient *client, PhTransferItem *transfer);
void ph_transfer_send_again (GtkWidget *widget, PhClient *client, PhTransferItem *transfer);
/* What was received: the file, or the folder if there are several. Programs are never opened. */
void ph_transfer_open (GtkWidget *widget, PhClient *client, PhTransferItem *transfer);
/* In the desktop's file manager, which points at it; where there is none, whatever opens folders. */
void ph_transfer_show_in_folder (GtkWidget *widget, PhClient *client, PhTransferItem *transfer);
void ph_transfer_details (GtkWidget *widget, PhClient *client, PhTransferItem *transfer);
/* Takes an ended one out of the history; a toast offers to undo that. */
void ph_transfer_forget (GtkWidget *widget, PhClient *client, PhTransferItem *transfer);
