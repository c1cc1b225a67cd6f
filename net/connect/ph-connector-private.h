/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between the files of the connector:
 *
 *   ph-connector.c          life, wishes, the five verbs
 *   ph-connector-attempt.c  attempts
 *   ph-connector-signal.c   signals
 *   ph-connector-links.c    links and the packets of QUIC
 *   ph-connector-tcp.c      connections: made, taken, let go
 *   ph-connector-guess.c    guessing ports
 */

#pragma once

#include "net/connect/ph-connector.h"
#include "net/connect/ph-connections.h"
#include "net/connect/ph-link-table.h"
#include "net/punch/ph-tcp-punch.h"
#include "net/signal/ph-signal-body.h"
#include "net/stun/ph-stun-binding.h"

typedef struct {
  uint32_t socket;
  PhAddr remote;
  GBytes *bytes;
} Early;

/* A pair of the agent's that wants a TCP connection. */
typedef struct {
  uint32_t pair;
  uint32_t port;
  PhAddr remote;
  uint32_t connection; /* the attempt under way; 0: none */
  PhTcpPunch timing;
} PhPunch;

typedef struct {
  uint32_t id;
  PhAddr addr;
} PhGuessSocket;

typedef struct {
  PhPunchNat own;
  PhPunchNat peer;
  bool allowed;
  bool nat_due; /* the peer is to be told */
  bool waits; /* for another peer's attempt to be over */

  PhTime relayed_since; /* PH_NEVER: it is not */
  PhPunchNatKind explained; /* the peer's, when the log last said why; PH_N_PUNCH_NATS: never */
  PhTime not_before; /* the next attempt */
  unsigned attempts;

  /* The attempt that runs. */
  PhPunchPlan plan; /* NONE: none runs */
  PhTime end_at;
  PhTime run_at; /* when packets begin to be sent; PH_NEVER: not by time, or begun */
  PhPunchRun run; /* n 0: not begun */
  PhAddr target; /* the peer */
  uint32_t base; /* the socket that ordinary checks go there from */
  PhAddr base_addr;
  unsigned wished; /* fresh sockets that the driver is to be asked for */
  PhStunBinding *binding; /* measures the fresh socket; NULL: it does not */
  PhAddr predicted; /* where our next mapping is expected; unset: unknown */
  PhAddr told; /* the peer's */
  PhTime told_at;

  GArray *sockets; /* PhGuessSocket: fresh ones, and those that are kept */
  GArray *unused; /* uint32_t: for the driver to close */
} PhGuess;

struct _PhConnector {
  PhConnectorConfig config;
  const PhGatherer *gatherer; /* borrowed */
  bool client; /* of QUIC, and ICE-controlling: we have the lower key */
  bool wanted;
  PhTime now;

  /* The attempt that runs; agent NULL: none. */
  PhIceAgent *agent;
  uint64_t generation;
  uint64_t remote_generation; /* 0: no credentials of the peer yet */
  uint64_t peer_features; /* that came with the last ones */
  PhTime answer_by; /* when the peer's credentials must be there */
  bool local_ended;
  bool was_connected; /* ICE has selected a pair at some time */
  bool had_link; /* the attempt has */
  PhTime ready_by; /* client: when a link on the selected pair must be ready; PH_NEVER */
  PhTime link_by; /* server: when the client's handshake must have begun on the selected pair */
  PhTime detour_until; /* see PH_CONNECTOR_DETOUR */
  bool silenced; /* the last path went silent, and nobody has asked yet */

  PhTime retry_at;
  PhTime retry_interval;

  /* What the peer is to be told. */
  bool params_due;
  uint64_t echo;
  GArray *candidates_due; /* PhCandidate */
  bool end_due;
  bool bye_due;
  uint64_t bye_generation;

  PhLinkTable links;
  PhConnections *connections; /* borrowed, the gatherer's */
  GArray *own; /* ids of connections to this peer */
  GArray *punches; /* PhPunch */
  PhTime punch_pace_at;
  PhGuess guess;
  GQueue early; /* Early, owned: kept until their pair is valid */
  GQueue events; /* PhConnectorEvent, owned */
  PhLink *buried; /* owned: told CLOSED by the last poll */
};

/* Every use of the time goes through here: cores rely on it never going backwards. */
void ph_connector_advance (PhConnector *self, PhTime now);
void ph_connector_push (PhConnector *self, const PhConnectorEvent *event);
/* Carries out what the agent decided. */
void ph_connector_settle (PhConnector *self);

/* ph-connector-attempt.c */
void ph_connector_attempt_start (PhConnector *self, PhTime now, uint64_t echo);
void ph_connector_attempt_end (PhConnector *self);
void ph_connector_attempt_fail (PhConnector *self, PhConnectorFailure failure);
void ph_connector_attempt_rebuild (PhConnector *self);
/* The peer is to be told of a candidate, if it is one that means something to it. */
void ph_connector_tell_candidate (PhConnector *self, const PhCandidate *candidate);
void ph_connector_repeat_params (PhConnector *self, uint64_t echo);
void ph_connector_schedule_retry (PhConnector *self);
void ph_connector_say_bye (PhConnector *self);
void ph_connector_tell_end (PhConnector *self);

/* ph-connector-tcp.c */
/* The agent wants a connection for `pair`. */
void ph_connector_connect (PhConnector *self, const PhIcePair *pair);
/* A check on the stranger's connection has proved to be the peer's. */
void ph_connector_claim (PhConnector *self, uint32_t connection);
/* Ends what serves nothing any more, and starts what is due. */
void ph_connector_tend_connections (PhConnector *self);
PhTime ph_connector_punch_timeout (const PhConnector *self, const char **ret_why);
/* Its link has ended: it carries nothing else. */
void ph_connector_close_connection (PhConnector *self, uint32_t connection);
/* ph-connector-guess.c */
void ph_connector_guess_init (PhGuess *self);
void ph_connector_guess_clear (PhGuess *self);
void ph_connector_guess_end (PhConnector *self);
PhTime ph_connector_guess_next_begin (const PhConnector *self);
void ph_connector_guess_handle_nat (PhConnector *self, const PhSignalMessage *message);
bool ph_connector_guess_poll_nat (PhConnector *self, PhSignalMessage *ret_message);
/* True if the packet needs no more handling. */
bool ph_connector_guess_handle_packet (PhConnector *self, const PhDatagram *in);
bool ph_connector_guess_poll_transmit (PhConnector *self, PhTransmit *tx);
void ph_connector_guess_handle_timeout (PhConnector *self);
PhTime ph_connector_guess_next_timeout (const PhConnector *self);

/* ph-connector-links.c */
/* Bytes of TLS on a connection of this peer's. */
void ph_connector_handle_tls (PhConnector *self, const PhDatagram *in);
/* `moved`: the peer's address has changed, see ph-ice-agent.h. */
void ph_connector_pair_selected (PhConnector *self, const PhIcePair *pair, bool moved);
void ph_connector_pair_nominating (PhConnector *self, const PhIcePair *pair);
void ph_connector_pair_lost (PhConnector *self, const PhIcePair *pair);
void ph_connector_replay_early (PhConnector *self, const PhIcePair *pair);
void ph_connector_early_free (gpointer data);
bool ph_connector_knows_path (const PhConnector *self, uint32_t socket, const PhAddr *remote);
bool ph_connector_handle_quic (PhConnector *self, const PhDatagram *in);
bool ph_connector_poll_link (PhConnector *self, PhLinkSlot *slot);
void ph_connector_link_overdue (PhConnector *self);
/* Client: the handshake on the selected pair takes too long. */
void ph_connector_ready_overdue (PhConnector *self);
/* Closes links on paths that have gone silent, once there is one on another: what was under way on them
 * then goes on there at once. A path that comes back tells the peer so. */
void ph_connector_leave_silent (PhConnector *self);
bool ph_connector_has_link (const PhConnector *self);
/* Ends a link without a word: its path is dead. */
void ph_connector_bury (PhConnector *self, PhLinkSlot *slot, const char *reason);
