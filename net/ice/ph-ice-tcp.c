/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/ice/ph-ice-private.h"

/* After a connection could not be made, or broke: whoever made it has tried for long enough. */
#define RECONNECT_INTERVAL PH_SEC

IcePair *
ice_pair_on_connection (const PhIceAgent *self, uint32_t connection)
{
  for (unsigned i = 0; connection != 0 && i < self->pairs->len; i++) {
    IcePair *pair = self->pairs->pdata[i];

    if (ice_pair_is_tcp (pair) && pair->socket == connection)
      return pair;
  }
  return NULL;
}

static void
let_go (PhIceAgent *self, PhTime now, IcePair *pair, PhIceWhy why)
{
  if (pair->state == PH_ICE_PAIR_SUCCEEDED)
    ice_pair_lost (self, now, pair, why);
  else if (pair->state == PH_ICE_PAIR_IN_PROGRESS)
    ice_pair_enter (self, now, pair, PH_ICE_PAIR_FAILED, why);
  pair->socket = 0;
  if (pair->state == PH_ICE_PAIR_FAILED)
    pair->retry_at = ph_time_add (now, RECONNECT_INTERVAL);
}

void
ice_pair_connect (PhIceAgent *self, PhTime now, IcePair *pair, uint32_t connection)
{
  if (pair->socket == connection)
    return;
  /* The same two addresses have one connection at a time: the one that we know is dead. */
  if (pair->socket != 0 && pair->state == PH_ICE_PAIR_SUCCEEDED)
    let_go (self, now, pair, PH_ICE_WHY_DISCONNECTED);
  pair->socket = connection;
}

bool
ph_ice_agent_connected (PhIceAgent *self, PhTime now, uint32_t id, uint32_t connection)
{
  IcePair *pair = ice_pair_by_id (self, id);

  if (pair == NULL || !ice_pair_is_tcp (pair) || pair->state != PH_ICE_PAIR_IN_PROGRESS
      || (pair->socket != 0 && pair->socket != connection))
    return false;
  pair->socket = connection;
  if (ice_has_remote_credentials (self))
    ice_check_start (self, now, pair, false);
  return true;
}

void
ph_ice_agent_not_connected (PhIceAgent *self, PhTime now, uint32_t id)
{
  IcePair *pair = ice_pair_by_id (self, id);

  if (pair == NULL || pair->socket != 0)
    return;
  let_go (self, now, pair, PH_ICE_WHY_UNCONNECTED);
  ice_settle (self, now);
}

void
ph_ice_agent_disconnected (PhIceAgent *self, PhTime now, uint32_t connection)
{
  IcePair *pair = ice_pair_on_connection (self, connection);

  if (pair == NULL)
    return;
  let_go (self, now, pair, PH_ICE_WHY_DISCONNECTED);
  ice_settle (self, now);
}

bool
ph_ice_agent_uses_connection (const PhIceAgent *self, uint32_t connection)
{
  return ice_pair_on_connection (self, connection) != NULL;
}
