/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/engine/ph-pacer.h"

/* What one turn lasts, and what is saved up while nobody asks: timers are this late on a busy computer. */
#define TURN (20 * PH_MSEC)
#define SAVED (50 * PH_MSEC)
/* Less than a packet's content costs more than it evens out. */
#define PIECE_MIN 1024u

static double
bytes_in (const PhPacer *self, PhTime interval)
{
  return (double)self->rate * ((double)interval / (double)PH_SEC);
}

void
ph_pacer_init (PhPacer *self)
{
  *self = (PhPacer){0};
  g_queue_init (&self->line);
}

void
ph_pacer_clear (PhPacer *self)
{
  g_queue_clear (&self->line);
}

static void
refill (PhPacer *self, PhTime now)
{
  if (now <= self->at)
    return;
  self->tokens =
      MIN (self->tokens + bytes_in (self, ph_time_since (now, self->at)), bytes_in (self, SAVED));
  self->at = now;
}

void
ph_pacer_set_rate (PhPacer *self, PhTime now, uint64_t rate)
{
  refill (self, now);
  self->rate = rate;
  /* What is owed at another rate is forgotten: a new limit is felt at once. */
  self->tokens = 0;
  self->at = now;
}

bool
ph_pacer_may (PhPacer *self, PhTime now, gconstpointer who)
{
  if (self->rate == 0)
    return true;
  refill (self, now);
  if (self->tokens >= 0
      && (g_queue_is_empty (&self->line) || g_queue_peek_head (&self->line) == who))
    return true;
  if (g_queue_find (&self->line, who) == NULL)
    g_queue_push_tail (&self->line, (gpointer)who);
  return false;
}

void
ph_pacer_take (PhPacer *self, gconstpointer who, uint64_t bytes)
{
  if (self->rate == 0)
    return;
  self->tokens -= (double)bytes;
  ph_pacer_leave (self, who);
}

void
ph_pacer_leave (PhPacer *self, gconstpointer who)
{
  g_queue_remove (&self->line, who);
}

PhTime
ph_pacer_next (const PhPacer *self)
{
  if (self->rate == 0 || self->tokens >= 0)
    return self->at;
  return ph_time_add (self->at, 1 + (PhTime)(-self->tokens / (double)self->rate * (double)PH_SEC));
}

size_t
ph_pacer_piece (const PhPacer *self)
{
  if (self->rate == 0)
    return SIZE_MAX;
  return MAX ((size_t)bytes_in (self, TURN), PIECE_MIN);
}
