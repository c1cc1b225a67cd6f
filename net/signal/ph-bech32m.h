/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The checksum of Bech32m, BIP-350. Left out: everything about Bitcoin. */

#pragma once

#include <stddef.h>
#include <stdint.h>

/* The alphabet: symbol value to character. */
#define PH_BECH32_ALPHABET "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
#define PH_BECH32M_CHECK_LEN 6
/* What ph_bech32m_polymod() gives for symbols that end in their right checksum. */
#define PH_BECH32M_CONST 0x2bc830a3u

/* Over the human-readable part `hrp` (lower case) and `n` symbols of five bits each. */
uint32_t ph_bech32m_polymod (const char *hrp, const uint8_t *symbols, size_t n);
/* Fills the last six of `n` symbols with the checksum of those before them. */
void ph_bech32m_sign (const char *hrp, uint8_t *symbols, size_t n);
