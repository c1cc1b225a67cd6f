/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How fast files go through the file source and the file sink alone, handed over in memory: the bound
 * on what a transfer between two disks can reach.
 *
 *   bench-storage DIR [FILES [BYTES-EACH [source]]]
 *
 * DIR should be on a tmpfs for the cost of the code, on a disk for the cost of durability; `source`
 * measures the reading side alone. Prints one line of JSON. */

#include "app/engine/ph-file-sink.h"
#include "app/engine/ph-file-source.h"
#include "app/engine/ph-scan.h"
#include "app/store/ph-store-transfers.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* What a link's flow control would let into the sink. */
#define WINDOW (4u << 20)

typedef struct {
  GMutex lock;
  GCond cond;
  bool is_ready;
} Waiter;

static void
on_ready (void *user)
{
  Waiter *waiter = user;

  g_mutex_lock (&waiter->lock);
  waiter->is_ready = true;
  g_cond_signal (&waiter->cond);
  g_mutex_unlock (&waiter->lock);
}

static void
wait_ready (Waiter *waiter)
{
  g_mutex_lock (&waiter->lock);
  while (!waiter->is_ready)
    g_cond_wait (&waiter->cond, &waiter->lock);
  waiter->is_ready = false;
  g_mutex_unlock (&waiter->lock);
}

typedef struct {
  PhStore *store;
  uint8_t id[PH_STORE_TRANSFER_LEN];
} Journal;

static bool
commit (void *user, const PhStoreCheckpoint *checkpoint, GError **error)
{
  Journal *journal = user;

  return ph_store_put_checkpoint (journal->store, journal->id, checkpoint, error);
}

static void
make_files (const char *dir, unsigned files, size_t size)
{
  g_autofree char *data = g_malloc (size > 0 ? size : 1);

  for (size_t i = 0; i < size; i++)
    data[i] = (char)(i * 31 + (i >> 12));
  for (unsigned i = 0; i < files; i++) {
    g_autofree char *folder = g_strdup_printf ("%s/src/%u", dir, i / 1000);
    g_autofree char *path = g_strdup_printf ("%s/%u", folder, i);

    g_mkdir_with_parents (folder, 0755);

    FILE *file = fopen (path, "w");

    if (file == NULL || fwrite (data, 1, size, file) != size || fclose (file) != 0)
      g_error ("cannot write %s", path);
  }
}

/* False: the window is full, or the sink has more to say. */
static bool
drain_sink (PhSink *sink, uint64_t *in_flight, bool *finished)
{
  PhSinkEvent event;

  while (sink->klass->poll_event (sink, &event)) {
    if (event.type == PH_SINK_WRITTEN)
      *in_flight -= event.bytes;
    else if (event.type == PH_SINK_FINISHED)
      *finished = true;
    else if (event.type == PH_SINK_ERROR || event.type == PH_SINK_RESTART)
      g_error ("sink: %s", event.message);
  }
  return *in_flight < WINDOW;
}

static void
run (PhSource *source, PhSink *sink, Waiter *waiter)
{
  PhSourceChunk chunk;
  uint64_t in_flight = 0;
  bool finished = false;

  if (sink != NULL) {
    PhResumePoint point;

    sink->klass->resume_point (sink, &point);
  }
  while (!finished) {
    PhSourceResult result = PH_SOURCE_WAIT;

    while ((sink == NULL || drain_sink (sink, &in_flight, &finished))
           && (result = source->klass->take (source, &chunk)) == PH_SOURCE_CHUNK) {
      if (sink == NULL) {
        ph_buf_slice_clear (&chunk.data);
        continue;
      }
      in_flight += chunk.data.len;
      g_assert (sink->klass->write (sink, chunk.file, chunk.offset, chunk.data));
      if (chunk.end)
        g_assert (sink->klass->end_file (sink, chunk.file, chunk.sha256));
    }
    if (result == PH_SOURCE_ERROR)
      g_error ("source: %s", chunk.message);
    if (result == PH_SOURCE_END) {
      if (sink == NULL)
        return;
      g_assert (sink->klass->finish (sink));
      drain_sink (sink, &in_flight, &finished);
    }
    if (!finished)
      wait_ready (waiter);
  }
}

static double
cpu_seconds (void)
{
  struct rusage usage;

  getrusage (RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
         + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

int
main (int argc, char **argv)
{
  if (argc < 2) {
    g_printerr ("usage: bench-storage DIR [FILES [BYTES-EACH [source]]]\n");
    return 2;
  }

  const unsigned files = argc > 2 ? (unsigned)strtoul (argv[2], NULL, 0) : 1;
  const size_t size = argc > 3 ? strtoull (argv[3], NULL, 0) : 1u << 30;
  g_autofree char *src = g_build_filename (argv[1], "src", NULL);
  g_autofree char *dst = g_build_filename (argv[1], "dst", NULL);
  g_autofree char *profile = g_build_filename (argv[1], "profile", NULL);
  const char *const paths[] = {src, NULL};
  Waiter waiter = {0};
  Journal journal = {.id = {1}};
  g_autoptr (GError) error = NULL;

  make_files (argv[1], files, size);
  g_mkdir_with_parents (dst, 0755);
  journal.store = ph_store_open (profile, &error);
  if (journal.store == NULL)
    g_error ("%s", error->message);

  const gint64 scanning = g_get_monotonic_time ();
  g_autoptr (PhScanResult) scan = ph_scan_paths (paths);
  const gint64 scanned = g_get_monotonic_time ();
  const double cpu = cpu_seconds ();

  g_assert (scan->status == PH_SCAN_OK);

  const PhStoreTransfer row = {.id = {1}, .incoming = true, .created_at = 1};
  g_autoptr (GBytes) encoded = ph_manifest_encode (scan->manifest);

  g_assert (ph_store_add_transfer (journal.store, &row, encoded, NULL, NULL));

  const PhFileSourceConfig source_config = {.manifest = scan->manifest,
                                            .roots = (const char *const *)scan->roots,
                                            .ready = on_ready,
                                            .user = &waiter};
  const PhFileSinkConfig sink_config = {.manifest = scan->manifest,
                                        .folder = dst,
                                        .transfer = {1},
                                        .journal = {commit, &journal, profile},
                                        .ready = on_ready,
                                        .user = &waiter};
  PhSource *source = ph_file_source_new (&source_config);
  PhSink *sink = argc > 4 ? NULL : ph_file_sink_new (&sink_config);

  run (source, sink, &waiter);

  const double seconds = (double)(g_get_monotonic_time () - scanned) / 1e6;
  const double bytes = (double)files * (double)size;

  g_print ("{\"case\":\"storage\",\"files\":%u,\"bytes\":%.0f,\"seconds\":%.3f,\"mb_per_s\":%.0f,"
           "\"files_per_s\":%.0f,\"scan_ms\":%d,\"cpu_seconds\":%.2f}\n",
           files, bytes, seconds, bytes / seconds / 1e6, files / seconds,
           (int)((scanned - scanning) / 1000), cpu_seconds () - cpu);
  source->klass->free (source);
  if (sink != NULL)
    sink->klass->free (sink);
  ph_store_close (journal.store);
  return 0;
}
