/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A transport address: an IPv4 or IPv6 address and a port. A plain value without sockaddr, so that
 * cores and the simulator share it. An IPv4-mapped IPv6 address is always held as IPv4. */

#pragma once

#include "net/base/ph-bytes.h"

typedef enum { PH_FAMILY_NONE = 0, PH_FAMILY_IPV4 = 4, PH_FAMILY_IPV6 = 6 } PhFamily;

typedef struct {
  uint8_t family; /* PhFamily */
  uint16_t port;
  uint32_t scope; /* interface index of an IPv6 link-local address, else 0 */
  uint8_t ip[16]; /* network order; IPv4 uses the first four bytes, the rest is zero */
} PhAddr;

/* What an address is good for, RFC 6890, RFC 6598 and RFC 7335. */
typedef enum {
  PH_SCOPE_UNUSABLE, /* unspecified, multicast, broadcast, reserved */
  PH_SCOPE_LOOPBACK,
  PH_SCOPE_LINK_LOCAL, /* 169.254/16, fe80::/10 */
  PH_SCOPE_CONTINUITY, /* 192.0.0.0/29: IPv4 of one computer alone, carried over IPv6 (ph-nat64.h) */
  PH_SCOPE_PRIVATE, /* RFC 1918, fc00::/7 */
  PH_SCOPE_SHARED, /* 100.64/10: behind a carrier NAT */
  PH_SCOPE_GLOBAL,
} PhScope;

/* Room for "[ipv6%scope]:port" and the NUL. */
#define PH_ADDR_STRING_MAX 72

PhAddr ph_addr_ipv4 (uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port);
/* From 4 or 16 bytes in network order; any other length gives PH_FAMILY_NONE. */
PhAddr ph_addr_from_bytes (PhSlice ip, uint16_t port);

/* "192.0.2.1:80", "[2001:db8::1]:80" or, with `port_default`, the address alone. False (and
 * `ret_addr` untouched) for anything else, names included. */
bool ph_addr_parse (const char *text, uint16_t port_default, PhAddr *ret_addr);
/* Formats into `out` and returns it. */
const char *ph_addr_format (const PhAddr *addr, char out[PH_ADDR_STRING_MAX]);
/* The same without the port. */
const char *ph_addr_format_ip (const PhAddr *addr, char out[PH_ADDR_STRING_MAX]);

/* The address bytes: 4 or 16, 0 for PH_FAMILY_NONE. */
PhSlice ph_addr_ip (const PhAddr *addr);

static inline bool
ph_addr_is_set (const PhAddr *addr)
{
  return addr->family != PH_FAMILY_NONE;
}

/* Family, address, scope and port. */
bool ph_addr_equal (const PhAddr *a, const PhAddr *b);
/* The same but the port. */
bool ph_addr_equal_ip (const PhAddr *a, const PhAddr *b);
/* For GHashTable; keys are `PhAddr *`. */
unsigned ph_addr_hash (const void *addr);
int ph_addr_hash_equal (const void *a, const void *b);

PhScope ph_addr_scope (const PhAddr *addr);
