/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/connect/ph-relay.h"

#include "net/turn/ph-turn-stream.h"

/* Packets that wait for a permission: the checks of a list, or a handshake's flights. */
#define WAITING_MAX 64
/* The largest packet that may wait or go in an indication: what QUIC sends before it has probed larger
 * ones, and every check. Larger ones would not fit into a datagram together with an indication. */
#define WAITING_LEN_MAX 1400
/* What nobody has sent to for so long is given back. ICE asks warm pairs every 5 s. */
#define PEER_IDLE (60 * PH_SEC)
#define REFUSED_INTERVAL (30 * PH_SEC)
/* Sending without hearing anything for so long makes us ask: twice what a slow round trip takes. */
#define SILENCE (1500 * PH_MSEC)
/* A server whose peers are silent is not asked more often than this. */
#define PROBE_INTERVAL (5 * PH_SEC)

typedef struct {
  PhAddr addr; /* unset: free */
  PhTime used_at;
  PhTime refused_until; /* 0: not refused */
  bool permitted; /* held or asked for */
  bool bound;
} Peer;

typedef struct {
  PhAddr peer;
  size_t len;
  uint8_t data[];
} Waiting;

struct _PhRelay {
  PhRelayConfig config; /* without the credentials */
  PhTurnClient *turn;
  PhTurnWhy why;
  PhAddr mapped;
  PhTurnStream *stream; /* of a stream: cuts it into messages */
  bool stream_open;
  bool stream_broken;
  Peer peers[PH_RELAY_PEERS_MAX];
  GQueue waiting; /* Waiting, owned */
  PhTime unheard_since; /* the first packet sent since anything was heard; PH_NEVER */
  PhTime probed_at;
};

PhRelay *
ph_relay_new (const PhRelayConfig *config, PhTime now)
{
  PhRelay *self = g_new0 (PhRelay, 1);
  const PhTurnClientConfig turn = {
      .socket = config->socket,
      .relayed_socket = config->relayed_socket,
      .server = config->server,
      .stream = config->transport != PH_RELAY_UDP,
      .family = config->family,
      .username = config->username,
      .password = config->password,
      .random = config->random,
      .trace = config->trace,
  };

  self->config = *config;
  self->config.username = NULL;
  self->config.password = NULL;
  self->turn = ph_turn_client_new (&turn, now);
  self->stream = turn.stream ? ph_turn_stream_new () : NULL;
  self->unheard_since = PH_NEVER;
  g_queue_init (&self->waiting);
  return self;
}

void
ph_relay_free (PhRelay *self)
{
  if (self == NULL)
    return;
  g_queue_clear_full (&self->waiting, g_free);
  ph_turn_stream_free (self->stream);
  ph_turn_client_free (self->turn);
  g_free (self);
}

PhRelayTransport
ph_relay_transport (const PhRelay *self)
{
  return self->config.transport;
}

const PhAddr *
ph_relay_server (const PhRelay *self)
{
  return &self->config.server;
}

uint32_t
ph_relay_socket (const PhRelay *self)
{
  return self->config.socket;
}

uint32_t
ph_relay_relayed_socket (const PhRelay *self)
{
  return self->config.relayed_socket;
}

PhFamily
ph_relay_family (const PhRelay *self)
{
  return self->config.family;
}

PhTime
ph_relay_expires_at (const PhRelay *self)
{
  return self->config.expires_at;
}

PhTurnState
ph_relay_state (const PhRelay *self)
{
  const PhTurnState state = ph_turn_client_state (self->turn);

  if (!self->stream_broken || state > PH_TURN_CLOSING)
    return state;
  return state == PH_TURN_ALLOCATING ? PH_TURN_FAILED : PH_TURN_LOST;
}

PhTurnWhy
ph_relay_why (const PhRelay *self)
{
  return self->stream_broken && self->why == PH_TURN_WHY_NONE ? PH_TURN_WHY_UNREACHABLE : self->why;
}

PhAddr
ph_relay_relayed (const PhRelay *self)
{
  return ph_turn_client_relayed (self->turn);
}

PhAddr
ph_relay_mapped (const PhRelay *self)
{
  return self->mapped;
}

void
ph_relay_set_credentials (PhRelay *self, PhTime now, const char *username, const char *password)
{
  ph_turn_client_set_credentials (self->turn, now, username, password);
}

void
ph_relay_stream_opened (PhRelay *self, PhTime now)
{
  self->stream_open = true;
}

void
ph_relay_stream_closed (PhRelay *self, PhTime now)
{
  self->stream_broken = true;
}

void
ph_relay_probe (PhRelay *self, PhTime now)
{
  self->probed_at = now;
  ph_turn_client_refresh (self->turn, now);
}

void
ph_relay_close (PhRelay *self, PhTime now)
{
  g_queue_clear_full (&self->waiting, g_free);
  ph_turn_client_close (self->turn, now);
}

/* --- Peers -------------------------------------------------------------------------------------- */

static Peer *
find_peer (PhRelay *self, const PhAddr *addr)
{
  for (unsigned i = 0; i < PH_RELAY_PEERS_MAX; i++) {
    if (ph_addr_equal (&self->peers[i].addr, addr))
      return &self->peers[i];
  }
  return NULL;
}

static void
release_peer (PhRelay *self, PhTime now, Peer *peer)
{
  if (peer->bound)
    ph_turn_client_unbind (self->turn, now, &peer->addr);
  if (peer->permitted)
    ph_turn_client_unpermit (self->turn, now, &peer->addr);
  *peer = (Peer){0};
}

/* NULL: all places are taken by peers that are spoken to. */
static Peer *
add_peer (PhRelay *self, PhTime now, const PhAddr *addr)
{
  Peer *place = NULL;

  for (unsigned i = 0; i < PH_RELAY_PEERS_MAX; i++) {
    Peer *peer = &self->peers[i];

    if (place == NULL || !ph_addr_is_set (&peer->addr)
        || (ph_addr_is_set (&place->addr) && peer->used_at < place->used_at))
      place = peer;
    if (!ph_addr_is_set (&peer->addr))
      break;
  }
  if (ph_addr_is_set (&place->addr)) {
    if (ph_time_since (now, place->used_at) < PROBE_INTERVAL)
      return NULL;
    release_peer (self, now, place);
  }
  place->addr = *addr;
  return place;
}

/* The peer, with what it needs held or asked for; NULL: no packets can go there. */
static Peer *
use_peer (PhRelay *self, PhTime now, const PhAddr *addr, bool channel)
{
  Peer *peer = find_peer (self, addr);

  if (peer == NULL)
    peer = add_peer (self, now, addr);
  if (peer == NULL || now < peer->refused_until)
    return NULL;
  peer->used_at = now;
  if (!peer->permitted)
    peer->permitted = ph_turn_client_permit (self->turn, now, addr);
  if (!peer->permitted)
    return NULL;
  if (channel && !peer->bound)
    peer->bound = ph_turn_client_bind (self->turn, now, addr);
  return peer;
}

static void
drop_waiting (PhRelay *self, const PhAddr *peer)
{
  for (guint n = self->waiting.length; n > 0; n--) {
    Waiting *packet = g_queue_pop_head (&self->waiting);

    if (ph_addr_equal_ip (&packet->peer, peer))
      g_free (packet);
    else
      g_queue_push_tail (&self->waiting, packet);
  }
}

/* A permission is for an address, whatever the port. */
static void
refuse_peers (PhRelay *self, PhTime now, const PhAddr *addr)
{
  for (unsigned i = 0; i < PH_RELAY_PEERS_MAX; i++) {
    Peer *peer = &self->peers[i];

    if (!ph_addr_is_set (&peer->addr) || !ph_addr_equal_ip (&peer->addr, addr))
      continue;

    const PhAddr same = peer->addr;

    release_peer (self, now, peer);
    peer->addr = same;
    peer->used_at = now;
    peer->refused_until = ph_time_add (now, REFUSED_INTERVAL);
  }
  drop_waiting (self, addr);
}

/* The peer's packets go on in indications; a link's next packet asks again. */
static void
unbind_peer (PhRelay *self, PhTime now, const PhAddr *addr)
{
  Peer *peer = find_peer (self, addr);

  if (peer != NULL && peer->bound) {
    ph_turn_client_unbind (self->turn, now, addr);
    peer->bound = false;
  }
}

/* --- What the client tells ---------------------------------------------------------------------- */

static void
settle (PhRelay *self, PhTime now)
{
  PhTurnEvent event;

  while (ph_turn_client_poll_event (self->turn, &event)) {
    switch (event.type) {
    case PH_TURN_EVENT_ALLOCATED:
      self->mapped = event.mapped;
      break;
    case PH_TURN_EVENT_FAILED:
    case PH_TURN_EVENT_LOST:
    case PH_TURN_EVENT_CLOSED:
      self->why = event.why;
      memset (self->peers, 0, sizeof self->peers); /* the client has let go of all */
      g_queue_clear_full (&self->waiting, g_free);
      break;
    case PH_TURN_EVENT_PERMISSION_FAILED:
      refuse_peers (self, now, &event.peer);
      break;
    case PH_TURN_EVENT_CHANNEL_FAILED:
      unbind_peer (self, now, &event.peer);
      break;
    case PH_TURN_EVENT_CREDENTIALS_NEEDED: /* whoever hands them out renews them by itself */
    case PH_TURN_EVENT_PERMITTED:
    case PH_TURN_EVENT_CHANNEL_READY:
      break;
    }
  }
}

static bool
take_message (PhRelay *self, PhTime now, const PhDatagram *in, PhRelayDeliver deliver, void *user)
{
  PhDatagram data;

  switch (ph_turn_client_handle_packet (self->turn, now, in, &data)) {
  case PH_TURN_IN_DATA:
    self->unheard_since = PH_NEVER;
    deliver (user, now, &data);
    return true;
  case PH_TURN_IN_DONE:
    self->unheard_since = PH_NEVER;
    settle (self, now);
    return true;
  case PH_TURN_IN_OTHER:
  default:
    return false;
  }
}

bool
ph_relay_handle_packet (PhRelay *self, PhTime now, const PhDatagram *in, PhRelayDeliver deliver,
                        void *user)
{
  PhDatagram message = *in;
  PhSlice rest = in->bytes;
  PhTurnStreamResult result;

  if (self->stream == NULL)
    return take_message (self, now, in, deliver, user);
  if (in->socket != self->config.socket)
    return false;
  message.remote = self->config.server;
  while ((result = ph_turn_stream_next (self->stream, &rest, &message.bytes))
         == PH_TURN_STREAM_MESSAGE)
    take_message (self, now, &message, deliver, user);
  if (result == PH_TURN_STREAM_BROKEN)
    self->stream_broken = true;
  return true;
}

/* --- Time --------------------------------------------------------------------------------------- */

static PhTime
probe_at (const PhRelay *self)
{
  if (self->unheard_since == PH_NEVER || ph_turn_client_state (self->turn) != PH_TURN_ALLOCATED)
    return PH_NEVER;
  return MAX (ph_time_add (self->unheard_since, SILENCE),
              ph_time_add (self->probed_at, PROBE_INTERVAL));
}

void
ph_relay_handle_timeout (PhRelay *self, PhTime now)
{
  ph_turn_client_handle_timeout (self->turn, now);
  settle (self, now);
  for (unsigned i = 0; i < PH_RELAY_PEERS_MAX; i++) {
    Peer *peer = &self->peers[i];

    if (ph_addr_is_set (&peer->addr) && now >= ph_time_add (peer->used_at, PEER_IDLE))
      release_peer (self, now, peer);
  }
  if (now >= probe_at (self))
    ph_relay_probe (self, now);
}

PhTime
ph_relay_next_timeout (const PhRelay *self, const char **ret_why)
{
  PhTime next = ph_turn_client_next_timeout (self->turn, ret_why);
  const PhTime probe = probe_at (self);

  if (probe < next) {
    next = probe;
    *ret_why = "relay is silent";
  }
  for (unsigned i = 0; i < PH_RELAY_PEERS_MAX; i++) {
    const Peer *peer = &self->peers[i];
    const PhTime idle =
        ph_addr_is_set (&peer->addr) ? ph_time_add (peer->used_at, PEER_IDLE) : PH_NEVER;

    if (idle < next) {
      next = idle;
      *ret_why = "relay's permission given back";
    }
  }
  return next;
}

/* --- Sending ------------------------------------------------------------------------------------ */

static void
note_sent (PhRelay *self, PhTime now)
{
  self->unheard_since = ph_time_min (self->unheard_since, now);
}

static void
wait_for_permission (PhRelay *self, const PhAddr *peer, PhSlice bytes)
{
  Waiting *packet;

  if (self->waiting.length >= WAITING_MAX || bytes.len > WAITING_LEN_MAX)
    return;
  packet = g_malloc (sizeof *packet + bytes.len);
  packet->peer = *peer;
  packet->len = bytes.len;
  memcpy (packet->data, bytes.data, bytes.len);
  g_queue_push_tail (&self->waiting, packet);
}

bool
ph_relay_wrap (PhRelay *self, PhTime now, PhTransmit *tx)
{
  const size_t headroom = tx->headroom;
  const size_t segment = tx->segment > 0 ? tx->segment : tx->len;
  const PhAddr peer = tx->remote;

  if (self->stream_broken || use_peer (self, now, &peer, headroom > 0) == NULL)
    return false;
  if (headroom == PH_TURN_HEADROOM && ph_turn_client_wrap (self->turn, now, tx)) {
    note_sent (self, now);
    return true;
  }
  for (size_t at = 0; at < tx->len; at += segment) {
    const size_t len = MIN (segment, tx->len - at);

    if (len > headroom)
      wait_for_permission (self, &peer, ph_slice (tx->data + at + headroom, len - headroom));
  }
  return ph_relay_poll_transmit (self, now, tx);
}

static bool
send_waiting (PhRelay *self, PhTime now, PhTransmit *tx)
{
  for (guint n = self->waiting.length; n > 0; n--) {
    Waiting *packet = g_queue_pop_head (&self->waiting);
    const PhSlice payload = ph_slice (packet->data, packet->len);

    if (ph_turn_client_send (self->turn, now, &packet->peer, payload, tx)) {
      g_free (packet);
      note_sent (self, now);
      return true;
    }
    g_queue_push_tail (&self->waiting, packet); /* a whole turn keeps the order */
  }
  return false;
}

bool
ph_relay_poll_transmit (PhRelay *self, PhTime now, PhTransmit *tx)
{
  if (self->stream_broken || (self->stream != NULL && !self->stream_open))
    return false;
  tx->headroom = 0;
  tx->ttl = 0;
  return ph_turn_client_poll_transmit (self->turn, now, tx) || send_waiting (self, now, tx);
}
