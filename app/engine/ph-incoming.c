/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/engine/ph-session-private.h"

#define EDGE(state) (1u << (state))

static const unsigned edges[PH_IN_STATES] = {
    [PH_IN_MANIFEST] = EDGE (PH_IN_OFFERED) | EDGE (PH_IN_RECEIVING) | EDGE (PH_IN_ENDED),
    [PH_IN_OFFERED] = EDGE (PH_IN_RECEIVING) | EDGE (PH_IN_ENDED),
    [PH_IN_RECEIVING] = EDGE (PH_IN_FINISHING) | EDGE (PH_IN_ENDED),
    [PH_IN_FINISHING] = EDGE (PH_IN_RECEIVING) | EDGE (PH_IN_ENDED),
    [PH_IN_ENDED] = 0,
};

static const char *const names[PH_IN_STATES] = {"manifest", "offered", "receiving", "finishing",
                                                "ended"};

void
ph_incoming_enter (PhSession *self, PhTime now, PhIncoming *in, PhInState next, const char *why)
{
  g_assert (edges[in->state] & EDGE (next));
  ph_session_trace (self, now, "receive %02x%02x: %s -> %s: %s", in->id.bytes[0], in->id.bytes[1],
                    names[in->state], names[next], why);
  in->state = next;
}

PhIncoming *
ph_incoming_new (PhSession *self, const PhTransferId *id)
{
  PhIncoming *in = g_new0 (PhIncoming, 1);

  in->id = *id;
  in->seen_on = g_ptr_array_new ();
  in->segments = g_ptr_array_new ();
  in->restart_file = UINT32_MAX;
  g_queue_init (&in->credits);
  g_ptr_array_add (self->incoming, in);
  return in;
}

void
ph_incoming_free (PhIncoming *in)
{
  if (in->sink != NULL)
    in->sink->klass->free (in->sink);
  if (in->manifest != NULL)
    ph_manifest_unref (in->manifest);
  g_queue_clear_full (&in->credits, g_free);
  g_ptr_array_unref (in->seen_on);
  g_ptr_array_unref (in->segments);
  g_free (in);
}

/* --- Offers that are over ----------------------------------------------------------------------- */

static void
remember (PhSession *self, const PhTransferId *id, const PhPastTransfer *past)
{
  PhPastTransfer *slot = &self->past[self->past_next];

  *slot = *past;
  slot->id = *id;
  self->past_next = (self->past_next + 1) % PH_SESSION_PAST_MAX;
}

static PhPastTransfer
recall (PhSession *self, const PhTransferId *id)
{
  PhPastTransfer past = {.id = *id, .failed = {PH_FAILURE_OTHER, PH_STORAGE_OK, UINT32_MAX}};

  for (unsigned i = 0; i < PH_SESSION_PAST_MAX; i++) {
    if (self->past[i].past != PH_PAST_UNKNOWN && ph_transfer_id_equal (&self->past[i].id, id))
      return self->past[i];
  }
  past.past = self->hooks.recall (self->hooks.user, id, past.digest);
  past.decline = PH_DECLINE_PERSON;
  return past;
}

static void
say_decline (PhSession *self, PhTime now, PhPeerLink *on, const PhTransferId *id,
             PhDeclineReason reason)
{
  ph_session_send (self, now, on,
                   &(PhFrame){.type = PH_FRAME_DECLINE, .id = *id, .decline = (uint8_t)reason});
}

/* How the transfer ended. A sender that has heard of it before does nothing. */
static void
say_past (PhSession *self, PhTime now, PhPeerLink *on, const PhPastTransfer *past)
{
  PhFrame frame = {.id = past->id};

  switch (past->past) {
  case PH_PAST_UNKNOWN:
    return;
  case PH_PAST_RECEIVED:
    frame.type = PH_FRAME_RECEIPT;
    memcpy (frame.receipt_digest, past->digest, PH_SHA256_LEN);
    break;
  case PH_PAST_DECLINED:
    say_decline (self, now, on, &past->id, past->decline);
    return;
  case PH_PAST_CANCELLED:
    frame.type = PH_FRAME_CANCEL;
    break;
  case PH_PAST_FAILED:
    frame.type = PH_FRAME_FAILED;
    frame.failed = past->failed;
    break;
  }
  ph_session_send (self, now, on, &frame);
}

/* Says again what was said when the transfer ended. False: it is new. */
static bool
answer_from_past (PhSession *self, PhTime now, PhPeerLink *on, const PhFrame *frame)
{
  const PhPastTransfer past = recall (self, &frame->id);

  if (past.past == PH_PAST_UNKNOWN)
    return false;
  if (past.past == PH_PAST_RECEIVED
      && memcmp (past.digest, frame->offer.manifest_digest, PH_SHA256_LEN) != 0)
    say_decline (self, now, on, &frame->id, PH_DECLINE_MALFORMED);
  else
    say_past (self, now, on, &past);
  return true;
}

void
ph_incoming_say_again (PhSession *self, PhTime now, const PhPeerLink *lost, PhPeerLink *other)
{
  for (unsigned i = 0; i < PH_SESSION_PAST_MAX; i++) {
    PhPastTransfer *past = &self->past[i];

    if (past->said_on != lost)
      continue;
    past->said_on = other;
    say_past (self, now, other, past);
  }
}

/* --- New offers --------------------------------------------------------------------------------- */

/* One offer costs PH_SESSION_OFFER_INTERVAL of time, and a burst may be paid late. */
static bool
offer_allowed (PhSession *self, PhTime now)
{
  const PhTime burst = PH_SESSION_OFFERS_BURST * PH_SESSION_OFFER_INTERVAL;
  const PhTime paid = ph_time_add (MAX (self->offers_paid, now), PH_SESSION_OFFER_INTERVAL);

  if (paid > ph_time_add (now, burst))
    return false;
  self->offers_paid = paid;
  return true;
}

static bool
has_room (const PhSession *self, const PhFrameOffer *offer)
{
  unsigned count = 0;

  for (unsigned i = 0; i < self->incoming->len; i++)
    count += ((PhIncoming *)self->incoming->pdata[i])->state != PH_IN_ENDED;
  return count < PH_SESSION_TRANSFERS_MAX
         && self->incoming_manifest_bytes + offer->manifest_size <= PH_SESSION_MANIFESTS_BYTES_MAX;
}

static void
want_manifest (PhSession *self, PhTime now, PhIncoming *in, PhPeerLink *on)
{
  in->manifest_on = on;
  ph_session_send (self, now, on, &(PhFrame){.type = PH_FRAME_WANT, .id = in->id});
}

static void
handle_new_offer (PhSession *self, PhTime now, PhPeerLink *on, const PhFrame *frame)
{
  const PhFrameOffer *offer = &frame->offer;

  if (ph_session_find_outgoing (self, &frame->id) != NULL) {
    say_decline (self, now, on, &frame->id, PH_DECLINE_MALFORMED);
    return;
  }
  if (!offer_allowed (self, now)) {
    say_decline (self, now, on, &frame->id, PH_DECLINE_BUSY);
    return;
  }
  if (answer_from_past (self, now, on, frame))
    return;
  if (!has_room (self, offer)) {
    say_decline (self, now, on, &frame->id, PH_DECLINE_BUSY);
    return;
  }

  PhIncoming *in = ph_incoming_new (self, &frame->id);

  memcpy (in->digest, offer->manifest_digest, PH_SHA256_LEN);
  in->manifest_size = offer->manifest_size;
  in->entries = offer->entries;
  in->bytes_total = offer->bytes;
  in->serial = offer->serial;
  ph_incoming_note_pause (self, in, offer->paused ? PH_PAUSE_PERSON : PH_PAUSE_NONE);
  in->early_on = offer->early ? on : NULL;
  g_ptr_array_add (in->seen_on, on);
  self->incoming_manifest_bytes += in->manifest_size;
  if (offer->manifest.len > 0)
    ph_incoming_take_manifest (self, now, in, offer->manifest);
  else
    want_manifest (self, now, in, on);
}

void
ph_incoming_note_pause (PhSession *self, PhIncoming *in, PhPause paused)
{
  if (in->state == PH_IN_MANIFEST) /* the owner does not know of the transfer */
    in->paused_there = paused;
  else
    ph_session_note_pause (self, &in->id, false, &in->paused_there, paused);
}

void
ph_incoming_take_manifest (PhSession *self, PhTime now, PhIncoming *in, PhSlice bytes)
{
  g_autoptr (PhManifest) manifest = ph_manifest_decode (bytes);

  if (manifest == NULL || memcmp (ph_manifest_digest (manifest), in->digest, PH_SHA256_LEN) != 0
      || ph_manifest_len (manifest) != in->entries
      || ph_manifest_bytes (manifest) != in->bytes_total) {
    ph_incoming_decline (self, now, in, PH_DECLINE_MALFORMED);
    return;
  }
  in->manifest = g_steal_pointer (&manifest);
  ph_incoming_enter (self, now, in, PH_IN_OFFERED, "manifest complete");
  ph_session_event (self, PH_SESSION_EVENT_OFFER, &in->id, false)->manifest =
      ph_manifest_ref (in->manifest);
}

/* --- Offers that are known ---------------------------------------------------------------------- */

/* The sender stands at offer->attempt, `lost` or not: is that where we stand? */
static void
agree_on_attempt (PhSession *self, PhTime now, PhPeerLink *on, PhIncoming *in,
                  const PhFrameOffer *offer)
{
  const bool unknown_there = offer->attempt < in->attempt;
  const bool lost_there = offer->attempt == in->attempt && offer->lost;

  if (offer->attempt > in->attempt) {
    in->attempt = offer->attempt; /* this side has restarted */
    in->broken = true;
  }
  if (in->attempt == 0 || in->broken || lost_there || (unknown_there && in->attempt_used))
    ph_incoming_new_attempt (self, now, in, on);
  else if (unknown_there && in->accept_on != on)
    ph_incoming_say_accept (self, now, in, on);
}

/* There is nowhere to write to: the sender is told instead of where to go on. */
static void
stay_stalled (PhSession *self, PhTime now, PhIncoming *in, PhPeerLink *on,
              const PhFrameOffer *offer)
{
  in->attempt = MAX (in->attempt, offer->attempt);
  ph_incoming_say_pause (self, now, in, on);
}

void
ph_incoming_handle_offer (PhSession *self, PhTime now, PhPeerLink *on, const PhFrame *frame)
{
  PhIncoming *in = ph_session_find_incoming (self, &frame->id);
  const PhFrameOffer *offer = &frame->offer;
  const PhPause paused = offer->paused ? PH_PAUSE_PERSON : PH_PAUSE_NONE;

  if (in == NULL) {
    handle_new_offer (self, now, on, frame);
    return;
  }
  if (memcmp (in->digest, offer->manifest_digest, PH_SHA256_LEN) != 0) {
    ph_session_link_fail (self, now, on, PH_SESSION_CODE_UNEXPECTED, "an offer that changed");
    return;
  }
  in->serial = offer->serial;
  if (!g_ptr_array_find (in->seen_on, on, NULL))
    g_ptr_array_add (in->seen_on, on);
  ph_incoming_note_pause (self, in, paused);
  if (in->state == PH_IN_MANIFEST && in->manifest_on == NULL)
    want_manifest (self, now, in, on);
  else if (ph_incoming_is_stalled (in))
    stay_stalled (self, now, in, on, offer);
  else if (in->state == PH_IN_RECEIVING)
    agree_on_attempt (self, now, on, in, offer);
}

void
ph_incoming_handle_sync (PhSession *self, PhTime now, PhPeerLink *on, uint64_t serial)
{
  for (unsigned i = 0; i < self->incoming->len; i++) {
    PhIncoming *in = self->incoming->pdata[i];

    if (in->state == PH_IN_ENDED || g_ptr_array_remove_fast (in->seen_on, on))
      continue;
    if (in->serial <= serial)
      ph_incoming_cancelled (self, now, in, "the sender does not know it any more");
  }
  ph_session_event (self, PH_SESSION_EVENT_SYNCED, NULL, false);
}

/* --- Ends --------------------------------------------------------------------------------------- */

void
ph_incoming_end (PhSession *self, PhTime now, PhIncoming *in, const PhPastTransfer *past,
                 const char *why)
{
  ph_incoming_drop_attempt (self, in, PH_SESSION_CODE_GONE);
  if (in->manifest_stream != NULL)
    ph_session_drop_stream (self, in->manifest_stream, PH_SESSION_CODE_GONE);
  if (in->sink != NULL) {
    if (past->past != PH_PAST_RECEIVED)
      in->sink->klass->discard (in->sink);
    in->sink->klass->free (in->sink);
    in->sink = NULL;
  }
  self->incoming_manifest_bytes -= in->manifest_size;
  remember (self, &in->id, past);
  in->progress_dirty = false;
  ph_incoming_enter (self, now, in, PH_IN_ENDED, why);
}

void
ph_incoming_end_here (PhSession *self, PhTime now, PhIncoming *in, const PhPastTransfer *past,
                      const char *why)
{
  PhPastTransfer said = *past;

  said.id = in->id;
  said.said_on = ph_session_control_link (self);
  say_past (self, now, said.said_on, &said);
  ph_incoming_end (self, now, in, &said, why);
}

void
ph_incoming_decline (PhSession *self, PhTime now, PhIncoming *in, PhDeclineReason reason)
{
  ph_incoming_end_here (self, now, in,
                        &(PhPastTransfer){.past = PH_PAST_DECLINED, .decline = reason},
                        "declined here");
}

void
ph_incoming_cancelled (PhSession *self, PhTime now, PhIncoming *in, const char *why)
{
  if (in->state != PH_IN_MANIFEST)
    ph_session_event (self, PH_SESSION_EVENT_CANCELLED, &in->id, false)->by_peer = true;
  ph_incoming_end (self, now, in, &(PhPastTransfer){.past = PH_PAST_CANCELLED}, why);
}

void
ph_incoming_fail (PhSession *self, PhTime now, PhIncoming *in, const PhFrameFailed *failed,
                  const char *message)
{
  const bool by_peer = message == NULL;
  const PhPastTransfer past = {.past = PH_PAST_FAILED, .failed = *failed};

  if (in->state != PH_IN_MANIFEST) {
    PhSessionEvent *event = ph_session_event (self, PH_SESSION_EVENT_FAILED, &in->id, false);

    event->by_peer = by_peer;
    event->failure = failed->code <= PH_FAILURE_LAST ? (PhFailure)failed->code : PH_FAILURE_OTHER;
    event->storage =
        failed->storage <= PH_STORAGE_IO ? (PhStorageError)failed->storage : PH_STORAGE_IO;
    event->file = failed->file < in->entries ? failed->file : UINT32_MAX;
    if (!by_peer)
      g_strlcpy (event->message, message, sizeof event->message);
  }
  if (by_peer)
    ph_incoming_end (self, now, in, &past, "the sender failed");
  else
    ph_incoming_end_here (self, now, in, &past, "failed here");
}

void
ph_incoming_violation (PhSession *self, PhTime now, PhIncoming *in, PhPeerLink *on,
                       PhSessionCode code, const char *reason)
{
  ph_incoming_fail (self, now, in, &(PhFrameFailed){PH_FAILURE_PROTOCOL, PH_STORAGE_OK, UINT32_MAX},
                    "");
  ph_session_link_fail (self, now, on, code, reason);
}

void
ph_incoming_link_lost (PhSession *self, PhTime now, PhIncoming *in, PhPeerLink *on)
{
  PhPeerLink *other = ph_session_data_link (self);

  g_ptr_array_remove_fast (in->seen_on, on);
  if (in->manifest_on == on) {
    in->manifest_on = NULL;
    if (in->state == PH_IN_MANIFEST && other != NULL)
      want_manifest (self, now, in, other);
  }
  for (GList *l = in->credits.head; l != NULL; l = l->next) {
    PhCredit *credit = l->data;

    if (credit->on == on)
      credit->on = NULL;
  }
  if (in->early_on == on) {
    in->early_on = NULL;
    in->broken |= in->early_taken && !in->attempt_used;
  }
  if (in->accept_on == on) {
    in->accept_on = NULL;
    /* An ACCEPT that nothing has answered may be lost. */
    if (!in->attempt_used)
      in->broken = true;
  }
  if (in->state != PH_IN_RECEIVING && in->state != PH_IN_FINISHING)
    return;
  if (other == NULL)
    ph_session_event (self, PH_SESSION_EVENT_WAITING, &in->id, false);
  else if (in->state == PH_IN_RECEIVING && in->broken && !ph_incoming_is_stalled (in))
    ph_incoming_new_attempt (self, now, in, other);
}

/* --- The sink ----------------------------------------------------------------------------------- */

static void
handle_finished (PhSession *self, PhTime now, PhIncoming *in)
{
  PhPastTransfer past = {.past = PH_PAST_RECEIVED};

  memcpy (past.digest, in->digest, PH_SHA256_LEN);
  ph_session_event_progress (self, &in->id, false, in->bytes_total, in->bytes_total,
                             in->bytes_total);
  ph_session_event (self, PH_SESSION_EVENT_RECEIVED, &in->id, false);
  ph_incoming_end_here (self, now, in, &past, "finished");
}

/* False: the file failed once too often. */
static bool
note_restart (PhSession *self, PhTime now, PhIncoming *in, uint32_t file)
{
  if (file != in->restart_file)
    in->restarts = 0;
  in->restart_file = file;
  if (++in->restarts > PH_SESSION_FILE_RESTARTS_MAX) {
    ph_incoming_fail (self, now, in,
                      &(PhFrameFailed){PH_FAILURE_STORAGE, PH_STORAGE_MISMATCH, file}, "");
    return false;
  }
  in->restarted = true;
  in->broken = true;
  ph_session_event (self, PH_SESSION_EVENT_FILE_RESTARTED, &in->id, false)->file = file;
  return true;
}

/* Bytes written, and of these durable: a sink may be ahead with its checkpoint of what it has told. */
static void
measure (const PhIncoming *in, uint64_t *ret_written, uint64_t *ret_durable)
{
  *ret_written = ph_incoming_bytes_given (in) - in->in_sink;
  *ret_durable = MIN (in->bytes_durable, *ret_written);
}

static void
tell_progress (PhSession *self, const PhIncoming *in)
{
  uint64_t written, durable;

  measure (in, &written, &durable);
  ph_session_event_progress (self, &in->id, false, written, durable, in->bytes_total);
}

static void
handle_written (PhSession *self, PhTime now, PhIncoming *in, uint64_t bytes)
{
  ph_incoming_credit (in, bytes);
  in->progress_dirty = true;
  if (in->first_write_due)
    in->progress_due = now;
  in->first_write_due = false;
  if (!in->started)
    ph_session_event (self, PH_SESSION_EVENT_STARTED, &in->id, false);
  in->started = true;
}

bool
ph_incoming_is_stalled (const PhIncoming *in)
{
  return in->paused_here > PH_PAUSE_PERSON;
}

void
ph_incoming_say_pause (PhSession *self, PhTime now, const PhIncoming *in, PhPeerLink *on)
{
  ph_session_send (self, now, on,
                   &(PhFrame){.type = PH_FRAME_PAUSE, .id = in->id, .pause = in->paused_here});
}

/* The sender hears that there is no room, or that nothing can be written; the disk and the profile are
 * nothing to it. */
static PhPause
pause_for (PhStorageError error)
{
  return error == PH_STORAGE_NO_SPACE || error == PH_STORAGE_PROFILE_FULL ? PH_PAUSE_NO_SPACE
                                                                          : PH_PAUSE_UNWRITABLE;
}

/* A person can make room, or bring the folder back. What is durable stays until then. */
static void
stall (PhSession *self, PhTime now, PhIncoming *in, const PhSinkEvent *why)
{
  PhSessionEvent *event = ph_session_event (self, PH_SESSION_EVENT_STALLED, &in->id, false);

  event->storage = why->error;
  event->file = why->point.file;
  g_strlcpy (event->message, why->message, sizeof event->message);
  if (in->state == PH_IN_FINISHING)
    ph_incoming_enter (self, now, in, PH_IN_RECEIVING, "stalled");
  ph_session_trace (self, now, "receive %02x%02x: stalled: %s", in->id.bytes[0], in->id.bytes[1],
                    why->message);
  ph_incoming_drop_attempt (self, in, PH_SESSION_CODE_STALE);
  in->sink->klass->free (in->sink);
  in->sink = NULL;
  in->paused_here = pause_for (why->error);
  in->attempt++; /* what still comes of the last one is stale */
  in->attempt_used = false;
  in->broken = true;
  in->progress_dirty = false;
  ph_incoming_say_pause (self, now, in, ph_session_control_link (self));
}

void
ph_incoming_drain_sink (PhSession *self, PhTime now, PhIncoming *in)
{
  PhSinkEvent event;

  while (in->sink != NULL && in->sink->klass->poll_event (in->sink, &event)) {
    switch (event.type) {
    case PH_SINK_WRITTEN:
      handle_written (self, now, in, event.bytes);
      break;
    case PH_SINK_DURABLE:
      in->bytes_durable = ph_incoming_bytes_at (in, &event.point);
      in->progress_dirty = true;
      break;
    case PH_SINK_RESTART:
      if (!note_restart (self, now, in, event.point.file))
        return;
      break;
    case PH_SINK_FINISHED:
      handle_finished (self, now, in);
      return;
    case PH_SINK_ERROR:
      if (ph_storage_error_stalls (event.error)) {
        stall (self, now, in, &event);
        return;
      }
      ph_incoming_fail (
          self, now, in,
          &(PhFrameFailed){PH_FAILURE_STORAGE, (uint8_t)event.error, event.point.file},
          event.message);
      return;
    }
  }
}

void
ph_incoming_poll_sink (PhSession *self, PhTime now, PhIncoming *in)
{
  if (in->sink == NULL)
    return;
  ph_incoming_drain_sink (self, now, in);
  if (in->state == PH_IN_ENDED || ph_incoming_is_stalled (in))
    return;
  if (in->restarted) {
    if (in->state == PH_IN_FINISHING)
      ph_incoming_enter (self, now, in, PH_IN_RECEIVING, "a file did not match");
    ph_incoming_new_attempt (self, now, in, ph_session_data_link (self));
  }
  if (in->progress_dirty)
    tell_progress (self, in);
}

void
ph_incoming_progress (PhSession *self, PhTime now, PhIncoming *in)
{
  PhPeerLink *on = ph_session_data_link (self);
  PhFrame frame = {.type = PH_FRAME_PROGRESS, .id = in->id};

  if (!in->progress_dirty || in->progress_due > now)
    return;
  in->progress_dirty = false;
  in->progress_due = ph_time_add (now, PH_SESSION_PROGRESS_INTERVAL);
  frame.progress.attempt = in->attempt;
  measure (in, &frame.progress.bytes_written, &frame.progress.bytes_durable);
  ph_session_send (self, now, on, &frame);
}
