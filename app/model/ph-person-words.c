/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/model/ph-person-words.h"

#include "app/model/ph-format.h"

#include <glib/gi18n.h>

#define GROUPS_IN_LINE 3

static const uint64_t caps[] = {UINT64_C (100000000), PH_PERSON_CAP_DEFAULT, UINT64_C (10000000000),
                                0};

static char *
cap_words (uint64_t bytes)
{
  g_autofree char *size = ph_format_size (bytes);

  /* Translators: %s is an amount of data such as "100 MB", taken without asking within a day */
  return g_strdup_printf (_ ("%s a day"), size);
}

char **
ph_person_caps (uint64_t current)
{
  GStrvBuilder *builder = g_strv_builder_new ();
  char **words;

  for (unsigned i = 0; i < G_N_ELEMENTS (caps); i++) {
    if (caps[i] == 0)
      g_strv_builder_add (builder, C_ ("files up to", "Any amount"));
    else
      g_strv_builder_take (builder, cap_words (caps[i]));
  }
  if (ph_person_cap_position (current) == G_N_ELEMENTS (caps))
    g_strv_builder_take (builder, cap_words (current));
  words = g_strv_builder_end (builder);
  g_strv_builder_unref (builder);
  return words;
}

unsigned
ph_person_cap_position (uint64_t current)
{
  unsigned i = 0;

  while (i < G_N_ELEMENTS (caps) && caps[i] != current)
    i++;
  return i;
}

uint64_t
ph_person_cap_at (unsigned position, uint64_t current)
{
  return position < G_N_ELEMENTS (caps) ? caps[position] : current;
}

char *
ph_person_number_in_lines (const char *number)
{
  g_auto (GStrv) groups = g_strsplit (number, " ", -1);
  GString *lines = g_string_new (NULL);

  for (unsigned i = 0; groups[i] != NULL; i++)
    g_string_append_printf (lines, "%s%s",
                            i == 0                    ? ""
                            : i % GROUPS_IN_LINE == 0 ? "\n"
                                                      : "  ",
                            groups[i]);
  return g_string_free_and_steal (lines);
}
