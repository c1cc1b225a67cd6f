/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The framing of ICE over TCP: the same bytes give the same messages however they are cut. The first byte says
 * into what pieces. */

#include "net/ice/ph-ice-frames.h"

#include <glib.h>

#define OUT_MAX 8192

typedef struct {
  uint8_t bytes[OUT_MAX]; /* of all that came out */
  size_t len;
  size_t n_stun;
  bool broken;
} Out;

static void
put (Out *out, PhSlice bytes)
{
  const size_t n = MIN (bytes.len, OUT_MAX - out->len);

  if (n > 0)
    memcpy (out->bytes + out->len, bytes.data, n);
  out->len += n;
}

static void
run (PhSlice in, size_t piece, Out *out)
{
  PhIceFrames frames = {0};

  while (in.len > 0) {
    PhSlice part = ph_slice (in.data, MIN (piece, in.len));
    PhSlice bytes = {0};
    PhIceFrame result;

    in.data += part.len;
    in.len -= part.len;
    while ((result = ph_ice_frames_next (&frames, &part, &bytes)) <= PH_ICE_FRAME_TLS) {
      g_assert_cmpuint (bytes.len, >, 0);
      out->n_stun += result == PH_ICE_FRAME_STUN;
      if (result == PH_ICE_FRAME_STUN)
        g_assert_cmpuint (bytes.len, <=, PH_ICE_FRAME_STUN_MAX);
      put (out, bytes);
    }
    out->broken |= result == PH_ICE_FRAME_BROKEN;
    g_assert_true (out->broken || part.len == 0);
  }
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static Out whole, cut;

  if (size == 0)
    return 0;
  whole.len = cut.len = whole.n_stun = cut.n_stun = 0;
  whole.broken = cut.broken = false;
  run (ph_slice (data + 1, size - 1), size, &whole);
  run (ph_slice (data + 1, size - 1), 1u + data[0] % 64, &cut);
  g_assert_cmpuint (whole.n_stun, ==, cut.n_stun);
  g_assert_true (whole.broken == cut.broken);
  g_assert_cmpmem (whole.bytes, whole.len, cut.bytes, cut.len);
  return 0;
}
