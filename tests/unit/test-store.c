/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store: rows come back, earlier versions open, newer ones are refused, a kill leaves it whole. */

#include "app/store/ph-store-contacts.h"
#include "app/store/ph-store-transfers.h"
#include "tests/support/ph-test.h"

#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static PhStore *
open_ok (const char *dir)
{
  g_autoptr (GError) error = NULL;
  PhStore *store = ph_store_open (dir, &error);

  g_assert_no_error (error);
  g_assert_nonnull (store);
  return store;
}

static void
exec_sql (const char *dir, const char *sql)
{
  g_autofree char *path = g_build_filename (dir, "porthole.db", NULL);
  sqlite3 *db;

  g_assert_cmpint (sqlite3_open (path, &db), ==, SQLITE_OK);
  g_assert_cmpint (sqlite3_exec (db, sql, NULL, NULL, NULL), ==, SQLITE_OK);
  sqlite3_close (db);
}

static void
test_modes (void)
{
  g_autofree char *top = ph_test_tmpdir ();
  g_autofree char *dir = g_build_filename (top, "deep", "profile", NULL);
  g_autofree char *path = g_build_filename (dir, "porthole.db", NULL);
  g_autofree char *wal = g_strconcat (path, "-wal", NULL);
  struct stat st;

  umask (0);
  g_autoptr (PhStore) store = open_ok (dir);

  g_assert_true (ph_store_set_setting (store, "name", "x", NULL));
  g_assert_cmpint (stat (dir, &st), ==, 0);
  g_assert_cmpint (st.st_mode & 0777, ==, 0700);
  g_assert_cmpint (stat (path, &st), ==, 0);
  g_assert_cmpint (st.st_mode & 0777, ==, 0600);
  g_assert_cmpint (stat (wal, &st), ==, 0);
  g_assert_cmpint (st.st_mode & 0777, ==, 0600);

  g_clear_pointer (&store, ph_store_close);
  g_assert_cmpint (chmod (path, 0644), ==, 0);
  g_assert_cmpint (chmod (dir, 0755), ==, 0);
  store = open_ok (dir);
  g_assert_cmpint (stat (path, &st), ==, 0);
  g_assert_cmpint (st.st_mode & 0777, ==, 0600);
  g_assert_cmpint (stat (dir, &st), ==, 0);
  g_assert_cmpint (st.st_mode & 0777, ==, 0700);
  umask (022);
}

static void
test_settings (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autoptr (PhStore) store = open_ok (dir);
  g_autofree char *none = ph_store_get_setting (store, "name");

  g_assert_null (none);
  g_assert_true (ph_store_set_setting (store, "name", "one", NULL));
  g_assert_true (ph_store_set_setting (store, "name", "Zwei ü", NULL));
  g_assert_true (ph_store_set_setting (store, "stun", "", NULL));
  g_clear_pointer (&store, ph_store_close);
  store = open_ok (dir);

  g_autofree char *name = ph_store_get_setting (store, "name");
  g_autofree char *stun = ph_store_get_setting (store, "stun");

  g_assert_cmpstr (name, ==, "Zwei ü");
  g_assert_cmpstr (stun, ==, "");
  g_assert_true (ph_store_set_setting (store, "name", NULL, NULL));

  g_autofree char *gone = ph_store_get_setting (store, "name");

  g_assert_null (gone);
}

static void
test_contacts (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autoptr (PhStore) store = open_ok (dir);
  g_autoptr (GError) error = NULL;
  char *addresses[] = {(char *)"wss://a.example/", (char *)"wss://b.example/", NULL};
  PhStoreContact contact = {
      .key = {1}, .name = (char *)"beta", .rendezvous = addresses, .added_at = 5};
  PhStoreContact other = {.key = {2},
                          .name = (char *)"Alpha",
                          .auto_accept = true,
                          .auto_accept_max = UINT64_MAX,
                          .blocked = true};

  g_assert_true (ph_store_put_contact (store, &contact, NULL));
  g_assert_true (ph_store_put_contact (store, &other, NULL));
  contact.name = (char *)"gamma";
  addresses[1] = NULL;
  g_assert_true (ph_store_put_contact (store, &contact, NULL));

  g_autoptr (GPtrArray) list = ph_store_list_contacts (store, NULL);

  g_assert_cmpuint (list->len, ==, 2);

  const PhStoreContact *first = list->pdata[0];
  const PhStoreContact *second = list->pdata[1];

  g_assert_cmpstr (first->name, ==, "Alpha");
  g_assert_true (first->blocked && first->auto_accept);
  g_assert_cmpuint (first->auto_accept_max, ==, UINT64_MAX);
  g_assert_cmpuint (g_strv_length (first->rendezvous), ==, 0);
  g_assert_cmpstr (second->name, ==, "gamma");
  g_assert_cmpuint (g_strv_length (second->rendezvous), ==, 1);
  g_assert_cmpint (second->added_at, ==, 5);

  g_assert_true (ph_store_remove_contact (store, contact.key, NULL));
  g_assert_null (ph_store_get_contact (store, contact.key, &error));
  g_assert_no_error (error);
  g_assert_false (ph_store_remove_contact (store, contact.key, &error));
  g_assert_error (error, PH_STORE_ERROR, PH_STORE_ERROR_MISSING);
}

static void
test_invitations (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autoptr (PhStore) store = open_ok (dir);
  g_autoptr (GError) error = NULL;
  PhStoreInvitation invitation = {.lookup = (char *)"abc",
                                  .secret = {7, 8},
                                  .created_at = 1,
                                  .rendezvous = (char *)"wss://a.example/",
                                  .expires_at = 100};
  bool there;

  g_assert_true (ph_store_add_invitation (store, &invitation, NULL));
  g_assert_false (ph_store_add_invitation (store, &invitation, &error));
  g_assert_error (error, PH_STORE_ERROR, PH_STORE_ERROR_EXISTS);

  g_autoptr (GPtrArray) open = ph_store_list_invitations (store, 99, NULL);
  g_autoptr (GPtrArray) late = ph_store_list_invitations (store, 100, NULL);

  g_assert_cmpuint (open->len, ==, 1);
  g_assert_cmpuint (late->len, ==, 0);
  g_assert_cmpmem (((PhStoreInvitation *)open->pdata[0])->secret, 16, invitation.secret, 16);

  g_assert_true (ph_store_take_invitation (store, "abc", &there, NULL));
  g_assert_true (there);
  g_assert_true (ph_store_take_invitation (store, "abc", &there, NULL));
  g_assert_false (there);

  g_assert_true (ph_store_add_invitation (store, &invitation, NULL));
  g_assert_true (ph_store_expire (store, 100, NULL));
  g_assert_true (ph_store_take_invitation (store, "abc", &there, NULL));
  g_assert_false (there);
}

static PhStoreTransfer
transfer_row (uint8_t n, bool incoming)
{
  return (PhStoreTransfer){.id = {n},
                           .peer = {9},
                           .peer_name = (char *)"beta",
                           .incoming = incoming,
                           .files = 3,
                           .bytes = UINT64_C (1) << 62,
                           .title = (char *)"Ferien",
                           .created_at = n};
}

static void
test_transfers (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autoptr (PhStore) store = open_ok (dir);
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) manifest = g_bytes_new_static ("manifest", 8);
  g_autoptr (GBytes) receipt = g_bytes_new_static ("receipt", 7);
  static const char *const roots[] = {"/home/x/Ferien", "/home/x/latin\xe4", NULL};
  const PhStoreTransfer out = transfer_row (1, false);
  PhStoreTransfer in = transfer_row (2, true);

  in.files = PH_STORE_LISTED_FILES + 1;
  g_assert_true (ph_store_add_transfer (store, &out, manifest, roots, NULL));
  g_assert_true (ph_store_add_transfer (store, &in, manifest, NULL, NULL));
  g_assert_false (ph_store_add_transfer (store, &in, manifest, NULL, &error));
  g_assert_error (error, PH_STORE_ERROR, PH_STORE_ERROR_EXISTS);

  g_auto (GStrv) got_roots = ph_store_get_roots (store, out.id, NULL);
  g_autoptr (GBytes) got_manifest = ph_store_get_manifest (store, in.id, NULL);

  g_assert_cmpstrv (got_roots, roots);
  g_assert_true (g_bytes_equal (got_manifest, manifest));

  g_assert_true (ph_store_set_state (store, in.id, PH_STORE_ACTIVE, "/home/x/Down\xff", NULL));
  g_assert_true (ph_store_set_state (store, in.id, PH_STORE_PAUSED, NULL, NULL));
  g_assert_true (ph_store_set_bytes_done (store, in.id, 77, NULL));
  g_assert_true (ph_store_set_position (store, in.id, -5, NULL));

  g_autoptr (GPtrArray) list = ph_store_list_transfers (store, PH_STORE_UNFINISHED, 0, NULL);

  g_assert_cmpuint (list->len, ==, 2);

  const PhStoreTransfer *got = list->pdata[0];

  g_assert_cmpuint (got->id[0], ==, 2);
  g_assert_cmpint (got->state, ==, PH_STORE_PAUSED);
  g_assert_cmpstr (got->destination, ==, "/home/x/Down\xff");
  g_assert_cmpuint (got->bytes_done, ==, 77);
  g_assert_cmpuint (got->bytes, ==, UINT64_C (1) << 62);
  g_assert_null (got->code);

  const PhStoreResult result = {.state = PH_STORE_DELIVERED,
                                .path = "lan",
                                .rate = 5,
                                .bytes_done = 99,
                                .finished_at = 1000,
                                .receipt = receipt};
  const PhStoreResult again = {.state = PH_STORE_FAILED, .code = "no-space", .finished_at = 2000};

  g_assert_true (ph_store_finish_transfer (store, in.id, &result, NULL));
  g_assert_true (ph_store_finish_transfer (store, in.id, &again, NULL));
  g_clear_error (&error);
  g_assert_false (ph_store_set_state (store, in.id, PH_STORE_ACTIVE, NULL, &error));
  g_assert_error (error, PH_STORE_ERROR, PH_STORE_ERROR_MISSING);

  g_autoptr (PhStoreTransfer) ended = ph_store_get_transfer (store, in.id, NULL);

  g_assert_cmpint (ended->state, ==, PH_STORE_DELIVERED);
  g_assert_cmpstr (ended->code, ==, "");
  g_assert_cmpstr (ended->path, ==, "lan");
  g_assert_cmpint (ended->finished_at, ==, 1000);

  g_autoptr (GPtrArray) limited = ph_store_list_transfers (store, PH_STORE_ALL, 1, NULL);
  g_autoptr (GPtrArray) finished = ph_store_list_transfers (store, PH_STORE_FINISHED, 0, NULL);

  g_assert_cmpuint (limited->len, ==, 1);
  g_assert_cmpuint (finished->len, ==, 1);

  /* The receipt answers for 30 days, the history for longer. */
  const int64_t day = 86400;
  g_autoptr (GBytes) kept = ph_store_get_receipt (store, in.id, 1000 + 30 * day - 1, NULL);
  GBytes *expired = ph_store_get_receipt (store, in.id, 1000 + 30 * day, NULL);

  g_assert_true (g_bytes_equal (kept, receipt));
  g_assert_null (expired);
  g_assert_true (ph_store_finish_transfer (store, out.id, &result, NULL));
  g_assert_true (ph_store_expire (store, 1000 + 30 * day, NULL));
  g_assert_null (ph_store_get_manifest (store, in.id, NULL)); /* a long list */

  g_autoptr (GBytes) still_there = ph_store_get_manifest (store, out.id, NULL);
  g_auto (GStrv) still_known = ph_store_get_roots (store, out.id, NULL);

  g_assert_nonnull (still_there);
  g_assert_cmpstrv (still_known, roots); /* to be sent again */
  g_assert_true (ph_store_remove_transfer (store, in.id, NULL));
  g_clear_error (&error);
  g_assert_false (ph_store_finish_transfer (store, in.id, &again, &error));
  g_assert_error (error, PH_STORE_ERROR, PH_STORE_ERROR_MISSING);
}

static void
add_finished (PhStore *store, uint8_t n, bool incoming, uint8_t peer, PhStoreState state,
              const char *words)
{
  PhStoreTransfer row = transfer_row (n, incoming);
  const PhStoreResult result = {.state = state, .finished_at = 100 + n / 2};
  static const char *const roots[] = {"/home/x/Secret", NULL};
  g_autoptr (GBytes) manifest = g_bytes_new_static ("Secret manifest", 15);
  g_autoptr (GError) error = NULL;

  row.peer[0] = peer;
  row.words = (char *)words;
  ph_store_add_transfer (store, &row, manifest, incoming ? NULL : roots, &error);
  g_assert_no_error (error);
  ph_store_finish_transfer (store, row.id, &result, &error);
  g_assert_no_error (error);
}

/* The first bytes of the ids that a query finds, as text. */
static char *
history (PhStore *store, PhStoreHistoryQuery query)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) list = ph_store_list_history (store, &query, &error);
  GString *text = g_string_new (NULL);

  g_assert_no_error (error);
  for (guint i = 0; i < list->len; i++)
    g_string_append_printf (text, "%u ", ((PhStoreTransfer *)list->pdata[i])->id[0]);
  return g_string_free_and_steal (text);
}

#define assert_history(store, expected, ...)                                                       \
  G_STMT_START                                                                                     \
  {                                                                                                \
    g_autofree char *listed = history (store, (PhStoreHistoryQuery){__VA_ARGS__});                 \
                                                                                                   \
    g_assert_cmpstr (listed, ==, expected);                                                        \
  }                                                                                                \
  G_STMT_END

static void
test_history (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autoptr (PhStore) store = open_ok (dir);
  g_autoptr (GError) error = NULL;
  const PhStoreTransfer open = transfer_row (50, true);
  static const uint8_t peer[PH_STORE_KEY_LEN] = {7};
  static const uint8_t second[PH_STORE_TRANSFER_LEN] = {4};
  static const char *const one[] = {"ferien", NULL};
  static const char *const both[] = {"ferien", "berg", NULL};

  g_assert_true (ph_store_add_transfer (store, &open, NULL, NULL, NULL));
  add_finished (store, 1, false, 7, PH_STORE_DELIVERED, "beta\nferien\nberg.jpg");
  add_finished (store, 2, true, 8, PH_STORE_DELIVERED, "gamma\nferien");
  add_finished (store, 4, true, 8, PH_STORE_DECLINED, "gamma\nx");
  add_finished (store, 5, true, 7, PH_STORE_FAILED, "gamma\ny");

  /* 4 and 5 ended in the same second: the order is by id, and a page may end between them. */
  assert_history (store, "4 5 2 1 ", .limit = 0);
  assert_history (store, "4 5 ", .limit = 2);
  assert_history (store, "5 2 ", .limit = 2, .before_at = 102, .before_id = second);
  assert_history (store, "5 1 ", .peer = peer);
  assert_history (store, "2 1 ", .words = one);
  assert_history (store, "1 ", .words = both);
  assert_history (store, "2 ", .words = one, .limit = 1);
  assert_history (store, "", .missed_only = true);

  g_assert_true (ph_store_forget (store, second, NULL, NULL));
  assert_history (store, "5 2 1 ", .limit = 0);
  g_assert_false (ph_store_forget (store, second, NULL, &error));
  g_assert_error (error, PH_STORE_ERROR, PH_STORE_ERROR_MISSING);
  g_clear_error (&error);
  g_assert_false (ph_store_forget (store, open.id, NULL, &error));
  g_assert_error (error, PH_STORE_ERROR, PH_STORE_ERROR_MISSING);

  /* It was declined: that is what its sender hears if it asks again. */
  g_autoptr (PhStoreTransfer) declined = ph_store_get_transfer (store, second, NULL);

  g_assert_cmpint (declined->state, ==, PH_STORE_DECLINED);
  g_assert_cmpstr (declined->title, ==, "");
  g_assert_cmpstr (declined->peer_name, ==, "");

  g_assert_true (ph_store_forget (store, NULL, peer, NULL));
  assert_history (store, "2 ", .limit = 0);
  g_assert_true (ph_store_forget (store, NULL, NULL, NULL));
  assert_history (store, "", .limit = 0);

  g_autoptr (GPtrArray) left = ph_store_list_transfers (store, PH_STORE_ALL, 0, NULL);

  g_assert_cmpuint (left->len, ==, 1);
  g_assert_true (ph_store_expire (store, 100 + INT64_C (40) * 86400, NULL));
  g_assert_null (ph_store_get_transfer (store, second, NULL));
}

/* Whether `needle` is anywhere in the files of the profile. */
static bool
is_on_disk (const char *dir, const char *needle)
{
  g_autoptr (GDir) files = g_dir_open (dir, 0, NULL);

  for (const char *name; (name = g_dir_read_name (files)) != NULL;) {
    g_autofree char *path = g_build_filename (dir, name, NULL);
    g_autofree char *bytes = NULL;
    gsize len;

    if (g_file_get_contents (path, &bytes, &len, NULL)
        && memmem (bytes, len, needle, strlen (needle)) != NULL)
      return true;
  }
  return false;
}

static void
test_traceless (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autoptr (PhStore) store = open_ok (dir);
  g_autoptr (GBytes) manifest = g_bytes_new_static ("Secret manifest", 15);
  g_autoptr (GBytes) receipt = g_bytes_new_static ("receipt", 7);
  static const char *const roots[] = {"/home/x/Secret", NULL};
  static const PhStoreState states[] = {PH_STORE_DELIVERED, PH_STORE_CANCELLED, PH_STORE_FAILED};
  const uint8_t digests[2 * PH_STORE_SHA256_LEN] = {1};

  for (uint8_t n = 0; n < 2 * G_N_ELEMENTS (states); n++) {
    const bool incoming = n % 2 == 0;
    PhStoreTransfer row = transfer_row (n, incoming);
    g_autoptr (GPtrArray) names =
        g_ptr_array_new_with_free_func ((GDestroyNotify)ph_store_name_free);
    const PhStoreCheckpoint checkpoint = {.digests = digests, .n_digests = 2, .names = names};
    const PhStoreResult result = {.state = states[n / 2],
                                  .finished_at = 7,
                                  .receipt = incoming && n < 2 ? receipt : NULL,
                                  .message = "Secret.txt is gone",
                                  .traceless = true};

    g_ptr_array_add (names, ph_store_name_new (0, "Secret (2)"));
    row.title = row.words = row.peer_name = (char *)"Secret";
    row.destination = (char *)"/tmp/Secret";
    g_assert_true (ph_store_add_transfer (store, &row, manifest, incoming ? NULL : roots, NULL));
    g_assert_true (ph_store_put_checkpoint (store, row.id, &checkpoint, NULL));
    g_assert_true (is_on_disk (dir, "Secret"));
    g_assert_true (ph_store_finish_transfer (store, row.id, &result, NULL));
    g_assert_false (is_on_disk (dir, "Secret"));
  }
  assert_history (store, "", .limit = 0);

  static const uint8_t first[PH_STORE_TRANSFER_LEN] = {0}, cancelled[PH_STORE_TRANSFER_LEN] = {2};
  g_autoptr (GBytes) kept = ph_store_get_receipt (store, first, 7, NULL);
  g_autoptr (PhStoreTransfer) past = ph_store_get_transfer (store, cancelled, NULL);

  g_assert_true (g_bytes_equal (kept, receipt));
  g_assert_cmpint (past->state, ==, PH_STORE_CANCELLED);
}

static void
test_offers (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autoptr (PhStore) store = open_ok (dir);
  g_autoptr (GBytes) manifest = g_bytes_new_static ("manifest", 8);
  static const uint8_t peer[PH_STORE_KEY_LEN] = {9};
  PhStoreTransfer row = transfer_row (1, true);

  row.state = PH_STORE_OFFERED;
  g_assert_true (ph_store_add_transfer (store, &row, NULL, NULL, NULL));
  g_assert_null (ph_store_get_manifest (store, row.id, NULL));
  g_assert_true (ph_store_accept_offer (store, row.id, "/tmp", manifest, NULL));

  g_autoptr (GBytes) got = ph_store_get_manifest (store, row.id, NULL);
  g_autoptr (PhStoreTransfer) accepted = ph_store_get_transfer (store, row.id, NULL);

  g_assert_true (g_bytes_equal (got, manifest));
  g_assert_cmpint (accepted->state, ==, PH_STORE_ACTIVE);
  g_assert_cmpstr (accepted->destination, ==, "/tmp");
  g_assert_false (ph_store_accept_offer (store, row.id, "/tmp", manifest, NULL));

  for (uint8_t n = 10; n < 20; n++) {
    const PhStoreResult result = {.state = PH_STORE_CANCELLED, .finished_at = n, .missed = true};

    row = transfer_row (n, true);
    row.state = PH_STORE_OFFERED;
    g_assert_true (ph_store_add_transfer (store, &row, NULL, NULL, NULL));
    g_assert_true (ph_store_finish_transfer (store, row.id, &result, NULL));
  }
  g_assert_true (ph_store_trim_missed (store, peer, 3, NULL));
  assert_history (store, "19 18 17 ", .missed_only = true);
}

static void
test_checkpoints (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autoptr (PhStore) store = open_ok (dir);
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) manifest = g_bytes_new_static ("m", 1);
  const PhStoreTransfer in = transfer_row (2, true);
  uint8_t digests[3 * 32];
  PhStoreCheckpoint c = {.file = 3,
                         .offset = UINT64_C (1) << 40,
                         .part_inode = UINT64_MAX,
                         .disk = UINT64_MAX - 1,
                         .part_mtime_ns = -5,
                         .digests = digests,
                         .n_digests = 3};
  PhStoreCheckpoint got;
  bool found;

  memset (digests, 0xaa, sizeof digests);
  memset (c.sha_state, 0x55, sizeof c.sha_state);
  g_assert_false (ph_store_put_checkpoint (store, in.id, &c, &error));
  g_assert_error (error, PH_STORE_ERROR, PH_STORE_ERROR_MISSING);

  g_assert_true (ph_store_add_transfer (store, &in, manifest, NULL, NULL));
  g_assert_true (ph_store_get_checkpoint (store, in.id, &got, &found, NULL));
  g_assert_false (found);
  g_assert_true (ph_store_put_checkpoint (store, in.id, &c, NULL));
  c.file = 4;
  c.digests_first = 3;
  c.n_digests = 1;

  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func ((GDestroyNotify)ph_store_name_free);

  g_ptr_array_add (names, ph_store_name_new (7, "Ferien (1)"));
  c.names = names;
  g_assert_true (ph_store_put_checkpoint (store, in.id, &c, NULL));
  g_assert_true (ph_store_get_checkpoint (store, in.id, &got, &found, NULL));
  g_assert_true (found);
  g_assert_cmpuint (got.file, ==, 4);
  g_assert_cmpuint (got.offset, ==, c.offset);
  g_assert_cmpuint (got.part_inode, ==, UINT64_MAX);
  g_assert_cmpuint (got.disk, ==, UINT64_MAX - 1);
  g_assert_cmpint (got.part_mtime_ns, ==, -5);
  g_assert_cmpmem (got.sha_state, sizeof got.sha_state, c.sha_state, sizeof c.sha_state);

  g_autoptr (GBytes) all = ph_store_get_digests (store, in.id, NULL);
  g_autoptr (GPtrArray) got_names = ph_store_get_names (store, in.id, NULL);

  g_assert_cmpuint (g_bytes_get_size (all), ==, 4 * 32);
  g_assert_cmpuint (got_names->len, ==, 1);
  g_assert_cmpuint (((PhStoreName *)got_names->pdata[0])->entry, ==, 7);
  g_assert_cmpstr (((PhStoreName *)got_names->pdata[0])->name, ==, "Ferien (1)");

  /* Started over in the middle of what one checkpoint brought. */
  uint8_t other[32];

  memset (other, 0xbb, sizeof other);
  c.file = 3;
  c.digests_first = 2;
  c.digests = other;
  c.names = NULL;
  g_assert_true (ph_store_put_checkpoint (store, in.id, &c, NULL));

  g_autoptr (GBytes) mixed = ph_store_get_digests (store, in.id, NULL);
  const uint8_t *mixed_data = g_bytes_get_data (mixed, NULL);

  g_assert_cmpuint (g_bytes_get_size (mixed), ==, 3 * 32);
  g_assert_cmpmem (mixed_data, 64, digests, 64);
  g_assert_cmpmem (mixed_data + 64, 32, other, 32);
  c.digests = digests;

  /* Started over: what was there from that entry on goes. */
  c.file = 1;
  c.digests_first = 0;
  c.names = NULL;
  g_assert_true (ph_store_put_checkpoint (store, in.id, &c, NULL));

  g_autoptr (GBytes) fewer = ph_store_get_digests (store, in.id, NULL);

  g_assert_cmpuint (g_bytes_get_size (fewer), ==, 32);
}

/* --- Versions ------------------------------------------------------------------------------------ */

static void
test_migrations (void)
{
  for (int version = 1; version < ph_store_schema_version (); version++) {
    g_autofree char *dir = ph_test_tmpdir ();
    g_autofree char *relative = g_strdup_printf ("tests/data/store/v%d.sql", version);
    g_autofree char *path = ph_test_source_path (relative);
    g_autofree char *sql = NULL;

    g_test_message ("from version %d", version);
    g_assert_true (g_file_get_contents (path, &sql, NULL, NULL));
    exec_sql (dir, sql);

    g_autoptr (PhStore) store = open_ok (dir);
    g_autofree char *name = ph_store_get_setting (store, "name");
    g_autoptr (GPtrArray) contacts = ph_store_list_contacts (store, NULL);

    g_assert_cmpstr (name, ==, "fixture");
    g_assert_cmpuint (contacts->len, ==, 1);
    g_assert_cmpuint (g_strv_length (((PhStoreContact *)contacts->pdata[0])->rendezvous), ==, 1);
    if (version >= 2) {
      g_autoptr (GPtrArray) list = ph_store_list_transfers (store, PH_STORE_ALL, 0, NULL);

      g_assert_cmpuint (list->len, ==, 2);
      g_assert_true (((PhStoreTransfer *)list->pdata[0])->incoming);

      /* What ended before there were words to search is found by the names that are known. */
      static const char *const words[] = {"someone", "another", NULL};
      const PhStoreHistoryQuery query = {.words = words};
      g_autoptr (GPtrArray) found = ph_store_list_history (store, &query, NULL);

      g_assert_cmpuint (found->len, ==, 1);

      PhStoreCheckpoint c = {.file = 1};

      g_assert_true (
          ph_store_put_checkpoint (store, ((PhStoreTransfer *)list->pdata[0])->id, &c, NULL));
    }
    /* Opened again, it is up to date. */
    g_clear_pointer (&store, ph_store_close);
    store = open_ok (dir);
  }
}

static void
test_newer_is_refused (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autofree char *path = g_build_filename (dir, "porthole.db", NULL);
  g_autoptr (GError) error = NULL;
  g_autofree char *before = NULL;
  g_autofree char *after = NULL;
  gsize len_before, len_after;

  exec_sql (dir, "CREATE TABLE future (x); PRAGMA user_version = 1000;");
  g_assert_true (g_file_get_contents (path, &before, &len_before, NULL));
  g_assert_null (ph_store_open (dir, &error));
  g_assert_error (error, PH_STORE_ERROR, PH_STORE_ERROR_NEWER);
  g_assert_nonnull (strstr (error->message, "newer"));
  g_assert_true (g_file_get_contents (path, &after, &len_after, NULL));
  g_assert_cmpmem (before, len_before, after, len_after);
}

static void
test_not_a_database (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autofree char *path = g_build_filename (dir, "porthole.db", NULL);
  g_autofree char *file = g_build_filename (dir, "file", NULL);
  g_autofree char *below = g_build_filename (file, "profile", NULL);
  g_autofree char *junk = g_strnfill (8192, 'x');
  g_autoptr (GError) error = NULL;

  g_assert_true (g_file_set_contents (path, junk, -1, NULL));
  g_assert_null (ph_store_open (dir, &error));
  g_assert_error (error, PH_STORE_ERROR, PH_STORE_ERROR_CORRUPT);
  g_clear_error (&error);

  g_assert_true (g_file_set_contents (file, "", 0, NULL));
  g_assert_null (ph_store_open (below, &error));
  g_assert_error (error, PH_STORE_ERROR, PH_STORE_ERROR_UNWRITABLE);
}

/* --- Trouble ------------------------------------------------------------------------------------- */

/* A child adds transfers and checkpoints as fast as it can and reports each commit; killed at some
 * moment, everything that it reported is there, and nothing is there by half. */
static void
crash_child (const char *dir, int report)
{
  PhStore *store = ph_store_open (dir, NULL);
  g_autoptr (GBytes) manifest = g_bytes_new_take (g_malloc0 (20000), 20000);
  const uint8_t digest[32] = {0};

  for (uint8_t n = 1; n < 255; n++) {
    const PhStoreTransfer row = transfer_row (n, true);

    if (!ph_store_add_transfer (store, &row, manifest, NULL, NULL))
      _exit (1);
    for (uint32_t i = 1; i <= 5; i++) {
      const PhStoreCheckpoint c = {
          .file = i, .digests_first = i - 1, .digests = digest, .n_digests = 1};

      if (!ph_store_put_checkpoint (store, row.id, &c, NULL))
        _exit (1);
    }
    if (write (report, &n, 1) != 1)
      _exit (1);
  }
  pause ();
}

static void
test_kill (void)
{
  PhRandomSeeded state;
  const PhRandom random = ph_test_random (&state, "kill");

  for (int round = 0; round < 6; round++) {
    g_autofree char *dir = ph_test_tmpdir ();
    int fds[2];
    uint8_t last = 0;
    const uint8_t until = (uint8_t)(1 + ph_random_below (&random, 12));

    g_assert_cmpint (pipe (fds), ==, 0);

    const pid_t pid = fork ();

    g_assert_cmpint (pid, >=, 0);
    if (pid == 0) {
      close (fds[0]);
      crash_child (dir, fds[1]);
      _exit (0);
    }
    close (fds[1]);
    while (last < until)
      g_assert_cmpint (read (fds[0], &last, 1), ==, 1);
    g_assert_cmpint (kill (pid, SIGKILL), ==, 0);
    g_assert_cmpint (waitpid (pid, NULL, 0), ==, pid);
    while (read (fds[0], &last, 1) == 1)
      ;
    close (fds[0]);

    g_autoptr (PhStore) store = open_ok (dir);
    g_autoptr (GPtrArray) list = ph_store_list_transfers (store, PH_STORE_ALL, 0, NULL);

    g_assert_cmpuint (list->len, >=, last);
    for (guint i = 0; i < list->len; i++) {
      const PhStoreTransfer *t = list->pdata[i];
      g_autoptr (GBytes) manifest = ph_store_get_manifest (store, t->id, NULL);
      g_autoptr (GBytes) digests = ph_store_get_digests (store, t->id, NULL);
      PhStoreCheckpoint c = {0};
      bool found;

      g_assert_nonnull (manifest);
      g_assert_true (ph_store_get_checkpoint (store, t->id, &c, &found, NULL));
      g_assert_cmpuint (g_bytes_get_size (digests), ==, 32 * c.file);
      if (i < last)
        g_assert_cmpuint (c.file, ==, 5);
    }
  }
}

typedef struct {
  PhStore *store;
  uint8_t id[16];
} Worker;

static gpointer
checkpoint_worker (gpointer data)
{
  Worker *worker = data;

  for (uint32_t i = 1; i <= 100; i++) {
    const PhStoreCheckpoint c = {.file = i};
    PhStoreCheckpoint got = {0};
    bool found;

    g_assert_true (ph_store_put_checkpoint (worker->store, worker->id, &c, NULL));
    g_assert_true (ph_store_get_checkpoint (worker->store, worker->id, &got, &found, NULL));
    g_assert_true (found);
    g_assert_cmpuint (got.file, ==, i);
  }
  return NULL;
}

static void
test_two_threads (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autoptr (PhStore) store = open_ok (dir);
  g_autoptr (GBytes) manifest = g_bytes_new_static ("m", 1);
  Worker workers[2] = {{store, {1}}, {store, {2}}};
  GThread *threads[2];

  for (uint8_t i = 0; i < 2; i++) {
    const PhStoreTransfer row = transfer_row (i + 1, true);

    g_assert_true (ph_store_add_transfer (store, &row, manifest, NULL, NULL));
  }
  for (int i = 0; i < 2; i++)
    threads[i] = g_thread_new ("checkpoints", checkpoint_worker, &workers[i]);
  for (int i = 0; i < 50; i++)
    g_assert_true (ph_store_set_setting (store, "name", "x", NULL));
  for (int i = 0; i < 2; i++)
    g_thread_join (threads[i]);
}

/* --- A disk that says no ------------------------------------------------------------------------- */

static int failing_errno;

/* Stands before the C library's, for SQLite as well. */
ssize_t
pwrite (int fd, const void *bytes, size_t len, off_t offset)
{
  errno = failing_errno;
  return failing_errno != 0 ? -1 : syscall (SYS_pwrite64, fd, bytes, len, offset);
}

/* SQLite has a code for a full disk, and one for everything else that a write may say. */
static void
test_disk_says_no (void)
{
  static const struct {
    int errnum;
    PhStoreError code;
  } cases[] = {{ENOSPC, PH_STORE_ERROR_NO_SPACE},
               {EDQUOT, PH_STORE_ERROR_NO_SPACE},
               {EROFS, PH_STORE_ERROR_UNWRITABLE},
               {EIO, PH_STORE_ERROR_IO}};
  g_autofree char *dir = ph_test_tmpdir ();
  g_autoptr (PhStore) store = open_ok (dir);
  g_autofree char *value = NULL;

  g_assert_true (ph_store_set_setting (store, "name", "before", NULL));
  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;

    failing_errno = cases[i].errnum;
    g_assert_false (ph_store_set_setting (store, "name", "lost", &error));
    failing_errno = 0;
    g_assert_error (error, PH_STORE_ERROR, (int)cases[i].code);
  }
  value = ph_store_get_setting (store, "name");
  g_assert_cmpstr (value, ==, "before");
  g_assert_true (ph_store_set_setting (store, "name", "after", NULL));
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/store/modes", test_modes);
  g_test_add_func ("/store/settings", test_settings);
  g_test_add_func ("/store/contacts", test_contacts);
  g_test_add_func ("/store/invitations", test_invitations);
  g_test_add_func ("/store/transfers", test_transfers);
  g_test_add_func ("/store/history", test_history);
  g_test_add_func ("/store/traceless", test_traceless);
  g_test_add_func ("/store/offers", test_offers);
  g_test_add_func ("/store/checkpoints", test_checkpoints);
  g_test_add_func ("/store/migrations", test_migrations);
  g_test_add_func ("/store/newer-is-refused", test_newer_is_refused);
  g_test_add_func ("/store/not-a-database", test_not_a_database);
  g_test_add_func ("/store/kill", test_kill);
  g_test_add_func ("/store/two-threads", test_two_threads);
  g_test_add_func ("/store/disk-says-no", test_disk_says_no);
  return g_test_run ();
}
