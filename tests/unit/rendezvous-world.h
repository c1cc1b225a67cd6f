/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rendezvous clients and a server in one process, on a virtual clock. Between them are wires that
 * deliver one frame at a time, in an order drawn from the seed, and lose what is under way when they
 * are cut. */

#pragma once

#include "net/rendezvous/ph-rooms.h"
#include "net/signal/ph-json.h"
#include "net/signal/ph-rendezvous-client.h"
#include "tests/support/ph-test.h"

#define WORLD_CLIENTS_MAX 6
#define WORLD_ADDRESS "ws://192.0.2.1:8080"
/* Where the server's connections arrive. */
#define WORLD_LOCAL_4 "192.0.2.1"
#define WORLD_LOCAL_6 "2001:db8::1"

typedef struct {
  uint64_t conn;
  GQueue up; /* char * */
  GQueue down; /* char *; NULL data cannot be queued, so a close is the string "!CODE" */
  bool greeted; /* the client knows that it is open */
} Wire;

typedef struct {
  PhRendezvousEventType type;
  PhDeviceId peer;
  bool online;
  bool anew;
  uint64_t handle;
  PhRendezvousCode code;
  PhTime retry_at;
  PhTime at;
  char *body;
  char name[PH_NAME_LEN_MAX + 1];
  unsigned ice_n;
  char ice_username[128];
} Heard;

typedef struct {
  PhIdentity identity;
  PhRendezvousClient *client;
  Wire *wire;
  GArray *heard; /* of Heard */
  unsigned dials;
} Party;

typedef struct {
  PhRandomSeeded state;
  PhRandom random;
  PhTime now;
  PhRooms *rooms; /* NULL: the server is down */
  PhRoomsConfig config;
  uint64_t next_conn;
  Party parties[WORLD_CLIENTS_MAX];
  unsigned n;
  PhAddr remote; /* where all clients come from */
  bool no_knocks; /* clients have come through a proxy */
  bool knocks_fail; /* the server has no route */
  GArray *knocks; /* of PhRoomsKnock: those that it was asked for */
} World;

void world_init (World *w, const char *name, unsigned n_clients);
void world_clear (World *w);
/* Starts all clients; each watches all others if `mutual`. */
void world_start (World *w, bool mutual);
/* Delivers and lets time pass until then. */
void world_run (World *w, PhTime interval);
/* Delivers until nothing is under way, without letting time pass. */
void world_deliver (World *w);
void world_cut (World *w, unsigned i);
void world_server_stop (World *w);
void world_server_start (World *w);
uint64_t world_say (World *w, unsigned from, unsigned to, const char *text);
/* How often it was heard, and the last of them. */
unsigned world_count (const World *w, unsigned i, PhRendezvousEventType type);
const Heard *world_last (const World *w, unsigned i, PhRendezvousEventType type);
/* The n-th SIGNAL body heard, or NULL. */
const char *world_body (const World *w, unsigned i, unsigned nth);
PhInvitation world_invitation (World *w, unsigned by);
