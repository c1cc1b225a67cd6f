/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An engine for other processes of the same person: the application that owns a profile lets porthole-cli
 * use its engine, over the session bus.
 *
 * The owner calls ph_remote_export() on its bus connection, and owns the name ph_app_id_for_profile(). Another
 * process calls ph_engine_new_remote() and has a PhEngine like any other, but that it may end by itself
 * (PH_EVENT_GONE), and that it cannot import an identity.
 *
 * On the bus: object PH_REMOTE_PATH, interface PH_REMOTE_INTERFACE.
 *
 *   Open (s version) -> (u session, s device_id)   only the same version is let in
 *   Post (u session, PH_WIRE_COMMAND)
 *   Next (u session) -> (a PH_WIRE_EVENT)          answers when there is something to tell
 *   Close (u session)
 *
 * A client takes events at its own pace: what it does not ask for waits in a queue of its own, with progress
 * coalesced, up to PH_REMOTE_WAITING_MAX; a client that lets it grow further is closed. Nothing waits for a client.
 * It is closed as well when its connection to the bus ends. */

#pragma once

#include "app/engine/ph-engine.h"

#define PH_REMOTE_PATH "/org/porthole/Porthole/Engine"
#define PH_REMOTE_INTERFACE "org.porthole.Porthole.Engine1"
/* Each costs a queue; scripts that run many commands at once have some ten. */
#define PH_REMOTE_SESSIONS_MAX 64u
/* A long history; 10 MB at most. */
#define PH_REMOTE_WAITING_MAX 20000u
/* Events in one answer. */
#define PH_REMOTE_EVENTS_MAX 256u

typedef struct _PhRemote PhRemote;

/* On the thread whose default context the connection's calls are to come to. Both outlive the result. NULL and
 * `error` if something has the object's path already. */
PhRemote *ph_remote_export (GDBusConnection *connection, PhEngine *engine, GError **error);
/* Closes all clients. Before ph_engine_free(). */
void ph_remote_free (PhRemote *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhRemote, ph_remote_free)

/* The engine of the application that owns the profile `dir` (as of ph_engine_new()), wherever it runs. NULL
 * and `error`: PH_ENGINE_ERROR_PROFILE_IN_USE if none answers. Blocks for some milliseconds. */
PhEngine *
ph_engine_new_remote (const char *dir, PhEventFunc func, gpointer user_data, GError **error);
/* Whether it is another process that does the work. */
bool ph_engine_is_remote (const PhEngine *self);
