/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/engine/ph-frame.h"

#include "app/engine/ph-record.h"

#define FLAG_PAUSED 0x01u
#define FLAG_LOST 0x02u /* OFFER */
#define FLAG_RESTARTED 0x02u /* ACCEPT */
#define FLAG_EARLY 0x04u
#define OFFER_FLAGS (FLAG_PAUSED | FLAG_LOST | FLAG_EARLY)
#define ACCEPT_FLAGS (FLAG_PAUSED | FLAG_RESTARTED | FLAG_EARLY)

#define SIDE_SENDER 1u
#define SIDE_RECEIVER 2u

static uint64_t
read_bounded (PhReader *r, uint64_t max)
{
  const uint64_t value = ph_read_varint_shortest (r);

  if (value > max)
    ph_reader_poison (r);
  return value;
}

/* Reasons that are not known count as a person's. */
static PhPause
read_pause (PhReader *r)
{
  const uint8_t value = ph_read_u8 (r);

  return value <= PH_PAUSE_LAST ? (PhPause)value : PH_PAUSE_PERSON;
}

static PhSlice
read_counted (PhReader *r, size_t max)
{
  return ph_read_slice (r, (size_t)read_bounded (r, max));
}

static bool
has_id (PhFrameType type)
{
  return type != PH_FRAME_HELLO && type != PH_FRAME_SYNC && type != PH_FRAME_SIGNAL
         && type != PH_FRAME_LIMIT;
}

static bool
has_side (PhFrameType type)
{
  return type == PH_FRAME_CANCEL || type == PH_FRAME_PAUSE || type == PH_FRAME_FAILED;
}

static bool
is_known (uint8_t type)
{
  return (type >= PH_FRAME_HELLO && type <= PH_FRAME_RECEIPT) || type == PH_FRAME_PROGRESS
         || type == PH_FRAME_SIGNAL || type == PH_FRAME_LIMIT;
}

/* --- Encoding ----------------------------------------------------------------------------------- */

static void
write_hello (PhWriter *w, const PhFrameHello *hello)
{
  g_assert (hello->name.len <= PH_FRAME_NAME_MAX);
  ph_write_varint (w, hello->version);
  ph_write_varint (w, hello->features);
  ph_write_bytes (w, hello->instance, sizeof hello->instance);
  ph_write_counted (w, hello->name);
}

static void
write_offer (PhWriter *w, const PhFrameOffer *offer)
{
  g_assert (offer->manifest.len == 0 || offer->manifest.len == offer->manifest_size);
  g_assert (offer->manifest.len <= PH_FRAME_MANIFEST_MAX);
  ph_write_u8 (w, (uint8_t)((offer->paused ? FLAG_PAUSED : 0) | (offer->lost ? FLAG_LOST : 0)
                            | (offer->early ? FLAG_EARLY : 0)));
  ph_write_varint (w, offer->attempt);
  ph_write_varint (w, offer->serial);
  ph_write_varint (w, offer->entries);
  ph_write_u64 (w, offer->bytes);
  ph_write_varint (w, offer->manifest_size);
  ph_write_bytes (w, offer->manifest_digest, sizeof offer->manifest_digest);
  ph_write_counted (w, offer->manifest);
}

static void
write_accept (PhWriter *w, const PhFrameAccept *accept)
{
  ph_write_u8 (w, (uint8_t)((accept->paused ? FLAG_PAUSED : 0)
                            | (accept->restarted ? FLAG_RESTARTED : 0)
                            | (accept->early ? FLAG_EARLY : 0)));
  ph_write_varint (w, accept->attempt);
  ph_write_varint (w, accept->point.file);
  ph_write_varint (w, accept->point.offset);
  if (accept->point.offset > 0)
    ph_write_bytes (w, accept->point.prefix_sha256, PH_SHA256_LEN);
}

static void
write_failed (PhWriter *w, const PhFrameFailed *failed)
{
  ph_write_u8 (w, failed->code);
  ph_write_u8 (w, failed->storage);
  ph_write_u32 (w, failed->file);
}

static void
write_body (PhWriter *w, const PhFrame *frame)
{
  if (has_id (frame->type))
    ph_write_bytes (w, frame->id.bytes, PH_TRANSFER_ID_LEN);
  if (has_side (frame->type))
    ph_write_u8 (w, frame->from_sender ? SIDE_SENDER : SIDE_RECEIVER);

  switch (frame->type) {
  case PH_FRAME_HELLO:
    write_hello (w, &frame->hello);
    break;
  case PH_FRAME_OFFER:
    write_offer (w, &frame->offer);
    break;
  case PH_FRAME_SYNC:
    ph_write_varint (w, frame->sync_serial);
    break;
  case PH_FRAME_ACCEPT:
    write_accept (w, &frame->accept);
    break;
  case PH_FRAME_DECLINE:
    ph_write_u8 (w, frame->decline);
    break;
  case PH_FRAME_PAUSE:
    ph_write_u8 (w, (uint8_t)frame->pause);
    break;
  case PH_FRAME_FAILED:
    write_failed (w, &frame->failed);
    break;
  case PH_FRAME_RECEIPT:
    ph_write_bytes (w, frame->receipt_digest, PH_SHA256_LEN);
    break;
  case PH_FRAME_PROGRESS:
    ph_write_varint (w, frame->progress.attempt);
    ph_write_u64 (w, frame->progress.bytes_written);
    ph_write_u64 (w, frame->progress.bytes_durable);
    break;
  case PH_FRAME_SIGNAL:
    ph_write_slice (w, frame->signal);
    break;
  case PH_FRAME_LIMIT:
    ph_write_u64 (w, frame->limit);
    break;
  case PH_FRAME_WANT:
  case PH_FRAME_CANCEL:
    break;
  }
}

void
ph_frame_encode (const PhFrame *frame, PhWriter *out)
{
  const size_t start = ph_writer_len (out);

  ph_write_u8 (out, (uint8_t)frame->type);
  ph_write_u16 (out, 0);
  write_body (out, frame);
  g_assert (ph_writer_ok (out));

  const size_t len = ph_writer_len (out) - start;

  g_assert (len <= PH_FRAME_MAX);
  ph_writer_patch_u16 (out, start + 1, (uint16_t)(len - PH_FRAME_HEAD_LEN));
}

/* --- Decoding ----------------------------------------------------------------------------------- */

static void
read_hello (PhReader *r, PhFrameHello *hello)
{
  hello->version = ph_read_varint_shortest (r);
  hello->features = ph_read_varint_shortest (r);
  ph_read_bytes (r, hello->instance, sizeof hello->instance);
  hello->name = read_counted (r, PH_FRAME_NAME_MAX);
  if (hello->name.len > 0
      && !g_utf8_validate_len ((const char *)hello->name.data, hello->name.len, NULL))
    ph_reader_poison (r);
}

static uint8_t
read_flags (PhReader *r, unsigned known)
{
  const uint8_t flags = ph_read_u8 (r);

  if (flags & ~known)
    ph_reader_poison (r);
  return flags;
}

static void
read_offer (PhReader *r, PhFrameOffer *offer)
{
  const uint8_t flags = read_flags (r, OFFER_FLAGS);

  offer->paused = (flags & FLAG_PAUSED) != 0;
  offer->lost = (flags & FLAG_LOST) != 0;
  offer->early = (flags & FLAG_EARLY) != 0;
  offer->attempt = read_bounded (r, PH_FRAME_COUNTER_MAX);
  offer->serial = read_bounded (r, PH_FRAME_COUNTER_MAX);
  offer->entries = read_bounded (r, PH_MANIFEST_ENTRIES_MAX);
  offer->bytes = ph_read_u64 (r);
  offer->manifest_size = read_bounded (r, PH_MANIFEST_BYTES_MAX);
  ph_read_bytes (r, offer->manifest_digest, sizeof offer->manifest_digest);
  offer->manifest = read_counted (r, PH_FRAME_MANIFEST_MAX);
  if (offer->serial == 0 || offer->manifest_size == 0 || offer->bytes > PH_MANIFEST_TOTAL_MAX
      || (offer->manifest.len > 0 && offer->manifest.len != offer->manifest_size))
    ph_reader_poison (r);
}

static void
read_accept (PhReader *r, PhFrameAccept *accept)
{
  const uint8_t flags = read_flags (r, ACCEPT_FLAGS);

  accept->paused = (flags & FLAG_PAUSED) != 0;
  accept->restarted = (flags & FLAG_RESTARTED) != 0;
  accept->early = (flags & FLAG_EARLY) != 0;
  accept->attempt = read_bounded (r, PH_FRAME_COUNTER_MAX);
  accept->point.file = (uint32_t)read_bounded (r, PH_MANIFEST_ENTRIES_MAX);
  accept->point.offset = read_bounded (r, PH_MANIFEST_FILE_MAX);
  if (accept->point.offset > 0)
    ph_read_bytes (r, accept->point.prefix_sha256, PH_SHA256_LEN);
  if (accept->attempt == 0)
    ph_reader_poison (r);
}

static void
read_failed (PhReader *r, PhFrameFailed *failed)
{
  failed->code = ph_read_u8 (r);
  failed->storage = ph_read_u8 (r);
  failed->file = ph_read_u32 (r);
}

static void
read_body (PhReader *r, PhFrame *frame)
{
  if (has_id (frame->type))
    ph_read_bytes (r, frame->id.bytes, PH_TRANSFER_ID_LEN);
  if (has_side (frame->type)) {
    const uint8_t side = ph_read_u8 (r);

    if (side != SIDE_SENDER && side != SIDE_RECEIVER)
      ph_reader_poison (r);
    frame->from_sender = side == SIDE_SENDER;
  }

  switch (frame->type) {
  case PH_FRAME_HELLO:
    read_hello (r, &frame->hello);
    break;
  case PH_FRAME_OFFER:
    read_offer (r, &frame->offer);
    break;
  case PH_FRAME_SYNC:
    frame->sync_serial = read_bounded (r, PH_FRAME_COUNTER_MAX);
    break;
  case PH_FRAME_ACCEPT:
    read_accept (r, &frame->accept);
    break;
  case PH_FRAME_DECLINE:
    frame->decline = ph_read_u8 (r);
    break;
  case PH_FRAME_PAUSE:
    frame->pause = read_pause (r);
    break;
  case PH_FRAME_FAILED:
    read_failed (r, &frame->failed);
    break;
  case PH_FRAME_RECEIPT:
    ph_read_bytes (r, frame->receipt_digest, PH_SHA256_LEN);
    break;
  case PH_FRAME_PROGRESS:
    frame->progress.attempt = read_bounded (r, PH_FRAME_COUNTER_MAX);
    frame->progress.bytes_written = ph_read_u64 (r);
    frame->progress.bytes_durable = ph_read_u64 (r);
    break;
  case PH_FRAME_SIGNAL:
    frame->signal = ph_read_slice (r, ph_reader_left (r));
    if (frame->signal.len > PH_FRAME_SIGNAL_MAX)
      ph_reader_poison (r);
    break;
  case PH_FRAME_LIMIT:
    frame->limit = ph_read_u64 (r);
    break;
  case PH_FRAME_WANT:
  case PH_FRAME_CANCEL:
    break;
  }
}

PhFrameResult
ph_frame_decode (PhSlice in, PhFrame *ret_frame, size_t *ret_len)
{
  PhReader r = ph_reader (in);
  const uint8_t type = ph_read_u8 (&r);
  const uint16_t len = ph_read_u16 (&r);
  PhFrame frame = {0};

  if (!ph_reader_ok (&r))
    return PH_FRAME_SHORT;
  if (len > PH_FRAME_MAX - PH_FRAME_HEAD_LEN)
    return PH_FRAME_MALFORMED;
  if (!is_known (type) && !(type & PH_FRAME_OPTIONAL))
    return PH_FRAME_MALFORMED;
  if (len > ph_reader_left (&r))
    return PH_FRAME_SHORT;

  *ret_len = PH_FRAME_HEAD_LEN + (size_t)len;
  if (!is_known (type))
    return PH_FRAME_SKIPPED;

  PhReader body = ph_reader (ph_read_slice (&r, len));

  frame.type = (PhFrameType)type;
  read_body (&body, &frame);
  if (!ph_reader_done (&body))
    return PH_FRAME_MALFORMED;
  *ret_frame = frame;
  return PH_FRAME_OK;
}
