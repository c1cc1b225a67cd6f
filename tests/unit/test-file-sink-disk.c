/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A drive that is not mounted leaves the folder that it is mounted on: that is not where to begin again
 * (threats.md 7). */

#include "tests/unit/file-sink-fixture.h"

#include <linux/magic.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

/* Stands before the C library's, for the sink as well: file systems in memory, which is all that a test can mount
 * everywhere, look like drives with an id of their own. */
int
fstatfs (int fd, struct statfs *st)
{
  const int result = (int)syscall (SYS_fstatfs, fd, st);

  if (result == 0 && st->f_type == TMPFS_MAGIC)
    st->f_type = EXT4_SUPER_MAGIC;
  return result;
}

typedef struct {
  char *at; /* where it is always mounted, so that what is on it stays */
  Fixture *f; /* whose destination it can be mounted on */
} Drive;

static void
plug_in (Drive *drive)
{
  g_assert_cmpint (mount (drive->at, drive->f->dir, NULL, MS_BIND, NULL), ==, 0);
}

static void
pull_out (Drive *drive)
{
  g_assert_cmpint (umount (drive->f->dir), ==, 0);
}

static void
drive_set_up (Drive *drive, Fixture *f)
{
  drive->at = ph_test_tmpdir ();
  drive->f = f;
  g_assert_cmpint (mount ("tmpfs", drive->at, "tmpfs", 0, "size=32m"), ==, 0);
  plug_in (drive);
}

static void
drive_tear_down (Drive *drive)
{
  stop (drive->f);
  pull_out (drive);
  g_assert_cmpint (umount (drive->at), ==, 0);
  g_free (drive->at);
}

static PhStorageError
check (Fixture *f)
{
  char message[160];

  return ph_file_sink_check (f->dir, transfer_id, f->journal.last.disk, BIG, message);
}

/* Fails, and nothing is made in the folder. */
static void
assert_waits (Fixture *f)
{
  start (f);
  deliver (f);
  g_assert_cmpint (f->error, ==, PH_STORAGE_DISK);
  g_assert_true (ph_storage_error_stalls (f->error));
  g_assert_nonnull (strstr (f->message, "not connected"));
  g_assert_cmpuint (f->restarts, ==, 0);
  stop (f);
  g_assert_cmpuint (count_names (f->dir), ==, 0);
  g_assert_cmpint (check (f), ==, PH_STORAGE_DISK);
}

static void
test_not_mounted (Fixture *f, gconstpointer data)
{
  Drive drive;

  drive_set_up (&drive, f);
  half_way (f);
  pull_out (&drive);
  assert_waits (f);
  assert_waits (f);
  plug_in (&drive);
  g_assert_cmpint (check (f), ==, PH_STORAGE_OK);
  f->written = 0;
  start (f);
  deliver (f);
  g_assert_true (f->finished);
  g_assert_cmpuint (f->restarts, ==, 0);
  g_assert_cmpuint (f->written, ==, ph_manifest_bytes (f->manifest) - BIG / 2);
  assert_tree (f, "tree", "z.txt");
  drive_tear_down (&drive);
}

/* Everything was in its place when the drive was pulled, and that was not noted. */
static void
test_not_mounted_while_placing (Fixture *f, gconstpointer data)
{
  Drive drive;

  drive_set_up (&drive, f);
  add_tree (f);
  f->journal.fail_placed = true;
  start (f);
  deliver (f);
  g_assert_cmpint (f->journal.last.stage, ==, PH_STORE_PLACING);
  stop (f);
  f->journal.fail_placed = false;
  pull_out (&drive);
  assert_waits (f);
  plug_in (&drive);
  f->written = 0;
  start (f);
  deliver (f);
  g_assert_true (f->finished);
  g_assert_cmpuint (f->written, ==, 0);
  drive_tear_down (&drive);
}

/* Failed before the first checkpoint: that it was this drive is noted all the same. */
static void
test_fails_at_once (Fixture *f, gconstpointer data)
{
  g_autofree char *filler = NULL;
  Drive drive;

  drive_set_up (&drive, f);
  filler = run_out_of_room (f, 1000, 30 << 20);
  g_assert_cmpuint (f->journal.last.offset, ==, 0);
  stop (f);
  g_assert_cmpint (check (f), ==, PH_STORAGE_NO_SPACE);
  g_assert_cmpint (unlink (filler), ==, 0);
  pull_out (&drive);
  assert_waits (f);
  plug_in (&drive);
  start (f);
  deliver (f);
  g_assert_true (f->finished);
  assert_tree (f, "tree", "z.txt");
  drive_tear_down (&drive);
}

/* On the same disk a partial folder that is gone was deleted: there is nothing to wait for. */
static void
test_deleted (Fixture *f, gconstpointer data)
{
  g_autofree char *part = part_path (f, NULL);
  g_autofree char *away = g_build_filename (f->dir, "away", NULL);
  Drive drive;

  drive_set_up (&drive, f);
  half_way (f);
  g_assert_cmpint (rename (part, away), ==, 0);
  g_assert_cmpint (check (f), ==, PH_STORAGE_OK);
  start (f);
  deliver (f);
  g_assert_true (f->finished);
  g_assert_cmpuint (f->restarts, ==, 1);
  assert_tree (f, "tree", "z.txt");
  drive_tear_down (&drive);
}

/* A drive that has another id, or the files of an old disk copied to a new one: the partial folder is there, and that
 * is what counts. */
static void
test_another_id (Fixture *f, gconstpointer data)
{
  Drive drive;

  drive_set_up (&drive, f);
  half_way (f);
  f->journal.last.disk ^= 0x5555;
  f->written = 0;
  start (f);
  deliver (f);
  g_assert_true (f->finished);
  g_assert_cmpuint (f->written, ==, ph_manifest_bytes (f->manifest) - BIG / 2);
  assert_tree (f, "tree", "z.txt");
  drive_tear_down (&drive);
}

/* What a full disk, and one that may not be written, say before anything is tried. */
static void
test_check (Fixture *f, gconstpointer data)
{
  Drive drive;
  char message[160];

  drive_set_up (&drive, f);
  g_assert_cmpint (ph_file_sink_check (f->dir, transfer_id, 0, 1000, message), ==, PH_STORAGE_OK);
  g_assert_cmpuint (count_names (f->dir), ==, 0);
  g_assert_cmpint (ph_file_sink_check (f->dir, transfer_id, 0, 64 << 20, message), ==,
                   PH_STORAGE_NO_SPACE);
  g_assert_cmpint (mount (NULL, f->dir, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), ==, 0);
  g_assert_cmpint (ph_file_sink_check (f->dir, transfer_id, 0, 1000, message), ==,
                   PH_STORAGE_UNWRITABLE);
  drive_tear_down (&drive);
}

#define ADD(name, func) g_test_add ("/file-sink-disk/" name, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  ADD ("not-mounted", test_not_mounted);
  ADD ("not-mounted-while-placing", test_not_mounted_while_placing);
  ADD ("fails-at-once", test_fails_at_once);
  ADD ("deleted", test_deleted);
  ADD ("another-id", test_another_id);
  ADD ("check", test_check);
  return g_test_run ();
}
