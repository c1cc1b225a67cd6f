/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An application without a window: opens the profile, goes online, and lets other processes use its engine. Says
 * "ready" on standard output, and ends with its standard input. usage: engine-owner PROFILE */

#include "app/engine/ph-app-id.h"
#include "app/engine/ph-remote.h"

#include <glib-unix.h>
#include <stdio.h>
#include <unistd.h>

static void
on_event (const PhEvent *event, gpointer user_data)
{
}

static void
named (GDBusConnection *connection, const char *name, gpointer user_data)
{
  puts ("ready");
  fflush (stdout);
}

static gboolean
input_ended (int fd, GIOCondition condition, gpointer loop)
{
  g_main_loop_quit (loop);
  return G_SOURCE_REMOVE;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDBusConnection) bus = g_bus_get_sync (G_BUS_TYPE_SESSION, NULL, &error);
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autofree char *name = ph_app_id_for_profile (argv[1]);
  g_autoptr (PhEngine) engine = NULL;
  PhRemote *remote;
  guint owner;

  g_assert_no_error (error);
  engine = ph_engine_new (argv[1], on_event, NULL, &error);
  g_assert_no_error (error);
  ph_engine_connect (engine);
  remote = ph_remote_export (bus, engine, &error);
  g_assert_no_error (error);
  owner = g_bus_own_name_on_connection (bus, name, G_BUS_NAME_OWNER_FLAGS_NONE, named, NULL, NULL,
                                        NULL);
  g_unix_fd_add (STDIN_FILENO, G_IO_HUP | G_IO_IN, input_ended, loop);
  g_main_loop_run (loop);
  ph_remote_free (remote);
  g_bus_unown_name (owner);
  return 0;
}
