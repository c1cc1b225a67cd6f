/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The ICE agent, two of them against each other in the world of ice-world.h. */

#include "tests/unit/ice-world.h"

/* --- Connecting --------------------------------------------------------------------------------- */

/* One check each way, which cross, then one that nominates, and the answers: nothing else. */
static void
test_exact_counts (void)
{
  g_autoptr (World) w = two_hosts ();
  PhIcePair pair;

  introduce (w);
  run_for (w, 200 * PH_MSEC);
  pair = assert_connected (w);
  g_assert_cmpuint (w->requests[A], ==, 2);
  g_assert_cmpuint (w->answers[A], ==, 1);
  g_assert_cmpuint (w->requests[B], ==, 1);
  g_assert_cmpuint (w->answers[B], ==, 2);
  g_assert_cmpuint (pair.rtt, ==, 20 * PH_MSEC);
  g_assert_cmpint (pair.local.type, ==, PH_CANDIDATE_HOST);
  for (unsigned i = 0; i < 2; i++) {
    g_assert_cmpuint (w->events[i][PH_ICE_EVENT_PAIR_VALID], ==, 1);
    g_assert_cmpuint (w->events[i][PH_ICE_EVENT_SELECTED], ==, 1);
    g_assert_cmpuint (w->events[i][PH_ICE_EVENT_PAIR_LOST], ==, 0);
  }
  g_assert_cmpuint (w->when[A][PH_ICE_EVENT_SELECTED] - w->when[A][PH_ICE_EVENT_PAIR_VALID], ==,
                    20 * PH_MSEC);
}

/* B is on two networks, and loses the one that is used: A, who nominates, need not wait for silence. */
static void
test_controlled_loses_socket (void)
{
  g_autoptr (World) w = world_new ();
  const Socket *a = add_socket (w, A, "192.0.2.1:1000", NULL);
  const Socket *first = add_socket (w, B, "192.0.2.2:2000", NULL);
  const Socket *second = add_socket (w, B, "198.51.100.2:2000", NULL);
  PhIcePair pair;

  for (unsigned i = 0; i < 2; i++)
    ph_ice_agent_allow_renomination (w->agents[i]);
  tell (w, A, host (a));
  tell (w, B, host (first));
  tell (w, B, ph_candidate_host (second->addr, second->id, 1));
  introduce (w);
  run_for (w, 3 * PH_SEC);
  pair = assert_connected (w);
  g_assert_true (ph_addr_equal (&pair.remote_addr, &first->addr));

  ph_ice_agent_remove_socket (w->agents[B], w->now, first->id);
  run_for (w, 5 * w->delay);
  pair = assert_connected (w);
  g_assert_true (ph_addr_equal (&pair.remote_addr, &second->addr));
  g_assert_cmpint (w->last[A][PH_ICE_EVENT_PAIR_LOST].pair.why, ==, PH_ICE_WHY_PEER_LEFT);
  run_for (w, 10 * PH_SEC);
  pair = assert_connected (w);
  g_assert_true (ph_addr_equal (&pair.remote_addr, &second->addr));
}

/* A's address is nowhere told: B learns it from A's check. */
static void
test_peer_reflexive (void)
{
  g_autoptr (World) w = world_new ();
  const Socket *a = add_socket (w, A, "10.0.0.1:1000", "198.51.100.1:4000");
  const Socket *b = add_socket (w, B, "192.0.2.2:2000", NULL);
  PhIcePair pair;

  tell (w, A, host (a));
  tell (w, B, host (b));
  introduce (w);
  run_for (w, 1 * PH_SEC);
  pair = assert_connected (w);
  g_assert_cmpint (pair.local.type, ==, PH_CANDIDATE_PRFLX);
  g_assert_true (ph_addr_equal (&pair.local.addr, &a->nat));
  g_assert_true (ph_ice_agent_selected (w->agents[B], &pair));
  g_assert_cmpint (pair.remote.type, ==, PH_CANDIDATE_PRFLX);

  /* The signal comes after the check: the pair stays, its candidate gets its name. */
  const PhCandidate late = srflx (a);

  g_assert_true (ph_ice_agent_add_remote_candidate (w->agents[B], w->now, &late));
  g_assert_true (ph_ice_agent_selected (w->agents[B], &pair));
  g_assert_cmpint (pair.remote.type, ==, PH_CANDIDATE_SRFLX);
  g_assert_false (ph_ice_agent_add_remote_candidate (w->agents[B], w->now, &late));
}

static bool
count_pair (void *user, const PhIcePair *pair)
{
  unsigned *n = user;

  ++*n;
  return true;
}

/* A's check comes on one of B's two sockets, before A's signal. With the signal the other one has a pair too: the
 * first may have been a relay's. */
static void
test_peer_reflexive_then_told (void)
{
  g_autoptr (World) w = world_new ();
  const PhCandidate own = host (add_socket (w, A, "192.0.2.1:1000", NULL));
  const Socket *told = add_socket (w, B, "192.0.2.2:2000", NULL);
  const PhCandidate other = host (add_socket (w, B, "192.0.2.3:2000", NULL));
  unsigned n = 0;

  g_assert_true (ph_ice_agent_add_local_candidate (w->agents[A], w->now, &own));
  g_assert_true (ph_ice_agent_add_local_candidate (w->agents[B], w->now, &other));
  tell (w, B, host (told));
  introduce (w);
  run_for (w, 1 * PH_SEC);
  assert_connected (w);
  ph_ice_agent_for_each_pair (w->agents[B], count_pair, &n);
  g_assert_cmpuint (n, ==, 1);
  g_assert_true (ph_ice_agent_add_remote_candidate (w->agents[B], w->now, &own));
  n = 0;
  ph_ice_agent_for_each_pair (w->agents[B], count_pair, &n);
  g_assert_cmpuint (n, ==, 2);
}

/* The same on one cable: what is seen has the scope of this computer's own, what is told has none. */
static void
test_peer_reflexive_link_local (void)
{
  g_autoptr (World) w = world_new ();
  const PhCandidate own = host (add_socket (w, A, "[fe80::1%2]:1000", NULL));
  PhCandidate told = own;
  PhIcePair pair;

  g_assert_true (ph_ice_agent_add_local_candidate (w->agents[A], w->now, &own));
  tell (w, B, host (add_socket (w, B, "[fe80::2%2]:2000", NULL)));
  introduce (w);
  run_for (w, 1 * PH_SEC);
  assert_connected (w);
  g_assert_true (ph_ice_agent_selected (w->agents[B], &pair));
  g_assert_cmpint (pair.remote.type, ==, PH_CANDIDATE_PRFLX);
  told.addr.scope = 0;
  g_assert_true (ph_ice_agent_add_remote_candidate (w->agents[B], w->now, &told));
  assert_connected (w);
  g_assert_true (ph_ice_agent_selected (w->agents[B], &pair));
  g_assert_cmpint (pair.remote.type, ==, PH_CANDIDATE_HOST);
}

static World *
two_nats (void)
{
  World *w = world_new ();
  const Socket *a = add_socket (w, A, "10.0.0.1:1000", "198.51.100.1:4000");
  const Socket *b = add_socket (w, B, "10.0.0.1:2000", "198.51.100.2:5000");

  tell (w, A, host (a));
  tell (w, B, host (b));
  tell (w, A, srflx (a));
  tell (w, B, srflx (b));
  return w;
}

/* Two port-restricted NATs: each side's first check opens its own and is dropped by the other. */
static void
test_punch (void)
{
  g_autoptr (World) w = two_nats ();
  PhIcePair pair;

  introduce (w);
  run_for (w, 500 * PH_MSEC);
  pair = assert_connected (w);
  g_assert_cmpint (pair.local.type, ==, PH_CANDIDATE_SRFLX);
  g_assert_cmpint (pair.remote.type, ==, PH_CANDIDATE_SRFLX);
}

/* B starts five seconds late: A's checks before that were all lost. */
static void
test_punch_late_peer (void)
{
  g_autoptr (World) w = two_nats ();

  introduce_to (w, A);
  run_for (w, 5 * PH_SEC);
  introduce_to (w, B);
  run_for (w, 1 * PH_SEC);
  assert_connected (w);
}

static void
test_role_conflict (gconstpointer both_control)
{
  g_autoptr (World) w =
      world_new_with_roles (GPOINTER_TO_INT (both_control), GPOINTER_TO_INT (both_control));

  tell (w, A, host (add_socket (w, A, "192.0.2.1:1000", NULL)));
  tell (w, B, host (add_socket (w, B, "192.0.2.2:2000", NULL)));
  introduce (w);
  run_for (w, 1 * PH_SEC);
  assert_connected (w);
  g_assert_true (ph_ice_agent_controlling (w->agents[A])
                 != ph_ice_agent_controlling (w->agents[B]));
}

/* Credentials and candidates come one by one, at any time, B's checks before A knows B's password. */
static void
test_trickle (void)
{
  g_autoptr (World) w = world_new ();
  const Socket *a = add_socket (w, A, "192.0.2.1:1000", NULL);
  const Socket *b = add_socket (w, B, "192.0.2.2:2000", NULL);

  introduce_to (w, B);
  run_for (w, 3 * PH_SEC);
  tell (w, A, host (a));
  const PhCandidate own = host (b);
  g_assert_true (ph_ice_agent_add_local_candidate (w->agents[B], w->now, &own));
  run_for (w, 1 * PH_SEC);
  /* A answers, as the checks are authentic, but cannot check. */
  g_assert_cmpuint (w->events[B][PH_ICE_EVENT_PAIR_VALID], ==, 1);
  g_assert_cmpuint (w->requests[A], ==, 0);
  introduce_to (w, A);
  run_for (w, 300 * PH_MSEC);
  assert_connected (w);
}

/* The only candidate comes after the agents gave up. */
static void
test_trickle_after_failure (void)
{
  g_autoptr (World) w = world_new ();
  const Socket *a = add_socket (w, A, "192.0.2.1:1000", NULL);

  introduce (w);
  run_for (w, 30 * PH_SEC);
  g_assert_cmpint (ph_ice_agent_state (w->agents[A]), ==, PH_ICE_FAILED);
  tell (w, B, host (add_socket (w, B, "192.0.2.2:2000", NULL)));
  tell (w, A, host (a));
  run_for (w, 300 * PH_MSEC);
  assert_connected (w);
}

/* A better pair that takes 100 ms longer is waited for; one that takes a second is not. */
static uint32_t slow_socket;
static PhTime slow_until;

static bool
drop_slow (World *w, const Packet *packet)
{
  return packet->from->id == slow_socket && w->now < slow_until;
}

static void
test_patience (gconstpointer slow_ms)
{
  g_autoptr (World) w = world_new ();
  const Socket *a6 = add_socket (w, A, "[2001:db8::1]:1000", NULL);
  const Socket *a4 = add_socket (w, A, "192.0.2.1:1000", NULL);
  const Socket *b6 = add_socket (w, B, "[2001:db8::2]:2000", NULL);
  const Socket *b4 = add_socket (w, B, "192.0.2.2:2000", NULL);
  const bool waits = GPOINTER_TO_UINT (slow_ms) < 300;

  slow_socket = a6->id;
  slow_until = w->now + GPOINTER_TO_UINT (slow_ms) * PH_MSEC;
  w->drop = drop_slow;
  w->delay = 2 * PH_MSEC;
  tell (w, A, host (a6));
  tell (w, A, host (a4));
  tell (w, B, host (b6));
  tell (w, B, host (b4));
  introduce (w);
  run_for (w, 3 * PH_SEC);
  g_assert_cmpuint (assert_connected (w).socket, ==, waits ? a6->id : a4->id);
  g_assert_cmpuint (w->when[A][PH_ICE_EVENT_SELECTED], <, 1000 * PH_SEC + 400 * PH_MSEC);
  /* The better pair is found later all the same, for the caller to use. */
  g_assert_cmpuint (w->events[A][PH_ICE_EVENT_PAIR_VALID], ==, 2);
}

/* A third of all packets is lost, with a hundred different fates. */
static void
test_loss (void)
{
  for (unsigned i = 0; i < 100; i++) {
    g_autoptr (World) w = two_nats ();

    ph_random_seeded_init (&w->net_seed, ph_test_seed () * 1000 + i);
    w->loss_percent = 33;
    introduce (w);
    for (unsigned ms = 0; ms < 15000; ms += 100) {
      run_for (w, 100 * PH_MSEC);
      if (w->events[A][PH_ICE_EVENT_SELECTED] > 0 && w->events[B][PH_ICE_EVENT_SELECTED] > 0)
        break;
    }
    g_assert_cmpuint (w->events[A][PH_ICE_EVENT_SELECTED], >, 0);
    g_assert_cmpuint (w->events[B][PH_ICE_EVENT_SELECTED], >, 0);
  }
}

/* Two pairs over one line, and a line under load: now and then one of them is measured as the faster. */
static PhTime
shared_queue (World *w, const Packet *packet)
{
  return ph_random_below (&w->net_random, 60) * PH_MSEC;
}

static uint32_t detour_socket;

static PhTime
detour (World *w, const Packet *packet)
{
  return packet->from->id == detour_socket ? 50 * PH_MSEC : 0;
}

static void
test_renomination_by_round_trip (void)
{
  g_autoptr (World) w = world_new ();

  w->delay = 25 * PH_MSEC;
  w->queue = shared_queue;
  tell (w, A, host (add_socket (w, A, "192.0.2.1:1000", NULL)));
  tell (w, A, host (add_socket (w, A, "192.0.2.3:1000", NULL)));
  tell (w, B, host (add_socket (w, B, "192.0.2.2:2000", NULL)));
  introduce (w);
  for (unsigned i = 0; i < 2; i++)
    ph_ice_agent_allow_renomination (w->agents[i]);
  run_for (w, 2 * PH_SEC);

  const PhIcePair first = assert_connected (w);

  run_for (w, 600 * PH_SEC);
  g_assert_cmpuint (assert_connected (w).id, ==, first.id);
  g_assert_cmpuint (w->events[A][PH_ICE_EVENT_SELECTED], ==, 1);

  /* A path that has become longer for good is left. */
  detour_socket = first.socket;
  w->queue = detour;
  run_for (w, 150 * PH_SEC);
  g_assert_cmpuint (assert_connected (w).socket, !=, first.socket);
  g_assert_cmpuint (w->events[A][PH_ICE_EVENT_SELECTED], ==, 2);
}

/* A better network comes up under way: it is known to be better within seconds, not within a minute. A worse one is
 * left alone, however long. */
static void
test_better_network (gconstpointer better)
{
  g_autoptr (World) w = world_new ();
  const Socket *first = add_socket (w, A, "192.0.2.1:1000", NULL);
  const Socket *second;

  w->queue = detour;
  detour_socket = GPOINTER_TO_UINT (better) ? first->id : 0;
  tell (w, A, host (first));
  tell (w, B, host (add_socket (w, B, "192.0.2.2:2000", NULL)));
  introduce (w);
  for (unsigned i = 0; i < 2; i++)
    ph_ice_agent_allow_renomination (w->agents[i]);
  run_for (w, 60 * PH_SEC);
  g_assert_cmpuint (assert_connected (w).socket, ==, first->id);

  second = add_socket (w, A, "192.0.2.3:1000", NULL);
  if (!GPOINTER_TO_UINT (better))
    detour_socket = second->id;
  tell (w, A, host (second));
  run_for (w, 6 * PH_SEC);
  g_assert_cmpuint (assert_connected (w).socket, ==,
                    GPOINTER_TO_UINT (better) ? second->id : first->id);
  run_for (w, 200 * PH_SEC);
  g_assert_cmpuint (w->events[A][PH_ICE_EVENT_SELECTED], ==, GPOINTER_TO_UINT (better) ? 2 : 1);
}

static bool
drop_between_networks (World *w, const Packet *packet)
{
  return ph_addr_scope (&packet->from->addr) != ph_addr_scope (&packet->to);
}

/* What one relay can carry does not go through two, which are first when the checks to one are lost. */
static const Socket *relays[2];

static bool
drop_direct (World *w, const Packet *packet)
{
  const bool from_relay = packet->from == relays[A] || packet->from == relays[B];
  const bool to_relay = ph_addr_equal (&packet->to, &relays[A]->addr)
                        || ph_addr_equal (&packet->to, &relays[B]->addr);

  return from_relay && to_relay ? false : w->now < slow_until || (!from_relay && !to_relay);
}

static void
test_one_relay_is_enough (void)
{
  g_autoptr (World) w = world_new ();
  const PhAddr server = ph_test_addr ("203.0.113.9:3478");

  w->drop = drop_direct;
  slow_until = w->now + 1 * PH_SEC;
  for (unsigned i = 0; i < 2; i++) {
    const Socket *own = add_socket (w, i, i == A ? "192.0.2.1:1000" : "192.0.2.2:2000", NULL);
    PhCandidate relayed;

    relays[i] = add_socket (w, i, i == A ? "203.0.113.9:5000" : "203.0.113.9:5001", NULL);
    relayed = ph_candidate_relay (relays[i]->addr, own->addr, relays[i]->id, server);
    tell (w, i, host (own));
    tell (w, i, relayed);
    ph_ice_agent_allow_renomination (w->agents[i]);
  }
  introduce (w);
  run_for (w, 900 * PH_MSEC);
  g_assert_cmpuint (assert_connected (w).socket, ==, relays[A]->id);
  run_for (w, 5 * PH_SEC);

  const PhIcePair pair = assert_connected (w);

  g_assert_true ((pair.socket == relays[A]->id)
                 != ph_addr_equal (&pair.remote_addr, &relays[B]->addr));
  g_assert_cmpuint (w->events[A][PH_ICE_EVENT_SELECTED], ==, 2);

  /* And it stays, though it is slower at times. */
  w->queue = shared_queue;
  run_for (w, 600 * PH_SEC);
  g_assert_cmpuint (w->events[A][PH_ICE_EVENT_SELECTED], ==, 2);
}

/* A pair on which checks pass and no link comes about is left for a minute, and then tried once more: whoever uses
 * pairs says again that it is no good. */
static void
test_shunned (void)
{
  g_autoptr (World) w = world_new ();
  const Socket *near_a = add_socket (w, A, "192.168.1.1:1000", NULL);
  const Socket *far_a = add_socket (w, A, "192.0.2.1:1000", NULL);

  w->drop = drop_between_networks;
  tell (w, A, host (near_a));
  tell (w, A, host (far_a));
  tell (w, B, host (add_socket (w, B, "192.168.1.2:2000", NULL)));
  tell (w, B, host (add_socket (w, B, "192.0.2.2:2000", NULL)));
  introduce (w);
  for (unsigned i = 0; i < 2; i++)
    ph_ice_agent_allow_renomination (w->agents[i]);
  run_for (w, 5 * PH_SEC);

  for (unsigned i = 0; i < 2; i++) {
    const PhIcePair near_pair = assert_connected (w);

    g_assert_cmpuint (near_pair.socket, ==, near_a->id);
    ph_ice_agent_shun (w->agents[A], w->now, near_pair.id);
    run_for (w, 2 * PH_SEC);
    g_assert_cmpuint (assert_connected (w).socket, ==, far_a->id);
    run_for (w, 57 * PH_SEC);
    g_assert_cmpuint (assert_connected (w).socket, ==, far_a->id);
    run_for (w, 8 * PH_SEC);
  }
  g_assert_cmpuint (assert_connected (w).socket, ==, near_a->id);
  g_assert_cmpuint (w->events[A][PH_ICE_EVENT_SELECTED], ==, 5);
}

static void
test_failure (void)
{
  g_autoptr (World) w = two_hosts ();
  PhIcePair pair;

  w->dead = true;
  introduce (w);
  run_for (w, 20 * PH_SEC - 1);
  g_assert_cmpuint (w->events[A][PH_ICE_EVENT_FAILED], ==, 0);
  run_for (w, 1);
  g_assert_cmpuint (w->events[A][PH_ICE_EVENT_FAILED], ==, 1);
  g_assert_true (ph_ice_agent_get_pair (w->agents[A], 1, &pair));
  g_assert_cmpint (pair.why, ==, PH_ICE_WHY_SILENT);
  /* Seven rounds of four, every 2.75 s, and three checks of the eighth; then silence. */
  g_assert_cmpuint (w->requests[A], ==, 31);
  run_for (w, 60 * PH_SEC);
  g_assert_cmpuint (w->requests[A], ==, 31);

  w->dead = false;
  ph_ice_agent_recheck (w->agents[A], w->now);
  run_for (w, 300 * PH_MSEC);
  assert_connected (w);
}

/* --- Staying connected -------------------------------------------------------------------------- */

static void
test_consent (void)
{
  g_autoptr (World) w = two_hosts ();
  PhTime silence;

  introduce (w);
  run_for (w, 60 * PH_SEC);
  assert_connected (w);
  g_assert_cmpuint (w->events[A][PH_ICE_EVENT_PAIR_LOST], ==, 0);
  /* About one a 1.5 s. */
  g_assert_cmpuint (w->requests[A], >, 33);
  g_assert_cmpuint (w->requests[A], <, 52);

  w->dead = true;
  silence = w->now;
  run_for (w, 6500 * PH_MSEC);
  for (unsigned i = 0; i < 2; i++) {
    g_assert_cmpuint (w->events[i][PH_ICE_EVENT_PAIR_LOST], ==, 1);
    g_assert_cmpint (w->last[i][PH_ICE_EVENT_PAIR_LOST].pair.why, ==, PH_ICE_WHY_CONSENT);
    g_assert_cmpuint (w->events[i][PH_ICE_EVENT_DISCONNECTED], ==, 1);
    g_assert_cmpuint (w->when[i][PH_ICE_EVENT_DISCONNECTED] - silence, >, 4 * PH_SEC);
  }
  w->dead = false;
  run_for (w, 3 * PH_SEC);
  assert_connected (w);
  g_assert_cmpuint (w->events[A][PH_ICE_EVENT_SELECTED], ==, 2);
}

/* A tenth of all packets is lost, for an hour: that is no death. */
static void
test_consent_with_loss (void)
{
  g_autoptr (World) w = two_hosts ();

  introduce (w);
  run_for (w, 1 * PH_SEC);
  assert_connected (w);
  w->loss_percent = 10;
  run_for (w, 3600 * PH_SEC);
  for (unsigned i = 0; i < 2; i++)
    g_assert_cmpuint (w->events[i][PH_ICE_EVENT_PAIR_LOST], ==, 0);
  /* And no storm: a check in 1.5 s, and a third of that after each that was lost. */
  g_assert_cmpuint (w->requests[A], <, 3600);
}

/* After a change of network the caller wants to know now, not in a second and a half. */
static void
test_recheck (void)
{
  g_autoptr (World) w = two_hosts ();
  unsigned before;

  introduce (w);
  run_for (w, 1 * PH_SEC);
  assert_connected (w);
  before = w->requests[A];
  ph_ice_agent_recheck (w->agents[A], w->now);
  run_for (w, 30 * PH_MSEC);
  g_assert_cmpuint (w->requests[A], ==, before + 1);
  run_for (w, 60 * PH_SEC);
  assert_connected (w);
  g_assert_cmpuint (w->events[A][PH_ICE_EVENT_FAILED], ==, 0);
}

/* One path of two dies: both sides move to the other. */
static void
test_fallback (void)
{
  g_autoptr (World) w = world_new ();
  const Socket *a6 = add_socket (w, A, "[2001:db8::1]:1000", NULL);
  const Socket *a4 = add_socket (w, A, "192.0.2.1:1000", NULL);

  tell (w, A, host (a6));
  tell (w, A, host (a4));
  tell (w, B, host (add_socket (w, B, "[2001:db8::2]:2000", NULL)));
  tell (w, B, host (add_socket (w, B, "192.0.2.2:2000", NULL)));
  introduce (w);
  run_for (w, 30 * PH_SEC);
  g_assert_cmpuint (assert_connected (w).socket, ==, a6->id);
  g_assert_cmpuint (w->events[A][PH_ICE_EVENT_PAIR_VALID], ==, 2);

  w->dead_socket = a6->id;
  run_for (w, 8500 * PH_MSEC);
  g_assert_cmpuint (assert_connected (w).socket, ==, a4->id);
  g_assert_cmpuint (w->events[A][PH_ICE_EVENT_DISCONNECTED], ==, 0);
  g_assert_cmpuint (w->events[B][PH_ICE_EVENT_DISCONNECTED], ==, 0);
}

static void
test_socket_removed (void)
{
  g_autoptr (World) w = world_new ();
  const Socket *a6 = add_socket (w, A, "[2001:db8::1]:1000", NULL);
  const Socket *a4 = add_socket (w, A, "192.0.2.1:1000", NULL);

  tell (w, A, host (a6));
  tell (w, A, host (a4));
  tell (w, B, host (add_socket (w, B, "[2001:db8::2]:2000", NULL)));
  tell (w, B, host (add_socket (w, B, "192.0.2.2:2000", NULL)));
  introduce (w);
  run_for (w, 1 * PH_SEC);
  ph_ice_agent_remove_socket (w->agents[A], w->now, a6->id);
  w->dead_socket = a6->id;
  run_for (w, 100 * PH_MSEC);
  g_assert_cmpint (w->last[A][PH_ICE_EVENT_PAIR_LOST].pair.why, ==, PH_ICE_WHY_SOCKET_GONE);
  g_assert_cmpuint (w->last[A][PH_ICE_EVENT_SELECTED].pair.socket, ==, a4->id);
  run_for (w, 8 * PH_SEC);
  g_assert_cmpuint (assert_connected (w).socket, ==, a4->id);
}

static void
rebind (Socket *socket, const char *nat)
{
  socket->nat = ph_test_addr (nat);
  g_hash_table_remove_all (socket->opened);
}

/* The controlling side's NAT gives it a new port: its consent checks carry the selection along. */
static void
test_rebinding_controlling (void)
{
  g_autoptr (World) w = world_new ();
  Socket *a = add_socket (w, A, "10.0.0.1:1000", "198.51.100.1:4000");

  tell (w, A, host (a));
  tell (w, A, srflx (a));
  tell (w, B, host (add_socket (w, B, "192.0.2.2:2000", NULL)));
  introduce (w);
  run_for (w, 5 * PH_SEC);
  assert_connected (w);
  rebind (a, "198.51.100.1:4001");
  run_for (w, 2 * PH_SEC);
  assert_connected (w);
  g_assert_cmpuint (w->last[B][PH_ICE_EVENT_SELECTED].pair.remote_addr.port, ==, 4001);
  g_assert_cmpuint (w->events[A][PH_ICE_EVENT_PAIR_LOST], ==, 0);
}

/* The controlled side's NAT does: the new pair is valid at once, and nominated when the old one dies. */
static void
test_rebinding_controlled (void)
{
  g_autoptr (World) w = world_new ();
  Socket *b = add_socket (w, B, "10.0.0.2:2000", "198.51.100.2:5000");

  tell (w, A, host (add_socket (w, A, "192.0.2.1:1000", NULL)));
  tell (w, B, host (b));
  tell (w, B, srflx (b));
  introduce (w);
  run_for (w, 5 * PH_SEC);
  assert_connected (w);
  rebind (b, "198.51.100.2:5001");
  run_for (w, 2 * PH_SEC);
  g_assert_cmpuint (w->last[A][PH_ICE_EVENT_PAIR_VALID].pair.remote_addr.port, ==, 5001);
  run_for (w, 5 * PH_SEC);
  g_assert_cmpuint (assert_connected (w).remote_addr.port, ==, 5001);
  g_assert_cmpuint (w->events[A][PH_ICE_EVENT_DISCONNECTED], ==, 0);
}

/* The machine sleeps for an hour: if the path is still there, nothing is lost. */
static void
test_suspend (void)
{
  g_autoptr (World) w = two_hosts ();

  introduce (w);
  run_for (w, 5 * PH_SEC);
  assert_connected (w);
  g_queue_clear_full (&w->wire, g_free);
  w->now += 3600 * PH_SEC;
  run_for (w, 20 * PH_SEC);
  assert_connected (w);
  g_assert_cmpuint (w->events[A][PH_ICE_EVENT_PAIR_LOST], ==, 0);
}

static bool
count_valid (void *user, const PhIcePair *pair)
{
  unsigned *n = user;

  *n += pair->state == PH_ICE_PAIR_SUCCEEDED;
  return true;
}

/* Three sockets a side make nine pairs: the selected one, one in use and four others stay. */
static void
test_warm_pairs (void)
{
  g_autoptr (World) w = world_new ();
  PhIcePair used;
  unsigned n = 0;

  for (unsigned i = 0; i < 3; i++) {
    g_autofree char *a = g_strdup_printf ("192.0.2.1:%u", 1000 + i);
    g_autofree char *b = g_strdup_printf ("192.0.2.2:%u", 2000 + i);

    tell (w, A, host (add_socket (w, A, a, NULL)));
    tell (w, B, host (add_socket (w, B, b, NULL)));
  }
  introduce (w);
  run_for (w, 70 * PH_MSEC);
  used = w->last[A][PH_ICE_EVENT_PAIR_VALID].pair;
  ph_ice_agent_set_in_use (w->agents[A], w->now, used.id, true);
  run_for (w, 30 * PH_SEC);
  assert_connected (w);
  ph_ice_agent_for_each_pair (w->agents[A], count_valid, &n);
  g_assert_cmpuint (n, ==, 1 + 1 + PH_ICE_WARM_MAX);
  g_assert_true (ph_ice_agent_get_pair (w->agents[A], used.id, &used));
  g_assert_true (used.in_use);
  g_assert_cmpint (used.state, ==, PH_ICE_PAIR_SUCCEEDED);
  /* Asked at the fast pace. */
  g_assert_cmpuint (used.checks_sent, >, 14);
}

/* --- Strangers ---------------------------------------------------------------------------------- */

static void
test_wrong_password (void)
{
  g_autoptr (World) w = two_hosts ();

  g_assert_true (ph_ice_agent_set_remote_credentials (
      w->agents[A], w->now, ph_ice_agent_ufrag (w->agents[B]), "not+the+password+of+theirs"));
  run_for (w, 30 * PH_SEC);
  g_assert_cmpuint (w->requests[A], >, 5);
  g_assert_cmpuint (w->answers[B], ==, 0);
  g_assert_cmpuint (w->requests[B], ==, 0);
  g_assert_cmpuint (w->events[B][PH_ICE_EVENT_PAIR_VALID], ==, 0);
}

static unsigned
count_pairs (const PhIceAgent *agent)
{
  unsigned n = 0;
  PhIcePair pair;

  /* Ids begin at 1 and are never used again. */
  for (uint32_t id = 1; id < 20000; id++)
    n += ph_ice_agent_get_pair (agent, id, &pair);
  return n;
}

static void
test_flood_of_candidates (void)
{
  g_autoptr (World) w = two_hosts ();

  introduce (w);
  run_for (w, 1 * PH_SEC);
  for (unsigned i = 0; i < 5000; i++) {
    PhCandidate candidate = ph_candidate_host (
        ph_addr_ipv4 (198, 18, (uint8_t)(i >> 8), (uint8_t)i, 1), 1, 5000 - MIN (i, 1000));

    candidate.priority += i << 8 & 0xffff;
    ph_ice_agent_add_remote_candidate (w->agents[A], w->now, &candidate);
  }
  g_assert_cmpuint (count_pairs (w->agents[A]), ==, PH_ICE_REMOTE_MAX);
  assert_connected (w);
  run_for (w, 10 * PH_SEC);
  assert_connected (w);
}

static void
test_useless_candidates (void)
{
  static const char *const useless[] = {
      "0.0.0.0:1",   "224.0.0.1:1", "255.255.255.255:1", "192.0.2.9:0",
      "127.0.0.1:1", "[::1]:1",     "[ff02::1]:1",
  };
  g_autoptr (World) w = world_new ();
  const Socket *a = add_socket (w, A, "192.0.2.1:1000", NULL);
  const PhCandidate own = host (a);
  PhCandidate tcp = host (a);

  g_assert_true (ph_ice_agent_add_local_candidate (w->agents[A], w->now, &own));
  g_assert_false (ph_ice_agent_add_local_candidate (w->agents[A], w->now, &own));
  for (size_t i = 0; i < G_N_ELEMENTS (useless); i++) {
    const PhCandidate candidate = ph_candidate_host (ph_test_addr (useless[i]), 1, 0);

    g_assert_false (ph_ice_agent_add_remote_candidate (w->agents[A], w->now, &candidate));
  }
  tcp.addr = ph_test_addr ("192.0.2.9:1");
  tcp.transport = PH_CANDIDATE_TCP_ACTIVE; /* it comes by itself */
  g_assert_false (ph_ice_agent_add_remote_candidate (w->agents[A], w->now, &tcp));
  g_assert_cmpuint (count_pairs (w->agents[A]), ==, 0);
}

/* Answers and errors without the right integrity change nothing, even with the right id. */
static bool
forge_answer (World *w, const Packet *packet)
{
  static const char bad_key[] = "another+password+altogether";
  uint8_t out[PH_STUN_MESSAGE_MAX];
  PhStunMessage request;

  g_assert_true (ph_stun_parse (ph_slice (packet->bytes, packet->len), &request));
  if (packet->from->owner != A || request.klass != PH_STUN_REQUEST)
    return true;
  for (unsigned kind = 0; kind < 4; kind++) {
    PhWriter writer = ph_writer (out, sizeof out);

    ph_stun_begin (&writer, kind < 2 ? PH_STUN_SUCCESS : PH_STUN_ERROR, PH_STUN_BINDING,
                   &request.id);
    if (kind < 2)
      ph_stun_put_xor_addr (&writer, PH_STUN_XOR_MAPPED_ADDRESS, &packet->source);
    else
      ph_stun_put_error (&writer, 487, "Role Conflict");
    if (kind & 1)
      ph_stun_put_integrity (&writer, ph_slice_string (bad_key));
    g_assert_false (ph_ice_agent_handle_packet (
        w->agents[A], w->now,
        &(PhDatagram){packet->from->id, packet->to, 0, ph_slice (out, ph_writer_len (&writer))}));
  }
  return true;
}

static void
test_forged_answers (void)
{
  g_autoptr (World) w = two_hosts ();

  w->drop = forge_answer;
  introduce (w);
  run_for (w, 5 * PH_SEC);
  g_assert_cmpuint (w->requests[A], >, 3);
  g_assert_cmpuint (w->events[A][PH_ICE_EVENT_PAIR_VALID], ==, 0);
  g_assert_true (ph_ice_agent_controlling (w->agents[A]));
}

/* --- For the demultiplexer ---------------------------------------------------------------------- */

static bool
check_routing (World *w, const Packet *packet)
{
  const PhSlice bytes = ph_slice (packet->bytes, packet->len);
  const unsigned from = packet->from->owner;
  PhStunMessage message;
  PhSlice ufrag;

  g_assert_true (ph_stun_parse (bytes, &message));
  if (message.klass == PH_STUN_REQUEST) {
    g_assert_true (ph_ice_packet_ufrag (bytes, &ufrag));
    g_assert_true (ph_slice_equal (ufrag, ph_slice_string (ph_ice_agent_ufrag (w->agents[!from]))));
    g_assert_true (ph_ice_agent_owns (w->agents[from], &message.id));
    g_assert_false (ph_ice_agent_owns (w->agents[!from], &message.id));
  } else {
    g_assert_false (ph_ice_packet_ufrag (bytes, &ufrag));
    g_assert_true (ph_ice_agent_owns (w->agents[!from], &message.id));
  }
  return false;
}

static void
test_routing (void)
{
  g_autoptr (World) w = two_hosts ();
  PhIcePair pair;

  w->drop = check_routing;
  introduce (w);
  run_for (w, 5 * PH_SEC);
  pair = assert_connected (w);
  g_assert_true (ph_ice_agent_find_valid (w->agents[A], pair.socket, &pair.remote_addr, &pair));
  g_assert_false (
      ph_ice_agent_find_valid (w->agents[A], pair.socket + 1, &pair.remote_addr, &pair));
}

static void
test_credentials (void)
{
  g_autoptr (World) w = world_new ();
  PhIceAgent *agent = w->agents[A];

  g_assert_cmpuint (strlen (ph_ice_agent_ufrag (agent)), ==, 8);
  g_assert_cmpuint (strlen (ph_ice_agent_pwd (agent)), ==, 24);
  g_assert_cmpstr (ph_ice_agent_ufrag (agent), !=, ph_ice_agent_ufrag (w->agents[B]));
  g_assert_false (
      ph_ice_agent_set_remote_credentials (agent, w->now, "abc", "0123456789012345678901"));
  g_assert_false (
      ph_ice_agent_set_remote_credentials (agent, w->now, "abcd", "012345678901234567890"));
  g_assert_false (
      ph_ice_agent_set_remote_credentials (agent, w->now, "ab:d", "0123456789012345678901"));
  g_assert_true (
      ph_ice_agent_set_remote_credentials (agent, w->now, "abcd", "0123456789012345678901"));
  g_assert_true (
      ph_ice_agent_set_remote_credentials (agent, w->now, "abcd", "0123456789012345678901"));
  g_assert_false (
      ph_ice_agent_set_remote_credentials (agent, w->now, "abce", "0123456789012345678901"));
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/ice/exact-counts", test_exact_counts);
  g_test_add_func ("/ice/peer-reflexive", test_peer_reflexive);
  g_test_add_func ("/ice/peer-reflexive-then-told", test_peer_reflexive_then_told);
  g_test_add_func ("/ice/peer-reflexive-link-local", test_peer_reflexive_link_local);
  g_test_add_func ("/ice/controlled-loses-socket", test_controlled_loses_socket);
  g_test_add_func ("/ice/punch", test_punch);
  g_test_add_func ("/ice/punch-late-peer", test_punch_late_peer);
  g_test_add_data_func ("/ice/role-conflict/controlling", GINT_TO_POINTER (true),
                        test_role_conflict);
  g_test_add_data_func ("/ice/role-conflict/controlled", GINT_TO_POINTER (false),
                        test_role_conflict);
  g_test_add_func ("/ice/trickle", test_trickle);
  g_test_add_func ("/ice/trickle-after-failure", test_trickle_after_failure);
  g_test_add_data_func ("/ice/patience/short", GUINT_TO_POINTER (15), test_patience);
  g_test_add_data_func ("/ice/patience/long", GUINT_TO_POINTER (1000), test_patience);
  g_test_add_func ("/ice/loss", test_loss);
  g_test_add_func ("/ice/renomination-by-round-trip", test_renomination_by_round_trip);
  g_test_add_data_func ("/ice/better-network", GUINT_TO_POINTER (1), test_better_network);
  g_test_add_data_func ("/ice/worse-network", GUINT_TO_POINTER (0), test_better_network);
  g_test_add_func ("/ice/one-relay-is-enough", test_one_relay_is_enough);
  g_test_add_func ("/ice/shunned", test_shunned);
  g_test_add_func ("/ice/failure", test_failure);
  g_test_add_func ("/ice/consent", test_consent);
  g_test_add_func ("/ice/consent-with-loss", test_consent_with_loss);
  g_test_add_func ("/ice/recheck", test_recheck);
  g_test_add_func ("/ice/fallback", test_fallback);
  g_test_add_func ("/ice/socket-removed", test_socket_removed);
  g_test_add_func ("/ice/rebinding/controlling", test_rebinding_controlling);
  g_test_add_func ("/ice/rebinding/controlled", test_rebinding_controlled);
  g_test_add_func ("/ice/suspend", test_suspend);
  g_test_add_func ("/ice/warm-pairs", test_warm_pairs);
  g_test_add_func ("/ice/wrong-password", test_wrong_password);
  g_test_add_func ("/ice/flood-of-candidates", test_flood_of_candidates);
  g_test_add_func ("/ice/useless-candidates", test_useless_candidates);
  g_test_add_func ("/ice/forged-answers", test_forged_answers);
  g_test_add_func ("/ice/routing", test_routing);
  g_test_add_func ("/ice/credentials", test_credentials);
  return g_test_run ();
}
