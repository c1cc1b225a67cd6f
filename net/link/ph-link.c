/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/link/ph-link.h"

void
ph_link_free (PhLink *self)
{
  if (self != NULL)
    self->klass->free (self);
}

void
ph_link_handle_packet (PhLink *self, PhTime now, const PhDatagram *in)
{
  self->klass->handle_packet (self, now, in);
}

void
ph_link_handle_timeout (PhLink *self, PhTime now)
{
  self->klass->handle_timeout (self, now);
}

bool
ph_link_poll_transmit (PhLink *self, PhTime now, PhTransmit *tx)
{
  g_assert (tx->cap >= PH_TRANSMIT_MAX);
  return self->klass->poll_transmit (self, now, tx);
}

bool
ph_link_poll_event (PhLink *self, PhLinkEvent *ret_event)
{
  return self->klass->poll_event (self, ret_event);
}

PhTime
ph_link_next_timeout (const PhLink *self, const char **ret_why)
{
  return self->klass->next_timeout (self, ret_why);
}

int64_t
ph_link_open_stream (PhLink *self)
{
  return self->klass->open_stream (self);
}

void
ph_link_send (PhLink *self, int64_t stream, PhBufSlice data, bool fin)
{
  self->klass->send (self, stream, data, fin);
}

uint64_t
ph_link_stream_queued (const PhLink *self, int64_t stream)
{
  return self->klass->stream_queued (self, stream);
}

uint64_t
ph_link_stream_unsent (const PhLink *self, int64_t stream)
{
  return self->klass->stream_unsent (self, stream);
}

void
ph_link_set_low_marks (PhLink *self, int64_t stream, uint64_t queued, uint64_t unsent)
{
  self->klass->set_low_marks (self, stream, queued, unsent);
}

void
ph_link_consumed (PhLink *self, int64_t stream, uint64_t bytes)
{
  self->klass->consumed (self, stream, bytes);
}

void
ph_link_reset_stream (PhLink *self, int64_t stream, uint64_t code)
{
  self->klass->reset_stream (self, stream, code);
}

void
ph_link_close (PhLink *self, PhTime now, uint64_t code, const char *reason)
{
  self->klass->close (self, now, code, reason);
}

void
ph_link_stats (const PhLink *self, PhLinkStats *ret_stats)
{
  self->klass->stats (self, ret_stats);
}
