/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Randomness is injected: the driver gives the system's, tests give a seed. */

#pragma once

#include <stddef.h>
#include <stdint.h>

/* `fill` never fails; a source that cannot fill ends the process. Borrowed by whoever is given it;
 * `user` outlives that. */
typedef struct {
  void (*fill) (void *user, void *out, size_t len);
  void *user;
} PhRandom;

void ph_random_bytes (const PhRandom *random, void *out, size_t len);
uint64_t ph_random_u64 (const PhRandom *random);
/* Uniform in [0, bound); bound > 0. */
uint64_t ph_random_below (const PhRandom *random, uint64_t bound);

/* A reproducible source for tests and simulations (xoshiro256**). Never for keys. */
typedef struct {
  uint64_t state[4];
} PhRandomSeeded;

void ph_random_seeded_init (PhRandomSeeded *self, uint64_t seed);
PhRandom ph_random_seeded (PhRandomSeeded *self);
