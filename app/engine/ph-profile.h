/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A profile: the folder that makes a device a device. It holds the identity key (0600), the database and
 * a lock that only one process has. Opened on the caller's thread, used on the engine's. From then on core dumps of
 * this process hold none of its memory. */

#pragma once

#include "app/store/ph-store.h"
#include "net/signal/ph-device-id.h"

#include <gio/gio.h>

typedef struct {
  char *dir;
  char *device_id; /* printed form */
  PhIdentity identity;
  PhStore *store;
  int lock_fd;
} PhProfile;

/* Opens or makes the profile; NULL `dir`: $XDG_DATA_HOME/porthole. Errors: PH_ENGINE_ERROR_PROFILE_*. A
 * key file that is damaged or that others could read is an error, never replaced. */
PhProfile *ph_profile_open (const char *dir, GError **error);
/* Another identity, from the next opening on. */
bool
ph_profile_replace_key (PhProfile *self, const uint8_t seed[PH_IDENTITY_SEED_LEN], GError **error);
void ph_profile_free (PhProfile *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhProfile, ph_profile_free)
