/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Must two hosts reach each other directly over UDP? Answered from the descriptions of their boxes by the
 * words of RFC 4787, without a look at any agent, so that an agent can be judged by it.
 *
 * Assumed of the agents: each knows its own and the other's host and server-reflexive addresses,
 * sends to all of them from one socket, answers to where a request came from, sends to addresses it
 * sees (peer-reflexive), takes only answers that come back from where it asked, and guesses nothing.
 *
 * The reasoning. Let *m* be a side's mapping and *f* its filtering; an open host is EI/EI, a firewall
 * EI with its filtering. s is the address that the STUN server saw.
 *
 *  1. Both m = EI: each sends from the very address the other sends to, and so opens its own filter for
 *     the other, whatever f is.                                                           direct
 *  2. m(A) = EI, m(B) endpoint-dependent: B's packets to s(A) come from a new port, on B's address. A has
 *     sent to s(B), the same address but another port: f(A) = EI or AD lets B in, A answers the new port,
 *     done. f(A) = APD does not; and what A sends to s(B) B can only answer from the new port, to which A
 *     is closed, even if f(B) = EI lets A in.                          direct unless f(A) = APD
 *  3. Both endpoint-dependent: packets to an s are let in by f = EI only (on that mapping nobody but the
 *     server was ever spoken to), so one side has to be EI. It then sends to the address it saw, from
 *     a port that the other has not sent to: a filter of APD keeps it out. If both mappings are APD,
 *     every answer to a new port comes from yet another port, and no two ports ever meet. If one is AD
 *     (one port for all of the other's address), they do after one more round.
 *                             direct if one f is EI, no f is APD, not both m are APD
 *
 * as a table (rows and columns m/f, "D" stands for AD or APD, "." for "by rule 3's last sentence"):
 *
 *              EI/EI EI/AD EI/APD  D/EI  D/AD  D/APD
 *      EI/EI    yes   yes   yes    yes   yes   yes
 *      EI/AD    yes   yes   yes    yes   yes   yes
 *      EI/APD   yes   yes   yes    no    no    no
 *      D/EI     yes   yes   no     .     .     no
 *      D/AD     yes   yes   no     .     no    no
 *      D/APD    yes   yes   no     no    no    no
 *
 * On one LAN host addresses are enough. Behind one carrier's NAT packets have to turn round there: its
 * hairpin is needed, and the rules above then hold for the nested boxes. A box behind a box with
 * EI mapping is as one box with the inner one's mapping and the narrower of both filterings. */

#pragma once

#include "tests/sim/ph-sim-nat.h"

typedef enum {
  PH_SIM_DIRECT_NO,
  PH_SIM_DIRECT_YES,
  PH_SIM_DIRECT_UNKNOWN, /* luck, or nesting that the rules do not cover */
} PhSimDirect;

typedef enum {
  PH_SIM_APART, /* nothing in common but the internet */
  PH_SIM_SAME_LAN, /* behind one box, on one segment */
  PH_SIM_SAME_CARRIER, /* each behind its own box, both behind one carrier's */
} PhSimNearness;

/* NULL: there is no such box. */
typedef struct {
  const PhSimNatConfig *own;
  const PhSimNatConfig *carrier;
} PhSimSide;

PhSimDirect ph_sim_oracle (const PhSimSide *left, const PhSimSide *right, PhSimNearness nearness);

/* The one box that does to packets what a side's boxes do together, as far as the rules above and those below
 * can tell: the narrower properties of both, and the ports of the box that the internet sees, unless that one
 * keeps those of the box within. False: there is none. */
bool ph_sim_side_as_one (const PhSimSide *side, PhSimNatConfig *ret_box);

/* What guessing ports adds where the rules above say no. By rule 2 one side is then EI/APD, or both mappings are
 * endpoint-dependent.
 *
 *  4. One side EI/APD: it meets the other if the port that will be mapped next can be foreseen (a sequence, or a
 *     block of one's own: a window of ports), and else by a birthday's chance, 99.97 % of attempts.
 *  5. Both endpoint-dependent: they meet if both can be foreseen and let in nobody else. Where strangers are let
 *     in ordinary checks chase each other through ever new ports and take those that were foreseen: often, not
 *     surely.                                                                                 WIDE
 *     If one cannot be foreseen there is no hope.
 *
 * Behind one carrier that gives both their ports in one sequence, or those that their own boxes gave where these
 * do not conflict, what was foreseen may go to the other: WIDE as well. */
typedef enum {
  PH_SIM_GUESS_NONE,
  PH_SIM_GUESS_WINDOW,
  PH_SIM_GUESS_MEET,
  PH_SIM_GUESS_WIDE,
  PH_SIM_GUESS_BIRTHDAY,
} PhSimGuess;

PhSimGuess
ph_sim_oracle_guess (const PhSimSide *left, const PhSimSide *right, PhSimNearness nearness);

/* The same over TCP, whatever becomes of UDP: both sides connect from the port that listens, to all addresses
 * that they know. Rules 1 and 2 hold, since a SYN opens a filter as a datagram does, and what is let in finds
 * the listener or a call of its own to the same place. Rule 3 leaves nothing: the answer to a SYN that is let
 * in leaves from another port than the one that was called. */
PhSimDirect
ph_sim_oracle_tcp (const PhSimSide *left, const PhSimSide *right, PhSimNearness nearness);
