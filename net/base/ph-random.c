/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/base/ph-random.h"

#include <glib.h>
#include <string.h>

void
ph_random_bytes (const PhRandom *random, void *out, size_t len)
{
  random->fill (random->user, out, len);
}

uint64_t
ph_random_u64 (const PhRandom *random)
{
  uint64_t value;

  ph_random_bytes (random, &value, sizeof value);
  return value;
}

uint64_t
ph_random_below (const PhRandom *random, uint64_t bound)
{
  g_assert (bound > 0);

  /* Values below this would favour small results: draw again. */
  const uint64_t unfair = -bound % bound;
  uint64_t value;

  do
    value = ph_random_u64 (random);
  while (value < unfair);
  return value % bound;
}

static uint64_t
rotl (uint64_t x, int k)
{
  return x << k | x >> (64 - k);
}

static uint64_t
seeded_next (PhRandomSeeded *self)
{
  uint64_t *s = self->state;
  const uint64_t result = rotl (s[1] * 5, 7) * 9;
  const uint64_t t = s[1] << 17;

  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = rotl (s[3], 45);
  return result;
}

void
ph_random_seeded_init (PhRandomSeeded *self, uint64_t seed)
{
  /* splitmix64, as xoshiro's authors advise. */
  for (size_t i = 0; i < G_N_ELEMENTS (self->state); i++) {
    uint64_t z = (seed += UINT64_C (0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C (0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C (0x94d049bb133111eb);
    self->state[i] = z ^ (z >> 31);
  }
}

static void
seeded_fill (void *user, void *out, size_t len)
{
  uint8_t *p = out;

  while (len > 0) {
    const uint64_t value = seeded_next (user);
    const size_t n = MIN (len, sizeof value);

    memcpy (p, &value, n);
    p += n;
    len -= n;
  }
}

PhRandom
ph_random_seeded (PhRandomSeeded *self)
{
  return (PhRandom){seeded_fill, self};
}
