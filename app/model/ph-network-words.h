/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a network report means for the person: who reaches whom, in words. What the report does not tell is
 * "Not known"; nothing is guessed. Plain text. */

#pragma once

#include "app/model/ph-client.h"
#include "app/model/ph-detail.h"

/* How well others reach this computer without a relay. */
typedef enum {
  PH_REACH_UNKNOWN,
  PH_REACH_EVERYBODY,
  PH_REACH_MOST,
  PH_REACH_SOME,
  PH_REACH_HARD,
} PhReach;

PhReach ph_network_reach (PhNetworkItem *network);

/* "Most people can reach you directly". */
const char *ph_reach_headline (PhReach reach);
/* Its icon: a porthole, the fuller the better. */
const char *ph_reach_icon (PhReach reach);
/* The style class of the icon: "success", "warning", "error", "dimmed" or "". */
const char *ph_reach_style (PhReach reach);

/* What the kind of router means, a sentence or two. */
const char *ph_network_meaning (PhNetworkItem *network);

/* PhDetail of this network, and of the servers. */
GListStore *ph_network_details (PhNetworkItem *network);
GListStore *ph_network_servers (PhClient *client);

/* "Checked at 14:03", "Checking…", "Not checked yet". `now`: Unix seconds. */
char *ph_network_checked (PhNetworkItem *network, int64_t now);

/* All of it, for copying into a message; in the person's language, with the report as it is below. */
char *ph_network_report_text (PhClient *client, int64_t now);
