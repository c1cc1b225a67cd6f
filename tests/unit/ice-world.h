/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two agents on a tiny network in memory: a virtual clock, one delay, NATs with port-restricted
 * filtering, and hooks that drop packets or make them wait. */

#pragma once

#include "net/ice/ph-ice-agent.h"
#include "tests/support/ph-test.h"

#define A 0
#define B 1
#define SOCKETS_MAX 8

typedef struct {
  uint32_t id;
  unsigned owner;
  PhAddr addr;
  PhAddr nat; /* the public address, if behind a NAT */
  GHashTable *opened; /* remotes that the NAT lets in */
} Socket;

typedef struct {
  PhTime at;
  const Socket *from;
  PhAddr source; /* after the NAT */
  PhAddr to;
  size_t len;
  uint8_t bytes[PH_STUN_MESSAGE_MAX];
} Packet;

typedef struct _World World;

struct _World {
  PhTime now;
  PhTime delay;
  PhRandomSeeded seeds[2], net_seed;
  PhRandom net_random;
  PhIceAgent *agents[2];
  Socket sockets[SOCKETS_MAX];
  unsigned n_sockets;
  GQueue wire;
  bool (*drop) (World *w, const Packet *packet);
  PhTime (*queue) (World *w, const Packet *packet); /* what it waits besides `delay` */
  unsigned loss_percent;
  bool dead;
  uint32_t dead_socket; /* nothing leaves or reaches it */
  unsigned requests[2], answers[2];
  unsigned events[2][PH_ICE_EVENT_CONNECT + 1];
  PhIceEvent last[2][PH_ICE_EVENT_CONNECT + 1];
  PhTime when[2][PH_ICE_EVENT_CONNECT + 1];
};

/* Seen with --verbose. */
static void
show (void *user, PhTime now, const char *module, const char *line)
{
  if (g_test_verbose ())
    g_test_message ("%10.3f %s %s", (double)now / (double)PH_SEC, (const char *)user, line);
}

static PhIceAgent *
make_agent (World *w, unsigned i, bool controlling)
{
  static const PhTrace traces[2] = {{show, (void *)"A"}, {show, (void *)"B"}};
  const PhIceConfig config = {
      .controlling = controlling,
      .random = ph_test_random (&w->seeds[i], i == A ? "a" : "b"),
      .trace = &traces[i],
  };

  return ph_ice_agent_new (&config, w->now);
}

static World *
world_new_with_roles (bool a_controls, bool b_controls)
{
  World *w = g_new0 (World, 1);

  w->now = 1000 * PH_SEC;
  w->delay = 10 * PH_MSEC;
  w->net_random = ph_test_random (&w->net_seed, "net");
  g_queue_init (&w->wire);
  w->agents[A] = make_agent (w, A, a_controls);
  w->agents[B] = make_agent (w, B, b_controls);
  return w;
}

static World *
world_new (void)
{
  return world_new_with_roles (true, false);
}

static void
world_free (World *w)
{
  ph_ice_agent_free (w->agents[A]);
  ph_ice_agent_free (w->agents[B]);
  for (unsigned i = 0; i < w->n_sockets; i++)
    g_hash_table_unref (w->sockets[i].opened);
  g_queue_clear_full (&w->wire, g_free);
  g_free (w);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (World, world_free)

/* `nat` NULL: not behind one. */
static Socket *
add_socket (World *w, unsigned owner, const char *at, const char *nat)
{
  Socket *socket = &w->sockets[w->n_sockets++];

  g_assert (w->n_sockets <= SOCKETS_MAX);
  *socket = (Socket){
      .id = 10 * (owner + 1) + w->n_sockets,
      .owner = owner,
      .addr = ph_test_addr (at),
      .opened = g_hash_table_new_full (ph_addr_hash, ph_addr_hash_equal, g_free, NULL),
  };
  if (nat != NULL)
    socket->nat = ph_test_addr (nat);
  return socket;
}

static PhCandidate
host (const Socket *socket)
{
  return ph_candidate_host (socket->addr, socket->id, 0);
}

static PhCandidate
srflx (const Socket *socket)
{
  const PhCandidate base = host (socket);

  return ph_candidate_srflx (&base, socket->nat, ph_test_addr ("203.0.113.9:3478"));
}

/* Gives the candidate to its owner, and to the other side by way of the compact form. */
static void
tell (World *w, unsigned owner, PhCandidate candidate)
{
  uint8_t bytes[PH_CANDIDATE_WIRE_MAX];
  PhWriter writer = ph_writer (bytes, sizeof bytes);

  g_assert_true (ph_ice_agent_add_local_candidate (w->agents[owner], w->now, &candidate));
  ph_candidate_write (&writer, &candidate);
  g_assert_true (ph_writer_ok (&writer));

  PhReader reader = ph_reader (ph_slice (bytes, ph_writer_len (&writer)));

  ph_candidate_read (&reader, &candidate);
  g_assert_true (ph_reader_done (&reader));
  g_assert_true (ph_ice_agent_add_remote_candidate (w->agents[!owner], w->now, &candidate));
}

static void
introduce_to (World *w, unsigned i)
{
  g_assert_true (ph_ice_agent_set_remote_credentials (
      w->agents[i], w->now, ph_ice_agent_ufrag (w->agents[!i]), ph_ice_agent_pwd (w->agents[!i])));
}

static void
introduce (World *w)
{
  introduce_to (w, A);
  introduce_to (w, B);
}

static Socket *
find_socket (World *w, uint32_t id)
{
  for (unsigned i = 0; i < w->n_sockets; i++) {
    if (w->sockets[i].id == id)
      return &w->sockets[i];
  }
  g_assert_not_reached ();
}

static int
compare_arrival (gconstpointer a, gconstpointer b, gpointer data)
{
  const Packet *left = a, *right = b;

  return (left->at > right->at) - (left->at < right->at);
}

static void
settle (World *w, unsigned i)
{
  uint8_t data[PH_TRANSMIT_MAX];
  PhTransmit tx = {.data = data, .cap = sizeof data};
  PhIceEvent event;

  while (ph_ice_agent_poll_transmit (w->agents[i], w->now, &tx)) {
    Socket *from = find_socket (w, tx.socket);
    Packet *packet = g_new0 (Packet, 1);

    g_assert_cmpuint (from->owner, ==, i);
    packet->at = w->now + w->delay;
    packet->from = from;
    packet->to = tx.remote;
    packet->source = from->addr;
    packet->len = tx.len;
    memcpy (packet->bytes, data, tx.len);
    if (ph_addr_is_set (&from->nat)) {
      packet->source = from->nat;
      g_hash_table_add (from->opened, g_memdup2 (&tx.remote, sizeof tx.remote));
    }
    if (data[0] == 0)
      w->requests[i]++;
    else
      w->answers[i]++;
    if (w->dead || w->dead_socket == from->id || (w->drop != NULL && w->drop (w, packet))
        || ph_random_below (&w->net_random, 100) < w->loss_percent)
      g_free (packet);
    else if (w->queue != NULL) {
      packet->at += w->queue (w, packet);
      g_queue_insert_sorted (&w->wire, packet, compare_arrival, NULL);
    } else
      g_queue_push_tail (&w->wire, packet);
  }
  while (ph_ice_agent_poll_event (w->agents[i], &event)) {
    w->events[i][event.type]++;
    w->last[i][event.type] = event;
    w->when[i][event.type] = w->now;
  }
}

static void
deliver (World *w, const Packet *packet)
{
  for (unsigned i = 0; i < w->n_sockets; i++) {
    const Socket *to = &w->sockets[i];
    const PhDatagram in = {to->id, packet->source, 0, ph_slice (packet->bytes, packet->len)};

    if (to->id == w->dead_socket)
      continue;
    if (ph_addr_is_set (&to->nat)) {
      if (!ph_addr_equal (&to->nat, &packet->to)
          || !g_hash_table_contains (to->opened, &packet->source))
        continue;
    } else if (!ph_addr_equal (&to->addr, &packet->to)) {
      continue;
    }
    ph_ice_agent_handle_packet (w->agents[to->owner], w->now, &in);
    settle (w, to->owner);
    return;
  }
}

/* Everything that happens until `until`. */
static void
run_until (World *w, PhTime until)
{
  const char *why;

  settle (w, A);
  settle (w, B);
  for (;;) {
    const Packet *head = g_queue_peek_head (&w->wire);
    PhTime next = head != NULL ? head->at : PH_NEVER;

    for (unsigned i = 0; i < 2; i++)
      next = ph_time_min (next, ph_ice_agent_next_timeout (w->agents[i], &why));
    if (next > until)
      break;
    w->now = MAX (w->now, next);
    if (head != NULL && head->at <= w->now) {
      g_autofree Packet *packet = g_queue_pop_head (&w->wire);

      deliver (w, packet);
    } else {
      for (unsigned i = 0; i < 2; i++) {
        if (ph_ice_agent_next_timeout (w->agents[i], &why) <= w->now)
          ph_ice_agent_handle_timeout (w->agents[i], w->now);
        settle (w, i);
      }
    }
  }
  w->now = until;
}

static void
run_for (World *w, PhTime interval)
{
  run_until (w, w->now + interval);
}

/* Both have selected the same pair, seen from their ends. */
static PhIcePair
assert_connected (World *w)
{
  PhIcePair a, b;

  g_assert_true (ph_ice_agent_selected (w->agents[A], &a));
  g_assert_true (ph_ice_agent_selected (w->agents[B], &b));
  g_assert_cmpint (ph_ice_agent_state (w->agents[A]), ==, PH_ICE_CONNECTED);
  g_assert_cmpint (ph_ice_agent_state (w->agents[B]), ==, PH_ICE_CONNECTED);
  g_assert_true (ph_addr_equal (&a.local.addr, &b.remote_addr));
  g_assert_true (ph_addr_equal (&b.local.addr, &a.remote_addr));
  return a;
}

static World *
two_hosts (void)
{
  World *w = world_new ();

  tell (w, A, host (add_socket (w, A, "192.0.2.1:1000", NULL)));
  tell (w, B, host (add_socket (w, B, "192.0.2.2:2000", NULL)));
  return w;
}
