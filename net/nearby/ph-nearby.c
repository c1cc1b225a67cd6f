/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/nearby/ph-nearby-private.h"

static void
contact_free (gpointer data)
{
  PhNearbyContact *contact = data;

  ph_nearby_contact_reset (contact);
  ph_nearby_invitation_free (contact->invitation);
  g_free (contact);
}

static void
news_free (gpointer data)
{
  PhNearbyNews *news = data;

  g_clear_pointer (&news->body, g_bytes_unref);
  g_free (news);
}

PhNearby *
ph_nearby_new (const PhNearbyConfig *config, PhTime now)
{
  PhNearby *self = g_new0 (PhNearby, 1);

  self->config = *config;
  self->config.name = NULL;
  ph_name_clean (config->name, self->name);
  ph_random_bytes (&self->config.random, &self->epoch, sizeof self->epoch);
  self->contacts = g_ptr_array_new_with_free_func (contact_free);
  self->sockets = g_array_new (FALSE, FALSE, sizeof (PhNearbySocket));
  self->announce_at = PH_NEVER;
  self->ration = PH_NEARBY_RATION;
  self->ration_at = now;
  return self;
}

void
ph_nearby_free (PhNearby *self)
{
  if (self == NULL)
    return;
  g_ptr_array_unref (self->contacts);
  g_array_unref (self->sockets);
  g_queue_clear_full (&self->news, news_free);
  g_clear_pointer (&self->told, g_bytes_unref);
  g_free (self);
}

PhAddr
ph_nearby_group (PhFamily family, uint32_t interface)
{
  static const uint8_t ipv6[16] = {0xff, 0x02, [13] = 0x01, [14] = 0x50, [15] = 0x48};
  PhAddr group;

  if (family != PH_FAMILY_IPV6)
    return ph_addr_ipv4 (239, 255, 80, 72, PH_NEARBY_PORT);
  group = ph_addr_from_bytes (ph_slice (ipv6, sizeof ipv6), PH_NEARBY_PORT);
  group.scope = interface;
  return group;
}

void
ph_nearby_push (PhNearby *self, const PhNearbyEvent *event, GBytes *body)
{
  PhNearbyNews *news = g_new0 (PhNearbyNews, 1);

  *news = (PhNearbyNews){*event, body};
  g_queue_push_tail (&self->news, news);
}

void
ph_nearby_tell (PhNearby *self, PhTime now, PhNearbyContact *contact, PhNearbyEventType type,
                GBytes *body)
{
  const PhNearbyEvent event = {.type = type, .peer = contact->id};

  if (contact->invitation == NULL) {
    ph_nearby_push (self, &event, body);
    return;
  }
  if (type == PH_NEARBY_EVENT_HERE) {
    ph_nearby_invitation_here (self, now, contact);
  } else if (type == PH_NEARBY_EVENT_GONE) {
    ph_nearby_invitation_gone (self, contact);
  } else {
    gsize len;
    const uint8_t *data = g_bytes_get_data (body, &len);

    ph_nearby_invitation_signal (self, now, contact, ph_slice (data, len));
    g_bytes_unref (body);
  }
}

void
ph_nearby_lose (PhNearby *self, PhTime now, PhNearbyContact *contact, const char *why)
{
  if (!contact->here)
    return;
  ph_trace (&self->config.trace, now, "nearby", "a contact is gone: %s", why);
  contact->here = false;
  contact->doubted_until = PH_NEVER;
  ph_nearby_contact_reset (contact);
  ph_nearby_tell (self, now, contact, PH_NEARBY_EVENT_GONE, NULL);
}

/* --- Sockets and contacts ----------------------------------------------------------------------- */

static void
announce_soon (PhNearby *self, PhTime now)
{
  if (self->leaving)
    return;
  self->burst_left = PH_NEARBY_BURST;
  self->burst_interval = PH_NEARBY_REPEAT;
  self->announce_at = now;
}

void
ph_nearby_look_around (PhNearby *self, PhTime now)
{
  if (self->burst_left == 0)
    announce_soon (self, now);
}

void
ph_nearby_add_socket (PhNearby *self, PhTime now, uint32_t socket, const PhAddr *addr,
                      uint32_t interface)
{
  const PhNearbySocket entry = {socket, *addr, interface};

  if (self->sockets->len >= PH_NEARBY_SOCKETS_MAX)
    return;
  g_array_append_val (self->sockets, entry);
  announce_soon (self, now);
}

void
ph_nearby_remove_socket (PhNearby *self, PhTime now, uint32_t socket)
{
  for (guint i = self->sockets->len; i-- > 0;) {
    if (g_array_index (self->sockets, PhNearbySocket, i).id == socket)
      g_array_remove_index (self->sockets, i);
  }
  for (guint i = 0; i < self->contacts->len; i++) {
    PhNearbyContact *contact = self->contacts->pdata[i];

    if (contact->socket == socket)
      ph_nearby_lose (self, now, contact, "its network is");
  }
  self->announcing = false; /* its places have moved */
  announce_soon (self, now);
}

static PhNearbyContact *
find_contact (const PhNearby *self, const PhDeviceId *peer)
{
  for (guint i = 0; i < self->contacts->len; i++) {
    PhNearbyContact *contact = self->contacts->pdata[i];

    if (contact->invitation == NULL && ph_device_id_equal (&contact->id, peer))
      return contact;
  }
  return NULL;
}

PhNearbyContact *
ph_nearby_contact_new (PhNearby *self, PhTime now, const PhDeviceId *id)
{
  PhNearbyContact *contact = g_new0 (PhNearbyContact, 1);

  contact->id = *id;
  /* If it is one that there was before it counts on: its other end may not have noticed. Gaps do not hurt. */
  contact->sequence = self->dropped_sequence;
  contact->repeat_at = PH_NEVER;
  contact->doubted_until = PH_NEVER;
  g_queue_init (&contact->signals);
  g_ptr_array_add (self->contacts, contact);
  announce_soon (self, now);
  return contact;
}

void
ph_nearby_contact_drop (PhNearby *self, PhTime now, PhNearbyContact *contact, const char *why)
{
  ph_nearby_lose (self, now, contact, why);
  self->dropped_sequence = MAX (self->dropped_sequence, contact->sequence);
  g_ptr_array_remove (self->contacts, contact);
  self->announcing = false; /* its places have moved */
}

bool
ph_nearby_watch (PhNearby *self, PhTime now, const PhDeviceId *peer)
{
  PhNearbyContact *contact;

  if (find_contact (self, peer) != NULL || ph_device_id_equal (peer, &self->config.identity->id))
    return true;
  if (self->contacts->len >= PH_NEARBY_CONTACTS_MAX)
    return false;
  contact = ph_nearby_contact_new (self, now, peer);
  ph_nearby_keys (self->config.identity, peer, &contact->to_peer, &contact->from_peer);
  return true;
}

void
ph_nearby_unwatch (PhNearby *self, PhTime now, const PhDeviceId *peer)
{
  PhNearbyContact *contact = find_contact (self, peer);

  if (contact != NULL)
    ph_nearby_contact_drop (self, now, contact, "it is no contact any more");
}

void
ph_nearby_doubt (PhNearby *self, PhTime now, const PhDeviceId *peer)
{
  PhNearbyContact *contact = find_contact (self, peer);

  if (contact == NULL || !contact->here || contact->doubted_until != PH_NEVER)
    return;
  contact->doubted_until = ph_time_add (now, PH_NEARBY_SEARCH_MAX);
  ph_nearby_look_around (self, now);
}

void
ph_nearby_forget (PhNearby *self, PhTime now, const PhDeviceId *peer)
{
  PhNearbyContact *contact = find_contact (self, peer);

  if (contact != NULL)
    ph_nearby_lose (self, now, contact, "it is told to be");
}

bool
ph_nearby_is_here (const PhNearby *self, const PhDeviceId *peer)
{
  const PhNearbyContact *contact = find_contact (self, peer);

  return contact != NULL && contact->here;
}

void
ph_nearby_network_changed (PhNearby *self, PhTime now)
{
  announce_soon (self, now);
}

void
ph_nearby_leave (PhNearby *self, PhTime now)
{
  self->leaving = true;
  self->announcing = true;
  self->round_socket = 0;
  self->round_contact = 0;
  self->announce_at = PH_NEVER;
}

bool
ph_nearby_send (PhNearby *self, PhTime now, const PhDeviceId *peer, PhSlice body)
{
  PhNearbyContact *contact = find_contact (self, peer);

  g_assert (body.len > 0);
  g_assert (body.len <= PH_ENVELOPE_BODY_MAX);
  return contact != NULL && ph_nearby_contact_send (contact, body);
}

/* --- What arrives ------------------------------------------------------------------------------- */

/* Hashing for all contacts is what a stranger can make us do: a ration of it. */
static bool
take_ration (PhNearby *self, PhTime now)
{
  const PhTime interval = PH_SEC / PH_NEARBY_RATION;
  const PhTime passed = ph_time_since (now, self->ration_at);

  if (passed >= PH_SEC) {
    self->ration = PH_NEARBY_RATION;
    self->ration_at = now;
  } else if (passed >= interval) {
    self->ration = MIN (PH_NEARBY_RATION, self->ration + (unsigned)(passed / interval));
    self->ration_at += passed / interval * interval;
  }
  if (self->ration == 0)
    return false;
  self->ration--;
  return true;
}

static bool
is_from (const PhNearbyContact *contact, const PhDatagram *in)
{
  return contact->here && contact->socket == in->socket
         && ph_addr_equal (&contact->addr, &in->remote);
}

static void
handle_entry (PhNearby *self, PhTime now, PhNearbyContact *contact, const PhNearbyEntry *entry,
              const PhDatagram *in)
{
  const bool known = contact->here && ph_epoch_equal (&contact->epoch, &entry->epoch);
  const bool doubted = contact->doubted_until != PH_NEVER;

  if ((entry->flags & PH_NEARBY_FLAG_LEAVING) != 0) {
    if (known)
      ph_nearby_lose (self, now, contact, "it leaves");
    return;
  }
  /* To us alone comes only what answers our own announcement. Anything else is a recording, from anywhere,
   * whose sender wants to know whether we are here or to have our signals. */
  if (!self->from_group
      && (known && !doubted ? !ph_addr_equal (&contact->addr, &in->remote)
                            : ph_time_since (now, self->announced_at) > PH_NEARBY_ANSWER_LIFE))
    return;
  if (!known)
    ph_nearby_lose (self, now, contact, "it has begun anew");

  /* Heard on several networks it stays where it was heard first, for as long as it is heard there. */
  if (!known || doubted || contact->socket == in->socket
      || ph_time_since (now, contact->heard_at) > PH_NEARBY_INTERVAL * 3 / 2) {
    contact->socket = in->socket;
    contact->addr = in->remote;
    contact->heard_at = now;
    contact->doubted_until = PH_NEVER;
  }
  if (!known) {
    contact->here = true;
    /* Numbers go on while both runs do, whoever lost whom in between. */
    if (!ph_epoch_equal (&contact->epoch, &entry->epoch))
      contact->received = 0;
    contact->epoch = entry->epoch;
    ph_trace (&self->config.trace, now, "nearby", "a contact is on this network");
    ph_nearby_tell (self, now, contact, PH_NEARBY_EVENT_HERE, NULL);
  }
  if (!known || (entry->flags & PH_NEARBY_FLAG_ANSWER) != 0)
    contact->answer_due = true;
}

static void
handle_announcement (PhNearby *self, PhTime now, const PhNearbyMessage *message,
                     const PhDatagram *in)
{
  if (!take_ration (self, now))
    return;
  for (guint i = 0; i < self->contacts->len; i++) {
    PhNearbyContact *contact = self->contacts->pdata[i];
    PhNearbyEntry entry;

    /* Of a device that we also share an invitation with there are two. */
    if (ph_nearby_contact_is_looking (contact)
        && ph_nearby_find_entry (message, &contact->from_peer, &entry))
      handle_entry (self, now, contact, &entry, in);
  }
}

static void
handle_packet (PhNearby *self, PhTime now, const PhNearbyMessage *message, const PhDatagram *in)
{
  uint8_t plain[PH_NEARBY_DATAGRAM_MAX];
  PhNearbyPacket packet;
  bool rationed = false;

  /* First those that are known to be there, and only then everybody. */
  for (unsigned pass = 0; pass < 2; pass++) {
    for (guint i = 0; i < self->contacts->len; i++) {
      PhNearbyContact *contact = self->contacts->pdata[i];

      if (is_from (contact, in) != (pass == 0))
        continue;
      if (pass == 1 && !rationed && !take_ration (self, now))
        return;
      rationed = rationed || pass == 1;
      if (!ph_nearby_open_packet (message, &contact->from_peer, plain, &packet))
        continue;
      ph_nearby_contact_handle (self, now, contact, &packet);
      return;
    }
  }
}

static bool
has_socket (const PhNearby *self, uint32_t socket)
{
  for (guint i = 0; i < self->sockets->len; i++) {
    if (g_array_index (self->sockets, PhNearbySocket, i).id == socket)
      return true;
  }
  return false;
}

bool
ph_nearby_handle_packet (PhNearby *self, PhTime now, const PhDatagram *in)
{
  PhNearbyMessage message;

  if (!ph_nearby_is_nearby (in->bytes))
    return false;
  if (self->leaving || !has_socket (self, in->socket) || !ph_nearby_parse (in->bytes, &message))
    return true;
  if (message.type == PH_NEARBY_ANNOUNCE)
    handle_announcement (self, now, &message, in);
  else
    handle_packet (self, now, &message, in);
  return true;
}

void
ph_nearby_handle_multicast (PhNearby *self, PhTime now, uint32_t interface, const PhAddr *remote,
                            PhSlice bytes)
{
  for (guint i = 0; i < self->sockets->len; i++) {
    const PhNearbySocket *socket = &g_array_index (self->sockets, PhNearbySocket, i);
    const PhDatagram in = {.socket = socket->id, .remote = *remote, .bytes = bytes};

    if (socket->interface == interface && socket->addr.family == remote->family) {
      self->from_group = true;
      ph_nearby_handle_packet (self, now, &in);
      self->from_group = false;
      return;
    }
  }
}

/* --- Time --------------------------------------------------------------------------------------- */

static void
start_round (PhNearby *self, PhTime now)
{
  self->announcing = true;
  self->announced_at = now;
  self->round_socket = 0;
  self->round_contact = 0;
  if (self->burst_left > 0) {
    self->burst_left--;
    self->announce_at = ph_time_add (now, self->burst_interval);
    self->burst_interval *= 2;
  } else {
    /* Jitter keeps a room full of computers that were switched on together apart. */
    self->announce_at = ph_time_add (
        now, PH_NEARBY_INTERVAL - ph_random_below (&self->config.random, PH_NEARBY_INTERVAL / 4));
  }
}

static PhTime
gone_time (const PhNearbyContact *contact)
{
  return ph_time_min (ph_time_add (contact->heard_at, PH_NEARBY_LIFE), contact->doubted_until);
}

void
ph_nearby_handle_timeout (PhNearby *self, PhTime now)
{
  if (now >= self->announce_at)
    start_round (self, now);
  for (guint i = self->contacts->len; i-- > 0;) {
    PhNearbyContact *contact = self->contacts->pdata[i];

    if (contact->invitation != NULL && !ph_nearby_invitation_handle_timeout (self, now, contact)) {
      ph_nearby_contact_drop (self, now, contact, "its invitation is over");
      continue;
    }
    if (!contact->here)
      continue;
    if (now >= gone_time (contact))
      ph_nearby_lose (self, now, contact, "it has not been heard");
    else if (!ph_nearby_contact_handle_timeout (contact, now))
      ph_nearby_lose (self, now, contact, "it does not answer");
  }
}

static PhTime
answer_time (const PhNearbyContact *contact)
{
  if (!contact->answer_due || !contact->here)
    return PH_NEVER;
  return contact->answered_at == 0 ? 0
                                   : ph_time_add (contact->answered_at, PH_NEARBY_ANSWER_INTERVAL);
}

PhTime
ph_nearby_next_timeout (const PhNearby *self, const char **ret_why)
{
  PhTime next = self->announce_at;

  *ret_why = "announce on this network";
  for (guint i = 0; i < self->contacts->len; i++) {
    const PhNearbyContact *contact = self->contacts->pdata[i];
    PhTime t = PH_NEVER;

    if (contact->here) {
      t = gone_time (contact);
      if (!contact->send_due)
        t = ph_time_min (t, contact->repeat_at);
      t = ph_time_min (t, answer_time (contact));
    }
    if (contact->invitation != NULL)
      t = ph_time_min (t, ph_nearby_invitation_next_timeout (contact));
    if (t < next) {
      next = t;
      *ret_why = "a contact on this network";
    }
  }
  return next;
}

/* --- What is sent ------------------------------------------------------------------------------- */

static PhNearbyEntry
entry_for (const PhNearby *self, const PhNearbyContact *contact)
{
  PhNearbyEntry entry = {.epoch = self->epoch};

  if (self->leaving)
    entry.flags |= PH_NEARBY_FLAG_LEAVING;
  else if (!contact->here || contact->doubted_until != PH_NEVER)
    entry.flags |= PH_NEARBY_FLAG_ANSWER;
  return entry;
}

static void
pad (PhNearby *self, PhWriter *w, unsigned entries)
{
  for (; entries % PH_NEARBY_ENTRIES_STEP != 0; entries++)
    ph_nearby_write_padding (w, &self->config.random);
}

/* The next datagram of the announcement: as many contacts as it holds. */
static bool
poll_round (PhNearby *self, PhTransmit *tx)
{
  const unsigned most = PH_NEARBY_ENTRIES_MAX / PH_NEARBY_ENTRIES_STEP * PH_NEARBY_ENTRIES_STEP;

  if (!self->announcing)
    return false;
  if (self->round_contact >= self->contacts->len) {
    self->round_contact = 0;
    self->round_socket++;
  }
  if (self->round_socket >= self->sockets->len || self->contacts->len == 0) {
    self->announcing = false;
    return false;
  }

  const PhNearbySocket *socket = &g_array_index (self->sockets, PhNearbySocket, self->round_socket);
  PhWriter w = ph_writer (tx->data, MIN (tx->cap, PH_NEARBY_DATAGRAM_MAX));
  unsigned entries = 0;

  ph_nearby_write_header (&w, PH_NEARBY_ANNOUNCE, &self->config.random);
  for (; entries < most && self->round_contact < self->contacts->len; entries++) {
    const PhNearbyContact *contact = self->contacts->pdata[self->round_contact++];
    const PhNearbyEntry entry = entry_for (self, contact);

    if (ph_nearby_contact_is_looking (contact))
      ph_nearby_write_entry (&w, &contact->to_peer, &entry);
    else
      ph_nearby_write_padding (&w, &self->config.random);
  }
  pad (self, &w, entries);
  g_assert (ph_writer_ok (&w));
  tx->len = ph_writer_len (&w);
  tx->socket = socket->id;
  tx->remote = ph_nearby_group (socket->addr.family, socket->interface);
  return true;
}

static bool
poll_answer (PhNearby *self, PhTime now, PhNearbyContact *contact, PhTransmit *tx)
{
  if (answer_time (contact) > now)
    return false;

  PhWriter w = ph_writer (tx->data, MIN (tx->cap, PH_NEARBY_DATAGRAM_MAX));
  const PhNearbyEntry entry = entry_for (self, contact);

  contact->answer_due = false;
  contact->answered_at = now;
  ph_nearby_write_header (&w, PH_NEARBY_ANNOUNCE, &self->config.random);
  ph_nearby_write_entry (&w, &contact->to_peer, &entry);
  pad (self, &w, 1);
  g_assert (ph_writer_ok (&w));
  tx->len = ph_writer_len (&w);
  tx->socket = contact->socket;
  tx->remote = contact->addr;
  return true;
}

bool
ph_nearby_poll_transmit (PhNearby *self, PhTime now, PhTransmit *tx)
{
  g_assert (tx->cap >= PH_NEARBY_DATAGRAM_MAX);
  tx->segment = 0;
  tx->ecn = 0;
  tx->ttl = 0;
  if (poll_round (self, tx))
    return true;
  for (guint i = 0; i < self->contacts->len && !self->leaving; i++) {
    PhNearbyContact *contact = self->contacts->pdata[i];

    if (contact->here
        && (poll_answer (self, now, contact, tx)
            || ph_nearby_contact_poll_transmit (self, now, contact, tx)))
      return true;
  }
  return false;
}

bool
ph_nearby_poll_event (PhNearby *self, PhNearbyEvent *ret_event)
{
  PhNearbyNews *news = g_queue_pop_head (&self->news);

  g_clear_pointer (&self->told, g_bytes_unref);
  if (news == NULL)
    return false;
  *ret_event = news->event;
  self->told = g_steal_pointer (&news->body);
  if (self->told != NULL) {
    gsize len;
    const uint8_t *body = g_bytes_get_data (self->told, &len);

    ret_event->body = ph_slice (body, len);
  }
  news_free (news);
  return true;
}
