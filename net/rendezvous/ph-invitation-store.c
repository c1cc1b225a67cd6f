/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/rendezvous/ph-invitation-store.h"

#include "net/signal/ph-rendezvous-protocol.h"

struct _PhInvitationStore {
  GHashTable *by_lookup; /* PhLookupId -> PhStoredInvitation, owned; keys are in the values */
  GHashTable *by_owner; /* PhDeviceId (owned) -> GPtrArray of borrowed PhStoredInvitation, oldest
                         * first */
};

static guint
lookup_hash (const void *lookup)
{
  guint hash;

  memcpy (&hash, ((const PhLookupId *)lookup)->bytes, sizeof hash);
  return hash;
}

static gboolean
lookup_equal (const void *a, const void *b)
{
  return memcmp (a, b, sizeof (PhLookupId)) == 0;
}

PhInvitationStore *
ph_invitation_store_new (void)
{
  PhInvitationStore *self = g_new0 (PhInvitationStore, 1);

  self->by_lookup = g_hash_table_new_full (lookup_hash, lookup_equal, NULL, g_free);
  self->by_owner = g_hash_table_new_full (ph_device_id_hash, ph_device_id_hash_equal, g_free,
                                          (GDestroyNotify)g_ptr_array_unref);
  return self;
}

void
ph_invitation_store_free (PhInvitationStore *self)
{
  if (self == NULL)
    return;
  g_hash_table_unref (self->by_owner);
  g_hash_table_unref (self->by_lookup);
  g_free (self);
}

/* The owner's list forgets it; the caller takes it out of by_lookup. */
static void
unlist (PhInvitationStore *self, PhStoredInvitation *invitation)
{
  GPtrArray *list = g_hash_table_lookup (self->by_owner, &invitation->owner);

  g_assert (list != NULL);

  const bool removed = g_ptr_array_remove (list, invitation);

  g_assert (removed);
  if (list->len == 0)
    g_hash_table_remove (self->by_owner, &invitation->owner);
}

static void
drop (PhInvitationStore *self, PhStoredInvitation *invitation)
{
  unlist (self, invitation);
  g_hash_table_remove (self->by_lookup, &invitation->lookup);
}

static PhStoredInvitation *
find (PhInvitationStore *self, PhTime now, const PhLookupId *lookup)
{
  PhStoredInvitation *invitation = g_hash_table_lookup (self->by_lookup, lookup);

  if (invitation != NULL && now >= invitation->expires_at) {
    drop (self, invitation);
    return NULL;
  }
  return invitation;
}

/* Makes room for one more of `owner`: what has expired goes, else the oldest that has ended. */
static bool
make_room (PhInvitationStore *self, PhTime now, const PhDeviceId *owner)
{
  GPtrArray *list = g_hash_table_lookup (self->by_owner, owner);
  PhStoredInvitation *victim = NULL;
  unsigned n_open = 0;

  for (unsigned i = 0; list != NULL && i < list->len; i++) {
    PhStoredInvitation *invitation = g_ptr_array_index (list, i);
    const bool expired = now >= invitation->expires_at;

    if (invitation->state == PH_INVITATION_IS_OPEN && !expired)
      n_open++;
    else if (victim == NULL || expired)
      victim = invitation;
  }
  if (n_open >= PH_RENDEZVOUS_INVITATIONS_MAX)
    return false;
  if (list != NULL && list->len >= PH_INVITATION_STORE_PER_KEY_MAX)
    drop (self, victim);
  return g_hash_table_size (self->by_lookup) < PH_INVITATION_STORE_MAX;
}

PhInvitationAdd
ph_invitation_store_add (PhInvitationStore *self, PhTime now, const PhLookupId *lookup,
                         const PhDeviceId *owner, PhTime expires_at)
{
  PhStoredInvitation *invitation = find (self, now, lookup);

  if (invitation != NULL) {
    if (!ph_device_id_equal (&invitation->owner, owner)
        || invitation->state != PH_INVITATION_IS_OPEN)
      return PH_INVITATION_TAKEN;
    invitation->expires_at = expires_at;
    return PH_INVITATION_ADDED;
  }
  if (!make_room (self, now, owner))
    return PH_INVITATION_TOO_MANY;

  GPtrArray *list = g_hash_table_lookup (self->by_owner, owner);

  if (list == NULL) {
    list = g_ptr_array_new ();
    g_hash_table_insert (self->by_owner, g_memdup2 (owner, sizeof *owner), list);
  }
  invitation = g_new0 (PhStoredInvitation, 1);
  invitation->lookup = *lookup;
  invitation->owner = *owner;
  invitation->expires_at = expires_at;
  g_hash_table_insert (self->by_lookup, &invitation->lookup, invitation);
  g_ptr_array_add (list, invitation);
  return PH_INVITATION_ADDED;
}

const PhStoredInvitation *
ph_invitation_store_find (PhInvitationStore *self, PhTime now, const PhLookupId *lookup)
{
  return find (self, now, lookup);
}

void
ph_invitation_store_end (PhInvitationStore *self, PhTime now, const PhLookupId *lookup,
                         PhInvitationState state, const PhDeviceId *accepter)
{
  PhStoredInvitation *invitation = find (self, now, lookup);

  g_assert (state != PH_INVITATION_IS_OPEN);
  if (invitation == NULL || invitation->state != PH_INVITATION_IS_OPEN)
    return;
  invitation->state = state;
  if (accepter != NULL)
    invitation->accepter = *accepter;
  invitation->expires_at = ph_time_add (now, PH_INVITATION_STORE_MEMORY);
}

void
ph_invitation_store_sweep (PhInvitationStore *self, PhTime now)
{
  GHashTableIter iter;
  PhStoredInvitation *invitation;

  g_hash_table_iter_init (&iter, self->by_lookup);
  while (g_hash_table_iter_next (&iter, NULL, (void **)&invitation))
    if (now >= invitation->expires_at) {
      unlist (self, invitation);
      g_hash_table_iter_remove (&iter);
    }
}

unsigned
ph_invitation_store_size (const PhInvitationStore *self)
{
  return g_hash_table_size (self->by_lookup);
}
