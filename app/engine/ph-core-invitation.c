/* SPDX-License-Identifier: GPL-3.0-or-later */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/engine/ph-core-private.h"

#include <glib/gi18n-lib.h>
#include <json-glib/json-glib.h>
#include <sodium.h>

/* How long an invitation can be used: over a weekend, not for ever. */
#define INVITATION_LIFE_S (INT64_C (3) * 24 * 3600)

void
ph_pending_free (gpointer data)
{
  PhPending *self = data;

  ph_invitation_wipe (&self->invitation);
  g_free (self->contact);
  g_free (self->name);
  g_free (self);
}

static PhPending *
find_pending (const PhCore *self, const PhMeeting *meeting, PhPendingType type, uint64_t handle)
{
  for (guint i = 0; i < self->pendings->len; i++) {
    PhPending *pending = self->pendings->pdata[i];

    if (pending->meeting == meeting && pending->type == type && pending->handle == handle)
      return pending;
  }
  return NULL;
}

static PhRendezvousClient *
client_of (const PhPending *pending)
{
  return ph_rendezvous_driver_client (pending->meeting->driver);
}

static void
format_lookup (const PhInvitation *invitation, char out[2 * PH_INVITATION_LOOKUP_LEN + 1])
{
  const PhLookupId lookup = ph_invitation_lookup (invitation->secret);

  sodium_bin2hex (out, 2 * PH_INVITATION_LOOKUP_LEN + 1, lookup.bytes, sizeof lookup.bytes);
}

static void
forget_invitation (PhCore *self, const PhPending *pending)
{
  char lookup[2 * PH_INVITATION_LOOKUP_LEN + 1];
  bool was_there;

  format_lookup (&pending->invitation, lookup);
  ph_store_take_invitation (self->profile->store, lookup, &was_there, NULL);
}

/* Both ends of an invitation come here: the other one is a contact from now on. Returns its id; NULL: the
 * command was ended with an error, and `pending` is gone. */
static const char *
add_contact (PhCore *self, PhPending *pending, const PhDeviceId *id, const char *given_name)
{
  const char *name = pending->name != NULL && *pending->name != '\0' ? pending->name : given_name;
  g_autoptr (GError) error = NULL;
  PhPeer *peer = ph_core_add_peer (
      self, id, name, pending->meeting != NULL ? &pending->meeting->address : NULL, &error);

  if (pending->type == PH_PENDING_INVITE)
    forget_invitation (self, pending);
  if (peer != NULL)
    return peer->text;
  ph_core_fail (self, pending->command, PH_ENGINE_ERROR_FAILED, "%s", error->message);
  g_ptr_array_remove (self->pendings, pending);
  return NULL;
}

static void
become_contacts (PhCore *self, PhPending *pending, const PhDeviceId *id, const char *given_name)
{
  const char *contact = add_contact (self, pending, id, given_name);

  if (contact == NULL)
    return;
  ph_core_done (self, pending->command, NULL, contact);
  g_ptr_array_remove (self->pendings, pending);
}

/* The link of somebody who is a contact on both sides: presence is told to no others. Adding them once more
 * changes nothing, and is no error. */
static bool
is_contact_already (PhCore *self, const PhPending *pending, PhRendezvousCode code)
{
  const PhPeer *peer = ph_core_find_peer (self, &pending->invitation.inviter);

  return pending->type == PH_PENDING_ADD && peer != NULL && !peer->contact->blocked
         && (code == PH_RENDEZVOUS_INVITATION_USED || code == PH_RENDEZVOUS_UNKNOWN_INVITATION
             || code == PH_RENDEZVOUS_INVITATION_ENDED)
         && ph_core_is_online (self, &peer->id);
}

static void
fail_pending (PhCore *self, PhPending *pending, PhRendezvousCode code)
{
  if (is_contact_already (self, pending, code)) {
    ph_core_done (self, pending->command, NULL,
                  ph_core_find_peer (self, &pending->invitation.inviter)->text);
    g_ptr_array_remove (self->pendings, pending);
    return;
  }
  switch ((int)code) {
  case PH_RENDEZVOUS_INVITATION_USED:
    ph_core_fail (self, pending->command, PH_ENGINE_ERROR_INVITATION_USED,
                  _ ("This invitation has been used already. Each serves once: ask for a new one"));
    break;
  case PH_RENDEZVOUS_UNKNOWN_INVITATION:
  case PH_RENDEZVOUS_INVITATION_EXPIRED:
    ph_core_fail (self, pending->command, PH_ENGINE_ERROR_INVITATION_EXPIRED,
                  pending->type == PH_PENDING_INVITE
                      ? _ ("Nobody has used the invitation in time. Make a new one")
                      : _ ("This invitation has been used, has expired or was withdrawn. Ask for a "
                           "new one"));
    break;
  case PH_RENDEZVOUS_INVITATION_ENDED:
  case PH_RENDEZVOUS_WRONG_SECRET:
    ph_core_fail (self, pending->command, PH_ENGINE_ERROR_INVITATION_EXPIRED,
                  _ ("Somebody answered this invitation without knowing its secret, so it was "
                     "ended. Make a new one and send it privately"));
    break;
  case PH_RENDEZVOUS_OWN_INVITATION:
    ph_core_fail (self, pending->command, PH_ENGINE_ERROR_OWN_INVITATION,
                  _ ("This is your own invitation: send it to the person you want to add"));
    break;
  case PH_RENDEZVOUS_INVITER_OFFLINE:
    ph_core_fail (
        self, pending->command, PH_ENGINE_ERROR_OFFLINE,
        _ ("Whoever made this invitation is not online, and only they know whether it can "
           "still be used. Try again when they are"));
    break;
  case PH_RENDEZVOUS_UNREACHABLE:
  case PH_RENDEZVOUS_TIMED_OUT:
    if (pending->meeting == NULL)
      ph_core_fail (self, pending->command, PH_ENGINE_ERROR_OFFLINE,
                    _ ("Whoever made this invitation is not on this network, and it names no "
                       "meeting point. Try again while both of you are on the same network"));
    else if (pending->meeting->status != PH_STATUS_ONLINE)
      ph_core_fail (self, pending->command, PH_ENGINE_ERROR_OFFLINE,
                    /* Translators: the first %s is an address, the second why it failed. */
                    _ ("The meeting point %s was tried: %s. Check your network and try again"),
                    pending->meeting->address.url, ph_meeting_reason (pending->meeting->code));
    else
      ph_core_fail (self, pending->command, PH_ENGINE_ERROR_TIMED_OUT,
                    _ ("Whoever made this invitation does not answer. Try again when they are "
                       "online"));
    break;
  default:
    ph_core_fail (self, pending->command, PH_ENGINE_ERROR_FAILED,
                  /* Translators: %s is a technical code. */
                  _ ("The meeting point refuses the invitation (%s)"),
                  ph_rendezvous_code_string (code));
    break;
  }
  if (pending->type == PH_PENDING_INVITE)
    forget_invitation (self, pending);
  g_ptr_array_remove (self->pendings, pending);
}

static void
tell_invitation (PhCore *self, PhPending *pending)
{
  char link[PH_INVITATION_LINK_MAX];
  const PhEvent event = {
      .type = PH_EVENT_INVITATION,
      .command = pending->command,
      .text = ph_invitation_format (&pending->invitation, link),
  };

  pending->told = true;
  if (pending->command != 0)
    self->emit (&event, self->user_data);
  explicit_bzero (link, sizeof link);
}

static void
look_nearby (PhCore *self, PhPending *pending)
{
  const PhTime now = ph_core_now (self);

  if (self->nearby == NULL)
    return;
  if (pending->type == PH_PENDING_INVITE)
    pending->nearby = ph_nearby_invite (self->nearby, now, &pending->invitation,
                                        ph_time_since (pending->expires_at, now));
  else
    pending->nearby = ph_nearby_accept (self->nearby, now, &pending->invitation);
}

static void
stop_nearby (PhCore *self, PhPending *pending)
{
  if (pending->nearby != 0)
    ph_nearby_withdraw (self->nearby, ph_core_now (self), pending->nearby);
  pending->nearby = 0;
}

/* A link that only this network knows is one all the same. */
static void
tell_if_nearby_only (PhCore *self, PhPending *pending)
{
  if (pending->type == PH_PENDING_INVITE && !pending->told && pending->nearby != 0
      && (pending->meeting == NULL || pending->meeting->status == PH_STATUS_OFFLINE))
    tell_invitation (self, pending);
}

static void
open_invitation (PhCore *self, PhPending *pending, int64_t life_s)
{
  const PhTime now = ph_core_now (self);

  pending->expires_at = ph_time_add (now, (PhTime)life_s * PH_SEC);
  if (pending->meeting != NULL) {
    pending->handle = ph_rendezvous_client_invite (client_of (pending), now, &pending->invitation,
                                                   (PhTime)life_s * PH_SEC);
    ph_rendezvous_driver_settle (pending->meeting->driver);
  }
  look_nearby (self, pending);
  tell_if_nearby_only (self, pending);
}

/* The newest that nobody listens for and that is for nobody in particular, or NULL. */
static PhPending *
find_earlier (const PhCore *self, const PhMeeting *meeting)
{
  for (guint i = self->pendings->len; i-- > 0;) {
    PhPending *pending = self->pendings->pdata[i];

    if (pending->type == PH_PENDING_INVITE && pending->command == 0 && pending->meeting == meeting
        && pending->contact == NULL && (pending->name == NULL || *pending->name == '\0'))
      return pending;
  }
  return NULL;
}

void
ph_core_invite (PhCore *self, const PhCommand *command)
{
  PhMeeting *meeting = ph_core_own_meeting (self);
  g_autofree char *own_name = ph_core_setting (self, "name");
  g_autoptr (GError) error = NULL;
  char address[PH_RENDEZVOUS_ADDRESS_STRING_MAX] = "";
  char lookup[2 * PH_INVITATION_LOOKUP_LEN + 1];
  PhPending *pending;

  if (meeting == NULL && self->nearby == NULL) {
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_NO_RENDEZVOUS,
                  _ ("No meeting point is set. Ask a friend for theirs, or start one with "
                     "'porthole-rendezvous', and set it with 'porthole-cli config set rendezvous "
                     "ADDRESS'"));
    return;
  }
  pending = command->flag ? find_earlier (self, meeting) : NULL;
  if (pending != NULL) {
    pending->command = command->number;
    if (pending->told)
      tell_invitation (self, pending);
    return;
  }

  pending = g_new0 (PhPending, 1);
  pending->type = PH_PENDING_INVITE;
  pending->command = command->number;
  pending->meeting = meeting;
  pending->name = g_strdup (command->text);
  ph_invitation_make (&pending->invitation, &self->profile->identity.id,
                      meeting != NULL ? &meeting->address : NULL, own_name, &self->random);
  g_ptr_array_add (self->pendings, pending);

  format_lookup (&pending->invitation, lookup);
  if (meeting != NULL)
    ph_rendezvous_address_format (&meeting->address, address);

  PhStoreInvitation row = {
      .lookup = lookup,
      .rendezvous = address,
      .name = pending->name != NULL ? pending->name : (char *)"",
      .created_at = ph_core_unix_now (),
      .expires_at = ph_core_unix_now () + INVITATION_LIFE_S,
  };

  memcpy (row.secret, pending->invitation.secret, sizeof row.secret);
  if (!ph_store_add_invitation (self->profile->store, &row, &error)) {
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_FAILED, "%s", error->message);
    g_ptr_array_remove (self->pendings, pending);
    return;
  }
  open_invitation (self, pending, INVITATION_LIFE_S);
}

static void
withdraw_there (PhCore *self, const PhPending *pending)
{
  if (pending->meeting == NULL)
    return;
  ph_rendezvous_client_withdraw (client_of (pending), ph_core_now (self), pending->handle);
  ph_rendezvous_driver_settle (pending->meeting->driver);
}

/* NULL: it is over, or never was. */
static PhPending *
find_invitation (const PhCore *self, const PhCommand *command)
{
  PhInvitation invitation = {0};
  PhPending *found = NULL;

  if (command->subject != NULL
      && ph_invitation_parse (command->subject, &invitation) != PH_INVITATION_OK)
    return NULL;
  for (guint i = 0; found == NULL && i < self->pendings->len; i++) {
    PhPending *pending = self->pendings->pdata[i];
    const bool is_meant = command->subject != NULL
                              ? sodium_memcmp (pending->invitation.secret, invitation.secret,
                                               sizeof invitation.secret)
                                    == 0
                              : pending->command != 0 && pending->command == command->amount;

    if (pending->type == PH_PENDING_INVITE && is_meant)
      found = pending;
  }
  ph_invitation_wipe (&invitation);
  return found;
}

void
ph_core_withdraw (PhCore *self, const PhCommand *command)
{
  PhPending *pending = find_invitation (self, command);

  if (pending != NULL) {
    forget_invitation (self, pending);
    stop_nearby (self, pending);
    withdraw_there (self, pending);
    ph_core_fail (self, pending->command, PH_ENGINE_ERROR_CANCELLED,
                  _ ("The invitation was withdrawn"));
    g_ptr_array_remove (self->pendings, pending);
  }
  ph_core_done (self, command->number, NULL, NULL);
}

static void
describe_invitation (PhCore *self, const PhPending *pending, JsonBuilder *json)
{
  const int64_t left_s =
      (int64_t)(ph_time_since (pending->expires_at, ph_core_now (self)) / PH_SEC);
  char link[PH_INVITATION_LINK_MAX];

  json_builder_begin_object (json);
  json_builder_set_member_name (json, "link");
  json_builder_add_string_value (json, ph_invitation_format (&pending->invitation, link));
  json_builder_set_member_name (json, "name");
  json_builder_add_string_value (json, pending->name != NULL ? pending->name : "");
  json_builder_set_member_name (json, "made_at");
  json_builder_add_int_value (json, ph_core_unix_now () + left_s - INVITATION_LIFE_S);
  json_builder_end_object (json);
  explicit_bzero (link, sizeof link);
}

void
ph_core_list_invitations (PhCore *self, const PhCommand *command)
{
  g_autoptr (JsonBuilder) json = json_builder_new ();
  g_autoptr (JsonNode) root = NULL;
  g_autofree char *text = NULL;

  json_builder_begin_array (json);
  for (guint i = 0; i < self->pendings->len; i++) {
    const PhPending *pending = self->pendings->pdata[i];

    if (pending->type == PH_PENDING_INVITE && pending->contact == NULL)
      describe_invitation (self, pending, json);
  }
  json_builder_end_array (json);
  root = json_builder_get_root (json);
  text = json_to_string (root, FALSE);
  ph_core_done (self, command->number, NULL, text);
}

/* The invited sets nothing: the first invitation brings the meeting point too. */
static void
adopt_meeting_point (PhCore *self, const PhRendezvousAddress *address)
{
  g_autofree char *setting = ph_core_setting (self, "rendezvous");
  char text[PH_RENDEZVOUS_ADDRESS_STRING_MAX];

  if (*setting == '\0')
    ph_store_set_setting (self->profile->store, "rendezvous",
                          ph_rendezvous_address_format (address, text), NULL);
}

void
ph_core_add (PhCore *self, const PhCommand *command)
{
  PhInvitation invitation;
  const PhInvitationError parsed =
      ph_invitation_parse (command->subject != NULL ? command->subject : "", &invitation);
  PhMeeting *meeting = NULL;
  PhPending *pending;

  if (parsed != PH_INVITATION_OK) {
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_BAD_INVITATION,
                  parsed == PH_INVITATION_NOT_A_LINK
                      ? _ ("This is not an invitation: those begin with “porthole:”")
                  : parsed == PH_INVITATION_UNKNOWN_VERSION
                      ? _ ("This invitation was made by a newer Porthole: update this one")
                      : _ ("This invitation is damaged or incomplete: copy the whole of it again"));
    return;
  }
  if (ph_device_id_equal (&invitation.inviter, &self->profile->identity.id)) {
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_OWN_INVITATION,
                  _ ("This is your own invitation: send it to the person you want to add"));
    return;
  }

  if (ph_invitation_has_rendezvous (&invitation)) {
    meeting = ph_core_find_meeting (self, &invitation.rendezvous);
    if (meeting == NULL)
      meeting = ph_core_add_meeting (self, &invitation.rendezvous);
    if (meeting == NULL) {
      ph_core_fail (self, command->number, PH_ENGINE_ERROR_FAILED,
                    _ ("There are too many meeting points: remove contacts that you do not need"));
      return;
    }
    adopt_meeting_point (self, &invitation.rendezvous);
  } else if (self->nearby == NULL) {
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_NO_RENDEZVOUS,
                  _ ("This invitation is for people on the same network. Switch “Find contacts on "
                     "the same network” on in the preferences and try again"));
    return;
  }

  pending = g_new0 (PhPending, 1);
  pending->type = PH_PENDING_ADD;
  pending->command = command->number;
  pending->meeting = meeting;
  pending->invitation = invitation;
  pending->name = g_strdup (command->text);
  g_ptr_array_add (self->pendings, pending);
  look_nearby (self, pending);
  ph_invitation_wipe (&invitation);
  if (meeting != NULL) {
    pending->handle =
        ph_rendezvous_client_accept (client_of (pending), ph_core_now (self), &pending->invitation);
    ph_rendezvous_driver_settle (meeting->driver);
  } else if (pending->nearby != 0) {
    ph_nearby_accept_hurry (self->nearby, ph_core_now (self), pending->nearby);
  } else {
    fail_pending (self, pending, PH_RENDEZVOUS_TOO_MANY_INVITATIONS);
  }
}

/* Invitations of an earlier run that are still good. */
void
ph_core_invitations_reopen (PhCore *self)
{
  const int64_t now = ph_core_unix_now ();
  g_autoptr (GPtrArray) rows = ph_store_list_invitations (self->profile->store, now, NULL);
  g_autofree char *own_name = ph_core_setting (self, "name");

  for (guint i = 0; rows != NULL && i < rows->len; i++) {
    const PhStoreInvitation *row = rows->pdata[i];
    PhRendezvousAddress address;
    PhMeeting *meeting = NULL;
    PhPending *pending;

    if (ph_rendezvous_address_parse (row->rendezvous, &address) == PH_RENDEZVOUS_ADDRESS_OK)
      meeting = ph_core_find_meeting (self, &address);
    /* One for this network waits until that may be looked at. */
    if (meeting == NULL && *row->rendezvous != '\0')
      continue;
    pending = g_new0 (PhPending, 1);
    pending->type = PH_PENDING_INVITE;
    pending->meeting = meeting;
    pending->name = g_strdup (row->name);
    ph_invitation_make (&pending->invitation, &self->profile->identity.id,
                        meeting != NULL ? &address : NULL, own_name, &self->random);
    memcpy (pending->invitation.secret, row->secret, sizeof pending->invitation.secret);
    g_ptr_array_add (self->pendings, pending);
    open_invitation (self, pending, row->expires_at - now);
  }
}

/* A meeting point that cannot help says nothing of this network. */
static void
handle_accept_failed (PhCore *self, PhPending *pending, PhRendezvousCode code)
{
  const bool knows = code == PH_RENDEZVOUS_INVITATION_USED || code == PH_RENDEZVOUS_INVITATION_ENDED
                     || code == PH_RENDEZVOUS_WRONG_SECRET;

  if (pending->nearby != 0 && !knows && !is_contact_already (self, pending, code)) {
    pending->code = code;
    ph_nearby_accept_hurry (self->nearby, ph_core_now (self), pending->nearby);
    return;
  }
  stop_nearby (self, pending);
  fail_pending (self, pending, code);
}

void
ph_core_handle_invitation (PhMeeting *meeting, const PhRendezvousEvent *event)
{
  PhCore *self = meeting->core;
  const bool ours = event->type == PH_RENDEZVOUS_EVENT_INVITED
                    || event->type == PH_RENDEZVOUS_EVENT_INVITATION_USED
                    || event->type == PH_RENDEZVOUS_EVENT_INVITATION_FAILED;
  PhPending *pending =
      find_pending (self, meeting, ours ? PH_PENDING_INVITE : PH_PENDING_ADD, event->handle);

  if (pending == NULL)
    return;
  switch ((int)event->type) {
  case PH_RENDEZVOUS_EVENT_INVITED:
    if (!pending->told)
      tell_invitation (self, pending);
    break;
  case PH_RENDEZVOUS_EVENT_INVITATION_USED:
    if (pending->nearby != 0)
      ph_nearby_invitation_used (self->nearby, ph_core_now (self), pending->nearby, &event->peer);
    become_contacts (self, pending, &event->peer, event->name);
    break;
  case PH_RENDEZVOUS_EVENT_ACCEPTED:
    stop_nearby (self, pending);
    become_contacts (self, pending, &event->peer, event->name);
    break;
  case PH_RENDEZVOUS_EVENT_ACCEPT_FAILED:
    handle_accept_failed (self, pending, event->code);
    break;
  default:
    if (pending->contact != NULL)
      break; /* used on this network */
    stop_nearby (self, pending);
    fail_pending (self, pending, event->code);
    break;
  }
}

/* --- On this network ---------------------------------------------------------------------------- */

static PhPending *
find_nearby (const PhCore *self, uint64_t handle)
{
  for (guint i = 0; i < self->pendings->len; i++) {
    PhPending *pending = self->pendings->pdata[i];

    if (pending->nearby == handle)
      return pending;
  }
  return NULL;
}

static void
used_nearby (PhCore *self, PhPending *pending, const PhNearbyEvent *event)
{
  const char *contact;

  if (pending->meeting != NULL)
    ph_rendezvous_client_invitation_used (client_of (pending), ph_core_now (self), pending->handle,
                                          &event->peer);
  contact = add_contact (self, pending, &event->peer, event->name);
  if (contact != NULL)
    pending->contact = g_strdup (contact);
}

/* The program may end with the command: not before the other one knows. */
static void
finish_used (PhCore *self, PhPending *pending)
{
  if (pending->contact == NULL)
    return;
  ph_core_done (self, pending->command, NULL, pending->contact);
  g_ptr_array_remove (self->pendings, pending);
}

static void
accept_failed_nearby (PhCore *self, PhPending *pending, PhRendezvousCode code)
{
  pending->nearby = 0;
  if (code != PH_RENDEZVOUS_TIMED_OUT || pending->meeting == NULL)
    fail_pending (self, pending, code);
  else if (pending->code != PH_RENDEZVOUS_OK)
    fail_pending (self, pending, pending->code);
}

void
ph_core_invitations_handle_nearby (PhCore *self, const PhNearbyEvent *event)
{
  PhPending *pending = find_nearby (self, event->handle);

  if (pending == NULL)
    return;
  switch ((int)event->type) {
  case PH_NEARBY_EVENT_INVITATION_USED:
    used_nearby (self, pending, event);
    break;
  case PH_NEARBY_EVENT_INVITATION_ANSWERED:
    finish_used (self, pending);
    break;
  case PH_NEARBY_EVENT_ACCEPTED:
    become_contacts (self, pending, &event->peer, event->name);
    break;
  case PH_NEARBY_EVENT_ACCEPT_FAILED:
    accept_failed_nearby (self, pending, event->code);
    break;
  default:
    withdraw_there (self, pending);
    fail_pending (self, pending, event->code);
    break;
  }
}

void
ph_core_invitations_offline (PhCore *self, const PhMeeting *meeting)
{
  for (guint i = 0; i < self->pendings->len; i++) {
    PhPending *pending = self->pendings->pdata[i];

    if (pending->meeting == meeting)
      tell_if_nearby_only (self, pending);
  }
}

void
ph_core_invitations_nearby_start (PhCore *self)
{
  for (guint i = 0; i < self->pendings->len; i++) {
    PhPending *pending = self->pendings->pdata[i];

    look_nearby (self, pending);
    tell_if_nearby_only (self, pending);
  }
}

void
ph_core_invitations_nearby_stop (PhCore *self)
{
  for (guint i = self->pendings->len; i-- > 0;) {
    PhPending *pending = self->pendings->pdata[i];

    pending->nearby = 0;
    if (pending->contact != NULL)
      finish_used (self, pending);
    else if (pending->type == PH_PENDING_ADD && pending->meeting == NULL)
      fail_pending (self, pending, PH_RENDEZVOUS_TIMED_OUT);
    else if (pending->code != PH_RENDEZVOUS_OK)
      fail_pending (self, pending, pending->code);
  }
}
