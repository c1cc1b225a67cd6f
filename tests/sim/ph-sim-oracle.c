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
