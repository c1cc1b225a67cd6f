/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What connectors say to each other inside signals (or, where there is no rendezvous, on a link).
 *
 *   body = messages, one after the other
 *   message = type varint, content (varint length + fields)
 *   field = tag varint, value (varint length + bytes)
 *
 * Unknown messages and unknown fields are skipped, so that a newer Porthole can say more. A field that
 * should be there once counts the last time it is there. Values are big-endian.
 *
 *   PARAMS     1 generation u64, 2 echo u64, 3 ufrag, 4 pwd, 5 features varint
 *   CANDIDATES 1 generation u64, 6 candidate (repeated, opaque: net/ice encodes them), 7 end (empty)
 *   BYE        1 generation u64, 8 reason varint
 *   NAT        1 generation u64, 9 kind varint, 10 step varint (zigzag), 11 prediction (IPv4 address, port)
 */

#pragma once

#include "net/base/ph-addr.h"

/* RFC 8839 §5.4 allows 256 characters of each; ours have far fewer. */
#define PH_SIGNAL_CREDENTIAL_MAX 256
/* Candidates in one message; more go into the next. A check list has at most 100 pairs. */
#define PH_SIGNAL_CANDIDATES_MAX 32
/* Bytes of one candidate: an address, a base and a foundation fit twice. */
#define PH_SIGNAL_CANDIDATE_LEN_MAX 128

/* Bits of `features`. */
#define PH_SIGNAL_FEATURE_RENOMINATION UINT64_C (1)
/* The session's PH_FRAME_FEATURE_EARLY: who has just got a link need not wait for the peer's first frame. */
#define PH_SIGNAL_FEATURE_EARLY UINT64_C (2)

typedef enum {
  PH_SIGNAL_PARAMS = 1, /* I want a link (or restart ICE): these are my credentials */
  PH_SIGNAL_CANDIDATES = 2,
  PH_SIGNAL_BYE = 3, /* the attempt is over */
  PH_SIGNAL_NAT = 4, /* what guessing ports takes, see net/punch */
} PhSignalType;

typedef struct {
  PhSignalType type;
  uint64_t generation; /* the sender's attempt; never 0 */

  /* PARAMS */
  uint64_t echo; /* the receiver's generation that this answers, or 0 */
  PhSlice ufrag;
  PhSlice pwd;
  uint64_t features; /* bit set of what both must announce to use; 0: plain ICE */

  /* CANDIDATES */
  PhSlice candidates[PH_SIGNAL_CANDIDATES_MAX];
  unsigned n_candidates;
  bool end; /* no more will come */

  /* BYE */
  uint64_t reason;

  /* NAT */
  uint64_t nat_kind;
  int64_t nat_step;
  PhAddr prediction; /* where the sender's next mapping is expected; unset: none */
} PhSignalMessage;

typedef enum { PH_SIGNAL_OK, PH_SIGNAL_END, PH_SIGNAL_MALFORMED } PhSignalParse;

/* Appends a message; a body takes as many as fit. The writer is poisoned if there is no room. */
void ph_signal_message_write (PhWriter *w, const PhSignalMessage *message);

/* The next known message, slices borrowed from the input. MALFORMED poisons the reader: what came before
 * it is good. A PARAMS without credentials and any message without generation are malformed. */
PhSignalParse ph_signal_message_next (PhReader *r, PhSignalMessage *ret_message);
