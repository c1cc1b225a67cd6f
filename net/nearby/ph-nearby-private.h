/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between the files of net/nearby:
 *
 *   ph-nearby.c             contacts, announcements, the five verbs
 *   ph-nearby-signals.c     packets of one contact: cutting up, repeating, putting together
 *   ph-nearby-invitation.c  what an invitation makes of the signals
 */

#pragma once

#include "net/nearby/ph-nearby.h"

/* Of a contact to be. */
typedef struct {
  uint64_t handle;
  bool ours;
  PhInvitation invitation;
  PhTime begun_at;
  PhTime expires_at; /* then it is forgotten */
  bool over; /* its end was told; it only answers who asks again */

  /* Ours. */
  bool used;
  PhDeviceId used_by;
  bool answered; /* whoever used it has heard so, or is gone */
  PhTime judged_at; /* 0: never */

  /* Another's. */
  PhTime ask_at; /* PH_NEVER: the inviter is not there */
  PhTime search_at; /* until it is there */
} PhNearbyInvitation;

typedef struct {
  PhDeviceId id; /* of an invitation: the inviter */
  PhNearbyInvitation *invitation; /* owned; NULL: a contact */
  PhNearbyKey to_peer;
  PhNearbyKey from_peer;

  bool here;
  uint32_t socket;
  PhAddr addr;
  PhEpoch epoch;
  PhTime heard_at;
  PhTime doubted_until; /* then it is gone, unless it is heard; PH_NEVER: nobody doubts */
  bool answer_due;
  PhTime answered_at; /* 0: never */

  /* Sending: the first of `signals`, from `offset` on, is under way. */
  GQueue signals; /* GBytes, owned */
  size_t offset;
  uint64_t sequence; /* of the packet under way, or of the last one */
  bool send_due;
  unsigned tries;
  PhTime repeat_at; /* PH_NEVER: nothing is under way */

  /* Receiving. */
  uint64_t received;
  GByteArray *partial; /* owned; NULL: between signals */
  bool ack_due;
} PhNearbyContact;

typedef struct {
  PhNearbyEvent event; /* without its body */
  GBytes *body; /* owned or NULL */
} PhNearbyNews;

typedef struct {
  uint32_t id;
  PhAddr addr;
  uint32_t interface;
} PhNearbySocket;

struct _PhNearby {
  PhNearbyConfig config;
  PhEpoch epoch;
  char name[PH_NAME_LEN_MAX + 1];
  uint64_t last_handle;
  uint64_t dropped_sequence; /* no contact that was dropped has come further */
  GPtrArray *contacts; /* PhNearbyContact, owned; with those to be */
  GArray *sockets; /* PhNearbySocket */

  /* The announcement that is being sent: to which socket's network, from which contact on. */
  bool announcing;
  bool from_group; /* what is being handled came by multicast */
  PhTime announced_at;
  guint round_socket;
  guint round_contact;
  PhTime announce_at;
  unsigned burst_left;
  PhTime burst_interval;
  bool leaving;

  unsigned ration;
  PhTime ration_at;

  GQueue news; /* PhNearbyNews, owned */
  GBytes *told; /* the body of the last event */
};

/* Takes `body`. */
void ph_nearby_push (PhNearby *self, const PhNearbyEvent *event, GBytes *body);
/* Something happened to the contact, or was said by it: an event, or the next step of an invitation. */
void ph_nearby_tell (PhNearby *self, PhTime now, PhNearbyContact *contact, PhNearbyEventType type,
                     GBytes *body);
/* The contact is not here any more. */
void ph_nearby_lose (PhNearby *self, PhTime now, PhNearbyContact *contact, const char *why);

/* Somebody is there whom we have not heard: announces, unless that is under way. */
void ph_nearby_look_around (PhNearby *self, PhTime now);

PhNearbyContact *ph_nearby_contact_new (PhNearby *self, PhTime now, const PhDeviceId *id);
/* Drops it, told or not. */
void ph_nearby_contact_drop (PhNearby *self, PhTime now, PhNearbyContact *contact, const char *why);

/* ph-nearby-invitation.c */
void ph_nearby_invitation_free (PhNearbyInvitation *invitation);
/* The other end is there, or not any more. */
void ph_nearby_invitation_here (PhNearby *self, PhTime now, PhNearbyContact *contact);
void ph_nearby_invitation_gone (PhNearby *self, PhNearbyContact *contact);
void
ph_nearby_invitation_signal (PhNearby *self, PhTime now, PhNearbyContact *contact, PhSlice body);
/* Everything that was said has been heard. */
void ph_nearby_invitation_heard (PhNearby *self, PhNearbyContact *contact);
/* False: it is to be dropped. */
bool ph_nearby_invitation_handle_timeout (PhNearby *self, PhTime now, PhNearbyContact *contact);
PhTime ph_nearby_invitation_next_timeout (const PhNearbyContact *contact);
/* Whether it wants to find the other end and be found. One of another's that has had its answer does not: the
 * inviter has to listen to whoever comes with the same link. */
bool ph_nearby_contact_is_looking (const PhNearbyContact *contact);

/* ph-nearby-signals.c */
/* Nothing is under way in either direction, nothing waits. */
void ph_nearby_contact_reset (PhNearbyContact *contact);
void ph_nearby_contact_start (PhNearbyContact *contact);
/* False: it is not here, or has too many waiting. */
bool ph_nearby_contact_send (PhNearbyContact *contact, PhSlice body);
void ph_nearby_contact_handle (PhNearby *self, PhTime now, PhNearbyContact *contact,
                               const PhNearbyPacket *packet);
/* False: the contact does not answer. */
bool ph_nearby_contact_handle_timeout (PhNearbyContact *contact, PhTime now);
bool ph_nearby_contact_poll_transmit (PhNearby *self, PhTime now, PhNearbyContact *contact,
                                      PhTransmit *tx);
