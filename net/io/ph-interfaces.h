/* SPDX-License-Identifier: GPL-3.0-or-later */
/* This computer's addresses, and when they change. */

#pragma once

#include "net/base/ph-addr.h"

#include <gio/gio.h>

#define PH_INTERFACE_NAME_MAX 16

/* One address of an interface that is up. */
typedef struct {
  PhAddr addr; /* port 0 */
  uint8_t prefix_len;
  uint32_t index; /* of the interface */
  char name[PH_INTERFACE_NAME_MAX];
  bool loopback;
  bool point_to_point; /* VPN tunnels, mobile modems */
  bool temporary; /* an IPv6 privacy address: preferred for going out */
} PhInterface;

typedef enum {
  PH_INTERFACES_DEFAULT = 0,
  PH_INTERFACES_LOOPBACK = 1 << 0, /* loopback addresses too */
  PH_INTERFACES_LINK_LOCAL =
      1 << 1, /* fe80::/10 too: useless across networks, and every interface has one */
} PhInterfacesFlags;

/* Array of PhInterface, in a stable order (interface, family, address), so that two lists can be
 * compared. IPv6 addresses that are not to be used (tentative, deprecated, duplicate) are left out.
 * Empty if the system does not tell. */
GArray *ph_interfaces_list (PhInterfacesFlags flags);

typedef struct _PhInterfaceMonitor PhInterfaceMonitor;

/* Something about links, addresses or routes changed: list them again and compare. Changes that come
 * together are told once. */
typedef void (*PhInterfacesChangedFunc) (void *user);

PhInterfaceMonitor *
ph_interface_monitor_new (GMainContext *context, PhInterfacesChangedFunc changed, void *user,
                          GError **error);
/* May be called in the callback. */
void ph_interface_monitor_free (PhInterfaceMonitor *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhInterfaceMonitor, ph_interface_monitor_free)
