/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/engine/ph-safety-number.h"

#include <glib.h>
#include <sodium.h>
#include <string.h>

#define LABEL "porthole/1 safety number"
/* As many as Signal's: 13 bits more work for whoever searches for keys with equal digits. */
#define ROUNDS 5200
#define GROUPS 6
#define GROUP_BYTES 5
#define GROUP_DIGITS 5
/* Each group is followed by a space. */
#define HALF_LEN (GROUPS * (GROUP_DIGITS + 1))

G_STATIC_ASSERT (2 * HALF_LEN <= PH_SAFETY_NUMBER_STRING_MAX);
G_STATIC_ASSERT (GROUPS *GROUP_BYTES <= crypto_hash_sha512_BYTES);

static void
half (const PhDeviceId *id, char out[HALF_LEN + 1])
{
  uint8_t hash[crypto_hash_sha512_BYTES];
  crypto_hash_sha512_state state;

  crypto_hash_sha512_init (&state);
  crypto_hash_sha512_update (&state, (const uint8_t *)LABEL, sizeof LABEL - 1);
  crypto_hash_sha512_update (&state, id->key, sizeof id->key);
  crypto_hash_sha512_final (&state, hash);
  for (unsigned round = 1; round < ROUNDS; round++) {
    crypto_hash_sha512_init (&state);
    crypto_hash_sha512_update (&state, hash, sizeof hash);
    crypto_hash_sha512_update (&state, id->key, sizeof id->key);
    crypto_hash_sha512_final (&state, hash);
  }
  for (size_t group = 0; group < GROUPS; group++) {
    uint64_t value = 0;

    for (size_t i = 0; i < GROUP_BYTES; i++)
      value = value << 8 | hash[group * GROUP_BYTES + i];
    g_snprintf (out + group * (GROUP_DIGITS + 1), GROUP_DIGITS + 2, "%05u ",
                (unsigned)(value % 100000));
  }
}

void
ph_safety_number (const PhDeviceId *a, const PhDeviceId *b, char out[PH_SAFETY_NUMBER_STRING_MAX])
{
  char of_a[HALF_LEN + 1], of_b[HALF_LEN + 1];
  bool a_first;

  half (a, of_a);
  half (b, of_b);
  a_first = strcmp (of_a, of_b) <= 0;
  memcpy (out, a_first ? of_a : of_b, HALF_LEN);
  memcpy (out + HALF_LEN, a_first ? of_b : of_a, HALF_LEN);
  out[2 * HALF_LEN - 1] = '\0';
}
