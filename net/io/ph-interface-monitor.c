/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/io/ph-interfaces.h"

#include <errno.h>
#include <glib-unix.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

/* Plugging a cable in makes a dozen messages within some 100 ms: quiet for this long ends them. */
#define QUIET_MS 200
/* But on a network that never rests the owner hears after this long. */
#define DELAY_MS_MAX 1000

struct _PhInterfaceMonitor {
  int fd;
  GMainContext *context; /* NULL: the default one */
  GSource *messages;
  GSource *delay; /* while a change waits to be told */
  gint64 first_us; /* when the first of the changes that wait came */
  PhInterfacesChangedFunc changed;
  void *user;
};

static gboolean
tell (gpointer user)
{
  PhInterfaceMonitor *self = user;

  g_clear_pointer (&self->delay, g_source_unref);
  self->changed (self->user);
  return G_SOURCE_REMOVE;
}

static void
note_change (PhInterfaceMonitor *self)
{
  gint64 now = g_get_monotonic_time ();
  gint64 when = now + QUIET_MS * 1000;

  if (self->delay == NULL) {
    self->first_us = now;
    self->delay = g_timeout_source_new (QUIET_MS);
    g_source_set_callback (self->delay, tell, self, NULL);
    g_source_attach (self->delay, self->context);
  }
  g_source_set_ready_time (self->delay, MIN (when, self->first_us + DELAY_MS_MAX * 1000));
}

/* What the messages say does not matter: the owner lists everything again. */
static gboolean
messages_ready (int fd, GIOCondition condition, gpointer user)
{
  PhInterfaceMonitor *self = user;
  uint8_t bytes[8192];

  for (;;) {
    ssize_t n = recv (fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_TRUNC);

    if (n < 0 && errno == EINTR)
      continue;
    /* ENOBUFS: messages were lost, so something changed. */
    if (n < 0 && errno != ENOBUFS)
      break;
    note_change (self);
  }
  return G_SOURCE_CONTINUE;
}

PhInterfaceMonitor *
ph_interface_monitor_new (GMainContext *context, PhInterfacesChangedFunc changed, void *user,
                          GError **error)
{
  struct sockaddr_nl name = {
      .nl_family = AF_NETLINK,
      .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE
                   | RTMGRP_IPV6_ROUTE,
  };
  PhInterfaceMonitor *self;
  int fd = socket (AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);

  if (fd < 0 || bind (fd, (struct sockaddr *)&name, sizeof name) != 0) {
    int err = errno;

    g_set_error (error, G_IO_ERROR, (int)g_io_error_from_errno (err), "netlink: %s",
                 g_strerror (err));
    if (fd >= 0)
      close (fd);
    return NULL;
  }

  self = g_new0 (PhInterfaceMonitor, 1);
  self->fd = fd;
  self->context = context != NULL ? g_main_context_ref (context) : NULL;
  self->changed = changed;
  self->user = user;
  self->messages = g_unix_fd_source_new (fd, G_IO_IN);
  g_source_set_callback (self->messages, G_SOURCE_FUNC (messages_ready), self, NULL);
  g_source_attach (self->messages, context);
  return self;
}

void
ph_interface_monitor_free (PhInterfaceMonitor *self)
{
  if (self == NULL)
    return;
  g_source_destroy (self->messages);
  g_source_unref (self->messages);
  if (self->delay != NULL)
    g_source_destroy (self->delay);
  g_clear_pointer (&self->delay, g_source_unref);
  g_clear_pointer (&self->context, g_main_context_unref);
  close (self->fd);
  g_free (self);
}
