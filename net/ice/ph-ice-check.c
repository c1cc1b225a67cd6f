/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/ice/ph-ice-private.h"

/* TCP repeats by itself: one, and a second later a new one.
 * UDP: 0, 0.25, 0.75 and 1.75 s; given up a second later, then tried again with a new check while there is
 * time: a pair whose peer starts late is not written off, and pauses never get long. */
#define CHECK_SENDS_MAX 4
#define CHECK_LAST_WAIT 4
/* Answers that wait to be sent. The caller sends after every batch it receives; a peer that asks
 * faster than that goes unanswered and asks again. */
#define OUT_MAX 256
#define ERROR_RETRY (1 * PH_SEC)
#define UNKNOWN_MAX 8
/* The least round trip of the last one to two of these is what the path takes without our own load. */
#define RTT_LEAST_INTERVAL (60 * PH_SEC)

#define ERROR_BAD_REQUEST 400
#define ERROR_UNKNOWN_ATTRIBUTE 420
#define ERROR_ROLE_CONFLICT 487

static const uint16_t known_attrs[] = {
    PH_STUN_USERNAME,
    PH_STUN_PRIORITY,
    PH_STUN_USE_CANDIDATE,
};

/* --- Sending ------------------------------------------------------------------------------------ */

void
ice_queue (PhIceAgent *self, uint32_t socket, const PhAddr *remote, uint8_t ttl, const PhWriter *w)
{
  g_assert (ph_writer_ok (w));
  if (g_queue_get_length (&self->out) >= OUT_MAX)
    return;

  const size_t len = ph_writer_len (w);
  IceOut *out = g_malloc (sizeof *out + len);

  out->socket = socket;
  out->remote = *remote;
  out->ttl = ttl;
  out->len = len;
  memcpy (out->data, w->start, len);
  g_queue_push_tail (&self->out, out);
}

/* RFC 8445 §7.1. The same id and flags give the same bytes, but for news of a loss. */
static void
send_request (PhIceAgent *self, IcePair *pair, const PhStunId *id, bool nominates)
{
  uint8_t data[PH_STUN_MESSAGE_MAX];
  char username[PH_ICE_UFRAG_MAX * 2 + 2];
  PhWriter w = ph_writer (data, sizeof data);

  g_snprintf (username, sizeof username, "%s:%s", self->remote_ufrag, self->ufrag);
  ph_stun_begin (&w, PH_STUN_REQUEST, PH_STUN_BINDING, id);
  ph_stun_put (&w, PH_STUN_USERNAME, ph_slice_string (username));
  ph_stun_put_u32 (&w, PH_STUN_PRIORITY, ph_candidate_prflx_priority (pair->local));
  ph_stun_put_u64 (&w, self->controlling ? PH_STUN_ICE_CONTROLLING : PH_STUN_ICE_CONTROLLED,
                   self->tie_breaker);
  if (nominates)
    ph_stun_put_flag (&w, PH_STUN_USE_CANDIDATE);
  if (nominates && self->renominates)
    ph_stun_put_u32 (&w, PH_STUN_NOMINATION, pair->nomination);
  if (!self->controlling && self->gone != 0)
    ph_stun_put_u32 (&w, self->leaves ? PH_STUN_NOMINATION_LEAVING : PH_STUN_NOMINATION_GONE,
                     self->gone);
  ph_stun_put_integrity (&w, ph_slice_string (self->remote_pwd));
  ph_stun_put_fingerprint (&w);
  ice_queue (self, pair->socket, &pair->remote_addr, 0, &w);
  pair->checks_sent++;
}

/* Notes a new check; its answer is waited for until ICE_ASKED_MAX newer ones were sent. */
static PhStunId
ask (PhIceAgent *self, PhTime now, IcePair *pair, bool nominates)
{
  IceAsked asked = {
      .sent = now,
      .open = true,
      .nominates = nominates,
      .controlling = self->controlling,
  };

  ph_random_bytes (&self->config.random, asked.id.bytes, sizeof asked.id.bytes);
  pair->asked[pair->asked_next] = asked;
  pair->asked_next = (pair->asked_next + 1) % ICE_ASKED_MAX;
  return asked.id;
}

static IceAsked *
find_asked (IcePair *pair, const PhStunId *id)
{
  for (unsigned i = 0; i < ICE_ASKED_MAX; i++) {
    if (pair->asked[i].open && ph_stun_id_equal (&pair->asked[i].id, id))
      return &pair->asked[i];
  }
  return NULL;
}

void
ice_check_start (PhIceAgent *self, PhTime now, IcePair *pair, bool nominates)
{
  /* RFC 8445 §14.3: slower when many pairs are checked, so that the rate stays what pacing made it. */
  const PhTime busy = self->config.timers.pacing_interval * ice_count_open (self);
  const PhStunTimers timers = {
      .rto_interval = MAX (self->config.timers.rto_interval, busy),
      .sends_max = ice_pair_is_tcp (pair) ? 1 : CHECK_SENDS_MAX,
      .last_wait = CHECK_LAST_WAIT,
  };
  PhStunId id;

  g_assert (ice_has_remote_credentials (self));
  pair->triggered_seq = 0;
  if (pair->socket == 0) {
    ice_event (self, PH_ICE_EVENT_CONNECT, pair);
    return;
  }
  id = ask (self, now, pair, nominates);
  pair->check_nominates = nominates;
  ph_stun_transaction_start (&pair->check, now, &id, timers);
  send_request (self, pair, &id, nominates);
}

void
ice_check_again (PhIceAgent *self, PhTime now, IcePair *pair)
{
  IceAsked *asked = find_asked (pair, &pair->check.id);

  if (asked != NULL)
    asked->resent = true;
  send_request (self, pair, &pair->check.id, pair->check_nominates);
}

void
ice_check_consent (PhIceAgent *self, PhTime now, IcePair *pair)
{
  /* On the selected pair it nominates again: a peer that sees us come from a new address then moves its
   * selection along. */
  const bool nominates = self->controlling && (pair == self->selected || pair->nominating);
  const PhStunId id = ask (self, now, pair, nominates);

  send_request (self, pair, &id, nominates);
}

static PhWriter
begin_answer (uint8_t data[PH_STUN_MESSAGE_MAX], PhStunClass klass, const PhStunMessage *request)
{
  PhWriter w = ph_writer (data, PH_STUN_MESSAGE_MAX);

  ph_stun_begin (&w, klass, PH_STUN_BINDING, &request->id);
  return w;
}

static void
end_answer (PhIceAgent *self, PhWriter *w, const PhDatagram *in)
{
  ph_stun_put_integrity (w, ph_slice_string (self->pwd));
  ph_stun_put_fingerprint (w);
  ice_queue (self, in->socket, &in->remote, 0, w);
}

static void
answer_success (PhIceAgent *self, const PhDatagram *in, const PhStunMessage *request)
{
  uint8_t data[PH_STUN_MESSAGE_MAX];
  PhWriter w = begin_answer (data, PH_STUN_SUCCESS, request);

  ph_stun_put_xor_addr (&w, PH_STUN_XOR_MAPPED_ADDRESS, &in->remote);
  end_answer (self, &w, in);
}

static void
answer_error (PhIceAgent *self, const PhDatagram *in, const PhStunMessage *request, unsigned code,
              const char *reason)
{
  uint8_t data[PH_STUN_MESSAGE_MAX];
  uint16_t unknown[UNKNOWN_MAX];
  PhWriter w = begin_answer (data, PH_STUN_ERROR, request);

  ph_stun_put_error (&w, code, reason);
  if (code == ERROR_UNKNOWN_ATTRIBUTE) {
    const size_t n =
        ph_stun_unknown (request, known_attrs, G_N_ELEMENTS (known_attrs), unknown, UNKNOWN_MAX);

    ph_stun_put_unknown (&w, unknown, MIN (n, UNKNOWN_MAX));
  }
  end_answer (self, &w, in);
}

/* --- Roles -------------------------------------------------------------------------------------- */

static void
switch_role (PhIceAgent *self, PhTime now, const char *why)
{
  self->controlling = !self->controlling;
  ph_trace (self->config.trace, now, "ice", "now %s: %s",
            self->controlling ? "controlling" : "controlled", why);
  for (unsigned i = 0; i < self->pairs->len; i++) {
    IcePair *pair = self->pairs->pdata[i];

    pair->nominating = false;
    pair->peer_nominated = false;
    if (pair->state == PH_ICE_PAIR_SUCCEEDED)
      ph_stun_transaction_stop (&pair->check);
    else if (pair->state == PH_ICE_PAIR_IN_PROGRESS)
      ice_pair_trigger (self, now, pair); /* its bytes name the old role */
  }
  ice_pairs_rank (self);
}

/* RFC 8445 §7.3.1.1. False if the request is to be refused with 487. */
static bool
settle_roles (PhIceAgent *self, PhTime now, const PhStunMessage *request)
{
  const uint16_t same = self->controlling ? PH_STUN_ICE_CONTROLLING : PH_STUN_ICE_CONTROLLED;
  uint64_t theirs;

  if (!ph_stun_get_u64 (request, same, &theirs))
    return true;

  const bool we_control = self->tie_breaker >= theirs;

  if (we_control == self->controlling)
    return false;
  switch_role (self, now, "the peer claims the same role");
  return true;
}

/* --- Requests ----------------------------------------------------------------------------------- */

bool
ph_ice_packet_ufrag (PhSlice bytes, PhSlice *ret_ufrag)
{
  PhStunMessage message;
  PhSlice username;

  if (!ph_stun_parse (bytes, &message) || message.klass != PH_STUN_REQUEST
      || message.method != PH_STUN_BINDING || !ph_stun_find (&message, PH_STUN_USERNAME, &username)
      || username.len == 0)
    return false;

  const uint8_t *colon = memchr (username.data, ':', username.len);

  if (colon == NULL)
    return false;
  *ret_ufrag = ph_slice (username.data, (size_t)(colon - username.data));
  return true;
}

/* RFC 8445 §7.3.1.4: what a request does to the checks of its own pair. */
static void
trigger_check (PhIceAgent *self, PhTime now, IcePair *pair, bool nominates)
{
  const PhTime pacing = self->config.timers.pacing_interval;

  switch (pair->state) {
  case PH_ICE_PAIR_SUCCEEDED:
    return;
  case PH_ICE_PAIR_IN_PROGRESS:
    /* Ours left so lately that the two have most likely crossed: no need for a third. */
    if (ph_time_since (now, pair->check.last_sent) < pacing) {
      ph_stun_transaction_hasten (&pair->check, pair->check.last_sent + 2 * pacing);
      return;
    }
    break;
  case PH_ICE_PAIR_FAILED:
    if (pair->why == PH_ICE_WHY_RETIRED && !nominates)
      return;
    break;
  default:
    break;
  }
  ice_pair_trigger (self, now, pair);
}

bool
ph_ice_agent_write_probe (const PhIceAgent *self, PhWriter *w)
{
  char username[PH_ICE_UFRAG_MAX * 2 + 2];
  const PhAddr any = {.family = PH_FAMILY_IPV4};
  PhStunId id;

  if (!ice_has_remote_credentials (self))
    return false;
  ph_random_bytes (&self->config.random, id.bytes, sizeof id.bytes);
  g_snprintf (username, sizeof username, "%s:%s", self->remote_ufrag, self->ufrag);
  ph_stun_begin (w, PH_STUN_REQUEST, PH_STUN_BINDING, &id);
  ph_stun_put (w, PH_STUN_USERNAME, ph_slice_string (username));
  ph_stun_put_u32 (w, PH_STUN_PRIORITY,
                   ph_candidate_priority (PH_CANDIDATE_PRFLX, PH_CANDIDATE_UDP, &any, 0));
  ph_stun_put_u64 (w, self->controlling ? PH_STUN_ICE_CONTROLLING : PH_STUN_ICE_CONTROLLED,
                   self->tie_breaker);
  ph_stun_put_integrity (w, ph_slice_string (self->remote_pwd));
  ph_stun_put_fingerprint (w);
  return ph_writer_ok (w);
}

bool
ph_ice_agent_adopt (PhIceAgent *self, const PhCandidate *local, PhSlice request)
{
  PhStunMessage message;
  PhSlice ufrag;

  if (ice_local_for_socket (self, local->socket) != NULL || self->locals->len >= PH_ICE_LOCAL_MAX
      || !ph_ice_packet_ufrag (request, &ufrag)
      || !ph_slice_equal (ufrag, ph_slice_string (self->ufrag))
      || !ph_stun_parse (request, &message)
      || !ph_stun_check_integrity (&message, ph_slice_string (self->pwd)))
    return false;
  g_ptr_array_add (self->locals, g_memdup2 (local, sizeof *local));
  return true;
}

static bool
handle_request (PhIceAgent *self, PhTime now, const PhDatagram *in, const PhStunMessage *request)
{
  const bool nominates = ph_stun_has (request, PH_STUN_USE_CANDIDATE);
  uint32_t priority, nomination = 0, gone = 0, leaving = 0;
  IcePair *pair;

  if (ice_local_for_socket (self, ice_local_socket (in)) == NULL
      || !ph_candidate_usable (&in->remote, self->config.allow_loopback))
    return false;
  if (ph_stun_unknown (request, known_attrs, G_N_ELEMENTS (known_attrs), NULL, 0) > 0) {
    answer_error (self, in, request, ERROR_UNKNOWN_ATTRIBUTE, "Unknown Attribute");
    return true;
  }
  if (!ph_stun_get_u32 (request, PH_STUN_PRIORITY, &priority) || priority == 0
      || priority > G_MAXINT32) {
    answer_error (self, in, request, ERROR_BAD_REQUEST, "Bad Request");
    return true;
  }
  if (!settle_roles (self, now, request)) {
    answer_error (self, in, request, ERROR_ROLE_CONFLICT, "Role Conflict");
    return true;
  }

  ice_hold_end (self); /* the peer has our candidates */
  pair = ice_pair_reflexive (self, now, in, priority);
  if (pair == NULL)
    return true; /* no room: without a pair there is nothing to agree to */
  answer_success (self, in, request);
  if (self->state == PH_ICE_FAILED)
    ph_ice_agent_recheck (self, now);
  trigger_check (self, now, pair, nominates);
  if (self->renominates) {
    ph_stun_get_u32 (request, PH_STUN_NOMINATION, &nomination);
    ph_stun_get_u32 (request, PH_STUN_NOMINATION_GONE, &gone);
    ph_stun_get_u32 (request, PH_STUN_NOMINATION_LEAVING, &leaving);
  }
  if (nominates && !self->controlling)
    ice_peer_nominates (self, now, pair, nomination);
  if (gone != 0 && self->controlling)
    ice_peer_left (self, now, pair, gone);
  if (leaving != 0 && self->controlling)
    ice_peer_leaves (self, pair, leaving);
  ice_settle (self, now);
  return true;
}

/* --- Answers ------------------------------------------------------------------------------------ */

/* The local candidate that the peer saw our check come from. */
static PhCandidate
seen_as (const PhIceAgent *self, const IcePair *pair, const PhAddr *mapped)
{
  PhCandidate reflexive = *pair->local;

  /* Whatever stands between the relay and the peer, the relay is in the way. */
  if (pair->local->type == PH_CANDIDATE_RELAY)
    return reflexive;
  for (unsigned i = 0; i < self->locals->len; i++) {
    const PhCandidate *local = self->locals->pdata[i];

    if (local->socket == pair->local->socket && ph_addr_equal_ip (&local->addr, mapped)
        && local->addr.port == mapped->port)
      return *local;
  }
  if (ph_addr_scope (mapped) == PH_SCOPE_LINK_LOCAL)
    return *pair->local; /* seen without our scope */

  reflexive.type = PH_CANDIDATE_PRFLX;
  reflexive.addr = *mapped;
  reflexive.related = pair->local->base;
  reflexive.priority = ph_candidate_prflx_priority (pair->local);
  return reflexive;
}

static void
fail_check (PhIceAgent *self, PhTime now, IcePair *pair, PhIceWhy why)
{
  if (pair->state != PH_ICE_PAIR_IN_PROGRESS)
    return;
  ice_pair_enter (self, now, pair, PH_ICE_PAIR_FAILED, why);
  pair->retry_at = ph_time_add (now, ERROR_RETRY);
}

/* The code of an error answer; 0 if it is none, or says none. */
static unsigned
error_code (const PhStunMessage *answer)
{
  PhSlice reason;
  unsigned code = 0;

  if (answer->klass == PH_STUN_ERROR)
    ph_stun_get_error (answer, &code, &reason);
  return code;
}

/* Wherever it comes from (RFC 8445 §7.2.5.1 comes before §7.2.5.2.1): behind a NAT with
 * endpoint-dependent mapping the peer cannot tell us from the address that we asked. */
static void
handle_role_conflict (PhIceAgent *self, PhTime now, IcePair *pair, const IceAsked *asked)
{
  if (asked->controlling == self->controlling)
    switch_role (self, now, "the peer has the greater tie-breaker");
  if (pair->state == PH_ICE_PAIR_IN_PROGRESS)
    ice_pair_trigger (self, now, pair);
}

static void
note_least (IcePair *pair, PhTime now, PhTime sample)
{
  pair->timed++;
  if (now >= pair->rtt_least_until) {
    pair->rtt_least[1] = pair->rtt_least[0];
    pair->rtt_least[0] = sample;
    pair->rtt_least_until = ph_time_add (now, RTT_LEAST_INTERVAL);
  }
  pair->rtt_least[0] = MIN (pair->rtt_least[0], sample);
}

static void
handle_success (PhIceAgent *self, PhTime now, IcePair *pair, const IceAsked *asked,
                const PhAddr *mapped)
{
  const PhTime sample = ph_time_since (now, asked->sent);

  pair->checks_answered++;
  pair->seen = seen_as (self, pair, mapped);
  if (!asked->resent) {
    pair->rtt = pair->rtt == 0 ? sample : (7 * pair->rtt + sample) / 8;
    if (!ice_pair_timed (self, pair, sample))
      note_least (pair, now, sample);
  } else if (pair->rtt == 0) {
    pair->rtt = ph_time_since (now, pair->check.last_sent);
  }
  if (ph_stun_id_equal (&pair->check.id, &asked->id) || pair->state != PH_ICE_PAIR_SUCCEEDED)
    ph_stun_transaction_stop (&pair->check);
  pair->triggered_seq = 0;
  ice_pair_answered (self, now, pair, asked->nominates && asked->controlling && self->controlling);
}

static bool
handle_answer (PhIceAgent *self, PhTime now, const PhDatagram *in, const PhStunMessage *answer)
{
  IcePair *pair = NULL;
  IceAsked *asked = NULL;
  PhAddr mapped;

  for (unsigned i = 0; asked == NULL && i < self->pairs->len; i++) {
    pair = self->pairs->pdata[i];
    asked = find_asked (pair, &answer->id);
  }
  if (asked == NULL || !ph_stun_check_integrity (answer, ph_slice_string (self->remote_pwd)))
    return false;

  const IceAsked was = *asked;
  const unsigned error = error_code (answer);

  if (error != 0)
    ph_trace (self->config.trace, now, "ice", "pair %u: error %u", pair->id, error);
  asked->open = false;
  if (error == ERROR_ROLE_CONFLICT)
    handle_role_conflict (self, now, pair, &was);
  else if (in->socket != pair->socket || !ph_addr_equal (&in->remote, &pair->remote_addr))
    fail_check (self, now, pair, PH_ICE_WHY_ASYMMETRIC);
  else if (answer->klass == PH_STUN_ERROR)
    fail_check (self, now, pair, PH_ICE_WHY_ERROR);
  else if (ph_stun_get_mapped (answer, &mapped))
    handle_success (self, now, pair, &was, &mapped);
  else
    fail_check (self, now, pair, PH_ICE_WHY_ERROR);
  ice_settle (self, now);
  return true;
}

bool
ph_ice_agent_owns (const PhIceAgent *self, const PhStunId *id)
{
  for (unsigned i = 0; i < self->pairs->len; i++) {
    if (find_asked (self->pairs->pdata[i], id) != NULL)
      return true;
  }
  return false;
}

bool
ph_ice_agent_handle_packet (PhIceAgent *self, PhTime now, const PhDatagram *in)
{
  PhStunMessage message;
  PhSlice ufrag;

  g_assert (now >= self->last_now);
  self->last_now = now;

  if (!ph_stun_parse (in->bytes, &message) || message.method != PH_STUN_BINDING)
    return false;
  switch (message.klass) {
  case PH_STUN_REQUEST:
    if (!ph_ice_packet_ufrag (in->bytes, &ufrag)
        || !ph_slice_equal (ufrag, ph_slice_string (self->ufrag))
        || !ph_stun_check_integrity (&message, ph_slice_string (self->pwd)))
      return false;
    return handle_request (self, now, in, &message);
  case PH_STUN_SUCCESS:
  case PH_STUN_ERROR:
    return handle_answer (self, now, in, &message);
  default:
    return false;
  }
}
