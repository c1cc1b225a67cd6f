/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "tests/sim/ph-sim-oracle.h"

typedef struct {
  PhSimDependence mapping;
  PhSimDependence filtering;
  bool blocked;
  bool unknown;
} Behaviour;

static Behaviour
behaviour_of (const PhSimNatConfig *config)
{
  if (config == NULL)
    return (Behaviour){PH_SIM_EI, PH_SIM_EI, false, false};
  return (Behaviour){
      .mapping = config->no_translation ? PH_SIM_EI : config->mapping,
      .filtering = config->filtering,
      .blocked = config->udp_blocked,
      /* Whether a stranger comes first, which address of a pool is given: luck. */
      .unknown = config->poisonable || (config->pool > 1 && config->pool_arbitrary)
                 || config->table_max > 0,
  };
}

static Behaviour
behaviour_of_side (const PhSimSide *side)
{
  const Behaviour own = behaviour_of (side->own);
  const Behaviour carrier = behaviour_of (side->carrier);
  Behaviour both = {
      .mapping = MAX (own.mapping, carrier.mapping),
      .filtering = MAX (own.filtering, carrier.filtering),
      .blocked = own.blocked || carrier.blocked,
      .unknown = own.unknown || carrier.unknown,
  };

  /* The inner box keeps one list of permissions for the outer one's many mappings: wider than one
   * box with both properties, narrower than none. */
  if (carrier.mapping != PH_SIM_EI && own.filtering > carrier.filtering)
    both.unknown = true;
  return both;
}

static PhSimDirect
judge (const PhSimSide *left, const PhSimSide *right, PhSimNearness nearness, bool tcp)
{
  const Behaviour a = behaviour_of_side (left);
  const Behaviour b = behaviour_of_side (right);

  if (nearness == PH_SIM_SAME_LAN)
    return PH_SIM_DIRECT_YES;
  if (!tcp && (a.blocked || b.blocked))
    return PH_SIM_DIRECT_NO;
  if (nearness == PH_SIM_SAME_CARRIER && !left->carrier->hairpin)
    return PH_SIM_DIRECT_NO;
  if (a.unknown || b.unknown)
    return PH_SIM_DIRECT_UNKNOWN;

  bool direct;

  if (a.mapping == PH_SIM_EI && b.mapping == PH_SIM_EI)
    direct = true;
  else if (a.mapping == PH_SIM_EI)
    direct = a.filtering != PH_SIM_APD;
  else if (b.mapping == PH_SIM_EI)
    direct = b.filtering != PH_SIM_APD;
  else if (tcp)
    direct = false;
  else
    direct = (a.filtering == PH_SIM_EI || b.filtering == PH_SIM_EI) && a.filtering != PH_SIM_APD
             && b.filtering != PH_SIM_APD && !(a.mapping == PH_SIM_APD && b.mapping == PH_SIM_APD);
  return direct ? PH_SIM_DIRECT_YES : PH_SIM_DIRECT_NO;
}

PhSimDirect
ph_sim_oracle (const PhSimSide *left, const PhSimSide *right, PhSimNearness nearness)
{
  return judge (left, right, nearness, false);
}

PhSimDirect
ph_sim_oracle_tcp (const PhSimSide *left, const PhSimSide *right, PhSimNearness nearness)
{
  return judge (left, right, nearness, true);
}

/* --- Guessing ports ----------------------------------------------------------------------------- */

bool
ph_sim_side_as_one (const PhSimSide *side, PhSimNatConfig *ret_box)
{
  const Behaviour both = behaviour_of_side (side);
  const PhSimNatConfig *ports = side->carrier != NULL ? side->carrier : side->own;

  if (ports == NULL)
    return false;
  /* Every mapping of the inner box is an inside port of its own to the outer one. */
  if (side->own != NULL && ports->mapping == PH_SIM_EI && ports->ports == PH_SIM_PORT_PRESERVE)
    ports = side->own;
  *ret_box = *ports;
  ret_box->mapping = both.mapping;
  ret_box->filtering = both.filtering;
  return true;
}

static bool
is_foreseen (const PhSimNatConfig *box)
{
  return box->ports == PH_SIM_PORT_SEQUENTIAL || box->ports == PH_SIM_PORT_CHUNK;
}

PhSimGuess
ph_sim_oracle_guess (const PhSimSide *left, const PhSimSide *right, PhSimNearness nearness)
{
  const bool shared = nearness == PH_SIM_SAME_CARRIER;
  PhSimNatConfig a, b;

  /* Without a way between them there is nothing to guess. */
  if (ph_sim_oracle (left, right, nearness) != PH_SIM_DIRECT_NO
      || (shared && !left->carrier->hairpin) || !ph_sim_side_as_one (left, &a)
      || !ph_sim_side_as_one (right, &b) || a.udp_blocked || b.udp_blocked)
    return PH_SIM_GUESS_NONE;

  const bool conflict = shared && left->carrier->ports == PH_SIM_PORT_PRESERVE;
  const bool one_sequence = shared && left->carrier->ports == PH_SIM_PORT_SEQUENTIAL;
  const bool wide = a.filtering != PH_SIM_APD || b.filtering != PH_SIM_APD;

  if (a.mapping != PH_SIM_EI && b.mapping != PH_SIM_EI) {
    if (!is_foreseen (&a) || !is_foreseen (&b))
      return PH_SIM_GUESS_NONE;
    return conflict || one_sequence || wide ? PH_SIM_GUESS_WIDE : PH_SIM_GUESS_MEET;
  }
  if (!is_foreseen (a.mapping != PH_SIM_EI ? &a : &b))
    return PH_SIM_GUESS_BIRTHDAY;
  return conflict ? PH_SIM_GUESS_WIDE : PH_SIM_GUESS_WINDOW;
}
