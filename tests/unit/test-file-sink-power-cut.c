/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The power goes, at every moment of a transfer: what was told to be durable before is there after it, byte by
 * byte, a receipt means whole files in their places, and the transfer goes on (threats.md 7, 12).
 *
 * One transfer is received with the real sink and the real store, and every write and sync of both is
 * recorded (power-log.h), with marks where something was promised. Then, for every prefix of that, the
 * folders are made as the cut may have left them, and looked at before and after the sink takes them up. */

#include "tests/unit/file-sink-fixture.h"
#include "tests/unit/power-log.h"

#include <ftw.h>

#define CHECKPOINT_BYTES 60000u
#define PORTION 30000u
#define SMALL_FILES 20u

/* With the sanitizers only some of the prefixes that no sync ends: it is that much slower. */
#ifdef __SANITIZE_ADDRESS__
#define STRIDE 5u
#else
#define STRIDE 1u
#endif

enum {
  MARK_COMMITTED, /* a checkpoint: from here on it may be told */
  MARK_TOLD, /* the sender was told that this is durable */
  MARK_RECEIPT, /* the sender was told that all is there */
};

typedef enum {
  FROM_NOTHING,
  FROM_GAP, /* the receiver ended half way, and comes back to find that the first file is gone */
  FROM_PLACING, /* while things were moved, the receiver ended; it comes back and finds that some are gone */
} Start;

/* What was there before, under a name that comes. */
static const char mine[] = "mine";

/* --- The recording ------------------------------------------------------------------------------- */

/* 0 a-large, 1 b, 2 b/empty, 3 b/nothing, 4 b/one, 5 b/sub, 6 b/sub/deep, 7 c, 8... c/NN, last z.txt.
 * More small ones than are synced one by one. */
static void
add_all (Fixture *f)
{
  add (f, "a-large", 170000);
  add (f, "b", -1);
  add (f, "b/empty", 0);
  add (f, "b/nothing", -1);
  add (f, "b/one", 5000);
  add (f, "b/sub", -1);
  add (f, "b/sub/deep", 70000);
  add (f, "c", -1);
  for (unsigned i = 0; i < SMALL_FILES; i++) {
    g_autofree char *name = g_strdup_printf ("c/%02u", i);

    add (f, name, i * 41 % 300);
  }
  add (f, "z.txt", 65000);
}

static void
saw_event (const PhSinkEvent *event)
{
  if (event->type == PH_SINK_DURABLE)
    power_log_mark (MARK_TOLD, &event->point);
  else if (event->type == PH_SINK_FINISHED)
    power_log_mark (MARK_RECEIPT, NULL);
}

static void
saw_commit (const PhStoreCheckpoint *checkpoint)
{
  const PhResumePoint point = {.file = checkpoint->file, .offset = checkpoint->offset};

  power_log_mark (MARK_COMMITTED, &point);
}

static void
wait_until_written (Fixture *f, uint64_t bytes)
{
  while (f->written < bytes) {
    g_assert_cmpint (f->error, ==, PH_STORAGE_OK);
    wait_for (f, &(bool){true});
  }
}

/* So that the sink does the same in the same order whenever this runs: it never has more to do than one thing,
 * and checkpoints come by size. */
static void
send_all (Fixture *f)
{
  uint64_t given = 0, since = 0;

  for (uint32_t i = 0; i < ph_manifest_len (f->manifest); i++) {
    const PhEntry *entry = ph_manifest_entry (f->manifest, i);

    if (entry->kind != PH_ENTRY_FILE)
      continue;
    for (uint64_t at = 0; at < entry->size;) {
      const uint64_t n = MIN (entry->size - at, PORTION);
      const unsigned had = f->durables;

      g_assert_true (send_bytes (f, i, at, at + n, n));
      at += n;
      given += n;
      since += n;
      wait_until_written (f, given);
      while (since >= CHECKPOINT_BYTES && f->durables == had)
        wait_for (f, &(bool){true});
      if (f->durables != had)
        since = 0;
    }
    g_assert_true (end_file (f, i));
  }
  g_assert_true (f->sink->klass->finish (f->sink));
}

static int
remove_one (const char *path, const struct stat *st, int type, struct FTW *at)
{
  return remove (path);
}

static PhStore *
open_store (const char *profile)
{
  g_autoptr (GError) error = NULL;
  PhStore *store = ph_store_open (profile, &error);

  g_assert_no_error (error);
  return store;
}

static void
add_row (Fixture *f, const char *profile)
{
  g_autoptr (GBytes) encoded = ph_manifest_encode (f->manifest);
  g_autoptr (PhStore) store = open_store (profile);
  PhStoreTransfer row = {.incoming = true, .state = PH_STORE_ACTIVE, .created_at = 1};

  memcpy (row.id, transfer_id, sizeof row.id);
  g_assert_true (ph_store_add_transfer (store, &row, encoded, NULL, NULL));
}

static void
store_receipt (Fixture *f)
{
  g_autoptr (GBytes) receipt = g_bytes_new (ph_manifest_digest (f->manifest), PH_SHA256_LEN);
  const PhStoreResult result = {.state = PH_STORE_DELIVERED,
                                .code = "",
                                .bytes_done = ph_manifest_bytes (f->manifest),
                                .finished_at = 2,
                                .receipt = receipt};

  g_assert_true (ph_store_finish_transfer (f->store, transfer_id, &result, NULL));
}

/* Everything got its place, which was not committed any more, and then somebody took the folder b away. */
static void
end_before_last_commit (Fixture *f, const char *profile)
{
  g_autofree char *b = g_build_filename (f->dir, "b", NULL);

  f->store = open_store (profile);
  f->journal.fail_placed = true;
  start (f);
  deliver (f);
  g_assert_cmpint (f->error, ==, PH_STORAGE_PROFILE);
  stop (f);
  f->journal.fail_placed = false;
  g_clear_pointer (&f->store, ph_store_close);
  g_assert_cmpint (nftw (b, remove_one, 16, FTW_DEPTH | FTW_PHYS), ==, 0);
}

static void
end_half_way (Fixture *f, const char *profile)
{
  g_autofree char *first = part_path (f, "a-large");

  f->store = open_store (profile);
  start (f);
  g_assert_true (send_bytes (f, 0, 0, 170000, PORTION));
  g_assert_true (end_file (f, 0));
  g_assert_true (end_file (f, 2));
  g_assert_true (send_bytes (f, 4, 0, 5000, PORTION));
  g_assert_true (end_file (f, 4));
  g_assert_true (send_bytes (f, 6, 0, 30000, PORTION));
  wait_until_written (f, 205000);
  stop (f);
  g_clear_pointer (&f->store, ph_store_close);
  g_assert_cmpint (unlink (first), ==, 0);
}

static void
record (Fixture *f, Start from)
{
  g_autofree char *profile = ph_test_tmpdir ();
  g_autofree char *taken = g_build_filename (f->dir, "z.txt", NULL);
  const char *const roots[] = {f->dir, profile};

  f->checkpoint_bytes = CHECKPOINT_BYTES;
  add_all (f);
  make_manifest (f);
  add_row (f, profile);
  g_assert_true (g_file_set_contents (taken, mine, -1, NULL));
  if (from == FROM_PLACING)
    end_before_last_commit (f, profile);
  else if (from == FROM_GAP)
    end_half_way (f, profile);

  power_log_start (roots);
  f->store = open_store (profile);
  f->journal_folder = profile;
  f->saw_event = saw_event;
  f->saw_commit = saw_commit;
  start (f);
  if (from != FROM_NOTHING) {
    deliver (f);
    g_assert_cmpuint (f->restarts, ==, 1);
  } else {
    send_all (f);
    wait_for (f, &f->finished);
  }
  g_assert_true (f->finished);
  store_receipt (f);
  stop (f);
  g_clear_pointer (&f->store, ph_store_close);
  power_log_stop ();
}

/* --- The cut ------------------------------------------------------------------------------------- */

/* What was promised in the first `n`. */
typedef struct {
  PhResumePoint durable;
  bool committed; /* a checkpoint */
  bool receipt;
} Promise;

static bool
is_before (const PhResumePoint *a, const PhResumePoint *b)
{
  return a->file < b->file || (a->file == b->file && a->offset < b->offset);
}

static Promise
promised (size_t n)
{
  Promise promise = {0};

  for (size_t i = 0; i < n; i++) {
    const PowerOp *op = power_log_op (i);

    if (op->kind != POWER_MARK)
      continue;
    promise.committed |= op->mark == MARK_COMMITTED;
    if (op->mark == MARK_RECEIPT)
      promise.receipt = true;
    else if (is_before (&promise.durable, &op->point))
      promise.durable = op->point;
  }
  return promise;
}

static bool
has_bytes (Fixture *f, uint32_t file, const char *path, uint64_t len, bool whole)
{
  g_autofree char *text = NULL;
  gsize here;

  if (!g_file_get_contents (path, &text, &here, NULL) || (whole ? here != len : here < len))
    return false;
  for (uint64_t i = 0; i < len; i++)
    if ((uint8_t)text[i] != content (file, i))
      return false;
  return true;
}

/* Where the entry is once its top-level one was moved. */
static char *
place_of (Fixture *f, const GPtrArray *names, uint32_t entry)
{
  const char *path = ph_manifest_entry (f->manifest, entry)->path;
  const char *below = strchr (path, '/');
  uint32_t top = entry;
  const char *name = NULL;
  g_autofree char *at = NULL;

  while (ph_manifest_parent (f->manifest, top) != PH_MANIFEST_TOP)
    top = ph_manifest_parent (f->manifest, top);
  for (guint i = 0; i < names->len; i++)
    if (((PhStoreName *)names->pdata[i])->entry == top)
      name = ((PhStoreName *)names->pdata[i])->name;
  at = g_strconcat (name != NULL ? name : ph_manifest_entry (f->manifest, top)->path, below, NULL);
  return g_build_filename (f->dir, at, NULL);
}

static void
check_entry (Fixture *f, const GPtrArray *names, uint32_t entry, uint64_t len, PhStoreStage stage)
{
  const PhEntry *wanted = ph_manifest_entry (f->manifest, entry);
  g_autofree char *in_part = part_path (f, wanted->path);
  g_autofree char *placed = place_of (f, names, entry);
  bool there = false;

  for (int i = 0; i < 2 && !there; i++) {
    const char *path = i == 0 ? in_part : placed;

    if (i == 0 ? stage == PH_STORE_PLACED : stage == PH_STORE_RECEIVING)
      continue;
    there = wanted->kind == PH_ENTRY_FOLDER ? g_file_test (path, G_FILE_TEST_IS_DIR)
                                            : has_bytes (f, entry, path, len, len == wanted->size);
  }
  if (!there)
    g_error ("%s: the first %" G_GUINT64_FORMAT " bytes are not there", wanted->path, len);
}

/* What the store says is there: all of it and nothing less. Until the first checkpoint after somebody has
 * taken something away, only what is before that. */
static void
check_claims (Fixture *f, const PhStoreCheckpoint *checkpoint, const Promise *promise, Start from)
{
  g_autoptr (GPtrArray) names = ph_store_get_names (f->store, transfer_id, NULL);
  const bool some_gone = from == FROM_PLACING
                             ? checkpoint->stage == PH_STORE_PLACING && !promise->committed
                             : from == FROM_GAP && !promise->committed;

  if (some_gone) {
    if (from == FROM_PLACING)
      check_entry (f, names, 0, ph_manifest_entry (f->manifest, 0)->size, checkpoint->stage);
    return;
  }
  for (uint32_t i = 0; i < checkpoint->file; i++)
    check_entry (f, names, i, ph_manifest_entry (f->manifest, i)->size, checkpoint->stage);
  if (checkpoint->offset > 0)
    check_entry (f, names, checkpoint->file, checkpoint->offset, checkpoint->stage);
}

static void
check_whole (Fixture *f)
{
  g_autofree char *taken = g_build_filename (f->dir, "z.txt", NULL);
  g_autofree char *part = part_path (f, NULL);
  g_autofree char *nothing = g_build_filename (f->dir, "b", "nothing", NULL);
  g_autofree char *text = NULL;
  const uint32_t last = ph_manifest_len (f->manifest) - 1;

  for (uint32_t i = 0; i < last; i++)
    if (ph_manifest_entry (f->manifest, i)->kind == PH_ENTRY_FILE)
      assert_content (f, i, ph_manifest_entry (f->manifest, i)->path);
  assert_content (f, last, "z (1).txt");
  g_assert_cmpuint (count_names (nothing), ==, 0);
  g_assert_true (g_file_get_contents (taken, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, mine);
  /* The end of the partial folder waits for no sync of its own. */
  if (g_file_test (part, G_FILE_TEST_IS_DIR))
    g_assert_cmpint (rmdir (part), ==, 0);
  g_assert_cmpuint (count_names (f->dir), ==, 5);
}

static void
go_on (Fixture *f, Start from)
{
  f->error = PH_STORAGE_OK;
  f->restarts = 0;
  start (f);
  deliver (f);
  if (f->error != PH_STORAGE_OK)
    g_error ("it does not go on: %s", f->message);
  g_assert_true (f->finished);
  g_assert_cmpuint (f->restarts, <=, from != FROM_NOTHING ? 1 : 0);
  stop (f);
}

static void
look_after (Fixture *f, const Promise *promise, Start from)
{
  g_autoptr (GBytes) receipt = ph_store_get_receipt (f->store, transfer_id, 3, NULL);
  PhStoreCheckpoint checkpoint = {0};
  PhResumePoint point;
  bool found = false;

  if (receipt != NULL) {
    g_assert_true (promise->receipt);
    check_whole (f);
    return;
  }
  g_assert_true (ph_store_get_checkpoint (f->store, transfer_id, &checkpoint, &found, NULL));
  point = (PhResumePoint){.file = checkpoint.file, .offset = checkpoint.offset};
  if (is_before (&point, &promise->durable))
    g_error ("promised: %u, %" G_GUINT64_FORMAT ", noted: %u, %" G_GUINT64_FORMAT,
             promise->durable.file, promise->durable.offset, point.file, point.offset);
  check_claims (f, &checkpoint, promise, from);
  if (promise->receipt) {
    g_assert_cmpint (checkpoint.stage, ==, PH_STORE_PLACED);
    check_whole (f);
  }
  go_on (f, from);
  check_whole (f);
}

static void
cut (Fixture *f, Start from, const char *top, size_t n, PowerLoss loss, uint64_t seed)
{
  static const char *const words[] = {"all", "nothing", "some"};
  g_autofree char *profile = g_build_filename (top, "profile", NULL);
  g_autofree char *dir = g_build_filename (top, "downloads", NULL);
  const char *const roots[] = {dir, profile};
  const Promise promise = promised (n);
  PhRandomSeeded state;
  PhRandom random;

  ph_random_seeded_init (&state, seed);
  random = ph_random_seeded (&state);
  g_test_message ("after %zu of %zu, %s of what was not synced is lost (%" G_GUINT64_FORMAT ")", n,
                  power_log_len (), words[loss], seed);
  g_assert_cmpint (mkdir (dir, 0700), ==, 0);
  g_assert_cmpint (mkdir (profile, 0700), ==, 0);
  power_log_rebuild (n, loss, &random, roots);
  g_free (f->dir);
  f->dir = g_strdup (dir);
  f->store = open_store (profile);
  look_after (f, &promise, from);
  g_clear_pointer (&f->store, ph_store_close);
  nftw (profile, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  nftw (dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* What is synced, and so what is left if all else is lost, changes there only. */
static bool
is_promise_or_sync (const PowerOp *op)
{
  return op->kind == POWER_MARK || op->kind == POWER_SYNC || op->kind == POWER_SYNC_ROOT;
}

/* For whoever looks for the reason of a failure. */
static void
tell_log (void)
{
  static const char *const kinds[] = {"name", "no name", "move",     "write",
                                      "size", "sync",    "sync all", "mark"};
  static const char *const marks[] = {"committed", "told", "receipt"};

  for (size_t i = 0; i < power_log_len (); i++) {
    const PowerOp *op = power_log_op (i);

    g_test_message ("%3zu %s: node %d, in %u %s, %" G_GUINT64_FORMAT " + %zu%s%s %u", i + 1,
                    kinds[op->kind], (int)op->node, op->dir, op->name != NULL ? op->name : "-",
                    op->kind == POWER_MARK ? op->point.offset : op->offset, op->len,
                    op->kind == POWER_MARK ? ", " : "",
                    op->kind == POWER_MARK ? marks[op->mark] : "", op->point.file);
  }
}

static void
test_every_moment (Fixture *f, gconstpointer data)
{
  const bool long_run = g_strcmp0 (g_getenv ("PH_LONG"), "1") == 0;
  const unsigned mixtures = long_run ? 8 : 1;
  const Start from = (Start)GPOINTER_TO_INT (data);
  g_autofree char *top = ph_test_tmpdir ();
  PhRandomSeeded state;
  const PhRandom random = ph_test_random (&state, "power");

  record (f, from);
  f->saw_event = NULL;
  f->saw_commit = NULL;
  f->find_inode = power_log_inode;
  tell_log ();
  g_assert_true (promised (power_log_len ()).receipt);
  for (size_t n = 0; n <= power_log_len (); n++) {
    if (n == 0 || is_promise_or_sync (power_log_op (n - 1)))
      cut (f, from, top, n, POWER_LOSE_ALL, 0);
    if (n % STRIDE != 0)
      continue;
    cut (f, from, top, n, POWER_LOSE_NONE, 0);
    for (unsigned i = 0; i < mixtures; i++)
      cut (f, from, top, n, POWER_LOSE_SOME, ph_random_u64 (&random));
  }
  power_log_free ();
}

int
main (int argc, char **argv)
{
  /* A thousand times some folders: on a disk that others use as well they take their time. */
  if (access ("/dev/shm", W_OK | X_OK) == 0)
    g_setenv ("TMPDIR", "/dev/shm", TRUE);
  ph_test_init (&argc, &argv);
  g_test_add ("/file-sink-power-cut/receiving", Fixture, GINT_TO_POINTER (FROM_NOTHING), set_up,
              test_every_moment, tear_down);
  g_test_add ("/file-sink-power-cut/starting-over", Fixture, GINT_TO_POINTER (FROM_GAP), set_up,
              test_every_moment, tear_down);
  g_test_add ("/file-sink-power-cut/taking-back", Fixture, GINT_TO_POINTER (FROM_PLACING), set_up,
              test_every_moment, tear_down);
  return g_test_run ();
}
