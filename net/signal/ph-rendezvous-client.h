/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The client of one rendezvous server, without I/O: JSON text frames and time in, frames, wishes and
 * events out. net/io/ph-rendezvous-driver.h gives it a WebSocket and a timer.
 *
 * Being online. The client wants to be connected from start to stop. A lost connection is made again
 * after a growing, jittered pause (1 s to 60 s; at once when the network changed). It logs in by
 * signing the server's challenge together with the origin it dialled. If the same key logs in
 * elsewhere the server says so: the client is then REPLACED and stays so until _start is called again,
 * or two computers with one profile would throw each other out for ever.
 *
 * Contacts. Only the devices on the watch list exist: their presence is told (if they watch us too),
 * signals go to them and come from them; everything of anybody else is dropped. The watch list
 * survives reconnects.
 *
 * Signals. A body handed to _send is sealed, sent, acknowledged by the other device, and sent again
 * after a reconnect of either side until then: SIGNAL_DELIVERED or SIGNAL_FAILED ends it. Bodies of one
 * contact arrive in order and once. A contact that is not online keeps its signals waiting, for 30 s at
 * most: they describe a network of now.
 *
 * Invitations. _invite keeps an invitation open until it is used, withdrawn, answered wrongly or expired,
 * over reconnects. Whoever answers with the secret is told in INVITATION_USED; the owner then watches
 * that id. _accept answers an invitation of somebody else.
 *
 * After any call the caller settles: _poll_request, _poll_text until NULL, _poll_event until false,
 * _next_timeout. Commands return at once; results are events. `now` never goes backwards. */

#pragma once

#include "net/base/ph-addr.h"
#include "net/base/ph-time.h"
#include "net/base/ph-trace.h"
#include "net/signal/ph-invitation.h"
#include "net/signal/ph-rendezvous-ice.h"

/* Reconnecting: first pause, longest pause; each is drawn between half and all of its value. */
#define PH_RENDEZVOUS_BACKOFF_MIN (1 * PH_SEC)
#define PH_RENDEZVOUS_BACKOFF_MAX (60 * PH_SEC)
/* From the wish to connect to the server's challenge: DNS, TCP, TLS and HTTP over a bad line. */
#define PH_RENDEZVOUS_CONNECT_MAX (15 * PH_SEC)
/* A silent server is asked after this, below the minute that most NATs and proxies keep what is idle... */
#define PH_RENDEZVOUS_IDLE_MAX (50 * PH_SEC)
/* ...or after this, for an hour after a connection was found dead or ended without a word when it had been idle for
 * so long: something on the way may be stingier. A change of the network makes it the longer one again. */
#define PH_RENDEZVOUS_IDLE_SHORT (25 * PH_SEC)
#define PH_RENDEZVOUS_IDLE_SHORT_FOR (3600 * PH_SEC)
/* It has this long to say anything. */
#define PH_RENDEZVOUS_PONG_MAX (10 * PH_SEC)
/* The same where the network has just changed: the old connection is probably dead. */
#define PH_RENDEZVOUS_PONG_CHANGED_MAX (3 * PH_SEC)
/* Signals waiting for one contact: several attempts' worth of parameters and candidates. */
#define PH_RENDEZVOUS_QUEUE_MAX 64
#define PH_RENDEZVOUS_SIGNAL_LIFE (30 * PH_SEC)
/* A signal that is not acknowledged is sent again: the server may have lost the receiver. */
#define PH_RENDEZVOUS_RESEND (5 * PH_SEC)
/* An acceptance that is not answered has failed. */
#define PH_RENDEZVOUS_ACCEPT_MAX (30 * PH_SEC)
/* Room for the explanations that servers give. */
#define PH_RENDEZVOUS_TEXT_MAX 160

typedef enum {
  PH_RENDEZVOUS_STOPPED,
  PH_RENDEZVOUS_CONNECTING, /* the driver dials */
  PH_RENDEZVOUS_GREETING, /* connected, the challenge has not come */
  PH_RENDEZVOUS_LOGGING_IN,
  PH_RENDEZVOUS_ONLINE,
  PH_RENDEZVOUS_WAITING, /* for the next try */
  PH_RENDEZVOUS_IS_REPLACED,
} PhRendezvousState;

typedef enum {
  PH_RENDEZVOUS_REQUEST_NONE,
  PH_RENDEZVOUS_REQUEST_CONNECT, /* dial; then _handle_open or _handle_closed */
  PH_RENDEZVOUS_REQUEST_CLOSE, /* drop the connection or the dialling; nothing more is told about it */
} PhRendezvousRequest;

typedef enum {
  PH_RENDEZVOUS_EVENT_ONLINE, /* logged in; `ice` */
  PH_RENDEZVOUS_EVENT_ICE, /* new servers or credentials in mid-session; `ice` */
  PH_RENDEZVOUS_EVENT_OFFLINE, /* `code`, `text`, `retry_at` (PH_NEVER: not by itself) */
  PH_RENDEZVOUS_EVENT_REPLACED, /* the same key is online elsewhere; offline until _start */
  PH_RENDEZVOUS_EVENT_PRESENCE, /* `peer`, `online`, `anew`; again if it was and has logged in anew */
  PH_RENDEZVOUS_EVENT_SIGNAL, /* `body` from `peer` */
  PH_RENDEZVOUS_EVENT_SIGNAL_DELIVERED, /* `peer`, `handle` */
  PH_RENDEZVOUS_EVENT_SIGNAL_FAILED, /* `peer`, `handle`, `code` */
  PH_RENDEZVOUS_EVENT_INVITED, /* `handle`: the server knows it, the link works; told once */
  PH_RENDEZVOUS_EVENT_INVITATION_USED, /* `handle`, `peer`, `name` */
  PH_RENDEZVOUS_EVENT_INVITATION_FAILED, /* `handle`, `code`: expired, answered wrongly, refused */
  PH_RENDEZVOUS_EVENT_ACCEPTED, /* `handle`, `peer` (the inviter), `name` */
  PH_RENDEZVOUS_EVENT_ACCEPT_FAILED, /* `handle`, `code` */
  PH_RENDEZVOUS_EVENT_KNOCKED, /* `handle`, `code`: OK, the server has tried; else it is not known whether it has */
  PH_RENDEZVOUS_EVENT_ERROR, /* `code`, `text`: the server complains about something else */
} PhRendezvousEventType;

/* Everything is valid until the next _poll_event. */
typedef struct {
  PhRendezvousEventType type;
  PhDeviceId peer;
  bool online;
  bool anew; /* it was online before, within this login of ours */
  uint64_t handle;
  PhRendezvousCode code;
  char text[PH_RENDEZVOUS_TEXT_MAX]; /* printable ASCII, for logs and --explain; "" */
  PhTime retry_at;
  PhSlice body;
  char name[PH_NAME_LEN_MAX + 1];
  const PhIceServers *ice; /* NULL unless the event says so */
} PhRendezvousEvent;

typedef struct {
  const PhIdentity *identity; /* borrowed: outlives the client */
  PhRendezvousAddress address;
  const char *name; /* what people we meet by invitation are told; copied, may be "" */
  PhRandom random;
  PhTrace trace;
} PhRendezvousClientConfig;

typedef struct _PhRendezvousClient PhRendezvousClient;

PhRendezvousClient *ph_rendezvous_client_new (const PhRendezvousClientConfig *config);
void ph_rendezvous_client_free (PhRendezvousClient *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhRendezvousClient, ph_rendezvous_client_free)

PhRendezvousState ph_rendezvous_client_state (const PhRendezvousClient *self);
const PhRendezvousAddress *ph_rendezvous_client_address (const PhRendezvousClient *self);

/* --- Commands ----------------------------------------------------------------------------------- */

/* Goes online, also out of REPLACED. */
void ph_rendezvous_client_start (PhRendezvousClient *self, PhTime now);
/* Goes offline; waiting signals fail, invitations stay for the next start. */
void ph_rendezvous_client_stop (PhRendezvousClient *self, PhTime now);
/* Interfaces, addresses or routes changed: try now, or see whether the connection still lives. */
void ph_rendezvous_client_network_changed (PhRendezvousClient *self, PhTime now);
void ph_rendezvous_client_set_name (PhRendezvousClient *self, const char *name);

/* False if the list is full. Watching twice, and our own id, does nothing. */
bool ph_rendezvous_client_watch (PhRendezvousClient *self, PhTime now, const PhDeviceId *peer);
/* Waiting signals to it fail with CANCELLED. */
void ph_rendezvous_client_unwatch (PhRendezvousClient *self, PhTime now, const PhDeviceId *peer);
bool ph_rendezvous_client_is_online (const PhRendezvousClient *self, const PhDeviceId *peer);

/* `body` (1 to PH_ENVELOPE_BODY_MAX - PH_RENDEZVOUS_SIGNAL_HEADER bytes) is copied. Returns the handle of
 * its result. To somebody who is not watched it fails. */
#define PH_RENDEZVOUS_SIGNAL_HEADER 32
uint64_t ph_rendezvous_client_send (PhRendezvousClient *self, PhTime now, const PhDeviceId *peer,
                                    PhSlice body);
/* Forgets what waits for `peer`: its attempt is over. Each fails with CANCELLED. */
void
ph_rendezvous_client_cancel_signals (PhRendezvousClient *self, PhTime now, const PhDeviceId *peer);

/* Keeps `invitation` (ours, at this server; copied) open for `life_interval`, at most
 * PH_RENDEZVOUS_INVITATION_LIFE_MAX. Returns its handle. */
uint64_t ph_rendezvous_client_invite (PhRendezvousClient *self, PhTime now,
                                      const PhInvitation *invitation, PhTime life_interval);
/* No event follows. */
void ph_rendezvous_client_withdraw (PhRendezvousClient *self, PhTime now, uint64_t handle);
/* `peer` has used it, and heard so, without this server: it serves nobody else. No event follows. */
void ph_rendezvous_client_invitation_used (PhRendezvousClient *self, PhTime now, uint64_t handle,
                                           const PhDeviceId *peer);
/* Accepts somebody's invitation (made for this server; copied). Returns its handle. */
uint64_t
ph_rendezvous_client_accept (PhRendezvousClient *self, PhTime now, const PhInvitation *invitation);

/* Whether the server connects back to devices, and to which address: ours, as it sees us; port 0. */
bool ph_rendezvous_client_can_knock (const PhRendezvousClient *self, PhAddr *ret_to);
/* The server is to connect to `port` of ours and say a greeting with the token there (ph_rendezvous_greeting()), a
 * random one: whoever listens at that port hears it before KNOCKED, which always takes PH_RENDEZVOUS_KNOCK_TIME and
 * more, or hears nothing. Returns the handle of KNOCKED; 0: it cannot, there are too many under way, or the port is too
 * low. */
uint64_t ph_rendezvous_client_knock (PhRendezvousClient *self, PhTime now, uint16_t port,
                                     const uint8_t token[PH_RENDEZVOUS_KNOCK_TOKEN_LEN]);

/* --- The connection, told by the driver ---------------------------------------------------------- */

void ph_rendezvous_client_handle_open (PhRendezvousClient *self, PhTime now);
/* A text frame; need not end with NUL. */
void ph_rendezvous_client_handle_text (PhRendezvousClient *self, PhTime now, PhSlice text);
/* Dialling failed (UNREACHABLE, NOT_TRUSTED, NOT_A_RENDEZVOUS, with `why`), or the connection ended
 * (LOST, with the close code or 0). */
void
ph_rendezvous_client_handle_closed (PhRendezvousClient *self, PhTime now, PhRendezvousCode code,
                                    uint16_t close_code, const char *why);
void ph_rendezvous_client_handle_timeout (PhRendezvousClient *self, PhTime now);

PhRendezvousRequest ph_rendezvous_client_poll_request (PhRendezvousClient *self);
/* The next frame to send; free with g_free(). NULL: none. */
char *ph_rendezvous_client_poll_text (PhRendezvousClient *self);
bool ph_rendezvous_client_poll_event (PhRendezvousClient *self, PhRendezvousEvent *ret_event);
PhTime ph_rendezvous_client_next_timeout (const PhRendezvousClient *self, const char **ret_why);
