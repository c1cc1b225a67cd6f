/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The connector's attempts: begun, given up, made again. */

#include "net/connect/ph-connector-private.h"

void
ph_connector_attempt_end (PhConnector *self)
{
  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++)
    self->links.slots[i].pair = 0;
  g_clear_pointer (&self->agent, ph_ice_agent_free);
  ph_connector_tend_connections (self);
  self->remote_generation = 0;
  self->link_by = PH_NEVER;
  self->ready_by = PH_NEVER;
  ph_connector_guess_end (self);
  self->params_due = false;
  self->end_due = false;
  g_array_set_size (self->candidates_due, 0);
  g_queue_clear_full (&self->early, ph_connector_early_free);
}

/* The peer might take our silence for a network that comes back. */
void
ph_connector_say_bye (PhConnector *self)
{
  if (self->agent == NULL)
    return;
  self->bye_due = true;
  self->bye_generation = self->generation;
}

void
ph_connector_schedule_retry (PhConnector *self)
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

void
ph_connector_attempt_fail (PhConnector *self, PhConnectorFailure failure)
{
  PhConnectorEvent event = {.type = PH_CONNECTOR_EVENT_FAILED, .failure = failure};

  /* What servers gave us may be gone: a relay that has begun anew says nothing to what it does not know. */
  self->silenced = true;
  ph_connector_say_bye (self);
  ph_connector_attempt_end (self);
  ph_connector_schedule_retry (self);
  event.retry_at = self->retry_at;
  ph_connector_push (self, &event);
}

static void
agent_make (PhConnector *self, const char *ufrag, const char *pwd, bool answering)
{
  const PhIceConfig config = {
      .controlling = self->client,
      .allow_loopback = self->config.allow_loopback,
      .opens = true,
      .answering = answering,
      .random = self->config.random,
      .trace = &self->config.trace,
      .ufrag = ufrag,
      .pwd = pwd,
  };

  self->agent = ph_ice_agent_new (&config, self->now);
  self->local_ended = false;
  self->was_connected = false;
  self->had_link = false;
}

void
ph_connector_tell_end (PhConnector *self)
{
  if (self->agent == NULL || self->local_ended || !ph_gatherer_done (self->gatherer))
    return;
  self->local_ended = true;
  self->end_due = true;
  ph_ice_agent_end_local (self->agent, self->now);
}

void
ph_connector_tell_candidate (PhConnector *self, const PhCandidate *candidate)
{
  if (ph_candidate_is_told (candidate))
    g_array_append_vals (self->candidates_due, candidate, 1);
}

static void
offer_candidates (PhConnector *self)
{
  PhCandidate candidates[PH_ICE_LOCAL_MAX];
  const size_t n = ph_gatherer_candidates (self->gatherer, candidates, PH_ICE_LOCAL_MAX);

  for (size_t i = 0; i < n; i++) {
    if (ph_ice_agent_add_local_candidate (self->agent, self->now, &candidates[i]))
      ph_connector_tell_candidate (self, &candidates[i]);
  }
  ph_connector_tell_end (self);
}

void
ph_connector_attempt_start (PhConnector *self, PhTime now, uint64_t echo)
{
  ph_connector_attempt_end (self);
  agent_make (self, NULL, NULL, echo != 0);
  do
    self->generation = ph_random_u64 (&self->config.random);
  while (self->generation == 0);
  self->answer_by = ph_time_add (now, PH_CONNECTOR_ATTEMPT);
  self->retry_at = PH_NEVER;
  self->params_due = true;
  self->echo = echo;
  self->guess.nat_due = self->guess.own.kind != PH_PUNCH_NAT_UNKNOWN;
  offer_candidates (self);
  ph_trace (&self->config.trace, now, "connect", "attempt %016" G_GINT64_MODIFIER "x begins",
            self->generation);
}

/* Our words crossed the peer's, or got lost: say them again, as an answer. */
void
ph_connector_repeat_params (PhConnector *self, uint64_t echo)
{
  PhCandidate candidates[PH_ICE_LOCAL_MAX];
  const size_t n = ph_gatherer_candidates (self->gatherer, candidates, PH_ICE_LOCAL_MAX);

  self->params_due = true;
  self->echo = echo;
  g_array_set_size (self->candidates_due, 0);
  for (size_t i = 0; i < n; i++)
    ph_connector_tell_candidate (self, &candidates[i]);
  self->end_due = self->local_ended;
}

/* The peer's latest credentials belong to our generation, and we had taken others: go on with the
 * same credentials of ours, which the peer has already, and forget the rest. */
void
ph_connector_attempt_rebuild (PhConnector *self)
{
  g_autofree char *ufrag = g_strdup (ph_ice_agent_ufrag (self->agent));
  g_autofree char *pwd = g_strdup (ph_ice_agent_pwd (self->agent));

  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++)
    self->links.slots[i].pair = 0;
  g_clear_pointer (&self->agent, ph_ice_agent_free);
  agent_make (self, ufrag, pwd, false);
  self->remote_generation = 0;
  offer_candidates (self);
}
