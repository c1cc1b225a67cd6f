/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/link/ph-receive-buffer.h"

static void
clear_slice (void *slice)
{
  ph_buf_slice_clear (slice);
}

void
ph_receive_buffer_init (PhReceiveBuffer *self)
{
  *self = (PhReceiveBuffer){.slices = g_array_new (FALSE, FALSE, sizeof (PhBufSlice))};
  g_array_set_clear_func (self->slices, clear_slice);
}

void
ph_receive_buffer_clear (PhReceiveBuffer *self)
{
  g_clear_pointer (&self->slices, g_array_unref);
  g_clear_pointer (&self->fill, ph_buf_unref);
}

uint8_t *
ph_receive_buffer_reserve (PhReceiveBuffer *self, PhBufPool *pool, size_t *ret_len)
{
  if (self->fill != NULL && self->fill_len == self->fill->cap)
    g_clear_pointer (&self->fill, ph_buf_unref);
  if (self->fill == NULL) {
    self->fill = ph_buf_pool_take (pool);
    self->fill_len = 0;
  }
  *ret_len = self->fill->cap - self->fill_len;
  return self->fill->data + self->fill_len;
}

void
ph_receive_buffer_commit (PhReceiveBuffer *self, size_t len)
{
  const unsigned count = self->slices->len;
  PhBufSlice *last =
      count > self->first ? &g_array_index (self->slices, PhBufSlice, count - 1) : NULL;

  g_assert (len <= self->fill->cap - self->fill_len);
  if (last != NULL && last->buf == self->fill) {
    last->len += len;
  } else {
    const PhBufSlice slice = {ph_buf_ref (self->fill), self->fill_len, len};

    g_array_append_val (self->slices, slice);
  }
  self->fill_len += len;
}

void
ph_receive_buffer_append (PhReceiveBuffer *self, PhBufPool *pool, PhSlice data)
{
  while (data.len > 0) {
    size_t room;
    uint8_t *out = ph_receive_buffer_reserve (self, pool, &room);
    const size_t n = MIN (data.len, room);

    memcpy (out, data.data, n);
    ph_receive_buffer_commit (self, n);
    data.data += n;
    data.len -= n;
  }
}

void
ph_receive_buffer_finish (PhReceiveBuffer *self)
{
  g_clear_pointer (&self->fill, ph_buf_unref);
}

bool
ph_receive_buffer_is_empty (const PhReceiveBuffer *self)
{
  return self->first == self->slices->len;
}

bool
ph_receive_buffer_take (PhReceiveBuffer *self, PhBufSlice *ret_slice)
{
  PhBufSlice *slice;

  if (ph_receive_buffer_is_empty (self))
    return false;
  slice = &g_array_index (self->slices, PhBufSlice, self->first);
  *ret_slice = *slice;
  *slice = (PhBufSlice){0};
  self->first++;
  if (ph_receive_buffer_is_empty (self)) {
    g_array_set_size (self->slices, 0);
    self->first = 0;
  }
  return true;
}

uint64_t
ph_receive_buffer_drop (PhReceiveBuffer *self)
{
  uint64_t bytes = 0;

  for (unsigned i = self->first; i < self->slices->len; i++)
    bytes += g_array_index (self->slices, PhBufSlice, i).len;
  g_array_set_size (self->slices, 0);
  self->first = 0;
  ph_receive_buffer_finish (self);
  return bytes;
}
