/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The first byte says in which pieces the rest comes in: whatever they are, the messages are the same. */

#include "net/turn/ph-turn-stream.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static GChecksum *
split (PhSlice bytes, size_t step, bool *ret_broken)
{
  g_autoptr (PhTurnStream) stream = ph_turn_stream_new ();
  GChecksum *sum = g_checksum_new (G_CHECKSUM_MD5);
  PhTurnStreamResult result = PH_TURN_STREAM_MORE;
  PhSlice message;

  for (size_t at = 0; at < bytes.len && result != PH_TURN_STREAM_BROKEN; at += step) {
    PhSlice in = ph_slice (bytes.data + at, MIN (step, bytes.len - at));

    while ((result = ph_turn_stream_next (stream, &in, &message)) == PH_TURN_STREAM_MESSAGE) {
      g_assert (message.len >= 4 && message.len <= PH_TURN_STREAM_MESSAGE_MAX);
      g_checksum_update (sum, (const guchar *)&message.len, sizeof message.len);
      g_checksum_update (sum, message.data, (gssize)message.len);
    }
    g_assert (result == PH_TURN_STREAM_BROKEN || in.len == 0);
  }
  *ret_broken = result == PH_TURN_STREAM_BROKEN;
  return sum;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  bool broken_whole, broken_pieces;

  if (size < 2)
    return 0;

  const PhSlice bytes = ph_slice (data + 1, size - 1);
  GChecksum *whole = split (bytes, bytes.len, &broken_whole);
  GChecksum *pieces = split (bytes, 1 + data[0], &broken_pieces);

  g_assert (broken_whole == broken_pieces);
  g_assert_cmpstr (g_checksum_get_string (whole), ==, g_checksum_get_string (pieces));
  g_checksum_free (whole);
  g_checksum_free (pieces);
  return 0;
}
