/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a PhEngine is made of whose work another process does. */

#pragma once

#include "app/engine/ph-core.h"

typedef struct _PhRemoteClient PhRemoteClient;

/* As ph_engine_new_remote(). */
PhRemoteClient *
ph_remote_client_new (const char *dir, PhEventFunc func, gpointer user_data, GError **error);
/* Waits until the owner has what was posted. */
void ph_remote_client_free (PhRemoteClient *self);
const char *ph_remote_client_device_id (const PhRemoteClient *self);
void ph_remote_client_post (PhRemoteClient *self, const PhCommand *command);
