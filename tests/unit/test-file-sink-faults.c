/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file sink where somebody or something is against it (threats.md 4, 7): an error that says what it is,
 * and nothing else touched. */

#include "tests/unit/file-sink-fixture.h"

#include <errno.h>
#include <sys/syscall.h>
#include <sys/uio.h>

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
  g_autofree char *filler = NULL;

  g_assert_cmpint (mount ("tmpfs", f->dir, "tmpfs", 0, "size=8m"), ==, 0);
  filler = run_out_of_room (f, 100000, 6 << 20);
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

/* The profile's database says no, and then yes again: what has arrived is kept. */
static void
test_journal_fails (Fixture *f, gconstpointer data)
{
  static const struct {
    PhStoreError code;
    PhStorageError error;
  } cases[] = {{PH_STORE_ERROR_NO_SPACE, PH_STORAGE_PROFILE_FULL},
               {PH_STORE_ERROR_IO, PH_STORAGE_PROFILE},
               {PH_STORE_ERROR_UNWRITABLE, PH_STORAGE_PROFILE},
               {PH_STORE_ERROR_CORRUPT, PH_STORAGE_PROFILE},
               {PH_STORE_ERROR_MISSING, PH_STORAGE_IO}};

  half_way (f);
  f->journal.fail = true;
  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    f->journal.fail_code = cases[i].code;
    start (f);
    deliver (f);
    g_assert_cmpint (f->error, ==, cases[i].error);
    g_assert_cmpint (ph_storage_error_stalls (f->error), ==,
                     cases[i].code != PH_STORE_ERROR_MISSING);
    g_assert_nonnull (strstr (f->message, "it does not work"));
    g_assert_false (f->has_durable);
    stop (f);
    /* Nothing was given a place. */
    g_assert_cmpuint (count_names (f->dir), ==, 1);
  }
  f->journal.fail = false;
  f->written = 0;
  start (f);
  deliver (f);
  g_assert_true (f->finished);
  g_assert_cmpuint (f->restarts, ==, 0);
  g_assert_cmpuint (f->written, ==, ph_manifest_bytes (f->manifest) - BIG / 2);
  assert_tree (f, "tree", "z.txt");
}

/* What was noted cannot be read: that is no reason to start over. */
static void
test_checkpoint_is_unread (Fixture *f, gconstpointer data)
{
  half_way (f);

  const PhFileSinkConfig config = {.manifest = f->manifest,
                                   .folder = f->dir,
                                   .transfer = {0xab, 0xcd},
                                   .unread = "the database is locked",
                                   .journal = {journal_commit, &f->journal},
                                   .ready = on_ready,
                                   .user = f};

  f->sink = ph_file_sink_new (&config);
  deliver (f);
  g_assert_cmpint (f->error, ==, PH_STORAGE_PROFILE);
  g_assert_nonnull (strstr (f->message, "locked"));
  stop (f);
  f->written = 0;
  start (f);
  deliver (f);
  g_assert_true (f->finished);
  g_assert_cmpuint (f->restarts, ==, 0);
  g_assert_cmpuint (f->written, ==, ph_manifest_bytes (f->manifest) - BIG / 2);
}

/* --- A system that says no ----------------------------------------------------------------------- */

typedef enum { CALL_NONE, CALL_WRITE, CALL_SYNC, CALL_MOVE } Call;

/* Set while no sink is there. */
static Call failing_call;
static int failing_errno;

static bool
fails (Call call)
{
  if (failing_call == call)
    errno = failing_errno;
  return failing_call == call;
}

/* These stand before the C library's, for the sink as well. */
ssize_t
pwritev (int fd, const struct iovec *pieces, int n, off_t offset)
{
  return fails (CALL_WRITE) ? -1 : syscall (SYS_pwritev, fd, pieces, n, offset, 0);
}

int
fsync (int fd)
{
  return fails (CALL_SYNC) ? -1 : (int)syscall (SYS_fsync, fd);
}

int
fdatasync (int fd)
{
  return fails (CALL_SYNC) ? -1 : (int)syscall (SYS_fdatasync, fd);
}

int
renameat2 (int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
  return fails (CALL_MOVE) ? -1 : (int)syscall (SYS_renameat2, from_dir, from, to_dir, to, flags);
}

/* A quota, a drive that was pulled, a file system that was remounted read-only, a folder that was closed, in the
 * middle of a transfer: it stalls with the reason, what has arrived is kept, and with the reason gone it goes
 * on where it was. */
static void
test_system_says_no (Fixture *f, gconstpointer data)
{
  static const struct {
    Call call;
    int errnum;
    PhStorageError error;
  } cases[] = {
      {CALL_WRITE, ENOSPC, PH_STORAGE_NO_SPACE},   {CALL_WRITE, EDQUOT, PH_STORAGE_NO_SPACE},
      {CALL_WRITE, EIO, PH_STORAGE_DISK},          {CALL_WRITE, ENODEV, PH_STORAGE_DISK},
      {CALL_WRITE, ENXIO, PH_STORAGE_DISK},        {CALL_WRITE, ENOTCONN, PH_STORAGE_DISK},
      {CALL_WRITE, EROFS, PH_STORAGE_UNWRITABLE},  {CALL_WRITE, EACCES, PH_STORAGE_UNWRITABLE},
      {CALL_WRITE, ENOMEM, PH_STORAGE_UNWRITABLE}, {CALL_SYNC, EIO, PH_STORAGE_DISK},
      {CALL_SYNC, EDQUOT, PH_STORAGE_NO_SPACE},    {CALL_SYNC, EROFS, PH_STORAGE_UNWRITABLE},
      {CALL_MOVE, EIO, PH_STORAGE_DISK},           {CALL_MOVE, EROFS, PH_STORAGE_UNWRITABLE},
      {CALL_MOVE, EACCES, PH_STORAGE_UNWRITABLE},
  };

  half_way (f);
  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    failing_call = cases[i].call;
    failing_errno = cases[i].errnum;
    start (f);
    deliver (f);
    g_assert_cmpint (f->error, ==, cases[i].error);
    g_assert_true (ph_storage_error_stalls (f->error));
    g_assert_nonnull (strstr (f->message, g_strerror (cases[i].errnum)));
    g_assert_false (f->finished);
    stop (f);
    g_assert_cmpuint (count_names (f->dir), ==, 1);
    g_assert_true (f->journal.last.file > 1 || f->journal.last.offset >= BIG / 2);
  }
  failing_call = CALL_NONE;
  start (f);
  deliver (f);
  g_assert_true (f->finished);
  g_assert_cmpuint (f->restarts, ==, 0);
  assert_tree (f, "tree", "z.txt");
  g_assert_cmpuint (count_names (f->dir), ==, 2);
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
  ADD ("checkpoint-is-unread", 0, test_checkpoint_is_unread);
  ADD ("system-says-no", 0, test_system_says_no);
  ADD ("free-at-once", 0, test_free_at_once);
  return g_test_run ();
}
