/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside the TLS link:
 *
 *   ph-tls-link.c      making and ending a link, the verbs
 *   ph-tls-session.c   the GnuTLS session: bytes in and out of it, the handshake
 *   ph-tls-receive.c   frames in
 *   ph-tls-transmit.c  frames out
 *   ph-tls-stream.c    streams: what is queued, what has arrived, what is to be told
 */

#pragma once

#include "net/link/ph-low-mark.h"
#include "net/link/ph-receive-buffer.h"
#include "net/tls/ph-tls-frame.h"
#include "net/tls/ph-tls-link.h"

/* Streams that the peer may have open at once: as over QUIC. */
#define PH_TLS_STREAMS_MAX 64
/* Arriving bytes are decrypted into buffers of this size: what the sink writes at once. */
#define PH_TLS_BUF_SIZE (256 * 1024)
#define PH_TLS_BUFS_KEPT 16
/* RFC 8446 §5.1. */
#define PH_TLS_RECORD_MAX 16384

typedef struct {
  uint32_t index; /* the number it has on the wire */
  int64_t id;
  bool local; /* we write it; else we read it */
  bool dead; /* given up by either side: nothing goes out, or what comes is dropped */

  /* Writing. */
  GQueue chunks; /* PhBufSlice, owned: not yet sent */
  size_t head_sent; /* bytes of the first one */
  uint64_t queued; /* bytes given to us */
  uint64_t sent;
  uint64_t arrived; /* of them, says the peer */
  uint64_t limit; /* how far `sent` may go */
  PhLowMark low_queued;
  PhLowMark low_unsent;
  bool fin_queued;
  bool fin_sent;
  bool fin_arrived;

  /* Reading. */
  PhReceiveBuffer buffer;
  uint64_t received;
  uint64_t consumed;
  uint64_t told_received;
  uint64_t told_limit;
  bool untold; /* opened by the way: a later one was */
  bool fin_came; /* or the writer's RESET: nothing follows */
  bool told_fin;

  /* To be sent. */
  bool reset_due;
  bool stop_due;
  uint64_t code;

  /* To be told, in this order. */
  bool tell_opened;
  bool tell_fin;
  bool tell_reset;
  bool tell_drained;
  uint64_t reset_code;

  GList send_node; /* in PhTlsLink.sending while there are bytes or an end to send */
  GList control_node; /* in PhTlsLink.controls while there is something else to say */
  GList tell_node; /* in PhTlsLink.telling while there is something to tell */
  bool in_sending;
  bool in_controls;
  bool in_telling;
} PhTlsStream;

typedef struct {
  PhLink link;

  /* Owned. */
  PhTlsIdentity *identity;
  gnutls_session_t session;
  GHashTable *streams; /* PhTlsStream.id -> PhTlsStream, owned */
  PhBufPool *pool;
  GByteArray *out; /* bytes of TLS that were made outside of poll_transmit: handshake, alerts */

  PhTlsLinkConfig config;
  PhTime last_now;
  PhTime started_at;
  PhTime heard_at;
  PhTime authentic_at; /* the last record that was the peer's for certain; 0: none was */

  bool handshaken;
  bool hello_due;
  bool hello_came;
  bool key_refused; /* by us */
  bool tell_ready;
  bool tell_closed;

  /* The end. */
  bool close_due; /* what is in `out` is to be sent, with a CLOSE if the handshake is complete */
  uint8_t close_kind;
  PhLinkError error;
  uint64_t code;
  char reason[96];

  /* Reading. */
  PhSlice in; /* what was not yet pulled of the packet at hand */
  uint8_t head[PH_TLS_CONTROL_MAX]; /* the frame's header or its body */
  size_t head_len;
  bool in_body; /* `header` is known */
  PhTlsFrameHeader header;
  size_t body_left; /* of DATA */
  PhTlsStream *body_stream; /* borrowed; NULL: what comes is dropped */
  uint32_t next_remote;
  uint64_t streams_told; /* how many the peer may open in all */
  uint64_t streams_forgotten; /* of the peer's */
  uint64_t received;
  uint64_t consumed;
  uint64_t told_limit;
  uint64_t stream_window;
  uint64_t link_window;
  PhTime told_limit_at;

  /* Writing. */
  uint32_t next_local;
  uint64_t streams_allowed;
  uint64_t sent;
  uint64_t limit;
  uint64_t remote_stream_window;
  GQueue sending; /* PhTlsStream, borrowed, round robin */
  GQueue controls; /* PhTlsStream, borrowed */
  GQueue telling; /* PhTlsStream, borrowed */
  PhBufSlice payload; /* owned: the rest of the DATA frame that was begun */
  uint8_t plain[PH_TLS_RECORD_MAX]; /* small frames that share a record */
  size_t plain_len;
  uint8_t *dest; /* where TLS' bytes go while poll_transmit runs */
  size_t room;
  size_t overhead; /* of a record */

  bool ping_due;
  bool pong_due;
  uint64_t pong_token;
  PhTime ping_sent_at; /* PH_NEVER: never */
  bool ping_open;
  PhTime ping_at; /* the next one for the sake of silence */

  PhLinkStats stats;
} PhTlsLink;

static inline PhTlsLink *
ph_tls (PhLink *link)
{
  return (PhTlsLink *)link;
}

static inline const PhTlsLink *
ph_tls_const (const PhLink *link)
{
  return (const PhTlsLink *)link;
}

static inline bool
ph_tls_ending (const PhTlsLink *self)
{
  return self->close_due || self->link.state == PH_LINK_CLOSED;
}

/* --- ph-tls-link.c --- */

/* Ends the link with a word to the peer. */
void ph_tls_end_telling (PhTlsLink *self, PhLinkError error, PhTlsCloseKind kind, uint64_t code,
                         const char *reason);
/* Ends it without one. */
void ph_tls_end_silently (PhTlsLink *self, PhLinkError error, uint64_t code, PhSlice reason);
/* The peer has broken the rules. */
void ph_tls_violated (PhTlsLink *self, const char *what);
/* The last byte is out. */
void ph_tls_closed (PhTlsLink *self);
void ph_tls_ready (PhTlsLink *self);

/* --- ph-tls-session.c --- */

void ph_tls_make_session (PhTlsLink *self);
/* Goes on with the handshake as far as the bytes go. */
void ph_tls_shake_hands (PhTlsLink *self);
/* Up to `len` bytes of plain text; 0: no more for now, or the link has ended. */
size_t ph_tls_read (PhTlsLink *self, void *out, size_t len);
/* One record. */
void ph_tls_write (PhTlsLink *self, const void *data, size_t len);
void ph_tls_write_close_notify (PhTlsLink *self);

/* --- ph-tls-receive.c --- */

void ph_tls_receive (PhTlsLink *self);

/* --- ph-tls-transmit.c --- */

bool ph_tls_poll_transmit (PhLink *link, PhTime now, PhTransmit *tx);

/* --- ph-tls-stream.c --- */

void ph_tls_stream_free (void *stream);
PhTlsStream *ph_tls_stream_find_local (const PhTlsLink *self, uint32_t index);
PhTlsStream *ph_tls_stream_find_remote (const PhTlsLink *self, uint32_t index);
/* The peer's stream, which it opens if it is none yet; NULL: it is over, or one too many. */
PhTlsStream *ph_tls_stream_accept (PhTlsLink *self, uint32_t index);
bool ph_tls_stream_has_data (const PhTlsStream *stream);
/* The lists are what the stream's state says. */
void ph_tls_stream_settle (PhTlsLink *self, PhTlsStream *stream);
void ph_tls_stream_forget_if_done (PhTlsLink *self, PhTlsStream *stream);
/* `len` bytes of the first chunk are on their way, and the end if `fin`. */
void ph_tls_stream_sent (PhTlsLink *self, PhTlsStream *stream, size_t len, bool fin);
/* The peer says how far it is. False: it lies. */
bool ph_tls_stream_credit (PhTlsLink *self, PhTlsStream *stream, uint64_t arrived, uint64_t limit,
                           bool fin);
/* The peer has ended what it writes. */
void ph_tls_stream_fin (PhTlsLink *self, PhTlsStream *stream);
/* The peer gave it up. */
void ph_tls_stream_dropped (PhTlsLink *self, PhTlsStream *stream, uint64_t code);
uint64_t ph_tls_stream_limit (const PhTlsLink *self, const PhTlsStream *stream);
bool ph_tls_stream_credit_due (const PhTlsLink *self, const PhTlsStream *stream);
bool ph_tls_stream_poll_event (PhTlsLink *self, PhLinkEvent *ret_event);

int64_t ph_tls_open_stream (PhLink *link);
void ph_tls_send (PhLink *link, int64_t id, PhBufSlice data, bool fin);
uint64_t ph_tls_stream_queued (const PhLink *link, int64_t id);
uint64_t ph_tls_stream_unsent (const PhLink *link, int64_t id);
void ph_tls_set_low_marks (PhLink *link, int64_t id, uint64_t queued, uint64_t unsent);
void ph_tls_consumed (PhLink *link, int64_t id, uint64_t bytes);
void ph_tls_reset_stream (PhLink *link, int64_t id, uint64_t code);
