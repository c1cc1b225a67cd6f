/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A TCP connection to a server, with or without TLS, on a GMainContext: what carries TURN where UDP does
 * not get out.
 *
 * It goes through the person's proxy where one is set up (GSocketClient knows). Whoever the certificate
 * names is accepted: a relay is trusted with nothing, a household's has no certificate that an authority
 * signed, and TLS is only there because some networks let nothing else through.
 *
 * All calls and callbacks are on the thread that runs the context. */

#pragma once

#include "net/base/ph-addr.h"

#include <gio/gio.h>

/* What waits for the network at most. Beyond, what is sent is lost, as on any queue that is full: half a
 * second of 4 Mbit/s. */
#define PH_STREAM_QUEUE_MAX (256 << 10)
/* A server that has not taken the connection by then is not there. */
#define PH_STREAM_CONNECT_SECONDS 10

typedef struct _PhStream PhStream;

typedef struct {
  void (*opened) (void *user, uint32_t id);
  /* Borrowed for the call. */
  void (*received) (void *user, uint32_t id, PhSlice bytes);
  /* No more for now: after one or more `received`. */
  void (*batch_done) (void *user);
  /* It never came about, or broke; `error` says why, NULL: the server ended it. Free it then. */
  void (*closed) (void *user, uint32_t id, const GError *error);
} PhStreamCallbacks;

/* Begins to connect, on the calling thread's context; callbacks come later. `id` is given to the callbacks.
 * `tls_host`: the name to ask for in TLS; NULL: no TLS. */
PhStream *ph_stream_new (uint32_t id, const PhAddr *server, const char *tls_host,
                         const PhStreamCallbacks *callbacks, void *user);
/* Closes at once. May be called in a callback. */
void ph_stream_free (PhStream *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhStream, ph_stream_free)

uint32_t ph_stream_id (const PhStream *self);
/* All of `bytes` or, if the queue is full or it is not open, none: false. */
bool ph_stream_send (PhStream *self, PhSlice bytes);
