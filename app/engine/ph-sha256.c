/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/engine/ph-sha256.h"

#include "net/base/ph-bytes.h"

#include <glib.h>

/* state, count, index, block, four zeros */
G_STATIC_ASSERT (_SHA256_DIGEST_LENGTH * 4 + 8 + 4 + SHA256_BLOCK_SIZE + 4
                 == PH_STORE_SHA_STATE_LEN);
G_STATIC_ASSERT (SHA256_DIGEST_SIZE == PH_STORE_SHA256_LEN);

void
ph_sha256_peek (const struct sha256_ctx *ctx, uint8_t ret_digest[SHA256_DIGEST_SIZE])
{
  struct sha256_ctx copy = *ctx;

  sha256_digest (&copy, SHA256_DIGEST_SIZE, ret_digest);
}

void
ph_sha256_save (const struct sha256_ctx *ctx, uint8_t out[PH_STORE_SHA_STATE_LEN])
{
  PhWriter w = ph_writer (out, PH_STORE_SHA_STATE_LEN);

  for (size_t i = 0; i < _SHA256_DIGEST_LENGTH; i++)
    ph_write_u32 (&w, ctx->state[i]);
  ph_write_u64 (&w, ctx->count);
  ph_write_u32 (&w, ctx->index);
  ph_write_bytes (&w, ctx->block, ctx->index);
  ph_write_zeros (&w, SHA256_BLOCK_SIZE - ctx->index + 4);
  g_assert (ph_writer_ok (&w));
}

bool
ph_sha256_load (const uint8_t in[PH_STORE_SHA_STATE_LEN], uint64_t offset,
                struct sha256_ctx *ret_ctx)
{
  PhReader r = ph_reader (ph_slice (in, PH_STORE_SHA_STATE_LEN));
  struct sha256_ctx ctx;

  sha256_init (&ctx);
  for (size_t i = 0; i < _SHA256_DIGEST_LENGTH; i++)
    ctx.state[i] = ph_read_u32 (&r);
  ctx.count = ph_read_u64 (&r);
  ctx.index = ph_read_u32 (&r);
  ph_read_bytes (&r, ctx.block, SHA256_BLOCK_SIZE);
  g_assert (ph_reader_ok (&r));
  if (ctx.index >= SHA256_BLOCK_SIZE || ctx.count != offset / SHA256_BLOCK_SIZE
      || ctx.index != offset % SHA256_BLOCK_SIZE)
    return false;
  *ret_ctx = ctx;
  return true;
}
