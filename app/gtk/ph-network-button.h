/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The indicator for a header bar: how well others reach this computer, by shape, colour and words. It
 * activates app.network. */

#pragma once

#include "app/model/ph-client.h"

#include <adwaita.h>

G_BEGIN_DECLS

#define PH_TYPE_NETWORK_BUTTON (ph_network_button_get_type ())
G_DECLARE_FINAL_TYPE (PhNetworkButton, ph_network_button, PH, NETWORK_BUTTON, AdwBin)

/* Also the property `client`. */
void ph_network_button_set_client (PhNetworkButton *self, PhClient *client);

G_END_DECLS
