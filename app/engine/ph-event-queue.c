/* SPDX-License-Identifier: GPL-3.0-or-later */

#define G_LOG_DOMAIN "porthole"

#include "app/engine/ph-event-queue.h"

/* An event with its own copies of all it points to. */
typedef struct {
  PhEvent event;
  GStringChunk *strings;
  GPtrArray *names;
  GError *error;
} Held;

struct _PhEventQueue {
  gatomicrefcount refs; /* the owner's, and that of a delivery under way */
  bool closed; /* receiving thread only */
  PhEventFunc func;
  gpointer user_data;
  GMainContext *context;

  GMutex lock;
  GQueue waiting; /* Held, owned */
  GHashTable *transfers; /* id -> Held that waits, borrowed */
  GSource *source; /* pending, owned; NULL: none */
};

static void
held_free (Held *self)
{
  g_string_chunk_free (self->strings);
  g_clear_pointer (&self->names, g_ptr_array_unref);
  g_clear_error (&self->error);
  g_free (self);
}

static const char *
keep (Held *self, const char *text)
{
  return g_string_chunk_insert (self->strings, text != NULL ? text : "");
}

static void
keep_transfer (Held *self, const PhTransferView *from)
{
  PhTransferView *view = &self->event.transfer;
  const char **texts[] = {
      &view->id,          &view->contact,    &view->contact_name, &view->folder,
      &view->path,        &view->best_path,  &view->transport,    &view->local_kind,
      &view->remote_kind, &view->local_addr, &view->remote_addr,  &view->code,
      &view->message,
  };

  for (size_t i = 0; i < G_N_ELEMENTS (texts); i++)
    *texts[i] = keep (self, *texts[i]);

  self->names = g_ptr_array_new ();
  for (size_t i = 0; from->names != NULL && from->names[i] != NULL; i++)
    g_ptr_array_add (self->names, (gpointer)keep (self, from->names[i]));
  g_ptr_array_add (self->names, NULL);
  view->names = (const char *const *)self->names->pdata;
}

static Held *
held_new (const PhEvent *event)
{
  Held *self = g_new0 (Held, 1);

  self->event = *event;
  self->strings = g_string_chunk_new (256);
  self->event.text = keep (self, event->text);
  if (event->error != NULL)
    self->error = g_error_copy (event->error);
  self->event.error = self->error;

  self->event.status.rendezvous = keep (self, event->status.rendezvous);
  self->event.status.reason = keep (self, event->status.reason);
  self->event.contact.id = keep (self, event->contact.id);
  self->event.contact.name = keep (self, event->contact.name);
  self->event.setting.key = keep (self, event->setting.key);
  self->event.setting.value = keep (self, event->setting.value);
  self->event.file.path = keep (self, event->file.path);
  self->event.file.sent_as = keep (self, event->file.sent_as);
  self->event.file.sha256 = keep (self, event->file.sha256);
  keep_transfer (self, &event->transfer);
  return self;
}

static void
unref (PhEventQueue *self)
{
  if (!g_atomic_ref_count_dec (&self->refs))
    return;
  g_hash_table_unref (self->transfers);
  g_queue_clear_full (&self->waiting, (GDestroyNotify)held_free);
  g_main_context_unref (self->context);
  g_mutex_clear (&self->lock);
  g_free (self);
}

static gboolean
deliver (gpointer user_data)
{
  PhEventQueue *self = user_data;
  GQueue batch;

  g_atomic_ref_count_inc (&self->refs);

  /* A batch, not "until empty": a busy engine must not keep the receiver's loop. */
  g_mutex_lock (&self->lock);
  batch = self->waiting;
  g_queue_init (&self->waiting);
  g_hash_table_remove_all (self->transfers);
  g_clear_pointer (&self->source, g_source_unref);
  g_mutex_unlock (&self->lock);

  for (Held *held; (held = g_queue_pop_head (&batch)) != NULL;) {
    if (!self->closed)
      self->func (&held->event, self->user_data);
    held_free (held);
  }
  unref (self);
  return G_SOURCE_REMOVE;
}

PhEventQueue *
ph_event_queue_new (PhEventFunc func, gpointer user_data)
{
  PhEventQueue *self = g_new0 (PhEventQueue, 1);

  g_atomic_ref_count_init (&self->refs);
  self->func = func;
  self->user_data = user_data;
  self->context = g_main_context_ref_thread_default ();
  self->transfers = g_hash_table_new (g_str_hash, g_str_equal);
  g_queue_init (&self->waiting);
  g_mutex_init (&self->lock);
  return self;
}

void
ph_event_queue_free (PhEventQueue *self)
{
  self->closed = true;
  if (self->source != NULL) {
    g_source_destroy (self->source);
    g_clear_pointer (&self->source, g_source_unref);
  }
  unref (self);
}

void
ph_event_queue_push (PhEventQueue *self, const PhEvent *event)
{
  Held *held = held_new (event);

  g_mutex_lock (&self->lock);
  /* The snapshots of a start stay between what was told before and LOADED. */
  if (event->type == PH_EVENT_TRANSFER && event->listener == 0) {
    Held *waiting = g_hash_table_lookup (self->transfers, held->event.transfer.id);

    if (waiting != NULL) {
      Held older = *waiting;

      g_hash_table_remove (self->transfers, older.event.transfer.id);
      *waiting = *held;
      *held = older;
      g_hash_table_insert (self->transfers, (gpointer)waiting->event.transfer.id, waiting);
      g_mutex_unlock (&self->lock);
      held_free (held);
      return;
    }
    g_hash_table_insert (self->transfers, (gpointer)held->event.transfer.id, held);
  }
  g_queue_push_tail (&self->waiting, held);
  if (self->source == NULL) {
    self->source = g_idle_source_new ();
    g_source_set_priority (self->source, G_PRIORITY_DEFAULT);
    g_source_set_callback (self->source, deliver, self, NULL);
    g_source_attach (self->source, self->context);
  }
  g_mutex_unlock (&self->lock);
}
