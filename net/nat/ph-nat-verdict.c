/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/nat/ph-nat-verdict.h"

#include <glib.h>

/* NATs step by 1 or 2, some by the size of a small block. */
#define STEP_MAX 64
/* How many ports others may use up between two samples. */
#define STEPS_BETWEEN_MAX 16
/* With so many differences one may be anything. */
#define DIFFERENCES_TO_EXCUSE_ONE 5

const char *
ph_nat_type_name (PhNatType type)
{
  static const char *const names[] = {
      [PH_NAT_TYPE_UNKNOWN] = "unknown",
      [PH_NAT_OPEN] = "open",
      [PH_NAT_FIREWALLED] = "firewalled",
      [PH_NAT_FULL_CONE] = "full-cone",
      [PH_NAT_ADDRESS_RESTRICTED] = "address-restricted",
      [PH_NAT_PORT_RESTRICTED] = "port-restricted",
      [PH_NAT_SYMMETRIC] = "symmetric",
      [PH_NAT_UDP_BLOCKED] = "udp-blocked",
  };

  g_assert ((size_t)type < G_N_ELEMENTS (names));
  return names[type];
}

const char *
ph_nat_dependence_name (PhNatDependence dependence)
{
  switch (dependence) {
  case PH_NAT_ENDPOINT_INDEPENDENT:
    return "endpoint-independent";
  case PH_NAT_ADDRESS_DEPENDENT:
    return "address-dependent";
  case PH_NAT_ADDRESS_AND_PORT_DEPENDENT:
    return "address-and-port-dependent";
  case PH_NAT_DEPENDENCE_UNKNOWN:
  case PH_NAT_ENDPOINT_DEPENDENT:
    break;
  }
  return "unknown";
}

PhNatType
ph_nat_classify (PhNatAnswer translated, PhNatDependence mapping, PhNatDependence filtering)
{
  if (translated == PH_NAT_UNTESTED)
    return PH_NAT_TYPE_UNKNOWN;
  if (translated == PH_NAT_YES && mapping == PH_NAT_DEPENDENCE_UNKNOWN)
    return PH_NAT_TYPE_UNKNOWN;
  if (translated == PH_NAT_YES && mapping != PH_NAT_ENDPOINT_INDEPENDENT)
    return PH_NAT_SYMMETRIC;

  switch (filtering) {
  case PH_NAT_ENDPOINT_INDEPENDENT:
    return translated == PH_NAT_YES ? PH_NAT_FULL_CONE : PH_NAT_OPEN;
  case PH_NAT_ADDRESS_DEPENDENT:
    return translated == PH_NAT_YES ? PH_NAT_ADDRESS_RESTRICTED : PH_NAT_FIREWALLED;
  case PH_NAT_ADDRESS_AND_PORT_DEPENDENT:
    return translated == PH_NAT_YES ? PH_NAT_PORT_RESTRICTED : PH_NAT_FIREWALLED;
  case PH_NAT_DEPENDENCE_UNKNOWN:
  case PH_NAT_ENDPOINT_DEPENDENT:
    break;
  }
  return PH_NAT_TYPE_UNKNOWN;
}

static bool
is_steps (int difference, int step)
{
  return difference % step == 0 && difference / step >= 1 && difference / step <= STEPS_BETWEEN_MAX;
}

PhNatPorts
ph_nat_judge_ports (const uint16_t *ports, size_t n, int *ret_step)
{
  const size_t excused = n > DIFFERENCES_TO_EXCUSE_ONE ? 1 : 0;

  if (n < PH_NAT_STEP_SAMPLES)
    return PH_NAT_PORTS_UNKNOWN;

  /* The largest step that explains the differences: 2, 4, 2 are steps of 2, not of 1. */
  for (int size = STEP_MAX; size >= 1; size--) {
    for (int sign = 1; sign >= -1; sign -= 2) {
      size_t others = 0;

      for (size_t i = 1; i < n; i++)
        others += !is_steps ((int)ports[i] - (int)ports[i - 1], sign * size);
      if (others <= excused) {
        *ret_step = sign * size;
        return PH_NAT_PORTS_SEQUENTIAL;
      }
    }
  }
  return PH_NAT_PORTS_RANDOM;
}
