/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Byte cursors: the only place where bounds are checked.
 *
 * A reader or writer is sticky: the first read past the end poisons it, every later read returns
 * zeros, and the caller asks ph_reader_ok() once at the end. Integers are big-endian (network order)
 * unless the name says otherwise. */

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Borrowed bytes. */
typedef struct {
  const uint8_t *data;
  size_t len;
} PhSlice;

static inline PhSlice
ph_slice (const void *data, size_t len)
{
  return (PhSlice){data, len};
}

static inline PhSlice
ph_slice_string (const char *text)
{
  return (PhSlice){(const uint8_t *)text, strlen (text)};
}

static inline bool
ph_slice_equal (PhSlice a, PhSlice b)
{
  return a.len == b.len && (a.len == 0 || memcmp (a.data, b.data, a.len) == 0);
}

/* --- Reading ---------------------------------------------------------------------------------- */

typedef struct {
  const uint8_t *p;
  size_t left;
  bool poisoned;
} PhReader;

static inline PhReader
ph_reader (PhSlice in)
{
  return (PhReader){in.data, in.len, false};
}

static inline bool
ph_reader_ok (const PhReader *r)
{
  return !r->poisoned;
}

static inline size_t
ph_reader_left (const PhReader *r)
{
  return r->left;
}

/* True if nothing failed and nothing is left: what a message without trailing bytes must be. */
static inline bool
ph_reader_done (const PhReader *r)
{
  return !r->poisoned && r->left == 0;
}

/* Makes the reader fail from now on, for a value that is well formed and yet not allowed. */
static inline void
ph_reader_poison (PhReader *r)
{
  r->poisoned = true;
  r->left = 0;
}

/* The next `len` bytes, borrowed from the input; an empty slice if there are fewer. */
PhSlice ph_read_slice (PhReader *r, size_t len);
/* Copies the next `len` bytes, or zeros if there are fewer. */
void ph_read_bytes (PhReader *r, void *out, size_t len);
void ph_read_skip (PhReader *r, size_t len);
uint8_t ph_read_u8 (PhReader *r);
uint16_t ph_read_u16 (PhReader *r);
uint32_t ph_read_u32 (PhReader *r);
uint64_t ph_read_u64 (PhReader *r);
/* RFC 9000 §16 variable-length integer, 1 to 8 bytes. */
uint64_t ph_read_varint (PhReader *r);
/* A varint length and so many bytes; poisons if the length is above `max`. */
PhSlice ph_read_counted (PhReader *r, size_t max);

/* --- Writing ---------------------------------------------------------------------------------- */

typedef struct {
  uint8_t *start;
  uint8_t *p;
  size_t left;
  bool poisoned;
} PhWriter;

static inline PhWriter
ph_writer (void *out, size_t cap)
{
  return (PhWriter){out, out, cap, false};
}

static inline bool
ph_writer_ok (const PhWriter *w)
{
  return !w->poisoned;
}

/* Bytes written so far. */
static inline size_t
ph_writer_len (const PhWriter *w)
{
  return (size_t)(w->p - w->start);
}

/* Room for `len` bytes to be filled in by the caller; NULL if there is none. */
uint8_t *ph_write_reserve (PhWriter *w, size_t len);
void ph_write_bytes (PhWriter *w, const void *data, size_t len);
void ph_write_slice (PhWriter *w, PhSlice data);
void ph_write_zeros (PhWriter *w, size_t len);
void ph_write_u8 (PhWriter *w, uint8_t value);
void ph_write_u16 (PhWriter *w, uint16_t value);
void ph_write_u32 (PhWriter *w, uint32_t value);
void ph_write_u64 (PhWriter *w, uint64_t value);
/* RFC 9000 §16; poisons above 2^62 - 1. */
void ph_write_varint (PhWriter *w, uint64_t value);
/* A varint length and the bytes. */
void ph_write_counted (PhWriter *w, PhSlice data);

/* Length of `value` as a varint: 1, 2, 4 or 8; 0 if it cannot be one. */
size_t ph_varint_len (uint64_t value);

/* Overwrites two bytes at `at`, a position already written, for lengths known afterwards. */
void ph_writer_patch_u16 (PhWriter *w, size_t at, uint16_t value);
