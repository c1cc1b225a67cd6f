/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/engine/ph-scan.h"

#include "app/engine/ph-safe-name.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

struct _PhScan {
  char **paths;
  void (*ready) (void *user);
  void *user;
  GThread *thread;
  GMutex lock;
  PhScanResult *result; /* guarded by `lock` */
  int cancelled; /* atomic */
  uint32_t seen; /* atomic */

  /* The scanning thread's own. */
  PhManifestBuilder *builder;
  PhScanResult *making;
  GStrvBuilder *roots;
  GHashTable *root_set; /* of real paths */
  GString *disk_path; /* where we are, absolute */
  GString *path; /* where we are, in the manifest */
  unsigned depth;
};

static void
skipped_free (PhSkipped *skipped)
{
  g_free (skipped->path);
  g_free (skipped);
}

void
ph_scan_result_free (PhScanResult *result)
{
  if (result == NULL)
    return;
  g_free (result->failed_path);
  ph_manifest_unref (result->manifest);
  g_strfreev (result->roots);
  g_ptr_array_unref (result->skipped);
  g_free (result);
}

/* --- Steps --------------------------------------------------------------------------------------- */

static void
skip (PhScan *self, PhSkipReason reason, int errnum)
{
  PhScanResult *result = self->making;

  result->n_skipped++;
  if (result->skipped->len >= PH_SCAN_SKIPPED_MAX)
    return;

  PhSkipped *skipped = g_new0 (PhSkipped, 1);

  skipped->path = g_strdup (self->disk_path->str);
  skipped->reason = reason;
  skipped->error = errnum;
  g_ptr_array_add (result->skipped, skipped);
}

/* Ends the scan; the first reason counts. Always false. */
static bool
stop (PhScan *self, PhScanStatus status, const char *path, int errnum)
{
  if (self->making->status == PH_SCAN_OK) {
    self->making->status = status;
    self->making->failed_path = g_strdup (path);
    self->making->error = errnum;
  }
  return false;
}

static bool
is_system (int fd)
{
  struct statfs st;

  if (fstatfs (fd, &st) != 0)
    return false;
  switch ((unsigned long)st.f_type) {
  case PROC_SUPER_MAGIC:
  case SYSFS_MAGIC:
  case CGROUP_SUPER_MAGIC:
  case CGROUP2_SUPER_MAGIC:
  case DEBUGFS_MAGIC:
  case TRACEFS_MAGIC:
  case SECURITYFS_MAGIC:
  case DEVPTS_SUPER_MAGIC:
    return true;
  default:
    return false;
  }
}

static bool
is_part (const char *name)
{
  return g_str_has_prefix (name, ".porthole-") && g_str_has_suffix (name, ".part");
}

/* Adds the entry at self->path. False: the scan is over. */
static bool
add (PhScan *self, PhEntryKind kind, const struct stat *st)
{
  if (g_atomic_int_get (&self->cancelled))
    return stop (self, PH_SCAN_CANCELLED, NULL, 0);

  const uint64_t size = kind == PH_ENTRY_FILE ? (uint64_t)st->st_size : 0;

  if (!ph_manifest_builder_add (self->builder, kind, self->path->str, size, st->st_mtim.tv_sec))
    return stop (self, PH_SCAN_TOO_MANY, NULL, 0);
  g_atomic_int_inc (&self->seen);
  return true;
}

static int
by_name (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

/* The names in `dir`, sorted; what cannot be read is skipped. */
static GPtrArray *
read_names (PhScan *self, DIR *dir)
{
  GPtrArray *names = g_ptr_array_new_with_free_func (g_free);

  for (;;) {
    errno = 0;

    const struct dirent *entry = readdir (dir);

    if (entry == NULL) {
      if (errno != 0)
        skip (self, PH_SKIP_UNREADABLE, errno);
      break;
    }
    if (strcmp (entry->d_name, ".") != 0 && strcmp (entry->d_name, "..") != 0)
      g_ptr_array_add (names, g_strdup (entry->d_name));
    if (names->len > PH_MANIFEST_ENTRIES_MAX) {
      stop (self, PH_SCAN_TOO_MANY, NULL, 0);
      break;
    }
  }
  g_ptr_array_sort (names, by_name);
  return names;
}

static bool scan_folder (PhScan *self, int fd);

/* One thing in the folder `dirfd`; self->path and self->disk_path are its own. */
static bool
scan_child (PhScan *self, int dirfd, const char *name)
{
  struct stat st;

  if (fstatat (dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno != ENOENT) /* gone meanwhile: never chosen */
      skip (self, PH_SKIP_UNREADABLE, errno);
    return true;
  }
  if (S_ISLNK (st.st_mode)) {
    skip (self, PH_SKIP_SYMLINK, 0);
    return true;
  }
  if (!S_ISREG (st.st_mode) && !S_ISDIR (st.st_mode)) {
    skip (self, PH_SKIP_SPECIAL, 0);
    return true;
  }
  if (S_ISREG (st.st_mode)) {
    if (faccessat (dirfd, name, R_OK, AT_EACCESS | AT_SYMLINK_NOFOLLOW) != 0) {
      skip (self, PH_SKIP_UNREADABLE, errno);
      return true;
    }
    return add (self, PH_ENTRY_FILE, &st);
  }

  if (is_part (name)) {
    skip (self, PH_SKIP_PART, 0);
    return true;
  }

  const int fd = openat (dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

  if (fd < 0) {
    skip (self, PH_SKIP_UNREADABLE, errno);
    return true;
  }
  if (is_system (fd)) {
    skip (self, PH_SKIP_SYSTEM, 0);
    close (fd);
    return true;
  }
  if (!add (self, PH_ENTRY_FOLDER, &st)) {
    close (fd);
    return false;
  }
  return scan_folder (self, fd);
}

/* What is in the folder at self->path. Takes `fd`. */
static bool
scan_folder (PhScan *self, int fd)
{
  const gsize disk_len = self->disk_path->len;
  const gsize len = self->path->len;
  DIR *dir = fdopendir (fd);
  bool ok = true;

  if (dir == NULL) {
    skip (self, PH_SKIP_UNREADABLE, errno);
    close (fd);
    return true;
  }

  g_autoptr (GPtrArray) names = read_names (self, dir);

  self->depth++;
  for (guint i = 0; ok && i < names->len && self->making->status == PH_SCAN_OK; i++) {
    const char *name = names->pdata[i];

    g_string_append_printf (self->disk_path, "/%s", name);
    g_string_append_printf (self->path, "/%s", name);
    if (!g_utf8_validate (name, -1, NULL) || self->path->len >= PH_MANIFEST_PATH_MAX
        || self->depth >= PH_MANIFEST_DEPTH_MAX)
      skip (self, PH_SKIP_NAME, 0);
    else
      ok = scan_child (self, fd, name);
    g_string_truncate (self->disk_path, disk_len);
    g_string_truncate (self->path, len);
  }
  self->depth--;
  closedir (dir);
  return ok && self->making->status == PH_SCAN_OK;
}

/* --- What was chosen ----------------------------------------------------------------------------- */

/* The name that a chosen path is offered under: its own, valid and unique. */
static char *
root_name (PhScan *self, const char *chosen, PhEntryKind kind, GHashTable *names)
{
  g_autofree char *base = g_path_get_basename (chosen);
  g_autofree char *plain = g_utf8_make_valid (strcmp (base, "/") == 0 ? "root" : base, -1);
  char *name = g_strdup (plain);

  for (unsigned n = 1; g_hash_table_contains (names, name); n++) {
    g_free (name);
    name = ph_safe_name_numbered (plain, kind, n);
  }
  g_hash_table_add (names, g_strdup (name));
  return name;
}

static bool
scan_root (PhScan *self, const char *given, GHashTable *names)
{
  g_autofree char *chosen = g_canonicalize_filename (given, NULL);
  char *resolved = realpath (chosen, NULL);
  g_autofree char *real = g_strdup (resolved);
  struct stat st;

  free (resolved); /* malloc's, not g_malloc's */
  if (real == NULL || stat (real, &st) != 0)
    return stop (self, errno == ENOENT || errno == ENOTDIR ? PH_SCAN_MISSING : PH_SCAN_REFUSED,
                 chosen, errno);
  if (!S_ISREG (st.st_mode) && !S_ISDIR (st.st_mode))
    return stop (self, PH_SCAN_REFUSED, chosen, 0);
  if (!g_hash_table_add (self->root_set, g_strdup (real)))
    return true;

  const PhEntryKind kind = S_ISDIR (st.st_mode) ? PH_ENTRY_FOLDER : PH_ENTRY_FILE;
  const int fd = open (real, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);

  if (fd < 0)
    return stop (self, PH_SCAN_REFUSED, chosen, errno);
  if (is_system (fd)) {
    close (fd);
    return stop (self, PH_SCAN_REFUSED, chosen, 0);
  }

  g_autofree char *name = root_name (self, chosen, kind, names);

  g_string_assign (self->path, name);
  g_string_assign (self->disk_path, real);
  g_strv_builder_add (self->roots, real);
  if (!add (self, kind, &st)) {
    close (fd);
    return false;
  }
  if (kind == PH_ENTRY_FOLDER)
    return scan_folder (self, fd);
  close (fd);
  return true;
}

static PhScanResult *
scan_all (PhScan *self)
{
  g_autoptr (GHashTable) names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  bool ok = true;

  self->making = g_new0 (PhScanResult, 1);
  self->making->skipped = g_ptr_array_new_with_free_func ((GDestroyNotify)skipped_free);
  self->builder = ph_manifest_builder_new ();
  self->roots = g_strv_builder_new ();
  self->root_set = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  self->disk_path = g_string_new (NULL);
  self->path = g_string_new (NULL);

  for (char **path = self->paths; ok && *path != NULL; path++)
    ok = scan_root (self, *path, names);
  if (self->making->status == PH_SCAN_OK) {
    self->making->manifest = ph_manifest_builder_end (g_steal_pointer (&self->builder));
    self->making->roots = g_strv_builder_end (self->roots);
  }

  g_clear_pointer (&self->builder, ph_manifest_builder_free);
  g_strv_builder_unref (self->roots);
  g_hash_table_unref (self->root_set);
  g_string_free (self->disk_path, TRUE);
  g_string_free (self->path, TRUE);
  return g_steal_pointer (&self->making);
}

/* --- The thread ---------------------------------------------------------------------------------- */

static gpointer
scan_thread (gpointer data)
{
  PhScan *self = data;
  PhScanResult *result = scan_all (self);

  g_mutex_lock (&self->lock);
  self->result = result;
  g_mutex_unlock (&self->lock);
  if (self->ready != NULL)
    self->ready (self->user);
  return NULL;
}

PhScan *
ph_scan_start (const char *const *paths, void (*ready) (void *user), void *user)
{
  PhScan *self = g_new0 (PhScan, 1);

  self->paths = g_strdupv ((char **)paths);
  self->ready = ready;
  self->user = user;
  g_mutex_init (&self->lock);
  self->thread = g_thread_new ("ph-scan", scan_thread, self);
  return self;
}

PhScanResult *
ph_scan_take (PhScan *self)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  return g_steal_pointer (&self->result);
}

uint32_t
ph_scan_seen (const PhScan *self)
{
  return (uint32_t)g_atomic_int_get (&self->seen);
}

void
ph_scan_cancel (PhScan *self)
{
  g_atomic_int_set (&self->cancelled, 1);
}

void
ph_scan_free (PhScan *self)
{
  if (self == NULL)
    return;
  ph_scan_cancel (self);
  g_thread_join (self->thread);
  g_clear_pointer (&self->result, ph_scan_result_free);
  g_mutex_clear (&self->lock);
  g_strfreev (self->paths);
  g_free (self);
}

PhScanResult *
ph_scan_paths (const char *const *paths)
{
  PhScan self = {.paths = (char **)paths};

  return scan_all (&self);
}
