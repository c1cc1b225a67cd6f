/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A speed limit that several share: a token bucket with a queue at it.
 *
 * Whoever wants to send asks ph_pacer_may() and, after a yes, says with ph_pacer_take() what was sent; that may
 * be more than there was: the bucket then owes, and the next one waits longer, so the rate holds exactly. Who
 * is refused stands in line, and nobody else is let in before; who does not want any more must leave it
 * (ph_pacer_leave()). Each takes ph_pacer_piece() bytes or less at a time, so turns are short and shares are
 * equal. No clock of its own; borrowed by all, who leave before it is cleared. */

#pragma once

#include "net/base/ph-time.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct {
  uint64_t rate; /* bytes a second; 0: no limit */
  PhTime at; /* `tokens` is as of then */
  double tokens; /* bytes that may be sent; below 0: owed */
  GQueue line; /* of whoever waits, borrowed */
} PhPacer;

void ph_pacer_init (PhPacer *self);
void ph_pacer_clear (PhPacer *self);
/* Takes effect at once. */
void ph_pacer_set_rate (PhPacer *self, PhTime now, uint64_t rate);
bool ph_pacer_may (PhPacer *self, PhTime now, gconstpointer who);
void ph_pacer_take (PhPacer *self, gconstpointer who, uint64_t bytes);
void ph_pacer_leave (PhPacer *self, gconstpointer who);
/* When the first in line may. */
PhTime ph_pacer_next (const PhPacer *self);
/* Bytes to take at a time; SIZE_MAX without a limit. */
size_t ph_pacer_piece (const PhPacer *self);
