/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A pair of links in memory: streams, windows and events as ph-link.h says, no packets and no time.
 *
 * Bytes move only in ph_fake_pair_step(): from random streams, in random pieces, as far as the reader's
 * windows allow. A pair can be cut after any number of bytes. Streams of either side have ids of their
 * own parity. Credit beyond what was delivered is an error of the reader and asserted. */

#pragma once

#include "net/base/ph-random.h"
#include "net/link/ph-link.h"

typedef struct {
  uint64_t stream_window; /* unread bytes a stream may hold */
  uint64_t link_window; /* and all together */
  unsigned streams_max; /* open streams of one side */
  size_t piece_max; /* longest STREAM_DATA */
} PhFakeOptions;

/* Windows that are small against what tests send, so that flow control matters. */
extern const PhFakeOptions ph_fake_options_default;

typedef struct {
  PhLink *a; /* owned */
  PhLink *b;
  PhRandom random;
  PhFakeOptions options;
  uint64_t moved; /* bytes so far, both directions */
  uint64_t cut_after; /* the pair dies when `moved` reaches this; UINT64_MAX: never */
  bool cut;
} PhFakePair;

PhFakePair *ph_fake_pair_new (PhRandom random, const PhFakeOptions *options);
void ph_fake_pair_free (PhFakePair *pair);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhFakePair, ph_fake_pair_free)

/* Moves some bytes each way. False if there was nothing to move. */
bool ph_fake_pair_step (PhFakePair *pair);
/* Dies without a word: what is queued is gone, both sides hear of it as a timeout. */
void ph_fake_pair_cut (PhFakePair *pair);
/* Dies, and only one side knows until the other is cut as well. */
void ph_fake_link_cut (PhLink *link);
/* Unread bytes that `link` has delivered to its reader: what a leak of credit shows in. */
uint64_t ph_fake_link_unread (const PhLink *link);
/* Bytes queued by the writer of `link`, all streams. */
uint64_t ph_fake_link_queued (const PhLink *link);
/* The code of ph_link_close() on this side; UINT64_MAX if it was not called. */
uint64_t ph_fake_link_close_code (const PhLink *link);
