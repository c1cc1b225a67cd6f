/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/rendezvous/ph-bounded-stream.h"

/* --- The input half ----------------------------------------------------------------------------- */

#define PH_TYPE_BOUNDED_INPUT (ph_bounded_input_get_type ())
G_DECLARE_FINAL_TYPE (PhBoundedInput, ph_bounded_input, PH, BOUNDED_INPUT, GFilterInputStream)

struct _PhBoundedInput {
  GFilterInputStream parent_instance;
  gsize budget;
  gsize left;
};

static void ph_bounded_input_pollable_init (GPollableInputStreamInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (PhBoundedInput, ph_bounded_input, G_TYPE_FILTER_INPUT_STREAM,
                               G_IMPLEMENT_INTERFACE (G_TYPE_POLLABLE_INPUT_STREAM,
                                                      ph_bounded_input_pollable_init))

static GInputStream *
base_of (void *self)
{
  return g_filter_input_stream_get_base_stream (G_FILTER_INPUT_STREAM (self));
}

static gboolean
check_budget (PhBoundedInput *self, GError **error)
{
  if (self->left > 0)
    return TRUE;
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE, "too much in one message");
  return FALSE;
}

static gssize
take (PhBoundedInput *self, gssize n)
{
  if (n > 0)
    self->left -= MIN ((gsize)n, self->left);
  return n;
}

static gssize
ph_bounded_input_read (GInputStream *stream, void *buffer, gsize count, GCancellable *cancellable,
                       GError **error)
{
  PhBoundedInput *self = PH_BOUNDED_INPUT (stream);

  if (!check_budget (self, error))
    return -1;
  return take (self, g_input_stream_read (base_of (self), buffer, MIN (count, self->left),
                                          cancellable, error));
}

static gssize
ph_bounded_input_read_nonblocking (GPollableInputStream *stream, void *buffer, gsize count,
                                   GError **error)
{
  PhBoundedInput *self = PH_BOUNDED_INPUT (stream);

  if (!check_budget (self, error))
    return -1;
  return take (self, g_pollable_input_stream_read_nonblocking (
                         G_POLLABLE_INPUT_STREAM (base_of (self)), buffer, MIN (count, self->left),
                         NULL, error));
}

static gboolean
ph_bounded_input_can_poll (GPollableInputStream *stream)
{
  return G_IS_POLLABLE_INPUT_STREAM (base_of (stream))
         && g_pollable_input_stream_can_poll (G_POLLABLE_INPUT_STREAM (base_of (stream)));
}

static gboolean
ph_bounded_input_is_readable (GPollableInputStream *stream)
{
  return PH_BOUNDED_INPUT (stream)->left == 0
         || g_pollable_input_stream_is_readable (G_POLLABLE_INPUT_STREAM (base_of (stream)));
}

static GSource *
ph_bounded_input_create_source (GPollableInputStream *stream, GCancellable *cancellable)
{
  g_autoptr (GSource) base =
      g_pollable_input_stream_create_source (G_POLLABLE_INPUT_STREAM (base_of (stream)), NULL);

  return g_pollable_source_new_full (stream, base, cancellable);
}

static void
ph_bounded_input_pollable_init (GPollableInputStreamInterface *iface)
{
  iface->can_poll = ph_bounded_input_can_poll;
  iface->is_readable = ph_bounded_input_is_readable;
  iface->create_source = ph_bounded_input_create_source;
  iface->read_nonblocking = ph_bounded_input_read_nonblocking;
}

static void
ph_bounded_input_class_init (PhBoundedInputClass *klass)
{
  G_INPUT_STREAM_CLASS (klass)->read_fn = ph_bounded_input_read;
}

static void
ph_bounded_input_init (PhBoundedInput *self)
{
}

/* --- The stream --------------------------------------------------------------------------------- */

struct _PhBoundedStream {
  GIOStream parent_instance;
  GIOStream *base; /* owned */
  PhBoundedInput *input; /* owned */
};

G_DEFINE_FINAL_TYPE (PhBoundedStream, ph_bounded_stream, G_TYPE_IO_STREAM)

static GInputStream *
ph_bounded_stream_get_input_stream (GIOStream *stream)
{
  return G_INPUT_STREAM (PH_BOUNDED_STREAM (stream)->input);
}

static GOutputStream *
ph_bounded_stream_get_output_stream (GIOStream *stream)
{
  return g_io_stream_get_output_stream (PH_BOUNDED_STREAM (stream)->base);
}

static gboolean
ph_bounded_stream_close (GIOStream *stream, GCancellable *cancellable, GError **error)
{
  return g_io_stream_close (PH_BOUNDED_STREAM (stream)->base, cancellable, error);
}

static void
on_base_closed (GObject *source, GAsyncResult *result, void *user)
{
  g_autoptr (GTask) task = user;
  GError *error = NULL;

  if (g_io_stream_close_finish (G_IO_STREAM (source), result, &error))
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

static void
ph_bounded_stream_close_async (GIOStream *stream, int priority, GCancellable *cancellable,
                               GAsyncReadyCallback callback, void *user)
{
  GTask *task = g_task_new (stream, cancellable, callback, user);

  g_io_stream_close_async (PH_BOUNDED_STREAM (stream)->base, priority, cancellable, on_base_closed,
                           task);
}

static gboolean
ph_bounded_stream_close_finish (GIOStream *stream, GAsyncResult *result, GError **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}

static void
ph_bounded_stream_finalize (GObject *object)
{
  PhBoundedStream *self = PH_BOUNDED_STREAM (object);

  g_clear_object (&self->input);
  g_clear_object (&self->base);
  G_OBJECT_CLASS (ph_bounded_stream_parent_class)->finalize (object);
}

static void
ph_bounded_stream_class_init (PhBoundedStreamClass *klass)
{
  GIOStreamClass *stream_class = G_IO_STREAM_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = ph_bounded_stream_finalize;
  stream_class->get_input_stream = ph_bounded_stream_get_input_stream;
  stream_class->get_output_stream = ph_bounded_stream_get_output_stream;
  stream_class->close_fn = ph_bounded_stream_close;
  stream_class->close_async = ph_bounded_stream_close_async;
  stream_class->close_finish = ph_bounded_stream_close_finish;
}

static void
ph_bounded_stream_init (PhBoundedStream *self)
{
}

PhBoundedStream *
ph_bounded_stream_new (GIOStream *base, gsize budget)
{
  PhBoundedStream *self = g_object_new (PH_TYPE_BOUNDED_STREAM, NULL);

  self->base = g_object_ref (base);
  self->input =
      g_object_new (PH_TYPE_BOUNDED_INPUT, "base-stream", g_io_stream_get_input_stream (base),
                    "close-base-stream", FALSE, NULL);
  self->input->budget = budget;
  self->input->left = budget;
  return self;
}

gsize
ph_bounded_stream_grant (PhBoundedStream *self)
{
  const gsize used = self->input->budget - self->input->left;

  self->input->left = self->input->budget;
  return used;
}
