/* SPDX-License-Identifier: GPL-3.0-or-later */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/engine/ph-core-private.h"

#include <glib/gi18n-lib.h>
#include <string.h>

static const char *const keys[] = {"name", "rendezvous", "stun", "turn", "download-dir", NULL};

const char *const *
ph_engine_setting_keys (void)
{
  return keys;
}

static char *
setting_default (const char *key)
{
  if (strcmp (key, "name") == 0)
    return g_strdup (g_get_real_name () != NULL && strcmp (g_get_real_name (), "Unknown") != 0
                         ? g_get_real_name ()
                         : g_get_user_name ());
  if (strcmp (key, "rendezvous") == 0)
    return g_strdup (PH_DEFAULT_RENDEZVOUS);
  if (strcmp (key, "download-dir") == 0) {
    const char *dir = g_get_user_special_dir (G_USER_DIRECTORY_DOWNLOAD);

    return dir != NULL ? g_strdup (dir) : g_build_filename (g_get_home_dir (), "Downloads", NULL);
  }
  return g_strdup ("");
}

char *
ph_core_setting (PhCore *self, const char *key)
{
  char *value = ph_store_get_setting (self->profile->store, key);

  return value != NULL ? value : setting_default (key);
}

static bool
check_key (PhCore *self, const PhCommand *command)
{
  if (g_strv_contains (keys, command->subject))
    return true;
  ph_core_fail (self, command->number, PH_ENGINE_ERROR_UNKNOWN_SETTING,
                _ ("There is no setting “%s”"), command->subject);
  return false;
}

void
ph_core_get_setting (PhCore *self, const PhCommand *command)
{
  g_autofree char *value = NULL;

  if (!check_key (self, command))
    return;
  value = ph_core_setting (self, command->subject);
  ph_core_done (self, command->number, NULL, value);
}

/* "name", "name:port" or the same as a stun: URI; several are parted by commas or spaces. */
static bool
stun_servers_are_sane (const char *value)
{
  g_auto (GStrv) servers = g_strsplit_set (value, ", ", -1);

  for (size_t i = 0; servers[i] != NULL; i++) {
    const char *server = servers[i];
    g_autofree char *uri =
        g_strconcat (g_str_has_prefix (server, "stun:") ? "" : "stun:", server, NULL);
    PhIceServer parsed;

    if (*server != '\0' && !ph_ice_server_parse (uri, &parsed))
      return false;
  }
  return true;
}

static bool
check_value (PhCore *self, const PhCommand *command)
{
  const char *value = command->text;
  PhRendezvousAddress address;

  if (strcmp (command->subject, "rendezvous") == 0
      && ph_rendezvous_address_parse (value, &address) != PH_RENDEZVOUS_ADDRESS_OK) {
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_BAD_VALUE,
                  _ ("“%s” is not the address of a meeting point. They look like "
                     "wss://meet.example.org/ or ws://192.168.1.5:8080/"),
                  value);
    return false;
  }
  if (strcmp (command->subject, "stun") == 0 && !stun_servers_are_sane (value)) {
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_BAD_VALUE,
                  _ ("“%s” is not the address of a STUN server. They look like "
                     "stun.example.org:3478; several are parted by commas"),
                  value);
    return false;
  }
  if (strcmp (command->subject, "download-dir") == 0 && !g_path_is_absolute (value)) {
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_BAD_VALUE,
                  _ ("The download folder must be given with its full path, not “%s”"), value);
    return false;
  }
  if (!g_utf8_validate (value, -1, NULL)) {
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_BAD_VALUE, _ ("That is not valid text"));
    return false;
  }
  return true;
}

void
ph_core_set_setting (PhCore *self, const PhCommand *command)
{
  g_autoptr (GError) error = NULL;
  const bool unset = command->text == NULL || *command->text == '\0';

  if (!check_key (self, command) || (!unset && !check_value (self, command)))
    return;
  if (!ph_store_set_setting (self->profile->store, command->subject, unset ? NULL : command->text,
                             &error)) {
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_FAILED, "%s", error->message);
    return;
  }
  if (self->connected) {
    ph_core_meetings_update (self);
    ph_core_network_update_servers (self);
  }
  ph_core_done (self, command->number, NULL, NULL);
}
