/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/connect/ph-connector.h"

#include "net/connect/ph-link-table.h"
#include "net/signal/ph-signal-body.h"

/* Packets of a handshake that came before our own check of their path was answered: the client's first
 * flight is one packet, its repetitions a few. */
#define EARLY_MAX 4

/* Below this the other end is on the same wire. BBR sizes its window by the shortest round trip, which is
 * there far below the time that a busy computer takes to run a thread, so it would send in dribbles;
 * and what BBR is for, loss on the way, does not happen on wires. */
#define NEAR_RTT PH_MSEC

/* What may have arrived and wait for the disk. Near, a slow disk must not be taken for a long line that
 * wants a larger window; far, twice what 1 Gbit/s holds in 100 ms. Both keep the process under 64 MiB. */
#define WINDOW_NEAR (UINT64_C (8) << 20)
#define WINDOW_FAR (UINT64_C (32) << 20)

/* A body must fit into one signal: candidates in groups that do. */
#define SIGNAL_BODY_MAX 8192

struct _PhConnector {
  PhConnectorConfig config;
  const PhGatherer *gatherer; /* borrowed */
  bool client; /* of QUIC, and ICE-controlling: we have the lower key */
  bool wanted;
  PhTime now;

  /* The attempt that runs; agent NULL: none. */
  PhIceAgent *agent;
  uint64_t generation;
  uint64_t remote_generation; /* 0: no credentials of the peer yet */
  PhTime answer_by; /* when the peer's credentials must be there */
  bool local_ended;
  bool was_connected; /* ICE has selected a pair at some time */
  PhTime link_by; /* server: when the client's handshake must have begun on the selected pair */
  bool silenced; /* the last path went silent, and nobody has asked yet */

  PhTime retry_at;
  PhTime retry_interval;

  /* What the peer is to be told. */
  bool params_due;
  uint64_t echo;
  GArray *candidates_due; /* PhCandidate */
  bool end_due;
  bool bye_due;
  uint64_t bye_generation;

  PhLinkTable links;
  GQueue early; /* Early, owned: kept until their pair is valid */
  GQueue events; /* PhConnectorEvent, owned */
  PhLink *buried; /* owned: told CLOSED by the last poll */
};

typedef struct {
  uint32_t socket;
  PhAddr remote;
  GBytes *bytes;
} Early;

static void attempt_start (PhConnector *self, PhTime now, uint64_t echo);

static void
early_free (gpointer data)
{
  Early *early = data;

  g_bytes_unref (early->bytes);
  g_free (early);
}

PhConnector *
ph_connector_new (const PhConnectorConfig *config, const PhGatherer *gatherer)
{
  PhConnector *self = g_new0 (PhConnector, 1);

  self->config = *config;
  self->gatherer = gatherer;
  self->client = memcmp (config->local_key, config->peer_key, PH_KEY_LEN) < 0;
  self->candidates_due = g_array_new (FALSE, TRUE, sizeof (PhCandidate));
  self->link_by = PH_NEVER;
  self->retry_at = PH_NEVER;
  self->retry_interval = PH_CONNECTOR_RETRY_MIN;
  g_queue_init (&self->events);
  g_queue_init (&self->early);
  return self;
}

static void
event_free (gpointer data)
{
  PhConnectorEvent *event = data;

  if (event->type == PH_CONNECTOR_EVENT_LINK_CLOSED)
    ph_link_free (event->link);
  if (event->type == PH_CONNECTOR_EVENT_LINK)
    ph_buf_slice_clear (&event->link_event.data);
  g_free (event);
}

void
ph_connector_free (PhConnector *self)
{
  if (self == NULL)
    return;
  g_queue_clear_full (&self->events, event_free);
  g_queue_clear_full (&self->early, early_free);
  g_clear_pointer (&self->buried, ph_link_free);
  ph_link_table_clear (&self->links);
  g_clear_pointer (&self->agent, ph_ice_agent_free);
  g_array_unref (self->candidates_due);
  g_free (self);
}

static void
push_event (PhConnector *self, const PhConnectorEvent *event)
{
  g_queue_push_tail (&self->events, g_memdup2 (event, sizeof *event));
}

/* Every use of the time goes through here: cores rely on it never going backwards. */
static void
advance (PhConnector *self, PhTime now)
{
  g_assert (now >= self->now);
  self->now = now;
}

/* --- Links -------------------------------------------------------------------------------------- */

/* The link has ended: out of the table, told to the owner, freed after that. */
static void
bury (PhConnector *self, PhLinkSlot *slot, const PhLinkEvent *why)
{
  const PhConnectorEvent event = {
      .type = PH_CONNECTOR_EVENT_LINK_CLOSED,
      .link = slot->link,
      .link_event = *why,
      .path = slot->path,
  };

  if (self->agent != NULL && slot->pair != 0)
    ph_ice_agent_set_in_use (self->agent, self->now, slot->pair, false);
  *slot = (PhLinkSlot){0};
  push_event (self, &event);
}

static void
bury_silent (PhConnector *self, PhLinkSlot *slot, const char *reason)
{
  PhLinkEvent why = {.type = PH_LINK_EVENT_CLOSED, .error = PH_LINK_ERROR_TIMEOUT};

  g_strlcpy (why.reason, reason, sizeof why.reason);
  bury (self, slot, &why);
}

static void
rebind (PhConnector *self, PhLinkSlot *slot, const PhIcePair *pair)
{
  const PhPath path = ph_path_from_pair (pair);

  if (slot->pair == pair->id)
    return;
  if (slot->pair != 0)
    ph_ice_agent_set_in_use (self->agent, self->now, slot->pair, false);
  ph_ice_agent_set_in_use (self->agent, self->now, pair->id, true);
  slot->pair = pair->id;
  slot->path = path;

  const PhConnectorEvent event = {
      .type = PH_CONNECTOR_EVENT_PATH,
      .link = slot->link,
      .path = path,
  };

  push_event (self, &event);
}

static bool
same_route (const PhPath *path, const PhIcePair *pair)
{
  return path->socket == pair->socket && ph_addr_equal_ip (&path->remote_to, &pair->remote_addr);
}

static PhLinkSlot *
add_link (PhConnector *self, const PhIcePair *pair, PhSlice initial)
{
  const bool near = pair->rtt != 0 && pair->rtt < NEAR_RTT;
  PhQuicConfig config = {
      .client = self->client,
      .identity = self->config.identity,
      .random = self->config.random,
      .trace = self->config.trace,
      .initial = initial,
      .rtt = pair->rtt,
      .congestion = near ? PH_QUIC_CUBIC : PH_QUIC_BBR,
      .window_max = near ? WINDOW_NEAR : WINDOW_FAR,
  };
  PhLink *link;

  if (ph_link_table_len (&self->links) == PH_CONNECTOR_LINKS_MAX)
    return NULL;

  memcpy (config.peer_key, self->config.peer_key, PH_KEY_LEN);
  link = ph_quic_link_new (&config, self->now);
  if (link == NULL || !ph_link_table_add (&self->links, link, pair))
    return NULL;
  ph_ice_agent_set_in_use (self->agent, self->now, pair->id, true);
  self->link_by = PH_NEVER;
  return ph_link_table_find (&self->links, link);
}

/* --- The attempt -------------------------------------------------------------------------------- */

static void
attempt_end (PhConnector *self)
{
  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++)
    self->links.slots[i].pair = 0;
  g_clear_pointer (&self->agent, ph_ice_agent_free);
  self->remote_generation = 0;
  self->link_by = PH_NEVER;
  self->params_due = false;
  self->end_due = false;
  g_array_set_size (self->candidates_due, 0);
}

/* The peer might take our silence for a network that comes back. */
static void
say_bye (PhConnector *self)
{
  if (self->agent == NULL)
    return;
  self->bye_due = true;
  self->bye_generation = self->generation;
}

static void
schedule_retry (PhConnector *self)
{
  if (!self->wanted) {
    self->retry_at = PH_NEVER;
    return;
  }

  /* Between half and the whole interval, so that two that fail together do not retry together. */
  const PhTime half = self->retry_interval / 2;

  self->retry_at = ph_time_add (self->now, half + ph_random_below (&self->config.random, half + 1));
  self->retry_interval = MIN (self->retry_interval * 2, PH_CONNECTOR_RETRY_MAX);
}

static void
attempt_fail (PhConnector *self, PhConnectorFailure failure)
{
  PhConnectorEvent event = {.type = PH_CONNECTOR_EVENT_FAILED, .failure = failure};

  say_bye (self);
  attempt_end (self);
  schedule_retry (self);
  event.retry_at = self->retry_at;
  push_event (self, &event);
}

static void
agent_make (PhConnector *self, const char *ufrag, const char *pwd)
{
  const PhIceConfig config = {
      .controlling = self->client,
      .allow_loopback = self->config.allow_loopback,
      .random = self->config.random,
      .trace = &self->config.trace,
      .ufrag = ufrag,
      .pwd = pwd,
  };

  self->agent = ph_ice_agent_new (&config, self->now);
  self->local_ended = false;
  self->was_connected = false;
}

static void
tell_end_of_candidates (PhConnector *self)
{
  if (self->agent == NULL || self->local_ended || !ph_gatherer_done (self->gatherer))
    return;
  self->local_ended = true;
  self->end_due = true;
  ph_ice_agent_end_local (self->agent, self->now);
}

static void
offer_candidates (PhConnector *self)
{
  PhCandidate candidates[PH_ICE_LOCAL_MAX];
  const size_t n = ph_gatherer_candidates (self->gatherer, candidates, PH_ICE_LOCAL_MAX);

  for (size_t i = 0; i < n; i++) {
    if (ph_ice_agent_add_local_candidate (self->agent, self->now, &candidates[i]))
      g_array_append_val (self->candidates_due, candidates[i]);
  }
  tell_end_of_candidates (self);
}

static void
attempt_start (PhConnector *self, PhTime now, uint64_t echo)
{
  attempt_end (self);
  agent_make (self, NULL, NULL);
  do
    self->generation = ph_random_u64 (&self->config.random);
  while (self->generation == 0);
  self->answer_by = ph_time_add (now, PH_CONNECTOR_ATTEMPT);
  self->retry_at = PH_NEVER;
  self->params_due = true;
  self->echo = echo;
  offer_candidates (self);
  ph_trace (&self->config.trace, now, "connect", "attempt %016" G_GINT64_MODIFIER "x begins",
            self->generation);
}

/* Our words crossed the peer's, or got lost: say them again, as an answer. */
static void
repeat_params (PhConnector *self, uint64_t echo)
{
  PhCandidate candidates[PH_ICE_LOCAL_MAX];
  const size_t n = ph_gatherer_candidates (self->gatherer, candidates, PH_ICE_LOCAL_MAX);

  self->params_due = true;
  self->echo = echo;
  g_array_set_size (self->candidates_due, 0);
  g_array_append_vals (self->candidates_due, candidates, (guint)n);
  self->end_due = self->local_ended;
}

/* The peer's latest credentials belong to our generation, and we had taken others: go on with the
 * same credentials of ours, which the peer has already, and forget the rest. */
static void
attempt_rebuild (PhConnector *self)
{
  g_autofree char *ufrag = g_strdup (ph_ice_agent_ufrag (self->agent));
  g_autofree char *pwd = g_strdup (ph_ice_agent_pwd (self->agent));

  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++)
    self->links.slots[i].pair = 0;
  g_clear_pointer (&self->agent, ph_ice_agent_free);
  agent_make (self, ufrag, pwd);
  self->remote_generation = 0;
  offer_candidates (self);
}

static bool
has_link_under_way (const PhConnector *self)
{
  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++) {
    const PhLink *link = self->links.slots[i].link;

    if (link != NULL && ph_link_state (link) != PH_LINK_CLOSED)
      return true;
  }
  return false;
}

void
ph_connector_set_wanted (PhConnector *self, PhTime now, bool wanted)
{
  advance (self, now);
  if (self->wanted == wanted)
    return;
  self->wanted = wanted;
  if (!wanted) {
    self->retry_at = PH_NEVER;
    return;
  }
  self->retry_interval = PH_CONNECTOR_RETRY_MIN;
  if (!has_link_under_way (self)
      && (self->agent == NULL || ph_ice_agent_state (self->agent) != PH_ICE_CHECKING))
    attempt_start (self, now, 0);
}

void
ph_connector_retry_now (PhConnector *self, PhTime now)
{
  advance (self, now);
  self->retry_interval = PH_CONNECTOR_RETRY_MIN;
  if (ph_connector_is_up (self)) {
    if (self->agent != NULL)
      ph_ice_agent_recheck (self->agent, now);
  } else if (self->wanted) {
    attempt_start (self, now, 0);
  }
}

void
ph_connector_close_link (PhConnector *self, PhTime now, PhLink *link, uint64_t code,
                         const char *reason)
{
  advance (self, now);
  if (ph_link_table_find (&self->links, link) != NULL)
    ph_link_close (link, now, code, reason);
}

void
ph_connector_close (PhConnector *self, PhTime now, uint64_t code, const char *reason)
{
  advance (self, now);
  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++) {
    if (self->links.slots[i].link != NULL)
      ph_link_close (self->links.slots[i].link, now, code, reason);
  }
  say_bye (self);
  attempt_end (self);
  self->wanted = false;
  self->retry_at = PH_NEVER;
}

/* --- Candidates and signals --------------------------------------------------------------------- */

void
ph_connector_add_candidate (PhConnector *self, PhTime now, const PhCandidate *candidate)
{
  advance (self, now);
  if (self->agent == NULL)
    return;
  if (ph_ice_agent_add_local_candidate (self->agent, now, candidate))
    g_array_append_vals (self->candidates_due, candidate, 1);
  tell_end_of_candidates (self);
}

static void settle (PhConnector *self);

void
ph_connector_remove_socket (PhConnector *self, PhTime now, uint32_t socket)
{
  advance (self, now);
  for (guint i = self->candidates_due->len; i-- > 0;) {
    if (g_array_index (self->candidates_due, PhCandidate, i).socket == socket)
      g_array_remove_index (self->candidates_due, i);
  }
  if (self->agent != NULL)
    ph_ice_agent_remove_socket (self->agent, now, socket);
  settle (self);
  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++) {
    PhLinkSlot *slot = &self->links.slots[i];

    if (slot->link != NULL && slot->path.socket == socket)
      bury_silent (self, slot, "socket gone");
  }
}

/* What credentials of the peer's mean, by the rules at the head of ph-connector.h. True: they belong to
 * the agent that there is now. */
static bool
match_params (PhConnector *self, const PhSignalMessage *message)
{
  const bool attached = self->agent != NULL && self->remote_generation != 0;
  const bool answers = self->agent != NULL && message->echo == self->generation;

  if (attached && message->generation == self->remote_generation)
    return false;

  if (!self->client) {
    if (!answers || attached)
      attempt_start (self, self->now, message->generation);
    return true;
  }

  if (message->echo != 0 && !answers)
    return false;
  if (answers && attached)
    attempt_rebuild (self);
  if (message->echo == 0 && self->agent != NULL && !attached)
    repeat_params (self, message->generation);
  else if (message->echo == 0)
    attempt_start (self, self->now, message->generation);
  return true;
}

static void
handle_params (PhConnector *self, const PhSignalMessage *message)
{
  char ufrag[PH_ICE_UFRAG_MAX + 1];
  char pwd[PH_ICE_PWD_MAX + 1];

  if (message->ufrag.len >= sizeof ufrag || message->pwd.len >= sizeof pwd
      || !match_params (self, message))
    return;

  memcpy (ufrag, message->ufrag.data, message->ufrag.len);
  ufrag[message->ufrag.len] = '\0';
  memcpy (pwd, message->pwd.data, message->pwd.len);
  pwd[message->pwd.len] = '\0';
  if (ph_ice_agent_set_remote_credentials (self->agent, self->now, ufrag, pwd))
    self->remote_generation = message->generation;
}

static void
handle_candidates (PhConnector *self, const PhSignalMessage *message)
{
  if (self->agent == NULL || message->generation != self->remote_generation)
    return;

  for (unsigned i = 0; i < message->n_candidates; i++) {
    PhReader r = ph_reader (message->candidates[i]);
    PhCandidate candidate;

    ph_candidate_read (&r, &candidate);
    if (ph_reader_done (&r))
      ph_ice_agent_add_remote_candidate (self->agent, self->now, &candidate);
  }
  if (message->end)
    ph_ice_agent_end_remote (self->agent, self->now);
}

/* The peer has no link and no agent any more: ours are dead, whatever we still think of them. */
static void
handle_bye (PhConnector *self)
{
  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++) {
    PhLinkSlot *slot = &self->links.slots[i];

    if (slot->link != NULL && ph_link_state (slot->link) != PH_LINK_CLOSED)
      bury_silent (self, slot, "the peer has none");
  }
  attempt_fail (self, PH_CONNECTOR_FAILURE_LOST);
  self->bye_due = false;
}

void
ph_connector_handle_signal (PhConnector *self, PhTime now, PhSlice body)
{
  PhReader r = ph_reader (body);
  PhSignalMessage message;

  advance (self, now);
  while (ph_signal_message_next (&r, &message) == PH_SIGNAL_OK) {
    switch (message.type) {
    case PH_SIGNAL_PARAMS:
      handle_params (self, &message);
      break;
    case PH_SIGNAL_CANDIDATES:
      handle_candidates (self, &message);
      break;
    case PH_SIGNAL_BYE:
      if (self->agent != NULL && message.generation == self->remote_generation)
        handle_bye (self);
      break;
    }
  }
  settle (self);
}

static void
write_candidates (PhConnector *self, PhWriter *w)
{
  uint8_t wire[PH_SIGNAL_CANDIDATES_MAX][PH_CANDIDATE_WIRE_MAX];
  PhSignalMessage message = {
      .type = PH_SIGNAL_CANDIDATES,
      .generation = self->generation,
  };
  const guint n = MIN (self->candidates_due->len, PH_SIGNAL_CANDIDATES_MAX);

  for (guint i = 0; i < n; i++) {
    PhWriter one = ph_writer (wire[i], sizeof wire[i]);

    ph_candidate_write (&one, &g_array_index (self->candidates_due, PhCandidate, i));
    if (ph_writer_ok (&one))
      message.candidates[message.n_candidates++] = ph_slice (wire[i], ph_writer_len (&one));
  }
  g_array_remove_range (self->candidates_due, 0, n);
  if (self->candidates_due->len == 0) {
    message.end = self->end_due;
    self->end_due = false;
  }
  ph_signal_message_write (w, &message);
}

GBytes *
ph_connector_poll_signal (PhConnector *self)
{
  uint8_t body[SIGNAL_BODY_MAX];
  PhWriter w = ph_writer (body, sizeof body);

  if (self->bye_due) {
    const PhSignalMessage bye = {.type = PH_SIGNAL_BYE, .generation = self->bye_generation};

    ph_signal_message_write (&w, &bye);
    self->bye_due = false;
  }
  if (self->params_due) {
    const PhSignalMessage params = {
        .type = PH_SIGNAL_PARAMS,
        .generation = self->generation,
        .echo = self->echo,
        .ufrag = ph_slice_string (ph_ice_agent_ufrag (self->agent)),
        .pwd = ph_slice_string (ph_ice_agent_pwd (self->agent)),
    };

    ph_signal_message_write (&w, &params);
    self->params_due = false;
  }
  if (self->candidates_due->len > 0 || self->end_due)
    write_candidates (self, &w);

  g_assert (ph_writer_ok (&w));
  return ph_writer_len (&w) > 0 ? g_bytes_new (body, ph_writer_len (&w)) : NULL;
}

/* --- What ICE says ------------------------------------------------------------------------------ */

static void
pair_selected (PhConnector *self, const PhIcePair *pair)
{
  if (ph_link_table_on_pair (&self->links, pair->id) != NULL)
    return;

  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++) {
    PhLinkSlot *slot = &self->links.slots[i];

    /* Not a link of an earlier attempt: the peer may have begun anew because it lost that one. */
    if (slot->link != NULL && slot->pair != 0 && ph_link_state (slot->link) == PH_LINK_READY
        && same_route (&slot->path, pair)) {
      rebind (self, slot, pair);
      return;
    }
  }
  if (self->client)
    add_link (self, pair, ph_slice (NULL, 0));
  else
    self->link_by = ph_time_add (self->now, has_link_under_way (self) ? PH_CONNECTOR_REBINDING
                                                                      : PH_CONNECTOR_HANDSHAKE);
}

/* Server: the client has opened no link on the pair that it selected. To it that pair is the one that its
 * link is on already: our view of it has changed, because its NAT has. Or its link has none any more
 * on this side, and it must be told. */
static void
link_overdue (PhConnector *self)
{
  PhIcePair pair;

  self->link_by = PH_NEVER;
  if (!has_link_under_way (self)) {
    attempt_start (self, self->now, 0);
    return;
  }
  if (!ph_ice_agent_selected (self->agent, &pair))
    return;
  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++) {
    PhLinkSlot *slot = &self->links.slots[i];

    if (slot->link != NULL && slot->pair != 0 && ph_link_state (slot->link) == PH_LINK_READY)
      rebind (self, slot, &pair);
  }
}

typedef struct {
  const PhPath *path;
  PhIcePair pair;
  bool found;
} Detour;

static bool
find_detour (void *user, const PhIcePair *pair)
{
  Detour *detour = user;

  if (pair->state == PH_ICE_PAIR_SUCCEEDED && same_route (detour->path, pair)) {
    detour->pair = *pair;
    detour->found = true;
  }
  return !detour->found;
}

static void
pair_lost (PhConnector *self, const PhIcePair *pair)
{
  PhLinkSlot *slot = ph_link_table_on_pair (&self->links, pair->id);

  if (slot == NULL)
    return;

  Detour detour = {.path = &slot->path};

  ph_ice_agent_for_each_pair (self->agent, find_detour, &detour);
  if (detour.found) {
    rebind (self, slot, &detour.pair);
    return;
  }
  bury_silent (self, slot, "path silent");
  if (!self->client && !has_link_under_way (self) && self->link_by == PH_NEVER
      && ph_ice_agent_state (self->agent) == PH_ICE_CONNECTED)
    self->link_by = ph_time_add (self->now, PH_CONNECTOR_HANDSHAKE);
}

static bool
is_known (void *user, const PhIcePair *pair)
{
  Early *early = user;

  /* Found: stop, and say so by an address that nothing has. */
  if (pair->socket != early->socket || !ph_addr_equal (&pair->remote_addr, &early->remote))
    return true;
  early->socket = 0;
  return false;
}

/* Whether the peer named this address or an authentic check came from it. */
static bool
knows_path (const PhConnector *self, uint32_t socket, const PhAddr *remote)
{
  Early probe = {.socket = socket, .remote = *remote};

  if (self->agent == NULL || socket == 0)
    return false;
  ph_ice_agent_for_each_pair (self->agent, is_known, &probe);
  return probe.socket == 0;
}

static bool handle_quic (PhConnector *self, const PhDatagram *in);

static void
replay_early (PhConnector *self, const PhIcePair *pair)
{
  for (guint n = self->early.length; n > 0; n--) {
    Early *early = g_queue_pop_head (&self->early);
    gsize len;
    const uint8_t *data = g_bytes_get_data (early->bytes, &len);
    const PhDatagram in = {
        .socket = early->socket,
        .remote = early->remote,
        .bytes = ph_slice (data, len),
    };

    if (early->socket == pair->socket && ph_addr_equal (&early->remote, &pair->remote_addr)) {
      handle_quic (self, &in);
      early_free (early);
    } else {
      g_queue_push_tail (&self->early, early);
    }
  }
}

/* Carries out what the agent decided. */
static void
settle (PhConnector *self)
{
  PhIceEvent event;

  while (self->agent != NULL && ph_ice_agent_poll_event (self->agent, &event)) {
    switch (event.type) {
    case PH_ICE_EVENT_SELECTED:
      self->was_connected = true;
      pair_selected (self, &event.pair);
      break;
    case PH_ICE_EVENT_PAIR_LOST:
      pair_lost (self, &event.pair);
      break;
    case PH_ICE_EVENT_FAILED:
      attempt_fail (self,
                    self->was_connected ? PH_CONNECTOR_FAILURE_LOST : PH_CONNECTOR_FAILURE_NO_PAIR);
      break;
    case PH_ICE_EVENT_DISCONNECTED:
      self->silenced = true; /* the agent checks on by itself; SELECTED or FAILED follows */
      break;
    case PH_ICE_EVENT_PAIR_VALID:
      replay_early (self, &event.pair);
      break;
      break;
    }
  }
}

/* --- The five verbs ----------------------------------------------------------------------------- */

bool
ph_connector_owns_path (const PhConnector *self, uint32_t socket, const PhAddr *remote)
{
  PhIcePair pair;

  return ph_link_table_uses (&self->links, socket, remote)
         || (self->agent != NULL && ph_ice_agent_find_valid (self->agent, socket, remote, &pair))
         || knows_path (self, socket, remote);
}

bool
ph_connector_owns_ufrag (const PhConnector *self, PhSlice ufrag)
{
  return self->agent != NULL
         && ph_slice_equal (ufrag, ph_slice_string (ph_ice_agent_ufrag (self->agent)));
}

/* The client may know that a pair works a moment before we do. */
static void
keep_early (PhConnector *self, const PhDatagram *in)
{
  Early *early;

  if (self->early.length >= EARLY_MAX || !knows_path (self, in->socket, &in->remote))
    return;
  early = g_new0 (Early, 1);
  early->socket = in->socket;
  early->remote = in->remote;
  early->bytes = g_bytes_new (in->bytes.data, in->bytes.len);
  g_queue_push_tail (&self->early, early);
}

static bool
handle_quic (PhConnector *self, const PhDatagram *in)
{
  PhLinkSlot *slot = ph_link_table_for_packet (&self->links, in->bytes);
  PhSlice dcid, scid;
  PhIcePair pair;

  if (slot != NULL) {
    /* Known address or not, QUIC's own keys decide whether it is the peer's. */
    ph_link_handle_packet (slot->link, self->now, in);
    if ((slot->path.socket != in->socket || !ph_addr_equal (&slot->path.remote_to, &in->remote))
        && self->agent != NULL
        && ph_ice_agent_find_valid (self->agent, in->socket, &in->remote, &pair))
      rebind (self, slot, &pair);
    return true;
  }

  if (self->client || self->agent == NULL || !ph_quic_is_initial (in->bytes, &dcid, &scid))
    return false;
  if (!ph_ice_agent_find_valid (self->agent, in->socket, &in->remote, &pair)) {
    keep_early (self, in);
    return true;
  }
  slot = add_link (self, &pair, in->bytes);
  if (slot == NULL)
    return false;
  ph_link_handle_packet (slot->link, self->now, in);
  return true;
}

bool
ph_connector_handle_packet (PhConnector *self, PhTime now, const PhDatagram *in)
{
  bool ours;

  advance (self, now);
  if (!ph_stun_is_stun (in->bytes))
    return handle_quic (self, in);

  ours = self->agent != NULL && ph_ice_agent_handle_packet (self->agent, now, in);
  if (ours)
    settle (self);
  return ours;
}

void
ph_connector_handle_timeout (PhConnector *self, PhTime now)
{
  advance (self, now);
  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++) {
    if (self->links.slots[i].link != NULL)
      ph_link_handle_timeout (self->links.slots[i].link, now);
  }
  if (self->agent != NULL) {
    ph_ice_agent_handle_timeout (self->agent, now);
    settle (self);
  }
  if (self->agent != NULL && self->remote_generation == 0 && now >= self->answer_by)
    attempt_fail (self, PH_CONNECTOR_FAILURE_NO_ANSWER);
  if (now >= self->link_by)
    link_overdue (self);
  if (self->agent == NULL && self->wanted && now >= self->retry_at)
    attempt_start (self, now, 0);
  tell_end_of_candidates (self);
}

bool
ph_connector_poll_transmit (PhConnector *self, PhTime now, PhTransmit *tx)
{
  advance (self, now);
  if (self->agent != NULL && ph_ice_agent_poll_transmit (self->agent, now, tx))
    return true;
  return ph_link_table_poll_transmit (&self->links, now, tx);
}

/* A link that ended. If it was the last one, what comes next depends on why. */
static void
link_closed (PhConnector *self, PhLinkSlot *slot, const PhLinkEvent *why, bool was_ready)
{
  bury (self, slot, why);
  if (has_link_under_way (self))
    return;

  if (!was_ready && why->error != PH_LINK_ERROR_NONE) {
    attempt_fail (self, why->error == PH_LINK_ERROR_IDENTITY ? PH_CONNECTOR_FAILURE_IDENTITY
                                                             : PH_CONNECTOR_FAILURE_HANDSHAKE);
  } else {
    say_bye (self);
    attempt_end (self);
    schedule_retry (self);
  }
}

static bool
poll_link (PhConnector *self, PhLinkSlot *slot)
{
  PhConnectorEvent event = {.type = PH_CONNECTOR_EVENT_LINK, .link = slot->link};

  if (!ph_link_poll_event (slot->link, &event.link_event))
    return false;

  event.path = slot->path;
  switch (event.link_event.type) {
  case PH_LINK_EVENT_READY:
    event.type = PH_CONNECTOR_EVENT_LINK_READY;
    slot->was_ready = true;
    self->retry_interval = PH_CONNECTOR_RETRY_MIN;
    push_event (self, &event);
    break;
  case PH_LINK_EVENT_CLOSED:
    link_closed (self, slot, &event.link_event, slot->was_ready);
    break;
  case PH_LINK_EVENT_STREAM_OPENED:
  case PH_LINK_EVENT_STREAM_DATA:
  case PH_LINK_EVENT_STREAM_RESET:
  case PH_LINK_EVENT_DRAINED:
    push_event (self, &event);
    break;
  }
  return true;
}

bool
ph_connector_poll_event (PhConnector *self, PhConnectorEvent *ret_event)
{
  PhConnectorEvent *event;

  g_clear_pointer (&self->buried, ph_link_free);
  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX && g_queue_is_empty (&self->events); i++) {
    if (self->links.slots[i].link != NULL)
      poll_link (self, &self->links.slots[i]);
  }

  event = g_queue_pop_head (&self->events);
  if (event == NULL)
    return false;
  *ret_event = *event;
  g_free (event);
  if (ret_event->type == PH_CONNECTOR_EVENT_LINK_CLOSED)
    self->buried = ret_event->link;
  return true;
}

PhTime
ph_connector_next_timeout (const PhConnector *self, const char **ret_why)
{
  const char *why = NULL;
  PhTime next = ph_link_table_next_timeout (&self->links, ret_why);

  if (self->agent != NULL) {
    const PhTime t = ph_ice_agent_next_timeout (self->agent, &why);

    if (t < next) {
      next = t;
      *ret_why = why;
    }
    if (self->remote_generation == 0 && self->answer_by < next) {
      next = self->answer_by;
      *ret_why = "peer does not answer";
    }
    if (self->link_by < next) {
      next = self->link_by;
      *ret_why = "peer opens no link";
    }
  } else if (self->wanted && self->retry_at < next) {
    next = self->retry_at;
    *ret_why = "next attempt";
  }
  return next;
}

bool
ph_connector_take_silenced (PhConnector *self)
{
  const bool silenced = self->silenced;

  self->silenced = false;
  return silenced;
}

bool
ph_connector_is_up (const PhConnector *self)
{
  return ph_link_table_any_ready (&self->links);
}

const PhIceAgent *
ph_connector_agent (const PhConnector *self)
{
  return self->agent;
}

PhLink *
ph_connector_nth_link (const PhConnector *self, unsigned n)
{
  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++) {
    if (self->links.slots[i].link != NULL && n-- == 0)
      return self->links.slots[i].link;
  }
  return NULL;
}

bool
ph_connector_link_path (const PhConnector *self, const PhLink *link, PhPath *ret_path)
{
  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++) {
    if (self->links.slots[i].link == link) {
      *ret_path = self->links.slots[i].path;
      return true;
    }
  }
  return false;
}
