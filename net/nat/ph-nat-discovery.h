/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Finds out what kind of NAT this is: the mapping and filtering tests of RFC 5780 §4.3 and §4.4 against
 * a server with two addresses, what can still be said with ordinary STUN servers, hairpinning, and how
 * ports are given out. One run; for the next make a new one with new sockets.
 *
 *     servers -> control -> filtering -> control again -> filtering again -> mapping -> samples -> done
 *
 * Two sockets, bound to the same address and used for nothing else: the mapping tests open the server's
 * alternate address, so that filtering is tested on the other socket, and before them (a NAT may keep
 * permissions for a whole host).
 *
 * Silence is not taken for filtering lightly: each filtering test is sent eight times in two rounds, the
 * control is run again between them, and the address that should have answered must answer when it is
 * asked directly. A server that refuses CHANGE-REQUEST (420), that answers from the address that was
 * asked, or whose OTHER-ADDRESS is missing or no other leaves the filtering unknown.
 *
 * Two ordinary servers tell endpoint-independent from dependent, no more. When no server answers the verdict
 * is PH_NAT_UDP_BLOCKED: servers that are all down cannot be told from it.
 *
 * Bounds: at most PH_NAT_PACKETS_MAX packets below 100 bytes, four at once, and PH_NAT_TIME_MAX until the
 * verdict, which then says what is known; some 2 round trips behind a full cone, 4 s where silence
 * has to be waited for.
 *
 * Left out of RFC 5780: fragments, PADDING; the mapping lifetime is ph-nat-lifetime.h's. */

#pragma once

#include "net/base/ph-datagram.h"
#include "net/base/ph-random.h"
#include "net/base/ph-trace.h"
#include "net/nat/ph-nat-verdict.h"

#include <glib.h>

/* One that follows RFC 5780 is enough, and two ordinary ones; a third for when one of them is down. */
#define PH_NAT_SERVERS_MAX 3
/* 3 x 5 to servers, 4 + 4 controls, 2 x 8 for filtering, 2 x 4 for hairpin, 6 x 4 for mappings. */
#define PH_NAT_PACKETS_MAX 71
#define PH_NAT_TIME_MAX (20 * PH_SEC)

typedef struct _PhNatDiscovery PhNatDiscovery;

typedef struct {
  uint32_t mapping_socket;
  uint32_t filtering_socket;
  PhAddr mapping_local; /* as bound, with their ports */
  PhAddr filtering_local;
  PhAddr servers[PH_NAT_SERVERS_MAX]; /* of the sockets' family */
  size_t n_servers; /* at least 1 */
  PhRandom random;
  const PhTrace *trace; /* borrowed, or NULL */
} PhNatDiscoveryConfig;

/* Begins at once: poll for what to send. */
PhNatDiscovery *ph_nat_discovery_new (const PhNatDiscoveryConfig *config, PhTime now);
void ph_nat_discovery_free (PhNatDiscovery *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhNatDiscovery, ph_nat_discovery_free)

/* Whether the packet came to one of its sockets: nobody else has to look at it. */
bool ph_nat_discovery_handle_packet (PhNatDiscovery *self, PhTime now, const PhDatagram *in);
void ph_nat_discovery_handle_timeout (PhNatDiscovery *self, PhTime now);
bool ph_nat_discovery_poll_transmit (PhNatDiscovery *self, PhTime now, PhTransmit *tx);
/* The verdict, once. */
bool ph_nat_discovery_poll_event (PhNatDiscovery *self, PhNatVerdict *ret_verdict);
PhTime ph_nat_discovery_next_timeout (const PhNatDiscovery *self, const char **ret_why);
