/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a person decides about a contact, besides its name: whom to trust with what. */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/engine/ph-core-private.h"

bool
ph_core_change_contact (PhCore *self, PhPeer *peer, const PhStoreContact *row, uint32_t command)
{
  PhStoreContact *contact = peer->contact;
  g_autoptr (GError) error = NULL;
  char *name;

  g_assert (row->rendezvous == contact->rendezvous);
  if (!ph_store_put_contact (self->profile->store, row, &error)) {
    ph_core_fail (self, command, PH_ENGINE_ERROR_FAILED, "%s", error->message);
    return false;
  }
  name = g_strdup (row->name);
  g_free (contact->name);
  *contact = *row;
  contact->name = name;
  return true;
}

static bool
change (PhCore *self, PhPeer *peer, const PhStoreContact *row, const PhCommand *command)
{
  if (!ph_core_change_contact (self, peer, row, command->number))
    return false;
  ph_core_tell_peer (self, peer);
  ph_core_done (self, command->number, NULL, peer->text);
  return true;
}

void
ph_core_set_auto_accept (PhCore *self, const PhCommand *command)
{
  PhPeer *peer = ph_core_need_peer (self, command);
  PhStoreContact row;

  if (peer == NULL)
    return;
  row = *peer->contact;
  row.auto_accept = command->flag;
  row.auto_accept_max = command->flag ? command->bytes : 0;
  change (self, peer, &row, command);
}

void
ph_core_set_verified (PhCore *self, const PhCommand *command)
{
  PhPeer *peer = ph_core_need_peer (self, command);
  PhStoreContact row;

  if (peer == NULL)
    return;
  row = *peer->contact;
  row.verified = command->flag;
  change (self, peer, &row, command);
}

void
ph_core_dismiss_alert (PhCore *self, const PhCommand *command)
{
  PhPeer *peer = ph_core_need_peer (self, command);
  const PhTime now = ph_core_now (self);
  PhStoreContact row;

  if (peer == NULL)
    return;
  row = *peer->contact;
  row.alerted_at = 0;
  if (!change (self, peer, &row, command))
    return;
  if (peer->connector != NULL)
    ph_connector_retry_now (peer->connector, now);
  ph_peer_update (peer, now);
}

/* Keys are pinned, so an impostor gets nothing. But that there is one is for the person to know before
 * anything is tried again: it may be somebody on the way, or a device that was set up anew. */
void
ph_peer_alert (PhPeer *self, const char *message)
{
  PhCore *core = self->core;
  g_autoptr (GError) error = NULL;

  if (self->contact->alerted_at != 0)
    return;
  /* Stops, whether that can be stored or not. */
  self->contact->alerted_at = ph_core_unix_now ();
  self->contact->verified = false;
  if (!ph_store_put_contact (core->profile->store, self->contact, &error))
    g_debug ("store: %s", error->message);
  ph_core_tell_peer (core, self);
  ph_core_emit (core, (PhEvent){
                          .type = PH_EVENT_ALERT,
                          .text = message,
                          .contact = ph_peer_view (self),
                      });
}

void
ph_core_note_seen (PhCore *self, const GPtrArray *peers)
{
  g_autoptr (GPtrArray) rows = g_ptr_array_new ();
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < peers->len; i++) {
    const PhPeer *peer = peers->pdata[i];

    peer->contact->last_seen = ph_core_unix_now ();
    g_ptr_array_add (rows, peer->contact);
  }
  if (rows->len > 0 && !ph_store_put_seen (self->profile->store, rows, &error))
    g_debug ("store: %s", error->message);
}
