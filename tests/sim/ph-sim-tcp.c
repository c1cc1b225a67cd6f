/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "tests/sim/ph-sim-tcp.h"

#include "tests/sim/ph-sim-private.h"

#define SEGMENT_MAX 1400
#define WINDOW (256u << 10)
/* What a connection takes before it is blocked. */
#define QUEUE_MAX (256u << 10)
/* tcp_syn_retries and tcp_retries2 of Linux, cut to what a test waits for. */
#define SYN_RTO PH_SEC
#define SYN_TRIES 6
#define RTO_MIN (200 * PH_MSEC)
#define RTO_MAX (10 * PH_SEC)
#define TRIES 10
#define EPHEMERAL_FIRST 32768u
#define EPHEMERAL_COUNT 28000u

typedef enum { SYN_SENT, SYN_RECEIVED, ESTABLISHED, DEAD } State;

typedef struct {
  uint32_t id;
  PhAddr local;
} Port;

typedef struct {
  PhSimTcp *tcp;
  uint32_t id;
  uint32_t port;
  PhAddr local;
  PhAddr remote;
  State state;
  bool silent; /* closed by its owner: nothing is told any more */
  bool fin_queued;
  bool passive;
  bool was_blocked;
  GByteArray *queue; /* from `una` on */
  uint64_t una; /* the first byte that is not acknowledged */
  uint64_t nxt; /* the next to be sent */
  uint64_t expected; /* the next to come */
  unsigned duplicates;
  unsigned tries;
  PhTime rto;
  uint64_t timer;
} Connection;

struct _PhSimTcp {
  PhSimNode *node;
  PhSimTcpCallbacks callbacks;
  void *user;
  GPtrArray *ports; /* Port, owned */
  GPtrArray *connections; /* Connection, owned; dead ones stay */
};

static void on_timer (void *user, PhTime now);

/* --- Segments ------------------------------------------------------------------------------------- */

static void
send_segment (PhSimTcp *self, const PhAddr *local, const PhAddr *remote, uint8_t flags,
              uint64_t seq, uint64_t ack, PhSlice data)
{
  PhSimIface *iface = sim_node_iface (self->node, local);
  PhSimPacket *packet;

  if (iface == NULL)
    return;
  packet = ph_sim_packet_new (local, remote, data);
  packet->proto = PH_SIM_TCP;
  packet->flags = flags;
  packet->seq = seq;
  packet->ack = ack;
  sim_node_send (self->node, iface, packet);
}

static void
say (Connection *c, uint8_t flags)
{
  send_segment (c->tcp, &c->local, &c->remote, flags, c->nxt, c->expected, ph_slice (NULL, 0));
}

static void
arm (Connection *c)
{
  PhSim *sim = c->tcp->node->sim;

  ph_sim_cancel (sim, c->timer);
  c->timer = ph_sim_at (sim, ph_time_add (sim->now, c->rto), on_timer, c);
}

static void
disarm (Connection *c)
{
  ph_sim_cancel (c->tcp->node->sim, c->timer);
  c->timer = 0;
}

/* The end of the queue, as a sequence number; a FIN counts one. */
static uint64_t
end_of (const Connection *c)
{
  return c->una + c->queue->len;
}

static void
push (Connection *c)
{
  if (c->state != ESTABLISHED)
    return;
  while (c->nxt < end_of (c) && c->nxt - c->una < WINDOW) {
    const size_t off = (size_t)(c->nxt - c->una);
    const size_t len = MIN (SEGMENT_MAX, c->queue->len - off);

    send_segment (c->tcp, &c->local, &c->remote, PH_SIM_TCP_ACK, c->nxt, c->expected,
                  ph_slice (c->queue->data + off, len));
    c->nxt += len;
  }
  if (c->fin_queued && c->nxt == end_of (c))
    say (c, PH_SIM_TCP_FIN | PH_SIM_TCP_ACK);
  if (c->timer == 0 && (c->nxt > c->una || c->fin_queued))
    arm (c);
}

/* --- Life ------------------------------------------------------------------------------------------- */

static void
tell (Connection *c, PhConnectionEventType type)
{
  const PhConnectionEvent event = {
      .type = type,
      .socket = c->id,
      .port = c->port,
      .local = c->local,
      .remote = c->remote,
  };

  if (!c->silent)
    c->tcp->callbacks.event (c->tcp->user, c->tcp->node->sim->now, &event);
}

static void
die (Connection *c, PhConnectionEventType type)
{
  disarm (c);
  c->state = DEAD;
  /* Of one that came and went before it was a connection nobody has heard. */
  if (!c->passive || type == PH_CONNECTION_CLOSED)
    tell (c, type);
  c->silent = true;
}

static void
establish (Connection *c)
{
  disarm (c);
  c->state = ESTABLISHED;
  c->tries = 0;
  c->rto = RTO_MIN;
  tell (c, c->passive ? PH_CONNECTION_ACCEPTED : PH_CONNECTION_OPENED);
}

static void
on_timer (void *user, PhTime now)
{
  Connection *c = user;
  const unsigned most = c->state == ESTABLISHED ? TRIES : SYN_TRIES;

  c->timer = 0;
  if (c->state == DEAD)
    return;
  if (++c->tries > most) {
    die (c, c->state == ESTABLISHED ? PH_CONNECTION_CLOSED : PH_CONNECTION_UNREACHABLE);
    return;
  }
  c->rto = MIN (2 * c->rto, RTO_MAX);
  if (c->state == SYN_SENT)
    say (c, PH_SIM_TCP_SYN);
  else if (c->state == SYN_RECEIVED)
    say (c, PH_SIM_TCP_SYN | PH_SIM_TCP_ACK);
  c->nxt = c->una; /* all of it again */
  push (c);
  if (c->timer == 0 && c->state != ESTABLISHED)
    arm (c);
}

static Connection *
connection_new (PhSimTcp *self, uint32_t id, uint32_t port, const PhAddr *local,
                const PhAddr *remote, State state)
{
  Connection *c = g_new0 (Connection, 1);

  c->tcp = self;
  c->id = id;
  c->port = port;
  c->local = *local;
  c->remote = *remote;
  c->state = state;
  c->passive = state == SYN_RECEIVED;
  c->rto = SYN_RTO;
  c->queue = g_byte_array_new ();
  g_ptr_array_add (self->connections, c);
  arm (c);
  return c;
}

static Connection *
between (const PhSimTcp *self, const PhAddr *local, const PhAddr *remote)
{
  for (guint i = 0; i < self->connections->len; i++) {
    Connection *c = self->connections->pdata[i];

    if (c->state != DEAD && ph_addr_equal (&c->local, local) && ph_addr_equal (&c->remote, remote))
      return c;
  }
  return NULL;
}

static Connection *
by_id (const PhSimTcp *self, uint32_t id)
{
  for (guint i = 0; i < self->connections->len; i++) {
    Connection *c = self->connections->pdata[i];

    if (c->state != DEAD && !c->silent && c->id == id)
      return c;
  }
  return NULL;
}

/* --- What arrives ----------------------------------------------------------------------------------- */

static void
acknowledged (Connection *c, uint64_t ack, bool empty)
{
  if (ack > c->una && ack <= end_of (c)) {
    g_byte_array_remove_range (c->queue, 0, (guint)(ack - c->una));
    c->una = ack;
    c->nxt = MAX (c->nxt, c->una);
    c->duplicates = 0;
    c->tries = 0;
    c->rto = RTO_MIN;
    disarm (c);
  } else if (ack == c->una && empty && c->nxt > c->una && ++c->duplicates == 3) {
    c->nxt = c->una;
  }
  push (c);
  if (c->was_blocked && c->queue->len < QUEUE_MAX / 2 && !c->silent) {
    c->was_blocked = false;
    c->tcp->callbacks.writable (c->tcp->user, c->tcp->node->sim->now, c->id);
  }
}

static void
take_data (Connection *c, const PhSimPacket *packet)
{
  const PhDatagram in = {
      .socket = c->id,
      .remote = c->remote,
      .bytes = ph_slice (packet->bytes, packet->len),
  };

  if (packet->seq == c->expected) {
    c->expected += packet->len;
    if (!c->silent)
      c->tcp->callbacks.received (c->tcp->user, c->tcp->node->sim->now, &in);
  }
  if (c->state == ESTABLISHED)
    say (c, PH_SIM_TCP_ACK);
}

static void
handle_segment (Connection *c, const PhSimPacket *packet)
{
  const bool syn = (packet->flags & PH_SIM_TCP_SYN) != 0;

  if ((packet->flags & PH_SIM_TCP_RST) != 0) {
    die (c, c->state == ESTABLISHED ? PH_CONNECTION_CLOSED : PH_CONNECTION_REFUSED);
    return;
  }
  if (c->state == SYN_SENT && syn) {
    if ((packet->flags & PH_SIM_TCP_ACK) != 0) {
      say (c, PH_SIM_TCP_ACK);
      establish (c);
    } else {
      c->state = SYN_RECEIVED; /* both have called: RFC 9293 §3.5 */
      say (c, PH_SIM_TCP_SYN | PH_SIM_TCP_ACK);
    }
    return;
  }
  if (c->state == SYN_RECEIVED && (packet->flags & PH_SIM_TCP_ACK) != 0)
    establish (c);
  else if (syn)
    say (c, c->state == SYN_RECEIVED ? PH_SIM_TCP_SYN | PH_SIM_TCP_ACK : PH_SIM_TCP_ACK);
  if (c->state != ESTABLISHED)
    return;
  if (!syn)
    acknowledged (c, packet->ack, packet->len == 0);
  if (c->state == ESTABLISHED && packet->len > 0)
    take_data (c, packet);
  if (c->state == ESTABLISHED && (packet->flags & PH_SIM_TCP_FIN) != 0
      && packet->seq == c->expected) {
    say (c, PH_SIM_TCP_RST);
    die (c, PH_CONNECTION_CLOSED);
  }
}

static const Port *
port_at (const PhSimTcp *self, const PhAddr *local)
{
  for (guint i = 0; i < self->ports->len; i++) {
    const Port *port = self->ports->pdata[i];

    if (ph_addr_equal (&port->local, local))
      return port;
  }
  return NULL;
}

void
sim_tcp_deliver (PhSimTcp *self, PhSimPacket *packet)
{
  Connection *c = between (self, &packet->dst, &packet->src);
  const Port *port = port_at (self, &packet->dst);

  sim_fate (self->node->sim, PH_SIM_DELIVERED, self->node, packet);
  if (c != NULL) {
    handle_segment (c, packet);
  } else if (packet->flags == PH_SIM_TCP_SYN && port != NULL) {
    c = connection_new (self, ++self->node->sim->next_socket, port->id, &packet->dst, &packet->src,
                        SYN_RECEIVED);
    say (c, PH_SIM_TCP_SYN | PH_SIM_TCP_ACK);
  } else if ((packet->flags & PH_SIM_TCP_RST) == 0) {
    send_segment (self, &packet->dst, &packet->src, PH_SIM_TCP_RST, packet->ack, 0,
                  ph_slice (NULL, 0));
  }
  ph_sim_packet_free (packet);
}

/* --- What the program does -------------------------------------------------------------------------- */

static void
port_free (gpointer data)
{
  g_free (data);
}

static void
connection_free (gpointer data)
{
  Connection *c = data;

  g_byte_array_unref (c->queue);
  g_free (c);
}

PhSimTcp *
sim_tcp_new (PhSimNode *node)
{
  PhSimTcp *self = g_new0 (PhSimTcp, 1);

  self->node = node;
  self->ports = g_ptr_array_new_with_free_func (port_free);
  self->connections = g_ptr_array_new_with_free_func (connection_free);
  return self;
}

void
sim_tcp_free (PhSimTcp *self)
{
  if (self == NULL)
    return;
  g_ptr_array_unref (self->ports);
  g_ptr_array_unref (self->connections);
  g_free (self);
}

void
ph_sim_host_set_tcp (PhSimHost *host, const PhSimTcpCallbacks *callbacks, void *user)
{
  PhSimTcp *self = sim_host_tcp (host);

  self->callbacks = *callbacks;
  self->user = user;
}

uint32_t
ph_sim_host_listen (PhSimHost *host, const PhAddr *local, PhAddr *ret_local)
{
  PhSimTcp *self = sim_host_tcp (host);
  PhSim *sim = self->node->sim;
  PhAddr bound = *local;
  Port *port;

  if (sim_node_iface (self->node, local) == NULL)
    return 0;
  while (bound.port == 0 || (local->port == 0 && port_at (self, &bound) != NULL))
    bound.port = (uint16_t)(EPHEMERAL_FIRST + ph_random_below (&sim->random, EPHEMERAL_COUNT));
  if (port_at (self, &bound) != NULL)
    return 0;
  port = g_new0 (Port, 1);
  port->id = ++sim->next_socket;
  port->local = bound;
  g_ptr_array_add (self->ports, port);
  if (ret_local != NULL)
    *ret_local = bound;
  return port->id;
}

static const Port *
port_by_id (const PhSimTcp *self, uint32_t id)
{
  for (guint i = 0; i < self->ports->len; i++) {
    const Port *port = self->ports->pdata[i];

    if (port->id == id)
      return port;
  }
  return NULL;
}

void
ph_sim_host_unlisten (PhSimHost *host, uint32_t id)
{
  PhSimTcp *self = sim_host_tcp (host);
  const Port *port = port_by_id (self, id);

  if (port != NULL)
    g_ptr_array_remove (self->ports, (void *)(uintptr_t)port);
}

/* A failure that connect() itself returns is told soon, never within the call. */
typedef struct {
  PhSimTcp *tcp;
  PhConnectionEvent event;
} Soon;

static void
tell_soon (void *user, PhTime now)
{
  Soon *soon = user;

  soon->tcp->callbacks.event (soon->tcp->user, now, &soon->event);
  g_free (soon);
}

static void
open_connection (PhSimTcp *self, const PhConnectionOp *op)
{
  const Port *port = port_by_id (self, op->port);
  const bool in_use = port != NULL && between (self, &port->local, &op->remote) != NULL;

  if (port == NULL || in_use || sim_node_iface (self->node, &port->local) == NULL
      || port->local.family != op->remote.family) {
    const Soon soon = {
        .tcp = self,
        .event = {.type = in_use ? PH_CONNECTION_IN_USE : PH_CONNECTION_UNREACHABLE,
                  .socket = op->socket,
                  .port = op->port,
                  .remote = op->remote},
    };

    sim_push (self->node->sim, self->node->sim->now, tell_soon, g_memdup2 (&soon, sizeof soon),
              g_free);
    return;
  }
  say (connection_new (self, op->socket, op->port, &port->local, &op->remote, SYN_SENT),
       PH_SIM_TCP_SYN);
}

void
ph_sim_host_do (PhSimHost *host, const PhConnectionOp *op)
{
  PhSimTcp *self = sim_host_tcp (host);
  Connection *c = by_id (self, op->socket);

  if (op->type == PH_CONNECTION_OPEN) {
    open_connection (self, op);
    return;
  }
  if (c == NULL)
    return;
  c->silent = true;
  if (op->type == PH_CONNECTION_ABORT || c->state != ESTABLISHED) {
    if (c->state != SYN_SENT)
      say (c, PH_SIM_TCP_RST);
    die (c, PH_CONNECTION_CLOSED);
    return;
  }
  c->fin_queued = true;
  push (c);
}

bool
ph_sim_host_stream_send (PhSimHost *host, const PhTransmit *tx, bool *ret_blocked)
{
  Connection *c = by_id (sim_host_tcp (host), tx->socket);

  *ret_blocked = false;
  if (c == NULL)
    return false;
  if (c->state == ESTABLISHED) {
    g_byte_array_append (c->queue, tx->data, (guint)tx->len);
    push (c);
    c->was_blocked |= c->queue->len > QUEUE_MAX;
    *ret_blocked = c->was_blocked;
  }
  return true;
}

void
ph_sim_host_reset_all (PhSimHost *host)
{
  PhSimTcp *self = sim_host_tcp (host);

  for (guint i = 0; i < self->connections->len; i++) {
    Connection *c = self->connections->pdata[i];

    if (c->state == DEAD)
      continue;
    c->silent = true;
    if (c->state != SYN_SENT)
      say (c, PH_SIM_TCP_RST);
    die (c, PH_CONNECTION_CLOSED);
  }
  g_ptr_array_set_size (self->ports, 0);
}
