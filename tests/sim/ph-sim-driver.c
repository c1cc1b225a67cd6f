/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "tests/sim/ph-sim-driver.h"

/* Within one instant. A core that needs more is spinning: the busiest honest one, a link that sends
 * a full window in batches, stays under a thousandth of it. */
#define ROUNDS_MAX 100000u
#define WAKEUPS_MAX 1000u

struct _PhSimDriver {
  PhSim *sim;
  PhSimHost *host;
  const PhSimCore *klass;
  void *core;
  uint64_t timer;
  bool asleep;
  bool settling;
  bool again;
  uint64_t wakeups;
  PhTime last_wakeup;
  unsigned wakeups_at_once;
  uint8_t buffer[PH_TRANSMIT_MAX];
};

static void on_timer (void *user, PhTime now);

static void
driver_send (PhSimDriver *self, const PhTransmit *tx)
{
  bool blocked;

  if (self->klass->set_blocked != NULL && ph_sim_host_stream_send (self->host, tx, &blocked)) {
    if (blocked)
      self->klass->set_blocked (self->core, tx->socket, true);
    return;
  }
  /* A socket that cannot send is the core's bad luck, as with a real one. */
  ph_sim_host_send (self->host, tx);
}

static void
driver_send_all (PhSimDriver *self, PhTime now)
{
  PhConnectionOp op;

  while (self->klass->poll_connection != NULL && self->klass->poll_connection (self->core, &op))
    ph_sim_host_do (self->host, &op);
  for (unsigned i = 0;; i++) {
    PhTransmit tx = {.data = self->buffer, .cap = sizeof self->buffer};

    if (!self->klass->poll_transmit (self->core, now, &tx))
      return;
    g_assert_cmpuint (tx.len, <=, tx.cap);
    g_assert_cmpuint (i, <, ROUNDS_MAX);
    driver_send (self, &tx);
  }
}

static void
driver_arm (PhSimDriver *self, PhTime now)
{
  const char *why = "";
  const PhTime when = self->klass->next_timeout (self->core, &why);

  ph_sim_cancel (self->sim, self->timer);
  self->timer = 0;
  if (self->last_wakeup == now && when <= now && self->wakeups_at_once > WAKEUPS_MAX)
    g_error ("%s: the core spins: %s", ph_sim_host_name (self->host), why);
  self->timer = ph_sim_at (self->sim, when, on_timer, self);
}

void
ph_sim_driver_settle (PhSimDriver *self)
{
  const PhTime now = ph_sim_now (self->sim);

  self->again = true;
  if (self->settling || self->asleep || self->core == NULL)
    return;
  self->settling = true;
  for (unsigned i = 0; self->again; i++) {
    g_assert_cmpuint (i, <, ROUNDS_MAX);
    self->again = false;
    driver_send_all (self, now);
    if (self->klass->drain (self->core, now))
      self->again = true;
  }
  self->settling = false;
  if (self->core != NULL)
    driver_arm (self, now);
}

static void
on_timer (void *user, PhTime now)
{
  PhSimDriver *self = user;

  self->timer = 0;
  self->wakeups++;
  self->wakeups_at_once = self->last_wakeup == now ? self->wakeups_at_once + 1 : 0;
  self->last_wakeup = now;
  self->klass->handle_timeout (self->core, now);
  ph_sim_driver_settle (self);
}

static void
on_receive (void *user, PhTime now, const PhDatagram *in)
{
  PhSimDriver *self = user;

  if (self->core == NULL || self->asleep)
    return;
  self->klass->handle_packet (self->core, now, in);
  ph_sim_driver_settle (self);
}

static void
on_connection (void *user, PhTime now, const PhConnectionEvent *event)
{
  PhSimDriver *self = user;

  if (self->core == NULL || self->asleep)
    return;
  self->klass->handle_connection (self->core, now, event);
  ph_sim_driver_settle (self);
}

static void
on_writable (void *user, PhTime now, uint32_t socket)
{
  PhSimDriver *self = user;

  if (self->core == NULL)
    return;
  self->klass->set_blocked (self->core, socket, false);
  ph_sim_driver_settle (self);
}

PhSimDriver *
ph_sim_driver_new (PhSim *sim, PhSimHost *host, const PhSimCore *klass, void *core)
{
  PhSimDriver *self = g_new0 (PhSimDriver, 1);

  self->sim = sim;
  self->host = host;
  self->klass = klass;
  self->core = core;
  ph_sim_own (sim, self, g_free);
  ph_sim_host_set_receive (host, on_receive, self);
  if (klass->handle_connection != NULL) {
    static const PhSimTcpCallbacks callbacks = {on_connection, on_receive, on_writable};

    ph_sim_host_set_tcp (host, &callbacks, self);
  }
  return self;
}

void
ph_sim_driver_set_core (PhSimDriver *self, void *core)
{
  self->core = core;
  ph_sim_cancel (self->sim, self->timer);
  self->timer = 0;
}

void
ph_sim_driver_sleep (PhSimDriver *self, bool asleep)
{
  self->asleep = asleep;
  ph_sim_cancel (self->sim, self->timer);
  self->timer = 0;
  if (asleep)
    return;
  self->klass->handle_timeout (self->core, ph_sim_now (self->sim));
  ph_sim_driver_settle (self);
}

uint64_t
ph_sim_driver_wakeups (const PhSimDriver *self)
{
  return self->wakeups;
}
