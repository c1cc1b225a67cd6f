/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One fact and what it is called: a row of the pages that explain a network or a transfer, and a line of
 * the reports that are copied from them. Both texts are safe to show, plain and never change.
 *
 *   title, value        strings */

#pragma once

#include <gio/gio.h>

#define PH_TYPE_DETAIL (ph_detail_get_type ())
G_DECLARE_FINAL_TYPE (PhDetail, ph_detail, PH, DETAIL, GObject)

/* Appends one to a GListStore of PhDetail. */
void ph_detail_add (GListStore *details, const char *title, const char *value);
/* Likewise; takes `value`, and adds nothing if it is NULL or "". */
void ph_detail_add_take (GListStore *details, const char *title, char *value);

const char *ph_detail_title (PhDetail *self);
const char *ph_detail_value (PhDetail *self);

/* Puts `fresh` in the place of what `details` has, without touching what stays the same: a page that is
 * read from or selected in does not jump. */
void ph_details_replace (GListStore *details, GListStore *fresh);
/* "title: value" lines under a heading; appended. Nothing is appended for no details. */
void ph_details_write (GListModel *details, const char *heading, GString *out);
