/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/engine/ph-session-private.h"

#define EDGE(state) (1u << (state))

static const unsigned edges[PH_OUT_STATES] = {
    [PH_OUT_WAITING] = EDGE (PH_OUT_OFFERED) | EDGE (PH_OUT_ENDED),
    [PH_OUT_OFFERED] = EDGE (PH_OUT_WAITING) | EDGE (PH_OUT_SENDING) | EDGE (PH_OUT_ENDED),
    [PH_OUT_SENDING] =
        EDGE (PH_OUT_WAITING) | EDGE (PH_OUT_SENDING) | EDGE (PH_OUT_SENT) | EDGE (PH_OUT_ENDED),
    [PH_OUT_SENT] = EDGE (PH_OUT_WAITING) | EDGE (PH_OUT_SENDING) | EDGE (PH_OUT_ENDED),
    [PH_OUT_ENDED] = 0,
};

static const char *const names[PH_OUT_STATES] = {"waiting", "offered", "sending", "sent", "ended"};

void
ph_outgoing_enter (PhSession *self, PhTime now, PhOutgoing *out, PhOutState next, const char *why)
{
  g_assert (edges[out->state] & EDGE (next));
  ph_session_trace (self, now, "send %02x%02x: %s -> %s: %s", out->id.bytes[0], out->id.bytes[1],
                    names[out->state], names[next], why);
  out->state = next;
}

PhOutgoing *
ph_outgoing_new (PhSession *self, const PhTransferId *id, PhManifest *manifest)
{
  PhOutgoing *out = g_new0 (PhOutgoing, 1);
  g_autoptr (GBytes) encoded = ph_manifest_encode (manifest);

  out->id = *id;
  out->manifest = ph_manifest_ref (manifest);
  out->manifest_size = g_bytes_get_size (encoded);
  out->stream = -1;
  out->manifest_stream = -1;
  g_ptr_array_add (self->outgoing, out);
  return out;
}

void
ph_outgoing_free (PhOutgoing *out)
{
  if (out->source != NULL)
    out->source->klass->free (out->source);
  g_clear_pointer (&out->gather, ph_buf_unref);
  ph_buf_slice_clear (&out->held.data);
  g_clear_pointer (&out->manifest_bytes, g_bytes_unref);
  ph_manifest_unref (out->manifest);
  g_free (out);
}

/* --- Offering ----------------------------------------------------------------------------------- */

void
ph_outgoing_offer (PhSession *self, PhTime now, PhOutgoing *out, PhPeerLink *on)
{
  g_autoptr (GBytes) encoded = NULL;
  PhFrame frame = {.type = PH_FRAME_OFFER, .id = out->id};
  PhFrameOffer *offer = &frame.offer;

  /* Given at the first offer: a SYNC then speaks of what was offered before it, and of nothing else. */
  if (!out->offered_before || out->serial == 0)
    out->serial = ++self->serial_last;
  g_assert (out->serial <= PH_FRAME_COUNTER_MAX);
  /* Whoever knows of it from before may stand elsewhere than at its beginning. */
  offer->early = !out->offered_before && ph_outgoing_begin_early (self, now, out, on);
  out->offered_before = true;

  offer->paused = out->paused_here;
  offer->lost = out->state < PH_OUT_SENDING || out->lost;
  offer->attempt = out->attempt;
  offer->serial = out->serial;
  offer->entries = ph_manifest_len (out->manifest);
  offer->bytes = ph_manifest_bytes (out->manifest);
  offer->manifest_size = out->manifest_size;
  memcpy (offer->manifest_digest, ph_manifest_digest (out->manifest), PH_SHA256_LEN);
  if (!out->accepted && out->manifest_size <= PH_FRAME_MANIFEST_MAX) {
    gsize len;

    encoded = ph_manifest_encode (out->manifest);
    offer->manifest.data = g_bytes_get_data (encoded, &len);
    offer->manifest.len = len;
  }
  ph_session_send (self, now, on, &frame);
  if (out->state == PH_OUT_WAITING)
    ph_outgoing_enter (self, now, out, PH_OUT_OFFERED, "there is a link");
}

void
ph_outgoing_offer_waiting (PhSession *self, PhTime now)
{
  PhPeerLink *on = ph_session_control_link (self);
  unsigned under_way = 0;

  if (on == NULL)
    return;
  for (unsigned i = 0; i < self->outgoing->len; i++) {
    const PhOutgoing *out = self->outgoing->pdata[i];

    if (out->state != PH_OUT_WAITING && out->state != PH_OUT_ENDED)
      under_way++;
  }
  for (unsigned i = 0; i < self->outgoing->len && under_way < PH_SESSION_TRANSFERS_MAX; i++) {
    PhOutgoing *out = self->outgoing->pdata[i];

    if (out->state == PH_OUT_WAITING && out->not_before <= now) {
      ph_outgoing_offer (self, now, out, on);
      under_way++;
    }
  }
}

/* --- Answers ------------------------------------------------------------------------------------ */

/* Whether a receiver of `manifest` could stand there. */
static bool
point_is_possible (const PhManifest *manifest, const PhResumePoint *point)
{
  const uint32_t len = ph_manifest_len (manifest);

  if (point->offset == 0)
    return point->file <= len;
  if (point->file >= len)
    return false;

  const PhEntry *entry = ph_manifest_entry (manifest, point->file);

  return entry->kind == PH_ENTRY_FILE && point->offset <= entry->size;
}

static uint64_t
bytes_before (const PhManifest *manifest, const PhResumePoint *point)
{
  uint64_t bytes = point->offset;

  for (uint32_t i = 0; i < point->file; i++)
    bytes += ph_manifest_entry (manifest, i)->size;
  return bytes;
}

/* Whether no byte of any file comes before `point`. */
static bool
point_is_start (const PhManifest *manifest, const PhResumePoint *point)
{
  for (uint32_t i = 0; i < point->file; i++) {
    if (ph_manifest_entry (manifest, i)->kind == PH_ENTRY_FILE)
      return false;
  }
  return point->offset == 0;
}

/* False: the transfer has failed. */
static bool
ready_source (PhSession *self, PhTime now, PhOutgoing *out, const PhResumePoint *point)
{
  const bool fresh = out->source == NULL;

  if (fresh) {
    PhStorageError error = PH_STORAGE_IO;

    out->source = self->hooks.open_source (self->hooks.user, &out->id, &error);
    if (out->source == NULL) {
      ph_outgoing_fail (self, now, out,
                        &(PhFrameFailed){PH_FAILURE_STORAGE, (uint8_t)error, UINT32_MAX}, "");
      return false;
    }
  }
  if (!fresh || !point_is_start (out->manifest, point))
    out->source->klass->seek (out->source, point);
  return true;
}

void
ph_outgoing_handle_accept (PhSession *self, PhTime now, PhOutgoing *out, PhPeerLink *on,
                           const PhFrameAccept *accept)
{
  if (out->state == PH_OUT_WAITING || accept->attempt <= out->attempt)
    return; /* an answer to what was said on a link that is lost, or one that came twice */
  if (!point_is_possible (out->manifest, &accept->point)
      || (accept->early && !point_is_start (out->manifest, &accept->point))) {
    ph_session_link_fail (self, now, on, PH_SESSION_CODE_UNEXPECTED, "impossible resume point");
    return;
  }
  if (++out->asked > PH_SESSION_ATTEMPTS_MAX) {
    ph_session_link_fail (self, now, on, PH_SESSION_CODE_LIMIT, "too many accepts");
    return;
  }

  const bool early = accept->early && out->early;
  const bool ended = early && out->early_ended;

  ph_outgoing_stop_manifest (out);
  if (early)
    out->early = false; /* it is the attempt's first segment from now on */
  else
    ph_outgoing_reset_data (out, PH_SESSION_CODE_STALE);
  out->attempt = accept->attempt;
  /* What the receiver has taken is gone here, with its link: it notices, and says ACCEPT again. */
  out->lost = accept->early && !early;
  out->source_dry = false;
  if (!early)
    out->segment = 0;
  if (!out->accepted)
    ph_session_event (self, PH_SESSION_EVENT_ACCEPTED, &out->id, true);
  out->accepted = true;
  ph_session_note_pause (self, &out->id, true, &out->paused_there,
                         accept->paused ? PH_PAUSE_PERSON : PH_PAUSE_NONE);
  if (accept->restarted)
    ph_session_event (self, PH_SESSION_EVENT_FILE_RESTARTED, &out->id, true)->file =
        accept->point.file;
  out->bytes_written = bytes_before (out->manifest, &accept->point);
  out->bytes_durable = MIN (out->bytes_durable, out->bytes_written);
  ph_session_event_resumed (self, &out->id, true, out->bytes_written, out->bytes_durable,
                            ph_manifest_bytes (out->manifest));
  if (!early && !ready_source (self, now, out, &accept->point))
    return;
  ph_outgoing_enter (self, now, out, PH_OUT_SENDING, "accepted");
  if (ended)
    ph_outgoing_enter (self, now, out, PH_OUT_SENT, "all bytes were sent early");
}

void
ph_outgoing_handle_decline (PhSession *self, PhTime now, PhOutgoing *out, PhDeclineReason reason)
{
  if (reason == PH_DECLINE_BUSY) {
    if (out->state != PH_OUT_OFFERED)
      return;
    ph_outgoing_reset_data (out, PH_SESSION_CODE_GONE);
    out->offered_before = false;
    out->not_before = ph_time_add (now, PH_SESSION_BUSY_INTERVAL);
    ph_outgoing_enter (self, now, out, PH_OUT_WAITING, "the receiver is busy");
    return;
  }
  ph_session_event (self, PH_SESSION_EVENT_DECLINED, &out->id, true)->decline = reason;
  ph_outgoing_end (self, now, out, "declined");
}

void
ph_outgoing_handle_want (PhSession *self, PhTime now, PhOutgoing *out, PhPeerLink *on)
{
  if (out->manifest_on == on)
    return;
  if (++out->asked > PH_SESSION_ATTEMPTS_MAX) {
    ph_session_link_fail (self, now, on, PH_SESSION_CODE_LIMIT, "too many questions");
    return;
  }
  ph_outgoing_stop_manifest (out);
  out->manifest_bytes = ph_manifest_encode (out->manifest);
  out->manifest_on = on;
}

void
ph_outgoing_handle_receipt (PhSession *self, PhTime now, PhOutgoing *out, PhPeerLink *on,
                            const uint8_t digest[PH_SHA256_LEN])
{
  if (memcmp (digest, ph_manifest_digest (out->manifest), PH_SHA256_LEN) != 0) {
    ph_session_link_fail (self, now, on, PH_SESSION_CODE_UNEXPECTED, "receipt for something else");
    return;
  }
  out->bytes_written = out->bytes_durable = ph_manifest_bytes (out->manifest);
  ph_session_event_progress (self, &out->id, true, out->bytes_written, out->bytes_durable,
                             out->bytes_written);
  ph_session_event (self, PH_SESSION_EVENT_DELIVERED, &out->id, true);
  ph_outgoing_end (self, now, out, "receipt");
}

void
ph_outgoing_handle_progress (PhSession *self, PhTime now, PhOutgoing *out,
                             const PhFrameProgress *progress)
{
  const uint64_t total = ph_manifest_bytes (out->manifest);

  if (progress->attempt != out->attempt
      || (out->state != PH_OUT_SENDING && out->state != PH_OUT_SENT))
    return;
  if (!out->started)
    ph_session_event (self, PH_SESSION_EVENT_STARTED, &out->id, true);
  out->started = true;
  out->bytes_written = MIN (progress->bytes_written, total);
  out->bytes_durable = MIN (progress->bytes_durable, out->bytes_written);
  ph_session_event_progress (self, &out->id, true, out->bytes_written, out->bytes_durable, total);
}

/* --- Losses and ends ---------------------------------------------------------------------------- */

static bool
drains_on (const PhOutgoing *out, const PhPeerLink *on)
{
  for (unsigned i = 0; i < on->draining->len; i++) {
    if (ph_transfer_id_equal (&g_array_index (on->draining, PhDraining, i).id, &out->id))
      return true;
  }
  return false;
}

void
ph_outgoing_link_lost (PhSession *self, PhTime now, PhOutgoing *out, PhPeerLink *on)
{
  const bool any_left = ph_session_control_link (self) != NULL;
  const bool lost = out->on == on || drains_on (out, on);

  if (out->manifest_on == on)
    ph_outgoing_stop_manifest (out);
  if (out->state == PH_OUT_ENDED || out->state == PH_OUT_WAITING || (any_left && !lost))
    return;

  ph_outgoing_reset_data (out, PH_SESSION_CODE_STALE);
  out->lost = true;
  ph_outgoing_enter (self, now, out, PH_OUT_WAITING, "link lost");
  if (!any_left)
    ph_session_event (self, PH_SESSION_EVENT_WAITING, &out->id, true);
}

void
ph_outgoing_end (PhSession *self, PhTime now, PhOutgoing *out, const char *why)
{
  ph_outgoing_stop_manifest (out);
  ph_outgoing_reset_data (out, PH_SESSION_CODE_GONE);
  if (out->source != NULL)
    out->source->klass->free (out->source);
  out->source = NULL;
  ph_outgoing_enter (self, now, out, PH_OUT_ENDED, why);
}

void
ph_outgoing_fail (PhSession *self, PhTime now, PhOutgoing *out, const PhFrameFailed *failed,
                  const char *message)
{
  const bool by_peer = message == NULL;
  PhSessionEvent *event = ph_session_event (self, PH_SESSION_EVENT_FAILED, &out->id, true);

  event->by_peer = by_peer;
  event->failure = failed->code <= PH_FAILURE_LAST ? (PhFailure)failed->code : PH_FAILURE_OTHER;
  event->storage =
      failed->storage <= PH_STORAGE_IO ? (PhStorageError)failed->storage : PH_STORAGE_IO;
  event->file = failed->file < ph_manifest_len (out->manifest) ? failed->file : UINT32_MAX;
  if (!by_peer) {
    g_strlcpy (event->message, message, sizeof event->message);
    ph_session_send (
        self, now, ph_session_control_link (self),
        &(PhFrame){.type = PH_FRAME_FAILED, .id = out->id, .from_sender = true, .failed = *failed});
  }
  ph_outgoing_end (self, now, out, by_peer ? "the receiver failed" : "failed here");
}
