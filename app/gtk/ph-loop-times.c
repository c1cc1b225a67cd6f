/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/gtk/ph-loop-times.h"

#include <fcntl.h>
#include <gdk/gdk.h>
#include <glib-unix.h>
#include <json-glib/json-glib.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* Tenths of a millisecond up to a second; whatever is longer counts as a second. */
#define BUCKETS 10000
#define BUCKET_US 100

typedef struct {
  uint32_t counts[BUCKETS];
  uint64_t total;
  int64_t max_us;
} Times;

/* What the clocks of this thread say; or how much of each has passed. */
typedef struct {
  int64_t wall_us;
  int64_t cpu_us;
  int64_t waited_us; /* in which it could have run, and other programs did */
} Moment;

static struct {
  char *path;
  GPollFunc poll;
  int schedstat; /* /proc file, -1: not there */
  bool is_awake; /* false before the first turn */
  Moment woke;
  Moment painted; /* in this turn */
  Moment paint_began;
  Times turns, turns_cpu, frames;
  Moment spent; /* in all turns */
} loop;

static void
times_add (Times *times, int64_t us)
{
  times->counts[CLAMP (us / BUCKET_US, 0, BUCKETS - 1)]++;
  times->total++;
  times->max_us = MAX (times->max_us, us);
}

static double
times_p99_ms (const Times *times)
{
  uint64_t beyond = 0;

  for (size_t i = BUCKETS; i-- > 0;) {
    beyond += times->counts[i];
    if (beyond * 100 > times->total)
      return (double)((i + 1) * BUCKET_US) / 1000.0;
  }
  return 0;
}

static Moment
moment_now (void)
{
  Moment now = {.wall_us = g_get_monotonic_time ()};
  char text[64] = "";
  guint64 ran_ns, waited_ns;
  struct timespec cpu;

  if (clock_gettime (CLOCK_THREAD_CPUTIME_ID, &cpu) == 0)
    now.cpu_us = (int64_t)cpu.tv_sec * G_USEC_PER_SEC + cpu.tv_nsec / 1000;
  if (loop.schedstat >= 0 && pread (loop.schedstat, text, sizeof text - 1, 0) > 0
      && sscanf (text, "%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT, &ran_ns, &waited_ns) == 2)
    now.waited_us = (int64_t)(waited_ns / 1000);
  return now;
}

static Moment
moment_minus (Moment a, Moment b)
{
  return (Moment){a.wall_us - b.wall_us, a.cpu_us - b.cpu_us, a.waited_us - b.waited_us};
}

static void
moment_add (Moment *sum, Moment more)
{
  sum->wall_us += more.wall_us;
  sum->cpu_us += more.cpu_us;
  sum->waited_us += more.waited_us;
}

/* What a busy machine takes is not ours, what we wait for on disks and locks is. */
static int64_t
own_us (Moment passed)
{
  return passed.wall_us - passed.waited_us;
}

/* A turn of the loop is what lies between two calls of poll(). */
static int
poll_between_turns (GPollFD *fds, guint n_fds, int timeout_ms)
{
  int ready;

  if (loop.is_awake) {
    Moment turn = moment_minus (moment_minus (moment_now (), loop.woke), loop.painted);

    times_add (&loop.turns, own_us (turn));
    times_add (&loop.turns_cpu, turn.cpu_us);
    moment_add (&loop.spent, turn);
  }
  ready = loop.poll (fds, n_fds, timeout_ms);
  loop.is_awake = true;
  loop.woke = moment_now ();
  loop.painted = (Moment){0};
  return ready;
}

static gboolean
paint_begins (GSignalInvocationHint *hint, guint n_values, const GValue *values, gpointer data)
{
  loop.paint_began = moment_now ();
  return G_SOURCE_CONTINUE;
}

static gboolean
paint_ends (GSignalInvocationHint *hint, guint n_values, const GValue *values, gpointer data)
{
  Moment frame = moment_minus (moment_now (), loop.paint_began);

  times_add (&loop.frames, own_us (frame));
  moment_add (&loop.painted, frame);
  return G_SOURCE_CONTINUE;
}

static gboolean
write_times (gpointer data)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  g_autoptr (JsonNode) root = NULL;
  g_autofree char *text = NULL;
  g_autoptr (GError) error = NULL;
  const struct {
    const char *total, *p99, *max;
    Times *times;
  } kinds[] = {{"turns", "turn_p99_ms", "turn_max_ms", &loop.turns},
               {"turns_cpu", "turn_cpu_p99_ms", "turn_cpu_max_ms", &loop.turns_cpu},
               {"frames", "frame_p99_ms", "frame_max_ms", &loop.frames}};

  json_builder_begin_object (builder);
  for (size_t i = 0; i < G_N_ELEMENTS (kinds); i++) {
    json_builder_set_member_name (builder, kinds[i].total);
    json_builder_add_int_value (builder, (int64_t)kinds[i].times->total);
    json_builder_set_member_name (builder, kinds[i].p99);
    json_builder_add_double_value (builder, times_p99_ms (kinds[i].times));
    json_builder_set_member_name (builder, kinds[i].max);
    json_builder_add_double_value (builder, (double)kinds[i].times->max_us / 1000.0);
    *kinds[i].times = (Times){0};
  }
  json_builder_set_member_name (builder, "spent_ms");
  json_builder_add_double_value (builder, (double)loop.spent.wall_us / 1000.0);
  json_builder_set_member_name (builder, "waited_ms");
  json_builder_add_double_value (builder, (double)loop.spent.waited_us / 1000.0);
  loop.spent = (Moment){0};
  json_builder_end_object (builder);
  root = json_builder_get_root (builder);
  text = json_to_string (root, FALSE);
  /* In one step: a test that waits for the file finds all of it. */
  if (!g_file_set_contents (loop.path, text, -1, &error))
    g_printerr ("%s\n", error->message);
  return G_SOURCE_CONTINUE;
}

void
ph_loop_times_start (void)
{
  const char *path = g_getenv ("PORTHOLE_LOOP_TIMES");
  g_autoptr (GTypeClass) clock = NULL;

  if (path == NULL || loop.path != NULL)
    return;
  loop.path = g_strdup (path);
  loop.schedstat = open ("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
  loop.poll = g_main_context_get_poll_func (NULL);
  g_main_context_set_poll_func (NULL, poll_between_turns);
  clock = g_type_class_ref (GDK_TYPE_FRAME_CLOCK);
  g_signal_add_emission_hook (g_signal_lookup ("before-paint", GDK_TYPE_FRAME_CLOCK), 0,
                              paint_begins, NULL, NULL);
  g_signal_add_emission_hook (g_signal_lookup ("after-paint", GDK_TYPE_FRAME_CLOCK), 0, paint_ends,
                              NULL, NULL);
  g_unix_signal_add (SIGUSR1, write_times, NULL);
}
