/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/ice/ph-ice-private.h"

/* Addresses of one IP, none of them valid, that checks have been seen from on one socket. Two NATs that give
 * every destination a new port and let strangers in chase each other: every answer comes from yet another
 * port, which takes one more. Where a path is found this way it is after one or two rounds; a plan of net/punch
 * meets after as many as others have taken ports meanwhile, a few. */
#define SEEN_PER_IP_MAX 16

/* --- Pairs -------------------------------------------------------------------------------------- */

void
ice_pair_free (IcePair *pair)
{
  g_free (pair);
}

/* RFC 8445 §6.1.2.3. */
static uint64_t
pair_priority (const PhIceAgent *self, const IcePair *pair)
{
  const uint64_t local = pair->local->priority;
  const uint64_t remote = pair->remote->priority;
  const uint64_t g = self->controlling ? local : remote;
  const uint64_t d = self->controlling ? remote : local;

  return MIN (g, d) << 32 | (2 * MAX (g, d) + (g > d ? 1 : 0));
}

/* Equal priorities keep the order in which the pairs were made. */
static int
compare_pairs (gconstpointer a, gconstpointer b)
{
  const IcePair *x = *(IcePair *const *)a;
  const IcePair *y = *(IcePair *const *)b;

  if (x->priority != y->priority)
    return x->priority > y->priority ? -1 : 1;
  return x->id < y->id ? -1 : x->id > y->id;
}

void
ice_pairs_rank (PhIceAgent *self)
{
  for (unsigned i = 0; i < self->pairs->len; i++) {
    IcePair *pair = self->pairs->pdata[i];
    pair->priority = pair_priority (self, pair);
  }
  g_ptr_array_sort (self->pairs, compare_pairs);
}

IcePair *
ice_pair_find (const PhIceAgent *self, uint32_t socket, const PhAddr *remote)
{
  for (unsigned i = 0; i < self->pairs->len; i++) {
    IcePair *pair = self->pairs->pdata[i];

    if (pair->local->socket == socket && ph_addr_equal (&pair->remote_addr, remote))
      return pair;
  }
  return NULL;
}

IcePair *
ice_pair_by_id (const PhIceAgent *self, uint32_t id)
{
  for (unsigned i = 0; i < self->pairs->len; i++) {
    IcePair *pair = self->pairs->pdata[i];

    if (pair->id == id)
      return pair;
  }
  return NULL;
}

bool
ice_any_valid (const PhIceAgent *self)
{
  for (unsigned i = 0; i < self->pairs->len; i++) {
    const IcePair *pair = self->pairs->pdata[i];

    if (pair->state == PH_ICE_PAIR_SUCCEEDED)
      return true;
  }
  return false;
}

/* Pairs whose checks go on or are to come: not those that have no connection yet. */
unsigned
ice_count_open (const PhIceAgent *self)
{
  unsigned n = 0;

  for (unsigned i = 0; i < self->pairs->len; i++) {
    const IcePair *pair = self->pairs->pdata[i];

    n += pair->socket != 0
         && (pair->state == PH_ICE_PAIR_WAITING || pair->state == PH_ICE_PAIR_IN_PROGRESS);
  }
  return n;
}

/* Takes a pair off the list and tells its loss if it was valid. */
static void
remove_pair (PhIceAgent *self, PhTime now, IcePair *pair, PhIceWhy why)
{
  if (pair->state == PH_ICE_PAIR_SUCCEEDED)
    ice_pair_lost (self, now, pair, why);
  g_assert (pair != self->selected);
  g_ptr_array_remove (self->pairs, pair);
}

/* A pair that may go when room is needed: it works for nobody. */
static bool
is_expendable (const IcePair *pair)
{
  return pair->state != PH_ICE_PAIR_SUCCEEDED && !pair->in_use;
}

/* Makes room for a pair of `priority`; false if all that are there are better or at work. */
static bool
make_room (PhIceAgent *self, PhTime now, uint64_t priority)
{
  if (self->pairs->len < PH_ICE_PAIRS_MAX)
    return true;
  for (unsigned i = self->pairs->len; i-- > 0;) {
    IcePair *pair = self->pairs->pdata[i];

    if (pair->priority >= priority)
      return false;
    if (is_expendable (pair)) {
      remove_pair (self, now, pair, PH_ICE_WHY_RETIRED);
      return true;
    }
  }
  return false;
}

static bool
is_tcp (const PhCandidate *candidate)
{
  return candidate->transport != PH_CANDIDATE_UDP;
}

/* Packets only go from an address to one of its kind. */
static bool
fits (const PhAddr *base, const PhAddr *remote)
{
  const PhScope from = ph_addr_scope (base);
  const PhScope to = ph_addr_scope (remote);

  if (base->family != remote->family)
    return false;
  if ((from == PH_SCOPE_LOOPBACK) != (to == PH_SCOPE_LOOPBACK))
    return false;
  /* RFC 8445 §6.1.2.2: IPv6 link-local addresses pair with each other only. */
  return base->family == PH_FAMILY_IPV4
         || (from == PH_SCOPE_LINK_LOCAL) == (to == PH_SCOPE_LINK_LOCAL);
}

static bool
same_foundation (const IcePair *a, const IcePair *b)
{
  return strcmp (a->local->foundation, b->local->foundation) == 0
         && strcmp (a->remote->foundation, b->remote->foundation) == 0;
}

/* RFC 8838 §12: a new pair waits, unless one of its foundation is being tried. */
static PhIcePairState
initial_state (const PhIceAgent *self, const IcePair *pair)
{
  for (unsigned i = 0; i < self->pairs->len; i++) {
    const IcePair *other = self->pairs->pdata[i];

    if (other == pair || !same_foundation (other, pair))
      continue;
    if (other->state == PH_ICE_PAIR_WAITING || other->state == PH_ICE_PAIR_IN_PROGRESS)
      return PH_ICE_PAIR_FROZEN;
  }
  return PH_ICE_PAIR_WAITING;
}

/* Nobody in a private network can be reached from a relay on the internet: not even a permission is asked. */
static bool
is_worth_it (const PhCandidate *local, const PhCandidate *remote)
{
  return local->type != PH_CANDIDATE_RELAY || ph_addr_scope (&local->addr) != PH_SCOPE_GLOBAL
         || ph_addr_scope (&remote->addr) == PH_SCOPE_GLOBAL;
}

/* Returns the new pair, or the one there is, or NULL if it does not fit or has no room. */
static IcePair *
add_pair (PhIceAgent *self, PhTime now, const PhCandidate *local, PhCandidate *remote)
{
  PhAddr remote_addr = remote->addr;
  IcePair *pair;

  if (is_tcp (local) != is_tcp (remote) || !fits (&local->base, &remote->addr))
    return NULL;
  if (remote_addr.family == PH_FAMILY_IPV6 && ph_addr_scope (&remote_addr) == PH_SCOPE_LINK_LOCAL)
    remote_addr.scope = local->base.scope;
  pair = ice_pair_find (self, local->socket, &remote_addr);
  if (pair != NULL)
    return pair;

  IcePair fresh = {
      .local = local,
      .remote = remote,
      .remote_addr = remote_addr,
      .socket = is_tcp (local) ? 0 : local->socket,
      .seen = *local,
      .retry_at = PH_NEVER,
      .consent_at = PH_NEVER,
      .expires_at = PH_NEVER,
  };

  fresh.priority = pair_priority (self, &fresh);
  ph_stun_transaction_stop (&fresh.check);
  if (!make_room (self, now, fresh.priority))
    return NULL;
  fresh.id = ++self->next_pair_id;
  fresh.state = initial_state (self, &fresh);
  pair = g_memdup2 (&fresh, sizeof fresh);
  g_ptr_array_add (self->pairs, pair);
  g_ptr_array_sort (self->pairs, compare_pairs);
  ice_open (self, pair);
  return pair;
}

/* --- Candidates --------------------------------------------------------------------------------- */

const PhCandidate *
ice_local_for_socket (const PhIceAgent *self, uint32_t socket)
{
  for (unsigned i = 0; i < self->locals->len; i++) {
    const PhCandidate *local = self->locals->pdata[i];

    if (local->socket == socket)
      return local;
  }
  return NULL;
}

bool
ph_ice_agent_add_local_candidate (PhIceAgent *self, PhTime now, const PhCandidate *candidate)
{
  const bool new_socket = ice_local_for_socket (self, candidate->socket) == NULL;
  char text[PH_ADDR_STRING_MAX];

  g_assert (candidate->socket != 0);
  if (self->locals->len >= PH_ICE_LOCAL_MAX
      || !ph_candidate_usable (&candidate->addr, self->config.allow_loopback))
    return false;
  for (unsigned i = 0; i < self->locals->len; i++) {
    const PhCandidate *other = self->locals->pdata[i];

    if (ph_addr_equal (&other->addr, &candidate->addr) && other->socket == candidate->socket
        && other->transport == candidate->transport)
      return false;
  }

  PhCandidate *local = g_memdup2 (candidate, sizeof *candidate);

  g_ptr_array_add (self->locals, local);
  ph_trace (self->config.trace, now, "ice", "local %s %s, socket %u",
            ph_candidate_type_name (local->type), ph_addr_format (&local->addr, text),
            local->socket);
  /* A reflexive candidate sends from its base: the base's pairs are its pairs (RFC 8445 §6.1.2.4). */
  for (unsigned i = 0; new_socket && i < self->remotes->len; i++) {
    if (is_worth_it (local, self->remotes->pdata[i]))
      add_pair (self, now, local, self->remotes->pdata[i]);
  }
  ice_settle (self, now);
  return true;
}

void
ph_ice_agent_remove_socket (PhIceAgent *self, PhTime now, uint32_t socket)
{
  for (unsigned i = self->pairs->len; i-- > 0;) {
    IcePair *pair = self->pairs->pdata[i];

    if (pair->local->socket == socket)
      remove_pair (self, now, pair, PH_ICE_WHY_SOCKET_GONE);
  }
  for (unsigned i = self->locals->len; i-- > 0;) {
    const PhCandidate *local = self->locals->pdata[i];

    if (local->socket == socket)
      g_ptr_array_remove_index (self->locals, i);
  }
  ice_settle (self, now);
}

/* To us it is one candidate that takes connections and that opens them. */
static PhCandidate *
find_remote (const PhIceAgent *self, const PhAddr *addr, bool tcp)
{
  for (unsigned i = 0; i < self->remotes->len; i++) {
    PhCandidate *remote = self->remotes->pdata[i];

    if (ph_addr_equal (&remote->addr, addr) && is_tcp (remote) == tcp)
      return remote;
  }
  return NULL;
}

static bool
remote_is_expendable (const PhIceAgent *self, const PhCandidate *remote)
{
  for (unsigned i = 0; i < self->pairs->len; i++) {
    const IcePair *pair = self->pairs->pdata[i];

    if (pair->remote == remote && !is_expendable (pair))
      return false;
  }
  return true;
}

/* Makes room for a remote candidate, as make_room() does for pairs. What was only seen takes the place of
 * nothing that the peer has named. */
static bool
make_remote_room (PhIceAgent *self, PhTime now, const PhCandidate *candidate)
{
  PhCandidate *worst = NULL;

  if (self->remotes->len < PH_ICE_REMOTE_MAX)
    return true;
  for (unsigned i = 0; i < self->remotes->len; i++) {
    PhCandidate *remote = self->remotes->pdata[i];

    if (candidate->type == PH_CANDIDATE_PRFLX && remote->type != PH_CANDIDATE_PRFLX)
      continue;
    if ((worst == NULL || remote->priority < worst->priority)
        && remote_is_expendable (self, remote))
      worst = remote;
  }
  if (worst == NULL || worst->priority > candidate->priority
      || (worst->priority == candidate->priority && candidate->type != PH_CANDIDATE_PRFLX))
    return false;
  for (unsigned i = self->pairs->len; i-- > 0;) {
    IcePair *pair = self->pairs->pdata[i];

    if (pair->remote == worst)
      remove_pair (self, now, pair, PH_ICE_WHY_RETIRED);
  }
  g_ptr_array_remove (self->remotes, worst);
  return true;
}

/* NULL if there is no room. */
static PhCandidate *
add_remote (PhIceAgent *self, PhTime now, const PhCandidate *candidate)
{
  PhCandidate *remote;
  char text[PH_ADDR_STRING_MAX];

  if (!make_remote_room (self, now, candidate))
    return NULL;
  remote = g_memdup2 (candidate, sizeof *candidate);
  remote->base = (PhAddr){0};
  remote->socket = 0;
  g_ptr_array_add (self->remotes, remote);
  ph_trace (self->config.trace, now, "ice", "remote %s %s", ph_candidate_type_name (remote->type),
            ph_addr_format (&remote->addr, text));
  return remote;
}

/* One candidate a socket: the first. */
static bool
stands_for_socket (const PhIceAgent *self, const PhCandidate *local)
{
  return ice_local_for_socket (self, local->socket) == local;
}

static void
pair_with_locals (PhIceAgent *self, PhTime now, PhCandidate *remote)
{
  for (unsigned i = 0; i < self->locals->len; i++) {
    const PhCandidate *local = self->locals->pdata[i];

    if (stands_for_socket (self, local) && is_worth_it (local, remote))
      add_pair (self, now, local, remote);
  }
}

bool
ph_ice_agent_add_remote_candidate (PhIceAgent *self, PhTime now, const PhCandidate *candidate)
{
  PhCandidate *remote;

  if (candidate->transport == PH_CANDIDATE_TCP_ACTIVE || !ph_candidate_is_told (candidate)
      || !ph_candidate_usable (&candidate->addr, self->config.allow_loopback))
    return false;

  remote = find_remote (self, &candidate->addr, is_tcp (candidate));
  if (remote != NULL) {
    if (candidate->transport == PH_CANDIDATE_TCP_SO)
      remote->transport = PH_CANDIDATE_TCP_SO;
    if (remote->type != PH_CANDIDATE_PRFLX || candidate->type == PH_CANDIDATE_PRFLX)
      return false;
    /* Its check was faster than its signal: RFC 8838 §11.4. */
    remote->type = candidate->type;
    remote->priority = candidate->priority;
    g_strlcpy (remote->foundation, candidate->foundation, sizeof remote->foundation);
    ice_pairs_rank (self);
    pair_with_locals (self, now, remote); /* it was one only with the socket that it came on */
    ice_settle (self, now);
    return true;
  }

  remote = add_remote (self, now, candidate);
  if (remote == NULL)
    return false;
  pair_with_locals (self, now, remote);
  if (self->state == PH_ICE_FAILED)
    ph_ice_agent_recheck (self, now);
  ice_settle (self, now);
  return true;
}

/* Whether one more address of this IP may be learnt on this socket. The oldest that failed makes room, but not
 * while checks are made for a path: then it is a chase. */
static bool
may_learn (PhIceAgent *self, PhTime now, const PhCandidate *local, const PhAddr *addr)
{
  IcePair *oldest = NULL;
  unsigned n = 0;

  for (unsigned i = 0; i < self->pairs->len; i++) {
    IcePair *pair = self->pairs->pdata[i];

    if (pair->remote->type != PH_CANDIDATE_PRFLX || pair->local->socket != local->socket
        || !ph_addr_equal_ip (&pair->remote_addr, addr) || !is_expendable (pair))
      continue;
    n++;
    if (pair->state == PH_ICE_PAIR_FAILED && (oldest == NULL || pair->id < oldest->id))
      oldest = pair;
  }
  if (n < SEEN_PER_IP_MAX)
    return true;
  if (self->give_up_at != PH_NEVER || oldest == NULL)
    return false;
  remove_pair (self, now, oldest, PH_ICE_WHY_RETIRED);
  return true;
}

static IcePair *
add_reflexive (PhIceAgent *self, PhTime now, const PhCandidate *local, const PhDatagram *in,
               uint32_t priority)
{
  PhAddr addr = in->remote;
  PhCandidate *remote;

  /* Ours, of a link-local address; the peer will name it without. */
  addr.scope = 0;
  remote = find_remote (self, &addr, is_tcp (local));
  g_assert (ph_candidate_usable (&in->remote, self->config.allow_loopback));
  if (!is_tcp (local) && !may_learn (self, now, local, &in->remote))
    return NULL;
  if (remote == NULL) {
    PhCandidate fresh = {
        .type = PH_CANDIDATE_PRFLX,
        .transport = is_tcp (local) ? PH_CANDIDATE_TCP_ACTIVE : PH_CANDIDATE_UDP,
        .addr = addr,
        .priority = priority,
    };

    /* RFC 8445 §7.3.1.3: a foundation of its own. */
    g_snprintf (fresh.foundation, sizeof fresh.foundation, "prflx%u", self->next_pair_id);
    remote = add_remote (self, now, &fresh);
    if (remote == NULL)
      return NULL;
  }
  return add_pair (self, now, local, remote);
}

IcePair *
ice_pair_reflexive (PhIceAgent *self, PhTime now, const PhDatagram *in, uint32_t priority)
{
  const PhCandidate *local = ice_local_for_socket (self, ice_local_socket (in));
  IcePair *pair = ice_pair_find (self, ice_local_socket (in), &in->remote);

  g_assert (local != NULL);
  if (pair == NULL)
    pair = add_reflexive (self, now, local, in, priority);
  if (pair != NULL && is_tcp (local))
    ice_pair_connect (self, now, pair, in->socket);
  return pair;
}

/* --- Order -------------------------------------------------------------------------------------- */

void
ice_pair_trigger (PhIceAgent *self, PhTime now, IcePair *pair)
{
  if (pair->state != PH_ICE_PAIR_WAITING)
    ice_pair_enter (self, now, pair, PH_ICE_PAIR_WAITING, PH_ICE_WHY_NONE);
  if (pair->triggered_seq == 0)
    pair->triggered_seq = ++self->next_triggered_seq;
}

void
ice_unfreeze_like (PhIceAgent *self, PhTime now, const IcePair *pair)
{
  for (unsigned i = 0; i < self->pairs->len; i++) {
    IcePair *other = self->pairs->pdata[i];

    if (other->state == PH_ICE_PAIR_FROZEN && same_foundation (other, pair))
      ice_pair_enter (self, now, other, PH_ICE_PAIR_WAITING, PH_ICE_WHY_NONE);
  }
}

IcePair *
ice_next_to_check (const PhIceAgent *self)
{
  IcePair *triggered = NULL, *waiting = NULL, *frozen = NULL;

  if (!ice_has_remote_credentials (self) || self->state == PH_ICE_FAILED)
    return NULL;
  for (unsigned i = 0; i < self->pairs->len; i++) {
    IcePair *pair = self->pairs->pdata[i];

    if (pair->triggered_seq != 0
        && (triggered == NULL || pair->triggered_seq < triggered->triggered_seq))
      triggered = pair;
    if (pair->held && self->hold_until != PH_NEVER)
      continue;
    if (waiting == NULL && pair->state == PH_ICE_PAIR_WAITING)
      waiting = pair;
    if (frozen == NULL && pair->state == PH_ICE_PAIR_FROZEN)
      frozen = pair;
  }
  if (triggered != NULL)
    return triggered;
  return waiting != NULL ? waiting : frozen;
}
