/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Datagrams between contacts on one network.
 *
 *   header   0x0e 'p' 'h' 0x01, type u8, nonce 24
 *   ANNOUNCE (type 1) = header, entries: tag 8, seal (epoch 16, flags u8)
 *   PACKET   (type 2) = header, tag 8, seal (sender's epoch 16, receiver's epoch 16, kind u8, flags u8,
 *                                            sequence u64, bytes)
 *
 * The first byte is none of STUN's, TURN's, DTLS' or QUIC's (RFC 7983, RFC 9443): the sockets of ICE carry
 * these datagrams as well.
 *
 * Keys. Two contacts share secret = X25519 of their keys' Montgomery forms; from the one to the other goes
 *   key = BLAKE2b-256 (key: secret, "porthole/1 nearby" NUL, sender 32, receiver 32)
 *   tag = the first 8 bytes of BLAKE2b-128 (key: key, nonce)
 *   seal = XChaCha20-Poly1305 (key, nonce, associated data: all that stands before it of the header)
 * A nonce is drawn for each datagram. So whoever is no contact sees a random number and cannot tell whose
 * announcement it is, nor that two are of one device; a contact finds its entry by the tag. Tags are
 * padded with random entries, so that their number says little.
 *
 * Two who are no contacts yet, one of whom holds the other's invitation, have its secret instead:
 *   key = BLAKE2b-256 (key: invitation's secret, "porthole/1 nearby invitation" NUL, inviter 32,
 *                      u8 1 towards the inviter, 2 from it)
 * A secret has 128 random bits: nothing that is heard helps to guess it. What people can speak is not for this.
 *
 * That is a MAC where design.md says signed: only a contact can check either, and this one can deny. */

#pragma once

#include "net/signal/ph-device-id.h"
#include "net/signal/ph-envelope.h"
#include "net/signal/ph-invitation.h"

#define PH_NEARBY_KEY_LEN 32
#define PH_NEARBY_NONCE_LEN 24
#define PH_NEARBY_TAG_LEN 8
#define PH_NEARBY_MAC_LEN 16

/* A datagram that every IPv6 link carries whole: RFC 8200 §5 less IPv6 and UDP. */
#define PH_NEARBY_DATAGRAM_MAX 1232

#define PH_NEARBY_HEADER_LEN (5 + PH_NEARBY_NONCE_LEN)
#define PH_NEARBY_ENTRY_LEN (PH_NEARBY_TAG_LEN + PH_EPOCH_LEN + 1 + PH_NEARBY_MAC_LEN)
#define PH_NEARBY_ENTRIES_MAX                                                                      \
  ((PH_NEARBY_DATAGRAM_MAX - PH_NEARBY_HEADER_LEN) / PH_NEARBY_ENTRY_LEN)
/* Announcements have a multiple of so many entries. */
#define PH_NEARBY_ENTRIES_STEP 4

#define PH_NEARBY_PACKET_OVERHEAD                                                                  \
  (PH_NEARBY_HEADER_LEN + PH_NEARBY_TAG_LEN + 2 * PH_EPOCH_LEN + 1 + 1 + 8 + PH_NEARBY_MAC_LEN)
#define PH_NEARBY_BYTES_MAX (PH_NEARBY_DATAGRAM_MAX - PH_NEARBY_PACKET_OVERHEAD)

typedef enum { PH_NEARBY_ANNOUNCE = 1, PH_NEARBY_PACKET = 2 } PhNearbyType;

/* Of an announcement's entry. */
#define PH_NEARBY_FLAG_LEAVING 1u /* gone from this network in a moment */
#define PH_NEARBY_FLAG_ANSWER 2u /* announce yourself to me */
/* Of a packet. */
#define PH_NEARBY_FLAG_MORE 4u /* the signal goes on in the next packet */

typedef enum { PH_NEARBY_DATA = 1, PH_NEARBY_ACK = 2 } PhNearbyKind;

typedef struct {
  uint8_t key[PH_NEARBY_KEY_LEN];
} PhNearbyKey;

typedef struct {
  PhEpoch epoch;
  uint8_t flags;
} PhNearbyEntry;

typedef struct {
  PhEpoch sender_epoch;
  PhEpoch receiver_epoch;
  uint8_t kind; /* PhNearbyKind */
  uint8_t flags;
  uint64_t sequence; /* from 1; of an ACK: the last one that came */
  PhSlice bytes; /* at most PH_NEARBY_BYTES_MAX */
} PhNearbyPacket;

/* The keys of both directions between us and `peer`. */
void ph_nearby_keys (const PhIdentity *identity, const PhDeviceId *peer, PhNearbyKey *ret_to_peer,
                     PhNearbyKey *ret_from_peer);

/* The keys between the inviter and whoever holds the invitation; `inviting`: we are the inviter. */
void ph_nearby_invitation_keys (const PhInvitation *invitation, bool inviting,
                                PhNearbyKey *ret_to_peer, PhNearbyKey *ret_from_peer);

/* Whether it begins as one of these datagrams. */
bool ph_nearby_is_nearby (PhSlice bytes);

/* --- Writing ------------------------------------------------------------------------------------ */

/* Begins a datagram; the nonce is drawn. `w` has PH_NEARBY_DATAGRAM_MAX bytes of room. */
void ph_nearby_write_header (PhWriter *w, PhNearbyType type, const PhRandom *random);
void ph_nearby_write_entry (PhWriter *w, const PhNearbyKey *to_peer, const PhNearbyEntry *entry);
/* An entry for nobody. */
void ph_nearby_write_padding (PhWriter *w, const PhRandom *random);
void ph_nearby_write_packet (PhWriter *w, const PhNearbyKey *to_peer, const PhNearbyPacket *packet);

/* --- Reading ------------------------------------------------------------------------------------ */

/* A datagram that is well formed: nothing of it is authentic yet. */
typedef struct {
  uint8_t type; /* PhNearbyType */
  PhSlice header;
  PhSlice entries; /* ANNOUNCE: a multiple of PH_NEARBY_ENTRY_LEN */
  PhSlice tag; /* PACKET */
  PhSlice sealed; /* PACKET */
} PhNearbyMessage;

bool ph_nearby_parse (PhSlice bytes, PhNearbyMessage *ret_message);
/* The entry that was made with this key; false if there is none. */
bool ph_nearby_find_entry (const PhNearbyMessage *message, const PhNearbyKey *from_peer,
                           PhNearbyEntry *ret_entry);
/* False if it was not made with this key. ret_packet->bytes lies in `plain`. */
bool ph_nearby_open_packet (const PhNearbyMessage *message, const PhNearbyKey *from_peer,
                            uint8_t plain[PH_NEARBY_DATAGRAM_MAX], PhNearbyPacket *ret_packet);
