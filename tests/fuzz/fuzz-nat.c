/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The input is a script: what STUN servers, which know the ids, may answer a NAT discovery, and time.
 * Whatever they say there is one verdict, in time, and no more packets than were promised. */

#include "net/nat/ph-nat-discovery.h"
#include "net/stun/ph-stun.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

#define STEPS_MAX 400

typedef struct {
  PhRandomSeeded seed;
  PhNatDiscovery *discovery;
  PhTime now;
  PhTime start;
  PhStunId asked[8];
  uint32_t asked_socket[8];
  PhAddr asked_remote[8];
  unsigned n_asked;
  unsigned n_verdicts;
} Fuzz;

static void
settle (Fuzz *f)
{
  uint8_t data[PH_STUN_MESSAGE_MAX];
  PhTransmit tx = {.data = data, .cap = sizeof data};
  PhStunMessage message;
  PhNatVerdict verdict;

  while (ph_nat_discovery_poll_transmit (f->discovery, f->now, &tx)) {
    const bool ok = ph_stun_parse (ph_slice (data, tx.len), &message);
    const unsigned i = f->n_asked++ % G_N_ELEMENTS (f->asked);

    g_assert (ok);
    g_assert (tx.remote.port != 0);
    f->asked[i] = message.id;
    f->asked_socket[i] = tx.socket;
    f->asked_remote[i] = tx.remote;
    g_assert (f->n_asked <= PH_NAT_PACKETS_MAX);
  }
  while (ph_nat_discovery_poll_event (f->discovery, &verdict)) {
    f->n_verdicts++;
    /* Both have names. */
    g_assert (ph_nat_type_name (verdict.type) != NULL);
    g_assert (ph_nat_dependence_name (verdict.filtering) != NULL);
  }
}

static PhAddr
read_addr (PhReader *r)
{
  const uint8_t host = ph_read_u8 (r);
  const uint16_t port = ph_read_u8 (r) % 4;

  return ph_addr_ipv4 (192, 0, host & 16 ? 3 : 2, host % 16, port);
}

static void
receive (Fuzz *f, uint32_t socket, PhAddr remote, PhSlice bytes)
{
  const bool own = ph_nat_discovery_handle_packet (f->discovery, f->now,
                                                   &(PhDatagram){socket, remote, 0, bytes});

  g_assert (own == (socket == 1 || socket == 2));
}

/* With the id of one of the last questions: an answer, an error, or the question itself come back. */
static void
send_known (Fuzz *f, PhReader *r)
{
  uint8_t out[PH_STUN_MESSAGE_MAX];
  PhWriter w = ph_writer (out, sizeof out);
  const uint8_t flags = ph_read_u8 (r);
  const unsigned i = (f->n_asked - 1 - flags % 8) % G_N_ELEMENTS (f->asked);
  const PhAddr mapped = read_addr (r), other = read_addr (r);
  const PhStunClass klass =
      flags & 8 ? (flags & 16 ? PH_STUN_ERROR : PH_STUN_REQUEST) : PH_STUN_SUCCESS;

  ph_stun_begin (&w, klass, PH_STUN_BINDING, &f->asked[i]);
  if (klass == PH_STUN_ERROR)
    ph_stun_put_error (&w, 420, "");
  ph_stun_put_xor_addr (&w, PH_STUN_XOR_MAPPED_ADDRESS, &mapped);
  if (flags & 32)
    ph_stun_put_addr (&w, PH_STUN_OTHER_ADDRESS, &other);
  receive (f, flags & 128 ? 3 - f->asked_socket[i] : f->asked_socket[i],
           flags & 64 ? read_addr (r) : f->asked_remote[i], ph_slice (out, ph_writer_len (&w)));
}

static void
follow_timer (Fuzz *f)
{
  const char *why;
  const PhTime next = ph_nat_discovery_next_timeout (f->discovery, &why);

  if (next == PH_NEVER)
    return;
  f->now = MAX (f->now, next);
  ph_nat_discovery_handle_timeout (f->discovery, f->now);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  PhReader r = ph_reader (ph_slice (data, size));
  Fuzz f = {.now = 100 * PH_SEC, .start = 100 * PH_SEC};
  const uint8_t n_servers = ph_read_u8 (&r);
  PhNatDiscoveryConfig config = {
      .mapping_socket = 1,
      .filtering_socket = 2,
      .mapping_local = ph_addr_ipv4 (192, 0, 2, 1, 1),
      .filtering_local = ph_addr_ipv4 (192, 0, 2, 1, 2),
      .n_servers = 1 + n_servers % PH_NAT_SERVERS_MAX,
  };
  const char *why;

  ph_random_seeded_init (&f.seed, 1);
  config.random = ph_random_seeded (&f.seed);
  for (uint8_t i = 0; i < config.n_servers; i++)
    config.servers[i] = ph_addr_ipv4 (192, 0, 2, (uint8_t)(8 + i), 1);
  f.discovery = ph_nat_discovery_new (&config, f.now);
  settle (&f);

  for (unsigned i = 0; i < STEPS_MAX && ph_reader_ok (&r) && ph_reader_left (&r) > 0; i++) {
    switch (ph_read_u8 (&r) % 4) {
    case 0:
      receive (&f, ph_read_u8 (&r) % 4, read_addr (&r), ph_read_counted (&r, 600));
      break;
    case 1:
    case 2:
      send_known (&f, &r);
      break;
    default:
      follow_timer (&f);
      break;
    }
    settle (&f);
  }
  while (ph_nat_discovery_next_timeout (f.discovery, &why) != PH_NEVER) {
    follow_timer (&f);
    settle (&f);
  }
  g_assert (f.n_verdicts == 1);
  g_assert (f.now <= f.start + PH_NAT_TIME_MAX);
  ph_nat_discovery_free (f.discovery);
  return 0;
}
