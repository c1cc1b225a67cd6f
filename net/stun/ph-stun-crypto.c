/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/stun/ph-stun-private.h"
#include "net/stun/ph-stun.h"

#include <glib.h>
#include <nettle/hmac.h>
#include <nettle/md5.h>
#include <nettle/memops.h>

uint32_t
ph_stun_crc32 (PhSlice bytes)
{
  /* Four bits at a time: messages are a hundred bytes, a table of 16 words stays in one line. */
  static const uint32_t table[16] = {
      0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
      0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
      0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
  };
  uint32_t crc = 0xffffffffu;

  for (size_t i = 0; i < bytes.len; i++) {
    crc ^= bytes.data[i];
    crc = table[crc & 15] ^ crc >> 4;
    crc = table[crc & 15] ^ crc >> 4;
  }
  return ~crc;
}

/* The header's first four bytes with the length that the MAC is computed with. */
static void
header_start (PhSlice message, size_t value_len, uint8_t out[4])
{
  g_assert (message.len >= PH_STUN_HEADER_LEN);

  const size_t len = message.len - PH_STUN_HEADER_LEN + 4 + value_len;

  out[0] = message.data[0];
  out[1] = message.data[1];
  out[2] = (uint8_t)(len >> 8);
  out[3] = (uint8_t)len;
}

void
ph_stun_hmac_sha1 (PhSlice key, PhSlice message, size_t value_len, uint8_t out[PH_STUN_SHA1_LEN])
{
  struct hmac_sha1_ctx ctx;
  uint8_t start[4];

  header_start (message, value_len, start);
  hmac_sha1_set_key (&ctx, key.len, key.data);
  hmac_sha1_update (&ctx, sizeof start, start);
  hmac_sha1_update (&ctx, message.len - sizeof start, message.data + sizeof start);
  hmac_sha1_digest (&ctx, PH_STUN_SHA1_LEN, out);
}

void
ph_stun_hmac_sha256 (PhSlice key, PhSlice message, size_t value_len,
                     uint8_t out[PH_STUN_SHA256_LEN])
{
  struct hmac_sha256_ctx ctx;
  uint8_t start[4];

  header_start (message, value_len, start);
  hmac_sha256_set_key (&ctx, key.len, key.data);
  hmac_sha256_update (&ctx, sizeof start, start);
  hmac_sha256_update (&ctx, message.len - sizeof start, message.data + sizeof start);
  hmac_sha256_digest (&ctx, PH_STUN_SHA256_LEN, out);
}

/* The value of the attribute at offset `at`: ph_stun_parse() has checked its bounds. */
static PhSlice
value_at (const PhStunMessage *message, size_t at)
{
  PhReader r = ph_reader (ph_slice (message->bytes.data + at, message->bytes.len - at));
  PhStunAttr attr;
  const PhStunParse parse = ph_stun_attr_next (&r, &attr);

  g_assert (parse == PH_STUN_PARSE_OK);
  return attr.value;
}

bool
ph_stun_check_integrity (const PhStunMessage *message, PhSlice key)
{
  uint8_t mac[PH_STUN_SHA256_LEN];
  PhSlice value;

  if (message->integrity_sha256_at != 0) {
    const size_t at = message->integrity_sha256_at;

    value = value_at (message, at);
    if (value.len < PH_STUN_SHA256_LEN_MIN || value.len > PH_STUN_SHA256_LEN || value.len % 4 != 0)
      return false;
    ph_stun_hmac_sha256 (key, ph_slice (message->bytes.data, at), value.len, mac);
    return memeql_sec (mac, value.data, value.len) != 0;
  }
  if (message->integrity_at != 0) {
    const size_t at = message->integrity_at;

    value = value_at (message, at);
    if (value.len != PH_STUN_SHA1_LEN)
      return false;
    ph_stun_hmac_sha1 (key, ph_slice (message->bytes.data, at), value.len, mac);
    return memeql_sec (mac, value.data, value.len) != 0;
  }
  return false;
}

void
ph_stun_long_term_key (PhSlice username, PhSlice realm, PhSlice password, uint8_t out[16])
{
  struct md5_ctx ctx;

  md5_init (&ctx);
  md5_update (&ctx, username.len, username.data);
  md5_update (&ctx, 1, (const uint8_t *)":");
  md5_update (&ctx, realm.len, realm.data);
  md5_update (&ctx, 1, (const uint8_t *)":");
  md5_update (&ctx, password.len, password.data);
  md5_digest (&ctx, 16, out);
}
