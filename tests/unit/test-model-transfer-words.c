/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is told of a transfer, of what was tried, and of a person's keys. */

#include "app/model/ph-person-words.h"
#include "app/model/ph-transfer-words.h"
#include "tests/support/ph-test.h"

static const PhTransferView delivered = {
    .id = "00112233445566778899aabbccddeeff",
    .contact = "",
    .contact_name = "Desk",
    .direction = PH_DIRECTION_SEND,
    .state = PH_TRANSFER_DONE,
    .files = 2,
    .bytes_total = 8000000,
    .bytes_done = 8000000,
    .created_at = 100,
    .finished_at = 104,
    .duration_ms = 4000,
    .folder = "",
    .path = "udp",
    .best_path = "udp",
    .transport = "quic",
    .local_kind = "srflx",
    .remote_kind = "host",
    .local_addr = "192.0.2.1:4711",
    .remote_addr = "198.51.100.7:9",
    .rtt_ms = 23,
    .direct_ms = 1500,
    .code = "",
    .message = "",
};

static char *
all_of (GListStore *details)
{
  GString *out = g_string_new (NULL);

  ph_details_write (G_LIST_MODEL (details), "", out);
  return g_string_free_and_steal (out);
}

static void
assert_says (const char *text, const char *words)
{
  if (strstr (text, words) == NULL)
    g_error ("“%s” does not say “%s”", text, words);
}

static void
test_summary (void)
{
  PhTransferView missed = delivered;
  g_autofree char *of_delivered = ph_transfer_summary (&delivered, 104);
  g_autofree char *of_missed = NULL;

  assert_says (of_delivered, "Delivered · To Desk · ");
  assert_says (of_delivered, "\n2 files, ");
  assert_says (of_delivered, "2.0");
  assert_says (of_delivered, "Direct through both routers");
  missed.direction = PH_DIRECTION_RECEIVE;
  missed.state = PH_TRANSFER_CANCELLED;
  missed.missed = true;
  missed.path = "";
  missed.duration_ms = 0;
  of_missed = ph_transfer_summary (&missed, 104);
  assert_says (of_missed, "Missed · From Desk · ");
  g_assert_cmpstr (ph_transfer_result_icon (&missed), !=, ph_transfer_result_icon (&delivered));
}

static void
test_facts (void)
{
  g_autoptr (GListStore) facts = g_list_store_new (PH_TYPE_DETAIL);
  g_autofree char *text = NULL;
  g_autofree char *way = NULL;
  g_autofree char *of_offer = NULL, *of_half = NULL;
  PhTransferView waiting = delivered;

  ph_transfer_facts (&delivered, 104, facts);
  text = all_of (facts);
  assert_says (text, "To: Desk");
  assert_says (text, "4 seconds, at 2.0");
  /* Of an offer nothing can have arrived. */
  waiting.state = PH_TRANSFER_OFFERED;
  waiting.bytes_done = 0;
  ph_transfer_facts (&waiting, 104, facts);
  of_offer = all_of (facts);
  g_assert_null (strstr (of_offer, "Arrived"));
  waiting.state = PH_TRANSFER_ACTIVE;
  waiting.bytes_done = 4000000;
  ph_transfer_facts (&waiting, 104, facts);
  of_half = all_of (facts);
  assert_says (of_half, "Arrived: 4.0");
  ph_transfer_path (&delivered, facts);
  way = all_of (facts);
  assert_says (way, "192.0.2.1:4711, the router’s address, as a server sees it");
  assert_says (way, "198.51.100.7:9, its own address");
  assert_says (way, "Round trip: 23 ms");
  assert_says (way, "Direct path after: 1.5 s");
  /* Without a path there is nothing to say of one. */
  waiting.path = "";
  ph_transfer_path (&waiting, facts);
  g_assert_cmpuint (g_list_model_get_n_items (G_LIST_MODEL (facts)), ==, 0);
}

static void
test_explain (void)
{
  g_autoptr (GListStore) addresses = g_list_store_new (PH_TYPE_DETAIL);
  g_autoptr (GListStore) attempts = g_list_store_new (PH_TYPE_DETAIL);
  g_autoptr (GListStore) log = g_list_store_new (PH_TYPE_DETAIL);
  g_autofree char *of_addresses = NULL;
  g_autofree char *of_attempts = NULL;
  g_autofree char *of_log = NULL;

  ph_explain_read (
      "{\"state\":\"checking\",\"candidates\":[{\"side\":\"local\",\"kind\":\"host\","
      "\"transport\":\"udp\",\"address\":\"192.0.2.1:1\"},{\"side\":\"remote\","
      "\"kind\":\"relay\",\"transport\":\"tcp\",\"address\":\"198.51.100.7:9\"}],"
      "\"pairs\":[{\"local\":\"192.0.2.1:1\",\"remote\":\"198.51.100.7:9\","
      "\"state\":\"failed\",\"rtt_ms\":null,\"why\":\"our address is gone\"},"
      "{\"local\":\"a\",\"remote\":\"b\",\"state\":\"valid\",\"rtt_ms\":12},"
      "{\"local\":\"c\",\"remote\":\"d\",\"state\":\"valid\",\"selected\":true},"
      "{\"local\":\"e\",\"remote\":\"f\",\"state\":\"in-progress\",\"why\":\"no answer\"},"
      "{\"local\":\"g\",\"remote\":\"h\",\"state\":\"failed\",\"why\":\"new\"}],"
      "\"log\":[{\"at_ms\":1200,\"line\":\"checks begin\\u202e\"}]}",
      addresses, attempts, log);
  of_addresses = all_of (addresses);
  of_attempts = all_of (attempts);
  of_log = all_of (log);
  assert_says (of_addresses, "This computer: Own address: 192.0.2.1:1 UDP");
  assert_says (of_addresses, "The other one: Relay: 198.51.100.7:9 TCP");
  assert_says (of_attempts, "192.0.2.1:1 to 198.51.100.7:9: The address is gone");
  assert_says (of_attempts, "a to b: Works · 12 ms");
  assert_says (of_attempts, "c to d: In use");
  assert_says (of_attempts, "e to f: Being tried · No answer");
  assert_says (of_attempts, "g to h: No answer");
  assert_says (of_log, "1.2 s ago: checks begin\\u202e");
}

static void
test_explain_nonsense (void)
{
  static const char *const nonsense[] = {
      NULL,
      "",
      "[]",
      "17",
      "{\"candidates\":17,\"pairs\":{},\"log\":null}",
      "{\"candidates\":[17,null,{}],\"pairs\":[[]],\"log\":[{\"at_ms\":\"x\",\"line\":{}}]}",
      "{\"pairs\":[{\"local\":1,\"remote\":[],\"state\":{},\"rtt_ms\":\"soon\",\"why\":false}]}",
      "{\"pairs\":[{\"selected\":{}},{\"selected\":\"x\",\"state\":\"failed\"}]}",
  };
  g_autoptr (GListStore) addresses = g_list_store_new (PH_TYPE_DETAIL);
  g_autoptr (GListStore) attempts = g_list_store_new (PH_TYPE_DETAIL);
  g_autoptr (GListStore) log = g_list_store_new (PH_TYPE_DETAIL);

  for (size_t i = 0; i < G_N_ELEMENTS (nonsense); i++) {
    g_test_message ("%s", nonsense[i]);
    ph_explain_read (nonsense[i], addresses, attempts, log);
  }
}

static void
test_caps (void)
{
  g_auto (GStrv) known = ph_person_caps (0);
  g_auto (GStrv) odd = ph_person_caps (12345678);

  g_assert_cmpuint (g_strv_length (odd), ==, g_strv_length (known) + 1);
  for (unsigned i = 0; i < g_strv_length (known); i++)
    g_assert_cmpuint (ph_person_cap_position (ph_person_cap_at (i, 5)), ==, i);
  g_assert_cmpuint (ph_person_cap_position (12345678), ==, g_strv_length (known));
  g_assert_cmpuint (ph_person_cap_at (g_strv_length (known), 12345678), ==, 12345678);
}

static void
test_number (void)
{
  g_autofree char *lines = ph_person_number_in_lines ("1 2 3 4 5 6 7");

  g_assert_cmpstr (lines, ==, "1  2  3\n4  5  6\n7");
}

static void
test_digest (void)
{
  g_autofree char *empty = ph_transfer_digest ("");
  g_autofree char *groups = ph_transfer_digest ("0123456789abcdef0");

  g_assert_cmpstr (empty, ==, "");
  g_assert_cmpstr (groups, ==, "01234567 89abcdef 0");
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/transfer-words/summary", test_summary);
  g_test_add_func ("/transfer-words/facts", test_facts);
  g_test_add_func ("/transfer-words/explain", test_explain);
  g_test_add_func ("/transfer-words/explain-nonsense", test_explain_nonsense);
  g_test_add_func ("/transfer-words/digest", test_digest);
  g_test_add_func ("/person-words/caps", test_caps);
  g_test_add_func ("/person-words/number", test_number);
  return g_test_run ();
}
