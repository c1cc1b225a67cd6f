/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "tests/support/ph-test-streams.h"

#define MIB (UINT64_C (1) << 20)

bool
ph_test_streams_any_fin (PhTestQuic *t)
{
  return t->side[0].n_fin + t->side[1].n_fin > 0;
}

bool
ph_test_streams_two_fins (PhTestQuic *t)
{
  return t->side[0].n_fin + t->side[1].n_fin == 2;
}

void
ph_test_streams_small (PhTestQuic *t)
{
  unsigned sent = 0;

  ph_test_quic_connect (t);
  while (t->side[1].n_fin < 500) {
    int64_t stream;

    /* The peer allows a number of streams at once; more come as they end. */
    while (sent < 500 && (stream = ph_link_open_stream (t->side[0].link)) >= 0)
      ph_test_quic_send (t->side[0].link, stream, 0, sent++ * 37 % 7000, true);
    if (sent < 500)
      g_assert_cmpuint (sent - t->side[1].n_fin, <=, 64);
    ph_test_quic_run (t, 5 * PH_MSEC, NULL);
    g_assert_cmpuint (t->now, <, 1100 * PH_SEC);
  }
  g_assert_cmpuint (t->side[1].n_opened, ==, 500);
}

static bool
four_mib (PhTestQuic *t)
{
  return t->side[1].bytes_in >= 4 * MIB;
}

void
ph_test_streams_fair (PhTestQuic *t)
{
  GHashTableIter iter;
  void *value;

  ph_test_quic_connect (t);
  for (unsigned i = 0; i < 4; i++)
    ph_test_quic_send_all (t, 0, 4 * MIB);
  g_assert_true (ph_test_quic_run (t, 60 * PH_SEC, four_mib));
  g_assert_cmpuint (g_hash_table_size (t->side[1].streams), ==, 4);
  g_hash_table_iter_init (&iter, t->side[1].streams);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    g_assert_cmpuint (((PhTestStream *)value)->bytes, >=, t->side[1].bytes_in / 4 - 200000);
}

void
ph_test_streams_queued (PhTestQuic *t)
{
  g_autoptr (PhBuf) buf = ph_buf_new (4096);

  ph_test_quic_connect (t);

  PhLink *link = t->side[0].link;
  const int64_t stream = ph_link_open_stream (link);

  ph_link_set_low_marks (link, stream, 1000, 0);
  ph_test_quic_send (link, stream, 0, 3000, false);
  g_assert_cmpuint (ph_link_stream_queued (link, stream), ==, 3000);
  ph_test_quic_settle (t); /* sent, not arrived */
  g_assert_cmpuint (ph_link_stream_queued (link, stream), ==, 3000);
  g_assert_cmpuint (t->side[0].n_drained, ==, 0);
  ph_test_quic_run (t, PH_SEC, NULL);
  g_assert_cmpuint (ph_link_stream_queued (link, stream), ==, 0);
  g_assert_cmpuint (t->side[0].n_drained, ==, 1);
  ph_test_quic_send (link, stream, 3000, 10, true);
  ph_test_quic_run (t, PH_SEC, NULL);
  g_assert_cmpuint (t->side[0].n_drained, ==, 1);
  g_assert_cmpuint (t->side[1].n_fin, ==, 1);

  /* The reference is taken even where nothing can be sent any more. */
  ph_link_send (link, stream, (PhBufSlice){ph_buf_ref (buf), 0, 10}, false);
  ph_link_send (link, 12345678, (PhBufSlice){ph_buf_ref (buf), 0, 10}, false);
  g_assert_true (g_atomic_ref_count_compare (&buf->refs, 1));
}

void
ph_test_streams_unsent (PhTestQuic *t)
{
  ph_test_quic_connect (t);

  PhLink *link = t->side[0].link;
  const int64_t stream = ph_link_open_stream (link);

  t->side[1].hold = true;
  ph_link_set_low_marks (link, stream, 0, 60000);
  ph_test_quic_send (link, stream, 0, 2 * PH_TEST_STREAMS_WINDOW, false);
  g_assert_cmpuint (ph_link_stream_unsent (link, stream), ==, 2 * PH_TEST_STREAMS_WINDOW);
  ph_test_quic_run (t, 50 * PH_MSEC, NULL);
  g_assert_cmpuint (ph_link_stream_unsent (link, stream), ==, PH_TEST_STREAMS_WINDOW);
  g_assert_cmpuint (t->side[0].n_drained, ==, 1);

  ph_link_set_low_marks (link, stream, 0, PH_TEST_STREAMS_WINDOW);
  ph_test_quic_run (t, 50 * PH_MSEC, NULL);
  g_assert_cmpuint (t->side[0].n_drained, ==, 1);
  ph_link_reset_stream (link, stream, 1);
  g_assert_cmpuint (ph_link_stream_unsent (link, stream), ==, 0);
}
