/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/engine/ph-record.h"

/* Why a varint could not be read. */
typedef struct {
  PhReader r;
  bool malformed;
} Cursor;

uint64_t
ph_read_varint_shortest (PhReader *r)
{
  const size_t before = ph_reader_left (r);
  const uint64_t value = ph_read_varint (r);

  if (ph_reader_ok (r) && before - ph_reader_left (r) != ph_varint_len (value))
    ph_reader_poison (r);
  return value;
}

/* The next value, at most `max`. */
static uint64_t
next (Cursor *c, uint64_t max)
{
  if (c->malformed || !ph_reader_ok (&c->r))
    return 0;

  PhReader plain = c->r;
  const uint64_t value = ph_read_varint (&plain);

  ph_read_varint_shortest (&c->r);
  if (ph_reader_ok (&plain) && (!ph_reader_ok (&c->r) || value > max))
    c->malformed = true;
  return value;
}

static PhFrameResult
result (const Cursor *c, PhSlice in, size_t *ret_len)
{
  if (c->malformed)
    return PH_FRAME_MALFORMED;
  if (!ph_reader_ok (&c->r))
    return PH_FRAME_SHORT;
  *ret_len = in.len - ph_reader_left (&c->r);
  return PH_FRAME_OK;
}

void
ph_segment_head_encode (const PhSegmentHead *head, PhWriter *out)
{
  ph_write_bytes (out, head->id.bytes, PH_TRANSFER_ID_LEN);
  ph_write_varint (out, head->attempt);
  ph_write_varint (out, head->segment);
}

PhFrameResult
ph_segment_head_decode (PhSlice in, PhSegmentHead *ret_head, size_t *ret_len)
{
  Cursor c = {ph_reader (in), false};
  PhSegmentHead head = {0};

  ph_read_bytes (&c.r, head.id.bytes, PH_TRANSFER_ID_LEN);
  head.attempt = next (&c, PH_FRAME_COUNTER_MAX);
  head.segment = next (&c, PH_FRAME_COUNTER_MAX);

  const PhFrameResult res = result (&c, in, ret_len);

  if (res == PH_FRAME_OK)
    *ret_head = head;
  return res;
}

void
ph_record_head_encode (const PhRecordHead *head, PhWriter *out)
{
  ph_write_u8 (out, (uint8_t)head->type);
  if (head->type == PH_RECORD_FINISH)
    return;
  ph_write_varint (out, head->file);
  ph_write_varint (out, head->offset);
  ph_write_varint (out, head->len);
}

PhFrameResult
ph_record_head_decode (PhSlice in, PhRecordHead *ret_head, size_t *ret_len)
{
  Cursor c = {ph_reader (in), false};
  PhRecordHead head = {0};
  const uint8_t type = ph_read_u8 (&c.r);

  if (!ph_reader_ok (&c.r))
    return PH_FRAME_SHORT;
  if (type < PH_RECORD_DATA || type > PH_RECORD_FINISH)
    return PH_FRAME_MALFORMED;

  head.type = (PhRecordType)type;
  if (head.type != PH_RECORD_FINISH) {
    head.file = (uint32_t)next (&c, PH_MANIFEST_ENTRIES_MAX - 1);
    head.offset = next (&c, PH_MANIFEST_FILE_MAX);
    head.len = next (&c, PH_MANIFEST_FILE_MAX);
  }

  const PhFrameResult res = result (&c, in, ret_len);

  if (res == PH_FRAME_OK && head.type == PH_RECORD_DATA && head.len == 0)
    return PH_FRAME_MALFORMED;
  if (res == PH_FRAME_OK)
    *ret_head = head;
  return res;
}
