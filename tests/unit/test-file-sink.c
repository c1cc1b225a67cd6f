/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file sink: what arrives is whole or not there, and goes on where it was (threats.md 2, 5, 12). Attacks
 * and a machine that fails are in test-file-sink-faults.c, kills in test-file-sink-crash.c. */

#include "tests/unit/file-sink-fixture.h"

/* --- The main road ------------------------------------------------------------------------------- */

static void
test_all (Fixture *f, gconstpointer data)
{
  struct stat st;

  add_tree (f);
  start (f);
  deliver (f);
  g_assert_cmpint (f->error, ==, PH_STORAGE_OK);
  assert_tree (f, "tree", "z.txt");
  g_assert_cmpuint (count_names (f->dir), ==, 2);
  g_assert_cmpuint (f->written, ==, ph_manifest_bytes (f->manifest));
  g_assert_cmpint (f->journal.last.stage, ==, PH_STORE_PLACED);
  g_assert_cmpuint (f->journal.names->len, ==, 0);
  g_assert_cmpuint (f->journal.digests->len, ==, 7 * 32);
  g_assert_cmpuint (f->durable.file, ==, 7);

  static const struct {
    const char *path;
    mode_t mode;
  } modes[] = {
      {"tree", 0755}, {"tree/sub", 0755}, {"tree/none", 0755}, {"tree/big", 0644}, {"z.txt", 0644}};

  for (size_t i = 0; i < G_N_ELEMENTS (modes); i++) {
    g_autofree char *path = g_build_filename (f->dir, modes[i].path, NULL);

    g_assert_cmpint (stat (path, &st), ==, 0);
    g_assert_cmpint (st.st_mode & 07777, ==, modes[i].mode);
    g_assert_cmpint (st.st_mtim.tv_sec, ==, 1234567890);
  }

  uint8_t digest[32];

  digest_of (5, 10000, digest);
  g_assert_cmpmem (f->journal.digests->data + 5 * 32, 32, digest, 32);
  f->sink->klass->discard (f->sink); /* too late: it is theirs */
  stop (f);
  assert_tree (f, "tree", "z.txt");
}

static void
test_many_small (Fixture *f, gconstpointer data)
{
  add (f, "d", -1);
  for (int i = 0; i < 2000; i++) {
    g_autofree char *name = g_strdup_printf ("d/%d", i);

    add (f, name, i % 50);
  }
  start (f);
  deliver (f);
  g_assert_true (f->finished);
  for (uint32_t i = 0; i < 2000; i++) {
    g_autofree char *name = g_strdup_printf ("d/%u", i);

    assert_content (f, i + 1, name);
  }
  /* Not one commit a file. */
  g_assert_cmpuint (f->journal.commits, <, 20);
}

static void
test_nothing_but_folders (Fixture *f, gconstpointer data)
{
  g_autofree char *b = g_build_filename (f->dir, "a", "b", NULL);

  add (f, "a", -1);
  add (f, "a/b", -1);
  start (f);
  deliver (f);
  g_assert_true (f->finished);
  g_assert_true (g_file_test (b, G_FILE_TEST_IS_DIR));
}

/* Whatever is there already stays as it is. */
static void
test_existing (Fixture *f, gconstpointer data)
{
  g_autofree char *tree = g_build_filename (f->dir, "tree", NULL);
  g_autofree char *tree1 = g_build_filename (f->dir, "tree (1)", NULL);
  g_autofree char *big = g_build_filename (tree, "big", NULL);
  g_autofree char *z = g_build_filename (f->dir, "z.txt", NULL);
  g_autofree char *text = NULL;

  g_assert_cmpint (mkdir (tree, 0700), ==, 0);
  g_assert_cmpint (mkdir (tree1, 0700), ==, 0);
  g_assert_true (g_file_set_contents (big, "mine", -1, NULL));
  g_assert_cmpint (symlink ("/nowhere", z), ==, 0);
  add_tree (f);
  start (f);
  deliver (f);
  g_assert_true (f->finished);
  assert_tree (f, "tree (2)", "z (1).txt");
  g_assert_true (g_file_get_contents (big, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, "mine");
  g_assert_cmpuint (count_names (tree), ==, 1);
  g_assert_true (g_file_test (z, G_FILE_TEST_IS_SYMLINK));
  g_assert_cmpuint (f->journal.names->len, ==, 2);
  g_assert_cmpstr (((PhStoreName *)f->journal.names->pdata[0])->name, ==, "tree (2)");
  g_assert_cmpuint (((PhStoreName *)f->journal.names->pdata[1])->entry, ==, 6);
  g_assert_cmpstr (((PhStoreName *)f->journal.names->pdata[1])->name, ==, "z (1).txt");
}

static void
test_unsafe_names (Fixture *f, gconstpointer data)
{
  add (f, ".bashrc", 3);
  add (f, "a\nb", 4);
  start (f);
  deliver (f);
  g_assert_true (f->finished);
  assert_content (f, 0, "_bashrc");
  assert_content (f, 1, "a_b");
  g_assert_cmpuint (f->journal.names->len, ==, 2);
  g_assert_cmpuint (count_names (f->dir), ==, 2);
}

static void
test_out_of_order (Fixture *f, gconstpointer data)
{
  const uint8_t digest[32] = {0};

  add_tree (f);
  start (f);
  g_assert_false (send_bytes (f, 0, 0, 1, 1)); /* a folder */
  g_assert_false (send_bytes (f, 2, 0, 1, 1)); /* not its turn */
  g_assert_false (send_bytes (f, 1, 1, 2, 1)); /* a gap */
  g_assert_false (send_bytes (f, 7, 0, 1, 1));
  g_assert_false (send_bytes (f, UINT32_MAX, 0, 1, 1));
  g_assert_false (f->sink->klass->end_file (f->sink, 1, digest));
  g_assert_false (f->sink->klass->end_file (f->sink, UINT32_MAX, digest));
  g_assert_false (f->sink->klass->finish (f->sink));
  g_assert_true (send_bytes (f, 1, 0, BIG - 1, 4096));
  g_assert_false (send_bytes (f, 1, BIG - 1, BIG + 1, 2)); /* beyond the size */
  g_assert_false (send_bytes (f, 1, UINT64_MAX - 1, UINT64_MAX, 1));
  g_assert_false (end_file (f, 1));
  g_assert_true (send_bytes (f, 1, BIG - 1, BIG, 1));
  g_assert_false (send_bytes (f, 1, BIG, BIG + 1, 1));
  deliver (f);
  g_assert_true (f->finished);
  assert_tree (f, "tree", "z.txt");
}

/* Credit for what is written comes back while more of what was queued is still to be written: a sender whose window
 * is full must not wait for the last of it. */
static void
test_told_in_parts (Fixture *f, gconstpointer data)
{
  const uint64_t size = UINT64_C (8) << 20;
  unsigned told;

  add (f, "large", (int64_t)size);
  start (f);
  /* The writer tells for the first time, and waits until all of it is there. */
  g_mutex_lock (&f->lock);
  g_assert_true (send_bytes (f, 0, 0, size, 64 << 10));
  g_mutex_unlock (&f->lock);
  while (f->written < size) {
    g_mutex_lock (&f->lock);
    while (!f->is_ready)
      g_cond_wait (&f->cond, &f->lock);
    f->is_ready = false;
    g_mutex_unlock (&f->lock);
    poll_events (f);
    g_assert_cmpint (f->error, ==, PH_STORAGE_OK);
  }
  g_mutex_lock (&f->lock);
  told = f->readies - f->durables;
  g_mutex_unlock (&f->lock);
  g_assert_cmpuint (told, >=, 4);
}

/* --- Resume -------------------------------------------------------------------------------------- */

/* The link changes again and again, and now and then the sender's prefix is another. */
static void
test_new_links (Fixture *f, gconstpointer data)
{
  PhRandomSeeded state;
  const PhRandom random = ph_test_random (&state, "links");

  add_tree (f);
  start (f);
  for (int i = 0; i < 60; i++) {
    PhResumePoint point;

    f->sink->klass->resume_point (f->sink, &point);
    if (ph_random_below (&random, 8) == 0)
      point.offset = 0;
    for (uint64_t n = ph_random_below (&random, 40); n > 0 && point.file < 7; n--) {
      const PhEntry *entry = ph_manifest_entry (f->manifest, point.file);
      const uint64_t far = point.offset + ph_random_below (&random, 100000);
      const uint64_t to = MIN (far, entry->size);

      g_assert_true (send_bytes (f, point.file, point.offset, to, 3000));
      point.offset = to;
      if (to == entry->size) {
        g_assert_true (end_file (f, point.file));
        point.offset = 0;
        do
          point.file++;
        while (point.file < 7
               && ph_manifest_entry (f->manifest, point.file)->kind == PH_ENTRY_FOLDER);
      }
    }
  }
  deliver (f);
  g_assert_cmpint (f->error, ==, PH_STORAGE_OK);
  assert_tree (f, "tree", "z.txt");
}

static void
test_stop_and_go_on (Fixture *f, gconstpointer data)
{
  PhResumePoint point;

  half_way (f);
  start (f);
  f->sink->klass->resume_point (f->sink, &point);
  g_assert_cmpuint (point.file, ==, 1);
  g_assert_cmpuint (point.offset, ==, BIG / 2);
  deliver (f);
  g_assert_true (f->finished);
  g_assert_cmpuint (f->restarts, ==, 0);
  assert_tree (f, "tree", "z.txt");
}

/* A crash after more was written than the checkpoint knows. */
static void
test_older_checkpoint (Fixture *f, gconstpointer data)
{
  g_autofree char *part = NULL;

  half_way (f);
  part = part_path (f, "tree/big");

  g_autofree char *junk = g_strnfill (100000, 'x');
  const int fd = open (part, O_WRONLY | O_APPEND);

  g_assert_cmpint (write (fd, junk, 100000), ==, 100000);
  close (fd);
  start (f);
  deliver (f);
  g_assert_true (f->finished);
  g_assert_cmpuint (f->restarts, ==, 0);
  assert_tree (f, "tree", "z.txt");
}

static void
test_part_was_edited (Fixture *f, gconstpointer data)
{
  g_autofree char *part = NULL;

  half_way (f);
  part = part_path (f, "tree/big");

  const int fd = open (part, O_WRONLY);

  g_assert_cmpint (pwrite (fd, "X", 1, 1000), ==, 1);
  close (fd);
  start (f);
  deliver (f);
  g_assert_true (f->finished);
  g_assert_cmpuint (f->restarts, ==, 1);
  assert_tree (f, "tree", "z.txt");
}

typedef enum { CUT, REMOVE, REPLACE_BY_LINK, SECOND_NAME, REMOVE_ALL } Damage;

static void
test_part_is_damaged (Fixture *f, gconstpointer data)
{
  g_autofree char *part = NULL;
  g_autofree char *all = NULL;
  g_autofree char *other = NULL;
  g_autofree char *victim = g_build_filename (f->dir, "victim", NULL);
  g_autofree char *text = NULL;

  half_way (f);
  part = part_path (f, "tree/big");
  all = part_path (f, NULL);
  other = part_path (f, "tree");
  g_assert_true (g_file_set_contents (victim, "mine", -1, NULL));
  switch ((Damage)GPOINTER_TO_INT (data)) {
  case CUT:
    g_assert_cmpint (truncate (part, 100), ==, 0);
    break;
  case REMOVE:
    g_assert_cmpint (unlink (part), ==, 0);
    break;
  case REPLACE_BY_LINK:
    g_assert_cmpint (unlink (part), ==, 0);
    g_assert_cmpint (symlink (victim, part), ==, 0);
    break;
  case SECOND_NAME:
    g_assert_cmpint (unlink (part), ==, 0);
    g_assert_cmpint (link (victim, part), ==, 0);
    break;
  case REMOVE_ALL:
    g_assert_cmpint (unlink (part), ==, 0);
    g_assert_cmpint (rmdir (other), ==, 0);
    g_assert_cmpint (rmdir (all), ==, 0);
    break;
  }
  start (f);
  deliver (f);
  g_assert_true (f->finished);
  g_assert_cmpuint (f->restarts, ==, 1);
  assert_tree (f, "tree", "z.txt");
  g_assert_true (g_file_get_contents (victim, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, "mine");
}

/* A checkpoint that makes no sense with this manifest is as good as none. */
static void
test_absurd_checkpoint (Fixture *f, gconstpointer data)
{
  add_tree (f);
  f->journal.there = true;
  f->journal.last = (PhStoreCheckpoint){.file = 1, .offset = UINT64_MAX};
  start (f);
  deliver (f);
  g_assert_true (f->finished);
  assert_tree (f, "tree", "z.txt");
}

static void
test_wrong_digest (Fixture *f, gconstpointer data)
{
  const uint8_t wrong[32] = {1};
  const bool twice = GPOINTER_TO_INT (data);
  PhResumePoint point = {0};
  bool restarted = false;

  add_tree (f);
  start (f);
  for (int i = 0; i < 1 + twice; i++) {
    g_assert_true (send_bytes (f, 1, 0, BIG, 100000));
    g_assert_true (f->sink->klass->end_file (f->sink, 1, wrong));
    /* What follows is dropped, not written behind it. */
    g_assert_true (end_file (f, 2));
    g_assert_true (send_bytes (f, 5, 0, 100, 10));
    while (f->restarts == (unsigned)i && f->error == PH_STORAGE_OK) {
      wait_for (f, &(bool){true});
    }
    if (f->error != PH_STORAGE_OK)
      break;
    restarted = true;
    f->sink->klass->resume_point (f->sink, &point);
    g_assert_cmpuint (point.file, ==, 1);
    g_assert_cmpuint (point.offset, ==, 0);
  }
  g_assert_true (restarted);
  if (twice) {
    g_assert_cmpint (f->error, ==, PH_STORAGE_MISMATCH);
    g_assert_cmpuint (f->restarts, ==, 1);
    return;
  }
  deliver (f);
  g_assert_true (f->finished);
  assert_tree (f, "tree", "z.txt");
}

/* --- Placing ------------------------------------------------------------------------------------- */

/* The process ends between the moves and their commit. */
static void
test_crash_while_placing (Fixture *f, gconstpointer data)
{
  add_tree (f);
  f->journal.fail_placed = true;
  start (f);
  deliver (f);
  g_assert_cmpint (f->error, ==, PH_STORAGE_PROFILE_FULL);
  stop (f);
  g_assert_cmpint (f->journal.last.stage, ==, PH_STORE_PLACING);

  f->journal.fail_placed = false;
  start (f);
  deliver (f);
  g_assert_true (f->finished);
  assert_tree (f, "tree", "z.txt");
  g_assert_cmpuint (count_names (f->dir), ==, 2);

  /* And once more, with everything done. */
  stop (f);
  f->journal.last.stage = PH_STORE_PLACED;
  start (f);
  deliver (f);
  g_assert_true (f->finished);
}

/* ...or between two moves, and then somebody takes the name that was meant. */
static void
test_crash_between_moves (Fixture *f, gconstpointer data)
{
  g_autofree char *part = NULL;
  g_autofree char *z_part = NULL;
  g_autofree char *z = g_build_filename (f->dir, "z.txt", NULL);

  add_tree (f);
  f->journal.fail_placed = true;
  start (f);
  deliver (f);
  stop (f);
  part = part_path (f, NULL);
  z_part = part_path (f, "z.txt");
  g_assert_cmpint (mkdir (part, 0700), ==, 0);
  g_assert_cmpint (rename (z, z_part), ==, 0);
  g_assert_true (g_file_set_contents (z, "mine", -1, NULL));

  f->journal.fail_placed = false;
  start (f);
  deliver (f);
  g_assert_true (f->finished);
  assert_tree (f, "tree", "z (1).txt");
  g_assert_cmpuint (f->journal.names->len, ==, 1);
  g_assert_cmpuint (count_names (f->dir), ==, 3);
}

static void
test_discard (Fixture *f, gconstpointer data)
{
  g_autofree char *theirs = NULL;
  g_autofree char *own = g_build_filename (f->dir, "own", NULL);

  half_way (f);
  theirs = part_path (f, "theirs");
  g_assert_true (g_file_set_contents (own, "", 0, NULL));
  if (GPOINTER_TO_INT (data) > 0)
    g_assert_true (g_file_set_contents (theirs, "", 0, NULL));
  if (GPOINTER_TO_INT (data) == 2) {
    static const uint8_t transfer[16] = {0xab, 0xcd};

    ph_file_sink_remove_parts (f->dir, transfer, f->manifest);
  } else {
    start (f);
    f->sink->klass->discard (f->sink);
    stop (f);
  }
  if (GPOINTER_TO_INT (data) == 0) {
    g_assert_cmpuint (count_names (f->dir), ==, 1);
  } else {
    g_autofree char *part = part_path (f, NULL);

    g_assert_cmpuint (count_names (f->dir), ==, 2);
    g_assert_cmpuint (count_names (part), ==, 1);
    g_assert_true (g_file_test (theirs, G_FILE_TEST_EXISTS));
  }
}

#define ADD(name, data, func)                                                                      \
  g_test_add ("/file-sink/" name, Fixture, GINT_TO_POINTER (data), set_up, func, tear_down)

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  ADD ("all", 0, test_all);
  ADD ("many-small", 0, test_many_small);
  ADD ("nothing-but-folders", 0, test_nothing_but_folders);
  ADD ("existing", 0, test_existing);
  ADD ("unsafe-names", 0, test_unsafe_names);
  ADD ("out-of-order", 0, test_out_of_order);
  ADD ("told-in-parts", 0, test_told_in_parts);
  ADD ("new-links", 0, test_new_links);
  ADD ("stop-and-go-on", 0, test_stop_and_go_on);
  ADD ("older-checkpoint", 0, test_older_checkpoint);
  ADD ("part-was-edited", 0, test_part_was_edited);
  ADD ("part-was-cut", CUT, test_part_is_damaged);
  ADD ("part-was-removed", REMOVE, test_part_is_damaged);
  ADD ("part-became-symlink", REPLACE_BY_LINK, test_part_is_damaged);
  ADD ("part-has-second-name", SECOND_NAME, test_part_is_damaged);
  ADD ("all-parts-gone", REMOVE_ALL, test_part_is_damaged);
  ADD ("absurd-checkpoint", 0, test_absurd_checkpoint);
  ADD ("wrong-digest", 0, test_wrong_digest);
  ADD ("wrong-digest-twice", 1, test_wrong_digest);
  ADD ("crash-while-placing", 0, test_crash_while_placing);
  ADD ("crash-between-moves", 0, test_crash_between_moves);
  ADD ("discard", 0, test_discard);
  ADD ("discard-not-theirs", 1, test_discard);
  ADD ("remove-parts", 2, test_discard);
  return g_test_run ();
}
