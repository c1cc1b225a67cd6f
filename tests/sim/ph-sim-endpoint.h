/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What whoever has an endpoint and sessions does for them, in a PhSimCore. */

#pragma once

#include "tests/sim/ph-sim-driver.h"
#include "tests/support/ph-session-peer.h"

#include "net/connect/ph-endpoint.h"

/* How long the disk takes before it does some of what waits. */
#define PH_SIM_DISK_INTERVAL (2 * PH_MSEC)

/* The first field of such a core. */
typedef struct {
  PhEndpoint *endpoint;
} PhSimEndpoint;

void ph_sim_endpoint_handle_packet (void *core, PhTime now, const PhDatagram *in);
bool ph_sim_endpoint_poll_transmit (void *core, PhTime now, PhTransmit *tx);
bool ph_sim_endpoint_poll_connection (void *core, PhConnectionOp *ret_op);
void ph_sim_endpoint_handle_connection (void *core, PhTime now, const PhConnectionEvent *event);
void ph_sim_endpoint_set_blocked (void *core, uint32_t socket, bool blocked);

/* Of a PhSimCore: all but its timeouts and what it drains. */
#define PH_SIM_ENDPOINT_VERBS                                                                      \
  .handle_packet = ph_sim_endpoint_handle_packet, .poll_transmit = ph_sim_endpoint_poll_transmit,  \
  .poll_connection = ph_sim_endpoint_poll_connection,                                              \
  .handle_connection = ph_sim_endpoint_handle_connection,                                          \
  .set_blocked = ph_sim_endpoint_set_blocked

/* What the event says of links; takes its bytes. */
void ph_sim_tell_session (PhSession *session, PhTime now, PhConnectorEvent *event);
/* The earlier of `when` and what the session waits for; `ret_why` is kept or replaced. */
PhTime ph_sim_session_timeout (const PhSession *session, PhTime when, const char **ret_why);
/* Until the transfer is over, for the side that it belongs to; false if that takes longer than `interval`. */
bool ph_sim_run_over (PhSim *sim, const PhPeerTransfer *transfer, PhTime interval);
