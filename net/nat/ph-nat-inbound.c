/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/nat/ph-nat-inbound.h"

#include "net/stun/ph-stun-transaction.h"

/* Sent at 0, 0.25, 0.75 and 1.75 s, given up at 3.25 s. */
static const PhStunTimers ask_timers = {250 * PH_MSEC, 4, 6};
/* Where silence is a likely answer: 0, 0.15, 0.45 and 1.05 s, over at 1.95 s. */
static const PhStunTimers silence_timers = {150 * PH_MSEC, 4, 6};

typedef enum {
  OWN, /* how is the helper's socket seen? */
  OTHER, /* and the asker's; the server's other address */
  CONTROL, /* an answer to the helper's port */
  CHANGE, /* an answer from the other address: refused, given, or kept away by a filter */
  TEST, /* to the opened port, from the other address */
  TEST_AGAIN,
  DONE,
} Phase;

struct _PhNatInbound {
  PhNatInboundConfig config;
  Phase phase;
  PhStunTransaction transaction;
  bool send;
  uint16_t helper_port;
  PhNatAnswer answer;
  bool has_event;
};

static void
enter (PhNatInbound *self, PhTime now, Phase phase)
{
  PhStunId id;

  self->phase = phase;
  ph_random_bytes (&self->config.random, id.bytes, sizeof id.bytes);
  ph_stun_transaction_start (&self->transaction, now, &id,
                             phase < CHANGE ? ask_timers : silence_timers);
  self->send = true;
}

static void
finish (PhNatInbound *self, PhTime now, PhNatAnswer answer)
{
  static const char *const words[] = {
      [PH_NAT_UNTESTED] = "cannot be known",
      [PH_NAT_NO] = "no",
      [PH_NAT_YES] = "yes",
  };

  ph_stun_transaction_stop (&self->transaction);
  self->send = false;
  self->phase = DONE;
  self->answer = answer;
  self->has_event = true;
  ph_trace (self->config.trace, now, "nat", "does the mapped port let strangers in: %s",
            words[answer]);
}

PhNatInbound *
ph_nat_inbound_new (const PhNatInboundConfig *config, PhTime now)
{
  PhNatInbound *self = g_new0 (PhNatInbound, 1);

  self->config = *config;
  enter (self, now, OWN);
  return self;
}

void
ph_nat_inbound_free (PhNatInbound *self)
{
  g_free (self);
}

static void
handle_answer (PhNatInbound *self, PhTime now, const PhDatagram *in, const PhStunMessage *message)
{
  const bool from_server = ph_addr_equal (&in->remote, &self->config.server);
  PhAddr mapped, other;

  if (self->phase >= CHANGE) {
    /* Refused, or answered from where it was asked: this server cannot tell. */
    if (message->klass == PH_STUN_ERROR || ph_addr_equal_ip (&in->remote, &self->config.server))
      finish (self, now, PH_NAT_UNTESTED);
    else if (self->phase == CHANGE && in->socket == self->config.asker)
      enter (self, now, TEST);
    else if (self->phase != CHANGE && in->socket == self->config.target)
      finish (self, now, PH_NAT_YES);
    return;
  }
  if (!from_server)
    return;
  if (self->phase == CONTROL) {
    if (in->socket == self->config.helper && message->klass == PH_STUN_SUCCESS)
      enter (self, now, CHANGE);
    else
      finish (self, now, PH_NAT_UNTESTED);
    return;
  }
  if (message->klass != PH_STUN_SUCCESS || !ph_stun_get_mapped (message, &mapped)
      || mapped.port == 0 || !ph_addr_equal_ip (&mapped, &self->config.external)) {
    finish (self, now, PH_NAT_UNTESTED);
  } else if (self->phase == OWN) {
    self->helper_port = mapped.port;
    enter (self, now, OTHER);
  } else if (!ph_stun_get_addr (message, PH_STUN_OTHER_ADDRESS, &other)
             || ph_addr_equal_ip (&other, &self->config.server)) {
    finish (self, now, PH_NAT_UNTESTED);
  } else {
    enter (self, now, CONTROL);
  }
}

bool
ph_nat_inbound_handle_packet (PhNatInbound *self, PhTime now, const PhDatagram *in)
{
  const bool own = in->socket == self->config.asker || in->socket == self->config.helper;
  PhStunMessage message;

  if (!own && in->socket != self->config.target)
    return false;
  if (!ph_stun_parse (in->bytes, &message) || message.method != PH_STUN_BINDING
      || !ph_stun_transaction_running (&self->transaction)
      || !ph_stun_id_equal (&message.id, &self->transaction.id)
      || (message.klass != PH_STUN_SUCCESS && message.klass != PH_STUN_ERROR))
    return own;
  handle_answer (self, now, in, &message);
  return true;
}

void
ph_nat_inbound_handle_timeout (PhNatInbound *self, PhTime now)
{
  switch (ph_stun_transaction_due (&self->transaction, now)) {
  case PH_STUN_WAIT:
    break;
  case PH_STUN_SEND_AGAIN:
    self->send = true;
    break;
  case PH_STUN_GIVE_UP:
    if (self->phase == CHANGE || self->phase == TEST)
      enter (self, now, self->phase + 1);
    else
      finish (self, now, self->phase == TEST_AGAIN ? PH_NAT_NO : PH_NAT_UNTESTED);
    break;
  }
}

bool
ph_nat_inbound_poll_transmit (PhNatInbound *self, PhTime now, PhTransmit *tx)
{
  PhWriter w = ph_writer (tx->data, tx->cap);

  if (!self->send)
    return false;
  self->send = false;
  ph_stun_begin (&w, PH_STUN_REQUEST, PH_STUN_BINDING, &self->transaction.id);
  if (self->phase >= CHANGE)
    ph_stun_put_u32 (&w, PH_STUN_CHANGE_REQUEST, PH_STUN_CHANGE_IP | PH_STUN_CHANGE_PORT);
  if (self->phase == CONTROL || self->phase >= TEST)
    ph_stun_put_u32 (
        &w, PH_STUN_RESPONSE_PORT,
        (uint32_t)(self->phase == CONTROL ? self->helper_port : self->config.external.port) << 16);
  ph_stun_put_fingerprint (&w);
  g_assert (ph_writer_ok (&w));
  *tx = (PhTransmit){
      .socket = self->phase == OWN ? self->config.helper : self->config.asker,
      .remote = self->config.server,
      .data = tx->data,
      .cap = tx->cap,
      .len = ph_writer_len (&w),
  };
  return true;
}

bool
ph_nat_inbound_poll_event (PhNatInbound *self, PhNatAnswer *ret_open)
{
  if (!self->has_event)
    return false;
  self->has_event = false;
  *ret_open = self->answer;
  return true;
}

PhTime
ph_nat_inbound_next_timeout (const PhNatInbound *self, const char **ret_why)
{
  *ret_why = "does the mapped port let strangers in";
  return self->transaction.deadline;
}
