/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Looks from outside whether the port that the router says it has opened is open. */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/engine/ph-core-private.h"
#include "net/nat/ph-nat-inbound.h"

struct _PhNatInboundRun {
  PhCore *core;
  PhNatInbound *inbound;
  PhUdp *sockets[2]; /* owned; asker, helper */
};

static void
received (void *user, const PhDatagram *datagrams, size_t n)
{
  PhNatInboundRun *self = user;
  const PhTime now = ph_core_now (self->core);

  for (size_t i = 0; i < n; i++)
    ph_nat_inbound_handle_packet (self->inbound, now, &datagrams[i]);
}

static void
batch_done (void *user)
{
  ph_core_settle (((PhNatInboundRun *)user)->core);
}

static void
writable (void *user, uint32_t socket)
{
}

static const PhUdpCallbacks udp_callbacks = {received, batch_done, writable};

static void
run_free (PhNatInboundRun *self)
{
  if (self == NULL)
    return;
  ph_nat_inbound_free (self->inbound);
  for (size_t i = 0; i < G_N_ELEMENTS (self->sockets); i++)
    ph_udp_free (self->sockets[i]);
  g_free (self);
}

static void
start (PhCore *core, PhTime now, const PhAddr *server)
{
  const PhUdp *target = ph_core_find_socket (core, core->mapped_socket);
  PhNatInboundRun *self;

  if (target == NULL || server->family != ph_udp_local (target)->family)
    return;
  self = g_new0 (PhNatInboundRun, 1);
  self->core = core;
  for (size_t i = 0; i < G_N_ELEMENTS (self->sockets); i++) {
    self->sockets[i] = ph_core_udp_new (core, ph_udp_local (target), &udp_callbacks, self);
    if (self->sockets[i] == NULL) {
      run_free (self);
      return;
    }
  }

  const PhNatInboundConfig config = {
      .asker = ph_udp_id (self->sockets[0]),
      .helper = ph_udp_id (self->sockets[1]),
      .target = core->mapped_socket,
      .external = core->mapped_addr,
      .server = *server,
      .random = core->random,
      .trace = &core->trace,
  };

  self->inbound = ph_nat_inbound_new (&config, now);
  core->nat_inbound = self;
}

void
ph_core_nat_inbound_mapped (PhCore *self, uint32_t socket, const PhAddr *external)
{
  const bool same = self->mapped_socket == socket && ph_addr_equal (&self->mapped_addr, external);

  /* The first port that is mapped stands for all: the router is the same, or the main one. */
  if (same || (ph_addr_is_set (&self->mapped_addr) && self->mapped_socket != socket))
    return;
  ph_core_nat_inbound_stop (self);
  self->mapped_socket = socket;
  self->mapped_addr = *external;
}

void
ph_core_nat_inbound_stop (PhCore *self)
{
  g_clear_pointer (&self->nat_inbound, run_free);
  self->mapped_asked = 0;
  self->mapped_open = PH_NAT_UNTESTED;
}

bool
ph_core_nat_inbound_settle (PhCore *self, PhTime now)
{
  const PhNatDiscoveryConfig *asked = ph_core_nat_asked (self);
  PhNatInboundRun *run;
  bool busy = false;

  if (self->nat_inbound == NULL && ph_addr_is_set (&self->mapped_addr) && asked != NULL
      && !ph_core_nat_is_running (self) && self->nat_verdict.type != PH_NAT_UDP_BLOCKED
      && self->mapped_open == PH_NAT_UNTESTED && self->mapped_asked < asked->n_servers)
    start (self, now, &asked->servers[self->mapped_asked++]);
  run = self->nat_inbound;
  while (run != NULL) {
    PhTransmit tx = {.data = self->tx_buffer, .cap = PH_TRANSMIT_MAX};

    if (!ph_nat_inbound_poll_transmit (run->inbound, now, &tx))
      break;
    ph_udp_send (run->sockets[tx.socket == ph_udp_id (run->sockets[0]) ? 0 : 1], &tx);
    busy = true;
  }
  if (run != NULL && ph_nat_inbound_poll_event (run->inbound, &self->mapped_open)) {
    g_clear_pointer (&self->nat_inbound, run_free);
    busy = true;
  }
  return busy;
}

bool
ph_core_nat_inbound_handle_packet (PhCore *self, PhTime now, const PhDatagram *in)
{
  return self->nat_inbound != NULL
         && ph_nat_inbound_handle_packet (self->nat_inbound->inbound, now, in);
}

void
ph_core_nat_inbound_handle_timeout (PhCore *self, PhTime now)
{
  if (self->nat_inbound != NULL)
    ph_nat_inbound_handle_timeout (self->nat_inbound->inbound, now);
}

PhTime
ph_core_nat_inbound_next_timeout (const PhCore *self)
{
  const char *why;

  return self->nat_inbound != NULL ? ph_nat_inbound_next_timeout (self->nat_inbound->inbound, &why)
                                   : PH_NEVER;
}
