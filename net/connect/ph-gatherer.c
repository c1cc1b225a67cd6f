/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/connect/ph-gatherer.h"

#include "net/stun/ph-stun-binding.h"

typedef struct {
  uint32_t id;
  PhAddr addr;
  PhCandidate host;
  PhAddr external; /* what the router has opened for it; unset: nothing */
} Socket;

/* What one server says about one socket. */
typedef struct {
  uint32_t socket;
  PhAddr server;
  PhStunBinding *binding; /* owned */
  bool answered; /* or given up */
  PhAddr mapped;
} Question;

struct _PhGatherer {
  PhRandom random;
  PhTrace trace;
  GArray *sockets; /* Socket */
  GArray *questions; /* Question */
  PhAddr servers[PH_GATHERER_SERVERS_MAX];
  size_t n_servers;
  unsigned rank; /* of the next socket: the caller adds the best address first */
  GArray *news; /* PhCandidate */
  PhRelays *relays;
  PhConnections *connections;
  PhTcpGatherer *tcp;
};

static void
question_clear (gpointer data)
{
  Question *question = data;

  ph_stun_binding_free (question->binding);
}

PhGatherer *
ph_gatherer_new (const PhRandom *random, const PhTrace *trace)
{
  PhGatherer *self = g_new0 (PhGatherer, 1);

  self->random = *random;
  if (trace != NULL)
    self->trace = *trace;
  self->sockets = g_array_new (FALSE, TRUE, sizeof (Socket));
  self->questions = g_array_new (FALSE, TRUE, sizeof (Question));
  g_array_set_clear_func (self->questions, question_clear);
  self->news = g_array_new (FALSE, TRUE, sizeof (PhCandidate));
  self->relays = ph_relays_new (random, trace);
  self->connections = ph_connections_new ();
  self->tcp = ph_tcp_gatherer_new (random, trace, self->connections);
  return self;
}

void
ph_gatherer_free (PhGatherer *self)
{
  if (self == NULL)
    return;
  g_array_unref (self->sockets);
  g_array_unref (self->questions);
  g_array_unref (self->news);
  ph_relays_free (self->relays);
  ph_tcp_gatherer_free (self->tcp);
  ph_connections_free (self->connections);
  g_free (self);
}

static const Socket *
find_socket (const PhGatherer *self, uint32_t id)
{
  for (guint i = 0; i < self->sockets->len; i++) {
    const Socket *socket = &g_array_index (self->sockets, Socket, i);

    if (socket->id == id)
      return socket;
  }
  return NULL;
}

/* A server on the internet sees nothing of a socket that only reaches this computer or this link. */
static bool
can_ask (const PhGatherer *self, const Socket *socket, const PhAddr *server)
{
  const PhScope scope = ph_addr_scope (&socket->addr);

  if (socket->addr.family != server->family || scope == PH_SCOPE_LINK_LOCAL)
    return false;
  return (scope == PH_SCOPE_LOOPBACK) == (ph_addr_scope (server) == PH_SCOPE_LOOPBACK);
}

static void
ask (PhGatherer *self, PhTime now, const Socket *socket, const PhAddr *server)
{
  const PhStunBindingConfig config = {
      .socket = socket->id,
      .server = *server,
      .random = self->random,
      .trace = &self->trace,
  };

  if (!can_ask (self, socket, server))
    return;

  const Question question = {
      .socket = socket->id,
      .server = *server,
      .binding = ph_stun_binding_new (&config, now),
  };

  g_array_append_val (self->questions, question);
}

bool
ph_gatherer_add_socket (PhGatherer *self, PhTime now, uint32_t id, const PhAddr *addr)
{
  if (self->sockets->len >= PH_GATHERER_SOCKETS_MAX)
    return false;

  const Socket socket = {
      .id = id,
      .addr = *addr,
      .host = ph_candidate_host (*addr, id, self->rank++),
  };

  g_array_append_val (self->sockets, socket);
  g_array_append_val (self->news, socket.host);
  for (size_t i = 0; i < self->n_servers; i++)
    ask (self, now, &socket, &self->servers[i]);
  ph_relays_add_socket (self->relays, now, id, addr);
  return true;
}

PhConnections *
ph_gatherer_connections (const PhGatherer *self)
{
  return self->connections;
}

PhTcpGatherer *
ph_gatherer_tcp (const PhGatherer *self)
{
  return self->tcp;
}

bool
ph_gatherer_server (const PhGatherer *self, PhFamily family, PhAddr *ret_server)
{
  for (guint i = 0; i < self->questions->len; i++) {
    const Question *question = &g_array_index (self->questions, Question, i);

    if (question->server.family != family || !ph_addr_is_set (&question->mapped))
      continue;
    *ret_server = question->server;
    return true;
  }
  return false;
}

PhRelays *
ph_gatherer_relays (const PhGatherer *self)
{
  return self->relays;
}

void
ph_gatherer_remove_socket (PhGatherer *self, uint32_t id)
{
  for (guint i = self->sockets->len; i-- > 0;) {
    if (g_array_index (self->sockets, Socket, i).id == id)
      g_array_remove_index (self->sockets, i);
  }
  for (guint i = self->questions->len; i-- > 0;) {
    if (g_array_index (self->questions, Question, i).socket == id)
      g_array_remove_index_fast (self->questions, i);
  }
  for (guint i = self->news->len; i-- > 0;) {
    if (g_array_index (self->news, PhCandidate, i).socket == id)
      g_array_remove_index (self->news, i);
  }
}

void
ph_gatherer_set_mapped (PhGatherer *self, uint32_t id, const PhAddr *external)
{
  for (guint i = 0; i < self->sockets->len; i++) {
    Socket *socket = &g_array_index (self->sockets, Socket, i);

    if (socket->id != id || ph_addr_equal (&socket->external, external))
      continue;
    socket->external = *external;
    if (ph_addr_is_set (external)) {
      const PhCandidate candidate = ph_candidate_mapped (&socket->host, *external);

      g_array_append_val (self->news, candidate);
    }
  }
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
ph_gatherer_set_servers (PhGatherer *self, PhTime now, const PhAddr *servers, size_t n)
{
  PhAddr old[PH_GATHERER_SERVERS_MAX];
  const size_t n_old = self->n_servers;

  memcpy (old, self->servers, sizeof old);
  self->n_servers = 0;
  for (size_t i = 0; i < n && self->n_servers < PH_GATHERER_SERVERS_MAX; i++) {
    if (!lists_server (self->servers, self->n_servers, &servers[i]))
      self->servers[self->n_servers++] = servers[i];
  }
  ph_tcp_gatherer_set_servers (self->tcp, now, self->servers, self->n_servers);

  for (guint i = self->questions->len; i-- > 0;) {
    const Question *question = &g_array_index (self->questions, Question, i);

    if (!lists_server (self->servers, self->n_servers, &question->server))
      g_array_remove_index_fast (self->questions, i);
  }
  for (size_t i = 0; i < self->n_servers; i++) {
    if (lists_server (old, n_old, &self->servers[i]))
      continue;
    for (guint s = 0; s < self->sockets->len; s++)
      ask (self, now, &g_array_index (self->sockets, Socket, s), &self->servers[i]);
  }
}

void
ph_gatherer_refresh (PhGatherer *self, PhTime now)
{
  for (guint i = 0; i < self->questions->len; i++)
    ph_stun_binding_refresh (g_array_index (self->questions, Question, i).binding, now);
}

static bool
make_srflx (const PhGatherer *self, const Question *question, PhCandidate *ret_candidate)
{
  const Socket *socket = find_socket (self, question->socket);

  if (socket == NULL || !ph_addr_is_set (&question->mapped)
      || ph_addr_equal (&question->mapped, &socket->addr))
    return false;
  *ret_candidate = ph_candidate_srflx (&socket->host, question->mapped, question->server);
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
ph_gatherer_candidates (const PhGatherer *self, PhCandidate *ret, size_t max)
{
  size_t n = 0;
  PhCandidate candidate;

  for (guint i = 0; i < self->sockets->len && n < max; i++)
    ret[n++] = g_array_index (self->sockets, Socket, i).host;
  for (guint i = 0; i < self->sockets->len && n < max; i++) {
    const Socket *socket = &g_array_index (self->sockets, Socket, i);

    if (ph_addr_is_set (&socket->external))
      ret[n++] = ph_candidate_mapped (&socket->host, socket->external);
  }
  for (guint i = 0; i < self->questions->len && n < max; i++) {
    const Question *question = &g_array_index (self->questions, Question, i);

    if (make_srflx (self, question, &candidate) && !has_address (ret, n, &candidate))
      ret[n++] = candidate;
  }
  n += ph_relays_candidates (self->relays, ret + n, max - n);
  return n + ph_tcp_gatherer_candidates (self->tcp, ret + n, max - n);
}

bool
ph_gatherer_done (const PhGatherer *self)
{
  for (guint i = 0; i < self->questions->len; i++) {
    if (!g_array_index (self->questions, Question, i).answered)
      return false;
  }
  return ph_tcp_gatherer_done (self->tcp) && ph_relays_done (self->relays);
}

bool
ph_gatherer_heard (const PhGatherer *self)
{
  for (guint i = 0; i < self->questions->len; i++) {
    if (ph_addr_is_set (&g_array_index (self->questions, Question, i).mapped))
      return true;
  }
  return false;
}

static void
settle (PhGatherer *self, PhTime now, Question *question)
{
  PhStunBindingEvent event;

  while (ph_stun_binding_poll_event (question->binding, &event)) {
    PhCandidate candidate;
    char text[PH_ADDR_STRING_MAX];

    question->answered = true;
    if (event.type != PH_STUN_BINDING_MAPPED)
      continue;
    question->mapped = event.mapped;
    ph_trace (&self->trace, now, "gather", "socket %u is seen as %s", question->socket,
              ph_addr_format (&event.mapped, text));
    if (make_srflx (self, question, &candidate))
      g_array_append_val (self->news, candidate);
  }
}

bool
ph_gatherer_handle_packet (PhGatherer *self, PhTime now, const PhDatagram *in)
{
  for (guint i = 0; i < self->questions->len; i++) {
    Question *question = &g_array_index (self->questions, Question, i);

    if (question->socket == in->socket
        && ph_stun_binding_handle_packet (question->binding, now, in)) {
      settle (self, now, question);
      return true;
    }
  }
  return false;
}

void
ph_gatherer_handle_timeout (PhGatherer *self, PhTime now)
{
  for (guint i = 0; i < self->questions->len; i++) {
    Question *question = &g_array_index (self->questions, Question, i);

    ph_stun_binding_handle_timeout (question->binding, now);
    settle (self, now, question);
  }
}

bool
ph_gatherer_poll_transmit (PhGatherer *self, PhTime now, PhTransmit *tx)
{
  for (guint i = 0; i < self->questions->len; i++) {
    if (ph_stun_binding_poll_transmit (g_array_index (self->questions, Question, i).binding, now,
                                       tx))
      return true;
  }
  return false;
}

bool
ph_gatherer_poll_event (PhGatherer *self, PhCandidate *ret_candidate)
{
  if (self->news->len == 0)
    return false;
  *ret_candidate = g_array_index (self->news, PhCandidate, 0);
  g_array_remove_index (self->news, 0);
  return true;
}

PhTime
ph_gatherer_next_timeout (const PhGatherer *self, const char **ret_why)
{
  PhTime next = PH_NEVER;

  for (guint i = 0; i < self->questions->len; i++) {
    const char *why = NULL;
    const PhTime t =
        ph_stun_binding_next_timeout (g_array_index (self->questions, Question, i).binding, &why);

    if (t < next) {
      next = t;
      *ret_why = why;
    }
  }
  return next;
}
