/* SPDX-License-Identifier: GPL-3.0-or-later */

#pragma once

#include "net/io/ph-sockaddr.h"
#include "net/io/ph-udp.h"

struct _PhUdp {
  int fd;
  uint32_t id;
  PhAddr local;
  PhNat64Way way; /* prefix.len 0: none */
  uint32_t outlet;
  bool gso;
  bool closed; /* freed within a callback: the dispatch that runs it lets go of the memory */
  bool dispatching;
  PhUdpCallbacks callbacks;
  void *user;
  PhUdpStats stats;

  GSource *source;
  void *source_tag;

  /* The one transmit that did not fit; kept.len == 0: none. */
  uint8_t *kept_data; /* PH_TRANSMIT_MAX bytes, made when first needed */
  PhTransmit kept;
};

/* Reads what is there, at most a bounded amount, and calls `received` and `batch_done`. */
void ph_udp_receive (PhUdp *self);
/* Sends the rest of `tx`; what is left when the socket blocks is put in front of it. */
PhUdpResult ph_udp_transmit (PhUdp *self, PhTransmit *tx);
