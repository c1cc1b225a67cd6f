/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/store/ph-store-private.h"

PhStoreName *
ph_store_name_new (uint32_t entry, const char *name)
{
  PhStoreName *self = g_new0 (PhStoreName, 1);

  self->entry = entry;
  self->name = g_strdup (name);
  return self;
}

void
ph_store_name_free (PhStoreName *name)
{
  if (name == NULL)
    return;
  g_free (name->name);
  g_free (name);
}

static bool
put_names (PhStore *self, const uint8_t *id, const GPtrArray *names, GError **error)
{
  if (names == NULL)
    return true;
  if (!ph_store_run (self, error, "DELETE FROM names WHERE transfer = ?", "b", id,
                     PH_STORE_TRANSFER_LEN))
    return false;
  for (guint i = 0; i < names->len; i++) {
    const PhStoreName *name = names->pdata[i];

    if (!ph_store_run (self, error, "INSERT INTO names VALUES (?, ?, ?)", "bis", id,
                       PH_STORE_TRANSFER_LEN, (int64_t)name->entry, name->name))
      return false;
  }
  return true;
}

static bool
put_digests (PhStore *self, const uint8_t *id, const PhStoreCheckpoint *checkpoint, GError **error)
{
  if (checkpoint->n_digests == 0)
    return true;
  /* What is there from this entry on belongs to an attempt that was started over. */
  return ph_store_run (self, error, "DELETE FROM digests WHERE transfer = ? AND first >= ?", "bi",
                       id, PH_STORE_TRANSFER_LEN, (int64_t)checkpoint->digests_first)
         && ph_store_run (self, error, "INSERT INTO digests VALUES (?, ?, ?)", "bib", id,
                          PH_STORE_TRANSFER_LEN, (int64_t)checkpoint->digests_first,
                          checkpoint->digests, (int)checkpoint->n_digests * PH_STORE_SHA256_LEN);
}

static bool
put_checkpoint (PhStore *self, const uint8_t *id, const PhStoreCheckpoint *c, GError **error)
{
  return ph_store_run (self, error,
                       "INSERT INTO checkpoints VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
                       " ON CONFLICT (transfer) DO UPDATE SET stage = ?2, file = ?3, offset = ?4,"
                       " sha_state = ?5, part_inode = ?6, part_mtime_ns = ?7, disk = ?8",
                       "biiibiii", id, PH_STORE_TRANSFER_LEN, (int64_t)c->stage, (int64_t)c->file,
                       (int64_t)c->offset, c->sha_state, PH_STORE_SHA_STATE_LEN,
                       (int64_t)c->part_inode, c->part_mtime_ns, (int64_t)c->disk)
         && put_digests (self, id, c, error) && put_names (self, id, c->names, error);
}

bool
ph_store_put_checkpoint (PhStore *self, const uint8_t id[PH_STORE_TRANSFER_LEN],
                         const PhStoreCheckpoint *checkpoint, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  if (!ph_store_begin (self, error))
    return false;
  return ph_store_end (self, put_checkpoint (self, id, checkpoint, error), error);
}

bool
ph_store_put_digests (PhStore *self, const uint8_t id[PH_STORE_TRANSFER_LEN], uint32_t first,
                      const uint8_t *digests, uint32_t n_digests, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  const PhStoreCheckpoint rows = {
      .digests_first = first, .digests = digests, .n_digests = n_digests};

  if (!ph_store_begin (self, error))
    return false;
  return ph_store_end (self, put_digests (self, id, &rows, error), error);
}

bool
ph_store_get_checkpoint (PhStore *self, const uint8_t id[PH_STORE_TRANSFER_LEN],
                         PhStoreCheckpoint *ret_checkpoint, bool *ret_found, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  g_autoptr (PhStatement) statement =
      ph_store_query (self, error,
                      "SELECT stage, file, offset, sha_state, part_inode, part_mtime_ns, disk"
                      " FROM checkpoints WHERE transfer = ?",
                      "b", id, PH_STORE_TRANSFER_LEN);
  PhStoreCheckpoint c = {0};
  bool ok = statement != NULL;

  if (!ok)
    return false;
  if (!ph_store_step (self, statement, &ok, error)) {
    if (ok)
      *ret_found = false;
    return ok;
  }
  c.stage = (PhStoreStage)sqlite3_column_int (statement, 0);
  c.file = (uint32_t)sqlite3_column_int64 (statement, 1);
  c.offset = (uint64_t)sqlite3_column_int64 (statement, 2);
  ph_column_bytes (statement, 3, c.sha_state, sizeof c.sha_state);
  c.part_inode = (uint64_t)sqlite3_column_int64 (statement, 4);
  c.part_mtime_ns = sqlite3_column_int64 (statement, 5);
  c.disk = (uint64_t)sqlite3_column_int64 (statement, 6);
  *ret_checkpoint = c;
  *ret_found = true;
  return true;
}

GPtrArray *
ph_store_get_names (PhStore *self, const uint8_t id[PH_STORE_TRANSFER_LEN], GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  g_autoptr (GPtrArray) list = g_ptr_array_new_with_free_func ((GDestroyNotify)ph_store_name_free);
  g_autoptr (PhStatement) statement = ph_store_query (
      self, error, "SELECT entry, name FROM names WHERE transfer = ? ORDER BY entry", "b", id,
      PH_STORE_TRANSFER_LEN);
  bool ok = statement != NULL;

  while (ok && ph_store_step (self, statement, &ok, error))
    g_ptr_array_add (list, ph_store_name_new ((uint32_t)sqlite3_column_int64 (statement, 0),
                                              (const char *)sqlite3_column_text (statement, 1)));
  return ok ? g_steal_pointer (&list) : NULL;
}

GBytes *
ph_store_get_digests (PhStore *self, const uint8_t id[PH_STORE_TRANSFER_LEN], GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  g_autoptr (GByteArray) all = g_byte_array_new ();
  g_autoptr (PhStatement) statement = ph_store_query (
      self, error, "SELECT first, digests FROM digests WHERE transfer = ? ORDER BY first", "b", id,
      PH_STORE_TRANSFER_LEN);
  bool ok = statement != NULL;

  while (ok && ph_store_step (self, statement, &ok, error)) {
    const guint at = (guint)sqlite3_column_int64 (statement, 0) * PH_STORE_SHA256_LEN;

    if (at > all->len)
      break; /* a hole: what follows has no place */
    /* A row may reach beyond where a file was started over: the later row counts. */
    g_byte_array_set_size (all, at);
    g_byte_array_append (all, sqlite3_column_blob (statement, 1),
                         (guint)sqlite3_column_bytes (statement, 1));
  }
  return ok ? g_byte_array_free_to_bytes (g_steal_pointer (&all)) : NULL;
}
