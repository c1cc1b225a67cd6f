/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The links of one connector and the path that each takes. Private to net/connect. */

#pragma once

#include "net/connect/ph-connector.h"

typedef struct {
  PhLink *link; /* owned; NULL: free slot */
  bool was_writable;
  bool was_ready;
  bool announced; /* as LINK_WRITABLE or LINK_READY */
  bool blocked; /* its connection takes nothing for now */
  uint32_t pair; /* the agent's id of the pair the link runs on; 0: of an earlier agent */
  PhPath path;
} PhLinkSlot;

typedef struct {
  PhLinkSlot slots[PH_CONNECTOR_LINKS_MAX];
  unsigned turn; /* which link may send first: none starves another */
} PhLinkTable;

static inline PhPath
ph_path_from_pair (const PhIcePair *pair)
{
  return (PhPath){
      .kind = ph_path_classify (&pair->local, &pair->remote),
      .socket = pair->socket,
      .remote_to = pair->remote_addr,
      .local = pair->local,
      .remote = pair->remote,
      .rtt = pair->rtt,
  };
}

void ph_link_table_clear (PhLinkTable *self);

/* Takes `link`. False, and the link freed, if there is no room. */
bool ph_link_table_add (PhLinkTable *self, PhLink *link, const PhIcePair *pair);
void ph_link_table_remove (PhLinkTable *self, PhLinkSlot *slot);

PhLinkSlot *ph_link_table_find (PhLinkTable *self, const PhLink *link);
/* The link on this pair of the agent that runs; NULL: none. */
PhLinkSlot *ph_link_table_on_pair (PhLinkTable *self, uint32_t pair);
/* The link that a QUIC packet is addressed to; NULL: none. */
PhLinkSlot *ph_link_table_for_packet (PhLinkTable *self, PhSlice bytes);
bool ph_link_table_uses (const PhLinkTable *self, uint32_t socket, const PhAddr *remote);
unsigned ph_link_table_len (const PhLinkTable *self);
bool ph_link_table_any_ready (const PhLinkTable *self);

bool ph_link_table_poll_transmit (PhLinkTable *self, PhTime now, PhTransmit *tx);
PhTime ph_link_table_next_timeout (const PhLinkTable *self, const char **ret_why);
