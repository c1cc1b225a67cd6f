/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The connector's attempts to guess ports, by the plans of net/punch.
 *
 * Only while the peer is wanted, data flows and all of it is relayed; a hit is a check that arrives. Both sides
 * tell their NATs (the signal NAT) and so have fitting plans. Each side begins on its own, since both see the
 * relayed pair selected at about the same time. Fresh sockets come from the driver, through the endpoint;
 * one that a check has arrived on becomes a candidate of the agent's, and is kept for as long as a pair
 * or a link uses it; the rest are given back when the attempt is over. */

#include "net/connect/ph-connector-private.h"

/* Ordinary checks find what can be found in less. */
#define PATIENCE (1500 * PH_MSEC)
/* The side that opens many ports has opened half of them by then; probes that come earlier are wasted. */
#define OPENING_INTERVAL (700 * PH_MSEC)
/* The longest plan sends for 10.3 s; its last probe may be answered a moment later. */
#define ATTEMPT_INTERVAL (13 * PH_SEC)
/* With the agent's own new checks of all pairs, see ph-ice-agent.c. */
#define RETRY_INTERVAL (60 * PH_SEC)
/* Attempts begin at times that both sides know, so that one which begins late on one side alone is not followed by
 * others that all miss the peer's. For that the pause may be so much shorter. */
#define ATTEMPT_PERIOD (ATTEMPT_INTERVAL + RETRY_INTERVAL)
#define RETRY_SLACK (10 * PH_SEC)
/* Candidates that would say where to send may be on their way. */
#define TARGET_INTERVAL (2 * PH_SEC)
/* Chances do not get better: networks that beat five attempts beat more. */
#define ATTEMPTS_MAX 5
/* Passes the NATs of this side and dies before the peer's: see ph-ice-open.c. */
#define OPENER_TTL 4
/* A prediction is of no use when others have had so long to take ports. */
#define PREDICTION_AGE_MAX (3 * PH_SEC)

void
ph_connector_guess_init (PhGuess *self)
{
  self->allowed = true;
  self->relayed_since = PH_NEVER;
  self->run_at = PH_NEVER;
  self->end_at = PH_NEVER;
  self->sockets = g_array_new (FALSE, TRUE, sizeof (PhGuessSocket));
  self->unused = g_array_new (FALSE, TRUE, sizeof (uint32_t));
}

void
ph_connector_guess_clear (PhGuess *self)
{
  g_clear_pointer (&self->binding, ph_stun_binding_free);
  g_array_unref (self->sockets);
  g_array_unref (self->unused);
}

static const PhGuessSocket *
find_socket (const PhGuess *self, uint32_t id)
{
  for (guint i = 0; i < self->sockets->len; i++) {
    const PhGuessSocket *socket = &g_array_index (self->sockets, PhGuessSocket, i);

    if (socket->id == id)
      return socket;
  }
  return NULL;
}

/* --- Sockets ------------------------------------------------------------------------------------ */

typedef struct {
  uint32_t socket;
  bool found;
} Use;

static bool
is_valid_on (void *user, const PhIcePair *pair)
{
  Use *use = user;

  use->found = pair->socket == use->socket && pair->state == PH_ICE_PAIR_SUCCEEDED;
  return !use->found;
}

static bool
is_used (const PhConnector *self, uint32_t socket)
{
  Use use = {.socket = socket};

  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++) {
    if (self->links.slots[i].link != NULL && self->links.slots[i].path.socket == socket)
      return true;
  }
  if (self->agent != NULL)
    ph_ice_agent_for_each_pair (self->agent, is_valid_on, &use);
  return use.found;
}

/* Gives back what nothing came of. */
static void
release_sockets (PhConnector *self)
{
  PhGuess *guess = &self->guess;

  for (guint i = guess->sockets->len; i-- > 0;) {
    const uint32_t id = g_array_index (guess->sockets, PhGuessSocket, i).id;

    if (is_used (self, id))
      continue;
    if (self->agent != NULL)
      ph_ice_agent_remove_socket (self->agent, self->now, id);
    g_array_append_val (guess->unused, id);
    g_array_remove_index (guess->sockets, i);
  }
}

bool
ph_connector_poll_fresh_wish (PhConnector *self, PhAddr *ret_local, unsigned *ret_n)
{
  PhGuess *guess = &self->guess;

  if (guess->wished == 0)
    return false;
  *ret_local = guess->base_addr;
  ret_local->port = 0;
  *ret_n = guess->wished;
  guess->wished = 0;
  return true;
}

uint32_t
ph_connector_poll_unused_socket (PhConnector *self)
{
  GArray *unused = self->guess.unused;
  uint32_t socket;

  if (unused->len == 0)
    return 0;
  socket = g_array_index (unused, uint32_t, unused->len - 1);
  g_array_set_size (unused, unused->len - 1);
  return socket;
}

void
ph_connector_give_sockets_back (PhConnector *self, GArray *sockets)
{
  PhGuess *guess = &self->guess;

  g_array_append_vals (sockets, guess->unused->data, guess->unused->len);
  for (guint i = 0; i < guess->sockets->len; i++)
    g_array_append_vals (sockets, &g_array_index (guess->sockets, PhGuessSocket, i).id, 1);
  g_array_set_size (guess->unused, 0);
  g_array_set_size (guess->sockets, 0);
}

/* --- Beginning and end -------------------------------------------------------------------------- */

typedef struct {
  PhAddr target;
  uint32_t base;
  PhAddr base_addr;
} Ends;

/* The peer's address on the internet, and the socket of ours that ordinary checks go there from. */
static bool
find_ends (void *user, const PhIcePair *pair)
{
  Ends *ends = user;

  if (pair->local.type == PH_CANDIDATE_RELAY || pair->remote.type == PH_CANDIDATE_RELAY
      || pair->local.transport != PH_CANDIDATE_UDP || pair->remote_addr.family != PH_FAMILY_IPV4
      || pair->remote.type == PH_CANDIDATE_PRFLX
      || ph_addr_scope (&pair->remote_addr) != PH_SCOPE_GLOBAL)
    return true;
  ends->target = pair->remote_addr;
  ends->base = pair->socket;
  ends->base_addr = pair->local.base;
  return false;
}

/* The next time that is known to both sides, after a pause. */
static PhTime
next_attempt (const PhConnector *self)
{
  const PhTime not_before = ph_time_add (self->now, RETRY_INTERVAL - RETRY_SLACK);
  PhTime begin = ph_time_add (self->guess.relayed_since, PATIENCE);

  if (begin == PH_NEVER)
    return ph_time_add (self->now, RETRY_INTERVAL);
  if (begin < not_before)
    begin += (not_before - begin + ATTEMPT_PERIOD - 1) / ATTEMPT_PERIOD * ATTEMPT_PERIOD;
  return begin;
}

void
ph_connector_guess_end (PhConnector *self)
{
  PhGuess *guess = &self->guess;

  if (guess->plan == PH_PUNCH_NONE)
    return;
  ph_trace (&self->config.trace, self->now, "guess", "attempt %u is over", guess->attempts);
  guess->plan = PH_PUNCH_NONE;
  guess->not_before = next_attempt (self);
  guess->end_at = PH_NEVER;
  guess->run_at = PH_NEVER;
  guess->wished = 0;
  guess->run = (PhPunchRun){0};
  guess->predicted = (PhAddr){0};
  guess->told = (PhAddr){0};
  g_clear_pointer (&guess->binding, ph_stun_binding_free);
  release_sockets (self);
}

static void
run (PhConnector *self, uint16_t port)
{
  PhGuess *guess = &self->guess;

  guess->run_at = PH_NEVER;
  ph_punch_run_start (&guess->run, self->now, guess->plan, self->client, port, guess->peer.step,
                      &self->config.random);
}

/* The run may begin if it has waited for a prediction. */
static void
run_if_told (PhConnector *self)
{
  PhGuess *guess = &self->guess;

  if (!ph_punch_is_told (guess->plan) || guess->run.n != 0 || !ph_addr_is_set (&guess->told)
      || ph_time_since (self->now, guess->told_at) > PREDICTION_AGE_MAX
      || (guess->plan == PH_PUNCH_MEET && !ph_addr_is_set (&guess->predicted)))
    return;
  guess->target = guess->told;
  run (self, guess->told.port);
  if (guess->plan == PH_PUNCH_MEET
      && ph_punch_one_sequence (&guess->own, &guess->predicted, &guess->peer, &guess->told))
    ph_punch_run_take_turns (&guess->run, &guess->own);
}

static void
begin (PhConnector *self, PhPunchPlan plan)
{
  PhGuess *guess = &self->guess;
  Ends ends = {0};

  ph_ice_agent_for_each_pair (self->agent, find_ends, &ends);
  if (!ph_addr_is_set (&ends.target)) {
    guess->not_before = ph_time_add (self->now, TARGET_INTERVAL);
    return;
  }
  guess->attempts++;
  guess->plan = plan;
  guess->target = ends.target;
  guess->base = ends.base;
  guess->base_addr = ends.base_addr;
  guess->wished = ph_punch_sockets (plan);
  guess->end_at = ph_time_add (self->now, ATTEMPT_INTERVAL);
  ph_trace (&self->config.trace, self->now, "guess", "attempt %u, plan %d", guess->attempts,
            (int)plan);
  if (plan == PH_PUNCH_PROBE_RANDOM)
    guess->run_at = ph_time_add (self->now, OPENING_INTERVAL);
  run_if_told (self);
}

static bool
is_relayed (const PhConnector *self)
{
  PhIcePair pair;

  return self->wanted && self->agent != NULL && ph_link_table_any_ready (&self->links)
         && ph_ice_agent_selected (self->agent, &pair)
         && ph_path_classify (&pair.local, &pair.remote) == PH_PATH_RELAY;
}

/* For whoever asks why the path is no better: what stands in the way of a direct one, once each time that the
 * peer's word about its NAT changes. */
static void
explain (PhConnector *self)
{
  static const char *const nats[] = {
      "a kind that is not known",
      "a kind that needs no guessing",
      "a strict kind",
      "one port after another",
      "random ports",
  };
  PhGuess *guess = &self->guess;

  G_STATIC_ASSERT (G_N_ELEMENTS (nats) == PH_N_PUNCH_NATS);
  if (guess->explained == guess->peer.kind
      || ph_time_since (self->now, guess->relayed_since) < PATIENCE)
    return;
  guess->explained = guess->peer.kind;
  ph_trace (&self->config.trace, self->now, "guess",
            "relayed, as no checks get through: our router has %s, the other one %s; %s",
            nats[guess->own.kind], nats[guess->peer.kind],
            ph_punch_plan (&guess->own, &guess->peer) != PH_PUNCH_NONE
                ? "ports are guessed"
                : "there is nothing to guess");
}

bool
ph_connector_consider_guessing (PhConnector *self, PhTime now, bool may_begin)
{
  PhGuess *guess = &self->guess;

  ph_connector_advance (self, now);
  guess->waits = !may_begin;
  if (!is_relayed (self) || !guess->allowed) {
    guess->relayed_since = PH_NEVER;
    ph_connector_guess_end (self);
    return false;
  }
  if (guess->relayed_since == PH_NEVER) {
    guess->relayed_since = now;
    guess->explained = PH_N_PUNCH_NATS;
  }
  explain (self);
  if (guess->plan == PH_PUNCH_NONE && may_begin && guess->attempts < ATTEMPTS_MAX
      && now >= ph_connector_guess_next_begin (self)) {
    const PhPunchPlan plan = ph_punch_plan (&guess->own, &guess->peer);

    if (plan != PH_PUNCH_NONE)
      begin (self, plan);
  }
  return guess->plan != PH_PUNCH_NONE;
}

PhTime
ph_connector_guess_next_begin (const PhConnector *self)
{
  const PhGuess *guess = &self->guess;

  if (guess->relayed_since == PH_NEVER || guess->plan != PH_PUNCH_NONE
      || guess->attempts >= ATTEMPTS_MAX
      || ph_punch_plan (&guess->own, &guess->peer) == PH_PUNCH_NONE)
    return PH_NEVER;
  return MAX (ph_time_add (guess->relayed_since, PATIENCE), guess->not_before);
}

/* --- What is told ------------------------------------------------------------------------------- */

void
ph_connector_set_nat (PhConnector *self, PhTime now, const PhPunchNat *nat, bool allowed)
{
  PhGuess *guess = &self->guess;

  ph_connector_advance (self, now);
  if (guess->own.kind != nat->kind || guess->own.step != nat->step) {
    guess->attempts = 0;
    guess->nat_due = self->agent != NULL;
  }
  guess->own = *nat;
  guess->allowed = allowed;
}

void
ph_connector_guess_handle_nat (PhConnector *self, const PhSignalMessage *message)
{
  PhGuess *guess = &self->guess;
  PhPunchNat nat = {PH_PUNCH_NAT_UNKNOWN, (int)message->nat_step};

  if (message->nat_kind < PH_N_PUNCH_NATS)
    nat.kind = (PhPunchNatKind)message->nat_kind;
  if (nat.kind == PH_PUNCH_NAT_SEQUENTIAL && nat.step == 0)
    nat.kind = PH_PUNCH_NAT_UNKNOWN;
  guess->peer = nat;
  if (ph_candidate_usable (&message->prediction, false)
      && ph_addr_scope (&message->prediction) == PH_SCOPE_GLOBAL) {
    guess->told = message->prediction;
    guess->told_at = self->now;
    run_if_told (self);
  }
}

bool
ph_connector_guess_poll_nat (PhConnector *self, PhSignalMessage *ret_message)
{
  PhGuess *guess = &self->guess;

  if (!guess->nat_due || self->agent == NULL)
    return false;
  guess->nat_due = false;
  *ret_message = (PhSignalMessage){
      .type = PH_SIGNAL_NAT,
      .generation = self->generation,
      .nat_kind = guess->own.kind,
      .nat_step = guess->own.step,
      .prediction = guess->predicted,
  };
  return true;
}

/* --- Packets ------------------------------------------------------------------------------------ */

void
ph_connector_add_fresh_socket (PhConnector *self, PhTime now, uint32_t socket, const PhAddr *addr,
                               const PhAddr *stun_server)
{
  PhGuess *guess = &self->guess;
  const PhGuessSocket fresh = {socket, *addr};

  ph_connector_advance (self, now);
  g_array_append_val (guess->sockets, fresh);
  if (guess->plan == PH_PUNCH_NONE)
    release_sockets (self); /* it was over before they came */
  else if (guess->plan == PH_PUNCH_OPEN_MANY && guess->run.n == 0)
    run (self, guess->target.port);
  else if (ph_punch_predicts (guess->plan) && guess->binding == NULL
           && ph_addr_is_set (stun_server)) {
    const PhStunBindingConfig config = {
        .socket = socket,
        .server = *stun_server,
        .random = self->config.random,
        .trace = &self->config.trace,
    };

    guess->binding = ph_stun_binding_new (&config, now);
    ph_stun_binding_handle_timeout (guess->binding, now);
  }
}

/* The fresh socket was measured: the mapping after this one is foreseen. */
static void
measured (PhConnector *self, const PhAddr *mapped)
{
  PhGuess *guess = &self->guess;

  guess->predicted = *mapped;
  guess->predicted.port = (uint16_t)(mapped->port + guess->own.step);
  guess->nat_due = true;
  if (guess->plan == PH_PUNCH_BE_PREDICTED)
    run (self, guess->target.port);
  else
    run_if_told (self);
}

bool
ph_connector_guess_handle_packet (PhConnector *self, const PhDatagram *in)
{
  PhGuess *guess = &self->guess;
  const PhGuessSocket *socket = find_socket (guess, in->socket);
  PhStunBindingEvent event;

  if (socket == NULL || !ph_stun_is_stun (in->bytes))
    return false;
  if (guess->binding != NULL && ph_stun_binding_handle_packet (guess->binding, self->now, in)) {
    /* Asked once: every further question would be a mapping's refresh for nothing. */
    if (ph_stun_binding_poll_event (guess->binding, &event) && event.type == PH_STUN_BINDING_MAPPED
        && !ph_addr_is_set (&guess->predicted))
      measured (self, &event.mapped);
    g_clear_pointer (&guess->binding, ph_stun_binding_free);
    return true;
  }
  /* It comes again. */
  if (guess->plan == PH_PUNCH_MEET
      && (guess->run.n == 0 || ph_punch_run_takes_ports (&guess->run, self->now)))
    return true;
  if (self->agent != NULL) {
    const PhCandidate local = ph_candidate_host (socket->addr, socket->id, 0);

    if (ph_ice_agent_adopt (self->agent, &local, in->bytes))
      ph_trace (&self->config.trace, self->now, "guess", "hit, after %u packets", guess->run.sent);
  }
  return false; /* the agent's now */
}

static bool
write_packet (PhConnector *self, const PhPunchPacket *packet, PhTransmit *tx)
{
  PhGuess *guess = &self->guess;
  const bool opener = guess->plan == PH_PUNCH_OPEN_MANY || guess->plan == PH_PUNCH_BE_PREDICTED;
  PhWriter w = ph_writer (tx->data, tx->cap);
  PhStunId id;

  if (guess->sockets->len > packet->socket)
    tx->socket = g_array_index (guess->sockets, PhGuessSocket, packet->socket).id;
  else if (ph_punch_sockets (guess->plan) == 0)
    tx->socket = guess->base;
  else
    return false;

  if (opener) {
    ph_random_bytes (&self->config.random, id.bytes, sizeof id.bytes);
    ph_stun_begin (&w, PH_STUN_INDICATION, PH_STUN_BINDING, &id);
    ph_stun_put_fingerprint (&w);
  } else if (!ph_ice_agent_write_probe (self->agent, &w)) {
    return false;
  }
  tx->remote = guess->target;
  tx->remote.port = packet->port;
  tx->len = ph_writer_len (&w);
  tx->segment = 0;
  tx->ecn = 0;
  tx->ttl = opener ? OPENER_TTL : 0;
  return true;
}

bool
ph_connector_guess_poll_transmit (PhConnector *self, PhTransmit *tx)
{
  PhGuess *guess = &self->guess;
  PhPunchPacket packet;

  if (guess->plan == PH_PUNCH_NONE)
    return false;
  if (guess->binding != NULL && ph_stun_binding_poll_transmit (guess->binding, self->now, tx))
    return true;
  while (guess->run.n != 0 && ph_punch_run_poll (&guess->run, self->now, &packet)) {
    if (write_packet (self, &packet, tx))
      return true;
  }
  return false;
}

void
ph_connector_guess_handle_timeout (PhConnector *self)
{
  PhGuess *guess = &self->guess;

  if (guess->plan == PH_PUNCH_NONE) {
    release_sockets (self);
    return;
  }
  if (guess->binding != NULL)
    ph_stun_binding_handle_timeout (guess->binding, self->now);
  if (self->now >= guess->run_at)
    run (self, 0);
  if (self->now >= guess->end_at)
    ph_connector_guess_end (self);
}

PhTime
ph_connector_guess_next_timeout (const PhConnector *self)
{
  const PhGuess *guess = &self->guess;
  const char *why;
  PhTime next;

  if (guess->plan == PH_PUNCH_NONE)
    return guess->waits ? PH_NEVER : ph_connector_guess_next_begin (self);
  next = ph_time_min (guess->end_at, guess->run_at);
  if (guess->run.n != 0)
    next = ph_time_min (next, ph_punch_run_next_timeout (&guess->run));
  if (guess->binding != NULL)
    next = ph_time_min (next, ph_stun_binding_next_timeout (guess->binding, &why));
  return next;
}
