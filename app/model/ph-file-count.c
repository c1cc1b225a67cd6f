/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/model/ph-file-count.h"

#include <glib/gstdio.h>

/* Deeper trees are rare, and the thread's stack is not endless. */
#define DEPTH_MAX 64u

typedef struct {
  PhFileCount count;
  uint32_t seen; /* folders too */
  gint64 deadline_us;
  GCancellable *cancellable;
} Walk;

static bool
is_over (Walk *walk)
{
  if (walk->seen < PH_FILE_COUNT_MAX && g_get_monotonic_time () < walk->deadline_us
      && !g_cancellable_is_cancelled (walk->cancellable))
    return false;
  walk->count.more = true;
  return true;
}

/* A link that was chosen counts as what it points at, one below is left out: as sending does. */
static void
look_at (Walk *walk, const char *path, unsigned depth)
{
  g_autoptr (GDir) dir = NULL;
  const char *name;
  GStatBuf st;

  if (is_over (walk) || (depth == 0 ? g_stat (path, &st) : g_lstat (path, &st)) != 0)
    return;
  walk->seen++;
  if (S_ISREG (st.st_mode)) {
    walk->count.files++;
    walk->count.bytes += (uint64_t)st.st_size;
  }
  if (!S_ISDIR (st.st_mode))
    return;
  dir = depth < DEPTH_MAX ? g_dir_open (path, 0, NULL) : NULL;
  if (dir == NULL) {
    walk->count.more = true;
    return;
  }
  while (!is_over (walk) && (name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *inner = g_build_filename (path, name, NULL);

    look_at (walk, inner, depth + 1);
  }
}

static void
count (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  const char *const *paths = data;
  Walk walk = {.cancellable = cancellable,
               .deadline_us = g_get_monotonic_time () + PH_FILE_COUNT_MAX_MS * INT64_C (1000)};

  for (size_t i = 0; paths[i] != NULL; i++)
    look_at (&walk, paths[i], 0);
  if (!g_task_return_error_if_cancelled (task))
    g_task_return_pointer (task, g_memdup2 (&walk.count, sizeof walk.count), g_free);
}

void
ph_file_count_async (const char *const *paths, GCancellable *cancellable,
                     GAsyncReadyCallback callback, gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (NULL, cancellable, callback, user_data);

  g_task_set_task_data (task, g_strdupv ((char **)paths), (GDestroyNotify)g_strfreev);
  g_task_run_in_thread (task, count);
}

bool
ph_file_count_finish (GAsyncResult *result, PhFileCount *ret_count, GError **error)
{
  g_autofree PhFileCount *counted = g_task_propagate_pointer (G_TASK (result), error);

  if (counted == NULL)
    return false;
  *ret_count = *counted;
  return true;
}
