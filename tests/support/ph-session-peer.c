/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "tests/support/ph-session-peer.h"

static void
transfer_free (void *data)
{
  PhPeerTransfer *transfer = data;

  ph_memory_files_free (transfer->files);
  ph_memory_disk_free (transfer->disk);
  g_clear_pointer (&transfer->manifest, ph_manifest_unref);
  g_free (transfer);
}

PhPeerTransfer *
ph_session_peer_find (const PhSessionPeer *peer, const PhTransferId *id)
{
  for (unsigned i = 0; i < peer->transfers->len; i++) {
    PhPeerTransfer *transfer = peer->transfers->pdata[i];

    if (ph_transfer_id_equal (&transfer->id, id))
      return transfer;
  }
  return NULL;
}

static PhSource *
open_source (void *user, const PhTransferId *id, PhStorageError *ret_error)
{
  PhPeerTransfer *transfer = ph_session_peer_find (user, id);

  g_assert_nonnull (transfer);
  if (transfer->files->fail_error != PH_STORAGE_OK && transfer->files->fail_file == UINT32_MAX) {
    *ret_error = transfer->files->fail_error;
    return NULL;
  }
  return ph_memory_source_new (transfer->files);
}

static PhPast
recall (void *user, const PhTransferId *id, uint8_t ret_digest[PH_SHA256_LEN])
{
  const PhPeerTransfer *transfer = ph_session_peer_find (user, id);

  if (transfer == NULL)
    return PH_PAST_UNKNOWN;
  memcpy (ret_digest, ph_manifest_digest (transfer->manifest), PH_SHA256_LEN);
  return transfer->past;
}

static void
start (PhSessionPeer *peer)
{
  PhSessionConfig config = {
      .device_name = peer->name,
      .hooks = {open_source, recall, NULL, peer},
      .trace = peer->trace,
  };

  ph_random_bytes (&peer->random, config.instance, sizeof config.instance);
  peer->session = ph_session_new (&config);
  peer->runs++;
}

PhSessionPeer *
ph_session_peer_new (const char *name, PhRandom random, const PhTrace *trace)
{
  PhSessionPeer *peer = g_new0 (PhSessionPeer, 1);

  peer->name = name;
  peer->random = random;
  peer->trace = trace;
  peer->transfers = g_ptr_array_new_with_free_func (transfer_free);
  peer->signals = g_ptr_array_new_with_free_func ((GDestroyNotify)g_bytes_unref);
  peer->ops_max = 8;
  peer->fail_after = UINT64_MAX;
  start (peer);
  return peer;
}

void
ph_session_peer_free (PhSessionPeer *peer)
{
  if (peer == NULL)
    return;
  ph_session_free (peer->session);
  g_ptr_array_unref (peer->transfers);
  g_ptr_array_unref (peer->signals);
  g_free (peer);
}

static PhPeerTransfer *
add (PhSessionPeer *peer, const PhTransferId *id, PhManifest *manifest)
{
  PhPeerTransfer *transfer = g_new0 (PhPeerTransfer, 1);

  transfer->id = *id;
  transfer->manifest = ph_manifest_ref (manifest);
  g_ptr_array_add (peer->transfers, transfer);
  return transfer;
}

PhPeerTransfer *
ph_session_peer_offer (PhSessionPeer *peer, PhTime now, PhMemoryFiles *files)
{
  PhTransferId id;
  PhPeerTransfer *transfer;

  ph_random_bytes (&peer->random, id.bytes, sizeof id.bytes);
  transfer = add (peer, &id, files->manifest);
  transfer->outgoing = true;
  transfer->files = files;
  ph_session_offer (peer->session, now, &id, files->manifest);
  return transfer;
}

void
ph_session_peer_accept (PhSessionPeer *peer, PhTime now, PhPeerTransfer *transfer)
{
  g_assert_false (transfer->outgoing);
  transfer->disk = ph_memory_disk_new (peer->random, transfer->manifest);
  transfer->disk->fail_after = peer->fail_after;
  transfer->disk->fail_error = peer->fail_error;
  transfer->accepted = true;
  ph_session_accept (peer->session, now, &transfer->id, ph_memory_sink_new (transfer->disk));
}

bool
ph_session_peer_work (PhSessionPeer *peer, PhTime now)
{
  bool worked = false;

  for (unsigned i = 0; i < peer->transfers->len; i++) {
    PhPeerTransfer *transfer = peer->transfers->pdata[i];
    const unsigned ops = 1 + (unsigned)ph_random_below (&peer->random, peer->ops_max);

    if (transfer->disk != NULL)
      worked |= ph_memory_disk_work (transfer->disk, ops);
    if (transfer->files != NULL) {
      worked |= transfer->files->ready_due;
      transfer->files->ready_due = false;
    }
  }
  if (worked)
    ph_session_storage_ready (peer->session, now);
  return worked;
}

static void
note_past (PhPeerTransfer *transfer, PhPast past)
{
  g_assert_cmpint (transfer->past, ==, PH_PAST_UNKNOWN); /* every transfer ends once */
  transfer->past = past;
}

static void
handle_transfer_event (PhSessionPeer *peer, PhTime now, const PhSessionEvent *event)
{
  PhPeerTransfer *transfer = ph_session_peer_find (peer, &event->id);

  if (transfer == NULL) {
    g_assert_cmpint (event->type, ==, PH_SESSION_EVENT_OFFER);
    transfer = add (peer, &event->id, event->manifest);
  }
  g_assert_true (transfer->outgoing == event->outgoing);
  transfer->told[event->type]++;
  transfer->last = *event;

  switch (event->type) {
  case PH_SESSION_EVENT_OFFER:
    if (peer->accepts)
      ph_session_peer_accept (peer, now, transfer);
    break;
  case PH_SESSION_EVENT_ACCEPTED:
    transfer->accepted = true;
    break;
  case PH_SESSION_EVENT_PROGRESS:
    g_assert_cmpuint (event->bytes_written, <=, event->bytes_total);
    g_assert_cmpuint (event->bytes_durable, <=, event->bytes_written);
    g_assert_cmpuint (event->bytes_total, ==, ph_manifest_bytes (transfer->manifest));
    transfer->bytes_written_told = event->bytes_written;
    break;
  case PH_SESSION_EVENT_PAUSED:
  case PH_SESSION_EVENT_RESUMED:
    transfer->pause = event->pause;
    break;
  case PH_SESSION_EVENT_STALLED:
    transfer->stalled = *event;
    break;
  case PH_SESSION_EVENT_DELIVERED:
  case PH_SESSION_EVENT_RECEIVED:
    note_past (transfer, PH_PAST_RECEIVED);
    break;
  case PH_SESSION_EVENT_DECLINED:
    note_past (transfer, PH_PAST_DECLINED);
    break;
  case PH_SESSION_EVENT_CANCELLED:
    note_past (transfer, PH_PAST_CANCELLED);
    break;
  case PH_SESSION_EVENT_FAILED:
    note_past (transfer, PH_PAST_FAILED);
    break;
  default:
    break;
  }
}

void
ph_session_peer_poll (PhSessionPeer *peer, PhTime now)
{
  PhSessionEvent event;

  while (ph_session_poll_event (peer->session, &event)) {
    peer->told[event.type]++;
    switch (event.type) {
    case PH_SESSION_EVENT_PEER:
      g_assert_true (g_utf8_validate (event.name, -1, NULL));
      break;
    case PH_SESSION_EVENT_SYNCED:
      break;
    case PH_SESSION_EVENT_SIGNAL:
      g_ptr_array_add (peer->signals, g_bytes_ref (event.signal));
      break;
    case PH_SESSION_EVENT_LINK_ERROR:
      peer->link_code = event.link_code;
      ph_link_close (event.link, now, event.link_code, event.reason);
      break;
    default:
      handle_transfer_event (peer, now, &event);
    }
    ph_session_event_clear (&event);
  }
}

void
ph_session_peer_restart (PhSessionPeer *peer, PhTime now)
{
  ph_session_free (peer->session);
  start (peer);
  for (unsigned i = 0; i < peer->transfers->len; i++) {
    PhPeerTransfer *transfer = peer->transfers->pdata[i];

    if (transfer->past != PH_PAST_UNKNOWN)
      continue;
    if (transfer->outgoing) {
      ph_session_restore_outgoing (peer->session, now, &transfer->id, transfer->manifest,
                                   transfer->accepted, false);
    } else if (transfer->disk != NULL && !transfer->disk->finished) {
      ph_session_restore_incoming (peer->session, now, &transfer->id, transfer->manifest,
                                   ph_memory_sink_new (transfer->disk), false);
    } else if (transfer->disk != NULL) {
      transfer->past = PH_PAST_RECEIVED; /* committed, and not told before the crash */
    }
  }
}
