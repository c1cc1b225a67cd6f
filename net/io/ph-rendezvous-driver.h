/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A rendezvous client core with its WebSocket and timer, on the calling thread's default GMainContext.
 *
 * The owner calls the core's commands on ph_rendezvous_driver_client() and then
 * ph_rendezvous_driver_settle(): that obeys the core's wishes, sends its frames, hands out its events
 * and arms the one timer. */

#pragma once

#include "net/nat/ph-nat64.h"
#include "net/signal/ph-rendezvous-client.h"

typedef struct _PhRendezvousDriver PhRendezvousDriver;

/* `event` is borrowed for the call. The callback may call commands (it is settled afterwards by itself)
 * and may not free the driver. */
typedef void (*PhRendezvousEventFunc) (void *user, PhTime now, const PhRendezvousEvent *event);

/* The random source of `config` is used as it is: give ph_system_random(). Does not start the client. */
PhRendezvousDriver *ph_rendezvous_driver_new (const PhRendezvousClientConfig *config,
                                              PhRendezvousEventFunc func, void *user);
void ph_rendezvous_driver_free (PhRendezvousDriver *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhRendezvousDriver, ph_rendezvous_driver_free)

/* Borrowed. */
PhRendezvousClient *ph_rendezvous_driver_client (PhRendezvousDriver *self);
void ph_rendezvous_driver_settle (PhRendezvousDriver *self);
/* From the next dialling on an address of IPv4 is reached through this translator; len 0: as it is. */
void ph_rendezvous_driver_set_nat64 (PhRendezvousDriver *self, const PhNat64Prefix *prefix);
/* ph_websocket_remote() */
bool ph_rendezvous_driver_remote (const PhRendezvousDriver *self, PhAddr *ret_remote);
/* ph_rendezvous_client_network_changed(), settled. A connection that leaves from an address that is gone is given up
 * at once, and made anew: its end would not be noticed for seconds. */
void ph_rendezvous_driver_network_changed (PhRendezvousDriver *self);
