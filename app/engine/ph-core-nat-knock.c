/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Has a meeting point knock at TCP ports of ours, and so finds out who is let in: at fresh ports, what the router or
 * firewall filters; at the one that the router says it has opened, whether that is so. */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/engine/ph-core-private.h"
#include "net/io/ph-tcp.h"
#include "net/nat/ph-nat-knock.h"

G_STATIC_ASSERT (PH_NAT_TOKEN_LEN == PH_RENDEZVOUS_KNOCK_TOKEN_LEN);
G_STATIC_ASSERT (PH_NAT_GREETING_MAX >= PH_RENDEZVOUS_GREETING_LEN);

struct _PhNatKnockRun {
  PhCore *core;
  PhTcp *tcp; /* owned */
  PhNatKnock *knock; /* owned; NULL while the port is being made */
  PhMeeting *meeting; /* borrowed: meetings live as long as the core */
  uint64_t handle; /* of the knock there; 0: not under way */
  PhNatKnockConfig config;
};

/* --- A fresh port ------------------------------------------------------------------------------- */

static void
run_free (PhNatKnockRun *self)
{
  if (self == NULL)
    return;
  ph_nat_knock_free (self->knock);
  ph_tcp_free (self->tcp);
  g_free (self);
}

static uint32_t
new_id (void *user)
{
  PhNatKnockRun *self = user;

  return ++self->core->last_socket;
}

static void
event (void *user, const PhConnectionEvent *what)
{
  PhNatKnockRun *self = user;

  ph_nat_knock_handle_connection (self->knock, ph_core_now (self->core), what);
}

static void
received (void *user, const PhDatagram *in)
{
  PhNatKnockRun *self = user;

  ph_nat_knock_handle_packet (self->knock, ph_core_now (self->core), in);
}

static void
batch_done (void *user)
{
  ph_core_settle (((PhNatKnockRun *)user)->core);
}

static void
writable (void *user, uint32_t socket)
{
}

static void
run_start (PhCore *core, PhTime now, PhMeeting *meeting, const PhNatKnockConfig *config)
{
  static const PhTcpCallbacks callbacks = {new_id, event, received, batch_done, writable};
  PhNatKnockRun *self = g_new0 (PhNatKnockRun, 1);

  self->core = core;
  self->meeting = meeting;
  self->config = *config;
  self->config.port = ++core->last_socket;
  self->tcp = ph_tcp_new (g_main_context_get_thread_default (), &callbacks, self);
  if (!ph_core_tcp_listen (core, self->tcp, self->config.port, &config->local)) {
    run_free (self);
    return;
  }
  self->config.local = *ph_tcp_local (self->tcp, self->config.port);
  ph_random_bytes (&core->random, self->config.token, sizeof self->config.token);
  ph_rendezvous_greeting (self->config.token, self->config.greeting);
  self->config.greeting_len = PH_RENDEZVOUS_GREETING_LEN;
  self->knock = ph_nat_knock_new (&self->config, now);
  core->nat_knocks[config->stranger ? 0 : 1] = self;
}

/* Whether there was anything to do. */
static bool
run_settle (PhNatKnockRun *self, PhTime now)
{
  PhTransmit tx = {.data = self->core->tx_buffer, .cap = PH_TRANSMIT_MAX};
  PhConnectionOp op;
  uint16_t port;
  bool busy = false;

  while (ph_nat_knock_poll_connection (self->knock, &op)) {
    ph_tcp_do (self->tcp, &op);
    busy = true;
  }
  while (ph_nat_knock_poll_transmit (self->knock, now, &tx)) {
    ph_tcp_send (self->tcp, &tx);
    busy = true;
  }
  if (ph_nat_knock_poll_knock (self->knock, &port)) {
    self->handle = ph_rendezvous_client_knock (ph_rendezvous_driver_client (self->meeting->driver),
                                               now, port, self->config.token);
    if (self->handle == 0)
      ph_nat_knock_handle_knocked (self->knock, now, false);
    else
      ph_rendezvous_driver_settle (self->meeting->driver);
    busy = true;
  }
  return busy;
}

/* --- Whom to ask -------------------------------------------------------------------------------- */

static bool
can_knock (PhMeeting *meeting, PhAddr *ret_seen_as, PhAddr *ret_rendezvous)
{
  if (meeting->status != PH_STATUS_ONLINE
      || !ph_rendezvous_client_can_knock (ph_rendezvous_driver_client (meeting->driver),
                                          ret_seen_as)
      || !ph_rendezvous_driver_remote (meeting->driver, ret_rendezvous))
    return false;
  *ret_rendezvous = ph_core_nat64_plain (meeting->core, ret_rendezvous);
  return true;
}

/* The own one, if it can, else any; NULL: there is none. */
static PhMeeting *
find_meeting (PhCore *self, PhAddr *ret_seen_as, PhAddr *ret_rendezvous)
{
  PhMeeting *found = NULL;
  PhMeeting *own;

  /* Looked for at every input while there is none, so the setting is read only where there is one. */
  for (guint i = 0; i < self->meetings->len && found == NULL; i++) {
    if (can_knock (self->meetings->pdata[i], ret_seen_as, ret_rendezvous))
      found = self->meetings->pdata[i];
  }
  own = found != NULL ? ph_core_own_meeting (self) : NULL;
  return own != NULL && can_knock (own, ret_seen_as, ret_rendezvous) ? own : found;
}

/* Our address where the meeting point sees us without translation, else the one whose NAT is asked for. */
static bool
pick_local (const PhCore *self, const PhAddr *seen_as, PhAddr *ret_local)
{
  const PhNatDiscoveryConfig *asked = ph_core_nat_asked (self);

  for (guint i = 0; i < self->sockets->len; i++) {
    const PhAddr *local = ph_udp_local (self->sockets->pdata[i]);

    if (ph_addr_equal_ip (local, seen_as)) {
      *ret_local = *local;
      return true;
    }
  }
  if (asked == NULL || asked->mapping_local.family != seen_as->family)
    return false;
  *ret_local = asked->mapping_local;
  return true;
}

static void
start (PhCore *self, PhTime now, PhMeeting *meeting, const PhAddr *seen_as,
       const PhAddr *rendezvous)
{
  const PhNatDiscoveryConfig *asked = ph_core_nat_asked (self);
  PhNatKnockConfig config = {
      .seen_as = *seen_as,
      .rendezvous = *rendezvous,
      .random = self->random,
      .trace = &self->trace,
  };

  self->nat_knocks_wanted = false;
  if (rendezvous->family != seen_as->family || !pick_local (self, seen_as, &config.local))
    return;
  if (asked != NULL) {
    config.n_servers = asked->n_servers;
    memcpy (config.servers, asked->servers, sizeof config.servers);
  }
  for (unsigned i = 0; i < G_N_ELEMENTS (self->nat_knocks); i++) {
    g_clear_pointer (&self->nat_knocks[i], run_free);
    self->nat_heard[i] = PH_NAT_UNTESTED;
    config.stranger = i == 0;
    run_start (self, now, meeting, &config);
  }
}

/* --- The port that the router has opened -------------------------------------------------------- */

static void
knock_at_mapped (PhCore *self, PhTime now, PhMeeting *meeting, const PhAddr *seen_as)
{
  PhMappedPort *mapped = &self->mapped_tcp;
  uint8_t token[PH_RENDEZVOUS_KNOCK_TOKEN_LEN];

  mapped->asked = true;
  mapped->open = PH_NAT_UNTESTED;
  /* Somebody else stands between the router and the meeting point: the knock would go to them. */
  if (!ph_addr_equal_ip (&mapped->external, seen_as))
    return;
  ph_random_bytes (&self->random, token, sizeof token);
  ph_rendezvous_greeting (token, mapped->greeting);
  mapped->meeting = meeting;
  mapped->handle = ph_rendezvous_client_knock (ph_rendezvous_driver_client (meeting->driver), now,
                                               mapped->external.port, token);
  if (mapped->handle != 0)
    ph_rendezvous_driver_settle (meeting->driver);
}

void
ph_core_nat_knock_mapped (PhCore *self, uint32_t port, const PhAddr *external)
{
  PhMappedPort *mapped = &self->mapped_tcp;
  const bool same = mapped->port == port && ph_addr_equal (&mapped->external, external);

  /* The first port that is mapped stands for all, as with UDP. */
  if (same || (ph_addr_is_set (&mapped->external) && mapped->port != port))
    return;
  *mapped = (PhMappedPort){.port = port, .external = *external};
}

void
ph_core_nat_knock_handle_packet (PhCore *self, const PhDatagram *in)
{
  PhMappedPort *mapped = &self->mapped_tcp;

  /* Short, and sent at once: it comes in one piece. To the endpoint it is a stranger's nonsense. */
  if (mapped->handle != 0 && in->bytes.len == sizeof mapped->greeting
      && memcmp (in->bytes.data, mapped->greeting, sizeof mapped->greeting) == 0)
    mapped->open = PH_NAT_YES;
}

/* --- What came of it ---------------------------------------------------------------------------- */

void
ph_core_nat_knocked (PhMeeting *meeting, PhTime now, const PhRendezvousEvent *event)
{
  PhCore *self = meeting->core;
  PhMappedPort *mapped = &self->mapped_tcp;
  const bool tried = event->code == PH_RENDEZVOUS_OK;

  for (unsigned i = 0; i < G_N_ELEMENTS (self->nat_knocks); i++) {
    PhNatKnockRun *run = self->nat_knocks[i];

    if (run == NULL || run->meeting != meeting || run->handle != event->handle)
      continue;
    run->handle = 0;
    ph_nat_knock_handle_knocked (run->knock, now, tried);
    /* The next connection to the meeting point, or to another one, may see it through. */
    self->nat_knocks_wanted |= event->code == PH_RENDEZVOUS_LOST;
  }
  if (mapped->handle != event->handle || mapped->meeting != meeting)
    return;
  mapped->handle = 0;
  mapped->asked = event->code != PH_RENDEZVOUS_LOST;
  if (mapped->open != PH_NAT_YES && tried)
    mapped->open = PH_NAT_NO;
}

/* What servers there are is known, and so is the address to ask them from. */
static bool
is_time (const PhCore *self)
{
  return self->lookups->len == 0
         && (self->stun_addrs->len == 0 || self->nat_wanted_since == PH_NEVER);
}

bool
ph_core_nat_knock_settle (PhCore *self, PhTime now)
{
  PhMappedPort *mapped = &self->mapped_tcp;
  const bool try_mapped = ph_addr_is_set (&mapped->external) && !mapped->asked;
  const bool try_fresh = self->nat_knocks_wanted && is_time (self);
  PhMeeting *meeting = NULL;
  PhAddr seen_as, rendezvous;
  bool busy = false;

  if (try_mapped || try_fresh)
    meeting = find_meeting (self, &seen_as, &rendezvous);
  if (meeting != NULL && try_mapped)
    knock_at_mapped (self, now, meeting, &seen_as);
  if (meeting != NULL && try_fresh)
    start (self, now, meeting, &seen_as, &rendezvous);

  for (unsigned i = 0; i < G_N_ELEMENTS (self->nat_knocks); i++) {
    PhNatKnockRun *run = self->nat_knocks[i];
    unsigned of_ipv6;

    if (run == NULL)
      continue;
    busy |= run_settle (run, now);
    if (!ph_nat_knock_poll_event (run->knock, &self->nat_heard[i]))
      continue;
    of_ipv6 = run->config.seen_as.family == PH_FAMILY_IPV6;
    g_clear_pointer (&self->nat_knocks[i], run_free);
    if (self->nat_knocks[0] == NULL && self->nat_knocks[1] == NULL)
      self->nat_tcp_filtering[of_ipv6] =
          ph_nat_tcp_filtering (self->nat_heard[0], self->nat_heard[1]);
    busy = true;
  }
  return busy;
}

void
ph_core_nat_knock_want (PhCore *self)
{
  self->nat_knocks_wanted = true;
  self->mapped_tcp.asked = false;
}

void
ph_core_nat_knock_stop (PhCore *self)
{
  for (unsigned i = 0; i < G_N_ELEMENTS (self->nat_knocks); i++)
    g_clear_pointer (&self->nat_knocks[i], run_free);
  self->nat_knocks_wanted = false;
  for (unsigned i = 0; i < G_N_ELEMENTS (self->nat_tcp_filtering); i++)
    self->nat_tcp_filtering[i] = PH_NAT_DEPENDENCE_UNKNOWN;
  self->mapped_tcp.handle = 0;
  self->mapped_tcp.asked = false;
  self->mapped_tcp.open = PH_NAT_UNTESTED;
}

void
ph_core_nat_knock_handle_timeout (PhCore *self, PhTime now)
{
  for (unsigned i = 0; i < G_N_ELEMENTS (self->nat_knocks); i++)
    if (self->nat_knocks[i] != NULL)
      ph_nat_knock_handle_timeout (self->nat_knocks[i]->knock, now);
}

PhTime
ph_core_nat_knock_next_timeout (const PhCore *self)
{
  PhTime next = PH_NEVER;
  const char *why;

  for (unsigned i = 0; i < G_N_ELEMENTS (self->nat_knocks); i++)
    if (self->nat_knocks[i] != NULL)
      next = ph_time_min (next, ph_nat_knock_next_timeout (self->nat_knocks[i]->knock, &why));
  return next;
}

bool
ph_core_nat_knock_is_pending (PhCore *self)
{
  const PhMappedPort *mapped = &self->mapped_tcp;
  PhAddr seen_as, rendezvous;

  return self->nat_knocks[0] != NULL || self->nat_knocks[1] != NULL || mapped->handle != 0
         || (((ph_addr_is_set (&mapped->external) && !mapped->asked) || self->nat_knocks_wanted)
             && find_meeting (self, &seen_as, &rendezvous) != NULL);
}
