/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/gtk/ph-loop-times.h"

#include <fcntl.h>
#include <gdk/gdk.h>
#include <glib-unix.h>
#include <json-glib/json-glib.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/* Tenths of a millisecond up to a second; whatever is longer counts as a second. */
#define BUCKETS 10000
#define BUCKET_US 100

typedef struct {
  uint32_t counts[BUCKETS];
  uint64_t total;
  int64_t max_us;
} Times;

static struct {
  char *path;
  GPollFunc poll;
  int schedstat; /* /proc file, -1: not there */
  int64_t woke_us; /* 0 before the first turn */
  int64_t painted_us; /* in this turn */
  int64_t paint_began_us;
  Times turns, frames;
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

/* The clock without the time in which this thread could have run and other programs did: what a busy
 * machine takes is not ours, what we wait for on disks and locks is. */
static int64_t
own_time_us (void)
{
  int64_t now_us = g_get_monotonic_time ();
  char text[64] = "";
  guint64 ran_ns, waited_ns;

  if (loop.schedstat >= 0 && pread (loop.schedstat, text, sizeof text - 1, 0) > 0
      && sscanf (text, "%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT, &ran_ns, &waited_ns) == 2)
    now_us -= (int64_t)(waited_ns / 1000);
  return now_us;
}

/* A turn of the loop is what lies between two calls of poll(). */
static int
poll_between_turns (GPollFD *fds, guint n_fds, int timeout_ms)
{
  int ready;

  if (loop.woke_us != 0)
    times_add (&loop.turns, own_time_us () - loop.woke_us - loop.painted_us);
  ready = loop.poll (fds, n_fds, timeout_ms);
  loop.woke_us = own_time_us ();
  loop.painted_us = 0;
  return ready;
}

static gboolean
paint_begins (GSignalInvocationHint *hint, guint n_values, const GValue *values, gpointer data)
{
  loop.paint_began_us = own_time_us ();
  return G_SOURCE_CONTINUE;
}

static gboolean
paint_ends (GSignalInvocationHint *hint, guint n_values, const GValue *values, gpointer data)
{
  int64_t us = own_time_us () - loop.paint_began_us;

  times_add (&loop.frames, us);
  loop.painted_us += us;
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
