/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/rendezvous/ph-rooms-edge.h"

#include "net/io/ph-clock.h"
#include "net/io/ph-timer.h"
#include "net/rendezvous/ph-bounded-stream.h"
#include "net/rendezvous/ph-knocker.h"
#include "net/rendezvous/ph-shards.h"

#include <libsoup/soup.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

/* TLS and HTTP take two round trips; who needs longer holds a descriptor for nothing. */
#define UPGRADE_MAX_S 20
/* Pings find dead clients, and clients that do not read: the ping waits behind what they do not take. It goes to whom
 * nothing has come from for so long; clients ask by themselves after 50 s (PH_RENDEZVOUS_IDLE_MAX). */
#define PING_INTERVAL_S 55
#define PONG_MAX_S 15
/* Who says something is alive and need not be asked, but one who does not read may talk. So it is put off only for so many bytes
 * either way: no more can be waiting for it. */
#define UNASKED_MAX (64 * 1024)
/* libsoup ends a connection for a larger frame by itself, with 1009 and without a word. Below it the
 * core says what is wrong. */
#define PAYLOAD_MAX (2 * PH_RENDEZVOUS_FRAME_MAX)
/* What may come before a message is complete, however it is cut into frames. */
#define UNDELIVERED_MAX (4 * PH_RENDEZVOUS_FRAME_MAX)
/* Sockets for each connection that there may be: as many again may not be WebSockets yet. */
#define RAW_FACTOR 2
/* New ones that the kernel holds for us: after a restart everybody comes at once. It may allow fewer (somaxconn). */
#define BACKLOG 1024

/* Sockets that are open, of each address. Shared with them: libsoup may hold one for a moment longer than
 * the edge lives. */
typedef struct {
  GThread *thread; /* borrowed; whose all of this is */
  GMainContext *context; /* owned; its default one */
  GHashTable *per_address; /* PhAddr without port -> count */
  unsigned total;
} RawTable;

struct _PhRoomsEdge {
  PhRooms *rooms; /* owned */
  GSocketService *service; /* owned; NULL once shut down */
  SoupServer *server; /* owned */
  GTlsCertificate *certificate; /* owned, or NULL */
  PhTimer *timer; /* owned */
  PhKnocker *knocker; /* owned; NULL: devices are not connected to */
  PhShards *shards; /* owned; where the connections run */
  GHashTable *callers; /* Caller, owned */
  PhAddr local;
  uint64_t next_id;
  GHashTable *conns; /* id -> Conn, owned */
  RawTable *raw; /* a reference */
  unsigned per_address_max;
  unsigned connections_max;
  unsigned sockets_max;
  bool is_full; /* the log knows that no more sockets are taken */
  PhTrace trace;
  unsigned ping_interval_s;
  unsigned pong_max_s;
  bool settling;
};

typedef struct {
  PhRoomsEdge *edge; /* borrowed */
  uint64_t id;
  PhShard *shard; /* borrowed; the stream below is a member */
  SoupWebsocketConnection *socket; /* owned */
  PhBoundedStream *stream; /* owned */
  gsize unasked; /* bytes either way since a ping left */
  PhTime asked_by; /* a ping has left by then; 0: it is put off at each message */
} Conn;

static void settle (PhRoomsEdge *self);

static PhAddr
to_addr (GSocketAddress *address)
{
  if (!G_IS_INET_SOCKET_ADDRESS (address))
    return (PhAddr){0};

  GInetSocketAddress *inet = G_INET_SOCKET_ADDRESS (address);
  GInetAddress *ip = g_inet_socket_address_get_address (inet);

  return ph_addr_from_bytes (
      ph_slice (g_inet_address_to_bytes (ip), g_inet_address_get_native_size (ip)),
      g_inet_socket_address_get_port (inet));
}

/* --- WebSockets --------------------------------------------------------------------------------- */

static void
conn_free (void *data)
{
  Conn *conn = data;
  PhShard *shard = conn->shard;

  ph_shard_enter (shard);
  g_signal_handlers_disconnect_by_data (conn->socket, conn);
  g_object_unref (conn->socket);
  g_object_unref (conn->stream);
  ph_shard_exit (shard);
  g_free (conn);
}

/* Something came from it. */
static void
put_off_ping (Conn *conn, PhTime now)
{
  if (conn->unasked > UNASKED_MAX) {
    if (conn->asked_by == 0)
      conn->asked_by =
          now + (conn->edge->ping_interval_s + 2) * PH_SEC; /* libsoup's timers are not exact */
    if (now < conn->asked_by)
      return;
    conn->asked_by = 0;
    conn->unasked = 0;
  }
  /* That it is set anew begins it anew. */
  soup_websocket_connection_set_keepalive_interval (conn->socket, 0);
  soup_websocket_connection_set_keepalive_interval (conn->socket, conn->edge->ping_interval_s);
}

static void
on_message (SoupWebsocketConnection *socket, int type, GBytes *bytes, void *user)
{
  Conn *conn = user;
  PhRoomsEdge *self = conn->edge;
  const PhTime now = ph_clock_now ();
  gsize len;
  const void *data = g_bytes_get_data (bytes, &len);

  conn->unasked += ph_bounded_stream_grant (conn->stream);
  put_off_ping (conn, now);
  if (type == SOUP_WEBSOCKET_DATA_TEXT)
    ph_rooms_handle_text (self->rooms, now, conn->id, ph_slice (data, len));
  else
    ph_rooms_handle_bad_frame (self->rooms, now, conn->id, PH_RENDEZVOUS_UNSUPPORTED);
  settle (self);
}

static void
on_closed (SoupWebsocketConnection *socket, void *user)
{
  Conn *conn = user;
  PhRoomsEdge *self = conn->edge;
  const uint64_t id = conn->id;

  ph_rooms_handle_close (self->rooms, ph_clock_now (), id);
  g_hash_table_remove (self->conns, &id);
  settle (self);
}

/* How a client dials who uses the address that it has reached. */
static char *
local_origin (const PhRoomsEdge *self, GSocketAddress *address)
{
  const PhAddr local = to_addr (address);
  char text[PH_ADDR_STRING_MAX];

  if (!ph_addr_is_set (&local))
    return NULL;
  return g_strdup_printf ("%s://%s", self->certificate != NULL ? "wss" : "ws",
                          ph_addr_format (&local, text));
}

/* What a proxy says of itself: the address that we see is not the device's then. A device gains nothing by saying so
 * of its own. */
static bool
came_through_proxy (SoupServerMessage *message)
{
  static const char *const marks[] = {"Forwarded", "Via", "X-Forwarded-For", "X-Real-IP"};
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (message);

  for (unsigned i = 0; i < G_N_ELEMENTS (marks); i++)
    if (soup_message_headers_get_one (headers, marks[i]) != NULL)
      return true;
  return false;
}

static void
on_websocket (SoupServer *server, SoupServerMessage *message, const char *path,
              SoupWebsocketConnection *socket, void *user)
{
  PhRoomsEdge *self = user;
  GSocketAddress *remote = soup_server_message_get_remote_address (message);
  GSocket *raw = g_object_get_data (G_OBJECT (remote), "ph-socket");
  PhBoundedStream *stream = g_object_get_data (G_OBJECT (remote), "ph-stream");
  const PhAddr addr = to_addr (remote);
  const PhAddr local = to_addr (soup_server_message_get_local_address (message));
  g_autofree char *origin = local_origin (self, soup_server_message_get_local_address (message));

  g_socket_set_timeout (raw, 0);
  if (!g_str_equal (path, "/") || soup_websocket_connection_get_protocol (socket) == NULL) {
    soup_websocket_connection_close (socket, SOUP_WEBSOCKET_CLOSE_PROTOCOL_ERROR,
                                     "the subprotocol is " PH_RENDEZVOUS_SUBPROTOCOL);
    return;
  }

  Conn *conn = g_new0 (Conn, 1);

  conn->edge = self;
  conn->id = self->next_id++;
  conn->shard = g_object_get_data (G_OBJECT (remote), "ph-shard");
  conn->socket = g_object_ref (socket);
  conn->stream = g_object_ref (stream);
  g_hash_table_insert (self->conns, &conn->id, conn);
  soup_websocket_connection_set_max_incoming_payload_size (socket, PAYLOAD_MAX);
  soup_websocket_connection_set_keepalive_interval (socket, self->ping_interval_s);
  soup_websocket_connection_set_keepalive_pong_timeout (socket, self->pong_max_s);
  g_signal_connect (socket, "message", G_CALLBACK (on_message), conn);
  g_signal_connect (socket, "closed", G_CALLBACK (on_closed), conn);
  ph_rooms_handle_open (self->rooms, ph_clock_now (), conn->id, &addr, origin);
  if (self->knocker != NULL && !came_through_proxy (message))
    ph_rooms_allow_knocks (self->rooms, conn->id, &local);
  settle (self);
}

/* --- Plain HTTP --------------------------------------------------------------------------------- */

static void
on_request (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
            void *user)
{
  const bool health = g_str_equal (path, "/healthz");
  const char *text = health ? "ok\n" : "This is a Porthole rendezvous server, for WebSockets.\n";
  const unsigned status = health                    ? SOUP_STATUS_OK
                          : g_str_equal (path, "/") ? 426 /* Upgrade Required */
                                                    : SOUP_STATUS_NOT_FOUND;

  /* libsoup asks here first, and goes on to the WebSocket only where nothing is answered. */
  if (g_str_equal (path, "/")
      && soup_message_headers_header_contains (soup_server_message_get_request_headers (message),
                                               "Upgrade", "websocket"))
    return;
  /* One answer a connection, so that none stays to be forgotten. */
  soup_message_headers_append (soup_server_message_get_response_headers (message), "Connection",
                               "close");
  soup_server_message_set_response (message, "text/plain", SOUP_MEMORY_STATIC, text, strlen (text));
  soup_server_message_set_status (message, status, NULL);
}

/* --- Sockets ------------------------------------------------------------------------------------ */

typedef struct {
  RawTable *table; /* a reference */
  PhShard *shard; /* of which it is a member */
  PhAddr address;
} Raw;

static void
raw_table_clear (void *data)
{
  RawTable *table = data;

  g_main_context_unref (table->context);
  g_hash_table_unref (table->per_address);
}

static unsigned
raw_count (const RawTable *table, const PhAddr *address)
{
  return GPOINTER_TO_UINT (g_hash_table_lookup (table->per_address, address));
}

static gboolean
forget_raw (void *data)
{
  Raw *raw = data;
  const unsigned n = raw_count (raw->table, &raw->address);

  g_assert (n > 0);
  g_assert (raw->table->total > 0);
  raw->table->total--;
  if (n == 1)
    g_hash_table_remove (raw->table->per_address, &raw->address);
  else
    g_hash_table_insert (raw->table->per_address, g_memdup2 (&raw->address, sizeof raw->address),
                         GUINT_TO_POINTER (n - 1));
  ph_shard_leave (raw->shard);
  g_rc_box_release_full (raw->table, raw_table_clear);
  g_free (raw);
  return G_SOURCE_REMOVE;
}

static void
on_raw_gone (void *data, GObject *gone)
{
  Raw *raw = data;

  if (raw->table->thread == g_thread_self ()) {
    forget_raw (raw);
    return;
  }

  /* GIO ends TLS in a thread of its own, which may be the last to let go of the socket. */
  g_autoptr (GSource) source = g_idle_source_new ();

  g_source_set_callback (source, forget_raw, raw, NULL);
  g_source_attach (source, raw->table->context);
}

static void
count_raw (RawTable *table, const PhAddr *address, GSocket *socket, PhShard *shard)
{
  Raw *raw = g_new0 (Raw, 1);

  raw->table = g_rc_box_acquire (table);
  raw->shard = shard;
  raw->address = *address;
  table->total++;
  g_hash_table_insert (table->per_address, g_memdup2 (address, sizeof *address),
                       GUINT_TO_POINTER (raw_count (table, address) + 1));
  g_object_weak_ref (G_OBJECT (socket), on_raw_gone, raw);
}

/* libsoup and GIO take the connection over, in its shard. */
static void
hand_over (PhRoomsEdge *self, GSocketConnection *connection, GSocketAddress *local,
           GSocketAddress *remote)
{
  g_autoptr (GIOStream) stream = g_object_ref (G_IO_STREAM (connection));
  g_autoptr (PhBoundedStream) bounded = NULL;

  if (self->certificate != NULL) {
    GIOStream *tls = g_tls_server_connection_new (stream, self->certificate, NULL);

    if (tls == NULL)
      return;
    g_object_unref (stream);
    stream = tls;
  }
  bounded = ph_bounded_stream_new (stream, UNDELIVERED_MAX);
  /* Not owned: the stream holds libsoup's connection and so the address. */
  g_object_set_data (G_OBJECT (remote), "ph-stream", bounded);
  soup_server_accept_iostream (self->server, G_IO_STREAM (bounded), local, remote, NULL);
}

/* Who is to speak TLS and has not said anything yet. GIO shakes hands in threads, of which there are few: none of them
 * waits for a first word. */
typedef struct {
  PhRoomsEdge *edge; /* borrowed */
  PhShard *shard; /* borrowed */
  GSocketConnection *connection; /* owned; NULL: handed over */
  GSocketAddress *local; /* owned */
  GSocketAddress *remote; /* owned */
  GSource *source; /* owned */
} Caller;

static void
caller_free (void *data)
{
  Caller *caller = data;
  PhShard *shard = caller->shard;

  ph_shard_enter (shard);
  g_source_destroy (caller->source);
  g_source_unref (caller->source);
  g_object_unref (caller->local);
  g_object_unref (caller->remote);
  if (caller->connection != NULL) {
    /* Its socket remembers the address that holds it, until it is closed. */
    g_io_stream_close (G_IO_STREAM (caller->connection), NULL, NULL);
    g_object_unref (caller->connection);
  }
  ph_shard_exit (shard);
  g_free (caller);
}

static gboolean
on_first_word (GSocket *socket, GIOCondition condition, void *user)
{
  Caller *caller = user;
  PhRoomsEdge *self = caller->edge;

  /* Else it was the socket's timeout. */
  if (g_socket_condition_check (socket, G_IO_IN) != 0) {
    hand_over (self, caller->connection, caller->local, caller->remote);
    g_clear_object (&caller->connection);
  }
  g_hash_table_remove (self->callers, caller);
  return G_SOURCE_REMOVE;
}

static void
await_first_word (PhRoomsEdge *self, GSocketConnection *connection, GSocketAddress *local,
                  GSocketAddress *remote, PhShard *shard)
{
  Caller *caller = g_new0 (Caller, 1);

  caller->edge = self;
  caller->shard = shard;
  caller->connection = g_object_ref (connection);
  caller->local = g_object_ref (local);
  caller->remote = g_object_ref (remote);
  caller->source =
      g_socket_create_source (g_socket_connection_get_socket (connection), G_IO_IN, NULL);
  g_source_set_callback (caller->source, G_SOURCE_FUNC (on_first_word), caller, NULL);
  g_source_attach (caller->source, g_main_context_get_thread_default ());
  g_hash_table_add (self->callers, caller);
}

/* Whether there is room for another socket at all. */
static bool
has_room (PhRoomsEdge *self)
{
  const bool room = self->raw->total < self->sockets_max;

  /* Said once, until there is some room again: a flood of sockets shall not be one of lines. */
  if (!room && !self->is_full)
    ph_trace (&self->trace, ph_clock_now (), "edge",
              "%u sockets are open, no more are taken until some end", self->raw->total);
  if (!room || self->raw->total < self->sockets_max / 8 * 7)
    self->is_full = !room;
  return room;
}

static gboolean
on_incoming (GSocketService *service, GSocketConnection *connection, GObject *source, void *user)
{
  PhRoomsEdge *self = user;
  GSocket *socket = g_socket_connection_get_socket (connection);
  g_autoptr (GSocketAddress) remote = g_socket_connection_get_remote_address (connection, NULL);
  g_autoptr (GSocketAddress) local = g_socket_connection_get_local_address (connection, NULL);
  PhAddr address = to_addr (remote);
  PhShard *shard;

  address.port = 0;
  address.scope = 0;
  if (local == NULL || !ph_addr_is_set (&address) || !has_room (self)
      || raw_count (self->raw, &address) >= RAW_FACTOR * self->per_address_max)
    return TRUE; /* dropped without a word: whoever holds so many is not reading them */
  shard = ph_shards_join (self->shards, g_socket_get_fd (socket));
  count_raw (self->raw, &address, socket, shard);
  g_socket_set_timeout (socket, UPGRADE_MAX_S);
  g_socket_set_option (socket, IPPROTO_TCP, TCP_NODELAY, 1, NULL);
  /* The address stays with the message, and so does what hangs on it. */
  g_object_set_data_full (G_OBJECT (remote), "ph-socket", g_object_ref (socket), g_object_unref);
  g_object_set_data (G_OBJECT (remote), "ph-shard", shard);
  ph_shard_enter (shard);
  if (self->certificate != NULL)
    await_first_word (self, connection, local, remote, shard);
  else
    hand_over (self, connection, local, remote);
  ph_shard_exit (shard);
  return TRUE;
}

/* --- Settling ----------------------------------------------------------------------------------- */

static void
put_out (PhRoomsEdge *self, const PhRoomsOutput *output)
{
  Conn *conn = g_hash_table_lookup (self->conns, &output->connection);

  if (conn == NULL
      || soup_websocket_connection_get_state (conn->socket) != SOUP_WEBSOCKET_STATE_OPEN)
    return;

  PhShard *shard = conn->shard;

  ph_shard_enter (shard);
  if (output->text != NULL) {
    conn->unasked += strlen (output->text);
    soup_websocket_connection_send_text (conn->socket, output->text);
  } else
    soup_websocket_connection_close (conn->socket, output->close_code, output->close_reason);
  ph_shard_exit (shard);
}

static void
settle (PhRoomsEdge *self)
{
  PhRoomsOutput output;
  PhRoomsKnock knock;
  const char *why;

  if (self->settling)
    return;
  self->settling = true;
  while (ph_rooms_poll_knock (self->rooms, &knock))
    if (self->knocker == NULL || !ph_knocker_knock (self->knocker, &knock))
      ph_rooms_handle_knock_failed (self->rooms, ph_clock_now (), knock.number);
  while (ph_rooms_poll_output (self->rooms, &output)) {
    put_out (self, &output);
    g_free (output.text);
  }
  self->settling = false;
  ph_timer_arm (self->timer, ph_rooms_next_timeout (self->rooms, &why));
}

static void
on_timer (void *user, PhTime now)
{
  PhRoomsEdge *self = user;

  ph_rooms_handle_timeout (self->rooms, now);
  settle (self);
}

/* ------------------------------------------------------------------------------------------------ */

static bool
start_listening (PhRoomsEdge *self, const PhAddr *listen, GError **error)
{
  char text[PH_ADDR_STRING_MAX];
  g_autoptr (GSocketAddress) address =
      g_inet_socket_address_new_from_string (ph_addr_format_ip (listen, text), listen->port);
  g_autoptr (GSocketAddress) bound = NULL;

  g_socket_listener_set_backlog (G_SOCKET_LISTENER (self->service), BACKLOG);
  if (!g_socket_listener_add_address (G_SOCKET_LISTENER (self->service), address,
                                      G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, NULL, &bound,
                                      error))
    return false;
  self->local = to_addr (bound);
  g_signal_connect (self->service, "incoming", G_CALLBACK (on_incoming), self);
  g_socket_service_start (self->service);
  return true;
}

/* How many there may be, of connections and of sockets. */
static void
set_limits (PhRoomsEdge *self, const PhRoomsEdgeConfig *config)
{
  self->connections_max =
      config->rooms.connections_max != 0 ? config->rooms.connections_max : PH_ROOMS_CONNECTIONS_MAX;
  self->sockets_max = RAW_FACTOR * self->connections_max;
  if (config->descriptors_max == 0)
    return;
  /* Each shard has one as well. A quarter of the rest is for those who have yet to become connections. */
  self->sockets_max =
      MIN (self->sockets_max,
           MAX (config->descriptors_max / (PH_SHARD_MEMBERS_MAX + 1) * PH_SHARD_MEMBERS_MAX, 4));
  self->connections_max = MIN (self->connections_max, self->sockets_max / 4 * 3);
}

PhRoomsEdge *
ph_rooms_edge_new (const PhRoomsEdgeConfig *config, GError **error)
{
  g_autoptr (PhRoomsEdge) self = g_new0 (PhRoomsEdge, 1);
  PhRoomsConfig rooms = config->rooms;
  char *protocols[] = {(char *)PH_RENDEZVOUS_SUBPROTOCOL, NULL};

  set_limits (self, config);
  rooms.connections_max = self->connections_max;
  self->rooms = ph_rooms_new (&rooms);
  self->trace = config->rooms.trace;
  self->per_address_max =
      config->rooms.per_address_max != 0 ? config->rooms.per_address_max : PH_ROOMS_PER_ADDRESS_MAX;
  self->ping_interval_s = config->ping_interval_s != 0 ? config->ping_interval_s : PING_INTERVAL_S;
  self->pong_max_s = config->pong_max_s != 0 ? config->pong_max_s : PONG_MAX_S;
  g_set_object (&self->certificate, config->certificate);
  self->next_id = 1;
  self->conns = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, conn_free);
  self->shards = ph_shards_new ();
  self->callers = g_hash_table_new_full (NULL, NULL, caller_free, NULL);
  self->raw = g_rc_box_new0 (RawTable);
  self->raw->thread = g_thread_self ();
  self->raw->context = g_main_context_ref_thread_default ();
  self->raw->per_address = g_hash_table_new_full (ph_addr_hash, ph_addr_hash_equal, g_free, NULL);
  self->timer = ph_timer_new (g_main_context_get_thread_default (), on_timer, self);
  if (!config->no_knocks)
    self->knocker = ph_knocker_new ();
  self->server = soup_server_new ("server-header", "porthole-rendezvous", NULL);
  soup_server_remove_websocket_extension (self->server, SOUP_TYPE_WEBSOCKET_EXTENSION_DEFLATE);
  soup_server_add_handler (self->server, NULL, on_request, self, NULL);
  soup_server_add_websocket_handler (self->server, "/", NULL, protocols, on_websocket, self, NULL);
  self->service = g_socket_service_new ();
  if (!start_listening (self, &config->listen, error))
    return NULL;
  return g_steal_pointer (&self);
}

static void
stop_listening (PhRoomsEdge *self)
{
  if (self->service == NULL)
    return;
  g_signal_handlers_disconnect_by_data (self->service, self);
  g_socket_service_stop (self->service);
  g_socket_listener_close (G_SOCKET_LISTENER (self->service));
  g_clear_object (&self->service);
}

void
ph_rooms_edge_shut_down (PhRoomsEdge *self)
{
  stop_listening (self);
  ph_rooms_shut_down (self->rooms, ph_clock_now ());
  settle (self);
}

bool
ph_rooms_edge_is_idle (const PhRoomsEdge *self)
{
  return g_hash_table_size (self->conns) == 0;
}

void
ph_rooms_edge_free (PhRoomsEdge *self)
{
  if (self == NULL)
    return;
  stop_listening (self);
  g_clear_pointer (&self->conns, g_hash_table_unref);
  g_clear_pointer (&self->callers, g_hash_table_unref);
  if (self->server != NULL)
    soup_server_disconnect (self->server);
  g_clear_object (&self->server);
  ph_shards_free (self->shards);
  ph_timer_free (self->timer);
  ph_knocker_free (self->knocker);
  ph_rooms_free (self->rooms);
  g_clear_object (&self->certificate);
  g_rc_box_release_full (self->raw, raw_table_clear);
  g_free (self);
}

const PhAddr *
ph_rooms_edge_local (const PhRoomsEdge *self)
{
  return &self->local;
}

unsigned
ph_rooms_edge_connections_max (const PhRoomsEdge *self)
{
  return self->connections_max;
}
