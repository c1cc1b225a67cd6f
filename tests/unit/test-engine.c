/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whole engines, two in one process, on real sockets with a real porthole-rendezvous between them: what a
 * person does with the command line or the window, and what comes of it. */

#include "tests/unit/engine-world.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <glib/gstdio.h>

/* --- Tests -------------------------------------------------------------------------------------- */

static void
withdrawn_invitation_is_closed (Pair *pair, Node *third)
{
  uint32_t invite;

  g_clear_pointer (&pair->left->link, g_free);
  invite = ph_engine_invite (pair->left->engine, NULL);
  wait_until (pair->left->link != NULL);
  finish (pair->left, ph_engine_withdraw (pair->left->engine, invite));
  finish_badly (third, ph_engine_add (third->engine, pair->left->link, NULL),
                PH_ENGINE_ERROR_INVITATION_EXPIRED);
}

static void
test_invitation_makes_contacts (void)
{
  Pair *pair = pair_new ();
  Node *third = node_new ();
  const char *left_id = ph_engine_device_id (pair->left->engine);
  const char *right_id = ph_engine_device_id (pair->right->engine);
  g_autofree char *adopted = NULL;

  g_assert_cmpstr (seen_contact (pair->left, right_id)->name, ==, "Right");
  g_assert_cmpstr (seen_contact (pair->right, left_id)->name, ==, "My left");
  wait_until (seen_contact (pair->left, right_id)->online
              && seen_contact (pair->right, left_id)->online);

  adopted =
      g_strdup (finish (pair->right, ph_engine_get_setting (pair->right->engine, "rendezvous")));
  g_assert_cmpstr (adopted, ==, world_server_url);

  /* Once means one person: the same one may ask again, for an answer that got lost. */
  finish (pair->right, ph_engine_add (pair->right->engine, pair->left->link, NULL));
  ph_engine_connect (third->engine);
  finish_badly (third, ph_engine_add (third->engine, pair->left->link, NULL),
                PH_ENGINE_ERROR_INVITATION_USED);
  withdrawn_invitation_is_closed (pair, third);
  node_free (third);
  finish_badly (pair->left, ph_engine_add (pair->left->engine, pair->left->link, NULL),
                PH_ENGINE_ERROR_OWN_INVITATION);
  finish_badly (pair->right, ph_engine_add (pair->right->engine, "porthole:nonsense", NULL),
                PH_ENGINE_ERROR_BAD_INVITATION);
  pair_free (pair);
}

/* Whoever made a link has restarted since it was used: they answer at once, and know whose contact they are. */
static void
test_used_invitation_after_a_restart (void)
{
  Pair *pair = pair_new ();
  Node *third = node_new ();
  g_autofree char *left_id = g_strdup (ph_engine_device_id (pair->left->engine));

  node_close (pair->left);
  wait_until (!seen_contact (pair->right, left_id)->online);
  node_open (pair->left);
  ph_engine_connect (pair->left->engine);
  ph_engine_connect (third->engine);
  /* At the meeting point: to be seen nearby is not enough for an invitation. */
  wait_until (pair->left->status == PH_STATUS_ONLINE);
  for (int i = 0; i < 2; i++) {
    g_assert_cmpstr (
        finish (pair->right, ph_engine_add (pair->right->engine, pair->left->link, NULL)), ==,
        left_id);
    finish_badly (third, ph_engine_add (third->engine, pair->left->link, NULL),
                  PH_ENGINE_ERROR_INVITATION_USED);
  }
  node_free (third);
  pair_free (pair);
}

/* Two who meet for the first time and have no meeting point, or one that is not there. */
static void
meet_on_this_network (const char *rendezvous)
{
  Node *left = node_new ();
  Node *right = node_new ();
  Node *third = node_new ();
  uint32_t invite, add;

  finish (left, ph_engine_set_setting (left->engine, "rendezvous", rendezvous));
  ph_engine_connect (left->engine);
  ph_engine_connect (right->engine);
  ph_engine_connect (third->engine);
  /* As a person is called now, not as when the program started. */
  finish (left, ph_engine_set_setting (left->engine, "name", "Left"));
  finish (right, ph_engine_set_setting (right->engine, "name", "Right"));
  invite = ph_engine_invite (left->engine, NULL);
  wait_until (left->link != NULL);
  add = ph_engine_add (right->engine, left->link, NULL);
  g_assert_cmpstr (finish (left, invite), ==, ph_engine_device_id (right->engine));
  g_assert_cmpstr (finish (right, add), ==, ph_engine_device_id (left->engine));
  g_assert_cmpstr (seen_contact (left, ph_engine_device_id (right->engine))->name, ==, "Right");
  g_assert_cmpstr (seen_contact (right, ph_engine_device_id (left->engine))->name, ==, "Left");
  wait_until (seen_contact (left, ph_engine_device_id (right->engine))->online
              && seen_contact (right, ph_engine_device_id (left->engine))->online);
  finish_badly (third, ph_engine_add (third->engine, left->link, NULL),
                PH_ENGINE_ERROR_INVITATION_USED);
  node_free (left);
  node_free (right);
  node_free (third);
}

static void
test_meet_without_a_meeting_point (void)
{
  meet_on_this_network ("");
}

static void
test_meet_while_the_meeting_point_is_gone (void)
{
  meet_on_this_network ("ws://127.0.0.1:9/");
}

/* A link for this network whose maker is not there, or that we do not want to look for. */
static void
test_link_without_its_maker (void)
{
  Node *left = node_new ();
  Node *right = node_new ();
  uint32_t invite;

  ph_engine_connect (left->engine);
  ph_engine_connect (right->engine);
  invite = ph_engine_invite (left->engine, NULL);
  wait_until (left->link != NULL);
  finish (left, ph_engine_withdraw (left->engine, invite));
  finish_badly (right, ph_engine_add (right->engine, left->link, NULL), PH_ENGINE_ERROR_OFFLINE);
  finish (right, ph_engine_set_setting (right->engine, "nearby", "false"));
  finish_badly (right, ph_engine_add (right->engine, left->link, NULL),
                PH_ENGINE_ERROR_NO_RENDEZVOUS);
  node_free (left);
  node_free (right);
}

/* An invitation for this network that was made in an earlier run is open again as soon as the network may be
 * looked at, though it was not when the program started. */
static void
test_link_from_before_nearby (void)
{
  Node *left = node_new ();
  Node *right = node_new ();

  ph_engine_connect (left->engine);
  ph_engine_connect (right->engine);
  ph_engine_invite (left->engine, NULL);
  wait_until (left->link != NULL);
  finish (left, ph_engine_set_setting (left->engine, "nearby", "false"));
  node_close (left);
  node_open (left);
  ph_engine_connect (left->engine);
  finish (left, ph_engine_set_setting (left->engine, "nearby", "true"));
  finish (right, ph_engine_add (right->engine, left->link, NULL));
  wait_until (g_hash_table_size (left->contacts) == 1);
  node_free (left);
  node_free (right);
}

static void
test_file_is_delivered (void)
{
  Pair *pair = pair_new ();
  g_autofree char *file = write_file (pair->files, "a file.bin", 3000000);
  g_autofree char *id = send_and_wait_for_offer (pair, file);
  g_autofree char *arrived = g_build_filename (pair->downloads, "a file.bin", NULL);

  g_assert_cmpuint (count_entries (pair->downloads), ==, 0);
  finish (pair->right, ph_engine_accept (pair->right->engine, id, NULL));
  assert_delivered (pair, id);
  assert_same_file (file, arrived);
  g_assert_cmpuint (count_entries (pair->downloads), ==, 1);
  g_assert_cmpstr (seen (pair->left, id)->path, ==, "lan");
  g_assert_cmpint (seen (pair->left, id)->first_byte_ms, >=, 0);
  g_assert_cmpuint (seen (pair->left, id)->bytes_done, ==, 3000000);
  pair_free (pair);
}

static void
test_second_file_does_not_replace (void)
{
  Pair *pair = pair_new ();
  g_autofree char *file = write_file (pair->files, "same.txt", 1000);
  g_autofree char *second = g_build_filename (pair->downloads, "same (1).txt", NULL);

  for (int i = 0; i < 2; i++) {
    g_autofree char *id = send_and_wait_for_offer (pair, file);

    finish (pair->right, ph_engine_accept (pair->right->engine, id, NULL));
    assert_delivered (pair, id);
  }
  assert_same_file (file, second);
  pair_free (pair);
}

static void
test_folder_with_everything (void)
{
  Pair *pair = pair_new ();
  g_autofree char *top = g_build_filename (pair->files, "top", NULL);
  g_autofree char *empty = g_build_filename (top, "empty folder", NULL);
  g_autofree char *got = g_build_filename (pair->downloads, "top", NULL);
  g_autofree char *got_empty = g_build_filename (got, "empty folder", NULL);

  g_assert_cmpint (g_mkdir_with_parents (empty, 0700), ==, 0);
  for (unsigned i = 0; i < 300; i++) {
    g_autofree char *name = g_strdup_printf ("file %u ü.txt", i);

    g_free (write_file (top, name, i % 7 == 0 ? 0 : i * 11));
  }

  g_autofree char *id = send_and_wait_for_offer (pair, top);

  finish (pair->right, ph_engine_accept (pair->right->engine, id, NULL));
  assert_delivered (pair, id);
  g_assert_cmpuint (count_entries (got), ==, 301);
  g_assert_true (g_file_test (got_empty, G_FILE_TEST_IS_DIR));
  for (unsigned i = 0; i < 300; i++) {
    g_autofree char *name = g_strdup_printf ("file %u ü.txt", i);
    g_autofree char *a = g_build_filename (top, name, NULL);
    g_autofree char *b = g_build_filename (got, name, NULL);

    assert_same_file (a, b);
  }
  pair_free (pair);
}

static void
test_declined_touches_nothing (void)
{
  Pair *pair = pair_new ();
  g_autofree char *file = write_file (pair->files, "unwanted", 1000);
  g_autofree char *id = send_and_wait_for_offer (pair, file);

  finish (pair->right, ph_engine_decline (pair->right->engine, id));
  wait_until (has_ended (pair->left, id));
  g_assert_cmpint (seen (pair->left, id)->state, ==, PH_TRANSFER_DECLINED);
  g_assert_cmpstr (seen (pair->left, id)->code, ==, "declined");
  g_assert_cmpuint (count_entries (pair->downloads), ==, 0);
  pair_free (pair);
}

static void
test_cancel_cleans_up (void)
{
  for (int by_receiver = 0; by_receiver < 2; by_receiver++) {
    Pair *pair = pair_new ();
    g_autofree char *file = write_file (pair->files, "large", 8000000);
    g_autofree char *id = send_and_wait_for_offer (pair, file);
    Node *who = by_receiver ? pair->right : pair->left;

    finish_badly (pair->right, ph_engine_pause (pair->right->engine, id),
                  PH_ENGINE_ERROR_UNKNOWN_TRANSFER);
    finish (pair->left, ph_engine_pause (pair->left->engine, id));
    finish (pair->right, ph_engine_accept (pair->right->engine, id, NULL));
    wait_until (is_in (pair->right, id, PH_TRANSFER_PAUSED));
    finish (who, ph_engine_cancel (who->engine, id));
    wait_until (has_ended (pair->left, id) && has_ended (pair->right, id));
    g_assert_cmpint (seen (pair->left, id)->state, ==, PH_TRANSFER_CANCELLED);
    g_assert_cmpint (seen (pair->right, id)->state, ==, PH_TRANSFER_CANCELLED);
    g_assert_cmpuint (count_entries (pair->downloads), ==, 0);
    pair_free (pair);
  }
}

static void
test_pause_and_resume (void)
{
  Pair *pair = pair_new ();
  g_autofree char *file = write_file (pair->files, "large", 8000000);
  g_autofree char *arrived = g_build_filename (pair->downloads, "large", NULL);
  g_autofree char *id = send_and_wait_for_offer (pair, file);

  finish (pair->left, ph_engine_pause (pair->left->engine, id));
  finish (pair->right, ph_engine_accept (pair->right->engine, id, NULL));
  wait_until (is_in (pair->right, id, PH_TRANSFER_PAUSED));
  finish (pair->left, ph_engine_resume (pair->left->engine, id));
  assert_delivered (pair, id);
  assert_same_file (file, arrived);
  pair_free (pair);
}

/* A sender who pauses before there is an answer takes the question from nobody. */
static void
test_question_stays (void)
{
  Pair *pair = pair_new ();
  g_autofree char *file = write_file (pair->files, "large", 8000000);
  g_autofree char *next = write_file (pair->files, "next", 10);
  g_autofree char *id = send_and_wait_for_offer (pair, file);
  g_autofree char *later = NULL;

  finish (pair->left, ph_engine_pause (pair->left->engine, id));
  later = send_and_wait_for_offer (pair, next); /* what was said before has been heard */
  g_assert_true (is_in (pair->left, id, PH_TRANSFER_PAUSED));
  g_assert_true (is_in (pair->right, id, PH_TRANSFER_OFFERED));
  finish (pair->right, ph_engine_accept (pair->right->engine, id, NULL));
  wait_until (is_in (pair->right, id, PH_TRANSFER_PAUSED));
  finish (pair->left, ph_engine_resume (pair->left->engine, id));
  assert_delivered (pair, id);
  pair_free (pair);
}

/* Offered to somebody who is away, accepted when they are back, stopped on both sides in the middle: it
 * goes on by itself each time. */
static void
test_restarts (void)
{
  Pair *pair = pair_new ();
  g_autofree char *file = write_file (pair->files, "patient", 100000000);
  g_autofree char *arrived = g_build_filename (pair->downloads, "patient", NULL);
  g_autofree char *id = NULL;

  node_close (pair->right);
  {
    const char *const paths[] = {file, NULL};
    GHashTableIter iter;
    gpointer to;

    g_hash_table_iter_init (&iter, pair->left->contacts);
    g_assert_true (g_hash_table_iter_next (&iter, &to, NULL));
    id = g_strdup (finish (pair->left, ph_engine_send (pair->left->engine, to, paths)));
    wait_until (is_in (pair->left, id, PH_TRANSFER_WAITING)
                && strcmp (seen (pair->left, id)->code, "offline") == 0);
  }

  /* Paused in a profile that is only visited: it stays so, and is no less an offer for it. */
  node_close (pair->left);
  node_open (pair->left);
  wait_until (pair->left->loaded);
  finish (pair->left, ph_engine_pause (pair->left->engine, id));
  node_close (pair->left);
  node_open (pair->left);
  wait_until (pair->left->loaded);
  g_assert_true (is_in (pair->left, id, PH_TRANSFER_PAUSED));
  finish (pair->left, ph_engine_resume (pair->left->engine, id));
  ph_engine_connect (pair->left->engine);

  node_open (pair->right);
  ph_engine_connect (pair->right->engine);
  wait_until (is_in (pair->right, id, PH_TRANSFER_OFFERED));
  finish (pair->right, ph_engine_accept (pair->right->engine, id, NULL));
  wait_until (seen (pair->left, id)->bytes_done > 0);
  finish (pair->left, ph_engine_pause (pair->left->engine, id));
  wait_until (is_in (pair->right, id, PH_TRANSFER_PAUSED));

  node_close (pair->right);
  node_close (pair->left);
  node_open (pair->left);
  ph_engine_connect (pair->left->engine);
  node_open (pair->right);
  ph_engine_connect (pair->right->engine);
  wait_until (is_in (pair->left, id, PH_TRANSFER_PAUSED));
  g_assert_false (has_ended (pair->right, id));
  finish (pair->left, ph_engine_resume (pair->left->engine, id));
  assert_delivered (pair, id);
  g_assert_cmpuint (pair->left->least_active, >, 0);
  g_assert_cmpuint (pair->right->least_active, >, 0);
  assert_same_file (file, arrived);
  g_assert_cmpuint (count_entries (pair->downloads), ==, 1);
  pair_free (pair);
}

/* No room in mid-transfer: what has arrived stays, both people are told, and it goes on after room was made,
 * over a restart too. Writing past a file size limit stands for the full disk. */
static void
test_disk_full (void)
{
  for (int restart = 0; restart < 2; restart++) {
    const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
    const struct rlimit tight = {4000000, RLIM_INFINITY};
    Pair *pair = pair_new ();
    g_autofree char *file = write_file (pair->files, "large", 8000000);
    g_autofree char *arrived = g_build_filename (pair->downloads, "large", NULL);
    g_autofree char *id = send_and_wait_for_offer (pair, file);

    g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &tight), ==, 0);
    finish (pair->right, ph_engine_accept (pair->right->engine, id, NULL));
    wait_until (is_in (pair->right, id, PH_TRANSFER_PAUSED)
                && is_in (pair->left, id, PH_TRANSFER_PAUSED));
    g_assert_cmpstr (seen (pair->right, id)->code, ==, "no-space");
    g_assert_cmpstr (seen (pair->left, id)->code, ==, "no-space");
    g_assert_cmpuint (count_entries (pair->downloads), ==, 1); /* the parts */
    g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &none), ==, 0);
    if (restart) {
      node_close (pair->right);
      node_open (pair->right);
      ph_engine_connect (pair->right->engine);
    } else {
      finish (pair->right, ph_engine_resume (pair->right->engine, id));
    }
    assert_delivered (pair, id);
    assert_same_file (file, arrived);
    g_assert_cmpuint (count_entries (pair->downloads), ==, 1);
    pair_free (pair);
  }
}

static gint database_errno; /* atomic */
static const char *database_until; /* atomic: no more once this is there; or NULL */

/* Stands before the C library's, for SQLite: nothing else here writes with it. */
ssize_t
pwrite (int fd, const void *bytes, size_t len, off_t offset)
{
  const char *until = g_atomic_pointer_get (&database_until);

  errno = until != NULL && access (until, F_OK) == 0 ? EIO : g_atomic_int_get (&database_errno);
  return errno != 0 ? -1 : syscall (SYS_pwrite64, fd, bytes, len, offset);
}

/* The same with the profile, where what has arrived is noted: another disk, another person's trouble. */
static void
test_database_fails (void)
{
  static const struct {
    int errnum;
    const char *code, *code_there;
  } cases[] = {{EDQUOT, "no-space", "no-space"}, {EIO, "profile-unusable", "folder"}};

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    Pair *pair = pair_new ();
    g_autofree char *file = write_file (pair->files, "large", 8000000);
    g_autofree char *arrived = g_build_filename (pair->downloads, "large", NULL);
    g_autofree char *id = send_and_wait_for_offer (pair, file);

    finish (pair->right, ph_engine_accept (pair->right->engine, id, NULL));
    g_atomic_int_set (&database_errno, cases[i].errnum);
    wait_until (is_in (pair->right, id, PH_TRANSFER_PAUSED)
                && is_in (pair->left, id, PH_TRANSFER_PAUSED));
    g_assert_cmpstr (seen (pair->right, id)->code, ==, cases[i].code);
    g_assert_nonnull (strstr (seen (pair->right, id)->message, "database"));
    g_assert_cmpstr (seen (pair->left, id)->code, ==, cases[i].code_there);
    g_assert_cmpuint (count_entries (pair->downloads), ==, 1); /* the parts */
    g_atomic_int_set (&database_errno, 0);
    finish (pair->right, ph_engine_resume (pair->right->engine, id));
    assert_delivered (pair, id);
    assert_same_file (file, arrived);
    g_assert_cmpuint (count_entries (pair->downloads), ==, 1);
    pair_free (pair);
  }
}

/* The file had its place, that could not be noted any more, and somebody took it away before the transfer was
 * resumed: it comes again, rather than a receipt. */
static void
test_gone_before_receipt (void)
{
  Pair *pair = pair_new ();
  g_autofree char *file = write_file (pair->files, "large", 3000000);
  g_autofree char *arrived = g_build_filename (pair->downloads, "large", NULL);
  g_autofree char *id = send_and_wait_for_offer (pair, file);

  g_atomic_pointer_set (&database_until, arrived);
  finish (pair->right, ph_engine_accept (pair->right->engine, id, NULL));
  wait_until (is_in (pair->right, id, PH_TRANSFER_PAUSED)
              && is_in (pair->left, id, PH_TRANSFER_PAUSED));
  assert_same_file (file, arrived);
  g_assert_cmpint (unlink (arrived), ==, 0);
  g_atomic_pointer_set (&database_until, NULL);
  finish (pair->right, ph_engine_resume (pair->right->engine, id));
  assert_delivered (pair, id);
  assert_same_file (file, arrived);
  g_assert_cmpuint (count_entries (pair->downloads), ==, 1);
  pair_free (pair);
}

/* A transfer that is given up while it waits for room leaves nothing. */
static void
test_disk_full_and_cancelled (void)
{
  for (int by_receiver = 0; by_receiver < 2; by_receiver++) {
    const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
    const struct rlimit tight = {4000000, RLIM_INFINITY};
    Pair *pair = pair_new ();
    g_autofree char *file = write_file (pair->files, "large", 8000000);
    g_autofree char *id = send_and_wait_for_offer (pair, file);
    Node *who = by_receiver ? pair->right : pair->left;

    g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &tight), ==, 0);
    finish (pair->right, ph_engine_accept (pair->right->engine, id, NULL));
    wait_until (is_in (pair->right, id, PH_TRANSFER_PAUSED)
                && is_in (pair->left, id, PH_TRANSFER_PAUSED));
    g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &none), ==, 0);
    finish (who, ph_engine_cancel (who->engine, id));
    wait_until (is_in (pair->left, id, PH_TRANSFER_CANCELLED)
                && is_in (pair->right, id, PH_TRANSFER_CANCELLED));
    g_assert_cmpuint (count_entries (pair->downloads), ==, 0);
    pair_free (pair);
  }
}

static void
test_errors_say_what_to_do (void)
{
  Pair *pair = pair_new ();
  const char *to = ph_engine_device_id (pair->right->engine);
  const char *const missing[] = {"/nowhere/nothing", NULL};
  g_autofree char *file = write_file (pair->files, "f", 10);
  const char *const paths[] = {file, NULL};
  g_autofree char *id = NULL;
  Node *lonely = node_new ();

  finish_badly (pair->left, ph_engine_send (pair->left->engine, "nobody", paths),
                PH_ENGINE_ERROR_UNKNOWN_CONTACT);
  finish_badly (pair->left, ph_engine_send (pair->left->engine, to, missing),
                PH_ENGINE_ERROR_FILES);
  finish_badly (pair->left, ph_engine_get_setting (pair->left->engine, "colour"),
                PH_ENGINE_ERROR_UNKNOWN_SETTING);
  finish_badly (pair->left, ph_engine_set_setting (pair->left->engine, "rendezvous", "http://x/"),
                PH_ENGINE_ERROR_BAD_VALUE);
  finish_badly (pair->left, ph_engine_set_setting (pair->left->engine, "stun", "a.example:99999"),
                PH_ENGINE_ERROR_BAD_VALUE);
  finish (pair->left, ph_engine_set_setting (pair->left->engine, "stun",
                                             "stun:127.0.0.1:9, 127.0.0.1, [::1]:9"));
  finish (pair->left, ph_engine_set_setting (pair->left->engine, "stun", ""));
  finish_badly (pair->left, ph_engine_set_setting (pair->left->engine, "turn", "stun:a.example"),
                PH_ENGINE_ERROR_BAD_VALUE);
  finish_badly (
      pair->left,
      ph_engine_set_setting (pair->left->engine, "turn", "turn:me:secret@a.example?transport=sctp"),
      PH_ENGINE_ERROR_BAD_VALUE);
  finish (pair->left,
          ph_engine_set_setting (pair->left->engine, "turn",
                                 "turn:me:secret@a.example:3478?transport=tcp, turns:a:b@[::1], "
                                 "turn:a:b@1.2.3.4"));
  finish (pair->left, ph_engine_set_setting (pair->left->engine, "turn", ""));
  finish_badly (pair->left, ph_engine_cancel (pair->left->engine, "0000"),
                PH_ENGINE_ERROR_UNKNOWN_TRANSFER);

  id = send_and_wait_for_offer (pair, file);
  finish_badly (pair->right, ph_engine_accept (pair->right->engine, id, "/nowhere/at/all"),
                PH_ENGINE_ERROR_FOLDER);
  g_assert_cmpint (seen (pair->right, id)->state, ==, PH_TRANSFER_OFFERED);
  finish (pair->right, ph_engine_decline (pair->right->engine, id));
  wait_until (is_in (pair->left, id, PH_TRANSFER_DECLINED));
  g_assert_cmpstr (seen (pair->left, id)->code, ==, "folder");

  finish (lonely, ph_engine_set_setting (lonely->engine, "nearby", "false"));
  ph_engine_connect (lonely->engine);
  finish_badly (lonely, ph_engine_invite (lonely->engine, NULL), PH_ENGINE_ERROR_NO_RENDEZVOUS);
  node_free (lonely);
  pair_free (pair);
}

static void
test_profile_has_one_owner (void)
{
  Node *node = node_new ();
  g_autoptr (GError) error = NULL;

  g_assert_null (ph_engine_new (node->dir, node_hear, node, &error));
  g_assert_error (error, PH_ENGINE_ERROR, PH_ENGINE_ERROR_PROFILE_IN_USE);
  node_free (node);
}

static void
test_key_is_private_and_kept (void)
{
  Node *node = node_new ();
  g_autofree char *id = g_strdup (ph_engine_device_id (node->engine));
  g_autofree char *key = g_build_filename (node->dir, "identity.key", NULL);
  g_autoptr (GError) error = NULL;
  GStatBuf st;

  g_assert_cmpint (g_stat (key, &st), ==, 0);
  g_assert_cmpuint (st.st_mode & 0777, ==, 0600);
  node_close (node);
  node_open (node);
  g_assert_cmpstr (ph_engine_device_id (node->engine), ==, id);
  node_close (node);

  g_assert_cmpint (g_chmod (key, 0640), ==, 0);
  g_assert_null (ph_engine_new (node->dir, node_hear, node, &error));
  g_assert_error (error, PH_ENGINE_ERROR, PH_ENGINE_ERROR_PROFILE_UNUSABLE);
  g_clear_error (&error);

  g_assert_cmpint (g_chmod (key, 0600), ==, 0);
  g_assert_true (g_file_set_contents_full (key, "porthole-ed25519-seed:00\n", -1,
                                           G_FILE_SET_CONTENTS_NONE, 0600, NULL));
  g_assert_null (ph_engine_new (node->dir, node_hear, node, &error));
  g_assert_error (error, PH_ENGINE_ERROR, PH_ENGINE_ERROR_PROFILE_UNUSABLE);
  node_free (node);
}

static void
test_blocked_and_removed (void)
{
  Pair *pair = pair_new ();
  const char *left_id = ph_engine_device_id (pair->left->engine);
  g_autofree char *file = write_file (pair->files, "f", 10);
  g_autofree char *id = send_and_wait_for_offer (pair, file);

  finish (pair->right, ph_engine_block (pair->right->engine, left_id, true));
  wait_until (has_ended (pair->right, id));
  wait_until (!seen_contact (pair->left, ph_engine_device_id (pair->right->engine))->online);
  finish (pair->right, ph_engine_block (pair->right->engine, left_id, false));
  wait_until (seen_contact (pair->left, ph_engine_device_id (pair->right->engine))->online);
  finish (pair->right, ph_engine_remove (pair->right->engine, left_id));
  g_assert_false (g_hash_table_contains (pair->right->contacts, left_id));
  pair_free (pair);
}

/* In mid-transfer, by either side: it is cancelled on both, and the disk is as before. */
static void
test_removed_in_mid_transfer (void)
{
  for (int i = 0; i < 4; i++) {
    const bool by_receiver = i % 2 == 0, block = i / 2 == 0;
    Pair *pair = pair_new ();
    g_autofree char *file = write_file (pair->files, "large", 1000000);
    g_autofree char *id = send_and_wait_for_offer (pair, file);
    Node *who = by_receiver ? pair->right : pair->left;
    Node *other = by_receiver ? pair->left : pair->right;
    const char *whom = ph_engine_device_id (other->engine);

    finish (pair->left, ph_engine_pause (pair->left->engine, id)); /* files are fast */
    finish (pair->right, ph_engine_accept (pair->right->engine, id, NULL));
    wait_until (is_in (pair->right, id, PH_TRANSFER_PAUSED));
    finish (who, block ? ph_engine_block (who->engine, whom, true)
                       : ph_engine_remove (who->engine, whom));
    wait_until (has_ended (who, id));
    finish_badly (who, ph_engine_cancel (who->engine, id), PH_ENGINE_ERROR_UNKNOWN_TRANSFER);
    wait_until (is_in (other, id, PH_TRANSFER_CANCELLED));
    g_assert_cmpuint (count_entries (pair->downloads), ==, 0);
    pair_free (pair);
  }
}

/* Nobody knows whether the other one is there: that is said, not that they are away. */
static void
test_meeting_point_gone (void)
{
  char *shared_url = world_server_url;
  GSubprocess *own = world_start_server (&world_server_url);
  Pair *pair = pair_new ();
  g_autofree char *file = write_file (pair->files, "f", 10);
  g_autofree char *id = NULL;

  world_stop_server (own);
  wait_until (pair->left->status == PH_STATUS_OFFLINE);
  node_close (pair->right);
  node_close (pair->left);
  node_open (pair->left);
  wait_until (pair->left->loaded);
  ph_engine_connect (pair->left->engine);
  {
    const char *const paths[] = {file, NULL};
    GHashTableIter iter;
    gpointer to;

    g_hash_table_iter_init (&iter, pair->left->contacts);
    g_assert_true (g_hash_table_iter_next (&iter, &to, NULL));
    id = g_strdup (finish (pair->left, ph_engine_send (pair->left->engine, to, paths)));
  }
  wait_until (is_in (pair->left, id, PH_TRANSFER_WAITING)
              && strcmp (seen (pair->left, id)->code, "offline") == 0);
  g_test_message ("%s", seen (pair->left, id)->message);
  g_assert_nonnull (strstr (seen (pair->left, id)->message, world_server_url));
  g_assert_nonnull (strstr (seen (pair->left, id)->message, "Trying again in "));
  pair_free (pair);
  g_free (world_server_url);
  world_server_url = shared_url;
}

int
main (int argc, char **argv)
{
  int result;

  ph_test_init (&argc, &argv);
  g_test_add_func ("/engine/profile-has-one-owner", test_profile_has_one_owner);
  g_test_add_func ("/engine/key-is-private-and-kept", test_key_is_private_and_kept);
  g_test_add_func ("/engine/invitation-makes-contacts", test_invitation_makes_contacts);
  g_test_add_func ("/engine/used-invitation-after-a-restart", test_used_invitation_after_a_restart);
  g_test_add_func ("/engine/meet-without-a-meeting-point", test_meet_without_a_meeting_point);
  g_test_add_func ("/engine/meet-while-the-meeting-point-is-gone",
                   test_meet_while_the_meeting_point_is_gone);
  g_test_add_func ("/engine/link-without-its-maker", test_link_without_its_maker);
  g_test_add_func ("/engine/link-from-before-nearby", test_link_from_before_nearby);
  g_test_add_func ("/engine/file-is-delivered", test_file_is_delivered);
  g_test_add_func ("/engine/second-file-does-not-replace", test_second_file_does_not_replace);
  g_test_add_func ("/engine/folder-with-everything", test_folder_with_everything);
  g_test_add_func ("/engine/declined-touches-nothing", test_declined_touches_nothing);
  g_test_add_func ("/engine/cancel-cleans-up", test_cancel_cleans_up);
  g_test_add_func ("/engine/pause-and-resume", test_pause_and_resume);
  g_test_add_func ("/engine/question-stays", test_question_stays);
  g_test_add_func ("/engine/restarts", test_restarts);
  g_test_add_func ("/engine/meeting-point-gone", test_meeting_point_gone);
  g_test_add_func ("/engine/disk-full", test_disk_full);
  g_test_add_func ("/engine/database-fails", test_database_fails);
  g_test_add_func ("/engine/gone-before-receipt", test_gone_before_receipt);
  g_test_add_func ("/engine/disk-full-and-cancelled", test_disk_full_and_cancelled);
  g_test_add_func ("/engine/errors-say-what-to-do", test_errors_say_what_to_do);
  g_test_add_func ("/engine/blocked-and-removed", test_blocked_and_removed);
  g_test_add_func ("/engine/removed-in-mid-transfer", test_removed_in_mid_transfer);
  world_start ();
  result = g_test_run ();
  world_stop ();
  return result;
}
