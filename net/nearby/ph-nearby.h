/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Contacts on the same network: they find each other by multicast and carry each other's signals, with no
 * server between them, without I/O. Two who meet by an invitation do so as well.
 *
 * Announcing. On every socket, at the start and after every change of the network in a burst, then every
 * half minute, what only contacts can read (ph-nearby-message.h) goes to a multicast group that no router
 * forwards: 239.255.80.72 and ff02::1:5048, port 20552. Who recognises a contact and was not known to it
 * answers at once, to its address alone.
 *
 * Presence. A contact is here from its first announcement until it says that it leaves, until it has not
 * been heard for PH_NEARBY_LIFE, or for less if something else says that it is gone, or until a signal to it
 * is not acknowledged. Its address is where its last
 * announcement came from, which is the socket that it also does ICE on.
 *
 * Signals are those of net/signal: opaque, in order and once, PH_ENVELOPE_BODY_MAX bytes at most. Each is
 * cut into packets; one packet a contact is under way at a time and repeated until it is acknowledged.
 * Both sides' epochs (a nonce drawn per start) are in each packet, so nothing of an earlier run counts. An announcement can be repeated by whoever hears it: that
 * misleads signals, which nobody else can read, until the contact's own next announcement.
 *
 * Invitations. Whoever has made one and whoever holds its link find each other as contacts do, by keys of the
 * invitation's secret (ph-nearby-message.h); then the acceptance and the answer of net/signal/ph-invitation.h
 * go as signals:
 *
 *   u8 1, accepter 32, sealed acceptance     accepter to inviter, every PH_NEARBY_ASK until it is answered
 *   u8 2, accepter 32, sealed welcome        inviter to accepter
 *   u8 3, accepter 32, u8 code               the same: 1 used already, 2 ended by a wrong answer
 *
 * The inviter decides as at a meeting point: once only, one wrong answer ends it, whoever used it may hear so
 * again. Without the secret nobody can say anything to it, nor know that it is there. The owner tells this and
 * the rendezvous client of each other's ends.
 *
 * Bounded: PH_NEARBY_CONTACTS_MAX contacts, PH_NEARBY_INVITATIONS_MAX invitations, one signal being put together for each contact that is here,
 * PH_NEARBY_QUEUE_MAX waiting, and a ration of strangers' datagrams that are looked at per second.
 *
 * After any call the caller settles: polls transmits until false, events until false, arms one timer. */

#pragma once

#include "net/base/ph-datagram.h"
#include "net/base/ph-trace.h"
#include "net/nearby/ph-nearby-message.h"
#include "net/signal/ph-rendezvous-protocol.h"

#define PH_NEARBY_PORT 20552
/* As many as a person has; each costs a hash per announcement that is heard. */
#define PH_NEARBY_CONTACTS_MAX 1024
/* Open ones, and those of others: as many as the rendezvous client keeps. */
#define PH_NEARBY_INVITATIONS_MAX 64
/* An acceptance is looked at so often, for each invitation: it costs two operations with curves. */
#define PH_NEARBY_JUDGE_INTERVAL PH_SEC
/* An acceptance that was not answered is sent again: the inviter may have been busy with another's. */
#define PH_NEARBY_ASK (3 * PH_SEC)
/* As long as at a meeting point. */
#define PH_NEARBY_ACCEPT_MAX (30 * PH_SEC)
/* Nobody has answered a burst of announcements: the inviter, or a contact that is doubted, is not on this
 * network. */
#define PH_NEARBY_SEARCH_MAX (5 * PH_SEC)
/* It is looked for anew so often: others with the same link may be in the way. */
#define PH_NEARBY_SEARCH_INTERVAL (2 * PH_SEC)
/* Who has used an invitation may hear so again, as at a meeting point. */
#define PH_NEARBY_USED_MEMORY (300 * PH_SEC)
/* What was said last is repeated for so long at most. */
#define PH_NEARBY_LINGER (10 * PH_SEC)
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
  const char *name; /* what people we meet by invitation are told; copied; NULL: nothing */
  PhRandom random;
  PhTrace trace;
} PhNearbyConfig;

typedef enum {
  PH_NEARBY_EVENT_HERE, /* `peer` */
  PH_NEARBY_EVENT_GONE, /* `peer`; what waited for it is dropped */
  PH_NEARBY_EVENT_SIGNAL, /* `body` from `peer` */
  PH_NEARBY_EVENT_INVITATION_USED, /* `handle`, `peer`, `name`: not to be used anywhere else any more */
  PH_NEARBY_EVENT_INVITATION_ANSWERED, /* `handle`: then, once `peer` knows or cannot be told */
  PH_NEARBY_EVENT_INVITATION_FAILED, /* `handle`, `code`: expired, or answered wrongly */
  PH_NEARBY_EVENT_ACCEPTED, /* `handle`, `peer` (the inviter), `name` */
  PH_NEARBY_EVENT_ACCEPT_FAILED, /* `handle`, `code`; TIMED_OUT: not found, or silent */
} PhNearbyEventType;

/* Valid until the next call. */
typedef struct {
  PhNearbyEventType type;
  PhDeviceId peer;
  PhSlice body;
  uint64_t handle;
  PhRendezvousCode code;
  char name[PH_NAME_LEN_MAX + 1];
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
/* Something else has told that it may be gone: it is asked, and gone if it is not heard within
 * PH_NEARBY_SEARCH_MAX. */
void ph_nearby_doubt (PhNearby *self, PhTime now, const PhDeviceId *peer);
/* It is gone, as something else has told: until it is heard again. */
void ph_nearby_forget (PhNearby *self, PhTime now, const PhDeviceId *peer);
bool ph_nearby_is_here (const PhNearby *self, const PhDeviceId *peer);

/* Routes have changed, or the computer has woken: announces in a burst. */
void ph_nearby_network_changed (PhNearby *self, PhTime now);
/* Tells the network that this device leaves; poll the transmits, then free. */
void ph_nearby_leave (PhNearby *self, PhTime now);

/* False: the contact is not here, or has too many waiting. */
bool ph_nearby_send (PhNearby *self, PhTime now, const PhDeviceId *peer, PhSlice body);

/* What people we meet by invitation are told from now on. */
void ph_nearby_set_name (PhNearby *self, const char *name);
/* Keeps an invitation of ours (copied) open for `life_interval`. Returns its handle; 0: there are too many. */
uint64_t
ph_nearby_invite (PhNearby *self, PhTime now, const PhInvitation *invitation, PhTime life_interval);
/* `peer` has used it elsewhere: it serves nobody else. No event follows. */
void
ph_nearby_invitation_used (PhNearby *self, PhTime now, uint64_t handle, const PhDeviceId *peer);
/* Accepts somebody's invitation (copied). Returns its handle; 0: there are too many. */
uint64_t ph_nearby_accept (PhNearby *self, PhTime now, const PhInvitation *invitation);
/* There is no other way left: fails after PH_NEARBY_SEARCH_MAX if the inviter has not been heard. */
void ph_nearby_accept_hurry (PhNearby *self, PhTime now, uint64_t handle);
/* Ours or another's is not wanted any more. No event follows. */
void ph_nearby_withdraw (PhNearby *self, PhTime now, uint64_t handle);

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
