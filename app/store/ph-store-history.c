/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What has ended: finding it, and forgetting it. */

#include "app/store/ph-store-transfers.h"

#include "app/store/ph-store-private.h"

#include <string.h>

/* --- Finding ------------------------------------------------------------------------------------- */

static bool
holds_words (const char *text, const char *const *words)
{
  for (size_t i = 0; words != NULL && words[i] != NULL; i++) {
    if (strstr (text, words[i]) == NULL)
      return false;
  }
  return true;
}

GPtrArray *
ph_store_list_history (PhStore *self, const PhStoreHistoryQuery *query, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  g_autoptr (GPtrArray) list =
      g_ptr_array_new_with_free_func ((GDestroyNotify)ph_store_transfer_free);
  /* A NULL of no length is NULL in SQL: the condition falls away. */
  const int peer_len = query->peer != NULL ? PH_STORE_KEY_LEN : 0;
  const int before_len = query->before_id != NULL ? PH_STORE_TRANSFER_LEN : 0;
  g_autoptr (PhStatement) statement =
      ph_store_query (self, error,
                      "SELECT " PH_STORE_TRANSFER_COLUMNS ", words,"
                      " EXISTS (SELECT 1 FROM roots WHERE transfer = id) FROM transfers"
                      " WHERE state >= ?1 AND hidden = 0 AND (?2 IS NULL OR peer = ?2)"
                      " AND (?3 IS NULL OR finished_at < ?4 OR (finished_at = ?4 AND id > ?3))"
                      " AND missed >= ?5 ORDER BY finished_at DESC, id",
                      "ibbii", (int64_t)PH_STORE_FIRST_FINISHED, query->peer, peer_len,
                      query->before_id, before_len, query->before_at, (int64_t)query->missed_only);
  bool ok = statement != NULL;

  while (ok && (query->limit == 0 || list->len < query->limit)
         && ph_store_step (self, statement, &ok, error)) {
    if (holds_words ((const char *)sqlite3_column_text (statement, PH_STORE_TRANSFER_N_COLUMNS),
                     query->words)) {
      PhStoreTransfer *row = ph_store_transfer_from_row (statement);

      row->has_roots = sqlite3_column_int (statement, PH_STORE_TRANSFER_N_COLUMNS + 1) != 0;
      g_ptr_array_add (list, row);
    }
  }
  return ok ? g_steal_pointer (&list) : NULL;
}

/* --- Forgetting ---------------------------------------------------------------------------------- */

/* Of these nobody will ask again: sent ones, those that have a receipt, and those that their sender has
 * withdrawn. */
#define UNASKED "(incoming = 0 OR state = 4 OR missed)"

G_STATIC_ASSERT (PH_STORE_DELIVERED == 4);

bool
ph_store_hide (PhStore *self, const uint8_t *id, const uint8_t *peer, GError **error)
{
  const int id_len = id != NULL ? PH_STORE_TRANSFER_LEN : 0;
  const int peer_len = peer != NULL ? PH_STORE_KEY_LEN : 0;
  static const char *const tables[] = {"manifests", "roots", "checkpoints", "names", "digests"};

  if (!ph_store_run (self, error,
                     "DELETE FROM transfers WHERE " UNASKED " AND state >= ?1 AND hidden = 0"
                     " AND (?2 IS NULL OR id = ?2) AND (?3 IS NULL OR peer = ?3)",
                     "ibb", (int64_t)PH_STORE_FIRST_FINISHED, id, id_len, peer, peer_len))
    return false;
  for (size_t i = 0; i < G_N_ELEMENTS (tables); i++) {
    g_autofree char *sql = g_strdup_printf (
        "DELETE FROM %s WHERE transfer IN (SELECT id FROM transfers WHERE state >= ?1"
        " AND hidden = 0 AND (?2 IS NULL OR id = ?2) AND (?3 IS NULL OR peer = ?3))",
        tables[i]);

    if (!ph_store_run (self, error, sql, "ibb", (int64_t)PH_STORE_FIRST_FINISHED, id, id_len, peer,
                       peer_len))
      return false;
  }
  return ph_store_run (self, error,
                       "UPDATE transfers SET hidden = 1, peer_name = '', files = 0, bytes = 0,"
                       " bytes_done = 0, title = '', destination = NULL, code = '', message = NULL,"
                       " path = NULL, rate = 0, created_at = 0, words = ''"
                       " WHERE state >= ?1 AND hidden = 0"
                       " AND (?2 IS NULL OR id = ?2) AND (?3 IS NULL OR peer = ?3)",
                       "ibb", (int64_t)PH_STORE_FIRST_FINISHED, id, id_len, peer, peer_len);
}

void
ph_store_wipe_log (PhStore *self)
{
  sqlite3_exec (self->db, "PRAGMA wal_checkpoint (TRUNCATE)", NULL, NULL, NULL);
}

static bool
is_listed (PhStore *self, const uint8_t *id, GError **error)
{
  g_autoptr (PhStatement) statement = ph_store_query (
      self, error, "SELECT 1 FROM transfers WHERE id = ? AND state >= ? AND hidden = 0", "bi", id,
      PH_STORE_TRANSFER_LEN, (int64_t)PH_STORE_FIRST_FINISHED);
  bool ok;

  if (statement == NULL || ph_store_step (self, statement, &ok, error))
    return statement != NULL;
  if (ok)
    g_set_error_literal (error, PH_STORE_ERROR, PH_STORE_ERROR_MISSING,
                         "the profile's database: there is no such transfer");
  return false;
}

bool
ph_store_forget (PhStore *self, const uint8_t *id, const uint8_t *peer, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  if ((id != NULL && !is_listed (self, id, error)) || !ph_store_begin (self, error)
      || !ph_store_end (self, ph_store_hide (self, id, peer, error), error))
    return false;
  ph_store_wipe_log (self);
  return true;
}

bool
ph_store_trim_missed (PhStore *self, const uint8_t peer[PH_STORE_KEY_LEN], unsigned keep,
                      GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  return ph_store_run (self, error,
                       "DELETE FROM transfers WHERE missed AND peer = ?1 AND id NOT IN"
                       " (SELECT id FROM transfers WHERE missed AND peer = ?1"
                       " ORDER BY finished_at DESC, id LIMIT ?2)",
                       "bi", peer, PH_STORE_KEY_LEN, (int64_t)keep);
}
