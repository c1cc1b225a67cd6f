/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a person asks of transfers, and what sessions tell of them. */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/engine/ph-core-transfer.h"
#include "app/engine/ph-safe-name.h"

#include <glib/gi18n-lib.h>

/* --- Words -------------------------------------------------------------------------------------- */

PhEngineError
ph_storage_error_code (PhStorageError error)
{
  switch (error) {
  case PH_STORAGE_VANISHED:
  case PH_STORAGE_CHANGED:
  case PH_STORAGE_UNREADABLE:
    return PH_ENGINE_ERROR_FILES;
  case PH_STORAGE_NO_SPACE:
    return PH_ENGINE_ERROR_NO_SPACE;
  case PH_STORAGE_PROFILE_FULL:
    return PH_ENGINE_ERROR_NO_SPACE;
  case PH_STORAGE_UNWRITABLE:
  case PH_STORAGE_DISK:
    return PH_ENGINE_ERROR_FOLDER;
  case PH_STORAGE_PROFILE:
    return PH_ENGINE_ERROR_PROFILE_UNUSABLE;
  case PH_STORAGE_MISMATCH:
    return PH_ENGINE_ERROR_MISMATCH;
  case PH_STORAGE_REFUSED:
    return PH_ENGINE_ERROR_PEER;
  case PH_STORAGE_OK:
  case PH_STORAGE_IO:
  default:
    return PH_ENGINE_ERROR_FAILED;
  }
}

/* A Flatpak sees little of the computer: what is not there may be only out of its sight. */
static bool
is_confined (void)
{
  return g_file_test ("/.flatpak-info", G_FILE_TEST_EXISTS);
}

static const char *
vanished_text (bool here)
{
  if (!here)
    return _ ("A file was deleted at the other side while it was sent");
  if (is_confined ())
    return _ (
        "A file to send is gone, or may not be read since Porthole was started again. Send it "
        "again");
  return _ ("A file to send is gone. Send again what is still there");
}

const char *
ph_storage_error_text (PhStorageError error, bool here)
{
  switch (error) {
  case PH_STORAGE_VANISHED:
    return vanished_text (here);
  case PH_STORAGE_CHANGED:
    return here ? _ ("A file changed since it was offered. Send it again")
                : _ ("A file changed at the other side while it was sent. Ask for it again");
  case PH_STORAGE_UNREADABLE:
    return here ? _ ("A file to send cannot be read. Check its permissions and send again")
                : _ ("A file cannot be read at the other side");
  case PH_STORAGE_NO_SPACE:
    return here ? _ ("There is not enough space in the folder. Make room and accept again")
                : _ ("There is not enough space at the other side");
  case PH_STORAGE_UNWRITABLE:
    return here ? _ ("The folder cannot be written. Check that it exists and is yours, or choose "
                     "another one")
                : _ ("The other side cannot write into the folder it chose");
  case PH_STORAGE_DISK:
    return _ ("The disk of the folder does not answer. Connect it again, or choose another folder");
  case PH_STORAGE_PROFILE_FULL:
  case PH_STORAGE_PROFILE:
    return ph_storage_stall_text (error, here);
  case PH_STORAGE_REFUSED:
    return _ ("A name was refused: it cannot be written safely");
  case PH_STORAGE_MISMATCH:
    return _ ("What arrived is not what was sent, twice. Check the disks on both sides");
  case PH_STORAGE_OK:
  case PH_STORAGE_IO:
  default:
    return here ? _ ("Reading or writing failed")
                : _ ("Reading or writing failed at the other side");
  }
}

const char *
ph_storage_stall_text (PhStorageError error, bool here)
{
  if (error == PH_STORAGE_NO_SPACE)
    return here
               ? _ ("There is not enough space in the folder. What has arrived is kept: make room, "
                    "and it goes on")
               : _ ("There is not enough space at the other side. What has arrived is kept; it "
                    "goes on when they have made room");
  if (error == PH_STORAGE_DISK)
    return _ ("The disk of the folder does not answer. What has arrived is kept: connect the disk "
              "again, and it goes on");
  if (error == PH_STORAGE_PROFILE_FULL)
    return _ ("There is no space left for Porthole’s own data, where it notes what has arrived. "
              "Nothing is lost: make room on that disk, and it goes on");
  if (error == PH_STORAGE_PROFILE)
    return _ ("Porthole’s own data, where it notes what has arrived, cannot be written. Nothing is "
              "lost: check that its folder is there and yours, and it goes on");
  return here
             ? _ ("The folder cannot be written. What has arrived is kept: check that the folder is "
                  "there and yours, and it goes on")
             : _ ("The other side cannot write into the folder it chose. It goes on when they "
                  "have mended that");
}

static void
fail_storage (PhCore *self, uint32_t command, PhStorageError error, const char *detail)
{
  if (*detail != '\0')
    ph_core_fail (self, command, ph_storage_error_code (error), "%s (%s)",
                  ph_storage_error_text (error, true), detail);
  else
    ph_core_fail (self, command, ph_storage_error_code (error), "%s",
                  ph_storage_error_text (error, true));
}

/* --- Sending ------------------------------------------------------------------------------------ */

void
ph_scanning_free (gpointer data)
{
  PhScanning *self = data;

  ph_scan_free (self->scan);
  g_free (self);
}

void
ph_core_send_paths (PhCore *self, uint32_t command, const PhPeer *peer, const char *const *paths)
{
  PhScanning *scanning;

  scanning = g_new0 (PhScanning, 1);
  scanning->core = self;
  scanning->command = command;
  scanning->peer = peer->id;
  scanning->scan = ph_scan_start ((const char *const *)paths, ph_core_wake, self);
  g_ptr_array_add (self->scans, scanning);
}

void
ph_core_fail_blocked (PhCore *self, const PhCommand *command, const PhPeer *peer)
{
  g_autofree char *who = ph_display_name (peer->contact->name);

  ph_core_fail (self, command->number, PH_ENGINE_ERROR_BLOCKED,
                _ ("%s is blocked. Unblock them first"), who);
}

void
ph_core_send (PhCore *self, const PhCommand *command)
{
  PhPeer *peer = ph_core_need_peer (self, command);

  if (peer == NULL)
    return;
  if (peer->contact->blocked) {
    ph_core_fail_blocked (self, command, peer);
    return;
  }
  if (command->paths == NULL || command->paths[0] == NULL) {
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_BAD_VALUE, _ ("There is nothing to send"));
    return;
  }
  ph_core_send_paths (self, command->number, peer, (const char *const *)command->paths);
}

static void
fail_scan (PhCore *self, uint32_t command, const PhScanResult *result)
{
  g_autofree char *name = ph_display_name (result->failed_path != NULL ? result->failed_path : "");

  switch (result->status) {
  case PH_SCAN_MISSING:
    if (is_confined ())
      ph_core_fail (self, command, PH_ENGINE_ERROR_FILES,
                    _ ("Porthole cannot see “%s”. As a Flatpak it sees the Downloads folder, and "
                       "what you choose in its window: choose the file there"),
                    name);
    else
      ph_core_fail (self, command, PH_ENGINE_ERROR_FILES, _ ("There is no file “%s”"), name);
    break;
  case PH_SCAN_REFUSED:
    ph_core_fail (self, command, PH_ENGINE_ERROR_FILES,
                  /* Translators: the first %s is a file, the second what the system says. */
                  _ ("“%s” cannot be sent: %s"), name,
                  result->error != 0 ? g_strerror (result->error)
                                     : _ ("it is neither a file nor a folder"));
    break;
  case PH_SCAN_TOO_MANY:
    ph_core_fail (self, command, PH_ENGINE_ERROR_FILES,
                  _ ("These are too many files for one transfer. Send them in parts"));
    break;
  case PH_SCAN_OK:
  case PH_SCAN_CANCELLED:
  default:
    ph_core_fail (self, command, PH_ENGINE_ERROR_CANCELLED, _ ("Cancelled"));
    break;
  }
}

static void
say_skipped (PhTransfer *transfer, const PhScanResult *result)
{
  const PhSkipped *first;
  g_autofree char *name = NULL;

  if (result->n_skipped == 0 || result->skipped->len == 0)
    return;
  first = result->skipped->pdata[0];
  name = ph_display_name (first->path);
  transfer->message = g_strdup_printf (
      /* Translators: %s is the first file that was left out. */
      g_dngettext (GETTEXT_PACKAGE,
                   "%u item cannot be sent and was left out (links, devices, unreadable files): %s",
                   "%u items cannot be sent and were left out (links, devices, unreadable files), "
                   "the first is %s",
                   result->n_skipped),
      result->n_skipped, name);
}

static void
offer (PhCore *self, PhScanning *scanning, PhScanResult *result)
{
  PhPeer *peer = ph_core_find_peer (self, &scanning->peer);
  const PhTime now = ph_core_now (self);
  g_autoptr (GError) error = NULL;
  PhTransfer *transfer;
  PhTransferId id;

  if (peer == NULL) {
    ph_core_fail (self, scanning->command, PH_ENGINE_ERROR_UNKNOWN_CONTACT,
                  _ ("The contact was removed"));
    return;
  }
  if (ph_manifest_len (result->manifest) == 0) {
    ph_core_fail (self, scanning->command, PH_ENGINE_ERROR_FILES, _ ("There is nothing to send"));
    return;
  }
  ph_random_bytes (&self->random, id.bytes, sizeof id.bytes);
  transfer = ph_transfer_new (self, peer, &id, true, result->manifest);
  transfer->roots = g_steal_pointer (&result->roots);
  say_skipped (transfer, result);
  if (!ph_transfer_store (transfer, PH_STORE_QUEUED, &error)) {
    ph_core_fail (self, scanning->command, PH_ENGINE_ERROR_FAILED, "%s", error->message);
    g_ptr_array_remove (self->transfers, transfer);
    return;
  }
  ph_transfer_news (transfer, PH_TRANSFER_WAITING);
  if (peer->session != NULL) {
    ph_session_offer (peer->session, now, &id, transfer->manifest);
    transfer->in_session = true;
    ph_transfer_take_path (transfer, now);
    ph_peer_update (peer, now);
  }
  ph_core_done (self, scanning->command, NULL, transfer->text);
}

void
ph_core_scans_check (PhCore *self)
{
  for (guint i = self->scans->len; i-- > 0;) {
    PhScanning *scanning = self->scans->pdata[i];
    g_autoptr (PhScanResult) result = ph_scan_take (scanning->scan);

    if (result == NULL)
      continue;
    if (result->status == PH_SCAN_OK)
      offer (self, scanning, result);
    else
      fail_scan (self, scanning->command, result);
    g_ptr_array_remove_index (self->scans, i);
  }
}

/* --- Answers and wishes ------------------------------------------------------------------------- */

static PhTransfer *
need_transfer (PhCore *self, const PhCommand *command)
{
  for (guint i = 0; i < self->transfers->len; i++) {
    PhTransfer *transfer = self->transfers->pdata[i];

    if (g_strcmp0 (transfer->text, command->subject) == 0
        && !ph_transfer_state_ended (transfer->state))
      return transfer;
  }
  ph_core_fail (self, command->number, PH_ENGINE_ERROR_UNKNOWN_TRANSFER,
                _ ("There is no transfer “%s” under way"), command->subject);
  return NULL;
}

static PhTransfer *
need_offer (PhCore *self, const PhCommand *command)
{
  PhTransfer *transfer = need_transfer (self, command);

  if (transfer != NULL && (transfer->outgoing || transfer->accepted || transfer->peer == NULL)) {
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_UNKNOWN_TRANSFER,
                  _ ("Transfer “%s” does not wait for an answer"), command->subject);
    return NULL;
  }
  return transfer;
}

/* What was accepted and is still to be written. It may go to another disk: then this asks for too much,
 * and a person is asked. */
static uint64_t
bytes_expected (const PhCore *self)
{
  uint64_t bytes = 0;

  for (guint i = 0; i < self->transfers->len; i++) {
    const PhTransfer *transfer = self->transfers->pdata[i];

    if (!transfer->outgoing && transfer->accepted && !ph_transfer_state_ended (transfer->state))
      bytes += transfer->bytes_total - MIN (transfer->bytes_done, transfer->bytes_total);
  }
  return bytes;
}

/* Without a `command` nobody has asked for it. */
static bool
accept_into (PhCore *self, PhTransfer *transfer, const char *folder, uint32_t command)
{
  const PhTime now = ph_core_now (self);
  const uint64_t bytes =
      ph_manifest_bytes (transfer->manifest) + (command == 0 ? bytes_expected (self) : 0);
  char detail[160] = "";
  g_autoptr (GError) error = NULL;
  PhStorageError refused;

  refused = ph_storage_check_folder (folder, bytes, NULL, detail);
  transfer->refused = refused;
  if (refused != PH_STORAGE_OK) {
    fail_storage (self, command, refused, detail);
    return false;
  }
  transfer->folder = g_strdup (folder);
  if (!ph_transfer_store (transfer, PH_STORE_ACTIVE, &error)) {
    ph_core_fail (self, command, PH_ENGINE_ERROR_FAILED, "%s", error->message);
    g_clear_pointer (&transfer->folder, g_free);
    return false;
  }
  transfer->accepted = true;
  transfer->accepted_at = now;
  if (transfer->path.kind != PH_PATH_NONE && transfer->path.kind != PH_PATH_RELAY)
    transfer->direct_at = now;
  ph_transfer_news (transfer, PH_TRANSFER_ACTIVE);
  ph_session_accept (transfer->peer->session, now, &transfer->id, ph_transfer_make_sink (transfer));
  ph_core_done (self, command, NULL, transfer->text);
  return true;
}

/* The folder of the settings. That it cannot be made is said by the check in accept_into(). */
static char *
make_download_folder (PhCore *self)
{
  char *folder = ph_core_setting (self, "download-dir");

  g_mkdir_with_parents (folder, 0777);
  return folder;
}

void
ph_core_accept (PhCore *self, const PhCommand *command)
{
  PhTransfer *transfer = need_offer (self, command);
  g_autofree char *folder = NULL;

  if (transfer == NULL)
    return;
  if (!transfer->in_session) {
    g_autofree char *who = ph_display_name (transfer->peer->contact->name);

    ph_core_fail (self, command->number, PH_ENGINE_ERROR_OFFLINE,
                  _ ("%s is not there. You are asked again when they are"), who);
    return;
  }
  if (command->text != NULL) {
    folder = g_canonicalize_filename (command->text, NULL);
  } else {
    folder = make_download_folder (self);
  }
  accept_into (self, transfer, folder, command->number);
}

/* What the sender hears: a person's no, or what kept them from saying yes. */
static PhDeclineReason
decline_reason (const PhTransfer *transfer)
{
  switch ((int)transfer->refused) {
  case PH_STORAGE_NO_SPACE:
    return PH_DECLINE_NO_SPACE;
  case PH_STORAGE_UNWRITABLE:
  case PH_STORAGE_DISK:
    return PH_DECLINE_UNWRITABLE;
  default:
    return PH_DECLINE_PERSON;
  }
}

void
ph_core_decline (PhCore *self, const PhCommand *command)
{
  PhTransfer *transfer = need_offer (self, command);
  const PhTime now = ph_core_now (self);

  if (transfer == NULL)
    return;
  /* One that is not connected learns it when it offers the transfer again. */
  if (transfer->in_session)
    ph_session_decline (transfer->peer->session, now, &transfer->id, decline_reason (transfer));
  ph_transfer_end (transfer, now, PH_TRANSFER_DECLINED,
                   ph_engine_error_code (PH_ENGINE_ERROR_DECLINED), NULL);
  ph_peer_update (transfer->peer, now);
  ph_core_done (self, command->number, NULL, transfer->text);
}

void
ph_core_cancel (PhCore *self, const PhCommand *command)
{
  PhTransfer *transfer = need_transfer (self, command);
  const PhTime now = ph_core_now (self);

  if (transfer == NULL)
    return;
  if (!transfer->in_session || !ph_session_cancel (transfer->peer->session, now, &transfer->id)) {
    /* Not connected: the peer learns it when it offers, or misses, the transfer next time. */
    if (!transfer->outgoing && transfer->folder != NULL)
      ph_file_sink_remove_parts (transfer->folder, transfer->id.bytes, transfer->manifest);
    ph_transfer_end (transfer, now, PH_TRANSFER_CANCELLED,
                     ph_engine_error_code (PH_ENGINE_ERROR_CANCELLED), NULL);
  }
  ph_core_done (self, command->number, NULL, transfer->text);
}

/* Goes on after room was made. */
static void
unstall (PhCore *self, PhTransfer *transfer, const PhCommand *command)
{
  char detail[160] = "";
  const PhStorageError error = ph_transfer_unstall (transfer, true, detail);

  if (error != PH_STORAGE_OK)
    fail_storage (self, command->number, error, detail);
  else
    ph_core_done (self, command->number, NULL, transfer->text);
}

void
ph_core_pause (PhCore *self, const PhCommand *command, bool pause)
{
  PhTransfer *transfer = need_transfer (self, command);
  const PhTime now = ph_core_now (self);

  if (transfer == NULL)
    return;
  if (!transfer->outgoing && !transfer->accepted) {
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_UNKNOWN_TRANSFER,
                  _ ("Transfer “%s” has not begun: accept or decline it first"), command->subject);
    return;
  }
  if (!pause && transfer->stalled != PH_STORAGE_OK) {
    unstall (self, transfer, command);
    return;
  }
  if (pause && transfer->stalled != PH_STORAGE_OK && !transfer->stalled_held) {
    transfer->stalled_held = true;
    ph_transfer_set_stored (transfer, PH_STORE_PAUSED);
  }
  if (transfer->paused_here != pause) {
    transfer->paused_here = pause;
    if (transfer->in_session) {
      if (pause)
        ph_session_pause (transfer->peer->session, now, &transfer->id);
      else
        ph_session_resume (transfer->peer->session, now, &transfer->id);
    }
    if (transfer->accepted)
      ph_transfer_set_stored (transfer, pause ? PH_STORE_PAUSED : PH_STORE_ACTIVE);
    else
      ph_transfer_set_stored (transfer, pause ? PH_STORE_HELD : PH_STORE_QUEUED);
    transfer->rate = 0;
    transfer->told_at = 0;
    transfer->tell = true;
  }
  ph_core_done (self, command->number, NULL, transfer->text);
}

/* --- What sessions tell ------------------------------------------------------------------------- */

static void
offered (PhCore *self, PhTime now, PhPeer *peer, const PhSessionEvent *event)
{
  PhTransfer *transfer = ph_core_find_transfer (self, &event->id);

  /* The profile is another person's by now. */
  if (self->imported) {
    ph_session_decline (peer->session, now, &event->id, PH_DECLINE_OTHER);
    return;
  }
  /* An id that another contact's transfer has: chance cannot do that. */
  if (transfer != NULL && !ph_core_offer_again (self, transfer, peer, event->manifest)) {
    ph_session_decline (peer->session, now, &event->id, PH_DECLINE_OTHER);
    return;
  }
  if (peer->contact->blocked) {
    ph_session_decline (peer->session, now, &event->id, PH_DECLINE_PERSON);
    return;
  }
  if (transfer == NULL)
    transfer = ph_transfer_new (self, peer, &event->id, false, event->manifest);
  transfer->in_session = true;
  ph_transfer_news (transfer, PH_TRANSFER_OFFERED);
  ph_transfer_take_path (transfer, now);

  if (ph_peer_may_take (peer, now, transfer->manifest)) {
    g_autofree char *folder = make_download_folder (self);

    if (accept_into (self, transfer, folder, 0))
      ph_peer_note_taken (peer, now, transfer->manifest);
  }
}

static void
progress (PhTransfer *self, PhTime now, const PhSessionEvent *event)
{
  const uint64_t old = self->bytes_done;

  if (event->bytes_written > old && !event->resumed)
    self->path_bytes[self->path.kind] += event->bytes_written - old;
  self->bytes_done = event->bytes_written;
  self->bytes_durable = event->bytes_durable;

  if (self->rate_from == 0 || event->resumed || event->bytes_written < self->rate_bytes) {
    self->rate_from = now;
    self->rate_bytes = event->bytes_written;
  } else if (now >= ph_time_add (self->rate_from, PH_CORE_RATE_INTERVAL / 4)) {
    const double span = (double)ph_time_since (now, self->rate_from) / (double)PH_SEC;
    const double fresh = (double)(event->bytes_written - self->rate_bytes) / span;

    /* Each quarter of the interval counts a quarter. */
    self->rate =
        self->rate == 0 ? (uint64_t)fresh : (uint64_t)((double)self->rate * 0.75 + fresh * 0.25);
    self->rate_from = now;
    self->rate_bytes = event->bytes_written;
  }
  self->tell = true;
}

static void
accepted (PhTransfer *self, PhTime now)
{
  self->accepted = true;
  if (self->accepted_at == PH_NEVER)
    self->accepted_at = now;
  if (self->path.kind != PH_PATH_NONE && self->path.kind != PH_PATH_RELAY
      && self->direct_at == PH_NEVER)
    self->direct_at = now;
  self->code = "";
  ph_transfer_set_stored (self, self->paused_here ? PH_STORE_PAUSED : PH_STORE_ACTIVE);
  ph_transfer_news (self, PH_TRANSFER_ACTIVE);
}

static void
declined (PhTransfer *self, PhTime now, PhDeclineReason reason)
{
  switch (reason) {
  case PH_DECLINE_NO_SPACE:
    ph_transfer_end (self, now, PH_TRANSFER_DECLINED,
                     ph_engine_error_code (PH_ENGINE_ERROR_NO_SPACE),
                     ph_storage_error_text (PH_STORAGE_NO_SPACE, false));
    break;
  case PH_DECLINE_UNWRITABLE:
    ph_transfer_end (self, now, PH_TRANSFER_DECLINED, ph_engine_error_code (PH_ENGINE_ERROR_FOLDER),
                     ph_storage_error_text (PH_STORAGE_UNWRITABLE, false));
    break;
  case PH_DECLINE_TOO_LARGE:
    ph_transfer_end (self, now, PH_TRANSFER_DECLINED,
                     ph_engine_error_code (PH_ENGINE_ERROR_DECLINED),
                     _ ("This is more than the other side takes at once. Send it in parts"));
    break;
  default:
    ph_transfer_end (self, now, PH_TRANSFER_DECLINED,
                     ph_engine_error_code (PH_ENGINE_ERROR_DECLINED),
                     _ ("The other side declined"));
    break;
  }
}

static void
failed (PhTransfer *self, PhTime now, const PhSessionEvent *event)
{
  g_autofree char *message = NULL;
  PhEngineError code = PH_ENGINE_ERROR_PEER;
  const char *text = _ ("The other side broke off. Try again");

  if (event->failure == PH_FAILURE_STORAGE) {
    code = ph_storage_error_code (event->storage);
    text = ph_storage_error_text (event->storage, !event->by_peer);
  } else if (event->failure == PH_FAILURE_GONE) {
    text = _ ("The other side knows nothing of this transfer any more. Send it again");
  } else if (event->failure == PH_FAILURE_PROTOCOL) {
    text = _ ("The other side does not keep to the protocol. It may need an update");
  }
  message =
      *event->message != '\0' ? g_strdup_printf ("%s (%s)", text, event->message) : g_strdup (text);
  ph_transfer_end (self, now, PH_TRANSFER_FAILED, ph_engine_error_code ((int)code), message);
}

void
ph_core_handle_session_event (PhCore *self, PhTime now, PhPeer *peer, const PhSessionEvent *event)
{
  PhTransfer *transfer;

  if (event->type == PH_SESSION_EVENT_OFFER) {
    offered (self, now, peer, event);
    return;
  }
  if (event->type == PH_SESSION_EVENT_SYNCED) {
    ph_core_offers_synced (self, now, peer);
    return;
  }
  transfer = ph_core_find_transfer (self, &event->id);
  if (transfer == NULL || transfer->peer != peer || ph_transfer_state_ended (transfer->state))
    return;

  switch (event->type) {
  case PH_SESSION_EVENT_ACCEPTED:
    accepted (transfer, now);
    break;
  case PH_SESSION_EVENT_DECLINED:
    declined (transfer, now, event->decline);
    break;
  case PH_SESSION_EVENT_STARTED:
    transfer->started_at = now;
    transfer->tell = true;
    break;
  case PH_SESSION_EVENT_PROGRESS:
    if (transfer->state == PH_TRANSFER_WAITING || transfer->state == PH_TRANSFER_CONNECTING)
      ph_transfer_news (transfer, PH_TRANSFER_ACTIVE);
    progress (transfer, now, event);
    break;
  case PH_SESSION_EVENT_PAUSED:
  case PH_SESSION_EVENT_RESUMED:
    transfer->paused_there = event->pause;
    ph_transfer_news (transfer, transfer->state);
    transfer->told_at = 0;
    break;
  case PH_SESSION_EVENT_STALLED:
    ph_transfer_stall (transfer, now, event);
    break;
  case PH_SESSION_EVENT_WAITING:
    if (transfer->outgoing || transfer->accepted) {
      transfer->path.kind = PH_PATH_NONE;
      transfer->rate = 0;
      ph_transfer_store_digests (transfer);
      ph_transfer_news (transfer, PH_TRANSFER_WAITING);
    }
    break;
  case PH_SESSION_EVENT_DELIVERED:
  case PH_SESSION_EVENT_RECEIVED:
    ph_transfer_end (transfer, now, PH_TRANSFER_DONE, "", NULL);
    break;
  case PH_SESSION_EVENT_FAILED:
    failed (transfer, now, event);
    break;
  case PH_SESSION_EVENT_CANCELLED:
    ph_transfer_end_by (transfer, now, PH_TRANSFER_CANCELLED,
                        ph_engine_error_code (PH_ENGINE_ERROR_CANCELLED),
                        event->by_peer ? _ ("The other side cancelled") : NULL, event->by_peer);
    break;
  case PH_SESSION_EVENT_FILE_RESTARTED:
  case PH_SESSION_EVENT_OFFER:
  case PH_SESSION_EVENT_SYNCED:
  case PH_SESSION_EVENT_PEER:
  case PH_SESSION_EVENT_SIGNAL:
  case PH_SESSION_EVENT_LINK_ERROR:
    break;
  }
}
