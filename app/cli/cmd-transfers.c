/* SPDX-License-Identifier: GPL-3.0-or-later */
/* transfers, history, pause, resume, cancel: what goes on, and what went on. */

#include "app/cli/ph-commands.h"
#include "app/cli/ph-follow.h"
#include "app/cli/ph-words.h"
#include "app/engine/ph-safe-name.h"

#include <glib/gi18n.h>

#define HISTORY_SHOWN 50
/* Rows that are asked for at a time. */
#define HISTORY_PAGE 500u

/* --- Lists --------------------------------------------------------------------------------------- */

static const char *
state_word (PhTransferState state)
{
  static const char *const words[] = {
      [PH_TRANSFER_PREPARING] = "preparing",   [PH_TRANSFER_WAITING] = "waiting",
      [PH_TRANSFER_CONNECTING] = "connecting", [PH_TRANSFER_OFFERED] = "offered",
      [PH_TRANSFER_ACTIVE] = "active",         [PH_TRANSFER_PAUSED] = "paused",
      [PH_TRANSFER_CHECKING] = "checking",     [PH_TRANSFER_DONE] = "done",
      [PH_TRANSFER_DECLINED] = "declined",     [PH_TRANSFER_CANCELLED] = "cancelled",
      [PH_TRANSFER_FAILED] = "failed",
  };

  return (size_t)state < G_N_ELEMENTS (words) ? words[state] : "failed";
}

static void
show_transfer_json (const PhTransferView *view)
{
  JsonBuilder *object = ph_output_begin ("transfer");

  ph_output_string (object, "transfer", view->id);
  ph_output_string (object, "direction", view->direction == PH_DIRECTION_SEND ? "send" : "receive");
  ph_output_string (object, "state", state_word (view->state));
  ph_output_string (object, "contact", view->contact);
  ph_output_string (object, "name", view->contact_name);
  ph_output_strings (object, "names", view->names);
  ph_output_int (object, "files", view->files);
  ph_output_int (object, "bytes", (int64_t)view->bytes_done);
  ph_output_int (object, "total", (int64_t)view->bytes_total);
  ph_output_int (object, "created_at", view->created_at);
  ph_output_int (object, "finished_at", view->finished_at);
  ph_output_string (object, "folder", view->folder);
  ph_output_string (object, "path", view->path);
  ph_output_string (object, "code", view->code);
  ph_output_string (object, "message", view->message);
  ph_output_end (object);
}

static char *
when_words (int64_t seconds)
{
  g_autoptr (GDateTime) when = g_date_time_new_from_unix_local (seconds);

  return when != NULL ? g_date_time_format (when, "%x %H:%M") : g_strdup ("-");
}

/* "3f2a9c01  12/24/25 18:00  -> Anna  photos, a.txt  3 files, 1.0 GB  delivered" */
static void
show_transfer (const PhTransferView *view)
{
  g_autofree char *amount = ph_words_amount (view->files, view->bytes_total);
  g_autofree char *names = ph_words_names (view->names);
  g_autofree char *contact = ph_display_name (view->contact_name);
  g_autofree char *when = when_words (view->created_at);
  g_autofree char *message = ph_words_message (view->message);

  if (ph_output_is_json ()) {
    show_transfer_json (view);
    return;
  }
  ph_output_line ("%.8s  %s  %s %s  %s  %s  %s%s%s", view->id, when,
                  view->direction == PH_DIRECTION_SEND ? "->" : "<-", contact, names, amount,
                  ph_words_state (view->state, view->direction), message[0] != '\0' ? ": " : "",
                  message);
}

static void
list_event (PhCli *cli, const PhEvent *event, void *user)
{
  guint *n = user;

  if (event->type != PH_EVENT_TRANSFER && event->type != PH_EVENT_HISTORY)
    return;
  (*n)++;
  show_transfer (&event->transfer);
}

PhExit
ph_cmd_transfers (PhCli *cli, int argc, char **argv)
{
  g_auto (GStrv) args = NULL;
  guint n = 0;
  PhExit status;

  if (!ph_commands_parse (cli, argc, argv, NULL, 0, 0, &args))
    return PH_EXIT_USAGE;
  cli->on_event = list_event;
  cli->user = &n;
  status = ph_cli_open (cli);
  cli->on_event = NULL;
  if (status == PH_EXIT_DONE && n == 0)
    ph_output_note (_ ("No transfer is under way."));
  return status;
}

/* What has come of a page of the history, and where the next one goes on. */
typedef struct {
  guint n;
  int64_t last_at;
  char *last_id;
} Page;

static void
history_event (PhCli *cli, const PhEvent *event, void *user)
{
  Page *page = user;

  if (event->type != PH_EVENT_HISTORY)
    return;
  page->n++;
  page->last_at = event->transfer.finished_at;
  g_set_str (&page->last_id, event->transfer.id);
  show_transfer (&event->transfer);
}

/* In pages: the application whose engine it is holds only so many rows for one that reads slowly. */
static PhExit
show_history (PhCli *cli, PhHistoryQuery query, guint limit, guint *ret_shown)
{
  Page page = {0};
  guint shown = 0;
  PhExit status;

  cli->on_event = history_event;
  cli->user = &page;
  do {
    g_autofree char *after = g_steal_pointer (&page.last_id);

    query.limit = limit == 0 ? HISTORY_PAGE : MIN (HISTORY_PAGE, limit - shown);
    query.before_at = page.last_at;
    query.before_id = after;
    page.n = 0;
    status = ph_cli_wait (cli, ph_engine_load_history (cli->engine, &query));
    shown += page.n;
  } while (status == PH_EXIT_DONE && page.n == query.limit && shown != limit);
  cli->on_event = NULL;
  g_free (page.last_id);
  *ret_shown = shown;
  return status;
}

PhExit
ph_cmd_history (PhCli *cli, int argc, char **argv)
{
  g_auto (GStrv) args = NULL;
  guint n = 0;
  int limit = HISTORY_SHOWN;
  g_autofree char *contact = NULL;
  g_autofree char *search = NULL;
  gboolean missed = FALSE;
  PhHistoryQuery query = {0};
  const GOptionEntry entries[] = {
      {"limit", 'n', 0, G_OPTION_ARG_INT, &limit, N_ ("How many, newest first"), N_ ("N")},
      {"contact", 0, 0, G_OPTION_ARG_STRING, &contact, N_ ("Only with this contact"),
       N_ ("CONTACT")},
      {"search", 0, 0, G_OPTION_ARG_STRING, &search, N_ ("Only what has these words in a name"),
       N_ ("WORDS")},
      {"missed", 0, 0, G_OPTION_ARG_NONE, &missed, N_ ("Only offers that nobody answered"), NULL},
      G_OPTION_ENTRY_NULL,
  };
  PhExit status;

  if (!ph_commands_parse (cli, argc, argv, entries, 0, 0, &args))
    return PH_EXIT_USAGE;
  status = ph_cli_open (cli);
  if (status != PH_EXIT_DONE)
    return status;
  if (contact != NULL) {
    const PhCliContact *found = ph_cli_find_contact (cli, contact);

    if (found == NULL)
      return PH_EXIT_FAILED;
    query.contact = found->id;
  }
  query.search = search;
  query.missed_only = missed;
  status = show_history (cli, query, (guint)MAX (limit, 0), &n);
  if (status == PH_EXIT_DONE && n == 0)
    ph_output_note ("%s", contact != NULL || search != NULL || missed
                              ? _ ("Nothing like that was sent or received.")
                              : _ ("Nothing was sent or received yet."));
  return status;
}

/* --- Changing ------------------------------------------------------------------------------------ */

static PhExit
change_transfer (PhCli *cli, int argc, char **argv, uint32_t (*verb) (PhEngine *, const char *))
{
  g_auto (GStrv) args = NULL;
  const char *transfer;
  PhExit status;

  if (!ph_commands_parse (cli, argc, argv, NULL, 1, 1, &args))
    return PH_EXIT_USAGE;
  status = ph_cli_open (cli);
  if (status != PH_EXIT_DONE)
    return status;
  transfer = ph_cli_find_transfer (cli, args[0]);
  return transfer != NULL ? ph_cli_wait (cli, verb (cli->engine, transfer)) : PH_EXIT_FAILED;
}

PhExit
ph_cmd_pause (PhCli *cli, int argc, char **argv)
{
  return change_transfer (cli, argc, argv, ph_engine_pause);
}

PhExit
ph_cmd_cancel (PhCli *cli, int argc, char **argv)
{
  return change_transfer (cli, argc, argv, ph_engine_cancel);
}
