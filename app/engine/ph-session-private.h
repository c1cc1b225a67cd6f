/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of the session share.
 *
 *   ph-session.c           lifetime, links, events, deadlines
 *   ph-session-transfers.c what the owner does with transfers
 *   ph-session-control.c   control streams: frames out, frames in and where they go
 *   ph-session-streams.c   streams of the peer: their heads, and whom they belong to
 *   ph-outgoing.c          one transfer that we send: offer, accept, end
 *   ph-outgoing-data.c     its manifest and data streams
 *   ph-incoming.c          one transfer that we receive: offer, accept, sink, end
 *   ph-incoming-data.c     its data streams: segments, records, credit
 *
 * Nothing is freed and nothing leaves its table in the middle of a call: links, streams and transfers
 * that are over are marked, and swept at the end of every public call. */

#pragma once

#include "app/engine/ph-record.h"
#include "app/engine/ph-session.h"

typedef struct _PhPeerLink PhPeerLink;
typedef struct _PhPeerStream PhPeerStream;
typedef struct _PhOutgoing PhOutgoing;
typedef struct _PhIncoming PhIncoming;

/* A link as the session knows it. */
struct _PhPeerLink {
  PhLink *link; /* borrowed; NULL once it is lost */
  bool choked; /* the peer does not read: to be given up at the end of the call */
  int64_t control; /* our control stream; -1 until the link lets us open it */
  bool hello; /* the peer's HELLO has come */
  PhTime hello_deadline;
  PhPeerStream *peer_control; /* in `streams`, or NULL */
  GHashTable *streams; /* int64_t -> PhPeerStream, owned: streams of the peer */
  GArray *draining; /* PhDraining */
  bool
      early_dropped; /* the beginning of a transfer overtook its offer here: that may have been any */
};

/* A data stream of ours that has its fin and may not be acknowledged yet. */
typedef struct {
  int64_t stream;
  PhTransferId id;
} PhDraining;

/* A stream that the peer opened. */
struct _PhPeerStream {
  PhPeerLink *on; /* NULL: over */
  int64_t id;
  uint8_t type; /* PhStreamType; 0 until the first byte has come */
  bool fin; /* the peer's fin has come, perhaps behind held bytes */
  PhIncoming *transfer; /* MANIFEST, DATA: once the head has named it; NULL again if that is over */
  PhSegmentHead segment;
  GByteArray *head; /* bytes of what is not complete: a head, a frame, a digest, a manifest */
  GQueue held; /* PhBufSlice*, owned: bytes of a segment whose turn has not come */
  GByteArray *
      early; /* the same of one that came before the answer; NULL: none. A copy: slices hold whole buffers */
  uint64_t held_bytes; /* of either, which the peer has no credit for yet */
  PhRecordHead record; /* the one being read; type 0: none */
  uint64_t record_left;
  bool in_digest;
};

typedef enum {
  PH_OUT_WAITING, /* to be offered when there is a link, our turn, and `not_before` */
  PH_OUT_OFFERED,
  PH_OUT_SENDING, /* accepted, on this link */
  PH_OUT_SENT, /* all bytes are queued or gone; the receipt is awaited */
  PH_OUT_ENDED,
  PH_OUT_STATES,
} PhOutState;

struct _PhOutgoing {
  PhTransferId id;
  PhOutState state;
  PhManifest *manifest; /* owned */
  uint64_t manifest_size;
  uint64_t serial;
  PhTime not_before;

  bool accepted; /* told */
  bool started; /* told */
  bool offered_before;
  bool paused_here;
  PhPause paused_there;

  /* The attempt: what the last ACCEPT began. */
  uint64_t attempt;
  bool lost; /* its stream is gone: the receiver must give a new one */
  bool early; /* what `stream` has, or had if `early_ended`, went out before the answer */
  bool early_ended; /* that is all of it */
  size_t early_len;
  unsigned asked; /* ACCEPTs and WANTs since the last new link */

  /* Data. `source` is owned; `stream` is -1 while none is open. */
  PhSource *source;
  bool source_dry; /* said WAIT */
  PhSourceChunk held; /* the rest of a chunk that a speed limit parted */
  bool has_held;
  PhPeerLink *on;
  int64_t stream;
  uint64_t segment;
  PhBuf *gather; /* heads, digests and small files on their way: owned */
  size_t gather_start;
  size_t gather_len;

  /* The manifest, while it is sent. */
  GBytes *manifest_bytes;
  PhPeerLink *manifest_on;
  int64_t manifest_stream;
  size_t manifest_sent;

  uint64_t bytes_written;
  uint64_t bytes_durable;
};

typedef enum {
  PH_IN_MANIFEST, /* the manifest is on its way */
  PH_IN_OFFERED, /* the owner has been asked */
  PH_IN_RECEIVING, /* there is a sink; bytes come, or will with the next link */
  PH_IN_FINISHING, /* all bytes are in the sink */
  PH_IN_ENDED,
  PH_IN_STATES,
} PhInState;

/* Bytes given to the sink that the sender has no credit for yet. */
typedef struct {
  PhPeerLink *on;
  int64_t stream;
  uint64_t bytes;
} PhCredit;

struct _PhIncoming {
  PhTransferId id;
  PhInState state;
  PhManifest *manifest; /* owned; NULL in MANIFEST */
  uint8_t digest[PH_SHA256_LEN];
  uint64_t manifest_size;
  uint64_t entries;
  uint64_t bytes_total;
  uint64_t serial;
  GPtrArray *seen_on; /* PhPeerLink, borrowed: offered there since the SYNC before */
  PhPeerLink *manifest_on; /* WANT was said there */
  PhPeerStream *manifest_stream;

  PhSink *sink; /* owned; NULL before it is accepted, and while it is stalled */
  bool started; /* told */
  PhPause paused_here; /* NO_SPACE, UNWRITABLE: stalled, there is no sink */
  PhPause paused_there;

  /* The attempt. */
  uint64_t attempt;
  PhResumePoint point; /* where it begins */
  bool broken; /* it cannot be completed: a new one is due on the next link */
  bool restarted; /* it is because of a wrong digest */
  bool attempt_used; /* a segment of it has come */
  PhPeerLink *
      early_on; /* the offer said that the beginning follows there; NULL: it did not, or it is lost */
  bool early_taken; /* that is the attempt's first segment */
  bool first_record; /* of the attempt is still to come */
  bool first_write_due; /* the first write of the attempt is reported at once */
  PhPeerLink *accept_on;
  unsigned asked; /* ACCEPTs since the last new link */
  uint64_t next_segment;
  GPtrArray *segments; /* PhPeerStream, borrowed: open ones of this attempt */
  uint32_t restart_file;
  unsigned restarts; /* of restart_file */

  /* Position: the next byte expected from the sender. `file` is len() at the end. */
  uint32_t file;
  uint64_t offset;
  uint64_t bytes_before; /* sizes of the files before `file` */

  GQueue credits; /* PhCredit*, owned, oldest first */
  uint64_t in_sink;
  uint64_t bytes_durable;

  bool progress_dirty;
  PhTime progress_due;
};

/* An incoming transfer that is over: what is said of it, in case it is offered again or the link is lost where it
 * was said last. */
typedef struct {
  PhTransferId id;
  PhPast past;
  PhPeerLink *said_on; /* borrowed; NULL: the sender ended it, or there was no link */
  uint8_t digest[PH_SHA256_LEN];
  PhDeclineReason decline;
  PhFrameFailed failed;
} PhPastTransfer;

/* Remembered here; the owner's recall() knows the rest. One full set of transfers, twice. */
#define PH_SESSION_PAST_MAX (2 * PH_SESSION_TRANSFERS_MAX)

struct _PhSession {
  char *name;
  uint8_t instance[PH_INSTANCE_LEN];
  PhSessionHooks hooks;
  PhTrace trace;

  uint8_t peer_instance[PH_INSTANCE_LEN];
  bool peer_known;
  bool peer_takes_early; /* what of a transfer comes before it has answered */

  GPtrArray *links; /* PhPeerLink, owned; oldest first */
  GPtrArray *outgoing; /* PhOutgoing, owned; in the order they were given */
  GPtrArray *incoming; /* PhIncoming, owned */
  PhPastTransfer past[PH_SESSION_PAST_MAX];
  unsigned past_next;
  uint64_t serial_last;
  uint64_t incoming_manifest_bytes;
  PhTime offers_paid; /* offers are forgiven up to here, see offer_allowed() */
  PhTime open_retry; /* a stream could not be opened: try again then */
  PhBufPool *gather_pool;

  PhPacer *pacer; /* borrowed; NULL: none */
  PhPacer peer_limit; /* what the peer wants at most */
  bool paced; /* something waits for one of them */
  unsigned turn; /* the outgoing transfer that was stopped by them */
  uint64_t limit_down; /* told to the peer on every link */

  GQueue events; /* PhSessionEvent*, owned */
  GPtrArray *garbage; /* PhPeerStream, owned: out of their tables */
};

/* How soon a stream that could not be opened is tried again: links say nothing when they allow one. */
#define PH_SESSION_OPEN_INTERVAL (20 * PH_MSEC)
/* A buffer of heads and small files. Chunks up to PH_SESSION_GATHER_DATA_MAX are copied into it: one large
 * slice costs a link less than hundreds of small ones. */
#define PH_SESSION_GATHER_LEN 65536u
#define PH_SESSION_GATHER_DATA_MAX 16384u

/* --- ph-session.c ------------------------------------------------------------------------------- */

void ph_session_trace (PhSession *self, PhTime now, const char *format, ...) G_GNUC_PRINTF (3, 4);
/* What every public call with a time ends with: sends what can be sent, frees what is over. */
void ph_session_settle (PhSession *self, PhTime now);
/* A new event in the queue, to be filled in. */
PhSessionEvent *
ph_session_event (PhSession *self, PhSessionEventType type, const PhTransferId *id, bool outgoing);
/* The same for PROGRESS; the newest values replace those that nobody has taken yet. */
void ph_session_event_progress (PhSession *self, const PhTransferId *id, bool outgoing,
                                uint64_t written, uint64_t durable, uint64_t total);
/* Likewise, but told by itself: where an attempt begins. */
void ph_session_event_resumed (PhSession *self, const PhTransferId *id, bool outgoing,
                               uint64_t written, uint64_t durable, uint64_t total);
/* Gives the link up and says why. */
void ph_session_link_fail (PhSession *self, PhTime now, PhPeerLink *on, PhSessionCode code,
                           const char *reason);
/* The newest link that frames can go to; NULL if none. */
PhPeerLink *ph_session_control_link (const PhSession *self);
/* The newest link whose HELLO has come: data goes there. */
PhPeerLink *ph_session_data_link (const PhSession *self);
/* Opens a stream of ours; -1: try again at self->open_retry. */
int64_t ph_session_open_stream (PhSession *self, PhTime now, PhPeerLink *on);
PhOutgoing *ph_session_find_outgoing (const PhSession *self, const PhTransferId *id);
PhIncoming *ph_session_find_incoming (const PhSession *self, const PhTransferId *id);

/* --- ph-session-control.c ----------------------------------------------------------------------- */

/* Queues one frame; a peer that does not read its control stream loses the link. `on` may be NULL or
 * given up: then nothing happens. */
void ph_session_send (PhSession *self, PhTime now, PhPeerLink *on, const PhFrame *frame);
/* Opens our control stream, says HELLO and what stands. */
void ph_session_begin_link (PhSession *self, PhTime now, PhPeerLink *on);
/* What stands until it is said otherwise: the limit, pauses, offers of what was offered before, and SYNC. After this
 * both sides agree on what exists. */
void ph_session_say_all (PhSession *self, PhTime now, PhPeerLink *on);
/* The peer's wish to pause, as it stands now. */
void ph_session_note_pause (PhSession *self, const PhTransferId *id, bool outgoing, PhPause *paused,
                            PhPause now_paused);
void ph_session_handle_control (PhSession *self, PhTime now, PhPeerStream *stream, PhSlice bytes);

/* --- ph-session-streams.c ----------------------------------------------------------------------- */

void ph_session_handle_data (PhSession *self, PhTime now, PhPeerLink *on, int64_t id,
                             const PhBufSlice *data, bool fin);
void ph_session_handle_reset (PhSession *self, PhTime now, PhPeerLink *on, int64_t id);
/* Grants credit, if the link is still there. */
void ph_session_consumed (PhPeerLink *on, int64_t stream, uint64_t bytes);
/* Gives a stream of the peer up: credit for what is held, reset if it has not ended. */
void ph_session_drop_stream (PhSession *self, PhPeerStream *stream, PhSessionCode code);
/* Takes a stream that has ended, or whose link has, out of all tables. */
void ph_session_end_stream (PhSession *self, PhPeerStream *stream);
/* The peer opened stream `id`. */
void ph_session_open_peer_stream (PhSession *self, PhTime now, PhPeerLink *on, int64_t id);
void ph_session_stream_free (PhPeerStream *stream);

/* --- ph-outgoing.c ------------------------------------------------------------------------------ */

PhOutgoing *ph_outgoing_new (PhSession *self, const PhTransferId *id, PhManifest *manifest);
void ph_outgoing_free (PhOutgoing *out);
/* Says OFFER on `on`. */
void ph_outgoing_offer (PhSession *self, PhTime now, PhOutgoing *out, PhPeerLink *on);
/* Offers what waits, as far as there is room. */
void ph_outgoing_offer_waiting (PhSession *self, PhTime now);
void ph_outgoing_handle_accept (PhSession *self, PhTime now, PhOutgoing *out, PhPeerLink *on,
                                const PhFrameAccept *accept);
void
ph_outgoing_handle_decline (PhSession *self, PhTime now, PhOutgoing *out, PhDeclineReason reason);
void ph_outgoing_handle_want (PhSession *self, PhTime now, PhOutgoing *out, PhPeerLink *on);
void ph_outgoing_handle_receipt (PhSession *self, PhTime now, PhOutgoing *out, PhPeerLink *on,
                                 const uint8_t digest[PH_SHA256_LEN]);
void ph_outgoing_handle_progress (PhSession *self, PhTime now, PhOutgoing *out,
                                  const PhFrameProgress *progress);
void ph_outgoing_link_lost (PhSession *self, PhTime now, PhOutgoing *out, PhPeerLink *on);
void
ph_outgoing_enter (PhSession *self, PhTime now, PhOutgoing *out, PhOutState next, const char *why);
/* The end, whatever the reason; the event was made before. */
void ph_outgoing_end (PhSession *self, PhTime now, PhOutgoing *out, const char *why);
void ph_outgoing_fail (PhSession *self, PhTime now, PhOutgoing *out, const PhFrameFailed *failed,
                       const char *message);

/* --- ph-outgoing-data.c ------------------------------------------------------------------------- */

/* Sends what can be sent of all manifests and files. */
void ph_outgoing_pump (PhSession *self, PhTime now);
/* Before the first offer on `on`: whether the beginning follows it at once. */
bool ph_outgoing_begin_early (PhSession *self, PhTime now, PhOutgoing *out, PhPeerLink *on);
/* Gives the data stream up. */
void ph_outgoing_reset_data (PhOutgoing *out, PhSessionCode code);
void ph_outgoing_stop_manifest (PhOutgoing *out);

/* --- ph-incoming.c ------------------------------------------------------------------------------ */

PhIncoming *ph_incoming_new (PhSession *self, const PhTransferId *id);
void ph_incoming_free (PhIncoming *in);
void
ph_incoming_enter (PhSession *self, PhTime now, PhIncoming *in, PhInState next, const char *why);
/* An offer, known or not. */
void ph_incoming_handle_offer (PhSession *self, PhTime now, PhPeerLink *on, const PhFrame *frame);
void ph_incoming_handle_sync (PhSession *self, PhTime now, PhPeerLink *on, uint64_t serial);
/* The sender's wish to pause. */
void ph_incoming_note_pause (PhSession *self, PhIncoming *in, PhPause paused);
/* All bytes of the manifest. */
void ph_incoming_take_manifest (PhSession *self, PhTime now, PhIncoming *in, PhSlice bytes);
/* The end; remembered as `past`. */
void ph_incoming_end (PhSession *self, PhTime now, PhIncoming *in, const PhPastTransfer *past,
                      const char *why);
/* The same when it is news to the sender, who is told. */
void ph_incoming_end_here (PhSession *self, PhTime now, PhIncoming *in, const PhPastTransfer *past,
                           const char *why);
/* What was said last of transfers on `lost`, on `other`, or if that is NULL when they are offered again. */
void ph_incoming_say_again (PhSession *self, PhTime now, const PhPeerLink *lost, PhPeerLink *other);
void ph_incoming_decline (PhSession *self, PhTime now, PhIncoming *in, PhDeclineReason reason);
void ph_incoming_fail (PhSession *self, PhTime now, PhIncoming *in, const PhFrameFailed *failed,
                       const char *message);
/* The sender gave it up. */
void ph_incoming_cancelled (PhSession *self, PhTime now, PhIncoming *in, const char *why);
void ph_incoming_link_lost (PhSession *self, PhTime now, PhIncoming *in, PhPeerLink *on);
void ph_incoming_poll_sink (PhSession *self, PhTime now, PhIncoming *in);
/* Takes what the sink has to say, without acting on restarts. */
void ph_incoming_drain_sink (PhSession *self, PhTime now, PhIncoming *in);
/* No sink: no room, or no folder. */
bool ph_incoming_is_stalled (const PhIncoming *in);
/* Says PAUSE as it stands. */
void ph_incoming_say_pause (PhSession *self, PhTime now, const PhIncoming *in, PhPeerLink *on);
/* Says PROGRESS if it is time. */
void ph_incoming_progress (PhSession *self, PhTime now, PhIncoming *in);

/* --- ph-incoming-data.c ------------------------------------------------------------------------- */

/* Asks the sender to go on from where the sink stands. */
void ph_incoming_new_attempt (PhSession *self, PhTime now, PhIncoming *in, PhPeerLink *on);
/* Says the current attempt on `on`. */
void ph_incoming_say_accept (PhSession *self, PhTime now, PhIncoming *in, PhPeerLink *on);
/* The peer broke the rules of transfer `in`: it fails, and the link goes. */
void ph_incoming_violation (PhSession *self, PhTime now, PhIncoming *in, PhPeerLink *on,
                            PhSessionCode code, const char *reason);
/* Bytes between the start of the transfer and its position. */
uint64_t ph_incoming_bytes_given (const PhIncoming *in);
uint64_t ph_incoming_bytes_at (const PhIncoming *in, const PhResumePoint *point);
/* A data stream has named its segment. */
void ph_incoming_add_segment (PhSession *self, PhTime now, PhIncoming *in, PhPeerStream *stream);
/* More of a segment, in order: `data` is borrowed. Held if it is not its turn. */
void ph_incoming_handle_segment (PhSession *self, PhTime now, PhPeerStream *stream,
                                 const PhBufSlice *data);
/* Whether it came before the answer, which is still to be given. */
bool ph_incoming_is_early (const PhPeerStream *stream);
/* Whether the attempt has begun with what comes there, before it came. */
bool ph_incoming_awaits_early (const PhIncoming *in, const PhPeerStream *stream);
/* `stream` has its fin and nothing held: its segment is complete. */
void ph_incoming_end_segment (PhSession *self, PhTime now, PhPeerStream *stream);
/* The sink has written `bytes`. */
void ph_incoming_credit (PhIncoming *in, uint64_t bytes);
/* Closes the streams of the attempt and gives the credit of all that is not written. */
void ph_incoming_drop_attempt (PhSession *self, PhIncoming *in, PhSessionCode code);
