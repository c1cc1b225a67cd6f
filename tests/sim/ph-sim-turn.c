/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "tests/sim/ph-sim-turn.h"

#include "net/stun/ph-stun.h"

#define REALM "sim"
#define NONCE "0123456789abcdef"
#define LIFETIME_SECONDS 600
#define PERMISSION_INTERVAL (300 * PH_SEC)
#define FIRST_PORT 49152
#define MESSAGE_MAX 2048

enum {
  ALLOCATE = 3,
  REFRESH = 4,
  SEND = 6,
  DATA = 7,
  CREATE_PERMISSION = 8,
  CHANNEL_BIND = 9,
};

enum {
  ATTR_CHANNEL_NUMBER = 0x000C,
  ATTR_LIFETIME = 0x000D,
  ATTR_XOR_PEER_ADDRESS = 0x0012,
  ATTR_DATA = 0x0013,
  ATTR_XOR_RELAYED_ADDRESS = 0x0016,
  ATTR_REQUESTED_TRANSPORT = 0x0019,
};

typedef struct {
  PhAddr peer; /* a permission's port does not count */
  uint16_t number; /* 0: a permission */
  PhTime until;
} Grant;

typedef struct {
  PhAddr client;
  const char *user;
  PhStunId id; /* of the request that made it */
  uint32_t socket; /* the relayed one */
  PhAddr relayed;
  PhTime until;
  GArray *grants; /* Grant */
} Allocation;

static void
allocation_free (gpointer data)
{
  Allocation *allocation = data;

  g_array_unref (allocation->grants);
  g_free (allocation);
}

/* --- Allocations -------------------------------------------------------------------------------- */

static void
end_allocation (PhSimTurn *self, Allocation *allocation)
{
  ph_sim_host_close (self->view.host, allocation->socket);
  g_ptr_array_remove (self->allocations, allocation);
  self->view.allocations = self->allocations->len;
}

static Allocation *
find_allocation (PhSimTurn *self, PhTime now, const PhAddr *client, uint32_t socket)
{
  for (guint i = self->allocations->len; i-- > 0;) {
    Allocation *allocation = self->allocations->pdata[i];

    if (now >= allocation->until)
      end_allocation (self, allocation);
    else if (client != NULL ? ph_addr_equal (&allocation->client, client)
                            : allocation->socket == socket)
      return allocation;
  }
  return NULL;
}

static Grant *
find_grant (Allocation *allocation, PhTime now, const PhAddr *peer, uint16_t number, bool channel)
{
  for (guint i = 0; i < allocation->grants->len; i++) {
    Grant *grant = &g_array_index (allocation->grants, Grant, i);

    if (now >= grant->until || (grant->number != 0) != channel)
      continue;
    if (peer == NULL ? grant->number == number
        : channel    ? ph_addr_equal (&grant->peer, peer)
                     : ph_addr_equal_ip (&grant->peer, peer))
      return grant;
  }
  return NULL;
}

static void
permit (Allocation *allocation, PhTime now, const PhAddr *peer, uint16_t number)
{
  Grant fresh = {.peer = *peer, .number = number};
  Grant *grant = find_grant (allocation, now, peer, number, number != 0);

  if (grant == NULL) {
    g_array_append_val (allocation->grants, fresh);
    grant = &g_array_index (allocation->grants, Grant, allocation->grants->len - 1);
  }
  grant->until = now + PERMISSION_INTERVAL * (number != 0 ? 2 : 1);
}

/* --- Answers ------------------------------------------------------------------------------------ */

static void
key_of (const PhSimTurn *self, uint8_t key[16])
{
  ph_stun_long_term_key (ph_slice_string (self->user), ph_slice_string (REALM),
                         ph_slice_string (PH_SIM_TURN_PASSWORD), key);
}

static void
finish (PhSimTurn *self, PhWriter *w, const PhAddr *to, bool with_integrity)
{
  uint8_t key[16];

  key_of (self, key);
  if (with_integrity)
    ph_stun_put_integrity (w, ph_slice (key, sizeof key));
  ph_stun_put_fingerprint (w);
  g_assert_true (ph_writer_ok (w));
  ph_sim_host_send_bytes (self->view.host, self->socket, to,
                          ph_slice (w->start, ph_writer_len (w)));
}

static void
refuse (PhSimTurn *self, const PhDatagram *in, const PhStunMessage *request, unsigned code,
        bool with_integrity)
{
  uint8_t bytes[MESSAGE_MAX];
  PhWriter w = ph_writer (bytes, sizeof bytes);

  ph_stun_begin (&w, PH_STUN_ERROR, request->method, &request->id);
  ph_stun_put_error (&w, code, "No");
  if (code == 401) {
    ph_stun_put (&w, PH_STUN_REALM, ph_slice_string (REALM));
    ph_stun_put (&w, PH_STUN_NONCE, ph_slice_string (NONCE));
  } else {
    self->view.refused++;
  }
  finish (self, &w, &in->remote, with_integrity);
}

/* False: it was challenged. */
static bool
authenticate (PhSimTurn *self, PhTime now, const PhDatagram *in, const PhStunMessage *request)
{
  uint8_t key[16];
  PhSlice user = {0};
  const bool named = ph_stun_find (request, PH_STUN_USERNAME, &user);
  const Allocation *allocation = find_allocation (self, now, &in->remote, 0);
  bool expired;

  self->user = named && ph_slice_equal (user, ph_slice_string (PH_SIM_TURN_RENEWED_USER))
                   ? PH_SIM_TURN_RENEWED_USER
                   : PH_SIM_TURN_USER;
  key_of (self, key);
  /* As coturn has it: the name that made an allocation is good for as long as that. Not so with others. */
  expired =
      self->view.expired && strcmp (self->user, PH_SIM_TURN_USER) == 0
      && (self->view.strict || allocation == NULL || strcmp (allocation->user, self->user) != 0);
  if (named && !expired && ph_slice_equal (user, ph_slice_string (self->user))
      && ph_stun_check_integrity (request, ph_slice (key, sizeof key)))
    return true;
  if (ph_stun_has (request, PH_STUN_NONCE))
    self->view.refused++;
  refuse (self, in, request, 401, false);
  return false;
}

static void
answer (PhSimTurn *self, const PhDatagram *in, const PhStunMessage *request,
        const Allocation *allocation, uint32_t lifetime)
{
  uint8_t bytes[MESSAGE_MAX];
  PhWriter w = ph_writer (bytes, sizeof bytes);

  ph_stun_begin (&w, PH_STUN_SUCCESS, request->method, &request->id);
  if (request->method == ALLOCATE) {
    ph_stun_put_xor_addr (&w, ATTR_XOR_RELAYED_ADDRESS, &allocation->relayed);
    ph_stun_put_xor_addr (&w, PH_STUN_XOR_MAPPED_ADDRESS, &in->remote);
  }
  if (request->method == ALLOCATE || request->method == REFRESH)
    ph_stun_put_u32 (&w, ATTR_LIFETIME, lifetime);
  finish (self, &w, &in->remote, true);
}

/* --- Requests ----------------------------------------------------------------------------------- */

static void
allocate (PhSimTurn *self, PhTime now, const PhDatagram *in, const PhStunMessage *request)
{
  Allocation *allocation;
  PhAddr relayed = self->view.addr;

  allocation = find_allocation (self, now, &in->remote, 0);
  if (allocation != NULL) {
    /* RFC 8656 §7.2: one that comes twice is answered twice. */
    if (ph_stun_id_equal (&allocation->id, &request->id))
      answer (self, in, request, allocation, LIFETIME_SECONDS);
    else
      refuse (self, in, request, 437, true);
    return;
  }
  if (self->view.quota != 0 && self->allocations->len >= self->view.quota) {
    refuse (self, in, request, 486, true);
    return;
  }
  allocation = g_new0 (Allocation, 1);
  relayed.port = self->next_port++;
  allocation->client = in->remote;
  allocation->user = self->user;
  allocation->id = request->id;
  allocation->until = now + LIFETIME_SECONDS * PH_SEC;
  allocation->grants = g_array_new (FALSE, TRUE, sizeof (Grant));
  allocation->socket = ph_sim_host_open (self->view.host, &relayed, &allocation->relayed);
  g_assert_cmpuint (allocation->socket, !=, 0);
  g_ptr_array_add (self->allocations, allocation);
  self->view.allocations = self->allocations->len;
  self->view.allocated++;
  answer (self, in, request, allocation, LIFETIME_SECONDS);
}

static void
handle_request (PhSimTurn *self, PhTime now, const PhDatagram *in, const PhStunMessage *request)
{
  Allocation *allocation;
  uint32_t lifetime = LIFETIME_SECONDS, number = 0;
  PhAddr peer;

  if (!authenticate (self, now, in, request))
    return;
  if (request->method == ALLOCATE) {
    allocate (self, now, in, request);
    return;
  }
  allocation = find_allocation (self, now, &in->remote, 0);
  if (allocation == NULL) {
    refuse (self, in, request, 437, true);
    return;
  }
  if (strcmp (allocation->user, self->user) != 0) {
    self->view.foreign++;
    refuse (self, in, request, 441, true);
    return;
  }
  switch (request->method) {
  case REFRESH:
    ph_stun_get_u32 (request, ATTR_LIFETIME, &lifetime);
    allocation->until = now + MIN (lifetime, LIFETIME_SECONDS) * PH_SEC;
    answer (self, in, request, allocation, lifetime);
    if (lifetime == 0)
      end_allocation (self, allocation);
    break;
  case CREATE_PERMISSION:
  case CHANNEL_BIND:
    if (request->method == CHANNEL_BIND)
      ph_stun_get_u32 (request, ATTR_CHANNEL_NUMBER, &number);
    if (!ph_stun_get_xor_addr (request, ATTR_XOR_PEER_ADDRESS, &peer)) {
      refuse (self, in, request, 400, true);
      break;
    }
    permit (allocation, now, &peer, 0);
    if (number != 0)
      permit (allocation, now, &peer, (uint16_t)(number >> 16));
    answer (self, in, request, allocation, 0);
    break;
  default:
    refuse (self, in, request, 400, true);
    break;
  }
}

/* --- Data --------------------------------------------------------------------------------------- */

static void
to_peer (PhSimTurn *self, PhTime now, Allocation *allocation, const PhAddr *peer, PhSlice payload)
{
  if (find_grant (allocation, now, peer, 0, false) == NULL) {
    self->view.not_permitted++;
    return;
  }
  self->view.relayed++;
  ph_sim_host_send_bytes (self->view.host, allocation->socket, peer, payload);
}

static void
handle_channel_data (PhSimTurn *self, PhTime now, const PhDatagram *in)
{
  PhReader r = ph_reader (in->bytes);
  const uint16_t number = ph_read_u16 (&r);
  const PhSlice payload = ph_read_slice (&r, ph_read_u16 (&r));
  Allocation *allocation = find_allocation (self, now, &in->remote, 0);
  const Grant *channel =
      allocation != NULL ? find_grant (allocation, now, NULL, number, true) : NULL;

  if (!ph_reader_ok (&r) || channel == NULL) {
    self->view.not_permitted++;
    return;
  }
  self->view.channel_data++;

  const PhAddr peer = channel->peer;

  to_peer (self, now, allocation, &peer, payload);
}

static void
handle_indication (PhSimTurn *self, PhTime now, const PhDatagram *in, const PhStunMessage *message)
{
  Allocation *allocation = find_allocation (self, now, &in->remote, 0);
  PhAddr peer;
  PhSlice payload;

  if (allocation != NULL && message->method == SEND
      && ph_stun_get_xor_addr (message, ATTR_XOR_PEER_ADDRESS, &peer)
      && ph_stun_find (message, ATTR_DATA, &payload))
    to_peer (self, now, allocation, &peer, payload);
}

/* A peer's datagram to a relayed address. */
static void
from_peer (PhSimTurn *self, PhTime now, Allocation *allocation, const PhDatagram *in)
{
  uint8_t bytes[MESSAGE_MAX];
  PhWriter w = ph_writer (bytes, sizeof bytes);
  const Grant *channel = find_grant (allocation, now, &in->remote, 0, true);
  const PhStunId id = {{1}};

  if (find_grant (allocation, now, &in->remote, 0, false) == NULL) {
    self->view.not_permitted++;
    return;
  }
  self->view.relayed++;
  if (channel != NULL) {
    ph_write_u16 (&w, channel->number);
    ph_write_u16 (&w, (uint16_t)in->bytes.len);
    ph_write_slice (&w, in->bytes);
  } else {
    ph_stun_begin (&w, PH_STUN_INDICATION, DATA, &id);
    ph_stun_put_xor_addr (&w, ATTR_XOR_PEER_ADDRESS, &in->remote);
    ph_stun_put (&w, ATTR_DATA, in->bytes);
  }
  g_assert_true (ph_writer_ok (&w));
  ph_sim_host_send_bytes (self->view.host, self->socket, &allocation->client,
                          ph_slice (bytes, ph_writer_len (&w)));
}

static void
on_receive (void *user, PhTime now, const PhDatagram *in)
{
  PhSimTurn *self = user;
  PhStunMessage message;

  if (self->view.dead)
    return;
  if (in->socket != self->socket) {
    Allocation *allocation = find_allocation (self, now, NULL, in->socket);

    if (allocation != NULL)
      from_peer (self, now, allocation, in);
    return;
  }
  if (in->bytes.len > 0 && in->bytes.data[0] >> 4 == 4)
    handle_channel_data (self, now, in);
  else if (!ph_stun_parse (in->bytes, &message))
    return;
  else if (message.klass == PH_STUN_REQUEST)
    handle_request (self, now, in, &message);
  else if (message.klass == PH_STUN_INDICATION)
    handle_indication (self, now, in, &message);
}

static void
turn_free (void *data)
{
  PhSimTurn *self = data;

  g_ptr_array_unref (self->allocations);
  g_free (self);
}

PhSimTurn *
ph_sim_turn_new (PhSim *sim, const char *name, PhSimSegment *segment, const PhAddr *addr)
{
  PhSimTurn *self = g_new0 (PhSimTurn, 1);

  self->sim = sim;
  self->user = PH_SIM_TURN_USER;
  self->next_port = FIRST_PORT;
  self->allocations = g_ptr_array_new_with_free_func (allocation_free);
  self->view.addr = *addr;
  self->view.host = ph_sim_host_new (sim, name);
  ph_sim_host_attach (self->view.host, segment, addr);
  self->socket = ph_sim_host_open (self->view.host, addr, NULL);
  g_assert_cmpuint (self->socket, !=, 0);
  ph_sim_host_set_receive (self->view.host, on_receive, self);
  ph_sim_own (sim, self, turn_free);
  return self;
}

void
ph_sim_turn_restart (PhSimTurn *self)
{
  while (self->allocations->len > 0)
    end_allocation (self, self->allocations->pdata[0]);
}
