/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What both ends of the rendezvous protocol share: names, limits, error codes, the login's signature.
 * The messages are described in docs/protocol.md. */

#pragma once

#include "net/signal/ph-envelope.h"

#define PH_RENDEZVOUS_SUBPROTOCOL "porthole.rendezvous.1"

/* Largest text frame either side takes. The largest that is sent is a log-in with the full watch
 * list: 1,000 contacts of 46 bytes. */
#define PH_RENDEZVOUS_FRAME_MAX 65536
/* Contacts that one device can watch. */
#define PH_RENDEZVOUS_CONTACTS_MAX 1000
/* Open invitations of one device. */
#define PH_RENDEZVOUS_INVITATIONS_MAX 32
/* An invitation lives at most so long: a week to read a mail. */
#define PH_RENDEZVOUS_INVITATION_LIFE_MAX (UINT64_C (7) * 24 * 3600 * PH_SEC)
/* Nonces of the log-in. */
#define PH_RENDEZVOUS_NONCE_LEN 32
/* How long the server waits for the log-in after its challenge. */
#define PH_RENDEZVOUS_LOGIN_MAX (10 * PH_SEC)
/* Servers that a client is told. */
#define PH_RENDEZVOUS_ICE_MAX 16

/* A knock: the server connects to the device, at the address that it sees the device at, and says a greeting
 * that holds the device's token. Lower ports are none that a Porthole listens on. */
#define PH_RENDEZVOUS_KNOCK_PORT_MIN 1024
#define PH_RENDEZVOUS_KNOCK_TOKEN_LEN 16
/* Of one device, under way at once. */
#define PH_RENDEZVOUS_KNOCKS_MAX 4
/* The answer comes after this, whatever became of the connection: when tells no more than what. The kernel's
 * SYN leaves at 0, 1 and 3 s. */
#define PH_RENDEZVOUS_KNOCK_TIME (4 * PH_SEC)

/* Everything that goes wrong, on the wire and in events. On the wire it is the string of
 * ph_rendezvous_code_string(); strings are never given another meaning. */
typedef enum {
  PH_RENDEZVOUS_OK,

  /* Said by the server. The connection ends after those marked (c). */
  PH_RENDEZVOUS_MALFORMED, /* "malformed" (c): not JSON, or not this protocol */
  PH_RENDEZVOUS_TOO_LARGE, /* "too-large" (c) */
  PH_RENDEZVOUS_UNSUPPORTED, /* "unsupported" (c): binary frame, other protocol version */
  PH_RENDEZVOUS_BAD_SIGNATURE, /* "bad-signature" (c) */
  PH_RENDEZVOUS_BAD_KEY, /* "bad-key" (c): not a usable Ed25519 key */
  PH_RENDEZVOUS_FOREIGN_ORIGIN, /* "foreign-origin" (c): the log-in was made for another address */
  PH_RENDEZVOUS_LOGIN_TIMEOUT, /* "login-timeout" (c) */
  PH_RENDEZVOUS_REPLACED, /* "replaced" (c): the same key logged in elsewhere */
  PH_RENDEZVOUS_RATE_LIMITED, /* "rate-limited" (c) */
  PH_RENDEZVOUS_TOO_MANY_CONNECTIONS, /* "too-many-connections" (c): from one address, or in all */
  PH_RENDEZVOUS_SLOW, /* "slow" (c): does not read what it is sent */
  PH_RENDEZVOUS_SHUTTING_DOWN, /* "shutting-down" (c) */
  PH_RENDEZVOUS_NOT_LOGGED_IN, /* "not-logged-in" (c) */
  PH_RENDEZVOUS_TOO_MANY_CONTACTS, /* "too-many-contacts" */
  PH_RENDEZVOUS_TOO_MANY_INVITATIONS, /* "too-many-invitations" */
  PH_RENDEZVOUS_NOT_ONLINE, /* "not-online": or does not watch the sender: the server does not tell */
  PH_RENDEZVOUS_UNKNOWN_INVITATION, /* "unknown-invitation": expired, withdrawn or never made */
  PH_RENDEZVOUS_INVITATION_USED, /* "invitation-used" */
  PH_RENDEZVOUS_INVITATION_ENDED, /* "invitation-ended": somebody gave a wrong answer to it */
  PH_RENDEZVOUS_INVITER_OFFLINE, /* "inviter-offline" */
  PH_RENDEZVOUS_INVITATION_TAKEN, /* "invitation-taken": the look-up ID is another device's */
  PH_RENDEZVOUS_KNOCK_REFUSED, /* "knock-refused": this server, address or port, or too often */

  /* Found by the client. */
  PH_RENDEZVOUS_UNREACHABLE, /* "unreachable": name, network or server not there */
  PH_RENDEZVOUS_NOT_TRUSTED, /* "not-trusted": certificate or pin is wrong */
  PH_RENDEZVOUS_NOT_A_RENDEZVOUS, /* "not-a-rendezvous": something else answers there */
  PH_RENDEZVOUS_LOST, /* "lost": the connection broke */
  PH_RENDEZVOUS_TIMED_OUT, /* "timed-out": no answer */
  PH_RENDEZVOUS_QUEUE_FULL, /* "queue-full": too many signals wait for this contact */
  PH_RENDEZVOUS_OWN_INVITATION, /* "own-invitation" */
  PH_RENDEZVOUS_WRONG_SECRET, /* "wrong-secret": the other end does not know the secret */
  PH_RENDEZVOUS_INVITATION_EXPIRED, /* "invitation-expired": ours, unused */
  PH_RENDEZVOUS_CANCELLED, /* "cancelled": by our own side */
  PH_RENDEZVOUS_UNKNOWN_CODE, /* "unknown": a code that this version does not know */
} PhRendezvousCode;
#define PH_RENDEZVOUS_N_CODES (PH_RENDEZVOUS_UNKNOWN_CODE + 1)

const char *ph_rendezvous_code_string (PhRendezvousCode code);
/* PH_RENDEZVOUS_UNKNOWN_CODE for what is not known. */
PhRendezvousCode ph_rendezvous_code_parse (const char *text);
/* The WebSocket close code that goes with a code: RFC 6455's where one fits, else 4000 and up. */
uint16_t ph_rendezvous_close_code (PhRendezvousCode code);
/* The other way round, for a close frame without an error message before it. */
PhRendezvousCode ph_rendezvous_code_from_close (uint16_t close_code);

/* What a log-in signs: "porthole/1 login" NUL, u16 length and the origin, the server's nonce, the
 * client's nonce, the client's epoch, the key. */
#define PH_RENDEZVOUS_LOGIN_LEN_MAX 512
typedef struct {
  const char *origin;
  uint8_t server_nonce[PH_RENDEZVOUS_NONCE_LEN];
  uint8_t client_nonce[PH_RENDEZVOUS_NONCE_LEN];
  PhEpoch epoch;
  PhDeviceId key;
} PhRendezvousLogin;
/* 0 if the origin is too long. */
size_t ph_rendezvous_login_message (const PhRendezvousLogin *login,
                                    uint8_t out[PH_RENDEZVOUS_LOGIN_LEN_MAX]);

/* u16 length, "porthole/1 knock " and the token in base64url: a frame as on any connection between peers (RFC 4571)
 * that is none of theirs, and text without a line's end to whatever else listens there. */
#define PH_RENDEZVOUS_GREETING_LEN 41
void ph_rendezvous_greeting (const uint8_t token[PH_RENDEZVOUS_KNOCK_TOKEN_LEN],
                             uint8_t out[PH_RENDEZVOUS_GREETING_LEN]);
