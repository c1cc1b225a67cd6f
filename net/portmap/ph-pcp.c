/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/portmap/ph-pcp.h"

#define VERSION 2
#define RESPONSE 0x80
/* RFC 6887 §7: longer messages are not PCP. */
#define MESSAGE_MAX 1100

/* Addresses are always 16 bytes, IPv4 as IPv4-mapped. An address of family none is written as the
 * unspecified IPv4 address, which suggests none (§11.1). */
static void
write_ip (PhWriter *w, const PhAddr *addr)
{
  if (addr->family == PH_FAMILY_IPV6) {
    ph_write_bytes (w, addr->ip, 16);
    return;
  }
  ph_write_zeros (w, 10);
  ph_write_u16 (w, 0xffff);
  ph_write_bytes (w, addr->ip, 4);
}

static void
write_header (PhWriter *w, PhPcpOpcode opcode, uint32_t lifetime_s, const PhAddr *client)
{
  ph_write_u8 (w, VERSION);
  ph_write_u8 (w, (uint8_t)opcode);
  ph_write_u16 (w, 0);
  ph_write_u32 (w, lifetime_s);
  write_ip (w, client);
}

void
ph_pcp_write_announce (PhWriter *w, const PhAddr *client)
{
  write_header (w, PH_PCP_ANNOUNCE, 0, client);
}

void
ph_pcp_write_map (PhWriter *w, const PhPcpMap *map)
{
  write_header (w, PH_PCP_MAP, map->lifetime_s, &map->client);
  ph_write_bytes (w, map->nonce, PH_PCP_NONCE_LEN);
  ph_write_u8 (w, map->protocol);
  ph_write_zeros (w, 3);
  ph_write_u16 (w, map->internal_port);
  ph_write_u16 (w, map->suggested.port);
  write_ip (w, &map->suggested);
}

static void
read_map (PhReader *r, PhPcpResponse *response)
{
  ph_read_bytes (r, response->nonce, PH_PCP_NONCE_LEN);
  response->protocol = ph_read_u8 (r);
  ph_read_skip (r, 3);
  response->internal_port = ph_read_u16 (r);

  const uint16_t port = ph_read_u16 (r);

  response->external = ph_addr_from_bytes (ph_read_slice (r, 16), port);
}

bool
ph_pcp_parse (PhSlice in, PhPcpResponse *ret_response)
{
  PhReader r = ph_reader (in);
  PhPcpResponse response = {0};
  const uint8_t version = ph_read_u8 (&r);
  const uint8_t opcode = ph_read_u8 (&r);

  ph_read_u8 (&r);
  response.result = ph_read_u8 (&r);
  response.lifetime_s = ph_read_u32 (&r);
  response.epoch_s = ph_read_u32 (&r);
  ph_read_skip (&r, 12);
  response.opcode = opcode & 0x7f;
  if (response.opcode == PH_PCP_MAP)
    read_map (&r, &response);
  if (!ph_reader_ok (&r) || version != VERSION || (opcode & RESPONSE) == 0
      || response.opcode > PH_PCP_MAP || in.len > MESSAGE_MAX || in.len % 4 != 0)
    return false;
  *ret_response = response;
  return true;
}
