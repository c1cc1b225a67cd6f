/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The bytes of the transfer protocol: every frame and head comes back as it went, and in no other form. */

#include "app/engine/ph-record.h"
#include "tests/support/ph-test.h"

/* Decodes from a block of its own size, so that a read beyond the end is caught. */
static PhFrameResult
decode_copy (const uint8_t *bytes, size_t len, size_t *ret_len)
{
  g_autofree uint8_t *copy = g_memdup2 (bytes, len);
  PhFrame frame;

  return ph_frame_decode (ph_slice (copy, len), &frame, ret_len);
}

static void
check_frame (const PhFrame *frame)
{
  uint8_t bytes[PH_FRAME_MAX];
  uint8_t again[PH_FRAME_MAX];
  PhWriter w = ph_writer (bytes, sizeof bytes);
  PhWriter w2 = ph_writer (again, sizeof again);
  PhFrame read;
  size_t len = 0;

  ph_frame_encode (frame, &w);
  g_assert_cmpint (ph_frame_decode (ph_slice (bytes, ph_writer_len (&w)), &read, &len), ==,
                   PH_FRAME_OK);
  g_assert_cmpuint (len, ==, ph_writer_len (&w));
  g_assert_cmpint (read.type, ==, frame->type);
  ph_frame_encode (&read, &w2);
  g_assert_cmpmem (again, ph_writer_len (&w2), bytes, len);

  /* Part of a frame is short; a frame that says it is one byte shorter or longer is malformed. */
  for (size_t cut = 0; cut < len; cut++) {
    size_t ignored;

    g_assert_cmpint (decode_copy (bytes, cut, &ignored), ==, PH_FRAME_SHORT);
  }
  if (frame->type == PH_FRAME_SIGNAL)
    return;
  bytes[2]++;
  bytes[len] = 0;
  g_assert_cmpint (decode_copy (bytes, len + 1, &len), ==, PH_FRAME_MALFORMED);
  bytes[2] -= 2;
  g_assert_cmpint (decode_copy (bytes, ph_writer_len (&w), &len), ==, PH_FRAME_MALFORMED);
}

static void
test_frames (void)
{
  static const uint8_t manifest[300];
  const PhTransferId id = {{1, 2, 3}};
  const PhFrame frames[] = {
      {.type = PH_FRAME_HELLO, .hello = {1, 1u << 20, {9}, ph_slice_string ("\xc3\xa4")}},
      {.type = PH_FRAME_HELLO, .hello = {.version = 1}},
      {.type = PH_FRAME_OFFER,
       .id = id,
       .offer = {true, false, 3, 1, 4, PH_MANIFEST_TOTAL_MAX, 300, {7}, {manifest, 300}}},
      {.type = PH_FRAME_OFFER,
       .id = id,
       .offer = {false, true, 0, PH_FRAME_COUNTER_MAX, 0, 0, PH_MANIFEST_BYTES_MAX, {0}, {0}}},
      {.type = PH_FRAME_SYNC, .sync_serial = 77},
      {.type = PH_FRAME_WANT, .id = id},
      {.type = PH_FRAME_ACCEPT, .id = id, .accept = {true, true, 1, {5, 1u << 30, {4}}}},
      {.type = PH_FRAME_ACCEPT, .id = id, .accept = {false, false, 2, {0, 0, {0}}}},
      {.type = PH_FRAME_DECLINE, .id = id, .decline = PH_DECLINE_NO_SPACE},
      {.type = PH_FRAME_CANCEL, .id = id, .from_sender = true},
      {.type = PH_FRAME_CANCEL, .id = id},
      {.type = PH_FRAME_PAUSE, .id = id, .pause = PH_PAUSE_NO_SPACE},
      {.type = PH_FRAME_FAILED, .id = id, .failed = {1, 2, UINT32_MAX}},
      {.type = PH_FRAME_RECEIPT, .id = id, .receipt_digest = {1}},
      {.type = PH_FRAME_PROGRESS, .id = id, .progress = {1, UINT64_MAX, 0}},
      {.type = PH_FRAME_SIGNAL, .signal = ph_slice_string ("bytes")},
      {.type = PH_FRAME_LIMIT, .limit = UINT64_C (123456789012)},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (frames); i++)
    check_frame (&frames[i]);
}

static void
test_frames_out_of_limits (void)
{
  static const uint8_t too_long[] = {PH_FRAME_SIGNAL, 0x3e, 0x81};
  PhFrame frames[6] = {
      {.type = PH_FRAME_OFFER, .offer = {.serial = 0, .manifest_size = 1}},
      {.type = PH_FRAME_OFFER, .offer = {.serial = 1, .manifest_size = 0}},
      {.type = PH_FRAME_OFFER, .offer = {.serial = 1, .manifest_size = PH_MANIFEST_BYTES_MAX + 1}},
      {.type = PH_FRAME_OFFER,
       .offer = {.serial = 1, .manifest_size = 1, .entries = PH_MANIFEST_ENTRIES_MAX + 1}},
      {.type = PH_FRAME_ACCEPT, .accept = {.attempt = 0}},
      {.type = PH_FRAME_ACCEPT,
       .accept = {.attempt = 1, .point = {.offset = PH_MANIFEST_FILE_MAX + 1}}},
  };
  size_t len;

  for (size_t i = 0; i < G_N_ELEMENTS (frames); i++) {
    uint8_t bytes[PH_FRAME_MAX];
    PhWriter w = ph_writer (bytes, sizeof bytes);

    ph_frame_encode (&frames[i], &w);
    g_assert_cmpint (decode_copy (bytes, ph_writer_len (&w), &len), ==, PH_FRAME_MALFORMED);
  }

  /* A signal one byte too long is refused when its body is there; a frame too long at once. */
  uint8_t *signal = g_malloc0 (PH_FRAME_MAX);

  memcpy (signal, too_long, sizeof too_long);
  g_assert_cmpint (decode_copy (signal, 3 + 0x3e81, &len), ==, PH_FRAME_MALFORMED);
  signal[1] = 0x40;
  g_assert_cmpint (decode_copy (signal, 3, &len), ==, PH_FRAME_MALFORMED);
  g_free (signal);
}

static void
test_names (void)
{
  static const uint8_t names[][4] = {
      {0xff, 'a', 'b', 'c'}, {'a', 0, 'b', 'c'}, {'a', 'b', 'c', 0xc3}};

  for (size_t i = 0; i < G_N_ELEMENTS (names); i++) {
    PhFrame frame = {.type = PH_FRAME_HELLO, .hello = {.version = 1, .name = {names[i], 4}}};
    uint8_t bytes[PH_FRAME_MAX];
    PhWriter w = ph_writer (bytes, sizeof bytes);
    size_t len;

    ph_frame_encode (&frame, &w);
    g_assert_cmpint (decode_copy (bytes, ph_writer_len (&w), &len), ==, PH_FRAME_MALFORMED);
  }
}

static void
test_heads (void)
{
  const PhSegmentHead segment = {{{5}}, PH_FRAME_COUNTER_MAX, 64};
  const PhRecordHead records[] = {
      {PH_RECORD_DATA, PH_MANIFEST_ENTRIES_MAX - 1, PH_MANIFEST_FILE_MAX, PH_MANIFEST_FILE_MAX},
      {PH_RECORD_LAST, 0, 0, 0},
      {PH_RECORD_FINISH, 0, 0, 0},
  };
  uint8_t bytes[64];
  PhWriter w = ph_writer (bytes, sizeof bytes);
  PhSegmentHead segment_read;
  size_t len;

  ph_segment_head_encode (&segment, &w);
  g_assert_cmpuint (ph_writer_len (&w), <=, PH_SEGMENT_HEAD_MAX);
  for (size_t cut = 0; cut < ph_writer_len (&w); cut++)
    g_assert_cmpint (ph_segment_head_decode (ph_slice (bytes, cut), &segment_read, &len), ==,
                     PH_FRAME_SHORT);
  g_assert_cmpint (
      ph_segment_head_decode (ph_slice (bytes, ph_writer_len (&w)), &segment_read, &len), ==,
      PH_FRAME_OK);
  g_assert_cmpuint (segment_read.attempt, ==, segment.attempt);
  g_assert_cmpuint (segment_read.segment, ==, segment.segment);

  for (size_t i = 0; i < G_N_ELEMENTS (records); i++) {
    PhRecordHead read;

    w = ph_writer (bytes, sizeof bytes);
    ph_record_head_encode (&records[i], &w);
    g_assert_cmpuint (ph_writer_len (&w), <=, PH_RECORD_HEAD_MAX);
    for (size_t cut = 0; cut < ph_writer_len (&w); cut++)
      g_assert_cmpint (ph_record_head_decode (ph_slice (bytes, cut), &read, &len), ==,
                       PH_FRAME_SHORT);
    g_assert_cmpint (ph_record_head_decode (ph_slice (bytes, sizeof bytes), &read, &len), ==,
                     PH_FRAME_OK);
    g_assert_cmpuint (len, ==, ph_writer_len (&w));
    g_assert_cmpint (read.type, ==, records[i].type);
    g_assert_cmpuint (read.offset, ==, records[i].offset);
    g_assert_cmpuint (read.len, ==, records[i].len);
  }
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/frame/frames", test_frames);
  g_test_add_func ("/frame/out-of-limits", test_frames_out_of_limits);
  g_test_add_func ("/frame/names", test_names);
  g_test_add_func ("/frame/heads", test_heads);
  return g_test_run ();
}
