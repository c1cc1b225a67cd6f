/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opening NATs before checks.
 *
 * A router that does not drop what nobody asked for, as a Linux one without a firewall of its own, lets an
 * early check of the peer take the place that our own would need: the connection tracking has an entry
 * for that peer at the mapped port then, and what we send there leaves from another port. The hole is lost
 * for as long as both go on.
 *
 * So both sides first send a packet that opens their own NAT and dies on the way (a low TTL), and no check
 * may arrive before that. The side that calls knows nothing of the peer until it has been answered, and
 * the peer has had its candidates by then, and opened: it opens and checks at once. The side that
 * answers opens at once, and holds its checks back until a check of the caller's shows that the answer
 * is there, or for a moment. That costs nothing: a check that comes before the caller has opened is
 * let in by routers only that need no opening.
 *
 * Only IPv4 addresses of the internet are opened: others are not translated. */

#include "net/ice/ph-ice-private.h"

/* Passes a NAT in the home and one of the provider's, with a router before them. Two homes are further
 * apart, but for neighbours. */
#define OPENER_TTL 4
/* A signal takes a tenth of a second around the world. */
#define HOLD_INTERVAL (300 * PH_MSEC)

void
ice_hold_begin (PhIceAgent *self, PhTime now)
{
  self->hold_until =
      self->config.opens && self->config.answering ? ph_time_add (now, HOLD_INTERVAL) : PH_NEVER;
}

void
ice_hold_end (PhIceAgent *self)
{
  self->hold_until = PH_NEVER;
}

void
ice_open (PhIceAgent *self, IcePair *pair)
{
  uint8_t data[PH_STUN_MESSAGE_MAX];
  PhWriter w = ph_writer (data, sizeof data);
  PhStunId id;

  if (!self->config.opens || ice_pair_is_tcp (pair) || pair->local->type == PH_CANDIDATE_RELAY
      || pair->remote->type == PH_CANDIDATE_RELAY || pair->remote_addr.family != PH_FAMILY_IPV4
      || ph_addr_scope (&pair->remote_addr) != PH_SCOPE_GLOBAL)
    return;

  pair->held = true;
  ph_random_bytes (&self->config.random, id.bytes, sizeof id.bytes);
  ph_stun_begin (&w, PH_STUN_INDICATION, PH_STUN_BINDING, &id);
  ph_stun_put_fingerprint (&w);
  ice_queue (self, pair->local->socket, &pair->remote_addr, OPENER_TTL, &w);
}
