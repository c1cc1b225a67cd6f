/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One allocation at a TURN server, as a socket that ICE and links can use: net/turn's client, the
 * permissions and channels that what is sent calls for, and the packets that wait for them.
 *
 * A permission is asked for when the first packet to a peer's address is sent, a channel when a link sends
 * there (checks go in Send indications). Both are given back after a minute without a packet, so that a peer
 * that names many addresses takes no more than their share for no longer than that. A server that
 * refuses a peer is not asked about it again for half a minute.
 *
 * A server that does not answer while we send is asked for a sign of life: one that has restarted does
 * not know our allocation any more and says so, long before any lifetime runs out.
 *
 * Over a stream (TCP, TLS) the driver is asked to connect it (PhRelays), and the bytes in tx->data are
 * the next of the stream. Private to net/connect. */

#pragma once

#include "net/turn/ph-turn-client.h"

/* As many as the client holds permissions for. */
#define PH_RELAY_PEERS_MAX PH_TURN_PERMISSIONS_MAX

typedef enum { PH_RELAY_UDP, PH_RELAY_TCP, PH_RELAY_TLS, PH_N_RELAY_TRANSPORTS } PhRelayTransport;

typedef struct {
  PhRelayTransport transport;
  PhAddr server;
  uint32_t socket; /* the UDP socket, or the stream */
  uint32_t relayed_socket;
  PhFamily family; /* of the relayed address */
  const char *username; /* copied */
  const char *password;
  PhTime expires_at; /* when that name ends; PH_NEVER: nobody knows */
  PhRandom random;
  const PhTrace *trace; /* borrowed */
} PhRelayConfig;

typedef struct _PhRelay PhRelay;

/* What a packet of a peer is given to. */
typedef void (*PhRelayDeliver) (void *user, PhTime now, const PhDatagram *in);

/* A stream's first request waits for ph_relay_stream_opened(). */
PhRelay *ph_relay_new (const PhRelayConfig *config, PhTime now);
void ph_relay_free (PhRelay *self);

PhRelayTransport ph_relay_transport (const PhRelay *self);
const PhAddr *ph_relay_server (const PhRelay *self);
uint32_t ph_relay_socket (const PhRelay *self);
uint32_t ph_relay_relayed_socket (const PhRelay *self);
PhFamily ph_relay_family (const PhRelay *self);
/* When the name that the allocation was made with ends. */
PhTime ph_relay_expires_at (const PhRelay *self);
/* ALLOCATING until the server has answered; a stream that broke is LOST or FAILED. */
PhTurnState ph_relay_state (const PhRelay *self);
/* Why it ended; NONE while it lives. */
PhTurnWhy ph_relay_why (const PhRelay *self);
/* Unset unless ALLOCATED. */
PhAddr ph_relay_relayed (const PhRelay *self);
PhAddr ph_relay_mapped (const PhRelay *self);

void
ph_relay_set_credentials (PhRelay *self, PhTime now, const char *username, const char *password);
void ph_relay_stream_opened (PhRelay *self, PhTime now);
/* It broke, or never came about. */
void ph_relay_stream_closed (PhRelay *self, PhTime now);
/* Asks whether the allocation is still there. */
void ph_relay_probe (PhRelay *self, PhTime now);
void ph_relay_close (PhRelay *self, PhTime now);

/* True if the packet (a stream: the bytes) came from the server and was meant for this. */
bool ph_relay_handle_packet (PhRelay *self, PhTime now, const PhDatagram *in,
                             PhRelayDeliver deliver, void *user);
void ph_relay_handle_timeout (PhRelay *self, PhTime now);
bool ph_relay_poll_transmit (PhRelay *self, PhTime now, PhTransmit *tx);
PhTime ph_relay_next_timeout (const PhRelay *self, const char **ret_why);

/* Makes `tx`, a core's packets to the peer tx->remote with PH_TURN_HEADROOM or no headroom, into what
 * goes to the server. False: there is nothing to send now; they wait for a permission and come out of
 * ph_relay_poll_transmit(), or are lost. */
bool ph_relay_wrap (PhRelay *self, PhTime now, PhTransmit *tx);
