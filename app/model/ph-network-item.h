/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The engine's network report (`nat --json`), parsed. All properties are read-only strings in the words of
 * the report, "" where the engine cannot tell: type, mapping, filtering, public, hairpin,
 * port-preserving, port-step, tcp-mapping, ipv6, portmap, relay. And:
 *
 *   report         the whole JSON object
 *   checked-at     Unix seconds of the newest report, 0 before the first
 *   checking       whether a report is being made */

#pragma once

#include <glib-object.h>
#include <stdbool.h>
#include <stdint.h>

#define PH_TYPE_NETWORK_ITEM (ph_network_item_get_type ())
G_DECLARE_FINAL_TYPE (PhNetworkItem, ph_network_item, PH, NETWORK_ITEM, GObject)

PhNetworkItem *ph_network_item_new (void);
/* Takes a report; false, and nothing changes, if it is no JSON object. */
bool ph_network_item_show (PhNetworkItem *self, const char *json, int64_t now);
void ph_network_item_set_checking (PhNetworkItem *self, bool checking);
/* A value by its name in the report ("type", "port_step", ...) as text; "" if it is not known. */
const char *ph_network_item_text (PhNetworkItem *self, const char *name);
