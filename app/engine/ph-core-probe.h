/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Servers being tried; see ph-core-probe.c. */

#pragma once

#include "app/engine/ph-core-private.h"

/* A person tests one or two at a time; a report asks three. */
#define PH_CORE_PROBES_MAX 16u

typedef struct _PhProbe PhProbe;

GPtrArray *ph_core_probes_new (void);
void ph_core_test_server (PhCore *self, const PhCommand *command);
/* Measures the round trips of the report. */
void ph_core_probe_all (PhCore *self);
bool ph_core_is_probing (const PhCore *self);
/* Not within a callback of a probe's. */
void ph_core_probes_sweep (PhCore *self);
void ph_core_probes_handle_timeout (PhCore *self, PhTime now);
PhTime ph_core_probes_next_timeout (const PhCore *self);
