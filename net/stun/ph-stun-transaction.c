/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/stun/ph-stun-transaction.h"

#include <glib.h>

static PhTime
wait_after_send (const PhStunTransaction *self)
{
  if (self->sends < self->timers.sends_max)
    return self->interval;
  return self->timers.last_wait * self->timers.rto_interval;
}

void
ph_stun_transaction_start (PhStunTransaction *self, PhTime now, const PhStunId *id,
                           PhStunTimers timers)
{
  g_assert (timers.rto_interval > 0);
  g_assert (timers.sends_max > 0);

  *self = (PhStunTransaction){
      .id = *id,
      .first_sent = now,
      .last_sent = now,
      .interval = timers.rto_interval,
      .sends = 1,
      .timers = timers,
  };
  self->deadline = ph_time_add (now, wait_after_send (self));
}

PhStunDue
ph_stun_transaction_due (PhStunTransaction *self, PhTime now)
{
  if (now < self->deadline)
    return PH_STUN_WAIT;

  if (self->sends >= self->timers.sends_max) {
    self->deadline = PH_NEVER;
    return PH_STUN_GIVE_UP;
  }
  self->sends++;
  self->last_sent = now;
  self->interval *= 2;
  self->deadline = ph_time_add (now, wait_after_send (self));
  return PH_STUN_SEND_AGAIN;
}

void
ph_stun_transaction_hasten (PhStunTransaction *self, PhTime when)
{
  if (ph_stun_transaction_running (self) && self->sends < self->timers.sends_max)
    self->deadline = ph_time_min (self->deadline, when);
}

void
ph_stun_transaction_stop (PhStunTransaction *self)
{
  self->deadline = PH_NEVER;
}
