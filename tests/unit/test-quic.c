/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two QUIC links over a wire in memory. GnuTLS draws its own randomness, so outcomes are asserted and
 * never bytes or counts of packets. */

#include "tests/support/ph-test-quic.h"
#include "tests/support/ph-test-streams.h"
#include "tests/support/ph-test.h"

#define MIB (UINT64_C (1) << 20)

/* --- Coming up -------------------------------------------------------------------------------- */

static void
test_handshake (void)
{
  PhTestQuic t;
  PhLinkStats stats;

  ph_test_quic_init (&t, "handshake");
  const PhTime start = t.now;

  ph_test_quic_start (&t);
  g_assert_cmpint (ph_link_state (t.side[0].link), ==, PH_LINK_CONNECTING);
  g_assert_cmpint (ph_link_open_stream (t.side[0].link), ==, -1);
  g_assert_true (ph_test_quic_run (&t, PH_SEC, ph_test_quic_ready));
  g_assert_cmpint (ph_link_state (t.side[0].link), ==, PH_LINK_READY);
  g_assert_cmpint (ph_link_state (t.side[1].link), ==, PH_LINK_READY);
  /* Hello and HANDSHAKE_DONE come with the first flight that may carry them: two round trips. */
  g_assert_cmpuint (t.now - start, <=, 45 * PH_MSEC);

  ph_link_stats (t.side[0].link, &stats);
  g_assert_cmpuint (stats.rtt, >=, 20 * PH_MSEC);
  g_assert_cmpuint (stats.rtt, <=, 50 * PH_MSEC);
  g_assert_cmpuint (stats.bytes_sent, >, 1200);
  g_assert_cmpuint (stats.bytes_received, >, 1200);
  g_assert_cmpuint (stats.packets_lost, ==, 0);

  /* The hello streams are never shown. */
  g_assert_false (ph_test_quic_run (&t, 2 * PH_SEC, NULL));
  g_assert_cmpuint (t.side[0].n_opened + t.side[1].n_opened, ==, 0);
  ph_link_stats (t.side[0].link, &stats);
  g_assert_cmpuint (stats.datagram_size, ==, 1452);
  ph_test_quic_clear (&t);
}

static void
test_mtu (void)
{
  PhTestQuic t;
  PhLinkStats stats;

  ph_test_quic_init (&t, "mtu");
  t.wire.mtu = 1300;
  ph_test_quic_connect (&t);
  ph_test_quic_send_all (&t, 0, 4 * MIB);
  g_assert_true (ph_test_quic_run (&t, 60 * PH_SEC, ph_test_streams_any_fin));
  ph_link_stats (t.side[0].link, &stats);
  g_assert_cmpuint (stats.datagram_size, >=, 1200);
  g_assert_cmpuint (stats.datagram_size, <=, 1300);
  ph_test_quic_clear (&t);
}

static void
test_wrong_key_of_server (void)
{
  PhTestQuic t;

  ph_test_quic_init (&t, "wrong-server");
  t.config[0].peer_key[5] ^= 1;
  ph_test_quic_start (&t);
  g_assert_true (ph_test_quic_run (&t, 5 * PH_SEC, ph_test_quic_closed));
  for (unsigned i = 0; i < 2; i++) {
    g_assert_cmpint (t.side[i].closed.error, ==, PH_LINK_ERROR_IDENTITY);
    g_assert_cmpuint (t.side[i].n_ready, ==, 0);
    g_assert_cmpint (ph_link_state (t.side[i].link), ==, PH_LINK_CLOSED);
    g_assert_cmpuint (ph_link_next_timeout (t.side[i].link, NULL), ==, PH_NEVER);
  }
  ph_test_quic_clear (&t);
}

static void
test_wrong_key_of_client (void)
{
  PhTestQuic t;

  ph_test_quic_init (&t, "wrong-client");
  t.config[1].peer_key[31] ^= 0x80;
  ph_test_quic_start (&t);
  g_assert_true (ph_test_quic_run (&t, 5 * PH_SEC, ph_test_quic_closed));
  for (unsigned i = 0; i < 2; i++) {
    g_assert_cmpint (t.side[i].closed.error, ==, PH_LINK_ERROR_IDENTITY);
    g_assert_cmpuint (t.side[i].n_ready, ==, 0);
  }
  ph_test_quic_clear (&t);
}

static void
test_no_answer (void)
{
  PhTestQuic t;

  ph_test_quic_init (&t, "no-answer");
  t.cut = true;
  ph_test_quic_start (&t);
  g_assert_false (ph_test_quic_run (&t, 60 * PH_SEC, ph_test_quic_closed));
  g_assert_cmpuint (t.side[0].n_closed, ==, 1);
  g_assert_cmpint (t.side[0].closed.error, ==, PH_LINK_ERROR_TIMEOUT);
  g_assert_cmpuint (t.side[0].datagrams_out, <, 20);
  ph_test_quic_clear (&t);
}

/* --- Streams ---------------------------------------------------------------------------------- */

static void
test_both_ways (void)
{
  PhTestQuic t;

  ph_test_quic_init (&t, "both-ways");
  ph_test_quic_connect (&t);
  ph_test_quic_send_all (&t, 0, 40 * MIB + 12345);
  ph_test_quic_send_all (&t, 1, 30 * MIB + 1);
  g_assert_true (ph_test_quic_run (&t, 60 * PH_SEC, ph_test_streams_two_fins));
  g_assert_cmpuint (ph_test_quic_only_stream (&t.side[1])->bytes, ==, 40 * MIB + 12345);
  g_assert_cmpuint (ph_test_quic_only_stream (&t.side[0])->bytes, ==, 30 * MIB + 1);
  /* What came in one go is handed out in one piece, and what leaves in one go is one batch. */
  g_assert_cmpuint (t.side[1].slice_max, >, 60000);
  g_assert_cmpuint (t.side[0].batch_max, >, 60000);
  ph_test_quic_clear (&t);
}

/* Free bytes before every datagram, as a relay's headers need them: bulk, a line that loses and a close. */
static void
test_headroom (void)
{
  PhTestQuic t;

  ph_test_quic_init (&t, "headroom");
  t.headroom = 4;
  t.wire.loss = 20;
  ph_test_quic_connect (&t);
  ph_test_quic_send_all (&t, PH_TEST_CLIENT, 4 * MIB);
  g_assert_true (ph_test_quic_run (&t, 60 * PH_SEC, ph_test_streams_any_fin));
  g_assert_cmpuint (ph_test_quic_only_stream (&t.side[1])->bytes, ==, 4 * MIB);
  g_assert_cmpuint (t.side[0].batch_max, >, 4 * 1452);
  t.wire.loss = 0;
  ph_link_close (t.side[0].link, t.now, 0, "done");
  g_assert_true (ph_test_quic_run (&t, PH_SEC, ph_test_quic_closed));
  ph_test_quic_clear (&t);
}

static void
test_small_streams (void)
{
  PhTestQuic t;

  ph_test_quic_init (&t, "small-streams");
  t.wire.loss = 10;
  ph_test_streams_small (&t);
  ph_test_quic_clear (&t);
}

static void
test_fair (void)
{
  PhTestQuic t;

  ph_test_quic_init (&t, "fair");
  ph_test_streams_fair (&t);
  ph_test_quic_clear (&t);
}

static void
test_bad_wire (void)
{
  for (unsigned i = 0; i < 6; i++) {
    PhTestQuic t;
    g_autofree char *name = g_strdup_printf ("bad-wire-%u", i);
    PhLinkStats stats;

    ph_test_quic_init (&t, name);
    t.wire.loss = 30 * i;
    t.wire.duplicate = 50;
    t.wire.jitter = 7 * PH_MSEC;
    t.config[0].congestion = i % 2 == 0 ? PH_QUIC_BBR : PH_QUIC_CUBIC;
    t.config[0].handshake_timeout = t.config[1].handshake_timeout = 30 * PH_SEC;
    ph_test_quic_start (&t);
    g_assert_true (ph_test_quic_run (&t, 30 * PH_SEC, ph_test_quic_ready));
    ph_test_quic_send_all (&t, 0, MIB + 77);
    ph_test_quic_send_all (&t, 1, MIB / 2);
    g_assert_true (ph_test_quic_run (&t, 300 * PH_SEC, ph_test_streams_two_fins));
    g_assert_cmpuint (ph_test_quic_only_stream (&t.side[1])->bytes, ==, MIB + 77);
    g_assert_cmpuint (ph_test_quic_only_stream (&t.side[0])->bytes, ==, MIB / 2);
    ph_link_stats (t.side[0].link, &stats);
    if (i > 0)
      g_assert_cmpuint (stats.packets_lost, >, 0);
    ph_test_quic_clear (&t);
  }
}

/* 100 Mbit/s, 100 ms there and back, one in a hundred lost: where a sender that takes loss for congestion
 * falls below 5 Mbit/s. The window must grow beyond its first size, too, or 16 MiB took twice as long. */
static void
test_long_line (void)
{
  static const struct {
    unsigned loss;
    PhTime most;
  } cases[] = {{0, 5 * PH_SEC}, {10, 6 * PH_SEC}};

  for (unsigned i = 0; i < G_N_ELEMENTS (cases); i++) {
    PhTestQuic t;

    ph_test_quic_init (&t, "long-line");
    t.wire.delay = 50 * PH_MSEC;
    t.wire.rate = 12500000;
    t.wire.queue_max = 100 * PH_MSEC;
    t.wire.loss = cases[i].loss;
    t.config[1].stream_window = t.config[1].link_window = 256 * 1024;
    ph_test_quic_connect (&t);

    const PhTime start = t.now;

    ph_test_quic_send_all (&t, 0, 32 * MIB);
    g_assert_true (ph_test_quic_run (&t, 60 * PH_SEC, ph_test_streams_any_fin));
    g_test_message ("%u/1000 lost: %.1f Mbit/s", cases[i].loss,
                    32 * (double)MIB * 8e3 / (double)(t.now - start));
    g_assert_cmpuint (t.now - start, <=, cases[i].most);
    ph_test_quic_clear (&t);
  }
}

/* Keeps enough queued for the line to be full, for `span`. */
static void
stream_for (PhTestQuic *t, int64_t stream, uint64_t *sent, PhTime span)
{
  const PhTime end = t->now + span;

  while (t->now < end) {
    while (ph_link_stream_queued (t->side[0].link, stream) < 40 * MIB) {
      ph_test_quic_send (t->side[0].link, stream, *sent, MIB, false);
      *sent += MIB;
    }
    ph_test_quic_run (t, 10 * PH_MSEC, NULL);
  }
}

/* 1 Gbit/s, 100 ms there and back: the line is full after 3 s. The window has grown to several times its
 * first size by then, and the queue of the bottleneck has overflowed in between. */
static void
test_fat_line (void)
{
  PhTestQuic t;
  uint64_t sent = 0;

  ph_test_quic_init (&t, "fat-line");
  t.wire.delay = 50 * PH_MSEC;
  t.wire.rate = 125000000;
  t.wire.queue_max = 50 * PH_MSEC;
  ph_test_quic_connect (&t);

  const int64_t stream = ph_link_open_stream (t.side[0].link);

  stream_for (&t, stream, &sent, 3 * PH_SEC);

  const uint64_t before = t.side[1].bytes_in;

  stream_for (&t, stream, &sent, PH_SEC / 2);
  g_test_message ("%.1f MB/s of 125", (double)(t.side[1].bytes_in - before) * 2 / 1e6);
  g_assert_cmpuint (t.side[1].bytes_in - before, >=, 125000000 / 2 * 9 / 10);
  ph_test_quic_clear (&t);
}

static void
test_flow_control (void)
{
  PhTestQuic t;
  PhTestStream *stream;

  ph_test_quic_init (&t, "flow-control");
  t.config[1].stream_window = MIB;
  t.config[1].link_window = MIB + MIB / 2;
  ph_test_quic_connect (&t);
  t.side[1].hold = true;
  ph_test_quic_send_all (&t, 0, 8 * MIB);
  ph_test_quic_send_all (&t, 0, 8 * MIB);
  ph_test_quic_run (&t, 20 * PH_SEC, NULL);
  /* The hello's byte may count. */
  g_assert_cmpuint (t.side[1].bytes_in, <=, MIB + MIB / 2);
  g_assert_cmpuint (t.side[1].bytes_in, >=, MIB + MIB / 2 - 1);
  g_assert_cmpuint (t.side[1].n_closed, ==, 0);

  /* A mark below what is queued is told when it is crossed, once. */
  ph_link_set_low_marks (t.side[0].link, 6, 2 * MIB, 0);
  t.side[1].hold = false;
  GHashTableIter iter;
  void *value;

  g_hash_table_iter_init (&iter, t.side[1].streams);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    stream = value;
    g_assert_cmpuint (stream->unconsumed, <=, MIB);
    ph_link_consumed (t.side[1].link, stream->id, stream->unconsumed);
  }
  g_assert_true (ph_test_quic_run (&t, 60 * PH_SEC, ph_test_streams_two_fins));
  ph_test_quic_run (&t, PH_SEC, NULL);
  g_assert_cmpuint (t.side[1].bytes_in, ==, 16 * MIB);
  g_assert_cmpuint (t.side[0].n_drained, ==, 1);
  ph_test_quic_clear (&t);
}

static void
test_queued (void)
{
  PhTestQuic t;

  ph_test_quic_init (&t, "queued");
  ph_test_streams_queued (&t);
  ph_test_quic_clear (&t);
}

static bool
one_reset (PhTestQuic *t)
{
  return t->side[0].n_reset + t->side[1].n_reset > 0;
}

static void
test_unsent (void)
{
  PhTestQuic t;

  ph_test_quic_init (&t, "unsent");
  t.config[1].stream_window = PH_TEST_STREAMS_WINDOW;
  ph_test_streams_unsent (&t);
  ph_test_quic_clear (&t);
}

static void
test_reset (void)
{
  PhTestQuic t;

  ph_test_quic_init (&t, "reset");
  ph_test_quic_connect (&t);

  /* By the writer. */
  const int64_t a = ph_link_open_stream (t.side[0].link);

  ph_test_quic_send (t.side[0].link, a, 0, 100000, false);
  ph_test_quic_run (&t, 50 * PH_MSEC, NULL);
  ph_link_reset_stream (t.side[0].link, a, 77);
  g_assert_cmpuint (ph_link_stream_queued (t.side[0].link, a), ==, 0);
  g_assert_true (ph_test_quic_run (&t, PH_SEC, one_reset));
  g_assert_cmpuint (t.side[1].n_reset, ==, 1);
  g_assert_cmpuint (t.side[1].reset_code, ==, 77);

  /* By the reader: the writer is told. */
  const int64_t b = ph_link_open_stream (t.side[0].link);

  ph_test_quic_send (t.side[0].link, b, 0, 100, false);
  ph_test_quic_run (&t, 50 * PH_MSEC, NULL);
  t.side[1].n_reset = 0;
  ph_link_reset_stream (t.side[1].link, b, 78);
  g_assert_true (ph_test_quic_run (&t, PH_SEC, one_reset));
  g_assert_cmpuint (t.side[0].n_reset, ==, 1);
  g_assert_cmpuint (t.side[0].reset_code, ==, 78);
  g_assert_cmpuint (t.side[1].n_reset, ==, 0);
  ph_test_quic_send (t.side[0].link, b, 100, 100, false);
  g_assert_cmpuint (ph_link_stream_queued (t.side[0].link, b), ==, 0);
  ph_test_quic_clear (&t);
}

/* Streams given up in either direction, with data on its way, must not eat the link's window. */
static void
test_reset_returns_credit (void)
{
  PhTestQuic t;

  ph_test_quic_init (&t, "reset-credit");
  t.config[1].stream_window = 512 * 1024;
  t.config[1].link_window = MIB;
  t.config[1].window_max = MIB;
  ph_test_quic_connect (&t);
  t.side[1].hold = true;
  for (unsigned i = 0; i < 40; i++) {
    const int64_t stream = ph_link_open_stream (t.side[0].link);

    g_assert_cmpint (stream, >=, 0);
    ph_test_quic_send (t.side[0].link, stream, 0, MIB, false);
    ph_test_quic_run (&t, (12 + i * 7 % 60) * PH_MSEC, NULL);
    ph_link_reset_stream (t.side[i % 2].link, stream, 1);
    ph_test_quic_run (&t, 200 * PH_MSEC, NULL);

    /* What was handed out before is consumed after. */
    PhTestStream *seen = g_hash_table_lookup (t.side[1].streams, &stream);

    if (seen != NULL)
      ph_link_consumed (t.side[1].link, stream, seen->unconsumed);
  }
  g_assert_cmpuint (t.side[1].bytes_in, >, 2 * MIB);
  t.side[1].hold = false;
  ph_test_quic_send_all (&t, 0, 4 * MIB);
  g_assert_true (ph_test_quic_run (&t, 10 * PH_SEC, ph_test_streams_any_fin));
  ph_test_quic_clear (&t);
}

/* --- Ending ----------------------------------------------------------------------------------- */

static void
test_close (void)
{
  static const struct {
    uint64_t code;
    PhLinkError error;
  } cases[] = {{0, PH_LINK_ERROR_NONE}, {4711, PH_LINK_ERROR_APPLICATION}};

  for (unsigned i = 0; i < G_N_ELEMENTS (cases); i++) {
    for (unsigned closer = 0; closer < 2; closer++) {
      PhTestQuic t;

      ph_test_quic_init (&t, "close");
      ph_test_quic_connect (&t);
      ph_test_quic_send_all (&t, closer, 1000);
      ph_test_quic_run (&t, 5 * PH_MSEC, NULL); /* under way before the end is said */
      ph_link_close (t.side[closer].link, t.now, cases[i].code, "that\nis \x1b[1mall");
      ph_link_close (t.side[closer].link, t.now, 99, "ignored");
      g_assert_true (ph_test_quic_run (&t, PH_SEC, ph_test_quic_closed));
      for (unsigned side = 0; side < 2; side++) {
        g_assert_cmpint (t.side[side].closed.error, ==, cases[i].error);
        g_assert_cmpuint (t.side[side].closed.code, ==, cases[i].code);
        g_assert_cmpstr (t.side[side].closed.reason, ==, "that?is ?[1mall");
        g_assert_cmpint (ph_link_open_stream (t.side[side].link), ==, -1);
      }
      g_assert_cmpuint (t.side[!closer].bytes_in, ==, 1000);
      ph_test_quic_run (&t, PH_SEC, NULL);
      ph_test_quic_clear (&t);
    }
  }
}

static bool
lose_one (void *user, unsigned to, uint8_t *data, size_t len)
{
  unsigned *left = user;

  return *left == 0 || --*left > 0;
}

static void
test_close_lost (void)
{
  PhTestQuic t;
  unsigned lose = 1;

  ph_test_quic_init (&t, "close-lost");
  ph_test_quic_connect (&t);
  ph_test_quic_run (&t, PH_SEC, NULL);
  t.tap = lose_one;
  t.tap_user = &lose;
  ph_link_close (t.side[0].link, t.now, 0, NULL);
  g_assert_true (ph_test_quic_run (&t, PH_SEC, ph_test_quic_closed));
  g_assert_cmpuint (lose, ==, 0);
  ph_test_quic_clear (&t);
}

static void
test_close_before_ready (void)
{
  PhTestQuic t;

  ph_test_quic_init (&t, "close-early");
  ph_test_quic_start (&t);
  ph_link_close (t.side[0].link, t.now, 0, NULL);
  ph_test_quic_run (&t, PH_SEC, NULL);
  g_assert_cmpuint (t.side[0].n_closed, ==, 1);
  ph_test_quic_clear (&t);

  ph_test_quic_init (&t, "close-early");
  ph_test_quic_start (&t);
  ph_test_quic_run (&t, 15 * PH_MSEC, NULL);
  ph_link_close (t.side[0].link, t.now, 5, "changed my mind");
  g_assert_true (ph_test_quic_run (&t, PH_SEC, ph_test_quic_closed));
  g_assert_cmpuint (t.side[1].n_ready, ==, 0);
  ph_test_quic_clear (&t);
}

static void
test_idle (void)
{
  PhTestQuic t;

  /* Kept alive while the wire lives, whatever else happens; gone 20 s after it was cut. */
  ph_test_quic_init (&t, "idle");
  t.config[0].idle_timeout = t.config[1].idle_timeout = 20 * PH_SEC;
  ph_test_quic_connect (&t);
  ph_test_quic_run (&t, 300 * PH_SEC, NULL);
  g_assert_cmpuint (t.side[0].n_closed + t.side[1].n_closed, ==, 0);
  g_assert_cmpuint (t.side[0].datagrams_out, <, 100);
  t.cut = true;
  g_assert_true (ph_test_quic_run (&t, 45 * PH_SEC, ph_test_quic_closed));
  g_assert_cmpint (t.side[0].closed.error, ==, PH_LINK_ERROR_TIMEOUT);
  g_assert_cmpint (t.side[1].closed.error, ==, PH_LINK_ERROR_TIMEOUT);
  ph_test_quic_clear (&t);
}

static bool
any_closed (PhTestQuic *t)
{
  return t->side[0].n_closed + t->side[1].n_closed > 0;
}

/* The path becomes one that swallows large packets in the middle of a transfer: the link does not hang. */
static void
test_black_hole (void)
{
  PhTestQuic t;

  ph_test_quic_init (&t, "black-hole");
  t.wire.rate = 4000000;
  t.wire.queue_max = 100 * PH_MSEC;
  ph_test_quic_connect (&t);
  ph_test_quic_send_all (&t, 0, 16 * MIB);
  ph_test_quic_run (&t, 300 * PH_MSEC, NULL);
  g_assert_cmpuint (t.side[1].bytes_in, >, 0);
  g_assert_cmpuint (t.side[1].n_fin, ==, 0);
  t.wire.mtu = 1250;
  g_assert_true (ph_test_quic_run (&t, 25 * PH_SEC, ph_test_quic_closed));
  g_assert_cmpint (t.side[0].closed.error, ==, PH_LINK_ERROR_TIMEOUT);
  g_assert_cmpint (t.side[1].closed.error, ==, PH_LINK_ERROR_TIMEOUT);
  g_assert_cmpuint (t.side[1].n_fin, ==, 0);
  ph_test_quic_clear (&t);
}

/* A reader that takes nothing, or a wire that is dead for a while, is no such path. */
static void
test_no_black_hole (void)
{
  PhTestQuic t;

  ph_test_quic_init (&t, "slow-reader");
  ph_test_quic_connect (&t);
  t.side[1].hold = true;
  ph_test_quic_send_all (&t, 0, 16 * MIB);
  g_assert_false (ph_test_quic_run (&t, 100 * PH_SEC, any_closed));
  ph_test_quic_clear (&t);

  ph_test_quic_init (&t, "outage");
  t.wire.rate = 40000000;
  t.wire.queue_max = 100 * PH_MSEC;
  ph_test_quic_connect (&t);
  ph_test_quic_send_all (&t, 0, 64 * MIB);
  ph_test_quic_send_all (&t, 1, 64 * MIB);
  ph_test_quic_run (&t, 300 * PH_MSEC, NULL);
  g_assert_cmpuint (t.side[0].n_fin + t.side[1].n_fin, ==, 0);
  t.cut = true;
  ph_test_quic_run (&t, 7 * PH_SEC, NULL);
  t.cut = false;
  g_assert_true (ph_test_quic_run (&t, 100 * PH_SEC, ph_test_streams_two_fins));
  ph_test_quic_clear (&t);
}

/* An hour passes at once. */
static void
test_suspend (void)
{
  PhTestQuic t;

  ph_test_quic_init (&t, "suspend");
  ph_test_quic_connect (&t);
  ph_test_quic_run (&t, PH_SEC, NULL);
  t.now += 3600 * PH_SEC;
  for (unsigned i = 0; i < 2; i++) {
    g_assert_cmpuint (ph_link_next_timeout (t.side[i].link, NULL), <, t.now);
    ph_link_handle_timeout (t.side[i].link, t.now);
  }
  ph_test_quic_run (&t, PH_SEC, NULL);
  g_assert_true (ph_test_quic_closed (&t));
  g_assert_cmpint (t.side[0].closed.error, ==, PH_LINK_ERROR_TIMEOUT);
  ph_test_quic_clear (&t);
}

/* --- Strangers -------------------------------------------------------------------------------- */

static void throw (PhTestQuic * t, unsigned to, const uint8_t *data, size_t len)
{
  const PhDatagram in = {.bytes = ph_slice (data, len)};

  ph_link_handle_packet (t->side[to].link, t->now, &in);
  ph_test_quic_settle (t);
}

static void
test_garbage (void)
{
  PhTestQuic t;
  uint8_t junk[1500];

  ph_test_quic_init (&t, "garbage");
  ph_test_quic_connect (&t);
  for (unsigned i = 0; i < 2000; i++) {
    const size_t len = ph_random_below (&t.random, sizeof junk) + 1;

    ph_random_bytes (&t.random, junk, len);
    if (i % 2 == 0)
      junk[0] |= 0x40;
    throw (&t, i % 2, junk, len);
  }
  g_assert_cmpuint (t.side[0].n_closed + t.side[1].n_closed, ==, 0);
  ph_test_quic_send_all (&t, 0, MIB);
  g_assert_true (ph_test_quic_run (&t, 5 * PH_SEC, ph_test_streams_any_fin));
  ph_test_quic_clear (&t);
}

static bool
spoil_one (void *user, unsigned to, uint8_t *data, size_t len)
{
  unsigned *count = user;

  if (++*count % 5 == 0)
    data[len - 1 - *count % len] ^= 0x10;
  return true;
}

/* Every fifth datagram has a bit wrong: as good as lost, no more. */
static void
test_spoilt (void)
{
  PhTestQuic t;
  unsigned count = 0;

  ph_test_quic_init (&t, "spoilt");
  t.tap = spoil_one;
  t.tap_user = &count;
  ph_test_quic_start (&t);
  g_assert_true (ph_test_quic_run (&t, 10 * PH_SEC, ph_test_quic_ready));
  ph_test_quic_send_all (&t, 0, 300000);
  g_assert_true (ph_test_quic_run (&t, 60 * PH_SEC, ph_test_streams_any_fin));
  g_assert_cmpuint (t.side[1].bytes_in, ==, 300000);
  ph_test_quic_clear (&t);
}

static bool
keep_first (void *user, unsigned to, uint8_t *data, size_t len)
{
  GByteArray *first = user;

  if (first->len == 0)
    g_byte_array_append (first, data, (unsigned)len);
  return true;
}

static void
test_initial (void)
{
  PhTestQuic t;
  g_autoptr (GByteArray) first = g_byte_array_new ();
  PhSlice dcid;
  PhSlice scid;

  ph_test_quic_init (&t, "initial");
  t.tap = keep_first;
  t.tap_user = first;
  ph_test_quic_start (&t);
  ph_test_quic_settle (&t);

  const PhSlice whole = ph_slice (first->data, first->len);

  g_assert_true (ph_quic_is_initial (whole, &dcid, &scid));
  g_assert_cmpuint (dcid.len, >=, 8);
  g_assert_cmpuint (scid.len, ==, 8);
  g_assert_false (ph_quic_link_owns (t.side[0].link, whole));

  /* A server made from it answers to the id in it; one from its beginning is never made. */
  PhQuicConfig config = t.config[1];

  for (size_t len = 0; len < whole.len; len += len < 64 ? 1 : 97) {
    config.initial = ph_slice (whole.data, len);
    g_autoptr (PhLink) none = ph_quic_link_new (&config, t.now);

    g_assert_null (none);
    g_assert_false (ph_quic_is_initial (config.initial, &dcid, &scid) && len < 1200);
  }
  config.initial = whole;
  g_autoptr (PhLink) server = ph_quic_link_new (&config, t.now);

  g_assert_nonnull (server);
  g_assert_true (ph_quic_link_owns (server, whole));

  /* Another version is nobody's. */
  g_autofree uint8_t *other = g_memdup2 (whole.data, whole.len);

  other[4] ^= 0x7f;
  g_assert_false (ph_quic_is_initial (ph_slice (other, whole.len), &dcid, &scid));
  g_assert_false (ph_quic_link_owns (server, ph_slice (other, whole.len)));
  ph_test_quic_clear (&t);
}

typedef struct {
  PhTestQuic *t;
  unsigned owned;
  unsigned foreign;
} Owns;

static bool
check_owner (void *user, unsigned to, uint8_t *data, size_t len)
{
  Owns *owns = user;
  const PhSlice datagram = ph_slice (data, len);

  if (owns->t->side[to].link != NULL && ph_quic_link_owns (owns->t->side[to].link, datagram))
    owns->owned++;
  if (ph_quic_link_owns (owns->t->side[!to].link, datagram))
    owns->foreign++;
  return true;
}

static void
test_owns (void)
{
  PhTestQuic t;
  Owns owns = {&t, 0, 0};

  ph_test_quic_init (&t, "owns");
  t.tap = check_owner;
  t.tap_user = &owns;
  ph_test_quic_connect (&t);
  ph_test_quic_send_all (&t, 0, MIB);
  g_assert_true (ph_test_quic_run (&t, 5 * PH_SEC, ph_test_streams_any_fin));
  g_assert_cmpuint (owns.foreign, ==, 0);
  /* All but the first, which the server was made from. */
  g_assert_cmpuint (owns.owned + 2, >=, t.side[0].datagrams_out + t.side[1].datagrams_out);
  ph_test_quic_clear (&t);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/quic/handshake", test_handshake);
  g_test_add_func ("/quic/mtu", test_mtu);
  g_test_add_func ("/quic/wrong-key-of-server", test_wrong_key_of_server);
  g_test_add_func ("/quic/wrong-key-of-client", test_wrong_key_of_client);
  g_test_add_func ("/quic/no-answer", test_no_answer);
  g_test_add_func ("/quic/both-ways", test_both_ways);
  g_test_add_func ("/quic/headroom", test_headroom);
  g_test_add_func ("/quic/small-streams", test_small_streams);
  g_test_add_func ("/quic/fair", test_fair);
  g_test_add_func ("/quic/bad-wire", test_bad_wire);
  g_test_add_func ("/quic/long-line", test_long_line);
  g_test_add_func ("/quic/fat-line", test_fat_line);
  g_test_add_func ("/quic/flow-control", test_flow_control);
  g_test_add_func ("/quic/queued", test_queued);
  g_test_add_func ("/quic/unsent", test_unsent);
  g_test_add_func ("/quic/reset", test_reset);
  g_test_add_func ("/quic/reset-returns-credit", test_reset_returns_credit);
  g_test_add_func ("/quic/close", test_close);
  g_test_add_func ("/quic/close-lost", test_close_lost);
  g_test_add_func ("/quic/close-before-ready", test_close_before_ready);
  g_test_add_func ("/quic/idle", test_idle);
  g_test_add_func ("/quic/black-hole", test_black_hole);
  g_test_add_func ("/quic/no-black-hole", test_no_black_hole);
  g_test_add_func ("/quic/suspend", test_suspend);
  g_test_add_func ("/quic/garbage", test_garbage);
  g_test_add_func ("/quic/spoilt", test_spoilt);
  g_test_add_func ("/quic/initial", test_initial);
  g_test_add_func ("/quic/owns", test_owns);
  return g_test_run ();
}
