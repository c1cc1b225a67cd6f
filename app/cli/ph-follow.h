/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tells how one transfer goes, from its snapshots: what changed since the last one, at a pace that a
 * person or a log can take. */

#pragma once

#include "app/cli/ph-cli.h"

typedef struct {
  char *id;
  PhTransferState state;
  char *path; /* what was told last */
  char *message; /* likewise */
  char *trouble; /* likewise */
  gint64 shown_us; /* when progress was told last */
  unsigned percent; /* what was told last, where there is no progress line */
  uint64_t bytes;
  uint64_t bytes_before; /* what was there already: not part of the speed */
  bool one_of_many; /* set by the owner: lines say which transfer they are about */
  bool started;
  bool stalled; /* waits for this person to make room, or to bring the folder back */
  bool counted; /* the owner's */
  bool ended;
  PhExit status; /* once ended */
} PhFollow;

PhFollow *ph_follow_new (const char *id);
void ph_follow_free (PhFollow *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhFollow, ph_follow_free)

/* Tells what is new; at the end of the transfer also the result. */
void ph_follow_show (PhFollow *self, const PhTransferView *view);
