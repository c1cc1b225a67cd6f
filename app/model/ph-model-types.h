/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The engine's enumerations as GTypes, for properties and for closures in templates. */

#pragma once

#include "app/engine/ph-engine.h"

#include <glib-object.h>

#define PH_TYPE_STATUS (ph_status_get_type ())
GType ph_status_get_type (void);
#define PH_TYPE_DIRECTION (ph_direction_get_type ())
GType ph_direction_get_type (void);
#define PH_TYPE_TRANSFER_STATE (ph_transfer_state_get_type ())
GType ph_transfer_state_get_type (void);
