/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An invitation that was made earlier, by this window or by porthole-cli, and can still be used: to be looked at, not
 * waited for. Properties, read-only: link; title (whom it is for); made-text (when it was made). */

#pragma once

#include <gio/gio.h>

#define PH_TYPE_OPEN_INVITE (ph_open_invite_get_type ())
G_DECLARE_FINAL_TYPE (PhOpenInvite, ph_open_invite, PH, OPEN_INVITE, GObject)

/* Those of ph_engine_list_invitations()'s answer, newest first, without the one with the link `but` (may be ""). A list of
 * PhOpenInvite. `now`: Unix seconds. */
GPtrArray *ph_open_invites_read (const char *json, const char *but, int64_t now);

const char *ph_open_invite_get_link (PhOpenInvite *self);
