/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "tests/unit/threat-world.h"

#include "net/connect/ph-connector-private.h"
#include "net/io/ph-clock.h"
#include "net/io/ph-system-random.h"
#include "net/quic/ph-quic.h"

#include <glib/gstdio.h>

#define HONEST 0xf0

/* --- What the person is told --------------------------------------------------------------------- */

static void
told_free (void *data)
{
  Seen *seen = data;

  g_free (seen->id);
  g_free (seen->code);
  g_free (seen->message);
  g_free (seen);
}

static void
hear (const PhEvent *event, gpointer user_data)
{
  Threat *t = user_data;
  Seen *seen;

  switch (event->type) {
  case PH_EVENT_TRANSFER:
    seen = g_new0 (Seen, 1);
    seen->id = g_strdup (event->transfer.id);
    seen->code = g_strdup (event->transfer.code);
    seen->message = g_strdup (event->transfer.message);
    seen->state = event->transfer.state;
    seen->bytes_done = event->transfer.bytes_done;
    g_hash_table_replace (t->told, seen->id, seen);
    t->offers += seen->state == PH_TRANSFER_OFFERED;
    g_ptr_array_set_size (t->names, 0);
    for (size_t i = 0; event->transfer.names[i] != NULL; i++)
      g_ptr_array_add (t->names, g_strdup (event->transfer.names[i]));
    break;
  case PH_EVENT_FILE:
    g_ptr_array_add (t->files, g_strdup (event->file.path));
    g_ptr_array_add (t->sent_as, g_strdup (event->file.sent_as));
    break;
  case PH_EVENT_DONE:
    g_clear_error (&t->error);
    t->error = event->error != NULL ? g_error_copy (event->error) : NULL;
    t->done++;
    break;
  default:
    break;
  }
}

static char *
id_text (uint8_t id)
{
  return g_strdup_printf ("%02x%030d", id, 0);
}

const Seen *
threat_told (const Threat *t, uint8_t id)
{
  static const Seen nothing = {
      .code = (char *)"", .message = (char *)"", .state = PH_TRANSFER_PREPARING};
  g_autofree char *text = id_text (id);
  const Seen *seen = g_hash_table_lookup (t->told, text);

  return seen != NULL ? seen : &nothing;
}

bool
threat_command (Threat *t, PhCommandType type, uint8_t id)
{
  g_autofree char *subject = id_text (id);
  const PhCommand command = {.type = type, .number = 1, .subject = subject, .amount = 1000};
  const unsigned done = t->done;

  g_ptr_array_set_size (t->files, 0);
  g_ptr_array_set_size (t->sent_as, 0);
  ph_core_run (t->core, &command);
  wait_until (t->done > done);
  return t->error == NULL;
}

/* --- The liar's end ------------------------------------------------------------------------------ */

void
threat_settle (Threat *t)
{
  const PhTime now = ph_clock_now ();
  PhLinkEvent event;

  if (t->link == NULL)
    return;
  while (ph_link_poll_event (t->link, &event)) {
    if (event.type == PH_LINK_EVENT_READY)
      t->liar = ph_liar_new_on (t->link);
    t->closed |= event.type == PH_LINK_EVENT_CLOSED;
    if (event.type == PH_LINK_EVENT_CLOSED)
      t->code = event.code;
    if (t->liar != NULL)
      ph_liar_hear (t->liar, &event);
    ph_buf_slice_clear (&event.data);
  }
  for (;;) {
    PhTransmit tx = {.data = t->buffer, .cap = PH_TRANSMIT_MAX};

    if (!ph_link_poll_transmit (t->link, now, &tx))
      break;
    tx.remote = *ph_udp_local (t->core->sockets->pdata[0]);
    ph_udp_send (t->udp, &tx);
  }
  ph_timer_arm (t->timer, ph_link_next_timeout (t->link, NULL));
}

static void
liar_received (void *user, const PhDatagram *datagrams, size_t n)
{
  Threat *t = user;
  const PhTime now = ph_clock_now ();

  for (size_t i = 0; i < n; i++) {
    if (t->link == NULL) {
      PhQuicConfig config = {
          .identity = t->spoken, .random = t->random, .initial = datagrams[i].bytes};

      memcpy (config.peer_key, t->profile->identity.id.key, PH_KEY_LEN);
      t->link = ph_quic_link_new (&config, now);
    }
    if (t->link != NULL)
      ph_link_handle_packet (t->link, now, &datagrams[i]);
  }
}

static void
liar_batch_done (void *user)
{
  threat_settle (user);
}

static void
liar_writable (void *user, uint32_t socket)
{
  threat_settle (user);
}

static void
liar_timeout (void *user, PhTime now)
{
  Threat *t = user;

  if (t->link != NULL)
    ph_link_handle_timeout (t->link, now);
  threat_settle (t);
}

/* --- The victim's end ---------------------------------------------------------------------------- */

static void
victim_received (void *user, const PhDatagram *datagrams, size_t n)
{
  Threat *t = user;
  const PhTime now = ph_core_now (t->core);

  for (size_t i = 0; i < n; i++)
    ph_endpoint_handle_packet (t->core->endpoint, now, &datagrams[i]);
}

static void
victim_batch_done (void *user)
{
  ph_core_settle (((Threat *)user)->core);
}

static void
victim_writable (void *user, uint32_t socket)
{
  ph_core_settle (((Threat *)user)->core);
}

static PhUdp *
open_socket (uint32_t id, const PhUdpCallbacks *callbacks, Threat *t)
{
  g_autoptr (GError) error = NULL;
  PhAddr local;
  PhUdp *udp;

  g_assert_true (ph_addr_parse ("127.0.0.1", 0, &local));
  udp = ph_udp_new (NULL, id, &local, PH_UDP_DEFAULT, callbacks, t, &error);
  g_assert_no_error (error);
  return udp;
}

static void
set (Threat *t, const char *key, const char *value)
{
  const PhCommand command = {
      .type = PH_COMMAND_SET_SETTING, .number = 1, .subject = (char *)key, .text = (char *)value};

  ph_core_run (t->core, &command);
  g_assert_no_error (t->error);
}

Threat *
threat_new (void)
{
  static const PhUdpCallbacks ours = {liar_received, liar_batch_done, liar_writable};
  static const PhUdpCallbacks theirs = {victim_received, victim_batch_done, victim_writable};
  Threat *t = g_new0 (Threat, 1);
  g_autoptr (GError) error = NULL;
  g_autofree char *secret = NULL;
  PhRendezvousAddress address;
  PhIdentity identity;

  t->root = ph_test_tmpdir ();
  t->profile_dir = ph_test_tmpdir ();
  t->downloads = g_build_filename (t->root, "downloads", NULL);
  secret = g_build_filename (t->root, "secret", NULL);
  g_assert_cmpint (g_mkdir (t->downloads, 0755), ==, 0);
  g_assert_true (g_file_set_contents (secret, "mine", -1, NULL));
  t->told = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, told_free);
  t->names = g_ptr_array_new_with_free_func (g_free);
  t->files = g_ptr_array_new_with_free_func (g_free);
  t->sent_as = g_ptr_array_new_with_free_func (g_free);
  t->random = ph_system_random ();
  t->buffer = g_malloc (PH_TRANSMIT_MAX);

  ph_identity_generate (&identity, &t->random);
  t->identity = ph_tls_identity_new (identity.seed);
  t->spoken = t->identity;
  t->timer = ph_timer_new (NULL, liar_timeout, t);
  t->udp = open_socket (1, &ours, t);

  t->profile = ph_profile_open (t->profile_dir, &error);
  g_assert_no_error (error);
  t->core = ph_core_new (t->profile, hear, t);
  g_ptr_array_add (t->core->sockets, open_socket (2, &theirs, t));
  set (t, "download-dir", t->downloads);
  ph_rendezvous_address_parse ("ws://127.0.0.1:1", &address);
  t->peer = ph_core_add_peer (t->core, &identity.id, "Mallory", &address, &error);
  g_assert_no_error (error);
  ph_peer_connect (t->peer);
  threat_connect (t);
  return t;
}

void
threat_connect (Threat *t)
{
  PhQuicConfig config = {.client = true, .identity = t->core->tls, .random = t->core->random};
  const PhIcePair pair = {.socket = 2, .remote_addr = *ph_udp_local (t->udp)};

  ph_connector_close (t->peer->connector, ph_core_now (t->core), 0, "another one");
  ph_core_settle (t->core);
  wait_until (ph_connector_nth_link (t->peer->connector, 0) == NULL);
  g_clear_pointer (&t->liar, ph_liar_free);
  g_clear_pointer (&t->link, ph_link_free);
  t->closed = false;
  memcpy (config.peer_key, t->peer->id.key, PH_KEY_LEN);
  g_assert_true (ph_link_table_add (&t->peer->connector->links,
                                    ph_quic_link_new (&config, ph_core_now (t->core)), &pair));
  ph_core_settle (t->core);
  wait_until (t->liar != NULL || t->closed);
  if (t->closed)
    return;
  ph_liar_hello (t->liar);
  threat_settle (t);
  wait_until (threat_heard (t, PH_FRAME_HELLO, NULL) == 1
              && ph_session_current_link (t->peer->session) != NULL);
}

void
threat_expect_cut (Threat *t, PhSessionCode code)
{
  threat_settle (t);
  wait_until (t->closed);
  g_assert_cmpuint (t->code, ==, code);
  threat_connect (t);
}

/* Nothing but what was there, and the folder for what arrives. */
static void
assert_outside_is_as_it_was (const Threat *t)
{
  g_autofree char *secret = g_build_filename (t->root, "secret", NULL);
  g_autofree char *text = NULL;

  g_assert_cmpuint (count_entries (t->root), ==, 2);
  g_assert_true (g_file_get_contents (secret, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, "mine");
}

static void
assert_no_parts (const Threat *t)
{
  g_autoptr (GDir) dir = g_dir_open (t->downloads, 0, NULL);
  const char *name;

  g_assert_nonnull (dir);
  while ((name = g_dir_read_name (dir)) != NULL)
    g_assert_false (g_str_has_suffix (name, ".part"));
}

void
threat_end (Threat *t)
{
  g_autoptr (PhManifest) manifest = threat_manifest ("honest", NULL, 5000);

  threat_deliver (t, HONEST, manifest);
  threat_assert_file (t, "honest", 5000);
  assert_outside_is_as_it_was (t);
  assert_no_parts (t);

  ph_core_free (t->core);
  ph_profile_free (t->profile);
  ph_liar_free (t->liar);
  ph_link_free (t->link);
  ph_timer_free (t->timer);
  ph_udp_free (t->udp);
  ph_tls_identity_unref (t->identity);
  g_hash_table_unref (t->told);
  g_ptr_array_unref (t->names);
  g_ptr_array_unref (t->files);
  g_ptr_array_unref (t->sent_as);
  g_clear_error (&t->error);
  g_free (t->buffer);
  g_free (t->root);
  g_free (t->downloads);
  g_free (t->profile_dir);
  g_free (t);
}

/* --- Transfers ----------------------------------------------------------------------------------- */

unsigned
threat_heard (Threat *t, PhFrameType type, PhFrame *ret_frame)
{
  return t->liar != NULL ? ph_liar_heard (t->liar, type, ret_frame) : 0;
}

PhManifest *
threat_manifest (const char *first, const char *second, uint64_t size)
{
  PhManifestBuilder *b = ph_manifest_builder_new ();
  g_autofree char *path = second != NULL ? g_build_filename (first, second, NULL) : NULL;

  if (second != NULL)
    g_assert_true (ph_manifest_builder_add (b, PH_ENTRY_FOLDER, first, 0, 0));
  g_assert_true (
      ph_manifest_builder_add (b, PH_ENTRY_FILE, path != NULL ? path : first, size, 1234567890));
  return ph_manifest_builder_end (b);
}

void
threat_offer_bytes (Threat *t, uint8_t id, const void *bytes, size_t len, uint32_t entries,
                    uint64_t total)
{
  PhFrame frame = {.type = PH_FRAME_OFFER, .id = {{id}}};
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  gsize digest_len = PH_SHA256_LEN;

  g_checksum_update (sum, bytes, (gssize)len);
  g_checksum_get_digest (sum, frame.offer.manifest_digest, &digest_len);
  frame.offer.lost = true;
  frame.offer.serial = id;
  frame.offer.entries = entries;
  frame.offer.bytes = total;
  frame.offer.manifest_size = len;
  if (len <= PH_FRAME_MANIFEST_MAX)
    frame.offer.manifest = ph_slice (bytes, len);
  ph_liar_frame (t->liar, &frame);
  threat_settle (t);
  if (len > PH_FRAME_MANIFEST_MAX) {
    int64_t stream;

    wait_until (threat_heard (t, PH_FRAME_WANT, NULL) > 0);
    stream = ph_liar_open (t->liar, PH_STREAM_MANIFEST);
    ph_liar_send (t->liar, stream, frame.id.bytes, PH_TRANSFER_ID_LEN, false);
    ph_liar_send (t->liar, stream, bytes, len, true);
    threat_settle (t);
  }
}

void
threat_offer (Threat *t, uint8_t id, PhManifest *manifest)
{
  PhFrame frame;

  ph_liar_fill_offer (&frame, id, manifest);
  ph_liar_frame (t->liar, &frame);
  threat_settle (t);
}

void
threat_offer_accepted (Threat *t, uint8_t id, PhManifest *manifest)
{
  for (bool asked = false; !asked;) {
    const unsigned declined = threat_heard (t, PH_FRAME_DECLINE, NULL);

    threat_offer (t, id, manifest);
    wait_until (threat_told (t, id)->state == PH_TRANSFER_OFFERED
                || threat_heard (t, PH_FRAME_DECLINE, NULL) > declined);
    asked = threat_told (t, id)->state == PH_TRANSFER_OFFERED;
  }
  g_assert_true (threat_command (t, PH_COMMAND_ACCEPT, id));
  wait_until (threat_heard (t, PH_FRAME_ACCEPT, NULL) > 0);
}

/* LAST with zeros in one piece, whatever its size. */
static void
send_file (Threat *t, int64_t stream, uint32_t file, uint64_t size)
{
  const PhRecordHead head = {PH_RECORD_LAST, file, 0, size};
  uint8_t bytes[PH_RECORD_HEAD_MAX];
  PhWriter w = ph_writer (bytes, sizeof bytes);
  g_autofree uint8_t *zeros = g_malloc0 (size + 1);
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  uint8_t digest[PH_SHA256_LEN];
  gsize digest_len = sizeof digest;

  g_checksum_update (sum, zeros, (gssize)size);
  g_checksum_get_digest (sum, digest, &digest_len);
  ph_record_head_encode (&head, &w);
  ph_liar_send (t->liar, stream, bytes, ph_writer_len (&w), false);
  ph_liar_send (t->liar, stream, zeros, size, false);
  ph_liar_send (t->liar, stream, digest, sizeof digest, false);
}

void
threat_send_all (Threat *t, uint8_t id, uint64_t attempt, PhManifest *manifest)
{
  const int64_t stream = ph_liar_segment (t->liar, id, attempt, 0);

  for (uint32_t i = 0; i < ph_manifest_len (manifest); i++) {
    const PhEntry *entry = ph_manifest_entry (manifest, i);

    if (entry->kind == PH_ENTRY_FILE)
      send_file (t, stream, i, entry->size);
  }
  ph_liar_record (t->liar, stream, &(PhLie){PH_RECORD_FINISH, 0, 0, 0, PH_LIE_ALL});
  ph_liar_send (t->liar, stream, NULL, 0, true);
  threat_settle (t);
}

void
threat_deliver (Threat *t, uint8_t id, PhManifest *manifest)
{
  const unsigned receipts = threat_heard (t, PH_FRAME_RECEIPT, NULL);

  threat_offer_accepted (t, id, manifest);
  threat_send_all (t, id, 1, manifest);
  wait_until (threat_told (t, id)->state == PH_TRANSFER_DONE
              && threat_heard (t, PH_FRAME_RECEIPT, NULL) > receipts);
}

void
threat_assert_file (const Threat *t, const char *path, uint64_t size)
{
  g_autofree char *full = g_build_filename (t->downloads, path, NULL);
  g_autofree char *text = NULL;
  gsize len;

  g_assert_true (g_file_get_contents (full, &text, &len, NULL));
  g_assert_cmpuint (len, ==, size);
  for (gsize i = 0; i < len; i++)
    g_assert_cmpint (text[i], ==, 0);
}
