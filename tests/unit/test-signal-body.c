/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What connectors say to each other. */

#include "net/signal/ph-envelope.h"
#include "net/signal/ph-signal-body.h"
#include "tests/support/ph-test.h"

static PhSignalParse
parse_one (const void *bytes, size_t len, PhSignalMessage *ret_message)
{
  PhReader r = ph_reader (ph_slice (bytes, len));

  return ph_signal_message_next (&r, ret_message);
}

/* The wire format, byte by byte, so that it does not change by accident. */
static void
test_bytes (void)
{
  static const uint8_t expected[] = {
      1, 35, /* PARAMS */
      1, 8,  0,    0,    0,   0,   0, 0, 0, 9, /* generation */
      2, 8,  0,    0,    0,   0,   0, 0, 0, 7, /* echo */
      3, 4,  'u',  'f',  'r', 'g', /* ufrag */
      4, 3,  'p',  'w',  'd', /* pwd */
      5, 2,  0x40, 0x41, /* features */
      2, 17, /* CANDIDATES */
      1, 8,  0,    0,    0,   0,   0, 0, 0, 9, 6, 3, 'a', 'b', 'c', 7, 0, /* one, end */
      3, 13, /* BYE */
      1, 8,  0,    0,    0,   0,   0, 0, 0, 9, 8, 1, 2,
  };
  const PhSignalMessage params = {
      .type = PH_SIGNAL_PARAMS,
      .generation = 9,
      .echo = 7,
      .ufrag = ph_slice_string ("ufrg"),
      .pwd = ph_slice_string ("pwd"),
      .features = 0x41,
  };
  const PhSignalMessage candidates = {
      .type = PH_SIGNAL_CANDIDATES,
      .generation = 9,
      .candidates = {ph_slice_string ("abc")},
      .n_candidates = 1,
      .end = true,
  };
  const PhSignalMessage bye = {.type = PH_SIGNAL_BYE, .generation = 9, .reason = 2};
  uint8_t out[256];
  PhWriter w = ph_writer (out, sizeof out);

  ph_signal_message_write (&w, &params);
  ph_signal_message_write (&w, &candidates);
  ph_signal_message_write (&w, &bye);
  g_assert_true (ph_writer_ok (&w));
  g_assert_cmpuint (ph_writer_len (&w), ==, sizeof expected);
  g_assert_cmpmem (out, ph_writer_len (&w), expected, sizeof expected);

  PhReader r = ph_reader (ph_slice (out, ph_writer_len (&w)));
  PhSignalMessage m;

  g_assert_cmpint (ph_signal_message_next (&r, &m), ==, PH_SIGNAL_OK);
  g_assert_cmpint (m.type, ==, PH_SIGNAL_PARAMS);
  g_assert_cmpuint (m.generation, ==, 9);
  g_assert_cmpuint (m.echo, ==, 7);
  g_assert_true (ph_slice_equal (m.ufrag, params.ufrag));
  g_assert_true (ph_slice_equal (m.pwd, params.pwd));
  g_assert_cmpuint (m.features, ==, 0x41);
  g_assert_cmpint (ph_signal_message_next (&r, &m), ==, PH_SIGNAL_OK);
  g_assert_cmpint (m.type, ==, PH_SIGNAL_CANDIDATES);
  g_assert_cmpuint (m.n_candidates, ==, 1);
  g_assert_true (ph_slice_equal (m.candidates[0], candidates.candidates[0]));
  g_assert_true (m.end);
  g_assert_cmpint (ph_signal_message_next (&r, &m), ==, PH_SIGNAL_OK);
  g_assert_cmpint (m.type, ==, PH_SIGNAL_BYE);
  g_assert_cmpuint (m.reason, ==, 2);
  g_assert_cmpint (ph_signal_message_next (&r, &m), ==, PH_SIGNAL_END);
}

static void
test_nat (void)
{
  static const int64_t steps[] = {0, 1, -1, 2, 1024, -1024, 1025, -1025, 1 << 30};

  for (size_t i = 0; i < G_N_ELEMENTS (steps); i++) {
    const bool good = steps[i] <= 1024 && steps[i] >= -1024;
    const PhSignalMessage nat = {
        .type = PH_SIGNAL_NAT,
        .generation = 9,
        .nat_kind = 3,
        .nat_step = steps[i],
        .prediction = i % 2 == 0 ? ph_addr_ipv4 (192, 0, 2, 1, 4660) : (PhAddr){0},
    };
    uint8_t out[64];
    PhWriter w = ph_writer (out, sizeof out);
    PhSignalMessage m;

    ph_signal_message_write (&w, &nat);

    PhReader r = ph_reader (ph_slice (out, ph_writer_len (&w)));

    g_assert_cmpint (ph_signal_message_next (&r, &m), ==,
                     good ? PH_SIGNAL_OK : PH_SIGNAL_MALFORMED);
    if (!good)
      continue;
    g_assert_cmpint (m.nat_kind, ==, 3);
    g_assert_cmpint (m.nat_step, ==, steps[i]);
    g_assert_true (ph_addr_equal (&m.prediction, &nat.prediction));
  }
}

static void
test_largest_fits_an_envelope (void)
{
  uint8_t bytes[PH_SIGNAL_CREDENTIAL_MAX] = {1};
  PhSignalMessage m = {.type = PH_SIGNAL_CANDIDATES, .generation = 1, .end = true};
  PhSignalMessage params = {
      .type = PH_SIGNAL_PARAMS,
      .generation = 1,
      .ufrag = ph_slice (bytes, sizeof bytes),
      .pwd = ph_slice (bytes, sizeof bytes),
  };
  uint8_t out[PH_ENVELOPE_BODY_MAX];
  PhWriter w = ph_writer (out, sizeof out);

  for (m.n_candidates = 0; m.n_candidates < PH_SIGNAL_CANDIDATES_MAX; m.n_candidates++)
    m.candidates[m.n_candidates] = ph_slice (bytes, PH_SIGNAL_CANDIDATE_LEN_MAX);
  ph_signal_message_write (&w, &params);
  ph_signal_message_write (&w, &m);
  g_assert_true (ph_writer_ok (&w));

  PhReader r = ph_reader (ph_slice (out, ph_writer_len (&w)));

  g_assert_cmpint (ph_signal_message_next (&r, &m), ==, PH_SIGNAL_OK);
  g_assert_cmpint (ph_signal_message_next (&r, &m), ==, PH_SIGNAL_OK);
  g_assert_cmpuint (m.n_candidates, ==, PH_SIGNAL_CANDIDATES_MAX);
}

static void
test_no_room_poisons (void)
{
  const PhSignalMessage bye = {.type = PH_SIGNAL_BYE, .generation = 9};
  uint8_t out[8];
  PhWriter w = ph_writer (out, sizeof out);

  ph_signal_message_write (&w, &bye);
  g_assert_false (ph_writer_ok (&w));
}

static void
test_newer_is_skipped (void)
{
  static const uint8_t bytes[] = {
      99,   2,    1,  2, /* an unknown message */
      0x40, 0x80, 1,  0xff, /* another */
      3,    17,   1,  8,    0,   0,   0, 0, 0, 0,
      0,    9,    50, 2,    'x', 'y', 8, 1, 4, /* BYE, unknown field */
  };
  PhSignalMessage m;

  g_assert_cmpint (parse_one (bytes, sizeof bytes, &m), ==, PH_SIGNAL_OK);
  g_assert_cmpint (m.type, ==, PH_SIGNAL_BYE);
  g_assert_cmpuint (m.reason, ==, 4);
}

static void
test_malformed (void)
{
  static const struct {
    const char *bytes;
    size_t len;
  } cases[] = {
      {"\x03", 1}, /* no length */
      {"\x03\x05\x01", 3}, /* truncated */
      {"\x03\x00", 2}, /* no generation */
      {"\x03\x0a\x01\x08\0\0\0\0\0\0\0\0", 12}, /* generation 0 */
      {"\x03\x06\x01\x04\0\0\0\1", 8}, /* generation of four bytes */
      {"\x01\x0a\x01\x08\0\0\0\0\0\0\0\1", 12}, /* PARAMS without credentials */
      {"\x02\x0c\x01\x08\0\0\0\0\0\0\0\1\x06\x00", 14}, /* an empty candidate */
      {"\x03\x0d\x01\x08\0\0\0\0\0\0\0\1\x08\x01\x40", 15}, /* half a varint */
      {"\x03\x0c\x01\x08\0\0\0\0\0\0\0\1\x08\x7f", 14}, /* a field longer than its message */
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    PhSignalMessage m;

    g_test_message ("case %zu", i);
    g_assert_cmpint (parse_one (cases[i].bytes, cases[i].len, &m), ==, PH_SIGNAL_MALFORMED);
  }
}

static void
test_too_many_candidates (void)
{
  uint8_t bytes[512];
  PhWriter w = ph_writer (bytes, sizeof bytes);
  PhSignalMessage m;

  ph_write_u8 (&w, 2);
  ph_write_varint (&w, 10 + 3 * (PH_SIGNAL_CANDIDATES_MAX + 1));
  ph_write_u8 (&w, 1);
  ph_write_u8 (&w, 8);
  ph_write_u64 (&w, 1);
  for (unsigned i = 0; i <= PH_SIGNAL_CANDIDATES_MAX; i++)
    ph_write_bytes (&w, "\x06\x01x", 3);
  g_assert_true (ph_writer_ok (&w));
  g_assert_cmpint (parse_one (bytes, ph_writer_len (&w), &m), ==, PH_SIGNAL_MALFORMED);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/signal-body/bytes", test_bytes);
  g_test_add_func ("/signal-body/nat", test_nat);
  g_test_add_func ("/signal-body/largest-fits-an-envelope", test_largest_fits_an_envelope);
  g_test_add_func ("/signal-body/no-room-poisons", test_no_room_poisons);
  g_test_add_func ("/signal-body/newer-is-skipped", test_newer_is_skipped);
  g_test_add_func ("/signal-body/malformed", test_malformed);
  g_test_add_func ("/signal-body/too-many-candidates", test_too_many_candidates);
  return g_test_run ();
}
