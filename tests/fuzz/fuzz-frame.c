/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Control frames, segment heads and record heads: what is accepted is exactly what would be written, but
 * for reasons of a pause that a newer Porthole may have. The first byte chooses which. */

#include "app/engine/ph-record.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
check_same (const PhWriter *w, PhSlice in, size_t len)
{
  g_assert_true (ph_writer_ok (w));
  g_assert_true (len <= in.len);
  g_assert_true (ph_slice_equal (ph_slice (w->start, ph_writer_len (w)), ph_slice (in.data, len)));
}

static void
try_frames (PhSlice in)
{
  uint8_t out[PH_FRAME_MAX];
  PhFrame frame;
  size_t len;

  for (;;) {
    const PhFrameResult result = ph_frame_decode (in, &frame, &len);

    if (result == PH_FRAME_SHORT)
      g_assert_true (in.len < PH_FRAME_MAX);
    if (result != PH_FRAME_OK && result != PH_FRAME_SKIPPED)
      return;
    if (result == PH_FRAME_OK && frame.type != PH_FRAME_PAUSE) {
      PhWriter w = ph_writer (out, sizeof out);

      ph_frame_encode (&frame, &w);
      check_same (&w, in, len);
    }
    in = ph_slice (in.data + len, in.len - len);
  }
}

static void
try_segment_head (PhSlice in)
{
  uint8_t out[PH_SEGMENT_HEAD_MAX];
  PhWriter w = ph_writer (out, sizeof out);
  PhSegmentHead head;
  size_t len;
  const PhFrameResult result = ph_segment_head_decode (in, &head, &len);

  g_assert_true (result != PH_FRAME_SHORT || in.len < PH_SEGMENT_HEAD_MAX);
  if (result != PH_FRAME_OK)
    return;
  ph_segment_head_encode (&head, &w);
  check_same (&w, in, len);
}

static void
try_record_heads (PhSlice in)
{
  uint8_t out[PH_RECORD_HEAD_MAX];
  PhRecordHead head;
  size_t len;
  PhFrameResult result;

  while ((result = ph_record_head_decode (in, &head, &len)) == PH_FRAME_OK) {
    PhWriter w = ph_writer (out, sizeof out);

    ph_record_head_encode (&head, &w);
    check_same (&w, in, len);
    in = ph_slice (in.data + len, in.len - len);
  }
  g_assert_true (result != PH_FRAME_SHORT || in.len < PH_RECORD_HEAD_MAX);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  if (size == 0)
    return 0;

  /* A block of its own size, so that a read beyond the end is caught. */
  g_autofree uint8_t *copy = g_memdup2 (data + 1, size - 1);
  const PhSlice in = ph_slice (copy, size - 1);

  switch (data[0] % 3) {
  case 0:
    try_frames (in);
    break;
  case 1:
    try_segment_head (in);
    break;
  default:
    try_record_heads (in);
  }
  return 0;
}
