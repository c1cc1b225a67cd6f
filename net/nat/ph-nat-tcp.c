/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/nat/ph-nat-tcp.h"

#include "net/nat/ph-nat-question.h"

/* SYNs are sent again after 1 s: one may be lost. */
#define CONNECT_INTERVAL (3 * PH_SEC)

typedef enum { UNUSED, OPENING, ASKING, ANSWERED, FAILED } ProbeState;

typedef struct {
  ProbeState state;
  uint32_t socket;
  PhNatQuestion question;
  bool open; /* to be told to the driver */
  bool send;
} Probe;

/* One after the other: at first the servers, until one answers; then what it is compared with. */
enum { FIRST, OTHER_PORT = PH_NAT_SERVERS_MAX, OTHER_ADDRESS, N_PROBES };

struct _PhNatTcp {
  PhNatTcpConfig config;
  Probe probes[N_PROBES];
  size_t current;
  int chosen; /* the probe of the first server that answered; -1 */
  PhTime deadline; /* of the current probe */
  PhTime end;
  bool done;
  bool has_event;
  size_t n_aborted;
};

/* --- Asking ------------------------------------------------------------------------------------- */

static void
ask (PhNatTcp *self, PhTime now, size_t i, const PhAddr *to)
{
  Probe *probe = &self->probes[i];

  *probe = (Probe){
      .state = OPENING,
      .socket = PH_SOCKET_STREAM + (uint32_t)i,
      .open = true,
  };
  ph_nat_question_init (&probe->question, &self->config.random, to);
  self->current = i;
  self->deadline = ph_time_add (now, CONNECT_INTERVAL);
}

static bool
is_usable_other (const PhNatQuestion *question)
{
  const PhAddr *other = &question->other;
  const PhAddr *to = &question->to;

  return other->family == to->family && other->port != 0 && other->port != to->port
         && !ph_addr_equal_ip (other, to) && ph_addr_scope (other) == ph_addr_scope (to);
}

static bool
same_mapping (const PhNatTcp *self, int a, int b)
{
  return ph_addr_equal (&self->probes[a].question.mapped, &self->probes[b].question.mapped);
}

static PhNatDependence
judge (const PhNatTcp *self)
{
  PhNatDependence result = PH_NAT_DEPENDENCE_UNKNOWN;

  if (self->chosen < 0)
    return PH_NAT_DEPENDENCE_UNKNOWN;
  if (self->probes[OTHER_PORT].state == ANSWERED && self->probes[OTHER_ADDRESS].state == ANSWERED) {
    if (!same_mapping (self, self->chosen, OTHER_PORT))
      return PH_NAT_ADDRESS_AND_PORT_DEPENDENT;
    return same_mapping (self, self->chosen, OTHER_ADDRESS) ? PH_NAT_ENDPOINT_INDEPENDENT
                                                            : PH_NAT_ADDRESS_DEPENDENT;
  }
  for (int i = 0; i < (int)self->config.n_servers; i++) {
    const Probe *probe = &self->probes[i];

    if (i == self->chosen || probe->state != ANSWERED
        || ph_addr_equal_ip (&probe->question.to, &self->probes[self->chosen].question.to))
      continue;
    if (!same_mapping (self, self->chosen, i))
      return PH_NAT_ENDPOINT_DEPENDENT;
    result = PH_NAT_ENDPOINT_INDEPENDENT;
  }
  return result;
}

static void
finish (PhNatTcp *self, PhTime now)
{
  self->done = true;
  self->has_event = true;
  ph_trace (self->config.trace, now, "nat", "TCP mapping %s",
            ph_nat_dependence_name (judge (self)));
}

/* The current probe has ended. */
static void
advance (PhNatTcp *self, PhTime now)
{
  const size_t next = self->current + 1;

  if (self->chosen < 0 && self->probes[self->current].state == ANSWERED)
    self->chosen = (int)self->current;
  if (self->chosen >= 0 && is_usable_other (&self->probes[self->chosen].question)) {
    const PhNatQuestion *first = &self->probes[self->chosen].question;
    PhAddr to = self->current < OTHER_PORT ? first->to : first->other;

    to.port = self->current < OTHER_PORT ? first->other.port : first->to.port;
    if (self->current < OTHER_PORT)
      ask (self, now, OTHER_PORT, &to);
    else if (self->current == OTHER_PORT && self->probes[OTHER_PORT].state == ANSWERED)
      ask (self, now, OTHER_ADDRESS, &to);
    else
      finish (self, now);
  } else if (next < self->config.n_servers) {
    ask (self, now, next, &self->config.servers[next]);
  } else {
    finish (self, now);
  }
}

static void
settle (PhNatTcp *self, PhTime now, Probe *probe, ProbeState state)
{
  probe->state = state;
  probe->send = false;
  if (probe == &self->probes[self->current])
    advance (self, now);
}

PhNatTcp *
ph_nat_tcp_new (const PhNatTcpConfig *config, PhTime now)
{
  PhNatTcp *self = g_new0 (PhNatTcp, 1);

  g_assert (config->n_servers >= 1);
  g_assert (config->n_servers <= PH_NAT_SERVERS_MAX);
  self->config = *config;
  self->chosen = -1;
  self->end = ph_time_add (now, PH_NAT_TCP_TIME_MAX);
  ask (self, now, FIRST, &config->servers[0]);
  return self;
}

void
ph_nat_tcp_free (PhNatTcp *self)
{
  g_free (self);
}

/* --- The verbs ---------------------------------------------------------------------------------- */

static Probe *
find_probe (PhNatTcp *self, uint32_t socket)
{
  for (size_t i = 0; i < N_PROBES; i++) {
    Probe *probe = &self->probes[i];

    if (probe->socket == socket && (probe->state == OPENING || probe->state == ASKING))
      return probe;
  }
  return NULL;
}

void
ph_nat_tcp_handle_connection (PhNatTcp *self, PhTime now, const PhConnectionEvent *event)
{
  Probe *probe = find_probe (self, event->socket);

  if (probe == NULL || self->done)
    return;
  if (event->type == PH_CONNECTION_OPENED && probe->state == OPENING) {
    probe->state = ASKING;
    probe->send = true;
  } else if (event->type != PH_CONNECTION_OPENED && event->type != PH_CONNECTION_ACCEPTED) {
    settle (self, now, probe, FAILED);
  }
}

void
ph_nat_tcp_handle_packet (PhNatTcp *self, PhTime now, const PhDatagram *in)
{
  Probe *probe = find_probe (self, in->socket);
  PhNatReply reply;

  if (probe == NULL || probe->state != ASKING || self->done)
    return;
  reply = ph_nat_question_take (&probe->question, in->bytes);
  if (reply != PH_NAT_QUESTION_MORE)
    settle (self, now, probe, reply == PH_NAT_QUESTION_ANSWERED ? ANSWERED : FAILED);
}

void
ph_nat_tcp_handle_timeout (PhNatTcp *self, PhTime now)
{
  if (self->done)
    return;
  if (now >= self->end)
    finish (self, now);
  else if (now >= self->deadline)
    settle (self, now, &self->probes[self->current], FAILED);
}

bool
ph_nat_tcp_poll_connection (PhNatTcp *self, PhConnectionOp *ret_op)
{
  for (size_t i = 0; i < N_PROBES && !self->done; i++) {
    Probe *probe = &self->probes[i];

    if (!probe->open)
      continue;
    probe->open = false;
    *ret_op = (PhConnectionOp){
        .type = PH_CONNECTION_OPEN,
        .socket = probe->socket,
        .port = self->config.port,
        .remote = probe->question.to,
    };
    return true;
  }
  while (self->done && self->n_aborted < N_PROBES) {
    const Probe *probe = &self->probes[self->n_aborted++];

    if (probe->socket == 0 || probe->open)
      continue;
    *ret_op = (PhConnectionOp){.type = PH_CONNECTION_ABORT, .socket = probe->socket};
    return true;
  }
  return false;
}

bool
ph_nat_tcp_poll_transmit (PhNatTcp *self, PhTime now, PhTransmit *tx)
{
  for (size_t i = 0; i < N_PROBES && !self->done; i++) {
    Probe *probe = &self->probes[i];

    if (!probe->send)
      continue;
    probe->send = false;
    ph_nat_question_write (&probe->question, probe->socket, tx);
    return true;
  }
  return false;
}

bool
ph_nat_tcp_poll_event (PhNatTcp *self, PhNatDependence *ret_mapping, PhAddr *ret_public_addr)
{
  if (!self->has_event || self->n_aborted < N_PROBES)
    return false;
  self->has_event = false;
  *ret_mapping = judge (self);
  *ret_public_addr = self->chosen >= 0 ? self->probes[self->chosen].question.mapped : (PhAddr){0};
  return true;
}

PhTime
ph_nat_tcp_next_timeout (const PhNatTcp *self, const char **ret_why)
{
  *ret_why = "TCP mapping";
  return self->done ? PH_NEVER : ph_time_min (self->deadline, self->end);
}
