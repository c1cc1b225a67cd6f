/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A signal on its way through the rendezvous server: signed by the sender, sealed for the receiver.
 *
 *   sealed = seal (receiver, version u8 (1), sender 32, receiver 32, receiver's epoch 16,
 *                  sender's epoch 16, session u64, sequence u64, body u16 + bytes, signature 64)
 *   signature = Ed25519 (sender, "porthole/1 signal" NUL and all fields before it)
 *
 * Every device draws an epoch (a nonce of 16 bytes) per login. A receiver takes only what was made
 * for its current epoch and, per sender epoch, only rising sequence numbers: nothing can be replayed, and
 * no clock is needed. The server, which spreads the epochs, can keep signals from arriving and
 * nothing else. */

#pragma once

#include "net/signal/ph-device-id.h"

#define PH_EPOCH_LEN 16
/* Parameters and some dozen candidates take about 1 KiB; this keeps a base64 envelope with its JSON
 * far below the rendezvous frame of 64 KiB. */
#define PH_ENVELOPE_BODY_MAX 16384
#define PH_ENVELOPE_OVERHEAD                                                                       \
  (1 + 32 + 32 + 16 + 16 + 8 + 8 + 2 + PH_SIGNATURE_LEN + PH_SEAL_OVERHEAD)
#define PH_ENVELOPE_MAX (PH_ENVELOPE_BODY_MAX + PH_ENVELOPE_OVERHEAD)

typedef struct {
  uint8_t nonce[PH_EPOCH_LEN];
} PhEpoch;

static inline bool
ph_epoch_equal (const PhEpoch *a, const PhEpoch *b)
{
  return memcmp (a->nonce, b->nonce, PH_EPOCH_LEN) == 0;
}

typedef struct {
  PhDeviceId sender;
  PhDeviceId receiver;
  PhEpoch receiver_epoch;
  PhEpoch sender_epoch;
  uint64_t session;
  uint64_t sequence; /* from 1 */
  PhSlice body; /* at most PH_ENVELOPE_BODY_MAX */
} PhEnvelope;

typedef enum {
  PH_ENVELOPE_OK,
  PH_ENVELOPE_NOT_SEALED_FOR_US,
  PH_ENVELOPE_MALFORMED,
  PH_ENVELOPE_UNKNOWN_VERSION,
  PH_ENVELOPE_WRONG_SENDER, /* not who the server said it is from */
  PH_ENVELOPE_WRONG_RECEIVER, /* signed for somebody else and sealed anew for us */
  PH_ENVELOPE_WRONG_EPOCH, /* made for an earlier login of ours */
  PH_ENVELOPE_BAD_SIGNATURE,
  PH_ENVELOPE_REPLAYED, /* sequence did not rise */
  PH_ENVELOPE_TOO_MANY_EPOCHS, /* the guard is full: log in anew for a fresh epoch */
} PhEnvelopeError;

const char *ph_envelope_error_code (PhEnvelopeError error);

/* Per contact and own epoch: which sender epochs were seen, and how far. Zero it when the own epoch
 * changes. */
#define PH_ENVELOPE_EPOCHS_MAX 32 /* logins of a contact during one of ours */
typedef struct {
  unsigned n;
  struct {
    PhEpoch epoch;
    uint64_t sequence;
  } seen[PH_ENVELOPE_EPOCHS_MAX];
} PhEnvelopeGuard;

/* Signs and seals. `envelope->sender` must be the identity's. `out` has room for PH_ENVELOPE_MAX; returns
 * the length. */
size_t ph_envelope_seal (const PhEnvelope *envelope, const PhIdentity *identity,
                         const PhRandom *random, uint8_t out[PH_ENVELOPE_MAX]);

/* Opens what came from `sender` for `identity` in its epoch `own_epoch`; `guard` is the sender's and
 * moves only on success. `plain` (PH_ENVELOPE_MAX bytes) receives the contents: ret_envelope->body
 * points into it. Everything is checked before anything is given out. */
PhEnvelopeError
ph_envelope_open (PhSlice sealed, const PhIdentity *identity, const PhDeviceId *sender,
                  const PhEpoch *own_epoch, PhEnvelopeGuard *guard, uint8_t plain[PH_ENVELOPE_MAX],
                  PhEnvelope *ret_envelope);
