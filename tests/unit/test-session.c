/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sessions that agree with each other: transfers, answers, pauses, ends. Broken links are in
 * test-session-links.c, broken peers in test-session-peers.c. */

#include "tests/support/ph-session-world.h"
#include "tests/support/ph-test.h"

static PhSessionWorld *
world_new (void)
{
  return ph_session_world_new (ph_test_seed ());
}

static PhPeerTransfer *
offer (PhSessionWorld *w, unsigned count, uint64_t size_max)
{
  return ph_session_peer_offer (w->a, w->now, ph_session_world_files (w, count, size_max));
}

/* Both ends are through, each was told once, the bytes are there, and all credit was given back. */
static void
check_delivered (PhSessionWorld *w, PhPeerTransfer *sent)
{
  PhPeerTransfer *got = ph_session_world_twin (w, sent);

  if (sent->past != PH_PAST_RECEIVED || got == NULL)
    g_error ("not delivered:\n%s", w->story->str);
  g_assert_cmpuint (sent->told[PH_SESSION_EVENT_DELIVERED], ==, 1);
  g_assert_cmpuint (got->told[PH_SESSION_EVENT_RECEIVED], ==, 1);
  g_assert_cmpuint (sent->told[PH_SESSION_EVENT_ACCEPTED], ==, 1);
  g_assert_cmpuint (sent->told[PH_SESSION_EVENT_FAILED], ==, 0);
  g_assert_cmpuint (sent->told[PH_SESSION_EVENT_STARTED], <=, 1);
  g_assert_cmpuint (sent->bytes_written_told, ==, ph_manifest_bytes (sent->manifest));
  ph_memory_disk_check (got->disk, sent->files);
  for (unsigned i = 0; i < w->pairs->len; i++) {
    PhFakePair *pair = w->pairs->pdata[i];

    if (pair->cut)
      continue;
    g_assert_cmpuint (ph_fake_link_unread (pair->a), ==, 0);
    g_assert_cmpuint (ph_fake_link_unread (pair->b), ==, 0);
    g_assert_true (ph_session_link_idle (w->a->session, pair->a));
    g_assert_true (ph_session_link_idle (w->b->session, pair->b));
  }
  g_assert_cmpuint (ph_session_transfers (w->a->session), ==, 0);
  g_assert_cmpuint (ph_session_transfers (w->b->session), ==, 0);
}

static void
test_folder (void)
{
  g_autoptr (PhSessionWorld) w = world_new ();
  PhPeerTransfer *sent;

  ph_session_world_connect (w);
  sent = offer (w, 60, 60000);
  sent->files->stutters = true;
  ph_session_world_run (w);
  check_delivered (w, sent);
  g_assert_cmpuint (sent->told[PH_SESSION_EVENT_STARTED], ==, 1);
  g_assert_cmpuint (sent->files->sources, ==, 1);
  g_assert_cmpuint (sent->files->seeks, ==, 0);
  g_assert_cmpuint (ph_session_world_twin (w, sent)->disk->bytes_written, ==,
                    ph_manifest_bytes (sent->manifest));
  g_assert_cmpuint (w->a->told[PH_SESSION_EVENT_PEER], ==, 1);
}

/* Every head, frame and digest comes in pieces of one byte. */
static void
test_byte_by_byte (void)
{
  g_autoptr (PhSessionWorld) w = world_new ();
  PhPeerTransfer *sent;

  w->options.piece_max = 1;
  ph_session_world_connect (w);
  sent = offer (w, 12, 300);
  ph_session_world_run (w);
  check_delivered (w, sent);
}

static void
test_empty_things (void)
{
  for (unsigned kind = 0; kind < 3; kind++) {
    g_autoptr (PhSessionWorld) w = world_new ();
    PhMemoryFiles *files = ph_memory_files_new (w->random);
    PhPeerTransfer *sent;

    if (kind == 0)
      ph_memory_files_fill_one (files, 0);
    else
      ph_memory_files_fill (files, kind == 1 ? 1 : 40, 0); /* one folder; folders and empty files */
    ph_session_world_connect (w);
    sent = ph_session_peer_offer (w->a, w->now, files);
    ph_session_world_run (w);
    check_delivered (w, sent);
  }
}

static void
test_offer_before_link (void)
{
  g_autoptr (PhSessionWorld) w = world_new ();
  PhPeerTransfer *sent = offer (w, 5, 1000);

  ph_session_world_run (w);
  g_assert_cmpuint (w->b->transfers->len, ==, 0);
  ph_session_world_connect (w);
  ph_session_world_run (w);
  check_delivered (w, sent);
}

/* The manifest does not fit into the offer, and the files are many. */
static void
test_many_small_files (void)
{
  g_autoptr (PhSessionWorld) w = world_new ();
  PhPeerTransfer *sent;
  uint64_t bytes;

  w->options = (PhFakeOptions){1 << 20, 2 << 20, 16, 1 << 20};
  w->b->ops_max = 20000;
  PhFakePair *pair = ph_session_world_connect (w);
  sent = offer (w, 100000, 8);
  bytes = ph_manifest_bytes (sent->manifest);
  ph_session_world_run (w);
  check_delivered (w, sent);
  /* The bytes, the digests, the manifest (some 30 bytes a name here), and a little each. */
  g_assert_cmpuint (pair->moved, <, bytes + UINT64_C (100000) * (PH_SHA256_LEN + 50));
}

static void
test_both_ways (void)
{
  g_autoptr (PhSessionWorld) w = world_new ();
  PhPeerTransfer *sent;
  PhPeerTransfer *back;

  ph_session_world_connect (w);
  sent = offer (w, 20, 50000);
  back = ph_session_peer_offer (w->b, w->now, ph_session_world_files (w, 20, 50000));
  ph_session_world_run (w);
  check_delivered (w, sent);
  check_delivered (w, back);
}

/* A slow disk holds the sender back: what waits is bounded by the windows. */
static void
test_backpressure (void)
{
  g_autoptr (PhSessionWorld) w = world_new ();
  PhPeerTransfer *sent;

  w->b->ops_max = 1;
  ph_session_world_connect (w);
  sent = offer (w, 2, 4000000);
  ph_session_world_run (w);
  check_delivered (w, sent);
  g_assert_cmpuint (ph_session_world_twin (w, sent)->disk->queued_bytes_max, <=,
                    w->options.stream_window);
}

/* What waits on the link to be sent stays below the mark, whatever is there to send. */
static void
test_queue_is_bounded (void)
{
  g_autoptr (PhSessionWorld) w = world_new ();
  PhMemoryFiles *files = ph_memory_files_new (w->random);
  PhFakePair *pair;
  PhPeerTransfer *sent;
  uint64_t most = 0;

  w->options = (PhFakeOptions){8 << 20, 16 << 20, 16, 8 << 20};
  w->b->ops_max = 1000;
  ph_memory_files_fill_one (files, 60000000);
  pair = ph_session_world_connect (w);
  sent = ph_session_peer_offer (w->a, w->now, files);
  do {
    most = MAX (most, ph_fake_link_queued (pair->a));
    ph_session_world_step (w);
  } while (sent->told[PH_SESSION_EVENT_DELIVERED] == 0);
  g_assert_cmpuint (most, >=, PH_SESSION_UNSENT_MAX / 2);
  g_assert_cmpuint (most, <, PH_SESSION_UNSENT_MAX + 200000);
  check_delivered (w, sent);
}

static void
test_fair (void)
{
  g_autoptr (PhSessionWorld) w = world_new ();
  PhPeerTransfer *first = offer (w, 2, 3000000);
  PhPeerTransfer *second = offer (w, 2, 3000000);

  ph_session_world_connect (w);
  while (first->past == PH_PAST_UNKNOWN && second->past == PH_PAST_UNKNOWN)
    ph_session_world_step (w);

  const PhPeerTransfer *behind = first->past == PH_PAST_UNKNOWN ? first : second;
  const PhPeerTransfer *done = behind == first ? second : first;

  g_assert_cmpuint (behind->bytes_written_told * 2, >,
                    MIN (ph_manifest_bytes (done->manifest), ph_manifest_bytes (behind->manifest)));
  ph_session_world_run (w);
  check_delivered (w, first);
  check_delivered (w, second);
}

static void
test_decline (void)
{
  g_autoptr (PhSessionWorld) w = world_new ();
  PhPeerTransfer *sent;

  w->b->accepts = false;
  ph_session_world_connect (w);
  sent = offer (w, 10, 1000);
  ph_session_world_run (w);

  PhPeerTransfer *got = ph_session_world_twin (w, sent);

  g_assert_cmpuint (got->told[PH_SESSION_EVENT_OFFER], ==, 1);
  g_assert_true (ph_session_decline (w->b->session, w->now, &sent->id, PH_DECLINE_PERSON));
  g_assert_false (ph_session_decline (w->b->session, w->now, &sent->id, PH_DECLINE_PERSON));
  ph_session_world_run (w);
  g_assert_cmpuint (sent->told[PH_SESSION_EVENT_DECLINED], ==, 1);
  g_assert_cmpint (sent->last.decline, ==, PH_DECLINE_PERSON);
  g_assert_null (got->disk); /* declined means that nothing touched the disk */
  g_assert_cmpuint (sent->files->sources, ==, 0);
  g_assert_cmpuint (ph_session_transfers (w->a->session), ==, 0);
  g_assert_cmpuint (ph_session_transfers (w->b->session), ==, 0);
}

/* Cancelled by either side after any number of rounds: both hear of it once, the disk is cleaned. */
static void
test_cancel_at_any_time (void)
{
  for (unsigned round = 0; round < 120; round++) {
    g_autoptr (PhSessionWorld) w = ph_session_world_new (ph_test_seed () + round);
    const bool by_sender = round % 2 == 0;
    PhPeerTransfer *sent = offer (w, 20, 40000);
    PhPeerTransfer *got;
    bool cancelled;

    w->b->ops_max = 2;
    ph_session_world_connect (w);
    ph_session_world_steps (w, round / 2);
    cancelled = ph_session_cancel (by_sender ? w->a->session : w->b->session, w->now, &sent->id);
    ph_session_world_run (w);
    got = ph_session_world_twin (w, sent);

    if (!cancelled && (!by_sender && got == NULL)) {
      continue; /* the receiver has not heard of it at this point */
    } else if (!cancelled) {
      check_delivered (w, sent);
    } else if (sent->past == PH_PAST_RECEIVED) {
      g_assert_true (by_sender || got->past == PH_PAST_RECEIVED);
    } else {
      g_assert_cmpint (sent->past, ==, PH_PAST_CANCELLED);
      if (got != NULL && got->past == PH_PAST_CANCELLED && got->disk != NULL)
        g_assert_true (got->disk->discarded);
      g_assert_true (got == NULL || got->past != PH_PAST_UNKNOWN);
    }
    g_assert_cmpuint (ph_session_transfers (w->a->session), ==, 0);
    g_assert_cmpuint (ph_session_transfers (w->b->session), ==, 0);
    g_assert_cmpuint (w->a->told[PH_SESSION_EVENT_LINK_ERROR], ==, 0);
    g_assert_cmpuint (w->b->told[PH_SESSION_EVENT_LINK_ERROR], ==, 0);

    /* The link is as good as before. */
    PhPeerTransfer *next = offer (w, 5, 20000);

    ph_session_world_run (w);
    check_delivered (w, next);
  }
}

/* Either side cancels while there is no link: the other one hears of it with the next. */
static void
test_cancel_while_apart (void)
{
  for (unsigned i = 0; i < 4; i++) {
    g_autoptr (PhSessionWorld) w = ph_session_world_new (ph_test_seed () + i);
    PhSessionPeer *who = i % 2 == 0 ? w->a : w->b;
    PhPeerTransfer *sent;
    PhPeerTransfer *got;

    ph_session_world_connect (w);
    sent = offer (w, 20, 60000);
    ph_session_world_until (w, &sent->told[PH_SESSION_EVENT_STARTED], 1);
    ph_session_world_cut (w);
    g_assert_true (ph_session_cancel (who->session, w->now, &sent->id));
    ph_session_peer_poll (who, w->now);
    if (i >= 2) /* and forgets it all */
      ph_session_world_restart (w, who);
    ph_session_world_connect (w);
    ph_session_world_run (w);
    got = ph_session_world_twin (w, sent);
    g_assert_cmpint (sent->past, ==, PH_PAST_CANCELLED);
    g_assert_cmpint (got->past, ==, PH_PAST_CANCELLED);
    g_assert_true (got->disk->discarded);
    g_assert_cmpuint (got->told[PH_SESSION_EVENT_OFFER], ==, 1);
  }
}

static void
test_pause (void)
{
  for (unsigned i = 0; i < 6; i++) {
    g_autoptr (PhSessionWorld) w = ph_session_world_new (ph_test_seed () + i);
    PhSessionPeer *who = i % 2 == 0 ? w->a : w->b;
    PhSessionPeer *other = i % 2 == 0 ? w->b : w->a;
    PhMemoryFiles *files = ph_memory_files_new (w->random);
    PhPeerTransfer *sent;

    ph_memory_files_fill_one (files, 12 * PH_SESSION_UNSENT_MAX);
    ph_session_world_connect (w);
    sent = ph_session_peer_offer (w->a, w->now, files);
    ph_session_world_until (w, &sent->told[PH_SESSION_EVENT_STARTED], 1);
    g_assert_true (ph_session_pause (who->session, w->now, &sent->id));
    g_assert_false (ph_session_pause (who->session, w->now, &sent->id));
    ph_session_world_run (w);
    g_assert_cmpint (sent->past, ==, PH_PAST_UNKNOWN);
    g_assert_cmpuint (ph_session_peer_find (other, &sent->id)->told[PH_SESSION_EVENT_PAUSED], ==,
                      1);

    if (i >= 2) { /* it stays so over a new link */
      ph_session_world_cut (w);
      ph_session_world_connect (w);
      ph_session_world_run (w);
      g_assert_cmpint (sent->past, ==, PH_PAST_UNKNOWN);
    }
    if (i >= 4) { /* and if it ends while they are apart */
      ph_session_world_cut (w);
      g_assert_true (ph_session_resume (who->session, w->now, &sent->id));
      ph_session_world_connect (w);
    } else {
      g_assert_true (ph_session_resume (who->session, w->now, &sent->id));
    }
    ph_session_world_run (w);
    g_assert_cmpuint (ph_session_peer_find (other, &sent->id)->told[PH_SESSION_EVENT_RESUMED], ==,
                      1);
    check_delivered (w, sent);
  }
}

/* The first entry from `index` on that is a file. */
static uint32_t
some_file (const PhMemoryFiles *files, uint32_t index)
{
  while (ph_manifest_entry (files->manifest, index)->kind != PH_ENTRY_FILE)
    index++;
  return index;
}

/* The sender thinks better of it while the manifest is on its way: of a transfer that it was not asked about the
 * receiver hears nothing (ph_session_peer_poll() asserts that), and it is paused all the same. */
static void
test_pause_before_the_question (void)
{
  for (unsigned steps = 0; steps < 10; steps++) {
    g_autoptr (PhSessionWorld) w = ph_session_world_new (ph_test_seed ());
    PhPeerTransfer *sent;

    w->options.piece_max = 5000;
    ph_session_world_connect (w);
    sent = ph_session_peer_offer (w->a, w->now, ph_session_world_files (w, 2500, 10));
    ph_session_world_steps (w, steps);
    g_assert_true (ph_session_pause (w->a->session, w->now, &sent->id));
    ph_session_world_run (w);
    g_assert_cmpint (sent->past, ==, PH_PAST_UNKNOWN);
    g_assert_cmpuint (sent->told[PH_SESSION_EVENT_ACCEPTED], ==, 1);
    g_assert_true (ph_session_resume (w->a->session, w->now, &sent->id));
    ph_session_world_run (w);
    check_delivered (w, sent);
  }
}

static void
test_source_fails (void)
{
  for (unsigned i = 0; i < 2; i++) {
    g_autoptr (PhSessionWorld) w = world_new ();
    PhPeerTransfer *sent;
    PhPeerTransfer *got;

    ph_session_world_connect (w);
    sent = offer (w, 20, 60000);
    if (i == 0)
      sent->files->fail_file = some_file (sent->files, 12);
    sent->files->fail_error = PH_STORAGE_VANISHED;
    ph_session_world_run (w);
    got = ph_session_world_twin (w, sent);
    g_assert_cmpuint (sent->told[PH_SESSION_EVENT_FAILED], ==, 1);
    g_assert_cmpint (sent->last.failure, ==, PH_FAILURE_STORAGE);
    g_assert_cmpint (sent->last.storage, ==, PH_STORAGE_VANISHED);
    g_assert_false (sent->last.by_peer);
    g_assert_cmpuint (sent->last.file, ==, sent->files->fail_file);
    g_assert_cmpuint (got->told[PH_SESSION_EVENT_FAILED], ==, 1);
    g_assert_cmpint (got->last.storage, ==, PH_STORAGE_VANISHED);
    g_assert_true (got->last.by_peer);
    g_assert_true (got->disk->discarded);
  }
}

/* The receiver's disk is full: what is there is kept, both know why, and it goes on when there is room,
 * whatever happened to links and programs meanwhile. */
static void
test_sink_stalls (void)
{
  for (unsigned i = 0; i < 6; i++) {
    g_autoptr (PhSessionWorld) w = world_new ();
    PhPeerTransfer *sent, *got;

    w->b->fail_after = 300000;
    ph_session_world_connect (w);
    sent = offer (w, 40, 60000);
    ph_session_world_run (w);
    got = ph_session_world_twin (w, sent);
    g_assert_cmpuint (got->told[PH_SESSION_EVENT_STALLED], ==, 1);
    g_assert_cmpint (got->stalled.storage, ==, PH_STORAGE_NO_SPACE);
    g_assert_cmpstr (got->stalled.message, ==, "full");
    g_assert_cmpuint (sent->told[PH_SESSION_EVENT_PAUSED], ==, 1);
    g_assert_cmpint (sent->pause, ==, PH_PAUSE_NO_SPACE);
    g_assert_false (got->disk->discarded);
    g_assert_false (ph_session_resume (w->b->session, w->now, &got->id));

    if (i == 1 || i == 2) {
      ph_session_world_cut (w);
      if (i == 2) {
        ph_session_world_restart (w, w->a);
        sent->told[PH_SESSION_EVENT_STARTED] = 0;
      }
      ph_session_world_connect (w);
      ph_session_world_run (w);
      g_assert_cmpint (sent->pause, ==, PH_PAUSE_NO_SPACE);
    } else if (i == 3) {
      g_assert_true (ph_session_cancel (w->a->session, w->now, &sent->id));
      ph_session_world_run (w);
      g_assert_cmpint (got->past, ==, PH_PAST_CANCELLED);
      continue;
    } else if (i == 4) {
      g_assert_true (ph_session_cancel (w->b->session, w->now, &got->id));
      ph_session_world_run (w);
      g_assert_cmpint (sent->past, ==, PH_PAST_CANCELLED);
      continue;
    } else if (i == 5) { /* room for some more, not for all */
      got->disk->fail_after = got->disk->bytes_written + 200000;
      ph_session_unstall (w->b->session, w->now, &got->id, ph_memory_sink_new (got->disk));
      ph_session_world_run (w);
      g_assert_cmpuint (got->told[PH_SESSION_EVENT_STALLED], ==, 2);
      g_assert_cmpint (sent->pause, ==, PH_PAUSE_NO_SPACE);
    }
    got->disk->fail_after = UINT64_MAX;
    g_assert_true (
        ph_session_unstall (w->b->session, w->now, &got->id, ph_memory_sink_new (got->disk)));
    ph_session_world_run (w);
    check_delivered (w, sent);
  }
}

/* So does a disk that was pulled, and a profile that cannot be written. */
static void
test_sink_stalls_for (void)
{
  static const struct {
    PhStorageError error;
    PhPause pause;
  } cases[] = {{PH_STORAGE_UNWRITABLE, PH_PAUSE_UNWRITABLE},
               {PH_STORAGE_DISK, PH_PAUSE_UNWRITABLE},
               {PH_STORAGE_PROFILE, PH_PAUSE_UNWRITABLE},
               {PH_STORAGE_PROFILE_FULL, PH_PAUSE_NO_SPACE}};

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (PhSessionWorld) w = world_new ();
    PhPeerTransfer *sent, *got;

    w->b->fail_after = 300000;
    w->b->fail_error = cases[i].error;
    ph_session_world_connect (w);
    sent = offer (w, 40, 60000);
    ph_session_world_run (w);
    got = ph_session_world_twin (w, sent);
    g_assert_cmpuint (got->told[PH_SESSION_EVENT_STALLED], ==, 1);
    g_assert_cmpint (got->stalled.storage, ==, cases[i].error);
    g_assert_cmpint (sent->pause, ==, cases[i].pause);
    g_assert_false (got->disk->discarded);
    got->disk->fail_after = UINT64_MAX;
    g_assert_true (
        ph_session_unstall (w->b->session, w->now, &got->id, ph_memory_sink_new (got->disk)));
    ph_session_world_run (w);
    check_delivered (w, sent);
  }
}

/* A wrong digest restarts its file, so often; then the transfer fails. */
static void
test_wrong_digest (void)
{
  for (unsigned times = 1; times <= PH_SESSION_FILE_RESTARTS_MAX + 1; times++) {
    g_autoptr (PhSessionWorld) w = world_new ();
    PhMemoryFiles *files = ph_session_world_files (w, 12, 60000);
    const unsigned restarts = MIN (times, PH_SESSION_FILE_RESTARTS_MAX);
    PhPeerTransfer *sent;
    PhPeerTransfer *got;

    files->corrupt_file = some_file (files, 5);
    files->corrupt_times = times;
    ph_session_world_connect (w);
    sent = ph_session_peer_offer (w->a, w->now, files);
    ph_session_world_run (w);
    got = ph_session_world_twin (w, sent);
    g_assert_cmpuint (got->told[PH_SESSION_EVENT_FILE_RESTARTED], ==, restarts);
    g_assert_cmpuint (sent->told[PH_SESSION_EVENT_FILE_RESTARTED], ==, restarts);
    if (times <= PH_SESSION_FILE_RESTARTS_MAX) {
      check_delivered (w, sent);
      continue;
    }
    g_assert_cmpint (got->last.storage, ==, PH_STORAGE_MISMATCH);
    g_assert_cmpuint (got->last.file, ==, files->corrupt_file);
    g_assert_cmpint (sent->last.storage, ==, PH_STORAGE_MISMATCH);
    g_assert_true (sent->last.by_peer);
    g_assert_true (got->disk->discarded);
  }
}

static void
test_signals (void)
{
  g_autoptr (PhSessionWorld) w = world_new ();
  uint8_t bytes[PH_FRAME_SIGNAL_MAX + 1] = {0};

  g_assert_false (ph_session_send_signal (w->a->session, w->now, ph_slice (bytes, 5)));
  ph_session_world_connect (w);
  g_assert_false (ph_session_send_signal (w->a->session, w->now, ph_slice (bytes, 5)));
  ph_session_world_run (w);
  g_assert_true (ph_session_send_signal (w->a->session, w->now, ph_slice_string ("trickle")));
  g_assert_true (
      ph_session_send_signal (w->a->session, w->now, ph_slice (bytes, PH_FRAME_SIGNAL_MAX)));
  g_assert_false (ph_session_send_signal (w->a->session, w->now, ph_slice (bytes, sizeof bytes)));
  ph_session_world_run (w);
  g_assert_cmpuint (w->b->signals->len, ==, 2);
  g_assert_cmpmem (g_bytes_get_data (w->b->signals->pdata[0], NULL), 7, "trickle", 7);
}

/* More offers than a peer takes at once: the rest wait, and every one arrives. */
static void
test_many_offers (void)
{
  g_autoptr (PhSessionWorld) w = world_new ();
  PhPeerTransfer *sent[PH_SESSION_OFFERS_BURST + 40];

  ph_session_world_connect (w);
  for (unsigned i = 0; i < G_N_ELEMENTS (sent); i++)
    sent[i] = offer (w, 2, 100);
  ph_session_world_run (w);
  for (unsigned i = 0; i < G_N_ELEMENTS (sent); i++)
    check_delivered (w, sent[i]);
}

/* Nobody answers: only so many questions are asked. */
static void
test_unanswered_offers (void)
{
  g_autoptr (PhSessionWorld) w = world_new ();
  PhPeerTransfer *sent[PH_SESSION_TRANSFERS_MAX + 10];

  w->b->accepts = false;
  ph_session_world_connect (w);
  for (unsigned i = 0; i < G_N_ELEMENTS (sent); i++)
    sent[i] = offer (w, 2, 100);
  ph_session_world_run (w);
  g_assert_cmpuint (w->b->told[PH_SESSION_EVENT_OFFER], ==, PH_SESSION_TRANSFERS_MAX);
  w->b->accepts = true;
  while (w->b->transfers->len > 0) {
    PhPeerTransfer *open = NULL;

    for (unsigned i = 0; i < w->b->transfers->len; i++) {
      PhPeerTransfer *transfer = w->b->transfers->pdata[i];

      if (!transfer->accepted)
        open = transfer;
    }
    if (open == NULL)
      break;
    ph_session_peer_accept (w->b, w->now, open);
    ph_session_world_run (w);
  }
  for (unsigned i = 0; i < G_N_ELEMENTS (sent); i++)
    check_delivered (w, sent[i]);
}

/* A link is given up and, before anybody hears of that, closed and freed: nothing may be said of it. */
static void
test_closed_link_is_forgotten (void)
{
  g_autoptr (PhSessionWorld) w = ph_session_world_new (ph_test_seed ());
  PhFakePair *pair = ph_session_world_connect (w);
  const PhTime later = w->now + PH_SESSION_HELLO_INTERVAL;
  PhSessionEvent event;

  ph_session_handle_timeout (w->a->session, later);
  ph_session_link_closed (w->a->session, later, pair->a);
  while (ph_session_poll_event (w->a->session, &event)) {
    g_assert_null (event.link);
    ph_session_event_clear (&event);
  }
  ph_session_handle_timeout (w->b->session, later);
  g_assert_true (ph_session_poll_event (w->b->session, &event));
  g_assert_cmpint (event.type, ==, PH_SESSION_EVENT_LINK_ERROR);
  g_assert_true (event.link == pair->b);
}

/* Seconds of virtual time from now until all is quiet. */
static double
run_timed (PhSessionWorld *w)
{
  const PhTime start = w->now;

  ph_session_world_run (w);
  return (double)ph_time_since (w->now, start) / (double)PH_SEC;
}

static void
assert_about (double seconds, double expected)
{
  g_test_message ("%.3f s, %.3f s expected", seconds, expected);
  g_assert_cmpfloat (seconds, >, expected * 0.95);
  g_assert_cmpfloat (seconds, <, expected * 1.05);
}

/* The sender's limit holds for all transfers together, and they share it. */
static void
test_limit_up (void)
{
  g_autoptr (PhSessionWorld) w = world_new ();
  PhPacer pacer;
  PhPeerTransfer *sent[3];
  uint64_t bytes = 0;

  ph_pacer_init (&pacer);
  ph_pacer_set_rate (&pacer, w->now, 500000);
  ph_session_set_pacer (w->a->session, &pacer);
  ph_session_world_connect (w);
  for (unsigned i = 0; i < 3; i++) {
    sent[i] = offer (w, 20, 400000);
    bytes += ph_manifest_bytes (sent[i]->manifest);
  }
  assert_about (run_timed (w), (double)bytes / 500000);
  for (unsigned i = 0; i < 3; i++)
    check_delivered (w, sent[i]);
  ph_session_set_pacer (w->a->session, NULL);
  ph_pacer_clear (&pacer);
}

static uint64_t
bytes_told (const PhSessionWorld *w)
{
  uint64_t bytes = 0;

  for (unsigned i = 0; i < w->a->transfers->len; i++)
    bytes += ((const PhPeerTransfer *)w->a->transfers->pdata[i])->bytes_written_told;
  return bytes;
}

/* One limit for all that leaves, and three people, one of whom has ten transfers under way: each has a third, and
 * all of it is used. */
static void
test_limit_for_three_people (void)
{
  const uint64_t rate = 300000;
  const unsigned seconds = 10;
  PhSessionWorld *worlds[3];
  uint64_t bytes[3] = {0}, all = 0;
  PhPacer pacer;

  ph_pacer_init (&pacer);
  for (unsigned i = 0; i < 3; i++) {
    worlds[i] = ph_session_world_new (ph_test_seed () + i);
    if (i == 0)
      ph_pacer_set_rate (&pacer, worlds[i]->now, rate);
    ph_session_set_pacer (worlds[i]->a->session, &pacer);
    ph_session_world_connect (worlds[i]);
    for (unsigned k = 0; k < (i == 2 ? 10 : 1); k++)
      offer (worlds[i], 40, 400000);
  }
  /* Side by side: every step is a millisecond. */
  for (unsigned ms = 0; ms < (seconds + 1) * 1000; ms++) {
    for (unsigned i = 0; i < 3; i++) {
      ph_session_world_step (worlds[i]);
      if (ms == 999)
        bytes[i] = bytes_told (worlds[i]);
    }
  }
  for (unsigned i = 0; i < 3; i++) {
    bytes[i] = bytes_told (worlds[i]) - bytes[i];
    all += bytes[i];
    g_test_message ("%u: %" G_GUINT64_FORMAT, i, bytes[i]);
  }
  for (unsigned i = 0; i < 3; i++) {
    assert_about ((double)bytes[i], (double)all / 3);
    ph_session_set_pacer (worlds[i]->a->session, NULL);
    ph_session_world_free (worlds[i]);
  }
  assert_about ((double)all / (double)rate, seconds);
  ph_pacer_clear (&pacer);
}

/* The receiver's wish is kept, also when it changes on the way. */
static void
test_limit_down (void)
{
  g_autoptr (PhSessionWorld) w = world_new ();
  PhPeerTransfer *sent;
  uint64_t bytes;
  double seconds;

  ph_session_world_connect (w);
  ph_session_set_limit_down (w->b->session, w->now, 300000);
  sent = offer (w, 30, 400000);
  bytes = ph_manifest_bytes (sent->manifest);
  assert_about (run_timed (w), (double)bytes / 300000);
  check_delivered (w, sent);

  ph_session_set_limit_down (w->b->session, w->now, 0);
  sent = offer (w, 30, 400000);
  seconds = run_timed (w);
  g_assert_cmpfloat (seconds, <, 1);
  check_delivered (w, sent);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/session/folder", test_folder);
  g_test_add_func ("/session/byte-by-byte", test_byte_by_byte);
  g_test_add_func ("/session/empty-things", test_empty_things);
  g_test_add_func ("/session/offer-before-link", test_offer_before_link);
  g_test_add_func ("/session/many-small-files", test_many_small_files);
  g_test_add_func ("/session/both-ways", test_both_ways);
  g_test_add_func ("/session/backpressure", test_backpressure);
  g_test_add_func ("/session/queue-is-bounded", test_queue_is_bounded);
  g_test_add_func ("/session/fair", test_fair);
  g_test_add_func ("/session/decline", test_decline);
  g_test_add_func ("/session/cancel-at-any-time", test_cancel_at_any_time);
  g_test_add_func ("/session/cancel-while-apart", test_cancel_while_apart);
  g_test_add_func ("/session/pause", test_pause);
  g_test_add_func ("/session/pause-before-the-question", test_pause_before_the_question);
  g_test_add_func ("/session/source-fails", test_source_fails);
  g_test_add_func ("/session/sink-stalls", test_sink_stalls);
  g_test_add_func ("/session/sink-stalls-for", test_sink_stalls_for);
  g_test_add_func ("/session/wrong-digest", test_wrong_digest);
  g_test_add_func ("/session/signals", test_signals);
  g_test_add_func ("/session/many-offers", test_many_offers);
  g_test_add_func ("/session/closed-link-is-forgotten", test_closed_link_is_forgotten);
  g_test_add_func ("/session/unanswered-offers", test_unanswered_offers);
  g_test_add_func ("/session/limit-up", test_limit_up);
  g_test_add_func ("/session/limit-for-three-people", test_limit_for_three_people);
  g_test_add_func ("/session/limit-down", test_limit_down);
  return g_test_run ();
}
