/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/nat/ph-nat-lifetime.h"

#include "net/stun/ph-stun-transaction.h"

/* Sent at 0, 0.25, 0.75 and 1.75 s, given up at 3.25 s. */
static const PhStunTimers ask_timers = {250 * PH_MSEC, 4, 6};
/* Where silence is a likely answer: 0, 0.15, 0.45 and 1.05 s, over at 1.95 s. */
static const PhStunTimers silence_timers = {150 * PH_MSEC, 4, 6};

/* Between the two uses of a mapping: Linux counts what was used after 2 s as a stream. */
#define HOLD (2500 * PH_MSEC)

static const unsigned steps_s[] = {0, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 300};
#define BETWEEN 4
#define N_PROBES (G_N_ELEMENTS (steps_s) + BETWEEN)
#define ASKER N_PROBES
G_STATIC_ASSERT (N_PROBES + 1 == PH_NAT_LIFETIME_SOCKETS);

typedef enum {
  UNUSED,
  OPENING, /* asks for itself */
  HOLDING,
  USING, /* asks for itself once more */
  IDLE, /* until the wait is over */
  ASKING, /* the other socket asks for it */
  ALIVE,
  DEAD,
} ProbeState;

typedef struct {
  ProbeState state;
  PhTime wait; /* after the last use */
  PhTime due_at; /* the end of HOLDING or IDLE */
  PhStunTransaction transaction;
  bool send;
  PhAddr mapped;
} Probe;

typedef enum { STEPS, STEPS_CONTROL, FINER, FINER_CONTROL, OVER } Phase;

struct _PhNatLifetime {
  PhNatLifetimeConfig config;
  Phase phase;
  Probe probes[N_PROBES];
  Probe control; /* the asking socket, for itself */
  PhTime survived;
  PhTime expired; /* PH_NEVER: none has */
  PhNatLifetimeEvent event;
  bool has_event;
};

/* --- Steps of one probe ------------------------------------------------------------------------- */

static void
start (PhNatLifetime *self, PhTime now, Probe *probe, ProbeState state, PhStunTimers timers)
{
  PhStunId id;

  ph_random_bytes (&self->config.random, id.bytes, sizeof id.bytes);
  ph_stun_transaction_start (&probe->transaction, now, &id, timers);
  probe->state = state;
  probe->send = true;
}

static void
stop (Probe *probe, ProbeState state)
{
  probe->state = state;
  probe->send = false;
  ph_stun_transaction_stop (&probe->transaction);
}

static bool
is_open (const Probe *probe)
{
  return probe->state != UNUSED && probe->state != ALIVE && probe->state != DEAD;
}

static bool
is_asking (const Probe *probe)
{
  return probe->state == OPENING || probe->state == USING || probe->state == ASKING;
}

static void
tell (PhNatLifetime *self, PhNatLifetimeEventType type)
{
  self->event = (PhNatLifetimeEvent){type, self->survived, self->expired};
  self->has_event = true;
}

static void
end (PhNatLifetime *self, PhTime now, bool known)
{
  for (size_t i = 0; i < N_PROBES; i++)
    stop (&self->probes[i], UNUSED);
  stop (&self->control, UNUSED);
  self->phase = OVER;
  ph_trace (self->config.trace, now, "nat",
            known ? "mappings live %u to %u s" : "how long mappings live cannot be known",
            (unsigned)(self->survived / PH_SEC),
            self->expired == PH_NEVER ? 0 : (unsigned)(self->expired / PH_SEC));
  tell (self, known ? PH_NAT_LIFETIME_DONE : PH_NAT_LIFETIME_UNKNOWN);
}

/* --- Rounds ------------------------------------------------------------------------------------- */

static bool
any_open (const PhNatLifetime *self)
{
  for (size_t i = 0; i < N_PROBES; i++) {
    if (is_open (&self->probes[i]))
      return true;
  }
  return false;
}

/* What is longer than something that has expired has too. */
static void
note (PhNatLifetime *self, const Probe *probe)
{
  if (probe->state == ALIVE)
    self->survived = MAX (self->survived, probe->wait);
  else
    self->expired = MIN (self->expired, probe->wait);
  for (size_t i = 0; i < N_PROBES; i++) {
    if (is_open (&self->probes[i]) && self->probes[i].wait >= self->expired)
      stop (&self->probes[i], UNUSED);
  }
  tell (self, PH_NAT_LIFETIME_PROGRESS);
}

static void
start_finer (PhNatLifetime *self, PhTime now)
{
  const PhTime gap = self->expired - self->survived;

  self->phase = FINER;
  for (size_t i = 0; i < BETWEEN; i++) {
    Probe *probe = &self->probes[G_N_ELEMENTS (steps_s) + i];

    probe->wait = self->survived + gap * (i + 1) / (BETWEEN + 1);
    start (self, now, probe, OPENING, ask_timers);
  }
}

static void
advance (PhNatLifetime *self, PhTime now)
{
  if (self->phase == OVER)
    return;
  /* A step of nothing was not survived: the server does not follow, or answers elsewhere. */
  if (self->expired == 0) {
    end (self, now, false);
    return;
  }
  if ((self->phase == STEPS || self->phase == FINER) && !any_open (self)) {
    if (self->expired == PH_NEVER) {
      end (self, now, self->survived > 0);
      return;
    }
    self->phase++;
    start (self, now, &self->control, OPENING, ask_timers);
  }
  if ((self->phase == STEPS_CONTROL || self->phase == FINER_CONTROL) && !is_open (&self->control)) {
    if (self->control.state == DEAD)
      end (self, now, false);
    else if (self->phase == FINER_CONTROL || self->survived > self->expired)
      end (self, now, self->survived < self->expired);
    else
      start_finer (self, now);
  }
}

/* --- The five verbs ----------------------------------------------------------------------------- */

PhNatLifetime *
ph_nat_lifetime_new (const PhNatLifetimeConfig *config, PhTime now)
{
  PhNatLifetime *self = g_new0 (PhNatLifetime, 1);

  self->config = *config;
  self->expired = PH_NEVER;
  ph_stun_transaction_stop (&self->control.transaction);
  for (size_t i = 0; i < N_PROBES; i++)
    ph_stun_transaction_stop (&self->probes[i].transaction);
  for (size_t i = 0; i < G_N_ELEMENTS (steps_s); i++) {
    self->probes[i].wait = steps_s[i] * PH_SEC;
    start (self, now, &self->probes[i], OPENING, ask_timers);
  }
  return self;
}

void
ph_nat_lifetime_free (PhNatLifetime *self)
{
  g_free (self);
}

static void
handle_own (PhNatLifetime *self, PhTime now, Probe *probe, const PhStunMessage *message)
{
  if (message->klass != PH_STUN_SUCCESS || !ph_stun_get_mapped (message, &probe->mapped)
      || probe->mapped.port == 0)
    return;
  if (probe == &self->control) {
    stop (probe, ALIVE);
  } else if (probe->state == OPENING) {
    stop (probe, HOLDING);
    probe->due_at = ph_time_add (now, HOLD);
  } else {
    stop (probe, IDLE);
    probe->due_at = ph_time_add (now, probe->wait);
  }
}

void
ph_nat_lifetime_handle_packet (PhNatLifetime *self, PhTime now, const PhDatagram *in)
{
  PhStunMessage message;

  if (!ph_addr_equal (&in->remote, &self->config.server) || !ph_stun_parse (in->bytes, &message)
      || message.method != PH_STUN_BINDING)
    return;
  for (size_t i = 0; i <= N_PROBES; i++) {
    Probe *probe = i < N_PROBES ? &self->probes[i] : &self->control;

    if (!is_asking (probe) || !ph_stun_id_equal (&message.id, &probe->transaction.id))
      continue;
    if (probe->state != ASKING) {
      if (in->socket == self->config.sockets[i])
        handle_own (self, now, probe, &message);
    } else if (in->socket == self->config.sockets[ASKER]) {
      end (self, now, false); /* refused, or RESPONSE-PORT was not understood */
    } else if (in->socket == self->config.sockets[i] && message.klass == PH_STUN_SUCCESS) {
      stop (probe, ALIVE);
      note (self, probe);
    }
    break;
  }
  advance (self, now);
}

/* An opening that nobody answers tells nothing of its wait; if no step can be taken the first one ends it. */
static void
give_up (PhNatLifetime *self, Probe *probe)
{
  const bool asked = probe->state == ASKING;

  if (probe == &self->control || asked || probe->wait == 0) {
    stop (probe, DEAD);
    if (probe != &self->control)
      note (self, probe);
  } else {
    stop (probe, UNUSED);
  }
}

void
ph_nat_lifetime_handle_timeout (PhNatLifetime *self, PhTime now)
{
  for (size_t i = 0; i <= N_PROBES; i++) {
    Probe *probe = i < N_PROBES ? &self->probes[i] : &self->control;

    if (probe->state == HOLDING && now >= probe->due_at)
      start (self, now, probe, USING, ask_timers);
    else if (probe->state == IDLE && now >= probe->due_at)
      start (self, now, probe, ASKING, silence_timers);
    if (!is_asking (probe))
      continue;
    switch (ph_stun_transaction_due (&probe->transaction, now)) {
    case PH_STUN_WAIT:
      break;
    case PH_STUN_SEND_AGAIN:
      probe->send = true;
      break;
    case PH_STUN_GIVE_UP:
      give_up (self, probe);
      break;
    }
  }
  advance (self, now);
}

bool
ph_nat_lifetime_poll_transmit (PhNatLifetime *self, PhTime now, PhTransmit *tx)
{
  for (size_t i = 0; i <= N_PROBES; i++) {
    Probe *probe = i < N_PROBES ? &self->probes[i] : &self->control;
    PhWriter w = ph_writer (tx->data, tx->cap);

    if (!probe->send)
      continue;
    probe->send = false;
    ph_stun_begin (&w, PH_STUN_REQUEST, PH_STUN_BINDING, &probe->transaction.id);
    /* RFC 5780 §7.5: the port, and two bytes of nothing. */
    if (probe->state == ASKING)
      ph_stun_put_u32 (&w, PH_STUN_RESPONSE_PORT, (uint32_t)probe->mapped.port << 16);
    ph_stun_put_fingerprint (&w);
    g_assert (ph_writer_ok (&w));
    *tx = (PhTransmit){
        .socket = self->config.sockets[probe->state == ASKING ? ASKER : i],
        .remote = self->config.server,
        .data = tx->data,
        .cap = tx->cap,
        .len = ph_writer_len (&w),
    };
    return true;
  }
  return false;
}

bool
ph_nat_lifetime_poll_event (PhNatLifetime *self, PhNatLifetimeEvent *ret_event)
{
  if (!self->has_event)
    return false;
  self->has_event = false;
  *ret_event = self->event;
  return true;
}

PhTime
ph_nat_lifetime_next_timeout (const PhNatLifetime *self, const char **ret_why)
{
  PhTime next = PH_NEVER;

  *ret_why = "how long mappings live";
  for (size_t i = 0; i <= N_PROBES; i++) {
    const Probe *probe = i < N_PROBES ? &self->probes[i] : &self->control;

    if (probe->state == HOLDING || probe->state == IDLE)
      next = ph_time_min (next, probe->due_at);
    else if (is_asking (probe))
      next = ph_time_min (next, probe->transaction.deadline);
  }
  return next;
}
