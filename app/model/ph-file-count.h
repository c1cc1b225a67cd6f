/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How much a drop would send, while it still hangs over its target. A look from outside, on a thread: what
 * is really sent is decided by the engine. */

#pragma once

#include <gio/gio.h>
#include <stdbool.h>
#include <stdint.h>

/* Nobody reads larger counts, and nobody waits longer, before letting go of a mouse button. */
#define PH_FILE_COUNT_MAX 100000u
#define PH_FILE_COUNT_MAX_MS 3000

typedef struct {
  uint32_t files; /* folders do not count */
  uint64_t bytes;
  bool more; /* counting stopped at a limit, or could not look everywhere */
} PhFileCount;

void ph_file_count_async (const char *const *paths, GCancellable *cancellable,
                          GAsyncReadyCallback callback, gpointer user_data);
/* False only if it was cancelled. */
bool ph_file_count_finish (GAsyncResult *result, PhFileCount *ret_count, GError **error);
