/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file sink where somebody or something is against it (threats.md 4, 7): an error that says what it is,
 * and nothing else touched. */

#include "tests/unit/file-sink-fixture.h"

/* --- Attacks ------------------------------------------------------------------------------------- */

/* A folder inside is swapped for a link to elsewhere while it is written to. */
static void
test_parent_becomes_symlink (Fixture *f, gconstpointer data)
{
  g_autofree char *outside = ph_test_tmpdir ();
  g_autofree char *sub = NULL;
  g_autofree char *away = g_build_filename (outside, "away", NULL);
  g_autofree char *elsewhere = g_build_filename (outside, "elsewhere", NULL);

  add_tree (f);
  start (f);
  g_assert_true (send_bytes (f, 1, 0, BIG, 100000));
  g_assert_true (end_file (f, 1));
  g_assert_true (end_file (f, 2));
  sub = part_path (f, "tree/sub");
  while (!g_file_test (sub, G_FILE_TEST_IS_DIR))
    g_thread_yield ();
  g_assert_cmpint (rename (sub, away), ==, 0);
  g_assert_cmpint (mkdir (elsewhere, 0755), ==, 0);
  g_assert_cmpint (symlink (elsewhere, sub), ==, 0);
  g_assert_true (send_bytes (f, 5, 0, 10000, 1000));
  g_assert_true (end_file (f, 5));
  wait_for (f, &f->finished);
  g_assert_cmpint (f->error, !=, PH_STORAGE_OK);
  g_assert_cmpuint (count_names (elsewhere), ==, 0);
}

typedef enum { LINK_TO_FOLDER, FILE_THERE, SOMEBODY_ELSES } Squat;

/* Somebody was faster with the partial folder's name. */
static void
test_part_name_is_taken (Fixture *f, gconstpointer data)
{
  g_autofree char *outside = ph_test_tmpdir ();
  g_autofree char *part = part_path (f, NULL);

  switch ((Squat)GPOINTER_TO_INT (data)) {
  case LINK_TO_FOLDER:
    g_assert_cmpint (symlink (outside, part), ==, 0);
    break;
  case FILE_THERE:
    g_assert_true (g_file_set_contents (part, "", 0, NULL));
    break;
  case SOMEBODY_ELSES:
    g_assert_cmpint (mkdir (part, 0777), ==, 0);
    g_assert_cmpint (chown (part, 12345, 12345), ==, 0);
    break;
  }
  add_tree (f);
  start (f);
  deliver (f);
  g_assert_cmpint (f->error, ==, PH_STORAGE_UNWRITABLE);
  f->sink->klass->discard (f->sink);
  stop (f);
  g_assert_cmpuint (count_names (outside), ==, 0);
  g_assert_cmpuint (count_names (f->dir), ==, 1);
}

/* --- The machine --------------------------------------------------------------------------------- */

static void
test_no_room_is_said_first (Fixture *f, gconstpointer data)
{
  char message[160];
  uint64_t room = 0;

  g_assert_cmpint (mount ("tmpfs", f->dir, "tmpfs", 0, "size=4m"), ==, 0);
  add_tree (f);
  start (f);
  wait_for (f, &f->finished);
  g_assert_cmpint (f->error, ==, PH_STORAGE_NO_SPACE);
  stop (f);
  g_assert_cmpuint (count_names (f->dir), ==, 0);

  g_assert_cmpint (ph_storage_check_folder (f->dir, 1 << 20, &room, message), ==, PH_STORAGE_OK);
  g_assert_cmpuint (room, ==, 4 << 20);
  g_assert_cmpint (ph_storage_check_folder (f->dir, 5 << 20, &room, message), ==,
                   PH_STORAGE_NO_SPACE);
  g_assert_cmpint (umount (f->dir), ==, 0);
}

static void
test_disk_fills_up (Fixture *f, gconstpointer data)
{
  g_autofree char *filler = g_build_filename (f->dir, "filler", NULL);
  g_autofree char *bytes = g_malloc0 (6 << 20);

  g_assert_cmpint (mount ("tmpfs", f->dir, "tmpfs", 0, "size=8m"), ==, 0);
  add_tree (f);
  start (f);
  g_assert_true (send_bytes (f, 1, 0, 100000, 1000));
  while (f->written < 100000)
    wait_for (f, &(bool){true});
  g_assert_true (g_file_set_contents (filler, bytes, 6 << 20, NULL));
  deliver (f);
  g_assert_cmpint (f->error, ==, PH_STORAGE_NO_SPACE);
  g_assert_nonnull (strstr (f->message, "big"));
  stop (f);

  /* With room again it goes on. */
  g_assert_cmpint (unlink (filler), ==, 0);
  start (f);
  deliver (f);
  g_assert_true (f->finished);
  assert_tree (f, "tree", "z.txt");
  stop (f);
  g_assert_cmpint (umount (f->dir), ==, 0);
}

static void
test_read_only (Fixture *f, gconstpointer data)
{
  char message[160];

  g_assert_cmpint (mount ("tmpfs", f->dir, "tmpfs", MS_RDONLY, NULL), ==, 0);
  g_assert_cmpint (ph_storage_check_folder (f->dir, 1, NULL, message), ==, PH_STORAGE_UNWRITABLE);
  add_tree (f);
  start (f);
  wait_for (f, &f->finished);
  g_assert_cmpint (f->error, ==, PH_STORAGE_UNWRITABLE);
  g_assert_nonnull (strstr (f->message, "Read-only"));
  stop (f);
  g_assert_cmpint (umount (f->dir), ==, 0);
}

static void
test_folder_is_gone (Fixture *f, gconstpointer data)
{
  char message[160];

  g_assert_cmpint (rmdir (f->dir), ==, 0);
  g_assert_cmpint (ph_storage_check_folder (f->dir, 1, NULL, message), ==, PH_STORAGE_UNWRITABLE);
  add_tree (f);
  start (f);
  deliver (f);
  g_assert_cmpint (f->error, ==, PH_STORAGE_UNWRITABLE);
  g_assert_false (g_file_test (f->dir, G_FILE_TEST_EXISTS));
}

/* A limit on file sizes is an error, not a deadly signal. */
static void
test_file_size_limit (Fixture *f, gconstpointer data)
{
  struct rlimit old, limit;

  g_assert_cmpint (getrlimit (RLIMIT_FSIZE, &old), ==, 0);
  limit = old;
  limit.rlim_cur = 1 << 20;
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &limit), ==, 0);
  add_tree (f);
  start (f);
  deliver (f);
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &old), ==, 0);
  g_assert_cmpint (f->error, ==, PH_STORAGE_NO_SPACE);
}

static void
test_journal_fails (Fixture *f, gconstpointer data)
{
  add_tree (f);
  f->journal.fail = true;
  start (f);
  deliver (f);
  g_assert_cmpint (f->error, ==, PH_STORAGE_NO_SPACE);
  g_assert_false (f->has_durable);
  stop (f);
  /* Nothing was given a place. */
  g_assert_cmpuint (count_names (f->dir), ==, 1);
}

/* Freed at any moment: no hang, no leak. */
static void
test_free_at_once (Fixture *f, gconstpointer data)
{
  add_tree (f);
  for (int i = 0; i < 20; i++) {
    start (f);
    if (i % 2)
      send_bytes (f, 1, 0, (uint64_t)i * 1000, 1000);
    if (i % 3 == 0)
      f->sink->klass->discard (f->sink);
    stop (f);
    f->journal.there = false;
  }
}

#define ADD(name, data, func)                                                                      \
  g_test_add ("/file-sink-faults/" name, Fixture, GINT_TO_POINTER (data), set_up, func, tear_down)

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  ADD ("parent-becomes-symlink", 0, test_parent_becomes_symlink);
  ADD ("part-name-is-link", LINK_TO_FOLDER, test_part_name_is_taken);
  ADD ("part-name-is-file", FILE_THERE, test_part_name_is_taken);
  ADD ("part-name-is-somebody-elses", SOMEBODY_ELSES, test_part_name_is_taken);
  ADD ("no-room-is-said-first", 0, test_no_room_is_said_first);
  ADD ("disk-fills-up", 0, test_disk_fills_up);
  ADD ("read-only", 0, test_read_only);
  ADD ("folder-is-gone", 0, test_folder_is_gone);
  ADD ("file-size-limit", 0, test_file_size_limit);
  ADD ("journal-fails", 0, test_journal_fails);
  ADD ("free-at-once", 0, test_free_at_once);
  return g_test_run ();
}
