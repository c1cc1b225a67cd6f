/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/stun/ph-stun-binding.h"

/* Holds a mapping that is forgotten after 30 s, and keeps many clients from asking in step. */
#define KEEPALIVE_MIN (15 * PH_SEC)
#define KEEPALIVE_SPREAD (10 * PH_SEC)
/* After a failure: the server may be restarting, or the network may just have come up. */
#define RETRY_FIRST (2 * PH_SEC)
#define RETRY_MAX (60 * PH_SEC)

/* A first answer is waited for by a person: 0, 0.25, 0.75, 1.75 and 3.75 s, given up after 7.75 s. */
static const PhStunTimers default_timers = {250 * PH_MSEC, 5, 16};

struct _PhStunBinding {
  PhStunBindingConfig config;
  PhStunTransaction transaction; /* running while a question is open */
  PhTime ask_at; /* the next question; PH_NEVER while one is open */
  PhTime retry_interval;
  bool send;
  PhAddr mapped;
  bool failed; /* told */
  PhStunBindingEvent event;
  bool has_event;
};

PhStunBinding *
ph_stun_binding_new (const PhStunBindingConfig *config, PhTime now)
{
  PhStunBinding *self = g_new0 (PhStunBinding, 1);

  g_assert (ph_addr_is_set (&config->server));
  self->config = *config;
  if (config->timers.sends_max == 0)
    self->config.timers = default_timers;
  self->ask_at = now;
  self->retry_interval = RETRY_FIRST;
  ph_stun_transaction_stop (&self->transaction);
  return self;
}

void
ph_stun_binding_free (PhStunBinding *self)
{
  g_free (self);
}

static void
binding_ask (PhStunBinding *self, PhTime now)
{
  PhStunId id;

  ph_random_bytes (&self->config.random, id.bytes, sizeof id.bytes);
  ph_stun_transaction_start (&self->transaction, now, &id, self->config.timers);
  self->ask_at = PH_NEVER;
  self->send = true;
}

/* A newer event replaces one that was not polled: only the latest says what is so. */
static void
binding_tell (PhStunBinding *self, PhStunBindingEvent event)
{
  self->event = event;
  self->has_event = true;
}

static void
binding_fail (PhStunBinding *self, PhTime now, unsigned error)
{
  const PhTime jitter = ph_random_below (&self->config.random, self->retry_interval / 4);
  char server[PH_ADDR_STRING_MAX];

  ph_stun_transaction_stop (&self->transaction);
  self->send = false;
  self->ask_at = ph_time_add (now, self->retry_interval + jitter);
  self->retry_interval = ph_time_min (2 * self->retry_interval, RETRY_MAX);
  ph_trace (self->config.trace, now, "stun", "server %s: %s (%u)",
            ph_addr_format (&self->config.server, server), error != 0 ? "refuses" : "silent",
            error);
  if (self->failed)
    return;
  self->failed = true;
  self->mapped = (PhAddr){0};
  binding_tell (self, (PhStunBindingEvent){.type = PH_STUN_BINDING_FAILED, .error = error});
}

static void
binding_succeed (PhStunBinding *self, PhTime now, PhAddr mapped)
{
  const PhTime rtt = ph_time_since (now, self->transaction.last_sent);
  char server[PH_ADDR_STRING_MAX], text[PH_ADDR_STRING_MAX];

  ph_stun_transaction_stop (&self->transaction);
  self->send = false;
  self->ask_at =
      ph_time_add (now, KEEPALIVE_MIN + ph_random_below (&self->config.random, KEEPALIVE_SPREAD));
  self->retry_interval = RETRY_FIRST;
  self->failed = false;
  if (ph_addr_equal (&mapped, &self->mapped))
    return;
  self->mapped = mapped;
  ph_trace (self->config.trace, now, "stun", "server %s: mapped to %s",
            ph_addr_format (&self->config.server, server), ph_addr_format (&mapped, text));
  binding_tell (self, (PhStunBindingEvent){
                          .type = PH_STUN_BINDING_MAPPED,
                          .mapped = mapped,
                          .rtt = rtt,
                      });
}

bool
ph_stun_binding_handle_packet (PhStunBinding *self, PhTime now, const PhDatagram *in)
{
  PhStunMessage message;
  PhSlice reason;
  PhAddr mapped;
  unsigned error = 0;

  if (in->socket != self->config.socket || !ph_addr_equal (&in->remote, &self->config.server)
      || !ph_stun_transaction_running (&self->transaction) || !ph_stun_parse (in->bytes, &message)
      || message.method != PH_STUN_BINDING
      || !ph_stun_id_equal (&message.id, &self->transaction.id))
    return false;

  if (message.klass == PH_STUN_ERROR) {
    if (!ph_stun_get_error (&message, &error, &reason))
      return false;
    binding_fail (self, now, error);
    return true;
  }
  if (message.klass != PH_STUN_SUCCESS || !ph_stun_get_mapped (&message, &mapped)
      || mapped.port == 0)
    return false;
  binding_succeed (self, now, mapped);
  return true;
}

void
ph_stun_binding_handle_timeout (PhStunBinding *self, PhTime now)
{
  switch (ph_stun_transaction_due (&self->transaction, now)) {
  case PH_STUN_WAIT:
    break;
  case PH_STUN_SEND_AGAIN:
    self->send = true;
    break;
  case PH_STUN_GIVE_UP:
    binding_fail (self, now, 0);
    break;
  }
  if (now >= self->ask_at)
    binding_ask (self, now);
}

bool
ph_stun_binding_poll_transmit (PhStunBinding *self, PhTime now, PhTransmit *tx)
{
  PhWriter w = ph_writer (tx->data, tx->cap);

  if (!self->send)
    return false;
  self->send = false;

  ph_stun_begin (&w, PH_STUN_REQUEST, PH_STUN_BINDING, &self->transaction.id);
  ph_stun_put_fingerprint (&w);
  g_assert (ph_writer_ok (&w));
  tx->socket = self->config.socket;
  tx->remote = self->config.server;
  tx->len = ph_writer_len (&w);
  tx->segment = 0;
  tx->ecn = 0;
  return true;
}

bool
ph_stun_binding_poll_event (PhStunBinding *self, PhStunBindingEvent *ret_event)
{
  if (!self->has_event)
    return false;
  self->has_event = false;
  *ret_event = self->event;
  return true;
}

PhTime
ph_stun_binding_next_timeout (const PhStunBinding *self, const char **ret_why)
{
  if (ph_stun_transaction_running (&self->transaction)) {
    *ret_why = "STUN answer overdue";
    return self->transaction.deadline;
  }
  *ret_why = self->failed ? "STUN server asked again" : "STUN mapping kept open";
  return self->ask_at;
}

void
ph_stun_binding_refresh (PhStunBinding *self, PhTime now)
{
  self->retry_interval = RETRY_FIRST;
  binding_ask (self, now);
}

PhAddr
ph_stun_binding_mapped (const PhStunBinding *self)
{
  return self->mapped;
}
