/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How much CPU a link costs: two links in one process, wire and all in memory, no system calls.
 *
 *   bench-quic [MIB] [cubic|bbr|tls]
 *
 * Prints the speed of both together and what each side took, by verb. A sender and a receiver on a core
 * each reach what the slower of the two can do, less the system calls. */

#include "net/quic/ph-quic.h"
#include "net/tls/ph-tls-link.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define CHUNK (256 * 1024)
#define QUEUE_LOW (2u << 20)
/* What a socket buffer holds. */
#define WIRE_MAX (4u << 20)

typedef enum { PACKETS, TRANSMITS, EVENTS, STREAMS, VERBS } Verb;

static const char *const verb_names[] = {"handle_packet", "poll_transmit", "poll_event", "streams"};

typedef struct {
  PhLink *link;
  PhTlsIdentity *identity;
  bool ready;
  uint8_t *wire; /* towards this side: batches, each behind its Batch */
  size_t wire_len;
  PhTime spent[VERBS];
  uint64_t datagrams_out;
  uint64_t batches_out;
  uint64_t bytes_in;
  uint64_t slices_in;
  bool fin;
} Side;

typedef struct {
  size_t len;
  size_t segment;
  uint8_t ecn;
} Batch;

static PhTime
read_clock_of (clockid_t clock)
{
  struct timespec ts;

  clock_gettime (clock, &ts);
  return (PhTime)ts.tv_sec * PH_SEC + (PhTime)ts.tv_nsec;
}

static PhTime
read_clock (void)
{
  return read_clock_of (CLOCK_MONOTONIC);
}

/* What is reported: others on the machine do not count. */
static PhTime
read_cpu (void)
{
  return read_clock_of (CLOCK_THREAD_CPUTIME_ID);
}

static void
drain_wire (Side *side)
{
  const PhTime now = read_clock ();
  const PhTime start = read_cpu ();

  for (size_t at = 0; at < side->wire_len;) {
    Batch batch;

    memcpy (&batch, side->wire + at, sizeof batch);
    at += sizeof batch;
    for (size_t i = 0; i < batch.len; i += batch.segment) {
      const size_t len = MIN (batch.segment, batch.len - i);
      const PhDatagram in = {.ecn = batch.ecn, .bytes = ph_slice (side->wire + at + i, len)};

      ph_link_handle_packet (side->link, now, &in);
    }
    at += batch.len;
  }
  side->wire_len = 0;
  side->spent[PACKETS] += read_cpu () - start;
}

static void
transmit (Side *side, Side *other)
{
  const PhTime start = read_cpu ();
  PhTime now = read_clock ();

  while (other->wire_len + sizeof (Batch) + PH_TRANSMIT_MAX <= WIRE_MAX) {
    PhTransmit tx = {.data = other->wire + other->wire_len + sizeof (Batch),
                     .cap = PH_TRANSMIT_MAX};

    if (!ph_link_poll_transmit (side->link, now, &tx))
      break;

    const Batch batch = {tx.len, tx.segment > 0 ? tx.segment : tx.len, tx.ecn};

    memcpy (other->wire + other->wire_len, &batch, sizeof batch);
    other->wire_len += sizeof batch + tx.len;
    side->batches_out++;
    side->datagrams_out += (batch.len + batch.segment - 1) / batch.segment;
    now = read_clock ();
  }
  side->spent[TRANSMITS] += read_cpu () - start;
}

static void
events (Side *side)
{
  const PhTime start = read_cpu ();
  PhLinkEvent event;

  while (ph_link_poll_event (side->link, &event)) {
    if (event.type == PH_LINK_EVENT_READY)
      side->ready = true;
    if (event.type == PH_LINK_EVENT_CLOSED)
      g_error ("closed: %s", event.reason);
    if (event.type == PH_LINK_EVENT_STREAM_DATA) {
      side->bytes_in += event.data.len;
      side->slices_in++;
      side->fin = event.fin;
      ph_link_consumed (side->link, event.stream, event.data.len);
      ph_buf_slice_clear (&event.data);
    }
  }
  side->spent[EVENTS] += read_cpu () - start;
}

static void
step (Side sides[2])
{
  for (unsigned i = 0; i < 2; i++) {
    drain_wire (&sides[i]);
    ph_link_handle_timeout (sides[i].link, read_clock ());
    events (&sides[i]);
    transmit (&sides[i], &sides[!i]);
  }
}

static void
make_tls (Side sides[2])
{
  for (unsigned i = 0; i < 2; i++) {
    PhTlsLinkConfig config = {.client = i == 0, .identity = sides[i].identity};

    memcpy (config.peer_key, ph_tls_identity_key (sides[!i].identity), PH_KEY_LEN);
    sides[i].link = ph_tls_link_new (&config, read_clock ());
  }
}

static void
make_quic (Side sides[2], PhRandom random, PhQuicCongestion congestion)
{
  PhQuicConfig config[2];
  PhSlice dcid;
  PhSlice scid;

  for (unsigned i = 0; i < 2; i++) {
    config[i] = (PhQuicConfig){.client = i == 0,
                               .identity = sides[i].identity,
                               .random = random,
                               .congestion = congestion};
    memcpy (config[i].peer_key, ph_tls_identity_key (sides[!i].identity), PH_KEY_LEN);
  }
  sides[0].link = ph_quic_link_new (&config[0], read_clock ());
  transmit (&sides[0], &sides[1]);
  config[1].initial =
      ph_slice (sides[1].wire + sizeof (Batch), ((Batch *)(void *)sides[1].wire)->segment);
  g_assert_true (ph_quic_is_initial (config[1].initial, &dcid, &scid));
  sides[1].link = ph_quic_link_new (&config[1], read_clock ());
}

static void
init (Side sides[2], PhRandom random, const char *what)
{
  for (unsigned i = 0; i < 2; i++) {
    uint8_t seed[PH_TLS_SEED_LEN];

    ph_random_bytes (&random, seed, sizeof seed);
    sides[i] = (Side){.identity = ph_tls_identity_new (seed), .wire = g_malloc (WIRE_MAX)};
  }
  if (g_str_equal (what, "tls"))
    make_tls (sides);
  else
    make_quic (sides, random, g_str_equal (what, "cubic") ? PH_QUIC_CUBIC : PH_QUIC_BBR);
  while (!sides[0].ready || !sides[1].ready)
    step (sides);
}

/* `took`: CPU time. */
static void
report (const Side sides[2], uint64_t total, PhTime took)
{
  static const char *const names[] = {"sender", "receiver"};

  printf ("%.0f MB in %.3f s of CPU: %.0f MB/s in one thread\n", (double)total / 1e6,
          (double)took / 1e9, (double)total * 1e3 / (double)took);
  for (unsigned i = 0; i < 2; i++) {
    PhLinkStats stats;
    PhTime sum = 0;

    for (unsigned v = 0; v < VERBS; v++)
      sum += sides[i].spent[v];
    printf ("%-8s %.3f s/GiB:", names[i], (double)sum / 1e9 * (double)(1 << 30) / (double)total);
    for (unsigned v = 0; v < VERBS; v++)
      printf (" %s %.3f", verb_names[v], (double)sides[i].spent[v] / 1e9);
    ph_link_stats (sides[i].link, &stats);
    printf ("\n  %" G_GUINT64_FORMAT " datagrams in %" G_GUINT64_FORMAT
            " batches, %" G_GUINT64_FORMAT " slices received, %" G_GUINT64_FORMAT
            " lost, rtt %.3f ms\n",
            sides[i].datagrams_out, sides[i].batches_out, sides[i].slices_in, stats.packets_lost,
            (double)stats.rtt / 1e6);
  }
}

int
main (int argc, char **argv)
{
  const uint64_t total = (argc > 1 ? strtoull (argv[1], NULL, 10) : 1024) << 20;
  PhRandomSeeded seeded;
  Side sides[2];
  uint64_t queued = 0;
  g_autoptr (PhBuf) chunk = ph_buf_new (CHUNK);

  ph_random_seeded_init (&seeded, 1);
  memset (chunk->data, 0x55, CHUNK);
  init (sides, ph_random_seeded (&seeded), argc > 2 ? argv[2] : "bbr");

  const int64_t stream = ph_link_open_stream (sides[0].link);
  const PhTime start = read_cpu ();

  for (unsigned i = 0; i < 2; i++)
    memset (sides[i].spent, 0, sizeof sides[i].spent);
  while (!sides[1].fin) {
    const PhTime before = read_cpu ();

    while (queued < total
           && ph_link_stream_queued (sides[0].link, stream) < QUEUE_LOW + (6u << 20)) {
      queued += CHUNK;
      ph_link_send (sides[0].link, stream, (PhBufSlice){ph_buf_ref (chunk), 0, CHUNK},
                    queued >= total);
    }
    sides[0].spent[STREAMS] += read_cpu () - before;
    step (sides);
  }
  g_assert_cmpuint (sides[1].bytes_in, ==, total);
  report (sides, total, read_cpu () - start);
  for (unsigned i = 0; i < 2; i++) {
    ph_link_free (sides[i].link);
    ph_tls_identity_unref (sides[i].identity);
    g_free (sides[i].wire);
  }
  return 0;
}
