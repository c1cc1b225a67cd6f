/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sessions whose links break: after any number of bytes, for one side before the other, together with the
 * program on either side, and while a second link is there (threats.md 5, 7, 8). */

#include "tests/support/ph-session-world.h"
#include "tests/support/ph-test.h"

/* Runs of the random scenarios: seconds in all. PH_ROUNDS asks for more. */
static unsigned
rounds (unsigned usual)
{
  const char *text = g_getenv ("PH_ROUNDS");

  return text != NULL ? (unsigned)g_ascii_strtoull (text, NULL, 10) : usual;
}

static void
check (PhSessionWorld *w, PhPeerTransfer *sent, uint64_t seed)
{
  PhPeerTransfer *got = ph_session_world_twin (w, sent);

  if (sent->past != PH_PAST_RECEIVED || got == NULL || got->past != PH_PAST_RECEIVED)
    g_error ("seed %" G_GUINT64_FORMAT ": not delivered:\n%s", seed, w->story->str);
  ph_memory_disk_check (got->disk, sent->files);
  g_assert_cmpuint (sent->told[PH_SESSION_EVENT_DELIVERED], ==, 1);
  g_assert_cmpuint (got->told[PH_SESSION_EVENT_RECEIVED], <=, 1);
  g_assert_cmpuint (got->told[PH_SESSION_EVENT_FILE_RESTARTED], ==, 0);
  g_assert_cmpuint (w->a->told[PH_SESSION_EVENT_LINK_ERROR], ==, 0);
  g_assert_cmpuint (w->b->told[PH_SESSION_EVENT_LINK_ERROR], ==, 0);
  g_assert_cmpuint (ph_session_transfers (w->a->session), ==, 0);
  g_assert_cmpuint (ph_session_transfers (w->b->session), ==, 0);
}

/* Links that die one after the other at random points, until one lives. Nothing is written twice as long as
 * the receiver's program lives: it knows what it has. */
static void
test_cut_anywhere (void)
{
  for (uint64_t seed = ph_test_seed (), end = seed + rounds (1500); seed < end; seed++) {
    g_autoptr (PhSessionWorld) w = ph_session_world_new (seed);
    const unsigned cuts = 1 + (unsigned)ph_random_below (&w->random, 4);
    const uint64_t size = (uint64_t)1 << ph_random_below (&w->random, 17);
    PhPeerTransfer *sent =
        ph_session_peer_offer (w->a, w->now, ph_session_world_files (w, 8, size));
    PhPeerTransfer *got;

    sent->files->stutters = seed % 2 == 0;
    for (unsigned i = 0; i <= cuts; i++) {
      PhFakePair *pair = ph_session_world_connect (w);

      if (i < cuts)
        pair->cut_after = ph_random_below (&w->random, ph_manifest_bytes (sent->manifest) + 1000);
      ph_session_world_run (w);
    }
    check (w, sent, seed);
    got = ph_session_world_twin (w, sent);
    /* A write may have been dropped by the sink, and is then sent again. */
    g_assert_cmpuint (got->disk->bytes_written, ==, ph_manifest_bytes (sent->manifest));
    g_assert_cmpuint (got->told[PH_SESSION_EVENT_OFFER], ==, 1);
    g_assert_cmpuint (sent->files->sources, <=, 1);
  }
}

/* One side hears of the end later than the other, and a new link is there in between. */
static void
test_one_side_first (void)
{
  for (uint64_t seed = ph_test_seed (), end = seed + rounds (600); seed < end; seed++) {
    g_autoptr (PhSessionWorld) w = ph_session_world_new (seed);
    PhPeerTransfer *sent =
        ph_session_peer_offer (w->a, w->now, ph_session_world_files (w, 8, 30000));

    for (unsigned i = 0; i < 3; i++) {
      PhFakePair *pair = ph_session_world_connect (w);

      ph_session_world_steps (w, (unsigned)ph_random_below (&w->random, 40));
      ph_fake_link_cut (seed % 2 == 0 ? pair->a : pair->b);
      ph_session_world_steps (w, (unsigned)ph_random_below (&w->random, 20));
      if (ph_random_below (&w->random, 2) == 0)
        ph_session_world_connect (w);
      ph_session_world_steps (w, (unsigned)ph_random_below (&w->random, 20));
      ph_fake_pair_cut (pair);
    }
    ph_session_world_connect (w);
    ph_session_world_run (w);
    check (w, sent, seed);
  }
}

/* A second link while the first lives: new data goes to it, the old one drains and is let go. Nothing is
 * sent twice, and no attempt is broken. */
static void
test_second_link (void)
{
  for (uint64_t seed = ph_test_seed (), end = seed + rounds (300); seed < end; seed++) {
    g_autoptr (PhSessionWorld) w = ph_session_world_new (seed);
    PhPeerTransfer *sent =
        ph_session_peer_offer (w->a, w->now, ph_session_world_files (w, 10, 300000));
    PhFakePair *first = ph_session_world_connect (w);
    PhFakePair *second;
    PhPeerTransfer *got;
    uint64_t before;

    ph_session_world_until (w, &sent->told[PH_SESSION_EVENT_ACCEPTED], 1);
    ph_session_world_steps (w, (unsigned)ph_random_below (&w->random, 20));
    second = ph_session_world_connect (w);
    before = first->moved;
    for (unsigned i = 0; !ph_session_link_idle (w->a->session, first->a); i++) {
      g_assert_cmpuint (i, <, 10000);
      ph_session_world_step (w);
    }
    g_assert_cmpuint (first->moved - before, <, PH_SESSION_QUEUED_MAX + 400000);
    while (!ph_session_link_idle (w->b->session, first->b))
      ph_session_world_step (w);
    ph_fake_pair_cut (first);
    ph_session_world_run (w);
    check (w, sent, seed);
    got = ph_session_world_twin (w, sent);
    g_assert_cmpuint (got->disk->bytes_written, ==, ph_manifest_bytes (sent->manifest));
    g_assert_cmpuint (sent->told[PH_SESSION_EVENT_WAITING], ==, 0);
    g_assert_cmpuint (first->moved + second->moved, <, ph_manifest_bytes (sent->manifest) + 20000);
  }
}

/* A link that came up late while a better one was there: it is known, and nothing goes over it. */
static void
test_overtaken_link (void)
{
  g_autoptr (PhSessionWorld) w = ph_session_world_new (ph_test_seed ());
  PhPeerTransfer *sent =
      ph_session_peer_offer (w->a, w->now, ph_session_world_files (w, 10, 300000));
  PhFakePair *first = ph_session_world_connect (w);
  PhFakePair *late;

  ph_session_world_until (w, &sent->told[PH_SESSION_EVENT_ACCEPTED], 1);
  late = ph_session_world_connect_late (w);
  ph_session_world_run (w);
  check (w, sent, ph_test_seed ());
  g_assert_true (ph_session_current_link (w->a->session) == first->a);
  g_assert_true (ph_session_current_link (w->b->session) == first->b);
  g_assert_false (ph_session_link_replaced (w->a->session, first->a));
  g_assert_true (ph_session_link_replaced (w->a->session, late->a));
  g_assert_true (ph_session_link_replaced (w->b->session, late->b));
  g_assert_cmpuint (late->moved, <, 2000);

  /* It is what there is, once the better one is gone. */
  ph_fake_pair_cut (first);
  ph_session_world_run (w);
  g_assert_true (ph_session_current_link (w->a->session) == late->a);
  g_assert_false (ph_session_link_replaced (w->a->session, late->a));
}

/* Links that come when they like and die when they like, several at a time, both ways. */
static void
test_flapping (void)
{
  for (uint64_t seed = ph_test_seed (), end = seed + rounds (500); seed < end; seed++) {
    g_autoptr (PhSessionWorld) w = ph_session_world_new (seed);
    PhPeerTransfer *sent =
        ph_session_peer_offer (w->a, w->now, ph_session_world_files (w, 8, 50000));
    PhPeerTransfer *back =
        ph_session_peer_offer (w->b, w->now, ph_session_world_files (w, 8, 50000));

    for (unsigned i = 0; i < 8; i++) {
      PhFakePair *pair = ph_session_world_connect (w);

      pair->cut_after = ph_random_below (&w->random, 200000);
      ph_session_world_steps (w, (unsigned)ph_random_below (&w->random, 12));
      if (ph_random_below (&w->random, 3) == 0)
        ph_fake_link_cut (ph_random_below (&w->random, 2) == 0 ? pair->a : pair->b);
    }
    ph_session_world_connect (w);
    ph_session_world_steps (w, 20);
    for (unsigned i = 0; i + 1 < w->pairs->len; i++)
      ph_fake_pair_cut (w->pairs->pdata[i]);
    ph_session_world_run (w);
    check (w, sent, seed);
    check (w, back, seed);
  }
}

/* Either program crashes at any time and starts again at its last checkpoint. */
static void
test_restarts (void)
{
  for (uint64_t seed = ph_test_seed (), end = seed + rounds (600); seed < end; seed++) {
    g_autoptr (PhSessionWorld) w = ph_session_world_new (seed);
    PhPeerTransfer *sent =
        ph_session_peer_offer (w->a, w->now, ph_session_world_files (w, 8, 60000));
    PhPeerTransfer *got;
    unsigned crashes = 0;

    for (unsigned i = 0; i < 3; i++) {
      PhSessionPeer *who = ph_random_below (&w->random, 2) == 0 ? w->a : w->b;

      ph_session_world_connect (w);
      ph_session_world_steps (w, (unsigned)ph_random_below (&w->random, 40));
      crashes += who == w->b;
      ph_session_world_restart (w, who);
    }
    ph_session_world_connect (w);
    ph_session_world_run (w);
    check (w, sent, seed);
    got = ph_session_world_twin (w, sent);
    /* What was not durable is lost with each crash of the receiver, and no more. */
    g_assert_cmpuint (got->disk->bytes_written, <=,
                      ph_manifest_bytes (sent->manifest)
                          + crashes * (got->disk->checkpoint_bytes + 30000));
  }
}

/* The receiver's program restarts and its new link comes before the sender's old one is known to be dead. */
static void
test_restart_with_old_link (void)
{
  for (unsigned i = 0; i < 2; i++) {
    g_autoptr (PhSessionWorld) w = ph_session_world_new (ph_test_seed () + i);
    PhSessionPeer *who = i == 0 ? w->b : w->a;
    PhSessionPeer *other = i == 0 ? w->a : w->b;
    PhPeerTransfer *sent =
        ph_session_peer_offer (w->a, w->now, ph_session_world_files (w, 20, 200000));
    PhFakePair *old = ph_session_world_connect (w);

    ph_session_world_until (w, &sent->told[PH_SESSION_EVENT_STARTED], 1);
    ph_session_peer_restart (who, w->now);
    ph_fake_link_cut (i == 0 ? old->b : old->a);
    ph_session_world_connect (w);
    ph_session_world_run (w);
    /* The old link was given up as soon as the new run said hello. */
    g_assert_cmpuint (other->told[PH_SESSION_EVENT_LINK_ERROR], ==, 1);
    g_assert_cmpuint (other->link_code, ==, PH_SESSION_CODE_NONE);
    other->told[PH_SESSION_EVENT_LINK_ERROR] = 0;
    check (w, sent, ph_test_seed () + i);
  }
}

/* The receipt is lost with the link: it is given again, also by a receiver that knows of it only from its
 * records. */
static void
test_receipt_is_lost (void)
{
  for (unsigned i = 0; i < 2; i++) {
    g_autoptr (PhSessionWorld) w = ph_session_world_new (ph_test_seed () + i);
    PhPeerTransfer *sent =
        ph_session_peer_offer (w->a, w->now, ph_session_world_files (w, 8, 3000));
    PhFakePair *pair = ph_session_world_connect (w);
    PhPeerTransfer *got = NULL;

    while (got == NULL || got->disk == NULL || !got->disk->finished) {
      ph_session_world_step (w);
      got = ph_session_world_twin (w, sent);
    }
    ph_fake_pair_cut (pair);
    if (i == 1)
      ph_session_world_restart (w, w->b);
    ph_session_world_run (w);
    g_assert_cmpint (sent->past, ==, PH_PAST_UNKNOWN);
    ph_session_world_connect (w);
    ph_session_world_run (w);
    check (w, sent, ph_test_seed () + i);
    g_assert_cmpuint (got->told[PH_SESSION_EVENT_OFFER], ==, 1);
    g_assert_cmpuint (got->disk->sinks, ==, 1);
  }
}

/* A file changed before its prefix was sent again: the sender starts it anew, and what arrives is whole. */
static void
test_source_changed (void)
{
  g_autoptr (PhSessionWorld) w = ph_session_world_new (ph_test_seed ());
  PhMemoryFiles *files = ph_memory_files_new (w->random);
  PhPeerTransfer *sent;
  PhPeerTransfer *got;

  ph_memory_files_fill_one (files, 1000000);
  sent = ph_session_peer_offer (w->a, w->now, files);
  PhFakePair *pair = ph_session_world_connect (w);

  pair->cut_after = 500000;
  ph_session_world_run (w);
  got = ph_session_world_twin (w, sent);
  g_assert_cmpuint (got->disk->bytes_written, >, 100000);
  ph_memory_files_change (files, 0, 1000);
  ph_session_world_connect (w);
  ph_session_world_run (w);
  g_assert_cmpuint (got->told[PH_SESSION_EVENT_FILE_RESTARTED], ==, 1);
  g_assert_cmpint (sent->past, ==, PH_PAST_RECEIVED);
  ph_memory_disk_check (got->disk, files);
}

/* Links that allow no streams for a while. */
static void
test_streams_are_scarce (void)
{
  g_autoptr (PhSessionWorld) w = ph_session_world_new (ph_test_seed ());
  PhPeerTransfer *sent[5];

  w->options.streams_max = 2;
  for (unsigned i = 0; i < G_N_ELEMENTS (sent); i++)
    sent[i] = ph_session_peer_offer (w->a, w->now, ph_session_world_files (w, 900, 100));
  ph_session_world_connect (w);
  ph_session_world_run (w);
  for (unsigned i = 0; i < G_N_ELEMENTS (sent); i++)
    check (w, sent[i], ph_test_seed ());
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/session-links/cut-anywhere", test_cut_anywhere);
  g_test_add_func ("/session-links/one-side-first", test_one_side_first);
  g_test_add_func ("/session-links/second-link", test_second_link);
  g_test_add_func ("/session-links/overtaken-link", test_overtaken_link);
  g_test_add_func ("/session-links/flapping", test_flapping);
  g_test_add_func ("/session-links/restarts", test_restarts);
  g_test_add_func ("/session-links/restart-with-old-link", test_restart_with_old_link);
  g_test_add_func ("/session-links/receipt-is-lost", test_receipt_is_lost);
  g_test_add_func ("/session-links/source-changed", test_source_changed);
  g_test_add_func ("/session-links/streams-are-scarce", test_streams_are_scarce);
  return g_test_run ();
}
