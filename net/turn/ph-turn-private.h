/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of PhTurnClient share: ph-turn-client.c (the allocation and the verbs),
 * ph-turn-request.c (questions, answers, credentials), ph-turn-grant.c (permissions and channels),
 * ph-turn-data.c (payloads). */

#pragma once

#include "net/turn/ph-turn-client.h"

enum {
  PH_TURN_METHOD_ALLOCATE = 0x003,
  PH_TURN_METHOD_REFRESH = 0x004,
  PH_TURN_METHOD_SEND = 0x006,
  PH_TURN_METHOD_DATA = 0x007,
  PH_TURN_METHOD_CREATE_PERMISSION = 0x008,
  PH_TURN_METHOD_CHANNEL_BIND = 0x009,
};

enum {
  PH_TURN_CHANNEL_NUMBER = 0x000C,
  PH_TURN_LIFETIME = 0x000D,
  PH_TURN_XOR_PEER_ADDRESS = 0x0012,
  PH_TURN_DATA = 0x0013,
  PH_TURN_XOR_RELAYED_ADDRESS = 0x0016,
  PH_TURN_REQUESTED_ADDRESS_FAMILY = 0x0017,
  PH_TURN_REQUESTED_TRANSPORT = 0x0019,
};

#define PH_TURN_CHANNEL_HEADER_LEN 4
#define PH_TURN_CHANNEL_FIRST 0x4000
#define PH_TURN_CHANNEL_LAST 0x4FFF

/* Realms and nonces have fewer than 128 characters; servers use about 20 and 40 bytes. */
#define PH_TURN_REALM_MAX 255
#define PH_TURN_NONCE_MAX 255

/* One question to the server, at most one for each thing that is asked for. */
typedef struct {
  PhStunTransaction transaction;
  bool running;
  bool send; /* the bytes are due */
  bool is_signed;
  unsigned challenges; /* 401 and 438 since the question was first put */
} PhTurnRequest;

typedef enum {
  PH_TURN_GRANT_FREE,
  PH_TURN_GRANT_ASKING,
  PH_TURN_GRANT_READY, /* until expires_at, and being refreshed while it is held */
  PH_TURN_GRANT_FAILED,
} PhTurnGrantState;

/* A permission or a channel. */
typedef struct {
  PhTurnGrantState state;
  PhAddr peer; /* a permission's has port 0 */
  uint16_t number; /* of a channel; 0: a permission */
  unsigned holds;
  bool tell;
  PhTurnWhy why;
  unsigned error;
  PhTime refresh_at;
  PhTime expires_at;
  PhTime free_at; /* when nobody holds it */
  PhTurnRequest request;
} PhTurnGrant;

#define PH_TURN_GRANTS (PH_TURN_PERMISSIONS_MAX + PH_TURN_CHANNELS_MAX)

typedef struct {
  char username[PH_TURN_CREDENTIAL_MAX + 1];
  char password[PH_TURN_CREDENTIAL_MAX + 1];
} PhTurnLogin;

struct _PhTurnClient {
  PhTurnClientConfig config; /* without the credentials */
  PhTime last_now;

  PhTurnState state;
  PhTurnWhy why;
  unsigned error;
  bool tell; /* the state */
  bool tell_credentials;

  /* Credentials; `key` counts once there is a nonce. */
  PhTurnLogin login;
  PhTurnLogin next_login; /* empty username: none */
  bool login_refused;
  uint8_t realm[PH_TURN_REALM_MAX];
  size_t realm_len;
  uint8_t nonce[PH_TURN_NONCE_MAX];
  size_t nonce_len; /* 0: not challenged yet */
  uint8_t key[16];

  /* The allocation. */
  PhTurnRequest request; /* Allocate or Refresh, by the state */
  bool clearing; /* it ends what the server still has for this 5-tuple, before the Allocate */
  bool cleared; /* that was tried */
  PhAddr relayed;
  PhAddr mapped;
  PhTime lifetime;
  PhTime refresh_at;
  PhTime expires_at;
  PhTime keepalive_at;
  bool keepalive;

  PhTurnGrant grants[PH_TURN_GRANTS]; /* permissions, then channels */
  uint16_t next_number;
};

/* --- ph-turn-client.c --------------------------------------------------------------------------- */

/* The only way to change the state. */
void
ph_turn_enter (PhTurnClient *self, PhTime now, PhTurnState next, PhTurnWhy why, unsigned error);
/* Something was sent: the mapping in our NAT is fresh. */
void ph_turn_sent (PhTurnClient *self, PhTime now);
void ph_turn_allocation_answered (PhTurnClient *self, PhTime now, const PhStunMessage *answer);
void ph_turn_allocation_refused (PhTurnClient *self, PhTime now, PhTurnWhy why, unsigned error);

/* --- ph-turn-request.c -------------------------------------------------------------------------- */

void ph_turn_request_start (PhTurnClient *self, PhTime now, PhTurnRequest *request);
void ph_turn_request_stop (PhTurnRequest *request);
/* `grant` NULL: the allocation's request. */
void ph_turn_request_write (const PhTurnClient *self, const PhTurnGrant *grant, PhWriter *w);
/* True if the message answers one of our questions. */
bool ph_turn_handle_answer (PhTurnClient *self, PhTime now, const PhStunMessage *answer);
bool ph_turn_login_set (PhTurnLogin *login, const char *username, const char *password);

/* --- ph-turn-grant.c ---------------------------------------------------------------------------- */

static inline bool
ph_turn_grant_is_channel (const PhTurnGrant *grant)
{
  return grant->number != 0;
}

/* NULL: none. For a permission the port does not matter. */
PhTurnGrant *ph_turn_permission_find (const PhTurnClient *self, const PhAddr *peer);
PhTurnGrant *ph_turn_channel_find (const PhTurnClient *self, const PhAddr *peer);
void ph_turn_grant_answered (PhTurnClient *self, PhTime now, PhTurnGrant *grant);
void ph_turn_grant_refused (PhTurnClient *self, PhTime now, PhTurnGrant *grant, PhTurnWhy why,
                            unsigned error);
void ph_turn_grants_timeout (PhTurnClient *self, PhTime now);
void ph_turn_grants_clear (PhTurnClient *self);
bool ph_turn_grants_poll_event (PhTurnClient *self, PhTurnEvent *ret_event);
PhTime ph_turn_grant_deadline (const PhTurnGrant *grant);

/* --- ph-turn-data.c ----------------------------------------------------------------------------- */

PhTurnIn ph_turn_receive_channel (PhTurnClient *self, PhTime now, const PhDatagram *in,
                                  PhDatagram *ret_data);
PhTurnIn ph_turn_receive_indication (PhTurnClient *self, PhTime now, const PhDatagram *in,
                                     const PhStunMessage *message, PhDatagram *ret_data);
