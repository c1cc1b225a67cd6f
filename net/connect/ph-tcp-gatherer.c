/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/connect/ph-tcp-gatherer.h"

#include "net/stun/ph-stun-binding.h"
#include "net/turn/ph-turn-stream.h"

typedef struct {
  uint32_t id;
  PhAddr addr;
  PhCandidate passive;
  PhCandidate so;
  PhAddr external; /* what the router has opened for it; unset: nothing */
} Port;

/* What one server says about one port. */
typedef struct {
  uint32_t port;
  PhAddr server;
  uint32_t connection; /* 0: none */
  PhStunBinding *binding; /* owned; NULL until the connection is open */
  PhTurnStream *stream; /* owned; likewise */
  bool answered; /* or given up */
  PhTime patient_until;
  PhTime retry_at; /* PH_NEVER while there is a connection */
  PhAddr mapped;
} Question;

struct _PhTcpGatherer {
  PhRandom random;
  PhTrace trace;
  PhConnections *connections; /* borrowed */
  GArray *ports; /* Port */
  GArray *questions; /* Question */
  GArray *servers; /* PhAddr */
  GArray *news; /* PhCandidate */
  bool wanted;
  unsigned rank;
};

static void
hang_up (PhTcpGatherer *self, Question *question)
{
  if (question->connection != 0)
    ph_connections_abort (self->connections, question->connection);
  question->connection = 0;
  g_clear_pointer (&question->binding, ph_stun_binding_free);
  g_clear_pointer (&question->stream, ph_turn_stream_free);
}

static Question *
question_at (const PhTcpGatherer *self, guint i)
{
  return &g_array_index (self->questions, Question, i);
}

PhTcpGatherer *
ph_tcp_gatherer_new (const PhRandom *random, const PhTrace *trace, PhConnections *connections)
{
  PhTcpGatherer *self = g_new0 (PhTcpGatherer, 1);

  self->random = *random;
  if (trace != NULL)
    self->trace = *trace;
  self->connections = connections;
  self->ports = g_array_new (FALSE, TRUE, sizeof (Port));
  self->questions = g_array_new (FALSE, TRUE, sizeof (Question));
  self->servers = g_array_new (FALSE, TRUE, sizeof (PhAddr));
  self->news = g_array_new (FALSE, TRUE, sizeof (PhCandidate));
  return self;
}

void
ph_tcp_gatherer_free (PhTcpGatherer *self)
{
  if (self == NULL)
    return;
  for (guint i = 0; i < self->questions->len; i++)
    hang_up (self, question_at (self, i));
  g_array_unref (self->ports);
  g_array_unref (self->questions);
  g_array_unref (self->servers);
  g_array_unref (self->news);
  g_free (self);
}

/* --- Asking ------------------------------------------------------------------------------------- */

static const Port *
find_port (const PhTcpGatherer *self, uint32_t id)
{
  for (guint i = 0; i < self->ports->len; i++) {
    const Port *port = &g_array_index (self->ports, Port, i);

    if (port->id == id)
      return port;
  }
  return NULL;
}

/* A server on the internet sees nothing of a port that only reaches this computer or this link. */
static bool
can_ask (const PhAddr *addr, const PhAddr *server)
{
  const PhScope scope = ph_addr_scope (addr);

  if (addr->family != server->family || scope == PH_SCOPE_LINK_LOCAL)
    return false;
  return (scope == PH_SCOPE_LOOPBACK) == (ph_addr_scope (server) == PH_SCOPE_LOOPBACK);
}

static void
add_questions (PhTcpGatherer *self)
{
  for (guint p = 0; p < self->ports->len; p++) {
    const Port *port = &g_array_index (self->ports, Port, p);

    for (guint s = 0; s < self->servers->len; s++) {
      const PhAddr *server = &g_array_index (self->servers, PhAddr, s);
      const Question fresh = {.port = port->id, .server = *server, .patient_until = PH_NEVER};
      bool known = !can_ask (&port->addr, server);

      for (guint i = 0; i < self->questions->len && !known; i++)
        known = question_at (self, i)->port == port->id
                && ph_addr_equal (&question_at (self, i)->server, server);
      if (!known)
        g_array_append_val (self->questions, fresh);
    }
  }
}

static void
call_servers (PhTcpGatherer *self, PhTime now)
{
  for (guint i = 0; i < self->questions->len && self->wanted; i++) {
    Question *question = question_at (self, i);

    if (question->connection != 0 || now < question->retry_at)
      continue;
    question->connection = ph_connections_open (self->connections, question->port,
                                                &question->server, PH_CONNECTION_SERVER);
    if (question->patient_until == PH_NEVER)
      question->patient_until = ph_time_add (now, PH_TCP_GATHERER_PATIENCE);
    question->retry_at =
        question->connection == 0 ? ph_time_add (now, PH_TCP_GATHERER_RETRY) : PH_NEVER;
  }
}

void
ph_tcp_gatherer_add_port (PhTcpGatherer *self, PhTime now, uint32_t id, const PhAddr *addr)
{
  const unsigned rank = self->rank++;
  const Port port = {
      .id = id,
      .addr = *addr,
      .passive = ph_candidate_host_tcp (*addr, PH_CANDIDATE_TCP_PASSIVE, id, rank),
      .so = ph_candidate_host_tcp (*addr, PH_CANDIDATE_TCP_SO, id, rank),
  };

  g_array_append_val (self->ports, port);
  g_array_append_val (self->news, port.so);
  g_array_append_val (self->news, port.passive);
  add_questions (self);
  call_servers (self, now);
}

void
ph_tcp_gatherer_set_mapped (PhTcpGatherer *self, uint32_t id, const PhAddr *external)
{
  for (guint i = 0; i < self->ports->len; i++) {
    Port *port = &g_array_index (self->ports, Port, i);

    if (port->id != id || ph_addr_equal (&port->external, external))
      continue;
    port->external = *external;
    if (ph_addr_is_set (external)) {
      const PhCandidate candidate = ph_candidate_mapped (&port->passive, *external);

      g_array_append_val (self->news, candidate);
    }
  }
}

void
ph_tcp_gatherer_remove_port (PhTcpGatherer *self, uint32_t id)
{
  for (guint i = self->ports->len; i-- > 0;) {
    if (g_array_index (self->ports, Port, i).id == id)
      g_array_remove_index (self->ports, i);
  }
  for (guint i = self->questions->len; i-- > 0;) {
    if (question_at (self, i)->port == id) {
      hang_up (self, question_at (self, i));
      g_array_remove_index (self->questions, i);
    }
  }
  for (guint i = self->news->len; i-- > 0;) {
    if (g_array_index (self->news, PhCandidate, i).socket == id)
      g_array_remove_index (self->news, i);
  }
}

unsigned
ph_tcp_gatherer_n_ports (const PhTcpGatherer *self)
{
  return self->ports->len;
}

static bool
lists_server (const PhAddr *servers, size_t n, const PhAddr *server)
{
  for (size_t i = 0; i < n; i++) {
    if (ph_addr_equal (&servers[i], server))
      return true;
  }
  return false;
}

void
ph_tcp_gatherer_set_servers (PhTcpGatherer *self, PhTime now, const PhAddr *servers, size_t n)
{
  g_array_set_size (self->servers, 0);
  g_array_append_vals (self->servers, servers, (guint)n);
  for (guint i = self->questions->len; i-- > 0;) {
    if (!lists_server (servers, n, &question_at (self, i)->server)) {
      hang_up (self, question_at (self, i));
      g_array_remove_index (self->questions, i);
    }
  }
  add_questions (self);
  call_servers (self, now);
}

void
ph_tcp_gatherer_set_wanted (PhTcpGatherer *self, PhTime now, bool wanted)
{
  if (self->wanted == wanted)
    return;
  self->wanted = wanted;
  for (guint i = 0; i < self->questions->len && !wanted; i++) {
    hang_up (self, question_at (self, i));
    question_at (self, i)->retry_at = 0;
  }
  call_servers (self, now);
}

void
ph_tcp_gatherer_refresh (PhTcpGatherer *self, PhTime now)
{
  for (guint i = 0; i < self->questions->len; i++) {
    Question *question = question_at (self, i);

    if (question->binding != NULL)
      ph_stun_binding_refresh (question->binding, now);
    else if (question->connection == 0)
      question->retry_at = now;
  }
  call_servers (self, now);
}

/* --- Candidates --------------------------------------------------------------------------------- */

static bool
make_srflx (const PhTcpGatherer *self, const Question *question, PhCandidate *ret_candidate)
{
  const Port *port = find_port (self, question->port);

  if (port == NULL || !ph_addr_is_set (&question->mapped)
      || ph_addr_equal (&question->mapped, &port->addr))
    return false;
  *ret_candidate = ph_candidate_srflx (&port->so, question->mapped, question->server);
  return true;
}

static bool
has_address (const PhCandidate *candidates, size_t n, const PhCandidate *candidate)
{
  for (size_t i = 0; i < n; i++) {
    if (candidates[i].socket == candidate->socket
        && ph_addr_equal (&candidates[i].addr, &candidate->addr))
      return true;
  }
  return false;
}

size_t
ph_tcp_gatherer_candidates (const PhTcpGatherer *self, PhCandidate *ret, size_t max)
{
  size_t n = 0;
  PhCandidate candidate;

  for (guint i = 0; i < self->ports->len && n + 1 < max; i++) {
    ret[n++] = g_array_index (self->ports, Port, i).so;
    ret[n++] = g_array_index (self->ports, Port, i).passive;
  }
  for (guint i = 0; i < self->questions->len && n < max; i++) {
    if (make_srflx (self, question_at (self, i), &candidate) && !has_address (ret, n, &candidate))
      ret[n++] = candidate;
  }
  for (guint i = 0; i < self->ports->len && n < max; i++) {
    const Port *port = &g_array_index (self->ports, Port, i);

    if (ph_addr_is_set (&port->external))
      ret[n++] = ph_candidate_mapped (&port->passive, port->external);
  }
  return n;
}

bool
ph_tcp_gatherer_done (const PhTcpGatherer *self)
{
  for (guint i = 0; i < self->questions->len && self->wanted; i++) {
    if (!question_at (self, i)->answered)
      return false;
  }
  return true;
}

static void
settle (PhTcpGatherer *self, PhTime now, Question *question)
{
  PhStunBindingEvent event;

  while (question->binding != NULL && ph_stun_binding_poll_event (question->binding, &event)) {
    PhCandidate candidate;
    char text[PH_ADDR_STRING_MAX];

    question->answered = true;
    if (event.type != PH_STUN_BINDING_MAPPED)
      continue;
    question->mapped = event.mapped;
    ph_trace (&self->trace, now, "gather", "TCP port %u is seen as %s", question->port,
              ph_addr_format (&event.mapped, text));
    if (make_srflx (self, question, &candidate))
      g_array_append_val (self->news, candidate);
  }
}

/* --- Connections to servers --------------------------------------------------------------------- */

static Question *
on_connection (const PhTcpGatherer *self, uint32_t connection)
{
  for (guint i = 0; connection != 0 && i < self->questions->len; i++) {
    if (question_at (self, i)->connection == connection)
      return question_at (self, i);
  }
  return NULL;
}

void
ph_tcp_gatherer_handle_event (PhTcpGatherer *self, PhTime now, const PhConnectionEvent *event)
{
  Question *question = on_connection (self, event->socket);

  if (question == NULL)
    return;
  if (event->type == PH_CONNECTION_OPENED) {
    const PhStunBindingConfig config = {
        .socket = question->connection,
        .server = question->server,
        .random = self->random,
        .trace = &self->trace,
    };

    question->binding = ph_stun_binding_new (&config, now);
    question->stream = ph_turn_stream_new ();
    return;
  }
  question->connection = 0; /* it is gone already */
  hang_up (self, question);
  question->answered = true;
  question->retry_at = ph_time_add (now, PH_TCP_GATHERER_RETRY);
}

void
ph_tcp_gatherer_handle_packet (PhTcpGatherer *self, PhTime now, const PhDatagram *in)
{
  Question *question = on_connection (self, in->socket);
  PhDatagram message = *in;
  PhSlice left = in->bytes;
  PhTurnStreamResult result = PH_TURN_STREAM_MORE;

  if (question == NULL || question->stream == NULL)
    return;
  while ((result = ph_turn_stream_next (question->stream, &left, &message.bytes))
         == PH_TURN_STREAM_MESSAGE)
    ph_stun_binding_handle_packet (question->binding, now, &message);
  settle (self, now, question);
  if (result == PH_TURN_STREAM_BROKEN) {
    hang_up (self, question);
    question->answered = true;
    question->retry_at = ph_time_add (now, PH_TCP_GATHERER_RETRY);
  }
}

void
ph_tcp_gatherer_handle_timeout (PhTcpGatherer *self, PhTime now)
{
  for (guint i = 0; i < self->questions->len; i++) {
    Question *question = question_at (self, i);

    if (question->binding != NULL)
      ph_stun_binding_handle_timeout (question->binding, now);
    if (now >= question->patient_until)
      question->answered = true;
    settle (self, now, question);
  }
  call_servers (self, now);
}

bool
ph_tcp_gatherer_poll_transmit (PhTcpGatherer *self, PhTime now, PhTransmit *tx)
{
  for (guint i = 0; i < self->questions->len; i++) {
    Question *question = question_at (self, i);

    if (question->binding != NULL && ph_stun_binding_poll_transmit (question->binding, now, tx))
      return true;
  }
  return false;
}

bool
ph_tcp_gatherer_poll_event (PhTcpGatherer *self, PhCandidate *ret_candidate)
{
  if (self->news->len == 0)
    return false;
  *ret_candidate = g_array_index (self->news, PhCandidate, 0);
  g_array_remove_index (self->news, 0);
  return true;
}

PhTime
ph_tcp_gatherer_next_timeout (const PhTcpGatherer *self, const char **ret_why)
{
  PhTime next = PH_NEVER;

  for (guint i = 0; i < self->questions->len; i++) {
    const Question *question = question_at (self, i);
    const char *why = "STUN server over TCP";
    PhTime t = PH_NEVER;

    if (question->binding != NULL)
      t = ph_stun_binding_next_timeout (question->binding, &why);
    if (self->wanted && question->connection == 0)
      t = ph_time_min (t, question->retry_at);
    if (!question->answered)
      t = ph_time_min (t, question->patient_until);
    if (t < next) {
      next = t;
      *ret_why = why;
    }
  }
  return next;
}
