/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names from a peer, on disk and on the screen (threats.md 1 to 3). */

#include "app/engine/ph-safe-name.h"
#include "tests/support/ph-test.h"

static void
test_table (void)
{
  static const struct {
    const char *in;
    const char *below; /* NULL: unchanged */
    const char *top; /* NULL: like below */
  } cases[] = {
      {"photo.jpg", NULL, NULL},
      {"Größe 10:20.txt", NULL, NULL},
      {"-rf", NULL, NULL},
      {"%s%n", NULL, NULL},
      {"<b>&amp;", NULL, NULL},
      {"CON", NULL, NULL},
      {" leading", NULL, NULL},
      {"C:", NULL, NULL},
      {".bashrc", NULL, "_bashrc"},
      {".porthole-00.part", NULL, "_porthole-00.part"},
      {"..a", NULL, "_.a"},
      {"...", "_", NULL},
      {". .", "_", NULL},
      {" ", "_", NULL},
      {"trailing.", "trailing", NULL},
      {"trailing . .", "trailing", NULL},
      {"a\\b", "a_b", NULL},
      {"\\\\host\\share", "__host_share", NULL},
      {"a\nb\tc\x1b[31m\x7f", "a_b_c_[31m_", NULL},
      {"c1\xc2\x9b"
       "31m",
       "c1_31m", NULL},
      {"\xef\xbc\x8e\xef\xbc\x8e\xef\xbc\x8f", "\xef\xbc\x8e\xef\xbc\x8e_", NULL}, /* ．．／ */
      {"\xef\xbc\x8e\xef\xbc\x8e", "_", NULL}, /* ．． */
      {"\xe2\x80\xa6", "_", NULL}, /* … */
      {"a\xe2\x88\x95"
       "b\xe2\x81\x84"
       "c",
       "a_b_c", NULL},
      {"gpj\xe2\x80\xae"
       "exe.",
       "gpj_exe", NULL}, /* right-to-left override */
      {"\xe2\x81\xa6"
       "a\xe2\x81\xa9\xef\xbb\xbf",
       "_a__", NULL},
      {"line\xe2\x80\xa8"
       "par\xe2\x80\xa9",
       "line_par_", NULL},
      {"\xf0\x9f\x91\xa8\xe2\x80\x8d\xf0\x9f\x91\xa9.png", NULL, NULL}, /* joined emoji */
      {"\xd9\x85\xd9\x84\xd9\x81.txt", NULL, NULL}, /* Arabic */
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    const char *want_below = cases[i].below != NULL ? cases[i].below : cases[i].in;
    const char *want_top = cases[i].top != NULL ? cases[i].top : want_below;
    g_autofree char *below = ph_safe_name (cases[i].in, false);
    g_autofree char *top = ph_safe_name (cases[i].in, true);

    g_assert_cmpstr (below, ==, want_below);
    g_assert_cmpstr (top, ==, want_top);
  }
}

static void
test_shortening (void)
{
  g_autofree char *ascii = g_strnfill (300, 'x');
  g_autofree char *with_ext = g_strconcat (ascii, ".tar.gz", NULL);
  g_autofree char *short_ext = ph_safe_name (with_ext, true);
  g_autofree char *plain = ph_safe_name (ascii, true);
  g_autoptr (GString) wide = g_string_new (NULL);

  g_assert_cmpuint (strlen (short_ext), ==, 255);
  g_assert_true (g_str_has_suffix (short_ext, "x.tar.gz"));
  g_assert_cmpuint (strlen (plain), ==, 255);

  /* Never through the middle of a character. */
  for (int i = 0; i < 200; i++)
    g_string_append (wide, "\xe2\x82\xac");
  g_string_append (wide, ".ods");

  g_autofree char *euro = ph_safe_name (wide->str, false);

  g_assert_cmpuint (strlen (euro), <=, 255);
  g_assert_cmpuint (strlen (euro), >, 250);
  g_assert_true (g_utf8_validate (euro, -1, NULL));
  g_assert_true (g_str_has_suffix (euro, ".ods"));

  /* An extension that is all of the name is none; one that never ends neither. */
  g_autofree char *dots = g_strnfill (300, '.');
  g_autofree char *hidden = g_strconcat (".", ascii, NULL);
  g_autofree char *safe_hidden = ph_safe_name (hidden, false);
  g_autofree char *safe_dots = ph_safe_name (dots, false);

  g_assert_cmpuint (strlen (safe_hidden), ==, 255);
  g_assert_cmpstr (safe_dots, ==, "_");

  g_autofree char *spaces = g_strnfill (300, ' ');
  g_autofree char *far_off = g_strconcat (spaces, "z", NULL);
  g_autofree char *safe_far_off = ph_safe_name (far_off, false);

  g_assert_cmpstr (safe_far_off, ==, "_");
}

static void
test_numbered (void)
{
  static const struct {
    const char *in;
    PhEntryKind kind;
    unsigned n;
    const char *out;
  } cases[] = {
      {"a.txt", PH_ENTRY_FILE, 1, "a (1).txt"},
      {"a.tar.gz", PH_ENTRY_FILE, 12, "a (12).tar.gz"},
      {"a", PH_ENTRY_FILE, 1, "a (1)"},
      {".profile", PH_ENTRY_FILE, 1, ".profile (1)"},
      {"v1.2", PH_ENTRY_FOLDER, 1, "v1.2 (1)"},
      {"Mr. Smith goes", PH_ENTRY_FILE, 2, "Mr. Smith goes (2)"},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *out = ph_safe_name_numbered (cases[i].in, cases[i].kind, cases[i].n);

    g_assert_cmpstr (out, ==, cases[i].out);
  }

  g_autofree char *full = g_strnfill (255, 'x');
  g_autofree char *out = ph_safe_name_numbered (full, PH_ENTRY_FILE, 4000000000u);

  g_assert_cmpuint (strlen (out), ==, 255);
  g_assert_true (g_str_has_suffix (out, "x (4000000000)"));
}

static PhSafeNames *
names_of (const char *const *paths, bool fold)
{
  PhManifestBuilder *b = ph_manifest_builder_new ();

  for (; *paths != NULL; paths++) {
    const char *path = *paths;
    const bool folder = g_str_has_suffix (path, "/");
    g_autofree char *plain = g_strndup (path, strlen (path) - folder);

    g_assert_true (
        ph_manifest_builder_add (b, folder ? PH_ENTRY_FOLDER : PH_ENTRY_FILE, plain, 0, 0));
  }

  g_autoptr (PhManifest) manifest = ph_manifest_builder_end (b);

  return ph_safe_names_new (manifest, fold);
}

static void
assert_paths (const char *const *in, bool fold, const char *const *out)
{
  g_autoptr (PhSafeNames) names = names_of (in, fold);

  for (uint32_t i = 0; out[i] != NULL; i++)
    g_assert_cmpstr (ph_safe_names_path (names, i), ==, out[i]);
}

static void
test_collisions (void)
{
  static const char *const clean[] = {"d/", "d/a", "d/A", "D/", "D/a", NULL};
  static const char *const clean_out[] = {"d", "d/a", "d/A", "D", "D/a", NULL};
  static const char *const folded_out[] = {"d", "d/a", "d/A (1)", "D (1)", "D (1)/a", NULL};
  static const char *const same[] = {"a.txt", "a.txt.", "a.txt ", "a (1).txt",
                                     ".x/",   "_x/",    "_x/y",   NULL};
  static const char *const same_out[] = {"a.txt", "a (1).txt", "a (2).txt", "a (1) (1).txt",
                                         "_x",    "_x (1)",    "_x (1)/y",  NULL};
  static const char *const forms[] = {"\xc3\xa4",     "a\xcc\x88", "\xc3\x84",
                                      "\xe2\x84\xaa", "k",         NULL};
  static const char *const forms_out[] = {"\xc3\xa4",     "a\xcc\x88 (1)", "\xc3\x84 (2)",
                                          "\xe2\x84\xaa", "k (1)",         NULL};

  assert_paths (clean, false, clean_out);
  assert_paths (clean, true, folded_out);
  assert_paths (same, false, same_out);
  assert_paths (forms, true, forms_out);
}

/* Many names that all become one: linear, not quadratic. */
static void
test_flood (void)
{
  PhManifestBuilder *b = ph_manifest_builder_new ();
  const unsigned count = 200000;

  for (unsigned i = 0; i < count; i++) {
    char name[8] = {0};

    for (unsigned j = 0, v = i; j < 6; j++, v /= 8)
      name[j] = (char)(1 + v % 8);
    g_assert_true (ph_manifest_builder_add (b, PH_ENTRY_FILE, name, 0, 0));
  }

  g_autoptr (PhManifest) manifest = ph_manifest_builder_end (b);
  g_autoptr (PhSafeNames) names = ph_safe_names_new (manifest, false);

  g_assert_cmpstr (ph_safe_names_path (names, 0), ==, "______");
  g_assert_cmpstr (ph_safe_names_path (names, count - 1), ==, "______ (199999)");
}

static void
test_path_too_long (void)
{
  PhManifestBuilder *b = ph_manifest_builder_new ();
  g_autofree char *part = g_strnfill (23, 'p');
  g_autoptr (GString) path = g_string_new (NULL);
  uint32_t added = 0;

  /* Two folders a level that fold to one: the second gets a number, and the path grows by it. */
  for (;; added++) {
    g_string_append (path, "P");
    g_string_append (path, part);
    if (!ph_manifest_builder_add (b, PH_ENTRY_FOLDER, path->str, 0, 0))
      break;
    path->str[path->len - strlen (part) - 1] = 'p';
    if (!ph_manifest_builder_add (b, PH_ENTRY_FOLDER, path->str, 0, 0))
      break;
    g_string_append_c (path, '/');
  }

  g_autoptr (PhManifest) manifest = ph_manifest_builder_end (b);
  g_autoptr (PhSafeNames) names = ph_safe_names_new (manifest, true);

  g_assert_cmpuint (added, >, 100);
  for (uint32_t i = 0; i < ph_manifest_len (manifest); i++) {
    const char *safe = ph_safe_names_path (names, i);

    g_assert_true (safe == NULL || strlen (safe) < 4096);
  }
}

static void
test_display (void)
{
  static const struct {
    const char *in;
    const char *out;
  } cases[] = {
      {"plain name.txt", "plain name.txt"},
      {"Größe", "Größe"},
      {"a\x1b[31mred\n", "a\\x1b[31mred\\x0a"},
      {"\xff\xfe", "\\xff\\xfe"},
      {"half\xc3", "half\\xc3"},
      {"gpj\xe2\x80\xae"
       "exe",
       "gpj\\u202eexe"},
      {"c1\xc2\x9b", "c1\\u009b"},
      {"\xd7\x90", "\xe2\x81\xa8\xd7\x90\xe2\x81\xa9"},
      {"\xd7\x90\xe2\x81\xa9"
       "b",
       "\xe2\x81\xa8\xd7\x90\\u2069b\xe2\x81\xa9"},
      {"%s <b>", "%s <b>"},
      {"", ""},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *out = ph_display_name (cases[i].in);

    g_assert_cmpstr (out, ==, cases[i].out);
  }
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/safe-name/table", test_table);
  g_test_add_func ("/safe-name/shortening", test_shortening);
  g_test_add_func ("/safe-name/numbered", test_numbered);
  g_test_add_func ("/safe-name/collisions", test_collisions);
  g_test_add_func ("/safe-name/flood", test_flood);
  g_test_add_func ("/safe-name/path-too-long", test_path_too_long);
  g_test_add_func ("/safe-name/display", test_display);
  return g_test_run ();
}
