/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file system under a sink: the partial folder, what is in it, and the way to its final place.
 *
 * All functions that can fail return false (or -1) and fill `failure`. One thread at a time uses a tree,
 * except that the functions marked "any thread" touch nothing that changes. */

#pragma once

#include "app/engine/ph-safe-name.h"
#include "app/engine/ph-storage.h"
#include "app/store/ph-store-transfers.h"

#include <sys/stat.h>

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
  uint64_t
      disk; /* which file system that is, the same after it was mounted again; 0: cannot be told */
  uint64_t disk_wanted; /* where the partial folder was made; 0: not known. Set before _open() */
  uint32_t dir; /* the folder that dir_fd is; PH_MANIFEST_TOP: none is open */
  int dir_fd;
  uint8_t *where; /* by ph_sink_tree_look_all(); see ph-sink-place.c */
} PhSinkTree;

/* What a look found. Only THERE and MISSING are answers; UNKNOWN comes with a failure: the disk was pulled, the
 * folder is closed. */
typedef enum { PH_SINK_THERE, PH_SINK_MISSING, PH_SINK_UNKNOWN } PhSinkLook;

void ph_sink_tree_init (PhSinkTree *self, PhManifest *manifest, const char *folder,
                        const uint8_t transfer[PH_STORE_TRANSFER_LEN]);
void ph_sink_tree_clear (PhSinkTree *self);

/* Opens the destination and makes the partial folder, or takes the one that is there if it is ours.
 * With `make` false nothing is made: part_fd stays -1 where there is none. PH_STORAGE_DISK: it was made on
 * another disk than the one that is there, and is not there: what is there may be the empty folder that a
 * drive is mounted on. */
bool ph_sink_tree_open (PhSinkTree *self, bool make, PhSinkFailure *failure);
/* Whether `bytes` more fit. */
bool ph_sink_tree_check_space (PhSinkTree *self, uint64_t bytes, PhSinkFailure *failure);

/* A new empty file; a leftover of ours under its name goes. */
int ph_sink_tree_create (PhSinkTree *self, uint32_t entry, PhSinkFailure *failure);
/* The file that is there, to read and write. MISSING: there is none to be trusted. */
PhSinkLook
ph_sink_tree_reopen (PhSinkTree *self, uint32_t entry, int *ret_fd, PhSinkFailure *failure);
bool ph_sink_tree_make_folder (PhSinkTree *self, uint32_t entry, PhSinkFailure *failure);
/* Whether the entry is in the partial folder as it must be when it is complete: its kind and its size. */
PhSinkLook ph_sink_tree_look (PhSinkTree *self, uint32_t entry, PhSinkFailure *failure);
/* The same for what was found elsewhere; `st` NULL: errno says why not. */
PhSinkLook ph_sink_tree_judge (const PhSinkTree *self, uint32_t entry, const struct stat *st,
                               PhSinkFailure *failure);
/* Gives folders the times of the manifest: last, since files that come change them. */
void ph_sink_tree_set_folder_times (PhSinkTree *self);

/* Makes durable, any thread: one file's data, or one folder's list of names (PH_MANIFEST_TOP: the partial
 * folder's own), or everything on the file system. */
bool ph_sink_tree_sync_entry (const PhSinkTree *self, uint32_t entry, PhSinkFailure *failure);
bool ph_sink_tree_sync_all (const PhSinkTree *self, PhSinkFailure *failure);
bool ph_sink_tree_sync_destination (const PhSinkTree *self, PhSinkFailure *failure);

/* --- Placing: ph-sink-place.c --- */

/* Names for the top-level entries that are free now; of PhStoreName, where they differ from the
 * manifest's. */
GPtrArray *ph_sink_tree_choose_names (const PhSinkTree *self);
/* Looks where every top-level entry is, whole: in the partial folder or, with `names`, at the place that was
 * chosen for it. MISSING: one is at neither; `failure` says which. */
PhSinkLook ph_sink_tree_look_all (PhSinkTree *self, const GPtrArray *names, PhSinkFailure *failure);
/* After that: what has a place already comes back into the partial folder, durably, if nobody has touched it
 * since. What somebody has touched stays theirs. */
bool ph_sink_tree_take_back (PhSinkTree *self, const GPtrArray *names, PhSinkFailure *failure);

typedef enum {
  PH_SINK_PLACE_DONE,
  PH_SINK_PLACE_TAKEN, /* a name is taken: another one is in `names`, to be committed before the next call */
  PH_SINK_PLACE_FAILED,
} PhSinkPlace;

/* After ph_sink_tree_look_all(): moves every top-level entry that is in the partial folder to its name in
 * `names` (or its own). Nothing is ever replaced. */
PhSinkPlace ph_sink_tree_place (PhSinkTree *self, GPtrArray *names, PhSinkFailure *failure);
/* After that, and after ph_sink_tree_sync_destination(): removes the partial folder. Not before, since nobody
 * promises that a power cut takes the moves only together with the removal. */
void ph_sink_tree_clean_up (PhSinkTree *self);

/* Removes what this transfer made, as far as it is there: all, or all but the partial folder itself. */
void ph_sink_tree_empty (PhSinkTree *self);
void ph_sink_tree_remove (PhSinkTree *self);
/* The descriptor that is kept for the next entry. */
void ph_sink_tree_close_dir (PhSinkTree *self);

/* Fills `failure` about `entry` from errno. Always false. */
bool ph_sink_tree_fail (const PhSinkTree *self, PhSinkFailure *failure, uint32_t entry,
                        const char *format, int errnum);
