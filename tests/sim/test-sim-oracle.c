/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The oracle against the plainest hole puncher there is: ask everybody you know of, answer everybody who
 * asks, ask those who asked. What that cannot reach, no agent without guessing can. */

#include "tests/sim/ph-sim-world.h"
#include "tests/support/ph-test.h"

#include "net/stun/ph-stun.h"

/* Where every answer comes from a new port, a host meets ever more of them. */
#define KNOWN_MAX 48
#define ROUNDS 6

typedef struct {
  PhSimHost *host;
  PhAddr local;
  PhAddr mapped;
  uint32_t socket;
  PhAddr known[KNOWN_MAX];
  unsigned n_known;
  bool reached; /* an answer came from where it was asked */
} Puncher;

static void
ask (Puncher *self, unsigned index)
{
  uint8_t bytes[2] = {'?', (uint8_t)index};

  ph_sim_host_send_bytes (self->host, self->socket, &self->known[index],
                          ph_slice (bytes, sizeof bytes));
}

static void
learn (Puncher *self, const PhAddr *addr)
{
  for (unsigned i = 0; i < self->n_known; i++) {
    if (ph_addr_equal (&self->known[i], addr))
      return;
  }
  if (self->n_known == KNOWN_MAX)
    return;
  self->known[self->n_known++] = *addr;
  ask (self, self->n_known - 1);
}

static void
on_receive (void *user, PhTime now, const PhDatagram *in)
{
  Puncher *self = user;
  PhStunMessage message;

  if (ph_stun_parse (in->bytes, &message)) {
    ph_stun_get_mapped (&message, &self->mapped);
  } else if (in->bytes.len == 2 && in->bytes.data[0] == '?') {
    const uint8_t answer[2] = {'!', in->bytes.data[1]};

    ph_sim_host_send_bytes (self->host, self->socket, &in->remote,
                            ph_slice (answer, sizeof answer));
    learn (self, &in->remote);
  } else if (in->bytes.len == 2 && in->bytes.data[1] < self->n_known
             && ph_addr_equal (&in->remote, &self->known[in->bytes.data[1]])) {
    self->reached = true;
  }
}

static void
ask_server (PhSimWorld *world, Puncher *self)
{
  uint8_t bytes[PH_STUN_MESSAGE_MAX];
  PhWriter w = ph_writer (bytes, sizeof bytes);
  const PhStunId id = {{1, 2, 3}};

  ph_stun_begin (&w, PH_STUN_REQUEST, PH_STUN_BINDING, &id);
  ph_sim_host_send_bytes (self->host, self->socket, &world->stun,
                          ph_slice (bytes, ph_writer_len (&w)));
}

static bool
punch (const PhSimPlan *plan)
{
  g_autoptr (PhSimWorld) world = ph_sim_world_new (plan);
  Puncher punchers[2] = {0};

  for (int who = 0; who < 2; who++) {
    Puncher *self = &punchers[who];

    self->host = world->host[who];
    self->socket = ph_sim_host_open (self->host, &world->ip[who], &self->local);
    ph_sim_host_set_receive (self->host, on_receive, self);
    ask_server (world, self);
  }
  ph_sim_run (world->sim, ph_sim_now (world->sim) + PH_SEC);
  for (int who = 0; who < 2; who++) {
    const Puncher *other = &punchers[!who];

    ph_sim_world_tell (world, who, &other->local);
    ph_sim_world_tell (world, who, &other->mapped);
  }
  for (int round = 0; round < ROUNDS; round++) {
    for (int who = 0; who < 2; who++) {
      Puncher *self = &punchers[who];

      if (round == 0) {
        learn (self, &punchers[!who].local);
        if (ph_addr_is_set (&punchers[!who].mapped))
          learn (self, &punchers[!who].mapped);
      }
      for (unsigned i = 0; i < self->n_known; i++)
        ask (self, i);
    }
    ph_sim_run (world->sim, ph_sim_now (world->sim) + PH_SEC);
  }
  return punchers[0].reached && punchers[1].reached;
}

static void
compare (const PhSimPlan *plan)
{
  const PhSimDirect expected = ph_sim_oracle (&plan->side[0], &plan->side[1], plan->nearness);

  if (expected == PH_SIM_DIRECT_UNKNOWN)
    return;
  if (punch (plan) != (expected == PH_SIM_DIRECT_YES)) {
    g_autofree char *text = ph_sim_plan_format (plan);

    g_error ("%s: the oracle says %s", text, expected == PH_SIM_DIRECT_YES ? "direct" : "never");
  }
}

/* The table in the oracle's header, cell by cell. */
static void
test_table (void)
{
  for (int cell = 0; cell < 81 * 16; cell++) {
    const PhSimNatConfig left = {
        .mapping = (PhSimDependence)(cell % 3),
        .filtering = (PhSimDependence)(cell / 3 % 3),
        .ports = (PhSimPorts)(cell / 81 % 4),
    };
    const PhSimNatConfig right = {
        .mapping = (PhSimDependence)(cell / 9 % 3),
        .filtering = (PhSimDependence)(cell / 27 % 3),
        .ports = (PhSimPorts)(cell / 81 / 4),
    };
    const PhSimPlan plan = {.seed = ph_test_seed () + (uint64_t)cell, .side = {{&left}, {&right}}};

    compare (&plan);
  }
}

static void
test_open_and_firewalls (void)
{
  for (int cell = 0; cell < 9 * 4; cell++) {
    const PhSimNatConfig left = {.mapping = (PhSimDependence)(cell % 3),
                                 .filtering = (PhSimDependence)(cell / 3 % 3)};
    const PhSimNatConfig wall = {.no_translation = true,
                                 .filtering = (PhSimDependence)(cell / 9 % 3)};
    const PhSimPlan plan = {
        .seed = ph_test_seed () + (uint64_t)cell,
        .side = {{&left}, {cell / 9 < 3 ? &wall : NULL}},
    };

    compare (&plan);
  }
}

static void
test_drawn (void)
{
  unsigned verdicts[3] = {0};

  const uint64_t runs = ph_sim_runs (1500, 20000);

  for (uint64_t i = 0; i < runs; i++) {
    PhSimScene scene;

    ph_sim_scene_draw (&scene, ph_test_seed () + i, true);
    scene.plan.ipv6 = false; /* the puncher has one socket */
    verdicts[ph_sim_oracle (&scene.plan.side[0], &scene.plan.side[1], scene.plan.nearness)]++;
    compare (&scene.plan);
  }
  g_test_message ("direct %u, never %u, not known %u", verdicts[PH_SIM_DIRECT_YES],
                  verdicts[PH_SIM_DIRECT_NO], verdicts[PH_SIM_DIRECT_UNKNOWN]);
  /* Draws that test nothing would pass as well. */
  if (runs >= 1000) {
    g_assert_cmpuint (verdicts[PH_SIM_DIRECT_YES], >, runs / 3);
    g_assert_cmpuint (verdicts[PH_SIM_DIRECT_NO], >, runs / 10);
  }
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/sim-oracle/table", test_table);
  g_test_add_func ("/sim-oracle/open-and-firewalls", test_open_and_firewalls);
  g_test_add_func ("/sim-oracle/drawn", test_drawn);
  return g_test_run ();
}
