/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Invitations: how two people who have never met become contacts.
 *
 * The link carries the inviter's key, where to meet, and a secret that serves once:
 *
 *   "porthole:" base64url (version u8 (1), length u16 of what follows the header up to the check,
 *                          inviter 32, secret 16, fields, check 4)
 *   field = tag varint, value (varint length + bytes): 1 rendezvous address (with its pin; without one it
 *           serves on the inviter's own network only), 2 name
 *   check = first 4 bytes of BLAKE2b over everything before it
 *
 * Unknown fields are skipped. The server knows an invitation by its look-up ID only, a keyed hash of the
 * secret. The acceptance says who accepts, is signed by the accepter, carries a MAC keyed by the secret
 * and is sealed for the inviter; the inviter's answer is made likewise in the other direction, so that
 * each knows that the other holds the secret. */

#pragma once

#include "net/signal/ph-device-id.h"
#include "net/signal/ph-rendezvous-address.h"

#define PH_INVITATION_SECRET_LEN 16
#define PH_INVITATION_LOOKUP_LEN 16
/* What a device calls its person; UTF-8, without the NUL. */
#define PH_NAME_LEN_MAX 128
/* Room for the longest link and the NUL. */
#define PH_INVITATION_LINK_MAX 900
#define PH_ACCEPTANCE_MAX 512

typedef struct {
  PhDeviceId inviter;
  uint8_t secret[PH_INVITATION_SECRET_LEN];
  PhRendezvousAddress rendezvous; /* an empty URL: none */
  char name[PH_NAME_LEN_MAX
            + 1]; /* of the inviter, valid UTF-8 without control characters; "" unknown */
} PhInvitation;

typedef struct {
  uint8_t bytes[PH_INVITATION_LOOKUP_LEN];
} PhLookupId;

typedef enum {
  PH_INVITATION_OK,
  PH_INVITATION_NOT_A_LINK, /* does not begin with "porthole:", or has characters no link has */
  PH_INVITATION_TRUNCATED, /* the end is missing */
  PH_INVITATION_BAD_CHECK, /* damaged */
  PH_INVITATION_UNKNOWN_VERSION, /* made by a newer Porthole */
  PH_INVITATION_MALFORMED, /* undamaged and nonsense: bad key, address or name */
} PhInvitationError;

const char *ph_invitation_error_code (PhInvitationError error);

/* `rendezvous` NULL: none. `name` is cut at PH_NAME_LEN_MAX on a character boundary; control characters and
 * invalid UTF-8 are replaced. Draws the secret. */
void ph_invitation_make (PhInvitation *self, const PhDeviceId *inviter,
                         const PhRendezvousAddress *rendezvous, const char *name,
                         const PhRandom *random);
bool ph_invitation_has_rendezvous (const PhInvitation *self);
void ph_invitation_wipe (PhInvitation *self);
/* Formats into `out` and returns it. */
const char *ph_invitation_format (const PhInvitation *self, char out[PH_INVITATION_LINK_MAX]);
/* White space anywhere is skipped, as mail programs break lines. */
PhInvitationError ph_invitation_parse (const char *link, PhInvitation *ret_invitation);
PhLookupId ph_invitation_lookup (const uint8_t secret[PH_INVITATION_SECRET_LEN]);

/* Makes `name` fit to be sent: as ph_invitation_make() says. */
void ph_name_clean (const char *name, char out[PH_NAME_LEN_MAX + 1]);

/* Acceptance and answer, one format:
 *
 *   seal (receiver, version u8 (1), kind u8, sender 32, receiver 32, look-up ID 16, name u8 + bytes,
 *         MAC 32, signature 64)
 */
typedef enum {
  PH_ACCEPTANCE_ACCEPT = 1, /* accepter to inviter */
  PH_ACCEPTANCE_WELCOME = 2, /* inviter to accepter: you are a contact */
} PhAcceptanceKind;

typedef struct {
  PhAcceptanceKind kind;
  PhDeviceId sender;
  PhDeviceId receiver;
  char name[PH_NAME_LEN_MAX + 1]; /* the sender's */
} PhAcceptance;

/* Returns the length. */
size_t ph_acceptance_seal (const PhAcceptance *self, const uint8_t secret[PH_INVITATION_SECRET_LEN],
                           const PhIdentity *identity, const PhRandom *random,
                           uint8_t out[PH_ACCEPTANCE_MAX]);
/* False unless it is of this kind, for us, by `sender`, and made with the secret. */
bool ph_acceptance_open (PhSlice sealed, PhAcceptanceKind kind,
                         const uint8_t secret[PH_INVITATION_SECRET_LEN], const PhIdentity *identity,
                         const PhDeviceId *sender, PhAcceptance *ret_acceptance);
