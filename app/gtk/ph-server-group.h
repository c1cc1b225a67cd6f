/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The address of one kind of server in the preferences: an entry that is applied, a button that tries what
 * stands in it, and below what came of it.
 *
 * gtk_widget_grab_focus() focuses the button, or the entry if that is empty.
 *
 * Properties: `label`, the entry's title with a mnemonic; `value`, the address in force. */

#pragma once

#include "app/model/ph-client.h"

#include <adwaita.h>

G_BEGIN_DECLS

#define PH_TYPE_SERVER_GROUP (ph_server_group_get_type ())
G_DECLARE_FINAL_TYPE (PhServerGroup, ph_server_group, PH, SERVER_GROUP, AdwPreferencesGroup)

void ph_server_group_setup (PhServerGroup *self, PhClient *client, PhServerKind kind);
/* Why what was applied is not good; shown below the entry. */
void ph_server_group_refuse (PhServerGroup *self, const char *message);

G_END_DECLS
