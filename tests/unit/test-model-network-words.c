/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a network report means: each kind of NAT, and that nothing is guessed. */

#include "app/model/ph-network-words.h"
#include "tests/support/ph-test.h"

static PhNetworkItem *
make_report (const char *json)
{
  PhNetworkItem *network = ph_network_item_new ();

  if (json != NULL)
    g_assert_true (ph_network_item_show (network, json, 1000));
  return network;
}

static char *
value_of (GListStore *details, const char *title)
{
  for (guint i = 0; i < g_list_model_get_n_items (G_LIST_MODEL (details)); i++) {
    g_autoptr (PhDetail) detail = g_list_model_get_item (G_LIST_MODEL (details), i);

    if (g_str_equal (ph_detail_title (detail), title))
      return g_strdup (ph_detail_value (detail));
  }
  g_error ("nothing is called “%s”", title);
}

static void
assert_detail (PhNetworkItem *network, const char *title, const char *wanted)
{
  g_autoptr (GListStore) details = ph_network_details (network);
  g_autofree char *value = value_of (details, title);

  g_assert_cmpstr (value, ==, wanted);
}

static void
test_reach (void)
{
  static const struct {
    const char *json;
    PhReach reach;
  } cases[] = {
      {"{}", PH_REACH_UNKNOWN},
      {"{\"type\":\"unknown\"}", PH_REACH_UNKNOWN},
      {"{\"type\":\"of-the-future\"}", PH_REACH_UNKNOWN},
      {"{\"type\":\"open\"}", PH_REACH_EVERYBODY},
      {"{\"type\":\"full-cone\"}", PH_REACH_EVERYBODY},
      {"{\"type\":\"firewalled\"}", PH_REACH_MOST},
      {"{\"type\":\"address-restricted\"}", PH_REACH_MOST},
      {"{\"type\":\"port-restricted\"}", PH_REACH_MOST},
      {"{\"type\":\"symmetric\"}", PH_REACH_SOME},
      {"{\"type\":\"udp-blocked\"}", PH_REACH_HARD},
      /* A mapped port lets everybody in, but not past a network without UDP. */
      {"{\"type\":\"symmetric\",\"portmap\":\"pcp\",\"portmap_open\":true}", PH_REACH_EVERYBODY},
      {"{\"type\":\"symmetric\",\"portmap\":true,\"portmap_open\":true}", PH_REACH_EVERYBODY},
      {"{\"type\":\"symmetric\",\"portmap\":\"pcp\",\"portmap_open\":null}", PH_REACH_SOME},
      {"{\"type\":\"symmetric\",\"portmap\":\"pcp\",\"portmap_open\":false}", PH_REACH_SOME},
      {"{\"type\":\"symmetric\",\"portmap\":false}", PH_REACH_SOME},
      {"{\"type\":\"symmetric\",\"portmap\":null}", PH_REACH_SOME},
      {"{\"type\":\"symmetric\",\"portmap\":\"none\"}", PH_REACH_SOME},
      {"{\"type\":\"udp-blocked\",\"portmap\":\"upnp\"}", PH_REACH_HARD},
      {"{\"type\":\"udp-blocked\",\"portmap\":\"upnp\",\"portmap_open\":true}", PH_REACH_HARD},
      {"{\"type\":\"udp-blocked\",\"portmap\":\"upnp\",\"portmap_tcp_open\":false}", PH_REACH_HARD},
      {"{\"type\":\"udp-blocked\",\"portmap\":\"upnp\",\"portmap_tcp_open\":true}",
       PH_REACH_EVERYBODY},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (PhNetworkItem) network = make_report (cases[i].json);

    g_test_message ("%s", cases[i].json);
    g_assert_cmpint (ph_network_reach (network), ==, cases[i].reach);
    g_assert_cmpstr (ph_reach_headline (cases[i].reach), !=, "");
    g_assert_cmpstr (ph_network_meaning (network), !=, "");
  }
}

static void
test_nothing_is_guessed (void)
{
  g_autoptr (PhNetworkItem) nothing = make_report (NULL);
  g_autoptr (PhNetworkItem) nulls = make_report (
      "{\"type\":\"unknown\",\"mapping\":\"unknown\",\"filtering\":\"unknown\",\"public\":[],"
      "\"hairpin\":null,\"port_preserving\":null,\"port_step\":null,\"tcp_mapping\":\"unknown\","
      "\"ipv6\":false,\"portmap\":null,\"relay\":null}");
  PhNetworkItem *const both[] = {nothing, nulls};

  for (size_t n = 0; n < G_N_ELEMENTS (both); n++) {
    g_autoptr (GListStore) details = ph_network_details (both[n]);

    g_assert_cmpuint (g_list_model_get_n_items (G_LIST_MODEL (details)), >=, 6);
    for (guint i = 0; i < g_list_model_get_n_items (G_LIST_MODEL (details)); i++) {
      g_autoptr (PhDetail) detail = g_list_model_get_item (G_LIST_MODEL (details), i);

      g_test_message ("%s", ph_detail_title (detail));
      g_assert_cmpstr (ph_detail_value (detail), ==, "Not known");
    }
  }
}

static void
test_addresses (void)
{
  g_autoptr (PhNetworkItem) network =
      make_report ("{\"type\":\"port-restricted\",\"ipv6\":true,\"public\":[\"192.0.2.7:4711\","
                   "\"192.0.2.7:4712\",\"[2001:db8::7]:4713\",17,\"nonsense:x:y\"]}");
  g_autoptr (PhNetworkItem) without =
      make_report ("{\"type\":\"port-restricted\",\"ipv6\":false,\"public\":\"\"}");

  assert_detail (network, "Public IPv4 address", "192.0.2.7");
  assert_detail (network, "Public IPv6 address", "2001:db8::7");
  assert_detail (without, "Public IPv4 address", "Not known");
  assert_detail (without, "Public IPv6 address", "None on this network");
}

static void
test_facts (void)
{
  g_autoptr (PhNetworkItem) network =
      make_report ("{\"type\":\"symmetric\",\"tcp_mapping\":\"endpoint-independent\","
                   "\"portmap\":\"nat-pmp\",\"portmap_open\":true,"
                   "\"port_preserving\":false,\"hairpin\":true}");
  g_autoptr (PhNetworkItem) lying = make_report (
      "{\"type\":\"symmetric\",\"portmap\":\"upnp\",\"portmap_open\":false,\"public\":[\"[2001:db8::7]:1\"],"
      "\"ipv6_reaches_out\":true,\"ipv6_filtering\":\"address-dependent\",\"mapping_lifetime_s\":28}");
  g_autoptr (PhNetworkItem) untold = make_report (
      "{\"type\":\"symmetric\",\"portmap\":\"upnp\",\"portmap_open\":null,\"public\":[\"[2001:db8::7]:1\"],"
      "\"ipv6_reaches_out\":false,\"mapping_lifetime_s\":null}");
  g_autoptr (PhNetworkItem) blocked =
      make_report ("{\"type\":\"udp-blocked\",\"portmap\":false,\"hairpin\":false}");
  g_autoptr (PhNetworkItem) translated =
      make_report ("{\"type\":\"port-restricted\",\"nat64\":\"64:ff9b::/96\"}");

  assert_detail (translated, "IPv4", "Works, by way of this network’s translator (NAT64)");
  g_autoptr (PhNetworkItem) tcp_open = make_report (
      "{\"type\":\"udp-blocked\",\"portmap\":\"pcp\",\"portmap_open\":null,\"portmap_tcp_open\":true,"
      "\"tcp_mapping\":\"endpoint-independent\",\"tcp_filtering\":\"address-and-port-dependent\"}");
  g_autoptr (PhNetworkItem) tcp_lying = make_report (
      "{\"type\":\"udp-blocked\",\"nat\":true,\"portmap\":\"pcp\",\"portmap_tcp_open\":false,"
      "\"tcp_mapping\":\"endpoint-independent\",\"tcp_filtering\":\"address-and-port-dependent\"}");
  g_autoptr (PhNetworkItem) firewalled = make_report (
      "{\"type\":\"firewalled\",\"nat\":false,\"tcp_mapping\":\"endpoint-independent\","
      "\"tcp_filtering\":\"address-dependent\"}");
  g_autoptr (PhNetworkItem) open =
      make_report ("{\"type\":\"open\",\"nat\":false,\"tcp_filtering\":\"endpoint-independent\"}");

  assert_detail (tcp_open, "TCP", "Works, and everybody is let in");
  assert_detail (tcp_open, "Port mapping", "Your router opens a port when asked (PCP)");
  assert_detail (tcp_lying, "TCP", "Direct connections work with most networks");
  assert_detail (tcp_lying, "Port mapping",
                 "Your router says that it opens a port, but nothing comes through");
  assert_detail (firewalled, "TCP", "Works; a firewall lets only answers in");
  assert_detail (open, "TCP", "Works, and everybody is let in");
  assert_detail (network, "UDP", "Works");
  assert_detail (network, "TCP", "Direct connections work with most networks");
  assert_detail (network, "Port mapping", "Your router opens a port when asked (NAT-PMP)");
  assert_detail (network, "Port numbers", "Your router changes them");
  assert_detail (lying, "Port mapping",
                 "Your router says that it opens a port, but nothing comes through");
  assert_detail (lying, "IPv6", "Works; a firewall lets only answers in");
  assert_detail (lying, "Ports that nothing uses", "Stay open for 28 s at least");
  assert_detail (untold, "Port mapping", "Not known");
  assert_detail (untold, "IPv6", "Does not reach the internet");
  assert_detail (untold, "Ports that nothing uses", "Not known");
  assert_detail (blocked, "UDP", "Blocked");
  assert_detail (blocked, "Port mapping", "Your router does not offer it");
}

static void
test_checked (void)
{
  g_autoptr (PhNetworkItem) nothing = make_report (NULL);
  g_autoptr (PhNetworkItem) not_yet = make_report ("{\"checked_at\":null}");
  g_autoptr (PhNetworkItem) done = make_report ("{\"checked_at\":86400}");
  g_autofree char *of_nothing = ph_network_checked (nothing, 86400);
  g_autofree char *of_not_yet = ph_network_checked (not_yet, 86400);
  g_autofree char *of_done = ph_network_checked (done, 86400);
  g_autofree char *checking = NULL;

  g_assert_cmpstr (of_nothing, ==, "Not checked yet");
  g_assert_cmpstr (of_not_yet, ==, "Not checked yet");
  g_assert_true (g_str_has_prefix (of_done, "Last checked: "));
  ph_network_item_set_checking (done, true);
  checking = ph_network_checked (done, 86400);
  g_assert_cmpstr (checking, ==, "Checking…");
}

/* A page that is being read changes where it must, and nowhere else. */
static void
test_replace_keeps_rows (void)
{
  g_autoptr (GListStore) shown = g_list_store_new (PH_TYPE_DETAIL);
  g_autoptr (GListStore) fresh = g_list_store_new (PH_TYPE_DETAIL);
  g_autoptr (PhDetail) first = NULL;
  g_autoptr (PhDetail) kept = NULL;
  g_autofree char *changed = NULL;

  ph_detail_add (shown, "a", "1");
  ph_detail_add (shown, "b", "2");
  ph_detail_add (shown, "c", "3");
  ph_detail_add (fresh, "a", "1");
  ph_detail_add (fresh, "b", "9");
  first = g_list_model_get_item (G_LIST_MODEL (shown), 0);
  ph_details_replace (shown, fresh);
  kept = g_list_model_get_item (G_LIST_MODEL (shown), 0);
  g_assert_true (first == kept);
  g_assert_cmpuint (g_list_model_get_n_items (G_LIST_MODEL (shown)), ==, 2);
  changed = value_of (shown, "b");
  g_assert_cmpstr (changed, ==, "9");
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/network-words/reach", test_reach);
  g_test_add_func ("/network-words/nothing-is-guessed", test_nothing_is_guessed);
  g_test_add_func ("/network-words/addresses", test_addresses);
  g_test_add_func ("/network-words/facts", test_facts);
  g_test_add_func ("/network-words/checked", test_checked);
  g_test_add_func ("/network-words/replace-keeps-rows", test_replace_keeps_rows);
  return g_test_run ();
}
