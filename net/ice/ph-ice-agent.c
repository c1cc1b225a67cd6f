/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/ice/ph-ice-private.h"

/* RFC 8445 §5.3 asks for 24 and 128 bits; every character carries 6. */
#define UFRAG_LEN 8
#define PWD_LEN 24

/* While relayed. Often enough for a router that is repaired or replaced, for little: the checks of a pair are
 * a kilobyte. Both sides count from their selection, so that their checks cross. */
#define RECHECK_INTERVAL (60 * PH_SEC)

#define BIT(x) (1u << (x))

static const unsigned state_edges[PH_N_ICE_STATES] = {
    [PH_ICE_CHECKING] = BIT (PH_ICE_CONNECTED) | BIT (PH_ICE_FAILED),
    [PH_ICE_CONNECTED] = BIT (PH_ICE_DISCONNECTED),
    [PH_ICE_DISCONNECTED] = BIT (PH_ICE_CONNECTED) | BIT (PH_ICE_FAILED),
    [PH_ICE_FAILED] = BIT (PH_ICE_CHECKING),
};

/* From FAILED and WAITING straight to SUCCEEDED: a late answer to an earlier check. */
static const unsigned pair_edges[PH_N_ICE_PAIR_STATES] = {
    [PH_ICE_PAIR_FROZEN] =
        BIT (PH_ICE_PAIR_WAITING) | BIT (PH_ICE_PAIR_IN_PROGRESS) | BIT (PH_ICE_PAIR_FAILED),
    [PH_ICE_PAIR_WAITING] =
        BIT (PH_ICE_PAIR_IN_PROGRESS) | BIT (PH_ICE_PAIR_SUCCEEDED) | BIT (PH_ICE_PAIR_FAILED),
    [PH_ICE_PAIR_IN_PROGRESS] =
        BIT (PH_ICE_PAIR_WAITING) | BIT (PH_ICE_PAIR_SUCCEEDED) | BIT (PH_ICE_PAIR_FAILED),
    [PH_ICE_PAIR_SUCCEEDED] = BIT (PH_ICE_PAIR_FAILED),
    [PH_ICE_PAIR_FAILED] = BIT (PH_ICE_PAIR_WAITING) | BIT (PH_ICE_PAIR_SUCCEEDED),
};

static const char *const state_names[PH_N_ICE_STATES] = {
    [PH_ICE_CHECKING] = "checking",
    [PH_ICE_CONNECTED] = "connected",
    [PH_ICE_DISCONNECTED] = "disconnected",
    [PH_ICE_FAILED] = "failed",
};

static const char *const pair_state_names[PH_N_ICE_PAIR_STATES] = {
    [PH_ICE_PAIR_FROZEN] = "frozen",           [PH_ICE_PAIR_WAITING] = "waiting",
    [PH_ICE_PAIR_IN_PROGRESS] = "in-progress", [PH_ICE_PAIR_SUCCEEDED] = "valid",
    [PH_ICE_PAIR_FAILED] = "failed",
};

static const char *const why_names[] = {
    [PH_ICE_WHY_NONE] = "",
    [PH_ICE_WHY_SILENT] = "no answer",
    [PH_ICE_WHY_ERROR] = "answered with an error",
    [PH_ICE_WHY_ASYMMETRIC] = "answered from another address",
    [PH_ICE_WHY_CONSENT] = "went silent",
    [PH_ICE_WHY_RETIRED] = "better pairs are kept",
    [PH_ICE_WHY_SOCKET_GONE] = "our address is gone",
    [PH_ICE_WHY_UNCONNECTED] = "no connection",
    [PH_ICE_WHY_DISCONNECTED] = "connection closed",
    [PH_ICE_WHY_PEER_LEFT] = "the peer's address is gone",
};

/* --- States and events -------------------------------------------------------------------------- */

void
ice_enter (PhIceAgent *self, PhTime now, PhIceState next, const char *why)
{
  g_assert (state_edges[self->state] & BIT (next));
  ph_trace (self->config.trace, now, "ice", "%s -> %s: %s", state_names[self->state],
            state_names[next], why);
  self->state = next;
}

void
ice_pair_enter (PhIceAgent *self, PhTime now, IcePair *pair, PhIcePairState next, PhIceWhy why)
{
  char remote[PH_ADDR_STRING_MAX];

  g_assert (pair_edges[pair->state] & BIT (next));
  g_assert ((next == PH_ICE_PAIR_FAILED) == (why != PH_ICE_WHY_NONE));
  ph_trace (self->config.trace, now, "ice", "pair %u (socket %u, %s %s) %s -> %s %s", pair->id,
            pair->local->socket, ph_candidate_type_name (pair->remote->type),
            ph_addr_format (&pair->remote_addr, remote), pair_state_names[pair->state],
            pair_state_names[next], why_names[why]);
  ph_stun_transaction_stop (&pair->check);
  pair->triggered_seq = 0;
  pair->retry_at = PH_NEVER;
  /* While it is tried again, a pair remembers why it failed. */
  if (next == PH_ICE_PAIR_FAILED || next == PH_ICE_PAIR_SUCCEEDED)
    pair->why = why;
  pair->state = next;
}

static void
snapshot (const PhIceAgent *self, const IcePair *pair, PhIcePair *ret_pair)
{
  *ret_pair = (PhIcePair){
      .id = pair->id,
      .state = pair->state,
      .why = pair->why,
      .local = pair->seen,
      .remote = *pair->remote,
      .socket = pair->socket,
      .remote_addr = pair->remote_addr,
      .priority = pair->priority,
      .nominated = pair->nominated,
      .selected = pair == self->selected,
      .in_use = pair->in_use,
      .silent = ice_pair_is_silent (pair),
      .rtt = pair->rtt,
      .checks_sent = pair->checks_sent,
      .checks_answered = pair->checks_answered,
  };
}

void
ice_event (PhIceAgent *self, PhIceEventType type, const IcePair *pair)
{
  PhIceEvent *event = g_new0 (PhIceEvent, 1);

  event->type = type;
  if (pair != NULL)
    snapshot (self, pair, &event->pair);
  g_queue_push_tail (&self->events, event);
}

static void
schedule_recheck (PhIceAgent *self, PhTime now)
{
  if (!self->renominates || !ice_is_relayed (self))
    self->recheck_at = PH_NEVER;
  else if (self->recheck_at == PH_NEVER)
    self->recheck_at = ph_time_add (now, RECHECK_INTERVAL);
}

void
ice_open_window (PhIceAgent *self, PhTime now)
{
  if (ice_has_remote_credentials (self))
    self->give_up_at = ph_time_add (now, self->config.timers.give_up_interval);
}

void
ice_settle (PhIceAgent *self, PhTime now)
{
  if (self->state == PH_ICE_CONNECTED && !ice_any_valid (self)) {
    ice_enter (self, now, PH_ICE_DISCONNECTED, "the last valid pair is lost");
    ice_event (self, PH_ICE_EVENT_DISCONNECTED, NULL);
    ph_ice_agent_recheck (self, now);
  }
  ice_consider_nomination (self, now);
  schedule_recheck (self, now);
}

/* --- Life --------------------------------------------------------------------------------------- */

static void
draw_text (const PhRandom *random, char *out, size_t len)
{
  static const char ice_chars[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  uint8_t raw[PWD_LEN];

  g_assert (len <= sizeof raw);
  ph_random_bytes (random, raw, len);
  for (size_t i = 0; i < len; i++)
    out[i] = ice_chars[raw[i] & 63];
  out[len] = '\0';
}

static void
default_to (PhTime *value, PhTime fallback)
{
  if (*value == 0)
    *value = fallback;
}

PhIceAgent *
ph_ice_agent_new (const PhIceConfig *config, PhTime now)
{
  PhIceAgent *self = g_new0 (PhIceAgent, 1);
  PhIceTimers *timers = &self->config.timers;

  self->config = *config;
  default_to (&timers->pacing_interval, 20 * PH_MSEC);
  default_to (&timers->rto_interval, 250 * PH_MSEC);
  default_to (&timers->patience_interval, 150 * PH_MSEC);
  default_to (&timers->give_up_interval, 20 * PH_SEC);
  default_to (&timers->consent_interval, 1500 * PH_MSEC);
  default_to (&timers->consent_expiry, 6 * PH_SEC);
  default_to (&timers->warm_interval, 5 * PH_SEC);
  default_to (&timers->warm_expiry, 30 * PH_SEC);

  self->last_now = now;
  self->controlling = config->controlling;
  self->tie_breaker = ph_random_u64 (&config->random);
  if (config->ufrag != NULL && config->pwd != NULL) {
    g_strlcpy (self->ufrag, config->ufrag, sizeof self->ufrag);
    g_strlcpy (self->pwd, config->pwd, sizeof self->pwd);
  } else {
    draw_text (&config->random, self->ufrag, UFRAG_LEN);
    draw_text (&config->random, self->pwd, PWD_LEN);
  }
  self->locals = g_ptr_array_new_with_free_func (g_free);
  self->remotes = g_ptr_array_new_with_free_func (g_free);
  self->pairs = g_ptr_array_new_with_free_func ((GDestroyNotify)ice_pair_free);
  self->pace_at = now;
  self->give_up_at = PH_NEVER;
  self->nominate_at = PH_NEVER;
  self->recheck_at = PH_NEVER;
  ice_hold_begin (self, now);
  g_queue_init (&self->out);
  g_queue_init (&self->events);
  return self;
}

void
ph_ice_agent_free (PhIceAgent *self)
{
  if (self == NULL)
    return;
  g_ptr_array_unref (self->pairs);
  g_ptr_array_unref (self->locals);
  g_ptr_array_unref (self->remotes);
  g_queue_clear_full (&self->out, g_free);
  g_queue_clear_full (&self->events, g_free);
  g_free (self);
}

const char *
ph_ice_agent_ufrag (const PhIceAgent *self)
{
  return self->ufrag;
}

const char *
ph_ice_agent_pwd (const PhIceAgent *self)
{
  return self->pwd;
}

static bool
is_credential (const char *text, size_t len_min, size_t len_max)
{
  const size_t len = strlen (text);

  if (len < len_min || len > len_max)
    return false;
  for (size_t i = 0; i < len; i++) {
    if (!g_ascii_isalnum (text[i]) && text[i] != '+' && text[i] != '/')
      return false;
  }
  return true;
}

bool
ph_ice_agent_set_remote_credentials (PhIceAgent *self, PhTime now, const char *ufrag,
                                     const char *pwd)
{
  if (!is_credential (ufrag, PH_ICE_UFRAG_MIN, PH_ICE_UFRAG_MAX)
      || !is_credential (pwd, PH_ICE_PWD_MIN, PH_ICE_PWD_MAX))
    return false;
  if (ice_has_remote_credentials (self))
    return strcmp (self->remote_ufrag, ufrag) == 0 && strcmp (self->remote_pwd, pwd) == 0;

  g_strlcpy (self->remote_ufrag, ufrag, sizeof self->remote_ufrag);
  g_strlcpy (self->remote_pwd, pwd, sizeof self->remote_pwd);
  ice_open_window (self, now);
  ice_settle (self, now);
  return true;
}

void
ph_ice_agent_end_local (PhIceAgent *self, PhTime now)
{
  self->local_ended = true;
  ice_settle (self, now);
}

void
ph_ice_agent_end_remote (PhIceAgent *self, PhTime now)
{
  self->remote_ended = true;
  ice_settle (self, now);
}

void
ph_ice_agent_recheck (PhIceAgent *self, PhTime now)
{
  if (self->state == PH_ICE_FAILED)
    ice_enter (self, now, PH_ICE_CHECKING, "there is news");
  ice_open_window (self, now);
  for (unsigned i = 0; i < self->pairs->len; i++) {
    IcePair *pair = self->pairs->pdata[i];

    if (pair->state == PH_ICE_PAIR_FAILED)
      ice_pair_enter (self, now, pair, PH_ICE_PAIR_WAITING, PH_ICE_WHY_NONE);
    else if (pair->state == PH_ICE_PAIR_SUCCEEDED)
      pair->consent_at = now;
  }
}

/* --- Time --------------------------------------------------------------------------------------- */

static void
pair_timeout (PhIceAgent *self, PhTime now, IcePair *pair)
{
  switch (ph_stun_transaction_due (&pair->check, now)) {
  case PH_STUN_WAIT:
    break;
  case PH_STUN_SEND_AGAIN:
    ice_check_again (self, now, pair);
    break;
  case PH_STUN_GIVE_UP:
    if (pair->state == PH_ICE_PAIR_SUCCEEDED) {
      ice_check_start (self, now, pair, true); /* nominated until it is agreed or consent expires */
    } else {
      ice_pair_enter (self, now, pair, PH_ICE_PAIR_FAILED, PH_ICE_WHY_SILENT);
      pair->retry_at = now;
      ice_unfreeze_like (self, now, pair);
    }
    break;
  }
  if (pair->state == PH_ICE_PAIR_SUCCEEDED)
    ice_consent_due (self, now, pair);
  if (now >= pair->retry_at && self->give_up_at != PH_NEVER)
    ice_pair_enter (self, now, pair, PH_ICE_PAIR_WAITING, PH_ICE_WHY_NONE);
}

static void
give_up (PhIceAgent *self, PhTime now)
{
  self->give_up_at = PH_NEVER;
  if (ice_any_valid (self))
    return; /* checks under way end by themselves; none is tried again */
  for (unsigned i = 0; i < self->pairs->len; i++) {
    IcePair *pair = self->pairs->pdata[i];

    if (pair->state != PH_ICE_PAIR_FAILED)
      ice_pair_enter (self, now, pair, PH_ICE_PAIR_FAILED, PH_ICE_WHY_SILENT);
  }
  ice_enter (self, now, PH_ICE_FAILED, "no pair has worked in time");
  ice_event (self, PH_ICE_EVENT_FAILED, NULL);
}

void
ph_ice_agent_handle_timeout (PhIceAgent *self, PhTime now)
{
  IcePair *next;

  g_assert (now >= self->last_now);
  self->last_now = now;

  for (unsigned i = 0; i < self->pairs->len; i++)
    pair_timeout (self, now, self->pairs->pdata[i]);
  if (now >= self->hold_until)
    ice_hold_end (self);
  if (now >= self->recheck_at) {
    self->recheck_at = PH_NEVER;
    ph_ice_agent_recheck (self, now);
  }
  ice_settle (self, now);
  if (now >= self->give_up_at)
    give_up (self, now);
  if (now >= self->pace_at && (next = ice_next_to_check (self)) != NULL) {
    ice_pair_enter (self, now, next, PH_ICE_PAIR_IN_PROGRESS, PH_ICE_WHY_NONE);
    ice_check_start (self, now, next, false);
    self->pace_at = ph_time_add (now, self->config.timers.pacing_interval);
  }
}

static void
take_earlier (PhTime *when, const char **why, PhTime other, const char *other_why)
{
  if (other < *when) {
    *when = other;
    *why = other_why;
  }
}

PhTime
ph_ice_agent_next_timeout (const PhIceAgent *self, const char **ret_why)
{
  PhTime when = PH_NEVER;
  const char *why = "ICE idle";

  for (unsigned i = 0; i < self->pairs->len; i++) {
    const IcePair *pair = self->pairs->pdata[i];

    take_earlier (&when, &why, pair->check.deadline, "ICE answer overdue");
    take_earlier (&when, &why, pair->consent_at, "consent check due");
    take_earlier (&when, &why, pair->expires_at, "consent expires");
    if (self->give_up_at != PH_NEVER)
      take_earlier (&when, &why, pair->retry_at, "failed pair tried again");
  }
  take_earlier (&when, &why, self->nominate_at, "patience before nomination");
  take_earlier (&when, &why, self->hold_until, "checks held back");
  take_earlier (&when, &why, self->recheck_at, "relayed: other pairs checked again");
  take_earlier (&when, &why, self->give_up_at, "time for checks over");
  if (ice_next_to_check (self) != NULL)
    take_earlier (&when, &why, self->pace_at, "ICE check due");
  *ret_why = why;
  return when;
}

bool
ph_ice_agent_poll_transmit (PhIceAgent *self, PhTime now, PhTransmit *tx)
{
  g_autofree IceOut *out = g_queue_pop_head (&self->out);

  if (out == NULL)
    return false;
  g_assert (tx->cap >= out->len);
  memcpy (tx->data, out->data, out->len);
  tx->socket = out->socket;
  tx->remote = out->remote;
  tx->len = out->len;
  tx->segment = 0;
  tx->ecn = 0;
  tx->ttl = out->ttl;
  return true;
}

bool
ph_ice_agent_poll_event (PhIceAgent *self, PhIceEvent *ret_event)
{
  g_autofree PhIceEvent *event = g_queue_pop_head (&self->events);

  if (event == NULL)
    return false;
  *ret_event = *event;
  return true;
}

/* --- Asking and steering ------------------------------------------------------------------------ */

PhIceState
ph_ice_agent_state (const PhIceAgent *self)
{
  return self->state;
}

bool
ph_ice_agent_controlling (const PhIceAgent *self)
{
  return self->controlling;
}

void
ph_ice_agent_for_each_pair (const PhIceAgent *self,
                            bool (*each) (void *user, const PhIcePair *pair), void *user)
{
  for (unsigned i = 0; i < self->pairs->len; i++) {
    PhIcePair view;

    snapshot (self, self->pairs->pdata[i], &view);
    if (!each (user, &view))
      return;
  }
}

static bool
show (const PhIceAgent *self, const IcePair *pair, PhIcePair *ret_pair)
{
  if (pair == NULL)
    return false;
  snapshot (self, pair, ret_pair);
  return true;
}

bool
ph_ice_agent_get_pair (const PhIceAgent *self, uint32_t id, PhIcePair *ret_pair)
{
  return show (self, ice_pair_by_id (self, id), ret_pair);
}

bool
ph_ice_agent_selected (const PhIceAgent *self, PhIcePair *ret_pair)
{
  return show (self, self->selected, ret_pair);
}

bool
ph_ice_agent_find_valid (const PhIceAgent *self, uint32_t socket, const PhAddr *remote,
                         PhIcePair *ret_pair)
{
  const IcePair *pair = ice_pair_on_connection (self, socket);

  if (pair == NULL)
    pair = ice_pair_find (self, socket, remote);

  return pair != NULL && pair->state == PH_ICE_PAIR_SUCCEEDED && show (self, pair, ret_pair);
}

void
ph_ice_agent_set_in_use (PhIceAgent *self, PhTime now, uint32_t id, bool in_use)
{
  IcePair *pair = ice_pair_by_id (self, id);

  if (pair == NULL || pair->state != PH_ICE_PAIR_SUCCEEDED || pair->in_use == in_use)
    return;
  pair->in_use = in_use;
  ice_consent_restart (self, now, pair);
  ice_settle (self, now);
}

void
ph_ice_agent_allow_renomination (PhIceAgent *self)
{
  self->renominates = true;
}

const char *
ph_ice_pair_state_name (PhIcePairState state)
{
  return pair_state_names[state];
}

const char *
ph_ice_why_name (PhIceWhy why)
{
  return why_names[why];
}
