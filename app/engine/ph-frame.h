/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The control frames of the transfer protocol (docs/protocol.md, "Transfer").
 *
 * A control stream is a sequence of frames: u8 type, u16 length, so many bytes of body. Types with
 * PH_FRAME_OPTIONAL may be skipped by who does not know them; any other unknown type is an error. The
 * decoder accepts exactly what the encoder makes: no trailing bytes, shortest varints, valid UTF-8, values
 * within their limits. */

#pragma once

#include "app/engine/ph-manifest.h"
#include "app/engine/ph-storage.h"
#include "net/base/ph-bytes.h"

#define PH_SESSION_VERSION 1u

/* A whole frame. Every frame is small; those with opaque bytes are the longest. Bounds what a control stream buffers. */
#define PH_FRAME_MAX 16384u
#define PH_FRAME_HEAD_LEN 3u
/* A manifest up to this size travels in the offer, so that some hundred files need no round trip more. */
#define PH_FRAME_MANIFEST_MAX 16000u
/* The other connector's bytes: a sealed signal with all its candidates is under 4 KiB. */
#define PH_FRAME_SIGNAL_MAX 16000u
/* A device name, bytes of UTF-8. */
#define PH_FRAME_NAME_MAX 128u
#define PH_INSTANCE_LEN 16
#define PH_TRANSFER_ID_LEN 16

/* Drawn at random by the sender. */
typedef struct {
  uint8_t bytes[PH_TRANSFER_ID_LEN];
} PhTransferId;

static inline bool
ph_transfer_id_equal (const PhTransferId *a, const PhTransferId *b)
{
  return memcmp (a->bytes, b->bytes, PH_TRANSFER_ID_LEN) == 0;
}

/* Why an offer is not taken. On the wire; a value of a later version counts as PH_DECLINE_OTHER. */
typedef enum {
  PH_DECLINE_OTHER = 0,
  PH_DECLINE_PERSON = 1, /* somebody said no */
  PH_DECLINE_BUSY = 2, /* too many offers at once: made again by itself later */
  PH_DECLINE_TOO_LARGE = 3, /* more entries or bytes than this side takes */
  PH_DECLINE_MALFORMED = 4, /* the manifest is not what the offer says, or no manifest */
  PH_DECLINE_NO_SPACE = 5, /* more than there is room for */
  PH_DECLINE_UNWRITABLE = 6, /* the folder for downloads cannot be written */
  PH_DECLINE_UNSAFE = 7, /* names that cannot be written safely */
  PH_DECLINE_LAST = PH_DECLINE_UNSAFE,
} PhDeclineReason;

/* Why a transfer failed. On the wire; a value of a later version counts as PH_FAILURE_OTHER. */
typedef enum {
  PH_FAILURE_OTHER = 0,
  PH_FAILURE_STORAGE = 1, /* reading or writing: a PhStorageError and a file say what */
  PH_FAILURE_PROTOCOL = 2, /* the peer broke the rules within this transfer */
  PH_FAILURE_GONE = 3, /* the peer knows nothing of it any more */
  PH_FAILURE_LAST = PH_FAILURE_GONE,
} PhFailure;

/* PAUSE: that side's wish. */
typedef enum {
  PH_PAUSE_NONE = 0, /* go on */
  PH_PAUSE_PERSON = 1,
  PH_PAUSE_NO_SPACE = 2, /* the receiver has no room for the rest, */
  PH_PAUSE_UNWRITABLE = 3, /* or cannot write into the folder; it keeps what it has */
  PH_PAUSE_LAST = PH_PAUSE_UNWRITABLE,
} PhPause;

#define PH_FRAME_OPTIONAL 0x20u

typedef enum {
  PH_FRAME_HELLO = 0x01, /* first on every control stream, and only there */
  PH_FRAME_OFFER = 0x02, /* sender: a transfer that is not over; again on every new link */
  PH_FRAME_SYNC = 0x03, /* sender: what was not offered on this link by now does not exist */
  PH_FRAME_WANT = 0x04, /* receiver: send the manifest */
  PH_FRAME_ACCEPT = 0x05, /* receiver: send from here; each has a new attempt number */
  PH_FRAME_DECLINE = 0x06, /* receiver */
  PH_FRAME_CANCEL = 0x07, /* either */
  PH_FRAME_PAUSE = 0x08, /* either: the state of that side's wish, and why */
  PH_FRAME_FAILED = 0x09, /* either */
  PH_FRAME_RECEIPT = 0x0a, /* receiver: everything is on disk and verified */
  PH_FRAME_PROGRESS = PH_FRAME_OPTIONAL | 0x01, /* receiver */
  PH_FRAME_SIGNAL = PH_FRAME_OPTIONAL | 0x02, /* either: opaque */
  PH_FRAME_LIMIT =
      PH_FRAME_OPTIONAL | 0x03, /* either: send me no more than this, all transfers together */
} PhFrameType;

/* This side takes the beginning of a transfer before it has answered the offer. */
#define PH_FRAME_FEATURE_EARLY UINT64_C (1)

typedef struct {
  uint64_t version;
  uint64_t features; /* bits of PH_FRAME_FEATURE_; unknown ones are ignored */
  uint8_t instance[PH_INSTANCE_LEN];
  PhSlice name; /* UTF-8, no NUL */
} PhFrameHello;

typedef struct {
  bool paused; /* the sender has it paused */
  bool lost; /* the sender needs an ACCEPT to go on: `attempt` came to nothing */
  uint64_t attempt; /* the last one that the sender has seen; 0: none */
  uint64_t serial; /* numbers the transfers of one run of the sender, from 1 */
  uint64_t entries;
  uint64_t bytes;
  uint64_t manifest_size;
  uint8_t manifest_digest[PH_SHA256_LEN];
  PhSlice manifest; /* the whole of it, or empty: the receiver says WANT */
  bool early; /* its beginning follows at once, on the same link */
} PhFrameOffer;

typedef struct {
  bool paused; /* the receiver has it paused */
  bool restarted; /* point.file failed its check */
  uint64_t attempt; /* > 0 */
  PhResumePoint point;
  bool early; /* `point` is the very beginning, and what followed the offer is taken for it */
} PhFrameAccept;

typedef struct {
  uint64_t attempt;
  uint64_t bytes_written;
  uint64_t bytes_durable;
} PhFrameProgress;

typedef struct {
  uint8_t code; /* PhFailure */
  uint8_t storage; /* PhStorageError */
  uint32_t file; /* UINT32_MAX: none */
} PhFrameFailed;

typedef struct {
  PhFrameType type;
  PhTransferId id; /* all but HELLO, SYNC, SIGNAL, LIMIT */
  bool from_sender; /* CANCEL, PAUSE, FAILED: said by the transfer's sender, not its receiver */
  union {
    uint64_t sync_serial; /* the last serial given out when SYNC was sent */
    PhFrameHello hello;
    PhFrameOffer offer;
    PhFrameAccept accept;
    uint8_t decline; /* PhDeclineReason */
    PhPause pause;
    PhFrameFailed failed;
    uint8_t receipt_digest[PH_SHA256_LEN];
    PhFrameProgress progress;
    PhSlice signal;
    uint64_t limit; /* bytes a second; 0: none */
  };
} PhFrame;

typedef enum {
  PH_FRAME_OK,
  PH_FRAME_SHORT, /* not a whole frame yet */
  PH_FRAME_SKIPPED, /* an unknown optional frame */
  PH_FRAME_MALFORMED, /* never will be one */
} PhFrameResult;

/* Attempts and serials count from 1 and stay below this. */
#define PH_FRAME_COUNTER_MAX UINT32_MAX

/* Appends one frame; `out` has room for PH_FRAME_MAX, and what is in the frame is within its
 * limits (asserted). */
void ph_frame_encode (const PhFrame *frame, PhWriter *out);
/* Reads one frame from the start of `in`. For OK and SKIPPED `ret_len` is its length; slices in
 * `ret_frame` are borrowed from `in`. A frame over PH_FRAME_MAX is malformed from its first bytes. */
PhFrameResult ph_frame_decode (PhSlice in, PhFrame *ret_frame, size_t *ret_len);
