/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/io/ph-gateway.h"

#include "net/io/ph-interfaces.h"

#include <net/route.h>
#include <stdio.h>

/* The name of the interface with the address, "" for none. */
static void
interface_of (const PhAddr *local, char ret_name[PH_INTERFACE_NAME_MAX])
{
  g_autoptr (GArray) list = ph_interfaces_list (PH_INTERFACES_DEFAULT);

  ret_name[0] = '\0';
  for (guint i = 0; i < list->len; i++) {
    const PhInterface *iface = &g_array_index (list, PhInterface, i);

    if (ph_addr_equal_ip (&iface->addr, local))
      g_strlcpy (ret_name, iface->name, PH_INTERFACE_NAME_MAX);
  }
}

bool
ph_gateway_for (const PhAddr *local, PhAddr *ret_gateway)
{
  char wanted[PH_INTERFACE_NAME_MAX];
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;
  unsigned best = UINT_MAX;

  interface_of (local, wanted);
  if (wanted[0] == '\0' || !g_file_get_contents ("/proc/net/route", &text, NULL, NULL))
    return false;
  lines = g_strsplit (text, "\n", -1);
  for (size_t i = 0; lines[i] != NULL; i++) {
    char name[PH_INTERFACE_NAME_MAX];
    unsigned destination, gateway, flags, metric, mask;

    /* Interface, destination, gateway, flags, two that are always 0, metric, mask. */
    if (sscanf (lines[i], "%15s %x %x %x %*d %*d %u %x", name, &destination, &gateway, &flags,
                &metric, &mask)
        != 6)
      continue;
    if (!g_str_equal (name, wanted) || destination != 0 || mask != 0 || (flags & RTF_GATEWAY) == 0
        || metric >= best)
      continue;
    best = metric;
    /* The bytes are in network order; what is printed is a number of this machine's. */
    *ret_gateway = ph_addr_from_bytes (ph_slice (&gateway, 4), 0);
  }
  return best != UINT_MAX;
}
