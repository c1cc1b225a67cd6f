/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the simulator's own files share. */

#pragma once

#include "tests/sim/ph-sim-tcp.h"

typedef struct _Event Event;

struct _PhSim {
  uint64_t seed;
  PhTime now;

  /* A binary heap by (when, order). */
  Event **heap;
  size_t heap_len;
  size_t heap_cap;
  uint64_t next_order;
  GHashTable *timers; /* id -> Event, those of ph_sim_at() only */
  uint64_t n_events;

  PhRandomSeeded random_state;
  PhRandom random;
  GSList *owned; /* Owned, newest first */

  PhSimObserve observe;
  void *observe_user;
  bool print;
  uint64_t counts[PH_SIM_N_FATES];
  uint64_t hash;

  GPtrArray *nodes; /* PhSimNode, owned */
  GPtrArray *segments; /* PhSimSegment, owned */
  uint32_t next_socket;
};

/* An event that cannot be cancelled; `drop` frees `user` if the world ends first. */
void sim_push (PhSim *self, PhTime when, PhSimFunc func, void *user, GDestroyNotify drop);

/* Counts, hashes and shows what became of a packet. */
void sim_fate (PhSim *self, PhSimFate fate, const PhSimNode *node, const PhSimPacket *packet);

bool sim_chance (PhSim *self, uint32_t ppm);

void segment_free (void *segment);

/* The interface of the node that has `ip`; NULL: none. */
PhSimIface *sim_node_iface (const PhSimNode *node, const PhAddr *ip);

/* What a socket of the node sends: tells its fate, and takes the packet. */
void sim_node_send (PhSimNode *node, PhSimIface *iface, PhSimPacket *packet);

/* TCP of a host, made on first use. */
typedef struct _PhSimTcp PhSimTcp;

PhSimTcp *sim_host_tcp (PhSimHost *host);
PhSimTcp *sim_tcp_new (PhSimNode *node);
void sim_tcp_free (PhSimTcp *self);
/* Takes the packet. */
void sim_tcp_deliver (PhSimTcp *self, PhSimPacket *packet);
