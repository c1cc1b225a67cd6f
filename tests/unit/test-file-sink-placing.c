/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The receiver ends while things are moved to their places, and before it comes back somebody takes some of
 * them away: what is told to be there has been looked for, what is missing comes again, nothing comes twice
 * (threats.md 7, 12). */

#include "tests/unit/file-sink-fixture.h"

/* Everything has its place, and that was not committed any more. */
static void
end_at_last_commit (Fixture *f)
{
  f->journal.fail_placed = true;
  start (f);
  deliver (f);
  g_assert_cmpint (f->error, ==, PH_STORAGE_PROFILE_FULL);
  g_assert_cmpint (f->journal.last.stage, ==, PH_STORE_PLACING);
  stop (f);
  f->journal.fail_placed = false;
  f->written = 0;
}

static void
go_on (Fixture *f, unsigned restarts)
{
  start (f);
  deliver (f);
  g_assert_cmpint (f->error, ==, PH_STORAGE_OK);
  g_assert_true (f->finished);
  g_assert_cmpuint (f->restarts, ==, restarts);
  g_assert_cmpint (f->journal.last.stage, ==, PH_STORE_PLACED);
}

static char *
at_place (Fixture *f, const char *name)
{
  return g_build_filename (f->dir, name, NULL);
}

static void
take_away (Fixture *f, const char *name)
{
  g_autofree char *path = at_place (f, name);

  g_assert_cmpint (remove (path), ==, 0);
}

static void
take_tree_away (Fixture *f)
{
  static const char *const names[] = {"tree/sub/a", "tree/sub", "tree/none",
                                      "tree/empty", "tree/big", "tree"};

  for (size_t i = 0; i < G_N_ELEMENTS (names); i++)
    take_away (f, names[i]);
}

static void
put (Fixture *f, const char *name, const char *text)
{
  g_autofree char *path = at_place (f, name);

  g_assert_true (g_file_set_contents (path, text, -1, NULL));
}

static void
assert_text (Fixture *f, const char *name, const char *text)
{
  g_autofree char *path = at_place (f, name);
  g_autofree char *here = NULL;

  g_assert_true (g_file_get_contents (path, &here, NULL, NULL));
  g_assert_cmpstr (here, ==, text);
}

static uint64_t
inode (Fixture *f, const char *name)
{
  g_autofree char *path = at_place (f, name);
  struct stat st;

  g_assert_cmpint (stat (path, &st), ==, 0);
  return st.st_ino;
}

/* The partial folder was deleted before anything was moved, or what was moved with it. */
static void
test_all_gone (Fixture *f, gconstpointer data)
{
  add_tree (f);
  end_at_last_commit (f);
  take_tree_away (f);
  take_away (f, "z.txt");
  go_on (f, 1);
  g_assert_cmpuint (f->written, ==, ph_manifest_bytes (f->manifest));
  assert_tree (f, "tree", "z.txt");
  g_assert_cmpuint (count_names (f->dir), ==, 2);
}

/* What is there is not received again. */
static void
test_last_gone (Fixture *f, gconstpointer data)
{
  add_tree (f);
  end_at_last_commit (f);

  const uint64_t big = inode (f, "tree/big");

  take_away (f, "z.txt");
  go_on (f, 1);
  g_assert_cmpuint (f->written, ==, 3);
  assert_tree (f, "tree", "z.txt");
  g_assert_cmpuint (inode (f, "tree/big"), ==, big);
  g_assert_cmpuint (count_names (f->dir), ==, 2);
}

/* What comes after what is gone comes again, in its own place and once. */
static void
test_first_gone (Fixture *f, gconstpointer data)
{
  add_tree (f);
  end_at_last_commit (f);
  take_tree_away (f);
  go_on (f, 1);
  assert_tree (f, "tree", "z.txt");
  g_assert_cmpuint (count_names (f->dir), ==, 2);
}

/* ...but not over what the person has written into it since. */
static void
test_first_gone_next_edited (Fixture *f, gconstpointer data)
{
  add_tree (f);
  end_at_last_commit (f);
  take_tree_away (f);
  put (f, "z.txt", "new"); /* of the same size */
  go_on (f, 1);
  assert_tree (f, "tree", "z (1).txt");
  assert_text (f, "z.txt", "new");
  g_assert_cmpuint (count_names (f->dir), ==, 3);
}

static void
test_gone_inside (Fixture *f, gconstpointer data)
{
  add_tree (f);
  end_at_last_commit (f);
  take_away (f, "tree/sub/a");
  go_on (f, 1);
  assert_tree (f, "tree (1)", "z.txt");
  g_assert_cmpuint (count_names (f->dir), ==, 3);
}

static void
test_another_size (Fixture *f, gconstpointer data)
{
  add_tree (f);
  end_at_last_commit (f);
  put (f, "z.txt", "four");
  go_on (f, 1);
  assert_tree (f, "tree", "z (1).txt");
  assert_text (f, "z.txt", "four");
}

/* The place is the one that was chosen: what was there before is no proof. */
static void
test_numbered (Fixture *f, gconstpointer data)
{
  add_tree (f);
  put (f, "z.txt", "old"); /* of the same size */
  put (f, "tree", "");
  end_at_last_commit (f);
  if (GPOINTER_TO_INT (data)) {
    take_away (f, "z (1).txt");
    go_on (f, 1);
  } else {
    go_on (f, 0);
    g_assert_cmpuint (f->written, ==, 0);
  }
  assert_tree (f, "tree (1)", "z (1).txt");
  assert_text (f, "z.txt", "old");
  g_assert_cmpuint (count_names (f->dir), ==, 4);
}

/* Somebody was faster with a name, and the process ended after that. */
static void
test_name_taken_then_crash (Fixture *f, gconstpointer data)
{
  add_tree (f);
  f->journal.take_name = at_place (f, "z.txt");
  end_at_last_commit (f);
  g_assert_cmpuint (f->journal.names->len, ==, 1);
  go_on (f, 0);
  assert_tree (f, "tree", "z (1).txt");
  assert_text (f, "z.txt", "mine");
  g_assert_cmpuint (count_names (f->dir), ==, 3);
}

/* One is moved, of the other a part is missing before it was. */
static void
test_part_gone_inside (Fixture *f, gconstpointer data)
{
  g_autofree char *part = NULL;
  g_autofree char *tree_part = NULL;
  g_autofree char *tree = at_place (f, "tree");

  add_tree (f);
  end_at_last_commit (f);
  part = part_path (f, NULL);
  tree_part = part_path (f, "tree");
  take_away (f, "tree/sub/a");
  g_assert_cmpint (mkdir (part, 0700), ==, 0);
  g_assert_cmpint (rename (tree, tree_part), ==, 0);
  go_on (f, 1);
  g_assert_cmpuint (f->written, ==, 10003);
  assert_tree (f, "tree", "z.txt");
  g_assert_cmpuint (count_names (f->dir), ==, 2);
}

/* Where a move is a second name and then the end of the first one: a crash between the two. */
static void
test_between_two_names (Fixture *f, gconstpointer data)
{
  g_autofree char *part = NULL;
  g_autofree char *z_part = NULL;
  g_autofree char *z = at_place (f, "z.txt");

  add_tree (f);
  end_at_last_commit (f);
  part = part_path (f, NULL);
  z_part = part_path (f, "z.txt");
  g_assert_cmpint (mkdir (part, 0700), ==, 0);
  g_assert_cmpint (link (z, z_part), ==, 0);
  go_on (f, 0);
  assert_tree (f, "tree", "z.txt");
  g_assert_cmpuint (count_names (f->dir), ==, 2);
}

/* The disk is not mounted: nothing is delivered, and nothing is lost. */
static void
test_disk_is_away (Fixture *f, gconstpointer data)
{
  g_autofree char *away = g_strconcat (f->dir, "-away", NULL);

  add_tree (f);
  end_at_last_commit (f);
  g_assert_cmpint (rename (f->dir, away), ==, 0);
  start (f);
  deliver (f);
  g_assert_cmpint (f->error, ==, PH_STORAGE_UNWRITABLE);
  g_assert_false (f->finished);
  stop (f);
  g_assert_cmpint (f->journal.last.stage, ==, PH_STORE_PLACING);
  g_assert_cmpint (rename (away, f->dir), ==, 0);
  go_on (f, 0);
  assert_tree (f, "tree", "z.txt");
}

/* A file is taken out of the partial folder while the rest still comes: that is not a whole transfer. */
static void
test_part_gone_before_places (Fixture *f, gconstpointer data)
{
  g_autofree char *a = NULL;
  PhResumePoint point;

  add_tree (f);
  for (int i = 0; i < 40; i++) { /* more than are synced one by one */
    g_autofree char *name = g_strdup_printf ("zz%02d", i);

    add (f, name, 1);
  }
  start (f);
  f->sink->klass->resume_point (f->sink, &point);
  g_assert_true (send_bytes (f, 1, 0, BIG, 100000));
  g_assert_true (end_file (f, 1));
  g_assert_true (end_file (f, 2));
  g_assert_true (send_bytes (f, 5, 0, 10000, 10000));
  g_assert_true (end_file (f, 5));
  g_assert_true (send_bytes (f, 6, 0, 3, 3));
  while (f->written < BIG + 10003)
    wait_for (f, &(bool){true});
  a = part_path (f, "tree/sub/a");
  g_assert_cmpint (unlink (a), ==, 0);
  point = (PhResumePoint){.file = 6, .offset = 3};
  send_from (f, &point);
  wait_for (f, &f->finished);
  g_assert_false (f->finished);
  g_assert_cmpint (f->error, ==, PH_STORAGE_UNWRITABLE);
  stop (f);
  g_assert_cmpuint (count_names (f->dir), ==, 1);
  start (f);
  deliver (f);
  g_assert_true (f->finished);
  assert_tree (f, "tree", "z.txt");
  g_assert_cmpuint (count_names (f->dir), ==, 42);
}

#define ADD(name, data, func)                                                                      \
  g_test_add ("/file-sink-placing/" name, Fixture, GINT_TO_POINTER (data), set_up, func, tear_down)

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  ADD ("all-gone", 0, test_all_gone);
  ADD ("last-gone", 0, test_last_gone);
  ADD ("first-gone", 0, test_first_gone);
  ADD ("first-gone-next-edited", 0, test_first_gone_next_edited);
  ADD ("gone-inside", 0, test_gone_inside);
  ADD ("another-size", 0, test_another_size);
  ADD ("numbered", 0, test_numbered);
  ADD ("numbered-gone", 1, test_numbered);
  ADD ("name-taken-then-crash", 0, test_name_taken_then_crash);
  ADD ("part-gone-inside", 0, test_part_gone_inside);
  ADD ("between-two-names", 0, test_between_two_names);
  ADD ("disk-is-away", 0, test_disk_is_away);
  ADD ("part-gone-before-places", 0, test_part_gone_before_places);
  return g_test_run ();
}
