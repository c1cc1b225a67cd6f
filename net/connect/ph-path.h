/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The path that a link takes, for showing and for choosing. */

#pragma once

#include "net/base/ph-time.h"
#include "net/ice/ph-ice-candidate.h"

typedef enum { PH_PATH_NONE, PH_PATH_LAN, PH_PATH_UDP, PH_PATH_TCP, PH_PATH_RELAY } PhPathKind;

typedef struct {
  PhPathKind kind;
  uint32_t socket; /* what carries it on this side */
  PhAddr remote_to; /* where packets go */
  PhCandidate local;
  PhCandidate remote;
  PhTime rtt; /* 0: unknown */
} PhPath;

/* The kind that a pair of candidates makes: relay if either is relayed; lan if both are host
 * candidates on one network; else by transport. */
PhPathKind ph_path_classify (const PhCandidate *local, const PhCandidate *remote);

/* "lan", "udp", "tcp", "relay"; "" for none. */
const char *ph_path_kind_name (PhPathKind kind);
