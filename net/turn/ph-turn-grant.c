/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/turn/ph-turn-private.h"

/* RFC 8656 §9: a permission lasts 5 minutes, a channel 10 (§12). Refreshed a minute before. */
#define PERMISSION_LIFETIME (300 * PH_SEC)
#define CHANNEL_LIFETIME (600 * PH_SEC)
#define REFRESH_MARGIN (60 * PH_SEC)
/* §12: so long after a channel ended its number and its peer are not bound to others. */
#define CHANNEL_QUARANTINE (300 * PH_SEC)

static const char *
kind_name (const PhTurnGrant *grant)
{
  return ph_turn_grant_is_channel (grant) ? "channel" : "permission";
}

static PhTurnGrant *
find (const PhTurnClient *self, bool channel, const PhAddr *peer)
{
  const unsigned first = channel ? PH_TURN_PERMISSIONS_MAX : 0;
  const unsigned end = channel ? PH_TURN_GRANTS : PH_TURN_PERMISSIONS_MAX;

  for (unsigned i = first; i < end; i++) {
    const PhTurnGrant *grant = &self->grants[i];

    if (grant->state != PH_TURN_GRANT_FREE
        && (channel ? ph_addr_equal (&grant->peer, peer) : ph_addr_equal_ip (&grant->peer, peer)))
      return (PhTurnGrant *)grant;
  }
  return NULL;
}

PhTurnGrant *
ph_turn_permission_find (const PhTurnClient *self, const PhAddr *peer)
{
  return find (self, false, peer);
}

PhTurnGrant *
ph_turn_channel_find (const PhTurnClient *self, const PhAddr *peer)
{
  return find (self, true, peer);
}

static void
grant_clear (PhTurnGrant *grant)
{
  *grant = (PhTurnGrant){
      .refresh_at = PH_NEVER,
      .expires_at = PH_NEVER,
      .free_at = PH_NEVER,
  };
  ph_turn_request_stop (&grant->request);
}

void
ph_turn_grants_clear (PhTurnClient *self)
{
  for (unsigned i = 0; i < PH_TURN_GRANTS; i++)
    grant_clear (&self->grants[i]);
}

static void
grant_ask (PhTurnClient *self, PhTime now, PhTurnGrant *grant)
{
  grant->refresh_at = PH_NEVER;
  grant->request.challenges = 0;
  ph_turn_request_start (self, now, &grant->request);
}

/* There are 64 times as many numbers as channels. */
static uint16_t
take_number (PhTurnClient *self)
{
  for (;;) {
    const uint16_t number = self->next_number;
    bool taken = false;

    self->next_number =
        number == PH_TURN_CHANNEL_LAST ? PH_TURN_CHANNEL_FIRST : (uint16_t)(number + 1);
    for (unsigned i = PH_TURN_PERMISSIONS_MAX; i < PH_TURN_GRANTS; i++)
      taken = taken || self->grants[i].number == number;
    if (!taken)
      return number;
  }
}

static PhTurnGrant *
find_free (PhTurnClient *self, bool channel)
{
  const unsigned first = channel ? PH_TURN_PERMISSIONS_MAX : 0;
  const unsigned end = channel ? PH_TURN_GRANTS : PH_TURN_PERMISSIONS_MAX;

  for (unsigned i = first; i < end; i++) {
    if (self->grants[i].state == PH_TURN_GRANT_FREE)
      return &self->grants[i];
  }
  return NULL;
}

static bool
hold (PhTurnClient *self, PhTime now, const PhAddr *peer, bool channel)
{
  PhTurnGrant *grant = find (self, channel, peer);

  if (grant == NULL) {
    grant = find_free (self, channel);
    if (grant == NULL)
      return false;
    grant->peer = *peer;
    if (channel)
      grant->number = take_number (self);
    else
      grant->peer.port = 0;
    grant->state = PH_TURN_GRANT_ASKING;
    grant_ask (self, now, grant);
  } else if (grant->state == PH_TURN_GRANT_FAILED) {
    /* One whose answers were lost may be bound at the server: the same number again. */
    if (channel && grant->why != PH_TURN_WHY_UNREACHABLE)
      grant->number = take_number (self);
    grant->state = PH_TURN_GRANT_ASKING;
    grant->tell = false;
    grant_ask (self, now, grant);
  } else if (grant->holds == 0 && !grant->request.running) {
    /* It lingers, perhaps run out. */
    if (now >= grant->expires_at)
      grant->state = PH_TURN_GRANT_ASKING;
    grant_ask (self, now, grant);
  }
  grant->free_at = PH_NEVER;
  grant->holds++;
  return true;
}

/* What the server has granted runs out there by itself. */
static void
let_go (PhTime now, PhTurnGrant *grant)
{
  if (grant == NULL || grant->holds == 0 || --grant->holds > 0)
    return;
  ph_turn_request_stop (&grant->request);
  grant->refresh_at = PH_NEVER;
  grant->tell = false;
  if (ph_turn_grant_is_channel (grant)) {
    /* The server may have bound it by a request that was sent just now. */
    grant->free_at = ph_time_add (now, CHANNEL_LIFETIME + CHANNEL_QUARANTINE);
    if (grant->state == PH_TURN_GRANT_FAILED && grant->why != PH_TURN_WHY_UNREACHABLE)
      grant_clear (grant);
    else if (grant->state != PH_TURN_GRANT_READY) {
      grant->state = PH_TURN_GRANT_FAILED;
      grant->why = PH_TURN_WHY_UNREACHABLE;
    }
  } else if (grant->state == PH_TURN_GRANT_READY) {
    grant->free_at = grant->expires_at;
  } else {
    grant_clear (grant);
  }
}

static bool
may_ask (const PhTurnClient *self, const PhAddr *peer)
{
  return self->state == PH_TURN_ALLOCATED && peer->family == self->relayed.family
         && peer->scope == 0;
}

bool
ph_turn_client_permit (PhTurnClient *self, PhTime now, const PhAddr *peer)
{
  return may_ask (self, peer) && hold (self, now, peer, false);
}

void
ph_turn_client_unpermit (PhTurnClient *self, PhTime now, const PhAddr *peer)
{
  let_go (now, ph_turn_permission_find (self, peer));
}

bool
ph_turn_client_bind (PhTurnClient *self, PhTime now, const PhAddr *peer)
{
  if (!may_ask (self, peer) || peer->port == 0 || !hold (self, now, peer, false))
    return false;
  if (hold (self, now, peer, true))
    return true;
  let_go (now, ph_turn_permission_find (self, peer));
  return false;
}

void
ph_turn_client_unbind (PhTurnClient *self, PhTime now, const PhAddr *peer)
{
  PhTurnGrant *channel = ph_turn_channel_find (self, peer);

  if (channel == NULL || channel->holds == 0)
    return;
  let_go (now, channel);
  let_go (now, ph_turn_permission_find (self, peer));
}

static bool
is_ready (const PhTurnGrant *grant, PhTime now)
{
  return grant != NULL && grant->state == PH_TURN_GRANT_READY && now < grant->expires_at;
}

bool
ph_turn_client_is_permitted (const PhTurnClient *self, PhTime now, const PhAddr *peer)
{
  return is_ready (ph_turn_permission_find (self, peer), now);
}

bool
ph_turn_client_has_channel (const PhTurnClient *self, PhTime now, const PhAddr *peer)
{
  return is_ready (ph_turn_channel_find (self, peer), now);
}

/* --- Answers and time ------------------------------------------------------------------------- */

void
ph_turn_grant_answered (PhTurnClient *self, PhTime now, PhTurnGrant *grant)
{
  const PhTime lifetime = ph_turn_grant_is_channel (grant) ? CHANNEL_LIFETIME : PERMISSION_LIFETIME;
  char peer[PH_ADDR_STRING_MAX];

  ph_turn_request_stop (&grant->request);
  if (grant->state != PH_TURN_GRANT_READY) {
    grant->state = PH_TURN_GRANT_READY;
    grant->tell = true;
    ph_trace (self->config.trace, now, "turn", "%s for %s", kind_name (grant),
              ph_addr_format (&grant->peer, peer));
  }
  grant->why = PH_TURN_WHY_NONE;
  grant->error = 0;
  grant->expires_at = ph_time_add (now, lifetime);
  grant->refresh_at = ph_time_add (now, lifetime - REFRESH_MARGIN);
}

void
ph_turn_grant_refused (PhTurnClient *self, PhTime now, PhTurnGrant *grant, PhTurnWhy why,
                       unsigned error)
{
  char peer[PH_ADDR_STRING_MAX];

  if (why == PH_TURN_WHY_MISMATCH) {
    ph_turn_enter (self, now, PH_TURN_LOST, why, error);
    return;
  }
  ph_turn_request_stop (&grant->request);
  grant->state = PH_TURN_GRANT_FAILED;
  grant->refresh_at = PH_NEVER;
  grant->expires_at = PH_NEVER;
  grant->why = why;
  grant->error = error;
  grant->tell = true;
  ph_trace (self->config.trace, now, "turn", "%s for %s refused, why %d, error %u",
            kind_name (grant), ph_addr_format (&grant->peer, peer), (int)why, error);
  /* Is it the server or the login? */
  if (why == PH_TURN_WHY_UNREACHABLE || why == PH_TURN_WHY_UNAUTHORIZED)
    ph_turn_client_refresh (self, now);
}

void
ph_turn_grants_timeout (PhTurnClient *self, PhTime now)
{
  for (unsigned i = 0; i < PH_TURN_GRANTS; i++) {
    PhTurnGrant *grant = &self->grants[i];

    switch (ph_stun_transaction_due (&grant->request.transaction, now)) {
    case PH_STUN_WAIT:
      break;
    case PH_STUN_SEND_AGAIN:
      grant->request.send = true;
      break;
    case PH_STUN_GIVE_UP:
      ph_turn_grant_refused (self, now, grant, PH_TURN_WHY_UNREACHABLE, 0);
      break;
    }
    if (now >= grant->free_at)
      grant_clear (grant);
    else if (now >= grant->refresh_at)
      grant_ask (self, now, grant);
  }
}

PhTime
ph_turn_grant_deadline (const PhTurnGrant *grant)
{
  return ph_time_min (grant->request.transaction.deadline,
                      ph_time_min (grant->refresh_at, grant->free_at));
}

bool
ph_turn_grants_poll_event (PhTurnClient *self, PhTurnEvent *ret_event)
{
  for (unsigned i = 0; i < PH_TURN_GRANTS; i++) {
    PhTurnGrant *grant = &self->grants[i];
    const bool ready = grant->state == PH_TURN_GRANT_READY;

    if (!grant->tell)
      continue;
    grant->tell = false;
    *ret_event = (PhTurnEvent){
        .type = ready ? PH_TURN_EVENT_PERMITTED : PH_TURN_EVENT_PERMISSION_FAILED,
        .peer = grant->peer,
        .why = grant->why,
        .error = grant->error,
    };
    if (ph_turn_grant_is_channel (grant))
      ret_event->type = ready ? PH_TURN_EVENT_CHANNEL_READY : PH_TURN_EVENT_CHANNEL_FAILED;
    return true;
  }
  return false;
}
