/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/tls/ph-tls-private.h"

/* What one frame of RFC 4571 holds. */
#define BATCH_MAX 65535
/* Below this a piece is copied to share a record with others; above it has records of its own, and is
 * encrypted from where it lies. */
#define SMALL_MAX 4096
/* What a stream has to say beside its data, at most. */
#define CONTROL_ROOM (3 * (PH_TLS_FRAME_HEADER_LEN + PH_TLS_CONTROL_MAX))
/* While bytes flow the round trip is measured so often. */
#define PING_FLOW_INTERVAL PH_SEC

/* --- Records ------------------------------------------------------------------------------------ */

static void
flush_plain (PhTlsLink *self)
{
  const size_t len = self->plain_len;

  self->plain_len = 0;
  if (len > 0)
    ph_tls_write (self, self->plain, len);
}

/* Whether `len` more bytes of plain text find room, in the record that is being filled or another one. */
static bool
has_room (const PhTlsLink *self, size_t len)
{
  return self->plain_len + len + 2 * self->overhead <= self->room;
}

static PhWriter
begin_small (PhTlsLink *self, size_t len)
{
  if (sizeof self->plain - self->plain_len < len)
    flush_plain (self);
  return ph_writer (self->plain + self->plain_len, sizeof self->plain - self->plain_len);
}

static void
end_small (PhTlsLink *self, const PhWriter *w)
{
  g_assert (ph_writer_ok (w));
  self->plain_len += ph_writer_len (w);
}

static void
write_control (PhTlsLink *self, uint8_t type, uint32_t stream, bool fin, PhTlsFrameBody body)
{
  PhWriter w = begin_small (self, PH_TLS_FRAME_HEADER_LEN + PH_TLS_CONTROL_MAX);

  ph_tls_frame_write (&w, type, stream, fin, &body);
  end_small (self, &w);
}

/* --- Control ------------------------------------------------------------------------------------ */

static void
write_hello (PhTlsLink *self)
{
  self->hello_due = false;
  self->told_limit = self->link_window;
  self->streams_told = PH_TLS_STREAMS_MAX;
  write_control (self, PH_TLS_FRAME_HELLO, 0, false,
                 (PhTlsFrameBody){
                     .limit = self->link_window,
                     .stream_limit = self->stream_window,
                     .streams = self->streams_told,
                 });
}

/* The windows grow where they are what limits: a quarter of one was used up in half a round trip. */
static void
grow_windows (PhTlsLink *self)
{
  const PhTime took = ph_time_since (self->last_now, self->told_limit_at);

  self->told_limit_at = self->last_now;
  if (self->stats.rtt == 0 || took > self->stats.rtt / 2)
    return;
  self->link_window = MIN (2 * self->link_window, self->config.window_max);
  self->stream_window = MIN (2 * self->stream_window, self->config.window_max);
}

static bool
link_credit_due (const PhTlsLink *self)
{
  return self->consumed + self->link_window - self->told_limit >= self->link_window / 4;
}

static void
write_link_credit (PhTlsLink *self)
{
  grow_windows (self);
  self->told_limit = self->consumed + self->link_window;
  write_control (self, PH_TLS_FRAME_LINK_CREDIT, 0, false,
                 (PhTlsFrameBody){.limit = self->told_limit});
}

static void
write_pings (PhTlsLink *self)
{
  if (self->ping_due) {
    self->ping_due = false;
    self->ping_open = true;
    self->ping_sent_at = self->last_now;
    self->ping_at = ph_time_add (self->last_now, self->config.keepalive);
    write_control (self, PH_TLS_FRAME_PING, 0, false,
                   (PhTlsFrameBody){.token = self->ping_sent_at});
  }
  if (self->pong_due) {
    self->pong_due = false;
    write_control (self, PH_TLS_FRAME_PONG, 0, false, (PhTlsFrameBody){.token = self->pong_token});
  }
}

static void
write_stream_control (PhTlsLink *self, PhTlsStream *stream)
{
  if (stream->reset_due)
    write_control (self, PH_TLS_FRAME_RESET, stream->index, false,
                   (PhTlsFrameBody){.code = stream->code});
  if (stream->stop_due)
    write_control (self, PH_TLS_FRAME_STOP, stream->index, false,
                   (PhTlsFrameBody){.code = stream->code});
  stream->reset_due = stream->stop_due = false;
  if (!stream->local && ph_tls_stream_credit_due (self, stream)) {
    stream->told_received = stream->received;
    stream->told_limit = MAX (stream->told_limit, ph_tls_stream_limit (self, stream));
    stream->told_fin = stream->fin_came;
    write_control (self, PH_TLS_FRAME_CREDIT, stream->index, stream->told_fin,
                   (PhTlsFrameBody){
                       .arrived = stream->told_received,
                       .limit = stream->told_limit,
                   });
  }
}

static void
write_controls (PhTlsLink *self)
{
  if (self->hello_due)
    write_hello (self);
  if (!self->hello_came)
    return;
  write_pings (self);
  if (link_credit_due (self))
    write_link_credit (self);
  while (self->controls.head != NULL && has_room (self, CONTROL_ROOM)) {
    PhTlsStream *stream = self->controls.head->data;

    write_stream_control (self, stream);
    ph_tls_stream_settle (self, stream);
    ph_tls_stream_forget_if_done (self, stream);
  }
  if (self->streams_forgotten + PH_TLS_STREAMS_MAX > self->streams_told
      && has_room (self, CONTROL_ROOM)) {
    self->streams_told = self->streams_forgotten + PH_TLS_STREAMS_MAX;
    write_control (self, PH_TLS_FRAME_STREAMS, 0, false,
                   (PhTlsFrameBody){.streams = self->streams_told});
  }
}

/* --- Data --------------------------------------------------------------------------------------- */

/* How much of the stream's first chunk may go into a frame, and whether the end goes along. */
static size_t
measure (const PhTlsLink *self, const PhTlsStream *stream, bool *ret_fin)
{
  const PhBufSlice *chunk = g_queue_peek_head ((GQueue *)&stream->chunks);
  size_t len = chunk != NULL ? chunk->len - stream->head_sent : 0;

  len = (size_t)MIN ((uint64_t)len, stream->limit - stream->sent);
  len = (size_t)MIN ((uint64_t)len, self->limit - self->sent);
  len = MIN (len, PH_TLS_DATA_MAX);
  *ret_fin = stream->fin_queued && stream->sent + len == stream->queued;
  return len;
}

/* One frame; false if flow control or the room says no. */
static bool
write_frame (PhTlsLink *self, PhTlsStream *stream)
{
  bool fin;
  const size_t len = measure (self, stream, &fin);
  const bool small = len <= SMALL_MAX;
  const size_t need = PH_TLS_FRAME_HEADER_LEN + MIN (len, SMALL_MAX);

  if ((len == 0 && !fin) || !has_room (self, need))
    return false;

  PhWriter w = begin_small (self, need);

  ph_tls_frame_write_data_header (&w, stream->index, len, fin);
  if (len > 0) {
    const PhBufSlice *chunk = g_queue_peek_head (&stream->chunks);
    const size_t off = chunk->off + stream->head_sent;

    if (small)
      ph_write_bytes (&w, chunk->buf->data + off, len);
    else
      self->payload = (PhBufSlice){ph_buf_ref (chunk->buf), off, len};
  }
  end_small (self, &w);
  self->sent += len;
  ph_tls_stream_sent (self, stream, len, fin);
  return true;
}

/* The rest of the frame that was begun; false if it needs another batch. */
static bool
write_payload (PhTlsLink *self)
{
  flush_plain (self);
  while (self->payload.len > 0) {
    if (self->room <= self->overhead || !self->handshaken)
      return false;

    const size_t len =
        MIN (MIN (self->payload.len, PH_TLS_RECORD_MAX), self->room - self->overhead);

    ph_tls_write (self, ph_buf_slice_data (&self->payload), len);
    self->payload.off += len;
    self->payload.len -= len;
  }
  ph_buf_slice_clear (&self->payload);
  return true;
}

static void
write_streams (PhTlsLink *self)
{
  GList *next;

  for (GList *l = self->sending.head; l != NULL && !ph_tls_ending (self); l = next) {
    /* A stream that has sent goes to the end of the list, after those that flow control stops. */
    next = l->next;
    if (!write_frame (self, l->data))
      continue;
    if (self->payload.buf != NULL && !write_payload (self))
      return;
    next = self->sending.head;
  }
}

static void
want_ping (PhTlsLink *self)
{
  if (self->sending.head != NULL && !self->ping_open
      && ph_time_since (self->last_now, self->ping_sent_at) >= PING_FLOW_INTERVAL)
    self->ping_due = true;
}

/* --- Batches ------------------------------------------------------------------------------------ */

static void
drain_out (PhTlsLink *self)
{
  const size_t n = MIN (self->out->len, self->room);

  if (n == 0)
    return;
  memcpy (self->dest, self->out->data, n);
  g_byte_array_remove_range (self->out, 0, (guint)n);
  self->dest += n;
  self->room -= n;
}

static void
write_close (PhTlsLink *self)
{
  write_control (self, PH_TLS_FRAME_CLOSE, 0, false,
                 (PhTlsFrameBody){
                     .kind = self->close_kind,
                     .code = self->code,
                     .reason = ph_slice_string (self->reason),
                 });
  flush_plain (self);
  ph_tls_write_close_notify (self);
  ph_tls_closed (self);
}

static void
fill (PhTlsLink *self)
{
  drain_out (self);
  if (self->out->len > 0)
    return;
  if (!self->handshaken) {
    if (self->close_due)
      ph_tls_closed (self); /* after the alert that was in `out` */
    return;
  }
  if (self->payload.buf != NULL && !write_payload (self))
    return;
  if (self->close_due) {
    if (has_room (self, CONTROL_ROOM))
      write_close (self);
    return;
  }
  want_ping (self);
  write_controls (self);
  if (self->hello_came)
    write_streams (self);
  flush_plain (self);
}

bool
ph_tls_poll_transmit (PhLink *link, PhTime now, PhTransmit *tx)
{
  PhTlsLink *self = ph_tls (link);
  const size_t room = MIN (tx->cap - tx->headroom, BATCH_MAX);

  g_assert (now >= self->last_now);
  self->last_now = now;
  tx->len = 0;
  tx->segment = 0;
  tx->ecn = 0;
  if (link->state == PH_LINK_CLOSED)
    return false;

  self->dest = tx->data + tx->headroom;
  self->room = room;
  fill (self);
  self->dest = NULL;

  const size_t used = room - self->room;

  self->stats.bytes_sent += used;
  tx->len = used > 0 ? tx->headroom + used : 0;
  return used > 0;
}
