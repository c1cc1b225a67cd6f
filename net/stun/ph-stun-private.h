/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The sums that STUN messages carry, for ph-stun.c. */

#pragma once

#include "net/base/ph-bytes.h"

#define PH_STUN_SHA1_LEN 20
#define PH_STUN_SHA256_LEN 32
/* RFC 8489 §14.6: a truncated SHA-256 MAC has at least so many bytes. */
#define PH_STUN_SHA256_LEN_MIN 16

/* CRC-32 of ISO 3309, as in zip. */
uint32_t ph_stun_crc32 (PhSlice bytes);

/* HMAC over `message`, the bytes before the integrity attribute, with the header's length field taken
 * as if the message ended after an attribute of `value_len` bytes at that place. */
void
ph_stun_hmac_sha1 (PhSlice key, PhSlice message, size_t value_len, uint8_t out[PH_STUN_SHA1_LEN]);
void ph_stun_hmac_sha256 (PhSlice key, PhSlice message, size_t value_len,
                          uint8_t out[PH_STUN_SHA256_LEN]);
