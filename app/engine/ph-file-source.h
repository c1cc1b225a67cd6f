/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The source (ph-storage.h) that reads files: a thread that reads ahead into pooled buffers and
 * hashes, bounded by PH_FILE_SOURCE_AHEAD.
 *
 * A resume sends from where the receiver stands without reading a long prefix first: it begins at once, and
 * a thread beside the reader hashes the file meanwhile. What the receiver has of another file's bytes then
 * shows in the digest at the end, and the receiver asks for the file again. A prefix of up to
 * PH_FILE_SOURCE_COMPARE_FIRST is compared before, which costs less than sending the rest in vain.
 *
 * Small files share buffers, one chunk each. Files are opened below their root without following
 * symlinks and are never mapped. A file whose size or time differs from the manifest, or changes while
 * it is read, ends the source with PH_STORAGE_CHANGED: what was offered is not there any more. After
 * an error the source is restarted with seek() or freed. */

#pragma once

#include "app/engine/ph-storage.h"

/* One read; as large as pays. Buffers of the pool have this size. */
#define PH_FILE_SOURCE_CHUNK (256u << 10)
/* Bytes read ahead and not yet taken: what stays in the processor's cache until it is encrypted, and lasts for
 * 8 ms at 1 Gbit/s. Ahead of the disk the kernel reads. What was taken is the session's to bound. */
#define PH_FILE_SOURCE_AHEAD (4u * PH_FILE_SOURCE_CHUNK)
/* Half a second of a disk that turns; nobody waits longer than that for a resume. */
#define PH_FILE_SOURCE_COMPARE_FIRST (64u << 20)

typedef struct {
  PhManifest *manifest; /* a reference is taken */
  /* ph-scan.h: one absolute path for every top-level entry. Copied. */
  const char *const *roots;
  /* Buffers of PH_FILE_SOURCE_CHUNK bytes, shared between sources (a reference is taken); NULL: an
   * own pool. */
  PhBufPool *pool;
  uint64_t compare_first; /* 0: PH_FILE_SOURCE_COMPARE_FIRST; tests want less */
  /* On the reader thread, when take() is worth calling after it has said PH_SOURCE_WAIT. Must not
   * call into the source. */
  void (*ready) (void *user);
  void *user;
} PhFileSourceConfig;

/* Starts reading at once, from the beginning; a seek() right after costs next to nothing. Freeing
 * waits for the read that is under way. */
PhSource *ph_file_source_new (const PhFileSourceConfig *config);
