/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What crosses the seam between a core and its driver.
 *
 * A *socket id* names whatever carries bytes on this side: a UDP socket, a TCP connection, later a
 * TURN allocation. Ids are handed out by the engine, are never used again, and mean nothing to the
 * other side; 0 is none. Cores never see a descriptor. */

#pragma once

#include "net/base/ph-addr.h"
#include "net/base/ph-time.h"

/* One datagram that arrived (on a TCP connection: the bytes read). Everything is borrowed for the
 * length of the call. A GRO batch is split by the driver: cores see one datagram each. */
typedef struct {
  uint32_t socket;
  PhAddr remote;
  uint8_t ecn; /* the two ECN bits, 0 where the driver cannot tell */
  PhSlice bytes;
} PhDatagram;

/* What a core wants sent. The caller of a _poll_transmit sets `data` and `cap`, the core the rest.
 * With `segment` > 0 the bytes are several datagrams of `segment` bytes each (the last may be
 * shorter), for UDP_SEGMENT or a loop. */
typedef struct {
  uint8_t *data;
  size_t cap;

  uint32_t socket;
  PhAddr remote;
  size_t len;
  uint16_t segment;
  uint8_t ecn;
} PhTransmit;

/* Room that every _poll_transmit may count on: a whole GSO batch. */
#define PH_TRANSMIT_MAX 65536
