/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/portmap/ph-portmap.h"

#include "net/portmap/ph-nat-pmp.h"

#include <netinet/in.h>

/* A router in the same room answers in a few milliseconds: three requests, given up after 1.75 s. */
#define PROBE_INTERVAL (250 * PH_MSEC)
#define PROBES_MAX 3
/* A router is not exchanged or set up anew more often. */
#define ABSENT_INTERVAL (15 * 60 * PH_SEC)
/* A UPnP lease without end is renewed nonetheless: routers restart. */
#define UPNP_LIFETIME_S 7200

struct _PhPortmap {
  PhPortmapConfig config;
  PhPortmapState state;
  PhTime deadline; /* probing: of the next probe; absent: of another try */
  unsigned probes;
  bool send_announce; /* PCP's */
  bool send_address; /* NAT-PMP's question for the external one */
  bool closing;

  PhPortmapMapping mappings[PH_PORTMAP_MAX];
  PhAddr told[PH_PORTMAP_MAX]; /* the external address that the owner knows */
  size_t n;

  PhAddr external_ip; /* nat-pmp: a separate answer */
  uint32_t epoch_s;
  PhTime epoch_at; /* when that was heard; PH_NEVER: never yet */
  uint32_t upnp_id; /* under way; 0: none */
};

static const char *const state_names[] = {"probing", "pcp", "nat-pmp", "upnp", "absent"};

static const unsigned portmap_edges[] = {
    [PH_PORTMAP_PROBING] = 1u << PH_PORTMAP_PCP | 1u << PH_PORTMAP_NAT_PMP | 1u << PH_PORTMAP_UPNP,
    [PH_PORTMAP_PCP] = 0,
    [PH_PORTMAP_NAT_PMP] = 0,
    [PH_PORTMAP_UPNP] = 1u << PH_PORTMAP_ABSENT,
    [PH_PORTMAP_ABSENT] = 1u << PH_PORTMAP_PROBING,
};

static void
portmap_probe (PhPortmap *self, PhTime now)
{
  self->send_announce = true;
  /* Those that know NAT-PMP alone should answer PCP's version with theirs; some say nothing. */
  self->send_address = self->probes > 0;
  self->deadline = ph_time_add (now, PROBE_INTERVAL << self->probes++);
}

static void
portmap_enter (PhPortmap *self, PhTime now, PhPortmapState next, const char *why)
{
  g_assert ((portmap_edges[self->state] & 1u << next) != 0);
  ph_trace (self->config.trace, now, "portmap", "%s -> %s: %s", state_names[self->state],
            state_names[next], why);
  self->state = next;
  self->deadline = PH_NEVER;
  self->send_announce = false;
  self->send_address = next == PH_PORTMAP_NAT_PMP;
  self->probes = 0;
  if (next == PH_PORTMAP_PROBING)
    portmap_probe (self, now);
  if (next == PH_PORTMAP_ABSENT)
    self->deadline = ph_time_add (now, ABSENT_INTERVAL);
  for (size_t i = 0; i < self->n; i++) {
    if (next == PH_PORTMAP_PROBING || next == PH_PORTMAP_ABSENT)
      ph_portmap_mapping_hold (&self->mappings[i]);
    else
      ph_portmap_mapping_ask (&self->mappings[i], now);
  }
}

PhPortmap *
ph_portmap_new (const PhPortmapConfig *config, PhTime now)
{
  PhPortmap *self = g_new0 (PhPortmap, 1);

  g_assert (config->local.family == PH_FAMILY_IPV4);
  g_assert (config->gateway.family == PH_FAMILY_IPV4);
  self->config = *config;
  self->config.gateway.port = PH_PCP_PORT;
  self->epoch_at = PH_NEVER;
  self->state = PH_PORTMAP_PROBING;
  portmap_probe (self, now);
  return self;
}

void
ph_portmap_free (PhPortmap *self)
{
  g_free (self);
}

static bool
portmap_can_ask (const PhPortmap *self)
{
  return self->state == PH_PORTMAP_PCP || self->state == PH_PORTMAP_NAT_PMP
         || self->state == PH_PORTMAP_UPNP;
}

bool
ph_portmap_add (PhPortmap *self, PhTime now, uint32_t id, PhPortmapProto proto, uint16_t port)
{
  g_assert (id != 0);
  if (self->n == PH_PORTMAP_MAX || self->closing)
    return false;
  self->told[self->n] = (PhAddr){0};
  self->mappings[self->n] = ph_portmap_mapping (id, proto, port, &self->config.random, now);
  if (!portmap_can_ask (self))
    ph_portmap_mapping_hold (&self->mappings[self->n]);
  self->n++;
  return true;
}

void
ph_portmap_close (PhPortmap *self, PhTime now)
{
  size_t kept = 0;

  for (size_t i = 0; i < self->n; i++) {
    const PhPortmapMapping *mapping = &self->mappings[i];

    /* What has been asked for may be granted by an answer that nobody waits for. */
    if (ph_addr_is_set (&mapping->external) || (mapping->asking && !mapping->send))
      self->mappings[kept++] = *mapping;
  }
  self->n = kept;
  self->closing = true;
  self->send_announce = self->send_address = false;
  for (size_t i = 0; i < self->n; i++) {
    ph_portmap_mapping_hold (&self->mappings[i]);
    self->mappings[i].send = true;
    self->mappings[i].dirty = false;
  }
}

PhPortmapState
ph_portmap_state (const PhPortmap *self)
{
  return self->state;
}

const char *
ph_portmap_protocol_name (const PhPortmap *self)
{
  for (size_t i = 0; i < self->n; i++) {
    if (ph_addr_is_set (&self->mappings[i].external))
      return state_names[self->state];
  }
  return NULL;
}

bool
ph_portmap_done (const PhPortmap *self)
{
  if (self->state == PH_PORTMAP_ABSENT)
    return true;
  for (size_t i = 0; i < self->n; i++) {
    if (!self->mappings[i].settled)
      return false;
  }
  return self->state != PH_PORTMAP_PROBING;
}

/* --- Answers ------------------------------------------------------------------------------------ */

/* A server that has started again has forgotten everything: RFC 6887 §8.5; NAT-PMP's rule (RFC 6886 §3.6) is its
 * first half. */
static void
portmap_check_epoch (PhPortmap *self, PhTime now, uint32_t epoch_s)
{
  const uint64_t before = self->epoch_s;
  const uint64_t client = ph_time_since (now, self->epoch_at) / PH_SEC;
  const uint64_t server = epoch_s > before ? epoch_s - before : 0;
  const bool first = self->epoch_at == PH_NEVER;
  bool valid = first || (uint64_t)epoch_s + 1 >= before;

  if (!first && self->state == PH_PORTMAP_PCP)
    valid = valid && client + 2 >= server - server / 16 && server + 2 >= client - client / 16;
  else if (!first)
    valid = valid && server + 2 >= client - client / 8;
  self->epoch_s = epoch_s;
  self->epoch_at = now;
  if (valid)
    return;
  ph_trace (self->config.trace, now, "portmap", "the server has started again");
  self->send_address = self->state == PH_PORTMAP_NAT_PMP;
  for (size_t i = 0; i < self->n; i++)
    ph_portmap_mapping_ask (&self->mappings[i], now);
}

static PhPortmapMapping *
find_mapping (PhPortmap *self, PhPortmapProto proto, uint16_t internal_port)
{
  for (size_t i = 0; i < self->n; i++) {
    if (self->mappings[i].proto == proto && self->mappings[i].internal_port == internal_port)
      return &self->mappings[i];
  }
  return NULL;
}

static void
grant (PhPortmap *self, PhTime now, PhPortmapMapping *mapping, const PhAddr *external,
       uint32_t lifetime_s)
{
  char text[PH_ADDR_STRING_MAX];

  if (external->port == 0 || ph_addr_scope (external) == PH_SCOPE_UNUSABLE || lifetime_s == 0) {
    ph_portmap_mapping_refused (mapping, now, 0);
    return;
  }
  ph_trace (self->config.trace, now, "portmap", "%s port %u is open as %s for %u s",
            mapping->proto == PH_PORTMAP_UDP ? "UDP" : "TCP", mapping->internal_port,
            ph_addr_format (external, text), lifetime_s);
  ph_portmap_mapping_granted (mapping, now, external, lifetime_s, &self->config.random);
}

static bool
handle_pcp (PhPortmap *self, PhTime now, const PhPcpResponse *response)
{
  PhPortmapMapping *mapping;

  if (self->state == PH_PORTMAP_PROBING && response->result != PH_PCP_UNSUPP_VERSION)
    portmap_enter (self, now, PH_PORTMAP_PCP, "answered");
  if (self->state != PH_PORTMAP_PCP)
    return false;
  if (response->opcode == PH_PCP_ANNOUNCE) {
    portmap_check_epoch (self, now, response->epoch_s);
    return true;
  }
  mapping = find_mapping (self, response->protocol == IPPROTO_TCP ? PH_PORTMAP_TCP : PH_PORTMAP_UDP,
                          response->internal_port);
  if (mapping == NULL || !mapping->asking
      || memcmp (mapping->nonce, response->nonce, sizeof mapping->nonce) != 0)
    return false;
  portmap_check_epoch (self, now, response->epoch_s);
  if (response->result == PH_PCP_SUCCESS) {
    grant (self, now, mapping, &response->external, response->lifetime_s);
    return true;
  }
  ph_trace (self->config.trace, now, "portmap", "the server refuses (%u)", response->result);
  ph_portmap_mapping_refused (mapping, now, response->lifetime_s);
  return true;
}

static void
set_external_ip (PhPortmap *self, const PhAddr *ip)
{
  self->external_ip = *ip;
  for (size_t i = 0; i < self->n; i++) {
    PhAddr *external = &self->mappings[i].external;

    if (!ph_addr_is_set (external) || ph_addr_equal_ip (external, ip))
      continue;
    *external = (PhAddr){.family = ip->family, .port = external->port};
    memcpy (external->ip, ip->ip, sizeof ip->ip);
    self->mappings[i].dirty = true;
  }
}

static bool
handle_nat_pmp (PhPortmap *self, PhTime now, const PhNatPmpResponse *response)
{
  PhPortmapMapping *mapping;
  PhAddr external = self->external_ip;

  if (self->state == PH_PORTMAP_PROBING)
    portmap_enter (self, now, PH_PORTMAP_NAT_PMP, "the server does not speak PCP");
  if (self->state != PH_PORTMAP_NAT_PMP)
    return false;
  if (response->result == PH_NAT_PMP_SUCCESS)
    portmap_check_epoch (self, now, response->epoch_s);
  if (response->opcode == PH_NAT_PMP_ADDRESS) {
    if (response->result == PH_NAT_PMP_SUCCESS)
      set_external_ip (self, &response->external);
    return true;
  }
  mapping =
      find_mapping (self, response->opcode == PH_NAT_PMP_MAP_TCP ? PH_PORTMAP_TCP : PH_PORTMAP_UDP,
                    response->internal_port);
  if (mapping == NULL || !mapping->asking)
    return false;
  if (response->result != PH_NAT_PMP_SUCCESS) {
    ph_trace (self->config.trace, now, "portmap", "the server refuses (%u)", response->result);
    ph_portmap_mapping_refused (mapping, now, 0);
    return true;
  }
  /* Without its address the port is of no use: it is asked for again with the next send. */
  if (!ph_addr_is_set (&external)) {
    self->send_address = true;
    return true;
  }
  external.port = response->external_port;
  grant (self, now, mapping, &external, response->lifetime_s);
  return true;
}

bool
ph_portmap_handle_packet (PhPortmap *self, PhTime now, const PhDatagram *in)
{
  PhPcpResponse pcp;
  PhNatPmpResponse nat_pmp;

  if (in->socket != self->config.socket || !ph_addr_equal (&in->remote, &self->config.gateway)
      || self->closing)
    return false;
  if (ph_pcp_parse (in->bytes, &pcp))
    return handle_pcp (self, now, &pcp);
  if (ph_nat_pmp_parse (in->bytes, &nat_pmp))
    return handle_nat_pmp (self, now, &nat_pmp);
  return false;
}

/* --- The other verbs ---------------------------------------------------------------------------- */

/* UPnP takes its time, and every task is answered. */
static bool
waits_for_driver (const PhPortmap *self, const PhPortmapMapping *mapping)
{
  return self->state == PH_PORTMAP_UPNP && mapping->asking;
}

void
ph_portmap_handle_timeout (PhPortmap *self, PhTime now)
{
  if (self->closing)
    return;
  if (now >= self->deadline) {
    if (self->state == PH_PORTMAP_ABSENT)
      portmap_enter (self, now, PH_PORTMAP_PROBING, "it is time to try again");
    else if (self->probes < PROBES_MAX)
      portmap_probe (self, now);
    else
      portmap_enter (self, now, PH_PORTMAP_UPNP, "neither PCP nor NAT-PMP");
  }
  for (size_t i = 0; i < self->n && portmap_can_ask (self); i++) {
    PhPortmapMapping *mapping = &self->mappings[i];

    if (now >= mapping->expires)
      ph_portmap_mapping_lost (mapping);
    if (!waits_for_driver (self, mapping))
      ph_portmap_mapping_handle_timeout (mapping, now);
  }
}

static void
write_map (const PhPortmap *self, PhWriter *w, const PhPortmapMapping *mapping)
{
  const bool is_tcp = mapping->proto == PH_PORTMAP_TCP;
  const uint32_t lifetime_s = self->closing ? 0 : PH_PORTMAP_LIFETIME_S;
  PhPcpMap map = {
      .client = self->config.local,
      .protocol = is_tcp ? IPPROTO_TCP : IPPROTO_UDP,
      .internal_port = mapping->internal_port,
      .lifetime_s = lifetime_s,
  };

  /* The one that was had before, or the inside port. None for a deletion (RFC 6887 §15, RFC 6886 §3.4). */
  if (!self->closing) {
    map.suggested = mapping->external;
    if (map.suggested.port == 0)
      map.suggested.port = mapping->internal_port;
  }
  memcpy (map.nonce, mapping->nonce, sizeof map.nonce);
  if (self->state == PH_PORTMAP_PCP)
    ph_pcp_write_map (w, &map);
  else
    ph_nat_pmp_write_map (w, is_tcp ? PH_NAT_PMP_MAP_TCP : PH_NAT_PMP_MAP_UDP, map.internal_port,
                          map.suggested.port, lifetime_s);
}

bool
ph_portmap_poll_transmit (PhPortmap *self, PhTime now, PhTransmit *tx)
{
  PhWriter w = ph_writer (tx->data, tx->cap);

  if (self->send_announce) {
    self->send_announce = false;
    ph_pcp_write_announce (&w, &self->config.local);
  } else if (self->send_address) {
    self->send_address = false;
    ph_nat_pmp_write_address (&w);
  }
  for (size_t i = 0; i < self->n && ph_writer_len (&w) == 0 && self->state != PH_PORTMAP_UPNP;
       i++) {
    if (self->mappings[i].send && portmap_can_ask (self)) {
      self->mappings[i].send = false;
      write_map (self, &w, &self->mappings[i]);
      /* The address may be another since it was asked for, or its answer was lost. */
      self->send_address =
          self->state == PH_PORTMAP_NAT_PMP && !self->closing
          && (ph_addr_is_set (&self->mappings[i].external) || self->mappings[i].sends > 1);
    }
  }
  if (ph_writer_len (&w) == 0)
    return false;
  g_assert (ph_writer_ok (&w));
  tx->socket = self->config.socket;
  tx->remote = self->config.gateway;
  tx->len = ph_writer_len (&w);
  tx->segment = 0;
  tx->ecn = 0;
  tx->ttl = 0;
  return true;
}

bool
ph_portmap_poll_event (PhPortmap *self, PhPortmapEvent *ret_event)
{
  for (size_t i = 0; i < self->n; i++) {
    PhPortmapMapping *mapping = &self->mappings[i];

    if (!mapping->dirty)
      continue;
    mapping->dirty = false;
    if (ph_addr_equal (&mapping->external, &self->told[i]))
      continue;
    self->told[i] = mapping->external;
    *ret_event = (PhPortmapEvent){mapping->id, mapping->proto, mapping->external};
    return true;
  }
  return false;
}

PhTime
ph_portmap_next_timeout (const PhPortmap *self, const char **ret_why)
{
  PhTime next = self->deadline;

  if (self->closing)
    return PH_NEVER;
  *ret_why = self->state == PH_PORTMAP_PROBING ? "router asked for PCP" : "router asked again";
  for (size_t i = 0; i < self->n && portmap_can_ask (self); i++) {
    const PhPortmapMapping *mapping = &self->mappings[i];
    const PhTime t = waits_for_driver (self, mapping) ? mapping->expires
                                                      : ph_portmap_mapping_next_timeout (mapping);

    if (t < next) {
      next = t;
      *ret_why = mapping->asking ? "port mapping not answered" : "port mapping renewed";
    }
  }
  return next;
}

/* --- UPnP --------------------------------------------------------------------------------------- */

bool
ph_portmap_poll_upnp (PhPortmap *self, PhPortmapUpnp *ret_task)
{
  for (size_t i = 0; i < self->n && self->state == PH_PORTMAP_UPNP; i++) {
    PhPortmapMapping *mapping = &self->mappings[i];

    /* One at a time; a deletion is not waited for. */
    if (!mapping->send || (self->upnp_id != 0 && !self->closing))
      continue;
    mapping->send = false;
    self->upnp_id = self->closing ? 0 : mapping->id;
    *ret_task = (PhPortmapUpnp){
        .id = mapping->id,
        .proto = mapping->proto,
        .internal_port = mapping->internal_port,
        .lifetime_s = self->closing ? 0 : PH_PORTMAP_LIFETIME_S,
    };
    return true;
  }
  return false;
}

void
ph_portmap_upnp_done (PhPortmap *self, PhTime now, uint32_t id, PhPortmapUpnpResult result,
                      const PhAddr *external, uint32_t lifetime_s)
{
  if (self->closing || id != self->upnp_id)
    return;
  self->upnp_id = 0;
  for (size_t i = 0; i < self->n; i++) {
    PhPortmapMapping *mapping = &self->mappings[i];

    if (mapping->id != id)
      continue;
    if (result == PH_PORTMAP_UPNP_DONE)
      grant (self, now, mapping, external, lifetime_s > 0 ? lifetime_s : UPNP_LIFETIME_S);
    else
      ph_portmap_mapping_refused (mapping, now, 0);
  }
  if (result == PH_PORTMAP_UPNP_ABSENT && self->state == PH_PORTMAP_UPNP) {
    portmap_enter (self, now, PH_PORTMAP_ABSENT, "the router opens no ports");
    for (size_t i = 0; i < self->n; i++)
      ph_portmap_mapping_lost (&self->mappings[i]);
  }
}
