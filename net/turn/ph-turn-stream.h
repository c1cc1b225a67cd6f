/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Cuts a TCP or TLS connection to a TURN server into messages, RFC 8656 §12.5: STUN messages by their
 * length field, ChannelData by theirs and padded to a multiple of four. Bytes that are neither end it:
 * the connection is to be closed.
 *
 * A message that lies in what was read is borrowed from there; only one that is cut in two is copied,
 * into a buffer of at most one message. */

#pragma once

#include "net/base/ph-bytes.h"

#include <glib.h>

/* The longest that the length fields can say: a STUN message with 65,532 bytes of attributes. */
#define PH_TURN_STREAM_MESSAGE_MAX (20 + 65532)

typedef struct _PhTurnStream PhTurnStream;

typedef enum {
  PH_TURN_STREAM_MESSAGE,
  PH_TURN_STREAM_MORE, /* all of `in` was taken, the next message is not complete */
  PH_TURN_STREAM_BROKEN, /* from now on always */
} PhTurnStreamResult;

PhTurnStream *ph_turn_stream_new (void);
void ph_turn_stream_free (PhTurnStream *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhTurnStream, ph_turn_stream_free)

/* Takes bytes from the front of `in`. `ret_message` (without padding) lives until the next call and as
 * long as the bytes of `in` do. Call until it is not PH_TURN_STREAM_MESSAGE. */
PhTurnStreamResult ph_turn_stream_next (PhTurnStream *self, PhSlice *in, PhSlice *ret_message);
