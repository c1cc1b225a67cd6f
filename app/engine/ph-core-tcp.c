/* SPDX-License-Identifier: GPL-3.0-or-later */
/* TCP: a port for each address of this computer, and the connections that the endpoint asks for. */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/engine/ph-core-private.h"

static uint32_t
new_id (void *user)
{
  PhCore *self = user;

  return ++self->last_socket;
}

static void
event (void *user, const PhConnectionEvent *what)
{
  PhCore *self = user;

  ph_endpoint_handle_connection (self->endpoint, ph_core_now (self), what);
}

static void
received (void *user, const PhDatagram *in)
{
  PhCore *self = user;

  ph_core_nat_knock_handle_packet (self, in);
  ph_endpoint_handle_packet (self->endpoint, ph_core_now (self), in);
}

static void
batch_done (void *user)
{
  ph_core_settle (user);
}

static void
writable (void *user, uint32_t socket)
{
  PhCore *self = user;

  ph_endpoint_set_blocked (self->endpoint, socket, false);
}

void
ph_core_tcp_start (PhCore *self)
{
  static const PhTcpCallbacks callbacks = {new_id, event, received, batch_done, writable};

  self->tcp = ph_tcp_new (g_main_context_get_thread_default (), &callbacks, self);
}

void
ph_core_tcp_add_port (PhCore *self, PhTime now, const PhAddr *addr)
{
  const uint32_t id = ++self->last_socket;

  if (!ph_core_tcp_listen (self, self->tcp, id, addr))
    return;
  if (ph_endpoint_add_port (self->endpoint, now, id, ph_tcp_local (self->tcp, id)))
    g_array_append_val (self->tcp_ports, id);
  else
    ph_tcp_unlisten (self->tcp, id); /* one too many */
}

void
ph_core_tcp_update_outlets (PhCore *self)
{
  for (guint i = 0; i < self->tcp_ports->len; i++) {
    const uint32_t id = g_array_index (self->tcp_ports, uint32_t, i);

    ph_tcp_set_outlet (self->tcp, id, ph_core_outlet (self, ph_tcp_local (self->tcp, id)));
  }
}

void
ph_core_tcp_remove_port (PhCore *self, PhTime now, const PhAddr *addr)
{
  for (guint i = self->tcp_ports->len; i-- > 0;) {
    const uint32_t id = g_array_index (self->tcp_ports, uint32_t, i);

    if (!ph_addr_equal_ip (ph_tcp_local (self->tcp, id), addr))
      continue;
    g_array_remove_index (self->tcp_ports, i);
    ph_endpoint_remove_socket (self->endpoint, now, id);
    ph_tcp_unlisten (self->tcp, id);
  }
}

bool
ph_core_tcp_settle (PhCore *self)
{
  PhConnectionOp op;
  bool busy = false;

  while (ph_endpoint_poll_connection (self->endpoint, &op)) {
    ph_tcp_do (self->tcp, &op);
    busy = true;
  }
  return busy;
}

bool
ph_core_tcp_transmit (PhCore *self, const PhTransmit *tx)
{
  if (ph_tcp_local (self->tcp, tx->socket) == NULL)
    return false;
  if (ph_tcp_send (self->tcp, tx) == PH_TCP_BLOCKED)
    ph_endpoint_set_blocked (self->endpoint, tx->socket, true);
  return true;
}
