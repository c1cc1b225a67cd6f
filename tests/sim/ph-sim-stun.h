/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A STUN server: answers Binding requests with the address it saw. */

#pragma once

#include "tests/sim/ph-sim.h"

/* Serves on every address in `addrs`, all on one host of its own. Belongs to the world. */
PhSimHost *ph_sim_stun_server_new (PhSim *sim, const char *name, PhSimSegment *segment,
                                   const PhAddr *addrs, size_t n_addrs);
