/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/signal/ph-device-id.h"

#include "net/link/ph-link.h"
#include "net/signal/ph-bech32m.h"

#include <sodium.h>

#define HRP "ph"
#define GROUP_LEN 6
#define DATA_CHARS (PH_DEVICE_ID_CHARS - PH_BECH32M_CHECK_LEN)

G_STATIC_ASSERT (PH_DEVICE_ID_LEN == PH_KEY_LEN);
G_STATIC_ASSERT (PH_DEVICE_ID_LEN == crypto_sign_PUBLICKEYBYTES);
G_STATIC_ASSERT (PH_IDENTITY_SEED_LEN == crypto_sign_SEEDBYTES);
G_STATIC_ASSERT (PH_SIGNATURE_LEN == crypto_sign_BYTES);
G_STATIC_ASSERT (PH_SEAL_OVERHEAD == crypto_box_SEALBYTES);
G_STATIC_ASSERT (DATA_CHARS * 5 == PH_DEVICE_ID_LEN * 8 + 4);
G_STATIC_ASSERT (PH_DEVICE_ID_CHARS + PH_DEVICE_ID_CHARS / GROUP_LEN < PH_DEVICE_ID_STRING_MAX);

static bool
key_is_usable (const uint8_t key[PH_DEVICE_ID_LEN])
{
  uint8_t curve[crypto_scalarmult_curve25519_BYTES];

  /* The first also refuses second spellings of one point, which would be one device with two ids. */
  return crypto_core_ed25519_is_valid_point (key) == 1
         && crypto_sign_ed25519_pk_to_curve25519 (curve, key) == 0;
}

PhDeviceIdError
ph_device_id_parse (const char *text, PhDeviceId *ret_id)
{
  uint8_t symbols[PH_DEVICE_ID_CHARS];
  size_t n = 0;

  for (const char *c = text; *c != '\0'; c++) {
    if (*c == '-' || g_ascii_isspace (*c))
      continue;

    const char *at = strchr (PH_BECH32_ALPHABET, g_ascii_tolower (*c));

    if (at == NULL)
      return PH_DEVICE_ID_BAD_CHARACTER;
    if (n == PH_DEVICE_ID_CHARS)
      return PH_DEVICE_ID_BAD_LENGTH;
    symbols[n++] = (uint8_t)(at - PH_BECH32_ALPHABET);
  }
  if (n != PH_DEVICE_ID_CHARS)
    return PH_DEVICE_ID_BAD_LENGTH;
  if (ph_bech32m_polymod (HRP, symbols, n) != PH_BECH32M_CONST)
    return PH_DEVICE_ID_BAD_CHECK;

  PhDeviceId id;
  unsigned acc = 0;
  unsigned bits = 0;
  size_t len = 0;

  for (size_t i = 0; i < DATA_CHARS; i++) {
    acc = (acc << 5 | symbols[i]) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      id.key[len++] = (uint8_t)(acc >> bits);
    }
  }
  g_assert (len == PH_DEVICE_ID_LEN);
  if ((acc & ((1u << bits) - 1)) != 0 || !key_is_usable (id.key))
    return PH_DEVICE_ID_BAD_KEY;
  *ret_id = id;
  return PH_DEVICE_ID_OK;
}

const char *
ph_device_id_format (const PhDeviceId *id, char out[PH_DEVICE_ID_STRING_MAX])
{
  uint8_t symbols[PH_DEVICE_ID_CHARS];
  unsigned acc = 0;
  unsigned bits = 0;
  size_t n = 0;

  for (size_t i = 0; i < PH_DEVICE_ID_LEN; i++) {
    acc = (acc << 8 | id->key[i]) & 0xfff;
    for (bits += 8; bits >= 5;) {
      bits -= 5;
      symbols[n++] = acc >> bits & 31;
    }
  }
  symbols[n++] = acc << (5 - bits) & 31;
  g_assert (n == DATA_CHARS);
  ph_bech32m_sign (HRP, symbols, PH_DEVICE_ID_CHARS);

  char *p = out;

  for (size_t i = 0; i < PH_DEVICE_ID_CHARS; i++) {
    if (i > 0 && i % GROUP_LEN == 0)
      *p++ = '-';
    *p++ = PH_BECH32_ALPHABET[symbols[i]];
  }
  *p = '\0';
  return out;
}

bool
ph_device_id_from_bytes (PhSlice key, PhDeviceId *ret_id)
{
  if (key.len != PH_DEVICE_ID_LEN || !key_is_usable (key.data))
    return false;
  memcpy (ret_id->key, key.data, PH_DEVICE_ID_LEN);
  return true;
}

bool
ph_device_id_equal (const PhDeviceId *a, const PhDeviceId *b)
{
  return ph_device_id_compare (a, b) == 0;
}

int
ph_device_id_compare (const PhDeviceId *a, const PhDeviceId *b)
{
  return memcmp (a->key, b->key, PH_DEVICE_ID_LEN);
}

bool
ph_device_id_is_set (const PhDeviceId *id)
{
  static const PhDeviceId nobody;

  return !ph_device_id_equal (id, &nobody);
}

unsigned
ph_device_id_hash (const void *id)
{
  unsigned hash;

  /* A key's bytes are as good as random. Who grinds keys for collisions gains one slow bucket. */
  memcpy (&hash, ((const PhDeviceId *)id)->key, sizeof hash);
  return hash;
}

int
ph_device_id_hash_equal (const void *a, const void *b)
{
  return ph_device_id_equal (a, b);
}

void
ph_identity_generate (PhIdentity *self, const PhRandom *random)
{
  uint8_t seed[PH_IDENTITY_SEED_LEN];

  ph_random_bytes (random, seed, sizeof seed);
  ph_identity_from_seed (self, seed);
  sodium_memzero (seed, sizeof seed);
}

void
ph_identity_from_seed (PhIdentity *self, const uint8_t seed[PH_IDENTITY_SEED_LEN])
{
  uint8_t secret[crypto_sign_SECRETKEYBYTES];

  memmove (self->seed, seed, sizeof self->seed);
  crypto_sign_seed_keypair (self->id.key, secret, self->seed);
  sodium_memzero (secret, sizeof secret);
}

void
ph_identity_wipe (PhIdentity *self)
{
  sodium_memzero (self, sizeof *self);
}

/* libsodium's secret key is the seed followed by the public key. */
static void
secret_key (const PhIdentity *self, uint8_t ret_secret[crypto_sign_SECRETKEYBYTES])
{
  memcpy (ret_secret, self->seed, PH_IDENTITY_SEED_LEN);
  memcpy (ret_secret + PH_IDENTITY_SEED_LEN, self->id.key, PH_DEVICE_ID_LEN);
}

void
ph_identity_sign (const PhIdentity *self, PhSlice message, uint8_t ret_signature[PH_SIGNATURE_LEN])
{
  uint8_t secret[crypto_sign_SECRETKEYBYTES];

  secret_key (self, secret);
  crypto_sign_detached (ret_signature, NULL, message.data, message.len, secret);
  sodium_memzero (secret, sizeof secret);
}

bool
ph_device_id_verify (const PhDeviceId *id, PhSlice message,
                     const uint8_t signature[PH_SIGNATURE_LEN])
{
  return crypto_sign_verify_detached (signature, message.data, message.len, id->key) == 0;
}

void
ph_device_id_seal (const PhDeviceId *id, const PhRandom *random, PhSlice in, uint8_t *out)
{
  uint8_t seed[crypto_box_SEEDBYTES];
  uint8_t ephemeral[crypto_box_SECRETKEYBYTES];
  uint8_t receiver[crypto_box_PUBLICKEYBYTES];
  uint8_t nonce[crypto_box_NONCEBYTES];
  crypto_generichash_state state;

  if (crypto_sign_ed25519_pk_to_curve25519 (receiver, id->key) != 0)
    g_error ("sealing for a key that is no device");
  ph_random_bytes (random, seed, sizeof seed);
  crypto_box_seed_keypair (out, ephemeral, seed);
  crypto_generichash_init (&state, NULL, 0, sizeof nonce);
  crypto_generichash_update (&state, out, crypto_box_PUBLICKEYBYTES);
  crypto_generichash_update (&state, receiver, sizeof receiver);
  crypto_generichash_final (&state, nonce, sizeof nonce);
  if (crypto_box_easy (out + crypto_box_PUBLICKEYBYTES, in.data, in.len, nonce, receiver, ephemeral)
      != 0)
    g_error ("sealing failed");
  sodium_memzero (ephemeral, sizeof ephemeral);
  sodium_memzero (seed, sizeof seed);
}

bool
ph_identity_unseal (const PhIdentity *self, PhSlice in, uint8_t *out)
{
  uint8_t secret[crypto_sign_SECRETKEYBYTES];
  uint8_t box_secret[crypto_box_SECRETKEYBYTES];
  uint8_t box_public[crypto_box_PUBLICKEYBYTES];
  bool ok;

  if (in.len < PH_SEAL_OVERHEAD)
    return false;
  if (crypto_sign_ed25519_pk_to_curve25519 (box_public, self->id.key) != 0)
    g_error ("our own key is no device");
  secret_key (self, secret);
  crypto_sign_ed25519_sk_to_curve25519 (box_secret, secret);
  ok = crypto_box_seal_open (out, in.data, in.len, box_public, box_secret) == 0;
  sodium_memzero (secret, sizeof secret);
  sodium_memzero (box_secret, sizeof box_secret);
  return ok;
}
