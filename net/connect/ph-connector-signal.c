/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the connector and the peer's connector say to each other. */

#include "net/connect/ph-connector-private.h"

#include "net/signal/ph-signal-body.h"

/* A body must fit into one signal: candidates in groups that do. */
#define SIGNAL_BODY_MAX 8192

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
      ph_connector_attempt_start (self, self->now, message->generation);
    return true;
  }

  if (message->echo != 0 && !answers)
    return false;
  if (answers && attached)
    ph_connector_attempt_rebuild (self);
  if (message->echo == 0 && self->agent != NULL && !attached)
    ph_connector_repeat_params (self, message->generation);
  else if (message->echo == 0)
    ph_connector_attempt_start (self, self->now, message->generation);
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
  if (!ph_ice_agent_set_remote_credentials (self->agent, self->now, ufrag, pwd))
    return;
  self->remote_generation = message->generation;
  self->peer_features = message->features;
  if ((message->features & PH_SIGNAL_FEATURE_RENOMINATION) != 0)
    ph_ice_agent_allow_renomination (self->agent);
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
  const bool had = self->was_connected || ph_connector_has_link (self);

  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++) {
    PhLinkSlot *slot = &self->links.slots[i];

    if (slot->link != NULL && ph_link_state (slot->link) != PH_LINK_CLOSED)
      ph_connector_bury (self, slot, "the peer has none");
  }
  ph_connector_attempt_fail (self, had ? PH_CONNECTOR_FAILURE_LOST : PH_CONNECTOR_FAILURE_NO_PAIR);
  self->bye_due = false;
}

void
ph_connector_handle_signal (PhConnector *self, PhTime now, PhSlice body)
{
  PhReader r = ph_reader (body);
  PhSignalMessage message;

  ph_connector_advance (self, now);
  while (ph_signal_message_next (&r, &message) == PH_SIGNAL_OK) {
    switch (message.type) {
    case PH_SIGNAL_PARAMS:
      handle_params (self, &message);
      break;
    case PH_SIGNAL_CANDIDATES:
      handle_candidates (self, &message);
      break;
    case PH_SIGNAL_NAT:
      if (self->agent != NULL && message.generation == self->remote_generation)
        ph_connector_guess_handle_nat (self, &message);
      break;
    case PH_SIGNAL_BYE:
      if (self->agent != NULL && message.generation == self->remote_generation)
        handle_bye (self);
      break;
    }
  }
  ph_connector_settle (self);
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
  PhSignalMessage nat;

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
        .features = PH_SIGNAL_FEATURE_RENOMINATION | PH_SIGNAL_FEATURE_EARLY,
    };

    ph_signal_message_write (&w, &params);
    self->params_due = false;
  }
  if (ph_connector_guess_poll_nat (self, &nat))
    ph_signal_message_write (&w, &nat);
  if (self->candidates_due->len > 0 || self->end_due)
    write_candidates (self, &w);

  g_assert (ph_writer_ok (&w));
  return ph_writer_len (&w) > 0 ? g_bytes_new (body, ph_writer_len (&w)) : NULL;
}
