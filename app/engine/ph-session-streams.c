/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/engine/ph-session-private.h"

/* Streams of the peer that may be open on one link: the control stream, and for each transfer its
 * manifest or segments. A link allows fewer at a time. */
#define STREAMS_MAX (1 + PH_SESSION_TRANSFERS_MAX * PH_SESSION_SEGMENTS_MAX)

static void
held_free (void *data)
{
  ph_buf_slice_clear (data);
  g_free (data);
}

void
ph_session_stream_free (PhPeerStream *stream)
{
  g_queue_clear_full (&stream->held, held_free);
  g_clear_pointer (&stream->early, g_byte_array_unref);
  g_byte_array_unref (stream->head);
  g_free (stream);
}

void
ph_session_open_peer_stream (PhSession *self, PhTime now, PhPeerLink *on, int64_t id)
{
  if (g_hash_table_contains (on->streams, &id))
    return;
  if (g_hash_table_size (on->streams) >= STREAMS_MAX) {
    ph_session_link_fail (self, now, on, PH_SESSION_CODE_LIMIT, "too many streams");
    return;
  }

  PhPeerStream *stream = g_new0 (PhPeerStream, 1);

  stream->on = on;
  stream->id = id;
  stream->head = g_byte_array_new ();
  g_queue_init (&stream->held);
  g_hash_table_insert (on->streams, &stream->id, stream);
}

void
ph_session_consumed (PhPeerLink *on, int64_t stream, uint64_t bytes)
{
  if (on != NULL && on->link != NULL && bytes > 0)
    ph_link_consumed (on->link, stream, bytes);
}

void
ph_session_end_stream (PhSession *self, PhPeerStream *stream)
{
  PhIncoming *in = g_steal_pointer (&stream->transfer);

  if (in != NULL) {
    g_ptr_array_remove (in->segments, stream);
    if (in->manifest_stream == stream)
      in->manifest_stream = NULL;
  }
  if (stream->on == NULL)
    return;
  if (stream->on->peer_control == stream)
    stream->on->peer_control = NULL;
  g_hash_table_steal (stream->on->streams, &stream->id);
  stream->on = NULL;
  g_ptr_array_add (self->garbage, stream);
}

void
ph_session_drop_stream (PhSession *self, PhPeerStream *stream, PhSessionCode code)
{
  PhPeerLink *on = stream->on;

  ph_session_consumed (on, stream->id, stream->held_bytes);
  stream->held_bytes = 0;
  if (on != NULL && on->link != NULL && !stream->fin)
    ph_link_reset_stream (on->link, stream->id, code);
  ph_session_end_stream (self, stream);
}

/* --- Manifests ---------------------------------------------------------------------------------- */

static void
handle_manifest (PhSession *self, PhTime now, PhPeerStream *stream, PhSlice bytes)
{
  GByteArray *got = stream->head;
  PhIncoming *in = stream->transfer;

  g_byte_array_append (got, bytes.data, (unsigned)bytes.len);
  if (in == NULL) {
    PhTransferId id;

    if (got->len < sizeof id) {
      if (stream->fin)
        ph_session_end_stream (self, stream);
      return;
    }
    memcpy (&id, got->data, sizeof id);
    in = ph_session_find_incoming (self, &id);
    if (in == NULL || in->state != PH_IN_MANIFEST || in->manifest_on != stream->on
        || in->manifest_stream != NULL) {
      ph_session_drop_stream (self, stream, PH_SESSION_CODE_GONE);
      return;
    }
    g_byte_array_remove_range (got, 0, sizeof id);
    stream->transfer = in;
    in->manifest_stream = stream;
  }

  if (got->len > in->manifest_size || (stream->fin && got->len < in->manifest_size)) {
    ph_incoming_decline (self, now, in, PH_DECLINE_MALFORMED);
  } else if (stream->fin) {
    in->manifest_stream = NULL;
    stream->transfer = NULL;
    ph_incoming_take_manifest (self, now, in, ph_slice (got->data, got->len));
    ph_session_end_stream (self, stream);
  }
}

/* --- Segments ----------------------------------------------------------------------------------- */

/* Reads the segment's head from the start of `data`. False: not complete, or the stream is over. */
static bool
read_segment_head (PhSession *self, PhTime now, PhPeerStream *stream, PhBufSlice *data)
{
  const size_t had = stream->head->len;
  const size_t take = MIN (data->len, PH_SEGMENT_HEAD_MAX - had);
  size_t len = 0;

  if (take > 0) /* the stream may end with no more bytes, and then there is no buffer */
    g_byte_array_append (stream->head, ph_buf_slice_data (data), (unsigned)take);

  const PhFrameResult result = ph_segment_head_decode (
      ph_slice (stream->head->data, stream->head->len), &stream->segment, &len);

  if (result == PH_FRAME_MALFORMED) {
    ph_session_link_fail (self, now, stream->on, PH_SESSION_CODE_MALFORMED, "malformed segment");
    return false;
  }
  if (result == PH_FRAME_SHORT) {
    g_assert (take == data->len);
    ph_session_consumed (stream->on, stream->id, take);
    if (stream->fin)
      ph_session_end_stream (self, stream);
    return false;
  }
  g_byte_array_set_size (stream->head, 0);
  ph_session_consumed (stream->on, stream->id, len - had);
  data->off += len - had;
  data->len -= len - had;
  return true;
}

static void
handle_segment (PhSession *self, PhTime now, PhPeerStream *stream, PhBufSlice data)
{
  if (stream->transfer == NULL) {
    if (!read_segment_head (self, now, stream, &data))
      return;

    PhIncoming *in = ph_session_find_incoming (self, &stream->segment.id);

    if (in == NULL && stream->segment.attempt == 0)
      stream->on->early_dropped = true;
    else if (in != NULL && ph_incoming_awaits_early (in, stream))
      stream->segment.attempt = in->attempt;

    /* A stalled transfer has no sink, and nobody was told the number of its next attempt. */
    const bool stale =
        in != NULL && (stream->segment.attempt < in->attempt || ph_incoming_is_stalled (in));

    if (in == NULL || stale) {
      ph_session_consumed (stream->on, stream->id, data.len);
      ph_session_drop_stream (self, stream, stale ? PH_SESSION_CODE_STALE : PH_SESSION_CODE_GONE);
      return;
    }
    ph_incoming_add_segment (self, now, in, stream);
    if (stream->transfer == NULL)
      return;
  }
  if (data.len > 0)
    ph_incoming_handle_segment (self, now, stream, &data);
  if (stream->transfer != NULL && stream->fin)
    ph_incoming_end_segment (self, now, stream);
}

/* --- Any stream --------------------------------------------------------------------------------- */

/* The first byte. False: the stream, or the link, is over. */
static bool
set_type (PhSession *self, PhTime now, PhPeerStream *stream, uint8_t type)
{
  PhPeerLink *on = stream->on;

  stream->type = type;
  if (type == PH_STREAM_CONTROL && on->peer_control == NULL) {
    on->peer_control = stream;
    return true;
  }
  if (type == PH_STREAM_MANIFEST || type == PH_STREAM_DATA)
    return true;
  if ((type & PH_FRAME_OPTIONAL) != 0)
    ph_session_drop_stream (self, stream, PH_SESSION_CODE_NONE);
  else
    ph_session_link_fail (self, now, on, PH_SESSION_CODE_UNEXPECTED, "unknown stream type");
  return false;
}

void
ph_session_handle_data (PhSession *self, PhTime now, PhPeerLink *on, int64_t id,
                        const PhBufSlice *data, bool fin)
{
  PhPeerStream *stream = g_hash_table_lookup (on->streams, &id);
  PhBufSlice rest = *data;

  if (stream == NULL) { /* given up */
    ph_session_consumed (on, id, data->len);
    return;
  }
  stream->fin |= fin;
  if (stream->type == 0 && rest.len > 0) {
    const uint8_t type = *ph_buf_slice_data (&rest);

    rest.off++;
    rest.len--;
    ph_session_consumed (on, id, 1);
    if (!set_type (self, now, stream, type)) {
      ph_session_consumed (on, id, rest.len);
      return;
    }
  }

  const PhSlice bytes =
      rest.len > 0 ? ph_slice (ph_buf_slice_data (&rest), rest.len) : ph_slice (NULL, 0);

  switch (stream->type) {
  case PH_STREAM_CONTROL:
    ph_session_consumed (on, id, bytes.len);
    ph_session_handle_control (self, now, stream, bytes);
    if (stream->fin)
      ph_session_link_fail (self, now, on, PH_SESSION_CODE_UNEXPECTED, "control stream ended");
    break;
  case PH_STREAM_MANIFEST:
    ph_session_consumed (on, id, bytes.len);
    handle_manifest (self, now, stream, bytes);
    break;
  case PH_STREAM_DATA:
    handle_segment (self, now, stream, rest);
    break;
  default:
    if (stream->fin)
      ph_session_end_stream (self, stream);
  }
}

/* One of our own streams: the peer takes no more of it. */
static void
handle_own_reset (PhSession *self, PhTime now, PhPeerLink *on, int64_t id)
{
  if (id == on->control) {
    ph_session_link_fail (self, now, on, PH_SESSION_CODE_UNEXPECTED, "control stream refused");
    return;
  }
  for (unsigned i = 0; i < self->outgoing->len; i++) {
    PhOutgoing *out = self->outgoing->pdata[i];

    if (out->on == on && out->stream == id) {
      ph_outgoing_reset_data (out, PH_SESSION_CODE_STALE);
      out->lost = true; /* an ACCEPT, or the end, is on its way */
    }
    if (out->manifest_on == on && out->manifest_stream == id)
      ph_outgoing_stop_manifest (out);
  }
}

void
ph_session_handle_reset (PhSession *self, PhTime now, PhPeerLink *on, int64_t id)
{
  PhPeerStream *stream = g_hash_table_lookup (on->streams, &id);

  if (stream == NULL) {
    handle_own_reset (self, now, on, id);
    return;
  }
  if (stream->type == PH_STREAM_CONTROL) {
    ph_session_link_fail (self, now, on, PH_SESSION_CODE_UNEXPECTED, "control stream reset");
    return;
  }

  PhIncoming *in = stream->transfer;

  if (ph_incoming_is_early (stream))
    in->early_on = NULL;
  ph_session_consumed (on, id, stream->held_bytes);
  stream->held_bytes = 0;
  ph_session_end_stream (self, stream);
  if (in == NULL)
    return;
  if (in->state == PH_IN_MANIFEST && stream->type == PH_STREAM_MANIFEST)
    in->manifest_on = NULL; /* asked for again with the next offer */
  else if (in->state == PH_IN_RECEIVING && !ph_incoming_is_stalled (in))
    ph_incoming_new_attempt (self, now, in, ph_session_data_link (self));
}
