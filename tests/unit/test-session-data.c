/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A session that receives from a peer whose segments and records lie (threats.md 3, 5, 6). */

#include "tests/support/ph-session-liar.h"
#include "tests/support/ph-test.h"

/* --- Data ---------------------------------------------------------------------------------------- */

/* Accepted transfers 1 and 2. */
static PhLiar *
ph_liar_accepted (void)
{
  PhLiar *l = ph_liar_new ();

  ph_liar_hello (l);
  ph_liar_offer (l, 1);
  ph_liar_offer (l, 2);
  ph_liar_run (l);
  g_assert_cmpuint (ph_liar_heard (l, PH_FRAME_ACCEPT, NULL), ==, 2);
  return l;
}

static const PhLie truth[] = {
    {PH_RECORD_DATA, 1, 0, 4, PH_LIE_ALL},   {PH_RECORD_LAST, 1, 4, 6, PH_LIE_ALL},
    {PH_RECORD_LAST, 2, 0, 0, PH_LIE_ALL},   {PH_RECORD_LAST, 3, 0, 20, PH_LIE_ALL},
    {PH_RECORD_FINISH, 0, 0, 0, PH_LIE_ALL},
};

static void
test_truth (void)
{
  g_autoptr (PhLiar) l = ph_liar_accepted ();
  const int64_t stream = ph_liar_segment (l, 1, 1, 0);
  PhFrame receipt;

  for (size_t i = 0; i < G_N_ELEMENTS (truth); i++)
    ph_liar_record (l, stream, &truth[i]);
  ph_liar_send (l, stream, NULL, 0, true);
  ph_liar_run (l);
  g_assert_cmpint (ph_liar_transfer (l, 1)->past, ==, PH_PAST_RECEIVED);
  g_assert_cmpuint (ph_liar_heard (l, PH_FRAME_RECEIPT, &receipt), ==, 1);
  g_assert_cmpmem (receipt.receipt_digest, PH_SHA256_LEN,
                   ph_manifest_digest (ph_liar_transfer (l, 1)->manifest), PH_SHA256_LEN);

  /* Late and repeated frames about it do no harm; the offer gets its receipt again. */
  ph_liar_frame (l, &(PhFrame){.type = PH_FRAME_CANCEL, .id = {{1}}, .from_sender = true});
  ph_liar_frame (l, &(PhFrame){.type = PH_FRAME_PAUSE, .id = {{1}}, .from_sender = true});
  ph_liar_offer (l, 1);
  ph_liar_run (l);
  g_assert_cmpuint (ph_liar_heard (l, PH_FRAME_RECEIPT, NULL), ==, 2);
  g_assert_cmpuint (l->peer->told[PH_SESSION_EVENT_LINK_ERROR], ==, 0);
  g_assert_cmpint (ph_liar_transfer (l, 1)->past, ==, PH_PAST_RECEIVED);
}

/* Each lie comes after `skip` records of the truth. The transfer fails, its disk is cleaned, the link goes;
 * the other transfer goes on over the next. */
static void
test_lying_data (void)
{
  static const struct {
    const char *what;
    unsigned skip;
    PhLie lie;
    bool malformed;
  } cases[] = {
      {"a folder", 0, {PH_RECORD_DATA, 0, 0, 1, PH_LIE_ALL}},
      {"not the first file", 0, {PH_RECORD_DATA, 3, 0, 1, PH_LIE_ALL}},
      {"an index past the end", 0, {PH_RECORD_DATA, 4, 0, 1, PH_LIE_ALL}},
      {"a far index", 0, {PH_RECORD_DATA, PH_MANIFEST_ENTRIES_MAX - 1, 0, 1, PH_LIE_ALL}},
      {"a hole", 1, {PH_RECORD_DATA, 1, 5, 1, PH_LIE_ALL}},
      {"the same again", 1, {PH_RECORD_DATA, 1, 0, 4, PH_LIE_ALL}},
      {"an overlap", 1, {PH_RECORD_DATA, 1, 3, 4, PH_LIE_ALL}},
      {"past the size", 1, {PH_RECORD_DATA, 1, 4, 7, PH_LIE_ALL}},
      {"far past the size", 1, {PH_RECORD_DATA, 1, 4, PH_MANIFEST_FILE_MAX, 3}},
      {"last and past the size", 1, {PH_RECORD_LAST, 1, 4, 7, PH_LIE_ALL}},
      {"last too early", 1, {PH_RECORD_LAST, 1, 4, 5, PH_LIE_ALL}},
      {"nothing", 1, {PH_RECORD_DATA, 1, 4, 0, PH_LIE_ALL}, true},
      {"a file before", 2, {PH_RECORD_DATA, 1, 0, 4, PH_LIE_ALL}},
      {"no empty file", 2, {PH_RECORD_DATA, 3, 0, 4, PH_LIE_ALL}},
      {"bytes for an empty file", 2, {PH_RECORD_LAST, 2, 0, 1, PH_LIE_ALL}},
      {"a file past the last", 4, {PH_RECORD_DATA, 4, 0, 1, PH_LIE_ALL}},
      {"an empty file past the last", 4, {PH_RECORD_LAST, 4, 0, 0, PH_LIE_ALL}},
      {"the end too early", 3, {PH_RECORD_FINISH, 0, 0, 0, PH_LIE_ALL}},
      {"the end at once", 0, {PH_RECORD_FINISH, 0, 0, 0, PH_LIE_ALL}},
      {"the end twice", 5, {PH_RECORD_FINISH, 0, 0, 0, PH_LIE_ALL}},
      {"more after the end", 5, {PH_RECORD_DATA, 3, 0, 1, PH_LIE_ALL}},
      {"no record type", 1, {(PhRecordType)0x7f, 0, 0, 0, PH_LIE_ALL}, true},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (PhLiar) l = ph_liar_accepted ();
    const int64_t stream = ph_liar_segment (l, 1, 1, 0);
    int64_t other;

    g_test_message ("%s", cases[i].what);
    l->peer->ops_max = 1;
    for (unsigned k = 0; k < cases[i].skip; k++)
      ph_liar_record (l, stream, &truth[k]);
    ph_liar_record (l, stream, &cases[i].lie);
    ph_liar_expect_error (l, cases[i].malformed ? PH_SESSION_CODE_MALFORMED
                                                : PH_SESSION_CODE_UNEXPECTED);
    g_assert_cmpint (ph_liar_transfer (l, 1)->past, ==, PH_PAST_FAILED);
    g_assert_cmpint (ph_liar_transfer (l, 1)->last.failure, ==, PH_FAILURE_PROTOCOL);
    g_assert_true (ph_liar_transfer (l, 1)->disk->discarded);

    ph_liar_connect (l);
    ph_liar_hello (l);
    ph_liar_offer (l, 1);
    ph_liar_offer (l, 2);
    ph_liar_run (l);
    g_assert_cmpuint (ph_liar_heard (l, PH_FRAME_FAILED, NULL), ==, 1);
    other = ph_liar_segment (l, 2, 2, 0);
    for (size_t k = 0; k < G_N_ELEMENTS (truth); k++)
      ph_liar_record (l, other, &truth[k]);
    ph_liar_send (l, other, NULL, 0, true);
    ph_liar_run (l);
    g_assert_cmpint (ph_liar_transfer (l, 2)->past, ==, PH_PAST_RECEIVED);
  }
}

static void
test_lying_segments (void)
{
  for (unsigned i = 0; i < 9; i++) {
    g_autoptr (PhLiar) l = ph_liar_accepted ();
    PhSessionCode code = PH_SESSION_CODE_UNEXPECTED;
    int64_t stream;

    if (i == 0) { /* of an attempt that was never given out */
      ph_liar_segment (l, 1, 2, 0);
    } else if (i == 1) { /* twice the same */
      ph_liar_segment (l, 1, 1, 0);
      ph_liar_segment (l, 1, 1, 0);
    } else if (i == 2) { /* one that is through */
      ph_liar_send (l, ph_liar_segment (l, 1, 1, 0), NULL, 0, true);
      ph_liar_run (l);
      ph_liar_segment (l, 1, 1, 0);
    } else if (i == 3) { /* far ahead */
      ph_liar_segment (l, 1, 1, PH_SESSION_SEGMENTS_MAX);
      code = PH_SESSION_CODE_LIMIT;
    } else if (i == 4) { /* ends within a record */
      stream = ph_liar_segment (l, 1, 1, 0);
      ph_liar_record (l, stream, &(PhLie){PH_RECORD_DATA, 1, 0, 4, 3});
      ph_liar_send (l, stream, NULL, 0, true);
      code = PH_SESSION_CODE_MALFORMED;
    } else if (i == 5) { /* ends within a head */
      stream = ph_liar_segment (l, 1, 1, 0);
      ph_liar_send (l, stream, "\x01", 1, true);
      code = PH_SESSION_CODE_MALFORMED;
    } else if (i == 6) { /* data for an offer that nobody has answered */
      l->peer->accepts = false;
      ph_liar_offer (l, 3);
      ph_liar_run (l);
      ph_liar_segment (l, 3, 1, 0);
    } else if (i == 7) { /* of no attempt, for what an earlier run has accepted */
      ph_session_peer_restart (l->peer, l->now);
      ph_liar_connect (l);
      ph_liar_hello (l);
      ph_liar_segment (l, 1, 0, 0);
    } else { /* a segment number that is no varint of ours */
      static const uint8_t head[] = {1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 1, 0};

      ph_liar_send (l, ph_liar_open (l, PH_STREAM_DATA), head, sizeof head, false);
      code = PH_SESSION_CODE_MALFORMED;
    }
    ph_liar_expect_error (l, code);
  }
}

/* Held segments hold their credit, and give it back when they are dropped. */
static void
test_held_segments (void)
{
  g_autoptr (PhLiar) l = ph_liar_accepted ();
  const int64_t second = ph_liar_segment (l, 1, 1, 1);
  int64_t first;

  for (size_t i = 2; i < G_N_ELEMENTS (truth); i++)
    ph_liar_record (l, second, &truth[i]);
  ph_liar_send (l, second, NULL, 0, true);
  ph_liar_run (l);
  g_assert_cmpuint (ph_fake_link_unread (l->pair->b), >, 50);
  g_assert_cmpuint (ph_liar_transfer (l, 1)->disk->bytes_written, ==, 0);
  first = ph_liar_segment (l, 1, 1, 0);
  ph_liar_record (l, first, &truth[0]);
  ph_liar_record (l, first, &truth[1]);
  ph_liar_send (l, first, NULL, 0, true);
  ph_liar_run (l);
  g_assert_cmpint (ph_liar_transfer (l, 1)->past, ==, PH_PAST_RECEIVED);
  g_assert_cmpuint (ph_fake_link_unread (l->pair->b), ==, 0);

  ph_liar_record (l, ph_liar_segment (l, 2, 1, 1), &truth[0]);
  ph_liar_run (l);
  g_assert_cmpuint (ph_fake_link_unread (l->pair->b), >, 0);
  g_assert_true (ph_session_cancel (l->peer->session, l->now, &(PhTransferId){{2}}));
  ph_liar_run (l);
  g_assert_cmpuint (ph_fake_link_unread (l->pair->b), ==, 0);
}

/* The disk is full, and there is nowhere to write to: a sender that goes on all the same, under whatever number, is
 * not listened to. What has arrived is kept. */
static void
test_data_for_a_stalled_transfer (void)
{
  for (uint64_t attempt = 1; attempt <= 3; attempt++) {
    g_autoptr (PhLiar) l = ph_liar_accepted ();
    PhPeerTransfer *transfer = ph_liar_transfer (l, 1);
    int64_t stream = ph_liar_segment (l, 1, 1, 0);

    transfer->disk->fail_after = 4;
    ph_liar_record (l, stream, &truth[0]);
    ph_liar_record (l, stream, &truth[1]);
    ph_liar_run (l);
    g_assert_cmpuint (transfer->told[PH_SESSION_EVENT_STALLED], ==, 1);

    if (attempt == 3) { /* what an earlier run of this side may have said */
      PhFrame offer;

      g_autoptr (PhManifest) manifest = ph_liar_manifest ();

      ph_liar_fill_offer (&offer, 1, manifest);
      offer.offer.attempt = attempt;
      ph_liar_frame (l, &offer);
    }
    stream = ph_liar_segment (l, 1, attempt, 0);
    for (size_t i = 2; i < G_N_ELEMENTS (truth); i++)
      ph_liar_record (l, stream, &truth[i]);
    ph_liar_send (l, stream, NULL, 0, true);
    ph_liar_run (l);
    g_assert_cmpint (transfer->past, ==, PH_PAST_UNKNOWN);
    g_assert_false (transfer->disk->discarded);
    g_assert_cmpuint (ph_fake_link_unread (l->pair->b), ==, 0);

    transfer->disk->fail_after = UINT64_MAX;
    g_assert_true (ph_session_unstall (l->peer->session, l->now, &transfer->id,
                                       ph_memory_sink_new (transfer->disk)));
    ph_liar_run (l);
    g_assert_cmpuint (ph_liar_heard (l, PH_FRAME_ACCEPT, NULL), ==, 3);
  }
}

/* A sender that resets its streams again and again. */
static void
test_resets (void)
{
  g_autoptr (PhLiar) l = ph_liar_accepted ();

  for (uint64_t i = 1; l->peer->told[PH_SESSION_EVENT_LINK_ERROR] == 0; i++) {
    const int64_t stream = ph_liar_segment (l, 1, i, 0);

    g_assert_cmpuint (i, <=, PH_SESSION_ATTEMPTS_MAX);
    ph_liar_run (l);
    ph_link_reset_stream (l->pair->a, stream, 0);
    ph_liar_run (l);
  }
  ph_liar_expect_error (l, PH_SESSION_CODE_LIMIT);
  g_assert_cmpint (ph_liar_transfer (l, 1)->past, ==, PH_PAST_UNKNOWN);
}

/* A data stream that ends before its head is whole, with no more bytes; the session takes it for nothing. */
static void
test_head_ends_empty (void)
{
  g_autoptr (PhLiar) l = ph_liar_accepted ();
  const int64_t stream = ph_liar_open (l, PH_STREAM_DATA);

  ph_liar_run (l);
  ph_liar_send (l, stream, "cut", 3, false);
  ph_liar_run (l);
  ph_liar_send (l, stream, NULL, 0, true);
  ph_liar_run (l);
  g_assert_cmpuint (l->peer->told[PH_SESSION_EVENT_LINK_ERROR], ==, 0);
  g_assert_cmpint (ph_liar_transfer (l, 1)->past, ==, PH_PAST_UNKNOWN);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/session-data/truth", test_truth);
  g_test_add_func ("/session-data/lying-data", test_lying_data);
  g_test_add_func ("/session-data/lying-segments", test_lying_segments);
  g_test_add_func ("/session-data/held-segments", test_held_segments);
  g_test_add_func ("/session-data/stalled", test_data_for_a_stalled_transfer);
  g_test_add_func ("/session-data/resets", test_resets);
  g_test_add_func ("/session-data/head-ends-empty", test_head_ends_empty);
  return g_test_run ();
}
