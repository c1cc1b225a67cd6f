/* SPDX-License-Identifier: GPL-3.0-or-later */
/* base64url without padding (RFC 4648 §5), strictly: one spelling for one value. */

#pragma once

#include "net/base/ph-bytes.h"

/* Characters for `len` bytes, without the NUL. */
#define PH_BASE64_CHARS(len) (((len) * 4 + 2) / 3)

/* `out` has room for PH_BASE64_CHARS (in.len) + 1. Returns `out`. */
char *ph_base64_encode (PhSlice in, char *out);
/* The same, to be freed with g_free(). */
char *ph_base64_dup (PhSlice in);
/* False for anything but the encoding of at most `cap` bytes. `out` may be written to on failure. */
bool ph_base64_decode (PhSlice text, uint8_t *out, size_t cap, size_t *ret_len);
/* Of exactly `len` bytes. */
bool ph_base64_decode_exact (const char *text, uint8_t *out, size_t len);
