/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A mark that something falls below: told once for each crossing from above. With 0 it never is. */

#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct {
  uint64_t mark;
  bool above;
} PhLowMark;

static inline void
ph_low_mark_set (PhLowMark *self, uint64_t mark, uint64_t value)
{
  *self = (PhLowMark){mark, value >= mark};
}

static inline void
ph_low_mark_rose (PhLowMark *self, uint64_t value)
{
  self->above = self->above || value >= self->mark;
}

/* Whether it has crossed the mark. */
static inline bool
ph_low_mark_fell (PhLowMark *self, uint64_t value)
{
  const bool crossed = self->above && value < self->mark;

  self->above = self->above && !crossed;
  return crossed;
}
