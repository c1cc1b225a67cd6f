/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The sink (ph-storage.h) that writes files.
 *
 * Where. All of a transfer is built in one folder of its own inside the destination,
 * `.porthole-<id>.part` (0700, made by us alone), under the final, safe names, and its top-level entries
 * are moved to the destination at the very end, without replacing anything: `name (1).ext` where the name
 * is taken. So an incomplete folder is never mistaken for a whole one, 100,000 files cost one rename,
 * and no other user can reach in while it is written. Everything is opened below the folder's own
 * descriptor with openat2 (RESOLVE_BENEATH, NO_SYMLINKS, NO_MAGICLINKS), new files with O_EXCL. Files are
 * 0666 and folders 0777 less the umask; never an exec or setuid bit from a peer. Where the kernel can, the
 * threads are confined besides (ph-confine.h): the one that writes to the partial folder, the one that moves
 * to the destination and the journal's folder.
 *
 * When. A writer thread writes and hashes; a second one makes checkpoints: every
 * PH_FILE_SINK_CHECKPOINT_BYTES or a second, whichever comes first, data is synced (a few files one by
 * one, many with one syncfs), then committed to the journal, then told as PH_SINK_DURABLE. At the end: sync,
 * commit, move, sync the destination, commit, PH_SINK_FINISHED.
 *
 * Resume. With a checkpoint the sink goes on where it was committed. If the partial file does not look
 * as it did then, its prefix is read again, by a thread of its own beside what is written; nothing of that
 * file is told as durable, and it does not end, before it was found right. A difference is told as
 * PH_SINK_RESTART; so is a finished part that is missing, and a file whose digest is wrong at its end (a
 * second time in a row it is PH_SINK_ERROR with PH_STORAGE_MISMATCH). After that event what is written is
 * dropped until resume_point() has been asked, which tells the point of the event. Bytes that were
 * given before resume_point() is asked are not told as PH_SINK_WRITTEN after it.
 *
 * With a checkpoint whose partial folder is missing, on another disk than it was made on, nothing is made
 * either: a drive that is not mounted leaves the folder that it is mounted on. That is PH_SINK_ERROR with
 * PH_STORAGE_DISK until the drive is back.
 *
 * After a crash while things were moved to their places, everything is looked for, by kind and size, in the
 * partial folder and at the place that was chosen for it. If all is there, the rest is moved at once;
 * PH_SINK_FINISHED still waits for finish(). If not (the partial folder was deleted, another disk is mounted
 * there), it is as with any part that is missing; what had a place already, and is as it was put there, is
 * taken back before, so that nothing comes twice.
 *
 * Nothing is made, checked or written before ph_file_sink_new(): a declined offer touches no disk. */

#pragma once

#include "app/engine/ph-storage.h"
#include "app/store/ph-store-transfers.h"

/* What a crash costs at most: sent again. Larger means fewer syncs. */
#define PH_FILE_SINK_CHECKPOINT_BYTES (64u << 20)

/* Where checkpoints are committed: the store, or a test's stand-in. Called on the sink's threads,
 * one call at a time. */
typedef struct {
  bool (*commit) (void *user, const PhStoreCheckpoint *checkpoint, GError **error);
  void *user; /* outlives the sink */
  const char
      *folder; /* the only one that commit() makes or opens files in; NULL: none. Outlives it too */
} PhSinkJournal;

typedef struct {
  PhManifest *manifest; /* a reference is taken */
  const char *folder; /* absolute; exists. Copied */
  uint8_t transfer[PH_STORE_TRANSFER_LEN];
  const PhStoreCheckpoint *checkpoint; /* NULL: from the beginning. Copied */
  const GPtrArray
      *names; /* ph_store_get_names(), for a checkpoint in stage PLACING. Copied; or NULL */
  /* Why neither of the two could be read: the sink fails with it (PH_STORAGE_PROFILE) and touches nothing,
   * rather than start over. Copied; or NULL */
  const char *unread;
  PhSinkJournal journal;
  uint64_t checkpoint_bytes; /* 0: PH_FILE_SINK_CHECKPOINT_BYTES; tests want more of them */
  /* On a thread of the sink, when poll_event() is worth calling. Must not call into the sink. */
  void (*ready) (void *user);
  void *user;
} PhFileSinkConfig;

/* Never fails: what is wrong with the folder (or with the room in it, said before byte one) comes as
 * PH_SINK_ERROR. Freeing waits for the write that is under way, makes a last checkpoint and leaves the
 * partial folder for a later resume. */
PhSink *ph_file_sink_new (const PhFileSinkConfig *config);

/* Whether `bytes` fit below `folder` and it can be written: for asking before an offer is accepted.
 * Writes nothing. `ret_free` (may be NULL) is what an ordinary user has there. `message` as in PhSinkEvent. */
PhStorageError
ph_storage_check_folder (const char *folder, uint64_t bytes, uint64_t *ret_free, char message[160]);

/* Whether a sink that failed could go on: as ph_storage_check_folder() for the `bytes` that are missing, and
 * whether this is the disk that the partial folder was made on (PhStoreCheckpoint.disk), and a file can be
 * written there. Leaves nothing behind. May take long where a disk does not answer. */
PhStorageError
ph_file_sink_check (const char *folder, const uint8_t transfer[PH_STORE_TRANSFER_LEN],
                    uint64_t disk, uint64_t bytes, char message[160]);

/* Removes what an unfinished transfer left in `folder`, for one that has no sink any more. Only names
 * of the manifest go; what somebody else put there stays. */
void ph_file_sink_remove_parts (const char *folder, const uint8_t transfer[PH_STORE_TRANSFER_LEN],
                                PhManifest *manifest);
