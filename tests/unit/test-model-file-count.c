/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Counting what a drop would send: trees, links, and trees that never end. */

#include "app/model/ph-file-count.h"
#include "tests/support/ph-test.h"

#include <glib/gstdio.h>
#include <unistd.h>

static void
done (GObject *source, GAsyncResult *result, gpointer data)
{
  *(GAsyncResult **)data = g_object_ref (result);
}

static bool
count (const char *const *paths, GCancellable *cancellable, PhFileCount *ret_count)
{
  g_autoptr (GAsyncResult) result = NULL;

  ph_file_count_async (paths, cancellable, done, &result);
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);
  return ph_file_count_finish (result, ret_count, NULL);
}

static char *
make_file (const char *folder, const char *name, gssize size)
{
  g_autofree char *bytes = g_malloc0 ((size_t)size);
  char *path = g_build_filename (folder, name, NULL);

  g_assert_true (g_file_set_contents (path, bytes, size, NULL));
  return path;
}

static void
test_tree (void)
{
  g_autofree char *top = ph_test_tmpdir ();
  g_autofree char *folder = g_build_filename (top, "folder", "deep", NULL);
  g_autofree char *link = g_build_filename (top, "folder", "link", NULL);
  g_autofree char *a = NULL, *b = NULL, *c = NULL;
  PhFileCount counted;

  g_assert_cmpint (g_mkdir_with_parents (folder, 0700), ==, 0);
  a = make_file (top, "a", 10);
  b = make_file (folder, "b", 100);
  c = make_file (folder, "empty", 0);
  /* Around in a circle: links below what was chosen are not followed. */
  g_assert_cmpint (symlink ("..", link), ==, 0);
  {
    const char *const paths[] = {top, NULL};

    g_assert_true (count (paths, NULL, &counted));
    g_assert_cmpuint (counted.files, ==, 3);
    g_assert_cmpuint (counted.bytes, ==, 110);
    g_assert_false (counted.more);
  }
  {
    const char *const paths[] = {a, link, NULL};

    /* A chosen link is what it points at. */
    g_assert_true (count (paths, NULL, &counted));
    g_assert_cmpuint (counted.files, ==, 4);
    g_assert_cmpuint (counted.bytes, ==, 120);
  }
}

static void
test_nothing (void)
{
  const char *const none[] = {NULL};
  const char *const gone[] = {"/nowhere/at/all", NULL};
  PhFileCount counted;

  g_assert_true (count (none, NULL, &counted));
  g_assert_cmpuint (counted.files, ==, 0);
  g_assert_true (count (gone, NULL, &counted));
  g_assert_cmpuint (counted.files, ==, 0);
}

/* The pointer left the target while it was counted. */
static void
test_cancelled (void)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  const char *const paths[] = {"/usr", NULL};
  PhFileCount counted;

  g_cancellable_cancel (cancellable);
  g_assert_false (count (paths, cancellable, &counted));
}

static void
test_too_deep (void)
{
  g_autofree char *top = ph_test_tmpdir ();
  g_autoptr (GString) path = g_string_new (top);
  const char *const paths[] = {top, NULL};
  PhFileCount counted;

  for (int i = 0; i < 100; i++)
    g_string_append (path, "/d");
  g_assert_cmpint (g_mkdir_with_parents (path->str, 0700), ==, 0);
  g_assert_true (count (paths, NULL, &counted));
  g_assert_true (counted.more);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/model-file-count/tree", test_tree);
  g_test_add_func ("/model-file-count/nothing", test_nothing);
  g_test_add_func ("/model-file-count/cancelled", test_cancelled);
  g_test_add_func ("/model-file-count/too-deep", test_too_deep);
  return g_test_run ();
}
