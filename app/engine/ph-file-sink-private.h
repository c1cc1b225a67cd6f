/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file sink's inside: its threads and what each of them owns.
 *
 *   engine thread   ph-file-sink.c         checks the order of what comes, queues it
 *   writer          ph-file-sink-writer.c  writes, hashes, decides when a checkpoint is due
 *                   ph-file-sink-take-up.c and before that takes up what an earlier run left
 *   prefix          ph-file-sink-prefix.c  after a crash, for a while: reads again what there is of the file
 *   syncer          ph-file-sink-sync.c    syncs, commits, and at the end moves things to their places, or
 *                                          takes them away
 *
 * Both are confined (ph-confine.h), the writer to the partial folder, the syncer to the destination and the
 * journal's folder. That cannot be taken back, and so they live as long as the sink, which has one destination.
 * The syncer is made before the writer is confined: it would inherit that.
 *
 * The queue is not bounded here: what may be in it is bounded by the flow control of the link, whose
 * credit comes back with PH_SINK_WRITTEN. */

#pragma once

#include "app/engine/ph-file-sink.h"
#include "app/engine/ph-sha256.h"
#include "app/engine/ph-sink-tree.h"

/* New entries of a checkpoint that are synced one by one, with the folders they are in. More are synced
 * with one syncfs: 10,000 fsyncs are 10,000 journal commits. Fewer are not, since syncfs also waits for
 * what all other programs have written to that disk. */
#define PH_FILE_SINK_SYNC_EACH_MAX 16u

/* The writer is woken for so much at once; less waits for company a moment (GATHER_US). */
#define PH_FILE_SINK_WAKE_BYTES (128u << 10)

typedef enum { PH_SINK_ITEM_DATA, PH_SINK_ITEM_END, PH_SINK_ITEM_FINISH } PhSinkItemKind;

typedef struct {
  PhSinkItemKind kind;
  uint32_t file;
  unsigned generation; /* how often resume_point() had been asked */
  bool restart; /* DATA at 0 of a file that had bytes already */
  uint64_t offset;
  PhBufSlice data; /* END: the digest */
} PhSinkItem;

/* What an earlier run left of the current file. */
typedef enum {
  PH_SINK_PREFIX_NONE, /* nothing, or it is as it was left */
  PH_SINK_PREFIX_READING,
  PH_SINK_PREFIX_RIGHT,
  PH_SINK_PREFIX_WRONG,
} PhSinkPrefix;

/* What the syncer does in one go. */
typedef struct {
  PhStoreCheckpoint checkpoint; /* digests: of `digests` */
  GByteArray *digests;
  GArray *created; /* of uint32_t: entries made since the last checkpoint... */
  bool many; /* ...unless there were more than PH_FILE_SINK_SYNC_EACH_MAX */
  bool
      unread; /* the checkpoint's file begins with what was not compared yet: it is committed, but neither told
                * nor trusted by the next run */
  bool last; /* all is there: move it to its place */
  bool place_again; /* likewise, after a crash while that was done: nothing is synced before */
} PhSinkJob;

typedef struct {
  PhSink base;
  PhManifest *manifest;
  PhSinkJournal journal;
  void (*ready) (void *user);
  void *user;
  uint64_t checkpoint_bytes;
  char *unread; /* as in PhFileSinkConfig */
  bool resumed; /* there was a checkpoint */
  PhStoreCheckpoint start; /* which */
  GPtrArray *names; /* of PhStoreName; the syncer's once it runs */
  PhSinkTree tree;
  GThread *writer;
  GThread *syncer;

  /* The engine thread's own: where the next byte must go, and whether all were there. */
  uint32_t next_file;
  uint64_t next_offset;
  bool finishing;

  GMutex lock;
  GCond work; /* for the writer: items, a job that is done, quit */
  GCond job_ready; /* for the syncer */
  /* Guarded by `lock`. */
  bool quit;
  bool discard;
  bool failed;
  GArray *queue; /* of PhSinkItem */
  uint64_t queue_bytes;
  unsigned generation;
  unsigned drop_below; /* items of generations below this are dropped: a file is to come again */
  uint32_t at_file; /* where the writer stood after its last batch */
  uint64_t at_offset;
  struct sha256_ctx at_sha;
  PhSinkJob *job; /* what the syncer is at; NULL: nothing */
  bool syncer_quit;
  bool remove; /* with syncer_quit: what this transfer made, with its folder */
  bool placed;
  bool finish_asked;
  PhSinkPrefix prefix;
  bool prefix_stop;
  uint64_t written; /* to be told */
  GArray *events; /* of PhSinkEvent: all the others */

  /* The syncer's own. */
  bool dest_synced;
  bool committed;
  bool confined;

  /* The writer's own. */
  uint32_t file; /* the first entry that is not complete */
  uint64_t offset;
  struct sha256_ctx sha;
  int fd; /* of `file`, or -1 */
  GThread *prefix_reader; /* NULL: none */
  int prefix_fd; /* its own, and what it looks for: set before it starts */
  uint64_t prefix_len;
  uint8_t prefix_sha256[PH_SHA256_LEN];
  uint64_t flushed; /* writeback of `file` was started up to here */
  uint32_t restarted_file; /* failed its check once already; PH_MANIFEST_TOP: none */
  PhSinkJob *pending; /* the next job in the making */
  uint64_t pending_bytes;
  bool unneeded; /* it never began: its folder goes when the sink does */
  gint64 pending_since; /* monotonic, when it got its first content; 0: empty */
} PhFileSink;

/* The first entry from `index` on that is a file; the length if there is none. */
uint32_t ph_file_sink_next_file (const PhManifest *manifest, uint32_t index);

/* Events, from the sink's threads. _fail() tells only the first failure. */
void ph_file_sink_event (PhFileSink *self, const PhSinkEvent *event);
void ph_file_sink_fail (PhFileSink *self, const PhSinkFailure *failure);

/* The writer's parts; false: failed, or the sink is being freed. */
bool ph_file_sink_prepare (PhFileSink *self);
/* To the next file; folders on the way are made and complete at once. */
bool ph_file_sink_advance (PhFileSink *self);
/* Everything from `entry` on is to come again: what is queued is dropped until the owner has asked where
 * to go on. */
bool ph_file_sink_restart_at (PhFileSink *self, uint32_t entry);
/* What there is of the current file is not what it was: it comes again. Should it arrive damaged then, it is given
 * up. */
bool ph_file_sink_prefix_is_wrong (PhFileSink *self);
/* Gives the pending job to the syncer, which is idle. */
void ph_file_sink_submit (PhFileSink *self, bool last);
/* The same and waits for it, before anything is queued. False: it failed. */
bool ph_file_sink_submit_now (PhFileSink *self);

/* Starts to read the first self->offset bytes of `fd`. False: no descriptor is left. */
bool ph_file_sink_prefix_start (PhFileSink *self, int fd);
/* What was found; with `wait` not READING, unless the sink is being freed. RIGHT and WRONG are told once. */
PhSinkPrefix ph_file_sink_prefix_take (PhFileSink *self, bool wait);
/* It is not needed any more, or the file is closed. */
void ph_file_sink_prefix_end (PhFileSink *self);

gpointer ph_file_sink_writer (gpointer data);
gpointer ph_file_sink_syncer (gpointer data);
PhSinkJob *ph_sink_job_new (uint32_t digests_first);
void ph_sink_job_free (PhSinkJob *job);
