/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a transfer consists of: a flat list of files and folders, parents before children.
 *
 * A manifest is made by the sender from what the person chose, and read by the receiver from bytes that
 * nobody vouches for: ph_manifest_decode() accepts only what ph_manifest_encode() could have made,
 * within the limits below. Names are then made safe by ph-safe-name.h: a manifest that was decoded is
 * well formed, not yet trusted. Immutable once built; references may cross threads. */

#pragma once

#include "net/base/ph-bytes.h"

#include <glib.h>

/* A home folder with its caches has some 10^6 entries; more is a mistake or an attack. */
#define PH_MANIFEST_ENTRIES_MAX 1000000u
/* The encoded form: about 60 bytes an entry. Bounds what a peer can make us hold. */
#define PH_MANIFEST_BYTES_MAX (64u << 20)
/* Linux' PATH_MAX less room for the download folder; depth follows from it. */
#define PH_MANIFEST_PATH_MAX 3072u
#define PH_MANIFEST_DEPTH_MAX 128u
/* One part of a path. Linux allows 255 bytes; other systems 255 UTF-16 units, which are up to 765. */
#define PH_MANIFEST_NAME_MAX 1020u
/* All paths together. The encoded form names parents by number, so that without this bound 64 MiB of it
 * could unfold to gigabytes; a real tree of 10^6 entries has about 100 MB. */
#define PH_MANIFEST_PATHS_MAX (256u << 20)
/* No file system has larger files; sums stay below 2^63 with PH_MANIFEST_TOTAL_MAX. */
#define PH_MANIFEST_FILE_MAX (UINT64_C (1) << 60)
#define PH_MANIFEST_TOTAL_MAX (UINT64_C (1) << 62)

/* Some 34,000 years: what is beyond is not a time. */
#define PH_MANIFEST_MTIME_MAX (INT64_C (1) << 40)

typedef enum { PH_ENTRY_FILE = 0, PH_ENTRY_FOLDER = 1 } PhEntryKind;

typedef struct {
  PhEntryKind kind;
  uint64_t size; /* 0 for a folder */
  int64_t mtime_s; /* seconds since 1970; 0 unknown, or beyond PH_MANIFEST_MTIME_MAX either way */
  const char *path; /* relative, '/' between parts, valid UTF-8 as sent; owned by the manifest */
} PhEntry;

typedef struct _PhManifest PhManifest;

PhManifest *ph_manifest_ref (PhManifest *self);
void ph_manifest_unref (PhManifest *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhManifest, ph_manifest_unref)

uint32_t ph_manifest_len (const PhManifest *self);
const PhEntry *ph_manifest_entry (const PhManifest *self, uint32_t index);
/* Index of the folder that the entry is in; PH_MANIFEST_TOP: it is a top-level entry. */
#define PH_MANIFEST_TOP UINT32_MAX
uint32_t ph_manifest_parent (const PhManifest *self, uint32_t index);
/* The last part of the entry's path, and of any other. */
const char *ph_manifest_name (const PhManifest *self, uint32_t index);
const char *ph_path_name (const char *path);
/* Sum of the sizes; number of files (without folders). */
uint64_t ph_manifest_bytes (const PhManifest *self);
uint32_t ph_manifest_files (const PhManifest *self);
/* SHA-256 of the encoded form: names the manifest in resumes. */
const uint8_t *ph_manifest_digest (const PhManifest *self);

/* Building, on the sending side. Every folder is an entry of its own and is added before what is in it.
 * ph_manifest_builder_add() returns false (and changes nothing) past a limit, for a path that is not
 * well formed, was added before, or whose parent is not a folder that was added. _end() frees the
 * builder. */
typedef struct _PhManifestBuilder PhManifestBuilder;

PhManifestBuilder *ph_manifest_builder_new (void);
bool ph_manifest_builder_add (PhManifestBuilder *self, PhEntryKind kind, const char *path,
                              uint64_t size, int64_t mtime_s);
PhManifest *ph_manifest_builder_end (PhManifestBuilder *self);
void ph_manifest_builder_free (PhManifestBuilder *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhManifestBuilder, ph_manifest_builder_free)

/* The wire form (docs/protocol.md). Decoding returns NULL for anything malformed, out of limits, with an
 * entry twice, or with a file used as a folder. There is one encoding of each manifest, so both sides
 * have the same digest. */
GBytes *ph_manifest_encode (const PhManifest *self);
PhManifest *ph_manifest_decode (PhSlice bytes);
