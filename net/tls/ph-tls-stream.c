/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/tls/ph-tls-private.h"

/* --- Lists -------------------------------------------------------------------------------------- */

bool
ph_tls_stream_has_data (const PhTlsStream *stream)
{
  return stream->local && !stream->dead
         && (stream->sent < stream->queued || (stream->fin_queued && !stream->fin_sent));
}

static void
list_if (GQueue *list, GList *node, bool *listed, bool want)
{
  if (want && !*listed)
    g_queue_push_tail_link (list, node);
  else if (!want && *listed)
    g_queue_unlink (list, node);
  *listed = want;
}

static bool
has_news (const PhTlsStream *stream)
{
  return stream->tell_opened || stream->tell_fin || stream->tell_reset || stream->tell_drained
         || (!stream->local && !ph_receive_buffer_is_empty (&stream->buffer));
}

void
ph_tls_stream_settle (PhTlsLink *self, PhTlsStream *stream)
{
  const bool control = stream->reset_due || stream->stop_due
                       || (!stream->local && ph_tls_stream_credit_due (self, stream));

  list_if (&self->sending, &stream->send_node, &stream->in_sending,
           ph_tls_stream_has_data (stream));
  list_if (&self->controls, &stream->control_node, &stream->in_controls, control);
  /* Off this list it goes by being told. */
  if (has_news (stream))
    list_if (&self->telling, &stream->tell_node, &stream->in_telling, true);
}

/* --- Coming and going --------------------------------------------------------------------------- */

static int64_t
id_of (uint32_t index, bool local)
{
  return (int64_t)index * 2 + (local ? 0 : 1);
}

static PhTlsStream *
stream_new (PhTlsLink *self, uint32_t index, bool local)
{
  PhTlsStream *stream = g_new0 (PhTlsStream, 1);

  stream->index = index;
  stream->id = id_of (index, local);
  stream->local = local;
  stream->send_node.data = stream;
  stream->control_node.data = stream;
  stream->tell_node.data = stream;
  g_queue_init (&stream->chunks);
  if (!local)
    ph_receive_buffer_init (&stream->buffer);
  g_hash_table_insert (self->streams, &stream->id, stream);
  return stream;
}

static void
chunk_free (void *pointer)
{
  PhBufSlice *chunk = pointer;

  ph_buf_slice_clear (chunk);
  g_free (chunk);
}

void
ph_tls_stream_free (void *pointer)
{
  PhTlsStream *stream = pointer;

  g_queue_clear_full (&stream->chunks, chunk_free);
  ph_receive_buffer_clear (&stream->buffer);
  g_free (stream);
}

static PhTlsStream *
find (const PhTlsLink *self, int64_t id)
{
  return g_hash_table_lookup (self->streams, &id);
}

PhTlsStream *
ph_tls_stream_find_local (const PhTlsLink *self, uint32_t index)
{
  return find (self, id_of (index, true));
}

PhTlsStream *
ph_tls_stream_find_remote (const PhTlsLink *self, uint32_t index)
{
  return find (self, id_of (index, false));
}

PhTlsStream *
ph_tls_stream_accept (PhTlsLink *self, uint32_t index)
{
  PhTlsStream *stream;

  if (index >= self->streams_told)
    return NULL;
  /* Those before it were opened as well, and have nothing to say yet. */
  while (self->next_remote <= index) {
    stream = stream_new (self, self->next_remote++, false);
    stream->untold = true;
    stream->told_limit = self->config.stream_window; /* the hello's */
  }
  stream = ph_tls_stream_find_remote (self, index);
  if (stream != NULL && stream->untold) {
    stream->untold = false;
    stream->tell_opened = true;
    ph_tls_stream_settle (self, stream);
  }
  return stream;
}

/* Over for both sides, and all of it told and said. */
static bool
is_done (const PhTlsStream *stream)
{
  if (stream->in_telling || stream->in_controls || stream->in_sending)
    return false;
  return stream->local ? stream->dead || stream->fin_arrived : stream->fin_came;
}

void
ph_tls_stream_forget_if_done (PhTlsLink *self, PhTlsStream *stream)
{
  if (!is_done (stream) || stream == self->body_stream)
    return;
  if (!stream->local)
    self->streams_forgotten++;
  g_hash_table_remove (self->streams, &stream->id);
}

/* --- Writing ------------------------------------------------------------------------------------ */

int64_t
ph_tls_open_stream (PhLink *link)
{
  PhTlsLink *self = ph_tls (link);
  PhTlsStream *stream;

  if (link->state != PH_LINK_READY || ph_tls_ending (self)
      || self->next_local >= self->streams_allowed || self->next_local == G_MAXUINT32)
    return -1;
  stream = stream_new (self, self->next_local++, true);
  stream->limit = self->remote_stream_window;
  return stream->id;
}

void
ph_tls_send (PhLink *link, int64_t id, PhBufSlice data, bool fin)
{
  PhTlsLink *self = ph_tls (link);
  PhTlsStream *stream = find (self, id);

  g_assert (stream == NULL || stream->local);
  if (stream == NULL || stream->dead || ph_tls_ending (self)) {
    ph_buf_slice_clear (&data);
    return;
  }

  g_assert (!stream->fin_queued);
  stream->fin_queued = fin;
  stream->queued += data.len;
  ph_low_mark_rose (&stream->low_queued, stream->queued - stream->arrived);
  ph_low_mark_rose (&stream->low_unsent, stream->queued - stream->sent);
  if (data.len > 0)
    g_queue_push_tail (&stream->chunks, g_memdup2 (&data, sizeof data));
  else
    ph_buf_slice_clear (&data);
  ph_tls_stream_settle (self, stream);
}

void
ph_tls_stream_sent (PhTlsLink *self, PhTlsStream *stream, size_t len, bool fin)
{
  PhBufSlice *chunk = g_queue_peek_head (&stream->chunks);

  stream->sent += len;
  stream->head_sent += len;
  if (chunk != NULL && stream->head_sent == chunk->len) {
    chunk_free (g_queue_pop_head (&stream->chunks));
    stream->head_sent = 0;
  }
  stream->fin_sent = fin;
  if (ph_low_mark_fell (&stream->low_unsent, stream->queued - stream->sent))
    stream->tell_drained = true;
  /* The next frame is another stream's. */
  list_if (&self->sending, &stream->send_node, &stream->in_sending, false);
  ph_tls_stream_settle (self, stream);
}

bool
ph_tls_stream_credit (PhTlsLink *self, PhTlsStream *stream, uint64_t arrived, uint64_t limit,
                      bool fin)
{
  if (arrived > stream->sent || (fin && !(stream->fin_sent && arrived == stream->queued)))
    return false;

  stream->arrived = MAX (stream->arrived, arrived);
  stream->limit = MAX (stream->limit, limit);
  stream->fin_arrived = stream->fin_arrived || fin;
  if (!stream->dead && ph_low_mark_fell (&stream->low_queued, stream->queued - stream->arrived))
    stream->tell_drained = true;
  ph_tls_stream_settle (self, stream);
  ph_tls_stream_forget_if_done (self, stream);
  return true;
}

uint64_t
ph_tls_stream_queued (const PhLink *link, int64_t id)
{
  const PhTlsStream *stream = find (ph_tls_const (link), id);

  return stream != NULL && !stream->dead ? stream->queued - stream->arrived : 0;
}

uint64_t
ph_tls_stream_unsent (const PhLink *link, int64_t id)
{
  const PhTlsStream *stream = find (ph_tls_const (link), id);

  return stream != NULL && !stream->dead ? stream->queued - stream->sent : 0;
}

void
ph_tls_set_low_marks (PhLink *link, int64_t id, uint64_t queued, uint64_t unsent)
{
  PhTlsStream *stream = find (ph_tls (link), id);

  if (stream == NULL || !stream->local)
    return;
  ph_low_mark_set (&stream->low_queued, queued, stream->queued - stream->arrived);
  ph_low_mark_set (&stream->low_unsent, unsent, stream->queued - stream->sent);
}

/* --- Reading ------------------------------------------------------------------------------------ */

uint64_t
ph_tls_stream_limit (const PhTlsLink *self, const PhTlsStream *stream)
{
  return stream->consumed + self->stream_window;
}

bool
ph_tls_stream_credit_due (const PhTlsLink *self, const PhTlsStream *stream)
{
  if (stream->received != stream->told_received || stream->fin_came != stream->told_fin)
    return true;
  return !stream->fin_came && !stream->dead
         && ph_tls_stream_limit (self, stream) >= stream->told_limit + self->stream_window / 4;
}

void
ph_tls_consumed (PhLink *link, int64_t id, uint64_t bytes)
{
  PhTlsLink *self = ph_tls (link);
  PhTlsStream *stream = find (self, id);

  self->consumed += bytes;
  g_assert (self->consumed <= self->received);
  if (stream == NULL)
    return;
  stream->consumed += bytes;
  ph_tls_stream_settle (self, stream);
}

void
ph_tls_stream_fin (PhTlsLink *self, PhTlsStream *stream)
{
  stream->fin_came = true;
  if (stream->dead)
    return;
  stream->tell_fin = true;
  ph_receive_buffer_finish (&stream->buffer);
}

/* Drops what was not handed out; the credit goes back, for nobody else will give it. */
static void
drop_received (PhTlsLink *self, PhTlsStream *stream)
{
  /* Of a frame that is half here the rest is yet to come. */
  const size_t to_come = stream == self->body_stream ? self->body_left : 0;
  const uint64_t bytes = ph_receive_buffer_drop (&stream->buffer) + to_come;

  stream->tell_fin = false;
  stream->consumed += bytes;
  self->consumed += bytes;
}

void
ph_tls_stream_dropped (PhTlsLink *self, PhTlsStream *stream, uint64_t code)
{
  const bool alive = !stream->dead;

  if (!stream->local)
    stream->fin_came = true;
  if (alive) {
    stream->dead = true;
    stream->tell_reset = true;
    stream->tell_drained = false;
    stream->reset_code = code;
    /* The reader waits for a word that nothing more comes. */
    stream->reset_due = stream->local && !stream->fin_sent;
    stream->code = code;
    if (!stream->local)
      drop_received (self, stream);
  }
  ph_tls_stream_settle (self, stream);
  ph_tls_stream_forget_if_done (self, stream);
}

void
ph_tls_reset_stream (PhLink *link, int64_t id, uint64_t code)
{
  PhTlsLink *self = ph_tls (link);
  PhTlsStream *stream = find (self, id);

  if (stream == NULL)
    return;

  const bool alive = !stream->dead;

  stream->dead = true;
  stream->tell_reset = false;
  stream->tell_drained = false;
  if (alive && !ph_tls_ending (self)) {
    stream->reset_due = stream->local;
    stream->stop_due = !stream->local && !stream->fin_came;
    stream->code = code;
  }
  if (stream->local)
    g_queue_clear_full (&stream->chunks, chunk_free);
  else if (alive)
    drop_received (self, stream);
  ph_tls_stream_settle (self, stream);
  ph_tls_stream_forget_if_done (self, stream);
}

/* --- Telling ------------------------------------------------------------------------------------ */

static bool
take_received (PhTlsStream *stream, PhLinkEvent *event)
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
stream_tell (PhTlsStream *stream, PhLinkEvent *event)
{
  if (stream->tell_opened) {
    stream->tell_opened = false;
    event->type = PH_LINK_EVENT_STREAM_OPENED;
    return true;
  }
  if (!stream->local && take_received (stream, event))
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
ph_tls_stream_poll_event (PhTlsLink *self, PhLinkEvent *ret_event)
{
  while (self->telling.head != NULL) {
    PhTlsStream *stream = self->telling.head->data;

    *ret_event = (PhLinkEvent){.stream = stream->id};
    if (stream_tell (stream, ret_event))
      return true;
    list_if (&self->telling, &stream->tell_node, &stream->in_telling, false);
    ph_tls_stream_forget_if_done (self, stream);
  }
  return false;
}
