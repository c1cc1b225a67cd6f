/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sealed signals: what a dishonest server or contact can do with them is nothing. */

#include "net/signal/ph-envelope.h"
#include "tests/support/ph-test.h"

typedef struct {
  PhRandomSeeded state;
  PhRandom random;
  PhIdentity alice;
  PhIdentity bob;
  PhIdentity eve;
  PhEpoch alice_epoch;
  PhEpoch bob_epoch;
  PhEnvelopeGuard guard; /* Bob's for Alice */
  uint8_t sealed[PH_ENVELOPE_MAX];
  uint8_t plain[PH_ENVELOPE_MAX];
} Fixture;

static void
set_up (Fixture *f, const void *data)
{
  f->random = ph_test_random (&f->state, "envelope");
  ph_identity_generate (&f->alice, &f->random);
  ph_identity_generate (&f->bob, &f->random);
  ph_identity_generate (&f->eve, &f->random);
  ph_random_bytes (&f->random, &f->alice_epoch, sizeof f->alice_epoch);
  ph_random_bytes (&f->random, &f->bob_epoch, sizeof f->bob_epoch);
  f->guard.n = 0;
}

static void
tear_down (Fixture *f, const void *data)
{
}

static PhEnvelope
from_alice (const Fixture *f, uint64_t sequence)
{
  return (PhEnvelope){
      .sender = f->alice.id,
      .receiver = f->bob.id,
      .receiver_epoch = f->bob_epoch,
      .sender_epoch = f->alice_epoch,
      .session = 77,
      .sequence = sequence,
      .body = ph_slice_string ("hello"),
  };
}

static PhEnvelopeError
open_at_bob (Fixture *f, size_t len)
{
  PhEnvelope envelope;

  return ph_envelope_open (ph_slice (f->sealed, len), &f->bob, &f->alice.id, &f->bob_epoch,
                           &f->guard, f->plain, &envelope);
}

static void
test_round_trip (Fixture *f, const void *data)
{
  uint8_t body[PH_ENVELOPE_BODY_MAX];
  const size_t lens[] = {0, 1, 1000, PH_ENVELOPE_BODY_MAX};

  ph_random_bytes (&f->random, body, sizeof body);
  for (size_t i = 0; i < G_N_ELEMENTS (lens); i++) {
    PhEnvelope in = from_alice (f, i + 1);
    PhEnvelope out;

    in.body = ph_slice (body, lens[i]);

    const size_t len = ph_envelope_seal (&in, &f->alice, &f->random, f->sealed);

    g_assert_cmpuint (len, ==, lens[i] + PH_ENVELOPE_OVERHEAD);
    g_assert_cmpint (ph_envelope_open (ph_slice (f->sealed, len), &f->bob, &f->alice.id,
                                       &f->bob_epoch, &f->guard, f->plain, &out),
                     ==, PH_ENVELOPE_OK);
    g_assert_true (ph_slice_equal (out.body, in.body));
    g_assert_cmpuint (out.session, ==, 77);
    g_assert_cmpuint (out.sequence, ==, i + 1);
    g_assert_true (ph_epoch_equal (&out.sender_epoch, &f->alice_epoch));
  }
}

static void
test_every_flipped_bit_is_noticed (Fixture *f, const void *data)
{
  const PhEnvelope in = from_alice (f, 1);
  const size_t len = ph_envelope_seal (&in, &f->alice, &f->random, f->sealed);

  for (size_t i = 0; i < len; i++) {
    f->sealed[i] ^= (uint8_t)(1u << i % 8);
    g_assert_cmpint (open_at_bob (f, len), ==, PH_ENVELOPE_NOT_SEALED_FOR_US);
    f->sealed[i] ^= (uint8_t)(1u << i % 8);
  }
  for (size_t cut = 0; cut < len; cut++)
    g_assert_cmpint (open_at_bob (f, cut), !=, PH_ENVELOPE_OK);
  g_assert_cmpuint (f->guard.n, ==, 0);
  g_assert_cmpint (open_at_bob (f, len), ==, PH_ENVELOPE_OK);
}

static void
test_sequence_must_rise (Fixture *f, const void *data)
{
  const uint64_t sequences[] = {5, 5, 4, 6, 1, UINT64_MAX, UINT64_MAX};
  const PhEnvelopeError expected[] = {
      PH_ENVELOPE_OK,       PH_ENVELOPE_REPLAYED, PH_ENVELOPE_REPLAYED, PH_ENVELOPE_OK,
      PH_ENVELOPE_REPLAYED, PH_ENVELOPE_OK,       PH_ENVELOPE_REPLAYED};

  for (size_t i = 0; i < G_N_ELEMENTS (sequences); i++) {
    const PhEnvelope in = from_alice (f, sequences[i]);

    g_assert_cmpint (open_at_bob (f, ph_envelope_seal (&in, &f->alice, &f->random, f->sealed)), ==,
                     expected[i]);
  }
}

/* A server keeps what Alice sent in one login and delivers it again in her next. */
static void
test_replay_of_an_earlier_login (Fixture *f, const void *data)
{
  uint8_t kept[PH_ENVELOPE_MAX];
  const PhEnvelope first = from_alice (f, 1);
  const size_t kept_len = ph_envelope_seal (&first, &f->alice, &f->random, kept);
  PhEnvelope out;

  memcpy (f->sealed, kept, kept_len);
  g_assert_cmpint (open_at_bob (f, kept_len), ==, PH_ENVELOPE_OK);

  ph_random_bytes (&f->random, &f->alice_epoch, sizeof f->alice_epoch);
  PhEnvelope second = from_alice (f, 1);
  g_assert_cmpint (open_at_bob (f, ph_envelope_seal (&second, &f->alice, &f->random, f->sealed)),
                   ==, PH_ENVELOPE_OK);
  g_assert_cmpint (ph_envelope_open (ph_slice (kept, kept_len), &f->bob, &f->alice.id,
                                     &f->bob_epoch, &f->guard, f->plain, &out),
                   ==, PH_ENVELOPE_REPLAYED);

  /* Bob logs in anew: his guard is empty, and nothing of before is for his new epoch. */
  ph_random_bytes (&f->random, &f->bob_epoch, sizeof f->bob_epoch);
  f->guard.n = 0;
  g_assert_cmpint (ph_envelope_open (ph_slice (kept, kept_len), &f->bob, &f->alice.id,
                                     &f->bob_epoch, &f->guard, f->plain, &out),
                   ==, PH_ENVELOPE_WRONG_EPOCH);
}

static void
test_guard_is_bounded (Fixture *f, const void *data)
{
  for (unsigned i = 0; i <= PH_ENVELOPE_EPOCHS_MAX; i++) {
    ph_random_bytes (&f->random, &f->alice_epoch, sizeof f->alice_epoch);

    const PhEnvelope in = from_alice (f, 1);

    g_assert_cmpint (open_at_bob (f, ph_envelope_seal (&in, &f->alice, &f->random, f->sealed)), ==,
                     i < PH_ENVELOPE_EPOCHS_MAX ? PH_ENVELOPE_OK : PH_ENVELOPE_TOO_MANY_EPOCHS);
  }
}

static void
test_somebody_elses (Fixture *f, const void *data)
{
  PhEnvelope in = from_alice (f, 1);
  PhEnvelope out;

  /* For Eve, not Bob. */
  in.receiver = f->eve.id;
  size_t len = ph_envelope_seal (&in, &f->alice, &f->random, f->sealed);
  g_assert_cmpint (open_at_bob (f, len), ==, PH_ENVELOPE_NOT_SEALED_FOR_US);

  /* Eve opens it and seals the signed contents anew, for Bob. */
  uint8_t inner[PH_ENVELOPE_MAX];
  g_assert_true (ph_identity_unseal (&f->eve, ph_slice (f->sealed, len), inner));
  ph_device_id_seal (&f->bob.id, &f->random, ph_slice (inner, len - PH_SEAL_OVERHEAD), f->sealed);
  g_assert_cmpint (open_at_bob (f, len), ==, PH_ENVELOPE_WRONG_RECEIVER);

  /* Eve writes Bob's name over it: the signature does not fit any more. */
  memcpy (inner + 1 + 32, f->bob.id.key, 32);
  ph_device_id_seal (&f->bob.id, &f->random, ph_slice (inner, len - PH_SEAL_OVERHEAD), f->sealed);
  g_assert_cmpint (open_at_bob (f, len), ==, PH_ENVELOPE_BAD_SIGNATURE);

  /* Eve's own, which the server says is Alice's. */
  in = from_alice (f, 1);
  in.sender = f->eve.id;
  len = ph_envelope_seal (&in, &f->eve, &f->random, f->sealed);
  g_assert_cmpint (open_at_bob (f, len), ==, PH_ENVELOPE_WRONG_SENDER);

  /* Alice's own echoed to Alice. */
  in = from_alice (f, 1);
  len = ph_envelope_seal (&in, &f->alice, &f->random, f->sealed);
  g_assert_cmpint (ph_envelope_open (ph_slice (f->sealed, len), &f->alice, &f->alice.id,
                                     &f->alice_epoch, &f->guard, f->plain, &out),
                   ==, PH_ENVELOPE_NOT_SEALED_FOR_US);
  g_assert_cmpuint (f->guard.n, ==, 0);
}

static void
test_broken_contents (Fixture *f, const void *data)
{
  const PhEnvelope in = from_alice (f, 1);
  const size_t len = ph_envelope_seal (&in, &f->alice, &f->random, f->sealed);
  const size_t plain_len = len - PH_SEAL_OVERHEAD;
  uint8_t inner[PH_ENVELOPE_MAX] = {0};

  g_assert_true (ph_identity_unseal (&f->bob, ph_slice (f->sealed, len), inner));

  inner[0] = 2;
  ph_device_id_seal (&f->bob.id, &f->random, ph_slice (inner, plain_len), f->sealed);
  g_assert_cmpint (open_at_bob (f, len), ==, PH_ENVELOPE_UNKNOWN_VERSION);
  inner[0] = 1;

  ph_device_id_seal (&f->bob.id, &f->random, ph_slice (inner, plain_len + 1), f->sealed);
  g_assert_cmpint (open_at_bob (f, len + 1), ==, PH_ENVELOPE_MALFORMED);

  inner[1 + 32 + 32 + 16 + 16 + 8 + 8] = 0xff; /* the body's length */
  ph_device_id_seal (&f->bob.id, &f->random, ph_slice (inner, plain_len), f->sealed);
  g_assert_cmpint (open_at_bob (f, len), ==, PH_ENVELOPE_MALFORMED);
}

#define ADD(name, func) g_test_add ("/envelope/" name, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  ADD ("round-trip", test_round_trip);
  ADD ("every-flipped-bit-is-noticed", test_every_flipped_bit_is_noticed);
  ADD ("sequence-must-rise", test_sequence_must_rise);
  ADD ("replay-of-an-earlier-login", test_replay_of_an_earlier_login);
  ADD ("guard-is-bounded", test_guard_is_bounded);
  ADD ("somebody-elses", test_somebody_elses);
  ADD ("broken-contents", test_broken_contents);
  return g_test_run ();
}
