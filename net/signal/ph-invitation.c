/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/signal/ph-invitation.h"

#include "net/signal/ph-base64.h"

#include <sodium.h>

#define VERSION 1
#define SCHEME "porthole:"
#define HEADER_LEN 3
#define CHECK_LEN 4
#define FIELD_RENDEZVOUS 1
#define FIELD_NAME 2

/* Longest link in bytes. Fields of a later version fit into what the known ones leave. */
#define BYTES_MAX                                                                                  \
  (HEADER_LEN + PH_DEVICE_ID_LEN + PH_INVITATION_SECRET_LEN + 4 + PH_RENDEZVOUS_ADDRESS_STRING_MAX \
   + 4 + PH_NAME_LEN_MAX + CHECK_LEN)

G_STATIC_ASSERT (sizeof SCHEME + PH_BASE64_CHARS (BYTES_MAX) <= PH_INVITATION_LINK_MAX);
G_STATIC_ASSERT (crypto_generichash_BYTES_MIN <= PH_INVITATION_LOOKUP_LEN);
G_STATIC_ASSERT (PH_INVITATION_SECRET_LEN >= crypto_generichash_KEYBYTES_MIN);

const char *
ph_invitation_error_code (PhInvitationError error)
{
  static const char *const codes[] = {
      [PH_INVITATION_OK] = "ok",
      [PH_INVITATION_NOT_A_LINK] = "not-a-link",
      [PH_INVITATION_TRUNCATED] = "truncated",
      [PH_INVITATION_BAD_CHECK] = "bad-check",
      [PH_INVITATION_UNKNOWN_VERSION] = "unknown-version",
      [PH_INVITATION_MALFORMED] = "malformed",
  };

  g_assert ((unsigned)error < G_N_ELEMENTS (codes));
  return codes[error];
}

/* --- Names -------------------------------------------------------------------------------------- */

static bool
name_is_clean (PhSlice name)
{
  if (name.len > PH_NAME_LEN_MAX || !g_utf8_validate_len ((const char *)name.data, name.len, NULL))
    return false;
  for (size_t i = 0; i < name.len; i++)
    if (g_ascii_iscntrl ((char)name.data[i]))
      return false;
  return true;
}

void
ph_name_clean (const char *name, char out[PH_NAME_LEN_MAX + 1])
{
  g_autofree char *valid = g_utf8_make_valid (name != NULL ? name : "", -1);
  size_t len = 0;

  for (const char *c = valid; *c != '\0'; c = g_utf8_next_char (c)) {
    const size_t n = (size_t)(g_utf8_next_char (c) - c);

    if (len + n > PH_NAME_LEN_MAX)
      break;
    memcpy (out + len, c, n);
    if (g_ascii_iscntrl (*c))
      out[len] = ' ';
    len += n;
  }
  out[len] = '\0';
}

/* --- Links -------------------------------------------------------------------------------------- */

static void
compute_check (PhSlice bytes, uint8_t check[CHECK_LEN])
{
  uint8_t hash[crypto_generichash_BYTES];

  crypto_generichash (hash, sizeof hash, bytes.data, bytes.len, NULL, 0);
  memcpy (check, hash, CHECK_LEN);
}

void
ph_invitation_make (PhInvitation *self, const PhDeviceId *inviter,
                    const PhRendezvousAddress *rendezvous, const char *name, const PhRandom *random)
{
  *self = (PhInvitation){.inviter = *inviter};
  if (rendezvous != NULL)
    self->rendezvous = *rendezvous;
  ph_random_bytes (random, self->secret, sizeof self->secret);
  ph_name_clean (name, self->name);
}

bool
ph_invitation_has_rendezvous (const PhInvitation *self)
{
  return self->rendezvous.url[0] != '\0';
}

void
ph_invitation_wipe (PhInvitation *self)
{
  sodium_memzero (self, sizeof *self);
}

const char *
ph_invitation_format (const PhInvitation *self, char out[PH_INVITATION_LINK_MAX])
{
  uint8_t bytes[BYTES_MAX];
  char address[PH_RENDEZVOUS_ADDRESS_STRING_MAX];
  PhWriter w = ph_writer (bytes, sizeof bytes);

  ph_write_u8 (&w, VERSION);
  ph_write_u16 (&w, 0);
  ph_write_bytes (&w, self->inviter.key, PH_DEVICE_ID_LEN);
  ph_write_bytes (&w, self->secret, sizeof self->secret);
  if (ph_invitation_has_rendezvous (self)) {
    ph_write_varint (&w, FIELD_RENDEZVOUS);
    ph_write_counted (&w,
                      ph_slice_string (ph_rendezvous_address_format (&self->rendezvous, address)));
  }
  if (self->name[0] != '\0') {
    ph_write_varint (&w, FIELD_NAME);
    ph_write_counted (&w, ph_slice_string (self->name));
  }
  ph_writer_patch_u16 (&w, 1, (uint16_t)(ph_writer_len (&w) - HEADER_LEN));

  const size_t len = ph_writer_len (&w);
  uint8_t *check = ph_write_reserve (&w, CHECK_LEN);

  g_assert (ph_writer_ok (&w));
  compute_check (ph_slice (bytes, len), check);
  memcpy (out, SCHEME, strlen (SCHEME));
  ph_base64_encode (ph_slice (bytes, len + CHECK_LEN), out + strlen (SCHEME));
  sodium_memzero (bytes, sizeof bytes);
  return out;
}

static PhInvitationError
parse_fields (PhReader *r, PhInvitation *invitation)
{
  uint8_t key[PH_DEVICE_ID_LEN];

  ph_read_bytes (r, key, sizeof key);
  ph_read_bytes (r, invitation->secret, sizeof invitation->secret);
  if (!ph_reader_ok (r)
      || !ph_device_id_from_bytes (ph_slice (key, sizeof key), &invitation->inviter))
    return PH_INVITATION_MALFORMED;

  while (ph_reader_ok (r) && ph_reader_left (r) > 0) {
    const uint64_t tag = ph_read_varint (r);
    const PhSlice value = ph_read_counted (r, BYTES_MAX);

    if (!ph_reader_ok (r))
      break;
    if (tag == FIELD_RENDEZVOUS) {
      g_autofree char *text = g_strndup ((const char *)value.data, value.len);

      if (strlen (text) != value.len
          || ph_rendezvous_address_parse (text, &invitation->rendezvous)
                 != PH_RENDEZVOUS_ADDRESS_OK)
        return PH_INVITATION_MALFORMED;
    } else if (tag == FIELD_NAME) {
      if (!name_is_clean (value))
        return PH_INVITATION_MALFORMED;
      if (value.len > 0)
        memcpy (invitation->name, value.data, value.len);
      invitation->name[value.len] = '\0';
    }
  }
  return ph_reader_ok (r) ? PH_INVITATION_OK : PH_INVITATION_MALFORMED;
}

/* The version comes first of all, so that an old Porthole says "newer" of what it cannot judge. */
static PhInvitationError
parse_bytes (PhSlice bytes, PhInvitation *invitation)
{
  PhReader r = ph_reader (bytes);
  uint8_t check[CHECK_LEN];

  if (bytes.len == 0)
    return PH_INVITATION_TRUNCATED;
  if (ph_read_u8 (&r) != VERSION)
    return PH_INVITATION_UNKNOWN_VERSION;

  const size_t len = ph_read_u16 (&r);
  const PhSlice content = ph_read_slice (&r, len);
  const PhSlice given = ph_read_slice (&r, CHECK_LEN);

  if (!ph_reader_ok (&r))
    return PH_INVITATION_TRUNCATED;
  compute_check (ph_slice (bytes.data, HEADER_LEN + len), check);
  if (!ph_reader_done (&r) || !ph_slice_equal (given, ph_slice (check, CHECK_LEN)))
    return PH_INVITATION_BAD_CHECK;

  PhReader inner = ph_reader (content);

  return parse_fields (&inner, invitation);
}

PhInvitationError
ph_invitation_parse (const char *link, PhInvitation *ret_invitation)
{
  char text[PH_INVITATION_LINK_MAX];
  uint8_t bytes[PH_INVITATION_LINK_MAX];
  PhInvitation invitation = {0};
  size_t len = 0;

  for (const char *c = link; *c != '\0'; c++) {
    if (g_ascii_isspace (*c))
      continue;
    if (len == sizeof text - 1)
      return PH_INVITATION_NOT_A_LINK;
    text[len++] = *c;
  }
  text[len] = '\0';
  if (g_ascii_strncasecmp (text, SCHEME, strlen (SCHEME)) != 0)
    return PH_INVITATION_NOT_A_LINK;

  const char *encoded = text + strlen (SCHEME);
  size_t chars = len - strlen (SCHEME);
  size_t n = 0;

  /* A link cut anywhere is told from one with foreign characters: the last, incomplete group of
   * base64 is left away. What is then missing is noticed by its length. */
  for (size_t i = 0; i < chars; i++)
    if (!g_ascii_isalnum (encoded[i]) && encoded[i] != '-' && encoded[i] != '_')
      return PH_INVITATION_NOT_A_LINK;
  if (!ph_base64_decode (ph_slice (encoded, chars), bytes, sizeof bytes, &n)
      && !ph_base64_decode (ph_slice (encoded, chars - chars % 4), bytes, sizeof bytes, &n))
    return PH_INVITATION_NOT_A_LINK;

  const PhInvitationError error = parse_bytes (ph_slice (bytes, n), &invitation);

  if (error == PH_INVITATION_OK)
    *ret_invitation = invitation;
  sodium_memzero (bytes, sizeof bytes);
  sodium_memzero (text, sizeof text);
  ph_invitation_wipe (&invitation);
  return error;
}

/* --- Secrets ------------------------------------------------------------------------------------ */

/* Each use of the secret has a label of its own. */
static void
keyed_hash (const uint8_t secret[PH_INVITATION_SECRET_LEN], const char *label, PhSlice message,
            uint8_t *out, size_t len)
{
  crypto_generichash_state state;

  crypto_generichash_init (&state, secret, PH_INVITATION_SECRET_LEN, len);
  crypto_generichash_update (&state, (const uint8_t *)label, strlen (label) + 1);
  crypto_generichash_update (&state, message.data, message.len);
  crypto_generichash_final (&state, out, len);
  sodium_memzero (&state, sizeof state);
}

PhLookupId
ph_invitation_lookup (const uint8_t secret[PH_INVITATION_SECRET_LEN])
{
  PhLookupId id;

  keyed_hash (secret, "porthole/1 lookup", ph_slice ("", 0), id.bytes, sizeof id.bytes);
  return id;
}

/* --- Acceptance --------------------------------------------------------------------------------- */

#define MAC_LEN 32
#define ACCEPTANCE_VERSION 1
static const char acceptance_purpose[] = "porthole/1 acceptance";
/* Version, kind, both keys, look-up ID, empty name, MAC, signature. */
#define ACCEPTANCE_MIN (1 + 1 + 32 + 32 + PH_INVITATION_LOOKUP_LEN + 1 + MAC_LEN + PH_SIGNATURE_LEN)
#define ACCEPTANCE_SIGNED_MAX (sizeof acceptance_purpose + PH_ACCEPTANCE_MAX)

G_STATIC_ASSERT (ACCEPTANCE_MIN + PH_NAME_LEN_MAX + PH_SEAL_OVERHEAD <= PH_ACCEPTANCE_MAX);

size_t
ph_acceptance_seal (const PhAcceptance *self, const uint8_t secret[PH_INVITATION_SECRET_LEN],
                    const PhIdentity *identity, const PhRandom *random,
                    uint8_t out[PH_ACCEPTANCE_MAX])
{
  const PhLookupId lookup = ph_invitation_lookup (secret);
  uint8_t buf[ACCEPTANCE_SIGNED_MAX];
  PhWriter w = ph_writer (buf, sizeof buf);
  char name[PH_NAME_LEN_MAX + 1];

  g_assert (ph_device_id_equal (&self->sender, &identity->id));
  ph_name_clean (self->name, name);
  ph_write_bytes (&w, acceptance_purpose, sizeof acceptance_purpose);
  ph_write_u8 (&w, ACCEPTANCE_VERSION);
  ph_write_u8 (&w, (uint8_t)self->kind);
  ph_write_bytes (&w, self->sender.key, PH_DEVICE_ID_LEN);
  ph_write_bytes (&w, self->receiver.key, PH_DEVICE_ID_LEN);
  ph_write_bytes (&w, lookup.bytes, sizeof lookup.bytes);
  ph_write_u8 (&w, (uint8_t)strlen (name));
  ph_write_bytes (&w, name, strlen (name));

  const size_t maced_len = ph_writer_len (&w);
  uint8_t *mac = ph_write_reserve (&w, MAC_LEN);
  uint8_t *signature = ph_write_reserve (&w, PH_SIGNATURE_LEN);

  g_assert (ph_writer_ok (&w));
  keyed_hash (secret, "porthole/1 mac", ph_slice (buf, maced_len), mac, MAC_LEN);
  ph_identity_sign (identity, ph_slice (buf, maced_len + MAC_LEN), signature);

  const size_t start = sizeof acceptance_purpose;
  const PhSlice plain = ph_slice (buf + start, ph_writer_len (&w) - start);

  ph_device_id_seal (&self->receiver, random, plain, out);
  return plain.len + PH_SEAL_OVERHEAD;
}

bool
ph_acceptance_open (PhSlice sealed, PhAcceptanceKind kind,
                    const uint8_t secret[PH_INVITATION_SECRET_LEN], const PhIdentity *identity,
                    const PhDeviceId *sender, PhAcceptance *ret_acceptance)
{
  const size_t start = sizeof acceptance_purpose;
  const PhLookupId expected = ph_invitation_lookup (secret);
  uint8_t buf[ACCEPTANCE_SIGNED_MAX];
  PhAcceptance acceptance = {0};
  PhLookupId lookup;
  uint8_t expected_mac[MAC_LEN];

  if (sealed.len < ACCEPTANCE_MIN + PH_SEAL_OVERHEAD || sealed.len > PH_ACCEPTANCE_MAX
      || !ph_identity_unseal (identity, sealed, buf + start))
    return false;
  memcpy (buf, acceptance_purpose, start);

  PhReader r = ph_reader (ph_slice (buf + start, sealed.len - PH_SEAL_OVERHEAD));
  const bool known = ph_read_u8 (&r) == ACCEPTANCE_VERSION;

  acceptance.kind = (PhAcceptanceKind)ph_read_u8 (&r);
  ph_read_bytes (&r, acceptance.sender.key, PH_DEVICE_ID_LEN);
  ph_read_bytes (&r, acceptance.receiver.key, PH_DEVICE_ID_LEN);
  ph_read_bytes (&r, lookup.bytes, sizeof lookup.bytes);

  const PhSlice name = ph_read_slice (&r, ph_read_u8 (&r));
  const PhSlice mac = ph_read_slice (&r, MAC_LEN);
  const PhSlice signature = ph_read_slice (&r, PH_SIGNATURE_LEN);

  if (!ph_reader_done (&r) || !known || acceptance.kind != kind || !name_is_clean (name)
      || !ph_device_id_equal (&acceptance.sender, sender)
      || !ph_device_id_equal (&acceptance.receiver, &identity->id)
      || memcmp (lookup.bytes, expected.bytes, sizeof lookup.bytes) != 0)
    return false;

  const size_t maced_len = (size_t)(mac.data - buf);

  keyed_hash (secret, "porthole/1 mac", ph_slice (buf, maced_len), expected_mac, MAC_LEN);
  if (sodium_memcmp (mac.data, expected_mac, MAC_LEN) != 0
      || !ph_device_id_verify (sender, ph_slice (buf, maced_len + MAC_LEN), signature.data))
    return false;

  if (name.len > 0)
    memcpy (acceptance.name, name.data, name.len);
  *ret_acceptance = acceptance;
  return true;
}
