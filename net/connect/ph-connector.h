/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The connector: from "a contact" to "a link to this contact", and keeping it.
 *
 * One connector a peer. While it is wanted it runs an ICE attempt with the candidates of the endpoint's
 * gatherer, exchanges signals with the peer's connector, and opens a QUIC link on the pair that ICE
 * selects. The lower device key is ICE-controlling and QUIC client, whoever starts.
 *
 * Attempts. Each side names its attempt by a random generation. A PARAMS signal carries the sender's
 * generation and echoes the peer's that it belongs to (0: none known). Two that start at once
 * merge: each takes the other's first PARAMS as the answer. A generation that replaces a known one is
 * an ICE restart (RFC 8445 §9): the agent starts over, the link that is up goes on until the next one
 * is.
 *
 * Links. A link is bound to a path, the pair it was opened on. When ICE selects another pair, a second
 * link is opened on it and told by LINK_READY; the older ones are closed once they are idle for
 * PH_CONNECTOR_DRAIN. A pair that differs only in the peer's port, or whose socket is the same while the
 * old pair is dead, is a rebinding: the same link goes on. Links are owned by the connector; the session
 * uses their stream side.
 *
 * Handshakes are accepted only from addresses from which an authenticated check of this attempt came.
 *
 * Deadlines: an attempt fails after PH_CONNECTOR_ATTEMPT; while the connector is wanted the next one
 * starts after a pause that doubles from 1 s to 60 s with jitter, or at once on
 * ph_connector_retry_now(). */

#pragma once

#include "net/connect/ph-gatherer.h"
#include "net/connect/ph-path.h"
#include "net/ice/ph-ice-agent.h"
#include "net/quic/ph-quic.h"

/* Long enough for both people's networks to answer late, short enough for an answer to wait for. */
#define PH_CONNECTOR_ATTEMPT (30 * PH_SEC)
/* A link that was replaced keeps its stream tails this long. */
#define PH_CONNECTOR_DRAIN (5 * PH_SEC)
/* The current one, its successor, one that drains, and one attempt of the peer's. */
#define PH_CONNECTOR_LINKS_MAX 4

typedef struct {
  const PhTlsIdentity *identity;  /* borrowed, outlives the connector */
  uint8_t local_key[PH_KEY_LEN];
  uint8_t peer_key[PH_KEY_LEN];
  PhRandom random;
  PhTrace trace;
  bool allow_loopback; /* host candidates on loopback count: tests only */
} PhConnectorConfig;

typedef enum {
  PH_CONNECTOR_EVENT_LINK_READY,  /* `link` is up, `path` is its path */
  PH_CONNECTOR_EVENT_LINK,        /* `link_event` of `link` */
  PH_CONNECTOR_EVENT_LINK_CLOSED, /* `link_event` says why; `link` is freed after the next poll */
  PH_CONNECTOR_EVENT_PATH,        /* `link`'s path changed under it (rebinding) */
  PH_CONNECTOR_EVENT_FAILED,      /* an attempt ended without a link: `reason`; `retry_at` */
} PhConnectorEventType;

typedef enum {
  PH_CONNECTOR_FAILURE_NO_ANSWER, /* the peer sent no PARAMS */
  PH_CONNECTOR_FAILURE_NO_PAIR,   /* no pair of candidates worked */
  PH_CONNECTOR_FAILURE_LOST,      /* all pairs went silent */
  PH_CONNECTOR_FAILURE_HANDSHAKE, /* a path was there, the secure handshake failed on it */
  PH_CONNECTOR_FAILURE_IDENTITY,  /* whoever answers does not hold the contact's key */
} PhConnectorFailure;

typedef struct {
  PhConnectorEventType type;
  PhLink *link;
  PhLinkEvent link_event;
  PhPath path;
  PhConnectorFailure failure;
  PhTime retry_at;
} PhConnectorEvent;

typedef struct _PhConnector PhConnector;

/* `gatherer` is borrowed and outlives the connector. */
PhConnector *ph_connector_new (const PhConnectorConfig *config, const PhGatherer *gatherer);
void ph_connector_free (PhConnector *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhConnector, ph_connector_free)

/* Whether a link is wanted. Without it links that are up stay (see ph_connector_close()), and an attempt
 * of the peer's is still answered. */
void ph_connector_set_wanted (PhConnector *self, PhTime now, bool wanted);
/* The network or the peer's presence changed: no more waiting. */
void ph_connector_retry_now (PhConnector *self, PhTime now);
/* Closes all links with `code`, ends the attempt. */
void ph_connector_close (PhConnector *self, PhTime now, uint64_t code, const char *reason);

/* A candidate that the gatherer found just now. */
void ph_connector_add_candidate (PhConnector *self, PhTime now, const PhCandidate *candidate);
/* The socket is gone: pairs and links on it end. */
void ph_connector_remove_socket (PhConnector *self, PhTime now, uint32_t socket);

/* Signals: bodies of net/signal/ph-signal-body.h, over whatever carries them. */
void ph_connector_handle_signal (PhConnector *self, PhTime now, PhSlice body);
GBytes *ph_connector_poll_signal (PhConnector *self);

/* Whether a datagram from there is for this peer: a QUIC packet on one of its pairs. */
bool ph_connector_owns_path (const PhConnector *self, uint32_t socket, const PhAddr *remote);
/* Whether a STUN request for this username fragment is for this peer. */
bool ph_connector_owns_ufrag (const PhConnector *self, PhSlice ufrag);

/* The five verbs. handle_packet: whether the packet was this peer's. */
bool ph_connector_handle_packet (PhConnector *self, PhTime now, const PhDatagram *in);
void ph_connector_handle_timeout (PhConnector *self, PhTime now);
bool ph_connector_poll_transmit (PhConnector *self, PhTime now, PhTransmit *tx);
bool ph_connector_poll_event (PhConnector *self, PhConnectorEvent *ret_event);
PhTime ph_connector_next_timeout (const PhConnector *self, const char **ret_why);

/* The path of a link of this connector; false if it has none (any more). */
bool ph_connector_link_path (const PhConnector *self, const PhLink *link, PhPath *ret_path);
