/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The rendezvous server's core: the input is lines, each a frame. The first character of a line says
 * from which of four connections: two that are logged in and watch each other, one that is not
 * logged in, and one that closes. */

#include "net/rendezvous/ph-rooms.h"
#include "net/signal/ph-base64.h"
#include "net/signal/ph-json.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

#define ORIGIN "ws://192.0.2.1:8080"
#define N_CONNS 4

static uint64_t
unix_time (void *user)
{
  return 1800000000;
}

static char *
drain (PhRooms *rooms, PhTime now, bool closed[N_CONNS])
{
  PhRoomsOutput out;
  PhRoomsKnock knock;
  char *last = NULL;

  while (ph_rooms_poll_knock (rooms, &knock)) {
    g_assert_cmpint (knock.to.port, >=, PH_RENDEZVOUS_KNOCK_PORT_MIN);
    g_assert_true (knock.to.ip[0] == 198 && knock.to.ip[3] < N_CONNS);
    if (knock.number % 4 == 0)
      ph_rooms_handle_knock_failed (rooms, now, knock.number);
  }

  while (ph_rooms_poll_output (rooms, &out)) {
    g_assert_true (out.connection < N_CONNS);
    g_assert_false (closed[out.connection]);
    if (out.text == NULL) {
      closed[out.connection] = true;
      continue;
    }
    g_assert_true (g_utf8_validate (out.text, -1, NULL));
    g_free (last);
    last = out.text;
  }
  return last;
}

static void
log_in (PhRooms *rooms, uint64_t conn, const PhIdentity *identity, const char *watch,
        bool closed[N_CONNS])
{
  PhRendezvousLogin login = {.origin = ORIGIN, .key = identity->id};
  uint8_t bytes[PH_RENDEZVOUS_LOGIN_LEN_MAX];
  uint8_t signature[PH_SIGNATURE_LEN];
  char key[64];
  char text[128];
  const char *type;
  g_autofree char *challenge = drain (rooms, 1, closed);
  g_autoptr (JsonObject) message = ph_json_parse (ph_slice_string (challenge), &type);

  g_assert_true (ph_json_bytes (message, "nonce", login.server_nonce, 32));
  ph_identity_sign (identity, ph_slice (bytes, ph_rendezvous_login_message (&login, bytes)),
                    signature);
  ph_base64_encode (ph_slice (login.key.key, 32), key);

  g_autofree char *frame =
      g_strdup_printf ("{\"type\":\"login\",\"key\":\"%s\",\"nonce\":\"%043d\",\"epoch\":\"%022d\","
                       "\"origin\":\"" ORIGIN "\",\"signature\":\"%s\",\"watch\":[\"%s\"]}",
                       key, 0, 0, ph_base64_encode (ph_slice (signature, 64), text), watch);

  for (char *c = strstr (frame, "\"nonce\":\"") + 9; *c == '0'; c++)
    *c = 'A';
  for (char *c = strstr (frame, "\"epoch\":\"") + 9; *c == '0'; c++)
    *c = 'A';
  ph_rooms_handle_text (rooms, 1, conn, ph_slice_string (frame));

  g_autofree char *welcome = drain (rooms, 1, closed);

  g_assert_nonnull (welcome);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const char *const turn[] = {"turn:192.0.2.1", NULL};
  static const uint8_t seeds[2][32] = {{1}, {2}};
  bool closed[N_CONNS] = {false};
  PhIdentity identities[2];
  PhRandomSeeded state;
  char keys[2][64];
  PhTime now = 1;

  ph_random_seeded_init (&state, 1);

  const PhRoomsConfig config = {
      .random = ph_random_seeded (&state),
      .turn_uris = turn,
      .turn_secret = "secret",
      .unix_time = unix_time,
  };
  g_autoptr (PhRooms) rooms = ph_rooms_new (&config);

  for (unsigned i = 0; i < 2; i++) {
    ph_identity_from_seed (&identities[i], seeds[i]);
    ph_base64_encode (ph_slice (identities[i].id.key, 32), keys[i]);
  }
  for (uint64_t conn = 0; conn < N_CONNS; conn++) {
    const PhAddr local = ph_addr_ipv4 (192, 0, 2, 1, 8080);
    const PhAddr remote = ph_addr_ipv4 (198, 51, 100, (uint8_t)conn, 1);

    ph_rooms_handle_open (rooms, now, conn, &remote, ORIGIN);
    ph_rooms_allow_knocks (rooms, conn, &local);
    if (conn < 2)
      log_in (rooms, conn, &identities[conn], keys[1 - conn], closed);
    else
      g_free (drain (rooms, now, closed));
  }

  while (size > 0) {
    const uint8_t *end = memchr (data, '\n', size);
    const size_t len = end != NULL ? (size_t)(end - data) : size;

    if (len > 0 && data[0] % N_CONNS == 3)
      ph_rooms_handle_close (rooms, now, data[0] / N_CONNS % N_CONNS);
    else if (len > 0)
      ph_rooms_handle_text (rooms, now, data[0] % N_CONNS, ph_slice (data + 1, len - 1));
    g_free (drain (rooms, now, closed));
    now += PH_SEC / 2;
    ph_rooms_handle_timeout (rooms, now);
    g_free (drain (rooms, now, closed));
    data += MIN (len + 1, size);
    size -= MIN (len + 1, size);
  }
  return 0;
}
