/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The wall of the kernel's around the sink's threads (threats.md 4): a fault in them, which this test plays, cannot
 * write elsewhere, and everything that they are there for still works. */

#include "tests/unit/file-sink-fixture.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>

/* --- A fault, on the threads of a sink ------------------------------------------------------------ */

/* What a thread must not do; the syncer may do what is BESIDE. */
typedef enum {
  OUTSIDE_NEW,
  OUTSIDE_OLD,
  OUTSIDE_CUT,
  OUTSIDE_GO,
  BESIDE_NEW,
  BESIDE_OLD,
  BESIDE_GO,
  MOVE_OUT,
  LINK,
  RUN,
  N_ATTEMPTS,
} What;

static struct {
  bool on;
  char *outside; /* a folder that holds "theirs" */
  char *beside; /* the destination, which holds "theirs" as well */
  char *part;
  int writer[N_ATTEMPTS]; /* errno; -1: not tried */
  int syncer[N_ATTEMPTS];
} fault;

static int
try_open (const char *folder, const char *name, int flags)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);
  const int fd = open (path, flags | O_CLOEXEC, 0600);

  if (fd < 0)
    return errno;
  close (fd);
  return 0;
}

static int
try_two (int (*call) (const char *, const char *), const char *from, const char *from_name,
         const char *to, const char *to_name)
{
  g_autofree char *a = g_build_filename (from, from_name, NULL);
  g_autofree char *b = g_build_filename (to, to_name, NULL);

  return call (a, b) == 0 ? 0 : errno;
}

static int
remove_second (const char *unused, const char *path)
{
  return unlink (path);
}

static int
cut_second (const char *unused, const char *path)
{
  return truncate (path, 0);
}

/* An empty program is none to the system: ENOEXEC where the wall does not say no first. */
static int
run_second (const char *unused, const char *path)
{
  return execl (path, path, NULL);
}

static int
attempt (What what)
{
  switch (what) {
  case OUTSIDE_NEW:
    return try_open (fault.outside, "new", O_WRONLY | O_CREAT);
  case OUTSIDE_OLD:
    return try_open (fault.outside, "theirs", O_WRONLY);
  case OUTSIDE_CUT:
    return try_two (cut_second, "", "", fault.outside, "theirs");
  case OUTSIDE_GO:
    return try_two (remove_second, "", "", fault.outside, "theirs");
  case BESIDE_NEW:
    return try_open (fault.beside, "new", O_WRONLY | O_CREAT | O_EXCL);
  case BESIDE_OLD:
    return try_open (fault.beside, "theirs", O_WRONLY);
  case BESIDE_GO:
    return try_two (remove_second, "", "", fault.beside, "go");
  case MOVE_OUT:
    return try_two (rename, fault.part, "tree", fault.outside, "tree");
  case LINK:
    return try_two (symlink, "/", "", fault.part, "link");
  case RUN:
    return try_two (run_second, "", "", fault.outside, "program");
  case N_ATTEMPTS:
    break;
  }
  g_assert_not_reached ();
}

/* Once a thread. */
static void
misbehave (int errors[N_ATTEMPTS])
{
  const int saved = errno;

  for (What what = 0; fault.on && what < N_ATTEMPTS; what++)
    if (errors[what] < 0)
      errors[what] = attempt (what);
  errno = saved;
}

/* These stand before the C library's, for the sink as well: only the writer calls the first, and the syncer the
 * second. */
ssize_t
pwritev (int fd, const struct iovec *pieces, int n, off_t offset)
{
  misbehave (fault.writer);
  return syscall (SYS_pwritev, fd, pieces, n, offset, 0);
}

int
fsync (int fd)
{
  misbehave (fault.syncer);
  return (int)syscall (SYS_fsync, fd);
}

/* --- The tests ------------------------------------------------------------------------------------- */

static long
landlock_abi (void)
{
  return syscall (SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

static bool
skip_without_landlock (void)
{
  const long abi = landlock_abi ();

  if (abi >= 2)
    return false;
  if (abi < 0)
    g_test_skip (g_strerror (errno));
  else
    g_test_skip ("this kernel's Landlock cannot let files be moved");
  return true;
}

static void
put (const char *folder, const char *name)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);

  g_assert_true (g_file_set_contents (path, "theirs", -1, NULL));
}

static void
assert_theirs (const char *folder)
{
  g_autofree char *path = g_build_filename (folder, "theirs", NULL);
  g_autofree char *text = NULL;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, "theirs");
}

static void
arm (Fixture *f)
{
  g_autofree char *program = NULL;

  fault.outside = ph_test_tmpdir ();
  fault.beside = g_strdup (f->dir);
  fault.part = part_path (f, NULL);
  for (What what = 0; what < N_ATTEMPTS; what++)
    fault.writer[what] = fault.syncer[what] = -1;
  put (fault.outside, "theirs");
  program = g_build_filename (fault.outside, "program", NULL);
  g_assert_true (g_file_set_contents_full (program, "", 0, G_FILE_SET_CONTENTS_NONE, 0755, NULL));
  put (fault.beside, "theirs");
  put (fault.beside, "go");
  fault.on = true;
}

static void
disarm (void)
{
  fault.on = false;
  g_clear_pointer (&fault.outside, g_free);
  g_clear_pointer (&fault.beside, g_free);
  g_clear_pointer (&fault.part, g_free);
}

static void
assert_refused (const int *errors, What what)
{
  /* A move from what may be changed to what may not is told as one between file systems. */
  if (errors[what] != EACCES && (what != MOVE_OUT || errors[what] != EXDEV))
    g_error ("attempt %d: %s", (int)what,
             errors[what] < 0 ? "not made" : g_strerror (errors[what]));
}

/* Neither thread gets out of what is its own, and the transfer arrives. */
static void
test_threads (Fixture *f, gconstpointer data)
{
  if (skip_without_landlock ())
    return;
  add_tree (f);
  make_manifest (f);
  arm (f);
  start (f);
  deliver (f);
  fault.on = false;
  g_assert_true (f->finished);
  for (What what = 0; what < N_ATTEMPTS; what++) {
    assert_refused (fault.writer, what);
    if (what < BESIDE_NEW || what > BESIDE_GO)
      assert_refused (fault.syncer, what);
    else
      g_assert_cmpint (fault.syncer[what], ==, 0);
  }
  assert_theirs (fault.outside);
  g_assert_cmpuint (count_names (fault.outside), ==, 2);
  assert_theirs (f->dir);
  assert_tree (f, "tree", "z.txt");
  disarm ();
}

static PhStore *
open_store (const char *profile)
{
  const PhStoreTransfer row = {.id = {0xab, 0xcd}, .incoming = true, .created_at = 1};
  PhStore *store = ph_store_open (profile, NULL);

  g_assert_nonnull (store);
  g_assert_true (ph_store_add_transfer (store, &row, NULL, NULL, NULL));
  return store;
}

static char *made_by_commit;

/* What SQLite may do beside its database at any time. */
static void
make_file (const PhStoreCheckpoint *checkpoint)
{
  if (g_file_set_contents (made_by_commit, "", 0, NULL))
    g_assert_cmpint (unlink (made_by_commit), ==, 0);
  else
    g_clear_pointer (&made_by_commit, g_free);
}

/* The syncer commits to the real store, in another folder. */
static void
test_journal (Fixture *f, gconstpointer data)
{
  g_autofree char *profile = ph_test_tmpdir ();

  if (skip_without_landlock ())
    return;
  f->store = open_store (profile);
  f->journal_folder = profile;
  f->checkpoint_bytes = 100000;
  add_tree (f);
  make_manifest (f);
  made_by_commit = g_build_filename (profile, "made", NULL);
  f->saw_commit = make_file;
  arm (f);
  start (f);
  deliver (f);
  g_assert_cmpint (f->error, ==, PH_STORAGE_OK);
  g_assert_true (f->finished);
  assert_refused (fault.syncer, OUTSIDE_NEW);
  g_assert_nonnull (made_by_commit);
  stop (f);
  disarm ();
  g_clear_pointer (&made_by_commit, g_free);
  ph_store_close (g_steal_pointer (&f->store));
}

/* Each destination has threads of its own: one folder after the other, and both at once, which are on two file
 * systems. */
static void
test_another_folder (Fixture *f, gconstpointer data)
{
  g_autofree char *first = g_strdup (f->dir);
  g_autofree char *second = ph_test_tmpdir ();
  Fixture other = {0};

  if (skip_without_landlock ())
    return;
  g_assert_cmpint (mount ("tmpfs", second, "tmpfs", 0, "size=16m"), ==, 0);
  half_way (f);
  set_up (&other, NULL);
  g_free (other.dir);
  other.dir = g_strdup (second);
  add_tree (&other);
  start (f);
  start (&other);
  deliver (&other);
  deliver (f);
  g_assert_true (other.finished);
  g_assert_true (f->finished);
  assert_tree (&other, "tree", "z.txt");
  assert_tree (f, "tree", "z.txt");
  tear_down (&other, NULL);
  stop (f);

  /* And what was begun here is accepted into there. */
  f->journal.there = false;
  g_ptr_array_set_size (f->journal.names, 0);
  g_byte_array_set_size (f->journal.digests, 0);
  g_free (f->dir);
  f->dir = g_strdup (second);
  start (f);
  deliver (f);
  g_assert_true (f->finished);
  assert_tree (f, "tree (1)", "z (1).txt");
  stop (f);
  g_assert_cmpint (umount (second), ==, 0);
}

/* After a crash between the moves, what has its place comes back: that is done before the writer is confined. And what is
 * given up goes altogether. */
static void
test_take_back_and_remove (Fixture *f, gconstpointer data)
{
  g_autofree char *tree = g_build_filename (f->dir, "z.txt", NULL);

  if (skip_without_landlock ())
    return;
  add_tree (f);
  f->journal.fail_placed = true;
  start (f);
  deliver (f);
  g_assert_cmpint (f->error, ==, PH_STORAGE_PROFILE_FULL);
  stop (f);
  f->journal.fail_placed = false;
  g_assert_cmpint (unlink (tree), ==, 0);
  start (f);
  wait_for (f, &(bool){true});
  while (f->restarts == 0)
    wait_for (f, &(bool){true});
  f->sink->klass->discard (f->sink);
  stop (f);
  g_assert_cmpuint (count_names (f->dir), ==, 0);
}

/* --- Without it ------------------------------------------------------------------------------------ */

/* Every call of Landlock's is answered so for this process, as kernels without it and sandboxes do. */
static void
forbid_landlock (int error)
{
  struct sock_filter code[] = {
      BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, nr)),
      BPF_JUMP (BPF_JMP | BPF_JGE | BPF_K, SYS_landlock_create_ruleset, 0, 2),
      BPF_JUMP (BPF_JMP | BPF_JGT | BPF_K, SYS_landlock_restrict_self, 1, 0),
      BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
      BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const struct sock_fprog program = {G_N_ELEMENTS (code), code};

  g_assert_cmpint (prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), ==, 0);
  g_assert_cmpint (prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), ==, 0);
  g_assert_cmpint (landlock_abi (), ==, -1);
  g_assert_cmpint (errno, ==, error);
}

static void
test_without (Fixture *f, gconstpointer data)
{
  if (!g_test_subprocess ()) {
    g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
    g_test_trap_assert_passed ();
    return;
  }
  forbid_landlock (GPOINTER_TO_INT (data));
  add_tree (f);
  start (f);
  deliver (f);
  g_assert_true (f->finished);
  assert_tree (f, "tree", "z.txt");
}

#define ADD(name, data, func)                                                                      \
  g_test_add ("/file-sink-confined/" name, Fixture, GINT_TO_POINTER (data), set_up, func, tear_down)

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  ADD ("threads", 0, test_threads);
  ADD ("journal", 0, test_journal);
  ADD ("another-folder", 0, test_another_folder);
  ADD ("take-back-and-remove", 0, test_take_back_and_remove);
  ADD ("old-kernel", ENOSYS, test_without);
  ADD ("switched-off", EOPNOTSUPP, test_without);
  ADD ("sandbox", EPERM, test_without);
  return g_test_run ();
}
