/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/connect/ph-relays-private.h"

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
  self->slots[PH_RELAYS_IPV4].family = PH_FAMILY_IPV4;
  self->slots[PH_RELAYS_IPV6].family = PH_FAMILY_IPV6;
  for (unsigned i = 0; i < PH_RELAYS_SLOTS; i++)
    self->slots[i].retry_interval = PH_RELAYS_RETRY_MIN;
  self->relays = g_ptr_array_new_with_free_func ((GDestroyNotify)ph_relay_free);
  self->events = g_array_new (FALSE, TRUE, sizeof (PhRelaysEvent));
  self->streams = g_array_new (FALSE, TRUE, sizeof (PhRelayStream));
  self->unused = g_array_new (FALSE, TRUE, sizeof (uint32_t));
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
  g_array_unref (self->unused);
  g_free (self);
}

/* --- What there is ------------------------------------------------------------------------------ */

static void
add_socket (PhRelays *self, PhTime now, const PhRelaysSocket *socket)
{
  self->sockets[self->n_sockets++] = *socket;
  ph_relays_try_at_once (self, now);
  ph_relays_settle (self, now);
}

void
ph_relays_add_socket (PhRelays *self, PhTime now, uint32_t socket, const PhAddr *addr)
{
  if (self->n_sockets < PH_RELAYS_SOCKETS_MAX)
    add_socket (self, now, &(PhRelaysSocket){.id = socket, .addr = *addr});
}

bool
ph_relays_poll_fresh_wish (PhRelays *self, PhAddr *ret_local)
{
  if (!ph_addr_is_set (&self->fresh_wish))
    return false;
  *ret_local = self->fresh_wish;
  self->fresh_wish = (PhAddr){0};
  return true;
}

void
ph_relays_add_fresh_socket (PhRelays *self, PhTime now, uint32_t socket, const PhAddr *addr)
{
  if (self->wanted && self->n_sockets < PH_RELAYS_SOCKETS_MAX)
    add_socket (self, now, &(PhRelaysSocket){.id = socket, .addr = *addr, .fresh = true});
  else
    g_array_append_val (self->unused, socket);
}

static bool
is_same_home (const PhRelaysSocket *socket, uint32_t id, const PhAddr *addr)
{
  return socket->id == id || (socket->fresh && ph_addr_equal_ip (&socket->addr, addr));
}

void
ph_relays_remove_socket (PhRelays *self, PhTime now, uint32_t socket)
{
  const PhRelaysSocket *gone = ph_relays_find_socket (self, socket);
  const PhAddr addr = gone != NULL ? gone->addr : (PhAddr){0};

  for (guint i = self->relays->len; i-- > 0;) {
    const PhRelaysSocket *own =
        ph_relays_find_socket (self, ph_relay_socket (ph_relays_at (self, i)));

    if (own != NULL && is_same_home (own, socket, &addr))
      ph_relays_drop (self, ph_relays_at (self, i));
  }
  for (unsigned i = self->n_sockets; i-- > 0;) {
    if (is_same_home (&self->sockets[i], socket, &addr))
      ph_relays_forget_socket (self, i);
  }
  ph_relays_try_at_once (self, now);
  ph_relays_settle (self, now);
}

void
ph_relays_set_servers (PhRelays *self, PhTime now, const PhRelayServer *servers, size_t n)
{
  self->n_servers = (unsigned)MIN (n, PH_RELAYS_SERVERS_MAX);
  if (self->n_servers > 0)
    memcpy (self->servers, servers, self->n_servers * sizeof *servers);
  memset (self->lacks, 0, sizeof self->lacks);
  for (unsigned i = 0; i < PH_RELAYS_SLOTS; i++)
    self->slots[i].tried = false;
  for (guint i = 0; i < self->relays->len; i++) {
    PhRelay *relay = ph_relays_at (self, i);

    for (unsigned s = 0; s < self->n_servers; s++) {
      if (ph_addr_equal (&self->servers[s].addr, ph_relay_server (relay))
          && self->servers[s].transport == ph_relay_transport (relay))
        ph_relay_set_credentials (relay, now, self->servers[s].username, self->servers[s].password);
    }
  }
  ph_relays_try_at_once (self, now);
  ph_relays_settle (self, now);
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
    ph_relays_try_at_once (self, now);
    ph_relays_settle (self, now);
  }
}

static void
let_all_go (PhRelays *self, PhTime now)
{
  self->wanted = false;
  self->unwanted_since = PH_NEVER;
  for (unsigned i = 0; i < PH_RELAYS_SLOTS; i++)
    self->slots[i].racing = false;
  for (guint i = 0; i < self->relays->len; i++)
    ph_relays_let_go (self, now, ph_relays_at (self, i));
}

void
ph_relays_refresh (PhRelays *self, PhTime now)
{
  for (guint i = 0; i < self->relays->len; i++)
    ph_relay_probe (ph_relays_at (self, i), now);
  ph_relays_try_at_once (self, now);
  ph_relays_settle (self, now);
}

PhRelaysState
ph_relays_state (const PhRelays *self)
{
  bool racing = false;

  if (!self->wanted || self->n_servers == 0)
    return PH_RELAYS_IDLE;
  for (unsigned i = 0; i < PH_RELAYS_SLOTS; i++) {
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
  for (unsigned i = 0; self->wanted && i < PH_RELAYS_SLOTS; i++) {
    if (self->slots[i].racing)
      return false;
  }
  return true;
}

size_t
ph_relays_candidates (const PhRelays *self, PhCandidate *ret, size_t max)
{
  size_t n = 0;

  for (unsigned i = 0; i < PH_RELAYS_SLOTS && n < max; i++) {
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
ph_relays_poll_unused (PhRelays *self)
{
  const guint n = self->unused->len;
  uint32_t stream;

  if (n == 0)
    return 0;
  stream = g_array_index (self->unused, uint32_t, n - 1);
  g_array_set_size (self->unused, n - 1);
  return stream;
}

static PhRelay *
relay_on (const PhRelays *self, uint32_t socket)
{
  for (guint i = 0; i < self->relays->len; i++) {
    if (ph_relay_socket (ph_relays_at (self, i)) == socket)
      return ph_relays_at (self, i);
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
    ph_relays_settle (self, now);
  }
}

/* --- The verbs ---------------------------------------------------------------------------------- */

bool
ph_relays_handle_packet (PhRelays *self, PhTime now, const PhDatagram *in, PhRelayDeliver deliver,
                         void *user)
{
  for (guint i = 0; i < self->relays->len; i++) {
    PhRelay *relay = ph_relays_at (self, i);

    if (ph_relay_socket (relay) != in->socket
        || (ph_relay_transport (relay) == PH_RELAY_UDP
            && !ph_addr_equal (ph_relay_server (relay), &in->remote)))
      continue;
    const PhTurnState before = ph_relay_state (relay);

    if (!ph_relay_handle_packet (relay, now, in, deliver, user))
      return false;
    if (before != ph_relay_state (relay))
      ph_relays_settle (self, now);
    return true;
  }
  return false;
}

static bool
has_address (const PhRelay *relay, const PhAddr *addr)
{
  const PhAddr relayed = relay != NULL ? ph_relay_relayed (relay) : (PhAddr){0};

  return ph_addr_is_set (&relayed) && ph_addr_equal (&relayed, addr);
}

static bool
is_own_address (const PhRelays *self, const PhAddr *addr)
{
  for (unsigned i = 0; i < PH_RELAYS_SLOTS; i++) {
    if (has_address (self->slots[i].kept, addr) || has_address (self->slots[i].leaving, addr))
      return true;
  }
  return false;
}

static PhRelay *
find_relayed (const PhRelays *self, uint32_t socket)
{
  for (unsigned i = 0; i < PH_RELAYS_SLOTS; i++) {
    PhRelay *both[] = {self->slots[i].kept, self->slots[i].leaving};

    for (unsigned k = 0; k < G_N_ELEMENTS (both); k++) {
      if (both[k] != NULL && ph_relay_relayed_socket (both[k]) == socket)
        return both[k];
    }
  }
  return NULL;
}

bool
ph_relays_wrap (PhRelays *self, PhTime now, PhTransmit *tx)
{
  PhRelay *relay = find_relayed (self, tx->socket);

  return relay != NULL && !is_own_address (self, &tx->remote) && ph_relay_wrap (relay, now, tx);
}

void
ph_relays_handle_timeout (PhRelays *self, PhTime now)
{
  for (guint i = 0; i < self->relays->len; i++)
    ph_relay_handle_timeout (ph_relays_at (self, i), now);
  if (self->unwanted_since != PH_NEVER
      && now >= ph_time_add (self->unwanted_since, PH_RELAYS_LINGER))
    let_all_go (self, now);
  ph_relays_settle (self, now);
}

bool
ph_relays_poll_transmit (PhRelays *self, PhTime now, PhTransmit *tx)
{
  const guint n = self->relays->len;

  for (guint i = 0; i < n; i++) {
    const guint at = (self->turn + i) % n;

    if (ph_relay_poll_transmit (ph_relays_at (self, at), now, tx)) {
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
    const PhTime t = ph_relay_next_timeout (ph_relays_at (self, i), &why);

    earlier (&next, ret_why, t, why);
  }
  if (self->unwanted_since != PH_NEVER)
    earlier (&next, ret_why, ph_time_add (self->unwanted_since, PH_RELAYS_LINGER), "relay let go");
  for (unsigned i = 0; self->wanted && i < PH_RELAYS_SLOTS; i++) {
    const PhRelaysSlot *slot = &self->slots[i];

    if (slot->kept == NULL && !slot->racing && ph_relays_can_race (self, slot))
      earlier (&next, ret_why, slot->retry_at, "relays tried again");
    if (slot->leaving != NULL)
      earlier (&next, ret_why, slot->leave_at, "relay of an old name let go");
    earlier (&next, ret_why, ph_relays_succession_at (self, slot), "relay's name ends soon");
    if (slot->racing && slot->started < PH_N_RELAY_TRANSPORTS)
      earlier (&next, ret_why, slot->next_transport_at, "relays tried over another transport");
  }
  return next;
}
