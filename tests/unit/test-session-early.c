/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The beginning of a transfer that goes along with its offer: taken, not taken, missed, and too much of it. */

#include "tests/support/ph-session-liar.h"
#include "tests/support/ph-session-world.h"
#include "tests/support/ph-test.h"

/* --- Two that agree ------------------------------------------------------------------------------ */

typedef struct {
  PhSessionWorld *w;
  PhPeerTransfer *sent;
} Offered;

/* One file of `size` is offered, and as much of it as may be is there. Nobody has answered. */
static Offered
offered (uint64_t seed, uint64_t size)
{
  Offered o = {.w = ph_session_world_new (seed)};
  PhMemoryFiles *files = ph_memory_files_new (o.w->random);

  ph_memory_files_fill_one (files, size);
  o.w->b->accepts = false;
  ph_session_world_connect (o.w);
  ph_session_world_run (o.w); /* both have said HELLO */
  o.sent = ph_session_peer_offer (o.w->a, o.w->now, files);
  ph_session_world_run (o.w);
  g_assert_null (ph_session_world_twin (o.w, o.sent)->disk);
  return o;
}

static PhPeerTransfer *
accept (Offered *o)
{
  PhPeerTransfer *got = ph_session_world_twin (o->w, o->sent);

  ph_session_peer_accept (o->w->b, o->w->now, got);
  return got;
}

static void
check_delivered (Offered *o, PhPeerTransfer *got, unsigned seeks)
{
  ph_session_world_run (o->w);
  if (o->sent->past != PH_PAST_RECEIVED)
    g_error ("not delivered:\n%s", o->w->story->str);
  ph_memory_disk_check (got->disk, o->sent->files);
  g_assert_cmpuint (got->disk->bytes_written, ==, ph_manifest_bytes (o->sent->manifest));
  g_assert_cmpuint (o->sent->files->sources, ==, 1);
  g_assert_cmpuint (o->sent->files->seeks, ==, seeks);
  ph_session_world_free (o->w);
}

/* A person takes their time. What is small is there as soon as they have said yes, unless the link brought it before
 * the offer: then it is sent again. */
static void
test_taken (void)
{
  static const uint64_t sizes[] = {1, 1000, 30000, PH_SESSION_EARLY_MAX, 1000000};
  unsigned taken = 0, missed = 0;

  for (uint64_t i = 0; i < 200 && (taken < 20 || missed < 5); i++) {
    const uint64_t size = sizes[i % G_N_ELEMENTS (sizes)];
    Offered o = offered (ph_test_seed () + i, size);
    const uint64_t unread = ph_fake_link_unread (((PhFakePair *)o.w->pairs->pdata[0])->b);
    PhPeerTransfer *got;

    g_assert_cmpuint (unread, <=, PH_SESSION_EARLY_MAX);
    got = accept (&o);
    while (ph_session_peer_work (o.w->b, o.w->now)) /* and nothing else moves */
      ;
    if (unread == 0) {
      missed++;
      g_assert_cmpuint (got->disk->bytes_written, ==, 0);
    } else {
      taken++;
      g_assert_cmpuint (got->disk->bytes_written, >=, MIN (size, 32768));
    }
    check_delivered (&o, got, unread == 0);
  }
  g_assert_cmpuint (taken, >=, 20);
  g_assert_cmpuint (missed, >=, 5);
}

/* The link that has it goes before the answer, or another one comes beside it and the first may go. */
static void
test_link_goes (void)
{
  for (unsigned i = 0; i < 40; i++) {
    Offered o = offered (ph_test_seed () + i, i % 2 == 0 ? 1000 : 300000);
    PhFakePair *first = o.w->pairs->pdata[0];
    const bool early = ph_fake_link_unread (first->b) > 0;
    PhPeerTransfer *got;

    if (i % 4 < 2)
      ph_session_world_cut (o.w);
    ph_session_world_connect (o.w);
    ph_session_world_run (o.w);
    if (i % 4 >= 2) {
      g_assert_true (ph_session_link_idle (o.w->a->session, first->a));
      g_assert_true (ph_session_link_idle (o.w->b->session, first->b));
    }
    got = accept (&o);
    check_delivered (&o, got, i % 4 < 2 || !early);
  }
}

/* The answer goes with a link that has come beside the first one: that one still has the beginning. */
static void
test_answer_is_lost (void)
{
  for (unsigned i = 0; i < 20; i++) {
    Offered o = offered (ph_test_seed () + i, i % 2 == 0 ? 1000 : 300000);
    PhFakePair *second = ph_session_world_connect (o.w);
    PhPeerTransfer *got;

    ph_session_world_run (o.w);
    got = accept (&o);
    ph_fake_pair_cut (second);
    ph_session_world_run (o.w);
    g_assert_cmpint (o.sent->past, ==, PH_PAST_RECEIVED);
    ph_memory_disk_check (got->disk, o.sent->files);
    ph_session_world_free (o.w);
  }
}

/* More is offered than may have its files open. */
static void
test_many (void)
{
  g_autoptr (PhSessionWorld) w = ph_session_world_new (ph_test_seed ());
  PhPeerTransfer *sent[PH_SESSION_EARLY_TRANSFERS_MAX + 3];
  unsigned sources = 0;

  w->b->accepts = false;
  ph_session_world_connect (w);
  ph_session_world_run (w);
  for (unsigned i = 0; i < G_N_ELEMENTS (sent); i++)
    sent[i] = ph_session_peer_offer (w->a, w->now, ph_session_world_files (w, 3, 5000));
  ph_session_world_run (w);
  for (unsigned i = 0; i < G_N_ELEMENTS (sent); i++)
    sources += sent[i]->files->sources;
  g_assert_cmpuint (sources, ==, PH_SESSION_EARLY_TRANSFERS_MAX);
  for (unsigned i = 0; i < G_N_ELEMENTS (sent); i++)
    ph_session_peer_accept (w->b, w->now, ph_session_world_twin (w, sent[i]));
  ph_session_world_run (w);
  for (unsigned i = 0; i < G_N_ELEMENTS (sent); i++)
    g_assert_cmpint (sent[i]->past, ==, PH_PAST_RECEIVED);
}

/* --- A receiver ---------------------------------------------------------------------------------- */

static void
hello (PhLiar *l, uint64_t features)
{
  PhFrame frame = {.type = PH_FRAME_HELLO};

  frame.hello.version = PH_SESSION_VERSION;
  frame.hello.features = features;
  frame.hello.name = ph_slice_string ("liar");
  l->control = ph_liar_open (l, PH_STREAM_CONTROL);
  ph_liar_frame (l, &frame);
  ph_liar_run (l);
}

static PhPeerTransfer *
offer_to (PhLiar *l, uint64_t size)
{
  PhMemoryFiles *files = ph_memory_files_new (ph_random_seeded (&l->state));
  PhPeerTransfer *sent;

  ph_memory_files_fill_one (files, size);
  sent = ph_session_peer_offer (l->peer, l->now, files);
  ph_liar_run (l);
  return sent;
}

static void
say_accept (PhLiar *l, const PhPeerTransfer *sent, uint64_t attempt, bool early)
{
  PhFrame frame = {.type = PH_FRAME_ACCEPT, .id = sent->id};

  frame.accept.attempt = attempt;
  frame.accept.early = early;
  ph_liar_frame (l, &frame);
  ph_liar_run (l);
}

/* The head of the last data stream. */
static PhSegmentHead
last_segment (const PhLiar *l)
{
  PhSegmentHead head;
  size_t len;

  g_assert_cmpuint (l->data->len, >, 1);
  g_assert_cmpint (
      ph_segment_head_decode (ph_slice (l->data->data + 1, l->data->len - 1), &head, &len), ==,
      PH_FRAME_OK);
  return head;
}

/* Who does not say that it takes the beginning early does not get it: an older program. */
static void
test_older_receiver (void)
{
  g_autoptr (PhLiar) l = ph_liar_new ();
  PhPeerTransfer *sent;
  PhFrame offer;

  hello (l, 0);
  sent = offer_to (l, 1000);
  g_assert_cmpuint (ph_liar_heard (l, PH_FRAME_OFFER, &offer), ==, 1);
  g_assert_false (offer.offer.early);
  g_assert_cmpint (l->data_stream, ==, -1);
  g_assert_cmpuint (sent->files->sources, ==, 0);
  say_accept (l, sent, 1, false);
  g_assert_cmpuint (last_segment (l).attempt, ==, 1);
  g_assert_cmpuint (l->data->len, >, 1000);
}

/* So much and no more before the answer; the rest on the same stream if it is taken, else all anew. */
static void
test_sender (void)
{
  for (unsigned i = 0; i < 3; i++) {
    g_autoptr (PhLiar) l = ph_liar_new ();
    const uint64_t size = i == 2 ? 1000 : 200000;
    PhPeerTransfer *sent;
    PhFrame offer;
    int64_t stream;

    hello (l, PH_FRAME_FEATURE_EARLY);
    sent = offer_to (l, size);
    g_assert_cmpuint (ph_liar_heard (l, PH_FRAME_OFFER, &offer), ==, 1);
    g_assert_true (offer.offer.early);
    g_assert_cmpuint (last_segment (l).attempt, ==, 0);
    g_assert_cmpuint (l->data->len, >, MIN (size, 32768));
    g_assert_cmpuint (l->data->len, <=, PH_SESSION_EARLY_MAX);

    stream = l->data_stream;
    say_accept (l, sent, 1, i != 1);
    if (i == 1) {
      g_assert_cmpint (l->data_stream, >, stream);
      g_assert_cmpuint (last_segment (l).attempt, ==, 1);
    } else {
      g_assert_cmpint (l->data_stream, ==, stream);
    }
    g_assert_cmpuint (l->data->len, >, size);
    g_assert_cmpuint (sent->files->seeks, ==, i == 1);
    say_accept (l, sent, 2,
                true); /* there is nothing early any more: an honest peer would say it anew */
    say_accept (l, sent, 3, false);
    g_assert_cmpuint (last_segment (l).attempt, ==, 3);
    g_assert_cmpuint (l->peer->told[PH_SESSION_EVENT_LINK_ERROR], ==, 0);
  }
}

/* It cannot be taken for the middle of a file. */
static void
test_lying_accept (void)
{
  g_autoptr (PhLiar) l = ph_liar_new ();
  PhFrame frame = {.type = PH_FRAME_ACCEPT};

  hello (l, PH_FRAME_FEATURE_EARLY);
  frame.id = offer_to (l, 1000)->id;
  frame.accept.attempt = 1;
  frame.accept.early = true;
  frame.accept.point.offset = 10;
  ph_liar_frame (l, &frame);
  ph_liar_expect_error (l, PH_SESSION_CODE_UNEXPECTED);
}

/* --- A sender ------------------------------------------------------------------------------------ */

static void
offer_early (PhLiar *l, uint8_t id)
{
  g_autoptr (PhManifest) manifest = ph_liar_manifest ();
  PhFrame frame;

  ph_liar_fill_offer (&frame, id, manifest);
  frame.offer.early = true;
  ph_liar_frame (l, &frame);
}

static void
send_all (PhLiar *l, int64_t stream)
{
  static const PhLie all[] = {
      {PH_RECORD_LAST, 1, 0, 10, PH_LIE_ALL},
      {PH_RECORD_LAST, 2, 0, 0, PH_LIE_ALL},
      {PH_RECORD_LAST, 3, 0, 20, PH_LIE_ALL},
      {PH_RECORD_FINISH, 0, 0, 0, PH_LIE_ALL},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (all); i++)
    ph_liar_record (l, stream, &all[i]);
  ph_liar_send (l, stream, NULL, 0, true);
}

/* The answer is given before any of it has come; and after all has. */
static void
test_receiver (void)
{
  for (unsigned i = 0; i < 2; i++) {
    g_autoptr (PhLiar) l = ph_liar_new ();
    PhFrame accepted;

    l->peer->accepts = i == 0;
    ph_liar_hello (l);
    offer_early (l, 1);
    ph_liar_run (l);
    send_all (l, ph_liar_segment (l, 1, 0, 0));
    ph_liar_run (l);
    if (i == 1) {
      g_assert_cmpuint (ph_liar_heard (l, PH_FRAME_ACCEPT, NULL), ==, 0);
      g_assert_cmpuint (ph_fake_link_unread (l->pair->b), >, 30);
      ph_session_peer_accept (l->peer, l->now, ph_liar_transfer (l, 1));
      ph_liar_run (l);
    }
    g_assert_cmpuint (ph_liar_heard (l, PH_FRAME_ACCEPT, &accepted), ==, 1);
    g_assert_true (accepted.accept.early);
    g_assert_cmpint (ph_liar_transfer (l, 1)->past, ==, PH_PAST_RECEIVED);
    g_assert_cmpuint (ph_fake_link_unread (l->pair->b), ==, 0);
  }
}

/* It overtook the offer and was thrown away: the answer does not count on it, nor on any later one that has not come. */
static void
test_overtakes_offer (void)
{
  g_autoptr (PhLiar) l = ph_liar_new ();
  PhFrame accepted;

  ph_liar_hello (l);
  ph_liar_run (l);
  send_all (l, ph_liar_segment (l, 1, 0, 0));
  ph_liar_run (l);
  g_assert_cmpuint (ph_fake_link_unread (l->pair->b), ==, 0);
  offer_early (l, 1);
  ph_liar_run (l);
  g_assert_cmpuint (ph_liar_heard (l, PH_FRAME_ACCEPT, &accepted), ==, 1);
  g_assert_false (accepted.accept.early);
  send_all (l, ph_liar_segment (l, 1, 1, 0));
  ph_liar_run (l);
  g_assert_cmpint (ph_liar_transfer (l, 1)->past, ==, PH_PAST_RECEIVED);

  offer_early (l, 2);
  ph_liar_run (l);
  g_assert_cmpuint (ph_liar_heard (l, PH_FRAME_ACCEPT, &accepted), ==, 2);
  g_assert_false (accepted.accept.early);
  send_all (l, ph_liar_segment (l, 2, 0, 0)); /* too late */
  send_all (l, ph_liar_segment (l, 2, 1, 0));
  ph_liar_run (l);
  g_assert_cmpint (ph_liar_transfer (l, 2)->past, ==, PH_PAST_RECEIVED);
  g_assert_cmpuint (ph_fake_link_unread (l->pair->b), ==, 0);
}

/* Nothing of it stays when the answer is no, and nothing was written. */
static void
test_declined (void)
{
  g_autoptr (PhLiar) l = ph_liar_new ();

  l->peer->accepts = false;
  ph_liar_hello (l);
  offer_early (l, 1);
  send_all (l, ph_liar_segment (l, 1, 0, 0));
  ph_liar_run (l);
  g_assert_true (
      ph_session_decline (l->peer->session, l->now, &(PhTransferId){{1}}, PH_DECLINE_PERSON));
  ph_liar_run (l);
  g_assert_cmpuint (ph_fake_link_unread (l->pair->b), ==, 0);
  g_assert_null (ph_liar_transfer (l, 1)->disk);
  g_assert_cmpuint (l->peer->told[PH_SESSION_EVENT_LINK_ERROR], ==, 0);
}

/* Before the answer there is one segment, of attempt 0 and number 0, and it has its bound. */
static void
test_bounds (void)
{
  for (unsigned i = 0; i < 5; i++) {
    g_autoptr (PhLiar) l = ph_liar_new ();
    g_autofree uint8_t *zeros = g_malloc0 (PH_SESSION_EARLY_MAX + 1);
    PhSessionCode code = PH_SESSION_CODE_UNEXPECTED;

    l->peer->accepts = false;
    l->pair->options.stream_window = 2 * PH_SESSION_EARLY_MAX;
    ph_liar_hello (l);
    offer_early (l, 1);
    ph_liar_run (l);
    if (i == 0) {
      ph_liar_send (l, ph_liar_segment (l, 1, 0, 0), zeros, PH_SESSION_EARLY_MAX + 1, false);
      code = PH_SESSION_CODE_LIMIT;
    } else if (i == 1) {
      ph_liar_segment (l, 1, 0, 0);
      ph_liar_segment (l, 1, 0, 0);
    } else if (i == 2) {
      ph_liar_segment (l, 1, 0, 1);
    } else if (i == 3) {
      ph_liar_segment (l, 1, 1, 0);
    } else { /* not even records: that shows when it is taken */
      ph_liar_send (l, ph_liar_segment (l, 1, 0, 0), zeros, PH_SESSION_EARLY_MAX, false);
      ph_liar_run (l);
      g_assert_cmpuint (l->closed, ==, 0);
      ph_session_peer_accept (l->peer, l->now, ph_liar_transfer (l, 1));
      code = PH_SESSION_CODE_MALFORMED;
    }
    ph_liar_expect_error (l, code);
    g_assert_cmpint (ph_liar_transfer (l, 1)->past, ==, PH_PAST_FAILED);
  }
}

/* Given up while a person thinks, by the stream or with its link. */
static void
test_given_up (void)
{
  for (unsigned i = 0; i < 2; i++) {
    g_autoptr (PhLiar) l = ph_liar_new ();
    PhFrame accepted;
    int64_t stream;

    l->peer->accepts = false;
    ph_liar_hello (l);
    offer_early (l, 1);
    ph_liar_run (l);
    stream = ph_liar_segment (l, 1, 0, 0);
    ph_liar_record (l, stream, &(PhLie){PH_RECORD_LAST, 1, 0, 10, PH_LIE_ALL});
    ph_liar_run (l);
    if (i == 0) {
      ph_link_reset_stream (l->link, stream, PH_SESSION_CODE_STALE);
    } else {
      ph_session_link_closed (l->peer->session, l->now, l->pair->b);
      ph_liar_connect (l);
      ph_liar_hello (l);
      ph_liar_offer (l, 1);
    }
    ph_liar_run (l);
    ph_session_peer_accept (l->peer, l->now, ph_liar_transfer (l, 1));
    ph_liar_run (l);
    g_assert_cmpuint (ph_liar_heard (l, PH_FRAME_ACCEPT, &accepted), ==, 1);
    g_assert_false (accepted.accept.early);
    send_all (l, ph_liar_segment (l, 1, 1, 0));
    ph_liar_run (l);
    g_assert_cmpint (ph_liar_transfer (l, 1)->past, ==, PH_PAST_RECEIVED);
  }
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/session-early/taken", test_taken);
  g_test_add_func ("/session-early/link-goes", test_link_goes);
  g_test_add_func ("/session-early/answer-is-lost", test_answer_is_lost);
  g_test_add_func ("/session-early/many", test_many);
  g_test_add_func ("/session-early/older-receiver", test_older_receiver);
  g_test_add_func ("/session-early/sender", test_sender);
  g_test_add_func ("/session-early/lying-accept", test_lying_accept);
  g_test_add_func ("/session-early/receiver", test_receiver);
  g_test_add_func ("/session-early/overtakes-offer", test_overtakes_offer);
  g_test_add_func ("/session-early/declined", test_declined);
  g_test_add_func ("/session-early/bounds", test_bounds);
  g_test_add_func ("/session-early/given-up", test_given_up);
  return g_test_run ();
}
