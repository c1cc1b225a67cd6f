/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/signal/ph-rendezvous-protocol.h"

#include "net/signal/ph-base64.h"

static const struct {
  const char *text;
  uint16_t close_code; /* 0: the connection goes on, or the code never travels */
} codes[PH_RENDEZVOUS_N_CODES] = {
    [PH_RENDEZVOUS_OK] = {"ok", 0},
    [PH_RENDEZVOUS_MALFORMED] = {"malformed", 1007},
    [PH_RENDEZVOUS_TOO_LARGE] = {"too-large", 1009},
    [PH_RENDEZVOUS_UNSUPPORTED] = {"unsupported", 1003},
    [PH_RENDEZVOUS_BAD_SIGNATURE] = {"bad-signature", 4001},
    [PH_RENDEZVOUS_BAD_KEY] = {"bad-key", 4002},
    [PH_RENDEZVOUS_FOREIGN_ORIGIN] = {"foreign-origin", 4003},
    [PH_RENDEZVOUS_LOGIN_TIMEOUT] = {"login-timeout", 4004},
    [PH_RENDEZVOUS_REPLACED] = {"replaced", 4005},
    [PH_RENDEZVOUS_RATE_LIMITED] = {"rate-limited", 4006},
    [PH_RENDEZVOUS_TOO_MANY_CONNECTIONS] = {"too-many-connections", 4007},
    [PH_RENDEZVOUS_SLOW] = {"slow", 4008},
    [PH_RENDEZVOUS_SHUTTING_DOWN] = {"shutting-down", 1001},
    [PH_RENDEZVOUS_NOT_LOGGED_IN] = {"not-logged-in", 4009},
    [PH_RENDEZVOUS_TOO_MANY_CONTACTS] = {"too-many-contacts", 0},
    [PH_RENDEZVOUS_TOO_MANY_INVITATIONS] = {"too-many-invitations", 0},
    [PH_RENDEZVOUS_NOT_ONLINE] = {"not-online", 0},
    [PH_RENDEZVOUS_UNKNOWN_INVITATION] = {"unknown-invitation", 0},
    [PH_RENDEZVOUS_INVITATION_USED] = {"invitation-used", 0},
    [PH_RENDEZVOUS_INVITATION_ENDED] = {"invitation-ended", 0},
    [PH_RENDEZVOUS_INVITER_OFFLINE] = {"inviter-offline", 0},
    [PH_RENDEZVOUS_INVITATION_TAKEN] = {"invitation-taken", 0},
    [PH_RENDEZVOUS_KNOCK_REFUSED] = {"knock-refused", 0},
    [PH_RENDEZVOUS_UNREACHABLE] = {"unreachable", 0},
    [PH_RENDEZVOUS_NOT_TRUSTED] = {"not-trusted", 0},
    [PH_RENDEZVOUS_NOT_A_RENDEZVOUS] = {"not-a-rendezvous", 0},
    [PH_RENDEZVOUS_LOST] = {"lost", 0},
    [PH_RENDEZVOUS_TIMED_OUT] = {"timed-out", 0},
    [PH_RENDEZVOUS_QUEUE_FULL] = {"queue-full", 0},
    [PH_RENDEZVOUS_OWN_INVITATION] = {"own-invitation", 0},
    [PH_RENDEZVOUS_WRONG_SECRET] = {"wrong-secret", 0},
    [PH_RENDEZVOUS_INVITATION_EXPIRED] = {"invitation-expired", 0},
    [PH_RENDEZVOUS_CANCELLED] = {"cancelled", 0},
    [PH_RENDEZVOUS_UNKNOWN_CODE] = {"unknown", 0},
};

const char *
ph_rendezvous_code_string (PhRendezvousCode code)
{
  g_assert ((unsigned)code < PH_RENDEZVOUS_N_CODES);
  return codes[code].text;
}

PhRendezvousCode
ph_rendezvous_code_parse (const char *text)
{
  /* What the client finds by itself is not for the server to say. */
  for (unsigned i = PH_RENDEZVOUS_MALFORMED; i < PH_RENDEZVOUS_UNREACHABLE; i++)
    if (strcmp (codes[i].text, text) == 0)
      return (PhRendezvousCode)i;
  return PH_RENDEZVOUS_UNKNOWN_CODE;
}

uint16_t
ph_rendezvous_close_code (PhRendezvousCode code)
{
  g_assert ((unsigned)code < PH_RENDEZVOUS_N_CODES);
  return codes[code].close_code;
}

PhRendezvousCode
ph_rendezvous_code_from_close (uint16_t close_code)
{
  for (unsigned i = 0; i < PH_RENDEZVOUS_N_CODES && close_code != 0; i++)
    if (codes[i].close_code == close_code)
      return (PhRendezvousCode)i;
  return PH_RENDEZVOUS_LOST;
}

size_t
ph_rendezvous_login_message (const PhRendezvousLogin *login,
                             uint8_t out[PH_RENDEZVOUS_LOGIN_LEN_MAX])
{
  static const char purpose[] = "porthole/1 login";
  const size_t origin_len = strlen (login->origin);
  PhWriter w = ph_writer (out, PH_RENDEZVOUS_LOGIN_LEN_MAX);

  if (origin_len > PH_RENDEZVOUS_LOGIN_LEN_MAX)
    return 0;
  ph_write_bytes (&w, purpose, sizeof purpose);
  ph_write_u16 (&w, (uint16_t)origin_len);
  ph_write_bytes (&w, login->origin, origin_len);
  ph_write_bytes (&w, login->server_nonce, PH_RENDEZVOUS_NONCE_LEN);
  ph_write_bytes (&w, login->client_nonce, PH_RENDEZVOUS_NONCE_LEN);
  ph_write_bytes (&w, login->epoch.nonce, PH_EPOCH_LEN);
  ph_write_bytes (&w, login->key.key, PH_DEVICE_ID_LEN);
  return ph_writer_ok (&w) ? ph_writer_len (&w) : 0;
}

void
ph_rendezvous_greeting (const uint8_t token[PH_RENDEZVOUS_KNOCK_TOKEN_LEN],
                        uint8_t out[PH_RENDEZVOUS_GREETING_LEN])
{
  static const char words[] = "porthole/1 knock ";
  char text[PH_BASE64_CHARS (PH_RENDEZVOUS_KNOCK_TOKEN_LEN) + 1];
  PhWriter w = ph_writer (out, PH_RENDEZVOUS_GREETING_LEN);

  ph_base64_encode (ph_slice (token, PH_RENDEZVOUS_KNOCK_TOKEN_LEN), text);
  ph_write_u16 (&w, PH_RENDEZVOUS_GREETING_LEN - 2);
  ph_write_bytes (&w, words, sizeof words - 1);
  ph_write_bytes (&w, text, strlen (text));
  g_assert (ph_writer_ok (&w) && ph_writer_len (&w) == PH_RENDEZVOUS_GREETING_LEN);
}
