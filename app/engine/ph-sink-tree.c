/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "config.h"

#include "app/engine/ph-sink-tree.h"

#include "app/engine/ph-storage-private.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gi18n-lib.h>
#include <linux/magic.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Kept free beyond the files' bytes: for their names, folders and the rounding to blocks. */
#define SPACE_MARGIN (1u << 20)

void
ph_sink_tree_init (PhSinkTree *self, PhManifest *manifest, const char *folder,
                   const uint8_t transfer[PH_STORE_TRANSFER_LEN])
{
  size_t at;

  *self = (PhSinkTree){.dest_fd = -1, .part_fd = -1, .dir = PH_MANIFEST_TOP, .dir_fd = -1};
  self->manifest = ph_manifest_ref (manifest);
  self->folder = g_strdup (folder);
  at = g_strlcpy (self->part_name, ".porthole-", sizeof self->part_name);
  sodium_bin2hex (self->part_name + at, sizeof self->part_name - at, transfer,
                  PH_STORE_TRANSFER_LEN);
  at += 2 * PH_STORE_TRANSFER_LEN;
  g_strlcpy (self->part_name + at, ".part", sizeof self->part_name - at);
}

void
ph_sink_tree_close_dir (PhSinkTree *self)
{
  if (self->dir != PH_MANIFEST_TOP)
    close (self->dir_fd);
  self->dir = PH_MANIFEST_TOP;
}

void
ph_sink_tree_clear (PhSinkTree *self)
{
  ph_sink_tree_close_dir (self);
  if (self->part_fd >= 0)
    close (self->part_fd);
  if (self->dest_fd >= 0)
    close (self->dest_fd);
  g_clear_pointer (&self->names, ph_safe_names_free);
  g_clear_pointer (&self->where, g_free);
  ph_manifest_unref (self->manifest);
  g_free (self->folder);
}

bool
ph_sink_tree_fail (const PhSinkTree *self, PhSinkFailure *failure, uint32_t entry,
                   const char *format, int errnum)
{
  const char *name =
      entry == PH_MANIFEST_TOP ? self->folder : ph_manifest_entry (self->manifest, entry)->path;

  failure->error = ph_storage_write_error (errnum);
  failure->entry = entry;
  ph_storage_say (failure->message, format, name, errnum);
  return false;
}

/* --- Opening ------------------------------------------------------------------------------------- */

/* The partial folder must be a folder, ours, and closed to others: in a shared folder anybody could have
 * put something under its name. */
static bool
open_part (PhSinkTree *self)
{
  struct stat st;

  self->part_fd =
      openat (self->dest_fd, self->part_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (self->part_fd < 0)
    return false;
  if (fstat (self->part_fd, &st) == 0 && st.st_uid == geteuid ())
    return true;
  close (self->part_fd);
  self->part_fd = -1;
  errno = EACCES;
  return false;
}

/* Whether this file system takes names that differ only in case for one. */
static bool
folds_case (const PhSinkTree *self)
{
  g_autofree char *upper = g_ascii_strup (self->part_name, -1);
  struct stat a, b;

  return fstatat (self->dest_fd, upper, &a, AT_SYMLINK_NOFOLLOW) == 0
         && fstat (self->part_fd, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* The id that the file system says it has, and of which kind it is, for those that say none. What is kept in memory
 * is not there any more after the computer was started again: it is no disk to wait for. */
static uint64_t
disk_of (int fd)
{
  struct statfs st;
  uint64_t id;

  if (fstatfs (fd, &st) != 0 || st.f_type == TMPFS_MAGIC || st.f_type == RAMFS_MAGIC)
    return 0;
  G_STATIC_ASSERT (sizeof id == sizeof st.f_fsid);
  memcpy (&id, &st.f_fsid, sizeof id);
  return id ^ ((uint64_t)st.f_type * 0x9e3779b97f4a7c15);
}

/* Only where the partial folder is missing it matters which disk this is: a drive may have got another id. */
static bool
is_other_disk (const PhSinkTree *self)
{
  struct stat st;

  return self->disk != 0 && self->disk_wanted != 0 && self->disk != self->disk_wanted
         && fstatat (self->dest_fd, self->part_name, &st, AT_SYMLINK_NOFOLLOW) != 0
         && errno == ENOENT;
}

bool
ph_sink_tree_open (PhSinkTree *self, bool make, PhSinkFailure *failure)
{
  self->dest_fd = open (self->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (self->dest_fd < 0)
    return ph_sink_tree_fail (self, failure, PH_MANIFEST_TOP, _ ("Cannot open the folder “%s”"),
                              errno);
  self->disk = disk_of (self->dest_fd);
  if (is_other_disk (self)) {
    ph_sink_tree_fail (self, failure, PH_MANIFEST_TOP, _ ("The disk of “%s” is not connected"), 0);
    failure->error = PH_STORAGE_DISK;
    return false;
  }
  self->found = !make || mkdirat (self->dest_fd, self->part_name, 0700) != 0;
  if (make && self->found && errno != EEXIST)
    return ph_sink_tree_fail (self, failure, PH_MANIFEST_TOP, _ ("Cannot write to the folder “%s”"),
                              errno);
  if (!open_part (self)) {
    if (!make && errno == ENOENT)
      return true;
    return ph_sink_tree_fail (self, failure, PH_MANIFEST_TOP, _ ("Cannot write to the folder “%s”"),
                              errno);
  }
  self->names = ph_safe_names_new (self->manifest, folds_case (self));
  return true;
}

bool
ph_sink_tree_check_space (PhSinkTree *self, uint64_t bytes, PhSinkFailure *failure)
{
  struct statvfs st;

  /* Some network and FUSE file systems do not say. */
  if (fstatvfs (self->dest_fd, &st) != 0 || st.f_blocks == 0)
    return true;
  if (bytes == 0 || (uint64_t)st.f_bavail >= (bytes + SPACE_MARGIN) / st.f_frsize + 1)
    return true;

  failure->error = PH_STORAGE_NO_SPACE;
  failure->entry = PH_MANIFEST_TOP;
  ph_storage_say (failure->message, _ ("There is not enough room in “%s”"), self->folder, 0);
  return false;
}

/* --- Inside the partial folder ------------------------------------------------------------------- */

/* The folder that `entry` is in, as a descriptor that stays the tree's; -1 and errno. */
static int
parent_fd (PhSinkTree *self, uint32_t entry)
{
  const uint32_t parent = ph_manifest_parent (self->manifest, entry);
  const char *path;

  if (parent == PH_MANIFEST_TOP)
    return self->part_fd;
  if (parent == self->dir)
    return self->dir_fd;
  ph_sink_tree_close_dir (self);
  path = ph_safe_names_path (self->names, parent);
  if (path == NULL) {
    errno = ENAMETOOLONG;
    return -1;
  }
  self->dir_fd = ph_open_inside (self->part_fd, path, O_RDONLY | O_DIRECTORY, 0);
  if (self->dir_fd < 0)
    return -1;
  self->dir = parent;
  return self->dir_fd;
}

/* The last part of the entry's safe path; NULL and errno if that is too long. */
static const char *
safe_base (const PhSinkTree *self, uint32_t entry)
{
  const char *path = ph_safe_names_path (self->names, entry);

  if (path == NULL) {
    errno = ENAMETOOLONG;
    return NULL;
  }
  return ph_path_name (path);
}

int
ph_sink_tree_create (PhSinkTree *self, uint32_t entry, PhSinkFailure *failure)
{
  const int dir = parent_fd (self, entry);
  const char *name = dir >= 0 ? safe_base (self, entry) : NULL;
  int fd = -1;

  for (int attempt = 0; name != NULL && fd < 0 && attempt < 2; attempt++) {
    fd = ph_open_inside (dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0666);
    if (fd < 0 && (errno != EEXIST || attempt > 0 || unlinkat (dir, name, 0) != 0))
      break;
  }
  if (fd < 0)
    ph_sink_tree_fail (self, failure, entry, _ ("Cannot write “%s”"), errno);
  return fd;
}

/* Whether the errno means that it is not there, or not as we made it. Anything else says nothing of what is
 * there: a disk that was pulled, a folder that is closed. */
static bool
is_gone (int errnum)
{
  return errnum == ENOENT || errnum == ENOTDIR || errnum == ELOOP || errnum == EXDEV;
}

PhSinkLook
ph_sink_tree_reopen (PhSinkTree *self, uint32_t entry, int *ret_fd, PhSinkFailure *failure)
{
  const int dir = parent_fd (self, entry);
  const char *name = dir >= 0 ? safe_base (self, entry) : NULL;
  struct stat st;
  int fd = -1;

  if (name != NULL)
    fd = ph_open_inside (dir, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0);
  if (fd < 0) {
    if (is_gone (errno) || errno == EISDIR)
      return PH_SINK_MISSING;
    ph_sink_tree_fail (self, failure, entry, _ ("Cannot write “%s”"), errno);
    return PH_SINK_UNKNOWN;
  }
  /* A second name would let somebody else's file be written through ours. */
  if (fstat (fd, &st) != 0 || !S_ISREG (st.st_mode) || st.st_nlink > 1) {
    close (fd);
    return PH_SINK_MISSING;
  }
  *ret_fd = fd;
  return PH_SINK_THERE;
}

bool
ph_sink_tree_make_folder (PhSinkTree *self, uint32_t entry, PhSinkFailure *failure)
{
  const int dir = parent_fd (self, entry);
  const char *name = dir >= 0 ? safe_base (self, entry) : NULL;
  struct stat st;

  if (name != NULL && mkdirat (dir, name, 0777) == 0)
    return true;
  if (name != NULL && errno == EEXIST && fstatat (dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0
      && S_ISDIR (st.st_mode))
    return true;
  return ph_sink_tree_fail (self, failure, entry, _ ("Cannot make the folder “%s”"), errno);
}

PhSinkLook
ph_sink_tree_judge (const PhSinkTree *self, uint32_t entry, const struct stat *st,
                    PhSinkFailure *failure)
{
  const PhEntry *wanted = ph_manifest_entry (self->manifest, entry);
  bool ok;

  if (st == NULL) {
    if (is_gone (errno))
      return PH_SINK_MISSING;
    ph_sink_tree_fail (self, failure, entry, _ ("Cannot look at “%s”"), errno);
    return PH_SINK_UNKNOWN;
  }
  ok = wanted->kind == PH_ENTRY_FOLDER
           ? S_ISDIR (st->st_mode)
           : S_ISREG (st->st_mode) && (uint64_t)st->st_size == wanted->size;
  return ok ? PH_SINK_THERE : PH_SINK_MISSING;
}

PhSinkLook
ph_sink_tree_look (PhSinkTree *self, uint32_t entry, PhSinkFailure *failure)
{
  const int dir = parent_fd (self, entry);
  const char *name = dir >= 0 ? safe_base (self, entry) : NULL;
  struct stat st;
  PhSinkLook look;

  if (name == NULL || fstatat (dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
    return ph_sink_tree_judge (self, entry, NULL, failure);
  look = ph_sink_tree_judge (self, entry, &st, failure);
  /* As in ph_sink_tree_reopen(). */
  return look == PH_SINK_THERE && S_ISREG (st.st_mode) && st.st_nlink > 1 ? PH_SINK_MISSING : look;
}

void
ph_sink_tree_set_folder_times (PhSinkTree *self)
{
  for (uint32_t i = ph_manifest_len (self->manifest); i-- > 0;) {
    const PhEntry *entry = ph_manifest_entry (self->manifest, i);
    const struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = entry->mtime_s}};

    if (entry->kind != PH_ENTRY_FOLDER || entry->mtime_s == 0)
      continue;

    const int dir = parent_fd (self, i);
    const char *name = dir >= 0 ? safe_base (self, i) : NULL;

    /* A time that cannot be set is no reason to lose a file. */
    if (name != NULL && utimensat (dir, name, times, AT_SYMLINK_NOFOLLOW) != 0)
      errno = 0;
  }
}

/* --- Making durable ------------------------------------------------------------------------------ */

bool
ph_sink_tree_sync_entry (const PhSinkTree *self, uint32_t entry, PhSinkFailure *failure)
{
  const char *path = entry == PH_MANIFEST_TOP ? "." : ph_safe_names_path (self->names, entry);
  const bool folder = entry == PH_MANIFEST_TOP
                      || ph_manifest_entry (self->manifest, entry)->kind == PH_ENTRY_FOLDER;
  int fd = -1;
  bool ok = false;

  errno = ENAMETOOLONG;
  if (path != NULL)
    fd = ph_open_inside (self->part_fd, path, O_RDONLY | (folder ? O_DIRECTORY : O_NOFOLLOW), 0);
  if (fd >= 0) {
    ok = (folder ? fsync (fd) : fdatasync (fd)) == 0;
    if (!ok)
      ph_sink_tree_fail (self, failure, entry, _ ("Cannot write “%s” to the disk"), errno);
    close (fd);
    return ok;
  }
  return ph_sink_tree_fail (self, failure, entry, _ ("Cannot write “%s” to the disk"), errno);
}

bool
ph_sink_tree_sync_all (const PhSinkTree *self, PhSinkFailure *failure)
{
  return syncfs (self->part_fd) == 0
         || ph_sink_tree_fail (self, failure, PH_MANIFEST_TOP, _ ("Cannot write “%s” to the disk"),
                               errno);
}

bool
ph_sink_tree_sync_destination (const PhSinkTree *self, PhSinkFailure *failure)
{
  return fsync (self->dest_fd) == 0
         || ph_sink_tree_fail (self, failure, PH_MANIFEST_TOP, _ ("Cannot write “%s” to the disk"),
                               errno);
}

/* --- Removing ------------------------------------------------------------------------------------ */

void
ph_sink_tree_empty (PhSinkTree *self)
{
  for (uint32_t i = ph_manifest_len (self->manifest); i-- > 0;) {
    const bool folder = ph_manifest_entry (self->manifest, i)->kind == PH_ENTRY_FOLDER;
    const int dir = parent_fd (self, i);
    const char *name = dir >= 0 ? safe_base (self, i) : NULL;

    if (name != NULL)
      unlinkat (dir, name, folder ? AT_REMOVEDIR : 0);
  }
  ph_sink_tree_close_dir (self);
}

void
ph_sink_tree_remove (PhSinkTree *self)
{
  if (self->part_fd < 0)
    return;
  ph_sink_tree_empty (self);
  unlinkat (self->dest_fd, self->part_name, AT_REMOVEDIR);
}
