/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The client's side: commands go out as they come, events are asked for one batch after the other. */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/engine/ph-remote-client.h"

#include "app/engine/ph-app-id.h"
#include "app/engine/ph-engine-wire.h"
#include "app/engine/ph-remote.h"

#include <glib/gi18n-lib.h>

/* An owner whose main loop does not turn for so long has other troubles. */
#define CALL_MS 10000
/* An application that has just taken the profile needs a moment before it answers. */
#define OPEN_TRIES 15
#define OPEN_PAUSE_MS 200

struct _PhRemoteClient {
  GDBusConnection *bus;
  char *owner; /* unique bus name */
  uint32_t session;
  char *device_id;
  PhEventFunc func;
  gpointer user_data;
  GCancellable *cancellable;
  guint watch;
  GHashTable *open; /* numbers of commands that are not done */
  bool gone;
};

static void ask (PhRemoteClient *self);

/* --- The end ------------------------------------------------------------------------------------ */

static void
tell_gone (PhRemoteClient *self)
{
  g_autoptr (GError) error = g_error_new_literal (
      PH_ENGINE_ERROR, PH_ENGINE_ERROR_FAILED,
      _ ("Porthole was closed. What was under way goes on when it runs again"));
  g_autofree gpointer *numbers = NULL;
  guint n;

  if (self->gone)
    return;
  self->gone = true;
  numbers = g_hash_table_get_keys_as_array (self->open, &n);
  for (guint i = 0; i < n; i++) {
    const PhEvent done = {.type = PH_EVENT_DONE,
                          .command = GPOINTER_TO_UINT (numbers[i]),
                          .error = error,
                          .text = ""};

    self->func (&done, self->user_data);
  }
  g_hash_table_remove_all (self->open);
  self->func (&(PhEvent){.type = PH_EVENT_GONE, .error = error, .text = error->message},
              self->user_data);
}

static void
owner_vanished (GDBusConnection *bus, const char *name, gpointer user_data)
{
  tell_gone (user_data);
}

/* --- Events ------------------------------------------------------------------------------------- */

static void
note_event (const PhEvent *event, gpointer user_data)
{
  PhRemoteClient *self = user_data;

  if (event->type == PH_EVENT_DONE)
    g_hash_table_remove (self->open, GUINT_TO_POINTER (event->command));
  self->func (event, self->user_data);
}

static void
answered (GObject *bus, GAsyncResult *result, gpointer user_data)
{
  PhRemoteClient *self = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) reply =
      g_dbus_connection_call_finish (G_DBUS_CONNECTION (bus), result, &error);
  g_autoptr (GVariant) events = NULL;
  g_autoptr (GCancellable) alive = NULL;

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return; /* `self` is gone */
  if (reply == NULL) {
    tell_gone (self);
    return;
  }
  alive = g_object_ref (self->cancellable);
  events = g_variant_get_child_value (reply, 0);
  for (gsize i = 0; i < g_variant_n_children (events); i++) {
    g_autoptr (GVariant) event = g_variant_get_child_value (events, i);

    ph_wire_read_event (event, note_event, self);
    if (g_cancellable_is_cancelled (alive))
      return;
  }
  ask (self);
}

static void
ask (PhRemoteClient *self)
{
  g_dbus_connection_call (self->bus, self->owner, PH_REMOTE_PATH, PH_REMOTE_INTERFACE, "Next",
                          g_variant_new ("(u)", self->session),
                          G_VARIANT_TYPE ("(a" PH_WIRE_EVENT ")"), G_DBUS_CALL_FLAGS_NO_AUTO_START,
                          G_MAXINT, self->cancellable, answered, self);
}

/* --- Commands ----------------------------------------------------------------------------------- */

typedef struct {
  PhRemoteClient *client;
  uint32_t number;
} Posted;

static void
posted (GObject *bus, GAsyncResult *result, gpointer user_data)
{
  g_autofree Posted *post = user_data;
  PhRemoteClient *self = post->client;
  g_autoptr (GError) why = NULL;
  g_autoptr (GVariant) reply =
      g_dbus_connection_call_finish (G_DBUS_CONNECTION (bus), result, &why);
  g_autoptr (GError) error = NULL;

  if (reply != NULL || g_error_matches (why, G_IO_ERROR, G_IO_ERROR_CANCELLED)
      || !g_hash_table_remove (self->open, GUINT_TO_POINTER (post->number)))
    return;
  error = g_error_new_literal (
      PH_ENGINE_ERROR, PH_ENGINE_ERROR_PROFILE_IN_USE,
      _ ("Porthole runs with this profile. Close it first, this cannot be done meanwhile"));
  self->func (
      &(PhEvent){.type = PH_EVENT_DONE, .command = post->number, .error = error, .text = ""},
      self->user_data);
}

void
ph_remote_client_post (PhRemoteClient *self, const PhCommand *command)
{
  Posted *post = g_new0 (Posted, 1);

  post->client = self;
  post->number = command->number;
  g_hash_table_add (self->open, GUINT_TO_POINTER (command->number));
  g_dbus_connection_call (
      self->bus, self->owner, PH_REMOTE_PATH, PH_REMOTE_INTERFACE, "Post",
      g_variant_new ("(u@" PH_WIRE_COMMAND ")", self->session, ph_wire_command (command)), NULL,
      G_DBUS_CALL_FLAGS_NO_AUTO_START, G_MAXINT, self->cancellable, posted, post);
}

/* --- Life --------------------------------------------------------------------------------------- */

const char *
ph_remote_client_device_id (const PhRemoteClient *self)
{
  return self->device_id;
}

static char *
name_owner (GDBusConnection *bus, const char *name)
{
  g_autoptr (GVariant) reply = g_dbus_connection_call_sync (
      bus, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetNameOwner",
      g_variant_new ("(s)", name), G_VARIANT_TYPE ("(s)"), G_DBUS_CALL_FLAGS_NO_AUTO_START, CALL_MS,
      NULL, NULL);
  char *owner = NULL;

  if (reply != NULL)
    g_variant_get (reply, "(s)", &owner);
  return owner;
}

static bool
open_session (PhRemoteClient *self, const char *name, GError **error)
{
  for (unsigned i = 0; i < OPEN_TRIES; i++) {
    g_autoptr (GError) why = NULL;
    g_autoptr (GVariant) reply = NULL;

    g_free (self->owner);
    self->owner = name_owner (self->bus, name);
    if (self->owner == NULL)
      return false;
    reply = g_dbus_connection_call_sync (self->bus, self->owner, PH_REMOTE_PATH,
                                         PH_REMOTE_INTERFACE, "Open",
                                         g_variant_new ("(s)", PH_VERSION), G_VARIANT_TYPE ("(us)"),
                                         G_DBUS_CALL_FLAGS_NO_AUTO_START, CALL_MS, NULL, &why);
    if (reply != NULL) {
      g_variant_get (reply, "(us)", &self->session, &self->device_id);
      return true;
    }
    if (g_error_matches (why, G_DBUS_ERROR, G_DBUS_ERROR_NOT_SUPPORTED)) {
      g_set_error_literal (error, PH_ENGINE_ERROR, PH_ENGINE_ERROR_PROFILE_IN_USE,
                           _ ("The Porthole that runs with this profile is of another version. "
                              "Close and open it, then try again"));
      return false;
    }
    if (!g_error_matches (why, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_METHOD)
        && !g_error_matches (why, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_OBJECT))
      return false;
    g_usleep (OPEN_PAUSE_MS * 1000);
  }
  return false;
}

PhRemoteClient *
ph_remote_client_new (const char *dir, PhEventFunc func, gpointer user_data, GError **error)
{
  g_autofree char *name = ph_app_id_for_profile (dir);
  g_autoptr (GDBusConnection) bus = g_bus_get_sync (G_BUS_TYPE_SESSION, NULL, NULL);
  PhRemoteClient *self;

  self = g_new0 (PhRemoteClient, 1);
  self->bus = g_steal_pointer (&bus);
  self->open = g_hash_table_new (NULL, NULL);
  if (self->bus != NULL)
    g_dbus_connection_set_exit_on_close (self->bus, FALSE);
  if (self->bus == NULL || !open_session (self, name, error)) {
    if (error != NULL && *error == NULL)
      g_set_error_literal (error, PH_ENGINE_ERROR, PH_ENGINE_ERROR_PROFILE_IN_USE,
                           _ ("Nobody answers for this profile on the session bus"));
    self->gone = true;
    ph_remote_client_free (self);
    return NULL;
  }
  self->func = func;
  self->user_data = user_data;
  self->cancellable = g_cancellable_new ();
  self->watch = g_bus_watch_name_on_connection (
      self->bus, self->owner, G_BUS_NAME_WATCHER_FLAGS_NONE, NULL, owner_vanished, self, NULL);
  ask (self);
  return self;
}

void
ph_remote_client_free (PhRemoteClient *self)
{
  g_clear_handle_id (&self->watch, g_bus_unwatch_name);
  if (self->cancellable != NULL)
    g_cancellable_cancel (self->cancellable);
  /* Answered after the commands that were posted before. */
  if (!self->gone) {
    g_autoptr (GVariant) reply =
        g_dbus_connection_call_sync (self->bus, self->owner, PH_REMOTE_PATH, PH_REMOTE_INTERFACE,
                                     "Close", g_variant_new ("(u)", self->session), NULL,
                                     G_DBUS_CALL_FLAGS_NO_AUTO_START, CALL_MS, NULL, NULL);
  }
  g_clear_object (&self->cancellable);
  g_clear_object (&self->bus);
  g_hash_table_unref (self->open);
  g_free (self->owner);
  g_free (self->device_id);
  g_free (self);
}
