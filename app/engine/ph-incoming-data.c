/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/engine/ph-session-private.h"

/* --- Position ----------------------------------------------------------------------------------- */

/* The next entry from `file` on that has bytes on the wire; len() if there is none. */
static uint32_t
next_file (const PhManifest *manifest, uint32_t file)
{
  const uint32_t len = ph_manifest_len (manifest);

  while (file < len && ph_manifest_entry (manifest, file)->kind != PH_ENTRY_FILE)
    file++;
  return file;
}

uint64_t
ph_incoming_bytes_given (const PhIncoming *in)
{
  return in->bytes_before + in->offset;
}

uint64_t
ph_incoming_bytes_at (const PhIncoming *in, const PhResumePoint *point)
{
  const uint32_t len = MIN (point->file, ph_manifest_len (in->manifest));
  uint32_t file = 0;
  uint64_t bytes = 0;

  /* Checkpoints follow the position closely: count back from there. */
  if (len <= in->file) {
    bytes = in->bytes_before;
    for (file = in->file; file > len; file--)
      bytes -= ph_manifest_entry (in->manifest, file - 1)->size;
    return bytes + point->offset;
  }
  for (; file < len; file++)
    bytes += ph_manifest_entry (in->manifest, file)->size;
  return bytes + point->offset;
}

static void
set_position (PhIncoming *in, const PhResumePoint *point)
{
  const PhResumePoint start = {.file = point->file};

  in->bytes_before = ph_incoming_bytes_at (in, &start);
  in->file = next_file (in->manifest, point->file);
  in->offset = in->file == point->file ? point->offset : 0;
}

/* --- Attempts ----------------------------------------------------------------------------------- */

void
ph_incoming_credit (PhIncoming *in, uint64_t bytes)
{
  in->in_sink -= MIN (bytes, in->in_sink);
  while (bytes > 0 && !g_queue_is_empty (&in->credits)) {
    PhCredit *credit = g_queue_peek_head (&in->credits);
    const uint64_t n = MIN (bytes, credit->bytes);

    ph_session_consumed (credit->on, credit->stream, n);
    bytes -= n;
    credit->bytes -= n;
    if (credit->bytes == 0)
      g_free (g_queue_pop_head (&in->credits));
  }
}

static void
note_credit (PhIncoming *in, const PhPeerStream *stream, uint64_t bytes)
{
  PhCredit *last = g_queue_peek_tail (&in->credits);

  in->in_sink += bytes;
  if (last == NULL || last->on != stream->on || last->stream != stream->id) {
    last = g_new0 (PhCredit, 1);
    last->on = stream->on;
    last->stream = stream->id;
    g_queue_push_tail (&in->credits, last);
  }
  last->bytes += bytes;
}

void
ph_incoming_drop_attempt (PhSession *self, PhIncoming *in, PhSessionCode code)
{
  while (in->segments->len > 0)
    ph_session_drop_stream (self, in->segments->pdata[0], code);
  ph_incoming_credit (in, UINT64_MAX);
}

void
ph_incoming_say_accept (PhSession *self, PhTime now, PhIncoming *in, PhPeerLink *on)
{
  PhFrame frame = {.type = PH_FRAME_ACCEPT, .id = in->id};

  frame.accept.paused = in->paused_here != PH_PAUSE_NONE;
  frame.accept.restarted = in->restarted;
  frame.accept.early = in->early_taken;
  frame.accept.attempt = in->attempt;
  frame.accept.point = in->point;
  in->accept_on = on;
  ph_session_send (self, now, on, &frame);
}

bool
ph_incoming_is_early (const PhPeerStream *stream)
{
  return stream->transfer != NULL && stream->segment.attempt == 0;
}

static bool
is_start (const PhIncoming *in)
{
  return in->bytes_before == 0 && in->offset == 0 && in->file == next_file (in->manifest, 0);
}

/* Whether it is sure to come: it was announced, and has not been missed. */
static bool
expects_early (const PhIncoming *in)
{
  return in->attempt == 0 && in->early_on != NULL && !in->early_on->early_dropped;
}

bool
ph_incoming_awaits_early (const PhIncoming *in, const PhPeerStream *stream)
{
  return in->state == PH_IN_RECEIVING && in->early_taken && !in->attempt_used
         && in->early_on == stream->on && stream->segment.attempt == 0
         && stream->segment.segment == 0;
}

/* The first segment of the attempt that begins is there already. */
static void take_early (PhSession *self, PhTime now, PhPeerStream *stream);

/* What came before the answer, or NULL. */
static PhPeerStream *
find_early (const PhIncoming *in)
{
  PhPeerStream *stream = in->segments->len > 0 ? in->segments->pdata[0] : NULL;

  return stream != NULL && ph_incoming_is_early (stream) ? stream : NULL;
}

void
ph_incoming_new_attempt (PhSession *self, PhTime now, PhIncoming *in, PhPeerLink *on)
{
  PhPeerStream *early = find_early (in);

  in->broken = true;
  if (on == NULL)
    return; /* with the next link */
  if (++in->asked > PH_SESSION_ATTEMPTS_MAX || in->attempt >= PH_FRAME_COUNTER_MAX) {
    ph_session_link_fail (self, now, on, PH_SESSION_CODE_LIMIT, "too many attempts");
    return;
  }

  while (in->segments->len > (early != NULL ? 1 : 0))
    ph_session_drop_stream (self, in->segments->pdata[in->segments->len - 1],
                            PH_SESSION_CODE_STALE);
  do {
    /* What the sink still has to say is about bytes before the point; a restart moves it. */
    in->broken = false;
    in->sink->klass->resume_point (in->sink, &in->point);
    ph_incoming_drain_sink (self, now, in);
    if (in->state == PH_IN_ENDED || ph_incoming_is_stalled (in))
      return;
  } while (in->broken);
  ph_incoming_credit (in, UINT64_MAX);
  set_position (in, &in->point);
  in->bytes_durable = MIN (in->bytes_durable, ph_incoming_bytes_given (in));

  in->early_taken = is_start (in) && (early != NULL || expects_early (in));
  if (early != NULL && !in->early_taken) {
    ph_session_drop_stream (self, early, PH_SESSION_CODE_STALE);
    early = NULL;
  }

  in->attempt++;
  in->attempt_used = early != NULL;
  in->first_record = true;
  in->first_write_due = true;
  in->next_segment = 0;
  if (early != NULL)
    early->segment.attempt = in->attempt;
  ph_incoming_say_accept (self, now, in, on);
  in->restarted = false;
  ph_session_event_resumed (self, &in->id, false, ph_incoming_bytes_given (in), in->bytes_durable,
                            in->bytes_total);
  if (early != NULL)
    take_early (self, now, early);
}

/* Nobody has answered the offer yet: it waits, in memory. */
static void
add_early (PhSession *self, PhTime now, PhIncoming *in, PhPeerStream *stream)
{
  if (stream->segment.attempt != 0 || stream->segment.segment != 0 || in->segments->len > 0) {
    ph_incoming_violation (self, now, in, stream->on, PH_SESSION_CODE_UNEXPECTED,
                           "data before accept");
    return;
  }
  stream->transfer = in;
  stream->early = g_byte_array_new ();
  g_ptr_array_add (in->segments, stream);
}

void
ph_incoming_add_segment (PhSession *self, PhTime now, PhIncoming *in, PhPeerStream *stream)
{
  const uint64_t number = stream->segment.segment;
  PhPeerLink *on = stream->on;

  if (in->state == PH_IN_MANIFEST || in->state == PH_IN_OFFERED) {
    add_early (self, now, in, stream);
    return;
  }
  if (stream->segment.attempt == 0 || stream->segment.attempt > in->attempt
      || number < in->next_segment || in->state == PH_IN_FINISHING) {
    ph_incoming_violation (self, now, in, on, PH_SESSION_CODE_UNEXPECTED, "impossible segment");
    return;
  }
  if (number - in->next_segment >= PH_SESSION_SEGMENTS_MAX) {
    ph_incoming_violation (self, now, in, on, PH_SESSION_CODE_LIMIT, "too many segments");
    return;
  }
  for (unsigned i = 0; i < in->segments->len; i++) {
    if (((PhPeerStream *)in->segments->pdata[i])->segment.segment == number) {
      ph_incoming_violation (self, now, in, on, PH_SESSION_CODE_UNEXPECTED, "segment twice");
      return;
    }
  }
  stream->transfer = in;
  in->attempt_used = true;
  g_ptr_array_add (in->segments, stream);
}

/* --- Records ------------------------------------------------------------------------------------ */

static void
violation (PhSession *self, PhTime now, PhPeerStream *stream, PhSessionCode code,
           const char *reason)
{
  ph_incoming_violation (self, now, stream->transfer, stream->on, code, reason);
}

/* Reads a record's head from the start of `data`. False: it is not complete, or broken. */
static bool
read_head (PhSession *self, PhTime now, PhPeerStream *stream, PhBufSlice *data)
{
  const size_t had = stream->head->len;
  const size_t take = MIN (data->len, PH_RECORD_HEAD_MAX - had);
  size_t len = 0;
  PhSlice bytes = ph_slice (ph_buf_slice_data (data), data->len);

  if (had > 0) {
    g_byte_array_append (stream->head, bytes.data, (unsigned)take);
    bytes = ph_slice (stream->head->data, stream->head->len);
  }

  const PhFrameResult result = ph_record_head_decode (bytes, &stream->record, &len);

  if (result == PH_FRAME_MALFORMED) {
    violation (self, now, stream, PH_SESSION_CODE_MALFORMED, "malformed record");
    return false;
  }
  if (result == PH_FRAME_SHORT) {
    g_assert (take == data->len);
    if (had == 0)
      g_byte_array_append (stream->head, bytes.data, (unsigned)bytes.len);
    ph_session_consumed (stream->on, stream->id, take);
    data->off += take;
    data->len -= take;
    return false;
  }
  g_byte_array_set_size (stream->head, 0);
  ph_session_consumed (stream->on, stream->id, len - had);
  data->off += len - had;
  data->len -= len - had;
  stream->record_left = stream->record.len;
  return true;
}

/* False: the transfer is over, one way or the other. */
static bool
begin_record (PhSession *self, PhTime now, PhPeerStream *stream)
{
  PhIncoming *in = stream->transfer;
  const PhRecordHead *record = &stream->record;
  const bool first = in->first_record;

  in->first_record = false;
  if (record->type == PH_RECORD_FINISH) {
    if (in->file < ph_manifest_len (in->manifest) || !in->sink->klass->finish (in->sink)) {
      violation (self, now, stream, PH_SESSION_CODE_UNEXPECTED, "finished too early");
      return false;
    }
    ph_incoming_enter (self, now, in, PH_IN_FINISHING, "all bytes are here");
    return true;
  }

  if (in->file >= ph_manifest_len (in->manifest)) {
    violation (self, now, stream, PH_SESSION_CODE_UNEXPECTED, "a record after the last file");
    return false;
  }

  /* The sender's copy of what we have may differ: then its first record starts the file again. */
  if (first && record->file == in->file && record->offset == 0 && in->offset > 0) {
    in->offset = 0;
    in->bytes_durable = MIN (in->bytes_durable, in->bytes_before);
    ph_session_event (self, PH_SESSION_EVENT_FILE_RESTARTED, &in->id, false)->file = in->file;
  }
  if (record->file != in->file || record->offset != in->offset) {
    violation (self, now, stream, PH_SESSION_CODE_UNEXPECTED, "record out of order");
    return false;
  }

  const uint64_t left = ph_manifest_entry (in->manifest, in->file)->size - in->offset;

  if (record->len > left || (record->type == PH_RECORD_LAST && record->len < left)) {
    violation (self, now, stream, PH_SESSION_CODE_UNEXPECTED, "not the announced size");
    return false;
  }
  stream->in_digest = record->type == PH_RECORD_LAST && record->len == 0;
  return true;
}

static bool
read_bytes (PhSession *self, PhTime now, PhPeerStream *stream, PhBufSlice *data)
{
  PhIncoming *in = stream->transfer;
  const size_t n = (size_t)MIN (data->len, stream->record_left);
  const PhBufSlice part = {ph_buf_ref (data->buf), data->off, n};

  note_credit (in, stream, n);
  if (!in->sink->klass->write (in->sink, in->file, in->offset, part)) {
    violation (self, now, stream, PH_SESSION_CODE_UNEXPECTED, "the sink refused");
    return false;
  }
  data->off += n;
  data->len -= n;
  in->offset += n;
  stream->record_left -= n;
  if (stream->record_left == 0)
    stream->in_digest = stream->record.type == PH_RECORD_LAST;
  return true;
}

static bool
read_digest (PhSession *self, PhTime now, PhPeerStream *stream, PhBufSlice *data)
{
  PhIncoming *in = stream->transfer;
  const size_t n = MIN (data->len, PH_SHA256_LEN - stream->head->len);

  g_byte_array_append (stream->head, ph_buf_slice_data (data), (unsigned)n);
  ph_session_consumed (stream->on, stream->id, n);
  data->off += n;
  data->len -= n;
  if (stream->head->len < PH_SHA256_LEN)
    return true;

  stream->in_digest = false;
  if (!in->sink->klass->end_file (in->sink, in->file, stream->head->data)) {
    violation (self, now, stream, PH_SESSION_CODE_UNEXPECTED, "the sink refused an end");
    return false;
  }
  g_byte_array_set_size (stream->head, 0);
  in->bytes_before += in->offset;
  in->offset = 0;
  in->file = next_file (in->manifest, in->file + 1);
  return true;
}

/* Bytes of the segment whose turn it is. What is not used when the stream is dropped gets its credit. */
static void
process (PhSession *self, PhTime now, PhPeerStream *stream, PhBufSlice data)
{
  PhPeerLink *on = stream->on;
  const int64_t id = stream->id;
  bool more = true;

  while (more && data.len > 0 && stream->transfer != NULL) {
    if (stream->transfer->state == PH_IN_FINISHING) {
      violation (self, now, stream, PH_SESSION_CODE_UNEXPECTED, "bytes after the end");
      break;
    }
    if (stream->in_digest)
      more = read_digest (self, now, stream, &data);
    else if (stream->record_left > 0)
      more = read_bytes (self, now, stream, &data);
    else
      more = read_head (self, now, stream, &data) && begin_record (self, now, stream);
  }
  ph_session_consumed (on, id, data.len);
}

static bool
is_turn (const PhPeerStream *stream)
{
  return stream->segment.segment == stream->transfer->next_segment
         && !ph_incoming_is_early (stream);
}

static void
hold_early (PhSession *self, PhTime now, PhPeerStream *stream, const PhBufSlice *data)
{
  PhPeerLink *on = stream->on;
  const int64_t id = stream->id;

  if (stream->early->len + data->len > PH_SESSION_EARLY_MAX) {
    violation (self, now, stream, PH_SESSION_CODE_LIMIT, "too much before accept");
    ph_session_consumed (on, id, data->len);
    return;
  }
  g_byte_array_append (stream->early, ph_buf_slice_data (data), (unsigned)data->len);
  stream->held_bytes += data->len;
}

void
ph_incoming_handle_segment (PhSession *self, PhTime now, PhPeerStream *stream,
                            const PhBufSlice *data)
{
  if (is_turn (stream)) {
    process (self, now, stream, *data);
    return;
  }
  if (ph_incoming_is_early (stream)) {
    hold_early (self, now, stream, data);
    return;
  }

  PhBufSlice *held = g_new (PhBufSlice, 1);

  *held = *data;
  ph_buf_ref (held->buf);
  g_queue_push_tail (&stream->held, held);
  stream->held_bytes += held->len;
}

static void
process_held (PhSession *self, PhTime now, PhPeerStream *stream)
{
  while (stream->transfer != NULL && !g_queue_is_empty (&stream->held)) {
    g_autofree PhBufSlice *held = g_queue_pop_head (&stream->held);

    stream->held_bytes -= held->len;
    process (self, now, stream, *held);
    ph_buf_slice_clear (held);
  }
}

void
ph_incoming_end_segment (PhSession *self, PhTime now, PhPeerStream *stream)
{
  PhIncoming *in = stream->transfer;

  while (stream != NULL && is_turn (stream) && stream->fin) {
    if (stream->record_left > 0 || stream->in_digest || stream->head->len > 0) {
      violation (self, now, stream, PH_SESSION_CODE_MALFORMED, "segment ends in a record");
      return;
    }
    ph_session_end_stream (self, stream);
    in->next_segment++;

    stream = NULL;
    for (unsigned i = 0; i < in->segments->len && stream == NULL; i++) {
      PhPeerStream *next = in->segments->pdata[i];

      if (is_turn (next))
        stream = next;
    }
    if (stream == NULL)
      return;
    process_held (self, now, stream);
    if (stream->transfer == NULL)
      return;
  }
}

static void
take_early (PhSession *self, PhTime now, PhPeerStream *stream)
{
  const PhSlice bytes = ph_slice (stream->early->data, stream->early->len);
  PhBufSlice slice = {0};

  if (bytes.len > 0)
    slice = (PhBufSlice){ph_buf_new_copy (bytes), 0, bytes.len};
  g_clear_pointer (&stream->early, g_byte_array_unref);
  stream->held_bytes = 0;
  if (bytes.len > 0)
    process (self, now, stream, slice);
  ph_buf_slice_clear (&slice);
  if (stream->transfer != NULL && stream->fin)
    ph_incoming_end_segment (self, now, stream);
}
