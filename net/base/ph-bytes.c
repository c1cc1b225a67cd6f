/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/base/ph-bytes.h"

#include <glib.h>

static const uint8_t *
take (PhReader *r, size_t len)
{
  const uint8_t *p = r->p;

  if (r->poisoned || len > r->left) {
    ph_reader_poison (r);
    return NULL;
  }
  r->p += len;
  r->left -= len;
  return p;
}

PhSlice
ph_read_slice (PhReader *r, size_t len)
{
  const uint8_t *p = take (r, len);

  return p != NULL ? ph_slice (p, len) : ph_slice (NULL, 0);
}

void
ph_read_bytes (PhReader *r, void *out, size_t len)
{
  const uint8_t *p = take (r, len);

  if (len == 0)
    return;
  if (p != NULL)
    memcpy (out, p, len);
  else
    memset (out, 0, len);
}

void
ph_read_skip (PhReader *r, size_t len)
{
  take (r, len);
}

static uint64_t
read_be (PhReader *r, size_t len)
{
  const uint8_t *p = take (r, len);
  uint64_t value = 0;

  for (size_t i = 0; p != NULL && i < len; i++)
    value = value << 8 | p[i];
  return value;
}

uint8_t
ph_read_u8 (PhReader *r)
{
  return (uint8_t)read_be (r, 1);
}

uint16_t
ph_read_u16 (PhReader *r)
{
  return (uint16_t)read_be (r, 2);
}

uint32_t
ph_read_u32 (PhReader *r)
{
  return (uint32_t)read_be (r, 4);
}

uint64_t
ph_read_u64 (PhReader *r)
{
  return read_be (r, 8);
}

uint64_t
ph_read_varint (PhReader *r)
{
  if (r->poisoned || r->left == 0) {
    ph_reader_poison (r);
    return 0;
  }

  const size_t len = (size_t)1 << (r->p[0] >> 6);
  const uint64_t value = read_be (r, len);

  return value & (UINT64_MAX >> (64 - 8 * len + 2));
}

PhSlice
ph_read_counted (PhReader *r, size_t max)
{
  const uint64_t len = ph_read_varint (r);

  if (len > max)
    ph_reader_poison (r);
  return ph_read_slice (r, (size_t)len);
}

uint8_t *
ph_write_reserve (PhWriter *w, size_t len)
{
  uint8_t *p = w->p;

  if (w->poisoned || len > w->left) {
    w->poisoned = true;
    w->left = 0;
    return NULL;
  }
  w->p += len;
  w->left -= len;
  return p;
}

void
ph_write_bytes (PhWriter *w, const void *data, size_t len)
{
  uint8_t *p = ph_write_reserve (w, len);

  if (p != NULL && len > 0)
    memcpy (p, data, len);
}

void
ph_write_slice (PhWriter *w, PhSlice data)
{
  ph_write_bytes (w, data.data, data.len);
}

void
ph_write_zeros (PhWriter *w, size_t len)
{
  uint8_t *p = ph_write_reserve (w, len);

  if (p != NULL && len > 0)
    memset (p, 0, len);
}

static void
write_be (PhWriter *w, uint64_t value, size_t len)
{
  uint8_t *p = ph_write_reserve (w, len);

  for (size_t i = 0; p != NULL && i < len; i++)
    p[i] = (uint8_t)(value >> 8 * (len - 1 - i));
}

void
ph_write_u8 (PhWriter *w, uint8_t value)
{
  write_be (w, value, 1);
}

void
ph_write_u16 (PhWriter *w, uint16_t value)
{
  write_be (w, value, 2);
}

void
ph_write_u32 (PhWriter *w, uint32_t value)
{
  write_be (w, value, 4);
}

void
ph_write_u64 (PhWriter *w, uint64_t value)
{
  write_be (w, value, 8);
}

size_t
ph_varint_len (uint64_t value)
{
  if (value < UINT64_C (1) << 6)
    return 1;
  if (value < UINT64_C (1) << 14)
    return 2;
  if (value < UINT64_C (1) << 30)
    return 4;
  return value < UINT64_C (1) << 62 ? 8 : 0;
}

void
ph_write_varint (PhWriter *w, uint64_t value)
{
  switch (ph_varint_len (value)) {
  case 1:
    write_be (w, value, 1);
    break;
  case 2:
    write_be (w, value | UINT64_C (0x4000), 2);
    break;
  case 4:
    write_be (w, value | UINT64_C (0x80000000), 4);
    break;
  case 8:
    write_be (w, value | UINT64_C (0xC000000000000000), 8);
    break;
  default:
    w->poisoned = true;
    w->left = 0;
  }
}

void
ph_write_counted (PhWriter *w, PhSlice data)
{
  ph_write_varint (w, data.len);
  ph_write_slice (w, data);
}

void
ph_writer_patch_u16 (PhWriter *w, size_t at, uint16_t value)
{
  if (w->poisoned)
    return;
  g_assert (at + 2 <= ph_writer_len (w));
  w->start[at] = (uint8_t)(value >> 8);
  w->start[at + 1] = (uint8_t)value;
}
