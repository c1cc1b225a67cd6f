/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Signals, from device to device. Inside an envelope's body:
 *
 *   DATA u8 (1), number u64, base u64, the body
 *   ACK  u8 (2), session u64, number u64
 *
 * Numbers rise by one a signal. `base` is the lowest that the sender still has: what is below it was
 * acknowledged or given up. The receiver takes base or the one after its last, in order, and acknowledges
 * the last it took, which stands for all before it. What it did not take comes again. */

#include "net/signal/ph-base64.h"
#include "net/signal/ph-rendezvous-client-private.h"

enum { KIND_DATA = 1, KIND_ACK = 2 };

#define DATA_HEADER_LEN (1 + 8 + 8)

G_STATIC_ASSERT (DATA_HEADER_LEN <= PH_RENDEZVOUS_SIGNAL_HEADER);

PhClientContact *
ph_client_contact (PhRendezvousClient *self, const PhDeviceId *id)
{
  return g_hash_table_lookup (self->contacts, id);
}

static void
signal_free (void *data)
{
  PhClientSignal *signal = data;

  g_bytes_unref (signal->body);
  g_free (signal);
}

void
ph_client_contact_free (void *data)
{
  PhClientContact *contact = data;

  g_queue_clear_full (&contact->out, signal_free);
  g_free (contact->guard);
  g_free (contact);
}

/* --- Sending ------------------------------------------------------------------------------------ */

static void
send_sealed (PhRendezvousClient *self, PhClientContact *contact, PhSlice body)
{
  uint8_t sealed[PH_ENVELOPE_MAX];
  const PhEnvelope envelope = {
      .sender = self->identity->id,
      .receiver = contact->id,
      .receiver_epoch = contact->epoch,
      .sender_epoch = self->epoch,
      .session = self->session,
      .sequence = ++self->sequence,
      .body = body,
  };
  const size_t len = ph_envelope_seal (&envelope, self->identity, &self->random, sealed);
  JsonObject *message = ph_json_message ("signal");

  ph_json_set_bytes (message, "to", ph_slice (contact->id.key, sizeof contact->id.key));
  ph_json_set_bytes (message, "envelope", ph_slice (sealed, len));
  ph_client_send (self, message);
}

static void
send_ack (PhRendezvousClient *self, PhClientContact *contact)
{
  uint8_t body[1 + 8 + 8];
  PhWriter w = ph_writer (body, sizeof body);

  ph_write_u8 (&w, KIND_ACK);
  ph_write_u64 (&w, contact->in_session);
  ph_write_u64 (&w, contact->in_number);
  g_assert (ph_writer_ok (&w));
  send_sealed (self, contact, ph_slice (body, ph_writer_len (&w)));
}

/* Sends what has not been sent in the present epochs. */
static void
flush (PhRendezvousClient *self, PhTime now, PhClientContact *contact)
{
  const PhClientSignal *first = g_queue_peek_head (&contact->out);

  if (!contact->online || first == NULL)
    return;
  for (GList *l = contact->out.head; l != NULL; l = l->next) {
    PhClientSignal *signal = l->data;
    uint8_t body[PH_ENVELOPE_BODY_MAX];
    PhWriter w = ph_writer (body, sizeof body);
    gsize len;
    const void *data = g_bytes_get_data (signal->body, &len);

    if (signal->sent)
      continue;
    ph_write_u8 (&w, KIND_DATA);
    ph_write_u64 (&w, signal->number);
    ph_write_u64 (&w, first->number);
    ph_write_bytes (&w, data, len);
    g_assert (ph_writer_ok (&w));
    send_sealed (self, contact, ph_slice (body, ph_writer_len (&w)));
    signal->sent = true;
    if (contact->resend_at == PH_NEVER)
      contact->resend_at = ph_time_add (now, PH_RENDEZVOUS_RESEND);
  }
}

static void
unsend (PhClientContact *contact)
{
  for (GList *l = contact->out.head; l != NULL; l = l->next)
    ((PhClientSignal *)l->data)->sent = false;
  contact->resend_at = PH_NEVER;
}

/* The first signal of the queue has ended. */
static void
finish_first (PhRendezvousClient *self, PhClientContact *contact, PhRendezvousCode code)
{
  PhClientSignal *signal = g_queue_pop_head (&contact->out);
  PhClientEvent *event =
      ph_client_event (self, code == PH_RENDEZVOUS_OK ? PH_RENDEZVOUS_EVENT_SIGNAL_DELIVERED
                                                      : PH_RENDEZVOUS_EVENT_SIGNAL_FAILED);

  event->event.peer = contact->id;
  event->event.handle = signal->handle;
  event->event.code = code;
  signal_free (signal);
  if (contact->out.length == 0)
    contact->resend_at = PH_NEVER;
}

void
ph_client_fail_signals (PhRendezvousClient *self, PhClientContact *contact, PhRendezvousCode code)
{
  while (contact->out.length > 0)
    finish_first (self, contact, code);
}

uint64_t
ph_rendezvous_client_send (PhRendezvousClient *self, PhTime now, const PhDeviceId *peer,
                           PhSlice body)
{
  PhClientContact *contact = ph_client_contact (self, peer);
  const uint64_t handle = self->next_handle++;

  g_assert (now >= self->last_now);
  g_assert (body.len > 0);
  g_assert (body.len <= PH_ENVELOPE_BODY_MAX - PH_RENDEZVOUS_SIGNAL_HEADER);
  self->last_now = now;

  if (contact == NULL || contact->out.length >= PH_RENDEZVOUS_QUEUE_MAX
      || self->state == PH_RENDEZVOUS_STOPPED) {
    PhClientEvent *event = ph_client_event (self, PH_RENDEZVOUS_EVENT_SIGNAL_FAILED);

    event->event.peer = *peer;
    event->event.handle = handle;
    event->event.code = contact == NULL                        ? PH_RENDEZVOUS_NOT_ONLINE
                        : self->state == PH_RENDEZVOUS_STOPPED ? PH_RENDEZVOUS_CANCELLED
                                                               : PH_RENDEZVOUS_QUEUE_FULL;
    return handle;
  }

  PhClientSignal *signal = g_new0 (PhClientSignal, 1);

  signal->handle = handle;
  signal->number = contact->next_number++;
  signal->body = g_bytes_new (body.data, body.len);
  signal->expires_at = ph_time_add (now, PH_RENDEZVOUS_SIGNAL_LIFE);
  g_queue_push_tail (&contact->out, signal);
  flush (self, now, contact);
  return handle;
}

void
ph_rendezvous_client_cancel_signals (PhRendezvousClient *self, PhTime now, const PhDeviceId *peer)
{
  PhClientContact *contact = ph_client_contact (self, peer);

  if (contact != NULL)
    ph_client_fail_signals (self, contact, PH_RENDEZVOUS_CANCELLED);
}

/* --- Receiving ---------------------------------------------------------------------------------- */

static void
handle_data (PhRendezvousClient *self, PhClientContact *contact, uint64_t session, PhReader *r)
{
  const uint64_t number = ph_read_u64 (r);
  const uint64_t base = ph_read_u64 (r);
  const PhSlice body = ph_read_slice (r, ph_reader_left (r));

  if (!ph_reader_ok (r) || number == 0 || base == 0 || base > number || body.len == 0)
    return;
  if (session != contact->in_session) {
    contact->in_session = session;
    contact->in_number = 0;
  }
  if (contact->in_number < base - 1)
    contact->in_number = base - 1;
  if (number == contact->in_number + 1) {
    PhClientEvent *event = ph_client_event (self, PH_RENDEZVOUS_EVENT_SIGNAL);

    contact->in_number = number;
    event->event.peer = contact->id;
    event->body = g_bytes_new (body.data, body.len);
  }
  if (contact->online)
    send_ack (self, contact);
}

static void
handle_ack (PhRendezvousClient *self, PhClientContact *contact, PhReader *r)
{
  const uint64_t session = ph_read_u64 (r);
  const uint64_t number = ph_read_u64 (r);
  PhClientSignal *first;

  if (!ph_reader_done (r) || session != self->session)
    return;
  /* Acknowledging what was never sent acknowledges nothing. */
  while ((first = g_queue_peek_head (&contact->out)) != NULL && first->number <= number
         && number < contact->next_number)
    finish_first (self, contact, PH_RENDEZVOUS_OK);
}

void
ph_client_handle_envelope (PhRendezvousClient *self, PhTime now, PhClientContact *contact,
                           PhSlice sealed)
{
  uint8_t plain[PH_ENVELOPE_MAX];
  PhEnvelope envelope;

  if (contact->guard == NULL)
    contact->guard = g_new0 (PhEnvelopeGuard, 1);

  const PhEnvelopeError error = ph_envelope_open (sealed, self->identity, &contact->id,
                                                  &self->epoch, contact->guard, plain, &envelope);

  if (error == PH_ENVELOPE_TOO_MANY_EPOCHS) {
    ph_client_break (self, now, PH_RENDEZVOUS_CANCELLED, "logging in anew for a fresh epoch",
                     false);
    return;
  }
  if (error != PH_ENVELOPE_OK) {
    ph_trace (&self->trace, now, "rendezvous", "signal dropped: %s",
              ph_envelope_error_code (error));
    return;
  }

  PhReader r = ph_reader (envelope.body);
  const uint8_t kind = ph_read_u8 (&r);

  if (kind == KIND_DATA)
    handle_data (self, contact, envelope.session, &r);
  else if (kind == KIND_ACK)
    handle_ack (self, contact, &r);
}

/* --- Presence ----------------------------------------------------------------------------------- */

static void
tell_presence (PhRendezvousClient *self, const PhClientContact *contact)
{
  PhClientEvent *event = ph_client_event (self, PH_RENDEZVOUS_EVENT_PRESENCE);

  event->event.peer = contact->id;
  event->event.online = contact->online;
  event->event.anew = contact->online && contact->was_online;
}

void
ph_client_set_presence (PhRendezvousClient *self, PhTime now, PhClientContact *contact,
                        const PhEpoch *epoch)
{
  const bool was_online = contact->online;
  const bool same = epoch != NULL && was_online && ph_epoch_equal (epoch, &contact->epoch);

  if (same || (epoch == NULL && !was_online))
    return;
  contact->online = epoch != NULL;
  if (epoch != NULL)
    contact->epoch = *epoch;
  tell_presence (self, contact);
  contact->was_online |= contact->online;
  unsend (contact);
  flush (self, now, contact);
}

void
ph_client_signals_offline (PhRendezvousClient *self)
{
  GHashTableIter iter;
  PhClientContact *contact;

  g_hash_table_iter_init (&iter, self->contacts);
  while (g_hash_table_iter_next (&iter, NULL, (void **)&contact)) {
    unsend (contact);
    contact->was_online = false;
    if (contact->online) {
      contact->online = false;
      tell_presence (self, contact);
    }
  }
}

static void
send_watch (PhRendezvousClient *self, const char *member, const PhDeviceId *peer)
{
  JsonObject *message = ph_json_message ("watch");
  JsonArray *keys = json_array_new ();
  char text[64];

  json_array_add_string_element (keys,
                                 ph_base64_encode (ph_slice (peer->key, sizeof peer->key), text));
  json_object_set_array_member (message, member, keys);
  ph_client_send (self, message);
}

/* Between its log-in and the welcome the server has the list as it was in the log-in. */
static bool
server_has_list (const PhRendezvousClient *self)
{
  return self->state == PH_RENDEZVOUS_ONLINE || self->state == PH_RENDEZVOUS_LOGGING_IN;
}

bool
ph_rendezvous_client_watch (PhRendezvousClient *self, PhTime now, const PhDeviceId *peer)
{
  if (ph_client_contact (self, peer) != NULL || ph_device_id_equal (peer, &self->identity->id))
    return true;
  if (g_hash_table_size (self->contacts) >= PH_RENDEZVOUS_CONTACTS_MAX)
    return false;

  PhDeviceId usable;

  /* Sealing for what is no key would be an error of ours. */
  if (!ph_device_id_from_bytes (ph_slice (peer->key, sizeof peer->key), &usable))
    return false;

  PhClientContact *contact = g_new0 (PhClientContact, 1);

  contact->id = *peer;
  /* The session is the same if this is somebody who was watched before: they have no use for numbers that they have
   * heard, and gaps do not hurt. */
  contact->next_number = MAX (1, self->unwatched_number);
  contact->resend_at = PH_NEVER;
  g_queue_init (&contact->out);
  g_hash_table_insert (self->contacts, &contact->id, contact);
  if (server_has_list (self))
    send_watch (self, "add", peer);
  return true;
}

void
ph_rendezvous_client_unwatch (PhRendezvousClient *self, PhTime now, const PhDeviceId *peer)
{
  PhClientContact *contact = ph_client_contact (self, peer);

  if (contact == NULL)
    return;
  ph_client_fail_signals (self, contact, PH_RENDEZVOUS_CANCELLED);
  self->unwatched_number = MAX (self->unwatched_number, contact->next_number);
  if (server_has_list (self))
    send_watch (self, "remove", peer);
  g_hash_table_remove (self->contacts, peer);
}

bool
ph_rendezvous_client_is_online (const PhRendezvousClient *self, const PhDeviceId *peer)
{
  const PhClientContact *contact = g_hash_table_lookup (self->contacts, peer);

  return contact != NULL && contact->online;
}

/* --- Time --------------------------------------------------------------------------------------- */

void
ph_client_signals_timeout (PhRendezvousClient *self, PhTime now)
{
  GHashTableIter iter;
  PhClientContact *contact;

  g_hash_table_iter_init (&iter, self->contacts);
  while (g_hash_table_iter_next (&iter, NULL, (void **)&contact)) {
    const PhClientSignal *first;

    while ((first = g_queue_peek_head (&contact->out)) != NULL && now >= first->expires_at)
      finish_first (self, contact,
                    contact->online ? PH_RENDEZVOUS_TIMED_OUT : PH_RENDEZVOUS_NOT_ONLINE);
    if (now >= contact->resend_at) {
      unsend (contact);
      flush (self, now, contact);
    }
  }
}

PhTime
ph_client_signals_deadline (const PhRendezvousClient *self)
{
  GHashTableIter iter;
  const PhClientContact *contact;
  PhTime deadline = PH_NEVER;

  g_hash_table_iter_init (&iter, self->contacts);
  while (g_hash_table_iter_next (&iter, NULL, (void **)&contact)) {
    const PhClientSignal *first = contact->out.head != NULL ? contact->out.head->data : NULL;

    deadline = ph_time_min (deadline, contact->resend_at);
    if (first != NULL)
      deadline = ph_time_min (deadline, first->expires_at);
  }
  return deadline;
}
