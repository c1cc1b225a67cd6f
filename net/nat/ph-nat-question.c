/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/nat/ph-nat-question.h"

#include <glib.h>

void
ph_nat_question_init (PhNatQuestion *self, PhRandom *random, const PhAddr *to)
{
  *self = (PhNatQuestion){.to = *to};
  ph_random_bytes (random, self->id.bytes, sizeof self->id.bytes);
}

void
ph_nat_question_write (const PhNatQuestion *self, uint32_t socket, PhTransmit *tx)
{
  PhWriter w = ph_writer (tx->data, tx->cap);

  ph_stun_begin (&w, PH_STUN_REQUEST, PH_STUN_BINDING, &self->id);
  ph_stun_put_fingerprint (&w);
  g_assert (ph_writer_ok (&w));
  tx->socket = socket;
  tx->remote = self->to;
  tx->len = ph_writer_len (&w);
  tx->segment = 0;
  tx->ecn = 0;
}

PhNatReply
ph_nat_question_take (PhNatQuestion *self, PhSlice bytes)
{
  PhStunMessage message;

  if (bytes.len > sizeof self->bytes - self->len)
    return PH_NAT_QUESTION_BROKEN;
  memcpy (self->bytes + self->len, bytes.data, bytes.len);
  self->len += bytes.len;
  if (self->len < 20 || self->len < 20 + ((size_t)self->bytes[2] << 8 | (size_t)self->bytes[3]))
    return PH_NAT_QUESTION_MORE;
  if (!ph_stun_parse (ph_slice (self->bytes, self->len), &message)
      || message.klass != PH_STUN_SUCCESS || !ph_stun_id_equal (&message.id, &self->id)
      || !ph_stun_get_mapped (&message, &self->mapped) || self->mapped.port == 0
      || self->mapped.family != self->to.family)
    return PH_NAT_QUESTION_BROKEN;
  ph_stun_get_addr (&message, PH_STUN_OTHER_ADDRESS, &self->other);
  return PH_NAT_QUESTION_ANSWERED;
}
