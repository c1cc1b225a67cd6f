/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The agent's inside, shared by its files:
 *
 *   ph-ice-agent.c      life, timers, events, what callers ask
 *   ph-ice-checklist.c  candidates become pairs; which pair is checked next
 *   ph-ice-check.c      connectivity checks on the wire, both ways
 *   ph-ice-open.c       opening NATs before checks
 *   ph-ice-tcp.c        connections of pairs
 *   ph-ice-nominate.c   valid pairs: nomination, selection, consent, loss */

#pragma once

#include "net/ice/ph-ice-agent.h"
#include "net/ice/ph-path-kind.h"
#include "net/stun/ph-stun-transaction.h"

/* Checks of a pair whose answers still count: a triggered check replaces the one in progress, whose
 * answer may be on its way (RFC 8445 §7.3.1.4), and consent checks overlap on slow paths. */
#define ICE_ASKED_MAX 6

typedef struct {
  PhStunId id;
  PhTime sent;
  bool open;
  bool resent; /* then the answer tells no round-trip time */
  bool nominates;
  bool controlling; /* our role when it was sent */
} IceAsked;

typedef struct {
  uint32_t id;
  PhIcePairState state;
  PhIceWhy why;
  const PhCandidate *local; /* borrowed from agent->locals: the first one of its socket */
  PhCandidate *remote; /* borrowed from agent->remotes */
  PhAddr remote_addr; /* remote->addr, with the scope that our side needs */
  uint32_t socket; /* local->socket; TCP: the connection, 0 while there is none */
  PhCandidate seen; /* the local candidate as the peer sees it */
  uint64_t priority;

  bool held; /* not checked before hold_until */
  uint64_t triggered_seq; /* place in the queue of triggered checks; 0: not in it */
  PhTime retry_at; /* when a failed pair is tried again; PH_NEVER */

  PhStunTransaction check; /* the check that is sent again until it is answered */
  bool check_nominates;
  IceAsked asked[ICE_ASKED_MAX];
  unsigned asked_next;

  bool nominating; /* controlling: USE-CANDIDATE is sent */
  bool nominated; /* agreed */
  uint32_t nomination; /* controlling: the number that goes with it */
  bool peer_nominated; /* controlled: nominated before it was valid */
  uint32_t peer_nomination; /* controlled: the highest number that came on this pair; 0: none */
  PhTime peer_nominated_at; /* the last USE-CANDIDATE */
  bool in_use;
  bool leaving; /* its socket will be gone soon */

  PhTime consent_at; /* the next consent check */
  PhTime expires_at; /* PH_NEVER while answers come */
  PhTime answered_at;
  unsigned unanswered; /* consent checks since the last answer */
  PhTime shunned_until; /* not to be preferred before */
  unsigned failures; /* times that it was left because it failed */

  PhTime rtt;
  PhTime rtt_least[2]; /* this span's and the last one's: without queues of our own making */
  PhTime rtt_least_until; /* the end of this span */
  unsigned timed; /* answers that count there */
  unsigned measured; /* other ones, many at one moment, */
  PhTime measured_least; /* the fastest of them, */
  unsigned faster; /* and those that beat the selected pair's fastest */
  unsigned checks_sent;
  unsigned checks_answered;
} IcePair;

typedef struct {
  uint32_t socket;
  PhAddr remote;
  uint8_t ttl;
  size_t len;
  uint8_t data[];
} IceOut;

struct _PhIceAgent {
  PhIceConfig config;
  PhIceState state;
  PhTime last_now;
  bool controlling;
  uint64_t tie_breaker;
  char ufrag[PH_ICE_UFRAG_MAX + 1];
  char pwd[PH_ICE_PWD_MAX + 1];
  char remote_ufrag[PH_ICE_UFRAG_MAX + 1]; /* empty until known */
  char remote_pwd[PH_ICE_PWD_MAX + 1];
  bool local_ended;
  bool remote_ended;

  GPtrArray *locals; /* owned PhCandidate */
  GPtrArray *remotes; /* owned PhCandidate */
  GPtrArray *pairs; /* owned IcePair, best first */
  uint32_t next_pair_id;
  uint64_t next_triggered_seq;

  PhTime pace_at; /* no new check before */
  PhTime hold_until; /* held pairs are not checked before; PH_NEVER: there is no hold */
  PhTime give_up_at; /* end of the time for checks; PH_NEVER if it is over or has not begun */
  PhTime first_valid_at;
  PhTime nominate_at; /* patience ends; PH_NEVER */
  bool renominates; /* both sides can */
  uint32_t nomination; /* controlling: the last number given; controlled: the highest seen */
  uint32_t followed; /* controlled: the number of the selected pair */
  uint32_t
      gone; /* controlled: of the one whose address of ours is gone, until another is selected */
  bool leaves; /* that address is still there for a while */
  PhTime recheck_at; /* relayed: when better pairs are looked for again; PH_NEVER */
  IcePair *selected; /* borrowed from pairs, or NULL */

  GQueue out; /* owned IceOut */
  GQueue events; /* owned PhIceEvent */
};

/* --- ph-ice-agent.c --- */

void ice_enter (PhIceAgent *self, PhTime now, PhIceState next, const char *why);
void
ice_pair_enter (PhIceAgent *self, PhTime now, IcePair *pair, PhIcePairState next, PhIceWhy why);
void ice_event (PhIceAgent *self, PhIceEventType type, const IcePair *pair);
/* Gives the checks `give_up_interval` from now on. */
void ice_open_window (PhIceAgent *self, PhTime now);
/* What every entry point ends with: follows up on what has changed. */
void ice_settle (PhIceAgent *self, PhTime now);

static inline bool
ice_pair_is_tcp (const IcePair *pair)
{
  return pair->local->transport != PH_CANDIDATE_UDP;
}

/* What a message on a connection came in at, as a local candidate's socket. */
static inline uint32_t
ice_local_socket (const PhDatagram *in)
{
  return in->port != 0 ? in->port : in->socket;
}

static inline bool
ice_has_remote_credentials (const PhIceAgent *self)
{
  return self->remote_ufrag[0] != '\0';
}

/* --- ph-ice-checklist.c --- */

/* The candidate that stands for `socket` in pairs, or NULL. */
const PhCandidate *ice_local_for_socket (const PhIceAgent *self, uint32_t socket);
/* `socket`: of the local candidate. */
IcePair *ice_pair_find (const PhIceAgent *self, uint32_t socket, const PhAddr *remote);
IcePair *ice_pair_by_id (const PhIceAgent *self, uint32_t id);
void ice_pair_free (IcePair *pair);
/* Finds or makes the remote candidate and pair that an authentic request shows. NULL if there is no
 * room for it. */
IcePair *ice_pair_reflexive (PhIceAgent *self, PhTime now, const PhDatagram *in, uint32_t priority);
void ice_pair_trigger (PhIceAgent *self, PhTime now, IcePair *pair);
/* After a change of role or of a candidate's priority. */
void ice_pairs_rank (PhIceAgent *self);
void ice_unfreeze_like (PhIceAgent *self, PhTime now, const IcePair *pair);
/* The pair to check now, or NULL. */
IcePair *ice_next_to_check (const PhIceAgent *self);
bool ice_any_valid (const PhIceAgent *self);
unsigned ice_count_open (const PhIceAgent *self);

/* --- ph-ice-open.c --- */

/* When a pair is made: opens our NAT, and holds checks back that would come too early. */
void ice_open (PhIceAgent *self, IcePair *pair);
void ice_hold_begin (PhIceAgent *self, PhTime now);
void ice_hold_end (PhIceAgent *self);

/* --- ph-ice-check.c --- */

/* Queues a message; `ttl` as in PhTransmit. */
void
ice_queue (PhIceAgent *self, uint32_t socket, const PhAddr *remote, uint8_t ttl, const PhWriter *w);

/* Sends a check that is repeated until it is answered. */
void ice_check_start (PhIceAgent *self, PhTime now, IcePair *pair, bool nominates);
/* Repeats it. */
void ice_check_again (PhIceAgent *self, PhTime now, IcePair *pair);
/* Sends a check that is not repeated: RFC 7675 §5.1. */
void ice_check_consent (PhIceAgent *self, PhTime now, IcePair *pair);

/* --- ph-ice-tcp.c --- */

/* NULL: none; never for a UDP socket. */
IcePair *ice_pair_on_connection (const PhIceAgent *self, uint32_t connection);
/* From now on the pair is checked there. */
void ice_pair_connect (PhIceAgent *self, PhTime now, IcePair *pair, uint32_t connection);

/* --- ph-ice-nominate.c --- */

/* A check on `pair` was answered after so long; true if it was one of many at one moment, and counts for no more. */
bool ice_pair_timed (const PhIceAgent *self, IcePair *pair, PhTime sample);
/* An answer came on `pair`; `nominates` if it agrees to a nomination of ours. */
void ice_pair_answered (PhIceAgent *self, PhTime now, IcePair *pair, bool nominates);
/* The controlling peer nominates `pair`; `nomination` is the number that goes with it, 0: none. */
void ice_peer_nominates (PhIceAgent *self, PhTime now, IcePair *pair, uint32_t nomination);
/* On `via` the peer says that it has lost its end of the pair of this nomination, or is about to. */
void ice_peer_left (PhIceAgent *self, PhTime now, const IcePair *via, uint32_t nomination);
void ice_peer_leaves (PhIceAgent *self, const IcePair *via, uint32_t nomination);
void ice_pair_lost (PhIceAgent *self, PhTime now, IcePair *pair, PhIceWhy why);
void ice_consider_nomination (PhIceAgent *self, PhTime now);
/* Valid, but to be preferred to nothing that answers. */
bool ice_pair_is_silent (const IcePair *pair);
/* Whether a better path than the selected one may be found by checking again. */
bool ice_is_relayed (const PhIceAgent *self);
/* From now on `pair` is asked at the pace that its use calls for. */
void ice_consent_restart (PhIceAgent *self, PhTime now, IcePair *pair);
void ice_consent_due (PhIceAgent *self, PhTime now, IcePair *pair);
