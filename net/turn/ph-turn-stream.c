/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/turn/ph-turn-stream.h"

#include "net/stun/ph-stun.h"

#define CHANNEL_HEADER_LEN 4
/* So much of either kind tells what it is and how long: type, length, cookie. */
#define STUN_PREFIX_LEN 8

struct _PhTurnStream {
  GByteArray *part; /* the beginning of a message */
  bool given; /* `part` is the message given last: dropped by the next call */
  bool broken;
};

PhTurnStream *
ph_turn_stream_new (void)
{
  PhTurnStream *self = g_new0 (PhTurnStream, 1);

  self->part = g_byte_array_new ();
  return self;
}

void
ph_turn_stream_free (PhTurnStream *self)
{
  if (self == NULL)
    return;
  g_byte_array_unref (self->part);
  g_free (self);
}

/* What the message that begins with `bytes` takes in the stream and is long; while that cannot be told
 * yet, `ret_total` is how many bytes are needed to tell. False: no message of TURN. */
static bool
measure (PhSlice bytes, size_t *ret_total, size_t *ret_len)
{
  PhReader r = ph_reader (bytes);

  *ret_len = 0;
  *ret_total = CHANNEL_HEADER_LEN;
  if (bytes.len == 0)
    return true;
  if (bytes.data[0] > 0x4f || (bytes.data[0] > 0x03 && bytes.data[0] < 0x40))
    return false;

  const bool is_stun = bytes.data[0] < 0x40;

  if (is_stun)
    *ret_total = STUN_PREFIX_LEN;
  if (bytes.len < *ret_total)
    return true;

  ph_read_skip (&r, 2);
  const size_t len = ph_read_u16 (&r);

  if (is_stun) {
    *ret_total = *ret_len = PH_STUN_HEADER_LEN + len;
    return len % 4 == 0 && ph_read_u32 (&r) == PH_STUN_COOKIE;
  }
  *ret_len = CHANNEL_HEADER_LEN + len;
  *ret_total = CHANNEL_HEADER_LEN + (len + 3) / 4 * 4;
  return true;
}

static PhSlice
part_slice (const PhTurnStream *self)
{
  return ph_slice (self->part->data, self->part->len);
}

/* Moves bytes of `in` to the part until it has `total`; false if there were not enough. */
static bool
collect (PhTurnStream *self, PhSlice *in, size_t total)
{
  const size_t len = MIN (in->len, total - self->part->len);

  if (len > 0) {
    g_byte_array_append (self->part, in->data, (unsigned)len);
    in->data += len;
    in->len -= len;
  }
  return self->part->len == total;
}

static PhTurnStreamResult
next_collected (PhTurnStream *self, PhSlice *in, PhSlice *ret_message)
{
  size_t total, len;

  for (;;) {
    if (!measure (part_slice (self), &total, &len)) {
      self->broken = true;
      return PH_TURN_STREAM_BROKEN;
    }
    g_assert (total <= PH_TURN_STREAM_MESSAGE_MAX);
    if (!collect (self, in, total))
      return PH_TURN_STREAM_MORE;
    if (len > 0)
      break;
  }
  *ret_message = ph_slice (self->part->data, len);
  self->given = true;
  return PH_TURN_STREAM_MESSAGE;
}

PhTurnStreamResult
ph_turn_stream_next (PhTurnStream *self, PhSlice *in, PhSlice *ret_message)
{
  size_t total, len;

  if (self->given)
    g_byte_array_set_size (self->part, 0);
  self->given = false;
  if (self->broken)
    return PH_TURN_STREAM_BROKEN;
  if (self->part->len > 0)
    return next_collected (self, in, ret_message);

  if (!measure (*in, &total, &len)) {
    self->broken = true;
    return PH_TURN_STREAM_BROKEN;
  }
  if (len == 0 || in->len < total)
    return next_collected (self, in, ret_message);

  *ret_message = ph_slice (in->data, len);
  in->data += total;
  in->len -= total;
  return PH_TURN_STREAM_MESSAGE;
}
