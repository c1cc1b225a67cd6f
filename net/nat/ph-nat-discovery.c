/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/nat/ph-nat-discovery.h"

#include "net/stun/ph-stun-transaction.h"

/* Sent at 0, 0.25, 0.75, 1.75 and 3.75 s, given up at 5.75 s: a first packet may wait for ARP and radio. */
static const PhStunTimers server_timers = {250 * PH_MSEC, 5, 8};
/* To servers that have answered: 0, 0.25, 0.75 and 1.75 s, given up at 3.25 s. */
static const PhStunTimers ask_timers = {250 * PH_MSEC, 4, 6};
/* Where silence is a likely answer: 0, 0.15, 0.45 and 1.05 s, over at 1.95 s; filtering twice. */
static const PhStunTimers silence_timers = {150 * PH_MSEC, 4, 6};

typedef enum {
  SERVERS, /* the mapping socket to every server: RFC 5780's test I */
  CONTROL, /* the filtering socket to the chosen server */
  FILTERING,
  CONTROL_AGAIN, /* is the silence the network's? */
  FILTERING_AGAIN,
  MAPPING, /* tests II and III, one after the other, so that ports come in order */
  SAMPLES, /* the same from the other socket, for more ports */
  DONE,
  N_PHASES,
} Phase;

static const char *const phase_names[] = {
    "servers",         "control", "filtering", "control again",
    "filtering again", "mapping", "samples",   "done",
};
G_STATIC_ASSERT (G_N_ELEMENTS (phase_names) == N_PHASES);

/* Bit sets of where a phase may lead. Every one may end: at the latest by PH_NAT_TIME_MAX. */
static const unsigned phase_edges[N_PHASES] = {
    [SERVERS] = 1u << CONTROL | 1u << DONE,
    [CONTROL] = 1u << FILTERING | 1u << MAPPING | 1u << DONE,
    [FILTERING] = 1u << CONTROL_AGAIN | 1u << MAPPING | 1u << DONE,
    [CONTROL_AGAIN] = 1u << FILTERING_AGAIN | 1u << MAPPING | 1u << DONE,
    [FILTERING_AGAIN] = 1u << MAPPING | 1u << DONE,
    [MAPPING] = 1u << SAMPLES | 1u << DONE,
    [SAMPLES] = 1u << DONE,
    [DONE] = 0,
};

typedef enum {
  PROBE_SERVER, /* and the next PH_NAT_SERVERS_MAX - 1 */
  PROBE_CONTROL = PROBE_SERVER + PH_NAT_SERVERS_MAX,
  PROBE_FILTER_BOTH, /* answered from the other address and port? */
  PROBE_FILTER_PORT, /* from the other port? */
  PROBE_HAIRPIN_TO_MAPPING,
  PROBE_HAIRPIN_TO_FILTERING,
  PROBE_MAPPING_II, /* to the other address */
  PROBE_MAPPING_III, /* to the other address and port */
  PROBE_MAPPING_IV, /* to the other port */
  PROBE_SAMPLE_II, /* the same three from the filtering socket */
  PROBE_SAMPLE_III,
  PROBE_SAMPLE_IV,
  N_PROBES,
} ProbeName;

typedef enum { UNUSED, ASKING, ANSWERED, SILENT, REFUSED } ProbeState;

typedef struct {
  ProbeState state;
  uint32_t socket;
  PhAddr to;
  PhAddr from; /* who must answer */
  uint32_t change; /* CHANGE-REQUEST; 0: none */
  PhStunTransaction transaction;
  bool send;
  PhAddr mapped; /* when answered */
  PhAddr other; /* OTHER-ADDRESS, if it was told */
} Probe;

struct _PhNatDiscovery {
  PhNatDiscoveryConfig config;
  Phase phase;
  PhTime deadline;
  Probe probes[N_PROBES];
  int chosen; /* index of the server that the tests use; -1: none yet */
  PhAddr other; /* its alternate; PH_FAMILY_NONE: an ordinary server */
  uint16_t ports[N_PROBES]; /* of mappings, in the order in which they were made */
  size_t n_ports;
  PhNatVerdict verdict;
  bool has_event;
};

/* --- Asking ------------------------------------------------------------------------------------- */

static void
ask (PhNatDiscovery *self, PhTime now, ProbeName name, uint32_t socket, const PhAddr *to,
     PhStunTimers timers)
{
  Probe *probe = &self->probes[name];
  PhStunId id;

  ph_random_bytes (&self->config.random, id.bytes, sizeof id.bytes);
  *probe = (Probe){.state = ASKING, .socket = socket, .to = *to, .from = *to, .send = true};
  ph_stun_transaction_start (&probe->transaction, now, &id, timers);
}

static void
ask_for_change (PhNatDiscovery *self, PhTime now, ProbeName name, uint32_t change)
{
  const PhAddr *server = &self->config.servers[self->chosen];
  Probe *probe = &self->probes[name];

  ask (self, now, name, self->config.filtering_socket, server, silence_timers);
  probe->change = change;
  if ((change & PH_STUN_CHANGE_IP) != 0)
    probe->from = self->other;
  probe->from.port = self->other.port;
}

static void
probe_settle (Probe *probe, ProbeState state)
{
  g_assert (probe->state == ASKING);
  g_assert (state != ASKING);
  probe->state = state;
  probe->send = false;
  ph_stun_transaction_stop (&probe->transaction);
}

static bool
any_asking (const PhNatDiscovery *self)
{
  for (size_t i = 0; i < N_PROBES; i++) {
    if (self->probes[i].state == ASKING)
      return true;
  }
  return false;
}

static bool
answered (const PhNatDiscovery *self, ProbeName name)
{
  return self->probes[name].state == ANSWERED;
}

static bool
same_mapping (const PhNatDiscovery *self, ProbeName a, ProbeName b)
{
  return ph_addr_equal (&self->probes[a].mapped, &self->probes[b].mapped);
}

/* The port of a new mapping; a port that was seen before is that mapping again. */
static void
sample (PhNatDiscovery *self, ProbeName name)
{
  const uint16_t port = self->probes[name].mapped.port;

  if (!answered (self, name))
    return;
  for (size_t i = 0; i < self->n_ports; i++) {
    if (self->ports[i] == port)
      return;
  }
  g_assert (self->n_ports < N_PROBES);
  self->ports[self->n_ports++] = port;
}

/* --- The verdict -------------------------------------------------------------------------------- */

/* The tests' first answer on the mapping socket. */
static const Probe *
first_answer (const PhNatDiscovery *self)
{
  return self->chosen >= 0 ? &self->probes[PROBE_SERVER + self->chosen] : NULL;
}

/* By ordinary servers. On one address they can show that ports matter, not that addresses do not. */
static PhNatDependence
judge_mapping_by_servers (const PhNatDiscovery *self)
{
  const Probe *first = first_answer (self);
  PhNatDependence result = PH_NAT_DEPENDENCE_UNKNOWN;

  for (size_t i = 0; i < self->config.n_servers; i++) {
    const Probe *probe = &self->probes[PROBE_SERVER + i];

    if (probe == first || probe->state != ANSWERED)
      continue;
    if (!ph_addr_equal (&probe->mapped, &first->mapped))
      return ph_addr_equal_ip (&probe->to, &first->to) ? PH_NAT_ADDRESS_AND_PORT_DEPENDENT
                                                       : PH_NAT_ENDPOINT_DEPENDENT;
    if (!ph_addr_equal_ip (&probe->to, &first->to))
      result = PH_NAT_ENDPOINT_INDEPENDENT;
  }
  return result;
}

static PhNatDependence
judge_mapping (const PhNatDiscovery *self)
{
  if (!answered (self, PROBE_MAPPING_II))
    return judge_mapping_by_servers (self);
  if (same_mapping (self, PROBE_MAPPING_II, PROBE_SERVER + (ProbeName)self->chosen))
    return PH_NAT_ENDPOINT_INDEPENDENT;
  if (!answered (self, PROBE_MAPPING_III))
    return PH_NAT_ENDPOINT_DEPENDENT;
  return same_mapping (self, PROBE_MAPPING_II, PROBE_MAPPING_III)
             ? PH_NAT_ADDRESS_DEPENDENT
             : PH_NAT_ADDRESS_AND_PORT_DEPENDENT;
}

/* Silence counts only where the address that was to answer is alive. */
static bool
is_filtered (const PhNatDiscovery *self, ProbeName filter, ProbeName alive)
{
  return self->probes[filter].state == SILENT && self->phase != FILTERING
         && answered (self, PROBE_CONTROL) && answered (self, alive);
}

static PhNatDependence
judge_filtering (const PhNatDiscovery *self)
{
  if (answered (self, PROBE_FILTER_BOTH))
    return PH_NAT_ENDPOINT_INDEPENDENT;
  if (!is_filtered (self, PROBE_FILTER_BOTH, PROBE_MAPPING_III))
    return PH_NAT_DEPENDENCE_UNKNOWN;
  if (answered (self, PROBE_FILTER_PORT))
    return PH_NAT_ADDRESS_DEPENDENT;
  if (is_filtered (self, PROBE_FILTER_PORT, PROBE_MAPPING_IV))
    return PH_NAT_ADDRESS_AND_PORT_DEPENDENT;
  return PH_NAT_DEPENDENCE_UNKNOWN;
}

/* Behind an endpoint-dependent mapping the tests' packets may be filtered, since they do not come from
 * the mapping that was asked: silence tells nothing there. */
static PhNatAnswer
judge_hairpin (const PhNatDiscovery *self, PhNatDependence mapping)
{
  if (answered (self, PROBE_HAIRPIN_TO_MAPPING) || answered (self, PROBE_HAIRPIN_TO_FILTERING))
    return PH_NAT_YES;
  if (self->probes[PROBE_HAIRPIN_TO_MAPPING].state == SILENT
      && self->probes[PROBE_HAIRPIN_TO_FILTERING].state == SILENT
      && mapping == PH_NAT_ENDPOINT_INDEPENDENT)
    return PH_NAT_NO;
  return PH_NAT_UNTESTED;
}

/* Both sockets: one port may be kept by luck, or lost because somebody else has it. */
static PhNatAnswer
judge_preserving (const PhNatDiscovery *self, const Probe *first)
{
  if (!answered (self, PROBE_CONTROL))
    return PH_NAT_UNTESTED;
  return first->mapped.port == self->config.mapping_local.port
                 && self->probes[PROBE_CONTROL].mapped.port == self->config.filtering_local.port
             ? PH_NAT_YES
             : PH_NAT_NO;
}

/* Whether an earlier probe from the same socket has shown the same mapping. */
static bool
is_known_mapping (const PhNatDiscovery *self, ProbeName name)
{
  for (ProbeName earlier = 0; earlier < name; earlier++) {
    if (answered (self, earlier) && self->probes[earlier].socket == self->probes[name].socket
        && same_mapping (self, earlier, name))
      return true;
  }
  return false;
}

/* Of every mapping whose port is another than the socket's. Each agrees by chance in one of two cases: four or
 * more are needed to believe it. */
#define PARITY_SAMPLES_MIN 4

static PhNatAnswer
judge_parity (const PhNatDiscovery *self, PhNatAnswer preserving)
{
  size_t agree = 0;

  for (ProbeName name = 0; name < N_PROBES; name++) {
    const Probe *probe = &self->probes[name];
    const PhAddr *local = probe->socket == self->config.mapping_socket
                              ? &self->config.mapping_local
                              : &self->config.filtering_local;

    if (probe->state != ANSWERED || name == PROBE_HAIRPIN_TO_MAPPING
        || name == PROBE_HAIRPIN_TO_FILTERING || is_known_mapping (self, name))
      continue;
    if ((probe->mapped.port ^ local->port) & 1)
      return PH_NAT_NO;
    agree += probe->mapped.port != local->port;
  }
  return preserving == PH_NAT_YES || agree >= PARITY_SAMPLES_MIN ? PH_NAT_YES : PH_NAT_UNTESTED;
}

static bool
is_dependent (PhNatDependence mapping)
{
  return mapping != PH_NAT_DEPENDENCE_UNKNOWN && mapping != PH_NAT_ENDPOINT_INDEPENDENT;
}

static bool
all_silent (const PhNatDiscovery *self)
{
  for (size_t i = 0; i < self->config.n_servers; i++) {
    if (self->probes[PROBE_SERVER + i].state != SILENT)
      return false;
  }
  return true;
}

static PhNatVerdict
judge (const PhNatDiscovery *self)
{
  const Probe *first = first_answer (self);
  PhNatVerdict verdict = {0};

  if (first == NULL) {
    verdict.type = all_silent (self) ? PH_NAT_UDP_BLOCKED : PH_NAT_TYPE_UNKNOWN;
    return verdict;
  }
  verdict.public_addr = first->mapped;
  verdict.translated =
      ph_addr_equal (&first->mapped, &self->config.mapping_local) ? PH_NAT_NO : PH_NAT_YES;
  verdict.mapping = judge_mapping (self);
  verdict.filtering = judge_filtering (self);
  verdict.hairpin = judge_hairpin (self, verdict.mapping);
  verdict.port_preserving = judge_preserving (self, first);
  verdict.port_parity = judge_parity (self, verdict.port_preserving);
  if (is_dependent (verdict.mapping))
    verdict.ports = ph_nat_judge_ports (self->ports, self->n_ports, &verdict.port_step);
  verdict.type = ph_nat_classify (verdict.translated, verdict.mapping, verdict.filtering);
  return verdict;
}

/* --- Phases ------------------------------------------------------------------------------------- */

static void
enter (PhNatDiscovery *self, PhTime now, Phase phase)
{
  g_assert (phase_edges[self->phase] & 1u << phase);
  ph_trace (self->config.trace, now, "nat", "%s -> %s", phase_names[self->phase],
            phase_names[phase]);
  self->phase = phase;
}

static void
finish (PhNatDiscovery *self, PhTime now)
{
  for (size_t i = 0; i < N_PROBES; i++) {
    if (self->probes[i].state == ASKING)
      probe_settle (&self->probes[i], UNUSED);
  }
  self->verdict = judge (self);
  enter (self, now, DONE);
  self->has_event = true;
  ph_trace (self->config.trace, now, "nat", "%s: mapping %s, filtering %s",
            ph_nat_type_name (self->verdict.type), ph_nat_dependence_name (self->verdict.mapping),
            ph_nat_dependence_name (self->verdict.filtering));
}

/* Another address and another port, and no way to make us speak to a network that the server is not on. */
static bool
is_usable_other (const PhAddr *server, const PhAddr *other)
{
  return other->family == server->family && other->port != 0 && other->port != server->port
         && !ph_addr_equal_ip (other, server) && ph_addr_scope (other) == ph_addr_scope (server);
}

/* The first that follows RFC 5780, at once; the first that answers when all have been heard. */
static void
choose_server (PhNatDiscovery *self)
{
  for (size_t i = 0; i < self->config.n_servers; i++) {
    const Probe *probe = &self->probes[PROBE_SERVER + i];

    if (probe->state == ANSWERED && is_usable_other (&probe->to, &probe->other)) {
      self->chosen = (int)i;
      self->other = probe->other;
      return;
    }
  }
  for (size_t i = 0; i < self->config.n_servers && !any_asking (self); i++) {
    if (answered (self, PROBE_SERVER + (ProbeName)i)) {
      self->chosen = (int)i;
      return;
    }
  }
}

static void
leave_servers (PhNatDiscovery *self, PhTime now)
{
  choose_server (self);
  if (self->chosen < 0) {
    if (!any_asking (self))
      finish (self, now);
    return;
  }
  for (size_t i = 0; i < self->config.n_servers; i++) {
    if (self->probes[PROBE_SERVER + i].state == ASKING)
      probe_settle (&self->probes[PROBE_SERVER + i], UNUSED);
  }
  sample (self, PROBE_SERVER + (ProbeName)self->chosen);
  enter (self, now, CONTROL);
  ask (self, now, PROBE_CONTROL, self->config.filtering_socket, &self->config.servers[self->chosen],
       ask_timers);
}

static void
start_mapping (PhNatDiscovery *self, PhTime now)
{
  PhAddr to = self->other;

  if (!ph_addr_is_set (&self->other)) {
    finish (self, now);
    return;
  }
  enter (self, now, MAPPING);
  to.port = self->config.servers[self->chosen].port;
  ask (self, now, PROBE_MAPPING_II, self->config.mapping_socket, &to, ask_timers);
}

static void
leave_control (PhNatDiscovery *self, PhTime now)
{
  const Probe *first = first_answer (self);
  const Probe *control = &self->probes[PROBE_CONTROL];

  if (control->state != ANSWERED) {
    start_mapping (self, now);
    return;
  }
  sample (self, PROBE_CONTROL);
  enter (self, now, FILTERING);
  if (ph_addr_is_set (&self->other)) {
    ask_for_change (self, now, PROBE_FILTER_BOTH, PH_STUN_CHANGE_IP | PH_STUN_CHANGE_PORT);
    ask_for_change (self, now, PROBE_FILTER_PORT, PH_STUN_CHANGE_PORT);
  }
  if (!ph_addr_equal (&first->mapped, &self->config.mapping_local)) {
    /* Both speak: a NAT filters its own people too. */
    ask (self, now, PROBE_HAIRPIN_TO_MAPPING, self->config.filtering_socket, &first->mapped,
         silence_timers);
    ask (self, now, PROBE_HAIRPIN_TO_FILTERING, self->config.mapping_socket, &control->mapped,
         silence_timers);
  }
}

static void
leave_filtering (PhNatDiscovery *self, PhTime now)
{
  if (self->probes[PROBE_FILTER_BOTH].state != SILENT) {
    start_mapping (self, now);
    return;
  }
  enter (self, now, CONTROL_AGAIN);
  ask (self, now, PROBE_CONTROL, self->config.filtering_socket, &self->config.servers[self->chosen],
       ask_timers);
}

static void
leave_control_again (PhNatDiscovery *self, PhTime now)
{
  if (!answered (self, PROBE_CONTROL)) {
    start_mapping (self, now);
    return;
  }
  enter (self, now, FILTERING_AGAIN);
  ask_for_change (self, now, PROBE_FILTER_BOTH, PH_STUN_CHANGE_IP | PH_STUN_CHANGE_PORT);
  if (self->probes[PROBE_FILTER_PORT].state == SILENT)
    ask_for_change (self, now, PROBE_FILTER_PORT, PH_STUN_CHANGE_PORT);
}

/* The next of three tests from one socket; false after the last, or after one without an answer: then
 * the others tell nothing that the verdict could use. */
static bool
ask_next (PhNatDiscovery *self, PhTime now, ProbeName first, uint32_t socket)
{
  PhAddr to = self->other;

  for (ProbeName name = first; name < first + 3; name++) {
    if (self->probes[name].state == ANSWERED)
      continue;
    if (self->probes[name].state != UNUSED)
      return false;
    if (name == first)
      to.port = self->config.servers[self->chosen].port;
    if (name == first + 2) {
      to = self->config.servers[self->chosen];
      to.port = self->other.port;
    }
    ask (self, now, name, socket, &to, ask_timers);
    return true;
  }
  return false;
}

static void
leave_mapping (PhNatDiscovery *self, PhTime now)
{
  if (ask_next (self, now, PROBE_MAPPING_II, self->config.mapping_socket))
    return;
  for (ProbeName name = PROBE_MAPPING_II; name <= PROBE_MAPPING_IV; name++)
    sample (self, name);
  if (!is_dependent (judge_mapping (self)) || !answered (self, PROBE_CONTROL)) {
    finish (self, now);
    return;
  }
  enter (self, now, SAMPLES);
  ask_next (self, now, PROBE_SAMPLE_II, self->config.filtering_socket);
}

static void
leave_samples (PhNatDiscovery *self, PhTime now)
{
  if (ask_next (self, now, PROBE_SAMPLE_II, self->config.filtering_socket))
    return;
  for (ProbeName name = PROBE_SAMPLE_II; name <= PROBE_SAMPLE_IV; name++)
    sample (self, name);
  finish (self, now);
}

/* After any answer or silence. */
static void
advance (PhNatDiscovery *self, PhTime now)
{
  if (self->phase == SERVERS) {
    leave_servers (self, now);
    return;
  }
  while (self->phase != DONE && !any_asking (self)) {
    switch (self->phase) {
    case CONTROL:
      leave_control (self, now);
      break;
    case FILTERING:
      leave_filtering (self, now);
      break;
    case CONTROL_AGAIN:
      leave_control_again (self, now);
      break;
    case FILTERING_AGAIN:
      start_mapping (self, now);
      break;
    case MAPPING:
      leave_mapping (self, now);
      break;
    case SAMPLES:
      leave_samples (self, now);
      break;
    case SERVERS:
    case DONE:
    case N_PHASES:
      g_assert_not_reached ();
    }
  }
}

/* --- The five verbs ----------------------------------------------------------------------------- */

PhNatDiscovery *
ph_nat_discovery_new (const PhNatDiscoveryConfig *config, PhTime now)
{
  PhNatDiscovery *self = g_new0 (PhNatDiscovery, 1);

  g_assert (config->n_servers >= 1);
  g_assert (config->n_servers <= PH_NAT_SERVERS_MAX);
  g_assert (config->mapping_socket != config->filtering_socket);
  self->config = *config;
  self->chosen = -1;
  self->deadline = ph_time_add (now, PH_NAT_TIME_MAX);
  for (size_t i = 0; i < N_PROBES; i++)
    ph_stun_transaction_stop (&self->probes[i].transaction);
  for (size_t i = 0; i < config->n_servers; i++)
    ask (self, now, PROBE_SERVER + (ProbeName)i, config->mapping_socket, &config->servers[i],
         server_timers);
  return self;
}

void
ph_nat_discovery_free (PhNatDiscovery *self)
{
  g_free (self);
}

static void
handle_answer (Probe *probe, const PhDatagram *in, const PhStunMessage *message)
{
  const bool from_asked = ph_addr_equal (&in->remote, &probe->to);
  const bool from_right = ph_addr_equal (&in->remote, &probe->from);
  unsigned code;
  PhSlice reason;

  if (message->klass == PH_STUN_ERROR) {
    if (from_asked && ph_stun_get_error (message, &code, &reason))
      probe_settle (probe, REFUSED);
    return;
  }
  /* An answer to CHANGE-REQUEST from anywhere else: the server does not follow it. */
  if (!from_right) {
    if (probe->change != 0)
      probe_settle (probe, REFUSED);
    return;
  }
  if (!ph_stun_get_mapped (message, &probe->mapped) || probe->mapped.port == 0
      || probe->mapped.family != probe->to.family)
    return;
  ph_stun_get_addr (message, PH_STUN_OTHER_ADDRESS, &probe->other);
  probe_settle (probe, ANSWERED);
}

bool
ph_nat_discovery_handle_packet (PhNatDiscovery *self, PhTime now, const PhDatagram *in)
{
  const bool hairpin_way = in->socket == self->config.mapping_socket;
  PhStunMessage message;

  if (in->socket != self->config.mapping_socket && in->socket != self->config.filtering_socket)
    return false;
  if (!ph_stun_parse (in->bytes, &message) || message.method != PH_STUN_BINDING)
    return true;

  for (ProbeName name = 0; name < N_PROBES; name++) {
    Probe *probe = &self->probes[name];
    const bool is_hairpin = name == PROBE_HAIRPIN_TO_MAPPING || name == PROBE_HAIRPIN_TO_FILTERING;

    if (probe->state != ASKING || !ph_stun_id_equal (&message.id, &probe->transaction.id))
      continue;
    if (is_hairpin) {
      /* Our own question, come back to our other socket. */
      if (message.klass == PH_STUN_REQUEST && hairpin_way == (name == PROBE_HAIRPIN_TO_MAPPING))
        probe_settle (probe, ANSWERED);
    } else if (in->socket == probe->socket
               && (message.klass == PH_STUN_SUCCESS || message.klass == PH_STUN_ERROR)) {
      handle_answer (probe, in, &message);
    }
    break;
  }
  /* One way is enough. */
  for (ProbeName name = PROBE_HAIRPIN_TO_MAPPING; name <= PROBE_HAIRPIN_TO_FILTERING; name++) {
    if (self->probes[name].state == ASKING
        && (answered (self, PROBE_HAIRPIN_TO_MAPPING)
            || answered (self, PROBE_HAIRPIN_TO_FILTERING)))
      probe_settle (&self->probes[name], UNUSED);
  }
  advance (self, now);
  return true;
}

void
ph_nat_discovery_handle_timeout (PhNatDiscovery *self, PhTime now)
{
  for (size_t i = 0; i < N_PROBES; i++) {
    Probe *probe = &self->probes[i];

    if (probe->state != ASKING)
      continue;
    switch (ph_stun_transaction_due (&probe->transaction, now)) {
    case PH_STUN_WAIT:
      break;
    case PH_STUN_SEND_AGAIN:
      probe->send = true;
      break;
    case PH_STUN_GIVE_UP:
      probe_settle (probe, SILENT);
      break;
    }
  }
  if (self->phase != DONE && now >= self->deadline)
    finish (self, now);
  advance (self, now);
}

bool
ph_nat_discovery_poll_transmit (PhNatDiscovery *self, PhTime now, PhTransmit *tx)
{
  for (size_t i = 0; i < N_PROBES; i++) {
    Probe *probe = &self->probes[i];
    PhWriter w = ph_writer (tx->data, tx->cap);

    if (!probe->send)
      continue;
    probe->send = false;
    ph_stun_begin (&w, PH_STUN_REQUEST, PH_STUN_BINDING, &probe->transaction.id);
    if (probe->change != 0)
      ph_stun_put_u32 (&w, PH_STUN_CHANGE_REQUEST, probe->change);
    ph_stun_put_fingerprint (&w);
    g_assert (ph_writer_ok (&w));
    tx->socket = probe->socket;
    tx->remote = probe->to;
    tx->len = ph_writer_len (&w);
    tx->segment = 0;
    tx->ecn = 0;
    return true;
  }
  return false;
}

bool
ph_nat_discovery_poll_event (PhNatDiscovery *self, PhNatVerdict *ret_verdict)
{
  if (!self->has_event)
    return false;
  self->has_event = false;
  *ret_verdict = self->verdict;
  return true;
}

PhTime
ph_nat_discovery_next_timeout (const PhNatDiscovery *self, const char **ret_why)
{
  PhTime next = PH_NEVER;

  if (self->phase == DONE) {
    *ret_why = "the NAT is known";
    return PH_NEVER;
  }
  *ret_why = phase_names[self->phase];
  next = self->deadline;
  for (size_t i = 0; i < N_PROBES; i++) {
    if (self->probes[i].state == ASKING)
      next = ph_time_min (next, self->probes[i].transaction.deadline);
  }
  return next;
}
