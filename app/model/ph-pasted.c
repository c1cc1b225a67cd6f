/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/model/ph-pasted.h"

#include "app/model/ph-transfer-item.h"

#include <glib/gstdio.h>

#define DAY INT64_C (86400)

/* --- One folder ---------------------------------------------------------------------------------- */

static GPtrArray *
list_names (const char *path)
{
  GPtrArray *names = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    g_ptr_array_add (names, g_strdup (name));
  return names;
}

static void
remove_folder (const char *folder, GHashTable *sent)
{
  g_autoptr (GPtrArray) names = list_names (folder);

  for (guint i = 0; i < names->len; i++) {
    if (g_hash_table_contains (sent, names->pdata[i]))
      return;
  }
  for (guint i = 0; i < names->len; i++) {
    g_autofree char *path = g_build_filename (folder, names->pdata[i], NULL);

    g_unlink (path);
  }
  g_rmdir (folder);
}

void
ph_pasted_remove_unneeded (const char *folder, GHashTable *sent)
{
  const int64_t limit = g_get_real_time () / G_USEC_PER_SEC - PH_PASTED_DAYS * DAY;
  g_autoptr (GPtrArray) names = list_names (folder);

  for (guint i = 0; i < names->len; i++) {
    g_autofree char *each = g_build_filename (folder, names->pdata[i], NULL);
    GStatBuf st;

    if (g_lstat (each, &st) == 0 && S_ISDIR (st.st_mode) && st.st_mtime < limit)
      remove_folder (each, sent);
  }
}

/* --- On a thread --------------------------------------------------------------------------------- */

typedef struct {
  char *folder;
  GHashTable *sent;
} Tidying;

static void
tidying_free (gpointer data)
{
  Tidying *tidying = data;

  g_free (tidying->folder);
  g_hash_table_unref (tidying->sent);
  g_free (tidying);
}

static void
tidy (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  const Tidying *tidying = data;

  ph_pasted_remove_unneeded (tidying->folder, tidying->sent);
  g_task_return_boolean (task, TRUE);
}

void
ph_pasted_remove_old (const char *folder, GListModel *transfers)
{
  Tidying *tidying = g_new0 (Tidying, 1);
  g_autoptr (GTask) task = g_task_new (NULL, NULL, NULL, NULL);

  tidying->folder = g_strdup (folder);
  tidying->sent = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; i < g_list_model_get_n_items (transfers); i++) {
    g_autoptr (PhTransferItem) item = g_list_model_get_item (transfers, i);
    const PhTransferView *view = ph_transfer_item_view (item);

    if (view->direction != PH_DIRECTION_SEND || ph_transfer_state_ended (view->state))
      continue;
    for (unsigned k = 0; view->names[k] != NULL; k++)
      g_hash_table_add (tidying->sent, g_strdup (view->names[k]));
  }
  g_task_set_task_data (task, tidying, tidying_free);
  g_task_run_in_thread (task, tidy);
}
