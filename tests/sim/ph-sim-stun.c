/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "tests/sim/ph-sim-stun.h"

#include "net/stun/ph-stun.h"

static void
on_receive (void *user, PhTime now, const PhDatagram *in)
{
  PhSimHost *host = user;
  uint8_t answer[PH_STUN_MESSAGE_MAX];
  PhWriter w = ph_writer (answer, sizeof answer);
  PhStunMessage message;

  if (!ph_stun_parse (in->bytes, &message) || message.klass != PH_STUN_REQUEST
      || message.method != PH_STUN_BINDING)
    return;
  ph_stun_begin (&w, PH_STUN_SUCCESS, PH_STUN_BINDING, &message.id);
  ph_stun_put_xor_addr (&w, PH_STUN_XOR_MAPPED_ADDRESS, &in->remote);
  ph_stun_put_fingerprint (&w);
  g_assert_true (ph_writer_ok (&w));
  ph_sim_host_send_bytes (host, in->socket, &in->remote, ph_slice (answer, ph_writer_len (&w)));
}

PhSimHost *
ph_sim_stun_server_new (PhSim *sim, const char *name, PhSimSegment *segment, const PhAddr *addrs,
                        size_t n_addrs)
{
  PhSimHost *host = ph_sim_host_new (sim, name);

  for (size_t i = 0; i < n_addrs; i++) {
    ph_sim_host_attach (host, segment, &addrs[i]);
    g_assert_cmpuint (ph_sim_host_open (host, &addrs[i], NULL), !=, 0);
  }
  ph_sim_host_set_receive (host, on_receive, host);
  return host;
}
