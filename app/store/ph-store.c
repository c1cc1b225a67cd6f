/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/store/ph-store-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DATABASE_NAME "porthole.db"
/* Another process' commit is an fsync or two: this long only when its disk hangs. */
#define BUSY_TIMEOUT_MS 5000

G_DEFINE_QUARK (ph - store - error - quark, ph_store_error)

/* --- Statements ---------------------------------------------------------------------------------- */

/* What the system said to SQLite, which has a code of its own for a full disk but none for a quota. */
static bool
system_code (int errnum, PhStoreError *ret_code)
{
  switch (errnum) {
  case ENOSPC:
  case EDQUOT:
  case EFBIG:
    *ret_code = PH_STORE_ERROR_NO_SPACE;
    return true;
  case EROFS:
  case EACCES:
  case EPERM:
    *ret_code = PH_STORE_ERROR_UNWRITABLE;
    return true;
  default:
    return false;
  }
}

static PhStoreError
error_code (int sqlite_code, int extended, int errnum)
{
  PhStoreError code;

  if ((sqlite_code == SQLITE_IOERR || sqlite_code == SQLITE_CANTOPEN)
      && system_code (errnum, &code))
    return code;
  switch (sqlite_code) {
  case SQLITE_FULL:
    return PH_STORE_ERROR_NO_SPACE;
  case SQLITE_NOTADB:
  case SQLITE_CORRUPT:
    return PH_STORE_ERROR_CORRUPT;
  case SQLITE_READONLY:
  case SQLITE_CANTOPEN:
  case SQLITE_PERM:
    return PH_STORE_ERROR_UNWRITABLE;
  case SQLITE_CONSTRAINT:
    return extended == SQLITE_CONSTRAINT_FOREIGNKEY ? PH_STORE_ERROR_MISSING
                                                    : PH_STORE_ERROR_EXISTS;
  default:
    return PH_STORE_ERROR_IO;
  }
}

bool
ph_store_fail (PhStore *self, GError **error)
{
  const int code = sqlite3_errcode (self->db);

  g_set_error (error, PH_STORE_ERROR,
               error_code (code & 0xff, sqlite3_extended_errcode (self->db),
                           sqlite3_system_errno (self->db)),
               "the profile's database: %s", sqlite3_errmsg (self->db));
  return false;
}

static int
bind_one (PhStatement *statement, int at, char type, va_list *args)
{
  switch (type) {
  case 's': {
    const char *text = va_arg (*args, const char *);

    return sqlite3_bind_text (statement, at, text, -1, SQLITE_STATIC);
  }
  case 'p': {
    const char *path = va_arg (*args, const char *);

    return sqlite3_bind_blob (statement, at, path, path != NULL ? (int)strlen (path) : 0,
                              SQLITE_STATIC);
  }
  case 'i':
    return sqlite3_bind_int64 (statement, at, va_arg (*args, int64_t));
  case 'b': {
    const void *bytes = va_arg (*args, const void *);
    const int len = va_arg (*args, int);

    return sqlite3_bind_blob (statement, at, bytes, len, SQLITE_STATIC);
  }
  case 'B': {
    GBytes *bytes = va_arg (*args, GBytes *);
    gsize len;
    const void *data;

    if (bytes == NULL)
      return sqlite3_bind_null (statement, at);
    data = g_bytes_get_data (bytes, &len);
    return len == 0 ? sqlite3_bind_zeroblob (statement, at, 0)
                    : sqlite3_bind_blob64 (statement, at, data, len, SQLITE_STATIC);
  }
  default:
    g_assert_not_reached ();
  }
}

static PhStatement *
query_va (PhStore *self, GError **error, const char *sql, const char *types, va_list *args)
{
  g_autoptr (PhStatement) statement = NULL;

  if (sqlite3_prepare_v2 (self->db, sql, -1, &statement, NULL) != SQLITE_OK) {
    ph_store_fail (self, error);
    return NULL;
  }
  g_assert (sqlite3_bind_parameter_count (statement) == (int)strlen (types));
  for (int i = 0; types[i] != '\0'; i++)
    if (bind_one (statement, i + 1, types[i], args) != SQLITE_OK) {
      ph_store_fail (self, error);
      return NULL;
    }
  return g_steal_pointer (&statement);
}

PhStatement *
ph_store_query (PhStore *self, GError **error, const char *sql, const char *types, ...)
{
  va_list args;
  PhStatement *statement;

  va_start (args, types);
  statement = query_va (self, error, sql, types, &args);
  va_end (args);
  return statement;
}

bool
ph_store_step (PhStore *self, PhStatement *statement, bool *ret_ok, GError **error)
{
  const int code = sqlite3_step (statement);

  *ret_ok = code == SQLITE_ROW || code == SQLITE_DONE || ph_store_fail (self, error);
  return code == SQLITE_ROW;
}

bool
ph_store_run (PhStore *self, GError **error, const char *sql, const char *types, ...)
{
  va_list args;
  g_autoptr (PhStatement) statement = NULL;
  bool ok;

  va_start (args, types);
  statement = query_va (self, error, sql, types, &args);
  va_end (args);
  if (statement == NULL)
    return false;
  while (ph_store_step (self, statement, &ok, error))
    ;
  return ok;
}

bool
ph_store_expect_change (PhStore *self, GError **error)
{
  if (sqlite3_changes (self->db) > 0)
    return true;
  g_set_error_literal (error, PH_STORE_ERROR, PH_STORE_ERROR_MISSING,
                       "the profile's database: there is no such entry");
  return false;
}

bool
ph_store_begin (PhStore *self, GError **error)
{
  return sqlite3_exec (self->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK
         || ph_store_fail (self, error);
}

bool
ph_store_end (PhStore *self, bool ok, GError **error)
{
  if (ok)
    ok = sqlite3_exec (self->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK
         || ph_store_fail (self, error);
  /* A failed commit may or may not have ended the transaction. */
  if (!ok && !sqlite3_get_autocommit (self->db))
    sqlite3_exec (self->db, "ROLLBACK", NULL, NULL, NULL);
  return ok;
}

char *
ph_column_path (PhStatement *statement, int column)
{
  const void *bytes = sqlite3_column_blob (statement, column);

  return bytes != NULL ? g_strndup (bytes, (gsize)sqlite3_column_bytes (statement, column)) : NULL;
}

char *
ph_column_text_or_null (PhStatement *statement, int column)
{
  return g_strdup ((const char *)sqlite3_column_text (statement, column));
}

char *
ph_column_text (PhStatement *statement, int column)
{
  char *text = ph_column_text_or_null (statement, column);

  return text != NULL ? text : g_strdup ("");
}

void
ph_column_bytes (PhStatement *statement, int column, void *out, size_t len)
{
  const void *bytes = sqlite3_column_blob (statement, column);

  if ((size_t)sqlite3_column_bytes (statement, column) == len && bytes != NULL)
    memcpy (out, bytes, len);
  else
    memset (out, 0, len);
}

GBytes *
ph_column_gbytes (PhStatement *statement, int column)
{
  const void *bytes = sqlite3_column_blob (statement, column);

  return g_bytes_new (bytes, (gsize)sqlite3_column_bytes (statement, column));
}

/* --- Opening ------------------------------------------------------------------------------------- */

static bool
fail_errno (GError **error, const char *what, const char *path)
{
  const int saved = errno;
  const PhStoreError code =
      saved == ENOSPC || saved == EDQUOT ? PH_STORE_ERROR_NO_SPACE : PH_STORE_ERROR_UNWRITABLE;

  g_set_error (error, PH_STORE_ERROR, code, "%s %s: %s", what, path, g_strerror (saved));
  return false;
}

/* The folder for nobody else, and the file made before SQLite would make it with the umask's mode. */
static bool
prepare_files (const char *profile_dir, const char *path, GError **error)
{
  struct stat st;

  if (g_mkdir_with_parents (profile_dir, 0700) != 0)
    return fail_errno (error, "cannot make the profile's folder", profile_dir);
  if (stat (profile_dir, &st) != 0 || ((st.st_mode & 077) != 0 && chmod (profile_dir, 0700) != 0))
    return fail_errno (error, "cannot use the profile's folder", profile_dir);

  const int fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

  if (fd < 0)
    return fail_errno (error, "cannot open", path);

  const bool ok = fstat (fd, &st) == 0 && ((st.st_mode & 077) == 0 || fchmod (fd, 0600) == 0);

  close (fd);
  return ok || fail_errno (error, "cannot protect", path);
}

PhStore *
ph_store_open (const char *profile_dir, GError **error)
{
  g_autofree char *path = g_build_filename (profile_dir, DATABASE_NAME, NULL);
  g_autoptr (PhStore) self = NULL;

  if (!prepare_files (profile_dir, path, error))
    return NULL;

  self = g_new0 (PhStore, 1);
  g_mutex_init (&self->lock);
  /* No mutexes of SQLite's own: ours is held around every use. */
  if (sqlite3_open_v2 (path, &self->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL)
      != SQLITE_OK) {
    ph_store_fail (self, error);
    return NULL;
  }
  sqlite3_busy_timeout (self->db, BUSY_TIMEOUT_MS);
  sqlite3_extended_result_codes (self->db, 0);

  /* The version first: a newer database is left exactly as it is. Only then the journal mode, which is
   * a property of the file. */
  if (sqlite3_exec (
          self->db,
          "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;"
          "PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;"
          /* No files elsewhere: who commits may be confined to the folder (ph-confine.h). */
          "PRAGMA temp_store = MEMORY;",
          NULL, NULL, NULL)
          != SQLITE_OK
      && !ph_store_fail (self, error))
    return NULL;
  if (!ph_store_migrate (self, error))
    return NULL;
  if (sqlite3_exec (self->db, "PRAGMA journal_mode = WAL; PRAGMA journal_size_limit = 4194304;",
                    NULL, NULL, NULL)
          != SQLITE_OK
      && !ph_store_fail (self, error))
    return NULL;
  return g_steal_pointer (&self);
}

void
ph_store_close (PhStore *self)
{
  if (self == NULL)
    return;
  const int code = sqlite3_close (self->db);

  g_assert (code == SQLITE_OK); /* a statement of ours was not finalized */
  g_mutex_clear (&self->lock);
  g_free (self);
}

/* --- Settings ------------------------------------------------------------------------------------ */

char *
ph_store_get_setting (PhStore *self, const char *key)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  g_autoptr (PhStatement) statement =
      ph_store_query (self, NULL, "SELECT value FROM settings WHERE key = ?", "s", key);
  bool ok;

  if (statement == NULL || !ph_store_step (self, statement, &ok, NULL))
    return NULL;
  return ph_column_text (statement, 0);
}

bool
ph_store_set_setting (PhStore *self, const char *key, const char *value, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  if (value == NULL)
    return ph_store_run (self, error, "DELETE FROM settings WHERE key = ?", "s", key);
  return ph_store_run (self, error, "INSERT OR REPLACE INTO settings VALUES (?, ?)", "ss", key,
                       value);
}

/* --- Invitations --------------------------------------------------------------------------------- */

void
ph_store_invitation_free (PhStoreInvitation *invitation)
{
  if (invitation == NULL)
    return;
  g_free (invitation->lookup);
  g_free (invitation->rendezvous);
  g_free (invitation->name);
  explicit_bzero (invitation->secret, sizeof invitation->secret);
  g_free (invitation);
}

bool
ph_store_add_invitation (PhStore *self, const PhStoreInvitation *invitation, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  return ph_store_run (self, error, "INSERT INTO invitations VALUES (?, ?, ?, ?, ?, ?)", "sbssii",
                       invitation->lookup, invitation->secret, (int)sizeof invitation->secret,
                       invitation->rendezvous, invitation->name != NULL ? invitation->name : "",
                       invitation->created_at, invitation->expires_at);
}

GPtrArray *
ph_store_list_invitations (PhStore *self, int64_t now, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  g_autoptr (GPtrArray) list =
      g_ptr_array_new_with_free_func ((GDestroyNotify)ph_store_invitation_free);
  g_autoptr (PhStatement) statement =
      ph_store_query (self, error,
                      "SELECT lookup, secret, rendezvous, name, created_at, expires_at"
                      " FROM invitations WHERE expires_at > ? ORDER BY created_at, lookup",
                      "i", now);
  bool ok = statement != NULL;

  while (ok && ph_store_step (self, statement, &ok, error)) {
    PhStoreInvitation *invitation = g_new0 (PhStoreInvitation, 1);

    invitation->lookup = ph_column_text (statement, 0);
    ph_column_bytes (statement, 1, invitation->secret, sizeof invitation->secret);
    invitation->rendezvous = ph_column_text (statement, 2);
    invitation->name = ph_column_text (statement, 3);
    invitation->created_at = sqlite3_column_int64 (statement, 4);
    invitation->expires_at = sqlite3_column_int64 (statement, 5);
    g_ptr_array_add (list, invitation);
  }
  return ok ? g_steal_pointer (&list) : NULL;
}

bool
ph_store_take_invitation (PhStore *self, const char *lookup, bool *ret_was_there, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  if (!ph_store_run (self, error, "DELETE FROM invitations WHERE lookup = ?", "s", lookup))
    return false;
  *ret_was_there = sqlite3_changes (self->db) > 0;
  return true;
}

bool
ph_store_expire (PhStore *self, int64_t now, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  const int64_t long_ago = now - PH_STORE_RECEIPT_DAYS * INT64_C (86400);

  if (!ph_store_begin (self, error))
    return false;

  const bool ok =
      ph_store_run (self, error, "DELETE FROM invitations WHERE expires_at <= ?", "i", now)
      && ph_store_run (self, error, "DELETE FROM receipts WHERE expires_at <= ?", "i", now)
      && ph_store_run (self, error,
                       "DELETE FROM manifests WHERE transfer IN (SELECT id FROM transfers"
                       " WHERE state >= ? AND finished_at <= ? AND files > ?)",
                       "iii", (int64_t)PH_STORE_FIRST_FINISHED, long_ago,
                       (int64_t)PH_STORE_LISTED_FILES)
      && ph_store_run (self, error,
                       "DELETE FROM digests WHERE transfer IN (SELECT id FROM transfers"
                       " WHERE state >= ? AND finished_at <= ? AND files > ?)",
                       "iii", (int64_t)PH_STORE_FIRST_FINISHED, long_ago,
                       (int64_t)PH_STORE_LISTED_FILES)
      && ph_store_run (self, error, "DELETE FROM transfers WHERE hidden AND finished_at <= ?", "i",
                       long_ago);

  return ph_store_end (self, ok, error);
}
