/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between PhAddr and the kernel's socket addresses; for the drivers in net/io only. */

#pragma once

#include "net/base/ph-addr.h"

#include <netinet/in.h>
#include <sys/socket.h>

typedef union {
  struct sockaddr sa;
  struct sockaddr_in in;
  struct sockaddr_in6 in6;
} PhSockaddr;

/* Fills `out` and returns its length; 0 for an address that is not set. */
socklen_t ph_sockaddr_from_addr (const PhAddr *addr, PhSockaddr *out);
/* PH_FAMILY_NONE for anything but IPv4 and IPv6. A scope is kept for link-local addresses only. */
PhAddr ph_sockaddr_to_addr (const struct sockaddr *sa);
