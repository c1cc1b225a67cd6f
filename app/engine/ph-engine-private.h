/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between ph-engine.c (the thread and its listeners) and ph-engine-commands.c (what is asked of it). */

#pragma once

#include "app/engine/ph-core.h"

/* Copies `command`, whose number is filled in here, and posts it to the engine thread. On any thread.
 * Returns the number. */
uint32_t ph_engine_post (PhEngine *self, const PhCommand *command);
