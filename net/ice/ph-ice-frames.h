/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The framing of everything that two ICE agents send on a TCP connection: two bytes of length before each
 * message (RFC 4571), as RFC 6544 §3 has it, so that checks and what is secured share the connection.
 * STUN messages begin with 0x00 to 0x03, the records of TLS with 0x14 to 0x3f (RFC 7983).
 *
 * STUN comes out whole, copied only if it was cut in two. TLS is a stream itself: its frames come out as
 * they arrive, in parts. */

#pragma once

#include "net/base/ph-bytes.h"

/* Before each frame. */
#define PH_ICE_FRAME_HEADER_LEN 2
/* Checks are 120 bytes; nobody sends such a long one to be believed. */
#define PH_ICE_FRAME_STUN_MAX 2048

typedef enum {
  PH_ICE_FRAME_STUN, /* a message */
  PH_ICE_FRAME_TLS, /* the next bytes of the TLS stream */
  PH_ICE_FRAME_MORE, /* all of `in` was taken */
  PH_ICE_FRAME_BROKEN, /* neither; from now on always */
} PhIceFrame;

typedef struct {
  uint8_t part[PH_ICE_FRAME_STUN_MAX];
  size_t part_len; /* of the header, then of a STUN message */
  bool in_frame;
  bool is_tls; /* the frame's first byte was seen and says so */
  bool begun; /* the frame's first byte was seen */
  size_t left; /* bytes of the frame that are still to come */
  bool broken;
} PhIceFrames;

/* Takes bytes from the front of `in`. What is returned in `ret_bytes` is borrowed from `in` or from `self` until
 * the next call. Call until MORE or BROKEN. */
PhIceFrame ph_ice_frames_next (PhIceFrames *self, PhSlice *in, PhSlice *ret_bytes);

/* Fills in the header of a frame of `len` bytes, at most 65,535. */
void ph_ice_frame_write_header (uint8_t out[PH_ICE_FRAME_HEADER_LEN], size_t len);
