/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The real porthole-rendezvous on loopback, with real WebSocket clients. */

#include "net/io/ph-clock.h"
#include "net/io/ph-rendezvous-driver.h"
#include "net/io/ph-system-random.h"
#include "tests/support/ph-test.h"

#include <libsoup/soup.h>
#include <sched.h>
#include <signal.h>

/* --- The server --------------------------------------------------------------------------------- */

typedef struct {
  GSubprocess *process;
  PhRendezvousAddress address;
} Server;

static char *
server_path (void)
{
  return g_build_filename (g_getenv ("TOP_BUILDDIR"), "net/rendezvous/porthole-rendezvous", NULL);
}

static Server
server_start (const char *const *extra, const char *listen)
{
  g_autofree char *path = server_path ();
  g_autoptr (GPtrArray) args = g_ptr_array_new ();
  g_autoptr (GError) error = NULL;
  Server server;

  g_ptr_array_add (args, path);
  g_ptr_array_add (args, (char *)"--listen");
  g_ptr_array_add (args, (char *)listen);
  for (; extra != NULL && *extra != NULL; extra++)
    g_ptr_array_add (args, (char *)*extra);
  g_ptr_array_add (args, NULL);
  server.process = g_subprocess_newv (
      (const char *const *)args->pdata,
      G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_SILENCE, &error);
  g_assert_no_error (error);

  g_autoptr (GDataInputStream) out =
      g_data_input_stream_new (g_subprocess_get_stdout_pipe (server.process));
  g_autofree char *line = g_data_input_stream_read_line (out, NULL, NULL, &error);

  g_filter_input_stream_set_close_base_stream (G_FILTER_INPUT_STREAM (out), FALSE);
  g_assert_no_error (error);
  g_assert_nonnull (line);
  g_assert_cmpint (ph_rendezvous_address_parse (line, &server.address), ==,
                   PH_RENDEZVOUS_ADDRESS_OK);
  return server;
}

static void
server_stop (Server *server)
{
  g_autoptr (GError) error = NULL;

  g_subprocess_send_signal (server->process, SIGTERM);
  g_subprocess_wait (server->process, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (g_subprocess_get_if_exited (server->process));
  g_assert_cmpint (g_subprocess_get_exit_status (server->process), ==, 0);
  g_clear_object (&server->process);
}

/* --- Clients ------------------------------------------------------------------------------------ */

typedef struct {
  PhIdentity identity;
  PhRendezvousDriver *driver;
  unsigned onlines;
  unsigned offlines;
  unsigned delivered;
  unsigned knocked;
  PhRendezvousCode code; /* of the last OFFLINE or KNOCKED */
  char *body; /* of the last signal */
  char *name; /* of the last ACCEPTED or INVITATION_USED */
} Client;

static void
on_event (void *user, PhTime now, const PhRendezvousEvent *event)
{
  Client *client = user;

  switch (event->type) {
  case PH_RENDEZVOUS_EVENT_ONLINE:
    client->onlines++;
    break;
  case PH_RENDEZVOUS_EVENT_OFFLINE:
    client->offlines++;
    client->code = event->code;
    break;
  case PH_RENDEZVOUS_EVENT_KNOCKED:
    client->knocked++;
    client->code = event->code;
    break;
  case PH_RENDEZVOUS_EVENT_SIGNAL:
    g_free (client->body);
    client->body = g_strndup ((const char *)event->body.data, event->body.len);
    break;
  case PH_RENDEZVOUS_EVENT_SIGNAL_DELIVERED:
    client->delivered++;
    break;
  case PH_RENDEZVOUS_EVENT_ACCEPTED:
  case PH_RENDEZVOUS_EVENT_INVITATION_USED:
    g_free (client->name);
    client->name = g_strdup (event->name);
    break;
  default:
    break;
  }
}

static void
client_init (Client *client, const PhRendezvousAddress *address, const char *name)
{
  memset (client, 0, sizeof *client);

  const PhRendezvousClientConfig config = {
      .identity = &client->identity,
      .address = *address,
      .name = name,
      .random = ph_system_random (),
  };

  ph_identity_generate (&client->identity, &config.random);
  client->driver = ph_rendezvous_driver_new (&config, on_event, client);
}

static PhRendezvousClient *
core (Client *client)
{
  return ph_rendezvous_driver_client (client->driver);
}

static void
client_start (Client *client)
{
  ph_rendezvous_client_start (core (client), ph_clock_now ());
  ph_rendezvous_driver_settle (client->driver);
}

static void
client_watch (Client *client, const Client *other)
{
  g_assert_true (ph_rendezvous_client_watch (core (client), ph_clock_now (), &other->identity.id));
  ph_rendezvous_driver_settle (client->driver);
}

static void
client_say (Client *client, const Client *other, const char *text)
{
  ph_rendezvous_client_send (core (client), ph_clock_now (), &other->identity.id,
                             ph_slice_string (text));
  ph_rendezvous_driver_settle (client->driver);
}

static void
client_clear (Client *client)
{
  ph_rendezvous_driver_free (client->driver);
  ph_identity_wipe (&client->identity);
  g_free (client->body);
  g_free (client->name);
}

/* --- Raw WebSockets ----------------------------------------------------------------------------- */

typedef struct {
  SoupSession *session;
  SoupWebsocketConnection *socket;
  char *heard; /* the last frame */
  bool connected; /* or failed to */
  bool closed;
  unsigned code;
} Raw;

static void
on_raw_message (SoupWebsocketConnection *socket, int type, GBytes *bytes, void *user)
{
  Raw *raw = user;

  g_free (raw->heard);
  raw->heard = g_strndup (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
}

static void
on_raw_closed (SoupWebsocketConnection *socket, void *user)
{
  Raw *raw = user;

  raw->closed = true;
  raw->code = soup_websocket_connection_get_close_code (socket);
}

static void
on_raw_connected (GObject *source, GAsyncResult *result, void *user)
{
  Raw *raw = user;

  raw->socket = soup_session_websocket_connect_finish (SOUP_SESSION (source), result, NULL);
  raw->connected = true;
  if (raw->socket == NULL)
    return;
  g_signal_connect (raw->socket, "message", G_CALLBACK (on_raw_message), raw);
  g_signal_connect (raw->socket, "closed", G_CALLBACK (on_raw_closed), raw);
}

static void
raw_dial_with (Raw *raw, const PhRendezvousAddress *address, const char *protocol,
               const char *header)
{
  char *protocols[] = {(char *)protocol, NULL};
  g_autoptr (SoupMessage) message = soup_message_new ("GET", address->url);

  if (header != NULL)
    soup_message_headers_append (soup_message_get_request_headers (message), header,
                                 "198.51.100.9");
  memset (raw, 0, sizeof *raw);
  raw->session = soup_session_new ();
  soup_session_websocket_connect_async (raw->session, message, NULL,
                                        protocol != NULL ? protocols : NULL, G_PRIORITY_DEFAULT,
                                        NULL, on_raw_connected, raw);
}

static void
raw_dial (Raw *raw, const PhRendezvousAddress *address, const char *protocol)
{
  raw_dial_with (raw, address, protocol, NULL);
}

static void
raw_open (Raw *raw, const PhRendezvousAddress *address)
{
  raw_dial (raw, address, PH_RENDEZVOUS_SUBPROTOCOL);
  PH_TEST_WAIT_FOR (raw->connected);
  g_assert_nonnull (raw->socket);
  PH_TEST_WAIT_FOR (raw->heard != NULL || raw->closed);
}

static void
raw_clear (Raw *raw)
{
  if (raw->socket != NULL)
    g_signal_handlers_disconnect_by_data (raw->socket, raw);
  g_clear_object (&raw->socket);
  g_clear_object (&raw->session);
  g_free (raw->heard);
}

static void
raw_close (Raw *raw)
{
  if (!raw->closed
      && soup_websocket_connection_get_state (raw->socket) == SOUP_WEBSOCKET_STATE_OPEN)
    soup_websocket_connection_close (raw->socket, SOUP_WEBSOCKET_CLOSE_NORMAL, NULL);
  PH_TEST_WAIT_FOR (raw->closed);
  raw_clear (raw);
}

/* --- Tests -------------------------------------------------------------------------------------- */

static void
test_two_clients (void)
{
  Server server = server_start (NULL, "127.0.0.1:0");
  Client alice;
  Client bob;
  PhInvitation invitation;
  const PhRandom random = ph_system_random ();

  g_assert_false (server.address.tls);
  client_init (&alice, &server.address, "Alice");
  client_init (&bob, &server.address, "Bob");
  client_start (&alice);
  client_start (&bob);
  PH_TEST_WAIT_FOR (alice.onlines == 1 && bob.onlines == 1);

  ph_invitation_make (&invitation, &alice.identity.id, &server.address, "Alice", &random);
  ph_rendezvous_client_invite (core (&alice), ph_clock_now (), &invitation, 60 * PH_SEC);
  ph_rendezvous_driver_settle (alice.driver);
  /* Through the same server, so the acceptance comes after the invitation or is told that it is
   * unknown; the order of two connections is not ours. */
  client_watch (&alice, &bob);
  client_watch (&bob, &alice);
  PH_TEST_WAIT_FOR (ph_rendezvous_client_is_online (core (&alice), &bob.identity.id)
                    && ph_rendezvous_client_is_online (core (&bob), &alice.identity.id));
  ph_rendezvous_client_accept (core (&bob), ph_clock_now (), &invitation);
  ph_rendezvous_driver_settle (bob.driver);
  PH_TEST_WAIT_FOR (alice.name != NULL && bob.name != NULL);
  g_assert_cmpstr (alice.name, ==, "Bob");
  g_assert_cmpstr (bob.name, ==, "Alice");

  client_say (&alice, &bob, "hello");
  PH_TEST_WAIT_FOR (bob.body != NULL && alice.delivered == 1);
  g_assert_cmpstr (bob.body, ==, "hello");

  client_clear (&bob);
  PH_TEST_WAIT_FOR (!ph_rendezvous_client_is_online (core (&alice), &bob.identity.id));
  client_clear (&alice);
  server_stop (&server);
}

/* What was said while it was away arrives. */
static void
test_server_restarts (void)
{
  Server server = server_start (NULL, "127.0.0.1:0");
  g_autofree char *listen = g_strdup (strstr (server.address.origin, "://") + 3);
  Client alice;
  Client bob;

  client_init (&alice, &server.address, "Alice");
  client_init (&bob, &server.address, "Bob");
  client_watch (&alice, &bob);
  client_watch (&bob, &alice);
  client_start (&alice);
  client_start (&bob);
  PH_TEST_WAIT_FOR (ph_rendezvous_client_is_online (core (&alice), &bob.identity.id));

  server_stop (&server);
  PH_TEST_WAIT_FOR (alice.offlines == 1 && bob.offlines == 1);
  g_assert_cmpint (alice.code, ==, PH_RENDEZVOUS_SHUTTING_DOWN);
  client_say (&alice, &bob, "meanwhile");
  server = server_start (NULL, listen);
  PH_TEST_WAIT_FOR (bob.body != NULL && alice.delivered == 1);
  g_assert_cmpstr (bob.body, ==, "meanwhile");

  client_clear (&alice);
  client_clear (&bob);
  server_stop (&server);
}

static void
ip (const char *arguments)
{
  g_autofree char *line = g_strconcat ("ip ", arguments, NULL);
  g_autoptr (GError) error = NULL;
  int status;

  g_spawn_command_line_sync (line, NULL, NULL, &status, &error);
  g_assert_no_error (error);
  g_assert_cmpint (status, ==, 0);
}

/* The address that the connection leaves from is gone: nobody waits for the end of that connection. Where it is
 * still there the connection stays. */
static void
test_address_gone (void)
{
  Server server;
  Client alice;

  ip ("address add 10.77.0.1/32 dev lo");
  ip ("address add 10.77.0.2/32 dev lo");
  ip ("route replace local 10.77.0.1 dev lo table local src 10.77.0.2");
  server = server_start (NULL, "10.77.0.1:0");
  client_init (&alice, &server.address, "Alice");
  client_start (&alice);
  PH_TEST_WAIT_FOR (alice.onlines == 1);
  ph_rendezvous_driver_network_changed (alice.driver);
  g_assert_cmpint (ph_rendezvous_client_state (core (&alice)), ==, PH_RENDEZVOUS_ONLINE);

  ip ("address delete 10.77.0.2/32 dev lo");
  ip ("route replace local 10.77.0.1 dev lo table local src 10.77.0.1");
  ph_rendezvous_driver_network_changed (alice.driver);
  g_assert_cmpint (ph_rendezvous_client_state (core (&alice)), ==, PH_RENDEZVOUS_CONNECTING);
  PH_TEST_WAIT_FOR (alice.onlines == 2);
  g_assert_cmpuint (alice.offlines, ==, 1);
  g_assert_cmpint (alice.code, ==, PH_RENDEZVOUS_LOST);

  client_clear (&alice);
  server_stop (&server);
}

/* --- Knocks ------------------------------------------------------------------------------------- */

/* Two addresses of the internet on this computer: the server's, and the one that clients come from. */
typedef struct {
  const char *server;
  const char *client;
} Internet;

static const Internet internet4 = {"192.0.2.1", "198.51.100.1"};
static const Internet internet6 = {"2001:db8::1", "2001:db8:7::1"};

static void
make_internet (const Internet *internet)
{
  const bool ipv6 = strchr (internet->server, ':') != NULL;
  g_autofree char *server =
      g_strdup_printf ("address replace %s/%d dev lo", internet->server, ipv6 ? 128 : 32);
  g_autofree char *client =
      g_strdup_printf ("address replace %s/%d dev lo", internet->client, ipv6 ? 128 : 32);
  g_autofree char *route = g_strdup_printf ("route replace local %s dev lo table local src %s",
                                            internet->server, internet->client);

  g_autofree char *kernels =
      g_strdup_printf ("route delete local %s dev lo table local", internet->server);

  ip (server);
  ip (client);
  if (ipv6) /* a second route there would be one that nobody takes */
    ip (kernels);
  ip (route);
}

static Server
internet_server (const Internet *internet, const char *const *options)
{
  g_autofree char *listen = g_strdup_printf (
      strchr (internet->server, ':') != NULL ? "[%s]:0" : "%s:0", internet->server);

  make_internet (internet);
  return server_start (options, listen);
}

typedef struct {
  GSocketListener *listener;
  uint16_t port;
  GSocketConnection *connection;
  char from[PH_ADDR_STRING_MAX];
  uint8_t bytes[2 * PH_RENDEZVOUS_GREETING_LEN];
  gsize len;
  bool closed;
} Ear;

static void
on_heard (GObject *source, GAsyncResult *result, void *user)
{
  Ear *ear = user;

  g_input_stream_read_all_finish (G_INPUT_STREAM (source), result, &ear->len, NULL);
  ear->closed = true;
}

static void
on_accepted (GObject *source, GAsyncResult *result, void *user)
{
  Ear *ear = user;
  g_autoptr (GSocketAddress) remote = NULL;
  g_autofree char *text = NULL;

  ear->connection =
      g_socket_listener_accept_finish (G_SOCKET_LISTENER (source), result, NULL, NULL);
  if (ear->connection == NULL)
    return;
  remote = g_socket_connection_get_remote_address (ear->connection, NULL);
  text =
      g_inet_address_to_string (g_inet_socket_address_get_address (G_INET_SOCKET_ADDRESS (remote)));
  g_strlcpy (ear->from, text, sizeof ear->from);
  g_input_stream_read_all_async (g_io_stream_get_input_stream (G_IO_STREAM (ear->connection)),
                                 ear->bytes, sizeof ear->bytes, G_PRIORITY_DEFAULT, NULL, on_heard,
                                 ear);
}

static void
ear_open (Ear *ear, const Internet *internet)
{
  g_autoptr (GSocketAddress) address = g_inet_socket_address_new_from_string (internet->client, 0);
  g_autoptr (GSocketAddress) bound = NULL;
  g_autoptr (GError) error = NULL;

  memset (ear, 0, sizeof *ear);
  ear->listener = g_socket_listener_new ();
  g_socket_listener_add_address (ear->listener, address, G_SOCKET_TYPE_STREAM,
                                 G_SOCKET_PROTOCOL_TCP, NULL, &bound, &error);
  g_assert_no_error (error);
  ear->port = g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (bound));
  g_socket_listener_accept_async (ear->listener, NULL, on_accepted, ear);
}

static void
ear_close (Ear *ear)
{
  if (ear->connection != NULL)
    PH_TEST_WAIT_FOR (ear->closed);
  g_socket_listener_close (ear->listener);
  while (g_main_context_iteration (NULL, FALSE)) /* the accept that is cancelled */
    ;
  g_clear_object (&ear->connection);
  g_clear_object (&ear->listener);
}

/* Who listens is connected to, hears the token and that it was all. Who does not is told so, as late. */
static void
test_knock (gconstpointer data)
{
  const Internet *internet = data;
  static const uint8_t token[PH_RENDEZVOUS_KNOCK_TOKEN_LEN] = "what I have said";
  uint8_t greeting[PH_RENDEZVOUS_GREETING_LEN];
  char text[PH_ADDR_STRING_MAX];
  PhAddr to, remote;
  Server server;
  Client alice;
  PhTime asked;
  Ear ear;

  server = internet_server (internet, NULL);
  client_init (&alice, &server.address, "Alice");
  client_start (&alice);
  PH_TEST_WAIT_FOR (alice.onlines == 1);
  g_assert_true (ph_rendezvous_client_can_knock (core (&alice), &to));
  g_assert_true (ph_rendezvous_driver_remote (alice.driver, &remote));
  g_assert_cmpstr (ph_addr_format_ip (&remote, text), ==, internet->server);
  g_assert_cmpstr (ph_addr_format_ip (&to, text), ==, internet->client);

  ear_open (&ear, internet);
  g_assert_cmpuint (ph_rendezvous_client_knock (core (&alice), ph_clock_now (), ear.port, token),
                    !=, 0);
  ph_rendezvous_driver_settle (alice.driver);
  PH_TEST_WAIT_FOR (ear.closed);
  ph_rendezvous_greeting (token, greeting);
  g_assert_cmpmem (ear.bytes, ear.len, greeting, sizeof greeting);
  g_assert_cmpstr (ear.from, ==, internet->server);
  g_assert_cmpuint (alice.knocked, ==, 0);
  ear_close (&ear);

  asked = ph_clock_now ();
  g_assert_cmpuint (ph_rendezvous_client_knock (core (&alice), asked, ear.port, token), !=, 0);
  ph_rendezvous_driver_settle (alice.driver);
  PH_TEST_WAIT_FOR (alice.knocked == 2);
  g_assert_cmpint (alice.code, ==, PH_RENDEZVOUS_OK);
  g_assert_cmpuint (ph_time_since (ph_clock_now (), asked), >=,
                    PH_RENDEZVOUS_KNOCK_TIME - PH_SEC / 10);

  /* In the midst of one the server ends, and so does the client. */
  ear_open (&ear, internet);
  g_assert_cmpuint (ph_rendezvous_client_knock (core (&alice), ph_clock_now (), ear.port, token),
                    !=, 0);
  ph_rendezvous_driver_settle (alice.driver);
  PH_TEST_WAIT_FOR (ear.connection != NULL);
  ear_close (&ear);
  server_stop (&server);
  client_clear (&alice);
}

static bool
may_knock (const PhRendezvousAddress *address, const char *header)
{
  PhIdentity identity;
  const PhRandom random = ph_system_random ();
  const PhRendezvousClientConfig config = {
      .identity = &identity,
      .address = *address,
      .name = "",
      .random = random,
  };
  g_autofree char *login = NULL;
  PhRendezvousClient *client;
  PhAddr to;
  Raw raw;
  bool may;

  ph_identity_generate (&identity, &random);
  client = ph_rendezvous_client_new (&config);
  ph_rendezvous_client_start (client, 1);
  g_assert_cmpint (ph_rendezvous_client_poll_request (client), ==, PH_RENDEZVOUS_REQUEST_CONNECT);
  raw_dial_with (&raw, address, PH_RENDEZVOUS_SUBPROTOCOL, header);
  PH_TEST_WAIT_FOR (raw.heard != NULL);
  ph_rendezvous_client_handle_open (client, 1);
  ph_rendezvous_client_handle_text (client, 1, ph_slice_string (raw.heard));
  login = ph_rendezvous_client_poll_text (client);
  soup_websocket_connection_send_text (raw.socket, login);
  PH_TEST_WAIT_FOR (strstr (raw.heard, "welcome") != NULL);
  ph_rendezvous_client_handle_text (client, 1, ph_slice_string (raw.heard));
  g_assert_cmpint (ph_rendezvous_client_state (client), ==, PH_RENDEZVOUS_ONLINE);
  may = ph_rendezvous_client_can_knock (client, &to);
  ph_rendezvous_client_free (client);
  raw_close (&raw);
  return may;
}

/* Whom the server does not see itself it does not knock at, and nobody if it shall not. */
static void
test_no_knock (void)
{
  static const char *const options[] = {"--no-knocks", NULL};
  Server server;

  server = internet_server (&internet4, NULL);
  g_assert_true (may_knock (&server.address, NULL));
  g_assert_false (may_knock (&server.address, "X-Forwarded-For"));
  g_assert_false (may_knock (&server.address, "Via"));
  g_assert_false (may_knock (&server.address, "Forwarded"));
  server_stop (&server);
  server = internet_server (&internet4, options);
  g_assert_false (may_knock (&server.address, NULL));
  server_stop (&server);
}

static void
test_tls (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autofree char *cert = g_build_filename (dir, "cert.pem", NULL);
  g_autofree char *key = g_build_filename (dir, "key.pem", NULL);
  const char *const openssl[] = {"openssl",  "req",      "-x509",   "-newkey",
                                 "rsa:2048", "-nodes",   "-addext", "subjectAltName=DNS:localhost",
                                 "-subj",    "/CN=test", "-days",   "2",
                                 "-keyout",  key,        "-out",    cert,
                                 NULL};
  g_autoptr (GError) error = NULL;
  g_autoptr (GSubprocess) process = g_subprocess_newv (
      openssl, G_SUBPROCESS_FLAGS_STDERR_SILENCE | G_SUBPROCESS_FLAGS_STDOUT_SILENCE, &error);

  g_assert_no_error (error);
  g_assert_true (g_subprocess_wait_check (process, NULL, NULL));

  const char *const extra[] = {"--tls-cert", cert, "--tls-key", key, NULL};
  Server server = server_start (extra, "127.0.0.1:0");
  PhRendezvousAddress wrong = server.address;
  PhRendezvousAddress unpinned = server.address;
  Client right_client;
  Client wrong_client;
  Client unpinned_client;

  g_assert_true (server.address.tls);
  g_assert_true (server.address.has_pin);
  wrong.pin[0] ^= 1;
  unpinned.has_pin = false;
  client_init (&right_client, &server.address, "");
  client_init (&wrong_client, &wrong, "");
  client_init (&unpinned_client, &unpinned, "");
  client_start (&right_client);
  client_start (&wrong_client);
  client_start (&unpinned_client);
  PH_TEST_WAIT_FOR (right_client.onlines == 1 && wrong_client.offlines == 1
                    && unpinned_client.offlines == 1);
  g_assert_cmpint (wrong_client.code, ==, PH_RENDEZVOUS_NOT_TRUSTED);
  g_assert_cmpint (unpinned_client.code, ==, PH_RENDEZVOUS_NOT_TRUSTED);
  client_clear (&right_client);
  client_clear (&wrong_client);
  client_clear (&unpinned_client);

  /* Dialled by the name in the certificate. */
  g_autofree char *listen = g_strdup (strstr (server.address.origin, "://") + 3);

  server_stop (&server);
  server = server_start (extra, listen);
  g_assert_cmpint (strncmp (server.address.origin, "wss://localhost:", 16), ==, 0);
  client_init (&right_client, &server.address, "");
  client_start (&right_client);
  PH_TEST_WAIT_FOR (right_client.onlines == 1);
  client_clear (&right_client);
  server_stop (&server);
}

static void
test_nobody_and_somebody_else (void)
{
  g_autoptr (SoupServer) other = soup_server_new (NULL, NULL);
  PhRendezvousAddress address;
  Client client;

  g_assert_true (soup_server_listen_local (other, 0, SOUP_SERVER_LISTEN_IPV4_ONLY, NULL));

  GSList *uris = soup_server_get_uris (other);
  g_autofree char *elsewhere =
      g_strdup_printf ("ws://127.0.0.1:%d/", g_uri_get_port ((GUri *)uris->data));

  g_slist_free_full (uris, (GDestroyNotify)g_uri_unref);
  g_assert_cmpint (ph_rendezvous_address_parse (elsewhere, &address), ==, PH_RENDEZVOUS_ADDRESS_OK);
  client_init (&client, &address, "");
  client_start (&client);
  PH_TEST_WAIT_FOR (client.offlines == 1);
  g_assert_cmpint (client.code, ==, PH_RENDEZVOUS_NOT_A_RENDEZVOUS);
  client_clear (&client);

  soup_server_disconnect (other);
  client_init (&client, &address, "");
  client_start (&client);
  PH_TEST_WAIT_FOR (client.offlines == 1);
  g_assert_cmpint (client.code, ==, PH_RENDEZVOUS_UNREACHABLE);
  client_clear (&client);
}

static void
test_misuse (void)
{
  Server server = server_start (NULL, "127.0.0.1:0");
  g_autofree char *large = g_strnfill (70000, 'x');
  g_autofree char *huge = g_strnfill (300000, 'x');
  const struct {
    const char *text;
    const char *heard; /* part of the last frame */
    unsigned code;
  } cases[] = {
      {"nonsense", "\"malformed\"", 1007},
      {"{\"type\":\"ping\"}", "\"not-logged-in\"", 4009},
      {"{\"type\":\"login\"}", "\"malformed\"", 1007},
      {large, "\"too-large\"", 1009},
      {huge, "challenge", 0 /* libsoup stops reading: 1009, or a reset that swallows it */},
      {NULL, "\"unsupported\"", 1003},
  };
  Raw raw;
  Client client;

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    raw_open (&raw, &server.address);
    if (cases[i].text != NULL)
      soup_websocket_connection_send_text (raw.socket, cases[i].text);
    else
      soup_websocket_connection_send_binary (raw.socket, "x", 1);
    PH_TEST_WAIT_FOR (raw.closed);
    g_test_message ("case %zu: %s", i, raw.heard);
    if (cases[i].code != 0 || raw.code != 1009)
      g_assert_cmpuint (raw.code, ==, cases[i].code);
    g_assert_nonnull (strstr (raw.heard, cases[i].heard));
    raw_clear (&raw);
  }

  /* Neither another subprotocol nor none. */
  raw_dial (&raw, &server.address, "chat");
  PH_TEST_WAIT_FOR (raw.connected);
  g_assert_true (raw.socket == NULL);
  raw_clear (&raw);
  raw_dial (&raw, &server.address, NULL);
  PH_TEST_WAIT_FOR (raw.connected && (raw.socket == NULL || raw.closed));
  raw_clear (&raw);

  /* The server has stayed up. */
  client_init (&client, &server.address, "");
  client_start (&client);
  PH_TEST_WAIT_FOR (client.onlines == 1);
  client_clear (&client);
  server_stop (&server);
}

static void
test_connection_flood (void)
{
  const char *const extra[] = {"--max-per-address", "8", NULL};
  Server server = server_start (extra, "127.0.0.1:0");
  Raw raws[12];
  unsigned refused = 0;

  for (unsigned i = 0; i < G_N_ELEMENTS (raws); i++)
    raw_open (&raws[i], &server.address);
  for (unsigned i = 0; i < G_N_ELEMENTS (raws); i++) {
    if (strstr (raws[i].heard, "too-many-connections") == NULL)
      continue;
    PH_TEST_WAIT_FOR (raws[i].closed);
    g_assert_cmpuint (raws[i].code, ==, 4007);
    refused++;
  }
  g_assert_cmpuint (refused, ==, 4);
  for (unsigned i = 0; i < G_N_ELEMENTS (raws); i++)
    raw_close (&raws[i]);

  /* Who has gone is not counted any more. */
  for (unsigned i = 0; i < 40; i++) {
    raw_open (&raws[0], &server.address);
    g_assert_nonnull (strstr (raws[0].heard, "challenge"));
    raw_close (&raws[0]);
  }
  server_stop (&server);
}

/* One message in fragments without end: what has been read of it is bounded. */
static void
test_endless_message (void)
{
  Server server = server_start (NULL, "127.0.0.1:0");
  const char *host = strstr (server.address.origin, "://") + 3;
  g_autoptr (GSocketClient) client = g_socket_client_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (GSocketConnection) connection =
      g_socket_client_connect_to_host (client, host, 80, NULL, &error);
  GOutputStream *out = g_io_stream_get_output_stream (G_IO_STREAM (connection));
  g_autofree char *request = g_strdup_printf (
      "GET / HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Protocol: " PH_RENDEZVOUS_SUBPROTOCOL "\r\n\r\n",
      host);
  g_autofree uint8_t *frame = g_malloc0 (8 + 60000);
  uint64_t sent = 0;

  g_assert_no_error (error);
  g_assert_true (g_output_stream_write_all (out, request, strlen (request), NULL, NULL, &error));
  for (bool first = true; sent < 64 * 1024 * 1024; first = false) {
    frame[0] = first ? 0x01 : 0x00; /* text, then continuation; never the last */
    frame[1] = 0x80 | 126;
    frame[2] = 60000 >> 8;
    frame[3] = 60000 & 0xff;
    if (!g_output_stream_write_all (out, frame, 8 + 60000, NULL, NULL, NULL))
      break;
    sent += 60000;
  }
  /* The kernel's buffers take some megabytes more than the server read. */
  g_assert_cmpuint (sent, <, 32 * 1024 * 1024);
  server_stop (&server);
}

static void
test_command_line (void)
{
  Server server = server_start (NULL, "127.0.0.1:0");
  const char *taken = strstr (server.address.origin, "://") + 3;
  const struct {
    const char *const args[5];
    int status;
    const char *says;
  } cases[] = {
      {{"--listen", taken}, 1, "in use"},
      {{"--listen", "127.0.0.1"}, 2, "--listen takes"},
      {{"--listen", "nonsense"}, 2, "--listen takes"},
      {{"--listen", "192.0.2.77:1"}, 1, "cannot listen on 192.0.2.77:1"},
      {{"--redis", "redis://x"}, 2, "not there yet"},
      {{"--nonsense"}, 2, "--nonsense"},
      {{"--listen", "127.0.0.1:0", "--stun-uri", "turn:x"}, 2, "no STUN URI"},
      {{"--listen", "127.0.0.1:0", "--tls-cert", "/nonexistent"}, 1, "belong together"},
      {{"--listen", "127.0.0.1:0", "--turn-secret-file", "/nonexistent"}, 1, "TURN secret"},
      {{"--listen", "127.0.0.1:0", "--origin", "http://x"}, 2, "no address"},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *path = server_path ();
    const char *args[8] = {path};
    g_autoptr (GError) error = NULL;
    g_autofree char *err = NULL;

    for (unsigned k = 0; k < 5; k++)
      args[k + 1] = cases[i].args[k];

    g_autoptr (GSubprocess) process = g_subprocess_newv (
        args, G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_PIPE, &error);

    g_assert_no_error (error);
    g_assert_true (g_subprocess_communicate_utf8 (process, NULL, NULL, NULL, &err, &error));
    g_test_message ("%s", err);
    g_assert_nonnull (strstr (err, cases[i].says));
    g_assert_cmpint (g_subprocess_get_exit_status (process), ==, cases[i].status);
  }
  server_stop (&server);
}

/* What it says first, on standard error, where a program may have so many descriptors. */
static char *
complaint (const char *limit)
{
  g_autofree char *path = server_path ();
  g_autoptr (GError) error = NULL;
  g_autoptr (GSubprocess) process =
      g_subprocess_new (G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_PIPE, &error,
                        "prlimit", limit, path, "--listen", "127.0.0.1:0", NULL);

  g_assert_no_error (error);

  g_autoptr (GDataInputStream) err =
      g_data_input_stream_new (g_subprocess_get_stderr_pipe (process));
  char *line = g_data_input_stream_read_line (err, NULL, NULL, &error);

  g_assert_no_error (error);
  g_assert_nonnull (line);
  g_subprocess_send_signal (process, SIGTERM);
  g_assert_true (g_subprocess_wait (process, NULL, NULL));
  return line;
}

static void
test_few_descriptors (void)
{
  g_autofree char *some = complaint ("--nofile=100:1000");
  g_autofree char *few = complaint ("--nofile=100:100");

  g_assert_nonnull (strstr (some, "there is room for 600 connections"));
  g_assert_nonnull (strstr (some, "which is 1000 (ulimit -n, LimitNOFILE=)"));
  g_assert_nonnull (strstr (few, "192 descriptors are needed at least"));
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  signal (SIGPIPE, SIG_IGN);
  /* Other tests that run at the same time shall not see an address come and go. */
  g_assert_cmpint (unshare (CLONE_NEWNET), ==, 0);
  ip ("link set lo up");
  g_test_add_func ("/rendezvous-io/two-clients", test_two_clients);
  g_test_add_func ("/rendezvous-io/server-restarts", test_server_restarts);
  g_test_add_func ("/rendezvous-io/address-gone", test_address_gone);
  g_test_add_data_func ("/rendezvous-io/knock/ipv4", &internet4, test_knock);
  g_test_add_data_func ("/rendezvous-io/knock/ipv6", &internet6, test_knock);
  g_test_add_func ("/rendezvous-io/no-knock", test_no_knock);
  g_test_add_func ("/rendezvous-io/tls", test_tls);
  g_test_add_func ("/rendezvous-io/nobody-and-somebody-else", test_nobody_and_somebody_else);
  g_test_add_func ("/rendezvous-io/misuse", test_misuse);
  g_test_add_func ("/rendezvous-io/connection-flood", test_connection_flood);
  g_test_add_func ("/rendezvous-io/endless-message", test_endless_message);
  g_test_add_func ("/rendezvous-io/command-line", test_command_line);
  g_test_add_func ("/rendezvous-io/few-descriptors", test_few_descriptors);
  return g_test_run ();
}
