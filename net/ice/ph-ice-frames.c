/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/ice/ph-ice-frames.h"

#include <glib.h>

void
ph_ice_frame_write_header (uint8_t out[PH_ICE_FRAME_HEADER_LEN], size_t len)
{
  g_assert (len <= UINT16_MAX);
  out[0] = (uint8_t)(len >> 8);
  out[1] = (uint8_t)len;
}

static PhSlice
take (PhSlice *in, size_t len)
{
  const PhSlice taken = ph_slice (in->data, MIN (len, in->len));

  in->data += taken.len;
  in->len -= taken.len;
  return taken;
}

/* False: `in` was not enough. */
static bool
collect (PhIceFrames *self, PhSlice *in, size_t total)
{
  const PhSlice bytes = take (in, total - self->part_len);

  memcpy (self->part + self->part_len, bytes.data, bytes.len);
  self->part_len += bytes.len;
  return self->part_len == total;
}

static bool
begin_frame (PhIceFrames *self, PhSlice *in)
{
  if (!collect (self, in, PH_ICE_FRAME_HEADER_LEN))
    return false;
  self->left = (size_t)self->part[0] << 8 | self->part[1];
  self->part_len = 0;
  self->in_frame = self->left > 0; /* an empty frame says nothing */
  self->begun = false;
  return true;
}

static bool
look_at_first (PhIceFrames *self, uint8_t first)
{
  self->begun = true;
  self->is_tls = first >= 0x14 && first <= 0x3f;
  return self->is_tls || (first <= 0x03 && self->left <= PH_ICE_FRAME_STUN_MAX);
}

static PhIceFrame
next_tls (PhIceFrames *self, PhSlice *in, PhSlice *ret_bytes)
{
  *ret_bytes = take (in, self->left);
  self->left -= ret_bytes->len;
  self->in_frame = self->left > 0;
  return PH_ICE_FRAME_TLS;
}

static PhIceFrame
next_stun (PhIceFrames *self, PhSlice *in, PhSlice *ret_bytes)
{
  if (self->part_len == 0 && in->len >= self->left) {
    *ret_bytes = take (in, self->left);
  } else if (collect (self, in, self->left)) {
    *ret_bytes = ph_slice (self->part, self->part_len);
    self->part_len = 0;
  } else {
    return PH_ICE_FRAME_MORE;
  }
  self->in_frame = false;
  return PH_ICE_FRAME_STUN;
}

PhIceFrame
ph_ice_frames_next (PhIceFrames *self, PhSlice *in, PhSlice *ret_bytes)
{
  if (self->broken)
    return PH_ICE_FRAME_BROKEN;
  while (in->len > 0) {
    if (!self->in_frame) {
      if (!begin_frame (self, in))
        return PH_ICE_FRAME_MORE;
      continue;
    }
    if (!self->begun && !look_at_first (self, in->data[0])) {
      self->broken = true;
      return PH_ICE_FRAME_BROKEN;
    }
    return self->is_tls ? next_tls (self, in, ret_bytes) : next_stun (self, in, ret_bytes);
  }
  return PH_ICE_FRAME_MORE;
}
