/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What has arrived on a stream and was not yet handed out: one copy from the transport into large pooled
 * buffers, taken out as PhBufSlices of them. */

#pragma once

#include "net/base/ph-buf.h"

typedef struct {
  GArray *slices; /* PhBufSlice, owned; from `first` on */
  unsigned first;
  PhBuf *fill; /* owned; being filled, `fill_len` so far */
  size_t fill_len;
} PhReceiveBuffer;

void ph_receive_buffer_init (PhReceiveBuffer *self);
void ph_receive_buffer_clear (PhReceiveBuffer *self);

/* Room to write to, and how much of it there is (at least a byte); nothing counts until it is committed. */
uint8_t *ph_receive_buffer_reserve (PhReceiveBuffer *self, PhBufPool *pool, size_t *ret_len);
void ph_receive_buffer_commit (PhReceiveBuffer *self, size_t len);
/* Both for bytes that lie elsewhere. */
void ph_receive_buffer_append (PhReceiveBuffer *self, PhBufPool *pool, PhSlice data);
/* Nothing more will come: what is left of the last buffer is let go. */
void ph_receive_buffer_finish (PhReceiveBuffer *self);

bool ph_receive_buffer_is_empty (const PhReceiveBuffer *self);
/* The oldest slice, with its reference; false if there is none. */
bool ph_receive_buffer_take (PhReceiveBuffer *self, PhBufSlice *ret_slice);
/* Drops what is there and says how much it was. */
uint64_t ph_receive_buffer_drop (PhReceiveBuffer *self);
