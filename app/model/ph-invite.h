/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The invitation that this person is giving out. There is one a client: a dialog that is closed and opened
 * again shows the same, as long as it is good: a link that was shown may be in somebody's hands, copied, scanned or
 * read out, and lives until it was used, has expired or was withdrawn. Over restarts too.
 *
 *   state       PhInviteState
 *   link        "" before it is there
 *   contact     who used it: a device ID; ""
 *   message     why there is none, a sentence; ""
 *   others      a list of PhOpenInvite: those that were made besides, and that somebody may still use; known while this one
 *               waits */

#pragma once

#include "app/model/ph-client.h"
#include "app/model/ph-open-invite.h"

typedef enum {
  PH_INVITE_NONE,
  PH_INVITE_PREPARING, /* the meeting point has not answered yet */
  PH_INVITE_WAITING,
  PH_INVITE_USED,
  PH_INVITE_WITHDRAWN,
  PH_INVITE_FAILED,
} PhInviteState;

#define PH_TYPE_INVITE_STATE (ph_invite_state_get_type ())
GType ph_invite_state_get_type (void);

#define PH_TYPE_INVITE (ph_invite_get_type ())
G_DECLARE_FINAL_TYPE (PhInvite, ph_invite, PH, INVITE, GObject)

/* Borrowed: the client owns it. */
PhInvite *ph_invite_of (PhClient *client);

/* The dialog is opened: what is over is forgotten. */
void ph_invite_enter (PhInvite *self);
/* Makes an invitation unless one is waiting; takes one of an earlier run up, unless it is to be `fresh`. */
void ph_invite_begin (PhInvite *self, bool fresh);
void ph_invite_withdraw (PhInvite *self);
/* One of the others. */
void ph_invite_withdraw_other (PhInvite *self, PhOpenInvite *other);
/* The dialog was closed: withdraws what was not shown yet. */
void ph_invite_leave (PhInvite *self);

PhInviteState ph_invite_get_state (PhInvite *self);
const char *ph_invite_get_link (PhInvite *self);
const char *ph_invite_get_contact (PhInvite *self);
