/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The writer: takes what is queued, hashes and writes it, and hands checkpoints to the syncer. */

#include "config.h"

#include "app/engine/ph-file-sink-private.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gi18n-lib.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* Little that is queued waits so long for company: one large write costs less than many small ones, and
 * two milliseconds are nobody's first byte. */
#define GATHER_US 2000
/* See ph-file-sink.h: a checkpoint at least this often while something is written. */
#define CHECKPOINT_US G_USEC_PER_SEC
/* One write: large enough for few system calls, small enough that what was written is still in the cache
 * when it is hashed. */
#define RUN_BYTES (256u << 10)
#define RUN_PIECES 512u
/* What is written is told this often, while there is more of it: a quarter of what a link lets wait, so that the
 * sender has credit again long before the last of it is written. */
#define TELL_BYTES (1u << 20)
/* Writeback is started this far behind, so that a sync finds little left to do. */
#define WRITEBACK_BYTES (8u << 20)

/* Pieces that follow each other in one file. */
typedef struct {
  struct iovec pieces[RUN_PIECES];
  int n;
  size_t bytes;
} Run;

/* --- Small things -------------------------------------------------------------------------------- */

static bool
fail (PhFileSink *self, const char *format, int errnum)
{
  PhSinkFailure failure;

  ph_sink_tree_fail (&self->tree, &failure, self->file, format, errnum);
  ph_file_sink_fail (self, &failure);
  return false;
}

static bool
pass_on (PhFileSink *self, const PhSinkFailure *failure)
{
  ph_file_sink_fail (self, failure);
  return false;
}

/* Until the syncer has nothing to do. */
static void
wait_for_syncer (PhFileSink *self)
{
  g_mutex_lock (&self->lock);
  while (self->job != NULL)
    g_cond_wait (&self->work, &self->lock);
  g_mutex_unlock (&self->lock);
}

static void
note_pending (PhFileSink *self)
{
  if (self->pending_since == 0)
    self->pending_since = g_get_monotonic_time ();
}

static void
note_created (PhFileSink *self, uint32_t entry)
{
  note_pending (self);
  if (self->pending->created->len < PH_FILE_SINK_SYNC_EACH_MAX)
    g_array_append_val (self->pending->created, entry);
  else
    self->pending->many = true;
}

static void
close_file (PhFileSink *self)
{
  ph_file_sink_prefix_end (self);
  if (self->fd >= 0)
    close (self->fd);
  self->fd = -1;
  self->flushed = 0;
}

/* To the next file; folders on the way are made and complete at once. */
bool
ph_file_sink_advance (PhFileSink *self)
{
  static const uint8_t no_digest[PH_STORE_SHA256_LEN];
  PhSinkFailure failure;

  for (; self->file < ph_manifest_len (self->manifest); self->file++) {
    if (ph_manifest_entry (self->manifest, self->file)->kind == PH_ENTRY_FILE)
      break;
    if (!ph_sink_tree_make_folder (&self->tree, self->file, &failure))
      return pass_on (self, &failure);
    note_created (self, self->file);
    g_byte_array_append (self->pending->digests, no_digest, sizeof no_digest);
  }
  self->offset = 0;
  sha256_init (&self->sha);
  return true;
}

static void
publish_position (PhFileSink *self)
{
  self->at_file = self->file;
  self->at_offset = self->offset;
  self->at_sha = self->sha;
}

/* Everything from `entry` on is to come again: what is queued is dropped until the owner has asked where
 * to go on. */
bool
ph_file_sink_restart_at (PhFileSink *self, uint32_t entry)
{
  PhSinkEvent event = {.type = PH_SINK_RESTART};

  wait_for_syncer (self); /* it may be at this very file */
  close_file (self);
  if (entry < self->pending->checkpoint.digests_first) {
    ph_sink_job_free (self->pending);
    self->pending = ph_sink_job_new (entry);
  } else {
    g_byte_array_set_size (self->pending->digests,
                           (entry - self->pending->checkpoint.digests_first) * PH_STORE_SHA256_LEN);
  }
  self->file = entry;
  if (!ph_file_sink_advance (self))
    return false;

  event.point.file = self->file;
  g_mutex_lock (&self->lock);
  self->drop_below = self->generation + 1;
  publish_position (self);
  g_mutex_unlock (&self->lock);
  ph_file_sink_event (self, &event);
  return true;
}

bool
ph_file_sink_prefix_is_wrong (PhFileSink *self)
{
  self->restarted_file = self->file;
  return ph_file_sink_restart_at (self, self->file);
}

/* What was found of the prefix, if it was. False: failed, or (with `wait`) the sink is being freed. */
static bool
settle_prefix (PhFileSink *self, bool wait)
{
  switch (ph_file_sink_prefix_take (self, wait)) {
  case PH_SINK_PREFIX_NONE:
    return true;
  case PH_SINK_PREFIX_READING:
    return !wait;
  case PH_SINK_PREFIX_RIGHT:
    note_pending (self); /* what was committed meanwhile is told with the next checkpoint */
    return true;
  case PH_SINK_PREFIX_WRONG:
    return ph_file_sink_prefix_is_wrong (self);
  }
  g_assert_not_reached ();
}

/* --- Writing ------------------------------------------------------------------------------------- */

static bool
open_current (PhFileSink *self)
{
  PhSinkFailure failure;

  if (self->fd >= 0)
    return true;
  self->fd = ph_sink_tree_create (&self->tree, self->file, &failure);
  if (self->fd < 0)
    return pass_on (self, &failure);
  note_created (self, self->file);
  return true;
}

static bool
write_pieces (PhFileSink *self, struct iovec *pieces, int n)
{
  while (n > 0) {
    const ssize_t got = pwritev (self->fd, pieces, n, (off_t)self->offset);

    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      return fail (self, _ ("Cannot write “%s”"), got < 0 ? errno : EIO);
    self->offset += (uint64_t)got;
    self->pending_bytes += (uint64_t)got;
    for (size_t left = (size_t)got; left > 0;) {
      const size_t step = MIN (left, pieces->iov_len);

      pieces->iov_base = (uint8_t *)pieces->iov_base + step;
      pieces->iov_len -= step;
      left -= step;
      if (pieces->iov_len == 0) {
        pieces++;
        n--;
      }
    }
  }
  return true;
}

static bool
flush (PhFileSink *self, Run *run)
{
  bool ok;

  if (run->n == 0)
    return true;
  struct iovec pieces[RUN_PIECES];

  memcpy (pieces, run->pieces, (size_t)run->n * sizeof pieces[0]);
  ok = open_current (self) && write_pieces (self, pieces, run->n);
  for (int i = 0; ok && i < run->n; i++)
    sha256_update (&self->sha, run->pieces[i].iov_len, run->pieces[i].iov_base);
  run->n = 0;
  run->bytes = 0;
  if (!ok)
    return false;
  note_pending (self);
  if (self->offset - self->flushed >= WRITEBACK_BYTES) {
    sync_file_range (self->fd, (off64_t)self->flushed, (off64_t)(self->offset - self->flushed),
                     SYNC_FILE_RANGE_WRITE);
    self->flushed = self->offset;
  }
  return true;
}

/* The sender's copy of the prefix is another: from 0 again. */
static void
restart_current (PhFileSink *self)
{
  wait_for_syncer (self);
  close_file (self);
  self->offset = 0;
  sha256_init (&self->sha);
  g_mutex_lock (&self->lock);
  publish_position (self);
  g_mutex_unlock (&self->lock);
}

/* The owner asked where to go on just before a file was started over: what comes now belongs behind
 * bytes that are not there. */
static bool
position_is_lost (PhFileSink *self, Run *run)
{
  return flush (self, run) && ph_file_sink_restart_at (self, self->file);
}

static bool
apply_data (PhFileSink *self, const PhSinkItem *item, Run *run)
{
  uint64_t at, skip;

  if (item->file < self->file)
    return true; /* complete, and sent again after resume_point() */
  if (item->restart && item->file == self->file) {
    if (!flush (self, run))
      return false;
    if (self->offset > 0)
      restart_current (self);
  }

  at = self->offset + run->bytes;
  if (item->file > self->file || item->offset > at)
    return position_is_lost (self, run);
  skip = at - item->offset;
  if (skip >= item->data.len)
    return true; /* written before resume_point() told an earlier place */

  run->pieces[run->n].iov_base = item->data.buf->data + item->data.off + skip;
  run->pieces[run->n].iov_len = item->data.len - skip;
  run->bytes += item->data.len - skip;
  run->n++;
  return (run->n < (int)RUN_PIECES && run->bytes < RUN_BYTES) || flush (self, run);
}

static bool
file_is_wrong (PhFileSink *self)
{
  PhSinkFailure failure;

  if (self->restarted_file == self->file) {
    ph_sink_tree_fail (&self->tree, &failure, self->file, _ ("“%s” arrived damaged twice"), 0);
    failure.error = PH_STORAGE_MISMATCH;
    return pass_on (self, &failure);
  }
  self->restarted_file = self->file;
  return ph_file_sink_restart_at (self, self->file);
}

static bool
apply_end (PhFileSink *self, const PhSinkItem *item, Run *run)
{
  const PhEntry *entry = ph_manifest_entry (self->manifest, item->file);
  uint8_t digest[SHA256_DIGEST_SIZE];

  if (item->file < self->file)
    return true;
  if (item->file > self->file || self->offset != entry->size)
    return position_is_lost (self, run);
  if (!settle_prefix (self, true))
    return false;
  if (self->offset != entry->size) /* it begins again */
    return true;
  sha256_digest (&self->sha, sizeof digest, digest);
  if (memcmp (digest, ph_buf_slice_data (&item->data), sizeof digest) != 0)
    return file_is_wrong (self);

  if (!open_current (self)) /* an empty one */
    return false;
  if (entry->mtime_s != 0) {
    const struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = entry->mtime_s}};

    /* A time that cannot be set is no reason to lose a file. */
    if (futimens (self->fd, times) != 0)
      errno = 0;
  }
  close_file (self);
  note_pending (self);
  g_byte_array_append (self->pending->digests, digest, sizeof digest);
  self->file++;
  return ph_file_sink_advance (self);
}

/* --- Checkpoints --------------------------------------------------------------------------------- */

/* Gives the pending job to the syncer, which is idle. */
void
ph_file_sink_submit (PhFileSink *self, bool last)
{
  PhSinkJob *job = self->pending;

  job->checkpoint.stage = PH_STORE_RECEIVING;
  job->checkpoint.file = self->file;
  job->checkpoint.offset = self->offset;
  job->checkpoint.disk = self->tree.disk;
  ph_sha256_save (&self->sha, job->checkpoint.sha_state);
  job->last = last;
  job->unread = self->prefix_reader != NULL;
  self->pending = ph_sink_job_new (self->file);
  self->pending_bytes = 0;
  self->pending_since = 0;
  g_mutex_lock (&self->lock);
  g_assert (self->job == NULL);
  self->job = job;
  g_cond_signal (&self->job_ready);
  g_mutex_unlock (&self->lock);
}

bool
ph_file_sink_submit_now (PhFileSink *self)
{
  g_autoptr (GMutexLocker) locker = NULL;

  ph_file_sink_submit (self, false);
  wait_for_syncer (self);
  locker = g_mutex_locker_new (&self->lock);
  return !self->failed;
}

/* When the pending checkpoint is due; 0: now; G_MAXINT64: it is empty, or waits for the one before.
 * Called with the lock held. */
static gint64
checkpoint_due (const PhFileSink *self)
{
  if (self->job != NULL || self->pending_since == 0)
    return G_MAXINT64;
  return self->pending_bytes >= self->checkpoint_bytes ? 0 : self->pending_since + CHECKPOINT_US;
}

static void
place_all (PhFileSink *self)
{
  g_assert (self->file == ph_manifest_len (self->manifest));
  wait_for_syncer (self);
  ph_sink_tree_set_folder_times (&self->tree);
  ph_file_sink_submit (self, true);
}

/* --- The loop ------------------------------------------------------------------------------------ */

/* Waits for something to do: items (given in `batch`, which is empty), a checkpoint that is due. False:
 * the sink is being freed, or has failed. */
static bool
next_batch (PhFileSink *self, GArray **batch, bool *ret_checkpoint)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  bool gathered = false;

  for (;;) {
    const gint64 now = g_get_monotonic_time ();
    const gint64 due = checkpoint_due (self);

    if (self->quit || self->failed)
      return false;
    *ret_checkpoint = due <= now;
    if (*ret_checkpoint || self->prefix > PH_SINK_PREFIX_READING
        || (self->queue->len > 0 && (gathered || self->queue_bytes >= PH_FILE_SINK_WAKE_BYTES)))
      break;
    if (self->queue->len > 0) {
      g_cond_wait_until (&self->work, &self->lock, now + GATHER_US);
      gathered = true;
    } else if (due != G_MAXINT64) {
      g_cond_wait_until (&self->work, &self->lock, due);
    } else {
      g_cond_wait (&self->work, &self->lock);
    }
  }

  GArray *empty = *batch;

  *batch = self->queue;
  self->queue = empty;
  self->queue_bytes = 0;
  return true;
}

static bool
apply (PhFileSink *self, const PhSinkItem *item, Run *run, bool *ret_finish)
{
  switch (item->kind) {
  case PH_SINK_ITEM_DATA:
    return apply_data (self, item, run);
  case PH_SINK_ITEM_END:
    return flush (self, run) && apply_end (self, item, run);
  case PH_SINK_ITEM_FINISH:
    if (self->file < ph_manifest_len (self->manifest))
      return position_is_lost (self, run);
    *ret_finish = true;
    return true;
  }
  g_assert_not_reached ();
}

/* `bytes` of this generation are dealt with: the owner gets its credit for them. */
static void
tell_written (PhFileSink *self, bool ok, uint64_t bytes, unsigned generation, bool finish)
{
  bool told;

  g_mutex_lock (&self->lock);
  if (ok)
    publish_position (self);

  const bool tell = ok && bytes > 0 && generation == self->generation;

  if (tell)
    self->written += bytes;
  if (finish)
    self->finish_asked = true;
  told = tell || (finish && self->placed);
  g_mutex_unlock (&self->lock);
  if (told && self->ready != NULL)
    self->ready (self->user);
}

static void
drop_items (GArray *batch, guint from, guint to)
{
  for (guint i = from; i < to; i++)
    ph_buf_slice_clear (&g_array_index (batch, PhSinkItem, i).data);
}

/* Works off `batch` and empties it. False: failed. */
static bool
work_off (PhFileSink *self, GArray *batch, bool *ret_finish)
{
  uint64_t bytes = 0;
  unsigned generation = 0;
  guint dropped = 0;
  bool ok = true;
  Run run;

  run.n = 0;
  run.bytes = 0;
  for (guint i = 0; i < batch->len; i++) {
    const PhSinkItem *item = &g_array_index (batch, PhSinkItem, i);

    generation = item->generation;
    if (item->kind == PH_SINK_ITEM_DATA)
      bytes += item->data.len;
    /* Only this thread changes drop_below. It does so with the run written off. */
    if (ok && item->generation >= self->drop_below)
      ok = apply (self, item, &run, ret_finish);
    if (ok && run.n == 0 && bytes >= TELL_BYTES) {
      tell_written (self, ok, bytes, generation, false);
      drop_items (batch, dropped, i + 1);
      dropped = i + 1;
      bytes = 0;
    }
  }
  ok = ok && flush (self, &run);
  drop_items (batch, dropped, batch->len);
  g_array_set_size (batch, 0);
  tell_written (self, ok, bytes, generation, *ret_finish);
  return ok;
}

static void
work (PhFileSink *self)
{
  GArray *batch = g_array_new (FALSE, FALSE, sizeof (PhSinkItem));
  bool placing = self->resumed && self->start.stage != PH_STORE_RECEIVING;
  bool checkpoint, finish;

  while (next_batch (self, &batch, &checkpoint)) {
    finish = false;
    if (!settle_prefix (self, false))
      break;
    if (batch->len > 0 && !work_off (self, batch, &finish))
      break;
    if (finish && !placing) {
      placing = true;
      place_all (self);
    } else if (checkpoint && !placing) {
      ph_file_sink_submit (self, false);
    } else {
      g_mutex_lock (&self->lock);
      checkpoint = checkpoint_due (self) == 0;
      g_mutex_unlock (&self->lock);
      if (checkpoint && !placing)
        ph_file_sink_submit (self, false);
    }
  }
  g_array_unref (batch);

  wait_for_syncer (self);
  g_mutex_lock (&self->lock);
  checkpoint = !self->failed && !self->discard && self->pending_since != 0 && !placing;
  g_mutex_unlock (&self->lock);
  if (checkpoint) {
    ph_file_sink_submit (self, false);
    wait_for_syncer (self);
  }
}

gpointer
ph_file_sink_writer (gpointer data)
{
  PhFileSink *self = data;
  sigset_t signals;

  /* A file size limit is an error to be told, not the end of the process. */
  sigemptyset (&signals);
  sigaddset (&signals, SIGXFSZ);
  pthread_sigmask (SIG_BLOCK, &signals, NULL);

  self->pending = ph_sink_job_new (self->file);
  self->syncer = g_thread_new ("ph-syncer", ph_file_sink_syncer, self);
  if (ph_file_sink_prepare (self))
    work (self);
  close_file (self);

  g_mutex_lock (&self->lock);
  while (!self->quit)
    g_cond_wait (&self->work, &self->lock);
  self->syncer_quit = true;
  self->remove = (self->discard && !self->placed) || self->unneeded;
  g_cond_signal (&self->job_ready);
  g_mutex_unlock (&self->lock);
  g_thread_join (self->syncer);
  g_clear_pointer (&self->pending, ph_sink_job_free);
  return NULL;
}
