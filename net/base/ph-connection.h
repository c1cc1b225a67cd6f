/* SPDX-License-Identifier: GPL-3.0-or-later */
/* TCP, as cores see it: operations that a core asks its driver for, and events that say what came of
 * them. Bytes travel as PhDatagram and PhTransmit, by the connection's socket id; where one read or write
 * ends and the next begins means nothing.
 *
 * A *port* is a local address that listens and that connections may leave from: a NAT then shows both
 * to the world as one address. The driver opens ports and accepts; both get ids from the driver. A
 * connection that a core asks for gets its id from the core, from PH_SOCKET_CONNECTION on. */

#pragma once

#include "net/base/ph-datagram.h"

typedef enum {
  /* Connect to `remote` from `port` (0: from any). OPENED, or one of the failures, follows. */
  PH_CONNECTION_OPEN,
  /* What was sent is still delivered. No event follows. */
  PH_CONNECTION_CLOSE,
  /* A reset, at once. No event follows. */
  PH_CONNECTION_ABORT,
} PhConnectionOpType;

typedef struct {
  PhConnectionOpType type;
  uint32_t socket;
  uint32_t port;
  PhAddr remote;
} PhConnectionOp;

typedef enum {
  PH_CONNECTION_OPENED,
  PH_CONNECTION_ACCEPTED, /* at `port`, from `remote` */
  /* A reset, while connecting. When a hole is punched this is no failure: the other side's router
   * knew nothing of us yet. */
  PH_CONNECTION_REFUSED,
  /* The kernel has a connection from this port to this address already: one that was just accepted, and
   * told before this event, or one that was closed less than a minute ago. */
  PH_CONNECTION_IN_USE,
  PH_CONNECTION_UNREACHABLE, /* no route, no answer, not permitted */
  PH_CONNECTION_CLOSED, /* was open; by the other side, or broken */
} PhConnectionEventType;

typedef struct {
  PhConnectionEventType type;
  uint32_t socket; /* gone after any event but the first two */
  uint32_t port; /* 0: none */
  PhAddr local;
  PhAddr remote;
} PhConnectionEvent;
