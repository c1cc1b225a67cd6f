/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/store/ph-store-transfers.h"

#include "app/store/ph-store-private.h"

#define UNFINISHED_STATES "-1, 0, 1, 2, 3"

G_STATIC_ASSERT (PH_STORE_HELD == -1 && PH_STORE_PAUSED == 3 && PH_STORE_FIRST_FINISHED == 4);

void
ph_store_transfer_free (PhStoreTransfer *transfer)
{
  if (transfer == NULL)
    return;
  g_free (transfer->peer_name);
  g_free (transfer->title);
  g_free (transfer->destination);
  g_free (transfer->code);
  g_free (transfer->message);
  g_free (transfer->path);
  g_free (transfer);
}

/* --- Adding -------------------------------------------------------------------------------------- */

static bool
next_position (PhStore *self, int64_t *ret_position, GError **error)
{
  g_autoptr (PhStatement) statement =
      ph_store_query (self, error, "SELECT coalesce (max (position), 0) + 1 FROM transfers", "");
  bool ok;

  if (statement == NULL || !ph_store_step (self, statement, &ok, error))
    return false;
  *ret_position = sqlite3_column_int64 (statement, 0);
  return true;
}

static bool
insert_transfer (PhStore *self, const PhStoreTransfer *t, GError **error)
{
  int64_t position = t->position;

  if (position == 0 && !next_position (self, &position, error))
    return false;
  return ph_store_run (self, error,
                       "INSERT INTO transfers (" PH_STORE_TRANSFER_COLUMNS ", words)"
                       " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                       "bbsiiiiispsssiiiiiis", t->id, PH_STORE_TRANSFER_LEN, t->peer,
                       PH_STORE_KEY_LEN, t->peer_name != NULL ? t->peer_name : "",
                       (int64_t)t->incoming, (int64_t)t->state, (int64_t)t->files,
                       (int64_t)t->bytes, (int64_t)t->bytes_done, t->title != NULL ? t->title : "",
                       t->destination, t->code, t->message, t->path, (int64_t)t->rate, position,
                       t->created_at, t->finished_at, (int64_t)t->missed, (int64_t)t->hidden,
                       t->words != NULL ? t->words : "");
}

static bool
insert_manifest (PhStore *self, const uint8_t *id, GBytes *manifest, GError **error)
{
  return ph_store_run (self, error, "INSERT INTO manifests VALUES (?, ?)", "bB", id,
                       PH_STORE_TRANSFER_LEN, manifest);
}

bool
ph_store_accept_offer (PhStore *self, const uint8_t id[PH_STORE_TRANSFER_LEN],
                       const char *destination, GBytes *manifest, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  if (!ph_store_begin (self, error))
    return false;

  const bool ok =
      ph_store_run (self, error,
                    "UPDATE transfers SET state = ?, destination = ? WHERE id = ? AND state = ?",
                    "ipbi", (int64_t)PH_STORE_ACTIVE, destination, id, PH_STORE_TRANSFER_LEN,
                    (int64_t)PH_STORE_OFFERED)
      && ph_store_expect_change (self, error) && insert_manifest (self, id, manifest, error);

  return ph_store_end (self, ok, error);
}

bool
ph_store_add_transfer (PhStore *self, const PhStoreTransfer *transfer, GBytes *manifest,
                       const char *const *roots, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  if (!ph_store_begin (self, error))
    return false;

  bool ok = insert_transfer (self, transfer, error)
            && (manifest == NULL || insert_manifest (self, transfer->id, manifest, error));

  for (int i = 0; ok && roots != NULL && roots[i] != NULL; i++)
    ok = ph_store_run (self, error, "INSERT INTO roots VALUES (?, ?, ?)", "bip", transfer->id,
                       PH_STORE_TRANSFER_LEN, (int64_t)i, roots[i]);
  return ph_store_end (self, ok, error);
}

/* --- Reading ------------------------------------------------------------------------------------- */

PhStoreTransfer *
ph_store_transfer_from_row (PhStatement *statement)
{
  PhStoreTransfer *t = g_new0 (PhStoreTransfer, 1);

  ph_column_bytes (statement, 0, t->id, sizeof t->id);
  ph_column_bytes (statement, 1, t->peer, sizeof t->peer);
  t->peer_name = ph_column_text (statement, 2);
  t->incoming = sqlite3_column_int (statement, 3) != 0;
  t->state = (PhStoreState)sqlite3_column_int (statement, 4);
  t->files = (uint32_t)sqlite3_column_int64 (statement, 5);
  t->bytes = (uint64_t)sqlite3_column_int64 (statement, 6);
  t->bytes_done = (uint64_t)sqlite3_column_int64 (statement, 7);
  t->title = ph_column_text (statement, 8);
  t->destination = ph_column_path (statement, 9);
  t->code = ph_column_text_or_null (statement, 10);
  t->message = ph_column_text_or_null (statement, 11);
  t->path = ph_column_text_or_null (statement, 12);
  t->rate = (uint64_t)sqlite3_column_int64 (statement, 13);
  t->position = sqlite3_column_int64 (statement, 14);
  t->created_at = sqlite3_column_int64 (statement, 15);
  t->finished_at = sqlite3_column_int64 (statement, 16);
  t->missed = sqlite3_column_int (statement, 17) != 0;
  t->hidden = sqlite3_column_int (statement, 18) != 0;
  return t;
}

static bool
read_list (PhStore *self, GPtrArray *list, unsigned limit, const char *sql, GError **error)
{
  g_autoptr (PhStatement) statement = ph_store_query (self, error, sql, "");
  bool ok = statement != NULL;

  while (ok && (limit == 0 || list->len < limit) && ph_store_step (self, statement, &ok, error))
    g_ptr_array_add (list, ph_store_transfer_from_row (statement));
  return ok;
}

GPtrArray *
ph_store_list_transfers (PhStore *self, PhStoreWhich which, unsigned limit, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  g_autoptr (GPtrArray) list =
      g_ptr_array_new_with_free_func ((GDestroyNotify)ph_store_transfer_free);

  if (which != PH_STORE_FINISHED
      && !read_list (self, list, limit,
                     "SELECT " PH_STORE_TRANSFER_COLUMNS " FROM transfers"
                     " WHERE state IN (" UNFINISHED_STATES ") ORDER BY position, created_at, id",
                     error))
    return NULL;
  if (which != PH_STORE_UNFINISHED
      && !read_list (self, list, limit,
                     "SELECT " PH_STORE_TRANSFER_COLUMNS " FROM transfers"
                     " WHERE state NOT IN (" UNFINISHED_STATES
                     ") AND hidden = 0 ORDER BY finished_at DESC, id",
                     error))
    return NULL;
  return g_steal_pointer (&list);
}

PhStoreTransfer *
ph_store_get_transfer (PhStore *self, const uint8_t id[PH_STORE_TRANSFER_LEN], GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  g_autoptr (PhStatement) statement = ph_store_query (
      self, error, "SELECT " PH_STORE_TRANSFER_COLUMNS " FROM transfers WHERE id = ?", "b", id,
      PH_STORE_TRANSFER_LEN);
  bool ok;

  if (statement == NULL || !ph_store_step (self, statement, &ok, error))
    return NULL;
  return ph_store_transfer_from_row (statement);
}

GBytes *
ph_store_get_manifest (PhStore *self, const uint8_t id[PH_STORE_TRANSFER_LEN], GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  g_autoptr (PhStatement) statement =
      ph_store_query (self, error, "SELECT encoded FROM manifests WHERE transfer = ?", "b", id,
                      PH_STORE_TRANSFER_LEN);
  bool ok;

  if (statement == NULL || !ph_store_step (self, statement, &ok, error))
    return NULL;
  return ph_column_gbytes (statement, 0);
}

char **
ph_store_get_roots (PhStore *self, const uint8_t id[PH_STORE_TRANSFER_LEN], GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  g_autoptr (GStrvBuilder) list = g_strv_builder_new ();
  g_autoptr (PhStatement) statement =
      ph_store_query (self, error, "SELECT path FROM roots WHERE transfer = ? ORDER BY n", "b", id,
                      PH_STORE_TRANSFER_LEN);
  bool ok = statement != NULL;

  while (ok && ph_store_step (self, statement, &ok, error))
    g_strv_builder_take (list, ph_column_path (statement, 0));
  return ok ? g_strv_builder_end (list) : NULL;
}

/* --- Changing ------------------------------------------------------------------------------------ */

bool
ph_store_set_state (PhStore *self, const uint8_t id[PH_STORE_TRANSFER_LEN], PhStoreState state,
                    const char *destination, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  g_assert (!ph_store_state_is_finished (state));
  return ph_store_run (self, error,
                       "UPDATE transfers SET state = ?, destination = coalesce (?, destination)"
                       " WHERE id = ? AND state IN (" UNFINISHED_STATES ")",
                       "ipb", (int64_t)state, destination, id, PH_STORE_TRANSFER_LEN)
         && ph_store_expect_change (self, error);
}

bool
ph_store_set_bytes_done (PhStore *self, const uint8_t id[PH_STORE_TRANSFER_LEN],
                         uint64_t bytes_done, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  return ph_store_run (self, error, "UPDATE transfers SET bytes_done = ? WHERE id = ?", "ib",
                       (int64_t)bytes_done, id, PH_STORE_TRANSFER_LEN)
         && ph_store_expect_change (self, error);
}

bool
ph_store_set_position (PhStore *self, const uint8_t id[PH_STORE_TRANSFER_LEN], int64_t position,
                       GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  return ph_store_run (self, error, "UPDATE transfers SET position = ? WHERE id = ?", "ib",
                       position, id, PH_STORE_TRANSFER_LEN)
         && ph_store_expect_change (self, error);
}

static bool
is_finished (PhStore *self, const uint8_t *id, bool *ret_finished, GError **error)
{
  g_autoptr (PhStatement) statement = ph_store_query (
      self, error, "SELECT state FROM transfers WHERE id = ?", "b", id, PH_STORE_TRANSFER_LEN);
  bool ok;

  if (statement == NULL)
    return false;
  if (!ph_store_step (self, statement, &ok, error)) {
    if (ok)
      g_set_error_literal (error, PH_STORE_ERROR, PH_STORE_ERROR_MISSING,
                           "the profile's database: there is no such transfer");
    return false;
  }
  *ret_finished = ph_store_state_is_finished ((PhStoreState)sqlite3_column_int (statement, 0));
  return true;
}

static bool
put_receipt (PhStore *self, const uint8_t *id, const PhStoreResult *r, GError **error)
{
  return r->receipt == NULL
         || ph_store_run (self, error, "INSERT OR REPLACE INTO receipts VALUES (?, ?, ?)", "bBi",
                          id, PH_STORE_TRANSFER_LEN, r->receipt,
                          r->finished_at + PH_STORE_RECEIPT_DAYS * INT64_C (86400));
}

static bool
finish (PhStore *self, const uint8_t *id, const PhStoreResult *r, GError **error)
{
  bool finished;

  if (!is_finished (self, id, &finished, error))
    return false;
  if (finished)
    return true;
  if (!ph_store_run (self, error,
                     "UPDATE transfers SET state = ?, code = ?, message = ?, path = ?, rate = ?,"
                     " bytes_done = ?, finished_at = ?, missed = ? WHERE id = ?",
                     "isssiiiib", (int64_t)r->state, r->code != NULL ? r->code : "", r->message,
                     r->path, (int64_t)r->rate, (int64_t)r->bytes_done, r->finished_at,
                     (int64_t)r->missed, id, PH_STORE_TRANSFER_LEN)
      || !put_receipt (self, id, r, error))
    return false;
  if (r->traceless)
    return ph_store_hide (self, id, NULL, error);
  return ph_store_run (self, error, "DELETE FROM checkpoints WHERE transfer = ?", "b", id,
                       PH_STORE_TRANSFER_LEN)
         && (r->state != PH_STORE_DECLINED /* nothing of it will be asked for again */
             || ph_store_run (self, error,
                              "DELETE FROM manifests WHERE transfer IN"
                              " (SELECT id FROM transfers WHERE id = ? AND incoming)",
                              "b", id, PH_STORE_TRANSFER_LEN));
}

bool
ph_store_finish_transfer (PhStore *self, const uint8_t id[PH_STORE_TRANSFER_LEN],
                          const PhStoreResult *result, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  g_assert (ph_store_state_is_finished (result->state));
  if (!ph_store_begin (self, error)
      || !ph_store_end (self, finish (self, id, result, error), error))
    return false;
  if (result->traceless)
    ph_store_wipe_log (self);
  return true;
}

GBytes *
ph_store_get_receipt (PhStore *self, const uint8_t id[PH_STORE_TRANSFER_LEN], int64_t now,
                      GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  g_autoptr (PhStatement) statement = ph_store_query (
      self, error, "SELECT receipt FROM receipts WHERE transfer = ? AND expires_at > ?", "bi", id,
      PH_STORE_TRANSFER_LEN, now);
  bool ok;

  if (statement == NULL || !ph_store_step (self, statement, &ok, error))
    return NULL;
  return ph_column_gbytes (statement, 0);
}

bool
ph_store_remove_transfer (PhStore *self, const uint8_t id[PH_STORE_TRANSFER_LEN], GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  return ph_store_run (self, error, "DELETE FROM transfers WHERE id = ?", "b", id,
                       PH_STORE_TRANSFER_LEN)
         && ph_store_expect_change (self, error);
}
