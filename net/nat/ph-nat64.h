/* SPDX-License-Identifier: GPL-3.0-or-later */
/* IPv4 from a network that has only IPv6: a translator (NAT64, RFC 6146) that stands for the IPv4 internet
 * under one or several IPv6 prefixes.
 *
 * The prefix is learnt from what the network's DNS64 says of "ipv4only.arpa" (RFC 7050), and addresses are made and
 * read by RFC 6052. Left out of RFC 7050: the validation by DNSSEC (§3.1), since a resolver that lies has no more
 * than it has by lying about names; and the TTL, which the system's resolver does not tell.
 *
 * What is above the driver never sees a made address. A socket of a *way*, as the driver makes it, is bound to
 * an IPv6 address, says that it has the IPv4 address `own`, and speaks with IPv4 addresses: 464XLAT (RFC 6877)
 * within the program. So a server-reflexive address is one of IPv4 like its base, pairs are of one family, and a pair
 * names the address that the peer has named. `own` is of the range that RFC 7335 sets aside for this
 * (PH_SCOPE_CONTINUITY); it is told to nobody. */

#pragma once

#include "net/base/ph-addr.h"

/* One for each translator of a network; a second one is rare. */
#define PH_NAT64_PREFIXES_MAX 4
/* What has no address but 192.0.0.170 and 192.0.0.171, which nobody answers at (RFC 7050 §8.2). */
#define PH_NAT64_NAME "ipv4only.arpa."

typedef struct {
  PhAddr net; /* IPv6, no port, zero behind the prefix */
  uint8_t len; /* bits: 32, 40, 48, 56, 64 or 96; 0: none */
} PhNat64Prefix;

/* See above. */
typedef struct {
  PhNat64Prefix prefix;
  PhAddr own; /* IPv4, no port */
  PhAddr base; /* IPv6, no port: what packets leave from */
} PhNat64Way;

/* RFC 7050 §3: the prefixes in the answers for PH_NAT64_NAME, in their order and each once, into `ret` with room
 * for `max`; returns how many. An answer counts if it is a unicast address that has one of the two
 * well-known addresses in one of the places of RFC 6052 and in one only. */
size_t ph_nat64_learn (const PhAddr *answers, size_t n, PhNat64Prefix *ret, size_t max);

/* The IPv6 address under the prefix for an IPv4 one, with its port. False (and `ret_ipv6` untouched) for what a
 * translator does not translate: what is no unicast address of a network, and, under the well-known prefix, what is
 * not of the internet (RFC 6052 §3.1). */
bool ph_nat64_synthesise (const PhNat64Prefix *prefix, const PhAddr *ipv4, PhAddr *ret_ipv6);
/* The way back; false for whatever ph_nat64_synthesise() would not have made. */
bool ph_nat64_extract (const PhNat64Prefix *prefix, const PhAddr *ipv6, PhAddr *ret_ipv4);

/* The IPv4 address of the way number `i` of a computer, i < PH_NAT64_PREFIXES_MAX. */
PhAddr ph_nat64_own (unsigned i);

bool ph_nat64_prefix_equal (const PhNat64Prefix *a, const PhNat64Prefix *b);
bool ph_nat64_way_equal (const PhNat64Way *a, const PhNat64Way *b);
/* "64:ff9b::/96" into `out`, which is returned. */
const char *ph_nat64_prefix_format (const PhNat64Prefix *prefix, char out[PH_ADDR_STRING_MAX]);
