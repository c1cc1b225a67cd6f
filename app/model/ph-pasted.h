/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files that were made to be sent, of what was pasted: each in a folder of its own in a folder of the cache. They are
 * needed for as long as the transfer goes on, however long it waits, and some days more, to be sent again. */

#pragma once

#include <gio/gio.h>

/* How long a file stays whose transfer has ended. */
#define PH_PASTED_DAYS 7

/* Removes the files in `folder` that are older than that and that no unfinished one of `transfers` (PhTransferItem)
 * sends. On a thread of its own. */
void ph_pasted_remove_old (const char *folder, GListModel *transfers);
/* The same, at once, with the names of what is being sent. */
void ph_pasted_remove_unneeded (const char *folder, GHashTable *sent);
