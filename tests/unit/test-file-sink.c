/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file sink: what arrives is whole or not there, and nothing else is touched (threats.md 2, 4, 5, 7,
 * 12). Power cuts and kills are in test-file-sink-crash.c. */

#include "app/engine/ph-file-sink.h"
#include "tests/support/ph-test.h"

#include <fcntl.h>
#include <nettle/sha2.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- A journal in memory ------------------------------------------------------------------------- */

typedef struct {
  GMutex lock;
  bool there;
  PhStoreCheckpoint last;
  GPtrArray *names;
  GByteArray *digests;
  unsigned commits;
  bool fail;
  bool fail_placed;
} Journal;

static bool
journal_commit (void *user, const PhStoreCheckpoint *checkpoint, GError **error)
{
  Journal *journal = user;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&journal->lock);

  if (journal->fail || (journal->fail_placed && checkpoint->stage == PH_STORE_PLACED)) {
    g_set_error_literal (error, PH_STORE_ERROR, PH_STORE_ERROR_NO_SPACE, "no room");
    return false;
  }
  journal->commits++;
  journal->there = true;
  journal->last = *checkpoint;
  if (checkpoint->n_digests > 0) {
    g_assert_cmpuint (checkpoint->digests_first * 32, <=, journal->digests->len);
    g_byte_array_set_size (journal->digests, checkpoint->digests_first * 32);
    g_byte_array_append (journal->digests, checkpoint->digests, checkpoint->n_digests * 32);
  }
  if (checkpoint->names != NULL) {
    g_ptr_array_set_size (journal->names, 0);
    for (guint i = 0; i < checkpoint->names->len; i++) {
      const PhStoreName *name = checkpoint->names->pdata[i];

      g_ptr_array_add (journal->names, ph_store_name_new (name->entry, name->name));
    }
  }
  return true;
}

/* --- A transfer ---------------------------------------------------------------------------------- */

typedef struct {
  char *dir; /* the destination */
  PhManifestBuilder *builder;
  PhManifest *manifest;
  Journal journal;
  PhSink *sink;
  PhStorageError error; /* of PH_SINK_ERROR */
  char message[160];
  bool finished;
  uint64_t written;
  unsigned restarts;
  PhResumePoint durable;
  bool has_durable;
  GMutex lock;
  GCond cond;
  bool is_ready;
} Fixture;

static void
on_ready (void *user)
{
  Fixture *f = user;

  g_mutex_lock (&f->lock);
  f->is_ready = true;
  g_cond_signal (&f->cond);
  g_mutex_unlock (&f->lock);
}

static void
set_up (Fixture *f, gconstpointer data)
{
  f->dir = ph_test_tmpdir ();
  f->builder = ph_manifest_builder_new ();
  f->journal.names = g_ptr_array_new_with_free_func ((GDestroyNotify)ph_store_name_free);
  f->journal.digests = g_byte_array_new ();
  umask (022);
}

static void
stop (Fixture *f)
{
  if (f->sink != NULL)
    f->sink->klass->free (f->sink);
  f->sink = NULL;
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  stop (f);
  ph_manifest_builder_free (f->builder);
  ph_manifest_unref (f->manifest);
  g_ptr_array_unref (f->journal.names);
  g_byte_array_unref (f->journal.digests);
  g_free (f->dir);
}

static void
add (Fixture *f, const char *path, int64_t size)
{
  g_assert_true (ph_manifest_builder_add (f->builder, size < 0 ? PH_ENTRY_FOLDER : PH_ENTRY_FILE,
                                          path, size < 0 ? 0 : (uint64_t)size, 1234567890));
}

static void
start (Fixture *f)
{
  if (f->manifest == NULL)
    f->manifest = ph_manifest_builder_end (g_steal_pointer (&f->builder));

  const PhFileSinkConfig config = {.manifest = f->manifest,
                                   .folder = f->dir,
                                   .transfer = {0xab, 0xcd},
                                   .checkpoint = f->journal.there ? &f->journal.last : NULL,
                                   .names = f->journal.names,
                                   .journal = {journal_commit, &f->journal},
                                   .ready = on_ready,
                                   .user = f};

  f->error = PH_STORAGE_OK;
  f->finished = false;
  f->has_durable = false;
  f->sink = ph_file_sink_new (&config);
}

/* The byte that `file` has at `offset`. */
static uint8_t
content (uint32_t file, uint64_t offset)
{
  return (uint8_t)(offset * 5 + (offset >> 8) + file);
}

static void
digest_of (uint32_t file, uint64_t len, uint8_t out[32])
{
  struct sha256_ctx sha;

  sha256_init (&sha);
  for (uint64_t at = 0; at < len;) {
    uint8_t buf[4096];
    const size_t n = (size_t)MIN (len - at, sizeof buf);

    for (size_t i = 0; i < n; i++)
      buf[i] = content (file, at + i);
    sha256_update (&sha, n, buf);
    at += n;
  }
  sha256_digest (&sha, 32, out);
}

static void
poll_events (Fixture *f)
{
  PhSinkEvent event;

  while (f->sink->klass->poll_event (f->sink, &event)) {
    switch (event.type) {
    case PH_SINK_WRITTEN:
      f->written += event.bytes;
      break;
    case PH_SINK_DURABLE:
      f->durable = event.point;
      f->has_durable = true;
      break;
    case PH_SINK_RESTART:
      f->restarts++;
      break;
    case PH_SINK_FINISHED:
      g_assert_false (f->finished);
      f->finished = true;
      break;
    case PH_SINK_ERROR:
      f->error = event.error;
      g_strlcpy (f->message, event.message, sizeof f->message);
      break;
    }
  }
}

/* Waits until `*what` holds or the sink failed. */
static void
wait_for (Fixture *f, const bool *what)
{
  for (;;) {
    g_mutex_lock (&f->lock);
    f->is_ready = false;
    g_mutex_unlock (&f->lock);
    poll_events (f);
    if (*what || f->error != PH_STORAGE_OK)
      return;
    g_mutex_lock (&f->lock);
    while (!f->is_ready)
      g_cond_wait (&f->cond, &f->lock);
    g_mutex_unlock (&f->lock);
  }
}

static bool
send_bytes (Fixture *f, uint32_t file, uint64_t from, uint64_t to, size_t piece)
{
  while (from < to) {
    const size_t n = (size_t)MIN (to - from, piece);
    PhBuf *buf = ph_buf_new (n);

    for (size_t i = 0; i < n; i++)
      buf->data[i] = content (file, from + i);
    if (!f->sink->klass->write (f->sink, file, from, (PhBufSlice){buf, 0, n}))
      return false;
    from += n;
  }
  return true;
}

static bool
end_file (Fixture *f, uint32_t file)
{
  uint8_t digest[32];

  digest_of (file, ph_manifest_entry (f->manifest, file)->size, digest);
  return f->sink->klass->end_file (f->sink, file, digest);
}

/* Everything from `point` on. */
static void
send_from (Fixture *f, const PhResumePoint *point)
{
  for (uint32_t i = point->file; i < ph_manifest_len (f->manifest); i++) {
    const PhEntry *entry = ph_manifest_entry (f->manifest, i);
    const uint64_t offset = i == point->file ? point->offset : 0;

    if (entry->kind != PH_ENTRY_FILE)
      continue;
    g_assert_true (send_bytes (f, i, offset, entry->size, 1200));
    g_assert_true (end_file (f, i));
  }
  g_assert_true (f->sink->klass->finish (f->sink));
}

/* Goes on where the sink says until it is finished or has failed. */
static void
deliver (Fixture *f)
{
  for (;;) {
    const unsigned restarts = f->restarts;
    PhResumePoint point;
    bool over = false;

    f->sink->klass->resume_point (f->sink, &point);
    if (point.offset > 0) {
      uint8_t digest[32];

      digest_of (point.file, point.offset, digest);
      g_assert_cmpmem (point.prefix_sha256, 32, digest, 32);
    }
    send_from (f, &point);
    while (!over) {
      g_mutex_lock (&f->lock);
      f->is_ready = false;
      g_mutex_unlock (&f->lock);
      poll_events (f);
      over = f->finished || f->error != PH_STORAGE_OK || f->restarts != restarts;
      g_mutex_lock (&f->lock);
      while (!over && !f->is_ready)
        g_cond_wait (&f->cond, &f->lock);
      g_mutex_unlock (&f->lock);
    }
    if (f->finished || f->error != PH_STORAGE_OK)
      return;
  }
}

static void
assert_content (Fixture *f, uint32_t file, const char *name)
{
  g_autofree char *path = g_build_filename (f->dir, name, NULL);
  g_autofree char *text = NULL;
  gsize len;

  g_assert_true (g_file_get_contents (path, &text, &len, NULL));
  g_assert_cmpuint (len, ==, ph_manifest_entry (f->manifest, file)->size);
  for (gsize i = 0; i < len; i++)
    if ((uint8_t)text[i] != content (file, i))
      g_error ("%s differs at %zu", name, len);
}

static unsigned
count_names (const char *dir)
{
  g_autoptr (GDir) open = g_dir_open (dir, 0, NULL);
  unsigned n = 0;

  g_assert_nonnull (open);
  while (g_dir_read_name (open) != NULL)
    n++;
  return n;
}

static char *
part_path (Fixture *f, const char *below)
{
  return g_build_filename (f->dir, ".porthole-abcd0000000000000000000000000000.part", below, NULL);
}

#define BIG (5 << 20)

/* 0 tree, 1 tree/big, 2 tree/empty, 3 tree/none, 4 tree/sub, 5 tree/sub/a, 6 z.txt */
static void
add_tree (Fixture *f)
{
  add (f, "tree", -1);
  add (f, "tree/big", BIG);
  add (f, "tree/empty", 0);
  add (f, "tree/none", -1);
  add (f, "tree/sub", -1);
  add (f, "tree/sub/a", 10000);
  add (f, "z.txt", 3);
}

static void
assert_tree (Fixture *f, const char *tree, const char *z)
{
  g_autofree char *big = g_build_filename (tree, "big", NULL);
  g_autofree char *empty = g_build_filename (tree, "empty", NULL);
  g_autofree char *a = g_build_filename (tree, "sub", "a", NULL);
  g_autofree char *none = g_build_filename (f->dir, tree, "none", NULL);

  assert_content (f, 1, big);
  assert_content (f, 2, empty);
  assert_content (f, 5, a);
  assert_content (f, 6, z);
  g_assert_cmpuint (count_names (none), ==, 0);
}

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

/* Stops with half of the big file there. */
static void
half_way (Fixture *f)
{
  add_tree (f);
  start (f);
  g_assert_true (send_bytes (f, 1, 0, BIG / 2, 5000));
  while (f->written < BIG / 2)
    wait_for (f, &(bool){true});
  stop (f);
  g_assert_true (f->journal.there);
  g_assert_cmpuint (f->journal.last.file, ==, 1);
  g_assert_cmpuint (f->journal.last.offset, ==, BIG / 2);
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
  g_assert_cmpint (f->error, ==, PH_STORAGE_NO_SPACE);
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
