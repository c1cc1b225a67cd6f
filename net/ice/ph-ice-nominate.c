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

/* A pair is taken for silent after so many, three seconds after its last answer: a reason to prefer another
 * one that is not, long before it is given up. */
#define SILENT_UNANSWERED 4
/* When the selected pair has not answered so many, the warm ones are asked how they are. */
#define ASK_OTHERS_UNANSWERED 2
/* Sent so often, in three quarters of a second, a nomination should have been agreed to. */
#define STALLED_SENDS 3
/* What makes a move within a kind of path worth its while: faster by so much, and by one part in so many of what
 * the selected pair takes (a transfer fills queues, and pairs that share one are measured at different
 * moments); and how many measurements it takes to know. */
#define RTT_HYSTERESIS (5 * PH_MSEC)
#define RTT_HYSTERESIS_PART 4
#define IPV6_BONUS (3 * PH_MSEC)
#define RTT_SAMPLES_MIN 8
/* So many are asked for so fast of a pair that may take the place of the selected one: a better cable is seldom plugged
 * in, and whoever has done it waits for it. They are of one moment, and more than others get: that the fastest of them
 * is faster says little. That half of them are faster than the fastest of the selected pair's happens by chance in one
 * case of fifty, if that one has been measured eight times, and of thousands once it has been thirty times. */
#define MEASURED_MAX 16
#define MEASURED_FASTER 8
#define MEASURE_INTERVAL (500 * PH_MSEC)
/* A network of one's own whose round trip is longer is a tunnel. A link over TCP that takes the place of one over
 * QUIC begins while that one's last window still fills the line: BBR takes its share of the line for all of it,
 * and from there grows by a quarter in eight round trips. */
#define LAN_TCP_RTT_MAX (20 * PH_MSEC)
/* How long a pair that failed is not preferred: doubled with each failure, to as long as new checks of all pairs
 * are apart while the path is relayed. At once so long if checks pass and links do not (a port of TCP on a LAN
 * behind which something swallows what is large): that mends itself seldom, and to try again costs a second link
 * that hangs for PH_CONNECTOR_PATIENCE beside the one that works, which is one part in fifteen of the time. */
#define SHUN_MIN (2 * PH_SEC)
#define SHUN_MAX (60 * PH_SEC)

/* --- Selection ---------------------------------------------------------------------------------- */

/* Pairs whose death must be noticed fast. */
static bool
is_in_use (const PhIceAgent *self, const IcePair *pair)
{
  return pair == self->selected || pair->in_use || pair->nominating;
}

static void
ice_select (PhIceAgent *self, PhTime now, IcePair *pair, bool moved)
{
  g_assert (pair->state == PH_ICE_PAIR_SUCCEEDED);
  pair->nominated = true;
  if (pair == self->selected)
    return;
  self->selected = pair;
  self->gone = 0;
  /* What others have to beat: the more is known of it, the better. */
  if (pair->measured > 0 && (pair->rtt_least[0] == 0 || pair->measured_least < pair->rtt_least[0]))
    pair->rtt_least[0] = pair->measured_least;
  pair->timed += pair->measured;
  for (unsigned i = 0; i < self->pairs->len; i++) {
    IcePair *other = self->pairs->pdata[i];

    other->measured = other->faster = 0;
  }
  ph_trace (self->config.trace, now, "ice", "pair %u selected", pair->id);
  if (self->state != PH_ICE_CONNECTED)
    ice_enter (self, now, PH_ICE_CONNECTED, "a pair is selected");
  ice_consent_restart (self, now, pair);
  ice_event (self, PH_ICE_EVENT_SELECTED, pair);
  ((PhIceEvent *)g_queue_peek_tail (&self->events))->moved = moved;
}

static PhPathKind
kind_of (const IcePair *pair)
{
  return ph_path_classify (&pair->seen, pair->remote);
}

bool
ice_is_relayed (const PhIceAgent *self)
{
  return self->selected != NULL && kind_of (self->selected) == PH_PATH_RELAY;
}

/* Lets go of the worst valid pairs that nobody uses; the best relayed one is what there is to fall back on
 * when all that is direct dies at once. */
static void
retire_surplus (PhIceAgent *self, PhTime now)
{
  bool relay_kept = false;
  unsigned warm = 0;

  for (unsigned i = 0; i < self->pairs->len; i++) {
    IcePair *pair = self->pairs->pdata[i];

    if (pair->state != PH_ICE_PAIR_SUCCEEDED)
      continue;
    if (!relay_kept && kind_of (pair) == PH_PATH_RELAY)
      relay_kept = true;
    else if (!is_in_use (self, pair) && ++warm > PH_ICE_WARM_MAX)
      ice_pair_lost (self, now, pair, PH_ICE_WHY_RETIRED);
  }
}

static void
nominate (PhIceAgent *self, PhTime now, IcePair *pair)
{
  pair->nominating = true;
  pair->nomination = ++self->nomination;
  ice_check_start (self, now, pair, true);
}

static bool
is_shunned (const IcePair *pair, PhTime now)
{
  return now < pair->shunned_until;
}

bool
ice_pair_is_silent (const IcePair *pair)
{
  return pair->unanswered >= SILENT_UNANSWERED;
}

/* It has to prove itself for longer each time that it was left. */
static void
punish (PhTime now, IcePair *pair)
{
  const PhTime interval = SHUN_MIN << MIN (pair->failures, 5);

  pair->failures++;
  pair->shunned_until = ph_time_add (now, MIN (interval, SHUN_MAX));
}

/* A nomination that nobody has agreed to, though it was sent so often, waits for a path that has died: a
 * pair that is only kept warm is found silent late. */
static bool
is_stalled (const IcePair *pair, PhTime now)
{
  return pair->nominating && pair->check.sends >= STALLED_SENDS
         && pair->answered_at < pair->check.first_sent
         && ph_time_since (now, pair->check.first_sent) > 2 * pair->rtt;
}

/* Whether a nomination is under way that may still be agreed to. */
static bool
is_nominating (PhIceAgent *self, PhTime now)
{
  bool nominating = false;

  for (unsigned i = 0; i < self->pairs->len; i++) {
    IcePair *pair = self->pairs->pdata[i];

    if (is_stalled (pair, now)) {
      pair->nominating = false;
      ph_stun_transaction_stop (&pair->check);
      punish (now, pair);
    }
    nominating |= pair->nominating;
  }
  return nominating;
}

/* --- Renomination ------------------------------------------------------------------------------- */

/* RFC 8421 and common sense favour IPv6: no NAT on the way forgets it. */
static PhTime
favoured (const IcePair *pair, PhTime rtt)
{
  return pair->remote_addr.family == PH_FAMILY_IPV6 ? ph_time_since (rtt, IPV6_BONUS) : rtt;
}

static PhTime
rtt_for_choice (const IcePair *pair)
{
  return favoured (pair, pair->rtt_least[1] != 0 ? MIN (pair->rtt_least[0], pair->rtt_least[1])
                                                 : pair->rtt_least[0]);
}

/* What is enough to be worth a move. */
static PhTime
worth (const IcePair *selected)
{
  return MAX (RTT_HYSTERESIS, rtt_for_choice (selected) / RTT_HYSTERESIS_PART);
}

static bool
is_faster (PhTime rtt, const IcePair *selected)
{
  return rtt + worth (selected) <= rtt_for_choice (selected);
}

/* Whether it was faster in each of two spans than the selected one ever was in them, and is on the average: on a line
 * under load the least of some dozen round trips differs by more than a move takes, from pair to pair and from
 * span to span. */
static bool
is_faster_for_long (const IcePair *pair, const IcePair *selected)
{
  return pair->rtt_least[1] != 0
         && is_faster (favoured (pair, MAX (pair->rtt_least[0], pair->rtt_least[1])), selected)
         && favoured (pair, pair->rtt) + worth (selected) <= selected->rtt;
}

/* Whether the pair's speed will tell if it takes the place of the selected one, and is not known yet. */
static bool
is_measured (const PhIceAgent *self, const IcePair *pair)
{
  return self->controlling && self->renominates && self->selected != NULL
         && self->selected->timed >= RTT_SAMPLES_MIN && !is_in_use (self, pair)
         && pair->measured < MEASURED_MAX && kind_of (pair) == kind_of (self->selected);
}

bool
ice_pair_timed (const PhIceAgent *self, IcePair *pair, PhTime sample)
{
  if (!is_measured (self, pair))
    return false;
  pair->measured_least = pair->measured++ == 0 ? sample : MIN (pair->measured_least, sample);
  if (is_faster (favoured (pair, sample), self->selected))
    pair->faster++;
  return true;
}

/* On a LAN the kernel's TCP moves as much as QUIC for three quarters of the CPU, and does not wait for a busy
 * computer to run a thread; elsewhere they are of different kinds. */
static bool
is_worth_tcp (const IcePair *selected)
{
  const PhTime least = rtt_for_choice (selected);

  return (least != 0 ? least : selected->rtt) < LAN_TCP_RTT_MAX;
}

static int
relays_on_the_way (const IcePair *pair)
{
  return (pair->seen.type == PH_CANDIDATE_RELAY) + (pair->remote->type == PH_CANDIDATE_RELAY);
}

/* Whether `pair` should take the place of `selected`. */
static bool
is_better (PhTime now, const IcePair *pair, const IcePair *selected)
{
  const PhPathKind kind = kind_of (pair), selected_kind = kind_of (selected);

  if (ice_pair_is_silent (pair) || is_shunned (pair, now))
    return false;
  if (ice_pair_is_silent (selected))
    return pair->answered_at > selected->answered_at;
  if (is_shunned (selected, now))
    return true;
  if (kind != selected_kind)
    return kind < selected_kind;
  /* Each relay copies every packet, and its buffers are small. */
  if (relays_on_the_way (pair) != relays_on_the_way (selected))
    return relays_on_the_way (pair) < relays_on_the_way (selected);
  if (ice_pair_is_tcp (pair) != ice_pair_is_tcp (selected))
    return ice_pair_is_tcp (pair) && is_worth_tcp (selected);

  return selected->timed >= RTT_SAMPLES_MIN
         && (pair->faster >= MEASURED_FASTER || is_faster_for_long (pair, selected));
}

static void
consider_renomination (PhIceAgent *self, PhTime now)
{
  IcePair *best = self->selected;

  if (is_nominating (self, now))
    return;
  for (unsigned i = 0; i < self->pairs->len; i++) {
    IcePair *pair = self->pairs->pdata[i];

    if (pair->state == PH_ICE_PAIR_SUCCEEDED && pair != best && is_better (now, pair, best))
      best = pair;
  }
  if (best == self->selected)
    return;
  ph_trace (self->config.trace, now, "ice", "pair %u is better than pair %u", best->id,
            self->selected->id);
  if (ice_pair_is_silent (self->selected))
    punish (now, self->selected);
  nominate (self, now, best);
}

void
ph_ice_agent_shun (PhIceAgent *self, PhTime now, uint32_t id)
{
  IcePair *pair = ice_pair_by_id (self, id);

  if (pair == NULL)
    return;
  ph_trace (self->config.trace, now, "ice", "pair %u carries no link", id);
  pair->failures++;
  pair->shunned_until = ph_time_add (now, SHUN_MAX);
  ice_settle (self, now);
}

/* --- Nomination --------------------------------------------------------------------------------- */

/* No better pair is to be expected: on a LAN TCP is the best there is, whatever is open yet; else none is, and either
 * all candidates are known or this one is as direct as can be. */
static bool
is_final (const PhIceAgent *self, const IcePair *best)
{
  if (kind_of (best) == PH_PATH_LAN && ice_pair_is_tcp (best) && is_worth_tcp (best))
    return true;
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
  if (self->controlling && self->selected != NULL && self->renominates)
    consider_renomination (self, now);
  if (!self->controlling || self->selected != NULL || is_nominating (self, now))
    return;
  for (unsigned i = 0; i < self->pairs->len; i++) {
    IcePair *pair = self->pairs->pdata[i];

    if (pair->state == PH_ICE_PAIR_SUCCEEDED
        && (best == NULL || (is_shunned (best, now) && !is_shunned (pair, now))))
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
  nominate (self, now, best);
  ice_event (self, PH_ICE_EVENT_NOMINATING, best);
}

/* The controlling side would only notice by silence: every check says so until it has chosen again. */
static void
tell_gone (PhIceAgent *self, PhTime now, bool leaves)
{
  self->gone = self->followed;
  self->leaves = leaves;
  for (unsigned i = 0; i < self->pairs->len; i++) {
    IcePair *pair = self->pairs->pdata[i];

    if (pair->state == PH_ICE_PAIR_SUCCEEDED)
      pair->consent_at = now;
  }
}

static void
ask_to_leave (PhIceAgent *self, PhTime now)
{
  if (!self->controlling && self->renominates)
    tell_gone (self, now, true);
}

/* Takes the pair that the controlling side has nominated. Numbers say which nomination is the last; the same
 * number from another address means that the peer's NAT has changed. A peer without numbers, as one after
 * RFC 5245, may nominate every pair and means the best (RFC 8445 §8.1.1), unless that is stale. */
static void
follow_peer (PhIceAgent *self, PhTime now, IcePair *pair)
{
  const PhTime stale_after = 2 * self->config.timers.consent_interval;

  pair->nominated = true;
  if (pair->peer_nomination != 0) {
    if (pair->peer_nomination < self->nomination)
      return;

    const bool moved = self->followed == pair->peer_nomination;

    self->followed = pair->peer_nomination;
    ice_select (self, now, pair, moved);
    if (pair->leaving)
      ask_to_leave (self, now);
    return;
  }
  if (self->selected == NULL || pair->priority > self->selected->priority
      || ph_time_since (now, self->selected->peer_nominated_at) > stale_after)
    ice_select (self, now, pair, self->selected != NULL);
}

void
ice_peer_nominates (PhIceAgent *self, PhTime now, IcePair *pair, uint32_t nomination)
{
  pair->peer_nominated_at = now;
  pair->peer_nomination = MAX (pair->peer_nomination, nomination);
  self->nomination = MAX (self->nomination, nomination);
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
  const PhTime normal = consent_interval (self, pair);
  const PhTime interval = is_measured (self, pair) ? MIN (normal, MEASURE_INTERVAL) : normal;

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

static void
ask_others (PhIceAgent *self, PhTime now)
{
  for (unsigned i = 0; i < self->pairs->len; i++) {
    IcePair *pair = self->pairs->pdata[i];

    if (pair->state == PH_ICE_PAIR_SUCCEEDED && !is_in_use (self, pair))
      pair->consent_at = now;
  }
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
  if (pair == self->selected && pair->unanswered == ASK_OTHERS_UNANSWERED)
    ask_others (self, now);
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
    ice_select (self, now, pair, false);
  }
  if (pair->peer_nominated && !self->controlling) {
    pair->peer_nominated = false;
    follow_peer (self, now, pair);
  }
}

void
ph_ice_agent_heard (PhIceAgent *self, PhTime now, uint32_t connection)
{
  IcePair *pair = ice_pair_on_connection (self, connection);

  if (pair == NULL || pair->state != PH_ICE_PAIR_SUCCEEDED)
    return;
  pair->answered_at = now;
  if (pair->unanswered == 0)
    return;
  pair->unanswered = 0;
  pair->expires_at = PH_NEVER;
  pair->consent_at = ph_time_add (now, consent_delay (self, pair));
  ice_settle (self, now);
}

void
ice_peer_left (PhIceAgent *self, PhTime now, const IcePair *via, uint32_t nomination)
{
  const IcePair *left = self->selected;

  if (left == NULL || left == via || left->nomination != nomination)
    return;

  const PhAddr gone = left->remote_addr;

  /* What other addresses of ours have of that end is worth no more. */
  for (unsigned i = 0; i < self->pairs->len; i++) {
    IcePair *pair = self->pairs->pdata[i];

    if (pair != via && pair->state == PH_ICE_PAIR_SUCCEEDED
        && ph_addr_equal (&pair->remote_addr, &gone))
      ice_pair_lost (self, now, pair, PH_ICE_WHY_PEER_LEFT);
  }
}

void
ice_peer_leaves (PhIceAgent *self, const IcePair *via, uint32_t nomination)
{
  const IcePair *left = self->selected;

  if (left == NULL || left == via || left->nomination != nomination)
    return;
  for (unsigned i = 0; i < self->pairs->len; i++) {
    IcePair *pair = self->pairs->pdata[i];

    if (pair != via && ph_addr_equal (&pair->remote_addr, &left->remote_addr))
      pair->shunned_until = PH_NEVER;
  }
}

void
ph_ice_agent_leave_socket (PhIceAgent *self, PhTime now, uint32_t socket)
{
  for (unsigned i = 0; i < self->pairs->len; i++) {
    IcePair *pair = self->pairs->pdata[i];

    if (pair->local->socket != socket)
      continue;
    pair->leaving = true;
    pair->shunned_until = PH_NEVER;
  }
  if (self->selected != NULL && self->selected->leaving)
    ask_to_leave (self, now);
  ice_settle (self, now);
}

void
ice_pair_lost (PhIceAgent *self, PhTime now, IcePair *pair, PhIceWhy why)
{
  g_assert (pair->state == PH_ICE_PAIR_SUCCEEDED);
  if (why == PH_ICE_WHY_CONSENT && is_in_use (self, pair))
    punish (now, pair);
  ice_pair_enter (self, now, pair, PH_ICE_PAIR_FAILED, why);
  pair->nominating = false;
  pair->unanswered = 0;
  pair->nominated = false;
  pair->peer_nominated = false;
  pair->in_use = false;
  pair->consent_at = PH_NEVER;
  pair->expires_at = PH_NEVER;
  if (pair == self->selected) {
    self->selected = NULL;
    if (why == PH_ICE_WHY_SOCKET_GONE && !self->controlling && self->renominates)
      tell_gone (self, now, false);
  }
  ice_event (self, PH_ICE_EVENT_PAIR_LOST, pair);
  if (ice_pair_is_tcp (pair))
    pair->socket = 0;
  if (why == PH_ICE_WHY_RETIRED)
    return;
  pair->retry_at = now;
  if (self->give_up_at == PH_NEVER)
    ice_open_window (self, now);
}
