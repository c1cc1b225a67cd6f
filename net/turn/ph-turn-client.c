/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/turn/ph-turn-private.h"

/* RFC 8656 §3.2's default, and what a server is believed at most. */
#define LIFETIME_DEFAULT (600 * PH_SEC)
#define LIFETIME_MAX (3600 * PH_SEC)
/* Shorter ones are taken as this: a server cannot make us ask all the time. */
#define LIFETIME_MIN (20 * PH_SEC)
/* Refreshed so long before the end: time for a refresh that is answered late and one after it. */
#define REFRESH_MARGIN (60 * PH_SEC)
/* Home routers forget an idle UDP mapping after 30 s. */
#define KEEPALIVE_INTERVAL (20 * PH_SEC)

/* A relayed address is waited for by a person: 0, 0.25, 0.75, 1.75, 3.75 s, given up after 7.75 s. */
static const PhStunTimers udp_timers = {250 * PH_MSEC, 5, 16};
/* TCP repeats by itself. */
static const PhStunTimers stream_timers = {10 * PH_SEC, 1, 1};

#define EDGE(state) (1u << (state))
static const unsigned turn_edges[] = {
    [PH_TURN_ALLOCATING] = EDGE (PH_TURN_ALLOCATED) | EDGE (PH_TURN_FAILED) | EDGE (PH_TURN_CLOSING)
                           | EDGE (PH_TURN_CLOSED),
    [PH_TURN_ALLOCATED] = EDGE (PH_TURN_CLOSING) | EDGE (PH_TURN_LOST),
    [PH_TURN_CLOSING] = EDGE (PH_TURN_CLOSED),
    [PH_TURN_FAILED] = 0,
    [PH_TURN_LOST] = 0,
    [PH_TURN_CLOSED] = 0,
};

static const char *const state_names[] = {
    [PH_TURN_ALLOCATING] = "allocating",
    [PH_TURN_ALLOCATED] = "allocated",
    [PH_TURN_CLOSING] = "closing",
    [PH_TURN_FAILED] = "failed",
    [PH_TURN_LOST] = "lost",
    [PH_TURN_CLOSED] = "closed",
};

void
ph_turn_enter (PhTurnClient *self, PhTime now, PhTurnState next, PhTurnWhy why, unsigned error)
{
  char server[PH_ADDR_STRING_MAX];

  g_assert (turn_edges[self->state] & EDGE (next));
  ph_trace (self->config.trace, now, "turn", "server %s: %s, why %d, error %u",
            ph_addr_format (&self->config.server, server), state_names[next], (int)why, error);
  self->state = next;
  self->why = why;
  self->error = error;
  self->tell = next != PH_TURN_CLOSING;
  self->tell_credentials = false;
  ph_turn_request_stop (&self->request);
  if (next == PH_TURN_ALLOCATED)
    return;

  ph_turn_grants_clear (self);
  self->relayed = (PhAddr){0};
  self->refresh_at = PH_NEVER;
  self->expires_at = PH_NEVER;
  self->keepalive_at = PH_NEVER;
  self->keepalive = false;
}

PhTurnClient *
ph_turn_client_new (const PhTurnClientConfig *config, PhTime now)
{
  PhTurnClient *self = g_new0 (PhTurnClient, 1);

  g_assert (ph_addr_is_set (&config->server));
  g_assert (config->relayed_socket != config->socket);
  self->config = *config;
  self->config.username = NULL;
  self->config.password = NULL;
  if (config->family == PH_FAMILY_NONE)
    self->config.family = PH_FAMILY_IPV4;
  if (config->lifetime == 0)
    self->config.lifetime = LIFETIME_DEFAULT;
  if (config->timers.sends_max == 0)
    self->config.timers = config->stream ? stream_timers : udp_timers;
  self->last_now = now;
  self->refresh_at = PH_NEVER;
  self->expires_at = PH_NEVER;
  self->keepalive_at = PH_NEVER;
  self->next_number = PH_TURN_CHANNEL_FIRST;
  ph_turn_grants_clear (self);
  if (ph_turn_login_set (&self->login, config->username, config->password))
    ph_turn_request_start (self, now, &self->request);
  else
    ph_turn_enter (self, now, PH_TURN_FAILED, PH_TURN_WHY_UNAUTHORIZED, 0);
  return self;
}

void
ph_turn_client_free (PhTurnClient *self)
{
  g_free (self);
}

static void
note_time (PhTurnClient *self, PhTime now)
{
  g_assert (now >= self->last_now);
  self->last_now = now;
}

void
ph_turn_sent (PhTurnClient *self, PhTime now)
{
  if (self->state == PH_TURN_ALLOCATED)
    self->keepalive_at = ph_time_add (now, KEEPALIVE_INTERVAL);
}

/* --- The allocation's own question ------------------------------------------------------------ */

/* False: the answer names no lifetime. */
static bool
take_lifetime (PhTurnClient *self, PhTime now, const PhStunMessage *answer)
{
  uint32_t seconds;

  if (!ph_stun_get_u32 (answer, PH_TURN_LIFETIME, &seconds))
    return false;
  self->lifetime = CLAMP (seconds * PH_SEC, LIFETIME_MIN, LIFETIME_MAX);
  self->expires_at = ph_time_add (now, self->lifetime);
  self->refresh_at =
      ph_time_add (now, self->lifetime > 2 * REFRESH_MARGIN ? self->lifetime - REFRESH_MARGIN
                                                            : self->lifetime / 2);
  return true;
}

static void
allocate_answered (PhTurnClient *self, PhTime now, const PhStunMessage *answer)
{
  PhAddr relayed, mapped;

  if (!ph_stun_get_xor_addr (answer, PH_TURN_XOR_RELAYED_ADDRESS, &relayed)
      || !ph_stun_get_xor_addr (answer, PH_STUN_XOR_MAPPED_ADDRESS, &mapped) || mapped.port == 0
      || relayed.port == 0 || relayed.family != self->config.family
      || ph_addr_scope (&relayed) == PH_SCOPE_UNUSABLE || !take_lifetime (self, now, answer)) {
    ph_turn_enter (self, now, PH_TURN_FAILED, PH_TURN_WHY_MALFORMED, 0);
    return;
  }
  ph_turn_enter (self, now, PH_TURN_ALLOCATED, PH_TURN_WHY_NONE, 0);
  self->relayed = relayed;
  self->mapped = mapped;
  ph_turn_sent (self, now);
}

/* What the server has there is ours, or nobody could ask for its end: of a client before this one that was cut
 * off, or whose answers were all lost. It would keep the 5-tuple for ten minutes. */
static void
set_clearing (PhTurnClient *self, PhTime now, bool clearing)
{
  self->clearing = clearing;
  self->cleared = true;
  self->request.challenges = 0;
  ph_turn_request_start (self, now, &self->request);
}

void
ph_turn_allocation_answered (PhTurnClient *self, PhTime now, const PhStunMessage *answer)
{
  ph_turn_request_stop (&self->request);
  switch (self->state) {
  case PH_TURN_ALLOCATING:
    if (self->clearing)
      set_clearing (self, now, false);
    else
      allocate_answered (self, now, answer);
    break;
  case PH_TURN_ALLOCATED:
    if (!take_lifetime (self, now, answer))
      ph_turn_enter (self, now, PH_TURN_LOST, PH_TURN_WHY_MALFORMED, 0);
    break;
  case PH_TURN_CLOSING:
    ph_turn_enter (self, now, PH_TURN_CLOSED, PH_TURN_WHY_NONE, 0);
    break;
  default:
    g_assert_not_reached ();
  }
}

/* The credentials are refused; the allocation lives on while the owner looks for others. */
static void
await_credentials (PhTurnClient *self, PhTime now)
{
  ph_turn_request_stop (&self->request);
  self->refresh_at = PH_NEVER;
  if (self->next_login.username[0] != '\0') {
    self->login = self->next_login;
    self->next_login = (PhTurnLogin){0};
    self->login_refused = false;
    ph_turn_client_refresh (self, now);
    return;
  }
  self->login_refused = true;
  self->tell_credentials = true;
}

void
ph_turn_allocation_refused (PhTurnClient *self, PhTime now, PhTurnWhy why, unsigned error)
{
  switch (self->state) {
  case PH_TURN_ALLOCATING:
    if (why == PH_TURN_WHY_MISMATCH && (self->clearing || !self->cleared))
      set_clearing (self, now, !self->clearing);
    else /* 441: it is of another name */
      ph_turn_enter (self, now, PH_TURN_FAILED,
                     self->clearing && error == 441 ? PH_TURN_WHY_MISMATCH : why, error);
    break;
  case PH_TURN_ALLOCATED:
    if (error == 401)
      await_credentials (self, now);
    else
      ph_turn_enter (self, now, PH_TURN_LOST, why, error);
    break;
  case PH_TURN_CLOSING:
    ph_turn_enter (self, now, PH_TURN_CLOSED, why, error);
    break;
  default:
    g_assert_not_reached ();
  }
}

void
ph_turn_client_refresh (PhTurnClient *self, PhTime now)
{
  note_time (self, now);
  if (self->state != PH_TURN_ALLOCATED || self->request.running || self->login_refused)
    return;
  self->request.challenges = 0;
  ph_turn_request_start (self, now, &self->request);
}

void
ph_turn_client_close (PhTurnClient *self, PhTime now)
{
  note_time (self, now);
  if (self->state != PH_TURN_ALLOCATING && self->state != PH_TURN_ALLOCATED)
    return;
  /* Without a nonce the server cannot have made anything. */
  if (self->nonce_len == 0) {
    ph_turn_enter (self, now, PH_TURN_CLOSED, PH_TURN_WHY_NONE, 0);
    return;
  }
  ph_turn_enter (self, now, PH_TURN_CLOSING, PH_TURN_WHY_NONE, 0);
  self->request.challenges = 0;
  ph_turn_request_start (self, now, &self->request);
}

/* --- The verbs -------------------------------------------------------------------------------- */

PhTurnIn
ph_turn_client_handle_packet (PhTurnClient *self, PhTime now, const PhDatagram *in,
                              PhDatagram *ret_data)
{
  PhStunMessage message;

  note_time (self, now);
  if (in->socket != self->config.socket || !ph_addr_equal (&in->remote, &self->config.server)
      || in->bytes.len == 0)
    return PH_TURN_IN_OTHER;
  if ((in->bytes.data[0] & 0xf0) == 0x40)
    return ph_turn_receive_channel (self, now, in, ret_data);
  if (!ph_stun_parse (in->bytes, &message))
    return PH_TURN_IN_OTHER;
  if (message.klass == PH_STUN_INDICATION && message.method == PH_TURN_METHOD_DATA)
    return ph_turn_receive_indication (self, now, in, &message, ret_data);
  return ph_turn_handle_answer (self, now, &message) ? PH_TURN_IN_DONE : PH_TURN_IN_OTHER;
}

void
ph_turn_client_handle_timeout (PhTurnClient *self, PhTime now)
{
  note_time (self, now);
  if (now >= self->expires_at) {
    const bool refused = self->login_refused;

    ph_turn_enter (self, now, PH_TURN_LOST,
                   refused ? PH_TURN_WHY_UNAUTHORIZED : PH_TURN_WHY_EXPIRED, 0);
    return;
  }

  switch (ph_stun_transaction_due (&self->request.transaction, now)) {
  case PH_STUN_WAIT:
    break;
  case PH_STUN_SEND_AGAIN:
    self->request.send = true;
    break;
  case PH_STUN_GIVE_UP:
    ph_turn_allocation_refused (self, now, PH_TURN_WHY_UNREACHABLE, 0);
    break;
  }
  if (self->state != PH_TURN_ALLOCATED)
    return;

  if (now >= self->refresh_at) {
    self->refresh_at = PH_NEVER;
    ph_turn_client_refresh (self, now);
  }
  if (now >= self->keepalive_at) {
    self->keepalive_at = PH_NEVER;
    self->keepalive = true;
  }
  ph_turn_grants_timeout (self, now);
}

/* An indication needs no answer, and holds the mapping in our NAT. */
static void
write_keepalive (const PhTurnClient *self, PhWriter *w)
{
  PhStunId id;

  ph_random_bytes (&self->config.random, id.bytes, sizeof id.bytes);
  ph_stun_begin (w, PH_STUN_INDICATION, PH_STUN_BINDING, &id);
  ph_stun_put_fingerprint (w);
}

static bool
poll_message (PhTurnClient *self, PhWriter *w)
{
  if (self->request.send) {
    self->request.send = false;
    ph_turn_request_write (self, NULL, w);
    return true;
  }
  for (unsigned i = 0; i < PH_TURN_GRANTS; i++) {
    PhTurnGrant *grant = &self->grants[i];

    if (!grant->request.send)
      continue;
    grant->request.send = false;
    ph_turn_request_write (self, grant, w);
    return true;
  }
  if (self->keepalive) {
    self->keepalive = false;
    write_keepalive (self, w);
    return true;
  }
  return false;
}

bool
ph_turn_client_poll_transmit (PhTurnClient *self, PhTime now, PhTransmit *tx)
{
  PhWriter w = ph_writer (tx->data, tx->cap);

  if (!poll_message (self, &w))
    return false;
  g_assert (ph_writer_ok (&w));
  tx->socket = self->config.socket;
  tx->remote = self->config.server;
  tx->len = ph_writer_len (&w);
  tx->segment = 0;
  tx->ecn = 0;
  ph_turn_sent (self, now);
  return true;
}

bool
ph_turn_client_poll_event (PhTurnClient *self, PhTurnEvent *ret_event)
{
  static const PhTurnEventType types[] = {
      [PH_TURN_ALLOCATED] = PH_TURN_EVENT_ALLOCATED,
      [PH_TURN_FAILED] = PH_TURN_EVENT_FAILED,
      [PH_TURN_LOST] = PH_TURN_EVENT_LOST,
      [PH_TURN_CLOSED] = PH_TURN_EVENT_CLOSED,
  };

  if (self->tell) {
    self->tell = false;
    *ret_event = (PhTurnEvent){
        .type = types[self->state],
        .relayed = self->relayed,
        .mapped = self->mapped,
        .lifetime = self->lifetime,
        .why = self->why,
        .error = self->error,
    };
    return true;
  }
  if (self->tell_credentials) {
    self->tell_credentials = false;
    *ret_event = (PhTurnEvent){
        .type = PH_TURN_EVENT_CREDENTIALS_NEEDED,
        .why = PH_TURN_WHY_UNAUTHORIZED,
        .error = 401,
    };
    return true;
  }
  return ph_turn_grants_poll_event (self, ret_event);
}

static void
earlier (PhTime *deadline, const char **why, PhTime other, const char *other_why)
{
  if (other < *deadline) {
    *deadline = other;
    *why = other_why;
  }
}

PhTime
ph_turn_client_next_timeout (const PhTurnClient *self, const char **ret_why)
{
  PhTime deadline = PH_NEVER;

  *ret_why = "TURN has nothing to do";
  earlier (&deadline, ret_why, self->request.transaction.deadline, "TURN answer overdue");
  earlier (&deadline, ret_why, self->refresh_at, "TURN allocation refreshed");
  earlier (&deadline, ret_why, self->expires_at, "TURN allocation ends");
  earlier (&deadline, ret_why, self->keepalive_at, "TURN mapping kept open");
  for (unsigned i = 0; i < PH_TURN_GRANTS; i++)
    earlier (&deadline, ret_why, ph_turn_grant_deadline (&self->grants[i]),
             "TURN permission or channel");
  return deadline;
}

PhTurnState
ph_turn_client_state (const PhTurnClient *self)
{
  return self->state;
}

PhAddr
ph_turn_client_relayed (const PhTurnClient *self)
{
  return self->relayed;
}
