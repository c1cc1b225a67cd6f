/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/engine/ph-session-private.h"

void
ph_session_trace (PhSession *self, PhTime now, const char *format, ...)
{
  if (self->trace.event == NULL)
    return;

  va_list args;

  va_start (args, format);
  g_autofree char *line = g_strdup_vprintf (format, args);
  va_end (args);
  self->trace.event (self->trace.user, now, "session", line);
}

/* --- Events ------------------------------------------------------------------------------------- */

void
ph_session_event_clear (PhSessionEvent *event)
{
  g_clear_pointer (&event->manifest, ph_manifest_unref);
  g_clear_pointer (&event->name, g_free);
  g_clear_pointer (&event->signal, g_bytes_unref);
}

static void
event_free (void *data)
{
  ph_session_event_clear (data);
  g_free (data);
}

PhSessionEvent *
ph_session_event (PhSession *self, PhSessionEventType type, const PhTransferId *id, bool outgoing)
{
  PhSessionEvent *event = g_new0 (PhSessionEvent, 1);

  event->type = type;
  event->outgoing = outgoing;
  event->file = UINT32_MAX;
  if (id != NULL)
    event->id = *id;
  g_queue_push_tail (&self->events, event);
  return event;
}

void
ph_session_event_progress (PhSession *self, const PhTransferId *id, bool outgoing, uint64_t written,
                           uint64_t durable, uint64_t total)
{
  PhSessionEvent *event = g_queue_peek_tail (&self->events);

  if (event == NULL || event->type != PH_SESSION_EVENT_PROGRESS || event->resumed
      || !ph_transfer_id_equal (&event->id, id))
    event = ph_session_event (self, PH_SESSION_EVENT_PROGRESS, id, outgoing);
  event->bytes_written = written;
  event->bytes_durable = durable;
  event->bytes_total = total;
}

void
ph_session_event_resumed (PhSession *self, const PhTransferId *id, bool outgoing, uint64_t written,
                          uint64_t durable, uint64_t total)
{
  PhSessionEvent *event = ph_session_event (self, PH_SESSION_EVENT_PROGRESS, id, outgoing);

  event->resumed = true;
  event->bytes_written = written;
  event->bytes_durable = durable;
  event->bytes_total = total;
}

bool
ph_session_poll_event (PhSession *self, PhSessionEvent *ret_event)
{
  g_autofree PhSessionEvent *event = g_queue_pop_head (&self->events);

  if (event == NULL)
    return false;
  *ret_event = *event;
  return true;
}

/* --- Lifetime ----------------------------------------------------------------------------------- */

static void
peer_link_free (void *data)
{
  PhPeerLink *on = data;

  g_hash_table_unref (on->streams);
  g_array_unref (on->draining);
  g_free (on);
}

PhSession *
ph_session_new (const PhSessionConfig *config)
{
  PhSession *self = g_new0 (PhSession, 1);
  g_autofree char *valid = g_utf8_make_valid (config->device_name, -1);
  const char *end = valid + strlen (valid);

  while ((size_t)(end - valid) > PH_FRAME_NAME_MAX)
    end = g_utf8_find_prev_char (valid, end);
  self->name = g_strndup (valid, (size_t)(end - valid));
  memcpy (self->instance, config->instance, sizeof self->instance);
  self->hooks = config->hooks;
  if (config->trace != NULL)
    self->trace = *config->trace;
  self->links = g_ptr_array_new ();
  self->outgoing = g_ptr_array_new ();
  self->incoming = g_ptr_array_new ();
  self->open_retry = PH_NEVER;
  ph_pacer_init (&self->peer_limit);
  self->gather_pool = ph_buf_pool_new (PH_SESSION_GATHER_LEN, 16);
  g_queue_init (&self->events);
  self->garbage = g_ptr_array_new_with_free_func ((GDestroyNotify)ph_session_stream_free);
  return self;
}

void
ph_session_free (PhSession *self)
{
  if (self == NULL)
    return;
  ph_session_set_pacer (self, NULL);
  ph_pacer_clear (&self->peer_limit);
  for (unsigned i = 0; i < self->outgoing->len; i++)
    ph_outgoing_free (self->outgoing->pdata[i]);
  for (unsigned i = 0; i < self->incoming->len; i++)
    ph_incoming_free (self->incoming->pdata[i]);
  for (unsigned i = 0; i < self->links->len; i++)
    peer_link_free (self->links->pdata[i]);
  g_ptr_array_unref (self->outgoing);
  g_ptr_array_unref (self->incoming);
  g_ptr_array_unref (self->links);
  g_ptr_array_unref (self->garbage);
  g_queue_clear_full (&self->events, event_free);
  ph_buf_pool_unref (self->gather_pool);
  g_free (self->name);
  g_free (self);
}

/* Frees what is over. */
static void
sweep (PhSession *self)
{
  for (unsigned i = self->outgoing->len; i > 0; i--) {
    PhOutgoing *out = self->outgoing->pdata[i - 1];

    if (out->state == PH_OUT_ENDED) {
      g_ptr_array_remove_index (self->outgoing, i - 1);
      ph_outgoing_free (out);
    }
  }
  for (unsigned i = self->incoming->len; i > 0; i--) {
    PhIncoming *in = self->incoming->pdata[i - 1];

    if (in->state == PH_IN_ENDED) {
      g_ptr_array_remove_index (self->incoming, i - 1);
      ph_incoming_free (in);
    }
  }
  g_ptr_array_set_size (self->garbage, 0);
  for (unsigned i = self->links->len; i > 0; i--) {
    PhPeerLink *on = self->links->pdata[i - 1];

    if (on->link == NULL) {
      g_ptr_array_remove_index (self->links, i - 1);
      peer_link_free (on);
    }
  }
}

/* What every public call with a time ends with. */
void
ph_session_settle (PhSession *self, PhTime now)
{
  ph_outgoing_offer_waiting (self, now);
  ph_outgoing_pump (self, now);
  for (unsigned i = 0; i < self->incoming->len; i++)
    ph_incoming_progress (self, now, self->incoming->pdata[i]);
  for (unsigned i = 0; i < self->links->len; i++) {
    PhPeerLink *on = self->links->pdata[i];

    if (on->choked)
      ph_session_link_fail (self, now, on, PH_SESSION_CODE_LIMIT, "control frames are not read");
  }
  sweep (self);
}

/* --- Links -------------------------------------------------------------------------------------- */

/* `link` is not NULL: lost ones are not found. */
static PhPeerLink *
find_link (const PhSession *self, const PhLink *link)
{
  for (unsigned i = 0; i < self->links->len; i++) {
    PhPeerLink *on = self->links->pdata[i];

    if (on->link == link)
      return on;
  }
  return NULL;
}

PhPeerLink *
ph_session_control_link (const PhSession *self)
{
  for (unsigned i = self->links->len; i > 0; i--) {
    PhPeerLink *on = self->links->pdata[i - 1];

    if (on->control >= 0)
      return on;
  }
  return NULL;
}

PhPeerLink *
ph_session_data_link (const PhSession *self)
{
  for (unsigned i = self->links->len; i > 0; i--) {
    PhPeerLink *on = self->links->pdata[i - 1];

    if (on->control >= 0 && on->hello)
      return on;
  }
  return NULL;
}

PhLink *
ph_session_current_link (const PhSession *self)
{
  PhPeerLink *on = ph_session_data_link (self);

  return on != NULL ? on->link : NULL;
}

int64_t
ph_session_open_stream (PhSession *self, PhTime now, PhPeerLink *on)
{
  const int64_t stream = ph_link_open_stream (on->link);

  if (stream < 0)
    self->open_retry = ph_time_min (self->open_retry, ph_time_add (now, PH_SESSION_OPEN_INTERVAL));
  return stream;
}

void
ph_session_add_link (PhSession *self, PhTime now, PhLink *link, bool overtaken)
{
  if (find_link (self, link) != NULL)
    return;

  PhPeerLink *on = g_new0 (PhPeerLink, 1);

  on->link = link;
  on->control = -1;
  on->hello_deadline = ph_time_add (now, PH_SESSION_HELLO_INTERVAL);
  on->streams = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL,
                                       (GDestroyNotify)ph_session_stream_free);
  on->draining = g_array_new (false, false, sizeof (PhDraining));
  g_ptr_array_insert (self->links,
                      overtaken && self->links->len > 0 ? (int)self->links->len - 1 : -1, on);
  for (unsigned i = 0; i < self->outgoing->len; i++)
    ((PhOutgoing *)self->outgoing->pdata[i])->asked = 0;
  for (unsigned i = 0; i < self->incoming->len; i++)
    ((PhIncoming *)self->incoming->pdata[i])->asked = 0;
  ph_session_begin_link (self, now, on);
  ph_session_settle (self, now);
}

void
ph_session_set_peer_takes_early (PhSession *self, bool takes_early)
{
  self->peer_takes_early = takes_early;
}

/* `on` is gone: its streams are over, and what went over it waits. */
static void
lose_link (PhSession *self, PhTime now, PhPeerLink *on)
{
  g_autoptr (GPtrArray) streams = g_hash_table_get_values_as_ptr_array (on->streams);

  on->link = NULL;
  on->control = -1;
  on->hello = false;
  on->choked = false;

  /* Those that held something of an attempt break it, before their transfers are asked. */
  for (unsigned i = 0; i < streams->len; i++) {
    PhPeerStream *stream = streams->pdata[i];

    if (stream->type == PH_STREAM_DATA && stream->transfer != NULL)
      stream->transfer->broken = true;
    ph_session_end_stream (self, stream);
  }
  for (unsigned i = 0; i < self->outgoing->len; i++)
    ph_outgoing_link_lost (self, now, self->outgoing->pdata[i], on);
  for (unsigned i = 0; i < self->incoming->len; i++)
    ph_incoming_link_lost (self, now, self->incoming->pdata[i], on);

  /* Frames under way on it are lost: say again on another link what is so. The peer need not know that it has
   * lost anything: a link that it closes as soon as it has come about never gets as far as its session. */
  PhPeerLink *other = ph_session_control_link (self);

  ph_incoming_say_again (self, now, on, other);
  if (other != NULL) {
    /* Offers that were made on it before do not count for the SYNC that follows. */
    ph_session_send (self, now, other, &(PhFrame){.type = PH_FRAME_SYNC});
    ph_session_say_all (self, now, other);
  }
}

void
ph_session_link_fail (PhSession *self, PhTime now, PhPeerLink *on, PhSessionCode code,
                      const char *reason)
{
  if (on->link == NULL)
    return;

  PhSessionEvent *event = ph_session_event (self, PH_SESSION_EVENT_LINK_ERROR, NULL, false);

  event->link = on->link;
  event->link_code = code;
  event->reason = reason;
  event->by_peer = true;
  ph_session_trace (self, now, "link given up: %s", reason);
  lose_link (self, now, on);
}

/* What was said of a link and not yet taken must not outlive it. */
static void
forget_events (PhSession *self, const PhLink *link)
{
  for (GList *l = self->events.head; l != NULL;) {
    PhSessionEvent *event = l->data;
    GList *next = l->next;

    if (event->link == link && event->type == PH_SESSION_EVENT_LINK_ERROR) {
      g_queue_delete_link (&self->events, l);
      event_free (event);
    } else if (event->link == link) {
      event->link = NULL;
    }
    l = next;
  }
}

void
ph_session_link_closed (PhSession *self, PhTime now, PhLink *link)
{
  PhPeerLink *on = find_link (self, link);

  forget_events (self, link);
  if (on == NULL)
    return;
  ph_session_trace (self, now, "link closed");
  lose_link (self, now, on);
  ph_session_settle (self, now);
}

void
ph_session_handle_link_event (PhSession *self, PhTime now, PhLink *link, const PhLinkEvent *event)
{
  PhPeerLink *on = find_link (self, link);

  if (on == NULL)
    return;

  switch (event->type) {
  case PH_LINK_EVENT_STREAM_DATA:
    ph_session_handle_data (self, now, on, event->stream, &event->data, event->fin);
    break;
  case PH_LINK_EVENT_STREAM_RESET:
    ph_session_handle_reset (self, now, on, event->stream);
    break;
  case PH_LINK_EVENT_CLOSED:
    ph_session_link_closed (self, now, link);
    return;
  case PH_LINK_EVENT_STREAM_OPENED:
    ph_session_open_peer_stream (self, now, on, event->stream);
    break;
  case PH_LINK_EVENT_READY:
  case PH_LINK_EVENT_DRAINED: /* settling sends more */
    break;
  }
  ph_session_settle (self, now);
}

/* What came or went before an answer is no reason to keep a link: it is small, and sent again. */
bool
ph_session_link_idle (const PhSession *self, const PhLink *link)
{
  PhPeerLink *on = find_link (self, link);

  if (on == NULL)
    return true;
  for (unsigned i = 0; i < self->outgoing->len; i++) {
    PhOutgoing *out = self->outgoing->pdata[i];

    if ((out->on == on && out->stream >= 0 && !out->early) || out->manifest_on == on)
      return false;
  }
  for (unsigned i = 0; i < on->draining->len; i++) {
    if (ph_link_stream_queued (link, g_array_index (on->draining, PhDraining, i).stream) > 0)
      return false;
  }

  GHashTableIter iter;
  PhPeerStream *stream;

  g_hash_table_iter_init (&iter, on->streams);
  while (g_hash_table_iter_next (&iter, NULL, (void **)&stream)) {
    if (stream != on->peer_control && !ph_incoming_is_early (stream))
      return false;
  }
  return on->control < 0 || ph_link_stream_queued (link, on->control) == 0;
}

bool
ph_session_link_replaced (const PhSession *self, const PhLink *link)
{
  const PhPeerLink *current = ph_session_data_link (self);

  if (current == NULL)
    return false;
  for (unsigned i = 0; self->links->pdata[i] != current; i++) {
    if (((PhPeerLink *)self->links->pdata[i])->link == link)
      return ph_session_link_idle (self, link);
  }
  return false;
}

bool
ph_session_send_signal (PhSession *self, PhTime now, PhSlice signal)
{
  PhPeerLink *on = ph_session_data_link (self);

  if (on == NULL || signal.len > PH_FRAME_SIGNAL_MAX)
    return false;
  ph_session_send (self, now, on, &(PhFrame){.type = PH_FRAME_SIGNAL, .signal = signal});

  const bool sent = on->link != NULL;

  ph_session_settle (self, now);
  return sent;
}

/* --- Deadlines ---------------------------------------------------------------------------------- */

PhTime
ph_session_next_timeout (const PhSession *self, const char **ret_why)
{
  PhTime when = self->open_retry;
  const char *why = "open a stream";

  for (unsigned i = 0; i < self->links->len; i++) {
    const PhPeerLink *on = self->links->pdata[i];

    if (!on->hello && on->hello_deadline < when) {
      when = on->hello_deadline;
      why = "hello";
    }
  }
  for (unsigned i = 0; i < self->outgoing->len; i++) {
    const PhOutgoing *out = self->outgoing->pdata[i];

    if (out->state == PH_OUT_WAITING && out->not_before > 0 && out->not_before < when
        && ph_session_control_link (self) != NULL) {
      when = out->not_before;
      why = "offer again";
    }
  }
  for (unsigned i = 0; i < self->incoming->len; i++) {
    const PhIncoming *in = self->incoming->pdata[i];

    if (in->progress_dirty && in->progress_due < when) {
      when = in->progress_due;
      why = "progress";
    }
  }
  if (self->paced) {
    PhTime next = ph_pacer_next (&self->peer_limit);

    if (self->pacer != NULL)
      next = MAX (next, ph_pacer_next (self->pacer));
    if (next < when) {
      when = next;
      why = "speed limit";
    }
  }
  if (ret_why != NULL)
    *ret_why = why;
  return when;
}

void
ph_session_handle_timeout (PhSession *self, PhTime now)
{
  for (unsigned i = 0; i < self->links->len; i++) {
    PhPeerLink *on = self->links->pdata[i];

    if (on->link != NULL && !on->hello && on->hello_deadline <= now)
      ph_session_link_fail (self, now, on, PH_SESSION_CODE_SILENT, "no hello");
  }
  if (self->open_retry <= now) {
    self->open_retry = PH_NEVER;
    for (unsigned i = 0; i < self->links->len; i++) {
      PhPeerLink *on = self->links->pdata[i];

      if (on->link != NULL && on->control < 0)
        ph_session_begin_link (self, now, on);
    }
  }
  ph_session_settle (self, now);
}
