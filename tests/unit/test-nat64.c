/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/ice/ph-ice-candidate.h"
#include "net/nat/ph-nat64.h"
#include "tests/support/ph-test.h"

static PhNat64Prefix
prefix_of (const char *net, uint8_t len)
{
  return (PhNat64Prefix){.net = ph_test_addr (net), .len = len};
}

#define assert_addr(addr, text)                                                                    \
  do {                                                                                             \
    char got[PH_ADDR_STRING_MAX];                                                                  \
                                                                                                   \
    g_assert_cmpstr (ph_addr_format (addr, got), ==, text);                                        \
  } while (0)

/* --- RFC 6052 ----------------------------------------------------------------------------------- */

/* §2.4, tables 2 and 3. */
static const struct {
  const char *net;
  uint8_t len;
  const char *made;
} vectors[] = {
    {"2001:db8::", 32, "[2001:db8:c000:221::]:7"},
    {"2001:db8:100::", 40, "[2001:db8:1c0:2:21::]:7"},
    {"2001:db8:122::", 48, "[2001:db8:122:c000:2:2100::]:7"},
    {"2001:db8:122:300::", 56, "[2001:db8:122:3c0:0:221::]:7"},
    {"2001:db8:122:344::", 64, "[2001:db8:122:344:c0:2:2100:0]:7"},
    {"2001:db8:122:344::", 96, "[2001:db8:122:344::c000:221]:7"},
    {"64:ff9b::", 96, "[64:ff9b::c000:221]:7"},
};

static void
test_vectors (void)
{
  for (size_t i = 0; i < G_N_ELEMENTS (vectors); i++) {
    const PhNat64Prefix prefix = prefix_of (vectors[i].net, vectors[i].len);
    const PhAddr ipv4 = ph_test_addr ("192.0.2.33:7");
    PhAddr made, back;

    g_assert_true (ph_nat64_synthesise (&prefix, &ipv4, &made));
    assert_addr (&made, vectors[i].made);
    g_assert_true (ph_nat64_extract (&prefix, &made, &back));
    assert_addr (&back, "192.0.2.33:7");
  }
}

static void
test_every_prefix_and_address (void)
{
  static const uint8_t lengths[] = {32, 40, 48, 56, 64, 96};
  PhRandomSeeded state;
  const PhRandom random = ph_test_random (&state, "addresses");

  for (unsigned i = 0; i < 6000; i++) {
    PhNat64Prefix prefix = prefix_of ("2001:db8::", lengths[i % G_N_ELEMENTS (lengths)]);
    PhAddr ipv4 = ph_test_addr ("10.0.0.0:1"), made, back;

    ph_random_bytes (&random, prefix.net.ip + 4, prefix.len / 8u - 4u);
    if (prefix.len == 96)
      prefix.net.ip[8] = 0;
    ph_random_bytes (&random, ipv4.ip + 1, 3);
    g_assert_true (ph_nat64_synthesise (&prefix, &ipv4, &made));
    g_assert_cmpuint (made.ip[8], ==, 0);
    g_assert_true (ph_nat64_extract (&prefix, &made, &back));
    g_assert_true (ph_addr_equal (&back, &ipv4));
  }
}

static void
test_what_is_not_translated (void)
{
  static const struct {
    const char *ipv4;
    bool well_known; /* under 64:ff9b::/96 */
    bool own; /* under a prefix of the network's own */
  } cases[] = {
      {"198.51.100.7:1", true, true},    {"10.1.2.3:1", false, true},
      {"192.168.1.1:1", false, true},    {"100.64.0.1:1", false, true},
      {"127.0.0.1:1", false, false},     {"169.254.1.1:1", false, false},
      {"0.0.0.0:1", false, false},       {"224.0.0.1:1", false, false},
      {"192.0.0.1:1", false, false},     {"255.255.255.255:1", false, false},
      {"[2001:db8::1]:1", false, false},
  };
  const PhNat64Prefix well_known = prefix_of ("64:ff9b::", 96);
  const PhNat64Prefix own = prefix_of ("2001:db8:64::", 96);

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    const PhAddr ipv4 = ph_test_addr (cases[i].ipv4);
    PhAddr made = {0}, back;

    g_assert_true (ph_nat64_synthesise (&well_known, &ipv4, &made) == cases[i].well_known);
    g_assert_true (ph_nat64_synthesise (&own, &ipv4, &made) == cases[i].own);
    if (!cases[i].own && ipv4.family == PH_FAMILY_IPV4) {
      /* Somebody else may make it, and send from it. */
      made = own.net;
      memcpy (made.ip + 12, ipv4.ip, 4);
      g_assert_false (ph_nat64_extract (&own, &made, &back));
    }
  }
}

static void
test_what_is_not_under_the_prefix (void)
{
  const PhNat64Prefix long_prefix = prefix_of ("64:ff9b::", 96);
  const PhNat64Prefix short_prefix = prefix_of ("2001:db8:122::", 48);
  const PhAddr others[] = {
      ph_test_addr ("[64:ff9b:1::192.0.2.33]:7"),
      ph_test_addr ("[2001:db8::192.0.2.33]:7"),
      ph_test_addr ("[2001:db8:122:c000:102:2100::]:7"), /* the reserved octet is not zero */
      ph_test_addr ("[2001:db8:122:c000:2:2100::1]:7"), /* nor is what is behind the address */
      ph_test_addr ("192.0.2.33:7"),
  };
  PhAddr back;

  for (size_t i = 0; i < G_N_ELEMENTS (others); i++) {
    g_assert_false (ph_nat64_extract (&long_prefix, &others[i], &back));
    g_assert_false (ph_nat64_extract (&short_prefix, &others[i], &back));
  }
}

/* --- RFC 7050 ----------------------------------------------------------------------------------- */

static void
assert_learnt (const char *answers, const char *wanted)
{
  g_auto (GStrv) texts = g_strsplit (answers, " ", -1);
  g_autoptr (GString) got = g_string_new (NULL);
  PhAddr addrs[16];
  PhNat64Prefix prefixes[PH_NAT64_PREFIXES_MAX];
  size_t n = 0;

  for (size_t i = 0; texts[i] != NULL; i++) {
    if (*texts[i] != '\0')
      addrs[n++] = ph_test_addr (texts[i]);
  }
  n = ph_nat64_learn (addrs, n, prefixes, G_N_ELEMENTS (prefixes));
  for (size_t i = 0; i < n; i++) {
    char text[PH_ADDR_STRING_MAX];

    g_string_append_printf (got, "%s%s", i > 0 ? " " : "",
                            ph_nat64_prefix_format (&prefixes[i], text));
  }
  g_assert_cmpstr (got->str, ==, wanted);
}

static void
test_learns_every_length (void)
{
  for (size_t i = 0; i < G_N_ELEMENTS (vectors); i++) {
    const PhNat64Prefix prefix = prefix_of (vectors[i].net, vectors[i].len);

    for (uint8_t last = 170; last <= 171; last++) {
      const PhAddr well_known = ph_addr_ipv4 (192, 0, 0, last, 0);
      PhNat64Prefix got;
      PhAddr answer;

      g_assert_true (ph_nat64_synthesise (&prefix, &well_known, &answer));
      g_assert_cmpuint (ph_nat64_learn (&answer, 1, &got, 1), ==, 1);
      g_assert_true (ph_nat64_prefix_equal (&got, &prefix));
    }
  }
}

static void
test_learns_several (void)
{
  /* RFC 7050 §5.1's answers, both for either well-known address; and the limit. */
  assert_learnt ("64:ff9b::192.0.0.170 64:ff9b::192.0.0.171", "64:ff9b::/96");
  assert_learnt ("2001:db8:42::192.0.0.170 2001:db8:43::192.0.0.170 2001:db8:42::192.0.0.171 "
                 "2001:db8:43::192.0.0.171",
                 "2001:db8:42::/96 2001:db8:43::/96");
  assert_learnt ("2001:db8:1::c000:aa 2001:db8:2::c000:aa 2001:db8:3::c000:aa 2001:db8:4::c000:aa "
                 "2001:db8:5::c000:aa",
                 "2001:db8:1::/96 2001:db8:2::/96 2001:db8:3::/96 2001:db8:4::/96");
  assert_learnt ("192.0.0.170 2001:db8::1 fd64::192.0.0.171", "fd64::/96");
}

static void
test_learns_nothing (void)
{
  assert_learnt ("", "");
  assert_learnt ("192.0.0.170 192.0.0.171", ""); /* no DNS64: the name's own addresses */
  assert_learnt ("2001:db8::1", ""); /* a resolver that answers everything with its own page */
  assert_learnt ("64:ff9b::192.0.0.172 64:ff9b::192.0.2.170", "");
  assert_learnt ("::ffff:192.0.0.170 ::192.0.0.170", "");
  assert_learnt ("fe80::192.0.0.170 ff02::192.0.0.170 ::1", "");
  /* In a place where RFC 6052 has none. */
  assert_learnt ("2001:db8:0:0:0:c0:0:aa00 2001:db8:c0:0:aa00::", "");
  /* The reserved octet is not zero: /40 would be 2001:db8:0c0:0:aa::, with 01 in it. */
  assert_learnt ("2001:db8:c0:0:1aa::", "");
}

static void
test_learns_no_prefix_that_may_be_two (void)
{
  /* 192.0.0.170 behind 32 bits and behind 96: either. The other well-known address decides. */
  assert_learnt ("2001:db8:c000:aa::c000:aa", "");
  assert_learnt ("2001:db8:c000:aa::c000:ab", "2001:db8::/32");
  assert_learnt ("2001:db8:c000:aa::c000:aa 2001:db8:c000:aa::c000:ab 64:ff9b::c000:aa",
                 "2001:db8::/32 64:ff9b::/96");
}

/* --- The address that is told to nobody ----------------------------------------------------------- */

static void
test_own_address (void)
{
  for (unsigned i = 0; i < PH_NAT64_PREFIXES_MAX; i++) {
    const PhAddr own = ph_nat64_own (i);
    PhAddr base = own;
    PhCandidate host, reflexive;

    base.port = 4000;
    host = ph_candidate_host (base, 1, i);
    reflexive = ph_candidate_srflx (&host, ph_test_addr ("203.0.113.10:4000"),
                                    ph_test_addr ("198.51.100.1:1"));
    g_assert_cmpint (ph_addr_scope (&own), ==, PH_SCOPE_CONTINUITY);
    g_assert_false (ph_candidate_is_told (&host));
    g_assert_true (ph_candidate_is_told (&reflexive));
  }
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/nat64/vectors", test_vectors);
  g_test_add_func ("/nat64/every-prefix-and-address", test_every_prefix_and_address);
  g_test_add_func ("/nat64/what-is-not-translated", test_what_is_not_translated);
  g_test_add_func ("/nat64/what-is-not-under-the-prefix", test_what_is_not_under_the_prefix);
  g_test_add_func ("/nat64/learns-every-length", test_learns_every_length);
  g_test_add_func ("/nat64/learns-several", test_learns_several);
  g_test_add_func ("/nat64/learns-nothing", test_learns_nothing);
  g_test_add_func ("/nat64/learns-no-prefix-that-may-be-two",
                   test_learns_no_prefix_that_may_be_two);
  g_test_add_func ("/nat64/own-address", test_own_address);
  return g_test_run ();
}
