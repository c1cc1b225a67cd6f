/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The simulated network itself: clock, cables, routing, sockets. */

#include "tests/sim/ph-sim.h"
#include "tests/support/ph-test.h"

/* Two hosts on one segment. */
typedef struct {
  PhSim *sim;
  PhSimSegment *lan;
  PhSimHost *a;
  PhSimHost *b;
  PhSimIface *a_iface;
  PhSimIface *b_iface;
  PhAddr a_addr;
  PhAddr b_addr;
  uint32_t a_socket;
  uint32_t b_socket;
  GArray *seen; /* Seen, of b */
} Pair;

typedef struct {
  PhTime when;
  uint32_t number;
  size_t len;
  PhAddr from;
} Seen;

static void
on_receive (void *user, PhTime now, const PhDatagram *in)
{
  Pair *pair = user;
  PhReader r = ph_reader (in->bytes);
  const Seen seen = {now, ph_read_u32 (&r), in->bytes.len, in->remote};

  g_array_append_val (pair->seen, seen);
}

static Pair *
pair_new (uint64_t seed)
{
  Pair *pair = g_new0 (Pair, 1);

  pair->sim = ph_sim_new (seed);
  pair->lan = ph_sim_segment_new (pair->sim, "lan", 0);
  pair->a = ph_sim_host_new (pair->sim, "a");
  pair->b = ph_sim_host_new (pair->sim, "b");
  pair->a_addr = ph_addr_ipv4 (10, 0, 0, 1, 0);
  pair->b_addr = ph_addr_ipv4 (10, 0, 0, 2, 5000);
  pair->a_iface = ph_sim_host_attach (pair->a, pair->lan, &pair->a_addr);
  pair->b_iface = ph_sim_host_attach (pair->b, pair->lan, &pair->b_addr);
  pair->a_socket = ph_sim_host_open (pair->a, &pair->a_addr, &pair->a_addr);
  pair->b_socket = ph_sim_host_open (pair->b, &pair->b_addr, NULL);
  g_assert_cmpuint (pair->a_socket, !=, 0);
  g_assert_cmpuint (pair->b_socket, !=, 0);
  pair->seen = g_array_new (FALSE, FALSE, sizeof (Seen));
  ph_sim_host_set_receive (pair->b, on_receive, pair);
  return pair;
}

static void
pair_free (Pair *pair)
{
  ph_sim_free (pair->sim);
  g_array_unref (pair->seen);
  g_free (pair);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Pair, pair_free)

/* Sends numbered packets of `len` bytes, `every` apart. */
static void
pair_send (Pair *pair, uint32_t count, size_t len, PhTime every)
{
  g_autofree uint8_t *bytes = g_malloc0 (len);

  for (uint32_t i = 0; i < count; i++) {
    PhWriter w = ph_writer (bytes, len);

    ph_write_u32 (&w, i);
    g_assert_true (
        ph_sim_host_send_bytes (pair->a, pair->a_socket, &pair->b_addr, ph_slice (bytes, len)));
    if (every > 0)
      ph_sim_run (pair->sim, ph_sim_now (pair->sim) + every);
  }
  ph_sim_run (pair->sim, ph_sim_now (pair->sim) + 10 * PH_SEC);
}

static const Seen *
pair_seen (const Pair *pair, guint i)
{
  g_assert_cmpuint (i, <, pair->seen->len);
  return &g_array_index (pair->seen, Seen, i);
}

/* --- Clock -------------------------------------------------------------------------------------- */

typedef struct {
  GString *log;
  char letter;
} Mark;

static void
on_mark (void *user, PhTime now)
{
  Mark *mark = user;

  g_string_append_c (mark->log, mark->letter);
}

static void
test_events_run_in_order (void)
{
  g_autoptr (PhSim) sim = ph_sim_new (1);
  g_autoptr (GString) log = g_string_new (NULL);
  Mark a = {log, 'a'}, b = {log, 'b'}, c = {log, 'c'}, d = {log, 'd'};

  ph_sim_at (sim, PH_SIM_START + 5, on_mark, &b);
  ph_sim_at (sim, PH_SIM_START + 5, on_mark, &c);
  ph_sim_at (sim, PH_SIM_START + 1, on_mark, &a);
  ph_sim_cancel (sim, ph_sim_at (sim, PH_SIM_START + 2, on_mark, &d));
  ph_sim_at (sim, PH_SIM_START + 50, on_mark, &d);
  g_assert_cmpuint (ph_sim_at (sim, PH_NEVER, on_mark, &d), ==, 0);
  ph_sim_run (sim, PH_SIM_START + 10);
  g_assert_cmpstr (log->str, ==, "abc");
  g_assert_cmpuint (ph_sim_now (sim), ==, PH_SIM_START + 10);
  ph_sim_run (sim, PH_NEVER);
  g_assert_cmpstr (log->str, ==, "abcd");
  g_assert_cmpuint (ph_sim_now (sim), ==, PH_SIM_START + 50);
}

/* The heap against sorting: many times, some alike, some cancelled. */
static void
test_many_events (void)
{
  PhRandomSeeded state;
  const PhRandom random = ph_test_random (&state, "many-events");
  g_autoptr (PhSim) sim = ph_sim_new (1);
  g_autoptr (GString) log = g_string_new (NULL);
  enum { N = 2000, TIMES = 26 };
  static Mark marks[TIMES];
  unsigned expected[TIMES] = {0};

  for (int i = 0; i < TIMES; i++)
    marks[i] = (Mark){log, (char)('a' + i)};
  for (int i = 0; i < N; i++) {
    const uint64_t when = ph_random_below (&random, TIMES);
    const uint64_t id = ph_sim_at (sim, PH_SIM_START + when, on_mark, &marks[when]);

    if (ph_random_below (&random, 3) == 0)
      ph_sim_cancel (sim, id);
    else
      expected[when]++;
  }
  ph_sim_run (sim, PH_NEVER);

  const char *p = log->str;

  for (int i = 0; i < TIMES; i++) {
    while (*p == 'a' + i) {
      expected[i]--;
      p++;
    }
    g_assert_cmpuint (expected[i], ==, 0);
  }
  g_assert_cmpint (*p, ==, 0);
}

/* --- Cables ------------------------------------------------------------------------------------- */

static void
test_delay_and_rate (void)
{
  g_autoptr (Pair) pair = pair_new (1);
  const PhSimCable cable = {.delay = 10 * PH_MSEC, .rate = 1000 * 1000};

  *ph_sim_iface_up (pair->a_iface) = cable;
  pair_send (pair, 3, 1000 - PH_SIM_OVERHEAD_IPV4, 0);
  /* A kilobyte takes a millisecond. */
  for (guint i = 0; i < 3; i++)
    g_assert_cmpuint (pair_seen (pair, i)->when, ==, PH_SIM_START + (11 + i) * PH_MSEC);
  g_assert_true (ph_addr_equal (&pair_seen (pair, 0)->from, &pair->a_addr));
}

static void
test_queue_drops_the_tail (void)
{
  g_autoptr (Pair) pair = pair_new (1);
  const PhSimCable cable = {.rate = 1000 * 1000, .queue_bytes = 5000};

  *ph_sim_iface_up (pair->a_iface) = cable;
  pair_send (pair, 20, 1000 - PH_SIM_OVERHEAD_IPV4, 0);
  g_assert_cmpuint (pair->seen->len, ==, 5);
  g_assert_cmpuint (ph_sim_count (pair->sim, PH_SIM_DROP_QUEUE), ==, 15);
  g_assert_cmpuint (pair_seen (pair, 4)->number, ==, 4);
}

static void
test_loss_mask (void)
{
  g_autoptr (Pair) pair = pair_new (1);

  ph_sim_iface_up (pair->a_iface)->loss_mask = 0x5;
  ph_sim_iface_up (pair->a_iface)->loss_mask_max = 64;
  pair_send (pair, 70, 100, 0);
  g_assert_cmpuint (pair->seen->len, ==, 68);
  g_assert_cmpuint (pair_seen (pair, 0)->number, ==, 1);
  g_assert_cmpuint (pair_seen (pair, 1)->number, ==, 3);
  g_assert_cmpuint (pair_seen (pair, 67)->number, ==, 69);
}

static void
test_chance (void)
{
  g_autoptr (Pair) pair = pair_new (ph_test_seed ());
  const PhSimCable cable = {
      .delay = PH_MSEC,
      .jitter = 5 * PH_MSEC,
      .loss_ppm = 100000,
      .duplicate_ppm = 50000,
      .reorder_ppm = 50000,
      .reorder_delay = 20 * PH_MSEC,
  };
  unsigned late = 0, twice = 0, lost = 0;
  uint8_t count[4000] = {0};
  uint32_t newest = 0;

  *ph_sim_iface_up (pair->a_iface) = cable;
  pair_send (pair, G_N_ELEMENTS (count), 100, PH_MSEC);
  for (guint i = 0; i < pair->seen->len; i++) {
    const uint32_t number = pair_seen (pair, i)->number;

    late += number < newest;
    newest = MAX (newest, number);
    count[number]++;
  }
  for (guint i = 0; i < G_N_ELEMENTS (count); i++) {
    lost += count[i] == 0;
    twice += count[i] == 2;
  }
  g_assert_cmpuint (lost, >, 320);
  g_assert_cmpuint (lost, <, 480);
  g_assert_cmpuint (twice, >, 120);
  g_assert_cmpuint (twice, <, 240);
  g_assert_cmpuint (late, >, 120);
  g_assert_cmpuint (late, <, 320);
}

static void
test_jitter_keeps_order (void)
{
  g_autoptr (Pair) pair = pair_new (ph_test_seed ());

  ph_sim_iface_up (pair->a_iface)->jitter = 50 * PH_MSEC;
  pair_send (pair, 200, 100, PH_MSEC);
  for (guint i = 0; i < 200; i++)
    g_assert_cmpuint (pair_seen (pair, i)->number, ==, i);
}

static void
test_mtu_is_a_black_hole (void)
{
  g_autoptr (Pair) pair = pair_new (1);

  ph_sim_iface_down (pair->b_iface)->mtu = 1280;
  pair_send (pair, 1, 1280 - PH_SIM_OVERHEAD_IPV4, 0);
  pair_send (pair, 1, 1281 - PH_SIM_OVERHEAD_IPV4, 0);
  g_assert_cmpuint (pair->seen->len, ==, 1);
  g_assert_cmpuint (ph_sim_count (pair->sim, PH_SIM_DROP_MTU), ==, 1);
}

static void
test_cut_and_restored (void)
{
  g_autoptr (Pair) pair = pair_new (1);

  ph_sim_iface_cut (pair->b_iface, true);
  pair_send (pair, 5, 100, 0);
  g_assert_cmpuint (pair->seen->len, ==, 0);
  ph_sim_iface_cut (pair->b_iface, false);
  pair_send (pair, 5, 100, 0);
  g_assert_cmpuint (pair->seen->len, ==, 5);
}

/* --- Routing and sockets ------------------------------------------------------------------------ */

static void
test_ttl (void)
{
  g_autoptr (PhSim) sim = ph_sim_new (1);
  PhSimSegment *internet = ph_sim_segment_new (sim, "internet", 5);
  PhSimHost *a = ph_sim_host_new (sim, "a");
  PhSimHost *b = ph_sim_host_new (sim, "b");
  PhAddr at_a = ph_addr_ipv4 (192, 0, 2, 1, 0), at_b = ph_addr_ipv4 (192, 0, 2, 2, 9);

  ph_sim_host_attach (a, internet, &at_a);
  ph_sim_host_attach (b, internet, &at_b);

  const uint32_t socket = ph_sim_host_open (a, &at_a, NULL);

  ph_sim_host_open (b, &at_b, NULL);
  ph_sim_host_set_ttl (a, socket, 5);
  ph_sim_host_send_bytes (a, socket, &at_b, ph_slice_string ("short"));
  ph_sim_host_set_ttl (a, socket, 6);
  ph_sim_host_send_bytes (a, socket, &at_b, ph_slice_string ("enough"));
  at_b.ip[3] = 77;
  ph_sim_host_send_bytes (a, socket, &at_b, ph_slice_string ("nobody"));
  ph_sim_run (sim, PH_NEVER);
  g_assert_cmpuint (ph_sim_count (sim, PH_SIM_DELIVERED), ==, 1);
  g_assert_cmpuint (ph_sim_count (sim, PH_SIM_DROP_TTL), ==, 1);
  g_assert_cmpuint (ph_sim_count (sim, PH_SIM_DROP_ROUTE), ==, 1);
}

static void
test_sockets (void)
{
  g_autoptr (Pair) pair = pair_new (1);
  PhAddr any = pair->a_addr, first, second;

  any.port = 0;
  g_assert_cmpuint (ph_sim_host_open (pair->a, &any, &first), !=, 0);
  g_assert_cmpuint (ph_sim_host_open (pair->a, &any, &second), !=, 0);
  g_assert_cmpuint (first.port, !=, second.port);
  g_assert_cmpuint (first.port, >=, 32768);
  /* In use; not ours. */
  g_assert_cmpuint (ph_sim_host_open (pair->a, &first, NULL), ==, 0);
  g_assert_cmpuint (ph_sim_host_open (pair->a, &pair->b_addr, NULL), ==, 0);

  ph_sim_host_close (pair->b, pair->b_socket);
  pair_send (pair, 1, 100, 0);
  g_assert_cmpuint (ph_sim_count (pair->sim, PH_SIM_DROP_SOCKET), ==, 1);
}

static void
test_change_of_address (void)
{
  g_autoptr (Pair) pair = pair_new (1);
  PhAddr elsewhere = ph_addr_ipv4 (10, 0, 0, 77, 0);

  ph_sim_host_change_address (pair->a, pair->a_iface, &elsewhere);
  g_assert_false (
      ph_sim_host_send_bytes (pair->a, pair->a_socket, &pair->b_addr, ph_slice_string ("x")));
  pair->a_socket = ph_sim_host_open (pair->a, &elsewhere, &elsewhere);
  pair_send (pair, 1, 10, 0);
  g_assert_true (ph_addr_equal (&pair_seen (pair, 0)->from, &elsewhere));

  /* The old address is free for somebody else. */
  PhAddr old = pair->a_addr;
  PhSimHost *c = ph_sim_host_new (pair->sim, "c");

  ph_sim_host_attach (c, pair->lan, &old);
  g_assert_cmpuint (ph_sim_host_open (c, &old, NULL), !=, 0);
}

static void
test_batches_are_split (void)
{
  g_autoptr (Pair) pair = pair_new (1);
  uint8_t bytes[250] = {0};
  const PhTransmit tx = {
      .data = bytes,
      .socket = pair->a_socket,
      .remote = pair->b_addr,
      .len = sizeof bytes,
      .segment = 100,
  };

  g_assert_true (ph_sim_host_send (pair->a, &tx));
  ph_sim_run (pair->sim, PH_NEVER);
  g_assert_cmpuint (pair->seen->len, ==, 3);
  g_assert_cmpuint (pair_seen (pair, 0)->len, ==, 100);
  g_assert_cmpuint (pair_seen (pair, 2)->len, ==, 50);
}

static uint64_t
noisy_hash (uint64_t seed)
{
  g_autoptr (Pair) pair = pair_new (seed);
  const PhSimCable cable = {.jitter = 5 * PH_MSEC, .loss_ppm = 100000, .duplicate_ppm = 50000};

  ph_sim_iface_set (pair->a_iface, &cable);
  pair_send (pair, 100, 100, PH_MSEC);
  return ph_sim_trace_hash (pair->sim);
}

static void
test_same_seed_same_trace (void)
{
  g_assert_cmpuint (noisy_hash (7), ==, noisy_hash (7));
  g_assert_cmpuint (noisy_hash (7), !=, noisy_hash (8));
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/sim/events-run-in-order", test_events_run_in_order);
  g_test_add_func ("/sim/many-events", test_many_events);
  g_test_add_func ("/sim/delay-and-rate", test_delay_and_rate);
  g_test_add_func ("/sim/queue-drops-the-tail", test_queue_drops_the_tail);
  g_test_add_func ("/sim/loss-mask", test_loss_mask);
  g_test_add_func ("/sim/chance", test_chance);
  g_test_add_func ("/sim/jitter-keeps-order", test_jitter_keeps_order);
  g_test_add_func ("/sim/mtu-is-a-black-hole", test_mtu_is_a_black_hole);
  g_test_add_func ("/sim/cut-and-restored", test_cut_and_restored);
  g_test_add_func ("/sim/ttl", test_ttl);
  g_test_add_func ("/sim/sockets", test_sockets);
  g_test_add_func ("/sim/change-of-address", test_change_of_address);
  g_test_add_func ("/sim/batches-are-split", test_batches_are_split);
  g_test_add_func ("/sim/same-seed-same-trace", test_same_seed_same_trace);
  return g_test_run ();
}
