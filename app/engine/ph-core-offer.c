/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What waits for somebody: offers that this person has not answered, over restarts too, until their senders
 * have given them up; and sends that nobody has taken, until they expire. */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/engine/ph-core-transfer.h"

#include <glib/gi18n-lib.h>

#define DAY INT64_C (86400)

static bool
is_open_offer (const PhTransfer *self)
{
  return !self->outgoing && !self->accepted && !ph_transfer_state_ended (self->state);
}

/* --- Offers to this person ---------------------------------------------------------------------- */

void
ph_core_load_offer (PhCore *self, const PhStoreTransfer *row)
{
  PhDeviceId peer_id;
  PhTransferId id;
  PhPeer *peer;
  PhTransfer *transfer;
  g_auto (GStrv) names = g_strsplit (row->title, "/", -1);

  memcpy (id.bytes, row->id, sizeof id.bytes);
  memcpy (peer_id.key, row->peer, sizeof peer_id.key);
  peer = ph_core_find_peer (self, &peer_id);
  transfer = ph_transfer_new (self, peer, &id, false, NULL);
  g_free (transfer->peer_name);
  transfer->peer_name = g_strdup (row->peer_name);
  transfer->files = row->files;
  transfer->bytes_total = row->bytes;
  transfer->created_unix = row->created_at;
  transfer->stored = true;
  g_ptr_array_set_size (transfer->top_names, 0);
  for (size_t i = 0; names[i] != NULL; i++)
    g_ptr_array_add (transfer->top_names, g_strdup (names[i]));
  g_ptr_array_add (transfer->top_names, NULL);
  transfer->state = PH_TRANSFER_WAITING;
}

bool
ph_core_offer_again (PhCore *self, PhTransfer *transfer, PhPeer *peer, PhManifest *manifest)
{
  if (transfer->peer != peer || !is_open_offer (transfer) || transfer->in_session)
    return false;
  /* A person may have answered what they were shown: it is that, or it is nothing. */
  if (transfer->files != ph_manifest_files (manifest)
      || transfer->bytes_total != ph_manifest_bytes (manifest))
    return false;
  if (transfer->manifest == NULL)
    ph_transfer_set_manifest (transfer, manifest);
  return true;
}

void
ph_core_offers_synced (PhCore *self, PhTime now, PhPeer *peer)
{
  for (guint i = 0; i < self->transfers->len; i++) {
    PhTransfer *transfer = self->transfers->pdata[i];

    if (transfer->peer == peer && is_open_offer (transfer) && !transfer->in_session
        && !ph_session_knows (peer->session, &transfer->id))
      ph_transfer_end_by (transfer, now, PH_TRANSFER_CANCELLED,
                          ph_engine_error_code (PH_ENGINE_ERROR_CANCELLED),
                          _ ("The other side cancelled"), true);
  }
}

static bool
wants_row (const PhTransfer *self)
{
  return is_open_offer (self) && !self->stored && self->peer != NULL
         && !ph_core_is_private (self->core);
}

static void
store_offer (PhTransfer *self)
{
  g_autoptr (GError) error = NULL;

  if (!ph_transfer_store (self, PH_STORE_OFFERED, &error)) {
    g_debug ("an offer: %s", error->message);
    self->created_at = PH_NEVER; /* it is not tried again and again */
  }
}

void
ph_core_offers_stop (PhCore *self)
{
  for (guint i = 0; i < self->transfers->len; i++) {
    PhTransfer *transfer = self->transfers->pdata[i];

    if (wants_row (transfer))
      store_offer (transfer);
    if (!ph_transfer_state_ended (transfer->state))
      ph_transfer_store_digests (transfer);
  }
}

/* --- Taken without asking ----------------------------------------------------------------------- */

/* Forgets what is older than a day. */
static void
age_taken (PhPeer *self, PhTime now)
{
  const uint64_t hour = now / (3600 * PH_SEC);

  if (hour >= self->taken_hour + PH_CORE_TAKEN_HOURS) {
    memset (self->taken, 0, sizeof self->taken);
    self->taken_hour = hour;
  }
  while (self->taken_hour < hour)
    self->taken[++self->taken_hour % PH_CORE_TAKEN_HOURS] = 0;
}

bool
ph_peer_may_take (PhPeer *self, PhTime now, const PhManifest *manifest)
{
  const uint64_t max = self->contact->auto_accept_max;
  uint64_t left = max;

  if (!self->contact->auto_accept || max == 0)
    return self->contact->auto_accept;
  age_taken (self, now);
  for (unsigned i = 0; i < PH_CORE_TAKEN_HOURS; i++)
    left -= MIN (left, self->taken[i]);
  return left > 0
         && ph_manifest_bytes (manifest) <= left; /* nor is there an end to empty files else */
}

void
ph_peer_note_taken (PhPeer *self, PhTime now, const PhManifest *manifest)
{
  uint64_t *taken;

  age_taken (self, now);
  taken = &self->taken[self->taken_hour % PH_CORE_TAKEN_HOURS];
  /* Both are far below 2^62: a manifest's limits. */
  *taken = MIN (*taken, (uint64_t)INT64_MAX) + ph_manifest_bytes (manifest)
           + (uint64_t)ph_manifest_len (manifest) * PH_CORE_TAKEN_ENTRY;
}

/* --- Sends of this person ----------------------------------------------------------------------- */

int64_t
ph_transfer_expires (const PhTransfer *self)
{
  const uint64_t days = self->core->queue_days;

  if (!self->outgoing || self->accepted || ph_transfer_state_ended (self->state) || days == 0)
    return 0;
  return self->created_unix + (int64_t)days * DAY;
}

static void
expire (PhTransfer *self, PhTime now)
{
  g_autofree char *message = g_strdup_printf (
      g_dngettext (GETTEXT_PACKAGE,
                   "Nobody took these files within %u day. Send them again when the other side is "
                   "there, or let files wait longer",
                   "Nobody took these files within %u days. Send them again when the other side is "
                   "there, or let files wait longer",
                   (unsigned long)self->core->queue_days),
      (unsigned)self->core->queue_days);

  if (self->in_session)
    ph_session_cancel (self->peer->session, now, &self->id);
  ph_transfer_end (self, now, PH_TRANSFER_FAILED, ph_engine_error_code (PH_ENGINE_ERROR_EXPIRED),
                   message);
  if (self->peer != NULL)
    ph_peer_update (self->peer, now);
}

/* --- Time --------------------------------------------------------------------------------------- */

void
ph_core_offers_handle_timeout (PhCore *self, PhTime now)
{
  const int64_t unix_now = ph_core_unix_now ();

  for (guint i = 0; i < self->transfers->len; i++) {
    PhTransfer *transfer = self->transfers->pdata[i];
    const int64_t expires = ph_transfer_expires (transfer);

    if (expires != 0 && unix_now >= expires)
      expire (transfer, now);
    else if (wants_row (transfer)
             && now >= ph_time_add (transfer->created_at, PH_CORE_OFFER_STORE_INTERVAL))
      store_offer (transfer);
  }
}

PhTime
ph_core_offers_next_timeout (PhCore *self, PhTime now)
{
  const int64_t unix_now = ph_core_unix_now ();
  PhTime next = PH_NEVER;

  for (guint i = 0; i < self->transfers->len; i++) {
    const PhTransfer *transfer = self->transfers->pdata[i];
    const int64_t expires = ph_transfer_expires (transfer);

    /* The wall clock may be set meanwhile: then this is late by what it was set back, and looks again. */
    if (expires != 0)
      next = ph_time_min (next, ph_time_add (now, (PhTime)MAX (1, expires - unix_now) * PH_SEC));
    if (wants_row (transfer))
      next = ph_time_min (next, ph_time_add (transfer->created_at, PH_CORE_OFFER_STORE_INTERVAL));
  }
  return next;
}
