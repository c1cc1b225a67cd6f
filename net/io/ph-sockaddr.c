/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/io/ph-sockaddr.h"

socklen_t
ph_sockaddr_from_addr (const PhAddr *addr, PhSockaddr *out)
{
  memset (out, 0, sizeof *out);
  switch (addr->family) {
  case PH_FAMILY_IPV4:
    out->in.sin_family = AF_INET;
    out->in.sin_port = htons (addr->port);
    memcpy (&out->in.sin_addr, addr->ip, 4);
    return sizeof out->in;
  case PH_FAMILY_IPV6:
    out->in6.sin6_family = AF_INET6;
    out->in6.sin6_port = htons (addr->port);
    memcpy (&out->in6.sin6_addr, addr->ip, 16);
    out->in6.sin6_scope_id = addr->scope;
    return sizeof out->in6;
  default:
    return 0;
  }
}

PhAddr
ph_sockaddr_to_addr (const struct sockaddr *sa)
{
  /* Copied, since callers hold a plain sockaddr that need not be aligned for the wider types. */
  if (sa->sa_family == AF_INET) {
    struct sockaddr_in in;

    memcpy (&in, sa, sizeof in);
    return ph_addr_from_bytes (ph_slice (&in.sin_addr, 4), ntohs (in.sin_port));
  }
  if (sa->sa_family == AF_INET6) {
    struct sockaddr_in6 in6;
    PhAddr addr;

    memcpy (&in6, sa, sizeof in6);
    addr = ph_addr_from_bytes (ph_slice (&in6.sin6_addr, 16), ntohs (in6.sin6_port));
    if (ph_addr_scope (&addr) == PH_SCOPE_LINK_LOCAL && addr.family == PH_FAMILY_IPV6)
      addr.scope = in6.sin6_scope_id;
    return addr;
  }
  return (PhAddr){0};
}
