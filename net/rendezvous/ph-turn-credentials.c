/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/rendezvous/ph-turn-credentials.h"

#include <sodium.h>

#define SHA1_LEN 20
#define NAME_LEN 16 /* the least that BLAKE2b of libsodium gives */

void
ph_turn_password (const char *secret, const char *username, char out[32])
{
  g_autoptr (GHmac) hmac = g_hmac_new (G_CHECKSUM_SHA1, (const guchar *)secret, strlen (secret));
  guint8 digest[SHA1_LEN];
  gsize len = sizeof digest;

  g_hmac_update (hmac, (const guchar *)username, -1);
  g_hmac_get_digest (hmac, digest, &len);
  g_assert (len == SHA1_LEN);

  g_autofree char *text = g_base64_encode (digest, len);

  g_strlcpy (out, text, 32);
}

PhTurnCredentials
ph_turn_credentials (const char *secret, const PhDeviceId *device, uint64_t expires_unix)
{
  PhTurnCredentials credentials;
  uint8_t key[crypto_generichash_BYTES];
  uint8_t name[NAME_LEN];
  char hex[2 * NAME_LEN + 1];

  crypto_generichash (key, sizeof key, (const uint8_t *)secret, strlen (secret), NULL, 0);
  crypto_generichash (name, sizeof name, device->key, sizeof device->key, key, sizeof key);
  sodium_bin2hex (hex, sizeof hex, name, sizeof name);
  g_snprintf (credentials.username, sizeof credentials.username, "%" G_GUINT64_FORMAT ":%s",
              (guint64)expires_unix, hex);
  ph_turn_password (secret, credentials.username, credentials.password);
  return credentials;
}
