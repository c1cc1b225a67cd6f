/* SPDX-License-Identifier: GPL-3.0-or-later */

#define G_LOG_DOMAIN "porthole"

#include "app/engine/ph-core-private.h"

static void
multicast_received (void *user, uint32_t interface, const PhAddr *remote, PhSlice bytes)
{
  PhCore *self = user;

  ph_nearby_handle_multicast (self->nearby, ph_core_now (self), interface, remote, bytes);
  ph_core_settle (self);
}

static PhMulticast *
listen (PhCore *self, PhFamily family)
{
  const PhAddr group = ph_nearby_group (family, 0);
  g_autoptr (GError) error = NULL;
  PhMulticast *listener = ph_multicast_new (g_main_context_get_thread_default (), &group,
                                            multicast_received, self, &error);

  if (listener == NULL)
    g_debug ("contacts on this network: %s", error->message);
  return listener;
}

void
ph_core_nearby_add_socket (PhCore *self, PhTime now, const PhUdp *udp, uint32_t interface)
{
  const PhAddr *addr = ph_udp_local (udp);

  if (self->nearby == NULL)
    return;
  ph_nearby_add_socket (self->nearby, now, ph_udp_id (udp), addr, interface);
  for (unsigned i = 0; i < G_N_ELEMENTS (self->groups); i++) {
    if (self->groups[i] != NULL && !ph_multicast_join (self->groups[i], interface))
      g_debug ("contacts on this network: interface %u has no multicast", interface);
  }
}

void
ph_core_nearby_remove_socket (PhCore *self, PhTime now, uint32_t socket)
{
  if (self->nearby != NULL)
    ph_nearby_remove_socket (self->nearby, now, socket);
}

static void
start (PhCore *self)
{
  g_autofree char *name = ph_core_setting (self, "name");
  const PhNearbyConfig config = {
      .identity = &self->profile->identity,
      .name = name,
      .random = self->random,
      .trace = self->trace,
  };
  const PhTime now = ph_core_now (self);
  g_autoptr (GArray) interfaces = ph_interfaces_list (PH_INTERFACES_LINK_LOCAL);

  self->nearby = ph_nearby_new (&config, now);
  self->groups[0] = listen (self, PH_FAMILY_IPV4);
  self->groups[1] = listen (self, PH_FAMILY_IPV6);
  for (guint i = 0; i < self->peers->len; i++) {
    const PhPeer *peer = self->peers->pdata[i];

    if (!peer->contact->blocked)
      ph_nearby_watch (self->nearby, now, &peer->id);
  }
  for (guint s = 0; s < self->sockets->len; s++) {
    const PhUdp *udp = self->sockets->pdata[s];

    for (guint i = 0; i < interfaces->len; i++) {
      const PhInterface *interface = &g_array_index (interfaces, PhInterface, i);

      if (ph_addr_equal_ip (&interface->addr, ph_udp_local (udp)) && !interface->point_to_point)
        ph_core_nearby_add_socket (self, now, udp, interface->index);
    }
  }
  ph_core_invitations_nearby_start (self);
}

static bool
transmit (PhCore *self, PhTime now)
{
  PhTransmit tx = {.data = self->tx_buffer, .cap = PH_TRANSMIT_MAX};
  bool sent = false;

  while (ph_nearby_poll_transmit (self->nearby, now, &tx)) {
    PhUdp *udp = ph_core_find_socket (self, tx.socket);

    /* A blocked socket loses it: it is said again. */
    if (udp != NULL)
      ph_udp_send (udp, &tx);
    sent = true;
    tx = (PhTransmit){.data = self->tx_buffer, .cap = PH_TRANSMIT_MAX};
  }
  return sent;
}

void
ph_core_nearby_stop (PhCore *self)
{
  const PhTime now = ph_core_now (self);

  if (self->nearby == NULL)
    return;
  ph_core_invitations_nearby_stop (self);
  ph_nearby_leave (self->nearby, now);
  transmit (self, now);
  for (unsigned i = 0; i < G_N_ELEMENTS (self->groups); i++)
    g_clear_pointer (&self->groups[i], ph_multicast_free);
  g_clear_pointer (&self->nearby, ph_nearby_free);
}

void
ph_core_nearby_update (PhCore *self)
{
  g_autofree char *setting = ph_core_setting (self, "nearby");
  const bool wanted = self->connected && strcmp (setting, "true") == 0;
  g_autofree char *name = ph_core_setting (self, "name");

  if (self->nearby != NULL)
    ph_nearby_set_name (self->nearby, name);
  if (wanted == (self->nearby != NULL))
    return;
  if (wanted)
    start (self);
  else
    ph_core_nearby_stop (self);
  ph_core_update_presence (self);
}

bool
ph_core_nearby_settle (PhCore *self, PhTime now)
{
  PhNearbyEvent event;
  bool busy, moved = false;

  if (self->nearby == NULL)
    return false;
  busy = transmit (self, now);
  while (ph_nearby_poll_event (self->nearby, &event)) {
    const PhPeer *peer = ph_core_find_peer (self, &event.peer);

    busy = true;
    if (event.handle != 0)
      ph_core_invitations_handle_nearby (self, &event);
    else if (event.type != PH_NEARBY_EVENT_SIGNAL)
      moved = true;
    else if (peer != NULL && peer->connector != NULL)
      ph_connector_handle_signal (peer->connector, now, event.body);
  }
  if (moved)
    ph_core_update_presence (self);
  return busy;
}
