/* SPDX-License-Identifier: GPL-3.0-or-later */
/* When a STUN request over UDP is sent again and when it is given up, RFC 8489 §6.2.1. Bookkeeping
 * only, a plain value: whoever owns it builds and sends the bytes. */

#pragma once

#include "net/base/ph-time.h"
#include "net/stun/ph-stun.h"

typedef struct {
  PhTime rto_interval; /* before the second send; doubles from there */
  unsigned sends_max; /* Rc */
  unsigned last_wait; /* Rm: after the last send, in units of the first rto_interval */
} PhStunTimers;

/* RFC 8489's defaults: sent at 0, 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s, given up at 39.5 s. */
#define PH_STUN_TIMERS_DEFAULT ((PhStunTimers){500 * PH_MSEC, 7, 16})

typedef enum {
  PH_STUN_WAIT, /* not yet due */
  PH_STUN_SEND_AGAIN, /* send the same bytes once more; it is counted */
  PH_STUN_GIVE_UP,
} PhStunDue;

typedef struct {
  PhStunId id;
  PhTime first_sent;
  PhTime last_sent;
  PhTime deadline; /* of the next send or of giving up; PH_NEVER if not running */
  PhTime interval; /* before the next send */
  unsigned sends;
  PhStunTimers timers;
} PhStunTransaction;

/* Starts with the first send, at `now`. */
void ph_stun_transaction_start (PhStunTransaction *self, PhTime now, const PhStunId *id,
                                PhStunTimers timers);
/* What is due at `now`. After PH_STUN_GIVE_UP it is not running any more. */
PhStunDue ph_stun_transaction_due (PhStunTransaction *self, PhTime now);
/* Moves the next send to `when`, if it is later now: news came that it may get through. */
void ph_stun_transaction_hasten (PhStunTransaction *self, PhTime when);
void ph_stun_transaction_stop (PhStunTransaction *self);

static inline bool
ph_stun_transaction_running (const PhStunTransaction *self)
{
  return self->deadline != PH_NEVER;
}
