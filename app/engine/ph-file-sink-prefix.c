/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Beside the writer: what an earlier run left of the current file is read again, and compared with what was
 * hashed then. The rest is written meanwhile, as if it were right. */

#include "config.h"

#include "app/engine/ph-file-sink-private.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* One read. */
#define READ_BYTES (512u << 10)

static bool
is_stopped (PhFileSink *self)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  return self->prefix_stop || self->quit;
}

/* Whether the first prefix_len bytes are those that were hashed. READING: it was stopped. */
static PhSinkPrefix
compare (PhFileSink *self)
{
  g_autofree uint8_t *buf = g_malloc (READ_BYTES);
  uint8_t here[SHA256_DIGEST_SIZE];
  struct sha256_ctx sha;

  sha256_init (&sha);
  for (uint64_t at = 0; at < self->prefix_len;) {
    const ssize_t n =
        pread (self->prefix_fd, buf, MIN (READ_BYTES, self->prefix_len - at), (off_t)at);

    if (n < 0 && errno == EINTR)
      continue;
    if (is_stopped (self))
      return PH_SINK_PREFIX_READING;
    if (n <= 0)
      return PH_SINK_PREFIX_WRONG;
    sha256_update (&sha, (size_t)n, buf);
    at += (uint64_t)n;
  }
  sha256_digest (&sha, sizeof here, here);
  return memcmp (here, self->prefix_sha256, sizeof here) == 0 ? PH_SINK_PREFIX_RIGHT
                                                              : PH_SINK_PREFIX_WRONG;
}

static gpointer
prefix_thread (gpointer data)
{
  PhFileSink *self = data;
  const PhSinkPrefix found = compare (self);

  g_mutex_lock (&self->lock);
  self->prefix = found;
  g_cond_broadcast (&self->work);
  g_mutex_unlock (&self->lock);
  return NULL;
}

bool
ph_file_sink_prefix_start (PhFileSink *self, int fd)
{
  self->prefix_fd = fcntl (fd, F_DUPFD_CLOEXEC, 0);
  if (self->prefix_fd < 0)
    return false;
  self->prefix_len = self->offset;
  ph_sha256_peek (&self->sha, self->prefix_sha256);
  self->prefix_stop = false;
  self->prefix = PH_SINK_PREFIX_READING;
  self->prefix_reader = g_thread_new ("ph-prefix", prefix_thread, self);
  return true;
}

void
ph_file_sink_prefix_end (PhFileSink *self)
{
  if (self->prefix_reader == NULL)
    return;
  g_mutex_lock (&self->lock);
  self->prefix_stop = true;
  g_mutex_unlock (&self->lock);
  g_thread_join (g_steal_pointer (&self->prefix_reader));
  close (self->prefix_fd);
  self->prefix = PH_SINK_PREFIX_NONE;
}

PhSinkPrefix
ph_file_sink_prefix_take (PhFileSink *self, bool wait)
{
  PhSinkPrefix prefix;

  g_mutex_lock (&self->lock);
  while (wait && self->prefix == PH_SINK_PREFIX_READING && !self->quit)
    g_cond_wait (&self->work, &self->lock);
  prefix = self->prefix;
  g_mutex_unlock (&self->lock);
  if (prefix == PH_SINK_PREFIX_RIGHT || prefix == PH_SINK_PREFIX_WRONG)
    ph_file_sink_prefix_end (self);
  return prefix;
}
