/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "tests/sim/ph-sim-ice.h"

/* First byte of what ph_sim_ice_exchange() sends: a QUIC short header, as data has. */
#define DATA_BYTE 0x40
#define DATA_LEN 1200
#define SAME_PORT 41000

typedef enum { SIGNAL_CREDENTIALS, SIGNAL_CANDIDATE, SIGNAL_END } SignalType;

typedef struct {
  PhSimIcePeer *to;
  SignalType type;
  uint8_t candidate[PH_CANDIDATE_WIRE_MAX];
  size_t candidate_len;
} Signal;

/* --- Signalling --------------------------------------------------------------------------------- */

static PhSimIcePeer *
other_side (const PhSimIcePeer *peer)
{
  return &peer->ice->peer[!peer->who];
}

static void
on_signal (void *user, PhTime now)
{
  const Signal *signal = user;
  PhSimIcePeer *peer = signal->to;
  const PhSimIcePeer *from = other_side (peer);

  if (!peer->ice->signalling)
    return;
  switch (signal->type) {
  case SIGNAL_CREDENTIALS:
    g_assert_true (ph_ice_agent_set_remote_credentials (
        peer->agent, now, ph_ice_agent_ufrag (from->agent), ph_ice_agent_pwd (from->agent)));
    break;
  case SIGNAL_CANDIDATE: {
    PhReader r = ph_reader (ph_slice (signal->candidate, signal->candidate_len));
    PhCandidate candidate;

    ph_candidate_read (&r, &candidate);
    g_assert_true (ph_reader_done (&r));
    ph_sim_world_tell (peer->ice->world, peer->who, &candidate.addr);
    ph_ice_agent_add_remote_candidate (peer->agent, now, &candidate);
    break;
  }
  case SIGNAL_END:
    ph_ice_agent_end_remote (peer->agent, now);
    break;
  }
  ph_sim_driver_settle (peer->driver);
}

static void
send_signal (PhSimIcePeer *from, SignalType type, const PhCandidate *candidate)
{
  PhSim *sim = from->ice->world->sim;
  Signal *signal = g_new0 (Signal, 1);

  signal->to = other_side (from);
  signal->type = type;
  if (candidate != NULL) {
    PhWriter w = ph_writer (signal->candidate, sizeof signal->candidate);

    ph_candidate_write (&w, candidate);
    g_assert_true (ph_writer_ok (&w));
    signal->candidate_len = ph_writer_len (&w);
  }
  ph_sim_own (sim, signal, g_free);
  ph_sim_at (sim, ph_sim_now (sim) + from->ice->signal_delay, on_signal, signal);
}

/* --- The core: bindings and agent --------------------------------------------------------------- */

static void
peer_receive_data (PhSimIcePeer *peer, const PhDatagram *in)
{
  PhIcePair pair;

  /* Nothing is taken from where no check has succeeded. */
  if (!ph_ice_agent_find_valid (peer->agent, in->socket, &in->remote, &pair))
    return;
  g_assert_cmpuint (in->bytes.len, ==, DATA_LEN);
  peer->received++;
  peer->received_aside += pair.id != peer->selected_id;
}

static void
peer_handle_packet (void *core, PhTime now, const PhDatagram *in)
{
  PhSimIcePeer *peer = core;

  if (in->bytes.len > 0 && in->bytes.data[0] == DATA_BYTE) {
    peer_receive_data (peer, in);
    return;
  }
  for (int i = 0; i < PH_SIM_ICE_SOCKETS; i++) {
    if (peer->binding[i] != NULL && ph_stun_binding_handle_packet (peer->binding[i], now, in))
      return;
  }
  ph_ice_agent_handle_packet (peer->agent, now, in);
}

static void
peer_handle_timeout (void *core, PhTime now)
{
  PhSimIcePeer *peer = core;

  for (int i = 0; i < PH_SIM_ICE_SOCKETS; i++) {
    if (peer->binding[i] != NULL)
      ph_stun_binding_handle_timeout (peer->binding[i], now);
  }
  ph_ice_agent_handle_timeout (peer->agent, now);
}

static bool
peer_poll_transmit (void *core, PhTime now, PhTransmit *tx)
{
  PhSimIcePeer *peer = core;

  for (int i = 0; i < PH_SIM_ICE_SOCKETS; i++) {
    if (peer->binding[i] != NULL && ph_stun_binding_poll_transmit (peer->binding[i], now, tx))
      return true;
  }
  return ph_ice_agent_poll_transmit (peer->agent, now, tx);
}

static PhTime
peer_next_timeout (const void *core, const char **ret_why)
{
  const PhSimIcePeer *peer = core;
  PhTime when = ph_ice_agent_next_timeout (peer->agent, ret_why);

  for (int i = 0; i < PH_SIM_ICE_SOCKETS; i++) {
    const char *why;
    PhTime at;

    if (peer->binding[i] == NULL)
      continue;
    at = ph_stun_binding_next_timeout (peer->binding[i], &why);
    if (at < when) {
      when = at;
      *ret_why = why;
    }
  }
  return when;
}

static void
peer_binding_event (PhSimIcePeer *peer, int index, PhTime now, const PhStunBindingEvent *event)
{
  if (peer->bindings_open > 0 && --peer->bindings_open == 0) {
    ph_ice_agent_end_local (peer->agent, now);
    send_signal (peer, SIGNAL_END, NULL);
  }
  if (event->type != PH_STUN_BINDING_MAPPED)
    return;

  const PhSimWorld *world = peer->ice->world;
  const PhCandidate candidate = ph_candidate_srflx (&peer->host_candidate[index], event->mapped,
                                                    index == 0 ? world->stun : world->stun6);

  if (ph_ice_agent_add_local_candidate (peer->agent, now, &candidate))
    send_signal (peer, SIGNAL_CANDIDATE, &candidate);
}

static void
peer_ice_event (PhSimIcePeer *peer, PhTime now, const PhIceEvent *event)
{
  switch (event->type) {
  case PH_ICE_EVENT_PAIR_VALID:
  case PH_ICE_EVENT_NOMINATING:
  case PH_ICE_EVENT_CONNECT:
    break;
  case PH_ICE_EVENT_SELECTED:
    if (peer->n_selected++ == 0)
      peer->connected_at = now;
    peer->selected_id = event->pair.id;
    break;
  case PH_ICE_EVENT_PAIR_LOST:
    if (event->pair.id == peer->selected_id) {
      peer->selected_id = 0;
      peer->last_lost_at = now;
    }
    break;
  case PH_ICE_EVENT_DISCONNECTED:
    peer->n_disconnected++;
    peer->disconnected_at = now;
    /* Perhaps our NAT has forgotten us: the other side should know our new address. */
    for (int i = 0; i < PH_SIM_ICE_SOCKETS; i++) {
      if (peer->binding[i] != NULL)
        ph_stun_binding_refresh (peer->binding[i], now);
    }
    break;
  case PH_ICE_EVENT_FAILED:
    peer->failed_at = now;
    break;
  }
}

static bool
peer_drain (void *core, PhTime now)
{
  PhSimIcePeer *peer = core;
  PhStunBindingEvent binding_event;
  PhIceEvent ice_event;
  bool any = false;

  for (int i = 0; i < PH_SIM_ICE_SOCKETS; i++) {
    while (peer->binding[i] != NULL
           && ph_stun_binding_poll_event (peer->binding[i], &binding_event)) {
      peer_binding_event (peer, i, now, &binding_event);
      any = true;
    }
  }
  while (ph_ice_agent_poll_event (peer->agent, &ice_event)) {
    peer_ice_event (peer, now, &ice_event);
    any = true;
  }
  return any;
}

static const PhSimCore peer_class = {
    .handle_packet = peer_handle_packet,
    .handle_timeout = peer_handle_timeout,
    .poll_transmit = peer_poll_transmit,
    .drain = peer_drain,
    .next_timeout = peer_next_timeout,
};

/* --- Making them -------------------------------------------------------------------------------- */

static void
on_start (void *user, PhTime now)
{
  PhSimIcePeer *peer = user;
  const PhSimWorld *world = peer->ice->world;
  const PhRandom *random = ph_sim_random_for (world->sim, peer->who == 0 ? "stun0" : "stun1");

  peer->started = true;
  peer->started_at = now;
  send_signal (peer, SIGNAL_CREDENTIALS, NULL);
  for (int i = 0; i < PH_SIM_ICE_SOCKETS; i++) {
    if (peer->socket[i] == 0)
      continue;
    peer->host_candidate[i] = ph_candidate_host (peer->local[i], peer->socket[i], 0);
    if (ph_ice_agent_add_local_candidate (peer->agent, now, &peer->host_candidate[i]))
      send_signal (peer, SIGNAL_CANDIDATE, &peer->host_candidate[i]);

    const PhStunBindingConfig config = {
        .socket = peer->socket[i],
        .server = i == 0 ? world->stun : world->stun6,
        .random = *random,
    };

    peer->binding[i] = ph_stun_binding_new (&config, now);
    peer->bindings_open++;
  }
  ph_sim_driver_settle (peer->driver);
}

static void
peer_open (PhSimIcePeer *peer, const PhSimIceOptions *options)
{
  const PhSimWorld *world = peer->ice->world;
  PhSimHost *host = world->host[peer->who];
  PhAddr bind[PH_SIM_ICE_SOCKETS] = {world->ip[peer->who], world->ip6[peer->who]};
  const PhIceConfig config = {
      .controlling = peer->who == PH_SIM_LEFT || options->same_role,
      .random = *ph_sim_random_for (world->sim, peer->who == 0 ? "ice0" : "ice1"),
      .trace = options->trace.event != NULL ? &options->trace : NULL,
  };

  for (int i = 0; i < PH_SIM_ICE_SOCKETS; i++) {
    if (!ph_addr_is_set (&bind[i]))
      continue;
    bind[i].port = options->same_port ? SAME_PORT : 0;
    peer->socket[i] = ph_sim_host_open (host, &bind[i], &peer->local[i]);
    g_assert_cmpuint (peer->socket[i], !=, 0);
  }
  peer->agent = ph_ice_agent_new (&config, ph_sim_now (world->sim));
  peer->driver = ph_sim_driver_new (world->sim, host, &peer_class, peer);
  ph_sim_at (world->sim,
             ph_sim_now (world->sim) + (peer->who == PH_SIM_RIGHT ? options->skew_interval : 0),
             on_start, peer);
}

static void
ice_free (void *ice)
{
  PhSimIce *self = ice;

  for (int who = 0; who < 2; who++) {
    for (int i = 0; i < PH_SIM_ICE_SOCKETS; i++)
      g_clear_pointer (&self->peer[who].binding[i], ph_stun_binding_free);
    ph_ice_agent_free (self->peer[who].agent);
  }
  g_free (self);
}

PhSimIce *
ph_sim_ice_new (PhSimWorld *world, const PhSimIceOptions *options)
{
  PhSimIce *self = g_new0 (PhSimIce, 1);

  self->world = world;
  self->signalling = true;
  /* Over a rendezvous that is on the internet: both lines, and something for the server. */
  self->signal_delay = ph_sim_iface_up (world->line[0])->delay
                       + ph_sim_iface_up (world->line[1])->delay + 5 * PH_MSEC;
  ph_sim_own (world->sim, self, ice_free);
  for (int who = 0; who < 2; who++) {
    self->peer[who].ice = self;
    self->peer[who].who = (PhSimWho)who;
    peer_open (&self->peer[who], options);
  }
  return self;
}

/* --- Running ------------------------------------------------------------------------------------ */

bool
ph_sim_ice_connected (const PhSimIce *self)
{
  return self->peer[0].selected_id != 0 && self->peer[1].selected_id != 0;
}

static bool
is_connected (void *user)
{
  return ph_sim_ice_connected (user);
}

bool
ph_sim_ice_run_connected (PhSimIce *self, PhTime interval)
{
  PhSim *sim = self->world->sim;

  return ph_sim_run_while_not (sim, ph_sim_now (sim) + interval, is_connected, self);
}

void
ph_sim_ice_run (PhSimIce *self, PhTime interval)
{
  PhSim *sim = self->world->sim;

  ph_sim_run (sim, ph_sim_now (sim) + interval);
}

static void
exchange_one (PhSimIce *self)
{
  uint8_t bytes[DATA_LEN] = {DATA_BYTE};

  for (int who = 0; who < 2; who++) {
    PhIcePair pair;

    if (ph_ice_agent_selected (self->peer[who].agent, &pair))
      ph_sim_host_send_bytes (self->world->host[who], pair.socket, &pair.remote_addr,
                              ph_slice (bytes, sizeof bytes));
  }
}

void
ph_sim_ice_exchange (PhSimIce *self, unsigned n)
{
  for (unsigned i = 0; i < n; i++) {
    exchange_one (self);
    ph_sim_ice_run (self, 20 * PH_MSEC);
  }
  ph_sim_ice_run (self, 500 * PH_MSEC);
}

bool
ph_sim_ice_exchange_until_received (PhSimIce *self, PhTime interval)
{
  const PhTime until = ph_sim_now (self->world->sim) + interval;

  self->peer[0].received = self->peer[1].received = 0;
  while (ph_sim_now (self->world->sim) < until) {
    exchange_one (self);
    ph_sim_ice_run (self, 50 * PH_MSEC);
    if (self->peer[0].received > 0 && self->peer[1].received > 0)
      return true;
  }
  return false;
}
