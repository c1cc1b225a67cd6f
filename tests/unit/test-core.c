/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the engine keeps in memory and on disk of what contacts offer, looked at from inside. */

#include "app/engine/ph-core-transfer.h"
#include "app/engine/ph-engine.h"
#include "app/store/ph-store-private.h"
#include "tests/support/ph-test.h"

#include <glib/gstdio.h>
#include <string.h>

typedef struct {
  PhProfile *profile;
  PhCore *core;
  unsigned told;
  PhTransferState last_state;
  char last_code[32];
  uint32_t last_retry_ms;
} World;

static void
on_event (const PhEvent *event, gpointer user_data)
{
  World *w = user_data;

  if (event->type != PH_EVENT_TRANSFER)
    return;
  w->told++;
  w->last_state = event->transfer.state;
  w->last_retry_ms = event->transfer.retry_ms;
  g_strlcpy (w->last_code, event->transfer.code, sizeof w->last_code);
}

static void
world_open (World *w, const char *dir)
{
  g_autoptr (GError) error = NULL;

  w->profile = ph_profile_open (dir, &error);
  g_assert_no_error (error);
  w->core = ph_core_new (w->profile, on_event, w);
}

static void
world_close (World *w)
{
  g_clear_pointer (&w->core, ph_core_free);
  g_clear_pointer (&w->profile, ph_profile_free);
}

static PhManifest *
small_manifest (void)
{
  PhManifestBuilder *builder = ph_manifest_builder_new ();

  g_assert_true (ph_manifest_builder_add (builder, PH_ENTRY_FILE, "f", 7, 0));
  return ph_manifest_builder_end (builder);
}

static PhTransfer *
add_transfer (World *w, uint32_t n)
{
  g_autoptr (PhManifest) manifest = small_manifest ();
  PhTransferId id = {0};

  memcpy (id.bytes, &n, sizeof n);
  return ph_transfer_new (w->core, NULL, &id, false, manifest);
}

/* A contact that offers and cancels all day costs no more than a few rows without their manifests. */
static void
test_ended_are_let_go (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  World w = {0};
  PhTransfer *alive, *last = NULL;
  unsigned told;

  world_open (&w, dir);
  told = w.told;
  alive = add_transfer (&w, 0);
  for (uint32_t i = 1; i <= 4 * PH_CORE_ENDED_MAX; i++) {
    last = add_transfer (&w, i);
    ph_transfer_end (last, 1000 * PH_SEC, PH_TRANSFER_CANCELLED, "cancelled", NULL);
    g_assert_null (last->manifest);
    ph_core_transfers_tell (w.core, 1000 * PH_SEC);
  }
  g_assert_cmpuint (w.told, ==, told + 4 * PH_CORE_ENDED_MAX);
  g_assert_cmpuint (w.core->transfers->len, ==, PH_CORE_ENDED_MAX + 1);
  g_assert_true (ph_core_find_transfer (w.core, &alive->id) == alive);
  g_assert_nonnull (alive->manifest);
  g_assert_true (ph_core_find_transfer (w.core, &last->id) == last);
  world_close (&w);
}

/* The name comes from the other person: several may have none, and each contact needs its own. */
static void
test_contacts_without_names (void)
{
  static const struct {
    const char *wish, *name;
  } cases[] = {
      {"", "Unnamed"},  {NULL, "Unnamed 2"}, {"  ", "Unnamed 3"},
      {" Ada ", "Ada"}, {"Ada ", "Ada 2"},
  };
  g_autofree char *dir = ph_test_tmpdir ();
  PhRendezvousAddress address;
  World w = {0};

  g_assert_cmpint (ph_rendezvous_address_parse ("ws://127.0.0.1:1", &address), ==,
                   PH_RENDEZVOUS_ADDRESS_OK);
  world_open (&w, dir);
  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    PhIdentity identity;
    PhPeer *peer;

    ph_identity_generate (&identity, &w.core->random);
    peer = ph_core_add_peer (w.core, &identity.id, cases[i].wish, &address, &error);
    g_assert_no_error (error);
    g_assert_cmpstr (peer->contact->name, ==, cases[i].name);
  }
  world_close (&w);
}

/* threats.md 12: of an offer that is declined only a line of the history is ever written, also if the program
 * ends, or the disk is full, before that is complete. */
static void
test_declined_leaves_no_manifest (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autoptr (PhStoreTransfer) now = NULL;
  g_autoptr (PhManifest) manifest = small_manifest ();
  g_autoptr (GError) error = NULL;
  const PhTransferId id = {{1, 2, 3}};
  PhRendezvousAddress address;
  PhIdentity identity;
  World w = {0};
  PhPeer *peer;

  world_open (&w, dir);
  ph_rendezvous_address_parse ("ws://127.0.0.1:1", &address);
  ph_identity_generate (&identity, &w.core->random);
  peer = ph_core_add_peer (w.core, &identity.id, "Ada", &address, &error);
  g_assert_no_error (error);
  g_assert_cmpint (sqlite3_exec (w.profile->store->db,
                                 "CREATE TEMP TRIGGER none BEFORE INSERT ON main.manifests"
                                 " BEGIN SELECT RAISE (ABORT, 'a manifest'); END",
                                 NULL, NULL, NULL),
                   ==, SQLITE_OK);
  ph_transfer_end (ph_transfer_new (w.core, peer, &id, false, manifest), PH_SEC,
                   PH_TRANSFER_DECLINED, "declined", NULL);
  world_close (&w);

  world_open (&w, dir);
  g_assert_cmpuint (w.core->transfers->len, ==, 0);
  now = ph_store_get_transfer (w.profile->store, id.bytes, &error);
  g_assert_no_error (error);
  g_assert_cmpint (now->state, ==, PH_STORE_DECLINED);
  world_close (&w);
}

/* The files were in their places, and the disk was too full to write that down; the receipt was out. */
static void
test_placed_is_received (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autoptr (PhStoreTransfer) now = NULL;
  g_autoptr (PhManifest) manifest = small_manifest ();
  g_autoptr (GBytes) encoded = ph_manifest_encode (manifest);
  g_autoptr (GBytes) receipt = NULL;
  g_autoptr (GError) error = NULL;
  const PhStoreTransfer row = {
      .id = {1, 2, 3},
      .peer = {4, 5, 6},
      .incoming = true,
      .state = PH_STORE_ACTIVE,
      .destination = dir,
      .created_at = 1,
  };
  const PhStoreCheckpoint checkpoint = {.stage = PH_STORE_PLACED, .file = 1};
  /* That it was removed is not synced: a power cut may bring it back. */
  g_autofree char *part =
      g_build_filename (dir, ".porthole-01020300000000000000000000000000.part", NULL);
  World w = {0};

  world_open (&w, dir);
  ph_store_add_transfer (w.profile->store, &row, encoded, NULL, &error);
  g_assert_no_error (error);
  ph_store_put_checkpoint (w.profile->store, row.id, &checkpoint, &error);
  g_assert_no_error (error);
  world_close (&w);
  g_assert_cmpint (g_mkdir (part, 0700), ==, 0);

  world_open (&w, dir);
  g_assert_false (g_file_test (part, G_FILE_TEST_EXISTS));
  now = ph_store_get_transfer (w.profile->store, row.id, &error);
  g_assert_no_error (error);
  g_assert_cmpint (now->state, ==, PH_STORE_DELIVERED);
  receipt = ph_store_get_receipt (w.profile->store, row.id, ph_core_unix_now (), &error);
  g_assert_no_error (error);
  g_assert_cmpmem (g_bytes_get_data (receipt, NULL), g_bytes_get_size (receipt),
                   ph_manifest_digest (manifest), PH_SHA256_LEN);
  world_close (&w);
}

/* As root of a user namespace, `./run cli` for one, a person still has a name. */
static void
test_own_name (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autofree char *name = NULL;
  World w = {0};

  g_setenv ("USER", "ada", TRUE);
  world_open (&w, dir);
  name = ph_core_setting (w.core, "name");
  if (strcmp (g_get_real_name (), "root") == 0)
    g_assert_cmpstr (name, ==, "ada");
  g_assert_cmpstr (name, !=, "root");
  world_close (&w);
}

/* The database takes nothing, its disk is full for one: then nothing has happened, in memory either. */
static void
test_contacts_as_stored (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autoptr (GError) error = NULL;
  PhRendezvousAddress address;
  PhIdentity identity;
  PhPeer *peer;
  World w = {0};

  world_open (&w, dir);
  ph_rendezvous_address_parse ("ws://127.0.0.1:1", &address);
  ph_identity_generate (&identity, &w.core->random);
  peer = ph_core_add_peer (w.core, &identity.id, "Ada", &address, &error);
  g_assert_no_error (error);

  const PhCommand rename = {.number = 1, .subject = peer->text, .text = (char *)"Eve"};
  const PhCommand block = {.number = 2, .subject = peer->text, .flag = true};
  const PhCommand unblock = {.number = 3, .subject = peer->text};

  g_assert_cmpint (sqlite3_exec (w.profile->store->db, "PRAGMA query_only = 1", NULL, NULL, NULL),
                   ==, SQLITE_OK);
  ph_core_rename_peer (w.core, &rename);
  g_assert_cmpstr (peer->contact->name, ==, "Ada");
  ph_core_block_peer (w.core, &block);
  g_assert_false (peer->contact->blocked);

  sqlite3_exec (w.profile->store->db, "PRAGMA query_only = 0", NULL, NULL, NULL);
  ph_core_rename_peer (w.core, &rename);
  g_assert_cmpstr (peer->contact->name, ==, "Eve");
  ph_core_block_peer (w.core, &block);
  g_assert_true (peer->contact->blocked);

  sqlite3_exec (w.profile->store->db, "PRAGMA query_only = 1", NULL, NULL, NULL);
  ph_core_block_peer (w.core, &unblock);
  g_assert_true (peer->contact->blocked);
  g_assert_null (ph_core_add_peer (w.core, &identity.id, "Ada", &address, &error));
  g_assert_nonnull (error);
  g_assert_true (peer->contact->blocked);
  world_close (&w);
}

static PhPeer *
add_peer (World *w)
{
  g_autoptr (GError) error = NULL;
  PhRendezvousAddress address;
  PhIdentity identity;
  PhPeer *peer;

  ph_rendezvous_address_parse ("ws://127.0.0.1:1", &address);
  ph_identity_generate (&identity, &w->core->random);
  peer = ph_core_add_peer (w->core, &identity.id, "Ada", &address, &error);
  g_assert_no_error (error);
  return peer;
}

static PhStoreState
stored (const World *w, const PhTransferId *id)
{
  g_autoptr (PhStoreTransfer) row = ph_store_get_transfer (w->profile->store, id->bytes, NULL);

  return row != NULL ? row->state : PH_STORE_QUEUED;
}

/* What was asked before the program ended is still there to be answered, or is told as missed. */
static void
test_offer_waits_over_restart (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autoptr (PhManifest) manifest = small_manifest ();
  const PhTransferId quick = {{1}}, patient = {{2}}, left = {{3}};
  PhTransfer *transfer;
  World w = {0};
  PhPeer *peer;

  world_open (&w, dir);
  peer = add_peer (&w);
  transfer = ph_transfer_new (w.core, peer, &quick, false, manifest);
  ph_transfer_news (transfer, PH_TRANSFER_OFFERED);
  ph_core_offers_handle_timeout (w.core, ph_core_now (w.core));
  g_assert_cmpint (stored (&w, &quick), ==, PH_STORE_QUEUED);
  ph_transfer_end (transfer, 1000 * PH_SEC, PH_TRANSFER_DECLINED, "declined", NULL);
  g_assert_cmpint (stored (&w, &quick), ==, PH_STORE_DECLINED);

  transfer = ph_transfer_new (w.core, peer, &patient, false, manifest);
  ph_transfer_news (transfer, PH_TRANSFER_OFFERED);
  ph_core_offers_handle_timeout (w.core, ph_time_add (ph_core_now (w.core), 3 * PH_SEC));
  g_assert_cmpint (stored (&w, &patient), ==, PH_STORE_OFFERED);
  transfer = ph_transfer_new (w.core, peer, &left, false, manifest);
  ph_transfer_news (transfer, PH_TRANSFER_OFFERED);
  world_close (&w);

  world_open (&w, dir);
  g_assert_cmpuint (w.core->transfers->len, ==, 2);
  transfer = ph_core_find_transfer (w.core, &left);
  g_assert_nonnull (transfer);
  g_assert_cmpint (transfer->state, ==, PH_TRANSFER_WAITING);
  g_assert_cmpstr (transfer->top_names->pdata[0], ==, "f");
  peer = w.core->peers->pdata[0];
  g_assert_false (ph_core_offer_again (w.core, transfer, NULL, manifest));
  g_assert_true (ph_core_offer_again (w.core, transfer, peer, manifest));
  transfer->in_session = true;

  /* The other one is not offered any more. */
  ph_peer_connect (peer);
  ph_core_offers_synced (w.core, ph_core_now (w.core), peer);
  g_assert_cmpint (transfer->state, ==, PH_TRANSFER_WAITING);
  transfer = ph_core_find_transfer (w.core, &patient);
  g_assert_cmpint (transfer->state, ==, PH_TRANSFER_CANCELLED);
  g_assert_true (transfer->missed);
  world_close (&w);
}

/* Nobody comes: that is told in the end, and not before. */
static void
test_queue_expires (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autoptr (PhManifest) manifest = small_manifest ();
  const PhTransferId id = {{1}};
  const PhTime now = PH_SEC;
  PhTransfer *transfer;
  World w = {0};

  world_open (&w, dir);
  transfer = ph_transfer_new (w.core, add_peer (&w), &id, true, manifest);
  ph_transfer_news (transfer, PH_TRANSFER_WAITING);
  g_assert_true (ph_transfer_store (transfer, PH_STORE_QUEUED, NULL));
  g_assert_cmpint (ph_transfer_expires (transfer), ==, transfer->created_unix + 14 * 86400);
  transfer->created_unix -= 14 * 86400 - 100;
  ph_core_offers_handle_timeout (w.core, now);
  g_assert_cmpint (transfer->state, ==, PH_TRANSFER_WAITING);
  transfer->created_unix -= 100;
  ph_core_offers_handle_timeout (w.core, now);
  g_assert_cmpint (transfer->state, ==, PH_TRANSFER_FAILED);
  g_assert_cmpstr (transfer->code, ==, "expired");
  g_assert_cmpint (stored (&w, &id), ==, PH_STORE_FAILED);
  world_close (&w);
}

/* What is in the way is news each time it is tried, and none once a path is there. */
static void
test_trouble_is_told (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autoptr (PhManifest) manifest = small_manifest ();
  g_autoptr (GError) error = NULL;
  PhRendezvousAddress address;
  const PhTransferId id = {{1}};
  PhIdentity identity;
  PhTransfer *transfer;
  PhPeer *peer;
  World w = {0};

  world_open (&w, dir);
  ph_rendezvous_address_parse ("ws://127.0.0.1:1", &address);
  ph_identity_generate (&identity, &w.core->random);
  peer = ph_core_add_peer (w.core, &identity.id, "Ada", &address, &error);
  g_assert_no_error (error);
  transfer = ph_transfer_new (w.core, peer, &id, true, manifest);
  ph_transfer_news (transfer, PH_TRANSFER_CONNECTING);
  for (unsigned i = 0; i < 3; i++) {
    const PhTime retry_at = (1001 + i) * PH_SEC;

    w.told = 0;
    ph_core_transfers_trouble (w.core, peer, PH_ENGINE_ERROR_UNREACHABLE, "no path", retry_at);
    ph_core_transfers_trouble (w.core, peer, PH_ENGINE_ERROR_UNREACHABLE, "no path", retry_at);
    ph_core_transfers_tell (w.core, 1000 * PH_SEC);
    g_assert_cmpuint (w.told, ==, 1);
    g_assert_cmpint (w.last_state, ==, PH_TRANSFER_WAITING);
    g_assert_cmpstr (w.last_code, ==, "unreachable");
    g_assert_cmpuint (w.last_retry_ms, ==, (1 + i) * 1000);
  }
  ph_core_transfers_connecting (w.core, peer);
  ph_core_transfers_tell (w.core, 1000 * PH_SEC);
  g_assert_cmpint (w.last_state, ==, PH_TRANSFER_CONNECTING);
  g_assert_cmpstr (w.last_code, ==, "");
  g_assert_cmpuint (w.last_retry_ms, ==, 0);
  world_close (&w);
}

/* A deadline that was slept through: the network is another one until it has been looked at. */
static void
test_sleep_is_noticed (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  static const PhTime late[] = {PH_CORE_SLEPT_MIN / 2, PH_CORE_SLEPT_MIN};
  const PhCommand connect = {.type = PH_COMMAND_CONNECT};
  World w = {0};

  world_open (&w, dir);
  ph_core_run (w.core, &connect);
  for (size_t i = 0; i < G_N_ELEMENTS (late); i++) {
    const PhTime now = ph_core_now (w.core);

    w.core->nat_verdict.type = PH_NAT_OPEN;
    w.core->armed = now - late[i];
    ph_core_settle (w.core);
    g_assert_cmpint (w.core->nat_verdict.type, ==,
                     late[i] < PH_CORE_SLEPT_MIN ? PH_NAT_OPEN : PH_NAT_TYPE_UNKNOWN);
  }
  world_close (&w);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/core/ended-are-let-go", test_ended_are_let_go);
  g_test_add_func ("/core/contacts-without-names", test_contacts_without_names);
  g_test_add_func ("/core/declined-leaves-no-manifest", test_declined_leaves_no_manifest);
  g_test_add_func ("/core/placed-is-received", test_placed_is_received);
  g_test_add_func ("/core/own-name", test_own_name);
  g_test_add_func ("/core/contacts-as-stored", test_contacts_as_stored);
  g_test_add_func ("/core/offer-waits-over-restart", test_offer_waits_over_restart);
  g_test_add_func ("/core/queue-expires", test_queue_expires);
  g_test_add_func ("/core/sleep-is-noticed", test_sleep_is_noticed);
  g_test_add_func ("/core/trouble-is-told", test_trouble_is_told);
  return g_test_run ();
}
