/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The NAT Port Mapping Protocol's messages, RFC 6886 §3: what PCP grew out of and many routers still
 * speak. IPv4 only. */

#pragma once

#include "net/base/ph-addr.h"

#define PH_NAT_PMP_REQUEST_MAX 12

typedef enum {
  PH_NAT_PMP_ADDRESS = 0,
  PH_NAT_PMP_MAP_UDP = 1,
  PH_NAT_PMP_MAP_TCP = 2,
} PhNatPmpOpcode;

/* RFC 6886 §3.5. */
enum { PH_NAT_PMP_SUCCESS = 0 };

typedef struct {
  uint8_t opcode; /* PhNatPmpOpcode, or another where the answer is that of an error */
  uint16_t result;
  uint32_t epoch_s;
  PhAddr external; /* ADDRESS only; port 0 */
  /* MAP only. */
  uint16_t internal_port;
  uint16_t external_port;
  uint32_t lifetime_s;
} PhNatPmpResponse;

void ph_nat_pmp_write_address (PhWriter *w);
void ph_nat_pmp_write_map (PhWriter *w, PhNatPmpOpcode opcode, uint16_t internal_port,
                           uint16_t suggested_port, uint32_t lifetime_s);

/* False for what is no answer of version 0. One with an error may end after the epoch: that is how such a
 * server answers what it does not understand, PCP among it (RFC 6887 §9). */
bool ph_nat_pmp_parse (PhSlice in, PhNatPmpResponse *ret_response);
