/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "config.h"

#include "app/gtk/ph-application.h"
#include "app/gtk/ph-loop-times.h"

#include <glib/gi18n.h>
#include <locale.h>
#include <string.h>

/* GApplication reads the command line after its ID is settled, and the ID depends on the profile: this
 * option is looked at first. Returns the value; it stays in `argv`. */
static const char *
find_profile (int argc, char **argv)
{
  for (int i = 1; i < argc && strcmp (argv[i], "--") != 0; i++) {
    if (g_str_has_prefix (argv[i], "--profile="))
      return argv[i] + strlen ("--profile=");
    if (strcmp (argv[i], "--profile") == 0 && i + 1 < argc)
      return argv[i + 1];
  }
  return NULL;
}

int
main (int argc, char **argv)
{
  g_autoptr (PhApplication) application = NULL;

  setlocale (LC_ALL, "");
  bindtextdomain (GETTEXT_PACKAGE, PH_LOCALEDIR);
  bind_textdomain_codeset (GETTEXT_PACKAGE, "UTF-8");
  textdomain (GETTEXT_PACKAGE);

  ph_loop_times_start ();
  application = ph_application_new (find_profile (argc, argv));
  return g_application_run (G_APPLICATION (application), argc, argv);
}
