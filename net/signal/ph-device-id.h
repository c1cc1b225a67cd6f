/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who a device is: an Ed25519 key, and how its public half is written for people.
 *
 * Printed form: the 32 bytes in base32 (52 characters, the four pad bits zero), followed by the six check
 * characters of Bech32m (BIP-350: the checksum over the human-readable part "ph" and the data), in
 * Bech32's alphabet, which has neither 1, b, i nor o. Any four wrong characters and any swap are
 * noticed. The human-readable part is not printed. Shown in groups of six, parted by dashes:
 *
 *   qqqqqq-qqqqqq-...-qqqqqq-qqqq
 *
 * Reading is indifferent to case, spaces and dashes. Keys that are not points of the prime-order
 * subgroup (crypto_sign_ed25519_pk_to_curve25519 fails) are no devices. */

#pragma once

#include "net/base/ph-bytes.h"
#include "net/base/ph-random.h"

#include <glib.h>

#define PH_DEVICE_ID_LEN 32
/* Characters without dashes: 52 of data, 6 of check. */
#define PH_DEVICE_ID_CHARS 58
/* Room for the printed form (67 characters) and the NUL. */
#define PH_DEVICE_ID_STRING_MAX 72

#define PH_IDENTITY_SEED_LEN 32
#define PH_SIGNATURE_LEN 64

/* The public key. A plain value: compare, hash and copy it. All zeros is nobody. */
typedef struct {
  uint8_t key[PH_DEVICE_ID_LEN];
} PhDeviceId;

typedef enum {
  PH_DEVICE_ID_OK,
  PH_DEVICE_ID_BAD_CHARACTER, /* one that the alphabet does not have */
  PH_DEVICE_ID_BAD_LENGTH,
  PH_DEVICE_ID_BAD_CHECK, /* mistyped */
  PH_DEVICE_ID_BAD_KEY, /* written right, and no usable key */
} PhDeviceIdError;

PhDeviceIdError ph_device_id_parse (const char *text, PhDeviceId *ret_id);
/* Formats into `out` and returns it. */
const char *ph_device_id_format (const PhDeviceId *id, char out[PH_DEVICE_ID_STRING_MAX]);
/* False (and `ret_id` untouched) unless `key` has 32 bytes that are a usable key. */
bool ph_device_id_from_bytes (PhSlice key, PhDeviceId *ret_id);

bool ph_device_id_equal (const PhDeviceId *a, const PhDeviceId *b);
int ph_device_id_compare (const PhDeviceId *a, const PhDeviceId *b);
bool ph_device_id_is_set (const PhDeviceId *id);
/* For GHashTable; keys are `PhDeviceId *`. */
unsigned ph_device_id_hash (const void *id);
int ph_device_id_hash_equal (const void *a, const void *b);

/* A device's own key. Wipe it when done. */
typedef struct {
  PhDeviceId id;
  uint8_t seed[PH_IDENTITY_SEED_LEN]; /* what is stored; RFC 8032's private key */
} PhIdentity;

void ph_identity_generate (PhIdentity *self, const PhRandom *random);
void ph_identity_from_seed (PhIdentity *self, const uint8_t seed[PH_IDENTITY_SEED_LEN]);
void ph_identity_wipe (PhIdentity *self);

/* Ed25519 over `message`. What is signed begins with a text of its own (docs/protocol.md), so that no
 * signature serves two purposes. */
void
ph_identity_sign (const PhIdentity *self, PhSlice message, uint8_t ret_signature[PH_SIGNATURE_LEN]);
bool ph_device_id_verify (const PhDeviceId *id, PhSlice message,
                          const uint8_t signature[PH_SIGNATURE_LEN]);

/* Sealing for a device: libsodium's crypto_box_seal to the key's X25519 form, byte for byte, with the
 * ephemeral key drawn from `random` rather than from libsodium. `out` has room for
 * in.len + PH_SEAL_OVERHEAD. */
#define PH_SEAL_OVERHEAD 48
void ph_device_id_seal (const PhDeviceId *id, const PhRandom *random, PhSlice in, uint8_t *out);
/* `out` has room for in.len - PH_SEAL_OVERHEAD. False for anything not sealed for us. */
bool ph_identity_unseal (const PhIdentity *self, PhSlice in, uint8_t *out);
