/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/ice/ph-path-kind.h"

/* Both ends have addresses that only a local network routes, or share an IPv6 /64. Two homes that use
 * the same private range cannot be taken for one network: a check between them does not pass. */
static bool
same_network (const PhAddr *a, const PhAddr *b)
{
  if (a->family != b->family)
    return false;
  if (ph_addr_scope (a) < PH_SCOPE_GLOBAL && ph_addr_scope (b) < PH_SCOPE_GLOBAL)
    return true;
  return a->family == PH_FAMILY_IPV6 && memcmp (a->ip, b->ip, 8) == 0;
}

PhPathKind
ph_path_classify (const PhCandidate *local, const PhCandidate *remote)
{
  if (local->type == PH_CANDIDATE_RELAY || remote->type == PH_CANDIDATE_RELAY)
    return PH_PATH_RELAY;
  if (local->type == PH_CANDIDATE_HOST && remote->type == PH_CANDIDATE_HOST
      && same_network (&local->addr, &remote->addr))
    return PH_PATH_LAN;
  return local->transport == PH_CANDIDATE_UDP ? PH_PATH_UDP : PH_PATH_TCP;
}

const char *
ph_path_kind_name (PhPathKind kind)
{
  switch (kind) {
  case PH_PATH_LAN:
    return "lan";
  case PH_PATH_UDP:
    return "udp";
  case PH_PATH_TCP:
    return "tcp";
  case PH_PATH_RELAY:
    return "relay";
  case PH_PATH_NONE:
  default:
    return "";
  }
}
