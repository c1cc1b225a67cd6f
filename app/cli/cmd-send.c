/* SPDX-License-Identifier: GPL-3.0-or-later */
/* send and resume: one transfer, followed to its end. */

#include "app/cli/ph-commands.h"
#include "app/cli/ph-follow.h"
#include "app/cli/ph-words.h"
#include "app/engine/ph-remote.h"
#include "app/engine/ph-safe-name.h"

#include <errno.h>
#include <glib/gi18n.h>
#include <stdlib.h>
#include <sys/stat.h>

static void
follow_event (PhCli *cli, const PhEvent *event, void *user)
{
  PhFollow *follow = user;

  if (event->type == PH_EVENT_EXPLAIN) {
    g_autofree char *shown = ph_words_message (event->text);
    JsonBuilder *object = ph_output_begin ("explain");

    if (object != NULL) {
      ph_output_string (object, "text", event->text);
      ph_output_end (object);
    } else {
      ph_output_note ("%s", shown);
    }
    return;
  }
  if (event->type != PH_EVENT_TRANSFER)
    return;
  /* The new transfer may be told before its command is done. In an application others make new ones too. */
  if (follow->id == NULL && cli->loaded && !ph_engine_is_remote (cli->engine)
      && !ph_cli_knew_transfer (cli, event->transfer.id)
      && event->transfer.direction == PH_DIRECTION_SEND)
    follow->id = g_strdup (event->transfer.id);
  if (g_strcmp0 (follow->id, event->transfer.id) != 0)
    return;
  /* One that ends before its command is done is told by the command's error. */
  if (!cli->done && ph_transfer_state_ended (event->transfer.state))
    return;
  ph_follow_show (follow, &event->transfer);
  if (follow->ended || (follow->stalled && cli->done))
    ph_cli_quit (cli);
}

/* Until the transfer ends, time is up or the person stops it; it is kept then. */
static PhExit
follow_to_end (PhCli *cli, PhFollow *follow)
{
  while (!follow->ended && !follow->stalled && ph_cli_run (cli))
    ;
  if (follow->ended)
    return follow->status;
  if (follow->stalled)
    return PH_EXIT_FAILED;
  if (cli->timed_out)
    return ph_output_fail (
        PH_EXIT_TIMED_OUT, "timed-out",
        _ ("The time is over. The transfer is kept; to go on: porthole-cli resume "
           "%.8s, to give it up: porthole-cli cancel %.8s"),
        follow->id, follow->id);
  if (cli->gone)
    return ph_cli_fail (cli->gone_error);
  if (ph_engine_is_remote (cli->engine))
    return ph_output_fail (PH_EXIT_DECLINED, "cancelled",
                           _ ("Stopped. Porthole goes on with the transfer; to give it up: "
                              "porthole-cli cancel %.8s"),
                           follow->id);
  return ph_output_fail (
      PH_EXIT_DECLINED, "cancelled",
      _ ("Stopped. The transfer is kept; to go on: porthole-cli resume %.8s, to give "
         "it up: porthole-cli cancel %.8s"),
      follow->id, follow->id);
}

/* --- send ---------------------------------------------------------------------------------------- */

/* The absolute form of what the person typed, since transfers outlive the working folder. Links in the
 * folders above are resolved as the kernel would; the name itself stays, for it is what arrives. */
static char *
absolute_path (const char *path)
{
  g_autofree char *name = g_path_get_basename (path);
  g_autofree char *folder = g_path_get_dirname (path);
  size_t len = strlen (path);
  bool whole = strcmp (name, ".") == 0 || strcmp (name, "..") == 0 || strcmp (name, "/") == 0
               || (len > 0 && path[len - 1] == '/');
  char *real = realpath (whole ? path : folder, NULL);
  char *result = NULL;

  if (real != NULL)
    result = whole ? g_strdup (real) : g_build_filename (real, name, NULL);
  free (real);
  return result;
}

/* PH_EXIT_DONE and the absolute paths, or what to exit with after the error was told. */
static PhExit
check_paths (char **args, GStrv *ret_paths)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();

  for (size_t i = 0; args[i] != NULL; i++) {
    g_autofree char *path = absolute_path (args[i]);
    g_autofree char *utf8 = g_filename_display_name (args[i]);
    g_autofree char *shown = ph_display_name (utf8);
    struct stat st;

    if (path == NULL || stat (path, &st) != 0)
      return ph_output_fail (PH_EXIT_FAILED, "files", _ ("“%s” cannot be sent: %s"), shown,
                             g_strerror (errno));
    if (!S_ISREG (st.st_mode) && !S_ISDIR (st.st_mode))
      return ph_output_fail (PH_EXIT_FAILED, "files",
                             _ ("“%s” cannot be sent: it is neither a file nor a folder"), shown);
    g_strv_builder_add (builder, path);
  }
  *ret_paths = g_strv_builder_end (builder);
  return PH_EXIT_DONE;
}

static PhExit
tell_queued (PhCli *cli)
{
  JsonBuilder *object = ph_output_begin ("queued");

  if (object != NULL) {
    ph_output_string (object, "transfer", cli->text);
    ph_output_end (object);
    return PH_EXIT_DONE;
  }
  ph_output_line ("%s", cli->text);
  ph_output_note (
      _ ("Stored. It is sent when Porthole next runs with this profile and the contact is "
         "online."));
  return PH_EXIT_DONE;
}

static PhExit
send_paths (PhCli *cli, const char *name, char **paths, bool queue, bool explain)
{
  g_autoptr (PhFollow) follow = ph_follow_new (NULL);
  const PhCliContact *contact;
  PhExit status;

  status = queue ? ph_cli_open (cli) : ph_cli_open_online (cli);
  if (status != PH_EXIT_DONE)
    return status;
  contact = ph_cli_find_contact (cli, name);
  if (contact == NULL)
    return PH_EXIT_FAILED;
  if (contact->blocked)
    return ph_output_fail (
        PH_EXIT_FAILED, "blocked",
        _ ("This contact is blocked. To change that: porthole-cli unblock CONTACT"));
  ph_engine_set_explain (cli->engine, explain);
  cli->on_event = queue ? NULL : follow_event;
  cli->user = follow;
  status = ph_cli_wait (cli, ph_engine_send (cli->engine, contact->id, (const char *const *)paths));
  if (status == PH_EXIT_DONE && queue)
    return tell_queued (cli);
  if (status == PH_EXIT_DONE) {
    g_free (follow->id);
    follow->id = g_strdup (cli->text);
    status = follow_to_end (cli, follow);
  }
  cli->on_event = NULL;
  return status;
}

PhExit
ph_cmd_send (PhCli *cli, int argc, char **argv)
{
  g_auto (GStrv) args = NULL;
  g_auto (GStrv) paths = NULL;
  gboolean queue = FALSE;
  gboolean explain = FALSE;
  int timeout = 0;
  const GOptionEntry entries[] = {
      {"timeout", 0, 0, G_OPTION_ARG_INT, &timeout, N_ ("Wait no longer than this for the receipt"),
       N_ ("SECONDS")},
      {"queue", 0, 0, G_OPTION_ARG_NONE, &queue, N_ ("Only store it; do not wait"), NULL},
      {"explain", 0, 0, G_OPTION_ARG_NONE, &explain, N_ ("Tell how the path is found"), NULL},
      G_OPTION_ENTRY_NULL,
  };
  PhExit status;

  if (!ph_commands_parse (cli, argc, argv, entries, 2, -1, &args))
    return PH_EXIT_USAGE;
  if (timeout < 0)
    return ph_output_fail (PH_EXIT_USAGE, "usage", _ ("The timeout is a number of seconds."));
  status = check_paths (args + 1, &paths);
  if (status != PH_EXIT_DONE)
    return status;
  ph_cli_set_timeout (cli, timeout);
  return send_paths (cli, args[0], paths, queue, explain);
}

/* --- resume -------------------------------------------------------------------------------------- */

PhExit
ph_cmd_resume (PhCli *cli, int argc, char **argv)
{
  g_auto (GStrv) args = NULL;
  g_autoptr (PhFollow) follow = NULL;
  const char *transfer;
  int timeout = 0;
  const GOptionEntry entries[] = {
      {"timeout", 0, 0, G_OPTION_ARG_INT, &timeout, N_ ("Wait no longer than this for the end"),
       N_ ("SECONDS")},
      G_OPTION_ENTRY_NULL,
  };
  PhExit status;

  if (!ph_commands_parse (cli, argc, argv, entries, 1, 1, &args))
    return PH_EXIT_USAGE;
  ph_cli_set_timeout (cli, timeout);
  status = ph_cli_open_online (cli);
  if (status != PH_EXIT_DONE)
    return status;
  transfer = ph_cli_find_transfer (cli, args[0]);
  if (transfer == NULL)
    return PH_EXIT_FAILED;
  follow = ph_follow_new (transfer);
  cli->on_event = follow_event;
  cli->user = follow;
  status = ph_cli_wait (cli, ph_engine_resume (cli->engine, transfer));
  if (status == PH_EXIT_DONE)
    status = follow_to_end (cli, follow);
  cli->on_event = NULL;
  return status;
}
