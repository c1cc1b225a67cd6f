/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where a transfer's bytes come from and go to, as the session core sees it.
 *
 * A *source* reads what is sent, a *sink* writes what is received. The real ones (ph-file-source.c,
 * ph-file-sink.c) work on threads of their own; the simulator's live in memory. Both are polled: when
 * something is there they call the `ready` function they were made with (on any thread; the driver
 * brings it to the engine thread), and the owner then polls until there is no more.
 *
 * All functions here are called on the engine thread and return at once. */

#pragma once

#include "app/engine/ph-manifest.h"
#include "net/base/ph-buf.h"

#define PH_SHA256_LEN 32

/* What went wrong with a file, for the person who can act on it. */
typedef enum {
  PH_STORAGE_OK,
  PH_STORAGE_VANISHED, /* a source file is gone */
  PH_STORAGE_CHANGED, /* a source file changed while it was sent, or since the offer */
  PH_STORAGE_UNREADABLE, /* no permission, or not a regular file any more */
  PH_STORAGE_NO_SPACE, /* disk full or quota */
  PH_STORAGE_UNWRITABLE, /* folder read-only, revoked, unplugged */
  PH_STORAGE_REFUSED, /* a name that must not be written */
  PH_STORAGE_MISMATCH, /* the bytes are not what the sender's digest says */
  PH_STORAGE_IO, /* anything else the system said */
  /* From here on: a sink's, and never said to a peer. */
  PH_STORAGE_DISK, /* the disk does not answer: pulled, or broken */
  PH_STORAGE_PROFILE_FULL, /* how far it got cannot be noted: no room in the profile */
  PH_STORAGE_PROFILE, /* likewise: the profile's database cannot be read or written */
} PhStorageError;

/* Whether a person can mend it at the receiver, so that what has arrived is worth keeping until then. */
static inline bool
ph_storage_error_stalls (PhStorageError error)
{
  return error == PH_STORAGE_NO_SPACE || error == PH_STORAGE_UNWRITABLE || error == PH_STORAGE_DISK
         || error == PH_STORAGE_PROFILE_FULL || error == PH_STORAGE_PROFILE;
}

/* What the receiver has: every file below `file` is complete; of `file`
 * itself the first `offset` bytes, whose SHA-256 is `prefix_sha256`. */
typedef struct {
  uint32_t file;
  uint64_t offset;
  uint8_t prefix_sha256[PH_SHA256_LEN]; /* meaningful if offset > 0 */
} PhResumePoint;

/* --- Source ------------------------------------------------------------------------------------- */

typedef enum {
  PH_SOURCE_WAIT, /* nothing yet: `ready` will be called */
  PH_SOURCE_CHUNK, /* a chunk */
  PH_SOURCE_END, /* all files are through */
  PH_SOURCE_ERROR, /* `error` about `file`; the source has stopped */
} PhSourceResult;

/* Bytes of one file in order. The last chunk of a file has `end` and the SHA-256 of the whole file
 * (computed from the bytes sent, and for a resume from the prefix too); an empty file is one empty
 * chunk with `end`. Folders are never in chunks. */
typedef struct {
  uint32_t file; /* index in the manifest */
  uint64_t offset;
  PhBufSlice data; /* owned by the taker */
  bool end;
  uint8_t sha256[PH_SHA256_LEN];
  PhStorageError error;
  char message[160]; /* for the person: what the system said and about what */
} PhSourceChunk;

typedef struct _PhSource PhSource;

typedef struct {
  void (*free) (PhSource *self);
  /* Throws away what was read ahead and goes on from `point`: files before point->file are skipped. If the
   * prefix of point->file is another, the source starts that file at offset 0 (the first chunk's offset
   * tells), or its digest will not be what the receiver gets. NULL: from the beginning. */
  void (*seek) (PhSource *self, const PhResumePoint *point);
  PhSourceResult (*take) (PhSource *self, PhSourceChunk *ret_chunk);
} PhSourceClass;

struct _PhSource {
  const PhSourceClass *klass;
};

/* --- Sink --------------------------------------------------------------------------------------- */

typedef enum {
  PH_SINK_WRITTEN, /* `bytes` more are written and released: give the sender credit */
  PH_SINK_DURABLE, /* everything up to `point` is synced and committed */
  PH_SINK_RESTART, /* `point.file` failed its check and starts again at 0: ask the sender. What is
                     * written until resume_point() is asked is dropped (and credited) */
  PH_SINK_FINISHED, /* every file is in its final place, synced, committed: the receipt may go out */
  PH_SINK_ERROR, /* `error`, `message`; nothing more is written */
} PhSinkEventType;

typedef struct {
  PhSinkEventType type;
  uint64_t bytes;
  PhResumePoint point;
  PhStorageError error;
  char message[160];
} PhSinkEvent;

typedef struct _PhSink PhSink;

typedef struct {
  /* Stops the workers and frees; partial files stay for a later resume. */
  void (*free) (PhSink *self);
  /* Where the receiver stands, for a resume: asked on a new link, after which the bytes that come
   * start at this point. Writes queued before are finished or dropped first. */
  void (*resume_point) (PhSink *self, PhResumePoint *ret_point);
  /* Bytes of `file`, at its current end: offset must continue where the last write ended, files come in
   * manifest order, and offset 0 of the current file starts it again (the sender's copy of the prefix
   * differed). Anything else, or a byte past the announced size: the peer broke the protocol, and
   * false is returned. Takes the reference in any case. */
  bool (*write) (PhSink *self, uint32_t file, uint64_t offset, PhBufSlice data);
  /* All bytes of `file` were given; its SHA-256 must be this. False as for write. */
  bool (*end_file) (PhSink *self, uint32_t file, const uint8_t sha256[PH_SHA256_LEN]);
  /* All files have ended: sync, rename, commit, then PH_SINK_FINISHED. */
  bool (*finish) (PhSink *self);
  /* Removes the partial files of an unfinished transfer (cancelled, or given up). */
  void (*discard) (PhSink *self);
  bool (*poll_event) (PhSink *self, PhSinkEvent *ret_event);
} PhSinkClass;

struct _PhSink {
  const PhSinkClass *klass;
};
