/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A simulated network on a virtual clock: whole stacks in one process, thousands of times faster than
 * real time, and the same again from the same seed.
 *
 * The world consists of *nodes* (hosts, NAT boxes) that are attached to *segments* (a LAN, the
 * inside of a carrier, the internet). An attachment is an *interface*: it has addresses and two
 * *cables*, one for each direction, that delay, queue, lose, double, reorder and swallow packets. On a
 * segment a packet goes to the interface that has its destination address, else along the longest
 * prefix route, else to the segment's gateway, else nowhere.
 *
 *     host ==cables== segment "home" ==cables== NAT box ==cables== segment "internet" == ...
 *
 * Everything happens in events, ordered by time and, at one time, by the order in which they were
 * made. All chance comes from the seed. The trace hash covers time, addresses and size of every packet
 * at every step: two runs of one seed must agree in it, as long as the stacks draw only from injected
 * randomness (TLS does not).
 *
 * Packets are UDP, or segments of TCP (ph-sim-tcp.h). PhSimPacket says its protocol, and routing, cables and
 * boxes look at nothing but that, the addresses and a segment's flags.
 *
 * Ownership: the PhSim owns all nodes, segments and packets; ph_sim_free() frees the world. What the
 * caller gives (callbacks' `user`) must outlive it or be taken away first. One thread. */

#pragma once

#include "net/base/ph-addr.h"
#include "net/base/ph-datagram.h"
#include "net/base/ph-random.h"
#include "net/base/ph-time.h"
#include "net/nat/ph-nat64.h"

#include <glib.h>

typedef struct _PhSim PhSim;
typedef struct _PhSimSegment PhSimSegment;
typedef struct _PhSimNode PhSimNode;
typedef struct _PhSimIface PhSimIface;
typedef struct _PhSimHost PhSimHost;

/* The virtual clock does not start at 0, so that a core that mistakes 0 for "never" is found. */
#define PH_SIM_START (100 * PH_SEC)

/* --- The world ---------------------------------------------------------------------------------- */

PhSim *ph_sim_new (uint64_t seed);
void ph_sim_free (PhSim *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhSim, ph_sim_free)

PhTime ph_sim_now (const PhSim *self);
uint64_t ph_sim_seed (const PhSim *self);

/* The network's own source of chance. */
const PhRandom *ph_sim_random (PhSim *self);
/* One more source, from the seed and `name`: a stack's draws then do not depend on how many the
 * network made. Owned by the world. */
const PhRandom *ph_sim_random_for (PhSim *self, const char *name);

/* `data` is freed with the world: before the nodes, the newest first. */
void ph_sim_own (PhSim *self, void *data, GDestroyNotify destroy);

typedef void (*PhSimFunc) (void *user, PhTime now);

/* Calls `func` at `when` (at once, but after this event, if that is past). Returns an id for
 * ph_sim_cancel(), which does nothing for one that has run; 0 is never an id. */
uint64_t ph_sim_at (PhSim *self, PhTime when, PhSimFunc func, void *user);
void ph_sim_cancel (PhSim *self, uint64_t id);

/* Runs the next event; false if there is none at or before `until` (then the clock stands at
 * `until`, unless that is PH_NEVER). */
bool ph_sim_step (PhSim *self, PhTime until);
/* When the next event is due; PH_NEVER if there is none. For a world that runs beside a real clock. */
PhTime ph_sim_next (const PhSim *self);
void ph_sim_run (PhSim *self, PhTime until);
/* Runs until `done` says so, true, or `until` has come, false. */
bool ph_sim_run_while_not (PhSim *self, PhTime until, bool (*done) (void *user), void *user);

/* Order, time and size of all that happened so far. */
uint64_t ph_sim_trace_hash (const PhSim *self);
uint64_t ph_sim_events (const PhSim *self);

/* --- Packets ------------------------------------------------------------------------------------ */

typedef enum { PH_SIM_UDP, PH_SIM_TCP } PhSimProto;

/* Of TCP segments. */
#define PH_SIM_TCP_SYN 1
#define PH_SIM_TCP_ACK 2
#define PH_SIM_TCP_RST 4
#define PH_SIM_TCP_FIN 8

#define PH_SIM_TTL_DEFAULT 64
/* IPv4 and UDP headers: what a datagram adds to its bytes on the wire; 48 for IPv6. */
#define PH_SIM_OVERHEAD_IPV4 28
#define PH_SIM_OVERHEAD_IPV6 48

typedef struct {
  PhSimProto proto;
  uint8_t ttl;
  uint8_t ecn;
  PhAddr src;
  PhAddr dst;
  size_t len;
  uint8_t *bytes; /* owned by the packet */
  uint8_t flags; /* TCP, as the next two */
  uint64_t seq; /* bytes since the beginning; SYN and FIN count none */
  uint64_t ack;
} PhSimPacket;

/* What became of a packet, for observers and counters. */
typedef enum {
  PH_SIM_SENT, /* left a host's socket */
  PH_SIM_DELIVERED, /* reached a host's socket */
  PH_SIM_DROP_LOSS, /* the cable's chance or mask */
  PH_SIM_DROP_QUEUE, /* the cable's queue was full */
  PH_SIM_DROP_MTU, /* too large */
  PH_SIM_DROP_CUT, /* the cable is cut */
  PH_SIM_DROP_ROUTE, /* nobody has the address */
  PH_SIM_DROP_TTL,
  PH_SIM_DROP_FILTER, /* a NAT or firewall let it not in */
  PH_SIM_DROP_POLICY, /* a NAT or firewall let it not out (UDP blocked, table full, no hairpin) */
  PH_SIM_DROP_SOCKET, /* no socket is bound there */
  PH_SIM_N_FATES,
} PhSimFate;

const char *ph_sim_fate_name (PhSimFate fate);
uint64_t ph_sim_count (const PhSim *self, PhSimFate fate);

/* Sees every packet when its fate is known, at `node`. One observer; NULL takes it away. With PH_SIM_TRACE
 * in the environment all of it is printed as well. */
typedef void (*PhSimObserve) (void *user, PhSim *sim, PhSimFate fate, const PhSimNode *node,
                              const PhSimPacket *packet);
void ph_sim_observe (PhSim *self, PhSimObserve observe, void *user);

/* --- Segments and cables ------------------------------------------------------------------------ */

/* `hops`: how many routers a packet crosses on it (its TTL pays); 0 for a LAN. */
PhSimSegment *ph_sim_segment_new (PhSim *self, const char *name, unsigned hops);
/* Where packets for nobody on the segment go. */
void ph_sim_segment_set_gateway (PhSimSegment *self, PhSimIface *gateway);
void
ph_sim_segment_add_route (PhSimSegment *self, const PhAddr *prefix, unsigned bits, PhSimIface *via);

/* One direction of an interface's cable. All zeros: a perfect one. Chances are in parts per million,
 * so that runs do not depend on floating point. */
typedef struct {
  PhTime delay; /* one way */
  PhTime jitter; /* added, uniform in [0, jitter]; packets stay in order */
  uint64_t rate; /* bytes a second; 0: no limit */
  size_t queue_bytes; /* what waits for `rate` at most (drop tail); 0: 64 KiB */
  uint32_t loss_ppm;
  uint64_t loss_mask; /* packet number n of the cable is lost if bit n % 64 is set */
  unsigned loss_mask_max; /* the mask is for the first so many packets only; 0: for ever */
  uint32_t duplicate_ppm;
  uint32_t reorder_ppm; /* chance of being held back by reorder_delay, and so overtaken */
  PhTime reorder_delay;
  size_t mtu; /* larger IP packets vanish without a word; 0: 65535 */
  bool cut;
} PhSimCable;

/* Conditions may change at any time; packets under way keep theirs. */
PhSimCable *ph_sim_iface_up (PhSimIface *self); /* from the node to the segment */
PhSimCable *ph_sim_iface_down (PhSimIface *self); /* from the segment to the node */
/* The same to both directions. */
void ph_sim_iface_set (PhSimIface *self, const PhSimCable *both);
void ph_sim_iface_cut (PhSimIface *self, bool cut);

/* --- Nodes -------------------------------------------------------------------------------------- */

typedef struct {
  /* A packet arrived at `in`; the node takes it (ph_sim_packet_free() or ph_sim_iface_send()). */
  void (*deliver) (PhSimNode *self, PhSimIface *in, PhSimPacket *packet);
  void (*free) (PhSimNode *self);
} PhSimNodeClass;

/* Base of every node: first member of its struct, which is g_malloc()ed. */
struct _PhSimNode {
  const PhSimNodeClass *klass;
  PhSim *sim;
  char *name;
  GPtrArray *ifaces; /* PhSimIface, owned */
  PhNat64Way way; /* of a host behind a translator, see ph_sim_host_set_nat64() */
};

/* Hands a node to the world. */
void ph_sim_node_init (PhSimNode *self, const PhSimNodeClass *klass, PhSim *sim, const char *name);
/* `ip`'s port is not looked at. More addresses may follow. */
PhSimIface *ph_sim_node_attach (PhSimNode *self, PhSimSegment *segment, const PhAddr *ip);
void ph_sim_iface_add_address (PhSimIface *self, const PhAddr *ip);
void ph_sim_iface_remove_addresses (PhSimIface *self, uint8_t family);
bool ph_sim_iface_has_address (const PhSimIface *self, const PhAddr *ip);
/* Sends into the segment; takes the packet. */
void ph_sim_iface_send (PhSimIface *self, PhSimPacket *packet);

PhSimPacket *ph_sim_packet_new (const PhAddr *src, const PhAddr *dst, PhSlice bytes);
PhSimPacket *ph_sim_packet_copy (const PhSimPacket *packet);
void ph_sim_packet_free (PhSimPacket *packet);
/* For nodes: counts it, tells the observer, and frees the packet. */
void ph_sim_packet_drop (PhSimNode *at, PhSimFate fate, PhSimPacket *packet);

/* --- Hosts -------------------------------------------------------------------------------------- */

/* What arrives for any socket of the host; `in` is borrowed. */
typedef void (*PhSimReceive) (void *user, PhTime now, const PhDatagram *in);

PhSimHost *ph_sim_host_new (PhSim *sim, const char *name);
void ph_sim_host_set_receive (PhSimHost *self, PhSimReceive receive, void *user);
/* Attaches another interface; several make a host with several homes. */
PhSimIface *ph_sim_host_attach (PhSimHost *self, PhSimSegment *segment, const PhAddr *ip);
/* The interface's address of that family is replaced, as on a new network. Sockets bound to the old
 * one stay open, and neither send nor receive. */
void ph_sim_host_change_address (PhSimHost *self, PhSimIface *iface, const PhAddr *ip);
/* The interface has `way`'s base, and behind it is a translator: sockets can be bound to `way`'s own IPv4 address
 * too, which no other host of the segment has. Between them and the interface packets change as net/io changes
 * them; observers see IPv4. */
void ph_sim_host_set_nat64 (PhSimHost *self, PhSimIface *iface, const PhNat64Way *way);
const char *ph_sim_host_name (const PhSimHost *self);

/* Binds a UDP socket to one of the host's addresses (port 0: a free one from 32768 on) and returns its id,
 * unique in the world; 0 if the address is not the host's or the port is in use. */
uint32_t ph_sim_host_open (PhSimHost *self, const PhAddr *local, PhAddr *ret_local);
void ph_sim_host_close (PhSimHost *self, uint32_t socket);
/* TTL of what the socket sends from now on. */
void ph_sim_host_set_ttl (PhSimHost *self, uint32_t socket, uint8_t ttl);
bool ph_sim_host_local (const PhSimHost *self, uint32_t socket, PhAddr *ret_local);
/* Sends what a core's _poll_transmit filled in: one datagram, or a batch of tx->segment bytes each. False
 * if there is no such socket or it cannot send (EADDRNOTAVAIL, other family). */
bool ph_sim_host_send (PhSimHost *self, const PhTransmit *tx);
/* The same for one datagram. */
bool ph_sim_host_send_bytes (PhSimHost *self, uint32_t socket, const PhAddr *to, PhSlice bytes);
