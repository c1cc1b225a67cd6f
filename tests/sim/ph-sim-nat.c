/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "tests/sim/ph-sim-nat.h"

#include "tests/sim/ph-sim-private.h"

#define PORT_FIRST 1024u
#define PORT_COUNT (65536u - PORT_FIRST)
/* nf_conntrack_udp_timeout: what an unanswered packet leaves behind in a Linux router. */
#define POISON_INTERVAL (30 * PH_SEC)
#define RETIRED_INTERVAL (60 * PH_SEC)
#define TIMEOUT_DEFAULT (120 * PH_SEC)
#define CHUNK_DEFAULT 512

/* TCP and UDP have ports, and so mappings, of their own. Within the box an address of TCP has this scope, which
 * no address that is routed has else. */
#define SCOPE_TCP 6
/* Likewise an inside address that speaks with an IPv4 address by way of `nat64`. */
#define SCOPE_NAT64 64

/* What a mapping is looked up by; the parts that do not matter are zero. */
typedef struct {
  PhAddr inside;
  PhAddr remote;
} Key;

typedef struct {
  PhAddr remote;
  PhTime expires;
} Permit;

typedef struct {
  Key key;
  PhAddr outside;
  PhTime expires;
  GArray *permits; /* Permit */
} Mapping;

struct _PhSimNat {
  PhSimNode node;
  PhSimNatConfig config;
  PhSimIface *inside;
  PhSimIface *outside;
  PhSimSegment *outside_segment;
  PhAddr outside_ip[PH_SIM_POOL_MAX];
  unsigned pool;
  PhAddr blocked; /* unset: nobody is */
  size_t blocked_len_max;

  GHashTable *by_key; /* &Mapping.key -> Mapping, owned */
  GHashTable *by_outside; /* &Mapping.outside -> Mapping */
  GHashTable *poisoned; /* Key {our outside, stranger}, owned -> expiry, owned */
  GHashTable *retired; /* inside PhAddr, owned: ports that ph_sim_nat_forget() took away */
  PhTime retired_until;

  uint32_t cursor; /* sequential: the last port given, less PORT_FIRST */
  PhTime cursor_time;
  GHashTable *chunks; /* inside PhAddr without port, owned -> first port */
  GHashTable *chunk_cursors;
};

static unsigned
key_hash (const void *data)
{
  const Key *key = data;

  return ph_addr_hash (&key->inside) * 31 + ph_addr_hash (&key->remote);
}

static int
key_equal (const void *a, const void *b)
{
  const Key *ka = a, *kb = b;

  return ph_addr_equal (&ka->inside, &kb->inside) && ph_addr_equal (&ka->remote, &kb->remote);
}

static void
mapping_free (void *data)
{
  Mapping *mapping = data;

  g_array_unref (mapping->permits);
  g_free (mapping);
}

static PhAddr
without_port (const PhAddr *addr)
{
  PhAddr ip = *addr;

  ip.port = 0;
  return ip;
}

static PhTime
nat_expiry (const PhSimNat *self)
{
  const PhTime interval = self->config.timeout_interval;

  return ph_time_add (self->node.sim->now, interval > 0 ? interval : TIMEOUT_DEFAULT);
}

static bool
nat_translates (const PhSimNat *self, const PhAddr *addr)
{
  if ((addr->scope & SCOPE_NAT64) != 0)
    return true;
  return addr->family == PH_FAMILY_IPV4 && !self->config.no_translation;
}

/* --- Mappings ----------------------------------------------------------------------------------- */

static void
mapping_remove (PhSimNat *self, Mapping *mapping)
{
  g_hash_table_remove (self->by_outside, &mapping->outside);
  g_hash_table_remove (self->by_key, &mapping->key);
}

static Mapping *
mapping_alive (PhSimNat *self, Mapping *mapping)
{
  if (mapping == NULL || self->node.sim->now < mapping->expires)
    return mapping;
  mapping_remove (self, mapping);
  return NULL;
}

static void
nat_purge (PhSimNat *self)
{
  GHashTableIter iter;
  Mapping *mapping;

  g_hash_table_iter_init (&iter, self->by_key);
  while (g_hash_table_iter_next (&iter, NULL, (void **)&mapping)) {
    if (self->node.sim->now >= mapping->expires) {
      g_hash_table_remove (self->by_outside, &mapping->outside);
      g_hash_table_iter_remove (&iter);
    }
  }
}

static bool
outside_in_use (PhSimNat *self, const PhAddr *outside)
{
  return mapping_alive (self, g_hash_table_lookup (self->by_outside, outside)) != NULL;
}

static PhAddr
pick_outside_ip (PhSimNat *self, const PhAddr *inside)
{
  PhAddr ip = without_port (inside);

  ip.scope = 0;

  if (self->pool == 1)
    return self->outside_ip[0];
  if (self->config.pool_arbitrary)
    return self->outside_ip[ph_random_below (&self->node.sim->random, self->pool)];
  return self->outside_ip[ph_addr_hash (&ip) % self->pool];
}

static bool
pick_random (PhSimNat *self, PhAddr *outside)
{
  for (unsigned tries = 0; tries < 4 * PORT_COUNT; tries++) {
    outside->port = (uint16_t)(PORT_FIRST + ph_random_below (&self->node.sim->random, PORT_COUNT));
    if (!outside_in_use (self, outside))
      return true;
  }
  return false;
}

static bool
pick_preserved (PhSimNat *self, const PhAddr *inside, PhAddr *outside)
{
  const bool retired =
      self->node.sim->now < self->retired_until && g_hash_table_contains (self->retired, inside);

  outside->port = inside->port;
  if (!retired && !sim_chance (self->node.sim, self->config.conflict_ppm)
      && !outside_in_use (self, outside))
    return true;
  return pick_random (self, outside);
}

/* How many ports others have used up since the last time. */
static uint64_t
nat_other_mappings (PhSimNat *self)
{
  const PhTime now = self->node.sim->now;
  const uint64_t scaled =
      ph_time_since (now, self->cursor_time) / PH_USEC * self->config.other_rate;

  self->cursor_time = now;
  return scaled / 1000000 + sim_chance (self->node.sim, (uint32_t)(scaled % 1000000));
}

static bool
pick_sequential (PhSimNat *self, PhAddr *outside)
{
  const int64_t step = self->config.port_step != 0 ? self->config.port_step : 1;
  int64_t steps = (int64_t)nat_other_mappings (self) + 1;

  for (unsigned tries = 0; tries < PORT_COUNT; tries++, steps = 1) {
    int64_t next = ((int64_t)self->cursor + steps * step) % (int64_t)PORT_COUNT;

    if (next < 0)
      next += PORT_COUNT;
    self->cursor = (uint32_t)next;
    outside->port = (uint16_t)(PORT_FIRST + self->cursor);
    if (!outside_in_use (self, outside))
      return true;
  }
  return false;
}

/* A block of ports per inside address, given on first use; blocks do not overlap. */
static bool
pick_chunk (PhSimNat *self, const PhAddr *inside, PhAddr *outside)
{
  const uint32_t size = self->config.chunk_size > 0 ? self->config.chunk_size : CHUNK_DEFAULT;
  const PhAddr ip = without_port (inside);
  unsigned first = GPOINTER_TO_UINT (g_hash_table_lookup (self->chunks, &ip));
  unsigned cursor = GPOINTER_TO_UINT (g_hash_table_lookup (self->chunk_cursors, &ip));

  if (first == 0) {
    const unsigned given = g_hash_table_size (self->chunks);

    if ((given + 1) * size > PORT_COUNT)
      return false;
    first = PORT_FIRST + given * size;
    g_hash_table_insert (self->chunks, g_memdup2 (&ip, sizeof ip), GUINT_TO_POINTER (first));
  }
  for (unsigned tries = 0; tries < size; tries++) {
    outside->port = (uint16_t)(first + cursor % size);
    cursor++;
    if (!outside_in_use (self, outside)) {
      g_hash_table_insert (self->chunk_cursors, g_memdup2 (&ip, sizeof ip),
                           GUINT_TO_POINTER (cursor % size));
      return true;
    }
  }
  return false;
}

static bool
pick_outside (PhSimNat *self, const PhAddr *inside, PhSimPorts ports, PhAddr *outside)
{
  if (!nat_translates (self, inside)) {
    *outside = *inside;
    return true;
  }
  *outside = pick_outside_ip (self, inside);
  outside->scope = inside->scope & SCOPE_TCP;
  switch (ports) {
  case PH_SIM_PORT_PRESERVE:
    return pick_preserved (self, inside, outside);
  case PH_SIM_PORT_SEQUENTIAL:
    return pick_sequential (self, outside);
  case PH_SIM_PORT_RANDOM:
    return pick_random (self, outside);
  case PH_SIM_PORT_CHUNK:
    return pick_chunk (self, inside, outside);
  }
  g_assert_not_reached ();
}

static Mapping *
mapping_new (PhSimNat *self, const Key *key, PhSimPorts ports)
{
  PhAddr outside;

  if (self->config.table_max > 0) {
    nat_purge (self);
    if (g_hash_table_size (self->by_key) >= self->config.table_max)
      return NULL;
  }
  if (!pick_outside (self, &key->inside, ports, &outside))
    return NULL;

  Mapping *mapping = g_new0 (Mapping, 1);

  mapping->key = *key;
  mapping->outside = outside;
  mapping->expires = nat_expiry (self);
  mapping->permits = g_array_new (FALSE, FALSE, sizeof (Permit));
  g_hash_table_insert (self->by_key, &mapping->key, mapping);
  g_hash_table_insert (self->by_outside, &mapping->outside, mapping);
  return mapping;
}

static void
mapping_permit (PhSimNat *self, Mapping *mapping, const PhAddr *remote)
{
  const Permit permit = {*remote, nat_expiry (self)};

  mapping->expires = permit.expires;
  for (guint i = 0; i < mapping->permits->len; i++) {
    Permit *old = &g_array_index (mapping->permits, Permit, i);

    if (ph_addr_equal (&old->remote, remote)) {
      old->expires = permit.expires;
      return;
    }
  }
  g_array_append_val (mapping->permits, permit);
}

static void
mapping_forbid (Mapping *mapping, const PhAddr *remote)
{
  for (guint i = mapping->permits->len; i-- > 0;) {
    if (ph_addr_equal (&g_array_index (mapping->permits, Permit, i).remote, remote))
      g_array_remove_index_fast (mapping->permits, i);
  }
}

static bool
mapping_admits (PhSimNat *self, const Mapping *mapping, const PhAddr *remote)
{
  if (self->config.filtering == PH_SIM_EI)
    return true;
  for (guint i = 0; i < mapping->permits->len; i++) {
    const Permit *permit = &g_array_index (mapping->permits, Permit, i);

    if (self->node.sim->now < permit->expires
        && (self->config.filtering == PH_SIM_AD ? ph_addr_equal_ip (&permit->remote, remote)
                                                : ph_addr_equal (&permit->remote, remote)))
      return true;
  }
  return false;
}

/* --- Poison ------------------------------------------------------------------------------------- */

static void
nat_poison (PhSimNat *self, const PhAddr *outside, const PhAddr *stranger)
{
  const Key key = {*outside, *stranger};
  const PhTime expires = ph_time_add (self->node.sim->now, POISON_INTERVAL);

  g_hash_table_insert (self->poisoned, g_memdup2 (&key, sizeof key),
                       g_memdup2 (&expires, sizeof expires));
}

static bool
nat_is_poisoned (const PhSimNat *self, const PhAddr *outside, const PhAddr *remote)
{
  const Key key = {*outside, *remote};
  const PhTime *expires = g_hash_table_lookup (self->poisoned, &key);

  return expires != NULL && self->node.sim->now < *expires;
}

/* --- Packets ------------------------------------------------------------------------------------ */

/* The mapping that a packet from `inside` to `remote` leaves by. */
static Mapping *
nat_map_out (PhSimNat *self, const PhAddr *inside, const PhAddr *remote)
{
  /* Made because the usual one was poisoned: it stays for as long as it is used. */
  const Key exact = {*inside, *remote};
  Mapping *mapping = mapping_alive (self, g_hash_table_lookup (self->by_key, &exact));
  Key key = {.inside = *inside};

  if (mapping != NULL)
    return mapping;
  /* A firewall keeps the address whoever it is for. */
  if (nat_translates (self, inside) && self->config.mapping == PH_SIM_AD)
    key.remote = without_port (remote);
  else if (nat_translates (self, inside) && self->config.mapping == PH_SIM_APD)
    key.remote = *remote;
  mapping = mapping_alive (self, g_hash_table_lookup (self->by_key, &key));
  if (mapping == NULL)
    mapping = mapping_new (self, &key, self->config.ports);
  if (mapping != NULL && nat_is_poisoned (self, &mapping->outside, remote)) {
    if (self->config.mapping == PH_SIM_APD)
      mapping_remove (self, mapping);
    mapping = mapping_new (self, &exact, PH_SIM_PORT_RANDOM);
  }
  return mapping;
}

/* Out of the box, as it came. */
static void
nat_send (PhSimIface *iface, PhSimPacket *packet)
{
  packet->src.scope = packet->dst.scope = 0;
  ph_sim_iface_send (iface, packet);
}

static void
nat_drop (PhSimNat *self, PhSimFate fate, PhSimPacket *packet)
{
  packet->src.scope = packet->dst.scope = 0;
  ph_sim_packet_drop (&self->node, fate, packet);
}

/* Nobody here waits for it. */
static void
nat_refuse (PhSimNat *self, PhSimPacket *packet)
{
  if (packet->proto == PH_SIM_TCP && self->config.tcp_refuses
      && (packet->flags & PH_SIM_TCP_RST) == 0) {
    PhSimPacket *reset = ph_sim_packet_new (&packet->dst, &packet->src, ph_slice (NULL, 0));

    reset->proto = PH_SIM_TCP;
    reset->flags = PH_SIM_TCP_RST;
    nat_send (self->outside, reset);
  }
  nat_drop (self, PH_SIM_DROP_FILTER, packet);
}

/* Takes the TTL's share of a router; false if nothing is left (and the packet is gone). */
static bool
nat_hop (PhSimNat *self, PhSimPacket *packet)
{
  if (packet->ttl <= 1) {
    nat_drop (self, PH_SIM_DROP_TTL, packet);
    return false;
  }
  packet->ttl--;
  return true;
}

static void
nat_inbound (PhSimNat *self, PhSimPacket *packet)
{
  Mapping *mapping = mapping_alive (self, g_hash_table_lookup (self->by_outside, &packet->dst));

  if (mapping == NULL || !mapping_admits (self, mapping, &packet->src)) {
    if (self->config.poisonable && nat_translates (self, &packet->dst))
      nat_poison (self, &packet->dst, &packet->src);
    nat_refuse (self, packet);
    return;
  }
  if (self->config.refresh_inbound)
    mapping_permit (self, mapping, &packet->src);
  /* What was called has refused: the call is over, as in Linux' connection tracking. */
  if ((packet->flags & PH_SIM_TCP_RST) != 0)
    mapping_forbid (mapping, &packet->src);
  packet->dst = mapping->key.inside;
  if ((packet->dst.scope & SCOPE_NAT64) != 0)
    ph_nat64_synthesise (&self->config.nat64, &packet->src, &packet->src);
  if (nat_hop (self, packet))
    nat_send (self->inside, packet);
}

static bool
has_address (const PhSimIface *iface, const PhAddr *addr)
{
  PhAddr ip = *addr;

  ip.scope = 0;
  return ph_sim_iface_has_address (iface, &ip);
}

static void
nat_outbound (PhSimNat *self, PhSimPacket *packet)
{
  const bool hairpin = has_address (self->outside, &packet->dst);
  const bool blocked = self->config.udp_blocked && packet->proto == PH_SIM_UDP;

  if (blocked || (hairpin && !self->config.hairpin)
      || (!hairpin && has_address (self->inside, &packet->dst))) {
    nat_drop (self, PH_SIM_DROP_POLICY, packet);
    return;
  }
  if (!nat_hop (self, packet))
    return;

  Mapping *mapping = nat_map_out (self, &packet->src, &packet->dst);

  if (mapping == NULL) {
    nat_drop (self, PH_SIM_DROP_POLICY, packet);
    return;
  }
  mapping_permit (self, mapping, &packet->dst);
  packet->src = mapping->outside;
  if (hairpin)
    nat_inbound (self, packet);
  else
    nat_send (self->outside, packet);
}

static void
nat_forward (PhSimNat *self, PhSimPacket *packet, bool outbound)
{
  const bool nat64 = outbound && self->config.nat64.len > 0
                     && ph_nat64_extract (&self->config.nat64, &packet->dst, &packet->dst);

  if (packet->proto == PH_SIM_TCP)
    packet->src.scope = packet->dst.scope = SCOPE_TCP;
  if (nat64)
    packet->src.scope |= SCOPE_NAT64;
  if (outbound)
    nat_outbound (self, packet);
  else
    nat_inbound (self, packet);
}

static void
nat_deliver (PhSimNode *node, PhSimIface *in, PhSimPacket *packet)
{
  PhSimNat *self = (PhSimNat *)node;
  const PhAddr *outside = in == self->inside ? &packet->dst : &packet->src;

  if (ph_addr_is_set (&self->blocked) && ph_addr_equal_ip (&self->blocked, outside)
      && packet->len > self->blocked_len_max)
    ph_sim_packet_drop (node, PH_SIM_DROP_POLICY, packet);
  else if (self->config.udp_blocked && packet->proto == PH_SIM_UDP && in != self->inside)
    ph_sim_packet_drop (node, PH_SIM_DROP_FILTER, packet);
  else
    nat_forward (self, packet, in == self->inside);
}

/* --- The box ------------------------------------------------------------------------------------ */

static void
nat_free (PhSimNode *node)
{
  PhSimNat *self = (PhSimNat *)node;

  g_hash_table_unref (self->by_outside);
  g_hash_table_unref (self->by_key);
  g_hash_table_unref (self->poisoned);
  g_hash_table_unref (self->retired);
  g_hash_table_unref (self->chunks);
  g_hash_table_unref (self->chunk_cursors);
  g_free (self);
}

static const PhSimNodeClass nat_class = {.deliver = nat_deliver, .free = nat_free};

/* The outside addresses, counted up from the first; those after it are new to the interface. */
static void
nat_set_outside (PhSimNat *self, const PhAddr *ip)
{
  for (unsigned i = 0; i < self->pool; i++) {
    self->outside_ip[i] = without_port (ip);
    self->outside_ip[i].ip[3] = (uint8_t)(ip->ip[3] + i);
    if (!ph_sim_iface_has_address (self->outside, &self->outside_ip[i]))
      ph_sim_iface_add_address (self->outside, &self->outside_ip[i]);
  }
}

PhSimNat *
ph_sim_nat_new (PhSim *sim, const char *name, const PhSimNatConfig *config, PhSimSegment *inside,
                const PhAddr *inside_ip, PhSimSegment *outside, const PhAddr *outside_ip)
{
  PhSimNat *self = g_new0 (PhSimNat, 1);

  g_assert (config->pool <= PH_SIM_POOL_MAX);
  ph_sim_node_init (&self->node, &nat_class, sim, name);
  self->config = *config;
  self->pool = MAX (1, config->pool);
  self->inside = ph_sim_node_attach (&self->node, inside, inside_ip);
  self->outside = ph_sim_node_attach (&self->node, outside, outside_ip);
  self->outside_segment = outside;
  nat_set_outside (self, outside_ip);
  ph_sim_segment_set_gateway (inside, self->inside);
  self->by_key = g_hash_table_new_full (key_hash, key_equal, NULL, mapping_free);
  self->by_outside = g_hash_table_new (ph_addr_hash, ph_addr_hash_equal);
  self->poisoned = g_hash_table_new_full (key_hash, key_equal, g_free, g_free);
  self->retired = g_hash_table_new_full (ph_addr_hash, ph_addr_hash_equal, g_free, NULL);
  self->chunks = g_hash_table_new_full (ph_addr_hash, ph_addr_hash_equal, g_free, NULL);
  self->chunk_cursors = g_hash_table_new_full (ph_addr_hash, ph_addr_hash_equal, g_free, NULL);
  self->cursor = (uint32_t)ph_random_below (&sim->random, PORT_COUNT);
  self->cursor_time = sim->now;
  return self;
}

void
ph_sim_nat_route (PhSimNat *self, const PhAddr *prefix, unsigned bits)
{
  ph_sim_segment_add_route (self->outside_segment, prefix, bits, self->outside);
}

PhSimIface *
ph_sim_nat_inside (PhSimNat *self)
{
  return self->inside;
}

PhSimIface *
ph_sim_nat_outside (PhSimNat *self)
{
  return self->outside;
}

const PhSimNatConfig *
ph_sim_nat_config (const PhSimNat *self)
{
  return &self->config;
}

void
ph_sim_nat_forget (PhSimNat *self)
{
  GHashTableIter iter;
  Mapping *mapping;

  g_hash_table_remove_all (self->retired);
  g_hash_table_iter_init (&iter, self->by_key);
  while (g_hash_table_iter_next (&iter, NULL, (void **)&mapping))
    g_hash_table_add (self->retired, g_memdup2 (&mapping->key.inside, sizeof mapping->key.inside));
  self->retired_until = ph_time_add (self->node.sim->now, RETIRED_INTERVAL);
  g_hash_table_remove_all (self->by_outside);
  g_hash_table_remove_all (self->by_key);
  g_hash_table_remove_all (self->poisoned);
}

void
ph_sim_nat_change_address (PhSimNat *self, const PhAddr *outside_ip)
{
  ph_sim_iface_remove_addresses (self->outside, PH_FAMILY_IPV4);
  nat_set_outside (self, outside_ip);
  ph_sim_nat_forget (self);
}

void
ph_sim_nat_block (PhSimNat *self, const PhAddr *ip, size_t len_max)
{
  self->blocked = ip != NULL ? *ip : (PhAddr){0};
  self->blocked_len_max = len_max;
}

unsigned
ph_sim_nat_mappings (const PhSimNat *self)
{
  GHashTableIter iter;
  const Mapping *mapping;
  unsigned n = 0;

  g_hash_table_iter_init (&iter, self->by_key);
  while (g_hash_table_iter_next (&iter, NULL, (void **)&mapping))
    n += self->node.sim->now < mapping->expires;
  return n;
}

char *
ph_sim_nat_config_format (const PhSimNatConfig *config)
{
  static const char *const dependence[] = {"EI", "AD", "APD"};
  static const char *const ports[] = {"preserve", "sequential", "random", "chunk"};

  return g_strdup_printf (
      "%s/%s %s%s%s%s%s%s%s", dependence[config->mapping], dependence[config->filtering],
      ports[config->ports], config->hairpin ? " hairpin" : "",
      config->poisonable ? " poisonable" : "", config->no_translation ? " firewall" : "",
      config->nat64.len > 0 ? " NAT64" : "", config->udp_blocked ? " udp-blocked" : "",
      config->pool > 1 ? " pool" : "");
}
