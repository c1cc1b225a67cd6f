/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A QUIC link between two processes, over real sockets, without files and sessions: what is left for
 * them to lose.
 *
 *   bench-quic-udp listen ADDR:PORT            in one network namespace
 *   bench-quic-udp send ADDR:PORT [MIB] [cubic|bbr]   in another
 *
 * Each prints its own CPU time. */

#include "net/io/ph-clock.h"
#include "net/io/ph-system-random.h"
#include "net/io/ph-timer.h"
#include "net/io/ph-udp.h"
#include "net/quic/ph-quic.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define CHUNK (256 * 1024)
#define QUEUE_MOST (8u << 20)

typedef struct {
  GMainLoop *loop;
  PhUdp *udp;
  PhTimer *timer;
  PhQuicConfig config;
  PhLink *link;
  PhAddr remote;
  uint8_t *out;

  PhBuf *chunk;
  uint64_t total; /* to send */
  uint64_t queued;
  int64_t stream;

  PhTime start;
  uint64_t bytes_in;
  uint64_t slices_in;
  bool done;
} Bench;

static void
feed (Bench *self)
{
  while (self->queued < self->total
         && ph_link_stream_queued (self->link, self->stream) < QUEUE_MOST) {
    self->queued += CHUNK;
    ph_link_send (self->link, self->stream, (PhBufSlice){ph_buf_ref (self->chunk), 0, CHUNK},
                  self->queued >= self->total);
  }
}

static void
take_event (Bench *self, PhLinkEvent *event, PhTime now)
{
  switch (event->type) {
  case PH_LINK_EVENT_READY:
    self->start = now;
    if (self->config.client) {
      self->stream = ph_link_open_stream (self->link);
      ph_link_set_low_marks (self->link, self->stream, QUEUE_MOST - CHUNK, 0);
      feed (self);
    }
    break;
  case PH_LINK_EVENT_DRAINED:
    feed (self);
    break;
  case PH_LINK_EVENT_STREAM_DATA:
    self->bytes_in += event->data.len;
    self->slices_in++;
    ph_link_consumed (self->link, event->stream, event->data.len);
    ph_buf_slice_clear (&event->data);
    if (event->fin)
      ph_link_close (self->link, now, 0, "received");
    break;
  case PH_LINK_EVENT_CLOSED:
    fprintf (stderr, "closed: error %d, %s\n", event->error, event->reason);
    self->done = true;
    break;
  case PH_LINK_EVENT_STREAM_OPENED:
  case PH_LINK_EVENT_STREAM_RESET:
    break;
  }
}

static void
settle (Bench *self)
{
  PhTime now = ph_clock_now ();
  PhTransmit tx = {.data = self->out, .cap = PH_TRANSMIT_MAX};
  PhLinkEvent event;

  if (self->link == NULL || self->done)
    return;
  while (ph_link_poll_event (self->link, &event))
    take_event (self, &event, now);
  while (!ph_udp_is_blocked (self->udp) && ph_link_poll_transmit (self->link, now, &tx)) {
    tx.remote = self->remote;
    ph_udp_send (self->udp, &tx);
    now = ph_clock_now ();
  }
  while (ph_link_poll_event (self->link, &event))
    take_event (self, &event, now);
  ph_timer_arm (self->timer, ph_link_next_timeout (self->link, NULL));
  if (self->done)
    g_main_loop_quit (self->loop);
}

static void
on_received (void *user, const PhDatagram *datagrams, size_t n)
{
  Bench *self = user;
  const PhTime now = ph_clock_now ();

  for (size_t i = 0; i < n; i++) {
    if (self->link == NULL) {
      self->config.initial = datagrams[i].bytes;
      self->remote = datagrams[i].remote;
      self->link = ph_quic_link_new (&self->config, now);
    }
    if (self->link != NULL)
      ph_link_handle_packet (self->link, now, &datagrams[i]);
  }
}

static void
on_batch_done (void *user)
{
  settle (user);
}

static void
on_writable (void *user, uint32_t socket)
{
  settle (user);
}

static void
on_timer (void *user, PhTime now)
{
  Bench *self = user;

  if (self->link != NULL)
    ph_link_handle_timeout (self->link, now);
  settle (self);
}

static void
report (Bench *self)
{
  const PhUdpStats *udp = ph_udp_stats (self->udp);
  const uint64_t bytes = self->config.client ? self->total : self->bytes_in;
  const double took = (double)(ph_clock_now () - self->start) / 1e9;
  struct rusage usage;
  PhLinkStats stats;

  getrusage (RUSAGE_SELF, &usage);
  ph_link_stats (self->link, &stats);
  printf ("%-8s %.0f MB/s, user %ld.%03ld s, system %ld.%03ld s, %ld MiB\n",
          self->config.client ? "sender" : "receiver", (double)bytes / took / 1e6,
          usage.ru_utime.tv_sec, usage.ru_utime.tv_usec / 1000, usage.ru_stime.tv_sec,
          usage.ru_stime.tv_usec / 1000, usage.ru_maxrss / 1024);
  printf ("  sent %" G_GUINT64_FORMAT " datagrams in %" G_GUINT64_FORMAT
          " calls, received %" G_GUINT64_FORMAT " in %" G_GUINT64_FORMAT
          " calls, blocked %" G_GUINT64_FORMAT ", dropped by the kernel %" G_GUINT64_FORMAT
          ", lost %" G_GUINT64_FORMAT ", rtt %.2f ms, %" G_GUINT64_FORMAT " slices\n",
          udp->datagrams_sent, udp->send_calls, udp->datagrams_received, udp->receive_calls,
          udp->blocked, udp->kernel_drops, stats.packets_lost, (double)stats.rtt / 1e6,
          self->slices_in);
}

static void
configure (Bench *self, bool client, PhQuicCongestion congestion)
{
  const uint8_t seeds[2][PH_TLS_SEED_LEN] = {{1}, {2}};
  g_autoptr (PhTlsIdentity) peer = ph_tls_identity_new (seeds[!client]);

  self->config = (PhQuicConfig){.client = client,
                                .identity = ph_tls_identity_new (seeds[client]),
                                .random = ph_system_random (),
                                .congestion = congestion};
  memcpy (self->config.peer_key, ph_tls_identity_key (peer), PH_KEY_LEN);
}

int
main (int argc, char **argv)
{
  static const PhUdpCallbacks callbacks = {on_received, on_batch_done, on_writable};
  const bool client = argc > 2 && g_str_equal (argv[1], "send");
  Bench self = {.out = g_malloc (PH_TRANSMIT_MAX), .stream = -1};
  g_autoptr (GError) error = NULL;
  PhAddr addr;
  PhAddr local = ph_addr_ipv4 (0, 0, 0, 0, 0);

  if (argc < 3 || !ph_addr_parse (argv[2], 4000, &addr)) {
    fprintf (stderr, "usage: bench-quic-udp listen|send ADDR:PORT [MIB] [cubic|bbr]\n");
    return 2;
  }
  self.total = (argc > 3 ? strtoull (argv[3], NULL, 10) : 1024) << 20;
  configure (&self, client,
             argc > 4 && g_str_equal (argv[4], "cubic") ? PH_QUIC_CUBIC : PH_QUIC_BBR);
  self.loop = g_main_loop_new (NULL, FALSE);
  self.timer = ph_timer_new (NULL, on_timer, &self);
  self.udp =
      ph_udp_new (NULL, 1, client ? &local : &addr, PH_UDP_DEFAULT, &callbacks, &self, &error);
  if (self.udp == NULL)
    g_error ("%s", error->message);
  self.chunk = ph_buf_new (CHUNK);
  memset (self.chunk->data, 0x55, CHUNK);

  if (client) {
    self.remote = addr;
    self.link = ph_quic_link_new (&self.config, ph_clock_now ());
    settle (&self);
  }
  g_main_loop_run (self.loop);
  report (&self);

  ph_link_free (self.link);
  ph_tls_identity_unref (self.config.identity);
  ph_udp_free (self.udp);
  ph_timer_free (self.timer);
  ph_buf_unref (self.chunk);
  g_main_loop_unref (self.loop);
  g_free (self.out);
  return 0;
}
