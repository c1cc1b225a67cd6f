/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file system under a sink: the partial folder, what is in it, and the way to its final place.
 *
 * All functions that can fail return false (or -1) and fill `failure`. One thread at a time uses a tree,
 * except that the functions marked "any thread" touch nothing that changes. */

#pragma once

#include "app/engine/ph-safe-name.h"
#include "app/engine/ph-storage.h"
#include "app/store/ph-store-transfers.h"

typedef struct {
  PhStorageError error;
  uint32_t entry; /* what it was about; PH_MANIFEST_TOP: the folder */
  char message[160];
} PhSinkFailure;

typedef struct {
  PhManifest *manifest;
  char *folder; /* for messages */
  char part_name[64];
  PhSafeNames *names; /* NULL before _open() */
  int dest_fd; /* -1 likewise */
  int part_fd;
  bool found; /* the partial folder was there before */
  uint32_t dir; /* the folder that dir_fd is; PH_MANIFEST_TOP: none is open */
  int dir_fd;
} PhSinkTree;

void ph_sink_tree_init (PhSinkTree *self, PhManifest *manifest, const char *folder,
                        const uint8_t transfer[PH_STORE_TRANSFER_LEN]);
void ph_sink_tree_clear (PhSinkTree *self);

/* Opens the destination and makes the partial folder, or takes the one that is there if it is ours.
 * With `make` false nothing is made: part_fd stays -1 where there is none. */
bool ph_sink_tree_open (PhSinkTree *self, bool make, PhSinkFailure *failure);
/* Whether `bytes` more fit. */
bool ph_sink_tree_check_space (PhSinkTree *self, uint64_t bytes, PhSinkFailure *failure);

/* A new empty file; a leftover of ours under its name goes. */
int ph_sink_tree_create (PhSinkTree *self, uint32_t entry, PhSinkFailure *failure);
/* The file that is there, to read and write; -1 without a failure if there is none to be trusted. */
int ph_sink_tree_reopen (PhSinkTree *self, uint32_t entry);
bool ph_sink_tree_make_folder (PhSinkTree *self, uint32_t entry, PhSinkFailure *failure);
/* Whether the entry is there as it must be when it is complete. */
bool ph_sink_tree_is_complete (PhSinkTree *self, uint32_t entry);
/* Gives folders the times of the manifest: last, since files that come change them. */
void ph_sink_tree_set_folder_times (PhSinkTree *self);

/* Makes durable, any thread: one file's data, or one folder's list of names (PH_MANIFEST_TOP: the partial
 * folder's own), or everything on the file system. */
bool ph_sink_tree_sync_entry (const PhSinkTree *self, uint32_t entry, PhSinkFailure *failure);
bool ph_sink_tree_sync_all (const PhSinkTree *self, PhSinkFailure *failure);
bool ph_sink_tree_sync_destination (const PhSinkTree *self, PhSinkFailure *failure);

/* Names for the top-level entries that are free now; of PhStoreName, where they differ from the
 * manifest's. */
GPtrArray *ph_sink_tree_choose_names (const PhSinkTree *self);
/* Moves every top-level entry to its name in `names` (or its own), or to the next free one, and notes that
 * in `names`. `again`: what is not there was moved before a crash. Then removes the partial folder. */
bool ph_sink_tree_place (PhSinkTree *self, GPtrArray *names, bool again, PhSinkFailure *failure);
/* Removes what this transfer made, as far as it is there: all, or all but the partial folder itself. */
void ph_sink_tree_empty (PhSinkTree *self);
void ph_sink_tree_remove (PhSinkTree *self);

/* Fills `failure` about `entry` from errno. Always false. */
bool ph_sink_tree_fail (const PhSinkTree *self, PhSinkFailure *failure, uint32_t entry,
                        const char *format, int errnum);
