/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The TURN client against a scripted server in memory, on a virtual clock. */

#include "net/turn/ph-turn-client.h"
#include "net/turn/ph-turn-private.h"
#include "net/turn/ph-turn-stream.h"
#include "tests/support/ph-test.h"

#define SOCKET 1
#define RELAYED 9
#define REALM "lab"
#define SLICE(array) ph_slice (array, sizeof array)

typedef struct {
  PhRandomSeeded seed;
  PhTurnClient *client;
  PhTime now;
  const char *username;
  const char *password;
  const char *nonce;
  uint8_t data[PH_STUN_MESSAGE_MAX];
  PhTransmit tx;
  PhStunMessage request;
} Rig;

static void
rig_init (Rig *t, PhFamily family, bool stream)
{
  *t = (Rig){.now = 100 * PH_SEC, .username = "ann", .password = "pw", .nonce = "n1"};
  t->client = ph_turn_client_new (
      &(PhTurnClientConfig){
          .socket = SOCKET,
          .relayed_socket = RELAYED,
          .server = ph_test_addr ("192.0.2.1:3478"),
          .stream = stream,
          .family = family,
          .username = t->username,
          .password = t->password,
          .random = ph_test_random (&t->seed, "turn"),
      },
      t->now);
}

static bool
poll (Rig *t)
{
  const PhAddr server = ph_test_addr ("192.0.2.1:3478");

  t->tx = (PhTransmit){.data = t->data, .cap = sizeof t->data};
  if (!ph_turn_client_poll_transmit (t->client, t->now, &t->tx))
    return false;
  g_assert_cmpuint (t->tx.socket, ==, SOCKET);
  g_assert_true (ph_addr_equal (&t->tx.remote, &server));
  g_assert_true (ph_stun_parse (ph_slice (t->data, t->tx.len), &t->request));
  return true;
}

static void
key_of (const Rig *t, uint8_t key[16])
{
  ph_stun_long_term_key (ph_slice_string (t->username), ph_slice_string (REALM),
                         ph_slice_string (t->password), key);
}

/* The next message is a request of that kind, signed with the rig's credentials and nonce. */
static void
expect (Rig *t, uint16_t method)
{
  uint8_t key[16];
  PhSlice nonce;

  g_assert_true (poll (t));
  g_assert_cmpint (t->request.klass, ==, PH_STUN_REQUEST);
  g_assert_cmphex (t->request.method, ==, method);
  key_of (t, key);
  g_assert_true (ph_stun_check_integrity (&t->request, SLICE (key)));
  g_assert_true (ph_stun_find (&t->request, PH_STUN_NONCE, &nonce));
  g_assert_cmpmem (nonce.data, nonce.len, t->nonce, strlen (t->nonce));
}

static PhTurnIn
receive (Rig *t, const char *from, PhSlice bytes, PhDatagram *ret_data)
{
  const PhDatagram in = {.socket = SOCKET, .remote = ph_test_addr (from), .bytes = bytes};

  return ph_turn_client_handle_packet (t->client, t->now, &in, ret_data);
}

static void
finish (Rig *t, PhWriter *w, bool with_integrity, const char *from)
{
  PhDatagram data;
  uint8_t key[16];

  key_of (t, key);
  if (with_integrity)
    ph_stun_put_integrity (w, SLICE (key));
  ph_stun_put_fingerprint (w);
  receive (t, from, ph_slice (w->start, ph_writer_len (w)), &data);
}

static void
answer_allocated (Rig *t, const char *relayed, uint32_t seconds, bool with_integrity,
                  const char *from)
{
  uint8_t out[400];
  PhWriter w = ph_writer (out, sizeof out);
  const PhAddr relay = ph_test_addr (relayed), mapped = ph_test_addr ("203.0.113.5:40000");

  ph_stun_begin (&w, PH_STUN_SUCCESS, t->request.method, &t->request.id);
  ph_stun_put_xor_addr (&w, PH_TURN_XOR_RELAYED_ADDRESS, &relay);
  ph_stun_put_xor_addr (&w, PH_STUN_XOR_MAPPED_ADDRESS, &mapped);
  ph_stun_put_u32 (&w, PH_TURN_LIFETIME, seconds);
  finish (t, &w, with_integrity, from);
}

static void
answer_ok (Rig *t)
{
  answer_allocated (t, "198.51.100.1:50000", 600, true, "192.0.2.1:3478");
}

static void
answer_error (Rig *t, unsigned code, bool with_integrity)
{
  uint8_t out[400];
  PhWriter w = ph_writer (out, sizeof out);

  ph_stun_begin (&w, PH_STUN_ERROR, t->request.method, &t->request.id);
  ph_stun_put_error (&w, code, "no");
  if (code == 401 || code == 438) {
    ph_stun_put (&w, PH_STUN_REALM, ph_slice_string (REALM));
    ph_stun_put (&w, PH_STUN_NONCE, ph_slice_string (t->nonce));
  }
  finish (t, &w, with_integrity, "192.0.2.1:3478");
}

static PhTurnEvent
event (Rig *t, PhTurnEventType type)
{
  PhTurnEvent got;

  g_assert_true (ph_turn_client_poll_event (t->client, &got));
  g_assert_cmpint (got.type, ==, type);
  return got;
}

static void
nothing (Rig *t)
{
  PhTurnEvent got;

  g_assert_false (ph_turn_client_poll_event (t->client, &got));
  g_assert_false (poll (t));
}

static void
at (Rig *t, PhTime now)
{
  t->now = now;
  ph_turn_client_handle_timeout (t->client, now);
}

static PhTime
next (const Rig *t)
{
  const char *why;

  return ph_turn_client_next_timeout (t->client, &why);
}

static void
allocate (Rig *t)
{
  rig_init (t, PH_FAMILY_NONE, false);
  g_assert_true (poll (t));
  answer_error (t, 401, false);
  expect (t, PH_TURN_METHOD_ALLOCATE);
  answer_ok (t);
  event (t, PH_TURN_EVENT_ALLOCATED);
  nothing (t);
}

static void
channel_to (Rig *t, const char *peer)
{
  const PhAddr to = ph_test_addr (peer);

  g_assert_true (ph_turn_client_bind (t->client, t->now, &to));
  expect (t, PH_TURN_METHOD_CREATE_PERMISSION);
  answer_ok (t);
  expect (t, PH_TURN_METHOD_CHANNEL_BIND);
  answer_ok (t);
  event (t, PH_TURN_EVENT_PERMITTED);
  event (t, PH_TURN_EVENT_CHANNEL_READY);
  nothing (t);
}

static void
test_allocate (void)
{
  Rig t;
  uint32_t value;

  rig_init (&t, PH_FAMILY_NONE, false);
  g_assert_true (poll (&t));
  g_assert_cmphex (t.request.method, ==, PH_TURN_METHOD_ALLOCATE);
  g_assert_false (ph_stun_has (&t.request, PH_STUN_USERNAME));
  g_assert_true (ph_stun_get_u32 (&t.request, PH_TURN_REQUESTED_TRANSPORT, &value));
  g_assert_cmphex (value, ==, 17u << 24);
  g_assert_true (ph_stun_get_u32 (&t.request, PH_TURN_LIFETIME, &value));
  g_assert_cmpuint (value, ==, 600);
  g_assert_false (ph_stun_has (&t.request, PH_TURN_REQUESTED_ADDRESS_FAMILY));
  nothing (&t);

  /* An open relay is not believed, nor anything but the server's challenge. */
  answer_allocated (&t, "198.51.100.1:50000", 600, false, "192.0.2.1:3478");
  nothing (&t);
  answer_error (&t, 401, false);
  expect (&t, PH_TURN_METHOD_ALLOCATE);

  answer_allocated (&t, "198.51.100.1:50000", 600, false, "192.0.2.1:3478");
  answer_allocated (&t, "198.51.100.1:50000", 600, true, "192.0.2.2:3478");
  t.password = "other";
  answer_ok (&t);
  t.password = "pw";
  nothing (&t);
  answer_ok (&t);

  const PhTurnEvent got = event (&t, PH_TURN_EVENT_ALLOCATED);
  const PhAddr relayed = ph_test_addr ("198.51.100.1:50000"),
               mapped = ph_test_addr ("203.0.113.5:40000");

  g_assert_true (ph_addr_equal (&got.relayed, &relayed));
  g_assert_true (ph_addr_equal (&got.mapped, &mapped));
  g_assert_cmpuint (got.lifetime, ==, 600 * PH_SEC);
  nothing (&t);
  ph_turn_client_free (t.client);
}

static void
test_family (void)
{
  Rig t;
  uint32_t value;

  rig_init (&t, PH_FAMILY_IPV6, false);
  g_assert_true (poll (&t));
  g_assert_true (ph_stun_get_u32 (&t.request, PH_TURN_REQUESTED_ADDRESS_FAMILY, &value));
  g_assert_cmphex (value, ==, 2u << 24);
  answer_error (&t, 401, false);
  expect (&t, PH_TURN_METHOD_ALLOCATE);
  answer_ok (&t); /* an IPv4 address: not what was asked for */
  g_assert_cmpint (event (&t, PH_TURN_EVENT_FAILED).why, ==, PH_TURN_WHY_MALFORMED);
  ph_turn_client_free (t.client);
}

static void
test_silent (void)
{
  static const PhTime sends_ms[] = {250, 750, 1750, 3750};
  Rig t;

  rig_init (&t, PH_FAMILY_NONE, false);
  const PhTime start = t.now;

  g_assert_true (poll (&t));
  const PhStunId id = t.request.id;

  for (unsigned i = 0; i < G_N_ELEMENTS (sends_ms); i++) {
    g_assert_cmpuint (next (&t), ==, start + sends_ms[i] * PH_MSEC);
    at (&t, next (&t));
    g_assert_true (poll (&t));
    g_assert_true (ph_stun_id_equal (&id, &t.request.id));
    nothing (&t);
  }
  at (&t, next (&t));
  g_assert_cmpuint (t.now, ==, start + 7750 * PH_MSEC);
  g_assert_cmpint (event (&t, PH_TURN_EVENT_FAILED).why, ==, PH_TURN_WHY_UNREACHABLE);
  g_assert_cmpuint (next (&t), ==, PH_NEVER);
  nothing (&t);
  ph_turn_client_free (t.client);
}

static void
test_stream_asks_once (void)
{
  Rig t;

  rig_init (&t, PH_FAMILY_NONE, true);
  g_assert_true (poll (&t));
  g_assert_cmpuint (next (&t), ==, t.now + 10 * PH_SEC);
  at (&t, next (&t));
  g_assert_cmpint (event (&t, PH_TURN_EVENT_FAILED).why, ==, PH_TURN_WHY_UNREACHABLE);
  ph_turn_client_free (t.client);
}

static void
test_refusals (void)
{
  static const struct {
    unsigned code;
    PhTurnWhy why;
  } cases[] = {
      {401, PH_TURN_WHY_UNAUTHORIZED}, {441, PH_TURN_WHY_UNAUTHORIZED},
      {403, PH_TURN_WHY_FORBIDDEN},    {486, PH_TURN_WHY_FULL},
      {508, PH_TURN_WHY_FULL},         {437, PH_TURN_WHY_MISMATCH},
      {440, PH_TURN_WHY_UNSUPPORTED},  {442, PH_TURN_WHY_UNSUPPORTED},
      {500, PH_TURN_WHY_REFUSED},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS (cases); i++) {
    Rig t;

    rig_init (&t, PH_FAMILY_NONE, false);
    g_assert_true (poll (&t));
    answer_error (&t, 401, false);
    expect (&t, PH_TURN_METHOD_ALLOCATE);
    if (cases[i].code != 401) {
      answer_error (&t, cases[i].code, false); /* forged */
      nothing (&t);
    }
    answer_error (&t, cases[i].code, true);
    if (cases[i].code == 437) { /* nor is it ours to end */
      expect (&t, PH_TURN_METHOD_REFRESH);
      answer_error (&t, 437, true);
      expect (&t, PH_TURN_METHOD_ALLOCATE);
      answer_error (&t, 437, true);
    }

    const PhTurnEvent got = event (&t, PH_TURN_EVENT_FAILED);

    g_assert_cmpint (got.why, ==, cases[i].why);
    g_assert_cmpuint (got.error, ==, cases[i].code);
    nothing (&t);
    ph_turn_client_free (t.client);
  }
}

/* The server still has an allocation of a client that was cut off: it is ended first. */
static void
test_left_over (void)
{
  Rig t;

  rig_init (&t, PH_FAMILY_NONE, false);
  g_assert_true (poll (&t));
  answer_error (&t, 401, false);
  expect (&t, PH_TURN_METHOD_ALLOCATE);
  answer_error (&t, 437, true);
  expect (&t, PH_TURN_METHOD_REFRESH);
  answer_ok (&t);
  g_assert_cmpint (ph_turn_client_state (t.client), ==, PH_TURN_ALLOCATING);
  expect (&t, PH_TURN_METHOD_ALLOCATE);
  answer_ok (&t);
  event (&t, PH_TURN_EVENT_ALLOCATED);
  nothing (&t);
  ph_turn_client_free (t.client);
}

static void
test_stale_nonce (void)
{
  Rig t;

  allocate (&t);
  at (&t, t.now + 540 * PH_SEC);
  t.nonce = "n1";
  expect (&t, PH_TURN_METHOD_REFRESH);
  t.nonce = "n2";
  answer_error (&t, 438, false);
  expect (&t, PH_TURN_METHOD_REFRESH);
  answer_ok (&t);
  g_assert_true (poll (&t)); /* the keepalive that was due meanwhile */
  nothing (&t);

  /* A server whose nonces never hold is given up. */
  ph_turn_client_refresh (t.client, t.now);
  for (unsigned i = 0; i < 5; i++) {
    expect (&t, PH_TURN_METHOD_REFRESH);
    t.nonce = i % 2 ? "n3" : "n4";
    answer_error (&t, 438, false);
  }
  g_assert_cmpint (event (&t, PH_TURN_EVENT_LOST).why, ==, PH_TURN_WHY_REFUSED);
  nothing (&t);
  ph_turn_client_free (t.client);
}

/* Every question that is open is put again with the new nonce, so one challenge serves all. */
static void
test_stale_nonce_restarts_all (void)
{
  const PhAddr peer = ph_test_addr ("198.51.100.7:7000");
  Rig t;

  allocate (&t);
  g_assert_true (ph_turn_client_bind (t.client, t.now, &peer));
  expect (&t, PH_TURN_METHOD_CREATE_PERMISSION);
  const PhStunMessage permission = t.request;

  expect (&t, PH_TURN_METHOD_CHANNEL_BIND);
  t.request.id = permission.id;
  t.request.method = PH_TURN_METHOD_CREATE_PERMISSION;
  t.nonce = "n2";
  answer_error (&t, 438, false);
  expect (&t, PH_TURN_METHOD_CREATE_PERMISSION);
  expect (&t, PH_TURN_METHOD_CHANNEL_BIND);
  nothing (&t);
  ph_turn_client_free (t.client);
}

static void
test_refresh_times (void)
{
  Rig t;
  PhTime permission, channel;

  allocate (&t);
  const PhTime start = t.now;

  channel_to (&t, "198.51.100.7:7000");
  permission = start + 240 * PH_SEC;
  channel = start + 540 * PH_SEC;
  unsigned keepalives = 0, permissions = 0, channels = 0, refreshes = 0;

  while (next (&t) < start + 600 * PH_SEC) {
    at (&t, next (&t));
    while (poll (&t)) {
      switch (t.request.method) {
      case PH_STUN_BINDING:
        g_assert_cmpint (t.request.klass, ==, PH_STUN_INDICATION);
        keepalives++;
        continue;
      case PH_TURN_METHOD_CREATE_PERMISSION:
        g_assert_cmpuint (t.now, ==, permission);
        permission += 240 * PH_SEC;
        permissions++;
        break;
      case PH_TURN_METHOD_CHANNEL_BIND:
        g_assert_cmpuint (t.now, ==, channel);
        channels++;
        break;
      default:
        g_assert_cmphex (t.request.method, ==, PH_TURN_METHOD_REFRESH);
        g_assert_cmpuint (t.now, ==, start + 540 * PH_SEC);
        refreshes++;
      }
      answer_ok (&t);
    }
  }
  g_assert_cmpuint (permissions, ==, 2);
  g_assert_cmpuint (channels, ==, 1);
  g_assert_cmpuint (refreshes, ==, 1);
  g_assert_cmpuint (keepalives, >=, 25);
  g_assert_cmpuint (keepalives, <=, 30);
  nothing (&t);
  ph_turn_client_free (t.client);
}

static void
test_lost (void)
{
  const PhAddr peer = ph_test_addr ("198.51.100.7:7000");
  Rig t;

  /* Silent. */
  allocate (&t);
  ph_turn_client_refresh (t.client, t.now);
  while (ph_turn_client_state (t.client) == PH_TURN_ALLOCATED)
    at (&t, next (&t));
  g_assert_cmpint (event (&t, PH_TURN_EVENT_LOST).why, ==, PH_TURN_WHY_UNREACHABLE);
  g_assert_cmpuint (next (&t), ==, PH_NEVER);
  ph_turn_client_free (t.client);

  /* Restarted: it knows of no allocation. */
  allocate (&t);
  g_assert_true (ph_turn_client_permit (t.client, t.now, &peer));
  expect (&t, PH_TURN_METHOD_CREATE_PERMISSION);
  answer_error (&t, 437, true);
  g_assert_cmpint (event (&t, PH_TURN_EVENT_LOST).why, ==, PH_TURN_WHY_MISMATCH);
  nothing (&t);
  g_assert_false (ph_turn_client_permit (t.client, t.now, &peer));
  ph_turn_client_free (t.client);

  /* Suspended. */
  allocate (&t);
  at (&t, t.now + 601 * PH_SEC);
  g_assert_cmpint (event (&t, PH_TURN_EVENT_LOST).why, ==, PH_TURN_WHY_EXPIRED);
  nothing (&t);
  ph_turn_client_free (t.client);
}

static void
test_permissions (void)
{
  const PhAddr peer = ph_test_addr ("198.51.100.7:7000"),
               same_ip = ph_test_addr ("198.51.100.7:7001");
  const PhAddr v6 = ph_test_addr ("[2001:db8::1]:7000");
  Rig t;

  allocate (&t);
  g_assert_false (ph_turn_client_permit (t.client, t.now, &v6));
  g_assert_true (ph_turn_client_permit (t.client, t.now, &peer));
  g_assert_true (ph_turn_client_permit (t.client, t.now, &same_ip));
  expect (&t, PH_TURN_METHOD_CREATE_PERMISSION);
  nothing (&t);
  answer_error (&t, 403, true);
  g_assert_cmpint (event (&t, PH_TURN_EVENT_PERMISSION_FAILED).why, ==, PH_TURN_WHY_FORBIDDEN);
  g_assert_false (ph_turn_client_is_permitted (t.client, t.now, &peer));
  nothing (&t);

  /* Asked again when somebody asks again; held until the last has let go. */
  g_assert_true (ph_turn_client_permit (t.client, t.now, &peer));
  expect (&t, PH_TURN_METHOD_CREATE_PERMISSION);
  answer_ok (&t);
  event (&t, PH_TURN_EVENT_PERMITTED);
  g_assert_true (ph_turn_client_is_permitted (t.client, t.now, &same_ip));
  for (unsigned i = 0; i < 2; i++)
    ph_turn_client_unpermit (t.client, t.now, &peer);
  at (&t, t.now + 240 * PH_SEC);
  expect (&t, PH_TURN_METHOD_CREATE_PERMISSION);
  answer_ok (&t);
  ph_turn_client_unpermit (t.client, t.now, &peer);
  at (&t, t.now + 299 * PH_SEC);
  g_assert_true (ph_turn_client_is_permitted (t.client, t.now, &peer));
  while (poll (&t))
    g_assert_cmphex (t.request.method, !=, PH_TURN_METHOD_CREATE_PERMISSION);
  at (&t, t.now + PH_SEC);
  g_assert_false (ph_turn_client_is_permitted (t.client, t.now, &peer));
  ph_turn_client_free (t.client);
}

static void
test_bounds (void)
{
  PhAddr peer = ph_test_addr ("198.51.100.7:7000");
  Rig t;

  allocate (&t);
  for (unsigned i = 0; i < PH_TURN_CHANNELS_MAX; i++) {
    peer.port = (uint16_t)(1000 + i);
    g_assert_true (ph_turn_client_bind (t.client, t.now, &peer));
  }
  peer.port = 999;
  g_assert_false (ph_turn_client_bind (t.client, t.now, &peer));
  for (unsigned i = 1; i < PH_TURN_PERMISSIONS_MAX; i++) {
    peer.ip[3] = (uint8_t)(100 + i);
    g_assert_true (ph_turn_client_permit (t.client, t.now, &peer));
  }
  peer.ip[3] = 99;
  g_assert_false (ph_turn_client_permit (t.client, t.now, &peer));
  ph_turn_client_free (t.client);
}

/* RFC 8656 §12: neither number nor peer are bound anew before 5 minutes after the end of a channel. */
static void
test_channel_rests (void)
{
  const PhAddr peer = ph_test_addr ("198.51.100.7:7000");
  uint32_t first, again;
  Rig t;

  allocate (&t);
  g_assert_true (ph_turn_client_bind (t.client, t.now, &peer));
  expect (&t, PH_TURN_METHOD_CREATE_PERMISSION);
  answer_ok (&t);
  expect (&t, PH_TURN_METHOD_CHANNEL_BIND);
  g_assert_true (ph_stun_get_u32 (&t.request, PH_TURN_CHANNEL_NUMBER, &first));
  g_assert_cmphex (first, ==, 0x40000000);
  answer_ok (&t);
  ph_turn_client_unbind (t.client, t.now, &peer);
  g_assert_true (ph_turn_client_bind (t.client, t.now, &peer));
  expect (&t, PH_TURN_METHOD_CREATE_PERMISSION);
  expect (&t, PH_TURN_METHOD_CHANNEL_BIND);
  g_assert_true (ph_stun_get_u32 (&t.request, PH_TURN_CHANNEL_NUMBER, &again));
  g_assert_cmphex (again, ==, first);

  /* Refused for its number: another. */
  answer_error (&t, 400, true);
  g_assert_true (ph_turn_client_bind (t.client, t.now, &peer));
  expect (&t, PH_TURN_METHOD_CHANNEL_BIND);
  g_assert_true (ph_stun_get_u32 (&t.request, PH_TURN_CHANNEL_NUMBER, &again));
  g_assert_cmphex (again, ==, 0x40010000);
  ph_turn_client_free (t.client);
}

static void
test_send (void)
{
  static const uint8_t wrapped[] = {0x40, 0,   0,   5,   'h', 'e', 'l',  'l', 'o', 0x40, 0,  0,
                                    5,    'w', 'o', 'r', 'l', 'd', 0x40, 0,   0,   1,    '!'};
  const PhAddr peer = ph_test_addr ("198.51.100.7:7000"), server = ph_test_addr ("192.0.2.1:3478");
  uint8_t batch[] = "____hello____world____!";
  PhTransmit tx = {.data = batch, .cap = 23, .len = 23, .segment = 9, .remote = peer};
  PhSlice payload;
  PhAddr to;
  Rig t;

  allocate (&t);
  t.tx = (PhTransmit){.data = t.data, .cap = sizeof t.data};
  g_assert_false (ph_turn_client_send (t.client, t.now, &peer, ph_slice_string ("hi"), &t.tx));
  g_assert_true (ph_turn_client_permit (t.client, t.now, &peer));
  expect (&t, PH_TURN_METHOD_CREATE_PERMISSION);
  answer_ok (&t);
  event (&t, PH_TURN_EVENT_PERMITTED);
  g_assert_false (ph_turn_client_wrap (t.client, t.now, &tx));
  g_assert_cmpmem (batch, 23, "____hello____world____!", 23);
  t.tx = (PhTransmit){.data = t.data, .cap = sizeof t.data};
  g_assert_true (ph_turn_client_send (t.client, t.now, &peer, ph_slice_string ("hi"), &t.tx));
  g_assert_true (ph_stun_parse (ph_slice (t.data, t.tx.len), &t.request));
  g_assert_cmpint (t.request.klass, ==, PH_STUN_INDICATION);
  g_assert_cmphex (t.request.method, ==, PH_TURN_METHOD_SEND);
  g_assert_true (ph_stun_get_xor_addr (&t.request, PH_TURN_XOR_PEER_ADDRESS, &to));
  g_assert_true (ph_addr_equal (&to, &peer));
  g_assert_true (ph_stun_find (&t.request, PH_TURN_DATA, &payload));
  g_assert_cmpmem (payload.data, payload.len, "hi", 2);

  g_assert_true (ph_turn_client_bind (t.client, t.now, &peer));
  expect (&t, PH_TURN_METHOD_CHANNEL_BIND);
  answer_ok (&t);
  event (&t, PH_TURN_EVENT_CHANNEL_READY);
  g_assert_true (ph_turn_client_wrap (t.client, t.now, &tx));
  g_assert_cmpmem (batch, tx.len, wrapped, sizeof wrapped);
  g_assert_cmpuint (tx.segment, ==, 9);
  g_assert_cmpuint (tx.socket, ==, SOCKET);
  g_assert_true (ph_addr_equal (&tx.remote, &server));
  t.tx = (PhTransmit){.data = t.data, .cap = sizeof t.data};
  g_assert_true (ph_turn_client_send (t.client, t.now, &peer, ph_slice_string ("hello"), &t.tx));
  g_assert_cmpmem (t.data, t.tx.len, wrapped, 9);

  /* A last segment without room for a header. */
  tx = (PhTransmit){.data = batch, .cap = 23, .len = 20, .segment = 9, .remote = peer};
  g_assert_false (ph_turn_client_wrap (t.client, t.now, &tx));
  ph_turn_client_free (t.client);
}

static void
test_receive (void)
{
  static const uint8_t right[] = {0x40, 0, 0, 3, 'a', 'b', 'c', 0};
  static const uint8_t unknown[] = {0x40, 1, 0, 3, 'a', 'b', 'c'};
  static const uint8_t too_short[] = {0x40, 0, 0, 9, 'a', 'b', 'c'};
  const PhAddr peer = ph_test_addr ("198.51.100.7:7000");
  PhDatagram data;
  Rig t;

  allocate (&t);
  channel_to (&t, "198.51.100.7:7000");
  g_assert_cmpint (receive (&t, "192.0.2.1:3478", SLICE (right), &data), ==, PH_TURN_IN_DATA);
  g_assert_cmpmem (data.bytes.data, data.bytes.len, "abc", 3);
  g_assert_true (data.bytes.data == right + 4);
  g_assert_true (ph_addr_equal (&data.remote, &peer));
  g_assert_cmpuint (data.socket, ==, RELAYED);
  g_assert_cmpint (receive (&t, "192.0.2.9:3478", SLICE (right), &data), ==, PH_TURN_IN_OTHER);
  g_assert_cmpint (receive (&t, "192.0.2.1:3478", SLICE (unknown), &data), ==, PH_TURN_IN_DONE);
  g_assert_cmpint (receive (&t, "192.0.2.1:3478", SLICE (too_short), &data), ==, PH_TURN_IN_OTHER);

  for (unsigned i = 0; i < 2; i++) {
    const PhAddr from = ph_test_addr (i == 0 ? "198.51.100.7:1234" : "198.51.100.8:7000");
    uint8_t out[200];
    PhWriter w = ph_writer (out, sizeof out);

    ph_stun_begin (&w, PH_STUN_INDICATION, PH_TURN_METHOD_DATA, &(PhStunId){{1}});
    ph_stun_put_xor_addr (&w, PH_TURN_XOR_PEER_ADDRESS, &from);
    ph_stun_put (&w, PH_TURN_DATA, ph_slice_string ("hello"));
    g_assert_cmpint (receive (&t, "192.0.2.1:3478", ph_slice (out, ph_writer_len (&w)), &data), ==,
                     i == 0 ? PH_TURN_IN_DATA : PH_TURN_IN_DONE);
    if (i == 0)
      g_assert_cmpmem (data.bytes.data, data.bytes.len, "hello", 5);
  }
  ph_turn_client_free (t.client);
}

static void
test_close (void)
{
  uint32_t lifetime;
  Rig t;

  allocate (&t);
  ph_turn_client_close (t.client, t.now);
  expect (&t, PH_TURN_METHOD_REFRESH);
  g_assert_true (ph_stun_get_u32 (&t.request, PH_TURN_LIFETIME, &lifetime));
  g_assert_cmpuint (lifetime, ==, 0);
  nothing (&t);
  answer_ok (&t);
  event (&t, PH_TURN_EVENT_CLOSED);
  nothing (&t);
  ph_turn_client_free (t.client);

  /* A server that is gone does not hold us up. */
  allocate (&t);
  const PhTime start = t.now;

  ph_turn_client_close (t.client, t.now);
  while (ph_turn_client_state (t.client) == PH_TURN_CLOSING)
    at (&t, next (&t));
  g_assert_cmpuint (t.now - start, ==, 1250 * PH_MSEC);
  ph_turn_client_free (t.client);
}

static void
test_credentials (void)
{
  Rig t;

  /* Another username: the allocation stays with the one that made it until that is refused. */
  allocate (&t);
  g_assert_true (ph_turn_client_set_credentials (t.client, t.now, "bob", "secret"));
  ph_turn_client_refresh (t.client, t.now);
  expect (&t, PH_TURN_METHOD_REFRESH);
  answer_error (&t, 401, false);
  t.username = "bob";
  t.password = "secret";
  expect (&t, PH_TURN_METHOD_REFRESH);
  answer_ok (&t);
  nothing (&t);

  /* The same: at once. */
  t.password = "newer";
  ph_turn_client_refresh (t.client, t.now);
  g_assert_true (ph_turn_client_set_credentials (t.client, t.now, "bob", "newer"));
  expect (&t, PH_TURN_METHOD_REFRESH);
  answer_error (&t, 401, false);
  g_assert_cmpuint (event (&t, PH_TURN_EVENT_CREDENTIALS_NEEDED).error, ==, 401);
  nothing (&t);
  ph_turn_client_refresh (t.client, t.now);
  nothing (&t);
  t.username = "eve";
  g_assert_true (ph_turn_client_set_credentials (t.client, t.now, "eve", "newer"));
  expect (&t, PH_TURN_METHOD_REFRESH);
  answer_error (&t, 441, true);
  g_assert_cmpint (event (&t, PH_TURN_EVENT_LOST).why, ==, PH_TURN_WHY_UNAUTHORIZED);
  g_assert_false (ph_turn_client_set_credentials (t.client, t.now, "", "newer"));
  ph_turn_client_free (t.client);
}

/* --- Streams ---------------------------------------------------------------------------------- */

static void
test_stream_padding (void)
{
  uint8_t batch[24] = "____hello";
  PhTransmit tx = {.data = batch, .cap = 9, .len = 9};
  Rig t;

  rig_init (&t, PH_FAMILY_NONE, true);
  tx.remote = ph_test_addr ("198.51.100.7:7000");
  g_assert_true (poll (&t));
  answer_error (&t, 401, false);
  expect (&t, PH_TURN_METHOD_ALLOCATE);
  answer_ok (&t);
  event (&t, PH_TURN_EVENT_ALLOCATED);
  channel_to (&t, "198.51.100.7:7000");
  g_assert_false (ph_turn_client_wrap (t.client, t.now, &tx)); /* no room for the padding */
  tx.cap = sizeof batch;
  g_assert_true (ph_turn_client_wrap (t.client, t.now, &tx));
  g_assert_cmpuint (tx.len, ==, 12);
  g_assert_cmpmem (batch, 12, "@\0\0\5hello\0\0\0", 12);
  ph_turn_client_free (t.client);
}

static void
test_stream_splits (void)
{
  uint8_t all[64];
  PhWriter w = ph_writer (all, sizeof all);
  PhSlice message;

  ph_stun_begin (&w, PH_STUN_INDICATION, PH_STUN_BINDING, &(PhStunId){{1}});
  ph_write_bytes (&w, "@\0\0\5hello\0\0\0", 12);
  ph_write_bytes (&w, "@\1\0\0", 4);
  const size_t total = ph_writer_len (&w);

  /* However the bytes come in. */
  for (size_t step = 1; step <= total; step++) {
    static const size_t lens[] = {20, 9, 4};
    static const size_t offsets[] = {0, 20, 32};
    g_autoptr (PhTurnStream) stream = ph_turn_stream_new ();
    unsigned n = 0;

    for (size_t begin = 0; begin < total; begin += step) {
      PhSlice in = ph_slice (all + begin, MIN (step, total - begin));

      while (ph_turn_stream_next (stream, &in, &message) == PH_TURN_STREAM_MESSAGE) {
        g_assert_cmpuint (n, <, 3);
        g_assert_cmpmem (message.data, message.len, all + offsets[n], lens[n]);
        n++;
      }
      g_assert_cmpuint (in.len, ==, 0);
    }
    g_assert_cmpuint (n, ==, 3);
  }
}

static void
test_stream_broken (void)
{
  static const char *const wrong[] = {"\x16\3\1", "\x80", "\1\1\0\3\x21\x12\xa4\x42",
                                      "\1\1\1\4\x21\x12\xa4\x43"};
  PhSlice message;

  for (unsigned i = 0; i < G_N_ELEMENTS (wrong); i++) {
    g_autoptr (PhTurnStream) stream = ph_turn_stream_new ();
    PhSlice in = ph_slice (wrong[i], i < 2 ? 1 : 8);

    g_assert_cmpint (ph_turn_stream_next (stream, &in, &message), ==, PH_TURN_STREAM_BROKEN);
    in = ph_slice ("@\0\0\0", 4);
    g_assert_cmpint (ph_turn_stream_next (stream, &in, &message), ==, PH_TURN_STREAM_BROKEN);
  }
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/turn/allocate", test_allocate);
  g_test_add_func ("/turn/family", test_family);
  g_test_add_func ("/turn/silent", test_silent);
  g_test_add_func ("/turn/stream-asks-once", test_stream_asks_once);
  g_test_add_func ("/turn/refusals", test_refusals);
  g_test_add_func ("/turn/left-over", test_left_over);
  g_test_add_func ("/turn/stale-nonce", test_stale_nonce);
  g_test_add_func ("/turn/stale-nonce-restarts-all", test_stale_nonce_restarts_all);
  g_test_add_func ("/turn/refresh-times", test_refresh_times);
  g_test_add_func ("/turn/lost", test_lost);
  g_test_add_func ("/turn/permissions", test_permissions);
  g_test_add_func ("/turn/bounds", test_bounds);
  g_test_add_func ("/turn/channel-rests", test_channel_rests);
  g_test_add_func ("/turn/send", test_send);
  g_test_add_func ("/turn/receive", test_receive);
  g_test_add_func ("/turn/close", test_close);
  g_test_add_func ("/turn/credentials", test_credentials);
  g_test_add_func ("/turn-stream/padding", test_stream_padding);
  g_test_add_func ("/turn-stream/splits", test_stream_splits);
  g_test_add_func ("/turn-stream/broken", test_stream_broken);
  return g_test_run ();
}
