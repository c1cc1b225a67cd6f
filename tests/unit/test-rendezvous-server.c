/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The server core against clients that do everything wrong, and its parts. */

#include "net/rendezvous/ph-invitation-store.h"
#include "net/rendezvous/ph-limits.h"
#include "net/rendezvous/ph-rooms.h"
#include "net/rendezvous/ph-turn-credentials.h"
#include "net/signal/ph-base64.h"
#include "net/signal/ph-json.h"
#include "tests/support/ph-test.h"

#define ORIGIN "ws://192.0.2.1:8080"

typedef struct {
  PhRandomSeeded state;
  PhRandom random;
  PhTime now;
  PhRooms *rooms;
  uint64_t next;
  char *last[4096]; /* by connection: the last text it got */
  unsigned close_code[4096];
} Fixture;

static void
set_up_config (Fixture *f, unsigned per_address, unsigned total)
{
  static const char *const origins[] = {"wss://meet.example.org:443", NULL};

  f->random = ph_test_random (&f->state, "server");

  const PhRoomsConfig config = {
      .random = f->random,
      .origins = origins,
      .per_address_max = per_address,
      .connections_max = total,
  };

  f->now = 1;
  f->next = 1;
  f->rooms = ph_rooms_new (&config);
}

static void
set_up (Fixture *f, const void *data)
{
  set_up_config (f, 0, 0);
}

static void
tear_down (Fixture *f, const void *data)
{
  for (unsigned i = 0; i < G_N_ELEMENTS (f->last); i++)
    g_free (f->last[i]);
  ph_rooms_free (f->rooms);
}

static void
settle (Fixture *f)
{
  PhRoomsOutput out;

  while (ph_rooms_poll_output (f->rooms, &out)) {
    g_assert_cmpuint (out.connection, <, G_N_ELEMENTS (f->last));
    g_assert_cmpuint (f->close_code[out.connection], ==, 0); /* nothing after a close */
    if (out.text != NULL) {
      g_free (f->last[out.connection]);
      f->last[out.connection] = out.text;
    } else {
      f->close_code[out.connection] = out.close_code;
    }
  }
}

static uint64_t
open_from (Fixture *f, PhAddr remote)
{
  const uint64_t conn = f->next++;

  ph_rooms_handle_open (f->rooms, f->now, conn, &remote, ORIGIN);
  settle (f);
  return conn;
}

static uint64_t
open_conn (Fixture *f)
{
  return open_from (f, ph_addr_ipv4 (198, 51, 100, 7, 1000));
}

static void
say (Fixture *f, uint64_t conn, const char *text)
{
  ph_rooms_handle_text (f->rooms, f->now, conn, ph_slice_string (text));
  settle (f);
}

static char *
heard_string (Fixture *f, uint64_t conn, const char *member)
{
  const char *type;

  if (f->last[conn] == NULL)
    return NULL;

  g_autoptr (JsonObject) message = ph_json_parse (ph_slice_string (f->last[conn]), &type);

  g_assert_nonnull (message);
  return g_strdup (ph_json_string (message, member));
}

#define ASSERT_HEARD(conn, member, value)                                                          \
  G_STMT_START                                                                                     \
  {                                                                                                \
    g_autofree char *_heard = heard_string (f, conn, member);                                      \
    g_assert_cmpstr (_heard, ==, value);                                                           \
  }                                                                                                \
  G_STMT_END

typedef struct {
  const char *origin;
  bool wrong_nonce;
  bool wrong_signature;
  bool bad_key;
  const char *watch; /* JSON, or NULL */
} Login;

static void
log_in_with (Fixture *f, uint64_t conn, const PhIdentity *identity, const Login *how)
{
  PhRendezvousLogin login = {.origin = how->origin, .key = identity->id};
  uint8_t bytes[PH_RENDEZVOUS_LOGIN_LEN_MAX];
  uint8_t signature[PH_SIGNATURE_LEN];
  JsonObject *message = ph_json_message ("login");
  g_autofree char *nonce = heard_string (f, conn, "nonce");

  g_assert_true (ph_base64_decode_exact (nonce, login.server_nonce, sizeof login.server_nonce));
  login.server_nonce[0] ^= how->wrong_nonce;
  ph_random_bytes (&f->random, login.client_nonce, sizeof login.client_nonce);
  ph_random_bytes (&f->random, &login.epoch, sizeof login.epoch);
  ph_identity_sign (identity, ph_slice (bytes, ph_rendezvous_login_message (&login, bytes)),
                    signature);
  signature[10] ^= how->wrong_signature;
  if (how->bad_key)
    memset (login.key.key, 0, sizeof login.key.key);
  ph_json_set_bytes (message, "key", ph_slice (login.key.key, 32));
  ph_json_set_bytes (message, "nonce", ph_slice (login.client_nonce, 32));
  ph_json_set_bytes (message, "epoch", ph_slice (login.epoch.nonce, 16));
  json_object_set_string_member (message, "origin", how->origin);
  ph_json_set_bytes (message, "signature", ph_slice (signature, 64));
  if (how->watch != NULL)
    json_object_set_member (message, "watch", json_from_string (how->watch, NULL));

  g_autofree char *text = ph_json_finish (message);

  say (f, conn, text);
}

static uint64_t
log_in (Fixture *f, PhIdentity *identity)
{
  const Login how = {.origin = ORIGIN};
  const uint64_t conn = open_conn (f);

  ph_identity_generate (identity, &f->random);
  log_in_with (f, conn, identity, &how);
  ASSERT_HEARD (conn, "type", "welcome");
  return conn;
}

/* However many want it, from wherever. */
static void
test_knocks_max (Fixture *f, const void *data)
{
  const Login how = {.origin = ORIGIN};
  const PhAddr local = ph_addr_ipv4 (192, 0, 2, 1, 8080);
  PhRoomsKnock knock;
  unsigned n = 0;

  for (unsigned i = 0; i < PH_ROOMS_KNOCKS_MAX + 6; i++) {
    const uint64_t conn = open_from (f, ph_addr_ipv4 (203, 0, 113, (uint8_t)i, 1000));
    PhIdentity identity;

    ph_rooms_allow_knocks (f->rooms, conn, &local);
    ph_identity_generate (&identity, &f->random);
    log_in_with (f, conn, &identity, &how);
    ASSERT_HEARD (conn, "type", "welcome");
    say (f, conn, "{\"type\":\"knock\",\"port\":40000,\"token\":\"AAAAAAAAAAAAAAAAAAAAAA\"}");
    ASSERT_HEARD (conn, "code", i < PH_ROOMS_KNOCKS_MAX ? NULL : "knock-refused");
    while (ph_rooms_poll_knock (f->rooms, &knock))
      n++;
  }
  g_assert_cmpuint (n, ==, PH_ROOMS_KNOCKS_MAX);
}

static void
test_log_in_must_be_right (Fixture *f, const void *data)
{
  static const struct {
    Login how;
    const char *code; /* NULL: welcome */
    unsigned close_code;
  } cases[] = {
      {{.origin = ORIGIN}, NULL, 0},
      {{.origin = "wss://meet.example.org:443"}, NULL, 0},
      {{.origin = ORIGIN, .watch = "[]"}, NULL, 0},
      {{.origin = ORIGIN, .wrong_signature = true}, "bad-signature", 4001},
      {{.origin = ORIGIN, .wrong_nonce = true}, "bad-signature", 4001},
      {{.origin = ORIGIN, .bad_key = true}, "bad-key", 4002},
      {{.origin = "ws://evil.example:80"}, "foreign-origin", 4003},
      {{.origin = ""}, "foreign-origin", 4003},
      {{.origin = ORIGIN, .watch = "{}"}, "malformed", 1007},
      {{.origin = ORIGIN, .watch = "[1]"}, "malformed", 1007},
      {{.origin = ORIGIN, .watch = "[\"AAAA\"]"}, "malformed", 1007},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    const uint64_t conn = open_conn (f);
    PhIdentity identity;

    g_test_message ("case %zu", i);
    ph_identity_generate (&identity, &f->random);
    log_in_with (f, conn, &identity, &cases[i].how);
    ASSERT_HEARD (conn, "type", cases[i].code != NULL ? "error" : "welcome");
    ASSERT_HEARD (conn, "code", cases[i].code);
    g_assert_cmpuint (f->close_code[conn], ==, cases[i].close_code);
  }
  g_assert_cmpuint (ph_rooms_stats (f->rooms).devices, ==, 3);
  g_assert_cmpuint (ph_rooms_stats (f->rooms).connections, ==, 3);
}

/* A log-in that was seen elsewhere serves nobody: the challenge is another. */
static void
test_log_in_replayed (Fixture *f, const void *data)
{
  const Login how = {.origin = ORIGIN};
  PhIdentity identity;
  const uint64_t first = open_conn (f);
  const uint64_t second = open_conn (f);

  /* Answered with the other connection's challenge. */
  g_free (f->last[second]);
  f->last[second] = g_strdup (f->last[first]);
  ph_identity_generate (&identity, &f->random);
  log_in_with (f, second, &identity, &how);
  ASSERT_HEARD (second, "code", "bad-signature");
  log_in_with (f, first, &identity, &how);
  ASSERT_HEARD (first, "type", "welcome");
}

static void
test_nonsense (Fixture *f, const void *data)
{
  static const struct {
    const char *text;
    const char *code;
  } cases[] = {
      {"", "malformed"},
      {"x", "malformed"},
      {"{", "malformed"},
      {"[]", "malformed"},
      {"\"login\"", "malformed"},
      {"null", "malformed"},
      {"{}", "malformed"},
      {"{\"type\":1}", "malformed"},
      {"{\"type\":null}", "malformed"},
      {"{\"type\":[\"login\"]}", "malformed"},
      {"{\"type\":\"login\"} trailing", "malformed"},
      {"{\"type\":\"login\"}", "malformed"},
      {"{\"type\":\"login\",\"origin\":5}", "malformed"},
      {"{\"type\":\"\xff\"}", "malformed"},
      {"{\"type\":\"signal\"}", "not-logged-in"},
      {"{\"type\":\"ping\"}", "not-logged-in"},
      {"{\"type\":\"nonsense\"}", "not-logged-in"},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    const uint64_t conn = open_conn (f);

    g_test_message ("case %zu", i);
    say (f, conn, cases[i].text);
    ASSERT_HEARD (conn, "code", cases[i].code);
    g_assert_cmpuint (f->close_code[conn], ==,
                      g_str_equal (cases[i].code, "malformed") ? 1007 : 4009);
  }
  g_assert_cmpuint (ph_rooms_stats (f->rooms).connections, ==, 0);
}

static void
test_deep_and_large (Fixture *f, const void *data)
{
  g_autofree char *deep = g_strnfill (60000, '[');
  g_autofree char *large = g_strnfill (PH_RENDEZVOUS_FRAME_MAX + 1, ' ');
  uint64_t conn = open_conn (f);

  say (f, conn, deep);
  g_assert_cmpuint (f->close_code[conn], ==, 1007);
  conn = open_conn (f);
  memcpy (deep, "{\"type\":", 8);
  say (f, conn, deep);
  g_assert_cmpuint (f->close_code[conn], ==, 1007);
  conn = open_conn (f);
  say (f, conn, large);
  ASSERT_HEARD (conn, "code", "too-large");
  g_assert_cmpuint (f->close_code[conn], ==, 1009);
  conn = open_conn (f);
  ph_rooms_handle_bad_frame (f->rooms, f->now, conn, PH_RENDEZVOUS_UNSUPPORTED);
  settle (f);
  g_assert_cmpuint (f->close_code[conn], ==, 1003);
}

static void
test_nonsense_after_log_in (Fixture *f, const void *data)
{
  static const char *const bad[] = {
      "{\"type\":\"login\"}",
      "{\"type\":\"unknown\"}",
      "{\"type\":\"signal\"}",
      "{\"type\":\"signal\",\"to\":\"AAAA\",\"envelope\":\"AAAA\"}",
      "{\"type\":\"watch\",\"add\":5}",
      "{\"type\":\"watch\",\"add\":[[]]}",
      "{\"type\":\"watch\",\"remove\":[\"=\"]}",
      "{\"type\":\"invite\"}",
      "{\"type\":\"invite\",\"lookup\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"life\":0}",
      "{\"type\":\"invite\",\"lookup\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"life\":-1}",
      "{\"type\":\"invite\",\"lookup\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"life\":1e300}",
      "{\"type\":\"invite\",\"lookup\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"life\":9223372036854775807}",
      "{\"type\":\"withdraw\",\"lookup\":{}}",
      "{\"type\":\"accept\",\"lookup\":\"AAAAAAAAAAAAAAAAAAAAAA\"}",
      "{\"type\":\"accept\",\"lookup\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"envelope\":\"a b\"}",
      "{\"type\":\"answer\",\"lookup\":\"AAAAAAAAAAAAAAAAAAAAAA\"}",
  };

  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++) {
    PhIdentity identity;
    const uint64_t conn = log_in (f, &identity);

    g_test_message ("%s", bad[i]);
    say (f, conn, bad[i]);
    ASSERT_HEARD (conn, "code", "malformed");
    g_assert_cmpuint (f->close_code[conn], ==, 1007);
  }
}

static void
test_refusals_keep_the_connection (Fixture *f, const void *data)
{
  PhIdentity identity;
  PhIdentity other;
  const uint64_t conn = log_in (f, &identity);
  const uint64_t theirs = log_in (f, &other);
  char key[64];
  g_autofree char *signal =
      g_strdup_printf ("{\"type\":\"signal\",\"to\":\"%s\",\"id\":7,\"envelope\":\"AAAA\"}",
                       ph_base64_encode (ph_slice (other.id.key, 32), key));

  say (f, conn, signal);
  ASSERT_HEARD (conn, "code", "not-online");
  ASSERT_HEARD (conn, "about", "signal");
  ASSERT_HEARD (conn, "to", key);
  ASSERT_HEARD (theirs, "type", "welcome");

  say (f, conn,
       "{\"type\":\"accept\",\"lookup\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"envelope\":\"AAAA\"}");
  ASSERT_HEARD (conn, "code", "unknown-invitation");
  ASSERT_HEARD (conn, "lookup", "AAAAAAAAAAAAAAAAAAAAAA");

  say (f, conn, "{\"type\":\"invite\",\"lookup\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"life\":60}");
  ASSERT_HEARD (conn, "type", "invited");
  say (f, theirs, "{\"type\":\"invite\",\"lookup\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"life\":60}");
  ASSERT_HEARD (theirs, "code", "invitation-taken");
  /* Nor can somebody else withdraw or answer it. */
  say (f, theirs, "{\"type\":\"withdraw\",\"lookup\":\"AAAAAAAAAAAAAAAAAAAAAA\"}");
  g_assert_cmpuint (ph_rooms_stats (f->rooms).invitations, ==, 1);
  g_assert_cmpuint (f->close_code[conn], ==, 0);
  g_assert_cmpuint (f->close_code[theirs], ==, 0);
}

/* An answer that nobody asked for reaches nobody: it would be a way to write to strangers. */
static void
test_unasked_answer (Fixture *f, const void *data)
{
  PhIdentity identity;
  PhIdentity other;
  const uint64_t conn = log_in (f, &identity);
  const uint64_t theirs = log_in (f, &other);
  char key[64];
  g_autofree char *answer =
      g_strdup_printf ("{\"type\":\"answer\",\"lookup\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"to\":\"%s\","
                       "\"accepted\":true,\"envelope\":\"AAAA\"}",
                       ph_base64_encode (ph_slice (other.id.key, 32), key));

  say (f, conn, "{\"type\":\"invite\",\"lookup\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"life\":60}");
  say (f, conn, answer);
  ASSERT_HEARD (theirs, "type", "welcome");
  g_assert_cmpuint (f->close_code[theirs], ==, 0);
}

static void
test_too_many_invitations (Fixture *f, const void *data)
{
  PhIdentity identity;
  const uint64_t conn = log_in (f, &identity);

  for (unsigned i = 0; i <= PH_RENDEZVOUS_INVITATIONS_MAX; i++) {
    uint8_t lookup[16];
    char text[32];

    ph_random_bytes (&f->random, lookup, sizeof lookup);

    g_autofree char *invite =
        g_strdup_printf ("{\"type\":\"invite\",\"lookup\":\"%s\",\"life\":60}",
                         ph_base64_encode (ph_slice (lookup, 16), text));

    say (f, conn, invite);
    ASSERT_HEARD (conn, "code", i < PH_RENDEZVOUS_INVITATIONS_MAX ? NULL : "too-many-invitations");
  }
  g_assert_cmpuint (f->close_code[conn], ==, 0);
}

static void
test_too_many_contacts (Fixture *f, const void *data)
{
  PhIdentity identity;
  const uint64_t conn = log_in (f, &identity);

  for (unsigned part = 0; part < 2; part++) {
    g_autoptr (GString) text = g_string_new ("{\"type\":\"watch\",\"add\":[");

    for (unsigned i = 0; i < 600; i++) {
      uint8_t key[32];
      char encoded[64];

      ph_random_bytes (&f->random, key, sizeof key);
      g_string_append_printf (text, "%s\"%s\"", i > 0 ? "," : "",
                              ph_base64_encode (ph_slice (key, 32), encoded));
    }
    g_string_append (text, "]}");
    say (f, conn, text->str);
  }
  ASSERT_HEARD (conn, "code", "too-many-contacts");
  g_assert_cmpuint (f->close_code[conn], ==, 0);
}

static void
test_silence_before_log_in (Fixture *f, const void *data)
{
  const char *why;
  const uint64_t conn = open_conn (f);

  g_assert_cmpuint (ph_rooms_next_timeout (f->rooms, &why), ==, f->now + PH_RENDEZVOUS_LOGIN_MAX);
  f->now += PH_RENDEZVOUS_LOGIN_MAX;
  ph_rooms_handle_timeout (f->rooms, f->now);
  settle (f);
  ASSERT_HEARD (conn, "code", "login-timeout");
  g_assert_cmpuint (f->close_code[conn], ==, 4004);
  g_assert_cmpuint (ph_rooms_stats (f->rooms).connections, ==, 0);
}

static void
test_message_flood (Fixture *f, const void *data)
{
  PhIdentity identity;
  uint64_t conn = log_in (f, &identity);
  unsigned n = 0;
  const Login again = {.origin = ORIGIN};

  while (f->close_code[conn] == 0 && n < 10000) {
    say (f, conn, "{\"type\":\"ping\"}");
    n++;
  }
  g_assert_cmpuint (f->close_code[conn], ==, 4006);
  g_assert_cmpuint (n, ==, PH_ROOMS_MESSAGE_BURST - PH_ROOMS_ACCEPT_COST + 1);

  /* A new connection does not help: the budget is the key's. */
  conn = open_conn (f);
  log_in_with (f, conn, &identity, &again);
  ASSERT_HEARD (conn, "code", "rate-limited");

  f->now += 10 * PH_SEC;
  conn = open_conn (f);
  log_in_with (f, conn, &identity, &again);
  ASSERT_HEARD (conn, "type", "welcome");
}

static void
test_too_many_connections (Fixture *f, const void *data)
{
  const PhAddr addr = ph_addr_ipv4 (198, 51, 100, 9, 1);
  PhAddr v6;

  ph_rooms_free (f->rooms);
  set_up_config (f, 3, 5);
  for (unsigned i = 0; i < 3; i++)
    g_assert_cmpuint (f->close_code[open_from (f, addr)], ==, 0);
  g_assert_cmpuint (f->close_code[open_from (f, addr)], ==, 4007);

  /* An IPv6 site is one address; the total is for all. */
  for (unsigned i = 0; i < 2; i++) {
    g_autofree char *text = g_strdup_printf ("[2001:db8::%x]:1", i + 1);

    g_assert_true (ph_addr_parse (text, 0, &v6));
    g_assert_cmpuint (f->close_code[open_from (f, v6)], ==, 0);
  }
  g_assert_cmpuint (f->close_code[open_from (f, ph_addr_ipv4 (203, 0, 113, 1, 1))], ==, 4007);

  /* Who leaves makes room. */
  ph_rooms_handle_close (f->rooms, f->now, 1);
  g_assert_cmpuint (f->close_code[open_from (f, addr)], ==, 0);
}

static void
test_connection_flood (Fixture *f, const void *data)
{
  const PhAddr addr = ph_addr_ipv4 (198, 51, 100, 9, 1);
  unsigned n = 0;

  for (; n < 1000; n++) {
    const uint64_t conn = open_from (f, addr);

    if (f->close_code[conn] != 0)
      break;
    ph_rooms_handle_close (f->rooms, f->now, conn);
  }
  g_assert_cmpuint (n, ==, PH_ROOMS_OPEN_BURST);
  /* Others are not touched by it. */
  g_assert_cmpuint (f->close_code[open_conn (f)], ==, 0);
}

/* A client that is sent more than it may leave unread, by contacts of its own. */
static void
test_slow_reader (Fixture *f, const void *data)
{
  PhIdentity slow;
  PhIdentity sender;
  const uint64_t reader = log_in (f, &slow);
  const uint64_t writer = log_in (f, &sender);
  char slow_key[64];
  char sender_key[64];
  g_autofree char *body = g_strnfill (20000, 'A');

  ph_base64_encode (ph_slice (slow.id.key, 32), slow_key);
  ph_base64_encode (ph_slice (sender.id.key, 32), sender_key);

  g_autofree char *watch_slow = g_strdup_printf ("{\"type\":\"watch\",\"add\":[\"%s\"]}", slow_key);
  g_autofree char *watch_sender =
      g_strdup_printf ("{\"type\":\"watch\",\"add\":[\"%s\"]}", sender_key);
  g_autofree char *signal =
      g_strdup_printf ("{\"type\":\"signal\",\"to\":\"%s\",\"envelope\":\"%s\"}", slow_key, body);
  unsigned n = 0;

  say (f, reader, watch_sender);
  say (f, writer, watch_slow);
  ASSERT_HEARD (writer, "type", "presence");
  for (; f->close_code[reader] == 0 && n < 200; n++)
    say (f, writer, signal);
  g_assert_cmpuint (f->close_code[reader], ==, 4008);
  g_assert_cmpuint (n, <=, PH_ROOMS_OUT_BURST / 20000 + 1);
  /* The sender sees it go, and lives. */
  ASSERT_HEARD (writer, "type", "presence");
  g_assert_cmpuint (f->close_code[writer], ==, 0);
}

static void
test_shut_down (Fixture *f, const void *data)
{
  PhIdentity identity;
  const uint64_t conn = log_in (f, &identity);
  const uint64_t waiting = open_conn (f);

  ph_rooms_shut_down (f->rooms, f->now);
  settle (f);
  g_assert_cmpuint (f->close_code[conn], ==, 1001);
  g_assert_cmpuint (f->close_code[waiting], ==, 1001);
  g_assert_cmpuint (ph_rooms_stats (f->rooms).connections, ==, 0);
}

/* --- Parts -------------------------------------------------------------------------------------- */

static void
test_turn_credentials (void)
{
  char password[32];
  PhDeviceId device = {{1, 2, 3}};
  PhDeviceId other = {{1, 2, 4}};

  /* HMAC-SHA1 by an independent implementation (Python's hmac). */
  ph_turn_password ("north", "1433895918:filtering", password);
  g_assert_cmpstr (password, ==, "dYSnfp+yQrNME4EceaVzhh5ctyA=");

  const PhTurnCredentials a = ph_turn_credentials ("secret", &device, 1800000000);
  const PhTurnCredentials b = ph_turn_credentials ("secret", &other, 1800000000);

  g_assert_true (g_str_has_prefix (a.username, "1800000000:"));
  g_assert_cmpstr (a.username, !=, b.username);
  ph_turn_password ("secret", a.username, password);
  g_assert_cmpstr (a.password, ==, password);
}

static void
test_bucket (void)
{
  PhBucket bucket;

  ph_bucket_init (&bucket, 0, 10, 2);
  for (unsigned i = 0; i < 10; i++)
    g_assert_true (ph_bucket_take (&bucket, 0, 1));
  g_assert_false (ph_bucket_take (&bucket, 0, 1));
  g_assert_false (ph_bucket_take (&bucket, 499 * PH_MSEC, 1));
  g_assert_true (ph_bucket_take (&bucket, 500 * PH_MSEC, 1));
  g_assert_false (ph_bucket_take (&bucket, 500 * PH_MSEC, 1));
  g_assert_false (ph_bucket_is_full (&bucket, 5 * PH_SEC));
  g_assert_true (ph_bucket_is_full (&bucket, 6 * PH_SEC));
  g_assert_true (ph_bucket_is_full (&bucket, PH_NEVER - 1));
  g_assert_true (ph_bucket_take (&bucket, PH_NEVER - 1, 10));
  g_assert_false (ph_bucket_take (&bucket, PH_NEVER - 1, 1));
}

static void
test_bucket_table_forgets (void)
{
  PhBucketTable *table = ph_bucket_table_new (10, 1);

  for (unsigned i = 0; i < 100; i++)
    g_assert_true (ph_bucket_take (ph_bucket_table_get (table, 0, &i, sizeof i), 0, i % 10));
  g_assert_cmpuint (ph_bucket_table_size (table), ==, 100);
  ph_bucket_table_sweep (table, 4 * PH_SEC);
  g_assert_cmpuint (ph_bucket_table_size (table), ==, 50);
  ph_bucket_table_sweep (table, 10 * PH_SEC);
  g_assert_cmpuint (ph_bucket_table_size (table), ==, 0);
  ph_bucket_table_free (table);
}

static PhLookupId
lookup_of (unsigned i)
{
  PhLookupId id = {{0}};

  memcpy (id.bytes, &i, sizeof i);
  return id;
}

static void
test_invitation_store (void)
{
  PhInvitationStore *store = ph_invitation_store_new ();
  const PhDeviceId owner = {{1}};
  const PhDeviceId other = {{2}};

  for (unsigned i = 0; i < PH_RENDEZVOUS_INVITATIONS_MAX; i++) {
    const PhLookupId lookup = lookup_of (i);

    g_assert_cmpint (ph_invitation_store_add (store, 0, &lookup, &owner, 100), ==,
                     PH_INVITATION_ADDED);
  }

  const PhLookupId first = lookup_of (0);
  const PhLookupId more = lookup_of (1000);

  g_assert_cmpint (ph_invitation_store_add (store, 0, &more, &owner, 100), ==,
                   PH_INVITATION_TOO_MANY);
  g_assert_cmpint (ph_invitation_store_add (store, 0, &first, &owner, 200), ==,
                   PH_INVITATION_ADDED);
  g_assert_cmpint (ph_invitation_store_add (store, 0, &first, &other, 200), ==,
                   PH_INVITATION_TAKEN);

  /* Ended ones are remembered and make room, the oldest first. */
  for (unsigned i = 0; i < 3 * PH_INVITATION_STORE_PER_KEY_MAX; i++) {
    const PhLookupId lookup = lookup_of (2000 + i);

    ph_invitation_store_end (store, 0, i == 0 ? &first : &more, PH_INVITATION_IS_USED, &other);
    if (i == 0)
      g_assert_cmpint (ph_invitation_store_find (store, 0, &first)->state, ==,
                       PH_INVITATION_IS_USED);
    g_assert_cmpint (ph_invitation_store_add (store, 0, &lookup, &owner, 100), ==,
                     PH_INVITATION_ADDED);
    ph_invitation_store_end (store, 0, &lookup, PH_INVITATION_IS_ENDED, &other);
    g_assert_cmpuint (ph_invitation_store_size (store), <=, PH_INVITATION_STORE_PER_KEY_MAX);
  }
  g_assert_null (ph_invitation_store_find (store, 0, &first));

  /* Time takes the rest. */
  const PhLookupId second = lookup_of (1);

  g_assert_nonnull (ph_invitation_store_find (store, 99, &second));
  g_assert_null (ph_invitation_store_find (store, 100, &second));
  ph_invitation_store_sweep (store, PH_INVITATION_STORE_MEMORY);
  g_assert_cmpuint (ph_invitation_store_size (store), ==, 0);
  ph_invitation_store_free (store);
}

#define ADD(name, func)                                                                            \
  g_test_add ("/rendezvous-server/" name, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  ADD ("knocks-max", test_knocks_max);
  ADD ("log-in-must-be-right", test_log_in_must_be_right);
  ADD ("log-in-replayed", test_log_in_replayed);
  ADD ("nonsense", test_nonsense);
  ADD ("deep-and-large", test_deep_and_large);
  ADD ("nonsense-after-log-in", test_nonsense_after_log_in);
  ADD ("refusals-keep-the-connection", test_refusals_keep_the_connection);
  ADD ("unasked-answer", test_unasked_answer);
  ADD ("too-many-invitations", test_too_many_invitations);
  ADD ("too-many-contacts", test_too_many_contacts);
  ADD ("silence-before-log-in", test_silence_before_log_in);
  ADD ("message-flood", test_message_flood);
  ADD ("too-many-connections", test_too_many_connections);
  ADD ("connection-flood", test_connection_flood);
  ADD ("slow-reader", test_slow_reader);
  ADD ("shut-down", test_shut_down);
  g_test_add_func ("/rendezvous-server/turn-credentials", test_turn_credentials);
  g_test_add_func ("/rendezvous-server/bucket", test_bucket);
  g_test_add_func ("/rendezvous-server/bucket-table-forgets", test_bucket_table_forgets);
  g_test_add_func ("/rendezvous-server/invitation-store", test_invitation_store);
  return g_test_run ();
}
