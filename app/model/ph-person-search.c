/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/model/ph-person-search.h"

#include <string.h>

/* What remains of a text when case and accents do not count. */
static char *
fold (const char *text)
{
  g_autofree char *apart = g_utf8_normalize (text, -1, G_NORMALIZE_ALL);
  g_autofree char *folded = apart != NULL ? g_utf8_casefold (apart, -1) : g_strdup ("");
  GString *bare = g_string_new (NULL);

  for (const char *c = folded; *c != '\0'; c = g_utf8_next_char (c)) {
    if (!g_unichar_ismark (g_utf8_get_char (c)))
      g_string_append_unichar (bare, g_utf8_get_char (c));
  }
  return g_string_free (bare, FALSE);
}

/* Knows letters that are no letter with an accent, such as ø and ł. Looks at letters and digits only. */
static bool
begins_with (const char *name, const char *word)
{
  const char *c = word;

  while (*c != '\0' && !g_unichar_isalnum (g_utf8_get_char (c)))
    c = g_utf8_next_char (c);
  return *c != '\0' && g_str_match_string (word, name, TRUE);
}

/* `words` as fold() leaves them. */
static bool
has_words (const char *name, char **words)
{
  g_autofree char *folded = fold (name);

  for (char **word = words; *word != NULL; word++) {
    if (strstr (folded, *word) == NULL && !begins_with (name, *word))
      return false;
  }
  return true;
}

static char **
split (const char *text)
{
  g_autofree char *folded = fold (text != NULL ? text : "");
  g_auto (GStrv) parts = g_strsplit_set (folded, " \t\n", -1);
  g_autoptr (GStrvBuilder) words = g_strv_builder_new ();

  for (char **part = parts; *part != NULL; part++) {
    if (**part != '\0')
      g_strv_builder_add (words, *part);
  }
  return g_strv_builder_end (words);
}

bool
ph_person_search_matches (const char *name, const char *text)
{
  g_auto (GStrv) words = split (text);

  return has_words (name, words);
}

static int
by_name (gconstpointer a, gconstpointer b)
{
  return g_utf8_collate (ph_contact_item_name (*(PhContactItem **)a),
                         ph_contact_item_name (*(PhContactItem **)b));
}

char **
ph_person_search (GListModel *contacts, const char *const *typed)
{
  g_autofree char *text = g_strjoinv (" ", (char **)typed);
  g_auto (GStrv) words = split (text);
  g_autoptr (GPtrArray) found = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr (GStrvBuilder) ids = g_strv_builder_new ();

  for (guint i = 0; words[0] != NULL && i < g_list_model_get_n_items (contacts); i++) {
    g_autoptr (PhContactItem) contact = g_list_model_get_item (contacts, i);

    if (!ph_contact_item_blocked (contact) && has_words (ph_contact_item_name (contact), words))
      g_ptr_array_add (found, g_steal_pointer (&contact));
  }
  g_ptr_array_sort (found, by_name);
  for (guint i = 0; i < MIN (found->len, PH_PERSON_SEARCH_MAX); i++)
    g_strv_builder_add (ids, ph_contact_item_id (found->pdata[i]));
  return g_strv_builder_end (ids);
}
