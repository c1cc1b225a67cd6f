/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside net/quic: the link's state and what its files ask of each other.
 *
 *   ph-quic-link.c      making and ending a link, the verbs
 *   ph-quic-conn.c      the ngtcp2 connection: its settings, and what it tells
 *   ph-quic-stream.c    streams: what is queued, what has arrived, what is to be told
 *   ph-quic-transmit.c  packets out: batches
 *   ph-quic-packet.c    the cleartext of packet headers: whose is this datagram? */

#pragma once

#include "net/link/ph-low-mark.h"
#include "net/link/ph-receive-buffer.h"
#include "net/quic/ph-quic.h"

#include <netinet/in.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>

/* Streams that the peer may have open at once. A session needs one for control and one a file in flight;
 * each may hold a receive buffer. */
#define PH_QUIC_STREAMS_MAX 64
/* Arriving bytes are copied once, into buffers of this size: what the sink writes at once. */
#define PH_QUIC_BUF_SIZE (256 * 1024)
/* Free receive buffers kept: the first window's worth. */
#define PH_QUIC_BUFS_KEPT 16
/* Our connection ids. 8 random bytes are enough to find a connection among those of one socket. */
#define PH_QUIC_CID_LEN 8
/* ngtcp2 keeps at most 8 ids in use, and some retired ones until the peer has let go of them. */
#define PH_QUIC_CIDS_MAX 32
/* Nothing of what was sent is acknowledged for this long, and yet the peer is heard: the path has begun to
 * swallow large packets, for which ngtcp2 has no cure. Longer than a link survives on a path that is
 * dead altogether (ICE's consent: 6.5 s), and than the peer's keepalive (10 s). */
#define PH_QUIC_STALL_INTERVAL (12 * PH_SEC)
/* So long after the last progress the peer's being heard is no echo of it. */
#define PH_QUIC_STALL_ECHO (3 * PH_SEC)
/* And so long we wait once it is heard: after a cut the peer's probe may come just before our own, which
 * may be as late again as the cut was long. */
#define PH_QUIC_STALL_GRACE (3 * PH_SEC)
/* Largest datagram there can be in a batch: a jumbo frame's. */
#define PH_QUIC_DATAGRAM_MAX 9000

/* Part of a stream that is queued or not yet acknowledged. */
typedef struct _PhQuicChunk PhQuicChunk;
struct _PhQuicChunk {
  PhBufSlice slice; /* owned */
  PhQuicChunk *next;
};

typedef struct {
  int64_t id;
  bool local; /* we write it; else we read it */
  bool hello; /* the link's own, never shown */
  bool closed; /* ngtcp2 is done with it */

  /* Writing: `head` is the oldest byte not acknowledged, `next` the next to be sent. */
  PhQuicChunk *head;
  PhQuicChunk *tail;
  PhQuicChunk *next;
  size_t head_acked; /* bytes of `head` */
  size_t next_sent; /* bytes of `next` */
  uint64_t queued; /* not acknowledged */
  uint64_t unacked; /* of them sent */
  PhLowMark low_queued;
  PhLowMark low_unsent;
  bool fin_queued;
  bool fin_sent;
  bool dead; /* given up by either side: nothing goes out */
  uint64_t blocked_batch; /* the batch in which flow control stopped it */

  /* Reading. */
  PhReceiveBuffer buffer;
  bool fin_arrived;

  /* To be told, in this order. */
  bool tell_opened;
  bool tell_fin;
  bool tell_reset;
  bool tell_drained;
  uint64_t reset_code;

  GList send_node; /* in PhQuicLink.sending while there is something to send */
  GList tell_node; /* in PhQuicLink.telling while there is something to tell */
  bool in_sending;
  bool in_telling;
} PhQuicStream;

typedef struct {
  PhLink link;

  /* Owned. */
  PhTlsIdentity *identity;
  gnutls_session_t session;
  ngtcp2_conn *conn;
  GHashTable *streams; /* PhQuicStream.id -> PhQuicStream, owned */
  PhBufPool *pool;

  PhRandom random;
  PhTrace trace;
  uint8_t peer_key[PH_KEY_LEN];
  bool client;
  PhTime last_now;

  ngtcp2_crypto_conn_ref conn_ref;
  struct sockaddr_in local;
  struct sockaddr_in remote;
  ngtcp2_path path;

  ngtcp2_cid cids[PH_QUIC_CIDS_MAX]; /* ours, in use */
  size_t n_cids;

  GQueue sending; /* PhQuicStream, borrowed, round robin */
  GQueue telling; /* PhQuicStream, borrowed, first come first told */
  uint64_t batch; /* number of the poll_transmit */

  bool confirmed; /* the handshake is, on this side */
  bool hello_came;
  bool key_refused; /* by us */
  bool tell_ready;
  bool tell_closed;
  bool close_due; /* a CONNECTION_CLOSE is to be sent, then the link is CLOSED */
  PhLinkError error;
  uint64_t code; /* the application's, if `error` is APPLICATION */
  char reason[96];
  ngtcp2_ccerr ccerr; /* what is sent; `reason` points into the field above */

  /* A packet that did not fit the batch it was made in: larger, or another ECN mark. */
  uint8_t held[PH_QUIC_DATAGRAM_MAX];
  size_t held_len;
  uint8_t held_ecn;

  uint64_t unacked; /* of all streams */
  PhTime progress_at; /* when some of it was last acknowledged, or the first of it sent */
  PhTime heard_at; /* when the peer was first heard without progress; PH_NEVER: not */

  PhLinkStats stats;
  uint64_t lost_closed; /* packets lost on streams that are gone */
} PhQuicLink;

static inline PhQuicLink *
ph_quic (PhLink *link)
{
  return (PhQuicLink *)link;
}

static inline const PhQuicLink *
ph_quic_const (const PhLink *link)
{
  return (const PhQuicLink *)link;
}

/* No more ngtcp2 calls but the one that writes the last packet. */
static inline bool
ph_quic_ending (const PhQuicLink *self)
{
  return self->close_due || self->link.state == PH_LINK_CLOSED;
}

/* --- ph-quic-link.c --- */

/* After an ngtcp2 call failed with `liberr`: ends the link, telling the peer where that is due. */
void ph_quic_fail (PhQuicLink *self, PhTime now, int liberr);
/* The last packet is out, or none is due. */
void ph_quic_closed (PhQuicLink *self, PhTime now);

/* --- ph-quic-conn.c --- */

/* Makes `session` and `conn`. `hd`: a server's first Initial; NULL for a client. */
void ph_quic_make_conn (PhQuicLink *self, const PhQuicConfig *config, PhTime now,
                        const ngtcp2_pkt_hd *hd);

/* --- ph-quic-stream.c --- */

PhQuicStream *ph_quic_stream_new (PhQuicLink *self, int64_t id, bool local);
void ph_quic_stream_free (void *stream);
PhQuicStream *ph_quic_stream_find (const PhQuicLink *self, int64_t id);
/* The peer's bytes; false if the link must end (a bad hello). */
bool ph_quic_stream_arrived (PhQuicLink *self, PhQuicStream *stream, PhSlice data, bool fin);
void ph_quic_stream_acked (PhQuicLink *self, PhQuicStream *stream, uint64_t bytes);
/* The peer gave it up. */
void ph_quic_stream_dropped (PhQuicLink *self, PhQuicStream *stream, uint64_t code);
/* ngtcp2 is done with it. */
void ph_quic_stream_closed (PhQuicLink *self, PhQuicStream *stream);
/* Opens ours and writes the byte. */
bool ph_quic_stream_send_hello (PhQuicLink *self);
/* `bytes` from `next` on have been put into a packet, and the fin if `fin`. */
void ph_quic_stream_sent (PhQuicLink *self, PhQuicStream *stream, size_t bytes, bool fin);
/* The next thing to tell of any stream. */
bool ph_quic_stream_poll_event (PhQuicLink *self, PhLinkEvent *ret_event);

int64_t ph_quic_open_stream (PhLink *link);
void ph_quic_send (PhLink *link, int64_t id, PhBufSlice data, bool fin);
uint64_t ph_quic_stream_queued (const PhLink *link, int64_t id);
uint64_t ph_quic_stream_unsent (const PhLink *link, int64_t id);
void ph_quic_set_low_marks (PhLink *link, int64_t id, uint64_t queued, uint64_t unsent);
void ph_quic_consumed (PhLink *link, int64_t id, uint64_t bytes);
void ph_quic_reset_stream (PhLink *link, int64_t id, uint64_t code);

/* --- ph-quic-transmit.c --- */

bool ph_quic_poll_transmit (PhLink *link, PhTime now, PhTransmit *tx);
