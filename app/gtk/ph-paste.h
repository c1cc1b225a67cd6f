/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The files that pasting made. ph_send_paste() is in ph-send.h. */

#pragma once

/* Removes those that are too old to be of a transfer; on a worker. */
void ph_paste_remove_old (void);
