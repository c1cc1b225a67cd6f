/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From what a person picked, dropped or pasted to a transfer. `widget` is where it happened: dialogs and
 * toasts appear in its window. */

#pragma once

#include "app/model/ph-client.h"

#include <adwaita.h>

/* Sends files and folders, GFiles all, and tells so in a toast with Undo. */
void ph_send_files (GtkWidget *widget, PhClient *client, PhContactItem *contact, GListModel *files);
void ph_send_choose_files (GtkWidget *widget, PhClient *client, PhContactItem *contact);
void ph_send_choose_folder (GtkWidget *widget, PhClient *client, PhContactItem *contact);
/* What is in the clipboard: files, else an image, else text (ph-paste.c). */
void ph_send_paste (GtkWidget *widget, PhClient *client, PhContactItem *contact);

/* The files of a GdkFileList. */
GListModel *ph_send_list_files (GSList *files);
