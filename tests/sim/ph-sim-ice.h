/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An ICE agent with its STUN gatherers on each host of a PhSimWorld, and signalling between them: what
 * the connector is in the program, without links. */

#pragma once

#include "tests/sim/ph-sim-driver.h"
#include "tests/sim/ph-sim-world.h"

#include "net/ice/ph-ice-agent.h"
#include "net/stun/ph-stun-binding.h"

/* Sockets of one peer: IPv4 and IPv6. */
#define PH_SIM_ICE_SOCKETS 2

typedef struct _PhSimIce PhSimIce;

typedef struct {
  PhSimIce *ice;
  PhSimWho who;
  PhIceAgent *agent;
  PhSimDriver *driver;
  PhAddr local[PH_SIM_ICE_SOCKETS];
  uint32_t socket[PH_SIM_ICE_SOCKETS];
  PhCandidate host_candidate[PH_SIM_ICE_SOCKETS];
  PhStunBinding *binding[PH_SIM_ICE_SOCKETS];
  unsigned bindings_open; /* without an answer yet */
  bool started;

  /* What happened. */
  PhTime started_at;
  PhTime connected_at; /* first SELECTED */
  PhTime last_lost_at; /* last PAIR_LOST of the pair that was selected */
  PhTime disconnected_at;
  PhTime failed_at;
  unsigned n_selected;
  unsigned n_disconnected;
  uint32_t selected_id;
  unsigned received; /* packets of ph_sim_ice_exchange() */
  unsigned received_aside; /* those that came on another pair than the selected one */
} PhSimIcePeer;

struct _PhSimIce {
  PhSimWorld *world;
  PhSimIcePeer peer[2];
  PhTime signal_delay;
  bool signalling; /* false: signals are lost */
};

typedef struct {
  bool same_role; /* both believe to be controlling */
  bool same_port; /* both bind the same local port, as programs with a configured port do */
  PhTime skew_interval; /* how much later the right side starts */
  PhTrace trace; /* of both agents; the options then outlive the world */
} PhSimIceOptions;

/* Opens sockets and makes agents; starts with the world's clock. Belongs to the world. */
PhSimIce *ph_sim_ice_new (PhSimWorld *world, const PhSimIceOptions *options);

/* Both have a selected pair. */
bool ph_sim_ice_connected (const PhSimIce *self);
/* Runs for `interval` at most, until both have. */
bool ph_sim_ice_run_connected (PhSimIce *self, PhTime interval);
void ph_sim_ice_run (PhSimIce *self, PhTime interval);
/* `n` packets either way on the selected pairs, 20 ms apart; counted in `received`. */
void ph_sim_ice_exchange (PhSimIce *self, unsigned n);
/* Sends one packet either way every 50 ms until, counted from the call, both sides have received. */
bool ph_sim_ice_exchange_until_received (PhSimIce *self, PhTime interval);
