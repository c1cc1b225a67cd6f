/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "tests/support/ph-test-quic.h"

#include "tests/support/ph-test.h"

/* A prime, so that a slip by any power of two shows. */
#define PATTERN_PERIOD 65521

typedef struct {
  PhTime arrives;
  unsigned to;
  uint8_t ecn;
  size_t len;
  uint8_t data[];
} Flying;

static const uint8_t *
pattern (void)
{
  static uint8_t bytes[PATTERN_PERIOD];

  if (bytes[1] == 0) {
    for (size_t i = 0; i < PATTERN_PERIOD; i++)
      bytes[i] = (uint8_t)(i * 167 + (i >> 8));
  }
  return bytes;
}

static void
fill_pattern (uint8_t *out, uint64_t offset, size_t len)
{
  while (len > 0) {
    const size_t at = offset % PATTERN_PERIOD;
    const size_t n = MIN (len, PATTERN_PERIOD - at);

    memcpy (out, pattern () + at, n);
    out += n;
    offset += n;
    len -= n;
  }
}

static void
check_pattern (const uint8_t *data, uint64_t offset, size_t len)
{
  while (len > 0) {
    const size_t at = offset % PATTERN_PERIOD;
    const size_t n = MIN (len, PATTERN_PERIOD - at);

    g_assert_cmpmem (data, n, pattern () + at, n);
    data += n;
    offset += n;
    len -= n;
  }
}

void
ph_test_quic_send (PhLink *link, int64_t stream, uint64_t offset, size_t len, bool fin)
{
  PhBufSlice slice = {NULL, 0, len};

  if (len > 0) {
    slice.buf = ph_buf_new (len);
    fill_pattern (slice.buf->data, offset, len);
  }
  ph_link_send (link, stream, slice, fin);
}

void
ph_test_quic_send_all (PhTestQuic *self, unsigned from, uint64_t total)
{
  PhLink *link = self->side[from].link;
  const int64_t stream = ph_link_open_stream (link);

  g_assert_cmpint (stream, >=, 0);
  for (uint64_t at = 0; at < total; at += 256 * 1024)
    ph_test_quic_send (link, stream, at, MIN (256 * 1024, total - at), false);
  ph_test_quic_send (link, stream, total, 0, true);
}

PhTestStream *
ph_test_quic_only_stream (PhTestSide *side)
{
  GHashTableIter iter;
  void *value = NULL;

  g_assert_cmpuint (g_hash_table_size (side->streams), ==, 1);
  g_hash_table_iter_init (&iter, side->streams);
  g_hash_table_iter_next (&iter, NULL, &value);
  return value;
}

void
ph_test_quic_init (PhTestQuic *self, const char *name)
{
  *self = (PhTestQuic){.now = 1000 * PH_SEC, .wire.delay = 10 * PH_MSEC};
  self->random = ph_test_random (&self->seeded, name);
  self->out = g_malloc (PH_TRANSMIT_MAX);
  for (unsigned i = 0; i < 2; i++) {
    uint8_t seed[PH_TLS_SEED_LEN];

    g_queue_init (&self->flying[i]);
    ph_random_bytes (&self->random, seed, sizeof seed);
    self->side[i].identity = ph_tls_identity_new (seed);
    self->side[i].streams = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, g_free);
  }
  for (unsigned i = 0; i < 2; i++) {
    self->config[i] = (PhQuicConfig){
        .client = i == PH_TEST_CLIENT, .identity = self->side[i].identity, .random = self->random};
    memcpy (self->config[i].peer_key, ph_tls_identity_key (self->side[!i].identity), PH_KEY_LEN);
  }
}

void
ph_test_tls_init (PhTestQuic *self, const char *name)
{
  ph_test_quic_init (self, name);
  self->tls = true;
  self->flying_max = 1 << 20;
  self->wire.queue_max = PH_NEVER;
  for (unsigned i = 0; i < 2; i++) {
    self->tls_config[i] =
        (PhTlsLinkConfig){.client = i == PH_TEST_CLIENT, .identity = self->side[i].identity};
    memcpy (self->tls_config[i].peer_key, ph_tls_identity_key (self->side[!i].identity),
            PH_KEY_LEN);
  }
}

void
ph_test_quic_clear (PhTestQuic *self)
{
  for (unsigned i = 0; i < 2; i++) {
    ph_link_free (self->side[i].link);
    ph_tls_identity_unref (self->side[i].identity);
    g_hash_table_unref (self->side[i].streams);
    g_queue_clear_full (&self->flying[i], g_free);
  }
  g_free (self->out);
}

void
ph_test_quic_start (PhTestQuic *self)
{
  for (unsigned i = 0; self->tls && i < 2; i++)
    self->side[i].link = ph_tls_link_new (&self->tls_config[i], self->now);
  if (self->tls)
    return;
  self->side[PH_TEST_CLIENT].link = ph_quic_link_new (&self->config[PH_TEST_CLIENT], self->now);
  g_assert_nonnull (self->side[PH_TEST_CLIENT].link);
}

/* --- The wire --------------------------------------------------------------------------------- */

static void
fly (PhTestQuic *self, unsigned to, const uint8_t *data, size_t len, uint8_t ecn)
{
  PhTime leaves = self->now;

  if (self->wire.rate > 0) {
    leaves = MAX (leaves, self->free_at[to]);
    if (leaves - self->now > self->wire.queue_max)
      return;
    leaves += len * PH_SEC / self->wire.rate;
    self->free_at[to] = leaves;
  }

  Flying *flying = g_malloc (sizeof *flying + len);
  const PhTime jitter =
      self->wire.jitter > 0 ? ph_random_below (&self->random, self->wire.jitter) : 0;

  self->flying_bytes[to] += len;
  *flying =
      (Flying){.arrives = leaves + self->wire.delay + jitter, .to = to, .ecn = ecn, .len = len};
  memcpy (flying->data, data, len);

  /* Behind all that arrive no later: among the last, if not the last. */
  GList *after = self->flying[to].tail;

  while (after != NULL && ((Flying *)after->data)->arrives > flying->arrives)
    after = after->prev;
  g_queue_insert_after (&self->flying[to], after, flying);
}

static bool
chance (PhTestQuic *self, unsigned in_thousand)
{
  return in_thousand > 0 && ph_random_below (&self->random, 1000) < in_thousand;
}

static void
launch (PhTestQuic *self, unsigned from, uint8_t *data, size_t len, uint8_t ecn)
{
  const unsigned to = !from;

  /* STUN shares the socket: this is what it is told apart by. */
  g_assert_true ((data[0] & 0x40) != 0);
  g_assert_cmpuint (len, <=, 1452);
  self->side[from].datagrams_out++;
  if (self->tap != NULL && !self->tap (self->tap_user, to, data, len))
    return;
  if (self->cut || chance (self, self->wire.loss) || (self->wire.mtu > 0 && len > self->wire.mtu))
    return;
  fly (self, to, data, len, ecn);
  if (chance (self, self->wire.duplicate))
    fly (self, to, data, len, ecn);
}

static void
deliver (PhTestQuic *self, Flying *flying)
{
  PhTestSide *side = &self->side[flying->to];
  const PhDatagram in = {.ecn = flying->ecn, .bytes = ph_slice (flying->data, flying->len)};

  if (side->link == NULL) {
    PhSlice dcid;
    PhSlice scid;

    g_assert_cmpuint (flying->to, ==, PH_TEST_SERVER);
    if (!ph_quic_is_initial (in.bytes, &dcid, &scid))
      return;
    self->config[PH_TEST_SERVER].initial = in.bytes;
    side->link = ph_quic_link_new (&self->config[PH_TEST_SERVER], self->now);
    self->config[PH_TEST_SERVER].initial = (PhSlice){0};
    if (side->link == NULL)
      return;
  }
  ph_link_handle_packet (side->link, self->now, &in);
}

static void
deliver_due (PhTestQuic *self, unsigned to)
{
  GQueue *flying = &self->flying[to];

  while (flying->head != NULL && ((Flying *)flying->head->data)->arrives <= self->now) {
    g_autofree Flying *first = g_queue_pop_head (flying);

    self->flying_bytes[to] -= first->len;
    deliver (self, first);
  }
}

/* A reliable stream: only how it is cut, and the cut, are up to the wire. */
static void
launch_stream (PhTestQuic *self, unsigned from, uint8_t *data, size_t len)
{
  self->side[from].datagrams_out++;
  if (self->tap != NULL)
    self->tap (self->tap_user, !from, data, len);
  while (!self->cut && len > 0) {
    size_t n = len;

    if (self->piece_max > 0)
      n = 1 + ph_random_below (&self->random, MIN (len, self->piece_max));

    fly (self, !from, data, n, 0);
    data += n;
    len -= n;
  }
}

/* --- The sides -------------------------------------------------------------------------------- */

static PhTestStream *
find_stream (PhTestSide *side, int64_t id)
{
  PhTestStream *stream = g_hash_table_lookup (side->streams, &id);

  g_assert_nonnull (stream);
  return stream;
}

static void
take_data (PhTestSide *side, PhLinkEvent *event)
{
  PhTestStream *stream = find_stream (side, event->stream);

  g_assert_false (stream->fin);
  g_assert_false (stream->reset);
  if (event->data.len > 0)
    check_pattern (ph_buf_slice_data (&event->data), stream->bytes, event->data.len);
  stream->bytes += event->data.len;
  side->bytes_in += event->data.len;
  side->slice_max = MAX (side->slice_max, event->data.len);
  if (side->hold)
    stream->unconsumed += event->data.len;
  else
    ph_link_consumed (side->link, event->stream, event->data.len);
  if (event->fin) {
    stream->fin = true;
    side->n_fin++;
  }
  ph_buf_slice_clear (&event->data);
}

static void
take_event (PhTestSide *side, PhLinkEvent *event)
{
  g_assert_cmpuint (side->n_closed, ==, 0);
  switch (event->type) {
  case PH_LINK_EVENT_READY:
    g_assert_cmpuint (side->n_ready++, ==, 0);
    break;
  case PH_LINK_EVENT_STREAM_OPENED: {
    PhTestStream *stream = g_new0 (PhTestStream, 1);

    g_assert_cmpuint (side->n_ready, ==, 1);
    stream->id = event->stream;
    g_assert_true (g_hash_table_insert (side->streams, &stream->id, stream));
    side->n_opened++;
    break;
  }
  case PH_LINK_EVENT_STREAM_DATA:
    take_data (side, event);
    break;
  case PH_LINK_EVENT_STREAM_RESET: {
    PhTestStream *stream = g_hash_table_lookup (side->streams, &event->stream);

    if (stream != NULL)
      stream->reset = true;
    side->n_reset++;
    side->reset_code = event->code;
    break;
  }
  case PH_LINK_EVENT_DRAINED:
    side->n_drained++;
    break;
  case PH_LINK_EVENT_CLOSED:
    side->n_closed++;
    side->closed = *event;
    break;
  default:
    g_assert_not_reached ();
  }
}

static void
settle_side (PhTestQuic *self, unsigned i)
{
  PhTestSide *side = &self->side[i];
  PhTransmit tx = {.data = self->out, .cap = PH_TRANSMIT_MAX, .headroom = self->headroom};
  PhLinkEvent event;

  if (side->link == NULL)
    return;
  while (ph_link_poll_event (side->link, &event))
    take_event (side, &event);
  while ((!self->tls || self->flying_bytes[!i] < self->flying_max)
         && ph_link_poll_transmit (side->link, self->now, &tx)) {
    const size_t segment = tx.segment > 0 ? tx.segment : tx.len;

    g_assert_cmpuint (tx.len, >, 0);
    g_assert_cmpuint (tx.len, <=, PH_TRANSMIT_MAX);
    side->batches_out++;
    side->batch_max = MAX (side->batch_max, tx.len);
    for (size_t at = 0; at < tx.len; at += segment) {
      const size_t len = MIN (segment, tx.len - at);

      g_assert_cmpuint (len, >, tx.headroom);
      if (self->tls)
        launch_stream (self, i, tx.data + at + tx.headroom, len - tx.headroom);
      else
        launch (self, i, tx.data + at + tx.headroom, len - tx.headroom, tx.ecn);
    }
  }
  while (ph_link_poll_event (side->link, &event))
    take_event (side, &event);
}

void
ph_test_quic_settle (PhTestQuic *self)
{
  settle_side (self, PH_TEST_CLIENT);
  settle_side (self, PH_TEST_SERVER);
}

static PhTime
next_time (PhTestQuic *self)
{
  PhTime next = PH_NEVER;

  for (unsigned i = 0; i < 2; i++) {
    const Flying *first = g_queue_peek_head (&self->flying[i]);

    if (first != NULL)
      next = ph_time_min (next, first->arrives);
    if (self->side[i].link != NULL)
      next = ph_time_min (next, ph_link_next_timeout (self->side[i].link, NULL));
  }
  return next;
}

bool
ph_test_quic_run (PhTestQuic *self, PhTime span, bool (*done) (PhTestQuic *self))
{
  const PhTime end = self->now + span;
  unsigned stuck = 0;

  for (;;) {
    ph_test_quic_settle (self);
    if (done != NULL && done (self))
      return true;

    const PhTime next = next_time (self);

    if (next > end) {
      self->now = end;
      return false;
    }
    /* A deadline that stays in the past would make a driver spin. */
    stuck = next <= self->now ? stuck + 1 : 0;
    g_assert_cmpuint (stuck, <, 100);
    self->now = MAX (self->now, next);

    for (unsigned i = 0; i < 2; i++) {
      deliver_due (self, i);
      if (self->side[i].link != NULL)
        ph_link_handle_timeout (self->side[i].link, self->now);
    }
  }
}

bool
ph_test_quic_ready (PhTestQuic *self)
{
  return self->side[0].n_ready > 0 && self->side[1].n_ready > 0;
}

bool
ph_test_quic_closed (PhTestQuic *self)
{
  return self->side[0].n_closed > 0 && self->side[1].n_closed > 0;
}

void
ph_test_quic_connect (PhTestQuic *self)
{
  ph_test_quic_start (self);
  g_assert_true (ph_test_quic_run (self, 10 * PH_SEC, ph_test_quic_ready));
}
