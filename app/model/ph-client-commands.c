/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/model/ph-client-private.h"

#include "app/engine/ph-safety-number.h"

#include <glib/gi18n.h>

/* STUN answers come within a second or not at all; servers that do not answer are asked for this long. */
#define NETWORK_TIMEOUT_MS 8000u

/* What a command gathers until it is done; the data of its task. */
typedef struct {
  uint32_t number;
  GPtrArray *rows; /* of objects; NULL until the first */
  char *text;
  PhClientLinkFunc link_func; /* of an invitation */
  GCancellable *cancellable;
  gulong cancelled_id;
} Command;

static void
command_free (gpointer data)
{
  Command *command = data;

  g_cancellable_disconnect (command->cancellable, command->cancelled_id);
  g_clear_object (&command->cancellable);
  g_clear_pointer (&command->rows, g_ptr_array_unref);
  g_free (command->text);
  g_free (command);
}

/* --- Under way ----------------------------------------------------------------------------------- */

/* Whether it is too late for commands; the caller is told. */
static bool
is_closed (PhClient *self, GAsyncReadyCallback callback, gpointer user_data)
{
  if (self->engine != NULL)
    return false;
  g_task_report_new_error (self, callback, user_data, is_closed, G_IO_ERROR, G_IO_ERROR_CANCELLED,
                           "%s", _ ("Porthole is closing"));
  return true;
}

static Command *
track (PhClient *self, uint32_t number, GAsyncReadyCallback callback, gpointer user_data)
{
  GTask *task = g_task_new (self, NULL, callback, user_data);
  Command *command = g_new0 (Command, 1);

  command->number = number;
  g_task_set_static_name (task, "PhClient command");
  g_task_set_task_data (task, command, command_free);
  g_hash_table_insert (self->commands, GUINT_TO_POINTER (number), task);
  return command;
}

void
ph_client_cancel_commands (PhClient *self)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, self->commands);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    g_autoptr (GTask) task = value;

    g_hash_table_iter_remove (&iter);
    g_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_CANCELLED, "%s",
                             _ ("Porthole is closing"));
  }
}

static void
add_row (Command *command, gpointer row)
{
  if (command->rows == NULL)
    command->rows = g_ptr_array_new_with_free_func (g_object_unref);
  g_ptr_array_add (command->rows, row);
}

void
ph_client_command_event (PhClient *self, const PhEvent *event)
{
  GTask *task = g_hash_table_lookup (self->commands, GUINT_TO_POINTER (event->command));
  Command *command;

  if (task == NULL)
    return;
  command = g_task_get_task_data (task);
  if (event->type == PH_EVENT_INVITATION) {
    if (command->link_func != NULL)
      command->link_func (self, event->text, g_async_result_get_user_data (G_ASYNC_RESULT (task)));
  } else if (event->type == PH_EVENT_HISTORY) {
    add_row (command, ph_transfer_item_new (&event->transfer));
  } else if (event->type == PH_EVENT_FILE) {
    add_row (command, ph_file_item_new (&event->file));
  } else if (event->type == PH_EVENT_DONE) {
    g_hash_table_remove (self->commands, GUINT_TO_POINTER (event->command));
    command->text = g_strdup (event->text != NULL ? event->text : "");
    if (event->error != NULL)
      g_task_return_error (task, g_error_copy (event->error));
    else
      g_task_return_boolean (task, TRUE);
    g_object_unref (task);
  }
}

char *
ph_client_finish (PhClient *self, GAsyncResult *result, GError **error)
{
  Command *command;

  g_return_val_if_fail (g_task_is_valid (result, self), NULL);
  if (!g_task_propagate_boolean (G_TASK (result), error))
    return NULL;
  command = g_task_get_task_data (G_TASK (result));
  return command->text != NULL ? g_steal_pointer (&command->text) : g_strdup ("");
}

GPtrArray *
ph_client_finish_rows (PhClient *self, GAsyncResult *result, GError **error)
{
  Command *command;

  g_return_val_if_fail (g_task_is_valid (result, self), NULL);
  if (!g_task_propagate_boolean (G_TASK (result), error))
    return NULL;
  command = g_task_get_task_data (G_TASK (result));
  return command->rows != NULL ? g_steal_pointer (&command->rows) : g_ptr_array_new ();
}

/* --- Invitations --------------------------------------------------------------------------------- */

static void
invitation_cancelled (GCancellable *cancellable, gpointer data)
{
  GTask *task = data;
  PhClient *self = g_task_get_source_object (task);
  const Command *command = g_task_get_task_data (task);

  if (self->engine != NULL)
    ph_engine_withdraw (self->engine, command->number);
}

void
ph_client_invite_async (PhClient *self, bool fresh, GCancellable *cancellable,
                        PhClientLinkFunc link_func, GAsyncReadyCallback callback,
                        gpointer user_data)
{
  Command *command;
  GTask *task;

  if (is_closed (self, callback, user_data))
    return;
  command = track (
      self, fresh ? ph_engine_invite (self->engine, NULL) : ph_engine_invite_again (self->engine),
      callback, user_data);
  command->link_func = link_func;
  if (cancellable == NULL)
    return;
  task = g_hash_table_lookup (self->commands, GUINT_TO_POINTER (command->number));
  command->cancellable = g_object_ref (cancellable);
  command->cancelled_id =
      g_cancellable_connect (cancellable, G_CALLBACK (invitation_cancelled), task, NULL);
}

void
ph_client_list_invitations_async (PhClient *self, GAsyncReadyCallback callback, gpointer user_data)
{
  if (!is_closed (self, callback, user_data))
    track (self, ph_engine_list_invitations (self->engine), callback, user_data);
}

void
ph_client_withdraw_async (PhClient *self, const char *link, GAsyncReadyCallback callback,
                          gpointer user_data)
{
  if (!is_closed (self, callback, user_data))
    track (self, ph_engine_withdraw_link (self->engine, link), callback, user_data);
}

/* --- Settings and people -------------------------------------------------------------------------- */

void
ph_client_set_setting_async (PhClient *self, const char *key, const char *value,
                             GAsyncReadyCallback callback, gpointer user_data)
{
  if (!is_closed (self, callback, user_data))
    track (self, ph_engine_set_setting (self->engine, key, value), callback, user_data);
}

void
ph_client_add_async (PhClient *self, const char *link, const char *name,
                     GAsyncReadyCallback callback, gpointer user_data)
{
  if (!is_closed (self, callback, user_data))
    track (self, ph_engine_add (self->engine, link, name), callback, user_data);
}

void
ph_client_rename_async (PhClient *self, const char *contact, const char *name,
                        GAsyncReadyCallback callback, gpointer user_data)
{
  if (!is_closed (self, callback, user_data))
    track (self, ph_engine_rename (self->engine, contact, name), callback, user_data);
}

void
ph_client_remove_async (PhClient *self, const char *contact, GAsyncReadyCallback callback,
                        gpointer user_data)
{
  if (!is_closed (self, callback, user_data))
    track (self, ph_engine_remove (self->engine, contact), callback, user_data);
}

void
ph_client_block_async (PhClient *self, const char *contact, bool blocked,
                       GAsyncReadyCallback callback, gpointer user_data)
{
  if (!is_closed (self, callback, user_data))
    track (self, ph_engine_block (self->engine, contact, blocked), callback, user_data);
}

void
ph_client_set_auto_accept_async (PhClient *self, const char *contact, bool auto_accept,
                                 uint64_t max_bytes, GAsyncReadyCallback callback,
                                 gpointer user_data)
{
  if (!is_closed (self, callback, user_data))
    track (self, ph_engine_set_auto_accept (self->engine, contact, auto_accept, max_bytes),
           callback, user_data);
}

void
ph_client_set_verified_async (PhClient *self, const char *contact, bool verified,
                              GAsyncReadyCallback callback, gpointer user_data)
{
  if (!is_closed (self, callback, user_data))
    track (self, ph_engine_set_verified (self->engine, contact, verified), callback, user_data);
}

void
ph_client_dismiss_alert_async (PhClient *self, const char *contact, GAsyncReadyCallback callback,
                               gpointer user_data)
{
  if (!is_closed (self, callback, user_data))
    track (self, ph_engine_dismiss_alert (self->engine, contact), callback, user_data);
}

void
ph_client_explain_contact_async (PhClient *self, const char *contact, GAsyncReadyCallback callback,
                                 gpointer user_data)
{
  if (!is_closed (self, callback, user_data))
    track (self, ph_engine_explain_contact (self->engine, contact), callback, user_data);
}

/* --- Transfers ------------------------------------------------------------------------------------ */

void
ph_client_send_async (PhClient *self, const char *contact, const char *const *paths,
                      GAsyncReadyCallback callback, gpointer user_data)
{
  if (!is_closed (self, callback, user_data))
    track (self, ph_engine_send (self->engine, contact, paths), callback, user_data);
}

void
ph_client_accept_async (PhClient *self, const char *transfer, const char *folder,
                        GAsyncReadyCallback callback, gpointer user_data)
{
  if (!is_closed (self, callback, user_data))
    track (self, ph_engine_accept (self->engine, transfer, folder), callback, user_data);
}

void
ph_client_decline_async (PhClient *self, const char *transfer, GAsyncReadyCallback callback,
                         gpointer user_data)
{
  if (!is_closed (self, callback, user_data))
    track (self, ph_engine_decline (self->engine, transfer), callback, user_data);
}

void
ph_client_cancel_async (PhClient *self, const char *transfer, GAsyncReadyCallback callback,
                        gpointer user_data)
{
  if (!is_closed (self, callback, user_data))
    track (self, ph_engine_cancel (self->engine, transfer), callback, user_data);
}

void
ph_client_pause_async (PhClient *self, const char *transfer, GAsyncReadyCallback callback,
                       gpointer user_data)
{
  if (!is_closed (self, callback, user_data))
    track (self, ph_engine_pause (self->engine, transfer), callback, user_data);
}

void
ph_client_resume_async (PhClient *self, const char *transfer, GAsyncReadyCallback callback,
                        gpointer user_data)
{
  if (!is_closed (self, callback, user_data))
    track (self, ph_engine_resume (self->engine, transfer), callback, user_data);
}

void
ph_client_send_again_async (PhClient *self, const char *transfer, GAsyncReadyCallback callback,
                            gpointer user_data)
{
  if (!is_closed (self, callback, user_data))
    track (self, ph_engine_send_again (self->engine, transfer), callback, user_data);
}

void
ph_client_list_files_async (PhClient *self, const char *transfer, uint32_t first, uint32_t limit,
                            GAsyncReadyCallback callback, gpointer user_data)
{
  if (!is_closed (self, callback, user_data))
    track (self, ph_engine_list_files (self->engine, transfer, first, limit), callback, user_data);
}

void
ph_client_load_history_async (PhClient *self, const PhHistoryQuery *query,
                              GAsyncReadyCallback callback, gpointer user_data)
{
  if (!is_closed (self, callback, user_data))
    track (self, ph_engine_load_history (self->engine, query), callback, user_data);
}

void
ph_client_forget_async (PhClient *self, const char *transfer, const char *contact,
                        GAsyncReadyCallback callback, gpointer user_data)
{
  if (!is_closed (self, callback, user_data))
    track (self, ph_engine_forget (self->engine, transfer, contact), callback, user_data);
}

/* --- Servers, moving ------------------------------------------------------------------------------ */

void
ph_client_measure_lifetime_async (PhClient *self, bool begin, GAsyncReadyCallback callback,
                                  gpointer user_data)
{
  if (!is_closed (self, callback, user_data))
    track (self, ph_engine_nat_lifetime (self->engine, begin), callback, user_data);
}

void
ph_client_test_server_async (PhClient *self, PhServerKind kind, const char *address,
                             GAsyncReadyCallback callback, gpointer user_data)
{
  if (!is_closed (self, callback, user_data))
    track (self, ph_engine_test_server (self->engine, kind, address), callback, user_data);
}

void
ph_client_export_identity_async (PhClient *self, const char *path, const char *passphrase,
                                 GAsyncReadyCallback callback, gpointer user_data)
{
  if (!is_closed (self, callback, user_data))
    track (self, ph_engine_export_identity (self->engine, path, passphrase), callback, user_data);
}

void
ph_client_import_identity_async (PhClient *self, const char *path, const char *passphrase,
                                 bool replace, GAsyncReadyCallback callback, gpointer user_data)
{
  if (!is_closed (self, callback, user_data))
    track (self, ph_engine_import_identity (self->engine, path, passphrase, replace), callback,
           user_data);
}

/* --- On a thread of its own ---------------------------------------------------------------------- */

static void
compute_safety_number (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  const PhDeviceId *ids = g_object_get_data (G_OBJECT (task), "ids");
  char number[PH_SAFETY_NUMBER_STRING_MAX];
  Command *command = data;

  ph_safety_number (&ids[0], &ids[1], number);
  command->text = g_strdup (number);
  g_task_return_boolean (task, TRUE);
}

void
ph_client_safety_number_async (PhClient *self, const char *contact, GAsyncReadyCallback callback,
                               gpointer user_data)
{
  g_autofree PhDeviceId *ids = g_new0 (PhDeviceId, 2);
  g_autoptr (GTask) task = NULL;

  if (is_closed (self, callback, user_data))
    return;
  task = g_task_new (self, NULL, callback, user_data);
  if (ph_device_id_parse (ph_client_get_device_id (self), &ids[0]) != PH_DEVICE_ID_OK
      || ph_device_id_parse (contact, &ids[1]) != PH_DEVICE_ID_OK) {
    g_task_return_new_error (task, PH_ENGINE_ERROR, PH_ENGINE_ERROR_UNKNOWN_CONTACT, "%s",
                             _ ("There is no such person"));
    return;
  }
  g_object_set_data_full (G_OBJECT (task), "ids", g_steal_pointer (&ids), g_free);
  g_task_set_task_data (task, g_new0 (Command, 1), command_free);
  g_task_run_in_thread (task, compute_safety_number);
}

/* --- The network --------------------------------------------------------------------------------- */

static void
network_checked (GObject *object, GAsyncResult *result, gpointer data)
{
  PhClient *self = PH_CLIENT (object);
  g_autoptr (GTask) task = data;
  g_autoptr (GError) error = NULL;
  g_autofree char *report = ph_client_finish (self, result, &error);
  Command *command = g_task_get_task_data (task);

  ph_network_item_set_checking (self->network, false);
  if (report == NULL) {
    g_task_return_error (task, g_steal_pointer (&error));
    return;
  }
  ph_network_item_show (self->network, report, g_get_real_time () / G_USEC_PER_SEC);
  command->text = g_steal_pointer (&report);
  g_task_return_boolean (task, TRUE);
}

void
ph_client_check_network_async (PhClient *self, GAsyncReadyCallback callback, gpointer user_data)
{
  GTask *task;

  if (is_closed (self, callback, user_data))
    return;
  task = g_task_new (self, NULL, callback, user_data);
  g_task_set_task_data (task, g_new0 (Command, 1), command_free);
  ph_network_item_set_checking (self->network, true);
  track (self, ph_engine_check_network (self->engine, NETWORK_TIMEOUT_MS), network_checked, task);
}
