/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Byte cursors, addresses, buffers, seeded randomness, time. */

#include "net/base/ph-addr.h"
#include "net/base/ph-buf.h"
#include "net/base/ph-bytes.h"
#include "net/base/ph-time.h"
#include "tests/support/ph-test.h"

static void
test_reader_poison_sticks (void)
{
  const uint8_t bytes[] = {1, 2, 3};
  PhReader r = ph_reader (ph_slice (bytes, sizeof bytes));

  g_assert_cmpuint (ph_read_u16 (&r), ==, 0x0102);
  g_assert_cmpuint (ph_read_u16 (&r), ==, 0);
  g_assert_false (ph_reader_ok (&r));
  g_assert_cmpuint (ph_read_u8 (&r), ==, 0);
  g_assert_false (ph_reader_done (&r));
}

static void
test_varint_round_trip (void)
{
  const uint64_t values[] = {
      0, 63, 64, 16383, 16384, (1u << 30) - 1, 1u << 30, (UINT64_C (1) << 62) - 1};

  for (size_t i = 0; i < G_N_ELEMENTS (values); i++) {
    uint8_t out[8];
    PhWriter w = ph_writer (out, sizeof out);

    ph_write_varint (&w, values[i]);
    g_assert_true (ph_writer_ok (&w));
    g_assert_cmpuint (ph_writer_len (&w), ==, ph_varint_len (values[i]));

    PhReader r = ph_reader (ph_slice (out, ph_writer_len (&w)));

    g_assert_cmpuint (ph_read_varint (&r), ==, values[i]);
    g_assert_true (ph_reader_done (&r));
  }

  uint8_t out[8];
  PhWriter w = ph_writer (out, sizeof out);

  ph_write_varint (&w, UINT64_C (1) << 62);
  g_assert_false (ph_writer_ok (&w));
}

static void
test_counted_is_bounded (void)
{
  const uint8_t bytes[] = {4, 'a', 'b', 'c', 'd'};
  PhReader r = ph_reader (ph_slice (bytes, sizeof bytes));
  PhReader tight = r;

  g_assert_cmpuint (ph_read_counted (&r, 4).len, ==, 4);
  g_assert_true (ph_reader_done (&r));
  g_assert_cmpuint (ph_read_counted (&tight, 3).len, ==, 0);
  g_assert_false (ph_reader_ok (&tight));
}

static void
test_writer_full (void)
{
  uint8_t out[3];
  PhWriter w = ph_writer (out, sizeof out);

  ph_write_u16 (&w, 1);
  ph_write_u16 (&w, 2);
  ph_write_u8 (&w, 3);
  g_assert_false (ph_writer_ok (&w));
}

static void
test_addr_text (void)
{
  static const char *const good[] = {
      "192.0.2.1:80", "0.0.0.0:0", "[2001:db8::1]:65535", "[::]:1", "[fe80::1%3]:7",
  };
  static const char *const bad[] = {
      "",           ":",      "192.0.2.1:65536", "192.0.2.1:",     "192.0.2:80",   "example.org:80",
      "[::1",       "[::1]x", "[192.0.2.1]:80",  "192.0.2.1%1:80", "[fe80::1%]:7", "1.2.3.4:-1",
      "1.2.3.4: 1",
  };
  char text[PH_ADDR_STRING_MAX];
  PhAddr addr;

  for (size_t i = 0; i < G_N_ELEMENTS (good); i++) {
    g_assert_true (ph_addr_parse (good[i], 0, &addr));
    g_assert_cmpstr (ph_addr_format (&addr, text), ==, good[i]);
  }
  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_false (ph_addr_parse (bad[i], 0, &addr));

  g_assert_true (ph_addr_parse ("2001:db8::1", 3478, &addr));
  g_assert_cmpstr (ph_addr_format (&addr, text), ==, "[2001:db8::1]:3478");
  g_assert_true (ph_addr_parse ("[::ffff:192.0.2.1]:5", 0, &addr));
  g_assert_cmpstr (ph_addr_format (&addr, text), ==, "192.0.2.1:5");
}

static void
test_addr_scope (void)
{
  static const struct {
    const char *text;
    PhScope scope;
  } cases[] = {
      {"127.0.0.1", PH_SCOPE_LOOPBACK},   {"10.1.2.3", PH_SCOPE_PRIVATE},
      {"172.16.0.1", PH_SCOPE_PRIVATE},   {"172.32.0.1", PH_SCOPE_GLOBAL},
      {"192.168.1.1", PH_SCOPE_PRIVATE},  {"169.254.1.1", PH_SCOPE_LINK_LOCAL},
      {"192.0.0.0", PH_SCOPE_CONTINUITY}, {"192.0.0.7", PH_SCOPE_CONTINUITY},
      {"192.0.0.8", PH_SCOPE_GLOBAL},     {"100.64.0.1", PH_SCOPE_SHARED},
      {"100.128.0.1", PH_SCOPE_GLOBAL},   {"0.0.0.0", PH_SCOPE_UNUSABLE},
      {"224.0.0.1", PH_SCOPE_UNUSABLE},   {"255.255.255.255", PH_SCOPE_UNUSABLE},
      {"::1", PH_SCOPE_LOOPBACK},         {"::", PH_SCOPE_UNUSABLE},
      {"fe80::1", PH_SCOPE_LINK_LOCAL},   {"fd00::1", PH_SCOPE_PRIVATE},
      {"ff02::1", PH_SCOPE_UNUSABLE},     {"2001:db8::1", PH_SCOPE_GLOBAL},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    PhAddr addr;

    g_assert_true (ph_addr_parse (cases[i].text, 0, &addr));
    g_assert_cmpint (ph_addr_scope (&addr), ==, cases[i].scope);
  }
}

static void
test_buf_pool_reuses (void)
{
  g_autoptr (PhBufPool) pool = ph_buf_pool_new (4096, 1);
  PhBuf *a = ph_buf_pool_take (pool);
  PhBuf *b = ph_buf_pool_take (pool);
  const uint8_t *a_data = a->data;

  ph_buf_unref (a);
  ph_buf_unref (b);
  a = ph_buf_pool_take (pool);
  g_assert_true (a->data == a_data);
  ph_buf_unref (a);
}

static void
test_seeded_is_reproducible (void)
{
  PhRandomSeeded sa, sb;
  PhRandom a = ph_test_random (&sa, "x");
  PhRandom b = ph_test_random (&sb, "x");

  for (int i = 0; i < 100; i++) {
    g_assert_cmpuint (ph_random_u64 (&a), ==, ph_random_u64 (&b));
    g_assert_cmpuint (ph_random_below (&a, 7), <, 7);
    ph_random_below (&b, 7);
  }
}

static void
test_time_saturates (void)
{
  g_assert_cmpuint (ph_time_add (PH_NEVER, PH_SEC), ==, PH_NEVER);
  g_assert_cmpuint (ph_time_add (PH_NEVER - 1, 2), ==, PH_NEVER);
  g_assert_cmpuint (ph_time_since (5, 7), ==, 0);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/base/reader-poison-sticks", test_reader_poison_sticks);
  g_test_add_func ("/base/varint-round-trip", test_varint_round_trip);
  g_test_add_func ("/base/counted-is-bounded", test_counted_is_bounded);
  g_test_add_func ("/base/writer-full", test_writer_full);
  g_test_add_func ("/base/addr-text", test_addr_text);
  g_test_add_func ("/base/addr-scope", test_addr_scope);
  g_test_add_func ("/base/buf-pool-reuses", test_buf_pool_reuses);
  g_test_add_func ("/base/seeded-is-reproducible", test_seeded_is_reproducible);
  g_test_add_func ("/base/time-saturates", test_time_saturates);
  return g_test_run ();
}
