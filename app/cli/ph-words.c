/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/cli/ph-words.h"

#include "app/engine/ph-safe-name.h"

#include <glib/gi18n.h>

#define NAMES_SHOWN 3
#define NEAREST_SHOWN 3
/* Longer words are not compared: nobody mistypes one, and the cost grows with the square. */
#define WORD_LEN_MAX 64

char *
ph_words_duration (double seconds)
{
  unsigned whole = (unsigned)CLAMP (seconds + 0.5, 0, (double)G_MAXINT);

  if (seconds < 60)
    /* Translators: seconds */
    return g_strdup_printf (_ ("%.1f s"), seconds);
  if (whole < 3600)
    /* Translators: minutes and seconds */
    return g_strdup_printf (_ ("%u min %u s"), whole / 60, whole % 60);
  /* Translators: hours and minutes */
  return g_strdup_printf (_ ("%u h %u min"), whole / 3600, whole / 60 % 60);
}

char *
ph_words_rate (double bytes_per_second)
{
  g_autofree char *size = g_format_size ((guint64)MAX (bytes_per_second, 0));

  /* Translators: %s is an amount of data such as "3.1 MB": so much a second */
  return g_strdup_printf (_ ("%s/s"), size);
}

char *
ph_words_amount (uint32_t files, uint64_t bytes)
{
  g_autofree char *size = g_format_size (bytes);

  /* Translators: %s is an amount of data such as "3.1 MB" */
  return g_strdup_printf (ngettext ("%u file, %s", "%u files, %s", files), files, size);
}

char *
ph_words_names (const char *const *names)
{
  g_autoptr (GString) list = g_string_new (NULL);
  unsigned n = names != NULL ? g_strv_length ((char **)names) : 0;

  for (unsigned i = 0; i < MIN (n, NAMES_SHOWN); i++) {
    g_autofree char *shown = ph_display_name (names[i]);

    g_string_append_printf (list, "%s%s", i > 0 ? ", " : "", shown);
  }
  if (n > NAMES_SHOWN) {
    unsigned more = n - NAMES_SHOWN;

    /* Translators: %s is a list of file names */
    return g_strdup_printf (ngettext ("%s and %u more", "%s and %u more", more), list->str, more);
  }
  return g_strdup (list->str);
}

const char *
ph_words_path (const char *path)
{
  if (g_strcmp0 (path, "lan") == 0)
    return _ ("on the local network");
  if (g_strcmp0 (path, "udp") == 0)
    return _ ("direct over UDP");
  if (g_strcmp0 (path, "tcp") == 0)
    return _ ("direct over TCP");
  if (g_strcmp0 (path, "relay") == 0)
    return _ ("through a relay");
  return NULL;
}

const char *
ph_words_state (PhTransferState state, PhDirection direction)
{
  bool sends = direction == PH_DIRECTION_SEND;

  switch (state) {
  case PH_TRANSFER_PREPARING:
    return _ ("looking at the files");
  case PH_TRANSFER_WAITING:
    return _ ("waiting for the other side to come online");
  case PH_TRANSFER_CONNECTING:
    return _ ("connecting");
  case PH_TRANSFER_OFFERED:
    return sends ? _ ("waiting for the other side to accept") : _ ("offered");
  case PH_TRANSFER_ACTIVE:
    return sends ? _ ("sending") : _ ("receiving");
  case PH_TRANSFER_PAUSED:
    return _ ("paused");
  case PH_TRANSFER_CHECKING:
    return _ ("checking");
  case PH_TRANSFER_DONE:
    return sends ? _ ("delivered") : _ ("received");
  case PH_TRANSFER_DECLINED:
    return _ ("declined");
  case PH_TRANSFER_CANCELLED:
    return _ ("cancelled");
  case PH_TRANSFER_FAILED:
  default:
    return _ ("failed");
  }
}

char *
ph_words_message (const char *message)
{
  if (!g_utf8_validate (message, -1, NULL))
    return ph_display_name (message);
  for (const char *p = message; *p != '\0'; p = g_utf8_next_char (p)) {
    gunichar c = g_utf8_get_char (p);
    /* The isolates that ph_display_name() itself puts around names. */
    bool isolate = c == 0x2068 || c == 0x2069;

    if (!isolate && (g_unichar_iscntrl (c) || g_unichar_type (c) == G_UNICODE_FORMAT))
      return ph_display_name (message);
  }
  return g_strdup (message);
}

/* --- What somebody may have meant ---------------------------------------------------------------- */

/* Edit distance with neighbouring letters swapped counting as one (optimal string alignment). */
static unsigned
distance (const gunichar *a, size_t a_len, const gunichar *b, size_t b_len)
{
  unsigned rows[3][WORD_LEN_MAX + 1];

  for (unsigned j = 0; j <= b_len; j++)
    rows[0][j] = j;
  for (size_t i = 1; i <= a_len; i++) {
    unsigned *row = rows[i % 3];
    const unsigned *before = rows[(i + 2) % 3];
    const unsigned *before_that = rows[(i + 1) % 3];

    row[0] = (unsigned)i;
    for (size_t j = 1; j <= b_len; j++) {
      unsigned best = before[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);

      best = MIN (best, MIN (before[j], row[j - 1]) + 1);
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        best = MIN (best, before_that[j - 2] + 1);
      row[j] = best;
    }
  }
  return rows[a_len % 3][b_len];
}

/* Small is near; UINT_MAX is too far. A word that contains the text is near whatever its length. */
static unsigned
farness (const char *text, const char *word)
{
  g_autofree char *a = g_utf8_casefold (text, -1);
  g_autofree char *b = g_utf8_casefold (word, -1);
  glong a_len, b_len;
  g_autofree gunichar *x = g_utf8_to_ucs4_fast (a, -1, &a_len);
  g_autofree gunichar *y = g_utf8_to_ucs4_fast (b, -1, &b_len);
  unsigned d;

  if (a_len == 0 || b_len == 0 || a_len > WORD_LEN_MAX || b_len > WORD_LEN_MAX)
    return UINT_MAX;
  d = distance (x, (size_t)a_len, y, (size_t)b_len);
  if (d <= 1 + (unsigned)MAX (a_len, b_len) / 4)
    return d;
  return a_len >= 2 && strstr (b, a) != NULL ? 100 + d : UINT_MAX;
}

char *
ph_words_nearest (const char *text, const char *const *words)
{
  struct {
    const char *word;
    unsigned far;
  } best[NEAREST_SHOWN + 1];
  size_t n = 0;
  GString *list;

  if (!g_utf8_validate (text, -1, NULL))
    return NULL;
  for (size_t w = 0; words[w] != NULL; w++) {
    unsigned far = farness (text, words[w]);
    size_t at = n;

    if (far == UINT_MAX)
      continue;
    for (; at > 0 && best[at - 1].far > far; at--)
      best[at] = best[at - 1];
    best[at].word = words[w];
    best[at].far = far;
    n = MIN (n + 1, NEAREST_SHOWN);
  }
  if (n == 0)
    return NULL;
  list = g_string_new (NULL);
  for (size_t i = 0; i < n; i++) {
    g_autofree char *shown = ph_display_name (best[i].word);

    g_string_append_printf (list, "%s“%s”", i > 0 ? ", " : "", shown);
  }
  return g_string_free_and_steal (list);
}
