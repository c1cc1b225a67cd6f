/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What kind of path a pair of candidates makes: for choosing, and for showing. */

#pragma once

#include "net/ice/ph-ice-candidate.h"

/* The better, the smaller. */
typedef enum { PH_PATH_NONE, PH_PATH_LAN, PH_PATH_UDP, PH_PATH_TCP, PH_PATH_RELAY } PhPathKind;

/* Relay if either is relayed; lan if both are host candidates on one network; else by transport. */
PhPathKind ph_path_classify (const PhCandidate *local, const PhCandidate *remote);

/* "lan", "udp", "tcp", "relay"; "" for none. */
const char *ph_path_kind_name (PhPathKind kind);
