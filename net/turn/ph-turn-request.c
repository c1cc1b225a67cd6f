/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/turn/ph-turn-private.h"

/* A server whose nonces are stale at once would keep us asking for ever. */
#define CHALLENGES_MAX 4
/* Deleting is a courtesy: whoever closes does not wait long for it. */
static const PhStunTimers close_timers = {250 * PH_MSEC, 3, 2};

#define TRANSPORT_UDP (17u << 24)
#define FAMILY_IPV6 (2u << 24)

/* --- Credentials ------------------------------------------------------------------------------ */

bool
ph_turn_login_set (PhTurnLogin *login, const char *username, const char *password)
{
  const size_t username_len = strlen (username), password_len = strlen (password);

  if (username_len == 0 || username_len > PH_TURN_CREDENTIAL_MAX || password_len == 0
      || password_len > PH_TURN_CREDENTIAL_MAX)
    return false;
  g_strlcpy (login->username, username, sizeof login->username);
  g_strlcpy (login->password, password, sizeof login->password);
  return true;
}

static void
start_again (PhTurnClient *self, PhTime now, PhTurnRequest *request)
{
  if (request->running)
    ph_turn_request_start (self, now, request);
}

/* A new realm, nonce or login. Open questions are put again with it, so that every question that is
 * open was signed with the key that answers are checked by. */
static void
rekey (PhTurnClient *self, PhTime now)
{
  ph_stun_long_term_key (ph_slice_string (self->login.username),
                         ph_slice (self->realm, self->realm_len),
                         ph_slice_string (self->login.password), self->key);
  start_again (self, now, &self->request);
  for (unsigned i = 0; i < PH_TURN_GRANTS; i++)
    start_again (self, now, &self->grants[i].request);
}

bool
ph_turn_client_set_credentials (PhTurnClient *self, PhTime now, const char *username,
                                const char *password)
{
  PhTurnLogin login = {0};

  if (!ph_turn_login_set (&login, username, password))
    return false;

  if (self->state == PH_TURN_ALLOCATED && !self->login_refused
      && strcmp (login.username, self->login.username) != 0) {
    self->next_login = login;
    return true;
  }
  self->login = login;
  self->next_login = (PhTurnLogin){0};
  if (self->nonce_len > 0)
    rekey (self, now);
  if (self->login_refused) {
    self->login_refused = false;
    self->tell_credentials = false;
    ph_turn_client_refresh (self, now);
  }
  return true;
}

/* --- Asking ----------------------------------------------------------------------------------- */

void
ph_turn_request_start (PhTurnClient *self, PhTime now, PhTurnRequest *request)
{
  const bool closing = self->state == PH_TURN_CLOSING && !self->config.stream;
  PhStunId id;

  ph_random_bytes (&self->config.random, id.bytes, sizeof id.bytes);
  ph_stun_transaction_start (&request->transaction, now, &id,
                             closing ? close_timers : self->config.timers);
  request->running = true;
  request->send = true;
  request->is_signed = self->nonce_len > 0;
}

void
ph_turn_request_stop (PhTurnRequest *request)
{
  ph_stun_transaction_stop (&request->transaction);
  request->running = false;
  request->send = false;
}

static uint32_t
in_seconds (PhTime span)
{
  return (uint32_t)MIN (span / PH_SEC, G_MAXUINT32);
}

static void
write_allocation (const PhTurnClient *self, PhWriter *w)
{
  const PhStunId *id = &self->request.transaction.id;

  if (self->state != PH_TURN_ALLOCATING || self->clearing) {
    const bool ends = self->state == PH_TURN_CLOSING || self->clearing;

    ph_stun_begin (w, PH_STUN_REQUEST, PH_TURN_METHOD_REFRESH, id);
    ph_stun_put_u32 (w, PH_TURN_LIFETIME, ends ? 0 : in_seconds (self->config.lifetime));
    return;
  }
  ph_stun_begin (w, PH_STUN_REQUEST, PH_TURN_METHOD_ALLOCATE, id);
  ph_stun_put_u32 (w, PH_TURN_REQUESTED_TRANSPORT, TRANSPORT_UDP);
  ph_stun_put_u32 (w, PH_TURN_LIFETIME, in_seconds (self->config.lifetime));
  if (self->config.family == PH_FAMILY_IPV6)
    ph_stun_put_u32 (w, PH_TURN_REQUESTED_ADDRESS_FAMILY, FAMILY_IPV6);
}

static void
write_grant (const PhTurnGrant *grant, PhWriter *w)
{
  const PhStunId *id = &grant->request.transaction.id;

  if (ph_turn_grant_is_channel (grant)) {
    ph_stun_begin (w, PH_STUN_REQUEST, PH_TURN_METHOD_CHANNEL_BIND, id);
    ph_stun_put_u32 (w, PH_TURN_CHANNEL_NUMBER, (uint32_t)grant->number << 16);
  } else {
    ph_stun_begin (w, PH_STUN_REQUEST, PH_TURN_METHOD_CREATE_PERMISSION, id);
  }
  ph_stun_put_xor_addr (w, PH_TURN_XOR_PEER_ADDRESS, &grant->peer);
}

void
ph_turn_request_write (const PhTurnClient *self, const PhTurnGrant *grant, PhWriter *w)
{
  const PhTurnRequest *request = grant != NULL ? &grant->request : &self->request;

  if (grant != NULL)
    write_grant (grant, w);
  else
    write_allocation (self, w);
  if (request->is_signed) {
    ph_stun_put (w, PH_STUN_USERNAME, ph_slice_string (self->login.username));
    ph_stun_put (w, PH_STUN_REALM, ph_slice (self->realm, self->realm_len));
    ph_stun_put (w, PH_STUN_NONCE, ph_slice (self->nonce, self->nonce_len));
    ph_stun_put_integrity (w, ph_slice (self->key, sizeof self->key));
  }
  ph_stun_put_fingerprint (w);
}

/* --- Answers ---------------------------------------------------------------------------------- */

static PhTurnWhy
why_of_error (unsigned error)
{
  switch (error) {
  case 401:
  case 441:
    return PH_TURN_WHY_UNAUTHORIZED;
  case 403:
    return PH_TURN_WHY_FORBIDDEN;
  case 437:
    return PH_TURN_WHY_MISMATCH;
  case 420:
  case 440:
  case 442:
  case 443:
    return PH_TURN_WHY_UNSUPPORTED;
  case 486:
  case 508:
    return PH_TURN_WHY_FULL;
  default:
    return PH_TURN_WHY_REFUSED;
  }
}

static void
refused (PhTurnClient *self, PhTime now, PhTurnGrant *grant, PhTurnWhy why, unsigned error)
{
  if (grant == NULL)
    ph_turn_allocation_refused (self, now, why, error);
  else
    ph_turn_grant_refused (self, now, grant, why, error);
}

/* Takes the realm and the nonce of a 401 or 438; false if they are not fit for use. */
static bool
take_challenge (PhTurnClient *self, const PhStunMessage *answer, bool *ret_new_realm)
{
  PhSlice realm = ph_slice (self->realm, self->realm_len), nonce;
  const bool named = ph_stun_find (answer, PH_STUN_REALM, &realm);

  if (!ph_stun_find (answer, PH_STUN_NONCE, &nonce) || nonce.len == 0
      || nonce.len > PH_TURN_NONCE_MAX || realm.len == 0 || realm.len > PH_TURN_REALM_MAX)
    return false;

  *ret_new_realm = !ph_slice_equal (realm, ph_slice (self->realm, self->realm_len));
  if (named)
    memcpy (self->realm, realm.data, realm.len);
  self->realm_len = realm.len;
  memcpy (self->nonce, nonce.data, nonce.len);
  self->nonce_len = nonce.len;
  return true;
}

static void
challenged (PhTurnClient *self, PhTime now, PhTurnGrant *grant, unsigned error,
            const PhStunMessage *answer)
{
  PhTurnRequest *request = grant != NULL ? &grant->request : &self->request;
  bool new_realm;

  /* That it was asked for by us is all we know of a challenge. One that cannot be used is ignored: it
   * may be forged, and the right one still come. */
  if (!take_challenge (self, answer, &new_realm))
    return;

  const bool tried = error == 401 && request->is_signed && !new_realm;

  if (!tried && ++request->challenges > CHALLENGES_MAX) {
    refused (self, now, grant, PH_TURN_WHY_REFUSED, error);
    return;
  }
  if (tried)
    refused (self, now, grant, PH_TURN_WHY_UNAUTHORIZED, error);
  rekey (self, now);
}

static PhTurnRequest *
find_request (PhTurnClient *self, const PhStunMessage *answer, PhTurnGrant **ret_grant)
{
  *ret_grant = NULL;
  if (self->request.running && ph_stun_id_equal (&self->request.transaction.id, &answer->id))
    return &self->request;
  for (unsigned i = 0; i < PH_TURN_GRANTS; i++) {
    PhTurnGrant *grant = &self->grants[i];

    if (grant->request.running && ph_stun_id_equal (&grant->request.transaction.id, &answer->id)) {
      *ret_grant = grant;
      return &grant->request;
    }
  }
  return NULL;
}

static uint16_t
method_of (const PhTurnClient *self, const PhTurnGrant *grant)
{
  if (grant == NULL)
    return self->state == PH_TURN_ALLOCATING && !self->clearing ? PH_TURN_METHOD_ALLOCATE
                                                                : PH_TURN_METHOD_REFRESH;
  return ph_turn_grant_is_channel (grant) ? PH_TURN_METHOD_CHANNEL_BIND
                                          : PH_TURN_METHOD_CREATE_PERMISSION;
}

bool
ph_turn_handle_answer (PhTurnClient *self, PhTime now, const PhStunMessage *answer)
{
  PhTurnGrant *grant;
  const PhTurnRequest *request = find_request (self, answer, &grant);
  unsigned error = 0;
  PhSlice reason;

  if (request == NULL || answer->method != method_of (self, grant)
      || (answer->klass != PH_STUN_SUCCESS && answer->klass != PH_STUN_ERROR))
    return false;
  if (answer->klass == PH_STUN_ERROR && !ph_stun_get_error (answer, &error, &reason))
    return true;

  if (error == 401 || error == 438) {
    challenged (self, now, grant, error, answer);
    return true;
  }
  /* A success without a key would come from a server that asks for no credentials: not ours. */
  if (request->is_signed ? !ph_stun_check_integrity (answer, ph_slice (self->key, sizeof self->key))
                         : error == 0)
    return true;

  if (error != 0)
    refused (self, now, grant, why_of_error (error), error);
  else if (grant == NULL)
    ph_turn_allocation_answered (self, now, answer);
  else
    ph_turn_grant_answered (self, now, grant);
  return true;
}
