/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The network panel: what kind of network this is, what that means for reaching others, and what is known in
 * detail. Follows the engine's reports while it is open. */

#pragma once

#include "app/model/ph-client.h"

#include <adwaita.h>

G_BEGIN_DECLS

#define PH_TYPE_NETWORK_DIALOG (ph_network_dialog_get_type ())
G_DECLARE_FINAL_TYPE (PhNetworkDialog, ph_network_dialog, PH, NETWORK_DIALOG, AdwDialog)

AdwDialog *ph_network_dialog_new (PhClient *client);

G_END_DECLS
