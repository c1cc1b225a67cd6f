/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/io/ph-websocket.h"

#include "net/io/ph-sockaddr.h"
#include "net/io/ph-tls-pin.h"

#include <errno.h>
#include <libsoup/soup.h>
#include <sys/socket.h>
#include <unistd.h>

struct _PhWebsocket {
  PhWebsocketCallbacks callbacks;
  void *user;
  bool pinned;
  uint8_t pin[PH_RENDEZVOUS_PIN_LEN];
  size_t frame_max;
  SoupSession *session; /* owned */
  SoupMessage *message; /* owned; the HTTP request that became the WebSocket */
  GCancellable *cancel; /* owned; of the dialling, which may outlive the PhWebsocket */
  SoupWebsocketConnection *connection; /* owned; NULL until open */
  PhAddr local, remote; /* of the TCP connection; unset until there is one */
  bool ended;
};

static void
end (PhWebsocket *self, PhWebsocketEnd how, uint16_t close_code, const char *why)
{
  if (self->ended)
    return;
  self->ended = true;
  self->callbacks.ended (self->user, how, close_code, why);
}

/* --- TLS ---------------------------------------------------------------------------------------- */

static bool
is_pinned (const PhWebsocket *self, GTlsCertificate *certificate)
{
  uint8_t pin[PH_RENDEZVOUS_PIN_LEN];

  return certificate != NULL && ph_tls_pin (certificate, pin)
         && memcmp (pin, self->pin, sizeof pin) == 0;
}

/* Asked about certificates that no authority vouches for. */
static gboolean
on_accept_certificate (SoupMessage *message, GTlsCertificate *certificate,
                       GTlsCertificateFlags errors, void *user)
{
  PhWebsocket *self = user;

  return self->pinned && is_pinned (self, certificate);
}

/* --- The connection below ----------------------------------------------------------------------- */

static void
on_network_event (SoupMessage *message, GSocketClientEvent event, GIOStream *stream, void *user)
{
  PhWebsocket *self = user;
  g_autoptr (GSocketAddress) local = NULL;
  g_autoptr (GSocketAddress) remote = NULL;
  PhSockaddr name;

  if (event != G_SOCKET_CLIENT_CONNECTED || !G_IS_SOCKET_CONNECTION (stream))
    return;
  local = g_socket_connection_get_local_address (G_SOCKET_CONNECTION (stream), NULL);
  if (local != NULL && g_socket_address_to_native (local, &name, sizeof name, NULL))
    self->local = ph_sockaddr_to_addr (&name.sa);
  remote = g_socket_connection_get_remote_address (G_SOCKET_CONNECTION (stream), NULL);
  if (remote != NULL && g_socket_address_to_native (remote, &name, sizeof name, NULL))
    self->remote = ph_sockaddr_to_addr (&name.sa);
}

bool
ph_websocket_remote (const PhWebsocket *self, PhAddr *ret_remote)
{
  if (self->connection == NULL || !ph_addr_is_set (&self->remote))
    return false;
  *ret_remote = self->remote;
  return true;
}

bool
ph_websocket_is_stranded (const PhWebsocket *self)
{
  PhAddr any_port = self->local;
  PhSockaddr name;
  socklen_t len;
  bool stranded;
  int fd;

  if (self->connection == NULL || !ph_addr_is_set (&self->local))
    return false;
  /* The kernel knows best what is an address of its own. */
  any_port.port = 0;
  len = ph_sockaddr_from_addr (&any_port, &name);
  fd = socket (name.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return false;
  stranded = bind (fd, &name.sa, len) != 0 && errno == EADDRNOTAVAIL;
  close (fd);
  return stranded;
}

/* --- Open --------------------------------------------------------------------------------------- */

static void
on_message (SoupWebsocketConnection *connection, int type, GBytes *bytes, void *user)
{
  PhWebsocket *self = user;
  gsize len;
  const void *data = g_bytes_get_data (bytes, &len);

  /* Binary frames say nothing in this protocol. */
  if (type == SOUP_WEBSOCKET_DATA_TEXT && !self->ended)
    self->callbacks.text (self->user, ph_slice (data, len));
}

static void
on_closed (SoupWebsocketConnection *connection, void *user)
{
  PhWebsocket *self = user;
  const char *reason = soup_websocket_connection_get_close_data (connection);

  end (self, PH_WEBSOCKET_CLOSED, (uint16_t)soup_websocket_connection_get_close_code (connection),
       reason != NULL && *reason != '\0' ? reason : "connection closed");
}

static PhWebsocketEnd
judge_failure (const PhWebsocket *self, const GError *error)
{
  if (error->domain == G_TLS_ERROR)
    return PH_WEBSOCKET_NOT_TRUSTED;
  /* An HTTP status means that a server answered, and not as one of ours. */
  if (error->domain == SOUP_WEBSOCKET_ERROR || soup_message_get_status (self->message) != 0)
    return PH_WEBSOCKET_REFUSED;
  return PH_WEBSOCKET_UNREACHABLE;
}

static void
on_connected (GObject *source, GAsyncResult *result, void *user)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SoupWebsocketConnection) connection =
      soup_session_websocket_connect_finish (SOUP_SESSION (source), result, &error);

  /* Cancelled: `user` is gone. */
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;

  PhWebsocket *self = user;

  if (connection != NULL && g_cancellable_is_cancelled (self->cancel))
    return;
  if (connection == NULL) {
    end (self, judge_failure (self, error), 0, error->message);
    return;
  }
  /* An authority's word does not replace the pin. */
  if (self->pinned && !is_pinned (self, soup_message_get_tls_peer_certificate (self->message))) {
    soup_websocket_connection_close (connection, SOUP_WEBSOCKET_CLOSE_POLICY_VIOLATION, NULL);
    end (self, PH_WEBSOCKET_NOT_TRUSTED, 0, "the server's key is not the pinned one");
    return;
  }
  if (soup_websocket_connection_get_protocol (connection) == NULL) {
    soup_websocket_connection_close (connection, SOUP_WEBSOCKET_CLOSE_PROTOCOL_ERROR, NULL);
    end (self, PH_WEBSOCKET_REFUSED, 0, "the server does not know the subprotocol");
    return;
  }
  self->connection = g_steal_pointer (&connection);
  soup_websocket_connection_set_max_incoming_payload_size (self->connection, self->frame_max);
  g_signal_connect (self->connection, "message", G_CALLBACK (on_message), self);
  g_signal_connect (self->connection, "closed", G_CALLBACK (on_closed), self);
  self->callbacks.open (self->user);
}

/* ------------------------------------------------------------------------------------------------ */

PhWebsocket *
ph_websocket_new (const PhWebsocketConfig *config, const PhWebsocketCallbacks *callbacks,
                  void *user)
{
  PhWebsocket *self = g_new0 (PhWebsocket, 1);
  char *protocols[] = {(char *)config->subprotocol, NULL};

  self->callbacks = *callbacks;
  self->user = user;
  self->frame_max = config->frame_max;
  if (config->pin != NULL) {
    self->pinned = true;
    memcpy (self->pin, config->pin, sizeof self->pin);
  }
  self->cancel = g_cancellable_new ();
  /* A session for one connection: nothing is pooled, and freeing it ends everything. The owner has its
   * own idea of how long things may take. */
  self->session = soup_session_new_with_options ("timeout", 0, "idle-timeout", 0,
                                                 "remote-connectable", config->address, NULL);
  /* Compression spends memory on small frames and lets a small one grow large. */
  soup_session_remove_feature_by_type (self->session, SOUP_TYPE_WEBSOCKET_EXTENSION_MANAGER);
  self->message = soup_message_new (SOUP_METHOD_GET, config->url);
  g_assert (self->message != NULL);
  g_signal_connect (self->message, "accept-certificate", G_CALLBACK (on_accept_certificate), self);
  g_signal_connect (self->message, "network-event", G_CALLBACK (on_network_event), self);
  soup_session_websocket_connect_async (self->session, self->message, NULL, protocols,
                                        G_PRIORITY_DEFAULT, self->cancel, on_connected, self);
  return self;
}

void
ph_websocket_free (PhWebsocket *self)
{
  if (self == NULL)
    return;
  self->ended = true;
  g_signal_handlers_disconnect_by_data (self->message, self);
  g_cancellable_cancel (self->cancel);
  if (self->connection != NULL) {
    g_signal_handlers_disconnect_by_data (self->connection, self);
    if (soup_websocket_connection_get_state (self->connection) == SOUP_WEBSOCKET_STATE_OPEN)
      soup_websocket_connection_close (self->connection, SOUP_WEBSOCKET_CLOSE_GOING_AWAY, NULL);
    g_object_unref (self->connection);
  }
  g_object_unref (self->message);
  g_object_unref (self->session);
  g_object_unref (self->cancel);
  g_free (self);
}

void
ph_websocket_send (PhWebsocket *self, const char *text)
{
  if (self->connection != NULL
      && soup_websocket_connection_get_state (self->connection) == SOUP_WEBSOCKET_STATE_OPEN)
    soup_websocket_connection_send_text (self->connection, text);
}
