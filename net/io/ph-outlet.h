/* SPDX-License-Identifier: GPL-3.0-or-later */
/* By which interface packets from one of this computer's addresses have to leave.
 *
 * The kernel goes by where a packet is sent to, not by where it comes from: on a computer that is on two networks
 * everything leaves by the one whose route has the lower metric, what comes from the other one's address too, and that
 * vanishes there. So the sockets of an interface that has a way out of its own are held to it.
 *
 * Not while a tunnel takes all there is: whoever has a VPN wants nothing to leave beside it. */

#pragma once

#include "net/base/ph-addr.h"

/* The index of the interface that sockets bound to this address are to be held to; 0: what the routes say is right,
 * or the system does not tell. Good until addresses or routes change. */
uint32_t ph_outlet_for (const PhAddr *local);
