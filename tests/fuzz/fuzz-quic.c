/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whatever arrives on a socket, a fresh server and an established pair stand it. GnuTLS draws its own
 * randomness, so a run cannot be repeated to the bit: only outcomes are asserted.
 *
 * The input is a list of deeds: one byte says what, two how long, and so many bytes follow. */

#include "tests/support/ph-test-quic.h"

/* Inputs that one pair is used for, so that most runs do not pay for a handshake. */
#define RUNS_PER_PAIR 200
#define DATAGRAM_MAX 1500

typedef enum {
  DEED_JUNK, /* a datagram of these bytes */
  DEED_SHORT, /* the same behind a short header with the link's own connection id */
  DEED_LONG, /* the same behind a long header with it */
  DEED_SPOIL, /* XOR these bytes onto the next datagram that flies */
  DEED_INITIAL, /* a first datagram of these bytes, padded: a server is made from it if that goes */
  DEED_MAX,
} Deed;

static PhTestQuic pair;
static unsigned runs_left;
static PhSlice spoil;

static bool
spoil_next (void *user, unsigned to, uint8_t *data, size_t len)
{
  for (size_t i = 0; i < MIN (len, spoil.len); i++)
    data[i] ^= spoil.data[i];
  /* The test's wire insists on the fixed bit of whatever we send; what arrives may have any. */
  spoil = (PhSlice){0};
  return true;
}

static void
renew_pair (void)
{
  if (runs_left-- > 0)
    return;
  if (pair.out != NULL)
    ph_test_quic_clear (&pair);
  runs_left = RUNS_PER_PAIR;
  ph_test_quic_init (&pair, "fuzz-quic");
  pair.tap = spoil_next;
  ph_test_quic_connect (&pair);
}

/* A connection id that `link` answers to, found by asking: ids come from a seeded generator, but which
 * of them are in use is ngtcp2's affair. */
static void
find_cid (unsigned to, uint8_t cid[8])
{
  static uint8_t found[2][8];
  static const PhLink *found_of[2];
  PhTestSide *other = &pair.side[!to];
  PhTransmit tx = {.data = pair.out, .cap = PH_TRANSMIT_MAX};

  if (found_of[to] != pair.side[to].link) {
    /* A byte of data makes the other side send a short header, whose destination is what we want. */
    const int64_t stream = ph_link_open_stream (other->link);

    memset (found[to], 0, sizeof found[to]);
    if (stream >= 0)
      ph_test_quic_send (other->link, stream, 0, 1, true);
    if (ph_link_poll_transmit (other->link, pair.now, &tx) && (tx.data[0] & 0x80) == 0) {
      memcpy (found[to], tx.data + 1, 8);
      found_of[to] = pair.side[to].link;
    }
  }
  memcpy (cid, found[to], 8);
}

static void throw (unsigned to, const uint8_t *data, size_t len)
{
  const PhDatagram in = {.bytes = ph_slice (data, len)};

  (void)ph_quic_link_owns (pair.side[to].link, in.bytes);
  ph_link_handle_packet (pair.side[to].link, pair.now, &in);
  ph_test_quic_settle (&pair);
}

static void
throw_behind_header (unsigned to, bool is_long, PhSlice bytes)
{
  uint8_t data[DATAGRAM_MAX + 16] = {0x40};
  PhWriter w = ph_writer (data, sizeof data);
  uint8_t cid[8];

  find_cid (to, cid);
  ph_write_u8 (&w, is_long ? 0xc0 | (bytes.len > 0 ? bytes.data[0] & 0x3f : 0) : 0x40);
  if (is_long) {
    ph_write_u32 (&w, 1);
    ph_write_u8 (&w, sizeof cid);
  }
  ph_write_bytes (&w, cid, sizeof cid);
  ph_write_slice (&w, bytes);
  g_assert_true (ph_writer_ok (&w));
  throw (to, data, ph_writer_len (&w));
}

static void
make_server (PhSlice bytes)
{
  uint8_t data[1200] = {0};
  PhQuicConfig config = pair.config[PH_TEST_SERVER];
  const PhDatagram in = {.bytes = ph_slice (data, sizeof data)};
  PhTransmit tx = {.data = pair.out, .cap = PH_TRANSMIT_MAX};
  PhLinkEvent event;
  size_t sent = 0;
  PhSlice dcid;
  PhSlice scid;

  if (bytes.len > 0)
    memcpy (data, bytes.data, MIN (bytes.len, sizeof data));
  config.initial = in.bytes;
  (void)ph_quic_is_initial (in.bytes, &dcid, &scid);

  g_autoptr (PhLink) server = ph_quic_link_new (&config, pair.now);

  if (server == NULL)
    return;
  ph_link_handle_packet (server, pair.now, &in);
  while (ph_link_poll_transmit (server, pair.now, &tx))
    sent += tx.len;
  g_assert_cmpuint (sent, <=, 3 * sizeof data); /* RFC 9000 §8.1 */
  while (ph_link_poll_event (server, &event))
    g_assert_cmpint (event.type, ==, PH_LINK_EVENT_CLOSED);
  ph_link_handle_timeout (server, ph_link_next_timeout (server, NULL) != PH_NEVER
                                      ? MAX (pair.now, ph_link_next_timeout (server, NULL))
                                      : pair.now);
}

static void
do_deed (PhReader *r)
{
  const uint8_t what = ph_read_u8 (r);
  const size_t len = ph_read_u16 (r) % (DATAGRAM_MAX - 16);
  const PhSlice bytes = ph_read_slice (r, MIN (len, ph_reader_left (r)));
  const unsigned to = what & 1;

  switch ((Deed)((what >> 1) % DEED_MAX)) {
  case DEED_JUNK:
    throw (to, bytes.data, bytes.len);
    break;
  case DEED_SHORT:
    throw_behind_header (to, false, bytes);
    break;
  case DEED_LONG:
    throw_behind_header (to, true, bytes);
    break;
  case DEED_SPOIL:
    spoil = bytes;
    if (ph_link_state (pair.side[to].link) == PH_LINK_READY) {
      const int64_t stream = ph_link_open_stream (pair.side[to].link);

      if (stream >= 0)
        ph_test_quic_send (pair.side[to].link, stream, 0, 3000, true);
    }
    ph_test_quic_run (&pair, 25 * PH_MSEC, NULL);
    break;
  case DEED_INITIAL:
    make_server (bytes);
    break;
  case DEED_MAX:
    g_assert_not_reached ();
  }
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  PhReader r = ph_reader (ph_slice (data, size));

  renew_pair ();
  while (ph_reader_ok (&r) && ph_reader_left (&r) > 0)
    do_deed (&r);
  /* Nobody without the keys ends a connection, and it still carries what it is given. */
  spoil = (PhSlice){0};
  ph_test_quic_run (&pair, PH_SEC, NULL);
  g_assert_true (ph_link_state (pair.side[0].link) == PH_LINK_READY);
  g_assert_true (ph_link_state (pair.side[1].link) == PH_LINK_READY);
  return 0;
}
