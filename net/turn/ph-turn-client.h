/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A relayed address at a TURN server, RFC 8656: one allocation, its permissions and its channels.
 *
 * The client asks for the allocation at once and keeps it until it is closed, refused or lost; whoever
 * owns it starts a new one then (from a new local port after MISMATCH; not sooner than a minute after
 * FULL). It sends by one socket to one server. On TCP or TLS (`stream`) the driver cuts what it reads
 * into messages with PhTurnStream and hands each over as a datagram from `server`.
 *
 * Towards the rest of Porthole the allocation is a socket of its own, `relayed_socket`: what a peer
 * sends comes out of ph_turn_client_handle_packet() as a datagram of that socket from that peer.
 *
 * A permission belongs to a peer's IP address, a channel to its address and port. Each is asked for and
 * refreshed for as long as somebody holds it: every ph_turn_client_permit() or _bind() that returned
 * true is matched by one _unpermit() or _unbind(). After LOST, FAILED and CLOSED all are gone and
 * nothing needs to be given back.
 *
 * Believed: only packets from the server's address to our socket; answers to an open question of ours
 * and, once there is a key, with a right MESSAGE-INTEGRITY (only the challenges 401 and 438 cannot have
 * one); data only from peers that hold a permission or channel of ours. Time comes in by calls; the
 * core owns nothing but itself, `random` and `trace` are borrowed.
 *
 * Followed: §4 to §12 and §18 for UDP relaying over UDP, TCP and TLS. Left out: EVEN-PORT and
 * reservations, DONT-FRAGMENT, ADDITIONAL-ADDRESS-FAMILY (ask from a second socket), ICMP,
 * ALTERNATE-SERVER, third-party authorization, RFC 6062 and RFC 8016. */

#pragma once

#include "net/base/ph-datagram.h"
#include "net/base/ph-random.h"
#include "net/base/ph-trace.h"
#include "net/stun/ph-stun-transaction.h"

#include <glib.h>

/* Peer addresses that can hold a permission at a time, and as many channels. Candidates of all
 * connections share them; beyond this a peer is more likely to abuse us than to need it. */
#define PH_TURN_PERMISSIONS_MAX 64
#define PH_TURN_CHANNELS_MAX 64

/* Bytes that stay free before every segment given to ph_turn_client_wrap(). */
#define PH_TURN_HEADROOM 4
/* What a payload grows by at most in ph_turn_client_send(). */
#define PH_TURN_SEND_OVERHEAD 52
/* Bytes of username and of password, REST credentials have 43 and 28. */
#define PH_TURN_CREDENTIAL_MAX 255

typedef struct _PhTurnClient PhTurnClient;

typedef struct {
  uint32_t socket;
  uint32_t relayed_socket;
  PhAddr server;
  bool stream; /* the socket is a TCP or TLS connection */
  PhFamily family; /* of the relayed address; NONE: IPv4 */
  const char *username; /* copied, at most PH_TURN_CREDENTIAL_MAX bytes each */
  const char *password;
  PhTime lifetime; /* to ask for; 0: 10 minutes */
  PhRandom random;
  const PhTrace *trace; /* or NULL */
  PhStunTimers timers; /* all zero: 250 ms doubling, given up after 7.75 s; a stream: 10 s, once */
} PhTurnClientConfig;

typedef enum {
  PH_TURN_ALLOCATING,
  PH_TURN_ALLOCATED,
  PH_TURN_CLOSING, /* the server is asked to delete the allocation */
  /* Ends: */
  PH_TURN_FAILED, /* never had an allocation */
  PH_TURN_LOST, /* had one */
  PH_TURN_CLOSED,
} PhTurnState;

typedef enum {
  PH_TURN_WHY_NONE,
  PH_TURN_WHY_UNREACHABLE, /* the server does not answer */
  PH_TURN_WHY_UNAUTHORIZED, /* 401, 441 */
  PH_TURN_WHY_FORBIDDEN, /* 403: not to this peer, or not for us */
  PH_TURN_WHY_FULL, /* 486 quota, 508 capacity */
  PH_TURN_WHY_MISMATCH, /* 437: the server has another allocation at this 5-tuple, that we cannot end, or none */
  PH_TURN_WHY_UNSUPPORTED, /* 420, 440, 442, 443: address family, transport, attribute */
  PH_TURN_WHY_REFUSED, /* any other error code, or too many challenges */
  PH_TURN_WHY_MALFORMED, /* an authentic answer that makes no sense */
  PH_TURN_WHY_EXPIRED, /* the lifetime passed, as in a suspended computer */
} PhTurnWhy;

typedef enum {
  PH_TURN_EVENT_ALLOCATED, /* relayed, mapped, lifetime */
  PH_TURN_EVENT_FAILED, /* why, error */
  PH_TURN_EVENT_LOST, /* why, error */
  PH_TURN_EVENT_CLOSED,
  /* The server does not take our credentials any more: set new ones before the allocation runs out. */
  PH_TURN_EVENT_CREDENTIALS_NEEDED,
  PH_TURN_EVENT_PERMITTED, /* peer, its port 0; told once, not at refreshes */
  PH_TURN_EVENT_PERMISSION_FAILED, /* peer, why, error; asked again by the next _permit() */
  PH_TURN_EVENT_CHANNEL_READY, /* peer; told once */
  PH_TURN_EVENT_CHANNEL_FAILED, /* peer, why, error; asked again by the next _bind() */
} PhTurnEventType;

typedef struct {
  PhTurnEventType type;
  PhAddr relayed;
  PhAddr mapped; /* our address as the server sees it */
  PhTime lifetime;
  PhAddr peer;
  PhTurnWhy why;
  unsigned error; /* the server's code; 0: none */
} PhTurnEvent;

typedef enum {
  PH_TURN_IN_OTHER, /* not for this client */
  PH_TURN_IN_DONE,
  PH_TURN_IN_DATA, /* from a peer */
} PhTurnIn;

/* The first request is due at once: poll. */
PhTurnClient *ph_turn_client_new (const PhTurnClientConfig *config, PhTime now);
/* Frees without telling the server; see ph_turn_client_close(). */
void ph_turn_client_free (PhTurnClient *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhTurnClient, ph_turn_client_free)

/* After PH_TURN_IN_DATA `ret_data` is the peer's datagram; its bytes are a part of `in`'s. */
PhTurnIn ph_turn_client_handle_packet (PhTurnClient *self, PhTime now, const PhDatagram *in,
                                       PhDatagram *ret_data);
void ph_turn_client_handle_timeout (PhTurnClient *self, PhTime now);
/* One message each; needs PH_STUN_MESSAGE_MAX bytes of room. */
bool ph_turn_client_poll_transmit (PhTurnClient *self, PhTime now, PhTransmit *tx);
/* Events tell the latest state of each thing: one that was overtaken before it was polled is gone. */
bool ph_turn_client_poll_event (PhTurnClient *self, PhTurnEvent *ret_event);
PhTime ph_turn_client_next_timeout (const PhTurnClient *self, const char **ret_why);

PhTurnState ph_turn_client_state (const PhTurnClient *self);
/* PH_FAMILY_NONE unless ALLOCATED. */
PhAddr ph_turn_client_relayed (const PhTurnClient *self);

/* Renewed credentials. While the allocation is asked for they count at once, and with the same username
 * always. Another username counts when the server refuses the old one: an allocation belongs to the
 * username that made it (§7.2). False, and nothing done, if one is too long or empty. */
bool ph_turn_client_set_credentials (PhTurnClient *self, PhTime now, const char *username,
                                     const char *password);
/* Finds out at once whether the allocation is still there: the network changed, or the computer woke. */
void ph_turn_client_refresh (PhTurnClient *self, PhTime now);
/* Deletes the allocation; CLOSED is told when the server has answered or 1.25 s have passed. */
void ph_turn_client_close (PhTurnClient *self, PhTime now);

/* Only ALLOCATED. False: not allocated, another address family than the relayed address, or as many
 * as can be. Holding what is there already tells no event. */
bool ph_turn_client_permit (PhTurnClient *self, PhTime now, const PhAddr *peer);
void ph_turn_client_unpermit (PhTurnClient *self, PhTime now, const PhAddr *peer);
/* A channel and, with it, the permission. */
bool ph_turn_client_bind (PhTurnClient *self, PhTime now, const PhAddr *peer);
void ph_turn_client_unbind (PhTurnClient *self, PhTime now, const PhAddr *peer);
bool ph_turn_client_is_permitted (const PhTurnClient *self, PhTime now, const PhAddr *peer);
bool ph_turn_client_has_channel (const PhTurnClient *self, PhTime now, const PhAddr *peer);

/* --- Data ------------------------------------------------------------------------------------- */

/* Makes a batch for `tx->remote`, the peer, into a batch for the server without moving a byte. The
 * caller has left PH_TURN_HEADROOM bytes before every payload, and counts them in `len` and `segment`:
 * [4 free][payload][4 free][payload]... Sets tx->socket and tx->remote, and fills the free bytes in; on
 * a stream the last payload is padded, for which up to 3 bytes after `len` must be within `cap`, and
 * `segment` must be a multiple of 4. False, and nothing done, without a channel to that peer or if the
 * batch is not of that form: send segment by segment with ph_turn_client_send(). */
bool ph_turn_client_wrap (PhTurnClient *self, PhTime now, PhTransmit *tx);
/* Writes one payload for `peer` into tx->data (PH_TURN_SEND_OVERHEAD more than its length must fit), as
 * ChannelData if there is a channel, else as a Send indication. False: not permitted, or too long. */
bool ph_turn_client_send (PhTurnClient *self, PhTime now, const PhAddr *peer, PhSlice payload,
                          PhTransmit *tx);
