/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/model/ph-format.h"

#include "app/engine/ph-safe-name.h"

#include <glib/gi18n.h>

#define NAMES_SHOWN 2
/* Separates facts that stand side by side on one line. */
#define BETWEEN " · "
/* Around what has a direction of its own. */
#define FSI "\xe2\x81\xa8"
#define PDI "\xe2\x81\xa9"
#define RLM "\xe2\x80\x8f"
/* Between what belongs on one line. */
#define WORD_JOINER "\xe2\x81\xa0"

/* --- Names --------------------------------------------------------------------------------------- */

/* The direction of the sentences: they need not be translated into the locale's language. */
static bool
is_right_to_left (void)
{
  const GUnicodeScript script = g_unichar_get_script (g_utf8_get_char (_ ("Online")));

  return script == G_UNICODE_SCRIPT_ARABIC || script == G_UNICODE_SCRIPT_HEBREW;
}

/* Text that begins or ends with digits or punctuation takes on the direction of what is around it; and a number behind a
 * name of the other direction goes to its other end. (Names that go from right to left have marks already.) */
static bool
is_at_home (const char *name)
{
  const char *last = g_utf8_find_prev_char (name, name + strlen (name));

  return last != NULL && !is_right_to_left () && g_unichar_isalpha (g_utf8_get_char (name))
         && g_unichar_isalnum (g_utf8_get_char (last));
}

char *
ph_format_name (const char *name)
{
  g_autofree char *shown = ph_display_name (name);

  if (g_str_has_prefix (shown, FSI) || is_at_home (shown))
    return g_steal_pointer (&shown);
  return g_strconcat (FSI, shown, PDI, NULL);
}

char *
ph_format_names (const char *const *names, uint32_t files)
{
  g_autoptr (GString) list = g_string_new (NULL);
  const unsigned n = names != NULL ? g_strv_length ((char **)names) : 0;

  for (unsigned i = 0; i < MIN (n, NAMES_SHOWN); i++) {
    /* A name alone on its line is its own direction. */
    g_autofree char *shown = n == 1 ? ph_display_name (names[i]) : ph_format_name (names[i]);

    if (i > 0)
      /* Translators: stands between the names in a list */
      g_string_append (list, C_ ("list of names", ", "));
    g_string_append (list, shown);
  }
  if (n == 0)
    return g_strdup_printf (ngettext ("%u file", "%u files", files), files);
  if (n > NAMES_SHOWN) {
    const unsigned more = n - NAMES_SHOWN;

    /* Translators: %s is a list of file names */
    return g_strdup_printf (ngettext ("%s and %u more", "%s and %u more", more), list->str, more);
  }
  return g_strdup (list->str);
}

/* --- Amounts ------------------------------------------------------------------------------------- */

char *
ph_format_size (uint64_t bytes)
{
  g_autofree char *size = g_format_size (bytes);

  /* Its unit may be in another script, and would change places with what stands beside it. The mark: Pango takes a
   * line's direction from its first letter, isolated or not. */
  return is_right_to_left () ? g_strconcat (RLM FSI, size, PDI, NULL) : g_steal_pointer (&size);
}

char *
ph_format_amount (uint32_t files, uint64_t bytes)
{
  g_autofree char *size = ph_format_size (bytes);

  /* Translators: %s is an amount of data such as "3.1 MB" */
  return g_strdup_printf (ngettext ("%u file, %s", "%u files, %s", files), files, size);
}

char *
ph_format_progress (uint64_t done, uint64_t total)
{
  g_autofree char *part = ph_format_size (done);
  g_autofree char *whole = ph_format_size (total);

  /* Translators: both are amounts of data such as "3.1 MB": so much of so much */
  return g_strdup_printf (_ ("%s of %s"), part, whole);
}

char *
ph_format_rate (uint64_t bytes_per_second)
{
  g_autofree char *size = ph_format_size (bytes_per_second);

  /* Translators: %s is an amount of data such as "3.1 MB": so much a second */
  g_autofree char *rate = g_strdup_printf (_ ("%s/s"), size);
  g_auto (GStrv) parts = g_strsplit (rate, "/", -1);

  /* A line may end after a slash. */
  return g_strjoinv ("/" WORD_JOINER, parts);
}

char *
ph_format_time_left (uint64_t bytes_left, uint64_t bytes_per_second)
{
  uint64_t seconds;
  unsigned whole;

  if (bytes_per_second == 0 || bytes_left == 0)
    return NULL;
  seconds = bytes_left / bytes_per_second;
  if (seconds < 5)
    return g_strdup (_ ("a few seconds left"));
  if (seconds < 55) {
    whole = (unsigned)(seconds + 4) / 5 * 5;
    return g_strdup_printf (ngettext ("%u second left", "%u seconds left", whole), whole);
  }
  if (seconds < 90 * 60) {
    whole = (unsigned)(seconds + 30) / 60;
    whole = MAX (whole, 1);
    return g_strdup_printf (ngettext ("%u minute left", "%u minutes left", whole), whole);
  }
  if (seconds < 36 * 3600) {
    whole = (unsigned)(seconds + 1800) / 3600;
    return g_strdup_printf (ngettext ("%u hour left", "%u hours left", whole), whole);
  }
  whole = (unsigned)MIN ((seconds + 43200) / 86400, 9999);
  return g_strdup_printf (ngettext ("%u day left", "%u days left", whole), whole);
}

/* --- Time ---------------------------------------------------------------------------------------- */

char *
ph_format_moment (int64_t unix_seconds, int64_t now)
{
  g_autoptr (GDateTime) then = g_date_time_new_from_unix_local (unix_seconds);
  g_autoptr (GDateTime) present = g_date_time_new_from_unix_local (now);
  g_autoptr (GDateTime) day_before = present != NULL ? g_date_time_add_days (present, -1) : NULL;

  if (then == NULL || present == NULL || day_before == NULL)
    return g_strdup ("");
  if (g_date_time_get_year (then) == g_date_time_get_year (present)
      && g_date_time_get_day_of_year (then) == g_date_time_get_day_of_year (present))
    /* Translators: a time of day for g_date_time_format() */
    return g_date_time_format (then, _ ("%H:%M"));
  if (g_date_time_get_year (then) == g_date_time_get_year (day_before)
      && g_date_time_get_day_of_year (then) == g_date_time_get_day_of_year (day_before))
    /* Translators: a time of day for g_date_time_format() */
    return g_date_time_format (then, _ ("Yesterday, %H:%M"));
  if (g_date_time_get_year (then) == g_date_time_get_year (present))
    /* Translators: a day of this year for g_date_time_format() */
    return g_date_time_format (then, _ ("%-d %B, %H:%M"));
  /* Translators: a day of another year for g_date_time_format() */
  return g_date_time_format (then, _ ("%-d %B %Y"));
}

/* --- Paths --------------------------------------------------------------------------------------- */

const char *
ph_format_path (const char *path)
{
  if (g_strcmp0 (path, "lan") == 0)
    return _ ("Direct, same network");
  if (g_strcmp0 (path, "udp") == 0)
    return _ ("Direct through both routers");
  if (g_strcmp0 (path, "tcp") == 0)
    return _ ("Direct through both routers (TCP)");
  if (g_strcmp0 (path, "relay") == 0)
    return _ ("Relayed");
  return NULL;
}

const char *
ph_format_path_icon (const char *path)
{
  if (g_strcmp0 (path, "lan") == 0)
    return "network-wired-symbolic";
  if (g_strcmp0 (path, "udp") == 0 || g_strcmp0 (path, "tcp") == 0)
    return "network-transmit-receive-symbolic";
  if (g_strcmp0 (path, "relay") == 0)
    return "network-server-symbolic";
  return NULL;
}

/* --- Transfers ----------------------------------------------------------------------------------- */

static char *
under_way (const PhTransferView *view)
{
  g_autofree char *progress = ph_format_progress (view->bytes_done, view->bytes_total);
  g_autofree char *rate = NULL, *left = NULL;

  if (view->rate == 0)
    return g_steal_pointer (&progress);
  rate = ph_format_rate (view->rate);
  left = ph_format_time_left (view->bytes_total - MIN (view->bytes_done, view->bytes_total),
                              view->rate);
  return g_strjoin (BETWEEN, progress, rate, left, NULL);
}

static char *
ended (const char *how, const PhTransferView *view, int64_t now)
{
  g_autofree char *size = ph_format_size (view->bytes_total);
  g_autofree char *when = ph_format_moment (view->finished_at, now);

  return g_strjoin (BETWEEN, how, size, when, NULL);
}

static char *
said (const char *format, const char *name)
{
  g_autofree char *shown = ph_format_name (name);

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  return g_strdup_printf (format, shown);
#pragma GCC diagnostic pop
}

static char *
offered (const PhTransferView *view)
{
  g_autofree char *who = ph_format_name (view->contact_name);
  g_autofree char *size = ph_format_size (view->bytes_total);

  if (view->direction == PH_DIRECTION_SEND)
    /* Translators: %s is the name of a person or device */
    return g_strdup_printf (_ ("Waiting for %s to accept"), who);
  /* Translators: a person or device, a count of files, and an amount of data such as "3.1 MB" */
  return g_strdup_printf (ngettext ("%s wants to send you %u file, %s",
                                    "%s wants to send you %u files, %s", view->files),
                          who, view->files, size);
}

static char *
paused (const PhTransferView *view)
{
  g_autofree char *progress = ph_format_progress (view->bytes_done, view->bytes_total);
  /* Translators: %s is the name of a person or device */
  g_autofree char *who =
      view->paused_here ? g_strdup (_ ("Paused")) : said (_ ("Paused by %s"), view->contact_name);

  return g_strjoin (BETWEEN, who, progress, NULL);
}

static char *
waiting (const PhTransferView *view, int64_t now)
{
  const char *identity = ph_engine_error_code (PH_ENGINE_ERROR_IDENTITY);
  g_autofree char *until = NULL, *limit = NULL;
  /* Translators: %s is the name of a person or device */
  g_autofree char *whom = said (_ ("Waiting for %s to come online"), view->contact_name);

  /* Not for them: somebody else is there. */
  if (g_strcmp0 (view->code, identity) == 0)
    return g_strdup (_ ("Stopped"));
  if (view->expires_at <= now)
    return g_steal_pointer (&whom);
  until = ph_format_moment (view->expires_at, now);
  /* Translators: %s is a day and time, after which the transfer is given up */
  limit = g_strdup_printf (_ ("until %s"), until);
  return g_strjoin (BETWEEN, whom, limit, NULL);
}

static char *
cancelled (const PhTransferView *view, int64_t now)
{
  g_autofree char *when = NULL, *who = NULL;

  if (!view->missed)
    return g_strdup (view->message[0] != '\0' ? view->message : _ ("Cancelled"));
  when = ph_format_moment (view->created_at, now);
  /* Translators: %s is the name of a person or device: they offered something */
  who = said (_ ("Missed: %s had something for you"), view->contact_name);
  return g_strjoin (BETWEEN, who, when, NULL);
}

char *
ph_format_transfer_status (const PhTransferView *view, int64_t now)
{
  const bool sends = view->direction == PH_DIRECTION_SEND;

  switch (view->state) {
  case PH_TRANSFER_PREPARING:
    return g_strdup (_ ("Looking at the files…"));
  case PH_TRANSFER_WAITING:
    return waiting (view, now);
  case PH_TRANSFER_CONNECTING:
    return g_strdup (_ ("Connecting…"));
  case PH_TRANSFER_OFFERED:
    return offered (view);
  case PH_TRANSFER_ACTIVE:
    return under_way (view);
  case PH_TRANSFER_PAUSED:
    return paused (view);
  case PH_TRANSFER_CHECKING:
    return g_strdup (_ ("Checking…"));
  case PH_TRANSFER_DONE:
    return ended (sends ? _ ("Delivered") : _ ("Received"), view, now);
  case PH_TRANSFER_DECLINED:
    /* Translators: %s is the name of a person or device */
    return sends ? said (_ ("%s declined"), view->contact_name) : g_strdup (_ ("You declined"));
  case PH_TRANSFER_CANCELLED:
    return cancelled (view, now);
  case PH_TRANSFER_FAILED:
  default:
    return view->message[0] != '\0' ? g_strdup (view->message) : g_strdup (_ ("Failed"));
  }
}

char *
ph_format_transfer_news (const PhTransferView *view)
{
  g_autofree char *who = ph_format_name (view->contact_name);
  g_autofree char *what = ph_format_names (view->names, view->files);
  const bool sends = view->direction == PH_DIRECTION_SEND;

  switch (view->state) {
  case PH_TRANSFER_OFFERED:
    /* Translators: the first %s is a person or device, the second one or more file names */
    return sends ? NULL : g_strdup_printf (_ ("%s wants to send you %s"), who, what);
  case PH_TRANSFER_DONE:
    /* Translators: the first %s is one or more file names, the second a person or device */
    return sends
               ? g_strdup_printf (_ ("%s was delivered to %s"), what, who)
               /* Translators: the first %s is one or more file names, the second a person or device */
               : g_strdup_printf (_ ("%s from %s has arrived"), what, who);
  case PH_TRANSFER_DECLINED:
    /* Translators: the first %s is a person or device, the second one or more file names */
    return sends ? g_strdup_printf (_ ("%s declined %s"), who, what) : NULL;
  case PH_TRANSFER_FAILED:
    /* Translators: the first %s is one or more file names, the second a person or device */
    return sends
               ? g_strdup_printf (_ ("%s could not be sent to %s"), what, who)
               /* Translators: the first %s is one or more file names, the second a person or device */
               : g_strdup_printf (_ ("%s from %s could not be received"), what, who);
  case PH_TRANSFER_PREPARING:
  case PH_TRANSFER_WAITING:
  case PH_TRANSFER_CONNECTING:
  case PH_TRANSFER_ACTIVE:
  case PH_TRANSFER_PAUSED:
  case PH_TRANSFER_CHECKING:
  case PH_TRANSFER_CANCELLED:
  default:
    return NULL;
  }
}

char *
ph_format_send_to (const char *contact_name, uint32_t files, uint64_t bytes, bool more)
{
  g_autofree char *who = ph_format_name (contact_name);
  g_autofree char *size = ph_format_size (bytes);

  if (files == 0)
    /* Translators: %s is a person or device */
    return g_strdup_printf (_ ("Send to %s"), who);
  if (more)
    /* Translators: a count of files, an amount of data such as "3.1 MB", and a person or device */
    return g_strdup_printf (
        ngettext ("Send over %u file, %s, to %s", "Send over %u files, %s, to %s", files), files,
        size, who);
  /* Translators: a count of files, an amount of data such as "3.1 MB", and a person or device */
  return g_strdup_printf (ngettext ("Send %u file, %s, to %s", "Send %u files, %s, to %s", files),
                          files, size, who);
}

/* --- The network --------------------------------------------------------------------------------- */

char *
ph_format_status (const PhStatusView *view)
{
  switch (view->status) {
  case PH_STATUS_NOT_CONFIGURED:
    return g_strdup (_ ("No meeting point is set up: only people on this network can be reached"));
  case PH_STATUS_OFFLINE:
    if (view->reason[0] == '\0')
      return g_strdup (_ ("The meeting point cannot be reached"));
    /* Translators: %s says why, such as "it does not answer" */
    return g_strdup_printf (_ ("The meeting point cannot be reached: %s"), view->reason);
  case PH_STATUS_REPLACED:
    return g_strdup (_ ("This profile is in use on another computer"));
  case PH_STATUS_CONNECTING:
  case PH_STATUS_ONLINE:
  default:
    return g_strdup ("");
  }
}
