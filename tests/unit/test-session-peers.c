/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A session against a peer that breaks the rules: frames, offers and answers (threats.md 3, 6, 10). What it
 * may do to data is in test-session-data.c. */

#include "tests/support/ph-session-liar.h"
#include "tests/support/ph-test.h"

/* --- Control frames ------------------------------------------------------------------------------ */

static void
test_broken_control (void)
{
  static const struct {
    const char *what;
    bool hello;
    uint8_t bytes[8];
    size_t len;
    bool fin;
    PhSessionCode code;
  } cases[] = {
      {"no hello first", false, {PH_FRAME_SYNC, 0, 1, 0}, 4, false, PH_SESSION_CODE_UNEXPECTED},
      {"unknown type", true, {0x1f, 0, 0}, 3, false, PH_SESSION_CODE_MALFORMED},
      {"huge length", true, {PH_FRAME_SIGNAL, 0xff, 0xff}, 3, false, PH_SESSION_CODE_MALFORMED},
      {"trailing byte", true, {PH_FRAME_SYNC, 0, 2, 0, 0}, 5, false, PH_SESSION_CODE_MALFORMED},
      {"long varint", true, {PH_FRAME_SYNC, 0, 2, 0x40, 1}, 5, false, PH_SESSION_CODE_MALFORMED},
      {"empty frame", true, {PH_FRAME_CANCEL, 0, 0}, 3, false, PH_SESSION_CODE_MALFORMED},
      {"an end", true, {0}, 0, true, PH_SESSION_CODE_UNEXPECTED},
      {"a cut frame", true, {PH_FRAME_SYNC, 0}, 2, true, PH_SESSION_CODE_UNEXPECTED},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (PhLiar) l = ph_liar_new ();

    g_test_message ("%s", cases[i].what);
    if (cases[i].hello)
      ph_liar_hello (l);
    else
      l->control = ph_liar_open (l, PH_STREAM_CONTROL);
    ph_liar_send (l, l->control, cases[i].bytes, cases[i].len, cases[i].fin);
    ph_liar_expect_error (l, cases[i].code);
  }
}

static void
test_hello_out_of_place (void)
{
  for (unsigned i = 0; i < 4; i++) {
    g_autoptr (PhLiar) l = ph_liar_new ();

    if (i == 0) {
      ph_liar_hello (l);
      ph_liar_frame (l, &(PhFrame){.type = PH_FRAME_HELLO, .hello.version = PH_SESSION_VERSION});
    } else if (i == 1) {
      ph_liar_hello (l);
      ph_liar_open (l, PH_STREAM_CONTROL); /* a second one */
    } else if (i == 2) {
      l->control = ph_liar_open (l, PH_STREAM_CONTROL);
      ph_liar_frame (l, &(PhFrame){.type = PH_FRAME_HELLO, .hello.version = 0});
    } else {
      ph_liar_hello (l);
      ph_liar_open (l, 0x11); /* a stream of no known type */
    }
    ph_liar_expect_error (l, i == 2 ? PH_SESSION_CODE_VERSION : PH_SESSION_CODE_UNEXPECTED);
  }
}

static void
test_no_hello (void)
{
  g_autoptr (PhLiar) l = ph_liar_new ();
  const char *why;

  l->control = ph_liar_open (l, PH_STREAM_CONTROL);
  ph_liar_run (l);
  g_assert_cmpuint (ph_session_next_timeout (l->peer->session, &why), ==,
                    PH_SEC + PH_SESSION_HELLO_INTERVAL);
  g_assert_cmpstr (why, ==, "hello");
  l->now = PH_SEC + PH_SESSION_HELLO_INTERVAL;
  ph_session_handle_timeout (l->peer->session, l->now);
  ph_liar_expect_error (l, PH_SESSION_CODE_SILENT);
}

/* What a later version may add: frames and streams that say they can be ignored. */
static void
test_unknown_and_optional (void)
{
  static const uint8_t later[] = {0x3f, 0, 2, 'h', 'i'};
  g_autoptr (PhLiar) l = ph_liar_new ();

  ph_liar_hello (l);
  ph_liar_send (l, l->control, later, sizeof later, false);
  ph_liar_send (l, ph_liar_open (l, 0x3e), "whatever", 8, false);
  ph_liar_offer (l, 1);
  ph_liar_run (l);
  g_assert_cmpuint (l->peer->told[PH_SESSION_EVENT_LINK_ERROR], ==, 0);
  g_assert_cmpuint (l->peer->told[PH_SESSION_EVENT_OFFER], ==, 1);
  g_assert_cmpuint (ph_fake_link_unread (l->pair->b), ==, 0);
}

/* Every frame about transfers that do not exist: nothing happens, and nothing grows. */
static void
test_frames_about_nothing (void)
{
  static const PhFrameType types[] = {
      PH_FRAME_SYNC,  PH_FRAME_WANT,   PH_FRAME_ACCEPT,  PH_FRAME_DECLINE,  PH_FRAME_CANCEL,
      PH_FRAME_PAUSE, PH_FRAME_FAILED, PH_FRAME_RECEIPT, PH_FRAME_PROGRESS,
  };
  g_autoptr (PhLiar) l = ph_liar_new ();

  ph_liar_hello (l);
  for (unsigned round = 0; round < 200; round++) {
    for (size_t i = 0; i < G_N_ELEMENTS (types); i++) {
      PhFrame frame = {.type = types[i], .id = {{(uint8_t)round}}, .from_sender = round % 2 == 0};

      if (types[i] == PH_FRAME_ACCEPT)
        frame.accept.attempt = 1 + round;
      ph_liar_frame (l, &frame);
    }
    ph_liar_run (l);
  }
  g_assert_cmpuint (l->peer->told[PH_SESSION_EVENT_LINK_ERROR], ==, 0);
  g_assert_cmpuint (l->peer->transfers->len, ==, 0);
  g_assert_cmpuint (ph_session_transfers (l->peer->session), ==, 0);
  /* The answer to questions about what is not there. */
  g_assert_cmpuint (ph_liar_heard (l, PH_FRAME_CANCEL, NULL), ==, 400);
}

/* A peer that asks and does not read is cut off before its answers fill the memory. */
static void
test_answers_are_not_read (void)
{
  g_autoptr (PhLiar) l = ph_liar_new ();
  const PhFrame want = {.type = PH_FRAME_WANT};

  ph_liar_hello (l);
  l->reads = false;
  for (unsigned i = 0; i < 200000 && l->peer->told[PH_SESSION_EVENT_LINK_ERROR] == 0; i++) {
    ph_liar_frame (l, &want);
    if (i % 1000 == 0)
      ph_liar_run (l);
    g_assert_cmpuint (ph_fake_link_queued (l->pair->b), <, PH_SESSION_CONTROL_QUEUED_MAX + 4096);
  }
  l->reads = true;
  ph_liar_expect_error (l, PH_SESSION_CODE_LIMIT);
}

/* --- Offers -------------------------------------------------------------------------------------- */

static void
test_flood_of_offers (void)
{
  g_autoptr (PhLiar) l = ph_liar_new ();
  g_autoptr (PhManifest) manifest = ph_liar_manifest ();
  PhFrame declined;

  l->peer->accepts = false;
  ph_liar_hello (l);
  for (unsigned i = 0; i < 1000; i++) {
    PhFrame frame;

    ph_liar_fill_offer (&frame, 1, manifest);
    frame.id.bytes[1] = (uint8_t)(i >> 8);
    frame.id.bytes[2] = (uint8_t)i;
    ph_liar_frame (l, &frame);
  }
  ph_liar_run (l);
  g_assert_cmpuint (l->peer->told[PH_SESSION_EVENT_OFFER], ==, PH_SESSION_TRANSFERS_MAX);
  g_assert_cmpuint (ph_session_transfers (l->peer->session), ==, PH_SESSION_TRANSFERS_MAX);
  g_assert_cmpuint (ph_liar_heard (l, PH_FRAME_DECLINE, &declined), ==,
                    1000 - PH_SESSION_TRANSFERS_MAX);
  g_assert_cmpuint (declined.decline, ==, PH_DECLINE_BUSY);
  g_assert_cmpuint (l->peer->told[PH_SESSION_EVENT_LINK_ERROR], ==, 0);

  /* All taken back, and offered again at once: the second flood is not even looked at. */
  ph_liar_frame (l, &(PhFrame){.type = PH_FRAME_SYNC, .sync_serial = 9});
  ph_liar_frame (l, &(PhFrame){.type = PH_FRAME_SYNC, .sync_serial = 9});
  ph_liar_run (l);
  g_assert_cmpuint (ph_session_transfers (l->peer->session), ==, 0);
  for (unsigned i = 0; i < 1000; i++) {
    PhFrame frame;

    ph_liar_fill_offer (&frame, 2, manifest);
    frame.id.bytes[1] = (uint8_t)(i >> 8);
    frame.id.bytes[2] = (uint8_t)i;
    ph_liar_frame (l, &frame);
  }
  ph_liar_run (l);
  g_assert_cmpuint (ph_session_transfers (l->peer->session), <, 16);
}

static void
test_huge_manifests (void)
{
  g_autoptr (PhLiar) l = ph_liar_new ();
  unsigned wanted = 0;

  ph_liar_hello (l);
  for (unsigned i = 0; i < 10; i++) {
    PhFrame frame = {.type = PH_FRAME_OFFER, .id = {{(uint8_t)i}}};

    frame.offer.serial = 1 + i;
    frame.offer.entries = PH_MANIFEST_ENTRIES_MAX;
    frame.offer.manifest_size = PH_MANIFEST_BYTES_MAX / 2;
    ph_liar_frame (l, &frame);
  }
  ph_liar_run (l);
  wanted = ph_liar_heard (l, PH_FRAME_WANT, NULL);
  g_assert_cmpuint (wanted, ==, PH_SESSION_MANIFESTS_BYTES_MAX / (PH_MANIFEST_BYTES_MAX / 2));
  g_assert_cmpuint (ph_liar_heard (l, PH_FRAME_DECLINE, NULL), ==, 10 - wanted);
}

/* The manifest is not what the offer says: declined, and nobody is asked. */
static void
test_lying_offers (void)
{
  for (unsigned i = 0; i < 8; i++) {
    g_autoptr (PhLiar) l = ph_liar_new ();
    g_autoptr (PhManifest) manifest = ph_liar_manifest ();
    g_autofree uint8_t *bytes = NULL;
    PhFrame frame;
    PhFrame declined;

    ph_liar_hello (l);
    ph_liar_fill_offer (&frame, 1, manifest);
    bytes = g_memdup2 (frame.offer.manifest.data, frame.offer.manifest.len);
    frame.offer.manifest.data = bytes;
    if (i == 0)
      frame.offer.entries++;
    else if (i == 1)
      frame.offer.bytes--;
    else if (i == 2)
      frame.offer.manifest_digest[0] ^= 1;
    else if (i == 3)
      bytes[0] ^= 0xff;
    else
      frame.offer.manifest.len = 0; /* on a stream of its own */
    ph_liar_frame (l, &frame);
    if (i >= 4) {
      const size_t size = (size_t)frame.offer.manifest_size;
      int64_t stream;

      ph_liar_run (l);
      g_assert_cmpuint (ph_liar_heard (l, PH_FRAME_WANT, NULL), ==, 1);
      stream = ph_liar_open (l, PH_STREAM_MANIFEST);
      ph_liar_send (l, stream, frame.id.bytes, PH_TRANSFER_ID_LEN, false);
      bytes[1] ^= i == 4;
      ph_liar_send (l, stream, bytes, i == 5 ? size - 1 : size, i == 4 || i == 5 || i == 7);
      if (i == 6)
        ph_liar_send (l, stream, "x", 1, false); /* too long */
    }
    ph_liar_run (l);
    if (i == 7) { /* the one that does not lie */
      g_assert_cmpuint (l->peer->told[PH_SESSION_EVENT_OFFER], ==, 1);
      continue;
    }
    g_assert_cmpuint (ph_liar_heard (l, PH_FRAME_DECLINE, &declined), ==, 1);
    g_assert_cmpuint (declined.decline, ==, PH_DECLINE_MALFORMED);
    g_assert_cmpuint (l->peer->told[PH_SESSION_EVENT_OFFER], ==, 0);
    g_assert_cmpuint (ph_session_transfers (l->peer->session), ==, 0);
    g_assert_cmpuint (ph_fake_link_unread (l->pair->b), ==, 0);
  }
}

static void
test_offer_changes (void)
{
  g_autoptr (PhLiar) l = ph_liar_new ();
  g_autoptr (PhManifest) manifest = ph_liar_manifest ();
  PhFrame frame;

  ph_liar_hello (l);
  ph_liar_offer (l, 1);
  ph_liar_fill_offer (&frame, 1, manifest);
  frame.offer.manifest_digest[5] ^= 1;
  ph_liar_frame (l, &frame);
  ph_liar_expect_error (l, PH_SESSION_CODE_UNEXPECTED);
}

/* --- Receivers that lie -------------------------------------------------------------------------- */

/* The session offers; the liar is asked to answer. */
static PhLiar *
ph_liar_offered (PhPeerTransfer **ret_sent)
{
  PhLiar *l = ph_liar_new ();
  PhMemoryFiles *files = ph_memory_files_new (ph_random_seeded (&l->state));

  ph_memory_files_fill_one (files, 100);
  ph_liar_hello (l);
  *ret_sent = ph_session_peer_offer (l->peer, l->now, files);
  ph_liar_run (l);
  g_assert_cmpuint (ph_liar_heard (l, PH_FRAME_OFFER, NULL), ==, 1);
  return l;
}

static void
test_lying_accepts (void)
{
  static const PhResumePoint points[] = {
      {.file = 2},
      {.file = PH_MANIFEST_ENTRIES_MAX},
      {.file = 0, .offset = 101},
      {.file = 1, .offset = 1},
      {.file = 0, .offset = PH_MANIFEST_FILE_MAX},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (points); i++) {
    PhPeerTransfer *sent;
    g_autoptr (PhLiar) l = ph_liar_offered (&sent);
    PhFrame frame = {.type = PH_FRAME_ACCEPT, .id = sent->id, .accept.attempt = 1};

    frame.accept.point = points[i];
    ph_liar_frame (l, &frame);
    ph_liar_expect_error (l, PH_SESSION_CODE_UNEXPECTED);
    g_assert_cmpuint (sent->files->sources, ==, 0);
    g_assert_cmpint (sent->past, ==, PH_PAST_UNKNOWN);
  }
}

static void
test_endless_accepts (void)
{
  for (unsigned kind = 0; kind < 2; kind++) {
    PhPeerTransfer *sent;
    g_autoptr (PhLiar) l = ph_liar_offered (&sent);

    for (unsigned i = 1; l->peer->told[PH_SESSION_EVENT_LINK_ERROR] == 0; i++) {
      PhFrame frame = {.type = kind == 0 ? PH_FRAME_ACCEPT : PH_FRAME_WANT, .id = sent->id};

      g_assert_cmpuint (i, <=, PH_SESSION_ATTEMPTS_MAX + 1);
      if (kind == 0)
        frame.accept.attempt = i;
      ph_liar_frame (l, &frame);
      ph_liar_run (l);
    }
    ph_liar_expect_error (l, PH_SESSION_CODE_LIMIT);
    g_assert_cmpuint (sent->files->sources, <=, 1);
  }
}

static void
test_answers_out_of_order (void)
{
  PhPeerTransfer *sent;
  g_autoptr (PhLiar) l = ph_liar_offered (&sent);
  PhFrame accept = {.type = PH_FRAME_ACCEPT, .id = sent->id, .accept.attempt = 7};
  PhFrame progress = {.type = PH_FRAME_PROGRESS, .id = sent->id};
  PhFrame receipt = {.type = PH_FRAME_RECEIPT, .id = sent->id};

  progress.progress = (PhFrameProgress){7, UINT64_MAX, UINT64_MAX};
  ph_liar_frame (l, &progress); /* before the accept: ignored */
  ph_liar_run (l);
  g_assert_cmpuint (sent->told[PH_SESSION_EVENT_PROGRESS], ==, 0);
  ph_liar_frame (l, &accept);
  ph_liar_frame (l, &accept);
  ph_liar_frame (l, &progress); /* more than there is: cut down */
  ph_liar_run (l);
  g_assert_cmpuint (sent->told[PH_SESSION_EVENT_ACCEPTED], ==, 1);
  g_assert_cmpuint (sent->bytes_written_told, ==, 100);
  accept.accept.attempt = 6; /* an old one: ignored */
  ph_liar_frame (l, &accept);
  memcpy (receipt.receipt_digest, ph_manifest_digest (sent->manifest), PH_SHA256_LEN);
  ph_liar_frame (l, &receipt);
  ph_liar_frame (l, &receipt);
  ph_liar_frame (l, &(PhFrame){.type = PH_FRAME_CANCEL, .id = sent->id});
  ph_liar_frame (l, &(PhFrame){.type = PH_FRAME_FAILED, .id = sent->id});
  ph_liar_run (l);
  g_assert_cmpuint (sent->told[PH_SESSION_EVENT_DELIVERED], ==, 1);
  g_assert_cmpint (sent->past, ==, PH_PAST_RECEIVED);
  g_assert_cmpuint (l->peer->told[PH_SESSION_EVENT_LINK_ERROR], ==, 0);
}

static void
test_wrong_receipt (void)
{
  PhPeerTransfer *sent;
  g_autoptr (PhLiar) l = ph_liar_offered (&sent);

  ph_liar_frame (l, &(PhFrame){.type = PH_FRAME_RECEIPT, .id = sent->id});
  ph_liar_expect_error (l, PH_SESSION_CODE_UNEXPECTED);
  g_assert_cmpint (sent->past, ==, PH_PAST_UNKNOWN);
}

/* Our own transfer offered back to us. */
static void
test_echoed_offer (void)
{
  PhPeerTransfer *sent;
  g_autoptr (PhLiar) l = ph_liar_offered (&sent);
  PhFrame frame;

  g_assert_cmpuint (ph_liar_heard (l, PH_FRAME_OFFER, &frame), ==, 1);
  ph_liar_frame (l, &frame);
  ph_liar_run (l);
  g_assert_cmpuint (ph_liar_heard (l, PH_FRAME_DECLINE, &frame), ==, 1);
  g_assert_cmpuint (frame.decline, ==, PH_DECLINE_MALFORMED);
  g_assert_cmpuint (l->peer->told[PH_SESSION_EVENT_OFFER], ==, 0);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/session-peers/broken-control", test_broken_control);
  g_test_add_func ("/session-peers/hello-out-of-place", test_hello_out_of_place);
  g_test_add_func ("/session-peers/no-hello", test_no_hello);
  g_test_add_func ("/session-peers/unknown-and-optional", test_unknown_and_optional);
  g_test_add_func ("/session-peers/frames-about-nothing", test_frames_about_nothing);
  g_test_add_func ("/session-peers/answers-are-not-read", test_answers_are_not_read);
  g_test_add_func ("/session-peers/flood-of-offers", test_flood_of_offers);
  g_test_add_func ("/session-peers/huge-manifests", test_huge_manifests);
  g_test_add_func ("/session-peers/lying-offers", test_lying_offers);
  g_test_add_func ("/session-peers/offer-changes", test_offer_changes);
  g_test_add_func ("/session-peers/lying-accepts", test_lying_accepts);
  g_test_add_func ("/session-peers/endless-accepts", test_endless_accepts);
  g_test_add_func ("/session-peers/answers-out-of-order", test_answers_out_of_order);
  g_test_add_func ("/session-peers/wrong-receipt", test_wrong_receipt);
  g_test_add_func ("/session-peers/echoed-offer", test_echoed_offer);
  return g_test_run ();
}
