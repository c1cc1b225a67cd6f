/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "tests/sim/ph-sim-stack.h"

#include "net/signal/ph-signal-body.h"

#include <stdio.h>

/* How long the rendezvous takes a silent client for present. */
#define RENDEZVOUS_PATIENCE (30 * PH_SEC)

typedef struct {
  PhSimDevice *to;
  GBytes *body;
} Signal;

static void
print_trace (void *user, PhTime now, const char *module, const char *line)
{
  const PhSimDevice *device = user;

  printf ("# %8.3f ms  %s %s: %s\n", (double)(now - PH_SIM_START) / 1e6, device->name, module,
          line);
}

static PhSimDevice *
other_device (const PhSimDevice *device)
{
  return &device->stack->device[!device->who];
}

static PhConnector *
device_connector (const PhSimDevice *device)
{
  return ph_endpoint_peer (device->base.endpoint, device->contact);
}

/* --- Signals ------------------------------------------------------------------------------------ */

/* The candidates in a signal: what its receiver may send to. */
static void
tell_candidates (const PhSimDevice *device, PhSlice body)
{
  PhReader r = ph_reader (body);
  PhSignalMessage message;

  while (ph_signal_message_next (&r, &message) == PH_SIGNAL_OK) {
    for (unsigned i = 0; i < message.n_candidates; i++) {
      PhReader one = ph_reader (message.candidates[i]);
      PhCandidate candidate;

      ph_candidate_read (&one, &candidate);
      g_assert_true (ph_reader_done (&one));
      g_assert_true (ph_candidate_is_told (&candidate));
      ph_sim_world_tell (device->stack->world, device->who, &candidate.addr);
    }
  }
}

static PhSlice
bytes_slice (GBytes *bytes)
{
  gsize len;
  const void *data = g_bytes_get_data (bytes, &len);

  return ph_slice (data, len);
}

static void
device_take_signal (PhSimDevice *device, PhTime now, GBytes *body)
{
  tell_candidates (device, bytes_slice (body));
  ph_connector_handle_signal (device_connector (device), now, bytes_slice (body));
}

static void
signal_free (void *data)
{
  Signal *signal = data;

  g_clear_pointer (&signal->body, g_bytes_unref);
  g_free (signal);
}

static void
on_signal (void *user, PhTime now)
{
  Signal *signal = user;

  if (signal->to->stack->signalling) {
    device_take_signal (signal->to, now, signal->body);
    ph_sim_driver_settle (signal->to->driver);
  }
  g_clear_pointer (&signal->body, g_bytes_unref);
}

static void
post_signal (PhSimDevice *device, PhTime now, GBytes *body)
{
  PhSim *sim = device->stack->world->sim;
  Signal *signal = g_new0 (Signal, 1);

  signal->to = other_device (device);
  signal->body = g_bytes_ref (body);
  ph_sim_own (sim, signal, signal_free);
  ph_sim_at (sim, now + device->stack->signal_delay, on_signal, signal);
}

static void
device_send_signal (PhSimDevice *device, PhTime now, GBytes *body)
{
  /* Over the rendezvous while there is one: a link may be dead without anybody knowing yet. */
  if (!device->stack->signalling
      && ph_session_send_signal (device->session->session, now, bytes_slice (body))) {
    g_bytes_unref (body);
    return;
  }
  device->n_signals++;
  post_signal (device, now, body);
  if (device->stack->options.signals_twice)
    post_signal (device, now, body);
  g_bytes_unref (body);
}

/* --- The core ----------------------------------------------------------------------------------- */

static void
device_handle_timeout (void *core, PhTime now)
{
  PhSimDevice *device = core;

  ph_endpoint_handle_timeout (device->base.endpoint, now);
  ph_session_handle_timeout (device->session->session, now);
}

static PhTime
device_next_timeout (const void *core, const char **ret_why)
{
  const PhSimDevice *device = core;
  const PhTime when = ph_endpoint_next_timeout (device->base.endpoint, ret_why);

  return ph_sim_session_timeout (device->session->session, when, ret_why);
}

static void
device_connector_event (PhSimDevice *device, PhTime now, PhConnectorEvent *event)
{
  switch (event->type) {
  case PH_CONNECTOR_EVENT_LINK_WRITABLE:
    break;
  case PH_CONNECTOR_EVENT_LINK_READY:
    if (device->n_ready++ == 0)
      device->first_ready_at = now;
    device->path = event->path;
    g_ptr_array_add (device->links, event->link);
    break;
  case PH_CONNECTOR_EVENT_LINK:
    break;
  case PH_CONNECTOR_EVENT_LINK_CLOSED:
    device->n_closed++;
    g_ptr_array_remove (device->links, event->link);
    break;
  case PH_CONNECTOR_EVENT_PATH:
    device->n_path++;
    device->path = event->path;
    break;
  case PH_CONNECTOR_EVENT_FAILED:
    device->n_failed++;
    device->failure = event->failure;
    break;
  }
  ph_sim_tell_session (device->session->session, now, event);
}

/* The client's side sees to it, as in the engine. */
static bool
device_close_old_links (PhSimDevice *device, PhTime now)
{
  if (!ph_connector_is_client (device_connector (device)))
    return false;
  for (guint i = 0; i < device->links->len; i++) {
    PhLink *link = device->links->pdata[i];

    if (ph_link_state (link) == PH_LINK_READY
        && ph_session_link_replaced (device->session->session, link)) {
      ph_connector_close_link (device_connector (device), now, link, 0, "replaced");
      return ph_link_state (link) != PH_LINK_READY; /* one on TCP may have to wait with it */
    }
  }
  return false;
}

static void
on_disk (void *user, PhTime now)
{
  PhSimDevice *device = user;

  device->work_timer = 0;
  if (ph_session_peer_work (device->session, now))
    ph_sim_driver_settle (device->driver);
}

/* Opens and closes what guessing ports takes. */
static bool
device_move_sockets (PhSimDevice *device, PhTime now)
{
  uint8_t key[PH_KEY_LEN];
  PhAddr local, bound;
  unsigned n;
  bool any = false;

  while (ph_endpoint_poll_fresh_wish (device->base.endpoint, key, &local, &n)) {
    for (unsigned i = 0; i < n; i++) {
      const uint32_t socket = ph_sim_host_open (device->host, &local, &bound);

      g_assert_cmpuint (socket, !=, 0);
      device->fresh_sockets++;
      ph_endpoint_add_fresh_socket (device->base.endpoint, now, key, socket, &bound);
    }
    any = true;
  }
  for (uint32_t socket; (socket = ph_endpoint_poll_unused (device->base.endpoint)) != 0;) {
    device->fresh_sockets--;
    ph_sim_host_close (device->host, socket);
  }
  return any;
}

static bool
device_drain (void *core, PhTime now)
{
  PhSimDevice *device = core;
  PhSim *sim = device->stack->world->sim;
  PhConnectorEvent event;
  uint8_t key[PH_KEY_LEN];
  GBytes *body;
  bool any = false;

  while (ph_endpoint_poll_event (device->base.endpoint, key, &event)) {
    g_assert_cmpmem (key, PH_KEY_LEN, device->contact, PH_KEY_LEN);
    device_connector_event (device, now, &event);
    any = true;
  }
  any |= device_move_sockets (device, now);
  ph_session_peer_poll (device->session, now);
  while (device->session->signals->len > 0) {
    g_autoptr (GBytes) signal = g_ptr_array_steal_index (device->session->signals, 0);

    device_take_signal (device, now, signal);
    any = true;
  }
  while ((body = ph_endpoint_poll_signal (device->base.endpoint, key)) != NULL) {
    device_send_signal (device, now, body);
    any = true;
  }
  any |= device_close_old_links (device, now);
  if (device->work_timer == 0)
    device->work_timer = ph_sim_at (sim, now + PH_SIM_DISK_INTERVAL, on_disk, device);
  return any;
}

static const PhSimCore device_class = {
    PH_SIM_ENDPOINT_VERBS,
    .handle_timeout = device_handle_timeout,
    .drain = device_drain,
    .next_timeout = device_next_timeout,
};

/* --- Making them -------------------------------------------------------------------------------- */

static void
device_open_port (PhSimDevice *device, int i, const PhAddr *ip)
{
  PhAddr local;

  if (!device->stack->options.tcp)
    return;
  device->port[i] = ph_sim_host_listen (device->host, ip, &local);
  g_assert_cmpuint (device->port[i], !=, 0);
  g_assert_true (ph_endpoint_add_port (
      device->base.endpoint, ph_sim_now (device->stack->world->sim), device->port[i], &local));
}

static void
device_open_sockets (PhSimDevice *device)
{
  const PhSimWorld *world = device->stack->world;
  const PhAddr bind[PH_SIM_STACK_SOCKETS] = {world->ip[device->who], world->ip6[device->who]};

  for (int i = 0; i < PH_SIM_STACK_SOCKETS; i++) {
    PhAddr local;

    if (!ph_addr_is_set (&bind[i]))
      continue;
    device->socket[i] = ph_sim_host_open (device->host, &bind[i], &local);
    g_assert_cmpuint (device->socket[i], !=, 0);
    g_assert_true (ph_endpoint_add_socket (device->base.endpoint, ph_sim_now (world->sim),
                                           device->socket[i], &local));
    device_open_port (device, i, &bind[i]);
  }
}

/* What the NAT discovery would say. */
static PhPunchNat
device_nat (const PhSimDevice *device)
{
  const PhSimWorld *world = device->stack->world;
  const PhSimNat *own = world->nat[device->who], *carrier = world->carrier[device->who];
  const PhSimSide side = {
      own != NULL ? ph_sim_nat_config (own) : NULL,
      carrier != NULL ? ph_sim_nat_config (carrier) : NULL,
  };
  PhSimNatConfig box;

  if (!ph_sim_side_as_one (&side, &box))
    return (PhPunchNat){.kind = PH_PUNCH_NAT_EASY};
  if (box.mapping == PH_SIM_EI)
    return (PhPunchNat){.kind =
                            box.filtering == PH_SIM_APD ? PH_PUNCH_NAT_STRICT : PH_PUNCH_NAT_EASY};
  if (box.ports == PH_SIM_PORT_SEQUENTIAL)
    return (PhPunchNat){PH_PUNCH_NAT_SEQUENTIAL, box.port_step != 0 ? box.port_step : 1,
                        box.mapping == PH_SIM_AD};
  if (box.ports == PH_SIM_PORT_CHUNK)
    return (PhPunchNat){PH_PUNCH_NAT_SEQUENTIAL, 1, box.mapping == PH_SIM_AD};
  return (PhPunchNat){.kind = PH_PUNCH_NAT_RANDOM};
}

static void
device_set_relays (PhSimDevice *device, const char *user, const char *password, PhTime expires_at)
{
  const PhSimStack *stack = device->stack;
  PhRelayServer servers[PH_SIM_STACK_RELAYS_MAX] = {0};

  for (unsigned i = 0; i < stack->options.relays; i++) {
    servers[i].transport = PH_RELAY_UDP;
    servers[i].addr = stack->turn[i]->view.addr;
    servers[i].expires_at = expires_at;
    g_strlcpy (servers[i].username, user, sizeof servers[i].username);
    g_strlcpy (servers[i].password, password, sizeof servers[i].password);
    ph_sim_world_tell (stack->world, device->who, &servers[i].addr);
  }
  ph_endpoint_set_relay_servers (device->base.endpoint, ph_sim_now (stack->world->sim), servers,
                                 stack->options.relays);
}

static void
set_relays (PhSimStack *self, const char *user, const char *password, PhTime expires_at)
{
  for (int who = 0; who < 2; who++) {
    device_set_relays (&self->device[who], user, password, expires_at);
    ph_sim_driver_settle (self->device[who].driver);
  }
}

void
ph_sim_stack_set_relay_password (PhSimStack *self, const char *password)
{
  set_relays (self, PH_SIM_TURN_USER, password, PH_NEVER);
}

void
ph_sim_stack_renew_relay_credentials (PhSimStack *self, PhTime expires_at)
{
  set_relays (self, PH_SIM_TURN_RENEWED_USER, PH_SIM_TURN_PASSWORD, expires_at);
}

static void
start_relays (PhSimStack *self)
{
  g_assert_cmpuint (self->options.relays, <=, PH_SIM_STACK_RELAYS_MAX);
  for (unsigned i = 0; i < self->options.relays; i++) {
    PhAddr addr = ph_addr_ipv4 (192, 0, 2, (uint8_t)(50 + i), 3478);
    g_autofree char *name = g_strdup_printf ("turn%u", i);

    if (self->options.relays_ipv6) {
      addr = self->world->stun6;
      addr.ip[15] = (uint8_t)(50 + i);
    }
    self->turn[i] = ph_sim_turn_new (self->world->sim, name, self->world->internet, &addr);
  }
}

static void
device_start_endpoint (PhSimDevice *device)
{
  const PhSimWorld *world = device->stack->world;
  const PhAddr servers[] = {world->stun, world->stun6};
  PhEndpointConfig config = {
      .identity = device->identity,
      .random = device->session->random,
      .trace = device->trace,
  };

  memcpy (config.key, device->key, PH_KEY_LEN);
  device->base.endpoint = ph_endpoint_new (&config);
  device_open_sockets (device);
  ph_endpoint_set_stun_servers (device->base.endpoint, ph_sim_now (world->sim), servers,
                                ph_addr_is_set (&world->ip6[device->who]) ? 2 : 1);
  device_set_relays (device, PH_SIM_TURN_USER, PH_SIM_TURN_PASSWORD,
                     device->stack->options.relay_names_end_at != 0
                         ? device->stack->options.relay_names_end_at
                         : PH_NEVER);
  if (device->stack->options.guesses) {
    const PhPunchNat nat = device_nat (device);

    ph_endpoint_set_nat (device->base.endpoint, ph_sim_now (world->sim), &nat, true);
  }
}

static void
device_init (PhSimStack *stack, PhSimWho who)
{
  PhSimDevice *device = &stack->device[who];
  PhSim *sim = stack->world->sim;
  const PhRandom *random = ph_sim_random_for (sim, who == 0 ? "device0" : "device1");
  uint8_t seed[PH_TLS_SEED_LEN];

  device->stack = stack;
  device->who = who;
  device->name = g_strdup (who == 0 ? "left" : "right");
  device->host = stack->world->host[who];
  if (who == PH_SIM_LEFT && stack->options.trace.event != NULL)
    device->trace = stack->options.trace;
  else if (g_getenv ("PH_SIM_TRACE") != NULL)
    device->trace = (PhTrace){print_trace, device};
  ph_random_bytes (random, seed, sizeof seed);
  device->identity = ph_tls_identity_new (seed);
  memcpy (device->key, ph_tls_identity_key (device->identity), PH_KEY_LEN);
  device->session = ph_session_peer_new (device->name, *random, &device->trace);
  device->session->accepts = true;
  device->links = g_ptr_array_new ();
}

static void
stack_free (void *data)
{
  PhSimStack *self = data;

  for (int who = 0; who < 2; who++) {
    PhSimDevice *device = &self->device[who];

    ph_session_peer_free (device->session);
    ph_endpoint_free (device->base.endpoint);
    ph_tls_identity_unref (device->identity);
    g_ptr_array_unref (device->links);
    g_free (device->name);
  }
  g_free (self);
}

PhSimStack *
ph_sim_stack_new (PhSimWorld *world, const PhSimStackOptions *options)
{
  PhSimStack *self = g_new0 (PhSimStack, 1);

  if (options != NULL)
    self->options = *options;

  self->world = world;
  self->signalling = true;
  start_relays (self);
  world->guessing = self->options.guesses;
  self->signal_delay = ph_sim_iface_up (world->line[0])->delay
                       + ph_sim_iface_up (world->line[1])->delay + 5 * PH_MSEC;
  for (int who = 0; who < 2; who++)
    device_init (self, (PhSimWho)who);
  for (int who = 0; who < 2; who++)
    memcpy (self->device[who].contact, self->device[!who].key, PH_KEY_LEN);
  if (self->options.impostor)
    self->device[PH_SIM_LEFT].contact[PH_KEY_LEN - 1] ^=
        1; /* the order of keys, and so roles, stay */
  for (int who = 0; who < 2; who++) {
    PhSimDevice *device = &self->device[who];

    device_start_endpoint (device);
    device->driver = ph_sim_driver_new (world->sim, device->host, &device_class, device);
    device_connector (device);
  }
  ph_sim_own (world->sim, self, stack_free);
  for (int who = 0; who < 2; who++)
    ph_sim_driver_settle (self->device[who].driver);
  return self;
}

void
ph_sim_stack_want (PhSimStack *self, PhSimWho who)
{
  PhSimDevice *device = &self->device[who];

  ph_connector_set_wanted (device_connector (device), ph_sim_now (self->world->sim), true);
  ph_sim_driver_settle (device->driver);
}

static PhPeerTransfer *
stack_offer (PhSimStack *self, PhSimWho from, PhMemoryFiles *files)
{
  PhSimDevice *device = &self->device[from];
  PhPeerTransfer *transfer =
      ph_session_peer_offer (device->session, ph_sim_now (self->world->sim), files);

  ph_sim_stack_want (self, from);
  return transfer;
}

PhPeerTransfer *
ph_sim_stack_send (PhSimStack *self, PhSimWho from, unsigned count, uint64_t size_max)
{
  PhMemoryFiles *files = ph_memory_files_new (self->device[from].session->random);

  ph_memory_files_fill (files, count, size_max);
  return stack_offer (self, from, files);
}

PhPeerTransfer *
ph_sim_stack_send_one (PhSimStack *self, PhSimWho from, uint64_t size)
{
  PhMemoryFiles *files = ph_memory_files_new (self->device[from].session->random);

  ph_memory_files_fill_one (files, size);
  return stack_offer (self, from, files);
}

/* --- Running ------------------------------------------------------------------------------------ */

void
ph_sim_stack_run (PhSimStack *self, PhTime interval)
{
  ph_sim_run (self->world->sim, ph_sim_now (self->world->sim) + interval);
}

bool
ph_sim_stack_run_over (PhSimStack *self, const PhPeerTransfer *transfer, PhTime interval)
{
  return ph_sim_run_over (self->world->sim, transfer, interval);
}

uint64_t
ph_sim_stack_written (PhSimStack *self, const PhPeerTransfer *transfer)
{
  const PhPeerTransfer *twin = ph_sim_stack_twin (self, transfer);

  return twin != NULL && twin->disk != NULL ? twin->disk->bytes_written : 0;
}

PhTime
ph_sim_stack_longest_pause (PhSimStack *self, const PhPeerTransfer *transfer, PhTime interval)
{
  const PhTime from = ph_sim_now (self->world->sim);
  PhTime last = from, longest = 0;
  uint64_t had = ph_sim_stack_written (self, transfer);

  while (transfer->past == PH_PAST_UNKNOWN && ph_sim_now (self->world->sim) < from + interval) {
    ph_sim_stack_run (self, 5 * PH_MSEC);

    const uint64_t has = ph_sim_stack_written (self, transfer);
    const PhTime now = ph_sim_now (self->world->sim);

    longest = MAX (longest, ph_time_since (now, last));
    if (has != had)
      last = now;
    had = has;
  }
  return longest;
}

bool
ph_sim_stack_is_ready (const PhSimStack *self)
{
  for (int who = 0; who < 2; who++) {
    if (!ph_connector_is_up (device_connector (&self->device[who])))
      return false;
  }
  return true;
}

static bool
is_ready (void *user)
{
  return ph_sim_stack_is_ready (user);
}

bool
ph_sim_stack_run_ready (PhSimStack *self, PhTime interval)
{
  PhSim *sim = self->world->sim;

  return ph_sim_run_while_not (sim, ph_sim_now (sim) + interval, is_ready, self);
}

PhPeerTransfer *
ph_sim_stack_twin (PhSimStack *self, const PhPeerTransfer *transfer)
{
  PhPeerTransfer *left = ph_session_peer_find (self->device[0].session, &transfer->id);
  PhPeerTransfer *right = ph_session_peer_find (self->device[1].session, &transfer->id);

  return left == transfer ? right : left;
}

void
ph_sim_stack_set_signalling (PhSimStack *self, bool signalling)
{
  self->signalling = signalling;
  for (int who = 0; signalling && who < 2; who++) {
    ph_connector_retry_now (device_connector (&self->device[who]), ph_sim_now (self->world->sim));
    ph_sim_driver_settle (self->device[who].driver);
  }
}

static bool
device_wants (const PhSimDevice *device)
{
  for (guint i = 0; i < device->session->transfers->len; i++) {
    const PhPeerTransfer *transfer = device->session->transfers->pdata[i];

    if (transfer->past == PH_PAST_UNKNOWN)
      return true;
  }
  return false;
}

void
ph_sim_stack_crash (PhSimStack *self, PhSimWho who)
{
  PhSimDevice *device = &self->device[who];
  const PhTime now = ph_sim_now (self->world->sim);

  for (int i = 0; i < PH_SIM_STACK_SOCKETS; i++) {
    ph_sim_host_close (device->host, device->socket[i]);
    device->socket[i] = 0;
  }
  ph_sim_host_reset_all (device->host);
  ph_session_peer_restart (device->session, now);
  ph_endpoint_free (device->base.endpoint);
  g_ptr_array_set_size (device->links, 0);
  device_start_endpoint (device);
  device_connector (device);
  if (device_wants (device))
    ph_sim_stack_want (self, who);
  ph_sim_driver_settle (device->driver);
}

void
ph_sim_stack_sleep (PhSimStack *self, PhSimWho who, PhTime interval)
{
  PhSimDevice *device = &self->device[who];

  ph_sim_driver_sleep (device->driver, true);
  ph_sim_stack_run (self, interval);
  ph_sim_driver_sleep (device->driver, false);
  ph_endpoint_network_changed (device->base.endpoint, ph_sim_now (self->world->sim));
  ph_sim_driver_settle (device->driver);
  /* It logs in again, and the other one is told. */
  if (interval >= RENDEZVOUS_PATIENCE)
    ph_sim_stack_set_signalling (self, self->signalling);
}

void
ph_sim_stack_move (PhSimStack *self, PhSimWho who, const PhAddr *ip)
{
  PhSimDevice *device = &self->device[who];
  const PhTime now = ph_sim_now (self->world->sim);
  const int i = ip->family == PH_FAMILY_IPV6 ? 1 : 0;

  ph_sim_host_change_address (device->host, self->world->iface[who], ip);
  ph_sim_host_close (device->host, device->socket[i]);
  ph_endpoint_remove_socket (device->base.endpoint, now, device->socket[i]);
  ph_endpoint_remove_socket (device->base.endpoint, now, device->port[i]);
  ph_sim_host_unlisten (device->host, device->port[i]);
  *(i == 0 ? &self->world->ip[who] : &self->world->ip6[who]) = *ip;

  PhAddr local;

  device->socket[i] = ph_sim_host_open (device->host, ip, &local);
  g_assert_cmpuint (device->socket[i], !=, 0);
  ph_endpoint_add_socket (device->base.endpoint, now, device->socket[i], &local);
  device_open_port (device, i, ip);
  ph_endpoint_network_changed (device->base.endpoint, now);
  ph_sim_driver_settle (device->driver);
}
