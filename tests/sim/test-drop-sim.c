/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From dropping a file on somebody who is online and takes it at once, to its first byte on their disk: how
 * often something has to cross the line for that. Calculation takes no time here, so what is over is waiting. */

#include "tests/sim/ph-sim-stack.h"
#include "tests/support/ph-test.h"

/* One way, hosts and signals alike. */
#define TRIP (25 * PH_MSEC)
/* Timers and disks of the simulation. */
#define SLACK (5 * PH_MSEC)

typedef struct {
  PhSimWorld *world;
  PhSimStack *stack;
  PhSimWho from;
  bool client; /* the sender is */
} Drop;

static Drop
drop_begin (PhSimNearness nearness, bool client)
{
  static const PhSimNatConfig box = {.filtering = PH_SIM_APD};
  const PhSimPlan plan = {
      .seed = ph_test_seed (),
      .side = {{&box}, {&box}},
      .nearness = nearness,
      .line = {{.delay = TRIP / 2}, {.delay = TRIP / 2}},
  };
  Drop drop = {.world = ph_sim_world_new (&plan), .client = client};

  drop.stack = ph_sim_stack_new (drop.world, NULL);
  drop.stack->signal_delay = TRIP;
  drop.from = memcmp (drop.stack->device[0].key, drop.stack->device[1].key, PH_KEY_LEN) < 0
                  ? PH_SIM_LEFT
                  : PH_SIM_RIGHT;
  if (!client)
    drop.from = drop.from == PH_SIM_LEFT ? PH_SIM_RIGHT : PH_SIM_LEFT;
  ph_sim_stack_run (drop.stack, PH_SEC); /* all has been gathered */
  return drop;
}

/* How long it takes until a file of `size` has its first byte there. */
static PhTime
drop_file (Drop *drop, uint64_t size)
{
  const PhTime at = ph_sim_now (drop->world->sim);
  PhPeerTransfer *transfer = ph_sim_stack_send_one (drop->stack, drop->from, size);
  const PhPeerTransfer *twin = NULL;
  PhTime took;

  while (twin == NULL || twin->disk == NULL || twin->disk->bytes_written == 0) {
    g_assert_true (ph_sim_step (drop->world->sim, at + 10 * PH_SEC));
    twin = ph_sim_stack_twin (drop->stack, transfer);
  }
  took = ph_sim_now (drop->world->sim) - at;
  g_assert_true (ph_sim_stack_run_over (drop->stack, transfer, 10 * PH_SEC));
  ph_memory_disk_check (twin->disk, transfer->files);
  g_assert_cmpuint (twin->disk->bytes_written, ==, size);
  g_test_message ("%s, %" G_GUINT64_FORMAT " bytes: %.1f trips, all after %.1f",
                  drop->client ? "client" : "server", size, (double)took / (double)TRIP,
                  (double)(ph_sim_now (drop->world->sim) - at) / (double)TRIP);
  return took;
}

/* The offer has its beginning with it. */
static void
test_with_session (void)
{
  for (unsigned i = 0; i < 4; i++) {
    Drop drop = drop_begin (PH_SIM_SAME_LAN, i % 2 == 0);

    drop_file (&drop, 1000);
    ph_sim_stack_run (drop.stack, PH_SEC);
    g_assert_cmpuint (drop_file (&drop, i < 2 ? 1000 : 300000), <=, TRIP + SLACK);
    ph_sim_world_free (drop.world);
  }
}

static void
test_without_session (void)
{
  for (unsigned i = 0; i < 2; i++) {
    Drop drop = drop_begin (PH_SIM_SAME_LAN, i == 0);

    g_assert_cmpuint (drop_file (&drop, 1000), <=, 7 * TRIP + SLACK);
    ph_sim_world_free (drop.world);
  }
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/drop-sim/with-session", test_with_session);
  g_test_add_func ("/drop-sim/without-session", test_without_session);
  return g_test_run ();
}
