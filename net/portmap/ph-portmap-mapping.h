/* SPDX-License-Identifier: GPL-3.0-or-later */
/* When one port mapping is asked for, asked for again, renewed and given up. Bookkeeping only, a plain
 * value: whoever owns it writes the requests and reads the answers. Private to net/portmap.
 *
 * A request is sent five times in 8 s (RFC 6886 §3.1's quick start; RFC 6887's 3 s between sends would keep a
 * person waiting), then again after growing intervals. A mapping is renewed after half its lifetime
 * and a little (RFC 6887 §11.2.1), and asked for when its server has forgotten it. */

#pragma once

#include "net/base/ph-random.h"
#include "net/base/ph-time.h"
#include "net/portmap/ph-pcp.h"

/* What is asked for: RFC 6886 §3.3's recommendation. */
#define PH_PORTMAP_LIFETIME_S 7200

typedef enum { PH_PORTMAP_UDP, PH_PORTMAP_TCP } PhPortmapProto;

typedef struct {
  uint32_t id;
  PhPortmapProto proto;
  uint16_t internal_port;
  uint8_t nonce[PH_PCP_NONCE_LEN];

  PhAddr external; /* family none: not mapped */
  PhTime expires; /* PH_NEVER where there is none */

  bool asking;
  bool send; /* the request is to be sent now */
  unsigned sends;
  PhTime deadline; /* asking: of the next send or of giving up; else of the next request */
  PhTime retry_interval;
  bool settled; /* asked and answered, or given up, once */

  bool dirty; /* the owner has to look whether there is news for its own owner */
} PhPortmapMapping;

/* Asked for at once. */
PhPortmapMapping ph_portmap_mapping (uint32_t id, PhPortmapProto proto, uint16_t internal_port,
                                     const PhRandom *random, PhTime now);
/* Starts a request now: the network or the server has changed. */
void ph_portmap_mapping_ask (PhPortmapMapping *self, PhTime now);
/* Nothing is asked until the next ph_portmap_mapping_ask(). */
void ph_portmap_mapping_hold (PhPortmapMapping *self);
void ph_portmap_mapping_granted (PhPortmapMapping *self, PhTime now, const PhAddr *external,
                                 uint32_t lifetime_s, const PhRandom *random);
/* `wait_s`: for how long the server says that it will not do better; 0 if it says nothing. */
void ph_portmap_mapping_refused (PhPortmapMapping *self, PhTime now, uint32_t wait_s);
/* The server does not have it any more. */
void ph_portmap_mapping_lost (PhPortmapMapping *self);
void ph_portmap_mapping_handle_timeout (PhPortmapMapping *self, PhTime now);
PhTime ph_portmap_mapping_next_timeout (const PhPortmapMapping *self);
