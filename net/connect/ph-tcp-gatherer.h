/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What this device can be reached at over TCP: the host candidates of every port and, through STUN servers that
 * are asked over TCP from that port, the server-reflexive ones (RFC 6544 §5.2: simultaneous-open, for a
 * NAT lets nobody in who was not called).
 *
 * Servers are asked only while somebody wants a connection; the connection to the server stays, since it
 * keeps the NAT's mapping. Part of the gatherer; private to net/connect. */

#pragma once

#include "net/base/ph-random.h"
#include "net/base/ph-trace.h"
#include "net/connect/ph-connections.h"
#include "net/ice/ph-ice-candidate.h"

/* IPv4 and IPv6 by wire and wireless. TCP is what there is beside UDP: its pairs shall not take the places of those
 * with a relay, which come after them. */
#define PH_TCP_GATHERER_PORTS_MAX 4
/* A server that has not answered after this is not waited for. */
#define PH_TCP_GATHERER_PATIENCE (3 * PH_SEC)
/* Between connections to a server that does not take or keep them: coturn ends idle ones after a minute. */
#define PH_TCP_GATHERER_RETRY (30 * PH_SEC)

typedef struct _PhTcpGatherer PhTcpGatherer;

PhTcpGatherer *
ph_tcp_gatherer_new (const PhRandom *random, const PhTrace *trace, PhConnections *connections);
void ph_tcp_gatherer_free (PhTcpGatherer *self);

void ph_tcp_gatherer_add_port (PhTcpGatherer *self, PhTime now, uint32_t port, const PhAddr *addr);
void ph_tcp_gatherer_remove_port (PhTcpGatherer *self, uint32_t port);
unsigned ph_tcp_gatherer_n_ports (const PhTcpGatherer *self);
/* The port that the router has opened for `port`: a mapped candidate; unset: none any more. */
void ph_tcp_gatherer_set_mapped (PhTcpGatherer *self, uint32_t port, const PhAddr *external);
/* Replaces the list. */
void ph_tcp_gatherer_set_servers (PhTcpGatherer *self, PhTime now, const PhAddr *servers, size_t n);
void ph_tcp_gatherer_set_wanted (PhTcpGatherer *self, PhTime now, bool wanted);
void ph_tcp_gatherer_refresh (PhTcpGatherer *self, PhTime now);

size_t ph_tcp_gatherer_candidates (const PhTcpGatherer *self, PhCandidate *ret, size_t max);
bool ph_tcp_gatherer_done (const PhTcpGatherer *self);

/* Of a connection to a server. */
void ph_tcp_gatherer_handle_event (PhTcpGatherer *self, PhTime now, const PhConnectionEvent *event);
/* Its bytes. */
void ph_tcp_gatherer_handle_packet (PhTcpGatherer *self, PhTime now, const PhDatagram *in);
void ph_tcp_gatherer_handle_timeout (PhTcpGatherer *self, PhTime now);
bool ph_tcp_gatherer_poll_transmit (PhTcpGatherer *self, PhTime now, PhTransmit *tx);
/* A new candidate. */
bool ph_tcp_gatherer_poll_event (PhTcpGatherer *self, PhCandidate *ret_candidate);
PhTime ph_tcp_gatherer_next_timeout (const PhTcpGatherer *self, const char **ret_why);
