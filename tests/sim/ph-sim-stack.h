/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two whole devices in a PhSimWorld: endpoint (gatherer, ICE, QUIC), session, storage in memory; what the
 * engine is in the program. Signals travel over a rendezvous that is nothing but a delay. */

#pragma once

#include "tests/sim/ph-sim-endpoint.h"
#include "tests/sim/ph-sim-turn.h"
#include "tests/sim/ph-sim-world.h"

/* IPv4 and IPv6. */
#define PH_SIM_STACK_SOCKETS 2
#define PH_SIM_STACK_RELAYS_MAX 4

typedef struct _PhSimStack PhSimStack;

typedef struct {
  PhSimEndpoint base;
  PhSimStack *stack;
  PhSimWho who;
  char *name;
  PhSimHost *host;
  PhSimDriver *driver;
  uint32_t socket[PH_SIM_STACK_SOCKETS];
  uint32_t port[PH_SIM_STACK_SOCKETS]; /* 0: none */
  PhTlsIdentity *identity;
  uint8_t key[PH_KEY_LEN];
  uint8_t contact[PH_KEY_LEN]; /* what it takes the other's key for */
  PhTrace trace;
  PhSessionPeer *session;
  uint64_t work_timer;
  GPtrArray *links; /* PhLink, borrowed, ready ones, the oldest first */
  unsigned fresh_sockets; /* open for guessing ports */

  /* What happened. */
  PhTime first_ready_at;
  PhPath path; /* of the link that came last */
  unsigned n_ready;
  unsigned n_closed;
  unsigned n_failed;
  unsigned n_path;
  unsigned n_signals; /* sent over the rendezvous */
  PhConnectorFailure failure;
} PhSimDevice;

typedef struct {
  bool impostor; /* the right device does not hold the key that the left one expects */
  bool tcp; /* ports beside the sockets */
  bool signals_twice; /* a rendezvous that repeats what it is not sure of */
  bool guesses; /* both know their NATs, and may guess ports */
  unsigned relays; /* TURN servers on the internet; both devices know them all */
  PhTime relay_names_end_at; /* of the first credentials; 0: nobody knows */
  bool relays_ipv6; /* they have IPv6 addresses, and relay IPv6 */
  PhTrace trace; /* of the left device; NULL `event`: PH_SIM_TRACE in the environment counts */
} PhSimStackOptions;

struct _PhSimStack {
  PhSimStackOptions options;
  PhSimWorld *world;
  PhSimTurn *turn[PH_SIM_STACK_RELAYS_MAX];
  PhSimDevice device[2];
  PhTime signal_delay;
  bool signalling; /* false: the rendezvous is gone, signals are lost */
};

/* Belongs to the world. Both devices have each other as contact, and accept every offer. `options`
 * may be NULL. */
PhSimStack *ph_sim_stack_new (PhSimWorld *world, const PhSimStackOptions *options);

/* `who` wants a link, and goes on wanting one. */
void ph_sim_stack_want (PhSimStack *self, PhSimWho who);
/* Offers files made of noise, up to `count` of up to `size_max` bytes; wants a link. */
PhPeerTransfer *
ph_sim_stack_send (PhSimStack *self, PhSimWho from, unsigned count, uint64_t size_max);
/* One file of exactly `size`. */
PhPeerTransfer *ph_sim_stack_send_one (PhSimStack *self, PhSimWho from, uint64_t size);

/* What both devices give to the TURN servers from now on. */
void ph_sim_stack_set_relay_password (PhSimStack *self, const char *password);
/* Likewise, under another name: renewed before the old ones end. PH_NEVER: nobody knows when these end. */
void ph_sim_stack_renew_relay_credentials (PhSimStack *self, PhTime expires_at);

void ph_sim_stack_run (PhSimStack *self, PhTime interval);
/* Until the transfer is over, for the sender; false if that takes longer than `interval`. */
bool ph_sim_stack_run_over (PhSimStack *self, const PhPeerTransfer *transfer, PhTime interval);
/* Runs until the transfer is over or `interval` has passed; the longest time in which nothing of it was written
 * to the receiver's disk. */
PhTime
ph_sim_stack_longest_pause (PhSimStack *self, const PhPeerTransfer *transfer, PhTime interval);
/* How much of it has been written there, twice counted if it was twice written. */
uint64_t ph_sim_stack_written (PhSimStack *self, const PhPeerTransfer *transfer);
/* Until both have a link that is ready. */
bool ph_sim_stack_run_ready (PhSimStack *self, PhTime interval);
bool ph_sim_stack_is_ready (const PhSimStack *self);

/* The same transfer on the other side; NULL if it has not heard of it. */
PhPeerTransfer *ph_sim_stack_twin (PhSimStack *self, const PhPeerTransfer *transfer);
/* The rendezvous goes or comes back; then nobody waits any longer. */
void ph_sim_stack_set_signalling (PhSimStack *self, bool signalling);
/* The program dies and starts again, with what is on disk and nothing else. */
void ph_sim_stack_crash (PhSimStack *self, PhSimWho who);
/* The machine sleeps for `interval`; when it wakes its network counts as new. */
void ph_sim_stack_sleep (PhSimStack *self, PhSimWho who, PhTime interval);
/* The host has another address in its network: sockets are opened anew. */
void ph_sim_stack_move (PhSimStack *self, PhSimWho who, const PhAddr *ip);
