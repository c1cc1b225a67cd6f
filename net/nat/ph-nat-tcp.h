/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How the NAT maps a TCP port: whether connections from one local port to different servers are seen at
 * one address, which is what a simultaneous open needs (RFC 5382 REQ-1). One run; for the next make a new
 * one with a new port.
 *
 * Three Binding requests over TCP, from one port, while the connections before are still open: to the server, to
 * its other port, to its other address (RFC 5780's OTHER-ADDRESS). A server that tells none is compared
 * with the other servers: that they see one address is endpoint-independent, that they do not is
 * not known any closer. Whatever cannot be connected leaves the mapping unknown.
 *
 * Filtering is another matter, as nobody answers CHANGE-REQUEST over TCP: see ph-nat-knock.h. */

#pragma once

#include "net/base/ph-connection.h"
#include "net/base/ph-random.h"
#include "net/base/ph-trace.h"
#include "net/nat/ph-nat-discovery.h"

/* A server that answers does so in a second; three after each other, and one that does not. */
#define PH_NAT_TCP_TIME_MAX (10 * PH_SEC)

typedef struct _PhNatTcp PhNatTcp;

typedef struct {
  uint32_t port; /* of the driver's, to connect from */
  PhAddr servers[PH_NAT_SERVERS_MAX];
  size_t n_servers; /* at least 1 */
  PhRandom random;
  const PhTrace *trace; /* borrowed, or NULL */
} PhNatTcpConfig;

PhNatTcp *ph_nat_tcp_new (const PhNatTcpConfig *config, PhTime now);
void ph_nat_tcp_free (PhNatTcp *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhNatTcp, ph_nat_tcp_free)

void ph_nat_tcp_handle_connection (PhNatTcp *self, PhTime now, const PhConnectionEvent *event);
void ph_nat_tcp_handle_packet (PhNatTcp *self, PhTime now, const PhDatagram *in);
void ph_nat_tcp_handle_timeout (PhNatTcp *self, PhTime now);
bool ph_nat_tcp_poll_connection (PhNatTcp *self, PhConnectionOp *ret_op);
bool ph_nat_tcp_poll_transmit (PhNatTcp *self, PhTime now, PhTransmit *tx);
/* The mapping, and the address that the first server which answered has seen (family none: no server has), once;
 * everything that was opened has been aborted by then. */
bool ph_nat_tcp_poll_event (PhNatTcp *self, PhNatDependence *ret_mapping, PhAddr *ret_public_addr);
PhTime ph_nat_tcp_next_timeout (const PhNatTcp *self, const char **ret_why);
