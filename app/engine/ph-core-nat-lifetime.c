/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Runs the measurement of how long mappings live, on sockets of its own, when somebody asks for it. */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/engine/ph-core-private.h"
#include "net/nat/ph-nat-lifetime.h"

#include <glib/gi18n-lib.h>

struct _PhNatLifetimeRun {
  PhCore *core;
  PhNatLifetime *lifetime;
  PhNatLifetimeConfig config;
  PhUdp *sockets[PH_NAT_LIFETIME_SOCKETS]; /* owned */
  PhNatDiscoveryConfig asked; /* whom there is to ask */
  size_t server; /* the one that is asked */
  GArray *commands; /* uint32_t: who waits for it */
};

static void
received (void *user, const PhDatagram *datagrams, size_t n)
{
  PhNatLifetimeRun *self = user;
  const PhTime now = ph_core_now (self->core);

  for (size_t i = 0; i < n; i++)
    ph_nat_lifetime_handle_packet (self->lifetime, now, &datagrams[i]);
}

static void
batch_done (void *user)
{
  ph_core_settle (((PhNatLifetimeRun *)user)->core);
}

static void
writable (void *user, uint32_t socket)
{
}

static const PhUdpCallbacks udp_callbacks = {received, batch_done, writable};

static void
run_free (PhNatLifetimeRun *self)
{
  ph_nat_lifetime_free (self->lifetime);
  for (size_t i = 0; i < G_N_ELEMENTS (self->sockets); i++)
    ph_udp_free (self->sockets[i]);
  g_array_unref (self->commands);
  g_free (self);
}

/* Fresh sockets, and the next server. */
static bool
start (PhNatLifetimeRun *self, PhTime now)
{
  for (size_t i = 0; i < G_N_ELEMENTS (self->sockets); i++) {
    g_clear_pointer (&self->sockets[i], ph_udp_free);
    self->sockets[i] =
        ph_core_udp_new (self->core, &self->asked.mapping_local, &udp_callbacks, self);
    if (self->sockets[i] == NULL)
      return false;
    self->config.sockets[i] = ph_udp_id (self->sockets[i]);
  }
  self->config.server = self->asked.servers[self->server];
  g_clear_pointer (&self->lifetime, ph_nat_lifetime_free);
  self->lifetime = ph_nat_lifetime_new (&self->config, now);
  return true;
}

/* `code` 0: well. */
static void
finish (PhCore *core, PhEngineError code, const char *message)
{
  PhNatLifetimeRun *self = g_steal_pointer (&core->nat_lifetime);
  g_autofree char *report = code == 0 ? ph_core_nat_report (core) : NULL;

  for (guint i = 0; i < self->commands->len; i++) {
    const uint32_t command = g_array_index (self->commands, uint32_t, i);

    if (report != NULL)
      ph_core_done (core, command, NULL, report);
    else
      ph_core_fail (core, command, code, "%s", message);
  }
  run_free (self);
}

void
ph_core_nat_lifetime (PhCore *self, const PhCommand *command)
{
  const PhNatDiscoveryConfig *asked = ph_core_nat_asked (self);

  if (!command->flag) {
    if (self->nat_lifetime != NULL)
      finish (self, PH_ENGINE_ERROR_CANCELLED, _ ("The test was stopped"));
    ph_core_done (self, command->number, NULL, NULL);
    return;
  }
  if (self->nat_lifetime == NULL && asked == NULL) {
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_OFFLINE,
                  _ ("No STUN server has answered on this network: there is nobody to test with"));
    return;
  }
  if (self->nat_lifetime == NULL) {
    PhNatLifetimeRun *run = g_new0 (PhNatLifetimeRun, 1);

    run->core = self;
    run->asked = *asked;
    run->config = (PhNatLifetimeConfig){.random = self->random, .trace = &self->trace};
    run->commands = g_array_new (FALSE, FALSE, sizeof (uint32_t));
    self->nat_lifetime = run;
    self->lifetime_known = false;
    g_array_append_val (run->commands, command->number);
    if (!start (run, ph_core_now (self)))
      finish (self, PH_ENGINE_ERROR_FAILED, _ ("There are no free ports to test with"));
    return;
  }
  g_array_append_val (self->nat_lifetime->commands, command->number);
}

void
ph_core_nat_lifetime_stop (PhCore *self)
{
  self->lifetime_known = false;
  if (self->nat_lifetime != NULL)
    finish (self, PH_ENGINE_ERROR_CANCELLED, _ ("The network has changed: test again"));
}

static void
handle_event (PhCore *core, PhTime now, const PhNatLifetimeEvent *event)
{
  PhNatLifetimeRun *self = core->nat_lifetime;

  core->lifetime_known = event->type != PH_NAT_LIFETIME_UNKNOWN && event->survived > 0;
  core->lifetime_survived = event->survived;
  core->lifetime_expired = event->expired;
  if (event->type == PH_NAT_LIFETIME_DONE)
    finish (core, 0, NULL);
  else if (event->type == PH_NAT_LIFETIME_UNKNOWN
           && (++self->server >= self->asked.n_servers || !start (self, now)))
    finish (core, PH_ENGINE_ERROR_OFFLINE,
            _ ("No STUN server here can test this. It takes one that follows RFC 5780, such as "
               "coturn with two addresses"));
}

bool
ph_core_nat_lifetime_settle (PhCore *self, PhTime now)
{
  PhNatLifetimeEvent event;
  bool busy = false;

  while (self->nat_lifetime != NULL) {
    PhTransmit tx = {.data = self->tx_buffer, .cap = PH_TRANSMIT_MAX};
    size_t i = 0;

    if (!ph_nat_lifetime_poll_transmit (self->nat_lifetime->lifetime, now, &tx))
      break;
    while (self->nat_lifetime->config.sockets[i] != tx.socket)
      i++;
    ph_udp_send (self->nat_lifetime->sockets[i], &tx);
    busy = true;
  }
  if (self->nat_lifetime != NULL
      && ph_nat_lifetime_poll_event (self->nat_lifetime->lifetime, &event)) {
    handle_event (self, now, &event);
    busy = true;
  }
  return busy;
}

void
ph_core_nat_lifetime_handle_timeout (PhCore *self, PhTime now)
{
  if (self->nat_lifetime != NULL)
    ph_nat_lifetime_handle_timeout (self->nat_lifetime->lifetime, now);
}

PhTime
ph_core_nat_lifetime_next_timeout (const PhCore *self)
{
  const char *why;

  return self->nat_lifetime != NULL
             ? ph_nat_lifetime_next_timeout (self->nat_lifetime->lifetime, &why)
             : PH_NEVER;
}
