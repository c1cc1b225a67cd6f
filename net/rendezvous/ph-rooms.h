/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The rendezvous server without I/O: connections with ids, text frames and time in, text frames and
 * closes out. ph-rooms-edge.h gives it a listening socket.
 *
 * It knows devices by their keys and stores nothing but what is in memory: who is connected, whom each
 * watches, and open invitations. Devices see each other's presence, and can signal each other, only if
 * each watches the other. Whatever a client does wrong is answered with a typed error; if it
 * cannot have been an honest client's, the connection ends with that error's close code.
 *
 * After any call the caller settles: _poll_output and _poll_knock until false, then _next_timeout. */

#pragma once

#include "net/base/ph-addr.h"
#include "net/base/ph-time.h"
#include "net/base/ph-trace.h"
#include "net/signal/ph-rendezvous-protocol.h"

/* Connections of one IPv4 address or IPv6 /64, where not configured: an office behind one NAT. */
#define PH_ROOMS_PER_ADDRESS_MAX 256
/* In all, where not configured. An idle connection takes some 30 KiB with its socket and TLS. */
#define PH_ROOMS_CONNECTIONS_MAX 20000
/* New connections of one address: as many at once, and so many a second. Reconnecting clients back
 * off from 1 s to 60 s. */
#define PH_ROOMS_OPEN_BURST 300
#define PH_ROOMS_OPEN_RATE 10
/* Messages of one device, over its connections: a few attempts at once with trickled candidates. */
#define PH_ROOMS_MESSAGE_BURST 300
#define PH_ROOMS_MESSAGE_RATE 30
/* An acceptance costs as much as so many other messages: guessing is slow. */
#define PH_ROOMS_ACCEPT_COST 10
/* What may be sent to one connection: it bounds what waits for a client that does not read, until the
 * keepalive ends it. */
#define PH_ROOMS_OUT_BURST (1024 * 1024)
#define PH_ROOMS_OUT_RATE (128 * 1024)
/* Knocks a minute of one device and of one address (IPv6: /64); each a divisor of 60. A network that has just changed
 * is asked about with three. */
#define PH_ROOMS_KNOCKS_PER_KEY 12
#define PH_ROOMS_KNOCKS_PER_ADDRESS 30
/* Under way at once: each has a descriptor, for PH_RENDEZVOUS_KNOCK_TIME at most. */
#define PH_ROOMS_KNOCKS_MAX 64
/* How long TURN credentials are good. Clients ask anew at half of it. */
#define PH_ROOMS_TURN_LIFE_S 7200

typedef struct {
  PhRandom random;
  PhTrace trace; /* one line an event, without contents */
  /* Origins of this server ("wss://meet.example.org:443"), besides the one of each connection's own
   * local address; copied. May be NULL. */
  const char *const *origins;
  const char *const *stun_uris; /* copied; may be NULL */
  const char *const *turn_uris;
  const char *turn_secret; /* copied; NULL: TURN URIs are handed out without credentials */
  uint64_t (*unix_time) (
      void *user); /* seconds, for TURN credentials; NULL only without a secret */
  void *user;
  unsigned per_address_max; /* 0: the default */
  unsigned connections_max; /* 0: the default */
} PhRoomsConfig;

typedef struct {
  uint64_t connection;
  char *text; /* a frame, free with g_free(); NULL: close */
  uint16_t close_code;
  const char *close_reason; /* static */
} PhRoomsOutput;

/* A TCP connection to make: to a device, at the address it has connected from. */
typedef struct {
  uint64_t number;
  PhAddr from; /* where its own connection has arrived; port 0 */
  PhAddr to;
  uint8_t greeting[PH_RENDEZVOUS_GREETING_LEN]; /* all that is said to it; nothing is read */
} PhRoomsKnock;

typedef struct {
  unsigned connections;
  unsigned devices;
  unsigned invitations;
} PhRoomsStats;

typedef struct _PhRooms PhRooms;

PhRooms *ph_rooms_new (const PhRoomsConfig *config);
void ph_rooms_free (PhRooms *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhRooms, ph_rooms_free)

/* `connection` is the caller's number for it, never used before. `local_origin` is how the client must
 * have dialled if it used the address that it reached ("ws://192.0.2.1:8080"), or NULL. */
void ph_rooms_handle_open (PhRooms *self, PhTime now, uint64_t connection, const PhAddr *remote,
                           const char *local_origin);
/* The rest do nothing for a connection that the core has closed. */
/* `connection` has arrived at `local` straight, through no proxy: its device may ask to be knocked at, if it is on
 * the internet. To be said before it logs in. */
void ph_rooms_allow_knocks (PhRooms *self, uint64_t connection, const PhAddr *local);
void ph_rooms_handle_text (PhRooms *self, PhTime now, uint64_t connection, PhSlice text);
/* A frame that the edge did not read: TOO_LARGE or UNSUPPORTED. */
void
ph_rooms_handle_bad_frame (PhRooms *self, PhTime now, uint64_t connection, PhRendezvousCode code);
/* The connection is gone, by itself. */
void ph_rooms_handle_close (PhRooms *self, PhTime now, uint64_t connection);
void ph_rooms_handle_timeout (PhRooms *self, PhTime now);
/* Tells everybody and closes all connections. */
void ph_rooms_shut_down (PhRooms *self, PhTime now);

/* A knock could not even be tried, for want of a descriptor or a route. What became of it otherwise is not for the
 * core to know. */
void ph_rooms_handle_knock_failed (PhRooms *self, PhTime now, uint64_t number);

bool ph_rooms_poll_output (PhRooms *self, PhRoomsOutput *ret_output);
/* To be given up PH_RENDEZVOUS_KNOCK_TIME later. */
bool ph_rooms_poll_knock (PhRooms *self, PhRoomsKnock *ret_knock);
PhTime ph_rooms_next_timeout (const PhRooms *self, const char **ret_why);
PhRoomsStats ph_rooms_stats (const PhRooms *self);
