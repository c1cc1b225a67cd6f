/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The window's side of an engine, and another person's engine: invitations that outlive the dialog, somebody who
 * is removed and added again, and a history that follows. */

#include "app/model/ph-history.h"
#include "app/model/ph-invite.h"
#include "tests/unit/engine-world.h"

typedef struct {
  char *profile;
  PhClient *client;
  PhHistory *history;
  Node *other;
} Fixture;

static void
open_client (Fixture *f)
{
  g_autoptr (GError) error = NULL;

  f->client = ph_client_new (f->profile, &error);
  g_assert_no_error (error);
  ph_client_set_setting_async (f->client, "rendezvous", world_server_url, NULL, NULL);
  ph_client_connect (f->client);
  wait_until (ph_client_get_loaded (f->client)
              && *ph_client_get_setting (f->client, "rendezvous") != '\0');
}

static void
close_client (Fixture *f)
{
  g_clear_object (&f->history);
  ph_client_close (f->client);
  while (g_main_context_iteration (NULL, FALSE))
    continue;
  g_clear_object (&f->client);
}

static void
set_up (Fixture *f, gconstpointer unused)
{
  f->profile = ph_test_tmpdir ();
  f->other = node_new ();
  ph_engine_connect (f->other->engine);
  open_client (f);
}

static void
tear_down (Fixture *f, gconstpointer unused)
{
  close_client (f);
  node_free (f->other);
  g_free (f->profile);
}

static char *
invite (Fixture *f, bool fresh)
{
  PhInvite *invite = ph_invite_of (f->client);

  ph_invite_enter (invite);
  ph_invite_begin (invite, fresh);
  wait_until (ph_invite_get_state (invite) == PH_INVITE_WAITING);
  return g_strdup (ph_invite_get_link (invite));
}

/* The dialog was open, shown, and closed. */
static void
become_contacts (Fixture *f)
{
  PhInvite *invitation = ph_invite_of (f->client);
  g_autofree char *link = invite (f, false);

  ph_invite_leave (invitation);
  g_assert_cmpint (ph_invite_get_state (invitation), ==, PH_INVITE_WAITING);
  finish (f->other, ph_engine_add (f->other->engine, link, NULL));
  wait_until (ph_invite_get_state (invitation) == PH_INVITE_USED);
}

static void
test_invitation_outlives_dialog (Fixture *f, gconstpointer unused)
{
  PhInvite *invitation;
  g_autofree char *first = NULL, *again = NULL, *other = NULL;

  first = invite (f, false);
  close_client (f);
  open_client (f);
  invitation = ph_invite_of (f->client);

  /* After a restart it is there to be seen, and to be withdrawn. */
  again = invite (f, false);
  g_assert_cmpstr (again, ==, first);
  ph_invite_withdraw (invitation);
  g_assert_cmpint (ph_invite_get_state (invitation), ==, PH_INVITE_WITHDRAWN);
  finish_badly (f->other, ph_engine_add (f->other->engine, first, NULL),
                PH_ENGINE_ERROR_INVITATION_EXPIRED);
  other = invite (f, true);
  g_assert_cmpstr (other, !=, first);
}

static void
test_other_invitations (Fixture *f, gconstpointer unused)
{
  PhInvite *invitation;
  g_autofree char *first = NULL, *second = NULL, *shown = NULL;
  g_autoptr (GListModel) others = NULL;
  g_autoptr (PhOpenInvite) other = NULL;
  const char *other_link;

  /* Nobody waited for them: each window was closed. */
  first = invite (f, true);
  close_client (f);
  open_client (f);
  second = invite (f, true);
  close_client (f);
  open_client (f);

  invitation = ph_invite_of (f->client);
  shown = invite (f, false);
  /* Those of the same second are in no order. */
  other_link = g_str_equal (shown, first) ? second : first;
  g_object_get (invitation, "others", &others, NULL);
  wait_until (g_list_model_get_n_items (others) == 1);
  other = g_list_model_get_item (others, 0);
  g_assert_cmpstr (ph_open_invite_get_link (other), ==, other_link);

  ph_invite_withdraw_other (invitation, other);
  wait_until (g_list_model_get_n_items (others) == 0);
  finish_badly (f->other, ph_engine_add (f->other->engine, other_link, NULL),
                PH_ENGINE_ERROR_INVITATION_EXPIRED);
  finish (f->other, ph_engine_add (f->other->engine, shown, NULL));
  wait_until (ph_invite_get_state (invitation) == PH_INVITE_USED);
}

/* Nothing was shown yet: nobody can have it. */
static void
test_unseen_invitation_is_withdrawn (Fixture *f, gconstpointer unused)
{
  PhInvite *invitation = ph_invite_of (f->client);

  ph_invite_begin (invitation, false);
  g_assert_cmpint (ph_invite_get_state (invitation), ==, PH_INVITE_PREPARING);
  ph_invite_leave (invitation);
  g_assert_cmpint (ph_invite_get_state (invitation), ==, PH_INVITE_WITHDRAWN);
}

static void
test_added_again_while_removed (Fixture *f, gconstpointer unused)
{
  GListModel *contacts = ph_client_get_contacts (f->client);
  g_autoptr (PhContactItem) contact = NULL;

  become_contacts (f);
  contact = g_list_model_get_item (contacts, 0);
  ph_client_set_contact_hidden (f->client, contact, true);
  g_assert_cmpuint (g_list_model_get_n_items (contacts), ==, 0);
  g_assert_true (ph_client_get_contact_hidden (f->client, contact));
  become_contacts (f);
  g_assert_cmpuint (g_list_model_get_n_items (contacts), ==, 1);
  g_assert_false (ph_client_get_contact_hidden (f->client, contact));

  /* Coming and going is not being added. */
  ph_client_set_contact_hidden (f->client, contact, true);
  wait_until (ph_contact_item_online (contact));
  node_close (f->other);
  wait_until (!ph_contact_item_online (contact));
  g_assert_true (ph_client_get_contact_hidden (f->client, contact));
}

/* Sends a file to the other one, who declines it. */
static void
end_one (Fixture *f, const char *path)
{
  const char *const paths[] = {path, NULL};
  GListModel *transfers = ph_client_get_transfers (f->client);
  const guint before = g_list_model_get_n_items (transfers);
  g_autoptr (PhTransferItem) item = NULL;

  ph_client_send_async (f->client, ph_engine_device_id (f->other->engine), paths, NULL, NULL);
  wait_until (g_list_model_get_n_items (transfers) > before);
  item = g_list_model_get_item (transfers, 0);
  wait_until (is_in (f->other, ph_transfer_item_id (item), PH_TRANSFER_OFFERED));
  finish (f->other, ph_engine_decline (f->other->engine, ph_transfer_item_id (item)));
  wait_until (ph_transfer_state_ended (ph_transfer_item_view (item)->state));
}

static void
count_changes (GListModel *model, guint position, guint removed, guint added, guint *changes)
{
  *changes += removed + added;
}

static void
test_history_follows (Fixture *f, gconstpointer unused)
{
  g_autofree char *folder = ph_test_tmpdir ();
  g_autofree char *path = write_file (folder, "note", 10);
  g_autoptr (PhTransferItem) newest = NULL, oldest = NULL, still = NULL;
  GListModel *items;
  guint changes = 0, position;

  become_contacts (f);
  end_one (f, path);
  f->history = ph_history_new (f->client, NULL);
  items = ph_history_get_items (f->history);
  wait_until (g_list_model_get_n_items (items) == 1);
  oldest = g_list_model_get_item (items, 0);
  g_signal_connect (items, "items-changed", G_CALLBACK (count_changes), &changes);

  /* What ends comes in, and what is forgotten goes: one row each. */
  end_one (f, path);
  wait_until (g_list_model_get_n_items (items) == 2);
  g_assert_cmpuint (changes, ==, 1);
  /* Two that end within a second stand in any order. */
  g_assert_true (g_list_store_find (G_LIST_STORE (items), oldest, &position));
  newest = g_list_model_get_item (items, 1 - position);
  ph_client_forget_async (f->client, ph_transfer_item_id (oldest), NULL, NULL, NULL);
  wait_until (g_list_model_get_n_items (items) == 1);
  g_assert_cmpuint (changes, ==, 2);
  still = g_list_model_get_item (items, 0);
  g_assert_true (still == newest);
  ph_client_forget_async (f->client, NULL, NULL, NULL, NULL);
  wait_until (g_list_model_get_n_items (items) == 0);
}

int
main (int argc, char **argv)
{
  int result;

  ph_test_init (&argc, &argv);
  g_test_add ("/client/invitation-outlives-dialog", Fixture, NULL, set_up,
              test_invitation_outlives_dialog, tear_down);
  g_test_add ("/client/other-invitations", Fixture, NULL, set_up, test_other_invitations,
              tear_down);
  g_test_add ("/client/unseen-invitation-is-withdrawn", Fixture, NULL, set_up,
              test_unseen_invitation_is_withdrawn, tear_down);
  g_test_add ("/client/added-again-while-removed", Fixture, NULL, set_up,
              test_added_again_while_removed, tear_down);
  g_test_add ("/client/history-follows", Fixture, NULL, set_up, test_history_follows, tear_down);
  world_start ();
  result = g_test_run ();
  world_stop ();
  return result;
}
