/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Numbers and states in the person's words. Strings are newly allocated unless const. */

#pragma once

#include "app/engine/ph-engine.h"

/* "3.2 s", "4 min 10 s", "2 h 5 min". */
char *ph_words_duration (double seconds);
/* "312.4 MB/s". */
char *ph_words_rate (double bytes_per_second);
/* "3 files, 1.0 GB". */
char *ph_words_amount (uint32_t files, uint64_t bytes);
/* Top-level names, safe to show, the first few: "a, b and 12 more". */
char *ph_words_names (const char *const *names);
/* "direct over UDP" and the like for "udp"...; NULL where there is no path. */
const char *ph_words_path (const char *path);
const char *ph_words_state (PhTransferState state, PhDirection direction);

/* A sentence that may hold words from outside: as it is, or escaped if anything in it could disturb a
 * terminal. */
char *ph_words_message (const char *message);

/* The up to three of `words` (NULL-terminated) that somebody who typed `text` may have meant, quoted
 * and listed: "“Anna”, “Hanna”"; NULL if none is near. */
char *ph_words_nearest (const char *text, const char *const *words);
