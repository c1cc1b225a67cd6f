/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/nearby/ph-nearby-message.h"

#include <sodium.h>

#define ENTRY_PLAIN_LEN (PH_EPOCH_LEN + 1)
#define PACKET_PLAIN_MIN (2 * PH_EPOCH_LEN + 1 + 1 + 8)

G_STATIC_ASSERT (PH_NEARBY_KEY_LEN == crypto_aead_xchacha20poly1305_ietf_KEYBYTES);
G_STATIC_ASSERT (PH_NEARBY_NONCE_LEN == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES);
G_STATIC_ASSERT (PH_NEARBY_MAC_LEN == crypto_aead_xchacha20poly1305_ietf_ABYTES);
G_STATIC_ASSERT (PH_NEARBY_ENTRIES_MAX >= PH_NEARBY_ENTRIES_STEP);

static const uint8_t magic[] = {0x0e, 'p', 'h', 1};
static const char purpose[] = "porthole/1 nearby";
static const char invited_purpose[] = "porthole/1 nearby invitation";
#define TO_INVITER 1
#define FROM_INVITER 2

static void
derive (const uint8_t secret[crypto_scalarmult_BYTES], const PhDeviceId *sender,
        const PhDeviceId *receiver, PhNearbyKey *ret_key)
{
  crypto_generichash_state state;

  crypto_generichash_init (&state, secret, crypto_scalarmult_BYTES, sizeof ret_key->key);
  crypto_generichash_update (&state, (const uint8_t *)purpose, sizeof purpose);
  crypto_generichash_update (&state, sender->key, sizeof sender->key);
  crypto_generichash_update (&state, receiver->key, sizeof receiver->key);
  crypto_generichash_final (&state, ret_key->key, sizeof ret_key->key);
}

void
ph_nearby_keys (const PhIdentity *identity, const PhDeviceId *peer, PhNearbyKey *ret_to_peer,
                PhNearbyKey *ret_from_peer)
{
  uint8_t public[crypto_sign_PUBLICKEYBYTES];
  uint8_t secret[crypto_sign_SECRETKEYBYTES];
  uint8_t scalar[crypto_scalarmult_SCALARBYTES];
  uint8_t point[crypto_scalarmult_BYTES];
  uint8_t shared[crypto_scalarmult_BYTES];

  crypto_sign_seed_keypair (public, secret, identity->seed);
  crypto_sign_ed25519_sk_to_curve25519 (scalar, secret);
  /* Device ids are keys for which neither can fail. */
  if (crypto_sign_ed25519_pk_to_curve25519 (point, peer->key) != 0
      || crypto_scalarmult (shared, scalar, point) != 0)
    g_error ("a contact with a key that is no device");
  derive (shared, &identity->id, peer, ret_to_peer);
  derive (shared, peer, &identity->id, ret_from_peer);
  sodium_memzero (secret, sizeof secret);
  sodium_memzero (scalar, sizeof scalar);
  sodium_memzero (shared, sizeof shared);
}

static void
derive_invited (const PhInvitation *invitation, uint8_t direction, PhNearbyKey *ret_key)
{
  crypto_generichash_state state;

  crypto_generichash_init (&state, invitation->secret, sizeof invitation->secret,
                           sizeof ret_key->key);
  crypto_generichash_update (&state, (const uint8_t *)invited_purpose, sizeof invited_purpose);
  crypto_generichash_update (&state, invitation->inviter.key, sizeof invitation->inviter.key);
  crypto_generichash_update (&state, &direction, 1);
  crypto_generichash_final (&state, ret_key->key, sizeof ret_key->key);
  sodium_memzero (&state, sizeof state);
}

void
ph_nearby_invitation_keys (const PhInvitation *invitation, bool inviting, PhNearbyKey *ret_to_peer,
                           PhNearbyKey *ret_from_peer)
{
  derive_invited (invitation, TO_INVITER, inviting ? ret_from_peer : ret_to_peer);
  derive_invited (invitation, FROM_INVITER, inviting ? ret_to_peer : ret_from_peer);
}

static void
make_tag (const PhNearbyKey *key, const uint8_t *nonce, uint8_t out[PH_NEARBY_TAG_LEN])
{
  uint8_t hash[crypto_generichash_BYTES_MIN];

  crypto_generichash (hash, sizeof hash, nonce, PH_NEARBY_NONCE_LEN, key->key, sizeof key->key);
  memcpy (out, hash, PH_NEARBY_TAG_LEN);
}

static const uint8_t *
nonce_of (const uint8_t *header)
{
  return header + PH_NEARBY_HEADER_LEN - PH_NEARBY_NONCE_LEN;
}

bool
ph_nearby_is_nearby (PhSlice bytes)
{
  return bytes.len >= sizeof magic && memcmp (bytes.data, magic, sizeof magic) == 0;
}

/* --- Writing ------------------------------------------------------------------------------------ */

void
ph_nearby_write_header (PhWriter *w, PhNearbyType type, const PhRandom *random)
{
  g_assert (ph_writer_len (w) == 0);
  ph_write_bytes (w, magic, sizeof magic);
  ph_write_u8 (w, (uint8_t)type);

  uint8_t *nonce = ph_write_reserve (w, PH_NEARBY_NONCE_LEN);

  g_assert (nonce != NULL);
  ph_random_bytes (random, nonce, PH_NEARBY_NONCE_LEN);
}

/* The tag and what is sealed, with the header that `w` begins with. */
static void
write_sealed (PhWriter *w, const PhNearbyKey *key, PhSlice plain)
{
  uint8_t tag[PH_NEARBY_TAG_LEN];

  make_tag (key, nonce_of (w->start), tag);
  ph_write_bytes (w, tag, sizeof tag);

  uint8_t *sealed = ph_write_reserve (w, plain.len + PH_NEARBY_MAC_LEN);

  g_assert (sealed != NULL);
  crypto_aead_xchacha20poly1305_ietf_encrypt (sealed, NULL, plain.data, plain.len, w->start,
                                              PH_NEARBY_HEADER_LEN, NULL, nonce_of (w->start),
                                              key->key);
}

void
ph_nearby_write_entry (PhWriter *w, const PhNearbyKey *to_peer, const PhNearbyEntry *entry)
{
  uint8_t plain[ENTRY_PLAIN_LEN];
  PhWriter p = ph_writer (plain, sizeof plain);

  ph_write_bytes (&p, entry->epoch.nonce, PH_EPOCH_LEN);
  ph_write_u8 (&p, entry->flags);
  write_sealed (w, to_peer, ph_slice (plain, sizeof plain));
}

void
ph_nearby_write_padding (PhWriter *w, const PhRandom *random)
{
  uint8_t *entry = ph_write_reserve (w, PH_NEARBY_ENTRY_LEN);

  g_assert (entry != NULL);
  ph_random_bytes (random, entry, PH_NEARBY_ENTRY_LEN);
}

void
ph_nearby_write_packet (PhWriter *w, const PhNearbyKey *to_peer, const PhNearbyPacket *packet)
{
  uint8_t plain[PH_NEARBY_DATAGRAM_MAX];
  PhWriter p = ph_writer (plain, sizeof plain);

  g_assert (packet->bytes.len <= PH_NEARBY_BYTES_MAX);
  ph_write_bytes (&p, packet->sender_epoch.nonce, PH_EPOCH_LEN);
  ph_write_bytes (&p, packet->receiver_epoch.nonce, PH_EPOCH_LEN);
  ph_write_u8 (&p, packet->kind);
  ph_write_u8 (&p, packet->flags);
  ph_write_u64 (&p, packet->sequence);
  ph_write_slice (&p, packet->bytes);
  write_sealed (w, to_peer, ph_slice (plain, ph_writer_len (&p)));
}

/* --- Reading ------------------------------------------------------------------------------------ */

bool
ph_nearby_parse (PhSlice bytes, PhNearbyMessage *ret_message)
{
  PhReader r = ph_reader (bytes);
  PhNearbyMessage message = {0};

  if (!ph_nearby_is_nearby (bytes) || bytes.len > PH_NEARBY_DATAGRAM_MAX)
    return false;
  message.header = ph_read_slice (&r, PH_NEARBY_HEADER_LEN);
  if (!ph_reader_ok (&r))
    return false;
  message.type = message.header.data[sizeof magic];
  switch (message.type) {
  case PH_NEARBY_ANNOUNCE:
    message.entries = ph_read_slice (&r, ph_reader_left (&r));
    if (message.entries.len == 0 || message.entries.len % PH_NEARBY_ENTRY_LEN != 0)
      return false;
    break;
  case PH_NEARBY_PACKET:
    message.tag = ph_read_slice (&r, PH_NEARBY_TAG_LEN);
    message.sealed = ph_read_slice (&r, ph_reader_left (&r));
    if (!ph_reader_ok (&r) || message.sealed.len < PACKET_PLAIN_MIN + PH_NEARBY_MAC_LEN)
      return false;
    break;
  default:
    return false;
  }
  *ret_message = message;
  return true;
}

static bool
open_sealed (const PhNearbyMessage *message, const PhNearbyKey *key, PhSlice sealed, uint8_t *plain)
{
  return crypto_aead_xchacha20poly1305_ietf_decrypt (plain, NULL, NULL, sealed.data, sealed.len,
                                                     message->header.data, message->header.len,
                                                     nonce_of (message->header.data), key->key)
         == 0;
}

bool
ph_nearby_find_entry (const PhNearbyMessage *message, const PhNearbyKey *from_peer,
                      PhNearbyEntry *ret_entry)
{
  uint8_t tag[PH_NEARBY_TAG_LEN];

  make_tag (from_peer, nonce_of (message->header.data), tag);
  for (size_t at = 0; at < message->entries.len; at += PH_NEARBY_ENTRY_LEN) {
    const uint8_t *entry = message->entries.data + at;
    const PhSlice sealed =
        ph_slice (entry + PH_NEARBY_TAG_LEN, PH_NEARBY_ENTRY_LEN - PH_NEARBY_TAG_LEN);
    uint8_t plain[ENTRY_PLAIN_LEN];

    if (memcmp (entry, tag, sizeof tag) != 0 || !open_sealed (message, from_peer, sealed, plain))
      continue;
    memcpy (ret_entry->epoch.nonce, plain, PH_EPOCH_LEN);
    ret_entry->flags = plain[PH_EPOCH_LEN];
    return true;
  }
  return false;
}

bool
ph_nearby_open_packet (const PhNearbyMessage *message, const PhNearbyKey *from_peer,
                       uint8_t plain[PH_NEARBY_DATAGRAM_MAX], PhNearbyPacket *ret_packet)
{
  uint8_t tag[PH_NEARBY_TAG_LEN];
  PhNearbyPacket packet;

  make_tag (from_peer, nonce_of (message->header.data), tag);
  if (memcmp (message->tag.data, tag, sizeof tag) != 0
      || !open_sealed (message, from_peer, message->sealed, plain))
    return false;

  PhReader r = ph_reader (ph_slice (plain, message->sealed.len - PH_NEARBY_MAC_LEN));

  ph_read_bytes (&r, packet.sender_epoch.nonce, PH_EPOCH_LEN);
  ph_read_bytes (&r, packet.receiver_epoch.nonce, PH_EPOCH_LEN);
  packet.kind = ph_read_u8 (&r);
  packet.flags = ph_read_u8 (&r);
  packet.sequence = ph_read_u64 (&r);
  packet.bytes = ph_read_slice (&r, ph_reader_left (&r));
  if (!ph_reader_ok (&r))
    return false;
  *ret_packet = packet;
  return true;
}
