/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "tests/support/ph-fake-link.h"

#include "net/link/ph-low-mark.h"

const PhFakeOptions ph_fake_options_default = {
    .stream_window = 40000,
    .link_window = 90000,
    .streams_max = 16,
    .piece_max = 20000,
};

typedef struct {
  int64_t id;
  /* Writer's side. */
  GQueue queue; /* PhBufSlice*, owned */
  uint64_t queued;
  PhLowMark low_marks[2]; /* everything queued is unsent */
  bool fin_queued;
  /* Both. */
  bool opened_told;
  bool over; /* fin delivered, or reset */
  /* Reader's side. */
  uint64_t delivered;
  uint64_t consumed;
} FakeStream;

typedef struct _FakeLink FakeLink;
struct _FakeLink {
  PhLink base;
  FakeLink *peer; /* NULL once that one is freed or cut off */
  PhFakeOptions options;
  GPtrArray *streams; /* FakeStream, owned: those that this side writes */
  int64_t next_id;
  GQueue events; /* PhLinkEvent*, owned */
  uint64_t unread;
  uint64_t close_code;
};

static FakeLink *
fake (const PhLink *link)
{
  return (FakeLink *)link;
}

static void
slice_free (void *data)
{
  ph_buf_slice_clear (data);
  g_free (data);
}

static void
stream_free (void *data)
{
  FakeStream *stream = data;

  g_queue_clear_full (&stream->queue, slice_free);
  g_free (stream);
}

static void
event_free (void *data)
{
  PhLinkEvent *event = data;

  ph_buf_slice_clear (&event->data);
  g_free (event);
}

static PhLinkEvent *
tell (FakeLink *self, PhLinkEventType type, int64_t stream)
{
  PhLinkEvent *event = g_new0 (PhLinkEvent, 1);

  event->type = type;
  event->stream = stream;
  g_queue_push_tail (&self->events, event);
  return event;
}

static FakeStream *
find (const FakeLink *self, int64_t id)
{
  for (unsigned i = 0; i < self->streams->len; i++) {
    FakeStream *stream = self->streams->pdata[i];

    if (stream->id == id)
      return stream;
  }
  return NULL;
}

static void
die (FakeLink *self, PhLinkError error, uint64_t code)
{
  if (self->base.state == PH_LINK_CLOSED)
    return;
  self->base.state = PH_LINK_CLOSED;

  PhLinkEvent *event = tell (self, PH_LINK_EVENT_CLOSED, -1);

  event->error = error;
  event->code = code;
}

/* --- PhLinkClass -------------------------------------------------------------------------------- */

static void
fake_free (PhLink *link)
{
  FakeLink *self = fake (link);

  if (self->peer != NULL)
    self->peer->peer = NULL;
  g_ptr_array_unref (self->streams);
  g_queue_clear_full (&self->events, event_free);
  g_free (self);
}

static void
fake_handle_packet (PhLink *link, PhTime now, const PhDatagram *in)
{
}

static void
fake_handle_timeout (PhLink *link, PhTime now)
{
}

static bool
fake_poll_transmit (PhLink *link, PhTime now, PhTransmit *tx)
{
  return false;
}

static bool
fake_poll_event (PhLink *link, PhLinkEvent *ret_event)
{
  g_autofree PhLinkEvent *event = g_queue_pop_head (&fake (link)->events);

  if (event == NULL)
    return false;
  *ret_event = *event;
  return true;
}

static PhTime
fake_next_timeout (const PhLink *link, const char **ret_why)
{
  return PH_NEVER;
}

static int64_t
fake_open_stream (PhLink *link)
{
  FakeLink *self = fake (link);
  unsigned open = 0;

  for (unsigned i = 0; i < self->streams->len; i++)
    open += !((FakeStream *)self->streams->pdata[i])->over;
  if (link->state != PH_LINK_READY || open >= self->options.streams_max)
    return -1;

  FakeStream *stream = g_new0 (FakeStream, 1);

  stream->id = self->next_id;
  self->next_id += 2;
  g_queue_init (&stream->queue);
  g_ptr_array_add (self->streams, stream);
  return stream->id;
}

static void
fake_send (PhLink *link, int64_t id, PhBufSlice data, bool fin)
{
  FakeStream *stream = find (fake (link), id);

  g_assert (stream != NULL);
  g_assert_false (stream->fin_queued && !stream->over);
  if (stream->over || link->state != PH_LINK_READY) {
    ph_buf_slice_clear (&data);
    return;
  }
  stream->fin_queued = fin;
  stream->queued += data.len;
  for (unsigned i = 0; i < G_N_ELEMENTS (stream->low_marks); i++)
    ph_low_mark_rose (&stream->low_marks[i], stream->queued);
  if (data.len > 0)
    g_queue_push_tail (&stream->queue, g_memdup2 (&data, sizeof data));
  else
    ph_buf_slice_clear (&data);
}

static uint64_t
fake_stream_queued (const PhLink *link, int64_t id)
{
  const FakeStream *stream = find (fake (link), id);

  g_assert (stream != NULL);
  return stream->queued;
}

static void
fake_set_low_marks (PhLink *link, int64_t id, uint64_t queued, uint64_t unsent)
{
  FakeStream *stream = find (fake (link), id);

  g_assert (stream != NULL);
  ph_low_mark_set (&stream->low_marks[0], queued, stream->queued);
  ph_low_mark_set (&stream->low_marks[1], unsent, stream->queued);
}

static void
fake_consumed (PhLink *link, int64_t id, uint64_t bytes)
{
  FakeLink *self = fake (link);
  FakeStream *stream;

  if (link->state != PH_LINK_READY || self->peer == NULL)
    return;
  stream = find (self->peer, id);
  g_assert (stream != NULL);
  stream->consumed += bytes;
  g_assert_cmpuint (stream->consumed, <=, stream->delivered);
  g_assert_cmpuint (self->unread, >=, bytes);
  self->unread -= bytes;
}

static void
drop (FakeStream *stream)
{
  g_queue_clear_full (&stream->queue, slice_free);
  stream->queued = 0;
  stream->over = true;
}

static void
fake_reset_stream (PhLink *link, int64_t id, uint64_t code)
{
  FakeLink *self = fake (link);
  FakeStream *own = find (self, id);
  FakeLink *peer = self->peer;
  FakeStream *stream = own;

  if (own == NULL && peer != NULL)
    stream = find (peer, id);
  if (stream == NULL || stream->over || link->state != PH_LINK_READY)
    return;
  drop (stream);
  if (peer != NULL && peer->base.state == PH_LINK_READY) {
    if (own != NULL && !own->opened_told)
      return;
    tell (peer, PH_LINK_EVENT_STREAM_RESET, id)->code = code;
  }
}

static void
fake_close (PhLink *link, PhTime now, uint64_t code, const char *reason)
{
  FakeLink *self = fake (link);

  if (link->state == PH_LINK_CLOSED)
    return;
  self->close_code = code;
  die (self, PH_LINK_ERROR_NONE, code);
  if (self->peer != NULL)
    die (self->peer, code != 0 ? PH_LINK_ERROR_APPLICATION : PH_LINK_ERROR_NONE, code);
}

static void
fake_stats (const PhLink *link, PhLinkStats *ret_stats)
{
  const FakeLink *self = fake (link);

  *ret_stats = (PhLinkStats){.rtt = PH_MSEC};
  for (unsigned i = 0; i < self->streams->len; i++)
    ret_stats->bytes_sent += ((FakeStream *)self->streams->pdata[i])->delivered;
}

static const PhLinkClass fake_class = {
    .free = fake_free,
    .handle_packet = fake_handle_packet,
    .handle_timeout = fake_handle_timeout,
    .poll_transmit = fake_poll_transmit,
    .poll_event = fake_poll_event,
    .next_timeout = fake_next_timeout,
    .open_stream = fake_open_stream,
    .send = fake_send,
    .stream_queued = fake_stream_queued,
    .stream_unsent = fake_stream_queued,
    .set_low_marks = fake_set_low_marks,
    .consumed = fake_consumed,
    .reset_stream = fake_reset_stream,
    .close = fake_close,
    .stats = fake_stats,
};

/* --- The pair ----------------------------------------------------------------------------------- */

static FakeLink *
fake_new (int64_t first_id, const PhFakeOptions *options)
{
  FakeLink *self = g_new0 (FakeLink, 1);

  self->base.klass = &fake_class;
  self->base.state = PH_LINK_READY;
  self->options = *options;
  self->streams = g_ptr_array_new_with_free_func (stream_free);
  self->next_id = first_id;
  self->close_code = UINT64_MAX;
  g_queue_init (&self->events);
  return self;
}

PhFakePair *
ph_fake_pair_new (PhRandom random, const PhFakeOptions *options)
{
  PhFakePair *pair = g_new0 (PhFakePair, 1);
  FakeLink *a;
  FakeLink *b;

  pair->options = options != NULL ? *options : ph_fake_options_default;
  a = fake_new (2, &pair->options);
  b = fake_new (3, &pair->options);
  a->peer = b;
  b->peer = a;
  pair->a = &a->base;
  pair->b = &b->base;
  pair->random = random;
  pair->cut_after = UINT64_MAX;
  return pair;
}

void
ph_fake_pair_free (PhFakePair *pair)
{
  if (pair == NULL)
    return;
  ph_link_free (pair->a);
  ph_link_free (pair->b);
  g_free (pair);
}

/* One piece of one stream of `from`; returns its length, or SIZE_MAX if nothing can move. */
static size_t
move_piece (PhFakePair *pair, FakeLink *from, FakeLink *to, FakeStream *stream)
{
  PhBufSlice *head = g_queue_peek_head (&stream->queue);
  const uint64_t left = pair->cut_after - pair->moved;
  uint64_t n = 1 + ph_random_below (&pair->random, pair->options.piece_max);

  n = MIN (n, head != NULL ? head->len : 0);
  n = MIN (n, pair->options.stream_window - (stream->delivered - stream->consumed));
  n = MIN (n, pair->options.link_window - to->unread);
  n = MIN (n, left);
  if (n == 0 && (head != NULL || !stream->fin_queued))
    return SIZE_MAX;

  if (!stream->opened_told)
    tell (to, PH_LINK_EVENT_STREAM_OPENED, stream->id);
  stream->opened_told = true;

  PhLinkEvent *event = tell (to, PH_LINK_EVENT_STREAM_DATA, stream->id);

  if (n > 0) {
    event->data = (PhBufSlice){ph_buf_ref (head->buf), head->off, (size_t)n};
    head->off += (size_t)n;
    head->len -= (size_t)n;
    if (head->len == 0)
      slice_free (g_queue_pop_head (&stream->queue));
  }
  stream->queued -= n;
  stream->delivered += n;
  to->unread += n;
  event->fin = stream->fin_queued && stream->queued == 0;
  stream->over = event->fin;
  for (unsigned i = 0; i < G_N_ELEMENTS (stream->low_marks); i++) {
    if (ph_low_mark_fell (&stream->low_marks[i], stream->queued))
      tell (from, PH_LINK_EVENT_DRAINED, stream->id);
  }
  return (size_t)n;
}

static bool
move_some (PhFakePair *pair, FakeLink *from, FakeLink *to)
{
  const unsigned len = from->streams->len;
  bool moved = false;

  if (len == 0 || to->base.state != PH_LINK_READY || from->base.state != PH_LINK_READY)
    return false;

  const unsigned first = (unsigned)ph_random_below (&pair->random, len);

  for (unsigned i = 0; i < len && pair->moved < pair->cut_after; i++) {
    FakeStream *stream = from->streams->pdata[(first + i) % len];

    if (stream->over)
      continue;

    const size_t n = move_piece (pair, from, to, stream);

    if (n == SIZE_MAX)
      continue;
    pair->moved += n;
    moved = true;
  }
  return moved;
}

bool
ph_fake_pair_step (PhFakePair *pair)
{
  FakeLink *a = fake (pair->a);
  FakeLink *b = fake (pair->b);
  bool moved;

  if (pair->cut)
    return false;
  moved = move_some (pair, a, b);
  moved |= move_some (pair, b, a);
  if (pair->moved >= pair->cut_after) {
    ph_fake_pair_cut (pair);
    return true;
  }
  return moved;
}

void
ph_fake_link_cut (PhLink *link)
{
  FakeLink *self = fake (link);

  for (unsigned i = 0; i < self->streams->len; i++)
    drop (self->streams->pdata[i]);
  die (self, PH_LINK_ERROR_TIMEOUT, 0);
}

void
ph_fake_pair_cut (PhFakePair *pair)
{
  pair->cut = true;
  ph_fake_link_cut (pair->a);
  ph_fake_link_cut (pair->b);
}

uint64_t
ph_fake_link_unread (const PhLink *link)
{
  return fake (link)->unread;
}

uint64_t
ph_fake_link_queued (const PhLink *link)
{
  const FakeLink *self = fake (link);
  uint64_t queued = 0;

  for (unsigned i = 0; i < self->streams->len; i++)
    queued += ((FakeStream *)self->streams->pdata[i])->queued;
  return queued;
}

uint64_t
ph_fake_link_close_code (const PhLink *link)
{
  return fake (link)->close_code;
}
