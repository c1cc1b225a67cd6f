/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Connector and endpoint: two devices on a virtual clock, joined by a wire with a delay. What NATs do is
 * tests/sim's subject; here it is attempts, their merging, restarts, and links. */

#include "net/connect/ph-endpoint.h"
#include "tests/support/ph-test.h"

#define DELAY (10 * PH_MSEC)

#define DEVICES_MAX 3
/* A spinning timer shows itself as rounds in which no time passes. */
#define ROUNDS_AT_ONCE_MAX 50

typedef struct {
  PhTime at;
  unsigned from;
  unsigned to;
  bool is_signal;
  PhAddr from_addr;
  PhAddr to_addr;
  GBytes *bytes;
} Flight;

typedef struct {
  PhRandomSeeded seed;
  PhTlsIdentity *tls;
  uint8_t key[PH_KEY_LEN];
  PhEndpoint *endpoint;
  PhAddr addr;
  bool moved; /* the address that the other sees is another port: a NAT has rebound */
  PhLink *ready;
  unsigned n_ready, n_closed, n_failed, n_path;
  PhConnectorFailure failure;
  PhPath path;
} Device;

typedef struct {
  Device devices[DEVICES_MAX]; /* the third one is in tests that make it */
  unsigned n;
  GArray *flights;
  unsigned rounds; /* of run() */
  unsigned rounds_at_once; /* at one time */
  PhTime now;
  bool cut; /* datagrams are lost */
  bool drop_signals; /* signals are lost */
  uint8_t *buffer;
} World;

/* PH_TRACE=1 in the environment shows what the cores say. */
static void
print_trace (void *user, PhTime now, const char *module, const char *line)
{
  const Device *device = user;

  if (g_getenv ("PH_TRACE") != NULL)
    g_printerr ("%8.3f %u %s: %s\n", (double)now / (double)PH_SEC, device->addr.ip[3], module,
                line);
}

/* Without a socket. */
static void
device_init_bare (World *world, unsigned i, const char *life)
{
  Device *device = &world->devices[i];
  g_autofree char *name = g_strdup_printf ("device %u", i);
  PhRandom random = ph_test_random (&device->seed, name);
  uint8_t seed[PH_TLS_SEED_LEN];
  PhEndpointConfig config = {.random = random, .trace = {print_trace, device}};

  ph_random_bytes (&random, seed, sizeof seed);
  device->tls = ph_tls_identity_new (seed);
  ph_test_random (&device->seed, life);
  memcpy (device->key, ph_tls_identity_key (device->tls), PH_KEY_LEN);
  memcpy (config.key, device->key, PH_KEY_LEN);
  config.identity = device->tls;
  device->endpoint = ph_endpoint_new (&config);
  device->addr = ph_addr_ipv4 (10, 0, 0, (uint8_t)(i + 1), 4000);
}

static void
device_init (World *world, unsigned i, const char *life)
{
  Device *device = &world->devices[i];

  device_init_bare (world, i, life);
  g_assert_true (ph_endpoint_add_socket (device->endpoint, world->now, 1, &device->addr));
}

static void
device_clear (Device *device)
{
  if (device->endpoint == NULL)
    return;
  ph_endpoint_free (device->endpoint);
  ph_tls_identity_unref (device->tls);
}

static World *
world_new_empty (void)
{
  World *world = g_new0 (World, 1);

  world->now = PH_SEC;
  world->n = 2;
  world->flights = g_array_new (FALSE, FALSE, sizeof (Flight));
  world->buffer = g_malloc (PH_TRANSMIT_MAX);
  return world;
}

static World *
world_new (void)
{
  World *world = world_new_empty ();

  device_init (world, 0, "first life of 0");
  device_init (world, 1, "first life of 1");
  for (unsigned i = 0; i < 2; i++)
    ph_endpoint_peer (world->devices[i].endpoint, world->devices[1 - i].key);
  return world;
}

static void
world_free (World *world)
{
  for (guint i = 0; i < world->flights->len; i++)
    g_bytes_unref (g_array_index (world->flights, Flight, i).bytes);
  g_array_unref (world->flights);
  for (unsigned i = 0; i < DEVICES_MAX; i++)
    device_clear (&world->devices[i]);
  g_free (world->buffer);
  g_free (world);
}

static PhConnector *
connector (World *world, unsigned i)
{
  return ph_endpoint_find_peer (world->devices[i].endpoint, world->devices[1 - i].key);
}

static void
take_events (World *world, Device *device)
{
  PhConnectorEvent event;
  uint8_t key[PH_KEY_LEN];

  while (ph_endpoint_poll_event (device->endpoint, key, &event)) {
    switch (event.type) {
    case PH_CONNECTOR_EVENT_LINK_READY:
      device->ready = event.link;
      device->path = event.path;
      device->n_ready++;
      break;
    case PH_CONNECTOR_EVENT_LINK_WRITABLE:
      break;
    case PH_CONNECTOR_EVENT_LINK:
      ph_buf_slice_clear (&event.link_event.data);
      break;
    case PH_CONNECTOR_EVENT_LINK_CLOSED:
      if (device->ready == event.link)
        device->ready = NULL;
      device->n_closed++;
      break;
    case PH_CONNECTOR_EVENT_PATH:
      device->path = event.path;
      device->n_path++;
      break;
    case PH_CONNECTOR_EVENT_FAILED:
      device->failure = event.failure;
      device->n_failed++;
      break;
    }
  }
}

/* DEVICES_MAX: nobody. */
static unsigned
device_at (const World *world, const PhAddr *addr)
{
  unsigned i = 0;

  while (i < DEVICES_MAX && !ph_addr_equal_ip (&world->devices[i].addr, addr))
    i++;
  return i;
}

static unsigned
device_with (const World *world, const uint8_t key[PH_KEY_LEN])
{
  unsigned i = 0;

  while (i < DEVICES_MAX && memcmp (world->devices[i].key, key, PH_KEY_LEN) != 0)
    i++;
  return i;
}

static void
send_datagram (World *world, unsigned i, unsigned to, const uint8_t *data, size_t len)
{
  const Device *from = &world->devices[i];
  Flight flight = {
      .at = world->now + DELAY,
      .from = i,
      .to = to,
      .from_addr = from->addr,
      .to_addr = world->devices[to].addr,
      .bytes = g_bytes_new (data, len),
  };

  if (from->moved)
    flight.from_addr.port = (uint16_t)(flight.from_addr.port + 1000);
  g_array_append_val (world->flights, flight);
}

static void
settle (World *world, unsigned i)
{
  Device *device = &world->devices[i];
  PhTransmit tx = {.data = world->buffer, .cap = PH_TRANSMIT_MAX};
  uint8_t key[PH_KEY_LEN];

  take_events (world, device);
  for (GBytes *body; (body = ph_endpoint_poll_signal (device->endpoint, key)) != NULL;) {
    const Flight flight = {
        .at = world->now + 3 * DELAY,
        .from = i,
        .to = device_with (world, key),
        .is_signal = true,
        .bytes = body,
    };

    if (world->drop_signals)
      g_bytes_unref (body);
    else
      g_array_append_val (world->flights, flight);
  }
  while (ph_endpoint_poll_transmit (device->endpoint, world->now, &tx)) {
    const size_t size = tx.segment > 0 ? tx.segment : tx.len;
    const unsigned to = device_at (world, &tx.remote);
    const bool lost = world->cut || to == DEVICES_MAX || tx.socket != 1;

    for (size_t off = 0; !lost && off < tx.len; off += size)
      send_datagram (world, i, to, tx.data + off, MIN (size, tx.len - off));
    tx = (PhTransmit){.data = world->buffer, .cap = PH_TRANSMIT_MAX};
  }
}

static void
land (World *world, const Flight *flight)
{
  Device *device = &world->devices[flight->to];
  gsize len;
  const uint8_t *data = g_bytes_get_data (flight->bytes, &len);

  if (flight->is_signal) {
    ph_connector_handle_signal (
        ph_endpoint_find_peer (device->endpoint, world->devices[flight->from].key), world->now,
        ph_slice (data, len));
  } else {
    const PhDatagram in = {.socket = 1, .remote = flight->from_addr, .bytes = ph_slice (data, len)};

    ph_endpoint_handle_packet (device->endpoint, world->now, &in);
  }
}

static bool
both_ready (const World *world)
{
  return world->devices[0].ready != NULL && world->devices[1].ready != NULL;
}

/* Runs until both have a link (or, `until_ready` false, for the whole span). */
static void
run (World *world, PhTime span, bool until_ready)
{
  const PhTime end = world->now + span;

  for (unsigned i = 0; i < world->n; i++)
    settle (world, i);
  while (world->now < end && !(until_ready && both_ready (world))) {
    const char *why = "end of run", *reason = "";
    PhTime next = end;

    for (unsigned i = 0; i < world->n; i++) {
      const PhTime t = ph_endpoint_next_timeout (world->devices[i].endpoint, &reason);

      why = t < next ? reason : why;
      next = MIN (next, t);
    }
    for (guint i = 0; i < world->flights->len; i++)
      next = MIN (next, g_array_index (world->flights, Flight, i).at);
    world->rounds++;
    world->rounds_at_once = next > world->now ? 0 : world->rounds_at_once + 1;
    if (world->rounds_at_once > ROUNDS_AT_ONCE_MAX)
      g_error ("a deadline that has passed stays: %s", why);
    world->now = MAX (world->now, next);

    for (guint i = 0; i < world->flights->len;) {
      const Flight flight = g_array_index (world->flights, Flight, i);

      if (flight.at > world->now) {
        i++;
        continue;
      }
      g_array_remove_index (world->flights, i);
      land (world, &flight);
      g_bytes_unref (flight.bytes);
    }
    for (unsigned i = 0; i < world->n; i++) {
      ph_endpoint_handle_timeout (world->devices[i].endpoint, world->now);
      settle (world, i);
    }
  }
}

static void
want (World *world, unsigned i)
{
  ph_connector_set_wanted (connector (world, i), world->now, true);
}

static void
test_either_may_start (void)
{
  for (unsigned starter = 0; starter < 2; starter++) {
    World *world = world_new ();
    const PhTime start = world->now;

    want (world, starter);
    run (world, 10 * PH_SEC, true);
    g_assert_true (both_ready (world));
    g_assert_cmpint (world->devices[0].path.kind, ==, PH_PATH_LAN);
    /* Signals take 30 ms each way, the checks and the handshake some round trips of 20. */
    g_assert_cmpuint (world->now - start, <, 400 * PH_MSEC);
    world_free (world);
  }
}

static void
test_both_start_and_merge (void)
{
  World *world = world_new ();

  want (world, 0);
  want (world, 1);
  run (world, 3 * PH_SEC, false);
  g_assert_true (both_ready (world));
  g_assert_cmpuint (world->devices[0].n_ready, ==, 1);
  g_assert_cmpuint (world->devices[1].n_ready, ==, 1);
  g_assert_cmpuint (world->devices[0].n_failed + world->devices[1].n_failed, ==, 0);
  world_free (world);
}

static void
test_lost_signals_are_retried (void)
{
  World *world = world_new ();

  world->drop_signals = true;
  want (world, 0);
  run (world, PH_CONNECTOR_ATTEMPT + 100 * PH_MSEC, false);
  g_assert_cmpuint (world->devices[0].n_failed, ==, 1);
  g_assert_cmpint (world->devices[0].failure, ==, PH_CONNECTOR_FAILURE_NO_ANSWER);
  world->drop_signals = false;
  run (world, 10 * PH_SEC, true);
  g_assert_true (both_ready (world));
  world_free (world);
}

/* What went nowhere is said again when there is another way, and not to somebody who has heard it. */
static void
test_signals_are_said_again (void)
{
  for (unsigned starter = 0; starter < 2; starter++) {
    World *world = world_new ();

    world->drop_signals = true;
    want (world, starter);
    run (world, PH_SEC, false);
    world->drop_signals = false;
    ph_connector_say_again (connector (world, starter), world->now);
    run (world, PH_SEC, true);
    g_assert_true (both_ready (world));
    g_assert_cmpuint (world->devices[0].n_failed + world->devices[1].n_failed, ==, 0);
    ph_connector_say_again (connector (world, starter), world->now);
    ph_connector_say_again (connector (world, 1 - starter), world->now);
    run (world, 5 * PH_SEC, false);
    g_assert_cmpuint (world->devices[0].n_ready, ==, 1);
    g_assert_cmpuint (world->devices[1].n_ready, ==, 1);
    world_free (world);
  }
}

static void
test_restart_of_one_side (void)
{
  World *world = world_new ();

  want (world, 0);
  want (world, 1);
  run (world, 5 * PH_SEC, true);
  g_assert_true (both_ready (world));

  /* Device 1 dies without a word and comes back with nothing but its key. */
  device_clear (&world->devices[1]);
  world->devices[1] = (Device){0};
  device_init (world, 1, "second life of 1");
  ph_endpoint_peer (world->devices[1].endpoint, world->devices[0].key);
  want (world, 1);
  run (world, 5 * PH_SEC, true);
  g_assert_nonnull (world->devices[1].ready);
  run (world, 60 * PH_SEC, false);
  g_assert_true (both_ready (world));
  world_free (world);
}

/* The controlled side's first words cross the controlling side's second ones. */
static void
test_stale_params_do_not_stick (void)
{
  for (unsigned first = 0; first < 2; first++) {
    World *world = world_new ();

    want (world, first);
    run (world, 10 * PH_MSEC, false);
    ph_connector_retry_now (connector (world, first), world->now);
    want (world, 1 - first);
    run (world, 15 * PH_MSEC, false);
    ph_connector_retry_now (connector (world, 1 - first), world->now);
    run (world, 20 * PH_SEC, true);
    g_assert_true (both_ready (world));
    g_assert_cmpuint (world->now, <, 4 * PH_SEC);
    world_free (world);
  }
}

static void
test_silence_ends_links_and_they_come_back (void)
{
  World *world = world_new ();

  want (world, 0);
  run (world, 5 * PH_SEC, true);
  g_assert_true (both_ready (world));

  world->cut = true;
  run (world, 8 * PH_SEC, false);
  g_assert_null (world->devices[0].ready);
  g_assert_null (world->devices[1].ready);
  world->cut = false;
  run (world, 60 * PH_SEC, true);
  g_assert_true (both_ready (world));
  world_free (world);
}

static void
test_rebinding_keeps_the_link (void)
{
  for (unsigned mover = 0; mover < 2; mover++) {
    World *world = world_new ();
    PhLink *links[2];

    want (world, 0);
    run (world, 5 * PH_SEC, true);
    g_assert_true (both_ready (world));
    links[0] = world->devices[0].ready;
    links[1] = world->devices[1].ready;

    world->devices[mover].moved = true;
    run (world, 20 * PH_SEC, false);
    g_assert_true (world->devices[0].ready == links[0]);
    g_assert_true (world->devices[1].ready == links[1]);
    g_assert_cmpuint (world->devices[1 - mover].path.remote_to.port, ==, 5000);
    world_free (world);
  }
}

static void
test_goodbye_reaches_the_other (void)
{
  World *world = world_new ();

  want (world, 0);
  run (world, 5 * PH_SEC, true);
  ph_connector_close (connector (world, 0), world->now, 0, "bye");
  run (world, PH_SEC, false);
  g_assert_null (world->devices[0].ready);
  g_assert_null (world->devices[1].ready);
  g_assert_cmpuint (world->devices[1].n_closed, ==, 1);
  world_free (world);
}

/* --- Guessing ports ----------------------------------------------------------------------------- */

/* Device `i` has one way to device 0, over a relay, and one address on the internet that nothing reaches. */
static void
want_relayed (World *world, unsigned i)
{
  Device *device = &world->devices[i];
  const PhPunchNat strict = {.kind = PH_PUNCH_NAT_STRICT};
  const PhAddr relay = ph_addr_ipv4 (203, 0, 113, 50, 3478);
  const PhAddr internet = ph_addr_ipv4 (203, 0, 113, (uint8_t)i, 4000);
  const PhCandidate deaf = ph_candidate_host (internet, 2, 0);
  PhCandidate relayed;
  PhConnector *peer;

  world->n++;
  device_init_bare (world, i, i == 1 ? "first life of 1" : "first life of 2");
  relayed = ph_candidate_relay (device->addr, device->addr, 1, relay);
  peer = ph_endpoint_peer (device->endpoint, world->devices[0].key);
  ph_endpoint_set_nat (device->endpoint, world->now, &strict, true);
  ph_connector_set_wanted (ph_endpoint_peer (world->devices[0].endpoint, device->key), world->now,
                           true);
  run (world, 5 * DELAY, false); /* the attempt has begun on both sides */
  ph_connector_set_wanted (peer, world->now, true);
  ph_connector_add_candidate (peer, world->now, &relayed);
  ph_connector_add_candidate (peer, world->now, &deaf);
}

/* Which peer device 0 guesses for, by the sockets that it asks for; 0: none. */
static unsigned
take_fresh_wish (World *world)
{
  uint8_t key[PH_KEY_LEN];
  PhAddr local;
  unsigned n;

  if (!ph_endpoint_poll_fresh_wish (world->devices[0].endpoint, key, &local, &n))
    return 0;
  for (unsigned i = 0; i < n; i++) {
    local.port = (uint16_t)(10000 + i);
    ph_endpoint_add_fresh_socket (world->devices[0].endpoint, world->now, key, 1000 + i, &local);
  }
  while (ph_endpoint_poll_unused (world->devices[0].endpoint) != 0)
    ;
  return device_with (world, key);
}

static void
test_one_guess_at_a_time (void)
{
  World *world = world_new_empty ();
  const PhPunchNat random = {.kind = PH_PUNCH_NAT_RANDOM};
  unsigned first, second;
  PhTime start;

  world->n = 1;
  device_init (world, 0, "first life of 0");
  ph_endpoint_set_nat (world->devices[0].endpoint, world->now, &random, true);
  want_relayed (world, 1);
  want_relayed (world, 2);
  for (first = 0; first == 0; first = take_fresh_wish (world)) {
    g_assert_cmpuint (world->now, <, 10 * PH_SEC);
    run (world, 50 * PH_MSEC, false);
  }

  /* 256 packets, 13 seconds of two peers' links and checks. */
  start = world->now;
  world->rounds = 0;
  for (second = 0; second == 0; second = take_fresh_wish (world)) {
    g_assert_cmpuint (world->now, <, start + 14 * PH_SEC);
    run (world, 50 * PH_MSEC, false);
  }
  g_test_message ("%u rounds in %" G_GUINT64_FORMAT " ms", world->rounds,
                  (world->now - start) / PH_MSEC);
  g_assert_cmpuint (world->rounds, <, 2000);
  g_assert_cmpuint (world->now - start, >, 12 * PH_SEC);
  g_assert_cmpuint (first + second, ==, 3);
  world_free (world);
}

static void
test_garbage_is_ignored (void)
{
  World *world = world_new ();
  PhRandomSeeded seed;
  PhRandom random = ph_test_random (&seed, "garbage");

  want (world, 0);
  for (unsigned n = 0; n < 2000; n++) {
    uint8_t bytes[200];
    const size_t len = ph_random_below (&random, sizeof bytes);
    const PhDatagram in = {
        .socket = 1,
        .remote = world->devices[n % 2].addr,
        .bytes = ph_slice (bytes, len),
    };

    ph_random_bytes (&random, bytes, sizeof bytes);
    ph_endpoint_handle_packet (world->devices[n % 2].endpoint, world->now, &in);
    ph_connector_handle_signal (connector (world, n % 2), world->now, ph_slice (bytes, len));
  }
  run (world, 40 * PH_SEC, true);
  g_assert_true (both_ready (world));
  world_free (world);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/connect/either-may-start", test_either_may_start);
  g_test_add_func ("/connect/both-start-and-merge", test_both_start_and_merge);
  g_test_add_func ("/connect/lost-signals-are-retried", test_lost_signals_are_retried);
  g_test_add_func ("/connect/signals-are-said-again", test_signals_are_said_again);
  g_test_add_func ("/connect/restart-of-one-side", test_restart_of_one_side);
  g_test_add_func ("/connect/stale-params-do-not-stick", test_stale_params_do_not_stick);
  g_test_add_func ("/connect/silence-ends-links", test_silence_ends_links_and_they_come_back);
  g_test_add_func ("/connect/rebinding-keeps-the-link", test_rebinding_keeps_the_link);
  g_test_add_func ("/connect/goodbye-reaches-the-other", test_goodbye_reaches_the_other);
  g_test_add_func ("/connect/one-guess-at-a-time", test_one_guess_at_a_time);
  g_test_add_func ("/connect/garbage-is-ignored", test_garbage_is_ignored);
  return g_test_run ();
}
