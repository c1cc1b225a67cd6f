/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Very many connections on one thread, of which few have anything to say at a time.
 *
 * A GMainContext looks at each of its sources whenever any has something to do. With all connections in
 * one, each event costs as much as there are connections, and there are as many events as connections. So
 * they are put into small contexts, shards. The kernel watches the descriptors of all shards in one epoll set, and a
 * shard's context runs only when one of its descriptors has something or its next timer is due: an event costs
 * what a shard has in it. Whoever uses a connection (libsoup, GnuTLS by GIO) notices nothing of it; it uses the thread's
 * default context as ever.
 *
 * Whatever makes or changes sources of a member, from outside of the shard, does so between _enter() and
 * _exit(). Callbacks from the shard are within it already. All of it belongs to one thread; other threads may
 * return tasks to a shard's context. */

#pragma once

#include <glib.h>

/* Connections that share a context. More are more to look at for each event; fewer are more contexts, each with a
 * descriptor of its own. From 2 to 16 it makes no difference beyond the noise of `./run bench idle`. */
#define PH_SHARD_MEMBERS_MAX 8

typedef struct _PhShards PhShards;
typedef struct _PhShard PhShard;

/* Runs as a part of the thread's default GMainContext. */
PhShards *ph_shards_new (void);
/* Nothing of the shards runs any more, and the contexts drop their sources. Members may leave afterwards. */
void ph_shards_free (PhShards *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhShards, ph_shards_free)

/* A shard with room for one more, who joins it with a descriptor that is new. (What its number stood for
 * before is forgotten, if that was closed while nobody looked.) Each join is followed by one leave. */
PhShard *ph_shards_join (PhShards *self, int fd);
void ph_shard_leave (PhShard *shard);

/* Between these the shard's context is the thread's default one. They nest, also those of different shards. */
void ph_shard_enter (PhShard *shard);
void ph_shard_exit (PhShard *shard);
