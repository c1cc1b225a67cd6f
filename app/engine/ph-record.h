/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the streams of the transfer protocol begin with, and the records of data streams.
 *
 * Every stream begins with its type, one byte. A data stream is one *segment* of a transfer: a head that
 * names it, then records. A record is a head and, for DATA and LAST, `len` bytes of the file; LAST
 * has the file's SHA-256 after them. FINISH says that every file is through; nothing follows it. */

#pragma once

#include "app/engine/ph-frame.h"

/* Types with PH_FRAME_OPTIONAL may be reset by who does not know them; any other is an error. */
typedef enum {
  PH_STREAM_CONTROL = 0x01,
  PH_STREAM_MANIFEST = 0x02, /* transfer id, encoded manifest, fin */
  PH_STREAM_DATA = 0x03, /* segment head, records, fin */
} PhStreamType;

/* Segments of one attempt are numbered from 0, in the order of their bytes; the receiver reads one after
 * the other, whichever links they come on. */
typedef struct {
  PhTransferId id;
  uint64_t attempt;
  uint64_t segment;
} PhSegmentHead;

typedef enum {
  PH_RECORD_DATA = 0x01,
  PH_RECORD_LAST = 0x02,
  PH_RECORD_FINISH = 0x03,
} PhRecordType;

typedef struct {
  PhRecordType type;
  uint32_t file; /* index in the manifest */
  uint64_t offset;
  uint64_t len; /* > 0 in DATA; may be 0 in LAST */
} PhRecordHead;

/* The longest of each, the stream's type byte not counted. */
#define PH_SEGMENT_HEAD_MAX (PH_TRANSFER_ID_LEN + 8u + 8u)
#define PH_RECORD_HEAD_MAX (1u + 4u + 8u + 8u)

/* A varint that is not longer than it need be; poisons otherwise. */
uint64_t ph_read_varint_shortest (PhReader *r);

void ph_segment_head_encode (const PhSegmentHead *head, PhWriter *out);
void ph_record_head_encode (const PhRecordHead *head, PhWriter *out);

/* From the start of `in`: OK with `ret_len`, SHORT or MALFORMED. An input of the longest length is never
 * SHORT. */
PhFrameResult ph_segment_head_decode (PhSlice in, PhSegmentHead *ret_head, size_t *ret_len);
PhFrameResult ph_record_head_decode (PhSlice in, PhRecordHead *ret_head, size_t *ret_len);
