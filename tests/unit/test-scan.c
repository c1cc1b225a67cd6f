/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From chosen paths to a manifest: what is taken, what is skipped and said (threats.md 4). */

#include "app/engine/ph-scan.h"
#include "tests/support/ph-test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char *
put (const char *dir, const char *name, const char *text)
{
  char *path = g_build_filename (dir, name, NULL);

  if (text == NULL)
    g_assert_cmpint (g_mkdir_with_parents (path, 0755), ==, 0);
  else
    g_assert_true (g_file_set_contents (path, text, -1, NULL));
  return path;
}

static const PhSkipped *
find_skipped (const PhScanResult *result, const char *suffix)
{
  for (guint i = 0; i < result->skipped->len; i++) {
    const PhSkipped *skipped = result->skipped->pdata[i];

    if (g_str_has_suffix (skipped->path, suffix))
      return skipped;
  }
  g_error ("not skipped: %s", suffix);
}

static void
test_tree (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autofree char *tree = put (dir, "tree", NULL);
  g_autofree char *b = put (tree, "b", "12345");
  g_autofree char *a = put (tree, "a/empty", NULL);
  g_autofree char *c = put (tree, "a/c", "");
  g_autofree char *other = put (dir, "single", "x");
  const char *const paths[] = {tree, other, NULL};
  g_autoptr (PhScanResult) result = ph_scan_paths (paths);
  static const char *const want[] = {"tree",         "tree/a", "tree/a/c",
                                     "tree/a/empty", "tree/b", "single"};

  g_assert_cmpint (result->status, ==, PH_SCAN_OK);
  g_assert_cmpuint (result->n_skipped, ==, 0);
  g_assert_cmpuint (ph_manifest_len (result->manifest), ==, G_N_ELEMENTS (want));
  for (uint32_t i = 0; i < G_N_ELEMENTS (want); i++)
    g_assert_cmpstr (ph_manifest_entry (result->manifest, i)->path, ==, want[i]);
  g_assert_cmpuint (ph_manifest_bytes (result->manifest), ==, 6);
  g_assert_cmpuint (ph_manifest_files (result->manifest), ==, 3);
  g_assert_cmpint (ph_manifest_entry (result->manifest, 4)->mtime_s, >, 1500000000);
  g_assert_cmpuint (g_strv_length (result->roots), ==, 2);
  g_assert_cmpstr (result->roots[0], ==, tree);
  g_assert_cmpstr (result->roots[1], ==, other);
}

static void
test_skipped (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autofree char *tree = put (dir, "tree", NULL);
  g_autofree char *part = put (tree, ".porthole-0123.part", NULL);
  g_autofree char *file = put (tree, "file", "x");
  g_autofree char *bad = put (tree, "latin\xe4", "x");
  g_autofree char *link = g_build_filename (tree, "link", NULL);
  g_autofree char *loop = g_build_filename (tree, "loop", NULL);
  g_autofree char *fifo = g_build_filename (tree, "fifo", NULL);
  g_autofree char *node = g_build_filename (tree, "node", NULL);
  g_autofree char *hard = g_build_filename (tree, "hard", NULL);
  g_autofree char *sock_path = g_build_filename (tree, "socket", NULL);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const int sock = socket (AF_UNIX, SOCK_STREAM, 0);
  const char *const paths[] = {tree, NULL};

  g_assert_cmpint (symlink ("/etc/passwd", link), ==, 0);
  g_assert_cmpint (symlink ("..", loop), ==, 0);
  g_assert_cmpint (mkfifo (fifo, 0600), ==, 0);
  /* The one device number that an ordinary user's namespace may make. */
  g_assert_cmpint (mknod (node, S_IFCHR | 0600, 0), ==, 0);
  g_assert_cmpint (linkat (AT_FDCWD, file, AT_FDCWD, hard, 0), ==, 0);
  g_strlcpy (address.sun_path, sock_path, sizeof address.sun_path);
  g_assert_cmpint (bind (sock, (struct sockaddr *)&address, sizeof address), ==, 0);

  g_autoptr (PhScanResult) result = ph_scan_paths (paths);

  close (sock);
  g_assert_cmpint (result->status, ==, PH_SCAN_OK);
  /* A hard link is a file like any other. */
  g_assert_cmpuint (ph_manifest_files (result->manifest), ==, 2);
  g_assert_cmpuint (ph_manifest_len (result->manifest), ==, 3);
  g_assert_cmpuint (result->n_skipped, ==, 7);
  g_assert_cmpint (find_skipped (result, "/link")->reason, ==, PH_SKIP_SYMLINK);
  g_assert_cmpint (find_skipped (result, "/loop")->reason, ==, PH_SKIP_SYMLINK);
  g_assert_cmpint (find_skipped (result, "/fifo")->reason, ==, PH_SKIP_SPECIAL);
  g_assert_cmpint (find_skipped (result, "/node")->reason, ==, PH_SKIP_SPECIAL);
  g_assert_cmpint (find_skipped (result, "/socket")->reason, ==, PH_SKIP_SPECIAL);
  g_assert_cmpint (find_skipped (result, "/latin\xe4")->reason, ==, PH_SKIP_NAME);
  g_assert_cmpint (find_skipped (result, ".part")->reason, ==, PH_SKIP_PART);
}

static void
test_roots (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autofree char *one = put (dir, "one/x.txt", NULL);
  g_autofree char *two = put (dir, "two", NULL);
  g_autofree char *two_file = put (dir, "two/x.txt", "2");
  g_autofree char *latin = put (dir, "latin\xe4", "x");
  g_autofree char *link = g_build_filename (dir, "link", NULL);
  g_autofree char *slash = g_strconcat (one, "/../x.txt//", NULL);
  const char *const paths[] = {one, two_file, slash, latin, link, NULL};
  struct stat st;

  g_assert_cmpint (symlink ("two", link), ==, 0);
  g_assert_cmpint (stat (one, &st), ==, 0);

  g_autoptr (PhScanResult) result = ph_scan_paths (paths);
  static const char *const want[] = {"x.txt", "x (1).txt", "latin\xef\xbf\xbd", "link",
                                     "link/x.txt"};

  g_assert_cmpint (result->status, ==, PH_SCAN_OK);
  g_assert_cmpuint (ph_manifest_len (result->manifest), ==, G_N_ELEMENTS (want));
  for (uint32_t i = 0; i < G_N_ELEMENTS (want); i++)
    g_assert_cmpstr (ph_manifest_entry (result->manifest, i)->path, ==, want[i]);
  g_assert_cmpuint (g_strv_length (result->roots), ==, 4);
  g_assert_cmpstr (result->roots[3], ==, two);
}

static void
test_refused (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autofree char *fifo = g_build_filename (dir, "fifo", NULL);
  g_autofree char *dangling = g_build_filename (dir, "dangling", NULL);
  g_autofree char *file = put (dir, "file", "x");
  g_autofree char *below = g_build_filename (file, "below", NULL);

  g_assert_cmpint (mkfifo (fifo, 0600), ==, 0);
  g_assert_cmpint (symlink ("nowhere", dangling), ==, 0);

  const struct {
    const char *path;
    PhScanStatus status;
  } cases[] = {
      {"/nowhere/at/all", PH_SCAN_MISSING},
      {dangling, PH_SCAN_MISSING},
      {below, PH_SCAN_MISSING},
      {fifo, PH_SCAN_REFUSED},
      {"/proc", PH_SCAN_REFUSED},
      {"/proc/self/status", PH_SCAN_REFUSED},
      {"/dev/zero", PH_SCAN_REFUSED},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    const char *const paths[] = {file, cases[i].path, NULL};
    g_autoptr (PhScanResult) result = ph_scan_paths (paths);

    g_assert_cmpint (result->status, ==, cases[i].status);
    g_assert_cmpstr (result->failed_path, ==, cases[i].path);
    g_assert_null (result->manifest);
    g_assert_null (result->roots);
  }
}

/* Permissions bite for an ordinary user only: a child becomes one. */
static void
test_unreadable (void)
{
  if (!g_test_subprocess ()) {
    g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_INHERIT_STDERR);
    g_test_trap_assert_passed ();
    return;
  }

  g_autofree char *dir = ph_test_tmpdir ();
  g_autofree char *tree = put (dir, "tree", NULL);
  g_autofree char *secret = put (tree, "secret", "x");
  g_autofree char *closed = put (tree, "closed", NULL);
  const char *const paths[] = {tree, NULL};

  g_assert_cmpint (chmod (dir, 0777), ==, 0);
  g_assert_cmpint (chmod (secret, 0), ==, 0);
  g_assert_cmpint (chmod (closed, 0), ==, 0);
  if (geteuid () == 0)
    g_assert_cmpint (seteuid (12345), ==, 0);

  g_autoptr (PhScanResult) result = ph_scan_paths (paths);
  const char *const closed_paths[] = {closed, NULL};
  g_autoptr (PhScanResult) refused = ph_scan_paths (closed_paths);

  g_assert_cmpint (result->status, ==, PH_SCAN_OK);
  g_assert_cmpuint (ph_manifest_len (result->manifest), ==, 1);
  g_assert_cmpuint (result->n_skipped, ==, 2);
  g_assert_cmpint (find_skipped (result, "/secret")->error, ==, EACCES);
  g_assert_cmpint (find_skipped (result, "/closed")->reason, ==, PH_SKIP_UNREADABLE);
  g_assert_cmpint (refused->status, ==, PH_SCAN_REFUSED);
  g_assert_cmpint (refused->error, ==, EACCES);
  if (getuid () == 0)
    g_assert_cmpint (seteuid (0), ==, 0);
}

static void
test_too_deep (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autoptr (GString) path = g_string_new (dir);
  const char *const paths[] = {dir, NULL};

  for (unsigned i = 0; i < PH_MANIFEST_DEPTH_MAX + 10; i++)
    g_string_append (path, "/d");
  g_assert_cmpint (g_mkdir_with_parents (path->str, 0755), ==, 0);

  g_autoptr (PhScanResult) result = ph_scan_paths (paths);

  g_assert_cmpint (result->status, ==, PH_SCAN_OK);
  g_assert_cmpuint (ph_manifest_len (result->manifest), ==, PH_MANIFEST_DEPTH_MAX);
  g_assert_cmpuint (result->n_skipped, ==, 1);
}

typedef struct {
  GMutex lock;
  GCond cond;
  unsigned calls;
} Ready;

static void
on_ready (void *user)
{
  Ready *ready = user;

  g_mutex_lock (&ready->lock);
  ready->calls++;
  g_cond_signal (&ready->cond);
  g_mutex_unlock (&ready->lock);
}

static void
test_thread (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  const char *const paths[] = {dir, NULL};
  Ready ready = {0};

  for (unsigned i = 0; i < 300; i++) {
    g_autofree char *name = g_strdup_printf ("file %u", i);
    g_autofree char *path = put (dir, name, "x");
  }

  g_autoptr (PhScan) scan = ph_scan_start (paths, on_ready, &ready);

  g_mutex_lock (&ready.lock);
  while (ready.calls == 0)
    g_cond_wait (&ready.cond, &ready.lock);
  g_mutex_unlock (&ready.lock);

  g_autoptr (PhScanResult) result = ph_scan_take (scan);

  g_assert_cmpint (result->status, ==, PH_SCAN_OK);
  g_assert_cmpuint (ph_scan_seen (scan), ==, 301);
  g_assert_null (ph_scan_take (scan));
  g_clear_pointer (&scan, ph_scan_free);
  g_assert_cmpuint (ready.calls, ==, 1);

  /* Cancelled or through: freeing at once never hangs, and `ready` has been called once. */
  scan = ph_scan_start (paths, on_ready, &ready);
  g_clear_pointer (&scan, ph_scan_free);
  g_assert_cmpuint (ready.calls, ==, 2);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/scan/tree", test_tree);
  g_test_add_func ("/scan/skipped", test_skipped);
  g_test_add_func ("/scan/roots", test_roots);
  g_test_add_func ("/scan/refused", test_refused);
  g_test_add_func ("/scan/unreadable", test_unreadable);
  g_test_add_func ("/scan/too-deep", test_too_deep);
  g_test_add_func ("/scan/thread", test_thread);
  return g_test_run ();
}
