/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The input is a script: what TURN servers that know the password may answer, over UDP and over streams, what
 * peers named by an authenticated contact are sent, how sockets and wishes come and go, and time. Packets go
 * to servers only, and limits hold. */

#include "net/connect/ph-relays.h"

#include <glib.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

#define STEPS_MAX 300
#define SERVERS 3

typedef struct {
  PhRelays *relays;
  PhTime now;
  PhRelayServer servers[SERVERS];
  uint8_t key[16];
  uint32_t relayed; /* the last that was told */
  struct {
    PhStunId id;
    uint16_t method;
    uint32_t socket;
    PhAddr server;
  } asked[16];
  unsigned n_asked;
  uint32_t streams[8];
  unsigned n_streams;
} Fuzz;

static void
take (Fuzz *f, const PhTransmit *tx)
{
  PhStunMessage message;
  bool to_server = false;

  g_assert (tx->len <= tx->cap && !ph_socket_is_relayed (tx->socket));
  for (unsigned i = 0; i < SERVERS; i++)
    to_server |= ph_addr_equal (&f->servers[i].addr, &tx->remote);
  g_assert (to_server);
  if (tx->segment != 0 || !ph_stun_parse (ph_slice (tx->data, tx->len), &message)
      || message.klass != PH_STUN_REQUEST)
    return;

  const unsigned i = f->n_asked++ % G_N_ELEMENTS (f->asked);

  f->asked[i].id = message.id;
  f->asked[i].method = message.method;
  f->asked[i].socket = tx->socket;
  f->asked[i].server = tx->remote;
}

static void
settle (Fuzz *f)
{
  uint8_t data[2048];
  PhTransmit tx = {.data = data, .cap = sizeof data};
  PhRelaysEvent event;
  PhRelayStream stream;
  PhAddr wish;
  PhCandidate candidates[4];
  unsigned n = 0;

  while (ph_relays_poll_transmit (f->relays, f->now, &tx)) {
    take (f, &tx);
    tx = (PhTransmit){.data = data, .cap = sizeof data};
    g_assert (n++ <= PH_RELAYS_MAX * 200);
  }
  while (ph_relays_poll_event (f->relays, &event)) {
    if (event.type == PH_RELAYS_EVENT_CANDIDATE) {
      g_assert (event.candidate.type == PH_CANDIDATE_RELAY);
      f->relayed = event.candidate.socket;
      g_assert (ph_socket_is_relayed (f->relayed));
    }
    g_assert (n++ <= 10000);
  }
  while (ph_relays_poll_stream (f->relays, &stream)) {
    f->streams[f->n_streams++ % G_N_ELEMENTS (f->streams)] = stream.socket;
    g_assert (n++ <= 10000);
  }
  while (ph_relays_poll_unused (f->relays) != 0)
    g_assert (n++ <= 10000);
  if (ph_relays_poll_fresh_wish (f->relays, &wish)) {
    wish.port = 6000;
    ph_relays_add_fresh_socket (f->relays, f->now, 5 + f->n_asked % 4, &wish);
  }
  g_assert (ph_relays_candidates (f->relays, candidates, 4) <= 2);
}

static void
deliver (void *user, PhTime now, const PhDatagram *in)
{
  g_assert (ph_socket_is_relayed (in->socket));
  g_assert (ph_addr_is_set (&in->remote));
}

static PhAddr
read_addr (PhReader *r)
{
  const uint8_t host = ph_read_u8 (r);

  return ph_addr_ipv4 (198, 51, 100, host & 63, (uint16_t)(host >> 4));
}

static void
receive (Fuzz *f, uint32_t socket, const PhAddr *server, PhSlice bytes)
{
  const PhDatagram in = {.socket = socket, .remote = *server, .bytes = bytes};

  ph_relays_handle_packet (f->relays, f->now, &in, deliver, f);
}

/* An authentic answer to one of the last questions. */
static void
answer (Fuzz *f, PhReader *r)
{
  static const unsigned codes[] = {401, 438, 437, 403, 486, 441, 500, 420};
  uint8_t out[PH_STUN_MESSAGE_MAX];
  PhWriter w = ph_writer (out, sizeof out);
  const uint8_t flags = ph_read_u8 (r);
  const unsigned i = ph_read_u8 (r) % G_N_ELEMENTS (f->asked);
  const PhAddr addr = read_addr (r);

  ph_stun_begin (&w, flags & 1 ? PH_STUN_ERROR : PH_STUN_SUCCESS, f->asked[i].method,
                 &f->asked[i].id);
  if (flags & 1) {
    ph_stun_put_error (&w, codes[ph_read_u8 (r) % G_N_ELEMENTS (codes)], "");
    ph_stun_put (&w, PH_STUN_REALM, ph_slice_string ("lab"));
    ph_stun_put (&w, PH_STUN_NONCE, ph_slice_string ("nonce"));
  } else {
    ph_stun_put_xor_addr (&w, 0x0016, &addr);
    ph_stun_put_xor_addr (&w, PH_STUN_XOR_MAPPED_ADDRESS, &addr);
    ph_stun_put_u32 (&w, 0x000D, flags & 2 ? ph_read_u8 (r) : 600);
  }
  ph_stun_put_integrity (&w, ph_slice (f->key, sizeof f->key));
  receive (f, f->asked[i].socket, &f->asked[i].server, ph_slice (out, ph_writer_len (&w)));
}

/* A batch for a peer, with room for the header or without. */
static void
send_batch (Fuzz *f, PhReader *r)
{
  uint8_t data[2048] = {0};
  const uint8_t flags = ph_read_u8 (r);
  PhTransmit tx = {
      .data = data,
      .cap = sizeof data,
      .headroom = flags & 1 ? PH_TURN_HEADROOM : 0,
      .socket = f->relayed,
      .remote = read_addr (r),
      .segment = flags & 2 ? (uint16_t)(PH_TURN_HEADROOM + 1 + ph_read_u8 (r)) : 0,
  };

  tx.len = (size_t)ph_read_u8 (r) * 4 + 1;
  if (ph_relays_wrap (f->relays, f->now, &tx))
    take (f, &tx);
}

static void
step (Fuzz *f, PhReader *r)
{
  const uint8_t what = ph_read_u8 (r) % 14;
  const uint8_t arg = ph_read_u8 (r);
  const uint32_t stream = f->streams[arg % G_N_ELEMENTS (f->streams)];
  const PhAddr none = {0};
  const PhAddr local = ph_addr_ipv4 (10, 0, 0, (uint8_t)(1 + arg % 4), 5000);
  const char *why;
  PhTime next;

  switch (what) {
  case 0:
    ph_relays_set_wanted (f->relays, f->now, arg % 4 != 0);
    break;
  case 1:
    ph_relays_add_socket (f->relays, f->now, 1 + arg % 4, &local);
    break;
  case 2:
    ph_relays_remove_socket (f->relays, f->now, 1 + arg % 4);
    break;
  case 3:
    ph_relays_set_servers (f->relays, f->now, f->servers, arg % (SERVERS + 1));
    break;
  case 4:
    ph_relays_stream_opened (f->relays, f->now, stream);
    break;
  case 5:
    ph_relays_stream_closed (f->relays, f->now, stream);
    break;
  case 6:
    receive (f, stream, &none, ph_read_counted (r, 300));
    break;
  case 7:
    receive (f, 1 + arg % 4, &f->servers[0].addr, ph_read_counted (r, 300));
    break;
  case 8:
    send_batch (f, r);
    break;
  case 9:
    ph_relays_refresh (f->relays, f->now);
    break;
  case 10:
    f->now = ph_time_add (f->now, arg * PH_SEC);
    ph_relays_handle_timeout (f->relays, f->now);
    break;
  case 11:
    next = ph_relays_next_timeout (f->relays, &why);
    if (next == PH_NEVER)
      break;
    f->now = MAX (f->now, next);
    ph_relays_handle_timeout (f->relays, f->now);
    break;
  default:
    answer (f, r);
    break;
  }
  settle (f);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  PhReader r = ph_reader (ph_slice (data, size));
  const PhAddr local = ph_addr_ipv4 (10, 0, 0, 1, 5000);
  PhRandomSeeded seed;
  PhRandom random;
  Fuzz f = {.now = PH_SEC};

  ph_random_seeded_init (&seed, 1);
  random = ph_random_seeded (&seed);
  ph_stun_long_term_key (ph_slice_string ("ann"), ph_slice_string ("lab"), ph_slice_string ("pw"),
                         f.key);
  for (unsigned i = 0; i < SERVERS; i++) {
    f.servers[i] = (PhRelayServer){
        .transport = (PhRelayTransport)i,
        .addr = ph_addr_ipv4 (192, 0, 2, (uint8_t)(1 + i), 3478),
        .username = "ann",
        .password = "pw",
        .expires_at = i % 2 == 0 ? PH_NEVER : 600 * PH_SEC,
    };
  }
  f.relays = ph_relays_new (&random, NULL);
  ph_relays_add_socket (f.relays, f.now, 1, &local);
  ph_relays_set_servers (f.relays, f.now, f.servers, SERVERS);
  ph_relays_set_wanted (f.relays, f.now, true);
  settle (&f);
  for (unsigned i = 0; i < STEPS_MAX && ph_reader_left (&r) > 0; i++)
    step (&f, &r);
  ph_relays_free (f.relays);
  return 0;
}
