/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Guessing ports: what two sides do whose NATs keep ordinary checks from meeting, and when each of their
 * packets goes where. Pure functions and a schedule; who sends, and how a hit is noticed, is the
 * connector's business.
 *
 * A *strict* NAT maps by the inside address alone and lets in exact answers only. A *sequential* one gives each
 * destination the next port, a *random* one any port.
 *
 *   strict with sequential      The sequential side sends one packet to the strict side's address from a fresh
 *                               socket, whose mapping before it was measured; the strict side probes a window
 *                               of ports from there on.
 *   sequential with sequential  Both measure a fresh socket and tell each other the port expected next. The i-th
 *                               packet of one side goes to the port expected 2i steps on, the j-th of the other
 *                               to the one j steps on. However many ports others have taken in between, a and b,
 *                               packets i = a + b and j = 2a + b meet (baby steps and giant steps, after Klinec
 *                               and Matyas 2014). Nobody answers meanwhile: that would take ports. Then all of
 *                               it is sent again, which takes none, and for a peer that has one port for all
 *                               that goes here once more to the ports that giant steps leave out.
 *                               Where both sides' ports come of one sequence, as behind one carrier's NAT, each
 *                               would take the ports that the other counts on: they take turns. The second side
 *                               begins when the first has taken its ports, and is expected so many further on.
 *   strict with random          The random side opens 256 ports towards the strict side's address, which probes
 *                               random ports until one of the 256 is hit: a birthday's chance. With 64,512 ports
 *                               2,048 probes fail once in 3,400.
 *
 * Anything else is either no guess at all or hopeless.
 *
 * Courtesy: 200 packets a second, at most 2,048, only to addresses that the peer has named, one attempt at a
 * time. */

#pragma once

#include "net/base/ph-addr.h"
#include "net/base/ph-random.h"
#include "net/base/ph-time.h"
#include "net/nat/ph-nat-verdict.h"

#define PH_PUNCH_SOCKETS_MAX 256
#define PH_PUNCH_PROBES_MAX 2048
#define PH_PUNCH_WINDOW 32
/* 200 a second. */
#define PH_PUNCH_INTERVAL (5 * PH_MSEC)

typedef enum {
  PH_PUNCH_NAT_UNKNOWN,
  PH_PUNCH_NAT_EASY, /* nobody needs to guess */
  PH_PUNCH_NAT_STRICT,
  PH_PUNCH_NAT_SEQUENTIAL,
  PH_PUNCH_NAT_RANDOM,
  PH_N_PUNCH_NATS,
} PhPunchNatKind;

typedef struct {
  PhPunchNatKind kind;
  int step; /* of a sequential one; never 0 */
  bool one_port; /* of a sequential one: for all ports of an address. The peer is not told */
} PhPunchNat;

/* What one side does; the other's plan fits to it. */
typedef enum {
  PH_PUNCH_NONE,
  PH_PUNCH_PROBE_RANDOM, /* to random ports of the peer */
  PH_PUNCH_OPEN_MANY, /* from many sockets to the peer's address */
  PH_PUNCH_PROBE_WINDOW, /* to ports from the peer's prediction on */
  PH_PUNCH_BE_PREDICTED, /* predict, and open one port to the peer's address */
  PH_PUNCH_MEET, /* both */
} PhPunchPlan;

PhPunchNat ph_punch_nat (const PhNatVerdict *verdict);
PhPunchPlan ph_punch_plan (const PhPunchNat *mine, const PhPunchNat *theirs);
/* Fresh sockets that a plan takes. */
unsigned ph_punch_sockets (PhPunchPlan plan);
/* Whether it takes a measurement of the fresh socket, told to the peer. */
bool ph_punch_predicts (PhPunchPlan plan);
/* Whether it waits for the peer's. */
bool ph_punch_is_told (PhPunchPlan plan);

/* The packets of a plan, one after another. */
typedef struct {
  PhPunchPlan plan;
  bool first; /* of two that meet */
  uint16_t port; /* the peer's: as it is, or as predicted */
  int step; /* the peer's */
  unsigned n;
  unsigned sent;
  PhTime next_at;
  PhTime pause; /* of two that meet: between their rounds */
  unsigned shift; /* steps that the peer is further on than it has said */
  uint32_t offset; /* of the random ports */
} PhPunchRun;

typedef struct {
  unsigned socket; /* which of the fresh ones; 0 too where there is none */
  uint16_t port; /* of the peer's address */
} PhPunchPacket;

void ph_punch_run_start (PhPunchRun *self, PhTime now, PhPunchPlan plan, bool first, uint16_t port,
                         int step, const PhRandom *random);
/* Whether the ports that two sides expect next are of one sequence: those of one address, and next to each other. */
bool ph_punch_one_sequence (const PhPunchNat *mine, const PhAddr *my_next, const PhPunchNat *theirs,
                            const PhAddr *their_next);
/* Right after the start, on both sides: they take turns. */
void ph_punch_run_take_turns (PhPunchRun *self, const PhPunchNat *mine);
/* False: nothing is due now. */
bool ph_punch_run_poll (PhPunchRun *self, PhTime now, PhPunchPacket *ret_packet);
/* The ports that the peer counts on are still being taken: an answer now would take one of them. False before
 * the run begins. */
bool ph_punch_run_takes_ports (const PhPunchRun *self, PhTime now);
/* PH_NEVER: all were sent. */
PhTime ph_punch_run_next_timeout (const PhPunchRun *self);
