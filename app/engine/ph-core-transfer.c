/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Transfers as the engine keeps them: a row in the store, a place in a session, a snapshot outside. What
 * a person asks for is in ph-core-transfer-commands.c. */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/engine/ph-core-transfer.h"

#include <glib/gi18n-lib.h>
#include <sodium.h>

/* A list of more would not be read; the counts say the rest. */
#define TOP_NAMES_MAX 16u

void
ph_transfer_free (gpointer data)
{
  PhTransfer *self = data;

  g_clear_pointer (&self->manifest, ph_manifest_unref);
  g_strfreev (self->roots);
  g_ptr_array_unref (self->top_names);
  g_free (self->peer_name);
  g_free (self->folder);
  g_free (self->message);
  g_clear_pointer (&self->digests, g_byte_array_unref);
  g_free (self->stalled_message);
  ph_transfer_drop_stall_check (self);
  g_free (self);
}

PhTransfer *
ph_core_find_transfer (const PhCore *self, const PhTransferId *id)
{
  for (guint i = 0; i < self->transfers->len; i++) {
    PhTransfer *transfer = self->transfers->pdata[i];

    if (ph_transfer_id_equal (&transfer->id, id))
      return transfer;
  }
  return NULL;
}

void
ph_transfer_set_manifest (PhTransfer *self, PhManifest *manifest)
{
  self->manifest = ph_manifest_ref (manifest);
  self->files = ph_manifest_files (manifest);
  self->bytes_total = ph_manifest_bytes (manifest);
  g_ptr_array_set_size (self->top_names, 0);
  for (uint32_t i = 0; i < ph_manifest_len (manifest) && self->top_names->len < TOP_NAMES_MAX;
       i++) {
    const PhEntry *entry = ph_manifest_entry (manifest, i);

    if (strchr (entry->path, '/') == NULL)
      g_ptr_array_add (self->top_names, g_strdup (entry->path));
  }
  g_ptr_array_add (self->top_names, NULL);
}

PhTransfer *
ph_transfer_new (PhCore *core, PhPeer *peer, const PhTransferId *id, bool outgoing,
                 PhManifest *manifest)
{
  PhTransfer *self = g_new0 (PhTransfer, 1);

  self->core = core;
  self->peer = peer;
  self->peer_name = peer != NULL ? g_strdup (peer->contact->name) : NULL;
  self->id = *id;
  sodium_bin2hex (self->text, sizeof self->text, id->bytes, sizeof id->bytes);
  self->outgoing = outgoing;
  self->accepted_at = self->started_at = self->ended_at = self->direct_at = PH_NEVER;
  self->retry_at = self->stall_check_at = PH_NEVER;
  self->created_at = ph_core_now (core);
  self->created_unix = ph_core_unix_now ();
  self->code = "";
  self->commit.store = core->profile->store;
  self->commit.id = *id;

  self->top_names = g_ptr_array_new_with_free_func (g_free);
  if (manifest != NULL)
    ph_transfer_set_manifest (self, manifest);
  else
    g_ptr_array_add (self->top_names, NULL);
  g_ptr_array_add (core->transfers, self);
  return self;
}

void
ph_transfer_news (PhTransfer *self, PhTransferState state)
{
  if (self->state != state)
    self->told_at = 0; /* at once */
  self->state = state;
  self->tell = true;
}

/* --- Snapshots ---------------------------------------------------------------------------------- */

static PhPathKind
main_path (const PhTransfer *self)
{
  PhPathKind best = self->path.kind;

  if (!ph_transfer_state_ended (self->state))
    return best;
  for (PhPathKind kind = PH_PATH_LAN; kind <= PH_PATH_RELAY; kind++) {
    if (self->path_bytes[kind] > self->path_bytes[best])
      best = kind;
  }
  return best;
}

static uint32_t
span_ms (PhTime from, PhTime to)
{
  return from == PH_NEVER ? 0 : (uint32_t)MIN (ph_time_since (to, from) / PH_MSEC, G_MAXINT32);
}

static PhTransferState
shown_state (const PhTransfer *self)
{
  if (ph_transfer_state_ended (self->state))
    return self->state;
  /* Whether a person wants it can be asked while the sender pauses. */
  if (!self->outgoing && self->state == PH_TRANSFER_OFFERED)
    return self->state;
  if (self->paused_here || self->paused_there)
    return PH_TRANSFER_PAUSED;
  if (self->state == PH_TRANSFER_ACTIVE && self->bytes_done == self->bytes_total)
    return PH_TRANSFER_CHECKING;
  return self->state;
}

/* Why it is paused, if that is not a person's wish. */
static PhStorageError
held_by (const PhTransfer *self)
{
  if (ph_transfer_state_ended (self->state))
    return PH_STORAGE_OK;
  if (self->stalled != PH_STORAGE_OK)
    return self->stalled;
  return self->paused_there == PH_PAUSE_NO_SPACE     ? PH_STORAGE_NO_SPACE
         : self->paused_there == PH_PAUSE_UNWRITABLE ? PH_STORAGE_UNWRITABLE
                                                     : PH_STORAGE_OK;
}

static const char *
trouble_code (const PhTransfer *self)
{
  const PhStorageError error = held_by (self);

  return error == PH_STORAGE_OK ? self->code
                                : ph_engine_error_code ((int)ph_storage_error_code (error));
}

static const char *
trouble_message (const PhTransfer *self)
{
  const PhStorageError error = held_by (self);

  if (error == PH_STORAGE_OK)
    return self->message;
  return self->stalled != PH_STORAGE_OK ? self->stalled_message
                                        : ph_storage_stall_text (error, false);
}

static const char *
transport_name (const PhPath *path)
{
  return path->local.transport == PH_CANDIDATE_UDP ? "quic" : "tls";
}

static void
tell (PhTransfer *self, PhTime now)
{
  const PhTime end = self->ended_at != PH_NEVER ? self->ended_at : now;
  const PhPath *path = &self->path;
  const bool has_path = path->kind != PH_PATH_NONE;
  char local[PH_ADDR_STRING_MAX], remote[PH_ADDR_STRING_MAX];
  const PhEvent event = {
      .type = PH_EVENT_TRANSFER,
      .transfer =
          {
              .id = self->text,
              .contact = self->peer != NULL ? self->peer->text : "",
              .contact_name = self->peer != NULL ? self->peer->contact->name : self->peer_name,
              .direction = self->outgoing ? PH_DIRECTION_SEND : PH_DIRECTION_RECEIVE,
              .state = shown_state (self),
              .names = (const char *const *)self->top_names->pdata,
              .files = self->files,
              .bytes_total = self->bytes_total,
              .bytes_done = self->bytes_done,
              .rate = self->rate,
              .created_at = self->created_unix,
              .finished_at = self->finished_unix,
              .duration_ms = span_ms (self->accepted_at, end),
              .first_byte_ms = self->started_at == PH_NEVER || self->accepted_at == PH_NEVER
                                   ? -1
                                   : (int32_t)span_ms (self->accepted_at, self->started_at),
              .folder = self->folder,
              .paused_here = self->paused_here,
              .missed = self->missed,
              .can_send_again = self->outgoing && self->roots != NULL && self->peer != NULL
                                && ph_transfer_state_ended (self->state),
              .expires_at = ph_transfer_expires (self),
              .path = ph_path_kind_name (main_path (self)),
              .best_path = ph_path_kind_name (self->best_path),
              .transport = has_path ? transport_name (path) : "",
              .local_kind = has_path ? ph_candidate_type_name (path->local.type) : "",
              .remote_kind = has_path ? ph_candidate_type_name (path->remote.type) : "",
              .local_addr = has_path ? ph_addr_format (&path->local.addr, local) : "",
              .remote_addr = has_path ? ph_addr_format (&path->remote_to, remote) : "",
              .rtt_ms = (uint32_t)((self->rtt + PH_MSEC / 2) / PH_MSEC),
              .direct_ms = self->direct_at == PH_NEVER
                               ? -1
                               : (int32_t)span_ms (self->accepted_at, self->direct_at),
              .code = trouble_code (self),
              .message = trouble_message (self),
              .retry_ms = self->retry_at == PH_NEVER ? 0 : span_ms (now, self->retry_at),
          },
  };

  self->tell = false;
  self->told_at = now;
  ph_core_emit (self->core, event);
}

/* Lets go of the oldest of those that have ended and were told. */
static void
forget_ended (PhCore *self)
{
  guint ended = 0;

  for (guint i = self->transfers->len; i-- > 0;) {
    const PhTransfer *transfer = self->transfers->pdata[i];

    if (ph_transfer_state_ended (transfer->state) && !transfer->tell && ++ended > PH_CORE_ENDED_MAX)
      g_ptr_array_remove_index (self->transfers, i);
  }
}

void
ph_core_transfers_tell_unfinished (PhCore *self, PhTime now)
{
  for (guint i = 0; i < self->transfers->len; i++) {
    PhTransfer *transfer = self->transfers->pdata[i];
    const bool news = transfer->tell;

    if (ph_transfer_state_ended (transfer->state))
      continue;
    tell (transfer, now);
    transfer->tell = news; /* the others have not heard it */
  }
}

void
ph_core_transfers_tell (PhCore *self, PhTime now)
{
  for (guint i = 0; i < self->transfers->len; i++) {
    PhTransfer *transfer = self->transfers->pdata[i];

    if (transfer->tell && now >= ph_time_add (transfer->told_at, PH_CORE_TELL_INTERVAL))
      tell (transfer, now);
  }
  forget_ended (self);
}

PhTime
ph_core_transfers_next_timeout (const PhCore *self)
{
  PhTime next = PH_NEVER;

  for (guint i = 0; i < self->transfers->len; i++) {
    const PhTransfer *transfer = self->transfers->pdata[i];

    if (transfer->tell)
      next = ph_time_min (next, ph_time_add (transfer->told_at, PH_CORE_TELL_INTERVAL));
  }
  return next;
}

/* --- The store ---------------------------------------------------------------------------------- */

static bool
commit_checkpoint (void *user, const PhStoreCheckpoint *checkpoint, GError **error)
{
  const PhSinkCommit *commit = user;

  return ph_store_put_checkpoint (commit->store, commit->id.bytes, checkpoint, error);
}

PhSink *
ph_transfer_make_sink (PhTransfer *self)
{
  PhStore *store = self->core->profile->store;
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) names = NULL;
  PhStoreCheckpoint checkpoint;
  bool found = false;

  if (ph_store_get_checkpoint (store, self->id.bytes, &checkpoint, &found, &error))
    names = ph_store_get_names (store, self->id.bytes, &error);

  PhFileSinkConfig config = {
      .manifest = self->manifest,
      .folder = self->folder,
      .checkpoint = found ? &checkpoint : NULL,
      .names = names,
      .unread = error != NULL ? error->message : NULL,
      .journal = {commit_checkpoint, &self->commit, self->core->profile->dir},
      .ready = ph_core_wake,
      .user = self->core,
  };

  memcpy (config.transfer, self->id.bytes, sizeof config.transfer);
  return ph_file_sink_new (&config);
}

static PhSource *
open_source (void *user, const PhTransferId *id, PhStorageError *ret_error)
{
  const PhPeer *peer = user;
  const PhTransfer *transfer = ph_core_find_transfer (peer->core, id);

  if (transfer == NULL || transfer->roots == NULL) {
    *ret_error = PH_STORAGE_VANISHED;
    return NULL;
  }

  const PhFileSourceConfig config = {
      .manifest = transfer->manifest,
      .roots = (const char *const *)transfer->roots,
      .pool = peer->core->pool,
      .ready = ph_core_wake,
      .user = peer->core,
  };

  return ph_file_source_new (&config);
}

static void
sent (void *user, const PhTransferId *id, uint32_t file, const uint8_t sha256[PH_SHA256_LEN])
{
  const PhPeer *peer = user;
  PhTransfer *transfer = ph_core_find_transfer (peer->core, id);

  if (transfer != NULL && transfer->manifest != NULL)
    ph_transfer_note_digest (transfer, file, sha256);
}

static PhPast
recall (void *user, const PhTransferId *id, uint8_t ret_digest[PH_SHA256_LEN])
{
  const PhPeer *peer = user;
  PhStore *store = peer->core->profile->store;
  g_autoptr (PhStoreTransfer) row = ph_store_get_transfer (store, id->bytes, NULL);
  g_autoptr (GBytes) receipt = NULL;

  /* The id of another contact's transfer, or of one of ours: chance cannot do that. What became of it is not told,
   * and a second transfer of that id could not be noted. */
  if (row != NULL && (!row->incoming || memcmp (row->peer, peer->id.key, sizeof row->peer) != 0))
    return PH_PAST_DECLINED;
  receipt = ph_store_get_receipt (store, id->bytes, ph_core_unix_now (), NULL);
  if (receipt != NULL && g_bytes_get_size (receipt) == PH_SHA256_LEN) {
    memcpy (ret_digest, g_bytes_get_data (receipt, NULL), PH_SHA256_LEN);
    return PH_PAST_RECEIVED;
  }
  if (row == NULL)
    return PH_PAST_UNKNOWN;
  switch (row->state) {
  case PH_STORE_DECLINED:
    return PH_PAST_DECLINED;
  case PH_STORE_CANCELLED:
    return PH_PAST_CANCELLED;
  case PH_STORE_FAILED:
    return PH_PAST_FAILED;
  default:
    return PH_PAST_UNKNOWN;
  }
}

const PhSessionHooks *
ph_core_session_hooks (PhPeer *peer, PhSessionHooks *hooks)
{
  *hooks = (PhSessionHooks){open_source, recall, sent, peer};
  return hooks;
}

static PhStoreTransfer
new_row (const PhTransfer *self, PhStoreState state)
{
  PhStoreTransfer row = {
      .peer_name = self->peer->contact->name,
      .incoming = !self->outgoing,
      .state = state,
      .files = self->files,
      .bytes = self->bytes_total,
      .destination = self->folder,
      .created_at = self->created_unix,
      .finished_at = self->finished_unix,
      .missed = self->missed,
  };

  memcpy (row.id, self->id.bytes, sizeof row.id);
  memcpy (row.peer, self->peer->id.key, sizeof row.peer);
  return row;
}

bool
ph_transfer_store (PhTransfer *self, PhStoreState state, GError **error)
{
  PhStore *store = self->core->profile->store;
  g_autoptr (GBytes) manifest =
      state != PH_STORE_OFFERED ? ph_manifest_encode (self->manifest) : NULL;
  g_autofree char *title = g_strjoinv ("/", (char **)self->top_names->pdata);
  g_autofree char *words = ph_transfer_words (self);
  PhStoreTransfer row = new_row (self, state);

  row.title = title;
  row.words = words;
  if (self->stored) {
    g_assert (state == PH_STORE_ACTIVE);
    return ph_store_accept_offer (store, self->id.bytes, self->folder, manifest, error);
  }
  self->stored =
      ph_store_add_transfer (store, &row, manifest, (const char *const *)self->roots, error);
  return self->stored;
}

/* An offer that ended before it had a row: the row of its end, so that it is not asked again (declined) or is
 * listed (missed). */
static bool
store_end (PhTransfer *self, PhStoreState state, GError **error)
{
  PhStore *store = self->core->profile->store;
  g_autofree char *title = NULL, *words = NULL;
  PhStoreTransfer row;

  if (self->peer == NULL)
    return true;
  row = new_row (self, state);
  title = g_strjoinv ("/", (char **)self->top_names->pdata);
  words = ph_transfer_words (self);
  if (!ph_core_is_private (self->core)) {
    row.code = (char *)self->code;
    row.message = self->message;
    row.title = title;
    row.words = words;
  } else if (self->missed) {
    return true;
  } else {
    /* What answers the sender, and lets it expire: as ph_store_hide() leaves it. */
    row.peer_name = NULL;
    row.destination = NULL;
    row.files = 0;
    row.bytes = 0;
    row.created_at = 0;
    row.hidden = true;
  }
  return ph_store_add_transfer (store, &row, NULL, NULL, error);
}

void
ph_transfer_set_stored (PhTransfer *self, PhStoreState state)
{
  g_autoptr (GError) error = NULL;

  if (!ph_store_set_state (self->core->profile->store, self->id.bytes, state, self->folder, &error))
    g_debug ("transfer %s: %s", self->text, error->message);
}

static PhStoreState
stored_state (PhTransferState state)
{
  switch (state) {
  case PH_TRANSFER_DONE:
    return PH_STORE_DELIVERED;
  case PH_TRANSFER_DECLINED:
    return PH_STORE_DECLINED;
  case PH_TRANSFER_CANCELLED:
    return PH_STORE_CANCELLED;
  default:
    return PH_STORE_FAILED;
  }
}

void
ph_transfer_end_by (PhTransfer *self, PhTime now, PhTransferState state, const char *code,
                    const char *message, bool by_peer)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) receipt = NULL;

  if (ph_transfer_state_ended (self->state))
    return;
  self->ended_at = now;
  self->finished_unix = ph_core_unix_now ();
  self->in_session = false;
  self->code = code;
  g_free (self->message);
  self->message = g_strdup (message);
  self->retry_at = PH_NEVER;
  ph_transfer_news (self, state);
  if (state == PH_TRANSFER_DONE) {
    const uint32_t ms = span_ms (self->accepted_at, now);

    self->bytes_done = self->bytes_total;
    self->rate = ms > 0 ? self->bytes_done * 1000 / ms : 0;
    if (!self->outgoing)
      receipt = g_bytes_new (ph_manifest_digest (self->manifest), PH_SHA256_LEN);
  }

  self->missed = !self->outgoing && !self->accepted && state == PH_TRANSFER_CANCELLED && by_peer;

  const PhStoreResult result = {
      .state = stored_state (state),
      .code = code,
      .message = self->message,
      .path = ph_path_kind_name (main_path (self)),
      .rate = self->rate,
      .bytes_done = self->bytes_done,
      .finished_at = self->finished_unix,
      .receipt = receipt,
      .missed = self->missed,
      .traceless = ph_core_is_private (self->core),
  };
  PhStore *store = self->core->profile->store;

  if (!result.traceless)
    ph_transfer_store_digests (self);
  if (!(self->stored ? ph_store_finish_transfer (store, self->id.bytes, &result, &error)
                     : store_end (self, result.state, &error))
      || (self->missed
          && !ph_store_trim_missed (store, self->peer->id.key, PH_CORE_MISSED_MAX, &error)))
    g_debug ("transfer %s: %s", self->text, error->message);
  if (self->stalled != PH_STORAGE_OK) /* the session has no sink that would do it */
    ph_file_sink_remove_parts (self->folder, self->id.bytes, self->manifest);
  self->stalled = PH_STORAGE_OK;
  ph_transfer_drop_stall_check (self);
  g_clear_pointer (&self->manifest, ph_manifest_unref);
  g_clear_pointer (&self->digests, g_byte_array_unref);
}

void
ph_transfer_end (PhTransfer *self, PhTime now, PhTransferState state, const char *code,
                 const char *message)
{
  ph_transfer_end_by (self, now, state, code, message, false);
}

static void
load_digests (PhTransfer *self)
{
  g_autoptr (GBytes) digests =
      ph_store_get_digests (self->core->profile->store, self->id.bytes, NULL);

  if (digests != NULL && g_bytes_get_size (digests) > 0)
    self->digests = g_bytes_unref_to_array (g_steal_pointer (&digests));
}

/* What the checkpoint counts. */
static uint64_t
bytes_durable (PhCore *self, const PhStoreTransfer *row, const PhManifest *manifest)
{
  PhStoreCheckpoint checkpoint;
  uint64_t bytes = 0;
  bool found;

  if (!ph_store_get_checkpoint (self->profile->store, row->id, &checkpoint, &found, NULL) || !found)
    return 0;
  for (uint32_t i = 0; i < MIN (checkpoint.file, ph_manifest_len (manifest)); i++)
    bytes += ph_manifest_entry (manifest, i)->size;
  return MIN (bytes + checkpoint.offset, ph_manifest_bytes (manifest));
}

static PhTransfer *
load_row (PhCore *self, const PhStoreTransfer *row)
{
  g_autoptr (GBytes) bytes = ph_store_get_manifest (self->profile->store, row->id, NULL);
  g_autoptr (PhManifest) manifest = NULL;
  PhTransfer *transfer;
  PhTransferId id;
  PhDeviceId peer;
  gsize len = 0;
  const uint8_t *data = bytes != NULL ? g_bytes_get_data (bytes, &len) : NULL;

  manifest = data != NULL ? ph_manifest_decode (ph_slice (data, len)) : NULL;
  if (manifest == NULL)
    return NULL;
  memcpy (id.bytes, row->id, sizeof id.bytes);
  memcpy (peer.key, row->peer, sizeof peer.key);
  transfer = ph_transfer_new (self, ph_core_find_peer (self, &peer), &id, !row->incoming, manifest);
  if (transfer->peer_name == NULL)
    transfer->peer_name = g_strdup (row->peer_name);
  transfer->folder = g_strdup (row->destination);
  transfer->bytes_done = row->incoming ? bytes_durable (self, row, manifest) : row->bytes_done;
  transfer->bytes_durable = transfer->bytes_done;
  transfer->created_unix = row->created_at;
  transfer->finished_unix = row->finished_at;
  transfer->rate = row->rate;
  transfer->accepted = row->state == PH_STORE_ACTIVE || row->state == PH_STORE_PAUSED;
  transfer->paused_here = row->state == PH_STORE_PAUSED || row->state == PH_STORE_HELD;
  transfer->state = PH_TRANSFER_WAITING;
  transfer->stored = true;
  if (transfer->outgoing)
    transfer->roots = ph_store_get_roots (self->profile->store, row->id, NULL);
  if (transfer->outgoing)
    load_digests (transfer);
  return transfer;
}

/* Everything was in its place, and that it was received could not be written any more: the disk was full, or the
 * program ended. The sender may have its receipt, and would say that it knows of no such transfer. */
static void
finish_placed (PhCore *self, const PhStoreTransfer *row, PhTransfer *transfer)
{
  PhStoreCheckpoint checkpoint;
  bool found;

  if (transfer != NULL && row->incoming
      && ph_store_get_checkpoint (self->profile->store, row->id, &checkpoint, &found, NULL) && found
      && checkpoint.stage == PH_STORE_PLACED) {
    /* That it is gone was not synced. */
    if (transfer->folder != NULL)
      ph_file_sink_remove_parts (transfer->folder, transfer->id.bytes, transfer->manifest);
    ph_transfer_end (transfer, ph_core_now (self), PH_TRANSFER_DONE, "", NULL);
  }
}

void
ph_core_transfers_load (PhCore *self)
{
  g_autoptr (GPtrArray) rows =
      ph_store_list_transfers (self->profile->store, PH_STORE_UNFINISHED, 0, NULL);

  for (guint i = 0; rows != NULL && i < rows->len; i++) {
    const PhStoreTransfer *row = rows->pdata[i];

    if (row->incoming && row->state == PH_STORE_OFFERED)
      ph_core_load_offer (self, row);
    else
      finish_placed (self, row, load_row (self, row));
  }
}

void
ph_core_transfers_restore (PhCore *self, PhPeer *peer)
{
  const PhTime now = ph_core_now (self);

  for (guint i = 0; i < self->transfers->len; i++) {
    PhTransfer *transfer = self->transfers->pdata[i];

    if (transfer->peer != peer || transfer->in_session || ph_transfer_state_ended (transfer->state)
        || (!transfer->outgoing && !transfer->accepted))
      continue;
    transfer->in_session = true;
    if (transfer->outgoing)
      ph_session_restore_outgoing (peer->session, now, &transfer->id, transfer->manifest,
                                   transfer->accepted, transfer->paused_here);
    else
      ph_session_restore_incoming (peer->session, now, &transfer->id, transfer->manifest,
                                   ph_transfer_make_sink (transfer), transfer->paused_here);
    if (transfer->accepted)
      transfer->accepted_at = now;
  }
}

/* --- Paths and trouble -------------------------------------------------------------------------- */

/* An offer of an earlier run: paths to its sender do not concern it before it is made again. */
static bool
waits_for_sender (const PhTransfer *self)
{
  return !self->outgoing && !self->accepted && !self->in_session;
}

static void
clear_trouble (PhTransfer *self)
{
  self->code = "";
  g_clear_pointer (&self->message, g_free);
  self->retry_at = PH_NEVER;
}

void
ph_core_transfers_path (PhCore *self, PhTime now, PhPeer *peer, const PhPath *path)
{
  for (guint i = 0; i < self->transfers->len; i++) {
    PhTransfer *transfer = self->transfers->pdata[i];

    if (transfer->peer != peer || waits_for_sender (transfer)
        || ph_transfer_state_ended (transfer->state))
      continue;
    ph_transfer_set_path (transfer, now, path);
    if (transfer->state == PH_TRANSFER_WAITING || transfer->state == PH_TRANSFER_CONNECTING) {
      clear_trouble (transfer);
      /* Where the other side stands comes with its accept: until then nothing is said of bytes. */
      ph_transfer_news (transfer, !transfer->accepted  ? PH_TRANSFER_OFFERED
                                  : transfer->outgoing ? PH_TRANSFER_CONNECTING
                                                       : PH_TRANSFER_ACTIVE);
    }
  }
}

void
ph_transfer_set_path (PhTransfer *self, PhTime now, const PhPath *path)
{
  self->path = *path;
  self->rtt = path->rtt;
  if (self->best_path == PH_PATH_NONE || path->kind < self->best_path)
    self->best_path = path->kind;
  if (path->kind != PH_PATH_RELAY && self->accepted_at != PH_NEVER && self->direct_at == PH_NEVER)
    self->direct_at = now;
  self->told_at = 0;
  self->tell = true;
}

void
ph_transfer_take_path (PhTransfer *self, PhTime now)
{
  const PhLink *link = ph_session_current_link (self->peer->session);
  PhPath path;

  if (link != NULL && ph_connector_link_path (self->peer->connector, link, &path))
    ph_transfer_set_path (self, now, &path);
}

void
ph_core_transfers_connecting (PhCore *self, PhPeer *peer)
{
  for (guint i = 0; i < self->transfers->len; i++) {
    PhTransfer *transfer = self->transfers->pdata[i];

    if (transfer->peer != peer || waits_for_sender (transfer)
        || transfer->state != PH_TRANSFER_WAITING)
      continue;
    clear_trouble (transfer);
    ph_transfer_news (transfer, PH_TRANSFER_CONNECTING);
  }
}

void
ph_core_transfers_trouble (PhCore *self, PhPeer *peer, PhEngineError code, const char *message,
                           PhTime retry_at)
{
  for (guint i = 0; i < self->transfers->len; i++) {
    PhTransfer *transfer = self->transfers->pdata[i];

    if (transfer->peer != peer || ph_transfer_state_ended (transfer->state)
        || (!transfer->accepted && !transfer->outgoing))
      continue;
    if (g_strcmp0 (transfer->message, message) == 0 && transfer->state == PH_TRANSFER_WAITING
        && transfer->retry_at == retry_at)
      continue;
    transfer->code = ph_engine_error_code ((int)code);
    g_free (transfer->message);
    transfer->message = g_strdup (message);
    transfer->retry_at = retry_at;
    transfer->told_at = 0;
    ph_transfer_news (transfer, PH_TRANSFER_WAITING);
  }
}

void
ph_core_transfers_forget_peer (PhCore *self, PhPeer *peer)
{
  const PhTime now = ph_core_now (self);

  for (guint i = 0; i < self->transfers->len; i++) {
    PhTransfer *transfer = self->transfers->pdata[i];

    if (transfer->peer != peer)
      continue;
    if (transfer->in_session)
      ph_session_cancel (peer->session, now, &transfer->id);
    else if (!transfer->outgoing && transfer->folder != NULL && transfer->manifest != NULL
             && !ph_transfer_state_ended (transfer->state))
      ph_file_sink_remove_parts (transfer->folder, transfer->id.bytes, transfer->manifest);
    ph_transfer_end (transfer, now, PH_TRANSFER_CANCELLED,
                     ph_engine_error_code (PH_ENGINE_ERROR_CANCELLED), NULL);
    tell (transfer, now);
    transfer->peer = NULL;
  }
}
