/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An adversary on a virtual clock: whole devices send a file while lines are cut, programs die, machines sleep,
 * clocks jump, addresses and mappings change, rendezvous and relay are started anew, the disk is full and
 * the folder taken away. The file arrives whole, is told once, and what is sent again is bounded.
 *
 * tests/chaos does the same to the real programs, some hundred times; here it is some hundred thousand. A seed
 * says all of it but TLS's own randomness: PH_SEED=N PH_RUNS=1 plays one again, and a failure tells its story. */

#include "tests/sim/ph-sim-stack.h"
#include "tests/support/ph-test.h"

#define SIZE 1000000
/* What one trouble may cost: what was on its way and not yet durable. */
#define AGAIN 600000
#define TROUBLES_MAX 5
/* From the last trouble on: a dead path is left after 6.5 s, an attempt takes 20 s, the next waits for less than
 * a minute, and the rest of the file takes 4 s. */
#define PATIENCE (180 * PH_SEC)

typedef struct {
  uint64_t seed;
  PhSimNatConfig box[2];
  PhSimPlan plan;
  PhSimWorld *world; /* owned */
  PhSimStack *stack;
  PhPeerTransfer *sent;
  const PhRandom *random;
  unsigned unstalled; /* how many stalls are over */
  unsigned troubles;
  GString *story; /* owned */
} Life;

static void G_GNUC_PRINTF (2, 3) G_GNUC_NORETURN fail (const Life *life, const char *format, ...)
{
  g_autofree char *plan = ph_sim_plan_format (&life->plan);
  g_autofree char *what = NULL;
  va_list args;

  va_start (args, format);
  what = g_strdup_vprintf (format, args);
  g_error ("%s:%s: %s (again: PH_SEED=%" G_GUINT64_FORMAT " PH_RUNS=1)", plan, life->story->str,
           what, life->seed);
}

static PhPeerTransfer *
life_got (const Life *life)
{
  return ph_sim_stack_twin (life->stack, life->sent);
}

static PhSimDevice *
life_receiver (const Life *life)
{
  return &life->stack->device[life->seed % 2 == 0 ? PH_SIM_RIGHT : PH_SIM_LEFT];
}

static PhTime
some_seconds (const Life *life, unsigned n)
{
  return ph_random_below (life->random, n * 1000) * PH_MSEC;
}

/* --- Disks -------------------------------------------------------------------------------------- */

static void
mend_disk (Life *life)
{
  PhPeerTransfer *got = life_got (life);
  PhSimDevice *device = life_receiver (life);
  const PhTime now = ph_sim_now (life->world->sim);

  if (got == NULL || got->disk == NULL)
    return;
  got->disk->fail_after = UINT64_MAX;
  if (got->past != PH_PAST_UNKNOWN || got->told[PH_SESSION_EVENT_STALLED] == life->unstalled)
    return;
  life->unstalled = got->told[PH_SESSION_EVENT_STALLED];
  if (!ph_session_unstall (device->session->session, now, &got->id, ph_memory_sink_new (got->disk)))
    fail (life, "does not go on after a stall");
  ph_sim_driver_settle (device->driver);
}

static void
break_disk (Life *life, PhStorageError error)
{
  PhPeerTransfer *got = life_got (life);

  if (got == NULL || got->disk == NULL)
    return;
  got->disk->fail_after = got->disk->bytes_written + ph_random_below (life->random, SIZE / 2);
  got->disk->fail_error = error;
  ph_sim_stack_run (life->stack, some_seconds (life, 8));
  mend_disk (life);
}

static void
crash (Life *life, PhSimWho who)
{
  PhPeerTransfer *got;

  ph_sim_stack_crash (life->stack, who);
  got = life_got (life);
  /* It begins anew with a disk that it knows nothing bad of. */
  if (got != NULL && who == life_receiver (life)->who)
    life->unstalled = got->told[PH_SESSION_EVENT_STALLED];
}

/* --- Troubles ----------------------------------------------------------------------------------- */

/* The machine slept, or the program was stopped, and nobody tells that the network may be another. */
static void
jump (Life *life, PhSimWho who, PhTime interval)
{
  PhSimDriver *driver = life->stack->device[who].driver;

  ph_sim_driver_sleep (driver, true);
  ph_sim_stack_run (life->stack, interval);
  ph_sim_driver_sleep (driver, false);
  ph_sim_driver_settle (driver);
}

static const char *const trouble_names[] = {
    "cut",           "crash",          "mappings forgotten", "loss",
    "moved",         "slept",          "small packets only", "no rendezvous",
    "other address", "relay restarts", "relay dead",         "disk full",
    "folder gone",   "clock jumps",    "both crash",
};

static void
trouble (Life *life)
{
  const unsigned kind = (unsigned)ph_random_below (life->random, G_N_ELEMENTS (trouble_names));
  const PhSimWho who = (PhSimWho)ph_random_below (life->random, 2);
  PhSimIface *line = life->world->line[who];
  PhSimTurn *relay = life->stack->turn[0];
  PhAddr ip = ph_addr_ipv4 (192, 168, 1, 0, 0);

  g_string_append_printf (life->story, "%s %.1f s %s %s", life->troubles > 0 ? "," : "",
                          (double)(ph_sim_now (life->world->sim) - PH_SIM_START) / (double)PH_SEC,
                          life->stack->device[who].name, trouble_names[kind]);
  life->troubles++;
  switch (kind) {
  case 0:
    ph_sim_iface_cut (line, true);
    ph_sim_stack_run (life->stack, some_seconds (life, 15));
    ph_sim_iface_cut (line, false);
    break;
  case 1:
    crash (life, who);
    break;
  case 2:
    ph_sim_nat_forget (life->world->nat[who]);
    break;
  case 3:
    ph_sim_iface_up (line)->loss_ppm = 50000;
    break;
  case 4:
    ip.ip[3] = (uint8_t)(10 + ph_random_below (life->random, 200));
    ph_sim_stack_move (life->stack, who, &ip);
    break;
  case 5:
    ph_sim_stack_sleep (life->stack, who, some_seconds (life, 90));
    break;
  case 6:
    ph_sim_iface_down (line)->mtu = 1280;
    break;
  case 7:
    ph_sim_stack_set_signalling (life->stack, false);
    ph_sim_stack_run (life->stack, some_seconds (life, 10));
    ph_sim_stack_set_signalling (life->stack, true);
    break;
  case 8:
    ip =
        ph_addr_ipv4 (203, 0, 113, (uint8_t)(40 + 10 * ph_random_below (life->random, 8) + who), 0);
    ph_sim_nat_change_address (life->world->nat[who], &ip);
    break;
  case 9:
    ph_sim_turn_restart (relay);
    break;
  case 10:
    relay->view.dead = true;
    ph_sim_stack_run (life->stack, some_seconds (life, 20));
    relay->view.dead = false;
    break;
  case 11:
    break_disk (life, PH_STORAGE_NO_SPACE);
    break;
  case 12:
    break_disk (life, PH_STORAGE_UNWRITABLE);
    break;
  case 13:
    jump (life, who, some_seconds (life, 100));
    break;
  case 14:
    crash (life, PH_SIM_LEFT);
    crash (life, PH_SIM_RIGHT);
    break;
  default:
    g_assert_not_reached ();
  }
}

/* --- Lives -------------------------------------------------------------------------------------- */

/* A file at 250 kB/s, some of it on its way. Every fourth pair has nothing but the relay. */
static void
life_begin (Life *self, uint64_t seed)
{
  PhSimStackOptions options = {.relays = 1, .tcp = seed / 4 % 2 == 0};

  *self = (Life){.seed = seed, .story = g_string_new (NULL)};
  for (unsigned who = 0; who < 2; who++) {
    self->box[who] = (PhSimNatConfig){
        .filtering = (PhSimDependence)(seed / (who == 0 ? 1 : 3) % 3),
        .timeout_interval = 30 * PH_SEC,
    };
    if (seed % 4 == 3) {
      self->box[who].mapping = self->box[who].filtering = PH_SIM_APD;
      self->box[who].ports = PH_SIM_PORT_RANDOM;
    }
  }
  self->plan = (PhSimPlan){
      .seed = seed,
      .side = {{&self->box[0]}, {&self->box[1]}},
      .line = {{.delay = 12 * PH_MSEC, .rate = 250000}, {.delay = 13 * PH_MSEC}},
  };
  self->world = ph_sim_world_new (&self->plan);
  self->stack = ph_sim_stack_new (self->world, &options);
  self->random = ph_sim_random_for (self->world->sim, "trouble");
  self->sent = ph_sim_stack_send_one (self->stack, (PhSimWho)!life_receiver (self)->who, SIZE);
  if (!ph_sim_stack_run_ready (self->stack, 10 * PH_SEC))
    fail (self, "does not connect");
}

static void
life_clear (Life *self)
{
  ph_sim_world_free (self->world);
  g_string_free (self->story, TRUE);
}

static void
check (const Life *life)
{
  const PhPeerTransfer *got = life_got (life);
  const uint64_t again_max = (uint64_t)life->troubles * AGAIN;

  if (life->sent->past != PH_PAST_RECEIVED || got == NULL || got->past != PH_PAST_RECEIVED)
    fail (life, "ended as %d", life->sent->past);
  ph_memory_disk_check (got->disk, life->sent->files);
  if (life->sent->told[PH_SESSION_EVENT_DELIVERED] != 1)
    fail (life, "told %u times", life->sent->told[PH_SESSION_EVENT_DELIVERED]);
  if (got->disk->bytes_written > SIZE + again_max)
    fail (life, "%" G_GUINT64_FORMAT " bytes written", got->disk->bytes_written);
  /* A link may be dead before its hello, or be that of a program before its crash; nothing else is to complain of. */
  for (int who = 0; who < 2; who++) {
    const PhSessionPeer *peer = life->stack->device[who].session;

    if (peer->link_code != PH_SESSION_CODE_NONE && peer->link_code != PH_SESSION_CODE_SILENT)
      fail (life, "%s complains: %" G_GUINT64_FORMAT, peer->name, peer->link_code);
  }
}

/* After how long, from the last trouble on, it was there. */
static PhTime
play (uint64_t seed)
{
  Life life;
  PhTime from, now;

  life_begin (&life, seed);
  while (life.troubles < TROUBLES_MAX && life.sent->past == PH_PAST_UNKNOWN) {
    ph_sim_stack_run (life.stack, some_seconds (&life, 2));
    trouble (&life);
  }
  from = now = ph_sim_now (life.world->sim);
  while (!ph_sim_stack_run_over (life.stack, life.sent, 5 * PH_SEC)) {
    mend_disk (&life);
    now = ph_sim_now (life.world->sim);
    if (now > from + PATIENCE)
      fail (&life, "does not arrive");
  }
  now = ph_sim_now (life.world->sim);
  check (&life);
  life_clear (&life);
  return now - from;
}

static void
test_lives (void)
{
  g_autoptr (GArray) times = g_array_new (FALSE, FALSE, sizeof (PhTime));
  g_autofree char *text = NULL;
  const uint64_t runs = ph_sim_runs (1000, 100000);

  for (uint64_t i = 0; i < runs; i++) {
    const PhTime took = play (ph_test_seed () + i);

    g_array_append_val (times, took);
  }
  text = ph_sim_times_format (times);
  g_test_message ("%u lives; delivered after the last trouble: %s", times->len, text);
  if (runs >= 100)
    g_assert_cmpuint (ph_sim_percentile (times, 95), <=, 40 * PH_SEC);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/chaos-sim/lives", test_lives);
  return g_test_run ();
}
