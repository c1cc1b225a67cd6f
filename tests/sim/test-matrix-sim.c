/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whole devices, a relay among what they have, between every pair of kinds of NAT: mapping x filtering x ports,
 * behind one box or two, carriers that turn packets round and such that do not, lines that delay and lose.
 * Everybody connects and a file arrives; a direct path comes about wherever the oracle says that there is
 * one, by guessed ports too, and nowhere else.
 *
 * A seed says the pair, the place and everything else: seeds that follow each other go through all pairs, and
 * PH_SEED=N PH_RUNS=1 plays one alone. A table shows the share of direct connections of every pair. */

#include "tests/sim/ph-sim-stack.h"
#include "tests/support/ph-test.h"

/* --- Kinds -------------------------------------------------------------------------------------- */

/* "open", three with EI mapping (whose ports are drawn: they matter little), and 2 x 3 x 4 others. */
#define N_EI 3
#define N_PORTS 4
#define N_KINDS (1 + N_EI + 2 * 3 * N_PORTS)
#define N_PAIRS (N_KINDS * (N_KINDS + 1) / 2)

typedef enum {
  APART,
  CARRIERS, /* one or both are behind a carrier of their own too */
  HAIRPIN, /* both are behind one carrier, that turns packets round */
  NO_HAIRPIN,
  N_PLACES,
} Place;

static const char *const place_names[] = {"apart", "behind carriers", "behind one carrier",
                                          "behind one carrier without hairpin"};

/* What the oracle expects. */
typedef enum {
  CERTAIN,
  WINDOW,
  MEET,
  BIRTHDAY,
  RELAY,
  UNKNOWN,
  N_THEORIES,
} Theory;

static const char *const theory_names[] = {"direct",
                                           "direct by a predicted port",
                                           "direct by two predicted ports",
                                           "direct by a birthday",
                                           "relayed",
                                           "either"};

static bool
is_guessed (Theory theory)
{
  return theory == WINDOW || theory == MEET || theory == BIRTHDAY;
}

/* False: there is no box. */
static bool
kind_box (unsigned kind, PhSimNatConfig *ret_box)
{
  if (kind == 0)
    return false;
  if (kind <= N_EI) {
    *ret_box = (PhSimNatConfig){.filtering = (PhSimDependence)(kind - 1)};
    return true;
  }
  kind -= 1 + N_EI;
  *ret_box = (PhSimNatConfig){
      .mapping = kind / (3 * N_PORTS) == 0 ? PH_SIM_AD : PH_SIM_APD,
      .filtering = (PhSimDependence)(kind / N_PORTS % 3),
      .ports = (PhSimPorts)(kind % N_PORTS),
  };
  return true;
}

static char *
kind_name (unsigned kind)
{
  PhSimNatConfig box;
  g_autofree char *text = NULL;

  if (!kind_box (kind, &box))
    return g_strdup ("open");
  text = ph_sim_nat_config_format (&box);
  if (box.mapping == PH_SIM_EI)
    *strchr (text, ' ') = '\0';
  return g_steal_pointer (&text);
}

/* The pair number `pair`, the smaller kind first. */
static void
pair_kinds (unsigned pair, unsigned kinds[2])
{
  kinds[0] = 0;
  for (unsigned row = N_KINDS; pair >= row; row--) {
    pair -= row;
    kinds[0]++;
  }
  kinds[1] = kinds[0] + pair;
}

/* --- Drawing ------------------------------------------------------------------------------------ */

typedef struct {
  PhSimScene scene;
  unsigned kinds[2]; /* of the pair, not of left and right */
  Place place;
  Theory theory;
  bool tcp;
} Case;

static void
draw_box (const PhRandom *random, unsigned kind, PhSimNatConfig *box)
{
  static const int steps[] = {1, 1, 2, -1};

  if (kind <= N_EI)
    box->ports = (PhSimPorts)ph_random_below (random, N_PORTS);
  box->port_step = steps[ph_random_below (random, G_N_ELEMENTS (steps))];
  /* What MEET and WINDOW are for, see net/punch: busier boxes are test-punch-sim.c's. */
  box->other_rate = ph_random_below (random, 2) == 0 ? (uint32_t)ph_random_below (random, 20) : 0;
  box->hairpin = ph_random_below (random, 2) == 0;
  box->refresh_inbound = ph_random_below (random, 2) == 0;
  box->timeout_interval = ph_random_below (random, 2) == 0 ? 120 * PH_SEC : 60 * PH_SEC;
}

static void
draw_line (const PhRandom *random, PhSimCable *line)
{
  *line = (PhSimCable){
      .delay = (1 + ph_random_below (random, 60)) * PH_MSEC,
      .jitter = ph_random_below (random, 10) * PH_MSEC,
      .rate = 4000000,
      .loss_ppm = ph_random_below (random, 2) == 0 ? (uint32_t)ph_random_below (random, 30000) : 0,
      .duplicate_ppm = (uint32_t)ph_random_below (random, 10000),
      .reorder_ppm = (uint32_t)ph_random_below (random, 20000),
      .reorder_delay = ph_random_below (random, 50) * PH_MSEC,
  };
}

static void
draw_side (Case *self, const PhRandom *random, int who, unsigned kind)
{
  PhSimScene *scene = &self->scene;
  PhSimSide *side = &scene->plan.side[who];
  const bool shares = self->place == HAIRPIN || self->place == NO_HAIRPIN;

  draw_line (random, &scene->plan.line[who]);
  if (kind_box (kind, &scene->own[who])) {
    side->own = &scene->own[who];
    draw_box (random, kind, &scene->own[who]);
  }
  /* RFC 6888 wants EI mapping of a carrier; with another one the rules of nesting say little. */
  scene->carrier[who] = (PhSimNatConfig){
      .filtering = (PhSimDependence)ph_random_below (random, 3),
      .ports = (PhSimPorts)ph_random_below (random, N_PORTS),
      .hairpin = self->place != NO_HAIRPIN,
  };
  if (shares)
    side->carrier = &scene->carrier[0];
  else if (self->place == CARRIERS && (who == 0 || ph_random_below (random, 2) == 0))
    side->carrier = &scene->carrier[who];
}

static PhAddr
nat64_net (void)
{
  PhAddr net;

  g_assert_true (ph_addr_parse ("64:ff9b::", 0, &net));
  return net;
}

static Theory
ask_oracle (const PhSimPlan *plan)
{
  static const Theory guessed[] = {
      [PH_SIM_GUESS_NONE] = RELAY,   [PH_SIM_GUESS_WINDOW] = WINDOW,     [PH_SIM_GUESS_MEET] = MEET,
      [PH_SIM_GUESS_WIDE] = UNKNOWN, [PH_SIM_GUESS_BIRTHDAY] = BIRTHDAY,
  };

  switch (ph_sim_plan_direct (plan)) {
  case PH_SIM_DIRECT_YES:
    return CERTAIN;
  case PH_SIM_DIRECT_UNKNOWN:
    return UNKNOWN;
  case PH_SIM_DIRECT_NO:
  default:
    return guessed[ph_sim_oracle_guess (&plan->side[0], &plan->side[1], plan->nearness)];
  }
}

static void
case_draw (Case *self, uint64_t seed)
{
  PhSimPlan *plan = &self->scene.plan;
  PhRandomSeeded state;
  PhRandom random;
  int turned;

  ph_random_seeded_init (&state, seed ^ UINT64_C (0x6d6174726978));
  random = ph_random_seeded (&state);
  *self = (Case){.place = (Place)(seed / N_PAIRS % N_PLACES)};
  pair_kinds ((unsigned)(seed % N_PAIRS), self->kinds);
  /* Who has no box shares none. */
  if (self->kinds[0] == 0 && self->place != CARRIERS)
    self->place = APART;
  plan->seed = seed;
  if (self->place == HAIRPIN || self->place == NO_HAIRPIN)
    plan->nearness = PH_SIM_SAME_CARRIER;
  turned = (int)ph_random_below (&random, 2);
  for (int who = 0; who < 2; who++)
    draw_side (self, &random, who, self->kinds[who ^ turned]);
  self->tcp = ph_random_below (&random, 2) == 0;
  /* To the peer, and by the oracle's rules, a translator from IPv6 is a NAT like any other. */
  for (int who = 0; who < 2; who++) {
    if (ph_random_below (&random, 8) == 0)
      self->scene.own[who].nat64 = (PhNat64Prefix){.net = nat64_net (), .len = 96};
  }
  self->theory = ask_oracle (plan);
}

/* --- Playing ------------------------------------------------------------------------------------ */

static void G_GNUC_PRINTF (2, 3) G_GNUC_NORETURN fail (const Case *self, const char *format, ...)
{
  g_autofree char *text = ph_sim_plan_format (&self->scene.plan);
  g_autofree char *what = NULL;
  va_list args;

  va_start (args, format);
  what = g_strdup_vprintf (format, args);
  g_error ("%s, %s, expected %s: %s (again: PH_SEED=%" G_GUINT64_FORMAT " PH_RUNS=1)", text,
           place_names[self->place], theory_names[self->theory], what, self->scene.plan.seed);
}

static bool
is_direct (void *user)
{
  const PhSimStack *stack = user;

  for (int who = 0; who < 2; who++) {
    const PhSimDevice *device = &stack->device[who];
    const PhLink *link = ph_session_current_link (device->session->session);
    PhPath path;

    if (link == NULL
        || !ph_connector_link_path (ph_endpoint_find_peer (device->base.endpoint, device->contact),
                                    link, &path)
        || path.kind == PH_PATH_RELAY)
      return false;
  }
  return true;
}

/* Ordinary checks find in less what they find; a first attempt at guessing takes 1.5 s of patience and 11 s. */
#define CHECKS_INTERVAL (20 * PH_SEC)
#define FIRST_ATTEMPT (16 * PH_SEC)
/* All of them, a minute apart: the budget of one connection. */
#define ALL_ATTEMPTS (5 * 75 * PH_SEC)

/* After how long it was direct; PH_NEVER: it was not. */
static PhTime
play (const Case *self)
{
  const PhSimPlan *plan = &self->scene.plan;
  const PhSimStackOptions options = {.relays = 1, .guesses = true, .tcp = self->tcp};
  g_autoptr (PhSimWorld) world = ph_sim_world_new (plan);
  PhSimStack *stack = ph_sim_stack_new (world, &options);
  const PhPeerTransfer *sent, *got;
  PhTime from, until, took = PH_NEVER;

  ph_sim_stack_run (stack, PH_SEC); /* the programs have been running for a while */
  from = ph_sim_now (world->sim);
  sent = ph_sim_stack_send_one (stack, plan->seed % 3 == 0 ? PH_SIM_LEFT : PH_SIM_RIGHT, 50000);
  if (!ph_sim_stack_run_ready (stack, 10 * PH_SEC))
    fail (self, "does not connect");
  ph_sim_stack_want (stack, PH_SIM_LEFT);
  ph_sim_stack_want (stack, PH_SIM_RIGHT);
  until = from + (is_guessed (self->theory) ? ALL_ATTEMPTS : CHECKS_INTERVAL);
  if (ph_sim_run_while_not (world->sim, until, is_direct, stack))
    took = ph_sim_now (world->sim) - from;

  if (!ph_sim_stack_run_over (stack, sent, 30 * PH_SEC) || sent->past != PH_PAST_RECEIVED)
    fail (self, "the file does not arrive");
  got = ph_sim_stack_twin (stack, sent);
  ph_memory_disk_check (got->disk, sent->files);
  g_assert_cmpuint (sent->told[PH_SESSION_EVENT_DELIVERED], ==, 1);
  return took;
}

/* --- Counting ----------------------------------------------------------------------------------- */

typedef struct {
  unsigned runs;
  unsigned direct; /* soon: without a second attempt at guessing */
  bool guessed;
} Cell;

typedef struct {
  unsigned runs;
  unsigned direct;
  unsigned soon;
  GArray *times; /* PhTime, of those that are direct */
} Total;

static Cell cells[N_PLACES][N_KINDS][N_KINDS];
static Total totals[N_THEORIES];

static void
count (const Case *self, PhTime took)
{
  Cell *cell = &cells[self->place][self->kinds[0]][self->kinds[1]];
  Total *total = &totals[self->theory];
  const bool soon = took <= FIRST_ATTEMPT;

  cell->runs++;
  cell->direct += soon;
  cell->guessed |= soon && is_guessed (self->theory);
  total->runs++;
  total->soon += soon;
  if (took == PH_NEVER)
    return;
  total->direct++;
  g_array_append_val (total->times, took);
}

/* One sign a pair: 'D' all direct, 'g' the same, but guessed, '-' all relayed, digits: the share in tenths. */
static char
cell_sign (const Cell *cell)
{
  if (cell->runs == 0)
    return ' ';
  if (cell->direct == 0)
    return '-';
  if (cell->direct < cell->runs)
    return (char)('0' + cell->direct * 10 / cell->runs);
  return cell->guessed ? 'g' : 'D';
}

static void
print_table (Place place)
{
  g_test_message ("%s: D all direct, g guessed, - relayed, 1 to 9 tenths of them direct",
                  place_names[place]);
  for (unsigned row = 0; row < N_KINDS; row++) {
    char line[N_KINDS + 1] = {0};
    g_autofree char *name = kind_name (row);

    for (unsigned column = 0; column < N_KINDS; column++)
      line[column] = cell_sign (&cells[place][MIN (row, column)][MAX (row, column)]);
    g_test_message ("  %-18s %s", name, line);
  }
}

static void
print_totals (void)
{
  for (int i = 0; i < N_THEORIES; i++) {
    const Total *total = &totals[i];
    g_autofree char *times = ph_sim_times_format (total->times);

    g_test_message ("expected %s: %u runs, %u direct, %u soon; %s", theory_names[i], total->runs,
                    total->direct, total->soon, times);
  }
}

static void
judge (const Case *self, PhTime took)
{
  if (took == PH_NEVER && self->theory != RELAY && self->theory != UNKNOWN)
    fail (self, "stays relayed");
  if (took != PH_NEVER && self->theory == RELAY)
    fail (self, "is direct after %" G_GUINT64_FORMAT " ms", took / PH_MSEC);
}

static void
test_every_pair (void)
{
  const uint64_t runs = ph_sim_runs (1000, UINT64_C (1000) * N_PAIRS);

  for (int i = 0; i < N_THEORIES; i++)
    totals[i].times = g_array_new (FALSE, FALSE, sizeof (PhTime));
  for (uint64_t i = 0; i < runs; i++) {
    Case one;
    PhTime took;

    case_draw (&one, ph_test_seed () + i);
    took = play (&one);
    judge (&one, took);
    count (&one, took);
  }
  for (Place place = APART; place <= HAIRPIN; place++)
    print_table (place);
  print_totals ();
  for (int i = 0; i < N_THEORIES; i++) {
    /* The first attempt at guessing is lost with a packet that is sent once, or a measurement that comes late. */
    if (totals[i].runs >= 20 && is_guessed ((Theory)i))
      g_assert_cmpuint (totals[i].soon * 100, >=, totals[i].runs * 95);
    g_array_unref (totals[i].times);
  }
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/matrix-sim/every-pair", test_every_pair);
  return g_test_run ();
}
