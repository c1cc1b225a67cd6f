/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/connect/ph-relays-private.h"

/* RFC 8305's delay between attempts is 250 ms; twice that, since UDP is what we would rather have. */
#define TRANSPORT_DELAY (500 * PH_MSEC)
/* A socket that was wished for is there at once, or there is none to be had for now. */
#define WISH_INTERVAL (5 * PH_SEC)
/* The longest pause between races that all lost. */
#define RETRY_MAX (60 * PH_SEC)

static PhRelaysSlot *
slot_of (PhRelays *self, const PhRelay *relay)
{
  return &self->slots[ph_relay_family (relay) == PH_FAMILY_IPV6 ? PH_RELAYS_IPV6 : PH_RELAYS_IPV4];
}

/* --- Sockets ------------------------------------------------------------------------------------ */

const PhRelaysSocket *
ph_relays_find_socket (const PhRelays *self, uint32_t socket)
{
  for (unsigned i = 0; i < self->n_sockets; i++) {
    if (self->sockets[i].id == socket)
      return &self->sockets[i];
  }
  return NULL;
}

void
ph_relays_forget_socket (PhRelays *self, unsigned index)
{
  if (self->sockets[index].fresh)
    g_array_append_val (self->unused, self->sockets[index].id);
  self->n_sockets--;
  memmove (&self->sockets[index], &self->sockets[index + 1],
           (self->n_sockets - index) * sizeof self->sockets[0]);
}

/* The server has an allocation there that we cannot or will not end. One fresh socket of a family at a time. */
static void
wish_for_fresh (PhRelays *self, const PhRelay *relay)
{
  const PhRelaysSocket *socket = ph_relays_find_socket (self, ph_relay_socket (relay));

  if (!self->wanted || socket == NULL)
    return;
  for (unsigned i = 0; i < self->n_sockets; i++) {
    if (self->sockets[i].fresh && self->sockets[i].addr.family == socket->addr.family)
      return;
  }
  self->fresh_wish = socket->addr;
  self->fresh_wish.port = 0;
}

/* Fresh ones that no allocation is on. */
static void
give_sockets_back (PhRelays *self)
{
  for (unsigned i = self->n_sockets; i-- > 0;) {
    bool used = false;

    for (guint r = 0; r < self->relays->len; r++)
      used |= ph_relay_socket (ph_relays_at (self, r)) == self->sockets[i].id;
    if (self->sockets[i].fresh && !used)
      ph_relays_forget_socket (self, i);
  }
}

static bool
is_contender (const PhRelay *relay)
{
  return ph_relay_state (relay) == PH_TURN_ALLOCATING;
}

/* --- Ends of allocations ------------------------------------------------------------------------ */

static void
tell (PhRelays *self, PhRelaysEventType type, const PhRelay *relay)
{
  const PhRelaysEvent event = {
      .type = type,
      .socket = ph_relay_relayed_socket (relay),
  };

  g_array_append_val (self->events, event);
}

/* The relay is of no use to its slot any more. */
static void
leave_slot (PhRelays *self, PhRelay *relay)
{
  PhRelaysSlot *slot = slot_of (self, relay);

  if (slot->leaving == relay) {
    slot->leaving = NULL;
  } else if (slot->kept == relay) {
    slot->kept = NULL;
    slot->succeeding = false; /* there is nobody to succeed to: a race as any other */
  } else {
    return;
  }
  tell (self, PH_RELAYS_EVENT_GONE, relay);
}

void
ph_relays_drop (PhRelays *self, PhRelay *relay)
{
  const uint32_t stream = ph_relay_socket (relay);

  leave_slot (self, relay);
  if (ph_relay_transport (relay) != PH_RELAY_UDP) {
    for (guint i = self->streams->len; i-- > 0;) {
      if (g_array_index (self->streams, PhRelayStream, i).socket == stream)
        g_array_remove_index (self->streams, i);
    }
    g_array_append_val (self->unused, stream);
  }
  g_ptr_array_remove (self->relays, relay);
}

void
ph_relays_let_go (PhRelays *self, PhTime now, PhRelay *relay)
{
  leave_slot (self, relay);
  ph_relay_close (relay, now);
}

/* --- Races -------------------------------------------------------------------------------------- */

/* A server on the internet sees nothing of a socket that only reaches this computer or this link. */
static bool
can_ask (const PhRelaysSocket *socket, const PhRelayServer *server)
{
  const PhScope scope = ph_addr_scope (&socket->addr);

  if (socket->addr.family != server->addr.family || scope == PH_SCOPE_LINK_LOCAL)
    return false;
  return (scope == PH_SCOPE_LOOPBACK) == (ph_addr_scope (&server->addr) == PH_SCOPE_LOOPBACK);
}

/* There is one allocation a 5-tuple. */
static bool
is_taken (const PhRelays *self, uint32_t socket, const PhAddr *server)
{
  for (guint i = 0; i < self->relays->len; i++) {
    if (ph_relay_socket (ph_relays_at (self, i)) == socket
        && ph_addr_equal (ph_relay_server (ph_relays_at (self, i)), server))
      return true;
  }
  return false;
}

static void
add_contender (PhRelays *self, PhTime now, const PhRelaysSlot *slot, const PhRelayServer *server,
               uint32_t socket)
{
  PhRelayConfig config = {
      .transport = server->transport,
      .server = server->addr,
      .socket = socket,
      .relayed_socket = ++self->last_relayed,
      .family = slot->family,
      .username = server->username,
      .password = server->password,
      .expires_at = server->expires_at,
      .random = self->random,
      .trace = &self->trace,
  };
  char text[PH_ADDR_STRING_MAX];

  if (server->transport != PH_RELAY_UDP) {
    PhRelayStream stream = {.socket = ++self->last_stream, .server = *server};

    config.socket = stream.socket;
    g_array_append_val (self->streams, stream);
  }
  g_ptr_array_add (self->relays, ph_relay_new (&config, now));
  ph_trace (&self->trace, now, "relay", "asking %s for an allocation",
            ph_addr_format (&server->addr, text));
}

/* From an address of the wanted family where there is one; an IPv4 relay may be asked for from any. */
static bool
suits (const PhRelays *self, const PhRelaysSlot *slot, const PhRelayServer *server)
{
  if (self->lacks[server - self->servers][slot - self->slots])
    return false;
  if (server->addr.family == slot->family)
    return true;
  if (slot->family != PH_FAMILY_IPV4)
    return false;
  for (unsigned i = 0; i < self->n_sockets; i++) {
    if (self->sockets[i].addr.family == PH_FAMILY_IPV4
        && ph_addr_scope (&self->sockets[i].addr) > PH_SCOPE_LINK_LOCAL)
      return false;
  }
  return true;
}

/* Whether an allocation with the server's name would be good for longer. The same name ends some moment later each time
 * that it is told, since wall clocks are read by the second. */
static bool
outlives (const PhRelayServer *server, const PhRelay *relay)
{
  return server->expires_at == PH_NEVER
         || server->expires_at > ph_time_add (ph_relay_expires_at (relay), PH_RELAYS_AHEAD);
}

static void
start_transport (PhRelays *self, PhTime now, PhRelaysSlot *slot, PhRelayTransport transport)
{
  unsigned n = 0;

  for (unsigned s = 0; s < self->n_servers; s++) {
    const PhRelayServer *server = &self->servers[s];

    if (server->transport != transport || !suits (self, slot, server)
        || (slot->succeeding && !outlives (server, slot->kept)))
      continue;
    for (unsigned i = 0; i < self->n_sockets; i++) {
      if (n >= PH_RELAYS_CONTENDERS_MAX || self->relays->len >= PH_RELAYS_MAX)
        return;
      if (!can_ask (&self->sockets[i], server))
        continue;
      if (transport != PH_RELAY_UDP) {
        add_contender (self, now, slot, server, 0);
        n++;
        break; /* the driver chooses where a stream leaves from */
      }
      if (!is_taken (self, self->sockets[i].id, &server->addr)) {
        add_contender (self, now, slot, server, self->sockets[i].id);
        n++;
      }
    }
  }
}

static bool
has_contender (const PhRelays *self, const PhRelaysSlot *slot)
{
  for (guint i = 0; i < self->relays->len; i++) {
    if (ph_relay_family (ph_relays_at (self, i)) == slot->family
        && is_contender (ph_relays_at (self, i)))
      return true;
  }
  return false;
}

bool
ph_relays_can_race (const PhRelays *self, const PhRelaysSlot *slot)
{
  for (unsigned s = 0; s < self->n_servers; s++) {
    for (unsigned i = 0; i < self->n_sockets; i++) {
      if (suits (self, slot, &self->servers[s]) && can_ask (&self->sockets[i], &self->servers[s]))
        return true;
    }
  }
  return false;
}

static void
race_lost (PhRelays *self, PhTime now, PhRelaysSlot *slot)
{
  slot->racing = false;
  slot->succeeding = false;
  slot->retry_at = ph_time_add (now, slot->retry_interval);
  slot->retry_interval = MIN (slot->retry_interval * 2, RETRY_MAX);
  ph_trace (&self->trace, now, "relay", "no relay to be had, why %d", (int)self->why);
}

/* Begins a race, goes on with it, or sees that it is lost. */
static void
race (PhRelays *self, PhTime now, PhRelaysSlot *slot)
{
  if ((slot->kept != NULL && !slot->succeeding) || !self->wanted)
    return;
  if (!slot->racing) {
    if (now < slot->retry_at || !ph_relays_can_race (self, slot))
      return;
    slot->racing = true;
    slot->started = 0;
    slot->next_transport_at = now;
  }
  while (slot->started < PH_N_RELAY_TRANSPORTS
         && (now >= slot->next_transport_at || !has_contender (self, slot))) {
    start_transport (self, now, slot, (PhRelayTransport)slot->started++);
    slot->next_transport_at = ph_time_add (now, TRANSPORT_DELAY);
  }
  if (slot->started == PH_N_RELAY_TRANSPORTS && !has_contender (self, slot))
    race_lost (self, now, slot);
}

static void
race_won (PhRelays *self, PhTime now, PhRelay *relay)
{
  PhRelaysSlot *slot = slot_of (self, relay);
  const PhAddr relayed = ph_relay_relayed (relay);
  PhRelaysEvent event = {.type = PH_RELAYS_EVENT_CANDIDATE};
  char text[PH_ADDR_STRING_MAX];

  if (slot->kept != NULL) {
    slot->leaving = slot->kept;
    slot->leave_at = ph_time_add (now, PH_RELAYS_LEAVING);
    tell (self, PH_RELAYS_EVENT_LEAVING, slot->leaving);
  }
  slot->kept = relay;
  slot->racing = slot->succeeding = slot->tried = false;
  slot->wish_at = 0;
  slot->retry_at = now; /* when it is lost, at once */
  slot->retry_interval = PH_RELAYS_RETRY_MIN;
  self->why = PH_TURN_WHY_NONE;
  ph_trace (&self->trace, now, "relay", "relayed address %s", ph_addr_format (&relayed, text));
  event.candidate = ph_candidate_relay (relayed, ph_relay_mapped (relay),
                                        ph_relay_relayed_socket (relay), *ph_relay_server (relay));
  g_array_append_val (self->events, event);
  for (guint i = 0; i < self->relays->len; i++) {
    PhRelay *other = ph_relays_at (self, i);

    if (other != relay && slot_of (self, other) == slot && is_contender (other))
      ph_relay_close (other, now);
  }
}

/* --- Successions -------------------------------------------------------------------------------- */

static bool
has_later_name (const PhRelays *self, const PhRelaysSlot *slot)
{
  for (unsigned s = 0; s < self->n_servers; s++) {
    const PhRelayServer *server = &self->servers[s];

    if (ph_addr_equal (&server->addr, ph_relay_server (slot->kept))
        && server->transport == ph_relay_transport (slot->kept) && outlives (server, slot->kept)
        && suits (self, slot, server))
      return true;
  }
  return false;
}

PhTime
ph_relays_succession_at (const PhRelays *self, const PhRelaysSlot *slot)
{
  if (slot->kept == NULL || slot->leaving != NULL || slot->tried || !self->wanted
      || ph_relay_expires_at (slot->kept) == PH_NEVER || !has_later_name (self, slot))
    return PH_NEVER;
  return MAX (slot->wish_at, ph_time_since (ph_relay_expires_at (slot->kept), PH_RELAYS_AHEAD));
}

/* There is one allocation a 5-tuple: another one needs another socket. A stream is a new one. */
static bool
has_room (const PhRelays *self, const PhRelay *kept)
{
  const PhRelaysSocket *own = ph_relays_find_socket (self, ph_relay_socket (kept));

  for (unsigned i = 0; own != NULL && i < self->n_sockets; i++) {
    if (ph_addr_equal_ip (&self->sockets[i].addr, &own->addr)
        && !is_taken (self, self->sockets[i].id, ph_relay_server (kept)))
      return true;
  }
  return own == NULL;
}

static void
succeed (PhRelays *self, PhTime now, PhRelaysSlot *slot)
{
  if (slot->leaving != NULL && now >= slot->leave_at)
    ph_relays_let_go (self, now, slot->leaving);
  if (slot->wish_at != 0 && slot->kept != NULL && has_room (self, slot->kept))
    slot->wish_at = 0; /* the socket has come */
  if (now < ph_relays_succession_at (self, slot))
    return;
  if (has_room (self, slot->kept)) {
    slot->tried = slot->succeeding = true;
    slot->retry_at = now;
  } else {
    wish_for_fresh (self, slot->kept);
    slot->wish_at = ph_time_add (now, WISH_INTERVAL);
  }
}

/* --- What has become of them -------------------------------------------------------------------- */

/* It does not have what it was asked for (440; 420 and 442 are no better), and says the same by every transport. One
 * address is one server. */
static void
note_lack (PhRelays *self, PhTime now, const PhRelay *relay)
{
  const PhRelaysSlot *slot = slot_of (self, relay);

  for (unsigned s = 0; s < self->n_servers; s++) {
    if (ph_addr_equal_ip (&self->servers[s].addr, ph_relay_server (relay)))
      self->lacks[s][slot - self->slots] = true;
  }
  for (guint i = 0; i < self->relays->len; i++) {
    PhRelay *other = ph_relays_at (self, i);

    if (slot_of (self, other) == slot && is_contender (other)
        && ph_addr_equal_ip (ph_relay_server (other), ph_relay_server (relay)))
      ph_relay_close (other, now);
  }
}

/* What was closed before its server had heard of it has no answer to wait for. */
static void
drop_closed (PhRelays *self)
{
  for (guint i = self->relays->len; i-- > 0;) {
    if (ph_relay_state (ph_relays_at (self, i)) == PH_TURN_CLOSED)
      ph_relays_drop (self, ph_relays_at (self, i));
  }
}

void
ph_relays_settle (PhRelays *self, PhTime now)
{
  for (guint i = self->relays->len; i-- > 0;) {
    PhRelay *relay = ph_relays_at (self, i);

    switch (ph_relay_state (relay)) {
    case PH_TURN_ALLOCATING:
    case PH_TURN_CLOSING:
    case PH_TURN_CLOSED:
      break;
    case PH_TURN_ALLOCATED:
      if (slot_of (self, relay)->kept == relay || slot_of (self, relay)->leaving == relay)
        break;
      if (slot_of (self, relay)->kept == NULL || slot_of (self, relay)->succeeding)
        race_won (self, now, relay);
      else
        ph_relay_close (relay, now); /* two came at the same moment */
      break;
    case PH_TURN_FAILED:
    case PH_TURN_LOST:
      self->why = ph_relay_why (relay);
      if (self->why == PH_TURN_WHY_MISMATCH && ph_relay_state (relay) == PH_TURN_FAILED)
        wish_for_fresh (self, relay);
      if (self->why == PH_TURN_WHY_UNSUPPORTED && ph_relay_state (relay) == PH_TURN_FAILED)
        note_lack (self, now, relay);
      ph_relays_drop (self, relay);
      break;
    }
  }
  drop_closed (self);
  for (unsigned i = 0; i < PH_RELAYS_SLOTS; i++) {
    succeed (self, now, &self->slots[i]);
    race (self, now, &self->slots[i]);
  }
  give_sockets_back (self);
}

void
ph_relays_try_at_once (PhRelays *self, PhTime now)
{
  for (unsigned i = 0; i < PH_RELAYS_SLOTS; i++) {
    self->slots[i].retry_at = now;
    self->slots[i].retry_interval = PH_RELAYS_RETRY_MIN;
  }
}
