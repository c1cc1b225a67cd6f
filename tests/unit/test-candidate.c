/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/ice/ph-ice-candidate.h"
#include "tests/support/ph-test.h"

/* --- Priorities and foundations ----------------------------------------------------------------- */

/* Each line is better than the next. */
static void
test_order (void)
{
  const PhAddr server = ph_test_addr ("203.0.113.1:3478");
  const PhAddr public_addr = ph_test_addr ("198.51.100.1:4000");
  const PhCandidate best[] = {
      ph_candidate_host (ph_test_addr ("[2001:db8::1]:1"), 1, 0),
      ph_candidate_host (ph_test_addr ("192.168.1.2:1"), 2, 0),
      ph_candidate_host (ph_test_addr ("[2001:db8::2]:1"), 3, 1),
      ph_candidate_host (ph_test_addr ("192.168.2.2:1"), 4, 1),
      ph_candidate_host (ph_test_addr ("10.8.0.2:1"), 5, 100000),
      ph_candidate_host (ph_test_addr ("[fe80::1%3]:1"), 6, 0),
  };

  for (size_t i = 0; i + 1 < G_N_ELEMENTS (best); i++)
    g_assert_cmpuint (best[i].priority, >, best[i + 1].priority);

  const PhCandidate mapped = ph_candidate_mapped (&best[1], public_addr);
  const PhCandidate srflx = ph_candidate_srflx (&best[1], public_addr, server);
  const PhCandidate relay = ph_candidate_relay (server, public_addr, 9, server);

  g_assert_cmpuint (best[5].priority, >, ph_candidate_prflx_priority (&best[1]));
  g_assert_cmpuint (ph_candidate_prflx_priority (&best[1]), >, mapped.priority);
  g_assert_cmpuint (mapped.priority, >, srflx.priority);
  g_assert_cmpuint (srflx.priority, >, relay.priority);
  g_assert_cmpuint (relay.priority, >, 0);
  /* RFC 8445 §5.1.2.1 with type 126, local preference 65535, component 1. */
  g_assert_cmphex (best[0].priority, ==, 0x7effffff);
  g_assert_cmpuint (
      ph_candidate_priority (PH_CANDIDATE_HOST, PH_CANDIDATE_TCP_SO, &best[0].addr, 0), <,
      srflx.priority);
}

static void
test_foundations (void)
{
  const PhAddr mapped = ph_test_addr ("198.51.100.1:4000");
  const PhCandidate host = ph_candidate_host (ph_test_addr ("192.168.1.2:1"), 1, 0);
  const PhCandidate host_again = ph_candidate_host (ph_test_addr ("192.168.1.2:99"), 2, 5);
  const PhCandidate other = ph_candidate_host (ph_test_addr ("192.168.1.3:1"), 3, 0);
  const PhCandidate srflx = ph_candidate_srflx (&host, mapped, ph_test_addr ("203.0.113.1:3478"));
  const PhCandidate srflx_again = ph_candidate_srflx (&host_again, ph_test_addr ("198.51.100.1:7"),
                                                      ph_test_addr ("203.0.113.1:3479"));
  const PhCandidate srflx_other =
      ph_candidate_srflx (&host, mapped, ph_test_addr ("203.0.113.2:3478"));

  g_assert_cmpstr (host.foundation, ==, host_again.foundation);
  g_assert_cmpstr (host.foundation, !=, other.foundation);
  g_assert_cmpstr (host.foundation, !=, srflx.foundation);
  g_assert_cmpstr (srflx.foundation, ==, srflx_again.foundation);
  g_assert_cmpstr (srflx.foundation, !=, srflx_other.foundation);
  g_assert_true (ph_addr_equal (&srflx.base, &host.addr));
  g_assert_cmpuint (srflx.socket, ==, host.socket);
}

static void
test_usable (void)
{
  static const char *const good[] = {"192.0.2.1:1", "10.0.0.1:65535", "[fe80::1%2]:9",
                                     "100.64.0.1:1"};
  static const char *const bad[] = {"192.0.2.1:0",       "0.0.0.0:1", "239.1.2.3:1",
                                    "255.255.255.255:1", "[::]:1",    "[ff05::2]:1"};
  const PhAddr loopback = ph_test_addr ("127.0.0.1:5");
  PhAddr candidate;

  for (size_t i = 0; i < G_N_ELEMENTS (good); i++) {
    candidate = ph_test_addr (good[i]);
    g_assert_true (ph_candidate_usable (&candidate, false));
  }
  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++) {
    candidate = ph_test_addr (bad[i]);
    g_assert_false (ph_candidate_usable (&candidate, true));
  }
  g_assert_false (ph_candidate_usable (&loopback, false));
  g_assert_true (ph_candidate_usable (&loopback, true));
}

/* --- The compact form --------------------------------------------------------------------------- */

static size_t
write_compact (const PhCandidate *candidate, uint8_t out[PH_CANDIDATE_WIRE_MAX])
{
  PhWriter w = ph_writer (out, PH_CANDIDATE_WIRE_MAX);

  ph_candidate_write (&w, candidate);
  g_assert_true (ph_writer_ok (&w));
  return ph_writer_len (&w);
}

static void
test_compact (void)
{
  const PhCandidate host = ph_candidate_host (ph_test_addr ("[2001:db8::1]:1234"), 7, 0);
  PhCandidate longest =
      ph_candidate_srflx (&host, ph_test_addr ("[2001:db8::2]:5"), ph_test_addr ("192.0.2.1:1"));
  uint8_t bytes[PH_CANDIDATE_WIRE_MAX];
  PhCandidate got;
  size_t len;

  memset (longest.foundation, 'f', PH_FOUNDATION_MAX);
  len = write_compact (&longest, bytes);

  PhReader r = ph_reader (ph_slice (bytes, len));

  ph_candidate_read (&r, &got);
  g_assert_true (ph_reader_done (&r));
  g_assert_cmpint (got.type, ==, PH_CANDIDATE_SRFLX);
  g_assert_true (ph_addr_equal (&got.addr, &longest.addr));
  g_assert_cmpuint (got.priority, ==, longest.priority);
  g_assert_cmpstr (got.foundation, ==, longest.foundation);
  /* What is ours stays at home. */
  g_assert_cmpuint (got.socket, ==, 0);
  g_assert_false (ph_addr_is_set (&got.base));
  g_assert_false (ph_addr_is_set (&got.related));

  for (size_t cut = 0; cut < len; cut++) {
    r = ph_reader (ph_slice (bytes, cut));
    ph_candidate_read (&r, &got);
    g_assert_false (ph_reader_ok (&r));
    g_assert_false (ph_addr_is_set (&got.addr));
  }
}

/* The bytes of docs/protocol.md. */
static void
test_compact_bytes (void)
{
  static const uint8_t expected[] = {0,    0,    4,    192,  0,   2, 1,   0x12,
                                     0x34, 0x7e, 0xff, 0xfe, 255, 2, 'a', 'b'};
  PhCandidate candidate = ph_candidate_host (ph_test_addr ("192.0.2.1:4660"), 1, 0);
  uint8_t bytes[PH_CANDIDATE_WIRE_MAX];

  g_strlcpy (candidate.foundation, "ab", sizeof candidate.foundation);
  g_assert_cmpmem (bytes, write_compact (&candidate, bytes), expected, sizeof expected);
}

static void
test_compact_refused (void)
{
  static const struct {
    size_t at;
    uint8_t value;
  } changes[] = {
      {0, PH_N_CANDIDATE_TYPES},
      {1, PH_N_CANDIDATE_TRANSPORTS},
      {2, 3},
      {2, 0},
      {2, 17},
      {9, 0x80},
      {13, 0},
      {14, ':'},
  };
  PhCandidate candidate = ph_candidate_host (ph_test_addr ("192.0.2.1:4660"), 1, 0);
  uint8_t good[PH_CANDIDATE_WIRE_MAX];
  size_t len;

  g_strlcpy (candidate.foundation, "ab", sizeof candidate.foundation);
  len = write_compact (&candidate, good);
  for (size_t i = 0; i < G_N_ELEMENTS (changes); i++) {
    uint8_t bytes[PH_CANDIDATE_WIRE_MAX];
    PhReader r;

    memcpy (bytes, good, len);
    bytes[changes[i].at] = changes[i].value;
    r = ph_reader (ph_slice (bytes, len));
    ph_candidate_read (&r, &candidate);
    g_assert_false (ph_reader_done (&r));
  }
}

/* --- SDP ---------------------------------------------------------------------------------------- */

static void
test_sdp_round_trip (void)
{
  const PhCandidate host = ph_candidate_host (ph_test_addr ("192.168.1.2:1000"), 1, 0);
  const PhCandidate host6 = ph_candidate_host (ph_test_addr ("[fe80::1%3]:1000"), 1, 0);
  PhCandidate tcp = host;
  const PhCandidate all[] = {
      host,
      host6,
      ph_candidate_srflx (&host, ph_test_addr ("198.51.100.1:4000"),
                          ph_test_addr ("203.0.113.1:3478")),
      ph_candidate_mapped (&host, ph_test_addr ("198.51.100.1:4001")),
      ph_candidate_relay (ph_test_addr ("203.0.113.1:5000"), ph_test_addr ("198.51.100.1:4000"), 2,
                          ph_test_addr ("203.0.113.1:3478")),
  };
  char text[PH_CANDIDATE_SDP_MAX];
  PhCandidate got;

  for (size_t i = 0; i < G_N_ELEMENTS (all); i++) {
    PhAddr plain = all[i].addr;

    plain.scope = 0;
    g_assert_true (ph_candidate_parse_sdp (ph_candidate_format_sdp (&all[i], text), &got));
    g_assert_true (ph_addr_equal (&got.addr, &plain));
    g_assert_true (ph_addr_equal (&got.related, &all[i].related));
    g_assert_cmpuint (got.priority, ==, all[i].priority);
    g_assert_cmpstr (got.foundation, ==, all[i].foundation);
    g_assert_cmpint (got.type, ==,
                     all[i].type == PH_CANDIDATE_MAPPED ? PH_CANDIDATE_SRFLX : all[i].type);
  }

  tcp.transport = PH_CANDIDATE_TCP_SO;
  g_assert_true (g_str_has_suffix (ph_candidate_format_sdp (&tcp, text), " tcptype so"));
  g_assert_true (ph_candidate_parse_sdp (text, &got));
  g_assert_cmpint (got.transport, ==, PH_CANDIDATE_TCP_SO);
}

static void
test_sdp_foreign (void)
{
  PhCandidate got;
  PhAddr expected;

  /* As libnice, browsers and aioice write them. */
  g_assert_true (
      ph_candidate_parse_sdp ("a=candidate:1 1 UDP 2015363327 192.168.1.7 42816 typ host", &got));
  g_assert_cmpuint (got.priority, ==, 2015363327);
  g_assert_true (ph_candidate_parse_sdp (
      "candidate:842163049 1 udp 1677729535 198.51.100.4 58592 typ srflx raddr 0.0.0.0 rport 0 "
      "generation 0 ufrag vU3b network-cost 999",
      &got));
  g_assert_cmpint (got.type, ==, PH_CANDIDATE_SRFLX);
  g_assert_false (ph_addr_is_set (&got.related));
  g_assert_true (ph_candidate_parse_sdp (
      "6815297761 1 tcp 1518280447 2001:db8::7 9 typ host tcptype active", &got));
  g_assert_cmpint (got.transport, ==, PH_CANDIDATE_TCP_ACTIVE);
  expected = ph_test_addr ("[2001:db8::7]:9");
  g_assert_true (ph_addr_equal (&got.addr, &expected));
}

static void
test_sdp_refused (void)
{
  static const char *const bad[] = {
      "",
      "candidate:",
      "candidate:1 1 udp 1 192.0.2.1 5",
      "candidate:1 1 udp 1 192.0.2.1 5 typ",
      "candidate:1 1 udp 1 192.0.2.1 5 typ what",
      "candidate:1 2 udp 1 192.0.2.1 5 typ host",
      "candidate:1 1 sctp 1 192.0.2.1 5 typ host",
      "candidate:1 1 tcp 1 192.0.2.1 5 typ host",
      "candidate:1 1 tcp 1 192.0.2.1 5 typ host tcptype maybe",
      "candidate:1 1 udp 0 192.0.2.1 5 typ host",
      "candidate:1 1 udp 2147483648 192.0.2.1 5 typ host",
      "candidate:1 1 udp 1 f00d-cafe.local 5 typ host",
      "candidate:1 1 udp 1 192.0.2.1:7 5 typ host",
      "candidate:1 1 udp 1 [2001:db8::1] 5 typ host",
      "candidate:1 1 udp 1 192.0.2.1 65536 typ host",
      "candidate:1 1 udp 1 192.0.2.1 -5 typ host",
      "candidate:a:b 1 udp 1 192.0.2.1 5 typ host",
      "candidate:abcdefghijklmnopqrstuvwxyz0123456 1 udp 1 192.0.2.1 5 typ host",
  };

  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++) {
    PhCandidate got;

    if (ph_candidate_parse_sdp (bad[i], &got))
      g_error ("taken: %s", bad[i]);
  }
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/candidate/order", test_order);
  g_test_add_func ("/candidate/foundations", test_foundations);
  g_test_add_func ("/candidate/usable", test_usable);
  g_test_add_func ("/candidate/compact", test_compact);
  g_test_add_func ("/candidate/compact-bytes", test_compact_bytes);
  g_test_add_func ("/candidate/compact-refused", test_compact_refused);
  g_test_add_func ("/candidate/sdp/round-trip", test_sdp_round_trip);
  g_test_add_func ("/candidate/sdp/foreign", test_sdp_foreign);
  g_test_add_func ("/candidate/sdp/refused", test_sdp_refused);
  return g_test_run ();
}
