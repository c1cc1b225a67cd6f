/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The rendezvous server's sockets: a listening one, and WebSockets by libsoup, on the thread's default
 * GMainContext. "/" is the WebSocket, "/healthz" says ok.
 *
 * Connections are bounded before they have said anything: in all, per address, and by a timeout
 * until they have become a WebSocket. */

#pragma once

#include "net/rendezvous/ph-rooms.h"

#include <gio/gio.h>

typedef struct {
  PhAddr listen;
  GTlsCertificate *certificate; /* NULL: ws:// */
  PhRoomsConfig rooms;
  bool no_knocks; /* devices are not connected to */
  unsigned descriptors_max; /* for sockets and what they need; 0: enough for connections_max */
  unsigned ping_interval_s; /* silence after which a client is asked if it lives; 0: the default */
  unsigned pong_max_s; /* it has so long to answer; 0: the default */
} PhRoomsEdgeConfig;

typedef struct _PhRoomsEdge PhRoomsEdge;

/* Listens. Errors are of G_IO_ERROR, among them ADDRESS_IN_USE. */
PhRoomsEdge *ph_rooms_edge_new (const PhRoomsEdgeConfig *config, GError **error);
/* Tells all clients and stops listening; run the context until ph_rooms_edge_is_idle() or you lose
 * patience, then free. */
void ph_rooms_edge_shut_down (PhRoomsEdge *self);
bool ph_rooms_edge_is_idle (const PhRoomsEdge *self);
void ph_rooms_edge_free (PhRoomsEdge *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhRoomsEdge, ph_rooms_edge_free)

/* The bound address, with its real port. */
const PhAddr *ph_rooms_edge_local (const PhRoomsEdge *self);
/* What there is room for: as configured, or fewer for want of descriptors. */
unsigned ph_rooms_edge_connections_max (const PhRoomsEdge *self);
