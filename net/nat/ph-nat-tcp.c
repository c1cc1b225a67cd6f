/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/nat/ph-nat-tcp.h"

#include "net/stun/ph-stun.h"

/* SYNs are sent again after 1 s: one may be lost. */
#define CONNECT_INTERVAL (3 * PH_SEC)

typedef enum { UNUSED, OPENING, ASKING, ANSWERED, FAILED } ProbeState;

typedef struct {
  ProbeState state;
  uint32_t socket;
  PhAddr to;
  PhStunId id;
  bool open; /* to be told to the driver */
  bool send;
  uint8_t bytes[PH_STUN_MESSAGE_MAX]; /* of the answer, as far as it has come */
  size_t len;
  PhAddr mapped;
  PhAddr other;
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
      .to = *to,
      .open = true,
  };
  ph_random_bytes (&self->config.random, probe->id.bytes, sizeof probe->id.bytes);
  self->current = i;
  self->deadline = ph_time_add (now, CONNECT_INTERVAL);
}

static bool
is_usable_other (const Probe *probe)
{
  const PhAddr *other = &probe->other;

  return other->family == probe->to.family && other->port != 0 && other->port != probe->to.port
         && !ph_addr_equal_ip (other, &probe->to)
         && ph_addr_scope (other) == ph_addr_scope (&probe->to);
}

static bool
same_mapping (const PhNatTcp *self, int a, int b)
{
  return ph_addr_equal (&self->probes[a].mapped, &self->probes[b].mapped);
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
        || ph_addr_equal_ip (&probe->to, &self->probes[self->chosen].to))
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
  if (self->chosen >= 0 && is_usable_other (&self->probes[self->chosen])) {
    const Probe *first = &self->probes[self->chosen];
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

/* Bytes come in any pieces. Whatever is no answer to the question ends the matter. */
void
ph_nat_tcp_handle_packet (PhNatTcp *self, PhTime now, const PhDatagram *in)
{
  Probe *probe = find_probe (self, in->socket);
  PhStunMessage message;

  if (probe == NULL || probe->state != ASKING || self->done)
    return;
  if (in->bytes.len > sizeof probe->bytes - probe->len) {
    settle (self, now, probe, FAILED);
    return;
  }
  memcpy (probe->bytes + probe->len, in->bytes.data, in->bytes.len);
  probe->len += in->bytes.len;
  if (probe->len < 20 || probe->len < 20 + ((size_t)probe->bytes[2] << 8 | (size_t)probe->bytes[3]))
    return;
  if (!ph_stun_parse (ph_slice (probe->bytes, probe->len), &message)
      || message.klass != PH_STUN_SUCCESS || !ph_stun_id_equal (&message.id, &probe->id)
      || !ph_stun_get_mapped (&message, &probe->mapped) || probe->mapped.port == 0
      || probe->mapped.family != probe->to.family) {
    settle (self, now, probe, FAILED);
    return;
  }
  ph_stun_get_addr (&message, PH_STUN_OTHER_ADDRESS, &probe->other);
  settle (self, now, probe, ANSWERED);
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
        .remote = probe->to,
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
    PhWriter w = ph_writer (tx->data, tx->cap);

    if (!probe->send)
      continue;
    probe->send = false;
    ph_stun_begin (&w, PH_STUN_REQUEST, PH_STUN_BINDING, &probe->id);
    ph_stun_put_fingerprint (&w);
    g_assert (ph_writer_ok (&w));
    tx->socket = probe->socket;
    tx->remote = probe->to;
    tx->len = ph_writer_len (&w);
    tx->segment = 0;
    tx->ecn = 0;
    return true;
  }
  return false;
}

bool
ph_nat_tcp_poll_event (PhNatTcp *self, PhNatDependence *ret_mapping)
{
  if (!self->has_event || self->n_aborted < N_PROBES)
    return false;
  self->has_event = false;
  *ret_mapping = judge (self);
  return true;
}

PhTime
ph_nat_tcp_next_timeout (const PhNatTcp *self, const char **ret_why)
{
  *ret_why = "TCP mapping";
  return self->done ? PH_NEVER : ph_time_min (self->deadline, self->end);
}
