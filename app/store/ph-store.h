/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What Porthole remembers: one SQLite database in the profile's folder.
 *
 * WAL with synchronous=FULL: when a function that writes has returned true, the change survives a power
 * cut. One connection behind a mutex, so every function may be called on any thread; each is one
 * transaction of its own. Whoever is waiting for an answer on the engine thread keeps its calls few:
 * a commit is an fsync. Checkpoints are committed by the sinks' own threads.
 *
 * Ownership: what goes in is copied. Rows come out as structs (freed with their _free function) or as
 * GPtrArrays of them that free their elements. Times are seconds since 1970 (wall clock), given by the
 * caller. Errors are PH_STORE_ERROR with a sentence for the person.
 *
 * Related: ph-store-contacts.h, ph-store-transfers.h. */

#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define PH_STORE_KEY_LEN 32

typedef enum {
  PH_STORE_ERROR_NEWER, /* made by a newer Porthole: nothing was touched */
  PH_STORE_ERROR_CORRUPT, /* not a database, or a damaged one */
  PH_STORE_ERROR_NO_SPACE, /* disk full or quota */
  PH_STORE_ERROR_UNWRITABLE, /* the profile's folder cannot be used */
  PH_STORE_ERROR_EXISTS, /* a row with this key is there already */
  PH_STORE_ERROR_MISSING, /* the row to be changed is not there */
  PH_STORE_ERROR_IO, /* anything else that SQLite said */
} PhStoreError;

#define PH_STORE_ERROR (ph_store_error_quark ())
GQuark ph_store_error_quark (void);

typedef struct _PhStore PhStore;

/* Opens PROFILE_DIR/porthole.db; makes the folder (0700) and the file (0600) where missing, and tightens
 * the modes of what is there. Brings an earlier version's database up to date. NULL on error. The
 * profile's lock is the caller's business: two processes may open one store and stay consistent. */
PhStore *ph_store_open (const char *profile_dir, GError **error);
/* Closes and frees; NULL is fine. No other thread uses the store any more. */
void ph_store_close (PhStore *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhStore, ph_store_close)

/* The version of the schema that this build writes. */
int ph_store_schema_version (void);

/* --- Settings ----------------------------------------------------------------------------------- */

/* The value, to be freed, or NULL if it is not set. Which keys exist is the caller's business. */
char *ph_store_get_setting (PhStore *self, const char *key);
/* NULL unsets. */
bool ph_store_set_setting (PhStore *self, const char *key, const char *value, GError **error);

/* --- Open invitations --------------------------------------------------------------------------- */

#define PH_STORE_LOOKUP_MAX 64
#define PH_STORE_SECRET_LEN 16

typedef struct {
  char *lookup; /* what the meeting point knows the invitation by */
  uint8_t secret[PH_STORE_SECRET_LEN];
  char *rendezvous;
  char *name; /* what the new contact is to be called; may be empty */
  int64_t created_at;
  int64_t expires_at;
} PhStoreInvitation;

void ph_store_invitation_free (PhStoreInvitation *invitation);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhStoreInvitation, ph_store_invitation_free)

bool ph_store_add_invitation (PhStore *self, const PhStoreInvitation *invitation, GError **error);
/* Those that have not expired at `now`, oldest first. */
GPtrArray *ph_store_list_invitations (PhStore *self, int64_t now, GError **error);
/* Removes the invitation; *ret_was_there says whether this call did it: of two acceptances that race
 * one wins. */
bool
ph_store_take_invitation (PhStore *self, const char *lookup, bool *ret_was_there, GError **error);

/* A finished transfer answers resumes for so long (design.md part 4). */
#define PH_STORE_RECEIPT_DAYS 30

/* Of transfers with more files the list of files is kept PH_STORE_RECEIPT_DAYS only: 100,000 files are
 * 10 MB. */
#define PH_STORE_LISTED_FILES 1000

/* Forgets what has had its time: expired invitations and receipts; of transfers that ended more than
 * PH_STORE_RECEIPT_DAYS ago what is hidden, and the manifests and digests of large ones. Called at start
 * and daily. */
bool ph_store_expire (PhStore *self, int64_t now, GError **error);
