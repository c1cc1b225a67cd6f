/* SPDX-License-Identifier: GPL-3.0-or-later */

#define G_LOG_DOMAIN "porthole"

#include "net/io/ph-upnp.h"

#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpcommands.h>
#include <miniupnpc/upnperrors.h>

#if MINIUPNPC_API_VERSION < 14
#error "libminiupnpc is too old"
#endif

/* Routers answer a search at once, and are asked to within a second. */
#define DISCOVER_MS 1500
#define GOODBYE_US G_USEC_PER_SEC
/* Errors of AddPortMapping: the port is taken; leases without end alone. */
#define CONFLICT 718
#define PERMANENT_ONLY 725
/* Other ports that are tried when one is taken. */
#define PORTS_MAX 4

/* Of both threads; freed by the last that lets go. */
typedef struct {
  gatomicrefcount ref_count;
  PhAddr local;
  GAsyncQueue *tasks; /* PhPortmapUpnp, owned; one with id 0 ends the thread */
  GMainContext *context;

  GMutex mutex;
  GCond cond;
  bool found; /* guarded: a router that may have something to forget */
  bool ended; /* guarded */

  PhUpnp *owner; /* touched on the context's thread only; NULL: nobody listens */
} Shared;

struct _PhUpnp {
  Shared *shared;
  PhUpnpDone done;
  void *user;
};

/* The worker's own. */
typedef struct {
  Shared *shared;
  bool found;
  struct UPNPUrls urls;
  struct IGDdatas data;
  GHashTable *mapped; /* key_of() a task -> external port */
} Worker;

typedef struct {
  Shared *shared;
  uint32_t id;
  PhPortmapUpnpResult result;
  PhAddr external;
  uint32_t lifetime_s;
} Outcome;

static void
shared_unref (Shared *self)
{
  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;
  g_async_queue_unref (self->tasks);
  g_main_context_unref (self->context);
  g_mutex_clear (&self->mutex);
  g_cond_clear (&self->cond);
  g_free (self);
}

static gpointer
key_of (const PhPortmapUpnp *task)
{
  return GUINT_TO_POINTER ((guint)task->proto << 16 | task->internal_port);
}

/* --- On the worker ------------------------------------------------------------------------------ */

static void
worker_set_found (Worker *self, bool found)
{
  self->found = found;
  g_mutex_lock (&self->shared->mutex);
  self->shared->found = found;
  g_mutex_unlock (&self->shared->mutex);
}

static void
worker_forget_router (Worker *self)
{
  if (self->found)
    FreeUPNPUrls (&self->urls);
  worker_set_found (self, false);
}

/* All names that routers answer to are asked for at once: the library's own search waits for the answers to each in
 * turn, which takes four times as long where nobody answers. Then any device at all: there are routers that answer to
 * nothing else, and every television does too. */
static struct UPNPDev *
discover (const char *local)
{
  static const char *const routers[] = {
      "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
      "urn:schemas-upnp-org:service:WANIPConnection:1",
      "urn:schemas-upnp-org:service:WANPPPConnection:1",
      NULL,
  };
  static const char *const any[] = {"upnp:rootdevice", NULL};
  struct UPNPDev *devices;
  int error;

  devices = upnpDiscoverDevices (routers, DISCOVER_MS, local, NULL, 0, 0, 2, &error, 1);
  return devices != NULL ? devices
                         : upnpDiscoverDevices (any, DISCOVER_MS, local, NULL, 0, 0, 2, &error, 1);
}

static bool
worker_find_router (Worker *self)
{
  char local[PH_ADDR_STRING_MAX], lan[64];
  struct UPNPDev *devices;
  int valid;

  if (self->found)
    return true;
  ph_addr_format_ip (&self->shared->local, local);
  devices = discover (local);
  if (devices == NULL)
    return false;
#if MINIUPNPC_API_VERSION >= 18
  char wan[64];

  /* 2: connected, with an address that is not public. */
  valid = UPNP_GetValidIGD (devices, &self->urls, &self->data, lan, sizeof lan, wan, sizeof wan);
  worker_set_found (self, valid == 1 || valid == 2);
#else
  valid = UPNP_GetValidIGD (devices, &self->urls, &self->data, lan, sizeof lan);
  worker_set_found (self, valid == 1);
#endif
  if (valid != 0 && !self->found)
    FreeUPNPUrls (&self->urls);
  freeUPNPDevlist (devices);
  return self->found;
}

static int
worker_add (Worker *self, const PhPortmapUpnp *task, uint16_t external, uint32_t lifetime_s)
{
  char inside[8], outside[8], lease[16], local[PH_ADDR_STRING_MAX];

  g_snprintf (inside, sizeof inside, "%u", task->internal_port);
  g_snprintf (outside, sizeof outside, "%u", external);
  g_snprintf (lease, sizeof lease, "%u", lifetime_s);
  return UPNP_AddPortMapping (self->urls.controlURL, self->data.first.servicetype, outside, inside,
                              ph_addr_format_ip (&self->shared->local, local), "Porthole",
                              task->proto == PH_PORTMAP_TCP ? "TCP" : "UDP", NULL, lease);
}

static void
worker_delete (Worker *self, PhPortmapProto proto, guint port)
{
  char outside[8];

  g_snprintf (outside, sizeof outside, "%u", port);
  UPNP_DeletePortMapping (self->urls.controlURL, self->data.first.servicetype, outside,
                          proto == PH_PORTMAP_TCP ? "TCP" : "UDP", NULL);
}

static void
worker_unmap (Worker *self, const PhPortmapUpnp *task)
{
  const guint port = GPOINTER_TO_UINT (g_hash_table_lookup (self->mapped, key_of (task)));

  if (self->found && port != 0)
    worker_delete (self, task->proto, port);
  g_hash_table_remove (self->mapped, key_of (task));
}

/* What was mapped while the owner went away has nobody else to delete it. */
static void
worker_unmap_all (Worker *self)
{
  GHashTableIter iter;
  gpointer key, port;

  g_hash_table_iter_init (&iter, self->mapped);
  while (self->found && g_hash_table_iter_next (&iter, &key, &port))
    worker_delete (self, (PhPortmapProto)(GPOINTER_TO_UINT (key) >> 16), GPOINTER_TO_UINT (port));
}

static void
worker_map (Worker *self, const PhPortmapUpnp *task, Outcome *outcome)
{
  char address[64] = "";
  uint16_t port = (uint16_t)GPOINTER_TO_UINT (g_hash_table_lookup (self->mapped, key_of (task)));
  uint32_t lifetime_s = task->lifetime_s;
  int error;

  if (port == 0)
    port = task->internal_port;
  error = worker_add (self, task, port, lifetime_s);
  if (error == PERMANENT_ONLY) {
    lifetime_s = 0;
    error = worker_add (self, task, port, lifetime_s);
  }
  for (unsigned i = 1; i <= PORTS_MAX && error == CONFLICT; i++) {
    port = (uint16_t)MAX (1024, task->internal_port ^ i << 8);
    error = worker_add (self, task, port, lifetime_s);
  }
  if (error == 0) {
    g_hash_table_insert (self->mapped, key_of (task), GUINT_TO_POINTER (port));
    error =
        UPNP_GetExternalIPAddress (self->urls.controlURL, self->data.first.servicetype, address);
  }
  if (error != 0 || !ph_addr_parse (address, port, &outcome->external)
      || ph_addr_scope (&outcome->external) == PH_SCOPE_UNUSABLE) {
    g_debug ("UPnP: %s", error != 0 ? strupnperror (error) : "no external address");
    worker_unmap (self, task);
    /* It may be another by now, or have started again. */
    worker_forget_router (self);
    outcome->result = PH_PORTMAP_UPNP_REFUSED;
    return;
  }
  outcome->result = PH_PORTMAP_UPNP_DONE;
  outcome->lifetime_s = lifetime_s;
}

static void
outcome_free (gpointer data)
{
  Outcome *outcome = data;

  shared_unref (outcome->shared);
  g_free (outcome);
}

static gboolean
outcome_tell (gpointer data)
{
  const Outcome *outcome = data;
  PhUpnp *owner = outcome->shared->owner;

  if (owner != NULL)
    owner->done (owner->user, outcome->id, outcome->result, &outcome->external,
                 outcome->lifetime_s);
  return G_SOURCE_REMOVE;
}

static gpointer
worker_main (gpointer data)
{
  Worker *self = data;
  Shared *shared = self->shared;

  for (;;) {
    g_autofree PhPortmapUpnp *task = g_async_queue_pop (shared->tasks);

    if (task->id == 0)
      break;
    if (task->lifetime_s == 0) {
      worker_unmap (self, task);
      continue;
    }

    Outcome *outcome = g_new0 (Outcome, 1);

    g_atomic_ref_count_inc (&shared->ref_count);
    outcome->shared = shared;
    outcome->id = task->id;
    outcome->result = PH_PORTMAP_UPNP_ABSENT;
    if (worker_find_router (self))
      worker_map (self, task, outcome);
    g_main_context_invoke_full (shared->context, G_PRIORITY_DEFAULT, outcome_tell, outcome,
                                outcome_free);
  }
  worker_unmap_all (self);
  worker_forget_router (self);
  g_mutex_lock (&shared->mutex);
  shared->ended = true;
  g_cond_signal (&shared->cond);
  g_mutex_unlock (&shared->mutex);
  g_hash_table_unref (self->mapped);
  g_free (self);
  shared_unref (shared);
  return NULL;
}

/* --- On the context's thread -------------------------------------------------------------------- */

PhUpnp *
ph_upnp_new (GMainContext *context, const PhAddr *local, PhUpnpDone done, void *user)
{
  PhUpnp *self = g_new0 (PhUpnp, 1);
  Shared *shared = g_new0 (Shared, 1);
  Worker *worker = g_new0 (Worker, 1);

  g_atomic_ref_count_init (&shared->ref_count);
  g_atomic_ref_count_inc (&shared->ref_count);
  shared->local = *local;
  shared->tasks = g_async_queue_new_full (g_free);
  shared->context = g_main_context_ref (context != NULL ? context : g_main_context_default ());
  g_mutex_init (&shared->mutex);
  g_cond_init (&shared->cond);
  shared->owner = self;
  worker->mapped = g_hash_table_new (NULL, NULL);
  self->shared = worker->shared = shared;
  self->done = done;
  self->user = user;
  g_thread_unref (g_thread_new ("porthole-upnp", worker_main, worker));
  return self;
}

void
ph_upnp_run (PhUpnp *self, const PhPortmapUpnp *task)
{
  g_assert (task->id != 0);
  g_async_queue_push (self->shared->tasks, g_memdup2 (task, sizeof *task));
}

void
ph_upnp_free (PhUpnp *self)
{
  if (self == NULL)
    return;

  Shared *shared = self->shared;
  const gint64 until = g_get_monotonic_time () + GOODBYE_US;

  shared->owner = NULL;
  g_async_queue_push (shared->tasks, g_new0 (PhPortmapUpnp, 1));
  g_mutex_lock (&shared->mutex);
  while (shared->found && !shared->ended) {
    if (!g_cond_wait_until (&shared->cond, &shared->mutex, until))
      break;
  }
  g_mutex_unlock (&shared->mutex);
  shared_unref (shared);
  g_free (self);
}
