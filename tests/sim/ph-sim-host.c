/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "tests/sim/ph-sim-private.h"

#define EPHEMERAL_FIRST 32768
#define EPHEMERAL_LAST 60999

typedef struct {
  uint32_t id;
  PhAddr local;
  uint8_t ttl;
} Socket;

struct _PhSimHost {
  PhSimNode node;
  PhSimReceive receive;
  void *receive_user;
  GHashTable *by_addr; /* &Socket.local -> Socket, owned */
  GHashTable *by_id; /* id -> Socket */
  uint16_t next_port;
  PhSimTcp *tcp; /* owned; NULL: it has none */
};

static Socket *
host_socket (const PhSimHost *self, uint32_t id)
{
  return g_hash_table_lookup (self->by_id, GUINT_TO_POINTER (id));
}

/* --- Behind a translator ------------------------------------------------------------------------ */

static PhAddr
with_port (PhAddr ip, uint16_t port)
{
  ip.port = port;
  return ip;
}

void
ph_sim_host_set_nat64 (PhSimHost *self, PhSimIface *iface, const PhNat64Way *way)
{
  g_assert_true (ph_sim_iface_has_address (iface, &way->base));
  ph_sim_iface_add_address (iface, &way->own);
  self->node.way = *way;
}

void
sim_node_send (PhSimNode *node, PhSimIface *iface, PhSimPacket *packet)
{
  const PhNat64Way *way = &node->way;

  sim_fate (node->sim, PH_SIM_SENT, node, packet);
  if (way->prefix.len > 0 && ph_addr_equal_ip (&packet->src, &way->own)) {
    if (!ph_nat64_synthesise (&way->prefix, &packet->dst, &packet->dst)) {
      ph_sim_packet_drop (node, PH_SIM_DROP_ROUTE, packet);
      return;
    }
    packet->src = with_port (way->base, packet->src.port);
  }
  ph_sim_iface_send (iface, packet);
}

/* The way back of sim_node_send(). */
static void
host_translate (const PhSimHost *self, PhSimPacket *packet)
{
  const PhNat64Way *way = &self->node.way;

  if (way->prefix.len > 0 && ph_addr_equal_ip (&packet->dst, &way->base)
      && ph_nat64_extract (&way->prefix, &packet->src, &packet->src))
    packet->dst = with_port (way->own, packet->dst.port);
}

/* --- What arrives ------------------------------------------------------------------------------- */

static void
host_deliver (PhSimNode *node, PhSimIface *in, PhSimPacket *packet)
{
  PhSimHost *self = (PhSimHost *)node;

  host_translate (self, packet);

  if (packet->proto == PH_SIM_TCP && self->tcp != NULL
      && ph_sim_iface_has_address (in, &packet->dst)) {
    sim_tcp_deliver (self->tcp, packet);
    return;
  }

  const Socket *socket =
      packet->proto == PH_SIM_UDP ? g_hash_table_lookup (self->by_addr, &packet->dst) : NULL;

  if (socket == NULL || !ph_sim_iface_has_address (in, &packet->dst)) {
    ph_sim_packet_drop (node, PH_SIM_DROP_SOCKET, packet);
    return;
  }
  sim_fate (node->sim, PH_SIM_DELIVERED, node, packet);
  if (self->receive != NULL) {
    const PhDatagram in_datagram = {
        .socket = socket->id,
        .remote = packet->src,
        .ecn = packet->ecn,
        .bytes = ph_slice (packet->bytes, packet->len),
    };

    self->receive (self->receive_user, node->sim->now, &in_datagram);
  }
  ph_sim_packet_free (packet);
}

static void
host_free (PhSimNode *node)
{
  PhSimHost *self = (PhSimHost *)node;

  sim_tcp_free (self->tcp);
  g_hash_table_unref (self->by_id);
  g_hash_table_unref (self->by_addr);
  g_free (self);
}

static const PhSimNodeClass host_class = {.deliver = host_deliver, .free = host_free};

PhSimHost *
ph_sim_host_new (PhSim *sim, const char *name)
{
  PhSimHost *self = g_new0 (PhSimHost, 1);

  ph_sim_node_init (&self->node, &host_class, sim, name);
  self->by_addr = g_hash_table_new_full (ph_addr_hash, ph_addr_hash_equal, NULL, g_free);
  self->by_id = g_hash_table_new (NULL, NULL);
  self->next_port = (uint16_t)(EPHEMERAL_FIRST
                               + ph_random_below (&sim->random, EPHEMERAL_LAST - EPHEMERAL_FIRST));
  return self;
}

void
ph_sim_host_set_receive (PhSimHost *self, PhSimReceive receive, void *user)
{
  self->receive = receive;
  self->receive_user = user;
}

PhSimIface *
ph_sim_host_attach (PhSimHost *self, PhSimSegment *segment, const PhAddr *ip)
{
  return ph_sim_node_attach (&self->node, segment, ip);
}

const char *
ph_sim_host_name (const PhSimHost *self)
{
  return self->node.name;
}

PhSimIface *
sim_node_iface (const PhSimNode *node, const PhAddr *ip)
{
  for (guint i = 0; i < node->ifaces->len; i++) {
    if (ph_sim_iface_has_address (node->ifaces->pdata[i], ip))
      return node->ifaces->pdata[i];
  }
  return NULL;
}

static PhSimIface *
host_iface (const PhSimHost *self, const PhAddr *ip)
{
  return sim_node_iface (&self->node, ip);
}

PhSimTcp *
sim_host_tcp (PhSimHost *self)
{
  if (self->tcp == NULL)
    self->tcp = sim_tcp_new (&self->node);
  return self->tcp;
}

void
ph_sim_host_change_address (PhSimHost *self, PhSimIface *iface, const PhAddr *ip)
{
  g_assert (g_ptr_array_find (self->node.ifaces, iface, NULL));
  ph_sim_iface_remove_addresses (iface, ip->family);
  ph_sim_iface_add_address (iface, ip);
}

static bool
host_pick_port (PhSimHost *self, PhAddr *local)
{
  for (unsigned tries = 0; tries <= EPHEMERAL_LAST - EPHEMERAL_FIRST; tries++) {
    local->port = self->next_port;
    self->next_port =
        self->next_port == EPHEMERAL_LAST ? EPHEMERAL_FIRST : (uint16_t)(self->next_port + 1);
    if (!g_hash_table_contains (self->by_addr, local))
      return true;
  }
  return false;
}

uint32_t
ph_sim_host_open (PhSimHost *self, const PhAddr *local, PhAddr *ret_local)
{
  PhAddr bound = *local;

  if (host_iface (self, local) == NULL)
    return 0;
  if (bound.port == 0 && !host_pick_port (self, &bound))
    return 0;
  if (g_hash_table_contains (self->by_addr, &bound))
    return 0;

  Socket *socket = g_new0 (Socket, 1);

  socket->id = ++self->node.sim->next_socket;
  socket->local = bound;
  socket->ttl = PH_SIM_TTL_DEFAULT;
  g_hash_table_insert (self->by_addr, &socket->local, socket);
  g_hash_table_insert (self->by_id, GUINT_TO_POINTER (socket->id), socket);
  if (ret_local != NULL)
    *ret_local = bound;
  return socket->id;
}

void
ph_sim_host_close (PhSimHost *self, uint32_t id)
{
  Socket *socket = host_socket (self, id);

  if (socket == NULL)
    return;
  g_hash_table_remove (self->by_id, GUINT_TO_POINTER (id));
  g_hash_table_remove (self->by_addr, &socket->local);
}

void
ph_sim_host_set_ttl (PhSimHost *self, uint32_t id, uint8_t ttl)
{
  Socket *socket = host_socket (self, id);

  if (socket != NULL)
    socket->ttl = ttl;
}

bool
ph_sim_host_local (const PhSimHost *self, uint32_t id, PhAddr *ret_local)
{
  const Socket *socket = host_socket (self, id);

  if (socket == NULL)
    return false;
  *ret_local = socket->local;
  return true;
}

bool
ph_sim_host_send (PhSimHost *self, const PhTransmit *tx)
{
  const Socket *socket = host_socket (self, tx->socket);
  PhSimIface *iface = socket != NULL ? host_iface (self, &socket->local) : NULL;
  const size_t segment = tx->segment > 0 ? tx->segment : tx->len;

  if (iface == NULL || tx->remote.family != socket->local.family)
    return false;
  for (size_t off = 0; off < tx->len || off == 0; off += segment) {
    PhSimPacket *packet = ph_sim_packet_new (
        &socket->local, &tx->remote, ph_slice (tx->data + off, MIN (segment, tx->len - off)));

    packet->ttl = tx->ttl != 0 ? tx->ttl : socket->ttl;
    packet->ecn = tx->ecn;
    sim_node_send (&self->node, iface, packet);
    if (segment == 0)
      break;
  }
  return true;
}

bool
ph_sim_host_send_bytes (PhSimHost *self, uint32_t socket, const PhAddr *to, PhSlice bytes)
{
  const PhTransmit tx = {
      .data = (uint8_t *)bytes.data,
      .socket = socket,
      .remote = *to,
      .len = bytes.len,
  };

  return ph_sim_host_send (self, &tx);
}
