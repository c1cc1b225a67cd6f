/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whatever a manifest holds: safe paths are unique, stay inside and are valid names; what is shown is
 * valid UTF-8 without controls. Names are the input's lines. */

#include "app/engine/ph-safe-name.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
check_shown (const char *text)
{
  g_autofree char *shown = ph_display_name (text);

  g_assert (g_utf8_validate (shown, -1, NULL));
  for (const char *p = shown; *p != '\0'; p = g_utf8_next_char (p)) {
    const gunichar c = g_utf8_get_char (p);

    g_assert (!g_unichar_iscntrl (c));
    g_assert (c < 0x202a || c > 0x202e);
  }
}

static void
check_path (const char *path)
{
  g_auto (GStrv) parts = g_strsplit (path, "/", -1);

  g_assert (path[0] != '/' && path[0] != '.' && path[0] != '\0');
  for (char **part = parts; *part != NULL; part++) {
    const size_t len = strlen (*part);

    g_assert (len > 0 && len <= PH_SAFE_NAME_MAX);
    g_assert (strcmp (*part, ".") != 0 && strcmp (*part, "..") != 0);
    g_assert ((*part)[len - 1] != '.' && (*part)[len - 1] != ' ');
    g_assert (strchr (*part, '\\') == NULL);
    g_assert (g_utf8_validate (*part, -1, NULL));
    for (const char *p = *part; *p != '\0'; p = g_utf8_next_char (p))
      g_assert (!g_unichar_iscntrl (g_utf8_get_char (p)));
  }
}

static void
check_manifest (PhManifest *manifest, bool fold)
{
  g_autoptr (PhSafeNames) names = ph_safe_names_new (manifest, fold);
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);

  for (uint32_t i = 0; i < ph_manifest_len (manifest); i++) {
    const char *path = ph_safe_names_path (names, i);

    if (path == NULL)
      continue;
    check_path (path);
    g_assert (g_hash_table_add (seen, (char *)path));
  }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree char *text = g_strndup ((const char *)data, size);
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  PhManifestBuilder *builder = ph_manifest_builder_new ();

  check_shown (text);
  for (char **line = lines; *line != NULL; line++) {
    size_t len = strlen (*line);
    const bool folder = len > 0 && (*line)[len - 1] == '/';

    if (folder)
      (*line)[--len] = '\0';
    ph_manifest_builder_add (builder, folder ? PH_ENTRY_FOLDER : PH_ENTRY_FILE, *line, 0, 0);
  }

  g_autoptr (PhManifest) manifest = ph_manifest_builder_end (builder);

  check_manifest (manifest, false);
  check_manifest (manifest, true);
  return 0;
}
