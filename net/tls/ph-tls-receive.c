/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/tls/ph-tls-private.h"

/* What is read of streams that were given up: only to be dropped. */
#define DISCARD_LEN 4096

static PhTime
since_ping (const PhTlsLink *self)
{
  return ph_time_since (self->last_now, self->ping_sent_at);
}

static void
handle_pong (PhTlsLink *self, uint64_t token)
{
  const PhTime sample = since_ping (self);

  if (!self->ping_open || token != self->ping_sent_at)
    return;
  self->ping_open = false;
  self->stats.rtt = self->stats.rtt == 0 ? MAX (sample, 1) : (7 * self->stats.rtt + sample) / 8;
}

static void
handle_hello (PhTlsLink *self, const PhTlsFrameBody *body)
{
  self->hello_came = true;
  self->limit = body->limit;
  self->remote_stream_window = body->stream_limit;
  self->streams_allowed = body->streams;
  ph_tls_ready (self);
}

static void
handle_close (PhTlsLink *self, const PhTlsFrameBody *body)
{
  PhLinkError error = PH_LINK_ERROR_PROTOCOL;

  if (body->kind == PH_TLS_CLOSE_APPLICATION)
    error = body->code == 0 ? PH_LINK_ERROR_NONE : PH_LINK_ERROR_APPLICATION;
  ph_tls_end_silently (self, error, body->kind == PH_TLS_CLOSE_APPLICATION ? body->code : 0,
                       body->reason);
}

/* Of one of our streams. Those that are done are forgotten here sooner than there. */
static void
handle_local (PhTlsLink *self, const PhTlsFrameBody *body)
{
  PhTlsStream *stream = ph_tls_stream_find_local (self, self->header.stream);

  if (self->header.stream >= self->next_local) {
    ph_tls_violated (self, "of a stream that was not opened");
    return;
  }
  if (stream == NULL)
    return;
  if (self->header.type == PH_TLS_FRAME_STOP)
    ph_tls_stream_dropped (self, stream, body->code);
  else if (!ph_tls_stream_credit (self, stream, body->arrived, body->limit, self->header.fin))
    ph_tls_violated (self, "more has arrived than was sent");
}

static void
handle_reset (PhTlsLink *self, const PhTlsFrameBody *body)
{
  PhTlsStream *stream = ph_tls_stream_accept (self, self->header.stream);

  /* One that is over here may be given up there at the same time. */
  if (stream != NULL)
    ph_tls_stream_dropped (self, stream, body->code);
  else if (self->header.stream >= self->next_remote)
    ph_tls_violated (self, "one stream too many");
}

static void
handle_control (PhTlsLink *self)
{
  PhReader r = ph_reader (ph_slice (self->head, self->header.len));
  PhTlsFrameBody body;

  ph_tls_frame_read_body (&r, self->header.type, &body);
  if (!ph_reader_ok (&r) || self->hello_came == (self->header.type == PH_TLS_FRAME_HELLO)) {
    ph_tls_violated (self, "not a frame, or not the first");
    return;
  }
  switch ((PhTlsFrameType)self->header.type) {
  case PH_TLS_FRAME_HELLO:
    handle_hello (self, &body);
    break;
  case PH_TLS_FRAME_RESET:
    handle_reset (self, &body);
    break;
  case PH_TLS_FRAME_STOP:
  case PH_TLS_FRAME_CREDIT:
    handle_local (self, &body);
    break;
  case PH_TLS_FRAME_LINK_CREDIT:
    self->limit = MAX (self->limit, body.limit);
    break;
  case PH_TLS_FRAME_STREAMS:
    self->streams_allowed = MAX (self->streams_allowed, body.streams);
    break;
  case PH_TLS_FRAME_PING:
    /* A peer that asks faster than it reads gets the last answer only. */
    self->pong_due = true;
    self->pong_token = body.token;
    break;
  case PH_TLS_FRAME_PONG:
    handle_pong (self, body.token);
    break;
  case PH_TLS_FRAME_CLOSE:
    handle_close (self, &body);
    break;
  case PH_TLS_FRAME_DATA:
  default:
    g_assert_not_reached ();
  }
}

/* --- Data --------------------------------------------------------------------------------------- */

static void
data_done (PhTlsLink *self)
{
  PhTlsStream *stream = self->body_stream;

  self->in_body = false;
  self->body_stream = NULL;
  if (stream == NULL)
    return;
  if (self->header.fin)
    ph_tls_stream_fin (self, stream);
  ph_tls_stream_settle (self, stream);
  ph_tls_stream_forget_if_done (self, stream);
}

static void
begin_data (PhTlsLink *self)
{
  const size_t len = self->header.len;
  PhTlsStream *stream = NULL;

  if (!self->hello_came) {
    ph_tls_violated (self, "data before the hello");
    return;
  }
  stream = ph_tls_stream_accept (self, self->header.stream);
  if (stream == NULL || stream->fin_came) {
    ph_tls_violated (self, "data of a stream that is not open");
    return;
  }
  if (len > stream->told_limit - stream->received || len > self->told_limit - self->received) {
    ph_tls_violated (self, "more data than was allowed");
    return;
  }
  self->body_left = len;
  self->body_stream = stream;
  self->received += len;
  stream->received += len;
  if (stream->dead) {
    self->consumed += len;
    stream->consumed += len;
  }
  if (len == 0)
    data_done (self);
}

/* False: nothing more for now. */
static bool
read_data (PhTlsLink *self)
{
  PhTlsStream *stream = self->body_stream;
  uint8_t discard[DISCARD_LEN];
  uint8_t *dest = discard;
  size_t room = sizeof discard;
  size_t n;

  if (!stream->dead)
    dest = ph_receive_buffer_reserve (&stream->buffer, self->pool, &room);
  n = ph_tls_read (self, dest, MIN (room, self->body_left));
  if (n == 0)
    return false;
  if (!stream->dead)
    ph_receive_buffer_commit (&stream->buffer, n);
  self->body_left -= n;
  if (self->body_left == 0)
    data_done (self);
  return true;
}

/* --- Frames ------------------------------------------------------------------------------------- */

static void
header_done (PhTlsLink *self)
{
  PhReader r = ph_reader (ph_slice (self->head, PH_TLS_FRAME_HEADER_LEN));

  ph_tls_frame_read_header (&r, &self->header);
  self->head_len = 0;
  if (!ph_reader_ok (&r)) {
    ph_tls_violated (self, "not a frame");
    return;
  }
  self->in_body = true;
  if (self->header.type == PH_TLS_FRAME_DATA)
    begin_data (self);
}

static bool
read_head (PhTlsLink *self)
{
  const size_t want = self->in_body ? self->header.len : PH_TLS_FRAME_HEADER_LEN;

  if (self->head_len < want) {
    const size_t n = ph_tls_read (self, self->head + self->head_len, want - self->head_len);

    if (n == 0)
      return false;
    self->head_len += n;
  }
  if (self->head_len < want)
    return true;
  if (!self->in_body) {
    header_done (self);
    return true;
  }
  self->in_body = false;
  self->head_len = 0;
  handle_control (self);
  return true;
}

/* What has arrived of streams is told, also of one whose frame is not complete. */
static void
show_part (PhTlsLink *self)
{
  if (self->body_stream != NULL)
    ph_tls_stream_settle (self, self->body_stream);
}

void
ph_tls_receive (PhTlsLink *self)
{
  bool more = true;

  while (more && !ph_tls_ending (self))
    more = self->body_stream != NULL ? read_data (self) : read_head (self);
  show_part (self);
}
