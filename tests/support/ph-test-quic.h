/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two links, QUIC or TLS, and the wire between them, in memory, on a virtual clock. */

#pragma once

#include "net/quic/ph-quic.h"
#include "net/tls/ph-tls-link.h"

#define PH_TEST_CLIENT 0
#define PH_TEST_SERVER 1

/* What one side has seen. */
typedef struct {
  PhLink *link;
  PhTlsIdentity *identity;
  bool hold; /* do not consume what arrives */
  GHashTable *streams; /* id -> PhTestStream, of the peer's streams */
  uint64_t bytes_in;
  unsigned n_ready;
  unsigned n_opened;
  unsigned n_fin;
  unsigned n_reset;
  unsigned n_drained;
  unsigned n_closed;
  uint64_t reset_code;
  PhLinkEvent closed;
  uint64_t datagrams_out;
  uint64_t batches_out;
  size_t batch_max; /* bytes */
  size_t slice_max;
} PhTestSide;

typedef struct {
  int64_t id;
  uint64_t bytes;
  uint64_t unconsumed;
  bool fin;
  bool reset;
} PhTestStream;

/* The wire, both ways. Chances are in 1/1000. */
typedef struct {
  PhTime delay;
  PhTime jitter; /* up to so much more, which reorders */
  unsigned loss;
  unsigned duplicate;
  size_t mtu; /* larger datagrams vanish; 0: all fit */
  uint64_t rate; /* bytes a second; 0: no limit */
  PhTime queue_max; /* time in the queue of the bottleneck above which datagrams are dropped */
} PhTestWire;

typedef struct {
  PhTime now;
  PhTestSide side[2];
  PhTestWire wire;
  bool cut; /* nothing arrives */
  PhQuicConfig config[2];
  bool
      tls; /* TLS links on a wire that keeps everything, in order: `tls_config` instead of `config` */
  PhTlsLinkConfig tls_config[2];
  size_t flying_max; /* TLS: a link is not polled while so many bytes fly */
  size_t
      piece_max; /* TLS: bytes arrive in random pieces of at most so many; 0: as they were sent */
  size_t flying_bytes[2];
  GQueue flying[2]; /* towards each side, by arrival */
  PhTime free_at[2];
  PhRandomSeeded seeded;
  PhRandom random;
  uint8_t *out; /* PH_TRANSMIT_MAX */
  uint8_t headroom; /* asked for before every datagram, and not carried by the wire */
  /* Sees every datagram before it flies; may change it. False: it is lost. */
  bool (*tap) (void *user, unsigned to, uint8_t *data, size_t len);
  void *tap_user;
} PhTestQuic;

/* The configuration is complete and may be changed until the first ph_test_quic_run(). */
void ph_test_quic_init (PhTestQuic *self, const char *name);
void ph_test_tls_init (PhTestQuic *self, const char *name);
void ph_test_quic_clear (PhTestQuic *self);
/* Makes the client. The server is made when its first datagram arrives. */
void ph_test_quic_start (PhTestQuic *self);
/* Until `done` says so (it may be NULL) or `span` has passed. True if it did. */
bool ph_test_quic_run (PhTestQuic *self, PhTime span, bool (*done) (PhTestQuic *self));
/* Starts and runs until both are READY, asserting that. */
void ph_test_quic_connect (PhTestQuic *self);
void ph_test_quic_settle (PhTestQuic *self);
/* Both links are READY. */
bool ph_test_quic_ready (PhTestQuic *self);
bool ph_test_quic_closed (PhTestQuic *self);

/* Queues `len` bytes of the pattern that the receiving side compares with, from `offset`. */
void ph_test_quic_send (PhLink *link, int64_t stream, uint64_t offset, size_t len, bool fin);
/* Opens a stream and queues `total` bytes and its end. */
void ph_test_quic_send_all (PhTestQuic *self, unsigned from, uint64_t total);
/* Of the peer's streams. */
PhTestStream *ph_test_quic_only_stream (PhTestSide *side);
