/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The connector's links: opened, bound to paths, ended. */

#include "net/connect/ph-connector-private.h"

/* Packets of a handshake that came before our own check of their path was answered: the client's first
 * flight is one packet, its repetitions a few. */
#define EARLY_MAX 4

/* Below this the other end is on the same wire. BBR sizes its window by the shortest round trip, which is
 * there far below the time that a busy computer takes to run a thread, so it would send in dribbles;
 * and what BBR is for, loss on the way, does not happen on wires. */
#define NEAR_RTT PH_MSEC

/* What may have arrived and wait for the disk. Near, a slow disk must not be taken for a long line that
 * wants a larger window; far, twice what 1 Gbit/s holds in 100 ms. Both keep the process under 64 MiB. */
#define WINDOW_NEAR (UINT64_C (8) << 20)
#define WINDOW_FAR (UINT64_C (32) << 20)

/* What fits into a TURN channel over IPv6 over Ethernet, on this side of the relay or on the other. With the
 * channel's header a multiple of four, so that batches fit into a stream to the relay. */
#define RELAYED_DATAGRAM_MAX 1448

void
ph_connector_early_free (gpointer data)
{
  Early *early = data;

  g_bytes_unref (early->bytes);
  g_free (early);
}

/* The link has ended: out of the table, told to the owner, freed after that. */
static void
bury (PhConnector *self, PhLinkSlot *slot, const PhLinkEvent *why)
{
  const PhConnectorEvent event = {
      .type = PH_CONNECTOR_EVENT_LINK_CLOSED,
      .link = slot->link,
      .link_event = *why,
      .path = slot->path,
  };

  if (self->agent != NULL && slot->pair != 0)
    ph_ice_agent_set_in_use (self->agent, self->now, slot->pair, false);
  *slot = (PhLinkSlot){0};
  ph_connector_push (self, &event);
  if (ph_link_is_tls (event.link))
    ph_connector_close_connection (self, event.path.socket);
}

void
ph_connector_bury (PhConnector *self, PhLinkSlot *slot, const char *reason)
{
  PhLinkEvent why = {.type = PH_LINK_EVENT_CLOSED, .error = PH_LINK_ERROR_TIMEOUT};

  g_strlcpy (why.reason, reason, sizeof why.reason);
  bury (self, slot, &why);
}

static void
rebind (PhConnector *self, PhLinkSlot *slot, const PhIcePair *pair)
{
  const PhPath path = ph_path_from_pair (pair);

  if (slot->pair == pair->id)
    return;
  if (slot->pair != 0)
    ph_ice_agent_set_in_use (self->agent, self->now, slot->pair, false);
  ph_ice_agent_set_in_use (self->agent, self->now, pair->id, true);
  slot->pair = pair->id;
  slot->path = path;

  const PhConnectorEvent event = {
      .type = PH_CONNECTOR_EVENT_PATH,
      .link = slot->link,
      .path = path,
  };

  ph_connector_push (self, &event);
}

/* The same ends, perhaps another port of the peer's NAT. Ports of a relay are different places. */
static bool
same_route (const PhPath *path, const PhIcePair *pair)
{
  if (pair->remote.type == PH_CANDIDATE_RELAY || path->remote.type == PH_CANDIDATE_RELAY)
    return path->socket == pair->socket && ph_addr_equal (&path->remote_to, &pair->remote_addr);
  return path->socket == pair->socket && ph_addr_equal_ip (&path->remote_to, &pair->remote_addr);
}

static PhLink *
make_tls_link (PhConnector *self, const PhIcePair *pair)
{
  PhTlsLinkConfig config = {
      .client = self->client,
      .identity = self->config.identity,
      .trace = self->config.trace,
      .window_max = pair->rtt != 0 && pair->rtt < NEAR_RTT ? WINDOW_NEAR : WINDOW_FAR,
  };

  memcpy (config.peer_key, self->config.peer_key, PH_KEY_LEN);
  return ph_tls_link_new (&config, self->now);
}

static PhLink *
make_quic_link (PhConnector *self, const PhIcePair *pair, PhSlice initial)
{
  const bool near = pair->rtt != 0 && pair->rtt < NEAR_RTT;
  PhQuicConfig config = {
      .client = self->client,
      .identity = self->config.identity,
      .random = self->config.random,
      .trace = self->config.trace,
      .initial = initial,
      .rtt = pair->rtt,
      .congestion = near ? PH_QUIC_CUBIC : PH_QUIC_BBR,
      .window_max = near ? WINDOW_NEAR : WINDOW_FAR,
  };

  if (ph_path_classify (&pair->local, &pair->remote) == PH_PATH_RELAY)
    config.max_udp_payload = RELAYED_DATAGRAM_MAX;
  memcpy (config.peer_key, self->config.peer_key, PH_KEY_LEN);
  return ph_quic_link_new (&config, self->now);
}

static bool
is_tcp (const PhIcePair *pair)
{
  return pair->local.transport != PH_CANDIDATE_UDP;
}

static PhLinkSlot *
add_link (PhConnector *self, const PhIcePair *pair, PhSlice initial)
{
  PhLink *link;

  if (ph_link_table_len (&self->links) == PH_CONNECTOR_LINKS_MAX)
    return NULL;
  link = is_tcp (pair) ? make_tls_link (self, pair) : make_quic_link (self, pair, initial);
  if (link == NULL || !ph_link_table_add (&self->links, link, pair))
    return NULL;
  ph_ice_agent_set_in_use (self->agent, self->now, pair->id, true);
  self->had_link = true;
  self->link_by = PH_NEVER;
  if (self->client)
    self->ready_by = ph_time_add (self->now, PH_CONNECTOR_PATIENCE);
  return ph_link_table_find (&self->links, link);
}

bool
ph_connector_has_link (const PhConnector *self)
{
  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++) {
    const PhLink *link = self->links.slots[i].link;

    if (link != NULL && ph_link_state (link) != PH_LINK_CLOSED)
      return true;
  }
  return false;
}

/* A link that comes about is used whatever is selected then, and moved away from as from any other; the server takes
 * its handshake as soon as its own check has passed. */
void
ph_connector_pair_nominating (PhConnector *self, const PhIcePair *pair)
{
  if (self->client && !ph_connector_has_link (self))
    add_link (self, pair, ph_slice (NULL, 0));
}

void
ph_connector_pair_selected (PhConnector *self, const PhIcePair *pair, bool moved)
{
  const PhLinkSlot *opened = ph_link_table_on_pair (&self->links, pair->id);

  if (opened != NULL) {
    if (self->client && ph_link_state (opened->link) == PH_LINK_CONNECTING)
      self->ready_by = ph_time_add (self->now, PH_CONNECTOR_PATIENCE);
    return;
  }

  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++) {
    PhLinkSlot *slot = &self->links.slots[i];

    /* A connection carries one link: had the peer lost it, the connection were no more. */
    if (slot->link != NULL && is_tcp (pair) && slot->path.socket == pair->socket) {
      rebind (self, slot, pair);
      return;
    }

    /* Not a link of an earlier attempt: the peer may have begun anew because it lost that one. */
    if (slot->link != NULL && slot->pair != 0 && ph_link_state (slot->link) == PH_LINK_READY
        && same_route (&slot->path, pair)) {
      rebind (self, slot, pair);
      return;
    }
  }
  if (self->client)
    add_link (self, pair, ph_slice (NULL, 0));
  else if (!ph_connector_has_link (self))
    self->link_by = ph_time_add (self->now, self->had_link ? PH_CONNECTOR_HANDSHAKE
                                                           : PH_CONNECTOR_FIRST_HANDSHAKE);
  else if (moved)
    self->link_by = ph_time_add (self->now, PH_CONNECTOR_REBINDING);
}

/* Server: the client has opened no link on the pair that it selected. To it that pair is the one that its
 * link is on already: our view of it has changed, because its NAT has. Or its link has none any more
 * on this side, and it must be told. */
void
ph_connector_link_overdue (PhConnector *self)
{
  PhIcePair pair;

  self->link_by = PH_NEVER;
  if (!ph_connector_has_link (self)) {
    ph_connector_attempt_start (self, self->now, 0);
    return;
  }
  if (!ph_ice_agent_selected (self->agent, &pair))
    return;
  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++) {
    PhLinkSlot *slot = &self->links.slots[i];

    if (slot->link != NULL && slot->pair != 0 && ph_link_state (slot->link) == PH_LINK_READY
        && !ph_link_is_tls (slot->link) && !is_tcp (&pair))
      rebind (self, slot, &pair);
  }
}

static bool
is_silent (const PhConnector *self, const PhLinkSlot *slot)
{
  PhIcePair pair;

  return slot->pair != 0 && ph_ice_agent_get_pair (self->agent, slot->pair, &pair) && pair.silent;
}

void
ph_connector_leave_silent (PhConnector *self)
{
  bool other = false;

  for (unsigned i = 0; self->agent != NULL && i < PH_CONNECTOR_LINKS_MAX; i++) {
    const PhLinkSlot *slot = &self->links.slots[i];

    other |= slot->link != NULL && ph_link_state (slot->link) == PH_LINK_READY && slot->pair != 0
             && !is_silent (self, slot);
  }
  for (unsigned i = 0; other && i < PH_CONNECTOR_LINKS_MAX; i++) {
    const PhLinkSlot *slot = &self->links.slots[i];

    if (slot->link != NULL && ph_link_state (slot->link) == PH_LINK_READY && is_silent (self, slot))
      ph_link_close (slot->link, self->now, 0, "path silent");
  }
}

void
ph_connector_ready_overdue (PhConnector *self)
{
  PhIcePair pair;

  self->ready_by = PH_NEVER;
  if (self->agent == NULL || !ph_ice_agent_selected (self->agent, &pair))
    return;

  const PhLinkSlot *slot = ph_link_table_on_pair (&self->links, pair.id);

  if (slot == NULL || ph_link_state (slot->link) != PH_LINK_CONNECTING)
    return;
  ph_ice_agent_shun (self->agent, self->now, pair.id);
  ph_connector_settle (self);
}

typedef struct {
  const PhPath *path;
  PhIcePair pair;
  bool found;
} Detour;

static bool
find_detour (void *user, const PhIcePair *pair)
{
  Detour *detour = user;

  if (pair->state == PH_ICE_PAIR_SUCCEEDED && same_route (detour->path, pair)) {
    detour->pair = *pair;
    detour->found = true;
  }
  return !detour->found;
}

void
ph_connector_pair_lost (PhConnector *self, const PhIcePair *pair)
{
  PhLinkSlot *slot = ph_link_table_on_pair (&self->links, pair->id);

  if (slot == NULL)
    return;

  Detour detour = {.path = &slot->path};

  ph_ice_agent_for_each_pair (self->agent, find_detour, &detour);
  if (detour.found) {
    rebind (self, slot, &detour.pair);
    return;
  }
  ph_connector_bury (self, slot, "path silent");
  if (!self->client && !ph_connector_has_link (self) && self->link_by == PH_NEVER
      && ph_ice_agent_state (self->agent) == PH_ICE_CONNECTED)
    self->link_by = ph_time_add (self->now, PH_CONNECTOR_HANDSHAKE);
}

typedef struct {
  uint32_t socket;
  const PhAddr *remote;
  bool found;
} Known;

static bool
is_known (void *user, const PhIcePair *pair)
{
  Known *known = user;

  known->found = pair->socket == known->socket && ph_addr_equal (&pair->remote_addr, known->remote);
  return !known->found;
}

/* Whether the peer named this address or an authentic check came from it. */
bool
ph_connector_knows_path (const PhConnector *self, uint32_t socket, const PhAddr *remote)
{
  Known known = {.socket = socket, .remote = remote};

  if (self->agent != NULL)
    ph_ice_agent_for_each_pair (self->agent, is_known, &known);
  return known.found;
}

void
ph_connector_replay_early (PhConnector *self, const PhIcePair *pair)
{
  for (guint n = self->early.length; n > 0; n--) {
    Early *early = g_queue_pop_head (&self->early);
    gsize len;
    const uint8_t *data = g_bytes_get_data (early->bytes, &len);
    const PhDatagram in = {
        .socket = early->socket,
        .remote = early->remote,
        .bytes = ph_slice (data, len),
    };

    if (early->socket == pair->socket && ph_addr_equal (&early->remote, &pair->remote_addr)) {
      if (is_tcp (pair))
        ph_connector_handle_tls (self, &in);
      else
        ph_connector_handle_quic (self, &in);
      ph_connector_early_free (early);
    } else {
      g_queue_push_tail (&self->early, early);
    }
  }
}

/* The client may know that a pair works a moment before we do. */
static bool
keep_early (PhConnector *self, const PhDatagram *in)
{
  Early *early;

  if (self->early.length >= EARLY_MAX || !ph_connector_knows_path (self, in->socket, &in->remote))
    return false;
  early = g_new0 (Early, 1);
  early->socket = in->socket;
  early->remote = in->remote;
  early->bytes = g_bytes_new (in->bytes.data, in->bytes.len);
  g_queue_push_tail (&self->early, early);
  return true;
}

bool
ph_connector_handle_quic (PhConnector *self, const PhDatagram *in)
{
  PhLinkSlot *slot = ph_link_table_for_packet (&self->links, in->bytes);
  PhSlice dcid, scid;
  PhIcePair pair;

  if (slot != NULL) {
    /* Known address or not, QUIC's own keys decide whether it is the peer's. */
    ph_link_handle_packet (slot->link, self->now, in);
    if ((slot->path.socket != in->socket || !ph_addr_equal (&slot->path.remote_to, &in->remote))
        && self->agent != NULL
        && ph_ice_agent_find_valid (self->agent, in->socket, &in->remote, &pair))
      rebind (self, slot, &pair);
    return true;
  }

  if (self->client || self->agent == NULL || !ph_quic_is_initial (in->bytes, &dcid, &scid))
    return false;
  if (!ph_ice_agent_find_valid (self->agent, in->socket, &in->remote, &pair)) {
    keep_early (self, in);
    return true;
  }
  slot = add_link (self, &pair, in->bytes);
  if (slot == NULL)
    return false;
  ph_link_handle_packet (slot->link, self->now, in);
  return true;
}

static PhLinkSlot *
link_on_connection (PhConnector *self, uint32_t connection)
{
  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++) {
    PhLinkSlot *slot = &self->links.slots[i];

    if (slot->link != NULL && slot->path.socket == connection && ph_link_is_tls (slot->link))
      return slot;
  }
  return NULL;
}

void
ph_connector_handle_tls (PhConnector *self, const PhDatagram *in)
{
  PhLinkSlot *slot = link_on_connection (self, in->socket);
  PhIcePair pair;

  if (slot == NULL && !self->client && self->agent != NULL) {
    if (ph_ice_agent_find_valid (self->agent, in->socket, &in->remote, &pair))
      slot = add_link (self, &pair, ph_slice (NULL, 0));
    else if (keep_early (self, in))
      return;
  }
  if (slot == NULL) {
    ph_connector_close_connection (self, in->socket); /* bytes are missing from now on */
    return;
  }
  ph_link_handle_packet (slot->link, self->now, in);
  if (self->agent != NULL && ph_tls_link_authentic_at (slot->link) == self->now)
    ph_ice_agent_heard (self->agent, self->now, in->socket);
}

/* A link that ended. If it was the last one, what comes next depends on why. */
static void
link_closed (PhConnector *self, PhLinkSlot *slot, const PhLinkEvent *why, bool was_ready)
{
  /* Checks pass there, but no link lasts: the path is too narrow, or somebody spoils it. */
  if (self->agent != NULL && slot->pair != 0
      && (was_ready ? why->error == PH_LINK_ERROR_TIMEOUT : why->error != PH_LINK_ERROR_NONE))
    ph_ice_agent_shun (self->agent, self->now, slot->pair);
  bury (self, slot, why);
  if (ph_connector_has_link (self))
    return;

  if (!was_ready && why->error != PH_LINK_ERROR_NONE) {
    ph_connector_attempt_fail (self, why->error == PH_LINK_ERROR_IDENTITY
                                         ? PH_CONNECTOR_FAILURE_IDENTITY
                                         : PH_CONNECTOR_FAILURE_HANDSHAKE);
  } else {
    ph_connector_say_bye (self);
    ph_connector_attempt_end (self);
    ph_connector_schedule_retry (self);
  }
}

/* The link on the selected pair, if that is another one that the owner has been told of: `slot` was long in
 * coming. NULL: none. */
static const PhLinkSlot *
overtaker_of (PhConnector *self, const PhLinkSlot *slot)
{
  const PhLinkSlot *other;
  PhIcePair pair;

  if (self->agent == NULL || !ph_ice_agent_selected (self->agent, &pair) || slot->pair == pair.id)
    return NULL;
  other = ph_link_table_on_pair (&self->links, pair.id);
  return other != NULL && other->announced && !is_silent (self, other) ? other : NULL;
}

static void
announce (PhConnector *self, PhLinkSlot *slot, PhConnectorEventType type)
{
  const PhConnectorEvent event = {
      .type = type,
      .link = slot->link,
      .path = slot->path,
      .overtaken = overtaker_of (self, slot) != NULL,
      .peer_takes_early = (self->peer_features & PH_SIGNAL_FEATURE_EARLY) != 0,
  };

  slot->announced = true;
  ph_connector_push (self, &event);
}

bool
ph_connector_poll_link (PhConnector *self, PhLinkSlot *slot)
{
  PhConnectorEvent event = {
      .type = PH_CONNECTOR_EVENT_LINK,
      .link = slot->link,
      .path = slot->path,
  };
  const PhLinkSlot *overtaker;

  if (!slot->was_writable && ph_link_is_writable (slot->link)) {
    slot->was_writable = true;
    if (ph_link_state (slot->link) == PH_LINK_CONNECTING && !ph_connector_is_up (self)) {
      announce (self, slot, PH_CONNECTOR_EVENT_LINK_WRITABLE);
      return true;
    }
  }
  if (!ph_link_poll_event (slot->link, &event.link_event))
    return false;

  switch (event.link_event.type) {
  case PH_LINK_EVENT_READY:
    overtaker = overtaker_of (self, slot);
    if (self->client && overtaker != NULL && overtaker->was_ready) {
      ph_link_close (slot->link, self->now, 0, "overtaken");
      break;
    }
    slot->was_ready = true;
    self->retry_interval = PH_CONNECTOR_RETRY_MIN;
    announce (self, slot, PH_CONNECTOR_EVENT_LINK_READY);
    ph_connector_leave_silent (self);
    break;
  case PH_LINK_EVENT_CLOSED:
    link_closed (self, slot, &event.link_event, slot->was_ready);
    break;
  case PH_LINK_EVENT_STREAM_OPENED:
  case PH_LINK_EVENT_STREAM_DATA:
  case PH_LINK_EVENT_STREAM_RESET:
  case PH_LINK_EVENT_DRAINED:
    ph_connector_push (self, &event);
    break;
  }
  return true;
}
