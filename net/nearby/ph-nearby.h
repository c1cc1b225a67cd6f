/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Contacts on the same network: they find each other by multicast and carry each other's signals, with no
 * server between them, without I/O.
 *
 * Announcing. On every socket, at the start and after every change of the network in a burst, then every
 * half minute, what only contacts can read (ph-nearby-message.h) goes to a multicast group that no router
 * forwards: 239.255.80.72 and ff02::1:5048, port 20552. Who recognises a contact and was not known to it
 * answers at once, to its address alone.
 *
 * Presence. A contact is here from its first announcement until it says that it leaves, until it has not
 * been heard for PH_NEARBY_LIFE, or until a signal to it is not acknowledged. Its address is where its last
 * announcement came from, which is the socket that it also does ICE on.
 *
 * Signals are those of net/signal: opaque, in order and once, PH_ENVELOPE_BODY_MAX bytes at most. Each is
 * cut into packets; one packet a contact is under way at a time and repeated until it is acknowledged.
 * Both sides' epochs (a nonce drawn per start) are in each packet, so nothing of an earlier run counts. An announcement can be repeated by whoever hears it: that
 * misleads signals, which nobody else can read, until the contact's own next announcement.
 *
 * Bounded: PH_NEARBY_CONTACTS_MAX contacts, one signal being put together for each contact that is here,
 * PH_NEARBY_QUEUE_MAX waiting, and a ration of strangers' datagrams that are looked at per second.
 *
 * After any call the caller settles: polls transmits until false, events until false, arms one timer. */

#pragma once

#include "net/base/ph-datagram.h"
#include "net/base/ph-trace.h"
#include "net/nearby/ph-nearby-message.h"

#define PH_NEARBY_PORT 20552
/* As many as a person has; each costs a hash per announcement that is heard. */
#define PH_NEARBY_CONTACTS_MAX 1024
/* One a local address, as for ICE. */
#define PH_NEARBY_SOCKETS_MAX 16
/* Signals that wait for one contact: as many as the rendezvous client keeps. */
#define PH_NEARBY_QUEUE_MAX 64
/* Between announcements: presence comes in a burst, this only keeps it. */
#define PH_NEARBY_INTERVAL (30 * PH_SEC)
/* Three announcements lost. */
#define PH_NEARBY_LIFE (100 * PH_SEC)
/* Announcements of a burst: multicast is lossy over Wi-Fi, and a network that has just come up loses more. */
#define PH_NEARBY_BURST 4
/* The first repetition of a packet or announcement; it doubles. */
#define PH_NEARBY_REPEAT (250 * PH_MSEC)
/* Repetitions of a packet: after 250 ms, 500 ms, 1 s, 2 s the contact is not here (any more). */
#define PH_NEARBY_TRIES 5
/* Datagrams of strangers, or replays, that are looked at: so many at once, and so many a second. */
#define PH_NEARBY_RATION 128
/* Answers to an announcement come at once, or have been somewhere else. */
#define PH_NEARBY_ANSWER_LIFE (5 * PH_SEC)
/* One contact is answered this often at most. */
#define PH_NEARBY_ANSWER_INTERVAL PH_SEC

typedef struct {
  const PhIdentity *identity; /* borrowed, outlives the core */
  PhRandom random;
  PhTrace trace;
} PhNearbyConfig;

typedef enum {
  PH_NEARBY_EVENT_HERE, /* `peer` */
  PH_NEARBY_EVENT_GONE, /* `peer`; what waited for it is dropped */
  PH_NEARBY_EVENT_SIGNAL, /* `body` from `peer` */
} PhNearbyEventType;

/* Valid until the next call. */
typedef struct {
  PhNearbyEventType type;
  PhDeviceId peer;
  PhSlice body;
} PhNearbyEvent;

typedef struct _PhNearby PhNearby;

PhNearby *ph_nearby_new (const PhNearbyConfig *config, PhTime now);
void ph_nearby_free (PhNearby *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhNearby, ph_nearby_free)

/* A UDP socket on `interface` (its index), whose multicast goes out there. Ignored past the limit. */
void ph_nearby_add_socket (PhNearby *self, PhTime now, uint32_t socket, const PhAddr *addr,
                           uint32_t interface);
/* Contacts that were heard there are gone until they are heard anew. */
void ph_nearby_remove_socket (PhNearby *self, PhTime now, uint32_t socket);

/* Whom to look for and to be found by. False past the limit. Watching twice does nothing. */
bool ph_nearby_watch (PhNearby *self, PhTime now, const PhDeviceId *peer);
void ph_nearby_unwatch (PhNearby *self, PhTime now, const PhDeviceId *peer);
/* It is gone, as something else has told: until it is heard again. */
void ph_nearby_forget (PhNearby *self, PhTime now, const PhDeviceId *peer);
bool ph_nearby_is_here (const PhNearby *self, const PhDeviceId *peer);

/* Routes have changed, or the computer has woken: announces in a burst. */
void ph_nearby_network_changed (PhNearby *self, PhTime now);
/* Tells the network that this device leaves; poll the transmits, then free. */
void ph_nearby_leave (PhNearby *self, PhTime now);

/* False: the contact is not here, or has too many waiting. */
bool ph_nearby_send (PhNearby *self, PhTime now, const PhDeviceId *peer, PhSlice body);

/* The five verbs. handle_packet: whether it was one of these datagrams. */
bool ph_nearby_handle_packet (PhNearby *self, PhTime now, const PhDatagram *in);
/* What came to the group on `interface`. */
void ph_nearby_handle_multicast (PhNearby *self, PhTime now, uint32_t interface,
                                 const PhAddr *remote, PhSlice bytes);
void ph_nearby_handle_timeout (PhNearby *self, PhTime now);
/* One datagram a call; tx->cap is at least PH_NEARBY_DATAGRAM_MAX. */
bool ph_nearby_poll_transmit (PhNearby *self, PhTime now, PhTransmit *tx);
bool ph_nearby_poll_event (PhNearby *self, PhNearbyEvent *ret_event);
PhTime ph_nearby_next_timeout (const PhNearby *self, const char **ret_why);

/* The group of a family; `interface` is the scope of the IPv6 one. */
PhAddr ph_nearby_group (PhFamily family, uint32_t interface);
