/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/turn/ph-turn-private.h"

/* --- Receiving -------------------------------------------------------------------------------- */

static PhTurnIn
give (const PhTurnClient *self, const PhDatagram *in, const PhAddr *peer, PhSlice payload,
      PhDatagram *ret_data)
{
  *ret_data = (PhDatagram){
      .socket = self->config.relayed_socket,
      .remote = *peer,
      .ecn = in->ecn,
      .bytes = payload,
  };
  return PH_TURN_IN_DATA;
}

/* The peer may send before the answer to our ChannelBind is here, so a channel that was asked for is as
 * good as one that is ready. */
static const PhTurnGrant *
find_number (const PhTurnClient *self, PhTime now, uint16_t number)
{
  for (unsigned i = PH_TURN_PERMISSIONS_MAX; i < PH_TURN_GRANTS; i++) {
    const PhTurnGrant *grant = &self->grants[i];

    if (grant->number == number)
      return grant->state == PH_TURN_GRANT_ASKING
                     || (grant->state == PH_TURN_GRANT_READY && now < grant->expires_at)
                 ? grant
                 : NULL;
  }
  return NULL;
}

PhTurnIn
ph_turn_receive_channel (PhTurnClient *self, PhTime now, const PhDatagram *in, PhDatagram *ret_data)
{
  PhReader r = ph_reader (in->bytes);
  const uint16_t number = ph_read_u16 (&r);
  const PhSlice payload = ph_read_slice (&r, ph_read_u16 (&r));

  /* Padding is allowed over UDP too, §12.5. */
  if (!ph_reader_ok (&r) || ph_reader_left (&r) > 3 || self->state != PH_TURN_ALLOCATED)
    return PH_TURN_IN_OTHER;

  const PhTurnGrant *channel = find_number (self, now, number);

  if (channel == NULL)
    return PH_TURN_IN_DONE;
  return give (self, in, &channel->peer, payload, ret_data);
}

PhTurnIn
ph_turn_receive_indication (PhTurnClient *self, PhTime now, const PhDatagram *in,
                            const PhStunMessage *message, PhDatagram *ret_data)
{
  static const uint16_t known[] = {PH_TURN_XOR_PEER_ADDRESS, PH_TURN_DATA};
  PhAddr peer;
  PhSlice payload;

  if (self->state != PH_TURN_ALLOCATED
      || !ph_stun_get_xor_addr (message, PH_TURN_XOR_PEER_ADDRESS, &peer)
      || !ph_stun_find (message, PH_TURN_DATA, &payload)
      || ph_stun_unknown (message, known, G_N_ELEMENTS (known), NULL, 0) > 0 || peer.port == 0
      || !ph_turn_client_is_permitted (self, now, &peer))
    return PH_TURN_IN_DONE;
  return give (self, in, &peer, payload, ret_data);
}

/* --- Sending ---------------------------------------------------------------------------------- */

static void
write_channel_header (uint8_t *at, uint16_t number, size_t len)
{
  PhWriter w = ph_writer (at, PH_TURN_CHANNEL_HEADER_LEN);

  ph_write_u16 (&w, number);
  ph_write_u16 (&w, (uint16_t)len);
}

static bool
batch_is_formed (const PhTurnClient *self, const PhTransmit *tx, size_t segment, size_t padding)
{
  const size_t last = tx->len % segment;

  if (tx->len == 0 || segment < PH_TURN_CHANNEL_HEADER_LEN
      || (last != 0 && last < PH_TURN_CHANNEL_HEADER_LEN)
      || segment - PH_TURN_CHANNEL_HEADER_LEN > G_MAXUINT16)
    return false;
  if (!self->config.stream)
    return true;
  return (tx->segment == 0 || tx->segment % 4 == 0) && padding <= tx->cap - tx->len;
}

static void
address_to_server (PhTurnClient *self, PhTime now, PhTransmit *tx)
{
  tx->socket = self->config.socket;
  tx->remote = self->config.server;
  ph_turn_sent (self, now);
}

bool
ph_turn_client_wrap (PhTurnClient *self, PhTime now, PhTransmit *tx)
{
  const size_t segment = tx->segment > 0 ? tx->segment : MAX (tx->len, 1);
  const size_t padding = (4 - tx->len % 4) % 4;

  g_assert (tx->len <= tx->cap);
  if (!batch_is_formed (self, tx, segment, padding)
      || !ph_turn_client_has_channel (self, now, &tx->remote))
    return false;

  const PhTurnGrant *channel = ph_turn_channel_find (self, &tx->remote);

  for (size_t at = 0; at < tx->len; at += segment) {
    const size_t len = MIN (segment, tx->len - at);

    write_channel_header (tx->data + at, channel->number, len - PH_TURN_CHANNEL_HEADER_LEN);
  }
  if (self->config.stream && padding > 0) {
    memset (tx->data + tx->len, 0, padding);
    tx->len += padding;
  }
  address_to_server (self, now, tx);
  return true;
}

static void
write_indication (const PhTurnClient *self, const PhAddr *peer, PhSlice payload, PhWriter *w)
{
  PhStunId id;

  ph_random_bytes (&self->config.random, id.bytes, sizeof id.bytes);
  ph_stun_begin (w, PH_STUN_INDICATION, PH_TURN_METHOD_SEND, &id);
  ph_stun_put_xor_addr (w, PH_TURN_XOR_PEER_ADDRESS, peer);
  ph_stun_put (w, PH_TURN_DATA, payload);
}

bool
ph_turn_client_send (PhTurnClient *self, PhTime now, const PhAddr *peer, PhSlice payload,
                     PhTransmit *tx)
{
  PhWriter w = ph_writer (tx->data, tx->cap);

  /* So that no length field overflows, whatever `cap` is. */
  if (payload.len > G_MAXUINT16 - PH_TURN_SEND_OVERHEAD)
    return false;
  if (ph_turn_client_has_channel (self, now, peer)) {
    ph_write_zeros (&w, PH_TURN_CHANNEL_HEADER_LEN);
    ph_write_slice (&w, payload);
    if (!ph_writer_ok (&w))
      return false;
    tx->len = ph_writer_len (&w);
    tx->segment = 0;
    tx->ecn = 0;
    tx->remote = *peer;
    return ph_turn_client_wrap (self, now, tx);
  }

  if (!ph_turn_client_is_permitted (self, now, peer) || peer->port == 0)
    return false;
  write_indication (self, peer, payload, &w);
  if (!ph_writer_ok (&w))
    return false;
  tx->len = ph_writer_len (&w);
  tx->segment = 0;
  tx->ecn = 0;
  address_to_server (self, now, tx);
  return true;
}
