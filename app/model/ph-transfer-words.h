/* SPDX-License-Identifier: GPL-3.0-or-later */
/* All there is to know of a transfer, in words: for its page and for the report that is copied from it. */

#pragma once

#include "app/model/ph-detail.h"
#include "app/model/ph-transfer-item.h"

/* Two lines for a row of the history: "Delivered · To Desk · 14:03", and below how much, how fast and on which
 * path. */
char *ph_transfer_summary (const PhTransferView *view, int64_t now);
const char *ph_transfer_direction_icon (const PhTransferView *view);
/* "Delivered", "Failed", "Missed": how it ended, one or two words. */
const char *ph_transfer_result (const PhTransferView *view);
/* Its icon, and the style class of that: "success", "warning", "error" or "dimmed". */
const char *ph_transfer_result_icon (const PhTransferView *view);
const char *ph_transfer_result_style (const PhTransferView *view);

/* A digest in groups, to be compared by eye and broken into lines where it is not one word. */
char *ph_transfer_digest (const char *hex);

/* PhDetail of what was sent when, and of the way it took. Both are cleared first. */
void ph_transfer_facts (const PhTransferView *view, int64_t now, GListStore *facts);
void ph_transfer_path (const PhTransferView *view, GListStore *facts);

/* What ph_engine_explain_contact() told: the addresses of both sides, what was tried with what result, and
 * the last lines of the log. All are replaced; all are left empty for what cannot be read. */
void
ph_explain_read (const char *json, GListStore *addresses, GListStore *attempts, GListStore *log);
