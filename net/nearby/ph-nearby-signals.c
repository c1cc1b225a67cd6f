/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/nearby/ph-nearby-private.h"

void
ph_nearby_contact_reset (PhNearbyContact *contact)
{
  g_queue_clear_full (&contact->signals, (GDestroyNotify)g_bytes_unref);
  g_clear_pointer (&contact->partial, g_byte_array_unref);
  contact->offset = 0;
  contact->sequence++; /* a gap: what was under way is given up */
  contact->tries = 0;
  contact->send_due = false;
  contact->ack_due = false;
  contact->repeat_at = PH_NEVER;
}

/* The packet under way, without its frame. */
static PhSlice
current (const PhNearbyContact *contact)
{
  gsize len;
  const uint8_t *bytes = g_bytes_get_data (contact->signals.head->data, &len);

  return ph_slice (bytes + contact->offset, MIN (len - contact->offset, PH_NEARBY_BYTES_MAX));
}

void
ph_nearby_contact_start (PhNearbyContact *contact)
{
  if (g_queue_is_empty (&contact->signals) || contact->repeat_at != PH_NEVER || contact->send_due)
    return;
  contact->sequence++;
  contact->tries = 0;
  contact->send_due = true;
}

bool
ph_nearby_contact_send (PhNearbyContact *contact, PhSlice body)
{
  if (!contact->here || g_queue_get_length (&contact->signals) >= PH_NEARBY_QUEUE_MAX)
    return false;
  g_queue_push_tail (&contact->signals, g_bytes_new (body.data, body.len));
  ph_nearby_contact_start (contact);
  return true;
}

static void
handle_ack (PhNearbyContact *contact, uint64_t sequence)
{
  if (contact->repeat_at == PH_NEVER || sequence != contact->sequence)
    return;

  GBytes *signal = g_queue_peek_head (&contact->signals);

  contact->offset += current (contact).len;
  if (contact->offset == g_bytes_get_size (signal)) {
    g_bytes_unref (g_queue_pop_head (&contact->signals));
    contact->offset = 0;
  }
  contact->repeat_at = PH_NEVER;
  contact->send_due = false;
  ph_nearby_contact_start (contact);
}

static void
handle_data (PhNearby *self, PhTime now, PhNearbyContact *contact, const PhNearbyPacket *packet)
{
  if (packet->sequence <= contact->received) {
    contact->ack_due = true; /* ours was lost */
    return;
  }
  /* One packet is under way at a time: after a gap the other side has given up what came before. */
  if (packet->sequence != contact->received + 1)
    g_clear_pointer (&contact->partial, g_byte_array_unref);
  if (contact->partial == NULL)
    contact->partial = g_byte_array_new ();
  /* Too long to be a signal: never acknowledged, and the sender gives up. */
  if (contact->partial->len + packet->bytes.len > PH_ENVELOPE_BODY_MAX)
    return;
  g_byte_array_append (contact->partial, packet->bytes.data, (guint)packet->bytes.len);
  contact->received = packet->sequence;
  contact->ack_due = true;
  if ((packet->flags & PH_NEARBY_FLAG_MORE) == 0)
    ph_nearby_tell (self, now, contact, PH_NEARBY_EVENT_SIGNAL,
                    g_byte_array_free_to_bytes (g_steal_pointer (&contact->partial)));
}

void
ph_nearby_contact_handle (PhNearby *self, PhTime now, PhNearbyContact *contact,
                          const PhNearbyPacket *packet)
{
  /* Made for an earlier run of ours, or before we knew of its present one: it repeats itself, and
   * announcements tell both sides what they need. */
  if (!contact->here) {
    ph_nearby_look_around (self, now);
    return;
  }
  if (!ph_epoch_equal (&packet->receiver_epoch, &self->epoch)
      || !ph_epoch_equal (&packet->sender_epoch, &contact->epoch)) {
    contact->answer_due = true;
    return;
  }
  contact->heard_at = now;
  contact->doubted_until = PH_NEVER;
  if (packet->kind == PH_NEARBY_DATA)
    handle_data (self, now, contact, packet);
  else if (packet->kind == PH_NEARBY_ACK)
    handle_ack (contact, packet->sequence);
  if (contact->invitation != NULL && g_queue_is_empty (&contact->signals))
    ph_nearby_invitation_heard (self, contact);
}

bool
ph_nearby_contact_handle_timeout (PhNearbyContact *contact, PhTime now)
{
  if (now < contact->repeat_at)
    return true;
  if (contact->tries >= PH_NEARBY_TRIES)
    return false;
  contact->send_due = true;
  return true;
}

static void
write_packet (PhNearby *self, const PhNearbyContact *contact, const PhNearbyPacket *packet,
              PhTransmit *tx)
{
  PhWriter w = ph_writer (tx->data, MIN (tx->cap, PH_NEARBY_DATAGRAM_MAX));

  ph_nearby_write_header (&w, PH_NEARBY_PACKET, &self->config.random);
  ph_nearby_write_packet (&w, &contact->to_peer, packet);
  g_assert (ph_writer_ok (&w));
  tx->len = ph_writer_len (&w);
  tx->socket = contact->socket;
  tx->remote = contact->addr;
}

bool
ph_nearby_contact_poll_transmit (PhNearby *self, PhTime now, PhNearbyContact *contact,
                                 PhTransmit *tx)
{
  PhNearbyPacket packet = {
      .sender_epoch = self->epoch,
      .receiver_epoch = contact->epoch,
  };

  if (contact->ack_due) {
    contact->ack_due = false;
    packet.kind = PH_NEARBY_ACK;
    packet.sequence = contact->received;
    write_packet (self, contact, &packet, tx);
    return true;
  }
  if (!contact->send_due)
    return false;

  const gsize len = g_bytes_get_size (g_queue_peek_head (&contact->signals));

  packet.kind = PH_NEARBY_DATA;
  packet.sequence = contact->sequence;
  packet.bytes = current (contact);
  if (contact->offset + packet.bytes.len < len)
    packet.flags = PH_NEARBY_FLAG_MORE;
  contact->send_due = false;
  contact->repeat_at = ph_time_add (now, PH_NEARBY_REPEAT << contact->tries);
  contact->tries++;
  write_packet (self, contact, &packet, tx);
  return true;
}
