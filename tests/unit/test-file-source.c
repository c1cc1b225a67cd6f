/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file source: every byte once and in order, resumed, and never a byte of what was not offered. */

#include "app/engine/ph-file-source.h"
#include "app/engine/ph-scan.h"
#include "tests/support/ph-test.h"

#include <nettle/sha2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utime.h>

typedef struct {
  GMutex lock;
  GCond cond;
  bool ready;
} Waiter;

static void
on_ready (void *user)
{
  Waiter *waiter = user;

  g_mutex_lock (&waiter->lock);
  waiter->ready = true;
  g_cond_signal (&waiter->cond);
  g_mutex_unlock (&waiter->lock);
}

static PhSourceResult
take (PhSource *source, Waiter *waiter, PhSourceChunk *chunk)
{
  for (;;) {
    const PhSourceResult result = source->klass->take (source, chunk);

    if (result != PH_SOURCE_WAIT)
      return result;
    g_mutex_lock (&waiter->lock);
    while (!waiter->ready)
      g_cond_wait (&waiter->cond, &waiter->lock);
    waiter->ready = false;
    g_mutex_unlock (&waiter->lock);
  }
}

/* Bytes that tell where they are. */
static GBytes *
pattern (size_t len, uint8_t salt)
{
  uint8_t *data = g_malloc (len);

  for (size_t i = 0; i < len; i++)
    data[i] = (uint8_t)(i * 7 + (i >> 9) + salt);
  return g_bytes_new_take (data, len);
}

static char *
put (const char *dir, const char *name, GBytes *bytes)
{
  char *path = g_build_filename (dir, name, NULL);
  g_autofree char *parent = g_path_get_dirname (path);
  gsize len;
  const char *data = g_bytes_get_data (bytes, &len);

  g_assert_cmpint (g_mkdir_with_parents (parent, 0755), ==, 0);
  g_assert_true (g_file_set_contents (path, data != NULL ? data : "", (gssize)len, NULL));
  return path;
}

static void
digest_of (const void *data, size_t len, uint8_t out[32])
{
  struct sha256_ctx sha;

  sha256_init (&sha);
  sha256_update (&sha, len, data);
  sha256_digest (&sha, 32, out);
}

typedef struct {
  char *dir;
  char *tree;
  char *big; /* path of the big file */
  GBytes *big_bytes;
  PhScanResult *scan;
  Waiter waiter;
  PhSource *source;
} Fixture;

#define BIG_LEN (12u << 20)

/* tree/0..299 (each its number of bytes), tree/big, tree/empty folder, tree/sub/one. */
static void
set_up (Fixture *f, gconstpointer data)
{
  f->dir = ph_test_tmpdir ();
  f->tree = g_build_filename (f->dir, "tree", NULL);
  for (unsigned i = 0; i < 300; i++) {
    g_autoptr (GBytes) bytes = pattern (i, (uint8_t)i);
    g_autofree char *name = g_strdup_printf ("tree/%03u", i);
    g_autofree char *path = put (f->dir, name, bytes);
  }
  f->big_bytes = pattern (BIG_LEN, 3);
  f->big = put (f->dir, "tree/big", f->big_bytes);

  g_autofree char *empty = g_build_filename (f->tree, "empty folder", NULL);
  g_autoptr (GBytes) one = g_bytes_new_static ("1", 1);
  g_autofree char *sub = put (f->dir, "tree/sub/one", one);
  const char *const paths[] = {f->tree, NULL};

  g_assert_cmpint (g_mkdir_with_parents (empty, 0755), ==, 0);
  f->scan = ph_scan_paths (paths);
  g_assert_cmpint (f->scan->status, ==, PH_SCAN_OK);
}

static void
start_comparing (Fixture *f, uint64_t compare_first)
{
  const PhFileSourceConfig config = {.manifest = f->scan->manifest,
                                     .roots = (const char *const *)f->scan->roots,
                                     .compare_first = compare_first,
                                     .ready = on_ready,
                                     .user = &f->waiter};

  f->source = ph_file_source_new (&config);
}

static void
start (Fixture *f)
{
  start_comparing (f, 0);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  if (f->source != NULL)
    f->source->klass->free (f->source);
  ph_scan_result_free (f->scan);
  g_bytes_unref (f->big_bytes);
  g_free (f->big);
  g_free (f->tree);
  g_free (f->dir);
}

static uint32_t
index_of (Fixture *f, const char *path)
{
  for (uint32_t i = 0; i < ph_manifest_len (f->scan->manifest); i++)
    if (strcmp (ph_manifest_entry (f->scan->manifest, i)->path, path) == 0)
      return i;
  g_assert_not_reached ();
}

/* Takes everything from (`file`, `offset`) on and compares it with the disk. */
static unsigned
check_rest (Fixture *f, uint32_t file, uint64_t offset)
{
  PhSourceChunk chunk;
  PhSourceResult result;
  unsigned chunks = 0;
  g_autofree char *data = NULL;
  gsize len = 0;
  bool fresh = true;

  while ((result = take (f->source, &f->waiter, &chunk)) == PH_SOURCE_CHUNK) {
    if (fresh) {
      while (ph_manifest_entry (f->scan->manifest, file)->kind == PH_ENTRY_FOLDER)
        file++;

      g_autofree char *path =
          g_build_filename (f->dir, ph_manifest_entry (f->scan->manifest, file)->path, NULL);

      g_free (data);
      g_assert_true (g_file_get_contents (path, &data, &len, NULL));
      fresh = false;
    }
    g_assert_cmpuint (chunk.file, ==, file);
    g_assert_cmpuint (chunk.offset, ==, offset);
    g_assert_cmpuint (offset + chunk.data.len, <=, len);
    if (chunk.data.len > 0)
      g_assert_cmpmem (ph_buf_slice_data (&chunk.data), chunk.data.len, data + offset,
                       chunk.data.len);
    offset += chunk.data.len;
    /* The digest may come after the last byte. */
    g_assert_true (!chunk.end || offset == len);
    if (chunk.end) {
      uint8_t digest[32];

      digest_of (data, len, digest);
      g_assert_cmpmem (chunk.sha256, 32, digest, 32);
      file++;
      offset = 0;
      fresh = true;
    }
    chunks++;
    ph_buf_slice_clear (&chunk.data);
  }
  g_assert_cmpint (result, ==, PH_SOURCE_END);
  while (file < ph_manifest_len (f->scan->manifest)) {
    g_assert_cmpint (ph_manifest_entry (f->scan->manifest, file)->kind, ==, PH_ENTRY_FOLDER);
    file++;
  }
  return chunks;
}

static void
test_all (Fixture *f, gconstpointer data)
{
  start (f);
  /* 302 files, of which one comes in pieces. */
  g_assert_cmpuint (check_rest (f, 0, 0), >=, 301 + BIG_LEN / PH_FILE_SOURCE_CHUNK);
  g_assert_cmpint (f->source->klass->take (f->source, &(PhSourceChunk){0}), ==, PH_SOURCE_END);
  f->source->klass->seek (f->source, NULL);
  check_rest (f, 0, 0);
}

/* Small files share buffers: 300 of them fit into one. */
static void
test_shared_buffers (Fixture *f, gconstpointer data)
{
  PhSourceChunk chunks[20];

  start (f);
  for (int i = 0; i < 20; i++)
    g_assert_cmpint (take (f->source, &f->waiter, &chunks[i]), ==, PH_SOURCE_CHUNK);
  for (int i = 2; i < 20; i++)
    g_assert_true (chunks[i].data.buf == chunks[1].data.buf);
  for (int i = 0; i < 20; i++)
    ph_buf_slice_clear (&chunks[i].data);
}

/* Whoever waits is woken for half of what is read ahead, for the end of a file, or after two milliseconds. */
static void
test_woken_for_enough (Fixture *f, gconstpointer data)
{
  PhSourceResult result;
  PhSourceChunk chunk;
  uint64_t bytes = 0;
  gint64 waiting_since = 0; /* 0: it has taken since it waited */
  bool end = false;

  start (f);
  for (;;) {
    const gint64 before = g_get_monotonic_time ();

    result = f->source->klass->take (f->source, &chunk);
    if (result == PH_SOURCE_CHUNK) {
      bytes += chunk.data.len;
      end |= chunk.end;
      ph_buf_slice_clear (&chunk.data);
      continue;
    }
    if (waiting_since != 0 && !end && result == PH_SOURCE_WAIT && bytes < PH_FILE_SOURCE_AHEAD / 2)
      g_assert_cmpint (before - waiting_since, >=, 2000);
    if (result != PH_SOURCE_WAIT)
      break;
    waiting_since = before;
    bytes = 0;
    end = false;
    g_mutex_lock (&f->waiter.lock);
    while (!f->waiter.ready)
      g_cond_wait (&f->waiter.cond, &f->waiter.lock);
    f->waiter.ready = false;
    g_mutex_unlock (&f->waiter.lock);
  }
  g_assert_cmpint (result, ==, PH_SOURCE_END);
}

static void
test_resume (Fixture *f, gconstpointer data)
{
  const uint32_t big = index_of (f, "tree/big");
  static const uint64_t offsets[] = {0, 1, 1000000, BIG_LEN - 1, BIG_LEN};

  start (f);
  for (size_t i = 0; i < G_N_ELEMENTS (offsets); i++) {
    PhResumePoint point = {.file = big, .offset = offsets[i]};

    digest_of (g_bytes_get_data (f->big_bytes, NULL), offsets[i], point.prefix_sha256);
    f->source->klass->seek (f->source, &point);
    check_rest (f, big, offsets[i]);
  }

  /* A folder, and the end. */
  PhResumePoint folder = {.file = index_of (f, "tree/sub")};
  PhResumePoint end = {.file = ph_manifest_len (f->scan->manifest)};

  f->source->klass->seek (f->source, &folder);
  check_rest (f, folder.file, 0);
  f->source->klass->seek (f->source, &end);
  check_rest (f, end.file, 0);
}

static void
test_lying_resume (Fixture *f, gconstpointer data)
{
  const uint32_t big = index_of (f, "tree/big");
  PhResumePoint wrong = {.file = big, .offset = 1000000, .prefix_sha256 = {1}};
  PhResumePoint beyond = {.file = big, .offset = BIG_LEN + 1};
  PhResumePoint far_beyond = {.file = UINT32_MAX, .offset = UINT64_MAX};

  start (f);
  f->source->klass->seek (f->source, &wrong);
  check_rest (f, big, 0);
  f->source->klass->seek (f->source, &beyond);
  check_rest (f, big, 0);
  f->source->klass->seek (f->source, &far_beyond);
  g_assert_cmpint (take (f->source, &f->waiter, &(PhSourceChunk){0}), ==, PH_SOURCE_END);
}

/* A long prefix is not read before the rest is sent: what the receiver has is believed until the digest at the
 * end, which is that of the whole file, whatever the receiver said. */
static void
test_resume_at_once (Fixture *f, gconstpointer data)
{
  const uint32_t big = index_of (f, "tree/big");
  static const uint64_t offsets[] = {1001, 1000000, BIG_LEN - 1, BIG_LEN};

  start_comparing (f, 1000);
  for (size_t i = 0; i < 2 * G_N_ELEMENTS (offsets); i++) {
    PhResumePoint point = {.file = big, .offset = offsets[i / 2], .prefix_sha256 = {1}};

    if (i % 2 == 0)
      digest_of (g_bytes_get_data (f->big_bytes, NULL), offsets[i / 2], point.prefix_sha256);
    f->source->klass->seek (f->source, &point);
    check_rest (f, big, offsets[i / 2]);
  }

  PhResumePoint beyond = {.file = big, .offset = BIG_LEN + 1};
  PhResumePoint small = {.file = big, .offset = 1000, .prefix_sha256 = {1}};

  f->source->klass->seek (f->source, &beyond);
  check_rest (f, big, 0);
  f->source->klass->seek (f->source, &small);
  check_rest (f, big, 0);
}

/* Where a file that is not there in memory is as large as people send them: the first bytes of the rest come
 * while all of what is before is still unread, and who goes away then does not wait for it. */
static void
test_resume_of_huge (Fixture *f, gconstpointer data)
{
  const uint64_t size = UINT64_C (1) << 40;
  g_autofree char *path = g_build_filename (f->dir, "huge", NULL);
  const char *const paths[] = {path, NULL};
  PhResumePoint point = {.offset = size / 10 * 9};
  PhSourceChunk chunk;

  g_assert_true (g_file_set_contents (path, "", 0, NULL));
  if (truncate (path, (off_t)size) != 0) {
    g_test_skip ("no such files here");
    return;
  }
  ph_scan_result_free (f->scan);
  f->scan = ph_scan_paths (paths);
  start (f);
  for (unsigned i = 0; i < 3; i++) {
    f->source->klass->seek (f->source, &point);
    g_assert_cmpint (take (f->source, &f->waiter, &chunk), ==, PH_SOURCE_CHUNK);
    g_assert_cmpuint (chunk.offset, ==, point.offset);
    g_assert_cmpuint (chunk.data.len, >, 0);
    g_assert_false (chunk.end);
    ph_buf_slice_clear (&chunk.data);
  }

  /* All bytes are out, and only the digest is waited for: that too is given up at once. */
  point.offset = size - 1;
  f->source->klass->seek (f->source, &point);
  g_assert_cmpint (take (f->source, &f->waiter, &chunk), ==, PH_SOURCE_CHUNK);
  g_assert_cmpuint (chunk.data.len, ==, 1);
  ph_buf_slice_clear (&chunk.data);
  g_assert_cmpint (f->source->klass->take (f->source, &chunk), ==, PH_SOURCE_WAIT);
}

/* Seeks while it reads: what was read ahead for the old place never shows. */
static void
test_seek_midway (Fixture *f, gconstpointer data)
{
  PhRandomSeeded state;
  const PhRandom random = ph_test_random (&state, "seek");
  const uint32_t len = ph_manifest_len (f->scan->manifest);

  start (f);
  for (int i = 0; i < 50; i++) {
    const PhResumePoint point = {.file = (uint32_t)ph_random_below (&random, len)};
    PhSourceChunk chunk;
    uint32_t expect = point.file;

    f->source->klass->seek (f->source, &point);
    while (expect < len && ph_manifest_entry (f->scan->manifest, expect)->kind == PH_ENTRY_FOLDER)
      expect++;
    for (uint64_t n = ph_random_below (&random, 40), first = 1; n > 0; n--, first = 0) {
      if (take (f->source, &f->waiter, &chunk) != PH_SOURCE_CHUNK)
        break;
      if (first) {
        g_assert_cmpuint (chunk.file, ==, expect);
        g_assert_cmpuint (chunk.offset, ==, 0);
      }
      ph_buf_slice_clear (&chunk.data);
    }
  }
}

/* What happens to tree/big before or while it is read, and what is said then. */
static void
expect_error (Fixture *f, PhStorageError error)
{
  PhSourceChunk chunk;
  PhSourceResult result;

  while ((result = take (f->source, &f->waiter, &chunk)) == PH_SOURCE_CHUNK) {
    g_assert_false (chunk.file == index_of (f, "tree/big") && chunk.end);
    ph_buf_slice_clear (&chunk.data);
  }
  g_assert_cmpint (result, ==, PH_SOURCE_ERROR);
  g_assert_cmpint (chunk.error, ==, error);
  g_assert_cmpuint (chunk.file, ==, index_of (f, "tree/big"));
  g_assert_nonnull (strstr (chunk.message, "big"));
  g_assert_cmpint (take (f->source, &f->waiter, &chunk), ==, PH_SOURCE_ERROR);
}

static void
test_changed_before (Fixture *f, gconstpointer data)
{
  const struct utimbuf times = {1000, 1000};

  g_assert_cmpint (utime (f->big, &times), ==, 0);
  start (f);
  expect_error (f, PH_STORAGE_CHANGED);
}

/* The manifest is the only judge of how much is sent: a file that grew is not what was offered. */
static void
test_changed_midway (Fixture *f, gconstpointer data)
{
  PhSourceChunk chunk;
  const PhResumePoint point = {.file = index_of (f, "tree/big")};
  const bool shorter = GPOINTER_TO_INT (data) == 0;

  start (f);
  f->source->klass->seek (f->source, &point);
  /* Open and read up to the limit of what is read ahead, a third of it. */
  g_assert_cmpint (take (f->source, &f->waiter, &chunk), ==, PH_SOURCE_CHUNK);
  ph_buf_slice_clear (&chunk.data);
  g_assert_cmpint (truncate (f->big, shorter ? 100 : BIG_LEN + 1), ==, 0);
  expect_error (f, PH_STORAGE_CHANGED);
}

static void
test_vanished (Fixture *f, gconstpointer data)
{
  g_assert_cmpint (unlink (f->big), ==, 0);
  start (f);
  expect_error (f, PH_STORAGE_VANISHED);
}

static void
test_became_symlink (Fixture *f, gconstpointer data)
{
  g_autofree char *moved = g_strconcat (f->dir, "/moved", NULL);

  g_assert_cmpint (rename (f->big, moved), ==, 0);
  g_assert_cmpint (symlink (moved, f->big), ==, 0);
  start (f);
  expect_error (f, PH_STORAGE_UNREADABLE);
}

static void
test_became_fifo (Fixture *f, gconstpointer data)
{
  g_assert_cmpint (unlink (f->big), ==, 0);
  g_assert_cmpint (mkfifo (f->big, 0600), ==, 0);
  start (f);
  expect_error (f, PH_STORAGE_UNREADABLE);
}

/* The folder that a file is in becomes a link to another one. */
static void
test_folder_became_symlink (Fixture *f, gconstpointer data)
{
  g_autofree char *sub = g_build_filename (f->tree, "sub", NULL);
  g_autofree char *moved = g_build_filename (f->dir, "moved", NULL);
  const PhResumePoint point = {.file = index_of (f, "tree/sub/one")};
  PhSourceChunk chunk;

  g_assert_cmpint (rename (sub, moved), ==, 0);
  g_assert_cmpint (symlink (moved, sub), ==, 0);
  start (f);
  f->source->klass->seek (f->source, &point);
  g_assert_cmpint (take (f->source, &f->waiter, &chunk), ==, PH_SOURCE_ERROR);
  g_assert_cmpint (chunk.error, ==, PH_STORAGE_UNREADABLE);
}

/* Fewer roots than the manifest has top-level entries: a damaged database, not a crash. */
static void
test_missing_roots (Fixture *f, gconstpointer data)
{
  const char *const roots[] = {NULL};
  const PhFileSourceConfig config = {
      .manifest = f->scan->manifest, .roots = roots, .ready = on_ready, .user = &f->waiter};
  PhSourceChunk chunk;

  f->source = ph_file_source_new (&config);
  g_assert_cmpint (take (f->source, &f->waiter, &chunk), ==, PH_SOURCE_ERROR);
  g_assert_cmpint (chunk.error, ==, PH_STORAGE_VANISHED);
}

#define ADD(name, data, func)                                                                      \
  g_test_add ("/file-source/" name, Fixture, data, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  ADD ("all", NULL, test_all);
  ADD ("shared-buffers", NULL, test_shared_buffers);
  ADD ("woken-for-enough", NULL, test_woken_for_enough);
  ADD ("resume", NULL, test_resume);
  ADD ("lying-resume", NULL, test_lying_resume);
  ADD ("resume-at-once", NULL, test_resume_at_once);
  ADD ("resume-of-huge", NULL, test_resume_of_huge);
  ADD ("seek-midway", NULL, test_seek_midway);
  ADD ("changed-before", NULL, test_changed_before);
  ADD ("shorter-midway", GINT_TO_POINTER (0), test_changed_midway);
  ADD ("longer-midway", GINT_TO_POINTER (1), test_changed_midway);
  ADD ("vanished", NULL, test_vanished);
  ADD ("became-symlink", NULL, test_became_symlink);
  ADD ("became-fifo", NULL, test_became_fifo);
  ADD ("folder-became-symlink", NULL, test_folder_became_symlink);
  ADD ("missing-roots", NULL, test_missing_roots);
  return g_test_run ();
}
