/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The schema, as the steps that lead to it. A step that has been in a release is never changed: a new
 * one is added, and a fixture of the version before it goes to tests/data/store. */

#include "app/store/ph-store-private.h"

/* Step i brings user_version i to i + 1. */
static const char *const migrations[] = {
    /* 1: people */
    "PRAGMA application_id = 0x506f7274;" /* "Port" */
    "CREATE TABLE settings ("
    "  key TEXT NOT NULL PRIMARY KEY,"
    "  value TEXT NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE contacts ("
    "  key BLOB NOT NULL PRIMARY KEY CHECK (length (key) = 32),"
    "  name TEXT NOT NULL,"
    "  blocked INTEGER NOT NULL,"
    "  auto_accept INTEGER NOT NULL,"
    "  auto_accept_max INTEGER NOT NULL,"
    "  added_at INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE contact_rendezvous ("
    "  contact BLOB NOT NULL REFERENCES contacts ON DELETE CASCADE,"
    "  n INTEGER NOT NULL,"
    "  address TEXT NOT NULL,"
    "  PRIMARY KEY (contact, n)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE invitations ("
    "  lookup TEXT NOT NULL PRIMARY KEY,"
    "  secret BLOB NOT NULL,"
    "  rendezvous TEXT NOT NULL,"
    "  name TEXT NOT NULL,"
    "  created_at INTEGER NOT NULL,"
    "  expires_at INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;",

    /* 2: transfers. The peer is no reference to contacts: the history outlives them. */
    "CREATE TABLE transfers ("
    "  id BLOB NOT NULL PRIMARY KEY CHECK (length (id) = 16),"
    "  peer BLOB NOT NULL CHECK (length (peer) = 32),"
    "  peer_name TEXT NOT NULL,"
    "  incoming INTEGER NOT NULL,"
    "  state INTEGER NOT NULL,"
    "  files INTEGER NOT NULL,"
    "  bytes INTEGER NOT NULL,"
    "  bytes_done INTEGER NOT NULL,"
    "  title TEXT NOT NULL,"
    "  destination BLOB,"
    "  code TEXT,"
    "  message TEXT,"
    "  path TEXT,"
    "  rate INTEGER NOT NULL,"
    "  position INTEGER NOT NULL,"
    "  created_at INTEGER NOT NULL,"
    "  finished_at INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX transfers_by_state ON transfers (state, position);"
    "CREATE TABLE manifests ("
    "  transfer BLOB NOT NULL PRIMARY KEY REFERENCES transfers ON DELETE CASCADE,"
    "  encoded BLOB NOT NULL"
    ") STRICT;"
    "CREATE TABLE roots ("
    "  transfer BLOB NOT NULL REFERENCES transfers ON DELETE CASCADE,"
    "  n INTEGER NOT NULL,"
    "  path BLOB NOT NULL," /* a path is bytes, not text */
    "  PRIMARY KEY (transfer, n)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE receipts ("
    "  transfer BLOB NOT NULL PRIMARY KEY,"
    "  receipt BLOB NOT NULL,"
    "  expires_at INTEGER NOT NULL"
    ") STRICT;",

    /* 3: how far incoming transfers are */
    "CREATE TABLE checkpoints ("
    "  transfer BLOB NOT NULL PRIMARY KEY REFERENCES transfers ON DELETE CASCADE,"
    "  stage INTEGER NOT NULL,"
    "  file INTEGER NOT NULL,"
    "  offset INTEGER NOT NULL,"
    "  sha_state BLOB NOT NULL,"
    "  part_inode INTEGER NOT NULL,"
    "  part_mtime_ns INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE names ("
    "  transfer BLOB NOT NULL REFERENCES transfers ON DELETE CASCADE,"
    "  entry INTEGER NOT NULL,"
    "  name TEXT NOT NULL,"
    "  PRIMARY KEY (transfer, entry)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE digests ("
    "  transfer BLOB NOT NULL REFERENCES transfers ON DELETE CASCADE,"
    "  first INTEGER NOT NULL,"
    "  digests BLOB NOT NULL,"
    "  PRIMARY KEY (transfer, first)"
    ") STRICT;",

    /* 4: what a window shows of people and of the past. `words` is what a search looks at. */
    "ALTER TABLE contacts ADD COLUMN verified INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE contacts ADD COLUMN alerted_at INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE contacts ADD COLUMN last_seen INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE transfers ADD COLUMN missed INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE transfers ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE transfers ADD COLUMN words TEXT NOT NULL DEFAULT '';"
    "UPDATE transfers SET words = lower (peer_name || char (10) || title);"
    "CREATE INDEX transfers_by_end ON transfers (finished_at DESC, id);",

    /* 5: which disk the partial folder is on */
    "ALTER TABLE checkpoints ADD COLUMN disk INTEGER NOT NULL DEFAULT 0;",
};

int
ph_store_schema_version (void)
{
  return G_N_ELEMENTS (migrations);
}

static bool
read_version (PhStore *self, int *ret_version, GError **error)
{
  g_autoptr (PhStatement) statement = ph_store_query (self, error, "PRAGMA user_version", "");
  bool ok;

  if (statement == NULL || !ph_store_step (self, statement, &ok, error))
    return false;
  *ret_version = sqlite3_column_int (statement, 0);
  return true;
}

static bool
migrate_step (PhStore *self, int version, GError **error)
{
  g_autofree char *set_version = g_strdup_printf ("PRAGMA user_version = %d", version + 1);
  int now;

  if (!ph_store_begin (self, error))
    return false;

  /* Another process may have been faster. */
  bool ok = read_version (self, &now, error);

  if (ok && now == version)
    ok = (sqlite3_exec (self->db, migrations[version], NULL, NULL, NULL) == SQLITE_OK
          && sqlite3_exec (self->db, set_version, NULL, NULL, NULL) == SQLITE_OK)
         || ph_store_fail (self, error);
  return ph_store_end (self, ok, error);
}

bool
ph_store_migrate (PhStore *self, GError **error)
{
  int version;

  if (!read_version (self, &version, error))
    return false;
  if (version < 0 || version > ph_store_schema_version ()) {
    g_set_error (error, PH_STORE_ERROR, PH_STORE_ERROR_NEWER,
                 "this profile was used with a newer Porthole (its database has version %d, this "
                 "Porthole knows up to %d): use that one, or another profile",
                 version, ph_store_schema_version ());
    return false;
  }
  for (; version < ph_store_schema_version (); version++)
    if (!migrate_step (self, version, error))
      return false;
  return true;
}
