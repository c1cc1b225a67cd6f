/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "tests/sim/ph-sim-world.h"

#include "tests/sim/ph-sim-stun.h"

#define INTERNET_HOPS 5

static PhAddr
address (const char *text)
{
  PhAddr addr;

  g_assert_true (ph_addr_parse (text, 0, &addr));
  return addr;
}

/* --- Who may send where ------------------------------------------------------------------------- */

void
ph_sim_world_tell (PhSimWorld *self, PhSimWho who, const PhAddr *addr)
{
  PhAddr any_port = *addr;

  any_port.port = 0;
  g_hash_table_add (self->known[who], g_memdup2 (addr, sizeof *addr));
  g_hash_table_add (self->known[who], g_memdup2 (&any_port, sizeof any_port));
}

static bool
is_known (const PhSimWorld *self, int who, const PhAddr *addr)
{
  PhAddr any_port = *addr;

  any_port.port = 0;
  return g_hash_table_contains (self->known[who], addr)
         || (self->guessing && g_hash_table_contains (self->known[who], &any_port));
}

static void
on_fate (void *user, PhSim *sim, PhSimFate fate, const PhSimNode *node, const PhSimPacket *packet)
{
  PhSimWorld *self = user;

  const bool at_host =
      node == (const PhSimNode *)self->host[0] || node == (const PhSimNode *)self->host[1];

  for (int who = 0; who < 2; who++) {
    /* At a relayed address: whoever has it hears where from. */
    if (!at_host && fate == PH_SIM_DELIVERED && packet->dst.port != self->stun.port)
      ph_sim_world_tell (self, (PhSimWho)who, &packet->src);
    if (node != (const PhSimNode *)self->host[who])
      continue;
    if (fate == PH_SIM_DELIVERED)
      ph_sim_world_tell (self, who, &packet->src);
    if (fate == PH_SIM_SENT && !ph_addr_equal (&packet->dst, &self->stun)
        && !ph_addr_equal (&packet->dst, &self->stun6) && !is_known (self, who, &packet->dst)) {
      char text[PH_ADDR_STRING_MAX];

      g_error ("seed %" G_GUINT64_FORMAT ": %s sends to %s, which nobody named", ph_sim_seed (sim),
               node->name, ph_addr_format (&packet->dst, text));
    }
  }
}

/* --- Building ----------------------------------------------------------------------------------- */

typedef struct {
  PhSimSegment *segment; /* what the next box inwards, or the host, stands on */
  PhSimIface *line; /* the outermost interface so far that is this side's alone */
} Place;

static PhSimNat *
build_box (PhSimWorld *self, const char *name, const PhSimNatConfig *config, const char *inside_ip,
           const char *outside_ip, const char *prefix6, Place *place)
{
  const PhAddr inside = address (inside_ip), outside = address (outside_ip);
  const PhAddr prefix = address (prefix6);
  PhSimSegment *segment = ph_sim_segment_new (self->sim, name, 0);
  PhSimNat *nat =
      ph_sim_nat_new (self->sim, name, config, segment, &inside, place->segment, &outside);

  ph_sim_nat_route (nat, &prefix, 48);
  if (config->no_translation) {
    PhAddr lan = inside;

    lan.ip[3] = 0;
    ph_sim_nat_route (nat, &lan, 24);
  }
  if (place->line == NULL)
    place->line = ph_sim_nat_outside (nat);
  place->segment = segment;
  return nat;
}

/* No IPv4 but the translator's. Its IPv6 address is for that alone, unless the plan has IPv6. */
static void
build_nat64_host (PhSimWorld *self, const PhSimPlan *plan, int who, const char *ip6, Place *place)
{
  const PhNat64Way way = {
      .prefix = plan->side[who].own->nat64,
      .own = ph_nat64_own (0),
      .base = address (ip6),
  };

  self->iface[who] = ph_sim_host_attach (self->host[who], place->segment, &way.base);
  ph_sim_host_set_nat64 (self->host[who], self->iface[who], &way);
  self->ip[who] = way.own;
  if (plan->ipv6)
    self->ip6[who] = way.base;
}

static void
build_host (PhSimWorld *self, const PhSimPlan *plan, int who, const char *ip, const char *ip6,
            Place *place)
{
  const PhSimNatConfig *own = plan->side[who].own;

  self->host[who] = ph_sim_host_new (self->sim, who == PH_SIM_LEFT ? "left" : "right");
  if (own != NULL && own->nat64.len > 0) {
    build_nat64_host (self, plan, who, ip6, place);
  } else {
    self->ip[who] = address (ip);
    self->iface[who] = ph_sim_host_attach (self->host[who], place->segment, &self->ip[who]);
    if (plan->ipv6) {
      self->ip6[who] = address (ip6);
      ph_sim_iface_add_address (self->iface[who], &self->ip6[who]);
    }
  }
  if (place->line == NULL)
    place->line = self->iface[who];
  self->line[who] = place->line;
  ph_sim_iface_set (place->line, &plan->line[who]);
}

static void
build_apart (PhSimWorld *self, const PhSimPlan *plan, int who)
{
  static const char *const public_ip[2] = {"203.0.113.10", "203.0.113.30"};
  static const char *const carrier_ip[2] = {"203.0.113.110", "203.0.113.130"};
  static const char *const routed_ip[2] = {"198.18.1.1", "198.18.2.1"};
  static const char *const routed_host[2] = {"198.18.1.2", "198.18.2.2"};
  static const char *const prefix6[2] = {"2001:db8:1::", "2001:db8:2::"};
  static const char *const ip6[2] = {"2001:db8:1::2", "2001:db8:2::2"};
  const PhSimSide *side = &plan->side[who];
  Place place = {self->internet, NULL};
  const char *ip = public_ip[who];

  if (side->carrier != NULL) {
    self->carrier[who] = build_box (self, who == 0 ? "carrier0" : "carrier1", side->carrier,
                                    "100.64.0.1", carrier_ip[who], prefix6[who], &place);
    ip = "100.64.0.10";
  }
  if (side->own != NULL) {
    const bool routed = side->own->no_translation;

    self->nat[who] = build_box (self, who == 0 ? "home0" : "home1", side->own,
                                routed ? routed_ip[who] : "192.168.1.1", ip, prefix6[who], &place);
    ip = routed ? routed_host[who] : "192.168.1.2";
  }
  build_host (self, plan, who, ip, ip6[who], &place);
}

static void
build_same_lan (PhSimWorld *self, const PhSimPlan *plan)
{
  Place place = {self->internet, NULL};

  if (plan->side[0].carrier != NULL)
    self->carrier[0] = self->carrier[1] =
        build_box (self, "carrier", plan->side[0].carrier, "100.64.0.1", "203.0.113.110",
                   "2001:db8:1::", &place);
  g_assert_nonnull (plan->side[0].own);
  self->nat[0] = self->nat[1] = build_box (
      self, "home", plan->side[0].own, "192.168.1.1",
      plan->side[0].carrier != NULL ? "100.64.0.10" : "203.0.113.10", "2001:db8:1::", &place);
  place.line = NULL;
  build_host (self, plan, 0, "192.168.1.2", "2001:db8:1::2", &place);
  place.line = NULL;
  build_host (self, plan, 1, "192.168.1.3", "2001:db8:1::3", &place);
}

static void
build_same_carrier (PhSimWorld *self, const PhSimPlan *plan)
{
  Place carrier = {self->internet, NULL};
  const PhAddr prefix = address ("2001:db8:2::");

  g_assert_nonnull (plan->side[0].carrier);
  self->carrier[0] = self->carrier[1] =
      build_box (self, "carrier", plan->side[0].carrier, "100.64.0.1", "203.0.113.110",
                 "2001:db8:1::", &carrier);
  ph_sim_nat_route (self->carrier[0], &prefix, 48);
  for (int who = 0; who < 2; who++) {
    Place place = {carrier.segment, NULL};

    g_assert_nonnull (plan->side[who].own);
    self->nat[who] = build_box (self, who == 0 ? "home0" : "home1", plan->side[who].own,
                                "192.168.1.1", who == 0 ? "100.64.0.10" : "100.64.0.30",
                                who == 0 ? "2001:db8:1::" : "2001:db8:2::", &place);
    build_host (self, plan, who, "192.168.1.2", who == 0 ? "2001:db8:1::2" : "2001:db8:2::2",
                &place);
  }
}

PhSimWorld *
ph_sim_world_new (const PhSimPlan *plan)
{
  PhSimWorld *self = g_new0 (PhSimWorld, 1);

  self->sim = ph_sim_new (plan->seed);
  self->internet = ph_sim_segment_new (self->sim, "internet", INTERNET_HOPS);
  self->stun = address ("198.51.100.1:3478");
  self->stun6 = address ("[2001:db8:ffff::1]:3478");

  const PhAddr serves[] = {self->stun, self->stun6};

  ph_sim_stun_server_new (self->sim, "stun", self->internet, serves, G_N_ELEMENTS (serves));
  for (int who = 0; who < 2; who++)
    self->known[who] = g_hash_table_new_full (ph_addr_hash, ph_addr_hash_equal, g_free, NULL);
  switch (plan->nearness) {
  case PH_SIM_APART:
    build_apart (self, plan, PH_SIM_LEFT);
    build_apart (self, plan, PH_SIM_RIGHT);
    break;
  case PH_SIM_SAME_LAN:
    build_same_lan (self, plan);
    break;
  case PH_SIM_SAME_CARRIER:
    build_same_carrier (self, plan);
    break;
  }
  ph_sim_observe (self->sim, on_fate, self);
  return self;
}

void
ph_sim_world_free (PhSimWorld *self)
{
  if (self == NULL)
    return;
  ph_sim_free (self->sim);
  for (int who = 0; who < 2; who++)
    g_hash_table_unref (self->known[who]);
  g_free (self);
}

static bool
side_blocks_ipv6 (const PhSimPlan *plan, int who)
{
  const PhSimSide *side = &plan->side[who];

  /* Between two homes of one carrier IPv6 is routed before it reaches the carrier's box. */
  return (side->own != NULL && side->own->udp_blocked)
         || (side->carrier != NULL && side->carrier->udp_blocked
             && plan->nearness != PH_SIM_SAME_CARRIER);
}

PhSimDirect
ph_sim_plan_direct (const PhSimPlan *plan)
{
  if (plan->ipv6 && !side_blocks_ipv6 (plan, 0) && !side_blocks_ipv6 (plan, 1))
    return PH_SIM_DIRECT_YES;
  return ph_sim_oracle (&plan->side[0], &plan->side[1], plan->nearness);
}

static char *
side_format (const PhSimSide *side)
{
  g_autofree char *own = side->own != NULL ? ph_sim_nat_config_format (side->own) : NULL;
  g_autofree char *carrier =
      side->carrier != NULL ? ph_sim_nat_config_format (side->carrier) : NULL;

  return g_strdup_printf ("[%s%s%s]", own != NULL ? own : "open",
                          carrier != NULL ? ", carrier " : "", carrier != NULL ? carrier : "");
}

char *
ph_sim_plan_format (const PhSimPlan *plan)
{
  static const char *const nearness[] = {"apart", "same LAN", "same carrier"};
  g_autofree char *left = side_format (&plan->side[0]);
  g_autofree char *right = side_format (&plan->side[1]);

  return g_strdup_printf ("seed %" G_GUINT64_FORMAT " %s %s %s%s, delay %" G_GUINT64_FORMAT
                          " + %" G_GUINT64_FORMAT " ms, loss %u + %u ppm",
                          plan->seed, left, right, nearness[plan->nearness],
                          plan->ipv6 ? " IPv6" : "", plan->line[0].delay / PH_MSEC,
                          plan->line[1].delay / PH_MSEC, plan->line[0].loss_ppm,
                          plan->line[1].loss_ppm);
}

void
ph_sim_plan_fail (const PhSimPlan *plan, const char *format, ...)
{
  g_autofree char *text = ph_sim_plan_format (plan);
  va_list args;

  va_start (args, format);
  g_autofree char *why = g_strdup_vprintf (format, args);
  va_end (args);
  g_error ("%s, mtu %zu: %s (again: PH_SEED=%" G_GUINT64_FORMAT " PH_RUNS=1)", text,
           plan->line[0].mtu, why, plan->seed);
}

/* --- Drawing ------------------------------------------------------------------------------------ */

static bool
one_in (const PhRandom *random, unsigned n)
{
  return ph_random_below (random, n) == 0;
}

static void
draw_box (const PhRandom *random, PhSimNatConfig *box)
{
  static const PhTime timeouts[] = {30 * PH_SEC, 60 * PH_SEC, 120 * PH_SEC, 300 * PH_SEC};

  *box = (PhSimNatConfig){
      .mapping = (PhSimDependence)ph_random_below (random, 3),
      .filtering = (PhSimDependence)ph_random_below (random, 3),
      .ports = (PhSimPorts)ph_random_below (random, 4),
      .port_step = (int)ph_random_below (random, 7) - 3,
      .other_rate = one_in (random, 2) ? (uint32_t)ph_random_below (random, 50) : 0,
      .conflict_ppm = one_in (random, 4) ? 500000 : 0,
      .hairpin = one_in (random, 2),
      .refresh_inbound = one_in (random, 2),
      .timeout_interval = timeouts[ph_random_below (random, G_N_ELEMENTS (timeouts))],
      .poisonable = one_in (random, 20),
      .no_translation = one_in (random, 8),
      .udp_blocked = one_in (random, 40),
      .pool = one_in (random, 10) ? 3 : 1,
      .pool_arbitrary = one_in (random, 4),
  };
}

static void
draw_line (const PhRandom *random, bool calm, PhSimCable *line)
{
  *line = (PhSimCable){.delay = ph_random_below (random, 60) * PH_MSEC};
  if (calm)
    return;
  line->jitter = ph_random_below (random, 20) * PH_MSEC;
  line->loss_ppm = one_in (random, 2) ? (uint32_t)ph_random_below (random, 50000) : 0;
  line->duplicate_ppm = (uint32_t)ph_random_below (random, 10000);
  line->reorder_ppm = (uint32_t)ph_random_below (random, 20000);
  line->reorder_delay = ph_random_below (random, 50) * PH_MSEC;
}

void
ph_sim_scene_draw (PhSimScene *self, uint64_t seed, bool calm)
{
  PhRandomSeeded state;
  PhRandom random;
  PhSimPlan *plan = &self->plan;

  ph_random_seeded_init (&state, seed ^ UINT64_C (0x706c616e));
  random = ph_random_seeded (&state);
  *self = (PhSimScene){.plan = {.seed = seed}};
  plan->ipv6 = one_in (&random, 6);
  plan->nearness = PH_SIM_APART;
  if (one_in (&random, 10))
    plan->nearness = one_in (&random, 2) ? PH_SIM_SAME_LAN : PH_SIM_SAME_CARRIER;
  for (int who = 0; who < 2; who++) {
    const bool shared = plan->nearness != PH_SIM_APART;

    draw_box (&random, &self->own[who]);
    draw_box (&random, &self->carrier[who]);
    draw_line (&random, calm, &plan->line[who]);
    /* A carrier translates, and has no home behind it that has public addresses. */
    self->carrier[who].no_translation = false;
    if (shared || !one_in (&random, 8))
      plan->side[who].own = &self->own[who];
    if ((plan->nearness == PH_SIM_SAME_CARRIER && who == PH_SIM_LEFT)
        || (plan->side[who].own != NULL && !shared && one_in (&random, 8))) {
      plan->side[who].carrier = &self->carrier[who];
      self->own[who].no_translation = false;
    }
    if (shared)
      self->own[who].no_translation = false;
  }
  /* What is shared is described once. */
  if (plan->nearness == PH_SIM_SAME_LAN)
    plan->side[1].own = plan->side[0].own;
  if (plan->nearness == PH_SIM_SAME_CARRIER)
    plan->side[1].carrier = plan->side[0].carrier;
}

uint64_t
ph_sim_runs (uint64_t normal, uint64_t most)
{
  const char *runs = g_getenv ("PH_RUNS");

  if (runs != NULL)
    return MAX (1, g_ascii_strtoull (runs, NULL, 0));
  if (g_strcmp0 (g_getenv ("PORTHOLE_LONG"), "1") == 0)
    return most;
#ifdef __SANITIZE_ADDRESS__
  return MAX (1, normal / 10); /* it is that much slower */
#else
  return normal;
#endif
}

static int
compare_times (const void *a, const void *b)
{
  const PhTime x = *(const PhTime *)a, y = *(const PhTime *)b;

  return x < y ? -1 : x > y;
}

PhTime
ph_sim_percentile (GArray *times, unsigned percent)
{
  g_array_sort (times, compare_times);
  return times->len > 0 ? g_array_index (times, PhTime, (times->len - 1) * percent / 100) : 0;
}

char *
ph_sim_times_format (GArray *times)
{
  return g_strdup_printf ("median %" G_GUINT64_FORMAT " ms, 95 %% %" G_GUINT64_FORMAT
                          " ms, all %" G_GUINT64_FORMAT " ms",
                          ph_sim_percentile (times, 50) / PH_MSEC,
                          ph_sim_percentile (times, 95) / PH_MSEC,
                          ph_sim_percentile (times, 100) / PH_MSEC);
}
