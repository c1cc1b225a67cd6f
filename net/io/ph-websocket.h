/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A WebSocket client on the calling thread's default GMainContext: text frames in and out, by libsoup.
 * No protocol decisions; the owner's core makes them. */

#pragma once

#include "net/base/ph-addr.h"

#include <gio/gio.h>

typedef enum {
  PH_WEBSOCKET_UNREACHABLE, /* name, network, refused, timed out */
  PH_WEBSOCKET_NOT_TRUSTED, /* the certificate is not for this name and authority, or not the pinned one */
  PH_WEBSOCKET_REFUSED, /* an HTTP server that does not speak this protocol */
  PH_WEBSOCKET_CLOSED, /* it was open */
} PhWebsocketEnd;

typedef struct {
  void (*open) (void *user);
  /* Borrowed; at most `frame_max` bytes of valid UTF-8. */
  void (*text) (void *user, PhSlice text);
  /* The last call. `close_code`: RFC 6455 §7.4, 0 if there was none. `why` is for logs. */
  void (*ended) (void *user, PhWebsocketEnd end, uint16_t close_code, const char *why);
} PhWebsocketCallbacks;

typedef struct {
  const char *url; /* ws:// or wss:// */
  const char *subprotocol; /* the server must choose it */
  const uint8_t *pin; /* 32 bytes: SHA-256 of the server's SubjectPublicKeyInfo, instead of the
                       * authorities' judgement; NULL: the authorities' */
  GSocketConnectable *address; /* where to connect, in place of the URL's host; NULL: there */
  size_t frame_max; /* larger frames end the connection with 1009 */
} PhWebsocketConfig;

typedef struct _PhWebsocket PhWebsocket;

/* Dials. The config is copied; `user` outlives the socket. No callback within this call, and none
 * after _free. */
PhWebsocket *ph_websocket_new (const PhWebsocketConfig *config,
                               const PhWebsocketCallbacks *callbacks, void *user);
/* Closes (politely if it can be done without waiting) and frees; may be called in a callback. */
void ph_websocket_free (PhWebsocket *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhWebsocket, ph_websocket_free)

/* Queues a text frame; ignored unless open. */
void ph_websocket_send (PhWebsocket *self, const char *text);
/* Where the TCP connection leads to: the server or an HTTP proxy. False while dialling. */
bool ph_websocket_remote (const PhWebsocket *self, PhAddr *ret_remote);
/* Whether this computer has lost the address that the connection leaves from: nothing will come of it, and nobody
 * says so. False while dialling. */
bool ph_websocket_is_stranded (const PhWebsocket *self);
