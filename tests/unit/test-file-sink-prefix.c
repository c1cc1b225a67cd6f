/* SPDX-License-Identifier: GPL-3.0-or-later */
/* After a crash of the receiver what there is of a large file is read again. The sender does not wait for that, and
 * nothing is trusted before it (threats.md 5, 7). */

#include "tests/unit/file-sink-fixture.h"

#include <sys/syscall.h>

/* --- A disk that is slow to read ----------------------------------------------------------------- */

static struct {
  GMutex lock;
  GCond cond;
  bool shut;
  bool reached; /* somebody waits at it */
} gate;

/* Stands before the C library's, for the sink as well, which reads its prefix with it and nothing else. */
ssize_t
pread (int fd, void *buf, size_t len, off_t offset)
{
  g_mutex_lock (&gate.lock);
  gate.reached = true;
  g_cond_broadcast (&gate.cond);
  while (gate.shut)
    g_cond_wait (&gate.cond, &gate.lock);
  g_mutex_unlock (&gate.lock);
  return syscall (SYS_pread64, fd, buf, len, offset);
}

static void
shut_gate (void)
{
  g_mutex_lock (&gate.lock);
  gate.shut = true;
  gate.reached = false;
  g_mutex_unlock (&gate.lock);
}

static void
open_gate (void)
{
  g_mutex_lock (&gate.lock);
  gate.shut = false;
  g_cond_broadcast (&gate.cond);
  g_mutex_unlock (&gate.lock);
}

static void
wait_at_gate (void)
{
  g_mutex_lock (&gate.lock);
  while (!gate.reached)
    g_cond_wait (&gate.cond, &gate.lock);
  g_mutex_unlock (&gate.lock);
}

/* --- A crash -------------------------------------------------------------------------------------- */

/* Half of the big file was there and noted, and some more was written. */
static void
crash_half_way (Fixture *f)
{
  g_autofree char *big = part_path (f, "tree/big");
  int fd;

  half_way (f);
  fd = open (big, O_WRONLY | O_APPEND);
  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (write (fd, "not noted", 9), ==, 9);
  close (fd);
  f->written = 0;
}

static void
edit_prefix (Fixture *f)
{
  g_autofree char *big = part_path (f, "tree/big");
  const int fd = open (big, O_WRONLY);

  g_assert_cmpint (pwrite (fd, "?", 1, 1000), ==, 1);
  close (fd);
}

/* Goes on, up to `to`, with what is there still unread. */
static void
go_on_unread (Fixture *f, uint64_t to)
{
  PhResumePoint point;

  shut_gate ();
  start (f);
  f->sink->klass->resume_point (f->sink, &point);
  g_assert_cmpuint (point.file, ==, 1);
  g_assert_cmpuint (point.offset, ==, BIG / 2);
  g_assert_true (send_bytes (f, 1, point.offset, to, 5000));
  wait_at_gate ();
  while (f->written < to - BIG / 2)
    wait_for (f, &(bool){true});
  g_assert_cmpint (f->error, ==, PH_STORAGE_OK);
}

static void
wait_for_commits (Fixture *f, unsigned commits)
{
  bool there = false;

  while (!there) {
    g_mutex_lock (&f->journal.lock);
    there = f->journal.commits >= commits;
    g_mutex_unlock (&f->journal.lock);
    g_usleep (1000);
  }
}

/* --- The tests ------------------------------------------------------------------------------------ */

static void
test_goes_on_at_once (Fixture *f, gconstpointer data)
{
  crash_half_way (f);
  f->checkpoint_bytes = 100000;

  const unsigned commits = f->journal.commits;

  /* All of the file is written, and some of it committed, before any of it was read. */
  go_on_unread (f, BIG);
  wait_for_commits (f, commits + 1);
  g_assert_true (end_file (f, 1));
  g_assert_true (end_file (f, 2));
  g_assert_true (send_bytes (f, 5, 0, 10000, 1000));
  g_assert_true (end_file (f, 5));
  g_assert_true (send_bytes (f, 6, 0, 3, 3));
  g_assert_true (end_file (f, 6));
  g_assert_true (f->sink->klass->finish (f->sink));
  poll_events (f);
  g_assert_false (f->has_durable);
  g_assert_cmpuint (f->journal.last.file, ==, 1);
  open_gate ();
  wait_for (f, &f->finished);
  g_assert_true (f->finished);
  g_assert_true (f->has_durable);
  g_assert_cmpuint (f->restarts, ==, 0);
  assert_tree (f, "tree", "z.txt");
}

/* What is told durable follows as soon as it is known to be true, without another byte. */
static void
test_durable_follows (Fixture *f, gconstpointer data)
{
  crash_half_way (f);
  go_on_unread (f, BIG - 1000);
  g_assert_false (f->has_durable);
  open_gate ();
  while (!f->has_durable || f->durable.offset < BIG - 1000)
    wait_for (f, &(bool){true});
  g_assert_cmpuint (f->durable.file, ==, 1);
  g_assert_cmpuint (f->journal.last.part_inode, !=, 0);
}

static void
test_wrong (Fixture *f, gconstpointer data)
{
  const bool whole = GPOINTER_TO_INT (data);

  crash_half_way (f);
  edit_prefix (f);
  go_on_unread (f, whole ? BIG : BIG - 1000);
  if (whole)
    g_assert_true (end_file (f, 1));
  open_gate ();
  while (f->restarts == 0)
    wait_for (f, &(bool){true});
  g_assert_false (f->has_durable);
  deliver (f);
  g_assert_true (f->finished);
  g_assert_cmpuint (f->restarts, ==, 1);
  assert_tree (f, "tree", "z.txt");
}

static gpointer
free_sink (gpointer data)
{
  stop (data);
  return NULL;
}

/* Ended again before it was read: what was written meanwhile counts, and the next run reads all of it, whatever it
 * looks like. */
static void
test_ended_unread (Fixture *f, gconstpointer data)
{
  const bool edited = GPOINTER_TO_INT (data);
  GThread *thread;

  crash_half_way (f);
  go_on_unread (f, BIG / 2 + 1000000);
  thread = g_thread_new ("free", free_sink, f);
  /* The last checkpoint is made before the reader is waited for. */
  while (f->journal.last.offset != BIG / 2 + 1000000)
    wait_for_commits (f, 1);
  open_gate ();
  g_thread_join (thread);
  g_assert_false (f->has_durable);
  g_assert_cmpuint (f->journal.last.part_inode, ==, 0);
  if (edited)
    edit_prefix (f);
  f->written = 0;
  start (f);
  deliver (f);
  g_assert_true (f->finished);
  g_assert_cmpuint (f->restarts, ==, edited);
  if (!edited)
    g_assert_cmpuint (f->written, ==, ph_manifest_bytes (f->manifest) - BIG / 2 - 1000000);
  assert_tree (f, "tree", "z.txt");
}

/* The sender's copy is another one: it starts the file over, and nobody needs what was read. */
static void
test_sender_starts_over (Fixture *f, gconstpointer data)
{
  crash_half_way (f);
  go_on_unread (f, BIG / 2 + 100000);
  g_assert_true (send_bytes (f, 1, 0, 1000, 1000));
  open_gate ();
  g_assert_true (send_bytes (f, 1, 1000, BIG, 5000));
  g_assert_true (end_file (f, 1));
  send_from (f, &(PhResumePoint){.file = 2});
  wait_for (f, &f->finished);
  g_assert_true (f->finished);
  g_assert_cmpuint (f->restarts, ==, 0);
  assert_tree (f, "tree", "z.txt");
}

#define ADD(name, data, func)                                                                      \
  g_test_add ("/file-sink-prefix/" name, Fixture, GINT_TO_POINTER (data), set_up, func, tear_down)

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  ADD ("goes-on-at-once", 0, test_goes_on_at_once);
  ADD ("durable-follows", 0, test_durable_follows);
  ADD ("wrong", false, test_wrong);
  ADD ("wrong-when-all-is-there", true, test_wrong);
  ADD ("ended-unread", false, test_ended_unread);
  ADD ("ended-unread-and-edited", true, test_ended_unread);
  ADD ("sender-starts-over", 0, test_sender_starts_over);
  return g_test_run ();
}
