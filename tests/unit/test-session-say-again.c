/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is said on a link is lost with it, also when only one side knows: a link that the other side lets go as
 * soon as it has come about, or that it has lost before. Whoever spoke there says it again where it is heard.
 *
 * One link, the first one, stays in every test. */

#include "tests/support/ph-session-world.h"
#include "tests/support/ph-test.h"

#define STEPS 30 /* enough for whatever is small to be said and heard */

typedef struct {
  PhSessionWorld *w;
  PhPeerTransfer *sent; /* a sends */
  PhPeerTransfer *got;
  PhFakePair *deaf; /* the newest link, to b */
} Talk;

/* Stands where b's answer is due, or if it accepts where the first bytes have come; its words go into the void. */
static void
talk_begin (Talk *self, PhSessionWorld *w, bool accepts, uint64_t size)
{
  PhMemoryFiles *files = ph_memory_files_new (w->random);

  *self = (Talk){.w = w};
  ph_memory_files_fill_one (files, size);
  ph_session_world_connect (w);
  ph_session_world_steps (w, STEPS);
  w->b->accepts = accepts;
  self->sent = ph_session_peer_offer (w->a, w->now, files);
  if (accepts)
    ph_session_world_until (w, &self->sent->told[PH_SESSION_EVENT_STARTED], 1);
  else
    ph_session_world_until (w, &w->b->told[PH_SESSION_EVENT_OFFER], 1);
  self->got = ph_session_world_twin (w, self->sent);
  self->deaf = ph_session_world_connect_one (w, w->b);
}

/* The link that nobody listened to is gone. */
static void
talk_close (Talk *self)
{
  ph_link_close (self->deaf->a, self->w->now, PH_SESSION_CODE_NONE, "overtaken");
  ph_session_world_steps (self->w, STEPS);
}

static void
talk_end (Talk *self, PhPast past)
{
  ph_session_world_steps (self->w, STEPS);
  g_assert_cmpint (self->got->past, ==, past);
  g_assert_cmpint (self->sent->past, ==, PH_PAST_UNKNOWN);
  talk_close (self);
  g_assert_cmpint (self->sent->past, ==, past);
  ph_session_world_run (self->w);
  g_assert_cmpuint (ph_session_transfers (self->w->a->session), ==, 0);
  g_assert_cmpuint (ph_session_transfers (self->w->b->session), ==, 0);
}

static void
test_receipt (void)
{
  g_autoptr (PhSessionWorld) w = ph_session_world_new (ph_test_seed ());
  Talk talk;

  talk_begin (&talk, w, true, 500000);
  ph_session_world_until (w, &talk.got->told[PH_SESSION_EVENT_RECEIVED], 1);
  talk_end (&talk, PH_PAST_RECEIVED);
  g_assert_cmpuint (talk.sent->told[PH_SESSION_EVENT_DELIVERED], ==, 1);
  ph_memory_disk_check (talk.got->disk, talk.sent->files);
}

static void
test_decline (void)
{
  g_autoptr (PhSessionWorld) w = ph_session_world_new (ph_test_seed ());
  Talk talk;

  talk_begin (&talk, w, false, 500000);
  g_assert_true (ph_session_decline (w->b->session, w->now, &talk.got->id, PH_DECLINE_UNSAFE));
  talk.got->past = PH_PAST_DECLINED; /* is not told: it was asked for */
  talk_end (&talk, PH_PAST_DECLINED);
  g_assert_cmpint (talk.sent->last.decline, ==, PH_DECLINE_UNSAFE);
}

static void
test_cancel (void)
{
  g_autoptr (PhSessionWorld) w = ph_session_world_new (ph_test_seed ());
  Talk talk;

  talk_begin (&talk, w, true, 500000);
  g_assert_true (ph_session_cancel (w->b->session, w->now, &talk.got->id));
  talk_end (&talk, PH_PAST_CANCELLED);
  g_assert_true (talk.sent->last.by_peer);
}

static void
test_failure (void)
{
  g_autoptr (PhSessionWorld) w = ph_session_world_new (ph_test_seed ());
  Talk talk;

  talk_begin (&talk, w, true, 500000);
  talk.got->disk->fail_after = talk.got->disk->bytes_written + 1000;
  talk.got->disk->fail_error = PH_STORAGE_IO;
  ph_session_world_until (w, &talk.got->told[PH_SESSION_EVENT_FAILED], 1);
  talk_end (&talk, PH_PAST_FAILED);
  g_assert_cmpint (talk.sent->last.storage, ==, PH_STORAGE_IO);
  g_assert_true (talk.sent->last.by_peer);
}

/* The words were lost, and there was a third link that was lost as well: they are not forgotten. */
static void
test_twice (void)
{
  g_autoptr (PhSessionWorld) w = ph_session_world_new (ph_test_seed ());
  Talk talk;
  PhFakePair *second;

  talk_begin (&talk, w, true, 500000);
  second = ph_session_world_connect_one (w, w->b);
  ph_session_world_until (w, &talk.got->told[PH_SESSION_EVENT_RECEIVED], 1);
  ph_link_close (second->a, w->now, PH_SESSION_CODE_NONE, "overtaken");
  talk_end (&talk, PH_PAST_RECEIVED);
}

static void
test_pause (void)
{
  g_autoptr (PhSessionWorld) w = ph_session_world_new (ph_test_seed ());
  Talk talk;

  talk_begin (&talk, w, true, 20000000);
  g_assert_true (ph_session_pause (w->b->session, w->now, &talk.got->id));
  ph_session_world_steps (w, STEPS);
  g_assert_cmpint (talk.sent->pause, ==, PH_PAUSE_NONE);
  talk_close (&talk);
  g_assert_cmpint (talk.sent->pause, ==, PH_PAUSE_PERSON);

  talk.deaf = ph_session_world_connect_one (w, w->b);
  g_assert_true (ph_session_resume (w->b->session, w->now, &talk.got->id));
  ph_session_world_steps (w, STEPS);
  g_assert_cmpint (talk.sent->pause, ==, PH_PAUSE_PERSON);
  talk_close (&talk);
  g_assert_cmpint (talk.sent->pause, ==, PH_PAUSE_NONE);
  ph_session_world_run (w);
  g_assert_cmpint (talk.sent->past, ==, PH_PAST_RECEIVED);
}

static void
test_limit (void)
{
  g_autoptr (PhSessionWorld) w = ph_session_world_new (ph_test_seed ());
  PhTime from;
  Talk talk;

  talk_begin (&talk, w, false, 1000000);
  ph_session_set_limit_down (w->b->session, w->now, 100000);
  talk_close (&talk);
  from = w->now;
  ph_session_peer_accept (w->b, w->now, talk.got);
  ph_session_world_run (w);
  g_assert_cmpint (talk.sent->past, ==, PH_PAST_RECEIVED);
  g_assert_cmpuint (w->now - from, >, 9 * PH_SEC);
}

/* A manifest that is too large for an offer is asked for on the link where it was offered; the sender loses that
 * one first, and offers again while the receiver still waits there. */
static void
test_manifest (void)
{
  for (unsigned before = 0; before < 12; before++) {
    for (unsigned between = 0; between < 6; between++) {
      g_autoptr (PhSessionWorld) w = ph_session_world_new (ph_test_seed ());
      PhPeerTransfer *sent;
      PhFakePair *second;

      w->options.piece_max = 5000;
      ph_session_world_connect (w);
      ph_session_world_steps (w, STEPS);
      second = ph_session_world_connect (w);
      ph_session_world_steps (w, STEPS);
      sent = ph_session_peer_offer (w->a, w->now, ph_session_world_files (w, 2500, 10));
      ph_session_world_steps (w, before);
      ph_fake_link_cut (second->a);
      ph_session_world_steps (w, between);
      ph_fake_pair_cut (second);
      ph_session_world_run (w);
      if (sent->past != PH_PAST_RECEIVED)
        g_error ("cut after %u and %u steps: not delivered:\n%s", before, between, w->story->str);
    }
  }
}

/* --- Whatever happens --------------------------------------------------------------------------- */

static void
disturb_links (PhSessionWorld *w)
{
  PhFakePair *pair = w->pairs->pdata[ph_random_below (&w->random, w->pairs->len)];

  switch (ph_random_below (&w->random, 5)) {
  case 0:
    ph_session_world_connect (w);
    break;
  case 1:
    ph_session_world_connect_one (w, ph_random_below (&w->random, 2) == 0 ? w->a : w->b);
    break;
  case 2:
    if (pair != w->pairs->pdata[0])
      ph_fake_link_cut (ph_random_below (&w->random, 2) == 0 ? pair->a : pair->b);
    break;
  case 3:
    if (pair != w->pairs->pdata[0])
      ph_fake_pair_cut (pair);
    break;
  case 4:
    if (pair != w->pairs->pdata[0])
      ph_link_close (pair->a, w->now, PH_SESSION_CODE_NONE, "overtaken");
    break;
  }
}

static void
do_something (PhSessionWorld *w, PhSessionPeer *who)
{
  PhPeerTransfer *transfer;

  if (who->transfers->len == 0)
    return;
  transfer = who->transfers->pdata[ph_random_below (&w->random, who->transfers->len)];
  switch (ph_random_below (&w->random, 8)) {
  case 0:
    if (ph_session_decline (who->session, w->now, &transfer->id, PH_DECLINE_PERSON))
      transfer->past = PH_PAST_DECLINED;
    break;
  case 1:
    ph_session_cancel (who->session, w->now, &transfer->id);
    break;
  case 2:
  case 3:
    ph_session_pause (who->session, w->now, &transfer->id);
    break;
  case 4:
  case 5:
    ph_session_resume (who->session, w->now, &transfer->id);
    break;
  case 6:
  case 7:
    if (!transfer->outgoing && !transfer->accepted && transfer->past == PH_PAST_UNKNOWN)
      ph_session_peer_accept (who, w->now, transfer);
    break;
  }
}

/* Everything that waits for a person goes on. */
static void
let_go_on (PhSessionWorld *w, PhSessionPeer *who)
{
  who->accepts = true;
  for (unsigned i = 0; i < who->transfers->len; i++) {
    PhPeerTransfer *transfer = who->transfers->pdata[i];

    ph_session_resume (who->session, w->now, &transfer->id);
    if (!transfer->outgoing && !transfer->accepted && transfer->past == PH_PAST_UNKNOWN)
      ph_session_peer_accept (who, w->now, transfer);
  }
}

static void
check_over (PhSessionWorld *w, PhSessionPeer *who, uint64_t seed)
{
  for (unsigned i = 0; i < who->transfers->len; i++) {
    const PhPeerTransfer *transfer = who->transfers->pdata[i];

    if (transfer->past == PH_PAST_UNKNOWN)
      g_error ("seed %" G_GUINT64_FORMAT ": %02x%02x is not over at %s:\n%s", seed,
               transfer->id.bytes[0], transfer->id.bytes[1], who->name, w->story->str);
  }
}

/* People change their minds while links come for one side or both and go for one side first; in the end both
 * sides know of each transfer that it is over. */
static void
test_anything (void)
{
  const char *text = g_getenv ("PH_ROUNDS");
  const uint64_t rounds = text != NULL ? g_ascii_strtoull (text, NULL, 10) : 600;

  for (uint64_t seed = ph_test_seed (), end = seed + rounds; seed < end; seed++) {
    g_autoptr (PhSessionWorld) w = ph_session_world_new (seed);

    ph_session_world_connect (w);
    w->a->accepts = ph_random_below (&w->random, 2) == 0;
    w->b->accepts = ph_random_below (&w->random, 2) == 0;
    for (unsigned i = 0; i < 60; i++) {
      PhSessionPeer *who = ph_random_below (&w->random, 2) == 0 ? w->a : w->b;
      const unsigned what = (unsigned)ph_random_below (&w->random, 8);

      if (what == 0 && who->transfers->len < 6)
        ph_session_peer_offer (who, w->now, ph_session_world_files (w, 4, 20000));
      else if (what == 1 && i % 4 == 0)
        ph_session_peer_offer (who, w->now, ph_session_world_files (w, 2500, 10));
      else if (what < 4)
        disturb_links (w);
      else
        do_something (w, who);
      ph_session_world_steps (w, (unsigned)ph_random_below (&w->random, 12));
    }
    for (unsigned i = 1; i < w->pairs->len; i++)
      ph_fake_pair_cut (w->pairs->pdata[i]);
    ph_session_world_steps (w, STEPS);
    let_go_on (w, w->a);
    let_go_on (w, w->b);
    ph_session_world_run (w);
    check_over (w, w->a, seed);
    check_over (w, w->b, seed);
    g_assert_cmpuint (w->a->told[PH_SESSION_EVENT_LINK_ERROR], ==, 0);
    g_assert_cmpuint (w->b->told[PH_SESSION_EVENT_LINK_ERROR], ==, 0);
  }
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/session-say-again/receipt", test_receipt);
  g_test_add_func ("/session-say-again/decline", test_decline);
  g_test_add_func ("/session-say-again/cancel", test_cancel);
  g_test_add_func ("/session-say-again/failure", test_failure);
  g_test_add_func ("/session-say-again/twice", test_twice);
  g_test_add_func ("/session-say-again/pause", test_pause);
  g_test_add_func ("/session-say-again/limit", test_limit);
  g_test_add_func ("/session-say-again/manifest", test_manifest);
  g_test_add_func ("/session-say-again/anything", test_anything);
  return g_test_run ();
}
