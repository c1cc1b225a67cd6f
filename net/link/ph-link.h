/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A link: one secure, authenticated connection to one peer, whatever carries it.
 *
 * QUIC over a datagram path (net/quic) and TLS over a TCP path (net/tls) implement it, so that sessions
 * and the connector know only this. A link carries ordered byte streams. It does no I/O: the five
 * verbs below, plus streams.
 *
 * Streams. Every stream is one-way: opened by the side that writes it, read by the other. Stream ids are
 * chosen by the link; an id names a stream of one direction of one link. The bytes that are sent are
 * PhBufSlices, kept by the link until the other side's transport has acknowledged them and never
 * copied before encryption. The bytes that arrive come as PhBufSlices of large pooled buffers.
 *
 * Flow control. The reader grants credit with ph_link_consumed(); what has arrived and is not yet
 * consumed is bounded by the window (per stream and for the link), so a slow disk slows the sender and
 * memory stays bounded. The writer asks ph_link_stream_queued() and ph_link_stream_unsent(), and stops queueing
 * above marks of its own; PH_LINK_EVENT_DRAINED says when to go on.
 *
 * Identity. A link is for one expected device key. It becomes READY only after the peer has proved
 * to hold it and the peer's first application bytes have come (see design.md: success of the
 * handshake alone says nothing about the other side's verdict). A client that knows the server's key for the right one
 * may write before it knows the server's verdict on its own: ph_link_is_writable(). Nobody but the peer can read that.
 *
 * Time. `now` never goes backwards. After any call the caller settles: polls transmits until false,
 * polls events until false, asks _next_timeout and arms one timer. */

#pragma once

#include "net/base/ph-buf.h"
#include "net/base/ph-datagram.h"
#include "net/base/ph-time.h"

#define PH_KEY_LEN 32

typedef struct _PhLink PhLink;

typedef enum {
  PH_LINK_CONNECTING,
  PH_LINK_READY,
  PH_LINK_CLOSED, /* nothing goes out any more; free it */
} PhLinkState;

/* Why a link ended. */
typedef enum {
  PH_LINK_ERROR_NONE, /* closed on purpose, by either side, with `code` 0 */
  PH_LINK_ERROR_APPLICATION, /* closed by the peer with a code of the session's (`code`) */
  PH_LINK_ERROR_IDENTITY, /* the peer does not hold the expected key, or rejects ours */
  PH_LINK_ERROR_PROTOCOL, /* the peer broke the transport's rules, or we could not go on */
  PH_LINK_ERROR_TIMEOUT, /* no answer (handshake) or silence (established) */
} PhLinkError;

typedef enum {
  PH_LINK_EVENT_READY,
  PH_LINK_EVENT_STREAM_OPENED, /* the peer opened `stream` */
  PH_LINK_EVENT_STREAM_DATA, /* `data` (an owned reference: clear it) and/or `fin` on `stream` */
  PH_LINK_EVENT_STREAM_RESET, /* the peer gave `stream` up, in either direction, with `code` */
  PH_LINK_EVENT_DRAINED, /* what is queued or unsent of `stream` fell below its low mark */
  PH_LINK_EVENT_CLOSED, /* `error`, `code`, `reason`; the last event of a link */
} PhLinkEventType;

typedef struct {
  PhLinkEventType type;
  int64_t stream;
  PhBufSlice data;
  bool fin;
  PhLinkError error;
  uint64_t code;
  char reason[96]; /* for logs; from the peer it is sanitized to printable ASCII */
} PhLinkEvent;

/* What is known of the path, for showing. */
typedef struct {
  PhTime rtt; /* smoothed; 0 while unknown */
  uint64_t bytes_sent; /* payload of the network, retransmissions included */
  uint64_t bytes_received;
  uint64_t packets_lost;
  size_t datagram_size; /* largest datagram in use; 0 on TCP */
} PhLinkStats;

typedef struct {
  void (*free) (PhLink *self);
  void (*handle_packet) (PhLink *self, PhTime now, const PhDatagram *in);
  void (*handle_timeout) (PhLink *self, PhTime now);
  bool (*poll_transmit) (PhLink *self, PhTime now, PhTransmit *tx);
  bool (*poll_event) (PhLink *self, PhLinkEvent *ret_event);
  PhTime (*next_timeout) (const PhLink *self, const char **ret_why);
  int64_t (*open_stream) (PhLink *self);
  void (*send) (PhLink *self, int64_t stream, PhBufSlice data, bool fin);
  uint64_t (*stream_queued) (const PhLink *self, int64_t stream);
  uint64_t (*stream_unsent) (const PhLink *self, int64_t stream);
  void (*set_low_marks) (PhLink *self, int64_t stream, uint64_t queued, uint64_t unsent);
  void (*consumed) (PhLink *self, int64_t stream, uint64_t bytes);
  void (*reset_stream) (PhLink *self, int64_t stream, uint64_t code);
  void (*close) (PhLink *self, PhTime now, uint64_t code, const char *reason);
  void (*stats) (const PhLink *self, PhLinkStats *ret_stats);
} PhLinkClass;

struct _PhLink {
  const PhLinkClass *klass;
  PhLinkState state;
  bool writable; /* while CONNECTING */
};

void ph_link_free (PhLink *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhLink, ph_link_free)

static inline PhLinkState
ph_link_state (const PhLink *self)
{
  return self->state;
}

/* Whether streams may be opened and written: READY, or nothing but the peer's verdict is missing. */
static inline bool
ph_link_is_writable (const PhLink *self)
{
  return self->state == PH_LINK_READY || (self->state == PH_LINK_CONNECTING && self->writable);
}

/* The five verbs. A packet that is not the link's, or broken, is ignored. Events and transmits made by
 * one call are collected until polled. */
void ph_link_handle_packet (PhLink *self, PhTime now, const PhDatagram *in);
void ph_link_handle_timeout (PhLink *self, PhTime now);
/* Fills `tx` with one batch (GSO: several datagrams of tx->segment bytes); false if there is nothing
 * to send now. tx->socket and tx->remote are the link's synthetic path: the connector replaces them. */
bool ph_link_poll_transmit (PhLink *self, PhTime now, PhTransmit *tx);
bool ph_link_poll_event (PhLink *self, PhLinkEvent *ret_event);
PhTime ph_link_next_timeout (const PhLink *self, const char **ret_why);

/* Opens a stream to write; -1 while the peer allows no more or the link is not writable. */
int64_t ph_link_open_stream (PhLink *self);
/* Queues `data` (takes its reference; may be empty) on `stream`; `fin` ends it. Ignored on a stream
 * that was reset or a link that is closed (the reference is still taken). */
void ph_link_send (PhLink *self, int64_t stream, PhBufSlice data, bool fin);
/* Bytes queued and not yet acknowledged. */
uint64_t ph_link_stream_queued (const PhLink *self, int64_t stream);
/* Those of them that have not gone out yet. */
uint64_t ph_link_stream_unsent (const PhLink *self, int64_t stream);
/* From when on PH_LINK_EVENT_DRAINED is told, once per crossing of either from above; default 0: never. */
void ph_link_set_low_marks (PhLink *self, int64_t stream, uint64_t queued, uint64_t unsent);
/* Grants credit for `bytes` of STREAM_DATA that are dealt with. */
void ph_link_consumed (PhLink *self, int64_t stream, uint64_t bytes);
/* Gives a stream up in the direction it has; queued bytes are dropped. */
void ph_link_reset_stream (PhLink *self, int64_t stream, uint64_t code);
/* Ends the link; the peer is told with the next transmit. Idempotent. */
void ph_link_close (PhLink *self, PhTime now, uint64_t code, const char *reason);
void ph_link_stats (const PhLink *self, PhLinkStats *ret_stats);
