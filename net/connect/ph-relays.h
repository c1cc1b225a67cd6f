/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The relayed addresses of this device: allocations at TURN servers, made when they are wanted.
 *
 * While somebody wants a connection there is one allocation for each family of relayed address: IPv4, and
 * IPv6 where a server can be asked from an IPv6 address. Servers race for it: every UDP server that can be
 * asked, from the best sockets, at once; those over TCP half a second later, those over TLS after
 * another (at once if the ones before have failed). The first that allocates is kept, the others are let
 * go. When nobody has wanted any for a while, all are let go. An allocation that is lost is replaced by
 * another race, and so by a new socket id and candidate; while none can be had, races follow each other
 * at growing intervals. A server that has no relayed addresses of a family (440) is not asked for one again, by any
 * transport, until the list of servers is replaced.
 *
 * There is one allocation for a socket and a server's address. One that the server keeps under another name than
 * ours (it outlives the credentials that it was made with, and refuses all others) blocks them until it runs
 * out: then the driver is asked for a fresh socket, which is given back with what was allocated from it. Where it is
 * known when a name ends, and there is a later one, that is done a minute ahead: there are two allocations for a
 * while, the older one is said to be leaving, and goes when whoever uses it had time to move.
 *
 * A relayed address is never talked to through itself. Private to net/connect. */

#pragma once

#include "net/connect/ph-relay.h"
#include "net/ice/ph-ice-candidate.h"

/* Each may have several addresses and be reachable by three transports. */
#define PH_RELAYS_SERVERS_MAX 16
/* Allocations of one race that are tried side by side, a transport. */
#define PH_RELAYS_CONTENDERS_MAX 4
/* In all: both families' races of all transports, and what is being closed. */
#define PH_RELAYS_MAX 32
/* How long before a name ends the next one is used; and how long what was made with the old one is kept: links move in
 * a second where servers answer. */
#define PH_RELAYS_AHEAD (60 * PH_SEC)
#define PH_RELAYS_LEAVING (10 * PH_SEC)
/* How long an allocation is kept that nobody wants: a contact that comes back at once finds it. */
#define PH_RELAYS_LINGER (30 * PH_SEC)
/* DNS allows names of 253 characters. */
#define PH_RELAY_HOST_MAX 256

typedef struct {
  PhRelayTransport transport;
  PhAddr addr;
  char host[PH_RELAY_HOST_MAX]; /* what the certificate is for (TLS) */
  char username[PH_TURN_CREDENTIAL_MAX + 1];
  char password[PH_TURN_CREDENTIAL_MAX + 1];
  PhTime expires_at; /* when the name ends; PH_NEVER: nobody knows */
} PhRelayServer;

/* A stream that the driver is to connect. */
typedef struct {
  uint32_t socket; /* the id that it is to have */
  PhRelayServer server;
} PhRelayStream;

typedef enum {
  PH_RELAYS_EVENT_CANDIDATE, /* `candidate` */
  PH_RELAYS_EVENT_LEAVING, /* `socket`, a relayed one: soon, and there is another one */
  PH_RELAYS_EVENT_GONE, /* `socket`, a relayed one: nothing comes or goes any more */
} PhRelaysEventType;

typedef struct {
  PhRelaysEventType type;
  PhCandidate candidate;
  uint32_t socket;
} PhRelaysEvent;

typedef enum {
  PH_RELAYS_IDLE, /* nobody wants one, or there are no servers */
  PH_RELAYS_TRYING,
  PH_RELAYS_HAVE,
  PH_RELAYS_NONE, /* tried in vain, and will again */
} PhRelaysState;

typedef struct _PhRelays PhRelays;

PhRelays *ph_relays_new (const PhRandom *random, const PhTrace *trace);
void ph_relays_free (PhRelays *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhRelays, ph_relays_free)

/* A fresh UDP socket is wanted on any port of `ret_local`, told once. */
bool ph_relays_poll_fresh_wish (PhRelays *self, PhAddr *ret_local);
void ph_relays_add_fresh_socket (PhRelays *self, PhTime now, uint32_t socket, const PhAddr *addr);
/* UDP sockets, the best first. */
void ph_relays_add_socket (PhRelays *self, PhTime now, uint32_t socket, const PhAddr *addr);
/* What was allocated from it is gone. */
void ph_relays_remove_socket (PhRelays *self, PhTime now, uint32_t socket);
/* Replaces the list. Allocations at servers that stay take the new credentials; what is there is used on. */
void ph_relays_set_servers (PhRelays *self, PhTime now, const PhRelayServer *servers, size_t n);
void ph_relays_set_wanted (PhRelays *self, PhTime now, bool wanted);
/* The network has changed, or a path through a relay has gone silent: asks whether what we have is still
 * there, and waits no longer for what we have not. */
void ph_relays_refresh (PhRelays *self, PhTime now);

PhRelaysState ph_relays_state (const PhRelays *self);
/* Why the last race was lost; for showing. */
PhTurnWhy ph_relays_why (const PhRelays *self);
/* Nothing is under way that a candidate may come from. */
bool ph_relays_done (const PhRelays *self);
/* Those that there are, into `ret` with room for `max`; returns how many. */
size_t ph_relays_candidates (const PhRelays *self, PhCandidate *ret, size_t max);

/* Streams: each is told once; the driver connects it, or says that it closed. */
bool ph_relays_poll_stream (PhRelays *self, PhRelayStream *ret_stream);
/* A stream, or a fresh socket, that is of no use any more, to be closed; 0: none. */
uint32_t ph_relays_poll_unused (PhRelays *self);
void ph_relays_stream_opened (PhRelays *self, PhTime now, uint32_t socket);
void ph_relays_stream_closed (PhRelays *self, PhTime now, uint32_t socket);

/* True if it came from a server for one of the allocations; what peers sent is delivered, to something
 * that does not call this. */
bool ph_relays_handle_packet (PhRelays *self, PhTime now, const PhDatagram *in,
                              PhRelayDeliver deliver, void *user);
/* ph_relay_wrap() by the relay that tx->socket names. */
bool ph_relays_wrap (PhRelays *self, PhTime now, PhTransmit *tx);
void ph_relays_handle_timeout (PhRelays *self, PhTime now);
bool ph_relays_poll_transmit (PhRelays *self, PhTime now, PhTransmit *tx);
bool ph_relays_poll_event (PhRelays *self, PhRelaysEvent *ret_event);
PhTime ph_relays_next_timeout (const PhRelays *self, const char **ret_why);
