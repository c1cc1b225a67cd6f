/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The input is a script: what a peer who knows the password, and strangers, may send an agent, and
 * time. Nothing may break the agent's own invariants, its limits, or its promise to fall silent. */

#include "net/ice/ph-ice-agent.h"

#include <glib.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

#define STEPS_MAX 400

typedef struct {
  PhIceAgent *agent;
  PhTime now;
  PhStunId asked[8]; /* ids of the agent's last checks, for answers that it will believe */
  uint32_t asked_socket[8];
  PhAddr asked_remote[8];
  unsigned n_asked;
  unsigned n_pairs;
} Fuzz;

static const char peer_pwd[] = "0123456789012345678901";

static bool
check_pair (void *user, const PhIcePair *pair)
{
  Fuzz *f = user;

  f->n_pairs++;
  g_assert (!pair->selected || pair->state == PH_ICE_PAIR_SUCCEEDED);
  g_assert (pair->state != PH_ICE_PAIR_FAILED || pair->why != PH_ICE_WHY_NONE);
  return true;
}

static void
settle (Fuzz *f)
{
  uint8_t data[PH_STUN_MESSAGE_MAX];
  PhTransmit tx = {.data = data, .cap = sizeof data};
  PhStunMessage message;
  PhIceEvent event;
  const char *why;

  while (ph_ice_agent_poll_transmit (f->agent, f->now, &tx)) {
    const bool ok = ph_stun_parse (ph_slice (data, tx.len), &message);

    g_assert (ok);
    g_assert (ph_candidate_usable (&tx.remote, false));
    if (message.klass == PH_STUN_REQUEST) {
      const unsigned i = f->n_asked++ % G_N_ELEMENTS (f->asked);

      f->asked[i] = message.id;
      f->asked_socket[i] = tx.socket;
      f->asked_remote[i] = tx.remote;
    }
  }
  while (ph_ice_agent_poll_event (f->agent, &event))
    ;
  ph_ice_agent_next_timeout (f->agent, &why);
  f->n_pairs = 0;
  ph_ice_agent_for_each_pair (f->agent, check_pair, f);
  g_assert (f->n_pairs <= PH_ICE_PAIRS_MAX);
}

static PhAddr
read_addr (PhReader *r)
{
  const uint8_t host = ph_read_u8 (r);
  const uint16_t port = ph_read_u8 (r);

  return ph_addr_ipv4 (198, 51, host & 1 ? 100 : 101, host, port);
}

static void
receive (Fuzz *f, uint32_t socket, PhAddr remote, PhSlice bytes)
{
  ph_ice_agent_handle_packet (f->agent, f->now, &(PhDatagram){socket, remote, 0, bytes});
}

/* An authentic request with whatever attributes the input names. */
static void
send_request (Fuzz *f, PhReader *r)
{
  uint8_t out[PH_STUN_MESSAGE_MAX];
  PhWriter w = ph_writer (out, sizeof out);
  g_autofree char *username = g_strdup_printf ("%s:peer", ph_ice_agent_ufrag (f->agent));
  const uint8_t flags = ph_read_u8 (r);
  const PhAddr from = read_addr (r);

  ph_stun_begin (&w, PH_STUN_REQUEST, PH_STUN_BINDING, &(PhStunId){{flags}});
  ph_stun_put (&w, PH_STUN_USERNAME, ph_slice_string (username));
  if (flags & 1)
    ph_stun_put_u32 (&w, PH_STUN_PRIORITY, ph_read_u32 (r));
  if (flags & 2)
    ph_stun_put_flag (&w, PH_STUN_USE_CANDIDATE);
  if (flags & 4)
    ph_stun_put_u64 (&w, PH_STUN_ICE_CONTROLLED, ph_read_u64 (r));
  if (flags & 8)
    ph_stun_put_u64 (&w, PH_STUN_ICE_CONTROLLING, ph_read_u64 (r));
  if (flags & 16)
    ph_stun_put (&w, ph_read_u16 (r), ph_read_counted (r, 32));
  ph_stun_put_integrity (&w, ph_slice_string (ph_ice_agent_pwd (f->agent)));
  ph_stun_put_fingerprint (&w);
  receive (f, flags & 32 ? 2 : 1, from, ph_slice (out, ph_writer_len (&w)));
}

/* An authentic answer to one of the agent's checks. */
static void
send_answer (Fuzz *f, PhReader *r)
{
  uint8_t out[PH_STUN_MESSAGE_MAX];
  PhWriter w = ph_writer (out, sizeof out);
  const uint8_t flags = ph_read_u8 (r);
  const unsigned i = flags % G_N_ELEMENTS (f->asked);
  const PhAddr mapped = read_addr (r);

  ph_stun_begin (&w, flags & 8 ? PH_STUN_ERROR : PH_STUN_SUCCESS, PH_STUN_BINDING, &f->asked[i]);
  if (flags & 8)
    ph_stun_put_error (&w, flags & 16 ? 487 : 300 + ph_read_u8 (r), "");
  if (flags & 32)
    ph_stun_put_xor_addr (&w, PH_STUN_XOR_MAPPED_ADDRESS, &mapped);
  ph_stun_put_integrity (&w, ph_slice_string (peer_pwd));
  receive (f, f->asked_socket[i], flags & 64 ? mapped : f->asked_remote[i],
           ph_slice (out, ph_writer_len (&w)));
}

static void
name_candidate (Fuzz *f, PhReader *r)
{
  PhCandidate candidate;

  ph_candidate_read (r, &candidate);
  if (ph_reader_ok (r))
    ph_ice_agent_add_remote_candidate (f->agent, f->now, &candidate);
}

static void
add_local (Fuzz *f, PhReader *r)
{
  const PhAddr addr = read_addr (r);
  const uint32_t socket = 1 + ph_read_u8 (r) % 4;
  const PhCandidate candidate = ph_candidate_host (addr, socket, 0);

  ph_ice_agent_add_local_candidate (f->agent, f->now, &candidate);
}

static void
let_time_pass (Fuzz *f, PhReader *r)
{
  f->now = ph_time_add (f->now, ph_read_u8 (r) * 50 * PH_MSEC);
  ph_ice_agent_handle_timeout (f->agent, f->now);
}

/* Time goes from deadline to deadline. */
static void
follow_timer (Fuzz *f, unsigned steps)
{
  const char *why;

  for (unsigned i = 0; i < steps; i++) {
    const PhTime next = ph_ice_agent_next_timeout (f->agent, &why);

    if (next == PH_NEVER)
      return;
    f->now = MAX (f->now, next);
    ph_ice_agent_handle_timeout (f->agent, f->now);
    settle (f);
  }
}

static void
step (Fuzz *f, PhReader *r)
{
  switch (ph_read_u8 (r) % 11) {
  case 0:
    receive (f, 1, read_addr (r), ph_read_counted (r, 600));
    break;
  case 1:
    send_request (f, r);
    break;
  case 2:
    send_answer (f, r);
    break;
  case 3:
    name_candidate (f, r);
    break;
  case 4:
    let_time_pass (f, r);
    break;
  case 5:
    follow_timer (f, ph_read_u8 (r) % 16);
    break;
  case 6:
    add_local (f, r);
    break;
  case 7:
    ph_ice_agent_remove_socket (f->agent, f->now, 1 + ph_read_u8 (r) % 4);
    break;
  case 8:
    ph_ice_agent_set_remote_credentials (f->agent, f->now, "peer", peer_pwd);
    break;
  case 9:
    ph_ice_agent_set_in_use (f->agent, f->now, ph_read_u8 (r), true);
    break;
  default:
    ph_ice_agent_recheck (f->agent, f->now);
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
  Fuzz f = {.now = PH_SEC};

  ph_random_seeded_init (&seed, flags);
  f.agent = ph_ice_agent_new (
      &(PhIceConfig){.controlling = flags & 1, .random = ph_random_seeded (&seed)}, f.now);
  if (flags & 2) {
    const PhCandidate host = ph_candidate_host (ph_addr_ipv4 (192, 0, 2, 1, 1000), 1, 0);

    ph_ice_agent_add_local_candidate (f.agent, f.now, &host);
    ph_ice_agent_set_remote_credentials (f.agent, f.now, "peer", peer_pwd);
  }
  for (unsigned i = 0; i < STEPS_MAX && ph_reader_left (&r) > 0; i++)
    step (&f, &r);

  /* Left alone, it gives up within a bounded number of deadlines. */
  if (flags & 4) {
    const char *why;

    follow_timer (&f, 10000);
    g_assert (ph_ice_agent_next_timeout (f.agent, &why) == PH_NEVER);
  }
  ph_ice_agent_free (f.agent);
  return 0;
}
