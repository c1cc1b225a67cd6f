/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An IPv4 address in a URL, reached through a NAT64 translator: connections go to the address under the prefix,
 * while the certificate, the HTTP request and a proxy still name the one that was written. */

#pragma once

#include "net/nat/ph-nat64.h"

#include <gio/gio.h>

/* NULL for what the translator does not translate. */
GSocketConnectable *ph_nat64_address_new (const PhNat64Prefix *prefix, const PhAddr *ipv4);
