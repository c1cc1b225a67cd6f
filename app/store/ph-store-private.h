/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the store's files share: the connection, its lock, and statements in one line. */

#pragma once

#include "app/store/ph-store-transfers.h"

#include <sqlite3.h>

#define PH_STORE_FIRST_FINISHED PH_STORE_DELIVERED

struct _PhStore {
  GMutex lock; /* held by every public function while it uses `db` */
  sqlite3 *db;
};

typedef sqlite3_stmt PhStatement;
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhStatement, sqlite3_finalize)

/* Sets `error` from what SQLite said last; always returns false. */
bool ph_store_fail (PhStore *self, GError **error);

/* Prepares `sql` and binds its parameters as `types` says, one letter each: 's' const char * (NULL is
 * NULL), 'p' the same for a path (bytes, not text), 'i' int64_t, 'b' const void * and int (bytes; NULL is NULL), 'B' GBytes * (NULL is NULL). Bound memory must
 * live until the statement is done with. NULL on error. */
PhStatement *
ph_store_query (PhStore *self, GError **error, const char *sql, const char *types, ...);
/* Whether there is a row (more). After false, `*ret_ok` tells end from error. */
bool ph_store_step (PhStore *self, PhStatement *statement, bool *ret_ok, GError **error);
/* ph_store_query() and run to its end. */
bool ph_store_run (PhStore *self, GError **error, const char *sql, const char *types, ...);
/* Fails with PH_STORE_ERROR_MISSING if the last ph_store_run() changed nothing. */
bool ph_store_expect_change (PhStore *self, GError **error);

/* BEGIN IMMEDIATE; then COMMIT if `ok`, else ROLLBACK. _end() returns whether all went well. */
bool ph_store_begin (PhStore *self, GError **error);
bool ph_store_end (PhStore *self, bool ok, GError **error);

/* Column values: a copy of a text ("" for NULL), a copy or NULL, a path or NULL, bytes of a fixed length (zeros if it
 * has another), bytes. */
char *ph_column_text (PhStatement *statement, int column);
char *ph_column_text_or_null (PhStatement *statement, int column);
char *ph_column_path (PhStatement *statement, int column);
void ph_column_bytes (PhStatement *statement, int column, void *out, size_t len);
GBytes *ph_column_gbytes (PhStatement *statement, int column);

#define PH_STORE_TRANSFER_COLUMNS                                                                  \
  "id, peer, peer_name, incoming, state, files, bytes, bytes_done, title, destination, code, "     \
  "message, path, rate, position, created_at, finished_at, missed, hidden"
#define PH_STORE_TRANSFER_N_COLUMNS 19
PhStoreTransfer *ph_store_transfer_from_row (PhStatement *statement);
/* Within a transaction: takes everything from finished transfers but what answers their senders. As
 * ph_store_forget(), but that none is no error. */
bool ph_store_hide (PhStore *self, const uint8_t *id, const uint8_t *peer, GError **error);
/* After a transaction that deleted what nobody is to read any more: the write-ahead log still has it. */
void ph_store_wipe_log (PhStore *self);

/* Brings the database from whatever version it has to ph_store_schema_version(). */
bool ph_store_migrate (PhStore *self, GError **error);
