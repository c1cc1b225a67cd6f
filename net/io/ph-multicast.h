/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Listens to one multicast group on chosen interfaces. Only listens: what is sent goes out of the PhUdp
 * sockets, whose address is then the one to answer to.
 *
 * All calls and callbacks are on the thread that runs the context. */

#pragma once

#include "net/base/ph-addr.h"

#include <gio/gio.h>

typedef struct _PhMulticast PhMulticast;

/* A datagram to the group that came in on `interface` (its index); `bytes` is borrowed for the call. */
typedef void (*PhMulticastFunc) (void *user, uint32_t interface, const PhAddr *remote,
                                 PhSlice bytes);

/* `group` with its port, which other programs of this computer may listen to as well. NULL and a
 * G_IO_ERROR if that cannot be, as where the kernel has no IPv6. */
PhMulticast *ph_multicast_new (GMainContext *context, const PhAddr *group, PhMulticastFunc received,
                               void *user, GError **error);
/* May be called in the callback. */
void ph_multicast_free (PhMulticast *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhMulticast, ph_multicast_free)

/* Joining twice, and leaving where it has not joined or the interface is gone, does nothing. False if the
 * interface has no multicast. */
bool ph_multicast_join (PhMulticast *self, uint32_t interface);
void ph_multicast_leave (PhMulticast *self, uint32_t interface);
