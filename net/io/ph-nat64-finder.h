/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whether IPv4 is to be had through a translator only, and how: the ways of ph-nat64.h.
 *
 * There is none where IPv4 has a route of its own (a translator within the system, 464XLAT, makes one too), where
 * IPv6 has none, or where the resolver knows no prefix. What is found is looked for again whenever the owner
 * says that the network has changed, and before an hour is over: the name's records live no longer, and GLib's
 * resolver does not tell what is left of that. A resolver that is silent is asked again, and what it said before is
 * believed meanwhile. */

#pragma once

#include "net/nat/ph-nat64.h"

#include <glib.h>

typedef struct _PhNat64Finder PhNat64Finder;

/* The ways are others than before. */
typedef void (*PhNat64ChangedFunc) (void *user);

/* On the calling thread's default context; looks at once. `changed` is never called within a call. */
PhNat64Finder *ph_nat64_finder_new (PhNat64ChangedFunc changed, void *user);
void ph_nat64_finder_free (PhNat64Finder *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhNat64Finder, ph_nat64_finder_free)

/* The network has changed. */
void ph_nat64_finder_look (PhNat64Finder *self);
/* An answer is waited for. */
bool ph_nat64_finder_is_looking (const PhNat64Finder *self);
/* The ways, the resolver's first choice first; returns how many. Valid until `changed`. */
size_t ph_nat64_finder_ways (const PhNat64Finder *self, const PhNat64Way **ret_ways);
