/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The input as a link, as the contents of a link with a right check, as a device ID, as an address
 * and as a STUN/TURN URI. */

#include "net/signal/ph-base64.h"
#include "net/signal/ph-invitation.h"
#include "net/signal/ph-rendezvous-ice.h"

#include <sodium.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
try_link (const char *link)
{
  PhInvitation invitation;
  PhInvitation again;
  char out[PH_INVITATION_LINK_MAX];

  if (ph_invitation_parse (link, &invitation) != PH_INVITATION_OK)
    return;
  ph_invitation_format (&invitation, out);
  g_assert_true (ph_invitation_parse (out, &again) == PH_INVITATION_OK);
  g_assert_true (memcmp (invitation.secret, again.secret, sizeof again.secret) == 0);
  g_assert_true (ph_rendezvous_address_equal (&invitation.rendezvous, &again.rendezvous));
  g_assert_cmpstr (invitation.name, ==, again.name);
}

/* libFuzzer cannot guess BLAKE2b, nor often a usable key. */
static void
try_fields (const uint8_t *data, size_t size)
{
  uint8_t bytes[600];
  uint8_t hash[32];
  PhWriter w = ph_writer (bytes, sizeof bytes - 4);
  PhIdentity identity;
  const uint8_t seed[32] = {1};

  ph_identity_from_seed (&identity, seed);
  ph_write_u8 (&w, 1);
  ph_write_u16 (&w, (uint16_t)(48 + size));
  ph_write_bytes (&w, identity.id.key, 32);
  ph_write_zeros (&w, 16);
  ph_write_bytes (&w, data, size);
  if (!ph_writer_ok (&w))
    return;
  crypto_generichash (hash, sizeof hash, bytes, ph_writer_len (&w), NULL, 0);
  memcpy (bytes + ph_writer_len (&w), hash, 4);

  g_autofree char *encoded = ph_base64_dup (ph_slice (bytes, ph_writer_len (&w) + 4));
  g_autofree char *link = g_strconcat ("porthole:", encoded, NULL);

  try_link (link);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree char *text = g_strndup ((const char *)data, size);
  PhRendezvousAddress address;
  PhIceServer server;
  PhDeviceId id;
  char out[PH_RENDEZVOUS_ADDRESS_STRING_MAX];

  try_link (text);
  try_fields (data, size);
  if (ph_rendezvous_address_parse (text, &address) == PH_RENDEZVOUS_ADDRESS_OK) {
    PhRendezvousAddress again;

    ph_rendezvous_address_format (&address, out);
    g_assert_true (ph_rendezvous_address_parse (out, &again) == PH_RENDEZVOUS_ADDRESS_OK);
    g_assert_true (ph_rendezvous_address_equal (&address, &again));
  }
  if (ph_device_id_parse (text, &id) == PH_DEVICE_ID_OK)
    ph_device_id_format (&id, out);
  ph_ice_server_parse (text, &server);
  return 0;
}
