/* SPDX-License-Identifier: GPL-3.0-or-later */
/* On a network that has only IPv6: which translators there are, and who takes their ways. */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/engine/ph-core-private.h"

static size_t
get_ways (const PhCore *self, const PhNat64Way **ret_ways)
{
  *ret_ways = NULL;
  return self->nat64 != NULL ? ph_nat64_finder_ways (self->nat64, ret_ways) : 0;
}

/* NULL: it is an ordinary address. */
static const PhNat64Way *
way_of (const PhCore *self, const PhAddr *local)
{
  const PhNat64Way *ways;
  const size_t n = get_ways (self, &ways);

  for (size_t i = 0; i < n; i++) {
    if (ph_addr_equal_ip (&ways[i].own, local))
      return &ways[i];
  }
  return NULL;
}

/* --- Finding ------------------------------------------------------------------------------------ */

PhNat64Prefix
ph_core_nat64_prefix (const PhCore *self)
{
  const PhNat64Way *ways;

  return get_ways (self, &ways) > 0 ? ways[0].prefix : (PhNat64Prefix){.len = 0};
}

static void
changed (void *user)
{
  PhCore *self = user;
  const PhNat64Prefix prefix = ph_core_nat64_prefix (self);

  for (guint i = 0; i < self->meetings->len; i++) {
    const PhMeeting *meeting = self->meetings->pdata[i];

    ph_rendezvous_driver_set_nat64 (meeting->driver, &prefix);
  }
  ph_core_network_renew (self, ph_core_now (self));
  ph_core_network_update_servers (self); /* by other addresses than before */
  ph_core_settle (self);
}

void
ph_core_nat64_start (PhCore *self)
{
  self->nat64 = ph_nat64_finder_new (changed, self);
}

void
ph_core_nat64_stop (PhCore *self)
{
  g_clear_pointer (&self->nat64, ph_nat64_finder_free);
}

/* --- Sockets ------------------------------------------------------------------------------------ */

bool
ph_core_nat64_is_current (const PhCore *self, const PhUdp *udp)
{
  const PhNat64Way *way = way_of (self, ph_udp_local (udp));

  return way != NULL && ph_udp_way (udp) != NULL && ph_nat64_way_equal (way, ph_udp_way (udp));
}

size_t
ph_core_nat64_locals (const PhCore *self, PhAddr ret[PH_NAT64_PREFIXES_MAX])
{
  const PhNat64Way *ways;
  const size_t n = get_ways (self, &ways);

  for (size_t i = 0; i < n; i++)
    ret[i] = ways[i].own;
  return n;
}

PhUdp *
ph_core_udp_new (PhCore *self, const PhAddr *local, const PhUdpCallbacks *callbacks, void *user)
{
  GMainContext *context = g_main_context_get_thread_default ();
  const PhNat64Way *way = way_of (self, local);
  const uint32_t id = ++self->last_socket;
  g_autoptr (GError) error = NULL;
  PhAddr any_port = *local;
  PhUdp *udp;

  any_port.port = 0;
  if (way != NULL)
    udp = ph_udp_new_on_way (context, id, way, callbacks, user, &error);
  else
    udp = ph_udp_new (context, id, &any_port, PH_UDP_DEFAULT, callbacks, user, &error);
  if (udp == NULL)
    g_debug ("no socket: %s", error->message);
  else
    ph_udp_set_outlet (udp, ph_core_outlet (self, local));
  return udp;
}

bool
ph_core_tcp_listen (const PhCore *self, PhTcp *tcp, uint32_t id, const PhAddr *local)
{
  const PhNat64Way *way = way_of (self, local);
  g_autoptr (GError) error = NULL;
  PhAddr any_port = *local;

  any_port.port = 0;
  if (way != NULL ? ph_tcp_listen_on_way (tcp, id, way, &error)
                  : ph_tcp_listen (tcp, id, &any_port, &error)) {
    ph_tcp_set_outlet (tcp, id, ph_core_outlet (self, local));
    return true;
  }
  g_debug ("no TCP port: %s", error->message);
  return false;
}

/* --- Addresses ---------------------------------------------------------------------------------- */

PhAddr
ph_core_nat64_plain (const PhCore *self, const PhAddr *addr)
{
  const PhNat64Way *ways;
  const size_t n = get_ways (self, &ways);
  PhAddr plain = *addr;

  for (size_t i = 0; i < n; i++) {
    if (ph_nat64_extract (&ways[i].prefix, addr, &plain))
      break;
  }
  return plain;
}

PhAddr
ph_core_nat64_reach (const PhCore *self, const PhAddr *addr)
{
  const PhNat64Way *ways;
  PhAddr reached_at = *addr;

  if (get_ways (self, &ways) > 0)
    ph_nat64_synthesise (&ways[0].prefix, addr, &reached_at);
  return reached_at;
}
