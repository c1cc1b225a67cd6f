/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/nat/ph-nat-knock.h"

#include "net/nat/ph-nat-question.h"

/* SYNs are sent again after 1 s: one may be lost. */
#define CONNECT_INTERVAL (3 * PH_SEC)
/* Connections that have come in and not said yet who they are. One is the knock; the rest are others' scans. */
#define CALLERS_MAX 8
/* Ids of what is opened: servers by their place, and the rendezvous. */
#define SOCKET_OF(i) (PH_SOCKET_STREAM + (uint32_t)(i))
#define RENDEZVOUS PH_NAT_SERVERS_MAX
#define N_OPENED (PH_NAT_SERVERS_MAX + 1)

typedef enum { GREETING_RENDEZVOUS, ASKING, WISHING, KNOCKING, DONE } State;

typedef struct {
  uint32_t socket; /* 0: free */
  PhAddr remote;
  size_t len; /* of the greeting, as far as it has come */
} Caller;

struct _PhNatKnock {
  PhNatKnockConfig config;
  State state;
  PhTime deadline;
  size_t server; /* that is asked, if ASKING */
  PhNatQuestion question;
  bool ask; /* to be sent */
  bool open[N_OPENED]; /* to be told to the driver */
  bool opened[N_OPENED]; /* has been, and is to be aborted */
  PhAddr spoken_to[N_OPENED]; /* whom SYNs go to; family none: nobody */
  PhAddr external;
  Caller callers[CALLERS_MAX];
  PhNatAnswer heard;
  bool has_event;
};

static void
finish (PhNatKnock *self, PhTime now, PhNatAnswer heard, const char *why)
{
  self->state = DONE;
  self->deadline = PH_NEVER;
  self->heard = heard;
  self->has_event = true;
  memset (self->open, 0, sizeof self->open);
  ph_trace (self->config.trace, now, "nat", "%s knock over TCP: %s",
            self->config.stranger ? "a stranger's" : "an acquaintance's", why);
}

static void
open_to (PhNatKnock *self, PhTime now, size_t i, const PhAddr *to)
{
  self->open[i] = true;
  self->spoken_to[i] = *to;
  self->deadline = ph_time_add (now, CONNECT_INTERVAL);
}

static void
wish (PhNatKnock *self, PhTime now, const PhAddr *external)
{
  /* What is not where the rendezvous knocks would not hear it. */
  if (!ph_addr_equal_ip (external, &self->config.seen_as)) {
    finish (self, now, PH_NAT_UNTESTED, "the rendezvous sees us elsewhere");
    return;
  }
  self->external = *external;
  self->state = WISHING;
  self->deadline = PH_NEVER;
}

/* From server number `from` on, the first that may be asked. */
static void
ask_server (PhNatKnock *self, PhTime now, size_t from)
{
  for (size_t i = from; i < self->config.n_servers; i++) {
    const PhAddr *to = &self->config.servers[i];

    if (to->family != self->config.local.family
        || (self->config.stranger && ph_addr_equal_ip (to, &self->config.rendezvous)))
      continue;
    self->state = ASKING;
    self->server = i;
    ph_nat_question_init (&self->question, &self->config.random, to);
    open_to (self, now, i, to);
    return;
  }
  finish (self, now, PH_NAT_UNTESTED, "no server that could be asked has answered");
}

static void
find_external (PhNatKnock *self, PhTime now)
{
  if (ph_addr_equal_ip (&self->config.local, &self->config.seen_as))
    wish (self, now, &self->config.local);
  else
    ask_server (self, now, 0);
}

PhNatKnock *
ph_nat_knock_new (const PhNatKnockConfig *config, PhTime now)
{
  PhNatKnock *self = g_new0 (PhNatKnock, 1);

  g_assert (config->n_servers <= PH_NAT_SERVERS_MAX);
  g_assert (config->greeting_len > 0);
  g_assert (config->greeting_len <= sizeof config->greeting);
  self->config = *config;
  self->deadline = PH_NEVER;
  if (config->stranger)
    find_external (self, now);
  else
    open_to (self, now, RENDEZVOUS, &config->rendezvous);
  return self;
}

void
ph_nat_knock_free (PhNatKnock *self)
{
  g_free (self);
}

/* --- Who comes in ------------------------------------------------------------------------------- */

static bool
has_spoken_to (const PhNatKnock *self, const PhAddr *addr)
{
  for (size_t i = 0; i < N_OPENED; i++)
    if (ph_addr_equal_ip (&self->spoken_to[i], addr))
      return true;
  return false;
}

static Caller *
find_caller (PhNatKnock *self, uint32_t socket)
{
  for (size_t i = 0; i < CALLERS_MAX; i++)
    if (self->callers[i].socket == socket)
      return &self->callers[i];
  return NULL;
}

static void
handle_caller (PhNatKnock *self, PhTime now, Caller *caller, PhSlice bytes)
{
  const PhNatKnockConfig *config = &self->config;
  char text[PH_ADDR_STRING_MAX];

  if (bytes.len > config->greeting_len - caller->len
      || memcmp (config->greeting + caller->len, bytes.data, bytes.len) != 0) {
    caller->socket = 0;
    return;
  }
  caller->len += bytes.len;
  if (caller->len < config->greeting_len)
    return;
  if (has_spoken_to (self, &caller->remote) == config->stranger)
    finish (self, now, PH_NAT_UNTESTED, "it came from an address that proves nothing");
  else
    finish (self, now, PH_NAT_YES, ph_addr_format (&caller->remote, text));
}

/* --- The verbs ---------------------------------------------------------------------------------- */

static void
handle_opened (PhNatKnock *self, PhTime now, size_t i)
{
  if (i == RENDEZVOUS && self->state == GREETING_RENDEZVOUS)
    find_external (self, now);
  else if (self->state == ASKING && i == self->server)
    self->ask = true;
}

static void
handle_lost (PhNatKnock *self, PhTime now, size_t i)
{
  if (i == RENDEZVOUS && self->state == GREETING_RENDEZVOUS)
    finish (self, now, PH_NAT_UNTESTED, "the rendezvous is not reached from there");
  else if (self->state == ASKING && i == self->server)
    ask_server (self, now, self->server + 1);
  /* A mapping that nothing holds may be gone before the knock comes. */
  else if (self->state != DONE && i == self->server && ph_addr_is_set (&self->external))
    finish (self, now, PH_NAT_UNTESTED, "the server has closed the connection");
}

void
ph_nat_knock_handle_connection (PhNatKnock *self, PhTime now, const PhConnectionEvent *event)
{
  Caller *caller;

  if (self->state == DONE)
    return;
  if (event->type == PH_CONNECTION_ACCEPTED) {
    caller = find_caller (self, 0);
    if (caller != NULL)
      *caller = (Caller){.socket = event->socket, .remote = event->remote};
    return;
  }
  for (size_t i = 0; i < N_OPENED; i++) {
    if (!self->opened[i] || event->socket != SOCKET_OF (i))
      continue;
    if (event->type == PH_CONNECTION_OPENED) {
      handle_opened (self, now, i);
    } else {
      self->opened[i] = false; /* it is gone */
      handle_lost (self, now, i);
    }
    return;
  }
  caller = event->socket != 0 ? find_caller (self, event->socket) : NULL;
  if (caller != NULL)
    caller->socket = 0;
}

void
ph_nat_knock_handle_packet (PhNatKnock *self, PhTime now, const PhDatagram *in)
{
  Caller *caller = in->socket != 0 ? find_caller (self, in->socket) : NULL;

  if (self->state == DONE)
    return;
  if (caller != NULL) {
    handle_caller (self, now, caller, in->bytes);
    return;
  }
  if (self->state != ASKING || in->socket != SOCKET_OF (self->server))
    return;
  switch (ph_nat_question_take (&self->question, in->bytes)) {
  case PH_NAT_QUESTION_ANSWERED:
    wish (self, now, &self->question.mapped);
    break;
  case PH_NAT_QUESTION_BROKEN:
    ask_server (self, now, self->server + 1);
    break;
  case PH_NAT_QUESTION_MORE:
    break;
  }
}

void
ph_nat_knock_handle_knocked (PhNatKnock *self, PhTime now, bool tried)
{
  if (self->state != KNOCKING)
    return;
  if (tried)
    finish (self, now, PH_NAT_NO, "was not let in");
  else
    finish (self, now, PH_NAT_UNTESTED, "the rendezvous has not tried");
}

void
ph_nat_knock_handle_timeout (PhNatKnock *self, PhTime now)
{
  if (now < self->deadline)
    return;
  handle_lost (self, now, self->state == ASKING ? self->server : RENDEZVOUS);
}

bool
ph_nat_knock_poll_connection (PhNatKnock *self, PhConnectionOp *ret_op)
{
  for (size_t i = 0; i < N_OPENED; i++) {
    if (self->open[i]) {
      self->open[i] = false;
      self->opened[i] = true;
      *ret_op = (PhConnectionOp){
          .type = PH_CONNECTION_OPEN,
          .socket = SOCKET_OF (i),
          .port = self->config.port,
          .remote = self->spoken_to[i],
      };
      return true;
    }
    if (self->state == DONE && self->opened[i]) {
      self->opened[i] = false;
      *ret_op = (PhConnectionOp){.type = PH_CONNECTION_ABORT, .socket = SOCKET_OF (i)};
      return true;
    }
  }
  return false;
}

bool
ph_nat_knock_poll_transmit (PhNatKnock *self, PhTime now, PhTransmit *tx)
{
  if (!self->ask || self->state != ASKING)
    return false;
  self->ask = false;
  ph_nat_question_write (&self->question, SOCKET_OF (self->server), tx);
  return true;
}

bool
ph_nat_knock_poll_knock (PhNatKnock *self, uint16_t *ret_port)
{
  if (self->state != WISHING)
    return false;
  self->state = KNOCKING;
  *ret_port = self->external.port;
  return true;
}

bool
ph_nat_knock_poll_event (PhNatKnock *self, PhNatAnswer *ret_heard)
{
  for (size_t i = 0; i < N_OPENED; i++)
    if (self->opened[i])
      return false;
  if (!self->has_event)
    return false;
  self->has_event = false;
  *ret_heard = self->heard;
  return true;
}

PhTime
ph_nat_knock_next_timeout (const PhNatKnock *self, const char **ret_why)
{
  *ret_why = "TCP filtering";
  return self->deadline;
}

PhNatDependence
ph_nat_tcp_filtering (PhNatAnswer stranger, PhNatAnswer acquaintance)
{
  if (stranger == PH_NAT_YES)
    return PH_NAT_ENDPOINT_INDEPENDENT;
  /* Who keeps acquaintances out keeps out everybody. */
  if (acquaintance == PH_NAT_NO)
    return PH_NAT_ADDRESS_AND_PORT_DEPENDENT;
  if (stranger == PH_NAT_NO)
    return acquaintance == PH_NAT_YES ? PH_NAT_ADDRESS_DEPENDENT : PH_NAT_ENDPOINT_DEPENDENT;
  return PH_NAT_DEPENDENCE_UNKNOWN;
}
