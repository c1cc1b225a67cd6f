/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What guessing ports takes of this computer: the NAT's kind, the person's leave, and fresh sockets. */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/engine/ph-core-private.h"

static void
received (void *user, const PhDatagram *datagrams, size_t n)
{
  PhCore *self = user;
  const PhTime now = ph_core_now (self);

  for (size_t i = 0; i < n; i++)
    ph_endpoint_handle_packet (self->endpoint, now, &datagrams[i]);
}

static void
batch_done (void *user)
{
  ph_core_settle (user);
}

static void
writable (void *user, uint32_t socket)
{
  ph_core_settle (user);
}

static const PhUdpCallbacks callbacks = {received, batch_done, writable};

void
ph_core_guess_update (PhCore *self)
{
  g_autofree char *setting = ph_core_setting (self, "guess-ports");
  const PhPunchNat nat = ph_punch_nat (&self->nat_verdict);

  ph_endpoint_set_nat (self->endpoint, ph_core_now (self), &nat, strcmp (setting, "true") == 0);
}

static void
open_sockets (PhCore *self, const uint8_t key[PH_KEY_LEN], const PhAddr *local, unsigned n)
{
  for (unsigned i = 0; i < n; i++) {
    PhUdp *udp = ph_core_udp_new (self, local, &callbacks, self);

    /* Fewer sockets are fewer chances, no failure. */
    if (udp == NULL)
      return;
    g_ptr_array_add (self->guess_sockets, udp);
    ph_endpoint_add_fresh_socket (self->endpoint, ph_core_now (self), key, ph_udp_id (udp),
                                  ph_udp_local (udp));
  }
}

bool
ph_core_guess_settle (PhCore *self)
{
  uint8_t key[PH_KEY_LEN];
  PhAddr local;
  unsigned n;
  bool busy = false;

  while (ph_endpoint_poll_fresh_wish (self->endpoint, key, &local, &n)) {
    open_sockets (self, key, &local, n);
    busy = true;
  }
  return busy;
}

PhUdp *
ph_core_guess_find_socket (const PhCore *self, uint32_t id)
{
  for (guint i = 0; i < self->guess_sockets->len; i++) {
    if (ph_udp_id (self->guess_sockets->pdata[i]) == id)
      return self->guess_sockets->pdata[i];
  }
  return NULL;
}

void
ph_core_guess_close (PhCore *self, uint32_t id)
{
  PhUdp *udp = ph_core_guess_find_socket (self, id);

  if (udp != NULL)
    g_ptr_array_remove (self->guess_sockets, udp);
}
