/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "config.h"

#include "app/engine/ph-file-sink.h"

#include "app/engine/ph-file-sink-private.h"
#include "app/engine/ph-storage-private.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gi18n-lib.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* What the end of a file counts for that: opening and closing one costs like writing this. */
#define END_WEIGHT 4096u

/* What a transfer that stopped is tried with: more than what a full disk still finds for a moment. */
#define TRY_BYTES (1u << 20)

uint32_t
ph_file_sink_next_file (const PhManifest *manifest, uint32_t index)
{
  while (index < ph_manifest_len (manifest)
         && ph_manifest_entry (manifest, index)->kind != PH_ENTRY_FILE)
    index++;
  return index;
}

/* --- Events -------------------------------------------------------------------------------------- */

void
ph_file_sink_event (PhFileSink *self, const PhSinkEvent *event)
{
  g_mutex_lock (&self->lock);
  g_array_append_vals (self->events, event, 1);
  g_mutex_unlock (&self->lock);
  if (self->ready != NULL)
    self->ready (self->user);
}

void
ph_file_sink_fail (PhFileSink *self, const PhSinkFailure *failure)
{
  PhSinkEvent event = {.type = PH_SINK_ERROR, .error = failure->error};
  bool first;

  event.point.file = failure->entry == PH_MANIFEST_TOP ? 0 : failure->entry;
  memcpy (event.message, failure->message, sizeof event.message);
  g_mutex_lock (&self->lock);
  first = !self->failed;
  self->failed = true;
  g_cond_broadcast (&self->work);
  g_mutex_unlock (&self->lock);
  if (first)
    ph_file_sink_event (self, &event);
}

static bool
file_sink_poll_event (PhSink *base, PhSinkEvent *ret_event)
{
  PhFileSink *self = (PhFileSink *)base;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  if (self->written > 0) {
    *ret_event = (PhSinkEvent){.type = PH_SINK_WRITTEN, .bytes = self->written};
    self->written = 0;
    return true;
  }
  if (self->events->len > 0) {
    *ret_event = g_array_index (self->events, PhSinkEvent, 0);
    g_array_remove_index (self->events, 0);
    return true;
  }
  if (self->placed && self->finish_asked && !self->failed) {
    *ret_event = (PhSinkEvent){.type = PH_SINK_FINISHED};
    self->finish_asked = false; /* told once */
    return true;
  }
  return false;
}

/* --- What comes ---------------------------------------------------------------------------------- */

/* Takes the reference. */
static void
enqueue (PhFileSink *self, PhSinkItem item, uint64_t weight)
{
  g_mutex_lock (&self->lock);
  if (self->failed) {
    g_mutex_unlock (&self->lock);
    ph_buf_slice_clear (&item.data);
    return;
  }

  const bool was_empty = self->queue->len == 0;
  const bool was_light = self->queue_bytes < PH_FILE_SINK_WAKE_BYTES;

  item.generation = self->generation;
  g_array_append_val (self->queue, item);
  self->queue_bytes += weight;
  if (was_empty || (was_light && self->queue_bytes >= PH_FILE_SINK_WAKE_BYTES))
    g_cond_signal (&self->work);
  g_mutex_unlock (&self->lock);
}

static bool
file_sink_write (PhSink *base, uint32_t file, uint64_t offset, PhBufSlice data)
{
  PhFileSink *self = (PhFileSink *)base;
  const bool restart = file == self->next_file && offset == 0 && self->next_offset > 0;

  if (file >= ph_manifest_len (self->manifest) || file != self->next_file
      || (!restart && offset != self->next_offset)
      || data.len > ph_manifest_entry (self->manifest, file)->size - offset) {
    ph_buf_slice_clear (&data);
    return false;
  }
  self->next_offset = offset + data.len;
  if (data.len == 0 && !restart) {
    ph_buf_slice_clear (&data);
    return true;
  }
  enqueue (self,
           (PhSinkItem){.kind = PH_SINK_ITEM_DATA,
                        .file = file,
                        .offset = offset,
                        .data = data,
                        .restart = restart},
           data.len);
  return true;
}

static bool
file_sink_end_file (PhSink *base, uint32_t file, const uint8_t sha256[PH_SHA256_LEN])
{
  PhFileSink *self = (PhFileSink *)base;

  if (file >= ph_manifest_len (self->manifest) || file != self->next_file
      || self->next_offset != ph_manifest_entry (self->manifest, file)->size)
    return false;
  self->next_file = ph_file_sink_next_file (self->manifest, file + 1);
  self->next_offset = 0;
  enqueue (
      self,
      (PhSinkItem){.kind = PH_SINK_ITEM_END,
                   .file = file,
                   .data = {ph_buf_new_copy (ph_slice (sha256, PH_SHA256_LEN)), 0, PH_SHA256_LEN}},
      END_WEIGHT);
  return true;
}

static bool
file_sink_finish (PhSink *base)
{
  PhFileSink *self = (PhFileSink *)base;

  if (self->next_file < ph_manifest_len (self->manifest))
    return false;
  if (self->finishing)
    return true;
  self->finishing = true;
  enqueue (self, (PhSinkItem){.kind = PH_SINK_ITEM_FINISH, .file = self->next_file},
           PH_FILE_SINK_WAKE_BYTES);
  return true;
}

static void
clear_queue (PhFileSink *self)
{
  for (guint i = 0; i < self->queue->len; i++)
    ph_buf_slice_clear (&g_array_index (self->queue, PhSinkItem, i).data);
  g_array_set_size (self->queue, 0);
  self->queue_bytes = 0;
}

static void
file_sink_resume_point (PhSink *base, PhResumePoint *ret_point)
{
  PhFileSink *self = (PhFileSink *)base;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  /* What the writer is at meanwhile may get further than this: it then skips what comes twice. */
  clear_queue (self);
  self->written = 0;
  self->generation++;
  self->next_file = ph_file_sink_next_file (self->manifest, self->at_file);
  self->next_offset = self->next_file == self->at_file ? self->at_offset : 0;
  self->finishing = false;

  *ret_point = (PhResumePoint){.file = self->next_file, .offset = self->next_offset};
  if (self->next_offset > 0)
    ph_sha256_peek (&self->at_sha, ret_point->prefix_sha256);
}

/* --- Life ---------------------------------------------------------------------------------------- */

static void
file_sink_discard (PhSink *base)
{
  PhFileSink *self = (PhFileSink *)base;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  self->discard = true;
  self->quit = true;
  g_cond_broadcast (&self->work);
}

static void
file_sink_free (PhSink *base)
{
  PhFileSink *self = (PhFileSink *)base;

  g_mutex_lock (&self->lock);
  self->quit = true;
  g_cond_broadcast (&self->work);
  g_mutex_unlock (&self->lock);
  g_thread_join (self->writer); /* which ends the syncer */

  clear_queue (self);
  g_array_unref (self->queue);
  g_array_unref (self->events);
  g_clear_pointer (&self->names, g_ptr_array_unref);
  ph_sink_tree_clear (&self->tree);
  ph_manifest_unref (self->manifest);
  g_free (self->unread);
  g_cond_clear (&self->work);
  g_cond_clear (&self->job_ready);
  g_mutex_clear (&self->lock);
  g_free (self);
}

static const PhSinkClass file_sink_class = {
    .free = file_sink_free,
    .resume_point = file_sink_resume_point,
    .write = file_sink_write,
    .end_file = file_sink_end_file,
    .finish = file_sink_finish,
    .discard = file_sink_discard,
    .poll_event = file_sink_poll_event,
};

/* Takes up what the checkpoint says as far as it makes sense with this manifest. */
static void
take_checkpoint (PhFileSink *self, const PhStoreCheckpoint *checkpoint)
{
  const uint32_t len = ph_manifest_len (self->manifest);

  if (checkpoint == NULL)
    return;
  self->tree.disk_wanted = checkpoint->disk;
  /* No byte of any file: as without one. */
  if (checkpoint->stage == PH_STORE_RECEIVING && checkpoint->offset == 0
      && checkpoint->file <= ph_file_sink_next_file (self->manifest, 0))
    return;
  self->resumed = true;
  self->start = *checkpoint;
  self->start.digests = NULL;
  self->start.n_digests = 0;
  self->start.names = NULL;
  if (checkpoint->stage != PH_STORE_RECEIVING)
    self->start.file = len;
  self->start.file = ph_file_sink_next_file (self->manifest, MIN (self->start.file, len));
  if (self->start.file == len || self->start.file != checkpoint->file
      || checkpoint->offset > ph_manifest_entry (self->manifest, self->start.file)->size
      || !ph_sha256_load (checkpoint->sha_state, checkpoint->offset, &self->at_sha)) {
    self->start.offset = 0;
    sha256_init (&self->at_sha);
  }
  self->at_file = self->start.file;
  self->at_offset = self->start.offset;
}

PhSink *
ph_file_sink_new (const PhFileSinkConfig *config)
{
  PhFileSink *self = g_new0 (PhFileSink, 1);

  self->base.klass = &file_sink_class;
  self->manifest = ph_manifest_ref (config->manifest);
  self->journal = config->journal;
  self->checkpoint_bytes =
      config->checkpoint_bytes != 0 ? config->checkpoint_bytes : PH_FILE_SINK_CHECKPOINT_BYTES;
  self->ready = config->ready;
  self->user = config->user;
  self->unread = g_strdup (config->unread);
  self->names = g_ptr_array_new_with_free_func ((GDestroyNotify)ph_store_name_free);
  for (guint i = 0; config->names != NULL && i < config->names->len; i++) {
    const PhStoreName *name = config->names->pdata[i];

    g_ptr_array_add (self->names, ph_store_name_new (name->entry, name->name));
  }
  ph_sink_tree_init (&self->tree, config->manifest, config->folder, config->transfer);
  g_mutex_init (&self->lock);
  g_cond_init (&self->work);
  g_cond_init (&self->job_ready);
  self->queue = g_array_new (FALSE, FALSE, sizeof (PhSinkItem));
  self->events = g_array_new (FALSE, FALSE, sizeof (PhSinkEvent));
  sha256_init (&self->at_sha);
  take_checkpoint (self, config->checkpoint);
  self->next_file = ph_file_sink_next_file (self->manifest, self->at_file);
  self->next_offset = self->next_file == self->at_file ? self->at_offset : 0;
  self->file = self->at_file;
  self->offset = self->at_offset;
  self->sha = self->at_sha;
  self->fd = -1;
  self->restarted_file = PH_MANIFEST_TOP;
  self->writer = g_thread_new ("ph-writer", ph_file_sink_writer, self);
  return &self->base;
}

/* --- Without a sink ------------------------------------------------------------------------------ */

/* Whether it can be written, and has the room. The tree is open. */
static bool
check_tree (PhSinkTree *tree, uint64_t bytes, PhSinkFailure *failure)
{
  if (faccessat (tree->dest_fd, ".", W_OK | X_OK, AT_EACCESS) != 0)
    return ph_sink_tree_fail (tree, failure, PH_MANIFEST_TOP, _ ("Cannot write to the folder “%s”"),
                              errno);
  return ph_sink_tree_check_space (tree, bytes, failure);
}

PhStorageError
ph_storage_check_folder (const char *folder, uint64_t bytes, uint64_t *ret_free, char message[160])
{
  g_autoptr (PhManifest) none = ph_manifest_builder_end (ph_manifest_builder_new ());
  static const uint8_t no_transfer[PH_STORE_TRANSFER_LEN];
  PhSinkFailure failure = {0};
  PhSinkTree tree;
  struct statvfs st;
  bool ok;

  ph_sink_tree_init (&tree, none, folder, no_transfer);
  ok = ph_sink_tree_open (&tree, false, &failure);
  if (ok && ret_free != NULL)
    *ret_free = fstatvfs (tree.dest_fd, &st) == 0 ? (uint64_t)st.f_bavail * st.f_frsize : 0;
  ok = ok && check_tree (&tree, bytes, &failure);
  ph_sink_tree_clear (&tree);
  if (ok)
    return PH_STORAGE_OK;
  memcpy (message, failure.message, sizeof failure.message);
  return failure.error;
}

/* A quota, or a disk that does not answer, shows with a write only: in a file without a name. */
static bool
try_write (PhSinkTree *tree, uint64_t bytes, PhSinkFailure *failure)
{
  const int fd = openat (tree->part_fd >= 0 ? tree->part_fd : tree->dest_fd, ".",
                         O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
  struct rlimit limit;
  bool ok;

  /* Beyond a limit on the size of files the answer is a signal. */
  if (getrlimit (RLIMIT_FSIZE, &limit) == 0)
    bytes = MIN (bytes, limit.rlim_cur);
  if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT))
    return true; /* not every file system has them */
  ok = fd >= 0
       && (fallocate (fd, 0, 0, (off_t)CLAMP (bytes, 1, TRY_BYTES)) == 0 || errno == EOPNOTSUPP);
  if (!ok)
    ph_sink_tree_fail (tree, failure, PH_MANIFEST_TOP, _ ("Cannot write to the folder “%s”"),
                       errno);
  if (fd >= 0)
    close (fd);
  return ok;
}

PhStorageError
ph_file_sink_check (const char *folder, const uint8_t transfer[PH_STORE_TRANSFER_LEN],
                    uint64_t disk, uint64_t bytes, char message[160])
{
  g_autoptr (PhManifest) none = ph_manifest_builder_end (ph_manifest_builder_new ());
  PhSinkFailure failure = {0};
  PhSinkTree tree;
  bool ok;

  ph_sink_tree_init (&tree, none, folder, transfer);
  tree.disk_wanted = disk;
  ok = ph_sink_tree_open (&tree, false, &failure) && check_tree (&tree, bytes, &failure)
       && try_write (&tree, bytes, &failure);
  ph_sink_tree_clear (&tree);
  if (ok)
    return PH_STORAGE_OK;
  memcpy (message, failure.message, sizeof failure.message);
  return failure.error;
}

void
ph_file_sink_remove_parts (const char *folder, const uint8_t transfer[PH_STORE_TRANSFER_LEN],
                           PhManifest *manifest)
{
  PhSinkTree tree;
  PhSinkFailure failure;

  ph_sink_tree_init (&tree, manifest, folder, transfer);
  if (ph_sink_tree_open (&tree, false, &failure))
    ph_sink_tree_remove (&tree);
  ph_sink_tree_clear (&tree);
}
