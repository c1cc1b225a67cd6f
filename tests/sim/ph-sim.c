/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "tests/sim/ph-sim-private.h"

#include <stdio.h>

struct _Event {
  PhTime when;
  uint64_t order;
  size_t index; /* in the heap */
  PhSimFunc func;
  void *user;
  GDestroyNotify drop;
  bool is_timer;
};

typedef struct {
  PhRandomSeeded state;
  PhRandom random;
} MoreRandom;

typedef struct {
  void *data;
  GDestroyNotify destroy;
} Owned;

/* --- Event queue -------------------------------------------------------------------------------- */

static bool
event_before (const Event *a, const Event *b)
{
  return a->when != b->when ? a->when < b->when : a->order < b->order;
}

static void
heap_place (PhSim *self, size_t index, Event *event)
{
  self->heap[index] = event;
  event->index = index;
}

static void
heap_sift_up (PhSim *self, size_t index, Event *event)
{
  while (index > 0 && event_before (event, self->heap[(index - 1) / 2])) {
    heap_place (self, index, self->heap[(index - 1) / 2]);
    index = (index - 1) / 2;
  }
  heap_place (self, index, event);
}

static void
heap_sift_down (PhSim *self, size_t index, Event *event)
{
  for (;;) {
    size_t child = 2 * index + 1;

    if (child >= self->heap_len)
      break;
    if (child + 1 < self->heap_len && event_before (self->heap[child + 1], self->heap[child]))
      child++;
    if (!event_before (self->heap[child], event))
      break;
    heap_place (self, index, self->heap[child]);
    index = child;
  }
  heap_place (self, index, event);
}

static void
heap_remove (PhSim *self, Event *event)
{
  const size_t index = event->index;
  Event *last = self->heap[--self->heap_len];

  if (last == event)
    return;
  if (index > 0 && event_before (last, self->heap[(index - 1) / 2]))
    heap_sift_up (self, index, last);
  else
    heap_sift_down (self, index, last);
}

static Event *
event_push (PhSim *self, PhTime when, PhSimFunc func, void *user, GDestroyNotify drop)
{
  Event *event = g_new0 (Event, 1);

  event->when = MAX (when, self->now);
  event->order = ++self->next_order;
  event->func = func;
  event->user = user;
  event->drop = drop;
  if (self->heap_len == self->heap_cap) {
    self->heap_cap = MAX (64, self->heap_cap * 2);
    self->heap = g_renew (Event *, self->heap, self->heap_cap);
  }
  heap_sift_up (self, self->heap_len++, event);
  return event;
}

void
sim_push (PhSim *self, PhTime when, PhSimFunc func, void *user, GDestroyNotify drop)
{
  event_push (self, when, func, user, drop);
}

uint64_t
ph_sim_at (PhSim *self, PhTime when, PhSimFunc func, void *user)
{
  if (when == PH_NEVER)
    return 0;

  Event *event = event_push (self, when, func, user, NULL);

  event->is_timer = true;
  g_hash_table_insert (self->timers, &event->order, event);
  return event->order;
}

void
ph_sim_cancel (PhSim *self, uint64_t id)
{
  Event *event = g_hash_table_lookup (self->timers, &id);

  if (event == NULL)
    return;
  g_hash_table_remove (self->timers, &id);
  heap_remove (self, event);
  g_free (event);
}

bool
ph_sim_step (PhSim *self, PhTime until)
{
  if (self->heap_len == 0 || self->heap[0]->when > until) {
    if (until != PH_NEVER)
      self->now = MAX (self->now, until);
    return false;
  }

  Event *event = self->heap[0];

  heap_remove (self, event);
  if (event->is_timer)
    g_hash_table_remove (self->timers, &event->order);
  g_assert (event->when >= self->now);
  self->now = event->when;
  self->n_events++;
  event->func (event->user, self->now);
  g_free (event);
  return true;
}

PhTime
ph_sim_next (const PhSim *self)
{
  return self->heap_len > 0 ? self->heap[0]->when : PH_NEVER;
}

void
ph_sim_run (PhSim *self, PhTime until)
{
  while (ph_sim_step (self, until))
    ;
}

bool
ph_sim_run_while_not (PhSim *self, PhTime until, bool (*done) (void *user), void *user)
{
  while (!done (user)) {
    if (!ph_sim_step (self, until))
      return done (user);
  }
  return true;
}

/* --- The world ---------------------------------------------------------------------------------- */

PhSim *
ph_sim_new (uint64_t seed)
{
  PhSim *self = g_new0 (PhSim, 1);

  self->seed = seed;
  self->now = PH_SIM_START;
  self->timers = g_hash_table_new (g_int64_hash, g_int64_equal);
  ph_random_seeded_init (&self->random_state, seed);
  self->random = ph_random_seeded (&self->random_state);
  self->nodes = g_ptr_array_new ();
  self->segments = g_ptr_array_new_with_free_func (segment_free);
  self->hash = UINT64_C (0xcbf29ce484222325);
  self->print = g_getenv ("PH_SIM_TRACE") != NULL;
  if (self->print)
    setvbuf (stdout, NULL, _IOLBF, 0); /* the last lines before an abort are the ones that matter */
  return self;
}

static void
node_free (PhSimNode *node)
{
  GPtrArray *ifaces = node->ifaces;

  g_free (node->name);
  node->klass->free (node);
  g_ptr_array_unref (ifaces);
}

void
ph_sim_free (PhSim *self)
{
  if (self == NULL)
    return;
  while (self->owned != NULL) {
    Owned *owned = self->owned->data;

    self->owned = g_slist_delete_link (self->owned, self->owned);
    owned->destroy (owned->data);
    g_free (owned);
  }
  for (size_t i = 0; i < self->heap_len; i++) {
    if (self->heap[i]->drop != NULL)
      self->heap[i]->drop (self->heap[i]->user);
    g_free (self->heap[i]);
  }
  g_free (self->heap);
  g_hash_table_unref (self->timers);
  for (guint i = 0; i < self->nodes->len; i++)
    node_free (self->nodes->pdata[i]);
  g_ptr_array_unref (self->nodes);
  g_ptr_array_unref (self->segments);
  g_free (self);
}

void
ph_sim_own (PhSim *self, void *data, GDestroyNotify destroy)
{
  Owned *owned = g_new (Owned, 1);

  *owned = (Owned){data, destroy};
  self->owned = g_slist_prepend (self->owned, owned);
}

PhTime
ph_sim_now (const PhSim *self)
{
  return self->now;
}

uint64_t
ph_sim_seed (const PhSim *self)
{
  return self->seed;
}

const PhRandom *
ph_sim_random (PhSim *self)
{
  return &self->random;
}

const PhRandom *
ph_sim_random_for (PhSim *self, const char *name)
{
  MoreRandom *more = g_new0 (MoreRandom, 1);

  ph_random_seeded_init (&more->state, self->seed * UINT64_C (1000003) + g_str_hash (name));
  more->random = ph_random_seeded (&more->state);
  ph_sim_own (self, more, g_free);
  return &more->random;
}

bool
sim_chance (PhSim *self, uint32_t ppm)
{
  return ppm > 0 && ph_random_below (&self->random, 1000000) < ppm;
}

uint64_t
ph_sim_trace_hash (const PhSim *self)
{
  return self->hash;
}

uint64_t
ph_sim_events (const PhSim *self)
{
  return self->n_events;
}

/* --- What became of a packet -------------------------------------------------------------------- */

const char *
ph_sim_fate_name (PhSimFate fate)
{
  static const char *const names[PH_SIM_N_FATES] = {
      [PH_SIM_SENT] = "sent",
      [PH_SIM_DELIVERED] = "delivered",
      [PH_SIM_DROP_LOSS] = "lost",
      [PH_SIM_DROP_QUEUE] = "queue full",
      [PH_SIM_DROP_MTU] = "too large",
      [PH_SIM_DROP_CUT] = "cut",
      [PH_SIM_DROP_ROUTE] = "no route",
      [PH_SIM_DROP_TTL] = "ttl",
      [PH_SIM_DROP_FILTER] = "filtered",
      [PH_SIM_DROP_POLICY] = "refused",
      [PH_SIM_DROP_SOCKET] = "no socket",
  };

  g_assert (fate < PH_SIM_N_FATES);
  return names[fate];
}

uint64_t
ph_sim_count (const PhSim *self, PhSimFate fate)
{
  g_assert (fate < PH_SIM_N_FATES);
  return self->counts[fate];
}

void
ph_sim_observe (PhSim *self, PhSimObserve observe, void *user)
{
  self->observe = observe;
  self->observe_user = user;
}

static void
hash_word (PhSim *self, uint64_t word)
{
  self->hash = (self->hash ^ word) * UINT64_C (0x9e3779b97f4a7c15);
  self->hash ^= self->hash >> 29;
}

static void
print_fate (PhSim *self, PhSimFate fate, const PhSimNode *node, const PhSimPacket *packet)
{
  char src[PH_ADDR_STRING_MAX], dst[PH_ADDR_STRING_MAX];
  const uint64_t us = (self->now - PH_SIM_START) / PH_USEC;

  printf ("# %6" G_GUINT64_FORMAT ".%03" G_GUINT64_FORMAT " ms  %-10s at %-10s %s -> %s %zu bytes"
          " [%02x%02x]\n",
          us / 1000, us % 1000, ph_sim_fate_name (fate), node->name,
          ph_addr_format (&packet->src, src), ph_addr_format (&packet->dst, dst), packet->len,
          packet->len > 0 ? packet->bytes[0] : 0, packet->len > 1 ? packet->bytes[1] : 0);
}

void
sim_fate (PhSim *self, PhSimFate fate, const PhSimNode *node, const PhSimPacket *packet)
{
  self->counts[fate]++;
  hash_word (self, self->now);
  hash_word (self, (uint64_t)fate << 32 | packet->len);
  hash_word (self, (uint64_t)ph_addr_hash (&packet->src) << 32 | ph_addr_hash (&packet->dst));
  if (self->print)
    print_fate (self, fate, node, packet);
  if (self->observe != NULL)
    self->observe (self->observe_user, self, fate, node, packet);
}

PhSimPacket *
ph_sim_packet_new (const PhAddr *src, const PhAddr *dst, PhSlice bytes)
{
  PhSimPacket *packet = g_new0 (PhSimPacket, 1);

  packet->proto = PH_SIM_UDP;
  packet->ttl = PH_SIM_TTL_DEFAULT;
  packet->src = *src;
  packet->dst = *dst;
  packet->len = bytes.len;
  packet->bytes = g_memdup2 (bytes.data, bytes.len);
  return packet;
}

PhSimPacket *
ph_sim_packet_copy (const PhSimPacket *packet)
{
  PhSimPacket *copy = g_memdup2 (packet, sizeof *packet);

  copy->bytes = g_memdup2 (packet->bytes, packet->len);
  return copy;
}

void
ph_sim_packet_free (PhSimPacket *packet)
{
  if (packet == NULL)
    return;
  g_free (packet->bytes);
  g_free (packet);
}

void
ph_sim_packet_drop (PhSimNode *at, PhSimFate fate, PhSimPacket *packet)
{
  sim_fate (at->sim, fate, at, packet);
  ph_sim_packet_free (packet);
}
