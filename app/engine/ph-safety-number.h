/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The number that two people compare, aloud or on two screens, to know that nobody stands between them
 * (docs/protocol.md, "Safety number"). */

#pragma once

#include "net/signal/ph-device-id.h"

/* Twelve groups of five digits, eleven spaces, and the NUL. */
#define PH_SAFETY_NUMBER_STRING_MAX 72

/* The same whichever of the two is `a`. Some milliseconds: it is made slow to search for. */
void
ph_safety_number (const PhDeviceId *a, const PhDeviceId *b, char out[PH_SAFETY_NUMBER_STRING_MAX]);
