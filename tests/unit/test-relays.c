/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Races for relayed addresses against a server in memory that is one host with three transports, on a virtual
 * clock. What relays do within whole devices is in tests/sim/test-relay-sim.c. */

#include "net/connect/ph-relays.h"
#include "net/turn/ph-turn-private.h"
#include "tests/support/ph-test.h"

#define SOCKET_4 1
#define SOCKET_6 2
#define USER "ann"
#define PASSWORD "pw"
#define REALM "lab"
#define SERVERS_MAX 6

typedef struct {
  PhRandomSeeded seed;
  PhRelays *relays;
  PhTime now;
  PhRelayServer servers[SERVERS_MAX];
  size_t n_servers;
  bool has_ipv6; /* relayed addresses of it */
  bool udp_is_slow; /* nothing is answered yet */
  unsigned asked[2]; /* signed requests for a relayed address of IPv4, of IPv6 */
  unsigned streams;
  unsigned unused;
} Rig;

static void
add_server (Rig *t, const char *address)
{
  for (PhRelayTransport transport = 0; transport < PH_N_RELAY_TRANSPORTS; transport++) {
    PhRelayServer *server = &t->servers[t->n_servers++];

    *server = (PhRelayServer){
        .transport = transport,
        .addr = ph_test_addr (address),
        .host = "relay.lab",
        .username = USER,
        .password = PASSWORD,
        .expires_at = PH_NEVER,
    };
    if (transport == PH_RELAY_TLS)
      server->addr.port = 443;
  }
}

static void
rig_init (Rig *t)
{
  const PhAddr local4 = ph_test_addr ("10.0.0.1:5000"),
               local6 = ph_test_addr ("[2001:db8::1]:5000");
  PhRandom random;

  *t = (Rig){.now = 100 * PH_SEC};
  random = ph_test_random (&t->seed, "relays");
  t->relays = ph_relays_new (&random, NULL);
  ph_relays_add_socket (t->relays, t->now, SOCKET_4, &local4);
  ph_relays_add_socket (t->relays, t->now, SOCKET_6, &local6);
}

static void
rig_begin (Rig *t)
{
  ph_relays_set_servers (t->relays, t->now, t->servers, t->n_servers);
  ph_relays_set_wanted (t->relays, t->now, true);
}

static void
deliver (void *user, PhTime now, const PhDatagram *in)
{
  g_assert_not_reached ();
}

static void
answer (Rig *t, const PhTransmit *tx, const PhStunMessage *request)
{
  const PhAddr relayed4 = ph_test_addr ("192.0.2.1:50000"),
               relayed6 = ph_test_addr ("[2001:db8:1::1]:50000");
  const PhAddr mapped = ph_test_addr ("203.0.113.5:40000");
  const bool is_signed = ph_stun_has (request, PH_STUN_NONCE);
  uint32_t family = 0;
  uint8_t bytes[PH_STUN_MESSAGE_MAX], key[16];
  PhWriter w = ph_writer (bytes, sizeof bytes);

  ph_stun_get_u32 (request, PH_TURN_REQUESTED_ADDRESS_FAMILY, &family);
  if (is_signed && request->method == PH_TURN_METHOD_ALLOCATE)
    t->asked[family != 0]++;
  if (!is_signed || (family != 0 && !t->has_ipv6)) {
    ph_stun_begin (&w, PH_STUN_ERROR, request->method, &request->id);
    ph_stun_put_error (&w, is_signed ? 440 : 401, "");
    ph_stun_put (&w, PH_STUN_REALM, ph_slice_string (REALM));
    ph_stun_put (&w, PH_STUN_NONCE, ph_slice_string ("nonce"));
  } else {
    ph_stun_begin (&w, PH_STUN_SUCCESS, request->method, &request->id);
    ph_stun_put_xor_addr (&w, PH_TURN_XOR_RELAYED_ADDRESS, family != 0 ? &relayed6 : &relayed4);
    ph_stun_put_xor_addr (&w, PH_STUN_XOR_MAPPED_ADDRESS, &mapped);
    ph_stun_put_u32 (&w, PH_TURN_LIFETIME, 600);
  }
  ph_stun_long_term_key (ph_slice_string (USER), ph_slice_string (REALM),
                         ph_slice_string (PASSWORD), key);
  ph_stun_put_integrity (&w, ph_slice (key, sizeof key));

  const PhDatagram in = {
      .socket = tx->socket,
      .remote = tx->remote,
      .bytes = ph_slice (bytes, ph_writer_len (&w)),
  };

  g_assert_true (ph_relays_handle_packet (t->relays, t->now, &in, deliver, NULL));
}

static void
settle (Rig *t)
{
  uint8_t data[PH_STUN_MESSAGE_MAX];
  PhTransmit tx = {.data = data, .cap = sizeof data};
  PhRelayStream stream;
  PhStunMessage message;

  for (;;) {
    while (ph_relays_poll_stream (t->relays, &stream)) {
      t->streams++;
      ph_relays_stream_opened (t->relays, t->now, stream.socket);
    }
    if (!ph_relays_poll_transmit (t->relays, t->now, &tx))
      break;
    if (ph_stun_parse (ph_slice (tx.data, tx.len), &message) && message.klass == PH_STUN_REQUEST
        && !t->udp_is_slow)
      answer (t, &tx, &message);
    tx = (PhTransmit){.data = data, .cap = sizeof data};
  }
  while (ph_relays_poll_unused (t->relays) != 0)
    t->unused++;
}

static void
run (Rig *t, PhTime interval)
{
  const PhTime end = ph_time_add (t->now, interval);
  const char *why;

  settle (t);
  for (;;) {
    const PhTime next = MAX (t->now, ph_relays_next_timeout (t->relays, &why));

    if (next > end)
      break;
    t->now = next;
    ph_relays_handle_timeout (t->relays, t->now);
    settle (t);
  }
  t->now = end;
}

static void
check_families (const Rig *t, bool ipv4, bool ipv6)
{
  PhCandidate candidates[4];
  const size_t n = ph_relays_candidates (t->relays, candidates, G_N_ELEMENTS (candidates));
  bool has4 = false, has6 = false;

  for (size_t i = 0; i < n; i++) {
    has4 |= candidates[i].addr.family == PH_FAMILY_IPV4;
    has6 |= candidates[i].addr.family == PH_FAMILY_IPV6;
  }
  g_assert_cmpint (has4, ==, ipv4);
  g_assert_cmpint (has6, ==, ipv6);
}

/* The next event; socket 0: there is none. */
static void
check_told (Rig *t, PhRelaysEventType type, uint32_t socket)
{
  PhRelaysEvent event;

  g_assert_cmpint (ph_relays_poll_event (t->relays, &event), ==, socket != 0);
  if (socket == 0)
    return;
  g_assert_cmpint (event.type, ==, type);
  g_assert_cmpuint (type == PH_RELAYS_EVENT_CANDIDATE ? event.candidate.socket : event.socket, ==,
                    socket);
}

static void
test_both_families (void)
{
  Rig t;

  rig_init (&t);
  t.has_ipv6 = true;
  add_server (&t, "192.0.2.1:3478");
  add_server (&t, "[2001:db8:1::1]:3478");
  rig_begin (&t);
  run (&t, 10 * PH_SEC);
  check_families (&t, true, true);
  g_assert_cmpuint (t.asked[0], ==, 1);
  g_assert_cmpuint (t.asked[1], ==, 1);
  g_assert_cmpuint (t.streams, ==, 0);
  ph_relays_free (t.relays);
}

/* A server that has no relayed addresses of IPv6 is asked for one once, not by every transport, and not again and
 * again: until there is another list of servers. */
static void
test_no_such_family (void)
{
  Rig t;

  rig_init (&t);
  add_server (&t, "192.0.2.1:3478");
  add_server (&t, "[2001:db8:1::1]:3478");
  rig_begin (&t);
  settle (&t);
  g_assert_true (ph_relays_done (t.relays));
  run (&t, 1000 * PH_SEC);
  check_families (&t, true, false);
  g_assert_cmpuint (t.asked[0], ==, 1);
  g_assert_cmpuint (t.asked[1], ==, 1);
  g_assert_cmpuint (t.streams, ==, 0);
  ph_relays_refresh (t.relays, t.now);
  run (&t, 10 * PH_SEC);
  g_assert_cmpuint (t.asked[1], ==, 1);

  t.has_ipv6 = true;
  ph_relays_set_servers (t.relays, t.now, t.servers, t.n_servers);
  run (&t, 10 * PH_SEC);
  check_families (&t, true, true);
  g_assert_cmpuint (t.asked[1], ==, 2);
  ph_relays_free (t.relays);
}

/* Another server may have what this one lacks. */
static void
test_another_server (void)
{
  Rig t;

  rig_init (&t);
  add_server (&t, "[2001:db8:1::1]:3478");
  add_server (&t, "[2001:db8:1::2]:3478");
  rig_begin (&t);
  run (&t, 10 * PH_SEC);
  g_assert_cmpuint (t.asked[1], ==, 2);
  g_assert_cmpuint (t.streams, ==, 0);
  ph_relays_free (t.relays);
}

/* The answer comes late, when TCP has begun: it is not waited for, and its connection is given back. */
static void
test_no_such_family_late (void)
{
  Rig t;

  rig_init (&t);
  add_server (&t, "[2001:db8:1::1]:3478");
  rig_begin (&t);
  t.udp_is_slow = true;
  run (&t, 600 * PH_MSEC);
  g_assert_cmpuint (t.streams, ==, 1);
  t.udp_is_slow = false;
  run (&t, 200 * PH_MSEC); /* the next time that UDP asks */
  g_assert_cmpuint (t.asked[1], ==, 1);
  g_assert_cmpuint (t.unused, ==, 1);
  g_assert_true (ph_relays_done (t.relays));
  run (&t, 100 * PH_SEC);
  g_assert_cmpuint (t.streams, ==, 1);
  ph_relays_free (t.relays);
}

/* A name ends, and there is a later one: another allocation is made a minute ahead, from another socket, and the first
 * one stays until links have moved. Names that end no later are no use. */
static void
test_name_ends (void)
{
  const PhTime end = 100 * PH_SEC + 300 * PH_SEC;
  PhCandidate before, after, other;
  PhAddr wish;
  Rig t;

  rig_init (&t);
  add_server (&t, "192.0.2.1:3478");
  for (size_t i = 0; i < t.n_servers; i++)
    t.servers[i].expires_at = end;
  rig_begin (&t);
  run (&t, 10 * PH_SEC);
  g_assert_cmpuint (ph_relays_candidates (t.relays, &before, 1), ==, 1);
  for (size_t i = 0; i < t.n_servers; i++)
    t.servers[i].expires_at = end + PH_SEC;
  ph_relays_set_servers (t.relays, t.now, t.servers, t.n_servers);
  run (&t, 260 * PH_SEC);
  g_assert_false (ph_relays_poll_fresh_wish (t.relays, &wish));
  g_assert_cmpuint (t.now, >, end - PH_RELAYS_AHEAD);

  for (size_t i = 0; i < t.n_servers; i++)
    t.servers[i].expires_at = end + 3600 * PH_SEC;
  ph_relays_set_servers (t.relays, t.now, t.servers, t.n_servers);
  run (&t, PH_SEC);
  g_assert_true (ph_relays_poll_fresh_wish (t.relays, &wish));
  run (&t, 20 * PH_SEC); /* no socket to be had */
  g_assert_true (ph_relays_poll_fresh_wish (t.relays, &wish));
  wish.port = 6000;
  ph_relays_add_fresh_socket (t.relays, t.now, 3, &wish);
  run (&t, PH_SEC);
  g_assert_cmpuint (t.asked[0], ==, 2);
  g_assert_cmpuint (t.streams, ==, 0);
  g_assert_cmpuint (ph_relays_candidates (t.relays, &after, 1), ==, 1);
  g_assert_cmpuint (after.socket, !=, before.socket);
  check_told (&t, PH_RELAYS_EVENT_CANDIDATE, before.socket);
  check_told (&t, PH_RELAYS_EVENT_LEAVING, before.socket);
  check_told (&t, PH_RELAYS_EVENT_CANDIDATE, after.socket);
  check_told (&t, PH_RELAYS_EVENT_GONE, 0);
  run (&t, PH_RELAYS_LEAVING);
  check_told (&t, PH_RELAYS_EVENT_GONE, before.socket);

  /* Once is enough, until that name ends too; its own socket is free again then. */
  run (&t, 3000 * PH_SEC);
  g_assert_cmpuint (t.asked[0], ==, 2);
  g_assert_cmpuint (ph_relays_candidates (t.relays, &other, 1), ==, 1);
  g_assert_cmpuint (other.socket, ==, after.socket);
  for (size_t i = 0; i < t.n_servers; i++)
    t.servers[i].expires_at = PH_NEVER;
  ph_relays_set_servers (t.relays, t.now, t.servers, t.n_servers);
  run (&t, 700 * PH_SEC);
  g_assert_cmpuint (t.asked[0], ==, 3);
  g_assert_false (ph_relays_poll_fresh_wish (t.relays, &wish));
  check_told (&t, PH_RELAYS_EVENT_LEAVING, after.socket);
  ph_relays_free (t.relays);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/relays/both-families", test_both_families);
  g_test_add_func ("/relays/no-such-family", test_no_such_family);
  g_test_add_func ("/relays/another-server", test_another_server);
  g_test_add_func ("/relays/no-such-family-late", test_no_such_family_late);
  g_test_add_func ("/relays/name-ends", test_name_ends);
  return g_test_run ();
}
