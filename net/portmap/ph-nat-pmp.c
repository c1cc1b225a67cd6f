/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/portmap/ph-nat-pmp.h"

#define VERSION 0
#define RESPONSE 0x80

void
ph_nat_pmp_write_address (PhWriter *w)
{
  ph_write_u8 (w, VERSION);
  ph_write_u8 (w, PH_NAT_PMP_ADDRESS);
}

void
ph_nat_pmp_write_map (PhWriter *w, PhNatPmpOpcode opcode, uint16_t internal_port,
                      uint16_t suggested_port, uint32_t lifetime_s)
{
  ph_write_u8 (w, VERSION);
  ph_write_u8 (w, (uint8_t)opcode);
  ph_write_u16 (w, 0);
  ph_write_u16 (w, internal_port);
  ph_write_u16 (w, suggested_port);
  ph_write_u32 (w, lifetime_s);
}

static void
read_body (PhReader *r, PhNatPmpResponse *response)
{
  if (response->opcode == PH_NAT_PMP_ADDRESS) {
    response->external = ph_addr_from_bytes (ph_read_slice (r, 4), 0);
    return;
  }
  response->internal_port = ph_read_u16 (r);
  response->external_port = ph_read_u16 (r);
  response->lifetime_s = ph_read_u32 (r);
}

bool
ph_nat_pmp_parse (PhSlice in, PhNatPmpResponse *ret_response)
{
  PhReader r = ph_reader (in);
  PhNatPmpResponse response = {0};
  const uint8_t version = ph_read_u8 (&r);
  const uint8_t opcode = ph_read_u8 (&r);

  response.opcode = opcode & 0x7f;
  response.result = ph_read_u16 (&r);
  response.epoch_s = ph_read_u32 (&r);
  if (response.result == PH_NAT_PMP_SUCCESS && response.opcode > PH_NAT_PMP_MAP_TCP)
    ph_reader_poison (&r);
  if (response.opcode <= PH_NAT_PMP_MAP_TCP
      && (response.result == PH_NAT_PMP_SUCCESS || ph_reader_left (&r) > 0))
    read_body (&r, &response);
  if (!ph_reader_ok (&r) || version != VERSION || (opcode & RESPONSE) == 0)
    return false;
  *ret_response = response;
  return true;
}
