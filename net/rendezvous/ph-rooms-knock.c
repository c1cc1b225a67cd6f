/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Devices that want to know whether they can be reached. The server connects back to the address that it sees the
 * device at, never to one that it is told, and says to that connection a token that the device has drawn. What
 * became of it is not said: who is there hears the token, and to everybody else a knock is always the same, whatever
 * listens, refuses or is silent. So nobody's ports can be scanned through us, neighbours' behind one address
 * included. */

#include "net/rendezvous/ph-rooms-private.h"

/* Buckets hold a minute's tokens and get one a second. */
#define KEY_COST (60 / PH_ROOMS_KNOCKS_PER_KEY)
#define ADDRESS_COST (60 / PH_ROOMS_KNOCKS_PER_ADDRESS)

struct _PhRoomsPendingKnock {
  uint64_t number;
  uint64_t connection; /* may be gone */
  uint8_t token[PH_RENDEZVOUS_KNOCK_TOKEN_LEN];
  PhTime due; /* when the device is answered */
};

void
ph_rooms_knocks_init (PhRooms *self)
{
  self->knocks_by_key = ph_bucket_table_new (60, 1);
  self->knocks_by_address = ph_bucket_table_new (60, 1);
  g_queue_init (&self->knocks);
  g_queue_init (&self->knocks_out);
}

void
ph_rooms_knocks_clear (PhRooms *self)
{
  ph_bucket_table_free (self->knocks_by_key);
  ph_bucket_table_free (self->knocks_by_address);
  g_queue_clear_full (&self->knocks, g_free);
  g_queue_clear_full (&self->knocks_out, g_free);
}

/* Somebody on the internet, who came straight: an address of our own network or computer is that of a proxy in
 * front, or one whose ports are nobody's business. */
static bool
may_knock (const PhRoomsConn *conn)
{
  return ph_addr_is_set (&conn->local) && conn->remote.family == conn->local.family
         && ph_addr_scope (&conn->remote) == PH_SCOPE_GLOBAL
         && !ph_addr_equal_ip (&conn->remote, &conn->local);
}

void
ph_rooms_knocks_announce (const PhRoomsConn *conn, JsonObject *welcome)
{
  char text[PH_ADDR_STRING_MAX];

  if (!may_knock (conn))
    return;
  json_object_set_string_member (welcome, "knock_to", ph_addr_format_ip (&conn->remote, text));
}

static bool
may_spend (PhRooms *self, PhTime now, const PhRoomsConn *conn)
{
  const PhSlice ip = ph_addr_ip (&conn->address);
  PhBucket *by_key =
      ph_bucket_table_get (self->knocks_by_key, now, conn->key.key, sizeof conn->key.key);
  PhBucket *by_address = ph_bucket_table_get (self->knocks_by_address, now, ip.data, ip.len);

  return ph_bucket_take (by_key, now, KEY_COST) && ph_bucket_take (by_address, now, ADDRESS_COST);
}

void
ph_rooms_handle_knock (PhRooms *self, PhTime now, PhRoomsConn *conn, JsonObject *message)
{
  uint8_t token[PH_RENDEZVOUS_KNOCK_TOKEN_LEN];
  uint64_t port;
  const char *why = NULL;

  if (!ph_json_u64 (message, "port", UINT16_MAX, &port)
      || !ph_json_bytes (message, "token", token, sizeof token)) {
    ph_rooms_fail (self, now, conn, PH_RENDEZVOUS_MALFORMED, "knock: a member is missing or wrong");
    return;
  }
  if (!may_knock (conn))
    why = "this server does not knock there";
  else if (port < PH_RENDEZVOUS_KNOCK_PORT_MIN)
    why = "not at ports below 1024";
  else if (conn->n_knocks >= PH_RENDEZVOUS_KNOCKS_MAX
           || g_queue_get_length (&self->knocks) >= PH_ROOMS_KNOCKS_MAX
           || !may_spend (self, now, conn))
    why = "too many knocks";
  if (why != NULL) {
    ph_rooms_refuse (self, now, conn, PH_RENDEZVOUS_KNOCK_REFUSED, why, message);
    return;
  }

  PhRoomsPendingKnock *pending = g_new0 (PhRoomsPendingKnock, 1);
  PhRoomsKnock *knock = g_new0 (PhRoomsKnock, 1);

  pending->number = knock->number = ++self->last_knock;
  pending->connection = conn->id;
  pending->due = ph_time_add (now, PH_RENDEZVOUS_KNOCK_TIME);
  knock->from = conn->local;
  knock->from.port = 0;
  knock->to = conn->remote;
  knock->to.port = (uint16_t)port;
  ph_rendezvous_greeting (token, knock->greeting);
  memcpy (pending->token, token, sizeof token);
  conn->n_knocks++;
  g_queue_push_tail (&self->knocks, pending);
  g_queue_push_tail (&self->knocks_out, knock);
}

bool
ph_rooms_poll_knock (PhRooms *self, PhRoomsKnock *ret_knock)
{
  g_autofree PhRoomsKnock *knock = g_queue_pop_head (&self->knocks_out);

  if (knock == NULL)
    return false;
  *ret_knock = *knock;
  return true;
}

/* Tells the connection that asked, if it is still there. */
static void
end_knock (PhRooms *self, PhTime now, GList *link, bool tried)
{
  g_autofree PhRoomsPendingKnock *pending = link->data;
  PhRoomsConn *conn = g_hash_table_lookup (self->conns, &pending->connection);
  g_autoptr (JsonObject) message = ph_json_message (tried ? "knocked" : "knock");

  g_queue_delete_link (&self->knocks, link);
  if (conn == NULL)
    return;
  g_assert (conn->n_knocks > 0);
  conn->n_knocks--;
  ph_json_set_bytes (message, "token", ph_slice (pending->token, sizeof pending->token));
  if (tried)
    ph_rooms_send (self, now, conn, g_steal_pointer (&message));
  else
    ph_rooms_refuse (self, now, conn, PH_RENDEZVOUS_KNOCK_REFUSED, "the server cannot connect",
                     message);
}

void
ph_rooms_knock_failed (PhRooms *self, PhTime now, uint64_t number)
{
  for (GList *link = self->knocks.head; link != NULL; link = link->next) {
    const PhRoomsPendingKnock *pending = link->data;

    if (pending->number == number) {
      end_knock (self, now, link, false);
      return;
    }
  }
}

void
ph_rooms_knocks_handle_timeout (PhRooms *self, PhTime now)
{
  const PhRoomsPendingKnock *pending;

  while ((pending = g_queue_peek_head (&self->knocks)) != NULL && now >= pending->due)
    end_knock (self, now, g_queue_peek_head_link (&self->knocks), true);
}

void
ph_rooms_knocks_sweep (PhRooms *self, PhTime now)
{
  ph_bucket_table_sweep (self->knocks_by_key, now);
  ph_bucket_table_sweep (self->knocks_by_address, now);
}

bool
ph_rooms_knocks_are_swept (const PhRooms *self)
{
  return ph_bucket_table_size (self->knocks_by_key) == 0
         && ph_bucket_table_size (self->knocks_by_address) == 0;
}

PhTime
ph_rooms_knocks_next_timeout (const PhRooms *self)
{
  const PhRoomsPendingKnock *pending = g_queue_peek_head ((GQueue *)&self->knocks);

  return pending != NULL ? pending->due : PH_NEVER;
}
