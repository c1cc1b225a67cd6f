/* SPDX-License-Identifier: GPL-3.0-or-later */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/engine/ph-core-private.h"

#include <glib/gi18n-lib.h>

/* How long an invitation can be used: over a weekend, not for ever. */
#define INVITATION_LIFE_S (INT64_C (3) * 24 * 3600)

void
ph_meeting_free (gpointer data)
{
  PhMeeting *self = data;

  ph_rendezvous_driver_free (self->driver);
  g_free (self);
}

void
ph_pending_free (gpointer data)
{
  PhPending *self = data;

  ph_invitation_wipe (&self->invitation);
  g_free (self->name);
  g_free (self);
}

/* --- Words -------------------------------------------------------------------------------------- */

static const char *
reason_text (PhRendezvousCode code)
{
  switch (code) {
  case PH_RENDEZVOUS_NOT_TRUSTED:
    return _ ("its certificate is not the expected one");
  case PH_RENDEZVOUS_NOT_A_RENDEZVOUS:
    return _ ("something else answers at that address");
  case PH_RENDEZVOUS_LOST:
    return _ ("the connection broke");
  case PH_RENDEZVOUS_TIMED_OUT:
    return _ ("it does not answer");
  case PH_RENDEZVOUS_TOO_MANY_CONNECTIONS:
    return _ ("it has too many connections from here");
  case PH_RENDEZVOUS_RATE_LIMITED:
    return _ ("it asks for patience");
  case PH_RENDEZVOUS_SHUTTING_DOWN:
    return _ ("it is shutting down");
  case PH_RENDEZVOUS_UNREACHABLE:
  default:
    return _ ("it cannot be reached");
  }
}

static PhMeeting *
find_meeting (const PhCore *self, const PhRendezvousAddress *address)
{
  for (guint i = 0; i < self->meetings->len; i++) {
    PhMeeting *meeting = self->meetings->pdata[i];

    if (ph_rendezvous_address_equal (&meeting->address, address))
      return meeting;
  }
  return NULL;
}

/* The one that invitations are made at: of the settings, or the first that there is. */
static PhMeeting *
own_meeting (PhCore *self)
{
  g_autofree char *setting = ph_core_setting (self, "rendezvous");
  PhRendezvousAddress address;

  if (ph_rendezvous_address_parse (setting, &address) == PH_RENDEZVOUS_ADDRESS_OK) {
    PhMeeting *meeting = find_meeting (self, &address);

    if (meeting != NULL)
      return meeting;
  }
  return self->meetings->len > 0 ? self->meetings->pdata[0] : NULL;
}

void
ph_core_tell_status (PhCore *self)
{
  const PhMeeting *meeting = own_meeting (self);
  g_autofree char *setting = ph_core_setting (self, "rendezvous");
  PhEvent event = {.type = PH_EVENT_STATUS};

  if (meeting != NULL) {
    event.status.status = meeting->status;
    event.status.rendezvous = meeting->address.url;
    if (meeting->status == PH_STATUS_OFFLINE) {
      const PhTime wait = ph_time_since (meeting->retry_at, ph_core_now (self));

      event.status.reason = reason_text (meeting->code);
      event.status.retry_ms = meeting->retry_at == PH_NEVER ? 0 : (uint32_t)(wait / PH_MSEC);
    }
  } else {
    event.status.status = *setting != '\0' ? PH_STATUS_CONNECTING : PH_STATUS_NOT_CONFIGURED;
    event.status.rendezvous = setting;
  }
  self->emit (&event, self->user_data);
}

/* --- Presence and signals ----------------------------------------------------------------------- */

bool
ph_core_is_online (PhCore *self, const PhDeviceId *id)
{
  for (guint i = 0; i < self->meetings->len; i++) {
    const PhMeeting *meeting = self->meetings->pdata[i];

    if (meeting->status == PH_STATUS_ONLINE
        && ph_rendezvous_client_is_online (ph_rendezvous_driver_client (meeting->driver), id))
      return true;
  }
  return false;
}

static void
update_presence (PhCore *self)
{
  const PhTime now = ph_core_now (self);

  for (guint i = 0; i < self->peers->len; i++) {
    PhPeer *peer = self->peers->pdata[i];
    const bool online = ph_core_is_online (self, &peer->id);

    if (online == peer->online)
      continue;
    peer->online = online;
    ph_core_tell_peer (self, peer);
    if (online && peer->connector != NULL)
      ph_connector_retry_now (peer->connector, now);
    ph_peer_update (peer, now);
  }
}

void
ph_core_watch (PhCore *self, const PhDeviceId *id)
{
  for (guint i = 0; i < self->meetings->len; i++) {
    PhMeeting *meeting = self->meetings->pdata[i];

    ph_rendezvous_client_watch (ph_rendezvous_driver_client (meeting->driver), ph_core_now (self),
                                id);
    ph_rendezvous_driver_settle (meeting->driver);
  }
}

void
ph_core_unwatch (PhCore *self, const PhDeviceId *id)
{
  for (guint i = 0; i < self->meetings->len; i++) {
    PhMeeting *meeting = self->meetings->pdata[i];

    ph_rendezvous_client_unwatch (ph_rendezvous_driver_client (meeting->driver), ph_core_now (self),
                                  id);
    ph_rendezvous_driver_settle (meeting->driver);
  }
}

bool
ph_core_send_signal (PhCore *self, const PhDeviceId *id, GBytes *body)
{
  gsize len;
  const uint8_t *data = g_bytes_get_data (body, &len);

  for (guint i = 0; i < self->meetings->len; i++) {
    PhMeeting *meeting = self->meetings->pdata[i];
    PhRendezvousClient *client = ph_rendezvous_driver_client (meeting->driver);

    if (meeting->status != PH_STATUS_ONLINE || !ph_rendezvous_client_is_online (client, id))
      continue;
    ph_rendezvous_client_send (client, ph_core_now (self), id, ph_slice (data, len));
    ph_rendezvous_driver_settle (meeting->driver);
    return true;
  }
  return false;
}

/* --- Invitations -------------------------------------------------------------------------------- */

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

static void
format_lookup (const PhInvitation *invitation, char out[2 * PH_INVITATION_LOOKUP_LEN + 1])
{
  const PhLookupId lookup = ph_invitation_lookup (invitation->secret);

  for (size_t i = 0; i < PH_INVITATION_LOOKUP_LEN; i++)
    g_snprintf (out + 2 * i, 3, "%02x", lookup.bytes[i]);
}

static void
forget_invitation (PhCore *self, const PhPending *pending)
{
  char lookup[2 * PH_INVITATION_LOOKUP_LEN + 1];
  bool was_there;

  format_lookup (&pending->invitation, lookup);
  ph_store_take_invitation (self->profile->store, lookup, &was_there, NULL);
}

/* Both ends of an invitation come here: the other one is a contact from now on. */
static void
become_contacts (PhCore *self, PhPending *pending, const PhDeviceId *id, const char *given_name)
{
  const char *name = pending->name != NULL && *pending->name != '\0' ? pending->name : given_name;
  g_autoptr (GError) error = NULL;
  PhPeer *peer = ph_core_add_peer (self, id, name, &pending->meeting->address, &error);

  if (peer == NULL)
    ph_core_fail (self, pending->command, PH_ENGINE_ERROR_FAILED, "%s", error->message);
  else
    ph_core_done (self, pending->command, NULL, peer->text);
  if (pending->type == PH_PENDING_INVITE)
    forget_invitation (self, pending);
  g_ptr_array_remove (self->pendings, pending);
}

static void
fail_pending (PhCore *self, PhPending *pending, PhRendezvousCode code)
{
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
    ph_core_fail (self, pending->command, PH_ENGINE_ERROR_OFFLINE,
                  _ ("Whoever made this invitation is not online. Try again when they are"));
    break;
  case PH_RENDEZVOUS_TIMED_OUT:
    if (pending->meeting->status != PH_STATUS_ONLINE)
      ph_core_fail (self, pending->command, PH_ENGINE_ERROR_OFFLINE,
                    /* Translators: the first %s is an address, the second why it failed. */
                    _ ("The meeting point %s was tried: %s. Check your network and try again"),
                    pending->meeting->address.url, reason_text (pending->meeting->code));
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
tell_invitation (PhCore *self, const PhPending *pending)
{
  char link[PH_INVITATION_LINK_MAX];
  const PhEvent event = {
      .type = PH_EVENT_INVITATION,
      .command = pending->command,
      .text = ph_invitation_format (&pending->invitation, link),
  };

  if (pending->command != 0)
    self->emit (&event, self->user_data);
  explicit_bzero (link, sizeof link);
}

static void
open_invitation (PhCore *self, PhPending *pending, int64_t life_s)
{
  pending->handle = ph_rendezvous_client_invite (
      ph_rendezvous_driver_client (pending->meeting->driver), ph_core_now (self),
      &pending->invitation, (PhTime)life_s * PH_SEC);
  ph_rendezvous_driver_settle (pending->meeting->driver);
}

void
ph_core_invite (PhCore *self, const PhCommand *command)
{
  PhMeeting *meeting = own_meeting (self);
  g_autofree char *own_name = ph_core_setting (self, "name");
  g_autoptr (GError) error = NULL;
  char address[PH_RENDEZVOUS_ADDRESS_STRING_MAX];
  char lookup[2 * PH_INVITATION_LOOKUP_LEN + 1];
  PhPending *pending;

  if (meeting == NULL) {
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_NO_RENDEZVOUS,
                  _ ("No meeting point is set. Ask a friend for theirs, or start one with "
                     "'porthole-rendezvous', and set it with 'porthole-cli config set rendezvous "
                     "ADDRESS'"));
    return;
  }

  pending = g_new0 (PhPending, 1);
  pending->type = PH_PENDING_INVITE;
  pending->command = command->number;
  pending->meeting = meeting;
  pending->name = g_strdup (command->text);
  ph_invitation_make (&pending->invitation, &self->profile->identity.id, &meeting->address,
                      own_name, &self->random);
  g_ptr_array_add (self->pendings, pending);

  format_lookup (&pending->invitation, lookup);

  PhStoreInvitation row = {
      .lookup = lookup,
      .rendezvous = (char *)ph_rendezvous_address_format (&meeting->address, address),
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

static PhMeeting *add_meeting (PhCore *self, const PhRendezvousAddress *address);

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
  const PhInvitationError parsed = ph_invitation_parse (command->subject, &invitation);
  PhMeeting *meeting;
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

  meeting = find_meeting (self, &invitation.rendezvous);
  if (meeting == NULL)
    meeting = add_meeting (self, &invitation.rendezvous);
  if (meeting == NULL) {
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_FAILED,
                  _ ("There are too many meeting points: remove contacts that you do not need"));
    return;
  }
  adopt_meeting_point (self, &invitation.rendezvous);

  pending = g_new0 (PhPending, 1);
  pending->type = PH_PENDING_ADD;
  pending->command = command->number;
  pending->meeting = meeting;
  pending->invitation = invitation;
  pending->name = g_strdup (command->text);
  g_ptr_array_add (self->pendings, pending);
  pending->handle = ph_rendezvous_client_accept (ph_rendezvous_driver_client (meeting->driver),
                                                 ph_core_now (self), &invitation);
  ph_rendezvous_driver_settle (meeting->driver);
  ph_invitation_wipe (&invitation);
}

/* --- The servers -------------------------------------------------------------------------------- */

static void
handle_invitation_event (PhMeeting *meeting, const PhRendezvousEvent *event)
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
    tell_invitation (self, pending);
    break;
  case PH_RENDEZVOUS_EVENT_INVITATION_USED:
  case PH_RENDEZVOUS_EVENT_ACCEPTED:
    become_contacts (self, pending, &event->peer, event->name);
    break;
  default:
    fail_pending (self, pending, event->code);
    break;
  }
}

static void
handle_event (void *user, PhTime now, const PhRendezvousEvent *event)
{
  PhMeeting *meeting = user;
  PhCore *self = meeting->core;
  PhPeer *peer;

  switch (event->type) {
  case PH_RENDEZVOUS_EVENT_ONLINE:
  case PH_RENDEZVOUS_EVENT_ICE:
    meeting->status = PH_STATUS_ONLINE;
    if (event->ice != NULL && !ph_ice_servers_equal (&meeting->ice, event->ice)) {
      meeting->ice = *event->ice;
      ph_core_network_update_servers (self);
    }
    ph_core_tell_status (self);
    break;
  case PH_RENDEZVOUS_EVENT_OFFLINE:
    meeting->status = PH_STATUS_OFFLINE;
    meeting->code = event->code;
    meeting->retry_at = event->retry_at;
    ph_core_tell_status (self);
    break;
  case PH_RENDEZVOUS_EVENT_REPLACED:
    meeting->status = PH_STATUS_REPLACED;
    ph_core_tell_status (self);
    break;
  case PH_RENDEZVOUS_EVENT_PRESENCE:
    break;
  case PH_RENDEZVOUS_EVENT_SIGNAL:
    peer = ph_core_find_peer (self, &event->peer);
    if (peer != NULL && peer->connector != NULL)
      ph_connector_handle_signal (peer->connector, ph_core_now (self), event->body);
    break;
  case PH_RENDEZVOUS_EVENT_INVITED:
  case PH_RENDEZVOUS_EVENT_INVITATION_USED:
  case PH_RENDEZVOUS_EVENT_INVITATION_FAILED:
  case PH_RENDEZVOUS_EVENT_ACCEPTED:
  case PH_RENDEZVOUS_EVENT_ACCEPT_FAILED:
    handle_invitation_event (meeting, event);
    break;
  case PH_RENDEZVOUS_EVENT_SIGNAL_DELIVERED:
  case PH_RENDEZVOUS_EVENT_SIGNAL_FAILED: /* the connector's attempt runs out and is made again */
    break;
  case PH_RENDEZVOUS_EVENT_ERROR:
    g_debug ("rendezvous: %s %s", ph_rendezvous_code_string (event->code), event->text);
    break;
  }
  update_presence (self);
  ph_core_settle (self);
}

static PhMeeting *
add_meeting (PhCore *self, const PhRendezvousAddress *address)
{
  g_autofree char *name = ph_core_setting (self, "name");
  PhMeeting *meeting;

  if (self->meetings->len >= PH_STORE_RENDEZVOUS_MAX)
    return NULL;

  const PhRendezvousClientConfig config = {
      .identity = &self->profile->identity,
      .address = *address,
      .name = name,
      .random = self->random,
      .trace = self->trace,
  };

  meeting = g_new0 (PhMeeting, 1);
  meeting->core = self;
  meeting->address = *address;
  meeting->status = PH_STATUS_CONNECTING;
  meeting->driver = ph_rendezvous_driver_new (&config, handle_event, meeting);
  g_ptr_array_add (self->meetings, meeting);

  PhRendezvousClient *client = ph_rendezvous_driver_client (meeting->driver);

  for (guint i = 0; i < self->peers->len; i++) {
    const PhPeer *peer = self->peers->pdata[i];

    if (!peer->contact->blocked)
      ph_rendezvous_client_watch (client, ph_core_now (self), &peer->id);
  }
  ph_rendezvous_client_start (client, ph_core_now (self));
  ph_rendezvous_driver_settle (meeting->driver);
  return meeting;
}

static void
need_meeting (PhCore *self, const char *text)
{
  PhRendezvousAddress address;

  if (ph_rendezvous_address_parse (text, &address) == PH_RENDEZVOUS_ADDRESS_OK
      && find_meeting (self, &address) == NULL)
    add_meeting (self, &address);
}

void
ph_core_meetings_update (PhCore *self)
{
  g_autofree char *setting = ph_core_setting (self, "rendezvous");

  if (!self->connected)
    return;
  need_meeting (self, setting);
  for (guint i = 0; i < self->peers->len; i++) {
    const PhPeer *peer = self->peers->pdata[i];

    for (size_t r = 0; peer->contact->rendezvous != NULL && peer->contact->rendezvous[r] != NULL;
         r++)
      need_meeting (self, peer->contact->rendezvous[r]);
  }
  ph_core_tell_status (self);
}

/* Invitations of an earlier run that are still good. */
static void
reopen_invitations (PhCore *self)
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
      meeting = find_meeting (self, &address);
    if (meeting == NULL)
      continue;
    pending = g_new0 (PhPending, 1);
    pending->type = PH_PENDING_INVITE;
    pending->meeting = meeting;
    pending->name = g_strdup (row->name);
    ph_invitation_make (&pending->invitation, &self->profile->identity.id, &address, own_name,
                        &self->random);
    memcpy (pending->invitation.secret, row->secret, sizeof pending->invitation.secret);
    g_ptr_array_add (self->pendings, pending);
    open_invitation (self, pending, row->expires_at - now);
  }
}

void
ph_core_meetings_start (PhCore *self)
{
  ph_core_meetings_update (self);
  reopen_invitations (self);
}

void
ph_core_meetings_stop (PhCore *self)
{
  for (guint i = 0; i < self->meetings->len; i++) {
    PhMeeting *meeting = self->meetings->pdata[i];

    ph_rendezvous_client_stop (ph_rendezvous_driver_client (meeting->driver), ph_core_now (self));
  }
}

void
ph_core_meetings_network_changed (PhCore *self)
{
  for (guint i = 0; i < self->meetings->len; i++) {
    PhMeeting *meeting = self->meetings->pdata[i];

    ph_rendezvous_client_network_changed (ph_rendezvous_driver_client (meeting->driver),
                                          ph_core_now (self));
    ph_rendezvous_driver_settle (meeting->driver);
  }
}
