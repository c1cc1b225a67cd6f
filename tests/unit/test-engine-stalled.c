/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What stopped for want of room, or of the disk, goes on by itself when that is there again (threats.md 7). */

#include "tests/unit/engine-world.h"

#include <glib/gstdio.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#define LARGE 8000000

/* As in test-file-sink-disk.c: a file system in memory looks like a drive. */
int
fstatfs (int fd, struct statfs *st)
{
  const int result = (int)syscall (SYS_fstatfs, fd, st);

  if (result == 0 && st->f_type == TMPFS_MAGIC)
    st->f_type = EXT4_SUPER_MAGIC;
  return result;
}

typedef struct {
  Pair *pair;
  char *file, *arrived, *id;
} Stalled;

static void
limit_files (rlim_t max)
{
  const struct rlimit limit = {max, RLIM_INFINITY};

  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &limit), ==, 0);
}

/* Half of the file is there, and there is no room for more. */
static void
stall (Stalled *self, Pair *pair)
{
  self->pair = pair;
  self->file = write_file (pair->files, "large", LARGE);
  self->arrived = g_build_filename (pair->downloads, "large", NULL);
  self->id = send_and_wait_for_offer (pair, self->file);
  limit_files (LARGE / 2);
  finish (pair->right, ph_engine_accept (pair->right->engine, self->id, NULL));
  wait_until (is_in (pair->right, self->id, PH_TRANSFER_PAUSED)
              && is_in (pair->left, self->id, PH_TRANSFER_PAUSED));
  g_assert_cmpstr (seen (pair->right, self->id)->code, ==, "no-space");
}

static void
reopen (Node *node)
{
  node_close (node);
  node_open (node);
  ph_engine_connect (node->engine);
}

static void
stalled_clear (Stalled *self)
{
  assert_delivered (self->pair, self->id);
  assert_same_file (self->file, self->arrived);
  g_assert_cmpuint (count_entries (self->pair->downloads), ==, 1);
  g_free (self->file);
  g_free (self->arrived);
  g_free (self->id);
}

static void
test_room_again (void)
{
  Pair *pair = pair_new ();
  Stalled stalled;

  stall (&stalled, pair);
  limit_files (RLIM_INFINITY);
  stalled_clear (&stalled);
  pair_free (pair);
}

/* Also after the program was started again meanwhile. */
static void
test_folder_is_back (void)
{
  Pair *pair = pair_new ();
  g_autofree char *away = g_strconcat (pair->downloads, "-away", NULL);
  Stalled stalled;

  stall (&stalled, pair);
  node_close (pair->right);
  limit_files (RLIM_INFINITY);
  g_assert_cmpint (g_rename (pair->downloads, away), ==, 0);
  node_open (pair->right);
  ph_engine_connect (pair->right->engine);
  wait_until (is_in (pair->right, stalled.id, PH_TRANSFER_PAUSED)
              && g_str_equal (seen (pair->right, stalled.id)->code, "folder"));
  g_assert_cmpint (g_rename (away, pair->downloads), ==, 0);
  stalled_clear (&stalled);
  pair_free (pair);
}

/* A drive that is not mounted leaves an empty folder: nothing is begun there, and with the drive it goes on. */
static void
test_drive_is_back (void)
{
  Pair *pair = pair_new ();
  g_autofree char *drive = ph_test_tmpdir ();
  Stalled stalled;

  g_assert_cmpint (mount ("tmpfs", drive, "tmpfs", 0, "size=32m"), ==, 0);
  g_assert_cmpint (mount (drive, pair->downloads, NULL, MS_BIND, NULL), ==, 0);
  stall (&stalled, pair);
  node_close (pair->right);
  limit_files (RLIM_INFINITY);
  g_assert_cmpint (umount (pair->downloads), ==, 0);
  node_open (pair->right);
  ph_engine_connect (pair->right->engine);
  wait_until (is_in (pair->right, stalled.id, PH_TRANSFER_PAUSED)
              && g_str_equal (seen (pair->right, stalled.id)->code, "folder"));
  finish_badly (pair->right, ph_engine_resume (pair->right->engine, stalled.id),
                PH_ENGINE_ERROR_FOLDER);
  g_assert_cmpuint (count_entries (pair->downloads), ==, 0);
  g_assert_cmpint (mount (drive, pair->downloads, NULL, MS_BIND, NULL), ==, 0);
  stalled_clear (&stalled);
  pair_free (pair);
  g_assert_cmpint (umount2 (drive, MNT_DETACH), ==, 0);
}

/* What a person has paused besides waits for them: in this run, and in the next. */
static void
test_held (void)
{
  Pair *pair = pair_new ();
  Stalled stalled;

  stall (&stalled, pair);
  finish (pair->right, ph_engine_pause (pair->right->engine, stalled.id));
  limit_files (RLIM_INFINITY);
  reopen (pair->right);
  wait_until (is_in (pair->right, stalled.id, PH_TRANSFER_PAUSED));
  finish (pair->right, ph_engine_resume (pair->right->engine, stalled.id));
  stalled_clear (&stalled);
  pair_free (pair);
}

int
main (int argc, char **argv)
{
  int status;

  ph_test_init (&argc, &argv);
  world_start ();
  g_test_add_func ("/engine-stalled/room-again", test_room_again);
  g_test_add_func ("/engine-stalled/folder-is-back", test_folder_is_back);
  g_test_add_func ("/engine-stalled/drive-is-back", test_drive_is_back);
  g_test_add_func ("/engine-stalled/held", test_held);
  status = g_test_run ();
  world_stop ();
  return status;
}
