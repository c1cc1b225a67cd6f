/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A recorder of what this process does to two folders, and what a power cut would leave of it.
 *
 * A program that links this has the C library's writing and syncing functions through it (SQLite's calls
 * too), and openat2(2). Between _start() and _stop() every change below the two roots, and every sync, is noted
 * in the order in which it happened. _rebuild() makes the folders as they may be found if the power goes
 * after the first `n` of that:
 *   - bytes and size of a file are there for sure if the file was synced after they were written
 *   - a name (of a new file, a move, a removal) if the folder that it is in was synced after that
 *   - or the root was, with syncfs(2)
 *   - what was not synced may be there or not, each write and each name for itself, in any order; of a
 *     write each page for itself, and what is missing of a file that got its length is zeros
 * A move is the one thing that happens whole or not at all. That is less than any of the usual file systems
 * promises. What is mapped (SQLite's -shm file, which is made again) is not seen, and left out.
 *
 * One recording at a time; not for calls that fail half way. Nothing is really synced, at any time. */

#pragma once

#include "app/engine/ph-storage.h"
#include "net/base/ph-random.h"

#define POWER_ROOTS 2

typedef enum {
  POWER_SET, /* `name` in `dir` is `node` */
  POWER_CLEAR, /* `name` in `dir` is nothing */
  POWER_MOVE, /* what was `old_name` in `old_dir` is `name` in `dir` */
  POWER_WRITE,
  POWER_SIZE,
  POWER_SYNC,
  POWER_SYNC_ROOT,
  POWER_MARK,
} PowerKind;

typedef struct {
  PowerKind kind;
  unsigned node; /* SYNC_ROOT: the root */
  unsigned dir;
  unsigned old_dir;
  char *name;
  char *old_name;
  uint64_t offset; /* SIZE: the size */
  uint8_t *bytes;
  size_t len;
  struct timespec mtime; /* after WRITE and SIZE */
  unsigned mark;
  PhResumePoint point;
} PowerOp;

typedef enum {
  POWER_LOSE_ALL, /* what was not synced is lost */
  POWER_LOSE_NONE, /* only the program ended */
  POWER_LOSE_SOME, /* as `random` has it */
} PowerLoss;

/* What is there already is durable. */
void power_log_start (const char *const roots[POWER_ROOTS]);
/* Something was promised: noted with the next number. Any thread. */
void power_log_mark (unsigned mark, const PhResumePoint *point);
void power_log_stop (void);
void power_log_free (void);

size_t power_log_len (void);
const PowerOp *power_log_op (size_t i);

/* Into two empty folders. */
void power_log_rebuild (size_t n, PowerLoss loss, const PhRandom *random,
                        const char *const roots[POWER_ROOTS]);
/* The number that the file with this inode number got in the last _rebuild(). 0: it is not there. */
uint64_t power_log_inode (uint64_t was);
