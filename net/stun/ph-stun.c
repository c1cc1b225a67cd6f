/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/stun/ph-stun.h"

#include "net/stun/ph-stun-private.h"

#include <glib.h>

#define FINGERPRINT_XOR 0x5354554eu

enum { FAMILY_IPV4 = 1, FAMILY_IPV6 = 2 };

/* --- The message type: class and method bits are interleaved, RFC 8489 §5 ------------------------- */

static uint16_t
message_type (PhStunClass klass, uint16_t method)
{
  const unsigned m = method;
  const unsigned c = klass;

  return (uint16_t)((m & 0xf80) << 2 | (c & 2) << 7 | (m & 0x70) << 1 | (c & 1) << 4 | (m & 0xf));
}

static PhStunClass
type_class (uint16_t type)
{
  return (PhStunClass)((type >> 7 & 2) | (type >> 4 & 1));
}

static uint16_t
type_method (uint16_t type)
{
  return (uint16_t)((type >> 2 & 0xf80) | (type >> 1 & 0x70) | (type & 0xf));
}

/* --- Parsing ---------------------------------------------------------------------------------- */

bool
ph_stun_is_stun (PhSlice bytes)
{
  PhReader r = ph_reader (bytes);
  const uint16_t type = ph_read_u16 (&r);
  const uint16_t len = ph_read_u16 (&r);
  const uint32_t cookie = ph_read_u32 (&r);

  return ph_reader_ok (&r) && type < 0x4000 && cookie == PH_STUN_COOKIE && len % 4 == 0
         && bytes.len == PH_STUN_HEADER_LEN + (size_t)len;
}

PhStunParse
ph_stun_attr_next (PhReader *r, PhStunAttr *ret_attr)
{
  PhStunAttr attr;

  if (ph_reader_done (r))
    return PH_STUN_PARSE_END;

  attr.type = ph_read_u16 (r);
  attr.value = ph_read_slice (r, ph_read_u16 (r));
  ph_read_skip (r, (4 - attr.value.len % 4) % 4); /* padding, RFC 8489 §14 */
  if (!ph_reader_ok (r))
    return PH_STUN_PARSE_MALFORMED;

  *ret_attr = attr;
  return PH_STUN_PARSE_OK;
}

static bool
check_fingerprint (const PhStunMessage *message, PhSlice value)
{
  PhReader r = ph_reader (value);
  const uint32_t stated = ph_read_u32 (&r);
  const uint32_t crc = ph_stun_crc32 (ph_slice (message->bytes.data, message->fingerprint_at));

  return ph_reader_done (&r) && stated == (crc ^ FINGERPRINT_XOR);
}

/* Takes note of an attribute at offset `at`. Once the covered part has ended, all that counts is a
 * SHA-256 integrity after a SHA-1 one, and the fingerprint, which must be the last. */
static bool
take_attr (PhStunMessage *message, const PhStunAttr *attr, size_t at)
{
  const bool covered = message->integrity_at == 0 && message->integrity_sha256_at == 0;
  const bool sealing = attr->type == PH_STUN_MESSAGE_INTEGRITY
                       || attr->type == PH_STUN_MESSAGE_INTEGRITY_SHA256
                       || attr->type == PH_STUN_FINGERPRINT;

  if (message->fingerprint_at != 0)
    return false;
  if (covered && sealing)
    message->attrs.len = at - PH_STUN_HEADER_LEN;

  if (attr->type == PH_STUN_FINGERPRINT) {
    message->fingerprint_at = at;
    return check_fingerprint (message, attr->value);
  }
  if (attr->type == PH_STUN_MESSAGE_INTEGRITY && covered)
    message->integrity_at = at;
  else if (attr->type == PH_STUN_MESSAGE_INTEGRITY_SHA256 && message->integrity_sha256_at == 0)
    message->integrity_sha256_at = at;
  return true;
}

bool
ph_stun_parse (PhSlice bytes, PhStunMessage *ret_message)
{
  PhStunMessage message = {.bytes = bytes};
  PhStunAttr attr;
  PhStunParse parse;

  if (!ph_stun_is_stun (bytes))
    return false;

  PhReader r = ph_reader (bytes);
  const uint16_t type = ph_read_u16 (&r);

  ph_read_skip (&r, 6);
  ph_read_bytes (&r, message.id.bytes, PH_STUN_ID_LEN);
  message.klass = type_class (type);
  message.method = type_method (type);
  message.attrs = ph_slice (r.p, r.left);

  for (;;) {
    const size_t at = bytes.len - ph_reader_left (&r);

    parse = ph_stun_attr_next (&r, &attr);
    if (parse != PH_STUN_PARSE_OK)
      break;
    if (!take_attr (&message, &attr, at))
      return false;
  }
  if (parse == PH_STUN_PARSE_MALFORMED)
    return false;

  *ret_message = message;
  return true;
}

bool
ph_stun_find (const PhStunMessage *message, uint16_t type, PhSlice *ret_value)
{
  PhReader r = ph_reader (message->attrs);
  PhStunAttr attr;

  while (ph_stun_attr_next (&r, &attr) == PH_STUN_PARSE_OK) {
    if (attr.type == type) {
      *ret_value = attr.value;
      return true;
    }
  }
  return false;
}

bool
ph_stun_get_u32 (const PhStunMessage *message, uint16_t type, uint32_t *ret_value)
{
  PhSlice bytes;

  if (!ph_stun_find (message, type, &bytes))
    return false;

  PhReader r = ph_reader (bytes);
  const uint32_t value = ph_read_u32 (&r);

  if (!ph_reader_done (&r))
    return false;
  *ret_value = value;
  return true;
}

bool
ph_stun_get_u64 (const PhStunMessage *message, uint16_t type, uint64_t *ret_value)
{
  PhSlice bytes;

  if (!ph_stun_find (message, type, &bytes))
    return false;

  PhReader r = ph_reader (bytes);
  const uint64_t value = ph_read_u64 (&r);

  if (!ph_reader_done (&r))
    return false;
  *ret_value = value;
  return true;
}

/* What an address is XORed with: cookie and transaction id, RFC 8489 §14.2. */
static void
xor_mask (const uint8_t *id, uint8_t out[16])
{
  PhWriter w = ph_writer (out, 16);

  ph_write_u32 (&w, PH_STUN_COOKIE);
  ph_write_bytes (&w, id, PH_STUN_ID_LEN);
}

static bool
read_addr (PhSlice bytes, const PhStunId *xor_id, PhAddr *ret_addr)
{
  PhReader r = ph_reader (bytes);
  uint8_t ip[16], mask[16] = {0};
  size_t len = 0;

  ph_read_skip (&r, 1);
  switch (ph_read_u8 (&r)) {
  case FAMILY_IPV4:
    len = 4;
    break;
  case FAMILY_IPV6:
    len = 16;
    break;
  default:
    return false;
  }
  if (xor_id != NULL)
    xor_mask (xor_id->bytes, mask);

  const uint16_t port = (uint16_t)(ph_read_u16 (&r) ^ (mask[0] << 8 | mask[1]));

  ph_read_bytes (&r, ip, len);
  if (!ph_reader_done (&r))
    return false;
  for (size_t i = 0; i < len; i++)
    ip[i] ^= mask[i];
  *ret_addr = ph_addr_from_bytes (ph_slice (ip, len), port);
  return true;
}

bool
ph_stun_get_addr (const PhStunMessage *message, uint16_t type, PhAddr *ret_addr)
{
  PhSlice bytes;

  return ph_stun_find (message, type, &bytes) && read_addr (bytes, NULL, ret_addr);
}

bool
ph_stun_get_xor_addr (const PhStunMessage *message, uint16_t type, PhAddr *ret_addr)
{
  PhSlice bytes;

  return ph_stun_find (message, type, &bytes) && read_addr (bytes, &message->id, ret_addr);
}

bool
ph_stun_get_mapped (const PhStunMessage *message, PhAddr *ret_addr)
{
  return ph_stun_get_xor_addr (message, PH_STUN_XOR_MAPPED_ADDRESS, ret_addr)
         || ph_stun_get_addr (message, PH_STUN_MAPPED_ADDRESS, ret_addr);
}

bool
ph_stun_get_error (const PhStunMessage *message, unsigned *ret_code, PhSlice *ret_reason)
{
  PhSlice bytes;

  if (!ph_stun_find (message, PH_STUN_ERROR_CODE, &bytes))
    return false;

  PhReader r = ph_reader (bytes);

  ph_read_skip (&r, 2);

  const unsigned hundreds = ph_read_u8 (&r) & 7;
  const unsigned number = ph_read_u8 (&r);

  if (!ph_reader_ok (&r) || hundreds < 3 || hundreds > 6 || number > 99)
    return false;
  *ret_code = hundreds * 100 + number;
  *ret_reason = ph_read_slice (&r, ph_reader_left (&r));
  return true;
}

size_t
ph_stun_unknown (const PhStunMessage *message, const uint16_t *known, size_t n_known, uint16_t *out,
                 size_t max)
{
  PhReader r = ph_reader (message->attrs);
  PhStunAttr attr;
  size_t n = 0;

  while (ph_stun_attr_next (&r, &attr) == PH_STUN_PARSE_OK) {
    bool is_known = attr.type >= 0x8000;

    for (size_t i = 0; i < n_known && !is_known; i++)
      is_known = attr.type == known[i];
    if (is_known)
      continue;
    if (n < max)
      out[n] = attr.type;
    n++;
  }
  return n;
}

bool
ph_stun_id_equal (const PhStunId *a, const PhStunId *b)
{
  return memcmp (a->bytes, b->bytes, PH_STUN_ID_LEN) == 0;
}

/* --- Building --------------------------------------------------------------------------------- */

void
ph_stun_begin (PhWriter *w, PhStunClass klass, uint16_t method, const PhStunId *id)
{
  g_assert (ph_writer_len (w) == 0);
  g_assert (method < 0x1000);

  ph_write_u16 (w, message_type (klass, method));
  ph_write_u16 (w, 0);
  ph_write_u32 (w, PH_STUN_COOKIE);
  ph_write_bytes (w, id->bytes, PH_STUN_ID_LEN);
}

/* Opens an attribute of `len` bytes; the caller writes them, then calls end_attr(). */
static void
begin_attr (PhWriter *w, uint16_t type, size_t len)
{
  g_assert (len <= G_MAXUINT16);
  ph_write_u16 (w, type);
  ph_write_u16 (w, (uint16_t)len);
}

static void
end_attr (PhWriter *w)
{
  ph_write_zeros (w, (4 - ph_writer_len (w) % 4) % 4);
  if (!ph_writer_ok (w))
    return;

  const size_t len = ph_writer_len (w) - PH_STUN_HEADER_LEN;

  g_assert (len <= G_MAXUINT16);
  ph_writer_patch_u16 (w, 2, (uint16_t)len);
}

void
ph_stun_put (PhWriter *w, uint16_t type, PhSlice value)
{
  begin_attr (w, type, value.len);
  ph_write_slice (w, value);
  end_attr (w);
}

void
ph_stun_put_flag (PhWriter *w, uint16_t type)
{
  ph_stun_put (w, type, ph_slice (NULL, 0));
}

void
ph_stun_put_u32 (PhWriter *w, uint16_t type, uint32_t value)
{
  begin_attr (w, type, 4);
  ph_write_u32 (w, value);
  end_attr (w);
}

void
ph_stun_put_u64 (PhWriter *w, uint16_t type, uint64_t value)
{
  begin_attr (w, type, 8);
  ph_write_u64 (w, value);
  end_attr (w);
}

static void
put_addr (PhWriter *w, uint16_t type, const PhAddr *addr, const uint8_t mask[16])
{
  const PhSlice ip = ph_addr_ip (addr);

  g_assert (ip.len != 0);
  begin_attr (w, type, 4 + ip.len);
  ph_write_u8 (w, 0);
  ph_write_u8 (w, ip.len == 4 ? FAMILY_IPV4 : FAMILY_IPV6);
  ph_write_u16 (w, (uint16_t)(addr->port ^ (mask[0] << 8 | mask[1])));
  for (size_t i = 0; i < ip.len; i++)
    ph_write_u8 (w, ip.data[i] ^ mask[i]);
  end_attr (w);
}

void
ph_stun_put_addr (PhWriter *w, uint16_t type, const PhAddr *addr)
{
  const uint8_t mask[16] = {0};

  put_addr (w, type, addr, mask);
}

void
ph_stun_put_xor_addr (PhWriter *w, uint16_t type, const PhAddr *addr)
{
  uint8_t mask[16];

  if (!ph_writer_ok (w))
    return;
  xor_mask (w->start + 8, mask);
  put_addr (w, type, addr, mask);
}

void
ph_stun_put_error (PhWriter *w, unsigned code, const char *reason)
{
  const PhSlice text = ph_slice_string (reason);

  g_assert (code >= 300);
  g_assert (code <= 699);
  begin_attr (w, PH_STUN_ERROR_CODE, 4 + text.len);
  ph_write_u16 (w, 0);
  ph_write_u8 (w, (uint8_t)(code / 100));
  ph_write_u8 (w, (uint8_t)(code % 100));
  ph_write_slice (w, text);
  end_attr (w);
}

void
ph_stun_put_unknown (PhWriter *w, const uint16_t *types, size_t n_types)
{
  begin_attr (w, PH_STUN_UNKNOWN_ATTRIBUTES, 2 * n_types);
  for (size_t i = 0; i < n_types; i++)
    ph_write_u16 (w, types[i]);
  end_attr (w);
}

/* Makes the length field count an attribute of `value_len` bytes that is about to be written: what
 * integrity and fingerprint are computed over. Returns the message so far. */
static PhSlice
announce_attr (PhWriter *w, size_t value_len)
{
  const size_t len = ph_writer_len (w) - PH_STUN_HEADER_LEN + 4 + value_len;

  g_assert (len <= G_MAXUINT16);
  ph_writer_patch_u16 (w, 2, (uint16_t)len);
  return ph_slice (w->start, ph_writer_len (w));
}

void
ph_stun_put_integrity (PhWriter *w, PhSlice key)
{
  uint8_t mac[PH_STUN_SHA1_LEN];

  if (!ph_writer_ok (w))
    return;
  ph_stun_hmac_sha1 (key, announce_attr (w, sizeof mac), sizeof mac, mac);
  ph_stun_put (w, PH_STUN_MESSAGE_INTEGRITY, ph_slice (mac, sizeof mac));
}

void
ph_stun_put_integrity_sha256 (PhWriter *w, PhSlice key)
{
  uint8_t mac[PH_STUN_SHA256_LEN];

  if (!ph_writer_ok (w))
    return;
  ph_stun_hmac_sha256 (key, announce_attr (w, sizeof mac), sizeof mac, mac);
  ph_stun_put (w, PH_STUN_MESSAGE_INTEGRITY_SHA256, ph_slice (mac, sizeof mac));
}

void
ph_stun_put_fingerprint (PhWriter *w)
{
  if (!ph_writer_ok (w))
    return;
  ph_stun_put_u32 (w, PH_STUN_FINGERPRINT, ph_stun_crc32 (announce_attr (w, 4)) ^ FINGERPRINT_XOR);
}
