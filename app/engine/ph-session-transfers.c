/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/engine/ph-session-private.h"

PhOutgoing *
ph_session_find_outgoing (const PhSession *self, const PhTransferId *id)
{
  for (unsigned i = 0; i < self->outgoing->len; i++) {
    PhOutgoing *out = self->outgoing->pdata[i];

    if (out->state != PH_OUT_ENDED && ph_transfer_id_equal (&out->id, id))
      return out;
  }
  return NULL;
}

PhIncoming *
ph_session_find_incoming (const PhSession *self, const PhTransferId *id)
{
  for (unsigned i = 0; i < self->incoming->len; i++) {
    PhIncoming *in = self->incoming->pdata[i];

    if (in->state != PH_IN_ENDED && ph_transfer_id_equal (&in->id, id))
      return in;
  }
  return NULL;
}

unsigned
ph_session_transfers (const PhSession *self)
{
  return self->outgoing->len + self->incoming->len;
}

static void
add_outgoing (PhSession *self, PhTime now, const PhTransferId *id, PhManifest *manifest,
              bool restored, bool accepted, bool paused)
{
  g_assert (ph_session_find_outgoing (self, id) == NULL);

  PhOutgoing *out = ph_outgoing_new (self, id, manifest);

  /* Whatever the last run came to say: the peer may know of it. */
  out->offered_before = restored;
  out->accepted = accepted;
  out->paused_here = paused;
  ph_session_settle (self, now);
}

void
ph_session_offer (PhSession *self, PhTime now, const PhTransferId *id, PhManifest *manifest)
{
  add_outgoing (self, now, id, manifest, false, false, false);
}

void
ph_session_restore_outgoing (PhSession *self, PhTime now, const PhTransferId *id,
                             PhManifest *manifest, bool accepted, bool paused)
{
  add_outgoing (self, now, id, manifest, true, accepted, paused);
}

void
ph_session_restore_incoming (PhSession *self, PhTime now, const PhTransferId *id,
                             PhManifest *manifest, PhSink *sink, bool paused)
{
  g_assert (ph_session_find_incoming (self, id) == NULL);

  PhIncoming *in = ph_incoming_new (self, id);

  in->manifest = ph_manifest_ref (manifest);
  memcpy (in->digest, ph_manifest_digest (manifest), PH_SHA256_LEN);
  in->entries = ph_manifest_len (manifest);
  in->bytes_total = ph_manifest_bytes (manifest);
  in->paused_here = paused ? PH_PAUSE_PERSON : PH_PAUSE_NONE;
  in->sink = sink;
  ph_incoming_enter (self, now, in, PH_IN_RECEIVING, "restored");
  ph_session_settle (self, now);
}

bool
ph_session_accept (PhSession *self, PhTime now, const PhTransferId *id, PhSink *sink)
{
  PhIncoming *in = ph_session_find_incoming (self, id);

  if (in == NULL || in->state != PH_IN_OFFERED) {
    sink->klass->discard (sink);
    sink->klass->free (sink);
    return false;
  }
  in->sink = sink;
  ph_incoming_enter (self, now, in, PH_IN_RECEIVING, "accepted here");
  ph_incoming_new_attempt (self, now, in, ph_session_data_link (self));
  ph_session_settle (self, now);
  return true;
}

bool
ph_session_decline (PhSession *self, PhTime now, const PhTransferId *id, PhDeclineReason reason)
{
  PhIncoming *in = ph_session_find_incoming (self, id);

  if (in == NULL || in->state != PH_IN_OFFERED)
    return false;
  ph_incoming_decline (self, now, in, reason);
  ph_session_settle (self, now);
  return true;
}

bool
ph_session_cancel (PhSession *self, PhTime now, const PhTransferId *id)
{
  PhOutgoing *out = ph_session_find_outgoing (self, id);
  PhIncoming *in = ph_session_find_incoming (self, id);

  if (out != NULL) {
    ph_session_event (self, PH_SESSION_EVENT_CANCELLED, id, true);
    ph_session_send (self, now, ph_session_control_link (self),
                     &(PhFrame){.type = PH_FRAME_CANCEL, .id = *id, .from_sender = true});
    ph_outgoing_end (self, now, out, "cancelled here");
  } else if (in != NULL) {
    ph_session_event (self, PH_SESSION_EVENT_CANCELLED, id, false);
    ph_incoming_end_here (self, now, in, &(PhPastTransfer){.past = PH_PAST_CANCELLED},
                          "cancelled here");
  } else {
    return false;
  }
  ph_session_settle (self, now);
  return true;
}

void
ph_session_cancelled_all (PhSession *self, PhTime now)
{
  for (unsigned i = 0; i < self->outgoing->len; i++) {
    PhOutgoing *out = self->outgoing->pdata[i];

    if (out->state == PH_OUT_ENDED)
      continue;
    ph_session_event (self, PH_SESSION_EVENT_CANCELLED, &out->id, true)->by_peer = true;
    ph_outgoing_end (self, now, out, "the peer gave everything up");
  }
  for (unsigned i = 0; i < self->incoming->len; i++) {
    PhIncoming *in = self->incoming->pdata[i];

    if (in->state != PH_IN_ENDED)
      ph_incoming_cancelled (self, now, in, "the peer gave everything up");
  }
  ph_session_settle (self, now);
}

static bool
set_paused (PhSession *self, PhTime now, const PhTransferId *id, bool paused)
{
  PhOutgoing *out = ph_session_find_outgoing (self, id);
  PhIncoming *in = ph_session_find_incoming (self, id);
  const PhPause pause = paused ? PH_PAUSE_PERSON : PH_PAUSE_NONE;
  PhFrame frame = {.type = PH_FRAME_PAUSE, .id = *id, .from_sender = out != NULL, .pause = pause};

  if (out != NULL && out->paused_here != paused)
    out->paused_here = paused;
  else if (out == NULL && in != NULL && in->sink != NULL && in->paused_here != pause)
    in->paused_here = pause;
  else
    return false;
  ph_session_send (self, now, ph_session_control_link (self), &frame);
  ph_session_settle (self, now);
  return true;
}

bool
ph_session_pause (PhSession *self, PhTime now, const PhTransferId *id)
{
  return set_paused (self, now, id, true);
}

bool
ph_session_resume (PhSession *self, PhTime now, const PhTransferId *id)
{
  return set_paused (self, now, id, false);
}

bool
ph_session_unstall (PhSession *self, PhTime now, const PhTransferId *id, PhSink *sink)
{
  PhIncoming *in = ph_session_find_incoming (self, id);

  if (in == NULL || !ph_incoming_is_stalled (in)) {
    sink->klass->free (sink);
    return false;
  }
  in->sink = sink;
  in->paused_here = PH_PAUSE_NONE;
  ph_incoming_new_attempt (self, now, in, ph_session_data_link (self));
  ph_session_settle (self, now);
  return true;
}

void
ph_session_storage_ready (PhSession *self, PhTime now)
{
  for (unsigned i = 0; i < self->outgoing->len; i++)
    ((PhOutgoing *)self->outgoing->pdata[i])->source_dry = false;
  for (unsigned i = 0; i < self->incoming->len; i++)
    ph_incoming_poll_sink (self, now, self->incoming->pdata[i]);
  ph_session_settle (self, now);
}

bool
ph_session_knows (const PhSession *self, const PhTransferId *id)
{
  const PhIncoming *in = ph_session_find_incoming (self, id);

  return in != NULL && in->state != PH_IN_ENDED;
}

void
ph_session_set_pacer (PhSession *self, PhPacer *pacer)
{
  if (self->pacer != NULL)
    ph_pacer_leave (self->pacer, self);
  self->pacer = pacer;
}

void
ph_session_set_limit_down (PhSession *self, PhTime now, uint64_t bytes_per_sec)
{
  if (bytes_per_sec == self->limit_down)
    return;
  self->limit_down = bytes_per_sec;
  ph_session_send (self, now, ph_session_control_link (self),
                   &(PhFrame){.type = PH_FRAME_LIMIT, .limit = bytes_per_sec});
}

bool
ph_session_receives (const PhSession *self)
{
  for (unsigned i = 0; i < self->incoming->len; i++) {
    const PhIncoming *in = self->incoming->pdata[i];

    if (in->state == PH_IN_RECEIVING && !in->paused_here && !in->paused_there)
      return true;
  }
  return false;
}
