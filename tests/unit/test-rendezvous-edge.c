/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The rendezvous server's sockets in this program, with clients of ours and with frames made by hand. */

#include "net/io/ph-clock.h"
#include "net/io/ph-rendezvous-driver.h"
#include "net/io/ph-system-random.h"
#include "net/io/ph-tls-pin.h"
#include "net/rendezvous/ph-rooms-edge.h"
#include "net/signal/ph-base64.h"
#include "tests/support/ph-test.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

/* --- The server --------------------------------------------------------------------------------- */

static unsigned n_told_full;

static void
on_trace (void *user, PhTime now, const char *module, const char *line)
{
  n_told_full += strstr (line, "no more are taken") != NULL;
}

static PhRoomsEdge *
edge_start (PhRoomsEdgeConfig *config)
{
  g_autoptr (GError) error = NULL;
  PhRoomsEdge *edge;

  n_told_full = 0;
  config->listen = ph_addr_ipv4 (127, 0, 0, 1, 0);
  config->rooms.random = ph_system_random ();
  config->rooms.trace = (PhTrace){on_trace, NULL};
  edge = ph_rooms_edge_new (config, &error);
  g_assert_no_error (error);
  return edge;
}

static PhRendezvousAddress
edge_address (const PhRoomsEdge *edge, GTlsCertificate *certificate)
{
  PhRendezvousAddress address;
  g_autofree char *url = g_strdup_printf ("%s://127.0.0.1:%u/", certificate != NULL ? "wss" : "ws",
                                          (unsigned)ph_rooms_edge_local (edge)->port);

  g_assert_cmpint (ph_rendezvous_address_parse (url, &address), ==, PH_RENDEZVOUS_ADDRESS_OK);
  if (certificate != NULL)
    address.has_pin = ph_tls_pin (certificate, address.pin);
  return address;
}

/* --- Clients ------------------------------------------------------------------------------------ */

#define MANY 40

typedef struct {
  PhIdentity identity;
  PhRendezvousDriver *driver;
  unsigned onlines;
  unsigned offlines;
  unsigned others; /* contacts that are online */
  unsigned signals;
} Client;

static void
on_event (void *user, PhTime now, const PhRendezvousEvent *event)
{
  Client *client = user;

  client->onlines += event->type == PH_RENDEZVOUS_EVENT_ONLINE;
  client->offlines += event->type == PH_RENDEZVOUS_EVENT_OFFLINE;
  client->signals += event->type == PH_RENDEZVOUS_EVENT_SIGNAL;
  if (event->type == PH_RENDEZVOUS_EVENT_PRESENCE)
    client->others += event->online ? 1 : -1u;
}

static void
client_start (Client *client, const PhRendezvousAddress *address)
{
  const PhRendezvousClientConfig config = {
      .identity = &client->identity,
      .address = *address,
      .name = "",
      .random = ph_system_random (),
  };

  client->driver = ph_rendezvous_driver_new (&config, on_event, client);
  ph_rendezvous_client_start (ph_rendezvous_driver_client (client->driver), ph_clock_now ());
  ph_rendezvous_driver_settle (client->driver);
}

static void
client_watch (Client *client, const Client *other)
{
  ph_rendezvous_client_watch (ph_rendezvous_driver_client (client->driver), ph_clock_now (),
                              &other->identity.id);
  ph_rendezvous_driver_settle (client->driver);
}

static void
client_say (Client *client, const Client *other)
{
  ph_rendezvous_client_send (ph_rendezvous_driver_client (client->driver), ph_clock_now (),
                             &other->identity.id, ph_slice_string ("Are you there?"));
  ph_rendezvous_driver_settle (client->driver);
}

/* More than a shard takes, in a ring: each hears its neighbours come, speak and go. */
static void
meet (GTlsCertificate *certificate)
{
  PhRoomsEdgeConfig config = {.certificate = certificate};
  g_autoptr (PhRoomsEdge) edge = edge_start (&config);
  const PhRendezvousAddress address = edge_address (edge, certificate);
  const PhRandom random = ph_system_random ();
  g_autofree Client *clients = g_new0 (Client, MANY);

  for (unsigned i = 0; i < MANY; i++)
    ph_identity_generate (&clients[i].identity, &random);
  for (unsigned i = 0; i < MANY; i++) {
    client_start (&clients[i], &address);
    /* GIO shakes hands in threads of which there are few, and here for both ends. */
    PH_TEST_WAIT_FOR (clients[i].onlines == 1);
    client_watch (&clients[i], &clients[(i + 1) % MANY]);
    client_watch (&clients[i], &clients[(i + MANY - 1) % MANY]);
  }
  for (unsigned i = 0; i < MANY; i++)
    PH_TEST_WAIT_FOR (clients[i].others == 2);
  for (unsigned i = 0; i < MANY; i++)
    client_say (&clients[i], &clients[(i + 1) % MANY]);
  for (unsigned i = 0; i < MANY; i++)
    PH_TEST_WAIT_FOR (clients[i].signals == 1);
  for (unsigned i = 0; i < MANY; i += 2)
    ph_rendezvous_driver_free (clients[i].driver);
  for (unsigned i = 1; i < MANY; i += 2)
    PH_TEST_WAIT_FOR (clients[i].others == 0);
  for (unsigned i = 1; i < MANY; i += 2) {
    g_assert_cmpuint (clients[i].onlines, ==, 1);
    g_assert_cmpuint (clients[i].offlines, ==, 0);
  }

  /* All are told that it ends. */
  ph_rooms_edge_shut_down (edge);
  for (unsigned i = 1; i < MANY; i += 2)
    PH_TEST_WAIT_FOR (clients[i].offlines == 1);
  PH_TEST_WAIT_FOR (ph_rooms_edge_is_idle (edge));
  for (unsigned i = 1; i < MANY; i += 2)
    ph_rendezvous_driver_free (clients[i].driver);
}

static void
test_many (void)
{
  meet (NULL);
}

static GTlsCertificate *
make_certificate (void)
{
  g_autofree char *dir = ph_test_tmpdir ();
  g_autofree char *cert = g_build_filename (dir, "cert.pem", NULL);
  g_autofree char *key = g_build_filename (dir, "key.pem", NULL);
  g_autofree char *command =
      g_strdup_printf ("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
                       "-subj /CN=test -days 2 -keyout %s -out %s",
                       key, cert);
  g_autoptr (GError) error = NULL;
  GTlsCertificate *certificate;

  ph_test_command (command);
  certificate = g_tls_certificate_new_from_files (cert, key, &error);
  g_assert_no_error (error);
  return certificate;
}

static void
test_many_tls (void)
{
  g_autoptr (GTlsCertificate) certificate = make_certificate ();

  meet (certificate);
}

/* --- Frames made by hand ------------------------------------------------------------------------ */

typedef struct {
  PhIdentity identity;
  PhRendezvousClient *core; /* knows how to log in, and nothing is asked of it afterwards */
  GSocketConnection *connection;
  GSource *source; /* NULL: does not read */
  GByteArray *in;
  bool upgraded;
  bool logged_in;
  bool ended; /* the server has closed it, or told so */
  unsigned texts;
  unsigned pings;
  char *text; /* the last one */
} Wire;

enum {
  FRAME_TEXT = 0x81,
  FRAME_CLOSE = 0x88,
  FRAME_PING = 0x89,
  FRAME_PONG = 0x8a,
};

static void
wire_write (Wire *wire, const void *data, size_t len)
{
  g_autoptr (GError) error = NULL;
  GOutputStream *out = g_io_stream_get_output_stream (G_IO_STREAM (wire->connection));

  g_output_stream_write_all (out, data, len, NULL, NULL, &error);
  g_assert_no_error (error);
}

static void
wire_send (Wire *wire, uint8_t type, const char *text)
{
  const size_t len = strlen (text);
  g_autofree uint8_t *frame = g_malloc0 (8 + len); /* the mask is 0 */

  g_assert_cmpuint (len, <, 65536);
  frame[0] = type;
  frame[1] = 0x80 | 126;
  frame[2] = (uint8_t)(len >> 8);
  frame[3] = (uint8_t)len;
  if (len < 126) {
    frame[1] = (uint8_t)(0x80 | len);
    frame[2] = frame[3] = 0;
  }
  memcpy (frame + (len < 126 ? 6 : 8), text, len);
  wire_write (wire, frame, (len < 126 ? 6 : 8) + len);
}

static void
wire_text (Wire *wire, const char *bytes, size_t len)
{
  char *text;

  g_free (wire->text);
  wire->text = g_strndup (bytes, len);
  wire->texts++;
  if (wire->core == NULL || wire->logged_in)
    return;
  ph_rendezvous_client_handle_text (wire->core, 1, ph_slice (bytes, len));
  if ((text = ph_rendezvous_client_poll_text (wire->core)) != NULL)
    wire_send (wire, FRAME_TEXT, text);
  g_free (text);
  wire->logged_in = ph_rendezvous_client_state (wire->core) == PH_RENDEZVOUS_ONLINE;
}

/* Takes what is at the beginning of the input; false if that is not all there. */
static bool
wire_take (Wire *wire)
{
  const uint8_t *bytes = wire->in->data;
  size_t head = 2;
  size_t len;

  if (!wire->upgraded) {
    const uint8_t *end = memmem (bytes, wire->in->len, "\r\n\r\n", 4);

    wire->upgraded = end != NULL;
    if (end != NULL)
      g_byte_array_remove_range (wire->in, 0, (guint)(end - bytes) + 4);
    return end != NULL;
  }
  if (wire->in->len < 4)
    return false;
  len = bytes[1];
  g_assert_cmpuint (len, <=, 126);
  if (len == 126) {
    head = 4;
    len = (size_t)bytes[2] << 8 | bytes[3];
  }
  if (wire->in->len < head + len)
    return false;
  if (bytes[0] == FRAME_TEXT)
    wire_text (wire, (const char *)bytes + head, len);
  else if (bytes[0] == FRAME_PING)
    wire->pings++;
  else if (bytes[0] == FRAME_CLOSE)
    wire->ended = true;
  else
    g_error ("frame %02x", bytes[0]);
  g_byte_array_remove_range (wire->in, 0, (guint)(head + len));
  return true;
}

static gboolean
on_wire (GSocket *socket, GIOCondition condition, void *user)
{
  Wire *wire = user;
  uint8_t buffer[16384];
  const gssize n = g_socket_receive (socket, (char *)buffer, sizeof buffer, NULL, NULL);

  if (n <= 0) {
    wire->ended = true;
    return G_SOURCE_REMOVE;
  }
  g_byte_array_append (wire->in, buffer, (guint)n);
  while (wire_take (wire))
    ;
  return G_SOURCE_CONTINUE;
}

static void
wire_listen (Wire *wire)
{
  wire->source =
      g_socket_create_source (g_socket_connection_get_socket (wire->connection), G_IO_IN, NULL);
  g_source_set_callback (wire->source, G_SOURCE_FUNC (on_wire), wire, NULL);
  g_source_attach (wire->source, NULL);
}

static void
wire_stop_listening (Wire *wire)
{
  if (wire->source == NULL)
    return;
  g_source_destroy (wire->source);
  g_clear_pointer (&wire->source, g_source_unref);
}

/* A TCP connection, nothing else, with little room for what is not read. */
static void
wire_connect (Wire *wire, const PhRoomsEdge *edge)
{
  g_autoptr (GSocketAddress) address =
      g_inet_socket_address_new_from_string ("127.0.0.1", ph_rooms_edge_local (edge)->port);
  g_autoptr (GError) error = NULL;
  g_autoptr (GSocket) socket =
      g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, &error);

  g_assert_no_error (error);
  memset (wire, 0, sizeof *wire);
  g_assert_true (g_socket_set_option (socket, SOL_SOCKET, SO_RCVBUF, 32768, NULL));
  /* The loopback's would be larger than that, and the kernel wait for more room. */
  g_assert_true (g_socket_set_option (socket, IPPROTO_TCP, TCP_MAXSEG, 1400, NULL));
  g_assert_true (g_socket_connect (socket, address, NULL, &error));
  wire->connection = g_socket_connection_factory_create_connection (socket);
  wire->in = g_byte_array_new ();
  wire_listen (wire);
}

static void
wire_upgrade (Wire *wire)
{
  static const char request[] =
      "GET / HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Protocol: " PH_RENDEZVOUS_SUBPROTOCOL "\r\n\r\n";

  wire_write (wire, request, strlen (request));
}

static void
wire_log_in (Wire *wire, const PhRoomsEdge *edge)
{
  const PhRandom random = ph_system_random ();
  const PhRendezvousClientConfig config = {
      .identity = &wire->identity,
      .address = edge_address (edge, NULL),
      .name = "",
      .random = random,
  };

  wire_connect (wire, edge);
  ph_identity_generate (&wire->identity, &random);
  wire->core = ph_rendezvous_client_new (&config);
  ph_rendezvous_client_start (wire->core, 1);
  g_assert_cmpint (ph_rendezvous_client_poll_request (wire->core), ==,
                   PH_RENDEZVOUS_REQUEST_CONNECT);
  ph_rendezvous_client_handle_open (wire->core, 1);
  wire_upgrade (wire);
  PH_TEST_WAIT_FOR (wire->logged_in);
}

static void
wire_clear (Wire *wire)
{
  wire_stop_listening (wire);
  ph_rendezvous_client_free (wire->core);
  g_object_unref (wire->connection);
  g_byte_array_unref (wire->in);
  g_free (wire->text);
}

/* --- Who says nothing --------------------------------------------------------------------------- */

#define CALLERS 200

/* Connections on which TLS never begins hold nobody up; some end, some last as long as the server. */
static void
test_silent_callers (void)
{
  g_autoptr (GTlsCertificate) certificate = make_certificate ();
  PhRoomsEdgeConfig config = {.certificate = certificate};
  g_autoptr (PhRoomsEdge) edge = edge_start (&config);
  const PhRendezvousAddress address = edge_address (edge, certificate);
  const PhRandom random = ph_system_random ();
  g_autofree Wire *callers = g_new0 (Wire, CALLERS);
  Client client = {0};

  for (unsigned i = 0; i < CALLERS; i++)
    wire_connect (&callers[i], edge);
  ph_identity_generate (&client.identity, &random);
  client_start (&client, &address);
  PH_TEST_WAIT_FOR (client.onlines == 1);
  for (unsigned i = 0; i < CALLERS; i++) {
    g_assert_false (callers[i].ended);
    if (i % 2 == 0)
      wire_clear (&callers[i]);
  }
  ph_rendezvous_driver_free (client.driver);
  g_clear_pointer (&edge, ph_rooms_edge_free);
  for (unsigned i = 1; i < CALLERS; i += 2) {
    PH_TEST_WAIT_FOR (callers[i].ended);
    wire_clear (&callers[i]);
  }
}

/* --- Who is asked whether it lives -------------------------------------------------------------- */

#define TALK_MS 100

static gboolean
on_talk (void *user)
{
  Wire *wire = user;

  if (!wire->ended)
    wire_send (wire, FRAME_TEXT, "{\"type\":\"ping\"}");
  return G_SOURCE_CONTINUE;
}

static void
test_silent_is_asked (void)
{
  PhRoomsEdgeConfig config = {.ping_interval_s = 2, .pong_max_s = 1};
  g_autoptr (PhRoomsEdge) edge = edge_start (&config);
  Wire silent, talker;
  guint talk;

  wire_log_in (&silent, edge);
  wire_log_in (&talker, edge);
  talk = g_timeout_add (TALK_MS, on_talk, &talker);
  PH_TEST_WAIT_FOR (silent.pings == 1);
  PH_TEST_WAIT_FOR (silent.ended); /* it has not answered */
  g_assert_cmpuint (talker.pings, ==, 0);
  g_assert_false (talker.ended);
  g_source_remove (talk);
  PH_TEST_WAIT_FOR (talker.pings == 1);
  wire_send (&talker, FRAME_PONG, "libsoup-keepalive-1");
  PH_TEST_WAIT_FOR (talker.pings == 2); /* and so it is not thrown out */
  wire_clear (&silent);
  wire_clear (&talker);
}

/* One that talks, and may not be reading what it is told. */
static void
test_talker_is_asked (void)
{
  PhRoomsEdgeConfig config = {.ping_interval_s = 1, .pong_max_s = 1};
  g_autoptr (PhRoomsEdge) edge = edge_start (&config);
  g_autofree char *padding = g_strnfill (30000, 'x');
  g_autofree char *large = g_strdup_printf ("{\"type\":\"ping\",\"x\":\"%s\"}", padding);
  Wire talker;
  guint talk;

  wire_log_in (&talker, edge);
  for (unsigned i = 0; i < 3; i++)
    wire_send (&talker, FRAME_TEXT, large);
  talk = g_timeout_add (TALK_MS, on_talk, &talker);
  PH_TEST_WAIT_FOR (talker.pings == 1);
  PH_TEST_WAIT_FOR (talker.ended);
  g_source_remove (talk);
  wire_clear (&talker);
}

/* --- Who does not read -------------------------------------------------------------------------- */

#define SIGNALS 30
#define SIGNAL_LEN 20000

static void
wire_watch (Wire *wire, const Wire *other)
{
  char key[64];
  g_autofree char *text = NULL;

  ph_base64_encode (ph_slice (other->identity.id.key, 32), key);
  text = g_strdup_printf ("{\"type\":\"watch\",\"add\":[\"%s\"]}", key);
  wire_send (wire, FRAME_TEXT, text);
}

static void
test_does_not_read (void)
{
  PhRoomsEdgeConfig config = {0};
  g_autoptr (PhRoomsEdge) edge = edge_start (&config);
  g_autofree char *body = g_strnfill (SIGNAL_LEN, 'A');
  g_autofree char *signal = NULL;
  Wire reader, writer;
  char key[64];
  unsigned before;

  wire_log_in (&reader, edge);
  wire_log_in (&writer, edge);
  wire_watch (&reader, &writer);
  wire_watch (&writer, &reader);
  PH_TEST_WAIT_FOR (strstr (reader.text, "presence") != NULL
                    && strstr (writer.text, "presence") != NULL);

  /* More than the kernel takes for somebody who has so little room. */
  wire_stop_listening (&reader);
  before = reader.texts;
  ph_base64_encode (ph_slice (reader.identity.id.key, 32), key);
  signal = g_strdup_printf ("{\"type\":\"signal\",\"to\":\"%s\",\"envelope\":\"%s\"}", key, body);
  for (unsigned i = 0; i < SIGNALS; i++)
    wire_send (&writer, FRAME_TEXT, signal);

  /* Who does read is served meanwhile. */
  wire_send (&writer, FRAME_TEXT, "{\"type\":\"ping\"}");
  PH_TEST_WAIT_FOR (strstr (writer.text, "pong") != NULL);
  g_assert_cmpuint (reader.texts, ==, before);

  /* And all of it is there once it looks. */
  wire_listen (&reader);
  PH_TEST_WAIT_FOR (reader.texts == before + SIGNALS);
  g_assert_cmpuint (strlen (reader.text), >, SIGNAL_LEN);
  wire_clear (&reader);
  wire_clear (&writer);
}

/* --- How many ----------------------------------------------------------------------------------- */

static void
test_room (void)
{
  PhRoomsEdgeConfig config = {.descriptors_max = 36};
  g_autoptr (PhRoomsEdge) edge = edge_start (&config);
  const unsigned max = ph_rooms_edge_connections_max (edge);
  Wire wires[32];
  Wire more[3];

  g_assert_cmpuint (max, ==, 24);
  for (unsigned i = 0; i < G_N_ELEMENTS (wires); i++) {
    wire_connect (&wires[i], edge);
    if (i > max)
      continue;
    wire_upgrade (&wires[i]);
    PH_TEST_WAIT_FOR (wires[i].texts > 0);
    g_assert_nonnull (strstr (wires[i].text, i < max ? "challenge" : "too-many-connections"));
  }
  /* The one that was refused goes, and makes room for the last. */
  PH_TEST_WAIT_FOR (wires[max].ended);
  wire_clear (&wires[max]);
  wire_connect (&wires[max], edge);

  /* No more sockets, which is said once. */
  for (unsigned i = 0; i < G_N_ELEMENTS (more); i++) {
    wire_connect (&more[i], edge);
    PH_TEST_WAIT_FOR (more[i].ended);
    wire_clear (&more[i]);
  }
  g_assert_cmpuint (n_told_full, ==, 1);
  for (unsigned i = 0; i < G_N_ELEMENTS (wires); i++)
    wire_clear (&wires[i]);
  PH_TEST_WAIT_FOR (ph_rooms_edge_is_idle (edge));

  /* Who has gone is not counted any more. */
  for (unsigned i = 0; i < max; i++) {
    wire_connect (&wires[i], edge);
    wire_upgrade (&wires[i]);
    PH_TEST_WAIT_FOR (wires[i].texts > 0);
    g_assert_nonnull (strstr (wires[i].text, "challenge"));
  }
  for (unsigned i = 0; i < max; i++)
    wire_clear (&wires[i]);
  PH_TEST_WAIT_FOR (ph_rooms_edge_is_idle (edge));
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/rendezvous-edge/many", test_many);
  g_test_add_func ("/rendezvous-edge/many-tls", test_many_tls);
  g_test_add_func ("/rendezvous-edge/silent-callers", test_silent_callers);
  g_test_add_func ("/rendezvous-edge/silent-is-asked", test_silent_is_asked);
  g_test_add_func ("/rendezvous-edge/talker-is-asked", test_talker_is_asked);
  g_test_add_func ("/rendezvous-edge/does-not-read", test_does_not_read);
  g_test_add_func ("/rendezvous-edge/room", test_room);
  return g_test_run ();
}
