/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Preloaded into porthole-cli at both ends (LD_PRELOAD), it leaves out the SHA-256 of files: what a transfer would cost
 * without. Not a part of any program: the benchmark alone loads it.
 *
 * The state counts on as if it had hashed, for checkpoints are checked. Only the threads that read and write files are
 * spared: manifests, handshakes and keys have their hashes. */

#include <dlfcn.h>
#include <nettle/sha2.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef void Update (struct sha256_ctx *ctx, size_t length, const uint8_t *data);

void nettle_sha256_update (struct sha256_ctx *ctx, size_t length, const uint8_t *data);

static bool
moves_files (void)
{
  static const char *const threads[] = {"ph-source", "ph-hasher", "ph-writer", "ph-syncer"};
  static __thread int known; /* 0: not asked yet */
  char name[16] = "";

  if (known == 0) {
    known = -1;
    pthread_getname_np (pthread_self (), name, sizeof name);
    for (unsigned i = 0; i < sizeof threads / sizeof *threads; i++)
      known = strcmp (name, threads[i]) == 0 ? 1 : known;
  }
  return known > 0;
}

void
nettle_sha256_update (struct sha256_ctx *ctx, size_t length, const uint8_t *data)
{
  static Update *update; /* found by each thread anew at worst */

  if (moves_files ()) {
    ctx->count += (ctx->index + length) / SHA256_BLOCK_SIZE;
    ctx->index = (unsigned)((ctx->index + length) % SHA256_BLOCK_SIZE);
    return;
  }
  if (update == NULL)
    update = (Update *)dlsym (RTLD_NEXT, "nettle_sha256_update");
  update (ctx, length, data);
}
