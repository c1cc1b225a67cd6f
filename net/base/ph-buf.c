/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/base/ph-buf.h"

struct _PhBufPool {
  gatomicrefcount refs;
  size_t buf_cap;
  unsigned keep_max;
  GMutex lock;
  GPtrArray *kept; /* free buffers, without a pool reference */
};

static PhBuf *
buf_alloc (size_t cap)
{
  PhBuf *buf = g_new0 (PhBuf, 1);

  buf->data = g_malloc (cap);
  buf->cap = cap;
  g_atomic_ref_count_init (&buf->refs);
  return buf;
}

static void
buf_free (PhBuf *buf)
{
  g_free (buf->data);
  g_free (buf);
}

PhBuf *
ph_buf_new (size_t cap)
{
  return buf_alloc (cap);
}

PhBuf *
ph_buf_new_copy (PhSlice bytes)
{
  PhBuf *buf = buf_alloc (bytes.len);

  if (bytes.len > 0)
    memcpy (buf->data, bytes.data, bytes.len);
  return buf;
}

PhBuf *
ph_buf_ref (PhBuf *buf)
{
  g_atomic_ref_count_inc (&buf->refs);
  return buf;
}

void
ph_buf_unref (PhBuf *buf)
{
  if (!g_atomic_ref_count_dec (&buf->refs))
    return;

  PhBufPool *pool = g_steal_pointer (&buf->pool);
  bool keep = false;

  if (pool != NULL) {
    g_mutex_lock (&pool->lock);
    keep = pool->kept->len < pool->keep_max;
    if (keep)
      g_ptr_array_add (pool->kept, buf);
    g_mutex_unlock (&pool->lock);
  }
  if (!keep)
    buf_free (buf);
  if (pool != NULL)
    ph_buf_pool_unref (pool);
}

PhBufPool *
ph_buf_pool_new (size_t buf_cap, unsigned keep_max)
{
  PhBufPool *pool = g_new0 (PhBufPool, 1);

  g_atomic_ref_count_init (&pool->refs);
  pool->buf_cap = buf_cap;
  pool->keep_max = keep_max;
  pool->kept = g_ptr_array_new_with_free_func ((GDestroyNotify)buf_free);
  g_mutex_init (&pool->lock);
  return pool;
}

PhBufPool *
ph_buf_pool_ref (PhBufPool *pool)
{
  g_atomic_ref_count_inc (&pool->refs);
  return pool;
}

void
ph_buf_pool_unref (PhBufPool *pool)
{
  if (!g_atomic_ref_count_dec (&pool->refs))
    return;
  g_ptr_array_unref (pool->kept);
  g_mutex_clear (&pool->lock);
  g_free (pool);
}

PhBuf *
ph_buf_pool_take (PhBufPool *pool)
{
  PhBuf *buf = NULL;

  g_mutex_lock (&pool->lock);
  if (pool->kept->len > 0)
    buf = g_ptr_array_steal_index_fast (pool->kept, pool->kept->len - 1);
  g_mutex_unlock (&pool->lock);

  if (buf == NULL)
    buf = buf_alloc (pool->buf_cap);
  else
    g_atomic_ref_count_init (&buf->refs);
  buf->pool = ph_buf_pool_ref (pool);
  return buf;
}

void
ph_buf_slice_clear (PhBufSlice *slice)
{
  if (slice->buf != NULL)
    ph_buf_unref (slice->buf);
  *slice = (PhBufSlice){0};
}
