/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One person and several others on the simulated internet, all with public addresses: whole devices, as
 * PhSimStack's two are, whose endpoint serves as many contacts as they have. For what is shared between people; what
 * happens on the way between two is PhSimStack's. */

#pragma once

#include "tests/sim/ph-sim-endpoint.h"

#define PH_SIM_CROWD_OTHERS_MAX 4

typedef struct _PhSimCrowd PhSimCrowd;

typedef struct {
  uint64_t seed;
  unsigned others;
  bool tcp; /* and no UDP */
  PhSimCable line; /* of the one, both directions */
} PhSimCrowdOptions;

/* `options` is copied. */
PhSimCrowd *ph_sim_crowd_new (const PhSimCrowdOptions *options);
void ph_sim_crowd_free (PhSimCrowd *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhSimCrowd, ph_sim_crowd_free)

/* Offers a file of `size` bytes to the other `to`, from 0, who accepts; owned by the crowd. */
PhPeerTransfer *ph_sim_crowd_send (PhSimCrowd *self, unsigned to, uint64_t size);
void ph_sim_crowd_run (PhSimCrowd *self, PhTime interval);
PhTime ph_sim_crowd_now (const PhSimCrowd *self);
/* Until the transfer is over, for the sender; false if that takes longer than `interval`. */
bool ph_sim_crowd_run_over (PhSimCrowd *self, const PhPeerTransfer *transfer, PhTime interval);
/* How the one reaches the other `to`; NONE: not yet. */
PhPathKind ph_sim_crowd_path (const PhSimCrowd *self, unsigned to);
