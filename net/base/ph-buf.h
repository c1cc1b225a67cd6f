/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reference-counted byte buffers, the one thing that file bytes travel in: filled by a reader thread
 * or a link, held by whoever still needs it (a link until the bytes are acknowledged, a sink until
 * they are written), never copied. References may be taken and dropped on any thread; the bytes are
 * written by one owner before the buffer is shared and not after. */

#pragma once

#include "net/base/ph-bytes.h"

#include <glib.h>

typedef struct _PhBuf PhBuf;
typedef struct _PhBufPool PhBufPool;

struct _PhBuf {
  uint8_t *data;
  size_t cap;
  /*< private >*/
  gatomicrefcount refs;
  PhBufPool *pool; /* owned reference; NULL for a lone buffer */
};

/* A buffer of its own, `cap` bytes, not zeroed. */
PhBuf *ph_buf_new (size_t cap);
/* The same, filled with a copy of `bytes`. */
PhBuf *ph_buf_new_copy (PhSlice bytes);
PhBuf *ph_buf_ref (PhBuf *buf);
void ph_buf_unref (PhBuf *buf);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhBuf, ph_buf_unref)

/* A pool of buffers of one size. Buffers that come back are kept, up to `keep_max`, so that a steady
 * stream allocates nothing. The pool does not bound how many are out: flow control does. */
PhBufPool *ph_buf_pool_new (size_t buf_cap, unsigned keep_max);
PhBufPool *ph_buf_pool_ref (PhBufPool *pool);
void ph_buf_pool_unref (PhBufPool *pool);
PhBuf *ph_buf_pool_take (PhBufPool *pool);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhBufPool, ph_buf_pool_unref)

/* Part of a buffer. Whether a PhBufSlice owns its reference is said by whoever passes it. */
typedef struct {
  PhBuf *buf;
  size_t off;
  size_t len;
} PhBufSlice;

static inline const uint8_t *
ph_buf_slice_data (const PhBufSlice *slice)
{
  return slice->buf->data + slice->off;
}

/* Drops the reference and empties the slice; does nothing on an empty one. */
void ph_buf_slice_clear (PhBufSlice *slice);
