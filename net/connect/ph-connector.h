/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The connector: from "a contact" to "a link to this contact", and keeping it.
 *
 * One connector a peer. While it is wanted it runs an ICE attempt with the candidates of the endpoint's
 * gatherer, exchanges signals with the peer's connector, and opens a link on the pair that ICE
 * selects: QUIC on UDP, TLS on TCP. The lower device key is ICE-controlling and client, whoever starts.
 *
 * Attempts. Each side names its attempt by a random generation and sends it with its credentials in
 * PARAMS, with the peer's generation that it belongs to (the echo; 0: none known). Signals of one side
 * arrive in order, but the two sides' cross. So the client's word counts:
 * - The server takes every new generation of the client's: if it echoes the server's own one, whose
 *   credentials the client then has, as its answer; else it begins anew and answers with an echo.
 * - The client takes what echoes its own generation (over what it may have taken before), and what echoes
 *   nothing: the server calls. If it has just called itself it answers with the same generation, else with
 *   a new one. What echoes an older generation is late and ignored.
 * A generation that replaces a known one is an ICE restart (RFC 8445 §9): the agent starts over, links that
 * are up go on until the next one is.
 *
 * Links. A link is bound to a path, the pair it was opened on. The client opens the first one of an attempt along with
 * the nomination, since what it opens on a valid pair it may use in any case. When ICE selects another pair, a second
 * link is opened on it and told by LINK_READY; the owner closes the older ones when nothing is under way
 * on them any more (ph_connector_close_link()). A pair of the same socket to the same peer's address, or one
 * that the link's packets come on all of a sudden, is a rebinding: the same link goes on over it. Links
 * are owned by the connector; the session uses their stream side.
 *
 * Handshakes are accepted only on pairs that ICE has validated; one that comes a moment early, from an
 * address of the attempt, is kept until then.
 *
 * Deadlines: an attempt fails after PH_CONNECTOR_ATTEMPT; while the connector is wanted the next one
 * starts after a pause that doubles from 1 s to 60 s with jitter, or at once on
 * ph_connector_retry_now(). */

#pragma once

#include "net/connect/ph-gatherer.h"
#include "net/connect/ph-path.h"
#include "net/ice/ph-ice-agent.h"
#include "net/punch/ph-punch-plan.h"
#include "net/quic/ph-quic.h"
#include "net/tls/ph-tls-link.h"

/* Long enough for both people's networks to answer late, short enough for an answer to wait for. */
#define PH_CONNECTOR_ATTEMPT (30 * PH_SEC)
/* The client begins its handshake as soon as a pair is selected. If the server hears nothing of it for so
 * long, the client still has a link that this side has given up as silent a moment before the path came
 * back: beginning anew tells it. Two lost Initials fit. */
#define PH_CONNECTOR_HANDSHAKE (3 * PH_SEC)
/* The same in an attempt that has had no link yet: nobody can hold on to one, so the client may still try
 * where its packets do not fit through. It gives up after 10 s. */
#define PH_CONNECTOR_FIRST_HANDSHAKE (12 * PH_SEC)
/* A client's handshake that takes so long is tried on another pair as well: checks pass on the first one, but
 * full-size packets may not. Long enough for four lost Initials, or for a busy computer. */
#define PH_CONNECTOR_PATIENCE (4 * PH_SEC)
/* The same where the server has a link on another pair: that link then goes on over the selected one. Sooner,
 * since nothing is lost if the client's Initial comes all the same. */
#define PH_CONNECTOR_REBINDING PH_SEC
/* When the last link has gone with its address, while the attempt still has pairs that work from others: so long no
 * new attempt is begun, since a link on one of those is a matter of some round trips. */
#define PH_CONNECTOR_DETOUR (2 * PH_SEC)
/* Pauses between attempts that failed: from the first to the second figure, doubling, with jitter. */
#define PH_CONNECTOR_RETRY_MIN PH_SEC
#define PH_CONNECTOR_RETRY_MAX (60 * PH_SEC)
/* The current one, its successor, one that drains, and one attempt of the peer's. */
#define PH_CONNECTOR_LINKS_MAX 4

typedef struct {
  PhTlsIdentity *identity; /* borrowed, outlives the connector */
  uint8_t local_key[PH_KEY_LEN];
  uint8_t peer_key[PH_KEY_LEN];
  PhRandom random;
  PhTrace trace;
  bool allow_loopback; /* host candidates on loopback count: tests only */
} PhConnectorConfig;

typedef enum {
  /* Client, while no link is up: `link` may be written to, but is not READY yet (ph_link_is_writable()). LINK_READY
   * or LINK_CLOSED follows. */
  PH_CONNECTOR_EVENT_LINK_WRITABLE,
  PH_CONNECTOR_EVENT_LINK_READY, /* `link` is up, `path` is its path */
  PH_CONNECTOR_EVENT_LINK, /* `link_event` of `link` */
  PH_CONNECTOR_EVENT_LINK_CLOSED, /* `link_event` says why; `link` is freed after the next poll */
  PH_CONNECTOR_EVENT_PATH, /* `link`'s path changed under it (rebinding) */
  PH_CONNECTOR_EVENT_FAILED, /* an attempt ended without a link: `reason`; `retry_at` */
} PhConnectorEventType;

typedef enum {
  PH_CONNECTOR_FAILURE_NO_ANSWER, /* the peer sent no PARAMS */
  PH_CONNECTOR_FAILURE_NO_PAIR, /* no pair of candidates worked */
  PH_CONNECTOR_FAILURE_LOST, /* all pairs went silent */
  PH_CONNECTOR_FAILURE_HANDSHAKE, /* a path was there, the secure handshake failed on it */
  PH_CONNECTOR_FAILURE_IDENTITY, /* whoever answers does not hold the contact's key */
} PhConnectorFailure;

typedef struct {
  PhConnectorEventType type;
  PhLink *link;
  PhLinkEvent link_event;
  PhPath path;
  bool overtaken; /* LINK_WRITABLE, LINK_READY: a better link is up already, or about to be */
  bool peer_takes_early; /* LINK_WRITABLE, LINK_READY: what its signals say of its session */
  PhConnectorFailure failure;
  PhTime retry_at;
} PhConnectorEvent;

typedef struct _PhConnector PhConnector;

/* `gatherer` is borrowed and outlives the connector. */
PhConnector *ph_connector_new (const PhConnectorConfig *config, const PhGatherer *gatherer);
void ph_connector_free (PhConnector *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhConnector, ph_connector_free)

/* Where it and what it makes from now on tell what they do; copied. */
void ph_connector_set_trace (PhConnector *self, const PhTrace *trace);
/* Whether a link is wanted. Without it links that are up stay (see ph_connector_close()), and an attempt
 * of the peer's is still answered. */
void ph_connector_set_wanted (PhConnector *self, PhTime now, bool wanted);
/* The network or the peer's presence changed: no more waiting. */
void ph_connector_retry_now (PhConnector *self, PhTime now);
/* There is another way to carry signals: what the peer has not answered is said again, in case it went nowhere. A
 * peer that has heard it does nothing. */
void ph_connector_say_again (PhConnector *self, PhTime now);
/* Ends one link. LINK_CLOSED follows. */
void ph_connector_close_link (PhConnector *self, PhTime now, PhLink *link, uint64_t code,
                              const char *reason);
/* Closes all links with `code`, ends the attempt. */
void ph_connector_close (PhConnector *self, PhTime now, uint64_t code, const char *reason);

/* A candidate that the gatherer found just now. */
void ph_connector_add_candidate (PhConnector *self, PhTime now, const PhCandidate *candidate);
/* The socket is gone: pairs and links on it end. */
void ph_connector_remove_socket (PhConnector *self, PhTime now, uint32_t socket);

/* The socket will be gone in some seconds. */
void ph_connector_leave_socket (PhConnector *self, PhTime now, uint32_t socket);

/* --- Guessing ports ------------------------------------------------------------------------------- */

/* What stands before this device, and whether ports may be guessed at all. */
void ph_connector_set_nat (PhConnector *self, PhTime now, const PhPunchNat *nat, bool allowed);
/* Begins an attempt if one is due and may begin; whether one runs. */
bool ph_connector_consider_guessing (PhConnector *self, PhTime now, bool may_begin);
/* An attempt wants fresh sockets: `ret_n` on any port of `ret_local`. */
bool ph_connector_poll_fresh_wish (PhConnector *self, PhAddr *ret_local, unsigned *ret_n);
/* One of them. `stun_server`: what it is measured with, or unset. */
void ph_connector_add_fresh_socket (PhConnector *self, PhTime now, uint32_t socket,
                                    const PhAddr *addr, const PhAddr *stun_server);
/* All fresh sockets, whatever uses them: the connector is about to be freed. */
void ph_connector_give_sockets_back (PhConnector *self, GArray *sockets);
/* A fresh socket that is of no use any more, to be closed; 0: none. */
uint32_t ph_connector_poll_unused_socket (PhConnector *self);

/* --- Signals ---------------------------------------------------------------------------------------- */

/* Signals: bodies of net/signal/ph-signal-body.h, over whatever carries them in order. */
void ph_connector_handle_signal (PhConnector *self, PhTime now, PhSlice body);
/* The next body to carry to the peer; NULL: none. */
GBytes *ph_connector_poll_signal (PhConnector *self);

/* Whether a datagram from there is for this peer: a QUIC packet on one of its pairs. */
bool ph_connector_owns_path (const PhConnector *self, uint32_t socket, const PhAddr *remote);
/* Whether a STUN request for this username fragment is for this peer. */
bool ph_connector_owns_ufrag (const PhConnector *self, PhSlice ufrag);

/* TCP. What the driver says of a connection of this peer's, or one that it asked for; whether it was. Of one that was
 * accepted: whether an attempt of ours was towards there. */
bool ph_connector_handle_connection (PhConnector *self, PhTime now, const PhConnectionEvent *event);
bool ph_connector_owns_connection (const PhConnector *self, uint32_t connection);
/* Bytes of the secure transport on one of these. */
void ph_connector_handle_stream (PhConnector *self, PhTime now, const PhDatagram *in);

/* The five verbs. handle_packet: whether the packet was this peer's. */
bool ph_connector_handle_packet (PhConnector *self, PhTime now, const PhDatagram *in);
void ph_connector_handle_timeout (PhConnector *self, PhTime now);
bool ph_connector_poll_transmit (PhConnector *self, PhTime now, PhTransmit *tx);
bool ph_connector_poll_event (PhConnector *self, PhConnectorEvent *ret_event);
PhTime ph_connector_next_timeout (const PhConnector *self, const char **ret_why);

/* Whether the last path went silent, or an attempt failed, since this was last asked. Perhaps our NAT or the
 * relay has forgotten us: whoever has the gatherer lets it ask the servers anew. */
bool ph_connector_take_silenced (PhConnector *self);
/* Whether it wants a link, looks for one or has one: then a relay is worth having. */
bool ph_connector_is_active (const PhConnector *self);
/* Whether this side is the client of the links: it has the lower key. */
bool ph_connector_is_client (const PhConnector *self);
/* Whether a link is READY. */
bool ph_connector_is_up (const PhConnector *self);
/* The agent of the attempt that runs, for `--explain`; NULL: none. */
const PhIceAgent *ph_connector_agent (const PhConnector *self);
/* The links that there are, in no order; NULL past the last one. */
PhLink *ph_connector_nth_link (const PhConnector *self, unsigned n);
/* The path of a link of this connector; false if it has none (any more). */
bool ph_connector_link_path (const PhConnector *self, const PhLink *link, PhPath *ret_path);
