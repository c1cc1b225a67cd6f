/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/quic/ph-quic-private.h"

/* What each side writes on its first stream: the version of the link's own framing. */
#define HELLO 0x01

static const uint8_t hello_byte[] = {HELLO};

/* --- Lists ------------------------------------------------------------------------------------ */

static bool
has_something_to_send (const PhQuicStream *stream)
{
  return !stream->dead && (stream->next != NULL || (stream->fin_queued && !stream->fin_sent));
}

static void
update_sending (PhQuicLink *self, PhQuicStream *stream)
{
  const bool want = has_something_to_send (stream);

  if (want && !stream->in_sending)
    g_queue_push_tail_link (&self->sending, &stream->send_node);
  else if (!want && stream->in_sending)
    g_queue_unlink (&self->sending, &stream->send_node);
  stream->in_sending = want;
}

static void
want_telling (PhQuicLink *self, PhQuicStream *stream)
{
  if (stream->hello || stream->in_telling)
    return;
  g_queue_push_tail_link (&self->telling, &stream->tell_node);
  stream->in_telling = true;
}

static void
tell_drained (PhQuicLink *self, PhQuicStream *stream)
{
  stream->tell_drained = true;
  want_telling (self, stream);
}

/* --- Coming and going ------------------------------------------------------------------------- */

PhQuicStream *
ph_quic_stream_new (PhQuicLink *self, int64_t id, bool local)
{
  PhQuicStream *stream = g_new0 (PhQuicStream, 1);

  stream->id = id;
  stream->local = local;
  stream->send_node.data = stream;
  stream->tell_node.data = stream;
  if (!local)
    ph_receive_buffer_init (&stream->buffer);
  g_hash_table_insert (self->streams, &stream->id, stream);
  return stream;
}

static void
drop_chunks (PhQuicStream *stream)
{
  while (stream->head != NULL) {
    PhQuicChunk *chunk = stream->head;

    stream->head = chunk->next;
    ph_buf_slice_clear (&chunk->slice);
    g_free (chunk);
  }
  stream->tail = NULL;
  stream->next = NULL;
  stream->queued = 0;
}

void
ph_quic_stream_free (void *pointer)
{
  PhQuicStream *stream = pointer;

  drop_chunks (stream);
  ph_receive_buffer_clear (&stream->buffer);
  g_free (stream);
}

PhQuicStream *
ph_quic_stream_find (const PhQuicLink *self, int64_t id)
{
  PhQuicStream *stream = g_hash_table_lookup (self->streams, &id);

  return stream != NULL && !stream->hello ? stream : NULL;
}

/* Forgets the stream once ngtcp2 has and everything is told. One more is then allowed to the peer, so
 * that what is open is bounded by what the session has taken note of. */
static void
forget_if_done (PhQuicLink *self, PhQuicStream *stream)
{
  if (!stream->closed || stream->in_telling)
    return;

  g_assert (!stream->in_sending);
  if (!stream->local && !stream->hello && !ph_quic_ending (self))
    ngtcp2_conn_extend_max_streams_uni (self->conn, 1);
  g_hash_table_remove (self->streams, &stream->id);
}

void
ph_quic_stream_closed (PhQuicLink *self, PhQuicStream *stream)
{
  stream->closed = true;
  stream->dead = true;
  self->unacked -= stream->unacked;
  stream->unacked = 0;
  update_sending (self, stream);
  drop_chunks (stream);
  forget_if_done (self, stream);
}

bool
ph_quic_stream_send_hello (PhQuicLink *self)
{
  PhQuicStream *stream;
  int64_t id;

  if (ngtcp2_conn_open_uni_stream (self->conn, &id, NULL) != 0)
    return false;
  stream = ph_quic_stream_new (self, id, true);
  stream->hello = true;
  ngtcp2_conn_set_stream_user_data (self->conn, id, stream);

  PhQuicChunk *chunk = g_new0 (PhQuicChunk, 1);

  chunk->slice.buf = ph_buf_new_copy (ph_slice (hello_byte, sizeof hello_byte));
  chunk->slice.len = sizeof hello_byte;
  stream->head = stream->tail = stream->next = chunk;
  stream->queued = sizeof hello_byte;
  stream->fin_queued = true;
  update_sending (self, stream);
  return true;
}

/* --- Writing ---------------------------------------------------------------------------------- */

int64_t
ph_quic_open_stream (PhLink *link)
{
  PhQuicLink *self = ph_quic (link);
  PhQuicStream *stream;
  int64_t id;

  if (!ph_link_is_writable (link) || ph_quic_ending (self)
      || ngtcp2_conn_open_uni_stream (self->conn, &id, NULL) != 0)
    return -1;
  stream = ph_quic_stream_new (self, id, true);
  ngtcp2_conn_set_stream_user_data (self->conn, id, stream);
  return id;
}

void
ph_quic_send (PhLink *link, int64_t id, PhBufSlice data, bool fin)
{
  PhQuicLink *self = ph_quic (link);
  PhQuicStream *stream = ph_quic_stream_find (self, id);

  g_assert (stream == NULL || stream->local);
  if (stream == NULL || stream->dead || ph_quic_ending (self)) {
    ph_buf_slice_clear (&data);
    return;
  }

  g_assert (!stream->fin_queued);
  stream->fin_queued = fin;
  stream->queued += data.len;
  ph_low_mark_rose (&stream->low_queued, stream->queued);
  ph_low_mark_rose (&stream->low_unsent, stream->queued - stream->unacked);

  if (data.len > 0) {
    PhQuicChunk *chunk = g_new0 (PhQuicChunk, 1);

    chunk->slice = data;
    if (stream->tail != NULL)
      stream->tail->next = chunk;
    else
      stream->head = chunk;
    stream->tail = chunk;
    if (stream->next == NULL)
      stream->next = chunk;
  } else {
    ph_buf_slice_clear (&data);
  }
  update_sending (self, stream);
}

void
ph_quic_stream_sent (PhQuicLink *self, PhQuicStream *stream, size_t bytes, bool fin)
{
  if (self->unacked == 0) {
    self->progress_at = self->last_now;
    self->heard_at = PH_NEVER;
  }
  self->unacked += bytes;
  stream->unacked += bytes;
  if (ph_low_mark_fell (&stream->low_unsent, stream->queued - stream->unacked))
    tell_drained (self, stream);

  while (bytes > 0) {
    const size_t left = stream->next->slice.len - stream->next_sent;

    if (bytes < left) {
      stream->next_sent += bytes;
      break;
    }
    bytes -= left;
    stream->next = stream->next->next;
    stream->next_sent = 0;
  }
  if (fin)
    stream->fin_sent = true;

  /* The next packet is another stream's. */
  if (has_something_to_send (stream)) {
    g_queue_unlink (&self->sending, &stream->send_node);
    g_queue_push_tail_link (&self->sending, &stream->send_node);
  } else {
    update_sending (self, stream);
  }
}

void
ph_quic_stream_acked (PhQuicLink *self, PhQuicStream *stream, uint64_t bytes)
{
  g_assert (bytes <= stream->queued);
  g_assert (bytes <= stream->unacked);
  stream->queued -= bytes;
  stream->unacked -= bytes;
  self->unacked -= bytes;
  self->progress_at = self->last_now;
  self->heard_at = PH_NEVER;

  while (bytes > 0) {
    PhQuicChunk *chunk = stream->head;
    const size_t left = chunk->slice.len - stream->head_acked;

    g_assert (chunk != stream->next || bytes <= stream->next_sent);
    if (bytes < left) {
      stream->head_acked += (size_t)bytes;
      break;
    }
    bytes -= left;
    stream->head = chunk->next;
    stream->head_acked = 0;
    if (stream->head == NULL)
      stream->tail = NULL;
    ph_buf_slice_clear (&chunk->slice);
    g_free (chunk);
  }

  if (ph_low_mark_fell (&stream->low_queued, stream->queued))
    tell_drained (self, stream);
}

uint64_t
ph_quic_stream_queued (const PhLink *link, int64_t id)
{
  const PhQuicStream *stream = ph_quic_stream_find (ph_quic_const (link), id);

  return stream != NULL && !stream->dead ? stream->queued : 0;
}

uint64_t
ph_quic_stream_unsent (const PhLink *link, int64_t id)
{
  const PhQuicStream *stream = ph_quic_stream_find (ph_quic_const (link), id);

  return stream != NULL && !stream->dead ? stream->queued - stream->unacked : 0;
}

void
ph_quic_set_low_marks (PhLink *link, int64_t id, uint64_t queued, uint64_t unsent)
{
  PhQuicStream *stream = ph_quic_stream_find (ph_quic (link), id);

  if (stream == NULL || !stream->local)
    return;
  ph_low_mark_set (&stream->low_queued, queued, stream->queued);
  ph_low_mark_set (&stream->low_unsent, unsent, stream->queued - stream->unacked);
}

/* --- Reading ---------------------------------------------------------------------------------- */

static bool
hello_arrived (PhQuicLink *self, PhSlice data)
{
  ngtcp2_conn_extend_max_offset (self->conn, data.len);
  if (data.len == 0)
    return true;
  if (self->hello_came || data.len != 1 || data.data[0] != HELLO)
    return false;
  self->hello_came = true;
  return true;
}

bool
ph_quic_stream_arrived (PhQuicLink *self, PhQuicStream *stream, PhSlice data, bool fin)
{
  if (stream->hello)
    return hello_arrived (self, data);
  if (stream->dead) {
    ngtcp2_conn_extend_max_offset (self->conn, data.len);
    return true;
  }

  ph_receive_buffer_append (&stream->buffer, self->pool, data);
  if (fin) {
    stream->fin_arrived = true;
    stream->tell_fin = true;
    ph_receive_buffer_finish (&stream->buffer);
  }
  want_telling (self, stream);
  return true;
}

/* Drops what has arrived and was not yet handed out; the credit goes back, for nobody else will. */
static void
drop_arrived (PhQuicLink *self, PhQuicStream *stream)
{
  const uint64_t bytes = ph_receive_buffer_drop (&stream->buffer);

  stream->tell_fin = false;
  ngtcp2_conn_extend_max_offset (self->conn, bytes);
}

void
ph_quic_stream_dropped (PhQuicLink *self, PhQuicStream *stream, uint64_t code)
{
  if (stream->dead)
    return;
  stream->dead = true;
  stream->tell_reset = true;
  stream->tell_drained = false;
  stream->reset_code = code;
  if (stream->local)
    update_sending (self, stream);
  else
    drop_arrived (self, stream);
  want_telling (self, stream);
}

void
ph_quic_reset_stream (PhLink *link, int64_t id, uint64_t code)
{
  PhQuicLink *self = ph_quic (link);
  PhQuicStream *stream = ph_quic_stream_find (self, id);

  if (stream == NULL)
    return;

  const bool alive = !stream->dead;

  stream->dead = true;
  stream->tell_reset = false;
  stream->tell_drained = false;
  if (stream->local)
    update_sending (self, stream);
  else
    drop_arrived (self, stream);
  if (alive && !ph_quic_ending (self))
    ngtcp2_conn_shutdown_stream (self->conn, 0, id, code);
}

void
ph_quic_consumed (PhLink *link, int64_t id, uint64_t bytes)
{
  PhQuicLink *self = ph_quic (link);

  if (ph_quic_ending (self) || bytes == 0)
    return;

  const PhQuicStream *stream = ph_quic_stream_find (self, id);

  ngtcp2_conn_extend_max_offset (self->conn, bytes);
  if (stream != NULL && !stream->closed && !stream->dead && !stream->fin_arrived)
    ngtcp2_conn_extend_max_stream_offset (self->conn, id, bytes);
}

/* --- Telling ---------------------------------------------------------------------------------- */

static bool
take_arrived (PhQuicStream *stream, PhLinkEvent *event)
{
  const bool any = ph_receive_buffer_take (&stream->buffer, &event->data);

  if (!any && !stream->tell_fin)
    return false;
  event->type = PH_LINK_EVENT_STREAM_DATA;
  if (ph_receive_buffer_is_empty (&stream->buffer)) {
    event->fin = stream->tell_fin;
    stream->tell_fin = false;
  }
  return true;
}

static bool
stream_tell (PhQuicStream *stream, PhLinkEvent *event)
{
  if (stream->tell_opened) {
    stream->tell_opened = false;
    event->type = PH_LINK_EVENT_STREAM_OPENED;
    return true;
  }
  if (!stream->local && take_arrived (stream, event))
    return true;
  if (stream->tell_reset) {
    stream->tell_reset = false;
    event->type = PH_LINK_EVENT_STREAM_RESET;
    event->code = stream->reset_code;
    return true;
  }
  if (stream->tell_drained) {
    stream->tell_drained = false;
    event->type = PH_LINK_EVENT_DRAINED;
    return true;
  }
  return false;
}

bool
ph_quic_stream_poll_event (PhQuicLink *self, PhLinkEvent *ret_event)
{
  while (self->telling.head != NULL) {
    PhQuicStream *stream = self->telling.head->data;

    *ret_event = (PhLinkEvent){.stream = stream->id};
    if (stream_tell (stream, ret_event))
      return true;
    g_queue_unlink (&self->telling, &stream->tell_node);
    stream->in_telling = false;
    forget_if_done (self, stream);
  }
  return false;
}
