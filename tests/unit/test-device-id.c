/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Device IDs against BIP-350 and RFC 8032, typing mistakes, sealing against libsodium's own. */

#include "net/signal/ph-bech32m.h"
#include "net/signal/ph-device-id.h"
#include "tests/support/ph-test.h"

#include <sodium.h>

static PhSlice
unhex (const char *hex, uint8_t *out, size_t cap)
{
  size_t len;

  g_assert_cmpint (sodium_hex2bin (out, cap, hex, strlen (hex), NULL, &len, NULL), ==, 0);
  return ph_slice (out, len);
}

static bool
bech32m_is_valid (const char *text)
{
  g_autofree char *lower = g_ascii_strdown (text, -1);
  char *separator = strrchr (lower, '1');
  uint8_t symbols[128];
  size_t n = 0;

  *separator = '\0';
  for (const char *c = separator + 1; *c != '\0'; c++) {
    const char *at = strchr (PH_BECH32_ALPHABET, *c);

    if (at == NULL)
      return false;
    symbols[n++] = (uint8_t)(at - PH_BECH32_ALPHABET);
  }
  return n >= 6 && ph_bech32m_polymod (lower, symbols, n) == PH_BECH32M_CONST;
}

static void
test_bip_350_vectors (void)
{
  static const char *const valid[] = {
      "A1LQFN3A",
      "a1lqfn3a",
      "an83characterlonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11sg7hg6",
      "abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx",
      "11llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllludsr8",
      "split1checkupstagehandshakeupstreamerranterredcaperredlc445v",
      "?1v759aa",
  };
  static const char *const invalid[] = {"y1b0jsk6g", "lt1igcx5c0", "in1muywd",
                                        "mm1crxm3i", "au1s5cgom",  "M1VUXWEZ"};

  for (size_t i = 0; i < G_N_ELEMENTS (valid); i++)
    g_assert_true (bech32m_is_valid (valid[i]));
  for (size_t i = 0; i < G_N_ELEMENTS (invalid); i++)
    g_assert_false (bech32m_is_valid (invalid[i]));
}

static const struct {
  const char *seed;
  const char *key;
  const char *id;
} rfc_8032[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
     "6adfsq-vzky9t-042tlm-fujeq8-8g8wzu-hnm2nz-xfd0qg-dx3ac8-2ydq95-spg7"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
     "84qp0s-lggwy4-4y4hp2-n56xm7-hjwfst-x09mzf-drxqe4-2lz2h5-vcxqfm-dl2z"},
};

static void
test_known_ids (void)
{
  for (size_t i = 0; i < G_N_ELEMENTS (rfc_8032); i++) {
    uint8_t seed[32];
    uint8_t key[32];
    char text[PH_DEVICE_ID_STRING_MAX];
    PhIdentity identity;
    PhDeviceId id;

    unhex (rfc_8032[i].seed, seed, sizeof seed);
    unhex (rfc_8032[i].key, key, sizeof key);
    ph_identity_from_seed (&identity, seed);
    g_assert_cmpmem (identity.id.key, 32, key, 32);
    g_assert_cmpstr (ph_device_id_format (&identity.id, text), ==, rfc_8032[i].id);
    g_assert_cmpint (ph_device_id_parse (rfc_8032[i].id, &id), ==, PH_DEVICE_ID_OK);
    g_assert_true (ph_device_id_equal (&id, &identity.id));
  }
}

static void
test_signature_is_rfc_8032 (void)
{
  uint8_t seed[32];
  uint8_t expected[64];
  uint8_t signature[64];
  const uint8_t message[] = {0x72};
  PhIdentity identity;

  unhex (rfc_8032[1].seed, seed, sizeof seed);
  unhex ("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
         "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
         expected, sizeof expected);
  ph_identity_from_seed (&identity, seed);
  ph_identity_sign (&identity, ph_slice (message, 1), signature);
  g_assert_cmpmem (signature, 64, expected, 64);
  g_assert_true (ph_device_id_verify (&identity.id, ph_slice (message, 1), signature));
  signature[3] ^= 1;
  g_assert_false (ph_device_id_verify (&identity.id, ph_slice (message, 1), signature));
}

static void
test_reading_is_tolerant (void)
{
  g_autofree char *upper = g_ascii_strup (rfc_8032[0].id, -1);
  g_auto (GStrv) groups = g_strsplit (upper, "-", -1);
  g_autofree char *spaced = g_strjoinv (" \n", groups);
  g_autofree char *bare = g_strjoinv ("", groups);
  PhDeviceId a;
  PhDeviceId b;

  g_assert_cmpint (ph_device_id_parse (spaced, &a), ==, PH_DEVICE_ID_OK);
  g_assert_cmpint (ph_device_id_parse (bare, &b), ==, PH_DEVICE_ID_OK);
  g_assert_true (ph_device_id_equal (&a, &b));
  g_assert_cmpuint (strlen (bare), ==, PH_DEVICE_ID_CHARS);
}

/* Every single wrong character, every swap of neighbours, and random quadruple mistakes. */
static void
test_typing_mistakes_are_noticed (void)
{
  PhRandomSeeded state;
  PhRandom random = ph_test_random (&state, "typing");
  PhDeviceId id;
  const size_t len = strlen (rfc_8032[0].id);

  for (size_t i = 0; i < len; i++) {
    g_autofree char *text = g_strdup (rfc_8032[0].id);

    if (text[i] == '-')
      continue;
    for (const char *c = PH_BECH32_ALPHABET; *c != '\0'; c++) {
      text[i] = *c;
      if (*c != rfc_8032[0].id[i])
        g_assert_cmpint (ph_device_id_parse (text, &id), ==, PH_DEVICE_ID_BAD_CHECK);
    }
    text[i] = rfc_8032[0].id[i];
    if (i + 1 < len && text[i + 1] != '-' && text[i] != text[i + 1]) {
      text[i] = text[i + 1];
      text[i + 1] = rfc_8032[0].id[i];
      g_assert_cmpint (ph_device_id_parse (text, &id), ==, PH_DEVICE_ID_BAD_CHECK);
    }
  }
  for (unsigned round = 0; round < 2000; round++) {
    g_autofree char *text = g_strdup (rfc_8032[0].id);

    for (unsigned k = 0; k < 4; k++) {
      const size_t at = ph_random_below (&random, len);

      if (text[at] != '-')
        text[at] = PH_BECH32_ALPHABET[ph_random_below (&random, 32)];
    }
    if (strcmp (text, rfc_8032[0].id) != 0)
      g_assert_cmpint (ph_device_id_parse (text, &id), ==, PH_DEVICE_ID_BAD_CHECK);
  }
}

static void
test_nonsense_is_refused (void)
{
  PhDeviceId id = {0};
  g_autofree char *shorter = g_strndup (rfc_8032[0].id, strlen (rfc_8032[0].id) - 1);
  g_autofree char *longer = g_strconcat (rfc_8032[0].id, "q", NULL);

  g_assert_cmpint (ph_device_id_parse ("", &id), ==, PH_DEVICE_ID_BAD_LENGTH);
  g_assert_cmpint (ph_device_id_parse (shorter, &id), ==, PH_DEVICE_ID_BAD_LENGTH);
  g_assert_cmpint (ph_device_id_parse (longer, &id), ==, PH_DEVICE_ID_BAD_LENGTH);
  g_assert_cmpint (ph_device_id_parse ("b", &id), ==, PH_DEVICE_ID_BAD_CHARACTER);
  g_assert_cmpint (ph_device_id_parse ("\xc3\xa4", &id), ==, PH_DEVICE_ID_BAD_CHARACTER);
  g_assert_false (ph_device_id_is_set (&id));
}

/* Points of small order and second spellings: their IDs are well formed and no devices. */
static void
test_unusable_keys_are_refused (void)
{
  static const char *const keys[] = {
      "0000000000000000000000000000000000000000000000000000000000000000",
      "0100000000000000000000000000000000000000000000000000000000000000",
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
      "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
  };

  for (size_t i = 0; i < G_N_ELEMENTS (keys); i++) {
    PhDeviceId bad;
    PhDeviceId id;
    char text[PH_DEVICE_ID_STRING_MAX];

    unhex (keys[i], bad.key, sizeof bad.key);
    g_assert_false (ph_device_id_from_bytes (ph_slice (bad.key, 32), &id));
    g_assert_cmpint (ph_device_id_parse (ph_device_id_format (&bad, text), &id), ==,
                     PH_DEVICE_ID_BAD_KEY);
  }
}

static void
test_seal_is_crypto_box_seal (void)
{
  PhRandomSeeded state;
  PhRandom random = ph_test_random (&state, "seal");
  PhIdentity identity;
  uint8_t sealed[100 + PH_SEAL_OVERHEAD];
  uint8_t theirs[100 + PH_SEAL_OVERHEAD];
  uint8_t plain[100];
  uint8_t out[100];
  uint8_t box_public[32];
  uint8_t box_secret[32];
  uint8_t secret[64];
  uint8_t public[32];

  ph_identity_generate (&identity, &random);
  ph_random_bytes (&random, plain, sizeof plain);
  crypto_sign_seed_keypair (public, secret, identity.seed);
  g_assert_cmpint (crypto_sign_ed25519_pk_to_curve25519 (box_public, public), ==, 0);
  g_assert_cmpint (crypto_sign_ed25519_sk_to_curve25519 (box_secret, secret), ==, 0);

  ph_device_id_seal (&identity.id, &random, ph_slice (plain, sizeof plain), sealed);
  g_assert_cmpint (crypto_box_seal_open (out, sealed, sizeof sealed, box_public, box_secret), ==,
                   0);
  g_assert_cmpmem (out, sizeof out, plain, sizeof plain);

  g_assert_cmpint (crypto_box_seal (theirs, plain, sizeof plain, box_public), ==, 0);
  memset (out, 0, sizeof out);
  g_assert_true (ph_identity_unseal (&identity, ph_slice (theirs, sizeof theirs), out));
  g_assert_cmpmem (out, sizeof out, plain, sizeof plain);

  for (size_t i = 0; i < sizeof theirs; i++) {
    theirs[i] ^= 0x40;
    g_assert_false (ph_identity_unseal (&identity, ph_slice (theirs, sizeof theirs), out));
    theirs[i] ^= 0x40;
  }
  g_assert_false (ph_identity_unseal (&identity, ph_slice (theirs, PH_SEAL_OVERHEAD - 1), out));

  ph_identity_wipe (&identity);
  g_assert_true (sodium_is_zero ((const uint8_t *)&identity, sizeof identity));
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/device-id/bip-350-vectors", test_bip_350_vectors);
  g_test_add_func ("/device-id/known-ids", test_known_ids);
  g_test_add_func ("/device-id/signature-is-rfc-8032", test_signature_is_rfc_8032);
  g_test_add_func ("/device-id/reading-is-tolerant", test_reading_is_tolerant);
  g_test_add_func ("/device-id/typing-mistakes-are-noticed", test_typing_mistakes_are_noticed);
  g_test_add_func ("/device-id/nonsense-is-refused", test_nonsense_is_refused);
  g_test_add_func ("/device-id/unusable-keys-are-refused", test_unusable_keys_are_refused);
  g_test_add_func ("/device-id/seal-is-crypto-box-seal", test_seal_is_crypto_box_seal);
  return g_test_run ();
}
