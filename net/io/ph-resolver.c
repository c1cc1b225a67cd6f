/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/io/ph-resolver.h"

#include "net/io/ph-sockaddr.h"

struct _PhResolve {
  PhResolveFunc done; /* NULL once cancelled */
  void *user;
  uint16_t port;
  GCancellable *cancellable; /* of a look-up under way, else NULL */
  GSource *idle; /* of an answer that needs no look-up, else NULL */
  PhAddr numeric;
  GError *error;
};

static void
resolve_free (PhResolve *self)
{
  g_clear_object (&self->cancellable);
  if (self->idle != NULL)
    g_source_destroy (self->idle);
  g_clear_pointer (&self->idle, g_source_unref);
  g_clear_error (&self->error);
  g_free (self);
}

/* Frees `self` before it tells: the owner may start the next one in the callback. */
static void
finish (PhResolve *self, const PhAddr *addrs, size_t n, GError *take_error)
{
  g_autoptr (GError) error = take_error;
  PhResolveFunc done = self->done;
  void *user = self->user;

  g_assert ((n == 0) == (error != NULL) || done == NULL);
  resolve_free (self);
  if (done != NULL)
    done (user, addrs, n, error);
}

static gboolean
answer_without_lookup (gpointer user)
{
  PhResolve *self = user;
  PhAddr numeric = self->numeric;
  GError *error = g_steal_pointer (&self->error);

  finish (self, &numeric, error == NULL ? 1 : 0, error);
  return G_SOURCE_REMOVE;
}

static void
answer_later (PhResolve *self, GMainContext *context)
{
  self->idle = g_idle_source_new ();
  g_source_set_priority (self->idle, G_PRIORITY_DEFAULT);
  g_source_set_callback (self->idle, answer_without_lookup, self, NULL);
  g_source_attach (self->idle, context);
}

static size_t
collect (GList *found, uint16_t port, PhAddr addrs[PH_RESOLVE_MAX])
{
  size_t n = 0;

  for (GList *l = found; l != NULL && n < PH_RESOLVE_MAX; l = l->next) {
    PhSlice ip =
        ph_slice (g_inet_address_to_bytes (l->data), g_inet_address_get_native_size (l->data));
    PhAddr addr = ph_addr_from_bytes (ip, port);

    if (ph_addr_is_set (&addr))
      addrs[n++] = addr;
  }
  return n;
}

static void
take_answer (PhResolve *self, GList *found, GError *take_error)
{
  PhAddr addrs[PH_RESOLVE_MAX];
  size_t n = collect (found, self->port, addrs);

  g_resolver_free_addresses (found);
  if (n == 0 && take_error == NULL)
    take_error = g_error_new_literal (G_RESOLVER_ERROR, G_RESOLVER_ERROR_NOT_FOUND,
                                      "the name has no address");
  finish (self, addrs, n, take_error);
}

static void
lookup_done (GObject *resolver, GAsyncResult *result, gpointer user)
{
  GError *error = NULL;
  GList *found = g_resolver_lookup_by_name_finish (G_RESOLVER (resolver), result, &error);

  take_answer (user, found, error);
}

static void
lookup_ipv6_done (GObject *resolver, GAsyncResult *result, gpointer user)
{
  GError *error = NULL;
  GList *found =
      g_resolver_lookup_by_name_with_flags_finish (G_RESOLVER (resolver), result, &error);

  take_answer (user, found, error);
}

static void
look_up (PhResolve *self, GMainContext *context, const char *host)
{
  g_autoptr (GResolver) resolver = g_resolver_get_default ();

  self->cancellable = g_cancellable_new ();
  g_main_context_push_thread_default (context);
  g_resolver_lookup_by_name_async (resolver, host, self->cancellable, lookup_done, self);
  g_main_context_pop_thread_default (context);
}

PhResolve *
ph_resolve (GMainContext *context, const char *host_port, uint16_t port_default, PhResolveFunc done,
            void *user)
{
  PhResolve *self = g_new0 (PhResolve, 1);
  g_autoptr (GSocketConnectable) parsed = NULL;

  self->done = done;
  self->user = user;
  if (ph_addr_parse (host_port, port_default, &self->numeric)) {
    answer_later (self, context);
    return self;
  }
  parsed = g_network_address_parse (host_port, port_default, &self->error);
  if (parsed == NULL) {
    answer_later (self, context);
    return self;
  }
  self->port = g_network_address_get_port (G_NETWORK_ADDRESS (parsed));
  look_up (self, context, g_network_address_get_hostname (G_NETWORK_ADDRESS (parsed)));
  return self;
}

PhResolve *
ph_resolve_ipv6 (GMainContext *context, const char *name, PhResolveFunc done, void *user)
{
  PhResolve *self = g_new0 (PhResolve, 1);
  g_autoptr (GResolver) resolver = g_resolver_get_default ();

  self->done = done;
  self->user = user;
  self->cancellable = g_cancellable_new ();
  g_main_context_push_thread_default (context);
  g_resolver_lookup_by_name_with_flags_async (resolver, name,
                                              G_RESOLVER_NAME_LOOKUP_FLAGS_IPV6_ONLY,
                                              self->cancellable, lookup_ipv6_done, self);
  g_main_context_pop_thread_default (context);
  return self;
}

void
ph_resolve_cancel (PhResolve *self)
{
  if (self == NULL)
    return;
  if (self->cancellable == NULL) {
    resolve_free (self);
    return;
  }
  /* The look-up still holds on to it, and comes back. */
  self->done = NULL;
  g_cancellable_cancel (self->cancellable);
}
