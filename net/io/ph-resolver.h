/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names to addresses, without waiting. */

#pragma once

#include "net/base/ph-addr.h"

#include <gio/gio.h>

/* More addresses of one name are not tried. */
#define PH_RESOLVE_MAX 16

typedef struct _PhResolve PhResolve;

/* Called exactly once, on the context, never within ph_resolve(): with 1 to PH_RESOLVE_MAX addresses
 * in the system's order, or with none and an error (of G_RESOLVER_ERROR or G_IO_ERROR). The PhResolve is
 * gone when this is called. */
typedef void (*PhResolveFunc) (void *user, const PhAddr *addrs, size_t n, const GError *error);

/* `host_port` is "name", "name:port", "192.0.2.1:port", "[2001:db8::1]:port"...; without a port it is
 * `port_default`. Numeric addresses need no DNS. `context` must be the calling thread's (NULL: the
 * default one). */
PhResolve *ph_resolve (GMainContext *context, const char *host_port, uint16_t port_default,
                       PhResolveFunc done, void *user);
/* The IPv6 addresses of a name, with port 0; what the system thinks of IPv4 does not matter. */
PhResolve *
ph_resolve_ipv6 (GMainContext *context, const char *name, PhResolveFunc done, void *user);
/* The callback will not be called any more; frees. */
void ph_resolve_cancel (PhResolve *self);
