/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two session peers, fake links between them, and a virtual clock. */

#pragma once

#include "tests/support/ph-fake-link.h"
#include "tests/support/ph-session-peer.h"

typedef struct {
  PhRandomSeeded state;
  PhRandom random;
  PhTime now;
  PhSessionPeer *a; /* owned */
  PhSessionPeer *b;
  GPtrArray *pairs; /* PhFakePair, owned; oldest first */
  PhFakeOptions options;
  GString *story; /* the trace of both, for a failure */
  PhTrace traces[2];
  struct _PhWorldTracer *tracers[2];
} PhSessionWorld;

/* Everything follows from `seed`. */
PhSessionWorld *ph_session_world_new (uint64_t seed);
void ph_session_world_free (PhSessionWorld *world);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhSessionWorld, ph_session_world_free)

PhMemoryFiles *ph_session_world_files (PhSessionWorld *world, unsigned count, uint64_t size_max);
PhFakePair *ph_session_world_connect (PhSessionWorld *world);
/* A link that a better one, there already, has overtaken. */
PhFakePair *ph_session_world_connect_late (PhSessionWorld *world);
/* A link that only `who` takes into its session: the other side has it, and says and reads nothing there. */
PhFakePair *ph_session_world_connect_one (PhSessionWorld *world, PhSessionPeer *who);
/* One round: bytes, events, storage. False if nothing happened. */
bool ph_session_world_step (PhSessionWorld *world);
/* Rounds until nothing happens any more, deadlines included. */
void ph_session_world_run (PhSessionWorld *world);
/* Rounds, `count` at most. */
void ph_session_world_steps (PhSessionWorld *world, unsigned count);
/* Rounds until `*counter` is at least `value`; asserts that it happens. */
void ph_session_world_until (PhSessionWorld *world, const unsigned *counter, unsigned value);
/* Cuts every link; both sides know. */
void ph_session_world_cut (PhSessionWorld *world);
/* Crash and new start of one peer; the other one hears of it with the next step. */
void ph_session_world_restart (PhSessionWorld *world, PhSessionPeer *peer);
/* The transfer of the other side with the same id; NULL if there is none. */
PhPeerTransfer *ph_session_world_twin (PhSessionWorld *world, const PhPeerTransfer *transfer);
