/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Runs the discovery of the TCP mapping, on a port of its own. */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/engine/ph-core-private.h"
#include "net/io/ph-tcp.h"
#include "net/nat/ph-nat-tcp.h"

struct _PhNatTcpRun {
  PhCore *core;
  PhTcp *tcp; /* owned */
  uint32_t port; /* its only one */
  PhNatTcp *discovery; /* owned; NULL while the port is being made */
};

void
ph_nat_tcp_run_free (PhNatTcpRun *self)
{
  if (self == NULL)
    return;
  ph_nat_tcp_free (self->discovery);
  ph_tcp_free (self->tcp);
  g_free (self);
}

/* Strangers who connect are let go with the run. */
static uint32_t
new_id (void *user)
{
  PhNatTcpRun *self = user;

  return ++self->core->last_socket;
}

static void
event (void *user, const PhConnectionEvent *what)
{
  PhNatTcpRun *self = user;

  ph_nat_tcp_handle_connection (self->discovery, ph_core_now (self->core), what);
}

static void
received (void *user, const PhDatagram *in)
{
  PhNatTcpRun *self = user;

  ph_nat_tcp_handle_packet (self->discovery, ph_core_now (self->core), in);
}

static void
batch_done (void *user)
{
  PhNatTcpRun *self = user;

  ph_core_settle (self->core);
}

static void
writable (void *user, uint32_t socket)
{
}

PhNatTcpRun *
ph_nat_tcp_run_new (PhCore *core, PhTime now, const PhAddr *local, const PhAddr *servers, size_t n)
{
  static const PhTcpCallbacks callbacks = {new_id, event, received, batch_done, writable};
  PhNatTcpRun *self = g_new0 (PhNatTcpRun, 1);
  PhNatTcpConfig config = {
      .port = ++core->last_socket,
      .n_servers = n,
      .random = core->random,
      .trace = &core->trace,
  };

  self->port = config.port;
  self->core = core;
  self->tcp = ph_tcp_new (g_main_context_get_thread_default (), &callbacks, self);
  if (!ph_core_tcp_listen (core, self->tcp, config.port, local)) {
    ph_nat_tcp_run_free (self);
    return NULL;
  }
  memcpy (config.servers, servers, n * sizeof *servers);
  self->discovery = ph_nat_tcp_new (&config, now);
  return self;
}

bool
ph_nat_tcp_run_settle (PhNatTcpRun *self, PhTime now)
{
  PhTransmit tx = {.data = self->core->tx_buffer, .cap = PH_TRANSMIT_MAX};
  PhConnectionOp op;
  bool busy = false;

  while (ph_nat_tcp_poll_connection (self->discovery, &op)) {
    ph_tcp_do (self->tcp, &op);
    busy = true;
  }
  while (ph_nat_tcp_poll_transmit (self->discovery, now, &tx)) {
    ph_tcp_send (self->tcp, &tx);
    busy = true;
  }
  return busy;
}

bool
ph_nat_tcp_run_poll_event (PhNatTcpRun *self, PhNatVerdict *ret_verdict)
{
  PhNatVerdict verdict = {0};

  if (!ph_nat_tcp_poll_event (self->discovery, &verdict.mapping, &verdict.public_addr))
    return false;
  if (ph_addr_is_set (&verdict.public_addr))
    verdict.translated = ph_addr_equal (&verdict.public_addr, ph_tcp_local (self->tcp, self->port))
                             ? PH_NAT_NO
                             : PH_NAT_YES;
  *ret_verdict = verdict;
  return true;
}

void
ph_nat_tcp_run_handle_timeout (PhNatTcpRun *self, PhTime now)
{
  ph_nat_tcp_handle_timeout (self->discovery, now);
}

PhTime
ph_nat_tcp_run_next_timeout (const PhNatTcpRun *self)
{
  const char *why;

  return ph_nat_tcp_next_timeout (self->discovery, &why);
}
