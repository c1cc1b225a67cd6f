/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/io/ph-outlet.h"

#include "net/io/ph-interfaces.h"
#include "net/io/ph-sockaddr.h"

#include <net/route.h>
#include <stdio.h>
#include <unistd.h>

/* On the internet, and of nobody (RFC 5737, RFC 3849). Nothing is sent there. */
#define FAR_IPV4 "192.0.2.1:9"
#define FAR_IPV6 "[2001:db8::1]:9"

/* Of a line of /proc/net/route: interface, destination, gateway, flags, two that are always 0, metric, mask. */
static bool
is_default_ipv4 (const char *line, char name[PH_INTERFACE_NAME_MAX])
{
  unsigned destination, flags, mask;

  return sscanf (line, "%15s %x %*x %x %*d %*d %*u %x", name, &destination, &flags, &mask) == 4
         && destination == 0 && mask == 0 && (flags & RTF_REJECT) == 0;
}

/* Of a line of /proc/net/ipv6_route: destination, its length, source, its length, gateway, metric, two counters,
 * flags, interface. */
static bool
is_default_ipv6 (const char *line, char name[PH_INTERFACE_NAME_MAX])
{
  unsigned len, flags;

  return sscanf (line, "%*32[0-9a-f] %x %*s %*x %*s %*x %*x %*x %x %15s", &len, &flags, name) == 3
         && len == 0 && (flags & RTF_REJECT) == 0;
}

static bool
has_default_route (const PhInterface *iface)
{
  const bool ipv4 = iface->addr.family == PH_FAMILY_IPV4;
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;

  if (!g_file_get_contents (ipv4 ? "/proc/net/route" : "/proc/net/ipv6_route", &text, NULL, NULL))
    return false;
  lines = g_strsplit (text, "\n", -1);
  for (size_t i = 0; lines[i] != NULL; i++) {
    char name[PH_INTERFACE_NAME_MAX];

    if ((ipv4 ? is_default_ipv4 (lines[i], name) : is_default_ipv6 (lines[i], name))
        && g_str_equal (name, iface->name))
      return true;
  }
  return false;
}

static const PhInterface *
find (const GArray *list, const PhAddr *addr)
{
  for (guint i = 0; i < list->len; i++) {
    const PhInterface *iface = &g_array_index (list, PhInterface, i);

    if (ph_addr_equal_ip (&iface->addr, addr))
      return iface;
  }
  return NULL;
}

/* The interface that the system takes for the internet by itself, tunnels' rules and all; NULL: none. */
static const PhInterface *
preferred (const GArray *list, PhFamily family)
{
  PhSockaddr name;
  socklen_t len;
  PhAddr far, source = {0};
  int fd;

  if (!ph_addr_parse (family == PH_FAMILY_IPV4 ? FAR_IPV4 : FAR_IPV6, 0, &far))
    g_assert_not_reached ();
  len = ph_sockaddr_from_addr (&far, &name);
  fd = socket (name.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return NULL;
  /* Of a datagram socket this only chooses the source. */
  if (connect (fd, &name.sa, len) == 0) {
    len = sizeof name;
    if (getsockname (fd, &name.sa, &len) == 0)
      source = ph_sockaddr_to_addr (&name.sa);
  }
  close (fd);
  return find (list, &source);
}

uint32_t
ph_outlet_for (const PhAddr *local)
{
  g_autoptr (GArray) list = ph_interfaces_list (PH_INTERFACES_DEFAULT);
  const PhInterface *own = find (list, local);
  const PhInterface *usual;

  if (own == NULL || !has_default_route (own))
    return 0;
  usual = preferred (list, own->addr.family);
  /* What has no such route and gets everything all the same is a tunnel too: two routes for half the internet each,
   * or a rule. */
  if (usual != NULL && usual->index != own->index
      && (usual->point_to_point || !has_default_route (usual)))
    return 0;
  /* The usual one's too: it may have to make way for a better one, and does not move with it. */
  return own->index;
}
