/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/signal/ph-rendezvous-client-private.h"

#include "net/signal/ph-base64.h"

static const char *const state_names[] = {
    [PH_RENDEZVOUS_STOPPED] = "stopped",      [PH_RENDEZVOUS_CONNECTING] = "connecting",
    [PH_RENDEZVOUS_GREETING] = "greeting",    [PH_RENDEZVOUS_LOGGING_IN] = "logging in",
    [PH_RENDEZVOUS_ONLINE] = "online",        [PH_RENDEZVOUS_WAITING] = "waiting",
    [PH_RENDEZVOUS_IS_REPLACED] = "replaced",
};

#define TO(state) (1u << PH_RENDEZVOUS_##state)

static const unsigned edges[] = {
    [PH_RENDEZVOUS_STOPPED] = TO (CONNECTING),
    [PH_RENDEZVOUS_CONNECTING] = TO (GREETING) | TO (WAITING) | TO (STOPPED),
    [PH_RENDEZVOUS_GREETING] = TO (LOGGING_IN) | TO (WAITING) | TO (STOPPED),
    [PH_RENDEZVOUS_LOGGING_IN] = TO (ONLINE) | TO (WAITING) | TO (IS_REPLACED) | TO (STOPPED),
    [PH_RENDEZVOUS_ONLINE] = TO (WAITING) | TO (IS_REPLACED) | TO (STOPPED),
    [PH_RENDEZVOUS_WAITING] = TO (CONNECTING) | TO (STOPPED),
    [PH_RENDEZVOUS_IS_REPLACED] = TO (CONNECTING) | TO (STOPPED),
};

static void
enter (PhRendezvousClient *self, PhTime now, PhRendezvousState next, PhTime deadline,
       const char *why)
{
  g_assert (edges[self->state] & 1u << next);
  ph_trace (&self->trace, now, "rendezvous", "%s: %s -> %s: %s", self->address.url,
            state_names[self->state], state_names[next], why);
  self->state = next;
  self->deadline = deadline;
}

PhRendezvousClient *
ph_rendezvous_client_new (const PhRendezvousClientConfig *config)
{
  PhRendezvousClient *self = g_new0 (PhRendezvousClient, 1);

  self->identity = config->identity;
  self->address = config->address;
  self->random = config->random;
  self->trace = config->trace;
  ph_name_clean (config->name, self->name);
  self->deadline = PH_NEVER;
  self->probe_at = PH_NEVER;
  self->dead_at = PH_NEVER;
  self->renew_at = PH_NEVER;
  self->session = ph_random_u64 (&self->random);
  self->next_handle = 1;
  self->contacts = g_hash_table_new_full (ph_device_id_hash, ph_device_id_hash_equal, NULL,
                                          ph_client_contact_free);
  self->invitations = g_ptr_array_new_with_free_func (g_free);
  self->accepts = g_ptr_array_new_with_free_func (g_free);
  g_queue_init (&self->texts);
  g_queue_init (&self->events);
  return self;
}

static void
event_free (void *data)
{
  PhClientEvent *event = data;

  if (event == NULL)
    return;
  g_clear_pointer (&event->body, g_bytes_unref);
  g_free (event->ice);
  g_free (event);
}

void
ph_rendezvous_client_free (PhRendezvousClient *self)
{
  if (self == NULL)
    return;
  for (unsigned i = 0; i < self->invitations->len; i++)
    ph_invitation_wipe (
        &((PhClientInvitation *)g_ptr_array_index (self->invitations, i))->invitation);
  for (unsigned i = 0; i < self->accepts->len; i++)
    ph_invitation_wipe (&((PhClientAccept *)g_ptr_array_index (self->accepts, i))->invitation);
  g_hash_table_unref (self->contacts);
  g_ptr_array_unref (self->invitations);
  g_ptr_array_unref (self->accepts);
  g_queue_clear_full (&self->texts, g_free);
  g_queue_clear_full (&self->events, event_free);
  event_free (self->current);
  g_free (self);
}

PhRendezvousState
ph_rendezvous_client_state (const PhRendezvousClient *self)
{
  return self->state;
}

const PhRendezvousAddress *
ph_rendezvous_client_address (const PhRendezvousClient *self)
{
  return &self->address;
}

void
ph_rendezvous_client_set_name (PhRendezvousClient *self, const char *name)
{
  ph_name_clean (name, self->name);
}

static void
see_time (PhRendezvousClient *self, PhTime now)
{
  g_assert (now >= self->last_now);
  self->last_now = now;
}

/* --- Out ---------------------------------------------------------------------------------------- */

PhClientEvent *
ph_client_event (PhRendezvousClient *self, PhRendezvousEventType type)
{
  PhClientEvent *event = g_new0 (PhClientEvent, 1);

  event->event.type = type;
  event->event.retry_at = PH_NEVER;
  g_queue_push_tail (&self->events, event);
  return event;
}

void
ph_client_set_text (char out[PH_RENDEZVOUS_TEXT_MAX], const char *text)
{
  size_t len = 0;

  for (const char *c = text; c != NULL && *c != '\0' && len < PH_RENDEZVOUS_TEXT_MAX - 1; c++)
    if (g_ascii_isprint (*c))
      out[len++] = *c;
  out[len] = '\0';
}

void
ph_client_send (PhRendezvousClient *self, JsonObject *message)
{
  char *text = ph_json_finish (message);

  g_assert (self->state == PH_RENDEZVOUS_ONLINE || self->state == PH_RENDEZVOUS_LOGGING_IN);
  g_assert (strlen (text) <= PH_RENDEZVOUS_FRAME_MAX);
  g_queue_push_tail (&self->texts, text);
}

PhRendezvousRequest
ph_rendezvous_client_poll_request (PhRendezvousClient *self)
{
  if (self->want_close) {
    self->want_close = false;
    return PH_RENDEZVOUS_REQUEST_CLOSE;
  }
  if (self->want_connect) {
    self->want_connect = false;
    return PH_RENDEZVOUS_REQUEST_CONNECT;
  }
  return PH_RENDEZVOUS_REQUEST_NONE;
}

char *
ph_rendezvous_client_poll_text (PhRendezvousClient *self)
{
  return g_queue_pop_head (&self->texts);
}

bool
ph_rendezvous_client_poll_event (PhRendezvousClient *self, PhRendezvousEvent *ret_event)
{
  g_clear_pointer (&self->current, event_free);
  self->current = g_queue_pop_head (&self->events);
  if (self->current == NULL)
    return false;

  PhClientEvent *event = self->current;

  if (event->body != NULL) {
    gsize len;
    const void *data = g_bytes_get_data (event->body, &len);

    event->event.body = ph_slice (data, len);
  }
  event->event.ice = event->ice;
  *ret_event = event->event;
  return true;
}

/* --- The connection ----------------------------------------------------------------------------- */

static void
dial (PhRendezvousClient *self, PhTime now, const char *why)
{
  enter (self, now, PH_RENDEZVOUS_CONNECTING, ph_time_add (now, PH_RENDEZVOUS_CONNECT_MAX), why);
  self->want_connect = true;
  self->server_code = PH_RENDEZVOUS_OK;
  self->server_text[0] = '\0';
}

/* What every end of a connection has in common. */
static void
hang_up (PhRendezvousClient *self, bool closed)
{
  if (self->want_connect)
    self->want_connect = false;
  else if (!closed)
    self->want_close = true;
  g_queue_clear_full (&self->texts, g_free);
  g_queue_init (&self->texts);
  self->probe_at = PH_NEVER;
  self->dead_at = PH_NEVER;
  self->renew_at = PH_NEVER;
  ph_client_signals_offline (self);
  ph_client_knocks_offline (self);
}

static bool
is_connected (const PhRendezvousClient *self)
{
  return self->state == PH_RENDEZVOUS_CONNECTING || self->state == PH_RENDEZVOUS_GREETING
         || self->state == PH_RENDEZVOUS_LOGGING_IN || self->state == PH_RENDEZVOUS_ONLINE;
}

/* The next pause: doubled with every failure, between half and all of it. What trying again soon
 * cannot mend waits longest. */
static PhTime
draw_pause (PhRendezvousClient *self, PhRendezvousCode code)
{
  PhTime pause = PH_RENDEZVOUS_BACKOFF_MAX;

  if (code != PH_RENDEZVOUS_BAD_SIGNATURE && code != PH_RENDEZVOUS_BAD_KEY
      && code != PH_RENDEZVOUS_FOREIGN_ORIGIN && code != PH_RENDEZVOUS_UNSUPPORTED
      && code != PH_RENDEZVOUS_RATE_LIMITED && self->failures < 6)
    pause = MIN (PH_RENDEZVOUS_BACKOFF_MIN << self->failures, PH_RENDEZVOUS_BACKOFF_MAX);
  return pause / 2 + ph_random_below (&self->random, pause / 2 + 1);
}

static void
heard (PhRendezvousClient *self, PhTime now)
{
  self->idle_since = now;
  self->probe_at = ph_time_add (now, now < self->idle_short_until ? PH_RENDEZVOUS_IDLE_SHORT
                                                                  : PH_RENDEZVOUS_IDLE_MAX);
  self->dead_at = PH_NEVER;
}

void
ph_client_break (PhRendezvousClient *self, PhTime now, PhRendezvousCode code, const char *text,
                 bool closed)
{
  g_assert (is_connected (self));
  if (self->state == PH_RENDEZVOUS_ONLINE) {
    if (self->server_code == PH_RENDEZVOUS_OK
        && ph_time_since (now, self->idle_since) >= PH_RENDEZVOUS_IDLE_SHORT)
      self->idle_short_until = ph_time_add (now, PH_RENDEZVOUS_IDLE_SHORT_FOR);
    if (ph_time_since (now, self->online_since) >= PH_RENDEZVOUS_STEADY)
      self->failures = 0;
  }

  const PhTime retry_at = ph_time_add (now, draw_pause (self, code));

  self->failures++;
  hang_up (self, closed);
  enter (self, now, PH_RENDEZVOUS_WAITING, retry_at, ph_rendezvous_code_string (code));

  PhClientEvent *event = ph_client_event (self, PH_RENDEZVOUS_EVENT_OFFLINE);

  event->event.code = code;
  event->event.retry_at = retry_at;
  ph_client_set_text (event->event.text, text);
}

void
ph_client_replaced (PhRendezvousClient *self, PhTime now, bool closed)
{
  hang_up (self, closed);
  enter (self, now, PH_RENDEZVOUS_IS_REPLACED, PH_NEVER, "this key has logged in elsewhere");
  ph_client_event (self, PH_RENDEZVOUS_EVENT_REPLACED)->event.code = PH_RENDEZVOUS_REPLACED;
}

void
ph_rendezvous_client_start (PhRendezvousClient *self, PhTime now)
{
  see_time (self, now);
  if (self->state == PH_RENDEZVOUS_STOPPED || self->state == PH_RENDEZVOUS_IS_REPLACED) {
    self->failures = 0;
    dial (self, now, "asked to");
  }
}

void
ph_rendezvous_client_stop (PhRendezvousClient *self, PhTime now)
{
  GHashTableIter iter;
  PhClientContact *contact;

  see_time (self, now);
  if (self->state == PH_RENDEZVOUS_STOPPED)
    return;
  if (is_connected (self))
    hang_up (self, false);
  g_hash_table_iter_init (&iter, self->contacts);
  while (g_hash_table_iter_next (&iter, NULL, (void **)&contact))
    ph_client_fail_signals (self, contact, PH_RENDEZVOUS_CANCELLED);
  enter (self, now, PH_RENDEZVOUS_STOPPED, PH_NEVER, "asked to");
  ph_client_event (self, PH_RENDEZVOUS_EVENT_OFFLINE)->event.code = PH_RENDEZVOUS_CANCELLED;
}

void
ph_rendezvous_client_network_changed (PhRendezvousClient *self, PhTime now)
{
  see_time (self, now);
  self->idle_short_until = 0;
  self->idle_since = now;
  switch (self->state) {
  case PH_RENDEZVOUS_WAITING:
    dial (self, now, "the network changed");
    break;
  case PH_RENDEZVOUS_CONNECTING:
  case PH_RENDEZVOUS_GREETING:
  case PH_RENDEZVOUS_LOGGING_IN:
    hang_up (self, false);
    enter (self, now, PH_RENDEZVOUS_WAITING, now, "the network changed");
    dial (self, now, "the network changed");
    break;
  case PH_RENDEZVOUS_ONLINE:
    ph_client_send (self, ph_json_message ("ping"));
    self->dead_at = ph_time_min (self->dead_at, ph_time_add (now, PH_RENDEZVOUS_PONG_CHANGED_MAX));
    break;
  case PH_RENDEZVOUS_STOPPED:
  case PH_RENDEZVOUS_IS_REPLACED:
    break;
  }
}

void
ph_rendezvous_client_handle_open (PhRendezvousClient *self, PhTime now)
{
  see_time (self, now);
  if (self->state == PH_RENDEZVOUS_CONNECTING && !self->want_connect)
    enter (self, now, PH_RENDEZVOUS_GREETING, ph_time_add (now, PH_RENDEZVOUS_LOGIN_MAX),
           "connected");
}

void
ph_rendezvous_client_handle_closed (PhRendezvousClient *self, PhTime now, PhRendezvousCode code,
                                    uint16_t close_code, const char *why)
{
  see_time (self, now);
  if (!is_connected (self) || self->want_connect)
    return;
  if (self->server_code != PH_RENDEZVOUS_OK) {
    code = self->server_code;
    why = self->server_text;
  } else if (code == PH_RENDEZVOUS_LOST) {
    code = ph_rendezvous_code_from_close (close_code);
  }
  if (code == PH_RENDEZVOUS_REPLACED
      && (self->state == PH_RENDEZVOUS_ONLINE || self->state == PH_RENDEZVOUS_LOGGING_IN))
    ph_client_replaced (self, now, true);
  else
    ph_client_break (self, now, code, why, true);
}

void
ph_rendezvous_client_handle_text (PhRendezvousClient *self, PhTime now, PhSlice text)
{
  const char *type;

  see_time (self, now);
  if (!is_connected (self) || self->state == PH_RENDEZVOUS_CONNECTING)
    return;

  g_autoptr (JsonObject) message =
      text.len <= PH_RENDEZVOUS_FRAME_MAX ? ph_json_parse (text, &type) : NULL;

  if (message == NULL) {
    ph_client_break (self, now, PH_RENDEZVOUS_NOT_A_RENDEZVOUS, "the server speaks nonsense",
                     false);
    return;
  }
  if (self->state == PH_RENDEZVOUS_ONLINE) {
    heard (self, now);
  }
  ph_client_handle_message (self, now, type, message);
}

/* --- Logging in --------------------------------------------------------------------------------- */

void
ph_client_log_in (PhRendezvousClient *self, PhTime now,
                  const uint8_t nonce[PH_RENDEZVOUS_NONCE_LEN])
{
  PhRendezvousLogin login = {.origin = self->address.origin, .key = self->identity->id};
  uint8_t signed_bytes[PH_RENDEZVOUS_LOGIN_LEN_MAX];
  uint8_t signature[PH_SIGNATURE_LEN];
  JsonObject *message = ph_json_message ("login");
  JsonArray *watched = json_array_new ();
  GHashTableIter iter;
  PhClientContact *contact;

  enter (self, now, PH_RENDEZVOUS_LOGGING_IN, ph_time_add (now, PH_RENDEZVOUS_LOGIN_MAX),
         "challenged");
  memcpy (login.server_nonce, nonce, sizeof login.server_nonce);
  ph_random_bytes (&self->random, login.client_nonce, sizeof login.client_nonce);
  ph_random_bytes (&self->random, &self->epoch, sizeof self->epoch);
  self->sequence = 0;
  login.epoch = self->epoch;

  const size_t len = ph_rendezvous_login_message (&login, signed_bytes);

  g_assert (len > 0);
  ph_identity_sign (self->identity, ph_slice (signed_bytes, len), signature);
  ph_json_set_bytes (message, "key", ph_slice (login.key.key, sizeof login.key.key));
  ph_json_set_bytes (message, "nonce", ph_slice (login.client_nonce, sizeof login.client_nonce));
  ph_json_set_bytes (message, "epoch", ph_slice (self->epoch.nonce, sizeof self->epoch.nonce));
  json_object_set_string_member (message, "origin", login.origin);
  ph_json_set_bytes (message, "signature", ph_slice (signature, sizeof signature));

  g_hash_table_iter_init (&iter, self->contacts);
  while (g_hash_table_iter_next (&iter, NULL, (void **)&contact)) {
    char text[64];

    g_clear_pointer (&contact->guard, g_free);
    json_array_add_string_element (
        watched, ph_base64_encode (ph_slice (contact->id.key, sizeof contact->id.key), text));
  }
  json_object_set_array_member (message, "watch", watched);
  ph_client_send (self, message);
}

void
ph_client_enter_online (PhRendezvousClient *self, PhTime now)
{
  enter (self, now, PH_RENDEZVOUS_ONLINE, PH_NEVER, "welcome");
  self->online_since = now;
  heard (self, now);
  ph_client_invitations_online (self, now);
}

/* --- Time --------------------------------------------------------------------------------------- */

static void
online_timeout (PhRendezvousClient *self, PhTime now)
{
  if (now >= self->dead_at) {
    ph_client_break (self, now, PH_RENDEZVOUS_TIMED_OUT, "the server is silent", false);
    return;
  }
  if (now >= self->probe_at) {
    ph_client_send (self, ph_json_message ("ping"));
    self->probe_at = PH_NEVER;
    self->dead_at = ph_time_min (self->dead_at, ph_time_add (now, PH_RENDEZVOUS_PONG_MAX));
  }
  if (now >= self->renew_at) {
    ph_client_send (self, ph_json_message ("ice"));
    self->renew_at = ph_time_add (now, PH_RENDEZVOUS_ICE_RENEW_MIN);
  }
}

void
ph_rendezvous_client_handle_timeout (PhRendezvousClient *self, PhTime now)
{
  see_time (self, now);
  if (now >= self->deadline) {
    if (self->state == PH_RENDEZVOUS_WAITING)
      dial (self, now, "the pause is over");
    else
      ph_client_break (self, now,
                       self->state == PH_RENDEZVOUS_CONNECTING ? PH_RENDEZVOUS_UNREACHABLE
                                                               : PH_RENDEZVOUS_TIMED_OUT,
                       "no answer in time", false);
  }
  if (self->state == PH_RENDEZVOUS_ONLINE)
    online_timeout (self, now);
  ph_client_signals_timeout (self, now);
  ph_client_knocks_timeout (self, now);
  ph_client_invitations_timeout (self, now);
}

PhTime
ph_rendezvous_client_next_timeout (const PhRendezvousClient *self, const char **ret_why)
{
  const struct {
    PhTime at;
    const char *why;
  } deadlines[] = {
      {self->deadline,
       self->state == PH_RENDEZVOUS_WAITING ? "time to connect" : "connecting takes too long"},
      {self->probe_at, "is the server alive"},
      {self->dead_at, "the server is silent"},
      {self->renew_at, "credentials are old"},
      {ph_client_knocks_deadline (self), "knock unanswered"},
      {ph_client_signals_deadline (self), "signal unacknowledged"},
      {ph_client_invitations_deadline (self), "invitation due"},
  };
  unsigned first = 0;

  for (unsigned i = 1; i < G_N_ELEMENTS (deadlines); i++)
    if (deadlines[i].at < deadlines[first].at)
      first = i;
  *ret_why = deadlines[first].at == PH_NEVER ? "idle" : deadlines[first].why;
  return deadlines[first].at;
}
