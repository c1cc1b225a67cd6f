/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/io/ph-interfaces.h"

#include "net/io/ph-sockaddr.h"

#include <ifaddrs.h>
#include <linux/if_addr.h>
#include <net/if.h>
#include <stdio.h>

G_STATIC_ASSERT (PH_INTERFACE_NAME_MAX >= IF_NAMESIZE);

/* getifaddrs() has no flags of single addresses; this file of the kernel's has, for IPv6. */
typedef struct {
  uint8_t ip[16];
  uint32_t index;
  uint32_t flags;
} Ipv6Flags;

static GArray *
read_ipv6_flags (void)
{
  GArray *list = g_array_new (FALSE, FALSE, sizeof (Ipv6Flags));
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;

  if (!g_file_get_contents ("/proc/net/if_inet6", &text, NULL, NULL))
    return list;
  lines = g_strsplit (text, "\n", -1);
  for (size_t i = 0; lines[i] != NULL; i++) {
    Ipv6Flags entry;
    char hex[33];
    unsigned index, prefix, scope, flags;

    if (sscanf (lines[i], "%32[0-9a-f] %x %x %x %x", hex, &index, &prefix, &scope, &flags) != 5
        || strlen (hex) != 32)
      continue;
    for (size_t b = 0; b < 16; b++)
      entry.ip[b] =
          (uint8_t)(g_ascii_xdigit_value (hex[2 * b]) << 4 | g_ascii_xdigit_value (hex[2 * b + 1]));
    entry.index = index;
    entry.flags = flags;
    g_array_append_val (list, entry);
  }
  return list;
}

static uint32_t
find_ipv6_flags (const GArray *list, const PhInterface *iface)
{
  for (guint i = 0; i < list->len; i++) {
    const Ipv6Flags *entry = &g_array_index (list, Ipv6Flags, i);

    if (entry->index == iface->index && memcmp (entry->ip, iface->addr.ip, 16) == 0)
      return entry->flags;
  }
  return 0;
}

static uint8_t
prefix_length (const struct sockaddr *netmask)
{
  PhAddr mask = {0};
  PhSlice ip;
  uint8_t n = 0;

  if (netmask != NULL)
    mask = ph_sockaddr_to_addr (netmask);
  ip = ph_addr_ip (&mask);
  for (size_t i = 0; i < ip.len * 8 && (ip.data[i / 8] & (0x80 >> i % 8)) != 0; i++)
    n++;
  return n;
}

static bool
is_ipv6_link_local (const PhInterface *iface)
{
  return iface->addr.family == PH_FAMILY_IPV6
         && ph_addr_scope (&iface->addr) == PH_SCOPE_LINK_LOCAL;
}

static bool
is_wanted (const PhInterface *iface, uint32_t ipv6_flags, PhInterfacesFlags flags)
{
  PhScope scope = ph_addr_scope (&iface->addr);

  if (scope == PH_SCOPE_UNUSABLE)
    return false;
  if ((iface->loopback || scope == PH_SCOPE_LOOPBACK) && (flags & PH_INTERFACES_LOOPBACK) == 0)
    return false;
  if (is_ipv6_link_local (iface)
      && ((flags & PH_INTERFACES_LINK_LOCAL) == 0 || iface->point_to_point))
    return false;
  return (ipv6_flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_DEPRECATED)) == 0;
}

static int
compare (const void *a, const void *b)
{
  const PhInterface *x = a;
  const PhInterface *y = b;

  if (x->index != y->index)
    return x->index < y->index ? -1 : 1;
  if (x->addr.family != y->addr.family)
    return x->addr.family < y->addr.family ? -1 : 1;
  return memcmp (x->addr.ip, y->addr.ip, sizeof x->addr.ip);
}

static bool
has_other_address (const GArray *list, uint32_t index)
{
  for (guint i = 0; i < list->len; i++) {
    const PhInterface *iface = &g_array_index (list, PhInterface, i);

    if (iface->index == index && !is_ipv6_link_local (iface))
      return true;
  }
  return false;
}

static void
drop_surplus_link_local (GArray *list)
{
  unsigned n = 0;

  for (guint i = 0; i < list->len;) {
    const PhInterface *iface = &g_array_index (list, PhInterface, i);

    if (is_ipv6_link_local (iface)
        && (has_other_address (list, iface->index) || ++n > PH_INTERFACES_LINK_LOCAL_MAX))
      g_array_remove_index (list, i);
    else
      i++;
  }
}

GArray *
ph_interfaces_list (PhInterfacesFlags flags)
{
  GArray *list = g_array_new (FALSE, TRUE, sizeof (PhInterface));
  g_autoptr (GArray) ipv6_flags = NULL;
  struct ifaddrs *all = NULL;

  if (getifaddrs (&all) != 0)
    return list;
  ipv6_flags = read_ipv6_flags ();
  for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
    PhInterface iface = {0};

    if (i->ifa_addr == NULL || (i->ifa_flags & (IFF_UP | IFF_RUNNING)) != (IFF_UP | IFF_RUNNING))
      continue;
    iface.addr = ph_sockaddr_to_addr (i->ifa_addr);
    if (!ph_addr_is_set (&iface.addr))
      continue;
    iface.prefix_len = prefix_length (i->ifa_netmask);
    iface.index = if_nametoindex (i->ifa_name);
    iface.loopback = (i->ifa_flags & IFF_LOOPBACK) != 0;
    iface.point_to_point = (i->ifa_flags & IFF_POINTOPOINT) != 0;
    g_strlcpy (iface.name, i->ifa_name, sizeof iface.name);

    uint32_t addr_flags = find_ipv6_flags (ipv6_flags, &iface);

    iface.temporary = (addr_flags & IFA_F_TEMPORARY) != 0;
    if (is_wanted (&iface, addr_flags, flags))
      g_array_append_val (list, iface);
  }
  freeifaddrs (all);
  g_array_sort (list, compare);
  drop_surplus_link_local (list);
  return list;
}
