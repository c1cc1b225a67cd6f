/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What kind of NAT stands between this device and the internet, in the words of RFC 4787, and how that is
 * concluded from what tests have shown. Plain values and pure functions.
 *
 * Whatever could not be tested is unknown: no verdict is made of silence that may have another reason. */

#pragma once

#include "net/base/ph-addr.h"

/* What a mapping, or a permission to come in, depends on beside the inside address and port. */
typedef enum {
  PH_NAT_DEPENDENCE_UNKNOWN,
  PH_NAT_ENDPOINT_INDEPENDENT,
  PH_NAT_ADDRESS_DEPENDENT,
  PH_NAT_ADDRESS_AND_PORT_DEPENDENT,
  /* Mapping only: on something, but ordinary STUN servers cannot tell on what. */
  PH_NAT_ENDPOINT_DEPENDENT,
} PhNatDependence;

typedef enum {
  PH_NAT_TYPE_UNKNOWN,
  PH_NAT_OPEN, /* no translation, everybody is let in */
  PH_NAT_FIREWALLED, /* no translation, but filtered */
  PH_NAT_FULL_CONE,
  PH_NAT_ADDRESS_RESTRICTED,
  PH_NAT_PORT_RESTRICTED,
  PH_NAT_SYMMETRIC, /* any endpoint-dependent mapping */
  PH_NAT_UDP_BLOCKED, /* no server answers over UDP */
} PhNatType;

typedef enum { PH_NAT_UNTESTED, PH_NAT_NO, PH_NAT_YES } PhNatAnswer;

/* How an endpoint-dependent mapping gets its ports. */
typedef enum {
  PH_NAT_PORTS_UNKNOWN, /* not such a mapping, or fewer than PH_NAT_STEP_SAMPLES samples */
  PH_NAT_PORTS_SEQUENTIAL, /* by port_step */
  PH_NAT_PORTS_RANDOM, /* in no order that could be predicted */
} PhNatPorts;

typedef struct {
  PhNatType type;
  PhNatAnswer translated;
  PhNatDependence mapping;
  PhNatDependence filtering;
  PhNatAnswer hairpin;
  PhNatAnswer port_preserving;
  PhNatAnswer port_parity; /* even ports stay even and odd ones odd, RFC 4787 §4.2.2 */
  PhNatPorts ports;
  int port_step; /* 0 unless the ports are sequential */
  PhAddr public_addr; /* the first mapping that was seen; PH_FAMILY_NONE: none */
} PhNatVerdict;

/* "full-cone", "endpoint-independent" and so on: names of the interface, not sentences for people.
 * PH_NAT_ENDPOINT_DEPENDENT is "unknown": the interface has no word for half an answer. */
const char *ph_nat_type_name (PhNatType type);
const char *ph_nat_dependence_name (PhNatDependence dependence);

/* RFC 5780 §2 and the classic names. */
PhNatType
ph_nat_classify (PhNatAnswer translated, PhNatDependence mapping, PhNatDependence filtering);

/* Fewer show a step where there is only chance. */
#define PH_NAT_STEP_SAMPLES 5

/* The outside ports of mappings in the order in which they were made. Others behind the same NAT use up
 * ports in between, so every difference may be up to 16 steps; one difference may be anything (the range
 * wrapped round, a burst of others) where there are enough beside it. */
PhNatPorts ph_nat_judge_ports (const uint16_t *ports, size_t n, int *ret_step);
