/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/rendezvous/ph-shards.h"
#include "tests/support/ph-test.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <sys/socket.h>
#include <unistd.h>

/* Several shards, and the last of them not full. */
#define MANY (4 * PH_SHARD_MEMBERS_MAX + 3)
/* Everything that can happen without anybody doing anything. */
static void
run_dry (void)
{
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

/* --- A member: one end of a pair of sockets ----------------------------------------------------- */

typedef struct {
  PhShard *shard;
  int fd;
  int other; /* the test's end */
  GSource *source;
  GMainContext *context; /* the default one when it was last called */
  GIOCondition condition; /* then */
  unsigned calls;
  char read; /* the last byte */
} Member;

static gboolean
on_member (int fd, GIOCondition condition, void *user)
{
  Member *member = user;

  member->calls++;
  member->condition = condition;
  member->context = g_main_context_get_thread_default ();
  if ((condition & G_IO_IN) && read (fd, &member->read, 1) == 0)
    member->condition |= G_IO_HUP;
  return (member->condition & (G_IO_HUP | G_IO_OUT)) ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

static void
member_watch (Member *member, GIOCondition condition)
{
  ph_shard_enter (member->shard);
  if (member->source != NULL) {
    g_source_destroy (member->source);
    g_source_unref (member->source);
  }
  member->source = g_unix_fd_source_new (member->fd, condition);
  g_source_set_callback (member->source, G_SOURCE_FUNC (on_member), member, NULL);
  g_source_attach (member->source, g_main_context_get_thread_default ());
  ph_shard_exit (member->shard);
}

static void
member_init (Member *member, PhShards *shards)
{
  int fds[2];

  memset (member, 0, sizeof *member);
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), ==, 0);
  member->fd = fds[0];
  member->other = fds[1];
  member->shard = ph_shards_join (shards, member->fd);
  member_watch (member, G_IO_IN);
}

/* Without a word to the shard, as sockets are closed: its source is gone, and the descriptor. */
static void
member_clear (Member *member)
{
  ph_shard_enter (member->shard);
  g_source_destroy (member->source);
  ph_shard_exit (member->shard);
  g_source_unref (member->source);
  close (member->fd);
  if (member->other >= 0)
    close (member->other);
  ph_shard_leave (member->shard);
}

static void
say (const Member *member, char c)
{
  g_assert_cmpint (write (member->other, &c, 1), ==, 1);
}

/* --- Tests -------------------------------------------------------------------------------------- */

/* Whoever is written to hears it, in its own context, and nobody else. */
static void
test_readable (void)
{
  g_autoptr (PhShards) shards = ph_shards_new ();
  g_autoptr (GHashTable) contexts = g_hash_table_new (NULL, NULL);
  Member members[MANY];
  PhRandomSeeded state;
  const PhRandom random = ph_test_random (&state, "shards/readable");

  for (unsigned i = 0; i < MANY; i++)
    member_init (&members[i], shards);
  for (unsigned round = 0; round < 20; round++) {
    char said[MANY] = {0};
    unsigned before[MANY];

    for (unsigned i = 0; i < MANY; i++)
      before[i] = members[i].calls;
    for (unsigned i = 0; i < MANY; i++)
      if (ph_random_below (&random, 4) == 0)
        say (&members[i], said[i] = (char)('a' + round));
    run_dry ();
    for (unsigned i = 0; i < MANY; i++) {
      g_assert_cmpuint (members[i].calls - before[i], ==, said[i] != 0);
      if (said[i] != 0)
        g_assert_cmpint (members[i].read, ==, said[i]);
    }
  }
  for (unsigned i = 0; i < MANY; i++)
    if (members[i].context != NULL)
      g_hash_table_add (contexts, members[i].context);
  g_assert_cmpuint (g_hash_table_size (contexts), ==, 5);
  g_assert_null (g_main_context_get_thread_default ());
  for (unsigned i = 0; i < MANY; i++)
    member_clear (&members[i]);
}

/* One that cannot be written to is waited for, and meanwhile the others go on. */
static void
test_writable (void)
{
  g_autoptr (PhShards) shards = ph_shards_new ();
  Member full, other;
  char buffer[4096] = {0};

  member_init (&full, shards);
  member_init (&other, shards);
  while (write (full.fd, buffer, sizeof buffer) > 0)
    ;
  g_assert_cmpint (errno, ==, EAGAIN);
  member_watch (&full, G_IO_OUT);
  for (unsigned i = 0; i < 5; i++) {
    say (&other, 'x');
    run_dry ();
  }
  g_assert_cmpuint (other.calls, ==, 5);
  g_assert_cmpuint (full.calls, ==, 0);
  while (read (full.other, buffer, sizeof buffer) > 0)
    ;
  PH_TEST_WAIT_FOR (full.calls == 1);
  g_assert_true (full.condition & G_IO_OUT);
  /* What is over is not waited for. */
  run_dry ();
  g_assert_cmpuint (full.calls, ==, 1);
  member_clear (&full);
  member_clear (&other);
}

static void
test_closing (void)
{
  g_autoptr (PhShards) shards = ph_shards_new ();
  Member members[MANY];

  for (unsigned i = 0; i < MANY; i++)
    member_init (&members[i], shards);
  for (unsigned i = 0; i < MANY; i += 2) {
    close (members[i].other);
    members[i].other = -1;
  }
  run_dry ();
  for (unsigned i = 0; i < MANY; i++)
    g_assert_cmpuint (members[i].calls, ==, i % 2 == 0);

  /* New ones take the numbers and the places of those that are gone. */
  for (unsigned i = 0; i < MANY; i += 2)
    member_clear (&members[i]);
  for (unsigned i = 0; i < MANY; i += 2)
    member_init (&members[i], shards);
  for (unsigned i = 0; i < MANY; i++)
    say (&members[i], 'n');
  run_dry ();
  for (unsigned i = 0; i < MANY; i++) {
    g_assert_cmpuint (members[i].calls, ==, 1);
    g_assert_cmpint (members[i].read, ==, 'n');
  }
  for (unsigned i = 0; i < MANY; i++)
    member_clear (&members[i]);
}

/* `number` is closed without the shard's knowledge, and stands for another socket at once. Returns the test's
 * end of that. */
static int
take_number (int number)
{
  int fds[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), ==, 0);
  g_assert_cmpint (dup3 (fds[0], number, O_CLOEXEC), ==, number);
  close (fds[0]);
  return fds[1];
}

/* The new socket is heard, whichever shard it joins, and what the old one's shard thinks of its number does no
 * harm. */
static void
test_number_again (void)
{
  g_autoptr (PhShards) shards = ph_shards_new ();
  Member members[PH_SHARD_MEMBERS_MAX + 1];
  Member *first = &members[0];
  Member *elsewhere = &members[PH_SHARD_MEMBERS_MAX];
  const PhShard *shard;

  for (unsigned i = 0; i < G_N_ELEMENTS (members); i++)
    member_init (&members[i], shards);
  shard = first->shard;
  g_assert_true (shard != elsewhere->shard);

  /* In the same shard. */
  close (first->other);
  first->other = take_number (first->fd);
  ph_shard_leave (first->shard);
  first->shard = ph_shards_join (shards, first->fd);
  g_assert_true (first->shard == shard);
  member_watch (first, G_IO_IN);
  say (first, 'h');
  run_dry ();
  g_assert_cmpuint (first->calls, ==, 1);

  /* In another one. */
  g_source_destroy (first->source);
  close (elsewhere->fd);
  close (elsewhere->other);
  elsewhere->fd = first->fd;
  elsewhere->other = take_number (first->fd);
  ph_shard_leave (elsewhere->shard);
  elsewhere->shard = ph_shards_join (shards, elsewhere->fd);
  g_assert_true (elsewhere->shard != shard);
  member_watch (elsewhere, G_IO_IN);
  say (elsewhere, 'h');
  run_dry ();
  say (&members[1], 'x'); /* has the first's shard looked at */
  run_dry ();
  g_assert_cmpuint (members[1].calls, ==, 1);
  say (elsewhere, 'i');
  run_dry ();
  g_assert_cmpuint (elsewhere->calls, ==, 2);
  g_assert_cmpuint (first->calls, ==, 1);

  first->fd = dup (first->other); /* to be closed with the rest */
  for (unsigned i = 0; i < G_N_ELEMENTS (members); i++)
    member_clear (&members[i]);
}

static gboolean
on_timeout (void *user)
{
  ++*(unsigned *)user;
  return G_SOURCE_REMOVE;
}

static void
attach_timeout (PhShard *shard, unsigned ms, unsigned *counter)
{
  g_autoptr (GSource) source = g_timeout_source_new (ms);

  g_source_set_callback (source, on_timeout, counter, NULL);
  ph_shard_enter (shard);
  g_source_attach (source, g_main_context_get_thread_default ());
  ph_shard_exit (shard);
}

static void
test_timers (void)
{
  g_autoptr (PhShards) shards = ph_shards_new ();
  Member members[MANY];
  unsigned soon = 0, later = 0, never = 0;

  for (unsigned i = 0; i < MANY; i++)
    member_init (&members[i], shards);
  /* In any order, and of several shards. */
  attach_timeout (members[MANY - 1].shard, 60, &later);
  attach_timeout (members[0].shard, 1, &soon);
  attach_timeout (members[0].shard, 3600 * 1000, &never);
  attach_timeout (members[MANY / 2].shard, 30, &later);
  PH_TEST_WAIT_FOR (soon == 1 && later == 2);
  g_assert_cmpuint (never, ==, 0);
  for (unsigned i = 0; i < MANY; i++)
    member_clear (&members[i]);
}

static void
in_thread (GTask *task, void *source, void *data, GCancellable *cancellable)
{
  g_task_return_int (task, 42);
}

static void
on_task (GObject *source, GAsyncResult *result, void *user)
{
  Member *member = user;

  g_assert_cmpint (g_task_propagate_int (G_TASK (result), NULL), ==, 42);
  member->context = g_main_context_get_thread_default ();
  member->calls++;
}

/* GIO shakes hands of TLS in threads, and they say when they are done. */
static void
test_threads (void)
{
  g_autoptr (PhShards) shards = ph_shards_new ();
  Member members[MANY];

  for (unsigned i = 0; i < MANY; i++) {
    g_autoptr (GTask) task = NULL;

    member_init (&members[i], shards);
    ph_shard_enter (members[i].shard);
    task = g_task_new (NULL, NULL, on_task, &members[i]);
    ph_shard_exit (members[i].shard);
    g_task_run_in_thread (task, in_thread);
  }
  for (unsigned i = 0; i < MANY; i++)
    PH_TEST_WAIT_FOR (members[i].calls == 1);
  for (unsigned i = 0; i < MANY; i++)
    g_assert_nonnull (members[i].context);
  for (unsigned i = 0; i < MANY; i++)
    member_clear (&members[i]);
}

typedef struct {
  GSource source;
  unsigned *looked_at;
} Watched;

static gboolean
watched_prepare (GSource *source, int *timeout_ms)
{
  ++*((Watched *)source)->looked_at;
  *timeout_ms = -1;
  return FALSE;
}

static GSourceFuncs watched_funcs = {.prepare = watched_prepare};

/* What all of this is for: an event of one does not have others looked at. */
static void
test_others_sleep (void)
{
  g_autoptr (PhShards) shards = ph_shards_new ();
  Member members[MANY];
  GSource *sources[MANY];
  unsigned looked_at[MANY] = {0};
  unsigned awake = 0;

  for (unsigned i = 0; i < MANY; i++) {
    member_init (&members[i], shards);
    sources[i] = g_source_new (&watched_funcs, sizeof (Watched));
    ((Watched *)sources[i])->looked_at = &looked_at[i];
    ph_shard_enter (members[i].shard);
    g_source_attach (sources[i], g_main_context_get_thread_default ());
    ph_shard_exit (members[i].shard);
  }
  run_dry ();
  memset (looked_at, 0, sizeof looked_at);
  say (&members[0], 'x');
  run_dry ();
  g_assert_cmpuint (members[0].calls, ==, 1);
  for (unsigned i = 0; i < MANY; i++) {
    g_assert_true (looked_at[i] == 0 || members[i].shard == members[0].shard);
    awake += looked_at[i] > 0;
    /* Once, and not again because GLib wakes the context that it runs. */
    g_assert_cmpuint (looked_at[i], <=, 1);
  }
  g_assert_cmpuint (awake, ==, PH_SHARD_MEMBERS_MAX);
  for (unsigned i = 0; i < MANY; i++) {
    g_source_destroy (sources[i]);
    g_source_unref (sources[i]);
    member_clear (&members[i]);
  }
}

static gboolean
on_busy (void *user)
{
  ++*(unsigned *)user;
  return G_SOURCE_CONTINUE;
}

/* One that always has something to do does not keep the others from it, nor the rest of the thread. */
static void
test_busy (void)
{
  g_autoptr (PhShards) shards = ph_shards_new ();
  g_autoptr (GSource) source = g_idle_source_new ();
  Member members[MANY];
  unsigned busy = 0, outside = 0;

  for (unsigned i = 0; i < MANY; i++)
    member_init (&members[i], shards);
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, on_busy, &busy, NULL);
  ph_shard_enter (members[0].shard);
  g_source_attach (source, g_main_context_get_thread_default ());
  ph_shard_exit (members[0].shard);
  g_timeout_add (1, on_timeout, &outside);
  PH_TEST_WAIT_FOR (outside == 1);
  for (unsigned i = 0; i < MANY; i++)
    say (&members[i], 'x');
  for (unsigned i = 0; i < MANY; i++)
    PH_TEST_WAIT_FOR (members[i].calls == 1);
  g_assert_cmpuint (busy, >, 0);
  g_source_destroy (source);
  for (unsigned i = 0; i < MANY; i++)
    member_clear (&members[i]);
}

static gboolean
on_answer (int fd, GIOCondition condition, void *user)
{
  Member *other = user;
  char c;

  g_assert_cmpint (read (fd, &c, 1), ==, 1);
  /* As a message for somebody else does. */
  ph_shard_enter (other->shard);
  member_watch (other, G_IO_OUT);
  ph_shard_exit (other->shard);
  return G_SOURCE_CONTINUE;
}

/* From within one, something is done with others: of the same shard and of another. */
static void
test_from_within (void)
{
  g_autoptr (PhShards) shards = ph_shards_new ();
  Member members[PH_SHARD_MEMBERS_MAX + 1];

  for (unsigned i = 0; i < G_N_ELEMENTS (members); i++)
    member_init (&members[i], shards);
  for (unsigned i = 1; i < G_N_ELEMENTS (members); i += PH_SHARD_MEMBERS_MAX - 1) {
    g_source_set_callback (members[0].source, G_SOURCE_FUNC (on_answer), &members[i], NULL);
    say (&members[0], 'x');
    PH_TEST_WAIT_FOR (members[i].calls == 1);
    g_assert_true (members[i].condition & G_IO_OUT);
  }
  for (unsigned i = 0; i < G_N_ELEMENTS (members); i++)
    member_clear (&members[i]);
}

/* Places are used again before there are more shards. */
static void
test_places (void)
{
  g_autoptr (PhShards) shards = ph_shards_new ();
  g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);
  Member members[MANY];

  for (unsigned round = 0; round < 4; round++) {
    for (unsigned i = 0; i < MANY; i++) {
      member_init (&members[i], shards);
      g_hash_table_add (seen, members[i].shard);
    }
    for (unsigned i = 0; i < MANY; i++)
      member_clear (&members[round % 2 == 0 ? i : MANY - 1 - i]);
  }
  g_assert_cmpuint (g_hash_table_size (seen), ==, 5);
}

/* The owner ends first: its sources are over, and what is left of a member may still go. */
static void
test_freed_first (void)
{
  PhShards *shards = ph_shards_new ();
  Member members[MANY];

  for (unsigned i = 0; i < MANY; i++)
    member_init (&members[i], shards);
  say (&members[0], 'x');
  ph_shards_free (shards);
  run_dry ();
  for (unsigned i = 0; i < MANY; i++) {
    g_assert_cmpuint (members[i].calls, ==, 0);
    g_assert_true (g_source_is_destroyed (members[i].source));
    g_source_unref (members[i].source);
    close (members[i].fd);
    close (members[i].other);
    ph_shard_leave (members[i].shard);
  }
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/shards/readable", test_readable);
  g_test_add_func ("/shards/writable", test_writable);
  g_test_add_func ("/shards/closing", test_closing);
  g_test_add_func ("/shards/number-again", test_number_again);
  g_test_add_func ("/shards/timers", test_timers);
  g_test_add_func ("/shards/threads", test_threads);
  g_test_add_func ("/shards/others-sleep", test_others_sleep);
  g_test_add_func ("/shards/busy", test_busy);
  g_test_add_func ("/shards/from-within", test_from_within);
  g_test_add_func ("/shards/places", test_places);
  g_test_add_func ("/shards/freed-first", test_freed_first);
  return g_test_run ();
}
