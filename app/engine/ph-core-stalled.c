/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Transfers that stopped at this end: the disk is full, or the folder is gone. They go on when a person says so, and
 * by themselves when there is room again, or the drive is back.
 *
 * Nothing tells of either on all file systems, so it is looked for, seldom, by a thread that may hang: a network
 * drive whose server is gone does not answer for minutes. */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/engine/ph-core-transfer.h"

/* Soon at first, for somebody who empties the bin at once; seldom later. */
#define WAIT_MIN (2 * PH_SEC)
#define WAIT_MAX (30 * PH_SEC)
/* How often it is looked whether the thread is through. */
#define LOOK_INTERVAL (250 * PH_MSEC)

/* Shared with the thread, which may outlive the transfer. */
typedef struct _PhStallCheck {
  char *folder;
  PhTransferId id;
  uint64_t disk;
  uint64_t bytes;
  PhStorageError result;
  gint done; /* atomic; then `result` is there */
} PhStallCheck;

static bool
is_of_profile (PhStorageError error)
{
  return error == PH_STORAGE_PROFILE || error == PH_STORAGE_PROFILE_FULL;
}

static uint64_t
bytes_missing (const PhTransfer *self)
{
  return self->bytes_total - MIN (self->bytes_durable, self->bytes_total);
}

static uint64_t
disk_of (const PhTransfer *self)
{
  PhStoreCheckpoint checkpoint;
  bool found;

  return ph_store_get_checkpoint (self->core->profile->store, self->id.bytes, &checkpoint, &found,
                                  NULL)
                 && found
             ? checkpoint.disk
             : 0;
}

static PhStorageError
check_now (const PhTransfer *self, char detail[160])
{
  return ph_file_sink_check (self->folder, self->id.bytes, disk_of (self), bytes_missing (self),
                             detail);
}

/* --- Stopping ------------------------------------------------------------------------------------ */

void
ph_transfer_stall (PhTransfer *self, PhTime now, const PhSessionEvent *event)
{
  char detail[160];

  /* How much is missing is said by the check; what the write said only where that finds nothing, and of the
   * profile it knows nothing. */
  if (is_of_profile (event->storage)
      || ph_storage_check_folder (self->folder, bytes_missing (self), NULL, detail)
             == PH_STORAGE_OK)
    g_strlcpy (detail, event->message, sizeof detail);
  self->stalled = event->storage;
  g_free (self->stalled_message);
  self->stalled_message =
      *detail != '\0'
          ? g_strdup_printf ("%s (%s)", ph_storage_stall_text (event->storage, true), detail)
          : g_strdup (ph_storage_stall_text (event->storage, true));
  self->stalled_held = self->paused_here;
  self->paused_here = true;
  self->bytes_done = self->bytes_durable;
  self->rate = 0;
  if (self->stall_wait == 0 || self->bytes_durable > self->stall_bytes)
    self->stall_wait = WAIT_MIN;
  self->stall_bytes = self->bytes_durable;
  self->stall_check_at = ph_time_add (now, self->stall_wait);
  ph_transfer_news (self, self->state);
  self->told_at = 0;
}

/* --- Going on ------------------------------------------------------------------------------------ */

PhStorageError
ph_transfer_unstall (PhTransfer *self, bool asked, char detail[160])
{
  g_autoptr (GError) why = NULL;
  PhStorageError error = asked ? check_now (self, detail) : PH_STORAGE_OK;

  if (error == PH_STORAGE_OK
      && !ph_store_set_state (self->core->profile->store, self->id.bytes, PH_STORE_ACTIVE, NULL,
                              &why)) {
    error = g_error_matches (why, PH_STORE_ERROR, PH_STORE_ERROR_NO_SPACE) ? PH_STORAGE_PROFILE_FULL
                                                                           : PH_STORAGE_PROFILE;
    g_strlcpy (detail, why->message, 160);
  }
  if (error != PH_STORAGE_OK)
    return error;
  ph_transfer_drop_stall_check (self);
  if (asked)
    self->stall_wait = 0;
  self->stalled = PH_STORAGE_OK;
  self->stalled_held = false;
  g_clear_pointer (&self->stalled_message, g_free);
  self->paused_here = false;
  self->rate = 0;
  self->told_at = 0;
  self->tell = true;
  ph_session_unstall (self->peer->session, ph_core_now (self->core), &self->id,
                      ph_transfer_make_sink (self));
  return PH_STORAGE_OK;
}

/* --- Looking ------------------------------------------------------------------------------------- */

static void
check_clear (gpointer data)
{
  PhStallCheck *check = data;

  g_free (check->folder);
}

static void
check_unref (PhStallCheck *check)
{
  g_atomic_rc_box_release_full (check, check_clear);
}

static gpointer
check_thread (gpointer data)
{
  PhStallCheck *check = data;
  char message[160];

  check->result =
      ph_file_sink_check (check->folder, check->id.bytes, check->disk, check->bytes, message);
  g_atomic_int_set (&check->done, 1);
  check_unref (check);
  return NULL;
}

static PhStallCheck *
check_start (const PhTransfer *transfer)
{
  PhStallCheck *check = g_atomic_rc_box_new0 (PhStallCheck);
  GThread *thread;

  check->folder = g_strdup (transfer->folder);
  check->id = transfer->id;
  check->disk = disk_of (transfer);
  check->bytes = bytes_missing (transfer);
  thread = g_thread_try_new ("ph-stalled", check_thread, g_atomic_rc_box_acquire (check), NULL);
  if (thread == NULL) {
    check_unref (check);
    check_unref (check);
    return NULL;
  }
  g_thread_unref (thread);
  return check;
}

void
ph_transfer_drop_stall_check (PhTransfer *self)
{
  g_clear_pointer (&self->stall_check, check_unref);
  self->stall_check_at = PH_NEVER;
}

static void
look_later (PhTransfer *self, PhTime now)
{
  g_clear_pointer (&self->stall_check, check_unref);
  self->stall_wait = MIN (2 * self->stall_wait, WAIT_MAX);
  self->stall_check_at = ph_time_add (now, self->stall_wait);
}

static void
go_on (PhTransfer *self, PhTime now)
{
  char detail[160];

  /* Should it stop again at once, it waits longer. */
  self->stall_wait = MIN (2 * self->stall_wait, WAIT_MAX);
  if (ph_transfer_unstall (self, false, detail) != PH_STORAGE_OK)
    look_later (self, now);
}

static void
look (PhTransfer *self, PhTime now)
{
  if (self->stalled_held || self->peer == NULL || !self->in_session
      || self->peer->session == NULL) {
    look_later (self, now);
  } else if (is_of_profile (self->stalled)) {
    go_on (self, now); /* that it is active again is what is written there */
  } else if (self->stall_check == NULL) {
    self->stall_check = check_start (self);
    self->stall_check_at = ph_time_add (now, LOOK_INTERVAL);
  } else if (!g_atomic_int_get (&self->stall_check->done)) {
    self->stall_check_at = ph_time_add (now, LOOK_INTERVAL);
  } else if (self->stall_check->result == PH_STORAGE_OK) {
    go_on (self, now);
  } else {
    look_later (self, now);
  }
}

void
ph_core_stalled_handle_timeout (PhCore *self, PhTime now)
{
  for (guint i = 0; i < self->transfers->len; i++) {
    PhTransfer *transfer = self->transfers->pdata[i];

    if (transfer->stalled != PH_STORAGE_OK && now >= transfer->stall_check_at)
      look (transfer, now);
  }
}

PhTime
ph_core_stalled_next_timeout (const PhCore *self)
{
  PhTime next = PH_NEVER;

  for (guint i = 0; i < self->transfers->len; i++)
    next = ph_time_min (next, ((PhTransfer *)self->transfers->pdata[i])->stall_check_at);
  return next;
}
