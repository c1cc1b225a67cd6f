/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The syncer: sync, then commit, then tell. */

#include "config.h"

#include "app/engine/ph-confine.h"
#include "app/engine/ph-file-sink-private.h"
#include "app/engine/ph-storage-private.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* So often somebody else may take a name between the choice and the move. */
#define NAMES_TAKEN_MAX 100u

PhSinkJob *
ph_sink_job_new (uint32_t digests_first)
{
  PhSinkJob *job = g_new0 (PhSinkJob, 1);

  job->digests = g_byte_array_new ();
  job->created = g_array_new (FALSE, FALSE, sizeof (uint32_t));
  job->checkpoint.digests_first = digests_first;
  return job;
}

void
ph_sink_job_free (PhSinkJob *job)
{
  if (job == NULL)
    return;
  g_byte_array_unref (job->digests);
  g_array_unref (job->created);
  g_free (job);
}

/* The file that the last checkpoint had the first part of, if it has ended since: it is not new. */
static bool
sync_ended (PhFileSink *self, const PhSinkJob *job, PhSinkFailure *failure)
{
  const uint32_t first = job->checkpoint.digests_first;

  if (first >= job->checkpoint.file
      || ph_manifest_entry (self->manifest, first)->kind != PH_ENTRY_FILE
      || (job->created->len > 0 && g_array_index (job->created, uint32_t, 0) == first))
    return true;
  return ph_sink_tree_sync_entry (&self->tree, first, failure);
}

/* The new entries, then the folders that got new names, each once. */
static bool
sync_each (PhFileSink *self, const PhSinkJob *job, PhSinkFailure *failure)
{
  uint32_t folders[PH_FILE_SINK_SYNC_EACH_MAX];
  guint n_folders = 0;

  if (!sync_ended (self, job, failure))
    return false;
  for (guint i = 0; i < job->created->len; i++) {
    const uint32_t entry = g_array_index (job->created, uint32_t, i);
    const uint32_t parent = ph_manifest_parent (self->manifest, entry);
    guint seen = 0;

    /* The one that is being written is synced below, as far as it is part of the checkpoint. */
    if (entry < job->checkpoint.file && !ph_sink_tree_sync_entry (&self->tree, entry, failure))
      return false;
    while (seen < n_folders && folders[seen] != parent)
      seen++;
    if (seen == n_folders)
      folders[n_folders++] = parent;
  }
  for (guint i = 0; i < n_folders; i++)
    if (!ph_sink_tree_sync_entry (&self->tree, folders[i], failure))
      return false;
  return job->checkpoint.offset == 0
         || ph_sink_tree_sync_entry (&self->tree, job->checkpoint.file, failure);
}

/* What the partial file looks like, synced: how a later resume knows that nobody else wrote to it. */
static void
note_part (PhFileSink *self, PhStoreCheckpoint *checkpoint)
{
  const char *path;
  struct stat st;
  int fd;

  if (checkpoint->offset == 0)
    return;
  path = ph_safe_names_path (self->tree.names, checkpoint->file);
  fd = path != NULL ? ph_open_inside (self->tree.part_fd, path, O_PATH | O_NOFOLLOW, 0) : -1;
  if (fd < 0)
    return;
  if (fstat (fd, &st) == 0) {
    checkpoint->part_inode = st.st_ino;
    checkpoint->part_mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
  }
  close (fd);
}

static PhStorageError
journal_error (const GError *error)
{
  if (error == NULL || error->domain != PH_STORE_ERROR)
    return PH_STORAGE_PROFILE;
  switch ((PhStoreError)error->code) {
  case PH_STORE_ERROR_NO_SPACE:
    return PH_STORAGE_PROFILE_FULL;
  case PH_STORE_ERROR_MISSING: /* the transfer was forgotten: there is nothing to go on with */
  case PH_STORE_ERROR_EXISTS:
    return PH_STORAGE_IO;
  case PH_STORE_ERROR_NEWER:
  case PH_STORE_ERROR_CORRUPT:
  case PH_STORE_ERROR_UNWRITABLE:
  case PH_STORE_ERROR_IO:
    return PH_STORAGE_PROFILE;
  }
  return PH_STORAGE_PROFILE;
}

static bool
commit (PhFileSink *self, const PhStoreCheckpoint *checkpoint)
{
  g_autoptr (GError) error = NULL;
  PhSinkFailure failure = {.entry = PH_MANIFEST_TOP};

  if (self->journal.commit (self->journal.user, checkpoint, &error)) {
    self->committed = true;
    return true;
  }
  failure.error = journal_error (error);
  ph_storage_say (failure.message, "%s", error != NULL ? error->message : "?", 0);
  ph_file_sink_fail (self, &failure);
  return false;
}

/* To their places: intended names are committed first, so that a crash in between is understood. So is
 * another one, where somebody was faster with the name. */
static bool
move_all (PhFileSink *self, PhStoreCheckpoint *checkpoint)
{
  PhSinkFailure failure;
  PhSinkPlace result;

  for (unsigned again = 0;; again++) {
    result = ph_sink_tree_place (&self->tree, self->names, &failure);
    if (result != PH_SINK_PLACE_TAKEN || again == NAMES_TAKEN_MAX)
      break;
    checkpoint->stage = PH_STORE_PLACING;
    if (!commit (self, checkpoint))
      return false;
  }
  if (result != PH_SINK_PLACE_DONE || !ph_sink_tree_sync_destination (&self->tree, &failure)) {
    ph_file_sink_fail (self, &failure);
    return false;
  }
  ph_sink_tree_clean_up (&self->tree);
  checkpoint->stage = PH_STORE_PLACED;
  return commit (self, checkpoint);
}

static void
place (PhFileSink *self, const PhSinkJob *job)
{
  PhStoreCheckpoint checkpoint = job->checkpoint;

  checkpoint.n_digests = 0;
  checkpoint.names = self->names;
  if (!move_all (self, &checkpoint))
    return;
  g_mutex_lock (&self->lock);
  self->placed = true;
  g_mutex_unlock (&self->lock);
  if (self->ready != NULL)
    self->ready (self->user);
}

/* The last time that all of it can be looked at in one place: the partial folder is open to whoever owns
 * it. */
static bool
choose_places (PhFileSink *self)
{
  PhSinkFailure failure;

  if (ph_sink_tree_look_all (&self->tree, NULL, &failure) != PH_SINK_THERE) {
    ph_file_sink_fail (self, &failure);
    return false;
  }
  g_clear_pointer (&self->names, g_ptr_array_unref);
  self->names = ph_sink_tree_choose_names (&self->tree);
  return true;
}

static void
run_job (PhFileSink *self, PhSinkJob *job)
{
  PhStoreCheckpoint *checkpoint = &job->checkpoint;
  PhSinkEvent event = {.type = PH_SINK_DURABLE};
  PhSinkFailure failure;

  if (!job->place_again) {
    const bool synced =
        job->many ? ph_sink_tree_sync_all (&self->tree, &failure) : sync_each (self, job, &failure);

    /* The first time the partial folder's own name. */
    if (!synced || (!self->dest_synced && !ph_sink_tree_sync_destination (&self->tree, &failure))) {
      ph_file_sink_fail (self, &failure);
      return;
    }
    self->dest_synced = true;
    if (!job->unread)
      note_part (self, checkpoint);
    checkpoint->digests = job->digests->data;
    checkpoint->n_digests = job->digests->len / PH_STORE_SHA256_LEN;
    if (job->last) {
      if (!choose_places (self))
        return;
      checkpoint->stage = PH_STORE_PLACING;
      checkpoint->names = self->names;
    }
    if (!commit (self, checkpoint))
      return;
    if (job->unread)
      return;

    event.point.file = checkpoint->file;
    event.point.offset = checkpoint->offset;
    if (checkpoint->offset > 0) {
      struct sha256_ctx sha;

      g_assert (ph_sha256_load (checkpoint->sha_state, checkpoint->offset, &sha));
      ph_sha256_peek (&sha, event.point.prefix_sha256);
    }
    ph_file_sink_event (self, &event);
  }
  if (job->last)
    place (self, job);
}

/* Before the first job, when the destination is open. Without the journal's folder it could not commit. */
static void
confine_syncer (PhFileSink *self)
{
  int folders[] = {self->tree.dest_fd, -1};
  const char *journal = self->journal.folder;

  if (self->confined || self->tree.dest_fd < 0)
    return;
  self->confined = true;
  if (journal != NULL)
    folders[1] = open (journal, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (journal == NULL || folders[1] >= 0)
    ph_confine_thread (folders, journal != NULL ? 2 : 1);
  if (folders[1] >= 0)
    close (folders[1]);
}

/* Failed before anything was durable. Which disk that was is to be known when it is tried again. */
static void
note_disk (PhFileSink *self)
{
  PhStoreCheckpoint checkpoint = {.stage = PH_STORE_RECEIVING, .disk = self->tree.disk};
  struct sha256_ctx sha;

  if (self->tree.disk == 0)
    return;
  sha256_init (&sha);
  ph_sha256_save (&sha, checkpoint.sha_state);
  commit (self, &checkpoint);
}

gpointer
ph_file_sink_syncer (gpointer data)
{
  PhFileSink *self = data;

  g_mutex_lock (&self->lock);
  for (;;) {
    while (self->job == NULL && !self->syncer_quit)
      g_cond_wait (&self->job_ready, &self->lock);
    if (self->job == NULL)
      break;

    PhSinkJob *job = self->job;

    g_mutex_unlock (&self->lock);
    confine_syncer (self);
    run_job (self, job);
    ph_sink_job_free (job);
    g_mutex_lock (&self->lock);
    self->job = NULL;
    g_cond_broadcast (&self->work);
  }

  const bool failed = self->failed;

  g_mutex_unlock (&self->lock);
  confine_syncer (self);
  if (self->remove)
    ph_sink_tree_remove (&self->tree);
  else if (failed && !self->resumed && !self->committed && self->tree.part_fd >= 0)
    note_disk (self);
  return NULL;
}
