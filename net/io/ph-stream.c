/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/io/ph-stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

/* One read; as much as a GRO batch of UDP. */
#define READ_MAX 65536
/* Reads in one turn of the loop: others have a turn too. */
#define READS_MAX 16

struct _PhStream {
  uint32_t id;
  PhStreamCallbacks callbacks;
  void *user;
  GCancellable *cancellable;
  GSocketClient *client;
  GSocketConnectable *identity; /* of TLS: what is asked for, whatever the address; NULL: no TLS */
  GSocketConnection *connection; /* NULL until it is open */
  GPollableInputStream *in; /* borrowed from the connection */
  GPollableOutputStream *out;
  GSource *readable;
  GSource *writable; /* while something waits */
  GByteArray *queue;
  unsigned busy; /* callbacks under way, and the connecting */
  bool freed;
};

static void
destroy (PhStream *self)
{
  g_clear_object (&self->connection);
  g_clear_object (&self->client);
  g_clear_object (&self->identity);
  g_clear_object (&self->cancellable);
  g_byte_array_unref (self->queue);
  g_free (self);
}

static void
let_go (PhStream *self)
{
  if (--self->busy == 0 && self->freed)
    destroy (self);
}

static void
clear_source (GSource **source)
{
  if (*source == NULL)
    return;
  g_source_destroy (*source);
  g_clear_pointer (source, g_source_unref);
}

static void
tell_closed (PhStream *self, const GError *error)
{
  clear_source (&self->readable);
  clear_source (&self->writable);
  if (!self->freed)
    self->callbacks.closed (self->user, self->id, error);
}

/* --- Reading ------------------------------------------------------------------------------------ */

/* Whether there may be more. */
static bool
read_once (PhStream *self, uint8_t *buffer, bool *ret_any)
{
  g_autoptr (GError) error = NULL;
  const gssize n =
      g_pollable_input_stream_read_nonblocking (self->in, buffer, READ_MAX, NULL, &error);

  if (n > 0) {
    *ret_any = true;
    self->callbacks.received (self->user, self->id, ph_slice (buffer, (size_t)n));
    return !self->freed;
  }
  if (n == 0 || !g_error_matches (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
    tell_closed (self, error);
  return false;
}

static gboolean
on_readable (GObject *stream, gpointer user_data)
{
  PhStream *self = user_data;
  g_autofree uint8_t *buffer = g_malloc (READ_MAX);
  bool any = false;

  self->busy++;
  for (int i = 0; i < READS_MAX && read_once (self, buffer, &any); i++)
    continue;
  if (any && !self->freed)
    self->callbacks.batch_done (self->user);
  let_go (self);
  return G_SOURCE_CONTINUE; /* a source that was destroyed meanwhile stays so */
}

/* --- Writing ------------------------------------------------------------------------------------ */

static gboolean on_writable (GObject *stream, gpointer user_data);

/* Takes what it can from the queue; false if the stream broke. */
static bool
write_queue (PhStream *self, GError **error)
{
  while (self->queue->len > 0) {
    g_autoptr (GError) local = NULL;
    const gssize n = g_pollable_output_stream_write_nonblocking (self->out, self->queue->data,
                                                                 self->queue->len, NULL, &local);

    if (n < 0 && g_error_matches (local, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
      break;
    if (n < 0) {
      g_propagate_error (error, g_steal_pointer (&local));
      return false;
    }
    g_byte_array_remove_range (self->queue, 0, (guint)n);
  }
  if (self->queue->len == 0) {
    clear_source (&self->writable);
  } else if (self->writable == NULL) {
    self->writable = g_pollable_output_stream_create_source (self->out, NULL);
    g_source_set_callback (self->writable, G_SOURCE_FUNC (on_writable), self, NULL);
    g_source_attach (self->writable, g_main_context_get_thread_default ());
  }
  return true;
}

static gboolean
on_writable (GObject *stream, gpointer user_data)
{
  PhStream *self = user_data;
  g_autoptr (GError) error = NULL;

  self->busy++;
  if (!write_queue (self, &error))
    tell_closed (self, error);
  let_go (self);
  return G_SOURCE_CONTINUE;
}

bool
ph_stream_send (PhStream *self, PhSlice bytes)
{
  if (self->connection == NULL || self->queue->len + bytes.len > PH_STREAM_QUEUE_MAX)
    return false;
  g_byte_array_append (self->queue, bytes.data, (guint)bytes.len);
  /* One that broke is found by reading. */
  return self->writable != NULL || write_queue (self, NULL);
}

/* --- Connecting --------------------------------------------------------------------------------- */

static gboolean
accept_any (GTlsConnection *tls, GTlsCertificate *certificate, GTlsCertificateFlags errors,
            gpointer user_data)
{
  return TRUE;
}

static void
on_client_event (GSocketClient *client, GSocketClientEvent event, GSocketConnectable *connectable,
                 GIOStream *connection, gpointer user_data)
{
  const PhStream *self = user_data;

  if (event != G_SOCKET_CLIENT_TLS_HANDSHAKING)
    return;
  g_tls_client_connection_set_server_identity (G_TLS_CLIENT_CONNECTION (connection),
                                               self->identity);
  g_signal_connect (connection, "accept-certificate", G_CALLBACK (accept_any), NULL);
}

static void
on_connected (GObject *client, GAsyncResult *result, gpointer user_data)
{
  PhStream *self = user_data;
  g_autoptr (GError) error = NULL;
  GSocketConnection *connection =
      g_socket_client_connect_finish (G_SOCKET_CLIENT (client), result, &error);

  if (connection == NULL) {
    tell_closed (self, error);
  } else if (self->freed) {
    g_object_unref (connection);
  } else {
    GSocket *socket = g_socket_connection_get_socket (connection);

    /* Datagrams inside: each is worth a segment of its own, now. */
    g_socket_set_option (socket, IPPROTO_TCP, TCP_NODELAY, 1, NULL);
    g_socket_set_timeout (socket, 0); /* silence is TURN's business */
    self->connection = connection;
    self->in = G_POLLABLE_INPUT_STREAM (g_io_stream_get_input_stream (G_IO_STREAM (connection)));
    self->out = G_POLLABLE_OUTPUT_STREAM (g_io_stream_get_output_stream (G_IO_STREAM (connection)));
    self->readable = g_pollable_input_stream_create_source (self->in, NULL);
    g_source_set_callback (self->readable, G_SOURCE_FUNC (on_readable), self, NULL);
    g_source_attach (self->readable, g_main_context_get_thread_default ());
    self->callbacks.opened (self->user, self->id);
  }
  let_go (self);
}

PhStream *
ph_stream_new (uint32_t id, const PhAddr *server, const char *tls_host,
               const PhStreamCallbacks *callbacks, void *user)
{
  PhStream *self = g_new0 (PhStream, 1);
  char ip[PH_ADDR_STRING_MAX];
  g_autoptr (GSocketConnectable) address =
      g_network_address_new (ph_addr_format_ip (server, ip), server->port);

  self->id = id;
  self->callbacks = *callbacks;
  self->user = user;
  self->queue = g_byte_array_new ();
  self->cancellable = g_cancellable_new ();
  self->client = g_socket_client_new ();
  g_socket_client_set_timeout (self->client, PH_STREAM_CONNECT_SECONDS);
  if (tls_host != NULL) {
    self->identity = g_network_address_new (tls_host, server->port);
    g_socket_client_set_tls (self->client, TRUE);
    g_signal_connect (self->client, "event", G_CALLBACK (on_client_event), self);
  }
  self->busy = 1;
  g_socket_client_connect_async (self->client, address, self->cancellable, on_connected, self);
  return self;
}

void
ph_stream_free (PhStream *self)
{
  if (self == NULL || self->freed)
    return;
  self->freed = true;
  clear_source (&self->readable);
  clear_source (&self->writable);
  g_cancellable_cancel (self->cancellable);
  if (self->busy == 0)
    destroy (self);
}

uint32_t
ph_stream_id (const PhStream *self)
{
  return self->id;
}
