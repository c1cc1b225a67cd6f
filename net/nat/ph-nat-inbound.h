/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Does a port that a router says it has opened let strangers in? Asked of a STUN server with two addresses: it
 * is made to answer from its other address (CHANGE-REQUEST, RFC 5780 §7.2) to the opened port (RESPONSE-PORT,
 * §7.5), to which nothing of ours has spoken from there.
 *
 * Silence is a no only if the server is seen to follow RESPONSE-PORT, from its own address to another socket of
 * ours, knows another address and does not refuse to answer from there; and after eight packets. If the router's address is not the one that the
 * server sees, somebody else stands in between, and the answer would go there: that is not known.
 *
 * One run, on two sockets of its own; some 25 packets, twelve seconds. */

#pragma once

#include "net/base/ph-datagram.h"
#include "net/base/ph-random.h"
#include "net/base/ph-trace.h"
#include "net/nat/ph-nat-verdict.h"

#include <glib.h>

typedef struct {
  uint32_t asker, helper; /* bound to the address of `target`, used for nothing else */
  uint32_t target; /* the socket behind the opened port */
  PhAddr external; /* the opened port */
  PhAddr server;
  PhRandom random;
  const PhTrace *trace; /* borrowed, or NULL */
} PhNatInboundConfig;

typedef struct _PhNatInbound PhNatInbound;

PhNatInbound *ph_nat_inbound_new (const PhNatInboundConfig *config, PhTime now);
void ph_nat_inbound_free (PhNatInbound *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhNatInbound, ph_nat_inbound_free)

/* Whether it was for this: also on the target's socket. */
bool ph_nat_inbound_handle_packet (PhNatInbound *self, PhTime now, const PhDatagram *in);
void ph_nat_inbound_handle_timeout (PhNatInbound *self, PhTime now);
bool ph_nat_inbound_poll_transmit (PhNatInbound *self, PhTime now, PhTransmit *tx);
/* The answer, once; PH_NAT_UNTESTED: it cannot be told. */
bool ph_nat_inbound_poll_event (PhNatInbound *self, PhNatAnswer *ret_open);
PhTime ph_nat_inbound_next_timeout (const PhNatInbound *self, const char **ret_why);
