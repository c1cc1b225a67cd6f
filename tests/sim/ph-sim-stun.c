/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "tests/sim/ph-sim-stun.h"

#include "net/stun/ph-stun.h"
#include "tests/sim/ph-sim-tcp.h"

static bool
write_answer (const PhDatagram *in, PhWriter *w)
{
  PhStunMessage message;

  if (!ph_stun_parse (in->bytes, &message) || message.klass != PH_STUN_REQUEST
      || message.method != PH_STUN_BINDING)
    return false;
  ph_stun_begin (w, PH_STUN_SUCCESS, PH_STUN_BINDING, &message.id);
  ph_stun_put_xor_addr (w, PH_STUN_XOR_MAPPED_ADDRESS, &in->remote);
  ph_stun_put_fingerprint (w);
  g_assert_true (ph_writer_ok (w));
  return true;
}

static void
on_receive (void *user, PhTime now, const PhDatagram *in)
{
  PhSimHost *host = user;
  uint8_t answer[PH_STUN_MESSAGE_MAX];
  PhWriter w = ph_writer (answer, sizeof answer);

  if (!write_answer (in, &w))
    return;
  ph_sim_host_send_bytes (host, in->socket, &in->remote, ph_slice (answer, ph_writer_len (&w)));
}

static void
on_stream_event (void *user, PhTime now, const PhConnectionEvent *event)
{
}

/* A request is one segment, and comes whole. */
static void
on_stream_receive (void *user, PhTime now, const PhDatagram *in)
{
  uint8_t answer[PH_STUN_MESSAGE_MAX];
  PhWriter w = ph_writer (answer, sizeof answer);
  bool blocked;

  if (write_answer (in, &w)) {
    const PhTransmit tx = {.socket = in->socket, .data = answer, .len = ph_writer_len (&w)};

    ph_sim_host_stream_send (user, &tx, &blocked);
  }
}

static void
on_stream_writable (void *user, PhTime now, uint32_t socket)
{
}

PhSimHost *
ph_sim_stun_server_new (PhSim *sim, const char *name, PhSimSegment *segment, const PhAddr *addrs,
                        size_t n_addrs)
{
  static const PhSimTcpCallbacks callbacks = {on_stream_event, on_stream_receive,
                                              on_stream_writable};
  PhSimHost *host = ph_sim_host_new (sim, name);

  for (size_t i = 0; i < n_addrs; i++) {
    ph_sim_host_attach (host, segment, &addrs[i]);
    g_assert_cmpuint (ph_sim_host_open (host, &addrs[i], NULL), !=, 0);
    g_assert_cmpuint (ph_sim_host_listen (host, &addrs[i], NULL), !=, 0);
  }
  ph_sim_host_set_receive (host, on_receive, host);
  ph_sim_host_set_tcp (host, &callbacks, host);
  return host;
}

/* --- RFC 5780 ----------------------------------------------------------------------------------- */

typedef struct {
  PhSimHost *host;
  PhSimStunFlags flags;
  PhAddr addrs[4]; /* bit 0: the other port, bit 1: the other address */
  uint32_t sockets[4];
} Server;

static void
on_receive_5780 (void *user, PhTime now, const PhDatagram *in)
{
  Server *server = user;
  uint8_t answer[PH_STUN_MESSAGE_MAX];
  PhWriter w = ph_writer (answer, sizeof answer);
  PhStunMessage message;
  unsigned at = 0, from;
  uint32_t change = 0, port = 0;
  PhAddr to = in->remote;

  while (server->sockets[at] != in->socket)
    at++;
  if (!ph_stun_parse (in->bytes, &message) || message.klass != PH_STUN_REQUEST
      || message.method != PH_STUN_BINDING)
    return;
  if (ph_stun_get_u32 (&message, PH_STUN_CHANGE_REQUEST, &change)
      && (server->flags & PH_SIM_STUN_IGNORES_CHANGE) != 0)
    change = 0;
  if (ph_stun_get_u32 (&message, PH_STUN_RESPONSE_PORT, &port)
      && (server->flags & PH_SIM_STUN_IGNORES_CHANGE) == 0)
    to.port = (uint16_t)(port >> 16);
  from = at ^ ((change & PH_STUN_CHANGE_IP) != 0 ? 2u : 0)
         ^ ((change & PH_STUN_CHANGE_PORT) != 0 ? 1u : 0);
  if ((server->flags & PH_SIM_STUN_OTHER_IS_DEAD) != 0 && (at > 1 || from > 1))
    return;

  if (change != 0 && (server->flags & PH_SIM_STUN_REFUSES_CHANGE) != 0) {
    const uint16_t unknown = PH_STUN_CHANGE_REQUEST;

    ph_stun_begin (&w, PH_STUN_ERROR, PH_STUN_BINDING, &message.id);
    ph_stun_put_error (&w, 420, "Unknown Attribute");
    ph_stun_put_unknown (&w, &unknown, 1);
    from = at;
  } else {
    ph_stun_begin (&w, PH_STUN_SUCCESS, PH_STUN_BINDING, &message.id);
    ph_stun_put_xor_addr (&w, PH_STUN_XOR_MAPPED_ADDRESS, &in->remote);
    ph_stun_put_addr (&w, PH_STUN_RESPONSE_ORIGIN, &server->addrs[from]);
    if ((server->flags & PH_SIM_STUN_OTHER_IS_OWN) != 0)
      ph_stun_put_addr (&w, PH_STUN_OTHER_ADDRESS, &server->addrs[at]);
    else if ((server->flags & PH_SIM_STUN_NO_OTHER) == 0)
      ph_stun_put_addr (&w, PH_STUN_OTHER_ADDRESS, &server->addrs[at ^ 3u]);
  }
  ph_stun_put_fingerprint (&w);
  g_assert_true (ph_writer_ok (&w));
  ph_sim_host_send_bytes (server->host, server->sockets[from], &to,
                          ph_slice (answer, ph_writer_len (&w)));
}

PhSimHost *
ph_sim_stun_server_new_5780 (PhSim *sim, const char *name, PhSimSegment *segment,
                             const PhAddr *primary, const PhAddr *alternate, PhSimStunFlags flags)
{
  Server *server = g_new0 (Server, 1);

  g_assert_false (ph_addr_equal_ip (primary, alternate));
  g_assert_cmpuint (primary->port, !=, alternate->port);
  ph_sim_own (sim, server, g_free);
  server->host = ph_sim_host_new (sim, name);
  server->flags = flags;
  ph_sim_host_attach (server->host, segment, primary);
  ph_sim_host_attach (server->host, segment, alternate);
  for (unsigned i = 0; i < 4; i++) {
    server->addrs[i] = i < 2 ? *primary : *alternate;
    server->addrs[i].port = i % 2 == 0 ? primary->port : alternate->port;
    server->sockets[i] = ph_sim_host_open (server->host, &server->addrs[i], NULL);
    g_assert_cmpuint (server->sockets[i], !=, 0);
  }
  ph_sim_host_set_receive (server->host, on_receive_5780, server);
  return server->host;
}
