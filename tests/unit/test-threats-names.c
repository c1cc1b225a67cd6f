/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names and targets that a contact chose (docs/threats.md, 1 and 2), against a whole engine. */

#include "app/engine/ph-safe-name.h"
#include "tests/unit/threat-world.h"

#include <sys/stat.h>
#include <sys/xattr.h>

/* --- 1: names that no manifest may hold ---------------------------------------------------------- */

typedef struct {
  const char *line;
  const char *name;
  size_t len;
} BadName;

#define BAD(line, name) {line, name, sizeof (name) - 1}
static const BadName bad_names[] = {
    BAD ("empty", ""),
    BAD ("dot", "."),
    BAD ("dot-dot", ".."),
    BAD ("traversal", "a/../../secret"),
    BAD ("traversal-first", "../secret"),
    BAD ("absolute", "/tmp/porthole-was-here"),
    BAD ("double-slash-host", "//host/share"),
    BAD ("slash", "a/b"),
    BAD ("nul", "a\0b"),
    BAD ("nul-alone", "\0"),
    BAD ("invalid-utf8", "a\xff"),
    BAD ("overlong-slash", "..\xc0\xaf"
                           "secret"),
    BAD ("surrogate", "\xed\xa0\x80"),
};
#undef BAD

static void
test_bad_name (gconstpointer data)
{
  const BadName *bad = data;
  Threat *t = threat_new ();
  uint8_t bytes[64] = {1, 0, 0, 0, 1, 0, PH_ENTRY_FILE};
  PhFrame declined;
  size_t len = 7;

  bytes[len++] = (uint8_t)bad->len;
  memcpy (bytes + len, bad->name, bad->len);
  len += bad->len;
  bytes[len++] = 5; /* size */
  bytes[len++] = 0; /* time */
  threat_offer_bytes (t, 1, bytes, len, 1, 5);
  wait_until (threat_heard (t, PH_FRAME_DECLINE, &declined) == 1);
  g_assert_cmpuint (declined.decline, ==, PH_DECLINE_MALFORMED);
  /* Nobody was asked, and nothing is there. */
  g_assert_cmpint (threat_told (t, 1)->state, ==, PH_TRANSFER_PREPARING);
  g_assert_cmpuint (count_entries (t->downloads), ==, 0);
  threat_end (t);
}

/* A name of 1,021 bytes is no name; one of 300 is shortened, and keeps what says what it is. */
static void
test_too_long (void)
{
  Threat *t = threat_new ();
  g_autofree char *stem = g_strnfill (1017, 'x');
  g_autofree char *name = g_strconcat (stem, ".txt", NULL);
  g_autofree uint8_t *bytes = g_malloc0 (1100);
  g_autoptr (PhManifest) manifest = NULL;
  PhFrame declined;
  static const uint8_t head[] = {1, 0, 0, 0, 1, 0, PH_ENTRY_FILE, 0x43, 0xfd};

  memcpy (bytes, head, sizeof head);
  memcpy (bytes + sizeof head, name, 1021);
  threat_offer_bytes (t, 1, bytes, sizeof head + 1021 + 2, 1, 0);
  wait_until (threat_heard (t, PH_FRAME_DECLINE, &declined) == 1);
  g_assert_cmpuint (declined.decline, ==, PH_DECLINE_MALFORMED);

  name[296] = '\0';
  g_free (g_steal_pointer (&stem));
  stem = g_strconcat (name, ".txt", NULL);
  manifest = threat_manifest (stem, NULL, 3);
  threat_deliver (t, 2, manifest);
  memcpy (name + 251, ".txt", 5);
  threat_assert_file (t, name, 3);
  threat_end (t);
}

/* --- 1: names that are written, changed or as they are ------------------------------------------- */

typedef struct {
  const char *line;
  const char *name;
  const char *written; /* at the top level */
  const char *below; /* in a folder; NULL: the same */
} OddName;

static const OddName odd_names[] = {
    {"backslash", "..\\..\\secret", "_._.._secret", ".._.._secret"},
    {"drive-letter", "C:", "C:", NULL},
    {"drive-path", "C:\\secret", "C:_secret", NULL},
    {"unc-host", "\\\\host\\share", "__host_share", NULL},
    {"full-width",
     "\xef\xbc\x8e\xef\xbc\x8e\xef\xbc\x8f"
     "secret",
     "\xef\xbc\x8e\xef\xbc\x8e_secret", NULL},
    {"control", "a\x01\x07\x08z", "a___z", NULL},
    {"ansi", "a\x1b[2J\x1b]0;title\x07", "a_[2J_]0;title_", NULL},
    {"c1-control",
     "a\xc2\x9b"
     "31m",
     "a_31m", NULL},
    {"bidi",
     "photo\xe2\x80\xae"
     "gpj.exe",
     "photo_gpj.exe", NULL},
    {"bidi-isolate", "a\xe2\x81\xa6z", "a_z", NULL},
    {"newline", "a\nb\r", "a_b_", NULL},
    {"line-separator", "a\xe2\x80\xa8z", "a_z", NULL},
    {"markup", "<b>&amp;<i", "<b>&amp;<i", NULL},
    {"percent", "%s%n%999d", "%s%n%999d", NULL},
    {"leading-dash", "-rf", "-rf", NULL},
    {"leading-dashes", "--exec=sh", "--exec=sh", NULL},
    {"trailing-dot", "name.", "name", NULL},
    {"trailing-space", "name. . ", "name", NULL},
    {"only-dots", "...", "_", NULL},
    {"quotes", "'; $(id) `id`\"", "'; $(id) `id`\"", NULL},
};

/* Nothing that is shown can steer a terminal or reorder what stands around it. */
/* Where the name had to be another, the list says which it was. */
static void
assert_told (const Threat *t, unsigned n, const char *sent, const char *path)
{
  g_autofree char *written = g_path_get_basename (path);

  g_assert_cmpuint (t->files->len, ==, n + 1);
  g_assert_cmpstr (t->files->pdata[n], ==, path);
  g_assert_cmpstr (t->sent_as->pdata[n], ==, g_str_equal (written, sent) ? "" : sent);
}

static void
assert_shown_safely (const char *name)
{
  g_autofree char *shown = ph_display_name (name);

  g_assert_true (g_utf8_validate (shown, -1, NULL));
  for (const char *p = shown; *p != '\0'; p = g_utf8_next_char (p)) {
    const gunichar c = g_utf8_get_char (p);

    g_assert_false (g_unichar_iscntrl (c));
    g_assert_false (c >= 0x202a && c <= 0x202e);
    g_assert_true (c != 0x2028 && c != 0x2029 && c != 0x2066 && c != 0x2067);
  }
}

static void
test_odd_name (gconstpointer data)
{
  const OddName *odd = data;
  Threat *t = threat_new ();
  const char *below = odd->below != NULL ? odd->below : odd->written;
  g_autofree char *path = g_build_filename ("folder", below, NULL);
  g_autoptr (PhManifest) top = NULL;
  g_autoptr (PhManifest) inner = threat_manifest ("folder", odd->name, 7);

  top = threat_manifest (odd->name, NULL, 3);
  threat_offer (t, 1, top);
  wait_until (threat_told (t, 1)->state == PH_TRANSFER_OFFERED);
  /* The person is asked about what the sender has, and it is shown so that it does no harm. */
  g_assert_cmpuint (t->names->len, ==, 1);
  g_assert_cmpstr (t->names->pdata[0], ==, odd->name);
  assert_shown_safely (odd->name);

  threat_deliver (t, 2, top);
  threat_assert_file (t, odd->written, 3);
  g_assert_cmpuint (count_entries (t->downloads), ==, 1);
  /* The list of what arrived says where it is. */
  g_assert_true (threat_command (t, PH_COMMAND_LIST_FILES, 2));
  assert_told (t, 0, odd->name, odd->written);

  threat_deliver (t, 3, inner);
  threat_assert_file (t, path, 7);
  g_assert_true (threat_command (t, PH_COMMAND_LIST_FILES, 3));
  assert_told (t, 1, odd->name, path);
  g_assert_true (threat_command (t, PH_COMMAND_DECLINE, 1));
  threat_end (t);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  for (size_t i = 0; i < G_N_ELEMENTS (bad_names); i++) {
    g_autofree char *path = g_strconcat ("/threats/1-names/", bad_names[i].line, NULL);

    g_test_add_data_func (path, &bad_names[i], test_bad_name);
  }
  g_test_add_func ("/threats/1-names/too-long", test_too_long);
  for (size_t i = 0; i < G_N_ELEMENTS (odd_names); i++) {
    g_autofree char *path = g_strconcat ("/threats/1-names/", odd_names[i].line, NULL);

    g_test_add_data_func (path, &odd_names[i], test_odd_name);
  }
  return g_test_run ();
}
