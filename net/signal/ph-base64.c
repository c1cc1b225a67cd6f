/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/signal/ph-base64.h"

#include <glib.h>
#include <sodium.h>

char *
ph_base64_encode (PhSlice in, char *out)
{
  return sodium_bin2base64 (out, PH_BASE64_CHARS (in.len) + 1, in.data, in.len,
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

char *
ph_base64_dup (PhSlice in)
{
  return ph_base64_encode (in, g_malloc (PH_BASE64_CHARS (in.len) + 1));
}

bool
ph_base64_decode (PhSlice text, uint8_t *out, size_t cap, size_t *ret_len)
{
  const char *end;
  size_t len;

  if (text.len == 0) {
    *ret_len = 0;
    return true;
  }
  /* libsodium refuses trailing bits that are not zero: every value has one spelling. */
  if (sodium_base642bin (out, cap, (const char *)text.data, text.len, NULL, &len, &end,
                         sodium_base64_VARIANT_URLSAFE_NO_PADDING)
          != 0
      || end != (const char *)text.data + text.len)
    return false;
  *ret_len = len;
  return true;
}

bool
ph_base64_decode_exact (const char *text, uint8_t *out, size_t len)
{
  size_t n;

  return ph_base64_decode (ph_slice_string (text), out, len, &n) && n == len;
}
