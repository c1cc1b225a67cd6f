/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A person moves to another device: an identity is exported, and imported there. */

#include "tests/unit/engine-world.h"

#include <glib/gstdio.h>

static void
test_move (void)
{
  Pair *pair = pair_new ();
  Node *old = pair->left, *fresh = node_new ();
  g_autofree char *file = g_build_filename (pair->files, "identity", NULL);
  g_autofree char *id = g_strdup (ph_engine_device_id (old->engine));
  const char *right = ph_engine_device_id (pair->right->engine);
  g_autofree char *bytes = NULL, *sent = NULL, *payload = NULL;
  const char *paths[] = {NULL, NULL};
  GStatBuf st;
  gsize len;

  finish (old, ph_engine_set_setting (old->engine, "queue-days", "7"));
  finish (old, ph_engine_set_auto_accept (old->engine, right, true, 12345));
  finish_badly (old, ph_engine_export_identity (old->engine, file, "short"),
                PH_ENGINE_ERROR_PASSPHRASE);
  finish_badly (old, ph_engine_export_identity (old->engine, "/proc/none", "correct horse"),
                PH_ENGINE_ERROR_FOLDER);
  finish (old, ph_engine_export_identity (old->engine, file, "correct horse"));
  g_assert_cmpint (g_stat (file, &st), ==, 0);
  g_assert_cmpuint (st.st_mode & 0777, ==, 0600);
  g_assert_true (g_file_get_contents (file, &bytes, &len, NULL));
  g_assert_null (memmem (bytes, len, "Right", 5));

  finish_badly (fresh, ph_engine_import_identity (fresh->engine, file, "another horse", false),
                PH_ENGINE_ERROR_PASSPHRASE);
  finish_badly (pair->right,
                ph_engine_import_identity (pair->right->engine, file, "correct horse", false),
                PH_ENGINE_ERROR_NOT_FRESH);
  finish (fresh, ph_engine_import_identity (fresh->engine, file, "correct horse", false));
  finish_badly (fresh, ph_engine_get_setting (fresh->engine, "name"), PH_ENGINE_ERROR_FAILED);
  node_close (old);
  node_close (fresh);
  node_open (fresh);
  wait_until (fresh->loaded);
  g_assert_cmpstr (ph_engine_device_id (fresh->engine), ==, id);
  g_assert_cmpstr (seen_setting (fresh, "name"), ==, "Left");
  g_assert_cmpstr (seen_setting (fresh, "queue-days"), ==, "7");
  g_assert_cmpstr (seen_contact (fresh, right)->name, ==, "Right");
  g_assert_cmpuint (seen_contact (fresh, right)->auto_accept_max, ==, 12345);

  /* Its contacts take it for who it was. */
  ph_engine_connect (fresh->engine);
  payload = write_file (pair->files, "from the new one", 1000);
  paths[0] = payload;
  sent = g_strdup (finish (fresh, ph_engine_send (fresh->engine, right, paths)));
  wait_until (is_in (pair->right, sent, PH_TRANSFER_OFFERED));
  finish (pair->right, ph_engine_accept (pair->right->engine, sent, NULL));
  wait_until (is_in (fresh, sent, PH_TRANSFER_DONE));
  node_free (fresh);
  pair_free (pair);
}

/* What was there goes, and only when that is said. */
static void
test_replace (void)
{
  Pair *pair = pair_new ();
  g_autofree char *file = g_build_filename (pair->files, "identity", NULL);
  g_autofree char *id = g_strdup (ph_engine_device_id (pair->left->engine));
  g_autofree char *right = g_strdup (ph_engine_device_id (pair->right->engine));
  Node *node = pair->right;

  finish (pair->left, ph_engine_export_identity (pair->left->engine, file, "correct horse"));
  node_close (pair->left);
  finish (node, ph_engine_import_identity (node->engine, file, "correct horse", true));
  node_close (node);
  g_hash_table_remove_all (node->contacts);
  node_open (node);
  wait_until (node->loaded);
  g_assert_cmpstr (ph_engine_device_id (node->engine), ==, id);
  g_assert_cmpuint (g_hash_table_size (node->contacts), ==, 1);
  g_assert_cmpstr (seen_contact (node, right)->name, ==, "Right");
  pair_free (pair);
}

static void
test_damaged (void)
{
  Node *node = node_new ();
  g_autofree char *dir = ph_test_tmpdir ();
  g_autofree char *file = g_build_filename (dir, "identity", NULL);
  g_autofree char *other = write_file (dir, "other", 500);
  g_autofree char *bytes = NULL;
  gsize len;

  finish (node, ph_engine_export_identity (node->engine, file, "correct horse"));
  finish_badly (node, ph_engine_import_identity (node->engine, other, "correct horse", true),
                PH_ENGINE_ERROR_BAD_EXPORT);
  finish_badly (node, ph_engine_import_identity (node->engine, dir, "correct horse", true),
                PH_ENGINE_ERROR_BAD_EXPORT);
  finish_badly (node, ph_engine_import_identity (node->engine, "/nothing", "correct horse", true),
                PH_ENGINE_ERROR_FILES);
  g_assert_true (g_file_get_contents (file, &bytes, &len, NULL));
  bytes[len - 1] ^= 1;
  g_assert_true (g_file_set_contents (file, bytes, (gssize)len, NULL));
  finish_badly (node, ph_engine_import_identity (node->engine, file, "correct horse", true),
                PH_ENGINE_ERROR_PASSPHRASE);
  /* And one that ends while it is at work. */
  ph_engine_export_identity (node->engine, file, "correct horse");
  node_free (node);
}

int
main (int argc, char **argv)
{
  int result;

  ph_test_init (&argc, &argv);
  g_test_add_func ("/move/to-another-device", test_move);
  g_test_add_func ("/move/replace", test_replace);
  g_test_add_func ("/move/damaged", test_damaged);
  world_start ();
  result = g_test_run ();
  world_stop ();
  return result;
}
