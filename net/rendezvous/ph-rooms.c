/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/rendezvous/ph-rooms-private.h"

/* Nothing that waits for the sweep does harm but memory. */
#define SWEEP_INTERVAL (60 * PH_SEC)

PhRooms *
ph_rooms_new (const PhRoomsConfig *config)
{
  PhRooms *self = g_new0 (PhRooms, 1);

  g_assert (config->turn_secret == NULL || config->unix_time != NULL);
  self->random = config->random;
  self->trace = config->trace;
  self->origins = g_strdupv ((char **)config->origins);
  self->stun_uris = g_strdupv ((char **)config->stun_uris);
  self->turn_uris = g_strdupv ((char **)config->turn_uris);
  self->turn_secret = g_strdup (config->turn_secret);
  self->unix_time = config->unix_time;
  self->user = config->user;
  self->per_address_max =
      config->per_address_max != 0 ? config->per_address_max : PH_ROOMS_PER_ADDRESS_MAX;
  self->connections_max =
      config->connections_max != 0 ? config->connections_max : PH_ROOMS_CONNECTIONS_MAX;
  self->conns = g_hash_table_new (g_int64_hash, g_int64_equal);
  self->devices = g_hash_table_new (ph_device_id_hash, ph_device_id_hash_equal);
  self->per_address = g_hash_table_new_full (ph_addr_hash, ph_addr_hash_equal, g_free, NULL);
  self->opens = ph_bucket_table_new (PH_ROOMS_OPEN_BURST, PH_ROOMS_OPEN_RATE);
  self->messages = ph_bucket_table_new (PH_ROOMS_MESSAGE_BURST, PH_ROOMS_MESSAGE_RATE);
  self->invitations = ph_invitation_store_new ();
  ph_rooms_knocks_init (self);
  self->sweep_at = PH_NEVER;
  g_queue_init (&self->waiting);
  g_queue_init (&self->doomed);
  g_queue_init (&self->output);
  return self;
}

static void
conn_free (PhRoomsConn *conn)
{
  g_clear_pointer (&conn->watched, g_array_unref);
  g_free (conn->local_origin);
  g_free (conn);
}

static void
output_free (void *data)
{
  PhRoomsOutput *output = data;

  g_free (output->text);
  g_free (output);
}

void
ph_rooms_free (PhRooms *self)
{
  GHashTableIter iter;
  PhRoomsConn *conn;

  if (self == NULL)
    return;
  g_hash_table_iter_init (&iter, self->conns);
  while (g_hash_table_iter_next (&iter, NULL, (void **)&conn))
    conn_free (conn);
  g_queue_clear (&self->waiting);
  g_queue_clear (&self->doomed);
  g_queue_clear_full (&self->output, output_free);
  g_hash_table_unref (self->conns);
  g_hash_table_unref (self->devices);
  g_hash_table_unref (self->per_address);
  ph_bucket_table_free (self->opens);
  ph_bucket_table_free (self->messages);
  ph_invitation_store_free (self->invitations);
  ph_rooms_knocks_clear (self);
  g_strfreev (self->origins);
  g_strfreev (self->stun_uris);
  g_strfreev (self->turn_uris);
  g_free (self->turn_secret);
  g_free (self);
}

static void
see_time (PhRooms *self, PhTime now)
{
  g_assert (now >= self->last_now);
  self->last_now = now;
  if (self->sweep_at == PH_NEVER)
    self->sweep_at = ph_time_add (now, SWEEP_INTERVAL);
}

PhShortId
ph_rooms_short_id (const PhDeviceId *key)
{
  char text[PH_DEVICE_ID_STRING_MAX];
  PhShortId id;

  ph_device_id_format (key, text);
  g_strlcpy (id.text, text, 7);
  return id;
}

/* --- Output ------------------------------------------------------------------------------------- */

static void
queue_output (PhRooms *self, uint64_t connection, char *text, PhRendezvousCode code)
{
  PhRoomsOutput *output = g_new0 (PhRoomsOutput, 1);

  output->connection = connection;
  output->text = text;
  if (text == NULL) {
    output->close_code = ph_rendezvous_close_code (code);
    output->close_reason = ph_rendezvous_code_string (code);
  }
  g_queue_push_tail (&self->output, output);
}

void
ph_rooms_send (PhRooms *self, PhTime now, PhRoomsConn *conn, JsonObject *message)
{
  g_autofree char *text = ph_json_finish (message);

  if (conn->doomed)
    return;
  if (ph_bucket_take (&conn->out, now, strlen (text))) {
    queue_output (self, conn->id, g_steal_pointer (&text), PH_RENDEZVOUS_OK);
    return;
  }
  conn->doomed = true;
  g_queue_push_tail (&self->doomed, conn);
}

bool
ph_rooms_poll_output (PhRooms *self, PhRoomsOutput *ret_output)
{
  PhRoomsOutput *output = g_queue_pop_head (&self->output);

  if (output == NULL)
    return false;
  *ret_output = *output;
  g_free (output);
  return true;
}

/* --- Connections -------------------------------------------------------------------------------- */

static void
count_address (PhRooms *self, const PhAddr *address, int change)
{
  const unsigned n = GPOINTER_TO_UINT (g_hash_table_lookup (self->per_address, address));

  g_assert (change > 0 || n > 0);
  if (n == 1 && change < 0)
    g_hash_table_remove (self->per_address, address);
  else
    g_hash_table_insert (self->per_address, g_memdup2 (address, sizeof *address),
                         GUINT_TO_POINTER (change > 0 ? n + 1 : n - 1));
}

/* Forgets the connection and tells its contacts. It is freed. */
static void
remove_conn (PhRooms *self, PhTime now, PhRoomsConn *conn)
{
  g_hash_table_remove (self->conns, &conn->id);
  count_address (self, &conn->address, -1);
  if (conn->doomed)
    g_queue_remove (&self->doomed, conn);
  if (conn->waiting_link != NULL)
    g_queue_delete_link (&self->waiting, conn->waiting_link);
  else if (g_hash_table_lookup (self->devices, &conn->key) == conn) {
    g_hash_table_remove (self->devices, &conn->key);
    ph_rooms_spread_presence (self, now, conn, false);
  }
  conn_free (conn);
}

void
ph_rooms_fail (PhRooms *self, PhTime now, PhRoomsConn *conn, PhRendezvousCode code,
               const char *text)
{
  JsonObject *message = ph_json_message ("error");

  g_assert (ph_rendezvous_close_code (code) != 0);
  json_object_set_string_member (message, "code", ph_rendezvous_code_string (code));
  json_object_set_string_member (message, "text", text);
  ph_trace (&self->trace, now, "rooms", "connection %" G_GUINT64_FORMAT " closed: %s", conn->id,
            ph_rendezvous_code_string (code));
  queue_output (self, conn->id, ph_json_finish (message), PH_RENDEZVOUS_OK);
  queue_output (self, conn->id, NULL, code);
  remove_conn (self, now, conn);
}

/* Closing one makes others tell their contacts, which may doom those. */
static void
close_doomed (PhRooms *self, PhTime now)
{
  PhRoomsConn *conn;

  while ((conn = g_queue_peek_head (&self->doomed)) != NULL)
    ph_rooms_fail (self, now, conn, PH_RENDEZVOUS_SLOW, "more than this connection may be sent");
}

/* Whom a connection is counted with: an IPv6 site has a /64 to draw addresses from. */
static PhAddr
budget_address (const PhAddr *remote)
{
  PhAddr address = *remote;

  address.port = 0;
  address.scope = 0;
  if (address.family == PH_FAMILY_IPV6)
    memset (address.ip + 8, 0, 8);
  return address;
}

void
ph_rooms_handle_open (PhRooms *self, PhTime now, uint64_t connection, const PhAddr *remote,
                      const char *local_origin)
{
  PhRoomsConn *conn = g_new0 (PhRoomsConn, 1);
  char text[PH_ADDR_STRING_MAX];

  see_time (self, now);
  g_assert (!g_hash_table_contains (self->conns, &connection));
  conn->rooms = self;
  conn->id = connection;
  conn->remote = *remote;
  conn->address = budget_address (remote);
  conn->local_origin = g_strdup (local_origin);
  conn->login_by = ph_time_add (now, PH_RENDEZVOUS_LOGIN_MAX);
  ph_bucket_init (&conn->out, now, PH_ROOMS_OUT_BURST, PH_ROOMS_OUT_RATE);
  g_hash_table_insert (self->conns, &conn->id, conn);
  count_address (self, &conn->address, 1);
  g_queue_push_tail (&self->waiting, conn);
  conn->waiting_link = g_queue_peek_tail_link (&self->waiting);

  const PhSlice ip = ph_addr_ip (&conn->address);
  const unsigned n = GPOINTER_TO_UINT (g_hash_table_lookup (self->per_address, &conn->address));

  ph_trace (&self->trace, now, "rooms", "connection %" G_GUINT64_FORMAT " from %s", connection,
            ph_addr_format_ip (remote, text));
  if (n > self->per_address_max || g_hash_table_size (self->conns) > self->connections_max) {
    ph_rooms_fail (self, now, conn, PH_RENDEZVOUS_TOO_MANY_CONNECTIONS, "try again later");
    return;
  }
  if (!ph_bucket_take (ph_bucket_table_get (self->opens, now, ip.data, ip.len), now, 1)) {
    ph_rooms_fail (self, now, conn, PH_RENDEZVOUS_RATE_LIMITED, "too many new connections");
    return;
  }

  JsonObject *challenge = ph_json_message ("challenge");

  ph_random_bytes (&self->random, conn->nonce, sizeof conn->nonce);
  json_object_set_int_member (challenge, "protocol", 1);
  ph_json_set_bytes (challenge, "nonce", ph_slice (conn->nonce, sizeof conn->nonce));
  ph_rooms_send (self, now, conn, challenge);
}

static PhRoomsConn *
find_conn (PhRooms *self, uint64_t connection)
{
  return g_hash_table_lookup (self->conns, &connection);
}

void
ph_rooms_allow_knocks (PhRooms *self, uint64_t connection, const PhAddr *local)
{
  PhRoomsConn *conn = find_conn (self, connection);

  if (conn == NULL)
    return;
  g_assert (!conn->logged_in);
  conn->local = *local;
}

void
ph_rooms_handle_knock_failed (PhRooms *self, PhTime now, uint64_t number)
{
  see_time (self, now);
  ph_rooms_knock_failed (self, now, number);
  close_doomed (self, now);
}

void
ph_rooms_handle_text (PhRooms *self, PhTime now, uint64_t connection, PhSlice text)
{
  PhRoomsConn *conn = find_conn (self, connection);
  const char *type;

  see_time (self, now);
  if (conn == NULL)
    return;
  if (text.len > PH_RENDEZVOUS_FRAME_MAX) {
    ph_rooms_fail (self, now, conn, PH_RENDEZVOUS_TOO_LARGE, "frames have at most 64 KiB");
    return;
  }
  if (conn->logged_in
      && !ph_bucket_take (
          ph_bucket_table_get (self->messages, now, conn->key.key, sizeof conn->key.key), now, 1)) {
    ph_rooms_fail (self, now, conn, PH_RENDEZVOUS_RATE_LIMITED, "too many messages");
    return;
  }

  g_autoptr (JsonObject) message = ph_json_parse (text, &type);

  if (message == NULL)
    ph_rooms_fail (self, now, conn, PH_RENDEZVOUS_MALFORMED, "not a JSON object with a type");
  else
    ph_rooms_handle_message (self, now, conn, type, message);
  close_doomed (self, now);
}

void
ph_rooms_handle_bad_frame (PhRooms *self, PhTime now, uint64_t connection, PhRendezvousCode code)
{
  PhRoomsConn *conn = find_conn (self, connection);

  see_time (self, now);
  g_assert (code == PH_RENDEZVOUS_TOO_LARGE || code == PH_RENDEZVOUS_UNSUPPORTED);
  if (conn != NULL)
    ph_rooms_fail (self, now, conn, code,
                   code == PH_RENDEZVOUS_TOO_LARGE ? "frames have at most 64 KiB"
                                                   : "only text frames");
  close_doomed (self, now);
}

void
ph_rooms_handle_close (PhRooms *self, PhTime now, uint64_t connection)
{
  PhRoomsConn *conn = find_conn (self, connection);

  see_time (self, now);
  if (conn == NULL)
    return;
  ph_trace (&self->trace, now, "rooms", "connection %" G_GUINT64_FORMAT " gone", connection);
  remove_conn (self, now, conn);
  close_doomed (self, now);
}

void
ph_rooms_shut_down (PhRooms *self, PhTime now)
{
  see_time (self, now);
  for (;;) {
    GHashTableIter iter;
    PhRoomsConn *conn;

    g_hash_table_iter_init (&iter, self->conns);
    if (!g_hash_table_iter_next (&iter, NULL, (void **)&conn))
      return;
    /* Nobody is told that others leave: all do. */
    g_clear_pointer (&conn->watched, g_array_unref);
    ph_rooms_fail (self, now, conn, PH_RENDEZVOUS_SHUTTING_DOWN, "the server stops");
  }
}

/* --- Devices ------------------------------------------------------------------------------------ */

PhRoomsConn *
ph_rooms_device (PhRooms *self, const PhDeviceId *key)
{
  return g_hash_table_lookup (self->devices, key);
}

static int
compare_ids (const void *a, const void *b)
{
  return ph_device_id_compare (a, b);
}

bool
ph_rooms_watches (const PhRoomsConn *conn, const PhDeviceId *key)
{
  return conn->watched != NULL && g_array_binary_search (conn->watched, key, compare_ids, NULL);
}

bool
ph_rooms_are_mutual (const PhRoomsConn *a, const PhRoomsConn *b)
{
  return ph_rooms_watches (a, &b->key) && ph_rooms_watches (b, &a->key);
}

void
ph_rooms_tell_presence (PhRooms *self, PhTime now, PhRoomsConn *to, const PhRoomsConn *of,
                        bool online)
{
  JsonObject *message = ph_json_message ("presence");

  ph_json_set_bytes (message, "key", ph_slice (of->key.key, sizeof of->key.key));
  json_object_set_boolean_member (message, "online", online);
  if (online)
    ph_json_set_bytes (message, "epoch", ph_slice (of->epoch.nonce, sizeof of->epoch.nonce));
  ph_rooms_send (self, now, to, message);
}

void
ph_rooms_spread_presence (PhRooms *self, PhTime now, PhRoomsConn *conn, bool online)
{
  for (unsigned i = 0; conn->watched != NULL && i < conn->watched->len; i++) {
    PhRoomsConn *other = ph_rooms_device (self, &g_array_index (conn->watched, PhDeviceId, i));

    if (other == NULL || other == conn || !ph_rooms_watches (other, &conn->key))
      continue;
    ph_rooms_tell_presence (self, now, other, conn, online);
    if (online)
      ph_rooms_tell_presence (self, now, conn, other, true);
  }
}

void
ph_rooms_log_in (PhRooms *self, PhTime now, PhRoomsConn *conn)
{
  PhRoomsConn *old = ph_rooms_device (self, &conn->key);

  if (old != NULL)
    ph_rooms_fail (self, now, old, PH_RENDEZVOUS_REPLACED, "this key has logged in elsewhere");
  g_queue_delete_link (&self->waiting, g_steal_pointer (&conn->waiting_link));
  conn->logged_in = true;
  g_hash_table_insert (self->devices, &conn->key, conn);
  ph_trace (&self->trace, now, "rooms", "connection %" G_GUINT64_FORMAT " is %s", conn->id,
            ph_rooms_short_id (&conn->key).text);
}

/* --- Time --------------------------------------------------------------------------------------- */

void
ph_rooms_handle_timeout (PhRooms *self, PhTime now)
{
  PhRoomsConn *conn;

  see_time (self, now);
  while ((conn = g_queue_peek_head (&self->waiting)) != NULL && now >= conn->login_by)
    ph_rooms_fail (self, now, conn, PH_RENDEZVOUS_LOGIN_TIMEOUT, "no log-in came");
  ph_rooms_knocks_handle_timeout (self, now);
  close_doomed (self, now);
  if (now < self->sweep_at)
    return;
  self->sweep_at = ph_time_add (now, SWEEP_INTERVAL);
  ph_bucket_table_sweep (self->opens, now);
  ph_bucket_table_sweep (self->messages, now);
  ph_invitation_store_sweep (self->invitations, now);
  ph_rooms_knocks_sweep (self, now);
}

PhTime
ph_rooms_next_timeout (const PhRooms *self, const char **ret_why)
{
  const PhRoomsConn *conn = g_queue_peek_head ((GQueue *)&self->waiting);
  const PhTime knock_at = ph_rooms_knocks_next_timeout (self);

  if (knock_at <= self->sweep_at && (conn == NULL || knock_at <= conn->login_by)) {
    *ret_why = "knock due";
    return knock_at;
  }
  if (conn != NULL && conn->login_by <= self->sweep_at) {
    *ret_why = "log-in due";
    return conn->login_by;
  }
  if (ph_bucket_table_size (self->opens) == 0 && ph_bucket_table_size (self->messages) == 0
      && ph_invitation_store_size (self->invitations) == 0 && ph_rooms_knocks_are_swept (self)) {
    *ret_why = "idle";
    return PH_NEVER;
  }
  *ret_why = "sweep due";
  return self->sweep_at;
}

PhRoomsStats
ph_rooms_stats (const PhRooms *self)
{
  return (PhRoomsStats){
      .connections = g_hash_table_size (self->conns),
      .devices = g_hash_table_size (self->devices),
      .invitations = ph_invitation_store_size (self->invitations),
  };
}
