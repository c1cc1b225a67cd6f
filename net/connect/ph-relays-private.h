/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between ph-relays.c (what there is, and the verbs) and ph-relays-race.c (which servers are asked, and which
 * allocation is kept). */

#pragma once

#include "net/connect/ph-relays.h"

/* UDP sockets that a race asks from: laptops with containers have a dozen interfaces. */
#define PH_RELAYS_SOCKETS_MAX 16
#define PH_RELAYS_RETRY_MIN (2 * PH_SEC)

typedef struct {
  uint32_t id;
  PhAddr addr;
  bool fresh; /* asked for, for one allocation */
} PhRelaysSocket;

/* The allocation of one family of relayed addresses, or the race for it. */
typedef struct {
  PhFamily family;
  PhRelay *kept; /* borrowed; NULL: none */
  PhRelay *leaving; /* borrowed: the one before it; NULL: none */
  PhTime leave_at; /* when that is let go */
  bool succeeding; /* the race is for one to take the place of `kept` */
  bool tried; /* there has been such a race */
  PhTime wish_at; /* no wish for a socket for that before; 0: none was made */
  bool racing;
  unsigned started; /* transports of this race so far */
  PhTime next_transport_at;
  PhTime retry_at; /* no race before */
  PhTime retry_interval;
} PhRelaysSlot;

enum { PH_RELAYS_IPV4, PH_RELAYS_IPV6, PH_RELAYS_SLOTS };

struct _PhRelays {
  PhRandom random;
  PhTrace trace;
  PhRelaysSocket sockets[PH_RELAYS_SOCKETS_MAX];
  unsigned n_sockets;
  PhRelayServer servers[PH_RELAYS_SERVERS_MAX];
  bool lacks[PH_RELAYS_SERVERS_MAX][PH_RELAYS_SLOTS]; /* it has none of that family */
  unsigned n_servers;
  bool wanted;
  PhTime unwanted_since; /* PH_NEVER: wanted, or all is let go */
  PhRelaysSlot slots[PH_RELAYS_SLOTS];
  GPtrArray *relays; /* PhRelay, owned */
  unsigned turn; /* whose packets go first */
  uint32_t last_relayed;
  uint32_t last_stream;
  PhTurnWhy why;
  PhAddr fresh_wish; /* where a socket is to be opened */
  GArray *events; /* PhRelaysEvent */
  GArray *streams; /* PhRelayStream */
  GArray *unused; /* uint32_t: streams, and fresh sockets */
};

static inline PhRelay *
ph_relays_at (const PhRelays *self, unsigned i)
{
  return self->relays->pdata[i];
}

/* Somebody whom this slot can ask is there. */
bool ph_relays_can_race (const PhRelays *self, const PhRelaysSlot *slot);
/* When another allocation has to be made to take the place of the slot's, with a name that ends later. */
PhTime ph_relays_succession_at (const PhRelays *self, const PhRelaysSlot *slot);
/* Whoever was waited for is asked at once. */
void ph_relays_try_at_once (PhRelays *self, PhTime now);
/* Follows up on what has become of the allocations, and on the time. */
void ph_relays_settle (PhRelays *self, PhTime now);
/* Deletes it at its server; it is used no more. */
void ph_relays_let_go (PhRelays *self, PhTime now, PhRelay *relay);
/* NULL: a stream. */
const PhRelaysSocket *ph_relays_find_socket (const PhRelays *self, uint32_t socket);
/* Number `index` of the sockets; a fresh one is given back. */
void ph_relays_forget_socket (PhRelays *self, unsigned index);
/* Takes it off the list. */
void ph_relays_drop (PhRelays *self, PhRelay *relay);
