/* SPDX-License-Identifier: GPL-3.0-or-later */
/* When to connect, and again: a TCP connection through two NATs comes about when the SYNs of both sides cross,
 * or when one arrives after the other side's has opened its NAT (simultaneous open, RFC 9293 §3.5, RFC 5382
 * REQ-2). Both sides begin when they have each other's candidates, half a round trip apart.
 *
 * A router that drops what it does not know makes it easy: the later SYN gets through. One that answers
 * with a reset kills the earlier attempt, so that both must be in flight at once: therefore a refused attempt
 * is no failure, but repeated after a random pause, shorter than a round trip on most paths, over and over.
 * SYNs with a low TTL are of no use.
 *
 * A value without I/O: the owner connects when it is due and says what came of it. */

#pragma once

#include "net/base/ph-connection.h"
#include "net/base/ph-random.h"

/* How long it is tried. */
#define PH_TCP_PUNCH_INTERVAL (12 * PH_SEC)
/* The pause after a refusal. */
#define PH_TCP_PUNCH_PAUSE_MIN (10 * PH_MSEC)
#define PH_TCP_PUNCH_PAUSE_MAX (100 * PH_MSEC)
/* An address that nobody punches from is asked less often: it just does not listen yet. */
#define PH_TCP_PUNCH_PLAIN_PAUSE PH_SEC
/* A port may still be in the kernel's memory, or the connection may be on its way to our listener. */
#define PH_TCP_PUNCH_IN_USE_PAUSE (250 * PH_MSEC)

typedef struct {
  PhTime connect_at; /* PH_NEVER while an attempt is under way, or when it is over */
  PhTime give_up_at;
  bool simultaneous; /* the other side connects as well */
} PhTcpPunch;

void ph_tcp_punch_start (PhTcpPunch *self, PhTime now, bool simultaneous);
/* The owner connects now. */
void ph_tcp_punch_connecting (PhTcpPunch *self);
/* An attempt has failed. False: it is over. */
bool ph_tcp_punch_failed (PhTcpPunch *self, PhTime now, const PhRandom *random,
                          PhConnectionEventType why);
static inline bool
ph_tcp_punch_is_over (const PhTcpPunch *self, PhTime now)
{
  return now >= self->give_up_at;
}
