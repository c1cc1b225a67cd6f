/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The owner's side: a listener and a queue for each client. */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/engine/ph-remote.h"

#include "app/engine/ph-engine-private.h"
#include "app/engine/ph-engine-wire.h"

typedef struct {
  PhRemote *remote; /* borrowed */
  uint32_t number;
  char *sender; /* unique bus name */
  guint watch;
  uint32_t listener;
  GHashTable *commands; /* our number -> the client's, of those that are not done */
  bool explain; /* the client has asked for it; see set_explain() */

  GQueue waiting; /* of GVariant, owned */
  GHashTable *transfers; /* id (owned) -> GList link in `waiting` */
  GDBusMethodInvocation *next; /* owned; NULL: the client does not ask */
} Session;

struct _PhRemote {
  PhEngine *engine; /* borrowed */
  GDBusConnection *connection;
  GDBusNodeInfo *info;
  guint object;
  GPtrArray *sessions; /* Session, owned */
  uint32_t last_session;
  int n_explain; /* sessions with `explain` */
};

static const char introspection[] =
    "<node><interface name='" PH_REMOTE_INTERFACE "'>"
    "<method name='Open'><arg name='version' type='s' direction='in'/>"
    "<arg name='session' type='u' direction='out'/>"
    "<arg name='device_id' type='s' direction='out'/></method>"
    "<method name='Post'><arg name='session' type='u' direction='in'/>"
    "<arg name='command' type='" PH_WIRE_COMMAND "' direction='in'/></method>"
    "<method name='Next'><arg name='session' type='u' direction='in'/>"
    "<arg name='events' type='a" PH_WIRE_EVENT "' direction='out'/></method>"
    "<method name='Close'><arg name='session' type='u' direction='in'/></method>"
    "</interface></node>";

/* --- Sessions ----------------------------------------------------------------------------------- */

/* One engine explains to all: it ends when the last one that asked does. */
static void
set_explain (Session *self, bool explain)
{
  PhRemote *remote = self->remote;

  if (self->explain == explain)
    return;
  self->explain = explain;
  remote->n_explain += explain ? 1 : -1;
  ph_engine_set_explain (remote->engine, remote->n_explain > 0);
}

static void
session_free (gpointer data)
{
  Session *self = data;

  ph_engine_remove_listener (self->remote->engine, self->listener);
  set_explain (self, false);
  g_clear_handle_id (&self->watch, g_bus_unwatch_name);
  if (self->next != NULL)
    g_dbus_method_invocation_return_error_literal (g_steal_pointer (&self->next), G_DBUS_ERROR,
                                                   G_DBUS_ERROR_DISCONNECTED, "closed");
  g_queue_clear_full (&self->waiting, (GDestroyNotify)g_variant_unref);
  g_hash_table_unref (self->transfers);
  g_hash_table_unref (self->commands);
  g_free (self->sender);
  g_free (self);
}

static void
answer_next (Session *self)
{
  GVariantBuilder events;

  if (self->next == NULL || self->waiting.length == 0)
    return;
  g_variant_builder_init (&events, G_VARIANT_TYPE ("a" PH_WIRE_EVENT));
  for (unsigned i = 0; i < PH_REMOTE_EVENTS_MAX && self->waiting.length > 0; i++) {
    GVariant *event = g_queue_pop_head (&self->waiting);

    g_variant_builder_add_value (&events, event);
    g_variant_unref (event);
  }
  /* Links into the queue: what is still in it is not replaced any more, which is only less thrifty. */
  g_hash_table_remove_all (self->transfers);
  g_dbus_method_invocation_return_value (g_steal_pointer (&self->next),
                                         g_variant_new ("(a" PH_WIRE_EVENT ")", &events));
}

/* Numbers of commands are the client's to the client. False: another client's command. */
static bool
translate (Session *self, PhEvent *event)
{
  const gpointer ours = GUINT_TO_POINTER (event->command);
  gpointer theirs;

  if (event->command == 0)
    return true;
  if (!g_hash_table_lookup_extended (self->commands, ours, NULL, &theirs))
    return false;
  if (event->type == PH_EVENT_DONE)
    g_hash_table_remove (self->commands, ours);
  event->command = GPOINTER_TO_UINT (theirs);
  return true;
}

static void
heard (const PhEvent *event, gpointer user_data)
{
  Session *self = user_data;
  PhEvent mine = *event;
  const char *id = event->transfer.id;
  GVariant *value;
  GList *old = NULL;

  if (!translate (self, &mine) || (event->type == PH_EVENT_EXPLAIN && !self->explain))
    return;
  if (self->waiting.length >= PH_REMOTE_WAITING_MAX) {
    g_debug ("a client on the bus does not listen");
    g_ptr_array_remove (self->remote->sessions, self);
    return;
  }
  value = g_variant_ref_sink (ph_wire_event (&mine));
  if (event->type == PH_EVENT_TRANSFER)
    old = g_hash_table_lookup (self->transfers, id);
  if (old != NULL) {
    g_variant_unref (old->data);
    old->data = value;
  } else {
    g_queue_push_tail (&self->waiting, value);
    if (event->type == PH_EVENT_TRANSFER)
      g_hash_table_replace (self->transfers, g_strdup (id), self->waiting.tail);
  }
  answer_next (self);
}

static void
client_vanished (GDBusConnection *connection, const char *name, gpointer user_data)
{
  Session *self = user_data;

  g_ptr_array_remove (self->remote->sessions, self);
}

static Session *
find_session (PhRemote *self, const char *sender, uint32_t number)
{
  for (guint i = 0; i < self->sessions->len; i++) {
    Session *session = self->sessions->pdata[i];

    if (session->number == number && g_str_equal (session->sender, sender))
      return session;
  }
  return NULL;
}

/* --- Methods ------------------------------------------------------------------------------------ */

static void
refuse (GDBusMethodInvocation *call, GDBusError code, const char *why)
{
  g_dbus_method_invocation_return_error_literal (call, G_DBUS_ERROR, (int)code, why);
}

static void
open_session (PhRemote *self, const char *sender, GVariant *parameters, GDBusMethodInvocation *call)
{
  Session *session;
  const char *version;

  g_variant_get (parameters, "(&s)", &version);
  if (!g_str_equal (version, PH_VERSION)) {
    refuse (call, G_DBUS_ERROR_NOT_SUPPORTED, "another version");
    return;
  }
  if (self->sessions->len >= PH_REMOTE_SESSIONS_MAX) {
    refuse (call, G_DBUS_ERROR_LIMITS_EXCEEDED, "too many clients");
    return;
  }
  session = g_new0 (Session, 1);
  session->remote = self;
  session->number = ++self->last_session;
  session->sender = g_strdup (sender);
  session->commands = g_hash_table_new (NULL, NULL);
  session->transfers = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_queue_init (&session->waiting);
  session->watch =
      g_bus_watch_name_on_connection (self->connection, sender, G_BUS_NAME_WATCHER_FLAGS_NONE, NULL,
                                      client_vanished, session, NULL);
  g_ptr_array_add (self->sessions, session);
  session->listener = ph_engine_add_listener (self->engine, heard, session);
  g_dbus_method_invocation_return_value (
      call, g_variant_new ("(us)", session->number, ph_engine_device_id (self->engine)));
}

static bool
find_command (Session *self, uint32_t theirs, uint32_t *ret_ours)
{
  GHashTableIter iter;
  gpointer ours, value;

  g_hash_table_iter_init (&iter, self->commands);
  while (g_hash_table_iter_next (&iter, &ours, &value)) {
    if (GPOINTER_TO_UINT (value) == theirs) {
      *ret_ours = GPOINTER_TO_UINT (ours);
      return true;
    }
  }
  return false;
}

/* What a client may ask for: everything but what would take the engine from its owner. */
static bool
is_allowed (PhCommandType type)
{
  return type > PH_COMMAND_TELL && type < PH_COMMANDS && type != PH_COMMAND_IMPORT;
}

static void
post (Session *self, GVariant *value, GDBusMethodInvocation *call)
{
  g_autoptr (PhCommand) command = ph_wire_read_command (value);
  uint32_t theirs, ours = 0;

  if (command == NULL || !is_allowed (command->type)) {
    refuse (call, G_DBUS_ERROR_INVALID_ARGS, "no such command");
    return;
  }
  theirs = command->number;
  if (command->type == PH_COMMAND_WITHDRAW && find_command (self, command->amount, &ours))
    command->amount = ours;
  else if (command->type == PH_COMMAND_WITHDRAW)
    command->amount = 0; /* it is over, or never was */
  if (command->type == PH_COMMAND_EXPLAIN) {
    set_explain (self, command->flag);
    command->flag = self->remote->n_explain > 0;
  }
  ours = ph_engine_post (self->remote->engine, command);
  g_hash_table_insert (self->commands, GUINT_TO_POINTER (ours), GUINT_TO_POINTER (theirs));
  g_dbus_method_invocation_return_value (call, NULL);
}

static void
called (GDBusConnection *connection, const char *sender, const char *path, const char *interface,
        const char *method, GVariant *parameters, GDBusMethodInvocation *call, gpointer user_data)
{
  PhRemote *self = user_data;
  g_autoptr (GVariant) argument = NULL;
  Session *session;
  uint32_t number;

  if (g_str_equal (method, "Open")) {
    open_session (self, sender, parameters, call);
    return;
  }
  g_variant_get_child (parameters, 0, "u", &number);
  session = find_session (self, sender, number);
  if (session == NULL) {
    refuse (call, G_DBUS_ERROR_INVALID_ARGS, "no such session");
  } else if (g_str_equal (method, "Post")) {
    argument = g_variant_get_child_value (parameters, 1);
    post (session, argument, call);
  } else if (g_str_equal (method, "Next")) {
    if (session->next != NULL) {
      refuse (call, G_DBUS_ERROR_FAILED, "asked already");
      return;
    }
    session->next = call;
    answer_next (session);
  } else {
    g_ptr_array_remove (self->sessions, session);
    g_dbus_method_invocation_return_value (call, NULL);
  }
}

/* --- Life --------------------------------------------------------------------------------------- */

PhRemote *
ph_remote_export (GDBusConnection *connection, PhEngine *engine, GError **error)
{
  static const GDBusInterfaceVTable vtable = {.method_call = called};
  g_autoptr (PhRemote) self = g_new0 (PhRemote, 1);

  self->engine = engine;
  self->connection = g_object_ref (connection);
  self->sessions = g_ptr_array_new_with_free_func (session_free);
  self->info = g_dbus_node_info_new_for_xml (introspection, NULL);
  g_assert (self->info != NULL);
  self->object = g_dbus_connection_register_object (
      connection, PH_REMOTE_PATH, self->info->interfaces[0], &vtable, self, NULL, error);
  return self->object != 0 ? g_steal_pointer (&self) : NULL;
}

void
ph_remote_free (PhRemote *self)
{
  if (self == NULL)
    return;
  if (self->object != 0)
    g_dbus_connection_unregister_object (self->connection, self->object);
  g_ptr_array_unref (self->sessions);
  g_dbus_node_info_unref (self->info);
  g_object_unref (self->connection);
  g_free (self);
}
