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
  /* fe80::/10 too, of interfaces that have nothing else: two computers on one cable, where nobody hands out
   * addresses. Useless across networks, and every interface has one: not of tunnels, and
   * PH_INTERFACES_LINK_LOCAL_MAX at most. */
  PH_INTERFACES_LINK_LOCAL = 1 << 1,
} PhInterfacesFlags;

/* Computers have few sockets without a router behind them, but perhaps a bridge with a port for each container. */
#define PH_INTERFACES_LINK_LOCAL_MAX 4

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
