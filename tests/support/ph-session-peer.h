/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One side of a session test: a session with memory storage behind it, and what it has told so far.
 *
 * Plays the engine's part: opens sources, makes sinks, remembers what is over. Files and disks live in the
 * peer and stay over ph_session_peer_restart(), which stands for a crash of the program. */

#pragma once

#include "app/engine/ph-session.h"
#include "tests/support/ph-memory-storage.h"

#define PH_SESSION_EVENTS (PH_SESSION_EVENT_LINK_ERROR + 1)

typedef struct {
  PhTransferId id;
  bool outgoing;
  PhMemoryFiles *files; /* outgoing; owned */
  PhMemoryDisk *disk; /* incoming, once accepted; owned */
  PhManifest *manifest; /* owned */
  bool accepted;
  PhPast past; /* how it ended */
  unsigned told[PH_SESSION_EVENTS];
  PhSessionEvent last; /* of its events; owned parts cleared */
  uint64_t bytes_written_told;
  PhPause pause; /* the other side's, as told */
  PhSessionEvent stalled; /* the last one */
} PhPeerTransfer;

typedef struct {
  PhSession *session; /* owned */
  PhRandom random;
  const PhTrace *trace;
  const char *name;
  unsigned runs;
  GPtrArray *transfers; /* PhPeerTransfer, owned */
  GPtrArray *signals; /* GBytes, owned */
  bool accepts; /* every offer, at once */
  unsigned ops_max; /* writes done in one ph_session_peer_work() */
  unsigned told[PH_SESSION_EVENTS];
  uint64_t link_code; /* of the last LINK_ERROR */
  uint64_t fail_after; /* for disks to be made */
  PhStorageError fail_error; /* likewise */
} PhSessionPeer;

PhSessionPeer *ph_session_peer_new (const char *name, PhRandom random, const PhTrace *trace);
void ph_session_peer_free (PhSessionPeer *peer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhSessionPeer, ph_session_peer_free)

/* Offers `files` (owned) under a random id. */
PhPeerTransfer *ph_session_peer_offer (PhSessionPeer *peer, PhTime now, PhMemoryFiles *files);
PhPeerTransfer *ph_session_peer_find (const PhSessionPeer *peer, const PhTransferId *id);
/* Accepts with a new disk. */
void ph_session_peer_accept (PhSessionPeer *peer, PhTime now, PhPeerTransfer *transfer);
/* The storage works a little and the session hears of it. False if there was nothing to do. */
bool ph_session_peer_work (PhSessionPeer *peer, PhTime now);
/* Takes the session's events; LINK_ERROR closes the link. */
void ph_session_peer_poll (PhSessionPeer *peer, PhTime now);
/* Crashes and starts again; links must be added anew. */
void ph_session_peer_restart (PhSessionPeer *peer, PhTime now);
