/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A session and a peer whose streams, links and timing are the input. The session sends one transfer and
 * accepts what it is offered; disks fill up, and have room again; its memory storage and the fake link assert that
 * it keeps its own word: credit, order of writes, one end for each transfer.
 *
 * Input: commands of one byte, three bits what and five bits which stream; see run_command(). */

#include "tests/support/ph-session-liar.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

#define STREAMS_MAX 12u
/* What a disk still takes, in steps that a small file has some of. */
#define ROOM_STEP 5u

typedef struct {
  PhLiar *liar;
  int64_t streams[STREAMS_MAX];
  bool ended[STREAMS_MAX];
  unsigned open;
} Peer;

static void
start_link (Peer *p)
{
  ph_liar_hello (p->liar);
  p->streams[0] = p->liar->control;
  p->ended[0] = false;
  p->open = 1;
}

/* Every disk takes some more, and then none of it: which error, and how much, the input says. */
static void
fill_disks (PhSessionPeer *peer, unsigned how)
{
  static const PhStorageError errors[] = {
      PH_STORAGE_NO_SPACE, PH_STORAGE_UNWRITABLE, PH_STORAGE_DISK,    PH_STORAGE_PROFILE_FULL,
      PH_STORAGE_PROFILE,  PH_STORAGE_IO,         PH_STORAGE_REFUSED, PH_STORAGE_MISMATCH};
  const uint64_t room = (how >> 3) * ROOM_STEP;

  peer->fail_after = room;
  peer->fail_error = errors[how & 7];
  for (unsigned i = 0; i < peer->transfers->len; i++) {
    PhMemoryDisk *disk = ((PhPeerTransfer *)peer->transfers->pdata[i])->disk;

    if (disk != NULL) {
      disk->fail_after = disk->bytes_written + room;
      disk->fail_error = peer->fail_error;
    }
  }
}

/* There is room again, and what stopped goes on, with a new sink as the engine makes one. */
static void
make_room (PhLiar *l)
{
  PhSessionPeer *peer = l->peer;

  peer->fail_after = UINT64_MAX;
  ph_session_peer_poll (peer, l->now); /* what has ended meanwhile */
  for (unsigned i = 0; i < peer->transfers->len; i++) {
    PhPeerTransfer *transfer = peer->transfers->pdata[i];

    if (transfer->disk == NULL)
      continue;
    transfer->disk->fail_after = UINT64_MAX;
    if (transfer->disk->sink == NULL && transfer->past == PH_PAST_UNKNOWN)
      g_assert_true (ph_session_unstall (peer->session, l->now, &transfer->id,
                                         ph_memory_sink_new (transfer->disk)));
  }
}

static void
pass_time (PhLiar *l)
{
  l->now += 6 * PH_SEC;
  ph_session_handle_timeout (l->peer->session, l->now);
}

static void
use_session (PhLiar *l, unsigned which, PhReader *r)
{
  PhSession *session = l->peer->session;
  const unsigned len = l->peer->transfers->len;
  PhPeerTransfer *transfer = len > 0 ? l->peer->transfers->pdata[(which >> 2) % len] : NULL;

  if (transfer == NULL)
    return;
  switch (which & 3) {
  case 0:
    ph_session_cancel (session, l->now, &transfer->id);
    break;
  case 1:
    ph_session_pause (session, l->now, &transfer->id);
    break;
  case 2:
    ph_session_resume (session, l->now, &transfer->id);
    break;
  default:
    if (which >> 2 == 6)
      fill_disks (l->peer, ph_read_u8 (r));
    else if (which >> 2 == 7)
      make_room (l);
    else
      pass_time (l);
  }
}

static PhSlice
read_up_to (PhReader *r, size_t len)
{
  return ph_read_slice (r, MIN (len, ph_reader_left (r)));
}

static void
run_command (Peer *p, PhReader *r)
{
  const uint8_t command = ph_read_u8 (r);
  const unsigned which = command >> 3;
  const unsigned stream = which % p->open;
  const bool writable = !p->ended[stream] && p->liar->pair->a->state == PH_LINK_READY;
  PhSlice bytes = {0};

  switch (command & 7) {
  case 0:
    if (p->open < STREAMS_MAX) {
      p->streams[p->open] = ph_link_open_stream (p->liar->pair->a);
      p->ended[p->open] = p->streams[p->open] < 0;
      p->open++;
    }
    break;
  case 1:
    bytes = read_up_to (r, ph_read_u8 (r));
    break;
  case 2:
    bytes = read_up_to (r, ph_read_u16 (r));
    break;
  case 3:
    if (writable)
      ph_liar_send (p->liar, p->streams[stream], NULL, 0, true);
    p->ended[stream] = true;
    break;
  case 4:
    if (writable)
      ph_link_reset_stream (p->liar->pair->a, p->streams[stream], 1);
    p->ended[stream] = true;
    break;
  case 5:
    ph_liar_run (p->liar);
    break;
  case 6:
    ph_fake_pair_cut (p->liar->pair);
    ph_liar_run (p->liar);
    ph_liar_connect (p->liar);
    start_link (p);
    break;
  default:
    use_session (p->liar, which, r);
  }
  if (bytes.len > 0 && writable)
    ph_liar_send (p->liar, p->streams[stream], bytes.data, bytes.len, false);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (PhLiar) l = ph_liar_new ();
  Peer p = {.liar = l};
  PhReader r = ph_reader (ph_slice (data, size));
  PhMemoryFiles *files = ph_memory_files_new (ph_random_seeded (&l->state));
  unsigned commands = 0;

  ph_memory_files_fill_one (files, 3000);
  ph_session_peer_offer (l->peer, l->now, files);
  start_link (&p);
  while (ph_reader_left (&r) > 0 && commands++ < 500)
    run_command (&p, &r);
  ph_liar_run (l);
  ph_fake_pair_cut (l->pair);
  ph_liar_run (l);
  g_assert_null (ph_session_current_link (l->peer->session));
  return 0;
}
