/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two TLS links over a stream in memory, and one link with a peer that lies. */

#include "tests/support/ph-test-quic.h"
#include "tests/support/ph-test-streams.h"
#include "tests/support/ph-test-tls-liar.h"
#include "tests/support/ph-test.h"

#define MIB (UINT64_C (1) << 20)

/* --- Coming up ---------------------------------------------------------------------------------- */

static void
test_handshake (void)
{
  PhTestQuic t;
  PhLinkStats stats;

  ph_test_tls_init (&t, "handshake");
  const PhTime start = t.now;

  ph_test_quic_start (&t);
  g_assert_true (ph_link_is_tls (t.side[0].link));
  g_assert_cmpint (ph_link_state (t.side[0].link), ==, PH_LINK_CONNECTING);
  g_assert_cmpint (ph_link_open_stream (t.side[0].link), ==, -1);
  g_assert_true (ph_test_quic_run (&t, PH_SEC, ph_test_quic_ready));
  g_assert_cmpuint (t.now - start, ==, 40 * PH_MSEC); /* two round trips */

  ph_test_quic_run (&t, PH_SEC, NULL);
  for (unsigned i = 0; i < 2; i++) {
    ph_link_stats (t.side[i].link, &stats);
    g_assert_cmpuint (stats.rtt, >=, 20 * PH_MSEC);
    g_assert_cmpuint (stats.rtt, <=, 45 * PH_MSEC);
    g_assert_cmpuint (stats.bytes_sent, >, 500);
    g_assert_cmpuint (stats.bytes_received, >, 500);
    g_assert_cmpuint (stats.datagram_size, ==, 0);
  }
  g_assert_cmpuint (t.side[0].n_opened + t.side[1].n_opened, ==, 0);
  ph_test_quic_clear (&t);
}

static void
test_wrong_key (void)
{
  for (unsigned wrong = 0; wrong < 2; wrong++) {
    PhTestQuic t;

    ph_test_tls_init (&t, "wrong-key");
    t.tls_config[wrong].peer_key[5] ^= 1;
    ph_test_quic_start (&t);
    g_assert_true (ph_test_quic_run (&t, 5 * PH_SEC, ph_test_quic_closed));
    for (unsigned i = 0; i < 2; i++) {
      g_assert_cmpint (t.side[i].closed.error, ==, PH_LINK_ERROR_IDENTITY);
      g_assert_cmpuint (t.side[i].n_ready, ==, 0);
      g_assert_cmpuint (ph_link_next_timeout (t.side[i].link, NULL), ==, PH_NEVER);
    }
    ph_test_quic_clear (&t);
  }
}

static void
test_no_answer (void)
{
  PhTestQuic t;

  ph_test_tls_init (&t, "no-answer");
  t.cut = true;
  ph_test_quic_start (&t);
  const PhTime start = t.now;

  g_assert_true (ph_test_quic_run (&t, 60 * PH_SEC, ph_test_quic_closed));
  g_assert_cmpuint (t.now - start, ==, 10 * PH_SEC);
  g_assert_cmpint (t.side[0].closed.error, ==, PH_LINK_ERROR_TIMEOUT);
  ph_test_quic_clear (&t);
}

static void
test_nonsense (void)
{
  PhTestQuic t;
  static const uint8_t http[] = "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n";
  const PhDatagram in = {.bytes = ph_slice (http, sizeof http - 1)};

  ph_test_tls_init (&t, "nonsense");
  ph_test_quic_start (&t);
  ph_link_handle_packet (t.side[1].link, t.now, &in);
  ph_test_quic_settle (&t);
  g_assert_cmpuint (t.side[1].n_closed, ==, 1);
  g_assert_cmpint (t.side[1].closed.error, ==, PH_LINK_ERROR_PROTOCOL);
  ph_test_quic_clear (&t);
}

/* --- Streams ------------------------------------------------------------------------------------ */

static void
both_ways (size_t piece_max, uint8_t headroom)
{
  PhTestQuic t;

  ph_test_tls_init (&t, "both-ways");
  t.piece_max = piece_max;
  t.headroom = headroom;
  ph_test_quic_connect (&t);
  ph_test_quic_send_all (&t, 0, 5 * MIB + 77);
  ph_test_quic_send_all (&t, 1, MIB);
  g_assert_true (ph_test_quic_run (&t, 60 * PH_SEC, ph_test_streams_two_fins));
  g_assert_cmpuint (ph_test_quic_only_stream (&t.side[1])->bytes, ==, 5 * MIB + 77);
  g_assert_cmpuint (ph_test_quic_only_stream (&t.side[0])->bytes, ==, MIB);
  g_assert_cmpuint (t.side[0].batch_max, >, 60000);
  g_assert_cmpuint (t.side[1].slice_max, >=, piece_max == 0 ? 60000 : 1);
  ph_test_quic_clear (&t);
}

static void
test_both_ways (void)
{
  both_ways (0, 0);
  both_ways (0, 2);
}

/* However the stream is cut. */
static void
test_pieces (void)
{
  both_ways (20000, 0);
  both_ways (1000, 0);
}

static void
test_small_streams (void)
{
  PhTestQuic t;

  ph_test_tls_init (&t, "small-streams");
  ph_test_streams_small (&t);
  ph_test_quic_clear (&t);
}

static void
test_fair (void)
{
  PhTestQuic t;

  ph_test_tls_init (&t, "fair");
  ph_test_streams_fair (&t);
  ph_test_quic_clear (&t);
}

static void
test_flow_control (void)
{
  PhTestQuic t;
  GHashTableIter iter;
  void *value;

  ph_test_tls_init (&t, "flow-control");
  t.tls_config[1].stream_window = MIB;
  t.tls_config[1].link_window = MIB + MIB / 2;
  ph_test_quic_connect (&t);
  t.side[1].hold = true;
  ph_test_quic_send_all (&t, 0, 8 * MIB);
  ph_test_quic_send_all (&t, 0, 8 * MIB);
  ph_test_quic_run (&t, 20 * PH_SEC, NULL);
  g_assert_cmpuint (t.side[1].bytes_in, ==, MIB + MIB / 2);
  g_assert_cmpuint (t.side[1].n_closed, ==, 0);

  t.side[1].hold = false;
  g_hash_table_iter_init (&iter, t.side[1].streams);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    const PhTestStream *stream = value;

    g_assert_cmpuint (stream->unconsumed, <=, MIB);
    ph_link_consumed (t.side[1].link, stream->id, stream->unconsumed);
  }
  g_assert_true (ph_test_quic_run (&t, 60 * PH_SEC, ph_test_streams_two_fins));
  g_assert_cmpuint (t.side[1].bytes_in, ==, 16 * MIB);
  ph_test_quic_clear (&t);
}

/* 1 Gbit/s, 100 ms there and back: the window must grow to fill the line. */
static void
test_fat_line (void)
{
  PhTestQuic t;

  ph_test_tls_init (&t, "fat-line");
  t.wire.delay = 50 * PH_MSEC;
  t.wire.rate = 125000000;
  t.flying_max = 32 * MIB;
  t.tls_config[1].stream_window = t.tls_config[1].link_window = MIB;
  ph_test_quic_connect (&t);

  const PhTime start = t.now;

  ph_test_quic_send_all (&t, 0, 256 * MIB);
  g_assert_true (ph_test_quic_run (&t, 60 * PH_SEC, ph_test_streams_any_fin));
  g_test_message ("%.1f MB/s of 125", 256 * (double)MIB * 1e3 / (double)(t.now - start));
  g_assert_cmpuint (t.now - start, <=, 4 * PH_SEC); /* 2.15 s on a full line */
  ph_test_quic_clear (&t);
}

static void
test_queued (void)
{
  PhTestQuic t;

  ph_test_tls_init (&t, "queued");
  ph_test_streams_queued (&t);
  ph_test_quic_clear (&t);
}

static void
test_unsent (void)
{
  PhTestQuic t;

  ph_test_tls_init (&t, "unsent");
  t.tls_config[1].stream_window = PH_TEST_STREAMS_WINDOW;
  ph_test_streams_unsent (&t);
  ph_test_quic_clear (&t);
}

static void
test_reset (void)
{
  PhTestQuic t;
  int64_t a, b, c;

  ph_test_tls_init (&t, "reset");
  t.tls_config[1].stream_window = 50000;
  ph_test_quic_connect (&t);

  /* The writer gives up, in the middle of what flow control held back, and before it has said a thing. */
  a = ph_link_open_stream (t.side[0].link);
  t.side[1].hold = true;
  ph_test_quic_send (t.side[0].link, a, 0, 100000, false);
  ph_test_quic_run (&t, 50 * PH_MSEC, NULL);
  ph_link_reset_stream (t.side[0].link, a, 77);
  ph_test_quic_run (&t, 50 * PH_MSEC, NULL);
  g_assert_cmpuint (t.side[1].n_reset, ==, 1);
  g_assert_cmpuint (t.side[1].reset_code, ==, 77);
  g_assert_cmpuint (ph_link_stream_queued (t.side[0].link, a), ==, 0);
  b = ph_link_open_stream (t.side[0].link);
  ph_link_reset_stream (t.side[0].link, b, 78);
  ph_test_quic_run (&t, 50 * PH_MSEC, NULL);
  g_assert_cmpuint (t.side[1].n_reset, ==, 2);

  /* The reader does. */
  t.side[1].hold = false;
  c = ph_link_open_stream (t.side[0].link);
  ph_test_quic_send (t.side[0].link, c, 0, 100, false);
  ph_test_quic_run (&t, 50 * PH_MSEC, NULL);
  ph_link_reset_stream (t.side[1].link, c + 1,
                        99); /* the same stream, as the other side calls it */
  ph_test_quic_run (&t, 50 * PH_MSEC, NULL);
  g_assert_cmpuint (t.side[0].n_reset, ==, 1);
  g_assert_cmpuint (t.side[0].reset_code, ==, 99);
  ph_test_quic_send (t.side[0].link, c, 100, 100, false); /* to nobody */
  ph_test_quic_run (&t, 50 * PH_MSEC, NULL);
  g_assert_cmpuint (t.side[0].n_closed + t.side[1].n_closed, ==, 0);
  ph_test_quic_clear (&t);
}

/* What is dropped gives its credit back: else the link would run dry. Streams are given up by either side
 * while their bytes fly. */
static void
test_reset_returns_credit (void)
{
  PhTestQuic t;

  ph_test_tls_init (&t, "reset-credit");
  t.tls_config[1].link_window = MIB;
  t.piece_max = 50000;
  ph_test_quic_connect (&t);
  for (unsigned i = 0; i < 300; i++) {
    const int64_t stream = ph_link_open_stream (t.side[0].link);

    g_assert_cmpint (stream, >=, 0);
    ph_test_quic_send (t.side[0].link, stream, 0, 100000, i % 3 == 0);
    ph_test_quic_run (&t, 15 * PH_MSEC, NULL);
    ph_link_reset_stream (t.side[i % 2].link, i % 2 == 0 ? stream : stream + 1, 1);
    ph_test_quic_run (&t, 45 * PH_MSEC, NULL);
  }
  ph_test_quic_send_all (&t, 0, 4 * MIB);

  const unsigned before = t.side[1].n_fin;

  while (t.side[1].n_fin == before && t.now < 1200 * PH_SEC)
    ph_test_quic_run (&t, PH_SEC, NULL);
  g_assert_cmpuint (t.side[1].n_fin, ==, before + 1);
  ph_test_quic_clear (&t);
}

/* --- The end ------------------------------------------------------------------------------------ */

static void
test_close (void)
{
  static const struct {
    uint64_t code;
    PhLinkError error;
  } cases[] = {{0, PH_LINK_ERROR_NONE}, {42, PH_LINK_ERROR_APPLICATION}};

  for (unsigned i = 0; i < G_N_ELEMENTS (cases); i++) {
    PhTestQuic t;

    ph_test_tls_init (&t, "close");
    ph_test_quic_connect (&t);
    ph_test_quic_send_all (&t, 0, MIB);
    ph_test_quic_settle (&t); /* a frame is under way */
    ph_link_close (t.side[0].link, t.now, cases[i].code, "over\n");
    ph_link_close (t.side[0].link, t.now, 7, "twice");
    g_assert_true (ph_test_quic_run (&t, PH_SEC, ph_test_quic_closed));
    for (unsigned s = 0; s < 2; s++) {
      g_assert_cmpint (t.side[s].closed.error, ==, cases[i].error);
      g_assert_cmpuint (t.side[s].closed.code, ==, cases[i].code);
      g_assert_cmpstr (t.side[s].closed.reason, ==, "over?");
      g_assert_cmpuint (ph_link_next_timeout (t.side[s].link, NULL), ==, PH_NEVER);
    }
    ph_test_quic_clear (&t);
  }
}

static void
test_close_before_ready (void)
{
  PhTestQuic t;

  ph_test_tls_init (&t, "close-early");
  ph_test_quic_start (&t);
  ph_link_close (t.side[0].link, t.now, 0, "never mind");
  ph_test_quic_settle (&t);
  g_assert_cmpuint (t.side[0].n_closed, ==, 1);
  ph_link_close (t.side[1].link, t.now, 3, NULL);
  ph_test_quic_settle (&t);
  g_assert_cmpuint (t.side[1].n_closed, ==, 1);
  ph_test_quic_clear (&t);
}

static void
test_hang_up (void)
{
  PhTestQuic t;

  ph_test_tls_init (&t, "hang-up");
  ph_test_quic_connect (&t);
  ph_tls_link_hang_up (t.side[0].link, t.now);
  ph_tls_link_hang_up (t.side[0].link, t.now);
  ph_link_close (t.side[1].link, t.now, 5, "too late");
  ph_tls_link_hang_up (t.side[1].link, t.now);
  ph_test_quic_settle (&t);
  g_assert_cmpuint (t.side[0].n_closed, ==, 1);
  g_assert_cmpint (t.side[0].closed.error, ==, PH_LINK_ERROR_TIMEOUT);
  g_assert_cmpint (t.side[1].closed.error, ==, PH_LINK_ERROR_APPLICATION);
  ph_test_quic_clear (&t);
}

static void
test_idle (void)
{
  PhTestQuic t;

  ph_test_tls_init (&t, "idle");
  ph_test_quic_connect (&t);
  ph_test_quic_run (&t, 300 * PH_SEC, NULL);
  g_assert_cmpuint (t.side[0].n_closed, ==, 0);
  g_assert_cmpuint (t.side[0].datagrams_out, <, 100); /* signs of life */

  t.cut = true;
  const PhTime start = t.now;

  g_assert_true (ph_test_quic_run (&t, 60 * PH_SEC, ph_test_quic_closed));
  g_assert_cmpuint (t.now - start, <=, 31 * PH_SEC);
  g_assert_cmpint (t.side[0].closed.error, ==, PH_LINK_ERROR_TIMEOUT);
  ph_test_quic_clear (&t);
}

static bool
spoil (void *user, unsigned to, uint8_t *data, size_t len)
{
  data[len / 2] ^= 1;
  return true;
}

static void
test_spoilt (void)
{
  PhTestQuic t;

  ph_test_tls_init (&t, "spoilt");
  ph_test_quic_connect (&t);
  t.tap = spoil;
  ph_test_quic_send_all (&t, 0, 100);
  ph_test_quic_run (&t, PH_SEC, NULL);
  g_assert_cmpuint (t.side[1].n_closed, ==, 1);
  g_assert_cmpint (t.side[1].closed.error, ==, PH_LINK_ERROR_PROTOCOL);
  g_assert_cmpuint (t.side[1].bytes_in, ==, 0);
  ph_test_quic_clear (&t);
}

/* --- A peer that lies --------------------------------------------------------------------------- */

typedef void (*Lie) (PhTestTlsLiar *liar);

static void
lie_data_before_hello (PhTestTlsLiar *liar)
{
  ph_test_tls_liar_say_data (liar, 0, 10, 10, false);
}

static void
lie_ping_before_hello (PhTestTlsLiar *liar)
{
  ph_test_tls_liar_say_frame (liar, PH_TLS_FRAME_PING, 0, false, (PhTlsFrameBody){0});
}

static void
lie_hello_twice (PhTestTlsLiar *liar)
{
  ph_test_tls_liar_say_hello (liar);
  ph_test_tls_liar_say_hello (liar);
}

static void
lie_stream_too_many (PhTestTlsLiar *liar)
{
  ph_test_tls_liar_say_hello (liar);
  ph_test_tls_liar_say_data (liar, 64, 10, 10, false);
}

static void
lie_reset_too_many (PhTestTlsLiar *liar)
{
  ph_test_tls_liar_say_hello (liar);
  ph_test_tls_liar_say_frame (liar, PH_TLS_FRAME_RESET, G_MAXUINT32, false, (PhTlsFrameBody){0});
}

static void
lie_after_fin (PhTestTlsLiar *liar)
{
  ph_test_tls_liar_say_hello (liar);
  ph_test_tls_liar_say_data (liar, 0, 10, 10, true);
  ph_test_tls_liar_say_data (liar, 0, 10, 10, false);
}

/* Nobody consumes: the stream's window is 4 MiB. */
static void
lie_more_than_stream_window (PhTestTlsLiar *liar)
{
  ph_test_tls_liar_say_hello (liar);
  for (unsigned i = 0; i < 66; i++)
    ph_test_tls_liar_say_data (liar, 0, PH_TLS_DATA_MAX, PH_TLS_DATA_MAX, false);
}

static void
lie_more_than_link_window (PhTestTlsLiar *liar)
{
  ph_test_tls_liar_say_hello (liar);
  for (unsigned i = 0; i < 132; i++)
    ph_test_tls_liar_say_data (liar, i % 4, PH_TLS_DATA_MAX, PH_TLS_DATA_MAX, false);
}

static void
lie_too_long (PhTestTlsLiar *liar)
{
  ph_test_tls_liar_say_hello (liar);
  ph_test_tls_liar_say_data (liar, 0, PH_TLS_DATA_MAX + 1, 10, false);
}

static void
lie_unknown_frame (PhTestTlsLiar *liar)
{
  static const uint8_t unknown[PH_TLS_FRAME_HEADER_LEN] = {99};

  ph_test_tls_liar_say_hello (liar);
  ph_test_tls_liar_say (liar, ph_slice (unknown, sizeof unknown));
}

static void
lie_credit_of_nothing (PhTestTlsLiar *liar)
{
  ph_test_tls_liar_say_hello (liar);
  ph_test_tls_liar_say_frame (liar, PH_TLS_FRAME_CREDIT, 0, false, (PhTlsFrameBody){.limit = 1});
}

static void
lie_more_arrived (PhTestTlsLiar *liar)
{
  ph_test_tls_liar_say_hello (liar);
  g_assert_cmpint (ph_link_open_stream (liar->link), >=, 0);
  ph_test_tls_liar_say_frame (liar, PH_TLS_FRAME_CREDIT, 0, false, (PhTlsFrameBody){.arrived = 1});
}

static void
test_lies (void)
{
  static const Lie lies[] = {
      lie_data_before_hello,       lie_ping_before_hello,     lie_hello_twice,
      lie_stream_too_many,         lie_reset_too_many,        lie_after_fin,
      lie_more_than_stream_window, lie_more_than_link_window, lie_too_long,
      lie_unknown_frame,           lie_credit_of_nothing,     lie_more_arrived,
  };

  for (size_t i = 0; i < G_N_ELEMENTS (lies); i++) {
    PhTestTlsLiar liar;

    g_test_message ("lie %zu", i);
    ph_test_tls_liar_init (&liar);
    lies[i](&liar);
    g_assert_cmpint (liar.closed.type, ==, PH_LINK_EVENT_CLOSED);
    g_assert_cmpint (liar.closed.error, ==, PH_LINK_ERROR_PROTOCOL);
    g_assert_cmpuint (liar.held, <=, 8 * MIB);
    ph_test_tls_liar_clear (&liar);
  }
}

/* What sounds odd and is allowed: of streams that are over on this side already. */
static void
test_no_lies (void)
{
  PhTestTlsLiar liar;

  ph_test_tls_liar_init (&liar);
  ph_test_tls_liar_say_hello (&liar);
  g_assert_true (liar.ready);
  ph_test_tls_liar_say_data (&liar, 5, 10, 10, true); /* opens those before it */
  ph_test_tls_liar_say_frame (&liar, PH_TLS_FRAME_RESET, 5, false, (PhTlsFrameBody){0});
  ph_test_tls_liar_say_frame (&liar, PH_TLS_FRAME_RESET, 5, false, (PhTlsFrameBody){0});
  ph_test_tls_liar_say_data (&liar, 0, 0, 0, true);
  for (unsigned i = 0; i < 100; i++)
    ph_test_tls_liar_say_frame (&liar, PH_TLS_FRAME_PING, 0, false, (PhTlsFrameBody){.token = i});
  g_assert_cmpint (ph_link_state (liar.link), ==, PH_LINK_READY);
  ph_test_tls_liar_clear (&liar);
}

/* A peer that takes nothing and asks much: what waits for it stays bounded. */
static void
test_deaf (void)
{
  PhTestTlsLiar liar;

  ph_test_tls_liar_init (&liar);
  ph_test_tls_liar_say_frame (&liar, PH_TLS_FRAME_HELLO, 0, false,
                              (PhTlsFrameBody){.limit = 1000, .stream_limit = 10, .streams = 3});
  for (unsigned i = 0; i < 3; i++)
    ph_test_quic_send (liar.link, ph_link_open_stream (liar.link), 0, 5000, true);
  g_assert_cmpint (ph_link_open_stream (liar.link), ==, -1);
  ph_test_tls_liar_say_frame (&liar, PH_TLS_FRAME_PING, 0, false, (PhTlsFrameBody){0});
  g_assert_cmpuint (liar.heard, <, 400);
  ph_test_tls_liar_clear (&liar);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/tls/handshake", test_handshake);
  g_test_add_func ("/tls/wrong-key", test_wrong_key);
  g_test_add_func ("/tls/no-answer", test_no_answer);
  g_test_add_func ("/tls/nonsense", test_nonsense);
  g_test_add_func ("/tls/both-ways", test_both_ways);
  g_test_add_func ("/tls/pieces", test_pieces);
  g_test_add_func ("/tls/small-streams", test_small_streams);
  g_test_add_func ("/tls/fair", test_fair);
  g_test_add_func ("/tls/flow-control", test_flow_control);
  g_test_add_func ("/tls/fat-line", test_fat_line);
  g_test_add_func ("/tls/queued", test_queued);
  g_test_add_func ("/tls/unsent", test_unsent);
  g_test_add_func ("/tls/reset", test_reset);
  g_test_add_func ("/tls/reset-returns-credit", test_reset_returns_credit);
  g_test_add_func ("/tls/close", test_close);
  g_test_add_func ("/tls/close-before-ready", test_close_before_ready);
  g_test_add_func ("/tls/hang-up", test_hang_up);
  g_test_add_func ("/tls/idle", test_idle);
  g_test_add_func ("/tls/spoilt", test_spoilt);
  g_test_add_func ("/tls/lies", test_lies);
  g_test_add_func ("/tls/no-lies", test_no_lies);
  g_test_add_func ("/tls/deaf", test_deaf);
  return g_test_run ();
}
