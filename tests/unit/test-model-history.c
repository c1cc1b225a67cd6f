/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The history as a list: pages, searches, and rows that are taken out and come back. On a real engine whose
 * store was filled before. */

#include "app/model/ph-history.h"
#include "app/store/ph-store-transfers.h"
#include "tests/support/ph-test.h"

/* More than two pages. */
#define ROWS 130

typedef struct {
  PhClient *client;
  PhHistory *history;
} Fixture;

static void
add_row (PhStore *store, unsigned i)
{
  g_autofree char *title = g_strdup_printf ("film %u.mkv", i);
  PhStoreTransfer row = {
      .peer_name = (char *)(i % 2 == 0 ? "Desk" : "Laptop"),
      .incoming = true,
      .state = PH_STORE_OFFERED,
      .files = 1,
      .bytes = i,
      .title = title,
      .words = title,
      .created_at = 1000,
  };
  const PhStoreResult result = {
      .state = PH_STORE_CANCELLED,
      .finished_at = 1000 + i / 2, /* pairs in one second */
      .missed = i % 10 == 0,
  };

  row.id[0] = (uint8_t)i;
  row.id[15] = 1;
  g_assert_true (ph_store_add_transfer (store, &row, NULL, NULL, NULL));
  g_assert_true (ph_store_finish_transfer (store, row.id, &result, NULL));
}

static void
wait_until_loaded (Fixture *f)
{
  gboolean loading;

  g_object_get (f->history, "loading", &loading, NULL);
  while (loading) {
    g_main_context_iteration (NULL, TRUE);
    g_object_get (f->history, "loading", &loading, NULL);
  }
}

static guint
count (Fixture *f)
{
  guint n;

  g_object_get (f->history, "n-items", &n, NULL);
  g_assert_cmpuint (n, ==, g_list_model_get_n_items (ph_history_get_items (f->history)));
  return n;
}

static void
set_up (Fixture *f, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *profile = ph_test_tmpdir ();

  /* The engine makes the profile; it is not under way while the rows are written. */
  f->client = ph_client_new (profile, &error);
  g_assert_no_error (error);
  ph_client_close (f->client);
  g_clear_object (&f->client);
  {
    g_autoptr (PhStore) store = ph_store_open (profile, &error);

    g_assert_no_error (error);
    for (unsigned i = 0; i < ROWS; i++)
      add_row (store, i);
  }
  f->client = ph_client_new (profile, &error);
  g_assert_no_error (error);
  f->history = ph_history_new (f->client, NULL);
  wait_until_loaded (f);
}

static void
tear_down (Fixture *f, gconstpointer unused)
{
  ph_client_close (f->client);
  while (g_main_context_iteration (NULL, FALSE))
    continue;
  g_assert_finalize_object (f->history);
  g_object_unref (f->client);
}

static void
test_pages (Fixture *f, gconstpointer unused)
{
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  int64_t last = G_MAXINT64;
  guint before = 0;

  g_assert_cmpuint (count (f), >, 0);
  g_assert_cmpuint (count (f), <, ROWS);
  while (count (f) != before) {
    before = count (f);
    ph_history_load_more (f->history);
    wait_until_loaded (f);
  }
  g_assert_cmpuint (count (f), ==, ROWS);
  for (guint i = 0; i < ROWS; i++) {
    g_autoptr (PhTransferItem) item = g_list_model_get_item (ph_history_get_items (f->history), i);

    g_assert_true (g_hash_table_add (seen, g_strdup (ph_transfer_item_id (item))));
    g_assert_cmpint (ph_transfer_item_view (item)->finished_at, <=, last);
    last = ph_transfer_item_view (item)->finished_at;
  }
}

static void
test_search (Fixture *f, gconstpointer unused)
{
  g_autoptr (PhTransferItem) item = NULL;

  g_object_set (f->history, "search", "FILM 77", NULL);
  while (count (f) != 1)
    g_main_context_iteration (NULL, TRUE);
  item = g_list_model_get_item (ph_history_get_items (f->history), 0);
  g_assert_cmpuint (ph_transfer_item_view (item)->bytes_total, ==, 77);
  g_object_set (f->history, "search", "nothing like it", NULL);
  while (count (f) != 0)
    g_main_context_iteration (NULL, TRUE);
}

static void
test_missed (Fixture *f, gconstpointer unused)
{
  g_object_set (f->history, "missed-only", TRUE, NULL);
  wait_until_loaded (f);
  g_assert_cmpuint (count (f), ==, ROWS / 10);
}

static void
test_undo (Fixture *f, gconstpointer unused)
{
  const guint n = count (f);
  g_autoptr (PhTransferItem) item = g_list_model_get_item (ph_history_get_items (f->history), 3);
  g_autoptr (PhTransferItem) back = NULL;
  g_autoptr (PhTransferItem) second = NULL;

  ph_history_hide (f->history, item);
  g_assert_cmpuint (count (f), ==, n - 1);
  ph_history_unhide (f->history, item);
  wait_until_loaded (f);
  back = g_list_model_get_item (ph_history_get_items (f->history), 3);
  g_assert_cmpstr (ph_transfer_item_id (back), ==, ph_transfer_item_id (item));
  /* Undone: the toast's end changes nothing. */
  ph_history_commit (f->history, item);
  second = g_list_model_get_item (ph_history_get_items (f->history), 4);
  ph_history_hide (f->history, second);
  ph_history_commit (f->history, second);
  g_object_set (f->history, "missed-only", TRUE, NULL);
  wait_until_loaded (f);
  g_object_set (f->history, "missed-only", FALSE, NULL);
  wait_until_loaded (f);
  for (guint i = 0; i < count (f); i++) {
    g_autoptr (PhTransferItem) each = g_list_model_get_item (ph_history_get_items (f->history), i);

    g_assert_cmpstr (ph_transfer_item_id (each), !=, ph_transfer_item_id (second));
  }
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add ("/history/pages", Fixture, NULL, set_up, test_pages, tear_down);
  g_test_add ("/history/search", Fixture, NULL, set_up, test_search, tear_down);
  g_test_add ("/history/missed", Fixture, NULL, set_up, test_missed, tear_down);
  g_test_add ("/history/undo", Fixture, NULL, set_up, test_undo, tear_down);
  return g_test_run ();
}
