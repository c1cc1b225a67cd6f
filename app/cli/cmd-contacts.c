/* SPDX-License-Identifier: GPL-3.0-or-later */
/* invite, add, contacts, rename, remove, block, unblock: other people. */

#include "app/cli/ph-commands.h"
#include "app/cli/ph-words.h"
#include "app/engine/ph-safe-name.h"
#include "net/signal/ph-invitation.h"

#include <errno.h>
#include <glib/gi18n.h>
#include <stdio.h>

/* Far above what an invitation takes. */
#define LINK_LEN_MAX 4096

/* --- Showing ------------------------------------------------------------------------------------- */

static void
show_contact (const PhCliContact *contact)
{
  g_autofree char *name = ph_display_name (contact->name);
  JsonBuilder *object = ph_output_begin ("contact");

  if (object == NULL) {
    ph_output_line ("%s  %s%s", contact->id, name, contact->blocked ? _ ("  (blocked)") : "");
    return;
  }
  ph_output_string (object, "id", contact->id);
  ph_output_string (object, "name", contact->name);
  ph_output_bool (object, "blocked", contact->blocked);
  ph_output_bool (object, "auto_accept", contact->auto_accept);
  ph_output_int (object, "added_at", contact->added_at);
  ph_output_end (object);
}

PhExit
ph_cmd_contacts (PhCli *cli, int argc, char **argv)
{
  g_auto (GStrv) args = NULL;
  PhExit status;

  if (!ph_commands_parse (cli, argc, argv, NULL, 0, 0, &args))
    return PH_EXIT_USAGE;
  status = ph_cli_open (cli);
  if (status != PH_EXIT_DONE)
    return status;
  for (guint i = 0; i < cli->contacts->len; i++)
    show_contact (cli->contacts->pdata[i]);
  if (cli->contacts->len == 0)
    ph_output_note (
        _ ("No contacts yet. To add somebody: porthole-cli invite, or porthole-cli add LINK"));
  return PH_EXIT_DONE;
}

/* Tells of the contact that a command has just made. */
static PhExit
show_new_contact (PhCli *cli)
{
  for (guint i = 0; i < cli->contacts->len; i++) {
    const PhCliContact *contact = cli->contacts->pdata[i];

    if (g_strcmp0 (contact->id, cli->text) == 0) {
      show_contact (contact);
      return PH_EXIT_DONE;
    }
  }
  return ph_output_fail (PH_EXIT_FAILED, "failed", _ ("The new contact is gone again."));
}

/* --- Meeting ------------------------------------------------------------------------------------- */

static void
invite_event (PhCli *cli, const PhEvent *event, void *user)
{
  PhInvitation invitation;
  JsonBuilder *object;

  if (event->type != PH_EVENT_INVITATION)
    return;
  object = ph_output_begin ("invitation");
  if (object != NULL) {
    ph_output_string (object, "link", event->text);
    ph_output_end (object);
    return;
  }
  ph_output_line ("%s", event->text);
  if (ph_invitation_parse (event->text, &invitation) == PH_INVITATION_OK
      && !ph_invitation_has_rendezvous (&invitation))
    ph_output_note (_ ("No meeting point is set: this link is good on this network only."));
  ph_invitation_wipe (&invitation);
  ph_output_note (
      _ ("Give this link to one person, over a channel that you trust: whoever uses it first "
         "becomes your contact.\nWaiting until it is used; Ctrl+C withdraws it."));
}

PhExit
ph_cmd_invite (PhCli *cli, int argc, char **argv)
{
  g_auto (GStrv) args = NULL;
  g_autofree char *name = NULL;
  const GOptionEntry entries[] = {
      {"name", 0, 0, G_OPTION_ARG_STRING, &name, N_ ("What to call whoever uses it"), N_ ("NAME")},
      G_OPTION_ENTRY_NULL,
  };
  uint32_t invite = 0;
  PhExit status;

  if (!ph_commands_parse (cli, argc, argv, entries, 0, 0, &args))
    return PH_EXIT_USAGE;
  cli->on_event = invite_event;
  cli->status_told = PH_STATUS_NOT_CONFIGURED; /* the command's error says it */
  status = ph_cli_open_online (cli);
  if (status == PH_EXIT_DONE) {
    invite = ph_engine_invite (cli->engine, name);
    status = ph_cli_wait (cli, invite);
  }
  if (invite != 0 && cli->interrupted) {
    /* It is stored, and would be open again whenever this profile is online. */
    cli->interrupted = false;
    ph_cli_wait (cli, ph_engine_withdraw (cli->engine, invite));
  }
  return status == PH_EXIT_DONE ? show_new_contact (cli) : status;
}

/* The first line of standard input; NULL after an error was told. */
static char *
read_link (void)
{
  char line[LINK_LEN_MAX];

  if (fgets (line, sizeof line, stdin) == NULL) {
    ph_output_fail (
        PH_EXIT_FAILED, "bad-invitation",
        _ ("No link came from standard input. It is one line, beginning with “porthole:”."));
    return NULL;
  }
  return g_strdup (g_strstrip (line));
}

PhExit
ph_cmd_add (PhCli *cli, int argc, char **argv)
{
  g_auto (GStrv) args = NULL;
  g_autofree char *name = NULL;
  g_autofree char *link = NULL;
  const GOptionEntry entries[] = {
      {"name", 0, 0, G_OPTION_ARG_STRING, &name, N_ ("What to call the new contact"), N_ ("NAME")},
      G_OPTION_ENTRY_NULL,
  };
  PhExit status;

  if (!ph_commands_parse (cli, argc, argv, entries, 1, 1, &args))
    return PH_EXIT_USAGE;
  link = strcmp (args[0], "-") == 0 ? read_link () : g_strdup (g_strstrip (args[0]));
  if (link == NULL)
    return PH_EXIT_FAILED;
  cli->status_told = PH_STATUS_NOT_CONFIGURED; /* the invitation brings a meeting point */
  status = ph_cli_open_online (cli);
  if (status == PH_EXIT_DONE)
    status = ph_cli_wait (cli, ph_engine_add (cli->engine, link, name));
  return status == PH_EXIT_DONE ? show_new_contact (cli) : status;
}

/* --- Changing ------------------------------------------------------------------------------------ */

typedef uint32_t (*ContactVerb) (PhCli *cli, const PhCliContact *contact, char **args);

static PhExit
change_contact (PhCli *cli, int argc, char **argv, int n_args, ContactVerb verb)
{
  g_auto (GStrv) args = NULL;
  const PhCliContact *contact;
  PhExit status;

  if (!ph_commands_parse (cli, argc, argv, NULL, n_args, n_args, &args))
    return PH_EXIT_USAGE;
  status = ph_cli_open (cli);
  if (status != PH_EXIT_DONE)
    return status;
  contact = ph_cli_find_contact (cli, args[0]);
  return contact != NULL ? ph_cli_wait (cli, verb (cli, contact, args)) : PH_EXIT_FAILED;
}

static uint32_t
rename_verb (PhCli *cli, const PhCliContact *contact, char **args)
{
  return ph_engine_rename (cli->engine, contact->id, args[1]);
}

static uint32_t
remove_verb (PhCli *cli, const PhCliContact *contact, char **args)
{
  return ph_engine_remove (cli->engine, contact->id);
}

static uint32_t
block_verb (PhCli *cli, const PhCliContact *contact, char **args)
{
  return ph_engine_block (cli->engine, contact->id, true);
}

static uint32_t
unblock_verb (PhCli *cli, const PhCliContact *contact, char **args)
{
  return ph_engine_block (cli->engine, contact->id, false);
}

PhExit
ph_cmd_rename (PhCli *cli, int argc, char **argv)
{
  return change_contact (cli, argc, argv, 2, rename_verb);
}

PhExit
ph_cmd_remove (PhCli *cli, int argc, char **argv)
{
  return change_contact (cli, argc, argv, 1, remove_verb);
}

PhExit
ph_cmd_block (PhCli *cli, int argc, char **argv)
{
  return change_contact (cli, argc, argv, 1, block_verb);
}

PhExit
ph_cmd_unblock (PhCli *cli, int argc, char **argv)
{
  return change_contact (cli, argc, argv, 1, unblock_verb);
}
