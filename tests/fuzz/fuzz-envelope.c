/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The input as a sealed envelope, and as the inside of one that is sealed rightly: everything a
 * contact can send. Also as an acceptance. */

#include "net/signal/ph-envelope.h"
#include "net/signal/ph-invitation.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const uint8_t seeds[2][32] = {{1}, {2}};
  static uint8_t sealed[PH_ENVELOPE_MAX + 64];
  static uint8_t plain[PH_ENVELOPE_MAX];
  const uint8_t secret[PH_INVITATION_SECRET_LEN] = {0};
  PhRandomSeeded state;
  PhIdentity us;
  PhIdentity them;
  PhEpoch epoch = {{0}};
  PhEnvelopeGuard guard = {0};
  PhEnvelope envelope;
  PhAcceptance acceptance;

  ph_random_seeded_init (&state, 1);
  const PhRandom random = ph_random_seeded (&state);

  ph_identity_from_seed (&us, seeds[0]);
  ph_identity_from_seed (&them, seeds[1]);
  ph_envelope_open (ph_slice (data, size), &us, &them.id, &epoch, &guard, plain, &envelope);
  if (size > PH_ENVELOPE_MAX)
    return 0;

  ph_device_id_seal (&us.id, &random, ph_slice (data, size), sealed);

  const PhSlice in = ph_slice (sealed, size + PH_SEAL_OVERHEAD);

  ph_envelope_open (in, &us, &them.id, &epoch, &guard, plain, &envelope);
  ph_acceptance_open (in, PH_ACCEPTANCE_ACCEPT, secret, &us, &them.id, &acceptance);
  return 0;
}
