/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Frames, floods and impostors (docs/threats.md, 6, 9 and 10): a contact that breaks the protocol, against a whole
 * engine; against a session alone where years have to pass. */

#include "tests/unit/threat-world.h"

/* --- 6: frames ----------------------------------------------------------------------------------- */

typedef struct {
  const char *line;
  uint8_t bytes[24];
  size_t len;
  bool fin;
  PhSessionCode code;
} BadFrame;

static const BadFrame bad_frames[] = {
    {"truncated", {PH_FRAME_SYNC, 0, 5, 1}, 4, true, PH_SESSION_CODE_UNEXPECTED},
    {"truncated-head", {PH_FRAME_SYNC, 0}, 2, true, PH_SESSION_CODE_UNEXPECTED},
    {"huge-length", {PH_FRAME_OFFER, 0x40, 0x01}, 3, false, PH_SESSION_CODE_MALFORMED},
    {"negative-length", {PH_FRAME_SIGNAL, 0xff, 0xff}, 3, false, PH_SESSION_CODE_MALFORMED},
    {"length-too-small", {PH_FRAME_CANCEL, 0, 16}, 19, false, PH_SESSION_CODE_MALFORMED},
    {"length-too-large", {PH_FRAME_WANT, 0, 17}, 20, false, PH_SESSION_CODE_MALFORMED},
    {"empty", {PH_FRAME_RECEIPT, 0, 0}, 3, false, PH_SESSION_CODE_MALFORMED},
    {"unknown-type", {0x1e, 0, 0}, 3, false, PH_SESSION_CODE_MALFORMED},
    {"type-zero", {0, 0, 0}, 3, false, PH_SESSION_CODE_MALFORMED},
    {"long-varint", {PH_FRAME_SYNC, 0, 2, 0x40, 1}, 5, false, PH_SESSION_CODE_MALFORMED},
    {"second-hello", {PH_FRAME_HELLO, 0, 19, 1}, 22, false, PH_SESSION_CODE_UNEXPECTED},
    {"unknown-side", {PH_FRAME_CANCEL, 0, 17, [19] = 3}, 20, false, PH_SESSION_CODE_MALFORMED},
    {"attempt-zero", {PH_FRAME_ACCEPT, 0, 20}, 23, false, PH_SESSION_CODE_MALFORMED},
};

static void
test_bad_frame (gconstpointer data)
{
  const BadFrame *bad = data;
  Threat *t = threat_new ();

  ph_liar_send (t->liar, t->liar->control, bad->bytes, bad->len, bad->fin);
  threat_expect_cut (t, bad->code);
  threat_end (t);
}

/* In the data of an accepted transfer: it fails and is cleaned up, the person hears why, and nothing of it is in
 * its place. */
static void
test_bad_record (gconstpointer data)
{
  static const struct {
    PhLie lie;
    bool fin;
    PhSessionCode code;
  } cases[] = {
      {{PH_RECORD_DATA, 0, 0, 0, PH_LIE_ALL}, false, PH_SESSION_CODE_MALFORMED},
      {{PH_RECORD_DATA, 0, 0, 9, 3}, true, PH_SESSION_CODE_MALFORMED},
      {{PH_RECORD_DATA, 0, 0, PH_MANIFEST_FILE_MAX, 3}, false, PH_SESSION_CODE_UNEXPECTED},
      {{PH_RECORD_DATA, 0, 5, 2, PH_LIE_ALL}, false, PH_SESSION_CODE_UNEXPECTED},
      {{(PhRecordType)9, 0, 0, 0, PH_LIE_ALL}, false, PH_SESSION_CODE_MALFORMED},
      {{PH_RECORD_FINISH, 0, 0, 0, PH_LIE_ALL}, false, PH_SESSION_CODE_UNEXPECTED},
      {{PH_RECORD_LAST, 0, 0, 9, PH_LIE_ALL}, false, PH_SESSION_CODE_UNEXPECTED},
  };
  const size_t i = GPOINTER_TO_SIZE (data);
  Threat *t = threat_new ();
  g_autoptr (PhManifest) manifest = threat_manifest ("f", NULL, 10);
  int64_t stream;

  threat_offer_accepted (t, 1, manifest);
  stream = ph_liar_segment (t->liar, 1, 1, 0);
  ph_liar_record (t->liar, stream, &cases[i].lie);
  if (cases[i].fin)
    ph_liar_send (t->liar, stream, NULL, 0, true);
  threat_expect_cut (t, cases[i].code);
  wait_until (threat_told (t, 1)->state == PH_TRANSFER_FAILED);
  g_assert_cmpstr (threat_told (t, 1)->code, ==, "peer");
  g_assert_nonnull (strstr (threat_told (t, 1)->message, "protocol"));
  wait_until (count_entries (t->downloads) == 0);
  threat_end (t);
}

/* Everything that was said is said again, and once more. */
static void
test_replayed (void)
{
  Threat *t = threat_new ();
  g_autoptr (PhManifest) manifest = threat_manifest ("f", NULL, 10);
  const PhFrame after[] = {
      {.type = PH_FRAME_SYNC, .sync_serial = 1},
      {.type = PH_FRAME_PAUSE, .id = {{1}}, .from_sender = true, .pause = PH_PAUSE_PERSON},
      {.type = PH_FRAME_CANCEL, .id = {{1}}, .from_sender = true},
      {.type = PH_FRAME_FAILED, .id = {{1}}, .from_sender = true},
  };

  threat_deliver (t, 1, manifest);
  for (unsigned i = 0; i < 3; i++) {
    threat_offer (t, 1, manifest);
    threat_send_all (t, 1, 1, manifest);
    for (size_t k = 0; k < G_N_ELEMENTS (after); k++)
      ph_liar_frame (t->liar, &after[k]);
    threat_settle (t);
    wait_until (threat_heard (t, PH_FRAME_RECEIPT, NULL) == 2 + i);
  }
  g_assert_cmpint (threat_told (t, 1)->state, ==, PH_TRANSFER_DONE);
  g_assert_cmpuint (count_entries (t->downloads), ==, 1);
  threat_assert_file (t, "f", 10);
  g_assert_false (t->closed);
  threat_end (t);
}

/* What the victim says is said back to it. */
static void
test_echoed (void)
{
  Threat *t = threat_new ();
  g_autoptr (PhManifest) manifest = threat_manifest ("f", NULL, 10);
  g_autofree uint8_t *said = NULL;
  size_t len;

  threat_deliver (t, 1, manifest);
  len = t->liar->heard->len;
  said = g_memdup2 (t->liar->heard->data, len);
  threat_connect (t);
  /* The stream's type has been said, and so has HELLO: but it is as good as any other. */
  ph_liar_send (t->liar, t->liar->control, said + 1, len - 1, false);
  threat_expect_cut (t, PH_SESSION_CODE_UNEXPECTED);
  threat_end (t);
}

/* Noise in the place of frames, of heads and of records, as a seed wills. */
static void
test_noise (void)
{
  Threat *t = threat_new ();
  PhRandomSeeded state;
  const PhRandom random = ph_test_random (&state, "noise");
  g_autoptr (PhManifest) manifest = threat_manifest ("f", NULL, 100000);

  for (unsigned i = 0; i < 200; i++) {
    uint8_t bytes[600];
    const size_t len = 1 + (size_t)ph_random_below (&random, sizeof bytes - 1);
    int64_t stream = t->liar->control;

    ph_random_bytes (&random, bytes, len);
    switch (ph_random_below (&random, 4)) {
    case 0: /* a frame of a type that there is, with a true length */
      bytes[0] = (uint8_t)(1 + ph_random_below (&random, 10));
      bytes[1] = (uint8_t)((len - MIN (len, 3)) >> 8);
      bytes[2] = (uint8_t)(len - MIN (len, 3));
      break;
    case 1:
      stream = ph_link_open_stream (t->link);
      break;
    case 2:
      stream = ph_liar_open (t->liar, (uint8_t)(1 + ph_random_below (&random, 3)));
      break;
    default:
      stream = ph_liar_segment (t->liar, 1, ph_random_below (&random, 3), 0);
      break;
    }
    ph_liar_send (t->liar, stream, bytes, len,
                  stream != t->liar->control && ph_random_below (&random, 2) == 0);
    threat_settle (t);
    if (i % 8 == 0) { /* an answer to this has to come, or the end has */
      ph_liar_frame (t->liar, &(PhFrame){.type = PH_FRAME_WANT, .id = {{0xee}}});
      threat_settle (t);
    }
    for (unsigned k = 0; k < 20; k++)
      g_main_context_iteration (NULL, FALSE);
    if (t->closed)
      threat_connect (t);
  }
  threat_connect (t);
  g_assert_cmpuint (count_entries (t->downloads), ==, 0);
  threat_deliver (t, 2, manifest);
  threat_end (t);
}

/* As many streams as the link allows, of which none ever says what it is. */
static void
test_mute_streams (void)
{
  Threat *t = threat_new ();
  g_autoptr (PhManifest) manifest = threat_manifest ("f", NULL, 10);
  unsigned opened = 0;

  for (int64_t stream; (stream = ph_link_open_stream (t->link)) >= 0; opened++)
    ph_liar_send (t->liar, stream, "\x03", 1, false);
  threat_settle (t);
  g_assert_cmpuint (opened, <, 1000);
  threat_offer (t, 1, manifest);
  wait_until (threat_told (t, 1)->state == PH_TRANSFER_OFFERED);
  threat_connect (t);
  g_assert_true (threat_command (t, PH_COMMAND_DECLINE, 1));
  threat_end (t);
}

/* A frame that comes a byte a minute is waited for; nothing else waits, and no more is kept than has come. */
static void
test_byte_a_minute (void)
{
  g_autoptr (PhLiar) l = ph_liar_new ();
  uint8_t frame[PH_FRAME_HEAD_LEN + 600] = {PH_FRAME_SIGNAL, 600 >> 8, 600 & 0xff};
  int64_t stream;

  ph_liar_hello (l);
  ph_liar_offer (l, 1);
  ph_liar_run (l);
  stream = ph_liar_segment (l, 1, 1, 0);
  for (size_t i = 0; i < sizeof frame; i++) {
    ph_liar_send (l, l->control, frame + i, 1, false);
    ph_liar_run (l);
    g_assert_cmpuint (ph_fake_link_unread (l->pair->b), <=, sizeof frame);
    l->now += 60 * PH_SEC;
    if (ph_session_next_timeout (l->peer->session, NULL) <= l->now)
      ph_session_handle_timeout (l->peer->session, l->now);
    if (i == 100) { /* data goes on, though control stands still */
      ph_liar_record (l, stream, &(PhLie){PH_RECORD_LAST, 1, 0, 10, PH_LIE_ALL});
      ph_liar_record (l, stream, &(PhLie){PH_RECORD_LAST, 2, 0, 0, PH_LIE_ALL});
      ph_liar_record (l, stream, &(PhLie){PH_RECORD_LAST, 3, 0, 20, PH_LIE_ALL});
      ph_liar_record (l, stream, &(PhLie){PH_RECORD_FINISH, 0, 0, 0, PH_LIE_ALL});
      ph_liar_send (l, stream, NULL, 0, true);
      ph_liar_run (l);
      g_assert_cmpint (ph_liar_transfer (l, 1)->past, ==, PH_PAST_RECEIVED);
      g_assert_cmpuint (l->peer->signals->len, ==, 0);
    }
  }
  ph_liar_run (l);
  g_assert_cmpuint (l->peer->signals->len, ==, 1);
  g_assert_cmpuint (l->peer->told[PH_SESSION_EVENT_LINK_ERROR], ==, 0);
}

/* The first frame has to be there in time. */
static void
test_hello_a_byte_a_minute (void)
{
  g_autoptr (PhLiar) l = ph_liar_new ();

  l->control = ph_liar_open (l, PH_STREAM_CONTROL);
  ph_liar_send (l, l->control, "\x01", 1, false);
  ph_liar_run (l);
  l->now += 60 * PH_SEC;
  ph_session_handle_timeout (l->peer->session, l->now);
  ph_liar_expect_error (l, PH_SESSION_CODE_SILENT);
}

/* --- 9: identity --------------------------------------------------------------------------------- */

/* Whoever answers holds another key: nothing is said to it, and the person is told. */
static void
test_impostor (void)
{
  Threat *t = threat_new ();
  uint8_t seed[PH_TLS_SEED_LEN] = {7};
  const PhCommand dismiss = {
      .type = PH_COMMAND_DISMISS_ALERT, .number = 1, .subject = t->peer->text};

  t->spoken = ph_tls_identity_new (seed);
  threat_connect (t);
  g_assert_true (t->closed);
  g_assert_null (t->liar);
  wait_until (t->peer->contact->alerted_at != 0);
  ph_tls_identity_unref (t->spoken);
  t->spoken = t->identity;
  ph_core_run (t->core, &dismiss);
  threat_connect (t);
  threat_end (t);
}

/* The id of somebody else's transfer, and of one that was sent from here: it is not told what became of it, nobody is
 * asked, and what is noted of it stays. */
static void
test_anothers_id (void)
{
  Threat *t = threat_new ();
  PhStore *store = t->profile->store;
  g_autoptr (PhManifest) manifest = threat_manifest ("f", NULL, 10);
  g_autoptr (GBytes) encoded = ph_manifest_encode (manifest);
  g_autoptr (GBytes) receipt = g_bytes_new (ph_manifest_digest (manifest), PH_SHA256_LEN);

  for (uint8_t i = 1; i <= 2; i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (PhStoreTransfer) after = NULL;
    PhStoreTransfer row = {
        .id = {i}, .peer = {9}, .incoming = i == 1, .state = PH_STORE_ACTIVE, .created_at = 1};
    const PhStoreResult result = {.state = PH_STORE_DELIVERED,
                                  .finished_at = ph_core_unix_now (),
                                  .receipt = i == 1 ? receipt : NULL};

    if (i == 2)
      memcpy (row.peer, t->peer->id.key, sizeof row.peer);
    g_assert_true (ph_store_add_transfer (store, &row, encoded, NULL, &error));
    g_assert_true (ph_store_finish_transfer (store, row.id, &result, &error));
    threat_offer (t, i, manifest);
    wait_until (threat_heard (t, PH_FRAME_DECLINE, NULL) + threat_heard (t, PH_FRAME_RECEIPT, NULL)
                    + t->offers
                == i);
    g_assert_cmpuint (threat_heard (t, PH_FRAME_DECLINE, NULL), ==, i);
    after = ph_store_get_transfer (store, row.id, &error);
    g_assert_cmpint (after->state, ==, PH_STORE_DELIVERED);
    g_assert_cmpmem (after->peer, sizeof after->peer, row.peer, sizeof row.peer);
  }
  threat_end (t);
}

/* --- 10: floods ---------------------------------------------------------------------------------- */

/* A thousand offers at once: a person is asked so many questions, the rest is told to come later, and what is kept
 * of them all is bounded, also when the questions are taken back and asked anew. */
static void
test_offers (void)
{
  Threat *t = threat_new ();
  g_autoptr (PhManifest) manifest = threat_manifest ("f", NULL, 10);
  PhFrame declined;

  for (unsigned i = 0; i < 1000; i++) {
    PhFrame frame;

    ph_liar_fill_offer (&frame, 1, manifest);
    frame.id.bytes[1] = (uint8_t)(i >> 8);
    frame.id.bytes[2] = (uint8_t)i;
    ph_liar_frame (t->liar, &frame);
  }
  threat_settle (t);
  wait_until (threat_heard (t, PH_FRAME_DECLINE, &declined) == 1000 - PH_SESSION_TRANSFERS_MAX);
  g_assert_cmpuint (declined.decline, ==, PH_DECLINE_BUSY);
  g_assert_cmpuint (t->core->transfers->len, ==, PH_SESSION_TRANSFERS_MAX);
  g_assert_cmpuint (g_hash_table_size (t->told), ==, PH_SESSION_TRANSFERS_MAX);
  g_assert_cmpuint (t->offers, <=, 2 * PH_SESSION_TRANSFERS_MAX);
  g_assert_cmpuint (count_entries (t->downloads), ==, 0);

  for (unsigned round = 0; round < 5; round++) {
    for (unsigned i = 0; i < 2; i++)
      ph_liar_frame (t->liar, &(PhFrame){.type = PH_FRAME_SYNC, .sync_serial = 100});
    for (unsigned i = 0; i < 500; i++) {
      PhFrame frame;

      ph_liar_fill_offer (&frame, (uint8_t)(2 + round), manifest);
      frame.id.bytes[1] = (uint8_t)(i >> 8);
      frame.id.bytes[2] = (uint8_t)i;
      ph_liar_frame (t->liar, &frame);
    }
    threat_settle (t);
    wait_until (threat_heard (t, PH_FRAME_DECLINE, NULL)
                > 900 + round * 500 + 500 - PH_SESSION_OFFERS_BURST);
  }
  g_assert_cmpuint (g_hash_table_size (t->told), <=, PH_SESSION_OFFERS_BURST + 60);
  g_assert_cmpuint (t->core->transfers->len, <=, PH_SESSION_TRANSFERS_MAX + PH_CORE_ENDED_MAX);
  g_assert_false (t->closed);

  /* The burst is used up: one that means well is heard when its second has come. */
  ph_liar_frame (t->liar, &(PhFrame){.type = PH_FRAME_SYNC, .sync_serial = 200});
  ph_liar_frame (t->liar, &(PhFrame){.type = PH_FRAME_SYNC, .sync_serial = 200});
  threat_end (t);
}

/* Signals are another connector's words: noise in them changes nothing. */
static void
test_signals (void)
{
  Threat *t = threat_new ();
  PhRandomSeeded state;
  const PhRandom random = ph_test_random (&state, "signals");
  uint8_t bytes[2000];

  for (unsigned i = 0; i < 1000; i++) {
    const PhFrame frame = {.type = PH_FRAME_SIGNAL,
                           .signal = ph_slice (bytes, 1 + ph_random_below (&random, 1999))};

    ph_random_bytes (&random, bytes, frame.signal.len);
    bytes[0] = (uint8_t)(i % 4);
    ph_liar_frame (t->liar, &frame);
  }
  threat_settle (t);
  g_assert_false (t->closed);
  threat_end (t);
}

int
main (int argc, char **argv)
{
  static const char *const records[] = {"zero-length-chunk", "truncated-chunk", "huge-chunk",
                                        "reordered-chunk",   "unknown-record",  "end-at-once",
                                        "end-of-file-early"};

  ph_test_init (&argc, &argv);
  for (size_t i = 0; i < G_N_ELEMENTS (bad_frames); i++) {
    g_autofree char *path = g_strconcat ("/threats/6-frames/", bad_frames[i].line, NULL);

    g_test_add_data_func (path, &bad_frames[i], test_bad_frame);
  }
  for (size_t i = 0; i < G_N_ELEMENTS (records); i++) {
    g_autofree char *path = g_strconcat ("/threats/6-frames/", records[i], NULL);

    g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_bad_record);
  }
  g_test_add_func ("/threats/6-frames/replayed", test_replayed);
  g_test_add_func ("/threats/6-frames/echoed", test_echoed);
  g_test_add_func ("/threats/6-frames/noise", test_noise);
  g_test_add_func ("/threats/6-frames/mute-streams", test_mute_streams);
  g_test_add_func ("/threats/6-frames/byte-a-minute", test_byte_a_minute);
  g_test_add_func ("/threats/6-frames/hello-a-byte-a-minute", test_hello_a_byte_a_minute);
  g_test_add_func ("/threats/9-identity/impostor", test_impostor);
  g_test_add_func ("/threats/9-identity/anothers-id", test_anothers_id);
  g_test_add_func ("/threats/10-floods/offers", test_offers);
  g_test_add_func ("/threats/10-floods/signals", test_signals);
  return g_test_run ();
}
