/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/engine/ph-session-private.h"

/* A transfer's part of the queue does not fall below this, however many there are. */
#define QUEUED_SHARE_MIN (UINT64_C (256) << 10)
/* A manifest travels in copies of this size. */
#define MANIFEST_CHUNK 65536u

/* --- The gather buffer -------------------------------------------------------------------------- */

/* Sends what is gathered; with `fin` also when there is nothing. */
static void
flush (PhOutgoing *out, bool fin)
{
  PhBufSlice slice = {0};

  if (out->gather_len > 0)
    slice = (PhBufSlice){ph_buf_ref (out->gather), out->gather_start, out->gather_len};
  if (out->gather_len > 0 || fin)
    ph_link_send (out->on->link, out->stream, slice, fin);
  out->gather_start += out->gather_len;
  out->gather_len = 0;
}

/* Room for `len` bytes behind what is gathered. Parts that were flushed before are shared, and are not
 * touched again. */
static PhWriter
gather (PhSession *self, PhOutgoing *out, size_t len)
{
  g_assert (len <= PH_SESSION_GATHER_LEN);
  if (out->gather == NULL || len > PH_SESSION_GATHER_LEN - out->gather_start - out->gather_len) {
    if (out->gather != NULL)
      flush (out, false);
    g_clear_pointer (&out->gather, ph_buf_unref);
    out->gather = ph_buf_pool_take (self->gather_pool);
    out->gather_start = 0;
  }
  return ph_writer (out->gather->data + out->gather_start + out->gather_len, len);
}

static void
gathered (PhOutgoing *out, const PhWriter *w)
{
  g_assert (ph_writer_ok (w));
  out->gather_len += ph_writer_len (w);
}

/* --- Data streams ------------------------------------------------------------------------------- */

void
ph_outgoing_reset_data (PhOutgoing *out, PhSessionCode code)
{
  if (out->stream >= 0 && out->on->link != NULL)
    ph_link_reset_stream (out->on->link, out->stream, code);
  out->stream = -1;
  out->on = NULL;
  out->early = false;
  out->early_ended = false;
  ph_buf_slice_clear (&out->held.data);
  out->has_held = false;
  out->gather_len = 0;
  out->gather_start = 0;
  g_clear_pointer (&out->gather, ph_buf_unref);
}

static bool
open_segment (PhSession *self, PhTime now, PhOutgoing *out, PhPeerLink *on)
{
  const PhSegmentHead head = {out->id, out->attempt, out->segment};
  const int64_t stream = ph_session_open_stream (self, now, on);

  if (stream < 0)
    return false;
  out->on = on;
  out->stream = stream;

  PhWriter w = gather (self, out, 1 + PH_SEGMENT_HEAD_MAX);

  ph_write_u8 (&w, PH_STREAM_DATA);
  ph_segment_head_encode (&head, &w);
  gathered (out, &w);
  return true;
}

static void
end_segment (PhOutgoing *out)
{
  const PhDraining draining = {out->stream, out->id};

  flush (out, true);
  /* To be told when all of it is acknowledged. */
  ph_link_set_low_marks (out->on->link, out->stream, 1, 0);
  g_array_append_val (out->on->draining, draining);
  out->stream = -1;
  out->on = NULL;
  out->segment++;
}

/* Takes the chunk's data. */
static void
add_chunk (PhSession *self, PhOutgoing *out, PhSourceChunk *chunk)
{
  const bool copy = chunk->data.len <= PH_SESSION_GATHER_DATA_MAX;
  const PhRecordHead head = {
      .type = chunk->end ? PH_RECORD_LAST : PH_RECORD_DATA,
      .file = chunk->file,
      .offset = chunk->offset,
      .len = chunk->data.len,
  };

  g_assert (chunk->file < ph_manifest_len (out->manifest));
  if (chunk->data.len == 0 && !chunk->end) {
    ph_buf_slice_clear (&chunk->data);
    return;
  }

  if (chunk->end && self->hooks.sent != NULL)
    self->hooks.sent (self->hooks.user, &out->id, chunk->file, chunk->sha256);

  PhWriter w =
      gather (self, out, PH_RECORD_HEAD_MAX + (copy ? chunk->data.len + PH_SHA256_LEN : 0));

  ph_record_head_encode (&head, &w);
  if (copy && chunk->data.len > 0)
    ph_write_bytes (&w, ph_buf_slice_data (&chunk->data), chunk->data.len);
  if (copy && chunk->end)
    ph_write_bytes (&w, chunk->sha256, PH_SHA256_LEN);
  gathered (out, &w);
  if (copy) {
    ph_buf_slice_clear (&chunk->data);
    return;
  }

  flush (out, false);
  ph_link_send (out->on->link, out->stream, chunk->data, false);
  chunk->data = (PhBufSlice){0};
  if (chunk->end) {
    w = gather (self, out, PH_SHA256_LEN);
    ph_write_bytes (&w, chunk->sha256, PH_SHA256_LEN);
    gathered (out, &w);
  }
}

static void
finish (PhSession *self, PhOutgoing *out)
{
  const PhRecordHead head = {.type = PH_RECORD_FINISH};
  PhWriter w = gather (self, out, PH_RECORD_HEAD_MAX);

  ph_record_head_encode (&head, &w);
  gathered (out, &w);
  end_segment (out);
}

/* The source's next chunk; only the beginning of it, if a speed limit asks for shorter turns. */
static PhSourceResult
take_chunk (PhOutgoing *out, size_t len_max, PhSourceChunk *ret_chunk)
{
  PhSourceChunk *held = &out->held;
  PhSourceResult result = PH_SOURCE_CHUNK;

  if (!out->has_held)
    result = out->source->klass->take (out->source, held);
  if (result != PH_SOURCE_CHUNK || held->data.len <= len_max) {
    *ret_chunk = *held;
    *held = (PhSourceChunk){0};
    out->has_held = false;
    return result;
  }
  *ret_chunk = *held;
  ret_chunk->data = (PhBufSlice){ph_buf_ref (held->data.buf), held->data.off, len_max};
  ret_chunk->end = false;
  held->offset += len_max;
  held->data.off += len_max;
  held->data.len -= len_max;
  out->has_held = true;
  return result;
}

/* Whether the speed limits let another piece go; then also how long it may be. */
static bool
may_send (PhSession *self, PhTime now, size_t *ret_len_max)
{
  PhPacer *shared = self->pacer;

  *ret_len_max = ph_pacer_piece (&self->peer_limit);
  if (shared != NULL)
    *ret_len_max = MIN (*ret_len_max, ph_pacer_piece (shared));
  if (!ph_pacer_may (&self->peer_limit, now, self)) {
    /* Nobody else is to wait for this peer. */
    if (shared != NULL)
      ph_pacer_leave (shared, self);
    self->paced = true;
  } else if (shared != NULL && !ph_pacer_may (shared, now, self)) {
    self->paced = true;
  }
  return !self->paced;
}

static void
note_sent (PhSession *self, uint64_t bytes)
{
  ph_pacer_take (&self->peer_limit, self, bytes);
  if (self->pacer != NULL)
    ph_pacer_take (self->pacer, self, bytes);
}

static uint64_t
share (uint64_t all, unsigned sending)
{
  return MAX (all / MAX (sending, 1), QUEUED_SHARE_MIN);
}

/* Whether its part of what may be queued on the link is; then it is told when that is so no more. */
static bool
is_full (PhOutgoing *out, unsigned sending)
{
  const uint64_t queued_max = share (PH_SESSION_QUEUED_MAX, sending);
  const uint64_t unsent_max = share (PH_SESSION_UNSENT_MAX, sending);
  PhLink *link = out->on->link;

  if (ph_link_stream_queued (link, out->stream) + out->gather_len < queued_max
      && ph_link_stream_unsent (link, out->stream) + out->gather_len < unsent_max)
    return false;
  ph_link_set_low_marks (link, out->stream, queued_max - queued_max / 4,
                         unsent_max - unsent_max / 4);
  return true;
}

/* --- Before the answer -------------------------------------------------------------------------- */

bool
ph_outgoing_begin_early (PhSession *self, PhTime now, PhOutgoing *out, PhPeerLink *on)
{
  PhStorageError error;
  unsigned others = 0;

  for (unsigned i = 0; i < self->outgoing->len; i++) {
    const PhOutgoing *other = self->outgoing->pdata[i];

    others += other->state == PH_OUT_OFFERED && other->source != NULL;
  }
  if (!self->peer_takes_early || out->source != NULL || out->paused_here
      || others >= PH_SESSION_EARLY_TRANSFERS_MAX)
    return false;
  /* What stands in the way is said when there is an answer, to somebody who waits for the files. */
  out->source = self->hooks.open_source (self->hooks.user, &out->id, &error);
  if (out->source == NULL)
    return false;
  out->source_dry = false;
  out->early_len = 0;
  out->segment = 0;
  out->early = open_segment (self, now, out, on);
  return out->early;
}

/* A chunk of a transfer that nobody has answered yet, as the first segment of attempt 0: the answer takes it, or
 * does not. */
static bool
step_early (PhSession *self, PhTime now, PhOutgoing *out)
{
  const size_t overhead = PH_RECORD_HEAD_MAX + PH_SHA256_LEN;
  PhSourceChunk chunk = {0};
  size_t len_max;

  if (!out->early || out->early_ended || out->paused_here || out->source_dry
      || out->early_len + overhead >= PH_SESSION_EARLY_MAX || !may_send (self, now, &len_max))
    return false;
  len_max = MIN (len_max, PH_SESSION_EARLY_MAX - out->early_len - overhead);

  switch (take_chunk (out, len_max, &chunk)) {
  case PH_SOURCE_CHUNK:
    out->early_len += overhead + chunk.data.len;
    note_sent (self, chunk.data.len);
    add_chunk (self, out, &chunk);
    return true;
  case PH_SOURCE_END:
    finish (self, out);
    out->early_ended = true;
    return false;
  case PH_SOURCE_WAIT:
  case PH_SOURCE_ERROR: /* told again when there is an answer */
    out->source_dry = true;
    return false;
  }
  return false;
}

/* --- After it ----------------------------------------------------------------------------------- */

/* One chunk of one transfer. False: nothing more for the time being. */
static bool
step (PhSession *self, PhTime now, PhOutgoing *out, PhPeerLink *on, unsigned sending)
{
  PhSourceChunk chunk = {0};
  size_t len_max;

  if (out->state == PH_OUT_OFFERED)
    return step_early (self, now, out);
  if (out->state != PH_OUT_SENDING || out->lost || on == NULL)
    return false;
  if (out->stream >= 0 && out->on != on)
    end_segment (out);
  if (out->paused_here || out->paused_there || out->source_dry)
    return false;
  if (out->stream < 0 && !open_segment (self, now, out, on))
    return false;
  if (is_full (out, sending))
    return false;
  if (!may_send (self, now, &len_max))
    return false;

  switch (take_chunk (out, len_max, &chunk)) {
  case PH_SOURCE_WAIT:
    out->source_dry = true;
    return false;
  case PH_SOURCE_CHUNK:
    note_sent (self, chunk.data.len);
    add_chunk (self, out, &chunk);
    return true;
  case PH_SOURCE_END:
    finish (self, out);
    ph_outgoing_enter (self, now, out, PH_OUT_SENT, "all bytes are queued");
    return false;
  case PH_SOURCE_ERROR:
    ph_outgoing_fail (self, now, out,
                      &(PhFrameFailed){PH_FAILURE_STORAGE, (uint8_t)chunk.error, chunk.file},
                      chunk.message);
    return false;
  }
  return false;
}

/* --- Manifests ---------------------------------------------------------------------------------- */

void
ph_outgoing_stop_manifest (PhOutgoing *out)
{
  if (out->manifest_stream >= 0 && out->manifest_on->link != NULL)
    ph_link_reset_stream (out->manifest_on->link, out->manifest_stream, PH_SESSION_CODE_STALE);
  out->manifest_stream = -1;
  out->manifest_on = NULL;
  out->manifest_sent = 0;
  g_clear_pointer (&out->manifest_bytes, g_bytes_unref);
}

static void
pump_manifest (PhSession *self, PhTime now, PhOutgoing *out)
{
  gsize len;
  const uint8_t *data = g_bytes_get_data (out->manifest_bytes, &len);
  PhLink *link = out->manifest_on->link;

  if (out->manifest_stream < 0) {
    static const uint8_t type = PH_STREAM_MANIFEST;

    out->manifest_stream = ph_session_open_stream (self, now, out->manifest_on);
    if (out->manifest_stream < 0)
      return;
    ph_link_set_low_marks (link, out->manifest_stream, 0, PH_SESSION_UNSENT_MAX / 2);
    ph_link_send (link, out->manifest_stream,
                  (PhBufSlice){ph_buf_new_copy (ph_slice (&type, 1)), 0, 1}, false);
    ph_link_send (link, out->manifest_stream,
                  (PhBufSlice){ph_buf_new_copy (ph_slice (out->id.bytes, PH_TRANSFER_ID_LEN)), 0,
                               PH_TRANSFER_ID_LEN},
                  false);
  }
  while (ph_link_stream_unsent (link, out->manifest_stream) < PH_SESSION_UNSENT_MAX) {
    const size_t n = MIN (len - out->manifest_sent, MANIFEST_CHUNK);
    PhBuf *buf = ph_buf_new_copy (ph_slice (data + out->manifest_sent, n));

    out->manifest_sent += n;
    ph_link_send (link, out->manifest_stream, (PhBufSlice){buf, 0, n}, out->manifest_sent == len);
    if (out->manifest_sent == len) {
      out->manifest_stream = -1; /* it is through, not given up */
      ph_outgoing_stop_manifest (out);
      return;
    }
  }
}

/* --- All of them -------------------------------------------------------------------------------- */

/* Forgets what is acknowledged. A link that is closed says nothing about that. */
static void
prune_draining (PhPeerLink *on)
{
  if (ph_link_state (on->link) != PH_LINK_READY)
    return;
  for (unsigned i = on->draining->len; i > 0; i--) {
    if (ph_link_stream_queued (on->link, g_array_index (on->draining, PhDraining, i - 1).stream)
        == 0)
      g_array_remove_index_fast (on->draining, i - 1);
  }
}

static void
leave_line (PhSession *self)
{
  ph_pacer_leave (&self->peer_limit, self);
  if (self->pacer != NULL)
    ph_pacer_leave (self->pacer, self);
}

void
ph_outgoing_pump (PhSession *self, PhTime now)
{
  PhPeerLink *on = ph_session_data_link (self);
  unsigned sending = 0;
  bool more = true;

  for (unsigned i = 0; i < self->links->len; i++) {
    PhPeerLink *any = self->links->pdata[i];

    if (any->link != NULL)
      prune_draining (any);
  }
  self->paced = false;

  for (unsigned i = 0; i < self->outgoing->len; i++) {
    PhOutgoing *out = self->outgoing->pdata[i];

    if (out->manifest_on != NULL)
      pump_manifest (self, now, out);
    if (out->state == PH_OUT_SENDING && !out->paused_here && !out->paused_there)
      sending++;
  }

  while (more) {
    more = false;
    /* Each in turn, and the next time the one whose turn it would have been. */
    for (unsigned i = 0; i < self->outgoing->len && !self->paced; i++) {
      const unsigned turn = (self->turn + i) % self->outgoing->len;

      more |= step (self, now, self->outgoing->pdata[turn], on, sending);
      if (self->paced)
        self->turn = turn;
    }
  }
  if (!self->paced)
    leave_line (self);
  for (unsigned i = 0; i < self->outgoing->len; i++) {
    PhOutgoing *out = self->outgoing->pdata[i];

    if (out->stream >= 0)
      flush (out, false);
  }
}
