/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A sink with a journal in memory and a sender that knows every byte, for the tests of the sink. */

#pragma once

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
  PhStoreError fail_code; /* 0 is one that no commit gives: PH_STORE_ERROR_NO_SPACE */
  bool fail_placed;
  char *take_name; /* a file that somebody makes just after the names were chosen */
} Journal;

static inline bool
journal_commit (void *user, const PhStoreCheckpoint *checkpoint, GError **error)
{
  Journal *journal = user;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&journal->lock);

  if (journal->fail || (journal->fail_placed && checkpoint->stage == PH_STORE_PLACED)) {
    g_set_error_literal (error, PH_STORE_ERROR,
                         journal->fail_code != 0 ? journal->fail_code : PH_STORE_ERROR_NO_SPACE,
                         "it does not work");
    return false;
  }
  journal->commits++;
  journal->there = true;
  journal->last = *checkpoint;
  if (checkpoint->stage == PH_STORE_PLACING && journal->take_name != NULL) {
    g_assert_true (g_file_set_contents (journal->take_name, "mine", -1, NULL));
    g_clear_pointer (&journal->take_name, g_free);
  }
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
  PhStore *store; /* where there is one, it is the journal */
  const char *journal_folder; /* and this is where it is */
  uint64_t checkpoint_bytes;
  void (*saw_event) (const PhSinkEvent *event);
  void (*saw_commit) (const PhStoreCheckpoint *checkpoint); /* of the store; on the sink's thread */
  uint64_t (*find_inode) (uint64_t was); /* of files that were copied since the checkpoint */
  PhSink *sink;
  PhStorageError error; /* of PH_SINK_ERROR */
  char message[160];
  bool finished;
  uint64_t written;
  unsigned restarts;
  PhResumePoint durable;
  bool has_durable;
  unsigned durables;
  GMutex lock;
  GCond cond;
  bool is_ready;
  unsigned readies; /* how often the sink had something to tell */
} Fixture;

static inline void
on_ready (void *user)
{
  Fixture *f = user;

  g_mutex_lock (&f->lock);
  f->is_ready = true;
  f->readies++;
  g_cond_signal (&f->cond);
  g_mutex_unlock (&f->lock);
}

static inline void
set_up (Fixture *f, gconstpointer data)
{
  f->dir = ph_test_tmpdir ();
  f->builder = ph_manifest_builder_new ();
  f->journal.names = g_ptr_array_new_with_free_func ((GDestroyNotify)ph_store_name_free);
  f->journal.digests = g_byte_array_new ();
  umask (022);
}

static inline void
stop (Fixture *f)
{
  if (f->sink != NULL)
    f->sink->klass->free (f->sink);
  f->sink = NULL;
}

static inline void
tear_down (Fixture *f, gconstpointer data)
{
  stop (f);
  ph_manifest_builder_free (f->builder);
  ph_manifest_unref (f->manifest);
  g_ptr_array_unref (f->journal.names);
  g_byte_array_unref (f->journal.digests);
  g_free (f->dir);
}

static inline void
add (Fixture *f, const char *path, int64_t size)
{
  g_assert_true (ph_manifest_builder_add (f->builder, size < 0 ? PH_ENTRY_FOLDER : PH_ENTRY_FILE,
                                          path, size < 0 ? 0 : (uint64_t)size, 1234567890));
}

static const uint8_t transfer_id[PH_STORE_TRANSFER_LEN] = {0xab, 0xcd};

static inline bool
store_commit (void *user, const PhStoreCheckpoint *checkpoint, GError **error)
{
  Fixture *f = user;

  if (f->journal.fail_placed && checkpoint->stage == PH_STORE_PLACED) {
    g_set_error_literal (error, PH_STORE_ERROR, PH_STORE_ERROR_IO, "it does not work");
    return false;
  }
  if (!ph_store_put_checkpoint (f->store, transfer_id, checkpoint, error))
    return false;
  if (f->saw_commit != NULL)
    f->saw_commit (checkpoint);
  return true;
}

static inline void
make_manifest (Fixture *f)
{
  if (f->manifest == NULL)
    f->manifest = ph_manifest_builder_end (g_steal_pointer (&f->builder));
}

static inline void
start (Fixture *f)
{
  PhStoreCheckpoint stored;
  g_autoptr (GPtrArray) names = NULL;
  bool found = false;

  make_manifest (f);
  if (f->store != NULL) {
    g_assert_true (ph_store_get_checkpoint (f->store, transfer_id, &stored, &found, NULL));
    names = ph_store_get_names (f->store, transfer_id, NULL);
    if (f->find_inode != NULL)
      stored.part_inode = f->find_inode (stored.part_inode);
  }

  const PhFileSinkConfig config = {
      .manifest = f->manifest,
      .folder = f->dir,
      .transfer = {0xab, 0xcd},
      .checkpoint = found              ? &stored
                    : f->journal.there ? &f->journal.last
                                       : NULL,
      .names = f->store != NULL ? names : f->journal.names,
      .journal = {f->store != NULL ? store_commit : journal_commit,
                  f->store != NULL ? (gpointer)f : (gpointer)&f->journal, f->journal_folder},
      .checkpoint_bytes = f->checkpoint_bytes,
      .ready = on_ready,
      .user = f};

  f->error = PH_STORAGE_OK;
  f->finished = false;
  f->has_durable = false;
  f->sink = ph_file_sink_new (&config);
}

/* The byte that `file` has at `offset`. */
static inline uint8_t
content (uint32_t file, uint64_t offset)
{
  return (uint8_t)(offset * 5 + (offset >> 8) + file);
}

static inline void
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

static inline void
poll_events (Fixture *f)
{
  PhSinkEvent event;

  while (f->sink->klass->poll_event (f->sink, &event)) {
    if (f->saw_event != NULL)
      f->saw_event (&event);
    switch (event.type) {
    case PH_SINK_WRITTEN:
      f->written += event.bytes;
      break;
    case PH_SINK_DURABLE:
      f->durable = event.point;
      f->has_durable = true;
      f->durables++;
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
static inline void
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

static inline bool
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

static inline bool
end_file (Fixture *f, uint32_t file)
{
  uint8_t digest[32];

  digest_of (file, ph_manifest_entry (f->manifest, file)->size, digest);
  return f->sink->klass->end_file (f->sink, file, digest);
}

/* Everything from `point` on. */
static inline void
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
static inline void
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

static inline void
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

static inline unsigned
count_names (const char *dir)
{
  g_autoptr (GDir) open = g_dir_open (dir, 0, NULL);
  unsigned n = 0;

  g_assert_nonnull (open);
  while (g_dir_read_name (open) != NULL)
    n++;
  return n;
}

static inline char *
part_path (Fixture *f, const char *below)
{
  return g_build_filename (f->dir, ".porthole-abcd0000000000000000000000000000.part", below, NULL);
}

#define BIG (5 << 20)

/* 0 tree, 1 tree/big, 2 tree/empty, 3 tree/none, 4 tree/sub, 5 tree/sub/a, 6 z.txt */
static inline void
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

static inline void
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

/* After the first `before` bytes somebody else takes `len` of the room; free (and unlink) the name of that file. */
static inline char *
run_out_of_room (Fixture *f, uint64_t before, gsize len)
{
  char *filler = g_build_filename (f->dir, "filler", NULL);
  g_autofree char *bytes = g_malloc0 (len);

  add_tree (f);
  start (f);
  g_assert_true (send_bytes (f, 1, 0, before, 1000));
  while (f->written < before)
    wait_for (f, &(bool){true});
  g_assert_true (g_file_set_contents (filler, bytes, (gssize)len, NULL));
  deliver (f);
  g_assert_cmpint (f->error, ==, PH_STORAGE_NO_SPACE);
  return filler;
}

/* Stops with half of the big file there. */
static inline void
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
