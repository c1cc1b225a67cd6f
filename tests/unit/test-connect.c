/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Connector and endpoint: two devices on a virtual clock, joined by a wire with a delay. What NATs do is
 * tests/sim's subject; here it is attempts, their merging, restarts, and links. */

#include "net/connect/ph-endpoint.h"
#include "tests/support/ph-test.h"

#define DELAY (10 * PH_MSEC)

typedef struct {
  PhTime at;
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
  Device devices[2];
  GArray *flights;
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

static void
device_init (World *world, unsigned i, const char *life)
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
  g_assert_true (ph_endpoint_add_socket (device->endpoint, world->now, 1, &device->addr));
}

static void
device_clear (Device *device)
{
  ph_endpoint_free (device->endpoint);
  ph_tls_identity_unref (device->tls);
}

static World *
world_new (void)
{
  World *world = g_new0 (World, 1);

  world->now = PH_SEC;
  world->flights = g_array_new (FALSE, FALSE, sizeof (Flight));
  world->buffer = g_malloc (PH_TRANSMIT_MAX);
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
  device_clear (&world->devices[0]);
  device_clear (&world->devices[1]);
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

static void
send_datagram (World *world, unsigned i, const uint8_t *data, size_t len)
{
  const Device *from = &world->devices[i];
  Flight flight = {
      .at = world->now + DELAY,
      .to = 1 - i,
      .from_addr = from->addr,
      .to_addr = world->devices[1 - i].addr,
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
        .at = world->now + 3 * DELAY, .to = 1 - i, .is_signal = true, .bytes = body};

    if (world->drop_signals)
      g_bytes_unref (body);
    else
      g_array_append_val (world->flights, flight);
  }
  while (ph_endpoint_poll_transmit (device->endpoint, world->now, &tx)) {
    const size_t size = tx.segment > 0 ? tx.segment : tx.len;

    for (size_t off = 0; !world->cut && off < tx.len; off += size)
      send_datagram (world, i, tx.data + off, MIN (size, tx.len - off));
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
    ph_connector_handle_signal (connector (world, flight->to), world->now, ph_slice (data, len));
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

  settle (world, 0);
  settle (world, 1);
  while (world->now < end && !(until_ready && both_ready (world))) {
    const char *why;
    PhTime next = end;

    for (unsigned i = 0; i < 2; i++)
      next = MIN (next, ph_endpoint_next_timeout (world->devices[i].endpoint, &why));
    for (guint i = 0; i < world->flights->len; i++)
      next = MIN (next, g_array_index (world->flights, Flight, i).at);
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
    for (unsigned i = 0; i < 2; i++) {
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
  g_test_add_func ("/connect/restart-of-one-side", test_restart_of_one_side);
  g_test_add_func ("/connect/stale-params-do-not-stick", test_stale_params_do_not_stick);
  g_test_add_func ("/connect/silence-ends-links", test_silence_ends_links_and_they_come_back);
  g_test_add_func ("/connect/rebinding-keeps-the-link", test_rebinding_keeps_the_link);
  g_test_add_func ("/connect/goodbye-reaches-the-other", test_goodbye_reaches_the_other);
  g_test_add_func ("/connect/garbage-is-ignored", test_garbage_is_ignored);
  return g_test_run ();
}
