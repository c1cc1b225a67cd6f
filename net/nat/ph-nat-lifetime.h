/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How long the NAT keeps a mapping, or the firewall its permission, that nothing uses: RFC 5780 §4.6. Slow: it
 * waits as long as the mapping lives, twice. One run; for the next make a new one with new sockets.
 *
 * A socket opens a mapping and uses it once more 2.5 s later (Linux routers keep what was used once for a
 * quarter of the time). After the wait that is tried, another socket asks the server for an answer to the first
 * one's port (RESPONSE-PORT): it arrives if the mapping is still there. Each wait has a socket of its own, as an
 * answer that arrives makes some NATs begin to count anew, and all go on at the same time: first the steps
 * 0 to 300 s, then four more between the longest that was survived and the shortest that was not. The step of 0
 * shows whether the server follows at all.
 *
 * Silence counts only if the server still answers a plain question afterwards.
 *
 * Bounds: PH_NAT_LIFETIME_SOCKETS sockets, twelve packets each and a few more, ten and a half minutes. To cancel,
 * free it. */

#pragma once

#include "net/base/ph-datagram.h"
#include "net/base/ph-random.h"
#include "net/base/ph-trace.h"

#include <glib.h>

/* 13 steps, 4 between two of them, and the one that asks. */
#define PH_NAT_LIFETIME_SOCKETS 18
/* The longest that is tried: what keeps mappings open asks far more often. */
#define PH_NAT_LIFETIME_MAX (300 * PH_SEC)

typedef struct {
  uint32_t sockets[PH_NAT_LIFETIME_SOCKETS]; /* bound to one address, used for nothing else */
  PhAddr server; /* one that follows RFC 5780 */
  PhRandom random;
  const PhTrace *trace; /* borrowed, or NULL */
} PhNatLifetimeConfig;

typedef enum {
  PH_NAT_LIFETIME_PROGRESS, /* as far as is known */
  PH_NAT_LIFETIME_DONE,
  PH_NAT_LIFETIME_UNKNOWN, /* the server is silent or does not follow RESPONSE-PORT */
} PhNatLifetimeEventType;

typedef struct {
  PhNatLifetimeEventType type;
  PhTime survived; /* a mapping lives at least so long */
  PhTime expired; /* and not so long; PH_NEVER: that is not known, or longer than was tried */
} PhNatLifetimeEvent;

typedef struct _PhNatLifetime PhNatLifetime;

/* Begins at once: poll for what to send. */
PhNatLifetime *ph_nat_lifetime_new (const PhNatLifetimeConfig *config, PhTime now);
void ph_nat_lifetime_free (PhNatLifetime *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhNatLifetime, ph_nat_lifetime_free)

void ph_nat_lifetime_handle_packet (PhNatLifetime *self, PhTime now, const PhDatagram *in);
void ph_nat_lifetime_handle_timeout (PhNatLifetime *self, PhTime now);
bool ph_nat_lifetime_poll_transmit (PhNatLifetime *self, PhTime now, PhTransmit *tx);
bool ph_nat_lifetime_poll_event (PhNatLifetime *self, PhNatLifetimeEvent *ret_event);
PhTime ph_nat_lifetime_next_timeout (const PhNatLifetime *self, const char **ret_why);
