/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The path that a link takes. */

#pragma once

#include "net/base/ph-time.h"
#include "net/ice/ph-path-kind.h"

typedef struct {
  PhPathKind kind;
  uint32_t socket; /* what carries it on this side */
  PhAddr remote_to; /* where packets go */
  PhCandidate local;
  PhCandidate remote;
  PhTime rtt; /* 0: unknown */
} PhPath;
