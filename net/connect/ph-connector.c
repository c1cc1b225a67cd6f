/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/connect/ph-connector-private.h"

PhConnector *
ph_connector_new (const PhConnectorConfig *config, const PhGatherer *gatherer)
{
  PhConnector *self = g_new0 (PhConnector, 1);

  self->config = *config;
  self->gatherer = gatherer;
  self->connections = ph_gatherer_connections (gatherer);
  self->own = g_array_new (FALSE, FALSE, sizeof (uint32_t));
  self->punches = g_array_new (FALSE, TRUE, sizeof (PhPunch));
  self->client = memcmp (config->local_key, config->peer_key, PH_KEY_LEN) < 0;
  self->candidates_due = g_array_new (FALSE, TRUE, sizeof (PhCandidate));
  self->link_by = PH_NEVER;
  self->ready_by = PH_NEVER;
  self->retry_at = PH_NEVER;
  self->retry_interval = PH_CONNECTOR_RETRY_MIN;
  ph_connector_guess_init (&self->guess);
  g_queue_init (&self->events);
  g_queue_init (&self->early);
  return self;
}

static void
event_free (gpointer data)
{
  PhConnectorEvent *event = data;

  if (event->type == PH_CONNECTOR_EVENT_LINK_CLOSED)
    ph_link_free (event->link);
  if (event->type == PH_CONNECTOR_EVENT_LINK)
    ph_buf_slice_clear (&event->link_event.data);
  g_free (event);
}

void
ph_connector_free (PhConnector *self)
{
  if (self == NULL)
    return;
  g_queue_clear_full (&self->events, event_free);
  g_queue_clear_full (&self->early, ph_connector_early_free);
  g_clear_pointer (&self->buried, ph_link_free);
  ph_link_table_clear (&self->links);
  ph_connector_guess_clear (&self->guess);
  g_clear_pointer (&self->agent, ph_ice_agent_free);
  ph_connector_tend_connections (self);
  g_array_unref (self->own);
  g_array_unref (self->punches);
  g_array_unref (self->candidates_due);
  g_free (self);
}

void
ph_connector_push (PhConnector *self, const PhConnectorEvent *event)
{
  g_queue_push_tail (&self->events, g_memdup2 (event, sizeof *event));
}

/* Every use of the time goes through here: cores rely on it never going backwards. */
void
ph_connector_advance (PhConnector *self, PhTime now)
{
  g_assert (now >= self->now);
  self->now = now;
}

void
ph_connector_set_trace (PhConnector *self, const PhTrace *trace)
{
  self->config.trace = *trace;
}

static bool
is_on_detour (const PhConnector *self)
{
  return self->now < self->detour_until && self->agent != NULL
         && ph_ice_agent_state (self->agent) == PH_ICE_CONNECTED;
}

void
ph_connector_set_wanted (PhConnector *self, PhTime now, bool wanted)
{
  ph_connector_advance (self, now);
  if (self->wanted == wanted)
    return;
  self->wanted = wanted;
  if (!wanted) {
    self->retry_at = PH_NEVER;
    return;
  }
  self->retry_interval = PH_CONNECTOR_RETRY_MIN;
  if (!ph_connector_has_link (self) && !is_on_detour (self)
      && (self->agent == NULL || ph_ice_agent_state (self->agent) != PH_ICE_CHECKING))
    ph_connector_attempt_start (self, now, 0);
}

void
ph_connector_retry_now (PhConnector *self, PhTime now)
{
  ph_connector_advance (self, now);
  self->retry_interval = PH_CONNECTOR_RETRY_MIN;
  if (ph_connector_is_up (self) || is_on_detour (self)) {
    if (self->agent != NULL)
      ph_ice_agent_recheck (self->agent, now);
  } else if (self->wanted) {
    ph_connector_attempt_start (self, now, 0);
  }
}

void
ph_connector_say_again (PhConnector *self, PhTime now)
{
  ph_connector_advance (self, now);
  if (self->agent == NULL || self->remote_generation != 0)
    return;
  ph_connector_repeat_params (self, self->echo);
  self->guess.nat_due = self->guess.own.kind != PH_PUNCH_NAT_UNKNOWN;
}

void
ph_connector_close_link (PhConnector *self, PhTime now, PhLink *link, uint64_t code,
                         const char *reason)
{
  ph_connector_advance (self, now);
  if (ph_link_table_find (&self->links, link) != NULL)
    ph_link_close (link, now, code, reason);
}

void
ph_connector_close (PhConnector *self, PhTime now, uint64_t code, const char *reason)
{
  ph_connector_advance (self, now);
  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++) {
    if (self->links.slots[i].link != NULL)
      ph_link_close (self->links.slots[i].link, now, code, reason);
  }
  ph_connector_say_bye (self);
  ph_connector_attempt_end (self);
  self->wanted = false;
  self->retry_at = PH_NEVER;
}

void
ph_connector_add_candidate (PhConnector *self, PhTime now, const PhCandidate *candidate)
{
  ph_connector_advance (self, now);
  if (self->agent == NULL)
    return;
  if (ph_ice_agent_add_local_candidate (self->agent, now, candidate))
    ph_connector_tell_candidate (self, candidate);
  ph_connector_tell_end (self);
}

void
ph_connector_leave_socket (PhConnector *self, PhTime now, uint32_t socket)
{
  ph_connector_advance (self, now);
  if (self->agent != NULL)
    ph_ice_agent_leave_socket (self->agent, now, socket);
  ph_connector_settle (self);
}

void
ph_connector_remove_socket (PhConnector *self, PhTime now, uint32_t socket)
{
  const bool was_up = ph_connector_is_up (self);

  ph_connector_advance (self, now);
  for (guint i = self->candidates_due->len; i-- > 0;) {
    if (g_array_index (self->candidates_due, PhCandidate, i).socket == socket)
      g_array_remove_index (self->candidates_due, i);
  }
  if (self->agent != NULL)
    ph_ice_agent_remove_socket (self->agent, now, socket);
  ph_connector_settle (self);
  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++) {
    PhLinkSlot *slot = &self->links.slots[i];

    if (slot->link != NULL && slot->path.socket == socket)
      ph_connector_bury (self, slot, "socket gone");
  }
  if (was_up && !ph_connector_is_up (self))
    self->detour_until = ph_time_add (now, PH_CONNECTOR_DETOUR);
}

/* Carries out what the agent decided. */
void
ph_connector_settle (PhConnector *self)
{
  PhIceEvent event;

  while (self->agent != NULL && ph_ice_agent_poll_event (self->agent, &event)) {
    switch (event.type) {
    case PH_ICE_EVENT_SELECTED:
      self->was_connected = true;
      ph_connector_pair_selected (self, &event.pair, event.moved);
      break;
    case PH_ICE_EVENT_NOMINATING:
      ph_connector_pair_nominating (self, &event.pair);
      break;
    case PH_ICE_EVENT_PAIR_LOST:
      ph_connector_pair_lost (self, &event.pair);
      break;
    case PH_ICE_EVENT_FAILED:
      ph_connector_attempt_fail (self, self->was_connected ? PH_CONNECTOR_FAILURE_LOST
                                                           : PH_CONNECTOR_FAILURE_NO_PAIR);
      break;
    case PH_ICE_EVENT_DISCONNECTED:
      self->silenced = true; /* the agent checks on by itself; SELECTED or FAILED follows */
      break;
    case PH_ICE_EVENT_PAIR_VALID:
      ph_connector_replay_early (self, &event.pair);
      break;
    case PH_ICE_EVENT_CONNECT:
      ph_connector_connect (self, &event.pair);
      break;
    }
  }
  ph_connector_tend_connections (self);
}

bool
ph_connector_owns_path (const PhConnector *self, uint32_t socket, const PhAddr *remote)
{
  PhIcePair pair;

  return ph_link_table_uses (&self->links, socket, remote)
         || (self->agent != NULL && ph_ice_agent_find_valid (self->agent, socket, remote, &pair))
         || ph_connector_knows_path (self, socket, remote);
}

bool
ph_connector_owns_ufrag (const PhConnector *self, PhSlice ufrag)
{
  return self->agent != NULL
         && ph_slice_equal (ufrag, ph_slice_string (ph_ice_agent_ufrag (self->agent)));
}

bool
ph_connector_handle_packet (PhConnector *self, PhTime now, const PhDatagram *in)
{
  bool ours;

  ph_connector_advance (self, now);
  if (!ph_stun_is_stun (in->bytes))
    return ph_connector_handle_quic (self, in);
  if (ph_connector_guess_handle_packet (self, in))
    return true;

  ours = self->agent != NULL && ph_ice_agent_handle_packet (self->agent, now, in);
  if (ours && in->port != 0 && ph_ice_agent_uses_connection (self->agent, in->socket))
    ph_connector_claim (self, in->socket);
  if (ours)
    ph_connector_settle (self);
  return ours;
}

void
ph_connector_handle_timeout (PhConnector *self, PhTime now)
{
  ph_connector_advance (self, now);
  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++) {
    if (self->links.slots[i].link != NULL)
      ph_link_handle_timeout (self->links.slots[i].link, now);
  }
  if (self->agent != NULL) {
    ph_ice_agent_handle_timeout (self->agent, now);
    ph_connector_settle (self);
    ph_connector_leave_silent (self);
  }
  if (self->agent != NULL && self->remote_generation == 0 && now >= self->answer_by)
    ph_connector_attempt_fail (self, PH_CONNECTOR_FAILURE_NO_ANSWER);
  ph_connector_guess_handle_timeout (self);
  if (now >= self->link_by)
    ph_connector_link_overdue (self);
  if (now >= self->ready_by)
    ph_connector_ready_overdue (self);
  if (self->agent == NULL && self->wanted && now >= self->retry_at)
    ph_connector_attempt_start (self, now, 0);
  ph_connector_tend_connections (self);
  ph_connector_tell_end (self);
}

bool
ph_connector_poll_transmit (PhConnector *self, PhTime now, PhTransmit *tx)
{
  ph_connector_advance (self, now);
  if (self->agent != NULL
      && (ph_ice_agent_poll_transmit (self->agent, now, tx)
          || ph_connector_guess_poll_transmit (self, tx)))
    return true;
  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++) {
    PhLinkSlot *slot = &self->links.slots[i];
    const PhConnection *connection =
        slot->link != NULL && ph_link_is_tls (slot->link)
            ? ph_connections_find (self->connections, slot->path.socket)
            : NULL;

    slot->blocked = connection != NULL && connection->blocked;
  }
  return ph_link_table_poll_transmit (&self->links, now, tx);
}

bool
ph_connector_poll_event (PhConnector *self, PhConnectorEvent *ret_event)
{
  PhConnectorEvent *event;

  g_clear_pointer (&self->buried, ph_link_free);
  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX && g_queue_is_empty (&self->events); i++) {
    if (self->links.slots[i].link != NULL)
      ph_connector_poll_link (self, &self->links.slots[i]);
  }

  event = g_queue_pop_head (&self->events);
  if (event == NULL)
    return false;
  *ret_event = *event;
  g_free (event);
  if (ret_event->type == PH_CONNECTOR_EVENT_LINK_CLOSED)
    self->buried = ret_event->link;
  return true;
}

PhTime
ph_connector_next_timeout (const PhConnector *self, const char **ret_why)
{
  const char *why = NULL;
  PhTime next = ph_link_table_next_timeout (&self->links, ret_why);
  const PhTime punch = ph_connector_punch_timeout (self, &why);
  const PhTime guess = ph_connector_guess_next_timeout (self);

  if (guess < next) {
    next = guess;
    *ret_why = "guessing ports";
  }

  if (punch < next) {
    next = punch;
    *ret_why = why;
  }
  if (self->agent != NULL) {
    const PhTime t = ph_ice_agent_next_timeout (self->agent, &why);

    if (t < next) {
      next = t;
      *ret_why = why;
    }
    if (self->remote_generation == 0 && self->answer_by < next) {
      next = self->answer_by;
      *ret_why = "peer does not answer";
    }
    if (self->link_by < next) {
      next = self->link_by;
      *ret_why = "peer opens no link";
    }
    if (self->ready_by < next) {
      next = self->ready_by;
      *ret_why = "handshake takes long";
    }
  } else if (self->wanted && self->retry_at < next) {
    next = self->retry_at;
    *ret_why = "next attempt";
  }
  return next;
}

bool
ph_connector_take_silenced (PhConnector *self)
{
  const bool silenced = self->silenced;

  self->silenced = false;
  return silenced;
}

bool
ph_connector_is_active (const PhConnector *self)
{
  return self->wanted || self->agent != NULL;
}

bool
ph_connector_is_up (const PhConnector *self)
{
  return ph_link_table_any_ready (&self->links);
}

const PhIceAgent *
ph_connector_agent (const PhConnector *self)
{
  return self->agent;
}

PhLink *
ph_connector_nth_link (const PhConnector *self, unsigned n)
{
  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++) {
    if (self->links.slots[i].link != NULL && n-- == 0)
      return self->links.slots[i].link;
  }
  return NULL;
}

bool
ph_connector_link_path (const PhConnector *self, const PhLink *link, PhPath *ret_path)
{
  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++) {
    if (self->links.slots[i].link == link) {
      *ret_path = self->links.slots[i].path;
      return true;
    }
  }
  return false;
}

bool
ph_connector_is_client (const PhConnector *self)
{
  return self->client;
}
