/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Datagrams from strangers, and from a contact that says anything: the first byte chooses how each piece of
 * the input is framed. */

#include "net/nearby/ph-nearby.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
drain (PhNearby *nearby, PhTime now)
{
  uint8_t out[PH_TRANSMIT_MAX];
  PhTransmit tx = {.data = out, .cap = sizeof out};
  PhNearbyEvent event;

  while (ph_nearby_poll_transmit (nearby, now, &tx))
    ;
  while (ph_nearby_poll_event (nearby, &event))
    ;
}

static size_t
frame (PhReader *r, const PhNearbyKey *contact, const PhNearbyKey *invited, const PhRandom *random,
       uint8_t *out)
{
  PhWriter w = ph_writer (out, PH_NEARBY_DATAGRAM_MAX);
  const uint8_t kind = ph_read_u8 (r);
  const PhNearbyKey *key = kind >> 6 == 3 ? invited : contact;
  const PhSlice piece = ph_read_slice (r, ph_read_u8 (r));

  if (kind % 3 == 0) {
    static const uint8_t magic[] = {0x0e, 'p', 'h', 1};

    ph_write_bytes (&w, magic, sizeof magic);
    ph_write_slice (&w, piece);
  } else if (kind % 3 == 1) {
    PhNearbyEntry entry = {.flags = kind >> 4};

    memset (&entry.epoch, kind >> 2 & 3, sizeof entry.epoch);
    ph_nearby_write_header (&w, PH_NEARBY_ANNOUNCE, random);
    ph_nearby_write_entry (&w, key, &entry);
  } else {
    PhNearbyPacket packet = {
        .kind = (uint8_t)(kind >> 2 & 3),
        .flags = (uint8_t)(kind >> 4 & 4),
        .sequence = piece.len > 0 ? piece.data[0] : 0,
        .bytes = piece,
    };

    memset (&packet.sender_epoch, kind >> 6, sizeof packet.sender_epoch);
    memset (&packet.receiver_epoch, 1, sizeof packet.receiver_epoch);
    ph_nearby_write_header (&w, PH_NEARBY_PACKET, random);
    ph_nearby_write_packet (&w, key, &packet);
  }
  return ph_writer_len (&w);
}

/* Draws ones: the epoch of the device under test is then known to the input. */
static void
fill_ones (void *user, void *out, size_t len)
{
  memset (out, 1, len);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const uint8_t seeds[2][32] = {{1}, {2}};
  const PhRandom random = {fill_ones, NULL};
  const PhAddr addr = ph_addr_ipv4 (192, 168, 1, 2, 1234);
  PhReader r = ph_reader (ph_slice (data, size));
  PhTime now = PH_SEC;
  PhIdentity us, them;
  PhNearbyKey to_them, from_them, to_invited, from_invited;
  PhInvitation invitation = {0};

  ph_identity_from_seed (&us, seeds[0]);
  ph_identity_from_seed (&them, seeds[1]);
  ph_nearby_keys (&us, &them.id, &to_them, &from_them);

  invitation.inviter = us.id;
  ph_nearby_invitation_keys (&invitation, true, &to_invited, &from_invited);

  const PhNearbyConfig config = {.identity = &us, .random = random};
  g_autoptr (PhNearby) nearby = ph_nearby_new (&config, now);

  ph_nearby_add_socket (nearby, now, 1, &addr, 1);
  ph_nearby_watch (nearby, now, &them.id);
  ph_nearby_invite (nearby, now, &invitation, 60 * PH_SEC);
  while (ph_reader_left (&r) > 0) {
    uint8_t bytes[PH_NEARBY_DATAGRAM_MAX];
    const size_t len = frame (&r, &from_them, &from_invited, &random, bytes);
    const PhDatagram in = {.socket = 1, .remote = addr, .bytes = ph_slice (bytes, len)};

    ph_nearby_handle_packet (nearby, now, &in);
    ph_nearby_send (nearby, now, &them.id, ph_slice_string ("signal"));
    now = ph_time_add (now, 100 * PH_MSEC);
    ph_nearby_handle_timeout (nearby, now);
    drain (nearby, now);
  }
  return 0;
}
