/* SPDX-License-Identifier: GPL-3.0-or-later */
/* TCP of a simulated host: the operations and events of net/base/ph-connection.h over packets that cables
 * lose and boxes translate.
 *
 * As much of RFC 9293 as decides how holes are punched and what a link feels: connections from the port
 * that listens, simultaneous open, resets of what nobody waits for, one connection between two addresses,
 * retransmission, a full window. Left out: congestion control, flow control of the receiver, TIME_WAIT. */

#pragma once

#include "net/base/ph-connection.h"
#include "tests/sim/ph-sim.h"

typedef struct {
  void (*event) (void *user, PhTime now, const PhConnectionEvent *event);
  void (*received) (void *user, PhTime now, const PhDatagram *in);
  void (*writable) (void *user, PhTime now, uint32_t socket);
} PhSimTcpCallbacks;

/* Before any of the others. */
void ph_sim_host_set_tcp (PhSimHost *self, const PhSimTcpCallbacks *callbacks, void *user);
/* A port; 0 as from ph_sim_host_open(). */
uint32_t ph_sim_host_listen (PhSimHost *self, const PhAddr *local, PhAddr *ret_local);
void ph_sim_host_unlisten (PhSimHost *self, uint32_t port);
void ph_sim_host_do (PhSimHost *self, const PhConnectionOp *op);
/* False if there is no such connection. `ret_blocked`: it took this, and should get no more for now. */
bool ph_sim_host_stream_send (PhSimHost *self, const PhTransmit *tx, bool *ret_blocked);
/* The program has died: the kernel resets its connections and closes its ports. */
void ph_sim_host_reset_all (PhSimHost *self);
