/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Does a TCP port of ours let in a connection that somebody else begins? The port is fresh and listens. Where there
 * is a NAT it first connects to a STUN server, so that there is a mapping that one can be let in through, and holds
 * that connection. Then the rendezvous is asked to knock (docs/protocol.md, Knocks).
 *
 * Two kinds of run tell RFC 5382's filtering, see ph_nat_tcp_filtering(). A *stranger's* knock comes from an address
 * that this port has never spoken to: no STUN server on the rendezvous' address is asked. An *acquaintance's* comes
 * from one that it has spoken to, on another port: at first it connects to the rendezvous, whose listening port is not
 * the one that it knocks from.
 *
 * A yes is certain: the token was heard. A no is the word of a rendezvous that says it has tried, by a kernel that sends
 * its SYN three times. Where we are not seen at one and the same address by STUN and rendezvous (several NATs, a proxy,
 * a second line) the knock goes elsewhere, and nothing is known. From which address it comes is seen when it arrives;
 * until then it is taken to be the one that we have dialled.
 *
 * One run; what was opened is aborted in the end. */

#pragma once

#include "net/base/ph-connection.h"
#include "net/base/ph-random.h"
#include "net/base/ph-trace.h"
#include "net/nat/ph-nat-discovery.h"

#define PH_NAT_TOKEN_LEN 16
/* What is said to a port that is knocked at; see ph_rendezvous_greeting(). */
#define PH_NAT_GREETING_MAX 64

typedef struct {
  uint32_t port; /* of the driver's: to listen at, and to connect from */
  PhAddr local; /* its address */
  PhAddr
      seen_as; /* where the rendezvous knocks: our address as it sees it; its port is not looked at */
  PhAddr rendezvous; /* where it listens */
  bool stranger;
  PhAddr servers[PH_NAT_SERVERS_MAX]; /* STUN */
  size_t n_servers; /* none will do where there is no NAT */
  uint8_t token[PH_NAT_TOKEN_LEN]; /* random */
  uint8_t greeting[PH_NAT_GREETING_MAX]; /* with the token */
  size_t greeting_len;
  PhRandom random;
  const PhTrace *trace; /* borrowed, or NULL */
} PhNatKnockConfig;

typedef struct _PhNatKnock PhNatKnock;

PhNatKnock *ph_nat_knock_new (const PhNatKnockConfig *config, PhTime now);
void ph_nat_knock_free (PhNatKnock *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhNatKnock, ph_nat_knock_free)

void ph_nat_knock_handle_connection (PhNatKnock *self, PhTime now, const PhConnectionEvent *event);
void ph_nat_knock_handle_packet (PhNatKnock *self, PhTime now, const PhDatagram *in);
/* The rendezvous has done what _poll_knock wished for, if `tried`. */
void ph_nat_knock_handle_knocked (PhNatKnock *self, PhTime now, bool tried);
void ph_nat_knock_handle_timeout (PhNatKnock *self, PhTime now);
bool ph_nat_knock_poll_connection (PhNatKnock *self, PhConnectionOp *ret_op);
bool ph_nat_knock_poll_transmit (PhNatKnock *self, PhTime now, PhTransmit *tx);
/* The wish, once: to be knocked at on that port, with the config's token. _handle_knocked has to follow. */
bool ph_nat_knock_poll_knock (PhNatKnock *self, uint16_t *ret_port);
/* Whether the knock was let in, once; PH_NAT_UNTESTED: it cannot be told. */
bool ph_nat_knock_poll_event (PhNatKnock *self, PhNatAnswer *ret_heard);
/* PH_NEVER while the rendezvous knocks: the end of that is the driver's to tell. */
PhTime ph_nat_knock_next_timeout (const PhNatKnock *self, const char **ret_why);

/* What follows from a stranger's and an acquaintance's knock. PH_NAT_ENDPOINT_DEPENDENT: strangers are kept out, and
 * nobody knows who is not. */
PhNatDependence ph_nat_tcp_filtering (PhNatAnswer stranger, PhNatAnswer acquaintance);
