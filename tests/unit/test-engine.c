/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whole engines, two in one process, on real sockets with a real porthole-rendezvous between them: what a
 * person does with the command line or the window, and what comes of it. */

#include "app/engine/ph-engine.h"
#include "tests/support/ph-test.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>

/* Far above what anything here takes, sanitizers included; reaching it is a failure. */
#define PATIENCE_S 60

typedef struct {
  char *id, *contact, *code, *message, *path, *folder;
  PhDirection direction;
  PhTransferState state;
  uint64_t bytes_done, bytes_total;
  int first_byte_ms;
} Seen;

typedef struct {
  char *dir;
  PhEngine *engine;
  GHashTable *transfers; /* id -> Seen */
  GHashTable *contacts; /* id -> name */
  GHashTable *online; /* ids */
  GHashTable *done; /* command -> GError or NULL */
  GHashTable *texts; /* command -> text */
  char *link;
  PhStatus status;
  bool loaded;
} Node;

static GSubprocess *server;
static char *server_url;

static void
seen_free (gpointer data)
{
  Seen *seen = data;

  g_free (seen->id);
  g_free (seen->contact);
  g_free (seen->code);
  g_free (seen->message);
  g_free (seen->path);
  g_free (seen->folder);
  g_free (seen);
}

static void
error_free (gpointer data)
{
  if (data != NULL)
    g_error_free (data);
}

static void
on_event (const PhEvent *event, gpointer user_data)
{
  Node *node = user_data;
  Seen *seen;

  switch (event->type) {
  case PH_EVENT_LOADED:
    node->loaded = true;
    break;
  case PH_EVENT_STATUS:
    node->status = event->status.status;
    break;
  case PH_EVENT_CONTACT:
    g_hash_table_replace (node->contacts, g_strdup (event->contact.id),
                          g_strdup (event->contact.name));
    if (event->contact.online)
      g_hash_table_add (node->online, g_strdup (event->contact.id));
    else
      g_hash_table_remove (node->online, event->contact.id);
    break;
  case PH_EVENT_CONTACT_REMOVED:
    g_hash_table_remove (node->contacts, event->contact.id);
    break;
  case PH_EVENT_TRANSFER:
    seen = g_new0 (Seen, 1);
    seen->id = g_strdup (event->transfer.id);
    seen->contact = g_strdup (event->transfer.contact);
    seen->code = g_strdup (event->transfer.code);
    seen->message = g_strdup (event->transfer.message);
    seen->path = g_strdup (event->transfer.path);
    seen->folder = g_strdup (event->transfer.folder);
    seen->direction = event->transfer.direction;
    seen->state = event->transfer.state;
    seen->bytes_done = event->transfer.bytes_done;
    seen->bytes_total = event->transfer.bytes_total;
    seen->first_byte_ms = event->transfer.first_byte_ms;
    g_hash_table_replace (node->transfers, g_strdup (seen->id), seen);
    break;
  case PH_EVENT_INVITATION:
    g_free (node->link);
    node->link = g_strdup (event->text);
    break;
  case PH_EVENT_EXPLAIN:
    if (g_getenv ("PH_TRACE") != NULL)
      g_printerr ("%s %s\n", node->dir + strlen (node->dir) - 3, event->text);
    break;
  case PH_EVENT_DONE:
    g_hash_table_replace (node->done, GUINT_TO_POINTER (event->command),
                          event->error != NULL ? g_error_copy (event->error) : NULL);
    g_hash_table_replace (node->texts, GUINT_TO_POINTER (event->command), g_strdup (event->text));
    break;
  default:
    break;
  }
}

static void
node_open (Node *node)
{
  g_autoptr (GError) error = NULL;

  node->loaded = false;
  node->engine = ph_engine_new (node->dir, on_event, node, &error);
  g_assert_no_error (error);
  ph_engine_set_explain (node->engine, g_getenv ("PH_TRACE") != NULL);
}

static Node *
node_new (void)
{
  Node *node = g_new0 (Node, 1);

  node->dir = ph_test_tmpdir ();
  node->transfers = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, seen_free);
  node->contacts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  node->online = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  node->done = g_hash_table_new_full (NULL, NULL, NULL, error_free);
  node->texts = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  node_open (node);
  return node;
}

static void
node_close (Node *node)
{
  g_clear_pointer (&node->engine, ph_engine_free);
  g_hash_table_remove_all (node->done);
  g_hash_table_remove_all (node->texts);
  g_hash_table_remove_all (node->online);
}

static void
node_free (Node *node)
{
  node_close (node);
  g_hash_table_unref (node->transfers);
  g_hash_table_unref (node->contacts);
  g_hash_table_unref (node->online);
  g_hash_table_unref (node->done);
  g_hash_table_unref (node->texts);
  g_free (node->link);
  g_free (node->dir);
  g_free (node);
}

static gboolean
ring (gpointer user_data)
{
  *(bool *)user_data = true;
  return G_SOURCE_REMOVE;
}

/* Runs the main loop until `condition` holds. */
#define wait_until(condition)                                                                      \
  G_STMT_START                                                                                     \
  {                                                                                                \
    bool late = false;                                                                             \
    const guint alarm = g_timeout_add_seconds (PATIENCE_S, ring, &late);                           \
                                                                                                   \
    while (!(condition) && !late)                                                                  \
      g_main_context_iteration (NULL, TRUE);                                                       \
    if (late)                                                                                      \
      g_error ("%s:%d: waited in vain for: %s", __FILE__, __LINE__, #condition);                   \
    g_source_remove (alarm);                                                                       \
  }                                                                                                \
  G_STMT_END

static bool
is_done (const Node *node, uint32_t command)
{
  return g_hash_table_contains (node->done, GUINT_TO_POINTER (command));
}

/* Waits for the end of a command and returns its text; it must have gone well. */
static const char *
finish (Node *node, uint32_t command)
{
  const GError *error;

  wait_until (is_done (node, command));
  error = g_hash_table_lookup (node->done, GUINT_TO_POINTER (command));
  g_assert_no_error (error);
  return g_hash_table_lookup (node->texts, GUINT_TO_POINTER (command));
}

static void
finish_badly (Node *node, uint32_t command, PhEngineError code)
{
  const GError *error;

  wait_until (is_done (node, command));
  error = g_hash_table_lookup (node->done, GUINT_TO_POINTER (command));
  g_assert_error (error, PH_ENGINE_ERROR, (int)code);
  g_assert_cmpuint (strlen (error->message), >, 10);
}

/* What was told of a transfer; "preparing" of one that nothing was told of. */
static const Seen *
seen (const Node *node, const char *id)
{
  static const Seen nothing = {
      .code = (char *)"", .path = (char *)"", .state = PH_TRANSFER_PREPARING};
  const Seen *found = id != NULL ? g_hash_table_lookup (node->transfers, id) : NULL;

  return found != NULL ? found : &nothing;
}

static bool
is_in (const Node *node, const char *id, PhTransferState state)
{
  return seen (node, id)->state == state;
}

static bool
has_ended (const Node *node, const char *id)
{
  return ph_transfer_state_ended (seen (node, id)->state);
}

static char *
write_file (const char *dir, const char *name, size_t len)
{
  char *path = g_build_filename (dir, name, NULL);
  g_autofree uint8_t *bytes = g_malloc (len + 1);
  PhRandomSeeded seed;
  PhRandom random = ph_test_random (&seed, name);

  ph_random_bytes (&random, bytes, len);
  g_assert_true (g_file_set_contents (path, (char *)bytes, (gssize)len, NULL));
  return path;
}

static void
assert_same_file (const char *a, const char *b)
{
  g_autofree char *a_bytes = NULL;
  g_autofree char *b_bytes = NULL;
  gsize a_len, b_len;

  g_assert_true (g_file_get_contents (a, &a_bytes, &a_len, NULL));
  g_assert_true (g_file_get_contents (b, &b_bytes, &b_len, NULL));
  g_assert_cmpuint (a_len, ==, b_len);
  g_assert_true (memcmp (a_bytes, b_bytes, a_len) == 0);
}

static unsigned
count_entries (const char *dir)
{
  g_autoptr (GDir) d = g_dir_open (dir, 0, NULL);
  unsigned n = 0;

  while (g_dir_read_name (d) != NULL)
    n++;
  return n;
}

/* --- The world ---------------------------------------------------------------------------------- */

/* Loopback addresses are no candidates: give this namespace an address. */
static void
make_interface (void)
{
  int status = -1;

  g_assert_true (g_spawn_command_line_sync (
      "sh -c 'ip link add ph-test type veth peer name ph-peer && ip addr add 10.77.0.1/24 dev ph-test"
      " && ip link set ph-test up && ip link set ph-peer up && ip link set lo up'",
      NULL, NULL, &status, NULL));
  g_assert_cmpint (status, ==, 0);
}

static GSubprocess *
start_server (char **ret_url)
{
  g_autofree char *program =
      g_build_filename (g_getenv ("TOP_BUILDDIR"), "net/rendezvous/porthole-rendezvous", NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (GDataInputStream) out = NULL;
  GSubprocess *process;

  process = g_subprocess_new (G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_SILENCE,
                              &error, program, "--listen", "127.0.0.1:0", NULL);
  g_assert_no_error (error);
  out = g_data_input_stream_new (g_subprocess_get_stdout_pipe (process));
  g_filter_input_stream_set_close_base_stream (G_FILTER_INPUT_STREAM (out), FALSE);
  *ret_url = g_data_input_stream_read_line (out, NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_nonnull (*ret_url);
  return process;
}

static void
stop_server (GSubprocess *process)
{
  g_subprocess_send_signal (process, SIGTERM);
  g_subprocess_wait (process, NULL, NULL);
  g_object_unref (process);
}

/* --- Two people who know each other ------------------------------------------------------------- */

typedef struct {
  Node *left, *right;
  char *downloads, *files;
} Pair;

static void
become_contacts (Pair *pair)
{
  uint32_t invite, add;

  finish (pair->left, ph_engine_set_setting (pair->left->engine, "rendezvous", server_url));
  finish (pair->left, ph_engine_set_setting (pair->left->engine, "name", "Left"));
  finish (pair->right, ph_engine_set_setting (pair->right->engine, "name", "Right"));
  ph_engine_connect (pair->left->engine);
  ph_engine_connect (pair->right->engine);
  invite = ph_engine_invite (pair->left->engine, NULL);
  wait_until (pair->left->link != NULL);
  add = ph_engine_add (pair->right->engine, pair->left->link, "My left");
  g_assert_cmpstr (finish (pair->left, invite), ==, ph_engine_device_id (pair->right->engine));
  g_assert_cmpstr (finish (pair->right, add), ==, ph_engine_device_id (pair->left->engine));
}

static Pair *
pair_new (void)
{
  Pair *pair = g_new0 (Pair, 1);

  pair->left = node_new ();
  pair->right = node_new ();
  pair->downloads = ph_test_tmpdir ();
  pair->files = ph_test_tmpdir ();
  become_contacts (pair);
  finish (pair->right,
          ph_engine_set_setting (pair->right->engine, "download-dir", pair->downloads));
  return pair;
}

static void
pair_free (Pair *pair)
{
  node_free (pair->left);
  node_free (pair->right);
  g_free (pair->downloads);
  g_free (pair->files);
  g_free (pair);
}

static char *
send_one (Pair *pair, const char *path)
{
  const char *const paths[] = {path, NULL};
  const char *to = ph_engine_device_id (pair->right->engine);

  return g_strdup (finish (pair->left, ph_engine_send (pair->left->engine, to, paths)));
}

static char *
send_and_wait_for_offer (Pair *pair, const char *path)
{
  char *id = send_one (pair, path);

  wait_until (is_in (pair->right, id, PH_TRANSFER_OFFERED));
  return id;
}

static void
assert_delivered (Pair *pair, const char *id)
{
  wait_until (has_ended (pair->left, id) && has_ended (pair->right, id));
  g_assert_cmpstr (seen (pair->left, id)->code, ==, "");
  g_assert_cmpint (seen (pair->left, id)->state, ==, PH_TRANSFER_DONE);
  g_assert_cmpint (seen (pair->right, id)->state, ==, PH_TRANSFER_DONE);
}

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

  g_assert_cmpstr (g_hash_table_lookup (pair->left->contacts, right_id), ==, "Right");
  g_assert_cmpstr (g_hash_table_lookup (pair->right->contacts, left_id), ==, "My left");
  wait_until (g_hash_table_contains (pair->left->online, right_id)
              && g_hash_table_contains (pair->right->online, left_id));

  adopted =
      g_strdup (finish (pair->right, ph_engine_get_setting (pair->right->engine, "rendezvous")));
  g_assert_cmpstr (adopted, ==, server_url);

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

  /* A profile that is only visited has nothing to pause yet, and does not pretend. */
  node_close (pair->left);
  node_open (pair->left);
  wait_until (pair->left->loaded);
  finish_badly (pair->left, ph_engine_pause (pair->left->engine, id),
                PH_ENGINE_ERROR_UNKNOWN_TRANSFER);
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
  assert_same_file (file, arrived);
  g_assert_cmpuint (count_entries (pair->downloads), ==, 1);
  pair_free (pair);
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
  finish_badly (pair->left, ph_engine_cancel (pair->left->engine, "0000"),
                PH_ENGINE_ERROR_UNKNOWN_TRANSFER);

  id = send_and_wait_for_offer (pair, file);
  finish_badly (pair->right, ph_engine_accept (pair->right->engine, id, "/nowhere/at/all"),
                PH_ENGINE_ERROR_FOLDER);
  g_assert_cmpint (seen (pair->right, id)->state, ==, PH_TRANSFER_OFFERED);
  finish (pair->right, ph_engine_decline (pair->right->engine, id));
  wait_until (is_in (pair->left, id, PH_TRANSFER_DECLINED));
  g_assert_cmpstr (seen (pair->left, id)->code, ==, "folder");

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

  g_assert_null (ph_engine_new (node->dir, on_event, node, &error));
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
  g_assert_null (ph_engine_new (node->dir, on_event, node, &error));
  g_assert_error (error, PH_ENGINE_ERROR, PH_ENGINE_ERROR_PROFILE_UNUSABLE);
  g_clear_error (&error);

  g_assert_cmpint (g_chmod (key, 0600), ==, 0);
  g_assert_true (g_file_set_contents_full (key, "porthole-ed25519-seed:00\n", -1,
                                           G_FILE_SET_CONTENTS_NONE, 0600, NULL));
  g_assert_null (ph_engine_new (node->dir, on_event, node, &error));
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
  wait_until (
      !g_hash_table_contains (pair->left->online, ph_engine_device_id (pair->right->engine)));
  finish (pair->right, ph_engine_block (pair->right->engine, left_id, false));
  wait_until (
      g_hash_table_contains (pair->left->online, ph_engine_device_id (pair->right->engine)));
  finish (pair->right, ph_engine_remove (pair->right->engine, left_id));
  g_assert_false (g_hash_table_contains (pair->right->contacts, left_id));
  pair_free (pair);
}

/* In mid-transfer, by either side. The other one is told nothing: to it, the contact is not there. Both can
 * end their part, and the disk is as before. */
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
    finish (other, ph_engine_cancel (other->engine, id));
    wait_until (has_ended (other, id));
    g_assert_cmpuint (count_entries (pair->downloads), ==, 0);
    pair_free (pair);
  }
}

/* Nobody knows whether the other one is there: that is said, not that they are away. */
static void
test_meeting_point_gone (void)
{
  char *shared_url = server_url;
  GSubprocess *own = start_server (&server_url);
  Pair *pair = pair_new ();
  g_autofree char *file = write_file (pair->files, "f", 10);
  g_autofree char *id = NULL;

  stop_server (own);
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
  g_assert_nonnull (strstr (seen (pair->left, id)->message, server_url));
  g_assert_nonnull (strstr (seen (pair->left, id)->message, "Trying again in "));
  pair_free (pair);
  g_free (server_url);
  server_url = shared_url;
}

int
main (int argc, char **argv)
{
  int result;

  ph_test_init (&argc, &argv);
  g_test_add_func ("/engine/profile-has-one-owner", test_profile_has_one_owner);
  g_test_add_func ("/engine/key-is-private-and-kept", test_key_is_private_and_kept);
  g_test_add_func ("/engine/invitation-makes-contacts", test_invitation_makes_contacts);
  g_test_add_func ("/engine/file-is-delivered", test_file_is_delivered);
  g_test_add_func ("/engine/second-file-does-not-replace", test_second_file_does_not_replace);
  g_test_add_func ("/engine/folder-with-everything", test_folder_with_everything);
  g_test_add_func ("/engine/declined-touches-nothing", test_declined_touches_nothing);
  g_test_add_func ("/engine/cancel-cleans-up", test_cancel_cleans_up);
  g_test_add_func ("/engine/pause-and-resume", test_pause_and_resume);
  g_test_add_func ("/engine/restarts", test_restarts);
  g_test_add_func ("/engine/meeting-point-gone", test_meeting_point_gone);
  g_test_add_func ("/engine/errors-say-what-to-do", test_errors_say_what_to_do);
  g_test_add_func ("/engine/blocked-and-removed", test_blocked_and_removed);
  g_test_add_func ("/engine/removed-in-mid-transfer", test_removed_in_mid_transfer);
  make_interface ();
  server = start_server (&server_url);
  result = g_test_run ();
  stop_server (server);
  g_free (server_url);
  return result;
}
