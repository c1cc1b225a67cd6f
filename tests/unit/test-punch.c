/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Plans for guessing ports: that both sides' fit, that their packets meet, and that budgets are kept. */

#include "net/punch/ph-punch-plan.h"
#include "tests/support/ph-test.h"

static void
test_plans (void)
{
  const PhPunchNat strict = {.kind = PH_PUNCH_NAT_STRICT}, easy = {.kind = PH_PUNCH_NAT_EASY};
  const PhPunchNat random = {.kind = PH_PUNCH_NAT_RANDOM}, unknown = {0};
  const PhPunchNat sequential = {PH_PUNCH_NAT_SEQUENTIAL, 1};
  const PhPunchNat *const nats[] = {&unknown, &easy, &strict, &sequential, &random};

  /* Nobody guesses alone. */
  for (size_t i = 0; i < G_N_ELEMENTS (nats); i++) {
    for (size_t k = 0; k < G_N_ELEMENTS (nats); k++) {
      const PhPunchPlan mine = ph_punch_plan (nats[i], nats[k]);
      const PhPunchPlan theirs = ph_punch_plan (nats[k], nats[i]);

      g_assert_cmpint (mine == PH_PUNCH_NONE, ==, theirs == PH_PUNCH_NONE);
      g_assert_cmpint (ph_punch_is_told (mine), ==, ph_punch_predicts (theirs));
    }
  }
  g_assert_cmpint (ph_punch_plan (&strict, &random), ==, PH_PUNCH_PROBE_RANDOM);
  g_assert_cmpint (ph_punch_plan (&random, &strict), ==, PH_PUNCH_OPEN_MANY);
  g_assert_cmpint (ph_punch_plan (&random, &random), ==, PH_PUNCH_NONE);
  g_assert_cmpint (ph_punch_plan (&random, &sequential), ==, PH_PUNCH_NONE);
  g_assert_cmpint (ph_punch_plan (&strict, &strict), ==, PH_PUNCH_NONE);
  g_assert_cmpint (ph_punch_plan (&easy, &random), ==, PH_PUNCH_NONE);
}

static void
test_verdicts (void)
{
  PhNatVerdict v = {.mapping = PH_NAT_ENDPOINT_INDEPENDENT};

  g_assert_cmpint (ph_punch_nat (&v).kind, ==, PH_PUNCH_NAT_STRICT); /* filtering unknown */
  v.filtering = PH_NAT_ADDRESS_DEPENDENT;
  g_assert_cmpint (ph_punch_nat (&v).kind, ==, PH_PUNCH_NAT_EASY);
  v.mapping = PH_NAT_ADDRESS_AND_PORT_DEPENDENT;
  g_assert_cmpint (ph_punch_nat (&v).kind, ==, PH_PUNCH_NAT_RANDOM);
  v.ports = PH_NAT_PORTS_SEQUENTIAL;
  v.port_step = -2;
  g_assert_cmpint (ph_punch_nat (&v).kind, ==, PH_PUNCH_NAT_SEQUENTIAL);
  g_assert_cmpint (ph_punch_nat (&v).step, ==, -2);
  v = (PhNatVerdict){0};
  g_assert_cmpint (ph_punch_nat (&v).kind, ==, PH_PUNCH_NAT_UNKNOWN);
}

/* All packets of a run, as fast as it lets them go; how long that takes. */
static GArray *
play (PhPunchPlan plan, bool first, uint16_t port, int step, PhTime *ret_took)
{
  GArray *packets = g_array_new (FALSE, FALSE, sizeof (PhPunchPacket));
  PhRandomSeeded state;
  PhRandom random = ph_test_random (&state, "run");
  PhPunchPacket packet;
  PhTime now = PH_SEC;
  PhPunchRun run;

  ph_punch_run_start (&run, now, plan, first, port, step, &random);
  for (PhTime next; (next = ph_punch_run_next_timeout (&run)) != PH_NEVER; now = next) {
    now = next;
    g_assert_true (ph_punch_run_poll (&run, now, &packet));
    g_assert_false (ph_punch_run_poll (&run, now, &packet));
    g_array_append_val (packets, packet);
  }
  *ret_took = now - PH_SEC;
  return packets;
}

static void
test_random_budget (void)
{
  PhTime took;
  g_autoptr (GArray) packets = play (PH_PUNCH_PROBE_RANDOM, true, 5000, 0, &took);
  g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);

  g_assert_cmpuint (packets->len, ==, PH_PUNCH_PROBES_MAX);
  g_assert_cmpuint (took, >=, (packets->len - 1) * PH_PUNCH_INTERVAL);
  for (guint i = 0; i < packets->len; i++) {
    const guint port = g_array_index (packets, PhPunchPacket, i).port;

    g_assert_cmpuint (port, >=, 1024);
    g_assert_true (g_hash_table_add (seen, GUINT_TO_POINTER (port))); /* none twice */
  }
  /* 256 sockets whose ports are in a row are not missed. */
  for (guint port = 1024, miss = 0; port < 65536; port++) {
    miss = g_hash_table_contains (seen, GUINT_TO_POINTER (port)) ? 0 : miss + 1;
    g_assert_cmpuint (miss, <, PH_PUNCH_SOCKETS_MAX / 3);
  }
}

static void
test_window (void)
{
  static const struct {
    uint16_t port;
    int step;
    unsigned taken; /* by others, since it was measured */
  } cases[] = {{4000, 1, 0}, {4000, 2, 31}, {65530, 1, 20}, {1030, -1, 12}, {2000, -3, 31}};

  for (size_t c = 0; c < G_N_ELEMENTS (cases); c++) {
    PhTime took;
    g_autoptr (GArray) packets =
        play (PH_PUNCH_PROBE_WINDOW, true, cases[c].port, cases[c].step, &took);
    int port = cases[c].port;
    bool hit = false;

    for (unsigned i = 0; i < cases[c].taken; i++) {
      port += cases[c].step;
      port = port > 65535 ? port - 64512 : port < 1024 ? port + 64512 : port;
    }
    for (guint i = 0; i < packets->len; i++)
      hit |= g_array_index (packets, PhPunchPacket, i).port == port;
    g_assert_true (hit);
    g_assert_cmpuint (took, <, PH_SEC);
  }
}

/* Whatever others have taken on both sides meanwhile, one packet of each goes where the other comes from. */
static void
test_meet (void)
{
  for (unsigned a = 0; a < 16; a++) {
    for (unsigned b = 0; b < 16; b++) {
      PhTime took;
      g_autoptr (GArray) first = play (PH_PUNCH_MEET, true, 20000, 2, &took);
      g_autoptr (GArray) second = play (PH_PUNCH_MEET, false, 40000, -1, &took);
      bool met = false;

      /* The first side has ports 40000, 39999..., the other 20000, 20002...; a and b are gone. */
      for (guint i = 0; i < 2 * PH_PUNCH_WINDOW; i++) {
        for (guint k = 0; k < 2 * PH_PUNCH_WINDOW; k++)
          met |= g_array_index (first, PhPunchPacket, i).port == 20000 + 2 * (k + b)
                 && g_array_index (second, PhPunchPacket, k).port == 40000 - (i + a);
      }
      g_assert_true (met);
    }
  }
}

/* The packets of a first round of the one side, then of the other, both of whose ports come of one sequence; `lost`
 * of the first side's take none. Whether one of each goes where the other comes from. */
static bool
meet_in_turns (unsigned taken, unsigned lost)
{
  static const PhPunchNat nat = {.kind = PH_PUNCH_NAT_SEQUENTIAL, .step = 1};
  const uint16_t next[2] = {20000, 20001};
  PhPunchPacket packets[2][2 * PH_PUNCH_WINDOW];
  PhTime last[2] = {0}, begun[2] = {0};
  PhRandomSeeded state;
  PhRandom random = ph_test_random (&state, "run");
  bool met = false;

  for (int who = 0; who < 2; who++) {
    PhPunchRun run;

    ph_punch_run_start (&run, PH_SEC, PH_PUNCH_MEET, who == 0, next[!who], 1, &random);
    ph_punch_run_take_turns (&run, &nat);
    for (unsigned i = 0; i < 2 * PH_PUNCH_WINDOW; i++) {
      last[who] = ph_punch_run_next_timeout (&run);
      begun[who] = i == 0 ? last[who] : begun[who];
      g_assert_true (ph_punch_run_poll (&run, last[who], &packets[who][i]));
    }
    /* The first waits with answers until the other has had its turn. */
    g_assert_true (ph_punch_run_takes_ports (&run, last[who] + (who == 0 ? 700 * PH_MSEC : 0)));
  }
  g_assert_cmpuint (begun[1], >, last[0]);
  for (unsigned i = lost; i < 2 * PH_PUNCH_WINDOW && !met; i++) {
    const guint first_port = 20001 + taken + i - lost;

    for (unsigned k = 0; k < 2 * PH_PUNCH_WINDOW; k++) {
      const guint second_port = 20001 + taken + 2 * PH_PUNCH_WINDOW - lost + k;

      met |= packets[0][i].port == second_port && packets[1][k].port == first_port;
    }
  }
  return met;
}

static void
test_meet_in_turns (void)
{
  for (unsigned taken = 0; taken < 16; taken++) {
    for (unsigned lost = 0; lost < 4; lost++)
      g_assert_true (meet_in_turns (taken, lost));
  }
}

static void
test_one_sequence (void)
{
  const PhPunchNat up = {.kind = PH_PUNCH_NAT_SEQUENTIAL, .step = 1};
  const PhPunchNat down = {.kind = PH_PUNCH_NAT_SEQUENTIAL, .step = -1};
  const PhAddr a = ph_addr_ipv4 (203, 0, 113, 1, 5000), b = ph_addr_ipv4 (203, 0, 113, 1, 5003);
  const PhAddr far = ph_addr_ipv4 (203, 0, 113, 1, 9000),
               other = ph_addr_ipv4 (203, 0, 113, 2, 5003);

  g_assert_true (ph_punch_one_sequence (&up, &a, &up, &b));
  g_assert_true (ph_punch_one_sequence (&down, &b, &down, &a));
  g_assert_false (ph_punch_one_sequence (&up, &a, &down, &b));
  g_assert_false (ph_punch_one_sequence (&up, &a, &up, &far));
  g_assert_false (ph_punch_one_sequence (&up, &a, &up, &other));
}

static bool
goes_to (GArray *packets, guint port)
{
  bool any = false;

  for (guint i = 0; i < packets->len; i++)
    any |= g_array_index (packets, PhPunchPacket, i).port == port;
  return any;
}

/* NATs with one port for each address, whatever the port there: each side finds the other's. */
static void
test_meet_one_port (void)
{
  for (unsigned taken = 0; taken < 2 * PH_PUNCH_WINDOW; taken++) {
    PhTime took;
    g_autoptr (GArray) first = play (PH_PUNCH_MEET, true, 20000, 2, &took);
    g_autoptr (GArray) second = play (PH_PUNCH_MEET, false, 40000, -1, &took);

    g_assert_true (goes_to (first, 20000 + 2 * taken));
    g_assert_true (goes_to (second, 40000 - taken));
    g_assert_cmpuint (took, <, 2 * PH_SEC);
  }
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/punch/plans", test_plans);
  g_test_add_func ("/punch/verdicts", test_verdicts);
  g_test_add_func ("/punch/random-budget", test_random_budget);
  g_test_add_func ("/punch/window", test_window);
  g_test_add_func ("/punch/meet", test_meet);
  g_test_add_func ("/punch/meet-in-turns", test_meet_in_turns);
  g_test_add_func ("/punch/one-sequence", test_one_sequence);
  g_test_add_func ("/punch/meet-one-port", test_meet_one_port);
  return g_test_run ();
}
