/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Our open invitations, and the ones of others that we accept. The inviter decides: the server's
 * bookkeeping only spares both sides needless questions. */

#include "net/signal/ph-rendezvous-client-private.h"

static PhClientInvitation *
find_invitation (PhRendezvousClient *self, const PhLookupId *lookup)
{
  for (unsigned i = 0; i < self->invitations->len; i++) {
    PhClientInvitation *invitation = g_ptr_array_index (self->invitations, i);

    if (memcmp (&invitation->lookup, lookup, sizeof *lookup) == 0)
      return invitation;
  }
  return NULL;
}

static PhClientAccept *
find_accept (PhRendezvousClient *self, const PhLookupId *lookup)
{
  for (unsigned i = 0; i < self->accepts->len; i++) {
    PhClientAccept *accept = g_ptr_array_index (self->accepts, i);

    if (memcmp (&accept->lookup, lookup, sizeof *lookup) == 0)
      return accept;
  }
  return NULL;
}

static void
drop_invitation (PhRendezvousClient *self, PhClientInvitation *invitation)
{
  ph_invitation_wipe (&invitation->invitation);
  g_ptr_array_remove (self->invitations, invitation);
}

static void
fail_invitation (PhRendezvousClient *self, PhClientInvitation *invitation, PhRendezvousCode code)
{
  PhClientEvent *event = ph_client_event (self, PH_RENDEZVOUS_EVENT_INVITATION_FAILED);

  event->event.handle = invitation->handle;
  event->event.code = code;
  drop_invitation (self, invitation);
}

static void
finish_accept (PhRendezvousClient *self, PhClientAccept *accept, PhRendezvousCode code,
               const char *name)
{
  PhClientEvent *event =
      ph_client_event (self, code == PH_RENDEZVOUS_OK ? PH_RENDEZVOUS_EVENT_ACCEPTED
                                                      : PH_RENDEZVOUS_EVENT_ACCEPT_FAILED);

  event->event.handle = accept->handle;
  event->event.peer = accept->invitation.inviter;
  event->event.code = code;
  g_strlcpy (event->event.name, name, sizeof event->event.name);
  ph_invitation_wipe (&accept->invitation);
  g_ptr_array_remove (self->accepts, accept);
}

/* --- Ours --------------------------------------------------------------------------------------- */

static void
send_invite (PhRendezvousClient *self, PhTime now, const PhClientInvitation *invitation)
{
  JsonObject *message = ph_json_message ("invite");
  const PhTime life_s = ph_time_since (invitation->expires_at, now) / PH_SEC;

  ph_json_set_bytes (message, "lookup",
                     ph_slice (invitation->lookup.bytes, sizeof invitation->lookup.bytes));
  json_object_set_int_member (message, "life", (gint64)MAX (life_s, 1));
  ph_client_send (self, message);
}

uint64_t
ph_rendezvous_client_invite (PhRendezvousClient *self, PhTime now, const PhInvitation *invitation,
                             PhTime life_interval)
{
  PhClientInvitation *ours = g_new0 (PhClientInvitation, 1);
  const uint64_t handle = self->next_handle++;

  ours->handle = handle;
  ours->invitation = *invitation;
  ours->lookup = ph_invitation_lookup (invitation->secret);
  ours->expires_at = ph_time_add (now, MIN (life_interval, PH_RENDEZVOUS_INVITATION_LIFE_MAX));
  g_ptr_array_add (self->invitations, ours);
  if (self->invitations->len > 2 * PH_RENDEZVOUS_INVITATIONS_MAX)
    fail_invitation (self, ours, PH_RENDEZVOUS_TOO_MANY_INVITATIONS);
  else if (self->state == PH_RENDEZVOUS_ONLINE)
    send_invite (self, now, ours);
  return handle;
}

void
ph_rendezvous_client_withdraw (PhRendezvousClient *self, PhTime now, uint64_t handle)
{
  for (unsigned i = 0; i < self->invitations->len; i++) {
    PhClientInvitation *invitation = g_ptr_array_index (self->invitations, i);

    if (invitation->handle != handle)
      continue;
    if (self->state == PH_RENDEZVOUS_ONLINE) {
      JsonObject *message = ph_json_message ("withdraw");

      ph_json_set_bytes (message, "lookup",
                         ph_slice (invitation->lookup.bytes, sizeof invitation->lookup.bytes));
      ph_client_send (self, message);
    }
    drop_invitation (self, invitation);
    return;
  }
}

static void
set_used (PhClientInvitation *invitation, PhTime now, const PhDeviceId *peer)
{
  invitation->used = true;
  invitation->used_by = *peer;
  invitation->expires_at = ph_time_add (now, PH_RENDEZVOUS_USED_MEMORY);
}

void
ph_rendezvous_client_invitation_used (PhRendezvousClient *self, PhTime now, uint64_t handle,
                                      const PhDeviceId *peer)
{
  for (unsigned i = 0; i < self->invitations->len; i++) {
    PhClientInvitation *invitation = g_ptr_array_index (self->invitations, i);

    if (invitation->handle == handle && !invitation->used)
      set_used (invitation, now, peer);
  }
}

void
ph_client_handle_invited (PhRendezvousClient *self, const PhLookupId *lookup)
{
  PhClientInvitation *invitation = find_invitation (self, lookup);

  if (invitation == NULL || invitation->told)
    return;
  invitation->told = true;
  ph_client_event (self, PH_RENDEZVOUS_EVENT_INVITED)->event.handle = invitation->handle;
}

void
ph_client_invite_refused (PhRendezvousClient *self, const PhLookupId *lookup, PhRendezvousCode code)
{
  PhClientInvitation *invitation = find_invitation (self, lookup);

  if (invitation != NULL && !invitation->used)
    fail_invitation (self, invitation, code);
}

static JsonObject *
begin_answer (const PhLookupId *lookup, const PhDeviceId *to, bool accepted)
{
  JsonObject *message = ph_json_message ("answer");

  ph_json_set_bytes (message, "lookup", ph_slice (lookup->bytes, sizeof lookup->bytes));
  ph_json_set_bytes (message, "to", ph_slice (to->key, sizeof to->key));
  json_object_set_boolean_member (message, "accepted", accepted);
  return message;
}

static void
send_refusal (PhRendezvousClient *self, const PhLookupId *lookup, const PhDeviceId *to,
              PhRendezvousCode code)
{
  JsonObject *message = begin_answer (lookup, to, false);

  json_object_set_string_member (message, "code", ph_rendezvous_code_string (code));
  ph_client_send (self, message);
}

static void
send_welcome (PhRendezvousClient *self, const PhClientInvitation *invitation, const PhDeviceId *to)
{
  JsonObject *message = begin_answer (&invitation->lookup, to, true);
  uint8_t sealed[PH_ACCEPTANCE_MAX];
  PhAcceptance words = {PH_ACCEPTANCE_WELCOME, self->identity->id, *to, ""};

  g_strlcpy (words.name, self->name, sizeof words.name);

  const size_t len = ph_acceptance_seal (&words, invitation->invitation.secret, self->identity,
                                         &self->random, sealed);

  ph_json_set_bytes (message, "envelope", ph_slice (sealed, len));
  ph_client_send (self, message);
}

void
ph_client_handle_acceptance (PhRendezvousClient *self, PhTime now, const PhLookupId *lookup,
                             const PhDeviceId *from, PhSlice sealed)
{
  PhClientInvitation *invitation = find_invitation (self, lookup);
  PhAcceptance acceptance;

  /* The server knows of it, so it was ours: of an earlier run, and used or withdrawn in it. */
  if (invitation == NULL || now >= invitation->expires_at) {
    send_refusal (self, lookup, from, PH_RENDEZVOUS_INVITATION_USED);
    return;
  }

  const bool right =
      ph_acceptance_open (sealed, PH_ACCEPTANCE_ACCEPT, invitation->invitation.secret,
                          self->identity, from, &acceptance);

  if (invitation->used) {
    /* Once only; but who has used it may hear the answer again. */
    if (right && ph_device_id_equal (from, &invitation->used_by))
      send_welcome (self, invitation, from);
    else
      send_refusal (self, lookup, from, PH_RENDEZVOUS_INVITATION_USED);
    return;
  }
  if (!right) {
    send_refusal (self, lookup, from, PH_RENDEZVOUS_INVITATION_ENDED);
    fail_invitation (self, invitation, PH_RENDEZVOUS_WRONG_SECRET);
    return;
  }
  set_used (invitation, now, from);
  send_welcome (self, invitation, from);

  PhClientEvent *event = ph_client_event (self, PH_RENDEZVOUS_EVENT_INVITATION_USED);

  event->event.handle = invitation->handle;
  event->event.peer = *from;
  g_strlcpy (event->event.name, acceptance.name, sizeof event->event.name);
}

/* --- Others' ------------------------------------------------------------------------------------ */

static void
send_accept (PhRendezvousClient *self, const PhClientAccept *accept)
{
  JsonObject *message = ph_json_message ("accept");
  uint8_t sealed[PH_ACCEPTANCE_MAX];
  PhAcceptance acceptance = {PH_ACCEPTANCE_ACCEPT, self->identity->id, accept->invitation.inviter,
                             ""};

  g_strlcpy (acceptance.name, self->name, sizeof acceptance.name);

  const size_t len = ph_acceptance_seal (&acceptance, accept->invitation.secret, self->identity,
                                         &self->random, sealed);

  ph_json_set_bytes (message, "lookup",
                     ph_slice (accept->lookup.bytes, sizeof accept->lookup.bytes));
  ph_json_set_bytes (message, "envelope", ph_slice (sealed, len));
  ph_client_send (self, message);
}

uint64_t
ph_rendezvous_client_accept (PhRendezvousClient *self, PhTime now, const PhInvitation *invitation)
{
  PhClientAccept *accept = g_new0 (PhClientAccept, 1);
  const uint64_t handle = self->next_handle++;

  accept->handle = handle;
  accept->invitation = *invitation;
  accept->lookup = ph_invitation_lookup (invitation->secret);
  accept->expires_at = ph_time_add (now, PH_RENDEZVOUS_ACCEPT_MAX);

  const bool twice = find_accept (self, &accept->lookup) != NULL;

  g_ptr_array_add (self->accepts, accept);
  if (ph_device_id_equal (&invitation->inviter, &self->identity->id))
    finish_accept (self, accept, PH_RENDEZVOUS_OWN_INVITATION, "");
  else if (twice)
    finish_accept (self, accept, PH_RENDEZVOUS_CANCELLED, "");
  else if (self->state == PH_RENDEZVOUS_ONLINE)
    send_accept (self, accept);
  return handle;
}

void
ph_client_handle_answered (PhRendezvousClient *self, const PhLookupId *lookup, bool accepted,
                           PhRendezvousCode code, PhSlice sealed)
{
  PhClientAccept *accept = find_accept (self, lookup);
  PhAcceptance welcome;

  if (accept == NULL)
    return;
  if (!accepted)
    finish_accept (self, accept,
                   code == PH_RENDEZVOUS_INVITATION_USED || code == PH_RENDEZVOUS_UNKNOWN_INVITATION
                       ? code
                       : PH_RENDEZVOUS_WRONG_SECRET,
                   "");
  else if (!ph_acceptance_open (sealed, PH_ACCEPTANCE_WELCOME, accept->invitation.secret,
                                self->identity, &accept->invitation.inviter, &welcome))
    finish_accept (self, accept, PH_RENDEZVOUS_WRONG_SECRET, "");
  else
    finish_accept (self, accept, PH_RENDEZVOUS_OK, welcome.name);
}

void
ph_client_accept_refused (PhRendezvousClient *self, const PhLookupId *lookup, PhRendezvousCode code)
{
  PhClientAccept *accept = find_accept (self, lookup);

  if (accept != NULL)
    finish_accept (self, accept, code, "");
}

/* --- Both --------------------------------------------------------------------------------------- */

void
ph_client_invitations_online (PhRendezvousClient *self, PhTime now)
{
  for (unsigned i = 0; i < self->invitations->len; i++)
    send_invite (self, now, g_ptr_array_index (self->invitations, i));
  for (unsigned i = 0; i < self->accepts->len; i++)
    send_accept (self, g_ptr_array_index (self->accepts, i));
}

void
ph_client_invitations_timeout (PhRendezvousClient *self, PhTime now)
{
  for (unsigned i = self->invitations->len; i-- > 0;) {
    PhClientInvitation *invitation = g_ptr_array_index (self->invitations, i);

    if (now < invitation->expires_at)
      continue;
    if (invitation->used)
      drop_invitation (self, invitation);
    else
      fail_invitation (self, invitation, PH_RENDEZVOUS_INVITATION_EXPIRED);
  }
  for (unsigned i = self->accepts->len; i-- > 0;) {
    PhClientAccept *accept = g_ptr_array_index (self->accepts, i);

    if (now >= accept->expires_at)
      finish_accept (self, accept,
                     self->state == PH_RENDEZVOUS_ONLINE ? PH_RENDEZVOUS_TIMED_OUT
                                                         : PH_RENDEZVOUS_UNREACHABLE,
                     "");
  }
}

PhTime
ph_client_invitations_deadline (const PhRendezvousClient *self)
{
  PhTime deadline = PH_NEVER;

  for (unsigned i = 0; i < self->invitations->len; i++)
    deadline = ph_time_min (
        deadline,
        ((const PhClientInvitation *)g_ptr_array_index (self->invitations, i))->expires_at);
  for (unsigned i = 0; i < self->accepts->len; i++)
    deadline = ph_time_min (
        deadline, ((const PhClientAccept *)g_ptr_array_index (self->accepts, i))->expires_at);
  return deadline;
}
