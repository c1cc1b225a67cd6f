/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/rendezvous/ph-limits.h"

#include <string.h>

#define MILLI UINT64_C (1000)

void
ph_bucket_init (PhBucket *self, PhTime now, uint64_t burst, uint64_t rate)
{
  *self = (PhBucket){burst, rate, burst * MILLI, now};
}

static void
refill (PhBucket *self, PhTime now)
{
  const uint64_t ms = ph_time_since (now, self->at) / PH_MSEC;
  const uint64_t room = self->burst * MILLI - self->level;

  /* Thousandths of tokens a millisecond are tokens a second. */
  if (self->rate == 0 || ms == 0)
    return;
  self->level += ms >= room / self->rate + 1 ? room : ms * self->rate;
  self->at += ms * PH_MSEC;
}

bool
ph_bucket_take (PhBucket *self, PhTime now, uint64_t tokens)
{
  refill (self, now);
  if (tokens * MILLI > self->level)
    return false;
  self->level -= tokens * MILLI;
  return true;
}

bool
ph_bucket_is_full (PhBucket *self, PhTime now)
{
  refill (self, now);
  return self->level == self->burst * MILLI;
}

typedef struct {
  uint8_t name[PH_BUCKET_NAME_MAX]; /* first, so that an entry is its own key */
  PhBucket bucket;
} Entry;

struct _PhBucketTable {
  GHashTable *entries;
  uint64_t burst;
  uint64_t rate;
};

static guint
name_hash (const void *name)
{
  const uint8_t *bytes = name;
  guint hash = 2166136261u;

  for (unsigned i = 0; i < PH_BUCKET_NAME_MAX; i++)
    hash = (hash ^ bytes[i]) * 16777619u;
  return hash;
}

static gboolean
name_equal (const void *a, const void *b)
{
  return memcmp (a, b, PH_BUCKET_NAME_MAX) == 0;
}

PhBucketTable *
ph_bucket_table_new (uint64_t burst, uint64_t rate)
{
  PhBucketTable *self = g_new0 (PhBucketTable, 1);

  self->entries = g_hash_table_new_full (name_hash, name_equal, NULL, g_free);
  self->burst = burst;
  self->rate = rate;
  return self;
}

void
ph_bucket_table_free (PhBucketTable *self)
{
  if (self == NULL)
    return;
  g_hash_table_unref (self->entries);
  g_free (self);
}

PhBucket *
ph_bucket_table_get (PhBucketTable *self, PhTime now, const void *name, size_t len)
{
  uint8_t padded[PH_BUCKET_NAME_MAX] = {0};

  g_assert (len <= PH_BUCKET_NAME_MAX);
  memcpy (padded, name, len);

  Entry *entry = g_hash_table_lookup (self->entries, padded);

  if (entry == NULL) {
    entry = g_new0 (Entry, 1);
    memcpy (entry->name, padded, sizeof padded);
    ph_bucket_init (&entry->bucket, now, self->burst, self->rate);
    g_hash_table_insert (self->entries, entry->name, entry);
  }
  return &entry->bucket;
}

void
ph_bucket_table_sweep (PhBucketTable *self, PhTime now)
{
  GHashTableIter iter;
  Entry *entry;

  g_hash_table_iter_init (&iter, self->entries);
  while (g_hash_table_iter_next (&iter, NULL, (void **)&entry))
    if (ph_bucket_is_full (&entry->bucket, now))
      g_hash_table_iter_remove (&iter);
}

unsigned
ph_bucket_table_size (const PhBucketTable *self)
{
  return g_hash_table_size (self->entries);
}
