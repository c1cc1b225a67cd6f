/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/nearby/ph-nearby-private.h"

typedef enum { SAY_ACCEPT = 1, SAY_WELCOME = 2, SAY_REFUSAL = 3 } Saying;
#define REFUSED_USED 1
#define REFUSED_ENDED 2
#define SAY_MAX (1 + PH_DEVICE_ID_LEN + PH_ACCEPTANCE_MAX)

void
ph_nearby_invitation_free (PhNearbyInvitation *invitation)
{
  if (invitation == NULL)
    return;
  ph_invitation_wipe (&invitation->invitation);
  g_free (invitation);
}

/* --- Making and ending -------------------------------------------------------------------------- */

static PhNearbyContact *
find_handle (const PhNearby *self, uint64_t handle)
{
  for (guint i = 0; i < self->contacts->len; i++) {
    PhNearbyContact *contact = self->contacts->pdata[i];

    if (contact->invitation != NULL && contact->invitation->handle == handle)
      return contact;
  }
  return NULL;
}

static unsigned
count (const PhNearby *self)
{
  unsigned n = 0;

  for (guint i = 0; i < self->contacts->len; i++)
    n += ((const PhNearbyContact *)self->contacts->pdata[i])->invitation != NULL;
  return n;
}

static uint64_t
add (PhNearby *self, PhTime now, const PhInvitation *invitation, bool ours, PhTime life_interval)
{
  PhNearbyContact *contact;

  if (count (self) >= PH_NEARBY_INVITATIONS_MAX)
    return 0;
  contact = ph_nearby_contact_new (self, now, &invitation->inviter);
  ph_nearby_invitation_keys (invitation, ours, &contact->to_peer, &contact->from_peer);
  contact->invitation = g_new0 (PhNearbyInvitation, 1);
  *contact->invitation = (PhNearbyInvitation){
      .handle = ++self->last_handle,
      .ours = ours,
      .invitation = *invitation,
      .begun_at = now,
      .expires_at = ph_time_add (now, life_interval),
      .ask_at = PH_NEVER,
      .search_at = ours ? PH_NEVER : ph_time_add (now, PH_NEARBY_SEARCH_INTERVAL),
  };
  return self->last_handle;
}

void
ph_nearby_set_name (PhNearby *self, const char *name)
{
  ph_name_clean (name, self->name);
}

uint64_t
ph_nearby_invite (PhNearby *self, PhTime now, const PhInvitation *invitation, PhTime life_interval)
{
  g_assert (ph_device_id_equal (&invitation->inviter, &self->config.identity->id));
  return add (self, now, invitation, true, life_interval);
}

uint64_t
ph_nearby_accept (PhNearby *self, PhTime now, const PhInvitation *invitation)
{
  g_assert (!ph_device_id_equal (&invitation->inviter, &self->config.identity->id));
  return add (self, now, invitation, false, PH_NEARBY_ACCEPT_MAX);
}

void
ph_nearby_accept_hurry (PhNearby *self, PhTime now, uint64_t handle)
{
  PhNearbyContact *contact = find_handle (self, handle);

  if (contact == NULL || contact->here || contact->invitation->over)
    return;
  contact->invitation->expires_at =
      ph_time_min (contact->invitation->expires_at,
                   ph_time_add (contact->invitation->begun_at, PH_NEARBY_SEARCH_MAX));
}

void
ph_nearby_withdraw (PhNearby *self, PhTime now, uint64_t handle)
{
  PhNearbyContact *contact = find_handle (self, handle);

  if (contact == NULL)
    return;
  contact->invitation->over = true;
  contact->invitation->answered = true;
  ph_nearby_contact_drop (self, now, contact, "its invitation is withdrawn");
}

static void
set_used (PhNearbyInvitation *invitation, PhTime now, const PhDeviceId *peer)
{
  invitation->used = true;
  invitation->used_by = *peer;
  invitation->over = true;
  invitation->expires_at = ph_time_add (now, PH_NEARBY_USED_MEMORY);
}

void
ph_nearby_invitation_used (PhNearby *self, PhTime now, uint64_t handle, const PhDeviceId *peer)
{
  PhNearbyContact *contact = find_handle (self, handle);

  if (contact == NULL || contact->invitation->over)
    return;
  set_used (contact->invitation, now, peer);
  contact->invitation->answered = true;
}

/* The one thing that is told of its end; what is still said to it is answered for a while. */
static void
finish (PhNearby *self, PhTime now, PhNearbyContact *contact, PhNearbyEventType type,
        PhRendezvousCode code, const char *name)
{
  PhNearbyEvent event = {
      .type = type,
      .peer = contact->id,
      .handle = contact->invitation->handle,
      .code = code,
  };

  g_strlcpy (event.name, name, sizeof event.name);
  contact->invitation->over = true;
  contact->invitation->ask_at = PH_NEVER;
  contact->invitation->expires_at = ph_time_add (now, PH_NEARBY_LINGER);
  ph_nearby_push (self, &event, NULL);
}

/* --- Ours --------------------------------------------------------------------------------------- */

static void
refuse (PhNearbyContact *contact, const PhDeviceId *to, uint8_t code)
{
  uint8_t bytes[1 + PH_DEVICE_ID_LEN + 1];
  PhWriter w = ph_writer (bytes, sizeof bytes);

  ph_write_u8 (&w, SAY_REFUSAL);
  ph_write_bytes (&w, to->key, sizeof to->key);
  ph_write_u8 (&w, code);
  ph_nearby_contact_send (contact, ph_slice (bytes, ph_writer_len (&w)));
}

static void
say (PhNearby *self, PhNearbyContact *contact, Saying saying, const PhDeviceId *accepter,
     const PhAcceptance *words)
{
  uint8_t bytes[SAY_MAX];
  uint8_t sealed[PH_ACCEPTANCE_MAX];
  PhWriter w = ph_writer (bytes, sizeof bytes);
  const size_t len = ph_acceptance_seal (words, contact->invitation->invitation.secret,
                                         self->config.identity, &self->config.random, sealed);

  ph_write_u8 (&w, (uint8_t)saying);
  ph_write_bytes (&w, accepter->key, sizeof accepter->key);
  ph_write_bytes (&w, sealed, len);
  ph_nearby_contact_send (contact, ph_slice (bytes, ph_writer_len (&w)));
}

static void
welcome (PhNearby *self, PhNearbyContact *contact, const PhDeviceId *to)
{
  PhAcceptance words = {PH_ACCEPTANCE_WELCOME, self->config.identity->id, *to, ""};

  g_strlcpy (words.name, self->name, sizeof words.name);
  say (self, contact, SAY_WELCOME, to, &words);
}

static void
judge (PhNearby *self, PhTime now, PhNearbyContact *contact, const PhDeviceId *from, PhSlice sealed)
{
  PhNearbyInvitation *invitation = contact->invitation;
  PhAcceptance acceptance;
  bool right;

  if (invitation->judged_at != 0
      && ph_time_since (now, invitation->judged_at) < PH_NEARBY_JUDGE_INTERVAL)
    return; /* it is said again */
  invitation->judged_at = now;
  right = ph_acceptance_open (sealed, PH_ACCEPTANCE_ACCEPT, invitation->invitation.secret,
                              self->config.identity, from, &acceptance);
  if (invitation->used) {
    if (right && ph_device_id_equal (from, &invitation->used_by))
      welcome (self, contact, from);
    else
      refuse (contact, from, REFUSED_USED);
  } else if (invitation->over || !right) {
    refuse (contact, from, REFUSED_ENDED);
    if (!invitation->over)
      finish (self, now, contact, PH_NEARBY_EVENT_INVITATION_FAILED, PH_RENDEZVOUS_WRONG_SECRET,
              "");
  } else {
    PhNearbyEvent event = {
        .type = PH_NEARBY_EVENT_INVITATION_USED,
        .peer = *from,
        .handle = invitation->handle,
    };

    g_strlcpy (event.name, acceptance.name, sizeof event.name);
    set_used (invitation, now, from);
    welcome (self, contact, from);
    ph_nearby_push (self, &event, NULL);
  }
}

static void
note_answered (PhNearby *self, PhNearbyContact *contact)
{
  PhNearbyInvitation *invitation = contact->invitation;
  const PhNearbyEvent event = {
      .type = PH_NEARBY_EVENT_INVITATION_ANSWERED,
      .peer = invitation->used_by,
      .handle = invitation->handle,
  };

  if (!invitation->used || invitation->answered)
    return;
  invitation->answered = true;
  ph_nearby_push (self, &event, NULL);
}

/* --- Another's ---------------------------------------------------------------------------------- */

static void
ask (PhNearby *self, PhTime now, PhNearbyContact *contact)
{
  PhAcceptance words = {PH_ACCEPTANCE_ACCEPT, self->config.identity->id, contact->id, ""};

  g_strlcpy (words.name, self->name, sizeof words.name);
  say (self, contact, SAY_ACCEPT, &self->config.identity->id, &words);
  contact->invitation->ask_at = ph_time_add (now, PH_NEARBY_ASK);
}

static void
handle_welcome (PhNearby *self, PhTime now, PhNearbyContact *contact, PhSlice sealed)
{
  PhAcceptance words;

  if (ph_acceptance_open (sealed, PH_ACCEPTANCE_WELCOME, contact->invitation->invitation.secret,
                          self->config.identity, &contact->id, &words))
    finish (self, now, contact, PH_NEARBY_EVENT_ACCEPTED, PH_RENDEZVOUS_OK, words.name);
  else
    finish (self, now, contact, PH_NEARBY_EVENT_ACCEPT_FAILED, PH_RENDEZVOUS_WRONG_SECRET, "");
}

/* --- What happens ------------------------------------------------------------------------------- */

void
ph_nearby_invitation_here (PhNearby *self, PhTime now, PhNearbyContact *contact)
{
  if (!contact->invitation->ours && !contact->invitation->over)
    ask (self, now, contact);
}

void
ph_nearby_invitation_gone (PhNearby *self, PhNearbyContact *contact)
{
  contact->invitation->ask_at = PH_NEVER;
  note_answered (self, contact);
}

void
ph_nearby_invitation_heard (PhNearby *self, PhNearbyContact *contact)
{
  note_answered (self, contact);
}

void
ph_nearby_invitation_signal (PhNearby *self, PhTime now, PhNearbyContact *contact, PhSlice body)
{
  PhReader r = ph_reader (body);
  const uint8_t saying = ph_read_u8 (&r);
  const PhSlice key = ph_read_slice (&r, PH_DEVICE_ID_LEN);
  const PhSlice rest = ph_read_slice (&r, ph_reader_left (&r));
  PhDeviceId accepter;

  if (!ph_reader_ok (&r) || !ph_device_id_from_bytes (key, &accepter))
    return;
  if (contact->invitation->ours) {
    if (saying == SAY_ACCEPT)
      judge (self, now, contact, &accepter, rest);
    return;
  }
  if (contact->invitation->over || !ph_device_id_equal (&accepter, &self->config.identity->id))
    return;
  if (saying == SAY_WELCOME)
    handle_welcome (self, now, contact, rest);
  else if (saying == SAY_REFUSAL)
    finish (self, now, contact, PH_NEARBY_EVENT_ACCEPT_FAILED,
            rest.len == 1 && rest.data[0] == REFUSED_USED ? PH_RENDEZVOUS_INVITATION_USED
                                                          : PH_RENDEZVOUS_INVITATION_ENDED,
            "");
}

/* --- Time --------------------------------------------------------------------------------------- */

bool
ph_nearby_invitation_handle_timeout (PhNearby *self, PhTime now, PhNearbyContact *contact)
{
  PhNearbyInvitation *invitation = contact->invitation;

  if (now >= invitation->ask_at && contact->here)
    ask (self, now, contact);
  if (now >= invitation->search_at && !invitation->over) {
    if (!contact->here)
      ph_nearby_look_around (self, now);
    invitation->search_at = ph_time_add (now, PH_NEARBY_SEARCH_INTERVAL);
  }
  if (now < invitation->expires_at)
    return true;
  if (!invitation->over)
    finish (self, now, contact,
            invitation->ours ? PH_NEARBY_EVENT_INVITATION_FAILED : PH_NEARBY_EVENT_ACCEPT_FAILED,
            invitation->ours ? PH_RENDEZVOUS_INVITATION_EXPIRED : PH_RENDEZVOUS_TIMED_OUT, "");
  return false;
}

PhTime
ph_nearby_invitation_next_timeout (const PhNearbyContact *contact)
{
  const PhNearbyInvitation *invitation = contact->invitation;
  PhTime next = ph_time_min (invitation->expires_at, invitation->ask_at);

  return invitation->over ? next : ph_time_min (next, invitation->search_at);
}

bool
ph_nearby_contact_is_looking (const PhNearbyContact *contact)
{
  return contact->invitation == NULL || contact->invitation->ours || !contact->invitation->over;
}
