/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One Binding request over one TCP connection, and its answer. A plain value; private to net/nat. */

#pragma once

#include "net/base/ph-datagram.h"
#include "net/base/ph-random.h"
#include "net/stun/ph-stun.h"

typedef struct {
  PhAddr to;
  PhStunId id;
  uint8_t bytes[PH_STUN_MESSAGE_MAX]; /* of the answer, as far as it has come */
  size_t len;
  PhAddr mapped; /* once answered: what the connection is seen as */
  PhAddr other; /* RFC 5780's OTHER-ADDRESS; unset: the server tells none */
} PhNatQuestion;

typedef enum { PH_NAT_QUESTION_MORE, PH_NAT_QUESTION_ANSWERED, PH_NAT_QUESTION_BROKEN } PhNatReply;

void ph_nat_question_init (PhNatQuestion *self, PhRandom *random, const PhAddr *to);
/* The request, for `socket`. */
void ph_nat_question_write (const PhNatQuestion *self, uint32_t socket, PhTransmit *tx);
/* Bytes come in any pieces. Whatever is no answer to the question is BROKEN: the connection serves nobody else. */
PhNatReply ph_nat_question_take (PhNatQuestion *self, PhSlice bytes);
