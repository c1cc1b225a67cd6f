/* SPDX-License-Identifier: GPL-3.0-or-later */
/* receive: stays, takes offers, tells of them to their end. */

#include "app/cli/ph-commands.h"
#include "app/cli/ph-follow.h"
#include "app/cli/ph-prompt.h"
#include "app/cli/ph-words.h"
#include "app/engine/ph-remote.h"
#include "app/engine/ph-safe-name.h"

#include <errno.h>
#include <glib/gi18n.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
  PhCli *cli;
  /* owned */
  char *folder; /* absolute, NULL: the setting's */
  GHashTable *follows; /* transfer id -> PhFollow */
  GHashTable *offers; /* transfer id -> the question about it, for offers nobody has answered yet */
  GHashTable *answers; /* command that accepted -> transfer id */
  GQueue waiting; /* of char *: ids of offers that wait to be asked about */
  PhPrompt *prompt; /* the question that stands, */
  char *asked; /* and about which */

  bool accept;
  int count; /* 0: without end */
  int ended;
  PhExit status; /* of the worst that ended */
} Receive;

/* --- Offers -------------------------------------------------------------------------------------- */

static void ask_next (Receive *self);

static void
accept_offer (Receive *self, const char *transfer)
{
  uint32_t command = ph_engine_accept (self->cli->engine, transfer, self->folder);

  g_hash_table_insert (self->answers, GUINT_TO_POINTER (command), g_strdup (transfer));
}

static void
tell_offer (const PhTransferView *view)
{
  g_autofree char *name = ph_display_name (view->contact_name);
  g_autofree char *amount = ph_words_amount (view->files, view->bytes_total);
  g_autofree char *names = ph_words_names (view->names);
  JsonBuilder *object = ph_output_begin ("offer");

  if (object == NULL) {
    /* Translators: who, how much ("3 files, 1.0 GB"), file names */
    ph_output_note (_ ("%s offers %s: %s"), name, amount, names);
    return;
  }
  ph_output_string (object, "transfer", view->id);
  ph_output_string (object, "from", view->contact_name);
  ph_output_string (object, "contact", view->contact);
  ph_output_int (object, "files", view->files);
  ph_output_int (object, "bytes", (int64_t)view->bytes_total);
  ph_output_strings (object, "names", view->names);
  ph_output_end (object);
}

static void
close_question (Receive *self)
{
  g_clear_pointer (&self->prompt, ph_prompt_free);
  g_clear_pointer (&self->asked, g_free);
}

static void
answered (void *user, bool yes, bool end)
{
  Receive *self = user;
  g_autofree char *transfer = g_steal_pointer (&self->asked);

  close_question (self);
  g_hash_table_remove (self->offers, transfer);
  if (end) {
    /* Nobody is there any more; the offer itself stays open for another time. */
    self->cli->interrupted = true;
    ph_cli_quit (self->cli);
    return;
  }
  if (yes)
    accept_offer (self, transfer);
  else
    ph_engine_decline (self->cli->engine, transfer);
  ask_next (self);
}

static void
ask_next (Receive *self)
{
  while (self->prompt == NULL && !g_queue_is_empty (&self->waiting)) {
    g_autofree char *transfer = g_queue_pop_head (&self->waiting);
    const char *question = g_hash_table_lookup (self->offers, transfer);

    if (question == NULL)
      continue; /* withdrawn meanwhile */
    self->prompt = ph_prompt_new (question, answered, self);
    self->asked = g_steal_pointer (&transfer);
  }
}

static void
handle_offer (Receive *self, const PhTransferView *view)
{
  g_autofree char *name = NULL;

  tell_offer (view);
  if (self->accept) {
    accept_offer (self, view->id);
    return;
  }
  name = ph_display_name (view->contact_name);
  g_hash_table_insert (self->offers, g_strdup (view->id),
                       g_strdup_printf (_ ("Take what %s offers?"), name));
  g_queue_push_tail (&self->waiting, g_strdup (view->id));
  ask_next (self);
}

/* An offer that is over before it was answered: withdrawn, or answered by the contact's setting. */
static void
drop_offer (Receive *self, const PhTransferView *view)
{
  if (!g_hash_table_remove (self->offers, view->id))
    return;
  if (g_strcmp0 (self->asked, view->id) == 0) {
    close_question (self);
    ask_next (self);
  }
}

/* --- Transfers ----------------------------------------------------------------------------------- */

static void
note_end (Receive *self, PhFollow *follow)
{
  if (follow->counted)
    return;
  follow->counted = true;
  self->ended++;
  self->status = MAX (self->status, follow->status);
  if (self->count > 0 && self->ended >= self->count)
    ph_cli_quit (self->cli);
}

static void
handle_transfer (Receive *self, const PhTransferView *view)
{
  PhFollow *follow = g_hash_table_lookup (self->follows, view->id);
  bool is_new = follow == NULL;

  if (view->direction != PH_DIRECTION_RECEIVE || (is_new && ph_transfer_state_ended (view->state)))
    return;
  if (is_new) {
    follow = ph_follow_new (view->id);
    follow->one_of_many = self->count != 1;
    g_hash_table_insert (self->follows, follow->id, follow);
  }
  if (follow->ended)
    return;
  if (view->state == PH_TRANSFER_OFFERED) {
    if (is_new || follow->state != PH_TRANSFER_OFFERED)
      handle_offer (self, view);
  } else {
    drop_offer (self, view);
  }
  ph_follow_show (follow, view);
  if (follow->stalled) /* it is this person's turn, with another command */
    follow->status = PH_EXIT_FAILED;
  if (follow->ended || follow->stalled)
    note_end (self, follow);
}

/* An offer that could not be taken (no space, say) is declined, so that the sender hears of it. */
static void
handle_done (Receive *self, const PhEvent *event)
{
  g_autofree char *transfer = NULL;
  PhFollow *follow;

  if (!g_hash_table_steal_extended (self->answers, GUINT_TO_POINTER (event->command), NULL,
                                    (void **)&transfer)
      || event->error == NULL)
    return;
  follow = g_hash_table_lookup (self->follows, transfer);
  g_assert (follow != NULL);
  if (follow->ended)
    return;
  follow->ended = true;
  follow->status = ph_cli_fail (event->error);
  ph_engine_decline (self->cli->engine, transfer);
  note_end (self, follow);
}

static void
handle_event (PhCli *cli, const PhEvent *event, void *user)
{
  if (event->type == PH_EVENT_TRANSFER)
    handle_transfer (user, &event->transfer);
  else if (event->type == PH_EVENT_DONE)
    handle_done (user, event);
}

/* --- The command --------------------------------------------------------------------------------- */

/* Said before the first offer, not after the first gigabyte. */
static PhExit
check_folder (const char *text, char **ret_folder)
{
  g_autofree char *utf8 = g_filename_display_name (text);
  g_autofree char *shown = ph_display_name (utf8);
  char *real = realpath (text, NULL);
  struct stat st;
  int err = 0;

  if (real == NULL || stat (real, &st) != 0)
    err = errno;
  else if (!S_ISDIR (st.st_mode))
    err = ENOTDIR;
  else if (access (real, W_OK | X_OK) != 0)
    err = errno;
  else
    *ret_folder = g_strdup (real);
  free (real);
  if (err == 0)
    return PH_EXIT_DONE;
  return ph_output_fail (PH_EXIT_FAILED, "folder", _ ("Nothing can be received into “%s”: %s"),
                         shown, g_strerror (err));
}

static bool
is_under_way (Receive *self)
{
  GHashTableIter iter;
  void *value;

  g_hash_table_iter_init (&iter, self->follows);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    const PhFollow *follow = value;

    if (!follow->ended && follow->state != PH_TRANSFER_OFFERED)
      return true;
  }
  return false;
}

static PhExit
stay (Receive *self)
{
  PhExit status;

  self->cli->on_event = handle_event;
  self->cli->user = self;
  status = ph_cli_open_online (self->cli);
  if (status != PH_EXIT_DONE)
    return status;
  ph_output_note (self->accept ? _ ("Taking everything that contacts offer. Ctrl+C ends.")
                               : _ ("Waiting for offers. Ctrl+C ends."));
  while ((self->count == 0 || self->ended < self->count) && ph_cli_run (self->cli))
    ;
  if (self->cli->gone)
    return ph_cli_fail (self->cli->gone_error);
  if (!self->cli->interrupted)
    return self->status;
  if (is_under_way (self))
    ph_output_note ("%s",
                    ph_engine_is_remote (self->cli->engine)
                        ? _ ("Stopped. Porthole goes on with what is under way.")
                        : _ ("Stopped. What was under way goes on with the next “porthole-cli "
                             "receive”."));
  /* Without a count being stopped is the usual end. */
  return self->count == 0 && !is_under_way (self) ? self->status : PH_EXIT_DECLINED;
}

static PhExit
receive (PhCli *cli, const char *folder, bool accept, int count)
{
  Receive self = {.cli = cli, .accept = accept, .count = count};
  PhExit status = folder != NULL ? check_folder (folder, &self.folder) : PH_EXIT_DONE;

  if (status != PH_EXIT_DONE)
    return status;
  self.follows =
      g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify)ph_follow_free);
  self.offers = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  self.answers = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  g_queue_init (&self.waiting);

  status = stay (&self);

  cli->on_event = NULL;
  close_question (&self);
  g_queue_clear_full (&self.waiting, g_free);
  g_hash_table_unref (self.follows);
  g_hash_table_unref (self.offers);
  g_hash_table_unref (self.answers);
  g_free (self.folder);
  return status;
}

PhExit
ph_cmd_receive (PhCli *cli, int argc, char **argv)
{
  g_auto (GStrv) args = NULL;
  g_autofree char *folder = NULL;
  gboolean accept = FALSE;
  int count = 0;
  const GOptionEntry entries[] = {
      {"to", 0, 0, G_OPTION_ARG_FILENAME, &folder, N_ ("Write into this folder"), N_ ("DIR")},
      {"accept", 0, 0, G_OPTION_ARG_NONE, &accept, N_ ("Take everything without asking"), NULL},
      {"count", 0, 0, G_OPTION_ARG_INT, &count, N_ ("End after so many transfers"), N_ ("N")},
      G_OPTION_ENTRY_NULL,
  };

  if (!ph_commands_parse (cli, argc, argv, entries, 0, 0, &args))
    return PH_EXIT_USAGE;
  if (count < 0)
    return ph_output_fail (PH_EXIT_USAGE, "usage", _ ("The count is a number of transfers."));
  if (!accept && !ph_prompt_possible ())
    return ph_output_fail (
        PH_EXIT_USAGE, "usage",
        _ ("Nobody can be asked, since standard input is not a terminal. To take "
           "everything: porthole-cli receive --accept"));
  return receive (cli, folder, accept, count);
}
