/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The input is a script: what servers and callers may send over TCP, and time. There is one verdict, and a yes only
 * for whom has said the whole greeting. */

#include "net/nat/ph-nat-knock.h"
#include "net/stun/ph-stun.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

#define STEPS_MAX 100
#define GREETING "greeting"

typedef struct {
  PhRandomSeeded seed;
  PhNatKnock *knock;
  PhTime now;
  uint32_t socket;
  PhStunId asked;
  bool greeted; /* somebody may have */
  unsigned n_verdicts;
} Fuzz;

static void
settle (Fuzz *f)
{
  uint8_t data[PH_STUN_MESSAGE_MAX];
  PhTransmit tx = {.data = data, .cap = sizeof data};
  PhStunMessage message;
  PhConnectionOp op;
  PhNatAnswer heard;

  while (ph_nat_knock_poll_connection (f->knock, &op)) {
    if (op.type == PH_CONNECTION_OPEN)
      f->socket = op.socket;
  }
  while (ph_nat_knock_poll_transmit (f->knock, f->now, &tx)) {
    const bool ok = ph_stun_parse (ph_slice (data, tx.len), &message);

    g_assert (ok);
    f->asked = message.id;
  }
  while (ph_nat_knock_poll_event (f->knock, &heard)) {
    f->n_verdicts++;
    g_assert (heard != PH_NAT_YES || f->greeted);
  }
}

static void
answer (Fuzz *f, PhReader *r)
{
  uint8_t out[PH_STUN_MESSAGE_MAX];
  PhWriter w = ph_writer (out, sizeof out);
  const PhAddr mapped = ph_addr_ipv4 (203, 0, 113, ph_read_u8 (r) % 2, ph_read_u8 (r));

  ph_stun_begin (&w, PH_STUN_SUCCESS, PH_STUN_BINDING, &f->asked);
  ph_stun_put_xor_addr (&w, PH_STUN_XOR_MAPPED_ADDRESS, &mapped);
  ph_nat_knock_handle_packet (
      f->knock, f->now, &(PhDatagram){.socket = f->socket, .bytes = {out, ph_writer_len (&w)}});
}

static void
step (Fuzz *f, PhReader *r)
{
  const uint8_t what = ph_read_u8 (r);
  const uint32_t caller = 1 + what / 8 % 12;
  const char *why;
  uint16_t port;
  PhTime next;
  PhSlice bytes;

  switch (what % 8) {
  case 0:
    next = ph_nat_knock_next_timeout (f->knock, &why);
    if (next != PH_NEVER)
      f->now = MAX (f->now, next);
    ph_nat_knock_handle_timeout (f->knock, f->now);
    break;
  case 1:
    ph_nat_knock_handle_connection (
        f->knock, f->now,
        &(PhConnectionEvent){.type = (PhConnectionEventType)(what / 8 % 6), .socket = f->socket});
    break;
  case 2:
    ph_nat_knock_handle_connection (
        f->knock, f->now,
        &(PhConnectionEvent){.type = PH_CONNECTION_ACCEPTED,
                             .socket = caller,
                             .remote = ph_addr_ipv4 (192, 0, 2, what / 8 % 4, 1)});
    break;
  case 3:
    ph_nat_knock_handle_connection (
        f->knock, f->now, &(PhConnectionEvent){.type = PH_CONNECTION_CLOSED, .socket = caller});
    break;
  case 4:
    answer (f, r);
    break;
  case 5:
    if (ph_nat_knock_poll_knock (f->knock, &port))
      ph_nat_knock_handle_knocked (f->knock, f->now, what & 8);
    break;
  case 6:
    f->greeted = true;
    ph_nat_knock_handle_packet (
        f->knock, f->now, &(PhDatagram){.socket = caller, .bytes = ph_slice_string (GREETING)});
    break;
  default:
    bytes = ph_read_slice (r, MIN (what / 8, ph_reader_left (r)));
    f->greeted |= bytes.len > 0;
    ph_nat_knock_handle_packet (f->knock, f->now, &(PhDatagram){.socket = caller, .bytes = bytes});
  }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  PhReader r = ph_reader (ph_slice (data, size));
  Fuzz f = {.now = 100 * PH_SEC};
  const uint8_t how = ph_read_u8 (&r);
  PhNatKnockConfig config = {
      .port = 1,
      .local = how & 1 ? ph_addr_ipv4 (203, 0, 113, 1, 5) : ph_addr_ipv4 (10, 0, 0, 1, 5),
      .seen_as = ph_addr_ipv4 (203, 0, 113, 1, 0),
      .rendezvous = ph_addr_ipv4 (192, 0, 2, 1, 443),
      .stranger = how & 2,
      .n_servers = how / 4 % (PH_NAT_SERVERS_MAX + 1),
      .greeting = GREETING,
      .greeting_len = strlen (GREETING),
  };
  uint16_t port;

  for (size_t i = 0; i < config.n_servers; i++)
    config.servers[i] = ph_addr_ipv4 (192, 0, 2, (uint8_t)i, 3478);
  ph_random_seeded_init (&f.seed, 1);
  config.random = ph_random_seeded (&f.seed);
  f.knock = ph_nat_knock_new (&config, f.now);
  settle (&f);
  for (unsigned i = 0; i < STEPS_MAX && ph_reader_left (&r) > 0; i++) {
    step (&f, &r);
    settle (&f);
  }
  for (unsigned i = 0; i < 2 + PH_NAT_SERVERS_MAX; i++) {
    const char *why;
    const PhTime next = ph_nat_knock_next_timeout (f.knock, &why);

    if (next != PH_NEVER)
      f.now = MAX (f.now, next);
    ph_nat_knock_handle_timeout (f.knock, f.now);
    settle (&f);
  }
  if (f.n_verdicts == 0) {
    ph_nat_knock_poll_knock (f.knock, &port);
    ph_nat_knock_handle_knocked (f.knock, f.now, true);
    settle (&f);
  }
  g_assert (f.n_verdicts == 1);
  ph_nat_knock_free (f.knock);
  return 0;
}
