/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/connect/ph-relays.h"

/* RFC 8305's delay between attempts is 250 ms; twice that, since UDP is what we would rather have. */
#define TRANSPORT_DELAY (500 * PH_MSEC)
/* Between races that all lost. */
#define RETRY_MIN (2 * PH_SEC)
#define RETRY_MAX (60 * PH_SEC)
/* UDP sockets that a race asks from: laptops with containers have a dozen interfaces. */
#define SOCKETS_MAX 16

typedef struct {
  uint32_t id;
  PhAddr addr;
} Socket;

/* The allocation of one family of relayed addresses, or the race for it. */
typedef struct {
  PhFamily family;
  PhRelay *kept; /* borrowed; NULL: none */
  bool racing;
  unsigned started; /* transports of this race so far */
  PhTime next_transport_at;
  PhTime retry_at; /* no race before */
  PhTime retry_interval;
} Slot;

enum { SLOT_IPV4, SLOT_IPV6, N_SLOTS };

struct _PhRelays {
  PhRandom random;
  PhTrace trace;
  Socket sockets[SOCKETS_MAX];
  unsigned n_sockets;
  PhRelayServer servers[PH_RELAYS_SERVERS_MAX];
  unsigned n_servers;
  bool wanted;
  PhTime unwanted_since; /* PH_NEVER: wanted, or all is let go */
  Slot slots[N_SLOTS];
  GPtrArray *relays; /* PhRelay, owned */
  unsigned turn; /* whose packets go first */
  uint32_t last_relayed;
  uint32_t last_stream;
  PhTurnWhy why;
  GArray *events; /* PhRelaysEvent */
  GArray *streams; /* PhRelayStream */
  GArray *unused_streams; /* uint32_t */
};

PhRelays *
ph_relays_new (const PhRandom *random, const PhTrace *trace)
{
  PhRelays *self = g_new0 (PhRelays, 1);

  self->random = *random;
  if (trace != NULL)
    self->trace = *trace;
  self->unwanted_since = PH_NEVER;
  self->last_relayed = PH_SOCKET_RELAYED;
  self->last_stream = PH_SOCKET_STREAM;
  self->slots[SLOT_IPV4].family = PH_FAMILY_IPV4;
  self->slots[SLOT_IPV6].family = PH_FAMILY_IPV6;
  for (unsigned i = 0; i < N_SLOTS; i++)
    self->slots[i].retry_interval = RETRY_MIN;
  self->relays = g_ptr_array_new_with_free_func ((GDestroyNotify)ph_relay_free);
  self->events = g_array_new (FALSE, TRUE, sizeof (PhRelaysEvent));
  self->streams = g_array_new (FALSE, TRUE, sizeof (PhRelayStream));
  self->unused_streams = g_array_new (FALSE, TRUE, sizeof (uint32_t));
  return self;
}

void
ph_relays_free (PhRelays *self)
{
  if (self == NULL)
    return;
  g_ptr_array_unref (self->relays);
  g_array_unref (self->events);
  g_array_unref (self->streams);
  g_array_unref (self->unused_streams);
  g_free (self);
}

static PhRelay *
relay_at (const PhRelays *self, unsigned i)
{
  return self->relays->pdata[i];
}

static Slot *
slot_of (PhRelays *self, const PhRelay *relay)
{
  return &self->slots[ph_relay_family (relay) == PH_FAMILY_IPV6 ? SLOT_IPV6 : SLOT_IPV4];
}

static bool
is_contender (const PhRelay *relay)
{
  return ph_relay_state (relay) == PH_TURN_ALLOCATING;
}

/* --- Ends of allocations ------------------------------------------------------------------------ */

static void
tell_gone (PhRelays *self, const PhRelay *relay)
{
  const PhRelaysEvent event = {
      .type = PH_RELAYS_EVENT_GONE,
      .socket = ph_relay_relayed_socket (relay),
  };

  g_array_append_val (self->events, event);
}

/* The relay is of no use to its slot any more. */
static void
leave_slot (PhRelays *self, PhRelay *relay)
{
  Slot *slot = slot_of (self, relay);

  if (slot->kept != relay)
    return;
  slot->kept = NULL;
  tell_gone (self, relay);
}

/* Takes it off the list. */
static void
drop (PhRelays *self, PhRelay *relay)
{
  const uint32_t stream = ph_relay_socket (relay);

  leave_slot (self, relay);
  if (ph_relay_transport (relay) != PH_RELAY_UDP) {
    for (guint i = self->streams->len; i-- > 0;) {
      if (g_array_index (self->streams, PhRelayStream, i).socket == stream)
        g_array_remove_index (self->streams, i);
    }
    g_array_append_val (self->unused_streams, stream);
  }
  g_ptr_array_remove (self->relays, relay);
}

static void
let_go (PhRelays *self, PhTime now, PhRelay *relay)
{
  leave_slot (self, relay);
  ph_relay_close (relay, now);
}

/* --- Races -------------------------------------------------------------------------------------- */

/* A server on the internet sees nothing of a socket that only reaches this computer or this link. */
static bool
can_ask (const Socket *socket, const PhRelayServer *server)
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
    if (ph_relay_socket (relay_at (self, i)) == socket
        && ph_addr_equal (ph_relay_server (relay_at (self, i)), server))
      return true;
  }
  return false;
}

static void
add_contender (PhRelays *self, PhTime now, const Slot *slot, const PhRelayServer *server,
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
suits (const PhRelays *self, const Slot *slot, const PhRelayServer *server)
{
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

static void
start_transport (PhRelays *self, PhTime now, Slot *slot, PhRelayTransport transport)
{
  unsigned n = 0;

  for (unsigned s = 0; s < self->n_servers; s++) {
    const PhRelayServer *server = &self->servers[s];

    if (server->transport != transport || !suits (self, slot, server))
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
has_contender (const PhRelays *self, const Slot *slot)
{
  for (guint i = 0; i < self->relays->len; i++) {
    if (ph_relay_family (relay_at (self, i)) == slot->family && is_contender (relay_at (self, i)))
      return true;
  }
  return false;
}

/* There is somebody to ask. */
static bool
can_race (const PhRelays *self, const Slot *slot)
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
race_lost (PhRelays *self, PhTime now, Slot *slot)
{
  slot->racing = false;
  slot->retry_at = ph_time_add (now, slot->retry_interval);
  slot->retry_interval = MIN (slot->retry_interval * 2, RETRY_MAX);
  ph_trace (&self->trace, now, "relay", "no relay to be had, why %d", (int)self->why);
}

/* Begins a race, goes on with it, or sees that it is lost. */
static void
race (PhRelays *self, PhTime now, Slot *slot)
{
  if (slot->kept != NULL || !self->wanted)
    return;
  if (!slot->racing) {
    if (now < slot->retry_at || !can_race (self, slot))
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
  Slot *slot = slot_of (self, relay);
  const PhAddr relayed = ph_relay_relayed (relay);
  PhRelaysEvent event = {.type = PH_RELAYS_EVENT_CANDIDATE};
  char text[PH_ADDR_STRING_MAX];

  slot->kept = relay;
  slot->racing = false;
  slot->retry_at = now; /* when it is lost, at once */
  slot->retry_interval = RETRY_MIN;
  self->why = PH_TURN_WHY_NONE;
  ph_trace (&self->trace, now, "relay", "relayed address %s", ph_addr_format (&relayed, text));
  event.candidate = ph_candidate_relay (relayed, ph_relay_mapped (relay),
                                        ph_relay_relayed_socket (relay), *ph_relay_server (relay));
  g_array_append_val (self->events, event);
  for (guint i = 0; i < self->relays->len; i++) {
    PhRelay *other = relay_at (self, i);

    if (other != relay && slot_of (self, other) == slot && is_contender (other))
      ph_relay_close (other, now);
  }
}

/* Follows up on what has become of the allocations. */
static void
settle (PhRelays *self, PhTime now)
{
  for (guint i = self->relays->len; i-- > 0;) {
    PhRelay *relay = relay_at (self, i);

    switch (ph_relay_state (relay)) {
    case PH_TURN_ALLOCATING:
    case PH_TURN_CLOSING:
      break;
    case PH_TURN_ALLOCATED:
      if (slot_of (self, relay)->kept == NULL)
        race_won (self, now, relay);
      else if (slot_of (self, relay)->kept != relay)
        ph_relay_close (relay, now); /* two came at the same moment */
      break;
    case PH_TURN_FAILED:
    case PH_TURN_LOST:
      self->why = ph_relay_why (relay);
      drop (self, relay);
      break;
    case PH_TURN_CLOSED:
      drop (self, relay);
      break;
    }
  }
  for (unsigned i = 0; i < N_SLOTS; i++)
    race (self, now, &self->slots[i]);
}

static void
try_at_once (PhRelays *self, PhTime now)
{
  for (unsigned i = 0; i < N_SLOTS; i++) {
    self->slots[i].retry_at = now;
    self->slots[i].retry_interval = RETRY_MIN;
  }
}

/* --- What there is ------------------------------------------------------------------------------ */

void
ph_relays_add_socket (PhRelays *self, PhTime now, uint32_t socket, const PhAddr *addr)
{
  if (self->n_sockets >= SOCKETS_MAX)
    return;
  self->sockets[self->n_sockets++] = (Socket){socket, *addr};
  try_at_once (self, now);
  settle (self, now);
}

void
ph_relays_remove_socket (PhRelays *self, PhTime now, uint32_t socket)
{
  for (unsigned i = self->n_sockets; i-- > 0;) {
    if (self->sockets[i].id == socket) {
      self->n_sockets--;
      memmove (&self->sockets[i], &self->sockets[i + 1],
               (self->n_sockets - i) * sizeof self->sockets[0]);
    }
  }
  for (guint i = self->relays->len; i-- > 0;) {
    if (ph_relay_socket (relay_at (self, i)) == socket)
      drop (self, relay_at (self, i));
  }
  try_at_once (self, now);
  settle (self, now);
}

void
ph_relays_set_servers (PhRelays *self, PhTime now, const PhRelayServer *servers, size_t n)
{
  self->n_servers = (unsigned)MIN (n, PH_RELAYS_SERVERS_MAX);
  if (self->n_servers > 0)
    memcpy (self->servers, servers, self->n_servers * sizeof *servers);
  for (guint i = 0; i < self->relays->len; i++) {
    PhRelay *relay = relay_at (self, i);

    for (unsigned s = 0; s < self->n_servers; s++) {
      if (ph_addr_equal (&self->servers[s].addr, ph_relay_server (relay))
          && self->servers[s].transport == ph_relay_transport (relay))
        ph_relay_set_credentials (relay, now, self->servers[s].username, self->servers[s].password);
    }
  }
  try_at_once (self, now);
  settle (self, now);
}

void
ph_relays_set_wanted (PhRelays *self, PhTime now, bool wanted)
{
  if (wanted) {
    self->unwanted_since = PH_NEVER;
  } else if (self->unwanted_since == PH_NEVER && self->wanted) {
    self->unwanted_since = now;
    return;
  }
  if (wanted && !self->wanted) {
    self->wanted = true;
    try_at_once (self, now);
    settle (self, now);
  }
}

static void
let_all_go (PhRelays *self, PhTime now)
{
  self->wanted = false;
  self->unwanted_since = PH_NEVER;
  for (unsigned i = 0; i < N_SLOTS; i++)
    self->slots[i].racing = false;
  for (guint i = 0; i < self->relays->len; i++)
    let_go (self, now, relay_at (self, i));
}

void
ph_relays_refresh (PhRelays *self, PhTime now)
{
  for (guint i = 0; i < self->relays->len; i++)
    ph_relay_probe (relay_at (self, i), now);
  try_at_once (self, now);
  settle (self, now);
}

PhRelaysState
ph_relays_state (const PhRelays *self)
{
  bool racing = false;

  if (!self->wanted || self->n_servers == 0)
    return PH_RELAYS_IDLE;
  for (unsigned i = 0; i < N_SLOTS; i++) {
    if (self->slots[i].kept != NULL)
      return PH_RELAYS_HAVE;
    racing |= self->slots[i].racing;
  }
  return racing ? PH_RELAYS_TRYING : PH_RELAYS_NONE;
}

PhTurnWhy
ph_relays_why (const PhRelays *self)
{
  return self->why;
}

bool
ph_relays_done (const PhRelays *self)
{
  for (unsigned i = 0; self->wanted && i < N_SLOTS; i++) {
    if (self->slots[i].racing)
      return false;
  }
  return true;
}

size_t
ph_relays_candidates (const PhRelays *self, PhCandidate *ret, size_t max)
{
  size_t n = 0;

  for (unsigned i = 0; i < N_SLOTS && n < max; i++) {
    const PhRelay *relay = self->slots[i].kept;

    if (relay != NULL)
      ret[n++] = ph_candidate_relay (ph_relay_relayed (relay), ph_relay_mapped (relay),
                                     ph_relay_relayed_socket (relay), *ph_relay_server (relay));
  }
  return n;
}

/* --- Streams ------------------------------------------------------------------------------------ */

bool
ph_relays_poll_stream (PhRelays *self, PhRelayStream *ret_stream)
{
  if (self->streams->len == 0)
    return false;
  *ret_stream = g_array_index (self->streams, PhRelayStream, 0);
  g_array_remove_index (self->streams, 0);
  return true;
}

uint32_t
ph_relays_poll_unused_stream (PhRelays *self)
{
  const guint n = self->unused_streams->len;
  uint32_t stream;

  if (n == 0)
    return 0;
  stream = g_array_index (self->unused_streams, uint32_t, n - 1);
  g_array_set_size (self->unused_streams, n - 1);
  return stream;
}

static PhRelay *
relay_on (const PhRelays *self, uint32_t socket)
{
  for (guint i = 0; i < self->relays->len; i++) {
    if (ph_relay_socket (relay_at (self, i)) == socket)
      return relay_at (self, i);
  }
  return NULL;
}

void
ph_relays_stream_opened (PhRelays *self, PhTime now, uint32_t socket)
{
  PhRelay *relay = relay_on (self, socket);

  if (relay != NULL)
    ph_relay_stream_opened (relay, now);
}

void
ph_relays_stream_closed (PhRelays *self, PhTime now, uint32_t socket)
{
  PhRelay *relay = relay_on (self, socket);

  if (relay != NULL) {
    ph_relay_stream_closed (relay, now);
    settle (self, now);
  }
}

/* --- The verbs ---------------------------------------------------------------------------------- */

bool
ph_relays_handle_packet (PhRelays *self, PhTime now, const PhDatagram *in, PhRelayDeliver deliver,
                         void *user)
{
  for (guint i = 0; i < self->relays->len; i++) {
    PhRelay *relay = relay_at (self, i);

    if (ph_relay_socket (relay) != in->socket
        || (ph_relay_transport (relay) == PH_RELAY_UDP
            && !ph_addr_equal (ph_relay_server (relay), &in->remote)))
      continue;
    const PhTurnState before = ph_relay_state (relay);

    if (!ph_relay_handle_packet (relay, now, in, deliver, user))
      return false;
    if (before != ph_relay_state (relay))
      settle (self, now);
    return true;
  }
  return false;
}

static bool
is_own_address (const PhRelays *self, const PhAddr *addr)
{
  for (unsigned i = 0; i < N_SLOTS; i++) {
    if (self->slots[i].kept == NULL)
      continue;

    const PhAddr relayed = ph_relay_relayed (self->slots[i].kept);

    if (ph_addr_equal (&relayed, addr))
      return true;
  }
  return false;
}

bool
ph_relays_wrap (PhRelays *self, PhTime now, PhTransmit *tx)
{
  for (unsigned i = 0; i < N_SLOTS; i++) {
    PhRelay *relay = self->slots[i].kept;

    if (relay != NULL && ph_relay_relayed_socket (relay) == tx->socket)
      return !is_own_address (self, &tx->remote) && ph_relay_wrap (relay, now, tx);
  }
  return false;
}

void
ph_relays_handle_timeout (PhRelays *self, PhTime now)
{
  for (guint i = 0; i < self->relays->len; i++)
    ph_relay_handle_timeout (relay_at (self, i), now);
  if (self->unwanted_since != PH_NEVER
      && now >= ph_time_add (self->unwanted_since, PH_RELAYS_LINGER))
    let_all_go (self, now);
  settle (self, now);
}

bool
ph_relays_poll_transmit (PhRelays *self, PhTime now, PhTransmit *tx)
{
  const guint n = self->relays->len;

  for (guint i = 0; i < n; i++) {
    const guint at = (self->turn + i) % n;

    if (ph_relay_poll_transmit (relay_at (self, at), now, tx)) {
      self->turn = (at + 1) % n;
      return true;
    }
  }
  return false;
}

bool
ph_relays_poll_event (PhRelays *self, PhRelaysEvent *ret_event)
{
  if (self->events->len == 0)
    return false;
  *ret_event = g_array_index (self->events, PhRelaysEvent, 0);
  g_array_remove_index (self->events, 0);
  return true;
}

static void
earlier (PhTime *next, const char **ret_why, PhTime other, const char *why)
{
  if (other < *next) {
    *next = other;
    *ret_why = why;
  }
}

PhTime
ph_relays_next_timeout (const PhRelays *self, const char **ret_why)
{
  PhTime next = PH_NEVER;

  *ret_why = "no relay";
  for (guint i = 0; i < self->relays->len; i++) {
    const char *why = NULL;
    const PhTime t = ph_relay_next_timeout (relay_at (self, i), &why);

    earlier (&next, ret_why, t, why);
  }
  if (self->unwanted_since != PH_NEVER)
    earlier (&next, ret_why, ph_time_add (self->unwanted_since, PH_RELAYS_LINGER), "relay let go");
  for (unsigned i = 0; self->wanted && i < N_SLOTS; i++) {
    const Slot *slot = &self->slots[i];

    if (slot->kept == NULL && !slot->racing && can_race (self, slot))
      earlier (&next, ret_why, slot->retry_at, "relays tried again");
    if (slot->racing && slot->started < PH_N_RELAY_TRANSPORTS)
      earlier (&next, ret_why, slot->next_transport_at, "relays tried over another transport");
  }
  return next;
}
