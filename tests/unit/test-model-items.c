/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Items take snapshots and tell of nothing but changes; a client keeps lists of them. */

#include "app/model/ph-client.h"
#include "tests/support/ph-test.h"

#define PATIENCE_S 60

static const char *const names[] = {"photo.jpg", NULL};

static PhTransferView
a_transfer (const char *id, int64_t created_at)
{
  return (PhTransferView){
      .id = id,
      .contact = "contact",
      .contact_name = "Desk",
      .direction = PH_DIRECTION_RECEIVE,
      .state = PH_TRANSFER_OFFERED,
      .names = names,
      .files = 1,
      .bytes_total = 1000,
      .created_at = created_at,
      .folder = "",
      .path = "",
      .best_path = "",
      .transport = "",
      .local_kind = "",
      .remote_kind = "",
      .local_addr = "",
      .remote_addr = "",
      .code = "",
      .message = "",
  };
}

static void
note (GObject *object, GParamSpec *pspec, GHashTable *heard)
{
  const char *name = g_intern_string (pspec->name);
  const int times = GPOINTER_TO_INT (g_hash_table_lookup (heard, name));

  g_hash_table_insert (heard, (gpointer)name, GINT_TO_POINTER (times + 1));
}

static int
heard_of (GHashTable *heard, const char *name)
{
  return GPOINTER_TO_INT (g_hash_table_lookup (heard, g_intern_string (name)));
}

static gboolean
flag (gpointer item, const char *name)
{
  gboolean value;

  g_object_get (item, name, &value, NULL);
  return value;
}

static void
test_transfer_tells_only_changes (void)
{
  PhTransferView view = a_transfer ("a", 1);
  g_autoptr (PhTransferItem) item = ph_transfer_item_new (&view);
  g_autoptr (GHashTable) heard = g_hash_table_new (NULL, NULL);
  const char *id = ph_transfer_item_id (item);

  g_signal_connect (item, "notify", G_CALLBACK (note), heard);
  g_assert_true (flag (item, "can-answer"));
  g_assert_false (ph_transfer_item_show (item, &view));
  g_assert_cmpuint (g_hash_table_size (heard), ==, 0);

  view.state = PH_TRANSFER_ACTIVE;
  view.path = "relay";
  g_assert_true (ph_transfer_item_show (item, &view));
  g_assert_cmpint (heard_of (heard, "state"), ==, 1);
  g_assert_cmpint (heard_of (heard, "path-text"), ==, 1);
  g_assert_cmpint (heard_of (heard, "title"), ==, 0);
  g_assert_false (flag (item, "can-answer"));
  g_assert_true (flag (item, "can-pause"));
  g_assert_true (flag (item, "under-way"));

  /* The badge changes while it runs. */
  g_hash_table_remove_all (heard);
  view.path = "udp";
  view.bytes_done = 500;
  g_assert_false (ph_transfer_item_show (item, &view));
  g_assert_cmpint (heard_of (heard, "path-text"), ==, 1);
  g_assert_cmpint (heard_of (heard, "fraction"), ==, 1);
  g_assert_cmpint (heard_of (heard, "status-text"), ==, 1);
  g_assert_cmpint (heard_of (heard, "state"), ==, 0);
  /* A key in tables. */
  g_assert_true (ph_transfer_item_id (item) == id);
}

static void
test_transfer_fraction (void)
{
  PhTransferView view = a_transfer ("a", 1);
  g_autoptr (PhTransferItem) item = ph_transfer_item_new (&view);
  double fraction;

  view.state = PH_TRANSFER_ACTIVE;
  view.bytes_total = 0;
  ph_transfer_item_show (item, &view);
  g_object_get (item, "fraction", &fraction, NULL);
  g_assert_cmpfloat (fraction, ==, 0);
  view.bytes_done = 7;
  view.bytes_total = 5;
  ph_transfer_item_show (item, &view);
  g_object_get (item, "fraction", &fraction, NULL);
  g_assert_cmpfloat (fraction, ==, 1);
  view.bytes_done = 0;
  view.state = PH_TRANSFER_DONE;
  ph_transfer_item_show (item, &view);
  g_object_get (item, "fraction", &fraction, NULL);
  g_assert_cmpfloat (fraction, ==, 1);
}

static char *
summary (PhContactItem *contact)
{
  char *text;

  g_object_get (contact, "summary", &text, NULL);
  return text;
}

static void
assert_summary (PhContactItem *contact, const char *wanted)
{
  g_autofree char *text = summary (contact);

  g_assert_cmpstr (text, ==, wanted);
}

static void
test_contact_sums_up (void)
{
  const PhContactView view = {.id = "contact", .name = "Desk", .online = true};
  const PhContactView alert = {.id = "contact", .name = "Desk", .online = true, .alert = true};
  g_autoptr (GHashTable) heard = g_hash_table_new (NULL, NULL);
  g_autoptr (PhContactItem) contact = ph_contact_item_new (&view);
  PhTransferView first = a_transfer ("a", 10), second = a_transfer ("b", 20);
  g_autoptr (PhTransferItem) a = ph_transfer_item_new (&first);
  g_autoptr (PhTransferItem) b = ph_transfer_item_new (&second);
  g_autoptr (PhTransferItem) top = NULL;
  unsigned offers;

  assert_summary (contact, "Online");
  ph_contact_item_add_transfer (contact, a);
  assert_summary (contact, "Wants to send you something");
  ph_contact_item_add_transfer (contact, b);
  assert_summary (contact, "2 offers wait for you");
  top = g_list_model_get_item (ph_contact_item_transfers (contact), 0);
  g_assert_true (top == b);

  first.state = PH_TRANSFER_ACTIVE;
  first.bytes_done = 250;
  ph_transfer_item_show (a, &first);
  second.state = PH_TRANSFER_DECLINED;
  ph_transfer_item_show (b, &second);
  ph_contact_item_update (contact);
  assert_summary (contact, "Receiving 1 file, 25%");
  g_object_get (contact, "offers", &offers, NULL);
  g_assert_cmpuint (offers, ==, 0);
  g_assert_true (flag (contact, "busy"));

  /* Another key is said before anything else. */
  ph_contact_item_show (contact, &alert);
  assert_summary (contact, "Stop: different key");
  g_signal_connect (contact, "notify", G_CALLBACK (note), heard);
  ph_contact_item_show (contact, &view);
  assert_summary (contact, "Receiving 1 file, 25%");
  g_assert_cmpint (heard_of (heard, "presence-text"), ==, 1);

  ph_contact_item_remove_transfer (contact, a);
  assert_summary (contact, "Online");
  g_assert_false (flag (contact, "busy"));
}

/* --- A client on an engine that is not connected -------------------------------------------------- */

static gboolean
too_late (gpointer data)
{
  g_error ("waited %d s for nothing", PATIENCE_S);
  return G_SOURCE_REMOVE;
}

static void
wait_until (gboolean (*done) (gpointer), gpointer data)
{
  const guint timer = g_timeout_add_seconds (PATIENCE_S, too_late, NULL);

  while (!done (data))
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (timer);
}

static gboolean
is_loaded (gpointer data)
{
  return ph_client_get_loaded (data);
}

static gboolean
is_finished (gpointer data)
{
  return *(GAsyncResult **)data != NULL;
}

static void
finished (GObject *source, GAsyncResult *result, gpointer data)
{
  *(GAsyncResult **)data = g_object_ref (result);
}

static PhClient *
new_client (const char *dir)
{
  g_autoptr (GError) error = NULL;
  PhClient *client = ph_client_new (dir, &error);

  g_assert_no_error (error);
  wait_until (is_loaded, client);
  return client;
}

static void
test_settings_come_back (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autoptr (PhClient) client = new_client (dir);
  g_autoptr (GHashTable) heard = g_hash_table_new (NULL, NULL);
  g_autoptr (GAsyncResult) result = NULL, bad = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;

  g_assert_false (ph_client_setting_is_set (client, "name"));
  g_signal_connect (client, "notify", G_CALLBACK (note), heard);
  ph_client_set_setting_async (client, "name", "Desk", finished, &result);
  wait_until (is_finished, &result);
  text = ph_client_finish (client, result, &error);
  g_assert_no_error (error);
  g_assert_nonnull (text);
  g_assert_cmpstr (ph_client_get_setting (client, "name"), ==, "Desk");
  g_assert_true (ph_client_setting_is_set (client, "name"));
  g_assert_cmpint (heard_of (heard, "name"), ==, 1);

  ph_client_set_setting_async (client, "rendezvous", "nonsense", finished, &bad);
  wait_until (is_finished, &bad);
  g_assert_null (ph_client_finish (client, bad, &error));
  g_assert_error (error, PH_ENGINE_ERROR, PH_ENGINE_ERROR_BAD_VALUE);
}

/* What is under way ends with the client, and what comes later fails at once. */
static void
test_closed (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autoptr (PhClient) client = new_client (dir);
  g_autoptr (GAsyncResult) before = NULL, after = NULL;
  g_autoptr (GError) error = NULL;

  ph_client_invite_async (client, NULL, NULL, NULL, finished, &before);
  ph_client_close (client);
  wait_until (is_finished, &before);
  g_assert_null (ph_client_finish (client, before, &error));
  g_assert_nonnull (error);
  g_clear_error (&error);
  ph_client_remove_async (client, "nobody", finished, &after);
  wait_until (is_finished, &after);
  g_assert_null (ph_client_finish (client, after, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

static void
test_profile_in_use (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autoptr (PhClient) client = new_client (dir);
  g_autoptr (GError) error = NULL;

  g_assert_null (ph_client_new (dir, &error));
  g_assert_error (error, PH_ENGINE_ERROR, PH_ENGINE_ERROR_PROFILE_IN_USE);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/model-items/transfer-tells-only-changes", test_transfer_tells_only_changes);
  g_test_add_func ("/model-items/transfer-fraction", test_transfer_fraction);
  g_test_add_func ("/model-items/contact-sums-up", test_contact_sums_up);
  g_test_add_func ("/model-items/settings-come-back", test_settings_come_back);
  g_test_add_func ("/model-items/closed", test_closed);
  g_test_add_func ("/model-items/profile-in-use", test_profile_in_use);
  return g_test_run ();
}
