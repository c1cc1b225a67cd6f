/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A session and a peer that says whatever it is told to, byte by byte, over a fake link. */

#pragma once

#include "app/engine/ph-record.h"
#include "tests/support/ph-fake-link.h"
#include "tests/support/ph-session-peer.h"

/* The liar holds one end of the pair and speaks raw bytes; the other end is a session. */
typedef struct {
  PhRandomSeeded state;
  PhTime now;
  PhSessionPeer *peer;
  PhFakePair *pair;
  PhLink *link; /* the liar's end; borrowed */
  int64_t control;
  int64_t heard_stream; /* the session's control stream; -1: not yet */
  GByteArray *heard; /* of that */
  int64_t data_stream; /* the last data stream of the session's; -1: none yet */
  GByteArray *data; /* of that */
  bool reads;
  unsigned closed;
} PhLiar;

/* A session "victim" that accepts every offer, and a link to it. */
PhLiar *ph_liar_new (void);
/* Speaks on `link` to whoever is at its other end, who is driven by the caller, as the link is: `peer` and `pair`
 * are NULL, and ph_liar_run() is not for it. */
PhLiar *ph_liar_new_on (PhLink *link);
void ph_liar_free (PhLiar *l);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhLiar, ph_liar_free)
/* A new link in place of the one before. */
void ph_liar_connect (PhLiar *l);
/* Takes an event of the liar's link. */
void ph_liar_hear (PhLiar *l, PhLinkEvent *event);
/* Until nothing moves. */
void ph_liar_run (PhLiar *l);

void ph_liar_send (PhLiar *l, int64_t stream, const void *bytes, size_t len, bool fin);
int64_t ph_liar_open (PhLiar *l, uint8_t type);
/* Opens the control stream and says a proper HELLO. */
void ph_liar_hello (PhLiar *l);
void ph_liar_frame (PhLiar *l, const PhFrame *frame);
/* How often the session said `type` on this link; the last such frame in `ret_frame`. */
unsigned ph_liar_heard (PhLiar *l, PhFrameType type, PhFrame *ret_frame);
/* The session gives the link up, once, with this code. */
void ph_liar_expect_error (PhLiar *l, PhSessionCode code);

/* folder, folder/a (10 bytes), folder/empty, b (20 bytes) */
PhManifest *ph_liar_manifest (void);
/* A proper offer of `manifest`, which keeps the bytes; its serial is `id`. */
void ph_liar_fill_offer (PhFrame *frame, uint8_t id, PhManifest *manifest);
void ph_liar_offer (PhLiar *l, uint8_t id);
/* The session's transfer of that id. */
PhPeerTransfer *ph_liar_transfer (PhLiar *l, uint8_t id);

#define PH_LIE_ALL UINT64_MAX

/* A record of zeros. */
typedef struct {
  PhRecordType type;
  uint32_t file;
  uint64_t offset;
  uint64_t len;
  uint64_t given; /* bytes that really follow; UINT64_MAX: len, and a digest after LAST */
} PhLie;

void ph_liar_record (PhLiar *l, int64_t stream, const PhLie *lie);
int64_t ph_liar_segment (PhLiar *l, uint8_t id, uint64_t attempt, uint64_t segment);
