/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where cores tell what they do: an injected sink, so that a test, the log and `send --explain` can
 * all listen. A core never logs by itself. Lines are for people who look for a reason; they carry no
 * keys, passwords or file names. */

#pragma once

#include "net/base/ph-time.h"

#include <glib.h>

typedef struct {
  /* `module` is a static string such as "ice"; `line` is borrowed. NULL `event`: nobody listens. */
  void (*event) (void *user, PhTime now, const char *module, const char *line);
  void *user;
} PhTrace;

void ph_trace (const PhTrace *trace, PhTime now, const char *module, const char *format, ...)
    G_GNUC_PRINTF (4, 5);
