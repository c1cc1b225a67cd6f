/* SPDX-License-Identifier: GPL-3.0-or-later */
/* UPnP-IGD through libminiupnpc: what PhPortmap wants done, done on a thread of its own, since the library's
 * calls wait for the network. The router is looked for with the first task, and again after one failed. */

#pragma once

#include "net/portmap/ph-portmap.h"

#include <gio/gio.h>

typedef struct _PhUpnp PhUpnp;

/* How a task ended, on the context that ph_upnp_new() was called for; not for deletions. */
typedef void (*PhUpnpDone) (void *user, uint32_t id, PhPortmapUpnpResult result,
                            const PhAddr *external, uint32_t lifetime_s);

/* `local`: the address that ports are mapped to. */
PhUpnp *ph_upnp_new (GMainContext *context, const PhAddr *local, PhUpnpDone done, void *user);
/* No callback any more. Waits for deletions, at most a second: the router forgets by itself when the
 * lease ends. */
void ph_upnp_free (PhUpnp *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhUpnp, ph_upnp_free)

void ph_upnp_run (PhUpnp *self, const PhPortmapUpnp *task);
