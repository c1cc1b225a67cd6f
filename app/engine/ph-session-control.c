/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/engine/ph-session-private.h"

/* --- Out ---------------------------------------------------------------------------------------- */

static void
send_bytes (PhPeerLink *on, PhSlice bytes)
{
  PhBuf *buf = ph_buf_new_copy (bytes);

  ph_link_send (on->link, on->control, (PhBufSlice){buf, 0, bytes.len}, false);
}

void
ph_session_send (PhSession *self, PhTime now, PhPeerLink *on, const PhFrame *frame)
{
  uint8_t bytes[PH_FRAME_MAX];
  PhWriter w = ph_writer (bytes, sizeof bytes);

  if (on == NULL || on->link == NULL || on->control < 0 || on->choked)
    return;
  if (ph_link_stream_queued (on->link, on->control) > PH_SESSION_CONTROL_QUEUED_MAX) {
    on->choked = true;
    return;
  }
  ph_frame_encode (frame, &w);
  send_bytes (on, ph_slice (bytes, ph_writer_len (&w)));
}

void
ph_session_say_all (PhSession *self, PhTime now, PhPeerLink *on)
{
  if (self->limit_down > 0)
    ph_session_send (self, now, on, &(PhFrame){.type = PH_FRAME_LIMIT, .limit = self->limit_down});
  for (unsigned i = 0; i < self->incoming->len; i++) {
    const PhIncoming *in = self->incoming->pdata[i];

    if (in->state == PH_IN_RECEIVING)
      ph_incoming_say_pause (self, now, in, on);
  }
  for (unsigned i = 0; i < self->outgoing->len; i++) {
    PhOutgoing *out = self->outgoing->pdata[i];

    if (out->state != PH_OUT_ENDED && out->offered_before)
      ph_outgoing_offer (self, now, out, on);
  }
  ph_session_send (self, now, on,
                   &(PhFrame){.type = PH_FRAME_SYNC, .sync_serial = self->serial_last});
}

void
ph_session_begin_link (PhSession *self, PhTime now, PhPeerLink *on)
{
  static const uint8_t type = PH_STREAM_CONTROL;
  PhFrame frame = {.type = PH_FRAME_HELLO};

  on->control = ph_session_open_stream (self, now, on);
  if (on->control < 0)
    return;

  frame.hello.version = PH_SESSION_VERSION;
  frame.hello.features = PH_FRAME_FEATURE_EARLY;
  frame.hello.name = ph_slice_string (self->name);
  memcpy (frame.hello.instance, self->instance, PH_INSTANCE_LEN);
  send_bytes (on, ph_slice (&type, 1));
  ph_session_send (self, now, on, &frame);
  ph_session_say_all (self, now, on);
}

/* --- In ----------------------------------------------------------------------------------------- */

/* A new run of the peer's program: links to the one before are dead, whether they know it or not. */
static void
peer_restarted (PhSession *self, PhTime now, PhPeerLink *on)
{
  for (unsigned i = 0; i < self->incoming->len; i++)
    ((PhIncoming *)self->incoming->pdata[i])->serial = 0;
  for (unsigned i = 0; i < self->links->len; i++) {
    PhPeerLink *older = self->links->pdata[i];

    if (older == on)
      break;
    ph_session_link_fail (self, now, older, PH_SESSION_CODE_NONE, "the peer has restarted");
  }
}

static void
handle_hello (PhSession *self, PhTime now, PhPeerLink *on, const PhFrameHello *hello)
{
  const bool restarted =
      self->peer_known && memcmp (self->peer_instance, hello->instance, PH_INSTANCE_LEN) != 0;

  if (hello->version < PH_SESSION_VERSION) {
    ph_session_link_fail (self, now, on, PH_SESSION_CODE_VERSION, "the peer's version is too old");
    return;
  }
  on->hello = true;
  memcpy (self->peer_instance, hello->instance, PH_INSTANCE_LEN);
  self->peer_known = true;
  self->peer_takes_early = (hello->features & PH_FRAME_FEATURE_EARLY) != 0;

  PhSessionEvent *event = ph_session_event (self, PH_SESSION_EVENT_PEER, NULL, false);

  event->link = on->link;
  event->name = g_strndup ((const char *)hello->name.data, hello->name.len);
  if (restarted)
    peer_restarted (self, now, on);
}

/* What the receiver of one of our transfers says. */
static void
handle_for_outgoing (PhSession *self, PhTime now, PhPeerLink *on, const PhFrame *frame)
{
  PhOutgoing *out = ph_session_find_outgoing (self, &frame->id);

  if (out == NULL) {
    if (frame->type == PH_FRAME_ACCEPT || frame->type == PH_FRAME_WANT)
      ph_session_send (self, now, on,
                       &(PhFrame){.type = PH_FRAME_CANCEL, .id = frame->id, .from_sender = true});
    return;
  }

  switch (frame->type) {
  case PH_FRAME_WANT:
    ph_outgoing_handle_want (self, now, out, on);
    break;
  case PH_FRAME_ACCEPT:
    ph_outgoing_handle_accept (self, now, out, on, &frame->accept);
    break;
  case PH_FRAME_DECLINE:
    ph_outgoing_handle_decline (self, now, out,
                                frame->decline <= PH_DECLINE_LAST ? (PhDeclineReason)frame->decline
                                                                  : PH_DECLINE_OTHER);
    break;
  case PH_FRAME_RECEIPT:
    ph_outgoing_handle_receipt (self, now, out, on, frame->receipt_digest);
    break;
  case PH_FRAME_PROGRESS:
    ph_outgoing_handle_progress (self, now, out, &frame->progress);
    break;
  case PH_FRAME_CANCEL:
    ph_session_event (self, PH_SESSION_EVENT_CANCELLED, &out->id, true)->by_peer = true;
    ph_outgoing_end (self, now, out, "cancelled by the receiver");
    break;
  case PH_FRAME_FAILED:
    ph_outgoing_fail (self, now, out, &frame->failed, NULL);
    break;
  case PH_FRAME_PAUSE:
    ph_session_note_pause (self, &out->id, true, &out->paused_there, frame->pause);
    break;
  default:
    g_assert_not_reached ();
  }
}

/* What the sender of one of the peer's transfers says, but OFFER. */
static void
handle_for_incoming (PhSession *self, PhTime now, const PhFrame *frame)
{
  PhIncoming *in = ph_session_find_incoming (self, &frame->id);

  if (in == NULL)
    return;

  switch (frame->type) {
  case PH_FRAME_CANCEL:
    ph_incoming_cancelled (self, now, in, "cancelled by the sender");
    break;
  case PH_FRAME_FAILED:
    ph_incoming_fail (self, now, in, &frame->failed, NULL);
    break;
  case PH_FRAME_PAUSE:
    ph_incoming_note_pause (self, in, frame->pause);
    break;
  default:
    g_assert_not_reached ();
  }
}

static void
handle_frame (PhSession *self, PhTime now, PhPeerLink *on, const PhFrame *frame)
{
  if (on->hello == (frame->type == PH_FRAME_HELLO)) {
    ph_session_link_fail (self, now, on, PH_SESSION_CODE_UNEXPECTED, "hello out of place");
    return;
  }

  switch (frame->type) {
  case PH_FRAME_HELLO:
    handle_hello (self, now, on, &frame->hello);
    break;
  case PH_FRAME_OFFER:
    ph_incoming_handle_offer (self, now, on, frame);
    break;
  case PH_FRAME_SYNC:
    ph_incoming_handle_sync (self, now, on, frame->sync_serial);
    break;
  case PH_FRAME_SIGNAL:
    ph_session_event (self, PH_SESSION_EVENT_SIGNAL, NULL, false)->signal =
        g_bytes_new (frame->signal.data, frame->signal.len);
    break;
  case PH_FRAME_LIMIT:
    ph_pacer_set_rate (&self->peer_limit, now, frame->limit);
    break;
  case PH_FRAME_WANT:
  case PH_FRAME_ACCEPT:
  case PH_FRAME_DECLINE:
  case PH_FRAME_RECEIPT:
  case PH_FRAME_PROGRESS:
    handle_for_outgoing (self, now, on, frame);
    break;
  case PH_FRAME_CANCEL:
  case PH_FRAME_PAUSE:
  case PH_FRAME_FAILED:
    if (frame->from_sender)
      handle_for_incoming (self, now, frame);
    else
      handle_for_outgoing (self, now, on, frame);
    break;
  }
}

void
ph_session_handle_control (PhSession *self, PhTime now, PhPeerStream *stream, PhSlice bytes)
{
  PhPeerLink *on = stream->on;
  size_t done = 0;

  g_byte_array_append (stream->head, bytes.data, (unsigned)bytes.len);
  while (on->link != NULL && done < stream->head->len) {
    const PhSlice rest = ph_slice (stream->head->data + done, stream->head->len - done);
    PhFrame frame;
    size_t len = 0;
    const PhFrameResult result = ph_frame_decode (rest, &frame, &len);

    if (result == PH_FRAME_SHORT)
      break;
    if (result == PH_FRAME_MALFORMED) {
      ph_session_link_fail (self, now, on, PH_SESSION_CODE_MALFORMED, "malformed frame");
      return;
    }
    if (result == PH_FRAME_OK)
      handle_frame (self, now, on, &frame);
    done += len;
  }
  g_byte_array_remove_range (stream->head, 0, (unsigned)done);
}

void
ph_session_note_pause (PhSession *self, const PhTransferId *id, bool outgoing, PhPause *paused,
                       PhPause now_paused)
{
  PhSessionEvent *event;

  if (*paused == now_paused)
    return;
  *paused = now_paused;
  event = ph_session_event (
      self, now_paused != PH_PAUSE_NONE ? PH_SESSION_EVENT_PAUSED : PH_SESSION_EVENT_RESUMED, id,
      outgoing);
  event->by_peer = true;
  event->pause = now_paused;
}
