/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/signal/ph-envelope.h"

#define VERSION 1
/* With its NUL, so that no purpose is the beginning of another. */
static const char purpose[] = "porthole/1 signal";

/* What is signed: the purpose, then the fields as they travel. Written into one buffer, so that the
 * fields are sealed from where they were signed. */
#define SIGNED_MAX (sizeof purpose + PH_ENVELOPE_MAX)

const char *
ph_envelope_error_code (PhEnvelopeError error)
{
  static const char *const codes[] = {
      [PH_ENVELOPE_OK] = "ok",
      [PH_ENVELOPE_NOT_SEALED_FOR_US] = "not-sealed-for-us",
      [PH_ENVELOPE_MALFORMED] = "malformed",
      [PH_ENVELOPE_UNKNOWN_VERSION] = "unknown-version",
      [PH_ENVELOPE_WRONG_SENDER] = "wrong-sender",
      [PH_ENVELOPE_WRONG_RECEIVER] = "wrong-receiver",
      [PH_ENVELOPE_WRONG_EPOCH] = "wrong-epoch",
      [PH_ENVELOPE_BAD_SIGNATURE] = "bad-signature",
      [PH_ENVELOPE_REPLAYED] = "replayed",
      [PH_ENVELOPE_TOO_MANY_EPOCHS] = "too-many-epochs",
  };

  g_assert ((unsigned)error < G_N_ELEMENTS (codes));
  return codes[error];
}

size_t
ph_envelope_seal (const PhEnvelope *envelope, const PhIdentity *identity, const PhRandom *random,
                  uint8_t out[PH_ENVELOPE_MAX])
{
  uint8_t buf[SIGNED_MAX];
  PhWriter w = ph_writer (buf, sizeof buf);

  g_assert (ph_device_id_equal (&envelope->sender, &identity->id));
  g_assert (envelope->body.len <= PH_ENVELOPE_BODY_MAX);

  ph_write_bytes (&w, purpose, sizeof purpose);
  ph_write_u8 (&w, VERSION);
  ph_write_bytes (&w, envelope->sender.key, PH_DEVICE_ID_LEN);
  ph_write_bytes (&w, envelope->receiver.key, PH_DEVICE_ID_LEN);
  ph_write_bytes (&w, envelope->receiver_epoch.nonce, PH_EPOCH_LEN);
  ph_write_bytes (&w, envelope->sender_epoch.nonce, PH_EPOCH_LEN);
  ph_write_u64 (&w, envelope->session);
  ph_write_u64 (&w, envelope->sequence);
  ph_write_u16 (&w, (uint16_t)envelope->body.len);
  ph_write_slice (&w, envelope->body);

  const size_t signed_len = ph_writer_len (&w);
  uint8_t *signature = ph_write_reserve (&w, PH_SIGNATURE_LEN);

  g_assert (ph_writer_ok (&w));
  ph_identity_sign (identity, ph_slice (buf, signed_len), signature);

  const PhSlice plain = ph_slice (buf + sizeof purpose, ph_writer_len (&w) - sizeof purpose);

  ph_device_id_seal (&envelope->receiver, random, plain, out);
  return plain.len + PH_SEAL_OVERHEAD;
}

static PhEnvelopeError
parse (PhSlice plain, PhEnvelope *ret_envelope, PhSlice *ret_fields, PhSlice *ret_signature)
{
  PhReader r = ph_reader (plain);
  PhEnvelope envelope;

  if (plain.len > 0 && plain.data[0] != VERSION)
    return PH_ENVELOPE_UNKNOWN_VERSION;
  ph_read_skip (&r, 1);
  ph_read_bytes (&r, envelope.sender.key, PH_DEVICE_ID_LEN);
  ph_read_bytes (&r, envelope.receiver.key, PH_DEVICE_ID_LEN);
  ph_read_bytes (&r, envelope.receiver_epoch.nonce, PH_EPOCH_LEN);
  ph_read_bytes (&r, envelope.sender_epoch.nonce, PH_EPOCH_LEN);
  envelope.session = ph_read_u64 (&r);
  envelope.sequence = ph_read_u64 (&r);
  envelope.body = ph_read_slice (&r, ph_read_u16 (&r));
  *ret_signature = ph_read_slice (&r, PH_SIGNATURE_LEN);
  if (!ph_reader_done (&r) || envelope.body.len > PH_ENVELOPE_BODY_MAX)
    return PH_ENVELOPE_MALFORMED;

  *ret_fields = ph_slice (plain.data, plain.len - PH_SIGNATURE_LEN);
  *ret_envelope = envelope;
  return PH_ENVELOPE_OK;
}

/* The index of `epoch`, or guard->n. */
static unsigned
guard_find (const PhEnvelopeGuard *guard, const PhEpoch *epoch)
{
  unsigned i = 0;

  while (i < guard->n && !ph_epoch_equal (&guard->seen[i].epoch, epoch))
    i++;
  return i;
}

PhEnvelopeError
ph_envelope_open (PhSlice sealed, const PhIdentity *identity, const PhDeviceId *sender,
                  const PhEpoch *own_epoch, PhEnvelopeGuard *guard, uint8_t plain[PH_ENVELOPE_MAX],
                  PhEnvelope *ret_envelope)
{
  uint8_t buf[SIGNED_MAX];
  PhEnvelope envelope;
  PhSlice fields;
  PhSlice signature;

  if (sealed.len < PH_ENVELOPE_OVERHEAD || sealed.len > PH_ENVELOPE_MAX)
    return PH_ENVELOPE_MALFORMED;
  if (!ph_identity_unseal (identity, sealed, plain))
    return PH_ENVELOPE_NOT_SEALED_FOR_US;

  const PhEnvelopeError error =
      parse (ph_slice (plain, sealed.len - PH_SEAL_OVERHEAD), &envelope, &fields, &signature);

  if (error != PH_ENVELOPE_OK)
    return error;
  if (!ph_device_id_equal (&envelope.sender, sender))
    return PH_ENVELOPE_WRONG_SENDER;
  if (!ph_device_id_equal (&envelope.receiver, &identity->id))
    return PH_ENVELOPE_WRONG_RECEIVER;

  memcpy (buf, purpose, sizeof purpose);
  memcpy (buf + sizeof purpose, fields.data, fields.len);
  if (!ph_device_id_verify (sender, ph_slice (buf, sizeof purpose + fields.len), signature.data))
    return PH_ENVELOPE_BAD_SIGNATURE;
  if (!ph_epoch_equal (&envelope.receiver_epoch, own_epoch))
    return PH_ENVELOPE_WRONG_EPOCH;

  const unsigned at = guard_find (guard, &envelope.sender_epoch);

  if (at == PH_ENVELOPE_EPOCHS_MAX)
    return PH_ENVELOPE_TOO_MANY_EPOCHS;
  if (envelope.sequence <= (at < guard->n ? guard->seen[at].sequence : 0))
    return PH_ENVELOPE_REPLAYED;

  if (at == guard->n) {
    guard->n++;
    guard->seen[at].epoch = envelope.sender_epoch;
  }
  guard->seen[at].sequence = envelope.sequence;
  *ret_envelope = envelope;
  return PH_ENVELOPE_OK;
}
