/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/nat/ph-nat64.h"

#include <glib.h>

/* Bits 64 to 71 are zero and no part of the IPv4 address, RFC 6052 §2.2. */
#define RESERVED_OCTET 8

static const uint8_t lengths[] = {32, 40, 48, 56, 64, 96};

static const uint8_t well_known_prefix[12] = {0x00, 0x64, 0xff, 0x9b};

/* --- Addresses under a prefix ------------------------------------------------------------------- */

/* Where octet `i` of the IPv4 address stands behind a prefix of `len` bits. */
static size_t
place (uint8_t len, size_t i)
{
  const size_t at = len / 8u + i;

  return len <= 64 && at >= RESERVED_OCTET ? at + 1 : at;
}

static void
read_ipv4 (const PhAddr *ipv6, uint8_t len, uint8_t ret_ip[4])
{
  for (size_t i = 0; i < 4; i++)
    ret_ip[i] = ipv6->ip[place (len, i)];
}

static bool
is_translated (const PhNat64Prefix *prefix, const PhAddr *ipv4)
{
  const bool well_known =
      prefix->len == 96
      && memcmp (prefix->net.ip, well_known_prefix, sizeof well_known_prefix) == 0;

  switch (ph_addr_scope (ipv4)) {
  case PH_SCOPE_GLOBAL:
    return true;
  case PH_SCOPE_PRIVATE:
  case PH_SCOPE_SHARED:
    return !well_known;
  default:
    return false;
  }
}

bool
ph_nat64_synthesise (const PhNat64Prefix *prefix, const PhAddr *ipv4, PhAddr *ret_ipv6)
{
  PhAddr ipv6 = prefix->net;

  g_assert (prefix->len > 0);
  if (ipv4->family != PH_FAMILY_IPV4 || !is_translated (prefix, ipv4))
    return false;
  for (size_t i = 0; i < 4; i++)
    ipv6.ip[place (prefix->len, i)] = ipv4->ip[i];
  ipv6.port = ipv4->port;
  *ret_ipv6 = ipv6;
  return true;
}

bool
ph_nat64_extract (const PhNat64Prefix *prefix, const PhAddr *ipv6, PhAddr *ret_ipv4)
{
  uint8_t ip[4];
  PhAddr ipv4, again;

  if (ipv6->family != PH_FAMILY_IPV6)
    return false;
  read_ipv4 (ipv6, prefix->len, ip);
  ipv4 = ph_addr_ipv4 (ip[0], ip[1], ip[2], ip[3], ipv6->port);
  if (!ph_nat64_synthesise (prefix, &ipv4, &again) || !ph_addr_equal (&again, ipv6))
    return false;
  *ret_ipv4 = ipv4;
  return true;
}

/* --- Learning ----------------------------------------------------------------------------------- */

/* The length of the prefix before the well-known address that ends in `last`; 0: it is not there, or in several
 * places. */
static uint8_t
find_well_known (const PhAddr *answer, uint8_t last)
{
  const uint8_t wanted[4] = {192, 0, 0, last};
  uint8_t found = 0;

  for (size_t i = 0; i < G_N_ELEMENTS (lengths); i++) {
    uint8_t ip[4];

    read_ipv4 (answer, lengths[i], ip);
    if (memcmp (ip, wanted, sizeof wanted) != 0
        || (lengths[i] <= 64 && answer->ip[RESERVED_OCTET] != 0))
      continue;
    if (found != 0)
      return 0;
    found = lengths[i];
  }
  return found;
}

static bool
learn_from (const PhAddr *answer, PhNat64Prefix *ret_prefix)
{
  const PhScope scope = ph_addr_scope (answer);
  uint8_t len;

  if (answer->family != PH_FAMILY_IPV6 || (scope != PH_SCOPE_GLOBAL && scope != PH_SCOPE_PRIVATE))
    return false;
  len = find_well_known (answer, 170);
  if (len == 0)
    len = find_well_known (answer, 171);
  if (len == 0)
    return false;
  *ret_prefix = (PhNat64Prefix){.net = {.family = PH_FAMILY_IPV6}, .len = len};
  memcpy (ret_prefix->net.ip, answer->ip, len / 8u);
  /* "::192.0.0.170" is an IPv4-compatible address, which nothing routes. */
  return ph_addr_scope (&ret_prefix->net) != PH_SCOPE_UNUSABLE;
}

size_t
ph_nat64_learn (const PhAddr *answers, size_t n, PhNat64Prefix *ret, size_t max)
{
  size_t n_ret = 0;

  for (size_t i = 0; i < n && n_ret < max; i++) {
    PhNat64Prefix prefix;
    bool known = false;

    if (!learn_from (&answers[i], &prefix))
      continue;
    for (size_t k = 0; k < n_ret; k++)
      known |= ph_nat64_prefix_equal (&ret[k], &prefix);
    if (!known)
      ret[n_ret++] = prefix;
  }
  return n_ret;
}

/* ------------------------------------------------------------------------------------------------ */

PhAddr
ph_nat64_own (unsigned i)
{
  g_assert (i < PH_NAT64_PREFIXES_MAX);
  return ph_addr_ipv4 (192, 0, 0, (uint8_t)(1 + i), 0);
}

bool
ph_nat64_prefix_equal (const PhNat64Prefix *a, const PhNat64Prefix *b)
{
  return a->len == b->len && ph_addr_equal_ip (&a->net, &b->net);
}

bool
ph_nat64_way_equal (const PhNat64Way *a, const PhNat64Way *b)
{
  return ph_nat64_prefix_equal (&a->prefix, &b->prefix) && ph_addr_equal (&a->own, &b->own)
         && ph_addr_equal (&a->base, &b->base);
}

const char *
ph_nat64_prefix_format (const PhNat64Prefix *prefix, char out[PH_ADDR_STRING_MAX])
{
  char net[PH_ADDR_STRING_MAX];

  ph_addr_format_ip (&prefix->net, net);
  g_snprintf (out, PH_ADDR_STRING_MAX, "%.64s/%u", net, prefix->len);
  return out;
}
