/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a core dump of a program with an identity holds (threats.md 11). */

#include "app/engine/ph-profile.h"
#include "tests/support/ph-test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a dump without an opened profile would show: that this test can see it. */
static const char secret[] = "in memory only, ";

static void
make_secret (char *out, size_t len)
{
  g_snprintf (out, len, "%s%d", secret, 4711);
}

/* Dies with a core dump in `dir`, with a secret on the heap. */
static void
die (const char *dir, bool with_profile)
{
  const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
  g_autofree char *profile = g_build_filename (dir, "profile", NULL);
  char *heap = g_malloc (64);

  make_secret (heap, 64);
  if (chdir (dir) != 0 || setrlimit (RLIMIT_CORE, &all) != 0)
    _exit (2);
  if (with_profile && ph_profile_open (profile, NULL) == NULL)
    _exit (3);
  signal (SIGSEGV, SIG_DFL);
  raise (SIGSEGV);
  _exit (g_str_equal (heap, "") ? 4 : 5);
}

/* NULL: nothing was dumped. */
static GBytes *
dump_of_child (bool with_profile)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autoptr (GDir) open = NULL;
  const char *name;
  const pid_t pid = fork ();
  int status;

  g_assert_cmpint (pid, >=, 0);
  if (pid == 0)
    die (dir, with_profile);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (WIFSIGNALED (status));
  open = g_dir_open (dir, 0, NULL);
  while ((name = g_dir_read_name (open)) != NULL) {
    g_autofree char *path = g_build_filename (dir, name, NULL);
    char *bytes;
    gsize len;

    if (g_str_has_prefix (name, "core") && g_file_get_contents (path, &bytes, &len, NULL))
      return g_bytes_new_take (bytes, len);
  }
  return NULL;
}

static bool
has_secret (GBytes *dump)
{
  char wanted[64];

  make_secret (wanted, sizeof wanted);
  return memmem (g_bytes_get_data (dump, NULL), g_bytes_get_size (dump), wanted, strlen (wanted))
         != NULL;
}

static void
test_filter (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autofree char *filter = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (PhProfile) profile = ph_profile_open (dir, &error);

  g_assert_no_error (error);
  g_assert_true (g_file_get_contents ("/proc/self/coredump_filter", &filter, NULL, NULL));
  g_assert_cmpuint (strtoul (filter, NULL, 16), ==, 0x10);
}

static void
test_nothing_is_dumped (void)
{
  g_autoptr (GBytes) without = dump_of_child (false);
  g_autoptr (GBytes) with = dump_of_child (true);

  if (without == NULL) {
    g_test_skip ("this system gives core dumps to a program of its own");
    return;
  }
  g_assert_true (has_secret (without));
  if (with != NULL)
    g_assert_false (has_secret (with));
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/profile-dump/nothing-is-dumped", test_nothing_is_dumped);
  g_test_add_func ("/profile-dump/filter", test_filter);
  return g_test_run ();
}
