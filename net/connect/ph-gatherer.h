/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What this device can be reached at: the host candidate of every socket and, through every STUN server,
 * the server-reflexive ones. Gathered once and kept fresh for all peers, since they share the sockets.
 *
 * RFC 8445 §5.1.1. Server-reflexive candidates that equal the socket's own address are not told (no
 * NAT there). A mapping that changes is told as a new candidate. Relayed candidates are the relays', which
 * the gatherer owns and the endpoint drives, and so are those over TCP. */

#pragma once

#include "net/base/ph-datagram.h"
#include "net/base/ph-random.h"
#include "net/base/ph-trace.h"
#include "net/connect/ph-relays.h"
#include "net/connect/ph-tcp-gatherer.h"
#include "net/ice/ph-ice-candidate.h"

/* One for UDP and one for each address family is what a person configures; more is a mistake. */
#define PH_GATHERER_SERVERS_MAX 8
/* Laptops with containers have a dozen interfaces; each costs a socket and checks at the peer. */
#define PH_GATHERER_SOCKETS_MAX 16

typedef struct _PhGatherer PhGatherer;

PhGatherer *ph_gatherer_new (const PhRandom *random, const PhTrace *trace);
void ph_gatherer_free (PhGatherer *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhGatherer, ph_gatherer_free)

/* A UDP socket bound to a local address. False past the limit. */
bool ph_gatherer_add_socket (PhGatherer *self, PhTime now, uint32_t socket, const PhAddr *addr);
void ph_gatherer_remove_socket (PhGatherer *self, uint32_t socket);
/* Replaces the list of STUN servers; those that stay are not asked again. */
void ph_gatherer_set_servers (PhGatherer *self, PhTime now, const PhAddr *servers, size_t n);

/* The port that the router has opened for a socket, in either direction: a mapped candidate; unset: none any
 * more. A socket that is not known counts for nothing. */
void ph_gatherer_set_mapped (PhGatherer *self, uint32_t socket, const PhAddr *external);

/* Asks every server anew: the network has changed. */
void ph_gatherer_refresh (PhGatherer *self, PhTime now);

/* A server that has answered, of this family; false: none has. */
bool ph_gatherer_server (const PhGatherer *self, PhFamily family, PhAddr *ret_server);

PhRelays *ph_gatherer_relays (const PhGatherer *self);
PhConnections *ph_gatherer_connections (const PhGatherer *self);
PhTcpGatherer *ph_gatherer_tcp (const PhGatherer *self);

/* All candidates known now: `ret` has room for `max`; returns how many there are. */
size_t ph_gatherer_candidates (const PhGatherer *self, PhCandidate *ret, size_t max);
/* Whether every server has answered or been given up, relays too: nothing more is expected soon. */
bool ph_gatherer_done (const PhGatherer *self);

/* Whether any server has ever answered. */
bool ph_gatherer_heard (const PhGatherer *self);

/* The five verbs. handle_packet: whether it was an answer to us. poll_event: a new candidate. */
bool ph_gatherer_handle_packet (PhGatherer *self, PhTime now, const PhDatagram *in);
void ph_gatherer_handle_timeout (PhGatherer *self, PhTime now);
bool ph_gatherer_poll_transmit (PhGatherer *self, PhTime now, PhTransmit *tx);
bool ph_gatherer_poll_event (PhGatherer *self, PhCandidate *ret_candidate);
PhTime ph_gatherer_next_timeout (const PhGatherer *self, const char **ret_why);
