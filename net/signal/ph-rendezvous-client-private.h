/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside of PhRendezvousClient: ph-rendezvous-client.c has the connection's state and time,
 * -messages.c what the server says, -signals.c contacts and their signals, -invitations.c invitations
 * and acceptances, -knock.c whether the server gets through to us. */

#pragma once

#include "net/signal/ph-json.h"
#include "net/signal/ph-rendezvous-client.h"

/* A login that lasted so long was a good one: the next break begins with the shortest pause. */
#define PH_RENDEZVOUS_STEADY (30 * PH_SEC)
/* How long a used invitation answers its user again: the answer may have been lost. */
#define PH_RENDEZVOUS_USED_MEMORY (300 * PH_SEC)
/* Credentials are not asked for more often, whatever life the server gives them. */
#define PH_RENDEZVOUS_ICE_RENEW_MIN (60 * PH_SEC)

typedef struct {
  uint64_t handle;
  uint64_t number; /* rises by one a signal, per contact */
  GBytes *body; /* owned */
  PhTime expires_at;
  bool sent; /* in the present epochs of both */
} PhClientSignal;

typedef struct {
  PhDeviceId id;
  bool online;
  bool was_online; /* within this login of ours */
  PhEpoch epoch; /* while online */
  PhEnvelopeGuard *guard; /* owned; NULL until something came */
  GQueue out; /* of PhClientSignal, owned, by number */
  uint64_t next_number;
  PhTime resend_at; /* PH_NEVER while nothing waits for an acknowledgement */
  uint64_t in_session; /* of the other device */
  uint64_t in_number; /* the last that was delivered, of that session */
} PhClientContact;

typedef struct {
  uint64_t handle;
  PhInvitation invitation;
  PhLookupId lookup;
  PhTime expires_at;
  bool told; /* PH_RENDEZVOUS_EVENT_INVITED was */
  bool used;
  PhDeviceId used_by;
} PhClientInvitation;

typedef struct {
  uint64_t handle;
  PhInvitation invitation;
  PhLookupId lookup;
  PhTime expires_at;
} PhClientAccept;

typedef struct {
  uint64_t handle; /* 0: none is under way */
  uint8_t token[PH_RENDEZVOUS_KNOCK_TOKEN_LEN];
  PhTime by; /* when it is answered at the latest */
} PhClientKnock;

/* A queued event owns what it points to. */
typedef struct {
  PhRendezvousEvent event;
  GBytes *body; /* owned, or NULL */
  PhIceServers *ice; /* owned, or NULL */
} PhClientEvent;

struct _PhRendezvousClient {
  const PhIdentity *identity;
  PhRendezvousAddress address;
  PhRandom random;
  PhTrace trace;
  char name[PH_NAME_LEN_MAX + 1];

  PhTime last_now;
  PhRendezvousState state;
  PhTime deadline; /* of the state */
  bool want_close;
  bool want_connect;
  unsigned failures; /* in a row */
  PhTime online_since;
  PhTime idle_since; /* ONLINE: nothing was heard since, on this network */
  PhTime idle_short_until; /* IDLE_SHORT holds; 0: it does not */
  PhTime probe_at; /* ONLINE: when to ask whether the server lives */
  PhTime dead_at; /* ONLINE: when it does not; PH_NEVER while nothing was asked */
  PhTime renew_at; /* ONLINE: when to ask for new credentials */
  PhAddr knock_to; /* port 0; unset: this login's server does not knock */
  PhClientKnock knocks[PH_RENDEZVOUS_KNOCKS_MAX];
  PhRendezvousCode server_code; /* what the server said before closing, or OK */
  char server_text[PH_RENDEZVOUS_TEXT_MAX];

  PhEpoch epoch; /* of this login */
  uint64_t sequence; /* of this epoch */
  uint64_t session; /* of this client's life */
  uint64_t unwatched_number; /* no contact that was unwatched has a higher next_number; 0: none */
  uint64_t next_handle;
  GHashTable *contacts; /* PhDeviceId in the value -> PhClientContact, owned */
  GPtrArray *invitations; /* of PhClientInvitation, owned */
  GPtrArray *accepts; /* of PhClientAccept, owned */

  GQueue texts; /* of char *, owned */
  GQueue events; /* of PhClientEvent, owned */
  PhClientEvent *current; /* the event handed out last; owned */
};

/* Queues an event and gives it to be filled in. */
PhClientEvent *ph_client_event (PhRendezvousClient *self, PhRendezvousEventType type);
/* Copies what is printable ASCII. */
void ph_client_set_text (char out[PH_RENDEZVOUS_TEXT_MAX], const char *text);
/* Queues a frame if logged in (or logging in); takes the message. */
void ph_client_send (PhRendezvousClient *self, JsonObject *message);
/* The connection ends (the driver is told to close it unless it is `closed` already) and is tried
 * again after a pause. */
void ph_client_break (PhRendezvousClient *self, PhTime now, PhRendezvousCode code, const char *text,
                      bool closed);
void ph_client_replaced (PhRendezvousClient *self, PhTime now, bool closed);
/* Answers the server's challenge in `nonce`. */
void ph_client_log_in (PhRendezvousClient *self, PhTime now,
                       const uint8_t nonce[PH_RENDEZVOUS_NONCE_LEN]);
void ph_client_enter_online (PhRendezvousClient *self, PhTime now);

/* -messages.c; the message may end the connection */
void ph_client_handle_message (PhRendezvousClient *self, PhTime now, const char *type,
                               JsonObject *message);

/* -knock.c */
void ph_client_read_knock (PhRendezvousClient *self, JsonObject *welcome);
/* An answer, or a refusal. */
void
ph_client_handle_knocked (PhRendezvousClient *self, JsonObject *message, PhRendezvousCode code);
void ph_client_knocks_offline (PhRendezvousClient *self);
void ph_client_knocks_timeout (PhRendezvousClient *self, PhTime now);
PhTime ph_client_knocks_deadline (const PhRendezvousClient *self);

/* -signals.c */
PhClientContact *ph_client_contact (PhRendezvousClient *self, const PhDeviceId *id);
void ph_client_contact_free (void *contact);
void ph_client_set_presence (PhRendezvousClient *self, PhTime now, PhClientContact *contact,
                             const PhEpoch *epoch);
void ph_client_handle_envelope (PhRendezvousClient *self, PhTime now, PhClientContact *contact,
                                PhSlice sealed);
void ph_client_signals_offline (PhRendezvousClient *self);
void
ph_client_fail_signals (PhRendezvousClient *self, PhClientContact *contact, PhRendezvousCode code);
void ph_client_signals_timeout (PhRendezvousClient *self, PhTime now);
PhTime ph_client_signals_deadline (const PhRendezvousClient *self);

/* -invitations.c */
void ph_client_invitations_online (PhRendezvousClient *self, PhTime now);
void ph_client_handle_invited (PhRendezvousClient *self, const PhLookupId *lookup);
void ph_client_handle_acceptance (PhRendezvousClient *self, PhTime now, const PhLookupId *lookup,
                                  const PhDeviceId *from, PhSlice sealed);
void ph_client_handle_answered (PhRendezvousClient *self, const PhLookupId *lookup, bool accepted,
                                PhRendezvousCode code, PhSlice sealed);
void ph_client_invite_refused (PhRendezvousClient *self, const PhLookupId *lookup,
                               PhRendezvousCode code);
void ph_client_accept_refused (PhRendezvousClient *self, const PhLookupId *lookup,
                               PhRendezvousCode code);
void ph_client_invitations_timeout (PhRendezvousClient *self, PhTime now);
PhTime ph_client_invitations_deadline (const PhRendezvousClient *self);
