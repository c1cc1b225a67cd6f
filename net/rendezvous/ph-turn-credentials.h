/* SPDX-License-Identifier: GPL-3.0-or-later */
/* TURN credentials of the REST scheme (draft-uberti-behave-turn-rest-00), which coturn knows as
 * `use-auth-secret`: username = expiry in Unix seconds ":" name, password = base64 of HMAC-SHA1 over the
 * username. The name is a keyed hash of the device's key: the relay can tell devices apart for its quota
 * and learns nothing that it could look up. */

#pragma once

#include "net/signal/ph-device-id.h"

typedef struct {
  char username[64];
  char password[32];
} PhTurnCredentials;

PhTurnCredentials
ph_turn_credentials (const char *secret, const PhDeviceId *device, uint64_t expires_unix);
/* The scheme's password for any username. */
void ph_turn_password (const char *secret, const char *username, char out[32]);
