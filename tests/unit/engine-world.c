/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "tests/unit/engine-world.h"

#include <signal.h>

static GSubprocess *server;
char *world_server_url;

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

static Seen *
seen_new (const PhTransferView *view)
{
  Seen *seen = g_new0 (Seen, 1);

  seen->id = g_strdup (view->id);
  seen->contact = g_strdup (view->contact);
  seen->code = g_strdup (view->code);
  seen->message = g_strdup (view->message);
  seen->path = g_strdup (view->path);
  seen->folder = g_strdup (view->folder);
  seen->direction = view->direction;
  seen->state = view->state;
  seen->bytes_done = view->bytes_done;
  seen->bytes_total = view->bytes_total;
  seen->first_byte_ms = view->first_byte_ms;
  seen->missed = view->missed;
  seen->can_send_again = view->can_send_again;
  seen->expires_at = view->expires_at;
  return seen;
}

static SeenContact *
contact_new (const PhContactView *view)
{
  SeenContact *contact = g_new0 (SeenContact, 1);

  contact->name = g_strdup (view->name);
  contact->online = view->online;
  contact->blocked = view->blocked;
  contact->auto_accept = view->auto_accept;
  contact->auto_accept_max = view->auto_accept_max;
  contact->verified = view->verified;
  contact->alert = view->alert;
  contact->last_seen = view->last_seen;
  return contact;
}

static void
contact_free (gpointer data)
{
  SeenContact *contact = data;

  g_free (contact->name);
  g_free (contact);
}

static void
note_file (Node *node, const PhFileView *file)
{
  static const char *const states[] = {"waiting", "partial", "done"};

  g_ptr_array_add (node->files, g_strdup_printf ("%u %s %" G_GUINT64_FORMAT " %s %s", file->index,
                                                 file->path, file->size, file->sha256,
                                                 file->folder ? "folder" : states[file->state]));
}

static void
error_free (gpointer data)
{
  if (data != NULL)
    g_error_free (data);
}

void
node_hear (const PhEvent *event, gpointer user_data)
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
                          contact_new (&event->contact));
    break;
  case PH_EVENT_CONTACT_REMOVED:
    g_hash_table_remove (node->contacts, event->contact.id);
    break;
  case PH_EVENT_TRANSFER:
    seen = seen_new (&event->transfer);
    g_hash_table_replace (node->transfers, g_strdup (seen->id), seen);
    if (seen->state == PH_TRANSFER_ACTIVE)
      node->least_active = MIN (node->least_active, seen->bytes_done);
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
  case PH_EVENT_SETTING:
    g_hash_table_replace (
        node->settings, g_strdup (event->setting.key),
        g_strdup_printf ("%s%s", event->setting.is_set ? "" : "unset ", event->setting.value));
    break;
  case PH_EVENT_NETWORK:
    g_free (node->network);
    node->network = g_strdup (event->text);
    break;
  case PH_EVENT_HISTORY:
    g_ptr_array_add (node->history, seen_new (&event->transfer));
    break;
  case PH_EVENT_FORGOTTEN:
    g_free (node->forgotten);
    node->forgotten = g_strdup_printf ("%s %s", event->transfer.id, event->contact.id);
    break;
  case PH_EVENT_FILE:
    note_file (node, &event->file);
    break;
  case PH_EVENT_ALERT:
  case PH_EVENT_GONE:
    break;
  }
}

void
node_open (Node *node)
{
  g_autoptr (GError) error = NULL;

  node->loaded = false;
  node->least_active = UINT64_MAX;
  node->engine = ph_engine_new (node->dir, node_hear, node, &error);
  g_assert_no_error (error);
  ph_engine_set_explain (node->engine, g_getenv ("PH_TRACE") != NULL);
}

Node *
node_new (void)
{
  Node *node = g_new0 (Node, 1);

  node->dir = ph_test_tmpdir ();
  node->transfers = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, seen_free);
  node->contacts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, contact_free);
  node->settings = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  node->history = g_ptr_array_new_with_free_func (seen_free);
  node->files = g_ptr_array_new_with_free_func (g_free);
  node->done = g_hash_table_new_full (NULL, NULL, NULL, error_free);
  node->texts = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  node_open (node);
  return node;
}

void
node_close (Node *node)
{
  g_clear_pointer (&node->engine, ph_engine_free);
  g_hash_table_remove_all (node->done);
  g_hash_table_remove_all (node->texts);
  node->status = PH_STATUS_OFFLINE;
}

void
node_free (Node *node)
{
  node_close (node);
  g_hash_table_unref (node->transfers);
  g_hash_table_unref (node->contacts);
  g_hash_table_unref (node->settings);
  g_ptr_array_unref (node->history);
  g_ptr_array_unref (node->files);
  g_free (node->network);
  g_free (node->forgotten);
  g_hash_table_unref (node->done);
  g_hash_table_unref (node->texts);
  g_free (node->link);
  g_free (node->dir);
  g_free (node);
}

gboolean
world_ring (gpointer late)
{
  *(bool *)late = true;
  return G_SOURCE_REMOVE;
}

bool
is_done (const Node *node, uint32_t command)
{
  return g_hash_table_contains (node->done, GUINT_TO_POINTER (command));
}

const char *
finish (Node *node, uint32_t command)
{
  const GError *error;

  wait_until (is_done (node, command));
  error = g_hash_table_lookup (node->done, GUINT_TO_POINTER (command));
  g_assert_no_error (error);
  return g_hash_table_lookup (node->texts, GUINT_TO_POINTER (command));
}

void
finish_badly (Node *node, uint32_t command, PhEngineError code)
{
  const GError *error;

  wait_until (is_done (node, command));
  error = g_hash_table_lookup (node->done, GUINT_TO_POINTER (command));
  g_assert_error (error, PH_ENGINE_ERROR, (int)code);
  g_assert_cmpuint (strlen (error->message), >, 10);
}

const Seen *
seen (const Node *node, const char *id)
{
  static const Seen nothing = {
      .code = (char *)"", .path = (char *)"", .state = PH_TRANSFER_PREPARING};
  const Seen *found = id != NULL ? g_hash_table_lookup (node->transfers, id) : NULL;

  return found != NULL ? found : &nothing;
}

const SeenContact *
seen_contact (const Node *node, const char *id)
{
  static const SeenContact nobody = {.name = (char *)""};
  const SeenContact *found = g_hash_table_lookup (node->contacts, id);

  return found != NULL ? found : &nobody;
}

const char *
seen_setting (const Node *node, const char *key)
{
  return g_hash_table_lookup (node->settings, key);
}

bool
is_in (const Node *node, const char *id, PhTransferState state)
{
  return seen (node, id)->state == state;
}

bool
has_ended (const Node *node, const char *id)
{
  return ph_transfer_state_ended (seen (node, id)->state);
}

char *
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

void
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

unsigned
count_entries (const char *dir)
{
  g_autoptr (GDir) d = g_dir_open (dir, 0, NULL);
  unsigned n = 0;

  while (g_dir_read_name (d) != NULL)
    n++;
  return n;
}

/* --- Two people who know each other ------------------------------------------------------------- */

static void
become_contacts (Pair *pair)
{
  uint32_t invite, add;

  finish (pair->left, ph_engine_set_setting (pair->left->engine, "rendezvous", world_server_url));
  ph_engine_connect (pair->left->engine);
  ph_engine_connect (pair->right->engine);
  finish (pair->left, ph_engine_set_setting (pair->left->engine, "name", "Left"));
  finish (pair->right, ph_engine_set_setting (pair->right->engine, "name", "Right"));
  invite = ph_engine_invite (pair->left->engine, NULL);
  wait_until (pair->left->link != NULL);
  add = ph_engine_add (pair->right->engine, pair->left->link, "My left");
  g_assert_cmpstr (finish (pair->left, invite), ==, ph_engine_device_id (pair->right->engine));
  g_assert_cmpstr (finish (pair->right, add), ==, ph_engine_device_id (pair->left->engine));
  g_assert_cmpstr (seen_contact (pair->left, ph_engine_device_id (pair->right->engine))->name, ==,
                   "Right");
}

Pair *
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

void
pair_free (Pair *pair)
{
  node_free (pair->left);
  node_free (pair->right);
  g_free (pair->downloads);
  g_free (pair->files);
  g_free (pair);
}

char *
send_one (Pair *pair, const char *path)
{
  const char *const paths[] = {path, NULL};
  const char *to = ph_engine_device_id (pair->right->engine);

  return g_strdup (finish (pair->left, ph_engine_send (pair->left->engine, to, paths)));
}

char *
send_and_wait_for_offer (Pair *pair, const char *path)
{
  char *id = send_one (pair, path);

  wait_until (is_in (pair->right, id, PH_TRANSFER_OFFERED));
  return id;
}

void
assert_delivered (Pair *pair, const char *id)
{
  wait_until (has_ended (pair->left, id) && has_ended (pair->right, id));
  g_assert_cmpstr (seen (pair->left, id)->code, ==, "");
  g_assert_cmpint (seen (pair->left, id)->state, ==, PH_TRANSFER_DONE);
  g_assert_cmpint (seen (pair->right, id)->state, ==, PH_TRANSFER_DONE);
}

/* --- The world ---------------------------------------------------------------------------------- */

/* Loopback addresses are no candidates: give this namespace an address. Tests that run at the same time
 * share the namespace. */
static void
make_interface (void)
{
  int status = -1;

  g_assert_true (g_spawn_command_line_sync (
      "sh -c 'ip link add ph-test type veth peer name ph-peer 2>/dev/null; ip addr replace 10.77.0.1/24"
      " dev ph-test && ip link set ph-test up && ip link set ph-peer up && ip link set lo up'",
      NULL, NULL, &status, NULL));
  g_assert_cmpint (status, ==, 0);
}

GSubprocess *
world_start_server (char **ret_url)
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

void
world_stop_server (GSubprocess *process)
{
  g_subprocess_send_signal (process, SIGTERM);
  g_subprocess_wait (process, NULL, NULL);
  g_object_unref (process);
}

void
world_start (void)
{
  make_interface ();
  server = world_start_server (&world_server_url);
}

void
world_stop (void)
{
  world_stop_server (server);
  g_free (world_server_url);
}
