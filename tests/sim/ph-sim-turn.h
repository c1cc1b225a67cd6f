/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A TURN server on the simulated internet, RFC 8656 over UDP with one user and the
 * same with renewed credentials: what coturn does of it for
 * well-behaved clients. Written from the RFC without a look at net/turn's client, with which it shares
 * nothing but the STUN codec. What a peer may not send (no permission) is dropped, and all of it counted. */

#pragma once

#include "tests/sim/ph-sim.h"

#define PH_SIM_TURN_USER "user"
#define PH_SIM_TURN_RENEWED_USER "user, renewed"
#define PH_SIM_TURN_PASSWORD "secret"

typedef struct _PhSimTurn PhSimTurn;

typedef struct {
  PhSimHost *host;
  PhAddr addr;
  unsigned allocations;
  unsigned allocated; /* ever */
  unsigned refused; /* requests that got an error other than a challenge */
  uint64_t relayed; /* datagrams, both ways */
  uint64_t channel_data; /* those from clients that came as ChannelData */
  uint64_t not_permitted;
  unsigned quota; /* allocations at most; 0: no limit */
  bool dead; /* neither answers nor relays */
  bool expired; /* PH_SIM_TURN_USER makes no allocations any more */
  bool strict; /* nor does it keep those that it made */
  unsigned foreign; /* requests for an allocation of the other name: refused with 441 */
} PhSimTurnView;

struct _PhSimTurn {
  PhSimTurnView view; /* to be looked at; quota, dead and expired to be set */
  /*< private >*/
  PhSim *sim;
  uint32_t socket;
  const char *user; /* of the request that is being answered */
  GPtrArray *allocations;
  uint16_t next_port;
};

/* Belongs to the world. `addr` is where it listens; its relayed addresses have the same IP. */
PhSimTurn *
ph_sim_turn_new (PhSim *sim, const char *name, PhSimSegment *segment, const PhAddr *addr);
/* Forgets all allocations, as a server that was started anew. */
void ph_sim_turn_restart (PhSimTurn *self);
