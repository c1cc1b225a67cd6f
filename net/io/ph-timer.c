/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/io/ph-timer.h"

#include "net/io/ph-clock.h"

#include <errno.h>
#include <glib-unix.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct _PhTimer {
  GSource *source;
  int fd;
  PhTime deadline; /* wanted */
  PhTime armed; /* what the kernel was told; may be earlier than wanted */
  PhTimerFunc fire;
  void *user;
};

typedef struct {
  GSource source;
  PhTimer *timer; /* borrowed; NULL once freed */
} TimerSource;

static void
tell_kernel (PhTimer *self, PhTime when)
{
  struct itimerspec spec = {0};
  int r;

  if (when != PH_NEVER) {
    spec.it_value.tv_sec = (time_t)(when / PH_SEC);
    spec.it_value.tv_nsec = (long)(when % PH_SEC);
    /* All zero would disarm. */
    if (when == 0)
      spec.it_value.tv_nsec = 1;
  }
  r = timerfd_settime (self->fd, TFD_TIMER_ABSTIME, &spec, NULL);
  g_assert (r == 0);
  self->armed = when;
}

static gboolean
timer_dispatch (GSource *source, GSourceFunc unused, gpointer unused_data)
{
  PhTimer *self = ((TimerSource *)source)->timer;
  PhTime now = ph_clock_now ();
  uint64_t expirations;

  if (self == NULL)
    return G_SOURCE_REMOVE;
  if (read (self->fd, &expirations, sizeof expirations) < 0)
    g_assert (errno == EAGAIN || errno == EINTR || errno == ECANCELED);

  self->armed = PH_NEVER; /* a timerfd without an interval fires once */
  if (self->deadline > now) {
    if (self->deadline != PH_NEVER)
      tell_kernel (self, self->deadline);
    return G_SOURCE_CONTINUE;
  }
  self->deadline = PH_NEVER;
  self->fire (self->user, now);
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs timer_funcs = {.dispatch = timer_dispatch};

PhTimer *
ph_timer_new (GMainContext *context, PhTimerFunc fire, void *user)
{
  PhTimer *self = g_new0 (PhTimer, 1);

  self->fd = timerfd_create (CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
  if (self->fd < 0)
    g_error ("no timer: %s", g_strerror (errno));
  self->deadline = PH_NEVER;
  self->armed = PH_NEVER;
  self->fire = fire;
  self->user = user;

  self->source = g_source_new (&timer_funcs, sizeof (TimerSource));
  ((TimerSource *)self->source)->timer = self;
  g_source_set_static_name (self->source, "porthole timer");
  g_source_add_unix_fd (self->source, self->fd, G_IO_IN);
  g_source_attach (self->source, context);
  return self;
}

void
ph_timer_free (PhTimer *self)
{
  if (self == NULL)
    return;
  ((TimerSource *)self->source)->timer = NULL;
  g_source_destroy (self->source);
  g_source_unref (self->source);
  close (self->fd);
  g_free (self);
}

void
ph_timer_arm (PhTimer *self, PhTime deadline)
{
  self->deadline = deadline;
  /* An early wake-up notices that it is early and tells the kernel the rest; so a deadline that is
   * moved back with every packet costs one system call per wake-up, not one per packet. */
  if (deadline < self->armed)
    tell_kernel (self, deadline);
}

PhTime
ph_timer_deadline (const PhTimer *self)
{
  return self->deadline;
}
