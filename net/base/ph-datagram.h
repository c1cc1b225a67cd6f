/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What crosses the seam between a core and its driver.
 *
 * A *socket id* names whatever carries bytes on this side: a UDP socket, a TCP connection, a TURN
 * allocation. Ids are never used again and mean nothing to the other side; 0 is none. Cores never see a
 * descriptor. Whoever makes the thing hands out its id, from a range of its own: */

#pragma once

#include "net/base/ph-addr.h"
#include "net/base/ph-time.h"

/* Below: sockets that the driver opened by itself. From here on: connections that a core asks it for. */
#define PH_SOCKET_STREAM UINT32_C (0x40000000)
/* From here on: connections to peers, and from the ports that take those (ph-connection.h). */
#define PH_SOCKET_CONNECTION UINT32_C (0x60000000)
/* From here on: allocations at a relay. They have no descriptor; the endpoint wraps what they carry. */
#define PH_SOCKET_RELAYED UINT32_C (0x80000000)

static inline bool
ph_socket_is_relayed (uint32_t socket)
{
  return socket >= PH_SOCKET_RELAYED;
}

/* One datagram that arrived (on a TCP connection: the bytes read). Everything is borrowed for the
 * length of the call. A GRO batch is split by the driver: cores see one datagram each. */
typedef struct {
  uint32_t socket;
  PhAddr remote;
  uint8_t ecn; /* the two ECN bits, 0 where the driver cannot tell */
  PhSlice bytes;
  uint32_t port; /* of a message on a TCP connection: the local port that this belongs to */
} PhDatagram;

/* What a core wants sent. The caller of a _poll_transmit sets `data` and `cap`, the core the rest.
 * With `segment` > 0 the bytes are several datagrams of `segment` bytes each (the last may be
 * shorter), for UDP_SEGMENT or a loop.
 *
 * Whoever polls a link may ask for `headroom`: so many bytes stay free before every datagram and are
 * counted in `len` and `segment`, so that a relay's headers fit in without moving a byte. */
typedef struct {
  uint8_t *data;
  size_t cap;
  uint8_t headroom;

  uint32_t socket;
  PhAddr remote;
  size_t len;
  uint16_t segment;
  uint8_t ecn;
  uint8_t
      ttl; /* or hop limit; 0: the system's. For packets that are to open a NAT and go no further */
} PhTransmit;

/* Room that every _poll_transmit may count on: a whole GSO batch. */
#define PH_TRANSMIT_MAX 65536
