/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/connect/ph-endpoint.h"

/* Where a QUIC packet came from: what routes it to a peer. */
typedef struct {
  PhAddr remote;
  uint32_t socket;
} Route;

typedef struct {
  uint8_t key[PH_KEY_LEN];
  PhConnector *connector; /* owned */
} Peer;

struct _PhEndpoint {
  PhEndpointConfig config;
  PhGatherer *gatherer;
  PhRelays *relays; /* the gatherer's, as the next two */
  PhTcpGatherer *tcp;
  PhConnections *connections;
  bool relay_wanted;
  PhPunchNat nat;
  bool may_guess;
  GArray *unused; /* uint32_t: sockets of peers that are gone */
  GPtrArray *peers; /* Peer, owned */
  unsigned turn; /* which peer may send, and tell, first */

  /* The route that packets came on last: in a transfer all of them do. */
  Route last_route;
  Peer *last_peer; /* borrowed; NULL: none */
  const Peer *guessing; /* borrowed; whose attempt to guess ports runs; NULL: none */
};

static void
peer_free (gpointer data)
{
  Peer *peer = data;

  ph_connector_free (peer->connector);
  g_free (peer);
}

PhEndpoint *
ph_endpoint_new (const PhEndpointConfig *config)
{
  PhEndpoint *self = g_new0 (PhEndpoint, 1);

  self->config = *config;
  self->gatherer = ph_gatherer_new (&config->random, &config->trace);
  self->relays = ph_gatherer_relays (self->gatherer);
  self->tcp = ph_gatherer_tcp (self->gatherer);
  self->connections = ph_gatherer_connections (self->gatherer);
  self->may_guess = true;
  self->unused = g_array_new (FALSE, TRUE, sizeof (uint32_t));
  self->peers = g_ptr_array_new_with_free_func (peer_free);
  return self;
}

void
ph_endpoint_free (PhEndpoint *self)
{
  if (self == NULL)
    return;
  g_ptr_array_unref (self->peers);
  g_array_unref (self->unused);
  ph_gatherer_free (self->gatherer);
  g_free (self);
}

static Peer *
peer_at (const PhEndpoint *self, unsigned i)
{
  return self->peers->pdata[i];
}

/* --- Sockets and candidates --------------------------------------------------------------------- */

static void
spread_candidate (PhEndpoint *self, PhTime now, const PhCandidate *candidate)
{
  for (unsigned i = 0; i < self->peers->len; i++)
    ph_connector_add_candidate (peer_at (self, i)->connector, now, candidate);
}

static void
leave_socket (PhEndpoint *self, PhTime now, uint32_t socket)
{
  for (unsigned i = 0; i < self->peers->len; i++)
    ph_connector_leave_socket (peer_at (self, i)->connector, now, socket);
}

static void
drop_socket (PhEndpoint *self, PhTime now, uint32_t socket)
{
  for (unsigned i = 0; i < self->peers->len; i++)
    ph_connector_remove_socket (peer_at (self, i)->connector, now, socket);
  self->last_peer = NULL;
}

static void
spread_candidates (PhEndpoint *self, PhTime now)
{
  PhCandidate candidate;
  PhRelaysEvent event;

  while (ph_gatherer_poll_event (self->gatherer, &candidate)
         || ph_tcp_gatherer_poll_event (self->tcp, &candidate))
    spread_candidate (self, now, &candidate);
  while (ph_relays_poll_event (self->relays, &event)) {
    switch (event.type) {
    case PH_RELAYS_EVENT_CANDIDATE:
      spread_candidate (self, now, &event.candidate);
      break;
    case PH_RELAYS_EVENT_LEAVING:
      leave_socket (self, now, event.socket);
      break;
    case PH_RELAYS_EVENT_GONE:
      drop_socket (self, now, event.socket);
      break;
    }
  }
}

/* A relay, and a server over TCP, is asked for while somebody may need it. */
static void
update_wanted (PhEndpoint *self, PhTime now)
{
  bool wanted = false;

  for (unsigned i = 0; i < self->peers->len && !wanted; i++)
    wanted = ph_connector_is_active (peer_at (self, i)->connector);
  ph_tcp_gatherer_set_wanted (self->tcp, now, wanted);
  ph_relays_set_wanted (self->relays, now, wanted || self->relay_wanted);
}

bool
ph_endpoint_add_socket (PhEndpoint *self, PhTime now, uint32_t socket, const PhAddr *addr)
{
  if (!ph_gatherer_add_socket (self->gatherer, now, socket, addr))
    return false;
  spread_candidates (self, now);
  return true;
}

bool
ph_endpoint_add_port (PhEndpoint *self, PhTime now, uint32_t port, const PhAddr *addr)
{
  if (ph_tcp_gatherer_n_ports (self->tcp) >= PH_TCP_GATHERER_PORTS_MAX)
    return false;
  ph_tcp_gatherer_add_port (self->tcp, now, port, addr);
  spread_candidates (self, now);
  return true;
}

void
ph_endpoint_remove_socket (PhEndpoint *self, PhTime now, uint32_t socket)
{
  ph_gatherer_remove_socket (self->gatherer, socket);
  ph_tcp_gatherer_remove_port (self->tcp, socket);
  drop_socket (self, now, socket);
  ph_relays_remove_socket (self->relays, now, socket);
  spread_candidates (self, now);
}

void
ph_endpoint_set_mapped (PhEndpoint *self, PhTime now, uint32_t socket, const PhAddr *external)
{
  ph_gatherer_set_mapped (self->gatherer, socket, external);
  ph_tcp_gatherer_set_mapped (self->tcp, socket, external);
  spread_candidates (self, now);
}

void
ph_endpoint_set_stun_servers (PhEndpoint *self, PhTime now, const PhAddr *servers, size_t n)
{
  ph_gatherer_set_servers (self->gatherer, now, servers, n);
}

void
ph_endpoint_set_relay_servers (PhEndpoint *self, PhTime now, const PhRelayServer *servers, size_t n)
{
  ph_relays_set_servers (self->relays, now, servers, n);
}

void
ph_endpoint_set_relay_wanted (PhEndpoint *self, PhTime now, bool wanted)
{
  self->relay_wanted = wanted;
  update_wanted (self, now);
}

bool
ph_endpoint_poll_stream (PhEndpoint *self, PhRelayStream *ret_stream)
{
  return ph_relays_poll_stream (self->relays, ret_stream);
}

uint32_t
ph_endpoint_poll_unused (PhEndpoint *self)
{
  uint32_t socket = ph_relays_poll_unused (self->relays);

  for (unsigned i = 0; i < self->peers->len && socket == 0; i++)
    socket = ph_connector_poll_unused_socket (peer_at (self, i)->connector);
  if (socket == 0 && self->unused->len > 0) {
    socket = g_array_index (self->unused, uint32_t, 0);
    g_array_remove_index_fast (self->unused, 0);
  }
  return socket;
}

/* --- Guessing ports ----------------------------------------------------------------------------- */

void
ph_endpoint_set_nat (PhEndpoint *self, PhTime now, const PhPunchNat *nat, bool allowed)
{
  self->nat = *nat;
  self->may_guess = allowed;
  for (unsigned i = 0; i < self->peers->len; i++)
    ph_connector_set_nat (peer_at (self, i)->connector, now, nat, allowed);
}

/* One attempt at a time: who is at it is asked first, so that the next one begins when it is over. */
static void
update_guesses (PhEndpoint *self, PhTime now)
{
  const Peer *at_it = self->guessing;

  if (at_it != NULL && !ph_connector_consider_guessing (at_it->connector, now, true))
    self->guessing = NULL;
  for (unsigned i = 0; i < self->peers->len; i++) {
    const Peer *peer = peer_at (self, i);

    if (peer != at_it
        && ph_connector_consider_guessing (peer->connector, now, self->guessing == NULL))
      self->guessing = peer;
  }
}

bool
ph_endpoint_poll_fresh_wish (PhEndpoint *self, uint8_t ret_key[PH_KEY_LEN], PhAddr *ret_local,
                             unsigned *ret_n)
{
  if (ph_relays_poll_fresh_wish (self->relays, ret_local)) {
    memset (ret_key, 0, PH_KEY_LEN);
    *ret_n = 1;
    return true;
  }
  for (unsigned i = 0; i < self->peers->len; i++) {
    if (ph_connector_poll_fresh_wish (peer_at (self, i)->connector, ret_local, ret_n)) {
      memcpy (ret_key, peer_at (self, i)->key, PH_KEY_LEN);
      return true;
    }
  }
  return false;
}

void
ph_endpoint_add_fresh_socket (PhEndpoint *self, PhTime now, const uint8_t key[PH_KEY_LEN],
                              uint32_t socket, const PhAddr *addr)
{
  static const uint8_t nobody[PH_KEY_LEN] = {0};
  PhConnector *connector;
  PhAddr server = {0};

  if (memcmp (key, nobody, PH_KEY_LEN) == 0) {
    ph_relays_add_fresh_socket (self->relays, now, socket, addr);
    return;
  }
  connector = ph_endpoint_find_peer (self, key);
  ph_gatherer_server (self->gatherer, addr->family, &server);
  if (connector != NULL)
    ph_connector_add_fresh_socket (connector, now, socket, addr, &server);
  else
    g_array_append_val (self->unused, socket);
}

void
ph_endpoint_stream_opened (PhEndpoint *self, PhTime now, uint32_t socket)
{
  ph_relays_stream_opened (self->relays, now, socket);
}

void
ph_endpoint_stream_closed (PhEndpoint *self, PhTime now, uint32_t socket)
{
  ph_relays_stream_closed (self->relays, now, socket);
  spread_candidates (self, now);
}

void
ph_endpoint_network_changed (PhEndpoint *self, PhTime now)
{
  ph_gatherer_refresh (self->gatherer, now);
  ph_tcp_gatherer_refresh (self->tcp, now);
  ph_relays_refresh (self->relays, now);
  for (unsigned i = 0; i < self->peers->len; i++)
    ph_connector_retry_now (peer_at (self, i)->connector, now);
}

const PhGatherer *
ph_endpoint_gatherer (const PhEndpoint *self)
{
  return self->gatherer;
}

/* --- Peers -------------------------------------------------------------------------------------- */

static Peer *
find_peer (const PhEndpoint *self, const uint8_t key[PH_KEY_LEN])
{
  for (unsigned i = 0; i < self->peers->len; i++) {
    if (memcmp (peer_at (self, i)->key, key, PH_KEY_LEN) == 0)
      return peer_at (self, i);
  }
  return NULL;
}

PhConnector *
ph_endpoint_find_peer (const PhEndpoint *self, const uint8_t key[PH_KEY_LEN])
{
  const Peer *peer = find_peer (self, key);

  return peer != NULL ? peer->connector : NULL;
}

PhConnector *
ph_endpoint_peer (PhEndpoint *self, const uint8_t key[PH_KEY_LEN])
{
  Peer *peer = find_peer (self, key);
  PhConnectorConfig config = {
      .identity = self->config.identity,
      .random = self->config.random,
      .trace = self->config.trace,
      .allow_loopback = self->config.allow_loopback,
  };

  if (peer != NULL)
    return peer->connector;

  memcpy (config.local_key, self->config.key, PH_KEY_LEN);
  memcpy (config.peer_key, key, PH_KEY_LEN);
  peer = g_new0 (Peer, 1);
  memcpy (peer->key, key, PH_KEY_LEN);
  peer->connector = ph_connector_new (&config, self->gatherer);
  ph_connector_set_nat (peer->connector, 0, &self->nat, self->may_guess);
  g_ptr_array_add (self->peers, peer);
  return peer->connector;
}

void
ph_endpoint_remove_peer (PhEndpoint *self, const uint8_t key[PH_KEY_LEN])
{
  Peer *peer = find_peer (self, key);

  self->last_peer = NULL;
  if (self->guessing == peer)
    self->guessing = NULL;
  if (peer != NULL) {
    ph_connector_give_sockets_back (peer->connector, self->unused);
    g_ptr_array_remove (self->peers, peer);
  }
}

/* --- Demultiplexing ----------------------------------------------------------------------------- */

static void
handle_stun (PhEndpoint *self, PhTime now, const PhDatagram *in)
{
  PhSlice ufrag;

  if (ph_ice_packet_ufrag (in->bytes, &ufrag)) {
    for (unsigned i = 0; i < self->peers->len; i++) {
      if (ph_connector_owns_ufrag (peer_at (self, i)->connector, ufrag)) {
        ph_connector_handle_packet (peer_at (self, i)->connector, now, in);
        return;
      }
    }
    return;
  }

  if (ph_gatherer_handle_packet (self->gatherer, now, in)) {
    spread_candidates (self, now);
    return;
  }
  for (unsigned i = 0; i < self->peers->len; i++) {
    if (ph_connector_handle_packet (peer_at (self, i)->connector, now, in))
      return;
  }
}

static Peer *
route_packet (PhEndpoint *self, const PhDatagram *in)
{
  if (self->last_peer != NULL && self->last_route.socket == in->socket
      && ph_addr_equal (&self->last_route.remote, &in->remote)
      && ph_connector_owns_path (self->last_peer->connector, in->socket, &in->remote))
    return self->last_peer;

  self->last_peer = NULL;
  for (unsigned i = 0; i < self->peers->len; i++) {
    if (ph_connector_owns_path (peer_at (self, i)->connector, in->socket, &in->remote)) {
      self->last_route = (Route){in->remote, in->socket};
      self->last_peer = peer_at (self, i);
      break;
    }
  }
  return self->last_peer;
}

/* What a peer's connector is to see: nothing here knows of relays any more. */
static void
handle_unwrapped (void *user, PhTime now, const PhDatagram *in)
{
  PhEndpoint *self = user;
  Peer *peer;

  if (ph_stun_is_stun (in->bytes)) {
    handle_stun (self, now, in);
    return;
  }
  peer = route_packet (self, in);
  if (peer != NULL)
    ph_connector_handle_packet (peer->connector, now, in);
}

/* --- Connections -------------------------------------------------------------------------------- */

bool
ph_endpoint_poll_connection (PhEndpoint *self, PhConnectionOp *ret_op)
{
  return ph_connections_poll_op (self->connections, ret_op);
}

void
ph_endpoint_handle_connection (PhEndpoint *self, PhTime now, const PhConnectionEvent *event)
{
  if (!ph_connections_handle_event (self->connections, now, event))
    return;
  ph_tcp_gatherer_handle_event (self->tcp, now, event);
  spread_candidates (self, now);
  for (unsigned i = 0; i < self->peers->len; i++) {
    if (ph_connector_handle_connection (peer_at (self, i)->connector, now, event))
      return;
  }
}

void
ph_endpoint_set_blocked (PhEndpoint *self, uint32_t id, bool blocked)
{
  PhConnection *connection = ph_connections_find (self->connections, id);

  if (connection != NULL)
    connection->blocked = blocked;
}

static void
handle_tls (PhEndpoint *self, PhTime now, const PhDatagram *in)
{
  for (unsigned i = 0; i < self->peers->len; i++) {
    PhConnector *connector = peer_at (self, i)->connector;

    if (ph_connector_owns_connection (connector, in->socket)) {
      ph_connector_handle_stream (connector, now, in);
      return;
    }
  }
}

/* As the driver would tell it. */
static void
break_connection (PhEndpoint *self, PhTime now, uint32_t id)
{
  const PhConnectionEvent event = {.type = PH_CONNECTION_CLOSED, .socket = id};

  ph_connections_abort (self->connections, id);
  for (unsigned i = 0; i < self->peers->len; i++)
    ph_connector_handle_connection (peer_at (self, i)->connector, now, &event);
}

/* Bytes of a connection to a peer. The connection may end with every message. */
static void
handle_framed (PhEndpoint *self, PhTime now, const PhDatagram *in)
{
  PhDatagram message = *in;
  PhSlice left = in->bytes;
  PhConnection *connection;

  while ((connection = ph_connections_find (self->connections, in->socket)) != NULL) {
    message.port = connection->port;
    switch (ph_ice_frames_next (&connection->frames, &left, &message.bytes)) {
    case PH_ICE_FRAME_STUN:
      handle_stun (self, now, &message);
      connection = ph_connections_find (self->connections, in->socket);
      /* The first thing that a stranger says proves who it is, or is the last. */
      if (connection != NULL && connection->use == PH_CONNECTION_STRANGER)
        ph_connections_abort (self->connections, in->socket);
      break;
    case PH_ICE_FRAME_TLS:
      if (connection->use == PH_CONNECTION_STRANGER)
        ph_connections_abort (self->connections, in->socket);
      else
        handle_tls (self, now, &message);
      break;
    case PH_ICE_FRAME_BROKEN:
      break_connection (self, now, in->socket);
      return;
    case PH_ICE_FRAME_MORE:
      return;
    }
  }
}

void
ph_endpoint_handle_packet (PhEndpoint *self, PhTime now, const PhDatagram *in)
{
  const PhConnection *connection = ph_connections_find (self->connections, in->socket);

  if (connection != NULL && connection->use == PH_CONNECTION_SERVER) {
    ph_tcp_gatherer_handle_packet (self->tcp, now, in);
    spread_candidates (self, now);
    return;
  }
  if (connection != NULL) {
    handle_framed (self, now, in);
    return;
  }
  if (ph_relays_handle_packet (self->relays, now, in, handle_unwrapped, self))
    spread_candidates (self, now);
  else
    handle_unwrapped (self, now, in);
}

/* --- The other verbs ---------------------------------------------------------------------------- */

void
ph_endpoint_handle_timeout (PhEndpoint *self, PhTime now)
{
  ph_gatherer_handle_timeout (self->gatherer, now);
  ph_relays_handle_timeout (self->relays, now);
  ph_tcp_gatherer_handle_timeout (self->tcp, now);
  ph_connections_handle_timeout (self->connections, now);
  spread_candidates (self, now);
  for (unsigned i = 0; i < self->peers->len; i++) {
    PhConnector *connector = peer_at (self, i)->connector;

    ph_connector_handle_timeout (connector, now);
    if (ph_connector_take_silenced (connector)) {
      ph_gatherer_refresh (self->gatherer, now);
      ph_tcp_gatherer_refresh (self->tcp, now);
      ph_relays_refresh (self->relays, now);
    }
  }
}

/* What a connector has to send next, as it leaves this computer. */
static bool
poll_peer (PhEndpoint *self, PhTime now, PhConnector *connector, PhTransmit *tx)
{
  const PhTransmit empty = *tx;

  while (ph_connector_poll_transmit (connector, now, tx)) {
    ph_connections_frame (self->connections, tx);
    if (!ph_socket_is_relayed (tx->socket) || ph_relays_wrap (self->relays, now, tx))
      return true;
    *tx = empty; /* it waits for the relay's permission */
  }
  return false;
}

bool
ph_endpoint_poll_transmit (PhEndpoint *self, PhTime now, PhTransmit *tx)
{
  const unsigned n = self->peers->len;

  update_wanted (self, now);
  update_guesses (self, now);
  if (ph_gatherer_poll_transmit (self->gatherer, now, tx)
      || ph_tcp_gatherer_poll_transmit (self->tcp, now, tx)
      || ph_relays_poll_transmit (self->relays, now, tx))
    return true;
  for (unsigned i = 0; i < n; i++) {
    const unsigned at = (self->turn + i) % n;

    if (poll_peer (self, now, peer_at (self, at)->connector, tx)) {
      self->turn = (at + 1) % n;
      return true;
    }
  }
  return false;
}

bool
ph_endpoint_poll_event (PhEndpoint *self, uint8_t ret_key[PH_KEY_LEN], PhConnectorEvent *ret_event)
{
  for (unsigned i = 0; i < self->peers->len; i++) {
    if (ph_connector_poll_event (peer_at (self, i)->connector, ret_event)) {
      memcpy (ret_key, peer_at (self, i)->key, PH_KEY_LEN);
      return true;
    }
  }
  return false;
}

GBytes *
ph_endpoint_poll_signal (PhEndpoint *self, uint8_t ret_key[PH_KEY_LEN])
{
  for (unsigned i = 0; i < self->peers->len; i++) {
    GBytes *signal = ph_connector_poll_signal (peer_at (self, i)->connector);

    if (signal != NULL) {
      memcpy (ret_key, peer_at (self, i)->key, PH_KEY_LEN);
      return signal;
    }
  }
  return NULL;
}

static void
take_earlier (PhTime *next, const char **why, PhTime other, const char *other_why)
{
  if (other < *next) {
    *next = other;
    *why = other_why;
  }
}

PhTime
ph_endpoint_next_timeout (const PhEndpoint *self, const char **ret_why)
{
  const char *why = NULL;
  PhTime next = ph_gatherer_next_timeout (self->gatherer, ret_why);
  PhTime other = ph_relays_next_timeout (self->relays, &why);

  take_earlier (&next, ret_why, other, why);
  other = ph_tcp_gatherer_next_timeout (self->tcp, &why);
  take_earlier (&next, ret_why, other, why);
  other = ph_connections_next_timeout (self->connections, &why);
  take_earlier (&next, ret_why, other, why);
  for (unsigned i = 0; i < self->peers->len; i++) {
    other = ph_connector_next_timeout (peer_at (self, i)->connector, &why);
    take_earlier (&next, ret_why, other, why);
  }
  return next;
}
