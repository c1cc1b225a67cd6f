/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the writer does first: opens the destination, and sets what a checkpoint says against what is
 * there. */

#include "config.h"

#include "app/engine/ph-confine.h"
#include "app/engine/ph-file-sink-private.h"
#include "app/engine/ph-storage-private.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
pass_on (PhFileSink *self, const PhSinkFailure *failure)
{
  ph_file_sink_fail (self, failure);
  return false;
}

static uint64_t
bytes_before (const PhFileSink *self, uint32_t file)
{
  uint64_t bytes = 0;

  for (uint32_t i = 0; i < file; i++)
    bytes += ph_manifest_entry (self->manifest, i)->size;
  return bytes;
}

/* Opens the partial file at its checkpoint. MISSING: it is not what it was. Somebody, or a run that crashed, may
 * have written to it: it is compared while the rest is written. */
static PhSinkLook
take_up_part (PhFileSink *self, PhSinkFailure *failure)
{
  int fd = -1;
  struct stat st;
  const PhSinkLook look = ph_sink_tree_reopen (&self->tree, self->file, &fd, failure);

  if (look != PH_SINK_THERE)
    return look;

  bool ok = fstat (fd, &st) == 0 && (uint64_t)st.st_size >= self->offset;

  if (ok) {
    const int64_t mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    const bool untouched = (uint64_t)st.st_size == self->offset
                           && st.st_ino == self->start.part_inode
                           && mtime_ns == self->start.part_mtime_ns;

    ok = ((uint64_t)st.st_size == self->offset || ftruncate (fd, (off_t)self->offset) == 0)
         && (untouched || ph_file_sink_prefix_start (self, fd));
  }
  if (!ok) {
    close (fd);
    return PH_SINK_MISSING;
  }
  self->fd = fd;
  self->flushed = self->offset;
  return PH_SINK_THERE;
}

/* What a crash left of the current file is not counted on, and must not take up the room. */
static bool
empty_current (PhFileSink *self)
{
  PhSinkFailure failure;
  int fd = -1;

  if (self->file >= ph_manifest_len (self->manifest))
    return true;
  switch (ph_sink_tree_reopen (&self->tree, self->file, &fd, &failure)) {
  case PH_SINK_MISSING:
    return true;
  case PH_SINK_UNKNOWN:
    return pass_on (self, &failure);
  case PH_SINK_THERE:
    break;
  }
  if (ftruncate (fd, 0) != 0)
    errno = 0;
  close (fd);
  return true;
}

/* What comes again has the right size long before it is synced: the checkpoint that counts it as whole goes
 * first. */
static bool
start_over_at (PhFileSink *self, uint32_t entry)
{
  return ph_file_sink_restart_at (self, entry) && ph_file_sink_submit_now (self);
}

/* What the checkpoint says against what is there. What cannot be looked at is not missing: the sink fails,
 * and what the checkpoint says stays for the next one. */
static bool
take_up (PhFileSink *self)
{
  PhSinkFailure failure;
  PhSinkLook look;

  for (uint32_t i = 0; i < self->file; i++) {
    look = ph_sink_tree_look (&self->tree, i, &failure);
    if (look == PH_SINK_UNKNOWN)
      return pass_on (self, &failure);
    if (look == PH_SINK_MISSING)
      return start_over_at (self, i);
  }
  if (self->offset == 0)
    return empty_current (self) && ph_file_sink_advance (self);
  look = take_up_part (self, &failure);
  if (look == PH_SINK_THERE)
    return true;
  if (look == PH_SINK_UNKNOWN)
    return pass_on (self, &failure);
  return ph_file_sink_prefix_is_wrong (self);
}

static bool
check_space (PhFileSink *self)
{
  const uint64_t missing =
      ph_manifest_bytes (self->manifest) - bytes_before (self, self->file) - self->offset;
  PhSinkFailure failure;

  if (ph_sink_tree_check_space (&self->tree, missing, &failure))
    return true;
  self->unneeded = !self->resumed;
  return pass_on (self, &failure);
}

static void
tell_placed (PhFileSink *self)
{
  g_mutex_lock (&self->lock);
  self->placed = true;
  g_mutex_unlock (&self->lock);
}

/* From here on nothing outside of the partial folder is this thread's business. */
static void
confine_writer (PhFileSink *self)
{
  ph_confine_thread (&self->tree.part_fd, 1);
}

/* A crash while things were moved to their places, or after it: only what lies there is counted on. All is
 * there: the rest is moved. Something is not: that and what comes after it is received again. */
static bool
take_up_placing (PhFileSink *self)
{
  PhSinkFailure failure;

  switch (ph_sink_tree_look_all (&self->tree, self->names, &failure)) {
  case PH_SINK_THERE:
    confine_writer (self);
    self->pending->place_again = true;
    ph_file_sink_submit (self, true);
    return true;
  case PH_SINK_UNKNOWN:
    return pass_on (self, &failure);
  case PH_SINK_MISSING:
    break;
  }
  self->start.stage = PH_STORE_RECEIVING;
  if (!ph_sink_tree_take_back (&self->tree, self->names, &failure))
    return pass_on (self, &failure);
  confine_writer (self);
  return take_up (self) && check_space (self);
}

bool
ph_file_sink_prepare (PhFileSink *self)
{
  PhSinkFailure failure = {.error = PH_STORAGE_PROFILE, .entry = PH_MANIFEST_TOP};

  if (self->unread != NULL) {
    ph_storage_say (failure.message, "%s", self->unread, 0);
    return pass_on (self, &failure);
  }
  if (self->resumed && self->start.stage == PH_STORE_PLACED) {
    tell_placed (self);
    return true;
  }
  if (!ph_sink_tree_open (&self->tree, true, &failure))
    return pass_on (self, &failure);
  if (self->resumed && self->start.stage == PH_STORE_PLACING)
    return take_up_placing (self);
  confine_writer (self);
  /* Ended before anything was durable: what is there is not counted on, and must not take up the room. */
  if (!self->resumed && self->tree.found)
    ph_sink_tree_empty (&self->tree);
  if (!(self->resumed ? take_up (self) : check_space (self) && ph_file_sink_advance (self)))
    return false;
  return !self->resumed || check_space (self);
}
