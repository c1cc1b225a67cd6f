/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What address a STUN server sees one of our sockets at, and holding that mapping open.
 *
 * Asks at once, tells the answer, asks again every 15 to 25 s: home routers forget an idle UDP mapping
 * after 30 s (RFC 4787 REQ-5 asks for 2 minutes, many do not heed it). A silent or refusing server is
 * told once as FAILED and asked again later, each time after a longer pause.
 *
 * Only an answer that comes from the address that was asked, to the socket that asked, with the id of
 * the question, counts. The core owns nothing but itself; `random` and `trace` are borrowed. */

#pragma once

#include "net/base/ph-datagram.h"
#include "net/base/ph-random.h"
#include "net/base/ph-trace.h"
#include "net/stun/ph-stun-transaction.h"

#include <glib.h>

typedef struct _PhStunBinding PhStunBinding;

typedef struct {
  uint32_t socket;
  PhAddr server;
  PhRandom random;
  const PhTrace *trace; /* or NULL */
  PhStunTimers timers; /* all zero: quicker than the RFC, 250 ms doubling, given up after 8 s */
} PhStunBindingConfig;

typedef enum {
  PH_STUN_BINDING_MAPPED, /* `mapped` is new: the first answer, or it has changed */
  PH_STUN_BINDING_FAILED, /* no answer (`error` 0) or an error code; told once until MAPPED again */
} PhStunBindingEventType;

typedef struct {
  PhStunBindingEventType type;
  PhAddr mapped;
  PhTime rtt;
  unsigned error;
} PhStunBindingEvent;

/* The first question is due at once: handle a timeout. */
PhStunBinding *ph_stun_binding_new (const PhStunBindingConfig *config, PhTime now);
void ph_stun_binding_free (PhStunBinding *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhStunBinding, ph_stun_binding_free)

/* True if the packet answers this binding's question. */
bool ph_stun_binding_handle_packet (PhStunBinding *self, PhTime now, const PhDatagram *in);
void ph_stun_binding_handle_timeout (PhStunBinding *self, PhTime now);
bool ph_stun_binding_poll_transmit (PhStunBinding *self, PhTime now, PhTransmit *tx);
bool ph_stun_binding_poll_event (PhStunBinding *self, PhStunBindingEvent *ret_event);
PhTime ph_stun_binding_next_timeout (const PhStunBinding *self, const char **ret_why);

/* Asks anew at once: the network has changed, or the machine has woken. */
void ph_stun_binding_refresh (PhStunBinding *self, PhTime now);

/* The latest mapping; PH_FAMILY_NONE while there is none. */
PhAddr ph_stun_binding_mapped (const PhStunBinding *self);
