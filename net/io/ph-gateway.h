/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The router that a local IPv4 address goes out by. */

#pragma once

#include "net/base/ph-addr.h"

/* The next hop of the default route over the interface that has the address; port 0. False where there is
 * none, or the system does not tell. */
bool ph_gateway_for (const PhAddr *local, PhAddr *ret_gateway);
