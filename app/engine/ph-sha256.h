/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SHA-256 (nettle) whose state can be put away and taken up again. */

#pragma once

#include "app/store/ph-store-transfers.h"

#include <nettle/sha2.h>

/* The digest of what was hashed so far; the context goes on. */
void ph_sha256_peek (const struct sha256_ctx *ctx, uint8_t ret_digest[SHA256_DIGEST_SIZE]);
void ph_sha256_save (const struct sha256_ctx *ctx, uint8_t out[PH_STORE_SHA_STATE_LEN]);
/* False for a state that cannot be one, or that is not of `offset` bytes. */
bool ph_sha256_load (const uint8_t in[PH_STORE_SHA_STATE_LEN], uint64_t offset,
                     struct sha256_ctx *ret_ctx);
