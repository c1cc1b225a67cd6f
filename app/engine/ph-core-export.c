/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Moving to another device: the commands. What takes long is done by a worker. */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/engine/ph-core-private.h"
#include "app/engine/ph-export.h"

#include <glib/gi18n-lib.h>
#include <glib/gstdio.h>
#include <sodium.h>

/* A command at work. Freed by its task, on whatever thread that ends, perhaps after the core. */
typedef struct {
  PhCore *core; /* NULL: gone */
  PhCommandType type;
  uint32_t command;
  char *path;
  char *passphrase;
  bool replace;
  GBytes *plain; /* to be sealed, or opened */
  PhRandom random;
} Job;

static void
wipe_bytes (GBytes *bytes)
{
  gsize len;
  const void *data;

  if (bytes == NULL)
    return;
  data = g_bytes_get_data (bytes, &len);
  sodium_memzero ((void *)data, len);
  g_bytes_unref (bytes);
}

static void
job_free (gpointer data)
{
  Job *self = data;

  sodium_memzero (self->passphrase, strlen (self->passphrase));
  g_free (self->passphrase);
  g_free (self->path);
  wipe_bytes (self->plain);
  g_free (self);
}

void
ph_core_jobs_stop (PhCore *self)
{
  for (guint i = 0; i < self->jobs->len; i++)
    ((Job *)self->jobs->pdata[i])->core = NULL;
  g_ptr_array_unref (self->jobs);
}

/* --- Workers ------------------------------------------------------------------------------------ */

static void
seal (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  const Job *job = data;
  g_autoptr (GBytes) file = ph_export_seal (job->plain, job->passphrase, &job->random);
  g_autoptr (GError) why = NULL;
  gsize len;
  const char *bytes;

  if (file == NULL) {
    g_task_return_new_error_literal (task, PH_ENGINE_ERROR, PH_ENGINE_ERROR_FAILED,
                                     _ ("There is not enough memory to encrypt the file"));
    return;
  }
  bytes = g_bytes_get_data (file, &len);
  if (g_file_set_contents_full (job->path, bytes, (gssize)len,
                                G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0600,
                                &why))
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_new_error (task, PH_ENGINE_ERROR, PH_ENGINE_ERROR_FOLDER,
                             _ ("The file cannot be written: %s"), why->message);
}

/* NULL after the task was ended. */
static GBytes *
read_file (GTask *task, const char *path)
{
  g_autoptr (GError) why = NULL;
  g_autofree char *bytes = NULL;
  GStatBuf st;
  gsize len;

  if (g_stat (path, &st) == 0 && (!S_ISREG (st.st_mode) || st.st_size > PH_EXPORT_LEN_MAX)) {
    g_task_return_new_error_literal (task, PH_ENGINE_ERROR, PH_ENGINE_ERROR_BAD_EXPORT,
                                     _ ("This file is no exported identity"));
    return NULL;
  }
  if (!g_file_get_contents (path, &bytes, &len, &why)) {
    g_task_return_new_error (task, PH_ENGINE_ERROR, PH_ENGINE_ERROR_FILES,
                             _ ("The file cannot be read: %s"), why->message);
    return NULL;
  }
  return g_bytes_new_take (g_steal_pointer (&bytes), len);
}

static void
unseal (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  Job *job = data;
  g_autoptr (GBytes) file = read_file (task, job->path);
  gsize len;
  const uint8_t *bytes;

  if (file == NULL)
    return;
  bytes = g_bytes_get_data (file, &len);
  switch (ph_export_open (ph_slice (bytes, len), job->passphrase, &job->plain)) {
  case PH_EXPORT_OK:
    g_task_return_boolean (task, TRUE);
    break;
  case PH_EXPORT_NOT_ONE:
    g_task_return_new_error_literal (
        task, PH_ENGINE_ERROR, PH_ENGINE_ERROR_BAD_EXPORT,
        _ ("This file is no exported identity, or was made by a newer Porthole"));
    break;
  case PH_EXPORT_LOCKED:
    g_task_return_new_error_literal (task, PH_ENGINE_ERROR, PH_ENGINE_ERROR_PASSPHRASE,
                                     _ ("The passphrase is another one, or the file is damaged"));
    break;
  }
}

/* --- Here --------------------------------------------------------------------------------------- */

static bool
is_fresh (PhCore *self)
{
  g_autoptr (GPtrArray) rows =
      ph_store_list_transfers (self->profile->store, PH_STORE_ALL, 1, NULL);

  return self->peers->len == 0 && rows != NULL && rows->len == 0;
}

static void
import (Job *job)
{
  PhCore *self = job->core;
  gsize len;
  const uint8_t *bytes = g_bytes_get_data (job->plain, &len);
  g_autoptr (PhExport) export = ph_export_decode (ph_slice (bytes, len));
  g_autoptr (GPtrArray) settings = g_ptr_array_new ();
  g_autoptr (GError) error = NULL;

  if (export == NULL) {
    ph_core_fail (self, job->command, PH_ENGINE_ERROR_BAD_EXPORT,
                  _ ("This exported identity is damaged"));
    return;
  }
  if (!job->replace && !is_fresh (self)) {
    ph_core_fail (self, job->command, PH_ENGINE_ERROR_NOT_FRESH,
                  _ ("This profile is in use: its contacts and its history would be lost"));
    return;
  }
  for (guint i = 0; i < export->settings->len; i++) {
    const PhExportSetting *setting = export->settings->pdata[i];

    if (g_strv_contains (ph_engine_setting_keys (), setting->key)) {
      g_ptr_array_add (settings, setting->key);
      g_ptr_array_add (settings, setting->value);
    }
  }
  g_ptr_array_add (settings, NULL);
  /* No link and no transfer outlives the key that it belongs to. */
  ph_core_disconnect (self);
  self->imported = true;
  /* The key first: contacts without it would know nobody who knows them. If they fail it comes back. */
  if (!ph_profile_replace_key (self->profile, export->seed, &error)) {
    ph_core_fail (self, job->command, PH_ENGINE_ERROR_FAILED, "%s", error->message);
    return;
  }
  if (!ph_store_replace_person (self->profile->store, (const char *const *)settings->pdata,
                                export->contacts, &error)) {
    ph_profile_replace_key (self->profile, self->profile->identity.seed, NULL);
    ph_core_fail (self, job->command, PH_ENGINE_ERROR_FAILED, "%s", error->message);
    return;
  }
  ph_core_done (self, job->command, NULL, NULL);
}

static void
worked (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Job *job = user_data;
  g_autoptr (GError) error = NULL;
  const bool ok = g_task_propagate_boolean (G_TASK (result), &error);

  PhCore *self = job->core;

  if (self == NULL)
    return;
  g_ptr_array_remove_fast (self->jobs, job);
  if (!ok)
    ph_core_done (self, job->command, error, NULL);
  else if (job->type == PH_COMMAND_IMPORT)
    import (job);
  else
    ph_core_done (self, job->command, NULL, NULL);
  ph_core_settle (self);
}

static Job *
job_new (PhCore *self, const PhCommand *command)
{
  Job *job = g_new0 (Job, 1);

  job->core = self;
  job->type = command->type;
  job->command = command->number;
  job->path = g_canonicalize_filename (command->subject, NULL);
  job->passphrase = g_strdup (command->text);
  job->replace = command->flag;
  job->random = self->random;
  g_ptr_array_add (self->jobs, job);
  return job;
}

static void
start (Job *job, GTaskThreadFunc work)
{
  g_autoptr (GTask) task = g_task_new (NULL, NULL, worked, job);

  g_task_set_task_data (task, job, job_free);
  g_task_run_in_thread (task, work);
}

static bool
check_arguments (PhCore *self, const PhCommand *command)
{
  if (command->subject == NULL || *command->subject == '\0') {
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_BAD_VALUE, _ ("A file must be named"));
    return false;
  }
  if (command->text == NULL || strlen (command->text) < PH_ENGINE_PASSPHRASE_MIN) {
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_PASSPHRASE,
                  _ ("The passphrase must have at least %u characters"), PH_ENGINE_PASSPHRASE_MIN);
    return false;
  }
  return true;
}

/* Paths and wishes of this very computer stay here. */
static bool
is_personal (const char *key)
{
  return strcmp (key, "download-dir") != 0 && strcmp (key, "auto-start") != 0;
}

void
ph_core_export (PhCore *self, const PhCommand *command)
{
  const char *const *keys = ph_engine_setting_keys ();
  g_autoptr (PhExport) export = ph_export_new ();
  GBytes *plain;
  Job *job;

  if (!check_arguments (self, command))
    return;
  memcpy (export->seed, self->profile->identity.seed, sizeof export->seed);
  for (size_t i = 0; keys[i] != NULL; i++) {
    g_autofree char *value = ph_store_get_setting (self->profile->store, keys[i]);

    if (value != NULL && is_personal (keys[i]))
      ph_export_add_setting (export, keys[i], value);
  }
  g_ptr_array_unref (export->contacts);
  export->contacts = ph_store_list_contacts (self->profile->store, NULL);
  if (export->contacts == NULL)
    export->contacts = g_ptr_array_new ();
  plain = ph_export_encode (export);
  if (plain == NULL) {
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_FAILED,
                  _ ("There is more than one file can hold"));
    return;
  }
  job = job_new (self, command);
  job->plain = plain;
  start (job, seal);
}

void
ph_core_import (PhCore *self, const PhCommand *command)
{
  if (!check_arguments (self, command))
    return;
  /* Said before a second of work, and again after it. */
  if (!command->flag && !is_fresh (self)) {
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_NOT_FRESH,
                  _ ("This profile is in use: its contacts and its history would be lost"));
    return;
  }
  start (job_new (self, command), unseal);
}
