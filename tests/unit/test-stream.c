/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The TCP and TLS connections that carry TURN, against a server in the same loop. */

#include "net/io/ph-stream.h"
#include "tests/support/ph-test.h"

#define ID 77

typedef struct {
  GSocketListener *listener;
  GTlsCertificate *certificate; /* NULL: plain */
  GIOStream *peer; /* the accepted connection */
  PhAddr addr;
  PhStream *stream;
  GByteArray *got;
  bool opened;
  bool closed;
  bool free_in_callback;
  unsigned batches;
} Rig;

static void
on_opened (void *user, uint32_t id)
{
  Rig *rig = user;

  g_assert_cmpuint (id, ==, ID);
  rig->opened = true;
}

static void
on_received (void *user, uint32_t id, PhSlice bytes)
{
  Rig *rig = user;

  g_byte_array_append (rig->got, bytes.data, (guint)bytes.len);
  if (rig->free_in_callback)
    g_clear_pointer (&rig->stream, ph_stream_free);
}

static void
on_batch_done (void *user)
{
  ((Rig *)user)->batches++;
}

static void
on_closed (void *user, uint32_t id, const GError *error)
{
  Rig *rig = user;

  rig->closed = true;
  g_clear_pointer (&rig->stream, ph_stream_free);
}

static const PhStreamCallbacks callbacks = {on_opened, on_received, on_batch_done, on_closed};

static void
on_accepted (GObject *listener, GAsyncResult *result, gpointer user_data)
{
  Rig *rig = user_data;
  g_autoptr (GSocketConnection) connection =
      g_socket_listener_accept_finish (G_SOCKET_LISTENER (listener), result, NULL, NULL);

  if (connection == NULL)
    return;
  if (rig->certificate != NULL)
    rig->peer = g_tls_server_connection_new (G_IO_STREAM (connection), rig->certificate, NULL);
  else
    rig->peer = G_IO_STREAM (g_steal_pointer (&connection));
}

static void
rig_start (Rig *rig, GTlsCertificate *certificate)
{
  *rig = (Rig){.certificate = certificate, .got = g_byte_array_new ()};
  rig->listener = g_socket_listener_new ();
  rig->addr = ph_addr_ipv4 (127, 0, 0, 1, 0);

  g_autoptr (GInetAddress) ip = g_inet_address_new_from_string ("127.0.0.1");
  g_autoptr (GSocketAddress) any = g_inet_socket_address_new (ip, 0);
  g_autoptr (GSocketAddress) bound = NULL;

  g_assert_true (g_socket_listener_add_address (rig->listener, any, G_SOCKET_TYPE_STREAM,
                                                G_SOCKET_PROTOCOL_TCP, NULL, &bound, NULL));
  rig->addr.port = g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (bound));
  g_socket_listener_accept_async (rig->listener, NULL, on_accepted, rig);
  rig->stream =
      ph_stream_new (ID, &rig->addr, certificate != NULL ? "relay.example" : NULL, &callbacks, rig);
}

static void
rig_clear (Rig *rig)
{
  ph_stream_free (rig->stream);
  g_clear_object (&rig->peer);
  g_socket_listener_close (rig->listener);
  g_object_unref (rig->listener);
  while (g_main_context_iteration (NULL, FALSE))
    continue;
  g_byte_array_unref (rig->got);
}

static gboolean
give_up (gpointer what)
{
  g_error ("waited in vain for %s", (const char *)what);
  return G_SOURCE_REMOVE;
}

#define WAIT(condition)                                                                            \
  G_STMT_START                                                                                     \
  {                                                                                                \
    const guint guard = g_timeout_add_seconds (20, give_up, (gpointer) #condition);                \
    while (!(condition))                                                                           \
      g_main_context_iteration (NULL, TRUE);                                                       \
    g_source_remove (guard);                                                                       \
  }                                                                                                \
  G_STMT_END

static void
on_echo_written (GObject *out, GAsyncResult *result, gpointer user_data)
{
  g_assert_true (g_output_stream_write_all_finish (G_OUTPUT_STREAM (out), result, NULL, NULL));
}

static void
on_heard (GObject *in, GAsyncResult *result, gpointer user_data)
{
  *(gssize *)user_data = g_input_stream_read_finish (G_INPUT_STREAM (in), result, NULL);
}

/* Something either way. */
static void
exchange (Rig *rig)
{
  char heard[16] = "";
  gssize n = -2;

  WAIT (rig->opened);
  g_assert_true (ph_stream_send (rig->stream, ph_slice_string ("question")));
  WAIT (rig->peer != NULL);
  g_input_stream_read_async (g_io_stream_get_input_stream (rig->peer), heard, sizeof heard, 0, NULL,
                             on_heard, &n);
  WAIT (n != -2);
  g_assert_cmpmem (heard, (size_t)n, "question", 8);
  g_output_stream_write_all_async (g_io_stream_get_output_stream (rig->peer), "answer", 6, 0, NULL,
                                   on_echo_written, NULL);
  WAIT (rig->got->len == 6);
  g_assert_cmpmem (rig->got->data, rig->got->len, "answer", 6);
}

static void
test_plain (void)
{
  Rig rig;

  rig_start (&rig, NULL);
  g_assert_false (ph_stream_send (rig.stream, ph_slice_string ("too early")));
  exchange (&rig);
  WAIT (rig.batches == 1);
  g_io_stream_close_async (rig.peer, 0, NULL, NULL, NULL);
  WAIT (rig.closed);
  g_assert_null (rig.stream);
  rig_clear (&rig);
}

/* A household's relay has a certificate that nobody signed, for a name of its own making. */
static void
test_tls (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autofree char *pem = g_build_filename (dir, "relay.pem", NULL);
  g_autofree char *line = g_strdup_printf (
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=other "
      "-keyout %s -out %s.crt",
      pem, pem);
  g_autofree char *crt = g_strconcat (pem, ".crt", NULL);
  g_autoptr (GTlsCertificate) certificate = NULL;
  g_autoptr (GError) error = NULL;
  Rig rig;

  g_assert_true (g_spawn_command_line_sync (line, NULL, NULL, NULL, NULL));
  certificate = g_tls_certificate_new_from_files (crt, pem, &error);
  g_assert_no_error (error);
  rig_start (&rig, certificate);
  /* The server's half of the handshake runs when it reads. */
  WAIT (rig.peer != NULL);
  g_tls_connection_handshake_async (G_TLS_CONNECTION (rig.peer), 0, NULL, NULL, NULL);
  exchange (&rig);
  rig_clear (&rig);
}

static void
test_refused (void)
{
  Rig rig;

  rig_start (&rig, NULL);
  ph_stream_free (rig.stream);
  g_socket_listener_close (rig.listener);
  rig.stream = ph_stream_new (ID, &rig.addr, NULL, &callbacks, &rig);
  WAIT (rig.closed);
  g_assert_false (rig.opened);
  rig_clear (&rig);
}

/* What a slow network does not take is bounded, and messages are lost whole. */
static void
test_full (void)
{
  g_autofree uint8_t *bytes = g_malloc0 (60000);
  g_autofree char *heard = g_malloc (1 << 20);
  unsigned sent = 0;
  gsize total = 0;
  Rig rig;

  rig_start (&rig, NULL);
  WAIT (rig.opened && rig.peer != NULL);
  while (ph_stream_send (rig.stream, ph_slice (bytes, 60000)))
    g_assert_cmpuint (++sent, <, 10000);
  while (total < (gsize)sent * 60000) {
    gssize n = -2;

    g_input_stream_read_async (g_io_stream_get_input_stream (rig.peer), heard, 1 << 20, 0, NULL,
                               on_heard, &n);
    WAIT (n != -2);
    g_assert_cmpint (n, >, 0);
    total += (gsize)n;
  }
  g_assert_cmpuint (total, ==, (gsize)sent * 60000);
  g_assert_true (ph_stream_send (rig.stream, ph_slice (bytes, 60000)));
  rig_clear (&rig);
}

static void
test_freed_in_callback (void)
{
  Rig rig;

  rig_start (&rig, NULL);
  rig.free_in_callback = true;
  exchange (&rig);
  g_assert_null (rig.stream);
  g_assert_cmpuint (rig.batches, ==, 0);
  rig_clear (&rig);
  /* While it connects. */
  rig_start (&rig, NULL);
  g_clear_pointer (&rig.stream, ph_stream_free);
  rig_clear (&rig);
  g_assert_false (rig.opened);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/stream/plain", test_plain);
  g_test_add_func ("/stream/tls", test_tls);
  g_test_add_func ("/stream/refused", test_refused);
  g_test_add_func ("/stream/full", test_full);
  g_test_add_func ("/stream/freed-in-callback", test_freed_in_callback);
  return g_test_run ();
}
