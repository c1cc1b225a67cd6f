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
  GPtrArray *peers; /* Peer, owned */
  unsigned turn; /* which peer may send, and tell, first */

  /* The route that packets came on last: in a transfer all of them do. */
  Route last_route;
  Peer *last_peer; /* borrowed; NULL: none */
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
  self->peers = g_ptr_array_new_with_free_func (peer_free);
  return self;
}

void
ph_endpoint_free (PhEndpoint *self)
{
  if (self == NULL)
    return;
  g_ptr_array_unref (self->peers);
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
spread_candidates (PhEndpoint *self, PhTime now)
{
  PhCandidate candidate;

  while (ph_gatherer_poll_event (self->gatherer, &candidate)) {
    for (unsigned i = 0; i < self->peers->len; i++)
      ph_connector_add_candidate (peer_at (self, i)->connector, now, &candidate);
  }
}

bool
ph_endpoint_add_socket (PhEndpoint *self, PhTime now, uint32_t socket, const PhAddr *addr)
{
  if (!ph_gatherer_add_socket (self->gatherer, now, socket, addr))
    return false;
  spread_candidates (self, now);
  return true;
}

void
ph_endpoint_remove_socket (PhEndpoint *self, PhTime now, uint32_t socket)
{
  ph_gatherer_remove_socket (self->gatherer, socket);
  for (unsigned i = 0; i < self->peers->len; i++)
    ph_connector_remove_socket (peer_at (self, i)->connector, now, socket);
  self->last_peer = NULL;
}

void
ph_endpoint_set_stun_servers (PhEndpoint *self, PhTime now, const PhAddr *servers, size_t n)
{
  ph_gatherer_set_servers (self->gatherer, now, servers, n);
}

void
ph_endpoint_network_changed (PhEndpoint *self, PhTime now)
{
  ph_gatherer_refresh (self->gatherer, now);
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
  g_ptr_array_add (self->peers, peer);
  return peer->connector;
}

void
ph_endpoint_remove_peer (PhEndpoint *self, const uint8_t key[PH_KEY_LEN])
{
  Peer *peer = find_peer (self, key);

  self->last_peer = NULL;
  if (peer != NULL)
    g_ptr_array_remove (self->peers, peer);
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

void
ph_endpoint_handle_packet (PhEndpoint *self, PhTime now, const PhDatagram *in)
{
  Peer *peer;

  if (ph_stun_is_stun (in->bytes)) {
    handle_stun (self, now, in);
    return;
  }
  peer = route_packet (self, in);
  if (peer != NULL)
    ph_connector_handle_packet (peer->connector, now, in);
}

/* --- The other verbs ---------------------------------------------------------------------------- */

void
ph_endpoint_handle_timeout (PhEndpoint *self, PhTime now)
{
  ph_gatherer_handle_timeout (self->gatherer, now);
  spread_candidates (self, now);
  for (unsigned i = 0; i < self->peers->len; i++) {
    PhConnector *connector = peer_at (self, i)->connector;

    ph_connector_handle_timeout (connector, now);
    if (ph_connector_take_silenced (connector))
      ph_gatherer_refresh (self->gatherer, now);
  }
}

bool
ph_endpoint_poll_transmit (PhEndpoint *self, PhTime now, PhTransmit *tx)
{
  const unsigned n = self->peers->len;

  if (ph_gatherer_poll_transmit (self->gatherer, now, tx))
    return true;
  for (unsigned i = 0; i < n; i++) {
    const unsigned at = (self->turn + i) % n;

    if (ph_connector_poll_transmit (peer_at (self, at)->connector, now, tx)) {
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

PhTime
ph_endpoint_next_timeout (const PhEndpoint *self, const char **ret_why)
{
  PhTime next = ph_gatherer_next_timeout (self->gatherer, ret_why);

  for (unsigned i = 0; i < self->peers->len; i++) {
    const char *why = NULL;
    const PhTime t = ph_connector_next_timeout (peer_at (self, i)->connector, &why);

    if (t < next) {
      next = t;
      *ret_why = why;
    }
  }
  return next;
}
