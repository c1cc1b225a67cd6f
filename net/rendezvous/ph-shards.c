/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/rendezvous/ph-shards.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Descriptors taken from the kernel at once. What is left is there in the next round. */
#define EVENTS_MAX 64
/* Of a shard: one for each member, one to wake the context, and room for more. */
#define FDS_EXPECTED (PH_SHARD_MEMBERS_MAX + 4)

/* What poll() and epoll call the same. */
G_STATIC_ASSERT ((int)G_IO_IN == (int)EPOLLIN);
G_STATIC_ASSERT ((int)G_IO_OUT == (int)EPOLLOUT);
G_STATIC_ASSERT ((int)G_IO_PRI == (int)EPOLLPRI);
G_STATIC_ASSERT ((int)G_IO_ERR == (int)EPOLLERR);
G_STATIC_ASSERT ((int)G_IO_HUP == (int)EPOLLHUP);

struct _PhShard {
  PhShards *shards; /* borrowed; NULL once that is freed */
  GMainContext *context; /* owned, and acquired by our thread */
  int wake_fd; /* the context's own, by which other threads wake it; borrowed */
  GPollFD *fds; /* what the kernel watches for it, as the context has asked */
  unsigned n_fds;
  int priority; /* from g_main_context_prepare(), for _check() */
  unsigned members;
  unsigned depth; /* how often it has been entered */
  gint64 due; /* monotonic time of its next timer; G_MAXINT64: none */
  bool is_queued; /* in shards->queue */
};

struct _PhShards {
  GSource *source; /* owned */
  int epoll;
  GPtrArray *all; /* of PhShard, owned */
  GPtrArray *roomy; /* of PhShard, borrowed: those that are not full */
  GPtrArray
      *watchers; /* by descriptor: the PhShard that the kernel watches it for, borrowed, or NULL */
  GQueue queue; /* of PhShard that have something to do, borrowed */
  gint64 due; /* no shard is due earlier */
  GPollFD *fds; /* scratch */
  unsigned n_fds;
};

typedef struct {
  GSource source;
  PhShards *shards; /* borrowed */
} ShardsSource;

/* --- What the kernel watches -------------------------------------------------------------------- */

static PhShard *
watcher (const PhShards *self, int fd)
{
  return (unsigned)fd < self->watchers->len ? g_ptr_array_index (self->watchers, fd) : NULL;
}

static void
set_watcher (PhShards *self, int fd, PhShard *shard)
{
  if ((unsigned)fd >= self->watchers->len)
    g_ptr_array_set_size (self->watchers, fd + 1);
  g_ptr_array_index (self->watchers, fd) = shard;
}

static GPollFD *
find_fd (GPollFD *fds, unsigned n, int fd)
{
  for (unsigned i = 0; i < n; i++)
    if (fds[i].fd == fd)
      return &fds[i];
  return NULL;
}

static void
watch (PhShards *self, PhShard *shard, const GPollFD *fd)
{
  struct epoll_event event = {.events = fd->events, .data.fd = fd->fd};
  const bool known = watcher (self, fd->fd) == shard;

  /* The kernel forgets a descriptor by itself that is closed, so what we know need not be what it knows. */
  if (epoll_ctl (self->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd->fd, &event) != 0
      && epoll_ctl (self->epoll, errno == EEXIST ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd->fd, &event)
             != 0)
    g_error ("the kernel does not watch another descriptor: %s", g_strerror (errno));
  set_watcher (self, fd->fd, shard);
}

static void
unwatch (PhShards *self, PhShard *shard, int fd)
{
  if (watcher (self, fd) != shard)
    return;
  epoll_ctl (self->epoll, EPOLL_CTL_DEL, fd, NULL); /* fails if it is closed */
  set_watcher (self, fd, NULL);
}

/* What the number stood for is closed, and so the kernel has forgotten it. */
static void
forget_number (PhShards *self, int fd)
{
  PhShard *shard = watcher (self, fd);
  unsigned n = 0;

  if (shard == NULL)
    return;
  for (unsigned i = 0; i < shard->n_fds; i++)
    if (shard->fds[i].fd != fd)
      shard->fds[n++] = shard->fds[i];
  shard->n_fds = n;
  set_watcher (self, fd, NULL);
}

/* Has the kernel watch what is in the scratch array. */
static void
watch_all (PhShards *self, PhShard *shard, unsigned n)
{
  GPollFD *fds = self->fds;

  for (unsigned i = 0; i < shard->n_fds; i++)
    if (find_fd (fds, n, shard->fds[i].fd) == NULL)
      unwatch (self, shard, shard->fds[i].fd);
  for (unsigned i = 0; i < n; i++) {
    const GPollFD *old = find_fd (shard->fds, shard->n_fds, fds[i].fd);

    if (old == NULL || old->events != fds[i].events || watcher (self, fds[i].fd) != shard)
      watch (self, shard, &fds[i]);
  }
  shard->fds = g_renew (GPollFD, shard->fds, n);
  shard->n_fds = n;
  if (n > 0)
    memcpy (shard->fds, fds, n * sizeof *fds);
}

/* --- When a shard runs -------------------------------------------------------------------------- */

static void
queue (PhShards *self, PhShard *shard)
{
  if (shard->is_queued)
    return;
  shard->is_queued = true;
  g_queue_push_tail (&self->queue, shard);
}

static void
set_due (PhShards *self, gint64 due)
{
  self->due = due;
  g_source_set_ready_time (self->source, self->queue.length > 0 ? 0 : due == G_MAXINT64 ? -1 : due);
}

/* Asks the context what it would wait for by itself, into the scratch array. */
static unsigned
ask (PhShards *self, PhShard *shard, int *ret_timeout_ms)
{
  int n;

  g_main_context_prepare (shard->context, &shard->priority);
  while ((n = g_main_context_query (shard->context, shard->priority, ret_timeout_ms, self->fds,
                                    (int)self->n_fds))
         > (int)self->n_fds) {
    self->n_fds = (unsigned)n;
    self->fds = g_renew (GPollFD, self->fds, self->n_fds);
  }
  return (unsigned)n;
}

/* GLib wakes a context whenever a descriptor of it comes or goes, even for the thread that runs it. Whatever woke it until
 * here is seen when it is asked next; left alone, each run would cause another. */
static void
forget_wakes (const PhShard *shard)
{
  char buffer[16]; /* as GLib does it: more than the eight bytes of an eventfd */

  while (read (shard->wake_fd, buffer, sizeof buffer) == sizeof buffer)
    ;
}

/* Has the kernel and our timer wait for what the context waits for. */
static void
settle (PhShard *shard)
{
  PhShards *self = shard->shards;
  int timeout_ms;
  unsigned n;

  forget_wakes (shard);
  n = ask (self, shard, &timeout_ms);
  if (n != shard->n_fds || memcmp (shard->fds, self->fds, n * sizeof *self->fds) != 0)
    watch_all (self, shard, n);
  if (timeout_ms == 0) {
    queue (self, shard); /* behind whoever waits already */
    set_due (self, self->due);
    return;
  }
  shard->due = timeout_ms < 0 ? G_MAXINT64 : g_get_monotonic_time () + (gint64)timeout_ms * 1000;
  if (shard->due < self->due)
    set_due (self, shard->due);
}

/* What is left of an iteration of the context when it has been settled and the kernel has told of its descriptors. */
static void
run (PhShard *shard)
{
  ph_shard_enter (shard);
  if (g_main_context_check (shard->context, shard->priority, shard->fds, (int)shard->n_fds))
    g_main_context_dispatch (shard->context);
  for (unsigned i = 0; i < shard->n_fds; i++)
    shard->fds[i].revents = 0;
  ph_shard_exit (shard);
}

/* A shard that is settled before it runs loses what is noted here; the kernel tells it again. */
static void
queue_woken (PhShards *self)
{
  struct epoll_event events[EVENTS_MAX];
  const int n = epoll_wait (self->epoll, events, EVENTS_MAX, 0);

  for (int i = 0; i < n; i++) {
    PhShard *shard = watcher (self, events[i].data.fd);
    GPollFD *fd = shard != NULL ? find_fd (shard->fds, shard->n_fds, events[i].data.fd) : NULL;

    if (fd == NULL)
      continue;
    fd->revents = (gushort)events[i].events;
    queue (self, shard);
  }
}

static void
queue_due (PhShards *self)
{
  const gint64 now = g_get_monotonic_time ();

  if (now < self->due)
    return;
  self->due = G_MAXINT64;
  for (unsigned i = 0; i < self->all->len; i++) {
    PhShard *shard = g_ptr_array_index (self->all, i);

    if (shard->due <= now)
      queue (self, shard);
    else
      self->due = MIN (self->due, shard->due);
  }
}

static gboolean
on_shards (GSource *source, GSourceFunc unused, void *unused_user)
{
  PhShards *self = ((ShardsSource *)source)->shards;

  queue_woken (self);
  queue_due (self);
  for (unsigned n = self->queue.length; n > 0; n--) {
    PhShard *shard = g_queue_pop_head (&self->queue);

    shard->is_queued = false;
    run (shard);
  }
  set_due (self, self->due);
  return G_SOURCE_CONTINUE;
}

/* --- Shards ------------------------------------------------------------------------------------- */

static PhShard *
shard_new (PhShards *self)
{
  PhShard *shard = g_new0 (PhShard, 1);
  int timeout_ms;

  shard->shards = self;
  shard->context = g_main_context_new ();
  shard->due = G_MAXINT64;
  /* For ever: a thread that returns a task wakes only a context that somebody has. */
  if (!g_main_context_acquire (shard->context))
    g_assert_not_reached ();
  /* Without a source it waits to be woken and for nothing else. */
  if (ask (self, shard, &timeout_ms) != 1)
    g_assert_not_reached ();
  shard->wake_fd = self->fds[0].fd;
  g_ptr_array_add (self->all, shard);
  g_ptr_array_add (self->roomy, shard);
  return shard;
}

static void
shard_abandon (void *data)
{
  PhShard *shard = data;

  g_assert (shard->depth == 0);
  shard->shards = NULL;
  g_main_context_release (shard->context);
  g_clear_pointer (&shard->context, g_main_context_unref);
  g_clear_pointer (&shard->fds, g_free);
  if (shard->members == 0)
    g_free (shard);
}

PhShard *
ph_shards_join (PhShards *self, int fd)
{
  PhShard *shard = self->roomy->len > 0 ? g_ptr_array_index (self->roomy, self->roomy->len - 1)
                                        : shard_new (self);

  if (++shard->members == PH_SHARD_MEMBERS_MAX)
    g_ptr_array_set_size (self->roomy, (int)self->roomy->len - 1);
  forget_number (self, fd);
  return shard;
}

void
ph_shard_leave (PhShard *shard)
{
  g_assert (shard->members > 0);
  shard->members--;
  if (shard->shards == NULL) {
    if (shard->members == 0)
      g_free (shard);
  } else if (shard->members == PH_SHARD_MEMBERS_MAX - 1) {
    g_ptr_array_add (shard->shards->roomy, shard);
  }
}

void
ph_shard_enter (PhShard *shard)
{
  shard->depth++;
  g_main_context_push_thread_default (shard->context);
}

void
ph_shard_exit (PhShard *shard)
{
  g_assert (shard->depth > 0);
  g_main_context_pop_thread_default (shard->context);
  if (--shard->depth == 0)
    settle (shard);
}

/* ------------------------------------------------------------------------------------------------ */

static GSourceFuncs shards_funcs = {.dispatch = on_shards};

PhShards *
ph_shards_new (void)
{
  PhShards *self = g_new0 (PhShards, 1);

  self->epoll = epoll_create1 (EPOLL_CLOEXEC);
  if (self->epoll < 0)
    g_error ("no epoll: %s", g_strerror (errno));
  self->all = g_ptr_array_new_with_free_func (shard_abandon);
  self->roomy = g_ptr_array_new ();
  self->watchers = g_ptr_array_new ();
  g_queue_init (&self->queue);
  self->due = G_MAXINT64;
  self->n_fds = FDS_EXPECTED;
  self->fds = g_new (GPollFD, self->n_fds);
  self->source = g_source_new (&shards_funcs, sizeof (ShardsSource));
  ((ShardsSource *)self->source)->shards = self;
  g_source_set_static_name (self->source, "PhShards");
  /* Spares a round of the loop: GLib takes the descriptor of any other source out of the poll while it is
   * dispatched, and wakes the loop for that. */
  g_source_set_can_recurse (self->source, TRUE);
  g_source_add_unix_fd (self->source, self->epoll, G_IO_IN);
  g_source_attach (self->source, g_main_context_get_thread_default ());
  return self;
}

void
ph_shards_free (PhShards *self)
{
  if (self == NULL)
    return;
  g_source_destroy (self->source);
  g_source_unref (self->source);
  g_queue_clear (&self->queue);
  g_ptr_array_unref (self->roomy);
  g_ptr_array_unref (self->all);
  g_ptr_array_unref (self->watchers);
  close (self->epoll);
  g_free (self->fds);
  g_free (self);
}
