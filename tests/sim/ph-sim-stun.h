/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A STUN server: answers Binding requests with the address it saw. */

#pragma once

#include "tests/sim/ph-sim.h"

/* Serves on every address in `addrs`, all on one host of its own. Belongs to the world. */
PhSimHost *ph_sim_stun_server_new (PhSim *sim, const char *name, PhSimSegment *segment,
                                   const PhAddr *addrs, size_t n_addrs);

/* What a server with two addresses does of RFC 5780; no flag: all of it. */
typedef enum {
  PH_SIM_STUN_RFC5780 = 0,
  PH_SIM_STUN_IGNORES_CHANGE =
      1 << 0, /* answers CHANGE-REQUEST, and RESPONSE-PORT, where it was asked */
  PH_SIM_STUN_REFUSES_CHANGE = 1 << 1, /* answers it with error 420 */
  PH_SIM_STUN_NO_OTHER = 1 << 2, /* tells no OTHER-ADDRESS */
  PH_SIM_STUN_OTHER_IS_OWN = 1 << 3, /* tells its own address as the other */
  PH_SIM_STUN_OTHER_IS_DEAD = 1 << 4, /* neither answers nor sends on the other address */
} PhSimStunFlags;

/* Serves on both addresses, and on both with the port of either. They differ in both. */
PhSimHost *
ph_sim_stun_server_new_5780 (PhSim *sim, const char *name, PhSimSegment *segment,
                             const PhAddr *primary, const PhAddr *alternate, PhSimStunFlags flags);
