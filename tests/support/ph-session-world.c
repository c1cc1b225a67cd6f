/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "tests/support/ph-session-world.h"

struct _PhWorldTracer {
  PhSessionWorld *world;
  const char *who;
};

/* The story of a run: its end is what explains a failure. */
#define STORY_MAX 65536

static void
note (void *user, PhTime now, const char *module, const char *line)
{
  struct _PhWorldTracer *tracer = user;
  GString *story = tracer->world->story;

  g_string_append_printf (story, "%" G_GUINT64_FORMAT "ms %s: %s\n", now / PH_MSEC, tracer->who,
                          line);
  if (story->len > STORY_MAX)
    g_string_erase (story, 0, STORY_MAX / 2);
}

PhSessionWorld *
ph_session_world_new (uint64_t seed)
{
  PhSessionWorld *world = g_new0 (PhSessionWorld, 1);

  ph_random_seeded_init (&world->state, seed);
  world->random = ph_random_seeded (&world->state);
  world->now = PH_SEC;
  world->options = ph_fake_options_default;
  world->pairs = g_ptr_array_new_with_free_func ((GDestroyNotify)ph_fake_pair_free);
  world->story = g_string_new (NULL);
  for (int i = 0; i < 2; i++) {
    world->tracers[i] = g_new (struct _PhWorldTracer, 1);
    *world->tracers[i] = (struct _PhWorldTracer){world, i == 0 ? "a" : "b"};
    world->traces[i] = (PhTrace){note, world->tracers[i]};
  }
  world->a = ph_session_peer_new ("Anna\xe2\x80\x99s computer", world->random, &world->traces[0]);
  world->b = ph_session_peer_new ("b", world->random, &world->traces[1]);
  world->a->accepts = true;
  world->b->accepts = true;
  return world;
}

void
ph_session_world_free (PhSessionWorld *world)
{
  if (world == NULL)
    return;
  ph_session_peer_free (world->a);
  ph_session_peer_free (world->b);
  g_ptr_array_unref (world->pairs);
  g_string_free (world->story, true);
  g_free (world->tracers[0]);
  g_free (world->tracers[1]);
  g_free (world);
}

PhMemoryFiles *
ph_session_world_files (PhSessionWorld *world, unsigned count, uint64_t size_max)
{
  PhMemoryFiles *files = ph_memory_files_new (world->random);

  ph_memory_files_fill (files, count, size_max);
  return files;
}

static PhFakePair *
add_pair (PhSessionWorld *world)
{
  PhFakePair *pair = ph_fake_pair_new (world->random, &world->options);

  g_ptr_array_add (world->pairs, pair);
  return pair;
}

static PhFakePair *
connect_both (PhSessionWorld *world, bool overtaken)
{
  PhFakePair *pair = add_pair (world);

  ph_session_add_link (world->a->session, world->now, pair->a, overtaken);
  ph_session_add_link (world->b->session, world->now, pair->b, overtaken);
  return pair;
}

PhFakePair *
ph_session_world_connect (PhSessionWorld *world)
{
  return connect_both (world, false);
}

PhFakePair *
ph_session_world_connect_late (PhSessionWorld *world)
{
  return connect_both (world, true);
}

PhFakePair *
ph_session_world_connect_one (PhSessionWorld *world, PhSessionPeer *who)
{
  PhFakePair *pair = add_pair (world);

  ph_session_add_link (who->session, world->now, who == world->a ? pair->a : pair->b, false);
  return pair;
}

static bool
poll_link (PhSessionPeer *peer, PhTime now, PhLink *link)
{
  PhLinkEvent event;
  bool any = false;

  while (ph_link_poll_event (link, &event)) {
    any = true;
    ph_session_handle_link_event (peer->session, now, link, &event);
    ph_buf_slice_clear (&event.data);
    ph_session_peer_poll (peer, now);
  }
  return any;
}

bool
ph_session_world_step (PhSessionWorld *world)
{
  bool any = false;

  world->now += PH_MSEC;
  for (unsigned i = 0; i < world->pairs->len; i++) {
    PhFakePair *pair = world->pairs->pdata[i];

    any |= ph_fake_pair_step (pair);
    any |= poll_link (world->a, world->now, pair->a);
    any |= poll_link (world->b, world->now, pair->b);
  }
  any |= ph_session_peer_work (world->a, world->now);
  any |= ph_session_peer_work (world->b, world->now);
  ph_session_peer_poll (world->a, world->now);
  ph_session_peer_poll (world->b, world->now);
  if (ph_session_next_timeout (world->a->session, NULL) <= world->now)
    ph_session_handle_timeout (world->a->session, world->now);
  if (ph_session_next_timeout (world->b->session, NULL) <= world->now)
    ph_session_handle_timeout (world->b->session, world->now);
  return any;
}

void
ph_session_world_run (PhSessionWorld *world)
{
  for (unsigned i = 0;; i++) {
    g_assert_cmpuint (i, <, 2000000);
    if (ph_session_world_step (world))
      continue;

    const PhTime next = ph_time_min (ph_session_next_timeout (world->a->session, NULL),
                                     ph_session_next_timeout (world->b->session, NULL));

    if (next == PH_NEVER)
      return;
    world->now = MAX (world->now, next);
  }
}

void
ph_session_world_steps (PhSessionWorld *world, unsigned count)
{
  for (unsigned i = 0; i < count; i++)
    ph_session_world_step (world);
}

void
ph_session_world_until (PhSessionWorld *world, const unsigned *counter, unsigned value)
{
  for (unsigned i = 0; *counter < value; i++) {
    if (i == 100000)
      g_error ("this never happens:\n%s", world->story->str);
    ph_session_world_step (world);
  }
}

void
ph_session_world_cut (PhSessionWorld *world)
{
  for (unsigned i = 0; i < world->pairs->len; i++)
    ph_fake_pair_cut (world->pairs->pdata[i]);
  ph_session_world_step (world);
}

void
ph_session_world_restart (PhSessionWorld *world, PhSessionPeer *peer)
{
  ph_session_peer_restart (peer, world->now);
  for (unsigned i = 0; i < world->pairs->len; i++)
    ph_fake_pair_cut (world->pairs->pdata[i]);
}

PhPeerTransfer *
ph_session_world_twin (PhSessionWorld *world, const PhPeerTransfer *transfer)
{
  PhPeerTransfer *twin = ph_session_peer_find (world->b, &transfer->id);

  return twin != NULL && twin != transfer ? twin : ph_session_peer_find (world->a, &transfer->id);
}
