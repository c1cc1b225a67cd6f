/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The input is a script: what a server that knows the password, strangers and the owner may do to a
 * client, and time. Nothing may break its invariants or its limits. */

#include "net/turn/ph-turn-client.h"

#include <glib.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

#define STEPS_MAX 400

typedef struct {
  PhTurnClient *client;
  PhTime now;
  PhAddr server;
  uint8_t key[16];
  PhStunId asked[8];
  uint16_t method[8];
  unsigned n_asked;
} Fuzz;

static void
settle (Fuzz *f)
{
  uint8_t data[PH_STUN_MESSAGE_MAX];
  PhTransmit tx = {.data = data, .cap = sizeof data};
  PhStunMessage message;
  PhTurnEvent event;
  unsigned n = 0;

  while (ph_turn_client_poll_transmit (f->client, f->now, &tx)) {
    const bool ok = ph_stun_parse (ph_slice (data, tx.len), &message);
    const unsigned i = f->n_asked++ % G_N_ELEMENTS (f->asked);

    g_assert (ok);
    g_assert (ph_addr_equal (&tx.remote, &f->server));
    g_assert (n++ <= 2 + PH_TURN_PERMISSIONS_MAX + PH_TURN_CHANNELS_MAX);
    f->asked[i] = message.id;
    f->method[i] = message.method;
  }
  while (ph_turn_client_poll_event (f->client, &event))
    g_assert (n++ <= 1000);
}

static PhAddr
read_addr (PhReader *r)
{
  const uint8_t host = ph_read_u8 (r);

  return ph_addr_ipv4 (198, 51, 100, host & 15, (uint16_t)(host >> 4));
}

static void
receive (Fuzz *f, PhSlice bytes)
{
  const PhDatagram in = {.socket = 1, .remote = f->server, .bytes = bytes};
  PhDatagram data;

  if (ph_turn_client_handle_packet (f->client, f->now, &in, &data) != PH_TURN_IN_DATA)
    return;
  g_assert (ph_turn_client_state (f->client) == PH_TURN_ALLOCATED);
  g_assert (data.socket == 2 && ph_addr_is_set (&data.remote));
  g_assert (data.bytes.data >= bytes.data
            && data.bytes.data + data.bytes.len <= bytes.data + bytes.len);
}

/* An authentic answer with whatever the input names. */
static void
answer (Fuzz *f, PhReader *r)
{
  static const unsigned codes[] = {401, 438, 437, 403, 486, 441, 500, 420};
  uint8_t out[PH_STUN_MESSAGE_MAX];
  PhWriter w = ph_writer (out, sizeof out);
  const uint8_t flags = ph_read_u8 (r);
  const unsigned i = ph_read_u8 (r) % G_N_ELEMENTS (f->asked);
  const PhAddr addr = read_addr (r);

  ph_stun_begin (&w, flags & 1 ? PH_STUN_ERROR : PH_STUN_SUCCESS, f->method[i], &f->asked[i]);
  if (flags & 1) {
    ph_stun_put_error (&w, codes[ph_read_u8 (r) % G_N_ELEMENTS (codes)], "");
    ph_stun_put (&w, PH_STUN_REALM, ph_slice_string ("lab"));
    ph_stun_put (&w, PH_STUN_NONCE, ph_read_counted (r, 300));
  } else {
    ph_stun_put_xor_addr (&w, 0x0016, &addr);
    ph_stun_put_xor_addr (&w, PH_STUN_XOR_MAPPED_ADDRESS, &addr);
    if (flags & 2)
      ph_stun_put_u32 (&w, 0x000D, flags & 4 ? ph_read_u32 (r) : 600);
  }
  if (flags & 8)
    ph_stun_put (&w, ph_read_u16 (r), ph_read_counted (r, 64));
  if (!(flags & 16))
    ph_stun_put_integrity (&w, ph_slice (f->key, sizeof f->key));
  receive (f, ph_slice (out, ph_writer_len (&w)));
}

static void
peer_step (Fuzz *f, PhReader *r, uint8_t what)
{
  const PhAddr peer = read_addr (r);
  uint8_t data[300] = {0};
  PhTransmit tx = {.data = data, .cap = sizeof data, .remote = peer};

  switch (what) {
  case 0:
    ph_turn_client_permit (f->client, f->now, &peer);
    break;
  case 1:
    ph_turn_client_unpermit (f->client, f->now, &peer);
    break;
  case 2:
    ph_turn_client_bind (f->client, f->now, &peer);
    break;
  case 3:
    ph_turn_client_unbind (f->client, f->now, &peer);
    break;
  case 4:
    ph_turn_client_send (f->client, f->now, &peer, ph_read_counted (r, 280), &tx);
    break;
  default:
    tx.segment = ph_read_u8 (r);
    tx.len = ph_read_u8 (r);
    ph_turn_client_wrap (f->client, f->now, &tx);
    break;
  }
  g_assert (tx.len <= tx.cap);
}

static void
step (Fuzz *f, PhReader *r)
{
  const uint8_t what = ph_read_u8 (r) % 14;
  const char *why;
  PhTime next;

  switch (what) {
  case 6:
    receive (f, ph_read_counted (r, 600));
    break;
  case 7:
  case 8:
    answer (f, r);
    break;
  case 9:
    next = ph_turn_client_next_timeout (f->client, &why);
    if (next == PH_NEVER)
      break;
    f->now = MAX (f->now, next);
    ph_turn_client_handle_timeout (f->client, f->now);
    break;
  case 10:
    f->now = ph_time_add (f->now, ph_read_u8 (r) * PH_SEC);
    ph_turn_client_handle_timeout (f->client, f->now);
    break;
  case 11:
    ph_turn_client_refresh (f->client, f->now);
    break;
  case 12:
    if (ph_read_u8 (r) == 0)
      ph_turn_client_close (f->client, f->now);
    break;
  case 13:
    ph_turn_client_set_credentials (f->client, f->now, ph_read_u8 (r) & 1 ? "ann" : "bob", "pw");
    break;
  default:
    peer_step (f, r, what);
    break;
  }
  settle (f);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  PhReader r = ph_reader (ph_slice (data, size));
  const uint8_t flags = ph_read_u8 (&r);
  PhRandomSeeded seed;
  Fuzz f = {.now = PH_SEC, .server = ph_addr_ipv4 (192, 0, 2, 1, 3478)};

  ph_random_seeded_init (&seed, flags);
  ph_stun_long_term_key (ph_slice_string ("ann"), ph_slice_string ("lab"), ph_slice_string ("pw"),
                         f.key);
  f.client = ph_turn_client_new (
      &(PhTurnClientConfig){
          .socket = 1,
          .relayed_socket = 2,
          .server = f.server,
          .stream = flags & 1,
          .username = "ann",
          .password = "pw",
          .random = ph_random_seeded (&seed),
      },
      f.now);
  settle (&f);
  for (unsigned i = 0; i < STEPS_MAX && ph_reader_left (&r) > 0; i++)
    step (&f, &r);
  ph_turn_client_free (f.client);
  return 0;
}
