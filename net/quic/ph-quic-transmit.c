/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/quic/ph-quic-private.h"

/* The kernel takes at most 64 segments in one call, and an IP packet's worth of bytes. */
#define BATCH_SEGMENTS_MAX 64
#define BATCH_BYTES_MAX 65000
/* Pieces of a stream put together in one packet: a packet of small messages is rare. */
#define PIECES_MAX 16

G_STATIC_ASSERT (BATCH_BYTES_MAX <= PH_TRANSMIT_MAX);

/* The bytes that are next on `stream`, enough for one packet. */
static size_t
gather (const PhQuicStream *stream, size_t enough, ngtcp2_vec vec[PIECES_MAX], size_t *ret_bytes,
        bool *ret_all)
{
  const PhQuicChunk *chunk = stream->next;
  size_t skip = stream->next_sent;
  size_t bytes = 0;
  size_t n = 0;

  while (chunk != NULL && n < PIECES_MAX && bytes < enough) {
    vec[n].base = chunk->slice.buf->data + chunk->slice.off + skip;
    vec[n].len = chunk->slice.len - skip;
    bytes += vec[n++].len;
    skip = 0;
    chunk = chunk->next;
  }
  *ret_bytes = bytes;
  *ret_all = chunk == NULL;
  return n;
}

/* The next stream of the round that flow control has not stopped in this batch. */
static PhQuicStream *
next_sender (const PhQuicLink *self)
{
  for (const GList *l = self->sending.head; l != NULL; l = l->next) {
    PhQuicStream *stream = l->data;

    if (stream->blocked_batch != self->batch)
      return stream;
  }
  return NULL;
}

/* One packet into `dest`, of what streams have and whatever QUIC itself wants to say. 0: nothing to
 * send now; negative: ngtcp2's error. */
static ngtcp2_ssize
write_packet (PhQuicLink *self, uint8_t *dest, size_t cap, ngtcp2_pkt_info *pi, PhTime now)
{
  for (;;) {
    PhQuicStream *stream = next_sender (self);
    ngtcp2_vec vec[PIECES_MAX];
    size_t n = 0;
    size_t bytes = 0;
    bool all = false;
    bool fin = false;
    uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_NONE;
    ngtcp2_ssize taken = -1;

    if (stream != NULL) {
      n = gather (stream, cap, vec, &bytes, &all);
      fin = all && stream->fin_queued;
      flags = NGTCP2_WRITE_STREAM_FLAG_MORE | (fin ? NGTCP2_WRITE_STREAM_FLAG_FIN : 0);
    }

    const ngtcp2_ssize written =
        ngtcp2_conn_writev_stream (self->conn, NULL, pi, dest, cap, &taken, flags,
                                   stream != NULL ? stream->id : -1, vec, n, now);

    if (stream != NULL && taken >= 0)
      ph_quic_stream_sent (self, stream, (size_t)taken, fin && (size_t)taken == bytes);

    switch (written) {
    case NGTCP2_ERR_WRITE_MORE:
      break;
    case NGTCP2_ERR_STREAM_DATA_BLOCKED:
    case NGTCP2_ERR_STREAM_SHUT_WR:
    case NGTCP2_ERR_STREAM_NOT_FOUND:
      g_assert (stream != NULL);
      stream->blocked_batch = self->batch;
      break;
    default:
      return written;
    }
  }
}

static void
hold (PhQuicLink *self, const uint8_t *data, size_t len, uint8_t ecn)
{
  g_assert (self->held_len == 0);
  g_assert (len <= sizeof self->held);
  memcpy (self->held, data, len);
  self->held_len = len;
  self->held_ecn = ecn;
}

static bool
take_held (PhQuicLink *self, PhTransmit *tx)
{
  if (self->held_len == 0)
    return false;
  memcpy (tx->data + tx->headroom, self->held, self->held_len);
  tx->len = tx->headroom + self->held_len;
  tx->ecn = self->held_ecn;
  self->held_len = 0;
  return true;
}

/* Appends packets to the batch in `tx` until it is full, pacing or the window says stop, or a packet of
 * another size ends it. */
static void
fill_batch (PhQuicLink *self, PhTime now, PhTransmit *tx)
{
  const size_t cap = ngtcp2_conn_get_max_tx_udp_payload_size (self->conn);
  const size_t full = ngtcp2_conn_get_path_max_tx_udp_payload_size (self->conn);
  const size_t quantum = ngtcp2_conn_get_send_quantum (self->conn);
  const size_t most = MIN (MAX (quantum / full, 1), BATCH_SEGMENTS_MAX);
  const size_t room = tx->headroom;
  size_t segment = tx->len;

  g_assert (cap <= PH_QUIC_DATAGRAM_MAX);
  for (size_t i = tx->len > 0; i < most && tx->len + room + cap <= BATCH_BYTES_MAX; i++) {
    ngtcp2_pkt_info pi = {0};
    uint8_t *dest = tx->data + tx->len + room;
    const ngtcp2_ssize written = write_packet (self, dest, cap, &pi, now);

    if (written < 0) {
      ph_quic_fail (self, now, (int)written);
      break;
    }

    const size_t len = (size_t)written;

    if (len == 0)
      break;
    if (segment == 0) {
      segment = room + len;
      tx->ecn = pi.ecn;
    } else if (room + len > segment || pi.ecn != tx->ecn) {
      hold (self, dest, len, pi.ecn);
      break;
    }
    tx->len += room + len;
    self->stats.bytes_sent += len;
    /* A shorter one must be the last, and one that is short itself leads no others. One that is larger
     * than the path is known to take is a probe of its size: nothing else shares its fate. */
    if (room + len < segment || len != full)
      break;
  }
  if (tx->len > segment)
    tx->segment = (uint16_t)segment;
}

/* The last packet. It goes out twice, for nobody is there to repeat it when it is lost, and the other
 * side would wait out its idle timeout for a link that is gone. */
static void
write_close (PhQuicLink *self, PhTime now, PhTransmit *tx)
{
  ngtcp2_pkt_info pi = {0};
  uint8_t *dest = tx->data + tx->headroom;
  const ngtcp2_ssize written = ngtcp2_conn_write_connection_close (
      self->conn, NULL, &pi, dest, ngtcp2_conn_get_max_tx_udp_payload_size (self->conn),
      &self->ccerr, now);

  if (written > 0) {
    const size_t segment = tx->headroom + (size_t)written;

    memcpy (dest + segment, dest, (size_t)written);
    tx->segment = (uint16_t)segment;
    tx->len = 2 * segment;
    tx->ecn = pi.ecn;
    self->stats.bytes_sent += 2 * (size_t)written;
  }
  ph_quic_closed (self, now);
}

bool
ph_quic_poll_transmit (PhLink *link, PhTime now, PhTransmit *tx)
{
  PhQuicLink *self = ph_quic (link);

  g_assert (now >= self->last_now);
  self->last_now = now;
  tx->len = 0;
  tx->segment = 0;
  tx->ecn = 0;
  if (link->state == PH_LINK_CLOSED)
    return false;

  if (!self->close_due) {
    const bool held = take_held (self, tx);

    if (held)
      self->stats.bytes_sent += tx->len - tx->headroom;
    self->batch++;
    if (!held
        || tx->len - tx->headroom <= ngtcp2_conn_get_path_max_tx_udp_payload_size (self->conn))
      fill_batch (self, now, tx);
    ngtcp2_conn_update_pkt_tx_time (self->conn, now);
  }
  if (self->close_due && tx->len == 0)
    write_close (self, now, tx);
  return tx->len > 0;
}
