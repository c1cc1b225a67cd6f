/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A NAT box, firewall or both, between an inside and an outside segment, by the words of RFC 4787.
 *
 * IPv4 is translated unless the description says otherwise; IPv6 (and IPv4 without translation) passes
 * with its addresses, through the same filter: a firewall. Boxes nest: the outside of one is the inside
 * of another.
 *
 * What a description leaves zero is the plainest NAT there is: endpoint-independent mapping and filtering,
 * ports preserved, no hairpin, mappings for 120 s, no limit. Strangers' packets vanish in silence.
 *
 * With `nat64` IPv6 to addresses under that prefix leaves as IPv4, by the same rules (RFC 6146), and comes back.
 *
 * TCP is treated like UDP, with mappings of its own: as RFC 5382 wants it where the description is EI, with
 * simultaneous open let through. Connections are not followed but for resets, which end what let them in. */

#pragma once

#include "tests/sim/ph-sim.h"

/* What a mapping (or a permission to come in) depends on beside the inside address and port. */
typedef enum {
  PH_SIM_EI, /* nothing: endpoint-independent */
  PH_SIM_AD, /* the remote address */
  PH_SIM_APD, /* the remote address and port */
} PhSimDependence;

typedef enum {
  PH_SIM_PORT_PRESERVE, /* the inside port where it is free, else random */
  PH_SIM_PORT_SEQUENTIAL, /* the last one + port_step */
  PH_SIM_PORT_RANDOM,
  PH_SIM_PORT_CHUNK, /* every inside address has a block of chunk_size ports; in order inside */
} PhSimPorts;

#define PH_SIM_POOL_MAX 4

typedef struct {
  PhSimDependence mapping;
  PhSimDependence filtering;
  PhSimPorts ports;
  int port_step; /* sequential; 0 means 1 */
  uint16_t chunk_size; /* chunk; 0 means 512 */
  uint32_t other_rate; /* mappings a second that others behind the box make: they use up ports */
  uint32_t conflict_ppm; /* preserve: chance that the inside port is taken by somebody else */
  bool hairpin;
  bool refresh_inbound; /* inbound packets keep a mapping alive as well (outbound always do) */
  PhTime timeout_interval; /* 0 means 120 s (RFC 4787 REQ-5); PH_NEVER: none */
  unsigned table_max; /* mappings at most; further ones are refused; 0: no limit */
  /* A stranger's packet occupies its tuple for 30 s, as in a Linux router that does not drop it: our
   * packets to that stranger then leave from another port. */
  bool poisonable;
  bool no_translation; /* IPv4 passes with its address: a firewall only */
  PhNat64Prefix nat64; /* len 0: none */
  bool udp_blocked;
  bool tcp_refuses; /* a stranger's SYN is answered with a reset */
  unsigned pool; /* outside addresses, counted up from the first; 0 means 1 */
  bool pool_arbitrary; /* a mapping takes any address of the pool, else one per inside address */
} PhSimNatConfig;

typedef struct _PhSimNat PhSimNat;

/* Attaches the box to both segments and becomes `inside`'s gateway. `inside_ip` and `outside_ip` are its
 * own addresses. With translation `outside_ip` is what the outside sees. */
PhSimNat *
ph_sim_nat_new (PhSim *sim, const char *name, const PhSimNatConfig *config, PhSimSegment *inside,
                const PhAddr *inside_ip, PhSimSegment *outside, const PhAddr *outside_ip);
/* What passes untranslated needs a way back: routes `prefix` of the outside segment through the box. */
void ph_sim_nat_route (PhSimNat *self, const PhAddr *prefix, unsigned bits);

PhSimIface *ph_sim_nat_inside (PhSimNat *self);
PhSimIface *ph_sim_nat_outside (PhSimNat *self);
const PhSimNatConfig *ph_sim_nat_config (const PhSimNat *self);

/* Forgets all mappings, as after a restart. Preserved ports are not given again to the same
 * inside port for a minute, so that a rebinding shows. */
void ph_sim_nat_forget (PhSimNat *self);
/* A new outside address, as providers give one every night; mappings are forgotten. */
void ph_sim_nat_change_address (PhSimNat *self, const PhAddr *outside_ip);
/* From now on drops what goes to or comes from this outside IP with more bytes than `len_max`, as a
 * firewall's rule does; NULL: nothing any more. */
void ph_sim_nat_block (PhSimNat *self, const PhAddr *ip, size_t len_max);
unsigned ph_sim_nat_mappings (const PhSimNat *self);

/* "EI/APD preserve hairpin": for messages. */
char *ph_sim_nat_config_format (const PhSimNatConfig *config);
