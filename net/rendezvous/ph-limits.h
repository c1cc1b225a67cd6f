/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How much of something one party may do. */

#pragma once

#include "net/base/ph-time.h"

#include <glib.h>
#include <stdbool.h>

/* A token bucket. All zeros is not full: begin with ph_bucket_init(). */
typedef struct {
  uint64_t burst; /* tokens when full */
  uint64_t rate; /* tokens a second */
  uint64_t level; /* thousandths of tokens */
  PhTime at;
} PhBucket;

void ph_bucket_init (PhBucket *self, PhTime now, uint64_t burst, uint64_t rate);
/* False, and nothing taken, if there are not so many. */
bool ph_bucket_take (PhBucket *self, PhTime now, uint64_t tokens);
bool ph_bucket_is_full (PhBucket *self, PhTime now);

/* Buckets by name, forgotten when they are full again: what a party did outlives its connection. The
 * number is bounded by who can drain buckets: one entry a party and burst / rate seconds. */
typedef struct _PhBucketTable PhBucketTable;

PhBucketTable *ph_bucket_table_new (uint64_t burst, uint64_t rate);
void ph_bucket_table_free (PhBucketTable *self);
/* `name` has at most PH_BUCKET_NAME_MAX bytes. */
#define PH_BUCKET_NAME_MAX 32
PhBucket *ph_bucket_table_get (PhBucketTable *self, PhTime now, const void *name, size_t len);
/* Forgets the full ones. */
void ph_bucket_table_sweep (PhBucketTable *self, PhTime now);
unsigned ph_bucket_table_size (const PhBucketTable *self);
