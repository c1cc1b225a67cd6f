/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An ICE agent: finds which pairs of a local and a remote address reach each other, agrees with the
 * other side's agent on one, and watches that it stays alive. RFC 8445 with one stream and one
 * component, RFC 8838 (trickle), RFC 7675 (consent). docs/protocol.md lists every departure.
 *
 * Pairs. A pair is a local socket and a remote address. Its id is never used again. A pair is *valid*
 * from the moment a check on it was answered until consent expires; one valid pair is *selected*: the
 * controlling side nominates it as soon as no better pair is likely. Other valid pairs are kept warm
 * (at most PH_ICE_WARM_MAX) so that there is something to fall back on; the caller may use any valid
 * pair, and says so with ph_ice_agent_set_in_use().
 *
 * Renomination. Where both sides have announced it (ph_ice_agent_allow_renomination()) the controlling side
 * goes on comparing: a valid pair of a better kind (LAN, UDP, TCP, relay: ph_path_classify()), on a LAN TCP instead
 * of UDP that takes less than 20 ms, or of the same kind and faster by 5 ms and a quarter (IPv6 is taken for 3 ms faster than it is), takes
 * the selected one's place, and so does any that answers while the selected one is silent, or that the peer says on
 * that it has lost its end of the selected one. Every nomination
 * carries a number that rises, and the controlled side follows the highest. A pair that was left because it failed has to stay
 * away for a while, longer each time. While the selected pair is relayed, all pairs are checked again
 * every minute.
 *
 * Life. An agent starts to check when it has a pair and the peer's credentials, and goes on checking,
 * failed pairs too (a hole is punched only when both sides' checks cross), for `give_up_interval`. It
 * then tells FAILED if nothing is valid. When the last valid pair dies it tells DISCONNECTED and checks
 * all pairs again. FAILED is not the end: a new candidate, an authentic check of the peer or
 * ph_ice_agent_recheck() starts over. An ICE restart is a new agent.
 *
 * TCP (RFC 6544). The socket of a local TCP candidate is a port: it listens, and connections leave from it.
 * A TCP pair needs a connection before it is checked: one that the owner makes when the agent asks for it
 * (CONNECT), to passive and simultaneous-open candidates, or one that was accepted at the port, which
 * is known by the first authentic request that comes on it (PhDatagram.port says which port). Messages are the
 * owner's to frame (RFC 4571). A pair that is lost lets go of its connection; a connection whose pair is
 * gone is the owner's to close.
 *
 * Security. Nothing that does not carry the right integrity is answered or changes anything. Addresses
 * that packets must not go to (ph_candidate_usable()) are ignored, whoever names them.
 *
 * Time and memory. The five verbs; `now` never goes backwards; after any call the caller settles (see
 * ph-link.h). Everything passed in is copied, except config.trace and config.random.user, which outlive the
 * agent. All that a peer can grow is bounded by the constants below. */

#pragma once

#include "net/base/ph-datagram.h"
#include "net/base/ph-random.h"
#include "net/base/ph-trace.h"
#include "net/ice/ph-ice-candidate.h"
#include "net/stun/ph-stun.h"

#include <glib.h>

typedef struct _PhIceAgent PhIceAgent;

/* More interfaces, address families and mappings than a laptop with VPNs and containers has. */
#define PH_ICE_LOCAL_MAX 32
/* What a peer may name or be seen at; the lowest priority goes when one more comes. */
#define PH_ICE_REMOTE_MAX 32
/* RFC 8445 §6.1.2.5 recommends a limit of 100: at 20 ms each is tried within 2 s. */
#define PH_ICE_PAIRS_MAX 100
/* Valid pairs kept alive beside the ones in use: LAN, IPv6, IPv4 and relay. */
#define PH_ICE_WARM_MAX 4
/* RFC 8839 §5.4. */
#define PH_ICE_UFRAG_MIN 4
#define PH_ICE_UFRAG_MAX 256
#define PH_ICE_PWD_MIN 22
#define PH_ICE_PWD_MAX 256

/* Zero fields are replaced by the defaults given here. */
typedef struct {
  /* Ta, 20 ms. RFC 8445 §14.2 allows 5 ms and says 50 where nothing is known of the path; a check is
   * 120 bytes, so this is 48 kbit/s for at most two seconds. */
  PhTime pacing_interval;
  /* 250 ms, doubling: checks that are dropped because the other side has not yet opened its NAT are
   * normal, and then the 500 ms of the RFC are felt. */
  PhTime rto_interval;
  /* 150 ms from the first valid pair to nomination, if better pairs are still open. */
  PhTime patience_interval;
  /* 20 s. */
  PhTime give_up_interval;
  /* 1.5 s (times 0.8 to 1.2) on pairs in use, a third of it while no answer comes. */
  PhTime consent_interval;
  /* 6 s: a dead path is left within 6.5 s. */
  PhTime consent_expiry;
  /* 5 s (times 0.8 to 1.2) and 30 s on the other valid pairs: RFC 7675's figures. */
  PhTime warm_interval;
  PhTime warm_expiry;
} PhIceTimers;

typedef struct {
  bool controlling;
  bool allow_loopback; /* tests on one machine */
  /* The peer sends openers too, see the head of ph-ice-open.c. `answering`: we have its candidates before it can
   * have ours. */
  bool opens;
  bool answering;
  PhRandom random;
  const PhTrace *trace; /* or NULL */
  PhIceTimers timers;
  /* NULL: drawn. Given where an agent takes the place of one whose credentials the peer has already. */
  const char *ufrag;
  const char *pwd;
} PhIceConfig;

typedef enum {
  PH_ICE_CHECKING, /* from the start until a pair is selected */
  PH_ICE_CONNECTED,
  PH_ICE_DISCONNECTED, /* was connected; checking again */
  PH_ICE_FAILED, /* gave up; only answers */
  PH_N_ICE_STATES,
} PhIceState;

typedef enum {
  PH_ICE_PAIR_FROZEN,
  PH_ICE_PAIR_WAITING,
  PH_ICE_PAIR_IN_PROGRESS,
  PH_ICE_PAIR_SUCCEEDED, /* valid */
  PH_ICE_PAIR_FAILED,
  PH_N_ICE_PAIR_STATES,
} PhIcePairState;

/* Why a pair is not valid, for `send --explain`. */
typedef enum {
  PH_ICE_WHY_NONE,
  PH_ICE_WHY_SILENT, /* no answer to our checks */
  PH_ICE_WHY_ERROR, /* answered with an error */
  PH_ICE_WHY_ASYMMETRIC, /* answered from another address */
  PH_ICE_WHY_CONSENT, /* was valid, then silent */
  PH_ICE_WHY_RETIRED, /* valid, but enough better pairs are kept */
  PH_ICE_WHY_SOCKET_GONE, /* our socket was removed */
  PH_ICE_WHY_UNCONNECTED, /* no TCP connection came about */
  PH_ICE_WHY_DISCONNECTED, /* it ended */
  PH_ICE_WHY_PEER_LEFT, /* the peer has lost its end */
} PhIceWhy;

/* A snapshot of a pair. */
typedef struct {
  uint32_t id;
  PhIcePairState state;
  PhIceWhy why;
  PhCandidate local; /* as the peer sees us on this pair, once that is known */
  PhCandidate remote;
  uint32_t socket; /* send from here (TCP: the connection, 0 while there is none) ... */
  PhAddr remote_addr; /* ... to here */
  uint64_t priority; /* RFC 8445 §6.1.2.3 */
  bool nominated;
  bool selected;
  bool in_use;
  bool silent; /* valid, but has not answered for three seconds */
  PhTime rtt; /* smoothed; 0 while unknown */
  unsigned checks_sent;
  unsigned checks_answered;
} PhIcePair;

typedef enum {
  PH_ICE_EVENT_PAIR_VALID,
  /* Nominated by the controlling side; told again when it changes. `moved`: by the controlled side only,
   * if it is the same nomination as before, that comes from another address: the peer's NAT has changed. */
  PH_ICE_EVENT_SELECTED,
  /* The controlling side's first choice is on its way to the peer: SELECTED follows, as a rule for this pair, when the
   * peer has agreed. What cannot but be the same then need not wait for that. */
  PH_ICE_EVENT_NOMINATING,
  /* Consent expired, its socket is gone, or it is one too many: send nothing there any more. */
  PH_ICE_EVENT_PAIR_LOST,
  PH_ICE_EVENT_DISCONNECTED, /* the last valid pair is lost; told after PAIR_LOST */
  PH_ICE_EVENT_FAILED,
  /* A TCP pair wants a connection from the port pair.local.socket to pair.remote_addr:
   * ph_ice_agent_connected() or ph_ice_agent_not_connected() is the answer. */
  PH_ICE_EVENT_CONNECT,
} PhIceEventType;

typedef struct {
  PhIceEventType type;
  PhIcePair pair; /* of the first three */
  bool moved;
} PhIceEvent;

/* Draws ufrag, password and tie-breaker from config->random. */
PhIceAgent *ph_ice_agent_new (const PhIceConfig *config, PhTime now);
void ph_ice_agent_free (PhIceAgent *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhIceAgent, ph_ice_agent_free)

/* --- What both sides tell each other ------------------------------------------------------------ */

/* 8 and 24 characters: 48 and 144 bits. */
const char *ph_ice_agent_ufrag (const PhIceAgent *self);
const char *ph_ice_agent_pwd (const PhIceAgent *self);
/* False, and nothing happens, if they are no ICE credentials or others were set before. */
bool ph_ice_agent_set_remote_credentials (PhIceAgent *self, PhTime now, const char *ufrag,
                                          const char *pwd);

/* True if the candidate is news that the peer should be sent; false if it is redundant (the same
 * address from the same base), useless, or one too many. */
bool ph_ice_agent_add_local_candidate (PhIceAgent *self, PhTime now, const PhCandidate *candidate);
/* The socket is gone: its candidates and pairs too. */
void ph_ice_agent_remove_socket (PhIceAgent *self, PhTime now, uint32_t socket);
/* False if it is ignored: redundant, useless, TCP active (who is active comes by itself), or worse than the
 * PH_ICE_REMOTE_MAX others. */
bool ph_ice_agent_add_remote_candidate (PhIceAgent *self, PhTime now, const PhCandidate *candidate);
/* TCP, see the head of this file. `connection` is the socket id of a connection of the pair `pair`. False: the
 * pair does not want one (any more), close it. */
bool ph_ice_agent_connected (PhIceAgent *self, PhTime now, uint32_t pair, uint32_t connection);
/* None could be made. The pair is tried again while there is time. */
void ph_ice_agent_not_connected (PhIceAgent *self, PhTime now, uint32_t pair);
/* The connection is no more. */
void ph_ice_agent_disconnected (PhIceAgent *self, PhTime now, uint32_t connection);
/* The peer has proved that it is there in another way than by an answer: with bytes on this connection that only
 * it can have encrypted, for us, since the connection was made. They renew consent, which RFC 7675 leaves to
 * STUN alone: checks share the connection with the files, and on a slow uplink their answers wait behind
 * seconds of them. What consent protects is not lost: a TCP connection is with somebody who has answered
 * there, the kernel sends on only while that end acknowledges, and a peer that wants no more ends the
 * connection. Checks go on at their pace. Unknown connections are ignored. */
void ph_ice_agent_heard (PhIceAgent *self, PhTime now, uint32_t connection);
/* Whether a pair is on this connection: if not, it is of no use. */
bool ph_ice_agent_uses_connection (const PhIceAgent *self, uint32_t connection);
/* No more candidates come from this side, from the other side. Candidates that come all the same are
 * taken; knowing the end only speeds nomination up. */
void ph_ice_agent_end_local (PhIceAgent *self, PhTime now);
void ph_ice_agent_end_remote (PhIceAgent *self, PhTime now);

/* --- The five verbs ----------------------------------------------------------------------------- */

/* True if the packet was this agent's: a request whose USERNAME begins with our ufrag and whose
 * integrity is right, or an answer to a check of ours. */
bool ph_ice_agent_handle_packet (PhIceAgent *self, PhTime now, const PhDatagram *in);
void ph_ice_agent_handle_timeout (PhIceAgent *self, PhTime now);
/* One datagram a call; tx->cap is at least PH_STUN_MESSAGE_MAX. */
bool ph_ice_agent_poll_transmit (PhIceAgent *self, PhTime now, PhTransmit *tx);
bool ph_ice_agent_poll_event (PhIceAgent *self, PhIceEvent *ret_event);
PhTime ph_ice_agent_next_timeout (const PhIceAgent *self, const char **ret_why);

/* --- Asking and steering ------------------------------------------------------------------------ */

PhIceState ph_ice_agent_state (const PhIceAgent *self);
/* May change: role conflicts are settled by the agents. */
bool ph_ice_agent_controlling (const PhIceAgent *self);
/* All pairs that there are, best first; stops when `each` returns false. */
void ph_ice_agent_for_each_pair (const PhIceAgent *self,
                                 bool (*each) (void *user, const PhIcePair *pair), void *user);
bool ph_ice_agent_get_pair (const PhIceAgent *self, uint32_t id, PhIcePair *ret_pair);
bool ph_ice_agent_selected (const PhIceAgent *self, PhIcePair *ret_pair);
/* Finds the valid pair that a datagram from `remote` on `socket` belongs to. */
bool ph_ice_agent_find_valid (const PhIceAgent *self, uint32_t socket, const PhAddr *remote,
                              PhIcePair *ret_pair);
/* Whether a link runs on this pair: then its death is noticed as fast as that of the selected pair,
 * and it is never retired. Unknown ids are ignored. */
void ph_ice_agent_set_in_use (PhIceAgent *self, PhTime now, uint32_t id, bool in_use);
/* Checks every pair that is not valid again, for another `give_up_interval`, and asks the valid ones at
 * once: the network has changed, the machine has woken, or a better path is looked for. */
void ph_ice_agent_recheck (PhIceAgent *self, PhTime now);

/* Both sides can renominate. */
void ph_ice_agent_allow_renomination (PhIceAgent *self);
/* A link could not be made, or lived no longer, on this pair, though checks pass: others are preferred for a
 * minute, after which it may be nominated again. */
void ph_ice_agent_shun (PhIceAgent *self, PhTime now, uint32_t id);

/* The socket will be gone soon: pairs on it are good only while there is no other, so that there is a link on another
 * pair before it is gone. A controlled side asks the other one to nominate another. */
void ph_ice_agent_leave_socket (PhIceAgent *self, PhTime now, uint32_t socket);

/* --- For guessed ports --------------------------------------------------------------------------- */

/* A check that may be sent from and to anywhere: nothing waits for its answer. Whoever it reaches checks back.
 * False while the peer's credentials are unknown. */
bool ph_ice_agent_write_probe (const PhIceAgent *self, PhWriter *w);
/* A socket that the agent does not know, opened in the hope for what has now come on it: if that is an
 * authentic check, the socket becomes a candidate that is paired with nobody else. Hand the packet in
 * afterwards. */
bool ph_ice_agent_adopt (PhIceAgent *self, const PhCandidate *local, PhSlice request);

const char *ph_ice_pair_state_name (PhIcePairState state);
const char *ph_ice_why_name (PhIceWhy why);

/* --- For a demultiplexer ------------------------------------------------------------------------ */

/* The local ufrag that a Binding request is addressed to (borrowed from `bytes`); false if it is not
 * one. Answers carry none: offer them to each agent, or ask ph_ice_agent_owns(). */
bool ph_ice_packet_ufrag (PhSlice bytes, PhSlice *ret_ufrag);
/* Whether an answer with this transaction id would be this agent's. */
bool ph_ice_agent_owns (const PhIceAgent *self, const PhStunId *id);
