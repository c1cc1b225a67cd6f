/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A file of a transfer: its path, size and SHA-256, to be copied. */

#pragma once

#include "app/model/ph-file-item.h"

#include <adwaita.h>

G_BEGIN_DECLS

#define PH_TYPE_FILE_ROW (ph_file_row_get_type ())
G_DECLARE_FINAL_TYPE (PhFileRow, ph_file_row, PH, FILE_ROW, AdwActionRow)

GtkWidget *ph_file_row_new (PhFileItem *file);

G_END_DECLS
