/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/punch/ph-punch-plan.h"

#include <glib.h>

/* Below are the well-known ports, which NATs do not give away. */
#define PORT_FIRST 1024
#define PORTS (65536 - PORT_FIRST)
/* Goes through all of them, and leaves no large gap at any time: who keeps its inside ports outside has many in a
 * row. The golden section of PORTS, with no factor in common. */
#define PORT_STRIDE 39871
/* A window is small: it is gone through again, for what was lost or too early. */
#define WINDOW_ROUNDS 3
/* Of two that meet: the first round takes ports, the second finds who has taken them, the third is for a peer
 * with one port for all that goes here. Between the first two is a pause, in the middle of which answers begin:
 * then all packets of the peer's first round have come, and none of its second. */
#define MEET_ROUNDS 3
#define MEET_LEN (2 * PH_PUNCH_WINDOW)
#define MEET_PAUSE (640 * PH_MSEC)
/* Twice what a round takes: the sides begin apart by what a signal takes. */
#define MEET_TURN (640 * PH_MSEC)
/* Packets that are lost before the NAT take no port: the other side is less far on than all of them. */
#define MEET_LOST_MAX 8

PhPunchNat
ph_punch_nat (const PhNatVerdict *verdict)
{
  switch (verdict->mapping) {
  case PH_NAT_ENDPOINT_INDEPENDENT:
    if (verdict->filtering == PH_NAT_ENDPOINT_INDEPENDENT
        || verdict->filtering == PH_NAT_ADDRESS_DEPENDENT)
      return (PhPunchNat){.kind = PH_PUNCH_NAT_EASY};
    return (PhPunchNat){.kind = PH_PUNCH_NAT_STRICT};
  case PH_NAT_ADDRESS_DEPENDENT:
  case PH_NAT_ADDRESS_AND_PORT_DEPENDENT:
  case PH_NAT_ENDPOINT_DEPENDENT:
    if (verdict->ports == PH_NAT_PORTS_SEQUENTIAL && verdict->port_step != 0)
      return (PhPunchNat){
          .kind = PH_PUNCH_NAT_SEQUENTIAL,
          .step = verdict->port_step,
          .one_port = verdict->mapping == PH_NAT_ADDRESS_DEPENDENT,
      };
    return (PhPunchNat){.kind = PH_PUNCH_NAT_RANDOM};
  case PH_NAT_DEPENDENCE_UNKNOWN:
  default:
    return (PhPunchNat){.kind = PH_PUNCH_NAT_UNKNOWN};
  }
}

PhPunchPlan
ph_punch_plan (const PhPunchNat *mine, const PhPunchNat *theirs)
{
  static const PhPunchPlan plans[PH_N_PUNCH_NATS][PH_N_PUNCH_NATS] = {
      [PH_PUNCH_NAT_STRICT] =
          {
              [PH_PUNCH_NAT_SEQUENTIAL] = PH_PUNCH_PROBE_WINDOW,
              [PH_PUNCH_NAT_RANDOM] = PH_PUNCH_PROBE_RANDOM,
          },
      [PH_PUNCH_NAT_SEQUENTIAL] =
          {
              [PH_PUNCH_NAT_STRICT] = PH_PUNCH_BE_PREDICTED,
              [PH_PUNCH_NAT_SEQUENTIAL] = PH_PUNCH_MEET,
          },
      [PH_PUNCH_NAT_RANDOM] =
          {
              [PH_PUNCH_NAT_STRICT] = PH_PUNCH_OPEN_MANY,
          },
  };

  return plans[mine->kind][theirs->kind];
}

unsigned
ph_punch_sockets (PhPunchPlan plan)
{
  if (plan == PH_PUNCH_OPEN_MANY)
    return PH_PUNCH_SOCKETS_MAX;
  return ph_punch_predicts (plan) ? 1 : 0;
}

bool
ph_punch_predicts (PhPunchPlan plan)
{
  return plan == PH_PUNCH_BE_PREDICTED || plan == PH_PUNCH_MEET;
}

bool
ph_punch_is_told (PhPunchPlan plan)
{
  return plan == PH_PUNCH_PROBE_WINDOW || plan == PH_PUNCH_MEET;
}

/* --- The run ------------------------------------------------------------------------------------ */

void
ph_punch_run_start (PhPunchRun *self, PhTime now, PhPunchPlan plan, bool first, uint16_t port,
                    int step, const PhRandom *random)
{
  static const unsigned lengths[] = {
      [PH_PUNCH_PROBE_RANDOM] = PH_PUNCH_PROBES_MAX,
      [PH_PUNCH_OPEN_MANY] = PH_PUNCH_SOCKETS_MAX,
      [PH_PUNCH_PROBE_WINDOW] = WINDOW_ROUNDS * PH_PUNCH_WINDOW,
      [PH_PUNCH_BE_PREDICTED] = 1,
      [PH_PUNCH_MEET] = MEET_ROUNDS * MEET_LEN,
  };

  *self = (PhPunchRun){
      .plan = plan,
      .first = first,
      .port = port,
      .step = step,
      .n = lengths[plan],
      .next_at = now,
      .pause = MEET_PAUSE,
  };
  self->offset = (uint32_t)ph_random_below (random, PORTS);
}

bool
ph_punch_one_sequence (const PhPunchNat *mine, const PhAddr *my_next, const PhPunchNat *theirs,
                       const PhAddr *their_next)
{
  return mine->step == theirs->step && ph_addr_equal_ip (my_next, their_next)
         && ABS (my_next->port - their_next->port) <= MEET_LEN * ABS (mine->step);
}

void
ph_punch_run_take_turns (PhPunchRun *self, const PhPunchNat *mine)
{
  g_assert (self->plan == PH_PUNCH_MEET);
  g_assert (self->sent == 0);
  if (!self->first) {
    self->next_at = ph_time_add (self->next_at, MEET_TURN);
  } else if (!mine->one_port) {
    self->shift = MEET_LEN - MEET_LOST_MAX;
    self->pause = MEET_TURN + MEET_PAUSE;
  }
}

/* Where the i-th packet of two that meet goes, in steps. In its last round the first side goes to the ports
 * that its giant steps have left out, and the second one to those that the first one takes for that. */
static unsigned
meet_steps (const PhPunchRun *self, unsigned i)
{
  const bool last = i / MEET_LEN == MEET_ROUNDS - 1;

  if (self->first)
    return self->shift + 2 * (i % MEET_LEN) + (last ? 1 : 0);
  return i % MEET_LEN + (last ? MEET_LEN : 0);
}

/* So many of the peer's steps on; NATs start over where ports end. */
static uint16_t
expected_port (const PhPunchRun *self, unsigned steps)
{
  const int64_t port = (int64_t)self->port - PORT_FIRST + (int64_t)self->step * steps;

  return (uint16_t)(PORT_FIRST + (port % PORTS + PORTS) % PORTS);
}

bool
ph_punch_run_poll (PhPunchRun *self, PhTime now, PhPunchPacket *ret_packet)
{
  const unsigned i = self->sent;
  PhPunchPacket packet = {.port = self->port};

  if (i >= self->n || now < self->next_at)
    return false;
  switch (self->plan) {
  case PH_PUNCH_PROBE_RANDOM:
    packet.port = (uint16_t)(PORT_FIRST + ((uint64_t)PORT_STRIDE * i + self->offset) % PORTS);
    break;
  case PH_PUNCH_OPEN_MANY:
    packet.socket = i;
    break;
  case PH_PUNCH_PROBE_WINDOW:
    packet.port = expected_port (self, i % PH_PUNCH_WINDOW);
    break;
  case PH_PUNCH_MEET:
    packet.port = expected_port (self, meet_steps (self, i));
    break;
  case PH_PUNCH_BE_PREDICTED:
  case PH_PUNCH_NONE:
    break;
  }
  self->sent++;
  /* After a pause the pace goes on, it does not catch up. */
  self->next_at = ph_time_add (now, PH_PUNCH_INTERVAL);
  if (self->plan == PH_PUNCH_MEET && self->sent == MEET_LEN)
    self->next_at = ph_time_add (now, self->pause);
  *ret_packet = packet;
  return true;
}

bool
ph_punch_run_takes_ports (const PhPunchRun *self, PhTime now)
{
  return self->plan == PH_PUNCH_MEET
         && (self->sent < MEET_LEN
             || (self->sent == MEET_LEN && ph_time_add (now, MEET_PAUSE / 2) < self->next_at));
}

PhTime
ph_punch_run_next_timeout (const PhPunchRun *self)
{
  return self->sent < self->n ? self->next_at : PH_NEVER;
}
