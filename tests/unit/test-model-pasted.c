/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What was pasted stays while it is being sent, however long that takes. */

#include "app/model/ph-pasted.h"
#include "tests/support/ph-test.h"

#include <glib/gstdio.h>
#include <utime.h>

#define DAY 86400

static char *
paste (const char *folder, const char *name, int days_ago)
{
  const time_t then = (time_t)(g_get_real_time () / G_USEC_PER_SEC) - days_ago * DAY;
  const struct utimbuf times = {then, then};
  g_autofree char *own = g_strdup_printf ("%s/of %s", folder, name);
  char *path = g_build_filename (own, name, NULL);

  g_assert_cmpint (g_mkdir (own, 0700), ==, 0);
  g_assert_true (g_file_set_contents (path, "x", 1, NULL));
  g_assert_cmpint (g_utime (own, (struct utimbuf *)&times), ==, 0);
  return path;
}

static void
test_needed (void)
{
  g_autofree char *folder = ph_test_tmpdir ();
  g_autofree char *waiting = paste (folder, "waiting.txt", 1000);
  g_autofree char *ended = paste (folder, "ended.txt", PH_PASTED_DAYS + 1);
  g_autofree char *fresh = paste (folder, "fresh.txt", PH_PASTED_DAYS - 1);
  g_autofree char *missing = g_build_filename (folder, "missing", NULL);
  g_autofree char *stray = g_build_filename (folder, "stray", NULL);
  g_autofree char *left = g_path_get_dirname (ended);
  g_autoptr (GHashTable) sent = g_hash_table_new (g_str_hash, g_str_equal);

  g_assert_true (g_file_set_contents (stray, "x", 1, NULL));
  g_hash_table_add (sent, (gpointer) "waiting.txt");
  ph_pasted_remove_unneeded (folder, sent);
  g_assert_true (g_file_test (waiting, G_FILE_TEST_EXISTS));
  g_assert_true (g_file_test (fresh, G_FILE_TEST_EXISTS));
  g_assert_true (g_file_test (stray, G_FILE_TEST_EXISTS));
  g_assert_false (g_file_test (left, G_FILE_TEST_EXISTS));

  /* Its transfer has ended. */
  g_hash_table_remove_all (sent);
  ph_pasted_remove_unneeded (folder, sent);
  g_assert_false (g_file_test (waiting, G_FILE_TEST_EXISTS));
  ph_pasted_remove_unneeded (missing, sent);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/pasted/needed", test_needed);
  return g_test_run ();
}
