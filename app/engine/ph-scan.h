/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From the paths that a person chose to a manifest, on a thread of its own.
 *
 * A chosen path that is a symlink is followed (the person meant what it points at); below, symlinks are
 * not: what they point at was not chosen, and a link means nothing on another computer. They are
 * skipped and listed, as are fifos, sockets, devices, /proc and /sys, names that are not UTF-8 and
 * Porthole's own partial folders. What cannot be read is listed as well: the person decides before
 * the offer goes out. Folders are read in name order, so that the same tree gives the same manifest.
 *
 * Two chosen paths with one base name: the second is offered as `name (1)`; one chosen twice counts once. */

#pragma once

#include "app/engine/ph-manifest.h"

/* More would not be read by anybody. */
#define PH_SCAN_SKIPPED_MAX 1000u

typedef enum {
  PH_SKIP_SYMLINK,
  PH_SKIP_SPECIAL, /* fifo, socket, device */
  PH_SKIP_SYSTEM, /* /proc, /sys */
  PH_SKIP_NAME, /* not valid UTF-8, or too long */
  PH_SKIP_UNREADABLE, /* no permission, or an I/O error */
  PH_SKIP_PART, /* the folder of an unfinished incoming transfer */
} PhSkipReason;

typedef struct {
  char *path; /* absolute; bytes as on disk: show it through ph_display_name() */
  PhSkipReason reason;
  int error; /* errno of PH_SKIP_UNREADABLE */
} PhSkipped;

typedef enum {
  PH_SCAN_OK,
  PH_SCAN_MISSING, /* a chosen path does not exist: `failed_path` */
  PH_SCAN_REFUSED, /* a chosen path is nothing that can be sent, or cannot be read: `failed_path` */
  PH_SCAN_TOO_MANY, /* above the manifest's limits */
  PH_SCAN_CANCELLED,
} PhScanStatus;

typedef struct {
  PhScanStatus status;
  char *failed_path;
  int error; /* errno that goes with failed_path, or 0 */
  PhManifest *manifest; /* PH_SCAN_OK; else NULL */
  char **roots; /* PH_SCAN_OK: one absolute path for every top-level entry, in manifest order */
  GPtrArray *skipped; /* of PhSkipped; never NULL */
  uint32_t n_skipped; /* may exceed PH_SCAN_SKIPPED_MAX, the list does not */
} PhScanResult;

void ph_scan_result_free (PhScanResult *result);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhScanResult, ph_scan_result_free)

typedef struct _PhScan PhScan;

/* Starts at once. `ready` is called exactly once, on the scanning thread, when ph_scan_take() has a
 * result; it must not call into the scan. Relative paths are taken from the current folder. */
PhScan *ph_scan_start (const char *const *paths, void (*ready) (void *user), void *user);
/* The result, owned by the caller, once; NULL before it is there. */
PhScanResult *ph_scan_take (PhScan *self);
/* Entries seen so far, for a progress line. */
uint32_t ph_scan_seen (const PhScan *self);
/* Makes the scan end soon with PH_SCAN_CANCELLED. */
void ph_scan_cancel (PhScan *self);
/* Cancels, waits for the thread and frees. After it `ready` is not called any more. */
void ph_scan_free (PhScan *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhScan, ph_scan_free)

/* The same at once on the calling thread, for tests and for programs with nothing else to do. */
PhScanResult *ph_scan_paths (const char *const *paths);
