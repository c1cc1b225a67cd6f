/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Client core against server core. */

#include "tests/unit/rendezvous-world.h"

#include <stdio.h>
#include <stdlib.h>

#define CLIENT(i) (w.parties[i].client)
#define ID(i) (&w.parties[i].identity.id)

/* --- Being online ------------------------------------------------------------------------------- */

static void
test_log_in (void)
{
  World w;

  world_init (&w, "log-in", 2);
  world_start (&w, true);
  world_deliver (&w);
  for (unsigned i = 0; i < 2; i++) {
    g_assert_cmpint (ph_rendezvous_client_state (CLIENT (i)), ==, PH_RENDEZVOUS_ONLINE);
    g_assert_cmpuint (world_count (&w, i, PH_RENDEZVOUS_EVENT_ONLINE), ==, 1);
    g_assert_cmpuint (world_last (&w, i, PH_RENDEZVOUS_EVENT_ONLINE)->ice_n, ==, 2);
    g_assert_cmpuint (world_count (&w, i, PH_RENDEZVOUS_EVENT_PRESENCE), ==, 1);
    g_assert_true (ph_rendezvous_client_is_online (CLIENT (i), ID (1 - i)));
  }
  g_assert_cmpuint (ph_rooms_stats (w.rooms).devices, ==, 2);
  world_clear (&w);
}

static void
test_presence_is_mutual (void)
{
  World w;

  world_init (&w, "mutual", 3);
  world_start (&w, false);
  g_assert_true (ph_rendezvous_client_watch (CLIENT (0), w.now, ID (1)));
  world_deliver (&w);
  g_assert_cmpuint (world_count (&w, 0, PH_RENDEZVOUS_EVENT_PRESENCE), ==, 0);

  g_assert_true (ph_rendezvous_client_watch (CLIENT (1), w.now, ID (0)));
  world_deliver (&w);
  g_assert_true (ph_rendezvous_client_is_online (CLIENT (0), ID (1)));
  g_assert_true (ph_rendezvous_client_is_online (CLIENT (1), ID (0)));

  ph_rendezvous_client_unwatch (CLIENT (0), w.now, ID (1));
  world_deliver (&w);
  g_assert_false (ph_rendezvous_client_is_online (CLIENT (1), ID (0)));
  g_assert_false (world_last (&w, 1, PH_RENDEZVOUS_EVENT_PRESENCE)->online);
  g_assert_cmpuint (world_count (&w, 2, PH_RENDEZVOUS_EVENT_PRESENCE), ==, 0);
  world_clear (&w);
}

/* Who has just logged in finds others there; to them it has come back. */
static void
test_presence_anew (void)
{
  World w;

  world_init (&w, "anew", 2);
  world_start (&w, true);
  world_deliver (&w);
  for (unsigned i = 0; i < 2; i++)
    g_assert_false (world_last (&w, i, PH_RENDEZVOUS_EVENT_PRESENCE)->anew);

  world_cut (&w, 1);
  world_run (&w, 10 * PH_SEC);
  for (unsigned i = 0; i < 2; i++) {
    g_assert_true (world_last (&w, i, PH_RENDEZVOUS_EVENT_PRESENCE)->online);
    g_assert_cmpint (world_last (&w, i, PH_RENDEZVOUS_EVENT_PRESENCE)->anew, ==, i == 0);
  }
  world_clear (&w);
}

/* Somebody who was blocked and is not any more hears what is said to them, though it is still the same session. */
static void
test_watched_again (void)
{
  World w;

  world_init (&w, "watched-again", 2);
  world_start (&w, true);
  world_deliver (&w);
  world_say (&w, 0, 1, "before");
  world_say (&w, 0, 1, "before that");
  world_deliver (&w);
  ph_rendezvous_client_unwatch (CLIENT (0), w.now, ID (1));
  world_deliver (&w);
  g_assert_true (ph_rendezvous_client_watch (CLIENT (0), w.now, ID (1)));
  world_deliver (&w);
  world_say (&w, 0, 1, "after");
  world_deliver (&w);
  g_assert_cmpstr (world_body (&w, 1, 2), ==, "after");
  g_assert_cmpuint (world_count (&w, 0, PH_RENDEZVOUS_EVENT_SIGNAL_DELIVERED), ==, 3);
  /* The other way the numbers went on. */
  world_say (&w, 1, 0, "and back");
  world_deliver (&w);
  g_assert_cmpstr (world_body (&w, 0, 0), ==, "and back");
  world_clear (&w);
}

static void
test_going_offline_is_told (void)
{
  World w;

  world_init (&w, "offline", 2);
  world_start (&w, true);
  world_deliver (&w);
  ph_rendezvous_client_stop (CLIENT (1), w.now);
  world_deliver (&w);
  g_assert_false (ph_rendezvous_client_is_online (CLIENT (0), ID (1)));
  g_assert_cmpint (ph_rendezvous_client_state (CLIENT (1)), ==, PH_RENDEZVOUS_STOPPED);
  g_assert_null (w.parties[1].wire);
  world_run (&w, 600 * PH_SEC);
  g_assert_cmpint (ph_rendezvous_client_state (CLIENT (1)), ==, PH_RENDEZVOUS_STOPPED);
  world_clear (&w);
}

/* The pauses grow to a minute, are jittered, and one success begins anew. */
static void
test_backoff (void)
{
  World w;
  PhTime last = 0;
  PhTime longest = 0;
  unsigned n = 0;

  world_init (&w, "backoff", 1);
  world_server_stop (&w);
  world_start (&w, true);
  world_run (&w, 600 * PH_SEC);
  for (unsigned k = 0; k < w.parties[0].heard->len; k++) {
    const Heard *heard = &g_array_index (w.parties[0].heard, Heard, k);
    const PhTime pause = heard->retry_at - heard->at;
    const PhTime full = MIN (PH_SEC << MIN (n, 6), 60 * PH_SEC);

    g_assert_cmpint (heard->type, ==, PH_RENDEZVOUS_EVENT_OFFLINE);
    g_assert_cmpint (heard->code, ==, PH_RENDEZVOUS_UNREACHABLE);
    g_assert_cmpuint (pause, >=, full / 2);
    g_assert_cmpuint (pause, <=, full);
    g_assert_cmpuint (pause, !=, last);
    last = pause;
    longest = MAX (longest, pause);
    n++;
  }
  g_assert_cmpuint (n, >=, 14);
  g_assert_cmpuint (n, <=, 26);
  g_assert_cmpuint (longest, >, 30 * PH_SEC);

  world_server_start (&w);
  world_run (&w, 100 * PH_SEC);
  g_assert_cmpint (ph_rendezvous_client_state (CLIENT (0)), ==, PH_RENDEZVOUS_ONLINE);
  world_cut (&w, 0);
  g_assert_cmpuint (world_last (&w, 0, PH_RENDEZVOUS_EVENT_OFFLINE)->retry_at - w.now, <=, PH_SEC);
  world_clear (&w);
}

static void
test_network_change_ends_the_pause (void)
{
  World w;

  world_init (&w, "network", 1);
  world_server_stop (&w);
  world_start (&w, true);
  world_run (&w, 300 * PH_SEC);
  world_server_start (&w);
  ph_rendezvous_client_network_changed (CLIENT (0), w.now);
  world_deliver (&w);
  g_assert_cmpint (ph_rendezvous_client_state (CLIENT (0)), ==, PH_RENDEZVOUS_ONLINE);
  world_clear (&w);
}

/* The server takes everything and says nothing: a connection that is dead without a word. */
static void
test_silent_server (void)
{
  World w;

  world_init (&w, "silent", 1);
  world_start (&w, true);
  world_deliver (&w);

  const uint64_t conn = w.parties[0].wire->conn;
  const PhTime start = w.now;

  while (ph_rendezvous_client_state (CLIENT (0)) == PH_RENDEZVOUS_ONLINE) {
    const char *why;

    w.now = ph_rendezvous_client_next_timeout (CLIENT (0), &why);
    ph_rendezvous_client_handle_timeout (CLIENT (0), w.now);
    g_free (ph_rendezvous_client_poll_text (CLIENT (0)));
  }
  g_assert_cmpuint (w.now - start, ==, PH_RENDEZVOUS_IDLE_MAX + PH_RENDEZVOUS_PONG_MAX);
  world_run (&w, 2 * PH_SEC);
  g_assert_cmpuint (w.parties[0].wire->conn, !=, conn);
  g_assert_cmpint (world_last (&w, 0, PH_RENDEZVOUS_EVENT_OFFLINE)->code, ==,
                   PH_RENDEZVOUS_TIMED_OUT);
  g_assert_cmpint (ph_rendezvous_client_state (CLIENT (0)), ==, PH_RENDEZVOUS_ONLINE);

  /* After a network change the verdict comes sooner. */
  const PhTime changed = w.now;

  ph_rendezvous_client_network_changed (CLIENT (0), w.now);
  g_free (ph_rendezvous_client_poll_text (CLIENT (0)));
  while (ph_rendezvous_client_state (CLIENT (0)) == PH_RENDEZVOUS_ONLINE) {
    const char *why;

    w.now = ph_rendezvous_client_next_timeout (CLIENT (0), &why);
    ph_rendezvous_client_handle_timeout (CLIENT (0), w.now);
  }
  g_assert_cmpuint (w.now - changed, ==, PH_RENDEZVOUS_PONG_CHANGED_MAX);
  world_clear (&w);
}

/* Lets the client ask once more, and be answered; how long until it asks again. */
static PhTime
next_silence (World *w)
{
  const PhRendezvousClient *client = w->parties[0].client;
  const char *why;

  world_run (w, ph_rendezvous_client_next_timeout (client, &why) - w->now);
  world_deliver (w);
  g_assert_cmpint (ph_rendezvous_client_state (client), ==, PH_RENDEZVOUS_ONLINE);
  return ph_rendezvous_client_next_timeout (client, &why) - w->now;
}

static void
cut_after (World *w, PhTime silence)
{
  world_run (w, silence);
  world_cut (w, 0);
  world_run (w, 2 * PH_SEC);
}

/* Something on the way ends what is idle for 40 s: it costs one connection an hour. */
static void
test_stingy_proxy (void)
{
  World w;

  world_init (&w, "stingy", 1);
  world_start (&w, true);
  world_deliver (&w);
  g_assert_cmpuint (next_silence (&w), ==, PH_RENDEZVOUS_IDLE_MAX);
  cut_after (&w, 20 * PH_SEC);
  g_assert_cmpuint (next_silence (&w), ==, PH_RENDEZVOUS_IDLE_MAX);
  cut_after (&w, 40 * PH_SEC);
  g_assert_cmpuint (next_silence (&w), ==, PH_RENDEZVOUS_IDLE_SHORT);
  world_run (&w, PH_RENDEZVOUS_IDLE_SHORT_FOR);
  g_assert_cmpuint (next_silence (&w), ==, PH_RENDEZVOUS_IDLE_MAX);

  cut_after (&w, 40 * PH_SEC);
  ph_rendezvous_client_network_changed (CLIENT (0), w.now);
  world_deliver (&w);
  g_assert_cmpuint (next_silence (&w), ==, PH_RENDEZVOUS_IDLE_MAX);

  /* A connection that did not outlive the change says nothing of the new network. */
  world_run (&w, 40 * PH_SEC);
  ph_rendezvous_client_network_changed (CLIENT (0), w.now);
  world_cut (&w, 0);
  world_run (&w, 2 * PH_SEC);
  g_assert_cmpuint (next_silence (&w), ==, PH_RENDEZVOUS_IDLE_MAX);
  world_clear (&w);
}

static void
test_idle_costs_a_ping (void)
{
  World w;

  world_init (&w, "idle", 1);
  world_start (&w, true);
  world_run (&w, 3000 * PH_SEC);
  g_assert_cmpuint (w.parties[0].dials, ==, 1);
  g_assert_cmpuint (world_count (&w, 0, PH_RENDEZVOUS_EVENT_OFFLINE), ==, 0);
  world_clear (&w);
}

static void
test_credentials_are_renewed (void)
{
  World w;
  char first[128];

  world_init (&w, "renew", 1);
  world_start (&w, true);
  world_deliver (&w);
  g_strlcpy (first, world_last (&w, 0, PH_RENDEZVOUS_EVENT_ONLINE)->ice_username, sizeof first);
  g_assert_cmpuint (strtoull (first, NULL, 10), ==,
                    1800000000 + w.now / PH_SEC + PH_ROOMS_TURN_LIFE_S);
  world_run (&w, (PH_ROOMS_TURN_LIFE_S / 2 + 1) * PH_SEC);
  g_assert_cmpuint (world_count (&w, 0, PH_RENDEZVOUS_EVENT_ICE), ==, 1);
  g_assert_cmpstr (world_last (&w, 0, PH_RENDEZVOUS_EVENT_ICE)->ice_username, !=, first);
  world_clear (&w);
}

static void
test_newest_wins_and_nobody_fights (void)
{
  World w;

  world_init (&w, "replaced", 3);
  /* Party 2 is a second computer with party 0's profile. */
  w.parties[2].identity = w.parties[0].identity;
  g_assert_true (ph_rendezvous_client_watch (CLIENT (0), w.now, ID (1)));
  g_assert_true (ph_rendezvous_client_watch (CLIENT (1), w.now, ID (0)));
  g_assert_true (ph_rendezvous_client_watch (CLIENT (2), w.now, ID (1)));
  ph_rendezvous_client_start (CLIENT (0), w.now);
  ph_rendezvous_client_start (CLIENT (1), w.now);
  world_run (&w, 5 * PH_SEC);
  ph_rendezvous_client_start (CLIENT (2), w.now);
  world_run (&w, 600 * PH_SEC);

  g_assert_cmpint (ph_rendezvous_client_state (CLIENT (0)), ==, PH_RENDEZVOUS_IS_REPLACED);
  g_assert_cmpuint (world_count (&w, 0, PH_RENDEZVOUS_EVENT_REPLACED), ==, 1);
  g_assert_cmpuint (w.parties[0].dials, ==, 1);
  g_assert_cmpint (ph_rendezvous_client_state (CLIENT (2)), ==, PH_RENDEZVOUS_ONLINE);
  g_assert_cmpuint (w.parties[2].dials, ==, 1);
  g_assert_true (ph_rendezvous_client_is_online (CLIENT (1), ID (0)));
  world_say (&w, 1, 2, "to the newest");
  world_deliver (&w);
  g_assert_cmpstr (world_body (&w, 2, 0), ==, "to the newest");
  g_assert_null (world_body (&w, 0, 0));

  ph_rendezvous_client_start (CLIENT (0), w.now);
  world_deliver (&w);
  g_assert_cmpint (ph_rendezvous_client_state (CLIENT (0)), ==, PH_RENDEZVOUS_ONLINE);
  g_assert_cmpint (ph_rendezvous_client_state (CLIENT (2)), ==, PH_RENDEZVOUS_IS_REPLACED);
  world_clear (&w);
}

/* --- Signals ------------------------------------------------------------------------------------ */

static void
test_signals (void)
{
  World w;

  world_init (&w, "signals", 2);
  world_start (&w, true);
  world_deliver (&w);

  const uint64_t handle = world_say (&w, 0, 1, "one");

  world_say (&w, 0, 1, "two");
  world_deliver (&w);
  g_assert_cmpstr (world_body (&w, 1, 0), ==, "one");
  g_assert_cmpstr (world_body (&w, 1, 1), ==, "two");
  g_assert_cmpuint (world_count (&w, 0, PH_RENDEZVOUS_EVENT_SIGNAL_DELIVERED), ==, 2);
  g_assert_cmpuint (handle, !=, 0);
  world_run (&w, 100 * PH_SEC);
  g_assert_cmpuint (world_count (&w, 1, PH_RENDEZVOUS_EVENT_SIGNAL), ==, 2);
  world_clear (&w);
}

static void
test_signal_waits_for_the_contact (void)
{
  World w;

  world_init (&w, "waits", 2);
  world_start (&w, true);
  ph_rendezvous_client_stop (CLIENT (1), w.now);
  world_run (&w, PH_SEC);
  world_say (&w, 0, 1, "later");
  world_run (&w, 10 * PH_SEC);
  g_assert_cmpuint (world_count (&w, 0, PH_RENDEZVOUS_EVENT_SIGNAL_FAILED), ==, 0);
  ph_rendezvous_client_start (CLIENT (1), w.now);
  world_deliver (&w);
  g_assert_cmpstr (world_body (&w, 1, 0), ==, "later");
  g_assert_cmpuint (world_count (&w, 0, PH_RENDEZVOUS_EVENT_SIGNAL_DELIVERED), ==, 1);

  ph_rendezvous_client_stop (CLIENT (1), w.now);
  world_deliver (&w);
  world_say (&w, 0, 1, "too late");
  world_run (&w, PH_RENDEZVOUS_SIGNAL_LIFE);
  g_assert_cmpint (world_last (&w, 0, PH_RENDEZVOUS_EVENT_SIGNAL_FAILED)->code, ==,
                   PH_RENDEZVOUS_NOT_ONLINE);
  ph_rendezvous_client_start (CLIENT (1), w.now);
  world_run (&w, 10 * PH_SEC);
  g_assert_cmpuint (world_count (&w, 1, PH_RENDEZVOUS_EVENT_SIGNAL), ==, 1);

  /* The one given up leaves no hole that later ones wait for. */
  world_say (&w, 0, 1, "next");
  world_deliver (&w);
  g_assert_cmpstr (world_body (&w, 1, 1), ==, "next");
  world_clear (&w);
}

static void
test_signals_are_bounded (void)
{
  World w;

  world_init (&w, "bounded", 2);
  world_start (&w, true);
  for (unsigned i = 0; i <= PH_RENDEZVOUS_QUEUE_MAX; i++)
    world_say (&w, 0, 1, "x");
  world_deliver (&w);
  g_assert_cmpuint (world_count (&w, 0, PH_RENDEZVOUS_EVENT_SIGNAL_FAILED), ==, 1);
  g_assert_cmpint (world_last (&w, 0, PH_RENDEZVOUS_EVENT_SIGNAL_FAILED)->code, ==,
                   PH_RENDEZVOUS_QUEUE_FULL);
  g_assert_cmpuint (world_count (&w, 1, PH_RENDEZVOUS_EVENT_SIGNAL), ==, PH_RENDEZVOUS_QUEUE_MAX);
  world_clear (&w);
}

static void
test_strangers_are_not_heard (void)
{
  World w;

  world_init (&w, "strangers", 2);
  world_start (&w, false);
  g_assert_true (ph_rendezvous_client_watch (CLIENT (0), w.now, ID (1)));
  world_deliver (&w);
  world_say (&w, 0, 1, "hello stranger");
  world_run (&w, 40 * PH_SEC);
  g_assert_cmpuint (world_count (&w, 1, PH_RENDEZVOUS_EVENT_SIGNAL), ==, 0);
  g_assert_cmpint (world_last (&w, 0, PH_RENDEZVOUS_EVENT_SIGNAL_FAILED)->code, ==,
                   PH_RENDEZVOUS_NOT_ONLINE);

  /* A server that relays it all the same: the client drops it. */
  PhRandom random = w.random;
  uint8_t sealed[PH_ENVELOPE_MAX];
  const PhEnvelope envelope = {
      .sender = *ID (0), .receiver = *ID (1), .sequence = 1, .body = ph_slice_string ("x")};
  const size_t len = ph_envelope_seal (&envelope, &w.parties[0].identity, &random, sealed);
  JsonObject *message = ph_json_message ("signal");

  ph_json_set_bytes (message, "from", ph_slice (ID (0)->key, 32));
  ph_json_set_bytes (message, "envelope", ph_slice (sealed, len));

  g_autofree char *text = ph_json_finish (message);

  ph_rendezvous_client_handle_text (CLIENT (1), w.now, ph_slice_string (text));
  world_deliver (&w);
  g_assert_cmpuint (world_count (&w, 1, PH_RENDEZVOUS_EVENT_SIGNAL), ==, 0);
  g_assert_cmpint (ph_rendezvous_client_state (CLIENT (1)), ==, PH_RENDEZVOUS_ONLINE);
  world_clear (&w);
}

/* The server delivers each frame twice, and old ones again after reconnects. */
static void
test_replays_are_dropped (void)
{
  World w;
  g_autoptr (GPtrArray) kept = g_ptr_array_new_with_free_func (g_free);

  world_init (&w, "replays", 2);
  world_start (&w, true);
  world_deliver (&w);
  for (unsigned round = 0; round < 4; round++) {
    world_say (&w, 0, 1, "once");
    /* The sender's frame reaches the server; what the receiver gets is kept. */
    char *up = ph_rendezvous_client_poll_text (CLIENT (0));

    g_assert_nonnull (up);
    ph_rooms_handle_text (w.rooms, w.now, w.parties[0].wire->conn, ph_slice_string (up));
    g_free (up);

    PhRoomsOutput out;

    while (ph_rooms_poll_output (w.rooms, &out)) {
      g_assert_cmpuint (out.connection, ==, w.parties[1].wire->conn);
      g_ptr_array_add (kept, out.text);
    }
    for (unsigned twice = 0; twice < 2; twice++)
      for (unsigned i = 0; i < kept->len; i++)
        ph_rendezvous_client_handle_text (CLIENT (1), w.now,
                                          ph_slice_string (g_ptr_array_index (kept, i)));
    world_deliver (&w);
    g_assert_cmpuint (world_count (&w, 1, PH_RENDEZVOUS_EVENT_SIGNAL), ==, round + 1);
    world_cut (&w, round % 2);
    world_run (&w, 3 * PH_SEC);
  }
  world_clear (&w);
}

/* A contact that logs in all the time fills the guard; the receiver then draws a fresh epoch. */
static void
test_guard_full_makes_a_fresh_epoch (void)
{
  World w;

  world_init (&w, "guard", 2);
  world_start (&w, true);
  world_deliver (&w);
  for (unsigned i = 0; i < PH_ENVELOPE_EPOCHS_MAX + 1; i++) {
    world_say (&w, 0, 1, "x");
    world_run (&w, 3 * PH_SEC);
    world_cut (&w, 0);
    world_run (&w, 40 * PH_SEC);
  }
  g_assert_cmpuint (world_count (&w, 1, PH_RENDEZVOUS_EVENT_SIGNAL), ==,
                    PH_ENVELOPE_EPOCHS_MAX + 1);
  g_assert_cmpuint (w.parties[1].dials, ==, 2);
  world_clear (&w);
}

static void
check_signals (const World *w)
{
  for (unsigned i = 0; i < w->n; i++) {
    uint64_t last[WORLD_CLIENTS_MAX] = {0};

    for (unsigned k = 0; k < w->parties[i].heard->len; k++) {
      const Heard *heard = &g_array_index (w->parties[i].heard, Heard, k);

      if (heard->type != PH_RENDEZVOUS_EVENT_SIGNAL)
        continue;

      unsigned from = 0;
      unsigned to = 0;
      unsigned long long number = 0;

      g_assert_cmpint (sscanf (heard->body, "%u %u %llu", &from, &to, &number), ==, 3);
      g_assert_cmpuint (to, ==, i);
      g_assert_true (ph_device_id_equal (&heard->peer, &w->parties[from].identity.id));
      /* In order, and once. */
      g_assert_cmpuint (number, >, last[from]);
      last[from] = number;
    }
  }
}

/* Random weather. Every signal has exactly one result, what is reported as delivered was, and
 * everything arrives in order and once. */
static void
random_run (unsigned run)
{
  World w;
  g_autofree char *name = g_strdup_printf ("weather %u", run);
  g_autoptr (GHashTable) results = g_hash_table_new (g_direct_hash, g_direct_equal);
  unsigned sent = 0;
  unsigned number = 0;

  world_init (&w, name, 3);
  world_start (&w, true);
  for (unsigned step = 0; step < 60; step++) {
    const unsigned i = (unsigned)ph_random_below (&w.random, w.n);
    const unsigned k = (i + 1 + (unsigned)ph_random_below (&w.random, w.n - 1)) % w.n;
    g_autofree char *text = g_strdup_printf ("%u %u %u", i, k, ++number);

    switch (ph_random_below (&w.random, 12)) {
    case 0:
      world_cut (&w, i);
      break;
    case 1:
      if (w.rooms != NULL)
        world_server_stop (&w);
      else
        world_server_start (&w);
      break;
    case 2:
      ph_rendezvous_client_network_changed (CLIENT (i), w.now);
      break;
    case 3:
      ph_rendezvous_client_cancel_signals (CLIENT (i), w.now, ID (k));
      break;
    case 4:
    case 5:
    case 6:
      world_run (&w, ph_random_below (&w.random, 4 * PH_SEC));
      break;
    default:
      sent++;
      world_say (&w, i, k, text);
      break;
    }
  }
  world_server_start (&w);
  world_run (&w, 200 * PH_SEC);

  unsigned delivered = 0;
  unsigned received = 0;

  for (unsigned i = 0; i < w.n; i++) {
    g_assert_cmpint (ph_rendezvous_client_state (CLIENT (i)), ==, PH_RENDEZVOUS_ONLINE);
    for (unsigned k = 0; k < w.parties[i].heard->len; k++) {
      const Heard *heard = &g_array_index (w.parties[i].heard, Heard, k);
      void *key = GUINT_TO_POINTER (heard->handle << 4 | i);

      if (heard->type == PH_RENDEZVOUS_EVENT_SIGNAL)
        received++;
      if (heard->type != PH_RENDEZVOUS_EVENT_SIGNAL_DELIVERED
          && heard->type != PH_RENDEZVOUS_EVENT_SIGNAL_FAILED)
        continue;
      g_assert_true (g_hash_table_add (results, key));
      delivered += heard->type == PH_RENDEZVOUS_EVENT_SIGNAL_DELIVERED;
    }
  }
  g_assert_cmpuint (g_hash_table_size (results), ==, sent);
  g_assert_cmpuint (received, >=, delivered);
  check_signals (&w);
  world_clear (&w);
}

static void
test_random_weather (void)
{
  const unsigned runs = g_test_slow () ? 20000 : 150;

  for (unsigned run = 0; run < runs; run++)
    random_run (run);
}

/* --- Invitations -------------------------------------------------------------------------------- */

static void
test_invitation (void)
{
  World w;

  world_init (&w, "invitation", 3);
  world_start (&w, false);
  world_deliver (&w);

  const PhInvitation invitation = world_invitation (&w, 0);
  const uint64_t ours = ph_rendezvous_client_invite (CLIENT (0), w.now, &invitation, 60 * PH_SEC);

  world_deliver (&w);
  g_assert_cmpuint (world_last (&w, 0, PH_RENDEZVOUS_EVENT_INVITED)->handle, ==, ours);

  const uint64_t theirs = ph_rendezvous_client_accept (CLIENT (1), w.now, &invitation);

  world_deliver (&w);

  const Heard *used = world_last (&w, 0, PH_RENDEZVOUS_EVENT_INVITATION_USED);
  const Heard *accepted = world_last (&w, 1, PH_RENDEZVOUS_EVENT_ACCEPTED);

  g_assert_cmpuint (used->handle, ==, ours);
  g_assert_true (ph_device_id_equal (&used->peer, ID (1)));
  g_assert_cmpstr (used->name, ==, "Party 1");
  g_assert_cmpuint (accepted->handle, ==, theirs);
  g_assert_true (ph_device_id_equal (&accepted->peer, ID (0)));
  g_assert_cmpstr (accepted->name, ==, "Party 0");

  /* Once only. */
  ph_rendezvous_client_accept (CLIENT (2), w.now, &invitation);
  world_deliver (&w);
  g_assert_cmpint (world_last (&w, 2, PH_RENDEZVOUS_EVENT_ACCEPT_FAILED)->code, ==,
                   PH_RENDEZVOUS_INVITATION_USED);
  g_assert_cmpuint (world_count (&w, 0, PH_RENDEZVOUS_EVENT_INVITATION_USED), ==, 1);

  /* Who used it hears the answer again, and the inviter nothing. */
  ph_rendezvous_client_accept (CLIENT (1), w.now, &invitation);
  world_deliver (&w);
  g_assert_cmpuint (world_count (&w, 1, PH_RENDEZVOUS_EVENT_ACCEPTED), ==, 2);
  g_assert_cmpuint (world_count (&w, 0, PH_RENDEZVOUS_EVENT_INVITATION_USED), ==, 1);

  /* Also where the server has forgotten everything meanwhile. */
  world_server_stop (&w);
  world_run (&w, 2 * PH_SEC);
  world_server_start (&w);
  world_run (&w, 10 * PH_SEC);
  ph_rendezvous_client_accept (CLIENT (2), w.now, &invitation);
  world_deliver (&w);
  g_assert_cmpint (world_last (&w, 2, PH_RENDEZVOUS_EVENT_ACCEPT_FAILED)->code, ==,
                   PH_RENDEZVOUS_INVITATION_USED);
  g_assert_cmpuint (world_count (&w, 0, PH_RENDEZVOUS_EVENT_INVITATION_USED), ==, 1);
  world_clear (&w);
}

static void
test_invitation_expires (void)
{
  World w;

  world_init (&w, "expires", 2);
  world_start (&w, false);
  world_deliver (&w);

  const PhInvitation invitation = world_invitation (&w, 0);

  ph_rendezvous_client_invite (CLIENT (0), w.now, &invitation, 60 * PH_SEC);
  world_run (&w, 61 * PH_SEC);
  g_assert_cmpint (world_last (&w, 0, PH_RENDEZVOUS_EVENT_INVITATION_FAILED)->code, ==,
                   PH_RENDEZVOUS_INVITATION_EXPIRED);
  ph_rendezvous_client_accept (CLIENT (1), w.now, &invitation);
  world_deliver (&w);
  g_assert_cmpint (world_last (&w, 1, PH_RENDEZVOUS_EVENT_ACCEPT_FAILED)->code, ==,
                   PH_RENDEZVOUS_UNKNOWN_INVITATION);
  world_run (&w, 200 * PH_SEC);
  g_assert_cmpuint (ph_rooms_stats (w.rooms).invitations, ==, 0);
  world_clear (&w);
}

static void
test_invitation_withdrawn (void)
{
  World w;

  world_init (&w, "withdrawn", 2);
  world_start (&w, false);
  world_deliver (&w);

  const PhInvitation invitation = world_invitation (&w, 0);
  const uint64_t handle = ph_rendezvous_client_invite (CLIENT (0), w.now, &invitation, PH_NEVER);

  world_deliver (&w);
  g_assert_cmpuint (ph_rooms_stats (w.rooms).invitations, ==, 1);
  ph_rendezvous_client_withdraw (CLIENT (0), w.now, handle);
  world_deliver (&w);
  ph_rendezvous_client_accept (CLIENT (1), w.now, &invitation);
  world_deliver (&w);
  g_assert_cmpint (world_last (&w, 1, PH_RENDEZVOUS_EVENT_ACCEPT_FAILED)->code, ==,
                   PH_RENDEZVOUS_UNKNOWN_INVITATION);
  g_assert_cmpuint (world_count (&w, 0, PH_RENDEZVOUS_EVENT_INVITATION_FAILED), ==, 0);
  world_clear (&w);
}

/* A withdrawal and an acceptance cross, in either order: whoever accepted is told at once. */
static void
test_invitation_withdrawn_while_accepted (void)
{
  World w;

  world_init (&w, "withdrawn-while-accepted", 2);
  world_start (&w, false);
  world_deliver (&w);
  for (unsigned i = 1; i <= 16; i++) {
    const PhInvitation invitation = world_invitation (&w, 0);
    const uint64_t handle = ph_rendezvous_client_invite (CLIENT (0), w.now, &invitation, PH_NEVER);

    world_deliver (&w);
    ph_rendezvous_client_accept (CLIENT (1), w.now, &invitation);
    ph_rendezvous_client_withdraw (CLIENT (0), w.now, handle);
    world_deliver (&w);
    g_assert_cmpuint (world_count (&w, 1, PH_RENDEZVOUS_EVENT_ACCEPT_FAILED), ==, i);
    g_assert_cmpint (world_last (&w, 1, PH_RENDEZVOUS_EVENT_ACCEPT_FAILED)->code, ==,
                     PH_RENDEZVOUS_UNKNOWN_INVITATION);
  }
  world_clear (&w);
}

/* Used on the inviter's own network: at the meeting point it serves whoever that was, and nobody else. */
static void
test_invitation_used_elsewhere (void)
{
  World w;

  world_init (&w, "elsewhere", 3);
  world_start (&w, false);
  world_deliver (&w);

  const PhInvitation invitation = world_invitation (&w, 0);
  const uint64_t handle =
      ph_rendezvous_client_invite (CLIENT (0), w.now, &invitation, 3600 * PH_SEC);

  world_deliver (&w);
  ph_rendezvous_client_invitation_used (CLIENT (0), w.now, handle, ID (1));
  ph_rendezvous_client_accept (CLIENT (1), w.now, &invitation);
  world_deliver (&w);
  g_assert_cmpuint (world_count (&w, 1, PH_RENDEZVOUS_EVENT_ACCEPTED), ==, 1);
  ph_rendezvous_client_accept (CLIENT (2), w.now, &invitation);
  world_deliver (&w);
  g_assert_cmpint (world_last (&w, 2, PH_RENDEZVOUS_EVENT_ACCEPT_FAILED)->code, ==,
                   PH_RENDEZVOUS_INVITATION_USED);
  g_assert_cmpuint (world_count (&w, 0, PH_RENDEZVOUS_EVENT_INVITATION_USED), ==, 0);
  world_clear (&w);
}

/* Somebody who knows the look-up ID and not the secret: one try, and both see it. */
static void
test_guessed_secret_ends_the_invitation (void)
{
  World w;

  world_init (&w, "guessed", 3);
  world_start (&w, false);
  world_deliver (&w);

  const PhInvitation invitation = world_invitation (&w, 0);
  const PhLookupId lookup = ph_invitation_lookup (invitation.secret);

  ph_rendezvous_client_invite (CLIENT (0), w.now, &invitation, 60 * PH_SEC);
  world_deliver (&w);

  JsonObject *message = ph_json_message ("accept");

  ph_json_set_bytes (message, "lookup", ph_slice (lookup.bytes, sizeof lookup.bytes));
  json_object_set_string_member (message, "envelope", "AAAA");

  g_autofree char *text = ph_json_finish (message);

  ph_rooms_handle_text (w.rooms, w.now, w.parties[2].wire->conn, ph_slice_string (text));
  world_deliver (&w);
  g_assert_cmpint (world_last (&w, 0, PH_RENDEZVOUS_EVENT_INVITATION_FAILED)->code, ==,
                   PH_RENDEZVOUS_WRONG_SECRET);

  /* And whoever has the secret finds it ended. */
  ph_rendezvous_client_accept (CLIENT (1), w.now, &invitation);
  world_deliver (&w);
  g_assert_cmpint (world_last (&w, 1, PH_RENDEZVOUS_EVENT_ACCEPT_FAILED)->code, ==,
                   PH_RENDEZVOUS_INVITATION_ENDED);

  /* A client that gives a wrong answer is told so. */
  PhInvitation second = world_invitation (&w, 0);

  ph_rendezvous_client_invite (CLIENT (0), w.now, &second, 60 * PH_SEC);
  world_deliver (&w);
  ph_rendezvous_client_accept (CLIENT (1), w.now, &second);
  /* On the way the server changes a byte. */
  char *up = ph_rendezvous_client_poll_text (CLIENT (1));
  char *at = strstr (up, "envelope") + 40;

  *at = *at == 'A' ? 'B' : 'A';
  ph_rooms_handle_text (w.rooms, w.now, w.parties[1].wire->conn, ph_slice_string (up));
  g_free (up);
  world_deliver (&w);
  g_assert_cmpuint (world_count (&w, 0, PH_RENDEZVOUS_EVENT_INVITATION_FAILED), ==, 2);
  g_assert_cmpint (world_last (&w, 1, PH_RENDEZVOUS_EVENT_ACCEPT_FAILED)->code, ==,
                   PH_RENDEZVOUS_WRONG_SECRET);
  world_clear (&w);
}

static void
test_wrong_answers (void)
{
  World w;

  world_init (&w, "own", 2);
  world_start (&w, false);
  world_deliver (&w);

  const PhInvitation invitation = world_invitation (&w, 0);

  ph_rendezvous_client_accept (CLIENT (0), w.now, &invitation);
  ph_rendezvous_client_accept (CLIENT (1), w.now, &invitation);
  world_deliver (&w);
  g_assert_cmpint (world_last (&w, 0, PH_RENDEZVOUS_EVENT_ACCEPT_FAILED)->code, ==,
                   PH_RENDEZVOUS_OWN_INVITATION);
  g_assert_cmpint (world_last (&w, 1, PH_RENDEZVOUS_EVENT_ACCEPT_FAILED)->code, ==,
                   PH_RENDEZVOUS_UNKNOWN_INVITATION);

  ph_rendezvous_client_invite (CLIENT (0), w.now, &invitation, 60 * PH_SEC);
  world_deliver (&w);
  ph_rendezvous_client_stop (CLIENT (0), w.now);
  world_deliver (&w);
  ph_rendezvous_client_accept (CLIENT (1), w.now, &invitation);
  world_deliver (&w);
  g_assert_cmpint (world_last (&w, 1, PH_RENDEZVOUS_EVENT_ACCEPT_FAILED)->code, ==,
                   PH_RENDEZVOUS_INVITER_OFFLINE);

  world_server_stop (&w);
  world_run (&w, 2 * PH_SEC);
  ph_rendezvous_client_accept (CLIENT (1), w.now, &invitation);
  world_run (&w, PH_RENDEZVOUS_ACCEPT_MAX);
  g_assert_cmpint (world_last (&w, 1, PH_RENDEZVOUS_EVENT_ACCEPT_FAILED)->code, ==,
                   PH_RENDEZVOUS_UNREACHABLE);
  world_clear (&w);
}

static void
test_invitations_survive_the_server (void)
{
  World w;

  world_init (&w, "survive", 2);
  world_start (&w, false);
  world_deliver (&w);

  const PhInvitation invitation = world_invitation (&w, 0);

  ph_rendezvous_client_invite (CLIENT (0), w.now, &invitation, 600 * PH_SEC);
  world_deliver (&w);
  world_server_stop (&w);
  world_run (&w, 5 * PH_SEC);
  world_server_start (&w);
  world_run (&w, 20 * PH_SEC);
  g_assert_cmpuint (world_count (&w, 0, PH_RENDEZVOUS_EVENT_INVITED), ==, 1);
  ph_rendezvous_client_accept (CLIENT (1), w.now, &invitation);
  world_deliver (&w);
  g_assert_cmpuint (world_count (&w, 1, PH_RENDEZVOUS_EVENT_ACCEPTED), ==, 1);
  world_clear (&w);
}

/* Whatever breaks and when: if one side counts it as done, the other one can. */
static void
test_invitation_in_random_weather (void)
{
  for (unsigned run = 0; run < 100; run++) {
    World w;
    g_autofree char *name = g_strdup_printf ("invitation weather %u", run);

    world_init (&w, name, 2);
    world_start (&w, false);
    world_deliver (&w);

    const PhInvitation invitation = world_invitation (&w, 0);

    ph_rendezvous_client_invite (CLIENT (0), w.now, &invitation, 600 * PH_SEC);
    world_deliver (&w);
    ph_rendezvous_client_accept (CLIENT (1), w.now, &invitation);
    for (unsigned step = 0; step < 4; step++) {
      /* One side's connection breaks with frames under way. */
      const unsigned victim = (unsigned)ph_random_below (&w.random, 2);

      if (ph_random_below (&w.random, 2) == 0)
        world_run (&w, ph_random_below (&w.random, 2 * PH_SEC));
      world_cut (&w, victim);
    }
    world_run (&w, 60 * PH_SEC);
    if (world_count (&w, 1, PH_RENDEZVOUS_EVENT_ACCEPTED) == 0) {
      /* The inviter was away at that moment: the person tries again. */
      ph_rendezvous_client_accept (CLIENT (1), w.now, &invitation);
      world_run (&w, 60 * PH_SEC);
    }
    g_assert_cmpuint (world_count (&w, 1, PH_RENDEZVOUS_EVENT_ACCEPTED), ==, 1);
    g_assert_cmpuint (world_count (&w, 0, PH_RENDEZVOUS_EVENT_INVITATION_USED), ==, 1);
    world_clear (&w);
  }
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/rendezvous/log-in", test_log_in);
  g_test_add_func ("/rendezvous/presence-is-mutual", test_presence_is_mutual);
  g_test_add_func ("/rendezvous/presence-anew", test_presence_anew);
  g_test_add_func ("/rendezvous/watched-again", test_watched_again);
  g_test_add_func ("/rendezvous/going-offline-is-told", test_going_offline_is_told);
  g_test_add_func ("/rendezvous/backoff", test_backoff);
  g_test_add_func ("/rendezvous/network-change-ends-the-pause", test_network_change_ends_the_pause);
  g_test_add_func ("/rendezvous/silent-server", test_silent_server);
  g_test_add_func ("/rendezvous/stingy-proxy", test_stingy_proxy);
  g_test_add_func ("/rendezvous/idle-costs-a-ping", test_idle_costs_a_ping);
  g_test_add_func ("/rendezvous/credentials-are-renewed", test_credentials_are_renewed);
  g_test_add_func ("/rendezvous/newest-wins-and-nobody-fights", test_newest_wins_and_nobody_fights);
  g_test_add_func ("/rendezvous/signals", test_signals);
  g_test_add_func ("/rendezvous/signal-waits-for-the-contact", test_signal_waits_for_the_contact);
  g_test_add_func ("/rendezvous/signals-are-bounded", test_signals_are_bounded);
  g_test_add_func ("/rendezvous/strangers-are-not-heard", test_strangers_are_not_heard);
  g_test_add_func ("/rendezvous/replays-are-dropped", test_replays_are_dropped);
  g_test_add_func ("/rendezvous/guard-full-makes-a-fresh-epoch",
                   test_guard_full_makes_a_fresh_epoch);
  g_test_add_func ("/rendezvous/random-weather", test_random_weather);
  g_test_add_func ("/rendezvous/invitation", test_invitation);
  g_test_add_func ("/rendezvous/invitation-expires", test_invitation_expires);
  g_test_add_func ("/rendezvous/invitation-withdrawn", test_invitation_withdrawn);
  g_test_add_func ("/rendezvous/invitation-withdrawn-while-accepted",
                   test_invitation_withdrawn_while_accepted);
  g_test_add_func ("/rendezvous/invitation-used-elsewhere", test_invitation_used_elsewhere);
  g_test_add_func ("/rendezvous/guessed-secret-ends-the-invitation",
                   test_guessed_secret_ends_the_invitation);
  g_test_add_func ("/rendezvous/wrong-answers", test_wrong_answers);
  g_test_add_func ("/rendezvous/invitations-survive-the-server",
                   test_invitations_survive_the_server);
  g_test_add_func ("/rendezvous/invitation-in-random-weather", test_invitation_in_random_weather);
  return g_test_run ();
}
