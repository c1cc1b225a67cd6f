/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Transfers that have ended: listing, searching and forgetting them, sending them again; and what any
 * transfer consists of. */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/engine/ph-core-transfer.h"

#include <glib/gi18n-lib.h>
#include <sodium.h>

/* What is kept of a transfer's names to be searched: some 500 names. */
#define WORDS_LEN_MAX 16384u
/* Words that a search looks for; more are a paste by mistake. */
#define WORDS_MAX 8u

/* --- Words -------------------------------------------------------------------------------------- */

static char *
fold (const char *text)
{
  g_autofree char *normal = g_utf8_normalize (text, -1, G_NORMALIZE_ALL);

  return g_utf8_casefold (normal != NULL ? normal : "", -1);
}

/* The contact's name, top-level names, then all others as far as there is room. */
char *
ph_transfer_words (const PhTransfer *self)
{
  GString *words = g_string_new (NULL);
  g_autofree char *whom = fold (self->peer != NULL ? self->peer->contact->name : self->peer_name);

  g_string_append (words, whom);
  for (guint i = 0; self->top_names->pdata[i] != NULL; i++) {
    g_autofree char *name = fold (self->top_names->pdata[i]);

    g_string_append_printf (words, "\n%s", name);
  }
  for (uint32_t i = 0;
       self->manifest != NULL && i < ph_manifest_len (self->manifest) && words->len < WORDS_LEN_MAX;
       i++) {
    g_autofree char *name = fold (ph_manifest_name (self->manifest, i));

    g_string_append_printf (words, "\n%s", name);
  }
  return g_string_free_and_steal (words);
}

static char **
search_words (const char *search)
{
  g_autofree char *folded =
      search != NULL && g_utf8_validate (search, -1, NULL) ? fold (search) : NULL;
  g_auto (GStrv) all = g_strsplit_set (folded != NULL ? folded : "", " \t\n", -1);
  g_autoptr (GStrvBuilder) words = g_strv_builder_new ();
  unsigned n = 0;

  for (size_t i = 0; all[i] != NULL && n < WORDS_MAX; i++) {
    if (*all[i] != '\0') {
      g_strv_builder_add (words, all[i]);
      n++;
    }
  }
  return g_strv_builder_end (words);
}

/* --- The history -------------------------------------------------------------------------------- */

static PhTransferState
shown_result (PhStoreState state)
{
  switch (state) {
  case PH_STORE_DELIVERED:
    return PH_TRANSFER_DONE;
  case PH_STORE_DECLINED:
    return PH_TRANSFER_DECLINED;
  case PH_STORE_CANCELLED:
    return PH_TRANSFER_CANCELLED;
  default:
    return PH_TRANSFER_FAILED;
  }
}

static void
tell_row (PhCore *self, uint32_t command, const PhStoreTransfer *row)
{
  char id[2 * PH_STORE_TRANSFER_LEN + 1];
  char contact[PH_DEVICE_ID_STRING_MAX];
  g_auto (GStrv) names = g_strsplit (row->title, "/", -1);
  PhDeviceId peer;

  memcpy (peer.key, row->peer, sizeof peer.key);
  sodium_bin2hex (id, sizeof id, row->id, sizeof row->id);
  ph_core_emit (
      self, (PhEvent){
                .type = PH_EVENT_HISTORY,
                .command = command,
                .transfer =
                    {
                        .id = id,
                        .contact = ph_device_id_format (&peer, contact),
                        .contact_name = row->peer_name,
                        .direction = row->incoming ? PH_DIRECTION_RECEIVE : PH_DIRECTION_SEND,
                        .state = shown_result (row->state),
                        .names = (const char *const *)names,
                        .files = row->files,
                        .bytes_total = row->bytes,
                        .bytes_done = row->bytes_done,
                        .rate = row->rate,
                        .created_at = row->created_at,
                        .finished_at = row->finished_at,
                        .first_byte_ms = -1,
                        .direct_ms = -1,
                        .folder = row->destination,
                        .missed = row->missed,
                        .can_send_again = row->has_roots && ph_core_find_peer (self, &peer) != NULL,
                        .path = row->path,
                        .code = row->code,
                        .message = row->message,
                    },
            });
}

/* False after the command was ended: `text` is no id. */
static bool
parse_id (PhCore *self, const PhCommand *command, const char *text, PhTransferId *ret_id)
{
  size_t len;

  if (text != NULL && strlen (text) == 2 * sizeof ret_id->bytes
      && sodium_hex2bin (ret_id->bytes, sizeof ret_id->bytes, text, strlen (text), NULL, &len, NULL)
             == 0
      && len == sizeof ret_id->bytes)
    return true;
  ph_core_fail (self, command->number, PH_ENGINE_ERROR_UNKNOWN_TRANSFER,
                _ ("There is no transfer “%s”"), text != NULL ? text : "");
  return false;
}

/* Likewise. The contact may be gone: its past is not. */
static bool
parse_contact (PhCore *self, const PhCommand *command, const char *text, PhDeviceId *ret_id)
{
  if (ph_device_id_parse (text, ret_id) == PH_DEVICE_ID_OK)
    return true;
  ph_core_fail (self, command->number, PH_ENGINE_ERROR_UNKNOWN_CONTACT,
                _ ("There is no contact “%s”"), text);
  return false;
}

void
ph_core_load_history (PhCore *self, const PhCommand *command)
{
  g_auto (GStrv) words = search_words (command->text);
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) rows = NULL;
  PhDeviceId peer;
  PhTransferId before;
  PhStoreHistoryQuery query = {
      .words = (const char *const *)words,
      .missed_only = command->flag,
      .limit = command->amount,
      .before_at = command->at,
  };

  if (command->subject != NULL) {
    if (!parse_contact (self, command, command->subject, &peer))
      return;
    query.peer = peer.key;
  }
  if (command->after != NULL) {
    if (!parse_id (self, command, command->after, &before))
      return;
    query.before_id = before.bytes;
  }
  rows = ph_store_list_history (self->profile->store, &query, &error);
  if (rows == NULL) {
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_FAILED, "%s", error->message);
    return;
  }
  for (guint i = 0; i < rows->len; i++)
    tell_row (self, command->number, rows->pdata[i]);
  ph_core_done (self, command->number, NULL, NULL);
}

/* What is kept to know ids again keeps no names. */
static void
forget_in_memory (PhCore *self, const PhTransferId *id, const PhDeviceId *peer)
{
  for (guint i = self->transfers->len; i-- > 0;) {
    const PhTransfer *transfer = self->transfers->pdata[i];

    if (ph_transfer_state_ended (transfer->state) && !transfer->tell
        && (id == NULL || ph_transfer_id_equal (&transfer->id, id))
        && (peer == NULL
            || (transfer->peer != NULL && ph_device_id_equal (&transfer->peer->id, peer))))
      g_ptr_array_remove_index (self->transfers, i);
  }
  g_clear_pointer (&self->listed_names, ph_safe_names_free);
  g_clear_pointer (&self->listed_manifest, ph_manifest_unref);
}

void
ph_core_forget (PhCore *self, const PhCommand *command)
{
  PhTransferId id;
  PhDeviceId peer;
  const bool one = command->subject != NULL;
  const bool ones = !one && command->text != NULL;
  g_autoptr (GError) error = NULL;

  if ((one && !parse_id (self, command, command->subject, &id))
      || (ones && !parse_contact (self, command, command->text, &peer)))
    return;
  if (!ph_store_forget (self->profile->store, one ? id.bytes : NULL, ones ? peer.key : NULL,
                        &error)) {
    if (g_error_matches (error, PH_STORE_ERROR, PH_STORE_ERROR_MISSING))
      ph_core_fail (self, command->number, PH_ENGINE_ERROR_UNKNOWN_TRANSFER,
                    _ ("There is no transfer “%s” in the history"), command->subject);
    else
      ph_core_fail (self, command->number, PH_ENGINE_ERROR_FAILED, "%s", error->message);
    return;
  }
  forget_in_memory (self, one ? &id : NULL, ones ? &peer : NULL);
  ph_core_emit (self, (PhEvent){
                          .type = PH_EVENT_FORGOTTEN,
                          .transfer = {.id = one ? command->subject : ""},
                          .contact = {.id = ones ? command->text : ""},
                      });
  ph_core_done (self, command->number, NULL, NULL);
}

/* --- Sending again ------------------------------------------------------------------------------ */

static void
gone (PhCore *self, const PhCommand *command)
{
  ph_core_fail (self, command->number, PH_ENGINE_ERROR_FILES,
                _ ("Where these files were is not known any more. Choose them again"));
}

void
ph_core_send_again (PhCore *self, const PhCommand *command)
{
  g_autoptr (PhStoreTransfer) row = NULL;
  g_auto (GStrv) roots = NULL;
  const PhTransfer *known;
  const PhPeer *peer = NULL;
  PhTransferId id;
  PhDeviceId peer_id;

  if (!parse_id (self, command, command->subject, &id))
    return;
  known = ph_core_find_transfer (self, &id);
  row = ph_store_get_transfer (self->profile->store, id.bytes, NULL);
  if (known != NULL && known->outgoing && ph_transfer_state_ended (known->state)) {
    peer = known->peer;
    roots = g_strdupv (known->roots);
  } else if (row != NULL && !row->incoming && ph_store_state_is_finished (row->state)) {
    roots = ph_store_get_roots (self->profile->store, id.bytes, NULL);
  } else {
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_UNKNOWN_TRANSFER,
                  _ ("Transfer “%s” is none that was sent and has ended"), command->subject);
    return;
  }
  /* A live one has let go of a contact that was blocked in between. */
  if (peer == NULL && row != NULL) {
    memcpy (peer_id.key, row->peer, sizeof peer_id.key);
    peer = ph_core_find_peer (self, &peer_id);
  }
  if (peer == NULL)
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_UNKNOWN_CONTACT,
                  _ ("The contact was removed"));
  else if (peer->contact->blocked)
    ph_core_fail_blocked (self, command, peer);
  else if (roots == NULL || roots[0] == NULL)
    gone (self, command);
  else
    ph_core_send_paths (self, command->number, peer, (const char *const *)roots);
}

/* --- What a transfer consists of ---------------------------------------------------------------- */

void
ph_transfer_note_digest (PhTransfer *self, uint32_t file, const uint8_t sha256[PH_SHA256_LEN])
{
  const guint end = (guint)(file + 1) * PH_SHA256_LEN;

  if (self->digests == NULL)
    self->digests = g_byte_array_new ();
  if (self->digests->len < end) {
    const guint old = self->digests->len;

    g_byte_array_set_size (self->digests, end);
    memset (self->digests->data + old, 0, end - old);
  }
  memcpy (self->digests->data + end - PH_SHA256_LEN, sha256, PH_SHA256_LEN);
  self->digests_new = true;
}

void
ph_transfer_store_digests (PhTransfer *self)
{
  g_autoptr (GError) error = NULL;

  if (!self->digests_new || !self->stored)
    return;
  self->digests_new = false;
  if (!ph_store_put_digests (self->core->profile->store, self->id.bytes, 0, self->digests->data,
                             self->digests->len / PH_SHA256_LEN, &error))
    g_debug ("transfer %s: %s", self->text, error->message);
}

typedef struct {
  PhManifest *manifest; /* borrowed */
  GBytes *digests; /* owned, or NULL */
  GPtrArray *names; /* owned, or NULL */
  const PhSafeNames *safe; /* what was written below them; borrowed, or NULL */
  uint64_t bytes_done;
  bool done; /* all of it */
} Listing;

static void
listing_clear (Listing *self)
{
  g_clear_pointer (&self->digests, g_bytes_unref);
  g_clear_pointer (&self->names, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Listing, listing_clear)

/* The path on this disk: names that cannot be written safely got others, and a top-level entry may have met one
 * that was there. */
static char *
real_path (const Listing *self, uint32_t index)
{
  const char *path = self->safe != NULL ? ph_safe_names_path (self->safe, index) : NULL;
  const char *below;
  uint32_t top = index;

  if (path == NULL)
    path = ph_manifest_entry (self->manifest, index)->path;
  below = strchr (path, '/');
  for (uint32_t up; (up = ph_manifest_parent (self->manifest, top)) != PH_MANIFEST_TOP;)
    top = up;
  for (guint i = 0; self->names != NULL && i < self->names->len; i++) {
    const PhStoreName *name = self->names->pdata[i];

    if (name->entry == top)
      return g_strconcat (name->name, below, NULL);
  }
  return g_strdup (path);
}

static void
tell_file (PhCore *self, const PhCommand *command, const Listing *listing, uint32_t index,
           uint64_t before)
{
  static const uint8_t unknown[PH_SHA256_LEN] = {0};
  const PhEntry *entry = ph_manifest_entry (listing->manifest, index);
  g_autofree char *path = real_path (listing, index);
  const char *sent_as = ph_manifest_name (listing->manifest, index);
  char hex[2 * PH_SHA256_LEN + 1] = "";
  gsize len = 0;
  const uint8_t *digests =
      listing->digests != NULL ? g_bytes_get_data (listing->digests, &len) : NULL;
  PhFileState state = PH_FILE_WAITING;

  if (entry->kind == PH_ENTRY_FILE && len / PH_SHA256_LEN > index
      && memcmp (digests + (size_t)index * PH_SHA256_LEN, unknown, PH_SHA256_LEN) != 0)
    sodium_bin2hex (hex, sizeof hex, digests + (size_t)index * PH_SHA256_LEN, PH_SHA256_LEN);
  if (listing->done
      || (listing->bytes_done >= before + entry->size && listing->bytes_done > before))
    state = PH_FILE_DONE;
  else if (listing->bytes_done > before)
    state = PH_FILE_PARTIAL;
  ph_core_emit (self,
                (PhEvent){
                    .type = PH_EVENT_FILE,
                    .command = command->number,
                    .file =
                        {
                            .index = index,
                            .path = path,
                            .sent_as = g_str_equal (ph_path_name (path), sent_as) ? "" : sent_as,
                            .folder = entry->kind == PH_ENTRY_FOLDER,
                            .size = entry->size,
                            .sha256 = hex,
                            .state = state,
                        },
                });
}

static void
list_page (PhCore *self, const PhCommand *command, const Listing *listing)
{
  const uint32_t n = ph_manifest_len (listing->manifest);
  const uint32_t first = MIN (command->first, n);
  const uint32_t end = first + MIN (command->amount, n - first);
  char next[16] = "";
  uint64_t before = 0;

  for (uint32_t i = 0; i < end; i++) {
    if (i >= first)
      tell_file (self, command, listing, i, before);
    before += ph_manifest_entry (listing->manifest, i)->size;
  }
  if (end < n)
    g_snprintf (next, sizeof next, "%u", end);
  ph_core_done (self, command->number, NULL, next);
}

/* The manifest of a transfer that has ended, or NULL. */
static PhManifest *
find_manifest (PhCore *self, const PhTransferId *id)
{
  g_autoptr (GBytes) bytes = NULL;
  const uint8_t *data;
  gsize len;

  if (self->listed_manifest != NULL && ph_transfer_id_equal (&self->listed_id, id))
    return self->listed_manifest;
  bytes = ph_store_get_manifest (self->profile->store, id->bytes, NULL);
  if (bytes == NULL)
    return NULL;
  data = g_bytes_get_data (bytes, &len);
  g_clear_pointer (&self->listed_names, ph_safe_names_free);
  g_clear_pointer (&self->listed_manifest, ph_manifest_unref);
  self->listed_manifest = ph_manifest_decode (ph_slice (data, len));
  self->listed_id = *id;
  return self->listed_manifest;
}

void
ph_core_list_files (PhCore *self, const PhCommand *command)
{
  PhStore *store = self->profile->store;
  g_auto (Listing) listing = {0};
  g_autoptr (PhStoreTransfer) row = NULL;
  const PhTransfer *live;
  PhTransferId id;

  if (!parse_id (self, command, command->subject, &id))
    return;
  live = ph_core_find_transfer (self, &id);
  row = ph_store_get_transfer (store, id.bytes, NULL);
  if (live != NULL && live->manifest != NULL) {
    listing.manifest = live->manifest;
    listing.bytes_done = live->bytes_done;
    if (live->digests != NULL)
      listing.digests = g_bytes_new (live->digests->data, live->digests->len);
  } else if (row != NULL && !row->hidden) {
    listing.manifest = find_manifest (self, &id);
    listing.bytes_done = row->bytes_done;
    listing.done = row->state == PH_STORE_DELIVERED;
  } else {
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_UNKNOWN_TRANSFER,
                  _ ("There is no transfer “%s”"), command->subject);
    return;
  }
  if (listing.manifest == NULL) {
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_FAILED,
                  _ ("The list of these files is not kept any more"));
    return;
  }
  if (listing.digests == NULL)
    listing.digests = ph_store_get_digests (store, id.bytes, NULL);
  if (row != NULL && row->incoming)
    listing.names = ph_store_get_names (store, id.bytes, NULL);
  if (row != NULL && row->incoming && listing.done) {
    /* Where case is folded some may have got a number more. */
    if (self->listed_names == NULL)
      self->listed_names = ph_safe_names_new (listing.manifest, false);
    listing.safe = self->listed_names;
  }
  list_page (self, command, &listing);
}
