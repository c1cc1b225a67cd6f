/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "tests/support/ph-memory-storage.h"

#include <nettle/sha2.h>

static void
sha256 (const void *data, size_t len, uint8_t out[PH_SHA256_LEN])
{
  struct sha256_ctx ctx;

  sha256_init (&ctx);
  sha256_update (&ctx, len, data);
  sha256_digest (&ctx, PH_SHA256_LEN, out);
}

static uint32_t
next_file (const PhManifest *manifest, uint32_t file)
{
  while (file < ph_manifest_len (manifest)
         && ph_manifest_entry (manifest, file)->kind != PH_ENTRY_FILE)
    file++;
  return file;
}

/* --- Files -------------------------------------------------------------------------------------- */

static void
bytes_clear (void *data)
{
  if (data != NULL)
    g_bytes_unref (data);
}

PhMemoryFiles *
ph_memory_files_new (PhRandom random)
{
  PhMemoryFiles *files = g_new0 (PhMemoryFiles, 1);

  files->contents = g_ptr_array_new_with_free_func (bytes_clear);
  files->random = random;
  files->chunk_max = 30000;
  files->fail_file = UINT32_MAX;
  files->corrupt_file = UINT32_MAX;
  return files;
}

void
ph_memory_files_free (PhMemoryFiles *files)
{
  if (files == NULL)
    return;
  g_clear_pointer (&files->manifest, ph_manifest_unref);
  g_ptr_array_unref (files->contents);
  g_free (files);
}

static void
add_file (PhMemoryFiles *files, PhManifestBuilder *builder, const char *path, uint64_t size)
{
  uint8_t *noise = g_malloc (MAX (size, 1));

  ph_random_bytes (&files->random, noise, size);
  g_ptr_array_add (files->contents, g_bytes_new_take (noise, size));
  g_assert_true (ph_manifest_builder_add (builder, PH_ENTRY_FILE, path, size, 1700000000));
}

void
ph_memory_files_fill (PhMemoryFiles *files, unsigned count, uint64_t size_max)
{
  PhManifestBuilder *builder = ph_manifest_builder_new ();
  g_autofree char *folder = g_strdup ("top");

  g_assert_true (ph_manifest_builder_add (builder, PH_ENTRY_FOLDER, folder, 0, 0));
  g_ptr_array_add (files->contents, NULL);
  for (unsigned i = 1; i < count; i++) {
    const uint64_t dice = ph_random_below (&files->random, 16);
    g_autofree char *path = g_strdup_printf ("%s/%u", folder, i);

    if (dice == 0) {
      g_assert_true (ph_manifest_builder_add (builder, PH_ENTRY_FOLDER, path, 0, 0));
      g_ptr_array_add (files->contents, NULL);
      if (strlen (path) < 100) {
        g_free (folder);
        folder = g_steal_pointer (&path);
      }
    } else {
      add_file (files, builder, path,
                dice == 1 ? 0 : ph_random_below (&files->random, size_max + 1));
    }
  }
  files->manifest = ph_manifest_builder_end (builder);
}

void
ph_memory_files_fill_one (PhMemoryFiles *files, uint64_t size)
{
  PhManifestBuilder *builder = ph_manifest_builder_new ();

  add_file (files, builder, "big", size);
  files->manifest = ph_manifest_builder_end (builder);
}

void
ph_memory_files_change (PhMemoryFiles *files, uint32_t file, uint64_t at)
{
  gsize len;
  uint8_t *data = g_bytes_unref_to_data (files->contents->pdata[file], &len);

  g_assert_cmpuint (at, <, len);
  data[at] ^= 0x40;
  files->contents->pdata[file] = g_bytes_new_take (data, len);
}

/* --- Source ------------------------------------------------------------------------------------- */

typedef struct {
  PhSource base;
  PhMemoryFiles *files; /* borrowed */
  uint32_t file;
  uint64_t offset;
  bool stopped;
} MemorySource;

static void
source_free (PhSource *source)
{
  g_free (source);
}

static void
source_seek (PhSource *source, const PhResumePoint *point)
{
  MemorySource *self = (MemorySource *)source;
  uint8_t prefix[PH_SHA256_LEN];

  self->files->seeks++;
  self->file = 0;
  self->offset = 0;
  if (point == NULL)
    return;
  self->file = point->file;
  if (point->offset == 0)
    return;

  sha256 (g_bytes_get_data (self->files->contents->pdata[point->file], NULL), point->offset,
          prefix);
  if (memcmp (prefix, point->prefix_sha256, PH_SHA256_LEN) == 0)
    self->offset = point->offset;
}

static PhSourceResult
source_take (PhSource *source, PhSourceChunk *ret_chunk)
{
  MemorySource *self = (MemorySource *)source;
  PhMemoryFiles *files = self->files;
  PhSourceChunk chunk = {0};
  gsize len;

  g_assert_false (self->stopped);
  self->file = next_file (files->manifest, self->file);
  if (self->file == ph_manifest_len (files->manifest))
    return PH_SOURCE_END;
  if (files->stutters && ph_random_below (&files->random, 4) == 0) {
    files->ready_due = true;
    return PH_SOURCE_WAIT;
  }

  chunk.file = self->file;
  chunk.offset = self->offset;
  if (self->file == files->fail_file) {
    self->stopped = true;
    chunk.error = files->fail_error;
    g_strlcpy (chunk.message, "told to fail", sizeof chunk.message);
    *ret_chunk = chunk;
    return PH_SOURCE_ERROR;
  }

  const uint8_t *data = g_bytes_get_data (files->contents->pdata[self->file], &len);
  const size_t most = 1 + (size_t)ph_random_below (&files->random, files->chunk_max);
  const size_t n = MIN (len - self->offset, most);

  if (n > 0)
    chunk.data = (PhBufSlice){ph_buf_new_copy (ph_slice (data + self->offset, n)), 0, n};
  self->offset += n;
  chunk.end = self->offset == len;
  if (chunk.end) {
    sha256 (data, len, chunk.sha256);
    if (self->file == files->corrupt_file && files->corrupt_times > 0) {
      files->corrupt_times--;
      chunk.sha256[0] ^= 1;
    }
    self->file++;
    self->offset = 0;
  }
  *ret_chunk = chunk;
  return PH_SOURCE_CHUNK;
}

static const PhSourceClass memory_source_class = {source_free, source_seek, source_take};

PhSource *
ph_memory_source_new (PhMemoryFiles *files)
{
  MemorySource *self = g_new0 (MemorySource, 1);

  self->base.klass = &memory_source_class;
  self->files = files;
  files->sources++;
  return &self->base;
}

/* --- Disk --------------------------------------------------------------------------------------- */

PhMemoryDisk *
ph_memory_disk_new (PhRandom random, PhManifest *manifest)
{
  PhMemoryDisk *disk = g_new0 (PhMemoryDisk, 1);

  disk->manifest = ph_manifest_ref (manifest);
  disk->contents = g_ptr_array_new_with_free_func ((GDestroyNotify)g_byte_array_unref);
  for (uint32_t i = 0; i < ph_manifest_len (manifest); i++)
    g_ptr_array_add (disk->contents, g_byte_array_new ());
  disk->random = random;
  disk->checkpoint_bytes = 50000;
  disk->fail_after = UINT64_MAX;
  return disk;
}

void
ph_memory_disk_free (PhMemoryDisk *disk)
{
  if (disk == NULL)
    return;
  g_assert_null (disk->sink);
  ph_manifest_unref (disk->manifest);
  g_ptr_array_unref (disk->contents);
  g_free (disk);
}

void
ph_memory_disk_check (const PhMemoryDisk *disk, const PhMemoryFiles *files)
{
  g_assert_true (disk->finished);
  g_assert_false (disk->discarded);
  for (uint32_t i = 0; i < ph_manifest_len (disk->manifest); i++) {
    const GByteArray *got = disk->contents->pdata[i];
    gsize len;
    const void *want;

    if (ph_manifest_entry (disk->manifest, i)->kind != PH_ENTRY_FILE) {
      g_assert_cmpuint (got->len, ==, 0);
      continue;
    }
    want = g_bytes_get_data (files->contents->pdata[i], &len);
    g_assert_cmpuint (got->len, ==, len);
    g_assert_true (len == 0 || memcmp (got->data, want, len) == 0);
  }
}

/* --- Sink --------------------------------------------------------------------------------------- */

typedef enum { OP_WRITE, OP_END, OP_FINISH } OpType;

typedef struct {
  OpType type;
  uint32_t file;
  uint64_t offset;
  PhBufSlice data;
  uint8_t sha256[PH_SHA256_LEN];
} Op;

struct _PhMemorySink {
  PhSink base;
  PhMemoryDisk *disk; /* borrowed */
  GQueue ops; /* Op*, owned */
  GQueue events; /* PhSinkEvent*, owned */
  uint64_t queued_bytes;
  /* Where the next write must go, and where the last one has come to. */
  uint32_t file;
  uint64_t offset;
  uint32_t written_file;
  struct sha256_ctx ctx;
  bool rewinding; /* a restart was told: what is written until resume_point() is thrown away */
  bool failed;
};

static void
op_free (void *data)
{
  Op *op = data;

  ph_buf_slice_clear (&op->data);
  g_free (op);
}

static GByteArray *
content (const PhMemorySink *self, uint32_t file)
{
  return self->disk->contents->pdata[file];
}

static PhSinkEvent *
tell (PhMemorySink *self, PhSinkEventType type)
{
  PhSinkEvent *event = g_new0 (PhSinkEvent, 1);

  event->type = type;
  g_queue_push_tail (&self->events, event);
  return event;
}

static void
written_point (const PhMemorySink *self, PhResumePoint *ret_point)
{
  struct sha256_ctx copy = self->ctx;

  *ret_point = (PhResumePoint){.file = self->written_file};
  if (self->written_file == ph_manifest_len (self->disk->manifest))
    return;
  ret_point->offset = content (self, self->written_file)->len;
  if (ret_point->offset > 0)
    sha256_digest (&copy, PH_SHA256_LEN, ret_point->prefix_sha256);
}

static void
drop_ops (PhMemorySink *self)
{
  g_queue_clear_full (&self->ops, op_free);
  self->queued_bytes = 0;
}

static void
checkpoint (PhMemorySink *self)
{
  written_point (self, &self->disk->durable);
  self->disk->since_checkpoint = 0;
  tell (self, PH_SINK_DURABLE)->point = self->disk->durable;
}

static void
do_write (PhMemorySink *self, Op *op)
{
  PhMemoryDisk *disk = self->disk;
  GByteArray *to = content (self, op->file);

  if (disk->bytes_written + op->data.len > disk->fail_after) {
    PhSinkEvent *event = tell (self, PH_SINK_ERROR);

    event->error = disk->fail_error != PH_STORAGE_OK ? disk->fail_error : PH_STORAGE_NO_SPACE;
    event->point.file = op->file;
    g_strlcpy (event->message, "full", sizeof event->message);
    self->failed = true;
    return;
  }
  if (op->offset == 0) {
    g_byte_array_set_size (to, 0);
    sha256_init (&self->ctx);
    if (disk->durable.file == op->file)
      disk->durable.offset = 0;
  }
  g_assert_cmpuint (to->len, ==, op->offset);
  g_byte_array_append (to, ph_buf_slice_data (&op->data), (unsigned)op->data.len);
  sha256_update (&self->ctx, op->data.len, ph_buf_slice_data (&op->data));
  disk->bytes_written += op->data.len;
  disk->since_checkpoint += op->data.len;
  tell (self, PH_SINK_WRITTEN)->bytes = op->data.len;
  if (disk->since_checkpoint >= disk->checkpoint_bytes)
    checkpoint (self);
}

static void
do_end (PhMemorySink *self, Op *op)
{
  uint8_t digest[PH_SHA256_LEN];

  sha256_digest (&self->ctx, PH_SHA256_LEN, digest);
  sha256_init (&self->ctx);
  if (memcmp (digest, op->sha256, PH_SHA256_LEN) == 0) {
    self->written_file = next_file (self->disk->manifest, op->file + 1);
    return;
  }
  g_byte_array_set_size (content (self, op->file), 0);
  if (self->disk->durable.file == op->file)
    self->disk->durable.offset = 0;
  self->rewinding = true;
  tell (self, PH_SINK_RESTART)->point.file = op->file;
}

static bool
work_one (PhMemorySink *self)
{
  Op *op = g_queue_pop_head (&self->ops);

  if (op == NULL)
    return false;
  self->queued_bytes -= op->data.len;
  if (!self->rewinding && !self->failed) {
    switch (op->type) {
    case OP_WRITE:
      do_write (self, op);
      break;
    case OP_END:
      do_end (self, op);
      break;
    case OP_FINISH:
      checkpoint (self);
      self->disk->finished = true;
      tell (self, PH_SINK_FINISHED);
      break;
    }
  }
  op_free (op);
  return true;
}

static void
sink_free (PhSink *sink)
{
  PhMemorySink *self = (PhMemorySink *)sink;

  drop_ops (self);
  g_queue_clear_full (&self->events, g_free);
  self->disk->sink = NULL;
  g_free (self);
}

static void
sink_resume_point (PhSink *sink, PhResumePoint *ret_point)
{
  PhMemorySink *self = (PhMemorySink *)sink;

  /* Either is allowed: what was queued is finished, or dropped. */
  if (ph_random_below (&self->disk->random, 2) == 0) {
    while (work_one (self))
      ;
  }
  drop_ops (self);
  self->rewinding = false;
  written_point (self, ret_point);
  self->file = ret_point->file;
  self->offset = ret_point->offset;
}

static bool
sink_write (PhSink *sink, uint32_t file, uint64_t offset, PhBufSlice data)
{
  PhMemorySink *self = (PhMemorySink *)sink;
  Op op = {.type = OP_WRITE, .file = file, .offset = offset, .data = data};

  g_assert_cmpuint (data.len, >, 0);
  if (self->rewinding || self->failed) {
    ph_buf_slice_clear (&data);
    return true;
  }
  if (file != self->file || (offset != self->offset && offset != 0)
      || offset + data.len > ph_manifest_entry (self->disk->manifest, file)->size) {
    ph_buf_slice_clear (&data);
    return false;
  }
  self->offset = offset + data.len;
  self->queued_bytes += data.len;
  self->disk->queued_bytes_max = MAX (self->disk->queued_bytes_max, self->queued_bytes);
  g_queue_push_tail (&self->ops, g_memdup2 (&op, sizeof op));
  return true;
}

static bool
sink_end_file (PhSink *sink, uint32_t file, const uint8_t digest[PH_SHA256_LEN])
{
  PhMemorySink *self = (PhMemorySink *)sink;
  Op op = {.type = OP_END, .file = file};

  if (self->rewinding || self->failed)
    return true;
  if (file != self->file || self->offset != ph_manifest_entry (self->disk->manifest, file)->size)
    return false;
  memcpy (op.sha256, digest, PH_SHA256_LEN);
  g_queue_push_tail (&self->ops, g_memdup2 (&op, sizeof op));
  self->file = next_file (self->disk->manifest, file + 1);
  self->offset = 0;
  return true;
}

static bool
sink_finish (PhSink *sink)
{
  PhMemorySink *self = (PhMemorySink *)sink;
  const Op op = {.type = OP_FINISH};

  if (self->rewinding || self->failed)
    return true;
  if (self->file != ph_manifest_len (self->disk->manifest))
    return false;
  g_queue_push_tail (&self->ops, g_memdup2 (&op, sizeof op));
  return true;
}

static void
sink_discard (PhSink *sink)
{
  PhMemorySink *self = (PhMemorySink *)sink;

  g_assert_false (self->disk->finished);
  drop_ops (self);
  self->disk->discarded = true;
}

static bool
sink_poll_event (PhSink *sink, PhSinkEvent *ret_event)
{
  g_autofree PhSinkEvent *event = g_queue_pop_head (&((PhMemorySink *)sink)->events);

  if (event == NULL)
    return false;
  *ret_event = *event;
  return true;
}

static const PhSinkClass memory_sink_class = {
    sink_free,   sink_resume_point, sink_write,      sink_end_file,
    sink_finish, sink_discard,      sink_poll_event,
};

PhSink *
ph_memory_sink_new (PhMemoryDisk *disk)
{
  PhMemorySink *self = g_new0 (PhMemorySink, 1);

  g_assert_null (disk->sink);
  self->base.klass = &memory_sink_class;
  self->disk = disk;
  disk->sink = self;
  disk->sinks++;
  disk->since_checkpoint = 0;
  g_queue_init (&self->ops);
  g_queue_init (&self->events);

  self->file = self->written_file = next_file (disk->manifest, disk->durable.file);
  sha256_init (&self->ctx);
  for (uint32_t i = self->file; i < ph_manifest_len (disk->manifest); i++)
    g_byte_array_set_size (content (self, i),
                           i == disk->durable.file ? (unsigned)disk->durable.offset : 0);
  if (self->file < ph_manifest_len (disk->manifest)) {
    const GByteArray *kept = content (self, self->file);

    self->offset = kept->len;
    sha256_update (&self->ctx, kept->len, kept->data);
  }
  return &self->base;
}

bool
ph_memory_disk_work (PhMemoryDisk *disk, unsigned ops)
{
  bool worked = false;

  for (unsigned i = 0; i < ops && disk->sink != NULL && work_one (disk->sink); i++)
    worked = true;
  return worked;
}
