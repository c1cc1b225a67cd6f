/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Manifests: what is built comes back, and nothing else gets in (threats.md 3). */

#include "app/engine/ph-manifest.h"
#include "tests/support/ph-test.h"

static PhManifest *
decode_copy (const void *data, size_t len)
{
  /* A block of its own size, so that a read beyond the end is caught. */
  g_autofree uint8_t *copy = g_memdup2 (data, len);

  return ph_manifest_decode (ph_slice (copy, len));
}

static PhManifest *
sample (void)
{
  PhManifestBuilder *b = ph_manifest_builder_new ();

  g_assert_true (ph_manifest_builder_add (b, PH_ENTRY_FOLDER, "Ferien", 0, 1700000000));
  g_assert_true (ph_manifest_builder_add (b, PH_ENTRY_FILE, "Ferien/a.jpg", 5, -7));
  g_assert_true (ph_manifest_builder_add (b, PH_ENTRY_FOLDER, "Ferien/leer", 0, 0));
  g_assert_true (
      ph_manifest_builder_add (b, PH_ENTRY_FILE, "Ferien/\xc3\xa4", PH_MANIFEST_FILE_MAX, 0));
  g_assert_true (ph_manifest_builder_add (b, PH_ENTRY_FILE, "leer", 0, INT64_MAX));
  g_assert_true (ph_manifest_builder_add (b, PH_ENTRY_FILE, "Ferien/spaet", 1, 3));
  return ph_manifest_builder_end (b);
}

static void
test_round_trip (void)
{
  g_autoptr (PhManifest) made = sample ();
  g_autoptr (GBytes) bytes = ph_manifest_encode (made);
  gsize len;
  const void *data = g_bytes_get_data (bytes, &len);
  g_autoptr (PhManifest) read = decode_copy (data, len);

  g_assert_nonnull (read);
  g_assert_cmpuint (ph_manifest_len (read), ==, 6);
  g_assert_cmpuint (ph_manifest_files (read), ==, 4);
  g_assert_cmpuint (ph_manifest_bytes (read), ==, PH_MANIFEST_FILE_MAX + 6);
  g_assert_cmpmem (ph_manifest_digest (read), 32, ph_manifest_digest (made), 32);
  for (uint32_t i = 0; i < 6; i++) {
    const PhEntry *a = ph_manifest_entry (made, i);
    const PhEntry *b = ph_manifest_entry (read, i);

    g_assert_cmpstr (a->path, ==, b->path);
    g_assert_cmpint (a->kind, ==, b->kind);
    g_assert_cmpuint (a->size, ==, b->size);
    g_assert_cmpint (a->mtime_s, ==, b->mtime_s);
    g_assert_cmpuint (ph_manifest_parent (made, i), ==, ph_manifest_parent (read, i));
  }
  g_assert_cmpint (ph_manifest_entry (read, 1)->mtime_s, ==, -7);
  g_assert_cmpint (ph_manifest_entry (read, 4)->mtime_s, ==, 0);
  g_assert_cmpuint (ph_manifest_parent (read, 5), ==, 0);
  g_assert_cmpstr (ph_manifest_name (read, 5), ==, "spaet");

  /* Every shorter form is malformed, and so is a longer one. */
  for (gsize cut = 0; cut < len; cut++)
    g_assert_null (decode_copy (data, cut));

  g_autofree uint8_t *longer = g_malloc0 (len + 1);

  memcpy (longer, data, len);
  g_assert_null (decode_copy (longer, len + 1));
}

static void
test_empty (void)
{
  g_autoptr (PhManifest) made = ph_manifest_builder_end (ph_manifest_builder_new ());
  g_autoptr (GBytes) bytes = ph_manifest_encode (made);
  gsize len;
  const void *data = g_bytes_get_data (bytes, &len);
  g_autoptr (PhManifest) read = decode_copy (data, len);

  g_assert_cmpuint (ph_manifest_len (read), ==, 0);
}

static void
test_builder_refuses (void)
{
  static const char *const bad[] = {
      "",      ".",    "..", "/",   "/etc",  "a/",      "d//x",     "d/../x", "../x",
      "d/./x", "d/..", "d/", "f/x", "new/x", "bad\xff", "\xc0\xaf", "d",      "f",
  };
  g_autoptr (PhManifestBuilder) b = ph_manifest_builder_new ();
  g_autofree char *long_name = g_strnfill (PH_MANIFEST_NAME_MAX + 1, 'x');
  g_autofree char *longest_name = g_strnfill (PH_MANIFEST_NAME_MAX, 'x');

  g_assert_true (ph_manifest_builder_add (b, PH_ENTRY_FOLDER, "d", 0, 0));
  g_assert_true (ph_manifest_builder_add (b, PH_ENTRY_FILE, "f", 1, 0));
  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_false (ph_manifest_builder_add (b, PH_ENTRY_FILE, bad[i], 1, 0));
  g_assert_false (ph_manifest_builder_add (b, PH_ENTRY_FILE, long_name, 1, 0));
  g_assert_true (ph_manifest_builder_add (b, PH_ENTRY_FILE, longest_name, 1, 0));
  g_assert_false (ph_manifest_builder_add (b, PH_ENTRY_FOLDER, "g", 1, 0));
  g_assert_false (ph_manifest_builder_add (b, PH_ENTRY_FILE, "g", PH_MANIFEST_FILE_MAX + 1, 0));
  /* The same name in another folder is another name. */
  g_assert_true (ph_manifest_builder_add (b, PH_ENTRY_FILE, "d/f", 1, 0));
  g_assert_true (ph_manifest_builder_add (b, PH_ENTRY_FOLDER, "d/d", 0, 0));
}

static void
test_totals_are_bounded (void)
{
  g_autoptr (PhManifestBuilder) b = ph_manifest_builder_new ();

  for (int i = 0; i < 4; i++) {
    g_autofree char *name = g_strdup_printf ("f%d", i);

    g_assert_true (ph_manifest_builder_add (b, PH_ENTRY_FILE, name, PH_MANIFEST_FILE_MAX, 0));
  }
  g_assert_true (ph_manifest_builder_add (b, PH_ENTRY_FILE, "none", 0, 0));
  g_assert_false (ph_manifest_builder_add (b, PH_ENTRY_FILE, "one", 1, 0));
}

static void
test_depth_and_length (void)
{
  g_autoptr (PhManifestBuilder) b = ph_manifest_builder_new ();
  g_autoptr (GString) path = g_string_new ("d");
  unsigned depth = 1;

  while (ph_manifest_builder_add (b, PH_ENTRY_FOLDER, path->str, 0, 0)) {
    g_string_append (path, "/d");
    depth++;
  }
  g_assert_cmpuint (depth - 1, ==, PH_MANIFEST_DEPTH_MAX);

  g_autofree char *part = g_strnfill (1000, 'p');

  g_string_assign (path, part);
  for (int i = 0; i < 3; i++) {
    g_assert_true (ph_manifest_builder_add (b, PH_ENTRY_FOLDER, path->str, 0, 0));
    g_string_append_printf (path, "/%s", part);
  }
  g_assert_cmpuint (path->len, >, PH_MANIFEST_PATH_MAX);
  g_assert_false (ph_manifest_builder_add (b, PH_ENTRY_FILE, path->str, 0, 0));
}

/* One entry each: parent, kind, name, size if a file, time. */
static void
test_decode_refuses (void)
{
#define HEAD(n) "\x01\0\0\0" n
  static const struct {
    const char *what;
    const char *bytes;
    size_t len;
  } bad[] = {
#define BAD(what, bytes) {what, bytes, sizeof bytes - 1}
      BAD ("version 0", "\0\0\0\0\0"),
      BAD ("version 2", "\2\0\0\0\0"),
      BAD ("2^32 - 1 entries", "\1\xff\xff\xff\xff"),
      BAD ("more entries than bytes", HEAD ("\2") "\0\1\1d\0"),
      BAD ("kind 2", HEAD ("\1") "\0\2\1d\0"),
      BAD ("own parent", HEAD ("\1") "\1\1\1d\0"),
      BAD ("parent to come", HEAD ("\2") "\2\1\1d\0\0\1\1e\0"),
      BAD ("file as a folder", HEAD ("\2") "\0\0\1f\0\0\1\0\1g\0\0"),
      BAD ("twice", HEAD ("\2") "\0\1\1d\0\0\1\1d\0"),
      BAD ("twice, as file and folder", HEAD ("\2") "\0\1\1d\0\0\0\1d\0\0"),
      BAD ("empty name", HEAD ("\1") "\0\1\0\0\0"),
      BAD ("dot", HEAD ("\1") "\0\1\1.\0"),
      BAD ("dot dot", HEAD ("\1") "\0\1\2..\0"),
      BAD ("slash", HEAD ("\1") "\0\1\3a/b\0"),
      BAD ("absolute", HEAD ("\1") "\0\1\2/b\0"),
      BAD ("NUL", HEAD ("\1") "\0\1\2a\0\0"),
      BAD ("invalid UTF-8", HEAD ("\1") "\0\1\1\xff\0"),
      BAD ("overlong slash", HEAD ("\1") "\0\1\2\xc0\xaf\0"),
      BAD ("surrogate", HEAD ("\1") "\0\1\3\xed\xa0\x80\0"),
      BAD ("name length beyond the end", HEAD ("\1") "\0\1\x3f"
                                                     "d\0"),
      BAD ("huge name length", HEAD ("\1") "\0\1\xff\xff\xff\xff\xff\xff\xff\xff"
                                           "d\0"),
      BAD ("long varint for 0", HEAD ("\1") "\x40\0\1\1d\0"),
      BAD ("size 2^60 + 1", HEAD ("\1") "\0\0\1f\xd0\0\0\0\0\0\0\1\0"),
      BAD ("time out of range", HEAD ("\1") "\0\1\1d\xff\xff\xff\xff\xff\xff\xff\xff"),
#undef BAD
  };
  g_autoptr (PhManifest) good = decode_copy (HEAD ("\2") "\0\1\1d\0\1\0\1f\5\1", 16);

  g_assert_nonnull (good);
  g_assert_cmpstr (ph_manifest_entry (good, 1)->path, ==, "d/f");
  g_assert_cmpint (ph_manifest_entry (good, 1)->mtime_s, ==, -1);
  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_test_message ("%s", bad[i].what);
    g_assert_null (decode_copy (bad[i].bytes, bad[i].len));
  }
#undef HEAD
}

/* 10^6 entries build and decode in a moment, and the one after is refused. */
static void
test_million (void)
{
  PhManifestBuilder *b = ph_manifest_builder_new ();
  char path[64];

  for (unsigned i = 0; i < PH_MANIFEST_ENTRIES_MAX; i++) {
    if (i % 1000 == 0)
      g_snprintf (path, sizeof path, "folder %u", i / 1000);
    else
      g_snprintf (path, sizeof path, "folder %u/a photograph number %u.jpeg", i / 1000, i);
    g_assert_true (ph_manifest_builder_add (b, i % 1000 == 0 ? PH_ENTRY_FOLDER : PH_ENTRY_FILE,
                                            path, i % 1000, i));
  }
  g_assert_false (ph_manifest_builder_add (b, PH_ENTRY_FILE, "one more", 1, 0));

  g_autoptr (PhManifest) made = ph_manifest_builder_end (b);
  g_autoptr (GBytes) bytes = ph_manifest_encode (made);
  gsize len;
  const void *data = g_bytes_get_data (bytes, &len);
  const gint64 start = g_get_monotonic_time ();
  g_autoptr (PhManifest) read = ph_manifest_decode (ph_slice (data, len));

  g_test_message ("decoded %zu bytes in %d ms", len,
                  (int)((g_get_monotonic_time () - start) / 1000));
  g_assert_cmpuint (ph_manifest_len (read), ==, PH_MANIFEST_ENTRIES_MAX);
  g_assert_cmpmem (ph_manifest_digest (read), 32, ph_manifest_digest (made), 32);
}

/* A small encoded form must not unfold to gigabytes of paths. */
static void
test_paths_are_bounded (void)
{
  g_autoptr (PhManifestBuilder) b = ph_manifest_builder_new ();
  g_autoptr (GString) path = g_string_new (NULL);
  g_autofree char *part = g_strnfill (950, 'p');
  unsigned added = 0;

  for (int i = 0; i < 3; i++) {
    g_string_append (path, part);
    g_assert_true (ph_manifest_builder_add (b, PH_ENTRY_FOLDER, path->str, 0, 0));
    g_string_append_c (path, '/');
  }

  const gsize base = path->len;

  for (;; added++) {
    g_string_truncate (path, base);
    g_string_append_printf (path, "%u", added);
    if (!ph_manifest_builder_add (b, PH_ENTRY_FILE, path->str, 0, 0))
      break;
  }
  g_assert_cmpuint (added, <, PH_MANIFEST_PATHS_MAX / base);
  g_assert_cmpuint (added, >, 90000);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/manifest/round-trip", test_round_trip);
  g_test_add_func ("/manifest/empty", test_empty);
  g_test_add_func ("/manifest/builder-refuses", test_builder_refuses);
  g_test_add_func ("/manifest/totals-are-bounded", test_totals_are_bounded);
  g_test_add_func ("/manifest/depth-and-length", test_depth_and_length);
  g_test_add_func ("/manifest/decode-refuses", test_decode_refuses);
  g_test_add_func ("/manifest/million", test_million);
  g_test_add_func ("/manifest/paths-are-bounded", test_paths_are_bounded);
  return g_test_run ();
}
