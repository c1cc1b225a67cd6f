/* SPDX-License-Identifier: GPL-3.0-or-later */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/engine/ph-core-private.h"

#include <glib/gi18n-lib.h>

void
ph_meeting_free (gpointer data)
{
  PhMeeting *self = data;

  ph_rendezvous_driver_free (self->driver);
  g_free (self);
}

/* --- Words -------------------------------------------------------------------------------------- */

const char *
ph_meeting_reason (PhRendezvousCode code)
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
  case PH_RENDEZVOUS_FOREIGN_ORIGIN:
    return _ ("it does not know itself by that address: start it with --origin");
  case PH_RENDEZVOUS_UNREACHABLE:
  default:
    return _ ("it cannot be reached");
  }
}

PhMeeting *
ph_core_find_meeting (const PhCore *self, const PhRendezvousAddress *address)
{
  for (guint i = 0; i < self->meetings->len; i++) {
    PhMeeting *meeting = self->meetings->pdata[i];

    if (ph_rendezvous_address_equal (&meeting->address, address))
      return meeting;
  }
  return NULL;
}

/* The one that invitations are made at: of the settings, or the first that there is. */
PhMeeting *
ph_core_own_meeting (PhCore *self)
{
  g_autofree char *setting = ph_core_setting (self, "rendezvous");
  PhRendezvousAddress address;

  if (ph_rendezvous_address_parse (setting, &address) == PH_RENDEZVOUS_ADDRESS_OK) {
    PhMeeting *meeting = ph_core_find_meeting (self, &address);

    if (meeting != NULL)
      return meeting;
  }
  return self->meetings->len > 0 ? self->meetings->pdata[0] : NULL;
}

void
ph_core_tell_status (PhCore *self)
{
  const PhMeeting *meeting = ph_core_own_meeting (self);
  g_autofree char *setting = ph_core_setting (self, "rendezvous");
  PhEvent event = {.type = PH_EVENT_STATUS};

  if (meeting != NULL) {
    event.status.status = meeting->status;
    event.status.rendezvous = meeting->address.url;
    if (meeting->status == PH_STATUS_OFFLINE) {
      const PhTime wait = ph_time_since (meeting->retry_at, ph_core_now (self));

      event.status.reason = ph_meeting_reason (meeting->code);
      event.status.retry_ms = meeting->retry_at == PH_NEVER ? 0 : (uint32_t)(wait / PH_MSEC);
    }
  } else {
    event.status.status = *setting != '\0' ? PH_STATUS_CONNECTING : PH_STATUS_NOT_CONFIGURED;
    event.status.rendezvous = setting;
  }
  ph_core_emit (self, event);
}

const PhMeeting *
ph_core_best_meeting (const PhCore *self)
{
  static const unsigned ranks[] = {
      [PH_STATUS_ONLINE] = 4,
      [PH_STATUS_OFFLINE] = 3,
      [PH_STATUS_CONNECTING] = 2,
      [PH_STATUS_REPLACED] = 1,
  };
  const PhMeeting *best = NULL;

  for (guint i = 0; i < self->meetings->len; i++) {
    const PhMeeting *meeting = self->meetings->pdata[i];

    if (best == NULL || ranks[meeting->status] > ranks[best->status])
      best = meeting;
  }
  return best;
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
  return self->nearby != NULL && ph_nearby_is_here (self->nearby, id);
}

void
ph_core_update_presence (PhCore *self)
{
  const PhTime now = ph_core_now (self);
  g_autoptr (GPtrArray) left = g_ptr_array_new ();

  for (guint i = 0; i < self->peers->len; i++) {
    PhPeer *peer = self->peers->pdata[i];

    if (peer->online && !ph_core_is_online (self, &peer->id))
      g_ptr_array_add (left, peer);
  }
  ph_core_note_seen (self, left);
  for (guint i = 0; i < self->peers->len; i++) {
    PhPeer *peer = self->peers->pdata[i];
    const bool online = ph_core_is_online (self, &peer->id);

    if (online == peer->online)
      continue;
    peer->online = online;
    ph_core_tell_peer (self, peer);
    ph_peer_update (peer, now);
    /* Wanted by now. An attempt with an earlier run of theirs leads nowhere. */
    if (online && peer->connector != NULL)
      ph_connector_retry_now (peer->connector, now);
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
  if (self->nearby != NULL)
    ph_nearby_watch (self->nearby, ph_core_now (self), id);
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
  if (self->nearby != NULL)
    ph_nearby_unwatch (self->nearby, ph_core_now (self), id);
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
  return self->nearby != NULL
         && ph_nearby_send (self->nearby, ph_core_now (self), id, ph_slice (data, len));
}

/* --- The servers -------------------------------------------------------------------------------- */

static void
handle_event (void *user, PhTime now, const PhRendezvousEvent *event)
{
  PhMeeting *meeting = user;
  PhCore *self = meeting->core;
  PhPeer *peer;

  switch (event->type) {
  case PH_RENDEZVOUS_EVENT_ONLINE:
  case PH_RENDEZVOUS_EVENT_ICE:
    self->probe_wanted |= meeting->status != PH_STATUS_ONLINE;
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
    ph_core_invitations_offline (self, meeting);
    break;
  case PH_RENDEZVOUS_EVENT_REPLACED:
    meeting->status = PH_STATUS_REPLACED;
    ph_core_tell_status (self);
    break;
  case PH_RENDEZVOUS_EVENT_PRESENCE:
    peer = ph_core_find_peer (self, &event->peer);
    /* Logged in anew, perhaps after a crash: what an earlier run was told of an attempt is lost. Not if it is we who
     * have just logged in, and have found it on this network before. */
    if (event->anew && peer != NULL && peer->online && peer->connector != NULL)
      ph_connector_retry_now (peer->connector, ph_core_now (self));
    /* What went over this network may not have got there: a firewall that takes nothing in lets announcements out. */
    else if (event->online && peer != NULL && peer->connector != NULL)
      ph_connector_say_again (peer->connector, ph_core_now (self));
    /* Who was killed, or has crashed, says no goodbye to this network. */
    if (!event->online && self->nearby != NULL)
      ph_nearby_doubt (self->nearby, now, &event->peer);
    break;
  case PH_RENDEZVOUS_EVENT_SIGNAL:
    peer = ph_core_find_peer (self, &event->peer);
    if (peer != NULL && peer->connector != NULL && !peer->contact->blocked)
      ph_connector_handle_signal (peer->connector, ph_core_now (self), event->body);
    break;
  case PH_RENDEZVOUS_EVENT_KNOCKED:
    ph_core_nat_knocked (meeting, ph_core_now (self), event);
    break;
  case PH_RENDEZVOUS_EVENT_INVITED:
  case PH_RENDEZVOUS_EVENT_INVITATION_USED:
  case PH_RENDEZVOUS_EVENT_INVITATION_FAILED:
  case PH_RENDEZVOUS_EVENT_ACCEPTED:
  case PH_RENDEZVOUS_EVENT_ACCEPT_FAILED:
    ph_core_handle_invitation (meeting, event);
    break;
  case PH_RENDEZVOUS_EVENT_SIGNAL_DELIVERED:
  case PH_RENDEZVOUS_EVENT_SIGNAL_FAILED: /* the connector's attempt runs out and is made again */
    break;
  case PH_RENDEZVOUS_EVENT_ERROR:
    g_debug ("rendezvous: %s %s", ph_rendezvous_code_string (event->code), event->text);
    break;
  }
  ph_core_update_presence (self);
  if (event->type == PH_RENDEZVOUS_EVENT_ONLINE)
    self->presence_by = ph_time_add (now, PH_CORE_PRESENCE_INTERVAL);
  if (event->type == PH_RENDEZVOUS_EVENT_OFFLINE)
    ph_core_peers_update (self, ph_core_now (self));
  ph_core_settle (self);
}

PhMeeting *
ph_core_add_meeting (PhCore *self, const PhRendezvousAddress *address)
{
  g_autofree char *name = ph_core_setting (self, "name");
  const PhNat64Prefix nat64 = ph_core_nat64_prefix (self);
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
  ph_rendezvous_driver_set_nat64 (meeting->driver, &nat64);
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
      && ph_core_find_meeting (self, &address) == NULL)
    ph_core_add_meeting (self, &address);
}

void
ph_core_meetings_update (PhCore *self)
{
  g_autofree char *setting = ph_core_setting (self, "rendezvous");
  g_autofree char *name = ph_core_setting (self, "name");

  if (!self->connected)
    return;
  for (guint i = 0; i < self->meetings->len; i++) {
    const PhMeeting *meeting = self->meetings->pdata[i];

    ph_rendezvous_client_set_name (ph_rendezvous_driver_client (meeting->driver), name);
  }
  need_meeting (self, setting);
  for (guint i = 0; i < self->peers->len; i++) {
    const PhPeer *peer = self->peers->pdata[i];

    for (size_t r = 0; peer->contact->rendezvous != NULL && peer->contact->rendezvous[r] != NULL;
         r++)
      need_meeting (self, peer->contact->rendezvous[r]);
  }
  ph_core_tell_status (self);
}

void
ph_core_meetings_start (PhCore *self)
{
  ph_core_meetings_update (self);
  ph_core_invitations_reopen (self);
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
    const PhMeeting *meeting = self->meetings->pdata[i];

    ph_rendezvous_driver_network_changed (meeting->driver);
  }
}
