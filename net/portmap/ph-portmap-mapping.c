/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/portmap/ph-portmap-mapping.h"

#include <glib.h>

#define SEND_INTERVAL (250 * PH_MSEC)
#define SENDS_MAX 5
#define RETRY_FIRST (60 * PH_SEC)
#define RETRY_MAX (15 * 60 * PH_SEC)
/* RFC 6887 §8.3: a client must not take an error's lifetime for longer than 30 minutes. */
#define REFUSAL_MAX_S (30 * 60)
/* A lease so short that renewing it would be all there is to do; RFC 6887 §15 has servers give 120 s. */
#define LIFETIME_MIN_S 120
/* RFC 6887 §15: longer ones are cut to a day. */
#define LIFETIME_MAX_S (24 * 60 * 60)
/* RFC 6887 §11.2.1: no renewal sooner than this after the last. */
#define RENEW_MIN (4 * PH_SEC)

PhPortmapMapping
ph_portmap_mapping (uint32_t id, PhPortmapProto proto, uint16_t internal_port,
                    const PhRandom *random, PhTime now)
{
  PhPortmapMapping self = {
      .id = id,
      .proto = proto,
      .internal_port = internal_port,
      .expires = PH_NEVER,
      .retry_interval = RETRY_FIRST,
  };

  ph_random_bytes (random, self.nonce, sizeof self.nonce);
  ph_portmap_mapping_ask (&self, now);
  return self;
}

void
ph_portmap_mapping_ask (PhPortmapMapping *self, PhTime now)
{
  self->asking = true;
  self->send = true;
  self->sends = 1;
  self->deadline = ph_time_add (now, SEND_INTERVAL);
}

void
ph_portmap_mapping_hold (PhPortmapMapping *self)
{
  self->asking = false;
  self->send = false;
  self->deadline = PH_NEVER;
}

void
ph_portmap_mapping_granted (PhPortmapMapping *self, PhTime now, const PhAddr *external,
                            uint32_t lifetime_s, const PhRandom *random)
{
  const PhTime lifetime = CLAMP (lifetime_s, LIFETIME_MIN_S, LIFETIME_MAX_S) * PH_SEC;

  self->asking = false;
  self->send = false;
  self->settled = true;
  self->retry_interval = RETRY_FIRST;
  self->external = *external;
  self->expires = ph_time_add (now, lifetime);
  self->deadline = ph_time_add (now, lifetime / 2 + ph_random_below (random, lifetime / 8));
  self->dirty = true;
}

/* What is mapped still is, until it expires. */
static void
ask_later (PhPortmapMapping *self, PhTime now, PhTime wait)
{
  self->asking = false;
  self->send = false;
  self->settled = true;
  if (self->expires != PH_NEVER)
    wait = ph_time_min (wait, MAX (ph_time_since (self->expires, now) / 2, RENEW_MIN));
  self->deadline = ph_time_add (now, wait);
  self->dirty = true;
}

void
ph_portmap_mapping_refused (PhPortmapMapping *self, PhTime now, uint32_t wait_s)
{
  ph_portmap_mapping_lost (self);
  ask_later (self, now, MAX (self->retry_interval, MIN (wait_s, REFUSAL_MAX_S) * PH_SEC));
  self->retry_interval = ph_time_min (2 * self->retry_interval, RETRY_MAX);
}

void
ph_portmap_mapping_lost (PhPortmapMapping *self)
{
  self->external = (PhAddr){0};
  self->expires = PH_NEVER;
  self->dirty = true;
}

void
ph_portmap_mapping_handle_timeout (PhPortmapMapping *self, PhTime now)
{
  if (now >= self->expires)
    ph_portmap_mapping_lost (self);
  if (now < self->deadline)
    return;
  if (!self->asking) {
    ph_portmap_mapping_ask (self, now);
  } else if (self->sends < SENDS_MAX) {
    self->send = true;
    self->deadline = ph_time_add (now, SEND_INTERVAL << self->sends++);
  } else {
    ask_later (self, now, self->retry_interval);
    self->retry_interval = ph_time_min (2 * self->retry_interval, RETRY_MAX);
  }
}

PhTime
ph_portmap_mapping_next_timeout (const PhPortmapMapping *self)
{
  return ph_time_min (self->deadline, self->expires);
}
