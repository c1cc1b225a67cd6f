/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "config.h"

#include "app/cli/ph-commands.h"
#include "app/cli/ph-words.h"

#include <glib/gi18n.h>
#include <locale.h>

static char *
command_list (void)
{
  GString *list = g_string_new (_ ("Commands:"));

  for (const PhCommandInfo *info = ph_commands; info->name != NULL; info++)
    g_string_append_printf (list, "\n  %-12s %s", info->name, _ (info->summary));
  g_string_append_printf (list, "\n\n%s", _ ("More about one: porthole-cli COMMAND --help"));
  return g_string_free_and_steal (list);
}

static PhExit
unknown_command (const char *name)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  g_autofree char *near = NULL;

  for (const PhCommandInfo *info = ph_commands; info->name != NULL; info++)
    g_ptr_array_add (names, (gpointer)info->name);
  g_ptr_array_add (names, NULL);
  near = ph_words_nearest (name, (const char *const *)names->pdata);
  if (near != NULL)
    return ph_output_fail (PH_EXIT_USAGE, "usage", _ ("There is no command “%s”. Did you mean %s?"),
                           name, near);
  return ph_output_fail (PH_EXIT_USAGE, "usage",
                         _ ("There is no command “%s”. The list of them: porthole-cli --help"),
                         name);
}

static PhExit
run (const char *profile, int argc, char **argv)
{
  for (const PhCommandInfo *info = ph_commands; info->name != NULL; info++)
    if (strcmp (info->name, argv[0]) == 0) {
      PhCli cli;
      PhExit status;

      ph_cli_init (&cli, profile);
      status = info->run (&cli, argc, argv);
      ph_output_progress (NULL);
      ph_cli_clear (&cli);
      return status;
    }
  return unknown_command (argv[0]);
}

int
main (int argc, char **argv)
{
  g_autofree char *profile = NULL;
  g_autofree char *list = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GOptionContext) options = NULL;
  gboolean json = FALSE;
  gboolean version = FALSE;
  const GOptionEntry entries[] = {
      {"profile", 0, 0, G_OPTION_ARG_FILENAME, &profile,
       N_ ("Folder with identity, settings and database"), N_ ("DIR")},
      {"json", 0, 0, G_OPTION_ARG_NONE, &json, N_ ("Print one JSON object a line"), NULL},
      {"version", 0, 0, G_OPTION_ARG_NONE, &version, N_ ("Print the version"), NULL},
      G_OPTION_ENTRY_NULL,
  };

  /* The variable is for a build that is not installed. */
  const char *catalogues = g_getenv ("PORTHOLE_LOCALEDIR");

  setlocale (LC_ALL, "");
  bindtextdomain (GETTEXT_PACKAGE, catalogues != NULL ? catalogues : PH_LOCALEDIR);
  bind_textdomain_codeset (GETTEXT_PACKAGE, "UTF-8");
  textdomain (GETTEXT_PACKAGE);
  g_set_prgname ("porthole-cli");

  options = g_option_context_new (_ ("COMMAND [ARGUMENT…]"));
  list = command_list ();
  g_option_context_set_summary (
      options, _ ("Hands files to another person, from this computer straight to theirs."));
  g_option_context_set_description (options, list);
  g_option_context_add_main_entries (options, entries, NULL);
  g_option_context_set_strict_posix (options, TRUE);
  if (!g_option_context_parse (options, &argc, &argv, &error)) {
    ph_output_init (json);
    return (int)ph_output_fail (PH_EXIT_USAGE, "usage", _ ("%s. See: porthole-cli --help"),
                                error->message);
  }
  ph_output_init (json);
  if (version) {
    g_print ("porthole-cli %s\n", PH_VERSION);
    return PH_EXIT_DONE;
  }
  if (argc > 1 && strcmp (argv[1], "--") == 0) {
    argc--;
    argv++;
  }
  if (argc < 2)
    return (int)ph_output_fail (
        PH_EXIT_USAGE, "usage",
        _ ("A command is needed, such as “send”. The list of them: porthole-cli --help"));
  return (int)run (profile, argc - 1, argv + 1);
}
