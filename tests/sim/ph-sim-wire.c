/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Segments, interfaces and their cables. */

#include "tests/sim/ph-sim-private.h"

#define QUEUE_BYTES_DEFAULT (64u << 10)

struct _PhSimSegment {
  PhSim *sim;
  char *name;
  unsigned hops;
  GHashTable *ifaces; /* PhAddr (port 0) owned -> PhSimIface */
  GArray *routes;
  PhSimIface *gateway;
};

typedef struct {
  PhAddr prefix;
  unsigned bits;
  PhSimIface *via;
} Route;

/* A cable with what it remembers. */
typedef struct {
  PhSimCable set;
  uint64_t n_packets;
  PhTime busy_until;
  PhTime last_arrival;
} Wire;

struct _PhSimIface {
  PhSimNode *node;
  PhSimSegment *segment;
  GArray *addresses; /* PhAddr, port 0 */
  Wire up;
  Wire down;
};

typedef struct {
  PhSimIface *iface;
  bool is_up;
  PhSimPacket *packet; /* owned */
} Transit;

static PhAddr
plain_ip (const PhAddr *addr)
{
  PhAddr ip = *addr;

  ip.port = 0;
  ip.scope = 0;
  return ip;
}

/* --- Segments ----------------------------------------------------------------------------------- */

PhSimSegment *
ph_sim_segment_new (PhSim *self, const char *name, unsigned hops)
{
  PhSimSegment *segment = g_new0 (PhSimSegment, 1);

  segment->sim = self;
  segment->name = g_strdup (name);
  segment->hops = hops;
  segment->ifaces = g_hash_table_new_full (ph_addr_hash, ph_addr_hash_equal, g_free, NULL);
  segment->routes = g_array_new (FALSE, FALSE, sizeof (Route));
  g_ptr_array_add (self->segments, segment);
  return segment;
}

void
segment_free (void *segment)
{
  PhSimSegment *self = segment;

  g_free (self->name);
  g_hash_table_unref (self->ifaces);
  g_array_unref (self->routes);
  g_free (self);
}

void
ph_sim_segment_set_gateway (PhSimSegment *self, PhSimIface *gateway)
{
  g_assert (gateway->segment == self);
  self->gateway = gateway;
}

void
ph_sim_segment_add_route (PhSimSegment *self, const PhAddr *prefix, unsigned bits, PhSimIface *via)
{
  const Route route = {plain_ip (prefix), bits, via};

  g_assert (via->segment == self);
  g_assert (bits <= 8 * ph_addr_ip (prefix).len);
  g_array_append_val (self->routes, route);
}

static bool
prefix_holds (const Route *route, const PhAddr *ip)
{
  if (route->prefix.family != ip->family)
    return false;
  for (unsigned bit = 0; bit < route->bits; bit++) {
    if (((route->prefix.ip[bit / 8] ^ ip->ip[bit / 8]) & (0x80 >> bit % 8)) != 0)
      return false;
  }
  return true;
}

static PhSimIface *
segment_route (const PhSimSegment *self, const PhAddr *dst)
{
  const PhAddr ip = plain_ip (dst);
  PhSimIface *best = g_hash_table_lookup (self->ifaces, &ip);
  unsigned best_bits = 0;

  if (best != NULL)
    return best;
  best = self->gateway;
  for (guint i = 0; i < self->routes->len; i++) {
    const Route *route = &g_array_index (self->routes, Route, i);

    if (route->bits >= best_bits && prefix_holds (route, &ip)) {
      best = route->via;
      best_bits = route->bits;
    }
  }
  return best;
}

/* --- Cables ------------------------------------------------------------------------------------- */

static void transit_arrive (void *user, PhTime now);

static void
transit_free (void *user)
{
  Transit *transit = user;

  ph_sim_packet_free (transit->packet);
  g_free (transit);
}

static size_t
packet_size (const PhSimPacket *packet)
{
  return packet->len
         + (packet->dst.family == PH_FAMILY_IPV6 ? PH_SIM_OVERHEAD_IPV6 : PH_SIM_OVERHEAD_IPV4);
}

/* Whether the cable takes the packet at all; PH_SIM_DELIVERED if so. */
static PhSimFate
wire_accepts (PhSim *sim, Wire *wire, const PhSimPacket *packet)
{
  const PhSimCable *set = &wire->set;
  const uint64_t n = wire->n_packets++;

  if (set->cut)
    return PH_SIM_DROP_CUT;
  if (packet_size (packet) > (set->mtu > 0 ? set->mtu : 65535))
    return PH_SIM_DROP_MTU;
  if ((set->loss_mask_max == 0 || n < set->loss_mask_max) && (set->loss_mask >> n % 64 & 1) != 0)
    return PH_SIM_DROP_LOSS;
  if (sim_chance (sim, set->loss_ppm))
    return PH_SIM_DROP_LOSS;
  if (set->rate > 0) {
    const PhTime wait = ph_time_since (wire->busy_until, sim->now);
    const uint64_t waiting = wait / PH_USEC * set->rate / 1000000;

    if (waiting + packet_size (packet)
        > (set->queue_bytes > 0 ? set->queue_bytes : QUEUE_BYTES_DEFAULT))
      return PH_SIM_DROP_QUEUE;
  }
  return PH_SIM_DELIVERED;
}

/* When a packet that was taken comes out at the other end. */
static PhTime
wire_arrival (PhSim *sim, Wire *wire, const PhSimPacket *packet)
{
  const PhSimCable *set = &wire->set;
  PhTime depart = sim->now;

  if (set->rate > 0) {
    depart = MAX (depart, wire->busy_until) + packet_size (packet) * PH_SEC / set->rate;
    wire->busy_until = depart;
  }

  PhTime arrival = depart + set->delay;

  if (set->jitter > 0)
    arrival += ph_random_below (&sim->random, set->jitter + 1);
  arrival = MAX (arrival, wire->last_arrival);
  if (sim_chance (sim, set->reorder_ppm))
    return arrival + set->reorder_delay;
  wire->last_arrival = arrival;
  return arrival;
}

static void
wire_carry (PhSimIface *iface, bool is_up, PhSimPacket *packet)
{
  PhSim *sim = iface->node->sim;
  Wire *wire = is_up ? &iface->up : &iface->down;
  const PhSimFate fate = wire_accepts (sim, wire, packet);
  unsigned copies = 1;

  if (fate != PH_SIM_DELIVERED) {
    ph_sim_packet_drop (iface->node, fate, packet);
    return;
  }
  if (sim_chance (sim, wire->set.duplicate_ppm))
    copies = 2;
  while (copies-- > 0) {
    Transit *transit = g_new0 (Transit, 1);

    transit->iface = iface;
    transit->is_up = is_up;
    transit->packet = copies > 0 ? ph_sim_packet_copy (packet) : packet;
    sim_push (sim, wire_arrival (sim, wire, packet), transit_arrive, transit, transit_free);
  }
}

static void
transit_arrive (void *user, PhTime now)
{
  Transit *transit = user;
  PhSimIface *iface = transit->iface;
  PhSimPacket *packet = g_steal_pointer (&transit->packet);
  const bool is_up = transit->is_up;

  transit_free (transit);
  if (!is_up) {
    iface->node->klass->deliver (iface->node, iface, packet);
    return;
  }

  PhSimIface *to = segment_route (iface->segment, &packet->dst);

  if (to == NULL || (to == iface && !ph_sim_iface_has_address (to, &packet->dst))) {
    ph_sim_packet_drop (iface->node, PH_SIM_DROP_ROUTE, packet);
  } else if (packet->ttl <= iface->segment->hops) {
    ph_sim_packet_drop (iface->node, PH_SIM_DROP_TTL, packet);
  } else {
    packet->ttl = (uint8_t)(packet->ttl - iface->segment->hops);
    wire_carry (to, false, packet);
  }
}

/* --- Interfaces --------------------------------------------------------------------------------- */

static void
iface_free (void *iface)
{
  PhSimIface *self = iface;

  g_array_unref (self->addresses);
  g_free (self);
}

void
ph_sim_node_init (PhSimNode *self, const PhSimNodeClass *klass, PhSim *sim, const char *name)
{
  self->klass = klass;
  self->sim = sim;
  self->name = g_strdup (name);
  self->ifaces = g_ptr_array_new_with_free_func (iface_free);
  g_ptr_array_add (sim->nodes, self);
}

PhSimIface *
ph_sim_node_attach (PhSimNode *self, PhSimSegment *segment, const PhAddr *ip)
{
  PhSimIface *iface = g_new0 (PhSimIface, 1);

  iface->node = self;
  iface->segment = segment;
  iface->addresses = g_array_new (FALSE, FALSE, sizeof (PhAddr));
  g_ptr_array_add (self->ifaces, iface);
  ph_sim_iface_add_address (iface, ip);
  return iface;
}

void
ph_sim_iface_add_address (PhSimIface *self, const PhAddr *ip)
{
  const PhAddr key = plain_ip (ip);

  g_assert (ph_addr_is_set (&key));
  g_assert (g_hash_table_lookup (self->segment->ifaces, &key) == NULL);
  g_hash_table_insert (self->segment->ifaces, g_memdup2 (&key, sizeof key), self);
  g_array_append_val (self->addresses, key);
}

void
ph_sim_iface_remove_addresses (PhSimIface *self, uint8_t family)
{
  for (guint i = self->addresses->len; i > 0; i--) {
    const PhAddr key = g_array_index (self->addresses, PhAddr, i - 1);

    if (key.family == family) {
      g_array_remove_index (self->addresses, i - 1);
      g_hash_table_remove (self->segment->ifaces, &key);
    }
  }
}

bool
ph_sim_iface_has_address (const PhSimIface *self, const PhAddr *ip)
{
  for (guint i = 0; i < self->addresses->len; i++) {
    if (ph_addr_equal_ip (&g_array_index (self->addresses, PhAddr, i), ip))
      return true;
  }
  return false;
}

void
ph_sim_iface_send (PhSimIface *self, PhSimPacket *packet)
{
  wire_carry (self, true, packet);
}

PhSimCable *
ph_sim_iface_up (PhSimIface *self)
{
  return &self->up.set;
}

PhSimCable *
ph_sim_iface_down (PhSimIface *self)
{
  return &self->down.set;
}

void
ph_sim_iface_set (PhSimIface *self, const PhSimCable *both)
{
  self->up.set = *both;
  self->down.set = *both;
}

void
ph_sim_iface_cut (PhSimIface *self, bool cut)
{
  self->up.set.cut = cut;
  self->down.set.cut = cut;
}
