/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The thread, and what crosses to and from it. What the engine does is in ph-core*.c. */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/engine/ph-engine-private.h"
#include "app/engine/ph-event-queue.h"
#include "app/engine/ph-remote-client.h"
#include "app/engine/ph-remote.h"
#include "app/engine/ph-safety-number.h"

#include <string.h>

typedef struct {
  uint32_t number;
  bool started; /* it is being told the whole state, or was */
  PhEventQueue *queue; /* owned */
} Listener;

struct _PhEngine {
  /* owned; where it is set, another process has all the rest but the numbers */
  PhRemoteClient *remote;

  /* owned */
  PhProfile *profile;
  GMainContext *context;
  GMainLoop *loop;
  GThread *thread;

  GMutex lock; /* of what follows */
  uint32_t last_command;
  uint32_t last_listener;
  GPtrArray *listeners; /* Listener, owned */

  /* engine thread only */
  PhCore *core;
};

void
ph_command_free (PhCommand *self)
{
  g_free (self->subject);
  if (self->text != NULL && (self->type == PH_COMMAND_EXPORT || self->type == PH_COMMAND_IMPORT))
    explicit_bzero (self->text, strlen (self->text));
  g_free (self->text);
  g_free (self->after);
  g_strfreev (self->paths);
  g_free (self);
}

/* --- Listeners ---------------------------------------------------------------------------------- */

static void
listener_free (gpointer data)
{
  Listener *self = data;

  ph_event_queue_free (self->queue);
  g_free (self);
}

static Listener *
find_listener (PhEngine *self, uint32_t number)
{
  for (guint i = 0; i < self->listeners->len; i++) {
    Listener *listener = self->listeners->pdata[i];

    if (listener->number == number)
      return listener;
  }
  return NULL;
}

static void
emit (const PhEvent *event, gpointer user_data)
{
  PhEngine *self = user_data;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  for (guint i = 0; i < self->listeners->len; i++) {
    const Listener *listener = self->listeners->pdata[i];

    if (listener->started && (event->listener == 0 || event->listener == listener->number))
      ph_event_queue_push (listener->queue, event);
  }
}

static void
start_listener (PhEngine *self, uint32_t number)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  Listener *listener = find_listener (self, number);

  if (listener != NULL)
    listener->started = true;
}

uint32_t
ph_engine_add_listener (PhEngine *self, PhEventFunc func, gpointer user_data)
{
  Listener *listener = g_new0 (Listener, 1);
  uint32_t number;

  g_assert (self->remote == NULL);
  listener->queue = ph_event_queue_new (func, user_data);
  g_mutex_lock (&self->lock);
  number = listener->number = ++self->last_listener;
  g_ptr_array_add (self->listeners, listener);
  g_mutex_unlock (&self->lock);
  /* What happens between here and the snapshot is in the snapshot. */
  ph_engine_post (self, &(PhCommand){.type = PH_COMMAND_TELL, .amount = number});
  return number;
}

void
ph_engine_remove_listener (PhEngine *self, uint32_t number)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  Listener *listener = find_listener (self, number);

  if (listener != NULL)
    g_ptr_array_remove (self->listeners, listener);
}

/* --- The thread --------------------------------------------------------------------------------- */

static gboolean
start_core (gpointer user_data)
{
  PhEngine *self = user_data;

  self->core = ph_core_new (self->profile, emit, self);
  return G_SOURCE_REMOVE;
}

static gboolean
quit (gpointer user_data)
{
  PhEngine *self = user_data;

  g_main_loop_quit (self->loop);
  return G_SOURCE_REMOVE;
}

static gpointer
engine_thread (gpointer user_data)
{
  PhEngine *self = user_data;

  g_main_context_push_thread_default (self->context);
  g_main_loop_run (self->loop);
  g_clear_pointer (&self->core, ph_core_free);
  /* What closing left behind: sockets that report their end. */
  while (g_main_context_iteration (self->context, FALSE))
    ;
  g_main_context_pop_thread_default (self->context);
  return NULL;
}

/* Not g_main_context_invoke(): that would run `func` here while the engine thread is not yet up. */
static void
post (PhEngine *self, GSourceFunc func, gpointer data, GDestroyNotify destroy)
{
  g_autoptr (GSource) source = g_idle_source_new ();

  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, func, data, destroy);
  g_source_attach (source, self->context);
}

PhEngine *
ph_engine_new (const char *dir, PhEventFunc func, gpointer user_data, GError **error)
{
  g_autoptr (PhProfile) profile = NULL;
  PhEngine *self;

  g_return_val_if_fail (func != NULL, NULL);

  profile = ph_profile_open (dir, error);
  if (profile == NULL)
    return NULL;

  self = g_new0 (PhEngine, 1);
  self->profile = g_steal_pointer (&profile);
  g_mutex_init (&self->lock);
  self->listeners = g_ptr_array_new_with_free_func (listener_free);
  self->context = g_main_context_new ();
  self->loop = g_main_loop_new (self->context, FALSE);
  post (self, start_core, self, NULL);
  ph_engine_add_listener (self, func, user_data);
  self->thread = g_thread_new ("porthole-engine", engine_thread, self);
  return self;
}

PhEngine *
ph_engine_new_remote (const char *dir, PhEventFunc func, gpointer user_data, GError **error)
{
  PhRemoteClient *remote = ph_remote_client_new (dir, func, user_data, error);
  PhEngine *self;

  if (remote == NULL)
    return NULL;
  self = g_new0 (PhEngine, 1);
  self->remote = remote;
  g_mutex_init (&self->lock);
  return self;
}

bool
ph_engine_is_remote (const PhEngine *self)
{
  return self->remote != NULL;
}

void
ph_engine_free (PhEngine *self)
{
  if (self == NULL)
    return;
  if (self->remote != NULL) {
    ph_remote_client_free (self->remote);
    g_mutex_clear (&self->lock);
    g_free (self);
    return;
  }

  post (self, quit, self, NULL);
  g_thread_join (self->thread);
  g_ptr_array_unref (self->listeners);
  g_main_loop_unref (self->loop);
  g_main_context_unref (self->context);
  g_mutex_clear (&self->lock);
  ph_profile_free (self->profile);
  g_free (self);
}

const char *
ph_engine_device_id (const PhEngine *self)
{
  return self->remote != NULL ? ph_remote_client_device_id (self->remote)
                              : self->profile->device_id;
}

char *
ph_engine_safety_number (const PhEngine *self, const char *contact)
{
  char text[PH_SAFETY_NUMBER_STRING_MAX];
  PhDeviceId own, id;

  if (ph_device_id_parse (contact, &id) != PH_DEVICE_ID_OK
      || ph_device_id_parse (ph_engine_device_id (self), &own) != PH_DEVICE_ID_OK)
    return NULL;
  ph_safety_number (&own, &id, text);
  return g_strdup (text);
}

/* --- Commands ----------------------------------------------------------------------------------- */

typedef struct {
  PhEngine *engine;
  PhCommand *command;
} Posted;

static gboolean
run_posted (gpointer user_data)
{
  Posted *posted = user_data;

  if (posted->command->type == PH_COMMAND_TELL)
    start_listener (posted->engine, posted->command->amount);
  ph_core_run (posted->engine->core, posted->command);
  return G_SOURCE_REMOVE;
}

static void
free_posted (gpointer user_data)
{
  Posted *posted = user_data;

  ph_command_free (posted->command);
  g_free (posted);
}

static uint32_t
next_number (PhEngine *self)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  /* 0 means "no number". */
  if (++self->last_command == 0)
    self->last_command = 1;
  return self->last_command;
}

uint32_t
ph_engine_post (PhEngine *self, const PhCommand *command)
{
  const uint32_t number = next_number (self);
  Posted *posted;
  PhCommand *copy;

  if (self->remote != NULL) {
    PhCommand numbered = *command;

    numbered.number = number;
    ph_remote_client_post (self->remote, &numbered);
    return number;
  }
  posted = g_new0 (Posted, 1);
  copy = g_new (PhCommand, 1);
  *copy = *command;
  copy->number = number;
  copy->subject = g_strdup (command->subject);
  copy->text = g_strdup (command->text);
  copy->after = g_strdup (command->after);
  copy->paths = g_strdupv (command->paths);
  posted->engine = self;
  posted->command = copy;
  post (self, run_posted, posted, free_posted);
  return number;
}
