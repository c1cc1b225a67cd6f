/* SPDX-License-Identifier: GPL-3.0-or-later */
/* TURN servers: found in the settings and at the meeting points, looked up, and reached. */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/engine/ph-core-private.h"

#define TURN_PORT 3478
/* A number that says more is none of a time: credentials are for hours or days. */
#define NAME_LIFE_MAX_S (366 * 24 * 3600)

/* --- Streams ------------------------------------------------------------------------------------ */

static PhStream *
find_stream (const PhCore *self, uint32_t id)
{
  for (guint i = 0; i < self->relay_streams->len; i++) {
    if (ph_stream_id (self->relay_streams->pdata[i]) == id)
      return self->relay_streams->pdata[i];
  }
  return NULL;
}

static void
stream_opened (void *user, uint32_t id)
{
  PhCore *self = user;

  ph_endpoint_stream_opened (self->endpoint, ph_core_now (self), id);
  ph_core_settle (self);
}

static void
stream_received (void *user, uint32_t id, PhSlice bytes)
{
  PhCore *self = user;
  const PhDatagram in = {.socket = id, .bytes = bytes};

  ph_endpoint_handle_packet (self->endpoint, ph_core_now (self), &in);
}

static void
stream_batch_done (void *user)
{
  ph_core_settle (user);
}

static void
stream_closed (void *user, uint32_t id, const GError *error)
{
  PhCore *self = user;

  g_debug ("relay: %s", error != NULL ? error->message : "the server has closed the connection");
  g_ptr_array_remove (self->relay_streams, find_stream (self, id));
  ph_endpoint_stream_closed (self->endpoint, ph_core_now (self), id);
  ph_core_settle (self);
}

static const PhStreamCallbacks stream_callbacks = {
    stream_opened,
    stream_received,
    stream_batch_done,
    stream_closed,
};

bool
ph_core_relay_settle (PhCore *self)
{
  PhRelayStream wish;
  bool busy = false;

  while (ph_endpoint_poll_stream (self->endpoint, &wish)) {
    const bool tls = wish.server.transport == PH_RELAY_TLS;
    const PhAddr addr = ph_core_nat64_reach (self, &wish.server.addr);

    g_ptr_array_add (
        self->relay_streams,
        ph_stream_new (wish.socket, &addr, tls ? wish.server.host : NULL, &stream_callbacks, self));
    busy = true;
  }
  for (uint32_t id; (id = ph_endpoint_poll_unused (self->endpoint)) != 0;) {
    PhStream *stream = find_stream (self, id);

    if (stream != NULL)
      g_ptr_array_remove (self->relay_streams, stream);
    else
      ph_core_guess_close (self, id);
  }
  return busy;
}

bool
ph_core_relay_transmit (PhCore *self, const PhTransmit *tx)
{
  PhStream *stream = find_stream (self, tx->socket);

  if (stream != NULL)
    ph_stream_send (stream, ph_slice (tx->data, tx->len));
  return stream != NULL;
}

/* --- Servers ------------------------------------------------------------------------------------ */

static void
lookup_free (gpointer data)
{
  PhRelayLookup *lookup = data;

  if (lookup->resolve != NULL)
    ph_resolve_cancel (lookup->resolve);
  g_free (lookup);
}

/* Of the REST scheme: a name that begins with the second of the Unix time at which it ends. Others do not end, as far
 * as anybody knows. */
static PhTime
name_ends_at (PhCore *self, const char *username)
{
  const gint64 now = ph_core_unix_now ();
  char *rest;
  const gint64 ends = g_ascii_strtoll (username, &rest, 10);

  if (rest == username || (*rest != ':' && *rest != '\0') || ends > now + NAME_LIFE_MAX_S)
    return PH_NEVER;
  return ph_time_add (ph_core_now (self), (PhTime)MAX (0, ends - now) * PH_SEC);
}

/* What is known is told when all names are: the order is the servers', not that of DNS's answers. */
static void
tell_servers (PhCore *self)
{
  g_autoptr (GArray) servers = g_array_new (FALSE, TRUE, sizeof (PhRelayServer));

  for (guint i = 0; i < self->relay_lookups->len; i++) {
    const PhRelayLookup *lookup = self->relay_lookups->pdata[i];

    if (lookup->resolve != NULL)
      return;
    for (size_t k = 0; k < lookup->n_addrs; k++) {
      PhRelayServer server = {
          .addr = lookup->addrs[k],
          .expires_at = name_ends_at (self, lookup->server.username),
      };
      const char *colon = strrchr (lookup->server.host_port, ':');

      server.transport = lookup->server.kind == PH_ICE_SERVER_TURN_UDP   ? PH_RELAY_UDP
                         : lookup->server.kind == PH_ICE_SERVER_TURN_TCP ? PH_RELAY_TCP
                                                                         : PH_RELAY_TLS;
      g_strlcpy (server.host, lookup->server.host_port,
                 MIN (sizeof server.host, (size_t)(colon - lookup->server.host_port) + 1));
      g_strlcpy (server.username, lookup->server.username, sizeof server.username);
      g_strlcpy (server.password, lookup->server.password, sizeof server.password);
      g_array_append_val (servers, server);
    }
  }
  ph_endpoint_set_relay_servers (self->endpoint, ph_core_now (self),
                                 (const PhRelayServer *)(void *)servers->data, servers->len);
}

static void
looked_up (void *user, const PhAddr *addrs, size_t n, const GError *error)
{
  PhRelayLookup *lookup = user;

  lookup->resolve = NULL;
  lookup->n_addrs = MIN (n, G_N_ELEMENTS (lookup->addrs));
  for (size_t i = 0; i < lookup->n_addrs; i++)
    lookup->addrs[i] = ph_core_nat64_plain (lookup->core, &addrs[i]);
  if (error != NULL)
    g_debug ("TURN server: %s", error->message);
  tell_servers (lookup->core);
  ph_core_settle (lookup->core);
}

static void
look_up (PhCore *self, const PhIceServer *server)
{
  PhRelayLookup *lookup;

  if (self->relay_lookups->len >= PH_RELAYS_SERVERS_MAX)
    return;
  lookup = g_new0 (PhRelayLookup, 1);
  lookup->core = self;
  lookup->server = *server;
  lookup->resolve = ph_resolve (g_main_context_get_thread_default (), server->host_port, TURN_PORT,
                                looked_up, lookup);
  g_ptr_array_add (self->relay_lookups, lookup);
}

void
ph_core_relay_update_servers (PhCore *self)
{
  g_autofree char *setting = ph_core_setting (self, "turn");
  g_auto (GStrv) own = g_strsplit_set (setting, ", ", -1);

  g_ptr_array_set_size (self->relay_lookups, 0);
  for (size_t i = 0; own[i] != NULL; i++) {
    PhIceServer server;

    if (ph_ice_server_parse_own (own[i], &server))
      look_up (self, &server);
  }
  for (guint m = 0; m < self->meetings->len; m++) {
    const PhMeeting *meeting = self->meetings->pdata[m];

    for (unsigned i = 0; i < meeting->ice.n; i++) {
      if (meeting->ice.servers[i].kind != PH_ICE_SERVER_STUN)
        look_up (self, &meeting->ice.servers[i]);
    }
  }
  tell_servers (self);
}

bool
ph_core_relay_is_looking (const PhCore *self)
{
  for (guint i = 0; i < self->relay_lookups->len; i++) {
    if (((const PhRelayLookup *)self->relay_lookups->pdata[i])->resolve != NULL)
      return true;
  }
  return false;
}

void
ph_core_relay_init (PhCore *self)
{
  self->relay_lookups = g_ptr_array_new_with_free_func (lookup_free);
  self->guess_sockets = g_ptr_array_new_with_free_func ((GDestroyNotify)ph_udp_free);
  self->relay_streams = g_ptr_array_new_with_free_func ((GDestroyNotify)ph_stream_free);
}

void
ph_core_relay_stop (PhCore *self)
{
  g_ptr_array_set_size (self->relay_lookups, 0);
  g_ptr_array_set_size (self->relay_streams, 0);
  g_ptr_array_set_size (self->guess_sockets, 0);
}
