/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a contact would like to have on this disk (docs/threats.md, 2 to 5 and 12), against a whole engine. */

#include "tests/unit/threat-world.h"

#include <glib/gstdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* --- 2: targets ---------------------------------------------------------------------------------- */

/* What a desktop would run, or read at the next login, is never where it looks for such things. */
static void
test_target (gconstpointer data)
{
  static const struct {
    const char *line, *folder, *name, *written;
  } cases[] = {
      {"dotfile", NULL, ".bashrc", "_bashrc"},
      {"dotfolder", ".ssh", "authorized_keys", "_ssh/authorized_keys"},
      {"autostart", ".config", "x.desktop", "_config/x.desktop"},
      {"desktop-file", NULL, "photo.jpg.desktop", "photo.jpg.desktop"},
      {"own-partial-folder", ".porthole-02000000000000000000000000000000.part", "x",
       "_porthole-02000000000000000000000000000000.part/x"},
  };
  const size_t i = GPOINTER_TO_SIZE (data);
  Threat *t = threat_new ();
  const char *first = cases[i].folder != NULL ? cases[i].folder : cases[i].name;
  g_autoptr (PhManifest) manifest =
      threat_manifest (first, cases[i].folder != NULL ? cases[i].name : NULL, 9);

  threat_deliver (t, 2, manifest);
  threat_assert_file (t, cases[i].written, 9);
  g_assert_cmpuint (count_entries (t->downloads), ==, 1);
  if (i == 4) {
    g_autofree char *path = g_build_filename (t->downloads, cases[i].written, NULL);
    g_autofree char *folder = g_path_get_dirname (path);

    g_assert_cmpint (g_unlink (path), ==, 0);
    g_assert_cmpint (g_rmdir (folder), ==, 0);
  }
  threat_end (t);
}

/* However lax the person's umask is, and whatever a name promises. */
static void
test_no_exec (void)
{
  static const char *const names[] = {"run.sh", "setup.run", "a.AppImage"};
  const mode_t old = umask (0);
  Threat *t = threat_new ();

  for (uint8_t i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autoptr (PhManifest) manifest = threat_manifest (names[i], NULL, 20);
    g_autofree char *path = g_build_filename (t->downloads, names[i], NULL);
    struct stat st;

    threat_deliver (t, (uint8_t)(i + 1), manifest);
    g_assert_cmpint (g_lstat (path, &st), ==, 0);
    g_assert_true (S_ISREG (st.st_mode));
    g_assert_cmpint (st.st_mode & 07111, ==, 0);
    g_assert_cmpint (st.st_uid, ==, geteuid ());
    g_assert_cmpint (listxattr (path, NULL, 0), <=, 0);
  }
  umask (old);
  threat_end (t);
}

/* There is no field for a mode, a link, a device, or an attribute, and none that could be taken for one. */
static void
test_no_modes (void)
{
  static const uint8_t kinds[] = {2, 3, 0x20, 0x41, 0x80, 0xff};
  Threat *t = threat_new ();

  for (uint8_t i = 0; i < G_N_ELEMENTS (kinds); i++) {
    const uint8_t bytes[] = {1, 0, 0, 0, 1, 0, kinds[i], 1, 'x', 5, 0};
    PhFrame declined;

    threat_offer_bytes (t, (uint8_t)(i + 1), bytes, sizeof bytes, 1, 5);
    wait_until (threat_heard (t, PH_FRAME_DECLINE, &declined) == i + 1u);
    g_assert_cmpuint (declined.decline, ==, PH_DECLINE_MALFORMED);
  }
  g_assert_cmpuint (t->offers, ==, 0);
  threat_end (t);
}

/* An archive stays one file. */
static void
test_not_unpacked (void)
{
  static const char *const names[] = {"a.zip", "a.tar.gz", "a.desktop", "a.deb"};
  Threat *t = threat_new ();

  for (uint8_t i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autoptr (PhManifest) manifest = threat_manifest (names[i], NULL, 512);

    threat_deliver (t, (uint8_t)(i + 1), manifest);
    g_assert_cmpuint (count_entries (t->downloads), ==, i + 1u);
  }
  threat_end (t);
}

/* --- 3: manifests -------------------------------------------------------------------------------- */

static void
expect_malformed (Threat *t, uint8_t id, const void *bytes, size_t len, uint32_t entries,
                  uint64_t total)
{
  const unsigned before = threat_heard (t, PH_FRAME_DECLINE, NULL);
  PhFrame declined;

  threat_offer_bytes (t, id, bytes, len, entries, total);
  wait_until (threat_heard (t, PH_FRAME_DECLINE, &declined) > before);
  g_assert_cmpuint (declined.decline, ==, PH_DECLINE_MALFORMED);
  g_assert_cmpint (threat_told (t, id)->state, ==, PH_TRANSFER_PREPARING);
  g_assert_cmpuint (count_entries (t->downloads), ==, 0);
}

#define M(line, entries, total, bytes) {line, entries, total, bytes, sizeof (bytes) - 1}
typedef struct {
  const char *line;
  uint32_t entries;
  uint64_t total;
  const char *bytes;
  size_t len;
} BadManifest;

static const BadManifest bad_manifests[] = {
    M ("duplicates", 2, 2, "\1\0\0\0\2\0\0\1f\1\0\0\0\1f\1\0"),
    M ("duplicate-file-and-folder", 2, 1, "\1\0\0\0\2\0\0\1f\1\0\0\1\1f\0"),
    M ("file-as-folder", 2, 2, "\1\0\0\0\2\0\0\1f\1\0\1\0\1g\1\0"),
    M ("inside-itself", 1, 0, "\1\0\0\0\1\1\1\1d\0"),
    M ("size-past-2-60", 1, (UINT64_C (1) << 60) + 1, "\1\0\0\0\1\0\0\1f\xd0\0\0\0\0\0\0\1\0"),
    M ("size-all-ones", 1, (UINT64_C (1) << 62) - 1,
       "\1\0\0\0\1\0\0\1f\xff\xff\xff\xff\xff\xff\xff\xff\0"),
    M ("sum-past-2-62", 5, UINT64_C (1) << 62,
       "\1\0\0\0\5"
       "\0\0\1a\xd0\0\0\0\0\0\0\0\0"
       "\0\0\1b\xd0\0\0\0\0\0\0\0\0"
       "\0\0\1c\xd0\0\0\0\0\0\0\0\0"
       "\0\0\1d\xd0\0\0\0\0\0\0\0\0"
       "\0\0\1e\1\0"),
    M ("total-too-small", 1, 4, "\1\0\0\0\1\0\0\1f\5\0"),
    M ("total-too-large", 1, 6, "\1\0\0\0\1\0\0\1f\5\0"),
    M ("entries-too-few", 0, 5, "\1\0\0\0\1\0\0\1f\5\0"),
    M ("entries-too-many", 1000000, 5, "\1\0\0\0\1\0\0\1f\5\0"),
    M ("count-of-10-million", 1, 5, "\1\0\x98\x96\x80\0\0\1f\5\0"),
    M ("count-of-all-ones", 1, 5, "\1\xff\xff\xff\xff\0\0\1f\5\0"),
    M ("more-than-said", 1, 5, "\1\0\0\0\1\0\0\1f\5\0\0\0\1g\5\0"),
    M ("version", 1, 5, "\2\0\0\0\1\0\0\1f\5\0"),
};
#undef M

static void
test_manifest (gconstpointer data)
{
  const BadManifest *bad = data;
  Threat *t = threat_new ();

  expect_malformed (t, 1, bad->bytes, bad->len, bad->entries, bad->total);
  threat_end (t);
}

/* Folders in folders, 10,000 of them, in a manifest that comes on a stream of its own. */
static void
test_depth (void)
{
  Threat *t = threat_new ();
  g_autofree uint8_t *bytes = g_malloc (10 * 10000 + 5);
  PhWriter w = ph_writer (bytes, 10 * 10000 + 5);

  ph_write_u8 (&w, 1);
  ph_write_u32 (&w, 10000);
  for (uint32_t i = 0; i < 10000; i++) {
    ph_write_varint (&w, i);
    ph_write_u8 (&w, PH_ENTRY_FOLDER);
    ph_write_u8 (&w, 1);
    ph_write_u8 (&w, 'd');
    ph_write_u8 (&w, 0);
  }
  expect_malformed (t, 1, bytes, ph_writer_len (&w), 10000, 0);
  threat_end (t);
}

/* Numbers that are none end the link before anything is made for them. */
static void
test_offer_numbers (void)
{
  Threat *t = threat_new ();
  g_autoptr (PhManifest) manifest = threat_manifest ("f", NULL, 5);

  for (unsigned i = 0; i < 6; i++) {
    PhFrame frame;

    ph_liar_fill_offer (&frame, 1, manifest);
    if (i == 0)
      frame.offer.bytes = UINT64_C (1) << 63;
    else if (i == 1)
      frame.offer.bytes = UINT64_MAX;
    else if (i == 2)
      frame.offer.entries = 10000000;
    else if (i == 3)
      frame.offer.entries = (UINT64_C (1) << 62) - 1;
    else if (i == 4)
      frame.offer.serial = 0;
    else {
      frame.offer.manifest_size = UINT64_C (1) << 61;
      frame.offer.manifest.len = 0;
    }
    ph_liar_frame (t->liar, &frame);
    threat_expect_cut (t, PH_SESSION_CODE_MALFORMED);
  }
  g_assert_cmpuint (t->offers, ==, 0);
  threat_end (t);
}

/* Names that a folding file system takes for one are two files where they are two, and no byte of either is
 * lost. Where they are one, the second gets a number: /safe-name/collisions, /file-sink-placing. */
static void
test_collisions (void)
{
  static const char *const names[] = {"a", "A", "\xc3\xa4", "a\xcc\x88", "\xc3\x84", "a.", "a (1)"};
  static const char *const written[] = {"a",        "A",     "\xc3\xa4", "a\xcc\x88",
                                        "\xc3\x84", "a (1)", "a (1) (1)"};
  PhManifestBuilder *b = ph_manifest_builder_new ();
  Threat *t = threat_new ();

  for (size_t i = 0; i < G_N_ELEMENTS (names); i++)
    g_assert_true (ph_manifest_builder_add (b, PH_ENTRY_FILE, names[i], 10 + i, 0));

  g_autoptr (PhManifest) manifest = ph_manifest_builder_end (b);

  threat_deliver (t, 1, manifest);
  g_assert_cmpuint (count_entries (t->downloads), ==, G_N_ELEMENTS (written));
  for (size_t i = 0; i < G_N_ELEMENTS (written); i++)
    threat_assert_file (t, written[i], 10 + i);
  threat_end (t);
}

/* Said when the person says yes, before the first byte; and the sender hears why. */
static void
test_no_room (void)
{
  Threat *t = threat_new ();
  g_autoptr (PhManifest) manifest = threat_manifest ("huge", NULL, PH_MANIFEST_FILE_MAX);
  PhFrame declined;

  g_assert_cmpint (mount ("tmpfs", t->downloads, "tmpfs", 0, "size=4m"), ==, 0);
  threat_offer (t, 1, manifest);
  wait_until (threat_told (t, 1)->state == PH_TRANSFER_OFFERED);
  g_assert_false (threat_command (t, PH_COMMAND_ACCEPT, 1));
  g_assert_error (t->error, PH_ENGINE_ERROR, PH_ENGINE_ERROR_NO_SPACE);
  g_assert_nonnull (strstr (t->error->message, "Make room"));
  g_assert_cmpuint (count_entries (t->downloads), ==, 0);
  g_assert_cmpuint (threat_heard (t, PH_FRAME_ACCEPT, NULL), ==, 0);
  g_assert_true (threat_command (t, PH_COMMAND_DECLINE, 1));
  wait_until (threat_heard (t, PH_FRAME_DECLINE, &declined) == 1);
  g_assert_cmpuint (declined.decline, ==, PH_DECLINE_NO_SPACE);
  g_assert_cmpint (umount (t->downloads), ==, 0);
  threat_end (t);
}

/* --- 4: the file system -------------------------------------------------------------------------- */

/* What is there stays, whatever it is; what a link points at as well. */
static void
test_existing (void)
{
  static const char *const names[] = {"file", "folder", "link", "dangling"};
  static const char *const written[] = {"file (1)", "folder (1)", "link (1)", "dangling (1)"};
  Threat *t = threat_new ();
  g_autofree char *file = g_build_filename (t->downloads, "file", NULL);
  g_autofree char *folder = g_build_filename (t->downloads, "folder", NULL);
  g_autofree char *link = g_build_filename (t->downloads, "link", NULL);
  g_autofree char *dangling = g_build_filename (t->downloads, "dangling", NULL);
  g_autofree char *made = g_build_filename (t->root, "made", NULL);
  g_autofree char *text = NULL;

  g_assert_true (g_file_set_contents (file, "mine", -1, NULL));
  g_assert_cmpint (g_mkdir (folder, 0700), ==, 0);
  g_assert_cmpint (symlink ("../secret", link), ==, 0);
  g_assert_cmpint (symlink (made, dangling), ==, 0);
  for (uint8_t i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autoptr (PhManifest) manifest = threat_manifest (names[i], NULL, 8);

    threat_deliver (t, (uint8_t)(i + 1), manifest);
    threat_assert_file (t, written[i], 8);
  }
  g_assert_true (g_file_get_contents (file, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, "mine");
  g_assert_cmpuint (count_entries (folder), ==, 0);
  g_assert_true (g_file_test (link, G_FILE_TEST_IS_SYMLINK));
  g_assert_true (g_file_test (dangling, G_FILE_TEST_IS_SYMLINK));
  g_assert_false (g_file_test (made, G_FILE_TEST_EXISTS));
  threat_end (t);
}

/* A folder of the sender's has the name of a link that leads out of here. */
static void
test_folder_meets_link (void)
{
  Threat *t = threat_new ();
  g_autofree char *link = g_build_filename (t->downloads, "sub", NULL);
  g_autoptr (PhManifest) manifest = threat_manifest ("sub", "secret", 8);

  g_assert_cmpint (symlink ("..", link), ==, 0);
  threat_deliver (t, 1, manifest);
  threat_assert_file (t, "sub (1)/secret", 8);
  threat_end (t);
}

/* --- 5: resume ----------------------------------------------------------------------------------- */

/* The digest at the end is of something else: asked for again, so often, and never given a place. */
static void
test_wrong_digest (void)
{
  Threat *t = threat_new ();
  g_autoptr (PhManifest) manifest = threat_manifest ("f", NULL, 10);
  PhFrame frame;

  threat_offer_accepted (t, 1, manifest);
  for (unsigned i = 1; threat_told (t, 1)->state != PH_TRANSFER_FAILED; i++) {
    static const uint8_t wrong[PH_SHA256_LEN] = {1};
    int64_t stream;

    g_assert_cmpuint (i, <=, PH_SESSION_FILE_RESTARTS_MAX + 1);
    wait_until (threat_heard (t, PH_FRAME_ACCEPT, &frame) == i);
    g_assert_cmpuint (frame.accept.attempt, ==, i);
    stream = ph_liar_segment (t->liar, 1, i, 0);
    ph_liar_record (t->liar, stream, &(PhLie){PH_RECORD_LAST, 0, 0, 10, 10});
    ph_liar_send (t->liar, stream, wrong, sizeof wrong, false);
    threat_settle (t);
    wait_until (threat_heard (t, PH_FRAME_ACCEPT, NULL) > i
                || threat_told (t, 1)->state == PH_TRANSFER_FAILED);
  }
  g_assert_cmpstr (threat_told (t, 1)->code, ==, "mismatch");
  g_assert_nonnull (strstr (threat_told (t, 1)->message, "not what was sent"));
  wait_until (threat_heard (t, PH_FRAME_FAILED, &frame) == 1);
  wait_until (count_entries (t->downloads) == 0);
  threat_end (t);
}

/* The sender says how far it is: what was never given out is no attempt of ours, and the last number there is
 * ends in an answer, not in a number past it. */
static void
test_attempts (void)
{
  Threat *t = threat_new ();
  g_autoptr (PhManifest) manifest = threat_manifest ("f", NULL, 10);
  PhFrame frame;

  threat_offer_accepted (t, 1, manifest);
  ph_liar_fill_offer (&frame, 1, manifest);
  frame.offer.attempt = 1000;
  ph_liar_frame (t->liar, &frame);
  threat_settle (t);
  wait_until (threat_heard (t, PH_FRAME_ACCEPT, &frame) == 2);
  g_assert_cmpuint (frame.accept.attempt, ==, 1001);
  g_assert_cmpuint (frame.accept.point.offset, ==, 0);

  ph_liar_fill_offer (&frame, 1, manifest);
  frame.offer.attempt = PH_FRAME_COUNTER_MAX;
  ph_liar_frame (t->liar, &frame);
  threat_expect_cut (t, PH_SESSION_CODE_LIMIT);
  g_assert_true (threat_command (t, PH_COMMAND_CANCEL, 1));
  wait_until (count_entries (t->downloads) == 0);
  threat_end (t);
}

/* --- 5: a receiver that lies --------------------------------------------------------------------- */

#define SENT_LEN 100000u

/* The victim offers a file to the liar. */
static char *
send_file (Threat *t, PhFrame *ret_offer)
{
  g_autofree char *dir = ph_test_tmpdir ();
  char *path = write_file (dir, "sent", SENT_LEN);
  char *paths[] = {path, NULL};
  const PhCommand command = {
      .type = PH_COMMAND_SEND, .number = 1, .subject = t->peer->text, .paths = paths};
  const unsigned done = t->done;

  ph_core_run (t->core, &command);
  wait_until (t->done > done && threat_heard (t, PH_FRAME_OFFER, ret_offer) == 1);
  g_assert_no_error (t->error);
  return path;
}

static const Seen *
only_told (const Threat *t)
{
  GHashTableIter iter;
  void *seen = NULL;

  g_assert_cmpuint (g_hash_table_size (t->told), ==, 1);
  g_hash_table_iter_init (&iter, t->told);
  g_hash_table_iter_next (&iter, NULL, &seen);
  return seen;
}

/* Where it is said to be is no place in what was offered: nothing is read, and the offer stands. */
static void
test_lying_accept (void)
{
  static const PhResumePoint points[] = {
      {.file = 0, .offset = SENT_LEN + 1},
      {.file = 1, .offset = 1},
      {.file = 2},
      {.file = PH_MANIFEST_ENTRIES_MAX},
      {.file = 0, .offset = PH_MANIFEST_FILE_MAX},
  };
  Threat *t = threat_new ();
  PhFrame offer;
  g_autofree char *path = send_file (t, &offer);

  for (size_t i = 0; i < G_N_ELEMENTS (points); i++) {
    PhFrame frame = {.type = PH_FRAME_ACCEPT, .id = offer.id, .accept.attempt = 1};

    frame.accept.point = points[i];
    ph_liar_frame (t->liar, &frame);
    threat_expect_cut (t, PH_SESSION_CODE_UNEXPECTED);
    wait_until (threat_heard (t, PH_FRAME_OFFER, NULL) == 1);
    g_assert_cmpint (t->liar->data_stream, ==, -1);
    g_assert_false (ph_transfer_state_ended (only_told (t)->state));
  }
  threat_end (t);
}

/* The liar claims to have a part that is not in the file: it is sent from the beginning, and not a byte of the claim
 * is believed. A receipt for something else is none. */
static void
test_lying_prefix (void)
{
  Threat *t = threat_new ();
  PhFrame offer;
  g_autofree char *path = send_file (t, &offer);
  g_autofree char *bytes = NULL;
  PhFrame accept = {.type = PH_FRAME_ACCEPT, .id = offer.id, .accept.attempt = 1};
  PhFrame receipt = {.type = PH_FRAME_RECEIPT, .id = offer.id};
  PhSegmentHead segment;
  PhRecordHead record;
  size_t head, len;
  PhSlice rest;

  g_assert_true (g_file_get_contents (path, &bytes, NULL, NULL));
  accept.accept.point = (PhResumePoint){.file = 0, .offset = 50000, .prefix_sha256 = {1}};
  ph_liar_frame (t->liar, &accept);
  threat_settle (t);
  wait_until (t->liar->data->len > SENT_LEN);
  rest = ph_slice (t->liar->data->data + 1, t->liar->data->len - 1);
  g_assert_cmpint (ph_segment_head_decode (rest, &segment, &head), ==, PH_FRAME_OK);
  rest = ph_slice (rest.data + head, rest.len - head);
  g_assert_cmpint (ph_record_head_decode (rest, &record, &len), ==, PH_FRAME_OK);
  g_assert_cmpuint (record.file, ==, 0);
  g_assert_cmpuint (record.offset, ==, 0);
  g_assert_cmpmem (rest.data + len, 1000, bytes, 1000);

  ph_liar_frame (t->liar, &receipt);
  threat_expect_cut (t, PH_SESSION_CODE_UNEXPECTED);
  g_assert_false (ph_transfer_state_ended (only_told (t)->state));
  memcpy (receipt.receipt_digest, offer.offer.manifest_digest, PH_SHA256_LEN);
  ph_liar_frame (t->liar, &receipt);
  threat_settle (t);
  wait_until (only_told (t)->state == PH_TRANSFER_DONE);
  threat_end (t);
}

/* --- 12: declined -------------------------------------------------------------------------------- */

/* Bytes for an offer that nobody has said yes to, and for one that somebody has said no to. */
static void
test_declined (gconstpointer data)
{
  const bool answered = GPOINTER_TO_INT (data);
  Threat *t = threat_new ();
  g_autoptr (PhManifest) manifest = threat_manifest ("folder", "f", 10);

  threat_offer (t, 1, manifest);
  wait_until (threat_told (t, 1)->state == PH_TRANSFER_OFFERED);
  if (answered) {
    g_assert_true (threat_command (t, PH_COMMAND_DECLINE, 1));
    wait_until (threat_heard (t, PH_FRAME_DECLINE, NULL) == 1);
  }
  threat_send_all (t, 1, 1, manifest);
  if (answered) {
    /* The stream is refused. The next question about it is answered by itself. */
    threat_offer (t, 1, manifest);
    wait_until (threat_heard (t, PH_FRAME_DECLINE, NULL) == 2);
    g_assert_cmpint (threat_told (t, 1)->state, ==, PH_TRANSFER_DECLINED);
  } else {
    threat_expect_cut (t, PH_SESSION_CODE_UNEXPECTED);
  }
  g_assert_cmpuint (count_entries (t->downloads), ==, 0);
  threat_end (t);
}

#define TARGET(line, i)                                                                            \
  g_test_add_data_func ("/threats/2-targets/" line, GSIZE_TO_POINTER (i), test_target)

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  TARGET ("dotfile", 0);
  TARGET ("dotfolder", 1);
  TARGET ("autostart", 2);
  TARGET ("desktop-file", 3);
  TARGET ("own-partial-folder", 4);
  g_test_add_func ("/threats/2-targets/no-exec-no-xattr", test_no_exec);
  g_test_add_func ("/threats/2-targets/no-field-for-modes", test_no_modes);
  g_test_add_func ("/threats/2-targets/not-unpacked", test_not_unpacked);
  for (size_t i = 0; i < G_N_ELEMENTS (bad_manifests); i++) {
    g_autofree char *path = g_strconcat ("/threats/3-manifest/", bad_manifests[i].line, NULL);

    g_test_add_data_func (path, &bad_manifests[i], test_manifest);
  }
  g_test_add_func ("/threats/3-manifest/depth-10000", test_depth);
  g_test_add_func ("/threats/3-manifest/numbers", test_offer_numbers);
  g_test_add_func ("/threats/3-manifest/collisions", test_collisions);
  g_test_add_func ("/threats/3-manifest/above-the-free-space", test_no_room);
  g_test_add_func ("/threats/4-files/existing-stays", test_existing);
  g_test_add_func ("/threats/4-files/folder-meets-link", test_folder_meets_link);
  g_test_add_func ("/threats/5-resume/wrong-digest", test_wrong_digest);
  g_test_add_func ("/threats/5-resume/attempts", test_attempts);
  g_test_add_func ("/threats/5-resume/lying-accept", test_lying_accept);
  g_test_add_func ("/threats/5-resume/lying-prefix", test_lying_prefix);
  g_test_add_data_func ("/threats/12-declined/data-before-the-answer", GINT_TO_POINTER (false),
                        test_declined);
  g_test_add_data_func ("/threats/12-declined/data-after-the-no", GINT_TO_POINTER (true),
                        test_declined);
  return g_test_run ();
}
