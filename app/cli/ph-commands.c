/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/cli/ph-commands.h"

#include <glib/gi18n.h>

const PhCommandInfo ph_commands[] = {
    {"id", "", N_ ("Print this device's ID"), ph_cmd_id},
    {"invite", "", N_ ("Print an invitation link and wait until it is used"), ph_cmd_invite},
    {"add", N_ ("LINK|-"), N_ ("Accept an invitation ('-': read it from standard input)"),
     ph_cmd_add},
    {"contacts", "", N_ ("List contacts"), ph_cmd_contacts},
    {"transfers", "", N_ ("List transfers that are under way"), ph_cmd_transfers},
    {"history", "", N_ ("List transfers that have ended"), ph_cmd_history},
    {"rename", N_ ("CONTACT NAME"), N_ ("Call a contact by another name"), ph_cmd_rename},
    {"remove", N_ ("CONTACT"), N_ ("Remove a contact"), ph_cmd_remove},
    {"block", N_ ("CONTACT"), N_ ("Take nothing from a contact any more"), ph_cmd_block},
    {"unblock", N_ ("CONTACT"), N_ ("Take offers from a contact again"), ph_cmd_unblock},
    {"pause", N_ ("TRANSFER"), N_ ("Pause a transfer"), ph_cmd_pause},
    {"resume", N_ ("TRANSFER"), N_ ("Go on with a transfer and wait for its end"), ph_cmd_resume},
    {"cancel", N_ ("TRANSFER"), N_ ("Give a transfer up"), ph_cmd_cancel},
    {"send", N_ ("CONTACT PATH…"), N_ ("Send files and folders and wait until they are delivered"),
     ph_cmd_send},
    {"receive", "", N_ ("Stay and take what is offered"), ph_cmd_receive},
    {"nat", "", N_ ("Report on this network"), ph_cmd_nat},
    {"config", N_ ("[get KEY | set KEY VALUE]"), N_ ("Show or change settings"), ph_cmd_config},
    {NULL, NULL, NULL, NULL},
};

static const PhCommandInfo *
find_command (const char *name)
{
  const PhCommandInfo *info = ph_commands;

  while (strcmp (info->name, name) != 0)
    info++;
  return info;
}

/* The options of the whole program are known to every command as well, for those who write them last. */
static void
add_global_entries (GOptionContext *options, gboolean *json, char **profile)
{
  const GOptionEntry entries[] = {
      {"profile", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_FILENAME, profile, NULL, NULL},
      {"json", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_NONE, json, NULL, NULL},
      G_OPTION_ENTRY_NULL,
  };

  g_option_context_add_main_entries (options, entries, NULL);
}

/* The program's own name again, for error messages of GLib's. */
static void
parse_done (GOptionContext *options, char **arguments)
{
  g_set_prgname ("porthole-cli");
  g_option_context_free (options);
  g_strfreev (arguments);
}

bool
ph_commands_parse (PhCli *cli, int argc, char **argv, const GOptionEntry *entries, int min, int max,
                   char ***ret_args)
{
  static char *profile; /* lives as long as the program, as argv does */
  const PhCommandInfo *info = find_command (argv[0]);
  const char *arguments = info->arguments[0] != '\0' ? _ (info->arguments) : "";
  GOptionContext *options = g_option_context_new (arguments);
  g_autofree char *title = g_strdup_printf ("porthole-cli %s", info->name);
  g_autoptr (GError) error = NULL;
  char **rest = g_strdupv (argv);
  gboolean json = FALSE;
  int n;
  bool ok;

  g_set_prgname (title);
  g_option_context_set_summary (options, _ (info->summary));
  if (entries != NULL)
    g_option_context_add_main_entries (options, entries, NULL);
  add_global_entries (options, &json, &profile);
  ok = g_option_context_parse_strv (options, &rest, &error);
  if (json)
    ph_output_init (true);
  if (profile != NULL)
    cli->profile = profile;
  n = ok ? (int)g_strv_length (rest) - 1 : 0;
  /* "--" ends the options and is no argument. */
  if (ok && n > 0 && strcmp (rest[1], "--") == 0) {
    g_free (rest[1]);
    memmove (rest + 1, rest + 2, (size_t)n * sizeof *rest);
    n--;
  }
  if (ok && n >= min && (max < 0 || n <= max)) {
    *ret_args = g_strdupv (rest + 1);
    parse_done (options, rest);
    return true;
  }
  if (!ok)
    ph_output_fail (PH_EXIT_USAGE, "usage", _ ("%s. See: %s --help"), error->message, title);
  else
    ph_output_fail (PH_EXIT_USAGE, "usage", _ ("Usage: %s [OPTION…] %s"), title, arguments);
  parse_done (options, rest);
  return false;
}
