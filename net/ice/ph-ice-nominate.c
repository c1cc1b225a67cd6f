/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/ice/ph-ice-private.h"

/* An unanswered consent check is repeated three times as fast, so that loss alone kills no pair: with 10 %
 * lost each way ten in a row fail less than once in ten million. */
#define CONSENT_REPEAT_DIVISOR 3
/* A pair dies only after so many checks in a row went unanswered, the last of them this long ago: a
 * machine that slept asks for four seconds before it gives up. With the default intervals they are sent
 * within 1.8 + 6 * 0.5 s of the last answer, in time for the expiry after 6 s. */
#define CONSENT_UNANSWERED_MIN 7
#define CONSENT_LAST_WAIT (1 * PH_SEC)
/* Between checks on a valid pair while the controlling side has selected none: perhaps it does not know the
 * address that we come from, because it began anew with the same credentials after our check. */
#define UNSELECTED_INTERVAL (500 * PH_MSEC)

/* --- Selection ---------------------------------------------------------------------------------- */

/* Pairs whose death must be noticed fast. */
static bool
is_in_use (const PhIceAgent *self, const IcePair *pair)
{
  return pair == self->selected || pair->in_use || pair->nominating;
}

static void
ice_select (PhIceAgent *self, PhTime now, IcePair *pair)
{
  g_assert (pair->state == PH_ICE_PAIR_SUCCEEDED);
  pair->nominated = true;
  if (pair == self->selected)
    return;
  self->selected = pair;
  ph_trace (self->config.trace, now, "ice", "pair %u selected", pair->id);
  if (self->state != PH_ICE_CONNECTED)
    ice_enter (self, now, PH_ICE_CONNECTED, "a pair is selected");
  ice_consent_restart (self, now, pair);
  ice_event (self, PH_ICE_EVENT_SELECTED, pair);
}

/* Lets go of the worst valid pairs that nobody uses. */
static void
retire_surplus (PhIceAgent *self, PhTime now)
{
  unsigned warm = 0;

  for (unsigned i = 0; i < self->pairs->len; i++) {
    IcePair *pair = self->pairs->pdata[i];

    if (pair->state != PH_ICE_PAIR_SUCCEEDED || is_in_use (self, pair))
      continue;
    if (++warm > PH_ICE_WARM_MAX)
      ice_pair_lost (self, now, pair, PH_ICE_WHY_RETIRED);
  }
}

/* No better pair is to be expected: none is open, and either all candidates are known or this one is
 * as direct as can be. */
static bool
is_final (const PhIceAgent *self, const IcePair *best)
{
  for (unsigned i = 0; i < self->pairs->len; i++) {
    const IcePair *pair = self->pairs->pdata[i];

    if (pair == best)
      break;
    if (pair->state != PH_ICE_PAIR_FAILED)
      return false;
  }
  return (self->local_ended && self->remote_ended)
         || (best->seen.type == PH_CANDIDATE_HOST && best->remote->type == PH_CANDIDATE_HOST);
}

void
ice_consider_nomination (PhIceAgent *self, PhTime now)
{
  IcePair *best = NULL;

  self->nominate_at = PH_NEVER;
  if (self->selected != NULL)
    retire_surplus (self, now);
  if (!self->controlling || self->selected != NULL)
    return;
  for (unsigned i = 0; i < self->pairs->len; i++) {
    IcePair *pair = self->pairs->pdata[i];

    if (pair->nominating)
      return;
    if (best == NULL && pair->state == PH_ICE_PAIR_SUCCEEDED)
      best = pair;
  }
  if (best == NULL)
    return;

  const PhTime patient_until =
      ph_time_add (self->first_valid_at, self->config.timers.patience_interval);

  if (now < patient_until && !is_final (self, best)) {
    self->nominate_at = patient_until;
    return;
  }
  best->nominating = true;
  ice_check_start (self, now, best, true);
}

/* Takes the pair that the controlling side has nominated, unless a better one is still being
 * nominated: a peer after RFC 5245 may nominate every pair and means the best (RFC 8445 §8.1.1). */
static void
follow_peer (PhIceAgent *self, PhTime now, IcePair *pair)
{
  const PhTime stale_after = 2 * self->config.timers.consent_interval;

  pair->nominated = true;
  if (self->selected == NULL || pair->priority > self->selected->priority
      || ph_time_since (now, self->selected->peer_nominated_at) > stale_after)
    ice_select (self, now, pair);
}

void
ice_peer_nominates (PhIceAgent *self, PhTime now, IcePair *pair)
{
  pair->peer_nominated_at = now;
  if (pair->state == PH_ICE_PAIR_SUCCEEDED)
    follow_peer (self, now, pair);
  else
    pair->peer_nominated = true;
}

/* --- Validity and consent ------------------------------------------------------------------------- */

static PhTime
consent_interval (const PhIceAgent *self, const IcePair *pair)
{
  if (is_in_use (self, pair))
    return self->config.timers.consent_interval;
  if (!self->controlling && self->selected == NULL)
    return UNSELECTED_INTERVAL;
  return self->config.timers.warm_interval;
}

static PhTime
consent_delay (PhIceAgent *self, const IcePair *pair)
{
  const PhTime interval = consent_interval (self, pair);

  /* RFC 7675 §5.1: 0.8 to 1.2 times the interval. */
  return interval * 4 / 5 + ph_random_below (&self->config.random, interval * 2 / 5 + 1);
}

void
ice_consent_restart (PhIceAgent *self, PhTime now, IcePair *pair)
{
  const bool fresh = ph_time_since (now, pair->answered_at) < self->config.timers.consent_interval;

  pair->unanswered = 0;
  pair->expires_at = PH_NEVER;
  pair->consent_at = fresh ? ph_time_add (now, consent_delay (self, pair)) : now;
}

void
ice_consent_due (PhIceAgent *self, PhTime now, IcePair *pair)
{
  const PhTime expiry =
      is_in_use (self, pair) ? self->config.timers.consent_expiry : self->config.timers.warm_expiry;

  if (now >= pair->expires_at) {
    ice_pair_lost (self, now, pair, PH_ICE_WHY_CONSENT);
    return;
  }
  if (now < pair->consent_at)
    return;
  ice_check_consent (self, now, pair);
  pair->unanswered++;
  pair->consent_at = ph_time_add (now, consent_interval (self, pair) / CONSENT_REPEAT_DIVISOR);
  if (pair->unanswered == CONSENT_UNANSWERED_MIN)
    pair->expires_at =
        MAX (ph_time_add (pair->answered_at, expiry), ph_time_add (now, CONSENT_LAST_WAIT));
}

static void
become_valid (PhIceAgent *self, PhTime now, IcePair *pair)
{
  const bool first = !ice_any_valid (self);

  if (self->state == PH_ICE_FAILED)
    ph_ice_agent_recheck (self, now); /* an answer after all */
  ice_pair_enter (self, now, pair, PH_ICE_PAIR_SUCCEEDED, PH_ICE_WHY_NONE);
  if (first)
    self->first_valid_at = now;
  ice_consent_restart (self, now, pair);
  ice_unfreeze_like (self, now, pair);
  ice_event (self, PH_ICE_EVENT_PAIR_VALID, pair);
}

void
ice_pair_answered (PhIceAgent *self, PhTime now, IcePair *pair, bool nominates)
{
  pair->answered_at = now;
  pair->unanswered = 0;
  pair->expires_at = PH_NEVER;
  pair->consent_at = ph_time_add (now, consent_delay (self, pair));
  if (pair->state != PH_ICE_PAIR_SUCCEEDED)
    become_valid (self, now, pair);
  if (nominates && pair->nominating) {
    pair->nominating = false;
    ice_select (self, now, pair);
  }
  if (pair->peer_nominated && !self->controlling) {
    pair->peer_nominated = false;
    follow_peer (self, now, pair);
  }
}

void
ice_pair_lost (PhIceAgent *self, PhTime now, IcePair *pair, PhIceWhy why)
{
  g_assert (pair->state == PH_ICE_PAIR_SUCCEEDED);
  ice_pair_enter (self, now, pair, PH_ICE_PAIR_FAILED, why);
  pair->nominating = false;
  pair->nominated = false;
  pair->peer_nominated = false;
  pair->in_use = false;
  pair->consent_at = PH_NEVER;
  pair->expires_at = PH_NEVER;
  if (pair == self->selected)
    self->selected = NULL;
  ice_event (self, PH_ICE_EVENT_PAIR_LOST, pair);
  if (why == PH_ICE_WHY_RETIRED)
    return;
  pair->retry_at = now;
  if (self->give_up_at == PH_NEVER)
    ice_open_window (self, now);
}
