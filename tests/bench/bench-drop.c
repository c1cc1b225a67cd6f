/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The engine of somebody who is online and drops a file on a person: what the window does, without it.
 *
 *   bench-drop PROFILE CONTACT
 *
 * Prints a line when the contact is online, and then for each path on standard input drops it: prints the time
 * of CLOCK_MONOTONIC in seconds, and a line when it is delivered. */

#include "app/engine/ph-engine.h"

#include <glib-unix.h>
#include <stdio.h>
#include <string.h>

typedef struct {
  GMainLoop *loop;
  PhEngine *engine;
  GIOChannel *input;
  const char *contact;
  bool online;
} Dropper;

static void say (const char *format, ...) G_GNUC_PRINTF (1, 2);

static void
say (const char *format, ...)
{
  va_list args;

  va_start (args, format);
  vprintf (format, args);
  va_end (args);
  fflush (stdout);
}

static void
on_event (const PhEvent *event, gpointer user)
{
  Dropper *self = user;

  if (event->type == PH_EVENT_CONTACT && event->contact.online && !self->online
      && strcmp (event->contact.id, self->contact) == 0) {
    self->online = true;
    say ("online\n");
  } else if (event->type == PH_EVENT_TRANSFER && ph_transfer_state_ended (event->transfer.state)) {
    say ("%s\n", event->transfer.state == PH_TRANSFER_DONE ? "delivered" : event->transfer.code);
  } else if (event->type == PH_EVENT_DONE && event->error != NULL) {
    say ("%s\n", event->error->message);
  }
}

static gboolean
on_input (GIOChannel *input, GIOCondition condition, void *user)
{
  Dropper *self = user;
  g_autofree char *line = NULL;

  if (g_io_channel_read_line (input, &line, NULL, NULL, NULL) != G_IO_STATUS_NORMAL) {
    g_main_loop_quit (self->loop);
    return G_SOURCE_REMOVE;
  }

  const char *const paths[] = {g_strchomp (line), NULL};
  const gint64 at = g_get_monotonic_time ();

  ph_engine_send (self->engine, self->contact, paths);
  say ("%.6f\n", (double)at / 1e6);
  return G_SOURCE_CONTINUE;
}

int
main (int argc, char **argv)
{
  Dropper self = {0};
  g_autoptr (GError) error = NULL;

  if (argc != 3) {
    g_printerr ("usage: bench-drop PROFILE CONTACT\n");
    return 2;
  }
  self.contact = argv[2];
  self.loop = g_main_loop_new (NULL, FALSE);
  self.engine = ph_engine_new (argv[1], on_event, &self, &error);
  if (self.engine == NULL)
    g_error ("%s", error->message);
  self.input = g_io_channel_unix_new (0);
  g_io_add_watch (self.input, G_IO_IN | G_IO_HUP, on_input, &self);
  ph_engine_connect (self.engine);
  g_main_loop_run (self.loop);
  g_io_channel_unref (self.input);
  ph_engine_free (self.engine);
  g_main_loop_unref (self.loop);
  return 0;
}
