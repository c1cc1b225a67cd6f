/* SPDX-License-Identifier: GPL-3.0-or-later */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/engine/ph-core-private.h"
#include "app/engine/ph-safe-name.h"

#include <glib/gi18n-lib.h>

void
ph_peer_free (gpointer data)
{
  PhPeer *self = data;

  ph_session_free (self->session);
  if (self->connector != NULL)
    ph_endpoint_remove_peer (self->core->endpoint, self->id.key);
  ph_store_contact_free (self->contact);
  ph_peer_log_clear (self);
  g_free (self);
}

/* --- The list ----------------------------------------------------------------------------------- */

PhPeer *
ph_core_find_peer (const PhCore *self, const PhDeviceId *id)
{
  for (guint i = 0; i < self->peers->len; i++) {
    PhPeer *peer = self->peers->pdata[i];

    if (ph_device_id_equal (&peer->id, id))
      return peer;
  }
  return NULL;
}

PhPeer *
ph_core_need_peer (PhCore *self, const PhCommand *command)
{
  PhDeviceId id;
  PhPeer *peer = NULL;

  /* Commands come over the session bus as well: what should be there need not be. */
  if (command->subject != NULL && ph_device_id_parse (command->subject, &id) == PH_DEVICE_ID_OK)
    peer = ph_core_find_peer (self, &id);
  if (peer == NULL)
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_UNKNOWN_CONTACT,
                  _ ("There is no contact “%s”"), command->subject != NULL ? command->subject : "");
  return peer;
}

static PhPeer *
peer_new (PhCore *self, PhStoreContact *contact)
{
  PhPeer *peer;
  PhDeviceId id;

  /* A key that cannot be one gets nobody connected: whoever edited the database sees it missing. */
  if (!ph_device_id_from_bytes (ph_slice (contact->key, sizeof contact->key), &id)) {
    ph_store_contact_free (contact);
    return NULL;
  }
  peer = g_new0 (PhPeer, 1);
  peer->core = self;
  peer->id = id;
  ph_device_id_format (&id, peer->text);
  peer->contact = contact;
  peer->idle_since = PH_NEVER;
  ph_peer_log_start (peer);
  g_ptr_array_add (self->peers, peer);
  return peer;
}

void
ph_core_peers_load (PhCore *self)
{
  g_autoptr (GPtrArray) rows = ph_store_list_contacts (self->profile->store, NULL);

  while (rows != NULL && rows->len > 0)
    peer_new (self, g_ptr_array_steal_index (rows, 0));
}

PhContactView
ph_peer_view (const PhPeer *self)
{
  const PhStoreContact *contact = self->contact;

  return (PhContactView){
      .id = self->text,
      .name = contact->name,
      .online = self->online,
      .blocked = contact->blocked,
      .auto_accept = contact->auto_accept,
      .auto_accept_max = contact->auto_accept_max,
      .verified = contact->verified,
      .alert = contact->alerted_at != 0,
      .added_at = contact->added_at,
      .last_seen = self->online ? ph_core_unix_now () : contact->last_seen,
  };
}

void
ph_core_tell_peer (PhCore *self, const PhPeer *peer)
{
  ph_core_emit (self, (PhEvent){.type = PH_EVENT_CONTACT, .contact = ph_peer_view (peer)});
}

static bool
has_name (const PhCore *self, const char *name, const PhPeer *but)
{
  for (guint i = 0; i < self->peers->len; i++) {
    const PhPeer *peer = self->peers->pdata[i];

    if (peer != but && g_strcmp0 (peer->contact->name, name) == 0)
      return true;
  }
  return false;
}

/* Names are handles in the command line: no two contacts have the same. */
static char *
free_name (const PhCore *self, const char *wish, const PhPeer *but)
{
  g_autofree char *base = g_strstrip (g_strdup (wish != NULL ? wish : ""));
  g_autofree char *name = NULL;

  if (*base == '\0') {
    g_free (base);
    /* Translators: what a contact without a name is called. */
    base = g_strdup (_ ("Unnamed"));
  }
  name = g_strdup (base);
  for (unsigned n = 2; has_name (self, name, but); n++) {
    g_free (name);
    name = g_strdup_printf ("%s %u", base, n);
  }
  return g_steal_pointer (&name);
}

PhPeer *
ph_core_add_peer (PhCore *self, const PhDeviceId *id, const char *name,
                  const PhRendezvousAddress *address, GError **error)
{
  PhPeer *peer = ph_core_find_peer (self, id);
  char text[PH_RENDEZVOUS_ADDRESS_STRING_MAX];
  PhStoreContact *contact;

  if (peer == NULL) {
    const char *const meeting[] = {
        address != NULL ? ph_rendezvous_address_format (address, text) : NULL, NULL};

    contact = g_new0 (PhStoreContact, 1);
    memcpy (contact->key, id->key, sizeof contact->key);
    contact->name = free_name (self, name, NULL);
    contact->rendezvous = g_strdupv ((char **)meeting);
    contact->added_at = ph_core_unix_now ();
    if (!ph_store_put_contact (self->profile->store, contact, error)) {
      ph_store_contact_free (contact);
      return NULL;
    }
    peer = peer_new (self, contact);
    g_assert (peer != NULL); /* its key was checked when it signed */
    if (self->connected)
      ph_peer_connect (peer);
  } else {
    PhStoreContact row = *peer->contact;

    row.blocked = false;
    /* How a window that is about to remove them knows that they were added meanwhile. */
    row.added_at = MAX (ph_core_unix_now (), row.added_at + 1);
    if (!ph_store_put_contact (self->profile->store, &row, error))
      return NULL;
    peer->contact->blocked = false;
    peer->contact->added_at = row.added_at;
  }
  ph_core_watch (self, id);
  ph_core_tell_peer (self, peer);
  return peer;
}

void
ph_core_rename_peer (PhCore *self, const PhCommand *command)
{
  PhPeer *peer = ph_core_need_peer (self, command);

  if (peer == NULL)
    return;
  if (command->text == NULL || *command->text == '\0' || !g_utf8_validate (command->text, -1, NULL)
      || strlen (command->text) > PH_NAME_LEN_MAX) {
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_BAD_VALUE, _ ("That is not a name"));
    return;
  }
  if (has_name (self, command->text, peer)) {
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_BAD_VALUE,
                  _ ("Another contact is called “%s” already"), command->text);
    return;
  }

  PhStoreContact row = *peer->contact;

  row.name = command->text;
  if (!ph_core_change_contact (self, peer, &row, command->number))
    return;
  ph_core_tell_peer (self, peer);
  ph_core_done (self, command->number, NULL, peer->text);
}

/* Ends everything with this peer and its links. The link's last word says so: there is no time for more. */
static void
cut_off (PhCore *self, PhPeer *peer)
{
  ph_core_unwatch (self, &peer->id);
  ph_core_transfers_forget_peer (self, peer);
  peer->online = false;
  if (peer->connector != NULL)
    ph_connector_close (peer->connector, ph_core_now (self), PH_SESSION_CODE_OVER, "");
}

void
ph_core_remove_peer (PhCore *self, const PhCommand *command)
{
  PhPeer *peer = ph_core_need_peer (self, command);
  g_autoptr (GError) error = NULL;

  if (peer == NULL)
    return;
  if (!ph_store_remove_contact (self->profile->store, peer->id.key, &error)) {
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_FAILED, "%s", error->message);
    return;
  }

  const PhEvent event = {.type = PH_EVENT_CONTACT_REMOVED, .contact = {.id = peer->text}};

  cut_off (self, peer);
  ph_core_network_transmit (self, ph_core_now (self)); /* the goodbye */
  self->emit (&event, self->user_data);
  ph_core_done (self, command->number, NULL, peer->text);
  g_ptr_array_remove (self->peers, peer);
}

void
ph_core_block_peer (PhCore *self, const PhCommand *command)
{
  PhPeer *peer = ph_core_need_peer (self, command);
  const bool block = command->flag;

  if (peer == NULL)
    return;
  if (peer->contact->blocked != block) {
    PhStoreContact row = *peer->contact;

    row.blocked = block;
    if (!ph_core_change_contact (self, peer, &row, command->number))
      return;
    if (block)
      cut_off (self, peer);
    else
      ph_core_watch (self, &peer->id);
    ph_core_tell_peer (self, peer);
  }
  ph_core_done (self, command->number, NULL, peer->text);
}

/* --- Session and links -------------------------------------------------------------------------- */

void
ph_peer_connect (PhPeer *self)
{
  PhCore *core = self->core;
  g_autofree char *name = ph_core_setting (core, "name");
  PhSessionConfig config = {.device_name = name, .trace = &self->trace};

  if (self->session != NULL)
    return;
  memcpy (config.instance, core->instance, sizeof config.instance);
  ph_core_session_hooks (self, &config.hooks);
  self->session = ph_session_new (&config);
  ph_session_set_pacer (self->session, &core->pacer);
  self->connector = ph_endpoint_peer (core->endpoint, self->id.key);
  ph_connector_set_trace (self->connector, &self->trace);
  ph_core_transfers_restore (core, self);
}

/* Whole seconds until `when`, at least one: for a person. */
static unsigned
seconds_until (PhTime now, PhTime when)
{
  return (unsigned)MAX (1, (ph_time_since (when, now) + PH_SEC / 2) / PH_SEC);
}

/* The contact is not there, as far as we know. */
static void
tell_absence (PhPeer *self, PhTime now)
{
  const PhMeeting *meeting = ph_core_best_meeting (self->core);
  PhTime retry_at = PH_NEVER;
  g_autofree char *message = NULL;

  if (meeting != NULL
      && (meeting->status == PH_STATUS_CONNECTING
          || (meeting->status == PH_STATUS_ONLINE && self->core->presence_by != PH_NEVER)))
    return; /* it will say */
  if (meeting == NULL || meeting->status != PH_STATUS_OFFLINE) {
    g_autofree char *who = ph_display_name (self->contact->name);

    message = g_strdup_printf (
        /* Translators: %s is a contact's name. */
        _ ("%s is not online. The files go by themselves when both of you are"), who);
  } else if (meeting->retry_at == PH_NEVER) {
    message =
        /* Translators: the first %s is an address, the second why it failed. */
        g_strdup_printf (_ ("The meeting point %s was tried: %s. Check your network and try again"),
                         meeting->address.url, ph_meeting_reason (meeting->code));
  } else {
    retry_at = meeting->retry_at;
    message = g_strdup_printf (
        /* Translators: the first %s is an address, the second why it failed; %u seconds. */
        _ ("The meeting point %s was tried: %s. Trying again in %u s"), meeting->address.url,
        ph_meeting_reason (meeting->code), seconds_until (now, retry_at));
  }
  ph_core_transfers_trouble (self->core, self, PH_ENGINE_ERROR_OFFLINE, message, retry_at);
}

static const char *
failure_text (PhConnectorFailure failure)
{
  switch (failure) {
  case PH_CONNECTOR_FAILURE_NO_ANSWER:
    return _ ("The other side does not answer");
  case PH_CONNECTOR_FAILURE_LOST:
    return _ ("The connection was lost");
  case PH_CONNECTOR_FAILURE_HANDSHAKE:
    return _ ("A path was found, but no secure connection came about on it");
  case PH_CONNECTOR_FAILURE_IDENTITY:
    return _ ("Whoever answers does not hold this contact's key. Nothing was sent. Compare safety "
              "numbers, or add the contact anew if their device is a new one");
  case PH_CONNECTOR_FAILURE_NO_PAIR:
  default:
    return _ ("No path between both networks was found: the routers on both sides let none "
              "through");
  }
}

void
ph_peer_update (PhPeer *self, PhTime now)
{
  const bool busy = self->session != NULL && ph_session_transfers (self->session) > 0;
  const bool alert = self->contact->alerted_at != 0;

  if (self->connector == NULL)
    return;
  ph_connector_set_wanted (self->connector, now,
                           busy && self->online && !self->contact->blocked && !alert);
  if (ph_connector_is_up (self->connector) || !busy)
    return;
  if (alert)
    ph_core_transfers_trouble (self->core, self, PH_ENGINE_ERROR_IDENTITY,
                               failure_text (PH_CONNECTOR_FAILURE_IDENTITY), PH_NEVER);
  else if (self->online)
    ph_core_transfers_connecting (self->core, self);
  else
    tell_absence (self, now);
}

void
ph_core_peers_update (PhCore *self, PhTime now)
{
  for (guint i = 0; i < self->peers->len; i++)
    ph_peer_update (self->peers->pdata[i], now);
}

static void
tell_failure (PhPeer *self, PhTime now, const PhConnectorEvent *event)
{
  const char *text = failure_text (event->failure);
  g_autofree char *message = NULL;

  if (event->retry_at == PH_NEVER)
    message = g_strdup (text);
  else
    /* Translators: %s is a sentence that says what failed; %u seconds. */
    message = g_strdup_printf (_ ("%s. Trying again in %u s"), text,
                               seconds_until (now, event->retry_at));
  ph_core_transfers_trouble (self->core, self, PH_ENGINE_ERROR_UNREACHABLE, message,
                             event->retry_at);
}

static void
add_link (PhPeer *self, PhTime now, const PhConnectorEvent *event)
{
  ph_session_set_peer_takes_early (self->session, event->peer_takes_early);
  ph_session_add_link (self->session, now, event->link, event->overtaken);
}

static void
handle_connector_event (PhPeer *self, PhTime now, const PhConnectorEvent *event)
{
  PhCore *core = self->core;
  char local[PH_ADDR_STRING_MAX], remote[PH_ADDR_STRING_MAX];

  switch (event->type) {
  case PH_CONNECTOR_EVENT_LINK_WRITABLE:
    add_link (self, now, event);
    break;
  case PH_CONNECTOR_EVENT_LINK_READY:
    ph_trace (&self->trace, now, "engine", "link up over %s, %s to %s",
              ph_path_kind_name (event->path.kind), ph_addr_format (&event->path.local.addr, local),
              ph_addr_format (&event->path.remote_to, remote));
    add_link (self, now, event);
    ph_core_transfers_path (core, now, self, &event->path);
    break;
  case PH_CONNECTOR_EVENT_PATH:
    if (event->link == ph_session_current_link (self->session))
      ph_core_transfers_path (core, now, self, &event->path);
    break;
  case PH_CONNECTOR_EVENT_LINK:
    ph_session_handle_link_event (self->session, now, event->link, &event->link_event);
    break;
  case PH_CONNECTOR_EVENT_LINK_CLOSED:
    ph_trace (&self->trace, now, "engine", "link closed: %s", event->link_event.reason);
    if (event->link_event.error == PH_LINK_ERROR_APPLICATION
        && event->link_event.code == PH_SESSION_CODE_OVER) {
      ph_session_cancelled_all (self->session, now);
      /* It says nothing to us on this network any more, which would be noticed late. */
      if (core->nearby != NULL)
        ph_nearby_forget (core->nearby, now, &self->id);
    }
    ph_session_link_closed (self->session, now, event->link);
    break;
  case PH_CONNECTOR_EVENT_FAILED:
    if (event->failure == PH_CONNECTOR_FAILURE_IDENTITY) {
      ph_peer_alert (self, failure_text (event->failure));
      ph_peer_update (self, now);
    } else {
      tell_failure (self, now, event);
    }
    break;
  }
}

static bool
settle_signals (PhCore *self, PhTime now)
{
  uint8_t key[PH_KEY_LEN];
  bool busy = false;

  for (GBytes *body; (body = ph_endpoint_poll_signal (self->endpoint, key)) != NULL;) {
    PhPeer *peer;
    PhDeviceId id;
    gsize len;
    const uint8_t *data = g_bytes_get_data (body, &len);

    memcpy (id.key, key, sizeof id.key);
    peer = ph_core_find_peer (self, &id);
    /* The meeting point first: a link may be dead without anybody knowing yet, and what goes into it is
     * lost just when it is needed. Without a meeting point a living link still carries them. */
    if (peer != NULL && !ph_core_send_signal (self, &id, body))
      ph_session_send_signal (peer->session, now, ph_slice (data, len));
    g_bytes_unref (body);
    busy = true;
  }
  return busy;
}

static bool
settle_session (PhPeer *self, PhTime now)
{
  PhSessionEvent event;
  bool busy = false;

  while (self->session != NULL && ph_session_poll_event (self->session, &event)) {
    busy = true;
    switch (event.type) {
    case PH_SESSION_EVENT_SIGNAL: {
      gsize len;
      const uint8_t *data = g_bytes_get_data (event.signal, &len);

      ph_connector_handle_signal (self->connector, now, ph_slice (data, len));
      break;
    }
    case PH_SESSION_EVENT_LINK_ERROR:
      ph_trace (&self->trace, now, "engine", "link given up: %s", event.reason);
      ph_connector_close_link (self->connector, now, event.link, event.link_code, event.reason);
      break;
    default:
      ph_core_handle_session_event (self->core, now, self, &event);
      break;
    }
    ph_session_event_clear (&event);
  }
  return busy;
}

/* Links that a better one has replaced go when their tails are through. The client's side sees to it: two
 * sides that saw two links come up in different order would each close the other's. */
static void
drop_old_links (PhPeer *self, PhTime now)
{
  PhLink *link;

  if (!ph_connector_is_client (self->connector))
    return;
  for (unsigned i = 0; (link = ph_connector_nth_link (self->connector, i)) != NULL; i++) {
    if (ph_link_state (link) == PH_LINK_READY && ph_session_link_replaced (self->session, link))
      ph_connector_close_link (self->connector, now, link, PH_SESSION_CODE_NONE, "replaced");
  }
}

bool
ph_core_peers_settle (PhCore *self, PhTime now)
{
  uint8_t key[PH_KEY_LEN];
  PhConnectorEvent event;
  bool busy = false;

  while (ph_endpoint_poll_event (self->endpoint, key, &event)) {
    PhDeviceId id;
    PhPeer *peer;

    memcpy (id.key, key, sizeof id.key);
    peer = ph_core_find_peer (self, &id);
    if (peer != NULL && peer->session != NULL)
      handle_connector_event (peer, now, &event);
    if (event.type == PH_CONNECTOR_EVENT_LINK)
      ph_buf_slice_clear (&event.link_event.data);
    busy = true;
  }
  for (guint i = 0; i < self->peers->len; i++) {
    PhPeer *peer = self->peers->pdata[i];

    if (settle_session (peer, now)) {
      drop_old_links (peer, now);
      ph_peer_update (peer, now);
      busy = true;
    }
  }
  return settle_signals (self, now) || busy;
}

/* --- Time --------------------------------------------------------------------------------------- */

static bool
is_idle (const PhPeer *self)
{
  return self->connector != NULL && ph_connector_is_up (self->connector)
         && ph_session_transfers (self->session) == 0;
}

PhTime
ph_core_peers_next_timeout (PhCore *self, PhTime now)
{
  PhTime next = self->presence_by;
  const char *why;

  for (guint i = 0; i < self->peers->len; i++) {
    PhPeer *peer = self->peers->pdata[i];

    if (peer->session == NULL)
      continue;
    if (!is_idle (peer))
      peer->idle_since = PH_NEVER;
    else if (peer->idle_since == PH_NEVER)
      peer->idle_since = now;
    next = ph_time_min (next, ph_session_next_timeout (peer->session, &why));
    next = ph_time_min (next, ph_time_add (peer->idle_since, PH_CORE_LINK_IDLE));
  }
  return next;
}

void
ph_core_peers_handle_timeout (PhCore *self, PhTime now)
{
  if (now >= self->presence_by) {
    self->presence_by = PH_NEVER;
    ph_core_peers_update (self, now);
  }
  for (guint i = 0; i < self->peers->len; i++) {
    PhPeer *peer = self->peers->pdata[i];

    if (peer->session == NULL)
      continue;
    ph_session_handle_timeout (peer->session, now);
    if (is_idle (peer) && now >= ph_time_add (peer->idle_since, PH_CORE_LINK_IDLE))
      ph_connector_close (peer->connector, now, PH_SESSION_CODE_NONE, "idle");
  }
}

void
ph_core_peers_say_goodbye (PhCore *self, PhTime now)
{
  g_autoptr (GPtrArray) online = g_ptr_array_new ();

  for (guint i = 0; i < self->peers->len; i++) {
    PhPeer *peer = self->peers->pdata[i];

    if (peer->connector != NULL)
      ph_connector_close (peer->connector, now, PH_SESSION_CODE_NONE, "leaving");
    if (peer->online)
      g_ptr_array_add (online, peer);
  }
  ph_core_note_seen (self, online);
}
