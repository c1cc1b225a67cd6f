/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The connector's TCP connections: made for pairs of the agent's, taken from those that were accepted, let go. */

#include "net/connect/ph-connector-private.h"

/* Pairs that are connected at the same time: every local address with two of the peer's. */
#define PUNCHES_MAX 24
/* Between two SYNs of one connector: whatever addresses a peer names, none is flooded. */
#define PUNCH_PACE (10 * PH_MSEC)

/* --- What is ours --------------------------------------------------------------------------------- */

bool
ph_connector_owns_connection (const PhConnector *self, uint32_t connection)
{
  for (guint i = 0; i < self->own->len; i++) {
    if (g_array_index (self->own, uint32_t, i) == connection)
      return true;
  }
  return false;
}

static void
disown (PhConnector *self, uint32_t connection)
{
  for (guint i = self->own->len; i-- > 0;) {
    if (g_array_index (self->own, uint32_t, i) == connection)
      g_array_remove_index_fast (self->own, i);
  }
}

void
ph_connector_claim (PhConnector *self, uint32_t id)
{
  PhConnection *connection = ph_connections_find (self->connections, id);

  if (connection == NULL || ph_connector_owns_connection (self, id))
    return;
  connection->use = PH_CONNECTION_PEER;
  connection->stranger_until = PH_NEVER;
  g_array_append_val (self->own, id);
}

void
ph_connector_close_connection (PhConnector *self, uint32_t id)
{
  if (!ph_connector_owns_connection (self, id))
    return;
  disown (self, id);
  ph_connections_close (self->connections, id);
  if (self->agent != NULL)
    ph_ice_agent_disconnected (self->agent, self->now, id);
}

/* --- Punching ------------------------------------------------------------------------------------- */

static PhPunch *
punch_at (const PhConnector *self, guint i)
{
  return &g_array_index (self->punches, PhPunch, i);
}

static void
drop_punch (PhConnector *self, guint i)
{
  if (punch_at (self, i)->connection != 0)
    ph_connections_abort (self->connections, punch_at (self, i)->connection);
  g_array_remove_index_fast (self->punches, i);
}

/* The pair has its connection. */
static void
adopt (PhConnector *self, uint32_t pair, uint32_t connection)
{
  ph_connector_claim (self, connection);
  if (!ph_ice_agent_connected (self->agent, self->now, pair, connection))
    ph_connector_close_connection (self, connection);
}

/* The kernel's one connection between these two, if it is one that we may use. */
static PhConnection *
find_usable (const PhConnector *self, uint32_t port, const PhAddr *remote)
{
  PhConnection *connection = ph_connections_between (self->connections, port, remote);

  if (connection == NULL || connection->use == PH_CONNECTION_STRANGER)
    return connection;
  return ph_connector_owns_connection (self, connection->id) ? connection : NULL;
}

void
ph_connector_connect (PhConnector *self, const PhIcePair *pair)
{
  const PhConnection *there = find_usable (self, pair->local.socket, &pair->remote_addr);
  PhPunch punch = {.pair = pair->id, .port = pair->local.socket, .remote = pair->remote_addr};
  char text[PH_ADDR_STRING_MAX];

  if (there != NULL) {
    adopt (self, pair->id, there->id);
    return;
  }
  if (self->punches->len >= PUNCHES_MAX) {
    ph_ice_agent_not_connected (self->agent, self->now, pair->id);
    return;
  }
  ph_trace (&self->config.trace, self->now, "connect", "pair %u: TCP from port %u to %s", pair->id,
            punch.port, ph_addr_format (&punch.remote, text));
  ph_tcp_punch_start (&punch.timing, self->now, pair->remote.transport == PH_CANDIDATE_TCP_SO);
  g_array_append_val (self->punches, punch);
}

static bool
is_wanted (const PhConnector *self, const PhPunch *punch)
{
  PhIcePair pair;

  return self->agent != NULL && ph_ice_agent_get_pair (self->agent, punch->pair, &pair)
         && pair.state == PH_ICE_PAIR_IN_PROGRESS && pair.socket == 0
         && pair.local.socket == punch->port;
}

static void
give_up (PhConnector *self, guint i)
{
  const uint32_t pair = punch_at (self, i)->pair;

  drop_punch (self, i);
  ph_ice_agent_not_connected (self->agent, self->now, pair);
}

static void
tend_punches (PhConnector *self)
{
  for (guint i = self->punches->len; i-- > 0;) {
    PhPunch *punch = punch_at (self, i);

    if (!is_wanted (self, punch)) {
      drop_punch (self, i);
    } else if (ph_tcp_punch_is_over (&punch->timing, self->now)) {
      give_up (self, i);
    } else if (self->now >= punch->timing.connect_at && self->now >= self->punch_pace_at) {
      self->punch_pace_at = ph_time_add (self->now, PUNCH_PACE);
      ph_tcp_punch_connecting (&punch->timing);
      punch->connection =
          ph_connections_open (self->connections, punch->port, &punch->remote, PH_CONNECTION_PEER);
    }
  }
}

static bool
uses (PhConnector *self, uint32_t connection)
{
  if (self->agent != NULL && ph_ice_agent_uses_connection (self->agent, connection))
    return true;
  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++) {
    const PhLinkSlot *slot = &self->links.slots[i];

    if (slot->link != NULL && slot->path.socket == connection)
      return true;
  }
  return false;
}

void
ph_connector_tend_connections (PhConnector *self)
{
  tend_punches (self);
  for (guint i = self->own->len; i-- > 0;) {
    const uint32_t id = g_array_index (self->own, uint32_t, i);

    if (uses (self, id))
      continue;
    g_array_remove_index_fast (self->own, i);
    ph_connections_close (self->connections, id);
  }
}

PhTime
ph_connector_punch_timeout (const PhConnector *self, const char **ret_why)
{
  PhTime next = PH_NEVER;

  for (guint i = 0; i < self->punches->len; i++) {
    const PhTcpPunch *timing = &punch_at (self, i)->timing;
    PhTime t = timing->give_up_at;

    if (timing->connect_at != PH_NEVER)
      t = ph_time_min (t, MAX (timing->connect_at, self->punch_pace_at));
    next = ph_time_min (next, t);
  }
  *ret_why = "TCP connection due";
  return next;
}

/* --- What became of them -------------------------------------------------------------------------- */

static bool
attempt_failed (PhConnector *self, const PhConnectionEvent *event)
{
  for (guint i = 0; i < self->punches->len; i++) {
    PhPunch *punch = punch_at (self, i);
    const PhConnection *there;

    if (punch->connection != event->socket)
      continue;
    punch->connection = 0;
    there = find_usable (self, punch->port, &punch->remote);
    if (there != NULL)
      adopt (self, punch->pair, there->id); /* tend_punches() drops the punch */
    else if (!ph_tcp_punch_failed (&punch->timing, self->now, &self->config.random, event->type))
      give_up (self, i);
    return true;
  }
  return false;
}

static bool
attempt_opened (PhConnector *self, const PhConnectionEvent *event)
{
  for (guint i = 0; i < self->punches->len; i++) {
    PhPunch *punch = punch_at (self, i);

    if (punch->connection != event->socket)
      continue;
    punch->connection = 0; /* not the punch's to abort any more */
    adopt (self, punch->pair, event->socket);
    return true;
  }
  return false;
}

/* The other side's attempt came first; ours to the same place, if one is under way, can only fail. */
static bool
accepted (PhConnector *self, const PhConnectionEvent *event)
{
  for (guint i = 0; i < self->punches->len; i++) {
    const PhPunch *punch = punch_at (self, i);

    if (punch->port == event->port && ph_addr_equal (&punch->remote, &event->remote)) {
      adopt (self, punch->pair, event->socket);
      return true;
    }
  }
  return false;
}

static bool
closed (PhConnector *self, uint32_t id)
{
  if (!ph_connector_owns_connection (self, id))
    return false;
  disown (self, id);
  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++) {
    const PhLinkSlot *slot = &self->links.slots[i];

    if (slot->link != NULL && slot->path.socket == id && ph_link_is_tls (slot->link))
      ph_tls_link_hang_up (slot->link, self->now);
  }
  if (self->agent != NULL)
    ph_ice_agent_disconnected (self->agent, self->now, id);
  return true;
}

bool
ph_connector_handle_connection (PhConnector *self, PhTime now, const PhConnectionEvent *event)
{
  bool ours = false;

  ph_connector_advance (self, now);
  switch (event->type) {
  case PH_CONNECTION_OPENED:
    ours = attempt_opened (self, event);
    break;
  case PH_CONNECTION_ACCEPTED:
    ours = accepted (self, event);
    break;
  case PH_CONNECTION_REFUSED:
  case PH_CONNECTION_IN_USE:
  case PH_CONNECTION_UNREACHABLE:
    ours = attempt_failed (self, event);
    break;
  case PH_CONNECTION_CLOSED:
    ours = closed (self, event->socket);
    break;
  }
  if (ours)
    ph_connector_settle (self);
  return ours;
}

void
ph_connector_handle_stream (PhConnector *self, PhTime now, const PhDatagram *in)
{
  ph_connector_advance (self, now);
  ph_connector_handle_tls (self, in);
}
