/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The Port Control Protocol's messages, RFC 6887 §7 and §11: ANNOUNCE and MAP.
 *
 * Left out: PEER, THIRD_PARTY and every option; options in an answer are skipped. */

#pragma once

#include "net/base/ph-addr.h"

/* Of NAT-PMP too: the versions tell them apart. */
#define PH_PCP_PORT 5351
#define PH_PCP_NONCE_LEN 12
/* A MAP request without options. */
#define PH_PCP_REQUEST_MAX 60

typedef enum { PH_PCP_ANNOUNCE = 0, PH_PCP_MAP = 1 } PhPcpOpcode;

/* RFC 6887 §7.4, those that are told apart here. */
enum { PH_PCP_SUCCESS = 0, PH_PCP_UNSUPP_VERSION = 1 };

typedef struct {
  uint8_t opcode; /* PhPcpOpcode */
  uint8_t result;
  uint32_t lifetime_s; /* of the mapping, or of the error */
  uint32_t epoch_s;
  /* MAP only. */
  uint8_t nonce[PH_PCP_NONCE_LEN];
  uint8_t protocol; /* as IP has it */
  uint16_t internal_port;
  PhAddr external;
} PhPcpResponse;

typedef struct {
  PhAddr client; /* what the request is sent from */
  uint8_t nonce[PH_PCP_NONCE_LEN];
  uint8_t protocol;
  uint16_t internal_port;
  PhAddr suggested; /* family none: no wish */
  uint32_t lifetime_s; /* 0: delete */
} PhPcpMap;

void ph_pcp_write_announce (PhWriter *w, const PhAddr *client);
void ph_pcp_write_map (PhWriter *w, const PhPcpMap *map);

/* False for what is no answer of version 2 to one of the two. */
bool ph_pcp_parse (PhSlice in, PhPcpResponse *ret_response);
