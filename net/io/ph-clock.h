/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The one place where Porthole's network code reads a clock. */

#pragma once

#include "net/base/ph-time.h"

/* CLOCK_BOOTTIME: never backwards, and a suspend shows as a jump forward. */
PhTime ph_clock_now (void);
