/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "config.h"

#include "app/gtk/ph-about.h"

#include "app/engine/ph-app-id.h"
#include "app/model/ph-network-words.h"

#include <glib/gi18n.h>

static void
write_platform (GString *out)
{
  g_autofree char *system = g_get_os_info (G_OS_INFO_KEY_PRETTY_NAME);
  const char *session = g_getenv ("XDG_CURRENT_DESKTOP");

  g_string_append_printf (out, "Porthole %s\n", PH_VERSION);
  g_string_append_printf (out, "GTK %u.%u.%u, libadwaita %u.%u.%u, GLib %u.%u.%u\n",
                          gtk_get_major_version (), gtk_get_minor_version (),
                          gtk_get_micro_version (), adw_get_major_version (),
                          adw_get_minor_version (), adw_get_micro_version (), glib_major_version,
                          glib_minor_version, glib_micro_version);
  g_string_append_printf (out, "%s, %s, %s\n", system != NULL ? system : "Linux",
                          session != NULL ? session : "?",
                          g_file_test ("/.flatpak-info", G_FILE_TEST_EXISTS) ? "Flatpak" : "host");
  g_string_append_printf (out, "%s\n", G_OBJECT_TYPE_NAME (gdk_display_get_default ()));
}

/* Servers carry passwords, and names and folders are the person's own: whether they are set must do. */
static void
write_settings (PhClient *client, GString *out)
{
  const char *const *keys = ph_engine_setting_keys ();
  static const char *const shown[] = {
      "speed-limit-up", "speed-limit-down",  "private-mode",  "queue-days",
      "auto-start",     "run-in-background", "notifications", NULL};

  g_string_append (out, "\n");
  for (size_t i = 0; keys[i] != NULL; i++) {
    const char *value = ph_client_get_setting (client, keys[i]);

    g_string_append_printf (out, "%s: %s\n", keys[i],
                            g_strv_contains (shown, keys[i])              ? value
                            : !ph_client_setting_is_set (client, keys[i]) ? "default"
                                                                          : "set");
  }
}

static char *
debug_info (PhClient *client)
{
  GString *out = g_string_new (NULL);

  write_platform (out);
  if (client != NULL) {
    g_autofree char *network = ph_network_report_text (client, g_get_real_time () / G_USEC_PER_SEC);

    g_string_append_printf (out, "\ncontacts: %u, transfers: %u, under way: %u\n",
                            g_list_model_get_n_items (ph_client_get_contacts (client)),
                            g_list_model_get_n_items (ph_client_get_transfers (client)),
                            ph_client_get_running (client));
    write_settings (client, out);
    g_string_append_printf (out, "\n%s", network);
  }
  return g_string_free_and_steal (out);
}

AdwDialog *
ph_about_dialog_new (PhClient *client)
{
  AdwAboutDialog *about = ADW_ABOUT_DIALOG (adw_about_dialog_new ());
  g_autofree char *info = debug_info (client);

  adw_about_dialog_set_application_name (about, "Porthole");
  adw_about_dialog_set_application_icon (about, PH_APP_ID);
  adw_about_dialog_set_version (about, PH_VERSION);
  adw_about_dialog_set_developer_name (about, _ ("The Porthole project"));
  adw_about_dialog_set_comments (about,
                                 _ ("Drag files onto a person, and they arrive: encrypted, and "
                                    "straight from your computer to theirs."));
  adw_about_dialog_set_license_type (about, GTK_LICENSE_GPL_3_0);
  /* Translators: put your names here, one a line. */
  adw_about_dialog_set_translator_credits (about, _ ("translator-credits"));
  adw_about_dialog_set_debug_info (about, info);
  adw_about_dialog_set_debug_info_filename (about, "porthole-report.txt");
  return ADW_DIALOG (about);
}
