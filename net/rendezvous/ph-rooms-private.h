/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside of PhRooms: ph-rooms.c has connections, time and output; ph-rooms-messages.c what clients
 * say, but for ph-rooms-knock.c. */

#pragma once

#include "net/rendezvous/ph-invitation-store.h"
#include "net/rendezvous/ph-limits.h"
#include "net/rendezvous/ph-rooms.h"
#include "net/signal/ph-json.h"

/* Acceptances of one connection that wait for the inviter; the oldest makes room. */
#define PH_ROOMS_ACCEPTING_MAX 8

typedef struct {
  PhRooms *rooms; /* borrowed */
  uint64_t id;
  PhAddr address; /* of its budget: port 0, IPv6 cut to /64 */
  PhAddr remote;
  PhAddr local; /* unset: it is not knocked at */
  char *local_origin; /* owned, or NULL */
  bool logged_in;
  bool doomed; /* in rooms->doomed: does not keep up */
  GList *waiting_link; /* in rooms->waiting; NULL once logged in */
  uint8_t nonce[PH_RENDEZVOUS_NONCE_LEN]; /* ours, in the challenge */
  PhTime login_by;
  PhBucket out;
  /* logged in: */
  PhDeviceId key;
  PhEpoch epoch;
  GArray *watched; /* of PhDeviceId, sorted; NULL while empty */
  PhLookupId accepting[PH_ROOMS_ACCEPTING_MAX];
  unsigned n_accepting;
  unsigned n_knocks; /* under way */
} PhRoomsConn;

typedef struct _PhRoomsPendingKnock PhRoomsPendingKnock;

struct _PhRooms {
  PhRandom random;
  PhTrace trace;
  char **origins;
  char **stun_uris;
  char **turn_uris;
  char *turn_secret;
  uint64_t (*unix_time) (void *user);
  void *user;
  unsigned per_address_max;
  unsigned connections_max;

  PhTime last_now;
  GHashTable *conns; /* id -> PhRoomsConn, owned */
  GHashTable *devices; /* PhDeviceId in the PhRoomsConn -> PhRoomsConn, borrowed */
  GHashTable *per_address; /* address -> number of connections */
  GQueue waiting; /* of PhRoomsConn not logged in, by login_by */
  GQueue doomed; /* of PhRoomsConn that are closed before the current call returns */
  PhBucketTable *opens; /* by address */
  PhBucketTable *messages; /* by key */
  PhInvitationStore *invitations;
  PhBucketTable *knocks_by_key;
  PhBucketTable *knocks_by_address;
  GQueue knocks; /* of PhRoomsPendingKnock, owned, by when they are due */
  GQueue knocks_out; /* of PhRoomsKnock, owned */
  uint64_t last_knock;
  PhTime sweep_at;
  GQueue output; /* of PhRoomsOutput, owned */
};

/* Queues a frame; takes the message. A connection that does not keep up is doomed instead: it is closed
 * when the message at hand is dealt with, so that no list changes under whoever walks it. */
void ph_rooms_send (PhRooms *self, PhTime now, PhRoomsConn *conn, JsonObject *message);
/* Tells the error, closes with its close code and frees the connection. */
void ph_rooms_fail (PhRooms *self, PhTime now, PhRoomsConn *conn, PhRendezvousCode code,
                    const char *text);
/* A refusal after which the connection goes on. `request` says what was refused: members of it are repeated, so
 * that the client knows which. */
void ph_rooms_refuse (PhRooms *self, PhTime now, PhRoomsConn *conn, PhRendezvousCode code,
                      const char *text, JsonObject *request);
/* Makes the connection its key's, in place of another that the key may have. */
void ph_rooms_log_in (PhRooms *self, PhTime now, PhRoomsConn *conn);
PhRoomsConn *ph_rooms_device (PhRooms *self, const PhDeviceId *key);

/* One message of a client. `conn` may be gone afterwards. */
void ph_rooms_handle_message (PhRooms *self, PhTime now, PhRoomsConn *conn, const char *type,
                              JsonObject *message);

bool ph_rooms_watches (const PhRoomsConn *conn, const PhDeviceId *key);
bool ph_rooms_are_mutual (const PhRoomsConn *a, const PhRoomsConn *b);
void ph_rooms_tell_presence (PhRooms *self, PhTime now, PhRoomsConn *to, const PhRoomsConn *of,
                             bool online);
/* Tells those whom it is mutual with that it is online or not. */
void ph_rooms_spread_presence (PhRooms *self, PhTime now, PhRoomsConn *conn, bool online);

/* -knock.c */
void ph_rooms_knocks_init (PhRooms *self);
void ph_rooms_knocks_clear (PhRooms *self);
/* Adds what the device has to know, if it may knock. */
void ph_rooms_knocks_announce (const PhRoomsConn *conn, JsonObject *welcome);
void ph_rooms_handle_knock (PhRooms *self, PhTime now, PhRoomsConn *conn, JsonObject *message);
void ph_rooms_knock_failed (PhRooms *self, PhTime now, uint64_t number);
void ph_rooms_knocks_handle_timeout (PhRooms *self, PhTime now);
void ph_rooms_knocks_sweep (PhRooms *self, PhTime now);
bool ph_rooms_knocks_are_swept (const PhRooms *self);
PhTime ph_rooms_knocks_next_timeout (const PhRooms *self);

/* For the log: the first group of a device ID. */
typedef struct {
  char text[8];
} PhShortId;
PhShortId ph_rooms_short_id (const PhDeviceId *key);
