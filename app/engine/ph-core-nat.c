/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Runs the NAT discovery, on two sockets of its own, and tells what it found. */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/engine/ph-core-private.h"

#include <json-glib/json-glib.h>

/* The discovery waits for a first STUN answer, so that it starts on an interface that works and after what
 * connecting needs; not much longer, since somebody may wait for the report where UDP is blocked. */
#define FIRST_ANSWER_INTERVAL (2 * PH_SEC)

/* --- Where to run ------------------------------------------------------------------------------- */

static bool
can_ask (const PhAddr *local, const PhAddr *server)
{
  const PhScope scope = ph_addr_scope (local);

  return local->family == server->family && scope != PH_SCOPE_LINK_LOCAL
         && (scope == PH_SCOPE_LOOPBACK) == (ph_addr_scope (server) == PH_SCOPE_LOOPBACK);
}

static size_t
servers_for (const PhCore *self, const PhAddr *local, PhAddr servers[PH_NAT_SERVERS_MAX])
{
  size_t n = 0;

  for (guint i = 0; i < self->stun_addrs->len && n < PH_NAT_SERVERS_MAX; i++) {
    const PhAddr *server = &g_array_index (self->stun_addrs, PhAddr, i);
    bool known = false;

    for (size_t k = 0; k < n; k++)
      known |= ph_addr_equal (&servers[k], server);
    if (!known && can_ask (local, server))
      servers[n++] = *server;
  }
  return n;
}

static bool
is_translated (const PhCandidate *candidates, size_t n, uint32_t socket)
{
  for (size_t i = 0; i < n; i++) {
    if (candidates[i].type == PH_CANDIDATE_SRFLX && candidates[i].socket == socket)
      return true;
  }
  return false;
}

/* The address of a family whose NAT is asked for: one that a server has seen translated, then a public one
 * (an answer without translation leaves no candidate), then any. */
static bool
pick_local (const PhCore *self, PhFamily family, PhAddr *ret_local)
{
  PhCandidate candidates[PH_ICE_LOCAL_MAX];
  const size_t n =
      ph_gatherer_candidates (ph_endpoint_gatherer (self->endpoint), candidates, PH_ICE_LOCAL_MAX);
  unsigned best = 0;

  for (guint i = 0; i < self->sockets->len; i++) {
    const PhAddr *local = ph_udp_local (self->sockets->pdata[i]);
    PhAddr servers[PH_NAT_SERVERS_MAX];
    unsigned value = 1;

    if (local->family != family || servers_for (self, local, servers) == 0)
      continue;
    if (is_translated (candidates, n, ph_udp_id (self->sockets->pdata[i])))
      value += 2;
    else if (ph_addr_scope (local) == PH_SCOPE_GLOBAL)
      value += 1;
    if (value > best) {
      best = value;
      *ret_local = *local;
    }
  }
  return best > 0;
}

static bool
heard_of_servers (const PhCore *self)
{
  const PhGatherer *gatherer = ph_endpoint_gatherer (self->endpoint);

  return ph_gatherer_heard (gatherer) || ph_gatherer_done (gatherer);
}

/* --- A run -------------------------------------------------------------------------------------- */

static void
received (void *user, const PhDatagram *datagrams, size_t n)
{
  PhCore *self = user;
  const PhTime now = ph_core_now (self);

  for (size_t i = 0; i < n; i++) {
    for (size_t k = 0; k < G_N_ELEMENTS (self->nat_runs); k++) {
      if (self->nat_runs[k].discovery != NULL
          && ph_nat_discovery_handle_packet (self->nat_runs[k].discovery, now, &datagrams[i]))
        break;
    }
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
}

static const PhUdpCallbacks udp_callbacks = {received, batch_done, writable};

static void
end_run (PhNatRun *run)
{
  g_clear_pointer (&run->discovery, ph_nat_discovery_free);
  for (size_t i = 0; i < G_N_ELEMENTS (run->sockets); i++)
    g_clear_pointer (&run->sockets[i], ph_udp_free);
}

static bool
open_sockets (PhCore *self, PhNatRun *run, const PhAddr *local)
{
  for (size_t i = 0; i < G_N_ELEMENTS (run->sockets); i++) {
    run->sockets[i] = ph_core_udp_new (self, local, &udp_callbacks, self);
    if (run->sockets[i] == NULL)
      return false;
  }
  return true;
}

static bool
same_question (const PhNatDiscoveryConfig *a, const PhNatDiscoveryConfig *b)
{
  if (a->n_servers != b->n_servers || !ph_addr_equal_ip (&a->mapping_local, &b->mapping_local))
    return false;
  for (size_t i = 0; i < a->n_servers; i++) {
    if (!ph_addr_equal (&a->servers[i], &b->servers[i]))
      return false;
  }
  return true;
}

/* False: there is nobody to ask, or that has been asked. */
static bool
start_run (PhCore *self, PhNatRun *run, PhFamily family, PhTime now)
{
  PhNatDiscoveryConfig config = {.random = self->random, .trace = &self->trace};

  if (!pick_local (self, family, &config.mapping_local))
    return false;
  config.n_servers = servers_for (self, &config.mapping_local, config.servers);
  if (same_question (&config, &run->asked))
    return false;
  end_run (run);
  if (!open_sockets (self, run, &config.mapping_local)) {
    end_run (run);
    return false;
  }
  config.mapping_socket = ph_udp_id (run->sockets[0]);
  config.mapping_local = *ph_udp_local (run->sockets[0]);
  config.filtering_socket = ph_udp_id (run->sockets[1]);
  config.filtering_local = *ph_udp_local (run->sockets[1]);
  run->asked = config;
  run->discovery = ph_nat_discovery_new (&config, now);
  return true;
}

/* IPv4 before IPv6: there may be none, and where there is one its NAT is what is in the way. */
static const PhNatRun *
main_run (const PhCore *self)
{
  return &self->nat_runs[self->nat_runs[0].asked.n_servers > 0 ? 0 : 1];
}

const PhNatDiscoveryConfig *
ph_core_nat_asked (const PhCore *self)
{
  const PhNatRun *run = main_run (self);

  return run->asked.n_servers > 0 ? &run->asked : NULL;
}

static void
start_runs (PhCore *self, PhTime now)
{
  bool started = start_run (self, &self->nat_runs[0], PH_FAMILY_IPV4, now);
  const PhNatRun *run;

  self->nat_wanted_since = PH_NEVER;
  started |= start_run (self, &self->nat_runs[1], PH_FAMILY_IPV6, now);
  if (!started)
    return;
  ph_core_nat_knock_want (self);
  run = main_run (self);
  g_clear_pointer (&self->nat_tcp, ph_nat_tcp_run_free);
  self->nat_tcp = ph_nat_tcp_run_new (self, now, &run->asked.mapping_local, run->asked.servers,
                                      run->asked.n_servers);
}

bool
ph_core_nat_is_running (const PhCore *self)
{
  return self->nat_runs[0].discovery != NULL || self->nat_runs[1].discovery != NULL;
}

void
ph_core_nat_ask_again (PhCore *self, PhTime now)
{
  /* The verdicts that there are stay until others come. */
  for (size_t i = 0; i < G_N_ELEMENTS (self->nat_runs); i++)
    self->nat_runs[i].asked = (PhNatDiscoveryConfig){0};
  ph_core_nat_inbound_stop (self);
  ph_core_nat_knock_want (self);
  ph_core_nat_want (self, now, false);
}

void
ph_core_nat_want (PhCore *self, PhTime now, bool network_changed)
{
  if (network_changed) {
    for (size_t i = 0; i < G_N_ELEMENTS (self->nat_runs); i++) {
      end_run (&self->nat_runs[i]);
      self->nat_runs[i] = (PhNatRun){0};
    }
    self->nat_verdict = (PhNatVerdict){0};
    g_clear_pointer (&self->nat_tcp, ph_nat_tcp_run_free);
    self->nat_tcp_verdict = (PhNatVerdict){0};
    ph_core_nat_lifetime_stop (self);
    ph_core_nat_inbound_stop (self);
    ph_core_nat_knock_stop (self);
    ph_core_nat_knock_want (self);
    ph_core_guess_update (self);
  }
  self->nat_wanted_since = now;
}

void
ph_core_nat_stop (PhCore *self)
{
  for (size_t i = 0; i < G_N_ELEMENTS (self->nat_runs); i++)
    end_run (&self->nat_runs[i]);
  g_clear_pointer (&self->nat_tcp, ph_nat_tcp_run_free);
  ph_core_nat_lifetime_stop (self);
  ph_core_nat_inbound_stop (self);
  ph_core_nat_knock_stop (self);
  self->nat_wanted_since = PH_NEVER;
}

static bool
settle_run (PhCore *self, PhNatRun *run, PhTime now)
{
  bool sent = false;

  while (run->discovery != NULL) {
    PhTransmit tx = {.data = self->tx_buffer, .cap = PH_TRANSMIT_MAX};

    if (!ph_nat_discovery_poll_transmit (run->discovery, now, &tx))
      break;
    ph_udp_send (run->sockets[tx.socket == run->asked.mapping_socket ? 0 : 1], &tx);
    sent = true;
  }
  if (run->discovery != NULL && ph_nat_discovery_poll_event (run->discovery, &run->verdict)) {
    end_run (run);
    if (run == main_run (self)) {
      self->nat_verdict = run->verdict;
      self->nat_deaf = !ph_gatherer_heard (ph_endpoint_gatherer (self->endpoint));
      ph_core_guess_update (self);
    }
  }
  return sent;
}

bool
ph_core_nat_settle (PhCore *self, PhTime now)
{
  bool sent = false;

  /* All servers were silent, and one is back: what was taken for a network without UDP is none. */
  if (!ph_core_nat_is_running (self) && self->nat_verdict.type == PH_NAT_UDP_BLOCKED
      && self->nat_deaf && ph_gatherer_heard (ph_endpoint_gatherer (self->endpoint)))
    ph_core_nat_want (self, now, true);
  if (self->nat_wanted_since != PH_NEVER && self->lookups->len == 0 && self->stun_addrs->len > 0
      && (heard_of_servers (self)
          || now >= ph_time_add (self->nat_wanted_since, FIRST_ANSWER_INTERVAL)))
    start_runs (self, now);

  for (size_t i = 0; i < G_N_ELEMENTS (self->nat_runs); i++)
    sent |= settle_run (self, &self->nat_runs[i], now);
  if (self->nat_tcp != NULL) {
    sent |= ph_nat_tcp_run_settle (self->nat_tcp, now);
    if (ph_nat_tcp_run_poll_event (self->nat_tcp, &self->nat_tcp_verdict))
      g_clear_pointer (&self->nat_tcp, ph_nat_tcp_run_free);
  }
  sent |= ph_core_nat_inbound_settle (self, now);
  sent |= ph_core_nat_knock_settle (self, now);
  sent |= ph_core_nat_lifetime_settle (self, now);
  return sent;
}

void
ph_core_nat_handle_timeout (PhCore *self, PhTime now)
{
  for (size_t i = 0; i < G_N_ELEMENTS (self->nat_runs); i++) {
    if (self->nat_runs[i].discovery != NULL)
      ph_nat_discovery_handle_timeout (self->nat_runs[i].discovery, now);
  }
  if (self->nat_tcp != NULL)
    ph_nat_tcp_run_handle_timeout (self->nat_tcp, now);
  ph_core_nat_inbound_handle_timeout (self, now);
  ph_core_nat_knock_handle_timeout (self, now);
  ph_core_nat_lifetime_handle_timeout (self, now);
}

PhTime
ph_core_nat_next_timeout (const PhCore *self)
{
  PhTime next = ph_time_min (ph_core_nat_lifetime_next_timeout (self),
                             ph_core_nat_inbound_next_timeout (self));
  const char *why;

  next = ph_time_min (next, ph_core_nat_knock_next_timeout (self));
  for (size_t i = 0; i < G_N_ELEMENTS (self->nat_runs); i++) {
    if (self->nat_runs[i].discovery != NULL)
      next = ph_time_min (next, ph_nat_discovery_next_timeout (self->nat_runs[i].discovery, &why));
  }
  if (self->nat_tcp != NULL)
    next = ph_time_min (next, ph_nat_tcp_run_next_timeout (self->nat_tcp));
  if (self->nat_wanted_since != PH_NEVER && self->lookups->len == 0 && self->stun_addrs->len > 0)
    next = ph_time_min (next, ph_time_add (self->nat_wanted_since, FIRST_ANSWER_INTERVAL));
  return next;
}

bool
ph_core_nat_is_pending (const PhCore *self)
{
  return ph_core_nat_is_running (self) || self->nat_tcp != NULL || self->nat_inbound != NULL
         || (self->nat_wanted_since != PH_NEVER && self->stun_addrs->len > 0);
}

/* --- The report --------------------------------------------------------------------------------- */

static void
add_string (JsonBuilder *json, const char *name, const char *value)
{
  json_builder_set_member_name (json, name);
  if (value == NULL)
    json_builder_add_null_value (json);
  else
    json_builder_add_string_value (json, value);
}

static void
add_answer (JsonBuilder *json, const char *name, PhNatAnswer value)
{
  json_builder_set_member_name (json, name);
  if (value == PH_NAT_UNTESTED)
    json_builder_add_null_value (json);
  else
    json_builder_add_boolean_value (json, value == PH_NAT_YES);
}

/* Of a server that was not asked, or has not answered: null. */
static void
add_rtt (JsonBuilder *json, const char *name, PhTime rtt)
{
  json_builder_set_member_name (json, name);
  if (rtt == PH_NEVER)
    json_builder_add_null_value (json);
  else
    json_builder_add_double_value (json, (double)(rtt / (100 * PH_USEC)) / 10.0);
}

static bool
is_public (const PhCandidate *candidate)
{
  return candidate->type != PH_CANDIDATE_RELAY
         && (candidate->type == PH_CANDIDATE_SRFLX
             || ph_addr_scope (&candidate->addr) == PH_SCOPE_GLOBAL);
}

/* One port of TCP is a candidate of two kinds: passive, and for simultaneous open. */
static bool
is_told (const PhCandidate *candidates, size_t n, const PhAddr *addr)
{
  for (size_t i = 0; i < n; i++) {
    if (is_public (&candidates[i]) && ph_addr_equal (&candidates[i].addr, addr))
      return true;
  }
  return false;
}

/* The addresses that the internet can see us at, each once; `tcp`: what it sees over TCP, told where there is nothing
 * else. */
static void
add_public (JsonBuilder *json, const PhCandidate *candidates, size_t n, const PhAddr *tcp)
{
  char text[PH_ADDR_STRING_MAX];
  bool any = false;

  json_builder_set_member_name (json, "public");
  json_builder_begin_array (json);
  for (size_t i = 0; i < n; i++) {
    if (!is_public (&candidates[i]) || is_told (candidates, i, &candidates[i].addr))
      continue;
    json_builder_add_string_value (json, ph_addr_format (&candidates[i].addr, text));
    any = true;
  }
  if (!any && ph_addr_is_set (tcp))
    json_builder_add_string_value (json, ph_addr_format (tcp, text));
  json_builder_end_array (json);
}

/* Told by what came of asking for an allocation; without a server to ask there is no relay. */
static PhNatAnswer
relay_answer (const PhCore *self)
{
  switch (ph_relays_state (ph_gatherer_relays (ph_endpoint_gatherer (self->endpoint)))) {
  case PH_RELAYS_HAVE:
    return PH_NAT_YES;
  case PH_RELAYS_TRYING:
    return PH_NAT_UNTESTED;
  case PH_RELAYS_IDLE:
  case PH_RELAYS_NONE:
  default:
    return PH_NAT_NO;
  }
}

/* Whether servers are heard over IPv6. Without an address of the internet, or a server to ask: not known. */
static PhNatAnswer
ipv6_answer (const PhCore *self)
{
  switch (self->nat_runs[1].verdict.type) {
  case PH_NAT_UDP_BLOCKED:
    return PH_NAT_NO;
  case PH_NAT_TYPE_UNKNOWN:
    return ph_addr_is_set (&self->nat_runs[1].verdict.public_addr) ? PH_NAT_YES : PH_NAT_UNTESTED;
  default:
    return PH_NAT_YES;
  }
}

/* Of what "type" is of. The rendezvous is reached over one family, and knocks there alone: with both there is a NAT of
 * IPv4 and a firewall of IPv6, and each lets in whom it likes. */
static PhNatDependence
tcp_filtering (const PhCore *self)
{
  const bool only_ipv6 = self->nat_runs[0].asked.n_servers == 0
                         && self->nat_tcp_filtering[0] == PH_NAT_DEPENDENCE_UNKNOWN;

  return self->nat_tcp_filtering[only_ipv6];
}

static void
add_seconds (JsonBuilder *json, const char *name, bool known, PhTime interval)
{
  json_builder_set_member_name (json, name);
  if (known && interval != PH_NEVER)
    json_builder_add_int_value (json, (gint64)(interval / PH_SEC));
  else
    json_builder_add_null_value (json);
}

/* A mapping that nothing uses lives at least so long, and less than that. */
static void
add_lifetime (const PhCore *self, JsonBuilder *json)
{
  add_seconds (json, "mapping_lifetime_s", self->lifetime_known, self->lifetime_survived);
  add_seconds (json, "mapping_lifetime_max_s", self->lifetime_known, self->lifetime_expired);
  json_builder_set_member_name (json, "mapping_lifetime_testing");
  json_builder_add_boolean_value (json, self->nat_lifetime != NULL);
}

/* What was not tested is "unknown" or null. "port_step" is null where no steps were looked for, 0 where
 * the ports follow none. */
char *
ph_core_nat_report (PhCore *self)
{
  const PhNatVerdict *verdict = &self->nat_verdict;
  const PhNat64Prefix nat64 = ph_core_nat64_prefix (self);
  char text[PH_ADDR_STRING_MAX];
  PhCandidate candidates[PH_ICE_LOCAL_MAX];
  const size_t n =
      ph_gatherer_candidates (ph_endpoint_gatherer (self->endpoint), candidates, PH_ICE_LOCAL_MAX);
  g_autoptr (JsonBuilder) json = json_builder_new ();
  g_autoptr (JsonGenerator) generator = json_generator_new ();
  g_autoptr (JsonNode) root = NULL;
  bool ipv6 = false;

  for (size_t i = 0; i < n; i++)
    ipv6 |= candidates[i].type != PH_CANDIDATE_RELAY && candidates[i].addr.family == PH_FAMILY_IPV6
            && ph_addr_scope (&candidates[i].addr) == PH_SCOPE_GLOBAL;

  json_builder_begin_object (json);
  add_string (json, "type", ph_nat_type_name (verdict->type));
  /* Where UDP does not get out TCP knows. */
  add_answer (json, "nat",
              verdict->translated != PH_NAT_UNTESTED ? verdict->translated
                                                     : self->nat_tcp_verdict.translated);
  add_string (json, "mapping", ph_nat_dependence_name (verdict->mapping));
  add_string (json, "filtering", ph_nat_dependence_name (verdict->filtering));
  add_public (json, candidates, n, &self->nat_tcp_verdict.public_addr);
  add_answer (json, "hairpin", verdict->hairpin);
  add_answer (json, "port_preserving", verdict->port_preserving);
  add_answer (json, "port_parity", verdict->port_parity);
  json_builder_set_member_name (json, "port_step");
  if (verdict->ports == PH_NAT_PORTS_UNKNOWN)
    json_builder_add_null_value (json);
  else
    json_builder_add_int_value (json, verdict->port_step);
  add_string (json, "tcp_mapping", ph_nat_dependence_name (self->nat_tcp_verdict.mapping));
  add_string (json, "tcp_filtering", ph_nat_dependence_name (tcp_filtering (self)));
  json_builder_set_member_name (json, "ipv6");
  json_builder_add_boolean_value (json, ipv6);
  add_answer (json, "ipv6_reaches_out", ipv6_answer (self));
  add_string (json, "ipv6_filtering", ph_nat_dependence_name (self->nat_runs[1].verdict.filtering));
  add_string (json, "ipv6_tcp_filtering", ph_nat_dependence_name (self->nat_tcp_filtering[1]));
  add_string (json, "nat64", nat64.len > 0 ? ph_nat64_prefix_format (&nat64, text) : NULL);
  add_lifetime (self, json);
  add_string (json, "portmap", ph_core_portmap_protocol (self));
  add_answer (json, "portmap_open", self->mapped_open);
  add_answer (json, "portmap_tcp_open", self->mapped_tcp.open);
  add_answer (json, "relay", relay_answer (self));
  add_rtt (json, "rendezvous_rtt_ms", self->rendezvous_rtt);
  add_rtt (json, "stun_rtt_ms", self->stun_rtt);
  add_rtt (json, "relay_rtt_ms", self->relay_rtt);
  json_builder_set_member_name (json, "checked_at");
  if (self->checked_unix != 0)
    json_builder_add_int_value (json, self->checked_unix);
  else
    json_builder_add_null_value (json);
  json_builder_end_object (json);

  root = json_builder_get_root (json);
  json_generator_set_root (generator, root);
  return json_generator_to_data (generator, NULL);
}
