/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The input is a script: what servers, which know the ids, may send over TCP, and time. There is one verdict,
 * in time. */

#include "net/nat/ph-nat-tcp.h"
#include "net/stun/ph-stun.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

#define STEPS_MAX 100

typedef struct {
  PhRandomSeeded seed;
  PhNatTcp *discovery;
  PhTime now;
  uint32_t socket;
  PhStunId asked;
  unsigned n_verdicts;
} Fuzz;

static void
settle (Fuzz *f)
{
  uint8_t data[PH_STUN_MESSAGE_MAX];
  PhTransmit tx = {.data = data, .cap = sizeof data};
  PhStunMessage message;
  PhConnectionOp op;
  PhNatDependence mapping;
  PhAddr public_addr;

  while (ph_nat_tcp_poll_connection (f->discovery, &op)) {
    if (op.type == PH_CONNECTION_OPEN)
      f->socket = op.socket;
  }
  while (ph_nat_tcp_poll_transmit (f->discovery, f->now, &tx)) {
    const bool ok = ph_stun_parse (ph_slice (data, tx.len), &message);

    g_assert (ok);
    f->asked = message.id;
  }
  while (ph_nat_tcp_poll_event (f->discovery, &mapping, &public_addr)) {
    f->n_verdicts++;
    g_assert (ph_nat_dependence_name (mapping) != NULL);
  }
}

static void
answer (Fuzz *f, PhReader *r)
{
  uint8_t out[PH_STUN_MESSAGE_MAX];
  PhWriter w = ph_writer (out, sizeof out);
  const uint8_t flags = ph_read_u8 (r);
  const PhAddr mapped = ph_addr_ipv4 (192, 0, 2, flags % 4, ph_read_u8 (r));
  const PhAddr other = ph_addr_ipv4 (192, 0, 2, 9, ph_read_u8 (r));

  ph_stun_begin (&w, flags & 32 ? PH_STUN_ERROR : PH_STUN_SUCCESS, PH_STUN_BINDING, &f->asked);
  ph_stun_put_xor_addr (&w, PH_STUN_XOR_MAPPED_ADDRESS, &mapped);
  if (flags & 16)
    ph_stun_put_addr (&w, PH_STUN_OTHER_ADDRESS, &other);

  const size_t len = flags & 64 ? ph_writer_len (&w) / 2 : ph_writer_len (&w);

  ph_nat_tcp_handle_packet (f->discovery, f->now,
                            &(PhDatagram){.socket = f->socket, .bytes = {out, len}});
}

static void
step (Fuzz *f, PhReader *r)
{
  const uint8_t what = ph_read_u8 (r);
  const char *why;
  PhTime next;

  switch (what % 4) {
  case 0:
    next = ph_nat_tcp_next_timeout (f->discovery, &why);
    if (next != PH_NEVER)
      f->now = MAX (f->now, next);
    ph_nat_tcp_handle_timeout (f->discovery, f->now);
    break;
  case 1:
    ph_nat_tcp_handle_connection (
        f->discovery, f->now,
        &(PhConnectionEvent){.type = (PhConnectionEventType)(what / 4 % 6), .socket = f->socket});
    break;
  case 2:
    answer (f, r);
    break;
  default:
    ph_nat_tcp_handle_packet (
        f->discovery, f->now,
        &(PhDatagram){.socket = f->socket,
                      .bytes = ph_read_slice (r, MIN (what / 4, ph_reader_left (r)))});
  }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  PhReader r = ph_reader (ph_slice (data, size));
  Fuzz f = {.now = 100 * PH_SEC};
  PhNatTcpConfig config = {.port = 1, .n_servers = 1 + ph_read_u8 (&r) % PH_NAT_SERVERS_MAX};

  for (size_t i = 0; i < config.n_servers; i++)
    config.servers[i] = ph_addr_ipv4 (192, 0, 2, (uint8_t)i, 3478);
  ph_random_seeded_init (&f.seed, 1);
  config.random = ph_random_seeded (&f.seed);
  f.discovery = ph_nat_tcp_new (&config, f.now);
  settle (&f);
  for (unsigned i = 0; i < STEPS_MAX && ph_reader_left (&r) > 0; i++) {
    step (&f, &r);
    settle (&f);
  }
  ph_nat_tcp_handle_timeout (f.discovery, 100 * PH_SEC + PH_NAT_TCP_TIME_MAX);
  settle (&f);
  g_assert (f.n_verdicts == 1);
  ph_nat_tcp_free (f.discovery);
  return 0;
}
