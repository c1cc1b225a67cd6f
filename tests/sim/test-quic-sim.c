/* SPDX-License-Identifier: GPL-3.0-or-later */
/* QUIC links over bad lines: loss, doubling, reordering, jitter, small MTUs, cuts. Both hosts stand in the
 * open; paths through NATs are the other tests' subject. GnuTLS draws its own randomness, so that runs of one
 * seed differ a little: outcomes are asserted, not traces. */

#include "tests/sim/ph-sim-driver.h"
#include "tests/sim/ph-sim-world.h"
#include "tests/support/ph-test.h"

#include "net/quic/ph-quic.h"

#define STREAMS 3
#define CHUNK (16u << 10)
#define LOW_MARK (1u << 20)

typedef struct {
  int64_t id;
  uint64_t left; /* to queue */
  uint64_t sent;
} Out;

typedef struct {
  int64_t id;
  uint64_t len;
  bool fin;
} In;

typedef struct {
  const PhSimPlan *plan;
  PhSim *sim;
  PhSimHost *host;
  PhSimDriver *driver;
  uint32_t socket;
  PhAddr local;
  PhAddr remote;
  PhTlsIdentity *identity;
  uint8_t peer_key[PH_KEY_LEN];
  PhQuicConfig config;
  PhLink *link; /* the server's comes with the first Initial */
  uint64_t to_send; /* on each stream */
  Out out[STREAMS];
  In in[STREAMS];
  unsigned n_in;
  bool reads_not; /* grants no credit */
  bool ready;
  bool closed;
  PhLinkError error;
} Peer;

static uint8_t
pattern (uint64_t offset)
{
  return (uint8_t)(offset * 31 + (offset >> 8));
}

static void
queue_more (Peer *peer, Out *out)
{
  while (out->id >= 0 && out->left > 0 && ph_link_stream_queued (peer->link, out->id) < LOW_MARK) {
    const size_t len = MIN (CHUNK, out->left);
    PhBuf *buf = ph_buf_new (len);

    for (size_t i = 0; i < len; i++)
      buf->data[i] = pattern (out->sent + i);
    out->sent += len;
    out->left -= len;
    ph_link_send (peer->link, out->id, (PhBufSlice){buf, 0, len}, out->left == 0);
  }
}

static void
on_ready (Peer *peer)
{
  peer->ready = true;
  for (int i = 0; i < STREAMS; i++) {
    Out *out = &peer->out[i];

    out->id = ph_link_open_stream (peer->link);
    g_assert_cmpint (out->id, >=, 0);
    out->left = peer->to_send;
    ph_link_set_low_marks (peer->link, out->id, LOW_MARK / 2, 0);
    queue_more (peer, out);
  }
}

static void
on_data (Peer *peer, PhLinkEvent *event)
{
  In *in = NULL;

  for (unsigned i = 0; i < peer->n_in; i++) {
    if (peer->in[i].id == event->stream)
      in = &peer->in[i];
  }
  if (in == NULL) {
    g_assert_cmpuint (peer->n_in, <, STREAMS);
    in = &peer->in[peer->n_in++];
    *in = (In){.id = event->stream};
  }
  g_assert_false (in->fin);
  for (size_t i = 0; i < event->data.len; i++)
    g_assert_cmpuint (ph_buf_slice_data (&event->data)[i], ==, pattern (in->len + i));
  in->len += event->data.len;
  in->fin = event->fin;
  if (!peer->reads_not)
    ph_link_consumed (peer->link, event->stream, event->data.len);
  ph_buf_slice_clear (&event->data);
}

/* --- The core ----------------------------------------------------------------------------------- */

static void
peer_handle_packet (void *core, PhTime now, const PhDatagram *in)
{
  Peer *peer = core;

  if (peer->link == NULL) {
    PhSlice dcid, scid;

    if (!ph_quic_is_initial (in->bytes, &dcid, &scid))
      return;
    peer->config.initial = in->bytes;
    peer->link = ph_quic_link_new (&peer->config, now);
    if (peer->link == NULL)
      return;
  }
  ph_link_handle_packet (peer->link, now, in);
}

static void
peer_handle_timeout (void *core, PhTime now)
{
  Peer *peer = core;

  if (peer->link != NULL)
    ph_link_handle_timeout (peer->link, now);
}

static bool
peer_poll_transmit (void *core, PhTime now, PhTransmit *tx)
{
  Peer *peer = core;

  if (peer->link == NULL || !ph_link_poll_transmit (peer->link, now, tx))
    return false;
  tx->socket = peer->socket;
  tx->remote = peer->remote;
  return true;
}

static bool
peer_drain (void *core, PhTime now)
{
  Peer *peer = core;
  PhLinkEvent event;
  bool any = false;

  while (peer->link != NULL && ph_link_poll_event (peer->link, &event)) {
    any = true;
    switch (event.type) {
    case PH_LINK_EVENT_READY:
      on_ready (peer);
      break;
    case PH_LINK_EVENT_STREAM_OPENED:
      break;
    case PH_LINK_EVENT_STREAM_DATA:
      on_data (peer, &event);
      break;
    case PH_LINK_EVENT_STREAM_RESET:
      g_assert_not_reached ();
    case PH_LINK_EVENT_DRAINED:
      for (int i = 0; i < STREAMS; i++) {
        if (peer->out[i].id == event.stream)
          queue_more (peer, &peer->out[i]);
      }
      break;
    case PH_LINK_EVENT_CLOSED:
      peer->closed = true;
      peer->error = event.error;
      break;
    }
  }
  return any;
}

static PhTime
peer_next_timeout (const void *core, const char **ret_why)
{
  const Peer *peer = core;

  return peer->link != NULL ? ph_link_next_timeout (peer->link, ret_why) : PH_NEVER;
}

static const PhSimCore peer_class = {
    .handle_packet = peer_handle_packet,
    .handle_timeout = peer_handle_timeout,
    .poll_transmit = peer_poll_transmit,
    .drain = peer_drain,
    .next_timeout = peer_next_timeout,
};

/* --- Two of them -------------------------------------------------------------------------------- */

typedef struct {
  PhSimWorld *world;
  Peer peer[2];
} Pair;

static bool
pair_done (void *user)
{
  const Pair *pair = user;

  for (int who = 0; who < 2; who++) {
    const Peer *peer = &pair->peer[who];

    if (peer->n_in < STREAMS)
      return false;
    for (int i = 0; i < STREAMS; i++) {
      if (!peer->in[i].fin)
        return false;
    }
  }
  return true;
}

static Pair *
pair_new (const PhSimPlan *plan, uint64_t bytes)
{
  Pair *pair = g_new0 (Pair, 1);

  pair->world = ph_sim_world_new (plan);
  for (int who = 0; who < 2; who++) {
    Peer *peer = &pair->peer[who];
    const PhRandom *random = ph_sim_random_for (pair->world->sim, who == 0 ? "quic0" : "quic1");
    uint8_t seed[PH_TLS_SEED_LEN];

    peer->sim = pair->world->sim;
    peer->host = pair->world->host[who];
    peer->socket = ph_sim_host_open (peer->host, &pair->world->ip[who], &peer->local);
    peer->to_send = bytes;
    ph_random_bytes (random, seed, sizeof seed);
    peer->identity = ph_tls_identity_new (seed);
    peer->config = (PhQuicConfig){
        .client = who == 0,
        .identity = peer->identity,
        .random = *random,
        .handshake_timeout = 20 * PH_SEC,
    };
    for (int i = 0; i < STREAMS; i++)
      peer->out[i].id = -1;
    peer->driver = ph_sim_driver_new (pair->world->sim, peer->host, &peer_class, peer);
  }
  for (int who = 0; who < 2; who++) {
    Peer *peer = &pair->peer[who];

    peer->remote = pair->peer[!who].local;
    ph_sim_world_tell (pair->world, who, &peer->remote);
    memcpy (peer->config.peer_key, ph_tls_identity_key (pair->peer[!who].identity), PH_KEY_LEN);
  }
  pair->peer[0].link = ph_quic_link_new (&pair->peer[0].config, ph_sim_now (pair->world->sim));
  ph_sim_driver_settle (pair->peer[0].driver);
  return pair;
}

static void
pair_free (Pair *pair)
{
  for (int who = 0; who < 2; who++)
    ph_link_free (pair->peer[who].link);
  ph_sim_world_free (pair->world);
  for (int who = 0; who < 2; who++)
    ph_tls_identity_unref (pair->peer[who].identity);
  g_free (pair);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Pair, pair_free)

static void
pair_run (Pair *pair, PhTime interval)
{
  ph_sim_run (pair->world->sim, ph_sim_now (pair->world->sim) + interval);
}

static void
pair_must_finish (Pair *pair, const PhSimPlan *plan, PhTime interval)
{
  PhSim *sim = pair->world->sim;

  if (!ph_sim_run_while_not (sim, ph_sim_now (sim) + interval, pair_done, pair)) {
    g_autofree char *text = ph_sim_plan_format (plan);

    for (int who = 0; who < 2; who++) {
      const Peer *peer = &pair->peer[who];

      g_test_message ("%d: ready %d, closed %d (%d), got %" G_GUINT64_FORMAT
                      " of %" G_GUINT64_FORMAT,
                      who, peer->ready, peer->closed, peer->error, peer->in[0].len, peer->to_send);
    }
    g_error ("%s, mtu %zu: not finished (again: PH_SEED=%" G_GUINT64_FORMAT " PH_RUNS=1)", text,
             plan->line[0].mtu, plan->seed);
  }
  for (int who = 0; who < 2; who++) {
    for (int i = 0; i < STREAMS; i++)
      g_assert_cmpuint (pair->peer[who].in[i].len, ==, pair->peer[who].to_send);
  }
}

static void
test_drawn_lines (void)
{
  static const size_t mtus[] = {0, 1500, 1400, 1280};
  const uint64_t runs = ph_sim_runs (400, 5000);
  PhTime longest = 0;

  for (uint64_t i = 0; i < runs; i++) {
    PhSimScene scene;
    PhSimPlan plan;

    ph_sim_scene_draw (&scene, ph_test_seed () + i, false);
    plan = scene.plan;
    plan.nearness = PH_SIM_APART;
    for (int who = 0; who < 2; who++) {
      plan.side[who] = (PhSimSide){0};
      plan.line[who].mtu = mtus[plan.seed % 4];
      plan.line[who].rate = 2000000;
    }

    g_autoptr (Pair) pair = pair_new (&plan, 50000);

    pair_must_finish (pair, &plan, 60 * PH_SEC);
    longest = MAX (longest, ph_sim_now (pair->world->sim) - PH_SIM_START);
  }
  g_test_message ("longest run %" G_GUINT64_FORMAT " ms", longest / PH_MSEC);
}

static const PhSimPlan calm = {
    .seed = 1, .line = {{.delay = 10 * PH_MSEC, .rate = 5000000}, {.delay = 15 * PH_MSEC}}};

/* Five megabytes a second either way, 50 ms: neither window nor pacing may be in the way. */
static void
test_fills_the_line (void)
{
  g_autoptr (Pair) pair = pair_new (&calm, 4000000);

  pair_must_finish (pair, &calm, 60 * PH_SEC);

  const PhTime took = ph_sim_now (pair->world->sim) - PH_SIM_START;

  g_test_message ("12 MB either way at 5 MB/s took %" G_GUINT64_FORMAT " ms", took / PH_MSEC);
  g_assert_cmpuint (took, <, 4 * PH_SEC);
}

static void
test_survives_a_cut (void)
{
  g_autoptr (Pair) pair = pair_new (&calm, 2000000);

  pair_run (pair, 500 * PH_MSEC);
  g_assert_false (pair_done (pair));
  ph_sim_iface_cut (pair->world->line[1], true);
  pair_run (pair, 5 * PH_SEC);
  ph_sim_iface_cut (pair->world->line[1], false);
  pair_must_finish (pair, &calm, 20 * PH_SEC);
}

static void
test_silence_ends_it (void)
{
  g_autoptr (Pair) pair = pair_new (&calm, 2000000);

  pair_run (pair, 500 * PH_MSEC);
  ph_sim_iface_cut (pair->world->line[1], true);
  pair_run (pair, 120 * PH_SEC);
  for (int who = 0; who < 2; who++) {
    g_assert_true (pair->peer[who].closed);
    g_assert_cmpint (pair->peer[who].error, ==, PH_LINK_ERROR_TIMEOUT);
  }
}

/* A router begins to swallow large packets: ngtcp2 would send them for ever. */
static void
test_shrinking_path_ends_it (void)
{
  for (int direction = 0; direction < 2; direction++) {
    g_autoptr (Pair) pair = pair_new (&calm, 2000000);
    PhSimIface *line = pair->world->line[1];

    pair_run (pair, 500 * PH_MSEC);
    g_assert_false (pair_done (pair));
    (direction == 0 ? ph_sim_iface_up (line) : ph_sim_iface_down (line))->mtu = 1280;
    pair_run (pair, 25 * PH_SEC);
    for (int who = 0; who < 2; who++) {
      g_assert_true (pair->peer[who].closed);
      g_assert_cmpint (pair->peer[who].error, ==, PH_LINK_ERROR_TIMEOUT);
    }
  }
}

/* Who does not read for a minute has not lost the link. */
static void
test_slow_reader_keeps_it (void)
{
  g_autoptr (Pair) pair = pair_new (&calm, 8000000);

  pair->peer[0].reads_not = pair->peer[1].reads_not = true;
  pair_run (pair, 60 * PH_SEC);
  g_assert_false (pair_done (pair));
  for (int who = 0; who < 2; who++) {
    Peer *peer = &pair->peer[who];

    g_assert_false (peer->closed);
    peer->reads_not = false;
    for (unsigned i = 0; i < peer->n_in; i++)
      ph_link_consumed (peer->link, peer->in[i].id, peer->in[i].len);
    ph_sim_driver_settle (peer->driver);
  }
  pair_must_finish (pair, &calm, 60 * PH_SEC);
}

static void
test_nobody_answers (void)
{
  g_autoptr (Pair) pair = pair_new (&calm, 1000);

  ph_sim_iface_cut (pair->world->line[1], true);
  pair_run (pair, 60 * PH_SEC);
  g_assert_true (pair->peer[0].closed);
  g_assert_cmpint (pair->peer[0].error, ==, PH_LINK_ERROR_TIMEOUT);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/quic-sim/drawn-lines", test_drawn_lines);
  g_test_add_func ("/quic-sim/fills-the-line", test_fills_the_line);
  g_test_add_func ("/quic-sim/survives-a-cut", test_survives_a_cut);
  g_test_add_func ("/quic-sim/silence-ends-it", test_silence_ends_it);
  g_test_add_func ("/quic-sim/shrinking-path-ends-it", test_shrinking_path_ends_it);
  g_test_add_func ("/quic-sim/slow-reader-keeps-it", test_slow_reader_keeps_it);
  g_test_add_func ("/quic-sim/nobody-answers", test_nobody_answers);
  return g_test_run ();
}
