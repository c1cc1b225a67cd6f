/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The TCP connections of an endpoint, in and out: what is known of each, the operations that the driver is
 * to carry out, and the framing of those that lead to peers. Owned by the gatherer, shared by it, the
 * endpoint and the connectors. Private to net/connect.
 *
 * A connection that was accepted is a *stranger's* until a check on it proves to be a peer's: it has
 * PH_CONNECTIONS_STRANGER to say one, and there are at most PH_CONNECTIONS_STRANGERS_MAX. */

#pragma once

#include "net/base/ph-connection.h"
#include "net/ice/ph-ice-frames.h"

#include <glib.h>

/* A contact's first check leaves with its ACK: this is a slow line and a lost packet. */
#define PH_CONNECTIONS_STRANGER (5 * PH_SEC)
/* Contacts that connect at the same moment, with several addresses each; all together a second's worth
 * of port scanning. */
#define PH_CONNECTIONS_STRANGERS_MAX 32
/* From one address. */
#define PH_CONNECTIONS_STRANGERS_PER_IP_MAX 8
/* In all: each costs a descriptor. */
#define PH_CONNECTIONS_MAX 256

typedef enum {
  PH_CONNECTION_STRANGER,
  PH_CONNECTION_PEER,
  PH_CONNECTION_SERVER, /* a STUN server's: not framed */
} PhConnectionUse;

typedef struct {
  uint32_t id;
  uint32_t port;
  PhAddr remote;
  PhConnectionUse use;
  bool open;
  bool blocked; /* the driver takes no bulk */
  PhTime stranger_until;
  PhIceFrames frames;
} PhConnection;

typedef struct _PhConnections PhConnections;

PhConnections *ph_connections_new (void);
void ph_connections_free (PhConnections *self);

/* Asks for a connection and returns its id; 0 if there are too many. */
uint32_t
ph_connections_open (PhConnections *self, uint32_t port, const PhAddr *remote, PhConnectionUse use);
/* Forgets it: the driver closes it, what was sent is delivered. */
void ph_connections_close (PhConnections *self, uint32_t id);
/* The same with a reset. */
void ph_connections_abort (PhConnections *self, uint32_t id);
/* NULL: none. Borrowed until the next call that is not const. */
PhConnection *ph_connections_find (const PhConnections *self, uint32_t id);
/* The open one from `port` to `remote`; NULL: none. */
PhConnection *
ph_connections_between (const PhConnections *self, uint32_t port, const PhAddr *remote);
/* Takes note of what the driver says. False: of a connection that nobody wants (any more), or of a
 * stranger too many; it is being closed. */
bool ph_connections_handle_event (PhConnections *self, PhTime now, const PhConnectionEvent *event);
bool ph_connections_poll_op (PhConnections *self, PhConnectionOp *ret_op);
/* Makes a message for a peer's connection into a frame: `tx` has left PH_ICE_FRAME_HEADER_LEN bytes of
 * headroom, or none. */
void ph_connections_frame (PhConnections *self, PhTransmit *tx);

/* Strangers whose time is over. */
void ph_connections_handle_timeout (PhConnections *self, PhTime now);
PhTime ph_connections_next_timeout (const PhConnections *self, const char **ret_why);
