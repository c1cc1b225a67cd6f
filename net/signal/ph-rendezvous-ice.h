/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The STUN and TURN servers that a rendezvous server hands out. */

#pragma once

#include "net/signal/ph-rendezvous-protocol.h"

typedef enum {
  PH_ICE_SERVER_STUN, /* stun: (RFC 7064) over UDP */
  PH_ICE_SERVER_TURN_UDP, /* turn: (RFC 7065), or with ?transport=udp */
  PH_ICE_SERVER_TURN_TCP, /* turn:...?transport=tcp */
  PH_ICE_SERVER_TURNS_TCP, /* turns: */
} PhIceServerKind;

typedef struct {
  PhIceServerKind kind;
  char host_port[272]; /* as ph_resolve() takes it: "name:3478", "[2001:db8::1]:3478" */
  char username[128]; /* TURN only */
  char password[128];
} PhIceServer;

typedef struct {
  unsigned n;
  PhIceServer servers[PH_RENDEZVOUS_ICE_MAX];
} PhIceServers;

/* False for anything that is not one of the URIs above. Credentials are left empty. */
bool ph_ice_server_parse (const char *uri, PhIceServer *ret_server);
/* The same with the credentials in it, as a person writes it down: "turn:NAME:PASSWORD@HOST:PORT"; what has a
 * meaning in there (":", "@", "%") is percent-encoded. TURN only, and only with credentials. */
bool ph_ice_server_parse_own (const char *text, PhIceServer *ret_server);
bool ph_ice_servers_equal (const PhIceServers *a, const PhIceServers *b);
