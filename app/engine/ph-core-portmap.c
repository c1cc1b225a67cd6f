/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Asks the router of every private address to open a port for our socket there. */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/engine/ph-core-private.h"
#include "net/io/ph-gateway.h"
#include "net/io/ph-upnp.h"

/* One local address and its router. */
typedef struct {
  PhCore *core;
  PhAddr local;
  PhAddr gateway;
  PhUdp *udp; /* owned; what PCP and NAT-PMP are spoken through */
  PhPortmap *portmap; /* owned */
  PhUpnp *upnp; /* owned; NULL until it is needed */
} PhMapper;

void
ph_core_portmap_free_mapper (gpointer data)
{
  PhMapper *self = data;

  ph_upnp_free (self->upnp);
  ph_portmap_free (self->portmap);
  ph_udp_free (self->udp);
  g_free (self);
}

/* --- Drivers ------------------------------------------------------------------------------------ */

static void
received (void *user, const PhDatagram *datagrams, size_t n)
{
  PhMapper *self = user;
  const PhTime now = ph_core_now (self->core);

  for (size_t i = 0; i < n; i++)
    ph_portmap_handle_packet (self->portmap, now, &datagrams[i]);
}

static void
batch_done (void *user)
{
  PhMapper *self = user;

  ph_core_settle (self->core);
}

static void
writable (void *user, uint32_t socket)
{
}

static const PhUdpCallbacks udp_callbacks = {received, batch_done, writable};

static void
upnp_done (void *user, uint32_t id, PhPortmapUpnpResult result, const PhAddr *external,
           uint32_t lifetime_s)
{
  PhMapper *self = user;

  ph_portmap_upnp_done (self->portmap, ph_core_now (self->core), id, result, external, lifetime_s);
  ph_core_settle (self->core);
}

static bool
mapper_transmit (PhMapper *self, PhTime now)
{
  PhTransmit tx = {.data = self->core->tx_buffer, .cap = PH_TRANSMIT_MAX};
  PhPortmapUpnp task;
  bool sent = false;

  while (ph_portmap_poll_transmit (self->portmap, now, &tx)) {
    ph_udp_send (self->udp, &tx);
    sent = true;
  }
  while (ph_portmap_poll_upnp (self->portmap, &task)) {
    if (self->upnp == NULL)
      self->upnp =
          ph_upnp_new (g_main_context_get_thread_default (), &self->local, upnp_done, self);
    ph_upnp_run (self->upnp, &task);
    sent = true;
  }
  return sent;
}

/* --- Which addresses ---------------------------------------------------------------------------- */

static bool
is_behind_router (const PhAddr *local, PhAddr *ret_gateway)
{
  const PhScope scope = ph_addr_scope (local);

  return local->family == PH_FAMILY_IPV4 && (scope == PH_SCOPE_PRIVATE || scope == PH_SCOPE_SHARED)
         && ph_gateway_for (local, ret_gateway);
}

static PhMapper *
find_mapper (const PhCore *self, const PhAddr *local)
{
  for (guint i = 0; i < self->mappers->len; i++) {
    PhMapper *mapper = self->mappers->pdata[i];

    if (ph_addr_equal (&mapper->local, local))
      return mapper;
  }
  return NULL;
}

/* Calls `func` for every UDP socket and TCP port at the address. */
typedef void (*PortFunc) (PhCore *self, PhTime now, PhMapper *mapper, uint32_t id,
                          PhPortmapProto proto, const PhAddr *local);

static void
for_each_port (PhCore *self, PhTime now, PhMapper *mapper, PortFunc func)
{
  for (guint i = 0; i < self->sockets->len; i++) {
    const PhUdp *socket = self->sockets->pdata[i];

    if (ph_addr_equal_ip (ph_udp_local (socket), &mapper->local))
      func (self, now, mapper, ph_udp_id (socket), PH_PORTMAP_UDP, ph_udp_local (socket));
  }
  for (guint i = 0; i < self->tcp_ports->len; i++) {
    const uint32_t id = g_array_index (self->tcp_ports, uint32_t, i);
    const PhAddr *local = ph_tcp_local (self->tcp, id);

    if (local != NULL && ph_addr_equal_ip (local, &mapper->local))
      func (self, now, mapper, id, PH_PORTMAP_TCP, local);
  }
}

static void
want_port (PhCore *self, PhTime now, PhMapper *mapper, uint32_t id, PhPortmapProto proto,
           const PhAddr *local)
{
  ph_portmap_add (mapper->portmap, now, id, proto, local->port);
}

static void
forget_port (PhCore *self, PhTime now, PhMapper *mapper, uint32_t id, PhPortmapProto proto,
             const PhAddr *local)
{
  const PhAddr none = {0};

  ph_endpoint_set_mapped (self->endpoint, now, id, &none);
  if (proto == PH_PORTMAP_UDP)
    ph_core_nat_inbound_mapped (self, id, &none);
  else
    ph_core_nat_knock_mapped (self, id, &none);
}

static void
add_mapper (PhCore *self, PhTime now, const PhUdp *socket, const PhAddr *gateway)
{
  PhMapper *mapper = g_new0 (PhMapper, 1);
  PhAddr any_port = *ph_udp_local (socket);
  PhPortmapConfig config = {.random = self->random, .trace = &self->trace, .gateway = *gateway};

  any_port.port = 0;
  mapper->core = self;
  mapper->local = *ph_udp_local (socket);
  mapper->gateway = *gateway;
  mapper->udp = ph_core_udp_new (self, &any_port, &udp_callbacks, mapper);
  if (mapper->udp == NULL) {
    g_free (mapper);
    return;
  }
  config.socket = ph_udp_id (mapper->udp);
  config.local = any_port;
  mapper->portmap = ph_portmap_new (&config, now);
  for_each_port (self, now, mapper, want_port);
  g_ptr_array_add (self->mappers, mapper);
}

/* What a mapper has opened is nobody's candidate any more; it is closed if the address still is ours. */
static void
remove_mapper (PhCore *self, PhTime now, guint i)
{
  PhMapper *mapper = self->mappers->pdata[i];

  for_each_port (self, now, mapper, forget_port);
  ph_portmap_close (mapper->portmap, now);
  mapper_transmit (mapper, now);
  g_ptr_array_remove_index (self->mappers, i);
}

static bool
is_wanted (const PhCore *self, const PhMapper *mapper)
{
  PhAddr gateway;

  if (!is_behind_router (&mapper->local, &gateway)
      || !ph_addr_equal_ip (&gateway, &mapper->gateway))
    return false;
  for (guint s = 0; s < self->sockets->len; s++) {
    if (ph_addr_equal (ph_udp_local (self->sockets->pdata[s]), &mapper->local))
      return true;
  }
  return false;
}

void
ph_core_portmap_update (PhCore *self, PhTime now, bool anew)
{
  g_autofree char *setting = ph_core_setting (self, "port-mapping");
  const bool wanted = g_str_equal (setting, "true");

  for (guint i = self->mappers->len; i-- > 0;) {
    PhMapper *mapper = self->mappers->pdata[i];
    const bool failed = ph_portmap_protocol_name (mapper->portmap) == NULL;

    if (!wanted || !is_wanted (self, mapper) || (anew && failed))
      remove_mapper (self, now, i);
  }
  for (guint s = 0; s < self->sockets->len && wanted; s++) {
    const PhUdp *socket = self->sockets->pdata[s];
    PhAddr gateway;

    if (find_mapper (self, ph_udp_local (socket)) == NULL
        && is_behind_router (ph_udp_local (socket), &gateway))
      add_mapper (self, now, socket, &gateway);
  }
}

void
ph_core_portmap_stop (PhCore *self)
{
  const PhTime now = ph_core_now (self);

  while (self->mappers->len > 0)
    remove_mapper (self, now, self->mappers->len - 1);
}

/* --- Verbs -------------------------------------------------------------------------------------- */

bool
ph_core_portmap_settle (PhCore *self, PhTime now)
{
  bool sent = false;

  for (guint i = 0; i < self->mappers->len; i++) {
    PhMapper *mapper = self->mappers->pdata[i];
    PhPortmapEvent event;

    sent |= mapper_transmit (mapper, now);
    while (ph_portmap_poll_event (mapper->portmap, &event)) {
      ph_endpoint_set_mapped (self->endpoint, now, event.id, &event.external);
      if (event.proto == PH_PORTMAP_UDP)
        ph_core_nat_inbound_mapped (self, event.id, &event.external);
      else
        ph_core_nat_knock_mapped (self, event.id, &event.external);
      sent = true;
    }
  }
  return sent;
}

void
ph_core_portmap_handle_timeout (PhCore *self, PhTime now)
{
  for (guint i = 0; i < self->mappers->len; i++)
    ph_portmap_handle_timeout (((PhMapper *)self->mappers->pdata[i])->portmap, now);
}

PhTime
ph_core_portmap_next_timeout (const PhCore *self)
{
  PhTime next = PH_NEVER;
  const char *why;

  for (guint i = 0; i < self->mappers->len; i++)
    next = ph_time_min (
        next, ph_portmap_next_timeout (((PhMapper *)self->mappers->pdata[i])->portmap, &why));
  return next;
}

bool
ph_core_portmap_is_pending (const PhCore *self)
{
  for (guint i = 0; i < self->mappers->len; i++) {
    if (!ph_portmap_done (((PhMapper *)self->mappers->pdata[i])->portmap))
      return true;
  }
  return false;
}

const char *
ph_core_portmap_protocol (const PhCore *self)
{
  const char *name = NULL;

  for (guint i = 0; i < self->mappers->len && name == NULL; i++)
    name = ph_portmap_protocol_name (((PhMapper *)self->mappers->pdata[i])->portmap);
  return name;
}
