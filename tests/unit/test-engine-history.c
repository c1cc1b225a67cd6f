/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What whole engines remember of transfers, and what they forget. */

#include "app/store/ph-store-transfers.h"
#include "tests/unit/engine-world.h"

#include <glib/gstdio.h>
#include <sodium.h>

/* The ids' history as text: names of the first file, parted by spaces. */
static unsigned
load (Node *node, PhHistoryQuery query)
{
  g_ptr_array_set_size (node->history, 0);
  finish (node, ph_engine_load_history (node->engine, &query));
  return node->history->len;
}

static const Seen *
row (const Node *node, unsigned i)
{
  return node->history->pdata[i];
}

static char *
deliver (Pair *pair, const char *path)
{
  char *id = send_and_wait_for_offer (pair, path);

  finish (pair->right, ph_engine_accept (pair->right->engine, id, NULL));
  assert_delivered (pair, id);
  return id;
}

static const char *
file_line (Node *node, const char *id, unsigned i)
{
  g_ptr_array_set_size (node->files, 0);
  finish (node, ph_engine_list_files (node->engine, id, 0, PH_ENGINE_FILES_MAX));
  g_assert_cmpuint (node->files->len, >, i);
  return node->files->pdata[i];
}

static void
test_history (void)
{
  Pair *pair = pair_new ();
  Node *left = pair->left, *right = pair->right;
  g_autofree char *one = write_file (pair->files, "Holiday Berg.jpg", 1000);
  g_autofree char *two = write_file (pair->files, "letter.txt", 10);
  g_autofree char *first = deliver (pair, one);
  g_autofree char *second = deliver (pair, two);
  g_autofree char *third = send_and_wait_for_offer (pair, two);

  finish (right, ph_engine_decline (right->engine, third));
  wait_until (has_ended (left, third));
  g_assert_cmpuint (load (left, (PhHistoryQuery){0}), ==, 3);
  g_assert_cmpuint (load (right, (PhHistoryQuery){0}), ==, 3);
  g_assert_cmpuint (load (right, (PhHistoryQuery){.limit = 2}), ==, 2);
  g_assert_cmpuint (load (right, (PhHistoryQuery){.search = "hol BERG"}), ==, 1);
  g_assert_cmpstr (row (right, 0)->id, ==, first);
  g_assert_cmpint (row (right, 0)->state, ==, PH_TRANSFER_DONE);
  g_assert_cmpuint (load (right, (PhHistoryQuery){.search = "my left"}), ==, 3);
  g_assert_cmpuint (load (right, (PhHistoryQuery){.search = "nothing"}), ==, 0);
  g_assert_cmpuint (load (right, (PhHistoryQuery){.contact = ph_engine_device_id (left->engine)}),
                    ==, 3);
  g_assert_cmpuint (load (right, (PhHistoryQuery){.contact = ph_engine_device_id (right->engine)}),
                    ==, 0);

  finish (right, ph_engine_forget (right->engine, second, NULL));
  g_assert_true (g_str_has_prefix (right->forgotten, second));
  g_assert_cmpuint (load (right, (PhHistoryQuery){0}), ==, 2);
  finish_badly (right, ph_engine_forget (right->engine, second, NULL),
                PH_ENGINE_ERROR_UNKNOWN_TRANSFER);
  finish (right, ph_engine_forget (right->engine, NULL, ph_engine_device_id (left->engine)));
  g_assert_cmpuint (load (right, (PhHistoryQuery){0}), ==, 0);
  finish (left, ph_engine_forget (left->engine, NULL, NULL));
  g_assert_cmpuint (load (left, (PhHistoryQuery){0}), ==, 0);
  pair_free (pair);
}

/* Both sides know the same digests, and where a file got another name, that name. */
static void
test_files (void)
{
  Pair *pair = pair_new ();
  g_autofree char *dir = g_build_filename (pair->files, "Tree", NULL);
  g_autofree char *file = NULL, *taken = g_build_filename (pair->downloads, "Tree", NULL);
  g_autofree char *id = NULL, *bytes = NULL, *digest = NULL, *line = NULL, *renamed = NULL;
  gsize len;

  g_assert_cmpint (g_mkdir (dir, 0700), ==, 0);
  g_assert_cmpint (g_mkdir (taken, 0700), ==, 0);
  file = write_file (dir, "leaf", 300000);
  id = deliver (pair, dir);
  g_assert_true (g_file_get_contents (file, &bytes, &len, NULL));
  digest = g_compute_checksum_for_data (G_CHECKSUM_SHA256, (uint8_t *)bytes, len);

  line = g_strdup_printf ("1 Tree/leaf 300000 %s done", digest);
  renamed = g_strdup_printf ("1 Tree (1)/leaf 300000 %s done", digest);
  g_assert_cmpstr (file_line (pair->left, id, 1), ==, line);
  g_assert_cmpstr (file_line (pair->right, id, 1), ==, renamed);
  g_assert_cmpstr (file_line (pair->left, id, 0), ==, "0 Tree 0  folder");

  /* Page by page. */
  g_ptr_array_set_size (pair->right->files, 0);
  g_assert_cmpstr (finish (pair->right, ph_engine_list_files (pair->right->engine, id, 0, 1)), ==,
                   "1");
  g_assert_cmpuint (pair->right->files->len, ==, 1);
  g_assert_cmpstr (finish (pair->right, ph_engine_list_files (pair->right->engine, id, 1, 1)), ==,
                   "");
  g_assert_cmpuint (pair->right->files->len, ==, 2);
  finish_badly (pair->right, ph_engine_list_files (pair->right->engine, "12", 0, 1),
                PH_ENGINE_ERROR_UNKNOWN_TRANSFER);
  pair_free (pair);
}

static void
test_send_again (void)
{
  Pair *pair = pair_new ();
  Node *left = pair->left;
  g_autofree char *file = write_file (pair->files, "again", 1000);
  g_autofree char *id = deliver (pair, file);
  g_autofree char *second = NULL, *third = NULL;

  g_assert_true (seen (left, id)->can_send_again);
  second = g_strdup (finish (left, ph_engine_send_again (left->engine, id)));
  g_assert_cmpstr (second, !=, id);
  wait_until (is_in (pair->right, second, PH_TRANSFER_OFFERED));
  finish_badly (left, ph_engine_send_again (left->engine, second),
                PH_ENGINE_ERROR_UNKNOWN_TRANSFER);
  finish (pair->right, ph_engine_decline (pair->right->engine, second));
  wait_until (has_ended (left, second));

  node_close (left);
  node_open (left);
  wait_until (left->loaded);
  g_assert_cmpuint (load (left, (PhHistoryQuery){0}), ==, 2);
  g_assert_true (row (left, 0)->can_send_again);
  third = g_strdup (finish (left, ph_engine_send_again (left->engine, id)));
  g_assert_nonnull (third);
  g_remove (file);
  finish_badly (left, ph_engine_send_again (left->engine, id), PH_ENGINE_ERROR_FILES);
  pair_free (pair);
}

/* Whether `needle` is in any file of the profile. */
static bool
is_on_disk (const Node *node, const char *needle)
{
  g_autoptr (GDir) files = g_dir_open (node->dir, 0, NULL);

  for (const char *name; (name = g_dir_read_name (files)) != NULL;) {
    g_autofree char *path = g_build_filename (node->dir, name, NULL);
    g_autofree char *bytes = NULL;
    gsize len;

    if (g_file_get_contents (path, &bytes, &len, NULL)
        && memmem (bytes, len, needle, strlen (needle)) != NULL)
      return true;
  }
  return false;
}

/* What is kept to answer the sender says nothing of what there was. */
static void
assert_bare_row (const Node *node, const char *id)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (PhStore) store = ph_store_open (node->dir, &error);
  g_autoptr (PhStoreTransfer) row = NULL;
  uint8_t bytes[PH_STORE_TRANSFER_LEN];

  g_assert_no_error (error);
  g_assert_cmpint (sodium_hex2bin (bytes, sizeof bytes, id, strlen (id), NULL, NULL, NULL), ==, 0);
  row = ph_store_get_transfer (store, bytes, &error);
  g_assert_no_error (error);
  g_assert_nonnull (row);
  g_assert_true (row->hidden);
  g_assert_cmpint (row->state, ==, PH_STORE_DECLINED);
  g_assert_cmpuint (row->files + row->bytes + row->bytes_done, ==, 0);
  g_assert_cmpint (row->created_at, ==, 0);
  g_assert_cmpstr (row->peer_name, ==, "");
  g_assert_cmpstr (row->title, ==, "");
  g_assert_null (row->message);
  g_assert_true (row->code == NULL || *row->code == '\0');
}

static void
test_private_mode (void)
{
  Pair *pair = pair_new ();
  Node *left = pair->left, *right = pair->right;
  g_autofree char *file = write_file (pair->files, "Xenon-secret", 100000);
  g_autofree char *open = NULL, *delivered = NULL, *declined = NULL, *withdrawn = NULL;

  finish (left, ph_engine_set_setting (left->engine, "private-mode", "true"));
  finish (right, ph_engine_set_setting (right->engine, "private-mode", "true"));
  delivered = deliver (pair, file);
  declined = send_and_wait_for_offer (pair, file);
  finish (right, ph_engine_decline (right->engine, declined));
  wait_until (has_ended (left, declined));
  withdrawn = send_and_wait_for_offer (pair, file);
  finish (left, ph_engine_cancel (left->engine, withdrawn));
  wait_until (has_ended (right, withdrawn) && has_ended (left, withdrawn));

  g_assert_cmpuint (load (left, (PhHistoryQuery){0}), ==, 0);
  g_assert_cmpuint (load (right, (PhHistoryQuery){0}), ==, 0);
  g_assert_false (is_on_disk (left, "enon-secret"));
  g_assert_false (is_on_disk (right, "enon-secret"));
  node_close (right);
  assert_bare_row (right, declined);
  node_open (right);
  ph_engine_connect (right->engine);

  /* It shows, so the test could fail. */
  finish (right, ph_engine_set_setting (right->engine, "private-mode", "false"));
  open = deliver (pair, file);
  g_assert_cmpuint (load (right, (PhHistoryQuery){0}), ==, 1);
  g_assert_true (is_on_disk (right, "enon-secret"));
  pair_free (pair);
}

static void
test_missed (void)
{
  Pair *pair = pair_new ();
  Node *left = pair->left, *right = pair->right;
  g_autofree char *file = write_file (pair->files, "missed", 10);
  g_autofree char *here = send_and_wait_for_offer (pair, file);
  g_autofree char *away = send_and_wait_for_offer (pair, file);
  g_autofree char *still = send_and_wait_for_offer (pair, file);

  finish (left, ph_engine_cancel (left->engine, here));
  wait_until (is_in (right, here, PH_TRANSFER_CANCELLED));
  g_assert_true (seen (right, here)->missed);

  /* The other one is withdrawn while this person's computer is off. */
  node_close (right);
  finish (left, ph_engine_cancel (left->engine, away));
  wait_until (has_ended (left, away));
  g_hash_table_remove_all (right->transfers);
  node_open (right);
  wait_until (right->loaded);
  g_assert_true (is_in (right, away, PH_TRANSFER_WAITING));
  finish_badly (right, ph_engine_accept (right->engine, away, NULL), PH_ENGINE_ERROR_OFFLINE);
  ph_engine_connect (right->engine);
  wait_until (is_in (right, still, PH_TRANSFER_OFFERED));
  wait_until (is_in (right, away, PH_TRANSFER_CANCELLED));
  g_assert_true (seen (right, away)->missed);
  g_assert_cmpuint (load (right, (PhHistoryQuery){.missed_only = true}), ==, 2);

  finish (right, ph_engine_accept (right->engine, still, NULL));
  assert_delivered (pair, still);
  g_assert_cmpuint (load (right, (PhHistoryQuery){0}), ==, 3);
  pair_free (pair);
}

int
main (int argc, char **argv)
{
  int result;

  ph_test_init (&argc, &argv);
  g_test_add_func ("/history/listed-and-forgotten", test_history);
  g_test_add_func ("/history/files", test_files);
  g_test_add_func ("/history/send-again", test_send_again);
  g_test_add_func ("/history/private-mode", test_private_mode);
  g_test_add_func ("/history/missed", test_missed);
  world_start ();
  result = g_test_run ();
  world_stop ();
  return result;
}
