/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The system's random source, for everything that is not a test. */

#pragma once

#include "net/base/ph-random.h"

/* Backed by the kernel (through libsodium); usable from any thread. */
PhRandom ph_system_random (void);
