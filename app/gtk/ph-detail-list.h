/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A boxed list of facts: a row for each PhDetail, its value to be read, selected and copied. */

#pragma once

#include <adwaita.h>

G_BEGIN_DECLS

#define PH_TYPE_DETAIL_LIST (ph_detail_list_get_type ())
G_DECLARE_FINAL_TYPE (PhDetailList, ph_detail_list, PH, DETAIL_LIST, AdwBin)

/* Follows the model. */
void ph_detail_list_set_model (PhDetailList *self, GListModel *details);

G_END_DECLS
