/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/engine/ph-safe-name.h"

#include <sodium.h>

/* An extension is at most so long, dot included; what is longer is part of the name. */
#define EXTENSION_MAX 24u
/* Below this the kernel takes a path, with room for what the sink puts before it. */
#define SAFE_PATH_MAX 4000u

#define CHAR_ZWNJ 0x200cu
#define CHAR_ZWJ 0x200du
/* Hebrew begins here: what is below never turns the direction of a line. */
#define CHAR_FIRST_RTL 0x0590u

struct _PhSafeNames {
  PhManifest *manifest;
  /* NULL: all paths are the manifest's. Else an entry's own, or NULL where it is the manifest's. */
  const char **paths;
  GStringChunk *chunk;
};

/* --- One name ------------------------------------------------------------------------------------ */

/* Characters that have no business in text that is shown: they act instead of being seen. */
static bool
is_invisible (gunichar c)
{
  if (c == CHAR_ZWNJ || c == CHAR_ZWJ)
    return false;
  switch (g_unichar_type (c)) {
  case G_UNICODE_CONTROL:
  case G_UNICODE_FORMAT:
  case G_UNICODE_LINE_SEPARATOR:
  case G_UNICODE_PARAGRAPH_SEPARATOR:
  case G_UNICODE_SURROGATE:
    return true;
  default:
    return false;
  }
}

static bool
is_like_slash (gunichar c)
{
  switch (c) {
  case '/':
  case '\\':
  case 0x2044: /* fraction slash */
  case 0x2215: /* division slash */
  case 0x2216: /* set minus */
  case 0x29f5: /* reverse solidus operator */
  case 0x29f8: /* big solidus */
  case 0x29f9: /* big reverse solidus */
  case 0xfe68: /* small reverse solidus */
  case 0xff0f: /* full-width solidus */
  case 0xff3c: /* full-width reverse solidus */
    return true;
  default:
    return false;
  }
}

static bool
is_like_dot (gunichar c)
{
  switch (c) {
  case '.':
  case ' ':
  case 0x2024: /* one dot leader */
  case 0x2025: /* two dot leader */
  case 0x2026: /* ellipsis */
  case 0xfe52: /* small full stop */
  case 0xff0e: /* full-width full stop */
    return true;
  default:
    return false;
  }
}

/* The longest prefix of at most `max` bytes that ends between characters. */
static size_t
utf8_prefix (const char *text, size_t len, size_t max)
{
  if (len <= max)
    return len;
  while (max > 0 && ((uint8_t)text[max] & 0xc0) == 0x80)
    max--;
  return max;
}

static size_t
without_trailing (const char *name, size_t len)
{
  while (len > 0 && (name[len - 1] == '.' || name[len - 1] == ' '))
    len--;
  return len;
}

/* Where the extension begins, dot included; the length where there is none. "a.tar.gz" has ".tar.gz". */
static size_t
extension_start (const char *name, size_t len)
{
  size_t at = len;

  for (size_t i = len; i > 1 && len - i < EXTENSION_MAX; i--) {
    if (name[i - 1] == ' ')
      break;
    if (name[i - 1] == '.') {
      at = i - 1;
      break;
    }
  }
  if (at < len && at > 4 && memcmp (name + at - 4, ".tar", 4) == 0)
    at -= 4;
  return at;
}

/* `stem``middle``extension` of `name` within the limit, by shortening the stem. */
static char *
compose (const char *name, size_t len, size_t ext, const char *middle)
{
  const size_t tail = strlen (middle) + (len - ext);
  size_t stem;

  g_assert (tail < PH_SAFE_NAME_MAX);
  stem = utf8_prefix (name, ext, PH_SAFE_NAME_MAX - tail);
  return g_strdup_printf ("%.*s%s%.*s", (int)stem, name, middle, (int)(len - ext), name + ext);
}

char *
ph_safe_name (const char *component, bool top_level)
{
  g_autoptr (GString) name = g_string_new (NULL);
  bool all_dots = true;

  for (const char *p = component; *p != '\0'; p = g_utf8_next_char (p)) {
    const gunichar c = g_utf8_get_char (p);

    all_dots = all_dots && is_like_dot (c);
    if (is_invisible (c) || is_like_slash (c))
      g_string_append_c (name, '_');
    else
      g_string_append_len (name, p, g_utf8_next_char (p) - p);
  }

  if (all_dots)
    g_string_assign (name, "_");
  g_string_truncate (name, without_trailing (name->str, name->len));
  if (top_level && name->str[0] == '.')
    name->str[0] = '_';
  if (name->len <= PH_SAFE_NAME_MAX)
    return g_string_free (g_steal_pointer (&name), FALSE);

  const size_t ext = extension_start (name->str, name->len);
  char *shorter = compose (name->str, name->len, ext, "");

  shorter[without_trailing (shorter, strlen (shorter))] = '\0';
  if (shorter[0] == '\0')
    strcpy (shorter, "_"); /* it began with 255 dots or spaces */
  return shorter;
}

char *
ph_safe_name_numbered (const char *name, PhEntryKind kind, unsigned n)
{
  const size_t len = strlen (name);
  char middle[16];

  g_assert (n > 0 && len > 0);
  g_snprintf (middle, sizeof middle, " (%u)", n);
  return compose (name, len, kind == PH_ENTRY_FILE ? extension_start (name, len) : len, middle);
}

/* --- All names of a manifest --------------------------------------------------------------------- */

/* Keyed: names that are chosen to collide do not. */
static guint
keyed_hash (gconstpointer text)
{
  static uint8_t key[crypto_shorthash_KEYBYTES];
  static gsize once;
  uint64_t hash;

  if (g_once_init_enter (&once)) {
    for (size_t i = 0; i < sizeof key; i++)
      key[i] = (uint8_t)g_random_int ();
    g_once_init_leave (&once, 1);
  }
  crypto_shorthash ((uint8_t *)&hash, text, strlen (text), key);
  return (guint)hash;
}

/* What a file system that folds would compare. */
static char *
fold_key (uint32_t parent, const char *name, bool fold)
{
  if (!fold)
    return g_strdup_printf ("%x/%s", parent, name);
  if (g_str_is_ascii (name)) {
    g_autofree char *lower = g_ascii_strdown (name, -1);

    return g_strdup_printf ("%x/%s", parent, lower);
  }

  g_autofree char *plain = g_utf8_normalize (name, -1, G_NORMALIZE_ALL);
  g_autofree char *folded = g_utf8_casefold (plain, -1);
  g_autofree char *again = g_utf8_normalize (folded, -1, G_NORMALIZE_ALL);

  return g_strdup_printf ("%x/%s", parent, again);
}

/* `name`, or the first numbered form of it that nothing in the folder has yet. */
static char *
make_unique (GHashTable *taken, uint32_t parent, PhEntryKind kind, char *name, bool fold)
{
  g_autofree char *key = fold_key (parent, name, fold);
  gpointer next;

  if (!g_hash_table_lookup_extended (taken, key, NULL, &next)) {
    g_hash_table_insert (taken, g_steal_pointer (&key), GUINT_TO_POINTER (1));
    return name;
  }

  /* The next number is kept with the name: a million equal names must not be a million squared. */
  for (unsigned n = GPOINTER_TO_UINT (next);; n++) {
    g_autofree char *numbered = ph_safe_name_numbered (name, kind, n);
    g_autofree char *numbered_key = fold_key (parent, numbered, fold);

    if (g_hash_table_contains (taken, numbered_key))
      continue;
    g_hash_table_insert (taken, g_steal_pointer (&numbered_key), GUINT_TO_POINTER (1));
    g_hash_table_replace (taken, g_steal_pointer (&key), GUINT_TO_POINTER (n + 1));
    g_free (name);
    return g_steal_pointer (&numbered);
  }
}

static bool
any_name_changes (PhManifest *manifest)
{
  for (uint32_t i = 0; i < ph_manifest_len (manifest); i++) {
    const char *name = ph_manifest_name (manifest, i);
    g_autofree char *safe =
        ph_safe_name (name, ph_manifest_parent (manifest, i) == PH_MANIFEST_TOP);

    if (strcmp (safe, name) != 0)
      return true;
  }
  return false;
}

PhSafeNames *
ph_safe_names_new (PhManifest *manifest, bool fold)
{
  PhSafeNames *self = g_new0 (PhSafeNames, 1);
  const uint32_t len = ph_manifest_len (manifest);

  self->manifest = ph_manifest_ref (manifest);
  if (!fold && !any_name_changes (manifest))
    return self;

  g_autoptr (GHashTable) taken = g_hash_table_new_full (keyed_hash, g_str_equal, g_free, NULL);
  g_autoptr (GString) path = g_string_new (NULL);

  self->paths = g_new0 (const char *, len);
  self->chunk = g_string_chunk_new (16 << 10);

  for (uint32_t i = 0; i < len; i++) {
    const PhEntry *entry = ph_manifest_entry (manifest, i);
    const uint32_t parent = ph_manifest_parent (manifest, i);
    const char *name = ph_manifest_name (manifest, i);
    g_autofree char *safe = make_unique (taken, parent, entry->kind,
                                         ph_safe_name (name, parent == PH_MANIFEST_TOP), fold);

    g_string_truncate (path, 0);
    if (parent != PH_MANIFEST_TOP)
      g_string_append_printf (path, "%s/", self->paths[parent]);
    g_string_append (path, safe);
    /* A path that is too long takes all below it along: they are longer still. */
    self->paths[i] = strcmp (path->str, entry->path) == 0
                         ? entry->path
                         : g_string_chunk_insert_len (self->chunk, path->str, (gssize)path->len);
  }
  return self;
}

void
ph_safe_names_free (PhSafeNames *self)
{
  if (self == NULL)
    return;
  ph_manifest_unref (self->manifest);
  g_clear_pointer (&self->chunk, g_string_chunk_free);
  g_free (self->paths);
  g_free (self);
}

const char *
ph_safe_names_path (const PhSafeNames *self, uint32_t index)
{
  const char *path =
      self->paths != NULL ? self->paths[index] : ph_manifest_entry (self->manifest, index)->path;

  return strlen (path) <= SAFE_PATH_MAX ? path : NULL;
}

/* --- Showing ------------------------------------------------------------------------------------- */

char *
ph_display_name (const char *name)
{
  g_autoptr (GString) out = g_string_new (NULL);
  bool isolate = false;

  while (*name != '\0') {
    const gunichar c = g_utf8_get_char_validated (name, -1);

    if (c == (gunichar)-1 || c == (gunichar)-2) {
      g_string_append_printf (out, "\\x%02x", (uint8_t)*name);
      name++;
      continue;
    }
    if (is_invisible (c))
      g_string_append_printf (out, c < 0x80 ? "\\x%02x" : "\\u%04x", c);
    else
      g_string_append_unichar (out, c);
    isolate = isolate || (c >= CHAR_FIRST_RTL && !is_invisible (c));
    name = g_utf8_next_char (name);
  }
  if (isolate) {
    g_string_prepend (out, "\xe2\x81\xa8"); /* U+2068, first strong isolate */
    g_string_append (out, "\xe2\x81\xa9"); /* U+2069, pop directional isolate */
  }
  return g_string_free (g_steal_pointer (&out), FALSE);
}
