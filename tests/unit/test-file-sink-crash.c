/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The receiver is killed again and again, mostly around its commits, and always goes on: nothing that it
 * has told to be durable is lost, and in the end everything is there once (threats.md 7). */

#include "app/engine/ph-file-sink.h"
#include "app/engine/ph-safe-name.h"
#include "tests/support/ph-test.h"

#include <nettle/sha2.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILES 60u

static const uint8_t transfer_id[PH_STORE_TRANSFER_LEN] = {7};

/* What a child is to do to itself. */
typedef struct {
  unsigned at_commit; /* the how-manieth commit... */
  bool before; /* ...before or after it is made */
  uint64_t at_bytes; /* or when so much was given to the sink; 0: never */
} Fate;

typedef struct {
  PhStore *store;
  Fate fate;
  unsigned commits;
  int report;
  unsigned durables;
  GMutex lock;
  GCond cond;
  bool is_ready;
} Child;

static PhManifest *
make_manifest (void)
{
  PhManifestBuilder *b = ph_manifest_builder_new ();

  g_assert_true (ph_manifest_builder_add (b, PH_ENTRY_FOLDER, "d", 0, 1000));
  g_assert_true (ph_manifest_builder_add (b, PH_ENTRY_FOLDER, "d/e", 0, 1000));
  for (unsigned i = 0; i < FILES; i++) {
    static const char *const folders[] = {"", "d/", "d/e/"};
    g_autofree char *path = g_strdup_printf ("%s%u.bin", folders[i % 3], i);

    g_assert_true (ph_manifest_builder_add (b, PH_ENTRY_FILE, path,
                                            i % 10 == 0  ? 700000
                                            : i % 7 == 0 ? 0
                                                         : 100 * i,
                                            1000));
  }
  return ph_manifest_builder_end (b);
}

static uint8_t
content (uint32_t file, uint64_t offset)
{
  return (uint8_t)(offset * 3 + (offset >> 9) + file);
}

static bool
commit (void *user, const PhStoreCheckpoint *checkpoint, GError **error)
{
  Child *child = user;

  if (++child->commits == child->fate.at_commit && child->fate.before)
    kill (getpid (), SIGKILL);

  const bool ok = ph_store_put_checkpoint (child->store, transfer_id, checkpoint, error);

  if (child->commits == child->fate.at_commit)
    kill (getpid (), SIGKILL);
  return ok;
}

static void
on_ready (void *user)
{
  Child *child = user;

  g_mutex_lock (&child->lock);
  child->is_ready = true;
  g_cond_signal (&child->cond);
  g_mutex_unlock (&child->lock);
}

/* Tells the parent what is durable; true when all is finished. */
static bool
poll_events (Child *child, PhSink *sink)
{
  PhSinkEvent event;

  while (sink->klass->poll_event (sink, &event)) {
    if (event.type == PH_SINK_FINISHED)
      return true;
    if (event.type == PH_SINK_ERROR || event.type == PH_SINK_RESTART)
      g_error ("%s", event.type == PH_SINK_ERROR ? event.message : "restarted");
    if (event.type == PH_SINK_DURABLE) {
      child->durables++;
      if (write (child->report, &event.point, sizeof event.point) != sizeof event.point)
        g_error ("report");
    }
  }
  return false;
}

static void
wait_ready (Child *child)
{
  g_mutex_lock (&child->lock);
  while (!child->is_ready)
    g_cond_wait (&child->cond, &child->lock);
  child->is_ready = false;
  g_mutex_unlock (&child->lock);
}

static void
send_all (Child *child, PhSink *sink, PhManifest *manifest, const PhResumePoint *point)
{
  uint64_t given = 0, paced = 0;

  for (uint32_t i = point->file; i < ph_manifest_len (manifest); i++) {
    const PhEntry *entry = ph_manifest_entry (manifest, i);
    struct sha256_ctx sha;
    uint8_t digest[32];
    g_autofree uint8_t *bytes = g_malloc (entry->size + 1);

    if (entry->kind == PH_ENTRY_FOLDER)
      continue;
    for (uint64_t at = 0; at < entry->size; at++)
      bytes[at] = content (i, at);
    sha256_init (&sha);
    sha256_update (&sha, entry->size, bytes);
    sha256_digest (&sha, 32, digest);
    for (uint64_t at = i == point->file ? point->offset : 0; at < entry->size;) {
      const size_t n = (size_t)MIN (entry->size - at, 10000);
      PhBuf *buf = ph_buf_new_copy (ph_slice (bytes + at, n));

      g_assert_true (sink->klass->write (sink, i, at, (PhBufSlice){buf, 0, n}));
      at += n;
      given += n;
      if (child->fate.at_bytes != 0 && given >= child->fate.at_bytes)
        kill (getpid (), SIGKILL);
      poll_events (child, sink);
      /* Not faster than checkpoints are made: this is about them. */
      if (given - paced > 250000) {
        const unsigned had = child->durables;

        while (child->durables == had) {
          poll_events (child, sink);
          if (child->durables == had)
            wait_ready (child);
        }
        paced = given;
      }
    }
    g_assert_true (sink->klass->end_file (sink, i, digest));
  }
  g_assert_true (sink->klass->finish (sink));
}

static void
run_child (const char *dir, const char *profile, Fate fate, int report)
{
  Child child = {.fate = fate, .report = report, .store = ph_store_open (profile, NULL)};
  PhManifest *manifest = make_manifest ();
  PhStoreCheckpoint checkpoint;
  bool found = false;
  PhResumePoint point;

  g_assert_true (ph_store_get_checkpoint (child.store, transfer_id, &checkpoint, &found, NULL));

  GPtrArray *names = ph_store_get_names (child.store, transfer_id, NULL);
  const PhFileSinkConfig config = {.manifest = manifest,
                                   .folder = dir,
                                   .transfer = {7},
                                   .checkpoint = found ? &checkpoint : NULL,
                                   .names = names,
                                   .journal = {commit, &child, profile},
                                   .checkpoint_bytes = 100000,
                                   .ready = on_ready,
                                   .user = &child};
  PhSink *sink = ph_file_sink_new (&config);

  sink->klass->resume_point (sink, &point);
  if (write (report, &point, sizeof point) != sizeof point)
    g_error ("report");
  send_all (&child, sink, manifest, &point);
  while (!poll_events (&child, sink))
    wait_ready (&child);
  _exit (0);
}

static bool
is_before (const PhResumePoint *a, const PhResumePoint *b)
{
  return a->file < b->file || (a->file == b->file && a->offset < b->offset);
}

static void
check_result (const char *dir, PhManifest *manifest)
{
  for (uint32_t i = 0; i < ph_manifest_len (manifest); i++) {
    const PhEntry *entry = ph_manifest_entry (manifest, i);
    g_autofree char *path = g_build_filename (dir, entry->path, NULL);
    g_autofree char *text = NULL;
    gsize len;

    if (entry->kind == PH_ENTRY_FOLDER)
      continue;
    g_assert_true (g_file_get_contents (path, &text, &len, NULL));
    g_assert_cmpuint (len, ==, entry->size);
    for (gsize at = 0; at < len; at++)
      if ((uint8_t)text[at] != content (i, at))
        g_error ("%s differs", entry->path);
  }

  /* And nothing but that: 20 files and a folder at the top. */
  g_autoptr (GDir) open = g_dir_open (dir, 0, NULL);
  unsigned n = 0;

  while (g_dir_read_name (open) != NULL)
    n++;
  g_assert_cmpuint (n, ==, 21);
}

/* One transfer with one kill after the other; how many it took. */
static unsigned
survive (const PhRandom *random)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autofree char *profile = ph_test_tmpdir ();
  g_autoptr (PhManifest) manifest = make_manifest ();
  g_autoptr (GBytes) encoded = ph_manifest_encode (manifest);
  PhResumePoint durable = {0};
  unsigned kills = 0;

  {
    g_autoptr (PhStore) store = ph_store_open (profile, NULL);
    const PhStoreTransfer row = {.id = {7}, .incoming = true, .created_at = 1};

    g_assert_true (ph_store_add_transfer (store, &row, encoded, NULL, NULL));
  }

  for (;; kills++) {
    const bool by_bytes = ph_random_below (random, 4) == 0;
    const Fate fate = {.at_commit = by_bytes ? 0 : 1 + (unsigned)ph_random_below (random, 6),
                       .before = ph_random_below (random, 2) == 0,
                       .at_bytes = by_bytes ? 1 + ph_random_below (random, 1000000) : 0};
    PhResumePoint point;
    int fds[2], status;
    bool first = true;

    g_assert_cmpint (pipe (fds), ==, 0);

    const pid_t pid = fork ();

    if (pid == 0) {
      close (fds[0]);
      run_child (dir, profile, fate, fds[1]);
    }
    close (fds[1]);
    while (read (fds[0], &point, sizeof point) == sizeof point) {
      /* First where it goes on, then how far it has got. */
      g_assert_false (is_before (&point, &durable));
      if (!first)
        durable = point;
      first = false;
    }
    close (fds[0]);
    g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
    if (WIFEXITED (status) && WEXITSTATUS (status) == 0)
      break;
    g_assert_true (WIFSIGNALED (status));
    g_assert_cmpint (WTERMSIG (status), ==, SIGKILL);
  }
  check_result (dir, manifest);
  return kills;
}

static void
test_kills (void)
{
  PhRandomSeeded state;
  const PhRandom random = ph_test_random (&state, "kills");
  unsigned kills = 0;

  for (int i = 0; i < 5; i++)
    kills += survive (&random);
  g_test_message ("%u kills", kills);
  g_assert_cmpuint (kills, >, 15);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/file-sink-crash/kills", test_kills);
  return g_test_run ();
}
