/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The invitations a rendezvous server knows: who made each, until when it is open, and, for a while
 * after its end, how it ended. The secrets are not here: an invitation is known by its look-up ID. */

#pragma once

#include "net/base/ph-time.h"
#include "net/signal/ph-invitation.h"

/* In all: some 20 MB. */
#define PH_INVITATION_STORE_MAX 100000
/* Of one device, ended ones included; the oldest ended ones make room. */
#define PH_INVITATION_STORE_PER_KEY_MAX (2 * PH_RENDEZVOUS_INVITATIONS_MAX)
/* How long it is known how an invitation ended: who comes late is told why. */
#define PH_INVITATION_STORE_MEMORY (3600 * PH_SEC)

typedef enum {
  PH_INVITATION_IS_OPEN,
  PH_INVITATION_IS_USED, /* by `accepter`, who may ask again for the answer */
  PH_INVITATION_IS_ENDED, /* by a wrong answer */
  PH_INVITATION_IS_WITHDRAWN, /* by its owner */
} PhInvitationState;

typedef struct {
  PhLookupId lookup;
  PhDeviceId owner;
  PhDeviceId accepter;
  PhInvitationState state;
  PhTime expires_at;
} PhStoredInvitation;

typedef enum {
  PH_INVITATION_ADDED,
  PH_INVITATION_TAKEN, /* the look-up ID is somebody else's, or has ended */
  PH_INVITATION_TOO_MANY,
} PhInvitationAdd;

typedef struct _PhInvitationStore PhInvitationStore;

PhInvitationStore *ph_invitation_store_new (void);
void ph_invitation_store_free (PhInvitationStore *self);

/* Adding an open one of one's own again moves its expiry. */
PhInvitationAdd
ph_invitation_store_add (PhInvitationStore *self, PhTime now, const PhLookupId *lookup,
                         const PhDeviceId *owner, PhTime expires_at);
/* NULL if it is not known or expired. Valid until the next call that is not _end. */
const PhStoredInvitation *
ph_invitation_store_find (PhInvitationStore *self, PhTime now, const PhLookupId *lookup);
/* Notes how an open one ended; `accepter` is who used it or gave the wrong answer, NULL for nobody. */
void ph_invitation_store_end (PhInvitationStore *self, PhTime now, const PhLookupId *lookup,
                              PhInvitationState state, const PhDeviceId *accepter);
void ph_invitation_store_sweep (PhInvitationStore *self, PhTime now);
unsigned ph_invitation_store_size (const PhInvitationStore *self);
