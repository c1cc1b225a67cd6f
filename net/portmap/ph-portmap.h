/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ports of this device that its router opens to the internet: one client for one local IPv4 address and its
 * router.
 *
 *     probing -> pcp | nat-pmp | upnp -> absent -> probing -> ...
 *
 * PCP (RFC 6887) is asked for first; a server that speaks NAT-PMP alone (RFC 6886) says so, or answers the
 * question that goes along with the second try. Where neither answers, UPnP-IGD is tried by a driver, since it needs TCP: ph_portmap_poll_upnp() says what it is to
 * do. A router that can none of them is asked again after a quarter of an hour, and when the network
 * has changed (make another client then).
 *
 * Mappings are renewed while the client lives and deleted by ph_portmap_close(). A server whose epoch shows that
 * it has started again (RFC 6887 §8.5, RFC 6886 §3.6) is asked for all of them anew.
 *
 * External addresses are told as they are. Whether one is of use on the internet is for the caller to
 * see: behind a carrier's NAT it is private or shared (100.64/10) and helps between neighbours only.
 *
 * Left out: announcements by multicast (a restart is noticed with the next answer), PCP for IPv6
 * firewalls, PEER, THIRD_PARTY and all options. */

#pragma once

#include "net/base/ph-datagram.h"
#include "net/base/ph-random.h"
#include "net/base/ph-trace.h"
#include "net/portmap/ph-portmap-mapping.h"

#include <glib.h>

/* The UDP socket and the TCP listener of one address, and as many to spare while they change. */
#define PH_PORTMAP_MAX 4

typedef enum {
  PH_PORTMAP_PROBING,
  PH_PORTMAP_PCP,
  PH_PORTMAP_NAT_PMP,
  PH_PORTMAP_UPNP,
  PH_PORTMAP_ABSENT,
} PhPortmapState;

typedef struct {
  uint32_t socket; /* a UDP socket of its own, bound to `local`'s address */
  PhAddr local;
  PhAddr gateway; /* its port is not looked at */
  PhRandom random;
  const PhTrace *trace; /* borrowed, or NULL */
} PhPortmapConfig;

/* What ports can be reached at; an external address of family none: at nothing any more. */
typedef struct {
  uint32_t id;
  PhPortmapProto proto;
  PhAddr external;
} PhPortmapEvent;

/* To be done by UPnP, one at a time. */
typedef struct {
  uint32_t id;
  PhPortmapProto proto;
  uint16_t internal_port;
  uint32_t lifetime_s; /* 0: delete it */
} PhPortmapUpnp;

typedef enum {
  PH_PORTMAP_UPNP_DONE,
  PH_PORTMAP_UPNP_REFUSED,
  PH_PORTMAP_UPNP_ABSENT, /* nobody in this network speaks it */
} PhPortmapUpnpResult;

typedef struct _PhPortmap PhPortmap;

PhPortmap *ph_portmap_new (const PhPortmapConfig *config, PhTime now);
void ph_portmap_free (PhPortmap *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhPortmap, ph_portmap_free)

/* Wants the port mapped; `id` is the caller's name for it. False past the limit. */
bool ph_portmap_add (PhPortmap *self, PhTime now, uint32_t id, PhPortmapProto proto, uint16_t port);
/* Deletes everything that is mapped: poll for what to send once more, for UPnP too. */
void ph_portmap_close (PhPortmap *self, PhTime now);

PhPortmapState ph_portmap_state (const PhPortmap *self);
/* "pcp", "nat-pmp", "upnp" where something is mapped by it, else NULL: names of the interface. */
const char *ph_portmap_protocol_name (const PhPortmap *self);
/* Whether everything was answered or given up once. */
bool ph_portmap_done (const PhPortmap *self);

bool ph_portmap_handle_packet (PhPortmap *self, PhTime now, const PhDatagram *in);
void ph_portmap_handle_timeout (PhPortmap *self, PhTime now);
bool ph_portmap_poll_transmit (PhPortmap *self, PhTime now, PhTransmit *tx);
bool ph_portmap_poll_event (PhPortmap *self, PhPortmapEvent *ret_event);
PhTime ph_portmap_next_timeout (const PhPortmap *self, const char **ret_why);

bool ph_portmap_poll_upnp (PhPortmap *self, PhPortmapUpnp *ret_task);
/* `external` and `lifetime_s` (0: until the router forgets) for DONE only. */
void ph_portmap_upnp_done (PhPortmap *self, PhTime now, uint32_t id, PhPortmapUpnpResult result,
                           const PhAddr *external, uint32_t lifetime_s);
