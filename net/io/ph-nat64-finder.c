/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/io/ph-nat64-finder.h"

#include "net/io/ph-clock.h"
#include "net/io/ph-resolver.h"
#include "net/io/ph-sockaddr.h"
#include "net/io/ph-timer.h"

#include <unistd.h>

/* The records of ipv4only.arpa, and so what a DNS64 makes of them, live for an hour. RFC 7050 §3 wants it done
 * again some seconds earlier. */
#define AGAIN_INTERVAL (3590 * PH_SEC)
/* After an answer that is none; doubled each time. */
#define FAILED_INTERVAL (5 * PH_SEC)

struct _PhNat64Finder {
  PhNat64ChangedFunc changed;
  void *user;
  PhTimer *timer; /* owned */
  PhResolve *resolve; /* owned; NULL: nothing is asked */
  PhTime failed_interval;
  bool due; /* the timer is there to look at once */
  PhNat64Prefix prefixes[PH_NAT64_PREFIXES_MAX]; /* as last learnt */
  size_t n_prefixes;
  PhNat64Way ways[PH_NAT64_PREFIXES_MAX];
  size_t n_ways;
};

/* The address that packets to `remote` would leave from; nothing is sent. False: no route. */
static bool
source_for (const PhAddr *remote, PhAddr *ret_source)
{
  PhSockaddr name;
  socklen_t len = ph_sockaddr_from_addr (remote, &name);
  const int fd = socket (name.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  bool found;

  if (fd < 0)
    return false;
  found = connect (fd, &name.sa, len) == 0;
  len = sizeof name;
  found = found && getsockname (fd, &name.sa, &len) == 0;
  close (fd);
  if (!found)
    return false;
  *ret_source = ph_sockaddr_to_addr (&name.sa);
  ret_source->port = 0;
  return ph_addr_scope (ret_source) > PH_SCOPE_LINK_LOCAL;
}

/* Any address of the internet would do. */
static const PhAddr somewhere = {
    .family = PH_FAMILY_IPV4,
    .port = 9,
    .ip = {192, 0, 0, 170},
};

/* What the prefixes are worth on this network now. */
static void
make_ways (PhNat64Finder *self)
{
  PhNat64Way ways[PH_NAT64_PREFIXES_MAX] = {0};
  PhAddr source;
  size_t n = 0;

  for (size_t i = 0; i < self->n_prefixes && !source_for (&somewhere, &source); i++) {
    PhNat64Way way = {.prefix = self->prefixes[i], .own = ph_nat64_own ((unsigned)n)};
    PhAddr there;

    if (ph_nat64_synthesise (&way.prefix, &somewhere, &there) && source_for (&there, &way.base))
      ways[n++] = way;
  }

  bool same = n == self->n_ways;

  for (size_t i = 0; i < n && same; i++)
    same = ph_nat64_way_equal (&ways[i], &self->ways[i]);
  if (same)
    return;
  memcpy (self->ways, ways, sizeof ways);
  self->n_ways = n;
  self->changed (self->user);
}

static void
resolved (void *user, const PhAddr *addrs, size_t n, const GError *error)
{
  PhNat64Finder *self = user;
  const bool failed =
      error != NULL && !g_error_matches (error, G_RESOLVER_ERROR, G_RESOLVER_ERROR_NOT_FOUND);

  self->resolve = NULL;
  if (failed) {
    ph_timer_arm (self->timer, ph_time_add (ph_clock_now (), self->failed_interval));
    self->failed_interval = MIN (2 * self->failed_interval, AGAIN_INTERVAL);
  } else {
    self->failed_interval = FAILED_INTERVAL;
    self->n_prefixes = ph_nat64_learn (addrs, n, self->prefixes, G_N_ELEMENTS (self->prefixes));
    ph_timer_arm (self->timer, ph_time_add (ph_clock_now (), AGAIN_INTERVAL));
  }
  make_ways (self);
}

/* Whether there is anything to gain. */
static bool
is_wanted (void)
{
  static const PhAddr anywhere = {.family = PH_FAMILY_IPV6, .port = 9, .ip = {0x20, [15] = 1}};
  PhAddr source;

  return !source_for (&somewhere, &source) && source_for (&anywhere, &source);
}

static void
look (void *user, PhTime now)
{
  PhNat64Finder *self = user;

  g_clear_pointer (&self->resolve, ph_resolve_cancel);
  self->due = false;
  if (is_wanted ())
    self->resolve =
        ph_resolve_ipv6 (g_main_context_get_thread_default (), PH_NAT64_NAME, resolved, self);
  else
    self->n_prefixes = 0;
  /* The address that packets leave from may be another one by now. */
  make_ways (self);
}

PhNat64Finder *
ph_nat64_finder_new (PhNat64ChangedFunc changed, void *user)
{
  PhNat64Finder *self = g_new0 (PhNat64Finder, 1);

  self->changed = changed;
  self->user = user;
  self->failed_interval = FAILED_INTERVAL;
  self->timer = ph_timer_new (g_main_context_get_thread_default (), look, self);
  ph_nat64_finder_look (self);
  return self;
}

void
ph_nat64_finder_free (PhNat64Finder *self)
{
  if (self == NULL)
    return;
  ph_resolve_cancel (self->resolve);
  ph_timer_free (self->timer);
  g_free (self);
}

void
ph_nat64_finder_look (PhNat64Finder *self)
{
  self->due = true;
  self->failed_interval = FAILED_INTERVAL;
  ph_timer_arm (self->timer, ph_clock_now ());
}

bool
ph_nat64_finder_is_looking (const PhNat64Finder *self)
{
  return self->due || self->resolve != NULL;
}

size_t
ph_nat64_finder_ways (const PhNat64Finder *self, const PhNat64Way **ret_ways)
{
  *ret_ways = self->ways;
  return self->n_ways;
}
