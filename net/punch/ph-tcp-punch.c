/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/punch/ph-tcp-punch.h"

void
ph_tcp_punch_start (PhTcpPunch *self, PhTime now, bool simultaneous)
{
  *self = (PhTcpPunch){
      .connect_at = now,
      .give_up_at = ph_time_add (now, PH_TCP_PUNCH_INTERVAL),
      .simultaneous = simultaneous,
  };
}

void
ph_tcp_punch_connecting (PhTcpPunch *self)
{
  self->connect_at = PH_NEVER;
}

static PhTime
pause_after (const PhTcpPunch *self, const PhRandom *random, PhConnectionEventType why)
{
  const PhTime spread = PH_TCP_PUNCH_PAUSE_MAX - PH_TCP_PUNCH_PAUSE_MIN;

  if (why == PH_CONNECTION_IN_USE)
    return PH_TCP_PUNCH_IN_USE_PAUSE;
  if (why != PH_CONNECTION_REFUSED || !self->simultaneous)
    return PH_TCP_PUNCH_PLAIN_PAUSE;
  return PH_TCP_PUNCH_PAUSE_MIN + ph_random_below (random, spread + 1);
}

bool
ph_tcp_punch_failed (PhTcpPunch *self, PhTime now, const PhRandom *random,
                     PhConnectionEventType why)
{
  self->connect_at = ph_time_add (now, pause_after (self, random, why));
  if (self->connect_at < self->give_up_at)
    return true;
  self->connect_at = PH_NEVER;
  return false;
}
