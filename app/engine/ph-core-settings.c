/* SPDX-License-Identifier: GPL-3.0-or-later */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/engine/ph-core-private.h"

#include <glib/gi18n-lib.h>
#include <string.h>

static const char *const keys[] = {
    "name",          "rendezvous",   "stun",           "turn",
    "port-mapping",  "download-dir", "speed-limit-up", "speed-limit-down",
    "private-mode",  "queue-days",   "auto-start",     "run-in-background",
    "notifications", "nearby",       "guess-ports",    NULL,
};

const char *const *
ph_engine_setting_keys (void)
{
  return keys;
}

static bool
is_switch (const char *key)
{
  static const char *const switches[] = {"private-mode",  "auto-start", "run-in-background",
                                         "notifications", "nearby",     "port-mapping",
                                         "guess-ports",   NULL};

  return g_strv_contains (switches, key);
}

static bool
is_limit (const char *key)
{
  return strcmp (key, "speed-limit-up") == 0 || strcmp (key, "speed-limit-down") == 0;
}

/* Nobody is called root: in a user namespace everybody is, and the environment knows better. */
static char *
own_name (void)
{
  const char *const names[] = {g_get_real_name (), g_getenv ("USER"), g_get_user_name (),
                               g_get_host_name ()};

  for (size_t i = 0; i < G_N_ELEMENTS (names); i++) {
    if (names[i] != NULL && *names[i] != '\0' && strcmp (names[i], "Unknown") != 0
        && strcmp (names[i], "root") != 0)
      return g_strdup (names[i]);
  }
  return g_strdup (g_get_user_name ());
}

static char *
setting_default (const char *key)
{
  if (strcmp (key, "name") == 0)
    return own_name ();
  if (strcmp (key, "rendezvous") == 0)
    return g_strdup (PH_DEFAULT_RENDEZVOUS);
  if (strcmp (key, "download-dir") == 0) {
    const char *dir = g_get_user_special_dir (G_USER_DIRECTORY_DOWNLOAD);

    return dir != NULL ? g_strdup (dir) : g_build_filename (g_get_home_dir (), "Downloads", NULL);
  }
  if (strcmp (key, "queue-days") == 0)
    return g_strdup ("14");
  if (is_limit (key))
    return g_strdup ("0");
  if (is_switch (key))
    return g_strdup (strcmp (key, "private-mode") == 0 || strcmp (key, "auto-start") == 0 ? "false"
                                                                                          : "true");
  return g_strdup ("");
}

char *
ph_core_setting (PhCore *self, const char *key)
{
  char *value = ph_store_get_setting (self->profile->store, key);

  return value != NULL ? value : setting_default (key);
}

static void
tell_setting (PhCore *self, const char *key)
{
  g_autofree char *stored = ph_store_get_setting (self->profile->store, key);
  g_autofree char *value = ph_core_setting (self, key);

  ph_core_emit (self, (PhEvent){
                          .type = PH_EVENT_SETTING,
                          .setting = {.key = key, .value = value, .is_set = stored != NULL},
                      });
}

void
ph_core_tell_settings (PhCore *self)
{
  for (size_t i = 0; keys[i] != NULL; i++)
    tell_setting (self, keys[i]);
}

static uint64_t
number (PhCore *self, const char *key)
{
  g_autofree char *value = ph_core_setting (self, key);

  return g_ascii_strtoull (value, NULL, 10);
}

static bool
yes (PhCore *self, const char *key)
{
  g_autofree char *value = ph_core_setting (self, key);

  return strcmp (value, "true") == 0;
}

bool
ph_core_is_private (PhCore *self)
{
  return self->is_private;
}

void
ph_core_settings_apply (PhCore *self)
{
  const uint64_t days = number (self, "queue-days");
  const bool other_days = days != self->queue_days;

  const uint64_t up = number (self, "speed-limit-up");

  if (up != self->pacer.rate)
    ph_pacer_set_rate (&self->pacer, ph_core_now (self), up);
  self->limit_down = number (self, "speed-limit-down");
  self->is_private = yes (self, "private-mode");
  self->queue_days = days;
  for (guint i = 0; other_days && i < self->transfers->len; i++) {
    PhTransfer *transfer = self->transfers->pdata[i];

    transfer->tell |= transfer->outgoing && !ph_transfer_state_ended (transfer->state);
  }
}

void
ph_core_share_limit_down (PhCore *self, PhTime now)
{
  unsigned n = 0;

  for (guint i = 0; i < self->peers->len; i++) {
    const PhPeer *peer = self->peers->pdata[i];

    n += peer->session != NULL && ph_session_receives (peer->session);
  }
  for (guint i = 0; i < self->peers->len; i++) {
    const PhPeer *peer = self->peers->pdata[i];

    if (peer->session != NULL)
      ph_session_set_limit_down (
          peer->session, now, self->limit_down == 0 ? 0 : MAX (1, self->limit_down / MAX (n, 1)));
  }
}

static bool
check_key (PhCore *self, const PhCommand *command)
{
  if (command->subject != NULL && g_strv_contains (keys, command->subject))
    return true;
  ph_core_fail (self, command->number, PH_ENGINE_ERROR_UNKNOWN_SETTING,
                _ ("There is no setting “%s”"), command->subject != NULL ? command->subject : "");
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

/* turn: and turns: URIs (RFC 7065) with credentials, parted by commas or spaces. */
static bool
turn_servers_are_sane (const char *value)
{
  g_auto (GStrv) uris = g_strsplit_set (value, ", ", -1);

  for (size_t i = 0; uris[i] != NULL; i++) {
    PhIceServer parsed;

    if (*uris[i] != '\0' && !ph_ice_server_parse_own (uris[i], &parsed))
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
  if (strcmp (command->subject, "turn") == 0 && !turn_servers_are_sane (value)) {
    ph_core_fail (
        self, command->number, PH_ENGINE_ERROR_BAD_VALUE,
        /* Translators: NAME and PASSWORD stand for what the person has for the server. */
        _ ("“%s” is not the address of a TURN server with a name and a password. They look "
           "like turn:NAME:PASSWORD@turn.example.org:3478 or "
           "turns:NAME:PASSWORD@turn.example.org; several are parted by commas"),
        value);
    return false;
  }
  if (strcmp (command->subject, "download-dir") == 0 && !g_path_is_absolute (value)) {
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_BAD_VALUE,
                  _ ("The download folder must be given with its full path, not “%s”"), value);
    return false;
  }
  if (is_switch (command->subject) && strcmp (value, "true") != 0 && strcmp (value, "false") != 0) {
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_BAD_VALUE,
                  _ ("“%s” must be true or false, not “%s”"), command->subject, value);
    return false;
  }
  if (is_limit (command->subject)
      && !g_ascii_string_to_unsigned (value, 10, 0, G_MAXINT64, NULL, NULL)) {
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_BAD_VALUE,
                  _ ("A speed limit is a number of bytes a second, or 0 for none; not “%s”"),
                  value);
    return false;
  }
  if (strcmp (command->subject, "queue-days") == 0
      && !g_ascii_string_to_unsigned (value, 10, 0, PH_CORE_QUEUE_DAYS_MAX, NULL, NULL)) {
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_BAD_VALUE,
                  _ ("Files can wait for up to %u days, or with 0 for ever; not “%s”"),
                  PH_CORE_QUEUE_DAYS_MAX, value);
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
  ph_core_settings_apply (self);
  tell_setting (self, command->subject);
  if (self->connected) {
    ph_core_meetings_update (self);
    ph_core_nearby_update (self);
    ph_core_guess_update (self);
    ph_core_network_update_servers (self);
    ph_core_portmap_update (self, ph_core_now (self), false);
    ph_core_settle (self);
  }
  ph_core_done (self, command->number, NULL, NULL);
}
