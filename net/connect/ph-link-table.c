/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/connect/ph-link-table.h"

#include "net/ice/ph-ice-frames.h"
#include "net/turn/ph-turn-client.h"

void
ph_link_table_clear (PhLinkTable *self)
{
  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++)
    ph_link_table_remove (self, &self->slots[i]);
}

bool
ph_link_table_add (PhLinkTable *self, PhLink *link, const PhIcePair *pair)
{
  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++) {
    if (self->slots[i].link == NULL) {
      self->slots[i] =
          (PhLinkSlot){.link = link, .pair = pair->id, .path = ph_path_from_pair (pair)};
      return true;
    }
  }
  ph_link_free (link);
  return false;
}

void
ph_link_table_remove (PhLinkTable *self, PhLinkSlot *slot)
{
  ph_link_free (slot->link);
  *slot = (PhLinkSlot){0};
}

PhLinkSlot *
ph_link_table_find (PhLinkTable *self, const PhLink *link)
{
  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++) {
    if (self->slots[i].link != NULL && self->slots[i].link == link)
      return &self->slots[i];
  }
  return NULL;
}

PhLinkSlot *
ph_link_table_on_pair (PhLinkTable *self, uint32_t pair)
{
  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++) {
    if (self->slots[i].link != NULL && self->slots[i].pair == pair
        && ph_link_state (self->slots[i].link) != PH_LINK_CLOSED)
      return &self->slots[i];
  }
  return NULL;
}

PhLinkSlot *
ph_link_table_for_packet (PhLinkTable *self, PhSlice bytes)
{
  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++) {
    if (self->slots[i].link != NULL && !ph_link_is_tls (self->slots[i].link)
        && ph_quic_link_owns (self->slots[i].link, bytes))
      return &self->slots[i];
  }
  return NULL;
}

bool
ph_link_table_uses (const PhLinkTable *self, uint32_t socket, const PhAddr *remote)
{
  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++) {
    const PhLinkSlot *slot = &self->slots[i];

    if (slot->link != NULL && slot->path.socket == socket
        && ph_addr_equal (&slot->path.remote_to, remote))
      return true;
  }
  return false;
}

unsigned
ph_link_table_len (const PhLinkTable *self)
{
  unsigned n = 0;

  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++)
    n += self->slots[i].link != NULL;
  return n;
}

bool
ph_link_table_any_ready (const PhLinkTable *self)
{
  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++) {
    if (self->slots[i].link != NULL && ph_link_state (self->slots[i].link) == PH_LINK_READY)
      return true;
  }
  return false;
}

static uint8_t
headroom_for (const PhLinkSlot *slot)
{
  if (ph_socket_is_relayed (slot->path.socket))
    return PH_TURN_HEADROOM;
  return slot->link != NULL && ph_link_is_tls (slot->link) ? PH_ICE_FRAME_HEADER_LEN : 0;
}

bool
ph_link_table_poll_transmit (PhLinkTable *self, PhTime now, PhTransmit *tx)
{
  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++) {
    PhLinkSlot *slot = &self->slots[(self->turn + i) % PH_CONNECTOR_LINKS_MAX];

    tx->headroom = headroom_for (slot);
    if (slot->link == NULL || slot->blocked || !ph_link_poll_transmit (slot->link, now, tx))
      continue;
    tx->socket = slot->path.socket;
    tx->remote = slot->path.remote_to;
    self->turn = (self->turn + i + 1) % PH_CONNECTOR_LINKS_MAX;
    return true;
  }
  tx->headroom = 0;
  return false;
}

PhTime
ph_link_table_next_timeout (const PhLinkTable *self, const char **ret_why)
{
  PhTime next = PH_NEVER;

  for (unsigned i = 0; i < PH_CONNECTOR_LINKS_MAX; i++) {
    const char *why = NULL;
    const PhTime t =
        self->slots[i].link != NULL ? ph_link_next_timeout (self->slots[i].link, &why) : PH_NEVER;

    if (t < next) {
      next = t;
      *ret_why = why;
    }
  }
  return next;
}
