/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One file or folder of a transfer. Properties, read-only: path (safe to show), sent-as (likewise: the name
 * that the sender gave it, "" where it has that), folder (boolean), size (bytes), size-text, sha256 ("" not known), state (PhFileState as an int), state-text. */

#pragma once

#include "app/engine/ph-engine.h"

#include <glib-object.h>

#define PH_TYPE_FILE_ITEM (ph_file_item_get_type ())
G_DECLARE_FINAL_TYPE (PhFileItem, ph_file_item, PH, FILE_ITEM, GObject)

PhFileItem *ph_file_item_new (const PhFileView *view);
uint32_t ph_file_item_index (PhFileItem *self);
/* As it is on this disk, below the transfer's folder: not for showing. */
const char *ph_file_item_path (PhFileItem *self);
