/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A session: everything that is going on with one peer, whatever links come and go.
 *
 * One session per contact, made by the engine and kept as long as the contact is known. It speaks the
 * transfer protocol (docs/protocol.md, "Transfer") over links that are given to it, reads from sources
 * and writes to sinks. No I/O, no clock: time is injected, and of a link only streams are used. The owner
 * keeps driving the links (packets, timeouts, transmits) and passes their events on.
 *
 * Ownership. Links are borrowed: tell ph_session_link_closed() before a link is freed. Sources and sinks
 * that are handed over belong to the session, which frees them when their transfer ends (sinks of a
 * transfer that ended without success are told to discard first). Freeing the session frees sources and
 * sinks as they are: partial files stay for a resume.
 *
 * Settling. After any call that takes `now`, the owner polls ph_session_poll_event() until false, asks
 * ph_session_next_timeout(), and settles the links (the call may have queued bytes on any of them).
 *
 * After a restart of the program restore unfinished transfers before the first link is added: what a
 * peer does not find among our transfers when a link comes up, it gives up as cancelled.
 *
 * Links. New data goes to the newest link; older ones drain and can be closed once
 * ph_session_link_replaced(). When a link is lost, its transfers wait for the next one and go on from what the
 * receiver has. */

#pragma once

#include "app/engine/ph-frame.h"
#include "app/engine/ph-manifest.h"
#include "app/engine/ph-pacer.h"
#include "app/engine/ph-storage.h"
#include "net/base/ph-trace.h"
#include "net/link/ph-link.h"

/* Transfers under way in one direction, offers that nobody has answered included. More of ours wait
 * their turn; more of the peer's are declined as busy. A person who is asked 64 questions at once has
 * stopped reading. */
#define PH_SESSION_TRANSFERS_MAX 64u
/* Offers a peer may make in a burst, and how long one takes to be forgiven: one a second in the long
 * run. A flood is declined as busy before anything is remembered or looked up. */
#define PH_SESSION_OFFERS_BURST 128u
#define PH_SESSION_OFFER_INTERVAL PH_SEC
/* How long an offer that was declined as busy waits before it is made again. */
#define PH_SESSION_BUSY_INTERVAL (5 * PH_SEC)
/* Encoded manifests that a peer can make us hold at one time: the largest one and some more. */
#define PH_SESSION_MANIFESTS_BYTES_MAX (96u << 20)
/* A link whose peer says no HELLO for so long carries something else. */
#define PH_SESSION_HELLO_INTERVAL (20 * PH_SEC)
/* Progress is told to the sender this often at most; the first byte at once. */
#define PH_SESSION_PROGRESS_INTERVAL (100 * PH_MSEC)
/* A file whose digest was wrong is asked for again this many times before the transfer fails: bit rot on
 * the way does not strike twice, a source that keeps changing does. */
#define PH_SESSION_FILE_RESTARTS_MAX 2u
/* Accepts of one transfer over one link: each makes the sender seek. Far above what restarts need. */
#define PH_SESSION_ATTEMPTS_MAX 64u
/* Data streams of one transfer that may be open at once: the current segment, one that drains on an old
 * link, and headroom for a link that flaps. */
#define PH_SESSION_SEGMENTS_MAX 4u
/* What may be sent of a transfer that is offered, before the answer: a first file that is small, or the first bytes
 * of a large one. Heads and digests count. The receiver keeps it in memory: for all offers that a peer may have
 * open, 4 MiB. */
#define PH_SESSION_EARLY_MAX 65536u
/* Transfers of ours that are offered and have their files open: each costs a thread and what it reads ahead. */
#define PH_SESSION_EARLY_TRANSFERS_MAX 4u
/* Control bytes queued on one link: a peer that asks and does not read is cut off. */
#define PH_SESSION_CONTROL_QUEUED_MAX (1u << 20)
/* Data queued on one link, all transfers together: how much of it the line may hold (1 Gbit/s and 100 ms hold
 * 12 MiB), and how much may wait to be sent. There is more to be had as soon as some of that is gone; less of
 * it lets a pause take effect sooner, and a message get through, and leaves the bytes in the processor's cache. */
#define PH_SESSION_QUEUED_MAX (UINT64_C (16) << 20)
#define PH_SESSION_UNSENT_MAX (UINT64_C (1) << 20)

typedef struct _PhSession PhSession;

/* What became of an incoming transfer that is over. */
typedef enum {
  PH_PAST_UNKNOWN,
  PH_PAST_RECEIVED,
  PH_PAST_DECLINED,
  PH_PAST_CANCELLED,
  PH_PAST_FAILED,
} PhPast;

/* Borrowed; called from inside session calls, and must not call back into the session. */
typedef struct {
  /* The peer accepted outgoing transfer `id`, or wants it to go on: a source at its beginning, which the
   * session owns from now on. NULL with `ret_error`: the transfer fails with it. A transfer
   * gets one source; it is opened again after a restart only. */
  PhSource *(*open_source) (void *user, const PhTransferId *id, PhStorageError *ret_error);
  /* What became of incoming transfer `id`; for PH_PAST_RECEIVED also its manifest's digest. Is asked
   * when an unknown id is offered, so that a receipt can be given again for 30 days and a question is
   * not asked twice. */
  PhPast (*recall) (void *user, const PhTransferId *id, uint8_t ret_digest[PH_SHA256_LEN]);
  /* All of entry `file` of outgoing transfer `id` is queued, and has this digest. May be NULL. */
  void (*sent) (void *user, const PhTransferId *id, uint32_t file,
                const uint8_t sha256[PH_SHA256_LEN]);
  void *user;
} PhSessionHooks;

typedef struct {
  const char *device_name; /* told to the peer; UTF-8, cut to PH_FRAME_NAME_MAX; copied */
  uint8_t instance[PH_INSTANCE_LEN]; /* random, drawn once per run of the program */
  PhSessionHooks hooks;
  const PhTrace *trace; /* may be NULL */
} PhSessionConfig;

typedef enum {
  /* The peer's HELLO: `name`. Once per link; also tells that the session is usable on it. */
  PH_SESSION_EVENT_PEER,
  /* Incoming: a new offer with `manifest`: answer with ph_session_accept() or _decline(). */
  PH_SESSION_EVENT_OFFER,
  /* Outgoing: the peer accepted (told once per session object, not again on resumes). */
  PH_SESSION_EVENT_ACCEPTED,
  /* Outgoing, final: `decline`. */
  PH_SESSION_EVENT_DECLINED,
  /* Both directions: the receiver has written the first byte. Once per session object. */
  PH_SESSION_EVENT_STARTED,
  /* Both directions: bytes_written, bytes_durable of bytes_total. On the receiving side as it happens:
   * the owner coalesces for display. Numbers can fall when a file is restarted. `resumed`: where the receiver
   * stands as it accepts, or goes on; nothing travelled to get there. */
  PH_SESSION_EVENT_PROGRESS,
  /* Both directions: the peer paused (resumed) the transfer; `pause` says why. */
  PH_SESSION_EVENT_PAUSED,
  PH_SESSION_EVENT_RESUMED,
  /* Incoming: its sink cannot go on for want of room or of its folder: `storage`, `message`. The sink is freed
   * as it is, the transfer is paused; ph_session_unstall() goes on with another one. */
  PH_SESSION_EVENT_STALLED,
  /* Both directions: `file` did not match and is sent again from its start. */
  PH_SESSION_EVENT_FILE_RESTARTED,
  /* Both directions: no link carries the transfer any more; it goes on with the next one. */
  PH_SESSION_EVENT_WAITING,
  /* Outgoing, final: the receipt has come: everything is on the peer's disk, synced and verified. */
  PH_SESSION_EVENT_DELIVERED,
  /* Incoming, final: everything is in place; the receipt is on its way. */
  PH_SESSION_EVENT_RECEIVED,
  /* Both directions, final: `failure`, `storage` and `file` for PH_FAILURE_STORAGE, `message` (ours only)
   * and `by_peer`: the trouble is on the peer's side. */
  PH_SESSION_EVENT_FAILED,
  /* Both directions, final: `by_peer`, or confirms ph_session_cancel(). */
  PH_SESSION_EVENT_CANCELLED,
  /* The peer has told all that it offers over a new link: what ph_session_knows() not, it has given up. */
  PH_SESSION_EVENT_SYNCED,
  /* A signal of the peer's connector: `signal`. */
  PH_SESSION_EVENT_SIGNAL,
  /* The peer broke the protocol on `link`, which the session has given up: close it with
   * ph_link_close (link, now, code, reason). Transfers wait for the next link. */
  PH_SESSION_EVENT_LINK_ERROR,
} PhSessionEventType;

typedef struct {
  PhSessionEventType type;
  PhTransferId id;
  bool outgoing; /* the direction of transfer `id` */
  bool by_peer;
  PhManifest *manifest; /* OFFER; owned by the event */
  char *name; /* PEER; owned by the event, valid UTF-8 from the peer, not yet safe to show */
  GBytes *signal; /* SIGNAL; owned by the event */
  PhDeclineReason decline;
  PhFailure failure;
  PhStorageError storage;
  uint32_t file; /* index in the manifest; UINT32_MAX: none in particular */
  uint64_t bytes_written;
  uint64_t bytes_durable;
  uint64_t bytes_total;
  bool resumed; /* PROGRESS */
  PhPause pause; /* PAUSED */
  PhLink *link; /* PEER (NULL if it is gone already), LINK_ERROR; borrowed */
  uint64_t link_code; /* PhSessionCode */
  const char *reason; /* LINK_ERROR: a static string for the log */
  char message[160];
} PhSessionEvent;

void ph_session_event_clear (PhSessionEvent *event);

/* Codes given to ph_link_close() and ph_link_reset_stream(); on the wire. */
typedef enum {
  PH_SESSION_CODE_NONE = 0, /* the end, nothing wrong */
  PH_SESSION_CODE_MALFORMED = 1, /* bytes that are no frame, record or header of ours */
  PH_SESSION_CODE_UNEXPECTED = 2, /* a frame or record that may not come now, or here */
  PH_SESSION_CODE_LIMIT = 3, /* more than this side allows */
  PH_SESSION_CODE_VERSION = 4, /* no version in common */
  PH_SESSION_CODE_SILENT = 5, /* no HELLO */
  PH_SESSION_CODE_STALE = 6, /* stream: of an attempt that was given up */
  PH_SESSION_CODE_GONE = 7, /* stream: of a transfer that is over */
  PH_SESSION_CODE_OVER = 8, /* link: all transfers are cancelled, the peer is no contact any more */
} PhSessionCode;

PhSession *ph_session_new (const PhSessionConfig *config);
void ph_session_free (PhSession *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhSession, ph_session_free)

/* --- Links -------------------------------------------------------------------------------------- */

/* A link that is READY, or can be written to (ph_link_is_writable()); becomes the newest one, or if it was `overtaken`
 * the one before. Nothing happens if it was added before. */
void ph_session_add_link (PhSession *self, PhTime now, PhLink *link, bool overtaken);
/* What the peer's signals said, before a link: it takes the beginning of a transfer along with the offer. Its HELLO
 * says so too. */
void ph_session_set_peer_takes_early (PhSession *self, bool takes_early);
/* An event of `link`; the event and its data stay the caller's. Events of links that were not added,
 * closed or given up are ignored. PH_LINK_EVENT_CLOSED does what ph_session_link_closed() does. */
void
ph_session_handle_link_event (PhSession *self, PhTime now, PhLink *link, const PhLinkEvent *event);
/* Forgets `link`, and what events still say of it. Idempotent. */
void ph_session_link_closed (PhSession *self, PhTime now, PhLink *link);
/* Nothing of any transfer is under way on `link`: always for a link that the session does not know. */
bool ph_session_link_idle (const PhSession *self, const PhLink *link);
/* `link` is older than the current one, and idle: nothing will go over it any more. */
bool ph_session_link_replaced (const PhSession *self, const PhLink *link);
/* The link that new data goes to: the newest whose HELLO has come, or NULL. */
PhLink *ph_session_current_link (const PhSession *self);

/* Opaque bytes to the peer's connector. False if no link can take them (or more than
 * PH_FRAME_SIGNAL_MAX): send them another way. */
bool ph_session_send_signal (PhSession *self, PhTime now, PhSlice signal);

/* --- Transfers ---------------------------------------------------------------------------------- */
/* Functions that name a transfer return false, and do nothing, if it is unknown or over, or is not at a
 * stage where that makes sense: the peer may have been faster. */

/* Offers what `manifest` (referenced) says, when there is a link. `id` is random and not yet used. */
void ph_session_offer (PhSession *self, PhTime now, const PhTransferId *id, PhManifest *manifest);
/* The same for a transfer that was offered before a restart. `accepted`: do not tell ACCEPTED again. */
void ph_session_restore_outgoing (PhSession *self, PhTime now, const PhTransferId *id,
                                  PhManifest *manifest, bool accepted, bool paused);
/* An incoming transfer that was accepted before a restart, with a sink at its checkpoint (owned). */
void ph_session_restore_incoming (PhSession *self, PhTime now, const PhTransferId *id,
                                  PhManifest *manifest, PhSink *sink, bool paused);
/* Takes `sink` in any case. */
bool ph_session_accept (PhSession *self, PhTime now, const PhTransferId *id, PhSink *sink);
bool
ph_session_decline (PhSession *self, PhTime now, const PhTransferId *id, PhDeclineReason reason);
/* Either direction, at any stage. Final: EVENT_CANCELLED follows. */
bool ph_session_cancel (PhSession *self, PhTime now, const PhTransferId *id);
/* Either direction. Bytes under way still arrive. A transfer goes on when neither side has it paused. */
bool ph_session_pause (PhSession *self, PhTime now, const PhTransferId *id);
bool ph_session_resume (PhSession *self, PhTime now, const PhTransferId *id);

/* The peer closed a link with PH_SESSION_CODE_OVER: it has cancelled everything. */
void ph_session_cancelled_all (PhSession *self, PhTime now);
/* After EVENT_STALLED: goes on with `sink`, at the transfer's checkpoint, and is not paused any more here. Takes
 * `sink` in any case. */
bool ph_session_unstall (PhSession *self, PhTime now, const PhTransferId *id, PhSink *sink);

/* Some source or sink of this session called its `ready`. */
void ph_session_storage_ready (PhSession *self, PhTime now);

/* Speed limits. Payload of data streams counts. `pacer` is shared by all sessions that send; borrowed; NULL:
 * none. What the peer is to send at most (0: any) is told to it; one that does not know of limits sends as fast
 * as it can. */
void ph_session_set_pacer (PhSession *self, PhPacer *pacer);
void ph_session_set_limit_down (PhSession *self, PhTime now, uint64_t bytes_per_sec);
/* Whether any incoming transfer is accepted and not paused. */
bool ph_session_receives (const PhSession *self);

/* Whether the peer offers incoming transfer `id`, or it is under way. */
bool ph_session_knows (const PhSession *self, const PhTransferId *id);
/* Transfers that are not over, both directions. */
unsigned ph_session_transfers (const PhSession *self);

/* --- Verbs -------------------------------------------------------------------------------------- */

void ph_session_handle_timeout (PhSession *self, PhTime now);
PhTime ph_session_next_timeout (const PhSession *self, const char **ret_why);
/* The caller clears the event. */
bool ph_session_poll_event (PhSession *self, PhSessionEvent *ret_event);
