/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Transfers, both ways: what they consist of, how far they are, how they ended.
 *
 * A row lives from the offer until the person clears it from the history. While a transfer is
 * unfinished its row, manifest, roots and checkpoint are all that is needed to go on after a crash. */

#pragma once

#include "app/store/ph-store.h"

#define PH_STORE_TRANSFER_LEN 16
#define PH_STORE_SHA256_LEN 32

/* The numbers are on disk: never change one. */
typedef enum {
  PH_STORE_HELD = -1, /* queued, and stopped by a person */
  PH_STORE_QUEUED = 0, /* waits for the other one to be there */
  PH_STORE_OFFERED = 1, /* waits for an answer (sent), or for the person (received) */
  PH_STORE_ACTIVE = 2, /* accepted; on its way, or interrupted and to be resumed */
  PH_STORE_PAUSED = 3, /* accepted; stopped by a person */
  PH_STORE_DELIVERED = 4, /* from here on: finished */
  PH_STORE_FAILED = 5,
  PH_STORE_DECLINED = 6,
  PH_STORE_CANCELLED = 7,
} PhStoreState;

static inline bool
ph_store_state_is_finished (PhStoreState state)
{
  return state >= PH_STORE_DELIVERED;
}

typedef struct {
  uint8_t id[PH_STORE_TRANSFER_LEN];
  uint8_t peer[PH_STORE_KEY_LEN];
  char *peer_name; /* as it was called then: the contact may be gone */
  bool incoming;
  PhStoreState state;
  uint32_t files;
  uint64_t bytes;
  uint64_t bytes_done; /* what the receiver has made durable, as far as is known here */
  char *title; /* for lists: the first top-level names, parted by '/' */
  char *destination; /* incoming, once accepted: absolute folder; else NULL */
  char *code; /* finished: "" or the stable code of what went wrong; else NULL */
  char *message; /* finished: the sentence that goes with it, or NULL */
  char *path; /* finished: "lan", "udp", "tcp" or "relay", or NULL */
  uint64_t rate; /* finished: bytes a second, 0 unknown */
  bool missed; /* incoming, cancelled: ended before this person answered */
  bool hidden; /* finished; not listed, only kept to answer its sender */
  bool has_roots; /* it can be sent again; read by ph_store_list_history() only */
  char *words; /* for searches: folded names, one a line; written, not read back */
  int64_t position; /* order of the queue towards a peer: lower goes first */
  int64_t created_at;
  int64_t finished_at; /* 0: not yet */
} PhStoreTransfer;

void ph_store_transfer_free (PhStoreTransfer *transfer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhStoreTransfer, ph_store_transfer_free)

/* Adds a transfer with its encoded manifest (NULL: an offer that nobody has accepted yet has none) and,
 * outgoing, the roots (ph-scan.h: one absolute path for every top-level entry of the manifest; NULL if
 * incoming). transfer->position 0 means: last. */
bool ph_store_add_transfer (PhStore *self, const PhStoreTransfer *transfer, GBytes *manifest,
                            const char *const *roots, GError **error);

typedef enum { PH_STORE_UNFINISHED, PH_STORE_FINISHED, PH_STORE_ALL } PhStoreWhich;

/* An offer that was added without its manifest is accepted: PH_STORE_ACTIVE, into `destination`. */
bool ph_store_accept_offer (PhStore *self, const uint8_t id[PH_STORE_TRANSFER_LEN],
                            const char *destination, GBytes *manifest, GError **error);

/* Unfinished ones in queue order, then finished ones newest first; `limit` 0: all. Hidden ones are not
 * listed. */
GPtrArray *
ph_store_list_transfers (PhStore *self, PhStoreWhich which, unsigned limit, GError **error);
/* NULL without an error: there is none. */
PhStoreTransfer *
ph_store_get_transfer (PhStore *self, const uint8_t id[PH_STORE_TRANSFER_LEN], GError **error);
/* NULL if there is none. */
GBytes *
ph_store_get_manifest (PhStore *self, const uint8_t id[PH_STORE_TRANSFER_LEN], GError **error);
/* Free with g_strfreev(). */
char **ph_store_get_roots (PhStore *self, const uint8_t id[PH_STORE_TRANSFER_LEN], GError **error);

/* To an unfinished state; `destination` may be NULL to leave it as it is. */
bool ph_store_set_state (PhStore *self, const uint8_t id[PH_STORE_TRANSFER_LEN], PhStoreState state,
                         const char *destination, GError **error);
bool ph_store_set_bytes_done (PhStore *self, const uint8_t id[PH_STORE_TRANSFER_LEN],
                              uint64_t bytes_done, GError **error);
bool ph_store_set_position (PhStore *self, const uint8_t id[PH_STORE_TRANSFER_LEN],
                            int64_t position, GError **error);

typedef struct {
  PhStoreState state; /* a finished one */
  const char *code;
  const char *message;
  const char *path;
  uint64_t rate;
  uint64_t bytes_done;
  int64_t finished_at;
  GBytes *receipt; /* kept PH_STORE_RECEIPT_DAYS to answer resumes; NULL: none */
  bool missed;
  /* Leave no trace: names, files and times go. What is left, hidden, for PH_STORE_RECEIPT_DAYS, is what
   * answers the sender: the receipt, or whose transfer it was and that it ended. */
  bool traceless;
} PhStoreResult;

/* Ends a transfer, once: a second call with the transfer finished already changes nothing and returns
 * true. The checkpoint goes, the receipt comes, all in one transaction. The roots stay, so that it can be
 * sent again. */
bool ph_store_finish_transfer (PhStore *self, const uint8_t id[PH_STORE_TRANSFER_LEN],
                               const PhStoreResult *result, GError **error);
/* NULL: none, or expired. */
GBytes *ph_store_get_receipt (PhStore *self, const uint8_t id[PH_STORE_TRANSFER_LEN], int64_t now,
                              GError **error);
/* Forgets a transfer altogether. The receipt stays until it expires: the other side may still ask. */
bool
ph_store_remove_transfer (PhStore *self, const uint8_t id[PH_STORE_TRANSFER_LEN], GError **error);

/* --- History ------------------------------------------------------------------------------------- */

/* What to list. Zeros and NULLs mean: everything. */
typedef struct {
  const uint8_t *peer; /* PH_STORE_KEY_LEN */
  const char *const *words; /* folded; all must be there */
  bool missed_only;
  unsigned limit;
  /* Only what comes after this row. */
  int64_t before_at;
  const uint8_t *before_id; /* PH_STORE_TRANSFER_LEN */
} PhStoreHistoryQuery;

/* Finished transfers that are not hidden, newest first. */
GPtrArray *ph_store_list_history (PhStore *self, const PhStoreHistoryQuery *query, GError **error);
/* Forgets finished transfers: one, or with NULL all of `peer`, or with NULL all. What answers the sender
 * stays, as with PhStoreResult.traceless. PH_STORE_ERROR_MISSING if the one is not there. */
bool ph_store_forget (PhStore *self, const uint8_t *id, const uint8_t *peer, GError **error);
/* Of `peer`, keeps only the newest `keep` missed offers. */
bool ph_store_trim_missed (PhStore *self, const uint8_t peer[PH_STORE_KEY_LEN], unsigned keep,
                           GError **error);

/* --- Checkpoints of incoming transfers ----------------------------------------------------------- */

/* nettle's SHA-256 context in a fixed form: see ph-sha256.h. */
#define PH_STORE_SHA_STATE_LEN 112

typedef enum {
  PH_STORE_RECEIVING = 0, /* files below `file` are whole and synced, `file` up to `offset` */
  PH_STORE_PLACING = 1, /* all is whole and synced; files are being moved to their names */
  PH_STORE_PLACED = 2, /* all is in its place and synced */
} PhStoreStage;

typedef struct {
  PhStoreStage stage;
  uint32_t file; /* index in the manifest */
  uint64_t offset;
  uint8_t sha_state[PH_STORE_SHA_STATE_LEN]; /* of the first `offset` bytes of `file` */
  /* What the partial file looked like when it was synced: if it looks the same on resume, nobody else
   * has written to it. */
  uint64_t part_inode;
  int64_t part_mtime_ns;
  uint64_t disk; /* the file system that it is on, see ph-sink-tree.h; 0: not known */
  /* Digests of the files that ended since the last checkpoint, 32 bytes for each entry (zeros for a
   * folder) from entry `digests_first` on. Borrowed by the call; not filled in by _get. */
  uint32_t digests_first;
  const uint8_t *digests;
  uint32_t n_digests;
  /* PLACING and PLACED: the names that top-level entries get (or got) in the destination folder, where
   * they differ from the manifest. Borrowed by the call. */
  const GPtrArray *names; /* of PhStoreName; NULL: leaves them */
} PhStoreCheckpoint;

typedef struct {
  uint32_t entry; /* index in the manifest */
  char *name;
} PhStoreName;

PhStoreName *ph_store_name_new (uint32_t entry, const char *name);
void ph_store_name_free (PhStoreName *name);

/* Replaces the transfer's checkpoint. */
bool ph_store_put_checkpoint (PhStore *self, const uint8_t id[PH_STORE_TRANSFER_LEN],
                              const PhStoreCheckpoint *checkpoint, GError **error);
/* *ret_found says whether there is one; false only on error. */
bool ph_store_get_checkpoint (PhStore *self, const uint8_t id[PH_STORE_TRANSFER_LEN],
                              PhStoreCheckpoint *ret_checkpoint, bool *ret_found, GError **error);
/* Of PhStoreName, by entry. */
GPtrArray *
ph_store_get_names (PhStore *self, const uint8_t id[PH_STORE_TRANSFER_LEN], GError **error);
/* Outgoing: digests of entries from `first` on, 32 bytes each, as they were sent. */
bool ph_store_put_digests (PhStore *self, const uint8_t id[PH_STORE_TRANSFER_LEN], uint32_t first,
                           const uint8_t *digests, uint32_t n_digests, GError **error);
/* 32 bytes for each manifest entry so far, in order. Kept with the history. */
GBytes *
ph_store_get_digests (PhStore *self, const uint8_t id[PH_STORE_TRANSFER_LEN], GError **error);
