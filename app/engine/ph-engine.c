/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The thread, and what crosses to and from it. What the engine does is in ph-core*.c. */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/engine/ph-core.h"
#include "app/engine/ph-event-queue.h"

#include <glib/gi18n-lib.h>

struct _PhEngine {
  /* owned */
  PhProfile *profile;
  PhEventQueue *events;
  GMainContext *context;
  GMainLoop *loop;
  GThread *thread;

  uint32_t last_command;

  /* engine thread only */
  PhCore *core;
};

G_DEFINE_QUARK (ph - engine - error - quark, ph_engine_error)

const char *
ph_engine_error_code (int code)
{
  switch ((PhEngineError)code) {
  case PH_ENGINE_ERROR_PROFILE_IN_USE:
    return "profile-in-use";
  case PH_ENGINE_ERROR_PROFILE_UNUSABLE:
    return "profile-unusable";
  case PH_ENGINE_ERROR_PROFILE_NEWER:
    return "profile-newer";
  case PH_ENGINE_ERROR_UNKNOWN_CONTACT:
    return "unknown-contact";
  case PH_ENGINE_ERROR_UNKNOWN_TRANSFER:
    return "unknown-transfer";
  case PH_ENGINE_ERROR_UNKNOWN_SETTING:
    return "unknown-setting";
  case PH_ENGINE_ERROR_BAD_VALUE:
    return "bad-value";
  case PH_ENGINE_ERROR_NO_RENDEZVOUS:
    return "no-rendezvous";
  case PH_ENGINE_ERROR_OFFLINE:
    return "offline";
  case PH_ENGINE_ERROR_BAD_INVITATION:
    return "bad-invitation";
  case PH_ENGINE_ERROR_INVITATION_USED:
    return "invitation-used";
  case PH_ENGINE_ERROR_INVITATION_EXPIRED:
    return "invitation-expired";
  case PH_ENGINE_ERROR_OWN_INVITATION:
    return "own-invitation";
  case PH_ENGINE_ERROR_BLOCKED:
    return "blocked";
  case PH_ENGINE_ERROR_DECLINED:
    return "declined";
  case PH_ENGINE_ERROR_CANCELLED:
    return "cancelled";
  case PH_ENGINE_ERROR_UNREACHABLE:
    return "unreachable";
  case PH_ENGINE_ERROR_TIMED_OUT:
    return "timed-out";
  case PH_ENGINE_ERROR_FILES:
    return "files";
  case PH_ENGINE_ERROR_FOLDER:
    return "folder";
  case PH_ENGINE_ERROR_NO_SPACE:
    return "no-space";
  case PH_ENGINE_ERROR_MISMATCH:
    return "mismatch";
  case PH_ENGINE_ERROR_PEER:
    return "peer";
  case PH_ENGINE_ERROR_FAILED:
  default:
    return "failed";
  }
}

void
ph_command_free (PhCommand *self)
{
  g_free (self->subject);
  g_free (self->text);
  g_strfreev (self->paths);
  g_free (self);
}

static void
emit (const PhEvent *event, gpointer user_data)
{
  PhEngine *self = user_data;

  ph_event_queue_push (self->events, event);
}

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
  self->events = ph_event_queue_new (func, user_data);
  self->context = g_main_context_new ();
  self->loop = g_main_loop_new (self->context, FALSE);
  post (self, start_core, self, NULL);
  self->thread = g_thread_new ("porthole-engine", engine_thread, self);
  return self;
}

void
ph_engine_free (PhEngine *self)
{
  if (self == NULL)
    return;

  post (self, quit, self, NULL);
  g_thread_join (self->thread);
  ph_event_queue_free (self->events);
  g_main_loop_unref (self->loop);
  g_main_context_unref (self->context);
  ph_profile_free (self->profile);
  g_free (self);
}

const char *
ph_engine_device_id (const PhEngine *self)
{
  return self->profile->device_id;
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
command (PhEngine *self, PhCommandType type, const char *subject, const char *text,
         const char *const *paths, uint32_t amount)
{
  PhCommand *cmd = g_new0 (PhCommand, 1);
  Posted *posted = g_new0 (Posted, 1);
  uint32_t number;

  /* 0 means "no number". */
  if (++self->last_command == 0)
    self->last_command = 1;
  number = self->last_command;

  cmd->type = type;
  cmd->number = number;
  cmd->subject = g_strdup (subject);
  cmd->text = g_strdup (text);
  cmd->paths = g_strdupv ((char **)paths);
  cmd->amount = amount;
  posted->engine = self;
  posted->command = cmd;
  post (self, run_posted, posted, free_posted);
  return number;
}

void
ph_engine_connect (PhEngine *self)
{
  command (self, PH_COMMAND_CONNECT, NULL, NULL, NULL, 0);
}

uint32_t
ph_engine_invite (PhEngine *self, const char *name)
{
  return command (self, PH_COMMAND_INVITE, NULL, name, NULL, 0);
}

uint32_t
ph_engine_withdraw (PhEngine *self, uint32_t invite)
{
  return command (self, PH_COMMAND_WITHDRAW, NULL, NULL, NULL, invite);
}

uint32_t
ph_engine_add (PhEngine *self, const char *link, const char *name)
{
  return command (self, PH_COMMAND_ADD, link, name, NULL, 0);
}

uint32_t
ph_engine_rename (PhEngine *self, const char *contact, const char *name)
{
  return command (self, PH_COMMAND_RENAME, contact, name, NULL, 0);
}

uint32_t
ph_engine_remove (PhEngine *self, const char *contact)
{
  return command (self, PH_COMMAND_REMOVE, contact, NULL, NULL, 0);
}

uint32_t
ph_engine_block (PhEngine *self, const char *contact, bool blocked)
{
  return command (self, PH_COMMAND_BLOCK, contact, NULL, NULL, blocked);
}

uint32_t
ph_engine_send (PhEngine *self, const char *contact, const char *const *paths)
{
  return command (self, PH_COMMAND_SEND, contact, NULL, paths, 0);
}

uint32_t
ph_engine_accept (PhEngine *self, const char *transfer, const char *folder)
{
  return command (self, PH_COMMAND_ACCEPT, transfer, folder, NULL, 0);
}

uint32_t
ph_engine_decline (PhEngine *self, const char *transfer)
{
  return command (self, PH_COMMAND_DECLINE, transfer, NULL, NULL, 0);
}

uint32_t
ph_engine_cancel (PhEngine *self, const char *transfer)
{
  return command (self, PH_COMMAND_CANCEL, transfer, NULL, NULL, 0);
}

uint32_t
ph_engine_pause (PhEngine *self, const char *transfer)
{
  return command (self, PH_COMMAND_PAUSE, transfer, NULL, NULL, 0);
}

uint32_t
ph_engine_resume (PhEngine *self, const char *transfer)
{
  return command (self, PH_COMMAND_RESUME, transfer, NULL, NULL, 0);
}

uint32_t
ph_engine_load_history (PhEngine *self, uint32_t limit)
{
  return command (self, PH_COMMAND_HISTORY, NULL, NULL, NULL, limit);
}

uint32_t
ph_engine_get_setting (PhEngine *self, const char *key)
{
  return command (self, PH_COMMAND_GET_SETTING, key, NULL, NULL, 0);
}

uint32_t
ph_engine_set_setting (PhEngine *self, const char *key, const char *value)
{
  return command (self, PH_COMMAND_SET_SETTING, key, value, NULL, 0);
}

uint32_t
ph_engine_network_report (PhEngine *self, uint32_t timeout_ms)
{
  return command (self, PH_COMMAND_NETWORK_REPORT, NULL, NULL, NULL, timeout_ms);
}

void
ph_engine_set_explain (PhEngine *self, bool explain)
{
  command (self, PH_COMMAND_EXPLAIN, NULL, NULL, NULL, explain);
}
