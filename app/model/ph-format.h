/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Numbers, names and states in the person's words, as the window shows them. Newly allocated unless
 * const. Plain text: no markup escaping. */

#pragma once

#include "app/engine/ph-engine.h"

/* A name from outside for use within a sentence: invisible and control characters made visible, and
 * isolated (FSI ... PDI) where it could reorder, or be reordered by, the words around it. */
char *ph_format_name (const char *name);
/* Top-level names, the first few: "a.jpg, b.jpg and 12 more". */
char *ph_format_names (const char *const *names, uint32_t files);

/* "340 MB". */
char *ph_format_size (uint64_t bytes);
/* "12 files, 340 MB". */
char *ph_format_amount (uint32_t files, uint64_t bytes);
/* "12.3 MB of 340 MB". */
char *ph_format_progress (uint64_t done, uint64_t total);
/* "5.2 MB/s". */
char *ph_format_rate (uint64_t bytes_per_second);
/* "a few seconds left", "2 minutes left": rounded so that it does not jitter; NULL where nothing can be
 * said. */
char *ph_format_time_left (uint64_t bytes_left, uint64_t bytes_per_second);
/* A moment, as near as it needs: "14:03", "Yesterday, 14:03", "12 March 2026"; `now`: Unix seconds. */
char *ph_format_moment (int64_t unix_seconds, int64_t now);

/* "Direct, same network" and so on for "lan", "udp", "tcp", "relay"; NULL for "". */
const char *ph_format_path (const char *path);
/* The icon that goes with it. */
const char *ph_format_path_icon (const char *path);

/* What a transfer is at: one line for a row. `now`: Unix seconds. */
char *ph_format_transfer_status (const PhTransferView *view, int64_t now);
/* Short, without numbers, for announcements: "Desk received photo.jpg"; NULL: nothing worth saying. */
char *ph_format_transfer_news (const PhTransferView *view);
/* What the drop target and the question before sending say: "Send 12 files, 340 MB, to Desk". `more`:
 * counting is not over. */
char *ph_format_send_to (const char *contact_name, uint32_t files, uint64_t bytes, bool more);
/* Why files cannot go and offers cannot come; "" while they can. */
char *ph_format_status (const PhStatusView *view);
