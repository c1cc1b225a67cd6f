/* SPDX-License-Identifier: GPL-3.0-or-later */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/engine/ph-core-private.h"
#include "app/engine/ph-core-probe.h"

#define STUN_PORT 3478

/* --- Sockets ------------------------------------------------------------------------------------ */

static void
received (void *user, const PhDatagram *datagrams, size_t n)
{
  PhCore *self = user;
  const PhTime now = ph_core_now (self);

  for (size_t i = 0; i < n; i++) {
    if (ph_core_nat_inbound_handle_packet (self, now, &datagrams[i]))
      continue;
    if (self->nearby == NULL || !ph_nearby_handle_packet (self->nearby, now, &datagrams[i]))
      ph_endpoint_handle_packet (self->endpoint, now, &datagrams[i]);
  }
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

static const PhUdpCallbacks udp_callbacks = {received, batch_done, writable};

PhUdp *
ph_core_find_socket (const PhCore *self, uint32_t id)
{
  for (guint i = 0; i < self->sockets->len; i++) {
    if (ph_udp_id (self->sockets->pdata[i]) == id)
      return self->sockets->pdata[i];
  }
  return NULL;
}

static bool
any_blocked_of (const GPtrArray *sockets)
{
  for (guint i = 0; i < sockets->len; i++) {
    if (ph_udp_is_blocked (sockets->pdata[i]))
      return true;
  }
  return false;
}

static bool
any_blocked (const PhCore *self)
{
  return any_blocked_of (self->sockets) || any_blocked_of (self->guess_sockets);
}

bool
ph_core_network_transmit (PhCore *self, PhTime now)
{
  PhTransmit tx = {.data = self->tx_buffer, .cap = PH_TRANSMIT_MAX};
  bool sent = ph_core_tcp_settle (self);

  while (!any_blocked (self) && ph_endpoint_poll_transmit (self->endpoint, now, &tx)) {
    PhUdp *udp = ph_core_find_socket (self, tx.socket);

    if (udp == NULL)
      udp = ph_core_guess_find_socket (self, tx.socket);
    /* What a socket cannot take is lost, as on any network. */
    if (udp != NULL)
      ph_udp_send (udp, &tx);
    else if (!ph_core_tcp_transmit (self, &tx))
      ph_core_relay_transmit (self, &tx);
    sent = true;
    tx = (PhTransmit){.data = self->tx_buffer, .cap = PH_TRANSMIT_MAX};
  }
  return sent;
}

uint32_t
ph_core_outlet (const PhCore *self, const PhAddr *local)
{
  for (guint i = 0; i < self->sockets->len; i++) {
    if (ph_addr_equal_ip (ph_udp_local (self->sockets->pdata[i]), local))
      return ph_udp_outlet (self->sockets->pdata[i]);
  }
  return 0;
}

/* NULL: there is none. */
static PhUdp *
add_socket (PhCore *self, PhTime now, const PhAddr *local)
{
  PhUdp *udp;

  if (self->sockets->len >= PH_GATHERER_SOCKETS_MAX)
    return NULL;
  udp = ph_core_udp_new (self, local, &udp_callbacks, self);
  if (udp == NULL)
    return NULL;
  ph_udp_set_outlet (udp, ph_outlet_for (local));
  g_ptr_array_add (self->sockets, udp);
  ph_endpoint_add_socket (self->endpoint, now, ph_udp_id (udp), ph_udp_local (udp));
  ph_core_tcp_add_port (self, now, local);
  return udp;
}

static void
add_interface (PhCore *self, PhTime now, const PhInterface *interface)
{
  const PhUdp *udp = add_socket (self, now, &interface->addr);

  if (udp != NULL && !interface->point_to_point)
    ph_core_nearby_add_socket (self, now, udp, interface->index);
}

static bool
has_address (const GArray *interfaces, const PhAddr *addr)
{
  for (guint i = 0; i < interfaces->len; i++) {
    if (ph_addr_equal_ip (&g_array_index (interfaces, PhInterface, i).addr, addr))
      return true;
  }
  return false;
}

static bool
has_socket (const PhCore *self, const PhAddr *addr)
{
  for (guint i = 0; i < self->sockets->len; i++) {
    if (ph_addr_equal_ip (ph_udp_local (self->sockets->pdata[i]), addr))
      return true;
  }
  return false;
}

/* Last, since a path without a translator is the better one. */
static bool
add_ways (PhCore *self, PhTime now)
{
  PhAddr locals[PH_NAT64_PREFIXES_MAX];
  const size_t n = ph_core_nat64_locals (self, locals);
  bool changed = false;

  for (size_t i = 0; i < n; i++) {
    if (!has_socket (self, &locals[i]))
      changed |= add_socket (self, now, &locals[i]) != NULL;
  }
  return changed;
}

/* Routes may have changed. What is opened later takes after these; what is open for a while only stays. */
static bool
update_outlets (PhCore *self)
{
  bool changed = false;

  for (guint i = 0; i < self->sockets->len; i++) {
    PhUdp *udp = self->sockets->pdata[i];
    const uint32_t outlet = ph_outlet_for (ph_udp_local (udp));

    if (outlet == ph_udp_outlet (udp))
      continue;
    ph_udp_set_outlet (udp, outlet);
    ph_core_tcp_update_outlets (self);
    changed = true;
  }
  return changed;
}

/* One socket for each address that this computer has. */
static bool
update_sockets (PhCore *self, PhTime now)
{
  g_autoptr (GArray) interfaces = ph_interfaces_list (PH_INTERFACES_LINK_LOCAL);
  bool changed = update_outlets (self);

  for (guint i = self->sockets->len; i-- > 0;) {
    PhUdp *udp = self->sockets->pdata[i];

    if (!has_address (interfaces, ph_udp_local (udp)) && !ph_core_nat64_is_current (self, udp)) {
      ph_endpoint_remove_socket (self->endpoint, now, ph_udp_id (udp));
      ph_core_nearby_remove_socket (self, now, ph_udp_id (udp));
      ph_core_tcp_remove_port (self, now, ph_udp_local (udp));
      g_ptr_array_remove_index (self->sockets, i);
      changed = true;
    }
  }
  for (guint i = 0; i < interfaces->len; i++) {
    const PhInterface *interface = &g_array_index (interfaces, PhInterface, i);

    if (!has_socket (self, &interface->addr)) {
      add_interface (self, now, interface);
      changed = true;
    }
  }
  return add_ways (self, now) || changed;
}

static void
network_changed (PhCore *self, PhTime now)
{
  ph_endpoint_network_changed (self->endpoint, now);
  if (self->nearby != NULL)
    ph_nearby_network_changed (self->nearby, now);
  ph_core_nat_want (self, now, true);
  ph_core_portmap_update (self, now, true);
  self->probe_wanted = true;
  ph_core_meetings_network_changed (self);
}

static void
interfaces_changed (void *user)
{
  PhCore *self = user;
  const PhTime now = ph_core_now (self);

  ph_nat64_finder_look (self->nat64);
  if (update_sockets (self, now))
    network_changed (self, now);
  ph_core_settle (self);
}

void
ph_core_network_renew (PhCore *self, PhTime now)
{
  update_sockets (self, now);
  network_changed (self, now);
}

void
ph_core_network_woke (PhCore *self, PhTime now)
{
  if (!self->connected)
    return;
  ph_nat64_finder_look (self->nat64);
  ph_core_network_renew (self, now);
}

void
ph_core_network_start (PhCore *self)
{
  g_autoptr (GError) error = NULL;

  ph_core_nat64_start (self);
  ph_core_nearby_update (self);
  ph_core_tcp_start (self);
  update_sockets (self, ph_core_now (self));
  ph_core_portmap_update (self, ph_core_now (self), false);
  self->monitor = ph_interface_monitor_new (g_main_context_get_thread_default (),
                                            interfaces_changed, self, &error);
  if (self->monitor == NULL)
    g_debug ("changes of the network go unnoticed: %s", error->message);
  ph_core_network_update_servers (self);
}

static void
cancel_lookups (PhCore *self)
{
  for (guint i = 0; i < self->lookups->len; i++) {
    PhLookup *lookup = self->lookups->pdata[i];

    ph_resolve_cancel (lookup->resolve);
  }
  g_ptr_array_set_size (self->lookups, 0);
}

void
ph_core_network_stop (PhCore *self)
{
  ph_core_nat_stop (self);
  ph_core_relay_stop (self);
  ph_core_nearby_stop (self);
  ph_core_portmap_stop (self);
  cancel_lookups (self);
  g_clear_pointer (&self->monitor, ph_interface_monitor_free);
  ph_core_nat64_stop (self);
}

/* --- STUN servers ------------------------------------------------------------------------------- */

static void
looked_up (void *user, const PhAddr *addrs, size_t n, const GError *error)
{
  PhLookup *lookup = user;
  PhCore *self = lookup->core;

  for (size_t i = 0; i < n; i++) {
    const PhAddr addr = ph_core_nat64_plain (self, &addrs[i]);

    g_array_append_val (self->stun_addrs, addr);
  }
  g_ptr_array_remove (self->lookups, lookup);
  if (error != NULL)
    g_debug ("STUN server: %s", error->message);
  if (self->lookups->len == 0) {
    ph_endpoint_set_stun_servers (self->endpoint, ph_core_now (self),
                                  (const PhAddr *)(void *)self->stun_addrs->data,
                                  self->stun_addrs->len);
    ph_core_nat_want (self, ph_core_now (self), false);
  }
  ph_core_settle (self);
}

static void
look_up (PhCore *self, const char *host_port)
{
  PhLookup *lookup;

  if (self->lookups->len >= PH_GATHERER_SERVERS_MAX)
    return;
  lookup = g_new0 (PhLookup, 1);
  lookup->core = self;
  lookup->resolve =
      ph_resolve (g_main_context_get_thread_default (), host_port, STUN_PORT, looked_up, lookup);
  g_ptr_array_add (self->lookups, lookup);
}

void
ph_core_network_update_servers (PhCore *self)
{
  g_autofree char *setting = ph_core_setting (self, "stun");
  g_auto (GStrv) own = g_strsplit_set (setting, ", ", -1);

  if (!self->connected)
    return;
  self->probe_wanted = true;
  cancel_lookups (self);
  g_array_set_size (self->stun_addrs, 0);
  for (size_t i = 0; own[i] != NULL; i++) {
    if (*own[i] != '\0')
      look_up (self, g_str_has_prefix (own[i], "stun:") ? own[i] + strlen ("stun:") : own[i]);
  }
  for (guint m = 0; m < self->meetings->len; m++) {
    const PhMeeting *meeting = self->meetings->pdata[m];

    for (unsigned i = 0; i < meeting->ice.n; i++) {
      if (meeting->ice.servers[i].kind == PH_ICE_SERVER_STUN)
        look_up (self, meeting->ice.servers[i].host_port);
    }
  }
  if (self->lookups->len == 0)
    ph_endpoint_set_stun_servers (self->endpoint, ph_core_now (self), NULL, 0);
  ph_core_relay_update_servers (self);
}

/* --- The report --------------------------------------------------------------------------------- */

void
ph_core_network_report (PhCore *self, uint32_t command, uint32_t timeout_ms)
{
  const PhReportWait wait = {command, ph_time_add (ph_core_now (self), timeout_ms * PH_MSEC)};

  g_array_append_val (self->reports, wait);
  ph_endpoint_set_relay_wanted (self->endpoint, ph_core_now (self), true);
}

/* A meeting point that we are about to reach may hand out STUN servers; also where the last try failed and another is under
 * way, as when a translator is found or the network has changed: that one is told as offline until it is over. */
static bool
may_get_servers (const PhCore *self)
{
  for (guint i = 0; i < self->meetings->len && self->stun_addrs->len == 0; i++) {
    const PhMeeting *meeting = self->meetings->pdata[i];

    switch (ph_rendezvous_client_state (ph_rendezvous_driver_client (meeting->driver))) {
    case PH_RENDEZVOUS_CONNECTING:
    case PH_RENDEZVOUS_GREETING:
    case PH_RENDEZVOUS_LOGGING_IN:
      return true;
    case PH_RENDEZVOUS_STOPPED:
    case PH_RENDEZVOUS_ONLINE:
    case PH_RENDEZVOUS_WAITING:
    case PH_RENDEZVOUS_IS_REPLACED:
      break;
    }
  }
  return false;
}

void
ph_core_network_check_reports (PhCore *self, PhTime now)
{
  const bool told =
      self->lookups->len == 0 && (self->nat64 == NULL || !ph_nat64_finder_is_looking (self->nat64))
      && !ph_core_relay_is_looking (self) && !may_get_servers (self)
      && ph_gatherer_done (ph_endpoint_gatherer (self->endpoint)) && !ph_core_nat_is_pending (self)
      && !ph_core_nat_knock_is_pending (self) && !ph_core_portmap_is_pending (self)
      && !self->probe_wanted && !ph_core_is_probing (self);

  for (guint i = self->reports->len; i-- > 0;) {
    const PhReportWait wait = g_array_index (self->reports, PhReportWait, i);

    if (told || now >= wait.until) {
      g_autofree char *report = ph_core_nat_report (self);

      g_array_remove_index (self->reports, i);
      ph_core_done (self, wait.command, NULL, report);
      if (self->reports->len == 0)
        ph_endpoint_set_relay_wanted (self->endpoint, now, false);
    }
  }
}

PhTime
ph_core_network_next_timeout (const PhCore *self)
{
  PhTime next = PH_NEVER;

  for (guint i = 0; i < self->reports->len; i++)
    next = ph_time_min (next, g_array_index (self->reports, PhReportWait, i).until);
  next = ph_time_min (next, self->network_at);
  return next;
}

/* --- Telling ------------------------------------------------------------------------------------ */

void
ph_core_check_network (PhCore *self, const PhCommand *command)
{
  const PhTime now = ph_core_now (self);

  if (self->connected) {
    ph_core_nat_ask_again (self, now);
    self->probe_wanted = true;
  }
  ph_core_network_report (self, command->number, command->amount);
}

void
ph_core_tell_network (PhCore *self)
{
  if (self->network != NULL)
    ph_core_emit (self, (PhEvent){.type = PH_EVENT_NETWORK, .text = self->network});
}

void
ph_core_network_look (PhCore *self, PhTime now)
{
  g_autofree char *report = NULL;

  if (!self->connected)
    return;
  if (self->probe_wanted && self->lookups->len == 0 && !may_get_servers (self)
      && !ph_core_is_probing (self)) {
    self->probe_wanted = false;
    ph_core_probe_all (self);
  }
  self->network_at = ph_time_add (self->network_looked, PH_CORE_NETWORK_INTERVAL);
  if (now < self->network_at)
    return;
  self->network_at = PH_NEVER;
  self->network_looked = now;
  if (ph_core_nat_is_pending (self) || self->probe_wanted || ph_core_is_probing (self))
    return; /* its end is an input too */
  report = ph_core_nat_report (self);
  if (g_strcmp0 (report, self->network) == 0)
    return;
  g_free (self->network);
  self->network = g_steal_pointer (&report);
  ph_core_tell_network (self);
}
