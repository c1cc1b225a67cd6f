/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sources and sinks that live in memory, as disobedient as real ones: they make one wait, they finish
 * writes when they like, and they can be told to fail.
 *
 * PhMemoryFiles is what a sender has; PhMemoryDisk what a receiver's disk keeps over a crash. Both outlive
 * their sources and sinks. A sink does its writes in ph_memory_disk_work(), which stands for the
 * worker thread. */

#pragma once

#include "app/engine/ph-storage.h"
#include "net/base/ph-random.h"

typedef struct {
  PhManifest *manifest; /* owned */
  GPtrArray *contents; /* GBytes, owned; one an entry, NULL for folders */
  PhRandom random;
  size_t chunk_max;
  bool stutters; /* says WAIT now and then */
  bool ready_due; /* said WAIT: the session must be told that more is there */
  uint32_t fail_file; /* this one cannot be read, with `fail_error`; UINT32_MAX: none */
  PhStorageError fail_error;
  uint32_t corrupt_file; /* its digest is given wrong `corrupt_times` */
  unsigned corrupt_times;
  unsigned sources; /* how many were made */
  unsigned seeks;
} PhMemoryFiles;

PhMemoryFiles *ph_memory_files_new (PhRandom random);
void ph_memory_files_free (PhMemoryFiles *files);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhMemoryFiles, ph_memory_files_free)
/* `count` entries: folders now and then, empty files, files up to `size_max` bytes of noise. */
void ph_memory_files_fill (PhMemoryFiles *files, unsigned count, uint64_t size_max);
/* One file "big". */
void ph_memory_files_fill_one (PhMemoryFiles *files, uint64_t size);
/* Changes one byte of a file behind everybody's back. */
void ph_memory_files_change (PhMemoryFiles *files, uint32_t file, uint64_t at);
PhSource *ph_memory_source_new (PhMemoryFiles *files);

typedef struct _PhMemorySink PhMemorySink;

typedef struct {
  PhManifest *manifest; /* owned */
  GPtrArray *contents; /* GByteArray, owned: what is on disk */
  PhRandom random;
  PhResumePoint durable;
  uint64_t checkpoint_bytes; /* every so many bytes are made durable */
  uint64_t bytes_written; /* in all, repetitions included */
  uint64_t since_checkpoint;
  bool finished;
  bool discarded;
  uint64_t fail_after; /* bytes after which it is full; UINT64_MAX: never */
  PhStorageError fail_error; /* what that is; OK: PH_STORAGE_NO_SPACE */
  unsigned sinks; /* how many were made */
  uint64_t queued_bytes_max; /* most that ever waited to be written */
  PhMemorySink *sink; /* the live one, borrowed */
} PhMemoryDisk;

PhMemoryDisk *ph_memory_disk_new (PhRandom random, PhManifest *manifest);
void ph_memory_disk_free (PhMemoryDisk *disk);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhMemoryDisk, ph_memory_disk_free)
/* A sink at the durable point; what was written beyond it is forgotten, as by a power cut. */
PhSink *ph_memory_sink_new (PhMemoryDisk *disk);
/* Does up to `ops` of what waits. False if nothing waited. The session is to be told afterwards. */
bool ph_memory_disk_work (PhMemoryDisk *disk, unsigned ops);
/* Asserts that the disk holds exactly what `files` does. */
void ph_memory_disk_check (const PhMemoryDisk *disk, const PhMemoryFiles *files);
