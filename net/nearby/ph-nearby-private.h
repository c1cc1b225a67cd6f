/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between the files of net/nearby:
 *
 *   ph-nearby.c          contacts, announcements, the five verbs
 *   ph-nearby-signals.c  packets of one contact: cutting up, repeating, putting together
 */

#pragma once

#include "net/nearby/ph-nearby.h"

typedef struct {
  PhDeviceId id;
  PhNearbyKey to_peer;
  PhNearbyKey from_peer;

  bool here;
  uint32_t socket;
  PhAddr addr;
  PhEpoch epoch;
  PhTime heard_at;
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
  PhNearbyEventType type;
  PhDeviceId peer;
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
  GPtrArray *contacts; /* PhNearbyContact, owned */
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

void ph_nearby_push (PhNearby *self, PhNearbyEventType type, const PhDeviceId *peer, GBytes *body);
/* The contact is not here any more. */
void ph_nearby_lose (PhNearby *self, PhTime now, PhNearbyContact *contact, const char *why);

/* Somebody is there whom we have not heard: announces, unless that is under way. */
void ph_nearby_look_around (PhNearby *self, PhTime now);

/* ph-nearby-signals.c */
/* Nothing is under way in either direction, nothing waits. */
void ph_nearby_contact_reset (PhNearbyContact *contact);
void ph_nearby_contact_start (PhNearbyContact *contact);
void ph_nearby_contact_handle (PhNearby *self, PhTime now, PhNearbyContact *contact,
                               const PhNearbyPacket *packet);
/* False: the contact does not answer. */
bool ph_nearby_contact_handle_timeout (PhNearbyContact *contact, PhTime now);
bool ph_nearby_contact_poll_transmit (PhNearby *self, PhTime now, PhNearbyContact *contact,
                                      PhTransmit *tx);
