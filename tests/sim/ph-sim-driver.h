/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What net/io is on a real machine: moves datagrams between a host's sockets and a core with the five
 * verbs, and keeps one timer for it. It also watches the core's manners: a core that asks to be woken
 * again and again without time passing, or that never stops sending, ends the test with its reason. */

#pragma once

#include "tests/sim/ph-sim-tcp.h"

typedef struct _PhSimDriver PhSimDriver;

typedef struct {
  void (*handle_packet) (void *core, PhTime now, const PhDatagram *in);
  void (*handle_timeout) (void *core, PhTime now);
  bool (*poll_transmit) (void *core, PhTime now, PhTransmit *tx);
  /* Takes the core's events and does what they ask for; true if there were any. */
  bool (*drain) (void *core, PhTime now);
  PhTime (*next_timeout) (const void *core, const char **ret_why);

  /* TCP; all NULL in a core that has none. */
  bool (*poll_connection) (void *core, PhConnectionOp *ret_op);
  void (*handle_connection) (void *core, PhTime now, const PhConnectionEvent *event);
  void (*set_blocked) (void *core, uint32_t socket, bool blocked);
} PhSimCore;

/* Takes the host's receive function. `core` is borrowed; the driver belongs to the world. */
PhSimDriver *ph_sim_driver_new (PhSim *sim, PhSimHost *host, const PhSimCore *klass, void *core);
/* After the core was changed from elsewhere. Harmless from inside `drain`. */
void ph_sim_driver_settle (PhSimDriver *self);
/* The core is gone: packets are dropped, no timer runs. A new core may take its place. */
void ph_sim_driver_set_core (PhSimDriver *self, void *core);
/* The machine sleeps: packets are lost, no timer runs. When it wakes, time has jumped. */
void ph_sim_driver_sleep (PhSimDriver *self, bool asleep);
/* How often the core's timer has fired. */
uint64_t ph_sim_driver_wakeups (const PhSimDriver *self);
