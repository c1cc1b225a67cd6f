/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/io/ph-nat64-address.h"

#include "net/io/ph-sockaddr.h"

/* A GNetworkAddress, since GIO's TLS takes the identity to be checked from that type. */
#define PH_TYPE_NAT64_ADDRESS (ph_nat64_address_get_type ())
G_DECLARE_FINAL_TYPE (PhNat64Address, ph_nat64_address, PH, NAT64_ADDRESS, GNetworkAddress)

struct _PhNat64Address {
  GNetworkAddress parent;
  PhAddr reached_at;
};

static GSocketAddressEnumerator *
enumerate (GSocketConnectable *connectable)
{
  const PhNat64Address *self = PH_NAT64_ADDRESS (connectable);
  PhSockaddr name;
  const socklen_t len = ph_sockaddr_from_addr (&self->reached_at, &name);
  g_autoptr (GSocketAddress) address = g_socket_address_new_from_native (&name, len);

  return g_socket_connectable_enumerate (G_SOCKET_CONNECTABLE (address));
}

/* The proxy's enumerator stays the parent's: it asks us where there is no proxy. */
static void
connectable_init (GSocketConnectableIface *iface)
{
  iface->enumerate = enumerate;
}

G_DEFINE_FINAL_TYPE_WITH_CODE (PhNat64Address, ph_nat64_address, G_TYPE_NETWORK_ADDRESS,
                               G_IMPLEMENT_INTERFACE (G_TYPE_SOCKET_CONNECTABLE, connectable_init))

static void
ph_nat64_address_class_init (PhNat64AddressClass *klass)
{
}

static void
ph_nat64_address_init (PhNat64Address *self)
{
}

GSocketConnectable *
ph_nat64_address_new (const PhNat64Prefix *prefix, const PhAddr *ipv4)
{
  PhNat64Address *self;
  PhAddr reached_at;
  char host[PH_ADDR_STRING_MAX];

  if (!ph_nat64_synthesise (prefix, ipv4, &reached_at))
    return NULL;
  self = g_object_new (PH_TYPE_NAT64_ADDRESS, "hostname", ph_addr_format_ip (ipv4, host), "port",
                       (guint)ipv4->port, NULL);
  self->reached_at = reached_at;
  return G_SOCKET_CONNECTABLE (self);
}
