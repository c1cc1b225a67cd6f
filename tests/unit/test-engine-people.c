/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a person decides about contacts, and what the engine tells of them. */

#include "tests/unit/engine-world.h"

static const char *
left_id (const Pair *pair)
{
  return ph_engine_device_id (pair->left->engine);
}

static void
test_auto_accept (void)
{
  Pair *pair = pair_new ();
  Node *right = pair->right;
  const char *left = left_id (pair);
  g_autofree char *small = write_file (pair->files, "small", 1000);
  g_autofree char *large = write_file (pair->files, "large", 1001);
  g_autofree char *first = NULL, *second = NULL, *third = NULL, *fourth = NULL;

  finish (right, ph_engine_set_auto_accept (right->engine, left, true, 1000));
  g_assert_true (seen_contact (right, left)->auto_accept);
  g_assert_cmpuint (seen_contact (right, left)->auto_accept_max, ==, 1000);
  first = send_one (pair, small);
  assert_delivered (pair, first);

  /* Over the cap: the person is asked. */
  second = send_and_wait_for_offer (pair, large);
  finish (right, ph_engine_accept (right->engine, second, NULL));
  assert_delivered (pair, second);

  /* A folder that cannot be used: asked as well, and told what is wrong when they try. */
  finish (right, ph_engine_set_auto_accept (right->engine, left, true, 0));
  finish (right, ph_engine_set_setting (right->engine, "download-dir", "/proc/none"));
  third = send_and_wait_for_offer (pair, large);
  finish_badly (right, ph_engine_accept (right->engine, third, NULL), PH_ENGINE_ERROR_FOLDER);
  finish (right, ph_engine_decline (right->engine, third));

  finish (right, ph_engine_set_setting (right->engine, "download-dir", pair->downloads));
  finish (right, ph_engine_set_auto_accept (right->engine, left, false, 5));
  g_assert_cmpuint (seen_contact (right, left)->auto_accept_max, ==, 0);
  fourth = send_and_wait_for_offer (pair, small);
  pair_free (pair);
}

/* Small ones count together: the cap is for a day. */
static void
test_auto_accept_adds_up (void)
{
  Pair *pair = pair_new ();
  Node *right = pair->right;
  const char *left = left_id (pair);
  g_autofree char *file = write_file (pair->files, "part", 400000);
  g_autofree char *empty = write_file (pair->files, "empty", 0);
  g_autofree char *first = NULL, *second = NULL, *third = NULL, *fourth = NULL;

  finish (right, ph_engine_set_auto_accept (right->engine, left, true, 1000000));
  first = send_one (pair, file);
  assert_delivered (pair, first);
  second = send_one (pair, file);
  assert_delivered (pair, second);
  third = send_and_wait_for_offer (pair, file);
  finish (right, ph_engine_accept (right->engine, third, NULL));
  assert_delivered (pair, third); /* what a person took does not count */

  /* Nor are there endless empty ones. */
  finish (right, ph_engine_set_auto_accept (right->engine, left, true, 800000));
  fourth = send_and_wait_for_offer (pair, empty);
  g_assert_true (is_in (right, fourth, PH_TRANSFER_OFFERED));
  pair_free (pair);
}

static void
assert_isolated (Node *node, uint32_t command, PhEngineError code)
{
  const GError *error;

  finish_badly (node, command, code);
  error = g_hash_table_lookup (node->done, GUINT_TO_POINTER (command));
  g_assert_null (strstr (error->message, "\u202e"));
  g_assert_nonnull (strstr (error->message, "\\u202e"));
}

/* A name is somebody else's text: it does not turn the sentence around that it stands in. */
static void
test_names_in_sentences (void)
{
  Pair *pair = pair_new ();
  Node *left = pair->left, *right = pair->right;
  g_autofree char *right_id = g_strdup (ph_engine_device_id (right->engine));
  const char *const paths[] = {pair->files, NULL};
  g_autofree char *file = write_file (pair->files, "x", 1);
  g_autofree char *sent = NULL, *offered = NULL;

  finish (left, ph_engine_rename (left->engine, right_id, "a\u202eb"));
  finish (right, ph_engine_rename (right->engine, left_id (pair), "a\u202eb"));
  sent = send_and_wait_for_offer (pair, file);
  finish (right, ph_engine_decline (right->engine, sent));
  wait_until (has_ended (left, sent));

  /* An offer that is answered before its sender is there again. */
  offered = send_and_wait_for_offer (pair, file);
  node_close (right);
  node_open (right);
  wait_until (is_in (right, offered, PH_TRANSFER_WAITING));
  assert_isolated (right, ph_engine_accept (right->engine, offered, NULL), PH_ENGINE_ERROR_OFFLINE);

  finish (left, ph_engine_block (left->engine, right_id, true));
  assert_isolated (left, ph_engine_send (left->engine, right_id, paths), PH_ENGINE_ERROR_BLOCKED);
  assert_isolated (left, ph_engine_send_again (left->engine, sent), PH_ENGINE_ERROR_BLOCKED);
  pair_free (pair);
}

/* Taking back what is over already, or never was, takes no other one back. */
static void
test_withdrawing_nothing (void)
{
  Pair *pair = pair_new ();
  Node *left = pair->left, *third = node_new ();
  g_autofree char *first = g_strdup (left->link);
  uint32_t add;

  ph_engine_invite (left->engine, NULL);
  wait_until (!g_str_equal (left->link, first));
  node_close (left);
  node_open (left);
  ph_engine_connect (left->engine);
  finish (left, ph_engine_withdraw (left->engine, 0));
  ph_engine_connect (third->engine);
  add = ph_engine_add (third->engine, left->link, NULL);
  g_assert_cmpstr (finish (third, add), ==, ph_engine_device_id (left->engine));
  node_free (third);
  pair_free (pair);
}

/* It is kept over a restart, like everything here. */
static void
test_verified_and_seen (void)
{
  Pair *pair = pair_new ();
  Node *right = pair->right;
  g_autofree char *left = g_strdup (left_id (pair));
  int64_t before;

  wait_until (seen_contact (right, left)->online);
  g_assert_false (seen_contact (right, left)->verified);
  finish (right, ph_engine_set_verified (right->engine, left, true));
  g_assert_true (seen_contact (right, left)->verified);
  before = g_get_real_time () / G_USEC_PER_SEC;
  node_close (pair->left);
  wait_until (!seen_contact (right, left)->online);
  g_assert_cmpint (seen_contact (right, left)->last_seen, >=, before);

  node_close (right);
  g_hash_table_remove_all (right->contacts);
  node_open (right);
  wait_until (right->loaded);
  node_open (pair->left);
  g_assert_true (seen_contact (right, left)->verified);
  g_assert_cmpint (seen_contact (right, left)->last_seen, >=, before);
  finish_badly (right, ph_engine_set_verified (right->engine, "nobody", true),
                PH_ENGINE_ERROR_UNKNOWN_CONTACT);
  pair_free (pair);
}

static void
test_safety_number (void)
{
  Pair *pair = pair_new ();
  g_autofree char *here =
      ph_engine_safety_number (pair->left->engine, ph_engine_device_id (pair->right->engine));
  g_autofree char *there = ph_engine_safety_number (pair->right->engine, left_id (pair));

  g_assert_cmpuint (strlen (here), ==, 71);
  g_assert_cmpstr (here, ==, there);
  g_assert_null (ph_engine_safety_number (pair->left->engine, "nonsense"));
  pair_free (pair);
}

static void
count_event (const PhEvent *event, gpointer user_data)
{
  unsigned *n = user_data;

  n[event->type]++;
}

/* Somebody who comes later hears everything, and the first one nothing of it again. */
static void
test_second_listener (void)
{
  Pair *pair = pair_new ();
  g_autofree char *file = write_file (pair->files, "f", 100000);
  g_autofree char *id = send_and_wait_for_offer (pair, file);
  unsigned n[PH_EVENT_DONE + 1] = {0};
  unsigned first[PH_EVENT_DONE + 1] = {0};
  uint32_t watcher = ph_engine_add_listener (pair->right->engine, count_event, first);
  uint32_t listener;

  wait_until (first[PH_EVENT_LOADED] == 1);
  memset (first, 0, sizeof first);
  listener = ph_engine_add_listener (pair->right->engine, count_event, n);
  wait_until (n[PH_EVENT_LOADED] == 1);
  g_assert_cmpuint (n[PH_EVENT_CONTACT], ==, 1);
  g_assert_cmpuint (n[PH_EVENT_TRANSFER], ==, 1);
  g_assert_cmpuint (n[PH_EVENT_STATUS], ==, 1);
  g_assert_cmpuint (n[PH_EVENT_SETTING], ==, g_strv_length ((char **)ph_engine_setting_keys ()));
  g_assert_cmpuint (first[PH_EVENT_LOADED] + first[PH_EVENT_SETTING], ==, 0);

  /* Both hear what happens, and one that has left hears nothing. */
  finish (pair->right, ph_engine_accept (pair->right->engine, id, NULL));
  assert_delivered (pair, id);
  wait_until (n[PH_EVENT_TRANSFER] > 1 && n[PH_EVENT_DONE] == 1);
  ph_engine_remove_listener (pair->right->engine, listener);
  memset (n, 0, sizeof n);
  finish (pair->right, ph_engine_get_setting (pair->right->engine, "name"));
  wait_until (first[PH_EVENT_DONE] == 2);
  g_assert_cmpuint (n[PH_EVENT_DONE], ==, 0);
  ph_engine_remove_listener (pair->right->engine, watcher);
  pair_free (pair);
}

static void
test_settings_are_told (void)
{
  Node *node = node_new ();

  wait_until (node->loaded);
  g_assert_true (g_str_has_prefix (seen_setting (node, "name"), "unset "));
  g_assert_cmpstr (seen_setting (node, "private-mode"), ==, "unset false");
  g_assert_cmpstr (seen_setting (node, "queue-days"), ==, "unset 14");
  finish (node, ph_engine_set_setting (node->engine, "private-mode", "true"));
  g_assert_cmpstr (seen_setting (node, "private-mode"), ==, "true");
  finish (node, ph_engine_set_setting (node->engine, "private-mode", ""));
  g_assert_cmpstr (seen_setting (node, "private-mode"), ==, "unset false");
  finish_badly (node, ph_engine_set_setting (node->engine, "private-mode", "maybe"),
                PH_ENGINE_ERROR_BAD_VALUE);
  finish_badly (node, ph_engine_set_setting (node->engine, "speed-limit-up", "-1"),
                PH_ENGINE_ERROR_BAD_VALUE);
  finish_badly (node, ph_engine_set_setting (node->engine, "queue-days", "4000"),
                PH_ENGINE_ERROR_BAD_VALUE);
  node_free (node);
}

/* Set while it runs, felt while it runs; on both sides. */
static void
test_speed_limits (void)
{
  static const char *const keys[] = {"speed-limit-up", "speed-limit-down"};

  for (unsigned i = 0; i < 2; i++) {
    Pair *pair = pair_new ();
    Node *limited = i == 0 ? pair->left : pair->right;
    g_autofree char *file = write_file (pair->files, "slow", 1000000);
    g_autofree char *id = NULL;
    gint64 start;

    finish (limited, ph_engine_set_setting (limited->engine, keys[i], "20000"));
    id = send_and_wait_for_offer (pair, file);
    finish (pair->right, ph_engine_accept (pair->right->engine, id, NULL));
    wait_until (seen (pair->right, id)->bytes_done > 0);
    g_assert_cmpuint (seen (pair->right, id)->bytes_done, <, 500000);
    finish (limited, ph_engine_set_setting (limited->engine, keys[i], "1000000"));
    start = g_get_monotonic_time ();
    assert_delivered (pair, id);
    g_assert_cmpint (g_get_monotonic_time () - start, >, G_USEC_PER_SEC / 2);
    pair_free (pair);
  }
}

static void
test_servers (void)
{
  Node *node = node_new ();
  g_autoptr (GSubprocess) gone = NULL;
  g_autofree char *gone_url = NULL;
  const char *text;

  text =
      finish (node, ph_engine_test_server (node->engine, PH_SERVER_RENDEZVOUS, world_server_url));
  g_assert_nonnull (strstr (text, " ms"));
  finish_badly (node, ph_engine_test_server (node->engine, PH_SERVER_RENDEZVOUS, "nonsense"),
                PH_ENGINE_ERROR_BAD_VALUE);
  finish_badly (node, ph_engine_test_server (node->engine, PH_SERVER_TURN, "stun:127.0.0.1"),
                PH_ENGINE_ERROR_BAD_VALUE);
  gone = world_start_server (&gone_url);
  world_stop_server (g_object_ref (gone));
  finish_badly (node, ph_engine_test_server (node->engine, PH_SERVER_RENDEZVOUS, gone_url),
                PH_ENGINE_ERROR_SERVER);
  /* Something answers there, and it is no STUN server. */
  finish_badly (
      node,
      ph_engine_test_server (node->engine, PH_SERVER_TURN, "turn:a:b@127.0.0.1:1?transport=tcp"),
      PH_ENGINE_ERROR_SERVER);
  node_free (node);
}

/* It is told by itself, and again when asked for. */
static void
test_network_is_told (void)
{
  Pair *pair = pair_new ();
  Node *node = pair->left;

  wait_until (node->network != NULL
              && strstr (node->network, "\"rendezvous_rtt_ms\":null") == NULL);
  g_assert_nonnull (strstr (node->network, "\"stun_rtt_ms\":null"));
  g_assert_nonnull (
      strstr (finish (node, ph_engine_check_network (node->engine, 20000)), "\"type\""));
  pair_free (pair);
}

/* The slow test needs somebody to ask, and stopping what does not run is no mistake. */
static void
test_lifetime_of_mappings (void)
{
  Pair *pair = pair_new ();
  Node *node = pair->left;

  finish_badly (node, ph_engine_nat_lifetime (node->engine, true), PH_ENGINE_ERROR_OFFLINE);
  finish (node, ph_engine_nat_lifetime (node->engine, false));
  pair_free (pair);
}

static const char *
explained (Pair *pair)
{
  const char *right = ph_engine_device_id (pair->right->engine);

  return finish (pair->left, ph_engine_explain_contact (pair->left->engine, right));
}

static void
test_explain (void)
{
  Pair *pair = pair_new ();
  g_autofree char *file = write_file (pair->files, "f", 1000);
  g_autofree char *id = send_and_wait_for_offer (pair, file);
  const char *text;
  static const char *const parts[] = {
      "\"state\":\"connected\"", "\"side\":\"local\"", "\"side\":\"remote\"",
      "\"selected\":true",       "\"path\":\"lan\"",   "\"line\":\"connect: attempt",
  };

  /* Both may have called at once: then the offer came over a link of the attempt that gives way to the other. And the
   * client's offer is there before it knows that its link is. */
  wait_until (strstr (text = explained (pair), "\"selected\":true") != NULL
              && strstr (text, "\"state\":\"connected\"") != NULL);
  for (size_t i = 0; i < G_N_ELEMENTS (parts); i++) {
    if (strstr (text, parts[i]) == NULL)
      g_error ("no %s in %s", parts[i], text);
  }
  finish_badly (pair->left, ph_engine_explain_contact (pair->left->engine, "nobody"),
                PH_ENGINE_ERROR_UNKNOWN_CONTACT);
  g_assert_nonnull (id);
  pair_free (pair);
}

int
main (int argc, char **argv)
{
  int result;

  ph_test_init (&argc, &argv);
  g_test_add_func ("/people/auto-accept", test_auto_accept);
  g_test_add_func ("/people/auto-accept-adds-up", test_auto_accept_adds_up);
  g_test_add_func ("/people/names-in-sentences", test_names_in_sentences);
  g_test_add_func ("/people/withdrawing-nothing", test_withdrawing_nothing);
  g_test_add_func ("/people/verified-and-seen", test_verified_and_seen);
  g_test_add_func ("/people/safety-number", test_safety_number);
  g_test_add_func ("/people/second-listener", test_second_listener);
  g_test_add_func ("/people/settings-are-told", test_settings_are_told);
  g_test_add_func ("/people/speed-limits", test_speed_limits);
  g_test_add_func ("/people/explain", test_explain);
  g_test_add_func ("/people/servers", test_servers);
  g_test_add_func ("/people/network-is-told", test_network_is_told);
  g_test_add_func ("/people/lifetime-of-mappings", test_lifetime_of_mappings);
  world_start ();
  result = g_test_run ();
  world_stop ();
  return result;
}
