/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/rendezvous/ph-rooms-private.h"
#include "net/rendezvous/ph-turn-credentials.h"
#include "net/signal/ph-base64.h"

void
ph_rooms_refuse (PhRooms *self, PhTime now, PhRoomsConn *conn, PhRendezvousCode code,
                 const char *text, JsonObject *request)
{
  static const char *const repeated[] = {"to", "id", "lookup", "token"};
  JsonObject *message = ph_json_message ("error");

  g_assert (ph_rendezvous_close_code (code) == 0);
  json_object_set_string_member (message, "code", ph_rendezvous_code_string (code));
  json_object_set_string_member (message, "text", text);
  json_object_set_string_member (message, "about", ph_json_string (request, "type"));
  for (unsigned i = 0; i < G_N_ELEMENTS (repeated); i++) {
    JsonNode *node = json_object_get_member (request, repeated[i]);

    if (node != NULL && JSON_NODE_HOLDS_VALUE (node))
      json_object_set_member (message, repeated[i], json_node_copy (node));
  }
  ph_rooms_send (self, now, conn, message);
}

static void
malformed (PhRooms *self, PhTime now, PhRoomsConn *conn, const char *text)
{
  ph_rooms_fail (self, now, conn, PH_RENDEZVOUS_MALFORMED, text);
}

/* --- Watching ----------------------------------------------------------------------------------- */

static int
compare_ids (const void *a, const void *b)
{
  return ph_device_id_compare (a, b);
}

/* Reads a list of keys; NULL if it is none. A list that is not there is empty. Sorted, each once. */
static GArray *
read_keys (JsonObject *message, const char *member)
{
  g_autoptr (GArray) keys = g_array_new (FALSE, FALSE, sizeof (PhDeviceId));
  JsonArray *array = ph_json_array (message, member);
  const unsigned n = array != NULL ? json_array_get_length (array) : 0;
  unsigned kept = 0;

  if ((array == NULL && json_object_has_member (message, member)) || n > PH_RENDEZVOUS_CONTACTS_MAX)
    return NULL;
  for (unsigned i = 0; i < n; i++) {
    const char *text = ph_json_array_string (array, i);
    PhDeviceId id;

    /* Whether it is a usable key matters not: nobody can log in with one that is not. */
    if (text == NULL || !ph_base64_decode_exact (text, id.key, sizeof id.key))
      return NULL;
    g_array_append_val (keys, id);
  }
  g_array_sort (keys, compare_ids);
  for (unsigned i = 0; i < n; i++) {
    PhDeviceId *all = (PhDeviceId *)(void *)keys->data;

    if (kept == 0 || !ph_device_id_equal (&all[i], &all[kept - 1]))
      all[kept++] = all[i];
  }
  g_array_set_size (keys, kept);
  return g_steal_pointer (&keys);
}

static void
unwatch (PhRooms *self, PhTime now, PhRoomsConn *conn, const PhDeviceId *key)
{
  PhRoomsConn *other = ph_rooms_device (self, key);
  const bool was_mutual = other != NULL && ph_rooms_are_mutual (conn, other);
  unsigned at;

  if (conn->watched == NULL || !g_array_binary_search (conn->watched, key, compare_ids, &at))
    return;
  g_array_remove_index (conn->watched, at);
  if (was_mutual)
    ph_rooms_tell_presence (self, now, other, conn, false);
}

/* False if the list is full. */
static bool
watch (PhRooms *self, PhTime now, PhRoomsConn *conn, const PhDeviceId *key)
{
  unsigned at = 0;

  if (ph_rooms_watches (conn, key))
    return true;
  if (conn->watched == NULL)
    conn->watched = g_array_new (FALSE, FALSE, sizeof (PhDeviceId));
  if (conn->watched->len >= PH_RENDEZVOUS_CONTACTS_MAX)
    return false;
  while (at < conn->watched->len
         && ph_device_id_compare (&g_array_index (conn->watched, PhDeviceId, at), key) < 0)
    at++;
  g_array_insert_val (conn->watched, at, *key);

  PhRoomsConn *other = ph_rooms_device (self, key);

  if (other != NULL && other != conn && ph_rooms_watches (other, &conn->key)) {
    ph_rooms_tell_presence (self, now, other, conn, true);
    ph_rooms_tell_presence (self, now, conn, other, true);
  }
  return true;
}

static void
handle_watch (PhRooms *self, PhTime now, PhRoomsConn *conn, JsonObject *message)
{
  g_autoptr (GArray) added = read_keys (message, "add");
  g_autoptr (GArray) removed = read_keys (message, "remove");

  if (added == NULL || removed == NULL) {
    malformed (self, now, conn, "watch: a list of keys is wrong");
    return;
  }
  for (unsigned i = 0; i < removed->len; i++)
    unwatch (self, now, conn, &g_array_index (removed, PhDeviceId, i));
  for (unsigned i = 0; i < added->len; i++)
    if (!watch (self, now, conn, &g_array_index (added, PhDeviceId, i))) {
      ph_rooms_refuse (self, now, conn, PH_RENDEZVOUS_TOO_MANY_CONTACTS, "the watch list is full",
                       message);
      return;
    }
}

/* --- Log-in ------------------------------------------------------------------------------------- */

static JsonObject *
ice_server (const char *uri, const PhTurnCredentials *credentials)
{
  JsonObject *server = json_object_new ();

  json_object_set_string_member (server, "uri", uri);
  if (credentials != NULL) {
    json_object_set_string_member (server, "username", credentials->username);
    json_object_set_string_member (server, "password", credentials->password);
  }
  return server;
}

/* STUN and TURN servers, into a "welcome" or "ice" message. */
static void
add_ice (PhRooms *self, const PhRoomsConn *conn, JsonObject *message)
{
  JsonArray *servers = json_array_new ();
  PhTurnCredentials credentials;
  const bool with_credentials = self->turn_secret != NULL;

  if (with_credentials)
    credentials = ph_turn_credentials (self->turn_secret, &conn->key,
                                       self->unix_time (self->user) + PH_ROOMS_TURN_LIFE_S);
  for (char **uri = self->stun_uris; uri != NULL && *uri != NULL; uri++)
    json_array_add_object_element (servers, ice_server (*uri, NULL));
  for (char **uri = self->turn_uris; uri != NULL && *uri != NULL; uri++)
    json_array_add_object_element (servers,
                                   ice_server (*uri, with_credentials ? &credentials : NULL));
  json_object_set_array_member (message, "ice", servers);
  if (with_credentials)
    json_object_set_int_member (message, "life", PH_ROOMS_TURN_LIFE_S);
}

static bool
origin_is_ours (const PhRooms *self, const PhRoomsConn *conn, const char *origin)
{
  if (conn->local_origin != NULL && g_str_equal (conn->local_origin, origin))
    return true;
  return self->origins != NULL && g_strv_contains ((const char *const *)self->origins, origin);
}

static PhRendezvousCode
check_login (PhRooms *self, PhRoomsConn *conn, JsonObject *message)
{
  PhRendezvousLogin login = {.origin = ph_json_string (message, "origin")};
  uint8_t signature[PH_SIGNATURE_LEN];
  uint8_t signed_bytes[PH_RENDEZVOUS_LOGIN_LEN_MAX];

  if (login.origin == NULL || !ph_json_bytes (message, "key", login.key.key, sizeof login.key.key)
      || !ph_json_bytes (message, "nonce", login.client_nonce, sizeof login.client_nonce)
      || !ph_json_bytes (message, "epoch", login.epoch.nonce, sizeof login.epoch.nonce)
      || !ph_json_bytes (message, "signature", signature, sizeof signature))
    return PH_RENDEZVOUS_MALFORMED;
  if (!ph_device_id_from_bytes (ph_slice (login.key.key, sizeof login.key.key), &conn->key))
    return PH_RENDEZVOUS_BAD_KEY;
  if (!origin_is_ours (self, conn, login.origin))
    return PH_RENDEZVOUS_FOREIGN_ORIGIN;

  memcpy (login.server_nonce, conn->nonce, sizeof conn->nonce);

  const size_t len = ph_rendezvous_login_message (&login, signed_bytes);

  if (len == 0 || !ph_device_id_verify (&conn->key, ph_slice (signed_bytes, len), signature))
    return PH_RENDEZVOUS_BAD_SIGNATURE;
  conn->epoch = login.epoch;
  return PH_RENDEZVOUS_OK;
}

static void
handle_login (PhRooms *self, PhTime now, PhRoomsConn *conn, JsonObject *message)
{
  g_autoptr (GArray) watched = read_keys (message, "watch");
  PhRendezvousCode code = check_login (self, conn, message);

  if (watched == NULL)
    code = PH_RENDEZVOUS_MALFORMED;
  if (code != PH_RENDEZVOUS_OK) {
    const char *text = code == PH_RENDEZVOUS_BAD_SIGNATURE ? "the signature does not fit"
                       : code == PH_RENDEZVOUS_BAD_KEY     ? "not an Ed25519 key"
                       : code == PH_RENDEZVOUS_FOREIGN_ORIGIN
                           ? "this server does not know itself by the address that was dialled; "
                             "its --origin option adds one"
                           : "log-in: a member is missing or wrong";

    ph_rooms_fail (self, now, conn, code, text);
    return;
  }
  /* A device that logs in all the time is slowed down before it can trouble its contacts. */
  if (!ph_bucket_take (
          ph_bucket_table_get (self->messages, now, conn->key.key, sizeof conn->key.key), now,
          PH_ROOMS_ACCEPT_COST)) {
    ph_rooms_fail (self, now, conn, PH_RENDEZVOUS_RATE_LIMITED, "too many log-ins");
    return;
  }
  ph_rooms_log_in (self, now, conn);
  if (watched->len > 0)
    conn->watched = g_steal_pointer (&watched);

  JsonObject *welcome = ph_json_message ("welcome");

  add_ice (self, conn, welcome);
  ph_rooms_knocks_announce (conn, welcome);
  ph_rooms_send (self, now, conn, welcome);
  ph_rooms_spread_presence (self, now, conn, true);
}

static void
handle_ice (PhRooms *self, PhTime now, PhRoomsConn *conn, JsonObject *message)
{
  JsonObject *answer = ph_json_message ("ice");

  add_ice (self, conn, answer);
  ph_rooms_send (self, now, conn, answer);
}

static void
handle_ping (PhRooms *self, PhTime now, PhRoomsConn *conn, JsonObject *message)
{
  ph_rooms_send (self, now, conn, ph_json_message ("pong"));
}

/* --- Signals ------------------------------------------------------------------------------------ */

static bool
read_envelope (JsonObject *message, size_t max, const char **ret_text)
{
  const char *text = ph_json_string (message, "envelope");

  /* Opaque, but for its size and alphabet: it is repeated as it is. */
  if (text == NULL || text[0] == '\0' || strlen (text) > PH_BASE64_CHARS (max))
    return false;
  for (const char *c = text; *c != '\0'; c++)
    if (!g_ascii_isalnum (*c) && *c != '-' && *c != '_')
      return false;
  *ret_text = text;
  return true;
}

static void
handle_signal (PhRooms *self, PhTime now, PhRoomsConn *conn, JsonObject *message)
{
  PhDeviceId to;
  const char *envelope;

  if (!ph_json_bytes (message, "to", to.key, sizeof to.key)
      || !read_envelope (message, PH_ENVELOPE_MAX, &envelope)) {
    malformed (self, now, conn, "signal: a member is missing or wrong");
    return;
  }

  PhRoomsConn *other = ph_rooms_device (self, &to);

  if (other == NULL || other == conn || !ph_rooms_are_mutual (conn, other)) {
    ph_rooms_refuse (self, now, conn, PH_RENDEZVOUS_NOT_ONLINE, "not online", message);
    return;
  }

  JsonObject *relayed = ph_json_message ("signal");

  ph_json_set_bytes (relayed, "from", ph_slice (conn->key.key, sizeof conn->key.key));
  json_object_set_string_member (relayed, "envelope", envelope);
  ph_rooms_send (self, now, other, relayed);
}

/* --- Invitations -------------------------------------------------------------------------------- */

static void
handle_invite (PhRooms *self, PhTime now, PhRoomsConn *conn, JsonObject *message)
{
  PhLookupId lookup;
  uint64_t life_s;

  if (!ph_json_bytes (message, "lookup", lookup.bytes, sizeof lookup.bytes)
      || !ph_json_u64 (message, "life", PH_RENDEZVOUS_INVITATION_LIFE_MAX / PH_SEC, &life_s)
      || life_s == 0) {
    malformed (self, now, conn, "invite: a member is missing or wrong");
    return;
  }
  switch (ph_invitation_store_add (self->invitations, now, &lookup, &conn->key,
                                   ph_time_add (now, life_s * PH_SEC))) {
  case PH_INVITATION_TAKEN:
    ph_rooms_refuse (self, now, conn, PH_RENDEZVOUS_INVITATION_TAKEN, "in use, or ended", message);
    return;
  case PH_INVITATION_TOO_MANY:
    ph_rooms_refuse (self, now, conn, PH_RENDEZVOUS_TOO_MANY_INVITATIONS,
                     "too many open invitations", message);
    return;
  case PH_INVITATION_ADDED:
    break;
  }

  JsonObject *answer = ph_json_message ("invited");

  ph_json_set_bytes (answer, "lookup", ph_slice (lookup.bytes, sizeof lookup.bytes));
  ph_rooms_send (self, now, conn, answer);
  ph_trace (&self->trace, now, "rooms", "%s invites", ph_rooms_short_id (&conn->key).text);
}

static void
handle_withdraw (PhRooms *self, PhTime now, PhRoomsConn *conn, JsonObject *message)
{
  PhLookupId lookup;

  if (!ph_json_bytes (message, "lookup", lookup.bytes, sizeof lookup.bytes)) {
    malformed (self, now, conn, "withdraw: no look-up ID");
    return;
  }

  const PhStoredInvitation *invitation = ph_invitation_store_find (self->invitations, now, &lookup);

  /* It stays known: somebody's acceptance may be on its way to the owner, whose answer must still reach them. */
  if (invitation != NULL && ph_device_id_equal (&invitation->owner, &conn->key))
    ph_invitation_store_end (self->invitations, now, &lookup, PH_INVITATION_IS_WITHDRAWN, NULL);
}

static void
remember_accepting (PhRoomsConn *conn, const PhLookupId *lookup)
{
  for (unsigned i = 0; i < conn->n_accepting; i++)
    if (memcmp (&conn->accepting[i], lookup, sizeof *lookup) == 0)
      return;
  if (conn->n_accepting == PH_ROOMS_ACCEPTING_MAX)
    memmove (&conn->accepting[0], &conn->accepting[1],
             --conn->n_accepting * sizeof conn->accepting[0]);
  conn->accepting[conn->n_accepting++] = *lookup;
}

static bool
take_accepting (PhRoomsConn *conn, const PhLookupId *lookup)
{
  for (unsigned i = 0; i < conn->n_accepting; i++)
    if (memcmp (&conn->accepting[i], lookup, sizeof *lookup) == 0) {
      conn->accepting[i] = conn->accepting[--conn->n_accepting];
      return true;
    }
  return false;
}

static void
handle_accept (PhRooms *self, PhTime now, PhRoomsConn *conn, JsonObject *message)
{
  PhLookupId lookup;
  const char *envelope;

  if (!ph_json_bytes (message, "lookup", lookup.bytes, sizeof lookup.bytes)
      || !read_envelope (message, PH_ACCEPTANCE_MAX, &envelope)) {
    malformed (self, now, conn, "accept: a member is missing or wrong");
    return;
  }
  if (!ph_bucket_take (
          ph_bucket_table_get (self->messages, now, conn->key.key, sizeof conn->key.key), now,
          PH_ROOMS_ACCEPT_COST - 1)) {
    ph_rooms_fail (self, now, conn, PH_RENDEZVOUS_RATE_LIMITED, "too many acceptances");
    return;
  }

  const PhStoredInvitation *invitation = ph_invitation_store_find (self->invitations, now, &lookup);

  if (invitation == NULL || invitation->state == PH_INVITATION_IS_WITHDRAWN) {
    ph_rooms_refuse (self, now, conn, PH_RENDEZVOUS_UNKNOWN_INVITATION,
                     "expired, withdrawn or never made", message);
    return;
  }
  if (invitation->state == PH_INVITATION_IS_ENDED) {
    ph_rooms_refuse (self, now, conn, PH_RENDEZVOUS_INVITATION_ENDED,
                     "somebody gave a wrong answer to it", message);
    return;
  }
  /* Who has used it may ask again: the answer may have been lost with a connection. */
  if (invitation->state == PH_INVITATION_IS_USED
      && !ph_device_id_equal (&invitation->accepter, &conn->key)) {
    ph_rooms_refuse (self, now, conn, PH_RENDEZVOUS_INVITATION_USED, "already used", message);
    return;
  }

  PhRoomsConn *owner = ph_rooms_device (self, &invitation->owner);

  if (owner == NULL || owner == conn) {
    ph_rooms_refuse (self, now, conn, PH_RENDEZVOUS_INVITER_OFFLINE, "the inviter is not online",
                     message);
    return;
  }
  remember_accepting (conn, &lookup);

  JsonObject *relayed = ph_json_message ("acceptance");

  ph_json_set_bytes (relayed, "lookup", ph_slice (lookup.bytes, sizeof lookup.bytes));
  ph_json_set_bytes (relayed, "from", ph_slice (conn->key.key, sizeof conn->key.key));
  json_object_set_string_member (relayed, "envelope", envelope);
  ph_rooms_send (self, now, owner, relayed);
  ph_trace (&self->trace, now, "rooms", "%s answers an invitation of %s",
            ph_rooms_short_id (&conn->key).text, ph_rooms_short_id (&owner->key).text);
}

/* The inviter has judged an acceptance. Either way the invitation is over. */
static void
handle_answer (PhRooms *self, PhTime now, PhRoomsConn *conn, JsonObject *message)
{
  PhLookupId lookup;
  PhDeviceId to;
  bool accepted;
  const char *envelope = NULL;
  const char *code = ph_json_string (message, "code");
  const bool used =
      code != NULL && ph_rendezvous_code_parse (code) == PH_RENDEZVOUS_INVITATION_USED;

  if (!ph_json_bytes (message, "lookup", lookup.bytes, sizeof lookup.bytes)
      || !ph_json_bytes (message, "to", to.key, sizeof to.key)
      || !ph_json_bool (message, "accepted", &accepted)
      || (accepted && !read_envelope (message, PH_ACCEPTANCE_MAX, &envelope))) {
    malformed (self, now, conn, "answer: a member is missing or wrong");
    return;
  }

  const PhStoredInvitation *invitation = ph_invitation_store_find (self->invitations, now, &lookup);
  PhRoomsConn *accepter = ph_rooms_device (self, &to);

  if (invitation == NULL || !ph_device_id_equal (&invitation->owner, &conn->key))
    return;
  /* Who has used it stays known, whoever comes later. */
  if (!used || invitation->state == PH_INVITATION_IS_OPEN)
    ph_invitation_store_end (self->invitations, now, &lookup,
                             accepted || used ? PH_INVITATION_IS_USED : PH_INVITATION_IS_ENDED,
                             &to);
  ph_trace (&self->trace, now, "rooms", "an invitation of %s was %s",
            ph_rooms_short_id (&conn->key).text, accepted ? "used" : "answered wrongly");
  /* Only to somebody who asked: an answer is no way to reach strangers. */
  if (accepter == NULL || !take_accepting (accepter, &lookup))
    return;

  JsonObject *relayed = ph_json_message ("answered");

  ph_json_set_bytes (relayed, "lookup", ph_slice (lookup.bytes, sizeof lookup.bytes));
  json_object_set_boolean_member (relayed, "accepted", accepted);
  if (accepted)
    json_object_set_string_member (relayed, "envelope", envelope);
  else
    json_object_set_string_member (
        relayed, "code",
        ph_rendezvous_code_string (invitation->state == PH_INVITATION_IS_WITHDRAWN
                                       ? PH_RENDEZVOUS_UNKNOWN_INVITATION
                                   : used ? PH_RENDEZVOUS_INVITATION_USED
                                          : PH_RENDEZVOUS_INVITATION_ENDED));
  ph_rooms_send (self, now, accepter, relayed);
}

/* ------------------------------------------------------------------------------------------------ */

void
ph_rooms_handle_message (PhRooms *self, PhTime now, PhRoomsConn *conn, const char *type,
                         JsonObject *message)
{
  static const struct {
    const char *type;
    void (*handle) (PhRooms *self, PhTime now, PhRoomsConn *conn, JsonObject *message);
  } handlers[] = {
      {"signal", handle_signal}, {"watch", handle_watch},   {"ping", handle_ping},
      {"ice", handle_ice},       {"invite", handle_invite}, {"withdraw", handle_withdraw},
      {"accept", handle_accept}, {"answer", handle_answer}, {"knock", ph_rooms_handle_knock},
  };

  if (g_str_equal (type, "login")) {
    if (conn->logged_in)
      malformed (self, now, conn, "logged in already");
    else
      handle_login (self, now, conn, message);
    return;
  }
  if (!conn->logged_in) {
    ph_rooms_fail (self, now, conn, PH_RENDEZVOUS_NOT_LOGGED_IN, "log in first");
    return;
  }
  for (unsigned i = 0; i < G_N_ELEMENTS (handlers); i++)
    if (g_str_equal (type, handlers[i].type)) {
      handlers[i].handle (self, now, conn, message);
      return;
    }
  malformed (self, now, conn, "unknown message type");
}
