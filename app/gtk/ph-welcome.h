/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The first start: asks for the name that others see, which is all that is needed to begin.
 *
 * Signal: done, when the name is stored. */

#pragma once

#include "app/model/ph-client.h"

#include <adwaita.h>

G_BEGIN_DECLS

#define PH_TYPE_WELCOME (ph_welcome_get_type ())
G_DECLARE_FINAL_TYPE (PhWelcome, ph_welcome, PH, WELCOME, AdwBin)

/* The entry begins with what the engine takes for the person's name. */
void ph_welcome_set_client (PhWelcome *self, PhClient *client);

G_END_DECLS
