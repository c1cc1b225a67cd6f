/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/signal/ph-base64.h"
#include "net/signal/ph-rendezvous-client-private.h"

static void
nonsense (PhRendezvousClient *self, PhTime now, const char *what)
{
  ph_client_break (self, now, PH_RENDEZVOUS_NOT_A_RENDEZVOUS, what, false);
}

static void
handle_challenge (PhRendezvousClient *self, PhTime now, JsonObject *message)
{
  uint8_t nonce[PH_RENDEZVOUS_NONCE_LEN];
  uint64_t protocol;

  if (self->state != PH_RENDEZVOUS_GREETING
      || !ph_json_u64 (message, "protocol", G_MAXINT64, &protocol)
      || !ph_json_bytes (message, "nonce", nonce, sizeof nonce))
    nonsense (self, now, "wrong challenge");
  else if (protocol != 1)
    ph_client_break (self, now, PH_RENDEZVOUS_UNSUPPORTED, "the server speaks a newer protocol",
                     false);
  else
    ph_client_log_in (self, now, nonce);
}

/* Servers that this version does not know how to use are left out. */
static PhIceServers *
read_ice (JsonObject *message)
{
  PhIceServers *ice = g_new0 (PhIceServers, 1);
  JsonArray *array = ph_json_array (message, "ice");
  const unsigned n = array != NULL ? json_array_get_length (array) : 0;

  for (unsigned i = 0; i < n && ice->n < PH_RENDEZVOUS_ICE_MAX; i++) {
    PhIceServer *server = &ice->servers[ice->n];
    JsonObject *object = ph_json_array_object (array, i);
    const char *uri = object != NULL ? ph_json_string (object, "uri") : NULL;
    const char *username = object != NULL ? ph_json_string (object, "username") : NULL;
    const char *password = object != NULL ? ph_json_string (object, "password") : NULL;

    if (uri == NULL || !ph_ice_server_parse (uri, server))
      continue;
    if (username != NULL && strlen (username) < sizeof server->username)
      g_strlcpy (server->username, username, sizeof server->username);
    if (password != NULL && strlen (password) < sizeof server->password)
      g_strlcpy (server->password, password, sizeof server->password);
    ice->n++;
  }
  return ice;
}

static void
schedule_renewal (PhRendezvousClient *self, PhTime now, JsonObject *message)
{
  uint64_t life_s;

  self->renew_at = PH_NEVER;
  if (ph_json_u64 (message, "life", 365 * 24 * 3600, &life_s))
    self->renew_at = ph_time_add (now, MAX (life_s * PH_SEC / 2, PH_RENDEZVOUS_ICE_RENEW_MIN));
}

static void
handle_welcome (PhRendezvousClient *self, PhTime now, JsonObject *message)
{
  if (self->state != PH_RENDEZVOUS_LOGGING_IN) {
    nonsense (self, now, "unexpected welcome");
    return;
  }
  ph_client_event (self, PH_RENDEZVOUS_EVENT_ONLINE)->ice = read_ice (message);
  ph_client_read_knock (self, message);
  ph_client_enter_online (self, now);
  schedule_renewal (self, now, message);
}

static void
handle_ice (PhRendezvousClient *self, PhTime now, JsonObject *message)
{
  ph_client_event (self, PH_RENDEZVOUS_EVENT_ICE)->ice = read_ice (message);
  schedule_renewal (self, now, message);
}

static void
handle_presence (PhRendezvousClient *self, PhTime now, JsonObject *message)
{
  PhDeviceId id;
  PhEpoch epoch;
  bool online;

  if (!ph_json_bytes (message, "key", id.key, sizeof id.key)
      || !ph_json_bool (message, "online", &online)
      || (online && !ph_json_bytes (message, "epoch", epoch.nonce, sizeof epoch.nonce))) {
    nonsense (self, now, "wrong presence");
    return;
  }

  PhClientContact *contact = ph_client_contact (self, &id);

  /* The server may not have heard yet that we do not watch it any more. */
  if (contact != NULL)
    ph_client_set_presence (self, now, contact, online ? &epoch : NULL);
}

static void
handle_signal (PhRendezvousClient *self, PhTime now, JsonObject *message)
{
  PhDeviceId from;
  uint8_t sealed[PH_ENVELOPE_MAX];
  size_t len;

  if (!ph_json_bytes (message, "from", from.key, sizeof from.key)
      || !ph_json_blob (message, "envelope", sealed, sizeof sealed, &len)) {
    ph_trace (&self->trace, now, "rendezvous", "broken signal dropped");
    return;
  }

  PhClientContact *contact = ph_client_contact (self, &from);

  if (contact != NULL)
    ph_client_handle_envelope (self, now, contact, ph_slice (sealed, len));
}

static bool
read_lookup (JsonObject *message, PhLookupId *ret_lookup)
{
  return ph_json_bytes (message, "lookup", ret_lookup->bytes, sizeof ret_lookup->bytes);
}

static void
handle_invited (PhRendezvousClient *self, PhTime now, JsonObject *message)
{
  PhLookupId lookup;

  if (read_lookup (message, &lookup))
    ph_client_handle_invited (self, &lookup);
}

static void
handle_acceptance (PhRendezvousClient *self, PhTime now, JsonObject *message)
{
  PhLookupId lookup;
  uint8_t key[PH_DEVICE_ID_LEN];
  PhDeviceId from;
  uint8_t sealed[PH_ACCEPTANCE_MAX];
  size_t len = 0;

  if (!read_lookup (message, &lookup) || !ph_json_bytes (message, "from", key, sizeof key)
      || !ph_device_id_from_bytes (ph_slice (key, sizeof key), &from))
    return;
  /* What cannot be decoded is a wrong answer like any other. */
  if (!ph_json_blob (message, "envelope", sealed, sizeof sealed, &len))
    len = 0;
  ph_client_handle_acceptance (self, now, &lookup, &from, ph_slice (sealed, len));
}

static void
handle_answered (PhRendezvousClient *self, PhTime now, JsonObject *message)
{
  PhLookupId lookup;
  bool accepted;
  const char *code = ph_json_string (message, "code");
  uint8_t sealed[PH_ACCEPTANCE_MAX];
  size_t len = 0;

  if (!read_lookup (message, &lookup) || !ph_json_bool (message, "accepted", &accepted))
    return;
  if (accepted && !ph_json_blob (message, "envelope", sealed, sizeof sealed, &len))
    len = 0;
  ph_client_handle_answered (self, &lookup, accepted,
                             code != NULL ? ph_rendezvous_code_parse (code)
                                          : PH_RENDEZVOUS_UNKNOWN_CODE,
                             ph_slice (sealed, len));
}

static void
handle_knocked (PhRendezvousClient *self, PhTime now, JsonObject *message)
{
  ph_client_handle_knocked (self, message, PH_RENDEZVOUS_OK);
}

static void
handle_error (PhRendezvousClient *self, PhTime now, JsonObject *message)
{
  const char *string = ph_json_string (message, "code");
  const char *text = ph_json_string (message, "text");
  const char *about = ph_json_string (message, "about");
  const PhRendezvousCode code =
      string != NULL ? ph_rendezvous_code_parse (string) : PH_RENDEZVOUS_UNKNOWN_CODE;
  PhLookupId lookup;

  if (code == PH_RENDEZVOUS_REPLACED && self->state != PH_RENDEZVOUS_GREETING) {
    ph_client_replaced (self, now, false);
    return;
  }
  if (ph_rendezvous_close_code (code) != 0) {
    /* It closes now. What it says counts more than how the close looks. */
    self->server_code = code;
    ph_client_set_text (self->server_text, text);
    return;
  }
  /* The signal is sent again when its time comes. */
  if (code == PH_RENDEZVOUS_NOT_ONLINE)
    return;
  if (code == PH_RENDEZVOUS_KNOCK_REFUSED) {
    ph_client_handle_knocked (self, message, code);
    return;
  }
  if (about != NULL && read_lookup (message, &lookup)) {
    if (g_str_equal (about, "invite"))
      ph_client_invite_refused (self, &lookup, code);
    else if (g_str_equal (about, "accept"))
      ph_client_accept_refused (self, &lookup, code);
    return;
  }

  PhClientEvent *event = ph_client_event (self, PH_RENDEZVOUS_EVENT_ERROR);

  event->event.code = code;
  ph_client_set_text (event->event.text, text);
}

void
ph_client_handle_message (PhRendezvousClient *self, PhTime now, const char *type,
                          JsonObject *message)
{
  static const struct {
    const char *type;
    void (*handle) (PhRendezvousClient *self, PhTime now, JsonObject *message);
    bool online; /* only then */
  } handlers[] = {
      {"signal", handle_signal, true},
      {"presence", handle_presence, true},
      {"ice", handle_ice, true},
      {"invited", handle_invited, true},
      {"acceptance", handle_acceptance, true},
      {"answered", handle_answered, true},
      {"knocked", handle_knocked, true},
      {"challenge", handle_challenge, false},
      {"welcome", handle_welcome, false},
      {"error", handle_error, false},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS (handlers); i++)
    if (g_str_equal (type, handlers[i].type)) {
      if (!handlers[i].online || self->state == PH_RENDEZVOUS_ONLINE)
        handlers[i].handle (self, now, message);
      else
        nonsense (self, now, "message before the log-in");
      return;
    }
  /* "pong" has done its work by coming; what a newer server says besides is not for us. */
}
