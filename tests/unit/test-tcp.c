/* SPDX-License-Identifier: GPL-3.0-or-later */
/* TCP in the cores: when holes are punched, how messages are framed, what strangers can do, and two
 * endpoints between routers that let in whom the inside has called. */

#include "net/connect/ph-endpoint.h"
#include "net/punch/ph-tcp-punch.h"
#include "tests/support/ph-test.h"

/* --- Punching ----------------------------------------------------------------------------------- */

static void
test_punch (void)
{
  PhRandomSeeded seeded;
  const PhRandom random = ph_test_random (&seeded, "punch");
  const PhTime start = 100 * PH_SEC;
  PhTime now = start;
  PhTcpPunch punch;
  unsigned n = 0;

  ph_tcp_punch_start (&punch, now, true);
  for (;;) {
    g_assert_cmpuint (punch.connect_at, >=, now);
    now = punch.connect_at;
    ph_tcp_punch_connecting (&punch);
    g_assert_cmpuint (punch.connect_at, ==, PH_NEVER);
    n++;
    if (!ph_tcp_punch_failed (&punch, now, &random, PH_CONNECTION_REFUSED))
      break;
    g_assert_cmpuint (punch.connect_at - now, >=, 10 * PH_MSEC);
    g_assert_cmpuint (punch.connect_at - now, <=, 100 * PH_MSEC);
  }
  g_assert_cmpuint (now - start, >=, 10 * PH_SEC);
  g_assert_cmpuint (n, >=, 120);
  g_assert_cmpuint (n, <=, 1200);

  /* Who only listens is asked now and then. */
  ph_tcp_punch_start (&punch, now, false);
  g_assert_true (ph_tcp_punch_failed (&punch, now, &random, PH_CONNECTION_REFUSED));
  g_assert_cmpuint (punch.connect_at - now, ==, PH_SEC);
}

/* --- Frames ------------------------------------------------------------------------------------- */

static void
test_frames (void)
{
  uint8_t bytes[2 + 2048 + 2 + 3000];
  PhIceFrames frames = {0};
  unsigned n_stun = 0;
  size_t n_tls = 0;

  memset (bytes, 0x17, sizeof bytes);
  ph_ice_frame_write_header (bytes, 2048);
  bytes[2] = 0x01;
  ph_ice_frame_write_header (bytes + 2050, 3000);
  for (size_t i = 0; i < sizeof bytes; i++) {
    PhSlice in = ph_slice (bytes + i, 1), out;
    PhIceFrame what;

    while ((what = ph_ice_frames_next (&frames, &in, &out)) != PH_ICE_FRAME_MORE) {
      g_assert_cmpint (what, !=, PH_ICE_FRAME_BROKEN);
      if (what == PH_ICE_FRAME_STUN) {
        g_assert_cmpuint (out.len, ==, 2048);
        n_stun++;
      } else {
        n_tls += out.len;
      }
    }
  }
  g_assert_cmpuint (n_stun, ==, 1);
  g_assert_cmpuint (n_tls, ==, 3000);
}

static void
test_frames_broken (void)
{
  static const uint8_t cases[][3] = {{0, 9, 'G'}, {0x08, 0x01, 0x00}, {0, 5, 0x40}};

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    PhIceFrames frames = {0};
    PhSlice in = ph_slice (cases[i], sizeof cases[i]), out;

    g_assert_cmpint (ph_ice_frames_next (&frames, &in, &out), ==, PH_ICE_FRAME_BROKEN);
    in = ph_slice (cases[i], sizeof cases[i]);
    g_assert_cmpint (ph_ice_frames_next (&frames, &in, &out), ==, PH_ICE_FRAME_BROKEN);
  }
}

/* --- Two endpoints ------------------------------------------------------------------------------ */

#define DELAY (20 * PH_MSEC)
#define PORT_ID 1

typedef enum { FLY_SYN, FLY_BYTES, FLY_EVENT } FlyKind;

typedef struct {
  FlyKind kind;
  PhTime at;
  unsigned to;
  PhConnectionEvent event; /* of FLY_EVENT */
  uint32_t from_id; /* the sender's connection */
  GBytes *bytes;
} Fly;

/* One end of a connection, and its other end's id; 0 while there is none. */
typedef struct {
  uint32_t id;
  uint32_t other;
  bool dead;
} End;

typedef struct {
  PhTime now;
  PhEndpoint *endpoint[2];
  PhTlsIdentity *identity[2];
  uint8_t key[2][PH_KEY_LEN];
  PhAddr addr[2];
  GArray *ends[2]; /* End */
  uint32_t next_id[2];
  GPtrArray *flying; /* Fly, owned, in no order */
  bool refuses; /* routers answer strangers' SYNs with a reset, or else not at all */
  bool open; /* there are no routers */
  unsigned n_syns;
  unsigned n_ready[2];
  PhPath path[2];
  PhRandomSeeded seeded;
  PhRandom random;
  PhTime delay; /* one way */
  uint8_t *out;
} World;

static void
fly_free (gpointer data)
{
  Fly *fly = data;

  if (fly->bytes != NULL)
    g_bytes_unref (fly->bytes);
  g_free (fly);
}

static Fly *
launch (World *w, FlyKind kind, unsigned to, PhTime delay)
{
  Fly *fly = g_new0 (Fly, 1);

  fly->kind = kind;
  fly->to = to;
  fly->at = w->now + delay;
  g_ptr_array_add (w->flying, fly);
  return fly;
}

static End *
find_end (World *w, unsigned who, uint32_t id)
{
  for (guint i = 0; i < w->ends[who]->len; i++) {
    End *end = &g_array_index (w->ends[who], End, i);

    if (end->id == id && !end->dead)
      return end;
  }
  return NULL;
}

/* An attempt or connection to the other side: there is only one pair of addresses. */
static End *
current_end (World *w, unsigned who)
{
  for (guint i = 0; i < w->ends[who]->len; i++) {
    End *end = &g_array_index (w->ends[who], End, i);

    if (!end->dead)
      return end;
  }
  return NULL;
}

static void
tell (World *w, unsigned to, PhConnectionEventType type, uint32_t id, PhTime delay)
{
  launch (w, FLY_EVENT, to, delay)->event = (PhConnectionEvent){
      .type = type,
      .socket = id,
      .port = PORT_ID,
      .local = w->addr[to],
      .remote = w->addr[!to],
  };
}

static void
do_op (World *w, unsigned who, const PhConnectionOp *op)
{
  End *end = find_end (w, who, op->socket);

  if (op->type == PH_CONNECTION_OPEN) {
    const End fresh = {.id = op->socket};

    g_assert_true (ph_addr_equal (&op->remote, &w->addr[!who]));
    if (current_end (w, who) != NULL) {
      tell (w, who, PH_CONNECTION_IN_USE, op->socket, 0);
      return;
    }
    g_array_append_val (w->ends[who], fresh);
    w->n_syns++;
    launch (w, FLY_SYN, !who, w->delay)->from_id = op->socket;
    return;
  }
  if (end == NULL)
    return;
  end->dead = true;
  if (end->other != 0)
    tell (w, !who, PH_CONNECTION_CLOSED, end->other, w->delay);
}

static void
syn_arrives (World *w, unsigned to, uint32_t from_id)
{
  End *theirs = find_end (w, !to, from_id);
  End *ours = current_end (w, to);

  if (theirs == NULL || theirs->other != 0)
    return;
  if (ours != NULL && ours->other == 0) { /* simultaneous open */
    ours->other = theirs->id;
    theirs->other = ours->id;
    tell (w, to, PH_CONNECTION_OPENED, ours->id, w->delay);
    tell (w, !to, PH_CONNECTION_OPENED, theirs->id, w->delay);
  } else if (ours == NULL && w->open) {
    const End fresh = {.id = ++w->next_id[to], .other = from_id};

    g_array_append_val (w->ends[to], fresh);
    theirs->other = fresh.id;
    tell (w, to, PH_CONNECTION_ACCEPTED, fresh.id, w->delay);
    tell (w, !to, PH_CONNECTION_OPENED, from_id, w->delay);
  } else if (w->refuses) {
    theirs->dead = true;
    tell (w, !to, PH_CONNECTION_REFUSED, from_id, w->delay);
  } else {
    launch (w, FLY_SYN, to, PH_SEC)->from_id = from_id; /* the kernel repeats it */
  }
}

static void
arrive (World *w, const Fly *fly)
{
  End *end;

  switch (fly->kind) {
  case FLY_SYN:
    syn_arrives (w, fly->to, fly->from_id);
    break;
  case FLY_EVENT:
    end = find_end (w, fly->to, fly->event.socket);
    if (fly->event.type == PH_CONNECTION_CLOSED && end != NULL)
      end->dead = true;
    ph_endpoint_handle_connection (w->endpoint[fly->to], w->now, &fly->event);
    break;
  case FLY_BYTES:
    end = find_end (w, !fly->to, fly->from_id);
    if (end != NULL && find_end (w, fly->to, end->other) != NULL) {
      gsize len;
      const uint8_t *data = g_bytes_get_data (fly->bytes, &len);
      const PhDatagram in = {
          .socket = end->other, .remote = w->addr[!fly->to], .bytes = ph_slice (data, len)};

      ph_endpoint_handle_packet (w->endpoint[fly->to], w->now, &in);
    }
    break;
  }
}

static void
settle (World *w, unsigned who)
{
  PhTransmit tx = {.data = w->out, .cap = PH_TRANSMIT_MAX};
  uint8_t key[PH_KEY_LEN];
  PhConnectorEvent event;
  PhConnectionOp op;
  GBytes *signal;

  while (ph_endpoint_poll_event (w->endpoint[who], key, &event)) {
    if (event.type == PH_CONNECTOR_EVENT_LINK_READY) {
      w->n_ready[who]++;
      w->path[who] = event.path;
    }
    if (event.type == PH_CONNECTOR_EVENT_LINK)
      ph_buf_slice_clear (&event.link_event.data);
  }
  while ((signal = ph_endpoint_poll_signal (w->endpoint[who], key)) != NULL) {
    gsize len;
    const uint8_t *data = g_bytes_get_data (signal, &len);

    ph_connector_handle_signal (ph_endpoint_peer (w->endpoint[!who], w->key[who]), w->now,
                                ph_slice (data, len));
    g_bytes_unref (signal);
  }
  while (ph_endpoint_poll_connection (w->endpoint[who], &op))
    do_op (w, who, &op);
  while (ph_endpoint_poll_transmit (w->endpoint[who], w->now, &tx)) {
    Fly *fly = launch (w, FLY_BYTES, !who, w->delay);

    fly->from_id = tx.socket;
    fly->bytes = g_bytes_new (tx.data, tx.len);
    tx = (PhTransmit){.data = w->out, .cap = PH_TRANSMIT_MAX};
  }
}

/* The earliest that has come, the one that left first. */
static Fly *
next_arrival (World *w)
{
  Fly *first = NULL;

  for (guint i = 0; i < w->flying->len; i++) {
    Fly *fly = w->flying->pdata[i];

    if (first == NULL || fly->at < first->at)
      first = fly;
  }
  return first;
}

static bool
both_ready (World *w)
{
  return w->n_ready[0] > 0 && w->n_ready[1] > 0;
}

static bool
run (World *w, PhTime span, bool (*done) (World *w))
{
  const PhTime end = w->now + span;

  for (;;) {
    const char *why;
    PhTime next = end;
    Fly *fly;

    for (unsigned i = 0; i < 4; i++)
      settle (w, i % 2);
    if (done != NULL && done (w))
      return true;
    for (unsigned i = 0; i < 2; i++)
      next = ph_time_min (next, ph_endpoint_next_timeout (w->endpoint[i], &why));
    fly = next_arrival (w);
    if (fly != NULL)
      next = ph_time_min (next, fly->at);
    if (next >= end) {
      w->now = end;
      return false;
    }
    w->now = MAX (w->now, next);
    while ((fly = next_arrival (w)) != NULL && fly->at <= w->now) {
      arrive (w, fly);
      g_ptr_array_remove (w->flying, fly);
    }
    for (unsigned i = 0; i < 2; i++)
      ph_endpoint_handle_timeout (w->endpoint[i], w->now);
  }
}

static void
world_init_at (World *w, const char *name, const PhAddr *left, const PhAddr *right)
{
  *w = (World){.now = 100 * PH_SEC, .delay = DELAY};
  w->random = ph_test_random (&w->seeded, name);
  w->flying = g_ptr_array_new_with_free_func (fly_free);
  w->out = g_malloc (PH_TRANSMIT_MAX);
  w->addr[0] = *left;
  w->addr[1] = *right;
  for (unsigned i = 0; i < 2; i++) {
    uint8_t seed[PH_TLS_SEED_LEN];
    PhEndpointConfig config = {.random = w->random};

    ph_random_bytes (&w->random, seed, sizeof seed);
    w->identity[i] = ph_tls_identity_new (seed);
    memcpy (w->key[i], ph_tls_identity_key (w->identity[i]), PH_KEY_LEN);
    config.identity = w->identity[i];
    memcpy (config.key, w->key[i], PH_KEY_LEN);
    w->ends[i] = g_array_new (FALSE, FALSE, sizeof (End));
    w->next_id[i] = 100;
    w->endpoint[i] = ph_endpoint_new (&config);
    g_assert_true (ph_endpoint_add_port (w->endpoint[i], w->now, PORT_ID, &w->addr[i]));
  }
}

static void
world_init (World *w, const char *name)
{
  const PhAddr left = ph_addr_ipv4 (192, 0, 2, 1, 5000);
  const PhAddr right = ph_addr_ipv4 (198, 51, 100, 1, 6000);

  world_init_at (w, name, &left, &right);
}

static void
world_clear (World *w)
{
  for (unsigned i = 0; i < 2; i++) {
    ph_endpoint_free (w->endpoint[i]);
    ph_tls_identity_unref (w->identity[i]);
    g_array_unref (w->ends[i]);
  }
  g_ptr_array_unref (w->flying);
  g_free (w->out);
}

static void
want (World *w, unsigned who)
{
  ph_connector_set_wanted (ph_endpoint_peer (w->endpoint[who], w->key[!who]), w->now, true);
}

static void
check_tcp (World *w)
{
  for (unsigned i = 0; i < 2; i++) {
    g_assert_cmpuint (w->n_ready[i], ==, 1);
    g_assert_cmpint (w->path[i].local.transport, !=, PH_CANDIDATE_UDP);
    g_assert_true (ph_addr_equal (&w->path[i].remote_to, &w->addr[!i]));
  }
}

/* Nobody in the way: the first SYN is accepted, and the connection is one. */
static void
test_open (void)
{
  World w;

  world_init (&w, "open");
  w.open = true;
  want (&w, 0);
  g_assert_true (run (&w, 5 * PH_SEC, both_ready));
  g_assert_cmpuint (w.now - 100 * PH_SEC, <=, 500 * PH_MSEC);
  run (&w, 60 * PH_SEC, NULL);
  check_tcp (&w);
  g_assert_cmpuint (w.n_syns, <=, 4);
  world_clear (&w);
}

/* On a LAN nothing is better than TCP: that UDP might yet answer, which it does not, is no reason to wait. */
static void
test_lan_without_udp (void)
{
  const PhAddr left = ph_addr_ipv4 (10, 0, 0, 1, 5000), right = ph_addr_ipv4 (10, 0, 0, 2, 6000);
  World w;

  world_init_at (&w, "lan", &left, &right);
  w.delay = PH_MSEC;
  w.open = true;
  for (unsigned i = 0; i < 2; i++)
    g_assert_true (ph_endpoint_add_socket (w.endpoint[i], w.now, PORT_ID + 1, &w.addr[i]));
  want (&w, 0);
  g_assert_true (run (&w, 5 * PH_SEC, both_ready));
  g_test_message ("%" G_GUINT64_FORMAT " ms", (w.now - 100 * PH_SEC) / PH_MSEC);
  g_assert_cmpuint (w.now - 100 * PH_SEC, <=, 100 * PH_MSEC);
  check_tcp (&w);
  world_clear (&w);
}

/* Silent routers: whoever comes second gets through. */
static void
test_silent_routers (void)
{
  World w;

  world_init (&w, "silent");
  want (&w, 1);
  g_assert_true (run (&w, 5 * PH_SEC, both_ready));
  check_tcp (&w);
  world_clear (&w);
}

/* Routers that refuse: both SYNs must be in flight at once. */
static void
test_refusing_routers (void)
{
  for (unsigned i = 0; i < 20; i++) {
    g_autofree char *name = g_strdup_printf ("refusing-%u", i);
    World w;

    world_init (&w, name);
    w.refuses = true;
    want (&w, i % 2);
    g_assert_true (run (&w, 8 * PH_SEC, both_ready));
    check_tcp (&w);
    world_clear (&w);
  }
}

static bool
ready_again (World *w)
{
  return w->n_ready[0] > 1 && w->n_ready[1] > 1;
}

/* A connection that is reset is made again. */
static void
test_reset (void)
{
  World w;

  world_init (&w, "reset");
  w.open = true;
  want (&w, 0);
  g_assert_true (run (&w, 5 * PH_SEC, both_ready));
  for (unsigned i = 0; i < 2; i++) {
    const End *end = current_end (&w, i);

    if (end == NULL)
      g_error ("no connection");
    tell (&w, i, PH_CONNECTION_CLOSED, end->id, 0);
  }
  g_assert_true (run (&w, 20 * PH_SEC, ready_again));
  world_clear (&w);
}

/* --- Strangers ---------------------------------------------------------------------------------- */

static unsigned
count_aborts (World *w)
{
  PhConnectionOp op;
  unsigned n = 0;

  while (ph_endpoint_poll_connection (w->endpoint[0], &op))
    n += op.type == PH_CONNECTION_ABORT;
  return n;
}

static void
stranger_comes (World *w, uint32_t id, uint8_t last)
{
  const PhConnectionEvent event = {
      .type = PH_CONNECTION_ACCEPTED,
      .socket = id,
      .port = PORT_ID,
      .local = w->addr[0],
      .remote = ph_addr_ipv4 (203, 0, 113, last, (uint16_t)id),
  };

  ph_endpoint_handle_connection (w->endpoint[0], w->now, &event);
}

/* Strangers are few, and have little time. */
static void
test_strangers_max (void)
{
  World w;

  world_init (&w, "strangers");
  for (uint32_t i = 0; i < 20; i++)
    stranger_comes (&w, 1000 + i, 7);
  g_assert_cmpuint (count_aborts (&w), ==, 20 - PH_CONNECTIONS_STRANGERS_PER_IP_MAX);
  for (uint32_t i = 0; i < 100; i++)
    stranger_comes (&w, 2000 + i, (uint8_t)i);
  g_assert_cmpuint (count_aborts (&w), ==,
                    100 + PH_CONNECTIONS_STRANGERS_PER_IP_MAX - PH_CONNECTIONS_STRANGERS_MAX);
  w.now += PH_CONNECTIONS_STRANGER;
  ph_endpoint_handle_timeout (w.endpoint[0], w.now);
  g_assert_cmpuint (count_aborts (&w), ==, PH_CONNECTIONS_STRANGERS_MAX);
  world_clear (&w);
}

/* Whatever they say that is no check of a contact's ends them. */
static void
test_strangers_say (void)
{
  static const char *const words[] = {
      "GET / HTTP/1.1\r\n\r\n",
      "\x16\x03\x01",
      "\x00\x05\x16\x03\x01\x02\x00",
      "\x00\x04\x00\x01\x00\x00",
  };
  static const size_t lengths[] = {18, 3, 7, 6};
  World w;

  world_init (&w, "words");
  want (&w, 0);
  for (unsigned i = 0; i < G_N_ELEMENTS (words); i++) {
    const PhDatagram in = {
        .socket = 3000 + i,
        .remote = ph_addr_ipv4 (203, 0, 113, 9, (uint16_t)(3000 + i)),
        .bytes = ph_slice (words[i], lengths[i]),
    };

    count_aborts (&w);
    stranger_comes (&w, 3000 + i, 9);
    ph_endpoint_handle_packet (w.endpoint[0], w.now, &in);
    g_assert_cmpuint (count_aborts (&w), ==, 1);
  }
  world_clear (&w);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/tcp/punch", test_punch);
  g_test_add_func ("/tcp/frames", test_frames);
  g_test_add_func ("/tcp/frames-broken", test_frames_broken);
  g_test_add_func ("/tcp/open", test_open);
  g_test_add_func ("/tcp/lan-without-udp", test_lan_without_udp);
  g_test_add_func ("/tcp/silent-routers", test_silent_routers);
  g_test_add_func ("/tcp/refusing-routers", test_refusing_routers);
  g_test_add_func ("/tcp/reset", test_reset);
  g_test_add_func ("/tcp/strangers-max", test_strangers_max);
  g_test_add_func ("/tcp/strangers-say", test_strangers_say);
  return g_test_run ();
}
