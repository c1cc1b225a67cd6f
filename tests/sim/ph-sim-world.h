/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The world that scenarios play in: two hosts, what stands before each of them, the internet, and a
 * STUN server on it.
 *
 *     left -- home0 -- own box -- carrier0 -- carrier's box --+
 *                                                             internet -- stun
 *     right -- home1 -- own box ------------------------------+
 *
 * Both homes use the same private addresses, as homes do. What a host was told, heard and sent to
 * is recorded: a host must not send to an address that nobody named and nothing came from. The STUN
 * server is known to both. Home boxes with `no_translation` have public addresses behind them, those with `nat64`
 * a host that has only IPv6. */

#pragma once

#include "tests/sim/ph-sim-oracle.h"

typedef enum { PH_SIM_LEFT, PH_SIM_RIGHT } PhSimWho;

typedef struct {
  uint64_t seed;
  PhSimSide side[2]; /* borrowed for the call; boxes are copied */
  PhSimNearness nearness; /* SAME_LAN and SAME_CARRIER take the shared box from the left side */
  PhSimCable line[2]; /* the outermost cable that is one side's alone, both directions */
  bool ipv6; /* both hosts have a global address as well; boxes are firewalls to it */
} PhSimPlan;

typedef struct _PhSimWorld PhSimWorld;

struct _PhSimWorld {
  PhSim *sim;
  PhSimSegment *internet;
  PhAddr stun; /* answers Binding requests; `stun6` too */
  PhAddr stun6;
  PhSimHost *host[2];
  PhSimIface *iface[2]; /* of the hosts */
  PhSimIface *line[2]; /* that PhSimPlan.line was given to */
  PhAddr ip[2];
  PhAddr ip6[2]; /* PH_FAMILY_NONE without IPv6 */
  PhSimNat *nat[2]; /* own boxes; NULL: none */
  PhSimNat *carrier[2];
  bool guessing; /* hosts may send to any port of an address that was named */
  /*< private >*/
  GHashTable *known[2]; /* addresses that each host may send to */
};

PhSimWorld *ph_sim_world_new (const PhSimPlan *plan);
void ph_sim_world_free (PhSimWorld *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhSimWorld, ph_sim_world_free)

/* `who` was told of `addr`: it may send there. A host that sends elsewhere ends the test at once. */
void ph_sim_world_tell (PhSimWorld *self, PhSimWho who, const PhAddr *addr);

/* The oracle's word on a plan. With IPv6 at both ends there are only firewalls: always direct, unless UDP
 * is blocked. */
PhSimDirect ph_sim_plan_direct (const PhSimPlan *plan);
/* Text of a plan, for messages. */
char *ph_sim_plan_format (const PhSimPlan *plan);
/* Ends the test with that text, the reason, and how to play it again. */
void ph_sim_plan_fail (const PhSimPlan *plan, const char *format, ...)
    G_GNUC_PRINTF (2, 3) G_GNUC_NORETURN;

/* A plan with what it points to. */
typedef struct {
  PhSimPlan plan;
  PhSimNatConfig own[2];
  PhSimNatConfig carrier[2];
} PhSimScene;

/* Draws boxes, nearness and bad lines from the seed. With `calm` the lines lose, double and reorder nothing. */
void ph_sim_scene_draw (PhSimScene *self, uint64_t seed, bool calm);

/* How many seeds a test goes through: PH_RUNS of the environment, else `most` with PORTHOLE_LONG=1 (./run test --long), else
 * `normal`. The seeds count up from ph_test_seed(): PH_SEED=N PH_RUNS=1 plays one again. */
uint64_t ph_sim_runs (uint64_t normal, uint64_t most);

/* Of PhTimes: so many per cent of them are not longer; 0 if there are none. */
PhTime ph_sim_percentile (GArray *times, unsigned percent);
/* Text of how they lie. */
char *ph_sim_times_format (GArray *times);
