/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The last step: from the partial folder to where the person looks. The names are chosen and committed
 * before anything moves, so that after a crash everything is in one of two known places: then it is looked
 * for there, and what is at neither is received again. */

#include "config.h"

#include "app/engine/ph-sink-tree.h"

#include "app/engine/ph-storage-private.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gi18n-lib.h>
#include <stdio.h>
#include <unistd.h>

/* So many things of one name mean that something else is wrong. */
#define NUMBERS_MAX 100000u

/* Some file systems keep times in steps of two seconds. */
#define TIME_STEP_S 2

/* PhSinkTree.where[], for top-level entries: where it is with all that is in it. 0 once it was moved. */
enum {
  IN_PART = 1,
  AT_PLACE = 2,
  UNTOUCHED = 4, /* at its place, as we left it */
};

/* --- Names --------------------------------------------------------------------------------------- */

/* Other errors than "no such file" will be told by the move. */
static bool
is_taken (const PhSinkTree *self, const char *name)
{
  struct stat st;

  return fstatat (self->dest_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static PhStoreName *
find_name (const GPtrArray *names, uint32_t entry)
{
  guint low = 0, high = names->len;

  while (low < high) {
    const guint at = low + (high - low) / 2;
    PhStoreName *name = names->pdata[at];

    if (name->entry == entry)
      return name;
    if (name->entry < entry)
      low = at + 1;
    else
      high = at;
  }
  return NULL;
}

/* Names are in the order of their entries. */
static void
note_name (GPtrArray *names, uint32_t entry, const char *text)
{
  PhStoreName *name = find_name (names, entry);
  guint at = names->len;

  if (name != NULL) {
    g_free (name->name);
    name->name = g_strdup (text);
    return;
  }
  while (at > 0 && ((PhStoreName *)names->pdata[at - 1])->entry > entry)
    at--;
  g_ptr_array_insert (names, (gint)at, ph_store_name_new (entry, text));
}

/* The entry's safe name, or that with the first number that is free. */
static char *
free_name (const PhSinkTree *self, uint32_t entry)
{
  const char *safe = ph_safe_names_path (self->names, entry);
  const PhEntryKind kind = ph_manifest_entry (self->manifest, entry)->kind;
  char *name = g_strdup (safe);

  for (unsigned n = 1; n <= NUMBERS_MAX && is_taken (self, name); n++) {
    g_free (name);
    name = ph_safe_name_numbered (safe, kind, n);
  }
  return name;
}

GPtrArray *
ph_sink_tree_choose_names (const PhSinkTree *self)
{
  GPtrArray *names = g_ptr_array_new_with_free_func ((GDestroyNotify)ph_store_name_free);

  for (uint32_t i = 0; i < ph_manifest_len (self->manifest); i++) {
    if (ph_manifest_parent (self->manifest, i) != PH_MANIFEST_TOP)
      continue;

    g_autofree char *name = free_name (self, i);

    if (strcmp (name, ph_manifest_name (self->manifest, i)) != 0)
      note_name (names, i, name);
  }
  return names;
}

static const char *
place_name (const PhSinkTree *self, const GPtrArray *names, uint32_t top)
{
  const PhStoreName *chosen = find_name (names, top);

  return chosen != NULL ? chosen->name : ph_manifest_name (self->manifest, top);
}

/* --- Looking ------------------------------------------------------------------------------------- */

/* Below the destination, through no link. False: errno. */
static bool
stat_at_place (const PhSinkTree *self, const GPtrArray *names, uint32_t top, uint32_t entry,
               struct stat *st)
{
  const char *path = ph_safe_names_path (self->names, entry);
  const char *below = path != NULL ? strchr (path, '/') : NULL;
  g_autofree char *at = g_strconcat (place_name (self, names, top), below, NULL);
  int fd;
  bool ok;

  errno = ENAMETOOLONG;
  if (path == NULL)
    return false;
  fd = ph_open_inside (self->dest_fd, at, O_PATH | O_NOFOLLOW, 0);
  ok = fd >= 0 && fstat (fd, st) == 0;
  if (fd >= 0)
    close (fd);
  return ok;
}

/* A move that was made of two names (see move()) and ended between them. */
static void
end_move (const PhSinkTree *self, const GPtrArray *names, uint32_t top)
{
  const char *safe = ph_safe_names_path (self->names, top);
  struct stat a, b;

  if (safe != NULL && fstatat (self->part_fd, safe, &a, AT_SYMLINK_NOFOLLOW) == 0
      && S_ISREG (a.st_mode) && stat_at_place (self, names, top, top, &b) && a.st_dev == b.st_dev
      && a.st_ino == b.st_ino)
    unlinkat (self->part_fd, safe, 0);
}

static bool
is_untouched (const PhSinkTree *self, uint32_t entry, const struct stat *st)
{
  const PhEntry *wanted = ph_manifest_entry (self->manifest, entry);

  return wanted->kind == PH_ENTRY_FOLDER
         || (wanted->mtime_s != 0 && ABS (st->st_mtim.tv_sec - wanted->mtime_s) <= TIME_STEP_S);
}

/* Takes from `where` what `entry` below `top` is not. False: it cannot be seen. */
static bool
look_at (PhSinkTree *self, const GPtrArray *names, uint32_t top, uint32_t entry, uint8_t *where,
         PhSinkFailure *failure)
{
  struct stat st;
  PhSinkLook look;

  if (*where & IN_PART) {
    look = ph_sink_tree_look (self, entry, failure);
    if (look == PH_SINK_UNKNOWN)
      return false;
    if (look == PH_SINK_MISSING)
      *where &= (uint8_t)~IN_PART;
  }
  if (*where & AT_PLACE) {
    const bool seen = stat_at_place (self, names, top, entry, &st);

    look = ph_sink_tree_judge (self, entry, seen ? &st : NULL, failure);
    if (look == PH_SINK_UNKNOWN)
      return false;
    if (look == PH_SINK_MISSING)
      *where &= (uint8_t)~AT_PLACE;
    else if (!is_untouched (self, entry, &st))
      *where &= (uint8_t)~UNTOUCHED;
  }
  return true;
}

PhSinkLook
ph_sink_tree_look_all (PhSinkTree *self, const GPtrArray *names, PhSinkFailure *failure)
{
  const uint32_t len = ph_manifest_len (self->manifest);
  g_autofree uint32_t *tops = g_new (uint32_t, len + 1);

  g_free (self->where);
  self->where = g_malloc0 (len + 1);
  for (uint32_t i = 0; i < len; i++) {
    const uint32_t parent = ph_manifest_parent (self->manifest, i);

    tops[i] = parent == PH_MANIFEST_TOP ? i : tops[parent];
    if (parent == PH_MANIFEST_TOP && names != NULL)
      end_move (self, names, i);
    if (parent == PH_MANIFEST_TOP)
      self->where[i] = names != NULL ? IN_PART | AT_PLACE | UNTOUCHED : IN_PART;

    uint8_t *where = &self->where[tops[i]];

    if (!look_at (self, names, tops[i], i, where, failure))
      return PH_SINK_UNKNOWN;
    if ((*where & (IN_PART | AT_PLACE)) == 0) {
      ph_sink_tree_fail (self, failure, i, _ ("“%s” is gone"), 0);
      failure->error = PH_STORAGE_UNWRITABLE;
      if (names == NULL)
        return PH_SINK_MISSING;
    }
  }
  for (uint32_t i = 0; i < len; i++)
    if (tops[i] == i && (self->where[i] & (IN_PART | AT_PLACE)) == 0)
      return PH_SINK_MISSING;
  return PH_SINK_THERE;
}

/* --- Moving -------------------------------------------------------------------------------------- */

/* Moves without ever replacing; for file systems that cannot be asked to, by making the name ours
 * first. 0 or errno. */
static int
move (int from_dir, const char *from, int to_dir, const char *to, PhEntryKind kind)
{
  if (renameat2 (from_dir, from, to_dir, to, RENAME_NOREPLACE) == 0)
    return 0;
  if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
    return errno;

  if (kind == PH_ENTRY_FOLDER) {
    /* A folder only ever replaces an empty one: the one just made. */
    if (mkdirat (to_dir, to, 0700) != 0)
      return errno;
    if (renameat (from_dir, from, to_dir, to) == 0)
      return 0;

    const int saved = errno;

    unlinkat (to_dir, to, AT_REMOVEDIR);
    return saved;
  }
  if (linkat (from_dir, from, to_dir, to, 0) != 0) {
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS && errno != EMLINK)
      return errno;

    /* No second names either: an empty file of ours keeps the place for the moment. */
    const int fd = ph_open_inside (to_dir, to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);

    if (fd < 0)
      return errno;
    close (fd);
    return renameat (from_dir, from, to_dir, to) == 0 ? 0 : errno;
  }
  unlinkat (from_dir, from, 0);
  return 0;
}

bool
ph_sink_tree_take_back (PhSinkTree *self, const GPtrArray *names, PhSinkFailure *failure)
{
  ph_sink_tree_close_dir (self);
  /* The partial folder may be new: its name must be there before what goes into it. */
  if (!ph_sink_tree_sync_destination (self, failure))
    return false;
  for (uint32_t i = 0; i < ph_manifest_len (self->manifest); i++) {
    int error;

    if (ph_manifest_parent (self->manifest, i) != PH_MANIFEST_TOP
        || self->where[i] != (AT_PLACE | UNTOUCHED))
      continue;
    error = move (self->dest_fd, place_name (self, names, i), self->part_fd,
                  ph_safe_names_path (self->names, i), ph_manifest_entry (self->manifest, i)->kind);
    /* Taken: by what is left of it there. It comes again. */
    if (error != 0 && error != EEXIST && error != ENOENT)
      return ph_sink_tree_fail (self, failure, i, _ ("Cannot write “%s”"), error);
  }
  return ph_sink_tree_sync_entry (self, PH_MANIFEST_TOP, failure)
         && ph_sink_tree_sync_destination (self, failure);
}

static PhSinkPlace
place_one (const PhSinkTree *self, uint32_t entry, GPtrArray *names, PhSinkFailure *failure)
{
  const int error =
      move (self->part_fd, ph_safe_names_path (self->names, entry), self->dest_fd,
            place_name (self, names, entry), ph_manifest_entry (self->manifest, entry)->kind);

  if (error == EEXIST) {
    g_autofree char *name = free_name (self, entry);

    note_name (names, entry, name);
  } else if (error == 0) {
    self->where[entry] = 0;
    return PH_SINK_PLACE_DONE;
  }
  ph_sink_tree_fail (self, failure, entry, _ ("Cannot move “%s” to its place"), error);
  return error == EEXIST ? PH_SINK_PLACE_TAKEN : PH_SINK_PLACE_FAILED;
}

PhSinkPlace
ph_sink_tree_place (PhSinkTree *self, GPtrArray *names, PhSinkFailure *failure)
{
  ph_sink_tree_close_dir (self);
  for (uint32_t i = 0; i < ph_manifest_len (self->manifest); i++) {
    PhSinkPlace result;

    if (ph_manifest_parent (self->manifest, i) != PH_MANIFEST_TOP
        || (self->where[i] & IN_PART) == 0)
      continue;
    result = place_one (self, i, names, failure);
    if (result != PH_SINK_PLACE_DONE)
      return result;
  }
  return PH_SINK_PLACE_DONE;
}

void
ph_sink_tree_clean_up (PhSinkTree *self)
{
  bool leftovers = false;

  /* Of what had its place before this run, some of it may be here as well, not whole. */
  for (uint32_t i = 0; i < ph_manifest_len (self->manifest) && !leftovers; i++)
    leftovers = (self->where[i] & AT_PLACE) != 0;
  if (leftovers)
    ph_sink_tree_empty (self);
  /* Not if somebody put something of theirs in. */
  unlinkat (self->dest_fd, self->part_name, AT_REMOVEDIR);
}
