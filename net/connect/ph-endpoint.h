/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The endpoint: this device's end of all paths to all peers.
 *
 * Composes the gatherer and a connector a peer over one set of sockets, and demultiplexes what arrives
 * (RFC 7983's first byte and, before it, the source address, since TURN's ChannelData and QUIC's short
 * headers overlap): STUN requests by the username's local half, STUN responses by transaction, QUIC by
 * the pair that the packet came on. Whatever belongs to nobody is dropped.
 *
 * On a TCP connection everything is framed (RFC 4571): whole STUN messages go the same ways, the rest is
 * TLS and goes to the connector that the connection belongs to.
 *
 * What comes from a relay is unwrapped first and then goes the same ways, and what is to leave from a
 * relayed address is wrapped last: cores know such an address by its socket id only.
 *
 * The driver or the simulator moves datagrams between sockets and this, and calls the five verbs. */

#pragma once

#include "net/connect/ph-connector.h"

typedef struct _PhEndpoint PhEndpoint;

typedef struct {
  PhTlsIdentity *identity; /* borrowed */
  uint8_t key[PH_KEY_LEN];
  PhRandom random;
  PhTrace trace;
  bool allow_loopback;
} PhEndpointConfig;

PhEndpoint *ph_endpoint_new (const PhEndpointConfig *config);
void ph_endpoint_free (PhEndpoint *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhEndpoint, ph_endpoint_free)

bool ph_endpoint_add_socket (PhEndpoint *self, PhTime now, uint32_t socket, const PhAddr *addr);
/* A TCP port, see net/base/ph-connection.h. False past the limit. */
bool ph_endpoint_add_port (PhEndpoint *self, PhTime now, uint32_t port, const PhAddr *addr);
/* A socket or a port. */
void ph_endpoint_remove_socket (PhEndpoint *self, PhTime now, uint32_t socket);
/* What is to be done with connections, in order, before anything is sent; and what the driver says of them. */
bool ph_endpoint_poll_connection (PhEndpoint *self, PhConnectionOp *ret_op);
void ph_endpoint_handle_connection (PhEndpoint *self, PhTime now, const PhConnectionEvent *event);
/* Whether the driver has more than enough to write on this connection: then only small messages come for it. */
void ph_endpoint_set_blocked (PhEndpoint *self, uint32_t connection, bool blocked);
void ph_endpoint_set_stun_servers (PhEndpoint *self, PhTime now, const PhAddr *servers, size_t n);
/* TURN servers, in the order in which they are preferred; asked only while a connection is wanted. */
void ph_endpoint_set_relay_servers (PhEndpoint *self, PhTime now, const PhRelayServer *servers,
                                    size_t n);
/* For a report: whether a relay is to be had even if nobody needs one. */
void ph_endpoint_set_relay_wanted (PhEndpoint *self, PhTime now, bool wanted);
/* Streams to relays, see ph-relays.h. Their bytes come as datagrams of the stream's id. */
bool ph_endpoint_poll_stream (PhEndpoint *self, PhRelayStream *ret_stream);
/* A stream, or a socket that ph_endpoint_add_fresh_socket() brought, to be closed; 0: none. */
uint32_t ph_endpoint_poll_unused (PhEndpoint *self);
void ph_endpoint_stream_opened (PhEndpoint *self, PhTime now, uint32_t socket);
void ph_endpoint_stream_closed (PhEndpoint *self, PhTime now, uint32_t socket);
/* ph_gatherer_set_mapped(), for UDP sockets and TCP ports. */
void ph_endpoint_set_mapped (PhEndpoint *self, PhTime now, uint32_t socket, const PhAddr *external);
/* Guessing ports, see ph-connector-guess.c: what stands before this device, and whether it is allowed. */
void ph_endpoint_set_nat (PhEndpoint *self, PhTime now, const PhPunchNat *nat, bool allowed);
/* Fresh UDP sockets are wanted for the peer `ret_key` (all zeros: for a relay): `ret_n` on any port of
 * `ret_local`. */
bool ph_endpoint_poll_fresh_wish (PhEndpoint *self, uint8_t ret_key[PH_KEY_LEN], PhAddr *ret_local,
                                  unsigned *ret_n);
void ph_endpoint_add_fresh_socket (PhEndpoint *self, PhTime now, const uint8_t key[PH_KEY_LEN],
                                   uint32_t socket, const PhAddr *addr);
/* Addresses or routes have changed: asks the STUN servers again, and no connector waits any longer. */
void ph_endpoint_network_changed (PhEndpoint *self, PhTime now);
const PhGatherer *ph_endpoint_gatherer (const PhEndpoint *self);

/* The connector of a peer, made on first use; owned by the endpoint. */
PhConnector *ph_endpoint_peer (PhEndpoint *self, const uint8_t key[PH_KEY_LEN]);
PhConnector *ph_endpoint_find_peer (const PhEndpoint *self, const uint8_t key[PH_KEY_LEN]);
void ph_endpoint_remove_peer (PhEndpoint *self, const uint8_t key[PH_KEY_LEN]);

void ph_endpoint_handle_packet (PhEndpoint *self, PhTime now, const PhDatagram *in);
void ph_endpoint_handle_timeout (PhEndpoint *self, PhTime now);
bool ph_endpoint_poll_transmit (PhEndpoint *self, PhTime now, PhTransmit *tx);
/* An event of a peer's connector; `ret_key` says whose. */
bool
ph_endpoint_poll_event (PhEndpoint *self, uint8_t ret_key[PH_KEY_LEN], PhConnectorEvent *ret_event);
/* A signal to be carried to the peer `ret_key`; NULL: none. */
GBytes *ph_endpoint_poll_signal (PhEndpoint *self, uint8_t ret_key[PH_KEY_LEN]);
PhTime ph_endpoint_next_timeout (const PhEndpoint *self, const char **ret_why);
